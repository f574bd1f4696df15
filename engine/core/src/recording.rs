//! Rows of a source as text, to be given to a run again: every value as it was, with its column's kind.
//!
//! The first line says what was recorded; each other line is a row, an array with one value a column. What JSON has by
//! itself stands for itself: null, a truth value, a whole number, a text. Everything else is an object of one member
//! that names its kind: `{"decimal":"1.50"}`, `{"civil":"2025-03-29T22:00:00"}`.

mod anonymise;
mod cell;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub use self::anonymise::{Replaced, anonymise};
pub use self::cell::RecordedCell;
use crate::value::{Column, Columns, Kind, Row, RowBatch};

/// Version of the form.
pub const VERSION: u64 = 1;
/// Rows of a recording: it is read by people, and kept beside a spec.
pub const RECORDED_ROWS_MAX: usize = 100_000;

/// Rows that were read once.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// `source.type` of the spec.
    pub source_type: String,
    /// The clock of the run that read them.
    pub now: Timestamp,
    /// The columns.
    pub columns: Columns,
    /// The rows, in order.
    pub rows: Vec<RecordedRow>,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedRow {
    /// Which part of the answer it belongs to; see [`RowBatch::part`].
    pub part: u32,
    /// Its values.
    pub values: Values,
}

/// The values of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// One a column.
    Cells(Vec<RecordedCell>),
    /// They could not be told apart; why.
    Unreadable(String),
}

/// Why a text is no recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct RecordingError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl RecordedRow {
    /// A row as it came.
    pub fn of(row: Row<'_>, part: u32) -> Self {
        let values = match row.unreadable() {
            Some(reason) => Values::Unreadable(reason.to_owned()),
            None => Values::Cells((0..row.columns().len()).map(|place| RecordedCell::of(row.get(place))).collect()),
        };
        Self { part, values }
    }

    /// Appends the row to a batch of its columns.
    pub fn push(&self, batch: &mut RowBatch) {
        match &self.values {
            Values::Cells(cells) => cells.iter().for_each(|cell| cell.push(batch)),
            Values::Unreadable(reason) => batch.push_unreadable(batch.columns().len(), reason),
        }
    }
}

impl Recording {
    /// The whole as text.
    pub fn to_text(&self) -> String {
        let columns: Vec<Value> = self
            .columns
            .iter()
            .map(|column| json!({"name": column.name, "kind": kind_name(column.kind), "type": column.source_type}))
            .collect();
        let header = json!({
            "recording": VERSION, "source": self.source_type, "now": self.now.to_string(), "columns": columns,
        });
        let mut out = format!("{header}\n");
        let mut part = 0;
        for row in &self.rows {
            if row.part != part {
                part = row.part;
                out.push_str(&format!("{}\n", json!({ "part": part })));
            }
            let line = match &row.values {
                Values::Cells(cells) => cells.iter().map(RecordedCell::to_json).collect::<Vec<_>>().into(),
                Values::Unreadable(reason) => json!({ "unreadable": reason }),
            };
            out.push_str(&format!("{line}\n"));
        }
        out
    }

    /// Reads what [`Self::to_text`] wrote.
    pub fn parse(text: &str) -> Result<Self, RecordingError> {
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        let wrong = |line: usize, message: String| RecordingError { line, message };
        let Some((_, first)) = lines.next() else {
            return Err(wrong(1, "the recording is empty".to_owned()));
        };
        let mut recording = header(first).map_err(|message| wrong(1, message))?;
        let mut part = 0;
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let value = serde_json::from_str(line).map_err(|error| wrong(number, error.to_string()))?;
            if let Some(next) = value_of_only_member(&value, "part") {
                let next = next.as_u64().and_then(|next| u32::try_from(next).ok());
                part = next.ok_or_else(|| wrong(number, "`part` is no number".to_owned()))?;
                continue;
            }
            if recording.rows.len() == RECORDED_ROWS_MAX {
                return Err(wrong(number, format!("a recording has at most {RECORDED_ROWS_MAX} rows")));
            }
            let values = values(&value, recording.columns.len()).map_err(|message| wrong(number, message))?;
            recording.rows.push(RecordedRow { part, values });
        }
        Ok(recording)
    }

    /// Fills a batch with the rows from a place on, as many as belong together; the place of the next, or none after
    /// the last.
    pub fn fill(&self, from: usize, batch: &mut RowBatch) -> Option<usize> {
        batch.reset(&self.columns);
        let part = self.rows.get(from)?.part;
        batch.set_part(part);
        let mut next = from;
        while let Some(row) = self.rows.get(next).filter(|row| row.part == part && !batch.is_full()) {
            row.push(batch);
            next += 1;
        }
        (next < self.rows.len()).then_some(next)
    }
}

fn header(line: &str) -> Result<Recording, String> {
    let header: Map<String, Value> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    match header.get("recording").and_then(Value::as_u64) {
        Some(VERSION) => {}
        Some(version) => return Err(format!("a recording of version {version}; this engine reads version {VERSION}")),
        None => return Err("the first line is not that of a recording".to_owned()),
    }
    let text = |value: &Value, name: &str| -> Result<String, String> {
        value.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| format!("`{name}` is missing"))
    };
    let whole = Value::Object(header);
    let now = text(&whole, "now")?;
    let columns = whole.get("columns").and_then(Value::as_array).ok_or("`columns` is missing")?;
    let columns = columns
        .iter()
        .map(|column| {
            let kind = text(column, "kind")?;
            let kind = KINDS.iter().find(|(_, name)| *name == kind).ok_or_else(|| format!("no kind `{kind}`"))?.0;
            Ok(Column { name: text(column, "name")?, kind, source_type: text(column, "type")? })
        })
        .collect::<Result<Vec<Column>, String>>()?;
    if columns.is_empty() {
        return Err("there is no column".to_owned());
    }
    Ok(Recording {
        source_type: text(&whole, "source")?,
        now: now.parse().map_err(|error| format!("now: {error}"))?,
        columns: Arc::from(columns),
        rows: Vec::new(),
    })
}

fn values(value: &Value, columns: usize) -> Result<Values, String> {
    if let Some(reason) = value_of_only_member(value, "unreadable").and_then(Value::as_str) {
        return Ok(Values::Unreadable(reason.to_owned()));
    }
    let items = value.as_array().ok_or("a row is an array")?;
    if items.len() != columns {
        return Err(format!("the row has {} values; there are {columns} columns", items.len()));
    }
    items.iter().map(RecordedCell::from_json).collect::<Result<_, _>>().map(Values::Cells)
}

fn value_of_only_member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.as_object().filter(|members| members.len() == 1)?.get(name)
}

const KINDS: [(Kind, &str); 12] = [
    (Kind::Bool, "bool"),
    (Kind::Int, "int"),
    (Kind::Float, "float"),
    (Kind::Decimal, "decimal"),
    (Kind::Text, "text"),
    (Kind::Bytes, "bytes"),
    (Kind::Date, "date"),
    (Kind::Time, "time"),
    (Kind::Civil, "civil"),
    (Kind::Instant, "instant"),
    (Kind::Json, "json"),
    (Kind::Any, "any"),
];

fn kind_name(kind: Kind) -> &'static str {
    KINDS.iter().find(|(known, _)| *known == kind).map_or("any", |(_, name)| name)
}

#[cfg(test)]
mod tests;
