//! Values of `sql_variant`, which carry their type with them.

use engine_standin::Value;

use super::Unfit;
use super::content::content;
use super::decode::value_of;
use crate::collation::Collation;
use crate::reader::{Malformed, Reader};
use crate::types::{Length, Shape, Type, wire};
use crate::writer::Put;

/// The type of a value. Text may name it in front, as in `(decimal(10,2)) 12.50`; without that it is national text.
fn typed(value: &Value) -> (Type, Value) {
    match value {
        Value::Null => (Type::Null, Value::Null),
        Value::Int(number) if i32::try_from(*number).is_ok() => (Type::Int, value.clone()),
        Value::Int(_) => (Type::BigInt, value.clone()),
        Value::Float(_) => (Type::Float, value.clone()),
        Value::Bytes(bytes) => (Type::VarBinary(Length::Of(bytes.len() as u16)), value.clone()),
        Value::Text(text) => {
            let named = text.strip_prefix('(').and_then(|rest| rest.split_once(") "));
            if let Some((kind, rest)) = named.and_then(|(name, rest)| Some((Type::parse(name)?, rest))) {
                return (kind, Value::Text(rest.to_owned()));
            }
            (Type::NVarChar(Length::Of(4000), Collation::default()), value.clone())
        }
    }
}

/// Type, properties and bytes of a value that is not null.
pub(super) fn encode(value: &Value) -> Result<Vec<u8>, Unfit> {
    let (kind, value) = typed(value);
    let bytes = content(&kind, &value)?;
    let mut properties = Vec::new();
    match &kind {
        Type::Decimal { precision, scale } | Type::Numeric { precision, scale } => {
            properties.put_bytes(&[*precision, *scale]);
        }
        Type::Time(digits) | Type::DateTime2(digits) | Type::DateTimeOffset(digits) => properties.put_u8(*digits),
        Type::Char(_, collation)
        | Type::VarChar(_, collation)
        | Type::NChar(_, collation)
        | Type::NVarChar(_, collation) => {
            properties.put_bytes(&collation.bytes());
            properties.put_u16(bytes.len() as u16);
        }
        Type::Binary(_) | Type::VarBinary(_) => properties.put_u16(bytes.len() as u16),
        _ => {}
    }
    let mut out = vec![Shape { kind, nullable: false }.number(), properties.len() as u8];
    out.put_bytes(&properties);
    out.put_bytes(&bytes);
    Ok(out)
}

/// Reads what [`encode`] writes.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, Malformed> {
    let what = "a variant";
    let mut reader = Reader::new(bytes);
    let number = reader.u8(what)?;
    let length = reader.u8(what)?;
    let mut properties = Reader::new(reader.bytes(usize::from(length), what)?);
    let kind = match number {
        wire::DECIMAL | wire::NUMERIC => {
            let [precision, scale] = properties.array(what)?;
            Type::Decimal { precision, scale }
        }
        wire::TIME => Type::Time(properties.u8(what)?),
        wire::DATE_TIME_2 => Type::DateTime2(properties.u8(what)?),
        wire::DATE_TIME_OFFSET => Type::DateTimeOffset(properties.u8(what)?),
        wire::CHAR | wire::VAR_CHAR => Type::VarChar(Length::Max, Collation::from_bytes(properties.array(what)?)),
        wire::N_CHAR | wire::N_VAR_CHAR => Type::NVarChar(Length::Max, Collation::from_bytes(properties.array(what)?)),
        wire::BINARY | wire::VAR_BINARY => Type::VarBinary(Length::Max),
        wire::DATE => Type::Date,
        wire::GUID => Type::UniqueIdentifier,
        number => crate::types::read_info(&mut Reader::new(&[number]))?.kind,
    };
    value_of(&kind, reader.rest())
}
