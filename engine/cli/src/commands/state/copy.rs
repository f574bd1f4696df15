//! `engine state export` and `engine state import`: everything that is remembered of a pipeline, as JSON lines.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read as _, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use engine_core::state::{DeliveryState, Forget, PipelineState, Saved, StateStore};
use serde::{Deserialize, Serialize};

use super::take;
use crate::args::{StateExportArgs, StateImportArgs};
use crate::exit::{CommandError, Kind};
use crate::{folder, show, store};

/// Marks a file as a copy.
const FORMAT: &str = "engine-state";
/// The version of the form; a change that an older engine does not understand makes it grow. A copy of any earlier version
/// is understood. 2: bodies of rows and records leave out what stands beside them.
const VERSION: u32 = 2;
/// The longest line that is read, in bytes: many times the longest row.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// A copy holds production data: it is for the account of the engine alone.
#[cfg(unix)]
const FILE_MODE: u32 = 0o600;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    pipeline: String,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    /// Lines between the first and the last.
    lines: u64,
}

pub(super) fn export(store: &dyn StateStore, args: &StateExportArgs) -> Result<(), CommandError> {
    let pipeline = &args.pipeline;
    store::wanted(store, std::slice::from_ref(pipeline))?;
    let _lease = take(store, pipeline)?;
    let Some(path) = &args.to else {
        write(store, pipeline, io::stdout().lock(), "standard output")?;
        return Ok(());
    };
    let failed = |error: io::Error| file_error("writing", path, &error);
    // Whole or not at all: under its name there is never a part of it.
    let mut part = path.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let file = create(&part).map_err(failed)?;
    let lines = write(store, pipeline, &file, &path.display().to_string())?;
    file.sync_all()
        .and_then(|()| fs::rename(&part, path))
        .and_then(|()| folder::sync(folder::of(path)))
        .map_err(failed)?;
    show::print(&format!("{pipeline}: {lines} things written to {}\n", path.display()));
    Ok(())
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, FILE_MODE);
    options.open(path)
}

/// Writes everything; how many lines there are between the first and the last.
fn write(store: &dyn StateStore, pipeline: &str, to: impl Write, place: &str) -> Result<u64, CommandError> {
    let mut to = BufWriter::new(to);
    let header = Header { format: FORMAT.to_owned(), version: VERSION, pipeline: pipeline.to_owned() };
    let mut lines = 0;
    let mut outcome = line(&mut to, &header);
    if outcome.is_ok() {
        store.saved(pipeline, &mut |saved| {
            lines += 1;
            outcome = line(&mut to, &saved);
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
    }
    outcome.and_then(|()| line(&mut to, &End { lines })).and_then(|()| to.flush()).map_err(|error| {
        CommandError::new(Kind::Environment, format!("writing the state of {pipeline} to {place}: {error}"))
    })?;
    Ok(lines)
}

fn line(to: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, value)?;
    to.write_all(b"\n")
}

pub(super) fn import(store: &dyn StateStore, args: &StateImportArgs) -> Result<(), CommandError> {
    let file = File::open(&args.file).map_err(|error| file_error("opening", &args.file, &error))?;
    let mut lines = Lines { from: BufReader::new(file), path: &args.file, read: 0 };
    let pipeline = header(&mut lines)?;
    let _lease = take(store, &pipeline)?;
    let known = is_known(store, &pipeline)?;
    if known && !args.replace {
        let message = format!("{pipeline}: it has a state already");
        return Err(CommandError::new(Kind::Usage, message).hint(format!(
            "`engine state show {pipeline}` shows it; `--replace` forgets it and takes that of the file instead"
        )));
    }
    let mut transaction = store.begin(&pipeline)?;
    transaction.forget(Forget::Everything)?;
    let mut restored = 0;
    loop {
        let text = lines.next()?.ok_or_else(|| lines.wrong("the file is cut short: its last line is missing"))?;
        if let Ok(End { lines: expected }) = serde_json::from_str(&text) {
            if expected != restored {
                return Err(lines.wrong(&format!("{expected} things were written, and {restored} are there")));
            }
            break;
        }
        let saved: Saved = serde_json::from_str(&text).map_err(|error| lines.wrong(&error.to_string()))?;
        transaction.restore(&saved)?;
        restored += 1;
    }
    if lines.next()?.is_some() {
        return Err(lines.wrong("something follows its last line"));
    }
    transaction.commit()?;
    show::print(&format!("{pipeline}: {restored} things read from {}\n", args.file.display()));
    Ok(())
}

/// Whether anything is remembered of a pipeline.
fn is_known(store: &dyn StateStore, pipeline: &str) -> Result<bool, CommandError> {
    let mut known = false;
    store.saved(pipeline, &mut |saved| {
        known = match saved {
            Saved::State(state) => *state != PipelineState::default(),
            Saved::Delivery(delivery) => delivery != DeliveryState::default(),
            _ => true,
        };
        if known { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(known)
}

/// The pipeline of a copy that this engine understands.
fn header(lines: &mut Lines<'_, impl BufRead>) -> Result<String, CommandError> {
    let text = lines.next()?.unwrap_or_default();
    let header: Header = serde_json::from_str(&text)
        .ok()
        .filter(|header: &Header| header.format == FORMAT)
        .ok_or_else(|| lines.wrong("it is not what `engine state export` writes"))?;
    if !(1..=VERSION).contains(&header.version) {
        let message = format!("its version is {}, and this engine understands 1 to {VERSION}", header.version);
        return Err(lines.wrong(&message).hint("a newer engine wrote it: install that one here, too"));
    }
    Ok(header.pipeline)
}

/// The lines of a copy. One without an end is no line: the file was cut short in it.
struct Lines<'a, R> {
    from: R,
    path: &'a Path,
    read: u64,
}

impl<R: BufRead> Lines<'_, R> {
    fn next(&mut self) -> Result<Option<String>, CommandError> {
        self.read += 1;
        let mut text = String::new();
        let read = self.from.by_ref().take(LINE_BYTES_MAX).read_line(&mut text);
        match read {
            Err(error) => Err(file_error("reading", self.path, &error)),
            Ok(0) => Ok(None),
            Ok(_) if text.ends_with('\n') => Ok(Some(text)),
            Ok(_) => Err(self.wrong("the file is cut short: the line does not end")),
        }
    }

    fn wrong(&self, message: &str) -> CommandError {
        CommandError::new(Kind::Usage, format!("{}, line {}: {message}", self.path.display(), self.read))
            .hint("nothing was changed")
    }
}

fn file_error(tried: &str, path: &Path, error: &io::Error) -> CommandError {
    CommandError::new(Kind::Environment, format!("{tried} {}: {error}", path.display()))
}
