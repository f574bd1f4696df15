//! Canonical rows: what a source row says in the platform's words, and the identity and hash that the ledger keeps.

mod key;
mod list;
mod stored;

use serde::Deserialize;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

pub use self::key::{IdMap, KeyForm, KeyHasher, KeyMap, KeySet, KeyText, RowKey};
pub use self::list::{KeyList, Keyed};
pub(crate) use self::stored::Beside;
pub use self::stored::StoredRowError;
use crate::name_id::NameId;
use crate::pairing::{Event, Tie};
use crate::time::Instant;

/// Namespace of run and row ids: the UUIDv5 of the DNS name `engine.enlyze.com`.
const ID_NAMESPACE: Uuid = Uuid::from_u128(0x2beb_4da0_8bc0_5b11_8ef0_31c0_c0ce_e81f);

/// Ids of the runs and rows of a pipeline at the destination: each is the UUIDv5 of the pipeline's id and the key text of
/// the row that opens it.
///
/// The name that is hashed is `<pipeline id>\n<key text>`; the key text is a JSON array of the key columns' canonical
/// texts, null where a column is null.
#[derive(Debug, Clone)]
pub struct RecordIds {
    /// What the names of all of them begin with.
    pipeline: NameId,
}

impl RecordIds {
    /// The ids of a pipeline.
    pub fn new(pipeline: &str) -> Self {
        let mut of_pipeline = NameId::new(ID_NAMESPACE);
        of_pipeline.add(pipeline.as_bytes());
        of_pipeline.add(b"\n");
        Self { pipeline: of_pipeline }
    }

    /// The id of the record that a row opens.
    pub fn of(&self, key_text: &str) -> Uuid {
        let mut id = self.pipeline.clone();
        id.add(key_text.as_bytes());
        id.finish()
    }
}

/// The id of one record. See [`RecordIds`].
pub fn record_id(pipeline: &str, key_text: &str) -> Uuid {
    RecordIds::new(pipeline).of(key_text)
}

/// Writes a text as a JSON string.
pub fn write_json_text(out: &mut String, text: &str) {
    // Hardly any text has anything to escape.
    if holds_escaped(text.as_bytes()) {
        return write_escaped(out, text);
    }
    out.reserve(text.len() + 2);
    out.push('"');
    out.push_str(text);
    out.push('"');
}

/// Whether anything is escaped in JSON. Eight bytes are looked at together, and the last eight whatever they are of: what
/// is looked at twice costs less than what remains one by one.
#[inline]
fn holds_escaped(text: &[u8]) -> bool {
    const BLANKS: u64 = u64::from_ne_bytes([b' '; 8]);
    if let Some(last) = text.last_chunk() {
        let (words, _) = text.as_chunks();
        return has_escaped(u64::from_ne_bytes(*last))
            || words.iter().any(|word| has_escaped(u64::from_ne_bytes(*word)));
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let [first, last] = [first, last].map(|half| u64::from(u32::from_ne_bytes(*half)));
        return has_escaped(first << 32 | last);
    }
    has_escaped(text.iter().fold(BLANKS, |word, byte| word << 8 | u64::from(*byte)))
}

#[cold]
fn write_escaped(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(place) = rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        out.push_str(&rest[..place]);
        match rest.as_bytes()[place] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            byte => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
        rest = &rest[place + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// Whether one of eight bytes is escaped in JSON: a control character, a quotation mark or a backslash.
#[inline]
fn has_escaped(word: u64) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    // The top bit of each byte that is less than `bound`. A byte behind a lesser one may be taken for one, too: whether
    // there is any is told rightly.
    let less = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & (ONES << 7);
    let is = |byte: u8| less(word ^ (ONES * u64::from(byte)), 1);
    (less(word, 0x20) | is(b'"') | is(b'\\')) != 0
}

/// What an order or a booking says beside its times: texts as the platform gets them, quantities as exact digits.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Details {
    /// Code of the production order.
    #[serde(rename = "o")]
    pub order_code: String,
    /// Code of the product.
    #[serde(rename = "p")]
    pub product_code: String,
    /// Code of the machine.
    #[serde(skip)]
    pub machine_code: String,
    /// The platform's id of the machine.
    #[serde(rename = "mi")]
    pub machine_id: Option<String>,
    /// Name of the product.
    #[serde(rename = "pn")]
    pub product_name: Option<String>,
    /// Quantity, scrap included.
    #[serde(rename = "qt")]
    pub quantity_total: Option<String>,
    /// Scrap.
    #[serde(rename = "qs")]
    pub quantity_scrap: Option<String>,
    /// Good quantity.
    #[serde(rename = "qy")]
    pub quantity_yield: Option<String>,
    /// Unit of the quantities.
    #[serde(rename = "qu")]
    pub quantity_unit: Option<String>,
    /// Further attributes: name and JSON value, in the order of the names.
    #[serde(rename = "a")]
    pub attributes: Vec<(String, String)>,
}

impl Details {
    /// Whether both are about the same order and product.
    pub fn same_product(&self, other: &Self) -> bool {
        self.order_code == other.order_code && self.product_code == other.product_code
    }

    /// Whether [`Self::complete_from`] changes anything.
    pub fn is_completed_by(&self, other: &Self) -> bool {
        let lacks = |mine: &Option<String>, theirs: &Option<String>| mine.is_none() && theirs.is_some();
        let has_quantity = [&other.quantity_total, &other.quantity_scrap, &other.quantity_yield];
        has_quantity.into_iter().any(Option::is_some)
            || lacks(&self.product_name, &other.product_name)
            || lacks(&self.quantity_unit, &other.quantity_unit)
            || other
                .attributes
                .iter()
                .any(|(name, _)| self.attributes.binary_search_by(|(mine, _)| mine.cmp(name)).is_err())
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
    /// What the row says, borrowed.
    pub fn content(&self) -> Content<'_> {
        Content {
            key_text: &self.key_text,
            details: &self.details,
            start: self.start,
            end: self.end,
            event: self.event,
            tie: &self.tie,
        }
    }

    /// See [`Content::hash`].
    pub fn content_hash(&self, scratch: &mut Vec<u8>) -> u64 {
        self.content().hash(scratch)
    }
}

/// What a row or a run says, borrowed from wherever it is. Where it was read from, and under which value of the window
/// column, is no part of it.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// The key text of the row, or of the row that opens the run.
    pub key_text: &'a str,
    /// Order, product, machine, quantities and the like.
    pub details: &'a Details,
    /// Start of a run, timestamp of a booking.
    pub start: Instant,
    /// End of a run; `None` while it runs, and for a booking.
    pub end: Option<Instant>,
    /// What a booking says.
    pub event: Option<Event>,
    /// Values of the tie-break columns.
    pub tie: &'a [Tie],
}

impl Content<'_> {
    /// Hash of everything that a delivery or a fold depends on. Equal rows have equal hashes for ever: a change here
    /// re-sends everything and must raise [`HASH_FORMAT`].
    pub fn hash(&self, scratch: &mut Vec<u8>) -> u64 {
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
        let details = self.details;
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
        for tie in self.tie {
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
}

/// Version of what [`Content::hash`] covers and how.
pub const HASH_FORMAT: u8 = 1;

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
    fn nothing_completes_what_lacks_nothing() {
        let some = |text: &str| Some(text.to_owned());
        let attribute = |name: &str| vec![(name.to_owned(), "1".to_owned())];
        let start = Details { product_name: some("Tube"), attributes: attribute("shift"), ..Details::default() };
        type Say = fn(&mut Details);
        let changes: [(Say, bool); 8] = [
            (|_| {}, false),
            (|other| other.product_name = Some("Pipe".to_owned()), false),
            (|other| other.attributes = vec![("shift".to_owned(), "2".to_owned())], false),
            (|other| other.attributes = vec![("crew".to_owned(), "2".to_owned())], true),
            (|other| other.quantity_total = Some("2".to_owned()), true),
            (|other| other.quantity_scrap = Some("2".to_owned()), true),
            (|other| other.quantity_yield = Some("2".to_owned()), true),
            (|other| other.quantity_unit = Some("pcs".to_owned()), true),
        ];
        for (place, (say, completes)) in changes.iter().enumerate() {
            let (mut completed, mut other) = (start.clone(), Details::default());
            say(&mut other);
            assert_eq!(completed.is_completed_by(&other), *completes, "case {place}");
            completed.complete_from(&other);
            assert_eq!(completed != start, *completes, "case {place}");
        }
        let named = Details { product_name: some("Tube"), ..Details::default() };
        assert!(Details::default().is_completed_by(&named));
    }

    #[test]
    fn what_json_escapes_is_found_wherever_it_stands() {
        for escaped in ['"', '\\', '\n', '\u{0}', '\u{1f}'] {
            for (before, after) in (0..20).flat_map(|before| (0..20).map(move |after| (before, after))) {
                let text = format!("{}{escaped}{}", "ä ".repeat(before), "z\u{7f}".repeat(after));
                let mut out = String::new();
                write_json_text(&mut out, &text);
                assert_eq!(serde_json::from_str::<String>(&out).expect("is JSON"), text);
                let plain = text.replace(escaped, "!");
                out.clear();
                write_json_text(&mut out, &plain);
                assert_eq!(out, format!("\"{plain}\""));
            }
        }
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
