//! PostgreSQL's binary `numeric`: groups of four decimal digits with a weight, a sign and a scale.

/// Decimal digits of a group.
const GROUP_DIGITS: usize = 4;
const SIGN_NEGATIVE: u16 = 0x4000;
const SIGN_NAN: u16 = 0xC000;
const SIGN_POSITIVE_INFINITY: u16 = 0xD000;
const SIGN_NEGATIVE_INFINITY: u16 = 0xF000;

/// Writes the exact digits of a binary `numeric` into `out`, which is cleared first; scale zeros are kept.
pub(super) fn digits(bytes: &[u8], out: &mut String) -> Result<(), &'static str> {
    out.clear();
    let word = |index: usize| -> Result<u16, &'static str> {
        let pair = bytes.get(2 * index..2 * index + 2).ok_or("a numeric that is cut short")?;
        Ok(u16::from_be_bytes([pair[0], pair[1]]))
    };
    let groups = usize::from(word(0)?);
    let weight = i32::from(word(1)? as i16);
    let scale = usize::from(word(3)?);
    match word(2)? {
        0 => {}
        SIGN_NEGATIVE => out.push('-'),
        SIGN_NAN => return Err("NaN is not a finite number"),
        SIGN_POSITIVE_INFINITY | SIGN_NEGATIVE_INFINITY => return Err("infinity is not a finite number"),
        _ => return Err("a numeric of unknown sign"),
    }
    let group = |place: i32| -> Result<u16, &'static str> {
        match usize::try_from(place) {
            Ok(place) if place < groups => word(4 + place),
            _ => Ok(0),
        }
    };
    if weight < 0 {
        out.push('0');
    }
    for place in 0..=weight {
        let value = group(place)?;
        push_group(out, value, place > 0);
    }
    if scale > 0 {
        out.push('.');
        let whole = out.len();
        // A weight below −1 stands for groups of zeros before the first one that is sent.
        let mut place = weight + 1;
        while out.len() - whole < scale {
            let value = group(place)?;
            push_group(out, value, true);
            place += 1;
        }
        out.truncate(whole + scale);
    }
    Ok(())
}

fn push_group(out: &mut String, value: u16, padded: bool) {
    let mut text = [b'0'; GROUP_DIGITS];
    let mut rest = value;
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let skip = if padded { 0 } else { text[..GROUP_DIGITS - 1].iter().take_while(|digit| **digit == b'0').count() };
    out.extend(text[skip..].iter().map(|digit| char::from(*digit)));
}

/// The binary form of exact digits: an optional sign, digits, an optional point and digits. `None` for anything else.
pub(super) fn encode(digits: &str) -> Option<Vec<u8>> {
    let (negative, unsigned) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(digits)),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let scale = u16::try_from(fraction.len()).ok()?;
    let lead = whole.len().next_multiple_of(GROUP_DIGITS) - whole.len();
    let trail = fraction.len().next_multiple_of(GROUP_DIGITS) - fraction.len();
    let padded = [&"000"[..lead], whole, fraction, &"000"[..trail]].concat();
    let mut groups: Vec<u16> = padded
        .as_bytes()
        .chunks(GROUP_DIGITS)
        .map(|group| group.iter().fold(0, |value, digit| value * 10 + u16::from(digit - b'0')))
        .collect();
    let mut weight = (whole.len() + lead) as i32 / GROUP_DIGITS as i32 - 1;
    let zeros = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..zeros);
    weight -= zeros as i32;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    let sign = if negative && !groups.is_empty() { SIGN_NEGATIVE } else { 0 };
    let head = [u16::try_from(groups.len()).ok()?, i16::try_from(weight).ok()? as u16, sign, scale];
    Some(head.iter().chain(&groups).flat_map(|word| word.to_be_bytes()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(words: &[u16], expected: Result<&str, &str>) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let mut out = "before".to_owned();
        assert_eq!(digits(&bytes, &mut out).map(|()| out.as_str()), expected, "{words:?}");
    }

    #[test]
    fn what_the_server_sends() {
        check(&[0, 0, 0, 0], Ok("0"));
        check(&[0, 0, 0, 2], Ok("0.00"));
        check(&[1, 0, 0, 0, 7], Ok("7"));
        check(&[1, 1, 0, 0, 1], Ok("10000"));
        check(&[2, 0, SIGN_NEGATIVE, 2, 12, 5000], Ok("-12.50"));
        check(&[1, -1_i16 as u16, 0, 4, 1], Ok("0.0001"));
        check(&[1, -2_i16 as u16, 0, 8, 1], Ok("0.00000001"));
        check(&[1, -2_i16 as u16, 0, 5, 1000], Ok("0.00001"));
        check(&[0, 0, SIGN_NAN, 0], Err("NaN is not a finite number"));
        check(&[0, 0, SIGN_NEGATIVE_INFINITY, 0], Err("infinity is not a finite number"));
        check(&[2, 0, 0, 0, 1], Ok("1"));
        check(&[1, 0, 0], Err("a numeric that is cut short"));
    }

    #[test]
    fn digits_survive_the_way_there_and_back() {
        for text in [
            "0",
            "1",
            "-1",
            "9999",
            "10000",
            "123456789012345678901234567890.123456789",
            "0.1",
            "0.0001",
            "0.00001",
            "-0.000000000000000001",
            "100000000",
            "1.10",
            "-99999999.99990000",
        ] {
            let mut out = String::new();
            digits(&encode(text).unwrap(), &mut out).unwrap();
            assert_eq!(out, text);
        }
        for (text, expected) in [(".5", "0.5"), ("+7", "7"), ("007", "7"), ("-0", "0"), ("5.", "5")] {
            let mut out = String::new();
            digits(&encode(text).unwrap(), &mut out).unwrap();
            assert_eq!(out, expected);
        }
    }

    proptest! {
        #[test]
        fn every_number_survives(number in "-?[1-9][0-9]{0,40}(\\.[0-9]{1,40})?|0\\.[0-9]{0,39}[1-9]") {
            let mut out = String::new();
            prop_assert_eq!(encode(&number).map(|bytes| digits(&bytes, &mut out)), Some(Ok(())));
            prop_assert_eq!(out, number);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
            let _ = digits(&bytes, &mut String::new());
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", ".", "-", "1e5", "1,5", "NaN", "--1", "1.2.3", " 1"] {
            assert_eq!(encode(text), None, "{text}");
        }
    }
}
