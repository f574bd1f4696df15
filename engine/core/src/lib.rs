//! Spec to plan, rows to records, records to runs, runs to differences: the part of engine that only computes.
//!
//! No I/O, no driver, no clock. The outside world is reached through [`ports`].

pub mod deliver;
pub mod ports;
pub mod value;
