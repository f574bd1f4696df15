//! A plant to read from: tables, specs over them, rows for them, and a clock.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use engine_core::plan::{Plan, PlanInput};
use engine_core::ports::{Cancel, Clock, References};
use engine_core::value::{Column, Columns, Kind, RowBatch, Slot};
use engine_spec::load::{NoCompanions, load};
use engine_spec::scalar::Reference;
use engine_spec::template::{Bind, BindValue};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::Value;

/// Midnight of the day on which most tests begin: 2025-03-10, a Monday.
pub const DAY: &str = "2025-03-10T00:00:00Z";
/// The instant that many minutes after [`DAY`].
pub fn at(minutes: i64) -> Timestamp {
    DAY.parse::<Timestamp>().expect("is an instant") + SignedDuration::from_mins(minutes)
}

/// The same as RFC 3339 text, as rows and records have it.
pub fn time(minutes: i64) -> String {
    at(minutes).to_string()
}

/// A table of a source. Values are JSON; the kind of a column says what they stand for.
#[derive(Debug, Clone, Default)]
pub struct Table {
    pub columns: Vec<(String, Kind)>,
    pub rows: Vec<BTreeMap<String, Value>>,
    /// The column that `window.start` and `window.end` bound.
    pub window: Option<String>,
    /// The columns that `cursor.…` bounds, in order: greater than, as tuples.
    pub cursor: Vec<String>,
    /// What the server says of itself.
    pub facts: BTreeMap<String, String>,
    /// Rows after which the source breaks off, counted over all questions.
    pub breaks_after: Option<usize>,
    /// The bounds of every question that was asked.
    pub asked: Vec<Vec<Bind>>,
}

impl Table {
    pub fn new(columns: &[(&str, Kind)]) -> Self {
        let columns = columns.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
        Self { columns, ..Self::default() }
    }

    /// The columns as a source tells them.
    pub fn columns(&self) -> Columns {
        let column = |(name, kind): &(String, Kind)| Column {
            name: name.clone(),
            kind: *kind,
            source_type: format!("{kind:?}").to_lowercase(),
        };
        self.columns.iter().map(column).collect()
    }

    /// Appends a row to a batch with these columns.
    pub fn push(&self, batch: &mut RowBatch, row: &BTreeMap<String, Value>) {
        for (name, kind) in &self.columns {
            push(batch, row.get(name).unwrap_or(&Value::Null), *kind);
        }
    }

    /// The rows within the bounds of a question.
    pub fn answer(&self, binds: &[Bind]) -> Vec<BTreeMap<String, Value>> {
        self.rows.iter().filter(|row| self.in_window(row, binds) && self.after_cursor(row, binds)).cloned().collect()
    }

    fn in_window(&self, row: &BTreeMap<String, Value>, binds: &[Bind]) -> bool {
        let Some(column) = &self.window else { return true };
        let kind = self.columns.iter().find(|(name, _)| name == column).expect("the window column exists").1;
        let Some(text) = row.get(column).and_then(Value::as_str) else { return false };
        binds.iter().all(|bind| {
            let keep = |order: std::cmp::Ordering| {
                if bind.origin.starts_with("window.start") { order.is_ge() } else { order.is_lt() }
            };
            match (&bind.value, kind) {
                _ if !bind.origin.starts_with("window.") => true,
                (BindValue::Civil { instant, .. } | BindValue::Instant { instant, .. }, Kind::Instant) => {
                    keep(text.parse::<Timestamp>().expect("is an instant").cmp(instant))
                }
                (BindValue::Civil { civil, .. } | BindValue::Instant { civil, .. }, _) => {
                    keep(text.parse::<jiff::civil::DateTime>().expect("is a date-time").cmp(civil))
                }
                other => panic!("no window in {other:?}"),
            }
        })
    }

    /// Whether a row lies after the bound cursor; null bounds compare with nothing, as in SQL.
    fn after_cursor(&self, row: &BTreeMap<String, Value>, binds: &[Bind]) -> bool {
        for name in &self.cursor {
            let origin = format!("cursor.{name}");
            let Some(bind) = binds.iter().find(|bind| bind.origin == origin) else { return true };
            let order = match (&bind.value, &row[name]) {
                (BindValue::Int(bound), Value::Number(number)) => number.as_i64().expect("fits").cmp(bound),
                (BindValue::Instant { instant, .. }, Value::String(text)) => {
                    text.parse::<Timestamp>().expect("is an instant").cmp(instant)
                }
                (BindValue::Null, _) => return false,
                other => panic!("no cursor in {other:?}"),
            };
            if order.is_ne() {
                return order.is_gt();
            }
        }
        self.cursor.is_empty()
    }
}

fn push(batch: &mut RowBatch, value: &Value, kind: Kind) {
    let parts = |at: Timestamp| (at.as_second(), at.subsec_nanosecond().unsigned_abs());
    match (value, kind) {
        (Value::Null, _) => batch.push(Slot::Null),
        (Value::String(text), Kind::Instant) => {
            let (secs, nanos) = parts(text.parse().expect("is an instant"));
            batch.push(Slot::Instant { secs, nanos });
        }
        (Value::String(text), Kind::Civil) => {
            let civil: jiff::civil::DateTime = text.parse().expect("is a date-time");
            let (secs, nanos) = parts(jiff::tz::TimeZone::UTC.to_timestamp(civil).expect("in range"));
            batch.push(Slot::Civil { secs, nanos });
        }
        (Value::String(text), Kind::Decimal) => batch.push_decimal(text),
        (Value::String(text), Kind::Json) => batch.push_json(text),
        (Value::String(text), _) => batch.push_text(text),
        (Value::Number(number), _) => match number.as_i64() {
            Some(whole) => batch.push(Slot::Int(whole)),
            None => batch.push(Slot::Float(number.as_f64().expect("is a number"))),
        },
        (Value::Bool(truth), _) => batch.push(Slot::Bool(*truth)),
        (other, _) => panic!("no cell for {other}"),
    }
}

/// A clock that stands until it is moved. A sleep moves it.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    pub fn set(&self, now: Timestamp) {
        *self.0.lock().expect("no test panicked with it") = now;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("no test panicked with it")
    }

    fn sleep(&self, duration: Duration, _cancel: &Cancel) {
        let later = self.now() + duration;
        self.set(later);
    }
}

/// References from nothing: no spec of these tests has one.
pub struct NoReferences;

impl References for NoReferences {
    fn resolve(&self, reference: &Reference) -> Result<SecretString, String> {
        Err(format!("{reference} is not set"))
    }
}

/// A row with further members.
pub fn with(mut row: Value, more: &Value) -> Value {
    let object = row.as_object_mut().expect("a row is an object");
    object.extend(more.as_object().expect("members are an object").clone());
    row
}

/// A JSON object as a row.
pub fn row(value: &Value) -> BTreeMap<String, Value> {
    let object = value.as_object().expect("a row is an object");
    object.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The plan of a spec's text.
pub fn plan(text: &str) -> Plan {
    let loaded = load("test.yaml", text.as_bytes(), &NoCompanions);
    assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
    let input = PlanInput {
        spec: loaded.spec.as_ref().expect("the spec has a shape"),
        value: &loaded.file.value,
        sql: loaded.companions.sql.as_deref(),
        machines: loaded.companions.machines.as_ref(),
        folder: Path::new("."),
        default_destination: None,
        offline: false,
    };
    Plan::new(&input, &NoReferences).expect("the spec makes a plan")
}

/// A spec over an order table `id, anr, art, mnr, von, bis, erf`, and what is to be added to it.
pub fn order_spec(more: &str) -> String {
    format!(
        "version: 1
id: orders
source: {{ type: sqlite, path: plant.db }}
table: order
query:
  sql: SELECT * FROM auftrag WHERE von >= {{{{ window.start | utc }}}} AND von < {{{{ window.end | utc }}}}
key: [id]
fields: {{ order_code: anr, product_code: art, machine_code: mnr, start: von, end: bis }}
{more}
"
    )
}

pub fn order_table() -> Table {
    let mut table = Table::new(&[
        ("id", Kind::Int),
        ("anr", Kind::Text),
        ("art", Kind::Text),
        ("mnr", Kind::Text),
        ("von", Kind::Instant),
        ("bis", Kind::Instant),
        ("erf", Kind::Instant),
    ]);
    table.window = Some("von".to_owned());
    table
}

/// A row of the order table; times are minutes after [`DAY`].
pub fn order(id: i64, code: &str, machine: &str, start: i64, end: Option<i64>) -> Value {
    serde_json::json!({ "id": id, "anr": code, "art": "P", "mnr": machine, "von": time(start), "bis": end.map(time) })
}

/// A spec over a booking table `id, anr, art, mnr, kenn, ts, erf`, and what is to be added to it.
pub fn booking_spec(more: &str) -> String {
    format!(
        "version: 1
id: bookings
source: {{ type: sqlite, path: plant.db }}
table: booking
query:
  sql: SELECT * FROM buchung WHERE ts >= {{{{ window.start | utc }}}} AND ts < {{{{ window.end | utc }}}}
key: [id]
fields:
  order_code: anr
  product_code: art
  machine_code: mnr
  timestamp: ts
  event: {{ column: kenn, map: {{ A: START, E: END }} }}
{more}
"
    )
}

pub fn booking_table() -> Table {
    let mut table = Table::new(&[
        ("id", Kind::Int),
        ("anr", Kind::Text),
        ("art", Kind::Text),
        ("mnr", Kind::Text),
        ("kenn", Kind::Text),
        ("ts", Kind::Instant),
        ("erf", Kind::Instant),
    ]);
    table.window = Some("ts".to_owned());
    table
}

/// A row of the booking table; `kenn` is `A` or `E`, the time minutes after [`DAY`].
pub fn booking(id: i64, code: &str, machine: &str, kenn: &str, at: i64) -> Value {
    serde_json::json!({ "id": id, "anr": code, "art": "P", "mnr": machine, "kenn": kenn, "ts": time(at) })
}
