//! The command line as a user sees it: exit codes, outputs, and what must never be in them.

mod check;
mod discover;
mod exits;
mod findings;
mod harmless;
mod render;
mod secrets;
mod self_check;
mod testing;
mod verbs;

use engine_tests::binary::Workspace;
use engine_tests::plant::{self, Plant};
use serde_json::Value;

/// A workspace with a plant of ten orders and `acme.yaml`, which writes to `runs.ndjson`.
fn site() -> (Workspace, Plant, Value) {
    let workspace = Workspace::new();
    let plant = Plant::new(&workspace.path("mes.db"));
    plant.orders(1..11);
    let spec = plant::orders("acme", &plant::to_file("runs.ndjson"));
    workspace.spec("acme.yaml", &spec);
    (workspace, plant, spec)
}

/// Compares a text with a file of `tests/golden`.
#[track_caller]
fn golden(name: &str, actual: &str) {
    engine_tests::golden::golden(name, actual, "--test cli");
}
