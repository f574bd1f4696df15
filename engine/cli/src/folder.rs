//! Folders that must still be there when the power went.

use std::fs::File;
use std::io;
use std::path::Path;

/// The folder in which something lies.
pub fn of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the names in a folder last: those that were made, changed and removed.
pub fn sync(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened as a file; the system syncs its entries itself.
    if !cfg!(unix) {
        return Ok(());
    }
    File::open(folder)?.sync_all()
}

/// Writes a file whole or not at all: under its name there is never a part of it. A file that is there keeps its mode,
/// and a link to it stays a link.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut part = target.clone().into_os_string();
    part.push(".part");
    let written = (|| {
        let mut file = File::create(&part)?;
        io::Write::write_all(&mut file, content)?;
        if let Ok(known) = std::fs::metadata(&target) {
            file.set_permissions(known.permissions())?;
        }
        file.sync_all()?;
        std::fs::rename(&part, &target)?;
        sync(of(&target))
    })();
    if written.is_err() {
        // What is left of it would only be in the way.
        let _ = std::fs::remove_file(&part);
    }
    written
}
