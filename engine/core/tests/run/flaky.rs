//! A state store that fails once, at a chosen operation.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine_core::canonical::RowKey;
use engine_core::memory::MemoryStore;
use engine_core::state::{
    Brake, DeliveryState, Forget, Lease, Ledger, LedgerEntry, LedgerRecord, LedgerRow, OutboxEntry, OutboxRecord,
    PipelineState, QuarantineEntry, RefusedEntry, RefusedRecord, Saved, SliceState, StateCounts, StateError,
    StateStore, StateTransaction,
};
use jiff::Timestamp;

/// Whether a commit that fails has happened all the same: the answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    Work,
    Answer,
}

/// Fails at one operation; those before and after it go through.
pub struct Flaky<'a> {
    store: &'a MemoryStore,
    left: AtomicUsize,
    lost: Lost,
}

impl<'a> Flaky<'a> {
    /// Fails after that many operations.
    pub fn after(store: &'a MemoryStore, operations: usize, lost: Lost) -> Self {
        Self { store, left: AtomicUsize::new(operations + 1), lost }
    }

    /// Whether it has failed.
    pub fn failed(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    fn count(&self) -> Result<(), StateError> {
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 1 { Err(failure()) } else { Ok(()) }
    }
}

fn failure() -> StateError {
    StateError { tried: "writing the state".to_owned(), message: "disk full".to_owned(), hint: None }
}

impl StateStore for Flaky<'_> {
    fn lease(&self, pipeline: &str) -> Result<Result<Box<dyn Lease>, String>, StateError> {
        self.store.lease(pipeline)
    }

    fn load(&self, pipeline: &str) -> Result<PipelineState, StateError> {
        self.count()?;
        self.store.load(pipeline)
    }

    fn save(&self, pipeline: &str, state: &PipelineState) -> Result<(), StateError> {
        self.count()?;
        self.store.save(pipeline, state)
    }

    fn approve(&self, pipeline: &str, at: Timestamp) -> Result<Option<Brake>, StateError> {
        self.count()?;
        self.store.approve(pipeline, at)
    }

    fn slices(&self, pipeline: &str, job: &str) -> Result<Vec<SliceState>, StateError> {
        self.count()?;
        self.store.slices(pipeline, job)
    }

    fn put_slice(&self, pipeline: &str, job: &str, slice: &SliceState) -> Result<(), StateError> {
        self.count()?;
        self.store.put_slice(pipeline, job, slice)
    }

    fn delivery(&self, pipeline: &str) -> Result<DeliveryState, StateError> {
        self.count()?;
        self.store.delivery(pipeline)
    }

    fn pipelines(&self) -> Result<Vec<String>, StateError> {
        self.store.pipelines()
    }

    fn counts(&self, pipeline: &str) -> Result<StateCounts, StateError> {
        self.count()?;
        self.store.counts(pipeline)
    }

    fn entries(
        &self,
        pipeline: &str,
        ledger: Ledger,
        from: i64,
        to: i64,
        each: &mut dyn FnMut(LedgerEntry),
    ) -> Result<(), StateError> {
        self.count()?;
        self.store.entries(pipeline, ledger, from, to, each)
    }

    fn look_up(&self, pipeline: &str, ledger: Ledger, keys: &[RowKey]) -> Result<Vec<Option<LedgerEntry>>, StateError> {
        self.count()?;
        self.store.look_up(pipeline, ledger, keys)
    }

    fn live_before(&self, pipeline: &str, before: i64, limit: usize) -> Result<Vec<LedgerEntry>, StateError> {
        self.count()?;
        self.store.live_before(pipeline, before, limit)
    }

    fn quarantined(&self, pipeline: &str, limit: usize) -> Result<Vec<QuarantineEntry>, StateError> {
        self.store.quarantined(pipeline, limit)
    }

    fn refused(&self, pipeline: &str) -> Result<Vec<RefusedEntry>, StateError> {
        self.count()?;
        self.store.refused(pipeline)
    }

    fn saved(&self, pipeline: &str, each: &mut dyn FnMut(Saved) -> ControlFlow<()>) -> Result<(), StateError> {
        self.count()?;
        self.store.saved(pipeline, each)
    }

    fn begin(&self, pipeline: &str) -> Result<Box<dyn StateTransaction + '_>, StateError> {
        self.count()?;
        Ok(Box::new(FlakyTransaction { store: self, inner: self.store.begin(pipeline)?, broken: Cell::new(false) }))
    }

    fn claim(&self, pipeline: &str, records_max: usize, bytes_max: usize) -> Result<Vec<OutboxRecord>, StateError> {
        self.count()?;
        self.store.claim(pipeline, records_max, bytes_max)
    }

    fn settle(
        &self,
        pipeline: &str,
        accepted: &[i64],
        refused: &[RefusedRecord],
        delivery: &DeliveryState,
        now: Timestamp,
    ) -> Result<(), StateError> {
        let counted = self.count();
        if counted.is_ok() || self.lost == Lost::Answer {
            self.store.settle(pipeline, accepted, refused, delivery, now)?;
        }
        counted
    }

    fn requeue_refused(&self, pipeline: &str, now: Timestamp) -> Result<u64, StateError> {
        self.count()?;
        self.store.requeue_refused(pipeline, now)
    }
}

struct FlakyTransaction<'a> {
    store: &'a Flaky<'a>,
    inner: Box<dyn StateTransaction + 'a>,
    /// An operation failed: going on with the transaction would be a mistake.
    broken: Cell<bool>,
}

impl FlakyTransaction<'_> {
    fn count(&self) -> Result<(), StateError> {
        assert!(!self.broken.get(), "a transaction goes on after it failed");
        self.store.count().inspect_err(|_| self.broken.set(true))
    }
}

impl StateTransaction for FlakyTransaction<'_> {
    fn row(&mut self, key: RowKey) -> Result<Option<LedgerRow>, StateError> {
        self.count()?;
        self.inner.row(key)
    }

    fn put_row(&mut self, row: &LedgerRow) -> Result<(), StateError> {
        self.count()?;
        self.inner.put_row(row)
    }

    fn delete_row(&mut self, key: RowKey) -> Result<(), StateError> {
        self.count()?;
        self.inner.delete_row(key)
    }

    fn lane_rows(&mut self, lane: &str, from: i64) -> Result<Vec<LedgerRow>, StateError> {
        self.count()?;
        self.inner.lane_rows(lane, from)
    }

    fn record(&mut self, key: RowKey, part: bool) -> Result<Option<LedgerRecord>, StateError> {
        self.count()?;
        self.inner.record(key, part)
    }

    fn put_record(&mut self, record: &LedgerRecord) -> Result<(), StateError> {
        self.count()?;
        self.inner.put_record(record)
    }

    fn delete_record(&mut self, key: RowKey, part: bool) -> Result<(), StateError> {
        self.count()?;
        self.inner.delete_record(key, part)
    }

    fn lane_records(&mut self, lane: &str, part: bool, from: i64) -> Result<Vec<LedgerRecord>, StateError> {
        self.count()?;
        self.inner.lane_records(lane, part, from)
    }

    fn lane_begins_before(&mut self, lane: &str, before: i64) -> Result<bool, StateError> {
        self.count()?;
        self.inner.lane_begins_before(lane, before)
    }

    fn enqueue(&mut self, entry: &OutboxEntry) -> Result<(), StateError> {
        self.count()?;
        self.inner.enqueue(entry)
    }

    fn release(&mut self) -> Result<(), StateError> {
        self.count()?;
        self.inner.release()
    }

    fn replace_lane_quarantine(
        &mut self,
        lane: &str,
        from: i64,
        entries: &[QuarantineEntry],
    ) -> Result<(), StateError> {
        self.count()?;
        self.inner.replace_lane_quarantine(lane, from, entries)
    }

    fn heal_rows(&mut self, keys: &[String]) -> Result<(), StateError> {
        self.count()?;
        self.inner.heal_rows(keys)
    }

    fn replace_row_quarantine(&mut self, keep_before: i64, entries: &[QuarantineEntry]) -> Result<(), StateError> {
        self.count()?;
        self.inner.replace_row_quarantine(keep_before, entries)
    }

    fn forget(&mut self, what: Forget) -> Result<(), StateError> {
        self.count()?;
        self.inner.forget(what)
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        self.count()?;
        self.inner.restore(saved)
    }

    fn put_state(&mut self, state: &PipelineState) -> Result<(), StateError> {
        self.count()?;
        self.inner.put_state(state)
    }

    fn commit(self: Box<Self>) -> Result<(), StateError> {
        let counted = self.count();
        if counted.is_ok() || self.store.lost == Lost::Answer {
            self.inner.commit()?;
        }
        counted
    }
}
