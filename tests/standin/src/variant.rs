//! Values of a `sql_variant`, which have a type of their own.
//!
//! Inside they are one text with marks in it, so that SQLite can keep them. Outside their type stands in front of them.

use crate::Value;
use crate::convert::{hex, unhex};

/// Sets the parts of a value apart; no text of a client begins with it.
const MARK: char = '\u{2}';

/// A value together with its type.
pub(crate) fn wrap(declared: &str, value: &Value) -> Value {
    let (kind, shown) = match value {
        Value::Null => return Value::Null,
        Value::Int(whole) => ('i', whole.to_string()),
        Value::Float(float) => ('f', format!("{float:?}")),
        Value::Bytes(bytes) => ('b', hex(bytes)),
        Value::Text(text) => ('t', text.clone()),
    };
    Value::Text(format!("{MARK}{declared}{MARK}{kind}{shown}"))
}

/// The type and the value of what [`wrap`] made.
pub(crate) fn open(value: &Value) -> Option<(String, Value)> {
    let Value::Text(text) = value else { return None };
    let (declared, rest) = text.strip_prefix(MARK)?.split_once(MARK)?;
    let shown = rest.get(1..)?;
    let value = match rest.chars().next()? {
        'i' => Value::Int(shown.parse().ok()?),
        'f' => Value::Float(shown.parse().ok()?),
        'b' => Value::Bytes(unhex(shown)?),
        _ => Value::Text(shown.to_owned()),
    };
    Some((declared.to_owned(), value))
}

/// The form of the seam: `(decimal(10,2)) 12.50`.
pub(crate) fn outside(value: Value) -> Value {
    let Some((declared, own)) = open(&value) else { return value };
    match own {
        Value::Bytes(_) | Value::Null => own,
        Value::Int(whole) => Value::Text(format!("({declared}) {whole}")),
        Value::Float(float) => Value::Text(format!("({declared}) {float:?}")),
        Value::Text(text) => Value::Text(format!("({declared}) {text}")),
    }
}

/// Reads the form of the seam.
pub(crate) fn inside(value: &Value) -> Value {
    let Value::Text(text) = value else {
        let declared = match value {
            Value::Int(_) => "bigint",
            Value::Float(_) => "float",
            _ => "varbinary(8000)",
        };
        return wrap(declared, value);
    };
    match text.strip_prefix('(').and_then(|rest| rest.split_once(") ")) {
        Some((declared, own)) => match (declared, own.parse()) {
            ("bit" | "tinyint" | "smallint" | "int" | "bigint", Ok(whole)) => wrap(declared, &Value::Int(whole)),
            _ => wrap(declared, &Value::Text(own.to_owned())),
        },
        None => wrap("nvarchar(4000)", value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_its_own_type() {
        for (declared, value, shown) in [
            ("smallint", Value::Int(7), "(smallint) 7"),
            ("decimal(10,2)", Value::Text("12.50".to_owned()), "(decimal(10,2)) 12.50"),
        ] {
            let wrapped = wrap(declared, &value);
            assert_eq!(open(&wrapped), Some((declared.to_owned(), value)));
            assert_eq!(outside(wrapped.clone()), Value::Text(shown.to_owned()));
            assert_eq!(inside(&Value::Text(shown.to_owned())), wrapped);
        }
    }
}
