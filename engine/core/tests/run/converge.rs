//! Convergence: whatever happened in the source, the platform ends up with what a fresh run over the same rows gives.

use std::collections::BTreeMap;

use engine_core::state::Stage;
use proptest::prelude::*;
use serde_json::Value;

use crate::kit::{Table, World, at, booking, booking_spec, booking_table, order, order_spec, order_table, row};

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
                "{NO_BRAKE}
pairing: {{ on_start_while_running: {running}, duplicate_start: {duplicate}, orphan_end: {orphan} }}
checks: {{ overlap: {overlap}, zero_length: {zero} }}
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bookings_converge(history in history(16), more in pairing(), stage in stage_bytes_max()) {
        check(&booking_spec(&more), booking_table(), &history, stage)?;
    }

    #[test]
    fn orders_converge(history in history(10), more in folding(), stage in stage_bytes_max()) {
        check(&order_spec(&more), order_table(), &history, stage)?;
    }
}
