//! `engine init`: what it refuses, what it never does, and what it says.

use engine_tests::binary::Workspace;
use engine_tests::plant::Plant;

use super::line_three;

/// A folder with the file of line 3 and its source block.
fn line() -> Workspace {
    let workspace = Workspace::new();
    line_three(&workspace.path("linie3.db"));
    workspace
        .write("source.yaml", "source:\n  type: sqlite\n  path: linie3.db   # beside\n  timezone: Europe/Berlin\n");
    workspace
}

#[test]
fn a_file_that_is_there_stays_as_it_is() {
    let workspace = line();
    workspace.write("fertigung.yaml", "mine");
    let refused = workspace
        .engine(&["init", "source.yaml", "--table=fertigung", "--yes"])
        .expect(2)
        .says("fertigung.yaml is there already");
    assert!(refused.stderr.contains("--force"), "{refused}");
    workspace
        .engine(&["init", "source.yaml", "--table=fertigung", "--yes", "-o", "fertigung.yaml"])
        .expect(2)
        .says("is there already");
    assert_eq!(workspace.read("fertigung.yaml"), "mine");
    workspace
        .engine(&["init", "source.yaml", "--table=fertigung", "--yes", "--force"])
        .expect(0)
        .says("wrote fertigung.yaml");
    assert!(workspace.read("fertigung.yaml").contains("table: order"));
    let names: Vec<_> = std::fs::read_dir(workspace.path(""))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .filter(|name| name.contains("part"))
        .collect();
    assert_eq!(names, [""; 0], "nothing half-written is left");
}

#[test]
fn the_source_is_copied_as_it_was_written() {
    let workspace = line();
    workspace.engine(&["init", "source.yaml", "--table=fertigung", "--yes"]).expect(0);
    let spec = workspace.read("fertigung.yaml");
    assert!(
        spec.contains("\nsource:\n  type: sqlite\n  path: linie3.db   # beside\n  timezone: Europe/Berlin\n"),
        "{spec}"
    );
    workspace
        .engine(&["init", "source.yaml", "--table=fertigung", "--yes", "-o", "elsewhere/a.yaml"])
        .expect(2)
        .says("write the spec beside");
}

#[test]
fn what_is_said_wrongly_is_refused_with_what_would_be_right() {
    let workspace = line();
    for (flags, said) in [
        (&["--table", "fertigun"][..], "did you mean `fertigung`?"),
        (&["--set", "order_cod=auftrag"], "did you mean `order_code`?"),
        (&["--set", "order_code=auftrg"], "did you mean `auftrag`?"),
        (&["--set", "start==now"], "cannot be the same for all rows"),
        (&["--set", "order_code"], "it has no `=`"),
        (&["--zone", "Europe/Bonn"], "the source in source.yaml says `Europe/Berlin`"),
        (&["--id", "Line 3"], "is not an id"),
        (&["--to", "ftp://x"], "is neither"),
        (&["--table", "stoertext"], "--set order_code=COLUMN"),
        (&["--table", "fertigung", "--as", "booking"], "--set timestamp=COLUMN"),
    ] {
        let table: &[&str] = if flags[0] == "--table" { &[] } else { &["--table=fertigung"] };
        let arguments: Vec<&str> = ["init", "source.yaml", "--yes"].iter().chain(table).chain(flags).copied().collect();
        workspace.engine(&arguments).expect(2).says(said);
    }
}

#[test]
fn codes_of_the_factory_are_replaced_where_that_is_asked() {
    let workspace = line();
    workspace.engine(&["init", "source.yaml", "--table=fertigung", "--yes", "--anonymise"]).expect(0);
    let spec = workspace.read("fertigung.yaml");
    let tests = spec.split_once("\ntests:").expect("tests").1;
    for code in ["00048001", "T-1", "L3-1"] {
        assert!(!tests.contains(code), "{code} in\n{tests}");
    }
    workspace.engine(&["test", "fertigung.yaml"]).expect(0).says("1 passed, 0 failed");
}

#[test]
fn a_time_of_day_is_meant_with_its_date() {
    let workspace = Workspace::new();
    Plant::new_writer(&workspace.path("schicht.db")).execute(
        "CREATE TABLE schicht_buchung (nr INTEGER PRIMARY KEY, datum DATE, auftrag TEXT, artikel TEXT, maschine TEXT, \
         frei TIME, beginn TIME, ende TIME); \
         INSERT INTO schicht_buchung VALUES (1, '2025-03-28', '4711', 'A-1', 'M1', '01:00', '22:00', '06:00')",
    );
    workspace.write("source.yaml", "source: { type: sqlite, path: schicht.db, timezone: Europe/Berlin }\n");
    workspace.engine(&["init", "source.yaml", "--yes", "--set", "start=frei", "-o", "plant.yaml"]).expect(0);
    let spec = workspace.read("plant.yaml");
    assert!(spec.contains("  start:\n    date: datum\n    time: frei\n"), "{spec}");
    assert!(spec.contains("start: 2025-03-28T00:00:00Z, end: 2025-03-28T05:00:00Z"), "{spec}");
}
