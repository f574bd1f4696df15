//! `engine self-check`: what is looked at, what is in the way of a run, and that nothing comes of looking.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::PermissionsExt as _;

use engine_tests::binary::Workspace;
use engine_tests::plant::{self, NOW, Plant};
use engine_tests::platform::Platform;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::site;

/// What was found about one thing: the result, what was found, and what to do.
fn found(outcome: &Value, about: &str) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = outcome["findings"].as_array().expect("findings").iter().filter(|finding| finding["about"] == about);
    findings.map(|finding| (text(&finding["result"]), text(&finding["found"]), text(&finding["action"]))).collect()
}

/// Checks once, and finds one thing about something.
#[track_caller]
fn check(workspace: &Workspace, code: i32, about: &str, result: &str, part: &str) {
    let outcome = workspace.engine(&["self-check", "-o", "json", "acme.yaml"]).expect(code).json();
    assert_eq!(outcome["ok"], code == 0, "{outcome}");
    let found = found(&outcome, about);
    let is_it = |(found, said, action): &(String, String, String)| {
        found == result && said.contains(part) && (result == "ok" || !action.is_empty())
    };
    assert!(found.iter().any(is_it), "{about}: no `{result}` with `{part}` in {found:#?}");
}

/// A workspace whose spec delivers to a platform with a token in a file.
fn site_with(platform: &Platform) -> Workspace {
    let (workspace, _, _) = site();
    let mut destination = plant::to_url(&platform.url());
    destination["auth"] = json!({ "bearer": { "file": "token" } });
    workspace.spec("acme.yaml", &plant::orders("acme", &destination));
    let token = workspace.write("token", "s3cret\n");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).expect("a mode can be set");
    platform.require_header("Authorization", "Bearer s3cret");
    workspace
}

/// All files of a workspace, with a digest of their contents; but for those that SQLite keeps beside the source for its
/// readers.
fn files(workspace: &Workspace) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut folders = vec![workspace.path(".")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("mes.db-wal") && !path.ends_with("mes.db-shm") {
                let mut digest = DefaultHasher::new();
                std::fs::read(&path).expect("a file").hash(&mut digest);
                found.push((path.display().to_string(), digest.finish()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn everything_is_looked_at_and_nothing_comes_of_it() {
    let platform = Platform::start();
    let workspace = site_with(&platform);
    let before = files(&workspace);
    let text = workspace.engine(&["self-check", "acme.yaml"]).expect(0).stdout;
    for part in [
        "ok       version      ",
        "ok       config       there is no engine.yaml here",
        "ok       specs        acme.yaml is valid: pipeline acme",
        "ok       references   acme.yaml: 1 reference, all with a value",
        "warning  state        there is none at .engine/state.db yet",
        "space  ",
        "ok       clock        it is ",
        "ok       systemd      it did not start this process",
        "warning  destination  127.0.0.1:",
        "ok       source       acme: SQLite 3.",
        " failed\n",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    assert_eq!(files(&workspace), before, "nothing is made");
    assert_eq!((platform.greetings(), platform.requests().len()), (1, 0), "nothing is delivered");

    workspace.engine(&["run", "--once", "--now", NOW, "acme.yaml"]).expect(0);
    let before = files(&workspace);
    check(&workspace, 0, "state", "ok", "is whole, this account's, and of version 6");
    assert_eq!(files(&workspace), before, "the state is as it was");
    platform.assert_contract();
}

#[test]
fn a_destination_answers_and_takes_the_login() {
    let platform = Platform::start();
    let workspace = site_with(&platform);
    check(&workspace, 0, "destination", "warning", "answered 405");
    platform.greet_with(200, Some("Thu, 01 Jan 1970 00:00:00 GMT"));
    check(&workspace, 0, "destination", "ok", "takes the login");
    check(&workspace, 0, "clock", "warning", "behind this machine's");
    platform.greet_with(503, None);
    check(&workspace, 3, "destination", "failed", "503");
    platform.greet_with(200, None).require_header("Authorization", "Bearer other");
    check(&workspace, 3, "destination", "failed", "401");
    let shown = workspace.engine(&["self-check", "acme.yaml"]).expect(3).stdout;
    assert!(!shown.contains("s3cret"), "{shown}");

    platform.require_header("Accept", "*/*").require_oauth(false, None);
    let mut destination = plant::to_url(&platform.url());
    let secret = json!({ "file": "token" });
    destination["auth"] =
        json!({ "oauth2": { "token_url": platform.token_url(), "client_id": "engine", "client_secret": secret } });
    workspace.spec("acme.yaml", &plant::orders("acme", &destination));
    platform.greet_with(405, None);
    check(&workspace, 0, "destination", "ok", "a token was given out for the login");
    assert!(platform.requests().is_empty(), "nothing is delivered");
}

#[test]
fn offline_connects_to_nothing() {
    let platform = Platform::start();
    let workspace = site_with(&platform);
    std::fs::remove_file(workspace.path("mes.db")).expect("it goes");
    let outcome = workspace.engine(&["self-check", "--offline", "-o", "json", "acme.yaml"]).expect(0).json();
    assert_eq!((found(&outcome, "source").len(), found(&outcome, "destination").len()), (0, 0), "{outcome}");
    assert_eq!(platform.greetings(), 0);
    check(&workspace, 3, "source", "failed", "mes.db");
}

#[test]
fn what_is_wrong_is_told_at_once_and_the_worst_counts() {
    let (workspace, _, mut spec) = site();
    spec["source"]["path"] = "nowhere.db".into();
    spec["destination"] =
        json!({ "type": "http", "url": "http://127.0.0.1:9/", "headers": { "X-Key": { "env": "ENGINE_TEST_UNSET" } } });
    workspace.spec("acme.yaml", &spec);
    workspace.spec("wrong.yaml", &json!({ "version": 1, "id": "wrong" }));
    workspace.write("engine.yaml", "version: 1\nspecs: ['*.yaml']\n");
    let outcome = workspace.engine(&["self-check", "-o", "json"]).expect(3).says("wrong.yaml");
    let findings = outcome.json();
    let level = |about: &str| found(&findings, about).into_iter().map(|(level, ..)| level).collect::<Vec<_>>();
    assert_eq!(level("config"), ["ok"]);
    assert_eq!(level("specs"), ["failed", "ok"]);
    assert_eq!(level("references"), ["failed"]);
    assert!(found(&findings, "references")[0].1.contains("ENGINE_TEST_UNSET"), "{findings}");

    std::fs::remove_file(workspace.path("acme.yaml")).expect("it goes");
    workspace.engine(&["self-check"]).expect(2).says("wrong.yaml");
    workspace.write("engine.yaml", "version: 1\nlimit: {}\n");
    workspace.engine(&["self-check"]).expect(2).says("config").says("engine.yaml:2:1");
}

#[test]
fn a_secret_that_all_can_read_is_said() {
    let platform = Platform::start();
    let workspace = site_with(&platform);
    std::fs::set_permissions(workspace.path("token"), std::fs::Permissions::from_mode(0o644))
        .expect("a mode can be set");
    check(&workspace, 0, "references", "warning", "destination.auth.bearer");
    std::fs::remove_file(workspace.path("token")).expect("it goes");
    check(&workspace, 3, "references", "failed", "token cannot be read");
}

#[test]
fn a_state_that_cannot_be_used_is_said_and_left_alone() {
    let (workspace, ..) = site();
    let run = || workspace.engine(&["run", "--once", "--now", NOW, "acme.yaml"]).expect(0);
    run();
    let folder = workspace.path(".engine");
    let mode = |mode: u32| std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).expect("is set");
    mode(0o777);
    check(&workspace, 3, "state", "failed", "other accounts can write");
    mode(0o700);
    check(&workspace, 0, "state", "ok", "version 6");

    let state = workspace.path(".engine/state.db");
    let whole = std::fs::read(&state).expect("reads");
    let set = |version: i32| {
        let connection = Connection::open(&state).expect("opens");
        connection.pragma_update(None, "user_version", version).expect("writes");
    };
    set(99);
    let before = files(&workspace);
    check(&workspace, 3, "state", "failed", "a newer engine wrote it");
    set(1);
    check(&workspace, 0, "state", "warning", "this engine makes it version 6");
    std::fs::write(&state, &whole[..whole.len() / 2]).expect("writes");
    let before_damage = files(&workspace);
    check(&workspace, 3, "state", "failed", "malformed");
    assert_eq!(files(&workspace), before_damage, "nothing was mended");
    assert_eq!(before.len(), before_damage.len(), "nothing lies beside it");
}

/// A service that has the state open writes meanwhile, and leaves its log when it dies.
#[test]
fn a_state_in_use_is_looked_at() {
    let (workspace, ..) = site();
    workspace.engine(&["run", "--once", "--now", NOW, "acme.yaml"]).expect(0);
    let mut service = workspace.start(&["run", "acme.yaml"]);
    service.event("run_finished", "acme");
    check(&workspace, 0, "state", "ok", "is whole");
    assert!(service.kill());
    check(&workspace, 0, "state", "ok", "is whole");
    Plant::new_writer(&workspace.path("mes.db")).orders(11..13);
    workspace.engine(&["run", "--once", "--now", NOW, "acme.yaml"]).expect(0);
}
