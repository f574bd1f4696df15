//! The network on both sides fails in every way it can, and so do the machines behind it.

use std::time::Duration;

use engine_tests::proxy::{Mode, Proxy};
use engine_tests::seed;

use crate::site::{HASTY, SERVICE, Site};

/// How long a fault lasts, in milliseconds.
const FAULT_TIME: std::ops::Range<u64> = 200..1_300;
/// How long it works between two faults, in milliseconds at most.
const WORK_MAX: u64 = 700;
/// Bytes after which a connection is cut, at most.
const CUT_BYTES_MAX: usize = 24_000;
/// How often the server of the source crashes.
const CRASHES: u64 = 3;
/// Rows that take about a second to read.
const MANY_ROWS: std::ops::Range<i64> = 10_000..10_800;

fn url(door: &Proxy) -> String {
    format!("http://127.0.0.1:{}/deliveries", door.port())
}

#[test]
fn a_network_that_fails_in_every_way_loses_nothing() {
    let mut random = seed::random("ENGINE_CRASH_SEED");
    let mut site = Site::new();
    let source = Proxy::start(site.server.port, Mode::Open);
    let platform = Proxy::start(site.platform.port(), Mode::Open);
    site.specs(source.port(), &url(&platform), Some(HASTY));
    let mut faults = Vec::new();
    for door in [&source, &platform] {
        let (early, late) = (random.usize(1..2_000), random.usize(2_000..CUT_BYTES_MAX));
        let cuts = [early, late].into_iter().flat_map(|bytes| [Mode::CutAnswer(bytes), Mode::CutRequest(bytes)]);
        faults.extend(
            [Mode::Shut, Mode::Silent, Mode::HalfOpen, Mode::Slow].into_iter().chain(cuts).map(|mode| (door, mode)),
        );
    }
    random.shuffle(&mut faults);
    let mut running = site.workspace.start(&SERVICE);
    let count = faults.len() as u64;
    for (door, mode) in faults {
        let work = Duration::from_millis(random.u64(0..WORK_MAX));
        assert!(site.change_for(work, &mut running, &mut random), "it ended by itself");
        // To what is under way, or to what comes next.
        if random.bool() {
            door.turn(mode);
        } else {
            door.set(mode);
        }
        let time = Duration::from_millis(random.u64(FAULT_TIME));
        assert!(site.change_for(time, &mut running, &mut random), "it ended by itself of {mode:?}");
        door.set(Mode::Open);
    }
    site.stop(running);
    site.conclude("Nothing lost, nothing doubled", "a_network_that_fails_in_every_way_loses_nothing", count, count, 0);
}

#[test]
fn a_database_that_crashes_while_it_is_read_loses_nothing_and_deletes_nothing() {
    let mut random = seed::random("ENGINE_CRASH_SEED");
    let mut site = Site::new();
    site.orders(MANY_ROWS);
    // A millisecond a row, so that there is a middle.
    site.server.execute("CREATE VIEW langsam AS SELECT * FROM auftrag WHERE pg_sleep(0.001)::text IS NOT NULL");
    site.orders_from = "langsam";
    site.specs(site.server.port, &site.platform.url(), None);
    let mut running = site.workspace.start(&SERVICE);
    running.event("run_finished", "acme");
    for crash in 0..CRASHES as i64 {
        site.orders(20_000 + crash * 10..20_010 + crash * 10);
        let before = site.platform.requests().len();
        let busy = "SELECT count(*) > 0 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%langsam%'
                    AND pid <> pg_backend_pid()";
        site.server.await_answer(busy, "t");
        // The moment is the fault, not a wait for something.
        std::thread::sleep(Duration::from_millis(random.u64(0..300)));
        site.server.crash_and_recover();
        let failed = running.event("run_failed", "acme");
        let message = failed["message"].as_str().unwrap_or_default();
        assert!(message.contains(&format!("127.0.0.1:{}", site.server.port)), "{failed}");
        let requests = site.platform.requests();
        let deletes = requests[before..].iter().filter(|one| one.body["records"].to_string().contains("\"delete\""));
        assert_eq!(deletes.count(), 0, "what was not read was taken for gone");
        site.platform.restart();
        running.event("run_finished", "acme");
    }
    site.stop(running);
    site.conclude(
        "Nothing lost, nothing doubled",
        "a_database_that_crashes_while_it_is_read_loses_nothing_and_deletes_nothing",
        CRASHES,
        2 * CRASHES,
        0,
    );
}
