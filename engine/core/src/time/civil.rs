//! Readings of a local clock, and the calendar behind them.

use super::{DAY_SECS, SECOND_NANOS};

/// First year a time may lie in.
pub(super) const YEAR_MIN: i64 = 1;
/// Last year a time may lie in.
pub(super) const YEAR_MAX: i64 = 9999;
/// Days from 1970-01-01 to 0001-01-01.
pub(super) const DAYS_MIN: i64 = days_from_civil(YEAR_MIN, 1, 1);
/// Days from 1970-01-01 to 9999-12-31.
pub(super) const DAYS_MAX: i64 = days_from_civil(YEAR_MAX, 12, 31);

/// A date-time without a zone: what a clock on the wall shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Civil {
    /// Seconds since 1970-01-01T00:00:00 on the same clock.
    pub secs: i64,
    /// Nanoseconds of the second, below 1 000 000 000.
    pub nanos: u32,
}

impl Civil {
    /// Midnight at the start of a day, counted from 1970-01-01.
    pub fn midnight(days: i64) -> Self {
        Self { secs: days.saturating_mul(DAY_SECS), nanos: 0 }
    }

    /// A day, counted from 1970-01-01, and the nanoseconds since its midnight; these may go beyond the day.
    pub fn from_parts(days: i64, nanos_of_day: i64) -> Self {
        let nanos = nanos_of_day.rem_euclid(SECOND_NANOS);
        let secs = days.saturating_mul(DAY_SECS).saturating_add(nanos_of_day.div_euclid(SECOND_NANOS));
        Self { secs, nanos: nanos as u32 }
    }

    /// The day, counted from 1970-01-01.
    pub fn days(self) -> i64 {
        self.secs.div_euclid(DAY_SECS)
    }

    /// Nanoseconds since midnight.
    pub fn nanos_of_day(self) -> i64 {
        self.secs.rem_euclid(DAY_SECS) * SECOND_NANOS + i64::from(self.nanos)
    }

    /// The same reading on the next day.
    pub fn next_day(self) -> Self {
        Self { secs: self.secs.saturating_add(DAY_SECS), nanos: self.nanos }
    }

    /// Whether the year is one of 0001 to 9999.
    pub fn is_in_range(self) -> bool {
        (DAYS_MIN * DAY_SECS..(DAYS_MAX + 1) * DAY_SECS).contains(&self.secs)
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar; the date is not checked.
///
/// Counts in eras of 400 years that start on the first of March, so that the leap day is the last of its year.
pub(crate) const fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month as i64 + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day as i64 - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a count of days from 1970-01-01, within the years 0001 to 9999.
pub(crate) const fn civil_from_days(days: i64) -> (i64, u32, u32) {
    // Not negative in these years, and without a sign a division costs a multiplication.
    let shifted = (days + 719_468) as u32;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year as i64, month, day)
}

/// Days from 1970-01-01 to a date of the years 0001 to 9999; `None` where there is no such date.
pub(super) fn checked_days(year: u32, month: u32, day: u32) -> Option<i64> {
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => return None,
    };
    let year = i64::from(year);
    ((YEAR_MIN..=YEAR_MAX).contains(&year) && (1..=last).contains(&day)).then(|| days_from_civil(year, month, day))
}

#[cfg(test)]
mod tests {
    use jiff::civil::Date;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_range_is_0001_to_9999() {
        assert_eq!((DAYS_MIN, DAYS_MAX), (-719_162, 2_932_896));
        assert_eq!(civil_from_days(DAYS_MIN), (1, 1, 1));
        assert_eq!(civil_from_days(DAYS_MAX), (9999, 12, 31));
        assert!(Civil::midnight(DAYS_MIN).is_in_range());
        assert!(!Civil { secs: DAYS_MIN * DAY_SECS - 1, nanos: 0 }.is_in_range());
        assert!(Civil { secs: (DAYS_MAX + 1) * DAY_SECS - 1, nanos: 0 }.is_in_range());
        assert!(!Civil::midnight(DAYS_MAX + 1).is_in_range());
        assert!(!Civil::midnight(i64::MAX).is_in_range());
    }

    #[test]
    fn a_reading_before_1970_has_its_own_day_and_time() {
        let reading = Civil { secs: -1, nanos: 5 };
        assert_eq!((reading.days(), reading.nanos_of_day()), (-1, 86_399 * SECOND_NANOS + 5));
    }

    proptest! {
        #[test]
        fn the_calendar_is_that_of_jiff(days in DAYS_MIN..=DAYS_MAX) {
            let (year, month, day) = civil_from_days(days);
            let date = Date::new(year as i16, month as i8, day as i8).expect("a date");
            let epoch = Date::constant(1970, 1, 1);
            prop_assert_eq!(epoch.until(date).expect("a span").get_days(), days as i32);
            prop_assert_eq!(checked_days(year as u32, month, day), Some(days));
        }

        #[test]
        fn a_date_is_refused_exactly_where_jiff_refuses_it(year in 0u32..=9999, month in 0u32..15, day in 0u32..35) {
            let known = year > 0 && Date::new(year as i16, month as i8, day as i8).is_ok();
            prop_assert_eq!(checked_days(year, month, day).is_some(), known);
        }

        #[test]
        fn parts_put_together_come_apart_again(days in DAYS_MIN..=DAYS_MAX, nanos in 0..DAY_SECS * SECOND_NANOS) {
            let reading = Civil::from_parts(days, nanos);
            prop_assert_eq!((reading.days(), reading.nanos_of_day()), (days, nanos));
        }
    }
}
