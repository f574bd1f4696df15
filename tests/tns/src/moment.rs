//! Dates, times and intervals: bytes with an offset each.

use std::str::FromStr;

/// Bytes of a DATE.
pub const DATE_BYTES: usize = 7;
/// Bytes of a TIMESTAMP with a fraction.
pub const TIMESTAMP_BYTES: usize = 11;
/// Bytes of a TIMESTAMP WITH TIME ZONE.
pub const ZONED_BYTES: usize = 13;
const HOUR_OFFSET: i32 = 20;
const MINUTE_OFFSET: i32 = 60;
const INTERVAL_OFFSET: i64 = 60;
const INTERVAL_MIDDLE: i64 = 1 << 31;
const NANOS: u32 = 1_000_000_000;
const SECONDS_OF_DAY: i64 = 86_400;

/// A reading of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Clock {
    year: i32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
}

fn parsed<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn nanos(fraction: &str) -> Option<u32> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    parsed(&digits)
}

fn parse(text: &str) -> Option<Clock> {
    let (date, time) = text.trim().split_once([' ', 'T']).unwrap_or((text.trim(), "00:00:00"));
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (parsed(parts.next()?)?, parsed(parts.next()?)?, parsed(parts.next()?)?);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = time.splitn(3, ':');
    let (hour, minute) = (parsed(parts.next()?)?, parsed(parts.next()?)?);
    let second = parts.next().map_or(Some(0), parsed)?;
    let clock = Clock { year, month, day, hour, minute, second, nanos: nanos(fraction)? };
    let days = days_of_month(year, month)?;
    let fits = (1..=9999).contains(&year) && (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60;
    fits.then_some(clock)
}

fn days_of_month(year: i32, month: u32) -> Option<u32> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    Some(match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    })
}

/// Days since 1970-01-01 of a day in the Gregorian calendar.
fn days(year: i32, month: u32, day: u32) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let month = i64::from(month);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn from_seconds(seconds: i64, nanos: u32) -> Option<Clock> {
    let (day, rest) = (seconds.div_euclid(SECONDS_OF_DAY), seconds.rem_euclid(SECONDS_OF_DAY) as u32);
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let month = (if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 }) as u32;
    let year = i32::try_from(year_of_era + era * 400).ok()? + i32::from(month <= 2);
    Some(Clock {
        year,
        month,
        day: (of_year - (153 * month_from_march + 2) / 5 + 1) as u32,
        hour: rest / 3_600,
        minute: rest / 60 % 60,
        second: rest % 60,
        nanos,
    })
}

fn shift(clock: Clock, minutes: i32) -> Option<Clock> {
    let seconds = days(clock.year, clock.month, clock.day) * SECONDS_OF_DAY
        + i64::from(clock.hour * 3_600 + clock.minute * 60 + clock.second)
        + i64::from(minutes) * 60;
    from_seconds(seconds, clock.nanos).filter(|moved| (1..=9999).contains(&moved.year))
}

fn offset_minutes(text: &str) -> Option<i32> {
    let text = text.trim();
    if matches!(text, "Z" | "UTC") {
        return Some(0);
    }
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes): (i32, i32) = (parsed(hours)?, parsed(minutes)?);
    ((0..=15).contains(&hours) && (0..60).contains(&minutes)).then_some(sign * (hours * 60 + minutes))
}

fn date_bytes(clock: Clock) -> Vec<u8> {
    vec![
        (clock.year / 100 + 100) as u8,
        (clock.year % 100 + 100) as u8,
        clock.month as u8,
        clock.day as u8,
        clock.hour as u8 + 1,
        clock.minute as u8 + 1,
        clock.second as u8 + 1,
    ]
}

/// A DATE of `2025-03-30` or `2025-03-30 01:30:00`.
pub fn encode_date(text: &str) -> Option<Vec<u8>> {
    parse(text).map(date_bytes)
}

/// A TIMESTAMP of the same, with a fraction. Oracle sends none where it is zero.
pub fn encode_timestamp(text: &str) -> Option<Vec<u8>> {
    let clock = parse(text)?;
    let mut out = date_bytes(clock);
    if clock.nanos > 0 {
        out.extend_from_slice(&clock.nanos.to_be_bytes());
    }
    Some(out)
}

/// A TIMESTAMP WITH TIME ZONE of the same with ` +02:00`.
pub fn encode_zoned(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let (local, offset) = text.rsplit_once(' ').filter(|(_, last)| offset_minutes(last).is_some())?;
    let minutes = offset_minutes(offset)?;
    let clock = shift(parse(local)?, -minutes)?;
    let mut out = date_bytes(clock);
    out.extend_from_slice(&clock.nanos.to_be_bytes());
    out.push((minutes / 60 + HOUR_OFFSET) as u8);
    out.push((minutes % 60 + MINUTE_OFFSET) as u8);
    Some(out)
}

/// The text of a DATE or a TIMESTAMP of any kind.
pub fn decode(bytes: &[u8]) -> Option<String> {
    if ![DATE_BYTES, TIMESTAMP_BYTES, ZONED_BYTES].contains(&bytes.len()) {
        return None;
    }
    let part = |at: usize, offset: u8| bytes[at].checked_sub(offset).map(u32::from);
    let (century, year) = (part(0, 100)?, part(1, 100)?);
    let mut clock = Clock {
        year: (century * 100 + year) as i32,
        month: u32::from(bytes[2]),
        day: u32::from(bytes[3]),
        hour: part(4, 1)?,
        minute: part(5, 1)?,
        second: part(6, 1)?,
        nanos: bytes.get(7..11).map_or(Some(0), |four| four.try_into().ok().map(u32::from_be_bytes))?,
    };
    let fits = days_of_month(clock.year, clock.month).is_some_and(|days| (1..=days).contains(&clock.day))
        && clock.hour < 24
        && clock.minute < 60
        && clock.second < 60
        && clock.nanos < NANOS;
    if !fits {
        return None;
    }
    let zone =
        bytes.get(11..13).map(|zone| (i32::from(zone[0]) - HOUR_OFFSET) * 60 + i32::from(zone[1]) - MINUTE_OFFSET);
    if let Some(minutes) = zone {
        clock = shift(clock, minutes)?;
    }
    let Clock { year, month, day, hour, minute, second, nanos } = clock;
    let mut text = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
    if nanos > 0 {
        text.push_str(format!(".{nanos:09}").trim_end_matches('0'));
    }
    if let Some(minutes) = zone {
        let sign = if minutes < 0 { '-' } else { '+' };
        text.push_str(&format!(" {sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60));
    }
    Some(text)
}

/// An INTERVAL DAY TO SECOND of `+1 02:03:04.5`.
pub fn encode_interval(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (days, time) = rest.split_once(' ')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = time.splitn(3, ':').map(parsed::<i64>);
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let days: i64 = parsed(days)?;
    if !(0..1_000_000_000).contains(&days) || hours >= 24 || minutes >= 60 || seconds >= 60 {
        return None;
    }
    let mut out = Vec::with_capacity(11);
    out.extend_from_slice(&((INTERVAL_MIDDLE + sign * days) as u32).to_be_bytes());
    out.extend([hours, minutes, seconds].map(|part| (INTERVAL_OFFSET + sign * part) as u8));
    out.extend_from_slice(&((INTERVAL_MIDDLE + sign * i64::from(nanos(fraction)?)) as u32).to_be_bytes());
    Some(out)
}

/// The text of an INTERVAL DAY TO SECOND: `1 02:03:04.5`.
pub fn decode_interval(bytes: &[u8]) -> Option<String> {
    let bytes: &[u8; 11] = bytes.try_into().ok()?;
    let long = |at: usize| {
        i64::from(u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])) - INTERVAL_MIDDLE
    };
    let short = |at: usize| i64::from(bytes[at]) - INTERVAL_OFFSET;
    // Clients may send parts of different signs.
    let seconds = long(0) * SECONDS_OF_DAY + short(4) * 3_600 + short(5) * 60 + short(6);
    let total = i128::from(seconds) * i128::from(NANOS) + i128::from(long(7));
    let (seconds, nanos) = (total.unsigned_abs() / u128::from(NANOS), total.unsigned_abs() % u128::from(NANOS));
    let (days, rest) = (seconds / SECONDS_OF_DAY as u128, seconds % SECONDS_OF_DAY as u128);
    let sign = if total < 0 { "-" } else { "" };
    let mut text = format!("{sign}{days} {:02}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60);
    if nanos > 0 {
        text.push_str(format!(".{nanos:09}").trim_end_matches('0'));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes as `DUMP` shows them in Oracle's documentation, and their text.
    #[test]
    fn dates_have_the_documented_bytes() {
        let date = [120, 125, 3, 30, 2, 31, 1];
        assert_eq!(encode_date("2025-03-30 01:30:00").as_deref(), Some(&date[..]));
        assert_eq!(decode(&date).as_deref(), Some("2025-03-30 01:30:00"));
        assert_eq!(encode_date("1999-12-31").as_deref(), Some(&[119, 199, 12, 31, 1, 1, 1][..]));
    }

    #[test]
    fn a_timestamp_has_a_fraction_where_there_is_one() {
        let with = [120, 125, 3, 30, 2, 31, 1, 7, 91, 205, 21];
        assert_eq!(encode_timestamp("2025-03-30 01:30:00.123456789").as_deref(), Some(&with[..]));
        assert_eq!(decode(&with).as_deref(), Some("2025-03-30 01:30:00.123456789"));
        assert_eq!(encode_timestamp("2025-03-30 01:30:00.000").map(|bytes| bytes.len()), Some(DATE_BYTES));
    }

    #[test]
    fn a_time_with_a_zone_is_utc_and_the_offset() {
        for (text, utc_day, utc_hour, zone) in [
            ("2025-03-30 01:30:00 +02:00", 29, 23, [22, 60]),
            ("2025-03-30 01:30:00 -03:30", 30, 5, [17, 30]),
            ("2025-03-30 01:30:00.5 +00:00", 30, 1, [20, 60]),
        ] {
            let bytes = encode_zoned(text).unwrap_or_default();
            assert_eq!(bytes.len(), ZONED_BYTES, "{text}");
            assert_eq!((bytes[3], bytes[4] - 1), (utc_day, utc_hour), "{text}");
            assert_eq!(bytes[11..], zone, "{text}");
            assert_eq!(decode(&bytes).as_deref(), Some(text));
        }
    }

    #[test]
    fn intervals_come_back() {
        for text in ["1 02:03:04.5", "-10 00:00:01", "0 00:00:00", "365 23:59:59.123456789"] {
            assert_eq!(encode_interval(text).and_then(|bytes| decode_interval(&bytes)).as_deref(), Some(text));
        }
        let mixed = [127, 255, 255, 253, 83, 119, 117, 128, 0, 0, 0];
        assert_eq!(decode_interval(&mixed).as_deref(), Some("-2 00:00:03"));
        assert_eq!(encode_interval("1 1:1:1").map(|bytes| bytes[..4].to_vec()), Some(vec![128, 0, 0, 1]));
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in ["", "2025", "2025-02-29", "2025-13-01", "2025-01-01 24:00:00", "0000-01-01", "2025-01-01 1:2:3.x"]
        {
            assert_eq!(encode_timestamp(text), None, "{text}");
        }
        for text in ["2025-01-01 00:00:00", "0001-01-01 00:00:00 +02:00", "2025-01-01 00:00:00 +2"] {
            assert_eq!(encode_zoned(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_second_comes_back(seconds in -62_135_596_800i64..253_402_300_799) {
            let text = from_seconds(seconds, 0).map(|clock| decode(&date_bytes(clock)).unwrap_or_default());
            let text = text.unwrap_or_default();
            let clock = parse(&text);
            prop_assert!(clock.is_some(), "{text}");
            prop_assert_eq!(clock.and_then(|clock| shift(clock, 0)), clock);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            decode(&bytes);
            decode_interval(&bytes);
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            encode_timestamp(&text);
            encode_zoned(&text);
            encode_interval(&text);
        }
    }
}
