//! The canonical text of a value, and its exact number.
//!
//! The same value has the same text whichever driver read it: keys, codes, `null_if` and `map` compare by it.

use std::fmt::Write as _;

use crate::time::{Civil, DAY_SECS, Instant, Quoted, Rfc3339, SECOND_NANOS};
use crate::value::Cell;

/// Characters of a number in text. The longest that a database has is a double written out, with some 310.
pub const NUMBER_CHARS_MAX: usize = 400;

/// Digits of a whole number that every double holds, if not exactly.
const FLOAT_DIGITS: usize = 308;

/// A value that has no canonical text, or is no number. Costs the row, not the run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ValueError {
    /// What kind of mistake it is.
    pub code: ValueErrorCode,
    /// The value, what was expected of it, and what to do.
    pub message: String,
}

/// The kinds of [`ValueError`]. Stable: quarantine groups by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueErrorCode {
    /// The source could not decode the value.
    Undecodable,
    /// Not a number, or an infinite one.
    NotFinite,
    /// Not a number in the strict form.
    NotANumber,
    /// A date outside the years 0001 to 9999.
    OutOfRange,
}

impl ValueErrorCode {
    /// The code as reports and quarantine show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "value_undecodable",
            Self::NotFinite => "number_not_finite",
            Self::NotANumber => "number_unparsable",
            Self::OutOfRange => "time_out_of_range",
        }
    }
}

impl ValueError {
    fn new(code: ValueErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Trims white space at both ends: what Unicode calls so, no-break spaces included, and the byte-order mark.
pub fn trim(text: &str) -> &str {
    let text = text.trim_ascii();
    let solid = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_graphic);
    if solid(text.as_bytes().first()) && solid(text.as_bytes().last()) {
        return text;
    }
    text.trim_matches(|char: char| char.is_whitespace() || char == '\u{feff}')
}

/// Whether nothing is left of a text that is trimmed.
pub(crate) fn is_blank(text: &str) -> bool {
    // Hardly any text begins with white space.
    !text.as_bytes().first().is_some_and(u8::is_ascii_graphic) && trim(text).is_empty()
}

/// The canonical text of a value; `None` where there is no value. Text and JSON are handed back as they are.
///
/// | kind | text |
/// | --- | --- |
/// | bool | `true`, `false` |
/// | int | `4711` |
/// | float | `4711` of 4711.0, `0.1`; never an exponent |
/// | decimal | its digits without a zero fraction: `4711` of `4711.000`, `1.5` of `1.50`, `00123` of `00123` |
/// | bytes | lower-case hex |
/// | date | `2025-03-29` |
/// | time | `22:00:00`; `-01:30:00` and `26:15:00` of a duration |
/// | civil | `2025-03-29T22:00:00` |
/// | instant | `2025-03-29T21:00:00Z` |
///
/// A fraction of a second appears where there is one. `scratch` is overwritten where the text must be written.
pub fn text_of<'a>(cell: Cell<'a>, scratch: &'a mut String) -> Result<Option<&'a str>, ValueError> {
    scratch.clear();
    match cell {
        Cell::Null => return Ok(None),
        Cell::Text(text) | Cell::Json(text) => return Ok(Some(text)),
        Cell::Bool(truth) => return Ok(Some(if truth { "true" } else { "false" })),
        Cell::Bad(reason) => return Err(undecodable(reason)),
        Cell::Decimal(digits) => return decimal_text(digits, scratch).map(Some),
        Cell::Int(number) => scratch.push_str(itoa::Buffer::new().format(number)),
        Cell::Float(number) => write_float(number, scratch)?,
        Cell::Bytes(bytes) => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            for byte in bytes {
                scratch.push(char::from(HEX[usize::from(byte >> 4)]));
                scratch.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
        Cell::Date(days) => scratch.push_str(date_text(days)?.as_str()),
        Cell::Time(nanos) => write_time(nanos, scratch),
        Cell::Civil { secs, nanos } => scratch.push_str(civil_text(Civil { secs, nanos })?.as_str()),
        Cell::Instant { secs, nanos } => scratch.push_str(instant_text(secs, nanos)?.as_str()),
    }
    Ok(Some(scratch))
}

/// The canonical text of a date, as of those that follow: see [`text_of`].
pub(crate) fn date_text(days: i32) -> Result<Rfc3339, ValueError> {
    in_range(Civil::midnight(days.into()))?;
    Ok(Rfc3339::of_date(days.into()))
}

pub(crate) fn civil_text(civil: Civil) -> Result<Rfc3339, ValueError> {
    Ok(Rfc3339::of_civil(in_range(civil)?))
}

pub(crate) fn instant_text(secs: i64, nanos: u32) -> Result<Rfc3339, ValueError> {
    let instant = Instant::new(secs, nanos).ok_or_else(|| out_of_range(secs.div_euclid(DAY_SECS)))?;
    Ok(Rfc3339::new(instant))
}

/// The exact value of a number, as text that is a JSON number: no sign but `-`, no leading zeros, no exponent, no
/// zero fraction. `None` where there is no value, which includes text of white space only.
///
/// Text is read strictly: an optional sign, digits, and a decimal point with digits after it.
pub fn number_of<'a>(cell: Cell<'a>, scratch: &'a mut String) -> Result<Option<&'a str>, ValueError> {
    scratch.clear();
    match cell {
        Cell::Null => Ok(None),
        Cell::Int(number) => {
            scratch.push_str(itoa::Buffer::new().format(number));
            Ok(Some(scratch))
        }
        Cell::Float(number) => {
            write_float(number, scratch)?;
            Ok(Some(scratch))
        }
        Cell::Decimal(text) | Cell::Text(text) | Cell::Json(text) => {
            if is_canonical_number(text) {
                return Ok(Some(text));
            }
            let text = trim(text);
            if text.is_empty() || (matches!(cell, Cell::Json(_)) && text == "null") {
                return Ok(None);
            }
            canonical_number(text, scratch).map(Some)
        }
        Cell::Bad(reason) => Err(undecodable(reason)),
        Cell::Bool(_) | Cell::Bytes(_) | Cell::Date(_) | Cell::Time(_) | Cell::Civil { .. } | Cell::Instant { .. } => {
            let text = text_of(cell, scratch)?.unwrap_or_default();
            Err(ValueError::new(
                ValueErrorCode::NotANumber,
                format!("{} is {}, not a number: name a column of numbers", Quoted(text), kind_of(cell)),
            ))
        }
    }
}

/// The kind of a value, with its article, for messages.
pub(crate) fn kind_of(cell: Cell<'_>) -> &'static str {
    match cell {
        Cell::Null => "no value",
        Cell::Bool(_) => "a truth value",
        Cell::Int(_) | Cell::Float(_) | Cell::Decimal(_) => "a number",
        Cell::Text(_) => "text",
        Cell::Bytes(_) => "bytes",
        Cell::Date(_) => "a date",
        Cell::Time(_) => "a time of day",
        Cell::Civil { .. } => "a date-time",
        Cell::Instant { .. } => "an instant",
        Cell::Json(_) => "a JSON document",
        Cell::Bad(_) => "a value that could not be decoded",
    }
}

/// Whether a text is what [`number_of`] would make of it: most numbers come as they are wanted.
fn is_canonical_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let digits = |part: &[u8]| part.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(unsigned);
    let is_led_by_zero = unsigned.first() == Some(&b'0');
    if whole == 0 || whole > FLOAT_DIGITS || (is_led_by_zero && whole > 1) || text.len() > NUMBER_CHARS_MAX {
        return false;
    }
    match &unsigned[whole..] {
        // Zero has no sign.
        [] => !is_led_by_zero || unsigned.len() == text.len(),
        [b'.', fraction @ ..] => {
            fraction.last().is_some_and(|last| *last != b'0') && digits(fraction) == fraction.len()
        }
        _ => false,
    }
}

/// Sign, whole part and fraction of a number in strict form. The whole part may be empty, `.5`, where a fraction is.
struct Digits<'a> {
    negative: bool,
    whole: &'a str,
    /// Without trailing zeros.
    fraction: &'a str,
}

fn split_number(text: &str) -> Option<Digits<'_>> {
    let bytes = text.as_bytes();
    let digits_from = |start: usize| bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let point = sign + digits_from(sign);
    let (fraction, end) = match bytes.get(point) {
        Some(b'.') => (point + 1, point + 1 + digits_from(point + 1)),
        _ => (point, point),
    };
    let some_digits = if fraction > point { end > fraction } else { point > sign };
    let kept = bytes[fraction..end].iter().rposition(|byte| *byte != b'0').map_or(0, |last| last + 1);
    (some_digits && end == bytes.len()).then(|| Digits {
        negative: bytes[0] == b'-',
        whole: &text[sign..point],
        fraction: &text[fraction..fraction + kept],
    })
}

fn decimal_text<'a>(text: &'a str, scratch: &'a mut String) -> Result<&'a str, ValueError> {
    if is_canonical_number(text) {
        return Ok(text);
    }
    let Some(digits) = split_number(text) else {
        return Err(not_a_number(text));
    };
    write_number(text, &digits, digits.whole, scratch)
}

fn canonical_number<'a>(text: &'a str, scratch: &'a mut String) -> Result<&'a str, ValueError> {
    if text.len() > NUMBER_CHARS_MAX {
        return Err(ValueError::new(
            ValueErrorCode::NotANumber,
            format!("{} has more than {NUMBER_CHARS_MAX} characters, too many for a number", Quoted(text)),
        ));
    }
    let Some(digits) = split_number(text) else {
        return Err(not_a_number(text));
    };
    let zeros = digits.whole.bytes().take_while(|byte| *byte == b'0').count();
    let whole = &digits.whole[zeros..];
    if whole.len() > FLOAT_DIGITS && text.parse::<f64>().is_ok_and(f64::is_infinite) {
        let message = format!("{} is beyond what a floating-point number holds, as which JSON is read", Quoted(text));
        return Err(ValueError::new(ValueErrorCode::NotFinite, message));
    }
    let whole = if whole.is_empty() { &digits.whole[..digits.whole.len().min(1)] } else { whole };
    write_number(text, &digits, whole, scratch)
}

/// Puts a number together; hands back `text` where it is already so.
fn write_number<'a>(
    text: &'a str,
    digits: &Digits<'_>,
    whole: &str,
    scratch: &'a mut String,
) -> Result<&'a str, ValueError> {
    let is_zero = digits.fraction.is_empty() && whole.bytes().all(|byte| byte == b'0');
    let negative = digits.negative && !is_zero;
    let point = usize::from(!digits.fraction.is_empty());
    let len = usize::from(negative) + whole.len() + point + digits.fraction.len();
    if len == text.len() && !whole.is_empty() {
        return Ok(text);
    }
    if negative {
        scratch.push('-');
    }
    scratch.push_str(if whole.is_empty() { "0" } else { whole });
    if point > 0 {
        scratch.push('.');
        scratch.push_str(digits.fraction);
    }
    Ok(scratch)
}

fn write_float(number: f64, out: &mut String) -> Result<(), ValueError> {
    if !number.is_finite() {
        return Err(ValueError::new(
            ValueErrorCode::NotFinite,
            format!("`{number}` is not a finite number: replace it in the query, or name it as no value"),
        ));
    }
    // Adding zero turns minus zero into zero.
    write!(out, "{}", number + 0.0).expect("a String takes every write");
    Ok(())
}

fn write_time(nanos: i64, out: &mut String) {
    if nanos < 0 {
        out.push('-');
    }
    let nanos = nanos.unsigned_abs();
    let (secs, fraction) = (nanos / SECOND_NANOS as u64, nanos % SECOND_NANOS as u64);
    write!(out, "{:02}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60).expect("a String takes every write");
    if fraction > 0 {
        write!(out, ".{fraction:09}").expect("a String takes every write");
        out.truncate(out.trim_end_matches('0').len());
    }
}

fn in_range(civil: Civil) -> Result<Civil, ValueError> {
    if civil.is_in_range() { Ok(civil) } else { Err(out_of_range(civil.days())) }
}

fn out_of_range(days: i64) -> ValueError {
    ValueError::new(
        ValueErrorCode::OutOfRange,
        format!("day {days} counted from 1970-01-01 is outside the years 0001 to 9999"),
    )
}

fn undecodable(reason: &str) -> ValueError {
    ValueError::new(ValueErrorCode::Undecodable, format!("the source's value could not be decoded: {reason}"))
}

fn not_a_number(text: &str) -> ValueError {
    let advice = if text.contains(',') {
        "a comma is not read as a decimal point, since it may also separate thousands: \
         convert the column in the query, or use `transform` with `replace`"
    } else if text.contains(['e', 'E']) && text.bytes().any(|byte| byte.is_ascii_digit()) {
        "an exponent is not read: convert the column to an exact number in the query"
    } else {
        "write digits with an optional sign and decimal point, as in `-1234.5`"
    };
    ValueError::new(ValueErrorCode::NotANumber, format!("{} is not a number: {advice}", Quoted(text)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_blank_where_nothing_is_left_of_it() {
        for text in ["", " ", "\u{feff}", "\u{a0}\t\n", "a", " a", "\u{a0}ä", "ä", "-", "\u{1}"] {
            assert_eq!(is_blank(text), trim(text).is_empty(), "{text:?}");
        }
    }

    #[track_caller]
    fn text(cell: Cell<'_>, expected: &str) {
        assert_eq!(text_of(cell, &mut "left over".to_owned()), Ok(Some(expected)), "{cell:?}");
    }

    #[test]
    fn every_kind_has_a_canonical_text() {
        assert_eq!(text_of(Cell::Null, &mut String::new()), Ok(None));
        text(Cell::Bool(true), "true");
        text(Cell::Bool(false), "false");
        text(Cell::Int(-4711), "-4711");
        text(Cell::Int(i64::MIN), "-9223372036854775808");
        text(Cell::Float(4711.0), "4711");
        text(Cell::Float(0.1), "0.1");
        text(Cell::Float(-0.0), "0");
        text(Cell::Float(1e21), "1000000000000000000000");
        text(Cell::Float(1e-7), "0.0000001");
        text(Cell::Decimal("4711.000"), "4711");
        text(Cell::Decimal("1.50"), "1.5");
        text(Cell::Decimal("1.5"), "1.5");
        text(Cell::Decimal("100"), "100");
        text(Cell::Decimal("00123"), "00123");
        text(Cell::Decimal("+7"), "7");
        text(Cell::Decimal("-.50"), "-0.5");
        text(Cell::Decimal("-0.00"), "0");
        text(Cell::Decimal(".0"), "0");
        text(Cell::Text(" 00123 "), " 00123 ");
        text(Cell::Json(r#"{"a":1}"#), r#"{"a":1}"#);
        text(Cell::Bytes(&[0, 0xAB, 0xff]), "00abff");
        text(Cell::Date(20_176), "2025-03-29");
        text(Cell::Time(79_200 * SECOND_NANOS), "22:00:00");
        text(Cell::Time(79_200 * SECOND_NANOS + 250_000_000), "22:00:00.25");
        text(Cell::Time(-5400 * SECOND_NANOS), "-01:30:00");
        text(Cell::Time(94_500 * SECOND_NANOS), "26:15:00");
        text(Cell::Civil { secs: 1_743_285_600, nanos: 0 }, "2025-03-29T22:00:00");
        text(Cell::Instant { secs: 1_743_285_600, nanos: 1_000 }, "2025-03-29T22:00:00.000001Z");
    }

    #[test]
    fn a_value_without_a_text_says_why() {
        #[track_caller]
        fn check(cell: Cell<'_>, code: ValueErrorCode) {
            assert_eq!(text_of(cell, &mut String::new()).map_err(|error| error.code), Err(code));
        }
        check(Cell::Bad("month 13"), ValueErrorCode::Undecodable);
        check(Cell::Float(f64::NAN), ValueErrorCode::NotFinite);
        check(Cell::Float(f64::NEG_INFINITY), ValueErrorCode::NotFinite);
        check(Cell::Decimal("1E+3"), ValueErrorCode::NotANumber);
        check(Cell::Decimal(""), ValueErrorCode::NotANumber);
        check(Cell::Date(i32::MAX), ValueErrorCode::OutOfRange);
        check(Cell::Civil { secs: i64::MIN, nanos: 0 }, ValueErrorCode::OutOfRange);
        check(Cell::Instant { secs: i64::MAX, nanos: 0 }, ValueErrorCode::OutOfRange);
    }

    #[test]
    fn numbers_are_exact_and_canonical() {
        #[track_caller]
        fn check(cell: Cell<'_>, expected: Option<&str>) {
            assert_eq!(number_of(cell, &mut "left over".to_owned()), Ok(expected), "{cell:?}");
        }
        check(Cell::Null, None);
        check(Cell::Text("  \u{a0}"), None);
        check(Cell::Json("null"), None);
        check(Cell::Json("1.50"), Some("1.5"));
        check(Cell::Int(-5), Some("-5"));
        check(Cell::Float(2.5), Some("2.5"));
        check(Cell::Float(-0.0), Some("0"));
        check(
            Cell::Decimal("12345678901234567890123456789.123456789"),
            Some("12345678901234567890123456789.123456789"),
        );
        check(Cell::Decimal("-000.500"), Some("-0.5"));
        check(Cell::Text(" +007 "), Some("7"));
        check(Cell::Text("-000"), Some("0"));
        check(Cell::Text("0.10"), Some("0.1"));
        check(Cell::Text(".5"), Some("0.5"));
        check(Cell::Text("100"), Some("100"));
    }

    #[test]
    fn what_is_no_number_says_why() {
        #[track_caller]
        fn check(cell: Cell<'_>, word: &str) {
            let error = number_of(cell, &mut String::new()).expect_err("no number");
            assert!(error.message.contains(word), "{error}");
        }
        check(Cell::Text("1.234,5"), "comma");
        check(Cell::Text("1,5"), "comma");
        check(Cell::Text("1e3"), "exponent");
        check(Cell::Text("5."), "digits");
        check(Cell::Text("."), "digits");
        check(Cell::Text("-"), "digits");
        check(Cell::Text("--1"), "digits");
        check(Cell::Text("12 kg"), "`12 kg`");
        check(Cell::Text("1.2.3"), "digits");
        check(Cell::Text("١"), "digits");
        check(Cell::Text(&"1".repeat(NUMBER_CHARS_MAX + 1)), "too many");
        check(Cell::Decimal(&"1".repeat(FLOAT_DIGITS + 2)), "beyond");
        check(Cell::Text(&format!("-{}", "9".repeat(FLOAT_DIGITS + 1))), "beyond");
        assert!(number_of(Cell::Decimal(&"1".repeat(FLOAT_DIGITS + 1)), &mut String::new()).is_ok());
        check(Cell::Bool(true), "truth value");
        check(Cell::Date(0), "`1970-01-01` is a date");
        check(Cell::Bad("overflow"), "overflow");
        check(Cell::Float(f64::INFINITY), "finite");
    }

    #[test]
    fn trim_removes_no_break_spaces_too() {
        assert_eq!(trim("\u{feff}\u{a0} M1\u{a0}x \u{202f}\t\r\n"), "M1\u{a0}x");
        assert_eq!(trim("M 1"), "M 1");
        assert_eq!(trim(" \u{a0}"), "");
        assert_eq!(trim("ä "), "ä");
    }

    proptest! {
        #[test]
        fn a_canonical_number_is_json_and_stays_as_it_is(text in "[+-]?[0-9]{0,12}(\\.[0-9]{1,9})?") {
            let mut scratch = String::new();
            if let Ok(Some(number)) = number_of(Cell::Text(&text), &mut scratch) {
                let json: serde_json::Value = serde_json::from_str(number).expect("a JSON number");
                let expected: f64 = text.parse().expect("a number");
                prop_assert_eq!(json.as_f64(), Some(expected));
                let mut again = String::new();
                prop_assert_eq!(number_of(Cell::Text(number), &mut again), Ok(Some(number)));
            }
        }

        #[test]
        fn a_number_that_counts_as_canonical_is_made_no_other(text in "[+-]?0{0,2}[0-9]{0,3}(\\.[0-9]{0,3})?[ e]?") {
            let mut scratch = String::new();
            let stays = canonical_number(&text, &mut scratch) == Ok(text.as_str());
            prop_assert_eq!(is_canonical_number(&text), stays);
        }

        #[test]
        fn a_float_is_read_back_from_its_text(number in proptest::num::f64::NORMAL | proptest::num::f64::ZERO) {
            let mut scratch = String::new();
            let text = text_of(Cell::Float(number), &mut scratch).expect("finite").expect("a value");
            prop_assert_eq!(text.parse::<f64>(), Ok(number));
            let mut again = String::new();
            prop_assert_eq!(number_of(Cell::Float(number), &mut again), Ok(Some(text)));
        }

        #[test]
        fn trimming_twice_is_trimming_once(text in "[ \u{a0}\u{202f}\u{feff}a-c]{0,12}") {
            prop_assert_eq!(trim(trim(&text)), trim(&text));
        }
    }
}
