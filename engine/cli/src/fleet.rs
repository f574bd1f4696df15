//! A device as one of many: its specs are pulled from a bundle or a git repository, and it tells how it does. Nothing
//! listens for either.
//!
//! New specs are trusted, unpacked and validated before anything leads to them (`pull`). One file says which set is in
//! use, and is replaced whole (`depot`). What ran well before and fails by the new specs brings those of before back
//! (`watch`); that decision is a pure function of engine-core.

pub mod bundle;
pub mod depot;
mod git;
pub mod heartbeat;
pub mod key;
mod pull;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use engine_core::ports::Cancel;
use engine_spec::device::{Device, PulledSpecs};
use jiff::Timestamp;

use self::depot::Depot;
pub use self::pull::{Puller, validate};
pub use self::watch::{Ended, Told, start};
use crate::exit::{CommandError, Kind};

/// Where specs are pulled from, as the command line says it: it goes before the device config.
#[derive(Debug, Clone, Default)]
pub struct Override {
    /// The address.
    pub from: Option<String>,
    /// Public keys of those who may sign.
    pub keys: Vec<String>,
}

impl Override {
    /// Puts it into a device config.
    pub fn apply(&self, device: &mut Device) {
        let Some(from) = self.from.clone() else { return };
        device.specs.clear();
        let fleet = device.fleet.get_or_insert_default();
        let specs = match fleet.specs.take() {
            Some(written) => PulledSpecs { from, keys: [self.keys.clone(), written.keys].concat(), ..written },
            None => PulledSpecs {
                from,
                keys: self.keys.clone(),
                allowed_signers: None,
                every: None,
                allow_older: None,
                headers: Default::default(),
                auth: None,
                tls: None,
            },
        };
        fleet.specs = Some(specs);
    }
}

/// The folder of the pulled specs that are in use; `None` where specs are not pulled.
pub fn current(device: &Device, folder: &Path) -> Result<Option<PathBuf>, CommandError> {
    if device.fleet.as_ref().is_none_or(|fleet| fleet.specs.is_none()) {
        return Ok(None);
    }
    let depot = Depot::of(device, folder)?;
    match depot.record()?.current {
        Some(current) => Ok(Some(depot.set(&current.id))),
        None => Err(CommandError::new(Kind::Environment, "no specs have been pulled yet")
            .hint("`engine run` pulls them; its log says what is in the way")),
    }
}

/// How long a service without any specs waits before it asks for them again.
const FIRST_EVERY: Duration = Duration::from_secs(10);

/// Sees to it that there are specs before a service begins: waits for the first ones, as long as it takes. What was pulled
/// before is enough to begin with, however the network is.
pub fn await_first(puller: &mut Puller) -> Result<(), CommandError> {
    let mut said = String::new();
    while !has_some(puller)? {
        // Another process may be about to pull them.
        let pulled = if puller.holds()? { pull_now(puller) } else { Err(elsewhere()) };
        let Err(error) = pulled else { return Ok(()) };
        if error.message != said {
            tracing::warn!(
                event = "specs_not_taken",
                hint = error.hint,
                "{}; nothing runs until there are specs",
                error.message
            );
            said = error.message;
        }
        std::thread::sleep(puller.every().unwrap_or(FIRST_EVERY).clamp(watch::EVERY_MIN, FIRST_EVERY));
    }
    Ok(())
}

/// Takes what there is now, for a run that is the only one. Specs of before will do where there is nothing else.
pub fn pull_once(puller: &mut Puller) -> Result<(), CommandError> {
    let has_some = has_some(puller)?;
    let pulled = if puller.holds()? { pull_now(puller) } else { Err(elsewhere()) };
    match pulled {
        Err(error) if has_some => {
            tracing::warn!(
                event = "specs_not_taken",
                hint = error.hint,
                "{}; everything goes on by the specs of before",
                error.message
            );
            Ok(())
        }
        other => other,
    }
}

fn elsewhere() -> CommandError {
    CommandError::new(Kind::Environment, "another engine with the same state pulls the specs")
        .hint("`engine status` shows what it has pulled")
}

fn has_some(puller: &Puller) -> Result<bool, CommandError> {
    let current = puller.depot.record()?.current;
    Ok(current.is_some_and(|current| puller.depot.has(&current.id)))
}

fn pull_now(puller: &mut Puller) -> Result<(), CommandError> {
    let mut record = puller.depot.record()?;
    let Some(new) = puller.pull(&record, Timestamp::now(), &Cancel::default())? else { return Ok(()) };
    let (version, place) = (new.taken.version.clone(), puller.place());
    let id = new.taken.id.clone();
    record.take(new.taken, None);
    puller.depot.write(&record)?;
    tracing::info!(event = "specs_taken", id, version, "specs {version} from {place} are in use");
    puller.depot.sweep(&record)
}
