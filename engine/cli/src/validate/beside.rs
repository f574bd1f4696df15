//! The files beside a spec, in its folder.

use std::io;
use std::path::{Component, Path, PathBuf};

use engine_spec::Companions;

use super::{read_limited, regular};

/// The name of the device config, whose folder holds what several specs share.
const DEVICE_CONFIG: &str = "engine.yaml";

/// The files beside a spec, in its folder. Others are not read, whatever path a spec names: a finding shows the lines
/// that it is about, and specs come from people who may not see every file of the machine that validates them.
pub struct Beside<'a>(pub &'a Path);

impl Companions for Beside<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let path = self.inside(path)?;
        read_limited(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
    }

    fn find(&self, path: &str) -> Result<(), String> {
        let path = self.inside(path)?;
        regular(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
    }
}

impl Beside<'_> {
    /// The path of a file that lies in the folder of the spec or below it, or below what the spec is a part of: the
    /// nearest folder above that has a device config, or the working directory. Links are followed: what counts is
    /// where the file is.
    fn inside(&self, path: &str) -> Result<PathBuf, String> {
        let joined = self.0.join(path);
        let is_inside = || -> io::Result<bool> {
            let current = std::env::current_dir()?;
            let folder = plain(&current.join(self.0));
            let shared = folder.ancestors().find(|folder| folder.join(DEVICE_CONFIG).is_file());
            // A program that was started in `/` was started nowhere.
            let is_root_of_specs = current.parent().is_some() && folder.starts_with(&current);
            let current = is_root_of_specs.then_some(current.as_path());
            let roots: Vec<&Path> = std::iter::once(folder.as_path()).chain(shared).chain(current).collect();
            let named = plain(&folder.join(path));
            if !roots.iter().any(|root| named.starts_with(root)) {
                return Ok(false);
            }
            // What is not there is told by whoever reads it.
            let Ok(real) = std::fs::canonicalize(&joined) else { return Ok(true) };
            Ok(roots.iter().any(|root| std::fs::canonicalize(root).is_ok_and(|root| real.starts_with(root))))
        };
        match is_inside() {
            Ok(true) => Ok(joined),
            Ok(false) => Err(format!(
                "{path} is not read: it lies neither in the folder of the spec or below it, nor below that of \
                 `{DEVICE_CONFIG}`, nor below the working directory"
            )),
            Err(error) => Err(format!("{} cannot be read: {error}", joined.display())),
        }
    }
}

/// A path without `.` and `..`, by its words alone.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::CurDir => {}
            Component::ParentDir => _ = plain.pop(),
            part => plain.push(part),
        }
        plain
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_beside_a_spec_is_read() {
        let root = tempfile::tempdir().expect("a folder");
        let write = |path: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, "text").expect("a file");
        };
        for path in ["outside.sql", "site/shared/q.sql", "site/specs/acme/q.sql", "site/specs/acme/sql/q.sql"] {
            write(path);
        }
        let folder = root.path().join("site/specs/acme");
        let beside = Beside(&folder);
        let absolute = |path: &str| root.path().join(path).display().to_string();
        let check = |path: &str, is_read: bool| {
            let (read, found) = (beside.read(path), beside.find(path));
            assert_eq!((read.is_ok(), found.is_ok()), (is_read, is_read), "{path}: {read:?}");
            if !is_read {
                assert!(read.is_err_and(|reason| reason.contains("is not read: it lies neither")), "{path}");
            }
        };
        check("q.sql", true);
        check("sql/../sql/q.sql", true);
        check(&absolute("site/specs/acme/q.sql"), true);
        check("../../shared/q.sql", false);
        check("../../../outside.sql", false);
        check("../../../nowhere.sql", false);
        check("/etc/passwd", false);
        // What several specs share lies below the device config.
        write("site/engine.yaml");
        check("../../shared/q.sql", true);
        check("../../../outside.sql", false);
        check(&absolute("outside.sql"), false);
        assert!(beside.read("missing.sql").is_err_and(|reason| reason.contains("cannot be read")));
        #[cfg(unix)]
        {
            let link = |target: &str, name: &str| {
                std::os::unix::fs::symlink(root.path().join(target), folder.join(name)).expect("a link");
            };
            link("site/shared/q.sql", "shared.sql");
            link("outside.sql", "outside.sql");
            check("shared.sql", true);
            check("outside.sql", false);
        }
    }
}
