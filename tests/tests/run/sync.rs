//! What changes in a source, and what of it reaches the platform.

use engine_tests::binary::Workspace;
use engine_tests::plant::{self, NOW, Plant};
use engine_tests::platform::Platform;
use serde_json::json;

use crate::Site;

#[test]
fn new_changed_and_gone_rows_are_sent_and_nothing_else() {
    let site = Site::orders();
    site.plant.orders(1..41);
    assert_eq!(site.well(), (40, 0, 0, 40, 0, 0));
    let requests = site.platform.requests().len();
    assert_eq!(site.well(), (0, 0, 0, 0, 0, 0));
    assert_eq!(site.platform.requests().len(), requests, "an unchanged run sends nothing");

    site.plant.execute("UPDATE auftrag SET menge = 999.5 WHERE id = 7");
    assert_eq!(site.well(), (0, 1, 0, 1, 0, 0));
    site.plant.execute("DELETE FROM auftrag WHERE id IN (8, 9)");
    assert_eq!(site.well(), (0, 0, 2, 0, 2, 0));
    // A row that comes late, with a time long before rows that were delivered.
    site.plant.execute("INSERT INTO auftrag VALUES (0, '1', 'p', 'M9', '2025-03-20 00:00:00', NULL, 1, NULL)");
    assert_eq!(site.well(), (1, 0, 0, 1, 0, 0));
    // A column that no field reads.
    site.plant.execute("UPDATE auftrag SET geaendert = 'x'");
    assert_eq!(site.well(), (0, 0, 0, 0, 0, 0));
    assert_eq!(site.platform.state().len(), 39);
    assert_eq!((site.platform.records(), site.platform.doubles()), (44, 0));
    site.converged();
}

#[test]
fn a_transaction_that_commits_late_is_not_missed() {
    for change in
        [json!({ "mode": "window" }), json!({ "mode": "cursor", "cursor": ["geaendert", "id"], "overlap": "1h" })]
    {
        let site = Site::orders().with(|spec| {
            if change["mode"] == "cursor" {
                spec["query"]["sql"] = CURSOR_SQL.into();
            }
            spec["sync"] = change.clone();
        });
        site.plant.orders(1..11);
        let late = Plant::new_writer(site.plant.path());
        late.execute(
            "BEGIN IMMEDIATE; INSERT INTO auftrag VALUES (100, '100', 'p', 'M9', '2025-03-29 00:00:00', NULL, 1,
             '2025-03-29 00:00:00')",
        );
        assert_eq!(site.well().0, 10);
        late.execute("COMMIT");
        assert_eq!(site.well().0, 1, "{change}");
        assert_eq!(site.platform.state().len(), 11);
    }
}

const CURSOR_SQL: &str = "SELECT id, anr, artnr, mnr, von, bis, menge, geaendert FROM auftrag\n\
    WHERE geaendert > {{ cursor.geaendert }} OR geaendert = {{ cursor.geaendert }} AND id > {{ cursor.id }}\n";

#[test]
fn a_cursor_with_ties_misses_no_row_and_repeats_none() {
    let site = Site::orders().with(|spec| {
        spec["query"]["sql"] = format!("{CURSOR_SQL} ORDER BY geaendert, id LIMIT 7").into();
        spec["sync"] = json!({ "mode": "cursor", "cursor": ["geaendert", "id"], "overlap": "0s" });
    });
    site.plant.orders(1..31);
    // Five rows share each instant.
    let mut runs = 0;
    while site.well().0 > 0 {
        runs += 1;
        assert!(runs < 20, "the cursor does not advance");
    }
    assert_eq!(site.platform.state().len(), 30);
    assert_eq!(site.platform.records(), 30);
    site.plant.execute("UPDATE auftrag SET menge = 5, geaendert = '2025-03-30 01:00:00' WHERE id = 3");
    assert_eq!(site.well(), (0, 1, 0, 1, 0, 0));
    site.plant.execute("DELETE FROM auftrag WHERE id = 4");
    assert_eq!(site.well(), (0, 0, 0, 0, 0, 0), "a cursor sees no deletes");
}

#[test]
fn in_full_mode_the_result_is_the_whole_truth() {
    let site = Site::orders().with(|spec| {
        spec["query"]["sql"] = "SELECT * FROM auftrag".into();
        spec["sync"] = json!({ "mode": "full" });
    });
    site.plant.orders(1..31);
    site.plant.execute("INSERT INTO auftrag VALUES (99, '1', 'p', 'M9', '1999-01-01', '1999-01-02', 1, NULL)");
    assert_eq!(site.well().0, 31);
    site.plant.execute("DELETE FROM auftrag WHERE id IN (5, 99)");
    assert_eq!(site.well(), (0, 0, 2, 0, 2, 0));
    site.converged();
}

#[test]
fn the_first_fill_goes_back_to_the_start_in_slices() {
    let site = Site::orders().with(|spec| {
        spec["sync"] = json!({ "lookback": "2d", "start": "2025-03-01", "slice": "5d" });
    });
    for day in 1..30 {
        site.plant.execute(&format!(
            "INSERT INTO auftrag VALUES ({day}, '{day}', 'p', 'M1', '2025-03-{day:02} 06:00:00',
             '2025-03-{day:02} 07:00:00', 1, NULL)"
        ));
    }
    site.plant.execute("INSERT INTO auftrag VALUES (99, '1', 'p', 'M1', '2025-02-27', '2025-02-28', 1, NULL)");
    let outcome = site.once().expect(0);
    assert_eq!(outcome.events("run_finished")[0]["rows"], 29);
    assert_eq!(site.platform.state().len(), 29);
    // Once filled, the rest lies before the window: neither read nor gone.
    site.plant.execute("DELETE FROM auftrag WHERE id < 20");
    assert_eq!(site.well(), (0, 0, 0, 0, 0, 0));
    assert_eq!(site.platform.state().len(), 29);
}

#[test]
fn a_brake_stops_deletes_until_they_are_approved() {
    let site = Site::orders();
    site.plant.orders(1..101);
    site.well();
    let before = site.platform.state();

    site.plant.execute("DELETE FROM auftrag WHERE id > 60");
    for _ in 0..2 {
        let outcome = site.once().expect(1);
        let failure = &outcome.events("run_failed")[0];
        let message = failure["message"].as_str().unwrap_or_default();
        assert!(message.starts_with("40 of 100 records would be deleted (40%), more than `sync.delete_limit: 10%`"));
        assert!(failure["hint"].as_str().is_some_and(|hint| hint.contains("engine approve acme")), "{outcome}");
        assert_eq!(site.platform.state(), before);
    }
    let status = site.status();
    assert_eq!(status["health"], "held");
    site.workspace.engine(&["status"]).expect(0).says("held").says("engine approve acme").says("2 times in a row");

    site.workspace.engine(&["approve", "acme"]).expect(0).says("40 of 100 records");
    site.workspace.engine(&["status"]).expect(0).says("approved");
    assert_eq!(site.well(), (0, 0, 40, 0, 40, 0));
    assert_eq!(site.status()["health"], "ok");
    site.converged();

    // An approval holds for one run.
    site.plant.execute("DELETE FROM auftrag");
    let outcome = site.once().expect(1).says("the result is empty where there were 60 records");
    assert_eq!(outcome.events("run_failed").len(), 1);
    assert_eq!(site.platform.state().len(), 60);
    // The rows come back: nothing waits any more.
    site.plant.orders(1..61);
    assert_eq!(site.well(), (0, 0, 0, 0, 0, 0));
    site.workspace.engine(&["approve", "acme"]).expect(0).says("nothing waits for approval");
}

#[test]
fn deletes_can_be_ignored() {
    let site = Site::orders().with(|spec| spec["sync"] = json!({ "deletes": "ignore" }));
    site.plant.orders(1..31);
    site.well();
    site.plant.execute("DELETE FROM auftrag");
    assert_eq!(site.well(), (0, 0, 0, 0, 0, 0));
    assert_eq!(site.platform.state().len(), 30);
}

#[test]
fn another_database_under_the_same_name_is_noticed() {
    let site = Site::orders();
    site.plant.orders(1..31);
    site.well();
    // Other rows under the same keys, in a file that was put there.
    for name in ["mes.db", "mes.db-wal", "mes.db-shm"] {
        let _ = std::fs::remove_file(site.workspace.path(name));
    }
    let other = Plant::new(&site.workspace.path("mes.db"));
    other.execute("INSERT INTO auftrag VALUES (1, '1', 'p', 'M1', '2025-03-29', NULL, 1, NULL)");
    site.once().expect(1);
    assert_eq!(site.platform.state().len(), 30, "nothing was deleted");
}

#[test]
fn bookings_are_folded_whatever_their_order() {
    let site = Site::bookings();
    let book = |id: i64, machine: &str, kind: &str, time: &str| {
        site.plant.execute(&format!(
            "INSERT INTO buchung VALUES ({id}, '47', 'p', '{machine}', '{kind}', '2025-03-29 {time}')"
        ));
    };
    book(1, "M1", "A", "06:00:00");
    site.well();
    assert!(site.platform.state().values().all(|run| run.get("end").is_none()), "live");
    book(2, "M1", "E", "09:00:00");
    site.well();
    site.converged();
    // An interruption that was booked late splits the run.
    book(3, "M1", "A", "08:00:00");
    book(4, "M1", "E", "07:00:00");
    site.well();
    assert_eq!(site.platform.state().len(), 2);
    site.converged();
    // A correction, a removal, and an END that comes before its START.
    site.plant.execute("UPDATE buchung SET zeit = '2025-03-29 07:30:00' WHERE id = 4");
    book(5, "M2", "E", "11:00:00");
    site.once();
    book(6, "M2", "A", "10:00:00");
    site.plant.execute("DELETE FROM buchung WHERE id = 2");
    site.well();
    site.converged();
    assert_eq!(site.well(), (0, 0, 0, 0, 0, 0));
}

#[test]
fn rows_are_delivered_where_they_are_asked_for() {
    let site = Site::bookings().with(|spec| spec["destination"]["deliver"] = "rows".into());
    site.plant.execute("INSERT INTO buchung VALUES (1, '47', 'p', 'M1', 'A', '2025-03-29 06:00:00')");
    site.plant.execute("INSERT INTO buchung VALUES (2, '47', 'p', 'M1', 'E', '2025-03-29 07:00:00')");
    assert_eq!(site.well().3, 2);
    let state = site.platform.state();
    let mut events: Vec<_> = state.values().map(|row| row["event"].as_str().unwrap_or_default()).collect();
    events.sort_unstable();
    assert_eq!(events, ["END", "START"]);
    site.plant.execute("DELETE FROM buchung WHERE id = 2");
    site.well();
    site.converged();
}

#[test]
fn a_change_of_the_mapping_is_noticed_and_sent_as_a_difference() {
    let mut site = Site::orders();
    site.plant.orders(1..31);
    site.well();
    site.spec["fields"]["product_code"] =
        json!({ "column": "artnr", "transform": [{ "replace": { "pattern": "-", "with": "" } }] });
    let outcome = site.once().expect(0).says("the mapping changed");
    assert_eq!(outcome.events("run_finished")[0]["changed"], 30);
    site.converged();
    // What is read the same way is not sent again: another file name, other white space, another comment.
    site.spec["description"] = "other words".into();
    site.workspace.spec("moved/acme.yaml", &site.spec);
    site.workspace.run(std::path::Path::new("/bin/ln"), &["-s", "../mes.db", "moved/mes.db"]).expect(0);
    let outcome = site.workspace.engine(&["run", "--once", "--now", NOW, "moved"]).expect(0);
    assert_eq!(outcome.events("run_finished")[0]["upserts"], 0, "{outcome}");
    // A new key gives new ids; the records of the window move as a whole, which the brake holds.
    site.spec["key"] = json!(["anr"]);
    site.once().expect(1).says("which gives records new ids");
    site.workspace.engine(&["approve", "acme"]).expect(0);
    assert_eq!(site.well(), (30, 0, 30, 30, 30, 0));
    site.converged();
}

#[test]
fn quarantine_heals() {
    let mut site = Site::bookings();
    for (id, kind, time) in [(1, "A", "06:00:00"), (2, "E", "07:00:00"), (3, "X", "08:00:00"), (4, "E", "09:00:00")] {
        site.plant
            .execute(&format!("INSERT INTO buchung VALUES ({id}, '47', 'p', 'M1', '{kind}', '2025-03-29 {time}')"));
    }
    site.once().expect(0);
    let status = site.status();
    assert!(status["quarantine"].as_u64() >= Some(1), "{status}");
    site.workspace.engine(&["status"]).expect(0).says("in quarantine");
    assert_eq!(site.platform.state().len(), 1);
    site.spec["fields"]["event"]["map"]["X"] = "START".into();
    site.once().expect(0);
    assert_eq!(site.status()["quarantine"], 0);
    assert_eq!(site.platform.state().len(), 2);
    site.converged();
}

#[test]
fn a_file_and_standard_output_take_the_same_lines() {
    let workspace = Workspace::new();
    Plant::new(&workspace.path("mes.db")).orders(1..1_001);
    workspace.spec("file/a.yaml", &plant::orders("to-file", &plant::to_file("runs.ndjson")));
    workspace.spec("out/a.yaml", &plant::orders("to-file", &json!({ "type": "stdout" })));
    let source = workspace.path("mes.db");
    for folder in ["file", "out"] {
        std::os::unix::fs::symlink(&source, workspace.path(&format!("{folder}/mes.db"))).expect("a link");
    }
    workspace.engine(&["run", "--once", "--now", NOW, "file"]).expect(0);
    let mut elsewhere = Workspace::new();
    elsewhere.env("STATE_DIRECTORY", &elsewhere.path("state").to_string_lossy());
    let out = elsewhere.engine(&["run", "--once", "--now", NOW, &workspace.path("out").to_string_lossy()]).expect(0);
    assert!(elsewhere.path("state/state.db").is_file() && !elsewhere.path(".engine").exists());
    assert_eq!(out.stdout.lines().count(), 1_000);
    let parsed = |text: &str| {
        let mut lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        lines.sort_by_key(|line| line["run_id"].to_string());
        lines
    };
    assert_eq!(parsed(&out.stdout), parsed(&workspace.read("runs.ndjson")));
}

#[test]
fn a_reader_that_goes_away_is_told_at_once() {
    let workspace = Workspace::new();
    Plant::new(&workspace.path("mes.db")).orders(1..5_001);
    workspace.spec("a.yaml", &plant::orders("acme", &json!({ "type": "stdout" })));
    let engine = engine_tests::binary::engine().display();
    let command = format!("{engine} run --once --now {NOW} a.yaml | head -n 1 > /dev/null; exit ${{PIPESTATUS[0]}}");
    let began = std::time::Instant::now();
    let outcome = workspace.run(std::path::Path::new("/bin/bash"), &["-c", &command]).expect(3);
    outcome.says("nobody reads standard output any more");
    assert!(began.elapsed().as_secs() < 20, "it waited for a reader that does not come back");
    // What nobody read is not lost.
    assert_eq!(workspace.engine(&["run", "--once", "--now", NOW, "a.yaml"]).expect(0).stdout.lines().count(), 5_000);
}

#[test]
fn processes_share_a_state_without_getting_in_each_others_way() {
    let (workspace, platform) = (Workspace::new(), Platform::start());
    Plant::new(&workspace.path("mes.db")).orders(1..301);
    let runs: Vec<_> = (0..4)
        .map(|number| {
            let mut spec = plant::orders(&format!("p{number}"), &plant::to_url(&platform.url()));
            spec["destination"]["batch"] = json!({ "max_records": 20 });
            workspace.spec(&format!("p{number}.yaml"), &spec);
            workspace.start(&["run", "--once", "--now", NOW, &format!("p{number}.yaml")])
        })
        .collect();
    for run in runs {
        run.finish().expect(0);
    }
    assert_eq!((platform.state().len(), platform.doubles()), (1_200, 0));
    platform.assert_contract();
}

#[test]
fn a_machine_that_is_mapped_later_leaves_the_quarantine() {
    let site = Site::orders().with(|spec| {
        spec["machines"] = json!({ "file": "machines.csv" });
        spec["labels"] = json!({ "customer": "acme" });
    });
    site.plant.orders(1..11);
    let ids: Vec<String> = (1..6).map(|n| format!("M{n},3f2b7c1e-0d5a-4a53-9d0e-0a6f5f1c8f1{n}")).collect();
    site.workspace.write("machines.csv", format!("code,id\n{}\n", ids[..4].join("\n")));
    assert_eq!(site.well(), (8, 0, 0, 8, 0, 2));
    assert_eq!(site.status()["quarantine"], 2);
    site.workspace.write("machines.csv", format!("code,id\n{}\n", ids.join("\n")));
    assert_eq!(site.well(), (2, 0, 0, 2, 0, 0));
    assert_eq!(site.status()["quarantine"], 0);
    let state = site.platform.state();
    assert!(state.values().all(|run| run["machine"].is_string()), "{state:?}");
    assert_eq!(site.platform.requests()[0].body["labels"], json!({ "customer": "acme" }));
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// Whatever happens inside the window, in whatever order, the platform equals what a fresh full run would give.
#[test]
fn the_platform_converges_whatever_happens() {
    for seed in 0..3 {
        let mut dice = Dice(seed);
        let site = Site::bookings().with(|spec| {
            spec["sync"] = json!({ "delete_limit": "100%" });
            spec["merge"] = if seed == 2 { json!({ "gap": "5m" }) } else { json!({ "gap": "0s" }) };
            if seed == 1 {
                spec.as_object_mut().expect("a spec").shift_remove("merge");
            }
        });
        // Something always stays, so that no result is empty.
        site.plant.execute("INSERT INTO buchung VALUES (0, '1', 'p', 'M0', 'A', '2025-03-29 00:00:00')");
        for _ in 0..8 {
            for _ in 0..1 + dice.below(12) {
                let (id, minute) = (1 + dice.below(40), dice.below(600));
                let kind = if dice.below(2) == 0 { "A" } else { "E" };
                let (order, machine) = (dice.below(3), 1 + dice.below(3));
                match dice.below(4) {
                    0 => site.plant.execute(&format!("DELETE FROM buchung WHERE id = {id}")),
                    _ => site.plant.execute(&format!(
                        "INSERT OR REPLACE INTO buchung VALUES ({id}, '{order}', 'p', 'M{machine}', '{kind}',
                         strftime('%Y-%m-%d %H:%M:%S', '2025-03-29', '+{minute} minutes'))"
                    )),
                }
            }
            site.well();
            assert_eq!(site.platform.state(), site.fresh(), "seed {seed}");
        }
        assert_eq!(site.well(), (0, 0, 0, 0, 0, site.well().5));
        assert_eq!(site.platform.doubles(), 0, "seed {seed}: a record was sent that says nothing new");
    }
}
