//! The report of promises: a test that keeps one says how often it was put to the test, and what became of it.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Names the file of the report. Without it, nothing is written.
const REPORT: &str = "ENGINE_PROMISES_REPORT";

/// What a test counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Histories that were run.
    pub histories: u64,
    /// Faults that were injected.
    pub faults: u64,
    /// Records that were missing or wrong at the end.
    pub losses: u64,
    /// Records that were sent again although nothing of them had changed.
    pub duplicates: u64,
}

/// Appends a line to the report: promise, test, histories, faults, losses, duplicates.
pub fn kept(promise: &str, test: &str, tally: Tally) {
    let Some(path) = std::env::var_os(REPORT) else { return };
    let Tally { histories, faults, losses, duplicates } = tally;
    let line = format!("{promise}\t{test}\t{histories}\t{faults}\t{losses}\t{duplicates}\n");
    // One write, so that lines of tests that run at the same time do not mix.
    let written =
        OpenOptions::new().create(true).append(true).open(&path).and_then(|mut file| file.write_all(line.as_bytes()));
    written.unwrap_or_else(|error| panic!("the report {} cannot be written: {error}", path.display()));
}
