//! A state store whose every operation can be seen, and made to fail.

use std::cell::Cell;
use std::ops::ControlFlow;

use engine_core::canonical::RowKey;
use engine_core::memory::MemoryStore;
use engine_core::state::{
    Brake, DeliveryState, Forget, Lease, Ledger, LedgerEntry, LedgerRecord, LedgerRow, OutboxEntry, OutboxRecord,
    PipelineState, QuarantineEntry, RefusedEntry, RefusedRecord, Saved, SliceState, StateCounts, StateError,
    StateStore, StateTransaction, Waiting,
};
use jiff::Timestamp;

/// Stands before and behind every operation of a store and of its transactions.
pub trait Watch: Sync {
    /// An error keeps the operation from happening.
    fn before(&self, operation: &'static str) -> Result<(), StateError>;
    /// It has happened; an error loses its answer.
    fn after(&self, operation: &'static str) -> Result<(), StateError>;
    /// Records in these places have been settled: accepted, or refused.
    fn settled(&self, _accepted: &[i64], _refused: &[RefusedRecord]) {}
    /// The transaction that was begun last has ended, one way or another.
    fn ended(&self) {}
}

/// A store that is watched.
pub struct Watched<'a, W> {
    pub store: &'a MemoryStore,
    pub watch: W,
}

impl<W: Watch> Watched<'_, W> {
    fn around<T>(&self, operation: &'static str, act: impl FnOnce() -> Result<T, StateError>) -> Result<T, StateError> {
        self.watch.before(operation)?;
        let answer = act()?;
        self.watch.after(operation)?;
        Ok(answer)
    }
}

impl<W: Watch + Send> StateStore for Watched<'_, W> {
    fn lease(&self, pipeline: &str) -> Result<Result<Box<dyn Lease>, String>, StateError> {
        self.store.lease(pipeline)
    }

    fn load(&self, pipeline: &str) -> Result<PipelineState, StateError> {
        self.around("load", || self.store.load(pipeline))
    }

    fn save(&self, pipeline: &str, state: &PipelineState) -> Result<(), StateError> {
        self.around("save", || self.store.save(pipeline, state))
    }

    fn approve(&self, pipeline: &str, at: Timestamp) -> Result<Option<Brake>, StateError> {
        self.around("approve", || self.store.approve(pipeline, at))
    }

    fn slices(&self, pipeline: &str, job: &str) -> Result<Vec<SliceState>, StateError> {
        self.around("slices", || self.store.slices(pipeline, job))
    }

    fn slice(&self, pipeline: &str, job: &str, number: u32) -> Result<Option<SliceState>, StateError> {
        self.around("slice", || self.store.slice(pipeline, job, number))
    }

    fn put_slice(&self, pipeline: &str, job: &str, slice: &SliceState) -> Result<(), StateError> {
        self.around("put_slice", || self.store.put_slice(pipeline, job, slice))
    }

    fn delivery(&self, pipeline: &str) -> Result<DeliveryState, StateError> {
        self.around("delivery", || self.store.delivery(pipeline))
    }

    fn pipelines(&self) -> Result<Vec<String>, StateError> {
        self.store.pipelines()
    }

    fn waiting(&self, pipeline: &str) -> Result<Waiting, StateError> {
        self.around("counts", || self.store.waiting(pipeline))
    }

    fn counts(&self, pipeline: &str) -> Result<StateCounts, StateError> {
        self.around("counts", || self.store.counts(pipeline))
    }

    fn entries(
        &self,
        pipeline: &str,
        ledger: Ledger,
        from: i64,
        to: i64,
        each: &mut dyn FnMut(LedgerEntry),
    ) -> Result<(), StateError> {
        self.around("entries", || self.store.entries(pipeline, ledger, from, to, each))
    }

    fn look_up(&self, pipeline: &str, ledger: Ledger, keys: &[RowKey]) -> Result<Vec<Option<LedgerEntry>>, StateError> {
        self.around("look_up", || self.store.look_up(pipeline, ledger, keys))
    }

    fn live_before(&self, pipeline: &str, before: i64, limit: usize) -> Result<Vec<LedgerEntry>, StateError> {
        self.around("live_before", || self.store.live_before(pipeline, before, limit))
    }

    fn latest(&self, pipeline: &str, limit: usize) -> Result<Vec<LedgerRecord>, StateError> {
        self.around("latest", || self.store.latest(pipeline, limit))
    }

    fn quarantined(&self, pipeline: &str, limit: usize) -> Result<Vec<QuarantineEntry>, StateError> {
        self.around("quarantined", || self.store.quarantined(pipeline, limit))
    }

    fn refused(&self, pipeline: &str) -> Result<Vec<RefusedEntry>, StateError> {
        self.around("refused", || self.store.refused(pipeline))
    }

    fn saved(&self, pipeline: &str, each: &mut dyn FnMut(Saved) -> ControlFlow<()>) -> Result<(), StateError> {
        self.around("saved", || self.store.saved(pipeline, each))
    }

    fn begin(&self, pipeline: &str) -> Result<Box<dyn StateTransaction + '_>, StateError> {
        let inner = self.around("begin", || self.store.begin(pipeline))?;
        Ok(Box::new(WatchedTransaction {
            watch: &self.watch,
            _open: Open(&self.watch),
            inner,
            broken: Cell::new(false),
        }))
    }

    fn claim(&self, pipeline: &str, records_max: usize, bytes_max: usize) -> Result<Vec<OutboxRecord>, StateError> {
        self.around("claim", || self.store.claim(pipeline, records_max, bytes_max))
    }

    fn settle(
        &self,
        pipeline: &str,
        accepted: &[i64],
        refused: &[RefusedRecord],
        delivery: &DeliveryState,
        now: Timestamp,
    ) -> Result<(), StateError> {
        self.around("settle", || {
            self.store.settle(pipeline, accepted, refused, delivery, now)?;
            self.watch.settled(accepted, refused);
            Ok(())
        })
    }

    fn requeue_refused(&self, pipeline: &str, now: Timestamp) -> Result<u64, StateError> {
        self.around("requeue_refused", || self.store.requeue_refused(pipeline, now))
    }
}

struct WatchedTransaction<'a, W: Watch> {
    watch: &'a W,
    _open: Open<'a, W>,
    inner: Box<dyn StateTransaction + 'a>,
    /// An operation failed: going on with the transaction would be a mistake.
    broken: Cell<bool>,
}

/// Says when the transaction ends.
struct Open<'a, W: Watch>(&'a W);

impl<W: Watch> Drop for Open<'_, W> {
    fn drop(&mut self) {
        self.0.ended();
    }
}

impl<'a, W: Watch> WatchedTransaction<'a, W> {
    fn before(&self, operation: &'static str) -> Result<(), StateError> {
        assert!(!self.broken.get(), "a transaction goes on after it failed");
        self.watch.before(operation).inspect_err(|_| self.broken.set(true))
    }

    fn around<T>(
        &mut self,
        operation: &'static str,
        act: impl FnOnce(&mut (dyn StateTransaction + 'a)) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        self.before(operation)?;
        let answer = act(self.inner.as_mut())?;
        self.watch.after(operation).inspect_err(|_| self.broken.set(true))?;
        Ok(answer)
    }
}

impl<W: Watch> StateTransaction for WatchedTransaction<'_, W> {
    fn row(&mut self, key: RowKey) -> Result<Option<LedgerRow>, StateError> {
        self.around("row", |tx| tx.row(key))
    }

    fn put_row(&mut self, row: &LedgerRow) -> Result<(), StateError> {
        self.around("put_row", |tx| tx.put_row(row))
    }

    fn put_rows(&mut self, rows: &[LedgerRow], fresh: &dyn Fn(RowKey) -> bool) -> Result<(), StateError> {
        rows.iter().try_for_each(|row| {
            // A store that does not look would have two of it.
            assert!(!fresh(row.key) || self.inner.row(row.key)?.is_none(), "a fresh row is there already");
            self.put_row(row)
        })
    }

    fn delete_row(&mut self, key: RowKey) -> Result<(), StateError> {
        self.around("delete_row", |tx| tx.delete_row(key))
    }

    fn lane_rows(&mut self, lane: &str, from: i64) -> Result<Vec<LedgerRow>, StateError> {
        self.around("lane_rows", |tx| tx.lane_rows(lane, from))
    }

    fn record(&mut self, key: RowKey, part: bool) -> Result<Option<LedgerRecord>, StateError> {
        self.around("record", |tx| tx.record(key, part))
    }

    fn put_record(&mut self, record: &LedgerRecord) -> Result<(), StateError> {
        self.around("put_record", |tx| tx.put_record(record))
    }

    fn put_records(&mut self, records: Vec<LedgerRecord>, fresh: &dyn Fn(RowKey) -> bool) -> Result<(), StateError> {
        records.iter().try_for_each(|record| {
            let known = self.inner.record(record.key, record.part)?;
            assert!(!fresh(record.key) || known.is_none(), "a fresh record is there already");
            self.put_record(record)
        })
    }

    fn delete_record(&mut self, key: RowKey, part: bool) -> Result<(), StateError> {
        self.around("delete_record", |tx| tx.delete_record(key, part))
    }

    fn lane_records(&mut self, lane: &str, part: bool, from: i64) -> Result<Vec<LedgerRecord>, StateError> {
        self.around("lane_records", |tx| tx.lane_records(lane, part, from))
    }

    fn lane_spans(&mut self, lane: &str, from: i64) -> Result<Vec<(i64, i64)>, StateError> {
        self.around("lane_spans", |tx| tx.lane_spans(lane, from))
    }

    fn lane_begins_before(&mut self, lane: &str, before: i64) -> Result<bool, StateError> {
        self.around("lane_begins_before", |tx| tx.lane_begins_before(lane, before))
    }

    fn enqueue(&mut self, entry: &OutboxEntry) -> Result<(), StateError> {
        self.around("enqueue", |tx| tx.enqueue(entry))
    }

    fn release(&mut self) -> Result<(), StateError> {
        self.around("release", |tx| tx.release())
    }

    fn replace_lane_quarantine(
        &mut self,
        lane: &str,
        from: i64,
        entries: &[QuarantineEntry],
    ) -> Result<(), StateError> {
        self.around("replace_lane_quarantine", |tx| tx.replace_lane_quarantine(lane, from, entries))
    }

    fn heal_rows(&mut self, keys: &[String]) -> Result<(), StateError> {
        self.around("heal_rows", |tx| tx.heal_rows(keys))
    }

    fn replace_row_quarantine(&mut self, keep_before: i64, entries: &[QuarantineEntry]) -> Result<(), StateError> {
        self.around("replace_row_quarantine", |tx| tx.replace_row_quarantine(keep_before, entries))
    }

    fn forget(&mut self, what: Forget) -> Result<(), StateError> {
        self.around("forget", |tx| tx.forget(what))
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        self.around("restore", |tx| tx.restore(saved))
    }

    fn put_state(&mut self, state: &PipelineState) -> Result<(), StateError> {
        self.around("put_state", |tx| tx.put_state(state))
    }

    fn commit(self: Box<Self>) -> Result<(), StateError> {
        self.before("commit")?;
        self.inner.commit()?;
        self.watch.after("commit")
    }
}
