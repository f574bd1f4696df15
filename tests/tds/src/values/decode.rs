//! The value of a parameter, from its bytes.

use engine_standin::Value;

use super::content::{MONEY_SCALE, mix, ticks_of_digit, time_bytes};
use super::encode::{Frame, frame};
use super::moment::{
    DAYS_MAX, DAYS_TO_1900, Moment, TICKS_PER_DAY, TICKS_PER_MINUTE, TICKS_PER_SECOND, date_text, time_text,
};
use super::{decimal, variant};
use crate::reader::{Malformed, Reader, utf16};
use crate::types::{FRACTION_DIGITS_MAX, PRECISION_MAX, Shape, Type};

/// Milliseconds and 1/300 seconds of a second.
const PER_SECOND: (u64, u64) = (1000, 300);
/// A long value whose length is not known before.
const LENGTH_UNKNOWN: u64 = 0xffff_ffff_ffff_fffe;

/// Reads a value of that type.
pub(crate) fn read_value(reader: &mut Reader<'_>, shape: &Shape) -> Result<Value, Malformed> {
    let what = "a value";
    let bytes = match frame(shape) {
        Frame::Fixed(0) => return Ok(Value::Null),
        Frame::Fixed(size) => reader.bytes(usize::from(size), what)?,
        Frame::Short => match reader.u8(what)? {
            0 => return Ok(Value::Null),
            length => reader.bytes(usize::from(length), what)?,
        },
        Frame::Long => match reader.u16(what)? {
            u16::MAX => return Ok(Value::Null),
            length => reader.bytes(usize::from(length), what)?,
        },
        // A parameter has no pointer.
        Frame::Pointer => match reader.u32(what)? {
            u32::MAX => return Ok(Value::Null),
            length => reader.bytes(length as usize, what)?,
        },
        Frame::Pieces => {
            let Some(whole) = pieces(reader)? else { return Ok(Value::Null) };
            return value_of(&shape.kind, &whole);
        }
        Frame::Variant => match reader.u32(what)? {
            0 => return Ok(Value::Null),
            length => return variant::decode(reader.bytes(length as usize, what)?),
        },
    };
    value_of(&shape.kind, bytes)
}

fn pieces(reader: &mut Reader<'_>) -> Result<Option<Vec<u8>>, Malformed> {
    let said = reader.u64("a long value")?;
    if said == u64::MAX {
        return Ok(None);
    }
    let mut whole = Vec::new();
    loop {
        let length = reader.u32("a piece of a long value")?;
        if length == 0 {
            break;
        }
        whole.extend_from_slice(reader.bytes(length as usize, "a piece of a long value")?);
    }
    if said != LENGTH_UNKNOWN && said != whole.len() as u64 {
        return Err(Malformed::wrong("the pieces of a value are not as long as it was said to be"));
    }
    Ok(Some(whole))
}

/// A value from its bytes without a length.
pub(super) fn value_of(kind: &Type, bytes: &[u8]) -> Result<Value, Malformed> {
    let what = "a value";
    let mut reader = Reader::new(bytes);
    let value = match kind {
        Type::Null => Value::Null,
        Type::Bit | Type::TinyInt => Value::Int(i64::from(reader.u8(what)?)),
        Type::SmallInt => Value::Int(i64::from(i16::from_le_bytes(reader.array(what)?))),
        Type::Int => Value::Int(i64::from(i32::from_le_bytes(reader.array(what)?))),
        Type::BigInt => Value::Int(i64::from_le_bytes(reader.array(what)?)),
        Type::Real => Value::Float(f64::from(f32::from_le_bytes(reader.array(what)?))),
        Type::Float => Value::Float(f64::from_le_bytes(reader.array(what)?)),
        Type::SmallMoney => money(i64::from(i32::from_le_bytes(reader.array(what)?))),
        Type::Money => money(i64::from_le_bytes(reader.array(what)?).rotate_left(32)),
        Type::Decimal { scale, .. } | Type::Numeric { scale, .. } => {
            let sign = reader.u8(what)?;
            let magnitude = reader.rest();
            let mut units = [0; 16];
            units.get_mut(..magnitude.len()).ok_or(Malformed::Short(what))?.copy_from_slice(magnitude);
            Value::Text(decimal::text(sign == 0, u128::from_le_bytes(units), (*scale).min(PRECISION_MAX)))
        }
        Type::Date => Value::Text(date_text(days(&mut reader)?)),
        Type::SmallDateTime => {
            let days = i64::from(reader.u16(what)?);
            let ticks = u64::from(reader.u16(what)?) * TICKS_PER_MINUTE;
            text_of(days + DAYS_TO_1900, ticks)?
        }
        Type::DateTime => {
            let days = i64::from(i32::from_le_bytes(reader.array(what)?));
            let counted = u64::from(reader.u32(what)?);
            let (milliseconds, counts) = PER_SECOND;
            let rounded = (counted * milliseconds + counts / 2) / counts;
            text_of(days + DAYS_TO_1900, rounded * (TICKS_PER_SECOND / milliseconds))?
        }
        Type::Time(digits) => Value::Text(time_text(ticks(&mut reader, *digits)?)),
        Type::DateTime2(digits) => {
            let ticks = ticks(&mut reader, *digits)?;
            text_of(days(&mut reader)?, ticks)?
        }
        Type::DateTimeOffset(digits) => date_time_offset(&mut reader, *digits)?,
        Type::Char(_, collation) | Type::VarChar(_, collation) | Type::Text(collation) => {
            match collation.code_page().decode(bytes) {
                Some(text) => Value::Text(text),
                None => Value::Bytes(bytes.to_vec()),
            }
        }
        Type::NChar(..) | Type::NVarChar(..) | Type::NText(_) | Type::Xml => Value::Text(utf16(bytes)),
        Type::Binary(_) | Type::VarBinary(_) | Type::Image | Type::RowVersion | Type::Udt(_) => {
            Value::Bytes(bytes.to_vec())
        }
        Type::UniqueIdentifier => unique(reader.array(what)?),
        Type::Variant => return Err(Malformed::wrong("a variant within a variant")),
    };
    Ok(value)
}

fn money(units: i64) -> Value {
    Value::Text(decimal::text(units < 0, u128::from(units.unsigned_abs()), MONEY_SCALE))
}

fn days(reader: &mut Reader<'_>) -> Result<i64, Malformed> {
    let [a, b, c] = reader.array("a date")?;
    let days = i64::from(u32::from_le_bytes([a, b, c, 0]));
    if days > DAYS_MAX { Err(Malformed::wrong("a date after the year 9999")) } else { Ok(days) }
}

fn ticks(reader: &mut Reader<'_>, digits: u8) -> Result<u64, Malformed> {
    if digits > FRACTION_DIGITS_MAX {
        return Err(Malformed::wrong(format!("no fraction has {digits} digits")));
    }
    let mut counted = [0; 8];
    let bytes = time_bytes(digits);
    counted[..bytes].copy_from_slice(reader.bytes(bytes, "a time")?);
    let ticks = u64::from_le_bytes(counted) * ticks_of_digit(digits);
    if ticks >= TICKS_PER_DAY { Err(Malformed::wrong("a time after midnight")) } else { Ok(ticks) }
}

fn text_of(days: i64, ticks: u64) -> Result<Value, Malformed> {
    if !(0..=DAYS_MAX).contains(&days) || ticks >= TICKS_PER_DAY {
        return Err(Malformed::wrong("a moment that no calendar has"));
    }
    Ok(Value::Text(Moment { days, ticks }.text()))
}

fn date_time_offset(reader: &mut Reader<'_>, digits: u8) -> Result<Value, Malformed> {
    let ticks = ticks(reader, digits)?;
    let utc = Moment { days: days(reader)?, ticks };
    let minutes = i16::from_le_bytes(reader.array("an offset")?);
    let local = utc
        .moved(i64::from(minutes) * TICKS_PER_MINUTE as i64)
        .ok_or_else(|| Malformed::wrong("a moment that no calendar has"))?;
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours, minutes) = (minutes.unsigned_abs() / 60, minutes.unsigned_abs() % 60);
    Ok(Value::Text(format!("{} {sign}{hours:02}:{minutes:02}", local.text())))
}

fn unique(mut bytes: [u8; 16]) -> Value {
    mix(&mut bytes);
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let groups = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Value::Text(groups.join("-"))
}
