//! The unit of systemd: well-formed, as strict as it claims to be, and a service works under it.
//!
//! No systemd runs here. Its own tools judge the unit, and a script restricts a process as the unit would.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use engine_tests::binary::{Workspace, engine, root};
use engine_tests::plant::{self, NOW, Plant};
use engine_tests::platform::Platform;
use serde_json::json;

/// Ten times the exposure that `systemd-analyze security` may find: 10 for the worst, 0 for a service that can do
/// nothing. What is left is the network, which the service is for.
const EXPOSURE_MAX: &str = "13";

fn deployed(name: &str) -> PathBuf {
    root().join("deploy/systemd").join(name)
}

/// Runs a tool of systemd; `None`, said on standard error, where it is not installed.
fn tool(name: &str, args: &[&str]) -> Option<Output> {
    match Command::new(name).args(args).output() {
        Ok(output) => Some(output),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "skipped: {name} of the package systemd is not here: {error}");
            None
        }
    }
}

#[track_caller]
fn good(output: &Output) -> String {
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    said
}

/// The unit as it is, but for the place of the program, in a folder.
fn unit_in(folder: &Path, change: impl FnOnce(String) -> String) -> String {
    let unit = std::fs::read_to_string(deployed("engine.service")).unwrap();
    assert!(unit.contains("/usr/local/bin/engine "), "{unit}");
    let unit = change(unit.replace("/usr/local/bin/engine ", &format!("{} ", engine().display())));
    let path = folder.join("engine.service");
    std::fs::write(&path, unit).unwrap();
    path.display().to_string()
}

#[test]
fn the_unit_is_well_formed_and_strict() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit_in(folder.path(), |unit| unit);
    let Some(verified) = tool("systemd-analyze", &["verify", "--man=no", &unit]) else { return };
    // It succeeds too where it ignores what it does not know.
    let said = good(&verified);
    assert!(!said.contains("engine.service"), "{said}");
    let strict = |unit: &str| {
        let threshold = format!("--threshold={EXPOSURE_MAX}");
        tool("systemd-analyze", &["security", "--offline=true", &threshold, unit]).unwrap()
    };
    good(&strict(&unit));
    for setting in ["SystemCallFilter=", "CapabilityBoundingSet=", "RestrictNamespaces="] {
        let without = unit_in(folder.path(), |unit| {
            unit.lines().filter(|line| !line.starts_with(setting)).map(|line| format!("{line}\n")).collect()
        });
        assert!(!strict(&without).status.success(), "a unit without {setting} counts as strict");
    }
}

#[test]
fn the_account_and_the_folders_are_made() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("etc")).unwrap();
    let at = format!("--root={}", folder.path().display());
    let accounts = deployed("engine.sysusers").display().to_string();
    let Some(made) = tool("systemd-sysusers", &[&at, &accounts]) else { return };
    good(&made);
    let accounts = std::fs::read_to_string(folder.path().join("etc/passwd")).unwrap();
    let account = accounts.lines().find(|line| line.starts_with("engine:")).unwrap();
    assert!(account.ends_with(":/var/lib/engine:/usr/sbin/nologin"), "{account}");
    // Only root can give a folder to the group.
    if std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0) {
        let folders = deployed("engine.tmpfiles").display().to_string();
        good(&tool("systemd-tmpfiles", &[&at, "--create", &folders]).unwrap());
        let mode = |name: &str| {
            let made = std::fs::metadata(folder.path().join(name)).unwrap();
            std::os::unix::fs::MetadataExt::mode(&made) & 0o777
        };
        assert_eq!((mode("etc/engine"), mode("etc/engine/secrets")), (0o750, 0o700));
    }
}

/// What the unit asks before each start names what is wrong, and what `engine run` does then is up to it: it leaves out
/// the spec that is broken, and refuses to start where nothing is left.
#[test]
fn what_is_wrong_is_said_before_a_start_and_keeps_the_others_from_nothing() {
    let unit = std::fs::read_to_string(deployed("engine.service")).unwrap();
    let setting = |name: &str| unit.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    let before = setting("ExecStartPre=");
    // The sign in front: whatever becomes of it, the service is started.
    let before = before.strip_prefix("-/usr/local/bin/engine ").unwrap();
    assert_eq!(setting("Type="), "notify");
    assert_eq!(setting("RestartPreventExitStatus="), "2");
    let workspace = Workspace::new();
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    workspace.write("engine.yaml", "version: 1\n");
    let mut spec = plant::orders("acme", &plant::to_file("runs.ndjson"));
    spec["source"]["path"] = json!("../mes.db");
    workspace.spec("specs/acme.yaml", &spec);
    workspace.write("specs/broken.yaml", "version: 1\nid: broken\n");
    let words: Vec<&str> = before.split(' ').collect();
    workspace.engine(&words).expect(2).says("broken.yaml");
    let run = ["run", "--once", "--now", NOW, "--config", "engine.yaml"];
    let outcome = workspace.engine(&run).expect(2);
    assert_eq!(outcome.events("run_finished").len(), 1, "{outcome}");
    workspace.write("specs/acme.yaml", "version: 1\nid: acme\n");
    assert_eq!(workspace.engine(&run).expect(2).events("run_finished").len(), 0);
    workspace.spec("specs/acme.yaml", &spec);
    workspace.write("engine.yaml", "version: one\n");
    workspace.engine(&words).expect(2).says("engine.yaml");
    assert_eq!(workspace.engine(&run).expect(2).events("run_finished").len(), 0);
}

/// The arguments that run a program as the unit would.
fn confined<'a>(script: &'a str, unit: &'a str, program: &[&'a str]) -> Vec<&'a str> {
    [&[script, unit], program].concat()
}

#[test]
fn a_service_under_the_unit_works_and_can_do_nothing_else() {
    let script = root().join("tests/systemd/confine.py").display().to_string();
    let attempts = root().join("tests/systemd/attempts.py").display().to_string();
    let python = Path::new("python3");
    let (workspace, platform) = (Workspace::new(), Platform::start());
    let unit = deployed("engine.service").display().to_string();
    if tool("systemd-analyze", &["--version"]).is_none() {
        return;
    }
    // The attempts can succeed at all.
    let free = workspace.run(python, &[&attempts]).expect(0);
    assert!(free.stdout.contains("a netlink socket"), "{free}");
    let interpreter =
        good(&Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap());
    let confined_attempts = confined(&script, &unit, &[interpreter.trim(), &attempts]);
    let held = workspace.run(python, &confined_attempts).expect(0);
    assert_eq!(held.stdout.trim(), "", "{held}");

    Plant::new(&workspace.path("mes.db")).orders(1..11);
    workspace.write("secrets/token", "s3cret\n");
    platform.require_header("Authorization", "Bearer s3cret");
    // By its name: names are looked up without netlink too.
    let mut destination = plant::to_url(&platform.url().replace("127.0.0.1", "localhost"));
    destination["auth"] = json!({ "bearer": { "file": "secrets/token" } });
    workspace.spec("acme.yaml", &plant::orders("acme", &destination));
    let program = engine().display().to_string();
    let args = confined(&script, &unit, &[&program, "run", "--once", "-v", "--now", NOW, "acme.yaml"]);
    let run = workspace.run(python, &args).expect(0).says("10 records delivered");
    assert_eq!(platform.state().len(), 10);
    // What the engine gives up by itself, it can give up here too.
    let free = workspace.engine(&["run", "--once", "-v", "--now", NOW, "acme.yaml"]).expect(0);
    assert_eq!(run.events("restricted").len(), free.events("restricted").len(), "{run}");
}
