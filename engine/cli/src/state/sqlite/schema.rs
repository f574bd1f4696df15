//! The tables, and the steps that lead to them.
//!
//! The ledger is kept in sheets (see [`super::sheet`]), with indexes by machine, by window and by what is live, and the
//! place of each key. Times are microseconds since 1970-01-01T00:00:00Z.

use engine_core::canonical::RowKey;
use engine_core::state::{LedgerRecord, LedgerRow};
use rusqlite::{Connection, Row};
use uuid::Uuid;

use super::ledger::Writer;
use super::{outbox, sixteen};

/// Marks the file as an engine's state: `ENGN`.
pub(super) const APPLICATION_ID: i32 = 0x454e_474e;

/// The steps from an empty file to the present tables. Step `n` leads to `user_version = n + 1`; a step that was
/// released never changes.
pub(super) const MIGRATIONS: &[Step] =
    &[Step::Sql(V1), Step::Sql(V2), Step::Sql(V3), Step::Code(to_sheets), Step::Sql(V5), Step::Sql(V6)];

/// A step from one version of the tables to the next.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// Statements.
    Sql(&'static str),
    /// What statements alone cannot say.
    Code(fn(&Connection) -> rusqlite::Result<()>),
}

impl Step {
    pub(super) fn take(self, connection: &Connection) -> rusqlite::Result<()> {
        match self {
            Self::Sql(statements) => connection.execute_batch(statements),
            Self::Code(code) => code(connection),
        }
    }
}

const V1: &str = "
CREATE TABLE pipeline (
    no       INTEGER PRIMARY KEY,
    id       TEXT NOT NULL UNIQUE,
    state    TEXT,                  -- PipelineState as JSON
    delivery TEXT                   -- DeliveryState as JSON; apart, because another loop writes it
) STRICT;

CREATE TABLE source_row (
    no       INTEGER PRIMARY KEY,
    pipeline INTEGER NOT NULL,
    key      BLOB NOT NULL,
    hash     INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    lane     TEXT NOT NULL,
    starts   INTEGER NOT NULL,
    body     TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX source_row_key ON source_row (pipeline, key);
CREATE INDEX source_row_window ON source_row (pipeline, at, key, hash);
CREATE INDEX source_row_lane ON source_row (pipeline, lane, starts);

CREATE TABLE record (
    no       INTEGER PRIMARY KEY,
    pipeline INTEGER NOT NULL,
    part     INTEGER NOT NULL,      -- 1: a part of a merged run, never delivered itself
    key      BLOB NOT NULL,
    id       BLOB NOT NULL,
    hash     INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    lane     TEXT NOT NULL,
    starts   INTEGER NOT NULL,
    ends     INTEGER NOT NULL,
    body     TEXT
) STRICT;
CREATE UNIQUE INDEX record_key ON record (pipeline, part, key);
CREATE INDEX record_window ON record (pipeline, at, key, hash, ends) WHERE part = 0;
CREATE INDEX record_live ON record (pipeline, at, key, hash) WHERE part = 0 AND ends = 9223372036854775807;
CREATE INDEX record_lane ON record (pipeline, part, lane, ends, starts);

CREATE TABLE outbox (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline      INTEGER NOT NULL,
    id            BLOB NOT NULL,
    held          INTEGER NOT NULL,
    bytes         INTEGER NOT NULL, -- of the body, so that an index alone can tell the backlog
    refusals      INTEGER NOT NULL, -- how often the destination refused it, as it is
    refused_since INTEGER,
    body          TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_queue ON outbox (pipeline, held, seq, bytes);
CREATE INDEX outbox_id ON outbox (pipeline, id);

CREATE TABLE quarantine (
    pipeline   INTEGER NOT NULL,
    stage      TEXT NOT NULL,
    key        TEXT NOT NULL,
    code       TEXT NOT NULL,
    rule       TEXT NOT NULL,
    lane       TEXT,
    at         INTEGER,
    first_seen INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    row        TEXT NOT NULL,
    PRIMARY KEY (pipeline, stage, key, code, rule)
) STRICT, WITHOUT ROWID;
CREATE INDEX quarantine_lane ON quarantine (pipeline, stage, lane, at);

CREATE TABLE refused (
    pipeline   INTEGER NOT NULL,
    id         BLOB NOT NULL,
    code       TEXT NOT NULL,
    message    TEXT NOT NULL,
    attempts   INTEGER NOT NULL,
    retry_at   INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    body       TEXT NOT NULL,       -- the only copy of the record
    PRIMARY KEY (pipeline, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX refused_due ON refused (pipeline, retry_at);
";

/// Slices of backfills. And the places in the outbox go on anywhere: the idempotency keys of parcels are made of places,
/// and those of a file that was begun afresh must not be those of the file before.
const V2: &str = "
INSERT INTO sqlite_sequence (name, seq)
    SELECT 'outbox', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'outbox');
UPDATE sqlite_sequence SET seq = seq + abs(random() % 1099511627776) WHERE name = 'outbox';
CREATE TABLE backfill (
    pipeline INTEGER NOT NULL,
    job      TEXT NOT NULL,         -- hash of what the slices depend on
    slice    INTEGER NOT NULL,
    state    TEXT NOT NULL,         -- SliceState as JSON
    PRIMARY KEY (pipeline, job, slice)
) STRICT, WITHOUT ROWID;
";

/// Pipelines that are begun from here on have keys of another form. An engine that knows one form only would take all of
/// their rows for gone, and must not open the file.
const V3: &str = "
UPDATE pipeline SET state = '{\"keys\":\"hash\",' || substr(state, 2)
    WHERE state LIKE '{\"%' AND state NOT LIKE '{\"keys\"%';
";

/// Rows and records in sheets, and what waits to be sent in stacks, and no longer one by one.
const V4: &str = "
CREATE TABLE sheet (
    no       INTEGER PRIMARY KEY,
    pipeline INTEGER NOT NULL,
    shelf    INTEGER NOT NULL,      -- 0: source rows, 1: records, 2: runs that a check refused
    lane     TEXT NOT NULL,
    starts   INTEGER NOT NULL,      -- the least start
    reaches  INTEGER NOT NULL,      -- the greatest end; of source rows, the greatest start
    at_from  INTEGER NOT NULL,      -- the least and the greatest value of the window column
    at_to    INTEGER NOT NULL,
    entries  INTEGER NOT NULL,
    live     INTEGER NOT NULL,      -- records without an end among them
    heads    BLOB NOT NULL,
    bodies   BLOB NOT NULL
) STRICT;
CREATE INDEX sheet_window ON sheet (pipeline, shelf, at_to, at_from, entries, live);
CREATE INDEX sheet_live ON sheet (pipeline, shelf, at_from) WHERE live > 0;

CREATE TABLE place (
    no       INTEGER PRIMARY KEY,
    pipeline INTEGER NOT NULL,
    shelf    INTEGER NOT NULL,
    first    BLOB NOT NULL,         -- the first key
    places   BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX place_first ON place (pipeline, shelf, first);

ALTER TABLE outbox RENAME TO outbox_one_by_one;
CREATE TABLE outbox (
    last     INTEGER PRIMARY KEY AUTOINCREMENT, -- no place on the stack is greater, and none of a later stack is smaller
    pipeline INTEGER NOT NULL,
    held     INTEGER NOT NULL,
    records  INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,      -- of the bodies, so that an index alone can tell the backlog
    heads    BLOB NOT NULL,
    bodies   BLOB NOT NULL
) STRICT;
INSERT INTO sqlite_sequence (name, seq)
    SELECT 'outbox', seq FROM sqlite_sequence WHERE name = 'outbox_one_by_one';
DROP INDEX outbox_queue;
CREATE INDEX outbox_queue ON outbox (pipeline, held, last, records, bytes);
";

/// The catalogue: sheets of a machine by fortnight (see [`super::catalogue`]), and no longer by machine first. A file of
/// version 3 or less has its indexes from the step before on, which looks for sheets.
///
/// And bodies that are written from here on leave out what stands beside them. An engine that looks for it in them could
/// not read these, and must not open the file.
const V5: &str = "
DROP INDEX IF EXISTS sheet_reach;
DROP INDEX IF EXISTS sheet_start;
CREATE INDEX IF NOT EXISTS sheet_fortnight
    ON sheet (pipeline, shelf, starts / 1209600000000, lane, starts, reaches, entries);
CREATE INDEX IF NOT EXISTS sheet_long ON sheet (pipeline, shelf, lane, reaches) WHERE reaches - starts > 604800000000;
";

/// Bodies that are written from here on are packed (see [`super::packed`]); those that are there stay as they are. An
/// engine that knows no packed ones would take the file for damaged, and must not open it.
const V6: &str = "";

/// Rows that are moved to sheets at a time.
const MOVED_ROWS_MAX: usize = 10_000;

fn to_sheets(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(V4)?;
    connection.execute_batch(V5)?;
    let pipelines: Vec<i64> = connection
        .prepare("SELECT no FROM pipeline ORDER BY no")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for pipeline in pipelines {
        let mut writer = Writer::default();
        let mut moved = Vec::new();
        let mut rows = connection.prepare(
            "SELECT key, hash, at, lane, starts, body FROM source_row WHERE pipeline = ?1 ORDER BY lane, starts, key",
        )?;
        let mut rows = rows.query([pipeline])?;
        while let Some(row) = rows.next()? {
            moved.push(ledger_row(row)?);
            if moved.len() == MOVED_ROWS_MAX {
                writer.put_rows(connection, pipeline, &moved, &|_| true)?;
                moved.clear();
            }
        }
        writer.put_rows(connection, pipeline, &moved, &|_| true)?;
        let mut moved = Vec::new();
        let mut records = connection.prepare(
            "SELECT key, part, id, hash, at, lane, starts, ends, body FROM record WHERE pipeline = ?1
             ORDER BY part, lane, starts, key",
        )?;
        let mut records = records.query([pipeline])?;
        while let Some(record) = records.next()? {
            moved.push(ledger_record(record)?);
            if moved.len() == MOVED_ROWS_MAX {
                writer.put_records(connection, pipeline, &moved, &|_| true)?;
                moved.clear();
            }
        }
        writer.put_records(connection, pipeline, &moved, &|_| true)?;
        writer.flush(connection, pipeline)?;
        outbox::stack_up(connection, pipeline)?;
    }
    connection.execute_batch("DROP TABLE source_row; DROP TABLE record; DROP TABLE outbox_one_by_one;")
}

fn ledger_row(row: &Row<'_>) -> rusqlite::Result<LedgerRow> {
    Ok(LedgerRow {
        key: RowKey::from_bytes(sixteen(row, 0)?),
        hash: row.get::<_, i64>(1)?.cast_unsigned(),
        at: row.get(2)?,
        lane: row.get(3)?,
        start: row.get(4)?,
        body: row.get(5)?,
    })
}

fn ledger_record(row: &Row<'_>) -> rusqlite::Result<LedgerRecord> {
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

/// Every table with a column `pipeline`.
pub(super) const PIPELINE_TABLES: [&str; 6] = ["sheet", "place", "outbox", "quarantine", "refused", "backfill"];
