//! The status page and its endpoints, as a browser and a monitoring system get them from the service.

mod access;
mod browser;
mod chromium;
mod client;
mod hang;
mod login;
mod metrics;
mod pages;
mod prometheus;
mod server;

use client::{Answer, get};
use engine_tests::binary::{Running, Workspace};
use engine_tests::plant::{self, Plant};
use serde_json::{Value, json};

/// A spec that reads all orders every second.
fn every_second(id: &str, destination: &Value) -> Value {
    let mut spec = plant::orders(id, destination);
    spec["query"]["sql"] = "SELECT * FROM auftrag".into();
    spec["sync"] = json!({ "mode": "full" });
    spec["schedule"] = json!({ "every": "1s" });
    spec
}

/// A service with a status page on a free port.
struct Site {
    workspace: Workspace,
    plant: Plant,
    running: Option<Running>,
    address: String,
}

impl Site {
    fn new() -> Self {
        let workspace = Workspace::new();
        let plant = Plant::new(&workspace.path("mes.db"));
        workspace.write("engine.yaml", "version: 1\nspecs: ['*.spec.yaml']\nhttp: { listen: '127.0.0.1:0' }\n");
        Self { workspace, plant, running: None, address: String::new() }
    }

    fn spec(&self, spec: &Value) {
        let id = spec["id"].as_str().expect("a spec has an id");
        self.workspace.spec(&format!("{id}.spec.yaml"), spec);
    }

    fn start(&mut self) -> &mut Running {
        self.start_with(&[])
    }

    /// Starts with further environment variables.
    fn start_with(&mut self, variables: &[(&str, &str)]) -> &mut Running {
        let mut running = self.workspace.start_with(variables, &["run"]);
        let listens = running.event("http_listens", "");
        self.address = listens["address"].as_str().expect("it says where").to_owned();
        self.running.insert(running)
    }

    fn get(&self, path: &str) -> Answer {
        get(&self.address, path)
    }
}
