//! Everything that a store in memory knows of one pipeline.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::lanes::Lanes;
use super::outbox::Outbox;
use super::records::Records;
use crate::canonical::RowKey;
use crate::state::{Body, DeliveryState, LedgerRecord, LedgerRow, PipelineState, QuarantineEntry, SliceState, Stage};

/// Everything that is known of one pipeline.
#[derive(Debug, Clone, Default)]
pub struct MemoryPipeline {
    /// What is remembered between runs.
    pub state: PipelineState,
    /// State of the delivery.
    pub delivery: DeliveryState,
    /// Source rows that wait to be folded.
    pub rows: BTreeMap<RowKey, LedgerRow>,
    /// Records.
    pub records: Records,
    /// The outbox.
    pub outbox: Outbox,
    /// The quarantine, with when a refused record is tried again.
    pub quarantine: Vec<(QuarantineEntry, Option<Timestamp>)>,
    /// Slices of backfills, by job and number.
    pub slices: BTreeMap<(String, u32), SliceState>,
    pub(super) leased: bool,
    /// Laid out when a fold asks for them first: what is not folded does without.
    pub(super) lanes: Option<Lanes>,
}

impl MemoryPipeline {
    /// Knows nothing, and has room for so many records in the ledger and in the outbox.
    pub(super) fn with_room(records: usize) -> Self {
        Self { records: Records::with_room(records), outbox: Outbox::with_room(records), ..Self::default() }
    }

    /// The rows of a lane that start at a time or later.
    pub(super) fn lane_rows(&mut self, lane: &str, from: i64) -> Vec<LedgerRow> {
        let lanes = self.lanes.get_or_insert_with(|| Lanes::of(&self.rows, &self.records));
        lanes.rows(lane, from).map(|key| self.rows[&key].clone()).collect()
    }

    /// The records of a lane that end at a time or later, by start.
    pub(super) fn lane_records(&mut self, lane: &str, part: bool, from: i64) -> Vec<LedgerRecord> {
        let lanes = self.lanes.get_or_insert_with(|| Lanes::of(&self.rows, &self.records));
        let records = lanes.records(lane, part, from).filter_map(|key| self.records.get(key, part));
        let mut records: Vec<LedgerRecord> = records.cloned().collect();
        records.sort_by_key(|record| (record.start, record.key));
        records
    }

    /// When the first record of a lane starts.
    pub(super) fn lane_begins(&mut self, lane: &str) -> Option<i64> {
        self.lanes.get_or_insert_with(|| Lanes::of(&self.rows, &self.records)).first_start(lane)
    }

    pub(super) fn put_row(&mut self, row: &LedgerRow) {
        let old = self.rows.insert(row.key, row.clone());
        let Some(lanes) = &mut self.lanes else { return };
        old.iter().for_each(|old| lanes.remove_row(old));
        lanes.add_row(row);
    }

    pub(super) fn delete_row(&mut self, key: RowKey) {
        let old = self.rows.remove(&key);
        if let (Some(old), Some(lanes)) = (old, &mut self.lanes) {
            lanes.remove_row(&old);
        }
    }

    pub(super) fn put_record(&mut self, record: LedgerRecord, fresh: bool) {
        if let Some(lanes) = &mut self.lanes {
            if let Some(old) = self.records.get(record.key, record.part) {
                lanes.remove_record(old);
            }
            lanes.add_record(&record);
        }
        self.records.insert(record, fresh);
    }

    pub(super) fn delete_record(&mut self, key: RowKey, part: bool) {
        let old = self.records.remove(key, part);
        if let (Some(old), Some(lanes)) = (old, &mut self.lanes) {
            lanes.remove_record(&old);
        }
    }

    /// Takes out all rows and records.
    pub(super) fn forget_ledger(&mut self) {
        self.rows.clear();
        self.records = Records::default();
        self.lanes = None;
    }

    /// Appends to the outbox. One record at most waits for an id; nothing waits for that of a `fresh` one.
    pub(super) fn enqueue(&mut self, id: Uuid, body: Body, held: bool, fresh: bool) {
        if !fresh {
            self.outbox.supersede(id);
        }
        if !self.quarantine.is_empty() {
            let id = id.to_string();
            self.quarantine.retain(|(known, _)| known.stage != Stage::Delivery || known.key != id);
        }
        self.outbox.append(id, body, held);
    }
}
