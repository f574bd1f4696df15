//! Which columns hold times, which clock they show, and which dates and times of day belong together.

use jiff::SignedDuration;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::forms::{forms, is_date, is_time_of_day};
use super::names::{is_change, is_creation, is_indexed, is_of_booking, is_planned, plain};
use super::readings::{is_day_zero, is_filler, latest, reading};
use super::values::text;
use super::{Basis, ColumnFacts, ColumnSample, Survey, TableFacts, TimeColumn, TimeForm, stamps};

/// How late the latest booking may be for the clock that it shows to be told from others.
pub(super) const FRESH: SignedDuration = SignedDuration::from_mins(20);
/// Beyond this, a latest time was planned, whatever the clock.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(15);

/// A column that holds times of day, or other times, and how.
type Formed<'a> = (&'a ColumnFacts, TimeForm);

/// The times of a table. A date whose row has several times of day is one time with each of them.
pub(super) fn times(survey: &Survey, table: &TableFacts) -> Vec<TimeColumn> {
    let (mut of_day, whole): (Vec<Formed<'_>>, Vec<Formed<'_>>) =
        forms(survey, table).into_iter().partition(|(_, form)| is_time_of_day(*form));
    let mut pairs: Vec<(Formed<'_>, Option<Formed<'_>>)> = Vec::new();
    for date in whole {
        let mate = if is_date(date.1) { partner(&date.0.name, &of_day) } else { None };
        pairs.push((date, mate.map(|at| of_day.remove(at))));
    }
    if let Some(at) = date_of_the_row(table, &pairs) {
        // What is left are times of the row's one date.
        let (date, mate) = pairs.remove(at);
        let mates: Vec<Option<Formed<'_>>> = mate.into_iter().chain(of_day).map(Some).collect();
        let mates = if mates.is_empty() { vec![None] } else { mates };
        pairs.splice(at..at, mates.into_iter().map(|mate| (date, mate)));
    }
    let mut found: Vec<TimeColumn> = pairs.into_iter().map(|(date, mate)| one(survey, table, date, mate)).collect();
    stamps::compare(survey, table, &mut found);
    found
}

/// The place of the date that times of day without one belong to: the only date; else the only one that is neither
/// planned nor the stamp of a program nor empty; else the only one of these whose name says that it was booked then.
fn date_of_the_row(table: &TableFacts, pairs: &[(Formed<'_>, Option<Formed<'_>>)]) -> Option<usize> {
    let only = |fits: &dyn Fn(&str) -> bool| {
        let mut fitting = pairs.iter().enumerate().filter(|(_, ((date, form), _))| is_date(*form) && fits(&date.name));
        fitting.next().filter(|_| fitting.next().is_none()).map(|(at, _)| at)
    };
    let is_empty = |name: &str| {
        let sample = table.sample.as_ref().and_then(|sample| sample.columns.get(name));
        sample.is_some_and(|sample| sample.max.as_ref().is_none_or(is_filler))
    };
    let is_own = |name: &str| !is_planned(name) && !is_change(name) && !is_creation(name) && !is_empty(name);
    only(&|_| true).or_else(|| only(&is_own)).or_else(|| only(&|name| is_own(name) && is_of_booking(name)))
}

/// The time of day that belongs to a date, by their names: `ISDD` and `ISDZ`, `buchdat` and `buchzeit`.
fn partner(date: &str, free: &[Formed<'_>]) -> Option<usize> {
    let stem = |name: &str| {
        let mut plain = plain(name);
        for end in ["datum", "uhrzeit", "zeit", "dat", "date", "time", "zei"] {
            plain = plain.replace(end, "");
        }
        plain
    };
    let (of_date, short) = (stem(date), plain(date));
    let same = free.iter().position(|(column, _)| stem(&column.name) == of_date);
    let sap = || {
        let other = |name: &str| {
            let name = plain(name);
            let is_pair = name.len() == short.len() && name.len() >= 4 && name != short;
            is_pair
                && name.bytes().zip(short.bytes()).filter(|(left, right)| left != right).count() <= 2
                && name.as_bytes()[..2] == short.as_bytes()[..2]
                && name.contains('z')
        };
        free.iter().position(|(column, _)| other(&column.name))
    };
    same.or_else(sap)
}

fn one(survey: &Survey, table: &TableFacts, date: Formed<'_>, mate: Option<Formed<'_>>) -> TimeColumn {
    let (column, form) = date;
    let sample = |name: &str| table.sample.as_ref().and_then(|sample| sample.columns.get(name));
    let mut time = TimeColumn {
        column: column.name.clone(),
        form,
        time_of_day: mate.map(|(mate, form)| (mate.name.clone(), form)),
        basis: Basis::Unknown,
        planned: false,
        indexed: is_indexed(table, &column.name),
        fillers: listed(sample(&column.name), is_filler),
        time_of_day_fillers: mate.map(|(mate, _)| no_times(table, &mate.name)).unwrap_or_default(),
        why: String::new(),
    };
    let ahead = latest(table, &time).and_then(|latest| {
        let instant = TimeZone::UTC.to_timestamp(latest).ok()?;
        Some(instant.duration_since(survey.now))
    });
    (time.basis, time.why) = basis(survey, &time, ahead);
    let by_name = is_planned(&column.name) || mate.is_some_and(|(mate, _)| is_planned(&mate.name));
    let by_values =
        ahead.is_some_and(|ahead| ahead > AHEAD_MAX) && !matches!(form, TimeForm::EpochMillis | TimeForm::EpochSeconds);
    if by_name {
        time.why.push_str("; planned, by its name");
    } else if by_values {
        time.why.push_str("; planned: its latest time lies in the future");
    }
    time.planned = (by_name || by_values) && !is_change(&column.name) && !is_creation(&column.name);
    time
}

/// The values of a column that fit, each once, as text.
fn listed(sample: Option<&ColumnSample>, fits: impl Fn(&Value) -> bool) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let values = sample.iter().flat_map(|sample| {
        let frequent = sample.frequent.iter().map(|(value, _)| value);
        frequent.chain(&sample.min).chain(&sample.max)
    });
    for value in values.filter(|value| fits(value)) {
        let text = text(value);
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

/// Values of a time of day that stand for no time: midnights of a day on which its other times do not lie.
fn no_times(table: &TableFacts, name: &str) -> Vec<String> {
    let sample = table.sample.as_ref().and_then(|sample| sample.columns.get(name));
    let largest = sample.and_then(|sample| reading(sample.max.as_ref()?)).filter(|at| is_day_zero(at.date()));
    let Some(largest) = largest else { return Vec::new() };
    listed(sample, |value| {
        reading(value).is_some_and(|at| at.time() == Time::midnight() && at.date() != largest.date())
    })
}

/// Which clock a time shows, and why that is believed. `ahead` is how far its latest value, read as UTC, is ahead of now.
fn basis(survey: &Survey, time: &TimeColumn, ahead: Option<SignedDuration>) -> (Basis, String) {
    match time.form {
        TimeForm::Instant => return (Basis::Zoned, "its type names an instant".to_owned()),
        TimeForm::EpochMillis | TimeForm::EpochSeconds => {
            return (Basis::Zoned, "a number of seconds since 1970 names an instant".to_owned());
        }
        form if is_date(form) && time.time_of_day.is_none() => return of_calendar(),
        _ => {}
    }
    let zone = survey.timezone.as_deref().and_then(|name| TimeZone::get(name).ok());
    let (Some(ahead), Some(zone)) = (ahead, zone) else {
        if is_date(time.form) {
            return of_calendar();
        }
        return (Basis::Unknown, "nothing tells whether it is local or UTC".to_owned());
    };
    let offset = SignedDuration::from_secs(i64::from(zone.to_offset(survey.now).seconds()));
    let is_at = |clock: SignedDuration| ahead <= clock && ahead > clock.saturating_sub(FRESH);
    if offset.is_zero() && !is_date(time.form) {
        return (Basis::Unknown, "local and UTC are the same now".to_owned());
    }
    if is_at(offset) {
        return (Basis::Local, "its latest time is now, by the clock of the factory".to_owned());
    }
    if is_at(SignedDuration::ZERO) {
        return (Basis::Utc, "its latest time is now, by UTC".to_owned());
    }
    if offset.is_positive() && ahead > SignedDuration::ZERO && ahead < offset {
        return (Basis::Local, "its latest time is ahead of UTC, and not of the clock of the factory".to_owned());
    }
    if is_date(time.form) {
        return of_calendar();
    }
    (Basis::Unknown, "its latest time is too old to tell whether it is local or UTC".to_owned())
}

fn of_calendar() -> (Basis, String) {
    (Basis::Local, "a date is one of the factory's calendar".to_owned())
}
