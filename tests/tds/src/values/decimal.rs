//! Exact decimals as text, and as whole numbers of their last place.

/// Reads digits such as `-12.50` as a sign and a whole number of units of the last place, rounded half away from zero.
/// `None` where it is no number, or has more digits than `precision`.
pub(super) fn parse(text: &str, precision: u8, scale: u8) -> Option<(bool, u128)> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + fraction.len() == 0 || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let scale = usize::from(scale);
    let kept = &fraction[..fraction.len().min(scale)];
    let rounds_up = fraction.as_bytes().get(scale).is_some_and(|digit| *digit >= b'5');
    let padded = format!("{whole}{kept:0<scale$}");
    let significant = padded.trim_start_matches('0');
    if significant.len() > usize::from(precision) {
        return None;
    }
    let units: u128 = if significant.is_empty() { 0 } else { significant.parse().ok()? };
    let units = units + u128::from(rounds_up);
    (units < 10_u128.pow(u32::from(precision))).then_some((negative && units > 0, units))
}

/// Writes a whole number of units of the last place.
pub(super) fn text(negative: bool, units: u128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{units:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if negative && units > 0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        for (text_, precision, scale, expected) in [
            ("-12.50", 10, 2, Some((true, 1250))),
            ("12.5", 10, 2, Some((false, 1250))),
            ("12.345", 10, 2, Some((false, 1235))),
            ("-0.00", 10, 2, Some((false, 0))),
            (".5", 3, 1, Some((false, 5))),
            ("99999999999999999999999999999999999999", 38, 0, Some((false, 10_u128.pow(38) - 1))),
            ("999.995", 5, 2, None),
            ("1000", 5, 2, None),
            ("", 5, 2, None),
            ("1e3", 5, 2, None),
            ("--1", 5, 2, None),
        ] {
            assert_eq!(parse(text_, precision, scale), expected, "{text_}");
        }
    }

    #[test]
    fn the_last_place_is_always_written() {
        for (negative, units, scale, expected) in
            [(true, 1250, 2, "-12.50"), (false, 5, 3, "0.005"), (true, 0, 1, "0.0"), (false, 7, 0, "7")]
        {
            assert_eq!(text(negative, units, scale), expected);
        }
    }
}
