//! ISO 8601 and RFC 3339 as sources write them, read without allocating.

use super::civil::checked_days;
use super::{Civil, DAY_SECS, SECOND_NANOS};

/// Digits of a fraction of a second.
const FRACTION_DIGITS_MAX: usize = 9;
/// Hours of an offset from UTC; the largest in use is 14.
const OFFSET_HOURS_MAX: u32 = 23;

/// What a text in ISO 8601 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IsoValue {
    /// `YYYY-MM-DD`: days since 1970-01-01.
    Date(i64),
    /// `YYYY-MM-DD`, `T` or a blank, `HH:MM[:SS[.fraction]]`.
    Civil(Civil),
    /// A date-time with `Z`, `+02:00`, `+0200` or `+02`, after a blank if there is one. The seconds are since
    /// 1970-01-01T00:00:00Z and may lie outside the range of an instant.
    Instant { secs: i64, nanos: u32 },
    /// `HH:MM[:SS[.fraction]]`: nanoseconds since midnight.
    Time(i64),
}

/// Reads the whole text, or nothing.
///
/// `24:00` is the start of the next day. Second 60, a leap second, is read as second 59, since neither POSIX time nor
/// any database counts it. A fraction has up to nine digits, after a point or a comma.
pub(super) fn parse(text: &str) -> Option<IsoValue> {
    let mut rest = Rest(text.as_bytes());
    if rest.0.get(2) == Some(&b':') {
        let nanos = rest.time_of_day()?;
        return rest.0.is_empty().then_some(IsoValue::Time(nanos));
    }
    let year = rest.digits(4)?;
    rest.expect(b'-')?;
    let month = rest.digits(2)?;
    rest.expect(b'-')?;
    let day = rest.digits(2)?;
    let days = checked_days(year, month, day)?;
    if rest.0.is_empty() {
        return Some(IsoValue::Date(days));
    }
    rest.one_of(b"Tt ")?;
    let civil = Civil::from_parts(days, rest.time_of_day()?);
    if rest.0.is_empty() {
        return Some(IsoValue::Civil(civil));
    }
    let offset = rest.offset()?;
    rest.0.is_empty().then_some(IsoValue::Instant { secs: civil.secs - offset, nanos: civil.nanos })
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn digits(&mut self, count: usize) -> Option<u32> {
        let number = fixed_digits(self.0.get(..count)?)?;
        self.0 = &self.0[count..];
        Some(number)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.one_of(&[byte]).map(|_| ())
    }

    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        bytes.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    fn time_of_day(&mut self) -> Option<i64> {
        let hour = self.digits(2)?;
        self.expect(b':')?;
        let minute = self.digits(2)?;
        let mut second = 0;
        let mut nanos = 0;
        if self.expect(b':').is_some() {
            second = self.digits(2)?;
            if self.one_of(b".,").is_some() {
                nanos = self.fraction()?;
            }
        }
        if minute > 59 || second > 60 {
            return None;
        }
        let whole = i64::from(hour * 3600 + minute * 60 + second.min(59));
        let in_day = hour < 24 || (whole == DAY_SECS && nanos == 0);
        in_day.then_some(whole * SECOND_NANOS + i64::from(nanos))
    }

    fn fraction(&mut self) -> Option<u32> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 || count > FRACTION_DIGITS_MAX {
            return None;
        }
        let number = self.digits(count)?;
        Some(number * 10u32.pow((FRACTION_DIGITS_MAX - count) as u32))
    }

    /// Seconds east of UTC.
    fn offset(&mut self) -> Option<i64> {
        if self.0.len() > 1 {
            let _ = self.expect(b' ');
        }
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let hours = self.digits(2)?;
        let minutes = if self.0.is_empty() {
            0
        } else {
            let _ = self.expect(b':');
            self.digits(2)?
        };
        (hours <= OFFSET_HOURS_MAX && minutes <= 59).then(|| sign * i64::from(hours * 3600 + minutes * 60))
    }
}

/// The number that these bytes, at most nine, write in decimal; `None` where one of them is no digit.
pub(super) fn fixed_digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0u32, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + u32::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<IsoValue>) {
        assert_eq!(parse(text), expected, "{text:?}");
    }

    fn civil(secs: i64, nanos: u32) -> Option<IsoValue> {
        Some(IsoValue::Civil(Civil { secs, nanos }))
    }

    fn instant(secs: i64, nanos: u32) -> Option<IsoValue> {
        Some(IsoValue::Instant { secs, nanos })
    }

    #[test]
    fn dates_times_and_both_are_read() {
        check("2025-03-29", Some(IsoValue::Date(20_176)));
        check("0001-01-01", Some(IsoValue::Date(-719_162)));
        check("2024-02-29", Some(IsoValue::Date(19_782)));
        check("2025-03-29T22:00", civil(1_743_285_600, 0));
        check("2025-03-29 22:00:01", civil(1_743_285_601, 0));
        check("2025-03-29t22:00:01.5", civil(1_743_285_601, 500_000_000));
        check("2025-03-29T22:00:01,123456789", civil(1_743_285_601, 123_456_789));
        check("2025-03-29T24:00", civil(1_743_292_800, 0));
        check("2016-12-31T23:59:60", civil(1_483_228_799, 0));
        check("2025-03-29T22:00:00Z", instant(1_743_285_600, 0));
        check("2025-03-29 22:00:00 +02:00", instant(1_743_278_400, 0));
        check("2025-03-29T22:00:00+0200", instant(1_743_278_400, 0));
        check("2025-03-29T22:00:00.25-02", instant(1_743_292_800, 250_000_000));
        check("2025-03-29T22:00+05:45", instant(1_743_264_900, 0));
        check("22:00", Some(IsoValue::Time(79_200 * SECOND_NANOS)));
        check("00:00:00.000000001", Some(IsoValue::Time(1)));
        check("24:00:00", Some(IsoValue::Time(DAY_SECS * SECOND_NANOS)));
    }

    #[test]
    fn what_is_not_iso_is_refused() {
        for text in [
            "",
            "29.03.2025",
            "2025-3-29",
            "2025-03-32",
            "2025-02-29",
            "2025-13-01",
            "0000-00-00",
            "0000-01-01",
            "20250329",
            "2025-03-29T",
            "2025-03-29 ",
            "2025-03-29X22:00",
            "2025-03-29T22",
            "2025-03-29T22:60",
            "2025-03-29T25:00",
            "2025-03-29T24:00:01",
            "2025-03-29T24:00:00.1",
            "2025-03-29T22:00:61",
            "2025-03-29T22:00:00.",
            "2025-03-29T22:00:00.1234567890",
            "2025-03-29T22:00:00+2",
            "2025-03-29T22:00:00+24",
            "2025-03-29T22:00:00+02:60",
            "2025-03-29T22:00:00+02:000",
            "2025-03-29T22:00:00Zulu",
            "2025-03-29T22:00:00 ",
            "2025-03-29Z",
            "6:00",
            "22:00:00Z",
            "２０２５-03-29",
            "-025-03-29",
        ] {
            check(text, None);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9TZ:+. ,-]{0,32}") {
            let _ = parse(&text);
        }

        #[test]
        fn an_instant_is_what_jiff_reads(
            secs in -62_135_596_800i64..=253_402_207_200,
            nanos in 0i32..1_000_000_000,
            minutes in -840i32..=840,
        ) {
            let timestamp = Timestamp::new(secs, nanos).expect("in range");
            let offset = jiff::tz::Offset::from_seconds(minutes * 60).expect("an offset");
            let text = timestamp.display_with_offset(offset).to_string();
            prop_assume!(text.starts_with(|first: char| first.is_ascii_digit()) && !text.starts_with("0000"));
            prop_assert_eq!(parse(&text), Some(IsoValue::Instant { secs, nanos: nanos as u32 }));
        }
    }
}
