//! Values that a client binds.

use engine_standin::{Parameter, Value};

use crate::broken::Broken;
use crate::encode::unordered;
use crate::lob::Lobs;
use crate::take::Take;
use crate::types::{Charset, Kind};
use crate::{moment, number};

/// Most binds of a statement, and most columns that a client defines.
pub const BINDS_MAX: usize = 65_535;
/// Field version from which a type carries the identity of its column.
const WITH_COLUMN_ID: u8 = 8;
/// Says that a bind is a PL/SQL table.
const ARRAY: u8 = 0x40;
/// The first byte of a boolean that is null.
const ESCAPE: u8 = 253;

/// The type that a client declares for a bind, or wants for a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindType {
    /// What it is; `None` where this server does not know it.
    pub kind: Option<Kind>,
    /// The character set of its text.
    pub charset: Charset,
    /// Most bytes of a value.
    pub bytes: u32,
    /// Whether it is a PL/SQL table.
    pub shape: Shape,
}

/// Whether a bind is one value or many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One value.
    Single,
    /// A PL/SQL table.
    Table,
}

/// Reads the types of binds or of defines.
pub fn take_types(take: &mut Take<'_>, count: usize, fields: u8) -> Result<Vec<BindType>, Broken> {
    (0..count)
        .map(|_| {
            let kind = Kind::of_number(take.u8()?);
            let flags = take.u8()?;
            take.raw(2)?;
            let bytes = take.u32()?;
            take.number()?;
            take.number()?;
            take.counted()?;
            take.number()?;
            take.number()?;
            let charset = Charset::of_form(take.u8()?);
            take.number()?;
            if fields >= WITH_COLUMN_ID {
                take.number()?;
            }
            let shape = if flags & ARRAY == 0 { Shape::Single } else { Shape::Table };
            Ok(BindType { kind, charset, bytes, shape })
        })
        .collect()
}

/// A value as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// No value.
    Null,
    /// Bytes of the type's form.
    Bytes(Vec<u8>),
    /// Where a LOB is kept.
    Locator(Vec<u8>),
}

/// Reads a row of values. Long ones of SQL come last.
pub fn take_row(take: &mut Take<'_>, types: &[BindType], long_from: Option<u32>) -> Result<Vec<Raw>, Broken> {
    let is_late = |of: &BindType| long_from.is_some_and(|most| of.bytes > most);
    let mut row = vec![Raw::Null; types.len()];
    for late in [false, true] {
        for (index, of) in types.iter().enumerate() {
            if is_late(of) == late {
                row[index] = take_value(take, of)?;
            }
        }
    }
    Ok(row)
}

fn take_value(take: &mut Take<'_>, of: &BindType) -> Result<Raw, Broken> {
    let Some(kind) = of.kind.filter(|_| of.shape == Shape::Single) else {
        return Err(Broken::Malformed("a bind of a type that is not known here"));
    };
    match kind {
        Kind::Clob | Kind::Blob => {
            let locator = take.counted()?;
            Ok(if locator.is_empty() { Raw::Null } else { Raw::Locator(locator) })
        }
        Kind::Boolean => match take.u8()? {
            ESCAPE => take.u8().map(|_| Raw::Null),
            count => Ok(Raw::Bytes(take.raw(usize::from(count))?.to_vec())),
        },
        _ => Ok(take.bytes()?.map_or(Raw::Null, Raw::Bytes)),
    }
}

/// A value with its type, for the backend. `None` where the bytes are none of their type.
pub fn parameter(name: &str, of: &BindType, raw: &Raw, lobs: &Lobs) -> Option<Parameter> {
    let kind = of.kind?;
    let value = match raw {
        Raw::Null => Value::Null,
        Raw::Bytes(bytes) => value(kind, of.charset, bytes)?,
        Raw::Locator(locator) => lobs.value(locator)?,
    };
    Some(Parameter { name: name.to_owned(), declared: declared(of, kind), value })
}

fn value(kind: Kind, charset: Charset, bytes: &[u8]) -> Option<Value> {
    Some(match kind {
        Kind::Varchar | Kind::Char | Kind::Long | Kind::Rowid | Kind::Clob => Value::Text(text(charset, bytes)),
        Kind::Raw | Kind::LongRaw | Kind::Blob => Value::Bytes(bytes.to_vec()),
        Kind::Number => {
            let text = number::decode(bytes)?;
            text.parse().map_or(Value::Text(text), Value::Int)
        }
        Kind::BinaryFloat => Value::Float(f32::from_be_bytes(unordered(bytes).try_into().ok()?).into()),
        Kind::BinaryDouble => Value::Float(f64::from_be_bytes(unordered(bytes).try_into().ok()?)),
        Kind::Date | Kind::Timestamp | Kind::TimestampZoned | Kind::TimestampLocal => {
            Value::Text(moment::decode(bytes)?)
        }
        Kind::Interval => Value::Text(moment::decode_interval(bytes)?),
        Kind::Boolean => Value::Int(i64::from(bytes.last().copied() == Some(1))),
    })
}

/// Text of a character set. What is no text of it is replaced.
pub fn text(charset: Charset, bytes: &[u8]) -> String {
    match charset {
        Charset::National => {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        Charset::Database | Charset::None => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn declared(of: &BindType, kind: Kind) -> String {
    let national = of.charset == Charset::National;
    let bytes = of.bytes;
    match kind {
        Kind::Varchar | Kind::Rowid if national => format!("NVARCHAR2({bytes})"),
        Kind::Varchar | Kind::Rowid => format!("VARCHAR2({bytes})"),
        Kind::Char if national => format!("NCHAR({bytes})"),
        Kind::Char => format!("CHAR({bytes})"),
        Kind::Raw => format!("RAW({bytes})"),
        Kind::Clob if national => "NCLOB".to_owned(),
        Kind::Number => "NUMBER".to_owned(),
        Kind::Long => "LONG".to_owned(),
        Kind::LongRaw => "LONG RAW".to_owned(),
        Kind::Date => "DATE".to_owned(),
        Kind::BinaryFloat => "BINARY_FLOAT".to_owned(),
        Kind::BinaryDouble => "BINARY_DOUBLE".to_owned(),
        Kind::Clob => "CLOB".to_owned(),
        Kind::Blob => "BLOB".to_owned(),
        Kind::Timestamp => "TIMESTAMP(9)".to_owned(),
        Kind::TimestampZoned => "TIMESTAMP(9) WITH TIME ZONE".to_owned(),
        Kind::TimestampLocal => "TIMESTAMP(9) WITH LOCAL TIME ZONE".to_owned(),
        Kind::Interval => "INTERVAL DAY(9) TO SECOND(9)".to_owned(),
        Kind::Boolean => "BOOLEAN".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::take::NoMore;

    fn of(kind: Kind, charset: Charset, bytes: u32) -> BindType {
        BindType { kind: Some(kind), charset, bytes, shape: Shape::Single }
    }

    #[test]
    fn values_come_with_the_type_that_the_client_declared() {
        let lobs = Lobs::default();
        for (of, bytes, declared, value) in [
            (of(Kind::Varchar, Charset::Database, 4), &b"a"[..], "VARCHAR2(4)", Value::Text("a".to_owned())),
            (of(Kind::Varchar, Charset::National, 4), &[0, 0xE9], "NVARCHAR2(4)", Value::Text("é".to_owned())),
            (of(Kind::Number, Charset::None, 22), &[193, 2], "NUMBER", Value::Int(1)),
            (of(Kind::Number, Charset::None, 22), &[192, 11], "NUMBER", Value::Text("0.1".to_owned())),
            (
                of(Kind::BinaryDouble, Charset::None, 8),
                &[0xBF, 0xF8, 0, 0, 0, 0, 0, 0],
                "BINARY_DOUBLE",
                Value::Float(1.5),
            ),
            (
                of(Kind::Date, Charset::None, 7),
                &[120, 125, 3, 30, 2, 31, 1],
                "DATE",
                Value::Text("2025-03-30 01:30:00".to_owned()),
            ),
        ] {
            let expected = Parameter { name: "P".to_owned(), declared: declared.to_owned(), value };
            assert_eq!(parameter("P", &of, &Raw::Bytes(bytes.to_vec()), &lobs), Some(expected));
        }
    }

    #[test]
    fn long_values_of_sql_come_last() {
        let types = [of(Kind::Varchar, Charset::Database, 9_000), of(Kind::Number, Charset::None, 22)];
        let wire = [2, 193, 2, 1, b'x'];
        let mut none = NoMore;
        let row = take_row(&mut Take::new(wire.to_vec(), &mut none), &types, Some(4_000)).ok();
        assert_eq!(row, Some(vec![Raw::Bytes(b"x".to_vec()), Raw::Bytes(vec![193, 2])]));
    }

    proptest! {
        #[test]
        fn no_types_make_it_panic(bytes: Vec<u8>, count in 0usize..9, fields in 6u8..25) {
            let mut none = NoMore;
            drop(take_types(&mut Take::new(bytes, &mut none), count, fields));
        }

        #[test]
        fn no_value_makes_it_panic(bytes: Vec<u8>, number: u8, form: u8) {
            let of = BindType {
                kind: Kind::of_number(number),
                charset: Charset::of_form(form),
                bytes: 1,
                shape: Shape::Single,
            };
            parameter("P", &of, &Raw::Bytes(bytes.clone()), &Lobs::default());
            let mut none = NoMore;
            drop(take_row(&mut Take::new(bytes, &mut none), &[of], None));
        }
    }
}
