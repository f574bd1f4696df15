//! `test`, `preview`, `status`, `approve`, `schema`, `completions`, and colours.

use std::path::Path;

use engine_tests::binary::{Workspace, engine, root};
use engine_tests::plant::NOW;
use serde_json::json;

use crate::site;

#[test]
fn examples_of_a_spec_are_executed_offline() {
    let (workspace, _plant, mut spec) = site();
    // Not even the variables of the source are needed.
    spec["source"]["path"] = json!({ "env": "MES_FILE" });
    let row = json!({ "id": 1, "anr": "0047", "artnr": "p", "mnr": "M1", "von": "2025-03-29 06:00:00",
                      "bis": "2025-03-29 07:00:00", "menge": 3, "geaendert": null });
    let run = json!({ "order_code": "0047", "start": "2025-03-29T05:00:00Z", "end": "2025-03-29T06:00:00Z" });
    spec["tests"] = json!([
        { "name": "a row is a run", "rows": [row], "expect": { "runs": [run] } },
        { "name": "the statement", "now": NOW, "expect": { "params": ["2025-03-16 13:00:00", "2025-03-30 14:00:00"] } },
    ]);
    workspace.spec("acme.yaml", &spec);
    workspace.engine(&["test", "acme.yaml"]).expect(0).says("ok     acme: a row is a run").says("2 passed, 0 failed");
    spec["tests"][0]["expect"]["runs"][0]["order_code"] = "48".into();
    workspace.spec("acme.yaml", &spec);
    let failed = workspace.engine(&["test", "acme.yaml"]).expect(1);
    failed.says("FAILED acme: a row is a run").says("nearest is").says("1 passed, 1 failed");
    workspace.engine(&["test", "-k", "statement", "acme.yaml"]).expect(0).says("1 passed, 0 failed");
    let json = workspace.engine(&["test", "-o", "json", "acme.yaml"]).expect(1).json();
    let passed: Vec<_> = json.as_array().expect("results").iter().map(|one| one["passed"].clone()).collect();
    assert_eq!(passed, [json!(false), json!(true)]);
    assert!(!workspace.path(".engine").exists(), "tests keep nothing");
}

#[test]
fn a_preview_shows_what_a_run_would_do_and_does_nothing() {
    let (workspace, plant, _spec) = site();
    plant.execute("UPDATE auftrag SET anr = NULL WHERE id = 3");
    let text = workspace.engine(&["preview", "-n", "2", "--now", NOW, "acme.yaml"]).expect(0).stdout;
    for part in ["10 rows read", "9 to send", "rows (2 of 10)", "runs (2 of 9)", "rejected (1 of 1)", "4711001"] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    let json = workspace.engine(&["preview", "-o", "json", "--now", NOW, "acme.yaml"]).expect(0).json();
    assert_eq!(json[0]["runs"].as_array().map(Vec::len), Some(9));
    assert_eq!(json[0]["rejected"][0]["id"].to_string().trim_matches('"'), "3", "{}", json[0]["rejected"]);
    assert_eq!(json[0]["report"]["new"], 9);
    assert!(!workspace.path(".engine").exists() && !workspace.path("runs.ndjson").exists());
    // A preview of what cannot be read is no success.
    std::fs::remove_file(plant.path()).expect("removed");
    workspace.engine(&["preview", "--now", NOW, "acme.yaml"]).expect(3).says("mes.db");
}

/// The time of a preview grows with the rows, not with their square.
#[test]
fn a_preview_of_many_rows_is_quick() {
    let (workspace, plant, _spec) = site();
    plant.orders(11..60_001);
    workspace.engine(&["preview", "-n", "2", "--now", NOW, "acme.yaml"]).expect(0).says("runs (2 of 60000)");
}

#[test]
fn the_status_counts_and_names() {
    let (workspace, plant, mut spec) = site();
    plant.execute("UPDATE auftrag SET bis = NULL WHERE id = 10; UPDATE auftrag SET anr = '' WHERE id = 9");
    spec["fields"]["order_code"] = json!({ "column": "anr", "null_if": [""] });
    workspace.spec("acme.yaml", &spec);
    workspace.engine(&["run", "--once", "--now", NOW, "acme.yaml"]).expect(0);
    let json = workspace.engine(&["status", "-o", "json"]).expect(0).json();
    let status = &json[0];
    for (name, expected) in [
        ("pipeline", json!("acme")),
        ("health", json!("ok")),
        ("last_success", json!(NOW)),
        ("rows_read", json!(10)),
        ("sent", json!(9)),
        ("rejected", json!(1)),
        ("quarantine", json!(1)),
        ("outbox", json!(0)),
        ("live", json!(1)),
    ] {
        assert_eq!(status[name], expected, "{name} in {status}");
    }
    assert!(status["last_acknowledged"].is_string() && status["lag_seconds"].is_u64(), "{status}");
    workspace.engine(&["status", "acme"]).expect(0).says("acme").says("ok").says("1 row in quarantine");
    workspace.engine(&["status", "nobody"]).expect(2).says("there is no pipeline `nobody`").says("acme");
    workspace.engine(&["approve", "nobody"]).expect(2).says("there is no pipeline `nobody`");
    workspace.engine(&["approve", "acme"]).expect(0).says("nothing waits for approval");
}

#[test]
fn the_schemas_are_those_of_the_repository() {
    let workspace = Workspace::new();
    for name in ["pipeline", "engine"] {
        let file = root().join(format!("schemas/{name}.schema.json"));
        let expected = std::fs::read_to_string(file).expect("the schema is there");
        assert_eq!(workspace.engine(&["schema", name]).expect(0).stdout, expected, "{name}");
    }
    workspace.engine(&["schema"]).expect(0).says("\"Pipeline spec, version 1\"");
}

#[test]
fn shells_complete_the_commands() {
    let workspace = Workspace::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = workspace.engine(&["completions", shell]).expect(0).says("validate-spec").says("preview").stdout;
        workspace.write(shell, script);
    }
    workspace.run(Path::new("/bin/bash"), &["-n", "bash"]).expect(0);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (workspace, ..) = site();
    let command = format!("set -o pipefail; {} schema | head -c 1 > /dev/null", engine().display());
    workspace.run(Path::new("/bin/bash"), &["-c", &command]).expect(0);
}

#[test]
fn colours_obey_no_color() {
    let mut workspace = Workspace::new();
    workspace.write("wrong.yaml", "version: 1\nshedule: {}\n");
    // A terminal of its own, as a user has one.
    let command = format!("{} validate-spec wrong.yaml", engine().display());
    let seen = |workspace: &Workspace| {
        workspace.run(Path::new("/usr/bin/script"), &["--quiet", "--return", "--command", &command, "/dev/null"])
    };
    workspace.env("TERM", "xterm");
    assert!(seen(&workspace).expect(2).stdout.contains("\u{1b}["), "a terminal gets colours");
    workspace.env("NO_COLOR", "");
    assert!(seen(&workspace).expect(2).stdout.contains("\u{1b}["), "an empty variable counts as unset");
    workspace.env("NO_COLOR", "1");
    assert!(!seen(&workspace).expect(2).stdout.contains("\u{1b}["));
    let piped = workspace.engine(&["validate-spec", "wrong.yaml"]).expect(2);
    assert!(!piped.stdout.contains("\u{1b}["));
}
