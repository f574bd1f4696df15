//! Ways into a batch that every driver shares.

use std::ops::RangeInclusive;

use engine_core::value::{Column, RowBatch, Slot};

/// Nanoseconds of a microsecond, the grain of PostgreSQL's and MySQL's times.
pub(crate) const MICRO_NANOS: i64 = 1_000;
/// Microseconds of a second.
pub(crate) const SECOND_MICROS: i64 = 1_000_000;
/// Seconds of a day.
pub(crate) const DAY_SECS: i64 = 86_400;

/// The days and seconds, from 1970-01-01, of the years −9999 to 9999: what the calendar of the engine can say.
pub(crate) const CALENDAR_DAYS: RangeInclusive<i32> = -4_371_587..=2_932_896;
/// See [`CALENDAR_DAYS`].
pub(crate) const CALENDAR_SECS: RangeInclusive<i64> = -4_371_587 * DAY_SECS..=2_932_897 * DAY_SECS - 1;

/// Appends a value that cannot be carried, with its column and type.
pub(crate) fn push_bad(batch: &mut RowBatch, column: &Column, why: &str) {
    batch.push_bad(&column.refusal(why));
}

/// Appends text of a fixed-width column without its padding.
pub(crate) fn push_utf8_padded(batch: &mut RowBatch, bytes: &[u8]) {
    let padding = bytes.iter().rev().take_while(|byte| **byte == b' ').count();
    batch.push_utf8(&bytes[..bytes.len() - padding]);
}

/// Appends a floating-point number; one that no JSON number can be is bad.
pub(crate) fn push_float(batch: &mut RowBatch, column: &Column, number: f64) {
    if number.is_finite() {
        batch.push(Slot::Float(number));
    } else {
        push_bad(batch, column, &format!("{number} is not a finite number"));
    }
}

/// Seconds and nanoseconds of microseconds since an epoch; the nanoseconds are never negative.
pub(crate) fn split_micros(micros: i64) -> (i64, u32) {
    let nanos = micros.rem_euclid(SECOND_MICROS) * MICRO_NANOS;
    (micros.div_euclid(SECOND_MICROS), nanos as u32)
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar; `None` where there is no such date.
pub(crate) fn epoch_days(year: i32, month: u8, day: u8) -> Option<i32> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u8::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March put the leap day last, which makes month lengths a linear formula.
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    i32::try_from(days).ok()
}

/// Days from 1970-01-01 to a date that exists.
pub(crate) fn epoch_days_of(date: jiff::civil::Date) -> i32 {
    epoch_days(date.year().into(), date.month() as u8, date.day() as u8).expect("a date of jiff exists")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_agree_with_the_calendar() {
        let mut date = jiff::civil::date(1899, 12, 25);
        let epoch = jiff::civil::date(1970, 1, 1);
        for _ in 0..80_000 {
            let expected = (date - epoch).get_days();
            assert_eq!(epoch_days(date.year().into(), date.month() as u8, date.day() as u8), Some(expected), "{date}");
            date = date.tomorrow().unwrap();
        }
    }

    #[test]
    fn the_calendar_ends_where_its_library_ends() {
        let days = |date: jiff::civil::Date| epoch_days_of(date);
        assert_eq!(CALENDAR_DAYS, days(jiff::civil::Date::MIN)..=days(jiff::civil::Date::MAX));
        assert_eq!(*CALENDAR_SECS.end(), 253_402_300_799);
    }

    #[test]
    fn dates_that_are_none() {
        for (year, month, day) in
            [(2025, 0, 1), (2025, 13, 1), (2025, 1, 0), (2025, 2, 29), (1900, 2, 29), (2024, 4, 31)]
        {
            assert_eq!(epoch_days(year, month, day), None, "{year}-{month}-{day}");
        }
        assert!(epoch_days(2000, 2, 29).is_some());
    }

    #[test]
    fn micros_before_the_epoch_keep_their_fraction() {
        assert_eq!(split_micros(-1), (-1, 999_999_000));
        assert_eq!(split_micros(1_500_000), (1, 500_000_000));
    }
}
