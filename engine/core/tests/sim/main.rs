//! Histories from seeds: the real run and the real delivery, over ports that fail in every way that is known.
//!
//! A history is a sequence of edits of the source, runs, deliveries, restarts, changes of the spec and moves of the
//! clock, with faults at chosen calls. After it nothing fails any more, and the platform must have what a fresh run
//! gives.
//!
//! `ENGINE_SIM_SEEDS=100000` plays more histories; `ENGINE_SIM_SEED=7` plays one, and shows what happened in it.

#![expect(clippy::unwrap_used, reason = "what cannot happen in a simulation should end it")]

mod again;
mod check;
mod edits;
mod faults;
mod history;
#[path = "../run/plant.rs"]
#[expect(dead_code, reason = "some of it is for the tests of single runs")]
mod plant;
mod platform;
mod ports;
mod random;
mod setup;
mod source;
mod tally;
#[path = "../run/watched.rs"]
mod watched;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::history::{Played, play};
use crate::tally::Tally;

/// Histories that are played where nobody asks for another number.
const SEEDS: u64 = 10_000;
/// How often every fault must have happened at every call that it fits, in [`SEEDS`] histories.
const EACH_FAULT_MIN: u64 = 5;
/// Failed seeds that are named.
const NAMED_MAX: usize = 10;

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// What happened, what was wrong with it, and how to see it again.
fn tell(seed: u64, played: &Played) -> String {
    let wrong: Vec<String> = played.wrong.iter().map(ToString::to_string).collect();
    format!(
        "{}\nseed {seed}: {}\n\
         again: ENGINE_SIM_SEED={seed} cargo test --locked --workspace --test sim no_history -- --nocapture",
        played.trace.join("\n"),
        wrong.join("\n")
    )
}

/// Plays the histories of many seeds, as fast as the machine can.
fn play_all(seeds: u64) -> Tally {
    let next = AtomicU64::new(0);
    let tally = Mutex::new(Tally::default());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut own = Tally::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    own.count(seed, &play(seed));
                }
                tally.lock().unwrap().add(own);
            });
        }
    });
    tally.into_inner().unwrap()
}

#[test]
#[expect(clippy::print_stdout, reason = "a single history is there to be read")]
fn no_history_loses_or_doubles_anything() {
    if let Some(seed) = number_from("ENGINE_SIM_SEED") {
        let played = play(seed);
        println!("{}", tell(seed, &played));
        assert!(played.wrong.is_empty(), "seed {seed} went wrong");
        return;
    }
    let seeds = number_from("ENGINE_SIM_SEEDS").unwrap_or(SEEDS);
    let tally = play_all(seeds);
    tally.report("no_history_loses_or_doubles_anything");
    if let Some(first) = tally.failed.first() {
        let named = &tally.failed[..tally.failed.len().min(NAMED_MAX)];
        panic!(
            "{} of {seeds} histories went wrong, {named:?} among them\n{}",
            tally.failed.len(),
            tell(*first, &play(*first))
        );
    }
    let seldom: Vec<String> = tally
        .coverage
        .by_call()
        .filter(|(_, _, count)| *count < EACH_FAULT_MIN)
        .map(|(call, fault, count)| format!("{fault:?} at {call}: {count}"))
        .collect();
    assert!(seeds < SEEDS || seldom.is_empty(), "faults that hardly ever happen: {seldom:?}");
}

#[test]
fn a_seed_repeats_its_history() {
    for seed in 0..100 {
        let (one, other) = (play(seed), play(seed));
        assert!(!one.trace.is_empty());
        assert_eq!(one.trace, other.trace, "seed {seed}");
        assert_ne!(one.trace, play(seed + 1_000_000).trace, "another seed is another history");
    }
}
