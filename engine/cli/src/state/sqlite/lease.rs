//! Who runs a pipeline, and who has the state file open: locks that the system gives up when a process dies.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use engine_core::state::{Lease, StateError};
use jiff::Timestamp;

use super::error;

/// Name of the gate's lock file, without its ending: a pipeline of this name has another.
pub(super) const GATE: &str = "open";

/// The folder of the lock files, one a pipeline.
#[derive(Debug)]
pub(super) struct Leases(pub(super) PathBuf);

#[derive(Debug)]
struct FileLease {
    /// Closing it gives the lock up. The file stays: removing it would let two processes lock two files of one name.
    _file: File,
}

impl Lease for FileLease {}

impl Leases {
    /// Takes a pipeline, or says who has it: this process, or another.
    pub(super) fn take(&self, pipeline: &str) -> Result<Result<Box<dyn Lease>, String>, StateError> {
        take_file(&self.0.join(format!("{}.lock", file_name(pipeline)?)))
    }
}

/// Pipeline ids make safe file names, and so do names of work beside their runs, `acme/backfill/7`: no id has the dot
/// that stands between their parts. Anything else must not become a path.
fn file_name(name: &str) -> Result<String, StateError> {
    let is_safe = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name == GATE {
        return Ok(format!("{GATE}.pipeline"));
    }
    if name.split('/').all(|part| !part.is_empty() && part.chars().all(is_safe)) {
        return Ok(name.replace('/', "."));
    }
    Err(StateError {
        tried: format!("taking the pipeline {name:?}"),
        message: "the id holds characters that a file name must not".to_owned(),
        hint: Some("an `id` is made of a-z, 0-9 and `-`".to_owned()),
    })
}

fn take_file(path: &Path) -> Result<Result<Box<dyn Lease>, String>, StateError> {
    let tried = "locking";
    let mut file = open(path)?;
    match file.try_lock() {
        Ok(()) => {
            let note = format!("{} since {:.0}\n", std::process::id(), Timestamp::now());
            file.set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| file.write_all(note.as_bytes()))
                .map_err(|failure| error::file(path, tried, &failure))?;
            Ok(Ok(Box::new(FileLease { _file: file })))
        }
        Err(TryLockError::WouldBlock) => {
            // Only a note for people: the lock itself is what counts.
            Ok(Err(holder(fs::read_to_string(path).unwrap_or_default().trim())))
        }
        Err(TryLockError::Error(failure)) => Err(error::file(path, tried, &failure)),
    }
}

fn holder(note: &str) -> String {
    if note.is_empty() { "another process runs it".to_owned() } else { format!("process {note} runs it") }
}

fn open(path: &Path) -> Result<File, StateError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, super::open::FILE_MODE);
    options.open(path).map_err(|failure| error::file(path, "opening the lock file", &failure))
}

/// Says whether another process has the state file open; held as long as this one does.
#[derive(Debug)]
pub(super) struct Gate {
    file: File,
    path: PathBuf,
    /// Nobody else has the state file open, nor gets in before [`Self::share`].
    pub(super) alone: bool,
}

impl Gate {
    /// Waits while another process is alone behind the gate: it creates, checks or changes the tables.
    pub(super) fn enter(path: PathBuf) -> Result<Self, StateError> {
        let file = open(&path)?;
        let failed = |failure| error::file(&path, "locking", &failure);
        let alone = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => {
                file.lock_shared().map_err(failed)?;
                false
            }
            Err(TryLockError::Error(failure)) => return Err(failed(failure)),
        };
        Ok(Self { file, path, alone })
    }

    /// Lets others in.
    pub(super) fn share(&mut self) -> Result<(), StateError> {
        if self.alone {
            self.file.lock_shared().map_err(|failure| error::file(&self.path, "sharing the lock", &failure))?;
            self.alone = false;
        }
        Ok(())
    }
}
