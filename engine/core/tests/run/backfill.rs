//! Slices of a backfill: together they are one run over all of the history, and each record is of one slice.

use std::collections::BTreeMap;
use std::time::Duration;

use engine_core::backfill::{Counts, Job, Slice, Tally, choose, narrow, overlap};
use engine_core::memory::MemoryStore;
use engine_core::state::LIVE;
use proptest::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use crate::kit::{World, at, booking, booking_spec, booking_table, order, order_spec, order_table, plan};

/// Minutes after the first day at which the histories of these tests end.
const PRESENT: i64 = 3 * 1440;

fn minutes(minutes: i64) -> Duration {
    Duration::from_secs(minutes.unsigned_abs() * 60)
}

fn job(from: i64, to: i64, slice: i64, overlap: i64) -> Job {
    Job { from: at(from), to: Some(at(to)), slice: minutes(slice), overlap: minutes(overlap) }
}

fn slices(job: &Job) -> Vec<Slice> {
    job.slices(at(PRESENT), at(PRESENT)).expect("few slices")
}

/// Fills slice by slice; every record by its id, and what was counted. No record may come from two slices.
fn fill(world: &mut World, job: &Job) -> (BTreeMap<Uuid, String>, Counts) {
    let (mut records, mut total) = (BTreeMap::new(), Counts::default());
    world.clock.set(at(PRESENT));
    let stage_bytes_max = world.plan.stage_bytes_max;
    for slice in slices(job) {
        narrow(&mut world.plan, &slice);
        if !world.plan.is_folded() {
            // As of a slice with many rows, which are committed batch by batch.
            world.plan.stage_bytes_max = 0;
        }
        let copy = MemoryStore::for_one_run(0);
        let mut tally = Tally::new(slice);
        let report = world.observed(&copy, u64::MAX, &mut tally);
        assert_eq!(report.failure, None);
        let mut counts = tally.counts;
        let read = copy.take(&world.plan.id);
        for record in choose(&world.plan, &slice, read, &world.store, &mut counts).expect("the store holds") {
            assert_eq!(records.insert(record.id, record.body.to_string()), None, "a record of two slices");
        }
        total.add(&counts);
    }
    (world.plan.sync.window, world.plan.stage_bytes_max) = (None, stage_bytes_max);
    assert_eq!(total.send, records.len() as u64);
    (records, total)
}

/// What one run over everything makes of what begins in the range, but for what runs still.
fn whole(world: &mut World, from: i64, to: i64) -> BTreeMap<Uuid, String> {
    world.plan.sync.window = Some((at(from - 30 * 1440), at(PRESENT)));
    let copy = MemoryStore::new();
    assert_eq!(world.run_on(&copy, u64::MAX).failure, None);
    world.plan.sync.window = None;
    let snapshot = copy.snapshot(&world.plan.id);
    let (from, to) = (at(from).as_microsecond(), at(to).as_microsecond());
    let of_range = snapshot.records.values().filter(|record| !record.part && record.end != LIVE);
    let of_range = of_range.filter(|record| record.at >= from && record.at < to);
    let bodies: BTreeMap<Uuid, String> =
        snapshot.outbox.into_values().map(|(record, _)| (record.id, record.body.to_string())).collect();
    of_range.map(|record| (record.id, bodies[&record.id].clone())).collect()
}

/// Longest run of a machine's history, in minutes.
const RUN_MAX: i64 = 40;

/// What a machine does: a pause, a run, whether it is of the order before, and whether it is booked twice.
fn shifts() -> impl Strategy<Value = Vec<(i64, i64, bool, bool)>> {
    prop::collection::vec((0i64..60, 1..=RUN_MAX, prop::bool::weighted(0.3), prop::bool::weighted(0.2)), 0..25)
}

/// The runs of machines: order, machine, start, end.
fn runs(machines: &[Vec<(i64, i64, bool, bool)>]) -> Vec<(String, String, i64, i64, bool)> {
    let mut runs = Vec::new();
    for (machine, shifts) in machines.iter().enumerate() {
        let (mut now, mut order) = (0, 0);
        for (pause, length, same, twice) in shifts {
            order += i64::from(!same);
            now += pause;
            runs.push((format!("O{machine}-{order}"), format!("M{machine}"), now, now + length, *twice));
            now += length;
        }
    }
    runs
}

fn bookings(runs: &[(String, String, i64, i64, bool)]) -> Vec<Value> {
    let mut rows = Vec::new();
    for (order, machine, start, end, twice) in runs {
        let id = rows.len() as i64;
        rows.push(booking(id, order, machine, "A", *start));
        rows.push(booking(id + 1, order, machine, "E", *end));
        if *twice && end - start > 1 {
            rows.push(booking(id + 2, order, machine, "A", start + 1));
        }
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn slices_of_bookings_together_are_one_run(
        machines in prop::collection::vec(shifts(), 1..3),
        from in -30i64..300,
        length in 1i64..900,
        slice in 20i64..400,
    ) {
        let rows = bookings(&runs(&machines));
        let mut world = World::with_rows(&booking_spec(""), booking_table(), &rows);
        let expected = whole(&mut world, from, from + length);
        let (filled, counts) = fill(&mut world, &job(from, from + length, slice, RUN_MAX + 1));
        prop_assert_eq!(filled, expected);
        prop_assert_eq!(counts.left_out(), 0);
    }

    /// With merging, a series may reach beyond what is read. Then it is left out and counted, and never sent in parts.
    #[test]
    fn slices_of_merged_orders_are_whole_or_left_out(
        machines in prop::collection::vec(shifts(), 1..3),
        from in -30i64..300,
        length in 1i64..900,
        slice in 20i64..400,
    ) {
        let runs = runs(&machines);
        let rows: Vec<Value> = runs
            .iter()
            .enumerate()
            .map(|(id, (code, machine, start, end, _))| order(id as i64, code, machine, *start, Some(*end)))
            .collect();
        let mut world = World::with_rows(&order_spec("merge: { gap: 15m }"), order_table(), &rows);
        let expected = whole(&mut world, from, from + length);
        let (filled, counts) = fill(&mut world, &job(from, from + length, slice, RUN_MAX + 16));
        for (id, body) in &filled {
            prop_assert_eq!(expected.get(id), Some(body));
        }
        prop_assert_eq!(expected.len() as u64, filled.len() as u64 + counts.at_the_edge);
    }
}

#[test]
fn a_row_that_is_a_record_needs_nothing_around_it() {
    let (folded, plain) = (plan(&booking_spec("sync: { lookback: 9d }")), plan(&order_spec("")));
    assert_eq!((overlap(&folded), overlap(&plain)), (minutes(9 * 1440), Duration::ZERO));
    let rows: Vec<Value> = (0..50).map(|id| order(id, "A", "M1", id * 10, Some(id * 10 + 500))).collect();
    let mut world = World::with_rows(&order_spec(""), order_table(), &rows);
    let expected = whole(&mut world, 100, 300);
    let (filled, counts) = fill(&mut world, &job(100, 300, 45, 0));
    assert_eq!((filled.len(), counts.read, counts.mapped), (20, 20, 20));
    assert_eq!(filled, expected);
}

#[test]
fn rows_are_filled_as_they_are() {
    let rows = [booking(1, "A", "M1", "A", 10), booking(2, "A", "M1", "E", 70), booking(3, "B", "M1", "A", 130)];
    let spec = booking_spec("destination: { type: stdout, deliver: rows }");
    let mut world = World::with_rows(&spec, booking_table(), &rows);
    let (filled, counts) = fill(&mut world, &job(0, 120, 60, 0));
    assert_eq!((filled.len(), counts.read, counts.left_out()), (2, 2, 0));
    assert!(filled.values().all(|body| body.contains("\"row_id\"")), "{filled:?}");
}

#[test]
fn what_the_schedule_has_is_not_sent_again_and_a_correction_is() {
    let rows: Vec<Value> = (0..10).map(|id| order(id, &format!("A{id}"), "M1", id * 10, Some(id * 10 + 5))).collect();
    let mut world = World::with_rows(&order_spec("sync: { lookback: 5d }"), order_table(), &rows);
    world.run_and_deliver();
    let job = job(0, 200, 30, 0);
    let (filled, counts) = fill(&mut world, &job);
    assert_eq!((filled.len(), counts.delivered), (0, 10));
    // A correction, and a row that came late, after both left the window of the schedule.
    let mut rows = rows;
    rows[3] = order(3, "A3", "M1", 30, Some(37));
    rows.push(order(10, "A10", "M1", 150, Some(160)));
    world.set_rows(&rows);
    let (filled, counts) = fill(&mut world, &job);
    assert_eq!((filled.len(), counts.delivered), (2, 9));
}

#[test]
fn what_runs_still_is_left_to_the_schedule_or_out() {
    let rows = [order(1, "A", "M1", 10, None), order(2, "B", "M2", 20, None), order(3, "C", "M3", 30, Some(50))];
    let mut world = World::with_rows(&order_spec("sync: { lookback: 5d }"), order_table(), &rows[..1]);
    world.run_and_deliver();
    world.set_rows(&rows);
    let (filled, counts) = fill(&mut world, &job(0, 60, 60, 0));
    // The first is known as it is, and nobody knows of the second.
    assert_eq!((filled.len(), counts.delivered, counts.scheduled, counts.live), (1, 1, 0, 1));
    // It has ended, and the schedule, which watches it, will notice by itself.
    world.edit(|table| table.rows[0] = crate::kit::row(&order(1, "A", "M1", 10, Some(40))));
    let (filled, counts) = fill(&mut world, &job(0, 60, 60, 0));
    assert_eq!((filled.len(), counts.delivered, counts.scheduled, counts.live), (1, 0, 1, 1));
}

#[test]
fn a_run_that_is_not_read_to_its_end_is_left_out() {
    let rows = [
        booking(1, "A", "M1", "A", 10),
        booking(2, "A", "M1", "E", 500),
        booking(3, "B", "M2", "A", 20),
        booking(4, "B", "M2", "E", 30),
    ];
    let mut world = World::with_rows(&booking_spec(""), booking_table(), &rows);
    let (filled, counts) = fill(&mut world, &job(0, 60, 60, 100));
    assert_eq!((filled.len(), counts.at_the_edge, counts.live), (1, 1, 0));
    let (filled, counts) = fill(&mut world, &job(0, 60, 60, 500));
    assert_eq!((filled.len(), counts.at_the_edge, counts.live), (2, 0, 0));
    // Read to the present, it is no edge: it runs.
    world.set_rows(&rows[..1]);
    let (filled, counts) = fill(&mut world, &job(0, 60, 60, PRESENT));
    assert_eq!((filled.len(), counts.at_the_edge, counts.live), (0, 0, 1));
}

/// The schedule began to read in the middle of a run that is booked twice: it took the second START for its beginning.
#[test]
fn a_run_of_which_the_schedule_has_a_part_is_left_to_it() {
    let rows = [
        booking(1, "A", "M1", "A", 10),
        booking(2, "A", "M1", "A", 100),
        booking(3, "A", "M1", "E", 200),
        booking(4, "B", "M2", "A", 10),
        booking(5, "B", "M2", "E", 200),
    ];
    let spec = booking_spec("sync: { lookback: 1d }");
    let mut world = World::with_rows(&spec, booking_table(), &rows);
    world.clock.set(at(1440 + 50));
    world.run_and_deliver();
    assert_eq!(world.runs(), ["A M1 100-200"]);
    let (filled, counts) = fill(&mut world, &job(0, 50, 50, 1440));
    assert_eq!((filled.len(), counts.scheduled), (1, 1), "B is sent, and A is not doubled");
}

#[test]
fn slices_cover_the_range_and_stay_before_the_schedule() {
    let show = |job: &Job, schedule_from: i64| -> Vec<(u32, i64, i64)> {
        let slices = job.slices(at(schedule_from), at(PRESENT)).expect("few slices");
        let minutes = |instant: jiff::Timestamp| instant.duration_since(at(0)).as_mins();
        slices.iter().map(|slice| (slice.number, minutes(slice.from), minutes(slice.to))).collect()
    };
    assert_eq!(show(&job(0, 100, 40, 0), PRESENT), [(0, 0, 40), (1, 40, 80), (2, 80, 100)]);
    assert_eq!(show(&job(0, 100, 40, 0), 90), [(0, 0, 40), (1, 40, 80), (2, 80, 90)]);
    assert_eq!(show(&Job { to: None, ..job(0, 1, 40, 0) }, 50), [(0, 0, 40), (1, 40, 50)]);
    assert_eq!(show(&job(0, 100, 40, 0), -5), []);
    // What is read around a slice ends at the present.
    let slice = job(0, 100, 100, 2 * PRESENT).slices(at(100), at(PRESENT)).expect("one")[0];
    assert_eq!((slice.reads, slice.reads_to_the_end), ((at(-2 * PRESENT), at(PRESENT)), true));
    let second = Job { slice: Duration::from_secs(1), ..job(0, PRESENT, 1, 0) };
    assert_eq!(second.slices(at(PRESENT), at(PRESENT)), None, "too many to keep in mind");
}

#[test]
fn a_job_is_what_its_slices_depend_on() {
    let plan_of = |more: &str| plan(&booking_spec(more));
    let (base, base_plan) = (job(0, 100, 40, 10), plan_of(""));
    let id = base.id(&base_plan);
    for other in [job(1, 100, 40, 10), job(0, 101, 40, 10), job(0, 100, 41, 10), job(0, 100, 40, 11)] {
        assert_ne!(other.id(&base_plan), id, "{other:?}");
    }
    assert_ne!(Job { to: None, ..base }.id(&base_plan), id);
    assert_ne!(base.id(&plan_of("pairing: { orphan_end: ignore }")), id, "it makes other runs");
    assert_eq!(base.id(&plan_of("sync: { lookback: 3d }")), id);
}
