//! The package: the same bytes twice, what it holds, and that what is installed works and keeps the state.
//!
//! Nothing is installed on this machine: the package is unpacked into a folder, and its program runs from there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use engine_tests::binary::{Workspace, engine, root};
use engine_tests::plant::{self, NOW, Plant};
use engine_tests::platform::Platform;
use engine_tests::program;
use serde_json::{Value, json};

/// 2026-01-01T00:00:00Z.
const EPOCH: &str = "1767225600";

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn good(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// A package and its tarball.
struct Built {
    folder: PathBuf,
    package: PathBuf,
    tarball: PathBuf,
}

/// Packs a program, under a mask for the modes of what is made.
fn build(program: &Path, folder: &Path, mask: &str) -> Built {
    let mut command = Command::new("sh");
    command.args(["-c", "umask \"$0\" && exec \"$@\"", mask]).arg(root().join("deploy/package/build"));
    command.arg(program).arg(folder).env("SOURCE_DATE_EPOCH", EPOCH).env("COMPRESSION", "gzip");
    let told = good(&mut command);
    let paths: Vec<PathBuf> = told.lines().take(2).map(PathBuf::from).collect();
    assert!(told.contains("\nneeds glibc 2."), "{told}");
    Built { folder: folder.to_owned(), package: paths[0].clone(), tarball: paths[1].clone() }
}

/// The program of the tests without its symbols, and the package of it: made once, and unpacked.
fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        // Below the target folder: what lies in a static is never dropped.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("package");
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        let program = folder.join("engine");
        good(Command::new("strip").arg("-o").arg(&program).arg(engine()));
        let built = build(&program, &folder, "022");
        good(Command::new("dpkg-deb").arg("--extract").arg(&built.package).arg(folder.join("root")));
        built
    })
}

/// A file of the package, unpacked.
fn installed(path: &str) -> PathBuf {
    built().folder.join("root").join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(installed(path)).unwrap()
}

/// Mode, owner and path of every entry of the package.
fn contents() -> Vec<(String, String, String)> {
    let list = good(Command::new("dpkg-deb").arg("--contents").arg(&built().package));
    let entry = |line: &str| {
        let parts: Vec<&str> = line.split_whitespace().collect();
        (parts[0].to_owned(), parts[1].to_owned(), parts[5].to_owned())
    };
    list.lines().map(entry).collect()
}

#[test]
fn the_same_program_gives_the_same_bytes() {
    let first = built();
    let folder = tempfile::tempdir().unwrap();
    let again = build(&first.folder.join("engine"), folder.path(), "077");
    for (one, other) in [(&first.package, &again.package), (&first.tarball, &again.tarball)] {
        assert_eq!(one.file_name(), other.file_name());
        assert!(fs::read(one).unwrap() == fs::read(other).unwrap(), "{one:?} differs");
    }
}

/// What a device must have is read from the program: its symbols, as the linker of Debian names them.
#[test]
fn it_asks_for_the_glibc_that_its_program_needs() {
    let program = built().folder.join("engine");
    let symbols = good(Command::new("objdump").arg("--dynamic-syms").arg(&program));
    let version = |text: &str| -> Option<(u32, u32)> {
        let (major, minor) = text.split_once('.')?;
        Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
    };
    let named = symbols.split("GLIBC_").skip(1).filter_map(|rest| version(rest.split(')').next()?));
    let needed = named.max().unwrap();
    let facts = good(Command::new("dpkg-deb").arg("--field").arg(&built().package).arg("Depends"));
    assert!(facts.contains(&format!("libc6 (>= {}.{})", needed.0, needed.1)), "{needed:?}: {facts}");
    // Debian 12, which the documents name, has 2.36.
    assert!(needed <= (2, 36), "{needed:?}");

    let folder = tempfile::tempdir().unwrap();
    let mut older = Command::new(root().join("deploy/package/build"));
    let older =
        older.arg(&program).arg(folder.path()).env("GLIBC_MAX", "2.4").env("COMPRESSION", "gzip").output().unwrap();
    assert!(!older.status.success());
    let told = said(&older);
    assert!(
        told.contains(&format!("needs glibc {}.{}, and the package is to be for 2.4", needed.0, needed.1)),
        "{told}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn it_holds_what_a_service_needs_and_nothing_to_configure() {
    let entries = contents();
    for (mode, owner, path) in &entries {
        let expected = if path.ends_with('/') || path == "./usr/bin/engine" { "rwxr-xr-x" } else { "rw-r--r--" };
        assert_eq!((&mode[1..], owner.as_str()), (expected, "root/root"), "{path}");
        assert!(path == "./" || path.starts_with("./usr/"), "{path}");
    }
    let paths: BTreeSet<&str> = entries.iter().map(|(.., path)| path.as_str()).collect();
    for path in [
        "bin/engine",
        "lib/systemd/system/engine.service",
        "lib/sysusers.d/engine.conf",
        "lib/tmpfiles.d/engine.conf",
        "share/bash-completion/completions/engine",
        "share/zsh/vendor-completions/_engine",
        "share/fish/vendor_completions.d/engine.fish",
        "share/man/man1/engine.1.gz",
        "share/man/man1/engine-self-check.1.gz",
        "share/doc/engine/copyright",
        "share/doc/engine/changelog.gz",
        "share/doc/engine/examples/engine.yaml",
    ] {
        assert!(paths.contains(format!("./usr/{path}").as_str()), "{path} is not in {paths:#?}");
    }
    let list = good(Command::new("tar").arg("--list").arg("--file").arg(&built().tarball));
    let packed: BTreeSet<String> =
        list.lines().filter_map(|path| path.split_once('/')).map(|(_, path)| format!("./{path}")).collect();
    assert_eq!(packed, paths.iter().map(|path| (*path).to_owned()).collect(), "the tarball has the same files");

    let facts = good(Command::new("dpkg-deb").arg("--field").arg(&built().package));
    assert!(facts.contains(concat!("Version: ", env!("CARGO_PKG_VERSION"), "\n")), "{facts}");
    assert!(facts.contains("Depends: libc6 (>= 2."), "{facts}");
    assert_eq!(facts.matches('@').count(), 1, "but for the maintainer's address, every place is filled in: {facts}");
}

#[test]
fn its_unit_is_that_of_the_checkout_but_for_the_place_of_the_program() {
    let source = fs::read_to_string(root().join("deploy/systemd/engine.service")).unwrap();
    assert_eq!(
        text("usr/lib/systemd/system/engine.service"),
        source.replace("/usr/local/bin/engine ", "/usr/bin/engine ")
    );
    for name in ["sysusers", "tmpfiles"] {
        let source = fs::read_to_string(root().join(format!("deploy/systemd/engine.{name}"))).unwrap();
        assert_eq!(text(&format!("usr/lib/{name}.d/engine.conf")), source);
    }
}

/// Runs a script of the package with tools that only note how they are called.
fn script(name: &str, args: &[&str]) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    good(Command::new("dpkg-deb").arg("--control").arg(&built().package).arg(folder.path()));
    let tools = folder.path().join("tools");
    fs::create_dir(&tools).unwrap();
    let notes = folder.path().join("notes");
    for tool in ["systemd-sysusers", "systemd-tmpfiles", "systemctl", "deb-systemd-invoke", "rm"] {
        program::write(&tools.join(tool), &format!("#!/bin/sh\necho {tool} \"$@\" >> {}\n", notes.display()));
    }
    // As if systemd ran here.
    let text = fs::read_to_string(folder.path().join(name)).unwrap().replace("/run/systemd/system", "/");
    let output = Command::new("/bin/sh").arg("-c").arg(text).arg(name).args(args).env("PATH", &tools).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    (fs::read_to_string(notes).unwrap_or_default(), said(&output))
}

#[test]
fn its_scripts_do_no_more_than_they_say() {
    let made =
        "systemd-sysusers engine.conf\nsystemd-tmpfiles --create engine.conf\nsystemctl --system daemon-reload\n";
    assert_eq!(script("postinst", &["configure", ""]).0, made, "an install starts nothing");
    let upgraded = format!("{made}deb-systemd-invoke try-restart engine.service\n");
    assert_eq!(script("postinst", &["configure", "0.0.9"]).0, upgraded, "an upgrade starts again what runs");
    assert_eq!(script("prerm", &["upgrade", "0.2.0"]).0, "");
    assert_eq!(script("prerm", &["remove"]).0, "deb-systemd-invoke stop engine.service\n");
    assert_eq!(script("postrm", &["remove"]), ("systemctl --system daemon-reload\n".to_owned(), String::new()));
    let (done, told) = script("postrm", &["purge"]);
    let link = "rm -f /etc/systemd/system/multi-user.target.wants/engine.service\n";
    assert_eq!(done, format!("systemctl --system daemon-reload\n{link}"), "a purge takes nothing else");
    assert!(told.contains("/var/lib/engine (the state)"), "{told}");
}

#[test]
fn what_is_installed_runs() {
    let program = installed("usr/bin/engine");
    let workspace = Workspace::new();
    workspace.run(&program, &["--version"]).expect(0).says(concat!("engine ", env!("CARGO_PKG_VERSION")));
    let examples = installed("usr/share/doc/engine/examples").display().to_string();
    workspace.run(&program, &["validate-spec", "--strict", &examples]).expect(0);
    let config = format!("{examples}/engine.yaml");
    let looked = workspace.run(&program, &["self-check", "--offline", "--config", &config]).expect(3);
    for part in ["engine.yaml is valid", "acme-orders.yaml is valid", "LoadCredential=enlyze-token"] {
        assert!(looked.stdout.contains(part), "`{part}` is not in\n{}", looked.stdout);
    }
}

#[test]
fn its_man_pages_are_read_without_a_warning() {
    let folder = installed("usr/share/man/man1");
    let mut pages: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    assert!(pages.len() > 20, "{pages:?}");
    for page in pages {
        let text = Command::new("gzip").arg("-dc").arg(&page).output().unwrap().stdout;
        assert!(text.starts_with(b".ie \\n(.g .ds Aq"), "{page:?} is no man page");
        // Its header says gzip's greatest level, and neither a name nor a time.
        let head = fs::read(&page).unwrap();
        assert_eq!((&head[3..8], head[8]), (&[0; 5][..], 2), "{page:?}");
    }
}

/// Stopped, replaced, started: as `dpkg` and the scripts do it.
#[test]
fn an_upgrade_loses_and_repeats_nothing() {
    let (workspace, platform) = (Workspace::new(), Platform::start());
    let plant = Plant::new(&workspace.path("mes.db"));
    plant.orders(1..11);
    let mut spec = plant::orders("acme", &plant::to_url(&platform.url()));
    spec["sync"] = json!({ "lookback": "36500d" });
    workspace.spec("acme.yaml", &spec);
    let program = workspace.path("bin/engine");
    let install = || {
        // As dpkg does: the new file is moved into the old one's place.
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        let new = program.with_extension("dpkg-new");
        program::copy(&installed("usr/bin/engine"), &new);
        fs::rename(&new, &program).unwrap();
    };
    install();
    let run = |args: &[&str]| workspace.start_program(&program, &[&["run"], args, &["acme.yaml"]].concat(), &[]);
    run(&["--once"]).finish().expect(0);
    assert_eq!(platform.records(), 10);

    // Something new is committed, and the service is stopped before or after it has delivered that.
    plant.orders(11..21);
    let mut service = run(&[]);
    service.event("run_finished", "acme");
    install();
    service.signal("TERM");
    service.finish().expect(0);
    run(&["--once"]).finish().expect(0);
    assert_eq!((platform.state().len(), platform.doubles()), (20, 0));
    workspace.run(&program, &["self-check", "acme.yaml"]).expect(0).says("is whole");
    platform.assert_contract();
}

/// A way back that is not one: the older program must not touch what it does not understand.
#[test]
fn a_downgrade_is_refused_in_words_and_changes_nothing() {
    let workspace = Workspace::new();
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    workspace.spec("acme.yaml", &plant::orders("acme", &plant::to_file("runs.ndjson")));
    let run = ["run", "--once", "--now", NOW, "acme.yaml"];
    workspace.engine(&run).expect(0);
    let state = workspace.path(".engine/state.db");
    let newer = rusqlite::Connection::open(&state).unwrap();
    newer.execute_batch("ALTER TABLE sheet ADD COLUMN colour TEXT; PRAGMA user_version = 99;").unwrap();
    newer.close().unwrap();

    let before = (fs::read(&state).unwrap(), workspace.read("runs.ndjson"));
    for args in [&run[..], &["status"], &["state", "list"], &["self-check", "acme.yaml"], &["approve", "acme"]] {
        let refused = workspace.engine(args).expect(3);
        let told = format!("{}{}", refused.stdout, refused.stderr);
        for part in ["a newer engine wrote it", "version 99", "install the newer engine again", "state.db.bak-v*"] {
            assert!(told.contains(part), "{args:?}: `{part}` is not in\n{told}");
        }
        assert!((fs::read(&state).unwrap(), workspace.read("runs.ndjson")) == before, "{args:?} changed something");
    }
}

#[test]
fn the_bill_of_materials_names_every_crate_of_the_program() {
    let bill = || good(Command::new(root().join("deploy/package/sbom")).env("SOURCE_DATE_EPOCH", EPOCH));
    let text = bill();
    assert_eq!(text, bill(), "the same twice");
    let bom: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&bom["bomFormat"], &bom["specVersion"], &bom["version"]),
        (&"CycloneDX".into(), &"1.5".into(), &1.into())
    );
    assert_eq!(bom["metadata"]["timestamp"], "2026-01-01T00:00:00Z");
    assert_eq!(
        (&bom["metadata"]["component"]["name"], &bom["metadata"]["component"]["type"]),
        (&"engine".into(), &"application".into())
    );

    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let mut named = BTreeSet::from([format!("engine v{}", env!("CARGO_PKG_VERSION"))]);
    for component in bom["components"].as_array().unwrap() {
        let of = |key: &str| component[key].as_str().unwrap_or_else(|| panic!("no {key}: {component}"));
        let (name, version) = (of("name"), of("version"));
        assert_eq!(
            (of("type"), of("purl"), of("bom-ref")),
            ("library", &*format!("pkg:cargo/{name}@{version}"), of("purl"))
        );
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
        match component["hashes"][0]["content"].as_str() {
            Some(sum) => assert!(lock.contains(&format!("checksum = \"{sum}\"")) && sum.len() == 64, "{component}"),
            None => assert!(name.starts_with("engine-"), "{component}"),
        }
        assert!(named.insert(format!("{name} v{version}")), "{name} {version} is there twice");
    }
    let mut tree = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    tree.args(["tree", "--locked", "--package", "engine", "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    let linked = good(tree.args(["--target", "x86_64-unknown-linux-gnu"]).current_dir(root()));
    let linked: BTreeSet<String> =
        linked.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(named, linked);

    let references: BTreeSet<&str> =
        bom["components"].as_array().unwrap().iter().map(|one| one["bom-ref"].as_str().unwrap()).collect();
    let dependencies = bom["dependencies"].as_array().unwrap();
    assert_eq!(dependencies.len(), references.len() + 1);
    for need in dependencies.iter().flat_map(|one| one["dependsOn"].as_array().unwrap()) {
        assert!(references.contains(need.as_str().unwrap()), "{need} is no component");
    }
}
