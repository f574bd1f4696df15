//! What a file looks like from outside, to notice that it is another one.
//!
//! Files are looked at again and again, and nobody is asked to tell of changes: a bind mount or a share over the network
//! tells nothing.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Files by their path; `None` for one that is not there, or cannot be looked at.
pub type Seen = BTreeMap<PathBuf, Option<Stamp>>;

/// Size, times and place of a file. Links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    bytes: u64,
    /// Seconds and nanoseconds of its last change.
    modified: (i64, i64),
    /// Of the last change of its name, rights or owner too: a copy may bring an old time of change along.
    changed: (i64, i64),
    inode: u64,
    device: u64,
}

impl Stamp {
    /// The stamp of a file.
    pub fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        Some(Self {
            bytes: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
            inode: file.ino(),
            device: file.dev(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_change_a_file_is_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("acme.yaml");
        assert_eq!(Stamp::of(&path), None);
        std::fs::write(&path, "one").expect("written");
        let mut last = Stamp::of(&path);
        assert!(last.is_some());
        assert_eq!(Stamp::of(&path), last, "a look changes nothing");
        let old_time = std::fs::metadata(&path).and_then(|file| file.modified()).expect("a time");
        let other = folder.path().join("other");
        let changes: [(&str, &dyn Fn()); 4] = [
            ("longer", &|| std::fs::write(&path, "three").expect("written")),
            ("as long, at the same time", &|| {
                std::thread::sleep(std::time::Duration::from_millis(20));
                std::fs::write(&path, "seven").expect("written");
                let file = std::fs::File::options().write(true).open(&path).expect("opened");
                file.set_modified(old_time).expect("set");
            }),
            ("another under its name", &|| {
                std::fs::copy(&path, &other).expect("copied");
                std::fs::rename(&other, &path).expect("renamed");
            }),
            ("away", &|| std::fs::remove_file(&path).expect("removed")),
        ];
        for (what, change) in changes {
            change();
            let now = Stamp::of(&path);
            assert_ne!(now, last, "{what}");
            last = now;
        }
    }
}
