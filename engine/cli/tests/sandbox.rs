//! What a restricted process can still do, and what not: a child restricts itself and tries.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use engine::sandbox::{Grants, Held, offered, restrict};

/// Tells a child of a test the folder in which it tries.
const SITE: &str = "ENGINE_TEST_SANDBOX_SITE";
/// What the child says when it has restricted itself.
const RESTRICTED: &str = "restricted";

/// Runs a test of this file once more in a process of its own, which restricts itself and tries; what is done meanwhile
/// is done by this process, after the other is restricted and before it goes on.
fn in_a_child(name: &str, attempts: fn(&Path), meanwhile: fn(&Path)) {
    if let Some(site) = std::env::var_os(SITE) {
        return attempts(Path::new(&site));
    }
    if let Err(why) = offered() {
        let _ = writeln!(io::stderr(), "skipped: a process cannot be restricted here: {why}");
        return;
    }
    let site = site();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads", "1"])
        .env(SITE, site.path().canonicalize().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains(RESTRICTED) {
        assert!(out.read_line(&mut said).unwrap() > 0, "{said}");
    }
    meanwhile(site.path());
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    out.read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success() && said.contains("1 passed"), "{said}");
}

/// Folders as on a device, and one that is nobody's business.
fn site() -> tempfile::TempDir {
    let site = tempfile::tempdir().unwrap();
    for (file, content) in [
        ("specs/acme.yaml", "version: 1"),
        ("secrets/token", "old"),
        ("certificates/real/ca.pem", "old"),
        ("state/state.db", "state"),
        ("private/id_ed25519", "key"),
    ] {
        let path = site.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    site
}

fn confine(site: &Path) {
    let paths = |names: &[&str]| names.iter().map(|name| site.join(name)).collect();
    let grants = Grants {
        read: paths(&["specs", "secrets", "certificates", "missing"]),
        write: paths(&["state"]),
        ..Grants::default()
    };
    let held = restrict(&grants);
    assert!(matches!(held, Held::Whole | Held::Part), "{held:?}");
    let _ = writeln!(io::stdout(), "\n{RESTRICTED}");
    io::stdin().read_line(&mut String::new()).unwrap();
}

#[track_caller]
fn refused<T>(what: &str, outcome: io::Result<T>) {
    let kind = outcome.err().map(|error| error.kind());
    let is_refused = matches!(kind, Some(io::ErrorKind::PermissionDenied | io::ErrorKind::CrossesDevices));
    assert!(is_refused, "{what}: {kind:?}");
}

fn touch(path: PathBuf) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[test]
fn nothing_else_is_read_written_or_started() {
    let attempts = |site: &Path| {
        // What the process could do before, it can do no more.
        fs::read(site.join("private/id_ed25519")).unwrap();
        assert!(Command::new("/bin/true").status().unwrap().success());
        confine(site);
        let private = site.join("private/id_ed25519");
        refused("reading", fs::read(&private));
        refused("listing", fs::read_dir(site.join("private")));
        refused("listing everything", fs::read_dir("/"));
        refused("writing", OpenOptions::new().write(true).open(&private));
        refused("emptying", OpenOptions::new().write(true).truncate(true).open(&private));
        refused("removing", fs::remove_file(&private));
        refused("making", touch(site.join("private/new")));
        refused("making a folder", fs::create_dir(site.join("private/new")));
        refused("making in the folder of all", touch(std::env::temp_dir().join("engine-sandbox-new")));
        refused("moving in", fs::rename(&private, site.join("state/key")));
        refused("linking in", fs::hard_link(&private, site.join("state/key")));
        refused("moving out", fs::rename(site.join("state/state.db"), site.join("private/state.db")));
        refused("reading the memory of others", fs::read("/proc/1/maps"));
        // What may be read may not be changed.
        for file in ["specs/acme.yaml", "secrets/token", "certificates/real/ca.pem"] {
            refused(file, OpenOptions::new().append(true).open(site.join(file)));
            refused(file, fs::remove_file(site.join(file)));
        }
        refused("a new spec", touch(site.join("specs/new.yaml")));
        refused("a change of the system", OpenOptions::new().append(true).open("/etc/hosts"));
        // A link leads nowhere that its target does not.
        refused("making a link", symlink(&private, site.join("state/link")));
        for program in ["/bin/true", "/bin/sh"] {
            refused(program, Command::new(program).status());
        }
        let copy = site.join("state/program");
        fs::write(&copy, "#!/bin/sh\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(&copy, mode).unwrap();
        refused("a program of one's own", Command::new(&copy).status());
        let in_a_thread = std::thread::spawn(move || fs::read(private));
        refused("reading in a thread", in_a_thread.join().unwrap());
    };
    in_a_child("nothing_else_is_read_written_or_started", attempts, |_| {});
}

#[test]
fn what_a_run_needs_stays_open() {
    let attempts = |site: &Path| {
        confine(site);
        // The state is made, written, moved into place and removed.
        let fresh = site.join("state/locks");
        fs::create_dir(&fresh).unwrap();
        fs::write(fresh.join("acme.lock"), "1").unwrap();
        fs::write(site.join("state/state.db.new"), "newer").unwrap();
        fs::rename(site.join("state/state.db.new"), site.join("state/state.db")).unwrap();
        File::open(site.join("state")).unwrap().sync_all().unwrap();
        fs::remove_file(site.join("state/state.db")).unwrap();
        for file in ["specs/acme.yaml", "secrets/token", "certificates/real/ca.pem"] {
            fs::read(site.join(file)).unwrap();
        }
        assert_eq!(fs::read_dir(site.join("specs")).unwrap().count(), 1);
        // What every program reads.
        fs::read("/etc/passwd").unwrap();
        fs::read("/proc/self/status").unwrap();
        fs::read_dir("/usr/lib").unwrap();
        OpenOptions::new().write(true).open("/dev/null").unwrap().write_all(b"x").unwrap();
        assert_eq!(File::open("/dev/urandom").and_then(|mut file| file.read(&mut [0; 8])).unwrap(), 8);
        assert!(jiff::tz::TimeZone::get("Europe/Berlin").is_ok());
        assert!(("localhost", 1).to_socket_addrs().unwrap().count() > 0);
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    };
    in_a_child("what_a_run_needs_stays_open", attempts, |_| {});
}

/// A new file under an old name is another file, which only a folder's rule covers.
#[test]
fn what_is_replaced_is_read() {
    let attempts = |site: &Path| {
        confine(site);
        for file in ["secrets/token", "certificates/ca.pem", "specs/new.yaml"] {
            assert_eq!(fs::read_to_string(site.join(file)).unwrap(), "new", "{file}");
        }
    };
    in_a_child("what_is_replaced_is_read", attempts, |site| {
        for (file, name) in [("secrets", "token"), ("certificates/real", "ca.pem"), ("specs", "new.yaml")] {
            let fresh = site.join(file).join("fresh");
            fs::write(&fresh, "new").unwrap();
            fs::rename(fresh, site.join(file).join(name)).unwrap();
        }
        symlink("real/ca.pem", site.join("certificates/ca.pem")).unwrap();
    });
}
