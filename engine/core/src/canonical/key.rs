//! Keys: the identity of a source row within its pipeline.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::write_json_text;

/// Identity of a source row within its pipeline: 128 bits, made of its key text as a [`KeyForm`] says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey(pub u128);

/// How the keys of a pipeline are made of key texts. A pipeline keeps the form that it began with: of a record that is
/// not folded, the ledger has the key and not its text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyForm {
    /// 128 bits of hash: rows that were booked one after the other lie anywhere in an index.
    Hash,
    /// 32 bits of the number in the text, then 96 bits of hash: they lie side by side, so that an index is read and
    /// written where it was before.
    #[default]
    Near,
}

impl KeyForm {
    /// The form of a pipeline whose state says nothing of it: it was begun when there was one form.
    pub fn before_there_were_two() -> Self {
        Self::Hash
    }

    /// The key of a key text. See [`KeyText`].
    pub fn key(self, text: &str) -> RowKey {
        let hash = RowKey::hash(text);
        match self {
            Self::Hash => hash,
            Self::Near => RowKey(u128::from(place_of(text)) << HASH_BITS | hash.0 & ((1 << HASH_BITS) - 1)),
        }
    }
}

/// Bits of the hash in a key of the form [`KeyForm::Near`].
const HASH_BITS: u32 = 96;
/// Digits of a number that count for its place: those of a time to the minute, and of numbers up to a trillion.
const PLACE_DIGITS_MAX: u32 = 12;
/// Numbers that share a place, as a power of two.
const PLACE_NUMBERS_LOG2: u32 = 6;

/// Where a key text lies among others: the first digits of its longest number, which may be broken by single
/// characters, as times are. It only decides how near to each other keys lie; the hash tells them apart.
fn place_of(text: &str) -> u32 {
    let (mut longest, mut longest_digits) = (0u64, 0);
    let (mut number, mut digits, mut gap) = (0u64, 0, 0);
    for byte in text.bytes() {
        if byte.is_ascii_digit() {
            gap = 0;
            // A zero that leads says nothing, and a number with more digits is not a greater one for them.
            if (digits > 0 || byte != b'0') && digits < PLACE_DIGITS_MAX {
                number = number * 10 + u64::from(byte - b'0');
                digits += 1;
            }
            if digits > longest_digits {
                (longest, longest_digits) = (number, digits);
            }
        } else {
            gap += 1;
            if gap > 1 {
                (number, digits) = (0, 0);
            }
        }
    }
    (longest >> PLACE_NUMBERS_LOG2) as u32
}

impl RowKey {
    /// The hash of a text.
    pub fn hash(text: &str) -> Self {
        Self(xxh3_128(text.as_bytes()))
    }

    /// Big-endian bytes, as the state store keeps them.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// From the state store's bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

/// A map by row key. The key is a hash already: nothing is hashed again.
pub type KeyMap<V> = HashMap<RowKey, V, BuildHasherDefault<KeyHasher>>;
/// A map by the id of a record, as a number. An id is a hash, too.
pub type IdMap<V> = HashMap<u128, V, BuildHasherDefault<KeyHasher>>;
/// A set of row keys.
pub type KeySet = HashSet<RowKey, BuildHasherDefault<KeyHasher>>;

/// Takes a part of a row key as its hash.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for (place, byte) in bytes.iter().take(8).enumerate() {
            self.0 ^= u64::from(*byte) << (8 * place);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Writes a key text: a JSON array of texts and nulls, so that no two keys read the same.
#[derive(Debug)]
pub struct KeyText<'a>(&'a mut String);

impl<'a> KeyText<'a> {
    /// The key text of a key of one column.
    pub fn of_one(column: &str) -> String {
        let mut text = String::new();
        let mut key = KeyText::over(&mut text);
        key.push(Some(column));
        key.finish();
        text
    }

    /// Begins a key text, over whatever is there.
    pub fn over(text: &'a mut String) -> Self {
        text.clear();
        Self(text)
    }

    /// Adds one column's canonical text.
    pub fn push(&mut self, part: Option<&str>) {
        self.0.push(if self.0.is_empty() { '[' } else { ',' });
        match part {
            Some(text) => write_json_text(self.0, text),
            None => self.0.push_str("null"),
        }
    }

    /// Ends the array.
    pub fn finish(self) {
        if self.0.is_empty() {
            self.0.push('[');
        }
        self.0.push(']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_texts_are_unambiguous() {
        let text = |parts: &[Option<&str>]| {
            let mut text = "left over".to_owned();
            let mut key = KeyText::over(&mut text);
            parts.iter().for_each(|part| key.push(*part));
            key.finish();
            text
        };
        assert_eq!(text(&[Some("1"), None, Some("a\"b\\\u{1}\n")]), r#"["1",null,"a\"b\\\u0001\n"]"#);
        assert_ne!(text(&[Some("a,b")]), text(&[Some("a"), Some("b")]));
        assert_ne!(text(&[None]), text(&[Some("null")]));
    }

    #[test]
    fn the_place_is_that_of_the_longest_number() {
        for (text, number) in [
            (r#"["4711"]"#, 4711_u64),
            (r#"["000047110010"]"#, 47_110_010),
            (r#"["M1","47110010","10"]"#, 47_110_010),
            // The first of two as long as each other.
            (r#"["4711","4712"]"#, 4711),
            (r#"["PO-47-11.00"]"#, 471_100),
            // To the minute.
            (r#"["M1","2025-03-29T21:04:59.123Z"]"#, 202_503_292_104),
            (r#"["123456789012345678"]"#, 123_456_789_012),
            (r#"["abc",null]"#, 0),
            ("[]", 0),
        ] {
            assert_eq!(place_of(text), (number >> PLACE_NUMBERS_LOG2) as u32, "{text}");
        }
    }

    #[test]
    fn keys_of_rows_that_follow_each_other_lie_side_by_side() {
        let keys: Vec<RowKey> =
            (1_000_000..1_001_000).map(|id| KeyForm::Near.key(&KeyText::of_one(&id.to_string()))).collect();
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), keys.len());
        let moved =
            keys.iter().enumerate().map(|(place, key)| place.abs_diff(sorted.binary_search(key).expect("is there")));
        assert!(moved.max() < Some(1 << PLACE_NUMBERS_LOG2));
    }

    #[test]
    fn both_forms_tell_texts_apart_by_their_hash() {
        for form in [KeyForm::Hash, KeyForm::Near] {
            assert_ne!(form.key(r#"["1"]"#), form.key(r#"["2"]"#), "{form:?}");
            assert_ne!(form.key(r#"["a"]"#), form.key(r#"["b"]"#), "{form:?}");
        }
        // Keys are kept for years: each form makes the same ones for ever.
        assert_eq!(KeyForm::Hash.key(r#"["4711"]"#), RowKey(0x8b80_c037_2af2_ba9b_4334_86f2_97fb_23ae));
        assert_eq!(KeyForm::Near.key(r#"["4711"]"#), RowKey(0x0000_0049_2af2_ba9b_4334_86f2_97fb_23ae));
    }
}
