//! The ledger of records of a store in memory.

use std::cell::OnceCell;

use crate::canonical::{KeyMap, RowKey};
use crate::state::LedgerRecord;

/// Records, one a key; those of runs that a check refused have keys of their own.
#[derive(Debug, Clone, Default)]
pub struct Records {
    records: Vec<LedgerRecord>,
    /// Where the record of a key is: of those that were delivered, and of those that were refused. Made when somebody asks
    /// for one: a slice of rows only collects them.
    places: OnceCell<Places>,
}

type Places = [KeyMap<usize>; 2];

impl Records {
    pub(super) fn with_room(records: usize) -> Self {
        Self { records: Vec::with_capacity(records), ..Self::default() }
    }

    /// The record of a key; `part` is whether it was refused.
    pub fn get(&self, key: RowKey, part: bool) -> Option<&LedgerRecord> {
        self.places()[usize::from(part)].get(&key).map(|place| &self.records[*place])
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

    fn places(&self) -> &Places {
        self.places.get_or_init(|| {
            let mut places = Places::default();
            for (place, record) in self.records.iter().enumerate() {
                let before = places[usize::from(record.part)].insert(record.key, place);
                debug_assert_eq!(before, None, "a fresh record was there already");
            }
            places
        })
    }

    fn places_mut(&mut self) -> &mut Places {
        self.places();
        self.places.get_mut().expect("they were made a line before")
    }

    /// Writes a record, in the place of the one with its key. There is none of a `fresh` one.
    pub(super) fn insert(&mut self, record: LedgerRecord, fresh: bool) {
        let (key, part) = (record.key, usize::from(record.part));
        let is_known = |places: &Places| places[part].contains_key(&key);
        debug_assert!(!(fresh && self.places.get().is_some_and(is_known)), "a fresh record is there already");
        if fresh && self.places.get().is_none() {
            return self.records.push(record);
        }
        let next = self.records.len();
        let place = *self.places_mut()[part].entry(key).or_insert(next);
        match self.records.get_mut(place) {
            Some(known) => *known = record,
            None => self.records.push(record),
        }
    }

    /// Takes a record out.
    pub(super) fn remove(&mut self, key: RowKey, part: bool) -> Option<LedgerRecord> {
        let place = self.places_mut()[usize::from(part)].remove(&key)?;
        let record = self.records.swap_remove(place);
        if let Some(moved) = self.records.get(place) {
            let (key, part) = (moved.key, usize::from(moved.part));
            self.places_mut()[part].insert(key, place);
        }
        Some(record)
    }
}

impl FromIterator<LedgerRecord> for Records {
    fn from_iter<I: IntoIterator<Item = LedgerRecord>>(records: I) -> Self {
        let mut all = Self::default();
        records.into_iter().for_each(|record| all.insert(record, false));
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
