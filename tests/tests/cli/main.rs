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

use engine_tests::binary::{Workspace, root};
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
    let path = root().join("tests/golden").join(name);
    if std::env::var_os("ENGINE_GOLDEN").is_some_and(|value| value == "overwrite") {
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("the folder is writable");
        std::fs::write(&path, actual).expect("the golden file is writable");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        actual,
        expected,
        "{} differs; where that is right: ENGINE_GOLDEN=overwrite cargo test -p engine-tests --test cli",
        path.display()
    );
}
