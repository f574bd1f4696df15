//! What a run counted.

use std::collections::BTreeMap;
use std::fmt::Display;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How many of what: `1 row`, `2 rows`. For nouns whose plural ends in `s`.
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let ending = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

/// What a run read, changed and refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunReport {
    /// When it began.
    pub started: Timestamp,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// Statements that were sent to the source.
    pub statements: u64,
    /// Rows that the source gave.
    pub rows: u64,
    /// Bytes of their values: see [`crate::value::RowBatch::value_bytes`].
    pub bytes: u64,
    /// Rows that `skip_when` or an `unmapped: skip` dropped.
    pub skipped: u64,
    /// Rows that `cancelled_when` marked.
    pub cancelled: u64,
    /// Rows that the ledger knew as they are.
    pub unchanged: u64,
    /// Rows that are new.
    pub new: u64,
    /// Rows that say something else than before.
    pub changed: u64,
    /// Rows that are gone.
    pub gone: u64,
    /// Records handed to the outbox to be written.
    pub upserts: u64,
    /// Records handed to the outbox to be deleted.
    pub deletes: u64,
    /// Rows in quarantine, by the code of the reason.
    pub rejected: BTreeMap<String, u64>,
    /// Things worth a look that stopped nothing, by code.
    pub reported: BTreeMap<String, u64>,
    /// It was by the spec of before: its file holds something else now, which cannot be used.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub spec_kept: bool,
    /// Notes in plain words.
    pub notes: Vec<String>,
    /// Why it failed, in plain words.
    pub failure: Option<Failure>,
}

impl RunReport {
    /// Rows that were rejected, whatever the reason.
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Whether nothing was handed to the outbox.
    pub fn is_unchanged(&self) -> bool {
        self.upserts == 0 && self.deletes == 0
    }

    /// Counts something that was refused.
    pub fn reject(&mut self, code: &str) {
        *self.rejected.entry(code.to_owned()).or_default() += 1;
    }

    /// Counts something worth a look.
    pub fn report(&mut self, code: &str, count: u64) {
        if count > 0 {
            *self.reported.entry(code.to_owned()).or_default() += count;
        }
    }
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// What was tried, where, and what came back.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// What kind of failure a run met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The spec does not fit the source: exit code 2.
    Spec,
    /// A server, a reference or a file is not as it should be: exit code 3.
    Environment,
    /// The source broke off, or gave what cannot be read: exit code 1.
    Source,
    /// The source refused the statement: exit code 1.
    Query,
    /// A brake was pulled: exit code 1.
    Brake,
    /// Too many rows were rejected: exit code 1.
    Rejected,
    /// The state store failed: exit code 3.
    State,
    /// Somebody asked to stop.
    Cancelled,
}
