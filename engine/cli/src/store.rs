//! Where the state is, and opening it.

use std::path::{Path, PathBuf};

use engine_core::memory::MemoryStore;
use engine_core::ports::References as _;
use engine_core::state::StateStore;
use engine_spec::device::Device;
use engine_spec::scalar::Setting;
use secrecy::{ExposeSecret as _, SecretString};

use crate::exit::{CommandError, Kind};
use crate::references::ProcessReferences;
use crate::sandbox::Grants;
use crate::state::{Look, Options, PostgresStore, SqliteStore, files_of};

/// Where the state is.
pub enum Place {
    /// A file of this device.
    File(PathBuf),
    /// A database that several engines share. The address may hold a password.
    Postgres(SecretString),
}

impl Place {
    /// What opening it, now and later, needs of the file system; makes the folder of a file where there is none.
    pub fn prepare(&self) -> Result<Grants, CommandError> {
        let mut grants = Grants::default();
        match self {
            Self::File(path) => grants.write(SqliteStore::prepare(path, Options::default())?),
            Self::Postgres(url) => files_of(url.expose_secret()).iter().for_each(|file| grants.read_around(file)),
        }
        Ok(grants)
    }

    /// What a look at the state store finds; nothing is changed by it.
    pub fn look(&self) -> Result<Look, CommandError> {
        Ok(match self {
            Self::File(path) => SqliteStore::look(path)?,
            Self::Postgres(url) => PostgresStore::look(url.expose_secret())?,
        })
    }

    /// The state store, opened; made where there is none.
    pub fn open(&self) -> Result<Box<dyn StateStore>, CommandError> {
        Ok(match self {
            Self::File(path) => Box::new(SqliteStore::open(path, Options::default())?),
            Self::Postgres(url) => Box::new(PostgresStore::open(url.expose_secret())?),
        })
    }
}

/// The state store of a device, opened; made where there is none.
pub fn open(device: &Device, folder: &Path) -> Result<Box<dyn StateStore>, CommandError> {
    place(device, folder)?.open()
}

/// The state store of a device, where there is one already. A database is one.
pub fn open_existing(device: &Device, folder: &Path) -> Result<Box<dyn StateStore>, CommandError> {
    if let Place::File(path) = place(device, folder)?
        && !path.is_file()
    {
        return Err(CommandError::new(Kind::Environment, format!("there is no state at {}", path.display()))
            .hint("nothing ran here yet; name the device config with `--config`, or change into its folder"));
    }
    open(device, folder)
}

/// The state store of a device, where there is one already; otherwise an empty one that is not kept.
pub fn open_or_empty(device: &Device, folder: &Path) -> Result<Box<dyn StateStore>, CommandError> {
    match place(device, folder)? {
        Place::File(path) if !path.is_file() => Ok(Box::new(MemoryStore::new())),
        Place::File(_) | Place::Postgres(_) => open(device, folder),
    }
}

/// The pipelines that were asked for, or all; an error where the store does not know one.
pub fn wanted(store: &dyn StateStore, ids: &[String]) -> Result<Vec<String>, CommandError> {
    let known = store.pipelines()?;
    if ids.is_empty() {
        return Ok(known);
    }
    match ids.iter().find(|id| !known.contains(id)) {
        None => Ok(ids.to_vec()),
        Some(id) => Err(CommandError::new(Kind::Usage, format!("there is no pipeline `{id}`"))
            .hint(format!("the state store knows {}", known.join(", ")))),
    }
}

/// `$STATE_DIRECTORY`, or `.engine` in the working directory.
pub fn default_folder() -> PathBuf {
    std::env::var_os("STATE_DIRECTORY").map_or_else(|| PathBuf::from(".engine"), PathBuf::from)
}

/// `state.url`, or `$STATE_DIRECTORY/state.db`, or `.engine/state.db` in the working directory.
pub fn place(device: &Device, folder: &Path) -> Result<Place, CommandError> {
    let url = match &device.state.url {
        None => {
            return Ok(Place::File(default_folder().join("state.db")));
        }
        Some(Setting::Literal(url)) => SecretString::from(url.clone()),
        Some(Setting::Reference(reference)) => ProcessReferences::new(folder)
            .resolve(reference)
            .map_err(|error| CommandError::new(Kind::Environment, format!("state.url: {error}")))?,
    };
    let address = url.expose_secret().trim();
    if let Some(path) = address.strip_prefix("sqlite://").or_else(|| address.strip_prefix("sqlite:")) {
        return Ok(Place::File(folder.join(path)));
    }
    if address.starts_with("postgres://") || address.starts_with("postgresql://") {
        return Ok(Place::Postgres(SecretString::from(address)));
    }
    Err(CommandError::new(Kind::Usage, "state.url: engine keeps its state in SQLite or in PostgreSQL")
        .hint("write `sqlite:///var/lib/engine/state.db`, or `postgres://user@host/database`"))
}
