//! Points in time, and their text.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use super::civil::{DAYS_MAX, DAYS_MIN, civil_from_days};
use super::iso::{self, IsoValue};
use super::{Civil, DAY_SECS, SECOND_NANOS, TimeError, TimeErrorCode};
use crate::time::error::Quoted;

/// Bytes of the longest text of an instant: `2025-03-29T21:00:00.123456789Z`.
pub const RFC3339_BYTES_MAX: usize = 30;

/// A point in time between 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999999Z, to the nanosecond.
///
/// Sort and compare instants, not their text: within one second `…00.5Z` sorts before `…00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant {
    secs: i64,
    nanos: u32,
}

impl Instant {
    /// 0001-01-01T00:00:00Z.
    pub const MIN: Self = Self { secs: DAYS_MIN * DAY_SECS, nanos: 0 };
    /// 9999-12-31T23:59:59.999999999Z.
    pub const MAX: Self = Self { secs: (DAYS_MAX + 1) * DAY_SECS - 1, nanos: 999_999_999 };

    /// Seconds since 1970-01-01T00:00:00Z and nanoseconds of the second; `None` outside the range.
    pub const fn new(secs: i64, nanos: u32) -> Option<Self> {
        if secs < Self::MIN.secs || secs > Self::MAX.secs || nanos as i64 >= SECOND_NANOS {
            return None;
        }
        Some(Self { secs, nanos })
    }

    /// Seconds since 1970-01-01T00:00:00Z, rounded down.
    pub const fn secs(self) -> i64 {
        self.secs
    }

    /// Nanoseconds of the second.
    pub const fn nanos(self) -> u32 {
        self.nanos
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub const fn total_nanos(self) -> i128 {
        self.secs as i128 * SECOND_NANOS as i128 + self.nanos as i128
    }

    /// The instant of a count of nanoseconds since 1970-01-01T00:00:00Z; `None` outside the range.
    pub fn from_total_nanos(nanos: i128) -> Option<Self> {
        let secs = i64::try_from(nanos.div_euclid(i128::from(SECOND_NANOS))).ok()?;
        Self::new(secs, nanos.rem_euclid(i128::from(SECOND_NANOS)) as u32)
    }

    /// Microseconds since 1970-01-01T00:00:00Z, rounded down: how the ledger's columns keep it.
    pub const fn micros(self) -> i64 {
        self.secs * 1_000_000 + (self.nanos / 1_000) as i64
    }

    /// The instant of a count of microseconds since 1970-01-01T00:00:00Z, moved into the range.
    pub fn from_micros(micros: i64) -> Self {
        let clamped = if micros < 0 { Self::MIN } else { Self::MAX };
        Self::from_total_nanos(i128::from(micros) * 1_000).unwrap_or(clamped)
    }

    /// The instant in jiff's terms; `None` within the last day and two hours of the year 9999, which jiff lacks.
    pub fn to_timestamp(self) -> Option<Timestamp> {
        Timestamp::new(self.secs, self.nanos as i32).ok()
    }

    /// The instant of jiff's timestamp; `None` before the year 0001.
    pub fn from_timestamp(timestamp: Timestamp) -> Option<Self> {
        Self::from_total_nanos(timestamp.as_nanosecond())
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Rfc3339::new(*self).as_str())
    }
}

/// Reads RFC 3339, with an offset.
impl FromStr for Instant {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        match iso::parse(text) {
            Some(IsoValue::Instant { secs, nanos }) => Self::new(secs, nanos).ok_or_else(|| {
                TimeError::new(TimeErrorCode::OutOfRange, format!("{} is outside 0001 to 9999", Quoted(text)))
            }),
            _ => Err(TimeError::new(
                TimeErrorCode::Unparsable,
                format!("{} is not an instant: expected `2025-03-29T21:00:00Z`", Quoted(text)),
            )),
        }
    }
}

/// The text of an instant, RFC 3339 in UTC, on the stack: `2025-03-29T21:00:00Z`.
///
/// A fraction appears where there is one, without trailing zeros.
#[derive(Debug, Clone, Copy)]
pub struct Rfc3339 {
    bytes: [u8; RFC3339_BYTES_MAX],
    len: usize,
}

impl Rfc3339 {
    /// Writes the text.
    pub fn new(instant: Instant) -> Self {
        let mut text = Self::of_civil(Civil { secs: instant.secs, nanos: instant.nanos });
        text.bytes[text.len] = b'Z';
        text.len += 1;
        text
    }

    /// The text of a reading of a local clock, years 0001 to 9999: `2025-03-29T22:00:00`.
    pub(crate) fn of_civil(civil: Civil) -> Self {
        let mut text = Self::of_date(civil.days());
        let secs = civil.secs.rem_euclid(DAY_SECS) as u32;
        text.two_digits(11, secs / 3600);
        text.two_digits(14, secs / 60 % 60);
        text.two_digits(17, secs % 60);
        text.len = 19;
        if civil.nanos > 0 {
            text.len = 20;
            let mut rest = civil.nanos;
            let mut unit = SECOND_NANOS as u32 / 10;
            while rest > 0 {
                text.bytes[text.len] = b'0' + (rest / unit) as u8;
                text.len += 1;
                rest %= unit;
                unit /= 10;
            }
        }
        text
    }

    /// The text of a date, years 0001 to 9999: `2025-03-29`.
    pub(crate) fn of_date(days: i64) -> Self {
        let (year, month, day) = civil_from_days(days.clamp(DAYS_MIN, DAYS_MAX));
        let mut text = Self { bytes: *b"0000-00-00T00:00:00.000000000Z", len: 10 };
        text.two_digits(0, year as u32 / 100);
        text.two_digits(2, year as u32 % 100);
        text.two_digits(5, month);
        text.two_digits(8, day);
        text
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("digits and punctuation are ASCII")
    }

    /// The text's bytes, all ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Always inlined, so that the place is known to lie in the text.
    #[inline(always)]
    fn two_digits(&mut self, place: usize, number: u32) {
        self.bytes[place] = b'0' + (number / 10) as u8;
        self.bytes[place + 1] = b'0' + (number % 10) as u8;
    }
}

/// Appends the text of an instant, as [`Rfc3339`] has it. Allocates only where the text must grow.
pub fn write_rfc3339(out: &mut String, instant: Instant) {
    out.push_str(Rfc3339::new(instant).as_str());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(secs: i64, nanos: u32, text: &str) {
        let instant = Instant::new(secs, nanos).expect("in range");
        let mut out = String::from("at ");
        write_rfc3339(&mut out, instant);
        assert_eq!(out, format!("at {text}"));
        assert_eq!(text.parse(), Ok(instant));
    }

    #[test]
    fn instants_are_written_in_utc() {
        check(0, 0, "1970-01-01T00:00:00Z");
        check(1_743_282_000, 0, "2025-03-29T21:00:00Z");
        check(1_743_282_000, 500_000_000, "2025-03-29T21:00:00.5Z");
        check(1_743_282_000, 120, "2025-03-29T21:00:00.00000012Z");
        check(-1, 999_999_999, "1969-12-31T23:59:59.999999999Z");
        check(Instant::MIN.secs, 0, "0001-01-01T00:00:00Z");
        check(Instant::MAX.secs, 999_999_999, "9999-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn an_instant_outside_the_range_does_not_exist() {
        assert_eq!(Instant::new(Instant::MIN.secs - 1, 0), None);
        assert_eq!(Instant::new(Instant::MAX.secs + 1, 0), None);
        assert_eq!(Instant::new(0, 1_000_000_000), None);
        assert_eq!(Instant::from_total_nanos(i128::MAX), None);
        assert_eq!(
            "0001-01-01T00:00:00+01:00".parse::<Instant>().map_err(|error| error.code),
            Err(TimeErrorCode::OutOfRange)
        );
        assert_eq!(
            "2025-03-29T21:00:00".parse::<Instant>().map_err(|error| error.code),
            Err(TimeErrorCode::Unparsable)
        );
    }

    fn instants() -> impl Strategy<Value = Instant> {
        (Instant::MIN.secs..=Instant::MAX.secs, prop_oneof![Just(0), 0u32..1_000_000_000])
            .prop_map(|(secs, nanos)| Instant::new(secs, nanos).expect("in range"))
    }

    proptest! {
        #[test]
        fn text_round_trips(instant in instants()) {
            prop_assert_eq!(instant.to_string().parse(), Ok(instant));
            prop_assert_eq!(Instant::from_total_nanos(instant.total_nanos()), Some(instant));
        }

        #[test]
        fn text_is_that_of_jiff(instant in instants()) {
            if let Some(timestamp) = instant.to_timestamp() {
                prop_assert_eq!(instant.to_string(), timestamp.to_string());
                prop_assert_eq!(Instant::from_timestamp(timestamp), Some(instant));
            }
        }

        #[test]
        fn text_sorts_as_the_seconds_do(left in instants(), right in instants()) {
            prop_assume!(left.secs != right.secs);
            prop_assert_eq!(left.to_string().cmp(&right.to_string()), left.cmp(&right));
        }
    }
}
