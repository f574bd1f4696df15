//! A backfill that is killed: the next call completes it, and the platform has everything once.

use std::collections::BTreeMap;
use std::time::Instant;

use engine_tests::binary::{PATIENCE, Workspace, await_some};
use engine_tests::plant::{self, NOW, Plant};
use engine_tests::platform::{Fault, Platform};
use engine_tests::promises::{Tally, kept};
use serde_json::{Value, json};

use crate::cuts::{ROUNDS_MIN, assert_state_is_sound, deadline, undisturbed};

/// Runs of the history.
const RUNS: u32 = 60;
/// Records of a parcel.
const PARCEL: u32 = 4;
/// Kills of a round.
const KILLS: u32 = 6;

const ARGS: [&str; 9] = ["backfill", "acme.yaml", "--from", "2025-03-27", "--now", NOW, "--slice", "6h", "--yes"];

/// A history of bookings that ends a day before the schedule begins to read.
fn history(plant: &Plant) {
    for run in 0..RUNS {
        let begin = format!("'2025-03-27', '+{} minutes'", run * 41);
        plant.execute(&format!(
            "INSERT INTO buchung VALUES
             ({id}, '{run}', 'p', 'M{machine}', 'A', strftime('%Y-%m-%d %H:%M:%S', {begin})),
             ({id} + 1, '{run}', 'p', 'M{machine}', 'E', strftime('%Y-%m-%d %H:%M:%S', {begin}, '+90 minutes'))",
            id = run * 2,
            machine = run % 5,
        ));
    }
}

fn spec(destination: &Value) -> Value {
    let mut spec = plant::bookings("acme", destination);
    spec["destination"]["batch"] = json!({ "max_records": PARCEL });
    // A request that stalls holds the second process up no longer.
    spec["destination"]["timeouts"] = json!({ "query": "2s" });
    spec["sync"] = json!({ "lookback": "12h" });
    spec
}

/// What the schedule would have delivered, had it read all of the history.
fn expected(spec: &Value, plant: &Plant) -> BTreeMap<String, Value> {
    let mut spec = spec.clone();
    spec["sync"] = json!({ "lookback": "14d" });
    undisturbed(&spec, plant)
}

#[test]
fn a_backfill_that_is_killed_at_every_request_is_complete_after_the_next() {
    let deadline = deadline();
    let mut tally = Tally::default();
    let mut round = 0;
    while round < ROUNDS_MIN || Instant::now() < deadline {
        let (workspace, platform) = (Workspace::new(), Platform::start());
        let plant = Plant::new(&workspace.path("mes.db"));
        history(&plant);
        if round % 2 == 1 {
            platform.forget_keys();
        }
        let spec = spec(&plant::to_url(&platform.url()));
        workspace.spec("acme.yaml", &spec);
        for kill in 0..KILLS {
            let before = platform.requests().len();
            let fault = match (round + kill) % 3 {
                0 => Fault::StallAfterApply,
                1 => Fault::Stall,
                _ => Fault::Serve,
            };
            platform.script(vec![Fault::Serve, fault]);
            // In every third round a second process works beside the one that is killed, and takes its slice over.
            let mut other = (round % 3 == 2 && kill == KILLS - 1).then(|| workspace.start(&ARGS));
            let mut running = workspace.start(&ARGS);
            let reached =
                await_some(PATIENCE, || (platform.requests().len() >= before + 2 || running.has_ended()).then_some(()));
            assert!(reached.is_some(), "round {round}: no request came");
            tally.faults += u64::from(running.kill());
            if let Some(other) = other.take() {
                other.finish().expect(0);
            }
            assert_state_is_sound(&workspace);
        }
        workspace.engine(&ARGS).expect(0);
        let (state, expected) = (platform.state(), expected(&spec, &plant));
        assert_eq!(u32::try_from(expected.len()), Ok(RUNS));
        let extra = state.keys().filter(|id| !expected.contains_key(*id)).count();
        tally.losses += (expected.iter().filter(|(id, run)| state.get(*id) != Some(run)).count() + extra) as u64;
        // What was acknowledged is not sent again: of each kill, at most the parcel that was under way.
        let most = usize::try_from(RUNS + KILLS * PARCEL).expect("few");
        assert!(platform.records() <= most, "round {round}: {} records were applied", platform.records());
        let sent = platform.records();
        workspace.engine(&ARGS).expect(0);
        tally.duplicates += (platform.records() - sent) as u64;
        platform.assert_contract();
        tally.histories += 1;
        round += 1;
    }
    kept(
        "Nothing lost, nothing doubled",
        "a_backfill_that_is_killed_at_every_request_is_complete_after_the_next",
        tally,
    );
    assert_eq!((tally.losses, tally.duplicates), (0, 0), "{tally:?}");
    assert!(tally.faults > 0, "the calls ended before they could be killed");
}
