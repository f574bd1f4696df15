//! What tests found of the promises, for the report of a whole run of them.

use std::fs::OpenOptions;
use std::io::Write;

/// Names the file to which a line is appended for each promise that a test keeps.
const REPORT: &str = "ENGINE_PROMISES_REPORT";

/// What a test went through, and what it counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Histories that were run.
    pub histories: u64,
    /// Faults that were injected.
    pub faults: u64,
    /// Records that the platform lacks.
    pub losses: u64,
    /// Records that the platform was sent again, although nothing had changed.
    pub duplicates: u64,
}

/// Tells the report, if there is one, that a test kept a promise.
pub fn kept(promise: &str, test: &str, tally: Tally) {
    let Some(path) = std::env::var_os(REPORT) else { return };
    let Tally { histories, faults, losses, duplicates } = tally;
    let line = format!("{promise}\t{test}\t{histories}\t{faults}\t{losses}\t{duplicates}\n");
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("the report can be opened");
    file.write_all(line.as_bytes()).expect("the report can be written");
}
