//! The files of a folder: which of them count, in which order, and which have stopped growing.

use std::cmp::Ordering;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Files that a folder may have; more are a mistake in `glob`, or a folder that nobody tidies.
pub(crate) const FILES_MAX: usize = 100_000;
/// Files that a message names.
const NAMES_MAX: usize = 3;

/// A file as it was when the folder was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) stamp: Stamp,
}

/// What changes when a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) bytes: u64,
    pub(crate) modified: SystemTime,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> std::io::Result<Self> {
        Ok(Self { bytes: metadata.len(), modified: metadata.modified()? })
    }
}

/// What a folder holds.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The files to read, newest first: the last by name comes first.
    pub(crate) files: Vec<File>,
    /// Names of the files that may still grow.
    pub(crate) growing: Vec<String>,
}

impl Listing {
    /// What is left for a later run, in plain words.
    pub(crate) fn left(&self) -> Option<String> {
        let named = self.growing.iter().take(NAMES_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        match self.growing.len() {
            0 => None,
            1 => Some(format!("1 file may still grow and is left for the next run: {named}")),
            count => {
                let more = if count > NAMES_MAX { ", …" } else { "" };
                Some(format!("{count} files may still grow and are left for the next run: {named}{more}"))
            }
        }
    }
}

/// Looks at a folder. A file that was changed less than `settle` before `now` may still grow.
pub(crate) fn list(folder: &Path, glob: &str, settle: Duration, now: SystemTime) -> std::io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !counts(&name, glob) {
            continue;
        }
        // Through links: an export may be one.
        let metadata = match std::fs::metadata(entry.path()) {
            Ok(metadata) => metadata,
            // It was there a moment ago.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if !metadata.is_file() {
            continue;
        }
        let stamp = Stamp::of(&metadata)?;
        if listing.files.len() + listing.growing.len() >= FILES_MAX {
            return Err(std::io::Error::other(format!("the folder has more than {FILES_MAX} files that fit `{glob}`")));
        }
        let quiet = now.duration_since(stamp.modified).unwrap_or_default();
        if settle.is_zero() || quiet >= settle {
            listing.files.push(File { name, path: entry.path(), stamp });
        } else {
            listing.growing.push(name);
        }
    }
    listing.files.sort_by(|one, other| by_name(&other.name, &one.name));
    listing.growing.sort_by(|one, other| by_name(one, other));
    Ok(listing)
}

/// Whether a file is one of those that are asked for; a compressed file counts under its name without `.gz`.
fn counts(name: &str, glob: &str) -> bool {
    !name.starts_with('.')
        && (fits(name.as_bytes(), glob.as_bytes())
            || without_gz(name).is_some_and(|plain| fits(plain.as_bytes(), glob.as_bytes())))
}

/// The name of a compressed file without its ending.
fn without_gz(name: &str) -> Option<&str> {
    let (plain, ending) = name.rsplit_once('.')?;
    ending.eq_ignore_ascii_case("gz").then_some(plain)
}

/// Whether a file is compressed, by its name.
pub(crate) fn is_compressed(name: &str) -> bool {
    without_gz(name).is_some()
}

/// `*` stands for any characters, `?` for one byte of them; the case of ASCII letters does not count, as exports come
/// from Windows.
fn fits(name: &[u8], glob: &[u8]) -> bool {
    let (mut at, mut star) = ((0, 0), None);
    while at.0 < name.len() {
        match glob.get(at.1) {
            Some(b'*') => {
                star = Some(at);
                at.1 += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted.eq_ignore_ascii_case(&name[at.0]) => at = (at.0 + 1, at.1 + 1),
            _ => match &mut star {
                Some(star) => {
                    star.0 += 1;
                    at = (star.0, star.1 + 1);
                }
                None => return false,
            },
        }
    }
    glob[at.1..].iter().all(|rest| *rest == b'*')
}

/// The order of names, in which numbers count as numbers: `orders-9` comes before `orders-10`.
pub(crate) fn by_name(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one.as_bytes(), other.as_bytes());
    loop {
        let number = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits_left, digits_right) = (number(left), number(right));
        let order = if digits_left > 0 && digits_right > 0 {
            let value = |text: &[u8], digits: usize| {
                let zeros = text[..digits].iter().take_while(|byte| **byte == b'0').count();
                (digits - zeros, text[zeros..digits].to_vec())
            };
            let order = value(left, digits_left).cmp(&value(right, digits_right));
            (left, right) = (&left[digits_left..], &right[digits_right..]);
            order
        } else {
            let order = left.first().cmp(&right.first());
            if left.is_empty() || right.is_empty() {
                // Names that differ in leading zeros only are told apart all the same.
                return order.then_with(|| one.cmp(other));
            }
            (left, right) = (&left[1..], &right[1..]);
            order
        };
        if order.is_ne() {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (name, glob, expected) in [
            ("orders.csv", "*.csv", true),
            ("ORDERS.CSV", "*.csv", true),
            ("orders.csv.gz", "*.csv", true),
            ("orders.csv.gz", "*.gz", true),
            ("orders.csv.GZ", "orders.csv", true),
            ("orders.csv.tmp", "*.csv", false),
            (".orders.csv", "*.csv", false),
            ("orders-2025-03-01.csv", "orders-????-*.csv", true),
            ("orders-25-03-01.csv", "orders-????-??-*.csv", false),
            ("aab", "a*ab", true),
            ("abcb", "a*b", true),
            ("abc", "a*b", false),
            ("", "*", true),
            ("x", "", false),
        ] {
            assert_eq!(counts(name, glob), expected, "{name} {glob}");
        }
    }

    #[test]
    fn names_are_ordered_as_people_read_them() {
        let ordered = ["a", "a-9.csv", "a-09.csv", "a-10.csv", "a-10.csv.gz", "a-2025-02.csv", "a-2025-10.csv", "b"];
        let mut sorted: Vec<&str> = ordered.iter().rev().copied().collect();
        sorted.sort_by(|one, other| by_name(one, other));
        let mut expected = ordered.to_vec();
        // Of the two nines, the one that is smaller as text comes first.
        expected.swap(1, 2);
        assert_eq!(sorted, expected);
    }

    proptest::proptest! {
        #[test]
        fn the_order_is_one(mut names in proptest::collection::vec("[a0-2.-]{0,5}", 3..6)) {
            // Panics where the order is none.
            names.sort_by(|one, other| by_name(one, other));
            for pair in names.windows(2) {
                proptest::prop_assert_eq!(by_name(&pair[0], &pair[1]).is_eq(), pair[0] == pair[1]);
                proptest::prop_assert_eq!(by_name(&pair[0], &pair[1]), by_name(&pair[1], &pair[0]).reverse());
            }
        }
    }

    #[test]
    fn a_file_that_was_just_written_waits() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for (name, age) in [("a-1.csv", 60), ("a-2.csv", 10), ("a-3.csv", 9), ("a-4.csv", 0)] {
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            file.set_modified(now - Duration::from_secs(age)).unwrap();
        }
        let future = std::fs::File::create(folder.path().join("a-5.csv")).unwrap();
        future.set_modified(now + Duration::from_secs(3_600)).unwrap();
        std::fs::create_dir(folder.path().join("folder.csv")).unwrap();
        let names = |settle: u64| {
            let listing = list(folder.path(), "*.csv", Duration::from_secs(settle), now).unwrap();
            (listing.files.iter().map(|file| file.name.clone()).collect::<Vec<_>>(), listing.left())
        };
        let (read, left) = names(10);
        assert_eq!(read, ["a-2.csv", "a-1.csv"]);
        assert_eq!(
            left.as_deref(),
            Some("3 files may still grow and are left for the next run: a-3.csv, a-4.csv, a-5.csv")
        );
        let (read, left) = names(0);
        assert_eq!((read.len(), left), (5, None));
    }
}
