//! Writing a file whole or not at all, and never over another one by accident.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use crate::exit::{CommandError, Kind};

/// What is said where there is a file already.
pub fn exists(path: &Path) -> CommandError {
    CommandError::new(Kind::Usage, format!("{} is there already", path.display()))
        .hint("give the new one another name with `-o`, or write over it with `--force`")
}

/// Writes a file whole: over another one only where that is wanted.
pub fn atomically(path: &Path, text: &str, force: bool) -> Result<(), CommandError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => CommandError::new(Kind::Environment, format!("{} cannot be written: {error}", path.display())),
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&part)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        // A link fails where there is a file, a renaming would replace it.
        .and_then(|()| if force { fs::rename(&part, path) } else { fs::hard_link(&part, path) });
    // After a renaming it is gone already.
    let _ = fs::remove_file(&part);
    written.map_err(failed)
}
