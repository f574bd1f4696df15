//! Maps by short texts that are looked up for every row: codes and machines.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A map by texts.
pub(crate) type TextMap<K, V> = HashMap<K, V, TextState>;

/// Hashes texts in a fraction of what the standard library takes, with a secret of each map: what a database says cannot
/// be chosen so that it falls together.
#[derive(Debug, Clone)]
pub(crate) struct TextState(u64);

impl Default for TextState {
    fn default() -> Self {
        Self(RandomState::new().hash_one(()))
    }
}

impl BuildHasher for TextState {
    type Hasher = TextHasher;

    fn build_hasher(&self) -> TextHasher {
        TextHasher(self.0)
    }
}

#[derive(Debug)]
pub(crate) struct TextHasher(u64);

impl Hasher for TextHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// A text is all that is hashed: its end needs no mark.
    fn write_u8(&mut self, _end: u8) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_map_has_a_secret_of_its_own() {
        let hash = |state: &TextState| ["M1", "M2"].map(|text| state.hash_one(text));
        let (one, other) = (TextState::default(), TextState::default());
        assert_eq!(hash(&one), hash(&one));
        assert_ne!(hash(&one)[0], hash(&one)[1]);
        assert_ne!(hash(&one), hash(&other));
    }

    #[test]
    fn texts_are_found_however_they_are_held() {
        let map: TextMap<Box<str>, u8> = [("M1".into(), 1), ("M2".into(), 2)].into_iter().collect();
        assert_eq!((map.get("M1"), map.get("M2"), map.get("M")), (Some(&1), Some(&2), None));
    }
}
