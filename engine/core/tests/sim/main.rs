//! Histories from seeds: the real run and the real delivery, over ports that fail in every way that is known.
//!
//! `ENGINE_SIM_SEEDS=100000` plays more of them, `ENGINE_SIM_SEED=7` plays one and shows what happened in it.

#![expect(clippy::unwrap_used, reason = "what cannot happen in a simulation should end it")]

mod check;
mod edits;
mod faults;
#[path = "../run/flaky.rs"]
mod flaky;
mod history;
#[path = "../run/plant.rs"]
mod plant;
mod platform;
mod random;
mod setup;
mod source;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::faults::Coverage;
use crate::history::play;
use crate::world::Wrong;

/// Histories that are played where nobody asks for more.
const SEEDS: u64 = 10_000;

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

#[test]
fn no_history_loses_or_doubles_anything() {
    if let Some(seed) = number_from("ENGINE_SIM_SEED") {
        let played = play(seed);
        println!("{}", played.trace.join("\n"));
        assert!(played.wrong.is_empty(), "seed {seed}: {:?}", played.wrong);
        return;
    }
    let seeds = number_from("ENGINE_SIM_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let coverage = Mutex::new(Coverage::default());
    let failed: Mutex<Vec<(u64, Vec<Wrong>)>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut own = Coverage::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    let played = play(seed);
                    own.add(&played.coverage);
                    if !played.wrong.is_empty() {
                        failed.lock().unwrap().push((seed, played.wrong));
                    }
                }
                coverage.lock().unwrap().add(&own);
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    for (seed, wrong) in failed.iter().take(20) {
        println!("{seed}: {:?}", wrong[0]);
    }
    for (site, fault, count) in coverage.lock().unwrap().by_call() {
        if count < 20 {
            println!("{site} {fault:?} {count}");
        }
    }
    assert!(failed.is_empty(), "{} failed", failed.len());
}
