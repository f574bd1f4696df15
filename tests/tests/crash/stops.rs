//! The process stands still for a while: a debugger, a laptop that sleeps, a virtual machine that is moved.

use std::time::Duration;

use engine_tests::seed;

use crate::kills::any_fault;
use crate::site::{HASTY, SERVICE, Site};

/// How long it works between two stops, in milliseconds at most.
const WORK_MAX: u64 = 900;
/// How long it stands still. The last is longer than every time-out.
const STOPS: [Duration; 3] = [Duration::from_millis(40), Duration::from_millis(400), Duration::from_millis(2_500)];
/// Rounds of all stops.
const ROUNDS: u64 = 3;

#[test]
fn a_process_that_stands_still_goes_on_as_if_nothing_had_been() {
    let mut random = seed::random("ENGINE_CRASH_SEED");
    let mut site = Site::new();
    site.specs(site.server.port, &site.platform.url(), Some(HASTY));
    site.server.execute("ALTER ROLE etl SET idle_in_transaction_session_timeout = '1s'");
    let mut running = site.workspace.start(&SERVICE);
    for _ in 0..ROUNDS {
        for stop in STOPS {
            site.platform.calm().script(vec![any_fault(&mut random), any_fault(&mut random)]);
            let work = Duration::from_millis(random.u64(0..WORK_MAX));
            assert!(site.change_for(work, &mut running, &mut random), "it ended by itself");
            running.signal("STOP");
            assert!(site.change_for(stop, &mut running, &mut random));
            if stop == STOPS[2] {
                // The platform has given it up as well.
                site.platform.restart();
            }
            running.signal("CONT");
        }
    }
    site.stop(running);
    let stops = ROUNDS * STOPS.len() as u64;
    site.conclude(
        "Nothing lost, nothing doubled",
        "a_process_that_stands_still_goes_on_as_if_nothing_had_been",
        stops,
        3 * stops,
        0,
    );
}
