//! Several engines that share one state database: they come, go, die, are stopped and cut off, and the platform ends up
//! with everything once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod fleet;

use std::time::{Duration, Instant};

use engine_tests::binary::{Outcome, Running, await_that};
use engine_tests::plant;
use engine_tests::platform::Platform;
use engine_tests::promises::{Tally, kept};
use engine_tests::proxy::{Mode, Proxy};
use engine_tests::servers;

use crate::fleet::{Fleet, LEASE, Worker};

/// Pipelines of the fleet.
const PIPELINES: i64 = 200;
/// How long workers may take beyond the end of a lease to take what is free and to give back what is too much: a second
/// or two each, on a machine that does nothing else.
const NOTICE: Duration = Duration::from_secs(40);

/// How many pipelines the busiest worker may have.
fn part(workers: usize) -> usize {
    usize::try_from(PIPELINES).unwrap().div_ceil(workers)
}

#[test]
fn workers_that_come_go_and_die_lose_nothing_and_double_nothing() {
    let database = servers::postgres();
    let platform = Platform::start();
    let fleet = Fleet::new(&database, &platform.url(), PIPELINES);
    let changes = fleet.keep_changing();
    let mut faults = 0;

    // They come, and share the work evenly.
    let mut workers: Vec<Worker> = (0..3).map(|_| fleet.start(database.port)).collect();
    fleet.await_shares(&workers, part(3), Duration::from_secs(60));
    let door = Proxy::start(database.port, Mode::Open);
    let cut_off = fleet.start(door.port());
    workers.push(fleet.start(database.port));
    let all: Vec<&Worker> = workers.iter().chain([&cut_off]).collect();
    fleet.await_shares_of(&all, part(5), Duration::from_secs(60));

    // One is killed: the others have its pipelines when its lease is over.
    let mut dead = workers.remove(0);
    let died = Instant::now();
    assert!(dead.process.kill());
    faults += 1;
    let left: Vec<&Worker> = workers.iter().chain([&cut_off]).collect();
    fleet.await_shares_of(&left, part(4), LEASE + NOTICE);
    assert!(died.elapsed() >= LEASE / 2, "not before its lease was over: {:?}", died.elapsed());

    // One is stopped for longer than its lease, and goes on where it was.
    workers[0].process.signal("STOP");
    faults += 1;
    let left: Vec<&Worker> = workers[1..].iter().chain([&cut_off]).collect();
    fleet.await_shares_of(&left, part(3), LEASE + NOTICE);
    workers[0].process.signal("CONT");
    let all: Vec<&Worker> = workers.iter().chain([&cut_off]).collect();
    fleet.await_shares_of(&all, part(4), LEASE + NOTICE);

    // One is cut off from the database, and comes back.
    door.set(Mode::Silent);
    faults += 1;
    let left: Vec<&Worker> = workers.iter().collect();
    fleet.await_shares_of(&left, part(3), LEASE + NOTICE);
    door.set(Mode::Open);
    let all: Vec<&Worker> = workers.iter().chain([&cut_off]).collect();
    fleet.await_shares_of(&all, part(4), LEASE * 4 + NOTICE);

    // All are replaced, one after the other, as a new version is rolled out.
    for _ in 0..workers.len() {
        let old = workers.remove(0);
        workers.push(fleet.start(database.port));
        old.process.signal("TERM");
        old.process.finish().expect(0);
        faults += 1;
        let all: Vec<&Worker> = workers.iter().chain([&cut_off]).collect();
        fleet.await_shares_of(&all, part(all.len()), LEASE + NOTICE);
    }

    let changed = changes.stop();
    assert!(changed > 100, "{changed} changes");
    let (losses, duplicates) = fleet.settle(&platform);
    for worker in workers.into_iter().chain([cut_off]) {
        worker.process.signal("TERM");
        worker.process.finish().expect(0);
    }
    let tally = Tally { histories: 1, faults, losses, duplicates };
    kept("Nothing lost, nothing doubled", "workers_that_come_go_and_die_lose_nothing_and_double_nothing", tally);
    assert_eq!((losses, duplicates), (0, 0));
    platform.assert_contract();

    // Whatever a fault has left in doubt was sent again under its key; after that, nothing is.
    let sent = platform.records();
    fleet.once(database.port);
    assert_eq!(platform.records(), sent, "nothing changed, nothing is sent");
}

/// A worker that was stopped sends nothing of what another one has taken over, and takes its turn again later.
#[test]
fn a_worker_that_goes_on_after_a_stop_leaves_the_pipeline_to_its_heir() {
    let database = servers::postgres();
    let platform = Platform::start();
    let fleet = Fleet::new(&database, &platform.url(), 1);
    fleet.status(&["--alive"]).expect(3).says("no engine of this host");
    let mut stopped = fleet.start(database.port);
    stopped.process.event("delivered", "p000");
    fleet.status(&["--alive"]).expect(0).says(&format!("process {} on", stopped.process.id())).says("is at work");
    stopped.process.signal("STOP");
    fleet.correct(1, "after-the-stop");
    let mut heir = fleet.start(database.port);
    heir.process.event("delivered", "p000");
    assert_eq!(platform.greatest_fence("p000"), Some(2));
    stopped.process.signal("CONT");
    stopped.process.event("lease_lost", "p000");
    fleet.correct(1, "after-all");
    heir.process.event("delivered", "p000");
    assert_eq!((platform.greatest_fence("p000"), platform.stale()), (Some(2), 0));
    let (losses, duplicates) = fleet.settle(&platform);
    assert_eq!((losses, duplicates), (0, 0));
    for worker in [stopped, heir] {
        worker.process.signal("TERM");
        worker.process.finish().expect(0);
    }
}

/// `run --once` under a workflow scheduler: two at the same time share the pipelines, and neither runs one twice.
#[test]
fn runs_by_a_scheduler_share_the_state_as_well() {
    let database = servers::postgres();
    let platform = Platform::start();
    let fleet = Fleet::new(&database, &platform.url(), 20);
    for round in 0..3 {
        fleet.change(round);
        let jobs: Vec<_> = (0..3).map(|_| fleet.start_once(database.port)).collect();
        for job in jobs {
            let outcome = job.finish();
            // What another one has at that moment is left to it, and said.
            assert!(matches!(outcome.code(), Some(0 | 1)), "{outcome}");
            assert_eq!(outcome.code() == Some(1), outcome.stderr.contains("it is being run already"), "{outcome}");
        }
    }
    fleet.once(database.port);
    assert_eq!(fleet.difference(&platform), (0, 0));
    assert_eq!(platform.doubles(), 0);
    platform.assert_contract();
}

/// History by four processes that share its slices; one of them is killed in the middle of a slice.
#[test]
fn workers_share_a_backfill_and_one_of_them_dies() {
    const WORKERS: usize = 4;
    let database = servers::postgres();
    let platform = Platform::start();
    let fleet = Fleet::with_history(&database, &platform.url());
    let args = ["backfill", "p000.yaml", "--from", "2025-01-01", "--now", plant::NOW, "--yes", "-o", "json"];
    let mut workers: Vec<Running> = (0..WORKERS).map(|_| fleet.run(database.port, &args)).collect();
    await_that("some slices are sent", || platform.requests().len() >= 20);
    assert!(workers[0].kill(), "there was too little to do");
    let outcomes: Vec<Outcome> = workers.drain(1..).map(|worker| worker.finish().expect(0)).collect();
    let slices: Vec<usize> = outcomes.iter().map(|outcome| outcome.events("slice_sent").len()).collect();
    assert!(slices.iter().all(|count| *count > 0), "some had nothing to do: {slices:?}");

    let (losses, extra) = fleet.difference(&platform);
    // The parcel that was under way at the death may have come twice, and nothing else.
    let again = platform.doubles().saturating_sub(fleet::PARCEL) as u64;
    let tally = Tally { histories: 1, faults: 1, losses, duplicates: extra + again };
    kept("Nothing lost, nothing doubled", "workers_share_a_backfill_and_one_of_them_dies", tally);
    assert_eq!((losses, extra, again), (0, 0, 0), "{slices:?}");
    platform.assert_contract();
    let requests = platform.requests().len();
    fleet.run(database.port, &args).finish().expect(0).says("finished_before");
    assert_eq!(platform.requests().len(), requests, "all of it is remembered");
}
