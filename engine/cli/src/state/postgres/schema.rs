//! The tables, and the steps that lead to them.
//!
//! They are those of the state file. What comes from outside, a body, a machine, a reason, is `bytea`: PostgreSQL's
//! text cannot hold every text that other databases hold (U+0000), and its order would be that of a language. Times are
//! microseconds since 1970-01-01T00:00:00Z, but for those of leases, which are the database's own clock.

/// The steps from an empty schema to the present tables. Step `n` leads to version `n + 1`; a step that was released
/// never changes.
pub(super) const MIGRATIONS: &[&str] = &[V1, V2, V3];

/// Partial indexes speak of `9223372036854775807`, which is [`engine_core::state::LIVE`].
const V1: &str = "
CREATE TABLE pipeline (
    no       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id       text COLLATE \"C\" NOT NULL UNIQUE,
    -- The last place in the outbox that was given out. It begins anywhere: the idempotency keys of parcels are made of
    -- places, and those of a store that was begun afresh must not be those of the one before.
    last_seq bigint NOT NULL DEFAULT floor(random() * 1099511627776)::bigint,
    state    text,                      -- PipelineState as JSON
    delivery text                       -- DeliveryState as JSON; apart, because another loop writes it
);

CREATE TABLE source_row (
    pipeline bigint NOT NULL,
    key      bytea NOT NULL,
    hash     bigint NOT NULL,
    at       bigint NOT NULL,
    lane     bytea NOT NULL,
    starts   bigint NOT NULL,
    body     bytea NOT NULL,
    PRIMARY KEY (pipeline, key)
);
CREATE INDEX source_row_window ON source_row (pipeline, at) INCLUDE (key, hash);
CREATE INDEX source_row_lane ON source_row (pipeline, lane, starts);

CREATE TABLE record (
    pipeline bigint NOT NULL,
    part     boolean NOT NULL,          -- a part of a merged run, never delivered itself
    key      bytea NOT NULL,
    id       bytea NOT NULL,
    hash     bigint NOT NULL,
    at       bigint NOT NULL,
    lane     bytea NOT NULL,
    starts   bigint NOT NULL,
    ends     bigint NOT NULL,
    body     bytea,
    PRIMARY KEY (pipeline, part, key)
);
CREATE INDEX record_window ON record (pipeline, at) INCLUDE (key, hash, ends) WHERE NOT part;
CREATE INDEX record_live ON record (pipeline, at, key) INCLUDE (hash) WHERE NOT part AND ends = 9223372036854775807;
CREATE INDEX record_lane ON record (pipeline, part, lane, ends, starts);

CREATE TABLE outbox (
    pipeline      bigint NOT NULL,
    seq           bigint NOT NULL,
    id            bytea NOT NULL,
    held          boolean NOT NULL,
    bytes         bigint NOT NULL,
    refusals      bigint NOT NULL,      -- how often the destination refused it, as it is
    refused_since bigint,
    body          bytea NOT NULL,
    PRIMARY KEY (pipeline, seq)
);
CREATE INDEX outbox_id ON outbox (pipeline, id);

CREATE TABLE quarantine (
    pipeline   bigint NOT NULL,
    stage      text COLLATE \"C\" NOT NULL,
    key        bytea NOT NULL,
    code       bytea NOT NULL,
    rule       bytea NOT NULL,
    lane       bytea,
    at         bigint,
    first_seen bigint NOT NULL,
    reason     bytea NOT NULL,
    row        bytea NOT NULL
);
-- The keys of rows may be long; an index takes no more than a third of a page.
CREATE UNIQUE INDEX quarantine_identity ON quarantine (pipeline, stage, sha256(key || '\\x00' || code || '\\x00' || rule));
CREATE INDEX quarantine_lane ON quarantine (pipeline, stage, lane, at);

CREATE TABLE refused (
    pipeline   bigint NOT NULL,
    id         bytea NOT NULL,
    code       bytea NOT NULL,
    message    bytea NOT NULL,
    attempts   bigint NOT NULL,
    retry_at   bigint NOT NULL,
    first_seen bigint NOT NULL,
    body       bytea NOT NULL,          -- the only copy of the record
    PRIMARY KEY (pipeline, id)
);
CREATE INDEX refused_due ON refused (pipeline, retry_at);

CREATE TABLE backfill (
    pipeline bigint NOT NULL,
    job      text COLLATE \"C\" NOT NULL, -- hash of what the slices depend on
    slice    bigint NOT NULL,
    state    text NOT NULL,             -- SliceState as JSON
    PRIMARY KEY (pipeline, job, slice)
);

-- Who has what. A row stays when it is given back: its fence never comes again.
CREATE TABLE lease (
    unit   text COLLATE \"C\" PRIMARY KEY,
    fence  bigint NOT NULL,
    engine uuid,
    until  timestamptz
);
CREATE INDEX lease_engine ON lease (engine);

-- Engines that share the work.
CREATE TABLE engine (
    id    uuid PRIMARY KEY,
    name  text NOT NULL,
    until timestamptz NOT NULL,
    works boolean NOT NULL              -- takes pipelines by itself; a command does not
);
";

/// Pipelines that are begun from here on have keys of another form. An engine that knows one form only would take all of
/// their rows for gone, and must not use the schema.
const V2: &str = "
UPDATE pipeline SET state = '{\"keys\":\"hash\",' || substr(state, 2)
    WHERE state LIKE '{\"%' AND state NOT LIKE '{\"keys\"%';
";

/// Bodies that are written from here on leave out what stands beside them. An engine that looks for it in them could not
/// read these, and must not use the schema.
const V3: &str = "SELECT 1;";
