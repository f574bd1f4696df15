//! Which clock a time shows, told by the stamps of a program beside it.
//!
//! A row is written moments after what it tells of happened. Where the stamp of that (`created_at`) is one clock and the
//! time another, the two differ by the offset of the factory's zone, row by row: an hour in winter and two in summer.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::names::{is_change, is_creation};
use super::readings::of_row;
use super::times::FRESH;
use super::values::text;
use super::{Basis, Survey, TableFacts, TimeColumn, TimeForm};

/// How much earlier than what it tells of a row may be written: clocks of two machines differ.
const EARLY: SignedDuration = SignedDuration::from_secs(60);
/// Rows from which on something can be said.
const ROWS_MIN: usize = 6;
/// Share of the rows, in percent, that must say the same.
const ROWS_PERCENT_MIN: usize = 80;

/// A reading of a clock, or an instant.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Reading(DateTime),
    Instant(Timestamp),
}

/// What rows say of the clocks of a time and of a stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clocks {
    /// The stamp is a reading of UTC, or an instant; the time is one of the factory's clock.
    TimeIsLocal,
    /// The stamp is a reading of the factory's clock, or an instant; the time is one of UTC.
    TimeIsUtc,
    /// Both are readings of the same clock, whichever that is.
    Same,
}

/// Looks at each time of a naive type, and at each stamp beside it; where rows tell which clock is which, both say so.
pub(super) fn compare(survey: &Survey, table: &TableFacts, times: &mut [TimeColumn]) {
    let is_stamp = |time: &TimeColumn| is_creation(&time.column) || is_change(&time.column);
    for at in 0..times.len() {
        let time = &times[at];
        let is_open = time.basis == Basis::Unknown || (time.basis == Basis::Local && time.time_of_day.is_some());
        let is_naive = time.time_of_day.is_some() || matches!(time.form, TimeForm::Civil | TimeForm::Iso8601);
        if !is_open || !is_naive || time.planned || is_stamp(time) {
            continue;
        }
        let stamps = (0..times.len()).filter(|other| *other != at && is_stamp(&times[*other]));
        let told = stamps.filter_map(|other| Some((other, told(survey, table, time, &times[other])?)));
        // What most rows say; of two that say as much, the first.
        let best = told.min_by_key(|(_, told)| std::cmp::Reverse(told.rows));
        if let Some((other, told)) = best {
            apply(at, other, &told, times);
        }
    }
}

/// What rows tell of a time and a stamp.
struct Told {
    clocks: Option<Clocks>,
    /// Rows that say so.
    rows: usize,
    /// Rows that were looked at.
    of: usize,
    /// By how much the two readings differ, in words: `2 h`, `1 h or 2 h`.
    by: String,
}

fn apply(at: usize, stamp: usize, told: &Told, times: &mut [TimeColumn]) {
    let (time_name, stamp_name) = (times[at].label(), times[stamp].column.clone());
    let rows = format!("in {} of {} rows", told.rows, told.of);
    let stamp_is_naive = times[stamp].basis != Basis::Zoned;
    let (clock, other, basis, other_basis) = match told.clocks {
        Some(Clocks::TimeIsLocal) => ("the clock of the factory", "UTC", Basis::Local, Basis::Utc),
        Some(Clocks::TimeIsUtc) => ("UTC", "the clock of the factory", Basis::Utc, Basis::Local),
        Some(Clocks::Same) if times[stamp].basis == Basis::Unknown => {
            ("", "the same clock", times[at].basis, Basis::Unknown)
        }
        Some(Clocks::Same) => ("", "the same clock", times[stamp].basis, times[stamp].basis),
        None => ("", "", Basis::Unknown, Basis::Unknown),
    };
    times[at].basis = basis;
    times[at].why = match told.clocks {
        None => format!(
            "{rows} `{stamp_name}` differs by {}: one of the two may be UTC; `source.timezone` would tell",
            told.by
        ),
        Some(Clocks::Same) => format!("{rows} `{stamp_name}` is the same moment by {other}"),
        Some(_) if stamp_is_naive => {
            format!("{rows} `{stamp_name}` is the same moment by {other}, which differs by {}", told.by)
        }
        Some(_) => format!("{rows} it is the instant `{stamp_name}` by {clock}"),
    };
    if stamp_is_naive && times[stamp].basis == Basis::Unknown && other_basis != Basis::Unknown {
        times[stamp].basis = other_basis;
        times[stamp].why = format!("{rows} it is the same moment as `{time_name}`, which differs by {}", told.by);
    }
}

fn told(survey: &Survey, table: &TableFacts, time: &TimeColumn, stamp: &TimeColumn) -> Option<Told> {
    let rows = table.sample.iter().flat_map(|sample| &sample.rows);
    let both: Vec<(DateTime, Moment)> =
        rows.filter_map(|row| Some((of_row(table, row, time)?, moment(table, row, stamp)?))).collect();
    let zone = survey.timezone.as_deref().and_then(|name| TimeZone::get(name).ok());
    match zone {
        Some(zone) => by_zone(&both, &zone),
        None => by_hours(&both),
    }
}

/// What a row says of a stamp.
fn moment(table: &TableFacts, row: &[Value], stamp: &TimeColumn) -> Option<Moment> {
    let value = || row.get(table.columns.iter().position(|column| column.name == stamp.column)?);
    match stamp.form {
        TimeForm::Civil | TimeForm::Iso8601 => of_row(table, row, stamp).map(Moment::Reading),
        TimeForm::Instant => text(value()?).parse().ok().map(Moment::Instant),
        TimeForm::EpochSeconds => Timestamp::from_second(text(value()?).parse().ok()?).ok().map(Moment::Instant),
        TimeForm::EpochMillis => Timestamp::from_millisecond(text(value()?).parse().ok()?).ok().map(Moment::Instant),
        _ if stamp.time_of_day.is_some() => of_row(table, row, stamp).map(Moment::Reading),
        _ => None,
    }
}

/// Where the zone is known: each row is read by every assignment of clocks, and the one that most rows fit is told.
fn by_zone(both: &[(DateTime, Moment)], zone: &TimeZone) -> Option<Told> {
    let utc = |reading: DateTime| TimeZone::UTC.to_timestamp(reading).ok();
    let local = |reading: DateTime| zone.to_timestamp(reading).ok();
    let offset = |reading: DateTime| local(reading).map(|instant| zone.to_offset(instant));
    // While the clocks agree, rows say nothing.
    let both: Vec<&(DateTime, Moment)> =
        both.iter().filter(|(time, _)| offset(*time).is_some_and(|offset| offset != Offset::UTC)).collect();
    let fits = |clocks: Clocks, time: DateTime, stamp: Moment| {
        let ends = match (clocks, stamp) {
            (Clocks::TimeIsLocal, Moment::Reading(stamp)) => (local(time), utc(stamp)),
            (Clocks::TimeIsLocal, Moment::Instant(stamp)) => (local(time), Some(stamp)),
            (Clocks::TimeIsUtc, Moment::Reading(stamp)) => (utc(time), local(stamp)),
            (Clocks::TimeIsUtc, Moment::Instant(stamp)) => (utc(time), Some(stamp)),
            (Clocks::Same, Moment::Reading(stamp)) => (utc(time), utc(stamp)),
            (Clocks::Same, Moment::Instant(_)) => (None, None),
        };
        matches!(ends, (Some(time), Some(stamp)) if is_lag(stamp.duration_since(time)))
    };
    let all = [Clocks::Same, Clocks::TimeIsLocal, Clocks::TimeIsUtc];
    let counted = all.map(|clocks| {
        let fitting = both.iter().filter(|(time, stamp)| fits(clocks, *time, *stamp));
        let offsets: BTreeSet<i32> = fitting.clone().filter_map(|(time, _)| Some(offset(*time)?.seconds())).collect();
        (clocks, fitting.count(), offsets)
    });
    let (clocks, rows, offsets) = counted.into_iter().max_by_key(|(_, rows, _)| *rows)?;
    let by = in_words(offsets.into_iter().map(|seconds| SignedDuration::from_secs(seconds.into())));
    enough(rows, both.len()).then_some(Told { clocks: Some(clocks), rows, of: both.len(), by })
}

/// Where the zone is not known: whether the two differ by whole hours, the same in most rows.
fn by_hours(both: &[(DateTime, Moment)]) -> Option<Told> {
    let hours = |(time, stamp): &(DateTime, Moment)| {
        let stamp = match stamp {
            Moment::Reading(stamp) => TimeZone::UTC.to_timestamp(*stamp).ok()?,
            Moment::Instant(stamp) => *stamp,
        };
        let ahead = stamp.duration_since(TimeZone::UTC.to_timestamp(*time).ok()?).checked_add(EARLY)?;
        let hours = ahead.as_secs().div_euclid(3_600);
        let lag = ahead.checked_sub(SignedDuration::from_hours(hours))?.checked_sub(EARLY)?;
        (hours != 0 && is_lag(lag)).then_some(hours)
    };
    let found: Vec<i64> = both.iter().filter_map(hours).collect();
    // A change of the clock is one hour.
    let different: BTreeSet<i64> = found.iter().copied().collect();
    let is_one_zone = different.last().zip(different.first()).is_some_and(|(last, first)| last - first <= 1);
    let by = in_words(different.into_iter().map(SignedDuration::from_hours));
    (is_one_zone && enough(found.len(), both.len())).then_some(Told {
        clocks: None,
        rows: found.len(),
        of: both.len(),
        by,
    })
}

/// Whether a row was written as long after what it tells of as people and programs take.
fn is_lag(lag: SignedDuration) -> bool {
    lag >= -EARLY && lag < FRESH
}

fn enough(rows: usize, of: usize) -> bool {
    of >= ROWS_MIN && rows * 100 >= of * ROWS_PERCENT_MIN
}

/// `1 h or 2 h`, whichever is ahead.
fn in_words(differences: impl Iterator<Item = SignedDuration>) -> String {
    let minutes: BTreeSet<i64> = differences.map(|difference| difference.as_secs().abs() / 60).collect();
    let words = minutes.into_iter().map(|minutes| match (minutes / 60, minutes % 60) {
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    });
    words.collect::<Vec<_>>().join(" or ")
}
