//! The bytes of a value without its length.

use engine_standin::Value;

use super::moment::{DAYS_TO_1900, Moment, TICKS_PER_DAY, TICKS_PER_MINUTE, TICKS_PER_SECOND, parse_date, parse_time};
use super::{Unfit, decimal, moment};
use crate::types::{FRACTION_DIGITS_MAX, Length, Type};

/// 1/300 of a second, of which `datetime` counts.
const DATE_TIME_PER_SECOND: u64 = 300;
/// Digits behind the point of money.
pub(super) const MONEY_SCALE: u8 = 4;
/// Digits of money at most.
const MONEY_PRECISION: u8 = 19;

/// The bytes of a value that is not null. Of a variant there are none, as they depend on the value.
pub(super) fn content(kind: &Type, value: &Value) -> Result<Vec<u8>, Unfit> {
    let bytes = match kind {
        Type::Null | Type::Variant => None,
        Type::Bit => whole(value).map(|number| vec![u8::from(number != 0)]),
        Type::TinyInt => whole(value).and_then(|number| u8::try_from(number).ok()).map(|number| vec![number]),
        Type::SmallInt => {
            whole(value).and_then(|number| i16::try_from(number).ok()).map(|number| number.to_le_bytes().to_vec())
        }
        Type::Int => {
            whole(value).and_then(|number| i32::try_from(number).ok()).map(|number| number.to_le_bytes().to_vec())
        }
        Type::BigInt => whole(value).map(|number| number.to_le_bytes().to_vec()),
        Type::Real => float(value).map(|number| (number as f32).to_le_bytes().to_vec()),
        Type::Float => float(value).map(|number| number.to_le_bytes().to_vec()),
        Type::SmallMoney => {
            money(value).and_then(|units| i32::try_from(units).ok()).map(|units| units.to_le_bytes().to_vec())
        }
        // The upper half comes first.
        Type::Money => money(value).map(|units| units.rotate_left(32).to_le_bytes().to_vec()),
        Type::Decimal { precision, scale } | Type::Numeric { precision, scale } => exact(value, *precision, *scale),
        Type::Date => text(value).and_then(parse_date_of_any).map(|days| days.to_le_bytes()[..3].to_vec()),
        Type::SmallDateTime => moment_of(value).and_then(small_date_time),
        Type::DateTime => moment_of(value).and_then(date_time),
        Type::Time(digits) => text(value).and_then(parse_time).map(|ticks| time_of_day(ticks, *digits)),
        Type::DateTime2(digits) => moment_of(value).and_then(|moment| date_time_2(moment, *digits)),
        Type::DateTimeOffset(digits) => text(value).and_then(|text| date_time_offset(text, *digits)),
        Type::Char(length, collation) => {
            characters(value, |text| collation.code_page().encode(text)).and_then(|bytes| padded(bytes, *length, b" "))
        }
        Type::NChar(units, _) => characters(value, national).and_then(|bytes| padded(bytes, units * 2, &[b' ', 0])),
        Type::VarChar(length, collation) => {
            characters(value, |text| collation.code_page().encode(text)).and_then(|bytes| within(bytes, *length, 1))
        }
        Type::NVarChar(length, _) => characters(value, national).and_then(|bytes| within(bytes, *length, 2)),
        Type::Text(collation) => characters(value, |text| collation.code_page().encode(text)),
        Type::NText(_) | Type::Xml => characters(value, national),
        Type::Binary(length) => binary(value).and_then(|bytes| padded(bytes, *length, &[0])),
        Type::VarBinary(length) => binary(value).and_then(|bytes| within(bytes, *length, 1)),
        Type::Image | Type::Udt(_) => binary(value),
        Type::RowVersion => row_version(value),
        Type::UniqueIdentifier => text(value).and_then(unique),
    };
    bytes.ok_or_else(|| Unfit { value: format!("{value:?}"), kind: kind.to_string() })
}

fn text(value: &Value) -> Option<&str> {
    if let Value::Text(text) = value { Some(text.trim()) } else { None }
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        Value::Int(number) => Some(*number as f64),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Digits of a number, however it came.
fn digits(value: &Value) -> Option<String> {
    match value {
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Text(text) => Some(text.trim().to_owned()),
        _ => None,
    }
}

fn exact(value: &Value, precision: u8, scale: u8) -> Option<Vec<u8>> {
    let (negative, units) = decimal::parse(&digits(value)?, precision, scale)?;
    let mut bytes = vec![u8::from(!negative)];
    let size = usize::from(crate::types::decimal_bytes(precision)) - 1;
    bytes.extend_from_slice(&units.to_le_bytes()[..size]);
    Some(bytes)
}

fn money(value: &Value) -> Option<i64> {
    let (negative, units) = decimal::parse(&digits(value)?, MONEY_PRECISION, MONEY_SCALE)?;
    let units = i128::try_from(units).ok()?;
    i64::try_from(if negative { -units } else { units }).ok()
}

fn moment_of(value: &Value) -> Option<Moment> {
    Moment::parse(text(value)?)
}

fn parse_date_of_any(text: &str) -> Option<i64> {
    parse_date(text.split([' ', 'T']).next()?)
}

fn small_date_time(moment: Moment) -> Option<Vec<u8>> {
    let minutes = moment::rounded(moment.ticks, TICKS_PER_MINUTE) as i64;
    let days = u16::try_from(moment.days - DAYS_TO_1900 + minutes / 1440).ok()?;
    let minutes = u16::try_from(minutes % 1440).ok()?;
    Some([days.to_le_bytes(), minutes.to_le_bytes()].concat())
}

fn date_time(moment: Moment) -> Option<Vec<u8>> {
    let counted = moment::rounded(moment.ticks * DATE_TIME_PER_SECOND, TICKS_PER_SECOND);
    let per_day = TICKS_PER_DAY / TICKS_PER_SECOND * DATE_TIME_PER_SECOND;
    let days = i32::try_from(moment.days - DAYS_TO_1900 + (counted / per_day) as i64).ok()?;
    let counted = u32::try_from(counted % per_day).ok()?;
    Some([days.to_le_bytes(), counted.to_le_bytes()].concat())
}

/// Ticks of the last digit of a fraction.
pub(super) fn ticks_of_digit(digits: u8) -> u64 {
    10_u64.pow(u32::from(FRACTION_DIGITS_MAX.saturating_sub(digits)))
}

/// Bytes of a time with so many digits of a fraction.
pub(super) fn time_bytes(digits: u8) -> usize {
    match digits {
        0..=2 => 3,
        3..=4 => 4,
        _ => 5,
    }
}

/// A time that rounds up to the next day stays at the last moment of its own.
fn time_of_day(ticks: u64, digits: u8) -> Vec<u8> {
    let unit = ticks_of_digit(digits);
    let counted = moment::rounded(ticks, unit).min(TICKS_PER_DAY / unit - 1);
    counted.to_le_bytes()[..time_bytes(digits)].to_vec()
}

fn date_time_2(moment: Moment, digits: u8) -> Option<Vec<u8>> {
    let unit = ticks_of_digit(digits);
    let counted = moment::rounded(moment.ticks, unit);
    let per_day = TICKS_PER_DAY / unit;
    let days = moment.days + (counted / per_day) as i64;
    if days > moment::DAYS_MAX {
        return None;
    }
    let mut bytes = (counted % per_day).to_le_bytes()[..time_bytes(digits)].to_vec();
    bytes.extend_from_slice(&days.to_le_bytes()[..3]);
    Some(bytes)
}

/// The moment is sent in UTC, with the offset behind it.
fn date_time_offset(text: &str, digits: u8) -> Option<Vec<u8>> {
    let (local, minutes) = Moment::parse_with_offset(text)?;
    let utc = local.moved(-i64::from(minutes) * TICKS_PER_MINUTE as i64)?;
    let mut bytes = date_time_2(utc, digits)?;
    bytes.extend_from_slice(&minutes.to_le_bytes());
    Some(bytes)
}

/// Text in its encoding; bytes go out as they are, whether they are text or not.
fn characters(value: &Value, encode: impl Fn(&str) -> Vec<u8>) -> Option<Vec<u8>> {
    match value {
        Value::Text(text) => Some(encode(text)),
        Value::Bytes(bytes) => Some(bytes.clone()),
        Value::Int(_) | Value::Float(_) => digits(value).map(|text| encode(&text)),
        Value::Null => None,
    }
}

fn national(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn binary(value: &Value) -> Option<Vec<u8>> {
    if let Value::Bytes(bytes) = value { Some(bytes.clone()) } else { None }
}

/// A row version is eight bytes, the highest first.
fn row_version(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Int(number) => Some(number.to_be_bytes().to_vec()),
        _ => binary(value).and_then(|bytes| padded(bytes, 8, &[0])),
    }
}

fn padded(mut bytes: Vec<u8>, length: u16, filler: &[u8]) -> Option<Vec<u8>> {
    let length = usize::from(length);
    if bytes.len() > length {
        return None;
    }
    while bytes.len() + filler.len() <= length {
        bytes.extend_from_slice(filler);
    }
    Some(bytes)
}

fn within(bytes: Vec<u8>, length: Length, unit: usize) -> Option<Vec<u8>> {
    match length {
        Length::Of(length) if bytes.len() > usize::from(length) * unit => None,
        _ => Some(bytes),
    }
}

/// The first three groups are numbers, with their lowest byte first; the rest are bytes.
fn unique(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.chars().filter(|character| *character != '-').collect();
    if digits.len() != 32 || !digits.is_ascii() {
        return None;
    }
    let mut bytes: Vec<u8> =
        (0..16).map(|at| u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).ok()).collect::<Option<_>>()?;
    mix(&mut bytes);
    Some(bytes)
}

/// Turns the numbers of a unique identifier around, both ways.
pub(super) fn mix(bytes: &mut [u8]) {
    for group in [0..4, 4..6, 6..8] {
        if let Some(group) = bytes.get_mut(group) {
            group.reverse();
        }
    }
}
