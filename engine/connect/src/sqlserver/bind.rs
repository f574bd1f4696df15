//! Values on their way to a statement: how the driver carries them, and what they are declared as.

use std::borrow::Cow;

use engine_spec::template::{Bind, BindValue};
use jiff::civil::{Date, DateTime};
use tiberius::ColumnData;
use tiberius::time as wire;

use crate::failure::Problem;
use crate::slots::epoch_days_of;

/// Days from 0001-01-01, the server's first date, to 1970-01-01.
pub(super) const EPOCH_DAY: i32 = 719_162;
/// UTF-16 units of text that has a length; longer text is declared as `max`.
const TEXT_UNITS_MAX: usize = 4_000;
/// Bytes that have a length.
const BYTES_MAX: usize = 8_000;
/// Digits of the longest decimal.
const DIGITS_MAX: usize = 38;
/// The server's times are counted in steps of 100 ns: seven digits.
const TIME_SCALE: u8 = 7;
const STEP_NANOS: i64 = 100;

/// Bound values and their declarations.
#[derive(Debug)]
pub(super) struct Bound {
    /// `@P1 int, @P2 datetime2(7)`.
    pub(super) declarations: String,
    /// In order.
    pub(super) values: Vec<ColumnData<'static>>,
}

/// Declares and converts. `suggested` has the types that the server would choose, as far as it says.
pub(super) fn bind(binds: &[Bind], suggested: &[Option<String>]) -> Result<Bound, Problem> {
    let mut values = Vec::with_capacity(binds.len());
    for (place, bind) in binds.iter().enumerate() {
        values.push(carry(&bind.value).map_err(|why| Problem::bind(bind, place + 1, &why))?);
    }
    Ok(Bound { declarations: declarations(binds, suggested), values })
}

/// The declarations of all values.
pub(super) fn declarations(binds: &[Bind], suggested: &[Option<String>]) -> String {
    let mut text = String::new();
    for (place, bind) in binds.iter().enumerate() {
        if place > 0 {
            text.push_str(", ");
        }
        let suggestion = suggested.get(place).and_then(Option::as_deref);
        text.push_str(&format!("@P{} {}", place + 1, declaration(&bind.value, suggestion)));
    }
    text
}

fn declaration(value: &BindValue, suggested: Option<&str>) -> Cow<'static, str> {
    match value {
        BindValue::Null => "nvarchar(1)".into(),
        BindValue::Bool(_) => "bit".into(),
        BindValue::Int(number) if i32::try_from(*number).is_ok() => "int".into(),
        BindValue::Int(_) => "bigint".into(),
        BindValue::Float(_) => "float".into(),
        BindValue::Decimal(digits) => {
            let (whole, fraction) = lengths(digits);
            format!("decimal({}, {fraction})", (whole + fraction).clamp(1, DIGITS_MAX)).into()
        }
        // Compared with Unicode, a column in a code page is converted row by row and its index is of no use.
        BindValue::Text(text) if text.is_ascii() && suggested.is_some_and(is_in_code_page) => {
            if text.len() > BYTES_MAX { "varchar(max)".into() } else { "varchar(8000)".into() }
        }
        BindValue::Text(text) if text.encode_utf16().count() > TEXT_UNITS_MAX => "nvarchar(max)".into(),
        BindValue::Text(_) => "nvarchar(4000)".into(),
        BindValue::Bytes(bytes) if bytes.len() > BYTES_MAX => "varbinary(max)".into(),
        BindValue::Bytes(_) => "varbinary(8000)".into(),
        BindValue::Date(_) => "date".into(),
        BindValue::Civil { .. } => "datetime2(7)".into(),
        BindValue::Instant { .. } => "datetimeoffset(7)".into(),
    }
}

fn is_in_code_page(declared: &str) -> bool {
    ["char(", "varchar(", "text"].iter().any(|name| declared.starts_with(name))
}

fn carry(value: &BindValue) -> Result<ColumnData<'static>, String> {
    Ok(match value {
        BindValue::Null => ColumnData::String(None),
        BindValue::Bool(truth) => ColumnData::Bit(Some(*truth)),
        BindValue::Int(number) => match i32::try_from(*number) {
            Ok(number) => ColumnData::I32(Some(number)),
            Err(_) => ColumnData::I64(Some(*number)),
        },
        BindValue::Float(number) => ColumnData::F64(Some(*number)),
        // As digits: the server reads them as what they are declared.
        BindValue::Decimal(digits) => {
            let (whole, fraction) = lengths(digits);
            if whole + fraction > DIGITS_MAX {
                return Err(format!("a number of the server has {DIGITS_MAX} digits at most"));
            }
            ColumnData::String(Some(Cow::Owned(digits.clone())))
        }
        BindValue::Text(text) => ColumnData::String(Some(Cow::Owned(text.clone()))),
        BindValue::Bytes(bytes) => ColumnData::Binary(Some(Cow::Owned(bytes.clone()))),
        BindValue::Date(date) => ColumnData::Date(Some(day(*date)?)),
        BindValue::Civil { civil, .. } => ColumnData::DateTime2(Some(date_time(*civil)?)),
        BindValue::Instant { instant, .. } => {
            let utc = jiff::tz::TimeZone::UTC.to_datetime(*instant);
            ColumnData::DateTimeOffset(Some(wire::DateTimeOffset::new(date_time(utc)?, 0)))
        }
    })
}

/// Digits before and after the point.
fn lengths(digits: &str) -> (usize, usize) {
    let (whole, fraction) = digits.trim_start_matches(['-', '+']).split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches(['-', '+']).trim_start_matches('0');
    (whole.len(), fraction.len())
}

fn day(date: Date) -> Result<wire::Date, String> {
    u32::try_from(epoch_days_of(date) + EPOCH_DAY)
        .map(wire::Date::new)
        .map_err(|_| format!("{date} lies before 0001-01-01, the server's first date"))
}

fn date_time(civil: DateTime) -> Result<wire::DateTime2, String> {
    let time = civil.time();
    let seconds = i64::from(time.hour()) * 3_600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    let steps = seconds * (1_000_000_000 / STEP_NANOS) + i64::from(time.subsec_nanosecond()) / STEP_NANOS;
    Ok(wire::DateTime2::new(day(civil.date())?, wire::Time::new(steps.unsigned_abs(), TIME_SCALE)))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn declared(value: &BindValue, suggested: Option<&str>) -> String {
        declaration(value, suggested).into_owned()
    }

    #[test]
    fn values_are_declared_as_what_they_are() {
        let civil = date(2025, 3, 30).at(1, 30, 0, 0);
        let instant = "2025-03-30T00:30:00Z".parse().unwrap();
        for (value, expected) in [
            (BindValue::Null, "nvarchar(1)"),
            (BindValue::Bool(true), "bit"),
            (BindValue::Int(7), "int"),
            (BindValue::Int(i64::from(i32::MAX) + 1), "bigint"),
            (BindValue::Float(0.5), "float"),
            (BindValue::Decimal("-012.50".into()), "decimal(4, 2)"),
            (BindValue::Decimal("0".into()), "decimal(1, 0)"),
            (BindValue::Decimal("0.001".into()), "decimal(3, 3)"),
            (BindValue::Text("x".repeat(4_001)), "nvarchar(max)"),
            (BindValue::Bytes(vec![0; 8]), "varbinary(8000)"),
            (BindValue::Date(civil.date()), "date"),
            (BindValue::Civil { civil, instant }, "datetime2(7)"),
            (BindValue::Instant { civil, instant }, "datetimeoffset(7)"),
        ] {
            assert_eq!(declared(&value, None), expected);
        }
    }

    #[test]
    fn text_is_declared_as_the_column_it_is_compared_with() {
        for (text, suggested, expected) in [
            ("1000", Some("varchar(8)"), "varchar(8000)"),
            ("1000", Some("char(4)"), "varchar(8000)"),
            ("1000", Some("nvarchar(8)"), "nvarchar(4000)"),
            ("1000", Some("int"), "nvarchar(4000)"),
            ("1000", None, "nvarchar(4000)"),
            // The code page may lack the letter.
            ("Ω", Some("varchar(8)"), "nvarchar(4000)"),
        ] {
            assert_eq!(declared(&BindValue::Text(text.into()), suggested), expected, "{text} {suggested:?}");
        }
    }

    #[test]
    fn times_keep_seven_digits() {
        let civil = date(1, 1, 1).at(23, 59, 59, 123_456_789);
        let carried = date_time(civil).unwrap();
        assert_eq!((carried.date().days(), carried.time().increments()), (0, 863_991_234_567));
        let epoch = date_time(date(1970, 1, 1).at(0, 0, 0, 0)).unwrap();
        assert_eq!((epoch.date().days(), epoch.time().increments()), (719_162, 0));
        assert!(day(date(-1, 1, 1)).is_err());
    }

    #[test]
    fn a_number_with_too_many_digits_is_named() {
        let bind = |digits: &str| Bind { origin: "params.n".to_owned(), value: BindValue::Decimal(digits.to_owned()) };
        let problem = super::bind(&[bind(&"9".repeat(39))], &[]).unwrap_err();
        assert!(problem.message.contains("params.n") && problem.message.contains("38 digits"), "{}", problem.message);
        let bound = super::bind(&[bind("1.5"), bind("2")], &[]).unwrap();
        assert_eq!(bound.declarations, "@P1 decimal(2, 1), @P2 decimal(1, 0)");
    }
}
