//! From PostgreSQL's binary values to slots, straight from the driver's buffer.

use engine_core::value::{Column, Columns, Kind, RowBatch, Slot};
use sqlx::postgres::{PgColumn, PgRow, PgTypeInfo, PgTypeKind};
use sqlx::{Column as _, Row as _, TypeInfo as _, ValueRef as _};

use super::numeric;
use crate::failure::Problem;
use crate::slots::{
    CALENDAR_DAYS, CALENDAR_SECS, DAY_SECS, MICRO_NANOS, SECOND_MICROS, push_bad, push_float, push_utf8_padded,
    split_micros,
};

/// Days from 1970-01-01 to 2000-01-01, PostgreSQL's epoch.
pub(super) const EPOCH_DAYS: i32 = 10_957;
/// Seconds from 1970-01-01 to PostgreSQL's epoch.
pub(super) const EPOCH_SECS: i64 = EPOCH_DAYS as i64 * DAY_SECS;

const BEYOND: &str = "a year outside of -9999 to 9999";

/// How a column's bytes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bool,
    Int2,
    Int4,
    Int8,
    /// An unsigned number of four bytes.
    Oid,
    Float4,
    Float8,
    Numeric,
    Text,
    /// Text of fixed width.
    Padded,
    Bytes,
    Date,
    Time,
    /// A time of day with an offset, carried as text: without a date the offset means nothing to the engine.
    TimeWithZone,
    Timestamp,
    TimestampWithZone,
    /// A duration; a day is 24 hours, and months are refused because they have no length.
    Interval,
    Json,
    /// JSON behind a version byte.
    Jsonb,
    Uuid,
    BitString,
    /// A number whose scale the value does not tell.
    Money,
    /// A type that engine does not read.
    Other,
}

/// The built-in types that are read: their fixed object ids, their names in the catalog, and how they are read.
const BUILT_IN: &[(u32, &str, Form)] = &[
    (16, "bool", Form::Bool),
    (21, "int2", Form::Int2),
    (23, "int4", Form::Int4),
    (20, "int8", Form::Int8),
    (26, "oid", Form::Oid),
    (28, "xid", Form::Oid),
    (29, "cid", Form::Oid),
    (700, "float4", Form::Float4),
    (701, "float8", Form::Float8),
    (1700, "numeric", Form::Numeric),
    (18, "\"char\"", Form::Text),
    (19, "name", Form::Text),
    (25, "text", Form::Text),
    (142, "xml", Form::Text),
    (705, "unknown", Form::Text),
    (1043, "varchar", Form::Text),
    (1042, "char", Form::Padded),
    (17, "bytea", Form::Bytes),
    (1082, "date", Form::Date),
    (1083, "time", Form::Time),
    (1266, "timetz", Form::TimeWithZone),
    (1114, "timestamp", Form::Timestamp),
    (1184, "timestamptz", Form::TimestampWithZone),
    (1186, "interval", Form::Interval),
    (114, "json", Form::Json),
    (3802, "jsonb", Form::Jsonb),
    (2950, "uuid", Form::Uuid),
    (1560, "bit", Form::BitString),
    (1562, "varbit", Form::BitString),
    (790, "money", Form::Money),
];

impl Form {
    /// The form of a built-in type, by its fixed object id; `None` for every other type.
    fn of_built_in(oid: u32) -> Option<Self> {
        BUILT_IN.iter().find(|(known, ..)| *known == oid).map(|(.., form)| *form)
    }

    fn of(type_info: &PgTypeInfo) -> Self {
        if let Some(form) = type_info.oid().and_then(|oid| Self::of_built_in(oid.0)) {
            return form;
        }
        match type_info.kind() {
            PgTypeKind::Enum(_) => Self::Text,
            PgTypeKind::Domain(base) => Self::of(base),
            PgTypeKind::Simple if type_info.name().eq_ignore_ascii_case("citext") => Self::Text,
            _ => Self::Other,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Bool => Kind::Bool,
            Self::Int2 | Self::Int4 | Self::Int8 | Self::Oid => Kind::Int,
            Self::Float4 | Self::Float8 => Kind::Float,
            Self::Numeric => Kind::Decimal,
            Self::Text | Self::Padded | Self::TimeWithZone | Self::Uuid | Self::BitString => Kind::Text,
            Self::Bytes => Kind::Bytes,
            Self::Date => Kind::Date,
            Self::Time | Self::Interval => Kind::Time,
            Self::Timestamp => Kind::Civil,
            Self::TimestampWithZone => Kind::Instant,
            Self::Json | Self::Jsonb => Kind::Json,
            Self::Money | Self::Other => Kind::Any,
        }
    }
}

/// Reads the rows of one result. Made once a result; reads any number of rows.
#[derive(Debug)]
pub(super) struct Decoder {
    forms: Vec<Form>,
    scratch: String,
}

impl Decoder {
    pub(super) fn new(columns: &[PgColumn]) -> (Self, Columns) {
        let forms: Vec<Form> = columns.iter().map(|column| Form::of(column.type_info())).collect();
        let described = columns.iter().zip(&forms).map(|(column, form)| Column {
            name: column.name().to_owned(),
            kind: form.kind(),
            source_type: column.type_info().name().to_lowercase(),
        });
        let described = described.collect();
        (Self { forms, scratch: String::new() }, described)
    }

    /// Appends one row.
    pub(super) fn push_row(&mut self, row: &PgRow, columns: &Columns, batch: &mut RowBatch) -> Result<(), Problem> {
        for (place, (form, column)) in self.forms.iter().zip(columns.iter()).enumerate() {
            // Looked at where the driver put it: what was written in parts is slow to move as a whole.
            let found = row.try_get_raw(place);
            match &found {
                Ok(value) => match value.as_bytes() {
                    Ok(bytes) => push(*form, bytes, column, batch, &mut self.scratch),
                    // The driver reports nothing else of a value.
                    Err(_) => {
                        debug_assert!(value.is_null(), "only a null has no bytes");
                        batch.push(Slot::Null);
                    }
                },
                Err(_) => return found.map(drop).map_err(|error| super::explain(error, "")),
            }
        }
        Ok(())
    }
}

fn push(form: Form, bytes: &[u8], column: &Column, batch: &mut RowBatch, scratch: &mut String) {
    match try_push(form, bytes, column, batch, scratch) {
        Some(Ok(())) => {}
        Some(Err(why)) => push_bad(batch, column, why),
        None => push_bad(batch, column, &format!("{} bytes are not a value of this type", bytes.len())),
    }
}

/// Appends a value; `None` where the bytes have the wrong length, a reason where the value cannot be carried.
fn try_push(
    form: Form,
    bytes: &[u8],
    column: &Column,
    batch: &mut RowBatch,
    scratch: &mut String,
) -> Option<Result<(), &'static str>> {
    let slot = match form {
        Form::Bool => Slot::Bool(array::<1>(bytes)? != [0]),
        Form::Int2 => Slot::Int(i16::from_be_bytes(array(bytes)?).into()),
        Form::Int4 => Slot::Int(i32::from_be_bytes(array(bytes)?).into()),
        Form::Int8 => Slot::Int(i64::from_be_bytes(array(bytes)?)),
        Form::Oid => Slot::Int(u32::from_be_bytes(array(bytes)?).into()),
        Form::Date => match i32::from_be_bytes(array(bytes)?) {
            i32::MAX | i32::MIN => return Some(Err("an infinite date")),
            days => match days.checked_add(EPOCH_DAYS).filter(|days| CALENDAR_DAYS.contains(days)) {
                Some(days) => Slot::Date(days),
                None => return Some(Err(BEYOND)),
            },
        },
        Form::Time => Slot::Time(i64::from_be_bytes(array(bytes)?).checked_mul(MICRO_NANOS)?),
        Form::Timestamp | Form::TimestampWithZone => match i64::from_be_bytes(array(bytes)?) {
            i64::MAX | i64::MIN => return Some(Err("an infinite date-time")),
            micros => {
                let (secs, nanos) = split_micros(micros);
                let secs = secs + EPOCH_SECS;
                if !CALENDAR_SECS.contains(&secs) {
                    return Some(Err(BEYOND));
                }
                if form == Form::Timestamp { Slot::Civil { secs, nanos } } else { Slot::Instant { secs, nanos } }
            }
        },
        Form::Interval => {
            let bytes: [u8; 16] = array(bytes)?;
            let (micros, rest) = bytes.split_first_chunk::<8>()?;
            let (days, months) = rest.split_first_chunk::<4>()?;
            if array::<4>(months)? != [0; 4] {
                return Some(Err("an interval with months has no length; use extract() in the query"));
            }
            let days = i64::from(i32::from_be_bytes(*days)) * DAY_SECS * SECOND_MICROS;
            let micros = i64::from_be_bytes(*micros).checked_add(days)?;
            Slot::Time(micros.checked_mul(MICRO_NANOS)?)
        }
        Form::Float4 => {
            // Through the shortest digits: 0.1 as four bytes is 0.1, not 0.10000000149011612.
            let number = f32::from_be_bytes(array(bytes)?);
            push_float(batch, column, number.to_string().parse().unwrap_or(f64::from(number)));
            return Some(Ok(()));
        }
        Form::Float8 => {
            push_float(batch, column, f64::from_be_bytes(array(bytes)?));
            return Some(Ok(()));
        }
        Form::Numeric => {
            if let Err(why) = numeric::digits(bytes, scratch) {
                return Some(Err(why));
            }
            batch.push_decimal(scratch);
            return Some(Ok(()));
        }
        Form::Text => {
            batch.push_utf8(bytes);
            return Some(Ok(()));
        }
        Form::Padded => {
            push_utf8_padded(batch, bytes);
            return Some(Ok(()));
        }
        Form::Bytes => {
            batch.push_bytes(bytes);
            return Some(Ok(()));
        }
        Form::Json => return push_json(bytes, batch),
        Form::Jsonb => return push_json(bytes.strip_prefix(&[1])?, batch),
        Form::TimeWithZone => {
            let (micros, offset) = bytes.split_first_chunk::<8>()?;
            // The server counts seconds west of Greenwich.
            let east = i32::from_be_bytes(array(offset)?).checked_neg()?;
            write_time_with_zone(scratch, i64::from_be_bytes(*micros), east);
            batch.push_text(scratch);
            return Some(Ok(()));
        }
        Form::Uuid => {
            write_uuid(scratch, &array(bytes)?);
            batch.push_text(scratch);
            return Some(Ok(()));
        }
        Form::BitString => {
            let (length, bits) = bytes.split_first_chunk::<4>()?;
            let length = usize::try_from(i32::from_be_bytes(*length))
                .ok()
                .filter(|bits_of| bits_of.div_ceil(8) == bits.len())?;
            scratch.clear();
            scratch.extend((0..length).map(|bit| if bits[bit / 8] & (0x80 >> (bit % 8)) == 0 { '0' } else { '1' }));
            batch.push_text(scratch);
            return Some(Ok(()));
        }
        Form::Money => {
            return Some(Err("its scale depends on the server's locale; cast it in the query: `x::numeric`"));
        }
        Form::Other => return Some(Err("engine does not read this type; cast it in the query: `x::text`")),
    };
    batch.push(slot);
    Some(Ok(()))
}

fn array<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

fn push_json(bytes: &[u8], batch: &mut RowBatch) -> Option<Result<(), &'static str>> {
    match std::str::from_utf8(bytes) {
        Ok(json) => {
            batch.push_json(json);
            Some(Ok(()))
        }
        Err(_) => Some(Err("the document is not UTF-8")),
    }
}

fn write_time_with_zone(out: &mut String, micros: i64, east: i32) {
    use std::fmt::Write as _;
    let secs = micros.div_euclid(SECOND_MICROS);
    let (sign, offset) = (if east < 0 { '-' } else { '+' }, east.unsigned_abs());
    out.clear();
    // Writing to a string does not fail.
    let _ = write!(out, "{:02}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60);
    let fraction = micros.rem_euclid(SECOND_MICROS);
    if fraction != 0 {
        let _ = write!(out, ".{fraction:06}");
    }
    let _ = write!(out, "{sign}{:02}:{:02}", offset / 3600, offset / 60 % 60);
}

fn write_uuid(out: &mut String, bytes: &[u8; 16]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.clear();
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        out.push(char::from(HEX[usize::from(byte >> 4)]));
        out.push(char::from(HEX[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use engine_core::value::{Cell, TypeRule};
    use proptest::prelude::*;

    use super::super::types::{OTHER, TYPES};
    use super::*;

    fn check(form: Form, bytes: &[u8], expected: Cell<'_>) {
        let columns: Columns = [Column { name: "c".to_owned(), kind: form.kind(), source_type: "t".to_owned() }].into();
        let mut batch = RowBatch::new();
        batch.reset(&columns);
        push(form, bytes, &columns[0], &mut batch, &mut String::new());
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
        check(Form::Bool, &[1], Cell::Bool(true));
        check(Form::Int2, &[255, 254], Cell::Int(-2));
        check(Form::Int4, &[0, 0, 1, 0], Cell::Int(256));
        check(Form::Int8, &i64::MIN.to_be_bytes(), Cell::Int(i64::MIN));
        check(Form::Oid, &[255; 4], Cell::Int(u32::MAX.into()));
        check(Form::Float4, &0.1_f32.to_be_bytes(), Cell::Float(0.1));
        check(Form::Float8, &0.1_f64.to_be_bytes(), Cell::Float(0.1));
        check(Form::Float8, &f64::NAN.to_be_bytes(), Cell::Bad("NaN"));
        check(Form::Float4, &f32::NEG_INFINITY.to_be_bytes(), Cell::Bad("inf"));
        check(Form::Numeric, &[0, 1, 0, 0, 0, 0, 0, 0, 0, 7], Cell::Decimal("7"));
    }

    #[test]
    fn text() {
        check(Form::Text, "Müller ".as_bytes(), Cell::Text("Müller "));
        check(Form::Padded, b"M1   ", Cell::Text("M1"));
        check(Form::Text, &[0xfc], Cell::Bad("0xfc at 0"));
        check(Form::Uuid, &[0x3f; 16], Cell::Text("3f3f3f3f-3f3f-3f3f-3f3f-3f3f3f3f3f3f"));
        check(Form::BitString, &[0, 0, 0, 3, 0b1010_0000], Cell::Text("101"));
        check(Form::Json, b"{}", Cell::Json("{}"));
        check(Form::Jsonb, b"\x01{}", Cell::Json("{}"));
    }

    #[test]
    fn times() {
        let micros = |micros: i64| micros.to_be_bytes();
        check(Form::Date, &(-1_i32).to_be_bytes(), Cell::Date(EPOCH_DAYS - 1));
        check(Form::Time, &micros(1), Cell::Time(1_000));
        check(Form::Timestamp, &micros(-1), Cell::Civil { secs: EPOCH_SECS - 1, nanos: 999_999_000 });
        check(Form::TimestampWithZone, &micros(0), Cell::Instant { secs: EPOCH_SECS, nanos: 0 });
        check(Form::Date, &i32::MAX.to_be_bytes(), Cell::Bad("infinite"));
        check(Form::Date, &(i32::MAX - 1).to_be_bytes(), Cell::Bad("9999"));
        check(Form::TimestampWithZone, &micros(i64::MAX - 1), Cell::Bad("9999"));
        check(Form::Timestamp, &micros(i64::MIN), Cell::Bad("infinite"));
        let interval = |micros: i64, days: i32, months: i32| {
            [&micros.to_be_bytes()[..], &days.to_be_bytes(), &months.to_be_bytes()].concat()
        };
        check(Form::Interval, &interval(-1, 2, 0), Cell::Time(2 * 86_400_000_000_000 - 1_000));
        check(Form::Interval, &interval(0, 0, 1), Cell::Bad("months"));
        let time_with_zone = [&micros(3_600_000_000 + 500)[..], &(-7_200_i32).to_be_bytes()].concat();
        check(Form::TimeWithZone, &time_with_zone, Cell::Text("01:00:00.000500+02:00"));
    }

    #[test]
    fn the_contract_says_what_is_decoded() {
        for (oid, name, form) in BUILT_IN {
            let rules: Vec<&TypeRule> = TYPES.iter().filter(|rule| rule.types.contains(name)).collect();
            assert_eq!(rules.len(), 1, "{name} stands in {} rules", rules.len());
            assert_eq!(rules[0].kind, form.kind(), "{name}");
            assert_eq!(rules[0].note.contains("trailing blanks"), *form == Form::Padded, "{name}");
            assert_eq!(Form::of(&PgTypeInfo::with_oid(sqlx::postgres::types::Oid(*oid))), *form, "{name}");
        }
        for name in TYPES.iter().flat_map(|rule| rule.types) {
            let is_built_in = BUILT_IN.iter().any(|(_, known, _)| known == name);
            assert!(is_built_in || *name == "citext" || OTHER.contains(name), "{name} is not decoded");
        }
        assert_eq!(Form::Other.kind(), TypeRule::find(TYPES, OTHER[0]).unwrap().kind);
    }

    const FORMS: [Form; 23] = [
        Form::Bool,
        Form::Int2,
        Form::Int4,
        Form::Int8,
        Form::Oid,
        Form::Float4,
        Form::Float8,
        Form::Numeric,
        Form::Text,
        Form::Padded,
        Form::Bytes,
        Form::Date,
        Form::Time,
        Form::TimeWithZone,
        Form::Timestamp,
        Form::TimestampWithZone,
        Form::Interval,
        Form::Json,
        Form::Jsonb,
        Form::Uuid,
        Form::BitString,
        Form::Money,
        Form::Other,
    ];

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let columns: Columns =
                [Column { name: "c".to_owned(), kind: Kind::Any, source_type: "t".to_owned() }].into();
            let mut batch = RowBatch::new();
            batch.reset(&columns);
            for form in FORMS {
                push(form, &bytes, &columns[0], &mut batch, &mut String::new());
            }
            prop_assert_eq!(batch.len(), FORMS.len());
        }
    }

    #[test]
    fn what_is_not_carried_says_why() {
        check(Form::Int4, &[1], Cell::Bad("1 bytes"));
        check(Form::Money, &[0; 8], Cell::Bad("::numeric"));
        check(Form::Other, &[0; 8], Cell::Bad("::text"));
        check(Form::Jsonb, b"\x02{}", Cell::Bad("3 bytes"));
        check(Form::BitString, &[0, 0, 1, 0, 0], Cell::Bad("5 bytes"));
    }
}
