//! What the tables of an unknown database look like, and which of them hold orders or bookings.
//!
//! A connector's catalogue is read into a [`Survey`], plain values; everything that is concluded from it is a pure
//! function of them: a [`Candidate`] is a table with what its columns seem to mean, how sure that is, and why.

mod events;
mod forms;
mod judge;
mod model;
mod names;
mod persons;
mod readings;
mod roles;
mod stamps;
mod times;
mod values;

pub use self::judge::{judge, worth_a_look};
pub use self::model::{
    Basis, Candidate, ChangeColumn, ColumnFacts, ColumnSample, Confidence, EventCode, ForeignKey, Index, Joined, Name,
    Role, RoleGuess, RowCount, Survey, TableFacts, TableKind, TableSample, TimeColumn, TimeForm,
};
pub use self::names::{is_bulky, name_weight};
pub use self::persons::persons;
pub use self::readings::latest;
pub use self::values::{FREQUENT_VALUES_MAX, latest_by, summarise};

#[cfg(test)]
mod tests;
