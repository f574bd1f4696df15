//! The state store on the device: one SQLite file.
//!
//! One connection writes, behind a mutex; a few others read, and see the last commit. `synchronous = FULL` in
//! write-ahead mode makes a commit last before it returns. Several processes may have the file open: leases keep them
//! from running the same pipeline, and a writer waits for the other.
//!
//! When the file is opened, its header and version are looked at; that costs microseconds. Only where the last process
//! died (its log is still there, and nobody has the file open) every page is checked before anything is read.

mod backfill;
mod catalogue;
#[cfg(all(test, unix))]
mod crash_tests;
mod error;
mod guard;
#[cfg(test)]
mod kept_tests;
mod lease;
mod ledger;
#[cfg(test)]
mod ledger_tests;
mod open;
mod outbox;
mod packed;
mod places;
mod quarantine;
mod saved;
mod schema;
mod sheet;
mod stack;
#[cfg(test)]
mod tests;
mod torn;
mod transaction;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine_core::canonical::RowKey;
use engine_core::state::{
    Brake, DeliveryState, Lease, Ledger, LedgerEntry, LedgerRecord, OutboxRecord, PipelineState, QuarantineEntry,
    RefusedEntry, RefusedRecord, Saved, SliceState, StateCounts, StateError, StateStore, StateTransaction, Waiting,
};
use jiff::Timestamp;
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior};

use super::Look;
use lease::{Gate, Leases};
use ledger::Section;
use transaction::SqliteTransaction;

/// Connections for reading that are kept open while nobody reads.
const READERS_KEPT: usize = 4;
/// Free pages (4 KiB) that the file may hold before it is made shorter.
const FREE_PAGES_MAX: i64 = 16 * 1024;
/// Pages that are given back at a time, so that nobody waits for it.
const FREE_PAGES_STEP: u32 = 1_024;

/// How to open the state file.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Create folder and file where there is none; otherwise that is an error.
    pub create: bool,
    /// How thoroughly to look at the file first.
    pub check: Check,
}

impl Default for Options {
    fn default() -> Self {
        Self { create: true, check: Check::AfterCrash }
    }
}

/// How thoroughly to look at the state file when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Every page, if the last process that had it open died; nothing otherwise. About a second per GB.
    AfterCrash,
    /// Every page, and every index against its table.
    Full,
}

/// The state in a SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    // In this order they are closed: the one that can write goes last, and takes the log with it.
    readers: Mutex<Vec<Connection>>,
    writer: Mutex<Connection>,
    path: PathBuf,
    leases: Leases,
    _gate: Gate,
}

impl SqliteStore {
    /// Opens the state file.
    ///
    /// Refuses a folder or a file that others own or can write, a link in place of a file, a file that is damaged, that a newer engine wrote, or that is not
    /// an engine's. An older file is copied to `<file>.bak-v<version>` before its tables change.
    pub fn open(path: &Path, options: Options) -> Result<Self, StateError> {
        Self::open_with(path, options, schema::MIGRATIONS)
    }

    /// Makes the folder of the state file where there is none, and says where it is. Refuses what [`Self::open`] would.
    pub fn prepare(path: &Path, options: Options) -> Result<&Path, StateError> {
        open::prepare(path, &options)
    }

    /// Looks at folder and file as [`Self::open`] does, and reads every page. Nothing is made, locked or changed.
    pub fn look(path: &Path) -> Result<Look, StateError> {
        let known = schema::MIGRATIONS.len();
        Ok(Look { place: path.display().to_string(), version: open::look(path, known)?, known })
    }

    fn open_with(path: &Path, options: Options, migrations: &[schema::Step]) -> Result<Self, StateError> {
        let (writer, gate, locks) = open::open(path, &options, migrations)?;
        Ok(Self {
            readers: Mutex::default(),
            writer: Mutex::new(writer),
            path: path.to_owned(),
            leases: Leases(locks),
            _gate: gate,
        })
    }

    /// Where the state is, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks every page, and every index against its table.
    pub fn verify(&self) -> Result<(), StateError> {
        self.with_reader(|connection| open::check(connection, self.path(), "integrity_check"))
    }

    /// Forgets everything about a pipeline; whether there was something.
    pub fn forget(&self, pipeline: &str) -> Result<bool, StateError> {
        self.write("forgetting a pipeline", |connection| {
            let Some(no) = number(connection, pipeline)? else { return Ok(false) };
            for table in schema::PIPELINE_TABLES {
                connection.execute(&format!("DELETE FROM {table} WHERE pipeline = ?1"), [no])?;
            }
            connection.execute("DELETE FROM pipeline WHERE no = ?1", [no])?;
            Ok(true)
        })
    }

    fn with_reader<T>(&self, body: impl FnOnce(&Connection) -> Result<T, StateError>) -> Result<T, StateError> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match kept {
            Some(connection) => connection,
            None => open::reader(&self.path)?,
        };
        let outcome = body(&connection);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS_KEPT && connection.is_autocommit() {
            readers.push(connection);
        }
        outcome
    }

    /// Reads from one snapshot.
    fn read<T>(&self, tried: &str, body: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StateError> {
        self.with_reader(|connection| {
            connection
                .unchecked_transaction()
                .and_then(|transaction| {
                    let outcome = body(&transaction)?;
                    transaction.commit()?;
                    Ok(outcome)
                })
                .map_err(|failure| self.failed(tried, &failure))
        })
    }

    /// Reads about a pipeline from one snapshot; the default where the store does not know it.
    fn read_of<T: Default>(
        &self,
        tried: &str,
        pipeline: &str,
        body: impl FnOnce(&Connection, i64) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        self.read(tried, |connection| match number(connection, pipeline)? {
            Some(no) => body(connection, no),
            None => Ok(T::default()),
        })
    }

    /// Writes in one transaction, synced when this returns.
    fn write<T>(&self, tried: &str, body: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StateError> {
        let connection = self.lock();
        Transaction::new_unchecked(&connection, TransactionBehavior::Immediate)
            .and_then(|transaction| {
                let outcome = body(&transaction)?;
                transaction.commit()?;
                Ok(outcome)
            })
            .map_err(|failure| self.failed(tried, &failure))
    }

    /// The connection that writes. Whoever panicked with it in hand has rolled back.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, tried: &str, failure: &rusqlite::Error) -> StateError {
        error::sqlite(self.path(), tried, failure)
    }

    fn remembered<T: Default + serde::de::DeserializeOwned>(
        &self,
        tried: &str,
        pipeline: &str,
        sql: &str,
    ) -> Result<T, StateError> {
        let text: Option<String> = self.read(tried, |connection| {
            let text = connection.prepare_cached(sql)?.query_row([pipeline], |row| row.get(0)).optional()?;
            Ok(text.flatten())
        })?;
        let Some(text) = text else { return Ok(T::default()) };
        serde_json::from_str(&text).map_err(|failure| StateError {
            tried: format!("{tried} of {pipeline} in the state file {}", self.path().display()),
            message: format!("what is stored cannot be understood: {failure}"),
            hint: Some(
                "another version of engine wrote it, or somebody edited it; restore it from a backup".to_owned(),
            ),
        })
    }
}

/// The number of a pipeline in this file.
fn number(connection: &Connection, pipeline: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT no FROM pipeline WHERE id = ?1")?
        .query_row([pipeline], |row| row.get(0))
        .optional()
}

fn put_state(connection: &Connection, pipeline: &str, state: &PipelineState) -> rusqlite::Result<()> {
    put_json(
        connection,
        "INSERT INTO pipeline (id, state) VALUES (?1, ?2)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state WHERE state IS NOT excluded.state",
        pipeline,
        state,
    )
}

/// What is remembered of a pipeline, in the transaction at hand; `None` where nothing is.
fn state_of(connection: &Connection, pipeline: &str) -> rusqlite::Result<Option<PipelineState>> {
    let text: Option<String> = connection
        .prepare_cached("SELECT state FROM pipeline WHERE id = ?1")?
        .query_row([pipeline], |row| row.get(0))
        .optional()?
        .flatten();
    let understood = text.map(|text| serde_json::from_str(&text)).transpose();
    understood.map_err(|failure| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(failure)))
}

fn put_delivery(connection: &Connection, pipeline: &str, delivery: &DeliveryState) -> rusqlite::Result<()> {
    put_json(
        connection,
        "INSERT INTO pipeline (id, delivery) VALUES (?1, ?2)
         ON CONFLICT (id) DO UPDATE SET delivery = excluded.delivery WHERE delivery IS NOT excluded.delivery",
        pipeline,
        delivery,
    )
}

fn put_json(connection: &Connection, sql: &str, pipeline: &str, value: &impl serde::Serialize) -> rusqlite::Result<()> {
    let text =
        serde_json::to_string(value).map_err(|failure| rusqlite::Error::ToSqlConversionFailure(Box::new(failure)))?;
    connection.prepare_cached(sql)?.execute([pipeline, &text]).map(drop)
}

/// A 16-byte key or id.
fn sixteen(row: &Row<'_>, column: usize) -> rusqlite::Result<[u8; 16]> {
    let bytes = row.get_ref(column)?.as_blob()?;
    bytes.try_into().map_err(|_| {
        let failure = FromSqlError::InvalidBlobSize { expected_size: 16, blob_size: bytes.len() };
        rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, Box::new(failure))
    })
}

/// Microseconds of the ledger's columns back to an instant.
fn instant(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?)
        .map_err(|failure| rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, Box::new(failure)))
}

const COUNT_OUTBOX: &str = "SELECT coalesce(sum(records), 0), coalesce(sum(bytes), 0) FROM outbox WHERE pipeline = ?1";
const COUNT_QUARANTINE: &str = "SELECT (SELECT count(*) FROM quarantine WHERE pipeline = ?1) \
     + (SELECT count(*) FROM refused WHERE pipeline = ?1)";

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn waiting(connection: &Connection, no: i64) -> rusqlite::Result<Waiting> {
    let outbox = |row: &Row<'_>| Ok((unsigned(row, 0)?, unsigned(row, 1)?));
    let (outbox, outbox_bytes) = connection.prepare_cached(COUNT_OUTBOX)?.query_row([no], outbox)?;
    let quarantine = connection.prepare_cached(COUNT_QUARANTINE)?.query_row([no], |row| unsigned(row, 0))?;
    Ok(Waiting { outbox, outbox_bytes, quarantine })
}

impl StateStore for SqliteStore {
    fn lease(&self, pipeline: &str) -> Result<Result<Box<dyn Lease>, String>, StateError> {
        let lease = self.leases.take(pipeline)?;
        if lease.is_ok() {
            // A process that died may have left a commit that it did not live to sync. Whoever goes on from there tells
            // the outside of it, and makes it last first.
            open::sync_log(&self.path)?;
        }
        Ok(lease)
    }

    fn load(&self, pipeline: &str) -> Result<PipelineState, StateError> {
        self.remembered("reading the state", pipeline, "SELECT state FROM pipeline WHERE id = ?1")
    }

    fn save(&self, pipeline: &str, state: &PipelineState) -> Result<(), StateError> {
        self.write("writing a pipeline's state", |connection| put_state(connection, pipeline, state))
    }

    fn approve(&self, pipeline: &str, at: Timestamp) -> Result<Option<Brake>, StateError> {
        self.write("noting an approval", |connection| {
            let Some(mut state) = state_of(connection, pipeline)? else { return Ok(None) };
            if state.brake.is_some() {
                state.approved = Some(at);
                put_state(connection, pipeline, &state)?;
            }
            Ok(state.brake)
        })
    }

    fn delivery(&self, pipeline: &str) -> Result<DeliveryState, StateError> {
        self.remembered("reading the delivery's state", pipeline, "SELECT delivery FROM pipeline WHERE id = ?1")
    }

    fn pipelines(&self) -> Result<Vec<String>, StateError> {
        self.read("listing the pipelines", |connection| {
            let mut statement = connection.prepare_cached("SELECT id FROM pipeline ORDER BY id")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })
    }

    fn waiting(&self, pipeline: &str) -> Result<Waiting, StateError> {
        self.read_of("counting what waits", pipeline, waiting)
    }

    fn counts(&self, pipeline: &str) -> Result<StateCounts, StateError> {
        self.read_of("counting", pipeline, |connection, no| {
            let Waiting { outbox, outbox_bytes, quarantine } = waiting(connection, no)?;
            let (records, live) = ledger::counts(connection, no)?;
            Ok(StateCounts { records, live, outbox, outbox_bytes, quarantine })
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
        self.read_of("reading a window of the ledger", pipeline, |connection, no| {
            let at = Section { connection, pipeline: no, shelf: ledger.into() };
            ledger::in_window(at, from, to, each)
        })
    }

    fn look_up(&self, pipeline: &str, ledger: Ledger, keys: &[RowKey]) -> Result<Vec<Option<LedgerEntry>>, StateError> {
        let mut found: Vec<_> = self.read_of("looking up keys of the ledger", pipeline, |connection, no| {
            ledger::look_up(Section { connection, pipeline: no, shelf: ledger.into() }, keys)
        })?;
        found.resize(keys.len(), None);
        Ok(found)
    }

    fn live_before(&self, pipeline: &str, before: i64, limit: usize) -> Result<Vec<LedgerEntry>, StateError> {
        self.read_of("reading live records", pipeline, |connection, no| {
            ledger::live_before(connection, no, before, limit)
        })
    }

    fn latest(&self, pipeline: &str, limit: usize) -> Result<Vec<LedgerRecord>, StateError> {
        self.read_of("reading the latest records", pipeline, |connection, no| ledger::latest(connection, no, limit))
    }

    fn quarantined(&self, pipeline: &str, limit: usize) -> Result<Vec<QuarantineEntry>, StateError> {
        self.read_of("reading the quarantine", pipeline, |connection, no| quarantine::newest(connection, no, limit))
    }

    fn refused(&self, pipeline: &str) -> Result<Vec<RefusedEntry>, StateError> {
        self.read_of("reading refused records", pipeline, outbox::refused)
    }

    fn saved(&self, pipeline: &str, each: &mut dyn FnMut(Saved) -> ControlFlow<()>) -> Result<(), StateError> {
        self.read_of("reading everything", pipeline, |connection, no| saved::read(connection, no, each))
    }

    fn begin(&self, pipeline: &str) -> Result<Box<dyn StateTransaction + '_>, StateError> {
        Ok(Box::new(SqliteTransaction::begin(self, pipeline)?))
    }

    fn claim(&self, pipeline: &str, records_max: usize, bytes_max: usize) -> Result<Vec<OutboxRecord>, StateError> {
        self.read_of("reading the outbox", pipeline, |connection, no| {
            outbox::oldest(connection, no, records_max, bytes_max)
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
        self.write("writing what the destination answered", |connection| {
            put_delivery(connection, pipeline, delivery)?;
            let Some(no) = number(connection, pipeline)? else { return Ok(()) };
            outbox::remove(connection, no, accepted)?;
            outbox::refuse(connection, no, refused, now)
        })?;
        let connection = self.lock();
        give_back_space(&connection).map_err(|failure| self.failed("giving free space back", &failure))
    }

    fn requeue_refused(&self, pipeline: &str, now: Timestamp) -> Result<u64, StateError> {
        // Most of the time none is due: a look costs no lock.
        let is_due = self.read_of("looking for refused records", pipeline, |connection, no| {
            outbox::is_any_due(connection, no, now)
        })?;
        if !is_due {
            return Ok(0);
        }
        self.write("sending refused records again", |connection| match number(connection, pipeline)? {
            Some(no) => outbox::requeue(connection, no, now),
            None => Ok(0),
        })
    }

    fn slices(&self, pipeline: &str, job: &str) -> Result<Vec<SliceState>, StateError> {
        self.read_of("reading the slices of a backfill", pipeline, |connection, no| {
            backfill::slices(connection, no, job)
        })
    }

    fn slice(&self, pipeline: &str, job: &str, number: u32) -> Result<Option<SliceState>, StateError> {
        self.read_of("reading a slice of a backfill", pipeline, |connection, no| {
            backfill::slice(connection, no, job, number)
        })
    }

    fn put_slice(&self, pipeline: &str, job: &str, slice: &SliceState) -> Result<(), StateError> {
        self.write("writing a slice of a backfill", |connection| backfill::put(connection, pipeline, job, slice))
    }
}

/// Makes the file shorter, a step at a time, when a large backlog has left it.
fn give_back_space(connection: &Connection) -> rusqlite::Result<()> {
    let free: i64 = connection.prepare_cached("PRAGMA freelist_count")?.query_row([], |row| row.get(0))?;
    if free > FREE_PAGES_MAX {
        connection.execute_batch(&format!("PRAGMA incremental_vacuum({FREE_PAGES_STEP})"))?;
    }
    Ok(())
}
