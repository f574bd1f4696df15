//! Recordings on disk.

use std::io::Read as _;
use std::path::Path;

use engine_core::recording::Recording;

use crate::validate::regular;

/// Bytes of a recording: rows that people keep beside a spec, not a copy of a database.
pub const RECORDING_BYTES_MAX: u64 = 64 << 20;

/// Reads a recording. An error says what was tried, where, and what came back.
pub fn read(path: &Path) -> Result<Recording, String> {
    let failed = |error: std::io::Error| format!("the recording {} cannot be read: {error}", path.display());
    regular(path).map_err(failed)?;
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(RECORDING_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > RECORDING_BYTES_MAX {
        return Err(format!("the recording {} has more than {RECORDING_BYTES_MAX} bytes", path.display()));
    }
    Recording::parse(&text).map_err(|error| format!("the recording {} is damaged: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_that_is_none_or_too_long_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.jsonl");
        let refused = || read(&path).expect_err("refused");
        assert!(refused().contains("cannot be read"), "{}", refused());
        std::fs::write(&path, "{}\n").expect("written");
        assert!(refused().contains("is damaged: line 1"), "{}", refused());
        // A file with a hole costs no disk.
        std::fs::File::create(&path).and_then(|file| file.set_len(RECORDING_BYTES_MAX + 1)).expect("a file");
        assert!(refused().contains("more than"), "{}", refused());
    }
}
