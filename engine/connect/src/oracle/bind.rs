//! Values on their way to a statement, in the forms that both drivers have.

use engine_spec::template::{Bind, BindValue};
use jiff::civil::DateTime;

use crate::failure::Problem;

/// Digits of the longest NUMBER that keeps them all.
const DIGITS_MAX: usize = 38;

/// A value as the server takes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    Null,
    Int(i64),
    /// Digits of a NUMBER.
    Number(String),
    Text(String),
    Bytes(Vec<u8>),
    /// A TIMESTAMP; an instant is one in UTC, like the session.
    Timestamp(DateTime),
}

/// Converts; what does not fit is named.
pub(super) fn given(binds: &[Bind]) -> Result<Vec<Given>, Problem> {
    let one = |(place, bind): (usize, &Bind)| convert(&bind.value).map_err(|why| Problem::bind(bind, place + 1, &why));
    binds.iter().enumerate().map(one).collect()
}

fn convert(value: &BindValue) -> Result<Given, String> {
    Ok(match value {
        BindValue::Null => Given::Null,
        // Servers before 23ai have no truth values.
        BindValue::Bool(truth) => Given::Int(i64::from(*truth)),
        BindValue::Int(number) => Given::Int(*number),
        // As digits: compared with a binary float, a column of NUMBER would be converted row by row.
        BindValue::Float(number) => Given::Number(number.to_string()),
        BindValue::Decimal(digits) => {
            if digits.bytes().filter(u8::is_ascii_digit).count() > DIGITS_MAX {
                return Err(format!("a number of the server has {DIGITS_MAX} digits at most"));
            }
            Given::Number(digits.clone())
        }
        BindValue::Text(text) => Given::Text(text.clone()),
        BindValue::Bytes(bytes) => Given::Bytes(bytes.clone()),
        BindValue::Date(date) => Given::Timestamp(date.to_datetime(jiff::civil::Time::midnight())),
        BindValue::Civil { civil, .. } => Given::Timestamp(*civil),
        BindValue::Instant { instant, .. } => Given::Timestamp(jiff::tz::TimeZone::UTC.to_datetime(*instant)),
    })
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn values_take_the_forms_of_the_server() {
        let civil = date(2025, 3, 30).at(1, 30, 0, 0);
        let instant = "2025-03-30T00:30:00Z".parse().unwrap();
        for (value, expected) in [
            (BindValue::Null, Given::Null),
            (BindValue::Bool(true), Given::Int(1)),
            (BindValue::Float(0.5), Given::Number("0.5".to_owned())),
            (BindValue::Date(civil.date()), Given::Timestamp(date(2025, 3, 30).at(0, 0, 0, 0))),
            (BindValue::Civil { civil, instant }, Given::Timestamp(civil)),
            (BindValue::Instant { civil, instant }, Given::Timestamp(date(2025, 3, 30).at(0, 30, 0, 0))),
        ] {
            assert_eq!(convert(&value), Ok(expected), "{value:?}");
        }
    }

    #[test]
    fn a_number_with_too_many_digits_is_named() {
        let bind = Bind { origin: "params.n".to_owned(), value: BindValue::Decimal("9".repeat(39)) };
        let problem = given(&[bind]).unwrap_err();
        assert!(problem.message.contains("params.n"), "{}", problem.message);
    }
}
