//! Exact numbers, as text.

use std::cmp::Ordering;
use std::str::FromStr;

use bigdecimal::{BigDecimal, RoundingMode, Zero};

use crate::Value;

/// Digits that Oracle keeps of a result.
const ORACLE_DIGITS_MAX: u64 = 40;

/// Reads digits, with sign, point and exponent.
pub(crate) fn read(text: &str) -> Option<BigDecimal> {
    let text = text.trim();
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    if !plain || !text.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    BigDecimal::from_str(text).ok()
}

/// Any value that is a number.
pub(crate) fn of(value: &Value) -> Option<BigDecimal> {
    match value {
        Value::Int(whole) => Some(BigDecimal::from(*whole)),
        Value::Float(float) => BigDecimal::from_str(&format!("{float:?}")).ok(),
        Value::Text(text) => read(text),
        _ => None,
    }
}

/// With exactly as many digits after the point, rounded away from zero.
pub(crate) fn fixed(number: &BigDecimal, scale: i64) -> String {
    let rounded = number.with_scale_round(scale, RoundingMode::HalfUp);
    if scale < 0 { trimmed(&rounded) } else { rounded.to_plain_string() }
}

/// In Oracle's way: as few digits as need be, never with an exponent.
pub(crate) fn trimmed(number: &BigDecimal) -> String {
    if number.is_zero() {
        return "0".to_owned();
    }
    let mut number = number.normalized();
    if number.digits() > ORACLE_DIGITS_MAX {
        number = number.with_precision_round(
            std::num::NonZeroU64::new(ORACLE_DIGITS_MAX).unwrap_or(std::num::NonZeroU64::MIN),
            RoundingMode::HalfUp,
        );
    }
    number.normalized().to_plain_string()
}

/// Digits before the point.
pub(crate) fn whole_digits(number: &BigDecimal) -> i64 {
    let whole = number.abs().with_scale_round(0, RoundingMode::Down);
    if whole.is_zero() { 0 } else { whole.digits() as i64 }
}

/// The order of two texts by the numbers that they show.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    match (read(a), read(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// As a binary float.
pub(crate) fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Int(whole) => Some(*whole as f64),
        Value::Float(float) => Some(*float),
        Value::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "nan" => Some(f64::NAN),
            "inf" | "infinity" => Some(f64::INFINITY),
            "-inf" | "-infinity" => Some(f64::NEG_INFINITY),
            text => text.parse().ok(),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_digit_by_digit() {
        let cases = [
            ("-123456789012345678901234567890.000000001", 9, "-123456789012345678901234567890.000000001"),
            ("2.5", 0, "3"),
            ("-2.5", 0, "-3"),
            ("1e3", 2, "1000.00"),
            ("1250", -2, "1300"),
        ];
        for (text, scale, expected) in cases {
            assert_eq!(fixed(&read(text).unwrap(), scale), expected, "{text}");
        }
        assert_eq!(trimmed(&read("0.100").unwrap()), "0.1");
        assert_eq!(trimmed(&read("1200").unwrap()), "1200");
        assert_eq!(read("12a"), None);
        assert_eq!(compare("9", "10.0"), Ordering::Less);
    }
}
