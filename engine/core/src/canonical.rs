//! Canonical rows: what a source row says in the platform's words, and the identity and hash that the ledger keeps.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::pairing::{Event, Tie};
use crate::time::Instant;

/// Namespace of run and row ids: the UUIDv5 of the DNS name `engine.enlyze.com`.
const ID_NAMESPACE: Uuid = Uuid::from_u128(0x2beb_4da0_8bc0_5b11_8ef0_31c0_c0ce_e81f);

/// Identity of a source row within its pipeline: a 128-bit hash of its key text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey(pub u128);

impl RowKey {
    /// The key of a key text. See [`KeyText`].
    pub fn of(text: &str) -> Self {
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

/// Id of a run or row at the destination: UUIDv5 of the pipeline's id and the key text of the row that opens it.
///
/// The name that is hashed is `<pipeline id>\n<key text>`; the key text is a JSON array of the key columns' canonical
/// texts, null where a column is null.
pub fn record_id(pipeline: &str, key_text: &str) -> Uuid {
    let mut name = String::with_capacity(pipeline.len() + 1 + key_text.len());
    name.push_str(pipeline);
    name.push('\n');
    name.push_str(key_text);
    Uuid::new_v5(&ID_NAMESPACE, name.as_bytes())
}

/// Builds a key text: a JSON array of texts and nulls, so that no two keys read the same.
#[derive(Debug, Default)]
pub struct KeyText(String);

impl KeyText {
    /// The key text of a key of one column.
    pub fn of_one(column: &str) -> String {
        let mut text = Self::default();
        text.push(Some(column));
        text.finish();
        text.0
    }

    /// Starts over.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds one column's canonical text.
    pub fn push(&mut self, part: Option<&str>) {
        self.0.push(if self.0.is_empty() { '[' } else { ',' });
        match part {
            Some(text) => write_json_text(&mut self.0, text),
            None => self.0.push_str("null"),
        }
    }

    /// Ends the array.
    pub fn finish(&mut self) -> &str {
        if self.0.is_empty() {
            self.0.push('[');
        }
        self.0.push(']');
        &self.0
    }

    /// The text so far.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Writes a text as a JSON string.
pub fn write_json_text(out: &mut String, text: &str) {
    out.push('"');
    let mut clean = 0;
    for (place, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x00..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[clean..place]);
        if escape.is_empty() {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.push_str("\\u00");
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        } else {
            out.push_str(escape);
        }
        clean = place + 1;
    }
    out.push_str(&text[clean..]);
    out.push('"');
}

/// What an order or a booking says beside its times: texts as the platform gets them, quantities as exact digits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// Code of the production order.
    #[serde(rename = "o")]
    pub order_code: String,
    /// Code of the product.
    #[serde(rename = "p")]
    pub product_code: String,
    /// Code of the machine.
    #[serde(rename = "m")]
    pub machine_code: String,
    /// The platform's id of the machine.
    #[serde(rename = "mi", skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<String>,
    /// Name of the product.
    #[serde(rename = "pn", skip_serializing_if = "Option::is_none")]
    pub product_name: Option<String>,
    /// Quantity, scrap included.
    #[serde(rename = "qt", skip_serializing_if = "Option::is_none")]
    pub quantity_total: Option<String>,
    /// Scrap.
    #[serde(rename = "qs", skip_serializing_if = "Option::is_none")]
    pub quantity_scrap: Option<String>,
    /// Good quantity.
    #[serde(rename = "qy", skip_serializing_if = "Option::is_none")]
    pub quantity_yield: Option<String>,
    /// Unit of the quantities.
    #[serde(rename = "qu", skip_serializing_if = "Option::is_none")]
    pub quantity_unit: Option<String>,
    /// Further attributes: name and JSON value, in the order of the names.
    #[serde(rename = "a", skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<(String, String)>,
}

impl Details {
    /// Whether both are about the same order and product.
    pub fn same_product(&self, other: &Self) -> bool {
        self.order_code == other.order_code && self.product_code == other.product_code
    }

    /// Adds the other's quantities, and takes from it what is missing here.
    pub fn complete_from(&mut self, other: &Self) {
        fn take(mine: &mut Option<String>, theirs: &Option<String>) {
            if mine.is_none() {
                mine.clone_from(theirs);
            }
        }
        fn add(mine: &mut Option<String>, theirs: &Option<String>) {
            match (&mine, theirs) {
                (Some(one), Some(other)) => *mine = Some(add_decimals(one, other)),
                (None, Some(_)) => mine.clone_from(theirs),
                (_, None) => {}
            }
        }
        take(&mut self.product_name, &other.product_name);
        take(&mut self.quantity_unit, &other.quantity_unit);
        add(&mut self.quantity_total, &other.quantity_total);
        add(&mut self.quantity_scrap, &other.quantity_scrap);
        add(&mut self.quantity_yield, &other.quantity_yield);
        for (name, value) in &other.attributes {
            if let Err(place) = self.attributes.binary_search_by(|(mine, _)| mine.cmp(name)) {
                self.attributes.insert(place, (name.clone(), value.clone()));
            }
        }
    }
}

/// Exact sum of two decimals in plain digits. Beyond 38 digits the sum is rounded to what a float holds.
pub fn add_decimals(one: &str, other: &str) -> String {
    fn parse(text: &str) -> Option<(i128, u32)> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{fraction}");
        Some((digits.parse().ok()?, u32::try_from(fraction.len()).ok()?))
    }
    let exact = || {
        let ((one, one_scale), (other, other_scale)) = (parse(one)?, parse(other)?);
        let scale = one_scale.max(other_scale);
        let raise =
            |value: i128, from: u32| 10i128.checked_pow(scale - from).and_then(|factor| value.checked_mul(factor));
        let sum = raise(one, one_scale)?.checked_add(raise(other, other_scale)?)?;
        let digits = format!("{:0width$}", sum.unsigned_abs(), width = scale as usize + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
        let fraction = fraction.trim_end_matches('0');
        let sign = if sum < 0 { "-" } else { "" };
        Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
    };
    exact().unwrap_or_else(|| {
        let float = |text: &str| text.parse::<f64>().unwrap_or_default();
        // There is no number for what lies beyond all floats.
        (float(one) + float(other)).clamp(f64::MIN, f64::MAX).to_string()
    })
}

/// A canonical order or booking row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CanonicalRow {
    /// The key text; the row's identity.
    pub key_text: String,
    /// Order, product, machine, quantities and the like.
    pub details: Details,
    /// Start of an order row, timestamp of a booking.
    pub start: Instant,
    /// End of an order row; `None` while it runs. Always `None` for a booking.
    pub end: Option<Instant>,
    /// What a booking says; `None` for an order row.
    pub event: Option<Event>,
    /// Values of the tie-break columns.
    pub tie: Vec<Tie>,
    /// Value of the window column.
    pub at: Instant,
}

impl CanonicalRow {
    /// Hash of everything that a delivery or a fold depends on. Equal rows have equal hashes for ever: a change here
    /// re-sends everything and must raise [`HASH_FORMAT`].
    pub fn content_hash(&self, scratch: &mut Vec<u8>) -> u64 {
        scratch.clear();
        scratch.push(HASH_FORMAT);
        let mut text = |text: Option<&str>| {
            match text {
                Some(text) => {
                    scratch.extend_from_slice(&(text.len() as u32 + 1).to_le_bytes());
                    scratch.extend_from_slice(text.as_bytes());
                }
                None => scratch.extend_from_slice(&[0; 4]),
            };
        };
        let details = &self.details;
        text(Some(&details.order_code));
        text(Some(&details.product_code));
        text(Some(&details.machine_code));
        text(details.machine_id.as_deref());
        text(details.product_name.as_deref());
        text(details.quantity_total.as_deref());
        text(details.quantity_scrap.as_deref());
        text(details.quantity_yield.as_deref());
        text(details.quantity_unit.as_deref());
        for (name, value) in &details.attributes {
            text(Some(name));
            text(Some(value));
        }
        text(None);
        for tie in &self.tie {
            match tie {
                Tie::None => text(None),
                Tie::Number(number) => text(Some(itoa::Buffer::new().format(*number))),
                Tie::Text(value) => text(Some(value)),
            }
        }
        for time in [Some(self.start), self.end] {
            match time {
                Some(time) => {
                    scratch.push(1);
                    scratch.extend_from_slice(&time.secs().to_le_bytes());
                    scratch.extend_from_slice(&time.nanos().to_le_bytes());
                }
                None => scratch.push(0),
            }
        }
        scratch.push(self.event.map_or(0, |event| event as u8 + 1));
        xxh3_64(scratch)
    }

    /// The form in which a row waits in the state store to be folded.
    pub fn to_stored(&self) -> String {
        let stored = StoredRow {
            key: &self.key_text,
            start: (self.start.secs(), self.start.nanos()),
            end: self.end.map(|end| (end.secs(), end.nanos())),
            event: self.event.map(|event| event == Event::Start),
            tie: self.tie.iter().map(StoredTie::from).collect(),
            details: &self.details,
        };
        serde_json::to_string(&stored).expect("texts and numbers always serialise")
    }

    /// From the state store's form; `at` is kept beside it.
    pub fn from_stored(text: &str, at: Instant) -> Result<Self, StoredRowError> {
        let stored: OwnedStoredRow = serde_json::from_str(text).map_err(|error| StoredRowError(error.to_string()))?;
        let time = |(secs, nanos): (i64, u32)| {
            Instant::new(secs, nanos)
                .ok_or_else(|| StoredRowError(format!("{secs} s is outside the years 0001 to 9999")))
        };
        Ok(Self {
            key_text: stored.key,
            start: time(stored.start)?,
            end: stored.end.map(time).transpose()?,
            event: stored.event.map(|start| if start { Event::Start } else { Event::End }),
            tie: stored.tie.into_iter().map(Tie::from).collect(),
            details: stored.details,
            at,
        })
    }
}

/// Version of what [`CanonicalRow::content_hash`] covers and how.
pub const HASH_FORMAT: u8 = 1;

/// A row in the state store that cannot be read: the state was written by something else, or is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRowError(pub String);

impl fmt::Display for StoredRowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a row of the ledger cannot be read: {}", self.0)
    }
}

impl std::error::Error for StoredRowError {}

#[derive(Serialize)]
struct StoredRow<'a> {
    #[serde(rename = "k")]
    key: &'a str,
    #[serde(rename = "s")]
    start: (i64, u32),
    #[serde(rename = "e", skip_serializing_if = "Option::is_none")]
    end: Option<(i64, u32)>,
    #[serde(rename = "v", skip_serializing_if = "Option::is_none")]
    event: Option<bool>,
    #[serde(rename = "t", skip_serializing_if = "Vec::is_empty")]
    tie: Vec<StoredTie>,
    #[serde(rename = "d")]
    details: &'a Details,
}

#[derive(Deserialize)]
struct OwnedStoredRow {
    #[serde(rename = "k")]
    key: String,
    #[serde(rename = "s")]
    start: (i64, u32),
    #[serde(rename = "e", default)]
    end: Option<(i64, u32)>,
    #[serde(rename = "v", default)]
    event: Option<bool>,
    #[serde(rename = "t", default)]
    tie: Vec<StoredTie>,
    #[serde(rename = "d")]
    details: Details,
}

#[derive(Serialize, Deserialize)]
enum StoredTie {
    #[serde(rename = "0")]
    None,
    #[serde(rename = "n")]
    Number(i64),
    #[serde(rename = "t")]
    Text(String),
}

impl From<&Tie> for StoredTie {
    fn from(tie: &Tie) -> Self {
        match tie {
            Tie::None => Self::None,
            Tie::Number(number) => Self::Number(*number),
            Tie::Text(text) => Self::Text(text.clone()),
        }
    }
}

impl From<StoredTie> for Tie {
    fn from(tie: StoredTie) -> Self {
        match tie {
            StoredTie::None => Self::None,
            StoredTie::Number(number) => Self::Number(number),
            StoredTie::Text(text) => Self::Text(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_add_exactly() {
        for (one, other, sum) in [
            ("1.5", "10", "11.5"),
            (&format!("1{}", "7".repeat(308)), &format!("1{}", "7".repeat(308)), &f64::MAX.to_string()),
            (&format!("-1{}", "7".repeat(308)), &format!("-1{}", "7".repeat(308)), &f64::MIN.to_string()),
            ("0.1", "0.2", "0.3"),
            ("-1", "0.25", "-0.75"),
            ("1.50", "1.50", "3"),
            ("99999999999999999999", "1", "100000000000000000000"),
            ("-0.5", "0.5", "0"),
        ] {
            assert_eq!(add_decimals(one, other), sum, "{one} + {other}");
        }
    }

    #[test]
    fn key_texts_are_unambiguous() {
        let text = |parts: &[Option<&str>]| {
            let mut key = KeyText::default();
            parts.iter().for_each(|part| key.push(*part));
            key.finish().to_owned()
        };
        assert_eq!(text(&[Some("1"), None, Some("a\"b\\\u{1}\n")]), r#"["1",null,"a\"b\\\u0001\n"]"#);
        assert_ne!(text(&[Some("a,b")]), text(&[Some("a"), Some("b")]));
        assert_ne!(text(&[None]), text(&[Some("null")]));
    }

    #[test]
    fn ids_are_fixed_for_ever() {
        assert_eq!(
            record_id("acme-bookings", r#"["1"]"#).to_string(),
            record_id("acme-bookings", r#"["1"]"#).to_string()
        );
        assert_eq!(record_id("acme-bookings", r#"["1"]"#).to_string(), "587ef10c-01aa-523a-a733-3ffb28fe54bc");
        assert_ne!(record_id("acme", r#"["1"]"#), record_id("acme-bookings", r#"["1"]"#));
    }

    fn at(secs: i64, nanos: u32) -> Instant {
        Instant::new(secs, nanos).expect("in range")
    }

    fn row() -> CanonicalRow {
        CanonicalRow {
            key_text: r#"["1"]"#.into(),
            details: Details {
                order_code: "4711".into(),
                product_code: "25-1002".into(),
                machine_code: "M1".into(),
                quantity_yield: Some("1.5".into()),
                attributes: vec![("shift".into(), "\"A\"".into())],
                ..Details::default()
            },
            start: at(1, 5),
            end: Some(at(2, 0)),
            event: Some(Event::Start),
            tie: vec![Tie::Number(3), Tie::None, Tie::Text("x".into())],
            at: at(1, 5),
        }
    }

    #[test]
    fn a_stored_row_comes_back() {
        let row = row();
        assert_eq!(CanonicalRow::from_stored(&row.to_stored(), row.at), Ok(row));
        assert!(CanonicalRow::from_stored("{}", at(0, 0)).is_err());
    }

    #[test]
    fn every_member_counts_in_the_hash() {
        let mut scratch = Vec::new();
        let base = row().content_hash(&mut scratch);
        type Change = fn(&mut CanonicalRow);
        let changes: [Change; 9] = [
            |row| row.details.order_code.push('x'),
            |row| row.details.machine_id = Some("id".into()),
            |row| row.details.quantity_yield = None,
            |row| row.details.attributes[0].1 = "\"B\"".into(),
            |row| row.details.attributes.clear(),
            |row| row.start = at(1, 6),
            |row| row.end = None,
            |row| row.event = Some(Event::End),
            |row| row.tie[1] = Tie::Number(0),
        ];
        for (place, change) in changes.iter().enumerate() {
            let mut changed = row();
            change(&mut changed);
            assert_ne!(changed.content_hash(&mut scratch), base, "change {place}");
        }
        // Where a row was read from, and under which window value, is not its content.
        let mut moved = row();
        moved.at = at(9, 0);
        assert_eq!(moved.content_hash(&mut scratch), base);
    }
}
