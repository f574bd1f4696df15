//! Where the state is, and opening it.

use std::path::{Path, PathBuf};

use engine_core::ports::References as _;
use engine_core::state::StateStore;
use engine_spec::device::Device;
use engine_spec::scalar::Setting;
use secrecy::ExposeSecret as _;

use crate::exit::{CommandError, Kind};
use crate::references::ProcessReferences;
use crate::state::{Options, SqliteStore};

/// The state store of a device, opened; made where there is none.
pub fn open(device: &Device, folder: &Path) -> Result<Box<dyn StateStore>, CommandError> {
    Ok(Box::new(SqliteStore::open(&path(device, folder)?, Options::default())?))
}

/// The folder of a device's state; made where there is none.
pub fn prepare(device: &Device, folder: &Path) -> Result<PathBuf, CommandError> {
    Ok(SqliteStore::prepare(&path(device, folder)?, Options::default())?.to_owned())
}

/// The state store of a device, where there is one already.
pub fn open_existing(device: &Device, folder: &Path) -> Result<Box<dyn StateStore>, CommandError> {
    let path = path(device, folder)?;
    if !path.is_file() {
        return Err(CommandError::new(Kind::Environment, format!("there is no state at {}", path.display()))
            .hint("nothing ran here yet; name the device config with `--config`, or change into its folder"));
    }
    Ok(Box::new(SqliteStore::open(&path, Options::default())?))
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

/// `state.url`, or `$STATE_DIRECTORY/state.db`, or `.engine/state.db` in the working directory.
fn path(device: &Device, folder: &Path) -> Result<PathBuf, CommandError> {
    let url = match &device.state.url {
        None => {
            let root = std::env::var_os("STATE_DIRECTORY").map_or_else(|| PathBuf::from(".engine"), PathBuf::from);
            return Ok(root.join("state.db"));
        }
        Some(Setting::Literal(url)) => url.clone(),
        Some(Setting::Reference(reference)) => ProcessReferences::new(folder)
            .resolve(reference)
            .map_err(|error| CommandError::new(Kind::Environment, format!("state.url: {error}")))?
            .expose_secret()
            .to_owned(),
    };
    match url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) {
        Some(path) => Ok(folder.join(path)),
        None => Err(CommandError::new(Kind::Usage, "state.url: this version of engine keeps its state in SQLite only")
            .hint("write `sqlite:///var/lib/engine/state.db`")),
    }
}
