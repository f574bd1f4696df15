//! What the probes of several drivers share.

use engine_core::probe::{ClockReading, Known};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A look at the server's clock, from the microseconds since 1970 that it gave as text.
pub(crate) fn reading(asked: Timestamp, answered: Timestamp, micros: Option<&str>) -> Known<ClockReading> {
    let micros = micros.and_then(|text| text.trim().parse().ok());
    told(asked, answered, micros.and_then(|micros| Timestamp::from_microsecond(micros).ok()))
}

/// A look at the server's clock, from the date and time in UTC that it gave as text.
pub(crate) fn reading_in_utc(asked: Timestamp, answered: Timestamp, utc: Option<&str>) -> Known<ClockReading> {
    let civil = utc.and_then(|utc| utc.parse::<DateTime>().ok());
    told(asked, answered, civil.and_then(|civil| TimeZone::UTC.to_timestamp(civil).ok()))
}

fn told(asked: Timestamp, answered: Timestamp, server: Option<Timestamp>) -> Known<ClockReading> {
    match server {
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

    #[test]
    fn the_clock_is_read_to_its_last_digit() {
        let at = |utc| {
            reading_in_utc(Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH, utc).known().map(|reading| reading.server)
        };
        assert_eq!(at(Some("2025-03-30T00:30:00.1234567")), "2025-03-30T00:30:00.1234567Z".parse().ok());
        assert_eq!(at(Some("now")), None);
        assert_eq!(at(None), None);
    }
}
