//! The report of promises: what a test that keeps one has run, and what it found.

use std::fs::OpenOptions;
use std::io::Write;

/// Names the file that takes the report; without it, there is none.
const REPORT: &str = "ENGINE_PROMISES_REPORT";

/// What a test has run, and what it found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Histories run.
    pub histories: u64,
    /// Faults injected.
    pub faults: u64,
    /// Records that the destination should have and has not, or has otherwise.
    pub losses: u64,
    /// Records that the destination has and should not, or that were sent again without need.
    pub duplicates: u64,
}

/// Appends a line to the report.
pub fn kept(promise: &str, test: &str, tally: Tally) {
    let Some(path) = std::env::var_os(REPORT) else { return };
    let Tally { histories, faults, losses, duplicates } = tally;
    let line = format!("{promise}\t{test}\t{histories}\t{faults}\t{losses}\t{duplicates}\n");
    let file = OpenOptions::new().create(true).append(true).open(&path);
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the report can be written");
}
