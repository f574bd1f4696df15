//! Convergence: whatever happened in the source, the platform ends up with what a fresh run over the same rows gives.

use std::collections::BTreeMap;

use engine_core::state::Stage;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::kit::{
    Table, World, at, booking, booking_spec, booking_table, order, order_spec, order_table, row, time, with,
};

/// Something that happens to the source.
#[derive(Debug, Clone)]
enum Change {
    /// A row appears, or the row of that id says something else.
    Put { id: i64, order: usize, machine: usize, start: bool, at: i64, length: Option<i64> },
    /// A row disappears.
    Delete { id: i64 },
    /// The pipeline runs, that many minutes later.
    Run { later: i64 },
    /// What waits is delivered.
    Deliver,
}

fn change(ids: i64) -> impl Strategy<Value = Change> {
    prop_oneof![
        8 => (0..ids, 0usize..3, 0usize..2, any::<bool>(), 0i64..60, prop::option::weighted(0.8, 1i64..25)).prop_map(
            |(id, order, machine, start, at, length)| Change::Put { id, order, machine, start, at, length }
        ),
        2 => (0..ids).prop_map(|id| Change::Delete { id }),
        4 => (0i64..30).prop_map(|later| Change::Run { later }),
        1 => Just(Change::Deliver),
    ]
}

const ORDERS: [&str; 3] = ["A", "B", "C"];
const MACHINES: [&str; 2] = ["M1", "M2"];

fn is_of(id: i64) -> impl Fn(&BTreeMap<String, Value>) -> bool {
    move |row| row["id"] == id
}

/// Plays a history on one world, and the last rows on a fresh one; both must agree on records and refusals.
fn check(spec: &str, table: Table, history: &[Change], stage_bytes_max: usize) -> Result<(), TestCaseError> {
    let mut world = World::new(spec, table.clone());
    world.plan.stage_bytes_max = stage_bytes_max;
    let bookings = spec.contains("table: booking");
    // A row that always stays: an empty result would pull the brake, as it should.
    world.set_rows(&[if bookings { booking(99, "Z", "M9", "A", 0) } else { order(99, "Z", "M9", 0, Some(1)) }]);
    let mut minutes = 2 * 1440;
    for change in history {
        match change {
            Change::Put { id, order: code, machine, start, at, length } => {
                let (code, machine) = (ORDERS[*code], MACHINES[*machine]);
                let new = if bookings {
                    booking(*id, code, machine, if *start { "A" } else { "E" }, *at)
                } else {
                    order(*id, code, machine, *at, length.map(|length| at + length))
                };
                world.edit(|table| {
                    table.rows.retain(|row| !is_of(*id)(row));
                    table.rows.push(row(&new));
                });
            }
            Change::Delete { id } => world.edit(|table| table.rows.retain(|row| !is_of(*id)(row))),
            Change::Run { later } => {
                minutes += later;
                world.clock.set(at(minutes));
                prop_assert_eq!(world.run().failure.map(|failure| failure.message), None);
            }
            Change::Deliver => drop(world.deliver()),
        }
    }
    world.run_and_deliver();
    let again = world.run_well();
    prop_assert!(again.is_unchanged(), "a second run over the same rows hands over nothing: {:?}", again);

    let mut fresh = World::new(spec, table);
    fresh.clock.set(at(minutes));
    let mut rows = world.table.lock().expect("no test panicked with it").rows.clone();
    rows.reverse();
    fresh.edit(|table| table.rows = rows);
    fresh.run_and_deliver();
    prop_assert_eq!(&world.platform.records, &fresh.platform.records);
    prop_assert_eq!(refusals(&world), refusals(&fresh));
    Ok(())
}

fn refusals(world: &World) -> Vec<(Stage, String, String)> {
    let mut refusals: Vec<_> =
        world.quarantined().into_iter().map(|entry| (entry.stage, entry.code, entry.key)).collect();
    refusals.sort();
    refusals
}

fn history(ids: i64) -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec(change(ids), 1..40)
}

/// A brake would stop a history of many deletes, as it should; here it is out of the way.
const NO_BRAKE: &str = "sync: { lookback: 30d, delete_limit: 100% }";

fn pairing() -> impl Strategy<Value = String> {
    let running = prop::sample::select(vec!["end_previous", "allow_parallel", "reject"]);
    let either = || prop::sample::select(vec!["ignore", "reject"]);
    let action = || prop::sample::select(vec!["reject", "report"]);
    let gap = prop::option::of(prop::sample::select(vec!["0s", "3m"]));
    (running, either(), either(), action(), action(), gap).prop_map(
        |(running, duplicate, orphan, overlap, zero, gap)| {
            let merge = gap.map_or(String::new(), |gap| format!("merge: {{ gap: {gap} }}\n"));
            format!(
                "pairing: {{ on_start_while_running: {running}, duplicate_start: {duplicate}, orphan_end: {orphan} }}
checks: {{ overlap: {overlap}, zero_length: {zero}, future: allow }}
{merge}"
            )
        },
    )
}

fn folding() -> impl Strategy<Value = String> {
    let overlap = prop::sample::select(vec!["reject", "report"]);
    let gap = prop::option::of(prop::sample::select(vec!["0s", "3m"]));
    (overlap, gap).prop_map(|(overlap, gap)| {
        let merge = gap.map_or(String::new(), |gap| format!("merge: {{ gap: {gap} }}\n"));
        format!("{NO_BRAKE}\nchecks: {{ overlap: {overlap} }}\n{merge}")
    })
}

/// Everything in one commit, or a commit after every batch.
fn stage_bytes_max() -> impl Strategy<Value = usize> {
    prop::sample::select(vec![usize::MAX, 0])
}

/// What the rows of a world would be, had the source never forgotten what left the window.
///
/// A row counts as it was read last, and is gone when its last place lies in a window that no longer has it.
struct Memory {
    rows: BTreeMap<i64, BTreeMap<String, Value>>,
    lookback: i64,
    column: &'static str,
}

impl Memory {
    fn read(&mut self, world: &World, now: i64) {
        let (from, to) = (at(now - self.lookback), at(now));
        let lies_in = |row: &BTreeMap<String, Value>| {
            let place: jiff::Timestamp = row[self.column].as_str().expect("is text").parse().expect("is an instant");
            from <= place && place < to
        };
        self.rows.retain(|_, row| !lies_in(row));
        let table = world.table.lock().expect("no test panicked with it");
        for row in table.rows.iter().filter(|row| lies_in(row)) {
            self.rows.insert(row["id"].as_i64().expect("is a number"), row.clone());
        }
    }
}

/// Plays a history of bookings under a window that moves on; compares with one run over all that was ever read.
fn check_moving(more: &str, column: &'static str, history: &[(Change, i64)]) -> Result<(), TestCaseError> {
    let sync = |lookback: &str| {
        let column = if column == "ts" { String::new() } else { format!(", column: {column}") };
        booking_spec(&format!("sync: {{ lookback: {lookback}, delete_limit: 100%{column} }}\n{more}"))
    };
    let mut table = booking_table();
    table.window = Some(column.to_owned());
    let mut world = World::new(&sync("30m"), table.clone());
    let mut memory = Memory { rows: BTreeMap::new(), lookback: 30, column };
    // Rows on another machine all the time: an empty result would pull the brake, as it should.
    let steady = |minute: i64| with(booking(1000 + minute, "Z", "M9", "E", minute), &json!({ "erf": time(minute) }));
    world.set_rows(&(0..100).map(|place| steady(place * 20)).collect::<Vec<_>>());
    let mut now = 40;
    for (change, entered) in history {
        match change {
            Change::Put { id, order: code, machine, start, at, .. } => {
                let kenn = if *start { "A" } else { "E" };
                let new = booking(*id, ORDERS[*code], MACHINES[*machine], kenn, *at);
                let new = with(new, &json!({ "erf": time(*entered) }));
                world.edit(|table| {
                    table.rows.retain(|row| !is_of(*id)(row));
                    table.rows.push(row(&new));
                });
            }
            Change::Delete { id } => world.edit(|table| table.rows.retain(|row| !is_of(*id)(row))),
            Change::Run { later } => {
                now += later;
                world.clock.set(at(now));
                let report = world.run();
                prop_assert_eq!(report.failure.map(|failure| failure.message), None);
                memory.read(&world, now);
            }
            Change::Deliver => drop(world.deliver()),
        }
    }
    world.clock.set(at(now));
    world.run_and_deliver();
    memory.read(&world, now);

    let mut fresh = World::new(&sync("30d"), table);
    fresh.clock.set(at(now));
    fresh.edit(|table| table.rows = memory.rows.into_values().collect());
    fresh.run_and_deliver();
    prop_assert_eq!(&world.platform.records, &fresh.platform.records);
    prop_assert_eq!(refusals(&world), refusals(&fresh));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bookings_converge(history in history(16), more in pairing(), stage in stage_bytes_max()) {
        check(&booking_spec(&format!("{NO_BRAKE}\n{more}")), booking_table(), &history, stage)?;
    }

    #[test]
    fn what_left_the_window_stays(
        history in prop::collection::vec((change(16), 0i64..60), 1..40), more in pairing(),
        column in prop::sample::select(vec!["ts", "erf"]),
    ) {
        check_moving(&more, column, &history)?;
    }

    #[test]
    fn orders_converge(history in history(10), more in folding(), stage in stage_bytes_max()) {
        check(&order_spec(&more), order_table(), &history, stage)?;
    }
}
