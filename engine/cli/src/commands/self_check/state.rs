//! The state: whose it is, its version, its pages, and the room on its disk.

use std::path::Path;

use engine_spec::device::Device;
use engine_spec::scalar::ByteSize;

use super::Finding;
use crate::commands::run::outbox_bytes_max;
use crate::exit::{CommandError, Kind};
use crate::store::{self, Place};

/// Free bytes on the disk of the state, below which no run is to be begun: the log of a large commit.
const FREE_BYTES_MIN: u64 = 64 << 20;

/// Looks at the state of a device.
pub(super) fn look(device: &Device, folder: &Path, is_offline: bool) -> Vec<Finding> {
    let place = match store::place(device, folder) {
        Ok(place) => place,
        Err(error) => return vec![Finding::failed("state", error)],
    };
    match &place {
        Place::File(path) => vec![state(&place, Some(path)), space(path, outbox_bytes_max(device))],
        Place::Postgres(_) if is_offline => Vec::new(),
        Place::Postgres(_) => vec![state(&place, None)],
    }
}

fn state(place: &Place, file: Option<&Path>) -> Finding {
    let look = match place.look() {
        Ok(look) => look,
        Err(error) => return Finding::failed("state", error),
    };
    if let Some(error) = file.and_then(|file| unwritable(existing(file))) {
        return Finding::failed("state", error);
    }
    let (place, known) = (look.place, look.known);
    match look.version {
        Some(version) if version == known => {
            Finding::ok("state", format!("{place} is whole, this account's, and of version {version}"))
        }
        Some(version) => Finding::warning(
            "state",
            format!("{place} is whole and of version {version}; this engine makes it version {known} when it opens it"),
            "keep the copy that it writes before; an older engine refuses the new version",
        ),
        None => Finding::warning(
            "state",
            format!("there is none at {place} yet; the first run makes it"),
            "where the service has run already, say where its state is: `env STATE_DIRECTORY=/var/lib/engine`",
        ),
    }
}

/// The folder of a file, or the next one above it that is there.
fn existing(file: &Path) -> &Path {
    let above = file.ancestors().skip(1).find(|folder| folder.is_dir());
    above.unwrap_or(Path::new("."))
}

fn unwritable(folder: &Path) -> Option<CommandError> {
    let reason = disk::unwritable(folder)?;
    let message = format!("this account cannot write into {}: {reason}", folder.display());
    Some(CommandError::new(Kind::Environment, message).hint("run it as the account of the service: `sudo -u engine`"))
}

fn space(path: &Path, outbox_bytes: u64) -> Finding {
    let folder = existing(path);
    match disk::free_bytes(folder) {
        Ok(free) => judge_space(&folder.display().to_string(), free, outbox_bytes),
        Err(reason) => Finding::warning(
            "space",
            format!("the room on the disk of {} is not known: {reason}", folder.display()),
            "look with `df`",
        ),
    }
}

fn judge_space(folder: &str, free: u64, outbox_bytes: u64) -> Finding {
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let said = format!("{} free on the disk of {folder}", mib(free));
    if free < FREE_BYTES_MIN {
        let error = CommandError::new(Kind::Environment, format!("{said}, fewer than {}", mib(FREE_BYTES_MIN)));
        return Finding::failed("space", error.hint("free some space"));
    }
    if free < outbox_bytes {
        return Finding::warning(
            "space",
            format!("{said}; `limits.outbox` allows {} while the destination is down", ByteSize(outbox_bytes)),
            "free some space, or set `limits.outbox` to less",
        );
    }
    Finding::ok("space", said)
}

#[cfg(unix)]
mod disk {
    use std::path::Path;

    use rustix::fs::{Access, access, statvfs};

    /// Why this account cannot make files in a folder; `None` where it can.
    pub(super) fn unwritable(folder: &Path) -> Option<String> {
        access(folder, Access::WRITE_OK | Access::EXEC_OK).err().map(|error| error.to_string())
    }

    /// Bytes that an account other than root may still take.
    pub(super) fn free_bytes(folder: &Path) -> Result<u64, String> {
        statvfs(folder).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)).map_err(|error| error.to_string())
    }
}

#[cfg(not(unix))]
mod disk {
    use std::path::Path;

    pub(super) fn unwritable(folder: &Path) -> Option<String> {
        let is_read_only = std::fs::metadata(folder).is_ok_and(|folder| folder.permissions().readonly());
        is_read_only.then(|| "it is read-only".to_owned())
    }

    pub(super) fn free_bytes(_: &Path) -> Result<u64, String> {
        Err("this system does not tell".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_disk_has_room_for_the_outbox_or_it_is_said() {
        for (free, outbox, expected) in [
            (FREE_BYTES_MIN - 1, 0, Level::Failed(Kind::Environment)),
            (FREE_BYTES_MIN, 1 << 30, Level::Warning),
            (1 << 30, 1 << 30, Level::Ok),
        ] {
            let finding = judge_space("/s", free, outbox);
            assert_eq!((finding.level, finding.action.is_none()), (expected, expected == Level::Ok), "{finding:?}");
        }
    }

    #[test]
    fn the_next_folder_above_is_looked_at() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(existing(&folder.path().join("a/b/state.db")), folder.path());
        assert_eq!(existing(Path::new("state.db")), Path::new("."));
        assert!(disk::free_bytes(folder.path()).is_ok_and(|free| free > 0) || cfg!(not(unix)));
    }
}
