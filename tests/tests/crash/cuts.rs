//! Power cuts over a SQLite source: `engine` is killed at every moment of its work, started again, killed again.
//!
//! Whatever was cut off, the destination's final state equals that of an undisturbed run, no line is written twice,
//! the state is sound, and nobody waits for a lease of the dead. `ENGINE_CRASH_SECONDS` says how long each test goes
//! on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use engine_tests::binary::{self, PATIENCE, Workspace, await_some};
use engine_tests::plant::{self, NOW, Plant};
use engine_tests::platform::{Fault, Platform};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

/// How long each test goes on, where nobody says.
const SECONDS_DEFAULT: u64 = 12;
/// Rounds that every test makes, however slow the machine.
pub const ROUNDS_MIN: u32 = 3;
/// Kills of one round, before the pipeline may end undisturbed.
const KILLS_MAX: u32 = 8;
/// Rows of the source.
const ROWS: i64 = 300;
/// Rows that change between two kills.
const CHANGES: i64 = 7;

pub fn deadline() -> Instant {
    // What has to be built is not on the clock.
    binary::engine();
    let seconds = std::env::var("ENGINE_CRASH_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Instant::now() + Duration::from_secs(seconds.unwrap_or(SECONDS_DEFAULT))
}

/// Fewer where the disk is so slow that the time is over before the rounds are.
fn kills_of_a_round(deadline: Instant) -> u32 {
    if Instant::now() < deadline { KILLS_MAX } else { 1 }
}

/// Fractions of one that fill the range evenly, ever finer: the van der Corput sequence.
fn fraction(number: u32) -> f64 {
    f64::from(number.reverse_bits()) / f64::from(u32::MAX)
}

const ARGS: [&str; 5] = ["run", "--once", "--now", NOW, "acme.yaml"];

/// How long a whole run takes here.
fn time_of_a_run(spec: &Value, plant: &Plant) -> Duration {
    let (workspace, platform) = (Workspace::new(), Platform::start());
    let mut spec = spec.clone();
    spec["source"]["path"] = plant.path().to_string_lossy().into();
    if spec["destination"]["type"] == "http" {
        spec["destination"]["url"] = platform.url().into();
    }
    workspace.spec("acme.yaml", &spec);
    let began = Instant::now();
    workspace.engine(&ARGS).expect(0);
    began.elapsed()
}

/// Starts the engine and kills it after a while. `false` where it had ended by itself.
fn cut_after(workspace: &Workspace, args: &[&str], delay: Duration) -> bool {
    let mut running = workspace.start(args);
    // The moment is the fault, not a wait for something.
    std::thread::sleep(delay);
    running.kill()
}

/// The state file is whole, whatever was cut off.
#[track_caller]
pub fn assert_state_is_sound(workspace: &Workspace) {
    let path = workspace.path(".engine/state.db");
    if !path.is_file() {
        return;
    }
    let state = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).expect("the state opens");
    let sound = state.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    assert_eq!(sound.as_deref(), Ok("ok"));
}

/// Changes the source: new rows, corrections, removals.
fn change(plant: &Plant, step: i64) {
    let first = 10_000 + step * CHANGES;
    plant.orders(first..first + CHANGES);
    plant.execute(&format!(
        "UPDATE auftrag SET menge = {step} WHERE id % 41 = {}; DELETE FROM auftrag WHERE id % 97 = {}",
        step % 41,
        step % 97
    ));
}

/// What an undisturbed pipeline over the source as it is now delivers.
pub fn undisturbed(spec: &Value, plant: &Plant) -> BTreeMap<String, Value> {
    let (workspace, platform) = (Workspace::new(), Platform::start());
    let mut spec = spec.clone();
    spec["source"]["path"] = plant.path().to_string_lossy().into();
    spec["destination"] = plant::to_url(&platform.url());
    workspace.spec("acme.yaml", &spec);
    workspace.engine(&ARGS).expect(0);
    platform.state()
}

fn order_spec(destination: &Value) -> Value {
    let mut spec = plant::orders("acme", destination);
    spec["destination"]["batch"] = json!({ "max_records": 20 });
    spec["sync"] = json!({ "delete_limit": "100%" });
    spec
}

/// Changes the bookings: new ones, corrections, removals.
fn rebook(plant: &Plant, step: i64) {
    for id in step * 20..step * 20 + 40 {
        let (kind, machine, minute) = (if id % 2 == 0 { "A" } else { "E" }, id / 2 % 3, id * 7 % 900);
        plant.execute(&format!(
            "INSERT OR REPLACE INTO buchung VALUES ({id}, '{}', 'p', 'M{machine}', '{kind}',
             strftime('%Y-%m-%d %H:%M:%S', '2025-03-29', '+{} minutes'))",
            id / 4,
            minute + step
        ));
    }
    plant.execute(&format!("DELETE FROM buchung WHERE id % 17 = {}", step % 17));
}

/// What is killed, and what happens to its source between two kills.
struct Scenario {
    spec: fn(&Value) -> Value,
    args: &'static [&'static str],
    change: fn(&Plant, i64),
}

const SCENARIOS: [Scenario; 3] = [
    Scenario { spec: order_spec, args: &ARGS, change },
    // The service reads and delivers at the same time.
    Scenario {
        spec: |destination| {
            let mut spec = order_spec(destination);
            spec["query"]["sql"] = "SELECT * FROM auftrag".into();
            spec["sync"] = json!({ "mode": "full", "delete_limit": "100%" });
            spec["schedule"] = json!({ "every": "1s" });
            spec
        },
        args: &["run", "acme.yaml"],
        change,
    },
    Scenario {
        spec: |destination| {
            let mut spec = plant::bookings("acme", destination);
            spec["destination"]["batch"] = json!({ "max_records": 4 });
            spec["sync"] = json!({ "delete_limit": "100%" });
            spec
        },
        args: &ARGS,
        change: rebook,
    },
];

/// Does what a line of a file says to what the lines before it made.
pub fn apply(state: &mut BTreeMap<String, Value>, mut record: Value) {
    let id = record["run_id"].as_str().expect("an id").to_owned();
    let members = record.as_object_mut().expect("a record");
    members.shift_remove("pipeline");
    if members.shift_remove("op") == Some("delete".into()) {
        state.remove(&id);
    } else {
        state.insert(id, record);
    }
}

#[test]
fn the_platform_is_as_if_nothing_had_happened() {
    let deadline = deadline();
    let (mut round, mut moments, mut kills) = (0, 0, 0);
    while round < ROUNDS_MIN || Instant::now() < deadline {
        let scenario = &SCENARIOS[round as usize % SCENARIOS.len()];
        let (workspace, platform) = (Workspace::new(), Platform::start());
        let plant = Plant::new(&workspace.path("mes.db"));
        plant.orders(1..ROWS + 1);
        rebook(&plant, 0);
        if round % 2 == 1 {
            platform.forget_keys();
        }
        let spec = (scenario.spec)(&plant::to_url(&platform.url()));
        workspace.spec("acme.yaml", &spec);
        let whole = time_of_a_run(&spec, &plant);
        for step in 0..kills_of_a_round(deadline) {
            moments += 1;
            kills += u32::from(cut_after(&workspace, scenario.args, whole.mul_f64(fraction(moments))));
            assert_state_is_sound(&workspace);
            (scenario.change)(&plant, i64::from(step));
        }
        // Nobody waits for a lease of the dead.
        workspace.engine(&ARGS).expect(0);
        assert_eq!(platform.state(), undisturbed(&spec, &plant), "round {round}");
        platform.assert_contract();
        let sent = platform.requests().len();
        workspace.engine(&ARGS).expect(0);
        assert_eq!(platform.requests().len(), sent, "round {round}: something was left over");
        round += 1;
    }
    assert!(kills > 0, "the runs ended before they could be killed");
}

#[test]
fn no_line_of_a_file_is_lost_or_doubled() {
    let deadline = deadline();
    let (mut round, mut moments, mut kills) = (0, 0, 0);
    while round < ROUNDS_MIN || Instant::now() < deadline {
        let workspace = Workspace::new();
        let plant = Plant::new(&workspace.path("mes.db"));
        plant.orders(1..ROWS + 1);
        let spec = order_spec(&plant::to_file("runs.ndjson"));
        workspace.spec("acme.yaml", &spec);
        let whole = time_of_a_run(&spec, &plant);
        // In even rounds the source stands still: every line must then come exactly once.
        let stands_still = round % 2 == 0;
        for step in 0..kills_of_a_round(deadline) {
            moments += 1;
            kills += u32::from(cut_after(&workspace, &ARGS, whole.mul_f64(fraction(moments))));
            assert_state_is_sound(&workspace);
            if !stands_still {
                change(&plant, i64::from(step));
            }
        }
        workspace.engine(&ARGS).expect(0);
        let text = workspace.read("runs.ndjson");
        let mut state = BTreeMap::new();
        let mut before: BTreeMap<String, &str> = BTreeMap::new();
        for line in text.lines() {
            let record: Value = serde_json::from_str(line).expect("every line is whole");
            let id = record["run_id"].as_str().expect("an id").to_owned();
            assert_ne!(before.insert(id, line), Some(line), "round {round}: a line came twice in a row");
            apply(&mut state, record);
        }
        if stands_still {
            assert_eq!(text.lines().count(), usize::try_from(ROWS).expect("few rows"), "round {round}");
        }
        assert_eq!(state, undisturbed(&spec, &plant), "round {round}");
        workspace.engine(&ARGS).expect(0);
        assert_eq!(workspace.read("runs.ndjson"), text, "round {round}: something was left over");
        round += 1;
    }
    assert!(kills > 0, "the runs ended before they could be killed");
}

/// Kills that hit the moment around an acknowledgement: the platform has applied a parcel, and the engine may not know.
#[test]
fn a_kill_at_every_request_loses_nothing() {
    const RUNS: u32 = 50;
    const KILLS: u32 = 5;
    const PARCEL: u32 = 5;
    let deadline = deadline();
    let mut round = 0;
    while round < ROUNDS_MIN || Instant::now() < deadline {
        let (workspace, platform) = (Workspace::new(), Platform::start());
        let plant = Plant::new(&workspace.path("mes.db"));
        for id in 0..2 * RUNS {
            let (kind, machine) = (if id % 2 == 0 { "A" } else { "E" }, id / 2 % 4);
            plant.execute(&format!(
                "INSERT INTO buchung VALUES ({id}, '{}', 'p', 'M{machine}', '{kind}',
                 strftime('%Y-%m-%d %H:%M:%S', '2025-03-29', '+{id} minutes'))",
                id / 2
            ));
        }
        let mut spec = plant::bookings("acme", &plant::to_url(&platform.url()));
        spec["destination"]["batch"] = json!({ "max_records": PARCEL });
        workspace.spec("acme.yaml", &spec);
        for kill in 0..KILLS {
            let before = platform.requests().len();
            let fault = match (round + kill) % 3 {
                0 => Fault::StallAfterApply,
                1 => Fault::Stall,
                _ => Fault::Serve,
            };
            platform.script(vec![Fault::Serve, fault]);
            let mut running = workspace.start(&ARGS);
            let reached =
                await_some(PATIENCE, || (platform.requests().len() >= before + 2 || running.has_ended()).then_some(()));
            assert!(reached.is_some(), "round {round}: no request came");
            running.kill();
            assert_state_is_sound(&workspace);
        }
        workspace.engine(&ARGS).expect(0);
        assert_eq!(platform.state(), undisturbed(&spec, &plant), "round {round}");
        assert_eq!(u32::try_from(platform.state().len()), Ok(RUNS));
        // What was acknowledged is not sent again: of each cut, at most the parcel that was under way.
        let most = usize::try_from(RUNS + KILLS * PARCEL).expect("few");
        assert!(platform.records() <= most, "round {round}: {} records were applied", platform.records());
        platform.assert_contract();
        round += 1;
    }
}

/// A first fill in slices, and a cursor: what was read before the cut is not lost, and not skipped.
#[test]
fn a_fill_or_a_cursor_that_is_cut_off_goes_on() {
    let deadline = deadline();
    let (mut round, mut moments) = (0, 0);
    while round < ROUNDS_MIN || Instant::now() < deadline {
        let (workspace, platform) = (Workspace::new(), Platform::start());
        let plant = Plant::new(&workspace.path("mes.db"));
        plant.orders(1..ROWS + 1);
        let mut spec = order_spec(&plant::to_url(&platform.url()));
        let by_cursor = round % 2 == 0;
        if by_cursor {
            spec["query"]["sql"] = "SELECT * FROM auftrag WHERE geaendert > {{ cursor.geaendert }}\n\
                OR geaendert = {{ cursor.geaendert }} AND id > {{ cursor.id }} ORDER BY geaendert, id LIMIT 60"
                .into();
            spec["sync"] = json!({ "mode": "cursor", "cursor": ["geaendert", "id"], "overlap": "0s" });
        } else {
            spec["sync"] = json!({ "lookback": "1h", "start": "2025-03-28", "slice": "1h" });
        }
        workspace.spec("acme.yaml", &spec);
        let whole = time_of_a_run(&spec, &plant);
        for _ in 0..kills_of_a_round(deadline) {
            moments += 1;
            cut_after(&workspace, &ARGS, whole.mul_f64(fraction(moments)));
            assert_state_is_sound(&workspace);
        }
        let most = ROWS / 60 + 1;
        for _ in 0..most {
            workspace.engine(&ARGS).expect(0);
        }
        let orders: Vec<_> = platform.state().into_values().map(|run| run["production_order"].to_string()).collect();
        assert_eq!(i64::try_from(orders.len()), Ok(ROWS), "round {round}, by cursor: {by_cursor}");
        platform.assert_contract();
        round += 1;
    }
}
