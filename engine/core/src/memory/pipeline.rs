//! Everything that a store in memory knows of one pipeline.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use uuid::Uuid;

use crate::canonical::RowKey;
use crate::state::{
    DeliveryState, LedgerRecord, LedgerRow, OutboxRecord, PipelineState, QuarantineEntry, SliceState, Stage,
};

/// Everything that is known of one pipeline.
#[derive(Debug, Clone, Default)]
pub struct MemoryPipeline {
    /// What is remembered between runs.
    pub state: PipelineState,
    /// State of the delivery.
    pub delivery: DeliveryState,
    /// Source rows that wait to be folded.
    pub rows: BTreeMap<RowKey, LedgerRow>,
    /// Records; the flag tells runs that a check refused.
    pub records: BTreeMap<(bool, RowKey), LedgerRecord>,
    /// The outbox, with whether an entry is held.
    pub outbox: BTreeMap<i64, (OutboxRecord, bool)>,
    /// The quarantine, with when a refused record is tried again.
    pub quarantine: Vec<(QuarantineEntry, Option<Timestamp>)>,
    /// Slices of backfills, by job and number.
    pub slices: BTreeMap<(String, u32), SliceState>,
    pub(super) leased: bool,
    pub(super) last_seq: i64,
    /// Place in the outbox, by the id of the record.
    pub(super) waiting: HashMap<Uuid, i64>,
    pub(super) lanes: HashMap<String, Lane>,
}

/// Where a machine's rows and records are, so that a fold reads no others.
#[derive(Debug, Clone, Default)]
pub(super) struct Lane {
    pub(super) rows: BTreeSet<(i64, RowKey)>,
    pub(super) records_by_end: BTreeSet<(bool, i64, RowKey)>,
    pub(super) records_by_start: BTreeSet<(i64, bool, RowKey)>,
}

impl MemoryPipeline {
    fn lane(&mut self, name: &str) -> &mut Lane {
        if !self.lanes.contains_key(name) {
            self.lanes.insert(name.to_owned(), Lane::default());
        }
        self.lanes.get_mut(name).expect("it is there by now")
    }

    pub(super) fn put_row(&mut self, row: &LedgerRow) {
        self.delete_row(row.key);
        self.lane(&row.lane).rows.insert((row.start, row.key));
        self.rows.insert(row.key, row.clone());
    }

    pub(super) fn delete_row(&mut self, key: RowKey) {
        if let Some(old) = self.rows.remove(&key) {
            self.lane(&old.lane).rows.remove(&(old.start, key));
        }
    }

    pub(super) fn put_record(&mut self, record: &LedgerRecord) {
        let LedgerRecord { key, part, lane, start, end, .. } = record;
        self.delete_record(*key, *part);
        let lane = self.lane(lane);
        lane.records_by_end.insert((*part, *end, *key));
        lane.records_by_start.insert((*start, *part, *key));
        self.records.insert((*part, *key), record.clone());
    }

    pub(super) fn delete_record(&mut self, key: RowKey, part: bool) {
        if let Some(LedgerRecord { lane, start, end, .. }) = self.records.remove(&(part, key)) {
            let lane = self.lane(&lane);
            lane.records_by_end.remove(&(part, end, key));
            lane.records_by_start.remove(&(start, part, key));
        }
    }

    /// Appends to the outbox. One record at most waits for an id; what is delivered leaves its place in the index behind.
    pub(super) fn enqueue(&mut self, id: Uuid, body: String, held: bool) {
        self.last_seq += 1;
        let superseded = self.waiting.insert(id, self.last_seq);
        if let Some(seq) = superseded
            && self.outbox.get(&seq).is_some_and(|(record, _)| record.id == id)
        {
            self.outbox.remove(&seq);
        }
        if !self.quarantine.is_empty() {
            let id = id.to_string();
            self.quarantine.retain(|(known, _)| known.stage != Stage::Delivery || known.key != id);
        }
        self.outbox.insert(self.last_seq, (OutboxRecord { seq: self.last_seq, id, body }, held));
    }
}
