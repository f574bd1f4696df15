//! `--fix` and `--diff`: what is certain is put right in the files, or shown.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use engine_spec::fix::{Fixed, fix};
use engine_spec::text::Text;

use super::{Beside, read_limited, sidecar};
use crate::folder;

/// What would change in the files, or why that cannot be known. A file that cannot be read has a finding that says so.
/// Files of tests are the expert's own words and stay.
pub(super) fn plan(paths: &[PathBuf]) -> impl Iterator<Item = (&Path, Fixed)> {
    paths.iter().filter(|path| !sidecar::is_tests(path)).filter_map(|path| {
        let bytes = read_limited(path).ok()?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Some((path.as_path(), fix(&path.display().to_string(), &bytes, &Beside(folder))))
    })
}

/// Writes the diffs; whether there are any.
pub(super) fn show(paths: &[PathBuf], out: &mut dyn Write) -> io::Result<bool> {
    let mut is_changed = false;
    for (_, fixed) in plan(paths) {
        for file in &fixed.files {
            is_changed = true;
            out.write_all(file.diff.as_bytes())?;
        }
    }
    Ok(is_changed)
}

/// A file that could not be written.
#[derive(Debug)]
pub(super) struct Unwritten {
    pub(super) path: PathBuf,
    pub(super) error: io::Error,
}

/// Changes the files, and says to the log what went.
pub(super) fn write(paths: &[PathBuf], log: &mut dyn Write) -> Result<(), Unwritten> {
    for (path, fixed) in plan(paths) {
        let text = read_limited(path).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let spec = Text::new(&path.display().to_string(), &text);
        for file in &fixed.files {
            let changed = match &file.beside {
                Some(beside) => path.parent().unwrap_or(Path::new("")).join(beside),
                None => path.to_owned(),
            };
            folder::replace(&changed, file.content.as_bytes()).map_err(|error| Unwritten { path: changed, error })?;
        }
        for finding in &fixed.findings {
            let text = finding.companion.as_deref().unwrap_or(&spec);
            let line = text.line_column(finding.span.start).line;
            // Nothing is left to tell it to when standard error is closed.
            let _ = writeln!(log, "fixed {}:{line}: {}: {}", text.name, finding.code, finding.message);
        }
    }
    Ok(())
}
