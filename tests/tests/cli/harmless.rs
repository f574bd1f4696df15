//! What a database says reaches a terminal as text: commands that show it let no control sequence through.

use engine_tests::binary::{Outcome, Workspace};
use engine_tests::plant::{self, NOW, Plant};
use serde_json::json;

/// A sequence that clears a terminal, as the plant has it; and as it is shown.
const OBEYED: &str = "\u{1b}[2J";
const SHOWN: &str = "\\u{1b}[2J";

/// A workspace whose plant has the sequence in the order, the product and the machine of each of `orders`, and a spec
/// that rejects machines that it does not know.
fn site(orders: std::ops::Range<i64>, machines: &[&str]) -> (Workspace, Plant) {
    let workspace = Workspace::new();
    let plant = Plant::new(&workspace.path("specs/mes.db"));
    plant.orders(orders);
    plant.execute(
        "UPDATE auftrag SET anr = char(27) || '[2J' || anr, artnr = char(27) || '[2J', mnr = char(27) || '[2J' || mnr",
    );
    let mut spec = plant::orders("acme", &plant::to_file("runs.ndjson"));
    spec["key"] = json!(["anr"]);
    let known = machines.iter().map(|machine| (format!("{OBEYED}{machine}"), json!("id")));
    spec["machines"] = known.collect::<serde_json::Map<_, _>>().into();
    spec["max_rejected"] = json!("100%");
    workspace.spec("specs/acme.yaml", &spec);
    (workspace, plant)
}

#[track_caller]
fn is_harmless(told: &Outcome, parts: &[&str]) {
    assert!(!told.stdout.contains('\u{1b}') && !told.stderr.contains('\u{1b}'), "{:?}", told.stdout);
    for part in parts {
        assert!(told.stdout.contains(part), "`{part}` is not in\n{}", told.stdout);
    }
}

#[test]
fn check_shows_a_sample_that_is_obeyed_in_nothing() {
    let (workspace, _plant) = site(1..4, &["M1"]);
    let told = workspace.engine(&["check", "--now", NOW, "specs/acme.yaml"]).expect(0);
    is_harmless(&told, &[&format!("{SHOWN}4711001"), &format!("{SHOWN}M1")]);
}

#[test]
fn quarantine_shows_rows_that_are_obeyed_in_nothing() {
    let (workspace, _plant) = site(1..4, &["M1"]);
    workspace.engine(&["run", "--once", "--now", NOW, "specs"]).expect(0);
    let told = workspace.engine(&["quarantine", "list"]).expect(0);
    is_harmless(&told, &["acme: 2 in quarantine", &format!("machine code `{SHOWN}M2`"), "4711002"]);
    let key = format!("{OBEYED}4711002");
    let told = workspace.engine(&["quarantine", "show", "acme", &key]).expect(0);
    is_harmless(&told, &[&format!("machine code `{SHOWN}M2`"), "4711002", "\"artnr\""]);
    let told = workspace.engine(&["quarantine", "show", "acme", OBEYED]).expect(2);
    is_harmless(&told, &[]);
}

#[test]
fn approve_shows_what_goes_and_nothing_of_it_is_obeyed() {
    let (workspace, plant) = site(1..41, &["M1", "M2", "M3", "M4", "M5"]);
    workspace.engine(&["run", "--once", "--now", NOW, "specs"]).expect(0);
    plant.execute("DELETE FROM auftrag WHERE id > 10; UPDATE auftrag SET menge = 7 WHERE id = 3");
    workspace.engine(&["run", "--once", "--now", NOW, "specs"]).expect(1);
    let told = workspace.engine(&["approve", "acme", "--dry-run", "--now", NOW]).expect(0);
    let (machine, order) = (format!("{SHOWN}M5"), format!("{SHOWN}4711003"));
    is_harmless(&told, &["to delete (30 of 30)", &machine, "to send (1 of 1)", &order]);
    is_harmless(&workspace.engine(&["approve", "acme"]).expect(0), &["approved"]);
}
