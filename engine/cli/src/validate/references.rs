//! `--env`: whether the references of a file have a value here.

use std::path::Path;

use engine_spec::check::references;
use engine_spec::model::Reference;
use engine_spec::yaml::SpecFile;
use engine_spec::{Diagnostic, codes};

/// A finding for every reference without a value. Values are looked for, never read out.
pub fn check(file: &SpecFile, folder: &Path) -> Vec<Diagnostic> {
    references(file)
        .into_iter()
        .filter_map(|at| {
            let reason = missing(&at.reference, folder)?;
            let finding = Diagnostic::new(codes::UNRESOLVED_REFERENCE, file.value_span(&at.pointer), reason);
            Some(finding.at(at.pointer).help("set it before the engine starts, or leave `--env` out"))
        })
        .collect()
}

/// Why a reference of a file in this folder has no value here; `None` where it has one. The value is not read out.
pub fn missing(reference: &Reference, folder: &Path) -> Option<String> {
    let readable = |path: &Path| super::regular(path).and_then(|()| std::fs::File::open(path).map(|_| ()));
    match reference {
        Reference::Env { name, default: None } if std::env::var(name).is_err() => {
            Some(format!("the environment variable {name} is not set"))
        }
        Reference::Env { .. } => None,
        Reference::File(path) => {
            let path = folder.join(path);
            readable(&path).err().map(|error| format!("the file {} cannot be read: {error}", path.display()))
        }
        Reference::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
            None => Some(format!("there is no $CREDENTIALS_DIRECTORY for the credential {name}")),
            Some(directory) => {
                let path = Path::new(&directory).join(name);
                readable(&path).err().map(|error| format!("the credential {} cannot be read: {error}", path.display()))
            }
        },
    }
}
