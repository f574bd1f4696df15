//! The transaction of a run.

use std::sync::MutexGuard;

use engine_core::canonical::RowKey;
use engine_core::state::{
    Forget, LedgerRecord, LedgerRow, OutboxEntry, PipelineState, QuarantineEntry, Saved, StateError, StateTransaction,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::{SqliteStore, number, outbox, put_delivery, put_state, quarantine, saved, sixteen};

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
    /// Whether anything of the pipeline may be refused; `None` until somebody wants to know.
    any_refused: Option<bool>,
}

impl<'a> SqliteTransaction<'a> {
    pub(super) fn begin(store: &'a SqliteStore, pipeline: &str) -> Result<Self, StateError> {
        let connection = store.lock();
        let mut transaction =
            Self { store, connection, pipeline: pipeline.to_owned(), no: 0, broken: false, any_refused: None };
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
}

impl Drop for SqliteTransaction<'_> {
    fn drop(&mut self) {
        // Nothing to do about a failure here: the next transaction begins with one, and says so.
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

pub(super) const LANE_ROWS: &str = "SELECT key, hash, at, lane, starts, body FROM source_row \
     WHERE pipeline = ?1 AND lane = ?2 AND starts >= ?3 ORDER BY starts, key";
pub(super) const LANE_RECORDS: &str = "SELECT key, part, id, hash, at, lane, starts, ends, body FROM record \
     WHERE pipeline = ?1 AND part = ?2 AND lane = ?3 AND ends >= ?4 ORDER BY starts, key";
pub(super) const LANE_SPANS: &str = "SELECT starts, ends FROM record \
     WHERE pipeline = ?1 AND part = 0 AND lane = ?2 AND ends >= ?3 ORDER BY starts, ends";
pub(super) const LANE_BEGINS: &str =
    "SELECT 1 FROM record WHERE pipeline = ?1 AND part IN (0, 1) AND lane = ?2 AND starts < ?3";

pub(super) fn ledger_row(row: &Row<'_>) -> rusqlite::Result<LedgerRow> {
    Ok(LedgerRow {
        key: RowKey::from_bytes(sixteen(row, 0)?),
        hash: row.get::<_, i64>(1)?.cast_unsigned(),
        at: row.get(2)?,
        lane: row.get(3)?,
        start: row.get(4)?,
        body: row.get(5)?,
    })
}

pub(super) fn ledger_record(row: &Row<'_>) -> rusqlite::Result<LedgerRecord> {
    Ok(LedgerRecord {
        key: RowKey::from_bytes(sixteen(row, 0)?),
        part: row.get(1)?,
        id: Uuid::from_bytes(sixteen(row, 2)?),
        hash: row.get::<_, i64>(3)?.cast_unsigned(),
        at: row.get(4)?,
        lane: row.get(5)?,
        start: row.get(6)?,
        end: row.get(7)?,
        body: row.get(8)?,
    })
}

impl StateTransaction for SqliteTransaction<'_> {
    fn row(&mut self, key: RowKey) -> Result<Option<LedgerRow>, StateError> {
        self.attempt("reading a row", |connection, no| {
            connection
                .prepare_cached(
                    "SELECT key, hash, at, lane, starts, body FROM source_row WHERE pipeline = ?1 AND key = ?2",
                )?
                .query_row(params![no, key.to_bytes()], ledger_row)
                .optional()
        })
    }

    fn put_row(&mut self, row: &LedgerRow) -> Result<(), StateError> {
        self.attempt("writing a row", |connection, no| {
            connection
                .prepare_cached(
                    "INSERT INTO source_row (pipeline, key, hash, at, lane, starts, body)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                     ON CONFLICT (pipeline, key) DO UPDATE SET
                         hash = excluded.hash, at = excluded.at, lane = excluded.lane, starts = excluded.starts,
                         body = excluded.body
                     WHERE (hash, at, lane, starts, body)
                         IS NOT (excluded.hash, excluded.at, excluded.lane, excluded.starts, excluded.body)",
                )?
                .execute(params![no, row.key.to_bytes(), row.hash.cast_signed(), row.at, row.lane, row.start, row.body])
                .map(drop)
        })
    }

    fn delete_row(&mut self, key: RowKey) -> Result<(), StateError> {
        self.attempt("removing a row", |connection, no| {
            connection
                .prepare_cached("DELETE FROM source_row WHERE pipeline = ?1 AND key = ?2")?
                .execute(params![no, key.to_bytes()])
                .map(drop)
        })
    }

    fn lane_rows(&mut self, lane: &str, from: i64) -> Result<Vec<LedgerRow>, StateError> {
        self.attempt("reading the rows of a machine", |connection, no| {
            connection.prepare_cached(LANE_ROWS)?.query_map(params![no, lane, from], ledger_row)?.collect()
        })
    }

    fn record(&mut self, key: RowKey, part: bool) -> Result<Option<LedgerRecord>, StateError> {
        self.attempt("reading a record", |connection, no| {
            connection
                .prepare_cached(
                    "SELECT key, part, id, hash, at, lane, starts, ends, body FROM record
                     WHERE pipeline = ?1 AND part = ?2 AND key = ?3",
                )?
                .query_row(params![no, part, key.to_bytes()], ledger_record)
                .optional()
        })
    }

    fn put_record(&mut self, record: &LedgerRecord) -> Result<(), StateError> {
        self.attempt("writing a record", |connection, no| {
            connection
                .prepare_cached(
                    "INSERT INTO record (pipeline, part, key, id, hash, at, lane, starts, ends, body)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                     ON CONFLICT (pipeline, part, key) DO UPDATE SET
                         id = excluded.id, hash = excluded.hash, at = excluded.at, lane = excluded.lane,
                         starts = excluded.starts, ends = excluded.ends, body = excluded.body
                     WHERE (id, hash, at, lane, starts, ends, body)
                         IS NOT (excluded.id, excluded.hash, excluded.at, excluded.lane, excluded.starts,
                                 excluded.ends, excluded.body)",
                )?
                .execute(params![
                    no,
                    record.part,
                    record.key.to_bytes(),
                    record.id.as_bytes(),
                    record.hash.cast_signed(),
                    record.at,
                    record.lane,
                    record.start,
                    record.end,
                    record.body
                ])
                .map(drop)
        })
    }

    fn delete_record(&mut self, key: RowKey, part: bool) -> Result<(), StateError> {
        self.attempt("removing a record", |connection, no| {
            connection
                .prepare_cached("DELETE FROM record WHERE pipeline = ?1 AND part = ?2 AND key = ?3")?
                .execute(params![no, part, key.to_bytes()])
                .map(drop)
        })
    }

    fn lane_records(&mut self, lane: &str, part: bool, from: i64) -> Result<Vec<LedgerRecord>, StateError> {
        self.attempt("reading the records of a machine", |connection, no| {
            connection.prepare_cached(LANE_RECORDS)?.query_map(params![no, part, lane, from], ledger_record)?.collect()
        })
    }

    fn lane_spans(&mut self, lane: &str, from: i64) -> Result<Vec<(i64, i64)>, StateError> {
        self.attempt("reading how far the records of a machine reach", |connection, no| {
            let span = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            connection.prepare_cached(LANE_SPANS)?.query_map(params![no, lane, from], span)?.collect()
        })
    }

    fn lane_begins_before(&mut self, lane: &str, before: i64) -> Result<bool, StateError> {
        self.attempt("looking for the beginning of a machine", |connection, no| {
            connection.prepare_cached(LANE_BEGINS)?.exists(params![no, lane, before])
        })
    }

    fn enqueue(&mut self, entry: &OutboxEntry) -> Result<(), StateError> {
        let known = self.any_refused;
        let any_refused = self.attempt("appending to the outbox", |connection, no| {
            let any_refused = known.map_or_else(|| outbox::is_any_refused(connection, no), Ok)?;
            outbox::append(connection, no, entry, any_refused)?;
            Ok(any_refused)
        })?;
        self.any_refused = Some(any_refused);
        Ok(())
    }

    fn release(&mut self) -> Result<(), StateError> {
        self.attempt("letting held records go", outbox::release)
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
        self.attempt("forgetting", |connection, no| saved::forget(connection, no, what))
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        self.any_refused = None;
        match saved {
            Saved::State(state) => self.put_state(state),
            Saved::Delivery(delivery) => {
                let pipeline = self.pipeline.clone();
                self.attempt("writing the delivery's state", |connection, _| {
                    put_delivery(connection, &pipeline, delivery)
                })
            }
            Saved::Row(row) => self.put_row(row),
            Saved::Record(record) => self.put_record(record),
            Saved::Outbox(waiting) => {
                self.attempt("filling the outbox", |connection, no| saved::put_outbox(connection, no, waiting))
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
        self.attempt("committing", |connection, _| connection.prepare_cached("COMMIT")?.execute([]).map(drop))
    }
}
