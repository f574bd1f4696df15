//! Who watches a run.

use jiff::Timestamp;

use crate::canonical::CanonicalRow;
use crate::mapping::{Mapper, Outcome};
use crate::report::Failure;
use crate::value::Row;

/// Sees what a run does while it does it.
pub trait Observer {
    /// A row was read and mapped. `canonical` is whole for [`Outcome::Row`]; for [`Outcome::Cancelled`] it may have
    /// no more than its key.
    fn row(&mut self, _row: Row<'_>, _outcome: Outcome, _canonical: &CanonicalRow, _mapper: &Mapper) {}
    /// Rows read so far.
    fn progress(&mut self, _rows: u64, _what: &str) {}
    /// A part of the run begins; parts may lie in one another.
    fn begins(&mut self, _part: Part) {}
    /// The part that began last is over. This is not told of a part that fails, nor of those around it.
    fn ends(&mut self) {}
}

/// Sees nothing.
pub struct Silent;

impl Observer for Silent {}

/// A part of a run, for those who measure it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What is remembered is read, and whether there is room in the outbox.
    Load,
    /// The source is opened, with its login.
    Open,
    /// What the ledger has in a range is read: what must come back.
    Expect,
    /// A question to the source, until the last of its rows is mapped and compared.
    Question {
        /// Its number within the run, from 1.
        number: u64,
        /// Start and end of the window, half-open; `None` where the mode has none.
        window: Option<(Timestamp, Timestamp)>,
    },
    /// The source is waited for, within a question: once for each batch.
    Fetch,
    /// What a step found is made records of, in a transaction of the state store.
    Derive,
    /// That transaction is committed.
    Commit,
}

/// Does a part of a run.
pub(super) fn part<'a, T>(
    observer: &mut (dyn Observer + 'a),
    part: Part,
    work: impl FnOnce(&mut (dyn Observer + 'a)) -> Result<T, Failure>,
) -> Result<T, Failure> {
    observer.begins(part);
    let done = work(observer)?;
    observer.ends();
    Ok(done)
}
