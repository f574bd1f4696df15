//! The power goes, and the disk keeps what was synced and any part of the rest.
//!
//! A library that is loaded into the process (`powerloss/record.c`) records what it does to the files of a folder. The
//! replay makes the folder as it may be found afterwards: with all writes that were synced, and any of the others, in
//! any order, down to single sectors; with the names of files only where their folder was synced, and any of the others.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::binary::Workspace;

/// Bytes that a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;
/// Bytes of the head of an entry in the log: kind, bytes of the name, offset, bytes of the data.
const HEAD_BYTES: usize = 24;
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A process is recorded by what is loaded into it.
pub struct Recorder {
    library: TempDir,
    /// Where the entries are written.
    pub log: PathBuf,
}

impl Recorder {
    /// Compiles the library, and has the programs of a workspace recorded from now on: what they do below a folder.
    /// `None` where there is no compiler.
    pub fn start(workspace: &mut Workspace, folder: &Path) -> Option<Self> {
        let library = tempfile::tempdir().expect("a temporary folder");
        let (source, built) = (library.path().join("record.c"), library.path().join("record.so"));
        fs::write(&source, include_str!("powerloss/record.c")).expect("the folder is writable");
        let compiler = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&built).arg(&source).output();
        let output = compiler.ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let log = library.path().join("log");
        let folder = folder.canonicalize().expect("the folder is there");
        for (name, value) in [("LD_PRELOAD", &built), ("POWERLOSS_FOLDER", &folder), ("POWERLOSS_LOG", &log)] {
            workspace.env(name, &value.display().to_string());
        }
        Some(Self { library, log })
    }

    /// How programs die from now on.
    pub fn die(&self, workspace: &mut Workspace, death: Death) {
        let (entries, syncs) = match death {
            Death::Never => (0, 0),
            Death::After(things) => (things, 0),
            Death::AtSync(files) => (0, files),
        };
        workspace.env("POWERLOSS_DIE_AFTER", &entries.to_string()).env("POWERLOSS_DIE_AT_SYNC", &syncs.to_string());
    }

    /// Bytes of the log so far: a moment.
    pub fn moment(&self) -> u64 {
        moment(&self.log)
    }

    /// What was recorded, on top of files that were on the disk already.
    pub fn history(&self, before: BTreeMap<String, Vec<u8>>) -> History {
        assert!(self.library.path().is_dir(), "the log is there as long as the recorder");
        History { before, entries: read(&fs::read(&self.log).expect("something was recorded")) }
    }
}

/// When a program is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// It is not.
    Never,
    /// After so many things that it did to the files.
    After(usize),
    /// When it is about to sync so many files, and has not synced the last of them.
    AtSync(usize),
}

/// Bytes of a log so far: a moment.
pub fn moment(log: &Path) -> u64 {
    fs::metadata(log).map_or(0, |log| log.len())
}

#[derive(Debug)]
enum Change {
    Create,
    Write(usize, Vec<u8>),
    Cut(usize),
    Sync,
    SyncFolder,
    Rename(String),
    Remove,
    MakeFolder,
}

#[derive(Debug)]
struct Entry {
    name: String,
    change: Change,
    /// The moment after it.
    end: u64,
}

/// Whether the disk does what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// What it says is synced is synced.
    Honest,
    /// It says so at once, and writes when it likes.
    Lying,
}

/// All that was done to the files.
pub struct History {
    before: BTreeMap<String, Vec<u8>>,
    entries: Vec<Entry>,
}

/// What the disk holds of a file: all that is sure, and what may or may not be there.
#[derive(Clone, Default)]
struct File {
    sure: Vec<u8>,
    open: Vec<Piece>,
}

#[derive(Clone)]
enum Piece {
    Write(usize, Vec<u8>),
    Cut(usize),
}

/// What a name leads to: a file, by its number, or a folder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Thing {
    File(usize),
    Folder,
}

/// The folder as the process saw it, and as the disk may hold it.
#[derive(Default)]
struct State {
    files: Vec<File>,
    seen: BTreeMap<String, Thing>,
    sure: BTreeMap<String, Thing>,
    /// Names that were made, changed or removed together, and are not sure yet.
    open: Vec<Vec<(String, Option<Thing>)>>,
}

/// How much of what is not sure is there.
#[derive(Clone, Copy)]
enum Kept {
    Nothing,
    Everything,
    Any,
    /// Any, and writes may be torn between two sectors.
    Torn,
}

impl History {
    /// Things that were done.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was done.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The moment after so many things.
    pub fn moment(&self, things: usize) -> u64 {
        things.checked_sub(1).map_or(0, |last| self.entries[last].end)
    }

    /// Fills a folder with what may be found in it when the power went after so many things.
    pub fn image(&self, things: usize, disk: Disk, random: &mut fastrand::Rng, folder: &Path) {
        let mut state = State::default();
        for (name, content) in &self.before {
            state.files.push(File { sure: content.clone(), open: Vec::new() });
            let thing = Thing::File(state.files.len() - 1);
            state.seen.insert(name.clone(), thing);
        }
        for name in self.before.keys() {
            let folders = std::iter::successors(parent(name), |folder| parent(folder));
            state.seen.extend(folders.map(|folder| (folder.to_owned(), Thing::Folder)));
        }
        state.sure = state.seen.clone();
        for entry in &self.entries[..things] {
            state.take(entry, disk);
        }
        let choices = [Kept::Nothing, Kept::Everything, Kept::Any, Kept::Any, Kept::Torn, Kept::Torn];
        let kept = choices[random.usize(..choices.len())];
        state.write(kept, random, folder);
    }
}

impl State {
    fn take(&mut self, entry: &Entry, disk: Disk) {
        let name = &entry.name;
        let file = match self.seen.get(name) {
            Some(Thing::File(number)) => Some(*number),
            _ => None,
        };
        match &entry.change {
            Change::Create => {
                self.files.push(File::default());
                self.name(vec![(name.clone(), Some(Thing::File(self.files.len() - 1)))]);
            }
            Change::MakeFolder => self.name(vec![(name.clone(), Some(Thing::Folder))]),
            Change::Remove => self.name(vec![(name.clone(), None)]),
            Change::Rename(to) => {
                let thing = self.seen.get(name).copied();
                self.name(vec![(name.clone(), None), (to.clone(), thing)]);
            }
            Change::Write(at, data) => {
                if let Some(file) = file {
                    self.files[file].open.push(Piece::Write(*at, data.clone()));
                }
            }
            Change::Cut(length) => {
                if let Some(file) = file {
                    self.files[file].open.push(Piece::Cut(*length));
                }
            }
            Change::Sync | Change::SyncFolder if disk == Disk::Lying => {}
            Change::Sync => {
                if let Some(file) = file {
                    let File { sure, open } = &mut self.files[file];
                    open.drain(..).for_each(|piece| apply(sure, &piece));
                }
            }
            Change::SyncFolder => {
                let of_folder = |names: &Vec<(String, Option<Thing>)>| {
                    names.iter().any(|(one, _)| parent(one).unwrap_or_default() == name)
                };
                let (synced, open) = self.open.drain(..).partition(of_folder);
                self.open = open;
                synced.into_iter().for_each(|names: Vec<_>| put(&mut self.sure, &names));
            }
        }
    }

    fn name(&mut self, names: Vec<(String, Option<Thing>)>) {
        put(&mut self.seen, &names);
        self.open.push(names);
    }

    fn write(mut self, kept: Kept, random: &mut fastrand::Rng, folder: &Path) {
        for names in &self.open {
            if is_kept(kept, random) {
                put(&mut self.sure, names);
            }
        }
        // In the order of names a folder comes before what is in it.
        for (name, thing) in &self.sure {
            let path = folder.join(name);
            if !path.parent().is_some_and(Path::is_dir) {
                continue;
            }
            match thing {
                Thing::Folder => {
                    fs::DirBuilder::new().mode(FOLDER_MODE).create(path).expect("the folder is writable");
                }
                Thing::File(number) => {
                    let content = self.files[*number].clone().found(kept, random);
                    let mut options = fs::OpenOptions::new();
                    let file = options.write(true).create_new(true).mode(FILE_MODE).open(path);
                    file.and_then(|mut file| io_write(&mut file, &content)).expect("the folder is writable");
                }
            }
        }
    }
}

impl File {
    /// What is found of it.
    fn found(self, kept: Kept, random: &mut fastrand::Rng) -> Vec<u8> {
        let mut content = self.sure;
        for piece in &self.open {
            match (piece, kept) {
                (Piece::Write(at, data), Kept::Torn) => {
                    let mut from = 0;
                    while from < data.len() {
                        let to = data.len().min(from + SECTOR_BYTES - (at + from) % SECTOR_BYTES);
                        if random.bool() {
                            apply(&mut content, &Piece::Write(at + from, data[from..to].to_vec()));
                        }
                        from = to;
                    }
                }
                _ if is_kept(kept, random) => apply(&mut content, piece),
                _ => {}
            }
        }
        content
    }
}

fn is_kept(kept: Kept, random: &mut fastrand::Rng) -> bool {
    match kept {
        Kept::Nothing => false,
        Kept::Everything => true,
        Kept::Any | Kept::Torn => random.bool(),
    }
}

fn apply(content: &mut Vec<u8>, piece: &Piece) {
    match piece {
        Piece::Cut(length) => content.resize(*length, 0),
        Piece::Write(at, data) => {
            let end = at + data.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*at..end].copy_from_slice(data);
        }
    }
}

fn put(names: &mut BTreeMap<String, Thing>, changes: &[(String, Option<Thing>)]) {
    for (name, thing) in changes {
        match thing {
            Some(thing) => names.insert(name.clone(), *thing),
            None => names.remove(name),
        };
    }
}

fn parent(name: &str) -> Option<&str> {
    name.rsplit_once('/').map(|(folder, _)| folder)
}

fn io_write(file: &mut fs::File, content: &[u8]) -> std::io::Result<()> {
    std::io::Write::write_all(file, content)
}

/// The entries of a log.
fn read(log: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut at = 0;
    while let Some(head) = log.get(at..at + HEAD_BYTES) {
        let number = |from: usize, bytes: usize| {
            let mut whole = [0; 8];
            whole[..bytes].copy_from_slice(&head[from..from + bytes]);
            usize::try_from(u64::from_le_bytes(whole)).expect("a file fits into memory")
        };
        let (kind, name_bytes, offset, data_bytes) = (number(0, 4), number(4, 4), number(8, 8), number(16, 8));
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the names are of the tests");
        let name_at = at + HEAD_BYTES;
        let data_at = name_at + name_bytes;
        at = data_at + data_bytes;
        let data = &log[data_at..at];
        let change = match u8::try_from(kind) {
            Ok(b'C') => Change::Create,
            Ok(b'W') => Change::Write(offset, data.to_vec()),
            Ok(b'T') => Change::Cut(offset),
            Ok(b'S') => Change::Sync,
            Ok(b'D') => Change::SyncFolder,
            Ok(b'R') => Change::Rename(text(data)),
            Ok(b'U') => Change::Remove,
            Ok(b'M') => Change::MakeFolder,
            _ => panic!("the log is not read in the way in which it was written: kind {kind}"),
        };
        entries.push(Entry { name: text(&log[name_at..data_at]), change, end: at as u64 });
    }
    entries
}
