//! Plain scalars: what they are, and which of them are refused because readers of YAML disagree about them.

use serde_json::{Number, Value};

/// Significant digits that a 64-bit float keeps. A longer fraction is not a number but text without quotes.
const FLOAT_DIGITS_MAX: usize = 15;

/// What a plain scalar is.
#[derive(Debug, PartialEq)]
pub(super) enum Plain {
    /// The same for every reader.
    Clear(Value),
    /// Different for different readers; the reason completes "`…` ".
    Ambiguous(&'static str),
}

/// Reads a plain scalar as the YAML 1.2 core schema does, minus what YAML 1.1 reads differently.
pub(super) fn read(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Clear(Value::Null),
        "true" | "True" | "TRUE" => return Plain::Clear(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Plain::Clear(Value::Bool(false)),
        _ => {}
    }
    if ["y", "n", "yes", "no", "on", "off"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Plain::Ambiguous("is a truth value for some readers and text for others");
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if [".inf", ".nan"].iter().any(|word| unsigned.eq_ignore_ascii_case(word)) {
        return Plain::Ambiguous("is not a finite number");
    }
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return Plain::Clear(Value::String(text.to_owned()));
    }
    let all = |allowed: fn(u8) -> bool| unsigned.bytes().all(allowed);
    if all(|byte| byte.is_ascii_digit()) {
        return whole(text, unsigned);
    }
    if unsigned.len() > 2 && matches!(&unsigned.as_bytes()[..2], b"0x" | b"0X" | b"0o" | b"0O" | b"0b" | b"0B") {
        let digits = &unsigned.as_bytes()[2..];
        if digits.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'_') {
            return Plain::Ambiguous("is a number in another base for some readers and text for others");
        }
    }
    if unsigned.contains('_') && all(|byte| byte.is_ascii_digit() || matches!(byte, b'_' | b'.')) {
        return Plain::Ambiguous("is a number for some readers and text for others");
    }
    if is_sexagesimal(unsigned) {
        return Plain::Ambiguous("is a number to the base 60 for some readers and text for others");
    }
    if is_exponential(unsigned) {
        return Plain::Ambiguous("is a number with an exponent for some readers and text for others");
    }
    if all(|byte| byte.is_ascii_digit() || byte == b'.') && unsigned.matches('.').count() == 1 {
        return fraction(text, unsigned);
    }
    Plain::Clear(Value::String(text.to_owned()))
}

fn whole(text: &str, digits: &str) -> Plain {
    if digits.len() > 1 && digits.starts_with('0') {
        return Plain::Ambiguous("loses its leading zeros for some readers");
    }
    let number = text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
    number.map_or(Plain::Ambiguous("has more digits than a number keeps"), |number| Plain::Clear(number.into()))
}

fn fraction(text: &str, unsigned: &str) -> Plain {
    let (whole, part) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    if whole.is_empty() || part.is_empty() {
        return Plain::Ambiguous("is a number for some readers and text for others");
    }
    if whole.len() > 1 && whole.starts_with('0') {
        return Plain::Ambiguous("loses its leading zeros for some readers");
    }
    if whole.len() + part.len() > FLOAT_DIGITS_MAX {
        return Plain::Ambiguous("has more digits than a number keeps");
    }
    match text.parse::<f64>().ok().and_then(Number::from_f64) {
        Some(number) => Plain::Clear(number.into()),
        None => Plain::Ambiguous("is not a finite number"),
    }
}

fn is_sexagesimal(unsigned: &str) -> bool {
    let whole = unsigned.split('.').next().unwrap_or(unsigned);
    let mut parts = whole.split(':');
    let digits =
        |part: &str, most: usize| (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    whole.contains(':')
        && parts.next().is_some_and(|first| digits(first, usize::MAX))
        && parts.all(|part| digits(part, 2))
        && unsigned[whole.len()..].bytes().skip(1).all(|byte| byte.is_ascii_digit())
}

fn is_exponential(unsigned: &str) -> bool {
    let Some((mantissa, exponent)) = unsigned.split_once(['e', 'E']) else { return false };
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    mantissa.matches('.').count() <= 1
        && mantissa.bytes().any(|byte| byte.is_ascii_digit())
        && digits(&mantissa.replace('.', ""))
        && !exponent.is_empty()
        && digits(exponent)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn clear_scalars_are_what_they_look_like() {
        for (text, value) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("true", json!(true)),
            ("1433", json!(1433)),
            ("-5", json!(-5)),
            ("0", json!(0)),
            ("18446744073709551615", json!(u64::MAX)),
            ("0.5", json!(0.5)),
            ("4711.0", json!(4711.0)),
            ("2025-03-29", json!("2025-03-29")),
            ("2025-03-29T21:00:00Z", json!("2025-03-29T21:00:00Z")),
            ("2025-03-29 21:00:00", json!("2025-03-29 21:00:00")),
            ("1.2.3", json!("1.2.3")),
            ("10.20.0.5", json!("10.20.0.5")),
            ("14d", json!("14d")),
            ("25-1002", json!("25-1002")),
            ("5%", json!("5%")),
            ("0xyz", json!("0xyz")),
            ("1e", json!("1e")),
            ("nope", json!("nope")),
            ("M1", json!("M1")),
            ("1:2:3:444", json!("1:2:3:444")),
            ("3f2b7c1e-0d5a", json!("3f2b7c1e-0d5a")),
        ] {
            assert_eq!(read(text), Plain::Clear(value), "{text}");
        }
    }

    #[test]
    fn what_readers_disagree_about_is_ambiguous() {
        for text in [
            "y",
            "N",
            "yes",
            "No",
            "ON",
            "off",
            "00123",
            "017",
            "-01",
            "00.5",
            "1_000",
            "1_0.5",
            "12:30",
            "1:30:00",
            "190:20:30.15",
            "0x1F",
            "0o17",
            "0b101",
            ".inf",
            "-.INF",
            ".nan",
            "1e3",
            "1E3",
            "1.5e-3",
            ".5",
            "5.",
            "99999999999999999999",
            "0.12345678901234567",
        ] {
            assert!(matches!(read(text), Plain::Ambiguous(_)), "{text}: {:?}", read(text));
        }
    }
}
