//! The ledger of records of a store in memory.

use std::collections::hash_map::Entry;

use crate::canonical::{KeyMap, RowKey};
use crate::state::LedgerRecord;

/// Records, one a key; those of runs that a check refused have keys of their own.
#[derive(Debug, Clone, Default)]
pub struct Records {
    records: Vec<LedgerRecord>,
    /// Where the record of a key is: of those that were delivered, and of those that were refused.
    places: [KeyMap<usize>; 2],
}

impl Records {
    /// The record of a key; `part` is whether it was refused.
    pub fn get(&self, key: RowKey, part: bool) -> Option<&LedgerRecord> {
        self.places[usize::from(part)].get(&key).map(|place| &self.records[*place])
    }

    /// The records, in no order.
    pub fn values(&self) -> impl Iterator<Item = &LedgerRecord> {
        self.records.iter()
    }

    /// The records, by key.
    pub fn into_sorted(self) -> Vec<LedgerRecord> {
        let mut records = self.records;
        records.sort_unstable_by_key(|record| (record.part, record.key));
        records
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Puts a record in; the one that it replaces.
    pub(super) fn insert(&mut self, record: LedgerRecord) -> Option<LedgerRecord> {
        match self.places[usize::from(record.part)].entry(record.key) {
            Entry::Occupied(place) => Some(std::mem::replace(&mut self.records[*place.get()], record)),
            Entry::Vacant(place) => {
                place.insert(self.records.len());
                self.records.push(record);
                None
            }
        }
    }

    /// Takes a record out.
    pub(super) fn remove(&mut self, key: RowKey, part: bool) -> Option<LedgerRecord> {
        let place = self.places[usize::from(part)].remove(&key)?;
        let record = self.records.swap_remove(place);
        if let Some(moved) = self.records.get(place) {
            self.places[usize::from(moved.part)].insert(moved.key, place);
        }
        Some(record)
    }
}

impl FromIterator<LedgerRecord> for Records {
    fn from_iter<I: IntoIterator<Item = LedgerRecord>>(records: I) -> Self {
        let mut all = Self::default();
        records.into_iter().for_each(|record| drop(all.insert(record)));
        all
    }
}

/// The order does not count.
impl PartialEq for Records {
    fn eq(&self, other: &Self) -> bool {
        self.records.len() == other.records.len()
            && self.values().all(|record| other.get(record.key, record.part) == Some(record))
    }
}
