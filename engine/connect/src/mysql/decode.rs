//! From MySQL's and MariaDB's binary values to slots, straight from the driver's buffer.

use engine_core::value::{Column, Columns, Kind, RowBatch, Slot, TypeRule};
use sqlx::mysql::{MySql, MySqlColumn, MySqlRow, MySqlTypeInfo};
use sqlx::{Column as _, Decode, Row as _, Type, TypeInfo as _};

use crate::failure::Problem;
use crate::slots::{DAY_SECS, MICRO_NANOS, SECOND_MICROS, epoch_days, push_bad, push_float, push_utf8_padded};

/// Bytes of a date-time's fraction that a value may lack.
const MICROS_BYTES: usize = 4;

/// How a column's bytes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A whole number of 1, 2, 4 or 8 bytes. `TINYINT(1)` and `YEAR` are such numbers too: that a one stands for a
    /// truth is a habit, and tables exist where it is a count.
    Signed,
    Unsigned,
    Float,
    Double,
    Decimal,
    Text,
    /// Text of fixed width.
    Padded,
    Bytes,
    Date,
    Time,
    DateTime,
    Timestamp,
    Json,
    /// Up to 64 bits, most significant first.
    Bits,
    /// A geometry, in a form that only the server itself reads.
    Shape,
    /// A column of nothing but nulls.
    Null,
}

/// Whether a column's bytes are text: only its character set tells text in a binary collation from bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    Text,
    Binary,
}

/// The types whose name says how they are read, in the driver's words.
const NAMED: &[(&str, Form)] = &[
    ("BOOLEAN", Form::Signed),
    ("TINYINT", Form::Signed),
    ("SMALLINT", Form::Signed),
    ("MEDIUMINT", Form::Signed),
    ("INT", Form::Signed),
    ("BIGINT", Form::Signed),
    ("TINYINT UNSIGNED", Form::Unsigned),
    ("SMALLINT UNSIGNED", Form::Unsigned),
    ("MEDIUMINT UNSIGNED", Form::Unsigned),
    ("INT UNSIGNED", Form::Unsigned),
    ("BIGINT UNSIGNED", Form::Unsigned),
    ("YEAR", Form::Unsigned),
    ("FLOAT", Form::Float),
    ("DOUBLE", Form::Double),
    ("DECIMAL", Form::Decimal),
    ("DATE", Form::Date),
    ("TIME", Form::Time),
    ("DATETIME", Form::DateTime),
    ("TIMESTAMP", Form::Timestamp),
    ("JSON", Form::Json),
    ("BIT", Form::Bits),
    ("GEOMETRY", Form::Shape),
    ("NULL", Form::Null),
    ("ENUM", Form::Text),
    ("SET", Form::Text),
];

/// The contract of types: how documentation says what [`Form::of`] does. What MariaDB lacks comes last.
pub(super) const TYPES: &[TypeRule] = &[
    TypeRule { types: &["tinyint", "smallint", "mediumint", "int", "bigint"], kind: Kind::Int, note: "Exact." },
    TypeRule {
        types: &["tinyint unsigned", "smallint unsigned", "mediumint unsigned", "int unsigned", "bigint unsigned"],
        kind: Kind::Int,
        note: "Exact; beyond 63 bits as an exact decimal.",
    },
    TypeRule {
        types: &["tinyint(1)"],
        kind: Kind::Int,
        note: "That a one stands for a truth is a habit of some tables, and says nothing of the others.",
    },
    TypeRule { types: &["year"], kind: Kind::Int, note: "" },
    TypeRule { types: &["bit"], kind: Kind::Int, note: "The first bit is the most significant." },
    TypeRule { types: &["float", "double"], kind: Kind::Float, note: "`float` by its shortest digits: 0.1 stays 0.1." },
    TypeRule { types: &["decimal"], kind: Kind::Decimal, note: "Every digit, trailing zeros included." },
    TypeRule {
        types: &["varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"],
        kind: Kind::Text,
        note: "In any character set; the connection translates it. MariaDB's `JSON` is a `longtext` with a check.",
    },
    TypeRule { types: &["char"], kind: Kind::Text, note: "Without trailing blanks." },
    TypeRule {
        types: &["binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"],
        kind: Kind::Bytes,
        note: "",
    },
    TypeRule {
        types: &["date"],
        kind: Kind::Date,
        note: "`0000-00-00` is no value. A date that the calendar lacks, such as `2025-00-00`, rejects the row.",
    },
    TypeRule { types: &["time"], kind: Kind::Time, note: "To the microsecond; may be negative or beyond 24 hours." },
    TypeRule {
        types: &["datetime"],
        kind: Kind::Civil,
        note: "To the microsecond, read in `source.timezone`. Zero and partial dates as in `date`.",
    },
    TypeRule {
        types: &["timestamp"],
        kind: Kind::Instant,
        note: "To the microsecond; the session is in UTC. Zero dates as in `date`.",
    },
    TypeRule { types: &["geometry"], kind: Kind::Any, note: "Not read: select `ST_AsText(…)` or `ST_X(…)` of it." },
    TypeRule { types: &["null"], kind: Kind::Any, note: "A column of nothing but nulls." },
    TypeRule { types: &["json"], kind: Kind::Json, note: "" },
];

/// The contract of MariaDB, which has no type for JSON.
pub(super) const MARIADB_TYPES: &[TypeRule] = match TYPES {
    [shared @ .., _json] => shared,
    [] => TYPES,
};

impl Form {
    fn of(type_info: &MySqlTypeInfo) -> Self {
        // The driver's name of a TINYINT(1) does not say whether it has a sign.
        if *type_info == <u8 as Type<MySql>>::type_info() {
            return Self::Unsigned;
        }
        let charset = if <str as Type<MySql>>::compatible(type_info) { Charset::Text } else { Charset::Binary };
        Self::named(type_info.name(), charset)
    }

    fn named(name: &str, charset: Charset) -> Self {
        if let Some((_, form)) = NAMED.iter().find(|(known, _)| *known == name) {
            return *form;
        }
        match (name, charset) {
            ("CHAR" | "BINARY", Charset::Text) => Self::Padded,
            (_, Charset::Text) => Self::Text,
            (_, Charset::Binary) => Self::Bytes,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Signed | Self::Unsigned | Self::Bits => Kind::Int,
            Self::Float | Self::Double => Kind::Float,
            Self::Decimal => Kind::Decimal,
            Self::Text | Self::Padded => Kind::Text,
            Self::Bytes => Kind::Bytes,
            Self::Date => Kind::Date,
            Self::Time => Kind::Time,
            Self::DateTime => Kind::Civil,
            Self::Timestamp => Kind::Instant,
            Self::Json => Kind::Json,
            Self::Shape | Self::Null => Kind::Any,
        }
    }
}

/// Reads the rows of one result.
#[derive(Debug)]
pub(super) struct Decoder {
    forms: Vec<Form>,
}

impl Decoder {
    pub(super) fn new(columns: &[MySqlColumn]) -> (Self, Columns) {
        let forms: Vec<Form> = columns.iter().map(|column| Form::of(column.type_info())).collect();
        let described = columns.iter().zip(&forms).map(|(column, form)| Column {
            name: column.name().to_owned(),
            kind: form.kind(),
            source_type: source_type(column.type_info().name(), *form),
        });
        let described = described.collect();
        (Self { forms }, described)
    }

    /// Appends one row.
    pub(super) fn push_row(&mut self, row: &MySqlRow, columns: &Columns, batch: &mut RowBatch) -> Result<(), Problem> {
        for (place, (form, column)) in self.forms.iter().zip(columns.iter()).enumerate() {
            match row.try_get_raw(place) {
                // The driver's way to a value's bytes; it fails for a null and for nothing else.
                Ok(value) => match <&[u8] as Decode<MySql>>::decode(value) {
                    Ok(bytes) => push(*form, bytes, column, batch),
                    Err(_) => batch.push(Slot::Null),
                },
                Err(error) => return Err(super::explain(error)),
            }
        }
        Ok(())
    }
}

/// The type in the server's words; the driver's own differ for `TINYINT(1)` and for text in a binary collation.
fn source_type(name: &str, form: Form) -> String {
    match (name, form) {
        ("BOOLEAN", _) => "tinyint(1)".to_owned(),
        ("BINARY", Form::Padded) => "char".to_owned(),
        ("VARBINARY", Form::Text) => "varchar".to_owned(),
        (_, Form::Text) => name.replace("BLOB", "TEXT").to_lowercase(),
        _ => name.to_lowercase(),
    }
}

fn push(form: Form, bytes: &[u8], column: &Column, batch: &mut RowBatch) {
    match form {
        Form::Text => batch.push_utf8(bytes),
        Form::Padded => push_utf8_padded(batch, bytes),
        Form::Bytes | Form::Null => batch.push_bytes(bytes),
        Form::Shape => push_bad(batch, column, "a geometry is not carried; select ST_AsText(…) or ST_X(…) of it"),
        Form::Decimal => match std::str::from_utf8(bytes) {
            Ok(digits) => batch.push_decimal(digits),
            Err(_) => push_bad(batch, column, "the digits are not text"),
        },
        Form::Json => match std::str::from_utf8(bytes) {
            Ok(json) => batch.push_json(json),
            Err(_) => push_bad(batch, column, "the document is not UTF-8"),
        },
        Form::Float => match bytes.try_into().map(f32::from_le_bytes) {
            // Through the shortest digits: 0.1 as four bytes is 0.1, not 0.10000000149011612.
            Ok(number) => push_float(batch, column, number.to_string().parse().unwrap_or(f64::from(number))),
            Err(_) => push_malformed(batch, column, bytes),
        },
        Form::Double => match bytes.try_into().map(f64::from_le_bytes) {
            Ok(number) => push_float(batch, column, number),
            Err(_) => push_malformed(batch, column, bytes),
        },
        Form::Signed => match signed(bytes) {
            Some(number) => batch.push(Slot::Int(number)),
            None => push_malformed(batch, column, bytes),
        },
        Form::Unsigned => match unsigned(bytes.iter().rev()) {
            Some(number) => push_unsigned(batch, number),
            None => push_malformed(batch, column, bytes),
        },
        Form::Bits => match unsigned(bytes.iter()) {
            Some(number) => push_unsigned(batch, number),
            None => push_malformed(batch, column, bytes),
        },
        Form::Time => match time(bytes) {
            Some(nanos) => batch.push(Slot::Time(nanos)),
            None => push_malformed(batch, column, bytes),
        },
        Form::Date | Form::DateTime | Form::Timestamp => match date_time(bytes) {
            Some(Moment::Zero) => batch.push(Slot::Null),
            Some(Moment::Partial(year, month, day)) => {
                push_bad(batch, column, &format!("{year:04}-{month:02}-{day:02} is no date of the calendar"));
            }
            Some(Moment::Whole { days, secs, nanos }) => {
                let epoch_secs = i64::from(days) * DAY_SECS + secs;
                batch.push(match form {
                    Form::Date => Slot::Date(days),
                    Form::DateTime => Slot::Civil { secs: epoch_secs, nanos },
                    _ => Slot::Instant { secs: epoch_secs, nanos },
                });
            }
            None => push_malformed(batch, column, bytes),
        },
    }
}

fn push_malformed(batch: &mut RowBatch, column: &Column, bytes: &[u8]) {
    push_bad(batch, column, &format!("{} bytes are not a value of this type", bytes.len()));
}

fn push_unsigned(batch: &mut RowBatch, number: u64) {
    match i64::try_from(number) {
        Ok(number) => batch.push(Slot::Int(number)),
        Err(_) => batch.push_decimal(&number.to_string()),
    }
}

fn signed(bytes: &[u8]) -> Option<i64> {
    Some(match bytes.len() {
        1 => i8::from_le_bytes(bytes.try_into().ok()?).into(),
        2 => i16::from_le_bytes(bytes.try_into().ok()?).into(),
        4 => i32::from_le_bytes(bytes.try_into().ok()?).into(),
        8 => i64::from_le_bytes(bytes.try_into().ok()?),
        _ => return None,
    })
}

/// A number from its bytes, most significant first.
fn unsigned<'a>(bytes: impl ExactSizeIterator<Item = &'a u8>) -> Option<u64> {
    (bytes.len() <= size_of::<u64>()).then(|| bytes.fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// What a date-time says.
enum Moment {
    /// `0000-00-00`: no value, as the server itself treats it.
    Zero,
    /// A date that the calendar lacks, such as `2025-00-00`.
    Partial(u16, u8, u8),
    Whole {
        days: i32,
        secs: i64,
        nanos: u32,
    },
}

/// Reads a length byte, year, month, day and, as far as they are not zero, hour, minute, second and microseconds.
fn date_time(bytes: &[u8]) -> Option<Moment> {
    let (length, bytes) = bytes.split_first()?;
    if usize::from(*length) != bytes.len() {
        return None;
    }
    if bytes.is_empty() {
        return Some(Moment::Zero);
    }
    let (date, rest) = bytes.split_first_chunk::<4>()?;
    let (year, month, day) = (u16::from_le_bytes([date[0], date[1]]), date[2], date[3]);
    if (year, month, day) == (0, 0, 0) {
        return Some(Moment::Zero);
    }
    let Some(days) = epoch_days(year.into(), month, day) else { return Some(Moment::Partial(year, month, day)) };
    let (secs, nanos) = clock(rest)?;
    Some(Moment::Whole { days, secs, nanos })
}

/// Seconds since midnight and nanoseconds, from hour, minute, second and microseconds.
fn clock(bytes: &[u8]) -> Option<(i64, u32)> {
    if bytes.is_empty() {
        return Some((0, 0));
    }
    let ([hour, minute, second], fraction) = bytes.split_first_chunk::<3>()?;
    let micros = match fraction.len() {
        0 => 0,
        MICROS_BYTES => u32::from_le_bytes(fraction.try_into().ok()?),
        _ => return None,
    };
    let secs = i64::from(*hour) * 3600 + i64::from(*minute) * 60 + i64::from(*second);
    Some((secs, micros.checked_mul(MICRO_NANOS as u32)?))
}

/// Nanoseconds of a TIME: a length byte, a sign, days, and a clock.
fn time(bytes: &[u8]) -> Option<i64> {
    let (length, bytes) = bytes.split_first()?;
    if usize::from(*length) != bytes.len() {
        return None;
    }
    if bytes.is_empty() {
        return Some(0);
    }
    let (negative, bytes) = bytes.split_first()?;
    let (days, rest) = bytes.split_first_chunk::<4>()?;
    let (secs, nanos) = clock(rest)?;
    let secs = i64::from(u32::from_le_bytes(*days)).checked_mul(DAY_SECS)?.checked_add(secs)?;
    let magnitude = secs.checked_mul(SECOND_MICROS * MICRO_NANOS)?.checked_add(nanos.into())?;
    Some(if *negative == 0 { magnitude } else { -magnitude })
}

#[cfg(test)]
mod tests {
    use engine_core::value::Cell;
    use proptest::prelude::*;

    use super::*;

    fn check(form: Form, bytes: &[u8], expected: Cell<'_>) {
        let columns: Columns = [Column { name: "c".to_owned(), kind: form.kind(), source_type: "t".to_owned() }].into();
        let mut batch = RowBatch::new();
        batch.reset(&columns);
        push(form, bytes, &columns[0], &mut batch);
        batch.settle();
        match (batch.row(0).get(0), expected) {
            (Cell::Bad(why), Cell::Bad(part)) => {
                assert!(why.starts_with("column c (t): ") && why.contains(part), "{form:?}: {why}");
            }
            (seen, expected) => assert_eq!(seen, expected, "{form:?} {bytes:?}"),
        }
    }

    #[test]
    fn numbers() {
        check(Form::Signed, &[0xff], Cell::Int(-1));
        check(Form::Unsigned, &[0xff], Cell::Int(255));
        check(Form::Signed, &[1, 0x80], Cell::Int(-32_767));
        check(Form::Signed, &i64::MIN.to_le_bytes(), Cell::Int(i64::MIN));
        check(Form::Unsigned, &u64::MAX.to_le_bytes(), Cell::Decimal("18446744073709551615"));
        check(Form::Unsigned, &[0xe9, 7], Cell::Int(2025));
        check(Form::Bits, &[1, 0], Cell::Int(256));
        check(Form::Float, &0.1_f32.to_le_bytes(), Cell::Float(0.1));
        check(Form::Double, &0.1_f64.to_le_bytes(), Cell::Float(0.1));
        check(Form::Decimal, b"-12.50", Cell::Decimal("-12.50"));
        check(Form::Signed, &[1, 2, 3], Cell::Bad("3 bytes"));
        check(Form::Bits, &[1; 9], Cell::Bad("9 bytes"));
    }

    #[test]
    fn times() {
        check(Form::Date, &[4, 0xe9, 7, 3, 30], Cell::Date(20_177));
        check(Form::Date, &[0], Cell::Null);
        check(Form::Timestamp, &[4, 0, 0, 0, 0], Cell::Null);
        check(Form::Date, &[4, 0xe9, 7, 0, 0], Cell::Bad("2025-00-00 is no date"));
        check(Form::DateTime, &[4, 0xe9, 7, 3, 30], Cell::Civil { secs: 20_177 * DAY_SECS, nanos: 0 });
        check(Form::DateTime, &[7, 0xe9, 7, 3, 30, 1, 2, 3], Cell::Civil { secs: 20_177 * DAY_SECS + 3723, nanos: 0 });
        check(
            Form::Timestamp,
            &[11, 0xe9, 7, 3, 30, 0, 0, 1, 0x20, 0xa1, 7, 0],
            Cell::Instant { secs: 20_177 * DAY_SECS + 1, nanos: 500_000_000 },
        );
        check(Form::Time, &[0], Cell::Time(0));
        check(Form::Time, &[8, 1, 1, 0, 0, 0, 2, 0, 0], Cell::Time(-26 * 3_600_000_000_000));
        check(Form::Time, &[12, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0], Cell::Time(1_000_001_000));
        check(Form::Date, &[7, 1, 1], Cell::Bad("3 bytes"));
        check(Form::Time, &[], Cell::Bad("0 bytes"));
    }

    #[test]
    fn the_contract_says_what_is_decoded() {
        let sized = |name: &'static str| ["", "TINY", "MEDIUM", "LONG"].map(|size| format!("{size}{name}"));
        let decoded = NAMED.iter().map(|(name, form)| ((*name).to_owned(), *form));
        let of_charset = |charset: Charset| move |name: String| (name.clone(), Form::named(&name, charset));
        let strings = ["CHAR", "VARCHAR", "BINARY", "VARBINARY"].map(str::to_owned);
        let text = strings.iter().cloned().chain(sized("TEXT")).chain(sized("BLOB")).map(of_charset(Charset::Text));
        let bytes = ["BINARY", "VARBINARY"].map(str::to_owned).into_iter().chain(sized("BLOB"));
        let bytes = bytes.map(of_charset(Charset::Binary));
        let mut seen = Vec::new();
        for (name, form) in decoded.chain(text).chain(bytes) {
            let shown = source_type(&name, form);
            let rules: Vec<&TypeRule> = TYPES.iter().filter(|rule| rule.types.contains(&&*shown)).collect();
            assert_eq!(rules.len(), 1, "{name}, shown as {shown}, stands in {} rules", rules.len());
            assert_eq!(rules[0].kind, form.kind(), "{name}");
            assert_eq!(rules[0].note.contains("trailing blanks"), form == Form::Padded, "{name}");
            seen.push(shown);
        }
        assert_eq!((MARIADB_TYPES.len(), TYPES[MARIADB_TYPES.len()].kind), (TYPES.len() - 1, Kind::Json));
        for name in TYPES.iter().flat_map(|rule| rule.types) {
            assert!(seen.iter().any(|shown| shown == name), "{name} is not decoded");
        }
    }

    const FORMS: [Form; 16] = [
        Form::Signed,
        Form::Unsigned,
        Form::Float,
        Form::Double,
        Form::Decimal,
        Form::Text,
        Form::Padded,
        Form::Bytes,
        Form::Date,
        Form::Time,
        Form::DateTime,
        Form::Timestamp,
        Form::Json,
        Form::Bits,
        Form::Shape,
        Form::Null,
    ];

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..16), is_framed: bool) {
            // Half of them with a true length byte, so that the times are read to their end.
            if let (true, Ok(rest)) = (is_framed && !bytes.is_empty(), u8::try_from(bytes.len().saturating_sub(1))) {
                bytes[0] = rest;
            }
            let columns: Columns =
                [Column { name: "c".to_owned(), kind: Kind::Any, source_type: "t".to_owned() }].into();
            let mut batch = RowBatch::new();
            batch.reset(&columns);
            for form in FORMS {
                push(form, &bytes, &columns[0], &mut batch);
            }
            prop_assert_eq!(batch.len(), FORMS.len());
        }
    }

    #[test]
    fn text() {
        check(Form::Text, "Müller ".as_bytes(), Cell::Text("Müller "));
        check(Form::Padded, b"M1   ", Cell::Text("M1"));
        check(Form::Text, &[0xfc], Cell::Bad("0xfc at 0"));
        check(Form::Bytes, &[0xfc], Cell::Bytes(&[0xfc]));
        check(Form::Json, b"{}", Cell::Json("{}"));
    }
}
