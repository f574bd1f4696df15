//! Source rows to canonical rows: texts, times, codes and machines, with all of a row's errors at once.
//!
//! A mapper is compiled for the columns of a result and reuses its buffers from row to row.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use engine_spec::diagnostic::did_you_mean;
use engine_spec::expr::{ExprError, RowExpr};
use engine_spec::model::{Action, FieldSource, TableType, TextField, TimeField, TimeOptions, TimeSource, Unmapped};

use crate::canonical::{CanonicalRow, Details, KeyText, write_json_text};
use crate::pairing::{Event, Tie};
use crate::plan::Plan;
use crate::text::{number_of, text_of, trim};
use crate::time::{Instant, Shift, TimeCells, TimeReader, Zone};
use crate::transform::Transforms;
use crate::value::{Cell, Column, Columns, Row};

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
    machines: Option<BTreeMap<String, String>>,
    checks: crate::plan::CheckPlan,
    rejections: Vec<Rejection>,
    reported: BTreeMap<&'static str, u64>,
    key_text: KeyText,
    has_key: bool,
    window_micros: Option<i64>,
    event_word: String,
    scratch: String,
    other: String,
}

/// A text or number field.
struct TextReader {
    path: String,
    from: Reader,
    /// Nothing but the column: the value needs no copy on its way.
    plain: bool,
    transforms: Transforms,
    map: Option<BTreeMap<String, String>>,
    unmapped: Unmapped,
    null_if: Vec<String>,
    default: Option<String>,
}

/// A time field.
struct TimeColumn {
    path: &'static str,
    reader: TimeReader,
    whole: Option<Reader>,
    parts: Option<(Reader, Reader)>,
}

enum Reader {
    Column(usize),
    Constant(String),
    Expression(Box<Expression>),
}

/// An expression over the row, with the columns that it reads.
struct Expression {
    path: String,
    expr: RowExpr,
    columns: Vec<(String, usize)>,
    /// A condition whose operands are columns as they are: evaluated without an interpreter.
    native: bool,
}

/// What a text field gave.
enum Text {
    Value,
    Nothing,
    Skip,
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
                machines: plan.machines.clone(),
                checks: plan.checks,
                rejections: Vec::new(),
                reported: BTreeMap::new(),
                key_text: KeyText::default(),
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
        self.key_text.clear();
        let mut any = false;
        for place in &self.key {
            match text_of(row.get(*place), &mut self.scratch) {
                Ok(text) => {
                    any |= text.is_some();
                    self.key_text.push(text);
                }
                Err(error) => {
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
        if !any {
            self.rejections.push(Rejection {
                code: "missing_key",
                reason: "every key column is null".to_owned(),
                rule: "key".to_owned(),
            });
            return;
        }
        out.key_text.push_str(self.key_text.finish());
        self.has_key = true;
    }

    /// The canonical identity of the table type, for specs without a key.
    fn canonical_key(&mut self, out: &mut CanonicalRow) {
        self.key_text.clear();
        self.key_text.push(Some(&out.details.order_code));
        self.key_text.push(Some(&out.details.machine_code));
        self.scratch.clear();
        crate::time::write_rfc3339(&mut self.scratch, out.start);
        self.key_text.push(Some(&self.scratch));
        if let Some(event) = out.event {
            self.key_text.push(Some(event.as_str()));
        }
        out.key_text.push_str(self.key_text.finish());
        self.has_key = true;
    }

    fn condition(&self, row: Row<'_>, which: impl Fn(&Self) -> Option<&Expression>) -> Result<bool, Rejection> {
        let Some(expression) = which(self) else { return Ok(false) };
        expression.condition(row)
    }

    /// Reads the text and number fields; true where `unmapped: skip` drops the row.
    fn read_texts(&mut self, row: Row<'_>, out: &mut CanonicalRow) -> bool {
        let details = &mut out.details;
        let mut sink = Sink { rejections: &mut self.rejections, scratch: &mut self.scratch, other: &mut self.other };
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
        number(total.as_ref(), row, &mut details.quantity_total, &mut sink);
        number(scrap.as_ref(), row, &mut details.quantity_scrap, &mut sink);
        number(yields.as_ref(), row, &mut details.quantity_yield, &mut sink);
        optional(self.quantity_unit.as_ref(), row, &mut details.quantity_unit, &mut sink);
        details.attributes.clear();
        for attribute in &self.attributes {
            attribute.attribute(row, &mut details.attributes, &mut sink);
        }
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
                Some(known) => known.clone_from(id),
                none => *none = Some(id.clone()),
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
        if time.total_nanos() - now.total_nanos() <= tolerance {
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

/// What a field writes to beside its value.
struct Sink<'a> {
    rejections: &'a mut Vec<Rejection>,
    scratch: &'a mut String,
    other: &'a mut String,
}

impl TextReader {
    /// Reads into `out`; true where `unmapped: skip` drops the row.
    fn required(&self, row: Row<'_>, out: &mut String, sink: &mut Sink<'_>) -> bool {
        match self.read(row, out, sink) {
            Ok(Text::Value) if !trim(out).is_empty() => false,
            Ok(Text::Value | Text::Nothing) => {
                out.clear();
                sink.rejections.push(missing(&self.path));
                false
            }
            Ok(Text::Skip) => true,
            Err(rejection) => {
                out.clear();
                sink.rejections.push(rejection);
                false
            }
        }
    }

    fn read(&self, row: Row<'_>, out: &mut String, sink: &mut Sink<'_>) -> Result<Text, Rejection> {
        out.clear();
        let found = match &self.from {
            Reader::Column(place) => match text_of(row.get(*place), sink.scratch) {
                Ok(Some(text)) => {
                    out.push_str(text);
                    true
                }
                Ok(None) => false,
                Err(error) => {
                    return Err(Rejection {
                        code: error.code.as_str(),
                        reason: format!("{}: column `{}`: {}", self.path, row.columns()[*place].name, error.message),
                        rule: self.path.clone(),
                    });
                }
            },
            Reader::Constant(text) => {
                out.push_str(text);
                true
            }
            Reader::Expression(expression) => match expression.text(row)? {
                Some(text) => {
                    out.push_str(&text);
                    true
                }
                None => false,
            },
        };
        if self.plain {
            return Ok(if found { Text::Value } else { Text::Nothing });
        }
        let mut found = found && !self.is_null(out);
        if found && !self.transforms.is_empty() {
            sink.other.clear();
            sink.other.push_str(out);
            match self.transforms.apply(sink.other.as_str()) {
                Some(text) => {
                    out.clear();
                    out.push_str(&text);
                    found = !self.is_null(out);
                }
                None => found = false,
            }
        }
        if found && let Some(map) = &self.map {
            match map.get(out.as_str()) {
                Some(mapped) => out.clone_from(mapped),
                None => match self.unmapped {
                    Unmapped::Keep => {}
                    Unmapped::Skip => return Ok(Text::Skip),
                    Unmapped::Reject => {
                        return Err(Rejection {
                            code: "unmapped",
                            reason: format!("{}: code `{}` is not in `map`", self.path, clip(out)),
                            rule: format!("{}.map", self.path),
                        });
                    }
                },
            }
        }
        if !found {
            let Some(default) = &self.default else { return Ok(Text::Nothing) };
            out.clone_from(default);
        }
        Ok(Text::Value)
    }

    fn is_null(&self, text: &str) -> bool {
        self.null_if.iter().any(|null| null == text)
    }

    /// Passes a value through: as its own JSON kind where the column is taken as it is, as text otherwise.
    fn attribute(&self, row: Row<'_>, out: &mut Vec<(String, String)>, sink: &mut Sink<'_>) {
        let name = self.path.strip_prefix("fields.attributes.").unwrap_or(&self.path);
        if self.plain
            && let Reader::Column(place) = self.from
        {
            let mut json = String::new();
            match write_json_cell(row.get(place), usize::MAX, &mut json, sink.scratch) {
                Ok(true) => out.push((name.to_owned(), json)),
                Ok(false) => {}
                Err(reason) => sink.rejections.push(Rejection {
                    code: "value_undecodable",
                    reason: format!("{}: {reason}", self.path),
                    rule: self.path.clone(),
                }),
            }
            return;
        }
        let mut text = String::new();
        match self.read(row, &mut text, sink) {
            Ok(Text::Value) => {
                let mut json = String::with_capacity(text.len() + 2);
                write_json_text(&mut json, &text);
                out.push((name.to_owned(), json));
            }
            Ok(Text::Nothing | Text::Skip) => {}
            Err(rejection) => sink.rejections.push(rejection),
        }
    }
}

/// An optional text; an empty one is no value.
fn optional(reader: Option<&TextReader>, row: Row<'_>, out: &mut Option<String>, sink: &mut Sink<'_>) {
    let Some(reader) = reader else {
        *out = None;
        return;
    };
    let mut text = out.take().unwrap_or_default();
    match reader.read(row, &mut text, sink) {
        Ok(Text::Value) if !text.is_empty() => *out = Some(text),
        Ok(_) => {}
        Err(rejection) => sink.rejections.push(rejection),
    }
}

/// An optional quantity, as exact digits.
fn number(reader: Option<&TextReader>, row: Row<'_>, out: &mut Option<String>, sink: &mut Sink<'_>) {
    let Some(reader) = reader else {
        *out = None;
        return;
    };
    let mut text = out.take().unwrap_or_default();
    let number = match (&reader.from, reader.plain) {
        (Reader::Column(place), true) => number_of(row.get(*place), sink.scratch),
        _ => match reader.read(row, &mut text, sink) {
            Ok(Text::Value) => number_of(Cell::Text(&text), sink.scratch),
            Ok(Text::Nothing | Text::Skip) => Ok(None),
            Err(rejection) => {
                sink.rejections.push(rejection);
                return;
            }
        },
    };
    match number {
        Ok(Some(digits)) => {
            // The digits may lie in the text itself.
            sink.other.clear();
            sink.other.push_str(digits);
            text.clone_from(sink.other);
            *out = Some(text);
        }
        Ok(None) => {}
        Err(error) => sink.rejections.push(Rejection {
            code: error.code.as_str(),
            reason: format!("{}: {}", reader.path, error.message),
            rule: reader.path.clone(),
        }),
    }
}

impl TimeColumn {
    fn read(
        &self,
        row: Row<'_>,
        start: Option<Instant>,
        scratch: &mut String,
    ) -> Result<Option<crate::time::TimeValue>, Rejection> {
        let mut texts = [String::new(), String::new()];
        let [first, second] = &mut texts;
        let cells = match (&self.whole, &self.parts) {
            (Some(whole), _) => TimeCells::Whole(whole.cell(row, first)?),
            (None, Some((date, time))) => {
                TimeCells::Parts { date: date.cell(row, first)?, time: time.cell(row, second)? }
            }
            (None, None) => return Ok(None),
        };
        self.reader.read(cells, start, scratch).map_err(|error| Rejection {
            code: error.code.as_str(),
            reason: format!("{}: {error}", self.path),
            rule: self.path.to_owned(),
        })
    }
}

impl Reader {
    /// The cell of a column; of a constant or an expression, its text as a cell.
    fn cell<'a>(&'a self, row: Row<'a>, text: &'a mut String) -> Result<Cell<'a>, Rejection> {
        Ok(match self {
            Self::Column(place) => row.get(*place),
            Self::Constant(constant) => Cell::Text(constant),
            Self::Expression(expression) => match expression.text(row)? {
                Some(value) => {
                    *text = value;
                    Cell::Text(text)
                }
                None => Cell::Null,
            },
        })
    }
}

impl Expression {
    fn row(&self, row: Row<'_>) -> minijinja::Value {
        minijinja::Value::from_pairs(
            self.columns.iter().map(|(name, place)| (name.as_str(), to_jinja(row.get(*place)))),
        )
    }

    fn text(&self, row: Row<'_>) -> Result<Option<String>, Rejection> {
        self.expr.eval_text(&self.row(row)).map_err(|error| self.rejection(&error.to_string()))
    }

    fn condition(&self, row: Row<'_>) -> Result<bool, Rejection> {
        let result = match &self.expr {
            RowExpr::Condition(condition) if self.native => condition.eval(&mut |operand| {
                let place = self.columns.iter().find(|(name, _)| *name == operand.column).map(|(_, place)| *place);
                place.map_or(Ok(None), |place| native_text(row.get(place), &operand.column))
            }),
            expr => expr.eval_bool(&self.row(row)),
        };
        result.map_err(|error| self.rejection(&error.to_string()))
    }

    fn rejection(&self, message: &str) -> Rejection {
        Rejection { code: "expression_failed", reason: format!("{}: {message}", self.path), rule: self.path.clone() }
    }
}

/// The canonical text of a cell, borrowed where the cell holds it.
fn native_text<'a>(cell: Cell<'a>, column: &str) -> Result<Option<Cow<'a, str>>, ExprError> {
    if let Cell::Text(text) = cell {
        return Ok(Some(Cow::Borrowed(text)));
    }
    let mut scratch = String::new();
    match text_of(cell, &mut scratch) {
        Ok(text) => Ok(text.map(|text| Cow::Owned(text.to_owned()))),
        Err(error) => {
            Err(ExprError { code: error.code.as_str(), message: format!("column `{column}`: {}", error.message) })
        }
    }
}

fn to_jinja(cell: Cell<'_>) -> minijinja::Value {
    match cell {
        Cell::Null => minijinja::Value::from(()),
        Cell::Bool(truth) => truth.into(),
        Cell::Int(number) => number.into(),
        Cell::Float(number) => number.into(),
        Cell::Decimal(digits) => match (digits.parse::<i64>(), digits.parse::<f64>()) {
            (Ok(whole), _) if !digits.starts_with('0') || digits == "0" => whole.into(),
            (_, Ok(number)) if digits.len() <= 15 => number.into(),
            _ => digits.into(),
        },
        Cell::Text(text) | Cell::Json(text) => text.into(),
        other => {
            let mut scratch = String::new();
            match text_of(other, &mut scratch) {
                Ok(Some(text)) => text.into(),
                _ => minijinja::Value::from(()),
            }
        }
    }
}

/// Compiles the parts of a mapper and collects what does not fit.
struct Build<'a> {
    columns: &'a Columns,
    errors: Vec<String>,
    plan: &'a Plan,
}

impl Build<'_> {
    fn place(&mut self, path: &str, name: &str) -> Option<usize> {
        match find_column(self.columns, name) {
            Ok(place) => Some(place),
            Err(message) => {
                self.errors.push(format!("{path}: {message}"));
                None
            }
        }
    }

    fn places(&mut self, path: &str, names: &[String]) -> Vec<usize> {
        names.iter().filter_map(|name| self.place(path, name)).collect()
    }

    fn reader(&mut self, path: &str, from: &FieldSource) -> Option<Reader> {
        Some(match from {
            FieldSource::Column(name) => Reader::Column(self.place(path, name)?),
            FieldSource::Value(scalar) => Reader::Constant(scalar.to_string()),
            FieldSource::Template(text) => {
                Reader::Expression(Box::new(self.expression(&format!("{path}.template"), text)?))
            }
        })
    }

    fn expression(&mut self, path: &str, text: &str) -> Option<Expression> {
        let (expr, findings) = RowExpr::parse(text);
        let Some(expr) = expr else {
            self.errors.extend(findings.iter().map(|finding| format!("{path}: {}", finding.message)));
            return None;
        };
        let columns =
            expr.columns().into_iter().filter_map(|name| self.place(path, &name).map(|place| (name, place))).collect();
        let native = matches!(&expr, RowExpr::Condition(condition) if condition.operands_are_plain());
        Some(Expression { path: path.to_owned(), expr, columns, native })
    }

    fn required_text(&mut self, name: &str, field: Option<&TextField>) -> Option<TextReader> {
        if field.is_none() {
            self.errors.push(format!("fields.{name} is missing"));
        }
        self.text(name, field)
    }

    fn text(&mut self, name: &str, field: Option<&TextField>) -> Option<TextReader> {
        let field = field?;
        let path = format!("fields.{name}");
        let from = self.reader(&path, &field.from)?;
        let options = &field.options;
        let transforms = match Transforms::compile(&options.transform) {
            Ok(transforms) => transforms,
            Err(error) => {
                self.errors.push(format!("{path}.transform: {error}"));
                return None;
            }
        };
        Some(TextReader {
            plain: transforms.is_empty()
                && options.map.is_none()
                && options.null_if.is_empty()
                && options.default.is_none(),
            path,
            from,
            transforms,
            map: options.map.clone(),
            unmapped: options.unmapped.unwrap_or(Unmapped::Reject),
            null_if: options.null_if.iter().map(ToString::to_string).collect(),
            default: options.default.as_ref().map(ToString::to_string),
        })
    }

    fn required_time(&mut self, path: &'static str, field: Option<&TimeField>) -> Option<TimeColumn> {
        match field {
            Some(field) => self.time(path, field),
            None => {
                self.errors.push(format!("{path} is missing"));
                None
            }
        }
    }

    fn time(&mut self, path: &'static str, field: &TimeField) -> Option<TimeColumn> {
        let zone = match &field.options.timezone {
            Some(name) => match jiff::tz::TimeZone::get(name) {
                Ok(zone) => zone,
                Err(_) => {
                    self.errors.push(format!("{path}.timezone: `{name}` is not an IANA time zone"));
                    return None;
                }
            },
            None => self.plan.zone.clone(),
        };
        let reader = match TimeReader::new(field, Zone::new(zone)) {
            Ok(reader) => reader,
            Err(error) => {
                self.errors.push(format!("{path}: {error}"));
                return None;
            }
        };
        let (whole, parts) = match &field.from {
            TimeSource::Whole(from) => (Some(self.reader(path, from)?), None),
            TimeSource::Parts { date, time } => {
                let date = self.reader(&format!("{path}.date"), &date.from);
                let time = self.reader(&format!("{path}.time"), &time.from);
                (None, Some((date?, time?)))
            }
        };
        Some(TimeColumn { path, reader, whole, parts })
    }
}

/// The place of a column: its exact name, or its name in another case where that is unambiguous.
pub fn find_column(columns: &[Column], name: &str) -> Result<usize, String> {
    let exact: Vec<usize> = (0..columns.len()).filter(|place| columns[*place].name == name).collect();
    let places = if exact.is_empty() {
        let lower = name.to_lowercase();
        (0..columns.len()).filter(|place| columns[*place].name.to_lowercase() == lower).collect()
    } else {
        exact
    };
    match places.as_slice() {
        [place] => Ok(*place),
        [] => {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            let meant = did_you_mean(name, names.iter().copied());
            let meant = meant.map_or(String::new(), |meant| format!(" (did you mean `{meant}`?)"));
            Err(format!("the result has no column `{name}`{meant}; it has {}", names.join(", ")))
        }
        _ => Err(format!("the result has {} columns named `{name}`: give one of them another name", places.len())),
    }
}

/// A row as a JSON object, long values clipped: what the quarantine keeps.
pub fn row_json(row: Row<'_>) -> String {
    let mut out = String::from("{");
    let mut scratch = String::new();
    for (place, column) in row.columns().iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        write_json_text(&mut out, &column.name);
        out.push(':');
        match write_json_cell(row.get(place), SHOWN_CHARS_MAX, &mut out, &mut scratch) {
            Ok(true) => {}
            Ok(false) => out.push_str("null"),
            Err(reason) => {
                let mut shown = String::new();
                let _ = write!(shown, "<{}>", clip(&reason));
                write_json_text(&mut out, &shown);
            }
        }
    }
    out.push('}');
    out
}

/// Writes a cell as JSON, its text up to a number of characters; false, and nothing written, where it is null.
fn write_json_cell(cell: Cell<'_>, chars_max: usize, out: &mut String, scratch: &mut String) -> Result<bool, String> {
    match cell {
        Cell::Null => return Ok(false),
        Cell::Bool(truth) => out.push_str(if truth { "true" } else { "false" }),
        Cell::Int(_) | Cell::Float(_) | Cell::Decimal(_) => match number_of(cell, scratch) {
            Ok(Some(digits)) => out.push_str(digits),
            Ok(None) => return Ok(false),
            Err(error) => return Err(error.message),
        },
        Cell::Json(json) if serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok() => out.push_str(json),
        Cell::Bad(reason) => return Err(reason.to_owned()),
        cell => match text_of(cell, scratch) {
            Ok(Some(text)) => write_json_text(out, clip_to(text, chars_max)),
            Ok(None) => return Ok(false),
            Err(error) => return Err(error.message),
        },
    }
    Ok(true)
}

fn missing(path: &str) -> Rejection {
    Rejection { code: "missing_value", reason: format!("{path} has no value"), rule: path.to_owned() }
}

fn clip(text: &str) -> &str {
    clip_to(text, SHOWN_CHARS_MAX)
}

fn clip_to(text: &str, chars_max: usize) -> &str {
    if text.len() <= chars_max {
        return text;
    }
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Kind;

    #[test]
    fn a_column_is_found_or_named() {
        let columns: Vec<Column> = ["anr", "MNR", "tag", "Tag"]
            .map(|name| Column { name: name.to_owned(), kind: Kind::Any, source_type: "test".to_owned() })
            .to_vec();
        let check = |name: &str, expected: Result<usize, &str>| {
            assert_eq!(find_column(&columns, name), expected.map_err(str::to_owned));
        };
        check("anr", Ok(0));
        check("mnr", Ok(1));
        check("Tag", Ok(3));
        check("TAG", Err("the result has 2 columns named `TAG`: give one of them another name"));
        check("anrr", Err("the result has no column `anrr` (did you mean `anr`?); it has anr, MNR, tag, Tag"));
        check("kenn", Err("the result has no column `kenn`; it has anr, MNR, tag, Tag"));
    }
}
