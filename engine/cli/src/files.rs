//! Finding and reading files: specs by path, folder or glob, and what lies beside them.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use engine_spec::load::Companions;

use crate::exit::{CommandError, Kind};

/// Bytes of a spec, a config or a file beside a spec, at most. The loader has a limit of its own for specs.
pub const FILE_BYTES_MAX: u64 = 8 << 20;
/// Depth of folders that a search goes into.
const FOLDER_DEPTH_MAX: usize = 16;

/// Files that a search found, each once, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Specs.
    pub specs: Vec<PathBuf>,
    /// Device configs, by their name.
    pub devices: Vec<PathBuf>,
}

/// Finds specs: a file as it is named, the `*.yaml` and `*.yml` of a folder and of all below it, and what a glob with
/// `*`, `?` and `**` matches. A path that matches nothing is an error.
pub fn find_specs(paths: &[String]) -> Result<Found, CommandError> {
    let mut files = BTreeSet::new();
    for path in paths {
        let before = files.len();
        let given = Path::new(path);
        if given.is_file() {
            files.insert(given.to_owned());
            continue;
        }
        if given.is_dir() {
            walk(given, 0, &mut |file| {
                if is_yaml(file) {
                    files.insert(file.to_owned());
                }
            })?;
        } else if path.contains(['*', '?']) {
            let fixed: PathBuf =
                given.components().take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?'])).collect();
            let root = if fixed.as_os_str().is_empty() { Path::new(".") } else { fixed.as_path() };
            let pattern: Vec<String> = given
                .strip_prefix(&fixed)
                .unwrap_or(given)
                .components()
                .map(|part| part.as_os_str().to_string_lossy().into_owned())
                .collect();
            if root.is_dir() {
                walk(root, 0, &mut |file| {
                    let names: Vec<String> = file
                        .strip_prefix(root)
                        .unwrap_or(file)
                        .components()
                        .map(|part| part.as_os_str().to_string_lossy().into_owned())
                        .collect();
                    if matches_parts(&pattern, &names) {
                        files.insert(if fixed.as_os_str().is_empty() {
                            file.strip_prefix("./").unwrap_or(file).to_owned()
                        } else {
                            file.to_owned()
                        });
                    }
                })?;
            }
        }
        if files.len() == before {
            return Err(CommandError::new(Kind::Usage, format!("no spec found at `{path}`"))
                .hint("name a file, a folder or a glob; specs end in `.yaml`"));
        }
    }
    let (devices, specs) = files.into_iter().partition(|path| path.file_name().is_some_and(|name| name == "engine.yaml"));
    Ok(Found { specs, devices })
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn walk(folder: &Path, depth: usize, each: &mut dyn FnMut(&Path)) -> Result<(), CommandError> {
    if depth > FOLDER_DEPTH_MAX {
        return Ok(());
    }
    let failed = |error: std::io::Error| {
        CommandError::new(Kind::Environment, format!("folder {} cannot be read: {error}", folder.display()))
    };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            walk(&path, depth + 1, each)?;
        } else {
            each(&path);
        }
    }
    Ok(())
}

/// Whether the parts of a path match a pattern part by part; `**` stands for any number of parts.
fn matches_parts(pattern: &[String], names: &[String]) -> bool {
    match (pattern.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "**" => {
            matches_parts(rest, names) || names.split_first().is_some_and(|(_, names)| matches_parts(pattern, names))
        }
        (Some((first, rest)), Some((name, names))) => {
            matches_name(first.as_bytes(), name.as_bytes()) && matches_parts(rest, names)
        }
        _ => false,
    }
}

fn matches_name(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches_name(rest, name) || name.split_first().is_some_and(|(_, name)| matches_name(pattern, name))
        }
        (Some((b'?', rest)), Some((_, name))) => matches_name(rest, name),
        (Some((one, rest)), Some((other, name))) => one == other && matches_name(rest, name),
        _ => false,
    }
}

/// The bytes of a file, up to [`FILE_BYTES_MAX`].
pub fn read_limited(path: &Path) -> Result<Vec<u8>, CommandError> {
    read(path).map_err(|message| CommandError::new(Kind::Environment, message))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |what: &dyn std::fmt::Display| format!("file {} cannot be read: {what}", path.display());
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(failed(&format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// Files beside a spec.
pub struct FolderCompanions(PathBuf);

impl FolderCompanions {
    /// Of the spec at a path.
    pub fn of(spec: &Path) -> Self {
        Self(spec.parent().unwrap_or(Path::new("")).to_owned())
    }
}

impl Companions for FolderCompanions {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        read(&self.0.join(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_part_by_part() {
        let parts = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
        for (pattern, path, expected) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "x/a.yaml", false),
            ("**/*.yaml", "a.yaml", true),
            ("**/*.yaml", "x/y/a.yaml", true),
            ("*/a?.yaml", "x/ab.yaml", true),
            ("*/a?.yaml", "x/abc.yaml", false),
            ("**", "x/y", true),
        ] {
            assert_eq!(matches_parts(&parts(pattern), &parts(path)), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn specs_are_found_once_and_sorted() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        std::fs::create_dir_all(root.join("acme/.hidden")).expect("made");
        for name in ["acme/b.yaml", "acme/a.yml", "acme/x.sql", "acme/.hidden/c.yaml", "engine.yaml"] {
            std::fs::write(root.join(name), "").expect("written");
        }
        let path = |name: &str| root.join(name).display().to_string();
        let found = find_specs(&[path(""), path("acme/b.yaml"), path("**/*.yaml")]).expect("finds");
        assert_eq!(found.specs, [root.join("acme/a.yml"), root.join("acme/b.yaml")]);
        assert_eq!(found.devices, [root.join("engine.yaml")]);
        assert!(find_specs(&[path("nothing-*.yaml")]).is_err());
    }
}
