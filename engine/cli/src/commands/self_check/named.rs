//! Whether what references name is there, and can be read by this account.

use std::path::Path;

use engine_core::report::counted;
use engine_spec::check::{ReferenceAt, references};
use engine_spec::load::load_device;
use engine_spec::scalar::Reference;
use engine_spec::yaml::SpecFile;

use super::Finding;
use crate::exit::{CommandError, Kind};
use crate::project::{self, FoundSpec};
use crate::validate::references::missing;

const ABOUT: &str = "references";

/// Those of the device config.
pub(super) fn of_device(path: &Path, folder: &Path) -> Vec<Finding> {
    match project::read(path) {
        Ok(bytes) => look(path, &load_device(&path.display().to_string(), &bytes).file, folder),
        Err(error) => vec![Finding::failed(ABOUT, error)],
    }
}

/// Those of a spec.
pub(super) fn of_spec(spec: &FoundSpec) -> Vec<Finding> {
    look(&spec.path, &spec.loaded.file, spec.folder())
}

/// One finding for each that has no value, or that others can read; otherwise one for all of the file.
fn look(path: &Path, file: &SpecFile, folder: &Path) -> Vec<Finding> {
    let all = references(file);
    let mut findings: Vec<Finding> = all.iter().filter_map(|at| judge(path, at, folder)).collect();
    if findings.is_empty() && !all.is_empty() {
        let count = u64::try_from(all.len()).unwrap_or(u64::MAX);
        findings
            .push(Finding::ok(ABOUT, format!("{}: {}, all with a value", path.display(), counted(count, "reference"))));
    }
    findings
}

fn judge(path: &Path, at: &ReferenceAt, folder: &Path) -> Option<Finding> {
    let place = format!("{}, {}", path.display(), at.pointer.trim_start_matches('/').replace('/', "."));
    if let Some(reason) = missing(&at.reference, folder) {
        let error = CommandError::new(Kind::Environment, format!("{place}: {reason}")).hint(action(&at.reference));
        return Some(Finding::failed(ABOUT, error));
    }
    let Reference::File(name) = &at.reference else { return None };
    let file = folder.join(name);
    is_open_to_all(&file).then(|| {
        let file = file.display();
        Finding::warning(
            ABOUT,
            format!("{place}: every account can read the file {file}"),
            format!("`chmod o-rwx {file}`"),
        )
    })
}

fn action(reference: &Reference) -> String {
    match reference {
        Reference::Env { name, .. } => format!("set {name} where the engine is started"),
        Reference::File(_) => "write the file, and let the account of the engine read it".to_owned(),
        Reference::Credential(name) => format!(
            "add `LoadCredential={name}:/etc/engine/secrets/{name}` with `systemctl edit engine`, and look under systemd"
        ),
    }
}

#[cfg(unix)]
fn is_open_to_all(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|file| std::os::unix::fs::MetadataExt::mode(&file) & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_open_to_all(_: &Path) -> bool {
    false
}
