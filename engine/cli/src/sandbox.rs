//! `engine run` gives up what it does not need, before it speaks to anybody: with Landlock, on Linux.
//!
//! # For operators
//!
//! From its start on, the process can
//! - read the folders of its specs and of `engine.yaml`, the files that specs name (secrets, certificates, CSV folders),
//!   and what every program reads: `/etc`, `/usr`, the libraries, the time zones, the files that name resolution is made
//!   of;
//! - write the folder of its state, and the folders of its file destinations and of SQLite sources, where SQLite itself
//!   keeps a file beside the database;
//! - start no other program, and send no signal to one. Where `engine.yaml` has specs pulled from a git repository, it can
//!   start the programs of `/usr`, `git` among them; what it starts can read and write no more than itself.
//!
//! Folders are granted and not files, so that a secret or a certificate may be replaced by renaming a new file over it.
//! What a spec names must lie where it lay at the start: after a move to another folder, and after another file system
//! was mounted somewhere above a CSV folder, restart the engine. The network stays open.
//!
//! A kernel without Landlock restricts nothing, and `engine check` says so.

mod needs;

use std::collections::BTreeSet;
use std::path::PathBuf;

pub use self::needs::{needs, needs_of, needs_to_pull};

/// What every program reads: settings, name resolution, libraries, time zones, authorities.
const SYSTEM: [&str; 16] = [
    "/etc",
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/var/lib/ca-certificates",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/run/connman",
    "/run/nscd",
    "/proc/self",
    "/proc/sys/kernel",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
];

/// Folders and files that stay open to the process, with all that lies below.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// For reading.
    pub read: BTreeSet<PathBuf>,
    /// For reading and writing.
    pub write: BTreeSet<PathBuf>,
    /// For starting the programs in them, which may then do no more than this process.
    pub start: BTreeSet<PathBuf>,
}

/// How much of a restriction holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// All of it.
    Whole,
    /// What this kernel knows of it: older ones do not know every kind of access.
    Part,
    /// Nothing; why.
    Nothing(String),
}

/// Restricts this thread and those that it will start, for good. To be called before there are others.
pub fn restrict(grants: &Grants) -> Held {
    landlock::restrict(grants).unwrap_or_else(Held::Nothing)
}

/// Whether this system can restrict a process at all; if not, why.
pub fn offered() -> Result<(), String> {
    landlock::offered()
}

/// Says at level debug what holds.
pub fn log(grants: &Grants, held: &Held) {
    let paths =
        |paths: &BTreeSet<PathBuf>| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
    match held {
        Held::Whole | Held::Part => tracing::debug!(
            event = "restricted",
            whole = *held == Held::Whole,
            read = paths(&grants.read),
            write = paths(&grants.write),
            start = paths(&grants.start),
            "the process has given up all other files, and other programs"
        ),
        Held::Nothing(why) => tracing::debug!(event = "not_restricted", "the process keeps all its rights: {why}"),
    }
}

#[cfg(target_os = "linux")]
mod landlock {
    use landlock::{
        ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
        RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, make_bitflags, path_beneath_rules,
    };

    use super::{Grants, Held, SYSTEM};

    /// The newest kernel interface whose kinds of access are all refused where they are not granted.
    const KNOWN: ABI = ABI::V6;
    /// The oldest kernel interface.
    const OLDEST: ABI = ABI::V1;
    const DEVICES: [&str; 3] = ["/dev/urandom", "/dev/random", "/dev/zero"];
    /// Where anything may be written, and nothing stays.
    const NOWHERE: &str = "/dev/null";

    fn reading() -> BitFlags<AccessFs> {
        make_bitflags!(AccessFs::{ReadFile | ReadDir})
    }

    fn starting() -> BitFlags<AccessFs> {
        reading() | AccessFs::Execute
    }

    fn writing() -> BitFlags<AccessFs> {
        reading() | make_bitflags!(AccessFs::{WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir})
    }

    pub(super) fn restrict(grants: &Grants) -> Result<Held, String> {
        offered()?;
        let status = (|| {
            // What this kernel does not know is left out: the rest holds all the same.
            Ruleset::default()
                .set_compatibility(CompatLevel::BestEffort)
                .handle_access(AccessFs::from_all(KNOWN))?
                .scope(Scope::from_all(KNOWN))?
                .create()?
                .add_rules(path_beneath_rules(SYSTEM, reading()))?
                .add_rules(path_beneath_rules(DEVICES, AccessFs::ReadFile))?
                .add_rules(path_beneath_rules([NOWHERE], AccessFs::ReadFile | AccessFs::WriteFile))?
                .add_rules(path_beneath_rules(&grants.read, reading()))?
                .add_rules(path_beneath_rules(&grants.write, writing()))?
                .add_rules(path_beneath_rules(&grants.start, starting()))?
                .restrict_self()
        })()
        .map_err(|error: RulesetError| format!("the kernel does not take the restriction: {error}"))?;
        Ok(match status.ruleset {
            RulesetStatus::FullyEnforced => Held::Whole,
            RulesetStatus::PartiallyEnforced => Held::Part,
            RulesetStatus::NotEnforced => Held::Nothing("the kernel has no Landlock".to_owned()),
        })
    }

    pub(super) fn offered() -> Result<(), String> {
        Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(OLDEST))
            .and_then(Ruleset::create)
            .map(drop)
            .map_err(|error| format!("the kernel offers no Landlock here: {error}"))
    }
}

#[cfg(not(target_os = "linux"))]
mod landlock {
    use super::{Grants, Held};

    pub(super) fn restrict(_: &Grants) -> Result<Held, String> {
        offered().map(|()| Held::Whole)
    }

    pub(super) fn offered() -> Result<(), String> {
        Err("this system has no Landlock".to_owned())
    }
}
