//! `engine state`: what is remembered is shown, copied and forgotten.

use engine_tests::binary::Workspace;
use engine_tests::plant::{self, NOW};
use serde_json::{Value, json};

use super::Site;

/// A site with twenty bookings of ten runs, one of them refused, all delivered.
fn delivered() -> Site {
    let site = Site::bookings();
    site.plant.execute(
        "INSERT INTO buchung WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 20)
         SELECT id, 4711000 + (id - 1) / 2, '25-1002', 'M1', CASE id % 2 WHEN 1 THEN 'A' ELSE 'E' END,
                strftime('%Y-%m-%d %H:%M:%S', '2025-03-29', '+' || (id * 10) || ' minutes') FROM n;
         INSERT INTO buchung VALUES (21, '47', '25-1002', 'M2', 'X', '2025-03-29 06:00:00');",
    );
    site.well();
    assert_eq!(site.platform.state().len(), 10);
    site
}

fn sent(site: &Site) -> (u64, u64) {
    let found = site.well();
    (found.3, found.4)
}

#[test]
fn what_is_remembered_is_listed_and_shown() {
    let site = delivered();
    let listed = site.workspace.engine(&["state", "list", "-o", "json"]).expect(0).json();
    for (name, expected) in [
        ("pipeline", json!("acme")),
        ("rows", json!(20)),
        ("records", json!(10)),
        ("live", json!(0)),
        ("outbox", json!(0)),
        ("quarantine", json!(1)),
        ("cursor", Value::Null),
        ("filled_until", json!(NOW)),
        ("last_run", json!(NOW)),
        ("brake", Value::Null),
    ] {
        assert_eq!(listed[0][name], expected, "{name} in {listed}");
    }
    site.workspace.engine(&["state", "list"]).expect(0).says("read until").says(NOW);
    let shown = site.workspace.engine(&["state", "show", "acme"]).expect(0);
    shown.says("20 source rows, 10 records, 0 of them live").says("21 rows read").says("acknowledged");
    let shown = site.workspace.engine(&["state", "show", "acme", "-o", "json"]).expect(0).json();
    assert_eq!((&shown["state"]["last_run"]["rows"], &shown["records"]), (&json!(21), &json!(10)), "{shown}");

    site.plant.execute("DELETE FROM buchung");
    site.once().expect(1);
    let listed = site.workspace.engine(&["state", "list", "-o", "json"]).expect(0).json();
    assert_eq!(listed[0]["brake"], "empty", "{listed}");
    site.workspace.engine(&["state", "show", "acme"]).expect(0).says("brake").says("since 2025-03-30");
}

#[test]
fn a_reset_says_what_it_means_and_does_it_when_told() {
    for (what, resent) in [("all", 10), ("ledger", 10), ("cursor", 0)] {
        let site = delivered();
        let before = site.workspace.engine(&["state", "show", "acme"]).expect(0).stdout;
        let dry = site.workspace.engine(&["state", "reset", "acme", "--what", what]).expect(0);
        dry.says("acme: would be forgotten").says("the next run").says("`--yes` does it");
        assert_eq!(site.workspace.engine(&["state", "show", "acme"]).expect(0).stdout, before, "{what}: a dry run");
        assert_eq!(sent(&site), (0, 0));

        let args = ["state", "reset", "acme", "--what", what, "--yes", "-o", "json"];
        let done = site.workspace.engine(&args).expect(0).json();
        assert_eq!((&done["done"], &done["what"]), (&json!(true), &json!(what)), "{done}");
        assert_eq!(sent(&site), (resent, 0), "{what}");
        site.converged();
    }
}

#[test]
fn a_copy_goes_to_another_device_and_nothing_is_sent_twice() {
    let site = delivered();
    let exported = site.workspace.engine(&["state", "export", "acme", "--to", "acme.state"]).expect(0);
    exported.says("acme: 33 things written to acme.state");
    let copy = site.workspace.read("acme.state");
    assert_eq!(site.workspace.engine(&["state", "export", "acme"]).expect(0).stdout, copy);

    site.workspace.engine(&["state", "import", "acme.state"]).expect(2).says("has a state already").says("--replace");
    site.workspace.engine(&["state", "reset", "acme", "--what", "all", "--yes"]).expect(0);
    site.workspace.engine(&["state", "import", "acme.state"]).expect(0).says("33 things read");
    assert_eq!(site.workspace.engine(&["state", "export", "acme"]).expect(0).stdout, copy);
    assert_eq!(sent(&site), (0, 0));
    site.workspace.engine(&["state", "import", "--replace", "acme.state"]).expect(0);
    assert_eq!(sent(&site), (0, 0));

    let other = Workspace::new();
    other.write("acme.state", &copy);
    other.engine(&["state", "import", "acme.state"]).expect(0);
    assert_eq!(other.engine(&["state", "export", "acme"]).expect(0).stdout, copy);
}

#[test]
fn a_copy_that_is_not_whole_changes_nothing() {
    let site = delivered();
    let copy = site.workspace.engine(&["state", "export", "acme"]).expect(0).stdout;
    let lines: Vec<&str> = copy.lines().collect();
    let without_end = lines[..lines.len() - 1].join("\n") + "\n";
    let one_is_missing = copy.replacen(&format!("{}\n", lines[5]), "", 1);
    for (text, part) in [
        (without_end.as_str(), "cut short"),
        (&copy[..copy.len() / 2], "cut short"),
        (copy.trim_end(), "cut short"),
        (&one_is_missing, "33 things were written, and 32 are there"),
        (&format!("{copy}{}\n", lines[5]), "follows its last line"),
        (&copy.replacen("\"version\":2", "\"version\":3", 1), "its version is 3"),
        (&copy.replacen("\"kind\":\"row\"", "\"kind\":\"raw\"", 1), "`raw`"),
        ("id;name\n", "not what `engine state export` writes"),
        ("", "not what `engine state export` writes"),
    ] {
        site.workspace.write("acme.state", text);
        let args = ["state", "import", "--replace", "acme.state"];
        site.workspace.engine(&args).expect(2).says(part).says("acme.state, line");
        assert_eq!(site.workspace.engine(&["state", "export", "acme"]).expect(0).stdout, copy, "{part}");
    }
    site.workspace.engine(&["state", "import", "nowhere"]).expect(3).says("nowhere");
}

#[test]
fn nobody_touches_what_a_service_runs() {
    let site = delivered();
    site.workspace.engine(&["state", "export", "acme", "--to", "acme.state"]).expect(0);
    let mut spec = plant::bookings("acme", &plant::to_url(&site.platform.url()));
    spec["schedule"] = json!({ "every": "1s" });
    site.workspace.spec("acme.yaml", &spec);
    let mut service = site.workspace.start(&["run", "acme.yaml"]);
    service.event("run_finished", "acme");
    for args in [
        &["state", "export", "acme"][..],
        &["state", "import", "--replace", "acme.state"],
        &["state", "reset", "acme", "--what", "all"],
    ] {
        let refused = site.workspace.engine(args).expect(1);
        refused.says(&format!("in use, by process {}", service.id())).says("stop the service");
    }
    // To look is no harm.
    site.workspace.engine(&["state", "list"]).expect(0).says("acme");
    assert!(service.kill());
}
