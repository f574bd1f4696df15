//! Where the rows and records of each machine are, so that a fold reads no others.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::records::Records;
use crate::canonical::RowKey;
use crate::state::{LedgerRecord, LedgerRow};

/// The lanes of a pipeline, by machine.
#[derive(Debug, Clone, Default)]
pub(super) struct Lanes(HashMap<String, Lane>);

/// The rows and records of one machine.
#[derive(Debug, Clone, Default)]
struct Lane {
    rows: BTreeSet<(i64, RowKey)>,
    records_by_end: BTreeSet<(bool, i64, RowKey)>,
    records_by_start: BTreeSet<(i64, bool, RowKey)>,
}

impl Lanes {
    /// The lanes of these rows and records.
    pub(super) fn of(rows: &BTreeMap<RowKey, LedgerRow>, records: &Records) -> Self {
        let mut lanes = Self::default();
        rows.values().for_each(|row| lanes.add_row(row));
        records.values().for_each(|record| lanes.add_record(record));
        lanes
    }

    fn lane(&mut self, name: &str) -> &mut Lane {
        if !self.0.contains_key(name) {
            self.0.insert(name.to_owned(), Lane::default());
        }
        self.0.get_mut(name).expect("it is there by now")
    }

    pub(super) fn add_row(&mut self, row: &LedgerRow) {
        self.lane(&row.lane).rows.insert((row.start, row.key));
    }

    pub(super) fn remove_row(&mut self, row: &LedgerRow) {
        self.lane(&row.lane).rows.remove(&(row.start, row.key));
    }

    pub(super) fn add_record(&mut self, record: &LedgerRecord) {
        let LedgerRecord { key, part, lane, start, end, .. } = record;
        let lane = self.lane(lane);
        lane.records_by_end.insert((*part, *end, *key));
        lane.records_by_start.insert((*start, *part, *key));
    }

    pub(super) fn remove_record(&mut self, record: &LedgerRecord) {
        let LedgerRecord { key, part, lane, start, end, .. } = record;
        let lane = self.lane(lane);
        lane.records_by_end.remove(&(*part, *end, *key));
        lane.records_by_start.remove(&(*start, *part, *key));
    }

    /// The rows of a lane that start at a time or later.
    pub(super) fn rows(&self, lane: &str, from: i64) -> impl Iterator<Item = RowKey> {
        let lane = self.0.get(lane).into_iter();
        lane.flat_map(move |lane| lane.rows.range((from, RowKey(0))..)).map(|(_, key)| *key)
    }

    /// The records of a lane that end at a time or later.
    pub(super) fn records(&self, lane: &str, part: bool, from: i64) -> impl Iterator<Item = RowKey> {
        let range = (part, from, RowKey(0))..=(part, i64::MAX, RowKey(u128::MAX));
        let lane = self.0.get(lane).into_iter();
        lane.flat_map(move |lane| lane.records_by_end.range(range.clone())).map(|(_, _, key)| *key)
    }

    /// When the first record of a lane starts.
    pub(super) fn first_start(&self, lane: &str) -> Option<i64> {
        self.0.get(lane)?.records_by_start.first().map(|(start, ..)| *start)
    }
}
