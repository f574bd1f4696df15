//! What the tests say of the promises they kept: one line each, for whoever collects them.

use std::fs::OpenOptions;
use std::io::Write as _;

/// What a test did, and what it found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Histories that were run.
    pub histories: u64,
    /// Faults that were injected.
    pub faults: u64,
    /// Records by which the destination differs from what an undisturbed run gives.
    pub losses: u64,
    /// Records that were sent again, unchanged, after they were settled.
    pub duplicates: u64,
}

/// Appends a line to the file that `ENGINE_PROMISES_REPORT` names, where it names one.
pub fn kept(promise: &str, test: &str, tally: Tally) {
    let Some(path) = std::env::var_os("ENGINE_PROMISES_REPORT") else { return };
    let Tally { histories, faults, losses, duplicates } = tally;
    let line = format!("{promise}\t{test}\t{histories}\t{faults}\t{losses}\t{duplicates}\n");
    let file = OpenOptions::new().create(true).append(true).open(path);
    // One write: other tests report at the same time.
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the report can be written");
}
