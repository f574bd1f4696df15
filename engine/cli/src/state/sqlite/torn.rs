//! Blobs of the state file that cannot be read.

use std::fmt;

use rusqlite::types::Type;

/// A blob that this program did not write so: the state is damaged.
#[derive(Debug)]
pub(super) struct Torn(pub(super) &'static str);

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Torn {}

impl From<Torn> for rusqlite::Error {
    fn from(torn: Torn) -> Self {
        Self::FromSqlConversionFailure(0, Type::Blob, Box::new(torn))
    }
}

/// Takes the first bytes off a head, which has as many as its stride says.
pub(super) fn take<const N: usize>(head: &mut &[u8]) -> [u8; N] {
    let (first, rest) = head.split_first_chunk().expect("a head is as long as its stride");
    *head = rest;
    *first
}
