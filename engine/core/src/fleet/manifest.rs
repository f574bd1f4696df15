//! What is in a bundle of specs: the manifest that is signed, and the rules that paths keep to.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Version of the form of bundles.
pub const FORMAT: u32 = 1;
/// Name of the manifest in a bundle.
pub const MANIFEST: &str = "manifest.json";
/// Name of its signature.
pub const SIGNATURE: &str = "manifest.sig";
/// Folder of the files in a bundle.
pub const FILES: &str = "files/";

/// Bytes of a bundle as it is pulled.
pub const BUNDLE_BYTES_MAX: usize = 8 << 20;
/// Bytes of all that is in a bundle, unpacked.
pub const UNPACKED_BYTES_MAX: usize = 32 << 20;
/// Bytes of one file.
pub const FILE_BYTES_MAX: usize = 8 << 20;
/// Files in a bundle.
pub const FILES_MAX: usize = 4_096;
/// Bytes of a path in a bundle. Together with [`FILES`] it fits into the name of an entry of every tar.
pub const PATH_BYTES_MAX: usize = 90;
/// Bytes of a version.
pub const VERSION_BYTES_MAX: usize = 100;

/// What a bundle holds. Its bytes are what is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// What it is called by those who made it.
    pub version: String,
    /// When it was made. A device takes none that is older than one that it has taken.
    pub created: Timestamp,
    /// Its files, by path.
    pub files: Vec<ListedFile>,
}

/// A file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedFile {
    /// Where it lies, with `/` between the parts.
    pub path: String,
    /// Its size in bytes.
    pub bytes: usize,
    /// SHA-256 of its content, in lower-case hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    /// Reads a manifest, and checks all that can be checked without the files.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| format!("{MANIFEST} is no manifest of a bundle: {error}"))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The bytes of the manifest, the same for the same content.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Numbers, texts and lists of them can be written.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    /// Whether a bundle may be like this.
    pub fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("the bundle has form {}, and this engine knows form {FORMAT}", self.format));
        }
        if !is_version(&self.version) {
            return Err(format!("the version is 1 to {VERSION_BYTES_MAX} printable ASCII characters without blanks"));
        }
        check_paths(self.files.iter().map(|file| (file.path.as_str(), file.bytes)))
    }
}

/// Whether a bundle may be called so: what is shown of it goes on one line of a log or a terminal.
pub fn is_version(version: &str) -> bool {
    (1..=VERSION_BYTES_MAX).contains(&version.len()) && version.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a set of files may have these paths and sizes.
pub fn check_paths<'a>(files: impl IntoIterator<Item = (&'a str, usize)>) -> Result<(), String> {
    let (mut known, mut folders, mut bytes_total) = (BTreeSet::new(), BTreeSet::new(), 0_usize);
    for (path, bytes) in files {
        check_path(path)?;
        // Where capitals do not count, one would lie where the other does.
        let folded = path.to_ascii_lowercase();
        if bytes > FILE_BYTES_MAX {
            return Err(format!("{path} has {bytes} bytes; a file has {FILE_BYTES_MAX} at most"));
        }
        bytes_total = bytes_total.saturating_add(bytes);
        folders.extend(folded.match_indices('/').map(|(at, _)| folded[..at].to_owned()));
        if !known.insert(folded) {
            return Err(format!("{path} is there twice"));
        }
        if known.len() > FILES_MAX {
            return Err(format!("there are more than {FILES_MAX} files"));
        }
    }
    if let Some(path) = known.intersection(&folders).next() {
        return Err(format!("{path} is a file and a folder"));
    }
    if bytes_total > UNPACKED_BYTES_MAX {
        return Err(format!("all files have {bytes_total} bytes; they have {UNPACKED_BYTES_MAX} at most"));
    }
    Ok(())
}

/// Whether a path stays in the folder that it is unpacked to, on every system.
fn check_path(path: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("{path:?} is no path of a bundle: {why}"));
    if path.len() > PATH_BYTES_MAX {
        return wrong(&format!("it has more than {PATH_BYTES_MAX} bytes"));
    }
    if !path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+@=,()/".contains(&byte)) {
        return wrong("it has other characters than ASCII letters, digits and ._-+@=,()");
    }
    if path.split('/').any(|part| part.is_empty() || part.starts_with('.') || part.ends_with('.')) {
        return wrong("a part of it is empty, or begins or ends with a dot");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn manifest(files: &[(&str, usize)]) -> Manifest {
        let listed = |(path, bytes): &(&str, usize)| ListedFile {
            path: (*path).to_owned(),
            bytes: *bytes,
            sha256: String::new(),
        };
        Manifest {
            format: FORMAT,
            version: "7".to_owned(),
            created: Timestamp::UNIX_EPOCH,
            files: files.iter().map(listed).collect(),
        }
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let written = manifest(&[("specs/acme.yaml", 12), ("specs/acme.sql", 3)]);
        assert_eq!(Manifest::read(&written.to_bytes()), Ok(written));
    }

    #[test]
    fn what_leads_out_of_the_folder_or_could_lie_on_another_file_is_refused() {
        for path in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../a",
            "a/../b",
            "a/./b",
            "a//b",
            "a/",
            ".hidden",
            "a/.git/config",
            "a.",
            "C:a",
            "a\\b",
            "a\0b",
            "a\nb",
            "ä",
            "a b",
            "~",
            "$HOME",
        ] {
            assert!(manifest(&[(path, 1)]).check().is_err(), "{path:?}");
        }
        for files in
            [&[("a", 1), ("a", 1)][..], &[("a", 1), ("A", 1)], &[("a", 1), ("a/b", 1)], &[("a/b/c", 1), ("A/B", 1)]]
        {
            assert!(manifest(files).check().is_err(), "{files:?}");
        }
        assert_eq!(manifest(&[("a/b", 1), ("a/c", 1), ("ab", 1), ("recordings/x_1+2.jsonl", 1)]).check(), Ok(()));
    }

    #[test]
    fn a_bundle_has_bounds() {
        let long = "a".repeat(PATH_BYTES_MAX);
        assert_eq!(manifest(&[(&long, FILE_BYTES_MAX)]).check(), Ok(()));
        assert!(manifest(&[(&format!("{long}a"), 1)]).check().is_err());
        assert!(manifest(&[("a", FILE_BYTES_MAX + 1)]).check().is_err());
        let names: Vec<String> = (0..=FILES_MAX).map(|number| format!("f{number}")).collect();
        let files = |count: usize, bytes: usize| {
            names[..count].iter().map(move |name| (name.as_str(), bytes)).collect::<Vec<_>>()
        };
        assert_eq!(manifest(&files(FILES_MAX, 1)).check(), Ok(()));
        assert!(manifest(&files(FILES_MAX + 1, 1)).check().is_err());
        assert_eq!(manifest(&files(UNPACKED_BYTES_MAX / FILE_BYTES_MAX, FILE_BYTES_MAX)).check(), Ok(()));
        assert!(manifest(&files(UNPACKED_BYTES_MAX / FILE_BYTES_MAX + 1, FILE_BYTES_MAX)).check().is_err());
        let mut other = manifest(&[]);
        for version in ["", "a b", "a\u{1b}[2J", "ä", &"x".repeat(VERSION_BYTES_MAX + 1)] {
            version.clone_into(&mut other.version);
            assert!(other.check().is_err(), "{version:?}");
        }
        assert!(Manifest { format: 2, ..manifest(&[]) }.check().is_err());
    }

    proptest! {
        #[test]
        fn whatever_passes_stays_below_its_folder(path in "[a./\\\\~A-C\0-]{0,12}") {
            if manifest(&[(&path, 1)]).check().is_ok() {
                let joined = std::path::Path::new("/set").join(&path);
                let plain = joined.components().all(|part| {
                    matches!(part, std::path::Component::RootDir | std::path::Component::Normal(_))
                });
                prop_assert!(plain && joined.starts_with("/set") && joined != std::path::Path::new("/set"));
            }
        }
    }
}
