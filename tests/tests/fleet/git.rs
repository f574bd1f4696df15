//! Specs out of a git repository.

use std::process::Command;

use engine_tests::plant;
use serde_json::json;

use crate::{Site, message, stop};

/// Runs a program in the workspace.
fn run(site: &Site, program: &str, arguments: &[&str]) {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(site.workspace.path("."))
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn commit(site: &Site, is_signed: bool) {
    run(site, "git", &["-C", "repository", "add", "--all"]);
    let key = format!("user.signingKey={}", site.workspace.path("signer").display());
    let settings = ["-c", "user.name=n", "-c", "user.email=fleet@example", "-c", "gpg.format=ssh", "-c", &key];
    let sign = if is_signed { "--gpg-sign" } else { "--no-gpg-sign" };
    let commit = ["commit", "--quiet", "--message", "m", sign];
    run(site, "git", &[&["-C", "repository"], &settings[..], &commit[..]].concat());
}

#[test]
fn signed_commits_are_taken_by_a_service_that_can_do_nothing_else() {
    let site = Site::new();
    run(&site, "git", &["init", "--quiet", "--initial-branch=main", "repository"]);
    run(&site, "ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "signer"]);
    let public = site.workspace.read("signer.pub");
    site.workspace.write("signers", format!("fleet@example {public}"));
    site.workspace.spec("repository/specs/acme.yaml", &site.spec("acme"));
    commit(&site, true);
    let remote = site.workspace.path("repository").canonicalize().expect("it is there");
    let from = format!("git+file://{}?ref=main&path=specs", remote.display());
    site.config(|config| {
        config["fleet"]["specs"] = json!({ "from": from, "allowed_signers": "signers", "every": "1s" });
    });
    let mut running = site.start();
    running.event("specs_taken", "");
    running.event("delivered", "acme");

    // By now the process has given up its rights, and git with it.
    let mut labelled = site.spec("acme");
    labelled["labels"] = json!({ "plant": "north" });
    site.workspace.spec("repository/specs/acme.yaml", &labelled);
    commit(&site, true);
    running.event("specs_taken", "");
    running.event("specs_trusted", "");

    site.workspace.spec("repository/specs/more.yaml", &plant::orders("more", &plant::to_file("more.ndjson")));
    commit(&site, false);
    assert!(message(&running.event("specs_not_taken", "")).contains("not signed by one of `allowed_signers`"));
    site.workspace.write("repository/specs/more.yaml", "version: 1\nid: more\n");
    commit(&site, true);
    let told = running.event("specs_not_taken", "");
    assert!(message(&told).contains("are not taken: more.yaml:1:1: "), "{told}");
    std::fs::remove_dir_all(site.workspace.path("repository/specs")).expect("removed");
    site.workspace.write("repository/specs/readme.md", "no spec");
    commit(&site, true);
    let told = running.event("specs_not_taken", "");
    assert!(message(&told).contains("are not taken: there is no spec"), "{told}");
    site.plant.orders(11..13);
    assert_eq!(running.event("delivered", "acme")["records"], 2);
    stop(running);
}
