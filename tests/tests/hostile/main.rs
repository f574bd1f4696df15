//! Input that means harm, through the built program: what becomes of it, in which words, and what it may cost.

#![expect(clippy::print_stdout, reason = "a test that fails shows what led to it")]

mod platform;
mod rows;
mod specs;
mod web;

use std::time::Duration;

use engine_tests::binary::{Outcome, Running};
use engine_tests::promises::{Tally, kept};

/// Time that anything here may take. Only a broken limit comes near; the machine may have much else to do.
const TIME_MAX: Duration = Duration::from_secs(45);

/// What is expected of one input.
#[derive(Debug, Clone, Copy)]
struct Expected {
    /// The exit code.
    code: i32,
    /// What is said, on either stream.
    says: &'static str,
    /// Most memory, in MiB.
    memory_mib: u64,
}

/// Waits for the end, and gives back what differs from what is expected.
fn differs(name: &str, running: Running, expected: Expected) -> Option<String> {
    let (outcome, cost) = running.finish_watched(TIME_MAX);
    let memory_mib = cost.memory_kib >> 10;
    let mut wrong = Vec::new();
    if outcome.code() != Some(expected.code) {
        wrong.push(format!("ends with {:?}, not {}", outcome.code(), expected.code));
    }
    if !said(&outcome).contains(expected.says) {
        wrong.push(format!("does not say `{}`", expected.says));
    }
    if said(&outcome).contains("panicked at") {
        wrong.push("panics".to_owned());
    }
    if memory_mib > expected.memory_mib {
        wrong.push(format!("takes {memory_mib} MiB, more than {}", expected.memory_mib));
    }
    println!("{name}: {:?}, {memory_mib} MiB, {} bytes of words", cost.time, said(&outcome).len());
    (!wrong.is_empty()).then(|| {
        let words: String = said(&outcome).chars().take(2_000).collect();
        format!("{name}: {}\n{words}", wrong.join("; "))
    })
}

fn said(outcome: &Outcome) -> String {
    format!("{}{}", outcome.stdout, outcome.stderr)
}

/// Fails with everything that differs; otherwise the promise is kept.
#[track_caller]
fn all_as_expected(promise: &str, test: &str, inputs: usize, wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    kept(promise, test, Tally { histories: inputs as u64, faults: inputs as u64, ..Tally::default() });
}
