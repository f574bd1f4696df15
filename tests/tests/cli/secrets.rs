//! A canary runs through everything as a secret; whatever comes out is searched for it.

mod places;

use engine_tests::binary::{Outcome, Workspace};
use engine_tests::canary::{self, SECRET};
use engine_tests::plant::{self, NOW, Plant};
use engine_tests::platform::{Fault, Platform};
use engine_tests::promises::{Tally, kept};
use serde_json::{Value, json};

/// Every command that a device is run with, once for each form of its output.
const COMMANDS: [&[&str]; 30] = [
    &["run", "--once", "-v", "--now", NOW, "acme.yaml"],
    &["validate-spec", "--env", "acme.yaml"],
    &["validate-spec", "--env", "-o", "json", "acme.yaml"],
    &["validate-spec", "-o", "sarif", "acme.yaml"],
    &["validate-spec", "-o", "github", "acme.yaml"],
    &["preview", "-vv", "--sql", "--diff", "--timeline", "t.html", "--now", NOW, "acme.yaml"],
    &["preview", "-o", "json", "--diff", "--timeline", "t.svg", "--now", NOW, "acme.yaml"],
    &["check", "-vv", "--now", NOW, "acme.yaml"],
    &["check", "-o", "json", "--now", NOW, "acme.yaml"],
    &["self-check", "acme.yaml"],
    &["self-check", "-o", "json", "acme.yaml"],
    &["render", "-vv", "acme.yaml"],
    &["render", "-o", "json", "acme.yaml"],
    &["test", "-vv", "acme.yaml"],
    &["test", "-o", "json", "acme.yaml"],
    &["status", "-vv"],
    &["status", "-o", "json"],
    &["quarantine", "list", "-vv"],
    &["quarantine", "list", "-o", "json"],
    &["quarantine", "show", "acme", "1"],
    &["quarantine", "show", "-o", "json", "acme", "1"],
    &["quarantine", "retry", "-o", "json"],
    &["approve", "acme"],
    &["state", "list", "-o", "json"],
    &["state", "show", "acme"],
    &["state", "show", "-o", "json", "acme"],
    &["state", "export", "acme", "--to", "export.jsonl"],
    &["state", "reset", "acme", "--what", "cursor"],
    &["completions", "bash"],
    &["schema"],
];

/// Runs every command on `acme.yaml`, and looks for the canary in all that they say and leave. The first run must end
/// with this code, and say this.
#[track_caller]
fn hunt(workspace: &Workspace, code: i32, part: &str) {
    let first = workspace.engine(&["run", "--once", "-vv", "--now", NOW, "acme.yaml"]);
    assert_clean(&first);
    first.expect(code).says(part);
    for command in COMMANDS {
        let outcome = workspace.engine(command);
        assert!(matches!(outcome.code(), Some(0..=3)), "{outcome}");
        assert_clean(&outcome);
    }
    let files = canary::assert_clean_below(&workspace.path("."));
    assert!(files >= 2, "the spec and the state");
}

/// As [`hunt`], with the commands that tell most of a source.
#[track_caller]
fn hunt_briefly(workspace: &Workspace, code: i32, part: &str) {
    let first = workspace.engine(&["run", "--once", "-vv", "--now", NOW, "acme.yaml"]);
    assert_clean(&first);
    first.expect(code).says(part);
    for command in [&["check", "-vv", "-o", "json", "--now", NOW, "acme.yaml"][..], &["status", "-o", "json"]] {
        assert_clean(&workspace.engine(command));
    }
    canary::assert_clean_below(&workspace.path("."));
}

/// Runs a spec that delivers to a destination with the canary as its login.
#[track_caller]
fn check(code: i32, part: &str, destination: &Value) {
    let mut workspace = Workspace::new();
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    workspace.env("SECRET", SECRET).env("BROKEN_SECRET", &format!("{SECRET}\nx"));
    workspace.spec("acme.yaml", &plant::orders("acme", destination));
    hunt(&workspace, code, part);
}

#[track_caller]
fn assert_clean(outcome: &Outcome) {
    let text = outcome.to_string();
    let found = canary::found_in(text.as_bytes());
    assert!(found.is_none(), "the secret was said, as {found:?}: {text}");
}

fn secret() -> Value {
    json!({ "env": "SECRET" })
}

/// Every login with the canary, the header that carries it, and what it then holds; a token is given out by `login`.
fn logins(login: &Platform) -> Vec<(Value, &'static str, String)> {
    let basic = canary::base64(format!("edge:{SECRET}").as_bytes());
    vec![
        (json!({ "bearer": secret() }), "Authorization", format!("Bearer {SECRET}")),
        (json!({ "basic": { "username": "edge", "password": secret() } }), "Authorization", format!("Basic {basic}")),
        (json!({ "header": { "name": "X-Api-Key", "value": secret() } }), "X-Api-Key", SECRET.to_owned()),
        (
            json!({ "oauth2": { "token_url": login.url(), "client_id": "edge", "client_secret": secret() } }),
            "Authorization",
            format!("Bearer {SECRET}"),
        ),
        (
            json!({ "session": {
                "login_url": login.url(), "body": { "user": "edge", "password": secret() },
                "token": "$.access_token", "header": "X-Session",
            } }),
            "X-Session",
            SECRET.to_owned(),
        ),
    ]
}

/// A server that gives out the canary as a token.
fn token_server() -> Platform {
    let login = Platform::start();
    let answer = json!({ "access_token": SECRET, "token_type": "bearer", "expires_in": 3600 }).to_string();
    login.script(vec![Fault::Answer(200, as_json(), answer); 200]);
    login
}

fn as_json() -> Vec<(&'static str, String)> {
    vec![("Content-Type", "application/json".to_owned())]
}

/// What a server says that echoes its client, in every form that servers have for it.
fn echoes() -> Vec<String> {
    let basic = canary::base64(format!("edge:{SECRET}").as_bytes());
    vec![
        json!({ "message": format!("not with Bearer {SECRET}") }).to_string(),
        json!({ "request": { "headers": { "authorization": format!("Bearer {SECRET}") } } }).to_string(),
        json!({ "error": { "inner": json!({ "key": SECRET }).to_string() } }).to_string(),
        format!(
            "GET /?key={} HTTP/1.1\r\nAuthorization: Basic {basic}\r\nX-Api-Key: {SECRET}",
            canary::percent(SECRET)
        ),
        format!("<html><body>{}</body></html>", canary::html(SECRET)),
        format!("key {} or {}", canary::base64(SECRET.as_bytes()), canary::percent(SECRET).to_lowercase()),
        SECRET.to_owned(),
    ]
}

fn with(url: &str, key: &str, value: Value) -> Value {
    let mut destination = plant::to_url(url);
    destination[key] = value;
    destination
}

#[test]
fn it_is_not_shown_when_all_is_well() {
    let login = token_server();
    for (auth, header, value) in logins(&login) {
        let platform = Platform::start();
        platform.require_header(header, &value);
        check(0, "delivered", &with(&platform.url(), "auth", auth));
        assert_eq!(platform.state().len(), 10);
    }
    let platform = Platform::start();
    platform.require_header("X-Api-Key", SECRET);
    check(0, "delivered", &with(&platform.url(), "headers", json!({ "X-Api-Key": secret() })));
}

#[test]
fn it_is_not_shown_when_the_platform_echoes_it() {
    let login = token_server();
    for (auth, ..) in logins(&login) {
        let platform = Platform::start();
        platform.script(echoes().into_iter().map(|echo| Fault::Answer(401, as_json(), echo)).collect());
        check(3, "401", &with(&platform.url(), "auth", auth));
    }
    for auth in [json!({ "token": secret() }), json!({ "username": "edge", "password": secret() })] {
        let platform = Platform::start();
        platform.require_header("Authorization", "something else");
        let mut destination = json!({ "type": "enlyze", "url": platform.url() });
        destination.as_object_mut().expect("an object").extend(auth.as_object().expect("an object").clone());
        check(3, "401", &destination);
    }
}

#[test]
fn it_is_not_shown_in_whatever_form_an_answer_echoes_it() {
    let auth = json!({ "bearer": secret() });
    let mut tally = Tally::default();
    for (status, code) in [(200, 3), (302, 3), (400, 0), (403, 3), (422, 0), (503, 3)] {
        for echo in echoes() {
            // JSON that names no record accepts all of them; what only calls itself JSON accepts none.
            let code = if status == 200 && echo.starts_with('{') { 0 } else { code };
            let platform = Platform::start();
            let mut headers = as_json();
            headers.push(("Retry-After", "3000".to_owned()));
            headers.push(("Location", format!("https://elsewhere.example/?key={}", canary::percent(SECRET))));
            platform.script(vec![Fault::Answer(status, headers, echo); 30]);
            check_run(code, &with(&platform.url(), "auth", auth.clone()));
            tally.histories += 1;
            tally.faults += platform.requests().len() as u64;
        }
    }
    // Nothing is to arrive here, so nothing can be lost or come twice.
    kept("Plain words", "it_is_not_shown_in_whatever_form_an_answer_echoes_it", tally);
}

/// As [`check`], with only what tells of a delivery.
#[track_caller]
fn check_run(code: i32, destination: &Value) {
    let mut workspace = Workspace::new();
    Plant::new(&workspace.path("mes.db")).orders(1..3);
    workspace.env("SECRET", SECRET);
    workspace.spec("acme.yaml", &plant::orders("acme", destination));
    assert_clean(&workspace.engine(&["run", "--once", "-vv", "--now", NOW, "acme.yaml"]).expect(code));
    for command in [&["status", "-o", "json"][..], &["quarantine", "list", "-o", "json"]] {
        assert_clean(&workspace.engine(command));
    }
    canary::assert_clean_below(&workspace.path("."));
}

#[test]
fn it_is_not_shown_when_records_are_rejected_with_it() {
    let platform = Platform::start();
    let result = json!({ "status": "rejected", "code": SECRET, "message": format!("Bearer {SECRET}") });
    platform.script(vec![Fault::Answer(200, as_json(), json!({ "results": vec![result; 10] }).to_string())]);
    check(0, "10 records refused by", &with(&platform.url(), "auth", json!({ "bearer": secret() })));
}

#[test]
fn it_is_not_shown_when_a_token_is_refused() {
    for way in 3..5 {
        let platform = Platform::start();
        let login = Platform::start();
        let (auth, ..) = logins(&login).swap_remove(way);
        login.script(echoes().into_iter().map(|echo| Fault::Answer(401, as_json(), echo)).collect());
        check(3, "401", &with(&platform.url(), "auth", auth));
        assert!(platform.requests().is_empty() && !login.requests().is_empty());
    }
}

#[test]
fn it_is_not_shown_when_it_fits_into_no_header() {
    let platform = Platform::start();
    check(3, "acme", &with(&platform.url(), "auth", json!({ "bearer": { "env": "BROKEN_SECRET" } })));
    assert!(platform.requests().is_empty());
}

#[test]
fn it_is_not_shown_when_the_encryption_fails() {
    let auth = json!({ "bearer": secret() });
    // Not encrypted at all where encryption is asked for. A single run is patient with a network that fails.
    let platform = Platform::start();
    check(3, "acme", &with(&platform.url().replace("http://", "https://"), "auth", auth));
    assert!(platform.requests().is_empty());
}

#[test]
fn it_is_not_sent_in_the_clear() {
    let mut workspace = Workspace::new();
    workspace.env("SECRET", SECRET);
    let auth = json!({ "bearer": secret() });
    workspace.spec("acme.yaml", &plant::orders("acme", &with("http://platform.example/runs", "auth", auth)));
    assert_clean(&workspace.engine(&["validate-spec", "acme.yaml"]).expect(2).says("secret_over_http"));
}

#[test]
fn a_literal_is_refused_and_not_repeated() {
    let workspace = Workspace::new();
    let auth = json!({ "basic": { "username": "edge", "password": SECRET } });
    workspace.spec("acme.yaml", &plant::orders("acme", &with("https://platform.example/runs", "auth", auth)));
    for form in ["text", "json", "github", "sarif"] {
        assert_clean(&workspace.engine(&["validate-spec", "-o", form, "acme.yaml"]).expect(2).says("literal_secret"));
    }
    assert_clean(&workspace.engine(&["run", "--once", "-vv", "acme.yaml"]).expect(2).says("literal_secret"));
}
