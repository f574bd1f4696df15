//! `engine discover` over a file: what a terminal gets to see, and what is refused.

use engine_tests::binary::Workspace;
use engine_tests::plant::{NOW, Plant};

fn surveyed(statements: &str) -> (Workspace, Plant) {
    let workspace = Workspace::new();
    let plant = Plant::new(&workspace.path("mes.db"));
    plant.orders(1..11);
    plant.execute(statements);
    workspace.write("mes.yaml", "source: { type: sqlite, path: mes.db, timezone: Europe/Berlin }\n");
    (workspace, plant)
}

#[test]
fn a_source_alone_is_enough_and_nothing_is_kept() {
    let (workspace, _plant) = surveyed("CREATE TABLE einstellungen (id INTEGER PRIMARY KEY, wert TEXT)");
    let found = workspace.engine(&["discover", "mes.yaml", "--now", NOW]).expect(0);
    found
        .says("1. auftrag  order")
        .says("other tables")
        .says("einstellungen")
        .says("statements were sent; nothing was");
    workspace.engine(&["discover", "--source", "mes.yaml", "--now", NOW]).expect(0).says("1. auftrag");
    assert!(!workspace.path(".engine").exists());
}

#[test]
fn what_a_terminal_obeys_is_not_shown() {
    let (workspace, plant) = surveyed("CREATE TABLE \"b\u{1b}[2Jx\" (id INTEGER PRIMARY KEY, c TEXT)");
    plant.execute("UPDATE auftrag SET anr = 'A' || char(27) || ']0;x' || char(7) || id");
    for args in [&["discover", "mes.yaml", "--all"][..], &["discover", "mes.yaml", "--table", "auftrag"]] {
        let shown = workspace.engine(args).expect(0).stdout;
        assert!(shown.contains("u{1b}"), "{shown:?}");
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    }
}

#[test]
fn what_has_no_catalogue_or_is_not_there_is_told() {
    let (workspace, _plant) = surveyed("SELECT 1");
    workspace.write("csv.yaml", "source: { type: csv, path: drop }\n");
    workspace.engine(&["discover", "csv.yaml"]).expect(2).says("a folder of files has no catalogue");
    workspace.write("wrong.yaml", "source: { type: sqlite, paht: mes.db }\n");
    workspace.engine(&["discover", "wrong.yaml"]).expect(2).says("did you mean `path`?");
    workspace.write("gone.yaml", "source: { type: sqlite, path: gone.db }\n");
    workspace.engine(&["discover", "gone.yaml"]).expect(3).says("gone.db");
    workspace.write("none.yaml", "version: 1\n");
    workspace.engine(&["discover", "none.yaml"]).expect(2).says("has no `source:` block");
    workspace.engine(&["discover", "mes.yaml", "--table", "auftrg"]).expect(2).says("did you mean `auftrag`?");
}
