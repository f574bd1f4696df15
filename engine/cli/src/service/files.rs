//! Notices that specs or the device config have changed, and reads them anew.
//!
//! This is done on a thread of its own: a file on a share that hangs must not keep anything else from getting on.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::Event;
use crate::fleet::Override;
use crate::project::{Found, spec_files};
use crate::stamp::{Seen, Stamp};

/// Time between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// A file that has changed within this time may be half-written, and waits.
const SETTLED_AFTER: Duration = Duration::from_secs(1);
/// Looks for as long as something changes; afterwards what is there is read. What cannot be used then changes nothing.
const UNSETTLED_LOOKS_MAX: usize = 10;

/// Where specs are looked for, and what all files looked like when they were read last.
pub struct Files {
    /// The paths of the command line.
    pub arguments: Vec<String>,
    /// The device config, where it is named.
    pub config: Option<PathBuf>,
    /// Where specs are pulled from, where the command line says it.
    pub from: Override,
    /// The files, folders and globs that were looked through.
    pub paths: Vec<PathBuf>,
    /// Every file that was read, or looked for.
    pub seen: Seen,
}

/// What all files look like.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Picture {
    files: Seen,
    /// Why no list of specs can be had.
    problem: Option<String>,
}

impl Picture {
    /// The files of before, and those that are new.
    fn of(paths: &[PathBuf], before: &Self) -> Self {
        let (found, problem) = match spec_files(paths) {
            Ok(found) => (found, None),
            Err(problem) => (Vec::new(), Some(problem)),
        };
        let files = before.files.keys().cloned().chain(found);
        let stamped = |path: PathBuf| {
            let stamp = Stamp::of(&path);
            (path, stamp)
        };
        Self { files: files.map(stamped).collect(), problem }
    }
}

/// Looks until nobody listens any more. Whoever sends something to `asked` has everything read, changed or not.
pub(super) fn watch(files: Files, asked: &Receiver<()>, events: &Sender<Event>) {
    let Files { arguments, config, from, mut paths, seen } = files;
    let mut read = Picture { files: seen, problem: None };
    loop {
        let is_asked = match asked.recv_timeout(LOOK_EVERY) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // Whoever asks several times is content with one answer.
        while asked.try_recv().is_ok() {}
        let changed = settled(&read, &mut || Picture::of(&paths, &read), std::thread::sleep);
        if changed.is_none() && !is_asked {
            continue;
        }
        match reread(&arguments, config.as_deref(), &from, &mut paths, events) {
            Ok(Some(seen)) => read = Picture { files: seen, problem: None },
            // The same is not read again until it changes.
            Ok(None) => read = changed.unwrap_or(read),
            Err(Gone) => return,
        }
    }
}

/// Nobody listens any more.
struct Gone;

/// Reads everything and hands it over; gives back what the files looked like, where it was any good.
fn reread(
    arguments: &[String],
    config: Option<&Path>,
    from: &Override,
    paths: &mut Vec<PathBuf>,
    events: &Sender<Event>,
) -> Result<Option<Seen>, Gone> {
    events.send(Event::Rereading).map_err(|_| Gone)?;
    let found = Found::look_with(arguments, config, from);
    let seen = found.as_ref().ok().map(|found| {
        found.paths.clone_into(paths);
        found.seen.clone()
    });
    events.send(Event::Reread(Box::new(found))).map_err(|_| Gone)?;
    Ok(seen)
}

/// What the files look like when they have stopped changing; `None` where that is what they looked like before.
fn settled(read: &Picture, look: &mut dyn FnMut() -> Picture, wait: impl Fn(Duration)) -> Option<Picture> {
    let mut last = look();
    if last == *read {
        return None;
    }
    for _ in 0..UNSETTLED_LOOKS_MAX {
        wait(SETTLED_AFTER);
        let now = look();
        if now == last {
            break;
        }
        last = now;
    }
    (last != *read).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture in which one file is there, or not.
    fn picture(number: u8) -> Picture {
        Picture { files: Seen::new(), problem: Some(number.to_string()) }
    }

    fn looks(read: u8, pictures: &[u8]) -> (Option<Picture>, usize) {
        let mut looks = 0;
        let mut look = || {
            let number = pictures[looks.min(pictures.len() - 1)];
            looks += 1;
            picture(number)
        };
        let found = settled(&picture(read), &mut look, |wait| assert_eq!(wait, SETTLED_AFTER));
        (found, looks)
    }

    #[test]
    fn what_is_being_written_waits_until_it_stands_still() {
        assert_eq!(looks(0, &[0]), (None, 1));
        assert_eq!(looks(0, &[1, 1]), (Some(picture(1)), 2));
        assert_eq!(looks(0, &[1, 2, 3, 3]), (Some(picture(3)), 4));
        assert_eq!(looks(0, &[1, 0, 0]), (None, 3), "it is as it was");
    }

    #[test]
    fn what_never_stands_still_is_read_all_the_same() {
        let ever_new: Vec<u8> = (1..=100).collect();
        let (found, looks) = looks(0, &ever_new);
        assert_eq!(looks, UNSETTLED_LOOKS_MAX + 1);
        assert!(found.is_some());
    }

    #[test]
    fn new_files_and_those_that_went_are_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a.yaml"), "a").expect("written");
        std::fs::write(path("beside.sql"), "b").expect("written");
        let known = ["a.yaml", "beside.sql"].map(|name| (path(name), Stamp::of(&path(name))));
        let read = Picture { files: known.into_iter().collect(), problem: None };
        let look = || Picture::of(&[folder.path().to_owned()], &read);
        assert_eq!(look(), read);
        std::fs::write(path("b.yaml"), "b").expect("written");
        assert!(look().files.contains_key(&path("b.yaml")));
        std::fs::remove_file(path("b.yaml")).expect("removed");
        std::fs::write(path("b.tests.yaml"), "tests are no spec").expect("written");
        std::fs::write(path("c.txt"), "nor is this").expect("written");
        assert_eq!(look(), read);
        std::fs::remove_file(path("beside.sql")).expect("removed");
        assert_eq!(look().files[&path("beside.sql")], None);
        std::fs::remove_file(path("a.yaml")).expect("removed");
        std::fs::remove_file(path("b.tests.yaml")).expect("removed");
        assert!(look().problem.is_some(), "an empty folder");
    }
}
