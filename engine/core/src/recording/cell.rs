//! One value, without loss.

use jiff::SignedDuration;
use jiff::civil::{DateTime, date};
use serde_json::{Value, json};

use super::value_of_only_member;
use crate::value::{Cell, RowBatch, Slot};

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);
const DAY_SECS: i64 = 86_400;

/// A value that owns its text.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each variant is described at the slot of the same name")]
pub enum RecordedCell {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Decimal(String),
    Text(String),
    Bytes(Vec<u8>),
    Date(i32),
    Time(i64),
    Civil { secs: i64, nanos: u32 },
    Instant { secs: i64, nanos: u32 },
    Json(String),
    Bad(String),
}

impl RecordedCell {
    /// A copy of a value.
    pub fn of(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Bool(truth) => Self::Bool(truth),
            Cell::Int(number) => Self::Int(number),
            Cell::Float(number) => Self::Float(number),
            Cell::Decimal(digits) => Self::Decimal(digits.to_owned()),
            Cell::Text(text) => Self::Text(text.to_owned()),
            Cell::Bytes(bytes) => Self::Bytes(bytes.to_owned()),
            Cell::Date(days) => Self::Date(days),
            Cell::Time(nanos) => Self::Time(nanos),
            Cell::Civil { secs, nanos } => Self::Civil { secs, nanos },
            Cell::Instant { secs, nanos } => Self::Instant { secs, nanos },
            Cell::Json(json) => Self::Json(json.to_owned()),
            Cell::Bad(reason) => Self::Bad(reason.to_owned()),
        }
    }

    /// Appends the value to a batch.
    pub fn push(&self, batch: &mut RowBatch) {
        match self {
            Self::Null => batch.push(Slot::Null),
            Self::Bool(truth) => batch.push(Slot::Bool(*truth)),
            Self::Int(number) => batch.push(Slot::Int(*number)),
            Self::Float(number) => batch.push(Slot::Float(*number)),
            Self::Decimal(digits) => batch.push_decimal(digits),
            Self::Text(text) => batch.push_text(text),
            Self::Bytes(bytes) => batch.push_bytes(bytes),
            Self::Date(days) => batch.push(Slot::Date(*days)),
            Self::Time(nanos) => batch.push(Slot::Time(*nanos)),
            Self::Civil { secs, nanos } => batch.push(Slot::Civil { secs: *secs, nanos: *nanos }),
            Self::Instant { secs, nanos } => batch.push(Slot::Instant { secs: *secs, nanos: *nanos }),
            Self::Json(json) => batch.push_json(json),
            Self::Bad(reason) => batch.push_bad(reason),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(truth) => (*truth).into(),
            Self::Int(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
            // Digits that read back as the same number; JSON has no infinity.
            Self::Float(number) => json!({"float": format!("{number:?}")}),
            Self::Decimal(digits) => json!({ "decimal": digits }),
            Self::Bytes(bytes) => json!({"bytes": hex(bytes)}),
            Self::Date(days) => json!({"date": date_text(*days).map_or_else(|| (*days).into(), Value::from)}),
            Self::Time(nanos) => json!({ "time": nanos }),
            Self::Civil { secs, nanos } => json!({"civil": moment_json(*secs, *nanos, "")}),
            Self::Instant { secs, nanos } => json!({"instant": moment_json(*secs, *nanos, "Z")}),
            Self::Json(json) => json!({ "json": json }),
            Self::Bad(reason) => json!({ "bad": reason }),
        }
    }

    pub(super) fn from_json(value: &Value) -> Result<Self, String> {
        let found = match value {
            Value::Null => Some(Self::Null),
            Value::Bool(truth) => Some(Self::Bool(*truth)),
            Value::Number(number) => number.as_i64().map(Self::Int),
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Object(_) => tagged(value),
            Value::Array(_) => None,
        };
        found.ok_or_else(|| format!("{value} is no value of a recording"))
    }
}

fn tagged(value: &Value) -> Option<RecordedCell> {
    let of = |name: &str| value_of_only_member(value, name);
    let text = |name: &str| of(name).and_then(Value::as_str).map(str::to_owned);
    let moment = |name: &str, end: &str| of(name).and_then(|value| moment_of(value, end));
    None.or_else(|| text("decimal").map(RecordedCell::Decimal))
        .or_else(|| text("float").and_then(|text| text.parse().ok()).map(RecordedCell::Float))
        .or_else(|| text("bytes").and_then(|text| bytes(&text)).map(RecordedCell::Bytes))
        .or_else(|| of("date").and_then(date_of).map(RecordedCell::Date))
        .or_else(|| of("time").and_then(Value::as_i64).map(RecordedCell::Time))
        .or_else(|| moment("civil", "").map(|(secs, nanos)| RecordedCell::Civil { secs, nanos }))
        .or_else(|| moment("instant", "Z").map(|(secs, nanos)| RecordedCell::Instant { secs, nanos }))
        .or_else(|| text("json").map(RecordedCell::Json))
        .or_else(|| text("bad").map(RecordedCell::Bad))
}

/// Date and time as text; numbers where no calendar has them.
fn moment_json(secs: i64, nanos: u32, end: &str) -> Value {
    let text = i32::try_from(nanos)
        .ok()
        .and_then(|nanos| EPOCH.checked_add(SignedDuration::new(secs, nanos)).ok())
        .map(|moment| format!("{moment}{end}"));
    match text.map(Value::from).filter(|text| moment_of(text, end) == Some((secs, nanos))) {
        Some(text) => text,
        None => json!([secs, nanos]),
    }
}

fn moment_of(value: &Value, end: &str) -> Option<(i64, u32)> {
    if let Some(pair) = value.as_array() {
        let [secs, nanos] = pair.as_slice() else { return None };
        return Some((secs.as_i64()?, nanos.as_u64()?.try_into().ok()?));
    }
    let moment: DateTime = value.as_str()?.strip_suffix(end)?.parse().ok()?;
    let since = moment.duration_since(EPOCH);
    let (secs, nanos) = (since.as_secs(), since.subsec_nanos());
    // A duration before the epoch counts its nanoseconds backwards.
    if nanos < 0 { Some((secs - 1, u32::try_from(nanos + 1_000_000_000).ok()?)) } else { Some((secs, nanos as u32)) }
}

fn date_text(days: i32) -> Option<String> {
    let moment = EPOCH.checked_add(SignedDuration::from_secs(i64::from(days) * DAY_SECS)).ok()?;
    Some(moment.date().to_string())
}

fn date_of(value: &Value) -> Option<i32> {
    if let Some(days) = value.as_i64() {
        return i32::try_from(days).ok();
    }
    let date: jiff::civil::Date = value.as_str()?.parse().ok()?;
    i32::try_from(date.at(0, 0, 0, 0).duration_since(EPOCH).as_secs() / DAY_SECS).ok()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    if !hex.len().is_multiple_of(2) || !hex.is_ascii() {
        return None;
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok()).collect()
}
