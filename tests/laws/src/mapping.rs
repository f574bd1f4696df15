//! Rows of any values, through the mapping, the pairing and the ledger of a few fixed plans.

use std::path::Path;
use std::time::Duration;

use engine_core::canonical::{CanonicalRow, RowKey, record_id};
use engine_core::mapping::{Mapper, Outcome, row_json};
use engine_core::memory::{MemoryPipeline, MemoryStore};
use engine_core::plan::{Plan, PlanInput};
use engine_core::ports::{Ask, Cancel, Clock, Fetched, Source, SourceError, SourceIdentity};
use engine_core::record::write_row;
use engine_core::report::RunReport;
use engine_core::run::{OUTBOX_BYTES_MAX, Observer, Runner};
use engine_core::state::LedgerRow;
use engine_core::time::Instant;
use engine_core::value::{Column, Columns, Kind, Row, RowBatch, Slot};
use engine_spec::{NoCompanions, load};
use jiff::Timestamp;
use serde_json::Value;

use crate::Take;
use crate::spec::NoReferences;

const SPECS: [&str; 3] =
    [include_str!("mapping/bookings.yaml"), include_str!("mapping/orders.yaml"), include_str!("mapping/rows.yaml")];
/// The run's clock: 2025-06-01T10:00:00Z.
const NOW: i64 = 1_748_772_000;
/// Rows that one input makes at most.
const ROWS_MAX: usize = 24;
/// Values that mean something to the plans.
const WORDS: [&str; 16] = [
    "A",
    "E",
    "S",
    "",
    "-",
    " m1 ",
    "WO-0815",
    "2025-03-30 02:30:00",
    "30.03.2025 02:30",
    "9999-12-31",
    "0.1",
    "-1e5",
    "1748772000000",
    "cancelled",
    "\u{feff}\u{a0}",
    "x\0y",
];

/// Every row has an outcome with its reasons; rows, records and the quarantine are JSON; a stored row comes back as it
/// was; a second run over the same rows sends nothing; and the order in which rows come does not matter.
pub fn holds(input: &[u8]) {
    let mut take = Take::new(input);
    let which = take.below(SPECS.len());
    let plan = plan(which);
    let rows = rows(&plan, &mut take);
    for row in rows.rows() {
        is_shown(row);
    }
    let store = MemoryStore::new();
    let report = run(&plan, &store, &rows);
    assert!(report.failure.is_none(), "a row ended the run: {:?}", report.failure);
    let first = store.snapshot(&plan.id);
    reads(&first);
    let again = run(&plan, &store, &rows);
    let second = store.snapshot(&plan.id);
    assert!(again.failure.is_none(), "the second run: {:?}", again.failure);
    // Of two rows with one key, one is counted before the other is seen; nothing of either is sent.
    let is_settled = (again.new, again.changed, again.gone) == (0, 0, 0);
    assert!(is_settled || again.rejected.contains_key("duplicate_key"), "nothing is new, and yet: {again:?}");
    let bodies = |pipeline: &MemoryPipeline| -> Vec<String> {
        pipeline.outbox.values().map(|(record, _)| record.body.to_string()).collect()
    };
    assert_eq!(bodies(&first), bodies(&second), "a second run sent something");
    assert_eq!(first.quarantine.len(), second.quarantine.len(), "a second run refused something else");
    if which != 2 && !has_double_keys(&plan, &rows) {
        let store = MemoryStore::new();
        let turned = run(&plan, &store, &reversed(&rows));
        assert!(turned.failure.is_none(), "the other way round: {:?}", turned.failure);
        let sorted = |mut bodies: Vec<String>| {
            bodies.sort();
            bodies
        };
        let other = store.snapshot(&plan.id);
        assert_eq!(sorted(bodies(&first)), sorted(bodies(&other)), "the order of the rows matters");
    }
}

fn plan(which: usize) -> Plan {
    let loaded = load("fuzzed.yaml", SPECS[which].as_bytes(), &NoCompanions);
    assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
    let input = PlanInput {
        spec: loaded.spec.as_ref().expect("a spec without errors"),
        value: &loaded.file.value,
        sql: loaded.companions.sql.as_deref(),
        machines: loaded.companions.machines.as_ref(),
        folder: Path::new("."),
        default_destination: None,
        offline: true,
    };
    let mut plan = Plan::new(&input, &NoReferences).expect("a plan");
    plan.max_rejected = None;
    plan
}

/// As many rows of the plan's columns as the input has values for.
fn rows(plan: &Plan, take: &mut Take<'_>) -> RowBatch {
    let column = |name| Column { name, kind: Kind::Any, source_type: "any".to_owned() };
    let columns: Columns = plan.named_columns().into_iter().map(column).collect();
    let mut batch = RowBatch::new();
    batch.reset(&columns);
    while !take.is_empty() && batch.len() < ROWS_MAX {
        for _ in 0..columns.len() {
            push(&mut batch, take);
        }
    }
    batch
}

fn push(batch: &mut RowBatch, take: &mut Take<'_>) {
    match take.below(20) {
        0 => batch.push(Slot::Null),
        1 => batch.push(Slot::Bool(take.below(2) == 1)),
        2 => batch.push(Slot::Int(take.number())),
        3 => batch.push(Slot::Float(f64::from_bits(take.number().cast_unsigned()))),
        4 => batch.push(Slot::Float(take.number() as f64 / 8.0)),
        5 => batch.push_decimal(&decimal(take)),
        6 => batch.push_text(&take.text()),
        7 => batch.push_bytes(take.bytes()),
        8 => batch.push(Slot::Date(i32::try_from(take.number()).unwrap_or(i32::MIN))),
        9 => batch.push(Slot::Time(take.number())),
        10 => batch.push(Slot::Civil { secs: take.number(), nanos: (take.number() as u32) % 1_000_000_000 }),
        11 => batch.push(Slot::Instant { secs: take.number(), nanos: (take.number() as u32) % 1_000_000_000 }),
        12 => batch.push_json(&take.text()),
        13 => batch.push_bad(&take.text()),
        // Around the changes of the clock of all three zones, so that runs are long and short.
        14 => batch.push(Slot::Civil { secs: 1_743_296_400 + i64::from(take.byte()) * 60, nanos: 0 }),
        15 => batch.push(Slot::Date(20_177 + i32::from(take.byte()) / 64)),
        16 => batch.push(Slot::Int(i64::from(take.byte()))),
        _ => batch.push_text(take.one_of(&WORDS)),
    }
}

/// Digits as a driver hands them over, of any length.
fn decimal(take: &mut Take<'_>) -> String {
    let sign = take.one_of(&["", "-"]);
    let digit = |byte: &u8| char::from(b'0' + byte % 10);
    let whole: String = take.bytes().iter().map(digit).collect();
    let fraction: String = take.bytes().iter().map(digit).collect();
    let times = take.one_of(&[1, 1, 1, 8]);
    let whole = if whole.is_empty() { "0".to_owned() } else { whole.repeat(times) };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn is_shown(row: Row<'_>) {
    let _: Value = serde_json::from_str(&row_json(row)).expect("the row as the quarantine has it is JSON");
}

/// Whether two rows have one key, of which only one can count.
fn has_double_keys(plan: &Plan, rows: &RowBatch) -> bool {
    let mut mapper = Mapper::new(plan, rows.columns()).expect("every column is there");
    let mut canonical = CanonicalRow::default();
    let mut keys = std::collections::BTreeSet::new();
    rows.rows().any(|row| {
        mapper.map(row, engine_core::time::Instant::MAX, &mut canonical);
        mapper.has_key() && !keys.insert(canonical.key_text.clone())
    })
}

fn reversed(rows: &RowBatch) -> RowBatch {
    let mut batch = RowBatch::new();
    batch.reset(rows.columns());
    for place in (0..rows.len()).rev() {
        let row = rows.row(place);
        for column in 0..rows.columns().len() {
            use engine_core::value::Cell;
            match row.get(column) {
                Cell::Null => batch.push(Slot::Null),
                Cell::Bool(truth) => batch.push(Slot::Bool(truth)),
                Cell::Int(number) => batch.push(Slot::Int(number)),
                Cell::Float(number) => batch.push(Slot::Float(number)),
                Cell::Decimal(digits) => batch.push_decimal(digits),
                Cell::Text(text) => batch.push_text(text),
                Cell::Bytes(bytes) => batch.push_bytes(bytes),
                Cell::Date(days) => batch.push(Slot::Date(days)),
                Cell::Time(nanos) => batch.push(Slot::Time(nanos)),
                Cell::Civil { secs, nanos } => batch.push(Slot::Civil { secs, nanos }),
                Cell::Instant { secs, nanos } => batch.push(Slot::Instant { secs, nanos }),
                Cell::Json(json) => batch.push_json(json),
                Cell::Bad(reason) => batch.push_bad(reason),
            }
        }
    }
    batch
}

fn reads(pipeline: &MemoryPipeline) {
    for (record, _) in pipeline.outbox.values() {
        let value: Value = serde_json::from_str(&record.body)
            .unwrap_or_else(|error| panic!("a record is no JSON: {error}: {}", record.body));
        assert!(value.is_object() && value["op"].is_string(), "{value}");
    }
    for (entry, _) in &pipeline.quarantine {
        let _: Value = serde_json::from_str(&entry.row).expect("a row in quarantine is JSON");
        assert!(!entry.code.is_empty() && !entry.reason.is_empty() && !entry.rule.is_empty(), "{entry:?}");
    }
}

fn run(plan: &Plan, store: &MemoryStore, rows: &RowBatch) -> RunReport {
    let now = Timestamp::constant(NOW, 0);
    let open = || -> Result<Box<dyn Source>, SourceError> { Ok(Box::new(Given { rows: rows.clone(), given: true })) };
    let runner = Runner {
        plan,
        store,
        clock: &Still(now),
        cancel: &Cancel::default(),
        open: &open,
        outbox_bytes_max: OUTBOX_BYTES_MAX,
        next_run: None,
    };
    runner.run(&mut Watch { plan, bytes: Vec::new() })
}

/// Looks at every row that is mapped.
struct Watch<'a> {
    plan: &'a Plan,
    bytes: Vec<u8>,
}

impl Observer for Watch<'_> {
    fn row(&mut self, _: Row<'_>, outcome: Outcome, canonical: &CanonicalRow, mapper: &Mapper) {
        let reasons = mapper.rejections();
        assert!(outcome != Outcome::Rejected || !reasons.is_empty(), "rejected for no reason");
        assert!(outcome != Outcome::Row || reasons.is_empty(), "taken, and yet: {reasons:?}");
        if outcome != Outcome::Row {
            return;
        }
        let _: Vec<Option<String>> = serde_json::from_str(&canonical.key_text).expect("a key text is a JSON list");
        let mut json = String::new();
        write_row(&mut json, record_id(&self.plan.id, &canonical.key_text), canonical, self.plan.table);
        let _: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("a row is no JSON: {error}: {json}"));
        let mut stored = LedgerRow::default();
        stored.set(RowKey::default(), 0, canonical);
        let stored = stored.canonical().expect("a stored row can be read");
        // The ledger keeps the window's value beside the row, in microseconds.
        let kept = CanonicalRow { at: Instant::from_micros(canonical.at.micros()), ..canonical.clone() };
        assert_eq!(stored, kept, "there and back");
        assert_eq!(stored.content_hash(&mut self.bytes), canonical.content_hash(&mut Vec::new()));
    }
}

struct Given {
    rows: RowBatch,
    given: bool,
}

impl Source for Given {
    fn ask(&mut self, _: &Ask) -> Result<(), SourceError> {
        self.given = false;
        Ok(())
    }

    fn next(&mut self, batch: &mut RowBatch) -> Result<Fetched, SourceError> {
        if self.given || self.rows.is_empty() {
            batch.reset(self.rows.columns());
            return Ok(Fetched::End);
        }
        self.given = true;
        batch.clone_from(&self.rows);
        Ok(Fetched::Rows)
    }

    fn identity(&self) -> &SourceIdentity {
        static IDENTITY: std::sync::LazyLock<SourceIdentity> = std::sync::LazyLock::new(SourceIdentity::default);
        &IDENTITY
    }
}

/// A clock that stands still.
struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn sleep(&self, _: Duration, _: &Cancel) {}
}
