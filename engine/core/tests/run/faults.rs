//! Whatever fails, and whenever: the next undisturbed run ends where a world without faults ends.

use std::collections::BTreeMap;

use engine_core::memory::MemoryPipeline;
use engine_core::report::FailureKind;
use engine_core::state::StateStore;
use serde_json::{Value, json};

use crate::flaky::{Flaky, Lost};
use crate::kit::{Table, World, at, booking, booking_spec, booking_table, order, order_spec, order_table, time, with};

/// A source before and after something happened to it.
struct Case {
    name: &'static str,
    spec: String,
    table: Table,
    before: Vec<Value>,
    after: Vec<Value>,
}

fn cases() -> Vec<Case> {
    let changed = |row: Value, minute: i64| with(row, &json!({ "geaendert": time(minute) }));
    let mut cursor_table = order_table();
    cursor_table.columns.push(("geaendert".to_owned(), engine_core::value::Kind::Instant));
    cursor_table.window = None;
    cursor_table.cursor = vec!["geaendert".to_owned()];
    let order_before = vec![
        order(1, "A", "M1", 0, Some(5)),
        order(2, "B", "M1", 5, None),
        order(3, "C", "M2", 0, Some(9)),
        order(4, "D", "M2", 9, Some(12)),
    ];
    let order_after = vec![
        order(1, "A", "M1", 0, Some(4)),
        order(2, "B", "M2", 5, Some(7)),
        order(4, "D", "M2", 9, Some(12)),
        order(5, "D", "M2", 12, None),
        with(order(6, "E", "M2", 14, None), &json!({ "anr": null })),
    ];
    let booking_before = vec![
        booking(1, "A", "M1", "A", 0),
        booking(2, "A", "M1", "E", 5),
        booking(3, "B", "M1", "A", 7),
        booking(4, "C", "M2", "A", 1),
    ];
    let booking_after = vec![
        booking(1, "A", "M1", "A", 1),
        booking(3, "B", "M2", "A", 7),
        booking(4, "C", "M2", "A", 1),
        booking(5, "A", "M1", "E", 9),
        booking(6, "X", "M1", "E", 10),
        booking(7, "C", "M2", "E", 8),
    ];
    vec![
        Case {
            name: "orders",
            spec: order_spec(""),
            table: order_table(),
            before: order_before.clone(),
            after: order_after.clone(),
        },
        Case {
            name: "merged orders",
            spec: order_spec("merge: { gap: 1m }"),
            table: order_table(),
            before: order_before,
            after: order_after.clone(),
        },
        Case {
            name: "bookings",
            spec: booking_spec(""),
            table: booking_table(),
            before: booking_before,
            after: booking_after,
        },
        Case {
            name: "a first fill in slices",
            spec: order_spec("sync: { start: 2025-03-09, lookback: 2d }"),
            table: order_table(),
            before: Vec::new(),
            after: order_after.iter().take(3).cloned().chain([order(9, "O", "M3", -900, Some(-880))]).collect(),
        },
        Case {
            name: "a cursor",
            spec: order_spec("sync: { mode: cursor, cursor: [geaendert] }").replace(
                "von >= {{ window.start | utc }} AND von < {{ window.end | utc }}",
                "geaendert > {{ cursor.geaendert }}",
            ),
            table: cursor_table,
            before: vec![changed(order(1, "A", "M1", 0, None), 0)],
            after: (1..8).map(|id| changed(order(id, "A", "M1", id, Some(id + 1)), 60 + id)).collect(),
        },
    ]
}

impl Case {
    /// A world to which the source of before was delivered, and whose source is that of after.
    fn world(&self, stage_bytes_max: usize) -> World {
        let mut world = World::with_rows(&self.spec, self.table.clone(), &self.before);
        world.plan.stage_bytes_max = stage_bytes_max;
        world.clock.set(at(100));
        if !self.before.is_empty() {
            world.run_and_deliver();
        }
        world.set_rows(&self.after);
        world.clock.set(at(2 * 1440));
        world
    }

    /// Where a world without faults ends.
    fn undisturbed(&self) -> BTreeMap<String, Value> {
        let mut world = self.world(usize::MAX);
        world.run_and_deliver();
        assert!(!world.platform.records.is_empty());
        world.platform.records
    }
}

/// What of the state must move together.
fn together(state: MemoryPipeline) -> impl PartialEq + std::fmt::Debug {
    (state.rows, state.records, state.outbox, state.state.cursor, state.state.filled_until)
}

#[test]
fn a_state_store_that_fails_anywhere_loses_nothing() {
    for case in cases() {
        let expected = case.undisturbed();
        let in_slices = case.name.contains("slices");
        for lost in [Lost::Work, Lost::Answer] {
            for stage_bytes_max in [usize::MAX, 0] {
                for operations in 0.. {
                    let mut world = case.world(stage_bytes_max);
                    let before = world.store.snapshot(&world.plan.id);
                    let flaky = Flaky::after(&world.store, operations, lost);
                    let report = world.run_on(&flaky, u64::MAX);
                    if !flaky.failed() {
                        assert_eq!(report.failure, None);
                        assert!(operations > 10, "{}: the store was asked {operations} times only", case.name);
                        break;
                    }
                    let place = format!("{}, {lost:?}, operation {operations}, stage {stage_bytes_max}", case.name);
                    assert_eq!(report.failure.expect("it failed").kind, FailureKind::State, "{place}");
                    if lost == Lost::Work && stage_bytes_max > 0 && !in_slices {
                        let after = world.store.snapshot(&world.plan.id);
                        assert_eq!(together(after), together(before), "{place}: half of it is committed");
                    }
                    if lost == Lost::Work && !in_slices {
                        let delivered = world.deliver();
                        assert_eq!(delivered.parcels, 0, "{place}: what is not whole was sent");
                    }
                    world.run_and_deliver();
                    assert_eq!(world.platform.records, expected, "{place}");
                    assert!(world.run_well().is_unchanged(), "{place}");
                }
            }
        }
    }
}

#[test]
fn a_source_that_breaks_off_anywhere_loses_nothing() {
    for case in cases() {
        let expected = case.undisturbed();
        for stage_bytes_max in [usize::MAX, 0] {
            for rows in 0.. {
                let mut world = case.world(stage_bytes_max);
                world.edit(|table| table.breaks_after = Some(rows));
                let cursor = world.store.load(&world.plan.id).expect("the store holds").cursor;
                let report = world.run();
                world.edit(|table| table.breaks_after = None);
                let Some(failure) = report.failure else {
                    assert!(rows >= case.after.len(), "{}: it read {rows} rows only", case.name);
                    break;
                };
                assert_eq!(failure.kind, FailureKind::Environment);
                assert!(failure.message.contains("connection reset by peer"), "{}", failure.message);
                let place = format!("{}, row {rows}, stage {stage_bytes_max}", case.name);
                assert_eq!(world.store.load(&world.plan.id).expect("the store holds").cursor, cursor, "{place}");
                if !case.name.contains("slices") {
                    assert_eq!(world.deliver().parcels, 0, "{place}: what is not whole was sent");
                }
                world.run_and_deliver();
                assert_eq!(world.platform.records, expected, "{place}");
                assert!(world.run_well().is_unchanged(), "{place}");
            }
        }
    }
}

#[test]
fn failures_are_counted_until_a_run_goes_well() {
    let case = &cases()[0];
    let world = case.world(usize::MAX);
    let state = || world.store.load(&world.plan.id).expect("the store holds");
    let success = state().last_success;
    world.edit(|table| table.breaks_after = Some(0));
    world.run();
    world.run();
    assert_eq!((state().failures, state().last_success), (2, success));
    assert!(state().last_run.expect("it ran").failure.is_some());
    world.edit(|table| table.breaks_after = None);
    world.run_well();
    assert_eq!((state().failures, state().last_success), (0, Some(at(2 * 1440))));
}
