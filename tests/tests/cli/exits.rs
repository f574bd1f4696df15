//! One exit code for each kind of cause, and words that say what to do.

use std::net::TcpListener;
use std::time::Duration;

use engine_tests::binary::{Workspace, await_that};
use engine_tests::plant::{self, NOW};
use engine_tests::platform::{Fault, Platform};
use serde_json::{Value, json};

use crate::site;

/// How soon a stop must be over.
const STOP_MAX: Duration = Duration::from_secs(10);

fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// Runs `acme.yaml` after a change of the spec: the exit code, and what must be said.
#[track_caller]
fn check(code: i32, parts: &[&str], change: impl FnOnce(&mut Value)) {
    let (mut workspace, plant, mut spec) = site();
    plant.execute("UPDATE auftrag SET anr = NULL WHERE id = 3");
    workspace.env("DB_PASSWORD", "canary");
    change(&mut spec);
    workspace.spec("acme.yaml", &spec);
    let mut outcome = workspace.engine(&["run", "--once", "--now", NOW, "acme.yaml"]).expect(code);
    for part in parts {
        outcome = outcome.says(part);
    }
}

#[test]
fn zero_when_all_is_well() {
    check(0, &["10 rows read", "1 rejected"], |_| {});
    check(0, &["delivered"], |spec| spec["max_rejected"] = "50%".into());
}

#[test]
fn one_when_a_run_fails() {
    check(1, &["1 of 10 rows were rejected", "max_rejected", "engine preview"], |spec| {
        spec["max_rejected"] = "5%".into();
    });
    check(1, &["no_such_table"], |spec| {
        spec["query"]["sql"] =
            "SELECT * FROM no_such_table WHERE von >= {{ window.start }} AND von < {{ window.end }}".into();
    });
}

#[test]
fn two_when_a_spec_or_the_usage_is_wrong() {
    check(2, &["acme.yaml", "unknown_key", "did you mean `lookback`"], |spec| {
        spec["sync"] = json!({ "lookbak": "1d" });
    });
    check(2, &["fields.order_code", "`no_such_column`"], |spec| spec["fields"]["order_code"] = "no_such_column".into());
    let (workspace, ..) = site();
    for (args, part) in [
        (&["run", "--onec", "acme.yaml"][..], "--onec"),
        (&["run", "--once", "nowhere.yaml"], "nowhere.yaml"),
        (&["fly"], "fly"),
        (&["run", "--once", "--now", "yesterday", "acme.yaml"], "yesterday"),
        (&["run", "--now", NOW, "acme.yaml"], "--once"),
        (&["render", "-o", "xml", "acme.yaml"], "xml"),
        (&["approve"], "PIPELINE"),
        (&["validate-spec", "nowhere/"], "nowhere"),
    ] {
        workspace.engine(args).expect(2).says(part);
    }
    workspace.engine(&["--help"]).expect(0).says("validate-spec").says("approve");
    workspace.engine(&["--version"]).expect(0).says("engine ");
}

#[test]
fn two_when_the_device_config_is_wrong() {
    let (workspace, ..) = site();
    workspace.write("engine.yaml", "version: 1\nlimit: { concurrency: 4 }\n");
    workspace.engine(&["run", "--once", "acme.yaml"]).expect(2).says("engine.yaml:2:1").says("limits");
    workspace.write("engine.yaml", "version: 1\nstate: { url: postgres://somewhere/state?lease=1 }\n");
    workspace.engine(&["run", "--once", "acme.yaml"]).expect(3).says("state.url").says("lease");
    let port = closed_port();
    workspace.write("engine.yaml", format!("version: 1\nstate: {{ url: postgres://127.0.0.1:{port}/state }}\n"));
    let place = format!("127.0.0.1:{port}/state");
    workspace.engine(&["run", "--once", "acme.yaml"]).expect(3).says(&place).says("nothing is lost");
    workspace.engine(&["run", "--once", "--config", "none.yaml", "acme.yaml"]).expect(3).says("none.yaml");
}

#[test]
fn three_when_the_environment_is_wrong() {
    check(3, &["acme.yaml", "source.path", "MES_FILE"], |spec| spec["source"]["path"] = json!({ "env": "MES_FILE" }));
    check(3, &["elsewhere.db"], |spec| spec["source"]["path"] = "elsewhere.db".into());
    for kind in ["postgres", "mariadb", "mysql"] {
        let port = closed_port();
        check(3, &[&format!("127.0.0.1:{port}"), "etl"], |spec| {
            spec["source"] = json!({
                "type": kind, "host": "127.0.0.1", "port": port, "database": "mes", "username": "etl",
                "password": { "env": "DB_PASSWORD" }, "timezone": "Europe/Berlin",
            });
        });
    }
    let platform = Platform::start();
    platform.script(vec![Fault::status(403)]);
    check(3, &["403", &platform.url(), "outbox"], |spec| spec["destination"] = plant::to_url(&platform.url()));
    platform.script(vec![Fault::too_many(3_000)]);
    check(3, &["429", "outbox"], |spec| spec["destination"] = plant::to_url(&platform.url()));
    check(3, &["no/such/folder"], |spec| spec["destination"] = plant::to_file("no/such/folder/runs.ndjson"));
}

#[test]
fn the_worst_cause_counts_and_the_others_are_done() {
    let (workspace, _plant, mut spec) = site();
    spec["id"] = "brakes".into();
    spec["shedule"] = json!({});
    workspace.spec("wrong.yaml", &spec);
    workspace.engine(&["run", "--once", "--now", NOW, "."]).expect(2).says("shedule").says("10 records delivered");
    assert_eq!(workspace.lines("runs.ndjson").len(), 10);
}

#[test]
fn state_that_is_not_there_is_told() {
    let workspace = Workspace::new();
    for args in [&["status"][..], &["approve", "acme"]] {
        workspace.engine(args).expect(3).says("there is no state").says("hint");
    }
    assert!(!workspace.path(".engine").exists(), "looking makes nothing");
}

#[test]
fn a_damaged_state_is_told_and_left_alone() {
    let (mut workspace, ..) = site();
    workspace.write("damaged/state.db", "this is no database");
    workspace.write("file", "");
    for (place, part) in [("damaged", "damaged/state.db"), ("file", "file")] {
        workspace.env("STATE_DIRECTORY", place);
        workspace.engine(&["run", "--once", "acme.yaml"]).expect(3).says(part).says("hint: ");
    }
    assert_eq!(workspace.read("damaged/state.db"), "this is no database");
    assert!(!workspace.path("runs.ndjson").exists(), "nothing was delivered without a state");
}

#[test]
fn a_run_that_is_told_to_stop_stops_and_the_next_one_goes_on() {
    let (workspace, plant, mut spec) = site();
    plant.orders(11..3_001);
    // Slow enough to be stopped in the middle, on every machine.
    spec["query"]["sql"] =
        "SELECT a.* FROM auftrag a JOIN auftrag b ON b.id <> a.id JOIN auftrag c ON c.id = a.id + b.id\n\
         WHERE a.von >= {{ window.start }} AND a.von < {{ window.end }} AND b.menge + c.menge = -1"
            .into();
    workspace.spec("acme.yaml", &spec);
    let running = workspace.start(&["run", "--once", "--now", NOW, "acme.yaml"]);
    await_that("the pipeline is taken", || !workspace.read(".engine/locks/acme.lock").is_empty());
    running.signal("TERM");
    // The run was not done.
    let outcome = running.finish_within(STOP_MAX).expect(1);
    assert_eq!(outcome.events("run_finished").len(), 0, "{outcome}");
    workspace.spec("acme.yaml", &plant::orders("acme", &plant::to_file("runs.ndjson")));
    workspace.engine(&["run", "--once", "--now", NOW, "acme.yaml"]).expect(0).says("3000 new");
}
