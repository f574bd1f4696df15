//! Codes and what they stand for, looked up for every row.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The codes of a `map` or of `machines`.
#[derive(Debug)]
pub(super) struct Codes(HashMap<Box<str>, Box<str>, BuildHasherDefault<CodeHasher>>);

impl Codes {
    pub(super) fn of(codes: &BTreeMap<String, String>) -> Self {
        Self(codes.iter().map(|(code, meaning)| (code.as_str().into(), meaning.as_str().into())).collect())
    }

    pub(super) fn get(&self, code: &str) -> Option<&str> {
        self.0.get(code).map(AsRef::as_ref)
    }
}

/// A hash without a secret: whoever chose the codes wrote the spec, and what a row says is only looked for.
#[derive(Debug, Default)]
struct CodeHasher(u64);

impl Hasher for CodeHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// A text is all that is hashed: its end needs no mark.
    fn write_u8(&mut self, _end: u8) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
