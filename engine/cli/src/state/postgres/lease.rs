//! Who runs what: leases in the database, renewed by a thread of their own, and the number that every write checks.
//!
//! A lease has a fence, which grows with every taking. A write locks the lease's row as it is (`FOR KEY SHARE`) and
//! finds its own fence there, or nothing: whoever takes the lease waits for that lock (`FOR UPDATE`), so a write of an
//! engine that was thought dead is either whole before the taking, or refused. A renewal waits for neither.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use engine_core::state::{Holder, Lease, Share, StateError};
use jiff::{SignedDuration, Timestamp};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Row as _, query};

use super::Shared;
use super::connect::in_time;
use super::error::Problem;

/// Renewals within the time that a lease holds: two may fail before it is lost.
const RENEWALS_PER_LEASE: u32 = 3;
/// How long a look at what is free, or taking it, may take.
const TAKE_MAX: Duration = Duration::from_secs(20);
/// How long giving something back may take when the engine ends.
const GIVE_BACK_MAX: Duration = Duration::from_secs(5);
/// Engines that were not heard of for so long are forgotten, in seconds.
const FORGET_ENGINES_SECS: f64 = 86_400.0;

/// What this engine holds.
#[derive(Debug, Default)]
pub(super) struct Leases {
    held: Mutex<HashMap<String, Arc<Held>>>,
    /// When this engine last looked for pipelines to take; `None` for a command, which takes none by itself.
    looked: Mutex<Option<Instant>>,
}

/// A lease that this engine has, or has lost.
#[derive(Debug)]
pub(super) struct Held {
    fence: i64,
    lost: AtomicBool,
    good: Mutex<Good>,
}

/// How long a lease is good without a renewal. A monotonic clock may stand still while the machine sleeps, and the
/// other may be set: the one that says less counts.
#[derive(Debug, Clone, Copy)]
struct Good {
    since: Instant,
    since_wall: Timestamp,
    time: Duration,
}

impl Good {
    fn from_now(time: Duration) -> Self {
        Self { since: Instant::now(), since_wall: Timestamp::now(), time }
    }

    fn is_over(self) -> bool {
        let wall = Timestamp::now().duration_since(self.since_wall);
        let time = SignedDuration::try_from(self.time).unwrap_or(SignedDuration::MAX);
        self.since.elapsed() >= self.time || wall >= time
    }
}

impl Held {
    fn is_held(&self) -> bool {
        !self.lost.load(Ordering::Acquire) && !self.good.lock().unwrap_or_else(PoisonError::into_inner).is_over()
    }
}

impl Leases {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This engine takes pipelines by itself: it counts among those that share the work.
    fn works(&self) -> bool {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Nothing is held or looked for, and nothing renewed.
    fn is_idle(&self) -> bool {
        !self.works() && self.lock().is_empty()
    }

    /// The engine is to share the work, and has not looked after it for so long: it hangs.
    fn hangs(&self, lease: Duration) -> bool {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|looked| looked.elapsed() > lease)
    }

    /// Takes a lease for given back.
    #[cfg(test)]
    pub(super) fn forget(&self, unit: &str) {
        self.lock().remove(unit);
    }

    /// The fence under which this engine writes about a unit, if it took it.
    pub(super) fn fence(&self, unit: &str) -> Option<i64> {
        self.lock().get(unit).map(|held| held.fence)
    }
}

/// Given back when dropped.
struct PostgresLease {
    shared: Arc<Shared>,
    unit: String,
    held: Arc<Held>,
}

impl std::fmt::Debug for PostgresLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgresLease({}, {})", self.unit, self.held.fence)
    }
}

impl Lease for PostgresLease {
    fn fence(&self) -> Option<i64> {
        Some(self.held.fence)
    }

    fn is_held(&self) -> bool {
        self.held.is_held()
    }
}

impl Drop for PostgresLease {
    fn drop(&mut self) {
        let Self { shared, unit, held } = self;
        let mut all = shared.leases.lock();
        if all.get(unit).is_some_and(|known| Arc::ptr_eq(known, held)) {
            all.remove(unit);
        }
        drop(all);
        if !held.lost.load(Ordering::Acquire) {
            // Where this fails, the lease runs out by itself.
            let _ = shared.run_within(&shared.beside, GIVE_BACK_MAX, "giving a pipeline back", async |connection| {
                let give =
                    "UPDATE lease SET engine = NULL, until = NULL WHERE unit = $1 AND engine = $2::uuid AND fence = $3";
                query(give).bind(&*unit).bind(&shared.engine).bind(held.fence).execute(connection).await?;
                Ok(())
            });
        }
    }
}

/// Takes a unit, or says who has it.
pub(super) fn take(shared: &Arc<Shared>, unit: &str) -> Result<Result<Box<dyn Lease>, String>, StateError> {
    let good = Good::from_now(shared.lease);
    let taken = shared.run_within(&shared.beside, TAKE_MAX, "taking the pipeline", async |connection| {
        // From then on, the renewals do it.
        if shared.leases.is_idle() {
            announce(shared, connection).await?;
        }
        try_take(shared, connection, unit).await
    })?;
    Ok(taken.map(|fence| {
        let held = Arc::new(Held { fence, lost: AtomicBool::new(false), good: Mutex::new(good) });
        shared.leases.lock().insert(unit.to_owned(), Arc::clone(&held));
        let lease: Box<dyn Lease> = Box::new(PostgresLease { shared: Arc::clone(shared), unit: unit.to_owned(), held });
        lease
    }))
}

async fn try_take(shared: &Shared, connection: &mut PgConnection, unit: &str) -> Result<Result<i64, String>, Problem> {
    query("INSERT INTO lease (unit, fence) VALUES ($1, 0) ON CONFLICT DO NOTHING")
        .bind(unit)
        .execute(&mut *connection)
        .await?;
    // A row that is locked is one that somebody writes under, or takes: it is not free.
    let taken = query(
        "WITH free AS (
             SELECT unit FROM lease WHERE unit = $1 AND (engine IS NULL OR until < clock_timestamp())
             FOR UPDATE SKIP LOCKED)
         UPDATE lease SET fence = lease.fence + 1, engine = $2::uuid, until = clock_timestamp() + make_interval(secs => $3)
         FROM free WHERE lease.unit = free.unit RETURNING lease.fence",
    )
    .bind(unit)
    .bind(&shared.engine)
    .bind(shared.lease.as_secs_f64())
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(row) = taken {
        return Ok(Ok(row.try_get(0)?));
    }
    let holder = query(
        "SELECT coalesce(engine.name, 'another engine'), extract(epoch FROM lease.until)::bigint
         FROM lease LEFT JOIN engine ON engine.id = lease.engine WHERE unit = $1",
    )
    .bind(unit)
    .fetch_one(&mut *connection)
    .await?;
    let name: String = holder.try_get(0)?;
    let until: Option<i64> = holder.try_get(1)?;
    Ok(Err(match until.and_then(|until| Timestamp::from_second(until).ok()) {
        Some(until) => format!("{name}, until {until} unless it is renewed"),
        None => name,
    }))
}

/// Makes this engine known by name, before anything is held by it.
async fn announce(shared: &Shared, connection: &mut PgConnection) -> Result<(), Problem> {
    query(
        "INSERT INTO engine (id, name, until, works)
         VALUES ($1::uuid, $2, clock_timestamp() + make_interval(secs => $3), $4)
         ON CONFLICT (id) DO UPDATE SET until = excluded.until, works = excluded.works",
    )
    .bind(&shared.engine)
    .bind(&shared.name)
    .bind(shared.lease.as_secs_f64())
    .bind(shared.leases.works())
    .execute(connection)
    .await?;
    Ok(())
}

/// Counts this engine in, and says what is free.
pub(super) fn share(shared: &Shared, units: &[&str]) -> Result<Share, StateError> {
    let looked = shared.leases.looked.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
    shared.run_within(&shared.beside, TAKE_MAX, "looking for free pipelines", async |connection| {
        if looked.is_none() {
            announce(shared, connection).await?;
        }
        let engines: i64 = query("SELECT count(*) FROM engine WHERE works AND until > clock_timestamp()")
            .fetch_one(&mut *connection)
            .await?
            .try_get(0)?;
        let free = query(
            "SELECT wanted FROM unnest($1::text[]) AS wanted
             WHERE NOT EXISTS (SELECT FROM lease WHERE unit = wanted AND engine IS NOT NULL AND until >= clock_timestamp())",
        )
        .bind(units)
        .fetch_all(&mut *connection)
        .await?;
        let free = free.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
        Ok(Share { engines: usize::try_from(engines).unwrap_or(usize::MAX), free })
    })
}

/// Everybody who shares the work at present.
pub(super) fn engines(shared: &Shared) -> Result<Vec<String>, StateError> {
    shared.run("reading who shares the work", async |connection| {
        let rows = query("SELECT name FROM engine WHERE works AND until >= clock_timestamp() ORDER BY name")
            .fetch_all(&mut *connection)
            .await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    })
}

/// Everything that is held at present.
pub(super) fn holders(shared: &Shared) -> Result<Vec<Holder>, StateError> {
    let holder = |row: &PgRow| -> Result<Holder, sqlx::Error> {
        let until = Timestamp::from_second(row.try_get(2)?).unwrap_or(Timestamp::MAX);
        Ok(Holder { unit: row.try_get(0)?, engine: row.try_get(1)?, until })
    };
    shared.run("reading who runs what", async |connection| {
        let rows = query(
            "SELECT unit, coalesce(name, 'an unknown engine'), extract(epoch FROM lease.until)::bigint
             FROM lease LEFT JOIN engine ON engine.id = lease.engine
             WHERE lease.engine IS NOT NULL AND lease.until >= clock_timestamp() ORDER BY unit",
        )
        .fetch_all(&mut *connection)
        .await?;
        Ok(rows.iter().map(holder).collect::<Result<_, _>>()?)
    })
}

/// The lease under which this engine writes is its own still, and stays so until the transaction ends.
pub(super) async fn check(shared: &Shared, connection: &mut PgConnection, unit: &str) -> Result<(), Problem> {
    let Some(fence) = shared.leases.fence(unit) else { return Ok(()) };
    let mine = query("SELECT 1 FROM lease WHERE unit = $1 AND engine = $2::uuid AND fence = $3 FOR KEY SHARE")
        .bind(unit)
        .bind(&shared.engine)
        .bind(fence)
        .fetch_optional(&mut *connection)
        .await?;
    if mine.is_some() {
        return Ok(());
    }
    if let Some(held) = shared.leases.lock().get(unit) {
        held.lost.store(true, Ordering::Release);
    }
    Err(Problem::Lost)
}

/// As [`check`], for what this engine holds beside the runs of a pipeline: slices of a backfill.
pub(super) async fn check_beside(
    shared: &Shared,
    connection: &mut PgConnection,
    pipeline: &str,
) -> Result<(), Problem> {
    let below = format!("{pipeline}/");
    let units: Vec<String> = shared.leases.lock().keys().filter(|unit| unit.starts_with(&below)).cloned().collect();
    for unit in &units {
        check(shared, connection, unit).await?;
    }
    Ok(())
}

/// Renews what is held, until the store is closed. It has a connection of its own: nothing that is slow delays it.
pub(super) struct Heartbeat {
    stop: std::sync::mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<Self> {
        let (stop, stopped) = std::sync::mpsc::channel();
        let every = shared.lease / RENEWALS_PER_LEASE;
        let weak = Arc::downgrade(shared);
        let thread = std::thread::Builder::new().name("leases".to_owned()).spawn(move || {
            let mut connection = None;
            while let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(every) {
                let Some(shared) = Weak::upgrade(&weak) else { return };
                beat(&shared, &mut connection, every);
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Renews once. What fails is tried again at the next beat, over a new connection.
fn beat(shared: &Shared, connection: &mut Option<PgConnection>, longest: Duration) {
    if shared.leases.is_idle() {
        return;
    }
    // Others shall have what is held by an engine that does nothing any more.
    if shared.leases.hangs(shared.lease) {
        tracing::error!(event = "hangs", "nothing looks after the pipelines: their leases are not renewed");
        return;
    }
    let good = Good::from_now(shared.lease);
    let mut open = connection.take();
    let renewed = shared.runtime.block_on(in_time(longest, async {
        let connection = match &mut open {
            Some(connection) => connection,
            slot => slot.insert(shared.connections.open().await?),
        };
        renew(shared, connection).await
    }));
    match renewed {
        Ok(renewed) => {
            *connection = open;
            for (unit, held) in shared.leases.lock().iter() {
                if renewed.get(unit) == Some(&held.fence) {
                    *held.good.lock().unwrap_or_else(PoisonError::into_inner) = good;
                } else if !good_since(held, &good) {
                    held.lost.store(true, Ordering::Release);
                }
            }
        }
        Err(problem) => {
            let error = shared.failed("renewing the leases", &problem);
            tracing::warn!(event = "state_failed", hint = error.hint, "{error}");
        }
    }
}

/// Whether a lease was taken after a renewal began, which then knows nothing of it.
fn good_since(held: &Held, renewal: &Good) -> bool {
    held.good.lock().unwrap_or_else(PoisonError::into_inner).since > renewal.since
}

async fn renew(shared: &Shared, connection: &mut PgConnection) -> Result<HashMap<String, i64>, Problem> {
    announce(shared, connection).await?;
    // Only what is wanted still: what could not be given back runs out.
    let units: Vec<String> = shared.leases.lock().keys().cloned().collect();
    let rows = query(
        "UPDATE lease SET until = clock_timestamp() + make_interval(secs => $2)
         WHERE engine = $1::uuid AND unit = ANY($3) RETURNING unit, fence",
    )
    .bind(&shared.engine)
    .bind(shared.lease.as_secs_f64())
    .bind(units)
    .fetch_all(&mut *connection)
    .await?;
    query("DELETE FROM engine WHERE until < clock_timestamp() - make_interval(secs => $1)")
        .bind(FORGET_ENGINES_SECS)
        .execute(&mut *connection)
        .await?;
    Ok(rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, sqlx::Error>>()?)
}

/// Takes this engine off the list of those that share the work.
pub(super) fn leave(shared: &Shared) {
    // Where this fails, it is forgotten when its time is over.
    let _ = shared.run_within(&shared.beside, GIVE_BACK_MAX, "leaving", async |connection| {
        query("DELETE FROM engine WHERE id = $1::uuid").bind(&shared.engine).execute(connection).await?;
        Ok(())
    });
}
