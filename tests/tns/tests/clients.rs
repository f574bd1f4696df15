//! Oracle's own thin drivers, for Python and Node, against the server.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]
#![expect(clippy::print_stderr, reason = "what is skipped is said")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use engine_tns::{Profile, Server, Settings, Verifier};
use support::canned::{LOCKED, PASSWORD, USER};

const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../clients");
const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/clients/tns");

/// Whether the drivers are there. In continuous integration they have to be.
fn are_installed() -> bool {
    static INSTALLATION: OnceLock<Result<(), String>> = OnceLock::new();
    let installation = INSTALLATION.get_or_init(|| {
        let out =
            Command::new(format!("{CLIENTS}/install.sh")).arg("tns").output().map_err(|error| error.to_string())?;
        if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
    });
    match installation {
        Ok(()) => true,
        Err(reason) => {
            assert!(std::env::var_os("CI").is_none(), "the drivers cannot be installed: {reason}");
            eprintln!("SKIPPED: Oracle's thin drivers cannot be installed: {reason}");
            false
        }
    }
}

fn expect_checks(program: &str, mut command: Command) {
    let out = command.output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.status.success() && text.trim().ends_with("checks"),
        "{program}: {text}\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

/// Runs all checks of both drivers against such a server.
fn check(settings: Settings, wallet: Option<&Path>, sdu: Option<u16>) {
    if !are_installed() {
        return;
    }
    let release = match settings.profile {
        Profile::Oracle23ai => "23",
        Profile::Oracle19c => "19",
        Profile::Oracle12_1 => "12",
        Profile::Oracle11_2 => "11",
    };
    let settings = Settings { locked: vec![LOCKED.to_owned()], ..settings };
    let (server, _) = support::server(settings);
    let wallet = wallet.map_or("null".to_owned(), |wallet| format!("{:?}", wallet.display().to_string()));
    let how = format!(
        r#"{{"host": "127.0.0.1", "port": {}, "user": "{}", "password": "{PASSWORD}", "service": "FREEPDB1",
            "sid": "FREE", "profile": "{release}", "wallet": {wallet}, "sdu": {}}}"#,
        server.port(),
        USER.to_lowercase(),
        sdu.map_or("null".to_owned(), |sdu| sdu.to_string()),
    );
    let mut python = Command::new("python3");
    python.arg(format!("{CLIENTS}/tns/check.py")).arg(&how).env("PYTHONPATH", format!("{INSTALLED}/python"));
    expect_checks("python", python);
    let mut node = Command::new("node");
    node.arg(format!("{CLIENTS}/tns/check.js")).arg(&how).arg(format!("{INSTALLED}/node/node_modules/oracledb"));
    node.env("NODE_EXTRA_CA_CERTS", format!("{}/ca.pem", support::TLS));
    expect_checks("node", node);
}

fn profile(profile: Profile) -> Settings {
    Settings { profile, ..Settings::default() }
}

#[test]
fn both_drivers_work_with_23ai() {
    check(profile(Profile::Oracle23ai), None, None);
}

#[test]
fn both_drivers_work_with_19c() {
    check(profile(Profile::Oracle19c), None, None);
}

#[test]
fn both_drivers_work_with_12_1() {
    check(profile(Profile::Oracle12_1), None, None);
}

#[test]
fn both_drivers_work_with_the_verifier_of_11g() {
    check(Settings { verifier: Verifier::V11g, ..profile(Profile::Oracle19c) }, None, None);
}

#[test]
fn both_drivers_work_with_small_packets_and_a_listener_that_wants_to_be_asked_again() {
    check(Settings { sdu: 512, resends: 1, ..profile(Profile::Oracle19c) }, None, Some(512));
    check(Settings { sdu: 512, resends: 2, ..profile(Profile::Oracle23ai) }, None, None);
}

#[test]
fn both_drivers_work_with_tls() {
    let wallet = wallet();
    for release in [Profile::Oracle19c, Profile::Oracle23ai] {
        let settings = Settings { certificate: Some(support::certificate()), ..profile(release) };
        check(settings, Some(wallet.path()), None);
    }
}

/// A folder with the certificate that vouches for the server's.
fn wallet() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(PathBuf::from(support::TLS).join("ca.pem"), folder.path().join("ewallet.pem")).unwrap();
    folder
}

/// What both drivers say of a server that they do not work with.
fn refusal(server: &Server, python: &str, node: &str) {
    let at = format!("127.0.0.1:{}/FREEPDB1", server.port());
    let script = format!("import oracledb; oracledb.connect(user={USER:?}, password={PASSWORD:?}, dsn={at:?})");
    let out = Command::new("python3").args(["-c", &script]).env("PYTHONPATH", format!("{INSTALLED}/python")).output();
    let said = String::from_utf8(out.unwrap().stderr).unwrap();
    assert!(said.contains(python), "{said}");
    let script = format!(
        "require({:?}).getConnection({{user: {USER:?}, password: {PASSWORD:?}, connectString: {at:?}}})",
        format!("{INSTALLED}/node/node_modules/oracledb")
    );
    let said = String::from_utf8(Command::new("node").args(["-e", &script]).output().unwrap().stderr).unwrap();
    assert!(said.contains(node), "{said}");
}

#[test]
fn an_11_2_server_is_refused() {
    if are_installed() {
        let (server, _) = support::server(profile(Profile::Oracle11_2));
        refusal(&server, "DPY-3010", "NJS-138");
    }
}
