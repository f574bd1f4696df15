//! The state store's port: what is known of a pipeline, the ledger of rows and records, outbox and quarantine.
//!
//! Times in the ledger's columns are microseconds since 1970-01-01T00:00:00Z, rounded down; exact times are in the
//! bodies. A live record ends at [`LIVE`].

mod body;
mod saved;
mod slice;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::canonical::{Beside, CanonicalRow, KeyForm, KeySet, Keyed, RowKey, StoredRowError};
use crate::cursor::CursorValue;
use crate::report::RunReport;
use crate::time::Instant;
pub use body::Body;
pub use saved::{Forget, Saved, SavedOutbox};
pub use slice::SliceState;

/// The end of a live record in the ledger's columns.
pub const LIVE: i64 = i64::MAX;
/// Rows that the quarantine of one pipeline keeps; more are counted only.
pub const QUARANTINE_ROWS_MAX: usize = 10_000;

/// What is remembered of a pipeline between runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PipelineState {
    /// How its keys are made.
    #[serde(default = "KeyForm::before_there_were_two")]
    pub keys: KeyForm,
    /// What the records depend on, when they were last written. A part of it is that of no spec where a run under
    /// another spec wrote some of them, and none has gone well since.
    pub fingerprint: Option<Fingerprint>,
    /// What the server said of itself.
    pub identity: BTreeMap<String, String>,
    /// Mode `cursor`: values of the cursor columns of the last row that was committed.
    pub cursor: Option<Vec<CursorValue>>,
    /// How far the first fill has come.
    pub filled_until: Option<Timestamp>,
    /// The last run that went well judged all rows from this time on anew, in microseconds: what is in quarantine of
    /// them was refused again.
    pub judged_from: Option<i64>,
    /// The last run, whatever became of it.
    pub last_run: Option<RunReport>,
    /// When the last run that went well began.
    pub last_success: Option<Timestamp>,
    /// Runs that failed since.
    pub failures: u32,
    /// Why nothing is sent until somebody approves.
    pub brake: Option<Brake>,
    /// Somebody approved at this time; the next run may pass the brake.
    pub approved: Option<Timestamp>,
    /// When the service will run it next.
    pub next_run: Option<Timestamp>,
}

/// Hashes of what the records depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Table type, delivery form and key: the identity of the records.
    pub identity: String,
    /// Fields, machines, pairing, merge, checks and zone: what the records say.
    pub meaning: String,
}

/// Why a pipeline sends nothing until somebody approves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Brake {
    /// Which brake.
    pub kind: BrakeKind,
    /// In plain words, with figures.
    pub message: String,
    /// When it was pulled first.
    pub since: Timestamp,
}

/// Which brake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BrakeKind {
    /// More would be deleted than `sync.delete_limit` allows.
    Deletes,
    /// The result was empty where there were records.
    Empty,
    /// The server is not the one of before.
    Identity,
}

/// State of a pipeline's delivery.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeliveryState {
    /// When the destination last acknowledged.
    pub last_acknowledged: Option<Timestamp>,
    /// What it said last, where it did not.
    pub problem: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Not before this time.
    pub retry_at: Option<Timestamp>,
    /// Whether somebody must act: the destination refuses everything, the login above all.
    pub paused: bool,
    /// Attempts since the last acknowledgement.
    pub attempts: u32,
}

/// An entry of the ledger, as far as a comparison needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Identity.
    pub key: RowKey,
    /// Hash of the content.
    pub hash: u64,
    /// Value of the window column.
    pub at: i64,
    /// Whether it is a live run.
    pub live: bool,
}

/// Which of the two ledgers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ledger {
    /// Source rows that wait to be folded.
    Rows,
    /// Records: what was handed to the outbox.
    Records,
}

/// A source row in the ledger.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// Identity.
    #[serde(with = "saved::hex_key")]
    pub key: RowKey,
    /// Hash of the content.
    #[serde(with = "saved::hex_hash")]
    pub hash: u64,
    /// Value of the window column.
    pub at: i64,
    /// The lane in which it is folded: the machine.
    pub lane: String,
    /// Its start or timestamp.
    pub start: i64,
    /// What else it says; see [`Self::canonical`].
    pub body: String,
}

impl LedgerRow {
    /// Makes it that of a row, in the memory that it has.
    pub fn set(&mut self, key: RowKey, hash: u64, row: &CanonicalRow) {
        self.key = key;
        self.hash = hash;
        self.at = row.at.micros();
        self.lane.clone_from(&row.details.machine_code);
        self.start = row.start.micros();
        self.body.clear();
        row.content().write_stored(&mut self.body, None);
    }

    /// The row.
    pub fn canonical(&self) -> Result<CanonicalRow, StoredRowError> {
        let Self { at, lane, start, body, .. } = self;
        CanonicalRow::from_stored(body, Beside { at: *at, lane, start: *start, end: None })
    }
}

/// A record in the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerRecord {
    /// Identity of the row that opens it.
    #[serde(with = "saved::hex_key")]
    pub key: RowKey,
    /// A run that a check refused: never delivered, but a later fold must know how far it reaches.
    pub part: bool,
    /// Its id at the destination.
    pub id: Uuid,
    /// Hash of the content.
    #[serde(with = "saved::hex_hash")]
    pub hash: u64,
    /// Value of the window column.
    pub at: i64,
    /// The machine.
    #[serde(with = "saved::shared_text")]
    pub lane: Arc<str>,
    /// Its start.
    pub start: i64,
    /// Its end, or [`LIVE`].
    pub end: i64,
    /// What else it says, only where it is folded; see [`Self::canonical`].
    pub body: Option<String>,
}

impl LedgerRecord {
    /// Its end, where it has one.
    pub fn ends(&self) -> Option<i64> {
        (self.end != LIVE).then_some(self.end)
    }

    /// What it says, where that is kept.
    pub fn canonical(&self) -> Option<Result<CanonicalRow, StoredRowError>> {
        let beside = Beside { at: self.at, lane: &self.lane, start: self.start, end: self.ends() };
        Some(CanonicalRow::from_stored(self.body.as_ref()?, beside))
    }
}

/// How far a record reaches, for the ledger: never less than its start, even where an end before it is allowed.
pub(crate) fn reach(start: Instant, end: Option<Instant>) -> i64 {
    end.map_or(LIVE, |end| end.max(start).micros())
}

/// A record on its way to the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxEntry {
    /// Its id at the destination: `run_id`, or `row_id`.
    pub id: Uuid,
    /// The whole record as a JSON object, `op` included.
    pub body: String,
    /// Waits until the run has read everything.
    pub held: bool,
    /// Nothing of this id is in the ledger: no earlier record of it needs to be superseded.
    pub fresh: bool,
}

/// A record of the outbox, as it waits there and as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxRecord {
    /// Its place; grows, and never comes again.
    pub seq: i64,
    /// Its id at the destination.
    pub id: Uuid,
    /// What is sent.
    pub body: Body,
}

/// A record that is a row as it stands, on its way to the ledger and to the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectRecord {
    /// What the ledger keeps of it.
    pub record: LedgerRecord,
    /// Where its JSON begins, in the text of all that are written with it.
    pub body_start: usize,
    /// Bytes of its JSON.
    pub body_len: usize,
    /// The ledger lacks its key, and nothing of its id was delivered or waits.
    pub fresh: bool,
}

impl Keyed for DirectRecord {
    fn key(&self) -> RowKey {
        self.record.key
    }
}

/// Where a row was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// By the mapping or a check, when it was read.
    Row,
    /// By the pairing or a check of the derived run.
    Run,
    /// By the destination.
    Delivery,
}

impl Stage {
    /// The word that the state store keeps.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::Run => "run",
            Self::Delivery => "delivery",
        }
    }
}

/// A row in quarantine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuarantineEntry {
    /// Where it was refused.
    pub stage: Stage,
    /// Identity of the row, or a hash of it where it has none.
    pub key: String,
    /// Stable code of the reason.
    pub code: String,
    /// The reason in plain words.
    pub reason: String,
    /// The rule's place in the spec: `fields.event.map`.
    pub rule: String,
    /// The columns of the row as a JSON object, or the record.
    pub row: String,
    /// The machine, where it is known.
    pub lane: Option<String>,
    /// Its time in microseconds, where it is known.
    pub at: Option<i64>,
    /// When it was refused first.
    pub first_seen: Timestamp,
}

impl QuarantineEntry {
    /// A record that the destination refused, as it is shown beside what was rejected here.
    pub fn of_delivery(id: Uuid, code: String, reason: String, body: String, first_seen: Timestamp) -> Self {
        Self {
            stage: Stage::Delivery,
            key: id.to_string(),
            code,
            reason,
            rule: "destination".to_owned(),
            row: body,
            lane: None,
            at: None,
            first_seen,
        }
    }
}

/// A record that the destination refused, with when to try again.
#[derive(Debug, Clone, PartialEq)]
pub struct RefusedRecord {
    /// Its place in the outbox.
    pub seq: i64,
    /// The destination's code.
    pub code: String,
    /// The destination's words.
    pub message: String,
}

/// A record that waits because the destination refused it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedEntry {
    /// Its id at the destination.
    pub id: Uuid,
    /// The destination's code.
    pub code: String,
    /// The destination's words.
    pub message: String,
    /// How often it was refused, as it is.
    pub attempts: u32,
    /// When it was refused first.
    pub first_seen: Timestamp,
    /// When it was refused last.
    pub last_seen: Timestamp,
    /// When it is sent again.
    pub retry_at: Timestamp,
    /// The whole record as a JSON object, `op` included.
    pub body: String,
}

/// Counts of a pipeline's state, for the status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StateCounts {
    /// Records in the ledger.
    pub records: u64,
    /// Of these, live ones.
    pub live: u64,
    /// Records in the outbox.
    pub outbox: u64,
    /// Bytes in the outbox.
    pub outbox_bytes: u64,
    /// Rows in quarantine.
    pub quarantine: u64,
}

/// What of a pipeline waits for something. Costs what waits, however large the ledger is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Records in the outbox.
    pub outbox: u64,
    /// Bytes in the outbox.
    pub outbox_bytes: u64,
    /// Rows in quarantine.
    pub quarantine: u64,
}

/// A failure of the state store.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{tried}: {message}")]
pub struct StateError {
    /// What was tried, and where.
    pub tried: String,
    /// What came back.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl From<StoredRowError> for StateError {
    fn from(error: StoredRowError) -> Self {
        Self {
            tried: "reading the ledger".to_owned(),
            message: error.to_string(),
            hint: Some("the state store may be damaged, or written by a newer version".to_owned()),
        }
    }
}

/// Proof that nobody else runs the pipeline; given up when dropped.
pub trait Lease: Send + Sync + fmt::Debug {
    /// Grows each time that the pipeline is taken. `None` where the store is one engine's own.
    fn fence(&self) -> Option<i64> {
        None
    }

    /// Whether it holds still, as far as this engine can know without asking.
    fn is_held(&self) -> bool {
        true
    }
}

/// The lease of a store that only one engine has.
#[derive(Debug, Clone, Copy)]
pub struct SoleLease;

impl Lease for SoleLease {}

/// What several engines share, as one of them sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Engines at work, this one among them.
    pub engines: usize,
    /// Pipelines that nobody has.
    pub free: Vec<String>,
}

/// Who has a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The pipeline, or a part of one that is leased by itself.
    pub unit: String,
    /// Host and process.
    pub engine: String,
    /// Until when, unless it is renewed.
    pub until: Timestamp,
}

/// Keeps what must survive. One implementation a database; all satisfy one suite of tests.
pub trait StateStore: Send + Sync {
    /// Takes the pipeline for this engine, or says who has it. From then on this store writes nothing of the pipeline
    /// once another engine has taken it, until the lease is dropped. Work beside its runs has names of its own below the
    /// pipeline's: `acme-bookings/backfill/7`.
    fn lease(&self, pipeline: &str) -> Result<Result<Box<dyn Lease>, String>, StateError>;
    /// Counts this engine among those that share the work, and says what is free of it. `None` where the store is one
    /// engine's own.
    fn share(&self, _pipelines: &[&str]) -> Result<Option<Share>, StateError> {
        Ok(None)
    }
    /// The engines that share the work, by name. `None` where the store is one engine's own.
    fn engines(&self) -> Result<Option<Vec<String>>, StateError> {
        Ok(None)
    }
    /// Who has what, where several engines share the work.
    fn holders(&self) -> Result<Vec<Holder>, StateError> {
        Ok(Vec::new())
    }
    /// What is remembered of a pipeline; the default where nothing is.
    fn load(&self, pipeline: &str) -> Result<PipelineState, StateError>;
    /// Writes what is remembered, outside of a run's transaction.
    fn save(&self, pipeline: &str, state: &PipelineState) -> Result<(), StateError>;
    /// Notes that somebody approved the brake that is pulled, and nothing else: what a run commits meanwhile stays.
    /// Gives the brake; `None` where none is pulled, and then nothing is noted.
    fn approve(&self, pipeline: &str, at: Timestamp) -> Result<Option<Brake>, StateError>;
    /// State of the delivery.
    fn delivery(&self, pipeline: &str) -> Result<DeliveryState, StateError>;
    /// Ids of the pipelines that the store knows.
    fn pipelines(&self) -> Result<Vec<String>, StateError>;
    /// What waits, as every run asks before it reads.
    fn waiting(&self, pipeline: &str) -> Result<Waiting, StateError>;
    /// Counts, for the status: they go through the whole ledger.
    fn counts(&self, pipeline: &str) -> Result<StateCounts, StateError>;
    /// Entries whose window column lies in `[from, to)`.
    fn entries(
        &self,
        pipeline: &str,
        ledger: Ledger,
        from: i64,
        to: i64,
        each: &mut dyn FnMut(LedgerEntry),
    ) -> Result<(), StateError>;
    /// Whether nothing is in here but what the one run that uses it has written itself: what that has not met yet is not
    /// in the ledger, and need not be asked for.
    fn knows_nothing(&self) -> bool {
        false
    }
    /// Entries by key; `None` for what the ledger lacks.
    fn look_up(&self, pipeline: &str, ledger: Ledger, keys: &[RowKey]) -> Result<Vec<Option<LedgerEntry>>, StateError>;
    /// Live entries whose window column lies before a time, oldest first.
    fn live_before(&self, pipeline: &str, before: i64, limit: usize) -> Result<Vec<LedgerEntry>, StateError>;
    /// Records of the ledger that are no parts, those whose window column is latest first.
    fn latest(&self, pipeline: &str, limit: usize) -> Result<Vec<LedgerRecord>, StateError>;
    /// Quarantined rows, newest first.
    fn quarantined(&self, pipeline: &str, limit: usize) -> Result<Vec<QuarantineEntry>, StateError>;
    /// Records that wait because the destination refused them, by id.
    fn refused(&self, pipeline: &str) -> Result<Vec<RefusedEntry>, StateError>;
    /// Everything that is remembered of a pipeline, from one snapshot, until `each` breaks off: what waits to be sent in
    /// the order of sending, anything else in an order of the store's own.
    fn saved(&self, pipeline: &str, each: &mut dyn FnMut(Saved) -> ControlFlow<()>) -> Result<(), StateError>;
    /// Begins the transaction of a run. Nobody else writes until it ends.
    fn begin(&self, pipeline: &str) -> Result<Box<dyn StateTransaction + '_>, StateError>;
    /// The oldest records of the outbox, up to both limits, at least one where there is one.
    fn claim(&self, pipeline: &str, records_max: usize, bytes_max: usize) -> Result<Vec<OutboxRecord>, StateError>;
    /// Takes acknowledged records out of the outbox, and refused ones to quarantine; keeps the delivery's state.
    fn settle(
        &self,
        pipeline: &str,
        accepted: &[i64],
        refused: &[RefusedRecord],
        delivery: &DeliveryState,
        now: Timestamp,
    ) -> Result<(), StateError>;
    /// Puts records that the destination refused back into the outbox, when their time has come.
    fn requeue_refused(&self, pipeline: &str, now: Timestamp) -> Result<u64, StateError>;
    /// The slices of a backfill that something is remembered of, by number.
    fn slices(&self, pipeline: &str, job: &str) -> Result<Vec<SliceState>, StateError>;
    /// One slice of a backfill, where something is remembered of it.
    fn slice(&self, pipeline: &str, job: &str, number: u32) -> Result<Option<SliceState>, StateError>;
    /// Remembers how far a slice of a backfill has come.
    fn put_slice(&self, pipeline: &str, job: &str, slice: &SliceState) -> Result<(), StateError>;
}

/// The transaction of a run: ledger, outbox, quarantine and cursor move together or not at all.
///
/// Dropped without [`Self::commit`], it changes nothing.
pub trait StateTransaction {
    /// A source row by its key.
    fn row(&mut self, key: RowKey) -> Result<Option<LedgerRow>, StateError>;
    /// Writes a source row.
    fn put_row(&mut self, row: &LedgerRow) -> Result<(), StateError>;
    /// Writes source rows, each of another key. Those of a machine come one after the other. `fresh` tells the keys that
    /// the ledger of rows lacks: a store need not look for them.
    fn put_rows(&mut self, rows: &[LedgerRow], fresh: &dyn Fn(RowKey) -> bool) -> Result<(), StateError> {
        let _ = fresh;
        rows.iter().try_for_each(|row| self.put_row(row))
    }
    /// Removes a source row.
    fn delete_row(&mut self, key: RowKey) -> Result<(), StateError>;
    /// The rows of a lane that start at or after a time.
    fn lane_rows(&mut self, lane: &str, from: i64) -> Result<Vec<LedgerRow>, StateError>;
    /// A record by its key.
    fn record(&mut self, key: RowKey, part: bool) -> Result<Option<LedgerRecord>, StateError>;
    /// Writes a record.
    fn put_record(&mut self, record: &LedgerRecord) -> Result<(), StateError>;
    /// Writes records, each of another key. Those of a machine come one after the other. `fresh` tells the keys that the
    /// ledger of records lacks.
    fn put_records(&mut self, records: Vec<LedgerRecord>, fresh: &dyn Fn(RowKey) -> bool) -> Result<(), StateError> {
        let _ = fresh;
        records.iter().try_for_each(|record| self.put_record(record))
    }
    /// Removes a record.
    fn delete_record(&mut self, key: RowKey, part: bool) -> Result<(), StateError>;
    /// The records of a lane that end at or after a time, live ones included, by start.
    fn lane_records(&mut self, lane: &str, part: bool, from: i64) -> Result<Vec<LedgerRecord>, StateError>;
    /// Start and end of the records of a lane that end at or after a time, live ones included, by start. Runs that a
    /// check refused are not among them.
    fn lane_spans(&mut self, lane: &str, from: i64) -> Result<Vec<(i64, i64)>, StateError> {
        let records = self.lane_records(lane, false, from)?;
        Ok(records.into_iter().map(|record| (record.start, record.end)).collect())
    }
    /// Whether a lane has a record that starts before a time.
    fn lane_begins_before(&mut self, lane: &str, before: i64) -> Result<bool, StateError>;
    /// Appends to the outbox; what waits there for the same id is superseded, unless the entry is fresh. What the
    /// destination refused of the same id is forgotten in any case: it must not come after the newer record.
    fn enqueue(&mut self, entry: &OutboxEntry) -> Result<(), StateError>;
    /// Writes records that are rows as they stand, each of another key, and appends them to the outbox, in their order.
    /// `text` has their JSON.
    fn put_direct(&mut self, records: &[DirectRecord], text: &str, held: bool) -> Result<(), StateError> {
        let mut entry = OutboxEntry { id: Uuid::nil(), body: String::new(), held, fresh: false };
        for DirectRecord { record, body_start, body_len, fresh } in records {
            (entry.id, entry.fresh) = (record.id, *fresh);
            entry.body.clear();
            entry.body.push_str(&text[*body_start..body_start + body_len]);
            self.enqueue(&entry)?;
        }
        let fresh: KeySet = records.iter().filter(|direct| direct.fresh).map(Keyed::key).collect();
        let mut by_lane: Vec<&LedgerRecord> = records.iter().map(|direct| &direct.record).collect();
        by_lane.sort_by(|one, other| one.lane.cmp(&other.lane));
        for of_lane in by_lane.chunk_by(|one, other| one.lane == other.lane) {
            let records = of_lane.iter().map(|record| (*record).clone()).collect();
            self.put_records(records, &|key| fresh.contains(&key))?;
        }
        Ok(())
    }
    /// Lets held records of the outbox go.
    fn release(&mut self) -> Result<(), StateError>;
    /// Replaces the quarantined rows of the stage [`Stage::Run`] in a lane from a time on.
    fn replace_lane_quarantine(&mut self, lane: &str, from: i64, entries: &[QuarantineEntry])
    -> Result<(), StateError>;
    /// Takes rows of the stage [`Stage::Row`] out of quarantine that were accepted since, by their keys.
    fn heal_rows(&mut self, keys: &[String]) -> Result<(), StateError>;
    /// Replaces the quarantined rows of the stage [`Stage::Row`], but for those whose time lies before `keep_before`.
    /// Of rows without a time, all are replaced; with `i64::MAX`, none is, whatever its time.
    fn replace_row_quarantine(&mut self, keep_before: i64, entries: &[QuarantineEntry]) -> Result<(), StateError>;
    /// Forgets what is remembered of the pipeline; the store still knows its id.
    fn forget(&mut self, what: Forget) -> Result<(), StateError>;
    /// Writes one thing that [`StateStore::saved`] gave. It must not be there yet.
    fn restore(&mut self, saved: &Saved) -> Result<(), StateError>;
    /// Writes what is remembered of the pipeline.
    fn put_state(&mut self, state: &PipelineState) -> Result<(), StateError>;
    /// Makes it all last: synced when this returns.
    fn commit(self: Box<Self>) -> Result<(), StateError>;
}
