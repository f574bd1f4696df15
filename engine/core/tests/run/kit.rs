//! A world to run in: a plant, a state store, and a platform that keeps records by id.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine_core::canonical::CanonicalRow;
use engine_core::deliver::{Circuit, ParcelLimit};
use engine_core::dispatch::{DispatchReport, Dispatcher};
use engine_core::mapping::{Mapper, Outcome};
use engine_core::memory::MemoryStore;
use engine_core::plan::Plan;
use engine_core::ports::{
    Answer, Ask, Cancel, Clock, Destination, Fetched, Parcel, Source, SourceError, SourceErrorKind, SourceIdentity,
};
use engine_core::report::RunReport;
use engine_core::run::{Observer, Runner, Silent};
use engine_core::state::{QuarantineEntry, SoleLease, StateStore};
use engine_core::value::{Columns, Row, RowBatch};
use jiff::Timestamp;
use serde_json::Value;

pub use crate::plant::*;

/// Rows in a batch: few, so that results span batches.
const BATCH_ROWS: usize = 3;

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
            table.push(batch, &row);
        }
        Ok(if batch.is_empty() { Fetched::End } else { Fetched::Rows })
    }

    fn identity(&self) -> &SourceIdentity {
        &self.identity
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
            assert_eq!(id, record.id.to_string(), "the body and the outbox name the same record");
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
            clock: ManualClock::at(at(2 * 1440)),
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
            Ok(Box::new(TableSource {
                table: Arc::clone(&self.table),
                identity: SourceIdentity { facts: table.facts.clone(), ..SourceIdentity::default() },
                columns: table.columns(),
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
            measures_age: false,
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
