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
