//! References of a spec: environment variables, files and systemd credentials.

use std::hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use engine_core::ports::References;
use engine_spec::scalar::Reference;
use secrecy::{ExposeSecret as _, SecretString};

use crate::validate::regular;

/// Bytes of a file that a reference names, at most.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Hashes of this process: nobody who sees one can look for the value by trying.
static HASHES: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A mark of the values that references gave: whether one of them gives another value now is seen without any being
/// kept. Marks of one process compare, and no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

/// References as this process can resolve them. Nothing is kept: a rotated secret is read again.
pub struct ProcessReferences {
    folder: PathBuf,
    given: Mutex<DefaultHasher>,
}

impl ProcessReferences {
    /// References of a spec in this folder.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), given: Mutex::new(HASHES.build_hasher()) }
    }

    /// The mark of all values given so far, in their order.
    pub fn mark(&self) -> Mark {
        Mark(self.given.lock().unwrap_or_else(PoisonError::into_inner).finish())
    }

    fn look_up(&self, reference: &Reference) -> Result<SecretString, String> {
        match reference {
            Reference::Env { name, default } => match (std::env::var(name), default) {
                (Ok(value), _) => Ok(SecretString::from(value)),
                (Err(std::env::VarError::NotPresent), Some(default)) => Ok(SecretString::from(default.clone())),
                (Err(std::env::VarError::NotPresent), None) => Err(format!("environment variable {name} is not set")),
                (Err(std::env::VarError::NotUnicode(_)), _) => Err(format!("environment variable {name} is not UTF-8")),
            },
            Reference::File(path) => read(&self.folder.join(path)),
            Reference::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
                Some(folder) => read(&Path::new(&folder).join(name)),
                None => Err(format!(
                    "credential {name} cannot be read: $CREDENTIALS_DIRECTORY is not set, so systemd handed over none"
                )),
            },
        }
    }
}

impl References for ProcessReferences {
    fn resolve(&self, reference: &Reference) -> Result<SecretString, String> {
        let value = self.look_up(reference)?;
        value.expose_secret().hash(&mut *self.given.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(value)
    }
}

/// The content of a file, one trailing newline removed.
fn read(path: &Path) -> Result<SecretString, String> {
    let failed = |what: &dyn std::fmt::Display| format!("file {} cannot be read: {what}", path.display());
    regular(path).map_err(|error| failed(&error))?;
    let size = std::fs::metadata(path).map_err(|error| failed(&error))?.len();
    if size > FILE_BYTES_MAX {
        return Err(failed(&format!("{size} bytes, the limit is {FILE_BYTES_MAX}")));
    }
    let mut text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_loses_one_trailing_newline() {
        let folder = tempfile::tempdir().expect("a folder");
        for (content, value) in [("secret\n", "secret"), ("secret\r\n", "secret"), ("a\n\n", "a\n"), ("bare", "bare")] {
            std::fs::write(folder.path().join("token"), content).expect("written");
            let references = ProcessReferences::new(folder.path());
            let resolved = references.resolve(&Reference::File("token".into())).expect("resolves");
            assert_eq!(resolved.expose_secret(), value, "{content:?}");
        }
    }

    #[test]
    fn another_value_leaves_another_mark() {
        let folder = tempfile::tempdir().expect("a folder");
        let mark = |one: &str, other: &str| {
            let references = ProcessReferences::new(folder.path());
            for (name, value) in [("one", one), ("other", other)] {
                std::fs::write(folder.path().join(name), value).expect("written");
                references.resolve(&Reference::File(name.into())).expect("resolves");
            }
            references.mark()
        };
        assert_eq!(mark("first", "second"), mark("first", "second\n"));
        for (one, other) in [("first", "third"), ("second", "first"), ("firsts", "econd"), ("", "")] {
            assert_ne!(mark("first", "second"), mark(one, other), "{one} {other}");
        }
    }

    #[test]
    fn a_file_is_read_up_to_a_limit() {
        let folder = tempfile::tempdir().expect("a folder");
        let resolve = |bytes: u64| {
            std::fs::write(folder.path().join("token"), "x".repeat(bytes as usize)).expect("written");
            ProcessReferences::new(folder.path()).resolve(&Reference::File("token".into()))
        };
        assert!(resolve(FILE_BYTES_MAX).is_ok());
        assert!(resolve(FILE_BYTES_MAX + 1).is_err_and(|reason| reason.contains("limit")));
    }

    #[test]
    fn what_is_missing_is_named_and_no_value_shown() {
        let references = ProcessReferences::new(Path::new("/nowhere"));
        let unset = Reference::Env { name: "ENGINE_TEST_UNSET".into(), default: None };
        assert_eq!(
            references.resolve(&unset).err().as_deref(),
            Some("environment variable ENGINE_TEST_UNSET is not set")
        );
        let default = Reference::Env { name: "ENGINE_TEST_UNSET".into(), default: Some("x".into()) };
        assert_eq!(references.resolve(&default).expect("the default").expose_secret(), "x");
        let file = references.resolve(&Reference::File("token".into())).expect_err("fails");
        assert!(file.starts_with("file /nowhere/token cannot be read: "), "{file}");
    }
}
