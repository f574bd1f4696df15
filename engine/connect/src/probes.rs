//! What the probes of several drivers share.

use engine_core::probe::{ClockReading, Known};
use jiff::Timestamp;

/// A look at the server's clock, from the microseconds since 1970 that it gave as text.
pub(crate) fn reading(asked: Timestamp, answered: Timestamp, micros: Option<&str>) -> Known<ClockReading> {
    let micros = micros.and_then(|text| text.trim().parse().ok());
    match micros.and_then(|micros| Timestamp::from_microsecond(micros).ok()) {
        Some(server) => Known::Is(ClockReading { server, asked, answered }),
        None => Known::Unknown("the server did not tell the time".to_owned()),
    }
}

/// The items of a list with commas; those within parentheses stay together.
pub(crate) fn split(list: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut items = vec![String::new()];
    for char in list.chars() {
        match char {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if char == ',' && depth == 0 {
            items.push(String::new());
        } else if let Some(item) = items.last_mut() {
            item.push(char);
        }
    }
    items.into_iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_outside_of_parentheses() {
        for (list, expected) in [
            ("SELECT", vec!["SELECT"]),
            ("INSERT,SELECT", vec!["INSERT", "SELECT"]),
            ("SELECT (a, b), UPDATE (c), USAGE", vec!["SELECT (a, b)", "UPDATE (c)", "USAGE"]),
            ("", vec![]),
            (" , ", vec![]),
        ] {
            assert_eq!(split(list), expected, "{list}");
        }
    }

    #[test]
    fn a_time_that_is_none_is_unknown() {
        let now = Timestamp::UNIX_EPOCH;
        for (micros, is_known) in
            [(Some("1743294600000000"), true), (Some(" 7\n"), true), (Some("soon"), false), (None, false)]
        {
            assert_eq!(reading(now, now, micros).known().is_some(), is_known, "{micros:?}");
        }
    }
}
