//! Spec to plan, rows to records, records to runs, runs to differences: the part of engine that only computes.
//!
//! No I/O, no driver, no clock. The outside world is reached through [`ports`] and [`state`].

pub mod anonymise;
pub mod backfill;
pub mod canonical;
pub mod cursor;
pub mod deliver;
pub mod derive;
pub mod discover;
pub mod dispatch;
pub mod draft;
pub mod fleet;
pub mod freshness;
pub mod mapping;
pub mod memory;
pub mod merge;
mod name_id;
mod overlap;
pub mod pairing;
pub mod plan;
pub mod ports;
pub mod probe;
pub mod record;
pub mod recording;
pub mod report;
pub mod run;
pub mod state;
pub mod text;
mod text_map;
pub mod time;
pub mod timeline;
mod touched;
pub mod transform;
pub mod value;
