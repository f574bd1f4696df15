//! One measure of the pure core after the other, to be counted: `bench-core map`. Everything that is prepared stands
//! outside of [`measured`], and only what happens inside is counted by `run`.

mod plant;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use engine_core::backfill::{Slice, Tally, choose, digests, narrow};
use engine_core::canonical::{CanonicalRow, KeyForm, record_id};
use engine_core::deliver::{Circuit, ParcelLimit};
use engine_core::dispatch::Dispatcher;
use engine_core::mapping::{Mapper, Outcome};
use engine_core::memory::MemoryStore;
use engine_core::pairing::{Before, Booking, Interval, Rules, fold};
use engine_core::plan::Plan;
use engine_core::ports::Cancel;
use engine_core::record;
use engine_core::run::{OUTBOX_BYTES_MAX, Observer, Runner, Silent};
use engine_core::state::SoleLease;
use engine_core::time::Instant;
use engine_core::value::RowBatch;
use plant::{Batches, Still, Taker};

/// Records and bytes of a parcel.
const PARCELS: ParcelLimit = ParcelLimit { records: 5_000, bytes: 1 << 20 };
/// Rows of every measure.
const ROWS: usize = 20_000;

/// Where counting begins and ends. The name is what `run` looks for.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Maps all rows, and hands each to `take`.
fn map(plan: &Plan, batches: &[RowBatch], mut take: impl FnMut(&CanonicalRow)) {
    let mut mapper = Mapper::new(plan, batches[0].columns()).expect("the columns are there");
    let mut row = CanonicalRow::default();
    let now = Instant::from_timestamp(plant::now()).expect("an instant");
    for batch in batches {
        for source in batch.rows() {
            let outcome = mapper.map(source, now, &mut row);
            assert!(matches!(outcome, Outcome::Row), "a row was refused: {:?}", mapper.rejections());
            take(&row);
        }
    }
}

fn canonical(plan: &Plan, batches: &[RowBatch]) -> Vec<CanonicalRow> {
    let mut rows = Vec::with_capacity(ROWS);
    map(plan, batches, |row| rows.push(row.clone()));
    rows
}

/// Rows of each machine.
fn by_machine(rows: &[CanonicalRow]) -> Vec<Vec<&CanonicalRow>> {
    let mut machines = vec![Vec::new(); plant::MACHINES];
    for row in rows {
        let machine = &row.details.machine_code;
        machines[machine.trim_start_matches("M-").parse::<usize>().expect("a number")].push(row);
    }
    machines
}

/// Bookings to runs, in the order of folding.
fn runs<'r>(rows: &[&'r CanonicalRow]) -> Vec<Interval<'r>> {
    let keys = KeyForm::default();
    let bookings: Vec<Booking<'_>> =
        rows.iter().map(|row| Booking::of(keys.key(&row.key_text), row).expect("a booking has an event")).collect();
    fold(&bookings, Before::default(), Rules::default()).runs
}

/// Runs a plan over a store in memory.
fn run(plan: &Plan, store: &MemoryStore, batches: &[RowBatch], observer: &mut dyn Observer) {
    let runner = Runner {
        plan,
        store,
        clock: &Still,
        cancel: &Cancel::default(),
        open: &|| Ok(Box::new(Batches::new(batches.to_vec()))),
        outbox_bytes_max: OUTBOX_BYTES_MAX,
        next_run: None,
    };
    let report = runner.run(observer);
    assert!(report.failure.is_none(), "{:?}", report.failure);
    assert_eq!(report.rows, ROWS as u64, "rows of the run");
}

/// Runs the plan of a slice over a store of its own, and sends what is chosen of it; the number of records.
fn backfill(plan: &Plan, slice: &Slice, batches: &[RowBatch]) -> usize {
    let store = MemoryStore::for_one_run(ROWS);
    let mut tally = Tally::new(*slice);
    run(plan, &store, batches, &mut tally);
    let known = MemoryStore::new();
    let chosen = choose(plan, slice, store.take(&plan.id), &known, &mut tally.counts).expect("memory does not fail");
    black_box(digests(&chosen));
    let outbox = MemoryStore::for_one_run(chosen.len());
    outbox.enqueue_all(&plan.id, chosen.into_iter().map(|record| (record.id, record.body)));
    let dispatcher = Dispatcher {
        pipeline: &plan.id,
        labels: &plan.labels,
        limit: PARCELS,
        store: &outbox,
        lease: &SoleLease,
        clock: &Still,
        cancel: &Cancel::default(),
        random: &|| 0,
        places_of: "bench/backfill",
        settled: &|_, _| Ok(()),
        measures_age: false,
    };
    let mut taker = Taker::default();
    let report = dispatcher.deliver(&mut taker, &mut Circuit::new(PARCELS), Duration::ZERO).expect("it is delivered");
    assert_eq!(report.stopped, None);
    taker.records
}

fn measure(name: &str) -> Option<()> {
    let bookings = || plant::bookings(ROWS);
    match name {
        // Bookings with times of the driver's own kind.
        "map" => {
            let (plan, batches) = (plant::booking_plan(), bookings());
            measured(|| map(&plan, &batches, |row| _ = black_box(&row.key_text)));
        }
        // Orders whose times are texts, in two forms.
        "times" => {
            let (plan, batches) = (plant::text_time_plan(), plant::text_times(ROWS));
            measured(|| map(&plan, &batches, |row| _ = black_box(row.end)));
        }
        // The content of rows, as it is compared.
        "hash" => {
            let rows = canonical(&plant::booking_plan(), &bookings());
            let mut scratch = Vec::new();
            measured(|| rows.iter().for_each(|row| _ = black_box(row.content_hash(&mut scratch))));
        }
        // Bookings of 120 machines to runs.
        "pair" => {
            let rows = canonical(&plant::booking_plan(), &bookings());
            let machines = by_machine(&rows);
            let count = measured(|| machines.iter().map(|rows| black_box(runs(rows)).len()).sum::<usize>());
            assert_eq!(count, plant::runs_of(ROWS), "runs that were folded");
        }
        // Records as JSON: rows, and runs.
        "json-rows" => {
            let plan = plant::booking_plan();
            let rows = canonical(&plan, &bookings());
            let id = record_id("bench", "1");
            let mut out = String::with_capacity(1 << 20);
            measured(|| {
                for row in &rows {
                    out.clear();
                    record::write_row(&mut out, id, black_box(row), plan.table);
                    black_box(&out);
                }
            });
        }
        "json-runs" => {
            let rows = canonical(&plant::booking_plan(), &bookings());
            let runs: Vec<Interval<'_>> = by_machine(&rows).iter().flat_map(|rows| runs(rows)).collect();
            let id = record_id("bench", "1");
            let mut out = String::with_capacity(1 << 20);
            measured(|| {
                for run in &runs {
                    out.clear();
                    let run = black_box(run);
                    record::write_run(&mut out, id, run.start, run.end, &run.details);
                    black_box(&out);
                }
            });
        }
        // A whole run: everything is new, and then nothing is.
        "first-run" => {
            let (plan, batches) = (plant::booking_plan(), bookings());
            let store = MemoryStore::new();
            measured(|| run(&plan, &store, &batches, &mut Silent));
        }
        "same-again" => {
            let (plan, batches) = (plant::booking_plan(), bookings());
            let store = MemoryStore::new();
            run(&plan, &store, &batches, &mut Silent);
            measured(|| run(&plan, &store, &batches, &mut Silent));
        }
        // Rows without state: read and sent as a slice of a backfill.
        "backfill" => {
            let (mut plan, batches) = (plant::row_plan(), bookings());
            let slice = plant::slice();
            narrow(&mut plan, &slice);
            let sent = measured(|| backfill(&plan, &slice, &batches));
            assert_eq!(sent, ROWS, "records that were sent");
        }
        // A spec from its text to its plan.
        "load-spec" => {
            let _ = plant::booking_plan();
            measured(|| drop(black_box(plant::booking_plan())));
        }
        _ => return None,
    }
    Some(())
}

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    match measure(&name) {
        Some(()) => ExitCode::SUCCESS,
        None => {
            eprintln!("there is no measure `{name}`");
            ExitCode::from(2)
        }
    }
}
