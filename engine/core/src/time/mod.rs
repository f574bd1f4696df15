//! Times of source rows: how they are written, which zone they are read in, and what a clock change does to them.
//!
//! Everything here is a pure function of its input. A [`Zone`] turns a reading of the local clock into an
//! [`Instant`], a [`TimeReader`] turns the cells of a row into one.

mod cell;
mod civil;
mod error;
mod instant;
mod iso;
mod number;
mod pattern;
mod reader;
mod zone;

pub use civil::Civil;
pub(crate) use error::Quoted;
pub use error::{TimeError, TimeErrorCode};
pub use instant::{Instant, RFC3339_BYTES_MAX, Rfc3339, write_rfc3339};
pub use reader::{TimeCells, TimeReader, TimeValue};
pub use zone::{Resolved, Shift, Zone};

/// Seconds of a day on the local clock.
pub(crate) const DAY_SECS: i64 = 86_400;
/// Nanoseconds of a second.
pub(crate) const SECOND_NANOS: i64 = 1_000_000_000;
