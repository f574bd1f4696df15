//! Codes and what they stand for, looked up for every row.

use std::collections::BTreeMap;

use crate::text_map::TextMap;

/// The codes of a `map` or of `machines`.
#[derive(Debug)]
pub(super) struct Codes(TextMap<Box<str>, Box<str>>);

impl Codes {
    pub(super) fn of(codes: &BTreeMap<String, String>) -> Self {
        Self(codes.iter().map(|(code, meaning)| (code.as_str().into(), meaning.as_str().into())).collect())
    }

    pub(super) fn get(&self, code: &str) -> Option<&str> {
        self.0.get(code).map(AsRef::as_ref)
    }
}
