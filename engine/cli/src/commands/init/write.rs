//! Writing a file whole or not at all, and never over another one by accident.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use crate::exit::{CommandError, Kind};
use crate::folder;

/// What is said where there is a file already.
pub fn exists(path: &Path) -> CommandError {
    CommandError::new(Kind::Usage, format!("{} is there already", path.display()))
        .hint("give the new one another name with `-o`, or write over it with `--force`")
}

/// Writes a file whole, also where there is one already.
pub fn over(path: &Path, text: &str) -> Result<(), CommandError> {
    let written = fs::create_dir_all(folder::of(path)).and_then(|()| folder::replace(path, text.as_bytes()));
    written.map_err(|error| unwritten(path, &error))
}

/// Writes a file whole where there is none.
pub fn anew(path: &Path, text: &str) -> Result<(), CommandError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = fs::create_dir_all(folder::of(path))
        .and_then(|()| OpenOptions::new().write(true).create_new(true).open(&part))
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        // A link fails where there is a file, a renaming would replace it.
        .and_then(|()| fs::hard_link(&part, path));
    // What is left of it would only be in the way.
    let _ = fs::remove_file(&part);
    written.map_err(|error| unwritten(path, &error))
}

fn unwritten(path: &Path, error: &io::Error) -> CommandError {
    match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => CommandError::new(Kind::Environment, format!("{} cannot be written: {error}", path.display())),
    }
}
