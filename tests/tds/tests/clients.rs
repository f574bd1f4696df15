//! The server as clients see it that others wrote: python-tds, pymssql (FreeTDS) and tedious.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};

use engine_tds::{Encryption, NullRows, Server, Settings};
use support::Canned;

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where the clients are, or `None` where they cannot be had here. In CI they must be there.
fn clients() -> Option<&'static Path> {
    static INSTALLED: OnceLock<Option<PathBuf>> = OnceLock::new();
    INSTALLED
        .get_or_init(|| {
            let output = Command::new(tests().join("clients/install.sh")).arg("tds").output();
            let failure = match output {
                Ok(output) if output.status.success() => return Some(tests().join("../target/clients/tds")),
                Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
                Err(error) => error.to_string(),
            };
            assert!(std::env::var_os("CI").is_none(), "the clients of the TDS server are missing: {failure}");
            // What is printed by a macro is shown of tests that fail only.
            let _ = writeln!(std::io::stderr(), "skipped: the clients of the TDS server are missing: {failure}");
            None
        })
        .as_deref()
}

fn start(encryption: Encryption, null_rows: NullRows) -> Server {
    let settings = Settings { encryption, null_rows, ..Settings::default() };
    Server::start(Arc::new(Canned::default()), settings).unwrap()
}

fn authority() -> PathBuf {
    tests().join("support/tls/ca.pem")
}

fn script(name: &str) -> PathBuf {
    tests().join("clients/tds").join(name)
}

fn python(folder: &Path, name: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(script(name)).env("PYTHONPATH", folder.join("python"));
    command
}

fn passes(mut command: Command, what: &str) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (said, failed) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success() && said.contains(" checks"), "{what}: {said}{failed}");
}

#[test]
fn python_tds_sees_what_was_sent() {
    let Some(folder) = clients() else { return };
    for (encryption, null_rows, tls) in [
        (Encryption::NotSupported, NullRows::Plain, "none"),
        (Encryption::Off, NullRows::Bitmap, "login"),
        (Encryption::On, NullRows::Plain, "on"),
    ] {
        let server = start(encryption, null_rows);
        let mut command = python(folder, "check_pytds.py");
        command.arg(server.port().to_string()).arg(authority()).arg(tls);
        passes(command, tls);
        let login = server.logins().pop().unwrap();
        assert_eq!((login.application.as_str(), login.encrypted), ("pytds", tls != "none"), "{tls}");
    }
}

#[test]
fn pymssql_sees_what_was_sent() {
    let Some(folder) = clients() else { return };
    for (encryption, null_rows, tls) in [
        (Encryption::NotSupported, NullRows::Plain, "off"),
        (Encryption::Off, NullRows::Plain, "request"),
        (Encryption::On, NullRows::Bitmap, "require"),
    ] {
        let server = start(encryption, null_rows);
        let mut command = python(folder, "check_pymssql.py");
        command.arg(server.port().to_string()).arg(tls);
        passes(command, tls);
        assert_eq!(server.logins().pop().unwrap().encrypted, tls != "off", "{tls}");
    }
}

#[test]
fn tedious_sees_what_was_sent() {
    let Some(folder) = clients() else { return };
    for (encryption, null_rows, tls) in [
        (Encryption::NotSupported, NullRows::Plain, "none"),
        (Encryption::Off, NullRows::Bitmap, "on"),
        (Encryption::Strict, NullRows::Plain, "strict"),
    ] {
        let server = start(encryption, null_rows);
        let mut command = Command::new("node");
        command.arg(script("check.js")).arg(server.port().to_string()).arg(authority()).arg(tls);
        command.arg(folder.join("node"));
        passes(command, tls);
        let login = server.logins().pop().unwrap();
        assert_eq!((login.application.as_str(), login.read_only), ("tedious", true), "{tls}");
    }
}
