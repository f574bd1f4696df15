//! Codes, names and free text of a recording, replaced; what a run decides by is kept.

use std::collections::BTreeSet;

use engine_spec::expr::RowExpr;
use engine_spec::model::{FieldSource, TextField, TimeField, TimeSource};

use super::{RecordedCell, Recording, Values};
use crate::anonymise::Anonymiser;
use crate::plan::Plan;

/// Which columns were replaced, and which were not, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replaced {
    /// Their texts and whole numbers mean nothing any more.
    pub replaced: Vec<String>,
    /// They are as they were.
    pub kept: Vec<String>,
}

/// Replaces the values of every column but those that tell of times, machines, events, quantities or conditions.
///
/// The same value becomes the same everywhere. Dates and times stay, and so does a value that the spec names, in a `map` or
/// in `null_if`: the spec would not know another. A column of whole numbers that nothing but `key` names keeps them.
pub fn anonymise(recording: &mut Recording, plan: &Plan, seed: u64) -> Replaced {
    let uses = Uses::of(plan);
    let mut anonymiser = Anonymiser::new(seed);
    let mut said = Replaced::default();
    let columns = recording.columns.clone();
    for (place, column) in columns.iter().enumerate() {
        let name = column.name.to_lowercase();
        if uses.kept.contains(&name) {
            said.kept.push(column.name.clone());
            continue;
        }
        let keeps_numbers = uses.key.contains(&name) && !uses.codes.contains(&name);
        let mut changed = false;
        for row in &mut recording.rows {
            let Values::Cells(cells) = &mut row.values else { continue };
            changed |= replace(&mut cells[place], &mut anonymiser, &uses.literals, keeps_numbers);
        }
        if changed { said.replaced.push(column.name.clone()) } else { said.kept.push(column.name.clone()) }
    }
    for row in &mut recording.rows {
        if let Values::Unreadable(reason) = &mut row.values {
            // It may quote the line.
            *reason = "the line could not be read".to_owned();
        }
    }
    said
}

/// Replaces a value; whether it was one that is.
fn replace(
    cell: &mut RecordedCell,
    anonymiser: &mut Anonymiser,
    literals: &BTreeSet<String>,
    keeps_numbers: bool,
) -> bool {
    let known = |text: &str| literals.contains(text.trim()) || is_time(text.trim());
    match cell {
        RecordedCell::Text(text) if !known(text) => *text = anonymiser.text(text),
        RecordedCell::Int(number) if !keeps_numbers && !known(&number.to_string()) => {
            *number = anonymiser.text(&number.to_string()).parse().unwrap_or_default();
        }
        RecordedCell::Decimal(digits) if !keeps_numbers && !known(digits) => *digits = anonymiser.text(digits),
        RecordedCell::Json(json) => {
            *json = match serde_json::from_str(json) {
                Ok(value) => anonymiser.value(&value).to_string(),
                Err(_) => anonymiser.text(json),
            };
        }
        RecordedCell::Bytes(bytes) => bytes.fill(0),
        // It may quote the value that could not be read.
        RecordedCell::Bad(reason) => "the value could not be read".clone_into(reason),
        _ => return false,
    }
    true
}

/// Whether a text is a date or a time of day as ISO 8601 has them, with its signs: digits alone may be an order.
fn is_time(text: &str) -> bool {
    use jiff::civil::{Date, DateTime, Time};
    text.contains(['-', ':'])
        && (text.parse::<DateTime>().is_ok()
            || text.parse::<Date>().is_ok()
            || text.parse::<Time>().is_ok()
            || text.parse::<jiff::Timestamp>().is_ok())
}

/// What the columns of a source are for, by their names in lower case.
struct Uses {
    /// Columns that a run decides by.
    kept: BTreeSet<String>,
    /// Columns of orders and products.
    codes: BTreeSet<String>,
    key: BTreeSet<String>,
    /// Values that the spec names.
    literals: BTreeSet<String>,
}

impl Uses {
    fn of(plan: &Plan) -> Self {
        let fields = &plan.fields;
        let texts = |list: &[Option<&TextField>]| -> BTreeSet<String> {
            list.iter().flatten().flat_map(|field| columns_of(&field.from)).collect()
        };
        let times = [&fields.start, &fields.end, &fields.timestamp].into_iter().flatten().flat_map(of_time);
        let mut kept = texts(&[
            fields.machine_code.as_ref(),
            fields.event.as_ref(),
            fields.quantity_total.as_ref(),
            fields.quantity_scrap.as_ref(),
            fields.quantity_yield.as_ref(),
            fields.quantity_unit.as_ref(),
        ]);
        kept.extend(times);
        kept.extend(plan.sync.column.iter().chain(&plan.tie_break).map(|name| name.to_lowercase()));
        for condition in [&plan.skip_when, &plan.cancelled_when].into_iter().flatten() {
            kept.extend(names(condition));
        }
        let every = [&fields.order_code, &fields.product_code, &fields.product_name];
        let named = every.into_iter().flatten().chain(fields.attributes.values());
        let literals = named
            .flat_map(|field| {
                let codes = field.options.map.iter().flat_map(|map| map.keys().cloned());
                codes.chain(field.options.null_if.iter().map(ToString::to_string)).collect::<Vec<_>>()
            })
            .map(|text| text.trim().to_owned())
            .collect();
        Self {
            kept,
            codes: texts(&[fields.order_code.as_ref(), fields.product_code.as_ref()]),
            key: plan.key.iter().map(|name| name.to_lowercase()).collect(),
            literals,
        }
    }
}

fn columns_of(from: &FieldSource) -> BTreeSet<String> {
    match from {
        FieldSource::Column(name) => BTreeSet::from([name.to_lowercase()]),
        FieldSource::Template(text) => names(text),
        FieldSource::Value(_) => BTreeSet::new(),
    }
}

fn of_time(field: &TimeField) -> BTreeSet<String> {
    match &field.from {
        TimeSource::Whole(from) => columns_of(from),
        TimeSource::Parts { date, time } => columns_of(&date.from).into_iter().chain(columns_of(&time.from)).collect(),
    }
}

fn names(expression: &str) -> BTreeSet<String> {
    let columns = RowExpr::parse(expression).0.map(|expr| expr.columns()).unwrap_or_default();
    columns.into_iter().map(|name| name.to_lowercase()).collect()
}
