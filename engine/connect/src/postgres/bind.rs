//! Bound values in the types that the server inferred for its placeholders, in binary form.
//!
//! A value is converted to the type its placeholder has, exactly or not at all: `"1000"` for an integer column is
//! 1000, a civil date-time for a `timestamptz` column is the instant it stands for. Nothing is rounded or cut, since
//! a bound that is moved loses rows without a word.

use std::str::FromStr;

use engine_spec::template::{Bind, BindValue};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SpanRound, Timestamp, Unit};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo, PgTypeKind, Postgres};
use sqlx::{Arguments as _, Encode, Type, TypeInfo as _};

use super::decode::{EPOCH_DAYS, EPOCH_SECS};
use super::numeric;
use crate::failure::Problem;
use crate::slots::SECOND_MICROS;

/// A value in the binary form of its placeholder's type; `None` is null.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Encoded {
    oid: Oid,
    bytes: Option<Vec<u8>>,
}

impl Type<Postgres> for Encoded {
    fn type_info() -> PgTypeInfo {
        // Never asked: every value says its own type through `produces`.
        PgTypeInfo::with_oid(Oid(TEXT))
    }
}

impl Encode<'_, Postgres> for Encoded {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        match &self.bytes {
            Some(bytes) => {
                buffer.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(self.oid))
    }
}

const TEXT: u32 = 25;

/// The arguments of a statement whose placeholders have these types.
pub(super) fn arguments(binds: &[Bind], types: &[PgTypeInfo]) -> Result<PgArguments, Problem> {
    Problem::check_count(types.len(), binds.len())?;
    let mut arguments = PgArguments::default();
    for (place, (bind, type_info)) in binds.iter().zip(types).enumerate() {
        let (oid, textual) = wire_type(type_info);
        let bytes = encode(&bind.value, oid, textual).map_err(|why| {
            let why = format!("the server asks for {} here, and {why}", type_info.name().to_lowercase());
            Problem::bind(bind, place + 1, &why)
        })?;
        arguments
            .add(Encoded { oid: Oid(oid), bytes })
            .map_err(|error| Problem::bind(bind, place + 1, &error.to_string()))?;
    }
    Ok(arguments)
}

/// The type to encode for, and whether its binary form is plain text.
fn wire_type(type_info: &PgTypeInfo) -> (u32, bool) {
    let oid = type_info.oid().map_or(TEXT, |oid| oid.0);
    match type_info.kind() {
        PgTypeKind::Domain(base) => wire_type(base),
        PgTypeKind::Enum(_) => (oid, true),
        PgTypeKind::Simple if type_info.name().eq_ignore_ascii_case("citext") => (oid, true),
        // "char", name, text, xml, unknown, bpchar, varchar, and json, which checks its text itself
        _ => (oid, matches!(oid, 18 | 19 | TEXT | 142 | 705 | 1042 | 1043 | 114)),
    }
}

fn encode(value: &BindValue, oid: u32, textual: bool) -> Result<Option<Vec<u8>>, String> {
    if textual {
        return as_text(value).map(|text| text.map(String::into_bytes));
    }
    let whole = || as_whole(value);
    let bytes = match (oid, value) {
        (_, BindValue::Null) => return Ok(None),
        (16, _) => vec![u8::from(as_bool(value)?)],
        (21, _) => fit::<i16>(whole()?)?.to_be_bytes().to_vec(),
        (23, _) => fit::<i32>(whole()?)?.to_be_bytes().to_vec(),
        (20, _) => whole()?.to_be_bytes().to_vec(),
        (26, _) => fit::<u32>(whole()?)?.to_be_bytes().to_vec(),
        (700, _) => (as_float(value)? as f32).to_be_bytes().to_vec(),
        (701, _) => as_float(value)?.to_be_bytes().to_vec(),
        (1700, _) => {
            as_digits(value).and_then(|digits| numeric::encode(&digits)).ok_or_else(|| is_no(value, "a number"))?
        }
        (17, BindValue::Bytes(bytes)) => bytes.clone(),
        (1082, _) => {
            let days = crate::slots::epoch_days_of(as_date(value)?) - EPOCH_DAYS;
            days.to_be_bytes().to_vec()
        }
        (1083, BindValue::Text(text)) => {
            let time: Time = parse(text, value, "a time of day")?;
            let since_midnight =
                time.since(Time::midnight()).and_then(|span| span.round(SpanRound::new().largest(Unit::Microsecond)));
            let micros = since_midnight.map_err(|error| error.to_string())?.get_microseconds();
            micros.to_be_bytes().to_vec()
        }
        (1114, _) => civil_micros(as_civil(value)?)?.to_be_bytes().to_vec(),
        (1184, _) => instant_micros(as_instant(value)?).to_be_bytes().to_vec(),
        (2950, BindValue::Text(text)) => uuid(text).ok_or_else(|| is_no(value, "a UUID"))?,
        (3802, BindValue::Text(text)) => [&[1], text.as_bytes()].concat(),
        _ => return Err(format!("engine cannot make one of {}", shown(value))),
    };
    Ok(Some(bytes))
}

fn is_no(value: &BindValue, wanted: &str) -> String {
    format!("{} is not {wanted}", shown(value))
}

/// The value, for messages. Parameters of a query are no secrets: `render` shows them.
fn shown(value: &BindValue) -> String {
    match as_text(value) {
        Ok(Some(text)) => format!("`{text}`"),
        Ok(None) => "null".to_owned(),
        Err(_) => "a value of bytes".to_owned(),
    }
}

fn as_text(value: &BindValue) -> Result<Option<String>, String> {
    Ok(Some(match value {
        BindValue::Null => return Ok(None),
        BindValue::Bool(truth) => truth.to_string(),
        BindValue::Int(number) => number.to_string(),
        BindValue::Float(number) => number.to_string(),
        BindValue::Decimal(digits) => digits.clone(),
        BindValue::Text(text) => text.clone(),
        BindValue::Bytes(_) => return Err("bytes are not text".to_owned()),
        BindValue::Date(date) => date.to_string(),
        BindValue::Civil { civil, .. } => civil.to_string().replacen('T', " ", 1),
        BindValue::Instant { instant, .. } => instant.to_string().replacen('T', " ", 1),
    }))
}

fn as_bool(value: &BindValue) -> Result<bool, String> {
    match value {
        BindValue::Bool(truth) => Ok(*truth),
        BindValue::Int(0) => Ok(false),
        BindValue::Int(1) => Ok(true),
        BindValue::Text(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "1" => Ok(true),
            "false" | "f" | "0" => Ok(false),
            _ => Err(is_no(value, "a truth value")),
        },
        _ => Err(is_no(value, "a truth value")),
    }
}

fn as_whole(value: &BindValue) -> Result<i64, String> {
    let wrong = || is_no(value, "a whole number");
    match value {
        BindValue::Int(number) => Ok(*number),
        BindValue::Text(text) | BindValue::Decimal(text) => text.parse().map_err(|_| wrong()),
        // Beyond 2^53 neighbouring whole numbers are one and the same float.
        BindValue::Float(number) if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 => {
            Ok(*number as i64)
        }
        _ => Err(wrong()),
    }
}

fn fit<T: TryFrom<i64>>(number: i64) -> Result<T, String> {
    T::try_from(number).map_err(|_| format!("`{number}` is out of its range"))
}

fn as_float(value: &BindValue) -> Result<f64, String> {
    match value {
        BindValue::Float(number) => Ok(*number),
        BindValue::Int(number) => Ok(*number as f64),
        BindValue::Text(text) | BindValue::Decimal(text) => parse(text, value, "a number"),
        _ => Err(is_no(value, "a number")),
    }
}

fn as_digits(value: &BindValue) -> Option<String> {
    match value {
        BindValue::Int(number) => Some(number.to_string()),
        BindValue::Float(number) if number.is_finite() => Some(number.to_string()),
        BindValue::Text(text) | BindValue::Decimal(text) => Some(text.clone()),
        _ => None,
    }
}

fn as_date(value: &BindValue) -> Result<Date, String> {
    match value {
        BindValue::Date(date) => Ok(*date),
        BindValue::Text(text) => parse(text, value, "a date"),
        BindValue::Civil { civil, .. } | BindValue::Instant { civil, .. } if civil.time() == Time::midnight() => {
            Ok(civil.date())
        }
        _ => Err(format!("{}; write `| date` in the template", is_no(value, "a date"))),
    }
}

fn as_civil(value: &BindValue) -> Result<DateTime, String> {
    match value {
        BindValue::Civil { civil, .. } | BindValue::Instant { civil, .. } => Ok(*civil),
        BindValue::Date(date) => Ok(date.to_datetime(Time::midnight())),
        BindValue::Text(text) => parse(text, value, "a date-time"),
        _ => Err(is_no(value, "a date-time")),
    }
}

fn as_instant(value: &BindValue) -> Result<Timestamp, String> {
    match value {
        BindValue::Civil { instant, .. } | BindValue::Instant { instant, .. } => Ok(*instant),
        BindValue::Text(text) => parse(text, value, "an instant with its offset"),
        BindValue::Date(_) => Err(format!("{}: a date has no zone; leave `| date` out", is_no(value, "an instant"))),
        _ => Err(is_no(value, "an instant")),
    }
}

fn parse<T: FromStr>(text: &str, value: &BindValue, wanted: &str) -> Result<T, String> {
    text.parse().map_err(|_| is_no(value, wanted))
}

fn civil_micros(civil: DateTime) -> Result<i64, String> {
    let as_utc = TimeZone::UTC.to_timestamp(civil).map_err(|error| error.to_string())?;
    Ok(instant_micros(as_utc))
}

fn instant_micros(instant: Timestamp) -> i64 {
    instant.as_microsecond() - EPOCH_SECS * SECOND_MICROS
}

fn uuid(text: &str) -> Option<Vec<u8>> {
    let hex: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
    if hex.len() != 32 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|value| value as u8);
    hex.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "a table of tests reads better without references")]
    fn check(value: BindValue, oid: u32, expected: Result<&[u8], &str>) {
        let seen = encode(&value, oid, false);
        match (&seen, expected) {
            (Ok(Some(bytes)), Ok(expected)) => assert_eq!(bytes, expected, "{value:?} for {oid}"),
            (Err(why), Err(part)) => assert!(why.contains(part), "{value:?} for {oid}: {why}"),
            _ => panic!("{value:?} for {oid} gave {seen:?}"),
        }
    }

    fn text(text: &str) -> BindValue {
        BindValue::Text(text.to_owned())
    }

    /// 01:30 in Berlin, half an hour before the clocks go forward.
    fn civil() -> BindValue {
        BindValue::Civil { civil: date(2025, 3, 30).at(1, 30, 0, 0), instant: "2025-03-30T00:30:00Z".parse().unwrap() }
    }

    #[test]
    fn numbers_are_exact_or_refused() {
        check(text("1000"), 23, Ok(&1000_i32.to_be_bytes()));
        check(text("1000"), 20, Ok(&1000_i64.to_be_bytes()));
        check(BindValue::Decimal("7".into()), 21, Ok(&[0, 7]));
        check(BindValue::Float(7.0), 21, Ok(&[0, 7]));
        check(BindValue::Float(7.5), 21, Err("`7.5` is not a whole number"));
        check(BindValue::Int(40_000), 21, Err("`40000` is out of its range"));
        check(text("10a"), 23, Err("`10a` is not a whole number"));
        check(BindValue::Int(1), 16, Ok(&[1]));
        check(BindValue::Int(2), 16, Err("not a truth value"));
        check(text("0.5"), 701, Ok(&0.5_f64.to_be_bytes()));
        check(BindValue::Int(7), 1700, Ok(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 7]));
        check(BindValue::Bool(true), 1700, Err("not a number"));
    }

    #[test]
    fn times_go_to_the_type_that_is_asked_for() {
        let seconds = |instant: &str| -> [u8; 8] {
            let instant: Timestamp = instant.parse().unwrap();
            ((instant.as_second() - EPOCH_SECS) * SECOND_MICROS).to_be_bytes()
        };
        check(civil(), 1114, Ok(&seconds("2025-03-30T01:30:00Z")));
        check(civil(), 1184, Ok(&seconds("2025-03-30T00:30:00Z")));
        check(text("2025-03-30T02:30:00+02:00"), 1184, Ok(&seconds("2025-03-30T00:30:00Z")));
        check(text("2025-03-30 02:30:00"), 1184, Err("offset"));
        check(text("2025-03-30"), 1082, Ok(&9_220_i32.to_be_bytes()));
        check(BindValue::Date(date(2025, 3, 30)), 1114, Ok(&seconds("2025-03-30T00:00:00Z")));
        check(BindValue::Date(date(2025, 3, 30)), 1184, Err("has no zone"));
        check(text("01:00:00.5"), 1083, Ok(&3_600_500_000_i64.to_be_bytes()));
    }

    #[test]
    fn a_bound_is_never_moved() {
        check(civil(), 1082, Err("| date"));
        let midnight = BindValue::Civil { civil: date(2000, 1, 2).at(0, 0, 0, 0), instant: Timestamp::UNIX_EPOCH };
        check(midnight, 1082, Ok(&1_i32.to_be_bytes()));
    }

    #[test]
    fn other_types() {
        check(BindValue::Bytes(vec![1, 2]), 17, Ok(&[1, 2]));
        check(text("3f2b7c1e-0d5a-4a53-9d0e-0a6f5f1c8f1g"), 2950, Err("not a UUID"));
        check(text("ffffffff-ffff-ffff-ffff-ffffffffffff"), 2950, Ok(&[255; 16]));
        check(text("{}"), 3802, Ok(b"\x01{}"));
        check(text("10.0.0.1"), 869, Err("cannot make one"));
        assert_eq!(encode(&BindValue::Null, 23, false), Ok(None));
        assert_eq!(encode(&civil(), TEXT, true), Ok(Some(b"2025-03-30 01:30:00".to_vec())));
    }
}
