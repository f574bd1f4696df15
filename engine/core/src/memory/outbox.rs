//! The outbox of a store in memory.

use std::collections::VecDeque;

use uuid::Uuid;

use crate::canonical::IdMap;
use crate::state::{Body, OutboxRecord};

/// Records in the order of their places, each with whether it is held. They are appended at the end, and nearly all of
/// them leave from the front.
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    /// Up to the place `last`, one a place; `None` where a record has left.
    entries: VecDeque<Option<(OutboxRecord, bool)>>,
    len: usize,
    /// The latest place that was given: none is given twice.
    last: i64,
    /// The latest place of each id, whether or not the record waits there still; kept from when it is asked for first.
    places: Option<IdMap<i64>>,
}

/// Two are the same where the same waits in the same places.
impl PartialEq for Outbox {
    fn eq(&self, other: &Self) -> bool {
        self.values().eq(other.values())
    }
}

impl Outbox {
    pub(super) fn with_room(records: usize) -> Self {
        Self { entries: VecDeque::with_capacity(records), ..Self::default() }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a record waits at a place.
    pub fn contains(&self, seq: i64) -> bool {
        self.place(seq).is_some_and(|place| self.entries[place].is_some())
    }

    /// The records, oldest first.
    pub fn values(&self) -> impl Iterator<Item = &(OutboxRecord, bool)> {
        self.entries.iter().flatten()
    }

    /// The records, oldest first.
    pub fn into_values(self) -> impl Iterator<Item = (OutboxRecord, bool)> {
        self.entries.into_iter().flatten()
    }

    /// Lets all records go.
    pub(super) fn release(&mut self) {
        self.entries.iter_mut().flatten().for_each(|(_, held)| *held = false);
    }

    /// Takes out all records.
    pub(super) fn clear(&mut self) {
        *self = Self { last: self.last, ..Self::default() };
    }

    /// Appends a record.
    pub(super) fn append(&mut self, id: Uuid, body: Body, held: bool) {
        self.last += 1;
        self.entries.push_back(Some((OutboxRecord { seq: self.last, id, body }, held)));
        self.len += 1;
        if let Some(places) = &mut self.places {
            places.insert(id.as_u128(), self.last);
        }
    }

    /// Where the entry of a place is.
    fn place(&self, seq: i64) -> Option<usize> {
        let first = self.last + 1 - self.entries.len() as i64;
        usize::try_from(seq - first).ok().filter(|place| *place < self.entries.len())
    }

    /// Takes out the record at a place.
    pub(super) fn remove(&mut self, seq: i64) -> Option<OutboxRecord> {
        let place = self.place(seq)?;
        let (record, _) = self.entries[place].take()?;
        self.len -= 1;
        while let Some(None) = self.entries.front() {
            self.entries.pop_front();
        }
        Some(record)
    }

    /// Takes out what waits of an id.
    pub(super) fn supersede(&mut self, id: Uuid) {
        let places = self.places.get_or_insert_with(|| {
            self.entries.iter().flatten().map(|(record, _)| (record.id.as_u128(), record.seq)).collect()
        });
        if let Some(seq) = places.remove(&id.as_u128()) {
            self.remove(seq);
        }
    }
}
