//! Times written as numbers, given as their decimal text: epochs, `yyyymmdd`, `hhmmss`, seconds of the day.

use super::civil::checked_days;
use super::iso::fixed_digits;
use super::{DAY_SECS, SECOND_NANOS};

/// Digits of a whole number of seconds or milliseconds; more cannot be a time.
const WHOLE_DIGITS_MAX: usize = 18;
/// Decimal places that separate a second from a nanosecond.
const NANO_PLACES: usize = 9;

/// Nanoseconds of a number of units, where a unit is ten to the `places` nanoseconds: 9 for seconds, 6 for
/// milliseconds. What is finer than a nanosecond is cut off, toward earlier.
pub(super) fn scaled_nanos(text: &str, places: usize) -> Option<i128> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let point = digits.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match point {
        Some(point) => (&digits[..point], &digits[point + 1..]),
        None => (digits, &digits[..0]),
    };
    let all_digits = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_digit);
    if whole.is_empty() || whole.len() > WHOLE_DIGITS_MAX || (point.is_some() && fraction.is_empty()) {
        return None;
    }
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let kept = &fraction[..fraction.len().min(places)];
    let append = |number: i128, byte: &u8| number * 10 + i128::from(byte - b'0');
    let nanos = whole.iter().chain(kept).fold(0, append) * 10i128.pow((places - kept.len()) as u32);
    let finer = fraction[kept.len()..].iter().any(|byte| *byte != b'0');
    Some(match (negative, finer) {
        (false, _) => nanos,
        (true, false) => -nanos,
        (true, true) => -nanos - 1,
    })
}

/// Days since 1970-01-01 of a date in eight digits.
pub(super) fn yyyymmdd(text: &str) -> Option<i64> {
    let bytes = without_zero_fraction(text).as_bytes();
    if bytes.len() != 8 {
        return None;
    }
    let number = fixed_digits(bytes)?;
    checked_days(number / 10_000, number / 100 % 100, number % 100)
}

/// Whether a text in `yyyymmdd` says that there is no date: `00000000`, or the number zero.
pub(super) fn is_zero_date(text: &str) -> bool {
    matches!(without_zero_fraction(text), "00000000" | "0")
}

/// Nanoseconds since midnight of a time of day in up to six digits.
///
/// Fewer than six digits are a number that lost its leading zeros. A text that kept a leading zero and still has fewer
/// than six is something else, `0600` for six o'clock, and is refused rather than read as six minutes past midnight.
pub(super) fn hhmmss(text: &str) -> Option<i64> {
    let bytes = without_zero_fraction(text).as_bytes();
    if bytes.is_empty() || bytes.len() > 6 {
        return None;
    }
    let number = fixed_digits(bytes)?;
    if bytes.len() < 6 && bytes[0] == b'0' && number != 0 {
        return None;
    }
    let (hour, minute, second) = (number / 10_000, number / 100 % 100, number % 100);
    let in_day = hour < 24 || number == 240_000;
    (in_day && minute < 60 && second < 60).then(|| i64::from(hour * 3600 + minute * 60 + second) * SECOND_NANOS)
}

/// Nanoseconds since midnight of a number of seconds, up to and with 86400, the start of the next day. `Err` carries
/// the nanoseconds of a number outside the day.
pub(super) fn seconds_of_day(text: &str) -> Option<Result<i64, i128>> {
    let nanos = scaled_nanos(text, NANO_PLACES)?;
    let in_day = (0..=i128::from(DAY_SECS * SECOND_NANOS)).contains(&nanos);
    Some(if in_day { Ok(nanos as i64) } else { Err(nanos) })
}

/// A whole number as its digits, whether a decimal writes it `20250329` or `20250329.00`.
fn without_zero_fraction(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0') => whole,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_keep_every_nanosecond() {
        #[track_caller]
        fn check(text: &str, places: usize, expected: Option<i128>) {
            assert_eq!(scaled_nanos(text, places), expected, "{text:?}");
        }
        check("0", 9, Some(0));
        check("1743282000", 9, Some(1_743_282_000_000_000_000));
        check("1743282000.123456789", 9, Some(1_743_282_000_123_456_789));
        check("1743282000.1234567899", 9, Some(1_743_282_000_123_456_789));
        check("1743282000123", 6, Some(1_743_282_000_123_000_000));
        check("1743282000123.5", 6, Some(1_743_282_000_123_500_000));
        check("-1", 9, Some(-1_000_000_000));
        check("-0.5", 9, Some(-500_000_000));
        check("-0.0000000001", 9, Some(-1));
        check("+7", 6, Some(7_000_000));
        for text in ["", "-", ".5", "5.", "1e9", "1,5", "12x", "1234567890123456789", "--1", "1.2.3", " 1"] {
            check(text, 9, None);
        }
    }

    #[test]
    fn dates_have_eight_digits() {
        #[track_caller]
        fn check(text: &str, expected: Option<i64>) {
            assert_eq!(yyyymmdd(text), expected, "{text:?}");
        }
        check("20250329", Some(20_176));
        check("20250329.00", Some(20_176));
        check("00010101", Some(-719_162));
        check("99991231", Some(2_932_896));
        for text in
            ["2025329", "20250229", "20251301", "00000000", "20250329.5", "20250329.", "2025-3-9", "+2025032", ""]
        {
            check(text, None);
        }
        assert!(is_zero_date("00000000") && is_zero_date("0") && is_zero_date("0.0"));
        assert!(!is_zero_date("0000") && !is_zero_date("00000001"));
    }

    #[test]
    fn times_have_up_to_six_digits() {
        #[track_caller]
        fn check(text: &str, expected: Option<i64>) {
            assert_eq!(hhmmss(text), expected.map(|secs| secs * SECOND_NANOS), "{text:?}");
        }
        check("060000", Some(21_600));
        check("60000", Some(21_600));
        check("235959", Some(86_399));
        check("240000", Some(86_400));
        check("0", Some(0));
        check("000000", Some(0));
        check("7", Some(7));
        check("130", Some(90));
        check("60000.0", Some(21_600));
        for text in ["", "240001", "250000", "236000", "235960", "0600", "01", "1234567", "-1", "6:00", "6000"] {
            check(text, None);
        }
    }

    #[test]
    fn seconds_of_the_day_end_with_the_day() {
        #[track_caller]
        fn check(text: &str, expected: Option<Result<i64, i128>>) {
            assert_eq!(seconds_of_day(text), expected, "{text:?}");
        }
        check("0", Some(Ok(0)));
        check("79200", Some(Ok(79_200 * SECOND_NANOS)));
        check("79200.5", Some(Ok(79_200 * SECOND_NANOS + SECOND_NANOS / 2)));
        check("86400", Some(Ok(DAY_SECS * SECOND_NANOS)));
        check("86401", Some(Err(i128::from(86_401 * SECOND_NANOS))));
        check("-1", Some(Err(i128::from(-SECOND_NANOS))));
        check("22:00", None);
    }
}
