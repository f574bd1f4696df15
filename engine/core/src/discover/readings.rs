//! What the times of a sample say, as readings of some clock.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::values::text;
use super::{TableFacts, TimeColumn, TimeForm};

/// Days on which date-time types put a time of day without a date: those from which products count.
const DAYS_ZERO: &[&str] =
    &["0001-01-01", "1753-01-01", "1754-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "1970-01-01"];

/// Whether a day is one from which products count.
pub(super) fn is_day_zero(day: Date) -> bool {
    let day = day.to_string();
    DAYS_ZERO.contains(&day.as_str())
}

/// A time of a sample as a reading of some clock.
pub(super) fn reading(value: &Value) -> Option<DateTime> {
    let text = text(value);
    let text = text.trim().replacen(' ', "T", 1);
    if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let date = format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]);
        return date.parse::<Date>().ok().map(|date| date.at(0, 0, 0, 0));
    }
    if let [day, month, year] = text.split('.').collect::<Vec<_>>()[..]
        && year.len() == 4
    {
        return format!("{year}-{month}-{day}").parse::<Date>().ok().map(|date| date.at(0, 0, 0, 0));
    }
    let civil = text.trim_end_matches('Z');
    civil.parse::<DateTime>().ok().or_else(|| text.parse::<Timestamp>().ok().map(|at| TimeZone::UTC.to_datetime(at)))
}

/// Whether a value stands for no date.
pub(super) fn is_filler(value: &Value) -> bool {
    let text = text(value);
    [
        "1753-01-01",
        "1754-01-01",
        "1899-12-3",
        "1900-01-01",
        "0001-01-01",
        "9999-12-31",
        "0000-00-00",
        "00000000",
        "99991231",
        "19000101",
        "00.00.0000",
        "01.01.1900",
        "31.12.9999",
    ]
    .iter()
    .any(|filler| text.starts_with(filler))
}

/// How long after midnight a value says, in the form of a time of day.
fn since_midnight(value: &Value, form: TimeForm) -> Option<SignedDuration> {
    let text = text(value);
    let text = text.trim();
    match form {
        TimeForm::SecondsOfDay => text.parse().ok().map(SignedDuration::from_secs),
        TimeForm::Hhmmss => {
            let number: i64 = text.parse().ok()?;
            let (hours, minutes, seconds) = (number / 10_000, number / 100 % 100, number % 100);
            Some(SignedDuration::from_secs(hours * 3_600 + minutes * 60 + seconds))
        }
        _ => {
            let time = text.parse::<Time>().ok().or_else(|| reading(value).map(DateTime::time))?;
            Some(time.duration_since(Time::midnight()))
        }
    }
}

/// What a row says of a time: its date, and the time of day where that is a column of its own.
pub(super) fn of_row(table: &TableFacts, row: &[Value], time: &TimeColumn) -> Option<DateTime> {
    let value = |name: &str| row.get(table.columns.iter().position(|column| column.name == name)?);
    let whole = value(&time.column).filter(|value| !is_filler(value)).and_then(reading)?;
    match &time.time_of_day {
        None => Some(whole),
        Some((column, form)) => {
            let of_day = value(column).filter(|value| !time.time_of_day_fillers.contains(&text(value)))?;
            whole.checked_add(since_midnight(of_day, *form)?).ok()
        }
    }
}

/// The latest time that the rows of a sample say; what stands for no date says nothing.
pub fn latest(table: &TableFacts, time: &TimeColumn) -> Option<DateTime> {
    let of_rows = table.sample.iter().flat_map(|sample| &sample.rows).filter_map(|row| of_row(table, row, time));
    // The largest value is of all rows; of a date it says the day only.
    let largest = table.sample.as_ref().and_then(|sample| sample.columns.get(&time.column)?.max.as_ref());
    let largest = largest.filter(|value| time.time_of_day.is_none() && !is_filler(value)).and_then(reading);
    of_rows.chain(largest).max()
}
