//! Whether the state is this account's alone: nobody else may have written what it holds, nor be able to.

use std::fs::Metadata;
#[cfg(unix)]
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use engine_core::state::StateError;

use super::error;

/// Group and others.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// The account that may do anything anyway.
const ROOT: u32 = 0;
/// The folder of the locks, beside the file.
pub(super) const LOCKS: &str = "locks";

/// Refuses a folder that another account owns or can write into.
pub(super) fn check_folder(folder: &Path, metadata: &Metadata) -> Result<(), StateError> {
    check("folder", folder, metadata)
}

/// Refuses files of the state, and what stands in their place, that another account owns, can write, or that lead
/// elsewhere. To be called before any of them is opened.
pub(super) fn check_files(path: &Path, folder: &Path) -> Result<(), StateError> {
    let locks = folder.join(LOCKS);
    let mut found = entries(folder)?;
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    found.retain(|entry| {
        *entry == locks || entry.file_name().is_some_and(|found| found.as_encoded_bytes().starts_with(name))
    });
    // A link is seen here, and nothing behind it is looked at.
    if locks.symlink_metadata().is_ok_and(|locks| locks.is_dir()) {
        found.extend(entries(&locks)?);
    }
    for entry in found {
        match entry.symlink_metadata() {
            Ok(metadata) if metadata.is_symlink() => return Err(is_a_link(&entry)),
            Ok(metadata) => check(if metadata.is_dir() { "folder" } else { "file" }, &entry, &metadata)?,
            // Another process of ours may just have closed the file, and taken its log away.
            Err(failure) if failure.kind() == std::io::ErrorKind::NotFound => {}
            Err(failure) => return Err(error::file(&entry, "looking at", &failure)),
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, StateError> {
    let failed = |failure| error::file(folder, "looking into the folder", &failure);
    folder.read_dir().map_err(failed)?.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

fn is_a_link(path: &Path) -> StateError {
    let place = path.display();
    StateError {
        tried: format!("opening the state file {place}"),
        message: "it is a symbolic link, and who can change what it leads to could change what is delivered".to_owned(),
        hint: Some(format!("remove the link (`rm {place}`), and name the place it leads to in `state.url`")),
    }
}

#[cfg(unix)]
fn check(what: &str, path: &Path, metadata: &Metadata) -> Result<(), StateError> {
    judge(what, path, metadata.uid(), metadata.permissions().mode() & 0o7777, rustix::process::geteuid().as_raw())
}

#[cfg(not(unix))]
fn check(_: &str, _: &Path, _: &Metadata) -> Result<(), StateError> {
    Ok(())
}

/// Judges what has this owner and mode, as the account `me`.
fn judge(what: &str, path: &Path, owner: u32, mode: u32, me: u32) -> Result<(), StateError> {
    let place = path.display();
    let tried = || format!("opening the state {what} {place}");
    if owner != me && owner != ROOT {
        return Err(StateError {
            tried: tried(),
            message: format!("it belongs to the account {owner}, and the engine runs as {me}"),
            hint: Some(format!(
                "run the engine as that account (`sudo -u '#{owner}' engine …`), or make the state this account's: \
                 `chown -R {me} {place}`"
            )),
        });
    }
    if mode & WRITABLE_BY_OTHERS != 0 {
        let or = match what {
            "folder" => ", or name a subfolder in `state.url`, which the engine creates for itself",
            _ => "",
        };
        return Err(StateError {
            tried: tried(),
            message: format!("other accounts can write into it (mode {mode:04o}), and could change what is delivered"),
            hint: Some(format!("`chmod go-w {place}`{or}")),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_for_its_own_account() {
        const ME: u32 = 1000;
        for (owner, mode, part) in [
            (ME, 0o700, None),
            (ME, 0o755, None),
            (ROOT, 0o755, None),
            (ME, 0o720, Some("`chmod go-w /s`")),
            (ME, 0o1777, Some("mode 1777")),
            (ROOT, 0o777, Some("`chmod go-w /s`")),
            (1001, 0o700, Some("sudo -u '#1001'")),
            (1001, 0o700, Some("`chown -R 1000 /s`")),
        ] {
            let outcome = judge("folder", Path::new("/s"), owner, mode, ME);
            let said = outcome.err().map(|error| format!("{error}; {:?}", error.hint));
            assert_eq!(said.is_some(), part.is_some(), "{owner} {mode:o}: {said:?}");
            assert!(said.iter().all(|said| said.contains(part.unwrap_or_default())), "{owner} {mode:o}: {said:?}");
        }
        let root = judge("file", Path::new("/s"), ME, 0o600, ROOT);
        assert!(root.is_err(), "files that root made would be closed to the account of the state");
    }
}
