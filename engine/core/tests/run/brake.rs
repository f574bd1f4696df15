//! What stops a run before it does harm, what is explained, and what heals.

use engine_core::report::FailureKind;
use engine_core::state::BrakeKind;
use serde_json::{Value, json};

use crate::kit::{World, booking, booking_spec, booking_table, order, order_spec, order_table, plan, with};

fn orders(ids: std::ops::Range<i64>) -> Vec<Value> {
    ids.map(|id| order(id, &format!("A{id}"), "M1", id * 10, Some(id * 10 + 5))).collect()
}

fn filled(count: i64) -> World {
    let mut world = World::with_rows(&order_spec(""), order_table(), &orders(0..count));
    world.run_and_deliver();
    world
}

/// Runs into the brake; nothing may have been handed over.
fn braked(world: &World) -> (BrakeKind, String) {
    let before = world.store.snapshot(&world.plan.id);
    let report = world.run();
    let failure = report.failure.expect("the brake is pulled");
    assert_eq!(failure.kind, FailureKind::Brake);
    assert!(failure.message.ends_with("nothing was sent"), "{}", failure.message);
    assert!(failure.hint.expect("says what to do").contains("engine approve orders"));
    let after = world.store.snapshot(&world.plan.id);
    assert_eq!((after.records, after.outbox), (before.records, before.outbox));
    let brake = after.state.brake.expect("it is remembered");
    (brake.kind, brake.message)
}

#[test]
fn the_limit_is_a_share_and_a_number() {
    let check = |count: i64, left: i64, brakes: bool| {
        let world = filled(count);
        world.set_rows(&orders(0..left));
        assert_eq!(world.run().failure.is_some(), brakes, "{left} of {count} are left");
    };
    check(20, 10, false); // ten records never pull it, whatever their share
    check(20, 9, true);
    check(110, 99, false); // eleven of 110 are exactly 10 %
    check(109, 98, true);
    check(200, 180, false);
    check(200, 179, true);
}

#[test]
fn an_empty_result_pulls_the_brake_however_few_there_were() {
    let world = filled(1);
    world.set_rows(&[]);
    let (kind, message) = braked(&world);
    assert_eq!((kind, message.contains("1 records")), (BrakeKind::Empty, true));
    // An empty source that never had anything is no reason.
    World::with_rows(&order_spec(""), order_table(), &[]).run_well();
}

#[test]
fn an_empty_window_is_empty_although_a_watched_run_came() {
    let spec = order_spec("sync: { lookback: 1d }");
    let live = order(99, "L", "M9", 0, None);
    let recent = order(1, "A", "M1", 2000, Some(2005));
    let mut world = World::with_rows(&spec, order_table(), std::slice::from_ref(&live));
    world.clock.set(crate::kit::at(10));
    world.run_and_deliver();
    world.clock.set(crate::kit::at(2 * 1440));
    world.set_rows(&[live.clone(), recent]);
    world.run_and_deliver();
    world.set_rows(&[live]);
    assert_eq!(braked(&world).0, BrakeKind::Empty);
}

#[test]
fn an_approval_during_a_run_is_not_lost() {
    let world = filled(30);
    world.set_rows(&orders(0..10));
    braked(&world);
    // The next run finds no approval when it begins; it comes while the run reads.
    world.run_while(&|| world.approve());
    assert_eq!(world.run_well().gone, 20);
}

#[test]
fn an_approval_lets_one_run_pass() {
    let mut world = filled(30);
    world.set_rows(&orders(0..10));
    assert_eq!(braked(&world).0, BrakeKind::Deletes);
    let since = world.store.snapshot("orders").state.brake.expect("is pulled").since;
    world.clock.set(crate::kit::at(3000));
    braked(&world);
    assert_eq!(world.store.snapshot("orders").state.brake.expect("is pulled").since, since);
    world.approve();
    assert_eq!(world.run_and_deliver().gone, 20);
    assert_eq!(world.runs().len(), 10);
    assert_eq!(world.store.snapshot("orders").state.brake, None);
    world.set_rows(&[]);
    braked(&world);
}

#[test]
fn an_approval_outlives_a_run_that_fails() {
    let mut world = filled(30);
    world.set_rows(&orders(0..10));
    braked(&world);
    world.approve();
    world.edit(|table| table.breaks_after = Some(2));
    assert_eq!(world.run().failure.expect("it fails").kind, FailureKind::Environment);
    world.edit(|table| table.breaks_after = None);
    world.run_and_deliver();
    assert_eq!(world.runs().len(), 10);
}

#[test]
fn cancelled_rows_count_in_the_brake() {
    let mut world = filled(30);
    world.plan = plan(&order_spec("cancelled_when: mnr == 'M1'"));
    assert_eq!(braked(&world).0, BrakeKind::Deletes);
}

#[test]
fn deletes_can_be_switched_off_or_unlimited() {
    let mut world = filled(30);
    world.plan = plan(&order_spec("sync: { deletes: ignore }"));
    world.set_rows(&[]);
    assert_eq!(world.run_well().gone, 0);
    world.plan = plan(&order_spec("sync: { delete_limit: 100% }"));
    world.set_rows(&orders(0..1));
    assert_eq!(world.run_and_deliver().gone, 29);
}

#[test]
fn another_database_pulls_the_brake() {
    let mut world = filled(3);
    let says = |name: &str| [("database".to_owned(), name.to_owned())].into();
    world.edit(|table| table.facts = says("HYDRA"));
    world.run_well();
    world.edit(|table| table.facts = says("HYDRA_TEST"));
    world.set_rows(&orders(100..101));
    let (kind, message) = braked(&world);
    assert_eq!(kind, BrakeKind::Identity);
    assert!(message.contains("database was `HYDRA` and is `HYDRA_TEST`"), "{message}");
    braked(&world);
    world.approve();
    world.run_and_deliver();
    assert_eq!(world.runs().len(), 1);
    world.run_well();
    // A fact that is missing is not compared.
    world.edit(|table| table.facts.clear());
    world.run_well();
    world.edit(|table| table.facts = says("HYDRA"));
    assert_eq!(braked(&world).0, BrakeKind::Identity);
}

#[test]
fn an_approval_is_for_one_brake() {
    let mut world = filled(30);
    let says = |name: &str| [("database".to_owned(), name.to_owned())].into();
    world.edit(|table| table.facts = says("HYDRA"));
    world.run_well();
    world.edit(|table| table.facts = says("HYDRA_EMPTY"));
    world.set_rows(&[]);
    assert_eq!(braked(&world).0, BrakeKind::Identity);
    world.approve();
    assert_eq!(braked(&world).0, BrakeKind::Empty);
    assert_eq!(braked(&world).0, BrakeKind::Empty);
    world.approve();
    world.run_and_deliver();
    assert_eq!(world.runs(), [""; 0]);
}

#[test]
fn a_changed_key_is_explained_and_sent_again() {
    let spec = order_spec("").replace("key: [id]", "key: [anr]");
    let mut world = filled(5);
    world.plan = plan(&spec);
    let report = world.run_and_deliver();
    assert!(report.notes.iter().any(|note| note.contains("`key`")), "{:?}", report.notes);
    assert_eq!((report.new, report.gone, world.runs().len()), (5, 5, 5));
    assert_eq!(world.run_and_deliver().notes, [""; 0], "it is said once");
    // Many new ids look like many deletes: the brake says why.
    let mut world = filled(30);
    world.plan = plan(&spec);
    assert!(braked(&world).1.contains("`key`, `table` or `deliver` of the spec changed"));
    world.approve();
    world.run_and_deliver();
    assert_eq!(world.runs().len(), 30);
}

/// Where nothing is deleted, records under new ids come in addition to the old ones.
#[test]
fn a_changed_key_doubles_nothing_where_deletes_are_ignored() {
    let spec = order_spec("sync: { deletes: ignore }");
    let changed = spec.replace("key: [id]", "key: [anr]");
    let mut world = filled(30);
    world.plan = plan(&changed);
    let (kind, message) = braked(&world);
    assert_eq!(kind, BrakeKind::Deletes);
    assert!(message.starts_with("30 of 30 records would be sent again under new ids"), "{message}");
    assert!(message.contains("`deletes: ignore`") && message.contains("`key`, `table` or `deliver`"), "{message}");
    let notes = world.run().notes;
    assert!(notes[0].contains("the old ones stay"), "{notes:?}");
    world.approve();
    world.run_and_deliver();
    assert_eq!(world.runs().len(), 60, "somebody said that this is right");
    world.run_well();
    // A few are no reason to stop, as with deletes.
    let mut world = filled(5);
    world.plan = plan(&changed);
    world.run_and_deliver();
    // And where the key is as it was, what is gone is nobody's business.
    let world = World { plan: plan(&spec), ..filled(30) };
    world.set_rows(&orders(0..1));
    world.run_well();
}

#[test]
fn a_changed_mapping_is_sent_as_a_difference() {
    let mut world = filled(5);
    let mapped =
        order_spec("").replace("order_code: anr", "order_code: { column: anr, map: { A3: B3 }, unmapped: keep }");
    world.plan = plan(&mapped);
    let report = world.run_and_deliver();
    assert_eq!((report.upserts, report.deletes, report.unchanged), (1, 0, 4));
    assert!(report.notes.iter().any(|note| note.contains("mapping changed")));
    assert!(world.runs().contains(&"B3 M1 30-35".to_owned()));
    assert_eq!(world.run_well().notes, [""; 0]);
}

#[test]
fn a_change_stays_noticed_until_a_run_goes_well() {
    let rows = [booking(1, "A", "M1", "A", 0), booking(2, "B", "M1", "A", 5), booking(3, "B", "M1", "E", 9)];
    let mut world = World::with_rows(&booking_spec(""), booking_table(), &rows);
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 0-5", "B M1 5-9"]);
    world.plan = plan(&booking_spec("pairing: { on_start_while_running: allow_parallel }"));
    world.edit(|table| table.breaks_after = Some(1));
    assert!(world.run().failure.is_some());
    world.edit(|table| table.breaks_after = None);
    let report = world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 0-", "B M1 5-9"]);
    assert_eq!((report.upserts, report.notes.len()), (1, 1));
}

#[test]
fn a_change_is_noticed_where_a_run_broke_off_that_committed_some_of_its_records() {
    let rows = [
        order(1, "A", "M1", 0, Some(5)),
        order(2, "A", "M1", 6, Some(9)),
        order(3, "B", "M2", 0, Some(5)),
        order(4, "C", "M3", 0, Some(5)),
        order(5, "C", "M3", 6, Some(9)),
        order(6, "D", "M3", 20, Some(25)),
    ];
    let left = [&rows[..2], &rows[3..]].concat();
    let (as_rows, merged) = (order_spec(""), order_spec("merge: { gap: 2m }"));
    for (well, broken, now) in [
        // No run has gone well before.
        (None, &as_rows, &merged),
        (None, &merged, &as_rows),
        // The spec becomes again what it was when a run went well last.
        (Some(&as_rows), &merged, &as_rows),
        (Some(&merged), &as_rows, &merged),
    ] {
        let place = format!("{well:?}, {broken}, {now}");
        let mut world = World::with_rows(broken, order_table(), &rows);
        if let Some(well) = well {
            world.plan = plan(well);
            world.run_and_deliver();
            world.plan = plan(broken);
        }
        world.plan.stage_bytes_max = 0;
        world.edit(|table| table.breaks_after = Some(5));
        assert!(world.run().failure.is_some(), "after something of it was committed");
        world.edit(|table| table.breaks_after = None);
        world.set_rows(&left);
        world.plan = plan(now);
        let notes = world.run_and_deliver().notes;
        assert!(notes.iter().any(|note| note.contains("mapping changed")), "{notes:?}: {place}");
        let mut fresh = World::with_rows(now, order_table(), &left);
        fresh.run_and_deliver();
        assert_eq!(world.platform.records, fresh.platform.records, "{place}");
        let report = world.run_and_deliver();
        assert!(report.is_unchanged() && report.notes.is_empty(), "{:?}: {place}", report.notes);
    }
}

#[test]
fn what_was_written_before_runs_were_derived_is_known_wherever_its_row_is_read() {
    let [a, b, c, d] = [
        order(1, "A", "M1", 0, Some(5)),
        order(2, "A", "M1", 6, Some(9)),
        order(3, "B", "M2", 0, Some(7)),
        order(4, "C", "M2", 4000, Some(4005)),
    ];
    let corrected = order(3, "B", "M2", 0, Some(20));
    let moved = order(3, "B", "M2", 3990, Some(3995));
    let spec = |lookback: &str, merge: &str| order_spec(&format!("sync: {{ lookback: {lookback} }}\n{merge}"));
    let merge = "merge: { gap: 2m }";
    // The window when runs begin to be derived, and when the rows are read again: it becomes longer, the clock had been
    // set back, or rows come to it. Each with the rows as they are by then.
    let longer = (("1d", 4010), ("9d", 4010));
    let set_back = (("9d", -10), ("9d", 4010));
    let comes_to_it = (("1d", 4010), ("1d", 4020));
    for (((first, begins), (second, again)), now) in [
        (longer, vec![&a, &b, &c, &d]),
        (longer, vec![&a, &b, &corrected, &d]),
        (longer, vec![&a, &b, &d]),
        (set_back, vec![&a, &b, &c, &d]),
        (set_back, vec![&a, &b, &corrected, &d]),
        (set_back, vec![&a, &b, &d]),
        (set_back, vec![&a, &d]),
        (comes_to_it, vec![&a, &b, &moved, &d]),
    ] {
        let now: Vec<Value> = now.into_iter().cloned().collect();
        let place = format!("{first}, {begins}, {second}, {now:?}");
        let rows = [&a, &b, &c, &d].map(Clone::clone);
        let mut world = World::with_rows(&spec("9d", ""), order_table(), &rows);
        world.clock.set(crate::kit::at(4010));
        world.run_and_deliver();
        world.clock.set(crate::kit::at(begins));
        world.plan = plan(&spec(first, merge));
        world.run_and_deliver();
        world.clock.set(crate::kit::at(again));
        world.plan = plan(&spec(second, merge));
        world.set_rows(&now);
        world.run_and_deliver();
        let mut fresh = World::with_rows(&spec(second, merge), order_table(), &now);
        fresh.clock.set(crate::kit::at(again));
        fresh.run_and_deliver();
        for (id, record) in &fresh.platform.records {
            assert_eq!(world.platform.records.get(id), Some(record), "{place}");
        }
        // What lies before the window stays as it was.
        let stay = if second == "9d" { 0 } else { 2 };
        assert_eq!(world.platform.records.len(), fresh.platform.records.len() + stay, "{place}");
        assert!(world.run_and_deliver().is_unchanged(), "{place}");
    }
}

#[test]
fn merging_can_be_switched_on_and_off() {
    let rows =
        [order(1, "A", "M1", -2800, Some(-10)), order(2, "A", "M1", -5, Some(20)), order(3, "A", "M1", 21, Some(30))];
    let spec = |merge: &str| order_spec(&format!("sync: {{ lookback: 2d }}\n{merge}"));
    let mut world = World::with_rows(&spec(""), order_table(), &rows);
    world.clock.set(crate::kit::at(60));
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 -2800--10", "A M1 -5-20", "A M1 21-30"]);
    // The first row left the window before rows were kept to be folded: it stays as it was.
    world.clock.set(crate::kit::at(2800));
    world.plan = plan(&spec("merge: { gap: 6m }"));
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 -2800--10", "A M1 -5-30"]);
    assert!(world.run_and_deliver().is_unchanged());
    world.plan = plan(&spec(""));
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 -2800--10", "A M1 -5-20", "A M1 21-30"]);
    // A row that goes while merging is switched on is noticed, too.
    world.plan = plan(&spec("merge: { gap: 6m }"));
    world.set_rows(&rows[..2]);
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 -2800--10", "A M1 -5-20"]);
}

#[test]
fn merging_bookings_can_be_switched_on() {
    let rows = [
        booking(1, "A", "M1", "A", 0),
        booking(2, "A", "M1", "E", 50),
        booking(3, "A", "M1", "A", 52),
        booking(4, "A", "M1", "E", 90),
    ];
    let mut world = World::with_rows(&booking_spec("sync: { lookback: 2d }"), booking_table(), &rows);
    world.clock.set(crate::kit::at(200));
    world.run_and_deliver();
    // The first START has left the window; the ledger still knows it.
    world.clock.set(crate::kit::at(2 * 1440 + 20));
    world.plan = plan(&booking_spec("sync: { lookback: 2d }\nmerge: { gap: 5m }"));
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 0-90"]);
}

#[test]
fn rejected_rows_without_a_key_hold_deletes_back() {
    let spec = order_spec("").replace("key: [id]\n", "");
    let mut world = World::with_rows(&spec, order_table(), &orders(0..5));
    world.run_and_deliver();
    let broken = with(order(9, "A4", "M1", 40, Some(45)), &json!({ "von": null, "anr": null }));
    world.edit(|table| table.window = None);
    let mut rows = orders(0..4);
    rows.push(broken);
    world.set_rows(&rows);
    let report = world.run_and_deliver();
    assert_eq!((report.gone, world.runs().len()), (0, 5));
    assert!(report.notes[0].contains("1 records seem to be gone"), "{:?}", report.notes);
    world.set_rows(&orders(0..4));
    assert_eq!(world.run_and_deliver().gone, 1);
}

#[test]
fn too_many_rejected_rows_stop_the_run() {
    let bad = |id: i64| with(order(id, "A", "M1", id, None), &json!({ "anr": null }));
    let check = |bad_rows: i64, stops: bool| {
        let mut rows = orders(0..20 - bad_rows);
        rows.extend((100..100 + bad_rows).map(bad));
        let mut world = World::with_rows(&order_spec("max_rejected: 5%"), order_table(), &rows);
        world.plan.stage_bytes_max = 0;
        let report = world.run();
        assert_eq!(report.failure.as_ref().map(|failure| failure.kind), stops.then_some(FailureKind::Rejected));
        world.deliver();
        assert_eq!(world.platform.records.is_empty(), stops);
        assert_eq!(world.quarantine().len(), bad_rows as usize, "the reasons can be looked at");
        // Held records go when a run goes well.
        world.set_rows(&orders(0..20 - bad_rows));
        world.run_and_deliver();
        assert_eq!(world.runs().len(), 20 - bad_rows as usize);
    };
    check(1, false);
    check(2, true);
}

#[test]
fn quarantine_heals() {
    let rows = [order(1, "A", "M1", 0, Some(5)), order(2, "B", "M7", 0, Some(5))];
    let spec = |machines: &str| order_spec(&format!("machines: {{ {machines} }}"));
    let one = "M1: 3f2b7c1e-0d5a-4a53-9d0e-0a6f5f1c8f11";
    let mut world = World::with_rows(&spec(one), order_table(), &rows);
    world.run_and_deliver();
    let first = world.quarantined();
    assert_eq!((first.len(), first[0].code.as_str(), first[0].key.as_str()), (1, "unknown_machine", "[\"2\"]"));
    world.clock.set(crate::kit::at(3000));
    world.run_well();
    assert_eq!(world.quarantined(), first, "it keeps the time at which it was refused first");
    world.plan = plan(&spec(&format!("{one}, M7: 7b0d5f86-2f1e-4d53-8a44-0fb6d1b9a001")));
    let report = world.run_and_deliver();
    assert_eq!((report.upserts, world.quarantined().len()), (1, 0));
    assert_eq!(world.runs(), ["A M1 0-5", "B M7 0-5"]);
}

#[test]
fn what_was_delivered_stays_while_its_row_is_rejected() {
    let mut world = filled(2);
    let mut rows = orders(0..2);
    rows[1]["anr"] = Value::Null;
    world.set_rows(&rows);
    let report = world.run_and_deliver();
    assert_eq!((report.gone, report.rejected_total(), world.runs().len()), (0, 1, 2));
    world.set_rows(&rows[..1]);
    assert_eq!(world.run_and_deliver().gone, 1, "gone is gone");
    assert_eq!(world.quarantine(), []);
}

#[test]
fn a_refused_booking_leaves_quarantine_with_its_reason() {
    let rows = [booking(1, "A", "M1", "A", 0), booking(2, "B", "M1", "E", 5), booking(3, "A", "M1", "E", 9)];
    let mut world = World::with_rows(&booking_spec(""), booking_table(), &rows);
    world.run_and_deliver();
    assert_eq!(world.quarantine(), [("orphan_end".to_owned(), "[\"2\"]".to_owned())]);
    world.run_and_deliver();
    assert_eq!(world.quarantine().len(), 1, "it stays as long as its reason");
    let mut rows = rows.to_vec();
    rows.push(booking(4, "B", "M1", "A", 3));
    world.set_rows(&rows);
    world.run_and_deliver();
    assert_eq!(world.quarantine(), [("orphan_end".to_owned(), "[\"3\"]".to_owned())]);
    assert_eq!(world.runs(), ["A M1 0-3", "B M1 3-5"]);
}

#[test]
fn a_full_outbox_stops_reading() {
    let world = World::with_rows(&order_spec(""), order_table(), &orders(0..3));
    world.run_well();
    let asked = world.asked();
    let failure = world.run_with_outbox(1).failure.expect("it stops");
    assert_eq!(failure.kind, FailureKind::Environment);
    assert!(failure.message.contains("the outbox is full: 3 records"), "{}", failure.message);
    assert_eq!(world.asked(), asked);
}

#[test]
fn held_records_do_not_fill_the_outbox() {
    let mut world = World::with_rows(&order_spec(""), order_table(), &orders(0..6));
    world.plan.stage_bytes_max = 0;
    world.edit(|table| table.breaks_after = Some(4));
    world.run();
    world.edit(|table| table.breaks_after = None);
    assert_eq!(world.deliver().parcels, 0, "what was committed early is held");
    // Only a run lets it go: one that waited for the delivery would wait for ever.
    assert_eq!(world.run_with_outbox(1).failure, None);
    world.deliver();
    assert_eq!(world.runs().len(), 6);
}

#[test]
fn quarantine_heals_where_runs_are_no_longer_derived() {
    let rows = [order(1, "A", "M1", 0, Some(9)), order(2, "B", "M1", 5, Some(12))];
    let mut world = World::with_rows(&order_spec("checks: { overlap: reject }"), order_table(), &rows);
    world.run_and_deliver();
    assert_eq!(world.quarantine().len(), 1);
    world.plan = plan(&order_spec(""));
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 0-9", "B M1 5-12"]);
    assert_eq!(world.quarantine(), []);
}

#[test]
fn quarantine_heals_where_no_run_went_well_before_runs_were_no_longer_derived() {
    let rows = [order(1, "A", "M1", 0, Some(9)), order(2, "B", "M1", 5, Some(12))];
    let bad = with(order(3, "C", "M1", 20, Some(30)), &json!({ "anr": null }));
    let spec = order_spec("checks: { overlap: reject }\nmax_rejected: 1%");
    let mut world = World::with_rows(&spec, order_table(), &[rows.as_slice(), &[bad]].concat());
    world.plan.stage_bytes_max = 0;
    assert!(world.run().failure.is_some(), "after something of it was committed");
    assert!(world.quarantine().iter().any(|(code, _)| code == "overlap"));
    world.plan = plan(&order_spec(""));
    world.set_rows(&rows);
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 0-9", "B M1 5-12"]);
    assert_eq!(world.quarantine(), []);
}

#[test]
fn a_row_that_moves_while_runs_begin_to_be_derived_leaves_nothing_behind() {
    let before = [order(1, "A", "M1", 0, Some(5)), order(2, "A", "M2", 0, Some(5)), order(3, "C", "M2", 30, Some(40))];
    let moved = order(2, "A", "M1", 5, Some(9));
    let refused = order(2, "A", "M2", 5, Some(4));
    for versions in [vec![&moved], vec![&refused, &moved]] {
        let mut world = World::with_rows(&order_spec(""), order_table(), &before);
        world.run_and_deliver();
        world.plan = plan(&order_spec("merge: { gap: 1m }"));
        for version in versions {
            world.set_rows(&[before[0].clone(), version.clone(), before[2].clone()]);
            world.run_and_deliver();
        }
        assert_eq!(world.runs(), ["A M1 0-9", "C M2 30-40"]);
        world.run_well();
        assert!(world.run_well().notes.is_empty(), "the change is no longer noticed");
    }
}
