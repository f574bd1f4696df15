//! What the service has given up, and that it still does all that it has to.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use engine_tests::binary::{Workspace, engine};
use engine_tests::plant::{self, NOW, Plant};
use engine_tests::platform::Platform;
use serde_json::json;

use crate::service::every_second;

/// Whether the kernel lets the engine restrict itself; said, where it does not.
pub(crate) fn is_offered(workspace: &Workspace) -> bool {
    let check = workspace.engine(&["check", "-o", "json", "specs"]).json();
    let remarks = check[0]["remarks"].as_array().expect("remarks");
    let missing = remarks.iter().find(|remark| remark["about"] == "restriction");
    if let Some(remark) = missing {
        let _ = writeln!(std::io::stderr(), "skipped: {}", remark["message"]);
    }
    missing.is_none()
}

#[test]
fn a_restricted_service_reads_what_was_replaced_and_nothing_beside() {
    let (workspace, platform) = (Workspace::new(), Platform::start());
    let plant = Plant::new(&workspace.path("data/mes.db"));
    plant.orders(1..11);
    let token = workspace.write("secrets/token", "first\n");
    platform.require_header("Authorization", "Bearer first");
    let mut destination = plant::to_url(&platform.url());
    destination["auth"] = json!({ "bearer": { "file": "../secrets/token" } });
    let mut spec = every_second("acme", &destination);
    spec["source"]["path"] = "../data/mes.db".into();
    workspace.spec("specs/acme.yaml", &spec);
    if !is_offered(&workspace) {
        return;
    }
    let mut service = workspace.start(&["run", "-v", "specs"]);
    let restricted = service.event("restricted", "");
    let folder = workspace.path(".").canonicalize().expect("it is there").display().to_string();
    assert_eq!(restricted["read"], format!("{folder}/secrets {folder}/specs"), "{restricted}");
    assert_eq!(restricted["write"], format!("{folder}/.engine {folder}/data"), "{restricted}");
    service.event("delivered", "acme");
    assert_eq!(platform.state().len(), 10);

    // Another file under the old name: whoever cannot read it fails.
    std::fs::rename(workspace.write("secrets/token.new", "first\n"), &token).expect("one folder");
    plant.orders(11..21);
    assert_eq!(service.event("delivered", "acme")["records"], 10);

    // A name that leads to what is not the engine's.
    std::os::unix::fs::symlink(workspace.write("private/key", "first\n"), workspace.path("secrets/token.new"))
        .expect("a folder that can be written");
    std::fs::rename(workspace.path("secrets/token.new"), &token).expect("one folder");
    let failed = service.event("run_failed", "acme");
    assert!(failed["message"].as_str().is_some_and(|said| said.contains("Permission denied")), "{failed}");
}

#[test]
fn the_state_is_closed_to_others_whatever_the_umask() {
    let (workspace, platform) = (Workspace::new(), Platform::start());
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    workspace.spec("acme.yaml", &plant::orders("acme", &plant::to_url(&platform.url())));
    let program = engine().display().to_string();
    let open = ["-c", "umask 000; exec \"$@\"", "sh", &program, "run", "--once", "--now", NOW, "acme.yaml"];
    workspace.run(Path::new("/bin/sh"), &open).expect(0);
    let mut found = vec![workspace.path(".engine")];
    let mut files = 0;
    while let Some(path) = found.pop() {
        let metadata = std::fs::metadata(&path).expect("it was found");
        let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(metadata.permissions().mode() & 0o777, expected, "{}", path.display());
        files += usize::from(metadata.is_file());
        if metadata.is_dir() {
            found.extend(std::fs::read_dir(path).expect("a folder").flatten().map(|entry| entry.path()));
        }
    }
    assert!(files >= 3, "the state and its locks");
}
