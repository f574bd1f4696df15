//! Opening the state file: folder, first creation, checks, migrations.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine_core::state::StateError;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::lease::{GATE, Gate};
use super::schema::{APPLICATION_ID, Step};
use super::{Check, Options, error, guard};
use crate::folder;

/// The state is for the account of the engine alone: it holds production data.
#[cfg(unix)]
pub(super) const FILE_MODE: u32 = 0o600;
#[cfg(unix)]
const FOLDER_MODE: u32 = 0o700;

/// How long to wait for another process that writes: a large run's transaction takes seconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// Pages of 4 KiB in the write-ahead log before they move into the file.
const CHECKPOINT_PAGES: u32 = 4_000;
/// Bytes that the write-ahead log keeps on disk after a large transaction.
const LOG_BYTES_KEPT: u32 = 16 * 1024 * 1024;
/// Page cache of the connection that writes, in KiB. What a run appends is not read again: a transaction that is larger
/// goes to the log before its commit.
const WRITER_CACHE_KIB: u32 = 3 * 1024;
/// Page cache of a connection that reads, in KiB.
const READER_CACHE_KIB: u32 = 512;
/// Prepared statements that a connection keeps; all of the store's.
const STATEMENTS_KEPT: usize = 64;
/// Findings of a check that are shown.
const FINDINGS_SHOWN: usize = 5;

pub(super) fn writer(path: &Path) -> Result<Connection, StateError> {
    connect(path, path, OpenFlags::SQLITE_OPEN_READ_WRITE, WRITER_CACHE_KIB)
}

pub(super) fn reader(path: &Path) -> Result<Connection, StateError> {
    connect(path, path, OpenFlags::SQLITE_OPEN_READ_ONLY, READER_CACHE_KIB)
}

/// A connection to a file that nobody has open. It leaves nothing beside the file, as a reader of a write-ahead log
/// would.
fn onlooker(path: &Path) -> Result<Connection, StateError> {
    let absolute = std::path::absolute(path).map_err(|failure| error::file(path, "looking for", &failure))?;
    let mut address = String::from("file:");
    for char in absolute.to_string_lossy().chars() {
        match char {
            '%' => address.push_str("%25"),
            '?' => address.push_str("%3f"),
            '#' => address.push_str("%23"),
            other => address.push(other),
        }
    }
    address.push_str("?immutable=1");
    let access = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    connect(path, Path::new(&address), access, READER_CACHE_KIB)
}

/// Opens what is at an address; the path is for messages.
fn connect(path: &Path, address: &Path, access: OpenFlags, cache_kib: u32) -> Result<Connection, StateError> {
    Connection::open_with_flags(address, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .and_then(|connection| {
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
            connection.execute_batch(&format!(
                "PRAGMA synchronous = FULL;
                 PRAGMA foreign_keys = OFF;
                 PRAGMA trusted_schema = OFF;
                 PRAGMA cell_size_check = ON;
                 PRAGMA temp_store = MEMORY;
                 PRAGMA cache_size = -{cache_kib};
                 PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
                 PRAGMA journal_size_limit = {LOG_BYTES_KEPT};"
            ))?;
            Ok(connection)
        })
        .map_err(|failure| error::sqlite(path, "opening a connection", &failure))
}

/// Opens the file, creates it where that is asked for, checks it, and brings its tables up to date.
///
/// The gate stays held, so that the next process knows that this one has the file open.
pub(super) fn open(
    path: &Path,
    options: &Options,
    migrations: &[Step],
) -> Result<(Connection, Gate, PathBuf), StateError> {
    let folder = prepare(path, options)?;
    let locks = folder.join(guard::LOCKS);
    create_folder(&locks)?;
    guard::check_files(path, folder)?;
    let mut gate = Gate::enter(locks.join(format!("{GATE}.lock")))?;

    let exists = path.try_exists().map_err(|failure| error::file(path, "looking for", &failure))?;
    if !exists {
        if !options.create {
            return Err(missing(path));
        }
        if !gate.alone {
            return Err(StateError {
                tried: format!("opening the state file {}", path.display()),
                message: "the file was taken away while another process has it open".to_owned(),
                hint: Some("stop the engine, put the file back if it is still there, and start again".to_owned()),
            });
        }
        create(path, folder, migrations)?;
    }

    // The last process that closes the file takes its log away; only one that died leaves it.
    let died = gate.alone && fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
    let mut connection = writer(path)?;
    bring_up_to_date(&mut connection, path, folder, migrations, gate.alone)?;
    match options.check {
        Check::Full => check(&connection, path, "integrity_check")?,
        Check::AfterCrash if died => check(&connection, path, "quick_check")?,
        Check::AfterCrash => {}
    }
    gate.share()?;
    Ok((connection, gate, locks))
}

/// Reads every page and index, and says what is wrong with them.
pub(super) fn check(connection: &Connection, path: &Path, pragma: &str) -> Result<(), StateError> {
    let findings = (|| {
        let mut statement = connection.prepare(&format!("PRAGMA {pragma}({FINDINGS_SHOWN})"))?;
        statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()
    })()
    .map_err(|failure| error::sqlite(path, "checking the pages", &failure))?;
    if findings == ["ok"] { Ok(()) } else { Err(error::damaged(path, &findings.join("; "))) }
}

fn missing(path: &Path) -> StateError {
    StateError {
        tried: format!("opening the state file {}", path.display()),
        message: "there is none: nothing has been run here yet".to_owned(),
        hint: Some("run a pipeline first, or give the place of the state with `state.url`".to_owned()),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The folder of the file; created where that is asked for, refused where it is not this account's alone.
pub(super) fn prepare<'a>(path: &'a Path, options: &Options) -> Result<&'a Path, StateError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    prepare_folder(path, folder, options)?;
    Ok(folder)
}

fn prepare_folder(path: &Path, folder: &Path, options: &Options) -> Result<(), StateError> {
    match fs::metadata(folder) {
        Ok(metadata) => guard::check_folder(folder, &metadata),
        Err(failure) if failure.kind() == io::ErrorKind::NotFound => {
            if !options.create {
                return Err(missing(path));
            }
            let missing = |one: &&Path| !one.as_os_str().is_empty() && !one.exists();
            let made: Vec<&Path> = folder.ancestors().take_while(missing).collect();
            create_folder(folder)?;
            // A folder that is not on disk takes what is in it along when the power goes.
            made.into_iter().try_for_each(|made| sync_folder(folder::of(made)))
        }
        Err(failure) => Err(error::file(folder, "looking into the folder", &failure)),
    }
}

fn create_folder(folder: &Path) -> Result<(), StateError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, FOLDER_MODE);
    builder.create(folder).map_err(|failure| error::file(folder, "creating the folder", &failure))
}

/// Makes everything last that was written to the log, by whomever.
pub(super) fn sync_log(path: &Path) -> Result<(), StateError> {
    let log = beside(path, "-wal");
    match OpenOptions::new().write(true).open(&log) {
        Ok(opened) => opened.sync_all().and_then(|()| folder::sync(folder::of(path))),
        Err(failure) if failure.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(failure) => Err(failure),
    }
    .map_err(|failure| error::file(&log, "syncing", &failure))
}

fn sync_folder(folder: &Path) -> Result<(), StateError> {
    folder::sync(folder).map_err(|failure| error::file(folder, "syncing the folder", &failure))
}

/// Builds the file under another name and moves it into place whole: a state file that is there has tables, and one
/// that is empty was cut short later.
fn create(path: &Path, folder: &Path, migrations: &[Step]) -> Result<(), StateError> {
    let fresh = beside(path, ".new");
    for leftover in [fresh.clone(), beside(&fresh, "-wal"), beside(&fresh, "-shm"), beside(&fresh, "-journal")] {
        match fs::remove_file(&leftover) {
            Err(failure) if failure.kind() != io::ErrorKind::NotFound => {
                return Err(error::file(&leftover, "removing", &failure));
            }
            _ => {}
        }
    }
    create_file(&fresh)?;
    let mut connection = writer(&fresh)?;
    connection
        .execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;")
        .and_then(|()| connection.pragma_update(None, "application_id", APPLICATION_ID))
        .and_then(|()| migrate(&mut connection, 0, migrations))
        // Closing moves the log into the file.
        .and_then(|()| connection.close().map_err(|(_, failure)| failure))
        .map_err(|failure| error::sqlite(&fresh, "creating the tables", &failure))?;
    put_in_place(&fresh, path, folder)
}

fn create_file(path: &Path) -> Result<(), StateError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, FILE_MODE);
    options.open(path).map(drop).map_err(|failure| error::file(path, "creating", &failure))
}

fn put_in_place(from: &Path, to: &Path, folder: &Path) -> Result<(), StateError> {
    File::open(from)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(from, to))
        .map_err(|failure| error::file(to, "writing", &failure))?;
    sync_folder(folder)
}

fn bring_up_to_date(
    connection: &mut Connection,
    path: &Path,
    folder: &Path,
    migrations: &[Step],
    alone: bool,
) -> Result<(), StateError> {
    let known = migrations.len();
    let version = version(connection, path, known)?;
    if version == known {
        return Ok(());
    }
    if !alone {
        return Err(refused(
            path,
            format!("an older engine has it open: its tables are version {version}, this engine needs {known}"),
            "stop the other engine first; this one then changes the tables itself, after a backup".to_owned(),
        ));
    }
    back_up(connection, path, folder, version)?;
    migrate(connection, version, migrations)
        .map_err(|failure| error::sqlite(path, &format!("changing the tables to version {known}"), &failure))
}

/// The version of the tables. Refuses a file that is empty, another program's, or of a newer engine.
fn version(connection: &Connection, path: &Path, known: usize) -> Result<usize, StateError> {
    let failed = |failure| error::sqlite(path, "reading the header", &failure);
    if fs::metadata(path).is_ok_and(|file| file.len() == 0) {
        return Err(error::damaged(path, "it is empty"));
    }
    let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(failed)?;
    if application != APPLICATION_ID {
        return Err(refused(
            path,
            "it is a SQLite file, but not an engine's state".to_owned(),
            "`state.url` names a file of another program; give the state a file of its own".to_owned(),
        ));
    }
    let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    let version = version as usize;
    if version > known {
        return Err(refused(
            path,
            format!("a newer engine wrote it: its tables are version {version}, this engine knows up to {known}"),
            format!(
                "install the newer engine again, or go back to a copy from before the upgrade ({}.bak-v*)",
                path.display()
            ),
        ));
    }
    Ok(version)
}

fn refused(path: &Path, message: String, hint: String) -> StateError {
    StateError { tried: format!("opening the state file {}", path.display()), message, hint: Some(hint) }
}

/// Looks at the file, and at every page of it, and changes nothing; the version of its tables, `None` where nothing ran
/// yet.
pub(super) fn look(path: &Path, known: usize) -> Result<Option<usize>, StateError> {
    let folder = folder::of(path);
    match fs::metadata(folder) {
        Ok(metadata) => guard::check_folder(folder, &metadata)?,
        Err(failure) if failure.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(failure) => return Err(error::file(folder, "looking into the folder", &failure)),
    }
    guard::check_files(path, folder)?;
    if !path.try_exists().map_err(|failure| error::file(path, "looking for", &failure))? {
        return Ok(None);
    }
    let is_in_use = || beside(path, "-wal").exists();
    let found = look_inside(path, known, !is_in_use());
    // An engine that began to write meanwhile changes pages that are taken for still.
    if found.is_err() && is_in_use() { look_inside(path, known, false) } else { found }.map(Some)
}

fn look_inside(path: &Path, known: usize, is_still: bool) -> Result<usize, StateError> {
    let connection = if is_still { onlooker(path)? } else { reader(path)? };
    let version = version(&connection, path, known)?;
    check(&connection, path, "quick_check")?;
    Ok(version)
}

/// A copy beside the file, whole and synced before the tables change.
fn back_up(connection: &Connection, path: &Path, folder: &Path, version: usize) -> Result<(), StateError> {
    let copy = beside(path, &format!(".bak-v{version}"));
    let unfinished = beside(&copy, ".new");
    match fs::remove_file(&unfinished) {
        Err(failure) if failure.kind() != io::ErrorKind::NotFound => {
            return Err(error::file(&unfinished, "removing", &failure));
        }
        _ => {}
    }
    // An empty file is taken as it is, with its mode.
    create_file(&unfinished)?;
    connection
        .execute("VACUUM INTO ?1", [unfinished.to_string_lossy()])
        .map_err(|failure| error::sqlite(path, &format!("writing the backup {}", copy.display()), &failure))?;
    put_in_place(&unfinished, &copy, folder)
}

/// All steps or none.
fn migrate(connection: &mut Connection, from: usize, migrations: &[Step]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in &migrations[from..] {
        step.take(&transaction)?;
    }
    let version = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}
