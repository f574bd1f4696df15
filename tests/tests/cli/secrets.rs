//! A canary runs through everything as a secret; whatever comes out is searched for it.

use std::path::Path;

use engine_tests::binary::{Outcome, Workspace};
use engine_tests::plant::{self, NOW, Plant};
use engine_tests::platform::{Fault, Platform};
use serde_json::{Value, json};

const CANARY: &str = "canary-4e1c77";
/// `edge:canary-4e1c77` in Base64, without its end.
const CANARY_BASIC: &str = "ZWRnZTpjYW5hcnktNGUxYzc3";

/// Runs a spec that logs in with the canary, and looks for it in all that it says and leaves.
#[track_caller]
fn check(code: i32, part: &str, destination: &Value) {
    let mut workspace = Workspace::new();
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    workspace.env("SECRET", CANARY).env("BROKEN_SECRET", &format!("{CANARY}\nx"));
    workspace.spec("acme.yaml", &plant::orders("acme", destination));
    let run = workspace.engine(&["run", "--once", "-vv", "--now", NOW, "acme.yaml"]).expect(code).says(part);
    let mut said = vec![run];
    for args in [
        &["status"][..],
        &["status", "-o", "json"],
        &["preview", "-vv", "--now", NOW, "acme.yaml"],
        &["check", "-vv", "--now", NOW, "acme.yaml"],
        &["check", "-o", "json", "--now", NOW, "acme.yaml"],
        &["render", "acme.yaml"],
        &["validate-spec", "--env", "acme.yaml"],
        &["test", "acme.yaml"],
    ] {
        said.push(workspace.engine(args));
    }
    for outcome in &said {
        assert_clean(outcome);
    }
    let mut files = 0;
    search(&workspace.path("."), &mut files);
    assert!(files >= 3, "the spec, the source and the state");
}

#[track_caller]
fn assert_clean(outcome: &Outcome) {
    for secret in [CANARY, CANARY_BASIC] {
        assert!(!outcome.to_string().contains(secret), "{outcome}");
    }
}

#[track_caller]
fn search(folder: &Path, files: &mut usize) {
    for entry in std::fs::read_dir(folder).expect("the folder is readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            search(&path, files);
            continue;
        }
        *files += 1;
        let bytes = std::fs::read(&path).expect("the file is readable");
        for secret in [CANARY, CANARY_BASIC] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "a secret is in {}", path.display());
        }
    }
}

fn with(url: &str, key: &str, value: Value) -> Value {
    let mut destination = plant::to_url(url);
    destination[key] = value;
    destination
}

#[test]
fn it_is_not_shown_when_all_is_well() {
    let platform = Platform::start();
    platform.require_header("Authorization", &format!("Bearer {CANARY}"));
    check(0, "delivered", &with(&platform.url(), "auth", json!({ "bearer": { "env": "SECRET" } })));
    platform.require_header("X-Api-Key", CANARY);
    check(0, "delivered", &with(&platform.url(), "headers", json!({ "X-Api-Key": { "env": "SECRET" } })));
    platform.require_header("Authorization", &format!("Basic {CANARY_BASIC}"));
    let basic = json!({ "basic": { "username": "edge", "password": { "env": "SECRET" } } });
    check(0, "delivered", &with(&platform.url(), "auth", basic));
    assert_eq!(platform.state().len(), 10);
}

#[test]
fn it_is_not_shown_when_the_platform_echoes_it() {
    let platform = Platform::start();
    platform.require_header("Authorization", "something else");
    for auth in [
        json!({ "bearer": { "env": "SECRET" } }),
        json!({ "basic": { "username": "edge", "password": { "env": "SECRET" } } }),
    ] {
        check(3, "401", &with(&platform.url(), "auth", auth));
    }
    platform.require_header("X-Api-Key", "something else");
    check(3, "401", &with(&platform.url(), "headers", json!({ "X-Api-Key": { "env": "SECRET" } })));
    let header = json!({ "header": { "name": "X-Api-Key", "value": { "env": "SECRET" } } });
    check(3, "401", &with(&platform.url(), "auth", header));
}

#[test]
fn it_is_not_shown_when_other_answers_echo_it() {
    let auth = json!({ "bearer": { "env": "SECRET" } });
    for (status, code) in [(400, 0), (403, 3), (422, 0)] {
        let platform = Platform::start();
        let echo = json!({ "message": format!("not with Bearer {CANARY}") }).to_string();
        platform.script(vec![Fault::Answer(status, vec![("Content-Type", "application/json".to_owned())], echo); 30]);
        check(code, "acme", &with(&platform.url(), "auth", auth.clone()));
    }
    let platform = Platform::start();
    let headers = vec![("Retry-After", "3000".to_owned())];
    platform.script(vec![Fault::Answer(503, headers, format!("<html>Bearer {CANARY}</html>"))]);
    check(3, "503", &with(&platform.url(), "auth", auth));
}

#[test]
fn it_is_not_shown_when_a_token_is_refused() {
    let platform = Platform::start();
    let login = Platform::start();
    let echo = json!({ "error": "invalid_client", "error_description": format!("not edge:{CANARY}, {CANARY_BASIC}") });
    login.script(vec![Fault::Answer(401, vec![("Content-Type", "application/json".to_owned())], echo.to_string()); 9]);
    let oauth = json!({ "oauth2": {
        "token_url": login.url(), "client_id": "edge", "client_secret": { "env": "SECRET" },
    } });
    check(3, "401", &with(&platform.url(), "auth", oauth));
    assert!(platform.requests().is_empty() && !login.requests().is_empty());
}

#[test]
fn it_is_not_shown_when_it_fits_into_no_header() {
    let platform = Platform::start();
    check(3, "acme", &with(&platform.url(), "auth", json!({ "bearer": { "env": "BROKEN_SECRET" } })));
    assert!(platform.requests().is_empty());
}

#[test]
fn it_is_not_shown_when_the_encryption_fails() {
    let auth = json!({ "bearer": { "env": "SECRET" } });
    // Not encrypted at all where encryption is asked for. A single run is patient with a network that fails.
    let platform = Platform::start();
    check(3, "acme", &with(&platform.url().replace("http://", "https://"), "auth", auth));
    assert!(platform.requests().is_empty());
}

#[test]
fn it_is_not_shown_when_a_source_is_checked() {
    // A server that takes connections and says nothing that a database would.
    let platform = Platform::start();
    for kind in ["postgres", "mysql", "mariadb"] {
        let mut workspace = Workspace::new();
        workspace.env("SECRET", CANARY);
        let mut spec = plant::orders("acme", &plant::to_file("runs.ndjson"));
        let address = platform.url().replace("http://", "");
        let (host, port) = address.split('/').next().and_then(|place| place.split_once(':')).expect("host and port");
        spec["source"] = json!({
            "type": kind, "host": host, "port": port.parse::<u16>().expect("a port"), "database": "mes",
            "username": "etl", "password": { "env": "SECRET" }, "timeouts": { "connect": "2s" },
        });
        workspace.spec("acme.yaml", &spec);
        for form in ["text", "json"] {
            let outcome = workspace.engine(&["check", "-vv", "-o", form, "acme.yaml"]);
            assert!(matches!(outcome.code(), Some(1..=3)), "{outcome}");
            assert_clean(&outcome.says("127.0.0.1"));
        }
    }
}

#[test]
fn it_is_not_sent_in_the_clear() {
    let mut workspace = Workspace::new();
    workspace.env("SECRET", CANARY);
    let auth = json!({ "bearer": { "env": "SECRET" } });
    workspace.spec("acme.yaml", &plant::orders("acme", &with("http://platform.example/runs", "auth", auth)));
    assert_clean(&workspace.engine(&["validate-spec", "acme.yaml"]).expect(2).says("secret_over_http"));
}

#[test]
fn a_literal_is_refused_and_not_repeated() {
    let workspace = Workspace::new();
    let auth = json!({ "basic": { "username": "edge", "password": CANARY } });
    workspace.spec("acme.yaml", &plant::orders("acme", &with("https://platform.example/runs", "auth", auth)));
    for form in ["text", "json", "github", "sarif"] {
        assert_clean(&workspace.engine(&["validate-spec", "-o", form, "acme.yaml"]).expect(2).says("literal_secret"));
    }
    assert_clean(&workspace.engine(&["run", "--once", "-vv", "acme.yaml"]).expect(2).says("literal_secret"));
}
