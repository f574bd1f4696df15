//! Connections: opened, kept for the next one who needs one, given up when they fail. And the tables, made or brought
//! up to date when the store is opened.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _, query, raw_sql};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::address::Address;
use super::error::Problem;
use super::schema;

/// How long a connection may take, login included.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long one operation may take, all its rows included.
pub(super) const OPERATION_MAX: Duration = Duration::from_secs(120);
/// Connections of one engine's runs and deliveries at a time. Several engines share what the server allows.
pub(super) const CONNECTIONS_MAX: usize = 8;
/// Connections for taking and giving back pipelines: no run that is slow holds that up.
pub(super) const LEASE_CONNECTIONS_MAX: usize = 2;
/// Connections that are kept open while nobody needs them.
const CONNECTIONS_KEPT: usize = 4;
/// A connection that was not used for so long is tried before it is used again.
const TRUSTED: Duration = Duration::from_secs(1);
/// How long trying one may take.
const PING_MAX: Duration = Duration::from_secs(5);
/// Silence after which the server looks whether the engine is still there, in seconds.
const KEEPALIVE_IDLE_SECS: u64 = 10;
/// How long a statement may wait for another's lock.
const LOCK_MAX: Duration = Duration::from_secs(30);

/// Keeps two engines from making the tables at the same time: `ENGN`.
const MIGRATION_LOCK: i64 = 0x454e_474e;

/// Opens connections and keeps a few.
pub(super) struct Connections {
    address: Address,
    idle: Mutex<Vec<(PgConnection, Instant)>>,
    room: Semaphore,
}

/// A connection in use. It is given up unless [`Connections::keep`] takes it back.
pub(super) struct Used<'a> {
    pub(super) connection: PgConnection,
    _room: SemaphorePermit<'a>,
}

impl Connections {
    /// For so many at a time.
    pub(super) fn new(address: Address, most: usize) -> Self {
        Self { address, idle: Mutex::default(), room: Semaphore::new(most) }
    }

    /// A connection that works, kept from before or new.
    pub(super) async fn take(&self) -> Result<Used<'_>, Problem> {
        let room = in_time(OPERATION_MAX, async {
            self.room.acquire().await.map_err(|_| Problem::Sqlx(sqlx::Error::PoolClosed))
        })
        .await?;
        loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((mut connection, since)) = kept else { break };
            if since.elapsed() < TRUSTED
                || tokio::time::timeout(PING_MAX, connection.ping()).await.is_ok_and(|answer| answer.is_ok())
            {
                return Ok(Used { connection, _room: room });
            }
        }
        Ok(Used { connection: self.open().await?, _room: room })
    }

    /// Takes back a connection on which nothing is under way.
    pub(super) fn keep(&self, used: Used<'_>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < CONNECTIONS_KEPT {
            idle.push((used.connection, Instant::now()));
        }
    }

    /// Opens a connection beside those that are counted.
    pub(super) async fn open(&self) -> Result<PgConnection, Problem> {
        let mut connection = connect(&self.address.options).await?;
        let millis = |duration: Duration| duration.as_millis().to_string();
        // An engine that is gone must not hold a lock for longer than its lease.
        let lease = millis(self.address.lease);
        let settings = query(
            "SELECT set_config('search_path', $1, false), set_config('idle_in_transaction_session_timeout', $2, false),
                 set_config('statement_timeout', $3, false), set_config('lock_timeout', $4, false),
                 set_config('tcp_keepalives_idle', $5, false), set_config('tcp_user_timeout', $2, false),
                 set_config('client_min_messages', 'warning', false)",
        )
        .bind(&self.address.schema)
        .bind(lease)
        .bind(millis(OPERATION_MAX))
        .bind(millis(LOCK_MAX))
        .bind(KEEPALIVE_IDLE_SECS.to_string());
        in_time(CONNECT_MAX, async { Ok(settings.execute(&mut connection).await?) }).await?;
        Ok(connection)
    }

    /// Makes the tables, or brings them up to date.
    pub(super) async fn prepare(&self) -> Result<(), Problem> {
        let mut used = self.take().await?;
        in_time(OPERATION_MAX, migrate(&mut used.connection, &self.address.schema)).await?;
        self.keep(used);
        Ok(())
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Problem> {
    in_time(CONNECT_MAX, async { Ok(options.connect().await?) }).await
}

/// Fails when it takes longer.
pub(super) async fn in_time<T>(
    longest: Duration,
    work: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    tokio::time::timeout(longest, work).await.unwrap_or(Err(Problem::Sqlx(sqlx::Error::PoolTimedOut)))
}

async fn migrate(connection: &mut PgConnection, schema: &str) -> Result<(), Problem> {
    let encoding: String = query("SHOW server_encoding").fetch_one(&mut *connection).await?.try_get(0)?;
    if encoding != "UTF8" {
        return Err(Problem::Stored(format!("the database is encoded in {encoding}; engine needs one in UTF8")));
    }
    let mut transaction = connection.begin().await?;
    query("SELECT pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK).execute(&mut *transaction).await?;
    let exists: bool =
        query("SELECT to_regnamespace($1) IS NOT NULL").bind(schema).fetch_one(&mut *transaction).await?.try_get(0)?;
    if !exists {
        query("SELECT set_config('engine.schema', $1, true)").bind(schema).execute(&mut *transaction).await?;
        let create = "DO $$ BEGIN EXECUTE format('CREATE SCHEMA %I', current_setting('engine.schema')); END $$";
        transaction.execute(raw_sql(create)).await?;
    }
    transaction.execute(raw_sql("CREATE TABLE IF NOT EXISTS store (version bigint NOT NULL)")).await?;
    let known = schema::MIGRATIONS.len();
    let done = version(&mut transaction).await?.unwrap_or(0);
    if done < known {
        for step in &schema::MIGRATIONS[done..] {
            transaction.execute(raw_sql(*step)).await?;
        }
        transaction.execute(raw_sql("DELETE FROM store")).await?;
        let version = i64::try_from(known).unwrap_or(i64::MAX);
        query("INSERT INTO store (version) VALUES ($1)").bind(version).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// The version of the tables; `None` where there are none. A version that is not known yet is refused.
pub(super) async fn version(connection: &mut PgConnection) -> Result<Option<usize>, Problem> {
    let is_there: bool =
        query("SELECT to_regclass('store') IS NOT NULL").fetch_one(&mut *connection).await?.try_get(0)?;
    if !is_there {
        return Ok(None);
    }
    let Some(row) = query("SELECT version FROM store").fetch_optional(connection).await? else { return Ok(None) };
    let version: i64 = row.try_get(0)?;
    let known = schema::MIGRATIONS.len();
    match usize::try_from(version) {
        Ok(version) if version <= known => Ok(Some(version)),
        _ => Err(Problem::Stored(format!("a newer engine made the tables: version {version}, known is {known}"))),
    }
}
