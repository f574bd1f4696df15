//! A world to run in: a source table, a clock, a state store, and a platform that keeps records by id.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine_core::canonical::CanonicalRow;
use engine_core::deliver::{Circuit, ParcelLimit};
use engine_core::dispatch::{DispatchReport, Dispatcher};
use engine_core::mapping::{Mapper, Outcome};
use engine_core::memory::MemoryStore;
use engine_core::plan::{Plan, PlanInput};
use engine_core::ports::{
    Answer, Ask, Cancel, Clock, Destination, Fetched, Parcel, References, Source, SourceError, SourceErrorKind,
    SourceIdentity,
};
use engine_core::report::RunReport;
use engine_core::run::{Observer, Runner, Silent};
use engine_core::state::{QuarantineEntry, SoleLease, StateStore};
use engine_core::value::{Column, Columns, Kind, Row, RowBatch, Slot};
use engine_spec::load::{NoCompanions, load};
use engine_spec::scalar::Reference;
use engine_spec::template::{Bind, BindValue};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::Value;

/// Midnight of the day on which most tests begin: 2025-03-10, a Monday.
pub const DAY: &str = "2025-03-10T00:00:00Z";
/// Rows in a batch: few, so that results span batches.
const BATCH_ROWS: usize = 3;

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

    fn answer(&self, binds: &[Bind]) -> Vec<BTreeMap<String, Value>> {
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

/// The rows of one answer, handed out batch by batch.
struct TableSource {
    table: Arc<Mutex<Table>>,
    identity: SourceIdentity,
    columns: Columns,
    rows: std::vec::IntoIter<BTreeMap<String, Value>>,
}

impl Source for TableSource {
    fn ask(&mut self, ask: &Ask) -> Result<(), SourceError> {
        let mut table = self.table.lock().expect("no test panicked with it");
        let binds = ask.statement.as_ref().map(|statement| statement.binds.clone()).unwrap_or_default();
        self.rows = table.answer(&binds).into_iter();
        table.asked.push(binds);
        Ok(())
    }

    fn next(&mut self, batch: &mut RowBatch) -> Result<Fetched, SourceError> {
        let mut table = self.table.lock().expect("no test panicked with it");
        batch.reset(&self.columns);
        for row in self.rows.by_ref().take(BATCH_ROWS) {
            if let Some(left) = &mut table.breaks_after {
                if *left == 0 {
                    return Err(SourceError {
                        kind: SourceErrorKind::Network,
                        tried: "reading from the table".to_owned(),
                        message: "connection reset by peer".to_owned(),
                        hint: None,
                    });
                }
                *left -= 1;
            }
            for (name, kind) in &table.columns {
                push(batch, row.get(name).unwrap_or(&Value::Null), *kind);
            }
        }
        Ok(if batch.is_empty() { Fetched::End } else { Fetched::Rows })
    }

    fn identity(&self) -> &SourceIdentity {
        &self.identity
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

/// A destination that keeps records by id, as the platform does.
#[derive(Debug, Default)]
pub struct Platform {
    pub records: BTreeMap<String, Value>,
    /// Every record that came, oldest first.
    pub received: Vec<(i64, Value)>,
    pub keys: Vec<String>,
}

impl Platform {
    pub fn take(&mut self, parcel: &Parcel) {
        self.keys.push(parcel.idempotency_key.clone());
        for record in &parcel.records {
            let value: Value = serde_json::from_str(&record.body).expect("a record is JSON");
            let id = value["run_id"].as_str().or(value["row_id"].as_str()).expect("a record has an id");
            assert_eq!(id, record.id, "the body and the outbox name the same record");
            match value["op"].as_str() {
                Some("upsert") => drop(self.records.insert(id.to_owned(), value.clone())),
                Some("delete") => drop(self.records.remove(id)),
                other => panic!("op {other:?}"),
            }
            self.received.push((record.seq, value));
        }
    }
}

impl Destination for Platform {
    fn send(&mut self, parcel: &Parcel, _cancel: &Cancel) -> Answer {
        self.take(parcel);
        Answer::Accepted { rejected: Vec::new() }
    }

    fn place(&self) -> &str {
        "the platform of the test"
    }
}

/// One pipeline and everything around it.
pub struct World {
    pub table: Arc<Mutex<Table>>,
    pub clock: ManualClock,
    pub store: MemoryStore,
    pub platform: Platform,
    pub plan: Plan,
}

impl World {
    /// A world at [`DAY`], two days on.
    pub fn new(spec: &str, table: Table) -> Self {
        Self {
            table: Arc::new(Mutex::new(table)),
            clock: ManualClock(Mutex::new(at(2 * 1440))),
            store: MemoryStore::new(),
            platform: Platform::default(),
            plan: plan(spec),
        }
    }

    pub fn with_rows(spec: &str, table: Table, rows: &[Value]) -> Self {
        let world = Self::new(spec, table);
        world.set_rows(rows);
        world
    }

    pub fn set_rows(&self, rows: &[Value]) {
        self.edit(|table| table.rows = rows.iter().map(row).collect());
    }

    pub fn edit(&self, edit: impl FnOnce(&mut Table)) {
        edit(&mut self.table.lock().expect("no test panicked with it"));
    }

    pub fn asked(&self) -> usize {
        self.table.lock().expect("no test panicked with it").asked.len()
    }

    pub fn run(&self) -> RunReport {
        self.run_on(&self.store, u64::MAX)
    }

    /// Runs, and does something else meanwhile: as soon as the first row was read.
    pub fn run_while(&self, meanwhile: &dyn Fn()) -> RunReport {
        struct Meanwhile<'a>(Option<&'a dyn Fn()>);
        impl Observer for Meanwhile<'_> {
            fn row(&mut self, _row: Row<'_>, _outcome: Outcome, _canonical: &CanonicalRow, _mapper: &Mapper) {
                if let Some(act) = self.0.take() {
                    act();
                }
            }
        }
        self.observed(&self.store, u64::MAX, &mut Meanwhile(Some(meanwhile)))
    }

    /// Runs with a limit to the bytes in the outbox.
    pub fn run_with_outbox(&self, bytes_max: u64) -> RunReport {
        self.run_on(&self.store, bytes_max)
    }

    /// Runs on another store: one that fails.
    pub fn run_on(&self, store: &dyn StateStore, outbox_bytes_max: u64) -> RunReport {
        self.observed(store, outbox_bytes_max, &mut Silent)
    }

    /// Runs on another store, and lets somebody watch.
    pub fn observed(&self, store: &dyn StateStore, outbox_bytes_max: u64, observer: &mut dyn Observer) -> RunReport {
        let cancel = Cancel::default();
        let open = || -> Result<Box<dyn Source>, SourceError> {
            let table = self.table.lock().expect("no test panicked with it");
            let column = |(name, kind): &(String, Kind)| Column {
                name: name.clone(),
                kind: *kind,
                source_type: format!("{kind:?}").to_lowercase(),
            };
            Ok(Box::new(TableSource {
                table: Arc::clone(&self.table),
                identity: SourceIdentity { facts: table.facts.clone(), ..SourceIdentity::default() },
                columns: table.columns.iter().map(column).collect(),
                rows: Vec::new().into_iter(),
            }))
        };
        let runner = Runner {
            plan: &self.plan,
            store,
            clock: &self.clock,
            cancel: &cancel,
            open: &open,
            outbox_bytes_max,
            next_run: None,
        };
        runner.run(observer)
    }

    /// Runs, and fails the test where the run does.
    pub fn run_well(&self) -> RunReport {
        let report = self.run();
        assert_eq!(report.failure, None);
        report
    }

    /// Delivers everything that waits.
    pub fn deliver(&mut self) -> DispatchReport {
        let cancel = Cancel::default();
        let labels = BTreeMap::new();
        let dispatcher = Dispatcher {
            pipeline: &self.plan.id,
            labels: &labels,
            limit: ParcelLimit::default(),
            store: &self.store,
            lease: &SoleLease,
            clock: &self.clock,
            cancel: &cancel,
            random: &|| 7,
            places_of: &self.plan.id,
            settled: &|_, _| Ok(()),
        };
        let mut circuit = Circuit::new(ParcelLimit::default());
        dispatcher.deliver(&mut self.platform, &mut circuit, Duration::ZERO).expect("the store holds")
    }

    pub fn run_and_deliver(&mut self) -> RunReport {
        let report = self.run_well();
        self.deliver();
        report
    }

    /// The records at the platform as `ORDER MACHINE start-end`, minutes after [`DAY`], sorted.
    pub fn runs(&self) -> Vec<String> {
        let minutes = |value: &Value| {
            let at: Timestamp = value.as_str()?.parse().ok()?;
            Some(at.duration_since(DAY.parse().expect("is an instant")).as_mins().to_string())
        };
        let show = |record: &Value| {
            format!(
                "{} {} {}-{}",
                record["production_order"].as_str().expect("has an order"),
                record["machine_code"].as_str().expect("has a machine"),
                minutes(&record["start"]).expect("has a start"),
                minutes(&record["end"]).unwrap_or_default(),
            )
        };
        let mut runs: Vec<String> = self.platform.records.values().map(show).collect();
        runs.sort();
        runs
    }

    /// Codes and keys in quarantine, sorted.
    pub fn quarantine(&self) -> Vec<(String, String)> {
        let entries = self.store.quarantined(&self.plan.id, usize::MAX).expect("the store holds");
        let mut entries: Vec<(String, String)> = entries.into_iter().map(|entry| (entry.code, entry.key)).collect();
        entries.sort();
        entries
    }

    pub fn quarantined(&self) -> Vec<QuarantineEntry> {
        self.store.quarantined(&self.plan.id, usize::MAX).expect("the store holds")
    }

    pub fn approve(&self) {
        let mut state = self.store.load(&self.plan.id).expect("the store holds");
        state.approved = Some(self.clock.now());
        self.store.save(&self.plan.id, &state).expect("the store holds");
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
