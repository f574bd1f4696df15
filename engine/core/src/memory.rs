//! A state store in memory: for `test` and `preview`, which run what a run runs and keep nothing, and for simulations.

mod lanes;
mod outbox;
mod pipeline;
mod records;
mod transaction;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use uuid::Uuid;

pub use self::outbox::Outbox;
pub use self::pipeline::MemoryPipeline;
pub use self::records::Records;

use self::transaction::MemoryTransaction;
use crate::canonical::RowKey;
use crate::state::{
    Body, Brake, DeliveryState, LIVE, Lease, Ledger, LedgerEntry, LedgerRecord, LedgerRow, OutboxRecord, PipelineState,
    QuarantineEntry, RefusedEntry, RefusedRecord, Saved, SavedOutbox, SliceState, Stage, StateCounts, StateError,
    StateStore, StateTransaction, Waiting,
};

/// A state store in memory. Nothing survives it.
#[derive(Debug, Default)]
pub struct MemoryStore {
    pipelines: std::sync::Arc<Mutex<BTreeMap<String, MemoryPipeline>>>,
    /// Transactions write at once, and do not undo what was not committed; nothing is here that a run has not met.
    is_for_one_run: bool,
    /// Records that each pipeline has room for from the beginning.
    room: usize,
}

/// Records that a store has room for before there are any at most: some 12 MiB, which take no memory until they are used.
pub const ROOM_MAX: usize = 1 << 16;
/// How long a record that the destination refused waits.
const REFUSED_RETRY_SECONDS: i64 = 300;

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store for one run of one step: its transactions keep no copy of what was there before. One that is dropped
    /// without a commit has written all the same, so that nothing in here means anything when a run has failed. There is
    /// room for so many records before it must grow, up to [`ROOM_MAX`].
    pub fn for_one_run(room: usize) -> Self {
        Self { is_for_one_run: true, room: room.min(ROOM_MAX), ..Self::default() }
    }

    /// Takes out what is known of a pipeline.
    pub fn take(&self, pipeline: &str) -> MemoryPipeline {
        self.lock().remove(pipeline).unwrap_or_default()
    }

    /// Appends records to an outbox in their order, from place 1 on where it was empty. Each has an id of its own, for
    /// which nothing waits.
    pub fn enqueue_all(&self, pipeline: &str, records: impl IntoIterator<Item = (Uuid, Body)>) {
        self.with(pipeline, |known| records.into_iter().for_each(|(id, body)| known.enqueue(id, body, false, true)));
    }

    /// What is known of a pipeline, as a copy.
    pub fn snapshot(&self, pipeline: &str) -> MemoryPipeline {
        self.lock().get(pipeline).cloned().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, MemoryPipeline>> {
        self.pipelines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, pipeline: &str, use_it: impl FnOnce(&mut MemoryPipeline) -> T) -> T {
        let mut pipelines = self.lock();
        if !pipelines.contains_key(pipeline) {
            pipelines.insert(pipeline.to_owned(), MemoryPipeline::with_room(self.room));
        }
        use_it(pipelines.get_mut(pipeline).expect("it is there by now"))
    }
}

struct MemoryLease {
    pipelines: std::sync::Arc<Mutex<BTreeMap<String, MemoryPipeline>>>,
    pipeline: String,
}

impl fmt::Debug for MemoryLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryLease({})", self.pipeline)
    }
}

impl Lease for MemoryLease {}

impl Drop for MemoryLease {
    fn drop(&mut self) {
        let mut pipelines = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = pipelines.get_mut(&self.pipeline) {
            pipeline.leased = false;
        }
    }
}

fn entry_of_row(row: &LedgerRow) -> LedgerEntry {
    LedgerEntry { key: row.key, hash: row.hash, at: row.at, live: false }
}

fn entry_of_record(record: &LedgerRecord) -> LedgerEntry {
    LedgerEntry { key: record.key, hash: record.hash, at: record.at, live: record.end == LIVE }
}

impl StateStore for MemoryStore {
    fn lease(&self, pipeline: &str) -> Result<Result<Box<dyn Lease>, String>, StateError> {
        let taken = self.with(pipeline, |known| std::mem::replace(&mut known.leased, true));
        if taken {
            return Ok(Err("another run of this engine".to_owned()));
        }
        let lease = MemoryLease { pipelines: self.pipelines.clone(), pipeline: pipeline.to_owned() };
        Ok(Ok(Box::new(lease)))
    }

    fn load(&self, pipeline: &str) -> Result<PipelineState, StateError> {
        Ok(self.with(pipeline, |known| known.state.clone()))
    }

    fn save(&self, pipeline: &str, state: &PipelineState) -> Result<(), StateError> {
        self.with(pipeline, |known| known.state = state.clone());
        Ok(())
    }

    fn approve(&self, pipeline: &str, at: Timestamp) -> Result<Option<Brake>, StateError> {
        Ok(self.with(pipeline, |known| {
            if known.state.brake.is_some() {
                known.state.approved = Some(at);
            }
            known.state.brake.clone()
        }))
    }

    fn delivery(&self, pipeline: &str) -> Result<DeliveryState, StateError> {
        Ok(self.with(pipeline, |known| known.delivery.clone()))
    }

    fn pipelines(&self) -> Result<Vec<String>, StateError> {
        Ok(self.lock().keys().cloned().collect())
    }

    fn waiting(&self, pipeline: &str) -> Result<Waiting, StateError> {
        Ok(self.with(pipeline, |known| Waiting {
            outbox: known.outbox.len() as u64,
            outbox_bytes: known.outbox.values().map(|(record, _)| record.body.len() as u64).sum(),
            quarantine: known.quarantine.len() as u64,
        }))
    }

    fn counts(&self, pipeline: &str) -> Result<StateCounts, StateError> {
        let Waiting { outbox, outbox_bytes, quarantine } = self.waiting(pipeline)?;
        Ok(self.with(pipeline, |known| StateCounts {
            records: known.records.values().filter(|record| !record.part).count() as u64,
            live: known.records.values().filter(|record| !record.part && record.end == LIVE).count() as u64,
            outbox,
            outbox_bytes,
            quarantine,
        }))
    }

    fn entries(
        &self,
        pipeline: &str,
        ledger: Ledger,
        from: i64,
        to: i64,
        each: &mut dyn FnMut(LedgerEntry),
    ) -> Result<(), StateError> {
        let entries: Vec<LedgerEntry> = self.with(pipeline, |known| match ledger {
            Ledger::Rows => known.rows.values().map(entry_of_row).collect(),
            Ledger::Records => known.records.values().filter(|record| !record.part).map(entry_of_record).collect(),
        });
        entries.into_iter().filter(|entry| entry.at >= from && entry.at < to).for_each(each);
        Ok(())
    }

    fn knows_nothing(&self) -> bool {
        self.is_for_one_run
    }

    fn look_up(&self, pipeline: &str, ledger: Ledger, keys: &[RowKey]) -> Result<Vec<Option<LedgerEntry>>, StateError> {
        let find = |known: &MemoryPipeline, key: &RowKey| match ledger {
            Ledger::Rows => known.rows.get(key).map(entry_of_row),
            Ledger::Records => known.records.get(*key, false).map(entry_of_record),
        };
        Ok(self.with(pipeline, |known| keys.iter().map(|key| find(known, key)).collect()))
    }

    fn live_before(&self, pipeline: &str, before: i64, limit: usize) -> Result<Vec<LedgerEntry>, StateError> {
        let mut live: Vec<LedgerEntry> = self.with(pipeline, |known| {
            let records = known.records.values().filter(|record| !record.part && record.end == LIVE);
            records.map(entry_of_record).filter(|entry| entry.at < before).collect()
        });
        live.sort_by_key(|entry| (entry.at, entry.key));
        live.truncate(limit);
        Ok(live)
    }

    fn latest(&self, pipeline: &str, limit: usize) -> Result<Vec<LedgerRecord>, StateError> {
        let mut records: Vec<LedgerRecord> =
            self.with(pipeline, |known| known.records.values().filter(|record| !record.part).cloned().collect());
        records.sort_by_key(|record| std::cmp::Reverse((record.at, record.key)));
        records.truncate(limit);
        Ok(records)
    }

    fn quarantined(&self, pipeline: &str, limit: usize) -> Result<Vec<QuarantineEntry>, StateError> {
        Ok(self.with(pipeline, |known| {
            known.quarantine.iter().rev().map(|(entry, _)| entry.clone()).take(limit).collect()
        }))
    }

    fn refused(&self, pipeline: &str) -> Result<Vec<RefusedEntry>, StateError> {
        let refused = |(entry, retry): &(QuarantineEntry, Option<Timestamp>)| {
            Some(RefusedEntry {
                id: entry.key.parse().ok()?,
                code: entry.code.clone(),
                message: entry.reason.clone(),
                attempts: 1,
                first_seen: entry.first_seen,
                last_seen: entry.first_seen,
                retry_at: (*retry)?,
                body: entry.row.clone(),
            })
        };
        Ok(self.with(pipeline, |known| known.quarantine.iter().filter_map(refused).collect()))
    }

    fn saved(&self, pipeline: &str, each: &mut dyn FnMut(Saved) -> ControlFlow<()>) -> Result<(), StateError> {
        let known = self.snapshot(pipeline);
        let state = [Saved::State(Box::new(known.state)), Saved::Delivery(known.delivery)];
        let outbox = known.outbox.into_values().map(|(record, held)| {
            Saved::Outbox(SavedOutbox {
                id: record.id,
                held,
                refusals: 0,
                refused_since: None,
                body: record.body.to_string(),
            })
        });
        let rejected = known.quarantine.into_iter().filter(|(entry, _)| entry.stage != Stage::Delivery);
        let all = state
            .into_iter()
            .chain(known.rows.into_values().map(Saved::Row))
            .chain(known.records.into_sorted().into_iter().map(Saved::Record))
            .chain(outbox)
            .chain(rejected.map(|(entry, _)| Saved::Rejected(entry)))
            .chain(self.refused(pipeline)?.into_iter().map(Saved::Refused));
        for saved in all {
            if each(saved).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn begin(&self, pipeline: &str) -> Result<Box<dyn StateTransaction + '_>, StateError> {
        let copy = (!self.is_for_one_run).then(|| self.snapshot(pipeline));
        Ok(Box::new(MemoryTransaction { store: self, pipeline: pipeline.to_owned(), copy }))
    }

    fn claim(&self, pipeline: &str, records_max: usize, bytes_max: usize) -> Result<Vec<OutboxRecord>, StateError> {
        Ok(self.with(pipeline, |known| {
            let mut bytes = 0;
            let mut claimed = Vec::new();
            for (record, _) in known.outbox.values().filter(|(_, held)| !held).take(records_max) {
                bytes += record.body.len();
                if bytes > bytes_max && !claimed.is_empty() {
                    break;
                }
                claimed.push(record.clone());
            }
            claimed
        }))
    }

    fn settle(
        &self,
        pipeline: &str,
        accepted: &[i64],
        refused: &[RefusedRecord],
        delivery: &DeliveryState,
        now: Timestamp,
    ) -> Result<(), StateError> {
        self.with(pipeline, |known| {
            for seq in accepted {
                known.outbox.remove(*seq);
            }
            for refusal in refused {
                if let Some(record) = known.outbox.remove(refusal.seq) {
                    let (code, reason) = (refusal.code.clone(), refusal.message.clone());
                    let entry = QuarantineEntry::of_delivery(record.id, code, reason, record.body.to_string(), now);
                    let retry = Timestamp::from_second(now.as_second() + REFUSED_RETRY_SECONDS).ok();
                    known.quarantine.push((entry, retry));
                }
            }
            known.delivery = delivery.clone();
        });
        Ok(())
    }

    fn requeue_refused(&self, pipeline: &str, now: Timestamp) -> Result<u64, StateError> {
        Ok(self.with(pipeline, |known| {
            let (mut due, rest): (Vec<_>, Vec<_>) =
                known.quarantine.drain(..).partition(|(_, retry)| retry.is_some_and(|retry| retry <= now));
            known.quarantine = rest;
            due.sort_by(|(one, _), (other, _)| (one.first_seen, &one.key).cmp(&(other.first_seen, &other.key)));
            let mut requeued = 0;
            for (entry, _) in due {
                let Ok(id) = entry.key.parse() else { continue };
                known.outbox.append(id, entry.row.into(), false);
                requeued += 1;
            }
            requeued
        }))
    }

    fn slices(&self, pipeline: &str, job: &str) -> Result<Vec<SliceState>, StateError> {
        Ok(self.with(pipeline, |known| {
            known.slices.iter().filter(|((of, _), _)| of == job).map(|(_, slice)| slice.clone()).collect()
        }))
    }

    fn slice(&self, pipeline: &str, job: &str, number: u32) -> Result<Option<SliceState>, StateError> {
        Ok(self.with(pipeline, |known| known.slices.get(&(job.to_owned(), number)).cloned()))
    }

    fn put_slice(&self, pipeline: &str, job: &str, slice: &SliceState) -> Result<(), StateError> {
        self.with(pipeline, |known| known.slices.insert((job.to_owned(), slice.number), slice.clone()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_that_is_made_beforehand_is_bounded() {
        let store = MemoryStore::for_one_run(usize::MAX);
        store.enqueue_all("p", [(Uuid::nil(), "{}".into())]);
        assert_eq!(store.claim("p", 9, 9).expect("memory does not fail").len(), 1);
    }
}
