//! How far the slices of a backfill have come.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is remembered of one slice of a backfill, so that the next process goes on where the last one stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SliceState {
    /// Its number, from 0 on.
    pub number: u32,
    /// How often the backfill was begun anew: what is sent again on purpose is no repetition to the destination.
    pub round: u32,
    /// Records that the destination acknowledged, from the first on.
    pub acknowledged: u64,
    /// Hash of these records. Where the source says something else meanwhile, the slice is sent from the first on.
    pub digest: u64,
    /// Everything of it is sent, up to `until`.
    pub done: bool,
    /// Where it ended when it was read last: one that the schedule cut short may be longer the next time.
    pub until: Option<Timestamp>,
    /// Records of it that the destination refused.
    pub refused: u64,
}
