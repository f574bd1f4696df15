//! Codes and names that mean nothing outside, in place of those of a factory.
//!
//! A code keeps its shape: its length, which of its characters are digits and which letters, its leading zeros, its
//! blanks and signs. So padding, trimming, splitting and patterns of a spec work on the new code as on the old one.
//! The same code becomes the same new one, and different codes of one shape become different ones, within one
//! [`Anonymiser`], as long as the shape has codes left. It is no encryption: who knows a code can look for its shape.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Tries to find a new code that is not taken; a shape with fewer codes than that is used up.
const ATTEMPTS_MAX: u64 = 1_000;

/// Replaces codes consistently.
#[derive(Debug, Default)]
pub struct Anonymiser {
    seed: u64,
    known: HashMap<String, String>,
    taken: HashSet<String>,
}

impl Anonymiser {
    /// An anonymiser whose replacements follow from a seed: with the same seed and the same codes in the same order,
    /// they are the same again.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// The replacement of a text.
    pub fn text(&mut self, text: &str) -> String {
        if let Some(known) = self.known.get(text) {
            return known.clone();
        }
        let mut replaced = shaped(text, self.seed, 0);
        for attempt in 1..ATTEMPTS_MAX {
            if !self.taken.contains(&replaced) && replaced != text {
                break;
            }
            replaced = shaped(text, self.seed, attempt);
        }
        self.taken.insert(replaced.clone());
        self.known.insert(text.to_owned(), replaced.clone());
        replaced
    }

    /// The replacement of a value: of a text as above, of a whole number by one with as many digits, of what is within
    /// lists and objects likewise. Truth values, fractions and null stay.
    pub fn value(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Number(number) if number.is_i64() || number.is_u64() => {
                let replaced = self.text(&number.to_string());
                replaced.parse::<i64>().map_or_else(|_| value.clone(), Value::from)
            }
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, member)| (name.clone(), self.value(member)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }
}

/// A text of the same shape, made from the text, a seed and the number of the attempt.
fn shaped(text: &str, seed: u64, attempt: u64) -> String {
    let mut state = xxh3_64_with_seed(text.as_bytes(), seed ^ attempt.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut below = |bound: u8| {
        state = xxh3_64_with_seed(&state.to_le_bytes(), seed);
        u8::try_from(state % u64::from(bound)).unwrap_or_default()
    };
    // Zeros at the front of a group of digits are padding, and a first digit that is none stays none.
    let mut leading = true;
    text.chars()
        .map(|char| {
            let new = match char {
                '0' if leading => '0',
                '0'..='9' if leading => char::from(b'1' + below(9)),
                '0'..='9' => char::from(b'0' + below(10)),
                'a'..='z' => char::from(b'a' + below(26)),
                'A'..='Z' => char::from(b'A' + below(26)),
                other if other.is_lowercase() => char::from(b'a' + below(26)),
                other if other.is_alphabetic() => char::from(b'A' + below(26)),
                other => other,
            };
            leading = !char.is_ascii_digit() || (leading && char == '0');
            new
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(text: &str) -> Vec<(bool, bool, Option<char>)> {
        text.chars()
            .map(|char| {
                let stays = !char.is_alphabetic() && !char.is_ascii_digit();
                (char.is_ascii_digit(), char.is_alphabetic(), stays.then_some(char))
            })
            .collect()
    }

    #[test]
    fn a_code_keeps_its_shape_and_its_padding() {
        let mut anonymiser = Anonymiser::new(7);
        for code in ["0047110010", "25-1002", "M1  ", "Fräse Süd", "FA 2025/0012", "", "   ", "0000"] {
            let replaced = anonymiser.text(code);
            assert_eq!(shape(&replaced), shape(code), "{code} became {replaced}");
            let zeros = |text: &str| text.len() - text.trim_start_matches('0').len();
            assert_eq!(zeros(&replaced), zeros(code), "{code} became {replaced}");
        }
    }

    #[test]
    fn a_code_is_replaced_by_the_same_every_time_and_never_by_that_of_another() {
        let mut anonymiser = Anonymiser::new(7);
        let codes: Vec<String> = (0..90).map(|number| format!("M{:02}", number + 10)).collect();
        let first: Vec<String> = codes.iter().map(|code| anonymiser.text(code)).collect();
        let again: Vec<String> = codes.iter().map(|code| anonymiser.text(code)).collect();
        assert_eq!(first, again);
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), codes.len());
        assert!(codes.iter().zip(&first).all(|(code, replaced)| code != replaced));
    }

    #[test]
    fn a_shape_that_is_used_up_ends_and_keeps_its_shape() {
        let mut anonymiser = Anonymiser::new(7);
        let letters = ('A'..='Z').chain("ÄÖÜÅÆØÉÈÊ".chars());
        let replaced: HashSet<String> = letters.map(|letter| anonymiser.text(&letter.to_string())).collect();
        assert!(replaced.len() <= 26 && replaced.iter().all(|code| code.len() == 1), "{replaced:?}");
    }

    #[test]
    fn numbers_keep_their_digits_and_what_is_no_code_stays() {
        let mut anonymiser = Anonymiser::new(7);
        let value = serde_json::json!({"order": 4711, "share": 0.25, "live": true, "none": null, "steps": ["A1", -12]});
        let replaced = anonymiser.value(&value);
        assert_ne!(replaced["order"], value["order"]);
        assert_eq!(replaced["order"].to_string().len(), 4);
        assert_eq!(replaced["steps"][1].to_string().len(), 3);
        for same in ["share", "live", "none"] {
            assert_eq!(replaced[same], value[same]);
        }
    }

    proptest! {
        #[test]
        fn every_text_keeps_its_shape(text in ".{0,40}", seed: u64) {
            let replaced = Anonymiser::new(seed).text(&text);
            prop_assert_eq!(replaced.chars().count(), text.chars().count());
            for (old, new) in text.chars().zip(replaced.chars()) {
                prop_assert_eq!(old.is_ascii_digit(), new.is_ascii_digit());
                prop_assert_eq!(old.is_alphabetic(), new.is_alphabetic());
            }
        }
    }
}
