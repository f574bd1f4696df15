//! The state store of several engines: a schema of a PostgreSQL database.
//!
//! A pipeline is leased by one engine at a time, and every write about it checks that the lease is still its own (see
//! [`lease`]). Writers of one pipeline, its run and its delivery, take turns by a lock on the pipeline's row. Readers
//! see the last commit. `synchronous_commit` is the server's: with `off` a power cut there may lose what was
//! acknowledged.

mod address;
mod connect;
mod error;
mod lease;
mod outbox;
mod pending;
mod quarantine;
mod saved;
mod schema;
#[cfg(test)]
mod tests;
mod transaction;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use engine_core::canonical::RowKey;
use engine_core::state::{
    Brake, DeliveryState, Holder, LIVE, Lease, Ledger, LedgerEntry, LedgerRecord, OutboxRecord, PipelineState,
    QuarantineEntry, RefusedEntry, RefusedRecord, Saved, Share, SliceState, StateCounts, StateError, StateStore,
    StateTransaction, Waiting,
};
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Row as _, query};
use tokio::runtime::Runtime;
use uuid::Uuid;

use self::address::Address;
pub use self::address::files_of;
use self::connect::{CONNECTIONS_MAX, Connections, LEASE_CONNECTIONS_MAX, OPERATION_MAX, in_time};
use self::error::Problem;
use self::lease::{Heartbeat, Leases};
use self::transaction::PostgresTransaction;
use super::Look;

/// Threads that drive the connections.
const WORKER_THREADS: usize = 1;

/// The state in a PostgreSQL database.
pub struct PostgresStore {
    /// `None` when the engine leaves: nothing is renewed after that.
    heartbeat: Option<Heartbeat>,
    shared: Arc<Shared>,
}

/// What the store, its leases and its heartbeat have in common.
pub(super) struct Shared {
    connections: Connections,
    /// For leases.
    beside: Connections,
    runtime: Runtime,
    /// Host, port and database, for messages.
    place: String,
    /// How long a pipeline stays with an engine that is not heard of.
    lease: Duration,
    /// This engine, for the database: a UUID of this process.
    engine: String,
    /// This engine, for people.
    name: String,
    leases: Leases,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgresStore({})", self.shared.place)
    }
}

impl PostgresStore {
    /// Connects, and makes the tables where there are none.
    ///
    /// `url` is `postgres://user:password@host:port/database`, with libpq's settings behind `?`, and two of the
    /// engine's: `schema` (default `engine`) and `lease` in seconds (default 30).
    pub fn open(url: &str) -> Result<Self, StateError> {
        let shared = shared(url)?;
        shared
            .runtime
            .block_on(shared.connections.prepare())
            .map_err(|problem| shared.failed("opening the state", &problem))?;
        Ok(Self { heartbeat: Some(Heartbeat::start(&shared).map_err(|failure| threads(&failure))?), shared })
    }

    /// Connects, and looks which version the tables are of. Nothing is changed, and no table is made.
    pub fn look(url: &str) -> Result<Look, StateError> {
        let shared = shared(url)?;
        let version = shared.run("looking at the state", async |connection| connect::version(connection).await)?;
        Ok(Look { place: shared.place.clone(), version, known: schema::MIGRATIONS.len() })
    }
}

/// Reads the address, and starts the thread of the connections. Nothing is connected.
fn shared(url: &str) -> Result<Arc<Shared>, StateError> {
    let address = Address::parse(url).map_err(|message| StateError {
        tried: "reading state.url".to_owned(),
        message,
        hint: Some("write `postgres://user@host:5432/database?schema=engine`".to_owned()),
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .thread_name("state")
        .enable_all()
        .build()
        .map_err(|failure| threads(&failure))?;
    Ok(Arc::new(Shared {
        place: address.place.clone(),
        lease: address.lease,
        engine: Uuid::from_u128(fastrand::u128(..)).to_string(),
        name: name(),
        leases: Leases::default(),
        beside: Connections::new(address.clone(), LEASE_CONNECTIONS_MAX),
        connections: Connections::new(address, CONNECTIONS_MAX),
        runtime,
    }))
}

fn threads(failure: &std::io::Error) -> StateError {
    StateError {
        tried: "starting the threads of the state database".to_owned(),
        message: failure.to_string(),
        hint: None,
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        drop(self.heartbeat.take());
        lease::leave(&self.shared);
    }
}

/// Process and host, as people look for them.
fn name() -> String {
    format!("process {} on {}", std::process::id(), host())
}

/// Whether a name is of an engine on this host.
pub fn is_of_this_host(name: &str) -> bool {
    name.split_once(" on ").is_some_and(|(_, name)| name == host())
}

/// What this host calls itself.
pub fn host() -> String {
    match std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim() {
        "" => "an unknown host".to_owned(),
        host => host.to_owned(),
    }
}

impl Shared {
    fn failed(&self, tried: &str, problem: &Problem) -> StateError {
        error::failed(&self.place, tried, problem)
    }

    /// Does something on a connection outside of a transaction.
    fn run<T>(
        &self,
        tried: &str,
        body: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Problem>,
    ) -> Result<T, StateError> {
        self.run_within(&self.connections, OPERATION_MAX, tried, body)
    }

    fn run_within<T>(
        &self,
        connections: &Connections,
        longest: Duration,
        tried: &str,
        body: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Problem>,
    ) -> Result<T, StateError> {
        let work = async {
            let mut used = connections.take().await?;
            let outcome = body(&mut used.connection).await?;
            connections.keep(used);
            Ok(outcome)
        };
        self.runtime.block_on(in_time(longest, work)).map_err(|problem| self.failed(tried, &problem))
    }

    /// Writes about a pipeline in one transaction, under this engine's lease if it has one.
    fn write<T>(
        &self,
        tried: &str,
        pipeline: &str,
        body: impl AsyncFnOnce(&mut PgConnection, i64) -> Result<T, Problem>,
    ) -> Result<T, StateError> {
        self.run(tried, async |connection| {
            let no = transaction::begin(self, connection, pipeline).await?;
            // Where it fails, the connection is given up, and with it the transaction.
            let outcome = body(connection, no).await?;
            query("COMMIT").execute(connection).await?;
            Ok(outcome)
        })
    }

    fn remembered<T: Default + serde::de::DeserializeOwned>(
        &self,
        tried: &str,
        sql: &'static str,
        pipeline: &str,
    ) -> Result<T, StateError> {
        self.run(tried, async |connection| {
            let row = query(sql).bind(pipeline).fetch_optional(connection).await?;
            let text: Option<String> = row.map_or(Ok(None), |row| row.try_get(0))?;
            text.map_or_else(|| Ok(T::default()), |text| stored(&text))
        })
    }
}

/// What is stored as JSON.
fn stored<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|failure| Problem::Stored(failure.to_string()))
}

fn json(value: &impl serde::Serialize) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(|failure| Problem::Stored(failure.to_string()))
}

/// A 16-byte key or id.
fn sixteen(row: &PgRow, column: usize) -> Result<[u8; 16], Problem> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|_| Problem::Stored(format!("a key of {} bytes", bytes.len())))
}

/// Text that came from outside.
fn text(row: &PgRow, column: usize) -> Result<String, Problem> {
    text_or_none(row, column).map(Option::unwrap_or_default)
}

fn text_or_none(row: &PgRow, column: usize) -> Result<Option<String>, Problem> {
    let bytes: Option<Vec<u8>> = row.try_get(column)?;
    bytes
        .map(|bytes| String::from_utf8(bytes).map_err(|_| Problem::Stored("text that is not UTF-8".to_owned())))
        .transpose()
}

/// Microseconds of the ledger's columns back to an instant.
fn instant(row: &PgRow, column: usize) -> Result<Timestamp, Problem> {
    Timestamp::from_microsecond(row.try_get(column)?).map_err(|failure| Problem::Stored(failure.to_string()))
}

/// An entry from the columns key, hash, at, ends.
fn entry(row: &PgRow) -> Result<LedgerEntry, Problem> {
    Ok(LedgerEntry {
        key: RowKey::from_bytes(sixteen(row, 0)?),
        hash: row.try_get::<i64, _>(1)?.cast_unsigned(),
        at: row.try_get(2)?,
        live: row.try_get::<i64, _>(3)? == LIVE,
    })
}

fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

const ROWS_IN_WINDOW: &str = "SELECT key, hash, at, 0::bigint FROM source_row \
     WHERE pipeline = (SELECT no FROM pipeline WHERE id = $1) AND at >= $2 AND at < $3";
const RECORDS_IN_WINDOW: &str = "SELECT key, hash, at, ends FROM record \
     WHERE pipeline = (SELECT no FROM pipeline WHERE id = $1) AND NOT part AND at >= $2 AND at < $3";
const ROWS_BY_KEY: &str = "SELECT key, hash, at, 0::bigint FROM source_row \
     WHERE pipeline = (SELECT no FROM pipeline WHERE id = $1) AND key = ANY($2)";
const RECORDS_BY_KEY: &str = "SELECT key, hash, at, ends FROM record \
     WHERE pipeline = (SELECT no FROM pipeline WHERE id = $1) AND NOT part AND key = ANY($2)";
const LIVE_BEFORE: &str = "SELECT key, hash, at, ends FROM record \
     WHERE pipeline = (SELECT no FROM pipeline WHERE id = $1) AND NOT part AND ends = 9223372036854775807 AND at < $2 \
     ORDER BY at, key LIMIT $3";
const LATEST: &str = "SELECT key, part, id, hash, at, lane, starts, ends, body FROM record \
     WHERE pipeline = (SELECT no FROM pipeline WHERE id = $1) AND NOT part ORDER BY at DESC, key DESC LIMIT $2";
const COUNTS: &str = "SELECT \
     (SELECT count(*) FROM record WHERE pipeline = no AND NOT part), \
     (SELECT count(*) FROM record WHERE pipeline = no AND NOT part AND ends = 9223372036854775807), \
     (SELECT count(*) FROM outbox WHERE pipeline = no), \
     (SELECT coalesce(sum(bytes), 0)::bigint FROM outbox WHERE pipeline = no), \
     (SELECT count(*) FROM quarantine WHERE pipeline = no) + (SELECT count(*) FROM refused WHERE pipeline = no) \
     FROM pipeline WHERE id = $1";

const WAITING: &str = "SELECT \
     (SELECT count(*) FROM outbox WHERE pipeline = no), \
     (SELECT coalesce(sum(bytes), 0)::bigint FROM outbox WHERE pipeline = no), \
     (SELECT count(*) FROM quarantine WHERE pipeline = no) + (SELECT count(*) FROM refused WHERE pipeline = no) \
     FROM pipeline WHERE id = $1";

impl StateStore for PostgresStore {
    fn lease(&self, pipeline: &str) -> Result<Result<Box<dyn Lease>, String>, StateError> {
        lease::take(&self.shared, pipeline)
    }

    fn share(&self, pipelines: &[&str]) -> Result<Option<Share>, StateError> {
        lease::share(&self.shared, pipelines).map(Some)
    }

    fn engines(&self) -> Result<Option<Vec<String>>, StateError> {
        lease::engines(&self.shared).map(Some)
    }

    fn holders(&self) -> Result<Vec<Holder>, StateError> {
        lease::holders(&self.shared)
    }

    fn load(&self, pipeline: &str) -> Result<PipelineState, StateError> {
        self.shared.remembered("reading the state", "SELECT state FROM pipeline WHERE id = $1", pipeline)
    }

    fn save(&self, pipeline: &str, state: &PipelineState) -> Result<(), StateError> {
        self.shared.write("writing a pipeline's state", pipeline, async |connection, no| {
            transaction::put_state(connection, no, state).await
        })
    }

    fn approve(&self, pipeline: &str, at: Timestamp) -> Result<Option<Brake>, StateError> {
        self.shared.write("noting an approval", pipeline, async |connection, no| {
            let row = query("SELECT state FROM pipeline WHERE no = $1").bind(no).fetch_one(&mut *connection).await?;
            let text: Option<String> = row.try_get(0)?;
            let mut state: PipelineState = text.map_or_else(|| Ok(PipelineState::default()), |text| stored(&text))?;
            if state.brake.is_some() {
                state.approved = Some(at);
                transaction::put_state(connection, no, &state).await?;
            }
            Ok(state.brake)
        })
    }

    fn delivery(&self, pipeline: &str) -> Result<DeliveryState, StateError> {
        self.shared.remembered("reading the delivery's state", "SELECT delivery FROM pipeline WHERE id = $1", pipeline)
    }

    fn pipelines(&self) -> Result<Vec<String>, StateError> {
        self.shared.run("listing the pipelines", async |connection| {
            let rows = query("SELECT id FROM pipeline ORDER BY id").fetch_all(connection).await?;
            Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
        })
    }

    fn waiting(&self, pipeline: &str) -> Result<Waiting, StateError> {
        self.shared.run("counting what waits", async |connection| {
            let Some(row) = query(WAITING).bind(pipeline).fetch_optional(connection).await? else {
                return Ok(Waiting::default());
            };
            let number = |column: usize| row.try_get::<i64, _>(column).map(i64::cast_unsigned);
            Ok(Waiting { outbox: number(0)?, outbox_bytes: number(1)?, quarantine: number(2)? })
        })
    }

    fn counts(&self, pipeline: &str) -> Result<StateCounts, StateError> {
        self.shared.run("counting", async |connection| {
            let Some(row) = query(COUNTS).bind(pipeline).fetch_optional(connection).await? else {
                return Ok(StateCounts::default());
            };
            let number = |column: usize| row.try_get::<i64, _>(column).map(i64::cast_unsigned);
            Ok(StateCounts {
                records: number(0)?,
                live: number(1)?,
                outbox: number(2)?,
                outbox_bytes: number(3)?,
                quarantine: number(4)?,
            })
        })
    }

    fn entries(
        &self,
        pipeline: &str,
        ledger: Ledger,
        from: i64,
        to: i64,
        each: &mut dyn FnMut(LedgerEntry),
    ) -> Result<(), StateError> {
        let sql = match ledger {
            Ledger::Rows => ROWS_IN_WINDOW,
            Ledger::Records => RECORDS_IN_WINDOW,
        };
        self.shared.run("reading a window of the ledger", async |connection| {
            let mut rows = query(sql).bind(pipeline).bind(from).bind(to).fetch(connection);
            while let Some(row) = rows.try_next().await? {
                each(entry(&row)?);
            }
            Ok(())
        })
    }

    fn look_up(&self, pipeline: &str, ledger: Ledger, keys: &[RowKey]) -> Result<Vec<Option<LedgerEntry>>, StateError> {
        let sql = match ledger {
            Ledger::Rows => ROWS_BY_KEY,
            Ledger::Records => RECORDS_BY_KEY,
        };
        let wanted: Vec<Vec<u8>> = keys.iter().map(|key| key.to_bytes().to_vec()).collect();
        self.shared.run("looking up keys of the ledger", async |connection| {
            let mut found = engine_core::canonical::KeyMap::default();
            let mut rows = query(sql).bind(pipeline).bind(wanted).fetch(connection);
            while let Some(row) = rows.try_next().await? {
                let entry = entry(&row)?;
                found.insert(entry.key, entry);
            }
            Ok(keys.iter().map(|key| found.get(key).copied()).collect())
        })
    }

    fn live_before(&self, pipeline: &str, before: i64, limit: usize) -> Result<Vec<LedgerEntry>, StateError> {
        self.shared.run("reading live records", async |connection| {
            let rows =
                query(LIVE_BEFORE).bind(pipeline).bind(before).bind(limit_of(limit)).fetch_all(connection).await?;
            rows.iter().map(entry).collect()
        })
    }

    fn latest(&self, pipeline: &str, limit: usize) -> Result<Vec<LedgerRecord>, StateError> {
        self.shared.run("reading the latest records", async |connection| {
            let rows = query(LATEST).bind(pipeline).bind(limit_of(limit)).fetch_all(connection).await?;
            rows.iter().map(transaction::ledger_record).collect()
        })
    }

    fn quarantined(&self, pipeline: &str, limit: usize) -> Result<Vec<QuarantineEntry>, StateError> {
        self.shared
            .run("reading the quarantine", async |connection| quarantine::newest(connection, pipeline, limit).await)
    }

    fn refused(&self, pipeline: &str) -> Result<Vec<RefusedEntry>, StateError> {
        self.shared.run("reading refused records", async |connection| outbox::refused(connection, pipeline).await)
    }

    fn saved(&self, pipeline: &str, each: &mut dyn FnMut(Saved) -> ControlFlow<()>) -> Result<(), StateError> {
        self.shared.run_within(&self.shared.connections, saved::READ_MAX, "reading everything", async |connection| {
            saved::read(connection, pipeline, each).await
        })
    }

    fn begin(&self, pipeline: &str) -> Result<Box<dyn StateTransaction + '_>, StateError> {
        Ok(Box::new(PostgresTransaction::begin(&self.shared, pipeline)?))
    }

    fn claim(&self, pipeline: &str, records_max: usize, bytes_max: usize) -> Result<Vec<OutboxRecord>, StateError> {
        self.shared.run("reading the outbox", async |connection| {
            outbox::oldest(connection, pipeline, records_max, bytes_max).await
        })
    }

    fn settle(
        &self,
        pipeline: &str,
        accepted: &[i64],
        refused: &[RefusedRecord],
        delivery: &DeliveryState,
        now: Timestamp,
    ) -> Result<(), StateError> {
        self.shared.write("writing what the destination answered", pipeline, async |connection, no| {
            transaction::put_delivery(connection, no, delivery).await?;
            outbox::remove(connection, no, accepted).await?;
            outbox::refuse(connection, no, refused, now).await
        })
    }

    fn requeue_refused(&self, pipeline: &str, now: Timestamp) -> Result<u64, StateError> {
        // Most of the time none is due: a look costs no lock.
        let is_due = self.shared.run("looking for refused records", async |connection| {
            outbox::is_any_due(connection, pipeline, now).await
        })?;
        if !is_due {
            return Ok(0);
        }
        self.shared.write("sending refused records again", pipeline, async |connection, no| {
            outbox::requeue(connection, no, now).await
        })
    }

    fn slices(&self, pipeline: &str, job: &str) -> Result<Vec<SliceState>, StateError> {
        self.shared.run("reading the slices of a backfill", async |connection| {
            let rows = query(
                "SELECT state FROM backfill
                 WHERE pipeline = (SELECT no FROM pipeline WHERE id = $1) AND job = $2 ORDER BY slice",
            )
            .bind(pipeline)
            .bind(job)
            .fetch_all(connection)
            .await?;
            rows.iter().map(|row| stored(row.try_get(0)?)).collect()
        })
    }

    fn slice(&self, pipeline: &str, job: &str, number: u32) -> Result<Option<SliceState>, StateError> {
        self.shared.run("reading a slice of a backfill", async |connection| {
            let row = query(
                "SELECT state FROM backfill
                 WHERE pipeline = (SELECT no FROM pipeline WHERE id = $1) AND job = $2 AND slice = $3",
            )
            .bind(pipeline)
            .bind(job)
            .bind(i64::from(number))
            .fetch_optional(connection)
            .await?;
            row.map(|row| stored(row.try_get(0)?)).transpose()
        })
    }

    fn put_slice(&self, pipeline: &str, job: &str, slice: &SliceState) -> Result<(), StateError> {
        self.shared.write("writing a slice of a backfill", pipeline, async |connection, no| {
            lease::check_beside(&self.shared, connection, pipeline).await?;
            query(
                "INSERT INTO backfill (pipeline, job, slice, state) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (pipeline, job, slice) DO UPDATE SET state = excluded.state",
            )
            .bind(no)
            .bind(job)
            .bind(i64::from(slice.number))
            .bind(json(slice)?)
            .execute(connection)
            .await?;
            Ok(())
        })
    }
}
