//! What a database shows a login of itself: its catalogue, and a few rows of what looks like orders or bookings.
//!
//! Everything is asked through the connector's port, as a run asks: one read-only session, every statement bounded by
//! rows and by the time-out of the source.

mod block;
mod catalogue;
mod decode;
mod read;
mod sample;
#[cfg(test)]
mod scripted;
mod session;

use std::path::Path;

use engine_core::discover::Survey;
use engine_core::ports::{Cancel, Clock};

pub use self::block::{SourceBlock, source_of};
pub use self::read::{is_meant, shown};
use crate::exit::CommandError;

/// What of a database is wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only tables of this schema or owner.
    pub schema: Option<String>,
    /// Only these tables, whatever they look like, with samples; `table` or `schema.table`. None: all, with samples of
    /// those that look like orders or bookings.
    pub tables: Vec<String>,
    /// What of the rows is kept.
    pub values: Values,
    /// Rows that are kept of a sample; values are counted over more.
    pub rows: Option<usize>,
}

/// What of rows is kept in a survey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Values {
    /// Values; those of columns that look like persons are masked.
    #[default]
    Masked,
    /// All values.
    Whole,
    /// Nothing of a row.
    LeftOut,
}

/// Surveys the database that a file names in its `source:` block.
pub fn survey(source_file: &Path, wanted: &Wanted, cancel: &Cancel, clock: &dyn Clock) -> Result<Survey, CommandError> {
    let block = source_of(source_file)?;
    read::survey(&block, source_file, wanted, cancel, clock)
}
