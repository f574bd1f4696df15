//! A file of JSON lines, one record a line, to which every record is appended exactly once.
//!
//! # For operators
//!
//! A line is the record as an HTTP destination would get it, with the pipeline's id in front:
//! `{"pipeline":"acme-bookings","op":"upsert","run_id":"…",…}`. A corrected record is a further line with the same id;
//! the last line of an id counts.
//!
//! Beside `runs.ndjson` stands `runs.ndjson.parcel`, a small JSON file that says where the last parcel lies. It is
//! what keeps a record from being written twice after a crash. Rules:
//! - Move the file away whenever you like (log rotation by rename): the next parcel starts a new one. Copying and
//!   truncating works too.
//! - Do not edit the end of the file while the engine is stopped: a last parcel that is not as it was written counts
//!   as torn by a crash and is cut off, and is only written again if it was not acknowledged.
//! - Without the `.parcel` file nothing is lost, but a parcel that was interrupted may come twice.
//! - Several pipelines may share a file. The file must lie on a local disk: network drives do not keep what
//!   `fsync` promises.
//!
//! # How
//!
//! 1. The sidecar is written first (to a temporary file, synced, renamed, folder synced): where the parcel begins and
//!    ends, and a hash of its bytes.
//! 2. The lines are appended and synced. Only now is the parcel acknowledged.
//! 3. After a restart, what the sidecar announces is compared with the file. If it is not there in full, it was never
//!    acknowledged, and the file is cut back to where it began. If it is, it is synced before anything is said of it.
//! 4. A parcel that comes again under its key is acknowledged without writing. If the engine cuts its parcels otherwise
//!    after a crash, records that lie in the last parcel of their pipeline, line for line, are left out.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use engine_core::ports::{Answer, Cancel, Destination, Parcel};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::{OpenError, write_line};

/// Version of the sidecar's form.
const SIDECAR_VERSION: u32 = 1;
/// Bytes read at a time in search of the last line.
const TAIL_BYTES: u64 = 64 << 10;

/// A file of JSON lines.
#[derive(Debug)]
pub struct FileDestination {
    path: PathBuf,
    place: String,
    /// End of the last parcel that this process has written and synced: it needs no comparison.
    trusted_end: Option<u64>,
}

/// What stands in `<path>.parcel`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sidecar {
    version: u32,
    /// The parcel that was appended last, or was about to be.
    last: Extent,
    /// The last parcel of each pipeline.
    pipelines: BTreeMap<String, LastParcel>,
}

/// Bytes of the file, from `begin` to before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extent {
    begin: u64,
    end: u64,
    /// XXH3 of the bytes.
    hash: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LastParcel {
    key: String,
    first_seq: i64,
    last_seq: i64,
    /// Where its lines lie; lines of other pipelines may lie between.
    begin: u64,
    end: u64,
}

impl FileDestination {
    /// Checks that the file can be written, and creates it if need be.
    pub fn new(path: &Path) -> Result<Self, OpenError> {
        let place = path.display().to_string();
        let wrong = |message: String, hint: &str| OpenError {
            tried: format!("opening the destination file {place}"),
            message,
            hint: Some(hint.to_owned()),
        };
        let kind = open(path).and_then(|file| file.metadata()).map_err(|error| {
            wrong(error.to_string(), "its folder must exist, and the engine's user must be allowed to write there")
        })?;
        if !kind.is_file() {
            let hint = "a parcel must be taken back after a crash, which only a file allows; or use type: stdout";
            return Err(wrong("it is not a regular file".to_owned(), hint));
        }
        Ok(Self { path: path.to_owned(), place, trusted_end: None })
    }

    fn append(&mut self, parcel: &Parcel) -> io::Result<()> {
        let (Some(first), Some(last)) = (parcel.records.first(), parcel.records.last()) else {
            return Ok(());
        };
        // Opened anew for every parcel, so that a file that was moved away is left alone.
        let mut file = open(&self.path)?;
        // Pipelines that share the file take turns.
        file.lock()?;
        let sidecar = self.settled(&mut file)?;
        let begin = cut_torn_line(&mut file)?;

        let previous = sidecar.as_ref().and_then(|sidecar| sidecar.pipelines.get(&parcel.pipeline));
        if previous.is_some_and(|previous| previous.key == parcel.idempotency_key && previous.end <= begin) {
            return Ok(());
        }
        let overlap = previous.filter(|previous| {
            previous.end <= begin && first.seq <= previous.last_seq && previous.first_seq <= last.seq
        });
        let lines = match overlap {
            Some(previous) => {
                let old = read_extent(&mut file, previous.begin, previous.end)?;
                let old: HashSet<&[u8]> = old.split_inclusive(|byte| *byte == b'\n').collect();
                let seqs = previous.first_seq..=previous.last_seq;
                lines(parcel, |seq, line| !(seqs.contains(&seq) && old.contains(line)))
            }
            None => lines(parcel, |_, _| true),
        };
        let end = begin + lines.len() as u64;
        let now = LastParcel {
            key: parcel.idempotency_key.clone(),
            first_seq: overlap.map_or(first.seq, |previous| previous.first_seq.min(first.seq)),
            last_seq: overlap.map_or(last.seq, |previous| previous.last_seq.max(last.seq)),
            begin: overlap.map_or(begin, |previous| previous.begin),
            end,
        };
        let mut pipelines = sidecar.map(|sidecar| sidecar.pipelines).unwrap_or_default();
        pipelines.insert(parcel.pipeline.clone(), now);
        let last = Extent { begin, end, hash: xxh3_64(&lines) };
        self.write_sidecar(&Sidecar { version: SIDECAR_VERSION, last, pipelines })?;

        self.trusted_end = None;
        file.seek(SeekFrom::Start(begin))?;
        file.write_all(&lines)?;
        file.sync_all()?;
        self.trusted_end = Some(end);
        Ok(())
    }

    /// What the sidecar says, after a parcel that was torn by a crash has been cut off. `None` without a sidecar, or
    /// if it speaks of another file.
    fn settled(&self, file: &mut File) -> io::Result<Option<Sidecar>> {
        let text = match fs::read(self.sidecar_path()) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut sidecar: Sidecar = serde_json::from_slice(&text).map_err(|error| {
            let path = self.sidecar_path();
            io::Error::other(format!("{} is damaged ({error}); delete it to go on without it", path.display()))
        })?;
        let (last, length) = (sidecar.last, file.metadata()?.len());
        if length < last.begin {
            return Ok(None);
        }
        if self.trusted_end == Some(last.end) && length >= last.end {
            return Ok(Some(sidecar));
        }
        let whole = length >= last.end && xxh3_64(&read_extent(file, last.begin, last.end)?) == last.hash;
        if whole {
            // Who wrote it may have died before it was synced, and it is about to be acknowledged.
            file.sync_all()?;
            sync_folder(&self.path)?;
        } else {
            file.set_len(last.begin)?;
            file.sync_all()?;
            for parcel in sidecar.pipelines.values_mut().filter(|parcel| parcel.end > last.begin) {
                parcel.key.clear();
                parcel.end = last.begin.max(parcel.begin);
            }
        }
        Ok(Some(sidecar))
    }

    fn sidecar_path(&self) -> PathBuf {
        with_suffix(&self.path, ".parcel")
    }

    /// Replaces the sidecar, for good and as a whole.
    fn write_sidecar(&self, sidecar: &Sidecar) -> io::Result<()> {
        let (path, temporary) = (self.sidecar_path(), with_suffix(&self.path, ".parcel.tmp"));
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec(sidecar)?)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        sync_folder(&path)
    }
}

impl Destination for FileDestination {
    fn send(&mut self, parcel: &Parcel, _cancel: &Cancel) -> Answer {
        match self.append(parcel) {
            Ok(()) => Answer::Accepted { rejected: Vec::new() },
            // Whatever was written of it is found and cut off, or recognised, by the next attempt.
            Err(error) => {
                let message = format!("appending {} records to {}: {error}", parcel.records.len(), self.path.display());
                Answer::Unknown { message }
            }
        }
    }

    fn place(&self) -> &str {
        &self.place
    }
}

fn open(path: &Path) -> io::Result<File> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
            sync_folder(path)?;
            Ok(file)
        }
        other => other,
    }
}

/// Makes a name in a folder last through a power cut.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// The lines of the records that are wanted.
fn lines(parcel: &Parcel, wanted: impl Fn(i64, &[u8]) -> bool) -> Vec<u8> {
    let mut out = Vec::new();
    for record in &parcel.records {
        let start = out.len();
        write_line(&mut out, &parcel.pipeline, &record.body);
        if !wanted(record.seq, &out[start..]) {
            out.truncate(start);
        }
    }
    out
}

fn read_extent(file: &mut File, begin: u64, end: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(begin))?;
    file.take(end.saturating_sub(begin)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Ends the file with a whole line, and returns its length: a last line without its end is cut off, unless only the
/// line break is missing.
fn cut_torn_line(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut tail = Vec::new();
    let mut begin = length;
    loop {
        let before = begin;
        begin = begin.saturating_sub(TAIL_BYTES);
        let mut piece = read_extent(file, begin, before)?;
        piece.append(&mut tail);
        tail = piece;
        if let Some(line_end) = tail.iter().rposition(|byte| *byte == b'\n') {
            begin += line_end as u64 + 1;
            tail.drain(..=line_end);
            break;
        }
        if begin == 0 {
            break;
        }
    }
    if tail.is_empty() {
        return Ok(length);
    }
    if serde_json::from_slice::<serde::de::IgnoredAny>(&tail).is_ok() {
        file.seek(SeekFrom::Start(length))?;
        file.write_all(b"\n")?;
        return Ok(length + 1);
    }
    file.set_len(begin)?;
    Ok(begin)
}

#[cfg(test)]
mod tests;
