//! A bundle of specs: one compressed file, made of a folder, the same bytes for the same files; and what is taken of one.

use std::io::{Read as _, Write as _};
use std::path::Path;

use engine_core::fleet::manifest::{
    BUNDLE_BYTES_MAX, FILE_BYTES_MAX, FILES, FILES_MAX, FORMAT, ListedFile, MANIFEST, Manifest, SIGNATURE,
    UNPACKED_BYTES_MAX, check_paths,
};
use engine_core::fleet::tar;
use engine_spec::device::PublicKey;
use engine_spec::load::{is_device_config, peek};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;

use super::key::{self, SigningKey};

/// Bytes of a bundle, uncompressed: its files, the manifest, and a header and a filling for each of them.
const TAR_BYTES_MAX: usize = UNPACKED_BYTES_MAX + FILES_MAX * 2 * 1024;
/// Folders below a folder of specs, at most. Ends a walk that would not end.
const FOLDER_DEPTH_MAX: usize = 16;

/// Specs as they were pulled: checked to be what was signed or pinned, and fit to be unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// SHA-256 of the manifest: the same files under the same version are the same, however they came.
    pub id: String,
    /// What they are called by those who made them.
    pub version: String,
    /// When they were made.
    pub created: Timestamp,
    /// Paths and contents.
    pub files: Vec<(String, Vec<u8>)>,
}

impl Pulled {
    /// What a manifest of these files would be.
    pub fn manifest(version: &str, created: Timestamp, files: &[(String, Vec<u8>)]) -> Result<Manifest, String> {
        let listed = files.iter().map(|(path, content)| ListedFile {
            path: path.clone(),
            bytes: content.len(),
            sha256: key::sha256(content),
        });
        let manifest = Manifest { format: FORMAT, version: version.to_owned(), created, files: listed.collect() };
        manifest.check()?;
        Ok(manifest)
    }

    /// Specs that came without a manifest.
    pub fn new(version: &str, created: Timestamp, files: Vec<(String, Vec<u8>)>) -> Result<Self, String> {
        let manifest = Self::manifest(version, created, &files)?;
        Ok(Self { id: key::sha256(&manifest.to_bytes()), version: manifest.version, created, files })
    }
}

/// What makes a bundle trustworthy.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// It is this one: SHA-256 of its bytes.
    Pinned(&'a str),
    /// One of these keys signed it.
    Signed(&'a [PublicKey]),
}

/// Makes a bundle of files; the same files give the same bytes.
pub fn pack(
    version: &str,
    created: Timestamp,
    files: &[(String, Vec<u8>)],
    key: Option<&SigningKey>,
) -> Result<Vec<u8>, String> {
    let manifest = Pulled::manifest(version, created, files)?.to_bytes();
    let mut out = Vec::new();
    tar::append(&mut out, MANIFEST, &manifest);
    if let Some(key) = key {
        tar::append(&mut out, SIGNATURE, key.sign(&manifest).as_bytes());
    }
    files.iter().for_each(|(path, content)| tar::append(&mut out, &format!("{FILES}{path}"), content));
    tar::end(&mut out);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let packed = encoder.write_all(&out).and_then(|()| encoder.finish()).map_err(|error| error.to_string())?;
    if packed.len() > BUNDLE_BYTES_MAX {
        return Err(format!("the bundle has {} bytes; it has {BUNDLE_BYTES_MAX} at most", packed.len()));
    }
    Ok(packed)
}

/// What is in a bundle, where it is to be trusted and nothing in it is other than the manifest says.
pub fn open(bundle: &[u8], trust: Trust<'_>) -> Result<Pulled, String> {
    if let Trust::Pinned(sha256) = trust {
        let found = key::sha256(bundle);
        if found != sha256 {
            return Err(format!("its SHA-256 is {found}, and it is pinned to {sha256}"));
        }
    }
    let mut bytes = Vec::new();
    GzDecoder::new(bundle)
        .take(TAR_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("it is no gzip file: {error}"))?;
    if bytes.len() > TAR_BYTES_MAX {
        return Err(format!("it has more than {TAR_BYTES_MAX} bytes when it is unpacked"));
    }
    let mut entries = tar::entries(&bytes).peekable();
    let first = entries.next().transpose()?.filter(|entry| entry.name == MANIFEST);
    let manifest = first.ok_or_else(|| format!("{MANIFEST} is not the first in it"))?.content;
    let signature = entries.next_if(|entry| matches!(entry, Ok(entry) if entry.name == SIGNATURE)).transpose()?;
    if let Trust::Signed(keys) = trust {
        let signature = signature.ok_or("it is not signed")?.content;
        key::verify(manifest, &String::from_utf8_lossy(signature), keys)?;
    }
    let id = key::sha256(manifest);
    let manifest = Manifest::read(manifest)?;
    let mut files = Vec::with_capacity(manifest.files.len());
    for listed in manifest.files {
        let path = &listed.path;
        let entry = entries.next().transpose()?.filter(|entry| entry.name.strip_prefix(FILES) == Some(path));
        let content = entry.ok_or_else(|| format!("{path} is not where the manifest has it"))?.content;
        if content.len() != listed.bytes || key::sha256(content) != listed.sha256 {
            return Err(format!("{path} is not what the manifest says"));
        }
        files.push((listed.path, content.to_vec()));
    }
    match entries.next() {
        None => Ok(Pulled { id, version: manifest.version, created: manifest.created, files }),
        Some(Ok(entry)) => Err(format!("{:?} is not in the manifest", entry.name)),
        Some(Err(why)) => Err(why),
    }
}

/// The files of a folder that belong into a bundle, sorted: all but hidden ones and device configs.
pub fn collect(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut files = Vec::new();
    walk(folder, "", 0, &mut files)?;
    files.sort();
    check_paths(files.iter().map(|(path, content)| (path.as_str(), content.len())))?;
    Ok(files)
}

fn walk(folder: &Path, below: &str, depth: usize, files: &mut Vec<(String, Vec<u8>)>) -> Result<(), String> {
    if depth > FOLDER_DEPTH_MAX {
        return Err(format!("{} lies deeper than {FOLDER_DEPTH_MAX} folders", folder.display()));
    }
    let failed = |path: &Path, error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    for entry in std::fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let entry = entry.map_err(|error| failed(folder, error))?;
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| format!("the name of {} is no text", path.display()))?;
        if name.starts_with('.') {
            continue;
        }
        let kind = entry.file_type().map_err(|error| failed(&path, error))?;
        let relative = format!("{below}{name}");
        if kind.is_dir() {
            walk(&path, &format!("{relative}/"), depth + 1, files)?;
        } else if kind.is_file() {
            let bytes = entry.metadata().map_err(|error| failed(&path, error))?.len();
            if bytes > FILE_BYTES_MAX as u64 || files.len() >= FILES_MAX {
                return Err(format!(
                    "{} is too much: a file has {FILE_BYTES_MAX} bytes at most, and there are {FILES_MAX} at most",
                    path.display()
                ));
            }
            let content = std::fs::read(&path).map_err(|error| failed(&path, error))?;
            if !(name.ends_with("yaml") && is_device_config(&peek(name, &content))) {
                files.push((relative, content));
            }
        } else {
            return Err(format!("{} is neither a file nor a folder: a bundle has no links", path.display()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHEN: Timestamp = Timestamp::UNIX_EPOCH;

    fn files() -> Vec<(String, Vec<u8>)> {
        vec![("acme.sql".to_owned(), b"SELECT 1".to_vec()), ("plant/acme.yaml".to_owned(), b"version: 1\n".to_vec())]
    }

    fn key() -> SigningKey {
        SigningKey::generate().expect("a key").0
    }

    /// A bundle of entries as they are, signed or not.
    fn forged(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        entries.iter().for_each(|(name, content)| tar::append(&mut out, name, content));
        tar::end(&mut out);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&out).expect("written");
        encoder.finish().expect("written")
    }

    #[test]
    fn the_same_files_give_the_same_bytes_and_come_out_as_they_went_in() {
        let key = key();
        let bundle = pack("7", WHEN, &files(), Some(&key)).expect("a bundle");
        assert_eq!(pack("7", WHEN, &files(), Some(&key)).expect("a bundle"), bundle);
        let opened = open(&bundle, Trust::Signed(&[key.public()])).expect("it opens");
        assert_eq!((opened.version.as_str(), opened.created, &opened.files), ("7", WHEN, &files()));
        let unsigned = pack("7", WHEN, &files(), None).expect("a bundle");
        assert_eq!(open(&unsigned, Trust::Pinned(&key::sha256(&unsigned))).expect("it opens"), opened);
        assert_eq!(Pulled::new("7", WHEN, files()).expect("fits").id, opened.id, "an id says what is in it");
    }

    #[test]
    fn what_was_changed_on_the_way_is_not_taken() {
        let key = key();
        let trust = [key.public()];
        let bundle = pack("7", WHEN, &files(), Some(&key)).expect("a bundle");
        let says = |bundle: &[u8], part: &str| {
            let error = open(bundle, Trust::Signed(&trust)).expect_err(part);
            assert!(error.contains(part), "{error}");
        };
        assert!(open(&bundle, Trust::Pinned(&key::sha256(b"other"))).is_err());
        says(&pack("7", WHEN, &files(), None).expect("a bundle"), "not signed");
        says(&bundle[..bundle.len() / 2], "no gzip file");
        says(b"<html>", "no gzip file");
        let manifest = Pulled::manifest("7", WHEN, &files()).expect("fits");
        let bytes = manifest.to_bytes();
        let signature = key.sign(&bytes);
        let [first, second] = [("files/acme.sql", &b"SELECT 1"[..]), ("files/plant/acme.yaml", b"version: 1\n")];
        let head = [(MANIFEST, bytes.as_slice()), (SIGNATURE, signature.as_bytes())];
        assert!(open(&forged(&[head[0], head[1], first, second]), Trust::Signed(&trust)).is_ok());
        says(&forged(&[head[1], head[0], first, second]), "is not the first");
        says(&forged(&[head[0], head[1], second, first]), "is not where");
        says(&forged(&[head[0], head[1], first]), "is not where");
        says(&forged(&[head[0], head[1], first, second, ("files/more", b"")]), "not in the manifest");
        says(&forged(&[head[0], head[1], ("files/acme.sql", b"DELETE 1"), second]), "not what the manifest says");
        let newer = Manifest { version: "8".to_owned(), ..manifest }.to_bytes();
        says(&forged(&[(MANIFEST, &newer), head[1], first, second]), "does not hold");
        says(&forged(&[(MANIFEST, b"{}"), (SIGNATURE, key.sign(b"{}").as_bytes())]), "no manifest");
    }

    #[test]
    fn a_bundle_that_grows_without_end_is_given_up() {
        let zeros = vec![0; TAR_BYTES_MAX + 2];
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&zeros).expect("written");
        let bomb = encoder.finish().expect("written");
        let error = open(&bomb, Trust::Pinned(&key::sha256(&bomb))).expect_err("it is too much");
        assert!(error.contains("more than"), "{error}");
    }

    #[test]
    fn what_is_hidden_or_of_the_device_stays_at_home_and_links_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("plant/.git")).expect("made");
        for (name, content) in [
            ("plant/acme.yaml", "version: 1\n"),
            ("acme.sql", "SELECT 1"),
            ("engine.yaml", "version: 1\nstate: { url: sqlite://x }\n"),
            (".hidden.yaml", "x"),
            ("plant/.git/config", "x"),
        ] {
            std::fs::write(path(name), content).expect("written");
        }
        assert_eq!(collect(folder.path()), Ok(files()));
        std::os::unix::fs::symlink("/etc/passwd", path("plant/link.yaml")).expect("linked");
        assert!(collect(folder.path()).expect_err("a link").contains("no links"));
        std::fs::remove_file(path("plant/link.yaml")).expect("removed");
        let deep = (0..=FOLDER_DEPTH_MAX).fold(folder.path().to_owned(), |deep, _| deep.join("d"));
        std::fs::create_dir_all(deep).expect("made");
        assert!(collect(folder.path()).expect_err("too deep").contains("deeper"));
    }

    #[test]
    fn what_is_too_much_for_a_device_is_not_packed() {
        // What cannot be compressed: the bytes of a generator.
        let mut numbers = fastrand::Rng::with_seed(7);
        let noise: Vec<u8> = std::iter::repeat_with(|| numbers.u8(..)).take(FILE_BYTES_MAX).collect();
        let files = [("a".to_owned(), noise.clone()), ("b".to_owned(), noise[1..].to_vec())];
        assert!(pack("7", WHEN, &files, None).expect_err("too large").contains("at most"));
    }
}
