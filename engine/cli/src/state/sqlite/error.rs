//! What SQLite and the file system say, in plain words.

use std::io;
use std::path::Path;

use engine_core::state::StateError;
use rusqlite::ErrorCode;

use super::torn::Torn;

/// A failed statement on the state file.
pub(super) fn sqlite(path: &Path, tried: &str, error: &rusqlite::Error) -> StateError {
    let message = match torn(error) {
        Some(torn) => format!("the file is damaged: {torn}"),
        // The words of the driver speak of the disk in general.
        None if is_full(error) => "the disk is full".to_owned(),
        None => error.to_string(),
    };
    StateError { tried: format!("{tried} in the state file {}", path.display()), message, hint: hint(path, error) }
}

fn torn(error: &rusqlite::Error) -> Option<&Torn> {
    match error {
        rusqlite::Error::FromSqlConversionFailure(_, _, cause) => cause.downcast_ref(),
        _ => None,
    }
}

/// No room in the file, or none for the memory that the processes share: that is reported as a failure of the disk.
fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|failure| {
        failure.code == ErrorCode::DiskFull || failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
    })
}

/// A failed operation on a file or folder.
pub(super) fn file(path: &Path, tried: &str, error: &io::Error) -> StateError {
    let folder = path.parent().unwrap_or(path).display();
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => Some(format!(
            "let the account that runs the engine read and write {folder}, or set `state.url` to another place"
        )),
        io::ErrorKind::ReadOnlyFilesystem => {
            Some(format!("{folder} is on a read-only file system; set `state.url` to a place that can be written"))
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some(format!("free some space on the disk of {folder}; nothing is lost"))
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            Some(format!("a file is where the folder {folder} should be; set `state.url` to another place"))
        }
        _ => None,
    };
    StateError { tried: format!("{tried} {}", path.display()), message: error.to_string(), hint }
}

/// The state file is damaged. It is never deleted or mended here: what it holds may still be of use.
pub(super) fn damaged(path: &Path, found: &str) -> StateError {
    StateError {
        tried: format!("opening the state file {}", path.display()),
        message: format!("the file is damaged: {found}"),
        hint: Some(start_afresh(path)),
    }
}

fn hint(path: &Path, error: &rusqlite::Error) -> Option<String> {
    let place = path.display();
    let folder = path.parent().unwrap_or(path).display();
    if is_full(error) {
        return Some(format!("free some space on the disk of {place}; nothing is lost, the run is repeated"));
    }
    if torn(error).is_some() {
        return Some(start_afresh(path));
    }
    Some(match error.sqlite_error_code()? {
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => format!(
            "{place} and its folder must be writable for the account that runs the engine, and not on a read-only \
             disk: `ls -ld {folder}; ls -l {place}*`"
        ),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => start_afresh(path),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => format!(
            "another program holds {place} locked: close what has it open (`fuser {place}` names it) and try again"
        ),
        ErrorCode::SystemIoFailure => {
            format!("the disk of {place} fails or was taken away: look into the system's log (`dmesg`)")
        }
        _ => return None,
    })
}

fn start_afresh(path: &Path) -> String {
    let place = path.display();
    format!(
        "restore {place} from a backup, or start afresh: stop the engine, move {place}, {place}-wal and {place}-shm to \
         a safe place, and start it again. That loses what is known of earlier deliveries: the records that still \
         waited in the outbox, the cursors, the quarantine, and which records to delete when they vanish from the \
         source. Every pipeline then reads and sends its window again under the same ids; with `sync.start` \
         also what lies before it"
    )
}
