//! Values of source rows: sixteen-byte slots, and batches that are refilled without allocating.

use std::ops::Range;
use std::sync::Arc;

/// Rows a batch holds at most.
pub const BATCH_ROWS_MAX: usize = 1_000;
/// Bytes of text a batch holds before it counts as full. One row may exceed it.
pub const BATCH_BYTES_MAX: usize = 1 << 20;
/// Bytes of one value; a longer one is refused as [`Slot::Bad`].
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// A place in a batch's text or byte arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Piece {
    start: u32,
    len: u32,
}

impl Piece {
    fn range(self) -> Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

/// One value of a source row. Civil and instant are different, so a zone is never guessed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Slot {
    /// No value.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number. One beyond 64 bits is a [`Slot::Decimal`].
    Int(i64),
    /// A binary floating-point number.
    Float(f64),
    /// An exact number: its digits, with an optional sign and decimal point, in the text arena.
    Decimal(Piece),
    /// Text in the text arena.
    Text(Piece),
    /// Bytes in the byte arena.
    Bytes(Piece),
    /// A date: days since 1970-01-01.
    Date(i32),
    /// A time of day or a duration: nanoseconds since midnight; may be negative or beyond 24 h.
    Time(i64),
    /// A date-time without a zone.
    Civil {
        /// Seconds since 1970-01-01T00:00:00 on the local clock.
        secs: i64,
        /// Nanoseconds of the second.
        nanos: u32,
    },
    /// A point in time.
    Instant {
        /// Seconds since 1970-01-01T00:00:00Z.
        secs: i64,
        /// Nanoseconds of the second.
        nanos: u32,
    },
    /// A JSON document in the text arena.
    Json(Piece),
    /// A value that could not be decoded; the reason is in the text arena. Costs the row, not the result.
    Bad(Piece),
}

/// The kinds of [`Slot`], as a column declares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Slot::Bool`]
    Bool,
    /// [`Slot::Int`]
    Int,
    /// [`Slot::Float`]
    Float,
    /// [`Slot::Decimal`]
    Decimal,
    /// [`Slot::Text`]
    Text,
    /// [`Slot::Bytes`]
    Bytes,
    /// [`Slot::Date`]
    Date,
    /// [`Slot::Time`]
    Time,
    /// [`Slot::Civil`]
    Civil,
    /// [`Slot::Instant`]
    Instant,
    /// [`Slot::Json`]
    Json,
    /// The source does not say; every value says for itself.
    Any,
}

impl Kind {
    /// Its name in documents and messages.
    pub fn words(self) -> &'static str {
        match self {
            Self::Bool => "truth value",
            Self::Int => "whole number",
            Self::Float => "number",
            Self::Decimal => "exact decimal",
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::Date => "date",
            Self::Time => "time",
            Self::Civil => "date-time",
            Self::Instant => "instant",
            Self::Json => "JSON",
            Self::Any => "any",
        }
    }
}

/// What some types of a source become. The rules of a connector are its contract: each type stands in one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeRule {
    /// The types, as [`Column::source_type`] names them, without length and precision.
    pub types: &'static [&'static str],
    /// What a column of these types becomes. [`Kind::Any`] where its values are not carried, or say it themselves.
    pub kind: Kind,
    /// What is exact, trimmed or refused, and why. Markdown; may be empty.
    pub note: &'static str,
}

impl TypeRule {
    /// The rule of a column's type, whatever its length and precision: `varchar(20)` is a `varchar`.
    pub fn find(rules: &'static [Self], source_type: &str) -> Option<&'static Self> {
        let bare = match (source_type.split_once('('), source_type.rsplit_once(')')) {
            (Some((name, _)), Some((_, rest))) => format!("{}{rest}", name.trim_end()),
            _ => source_type.to_owned(),
        };
        let names = |rule: &&Self, name: &str| rule.types.iter().any(|known| known.eq_ignore_ascii_case(name));
        // `number(10,2)` in the words of a rule: `number(p,s)`.
        let shape = match (source_type.split_once('('), source_type.rsplit_once(')')) {
            (Some((name, inside)), Some(_)) => format!("{name}({})", if inside.contains(',') { "p,s" } else { "p" }),
            _ => String::new(),
        };
        let find = |name: &str| rules.iter().find(|rule| names(rule, name));
        find(source_type).or_else(|| find(&shape)).or_else(|| find(bare.trim()))
    }
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name, as the source gives it.
    pub name: String,
    /// Kind of its values; a value may still be null or bad.
    pub kind: Kind,
    /// Type in the source's own words, for people.
    pub source_type: String,
}

impl Column {
    /// Why a value of the column cannot be carried, for people.
    pub fn refusal(&self, why: &str) -> String {
        format!("column {} ({}): {why}", self.name, self.source_type)
    }
}

/// The columns of a result, in order.
pub type Columns = Arc<[Column]>;

/// Rows of a result, row after row, refilled by the source.
#[derive(Debug, Clone, Default)]
pub struct RowBatch {
    columns: Columns,
    slots: Vec<Slot>,
    text: String,
    bytes: Vec<u8>,
    part: u32,
    /// Text that belongs behind `text`, and is not known to be UTF-8.
    unread: Vec<u8>,
    /// The first value that may lie in it.
    unread_from: usize,
    /// A text in it begins within a character.
    is_torn: bool,
}

impl RowBatch {
    /// An empty batch without columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Empties the batch for rows of these columns; keeps its memory.
    pub fn reset(&mut self, columns: &Columns) {
        if !Arc::ptr_eq(&self.columns, columns) {
            self.columns = Arc::clone(columns);
        }
        self.slots.clear();
        self.text.clear();
        self.bytes.clear();
        self.part = 0;
        self.unread.clear();
        self.is_torn = false;
    }

    /// The columns of the rows.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Which part of the answer the rows belong to; 0 where it comes in one. Parts come newest first: a row whose key
    /// an earlier part has is an older version of that row, and does not count.
    pub fn part(&self) -> u32 {
        self.part
    }

    /// Says which part of the answer the rows belong to.
    pub fn set_part(&mut self, part: u32) {
        self.part = part;
    }

    /// Number of whole rows.
    pub fn len(&self) -> usize {
        if self.columns.is_empty() { 0 } else { self.slots.len() / self.columns.len() }
    }

    /// Whether there is no whole row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the source should hand the batch over.
    pub fn is_full(&self) -> bool {
        self.len() >= BATCH_ROWS_MAX || self.piece_bytes() >= BATCH_BYTES_MAX
    }

    fn piece_bytes(&self) -> usize {
        self.text.len() + self.unread.len() + self.bytes.len()
    }

    /// Bytes of its values: those of texts and bytes, and eight for every other value but null.
    pub fn value_bytes(&self) -> u64 {
        let is_word = |slot: &&Slot| {
            matches!(
                slot,
                Slot::Bool(_)
                    | Slot::Int(_)
                    | Slot::Float(_)
                    | Slot::Date(_)
                    | Slot::Time(_)
                    | Slot::Civil { .. }
                    | Slot::Instant { .. }
            )
        };
        let words = self.slots.iter().filter(is_word).count();
        (self.piece_bytes() + 8 * words) as u64
    }

    /// The row at an index below [`Self::len`].
    #[inline]
    pub fn row(&self, index: usize) -> Row<'_> {
        debug_assert!(self.unread.is_empty(), "texts were not looked at: `settle` comes before reading");
        let width = self.columns.len();
        Row { batch: self, slots: &self.slots[index * width..(index + 1) * width] }
    }

    /// The rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).map(|index| self.row(index))
    }

    /// Appends a value that needs no arena.
    pub fn push(&mut self, slot: Slot) {
        self.slots.push(slot);
    }

    /// Appends text.
    pub fn push_text(&mut self, text: &str) {
        let slot = if text.len() > VALUE_BYTES_MAX {
            Slot::Bad(self.too_long(text.len()))
        } else {
            Slot::Text(self.keep(text))
        };
        self.slots.push(slot);
    }

    /// Appends text of a fixed-width column: trailing blanks are padding and are removed.
    pub fn push_padded(&mut self, text: &str) {
        self.push_text(text.trim_end_matches(' '));
    }

    /// Appends text whose bytes are not known to be UTF-8. [`Self::settle`] looks at those of many values at once, which
    /// takes a fraction of looking at each, and comes before anything is read.
    pub fn push_utf8(&mut self, bytes: &[u8]) {
        let slot = if bytes.len() > VALUE_BYTES_MAX {
            Slot::Bad(self.too_long(bytes.len()))
        } else {
            self.is_torn |= bytes.first().is_some_and(|first| first & 0b1100_0000 == 0b1000_0000);
            Slot::Text(self.keep_unread(bytes))
        };
        self.slots.push(slot);
    }

    /// Looks at the bytes of [`Self::push_utf8`]. A value that is no UTF-8 becomes [`Slot::Bad`].
    pub fn settle(&mut self) {
        if self.unread.is_empty() {
            return;
        }
        let mut unread = std::mem::take(&mut self.unread);
        match std::str::from_utf8(&unread) {
            // No text begins within a character, and so none ends within one.
            Ok(text) if !self.is_torn => self.text.push_str(text),
            _ => self.settle_one_by_one(&unread),
        }
        self.is_torn = false;
        unread.clear();
        self.unread = unread;
    }

    #[cold]
    fn settle_one_by_one(&mut self, unread: &[u8]) {
        let settled = self.text.len();
        let mut last = (Piece::default(), Piece::default());
        for place in self.unread_from..self.slots.len() {
            let slot = self.slots[place];
            let (Slot::Text(piece) | Slot::Decimal(piece) | Slot::Json(piece) | Slot::Bad(piece)) = slot else {
                continue;
            };
            let start = piece.start as usize - settled;
            let kept = match std::str::from_utf8(&unread[start..start + piece.len as usize]) {
                // The values of a row that could not be told apart share their reason.
                Ok(_) if piece == last.0 && piece.len > 0 => last.1,
                Ok(text) => self.append(text),
                Err(error) => {
                    let at = error.valid_up_to();
                    let why = format!("the text is not UTF-8: byte 0x{:02x} at {at}", unread[start + at]);
                    let reason = self.columns[place % self.columns.len()].refusal(&why);
                    self.slots[place] = Slot::Bad(self.append(&reason));
                    continue;
                }
            };
            last = (piece, kept);
            self.slots[place] = match slot {
                Slot::Decimal(_) => Slot::Decimal(kept),
                Slot::Json(_) => Slot::Json(kept),
                Slot::Bad(_) => Slot::Bad(kept),
                _ => Slot::Text(kept),
            };
        }
    }

    /// Appends an exact number: digits with an optional sign and decimal point.
    pub fn push_decimal(&mut self, digits: &str) {
        let slot = if digits.len() > VALUE_BYTES_MAX {
            Slot::Bad(self.too_long(digits.len()))
        } else {
            Slot::Decimal(self.keep(digits))
        };
        self.slots.push(slot);
    }

    /// Appends a JSON document.
    pub fn push_json(&mut self, json: &str) {
        let slot = if json.len() > VALUE_BYTES_MAX {
            Slot::Bad(self.too_long(json.len()))
        } else {
            Slot::Json(self.keep(json))
        };
        self.slots.push(slot);
    }

    /// Appends bytes.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        let slot = if bytes.len() > VALUE_BYTES_MAX {
            Slot::Bad(self.too_long(bytes.len()))
        } else {
            let start = self.bytes.len() as u32;
            self.bytes.extend_from_slice(bytes);
            Slot::Bytes(Piece { start, len: bytes.len() as u32 })
        };
        self.slots.push(slot);
    }

    /// Appends a value that could not be decoded, with the reason.
    pub fn push_bad(&mut self, reason: &str) {
        let piece = self.keep(reason);
        self.slots.push(Slot::Bad(piece));
    }

    /// Appends the values of a row that could not be told apart, with the one reason for all of them.
    pub fn push_unreadable(&mut self, values: usize, reason: &str) {
        let piece = self.keep(reason);
        self.slots.extend(std::iter::repeat_n(Slot::Bad(piece), values));
    }

    fn keep(&mut self, text: &str) -> Piece {
        if self.unread.is_empty() { self.append(text) } else { self.keep_unread(text.as_bytes()) }
    }

    fn append(&mut self, text: &str) -> Piece {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        Piece { start, len: text.len() as u32 }
    }

    fn keep_unread(&mut self, bytes: &[u8]) -> Piece {
        if self.unread.is_empty() {
            self.unread_from = self.slots.len();
        }
        let start = (self.text.len() + self.unread.len()) as u32;
        self.unread.extend_from_slice(bytes);
        Piece { start, len: bytes.len() as u32 }
    }

    fn too_long(&mut self, len: usize) -> Piece {
        self.keep(&format!("a value of {len} bytes; the limit is {VALUE_BYTES_MAX}"))
    }
}

/// One row of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    batch: &'a RowBatch,
    slots: &'a [Slot],
}

impl<'a> Row<'a> {
    /// The columns of the row.
    pub fn columns(&self) -> &'a [Column] {
        &self.batch.columns
    }

    /// Why the values of the row could not be told apart, where [`RowBatch::push_unreadable`] wrote them.
    pub fn unreadable(&self) -> Option<&'a str> {
        let [Slot::Bad(reason), Slot::Bad(same), ..] = self.slots else { return None };
        (reason == same).then(|| &self.batch.text[reason.range()])
    }

    /// The text of a column, where its value is [`Cell::Text`]: nearly all codes are.
    #[inline]
    pub fn text(&self, column: usize) -> Option<&'a str> {
        match self.slots[column] {
            Slot::Text(text) => Some(&self.batch.text[text.range()]),
            _ => None,
        }
    }

    /// The value of a column, by its place.
    pub fn get(&self, column: usize) -> Cell<'a> {
        let piece = |piece: Piece| &self.batch.text[piece.range()];
        match self.slots[column] {
            Slot::Null => Cell::Null,
            Slot::Bool(truth) => Cell::Bool(truth),
            Slot::Int(number) => Cell::Int(number),
            Slot::Float(number) => Cell::Float(number),
            Slot::Decimal(digits) => Cell::Decimal(piece(digits)),
            Slot::Text(text) => Cell::Text(piece(text)),
            Slot::Bytes(bytes) => Cell::Bytes(&self.batch.bytes[bytes.range()]),
            Slot::Date(days) => Cell::Date(days),
            Slot::Time(nanos) => Cell::Time(nanos),
            Slot::Civil { secs, nanos } => Cell::Civil { secs, nanos },
            Slot::Instant { secs, nanos } => Cell::Instant { secs, nanos },
            Slot::Json(json) => Cell::Json(piece(json)),
            Slot::Bad(reason) => Cell::Bad(piece(reason)),
        }
    }
}

/// One value of a row, with its text in hand. The kinds are those of [`Slot`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "each variant is described at the slot of the same name")]
pub enum Cell<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Decimal(&'a str),
    Text(&'a str),
    Bytes(&'a [u8]),
    Date(i32),
    Time(i64),
    Civil { secs: i64, nanos: u32 },
    Instant { secs: i64, nanos: u32 },
    Json(&'a str),
    Bad(&'a str),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_type_is_found_whatever_its_length() {
        const RULES: &[TypeRule] = &[
            TypeRule { types: &["varchar", "tinyint(1)"], kind: Kind::Text, note: "" },
            TypeRule { types: &["timestamp with time zone", "tinyint"], kind: Kind::Instant, note: "" },
            TypeRule { types: &["number(p)"], kind: Kind::Int, note: "" },
            TypeRule { types: &["number", "number(p,s)"], kind: Kind::Decimal, note: "" },
        ];
        for (source_type, expected) in [
            ("varchar", Some(Kind::Text)),
            ("VARCHAR(20)", Some(Kind::Text)),
            ("tinyint(1)", Some(Kind::Text)),
            ("tinyint(4)", Some(Kind::Instant)),
            ("TIMESTAMP(6) WITH TIME ZONE", Some(Kind::Instant)),
            ("number(10)", Some(Kind::Int)),
            ("NUMBER(10,2)", Some(Kind::Decimal)),
            ("number", Some(Kind::Decimal)),
            ("timestamp", None),
            ("", None),
        ] {
            assert_eq!(TypeRule::find(RULES, source_type).map(|rule| rule.kind), expected, "{source_type}");
        }
    }

    /// Ways into a batch that keep text.
    #[derive(Debug, Clone)]
    enum Push {
        Unread(Vec<u8>),
        Text(String),
        Decimal,
        Bad,
        Unreadable,
        Number,
    }

    fn pushes() -> impl Strategy<Value = Vec<Push>> {
        let bytes = prop_oneof![
            "[a-z\u{e4}\u{20ac}]{0,5}".prop_map(String::into_bytes),
            // Parts of characters, which may fall together.
            proptest::collection::vec(prop_oneof![Just(b'a'), Just(0xc3), Just(0xa4), Just(0xff)], 0..3),
        ];
        let push = prop_oneof![
            4 => bytes.prop_map(Push::Unread),
            1 => "[a-z\u{e4}]{0,3}".prop_map(Push::Text),
            1 => prop_oneof![Just(Push::Decimal), Just(Push::Bad), Just(Push::Unreadable), Just(Push::Number)],
        ];
        proptest::collection::vec(push, 0..30)
    }

    proptest! {
        #[test]
        fn texts_are_looked_at_together_as_they_would_be_one_by_one(pushes in pushes()) {
            let column = |name: &str| Column { name: name.to_owned(), kind: Kind::Any, source_type: "t".to_owned() };
            let columns: Columns = [column("a"), column("b")].into();
            let [mut together, mut one_by_one] = [RowBatch::new(), RowBatch::new()];
            for batch in [&mut together, &mut one_by_one] {
                // What was in it before does not count.
                batch.reset(&columns);
                batch.push_utf8(&[0xa4]);
                batch.reset(&columns);
            }
            for push in &pushes {
                for batch in [&mut together, &mut one_by_one] {
                    match push {
                        Push::Unread(bytes) => batch.push_utf8(bytes),
                        Push::Text(text) => batch.push_text(text),
                        Push::Decimal => batch.push_decimal("1.5"),
                        Push::Bad => batch.push_bad("month 13"),
                        Push::Unreadable => batch.push_unreadable(2, "a quote is missing"),
                        Push::Number => batch.push(Slot::Int(1)),
                    }
                }
                one_by_one.settle();
            }
            together.settle();
            prop_assert_eq!(together.value_bytes(), one_by_one.value_bytes());
            for (row, other) in together.rows().zip(one_by_one.rows()) {
                prop_assert_eq!(row.unreadable(), other.unreadable());
                for place in 0..columns.len() {
                    prop_assert_eq!(row.get(place), other.get(place));
                }
            }
            for (place, push) in pushes.iter().enumerate() {
                if pushes.iter().any(|push| matches!(push, Push::Unreadable)) || place / 2 >= together.len() {
                    break;
                }
                let cell = together.row(place / 2).get(place % 2);
                match push {
                    Push::Unread(bytes) => match std::str::from_utf8(bytes) {
                        Ok(text) => prop_assert_eq!(cell, Cell::Text(text)),
                        Err(_) => prop_assert!(matches!(cell, Cell::Bad(why) if why.contains("is not UTF-8")), "{:?}", cell),
                    },
                    Push::Text(text) => prop_assert_eq!(cell, Cell::Text(text)),
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn a_slot_is_sixteen_bytes() {
        assert_eq!(size_of::<Slot>(), 16);
    }

    #[test]
    fn rows_come_back_as_they_were_pushed() {
        let columns: Columns = ["a", "b", "c"]
            .map(|name| Column { name: name.to_owned(), kind: Kind::Any, source_type: String::new() })
            .into();
        let mut batch = RowBatch::new();
        for _ in 0..2 {
            batch.reset(&columns);
            batch.push(Slot::Int(1));
            batch.push_padded("M1  ");
            batch.push_bytes(&[7]);
            batch.push(Slot::Null);
            batch.push_decimal("1.50");
            batch.push_bad("month 13");
        }
        assert_eq!(batch.len(), 2);
        // A whole number, two letters, a byte, four characters of a decimal, and eight of a reason.
        assert_eq!(batch.value_bytes(), 8 + 2 + 1 + 4 + 8);
        assert_eq!(
            (0..3).map(|place| batch.row(0).get(place)).collect::<Vec<_>>(),
            [Cell::Int(1), Cell::Text("M1"), Cell::Bytes(&[7])]
        );
        assert_eq!(
            (0..3).map(|place| batch.row(1).get(place)).collect::<Vec<_>>(),
            [Cell::Null, Cell::Decimal("1.50"), Cell::Bad("month 13")]
        );
    }

    #[test]
    fn a_row_is_unreadable_for_one_reason() {
        let columns: Columns = ["a", "b", "c"]
            .map(|name| Column { name: name.to_owned(), kind: Kind::Any, source_type: String::new() })
            .into();
        let mut batch = RowBatch::new();
        batch.reset(&columns);
        batch.push_unreadable(2, "line 7");
        batch.push(Slot::Int(7));
        for _ in 0..3 {
            batch.push_bad("line 8");
        }
        assert_eq!(batch.row(0).unreadable(), Some("line 7"));
        assert_eq!(batch.row(0).get(1), Cell::Bad("line 7"));
        assert_eq!(batch.row(1).unreadable(), None, "each value has a reason of its own");
    }

    #[test]
    fn a_value_beyond_the_limit_costs_only_itself() {
        let columns: Columns =
            ["a"].map(|name| Column { name: name.to_owned(), kind: Kind::Text, source_type: String::new() }).into();
        let mut batch = RowBatch::new();
        batch.reset(&columns);
        let pushes: [fn(&mut RowBatch, &str); 4] =
            [RowBatch::push_text, RowBatch::push_decimal, RowBatch::push_json, |batch, text| {
                batch.push_bytes(text.as_bytes());
            }];
        for push in pushes {
            batch.reset(&columns);
            push(&mut batch, &"1".repeat(VALUE_BYTES_MAX));
            push(&mut batch, &"1".repeat(VALUE_BYTES_MAX + 1));
            assert!(!matches!(batch.row(0).get(0), Cell::Bad(_)));
            assert!(matches!(batch.row(1).get(0), Cell::Bad(reason) if reason.contains("limit")));
        }
    }
}
