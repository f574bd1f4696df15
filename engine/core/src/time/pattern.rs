//! strftime patterns: jiff reads them, and a fast path reads the common ones.

use jiff::civil::{DateTime, date};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

use super::civil::{checked_days, days_from_civil};
use super::iso::fixed_digits;
use super::{Civil, SECOND_NANOS};

/// What patterns are tried out on: no two of its numbers are equal, and the hour is in the afternoon.
const PROBE: DateTime = date(2001, 2, 3).at(16, 5, 6, 789_000_000);

/// A pattern that was tried out: what it writes it reads back.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    source: String,
    /// The pattern as fixed-width parts, where it has no other.
    fixed: Option<Vec<Part>>,
    has_date: bool,
    has_time: bool,
}

/// What a text in a pattern says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PatternValue {
    Date(i64),
    Civil(Civil),
    Instant { secs: i64, nanos: u32 },
    Time(i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Literal(u8),
}

impl Pattern {
    /// Tries the pattern out on a known date-time. The error says, to the expert, what is wrong with it.
    pub(super) fn compile(source: &str) -> Result<Self, String> {
        if names_a_zone(source) {
            return Err(format!("the pattern `{source}` reads a zone's name; set `timezone` instead, or use `%z`"));
        }
        let probe = PROBE.to_zoned(TimeZone::UTC).map_err(|error| error.to_string())?;
        let written = BrokenDownTime::from(&probe)
            .to_string(source)
            .map_err(|error| format!("the pattern `{source}` is wrong: {error}"))?;
        let read = BrokenDownTime::parse(source, &written)
            .map_err(|error| format!("the pattern `{source}` cannot be read back: {error}"))?;
        if read.timestamp().is_some() {
            return Ok(Self { source: source.to_owned(), fixed: None, has_date: true, has_time: true });
        }
        let has_date = read.to_date().is_ok_and(|date| date == probe.date());
        let has_time = read.hour().is_some() || read.minute().is_some() || read.second().is_some();
        if has_time && !read.to_time().is_ok_and(|time| time.hour() == probe.hour()) {
            return Err(format!(
                "the pattern `{source}` does not say the hour of the day: use `%H`, or `%I` together with `%p`"
            ));
        }
        let names_date = read.year().is_some() || read.month().is_some() || read.day().is_some();
        if !has_date && (names_date || !has_time) {
            return Err(format!("the pattern `{source}` does not say a whole date: use `%Y`, `%m` and `%d`"));
        }
        Ok(Self { source: source.to_owned(), fixed: fixed_parts(source), has_date, has_time })
    }

    /// The pattern as written.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Whether the pattern says a date.
    pub(super) fn has_date(&self) -> bool {
        self.has_date
    }

    /// Whether the pattern says a time of day.
    pub(super) fn has_time(&self) -> bool {
        self.has_time
    }

    /// Reads a text; the error is jiff's.
    pub(super) fn parse(&self, text: &str) -> Result<PatternValue, String> {
        match self.parse_fixed(text) {
            Some(value) => Ok(value),
            None => self.parse_any(text).map_err(|error| error.to_string()),
        }
    }

    /// Reads a text that fills the fixed-width parts exactly. Everything else is left to jiff, mistakes included.
    fn parse_fixed(&self, text: &str) -> Option<PatternValue> {
        let mut rest = text.as_bytes();
        let (mut year, mut month, mut day, mut hour, mut minute, mut second) = (1, 1, 1, 0, 0, 0);
        for part in self.fixed.as_deref()? {
            let width = if *part == Part::Year { 4 } else { 2 };
            let field = match part {
                Part::Literal(byte) => {
                    rest = rest.strip_prefix(std::slice::from_ref(byte))?;
                    continue;
                }
                Part::Year => &mut year,
                Part::Month => &mut month,
                Part::Day => &mut day,
                Part::Hour => &mut hour,
                Part::Minute => &mut minute,
                Part::Second => &mut second,
            };
            *field = fixed_digits(rest.get(..width)?)?;
            rest = &rest[width..];
        }
        if !rest.is_empty() || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let nanos_of_day = i64::from(hour * 3600 + minute * 60 + second) * SECOND_NANOS;
        if !self.has_date {
            return Some(PatternValue::Time(nanos_of_day));
        }
        let days = checked_days(year, month, day)?;
        Some(if self.has_time {
            PatternValue::Civil(Civil::from_parts(days, nanos_of_day))
        } else {
            PatternValue::Date(days)
        })
    }

    fn parse_any(&self, text: &str) -> Result<PatternValue, jiff::Error> {
        let read = BrokenDownTime::parse(&self.source, text)?;
        if let Some(timestamp) = read.timestamp() {
            let nanos = timestamp.as_nanosecond();
            return Ok(PatternValue::Instant {
                secs: nanos.div_euclid(i128::from(SECOND_NANOS)) as i64,
                nanos: nanos.rem_euclid(i128::from(SECOND_NANOS)) as u32,
            });
        }
        let time = read.to_time()?;
        let whole = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
        let nanos_of_day = whole * SECOND_NANOS + i64::from(time.subsec_nanosecond());
        if !self.has_date {
            return Ok(PatternValue::Time(nanos_of_day));
        }
        let date = read.to_date()?;
        let days = days_from_civil(date.year().into(), date.month() as u32, date.day() as u32);
        if !self.has_time {
            return Ok(PatternValue::Date(days));
        }
        let civil = Civil::from_parts(days, nanos_of_day);
        Ok(match read.offset() {
            Some(offset) => {
                PatternValue::Instant { secs: civil.secs - i64::from(offset.seconds()), nanos: civil.nanos }
            }
            None => PatternValue::Civil(civil),
        })
    }
}

/// Whether a pattern contains `%Q`, `%:Q` or `%Z`: a zone's name would have to be looked up for every row.
fn names_a_zone(source: &str) -> bool {
    let mut bytes = source.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let directive = bytes.find(|byte| byte.is_ascii_alphabetic() || *byte == b'%');
            if matches!(directive, Some(b'Q' | b'Z')) {
                return true;
            }
        }
    }
    false
}

fn fixed_parts(source: &str) -> Option<Vec<Part>> {
    use Part::{Day, Hour, Literal, Minute, Month, Second, Year};
    let mut parts = Vec::new();
    let mut bytes = source.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            parts.push(Literal(byte));
            continue;
        }
        match bytes.next()? {
            b'Y' => parts.push(Year),
            b'm' => parts.push(Month),
            b'd' => parts.push(Day),
            b'H' => parts.push(Hour),
            b'M' => parts.push(Minute),
            b'S' => parts.push(Second),
            b'F' => parts.extend([Year, Literal(b'-'), Month, Literal(b'-'), Day]),
            b'T' => parts.extend([Hour, Literal(b':'), Minute, Literal(b':'), Second]),
            b'R' => parts.extend([Hour, Literal(b':'), Minute]),
            b'%' => parts.push(Literal(b'%')),
            _ => return None,
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, expected: Option<PatternValue>) {
        let pattern = Pattern::compile(pattern).expect("a pattern");
        assert_eq!(pattern.parse(text).ok(), expected, "{text:?}");
    }

    fn civil(secs: i64, nanos: u32) -> Option<PatternValue> {
        Some(PatternValue::Civil(Civil { secs, nanos }))
    }

    #[test]
    fn patterns_are_read() {
        check("%d.%m.%Y", "29.03.2025", Some(PatternValue::Date(20_176)));
        check("%d.%m.%Y", "9.3.2025", Some(PatternValue::Date(20_156)));
        check("%d.%m.%y", "29.03.25", Some(PatternValue::Date(20_176)));
        check("%d.%m.%Y %H:%M:%S", "29.03.2025 22:00:01", civil(1_743_285_601, 0));
        check("%d.%m.%Y %H:%M:%S.%f", "29.03.2025 22:00:01.25", civil(1_743_285_601, 250_000_000));
        check("%Y%m%d%H%M%S", "20250329220001", civil(1_743_285_601, 0));
        check("%d-%b-%Y %I:%M %p", "29-Mar-2025 10:00 PM", civil(1_743_285_600, 0));
        check(
            "%Y-%m-%dT%H:%M:%S%z",
            "2025-03-29T22:00:00+0200",
            Some(PatternValue::Instant { secs: 1_743_278_400, nanos: 0 }),
        );
        check("%s", "1743278400", Some(PatternValue::Instant { secs: 1_743_278_400, nanos: 0 }));
        check("%H%M", "0600", Some(PatternValue::Time(21_600 * SECOND_NANOS)));
        check("%Y%j", "2025088", Some(PatternValue::Date(20_176)));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        check("%d.%m.%Y", "29.02.2025", None);
        check("%d.%m.%Y", "2025-03-29", None);
        check("%d.%m.%Y", "29.03.2025 22:00", None);
        check("%d.%m.%Y", "", None);
        check("%H%M", "2400", None);
        check("%H%M", "06:00", None);
    }

    #[test]
    fn a_pattern_that_cannot_work_is_refused_with_a_reason() {
        #[track_caller]
        fn check(pattern: &str, reason: &str) {
            let error = Pattern::compile(pattern).expect_err("no pattern");
            assert!(error.contains(reason), "{error}");
        }
        check("%d.%m.", "whole date");
        check("dd.mm.yyyy", "whole date");
        check("", "whole date");
        check("%d.%m %H:%M", "whole date");
        check("%Y-%m-%d %I:%M", "hour of the day");
        check("%Y-%m-%d %M", "hour of the day");
        check("%Y-%m-%d %H:%M %Q", "zone's name");
        check("%Y-%m-%d %H:%M %Z", "zone's name");
        check("%Y-%m-%d %H:%M %:Q", "zone's name");
        check("%Y-%E", "wrong");
        check("%Y-%m-%d %", "wrong");
        check("%m/%d", "whole date");
    }

    proptest! {
        #[test]
        fn the_fast_path_agrees_with_jiff(
            pattern in prop_oneof![
                Just("%Y-%m-%d %H:%M:%S"), Just("%d.%m.%Y"), Just("%Y%m%d%H%M%S"), Just("%F %T"), Just("%H%M"),
                Just("%R"),
            ],
            text in prop_oneof![
                "[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}",
                "[0-3][0-9].[01][0-9].[0-9]{4}", "[0-9]{14}", "[0-9]{4}", "[0-9]{2}:[0-9]{2}",
            ],
        ) {
            let pattern = Pattern::compile(pattern).expect("a pattern");
            if let Some(fast) = pattern.parse_fixed(&text) {
                prop_assert_eq!(Some(fast), pattern.parse_any(&text).ok());
            }
        }
    }
}
