//! A device as one of many: specs that are pulled, tried and rolled back, and heartbeats.

mod beats;
mod git;
mod specs;

use std::sync::{Arc, Mutex, PoisonError};

use engine_tests::api::{Api, Asked, Told};
use engine_tests::binary::{Outcome, Running, Workspace};
use engine_tests::certificates::{pem, server};
use engine_tests::plant::{self, Plant};
use engine_tests::platform::Platform;
use serde_json::{Value, json};

/// A device that runs nothing yet, and everything around it: a plant, a platform, and a server that holds bundles and
/// takes heartbeats.
struct Site {
    workspace: Workspace,
    plant: Plant,
    platform: Platform,
    server: Option<Api>,
    bundle: Arc<Mutex<Vec<u8>>>,
    key: String,
}

impl Site {
    fn new() -> Self {
        Self::with(Api::start)
    }

    fn with_tls() -> Self {
        Self::with(|answer| Api::start_tls(server("localhost", false), answer))
    }

    fn with(start: impl FnOnce(Box<dyn Fn(&Asked, usize) -> Told + Send + Sync>) -> Api) -> Self {
        let workspace = Workspace::new();
        let plant = Plant::new(&workspace.path("data/mes.db"));
        plant.orders(1..11);
        let key = workspace.engine(&["bundle", "--new-key", "key"]).expect(0).stdout.trim().to_owned();
        let bundle: Arc<Mutex<Vec<u8>>> = Arc::default();
        let held = Arc::clone(&bundle);
        let server = start(Box::new(move |asked, _| match asked.method.as_str() {
            "POST" => Told::status(200),
            _ => given(&held.lock().unwrap_or_else(PoisonError::into_inner), asked),
        }));
        Self { workspace, plant, platform: Platform::start(), server: Some(server), bundle, key }
    }

    fn url(&self) -> String {
        format!("{}/specs.tar.gz", self.server.as_ref().expect("a server").url())
    }

    /// The device config: signed bundles, looked for every second.
    fn config(&self, change: impl FnOnce(&mut Value)) {
        let mut config = json!({
            "version": 1,
            "fleet": { "specs": {
                "from": self.url(), "keys": [self.key], "every": "1s", "tls": { "ca_file": pem("ca.pem") },
            } },
        });
        change(&mut config);
        self.workspace.write("engine.yaml", config.to_string());
    }

    /// A spec that reads everything, every second, whatever the clock says.
    fn spec(&self, id: &str) -> Value {
        let mut spec = plant::orders(id, &plant::to_url(&self.platform.url()));
        spec["source"]["path"] = self.plant.path().display().to_string().into();
        spec["query"]["sql"] = "SELECT * FROM auftrag".into();
        spec["sync"] = json!({ "mode": "full" });
        spec["schedule"] = json!({ "every": "1s" });
        spec
    }

    /// Makes a bundle of specs, signed with a key.
    fn make(&self, version: &str, created: &str, key: &str, specs: &[Value]) -> Outcome {
        let folder = format!("made-{version}");
        for spec in specs {
            let id = spec["id"].as_str().expect("an id");
            self.workspace.spec(&format!("{folder}/specs/{id}.yaml"), spec);
        }
        let arguments =
            ["bundle", &folder, "-o", "made.tar.gz", "--key", key, "--version", version, "--created", created];
        self.workspace.engine(&arguments)
    }

    /// Makes a bundle, and gives it to whoever asks from now on. Its number says when it was made.
    fn publish(&self, number: u32, specs: &[Value]) {
        self.publish_at(number, &format!("2026-01-01T00:00:{number:02}Z"), "key", specs);
    }

    fn publish_at(&self, number: u32, created: &str, key: &str, specs: &[Value]) {
        self.make(&number.to_string(), created, key, specs).expect(0);
        self.hold(std::fs::read(self.workspace.path("made.tar.gz")).expect("a bundle"));
    }

    fn hold(&self, bundle: Vec<u8>) {
        *self.bundle.lock().unwrap_or_else(PoisonError::into_inner) = bundle;
    }

    fn start(&self) -> Running {
        self.workspace.start(&["run"])
    }

    fn status(&self) -> String {
        self.workspace.engine(&["status"]).stdout
    }

    /// Requests to the server.
    fn asked(&self, method: &str) -> Vec<Asked> {
        let asked = self.server.as_ref().map(Api::asked).unwrap_or_default();
        asked.into_iter().filter(|asked| asked.method == method).collect()
    }
}

/// What the server gives: the bundle, unless it is the one that is known.
fn given(bundle: &[u8], asked: &Asked) -> Told {
    if bundle.is_empty() {
        return Told::status(404);
    }
    let sum = bundle.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let etag = format!("\"{sum:x}\"");
    if asked.headers.get("if-none-match") == Some(&etag) {
        return Told::status(304).body("");
    }
    Told::status(200).with("Content-Type", "application/gzip").with("ETag", &etag).body(bundle)
}

/// The message of an event.
fn message(event: &Value) -> &str {
    event["message"].as_str().expect("a message")
}

fn stop(running: Running) {
    running.signal("TERM");
    running.finish().expect(0);
}
