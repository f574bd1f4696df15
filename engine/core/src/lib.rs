//! Spec to plan, rows to records, records to runs, runs to differences: the part of engine that only computes.
//!
//! No I/O, no driver, no clock. The outside world is reached through [`ports`] and [`state`].

pub mod canonical;
pub mod cursor;
pub mod merge;
pub mod pairing;
pub mod ports;
pub mod report;
pub mod state;
pub mod time;
pub mod text;
pub mod time;
pub mod transform;
pub mod value;
