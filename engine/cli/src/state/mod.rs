//! State stores: what must survive between runs, kept in a database.
//!
//! Every store implements [`engine_core::state::StateStore`] and passes the same suite of tests.

mod postgres;
mod retry;
mod sqlite;
#[cfg(test)]
mod suite;

pub use postgres::{PostgresStore, files_of, host, is_of_this_host};
pub use sqlite::{Check, Options, SqliteStore};

/// What a look at a state store found. Nothing was changed by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Where it is, without a login.
    pub place: String,
    /// Version of its tables; `None` where nothing ran yet.
    pub version: Option<usize>,
    /// The version that this engine makes of them when it opens them.
    pub known: usize,
}
