//! The transaction of a run over a store in memory.

use std::sync::Arc;

use super::MemoryStore;
use super::pipeline::MemoryPipeline;
use crate::canonical::RowKey;
use crate::state::{
    Body, DirectRecord, Forget, LedgerRecord, LedgerRow, OutboxEntry, PipelineState, QuarantineEntry, RefusedEntry,
    Saved, SavedOutbox, Stage, StateError, StateTransaction,
};

pub(super) struct MemoryTransaction<'a> {
    pub(super) store: &'a MemoryStore,
    pub(super) pipeline: String,
    /// What is written to; `None` where that is the store itself.
    pub(super) copy: Option<MemoryPipeline>,
}

impl MemoryTransaction<'_> {
    fn with<T>(&mut self, use_it: impl FnOnce(&mut MemoryPipeline) -> T) -> T {
        match &mut self.copy {
            Some(copy) => use_it(copy),
            None => self.store.with(&self.pipeline, use_it),
        }
    }
}

/// Entries that were in quarantine already keep the time at which they were refused first.
fn seen_before(known: &MemoryPipeline, entries: &[QuarantineEntry]) -> Vec<QuarantineEntry> {
    let first_seen = |new: &QuarantineEntry| {
        let same = |old: &QuarantineEntry| old.stage == new.stage && old.key == new.key && old.code == new.code;
        known.quarantine.iter().find(|(old, _)| same(old)).map_or(new.first_seen, |(old, _)| old.first_seen)
    };
    entries.iter().map(|entry| QuarantineEntry { first_seen: first_seen(entry), ..entry.clone() }).collect()
}

impl StateTransaction for MemoryTransaction<'_> {
    fn row(&mut self, key: RowKey) -> Result<Option<LedgerRow>, StateError> {
        Ok(self.with(|known| known.rows.get(&key).cloned()))
    }

    fn put_row(&mut self, row: &LedgerRow) -> Result<(), StateError> {
        self.with(|known| known.put_row(row));
        Ok(())
    }

    fn delete_row(&mut self, key: RowKey) -> Result<(), StateError> {
        self.with(|known| known.delete_row(key));
        Ok(())
    }

    fn lane_rows(&mut self, lane: &str, from: i64) -> Result<Vec<LedgerRow>, StateError> {
        Ok(self.with(|known| known.lane_rows(lane, from)))
    }

    fn record(&mut self, key: RowKey, part: bool) -> Result<Option<LedgerRecord>, StateError> {
        Ok(self.with(|known| known.records.get(key, part).cloned()))
    }

    fn put_record(&mut self, record: &LedgerRecord) -> Result<(), StateError> {
        self.with(|known| known.put_record(record.clone(), false));
        Ok(())
    }

    fn put_records(&mut self, records: Vec<LedgerRecord>, fresh: &dyn Fn(RowKey) -> bool) -> Result<(), StateError> {
        self.with(|known| {
            for record in records {
                let is_fresh = fresh(record.key);
                known.put_record(record, is_fresh);
            }
        });
        Ok(())
    }

    fn delete_record(&mut self, key: RowKey, part: bool) -> Result<(), StateError> {
        self.with(|known| known.delete_record(key, part));
        Ok(())
    }

    fn lane_records(&mut self, lane: &str, part: bool, from: i64) -> Result<Vec<LedgerRecord>, StateError> {
        Ok(self.with(|known| known.lane_records(lane, part, from)))
    }

    fn lane_begins_before(&mut self, lane: &str, before: i64) -> Result<bool, StateError> {
        Ok(self.with(|known| known.lane_begins(lane)).is_some_and(|start| start < before))
    }

    fn enqueue(&mut self, entry: &OutboxEntry) -> Result<(), StateError> {
        // Elsewhere, a removal may wait of what is fresh to the ledger. A store for one run has nothing but from that run.
        let fresh = entry.fresh && self.copy.is_none();
        self.with(|known| known.enqueue(entry.id, entry.body.as_str().into(), entry.held, fresh));
        Ok(())
    }

    fn put_direct(&mut self, records: &[DirectRecord], text: &str, held: bool) -> Result<(), StateError> {
        let text: Arc<str> = text.into();
        let is_for_one_run = self.copy.is_none();
        self.with(|known| {
            for DirectRecord { record, body_start, body_len, fresh } in records {
                let body = Body::piece(&text, *body_start, *body_len);
                known.enqueue(record.id, body, held, *fresh && is_for_one_run);
                known.put_record(record.clone(), *fresh);
            }
        });
        Ok(())
    }

    fn release(&mut self) -> Result<(), StateError> {
        self.with(|known| known.outbox.release());
        Ok(())
    }

    fn replace_lane_quarantine(
        &mut self,
        lane: &str,
        from: i64,
        entries: &[QuarantineEntry],
    ) -> Result<(), StateError> {
        self.with(|known| {
            let entries = seen_before(known, entries);
            known.quarantine.retain(|(entry, _)| {
                entry.stage != Stage::Run || entry.lane.as_deref() != Some(lane) || entry.at.is_some_and(|at| at < from)
            });
            known.quarantine.extend(entries.into_iter().map(|entry| (entry, None)));
        });
        Ok(())
    }

    fn heal_rows(&mut self, keys: &[String]) -> Result<(), StateError> {
        self.with(|known| {
            known.quarantine.retain(|(entry, _)| entry.stage != Stage::Row || !keys.contains(&entry.key));
        });
        Ok(())
    }

    fn replace_row_quarantine(&mut self, keep_before: i64, entries: &[QuarantineEntry]) -> Result<(), StateError> {
        self.with(|known| {
            let entries = seen_before(known, entries);
            known.quarantine.retain(|(old, _)| {
                let again =
                    entries.iter().any(|new| new.stage == old.stage && new.key == old.key && new.code == old.code);
                old.stage != Stage::Row
                    || (!again && (keep_before == i64::MAX || old.at.is_some_and(|at| at < keep_before)))
            });
            known.quarantine.extend(entries.into_iter().map(|entry| (entry, None)));
        });
        Ok(())
    }

    fn forget(&mut self, what: Forget) -> Result<(), StateError> {
        self.with(|known| match what {
            Forget::Everything => {
                let (leased, mut outbox) = (known.leased, std::mem::take(&mut known.outbox));
                outbox.clear();
                *known = MemoryPipeline { leased, outbox, ..MemoryPipeline::default() };
            }
            Forget::Ledger => {
                known.forget_ledger();
                known.quarantine.retain(|(entry, _)| entry.stage != Stage::Run);
            }
        });
        Ok(())
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        self.with(|known| match saved {
            Saved::State(state) => known.state = (**state).clone(),
            Saved::Delivery(delivery) => known.delivery = delivery.clone(),
            Saved::Row(row) => known.put_row(row),
            Saved::Record(record) => known.put_record(record.clone(), false),
            Saved::Outbox(SavedOutbox { id, held, body, .. }) => known.enqueue(*id, body.as_str().into(), *held, false),
            Saved::Rejected(entry) => known.quarantine.push((entry.clone(), None)),
            Saved::Refused(refused) => {
                let RefusedEntry { id, code, message, body, first_seen, retry_at, .. } = refused.clone();
                let entry = QuarantineEntry::of_delivery(id, code, message, body, first_seen);
                known.quarantine.push((entry, Some(retry_at)));
            }
        });
        Ok(())
    }

    fn put_state(&mut self, state: &PipelineState) -> Result<(), StateError> {
        self.with(|known| known.state = state.clone());
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), StateError> {
        let Self { store, pipeline, copy } = *self;
        if let Some(copy) = copy {
            store.with(&pipeline, |known| {
                let leased = known.leased;
                *known = copy;
                known.leased = leased;
            });
        }
        Ok(())
    }
}
