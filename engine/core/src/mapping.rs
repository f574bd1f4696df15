//! Source rows to canonical rows: texts, times, codes and machines, with all of a row's errors at once.
//!
//! A mapper is compiled for the columns of a result and reuses its buffers from row to row.

use std::collections::BTreeMap;

use engine_spec::model::{Action, FieldSource, TableType, TimeField, TimeOptions, TimeSource};

use self::build::Build;
use self::codes::Codes;
use self::field::{Attributes, Expression, Sink, TextReader, TimeColumn, missing, number, optional};
use self::show::clip;
use crate::canonical::{CanonicalRow, Details, KeyText};
use crate::pairing::{Event, Tie};
use crate::plan::Plan;
use crate::text::text_of;
use crate::time::{Instant, Shift};
use crate::value::{Cell, Columns, Row};

mod build;
mod codes;
pub mod coverage;
mod field;
mod show;

pub use self::build::find_column;
pub use self::show::{cell_json, row_json};

/// Characters of a value that a message or the quarantine shows.
pub const SHOWN_CHARS_MAX: usize = 1_000;

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is a canonical row.
    Row,
    /// `cancelled_when` marked it: what was delivered of it is deleted. It need not say more than its key.
    Cancelled,
    /// `skip_when` or `unmapped: skip` dropped it.
    Skipped,
    /// It goes to quarantine; [`Mapper::rejections`] says why.
    Rejected,
}

/// Why a row was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Stable code.
    pub code: &'static str,
    /// The reason in plain words.
    pub reason: String,
    /// The rule's place in the spec.
    pub rule: String,
}

/// A spec's fields, compiled for the columns of a result.
pub struct Mapper {
    columns: Columns,
    skip_when: Option<Expression>,
    cancelled_when: Option<Expression>,
    order_code: TextReader,
    product_code: TextReader,
    machine_code: TextReader,
    event: Option<TextReader>,
    start: TimeColumn,
    end: Option<TimeColumn>,
    window: Option<TimeColumn>,
    product_name: Option<TextReader>,
    quantities: [Option<TextReader>; 3],
    quantity_unit: Option<TextReader>,
    attributes: Vec<TextReader>,
    key: Vec<usize>,
    tie: Vec<usize>,
    machines: Option<Codes>,
    checks: crate::plan::CheckPlan,
    rejections: Vec<Rejection>,
    reported: BTreeMap<&'static str, u64>,
    has_key: bool,
    window_micros: Option<i64>,
    event_word: String,
    scratch: String,
    other: String,
}

impl Mapper {
    /// Compiles the fields of a plan for the columns of a result; an error names every column that is missing.
    pub fn new(plan: &Plan, columns: &Columns) -> Result<Self, Vec<String>> {
        let mut build = Build { columns, errors: Vec::new(), plan };
        let fields = &plan.fields;
        let order_code = build.required_text("order_code", fields.order_code.as_ref());
        let product_code = build.required_text("product_code", fields.product_code.as_ref());
        let machine_code = build.required_text("machine_code", fields.machine_code.as_ref());
        let (start, end, event) = match plan.table {
            TableType::Order => (
                build.required_time("fields.start", fields.start.as_ref()),
                build.required_time("fields.end", fields.end.as_ref()),
                None,
            ),
            TableType::Booking => (
                build.required_time("fields.timestamp", fields.timestamp.as_ref()),
                None,
                build.required_text("event", fields.event.as_ref()),
            ),
        };
        let product_name = build.text("product_name", fields.product_name.as_ref());
        let quantities = [
            build.text("quantity_total", fields.quantity_total.as_ref()),
            build.text("quantity_scrap", fields.quantity_scrap.as_ref()),
            build.text("quantity_yield", fields.quantity_yield.as_ref()),
        ];
        let quantity_unit = build.text("quantity_unit", fields.quantity_unit.as_ref());
        let attributes: Vec<TextReader> = fields
            .attributes
            .iter()
            .filter_map(|(name, field)| build.text(&format!("attributes.{name}"), Some(field)))
            .collect();
        let key = build.places("key", &plan.key);
        let tie = build.places("pairing.tie_break", &plan.tie_break);
        let window = plan.sync.column.as_ref().and_then(|column| {
            let field = TimeField {
                from: TimeSource::Whole(FieldSource::Column(column.clone())),
                options: TimeOptions::default(),
            };
            build.time("sync.column", &field)
        });
        let skip_when = plan.skip_when.as_ref().and_then(|text| build.expression("skip_when", text));
        let cancelled_when = plan.cancelled_when.as_ref().and_then(|text| build.expression("cancelled_when", text));
        let errors = build.errors;
        match (order_code, product_code, machine_code, start) {
            (Some(order_code), Some(product_code), Some(machine_code), Some(start)) if errors.is_empty() => Ok(Self {
                columns: columns.clone(),
                skip_when,
                cancelled_when,
                order_code,
                product_code,
                machine_code,
                event,
                start,
                end,
                window,
                product_name,
                quantities,
                quantity_unit,
                attributes,
                key,
                tie,
                machines: plan.machines.as_ref().map(Codes::of),
                checks: plan.checks,
                rejections: Vec::new(),
                reported: BTreeMap::new(),
                has_key: false,
                window_micros: None,
                event_word: String::new(),
                scratch: String::new(),
                other: String::new(),
            }),
            _ => Err(errors),
        }
    }

    /// Whether the mapper was compiled for these columns.
    pub fn fits(&self, columns: &Columns) -> bool {
        std::sync::Arc::ptr_eq(&self.columns, columns) || self.columns == *columns
    }

    /// Why the last row was rejected.
    pub fn rejections(&self) -> &[Rejection] {
        &self.rejections
    }

    /// Whether the last row has a key, rejected or not.
    pub fn has_key(&self) -> bool {
        self.has_key
    }

    /// The window column of the last row, where it could be read.
    pub fn window_micros(&self) -> Option<i64> {
        self.window_micros
    }

    /// Things worth a look since the last call, by code.
    pub fn take_reported(&mut self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.reported)
    }

    /// Maps one row. `out` is overwritten; `now` is the run's clock.
    pub fn map(&mut self, row: Row<'_>, now: Instant, out: &mut CanonicalRow) -> Outcome {
        self.rejections.clear();
        self.window_micros = None;
        self.has_key = false;
        out.key_text.clear();
        if let Some(reason) = row.unreadable() {
            // Every field would say the same.
            let rule = "source".to_owned();
            self.rejections.push(Rejection { code: "line_unreadable", reason: reason.to_owned(), rule });
            return Outcome::Rejected;
        }
        self.read_key(row, out);
        match self.condition(row, |mapper| mapper.skip_when.as_ref()) {
            Ok(true) => return Outcome::Skipped,
            Ok(false) => {}
            Err(rejection) => self.rejections.push(rejection),
        }
        // A cancelled row counts as deleted whatever else it says, as long as it says which row it is.
        let cancelled = match self.condition(row, |mapper| mapper.cancelled_when.as_ref()) {
            Ok(cancelled) => cancelled,
            Err(rejection) => {
                self.rejections.push(rejection);
                false
            }
        };
        if cancelled && self.has_key {
            return Outcome::Cancelled;
        }
        let skipped = self.read_texts(row, out);
        if skipped {
            return Outcome::Skipped;
        }
        self.read_times(row, now, out);
        self.read_tie(row, out);
        if self.key.is_empty() && self.rejections.is_empty() {
            self.canonical_key(out);
        }
        if !self.rejections.is_empty() {
            return Outcome::Rejected;
        }
        if cancelled { Outcome::Cancelled } else { Outcome::Row }
    }

    fn read_key(&mut self, row: Row<'_>, out: &mut CanonicalRow) {
        if self.key.is_empty() {
            return;
        }
        let mut key = KeyText::over(&mut out.key_text);
        let mut any = false;
        for place in &self.key {
            match text_of(row.get(*place), &mut self.scratch) {
                Ok(text) => {
                    any |= text.is_some();
                    key.push(text);
                }
                Err(error) => {
                    out.key_text.clear();
                    let column = &self.columns[*place].name;
                    self.rejections.push(Rejection {
                        code: error.code.as_str(),
                        reason: format!("key column `{column}`: {}", error.message),
                        rule: "key".to_owned(),
                    });
                    return;
                }
            }
        }
        key.finish();
        if !any {
            out.key_text.clear();
            self.rejections.push(Rejection {
                code: "missing_key",
                reason: "every key column is null".to_owned(),
                rule: "key".to_owned(),
            });
            return;
        }
        self.has_key = true;
    }

    /// The canonical identity of the table type, for specs without a key.
    fn canonical_key(&mut self, out: &mut CanonicalRow) {
        self.scratch.clear();
        crate::time::write_rfc3339(&mut self.scratch, out.start);
        let mut key = KeyText::over(&mut out.key_text);
        key.push(Some(&out.details.order_code));
        key.push(Some(&out.details.machine_code));
        key.push(Some(&self.scratch));
        if let Some(event) = out.event {
            key.push(Some(event.as_str()));
        }
        key.finish();
        self.has_key = true;
    }

    fn condition(&self, row: Row<'_>, which: impl Fn(&Self) -> Option<&Expression>) -> Result<bool, Rejection> {
        let Some(expression) = which(self) else { return Ok(false) };
        expression.condition(row)
    }

    /// Reads the text and number fields; true where `unmapped: skip` drops the row.
    fn read_texts(&mut self, row: Row<'_>, out: &mut CanonicalRow) -> bool {
        let details = &mut out.details;
        let mut sink = Sink { rejections: &mut self.rejections, scratch: &mut self.scratch };
        let mut skip = false;
        skip |= self.order_code.required(row, &mut details.order_code, &mut sink);
        skip |= self.product_code.required(row, &mut details.product_code, &mut sink);
        skip |= self.machine_code.required(row, &mut details.machine_code, &mut sink);
        out.event = None;
        if let Some(event) = &self.event {
            let rejected = sink.rejections.len();
            skip |= event.required(row, &mut self.event_word, &mut sink);
            out.event = match self.event_word.as_str() {
                "START" => Some(Event::Start),
                "END" => Some(Event::End),
                other => {
                    if sink.rejections.len() == rejected && !skip {
                        sink.rejections.push(Rejection {
                            code: "event_unknown",
                            reason: format!("event `{}` is neither START nor END", clip(other)),
                            rule: "fields.event.map".to_owned(),
                        });
                    }
                    None
                }
            };
        }
        if skip {
            return true;
        }
        optional(self.product_name.as_ref(), row, &mut details.product_name, &mut sink);
        let [total, scrap, yields] = &self.quantities;
        number(total.as_ref(), row, &mut details.quantity_total, &mut self.other, &mut sink);
        number(scrap.as_ref(), row, &mut details.quantity_scrap, &mut self.other, &mut sink);
        number(yields.as_ref(), row, &mut details.quantity_yield, &mut self.other, &mut sink);
        optional(self.quantity_unit.as_ref(), row, &mut details.quantity_unit, &mut sink);
        let mut attributes = Attributes::over(&mut details.attributes, self.attributes.len());
        for attribute in &self.attributes {
            attribute.attribute(row, &mut attributes, &mut self.other, &mut sink);
        }
        attributes.end();
        self.look_up_machine(details);
        false
    }

    fn look_up_machine(&mut self, details: &mut Details) {
        let Some(machines) = &self.machines else {
            details.machine_id = None;
            return;
        };
        if let Some(id) = machines.get(&details.machine_code) {
            match &mut details.machine_id {
                Some(known) => id.clone_into(known),
                none => *none = Some(id.to_owned()),
            }
            return;
        }
        details.machine_id = None;
        if details.machine_code.is_empty() {
            return;
        }
        match self.checks.unknown_machine {
            Action::Reject => self.rejections.push(Rejection {
                code: "unknown_machine",
                reason: format!("machine code `{}` is not in `machines`", clip(&details.machine_code)),
                rule: "machines".to_owned(),
            }),
            Action::Report => *self.reported.entry("unknown_machine").or_default() += 1,
            Action::Allow => {}
        }
    }

    fn read_times(&mut self, row: Row<'_>, now: Instant, out: &mut CanonicalRow) {
        let start = self.read_time(row, false, None);
        if let Ok(Some(start)) = start {
            out.start = start;
            self.check_future(start, now, self.start.path);
        } else if start == Ok(None) {
            self.rejections.push(missing(self.start.path));
        }
        out.end = None;
        if self.end.is_some()
            && let Ok(end) = self.read_time(row, true, start.ok().flatten())
        {
            out.end = end;
            if let (Some(end), Ok(Some(start))) = (end, start) {
                self.check_future(end, now, "fields.end");
                self.check_length(start, end);
            }
        }
        out.at = out.start;
        if let Ok(Some(start)) = start {
            self.window_micros = Some(start.micros());
        }
        if let Some(window) = &self.window {
            match window.read(row, None, &mut self.scratch) {
                Ok(Some(value)) => {
                    out.at = value.instant;
                    self.window_micros = Some(value.instant.micros());
                }
                Ok(None) => {}
                Err(rejection) => self.rejections.push(rejection),
            }
        }
    }

    /// The start, or the end; an error was pushed already.
    fn read_time(&mut self, row: Row<'_>, end: bool, start: Option<Instant>) -> Result<Option<Instant>, ()> {
        let column = match (&self.end, end) {
            (Some(column), true) => column,
            _ => &self.start,
        };
        match column.read(row, start, &mut self.scratch) {
            Ok(None) => Ok(None),
            Ok(Some(value)) => {
                let code = match value.shifted {
                    Some(Shift::Gap) => Some("time_gap_moved"),
                    Some(Shift::Fold) => Some("time_fold_chosen"),
                    None => None,
                };
                if let Some(code) = code {
                    *self.reported.entry(code).or_default() += 1;
                }
                Ok(Some(value.instant))
            }
            Err(rejection) => {
                self.rejections.push(rejection);
                Err(())
            }
        }
    }

    fn check_future(&mut self, time: Instant, now: Instant, path: &str) {
        let tolerance = self.checks.future_tolerance.as_nanos() as i128;
        if time <= now || time.total_nanos() - now.total_nanos() <= tolerance {
            return;
        }
        let reason = format!("{path} {time} lies in the future (now {now})");
        self.apply(self.checks.future, "future", reason, "checks.future");
    }

    fn check_length(&mut self, start: Instant, end: Instant) {
        if end < start {
            let reason = format!("the end {end} lies before the start {start}");
            self.apply(self.checks.end_before_start, "end_before_start", reason, "checks.end_before_start");
        } else if end == start {
            let reason = format!("start and end are the same moment, {start}");
            self.apply(self.checks.zero_length, "zero_length", reason, "checks.zero_length");
        }
    }

    fn apply(&mut self, action: Action, code: &'static str, reason: String, rule: &str) {
        match action {
            Action::Reject => self.rejections.push(Rejection { code, reason, rule: rule.to_owned() }),
            Action::Report => *self.reported.entry(code).or_default() += 1,
            Action::Allow => {}
        }
    }

    fn read_tie(&mut self, row: Row<'_>, out: &mut CanonicalRow) {
        out.tie.clear();
        for place in &self.tie {
            out.tie.push(match row.get(*place) {
                Cell::Null => Tie::None,
                Cell::Int(number) => Tie::Number(number),
                cell => match text_of(cell, &mut self.scratch) {
                    Ok(Some(text)) => text.parse().map_or_else(|_| Tie::Text(text.to_owned()), Tie::Number),
                    Ok(None) => Tie::None,
                    Err(error) => {
                        self.rejections.push(Rejection {
                            code: error.code.as_str(),
                            reason: format!("column `{}`: {}", self.columns[*place].name, error.message),
                            rule: "pairing.tie_break".to_owned(),
                        });
                        Tie::None
                    }
                },
            });
        }
    }
}
