//! The canary at sources, in addresses, and in every place that a reference can name.

use std::path::Path;

use engine_tests::api::{Api, Told};
use engine_tests::binary::Workspace;
use engine_tests::canary::{self, SECRET};
use engine_tests::peer::Refusing;
use engine_tests::plant::{self, Plant};
use engine_tests::platform::Platform;
use serde_json::{Value, json};

use super::{assert_clean, echoes, hunt, hunt_briefly, secret, with};

/// A workspace whose spec reads this source.
fn reading(source: &Value, sync: &str) -> Workspace {
    let mut workspace = Workspace::new();
    workspace.env("SECRET", SECRET);
    let mut spec = plant::orders("acme", &plant::to_file("runs.ndjson"));
    spec["source"] = source.clone();
    if source["type"] == "http" {
        spec.as_object_mut().expect("an object").remove("query");
    }
    spec["sync"] = json!({ "mode": sync });
    workspace.spec("acme.yaml", &spec);
    workspace
}

fn database(kind: &str, port: u16) -> Value {
    json!({
        "type": kind, "host": "127.0.0.1", "port": port, "database": "mes", "username": "etl",
        "password": secret(), "timezone": "Europe/Berlin", "timeouts": { "connect": "5s" },
    })
}

#[test]
fn it_is_not_shown_when_a_database_echoes_it() {
    for echo in [format!("no {SECRET} for etl"), canary::percent(SECRET), canary::json(SECRET), canary::html(SECRET)] {
        let server = Refusing::postgres(&echo);
        hunt_briefly(&reading(&database("postgres", server.port()), "window"), 3, "127.0.0.1");
        let server = Refusing::mysql(&echo);
        for kind in ["mysql", "mariadb"] {
            hunt_briefly(&reading(&database(kind, server.port()), "window"), 3, "127.0.0.1");
        }
    }
}

/// A server that takes connections and says nothing that a database would.
#[test]
fn it_is_not_shown_when_no_database_answers() {
    let platform = Platform::start();
    let address = platform.url().replace("http://", "");
    let port = address.split(['/', ':']).nth(1).and_then(|port| port.parse().ok()).expect("a port");
    for kind in ["postgres", "mysql", "mariadb", "sqlserver", "oracle"] {
        let mut source = database(kind, port);
        source["timeouts"]["connect"] = "1s".into();
        if kind == "oracle" {
            source["driver"] = "thin".into();
        }
        hunt_briefly(&reading(&source, "window"), 3, "127.0.0.1");
    }
    let server = Refusing::postgres(SECRET);
    hunt(&reading(&database("postgres", server.port()), "window"), 3, "127.0.0.1");
}

#[test]
fn it_is_not_shown_when_an_api_echoes_it() {
    for (status, code) in [(200, 1), (302, 2), (400, 1), (401, 3), (404, 2)] {
        let echoes = echoes();
        let api = Api::start(move |_, number| {
            let location = format!("https://elsewhere.example/?key={}", canary::percent(SECRET));
            Told { status, ..Told::json(&Value::Null) }
                .with("Location", &location)
                .body(&*echoes[number % echoes.len()])
        });
        for auth in [
            json!({ "bearer": secret() }),
            json!({ "basic": { "username": "edge", "password": secret() } }),
            json!({ "header": { "name": "X-Api-Key", "value": secret() } }),
            json!({ "oauth2": { "token_url": format!("{}/t", api.url()), "client_id": "e", "client_secret": secret() } }),
            json!({ "session": { "login_url": format!("{}/l", api.url()), "body": { "p": secret() }, "token": "$.k" } }),
        ] {
            let is_token = auth.get("oauth2").or(auth.get("session")).is_some();
            let source = json!({
                "type": "http", "url": api.url(), "auth": auth, "records": "$.rows[*]", "timezone": "UTC",
            });
            let workspace = reading(&source, "full");
            if is_token {
                assert_clean(&workspace.engine(&["run", "--once", "-vv", "acme.yaml"]));
                continue;
            }
            let is_login = auth.get("bearer").is_some() && status == 401;
            (if is_login { hunt } else { hunt_briefly })(&workspace, code, "127.0.0.1");
        }
        let source = json!({
            "type": "http", "url": api.url(), "records": "$.rows[*]", "timezone": "UTC",
            "request": { "headers": { "X-Key": secret() } },
        });
        hunt_briefly(&reading(&source, "full"), code, "127.0.0.1");
    }
}

/// An address from a reference may hold a login, or a key in its query.
#[test]
fn it_is_not_shown_when_it_is_part_of_an_address() {
    let platform = Platform::start();
    let encoded = canary::percent(SECRET);
    let plain = platform.url();
    let with_login = plain.replace("http://", &format!("http://edge:{encoded}@"));
    for (url, code, part) in [
        (with_login.clone(), 3, "it holds a login"),
        (format!("{plain}?key={encoded}"), 0, "delivered"),
        (format!("http://[{encoded}"), 3, "no address"),
        (with_login.replace("http://", "ftp://"), 3, "neither http nor https"),
    ] {
        let mut workspace = Workspace::new();
        Plant::new(&workspace.path("mes.db")).orders(1..11);
        workspace.env("URL", &url);
        let mut destination = plant::to_url(&plain);
        destination["url"] = json!({ "env": "URL" });
        workspace.spec("acme.yaml", &plant::orders("acme", &destination));
        hunt(&workspace, code, part);
    }
    for (url, part) in [(with_login, "it holds a login"), (format!("http://127.0.0.1:1/?key={encoded}"), "127.0.0.1:1")]
    {
        let source = json!({ "type": "http", "url": { "env": "URL" }, "records": "$[*]", "timezone": "UTC" });
        let mut workspace = reading(&source, "full");
        workspace.env("URL", &url);
        let outcome = workspace.engine(&["run", "--once", "-vv", "acme.yaml"]).says(part);
        assert_clean(&outcome);
        assert_clean(&workspace.engine(&["check", "-o", "json", "acme.yaml"]));
        canary::assert_clean_below(&workspace.path("."));
    }
    // The address of a state store.
    let mut workspace = Workspace::new();
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    workspace.env("STATE", &format!("postgres://engine:{encoded}@127.0.0.1:1/state"));
    workspace.write("engine.yaml", "version: 1\nstate: { url: { env: STATE } }\n");
    workspace.spec("acme.yaml", &plant::orders("acme", &plant::to_file("runs.ndjson")));
    for command in [&["run", "--once", "-vv", "acme.yaml"][..], &["status"], &["state", "list", "-o", "json"]] {
        let outcome = workspace.engine(command);
        assert_ne!(outcome.code(), Some(0), "{outcome}");
        assert_clean(&outcome);
    }
}

/// The canary in a file, in a credential and in the wrong place, all readable or not.
#[test]
fn it_is_not_shown_wherever_a_reference_finds_it() {
    let elsewhere = tempfile::tempdir().expect("a folder");
    let file = |name: &str, content: &[u8]| {
        let path = elsewhere.path().join(name);
        std::fs::write(&path, content).expect("written");
        path
    };
    let good = file("token", format!("{SECRET}\n").as_bytes());
    let long = file("long", SECRET.repeat(5_000).as_bytes());
    let latin = file("latin", &[SECRET.as_bytes(), b"\xff"].concat());
    let platform = Platform::start();
    for (reference, code, part) in [
        (json!({ "file": good }), 0, "delivered"),
        (json!({ "credential": "token" }), 0, "delivered"),
        (json!({ "file": long }), 3, "the limit is"),
        (json!({ "file": latin }), 3, "cannot be read"),
        (json!({ "file": elsewhere.path().join("missing") }), 3, "cannot be read"),
        (json!({ "credential": "missing" }), 3, "cannot be read"),
    ] {
        let mut workspace = Workspace::new();
        Plant::new(&workspace.path("mes.db")).orders(1..11);
        workspace.env("CREDENTIALS_DIRECTORY", &elsewhere.path().display().to_string());
        let auth = json!({ "bearer": reference });
        workspace.spec("acme.yaml", &plant::orders("acme", &with(&platform.url(), "auth", auth)));
        hunt(&workspace, code, part);
    }
    // Wired to the wrong keys: what a key cannot take is not repeated.
    for (key, kind) in [("port", "postgres"), ("timezone", "postgres"), ("application_intent", "sqlserver")] {
        let mut source = database(kind, 1);
        source[key] = secret();
        let workspace = reading(&source, "window");
        for command in [&["run", "--once", "-vv", "acme.yaml"][..], &["check", "acme.yaml"], &["render", "acme.yaml"]] {
            assert_clean(&workspace.engine(command));
        }
    }
}

/// A service at work: what others can see of its process, and what it says at its end.
#[test]
fn it_is_not_shown_by_a_service() {
    let elsewhere = tempfile::tempdir().expect("a folder");
    std::fs::write(elsewhere.path().join("token"), SECRET).expect("written");
    let platform = Platform::start();
    platform.require_header("Authorization", "Bearer another");
    for format in ["text", "json"] {
        let workspace = Workspace::new();
        Plant::new(&workspace.path("mes.db")).orders(1..11);
        let auth = json!({ "bearer": { "file": elsewhere.path().join("token") } });
        let mut spec = plant::orders("acme", &with(&platform.url(), "auth", auth));
        spec["schedule"] = json!({ "every": "1s" });
        spec["query"]["sql"] = "SELECT * FROM auftrag".into();
        spec["sync"] = json!({ "mode": "full" });
        workspace.spec("acme.yaml", &spec);
        workspace.write("engine.yaml", format!("version: 1\nlog: {{ format: {format}, level: trace }}\n"));
        let before = platform.requests().len();
        let running = workspace.start(&["run", "-vv", "acme.yaml"]);
        engine_tests::binary::await_that("a delivery", || platform.requests().len() > before);
        let process = Path::new("/proc").join(running.id().to_string());
        for file in ["cmdline", "environ", "comm"] {
            let seen = std::fs::read(process.join(file)).expect("the process is there");
            assert_eq!(canary::found_in(&seen), None, "{file}");
        }
        running.signal("TERM");
        let outcome = running.finish().expect(0).says("401");
        assert_clean(&outcome);
        canary::assert_clean_below(&workspace.path("."));
    }
}
