//! Oracle's NUMBER: an exponent of 100 and up to twenty digits of base 100.

/// Most digits of base 100.
const PAIRS_MAX: usize = 20;
const ZERO: u8 = 0x80;
/// Ends a negative number that has room left.
const NEGATIVE_END: u8 = 102;
/// Longest text of a number that is looked at.
const TEXT_BYTES_MAX: usize = 400;

/// The bytes of a number written as `-12.50`, or as `1.5e3`. `None` where the text is no number or does not fit.
pub fn encode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok().filter(|e| e.abs() < 1_000)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut digits: Vec<u8> = Vec::with_capacity(mantissa.len() + 2);
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return None;
        }
        digits.push(byte - b'0');
    }
    // The point lies before digits[point].
    let mut point = whole.len() as i32 + exponent;
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    digits.drain(..zeros);
    point -= zeros as i32;
    if digits.is_empty() {
        return Some(vec![ZERO]);
    }
    if point.rem_euclid(2) == 1 {
        digits.insert(0, 0);
        point += 1;
    }
    if digits.len() % 2 == 1 {
        digits.push(0);
    }
    let mut pairs: Vec<u8> = digits.chunks(2).map(|pair| pair[0] * 10 + pair[1]).collect();
    if pairs.len() > PAIRS_MAX && round_to_fit(&mut pairs) {
        point += 2;
    }
    while pairs.last() == Some(&0) {
        pairs.pop();
    }
    let exponent = point / 2 - 1;
    if !(-65..=62).contains(&exponent) {
        return None;
    }
    let mut out = Vec::with_capacity(pairs.len() + 2);
    if negative {
        out.push((62 - exponent) as u8);
        out.extend(pairs.iter().map(|pair| 101 - pair));
        if pairs.len() < PAIRS_MAX {
            out.push(NEGATIVE_END);
        }
    } else {
        out.push((exponent + 193) as u8);
        out.extend(pairs.iter().map(|pair| pair + 1));
    }
    Some(out)
}

/// Rounds to the digits that there is room for. Says whether there is one more before the point than there was.
fn round_to_fit(pairs: &mut Vec<u8>) -> bool {
    let up = pairs[PAIRS_MAX] >= 50;
    pairs.truncate(PAIRS_MAX);
    if !up {
        return false;
    }
    for pair in pairs.iter_mut().rev() {
        *pair += 1;
        if *pair < 100 {
            return false;
        }
        *pair = 0;
    }
    pairs.insert(0, 1);
    pairs.pop();
    true
}

/// The number as text, without exponent. `None` where the bytes are none.
pub fn decode(bytes: &[u8]) -> Option<String> {
    let (first, rest) = bytes.split_first()?;
    if *first == ZERO && rest.is_empty() {
        return Some("0".to_owned());
    }
    let negative = first & 0x80 == 0;
    let (exponent, rest) = if negative {
        (62 - i32::from(*first), rest.strip_suffix(&[NEGATIVE_END]).unwrap_or(rest))
    } else {
        (i32::from(*first) - 193, rest)
    };
    if rest.is_empty() || rest.len() > PAIRS_MAX {
        return None;
    }
    let mut digits = String::with_capacity(rest.len() * 2);
    for byte in rest {
        let pair = if negative { 101u8.checked_sub(*byte)? } else { byte.checked_sub(1)? };
        if pair > 99 {
            return None;
        }
        digits.push(char::from(b'0' + pair / 10));
        digits.push(char::from(b'0' + pair % 10));
    }
    let point = (exponent + 1) * 2;
    let (whole, fraction) = if point <= 0 {
        ("0".to_owned(), format!("{}{digits}", "0".repeat(point.unsigned_abs() as usize)))
    } else {
        let point = point as usize;
        if digits.len() < point {
            digits.push_str(&"0".repeat(point - digits.len()));
        }
        let fraction = digits.split_off(point);
        (digits, fraction)
    };
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let mut text = String::with_capacity(whole.len() + fraction.len() + 3);
    if negative {
        text.push('-');
    }
    text.push_str(if whole.is_empty() { "0" } else { whole });
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes as `DUMP` shows them in Oracle's documentation.
    #[test]
    fn numbers_have_the_documented_bytes() {
        for (text, bytes) in [
            ("0", &[128][..]),
            ("1", &[193, 2]),
            ("5", &[193, 6]),
            ("-5", &[62, 96, 102]),
            ("10", &[193, 11]),
            ("100", &[194, 2]),
            ("123", &[194, 2, 24]),
            ("-123", &[61, 100, 78, 102]),
            ("2767", &[194, 28, 68]),
            ("-2767", &[61, 74, 34, 102]),
            ("100000", &[195, 11]),
            ("1234567", &[196, 2, 24, 46, 68]),
            ("0.1", &[192, 11]),
            ("0.01", &[192, 2]),
            ("0.001", &[191, 11]),
            ("-12.5", &[62, 89, 51, 102]),
        ] {
            assert_eq!(encode(text).as_deref(), Some(bytes), "{text}");
            assert_eq!(decode(bytes).as_deref(), Some(text));
        }
    }

    #[test]
    fn forms_of_the_same_number_are_the_same_bytes() {
        for (text, plain) in [
            ("+1", "1"),
            ("007", "7"),
            ("1.50", "1.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("-0", "0"),
            ("0.000", "0"),
            ("1.5e3", "1500"),
            ("25E-1", "2.5"),
            ("1e125", &format!("1{}", "0".repeat(125))),
        ] {
            assert_eq!(encode(text).and_then(|bytes| decode(&bytes)).as_deref(), Some(plain), "{text}");
        }
    }

    #[test]
    fn all_digits_of_the_largest_decimals_come_back() {
        for text in [
            "99999999999999999999999999999999999999",
            "-99999999999999999999999999999999999999",
            "12345678901234567890.123456789012345678",
            "-123456789012345678901234567890.000000001",
        ] {
            assert_eq!(encode(text).and_then(|bytes| decode(&bytes)).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "-", ".", "abc", "1.2.3", "1e", "1e999", "1e126", "12a", "١"] {
            assert_eq!(encode(text), None, "{text}");
        }
    }

    #[test]
    fn digits_that_do_not_fit_are_rounded() {
        let nines = "9".repeat(42);
        let rounded = encode(&nines).and_then(|bytes| decode(&bytes));
        assert_eq!(rounded, Some(format!("1{}", "0".repeat(42))));
    }

    proptest! {
        #[test]
        fn every_whole_number_comes_back(value: i64) {
            let text = value.to_string();
            prop_assert_eq!(encode(&text).and_then(|bytes| decode(&bytes)), Some(text));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            decode(&bytes);
        }
    }
}
