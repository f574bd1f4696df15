//! Runs of the built binary: sources that change, destinations that fail, and the service.

mod approve;
mod backfill;
mod check;
mod confined;
mod discover;
mod faults;
mod injection;
mod manager;
mod preview;
mod quarantine;
mod reload;
mod rotation;
mod servers;
mod service;
mod standins;
mod state;
mod sync;
mod traces;
mod upgrade;

use std::collections::BTreeMap;

use engine_tests::binary::{Outcome, Workspace};
use engine_tests::plant::{self, NOW, Plant};
use engine_tests::platform::Platform;
use serde_json::Value;

/// A workspace with a plant, a platform and one spec, `acme.yaml`, of the pipeline `acme`.
struct Site {
    workspace: Workspace,
    plant: Plant,
    platform: Platform,
    spec: Value,
    now: String,
}

impl Site {
    fn new(make: impl FnOnce(&str, &Value) -> Value) -> Self {
        let workspace = Workspace::new();
        let plant = Plant::new(&workspace.path("mes.db"));
        let platform = Platform::start();
        let spec = make("acme", &plant::to_url(&platform.url()));
        Self { workspace, plant, platform, spec, now: NOW.to_owned() }
    }

    fn orders() -> Self {
        Self::new(plant::orders)
    }

    fn bookings() -> Self {
        Self::new(plant::bookings)
    }

    /// Changes the spec.
    fn with(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.spec);
        self
    }

    /// Runs once.
    fn once(&self) -> Outcome {
        self.workspace.spec("acme.yaml", &self.spec);
        self.workspace.engine(&["run", "--once", "--now", &self.now, "acme.yaml"])
    }

    /// Runs once, and expects that all goes well; what it found.
    #[track_caller]
    fn well(&self) -> Found {
        let outcome = self.once().expect(0);
        self.platform.assert_contract();
        found(&outcome)
    }

    fn status(&self) -> Value {
        self.workspace.engine(&["status", "-o", "json"]).expect(0).json()[0].take()
    }

    /// What a fresh full run over the same source delivers.
    #[track_caller]
    fn fresh(&self) -> BTreeMap<String, Value> {
        let (workspace, platform) = (Workspace::new(), Platform::start());
        let mut spec = self.spec.clone();
        if spec["source"]["type"] == "sqlite" {
            spec["source"]["path"] = self.plant.path().to_string_lossy().into();
        }
        spec["destination"]["url"] = platform.url().into();
        workspace.spec("acme.yaml", &spec);
        workspace.engine(&["run", "--once", "--now", &self.now, "acme.yaml"]).expect(0);
        platform.state()
    }

    /// The destination equals what a fresh full run would give.
    #[track_caller]
    fn converged(&self) {
        assert_eq!(self.platform.state(), self.fresh());
    }
}

/// New, changed, gone; upserts, deletes; rejected.
type Found = (u64, u64, u64, u64, u64, u64);

#[track_caller]
fn found(outcome: &Outcome) -> Found {
    let events = outcome.events("run_finished");
    assert_eq!(events.len(), 1, "{outcome}");
    let count = |name: &str| events[0][name].as_u64().unwrap_or_else(|| panic!("no {name} in {outcome}"));
    (count("new"), count("changed"), count("gone"), count("upserts"), count("deletes"), count("rejected"))
}
