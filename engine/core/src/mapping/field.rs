//! One field of a row: where its value comes from, and what is done to it.

use std::borrow::Cow;

use engine_spec::expr::{ExprError, RowExpr};
use engine_spec::model::Unmapped;

use super::Rejection;
use super::codes::Codes;
use super::show::{clip, write_json_cell};
use crate::canonical::write_json_text;
use crate::text::{is_blank, number_of, text_of};
use crate::time::{Instant, TimeCells, TimeReader, TimeValue};
use crate::transform::Transforms;
use crate::value::{Cell, Row};

/// A text or number field.
pub(super) struct TextReader {
    pub(super) path: String,
    pub(super) from: Reader,
    /// The place of the column, where its value is taken as it is.
    pub(super) as_it_is: Option<usize>,
    pub(super) transforms: Transforms,
    pub(super) map: Option<Codes>,
    pub(super) unmapped: Unmapped,
    pub(super) null_if: Vec<String>,
    pub(super) default: Option<String>,
}

impl TextReader {
    /// Reads into `out`; true where `unmapped: skip` drops the row.
    pub(super) fn required(&self, row: Row<'_>, out: &mut String, sink: &mut Sink<'_>) -> bool {
        // Most codes are the text of a column.
        if let Some(text) = self.as_it_is.and_then(|place| row.text(place))
            && !is_blank(text)
        {
            text.clone_into(out);
            return false;
        }
        match self.read(row, out, sink) {
            Ok(Text::Value) if !is_blank(out) => false,
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

    pub(super) fn read(&self, row: Row<'_>, out: &mut String, sink: &mut Sink<'_>) -> Result<Text, Rejection> {
        out.clear();
        let written;
        let found = match &self.from {
            Reader::Column(place) => match row.text(*place) {
                Some(text) => Some(text),
                None => text_of(row.get(*place), sink.scratch).map_err(|error| Rejection {
                    code: error.code.as_str(),
                    reason: format!("{}: column `{}`: {}", self.path, row.columns()[*place].name, error.message),
                    rule: self.path.clone(),
                })?,
            },
            Reader::Constant(text) => Some(text.as_str()),
            Reader::Expression(expression) => {
                written = expression.text(row)?;
                written.as_deref()
            }
        };
        let mut found = found.filter(|text| !self.is_null(text));
        let changed;
        if let Some(text) = found
            && !self.transforms.is_empty()
        {
            changed = self.transforms.apply(text);
            found = changed.as_deref().filter(|text| !self.is_null(text));
        }
        let Some(text) = found else {
            let Some(default) = &self.default else { return Ok(Text::Nothing) };
            out.push_str(default);
            return Ok(Text::Value);
        };
        match (&self.map, self.unmapped) {
            (None, _) => out.push_str(text),
            (Some(map), unmapped) => match (map.get(text), unmapped) {
                (Some(mapped), _) => out.push_str(mapped),
                (None, Unmapped::Keep) => out.push_str(text),
                (None, Unmapped::Skip) => return Ok(Text::Skip),
                (None, Unmapped::Reject) => {
                    return Err(Rejection {
                        code: "unmapped",
                        reason: format!("{}: code `{}` is not in `map`", self.path, clip(text)),
                        rule: format!("{}.map", self.path),
                    });
                }
            },
        }
        Ok(Text::Value)
    }

    pub(super) fn is_null(&self, text: &str) -> bool {
        self.null_if.iter().any(|null| null == text)
    }

    /// Passes a value through: as its own JSON kind where the column is taken as it is, as text otherwise.
    pub(super) fn attribute(&self, row: Row<'_>, out: &mut Attributes<'_>, text: &mut String, sink: &mut Sink<'_>) {
        let name = self.path.strip_prefix("fields.attributes.").unwrap_or(&self.path);
        if let Some(place) = self.as_it_is {
            match write_json_cell(row.get(place), usize::MAX, out.value_of(name), sink.scratch) {
                Ok(true) => out.keep(),
                Ok(false) => {}
                Err(reason) => sink.rejections.push(Rejection {
                    code: "value_undecodable",
                    reason: format!("{}: {reason}", self.path),
                    rule: self.path.clone(),
                }),
            }
            return;
        }
        match self.read(row, text, sink) {
            Ok(Text::Value) => {
                write_json_text(out.value_of(name), text);
                out.keep();
            }
            Ok(Text::Nothing | Text::Skip) => {}
            Err(rejection) => sink.rejections.push(rejection),
        }
    }
}

/// Writes the attributes of a row over those of the row before, so that their memory is used again. There is room for no
/// more than there may be: a run keeps thousands of rows.
pub(super) struct Attributes<'a> {
    entries: &'a mut Vec<(String, String)>,
    kept: usize,
}

impl<'a> Attributes<'a> {
    pub(super) fn over(entries: &'a mut Vec<(String, String)>, most: usize) -> Self {
        entries.reserve_exact(most.saturating_sub(entries.len()));
        Self { entries, kept: 0 }
    }

    /// Where the value of the next attribute is written.
    fn value_of(&mut self, name: &str) -> &mut String {
        if self.kept == self.entries.len() {
            self.entries.push((name.to_owned(), String::new()));
        }
        let (known, value) = &mut self.entries[self.kept];
        if known != name {
            name.clone_into(known);
        }
        value.clear();
        value
    }

    /// The attribute that was written has a value.
    fn keep(&mut self) {
        self.kept += 1;
    }

    /// Takes away what is left of the row before.
    pub(super) fn end(self) {
        self.entries.truncate(self.kept);
    }
}

/// A time field.
pub(super) struct TimeColumn {
    pub(super) path: &'static str,
    pub(super) reader: TimeReader,
    pub(super) from: TimeFrom,
}

/// Where a time is read from.
pub(super) enum TimeFrom {
    Whole(Reader),
    Parts { date: Reader, time: Reader },
}

impl TimeColumn {
    pub(super) fn read(
        &self,
        row: Row<'_>,
        start: Option<Instant>,
        scratch: &mut String,
    ) -> Result<Option<TimeValue>, Rejection> {
        let mut read = |cells: TimeCells<'_>| {
            self.reader.read(cells, start, scratch).map_err(|error| Rejection {
                code: error.code.as_str(),
                reason: format!("{}: {error}", self.path),
                rule: self.path.to_owned(),
            })
        };
        match &self.from {
            TimeFrom::Whole(Reader::Column(place)) => read(TimeCells::Whole(row.get(*place))),
            TimeFrom::Whole(whole) => read(TimeCells::Whole(whole.cell(row, &mut String::new())?)),
            TimeFrom::Parts { date, time } => {
                let (mut first, mut second) = (String::new(), String::new());
                read(TimeCells::Parts { date: date.cell(row, &mut first)?, time: time.cell(row, &mut second)? })
            }
        }
    }
}

pub(super) enum Reader {
    Column(usize),
    Constant(String),
    Expression(Box<Expression>),
}

impl Reader {
    /// The cell of a column; of a constant or an expression, its text as a cell.
    pub(super) fn cell<'a>(&'a self, row: Row<'a>, text: &'a mut String) -> Result<Cell<'a>, Rejection> {
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

/// An expression over the row, with the columns that it reads.
pub(super) struct Expression {
    pub(super) path: String,
    pub(super) expr: RowExpr,
    pub(super) columns: Vec<(String, usize)>,
    /// A condition whose operands are columns as they are: evaluated without an interpreter.
    pub(super) native: bool,
}

impl Expression {
    pub(super) fn row(&self, row: Row<'_>) -> minijinja::Value {
        minijinja::Value::from_pairs(
            self.columns.iter().map(|(name, place)| (name.as_str(), to_jinja(row.get(*place)))),
        )
    }

    pub(super) fn text(&self, row: Row<'_>) -> Result<Option<String>, Rejection> {
        self.expr.eval_text(&self.row(row)).map_err(|error| self.rejection(&error.to_string()))
    }

    pub(super) fn condition(&self, row: Row<'_>) -> Result<bool, Rejection> {
        let result = match &self.expr {
            RowExpr::Condition(condition) if self.native => condition.eval(&mut |operand| {
                let place = self.columns.iter().find(|(name, _)| *name == operand.column).map(|(_, place)| *place);
                place.map_or(Ok(None), |place| native_text(row.get(place), &operand.column))
            }),
            expr => expr.eval_bool(&self.row(row)),
        };
        result.map_err(|error| self.rejection(&error.to_string()))
    }

    pub(super) fn rejection(&self, message: &str) -> Rejection {
        Rejection { code: "expression_failed", reason: format!("{}: {message}", self.path), rule: self.path.clone() }
    }
}

/// What a text field gave.
pub(super) enum Text {
    Value,
    Nothing,
    Skip,
}

/// What a field writes to beside its value.
pub(super) struct Sink<'a> {
    pub(super) rejections: &'a mut Vec<Rejection>,
    pub(super) scratch: &'a mut String,
}

/// An optional text; an empty one is no value.
pub(super) fn optional(reader: Option<&TextReader>, row: Row<'_>, out: &mut Option<String>, sink: &mut Sink<'_>) {
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
pub(super) fn number(
    reader: Option<&TextReader>,
    row: Row<'_>,
    out: &mut Option<String>,
    other: &mut String,
    sink: &mut Sink<'_>,
) {
    let Some(reader) = reader else {
        *out = None;
        return;
    };
    let mut text = out.take().unwrap_or_default();
    let number = match reader.as_it_is {
        Some(place) => number_of(row.get(place), sink.scratch),
        None => match reader.read(row, other, sink) {
            Ok(Text::Value) => number_of(Cell::Text(other), sink.scratch),
            Ok(Text::Nothing | Text::Skip) => Ok(None),
            Err(rejection) => {
                sink.rejections.push(rejection);
                return;
            }
        },
    };
    match number {
        Ok(Some(digits)) => {
            digits.clone_into(&mut text);
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

/// The canonical text of a cell, borrowed where the cell holds it.
pub(super) fn native_text<'a>(cell: Cell<'a>, column: &str) -> Result<Option<Cow<'a, str>>, ExprError> {
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

pub(super) fn to_jinja(cell: Cell<'_>) -> minijinja::Value {
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

pub(super) fn missing(path: &str) -> Rejection {
    Rejection { code: "missing_value", reason: format!("{path} has no value"), rule: path.to_owned() }
}
