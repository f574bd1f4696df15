//! Dates and times as text, as days and as fractions of a day.

/// Fractions of a second of 100 ns.
pub(super) const TICKS_PER_SECOND: u64 = 10_000_000;
pub(super) const TICKS_PER_MINUTE: u64 = 60 * TICKS_PER_SECOND;
pub(super) const TICKS_PER_DAY: u64 = 24 * 60 * TICKS_PER_MINUTE;
/// Digits of the fraction of a second.
const DIGITS: usize = 7;
/// 1900-01-01, from which old types count, in days after 0001-01-01.
pub(super) const DAYS_TO_1900: i64 = 693_595;
/// 9999-12-31.
pub(super) const DAYS_MAX: i64 = 3_652_058;
/// Days of 400 years.
const DAYS_PER_ERA: i64 = 146_097;
/// From 0000-03-01, where an era begins, to 0001-01-01.
const DAYS_OF_ERA_BEFORE: i64 = 306;

/// A day, counted from 0001-01-01, and the time of that day in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) days: i64,
    pub(super) ticks: u64,
}

impl Moment {
    /// Reads `2025-03-30`, with a time behind it where there is one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.split_once([' ', 'T']) {
            Some((date, time)) => Some(Self { days: parse_date(date)?, ticks: parse_time(time)? }),
            None => Some(Self { days: parse_date(text)?, ticks: 0 }),
        }
    }

    /// Reads a moment and the minutes of the offset from UTC that follows it.
    pub(super) fn parse_with_offset(text: &str) -> Option<(Self, i16)> {
        let at = text.rfind(['+', '-']).filter(|at| *at > "2025-03-30".len())?;
        let moment = Self::parse(text[..at].trim_end())?;
        let (hours, minutes) = text[at + 1..].split_once(':')?;
        let minutes = number(hours, 14)? * 60 + number(minutes, 59)?;
        let minutes = i16::try_from(minutes).ok()?;
        Some((moment, if text[at..].starts_with('-') { -minutes } else { minutes }))
    }

    /// Moved by ticks, over the end of the day where need be.
    pub(super) fn moved(self, by: i64) -> Option<Self> {
        let day = TICKS_PER_DAY as i64;
        let ticks = self.ticks as i64 + by;
        let days = self.days + ticks.div_euclid(day);
        (0..=DAYS_MAX).contains(&days).then_some(Self { days, ticks: ticks.rem_euclid(day) as u64 })
    }

    pub(super) fn text(self) -> String {
        format!("{} {}", date_text(self.days), time_text(self.ticks))
    }
}

/// A number of digits only, and no more than that.
fn number(text: &str, most: u64) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number <= most)
}

/// Days since 0001-01-01.
pub(super) fn parse_date(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '-');
    let year = number(parts.next()?, 9999)? as i64;
    let month = number(parts.next()?, 12)? as i64;
    let day = number(parts.next()?, 31)? as i64;
    // Years begin in March here, so that the day that some have not comes last.
    let shifted = if month > 2 { year } else { year - 1 };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = shifted.rem_euclid(400) * 365 + shifted.rem_euclid(400) / 4 - shifted.rem_euclid(400) / 100 + of_year;
    let days = shifted.div_euclid(400) * DAYS_PER_ERA + of_era - DAYS_OF_ERA_BEFORE;
    // A day that its month has not comes back as another.
    (year > 0 && month > 0 && day > 0 && date_parts(days) == (year, month, day)).then_some(days)
}

fn date_parts(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_OF_ERA_BEFORE;
    let of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + days.div_euclid(DAYS_PER_ERA) * 400 + i64::from(month <= 2);
    (year, month, day)
}

pub(super) fn date_text(days: i64) -> String {
    let (year, month, day) = date_parts(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Ticks since midnight.
pub(super) fn parse_time(text: &str) -> Option<u64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = clock.splitn(3, ':');
    let hours = number(parts.next()?, 23)?;
    let minutes = number(parts.next()?, 59)?;
    let seconds = parts.next().map_or(Some(0), |seconds| number(seconds, 59))?;
    if fraction.len() > DIGITS {
        return None;
    }
    let fraction = number(&format!("{fraction:0<DIGITS$}"), TICKS_PER_SECOND)?;
    Some((hours * 60 + minutes) * TICKS_PER_MINUTE + seconds * TICKS_PER_SECOND + fraction)
}

pub(super) fn time_text(ticks: u64) -> String {
    let seconds = ticks / TICKS_PER_SECOND;
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    match ticks % TICKS_PER_SECOND {
        0 => clock,
        fraction => format!("{clock}.{}", format!("{fraction:0DIGITS$}").trim_end_matches('0')),
    }
}

/// Rounds to units of so many ticks, half of one upward.
pub(super) fn rounded(ticks: u64, unit: u64) -> u64 {
    (ticks + unit / 2) / unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_the_first_of_the_first_year() {
        for (date, days) in [
            ("0001-01-01", 0),
            ("1900-01-01", DAYS_TO_1900),
            ("1970-01-01", 719_162),
            ("2000-02-29", 730_178),
            ("2025-03-30", 739_339),
            ("9999-12-31", DAYS_MAX),
        ] {
            assert_eq!(parse_date(date), Some(days), "{date}");
            assert_eq!(date_text(days), date);
        }
    }

    #[test]
    fn a_day_that_does_not_exist_is_none() {
        for date in ["2025-02-29", "2025-13-01", "2025-00-01", "2025-01-00", "0000-01-01", "2025-04-31", "x", "-1-1-1"]
        {
            assert_eq!(parse_date(date), None, "{date}");
        }
    }

    #[test]
    fn times_keep_their_fraction() {
        for (time, ticks) in [("00:00:00", 0), ("01:30:00.1234567", 54_001_234_567), ("23:59:59.5", 863_995_000_000)] {
            assert_eq!(parse_time(time), Some(ticks), "{time}");
            assert_eq!(time_text(ticks), time);
        }
        for time in ["24:00:00", "1:60", "01:30:00.12345678", "", "aa:bb:cc"] {
            assert_eq!(parse_time(time), None, "{time}");
        }
    }

    #[test]
    fn an_offset_stands_behind_its_moment() {
        let expected = Moment { days: 739_339, ticks: 54_000_000_000 };
        for (text, minutes) in
            [("2025-03-30 01:30:00 +02:00", 120), ("2025-03-30T01:30:00-05:30", -330), ("2025-03-30 01:30 +00:00", 0)]
        {
            assert_eq!(Moment::parse_with_offset(text), Some((expected, minutes)), "{text}");
        }
        assert_eq!(Moment::parse_with_offset("2025-03-30 01:30:00"), None);
    }
}
