//! The transaction of a run.

use std::sync::MutexGuard;

use engine_core::canonical::RowKey;
use engine_core::state::{
    Forget, LedgerRecord, LedgerRow, OutboxEntry, PipelineState, QuarantineEntry, Saved, SavedOutbox, StateError,
    StateTransaction,
};
use rusqlite::Connection;

use super::ledger::{Section, Writer};
use super::outbox::Appender;
use super::sheet::{Entry, Shelf};
use super::{SqliteStore, number, outbox, put_delivery, put_state, quarantine, saved};

/// Rows, and records, of a copy that are written at a time.
const RESTORED_MAX: usize = 4_096;

/// Holds the connection that writes until it is committed or dropped.
pub(super) struct SqliteTransaction<'a> {
    store: &'a SqliteStore,
    connection: MutexGuard<'a, Connection>,
    /// The pipeline's id.
    pipeline: String,
    /// The pipeline's number in this file.
    no: i64,
    /// A statement failed. SQLite may have rolled back by then (a full disk does that), and what came after would be
    /// committed alone.
    broken: bool,
    outbox: Appender,
    ledger: Writer,
    /// Rows and records of a copy that is read back, until there are many of them.
    restored_rows: Vec<LedgerRow>,
    restored_records: Vec<LedgerRecord>,
}

impl<'a> SqliteTransaction<'a> {
    pub(super) fn begin(store: &'a SqliteStore, pipeline: &str) -> Result<Self, StateError> {
        let connection = store.lock();
        let mut transaction = Self {
            store,
            connection,
            pipeline: pipeline.to_owned(),
            no: 0,
            broken: false,
            outbox: Appender::default(),
            ledger: Writer::default(),
            restored_rows: Vec::new(),
            restored_records: Vec::new(),
        };
        transaction.no = transaction.attempt("beginning a transaction", |connection, _| {
            connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            if let Some(no) = number(connection, pipeline)? {
                return Ok(no);
            }
            connection.prepare_cached("INSERT INTO pipeline (id) VALUES (?1)")?.execute([pipeline])?;
            Ok(connection.last_insert_rowid())
        })?;
        Ok(transaction)
    }

    fn attempt<T>(
        &mut self,
        tried: &str,
        body: impl FnOnce(&Connection, i64) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        if self.broken {
            return Err(StateError {
                tried: format!("{tried} in the state file {}", self.store.path().display()),
                message: "an earlier statement of this transaction failed".to_owned(),
                hint: None,
            });
        }
        body(&self.connection, self.no).map_err(|failure| {
            self.broken = true;
            self.store.failed(tried, &failure)
        })
    }

    fn on_ledger<T>(
        &mut self,
        tried: &str,
        shelf: Shelf,
        body: impl FnOnce(Section<'_>, &mut Writer) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        self.put_restored()?;
        let mut ledger = std::mem::take(&mut self.ledger);
        let outcome =
            self.attempt(tried, |connection, pipeline| body(Section { connection, pipeline, shelf }, &mut ledger));
        self.ledger = ledger;
        outcome
    }

    fn on_outbox<T>(
        &mut self,
        tried: &str,
        body: impl FnOnce(&Connection, i64, &mut Appender) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        let mut outbox = std::mem::take(&mut self.outbox);
        let outcome = self.attempt(tried, |connection, no| body(connection, no, &mut outbox));
        self.outbox = outbox;
        outcome
    }

    /// Writes what a copy had, machine by machine.
    fn put_restored(&mut self) -> Result<(), StateError> {
        if !self.restored_rows.is_empty() {
            let mut rows = std::mem::take(&mut self.restored_rows);
            rows.sort_by(|one, other| one.lane.cmp(&other.lane));
            self.put_rows(&rows, &|_| false)?;
        }
        if !self.restored_records.is_empty() {
            let mut records = std::mem::take(&mut self.restored_records);
            records.sort_by(|one, other| (one.part, &one.lane).cmp(&(other.part, &other.lane)));
            self.put_records(records, &|_| false)?;
        }
        Ok(())
    }
}

impl Drop for SqliteTransaction<'_> {
    fn drop(&mut self) {
        // Nothing to do about a failure here: the next transaction begins with one, and says so.
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

impl StateTransaction for SqliteTransaction<'_> {
    fn row(&mut self, key: RowKey) -> Result<Option<LedgerRow>, StateError> {
        self.on_ledger("reading a row", Shelf::Rows, |at, ledger| {
            ledger.get(at, key, |lane, Entry { head, body }| head.row(lane, body))
        })
    }

    fn put_row(&mut self, row: &LedgerRow) -> Result<(), StateError> {
        self.put_rows(std::slice::from_ref(row), &|_| false)
    }

    fn put_rows(&mut self, rows: &[LedgerRow], fresh: &dyn Fn(RowKey) -> bool) -> Result<(), StateError> {
        self.on_ledger("writing a row", Shelf::Rows, |at, ledger| {
            ledger.put_rows(at.connection, at.pipeline, rows, fresh)
        })
    }

    fn delete_row(&mut self, key: RowKey) -> Result<(), StateError> {
        self.on_ledger("removing a row", Shelf::Rows, |at, ledger| ledger.delete(at, key))
    }

    fn lane_rows(&mut self, lane: &str, from: i64) -> Result<Vec<LedgerRow>, StateError> {
        self.on_ledger("reading the rows of a machine", Shelf::Rows, |at, ledger| {
            ledger.reaching(at, lane, from, |Entry { head, body }| head.row(lane, body))
        })
    }

    fn record(&mut self, key: RowKey, part: bool) -> Result<Option<LedgerRecord>, StateError> {
        let shelf = Shelf::of_records(part);
        self.on_ledger("reading a record", shelf, |at, ledger| {
            ledger.get(at, key, |lane, Entry { head, body }| head.record(shelf, lane, body))
        })
    }

    fn put_record(&mut self, record: &LedgerRecord) -> Result<(), StateError> {
        self.put_records(vec![record.clone()], &|_| false)
    }

    fn put_records(&mut self, records: Vec<LedgerRecord>, fresh: &dyn Fn(RowKey) -> bool) -> Result<(), StateError> {
        self.on_ledger("writing a record", Shelf::Records, |at, ledger| {
            ledger.put_records(at.connection, at.pipeline, &records, fresh)
        })
    }

    fn delete_record(&mut self, key: RowKey, part: bool) -> Result<(), StateError> {
        self.on_ledger("removing a record", Shelf::of_records(part), |at, ledger| ledger.delete(at, key))
    }

    fn lane_records(&mut self, lane: &str, part: bool, from: i64) -> Result<Vec<LedgerRecord>, StateError> {
        let shelf = Shelf::of_records(part);
        self.on_ledger("reading the records of a machine", shelf, |at, ledger| {
            if !ledger.may_hold(at)? {
                return Ok(Vec::new());
            }
            ledger.reaching(at, lane, from, |Entry { head, body }| head.record(shelf, lane, body))
        })
    }

    fn lane_spans(&mut self, lane: &str, from: i64) -> Result<Vec<(i64, i64)>, StateError> {
        self.on_ledger("reading how far the records of a machine reach", Shelf::Records, |at, ledger| {
            ledger.reaching(at, lane, from, |Entry { head, .. }| (head.start, head.end))
        })
    }

    fn lane_begins_before(&mut self, lane: &str, before: i64) -> Result<bool, StateError> {
        self.on_ledger("looking for the beginning of a machine", Shelf::Records, |at, ledger| {
            Ok(ledger.begins_before(at, lane, before)?
                || ledger.begins_before(Section { shelf: Shelf::Parts, ..at }, lane, before)?)
        })
    }

    fn enqueue(&mut self, entry: &OutboxEntry) -> Result<(), StateError> {
        self.on_outbox("appending to the outbox", |connection, no, outbox| outbox.append(connection, no, entry))
    }

    fn release(&mut self) -> Result<(), StateError> {
        self.on_outbox("letting held records go", |connection, no, outbox| {
            outbox.finish(connection, no)?;
            outbox::release(connection, no)
        })
    }

    fn replace_lane_quarantine(
        &mut self,
        lane: &str,
        from: i64,
        entries: &[QuarantineEntry],
    ) -> Result<(), StateError> {
        self.attempt("writing the quarantine of a machine", |connection, no| {
            quarantine::replace_lane(connection, no, lane, from, entries)
        })
    }

    fn heal_rows(&mut self, keys: &[String]) -> Result<(), StateError> {
        self.attempt("writing the quarantine", |connection, no| quarantine::heal_rows(connection, no, keys))
    }

    fn replace_row_quarantine(&mut self, keep_before: i64, entries: &[QuarantineEntry]) -> Result<(), StateError> {
        self.attempt("writing the quarantine", |connection, no| {
            quarantine::replace_rows(connection, no, keep_before, entries)
        })
    }

    fn forget(&mut self, what: Forget) -> Result<(), StateError> {
        self.put_restored()?;
        self.ledger = Writer::default();
        self.on_outbox("filling the outbox", |connection, no, outbox| outbox.finish(connection, no))?;
        self.attempt("forgetting", |connection, no| saved::forget(connection, no, what))
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        match saved {
            Saved::State(state) => self.put_state(state),
            Saved::Delivery(delivery) => {
                let pipeline = self.pipeline.clone();
                self.attempt("writing the delivery's state", |connection, _| {
                    put_delivery(connection, &pipeline, delivery)
                })
            }
            Saved::Row(row) => {
                self.restored_rows.push(row.clone());
                if self.restored_rows.len() < RESTORED_MAX { Ok(()) } else { self.put_restored() }
            }
            Saved::Record(record) => {
                self.restored_records.push(record.clone());
                if self.restored_records.len() < RESTORED_MAX { Ok(()) } else { self.put_restored() }
            }
            Saved::Outbox(waiting) => {
                let SavedOutbox { id, held, refusals, refused_since, body } = waiting;
                self.on_outbox("filling the outbox", |connection, no, outbox| {
                    outbox.push(connection, no, *id, *held, (*refusals, *refused_since), body).map(drop)
                })
            }
            Saved::Rejected(entry) => {
                self.attempt("filling the quarantine", |connection, no| saved::put_rejected(connection, no, entry))
            }
            Saved::Refused(entry) => {
                self.attempt("filling the quarantine", |connection, no| saved::put_refused(connection, no, entry))
            }
        }
    }

    fn put_state(&mut self, state: &PipelineState) -> Result<(), StateError> {
        let pipeline = self.pipeline.clone();
        self.attempt("writing a pipeline's state", |connection, _| put_state(connection, &pipeline, state))
    }

    fn commit(mut self: Box<Self>) -> Result<(), StateError> {
        self.on_ledger("writing where the ledger has its keys", Shelf::Rows, |at, ledger| {
            ledger.flush(at.connection, at.pipeline)
        })?;
        self.on_outbox("filling the outbox", |connection, no, outbox| outbox.finish(connection, no))?;
        self.attempt("committing", |connection, _| connection.prepare_cached("COMMIT")?.execute([]).map(drop))
    }
}
