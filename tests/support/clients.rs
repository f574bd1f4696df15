//! Programs of others that judge what the engine says: `tests/clients/install.sh` lists them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binary::root;

/// The folder of the programs of this name, which are installed where they are not there yet.
///
/// # Panics
///
/// If they cannot be installed, with what the installation said.
#[must_use]
pub fn installed(name: &str) -> PathBuf {
    let folder = root().join("target/clients").join(name);
    install(name, &folder, &[]);
    folder
}

fn install(name: &str, folder: &Path, environment: &[(&str, String)]) {
    let output = Command::new(root().join("tests/clients/install.sh"))
        .arg(name)
        .arg(folder)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .output()
        .expect("the script starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::fs;
    use std::thread;

    use super::*;
    use crate::program;

    /// Stands in for Python with a slow pip: it writes into the last folder that it is told, `--target FOLDER -r FILE`.
    const PYTHON: &str = r#"#!/usr/bin/env bash
set -euo pipefail
echo installed >> "$(dirname "$0")/calls"
mkdir -p "${@: -3:1}"
sleep 0.3
touch "${@: -3:1}/package"
"#;

    #[test]
    fn whoever_needs_the_same_programs_waits_until_they_are_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let python = folder.path().join("python3");
        program::write(&python, PYTHON);
        let path = format!("{}:{}", folder.path().display(), env::var("PATH").unwrap_or_default());
        let clients = folder.path().join("clients");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    install("otel", &clients, &[("PATH", path.clone())]);
                    assert!(clients.join("python/package").exists(), "it is not there yet");
                });
            }
        });
        assert_eq!(fs::read_to_string(folder.path().join("calls")).expect("it was called"), "installed\n");
    }
}
