//! State stores: what must survive between runs, kept in a database.
//!
//! Every store implements [`engine_core::state::StateStore`] and passes the same suite of tests.

mod postgres;
mod retry;
mod sqlite;
#[cfg(test)]
mod suite;

pub use postgres::{PostgresStore, files_of, is_of_this_host};
pub use sqlite::{Check, Options, SqliteStore};
