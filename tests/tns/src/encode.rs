//! Values as a row has them.

use engine_standin::Value;

use crate::types::{Charset, Kind, Type};
use crate::{moment, number};

/// A value of a column, ready to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// No value.
    Null,
    /// Bytes of the type's form.
    Bytes(Vec<u8>),
    /// Text of a ROWID.
    Rowid(String),
}

/// A value that its column cannot have.
#[derive(Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The value as text.
    pub value: String,
}

/// A value in the form of its column.
pub fn cell(column: &Type, value: &Value) -> Result<Cell, Misfit> {
    let misfit = || Misfit { value: format!("{value:?}") };
    if matches!(value, Value::Null) || matches!(value, Value::Text(text) if text.is_empty()) {
        return Ok(Cell::Null);
    }
    let bytes = match column.kind {
        Kind::Varchar | Kind::Char | Kind::Long | Kind::Clob => text(column.charset, value),
        Kind::Raw | Kind::LongRaw | Kind::Blob => match value {
            Value::Bytes(bytes) => Some(bytes.clone()),
            _ => None,
        },
        Kind::Number => number::encode(&plain(value).ok_or_else(misfit)?),
        Kind::BinaryFloat => float(value).map(|value| ordered(&(value as f32).to_be_bytes())),
        Kind::BinaryDouble => float(value).map(|value| ordered(&value.to_be_bytes())),
        Kind::Date => plain(value).and_then(|text| moment::encode_date(&text)),
        Kind::Timestamp | Kind::TimestampLocal => plain(value).and_then(|text| moment::encode_timestamp(&text)),
        Kind::TimestampZoned => plain(value).and_then(|text| moment::encode_zoned(&text)),
        Kind::Interval => plain(value).and_then(|text| moment::encode_interval(&text)),
        Kind::Boolean => match value {
            Value::Int(0) => Some(vec![0]),
            Value::Int(_) => Some(vec![1, 1]),
            _ => None,
        },
        Kind::Rowid => return plain(value).map(Cell::Rowid).ok_or_else(misfit),
    };
    match bytes {
        Some(bytes) if bytes.is_empty() => Ok(Cell::Null),
        Some(bytes) => Ok(Cell::Bytes(bytes)),
        None => Err(misfit()),
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Int(value) => Some(value.to_string()),
        Value::Float(value) => Some(value.to_string()),
        Value::Text(text) => Some(text.clone()),
        Value::Null | Value::Bytes(_) => None,
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(value) => Some(*value),
        Value::Int(value) => Some(*value as f64),
        Value::Text(text) => text.trim().parse().ok(),
        Value::Null | Value::Bytes(_) => None,
    }
}

fn text(charset: Charset, value: &Value) -> Option<Vec<u8>> {
    if let Value::Bytes(bytes) = value {
        return Some(bytes.clone());
    }
    let text = plain(value)?;
    Some(match charset {
        Charset::National => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        Charset::Database | Charset::None => text.into_bytes(),
    })
}

/// Bytes of a binary float so that they sort as the numbers do.
fn ordered(bytes: &[u8]) -> Vec<u8> {
    if bytes[0] & 0x80 == 0 {
        let mut out = bytes.to_vec();
        out[0] |= 0x80;
        out
    } else {
        bytes.iter().map(|byte| !byte).collect()
    }
}

/// The bytes of a binary float of bytes that sort.
pub fn unordered(bytes: &[u8]) -> Vec<u8> {
    if bytes.first().is_some_and(|first| first & 0x80 != 0) {
        let mut out = bytes.to_vec();
        out[0] &= 0x7f;
        out
    } else {
        bytes.iter().map(|byte| !byte).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_form_of_their_column() {
        for (declared, value, expected) in [
            ("VARCHAR2(9)", Value::Text("é".to_owned()), Cell::Bytes(vec![0xC3, 0xA9])),
            ("VARCHAR2(9)", Value::Bytes(vec![0xE9]), Cell::Bytes(vec![0xE9])),
            ("NVARCHAR2(9)", Value::Text("é".to_owned()), Cell::Bytes(vec![0, 0xE9])),
            ("VARCHAR2(9)", Value::Text(String::new()), Cell::Null),
            ("NUMBER", Value::Int(1), Cell::Bytes(vec![193, 2])),
            ("NUMBER", Value::Text("-5".to_owned()), Cell::Bytes(vec![62, 96, 102])),
            ("NUMBER", Value::Float(0.1), Cell::Bytes(vec![192, 11])),
            ("BINARY_FLOAT", Value::Float(1.5), Cell::Bytes(vec![0xBF, 0xC0, 0, 0])),
            ("BINARY_DOUBLE", Value::Float(-1.0), Cell::Bytes(vec![0x40, 0x0F, 255, 255, 255, 255, 255, 255])),
            ("RAW(3)", Value::Bytes(vec![1, 2]), Cell::Bytes(vec![1, 2])),
            ("BOOLEAN", Value::Int(1), Cell::Bytes(vec![1, 1])),
            ("DATE", Value::Null, Cell::Null),
        ] {
            let column = Type::parse(declared).unwrap();
            assert_eq!(cell(&column, &value), Ok(expected), "{declared} {value:?}");
        }
    }

    #[test]
    fn a_value_of_another_type_is_a_misfit() {
        for (declared, value) in
            [("NUMBER", Value::Text("x".to_owned())), ("DATE", Value::Int(1)), ("RAW(1)", Value::Text("x".to_owned()))]
        {
            assert!(cell(&Type::parse(declared).unwrap(), &value).is_err(), "{declared}");
        }
    }

    #[test]
    fn a_float_comes_back() {
        for value in [0.0, 1.5, -1.5, f64::MAX, f64::NEG_INFINITY] {
            let bytes = unordered(&ordered(&value.to_be_bytes()));
            assert_eq!(f64::from_be_bytes(bytes.try_into().unwrap()), value);
        }
    }
}
