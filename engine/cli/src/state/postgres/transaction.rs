//! The transaction of a run.

use engine_core::canonical::RowKey;
use engine_core::state::{
    DeliveryState, Forget, LedgerRecord, LedgerRow, OutboxEntry, PipelineState, QuarantineEntry, Saved, StateError,
    StateTransaction,
};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Row as _, query};
use uuid::Uuid;

use super::connect::{OPERATION_MAX, Used, in_time};
use super::error::Problem;
use super::pending::Pending;
use super::{Shared, json, lease, quarantine, saved, sixteen, text, text_or_none};

/// Holds a connection, and the lock on the pipeline's row, until it is committed or dropped.
pub(super) struct PostgresTransaction<'a> {
    shared: &'a Shared,
    /// `None` after something failed: the connection is closed then, and the server rolls back.
    used: Option<Used<'a>>,
    no: i64,
    pending: Pending,
}

/// Begins a transaction that writes about a pipeline: its number, its row locked, the lease checked.
pub(super) async fn begin(shared: &Shared, connection: &mut PgConnection, pipeline: &str) -> Result<i64, Problem> {
    query("BEGIN").execute(&mut *connection).await?;
    let lock = "SELECT no FROM pipeline WHERE id = $1 FOR UPDATE";
    let mut row = query(lock).bind(pipeline).fetch_optional(&mut *connection).await?;
    if row.is_none() {
        query("INSERT INTO pipeline (id) VALUES ($1) ON CONFLICT DO NOTHING")
            .bind(pipeline)
            .execute(&mut *connection)
            .await?;
        row = query(lock).bind(pipeline).fetch_optional(&mut *connection).await?;
    }
    let Some(row) = row else { return Err(Problem::Stored("the pipeline's row is gone".to_owned())) };
    lease::check(shared, connection, pipeline).await?;
    Ok(row.try_get(0)?)
}

impl<'a> PostgresTransaction<'a> {
    pub(super) fn begin(shared: &'a Shared, pipeline: &str) -> Result<Self, StateError> {
        let work = async {
            let mut used = shared.connections.take().await?;
            let no = begin(shared, &mut used.connection, pipeline).await?;
            Ok(Self { shared, used: Some(used), no, pending: Pending::default() })
        };
        shared
            .runtime
            .block_on(in_time(OPERATION_MAX, work))
            .map_err(|problem| shared.failed("beginning a transaction", &problem))
    }

    fn attempt<T>(
        &mut self,
        tried: &str,
        body: impl AsyncFnOnce(&mut PgConnection, i64) -> Result<T, Problem>,
    ) -> Result<T, StateError> {
        let Some(used) = &mut self.used else {
            return Err(StateError {
                tried: format!("{tried} in the state database {}", self.shared.place),
                message: "an earlier statement of this transaction failed".to_owned(),
                hint: None,
            });
        };
        let work = body(&mut used.connection, self.no);
        let outcome = self.shared.runtime.block_on(in_time(OPERATION_MAX, work));
        outcome.map_err(|problem| {
            self.used = None;
            self.shared.failed(tried, &problem)
        })
    }

    fn flush(&mut self) -> Result<(), StateError> {
        let mut pending = std::mem::take(&mut self.pending);
        self.attempt("writing the ledger and the outbox", async |connection, no| pending.flush(connection, no).await)
    }

    fn flush_if_full(&mut self) -> Result<(), StateError> {
        if self.pending.is_full() { self.flush() } else { Ok(()) }
    }
}

impl Drop for PostgresTransaction<'_> {
    fn drop(&mut self) {
        let Some(mut used) = self.used.take() else { return };
        let rolled_back = self.shared.runtime.block_on(in_time(OPERATION_MAX, async {
            query("ROLLBACK").execute(&mut used.connection).await?;
            Ok(())
        }));
        if rolled_back.is_ok() {
            self.shared.connections.keep(used);
        }
    }
}

const ROW: &str = "SELECT key, hash, at, lane, starts, body FROM source_row WHERE pipeline = $1 AND key = $2";
const RECORD: &str = "SELECT key, part, id, hash, at, lane, starts, ends, body FROM record \
     WHERE pipeline = $1 AND part = $2 AND key = $3";
const LANE_ROWS: &str = "SELECT key, hash, at, lane, starts, body FROM source_row \
     WHERE pipeline = $1 AND lane = $2 AND starts >= $3 ORDER BY starts, key";
const LANE_RECORDS: &str = "SELECT key, part, id, hash, at, lane, starts, ends, body FROM record \
     WHERE pipeline = $1 AND part = $2 AND lane = $3 AND ends >= $4 ORDER BY starts, key";
const LANE_SPANS: &str = "SELECT starts, ends FROM record \
     WHERE pipeline = $1 AND NOT part AND lane = $2 AND ends >= $3 ORDER BY starts, ends";
const LANE_BEGINS: &str = "SELECT 1 FROM record WHERE pipeline = $1 AND lane = $2 AND starts < $3 LIMIT 1";

pub(super) fn ledger_row(row: &PgRow) -> Result<LedgerRow, Problem> {
    Ok(LedgerRow {
        key: RowKey::from_bytes(sixteen(row, 0)?),
        hash: row.try_get::<i64, _>(1)?.cast_unsigned(),
        at: row.try_get(2)?,
        lane: text(row, 3)?,
        start: row.try_get(4)?,
        body: text(row, 5)?,
    })
}

pub(super) fn ledger_record(row: &PgRow) -> Result<LedgerRecord, Problem> {
    Ok(LedgerRecord {
        key: RowKey::from_bytes(sixteen(row, 0)?),
        part: row.try_get(1)?,
        id: Uuid::from_bytes(sixteen(row, 2)?),
        hash: row.try_get::<i64, _>(3)?.cast_unsigned(),
        at: row.try_get(4)?,
        lane: text(row, 5)?.into(),
        start: row.try_get(6)?,
        end: row.try_get(7)?,
        body: text_or_none(row, 8)?,
    })
}

pub(super) async fn put_state(connection: &mut PgConnection, no: i64, state: &PipelineState) -> Result<(), Problem> {
    query("UPDATE pipeline SET state = $2 WHERE no = $1 AND state IS DISTINCT FROM $2")
        .bind(no)
        .bind(json(state)?)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn put_delivery(
    connection: &mut PgConnection,
    no: i64,
    delivery: &DeliveryState,
) -> Result<(), Problem> {
    query("UPDATE pipeline SET delivery = $2 WHERE no = $1 AND delivery IS DISTINCT FROM $2")
        .bind(no)
        .bind(json(delivery)?)
        .execute(connection)
        .await?;
    Ok(())
}

impl StateTransaction for PostgresTransaction<'_> {
    fn row(&mut self, key: RowKey) -> Result<Option<LedgerRow>, StateError> {
        if let Some(row) = self.pending.row(key) {
            return Ok(row.clone());
        }
        self.attempt("reading a row", async |connection, no| {
            let row = query(ROW).bind(no).bind(key.to_bytes().to_vec()).fetch_optional(connection).await?;
            row.as_ref().map(ledger_row).transpose()
        })
    }

    fn put_row(&mut self, row: &LedgerRow) -> Result<(), StateError> {
        self.pending.put_row(row);
        self.flush_if_full()
    }

    fn delete_row(&mut self, key: RowKey) -> Result<(), StateError> {
        self.pending.delete_row(key);
        self.flush_if_full()
    }

    fn lane_rows(&mut self, lane: &str, from: i64) -> Result<Vec<LedgerRow>, StateError> {
        self.flush()?;
        self.attempt("reading the rows of a machine", async |connection, no| {
            let rows = query(LANE_ROWS).bind(no).bind(lane.as_bytes()).bind(from).fetch_all(connection).await?;
            rows.iter().map(ledger_row).collect()
        })
    }

    fn record(&mut self, key: RowKey, part: bool) -> Result<Option<LedgerRecord>, StateError> {
        if let Some(record) = self.pending.record(key, part) {
            return Ok(record.clone());
        }
        self.attempt("reading a record", async |connection, no| {
            let key = key.to_bytes().to_vec();
            let row = query(RECORD).bind(no).bind(part).bind(key).fetch_optional(connection).await?;
            row.as_ref().map(ledger_record).transpose()
        })
    }

    fn put_record(&mut self, record: &LedgerRecord) -> Result<(), StateError> {
        self.pending.put_record(record);
        self.flush_if_full()
    }

    fn delete_record(&mut self, key: RowKey, part: bool) -> Result<(), StateError> {
        self.pending.delete_record(key, part);
        self.flush_if_full()
    }

    fn lane_records(&mut self, lane: &str, part: bool, from: i64) -> Result<Vec<LedgerRecord>, StateError> {
        self.flush()?;
        self.attempt("reading the records of a machine", async |connection, no| {
            let rows =
                query(LANE_RECORDS).bind(no).bind(part).bind(lane.as_bytes()).bind(from).fetch_all(connection).await?;
            rows.iter().map(ledger_record).collect()
        })
    }

    fn lane_spans(&mut self, lane: &str, from: i64) -> Result<Vec<(i64, i64)>, StateError> {
        self.flush()?;
        self.attempt("reading how far the records of a machine reach", async |connection, no| {
            let rows = query(LANE_SPANS).bind(no).bind(lane.as_bytes()).bind(from).fetch_all(connection).await?;
            rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
        })
    }

    fn lane_begins_before(&mut self, lane: &str, before: i64) -> Result<bool, StateError> {
        self.flush()?;
        self.attempt("looking for the beginning of a machine", async |connection, no| {
            let found =
                query(LANE_BEGINS).bind(no).bind(lane.as_bytes()).bind(before).fetch_optional(connection).await?;
            Ok(found.is_some())
        })
    }

    fn enqueue(&mut self, entry: &OutboxEntry) -> Result<(), StateError> {
        self.pending.enqueue(entry);
        self.flush_if_full()
    }

    fn release(&mut self) -> Result<(), StateError> {
        self.flush()?;
        self.attempt("letting held records go", async |connection, no| {
            query("UPDATE outbox SET held = false WHERE pipeline = $1 AND held").bind(no).execute(connection).await?;
            Ok(())
        })
    }

    fn replace_lane_quarantine(
        &mut self,
        lane: &str,
        from: i64,
        entries: &[QuarantineEntry],
    ) -> Result<(), StateError> {
        self.attempt("writing the quarantine of a machine", async |connection, no| {
            quarantine::replace_lane(connection, no, lane, from, entries).await
        })
    }

    fn heal_rows(&mut self, keys: &[String]) -> Result<(), StateError> {
        self.attempt("writing the quarantine", async |connection, no| quarantine::heal_rows(connection, no, keys).await)
    }

    fn replace_row_quarantine(&mut self, keep_before: i64, entries: &[QuarantineEntry]) -> Result<(), StateError> {
        self.attempt("writing the quarantine", async |connection, no| {
            quarantine::replace_rows(connection, no, keep_before, entries).await
        })
    }

    fn forget(&mut self, what: Forget) -> Result<(), StateError> {
        // What waits in the outbox of this transaction stays when only the ledger is forgotten.
        match what {
            Forget::Everything => self.pending.clear(),
            Forget::Ledger => self.flush()?,
        }
        self.attempt("forgetting", async |connection, no| saved::forget(connection, no, what).await)
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        match saved {
            Saved::State(state) => self.put_state(state),
            Saved::Delivery(delivery) => self.attempt("writing the delivery's state", async |connection, no| {
                put_delivery(connection, no, delivery).await
            }),
            Saved::Row(row) => self.put_row(row),
            Saved::Record(record) => self.put_record(record),
            Saved::Outbox(waiting) => {
                self.pending.restore(waiting);
                self.flush_if_full()
            }
            Saved::Rejected(entry) => self.attempt("filling the quarantine", async |connection, no| {
                quarantine::insert(connection, no, entry.stage, &[entry]).await
            }),
            // What is refused is not taken for superseded by what comes later in this transaction.
            Saved::Refused(entry) => {
                self.flush()?;
                self.attempt("filling the quarantine", async |connection, no| {
                    saved::put_refused(connection, no, entry).await
                })
            }
        }
    }

    fn put_state(&mut self, state: &PipelineState) -> Result<(), StateError> {
        self.attempt("writing a pipeline's state", async |connection, no| put_state(connection, no, state).await)
    }

    fn commit(mut self: Box<Self>) -> Result<(), StateError> {
        self.flush()?;
        self.attempt("committing", async |connection, _| {
            query("COMMIT").execute(connection).await?;
            Ok(())
        })?;
        if let Some(used) = self.used.take() {
            self.shared.connections.keep(used);
        }
        Ok(())
    }
}
