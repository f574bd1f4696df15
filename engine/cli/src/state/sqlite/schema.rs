//! The tables, and the steps that lead to them.
//!
//! A ledger is a table in the order of writing, so that bodies are appended, and narrow indexes beside it: by key, by
//! window (covering: a window is compared without a look at a body) and by lane. Times are microseconds since
//! 1970-01-01T00:00:00Z.

/// Marks the file as an engine's state: `ENGN`.
pub(super) const APPLICATION_ID: i32 = 0x454e_474e;

/// The steps from an empty file to the present tables. Step `n` leads to `user_version = n + 1`; a step that was
/// released never changes.
pub(super) const MIGRATIONS: &[&str] = &[V1, V2, V3];

/// Partial indexes speak of `9223372036854775807`, which is [`engine_core::state::LIVE`].
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

/// Every table with a column `pipeline`.
pub(super) const PIPELINE_TABLES: [&str; 6] = ["source_row", "record", "outbox", "quarantine", "refused", "backfill"];
