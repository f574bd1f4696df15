//! How changes are found: cursors, whole tables, the first fill, and live runs beyond the window.

use engine_core::value::Kind;
use engine_spec::template::BindValue;
use serde_json::{Value, json};

use crate::kit::{
    Table, World, at, booking, booking_spec, booking_table, order, order_spec, order_table, plan, time, with,
};

fn cursor_spec(more: &str) -> String {
    order_spec(&format!("sync: {{ mode: cursor, cursor: [geaendert, id] }}\n{more}")).replace(
        "von >= {{ window.start | utc }} AND von < {{ window.end | utc }}",
        "(geaendert, id) > ({{ cursor.geaendert }}, {{ cursor.id }})",
    )
}

fn cursor_table() -> Table {
    let mut table = order_table();
    table.columns.push(("geaendert".to_owned(), Kind::Instant));
    table.window = None;
    table.cursor = vec!["geaendert".to_owned(), "id".to_owned()];
    table
}

fn changed(row: Value, minute: i64) -> Value {
    with(row, &json!({ "geaendert": time(minute) }))
}

const NOW: i64 = 2 * 1440;

#[test]
fn a_cursor_reads_what_is_new() {
    let mut world = World::with_rows(
        &cursor_spec(""),
        cursor_table(),
        &[changed(order(1, "A", "M1", 0, Some(5)), 10), changed(order(2, "B", "M1", 5, Some(9)), 10)],
    );
    assert_eq!(world.run_and_deliver().rows, 2);
    assert_eq!(world.runs(), ["A M1 0-5", "B M1 5-9"]);
    // A tie in the first column is broken by the second; what is gone stays.
    world.set_rows(&[changed(order(3, "C", "M1", 9, Some(12)), 10), changed(order(1, "A", "M1", 0, Some(4)), 30)]);
    let report = world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 0-4", "B M1 5-9", "C M1 9-12"]);
    assert_eq!((report.new, report.changed, report.deletes), (1, 1, 0));
    assert!(world.run_and_deliver().is_unchanged());
}

#[test]
fn with_a_cursor_a_row_from_before_runs_were_derived_is_no_new_one() {
    let rows = [changed(order(1, "A", "M1", 0, None), 10), changed(order(2, "B", "M1", 5, Some(9)), 20)];
    let mut world = World::with_rows(&cursor_spec(""), cursor_table(), &rows);
    world.run_and_deliver();
    world.plan = plan(&cursor_spec("merge: { gap: 2m }"));
    world.clock.set(at(NOW + 60));
    world.run_and_deliver();
    world.set_rows(&[changed(order(1, "A", "M1", 0, Some(5)), NOW + 30), rows[1].clone()]);
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 0-5", "B M1 5-9"]);
    assert!(world.run_and_deliver().is_unchanged());
}

#[test]
fn a_late_commit_within_the_overlap_is_read() {
    let first = changed(order(1, "A", "M1", 0, Some(5)), 100);
    let mut world = World::with_rows(&cursor_spec(""), cursor_table(), std::slice::from_ref(&first));
    world.run_and_deliver();
    let late = changed(order(2, "B", "M1", 5, Some(9)), 91);
    let too_late = changed(order(3, "C", "M1", 5, Some(9)), 89);
    world.set_rows(&[first, late, too_late]);
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 0-5", "B M1 5-9"]);
}

#[test]
fn a_row_from_the_future_does_not_freeze_the_cursor() {
    let future = changed(order(1, "A", "M1", 0, Some(5)), NOW + 9000);
    let mut world = World::with_rows(&cursor_spec(""), cursor_table(), std::slice::from_ref(&future));
    world.run_and_deliver();
    world.clock.set(at(NOW + 60));
    world.set_rows(&[future, changed(order(2, "B", "M1", 5, Some(9)), NOW + 30)]);
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 0-5", "B M1 5-9"]);
}

#[test]
fn of_two_versions_of_a_key_the_later_counts() {
    let old = changed(order(1, "A", "M1", 0, None), 12);
    let new = changed(order(1, "A", "M1", 0, Some(9)), 20);
    for stage_bytes_max in [usize::MAX, 0] {
        for rows in [[old.clone(), new.clone()], [new.clone(), old.clone()]] {
            // Fillers, so that the versions come in different batches.
            let fillers = (10..14).map(|id| changed(order(id, "Z", "M9", id * 10, Some(id * 10 + 1)), 15));
            let rows: Vec<Value> =
                std::iter::once(rows[0].clone()).chain(fillers).chain(std::iter::once(rows[1].clone())).collect();
            let mut world = World::with_rows(&cursor_spec(""), cursor_table(), &rows);
            world.plan.stage_bytes_max = stage_bytes_max;
            world.run_and_deliver();
            assert_eq!(world.runs()[0], "A M1 0-9");
            let report = world.run_and_deliver();
            assert_eq!(report.rows, 6, "both are read again within the overlap");
            assert!(report.is_unchanged() || stage_bytes_max == 0);
            assert_eq!(world.runs()[0], "A M1 0-9");
            assert_eq!(world.quarantine(), []);
        }
    }
}

#[test]
fn with_a_cursor_the_last_word_on_a_cancellation_counts() {
    let spec = cursor_spec("cancelled_when: art == 'STORNO'");
    let row = |minute: i64| changed(order(1, "A", "M1", 0, Some(9)), minute);
    let storno = |minute: i64| with(row(minute), &json!({ "art": "STORNO" }));
    let check = |rows: &[Value], expected: &[&str]| {
        let mut world = World::with_rows(&spec, cursor_table(), rows);
        world.run_and_deliver();
        assert_eq!(world.runs(), expected, "{rows:?}");
        world.run_and_deliver();
        assert_eq!(world.runs(), expected, "{rows:?}, read again");
    };
    check(&[row(10), storno(20)], &[]);
    check(&[storno(20), row(10)], &[]);
    check(&[storno(10), row(20)], &["A M1 0-9"]);
    check(&[row(20), storno(10)], &["A M1 0-9"]);
    check(&[row(10), storno(20), row(30)], &["A M1 0-9"]);
}

#[test]
fn a_rejected_row_leaves_quarantine_when_it_comes_again() {
    let bad = |id: i64, minute: i64| with(changed(order(id, "A", "M1", 0, Some(5)), minute), &json!({ "anr": null }));
    let rows = [bad(1, 10), bad(2, 10), changed(order(3, "C", "M1", 5, None), 60)];
    let mut world = World::with_rows(&cursor_spec(""), cursor_table(), &rows);
    world.run_and_deliver();
    assert_eq!(world.quarantine().len(), 2);
    world.run_and_deliver();
    assert_eq!(world.quarantine().len(), 2, "what is not read again stays");
    world.set_rows(&[rows[1].clone(), rows[2].clone(), changed(order(1, "A", "M1", 0, Some(5)), 70)]);
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 0-5", "C M1 5-"]);
    assert_eq!(world.quarantine(), [("missing_value".to_owned(), "[\"2\"]".to_owned())]);
}

#[test]
fn skipped_rows_move_the_cursor() {
    let spec = cursor_spec("skip_when: art == 'TEST'");
    let skipped = with(changed(order(1, "A", "M1", 0, None), 100), &json!({ "art": "TEST" }));
    let world = World::with_rows(&spec, cursor_table(), &[skipped]);
    world.run_well();
    world.run_well();
    let table = world.table.lock().expect("no test panicked with it");
    let bound = &table.asked.last().expect("it asked").iter().find(|bind| bind.origin == "cursor.geaendert");
    let Some(BindValue::Instant { instant, .. }) = bound.map(|bind| &bind.value) else { panic!("{bound:?}") };
    assert_eq!(*instant, at(90));
}

#[test]
fn a_cursor_column_without_a_value_fails_the_run() {
    let row = with(changed(order(1, "A", "M1", 0, None), 10), &json!({ "geaendert": null }));
    let mut table = cursor_table();
    table.cursor.clear();
    table.cursor.push("id".to_owned());
    let world = World::with_rows(&cursor_spec(""), table, &[row]);
    let failure = world.run().failure.expect("it fails");
    assert!(failure.message.contains("`geaendert` is null"), "{}", failure.message);
}

#[test]
fn bookings_fold_with_a_cursor_too() {
    let spec = booking_spec("sync: { mode: cursor, cursor: [id] }")
        .replace("ts >= {{ window.start | utc }} AND ts < {{ window.end | utc }}", "id > {{ cursor.id }}");
    let mut table = booking_table();
    table.window = None;
    table.cursor = vec!["id".to_owned()];
    let mut world = World::with_rows(&spec, table, &[booking(1, "A", "M1", "A", 0)]);
    world.run_and_deliver();
    world.set_rows(&[booking(2, "B", "M1", "A", 5), booking(3, "A", "M1", "E", 3)]);
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 0-3", "B M1 5-"]);
}

#[test]
fn a_whole_table_is_compared() {
    let spec = order_spec("sync: { mode: full }")
        .replace(" WHERE von >= {{ window.start | utc }} AND von < {{ window.end | utc }}", "");
    let mut table = order_table();
    table.window = None;
    let rows = [order(1, "A", "M1", -90_000, Some(-80_000)), order(2, "B", "M1", 5, None)];
    let mut world = World::with_rows(&spec, table, &rows);
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 -90000--80000", "B M1 5-"]);
    world.set_rows(&rows[1..]);
    assert_eq!(world.run_and_deliver().gone, 1);
    assert_eq!(world.runs(), ["B M1 5-"]);
}

#[test]
fn the_first_fill_goes_in_slices_and_resumes() {
    let spec = order_spec("sync: { start: 2025-03-01, lookback: 1d, slice: 1d }");
    let rows: Vec<Value> =
        (0..22).map(|id| order(id, "A", "M1", -9 * 1440 + id * 700, Some(-9 * 1440 + id * 700 + 5))).collect();
    let mut world = World::with_rows(&spec, order_table(), &rows);
    world.edit(|table| table.breaks_after = Some(7));
    assert!(world.run().failure.is_some());
    let asked = world.asked();
    let filled = world.store.snapshot("orders").state.filled_until.expect("some slices are done");
    assert_eq!(filled, at(-6 * 1440), "slices that were read are kept");
    world.deliver();
    assert_eq!(world.runs().len(), 7, "and delivered");
    world.edit(|table| table.breaks_after = None);
    world.run_and_deliver();
    assert_eq!(world.runs().len(), rows.len());
    assert_eq!(world.asked() - asked, 8, "seven slices are left, and the window");
    // Later runs read the window only.
    world.clock.set(at(NOW + 5));
    let report = world.run_and_deliver();
    assert_eq!((report.statements, report.is_unchanged()), (1, true));
}

#[test]
fn a_pause_longer_than_the_window_leaves_no_hole() {
    let spec = order_spec("sync: { lookback: 1d }");
    let mut world = World::with_rows(&spec, order_table(), &[order(1, "A", "M1", NOW - 5, Some(NOW - 1))]);
    world.run_and_deliver();
    let five_days = 5 * 1440;
    world.set_rows(&[order(2, "B", "M1", NOW + 100, Some(NOW + 110)), order(3, "C", "M1", NOW + five_days - 9, None)]);
    world.clock.set(at(NOW + five_days));
    assert_eq!(world.run_and_deliver().statements, 5);
    assert_eq!(world.runs().len(), 3);
}

/// A live run that began before the window; other rows keep the window filled.
fn live_world(more: &str, live: &[Value]) -> World {
    let spec = order_spec(&format!("sync: {{ lookback: 1d }}\n{more}"));
    let mut world = World::with_rows(&spec, order_table(), live);
    world.clock.set(at(60));
    world.run_and_deliver();
    world.clock.set(at(NOW));
    world
}

fn filler() -> Value {
    order(50, "Z", "M9", NOW - 60, Some(NOW - 50))
}

#[test]
fn a_live_run_beyond_the_window_ends_later() {
    for more in ["", "checks: { overlap: reject }", "merge: { gap: 5m }"] {
        let mut world = live_world(more, &[order(1, "A", "M1", 0, None)]);
        world.set_rows(&[order(1, "A", "M1", 0, None), filler()]);
        assert!(world.run_and_deliver().deletes == 0, "{more}: it is not gone because it left the window");
        assert_eq!(world.runs(), ["A M1 0-", "Z M9 2820-2830"], "{more}");
        world.set_rows(&[order(1, "A", "M1", 0, Some(NOW - 9)), filler()]);
        world.run_and_deliver();
        assert_eq!(world.runs(), ["A M1 0-2871", "Z M9 2820-2830"], "{more}");
        assert_eq!(world.run_and_deliver().statements, 1, "{more}: what has ended is not watched");
    }
}

#[test]
fn a_live_run_beyond_the_window_is_deleted() {
    for more in ["", "merge: { gap: 5m }"] {
        let mut world = live_world(more, &[order(1, "A", "M1", 0, None), order(2, "B", "M2", 0, Some(5))]);
        world.set_rows(&[filler()]);
        world.run_and_deliver();
        assert!(!world.runs().iter().any(|run| run.starts_with('A')), "{more}");
    }
}

#[test]
fn a_watched_run_that_was_refused_leaves_quarantine() {
    let live = order(1, "A", "M1", 0, None);
    let refused = with(live.clone(), &json!({ "anr": null }));
    let world = live_world("", std::slice::from_ref(&live));
    world.set_rows(&[refused.clone(), filler()]);
    world.run_well();
    assert_eq!(world.quarantine().len(), 1);
    world.set_rows(&[live, filler()]);
    world.run_well();
    assert_eq!(world.quarantine(), [], "it was put right");
    world.set_rows(&[refused, filler()]);
    world.run_well();
    world.set_rows(&[filler()]);
    world.run_well();
    assert_eq!(world.quarantine(), [], "it is gone");
}

#[test]
fn the_live_part_of_a_merged_run_is_watched() {
    let live = [order(1, "A", "M1", 0, Some(10)), order(2, "A", "M1", 10, None)];
    let mut world = live_world("merge: { gap: 5m }", &live);
    world.set_rows(&[live[0].clone(), order(2, "A", "M1", 10, Some(90)), filler()]);
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 0-90", "Z M9 2820-2830"]);
}

#[test]
fn many_live_runs_are_worked_through() {
    let days = 30;
    let live: Vec<Value> = (0..days).map(|day| order(day, "A", &format!("M{day}"), -day * 1440, None)).collect();
    let spec = order_spec("sync: { lookback: 40d }");
    let mut world = World::with_rows(&spec, order_table(), &live);
    world.clock.set(at(60));
    world.run_and_deliver();
    world.plan = crate::kit::plan(&order_spec("sync: { lookback: 1d }"));
    world.set_rows(&live.iter().cloned().chain([filler()]).collect::<Vec<_>>());
    world.clock.set(at(NOW));
    world.run_and_deliver();
    let ended = (0..days).map(|day| order(day, "A", &format!("M{day}"), -day * 1440, Some(1)));
    world.set_rows(&ended.chain([filler()]).collect::<Vec<_>>());
    for run in 0..60 {
        // Five minutes apart, as a schedule has it.
        world.clock.set(at(NOW + run * 5));
        assert!(world.run_and_deliver().statements <= 9);
    }
    assert!(world.runs().iter().all(|run| !run.ends_with('-')), "{:?}", world.runs());
}

#[test]
fn a_row_under_another_window_value_is_found_there() {
    for more in ["", "merge: { gap: 1m }"] {
        let spec = order_spec(&format!("sync: {{ lookback: 1d, column: erf }}\n{more}"));
        let mut table = order_table();
        table.window = Some("erf".to_owned());
        let entered = |minute: i64| with(order(1, "A", "M1", 0, Some(5)), &json!({ "erf": time(minute) }));
        let fill = with(filler(), &json!({ "erf": time(NOW) }));
        let mut world = World::with_rows(&spec, table, &[entered(0)]);
        world.clock.set(at(60));
        world.run_and_deliver();
        world.set_rows(&[entered(1000)]);
        world.clock.set(at(1200));
        assert!(world.run_and_deliver().is_unchanged(), "{more}: it says what it said");
        world.clock.set(at(2000));
        world.set_rows(&[fill.clone(), with(order(2, "B", "M2", 0, Some(5)), &json!({ "erf": time(1500) }))]);
        assert_eq!(world.run_and_deliver().gone, 1, "{more}");
        assert_eq!(world.runs(), ["B M2 0-5"], "{more}");
    }
}

#[test]
fn bounds_are_half_open() {
    let spec = order_spec("sync: { lookback: 1h }");
    let rows = [
        order(1, "A", "M1", NOW - 61, Some(NOW - 60)),
        order(2, "B", "M1", NOW - 60, Some(NOW - 50)),
        order(3, "C", "M1", NOW, None),
    ];
    let mut world = World::with_rows(&spec, order_table(), &rows);
    world.run_and_deliver();
    assert_eq!(world.runs(), ["B M1 2820-2830"]);
    // What lies just outside is never gone.
    world.clock.set(at(NOW + 1));
    world.set_rows(&rows[2..]);
    world.run_and_deliver();
    assert_eq!(world.runs(), ["B M1 2820-2830", "C M1 2880-"]);
}
