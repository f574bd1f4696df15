//! Heartbeats: what they say, and what they never say.

use std::time::Duration;

use engine_tests::binary::{await_some, await_that, root};
use serde_json::{Value, json};

use crate::{Site, stop};

/// A text that only rows and secrets have.
const CANARY: &str = "canary-4711";

/// The heartbeats that came, each held against the schema.
fn beats(site: &Site) -> Vec<Value> {
    let schema = std::fs::read_to_string(root().join("schemas/heartbeat.schema.json")).expect("a schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let check = |body: &str| {
        let beat: Value = serde_json::from_str(body).expect("a heartbeat is JSON");
        let wrong: Vec<String> = validator.iter_errors(&beat).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{beat:#}: {wrong:#?}");
        beat
    };
    site.asked("POST").iter().map(|asked| check(&asked.body)).collect()
}

/// The next heartbeat for which something holds.
fn beat(site: &Site, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let found = await_some(Duration::from_secs(60), || beats(site).into_iter().rfind(|beat| holds(beat)));
    found.unwrap_or_else(|| panic!("no heartbeat says that {what}: {:#?}", beats(site).pop()))
}

#[test]
fn a_heartbeat_tells_versions_and_health_and_no_value_of_a_row() {
    let mut site = Site::new();
    let url = site.server.as_ref().expect("a server").url();
    site.workspace.env("FLEET_TOKEN", CANARY);
    site.config(|config| {
        config["fleet"]["name"] = "aachen-07".into();
        config["fleet"]["heartbeat"] = json!({
            "url": format!("{url}/beats"), "every": "1s", "auth": { "bearer": { "env": "FLEET_TOKEN" } },
        });
    });
    site.publish(1, &[site.spec("acme")]);
    let mut running = site.start();
    running.event("delivered", "acme");
    let well =
        beat(&site, "it is well", |beat| beat["pipelines"][0]["health"] == "ok" && beat["pipelines"][0]["outbox"] == 0);
    assert_eq!((&well["device"], &well["engine"]), (&json!("aachen-07"), &json!(env!("CARGO_PKG_VERSION"))));
    assert_eq!((&well["specs"]["version"], &well["specs"]["problem"]), (&json!("1"), &Value::Null));
    assert_eq!(well["pipelines"][0]["id"], "acme");
    let token = format!("Bearer {CANARY}");
    assert!(site.asked("POST").iter().all(|asked| asked.headers.get("authorization") == Some(&token)));

    // A statement that the source refuses with a value in its words: told by its kind.
    site.plant.execute("DROP TABLE auftrag");
    site.plant.execute(&format!("CREATE VIEW auftrag AS SELECT * FROM \"{CANARY}\""));
    let failing = beat(&site, "it fails", |beat| beat["pipelines"][0]["health"] == "failing");
    assert_eq!(failing["pipelines"][0]["problem"], "the source refused the statement");
    site.hold(Vec::new());
    let refused = beat(&site, "no specs come", |beat| beat["specs"]["problem"] == "unreachable");
    assert!(refused["specs"]["problem_since"].is_string(), "{refused:#}");
    for beat in beats(&site) {
        assert!(!beat.to_string().contains(CANARY), "{beat:#}");
    }
    stop(running);
}

#[test]
fn a_heartbeat_that_does_not_arrive_is_said_once_and_disturbs_nothing() {
    let site = Site::new();
    // Nobody listens there.
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr()).expect("a port").port();
    site.config(|config| {
        config["fleet"]["heartbeat"] = json!({ "url": format!("http://127.0.0.1:{port}/beats"), "every": "1s" });
    });
    site.publish(1, &[site.spec("acme")]);
    let mut running = site.start();
    running.event("heartbeat_failed", "");
    await_that("everything else goes on", || site.platform.state().len() == 10);
    for id in [11, 12, 13] {
        site.plant.orders(id..id + 1);
        await_that("everything else goes on", || site.platform.state().len() == id as usize);
    }
    running.signal("TERM");
    let outcome = running.finish().expect(0);
    assert_eq!(outcome.events("heartbeat_failed").len(), 1, "{outcome}");
}
