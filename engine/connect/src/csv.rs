//! `type: csv`: a folder of files, read whole on every run.
//!
//! Files are opened for reading and nothing else. A file is read when it has stopped growing; until then it is left
//! for a later run, and nothing that did not come back is taken for gone. Files come newest first, each as a part of
//! the answer of its own, so that a row in a newer file replaces the row of the same key in an older one. The columns
//! are those of all files together: a file that lacks one has no value there.

mod folder;
mod probe;
mod records;
mod text;

use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use encoding_rs::Encoding;
use engine_core::ports::{
    Ask, Cancel, Connector, CsvConfig, CsvFormat, Fetched, Source, SourceConfig, SourceError, SourceErrorKind,
    SourceIdentity,
};
use engine_core::probe::Probe;
use engine_core::value::{Column, Columns, Kind, RowBatch, Slot, TypeRule};

use self::folder::{File, Listing, Stamp, is_compressed, list};
pub(crate) use self::records::{Dialect, Records};
use self::text::decimal;
pub(crate) use self::text::{Cells, open as open_text};
use crate::failure::{Problem, Target};
use crate::pump::{Feed, Flow, pump};

/// The column that names the file of a row, where the files have no column of that name.
const FILE_COLUMN: &str = "_file";
/// The column with the line on which a row begins, where the files have no column of that name.
pub(crate) const LINE_COLUMN: &str = "_line";
/// Columns of all files together; more are no header.
pub(crate) const COLUMNS_MAX: usize = 2_000;
/// How lines are written, if nothing says it.
const DEFAULT_ENCODING: &str = "utf-8";

/// The connector.
pub(crate) const CONNECTOR: Connector = Connector { name: "csv", open, types: TYPES };

const TYPES: &[TypeRule] = &[TypeRule {
    types: &["csv"],
    kind: Kind::Text,
    note: "Every cell is text; an empty one is no value. With `decimal`, digits with the country's decimal point are an \
        exact decimal.",
}];

fn open(config: &SourceConfig, cancel: &Cancel) -> Result<Box<dyn Source>, SourceError> {
    let SourceConfig::Csv(config) = config else { return Err(Target::mismatch("csv")) };
    let target = Target::folder("csv", &config.path);
    let format = Format::of(&config.format).map_err(|problem| target.connecting(problem))?;
    let path = config.path.canonicalize().map_err(|error| target.connecting(folder_problem(&error)))?;
    let identity = SourceIdentity {
        version: "CSV files".to_owned(),
        facts: [("path".to_owned(), path.display().to_string())].into(),
        encryption: "none: local files".to_owned(),
    };
    let config = CsvConfig { path, ..config.clone() };
    Ok(Box::new(Csv { config, format, target, cancel: cancel.clone(), identity, flow: None, left: None }))
}

struct Csv {
    config: CsvConfig,
    format: Format,
    target: Target,
    cancel: Cancel,
    identity: SourceIdentity,
    flow: Option<Flow<()>>,
    left: Option<String>,
}

impl Csv {
    fn listing(&self, ask: &Ask) -> Result<Listing, SourceError> {
        let CsvConfig { path, glob, settle, .. } = &self.config;
        // Whether a file has stopped growing is a matter of the machine's clock; a run may be told to act as of
        // another time.
        let now = SystemTime::now().max(SystemTime::from(ask.now));
        list(path, glob, *settle, now).map_err(|error| self.target.querying(folder_problem(&error)))
    }
}

impl Source for Csv {
    fn ask(&mut self, ask: &Ask) -> Result<(), SourceError> {
        self.flow = None;
        self.left = None;
        let listing = self.listing(ask)?;
        let path = &self.config.path;
        let bytes: u64 = listing.files.iter().map(|file| file.stamp.bytes).sum();
        tracing::debug!(
            event = "folder_listed",
            files = listing.files.len(),
            bytes,
            growing = listing.growing.len(),
            "{}: {} files to read, {} still growing",
            path.display(),
            listing.files.len(),
            listing.growing.len()
        );
        self.left = listing.left();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (mut feed, flow) = pump(move || stopped.store(true, Ordering::Relaxed));
        feed.limit_rows(ask.batch_rows_max);
        let format = self.format.clone();
        let reader = move || read_all(&listing, &format, feed, &stop);
        std::thread::Builder::new().name("engine-csv".to_owned()).spawn(reader).map_err(|error| {
            self.target.querying(Problem::new(SourceErrorKind::Config, format!("no thread to read with: {error}")))
        })?;
        self.flow = Some(flow);
        Ok(())
    }

    fn next(&mut self, batch: &mut RowBatch) -> Result<Fetched, SourceError> {
        let Some(flow) = &mut self.flow else {
            return Err(self.target.querying(Problem::new(SourceErrorKind::Config, "nothing was asked")));
        };
        let fetched = flow.next(batch, &self.cancel);
        fetched.map_err(|problem| {
            self.flow = None;
            self.target.querying(problem)
        })
    }

    fn identity(&self) -> &SourceIdentity {
        &self.identity
    }

    fn left_for_later(&self) -> Option<String> {
        self.left.clone()
    }

    fn probe(&mut self, ask: &Ask) -> Result<Probe, SourceError> {
        self.flow = None;
        Ok(probe::probe(&self.listing(ask)?, self.format.encoding))
    }
}

/// How lines are written.
#[derive(Debug, Clone)]
pub(crate) struct Format {
    pub(crate) dialect: Dialect,
    pub(crate) encoding: &'static Encoding,
    /// Names of the columns; none where the first line has them.
    pub(crate) columns: Vec<String>,
    decimal: Option<u8>,
}

impl Format {
    pub(crate) fn of(config: &CsvFormat) -> Result<Self, Problem> {
        let label = config.encoding.as_deref().unwrap_or(DEFAULT_ENCODING);
        let encoding = Encoding::for_label_no_replacement(label.as_bytes()).ok_or_else(|| {
            Problem::new(SourceErrorKind::Config, format!("`{label}` is no encoding that is known"))
                .hint("Common ones are `utf-8`, `windows-1252`, `iso-8859-15` and `utf-16`.")
        })?;
        Ok(Self {
            dialect: Dialect { delimiter: config.delimiter, quote: config.quote },
            encoding,
            columns: config.columns.clone(),
            decimal: config.decimal,
        })
    }

    /// Appends a cell: nothing, a number with the country's own decimal point, text, or why it is none.
    pub(crate) fn push_cell(
        &self,
        batch: &mut RowBatch,
        cells: Cells,
        bytes: &[u8],
        place: impl FnOnce(&str) -> String,
    ) {
        let mut digits = String::new();
        match cells.text(bytes) {
            _ if bytes.is_empty() => batch.push(Slot::Null),
            Ok(text) => match self.decimal {
                Some(point) if decimal(&text, point, &mut digits) => batch.push_decimal(&digits),
                _ => batch.push_text(&text),
            },
            Err(reason) => batch.push_bad(&place(&reason)),
        }
    }
}

/// The names on the first line, or why it has none; `None` where there is no line.
pub(crate) fn read_names<R: Read>(
    records: &mut Records<R>,
    cells: Cells,
) -> std::io::Result<Option<Result<Vec<String>, String>>> {
    loop {
        let Some(found) = records.next()? else { return Ok(None) };
        if let Some(broken) = found.broken {
            return Ok(Some(Err(format!("the line with the column names: {}", broken.words()))));
        }
        let names: Vec<String> = records.fields().map(|name| cells.lossy(name).trim().to_owned()).collect();
        // A line `sep=;` tells Excel the delimiter.
        let is_hint = names.first().is_some_and(|name| found.line == 1 && name.starts_with("sep="));
        if !is_hint {
            return Ok(Some(Ok(names)));
        }
    }
}

/// The next line that holds something, its fields in the records, and why it is no row where it is none.
pub(crate) fn next_row<R: Read>(
    records: &mut Records<R>,
    names: &[String],
    named_by: &str,
) -> std::io::Result<Option<(u64, Option<String>)>> {
    while let Some(found) = records.next()? {
        if let Some(broken) = found.broken {
            return Ok(Some((found.line, Some(broken.words()))));
        }
        if records.fields().all(<[u8]>::is_empty) {
            // What spreadsheets leave below a table.
            continue;
        }
        if fit(records, names) {
            return Ok(Some((found.line, None)));
        }
        let lines = if found.lines > 1 { " in quotes that run over several lines" } else { "" };
        let reason = format!("{} fields{lines} where {named_by} {}", records.width(), names.len());
        if found.lines > 1 {
            records.give_back_lines();
        }
        return Ok(Some((found.line, Some(reason))));
    }
    Ok(None)
}

fn folder_problem(error: &std::io::Error) -> Problem {
    let kind = match error.kind() {
        ErrorKind::PermissionDenied => SourceErrorKind::Permission,
        ErrorKind::Other => SourceErrorKind::Data,
        _ => SourceErrorKind::Network,
    };
    Problem::new(kind, error.to_string()).hint(
        "Check `source.path`, whether a network drive is mounted, and the account's right to read it; a relative path starts at the folder of the spec.",
    )
}

/// Why a file cannot be read, or not any further.
enum Trouble {
    /// The file is not what it should be; the others go on.
    File(String),
    /// The run ends.
    Run(Problem),
}

impl Trouble {
    fn of(file: &File, error: &std::io::Error) -> Self {
        match error.kind() {
            // What decompression finds wrong.
            ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                Self::File(format!("the file cannot be read any further: {error}"))
            }
            ErrorKind::PermissionDenied => Self::Run(
                Problem::new(SourceErrorKind::Permission, format!("{}: {error}", file.name))
                    .hint("Give the account the right to read the file."),
            ),
            _ => Self::Run(
                Problem::new(SourceErrorKind::Network, format!("{}: {error}", file.name))
                    .hint("The file went away, or the disk or network drive failed. The next run tries again."),
            ),
        }
    }
}

/// The run asked to stop; seen at every read of a file.
struct Stoppable<R> {
    inner: R,
    stop: Arc<AtomicBool>,
}

impl<R: Read> Read for Stoppable<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(std::io::Error::other("stopped, as asked"));
        }
        self.inner.read(into)
    }
}

/// A file in the middle of being read.
struct Reading {
    handle: std::fs::File,
    records: Records<Box<dyn Read>>,
    cells: Cells,
}

impl Reading {
    fn open(file: &File, format: &Format, stop: &Arc<AtomicBool>) -> Result<Self, Trouble> {
        let open = || {
            let handle = std::fs::File::open(&file.path)?;
            // What is appended from now on is for the next run.
            let bytes = Stoppable { inner: handle.try_clone()?.take(file.stamp.bytes), stop: Arc::clone(stop) };
            text::open(bytes, is_compressed(&file.name), format.encoding).map(|opened| (handle, opened))
        };
        let (handle, opened) = open().map_err(|error| Trouble::of(file, &error))?;
        Ok(Self { handle, records: Records::new(opened.bytes, format.dialect), cells: opened.cells })
    }

    /// The names on the first line; `None` in a file without a line.
    fn header(&mut self, file: &File) -> Result<Option<Vec<String>>, Trouble> {
        let names = read_names(&mut self.records, self.cells).map_err(|error| Trouble::of(file, &error))?;
        names.transpose().map_err(Trouble::File)
    }

    /// Whether the file is as it was when the folder was looked at. One that was written meanwhile may have been read
    /// half old and half new.
    fn is_unchanged(&self, file: &File) -> bool {
        let same = |metadata: std::io::Result<std::fs::Metadata>| {
            metadata.and_then(|metadata| Stamp::of(&metadata)).is_ok_and(|stamp| stamp == file.stamp)
        };
        same(self.handle.metadata()) && same(std::fs::metadata(&file.path))
    }
}

fn read_all(listing: &Listing, format: &Format, mut feed: Feed<()>, stop: &Arc<AtomicBool>) {
    let read = || Answer { format, stop, feed: &mut feed, layout: Layout::default() }.read(listing);
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)) {
        Ok(Ok(())) => feed.end(),
        Ok(Err(problem)) => feed.fail(problem),
        Err(panic) => feed.fail(Problem::panicked(&*panic)),
    }
}

/// The columns of all files together.
#[derive(Default)]
struct Layout {
    names: Vec<String>,
    /// Whether [`FILE_COLUMN`] and [`LINE_COLUMN`] are added.
    file: bool,
    line: bool,
}

impl Layout {
    /// The place of each name of a file; names that are new are added.
    fn places(&mut self, names: &[String]) -> Vec<usize> {
        let mut taken = vec![false; self.names.len()];
        let mut places = Vec::with_capacity(names.len());
        for name in names {
            let free = |same: &dyn Fn(&str) -> bool| {
                self.names.iter().enumerate().position(|(place, known)| !taken[place] && same(known))
            };
            let exact = free(&|known| known == name);
            // Names that differ in case only are one column, unless one file has both.
            let place = exact.or_else(|| {
                let unambiguous = !names.iter().any(|other| other != name && other.eq_ignore_ascii_case(name));
                free(&|known| unambiguous && known.eq_ignore_ascii_case(name))
            });
            let place = place.unwrap_or_else(|| {
                self.names.push(name.clone());
                taken.push(false);
                self.names.len() - 1
            });
            taken[place] = true;
            places.push(place);
        }
        places
    }

    fn columns(&mut self) -> Columns {
        let has = |name: &str| self.names.iter().any(|known| known.eq_ignore_ascii_case(name));
        (self.file, self.line) = (!has(FILE_COLUMN), !has(LINE_COLUMN));
        let column = |name: &str, kind| Column { name: name.to_owned(), kind, source_type: "csv".to_owned() };
        let mut columns: Vec<Column> = self.names.iter().map(|name| column(name, Kind::Text)).collect();
        if self.file {
            columns.push(column(FILE_COLUMN, Kind::Text));
        }
        if self.line {
            columns.push(column(LINE_COLUMN, Kind::Int));
        }
        columns.into()
    }
}

/// An answer on its way to the run.
struct Answer<'a> {
    format: &'a Format,
    stop: &'a Arc<AtomicBool>,
    feed: &'a mut Feed<()>,
    layout: Layout,
}

impl Answer<'_> {
    fn read(&mut self, listing: &Listing) -> Result<(), Problem> {
        self.lay_out(listing)?;
        if self.layout.names.is_empty() {
            return Ok(());
        }
        let columns = self.layout.columns();
        self.feed.begin(columns);
        for (part, file) in (0..).zip(&listing.files) {
            self.begin_part(part)?;
            let mut line = 1;
            match self.file(file, part, &mut line) {
                Ok(()) => {}
                Err(_) if self.stop.load(Ordering::Relaxed) => return Err(Problem::cancelled()),
                Err(Trouble::Run(problem)) => return Err(problem),
                Err(Trouble::File(reason)) => {
                    self.make_room(part)?;
                    self.push_broken(file, line, &reason);
                }
            }
        }
        Ok(())
    }

    /// Looks at the first line of every file.
    fn lay_out(&mut self, listing: &Listing) -> Result<(), Problem> {
        if !self.format.columns.is_empty() {
            self.layout.places(&self.format.columns);
            return Ok(());
        }
        let mut unreadable = None;
        for file in &listing.files {
            let header = Reading::open(file, self.format, self.stop).and_then(|mut reading| reading.header(file));
            match header {
                Ok(names) => {
                    let names = names.unwrap_or_default();
                    if names.len() > COLUMNS_MAX {
                        return Err(too_many_columns(file));
                    }
                    self.layout.places(&names);
                }
                Err(_) if self.stop.load(Ordering::Relaxed) => return Err(Problem::cancelled()),
                Err(Trouble::File(reason)) => unreadable = unreadable.or(Some(format!("{}: {reason}", file.name))),
                Err(Trouble::Run(problem)) => return Err(problem),
            }
            if self.layout.names.len() > COLUMNS_MAX {
                return Err(too_many_columns(file));
            }
        }
        match unreadable {
            // There is no row that could say it.
            Some(reason) if self.layout.names.is_empty() => Err(Problem::new(SourceErrorKind::Data, reason)
                .hint("Check `quote`, and whether the file is what its name says.")),
            _ => Ok(()),
        }
    }

    fn file(&mut self, file: &File, part: u32, line: &mut u64) -> Result<(), Trouble> {
        let mut reading = Reading::open(file, self.format, self.stop)?;
        let (names, named_by) = match self.format.columns.is_empty() {
            false => (self.format.columns.clone(), "`columns` has"),
            true => match reading.header(file)? {
                Some(names) => (names, "the header has"),
                None => return Ok(()),
            },
        };
        // Where the field of each column stands in this file.
        let mut fields: Vec<Option<usize>> = vec![None; self.layout.names.len()];
        for (field, place) in self.layout.places(&names).into_iter().enumerate() {
            // A column that came up since the folder was laid out is for the next run.
            if let Some(slot) = fields.get_mut(place) {
                *slot = Some(field);
            }
        }
        self.layout.names.truncate(fields.len());
        let next = |reading: &mut Reading| next_row(&mut reading.records, &names, named_by);
        while let Some((at_line, broken)) = next(&mut reading).map_err(|error| Trouble::of(file, &error))? {
            *line = at_line;
            self.make_room(part).map_err(Trouble::Run)?;
            if let Some(reason) = broken {
                self.push_broken(file, at_line, &reason);
                continue;
            }
            let (_, batch) = self.feed.row();
            for field in &fields {
                let bytes = match field {
                    Some(field) if *field < reading.records.width() => reading.records.field(*field),
                    _ => b"",
                };
                self.format.push_cell(batch, reading.cells, bytes, |reason| at(file, at_line, reason));
            }
            push_place(&self.layout, batch, file, at_line);
        }
        if !reading.is_unchanged(file) {
            let message = format!("{} was written while it was read", file.name);
            return Err(Trouble::Run(Problem::new(SourceErrorKind::Data, message).hint(
                "Nothing was sent; the next run reads it again. If this comes often, raise `source.settle`, or let the export write to another name and rename.",
            )));
        }
        Ok(())
    }

    /// Every part begins with a batch of its own.
    fn begin_part(&mut self, part: u32) -> Result<(), Problem> {
        if !self.feed.row().1.is_empty() {
            self.feed.hand_over_blocking().map_err(|_| Problem::cancelled())?;
        }
        self.feed.row().1.set_part(part);
        Ok(())
    }

    fn make_room(&mut self, part: u32) -> Result<(), Problem> {
        if self.feed.is_full() { self.begin_part(part) } else { Ok(()) }
    }

    /// A row that says only where it stands, and why it is none.
    fn push_broken(&mut self, file: &File, line: u64, reason: &str) {
        let (_, batch) = self.feed.row();
        batch.push_unreadable(self.layout.names.len(), &at(file, line, reason));
        push_place(&self.layout, batch, file, line);
    }
}

fn too_many_columns(file: &File) -> Problem {
    let message = format!("{}: with this file there are more than {COLUMNS_MAX} columns", file.name);
    Problem::new(SourceErrorKind::Data, message)
        .hint("Check `delimiter` and `glob`: the first line of every file names its columns.")
}

fn push_place(layout: &Layout, batch: &mut RowBatch, file: &File, line: u64) {
    if layout.file {
        batch.push_text(&file.name);
    }
    if layout.line {
        batch.push(Slot::Int(i64::try_from(line).unwrap_or(i64::MAX)));
    }
}

fn at(file: &File, line: u64, reason: &str) -> String {
    format!("{} line {line}: {reason}", file.name)
}

/// Whether a record has the fields that the names ask for. A delimiter at the end of the lines, or of the header, makes
/// an empty field or name that nobody misses.
fn fit<R: Read>(records: &Records<R>, names: &[String]) -> bool {
    let width = records.width();
    let no_field = |place: usize| records.field(place).is_empty();
    (names.len()..width).all(no_field) && names.iter().skip(width).all(String::is_empty)
}

#[cfg(test)]
#[path = "csv/tests.rs"]
mod tests;
