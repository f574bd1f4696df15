//! Where pulled specs lie on the device, and what is remembered of them.
//!
//! Each set of specs has a folder of its own, which is written, made last and renamed before anything leads to it. The
//! record names the set that is in use; it is one file, replaced whole. So a cut of the power at any point leaves either
//! the set of before or the new one, and folders that no record names are swept up by the next look.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use engine_core::fleet::trial::Trial;
use engine_spec::device::Device;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::bundle::Pulled;
use crate::exit::{CommandError, Kind};
use crate::folder;
use crate::store;

/// Sets that are remembered as bad, at most; the oldest are forgotten. Whoever signs a bundle again makes a new one.
const BAD_MAX: usize = 100;
/// What the name of a folder ends with while it is being filled.
const PART: &str = ".part";

/// A folder of pulled specs.
#[derive(Debug, Clone)]
pub struct Depot {
    folder: PathBuf,
}

/// What is remembered of pulled specs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The set in use.
    pub current: Option<Taken>,
    /// The set in use before, to come back to.
    pub previous: Option<Taken>,
    /// What the current set has still to show.
    pub trial: Option<Trial>,
    /// Sets that are not taken again.
    pub bad: Vec<Bad>,
    /// When the newest set that was ever taken was made.
    pub newest: Option<Timestamp>,
    /// Why nothing new is taken.
    pub problem: Option<Problem>,
}

/// A set of specs that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// SHA-256 of its manifest.
    pub id: String,
    /// What it is called by those who made it.
    pub version: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it was taken.
    pub taken: Timestamp,
}

/// A set of specs that failed its trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bad {
    /// SHA-256 of its manifest.
    pub id: String,
    /// What it is called by those who made it.
    pub version: String,
    /// Why it is bad, in plain words.
    pub why: String,
}

/// Why nothing new is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Since when.
    pub since: Timestamp,
    /// What kind of problem.
    pub kind: ProblemKind,
    /// In plain words.
    pub message: String,
}

/// What kind of problem keeps new specs from being taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// They cannot be had, or there is no room for them.
    Unreachable,
    /// They are not to be trusted, or not valid.
    Refused,
    /// They were tried, and failed.
    RolledBack,
}

impl Record {
    /// Another set is in use from now on. Where it is the one of now, whose files were lost, there is nothing to try.
    pub fn take(&mut self, taken: Taken, trial: Option<Trial>) {
        self.newest = self.newest.max(Some(taken.created));
        self.problem = None;
        let is_same = self.current.as_ref().is_some_and(|current| current.id == taken.id);
        let before = self.current.replace(taken);
        if !is_same {
            self.previous = before;
            self.trial = trial;
        }
    }

    /// What is remembered of a set that failed its trial.
    pub fn bad_one(&self, id: &str) -> Option<&Bad> {
        self.bad.iter().find(|bad| bad.id == id)
    }

    /// The set of before is in use again, and that of now is never taken again. `None` where there is none of before.
    pub fn roll_back(&mut self, why: &str) -> Option<Bad> {
        let previous = self.previous.take()?;
        let current = self.current.replace(previous)?;
        let bad = Bad { id: current.id, version: current.version, why: why.to_owned() };
        self.bad.push(bad.clone());
        let surplus = self.bad.len().saturating_sub(BAD_MAX);
        self.bad.drain(..surplus);
        self.trial = None;
        Some(bad)
    }
}

impl Depot {
    /// Beside the state; where the state is a database, where the file of the state would be.
    pub fn of(device: &Device, folder: &Path) -> Result<Self, CommandError> {
        let root = match store::place(device, folder)? {
            store::Place::File(path) => folder::of(&path).to_owned(),
            store::Place::Postgres(_) => store::default_folder(),
        };
        Ok(Self { folder: root.join("fleet") })
    }

    /// The folder, made where there is none.
    pub fn prepare(&self) -> Result<&Path, CommandError> {
        let make = |folder: &Path| std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        make(&self.sets()).map_err(|error| self.failed("the folder of pulled specs cannot be made", &error))?;
        Ok(&self.folder)
    }

    /// Takes the folder for this process, until it ends or the file is closed; `None` where another one has it.
    pub fn lock(&self) -> Result<Option<File>, CommandError> {
        let locked = File::options().write(true).create(true).truncate(false).open(self.folder.join("lock"));
        let locked = locked.and_then(|file| match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        });
        locked.map_err(|error| self.failed("the folder of pulled specs cannot be locked", &error))
    }

    /// A folder for the work of others, such as git.
    pub fn workshop(&self) -> PathBuf {
        self.folder.join("git")
    }

    /// Where a set lies, or would.
    pub fn set(&self, id: &str) -> PathBuf {
        self.sets().join(id)
    }

    fn sets(&self) -> PathBuf {
        self.folder.join("sets")
    }

    fn record_file(&self) -> PathBuf {
        self.folder.join("record.json")
    }

    /// What is remembered; nothing where nothing was ever pulled.
    pub fn record(&self) -> Result<Record, CommandError> {
        let path = self.record_file();
        match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Record::default()),
            Err(error) => Err(self.failed("what is remembered of pulled specs cannot be read", &error)),
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                self.failed("what is remembered of pulled specs cannot be read", &error)
                    .hint(format!("remove {}; the specs are then pulled anew", path.display()))
            }),
        }
    }

    /// Remembers: from here on the current set of the record is in use.
    pub fn write(&self, record: &Record) -> Result<(), CommandError> {
        let text = serde_json::to_vec_pretty(record).map_err(io::Error::from);
        text.and_then(|text| folder::replace(&self.record_file(), &text))
            .map_err(|error| self.failed("what is remembered of pulled specs cannot be written", &error))
    }

    /// Whether the files of a set are there.
    pub fn has(&self, id: &str) -> bool {
        self.set(id).is_dir()
    }

    /// Writes a set that is not in use, whole or not at all. The one in use before is there already.
    pub fn unpack(&self, record: &Record, pulled: &Pulled) -> Result<PathBuf, CommandError> {
        let is_kept = record.previous.as_ref().is_some_and(|previous| previous.id == pulled.id);
        if is_kept && self.has(&pulled.id) {
            return Ok(self.set(&pulled.id));
        }
        let (whole, part) = (self.set(&pulled.id), self.set(&format!("{}{PART}", pulled.id)));
        let written = (|| {
            remove(&part)?;
            write_all(&part, &pulled.files)?;
            // What a process that was killed has left.
            remove(&whole)?;
            std::fs::rename(&part, &whole)?;
            folder::sync(&self.sets())
        })();
        written.map_err(|error| self.failed("specs cannot be unpacked", &error))?;
        Ok(whole)
    }

    /// Removes all folders that the record does not name.
    pub fn sweep(&self, record: &Record) -> Result<(), CommandError> {
        let named = [&record.current, &record.previous];
        let named: BTreeSet<&str> = named.into_iter().flatten().map(|taken| taken.id.as_str()).collect();
        let swept = (|| {
            for entry in std::fs::read_dir(self.sets())? {
                let entry = entry?;
                if entry.file_name().to_str().is_none_or(|name| !named.contains(name)) {
                    remove(&entry.path())?;
                }
            }
            Ok(())
        })();
        swept.map_err(|error: io::Error| self.failed("specs of before cannot be removed", &error))
    }

    fn failed(&self, what: &str, error: &dyn std::fmt::Display) -> CommandError {
        CommandError::new(Kind::Environment, format!("{what}, in {}: {error}", self.folder.display()))
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Writes files into a new folder, and makes them and their names last.
fn write_all(root: &Path, files: &[(String, Vec<u8>)]) -> io::Result<()> {
    let make = |folder: &Path| std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    make(root)?;
    let mut folders = BTreeSet::from([root.to_owned()]);
    for (path, content) in files {
        let path = root.join(path);
        make(folder::of(&path))?;
        folders.extend(path.ancestors().skip(1).take_while(|folder| folder.starts_with(root)).map(Path::to_owned));
        let mut file = File::create_new(&path)?;
        io::Write::write_all(&mut file, content)?;
        file.sync_all()?;
    }
    folders.iter().try_for_each(|folder| folder::sync(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEN: Timestamp = Timestamp::UNIX_EPOCH;

    fn depot() -> (tempfile::TempDir, Depot) {
        let folder = tempfile::tempdir().expect("a folder");
        let depot = Depot { folder: folder.path().join("fleet") };
        depot.prepare().expect("made");
        (folder, depot)
    }

    fn pulled(version: &str) -> Pulled {
        let files = vec![("a/b/acme.yaml".to_owned(), version.as_bytes().to_vec()), ("x.sql".to_owned(), Vec::new())];
        Pulled::new(version, THEN, files).expect("fits")
    }

    fn taken(pulled: &Pulled) -> Taken {
        let Pulled { id, version, created, .. } = pulled.clone();
        Taken { id, version, created, taken: THEN }
    }

    /// The version that a start would find in use, and what it reads of it.
    fn in_use(depot: &Depot) -> Option<(String, String)> {
        let current = depot.record().expect("it is read").current?;
        let text = std::fs::read_to_string(depot.set(&current.id).join("a/b/acme.yaml")).expect("its files are there");
        Some((current.version, text))
    }

    /// Takes a set, step by step, and gives up after so many steps; whether it came to its end.
    fn take(depot: &Depot, pulled: &Pulled, steps: usize) -> bool {
        let part = depot.set(&format!("{}{PART}", pulled.id));
        let mut record = depot.record().expect("it is read");
        record.take(taken(pulled), None);
        let (unpacked, swept) = (depot.set(&pulled.id), depot.clone());
        let all: [&dyn Fn(); 6] = [
            &|| write_all(&part, &pulled.files[..1]).expect("half of it"),
            &|| std::fs::create_dir_all(&unpacked).expect("a folder of that name"),
            &|| drop(depot.unpack(&Record::default(), pulled).expect("unpacked")),
            // The part of the file that would become the record.
            &|| std::fs::write(depot.folder.join("record.json.part"), "{\"current\":").expect("written"),
            &|| depot.write(&record).expect("written"),
            &|| swept.sweep(&record).expect("swept"),
        ];
        let count = all.len();
        all.into_iter().take(steps).for_each(|step| step());
        steps >= count
    }

    #[test]
    fn a_cut_at_any_step_leaves_a_set_that_works_and_the_next_look_completes_it() {
        for steps in 0..=6 {
            let (_folder, depot) = depot();
            let (old, new) = (pulled("old"), pulled("new"));
            assert!(take(&depot, &old, 6));
            take(&depot, &new, steps);
            let expected = if steps >= 5 { "new" } else { "old" };
            assert_eq!(in_use(&depot), Some((expected.to_owned(), expected.to_owned())), "after {steps} steps");
            let record = depot.record().expect("it is read");
            depot.sweep(&record).expect("swept");
            assert_eq!(depot.has(&new.id), steps >= 5, "after {steps} steps");
            assert!(take(&depot, &new, 6), "after {steps} steps");
            assert_eq!(in_use(&depot), Some(("new".to_owned(), "new".to_owned())), "after {steps} steps");
            depot.sweep(&depot.record().expect("it is read")).expect("swept");
            let left = std::fs::read_dir(depot.sets()).expect("listed").count();
            assert!(left <= 2, "after {steps} steps, {left} folders are left");
        }
    }

    #[test]
    fn what_was_rolled_back_is_known_and_the_newest_stays_so() {
        let (_folder, depot) = depot();
        let mut record = Record::default();
        let [first, mut second] = ["one", "two"].map(|version| taken(&pulled(version)));
        second.created = THEN.saturating_add(jiff::SignedDuration::from_secs(9)).expect("in range");
        record.take(first.clone(), None);
        assert_eq!(record.roll_back("nothing to come back to"), None);
        record.take(second.clone(), None);
        record.take(second.clone(), Some(Trial { since: THEN, owed: Default::default() }));
        assert_eq!(
            (record.previous.as_ref(), &record.trial),
            (Some(&first), &None),
            "files that were lost are no news"
        );
        let bad = record.roll_back("it failed").expect("rolled back");
        assert_eq!((bad.id.as_str(), bad.version.as_str()), (second.id.as_str(), "two"));
        assert_eq!((record.current.as_ref(), record.previous.as_ref()), (Some(&first), None));
        assert_eq!(record.newest, Some(second.created), "what is older than it stays refused");
        depot.write(&record).expect("written");
        assert_eq!(depot.record().expect("read"), record);
    }

    #[test]
    fn bad_sets_are_remembered_up_to_a_number() {
        let mut record = Record::default();
        record.take(taken(&pulled("good")), None);
        for number in 0..=BAD_MAX {
            record.take(taken(&pulled(&number.to_string())), None);
            record.roll_back("it failed");
        }
        assert_eq!(record.bad.len(), BAD_MAX);
        assert_eq!(record.bad[0].version, "1", "the oldest is forgotten");
    }

    #[test]
    fn a_record_that_cannot_be_read_is_told_with_the_way_out() {
        let (_folder, depot) = depot();
        std::fs::write(depot.record_file(), "{").expect("written");
        let error = depot.record().expect_err("it is none");
        assert!(error.to_string().contains("record.json"), "{error}");
    }
}
