//! Which columns hold times, how they write them, and which clock they show.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::names::{is_change, is_creation, is_indexed, is_planned, plain, sign};
use super::values::text;
use super::{Basis, ColumnFacts, ColumnSample, Survey, TableFacts, TimeColumn, TimeForm};

/// How late the latest booking may be for the clock that it shows to be told from others.
const FRESH: SignedDuration = SignedDuration::from_mins(20);
/// Beyond this, a latest time was planned, whatever the clock.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(15);

/// How a type writes a time; `None` where it is no type of times.
pub(super) fn form_of_type(source: &str, source_type: &str) -> Option<TimeForm> {
    let small = source_type.to_ascii_lowercase();
    let zoned = ["with time zone", "with local time zone", "timestamptz", "datetimeoffset"];
    if small == "timestamp" && source == "sqlserver" || small.starts_with("interval") {
        return None; // A row version.
    }
    if small.starts_with("timestamp") && matches!(source, "mysql" | "mariadb") {
        return Some(TimeForm::Instant);
    }
    if zoned.iter().any(|zoned| small.contains(zoned)) && !small.starts_with("time with") {
        return Some(TimeForm::Instant);
    }
    match small.split('(').next().unwrap_or_default().trim() {
        "date" if source == "oracle" => Some(TimeForm::Civil),
        "date" => Some(TimeForm::Date),
        "time" | "time without time zone" => Some(TimeForm::Time),
        other if other.starts_with("timestamp") || other.starts_with("datetime") || other == "smalldatetime" => {
            Some(TimeForm::Civil)
        }
        _ => None,
    }
}

/// Whether a name is one of a time.
pub(super) fn is_time_name(name: &str) -> bool {
    const TIMES: &[&str] = &[
        "dat",
        "datum",
        "date",
        "zeit",
        "zeitpunkt",
        "time",
        "timestamp",
        "uhrzeit",
        "start",
        "beginn",
        "begin",
        "ende",
        "end",
        "von",
        "bis",
        "from",
        "thru",
        "finish",
        "tag",
        "ts",
        "am",
        "at",
        "isdd",
        "isdz",
        "iedd",
        "iedz",
        "budat",
        "gstri",
        "gltri",
        "getri",
        "gsuzi",
        "geuzi",
        "buchdat",
        "buchzeit",
        "zeifb",
        "datfb",
        "ersda",
        "laeda",
        "anfang",
        "stempel",
    ];
    sign(name, TIMES).is_some()
        || ["dat", "datum", "zeit", "date", "time", "_at", "_am"].iter().any(|end| name.to_lowercase().ends_with(end))
}

/// How values write a time; `None` where they do not.
fn form_of_values(name: &str, column: &ColumnFacts, sample: Option<&ColumnSample>) -> Option<TimeForm> {
    let is_text_or_number = !column.source_type.to_ascii_lowercase().contains("bool");
    if !is_time_name(name) || !is_text_or_number {
        return None;
    }
    let sample = sample?;
    let (min, max) = (text(sample.min.as_ref()?), text(sample.max.as_ref()?));
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| text.parse::<i64>().ok();
    if max.len() >= 16 && max.get(4..5) == Some("-") && max.get(13..14) == Some(":") {
        return Some(TimeForm::Iso8601);
    }
    if max.len() == 10 && max.get(4..5) == Some("-") && max.get(7..8) == Some("-") {
        return Some(TimeForm::Date);
    }
    if digits(&max, 8) && number(&max).is_some_and(|day| (19_000_101..=99_991_231).contains(&day)) {
        return Some(TimeForm::Yyyymmdd);
    }
    if matches!(sample.max, Some(Value::String(_))) && digits(&max, 6) && digits(&min, 6) && max.as_str() <= "240000" {
        return Some(TimeForm::Hhmmss);
    }
    let is_number = column_is_number(column);
    match number(&max) {
        Some(seconds) if is_number && (0..=86_400).contains(&seconds) && seconds > 2_400 => {
            Some(TimeForm::SecondsOfDay)
        }
        Some(seconds) if is_number && (86_401..=240_000).contains(&seconds) => Some(TimeForm::Hhmmss),
        Some(seconds) if is_number && (900_000_000..=4_000_000_000).contains(&seconds) => Some(TimeForm::EpochSeconds),
        Some(millis) if is_number && (900_000_000_000..=4_000_000_000_000).contains(&millis) => {
            Some(TimeForm::EpochMillis)
        }
        _ => None,
    }
}

fn column_is_number(column: &ColumnFacts) -> bool {
    let small = column.source_type.to_ascii_lowercase();
    ["int", "num", "dec", "float", "real", "double"].iter().any(|kind| small.contains(kind))
}

/// A time of a sample as a reading of some clock.
fn reading(value: &Value) -> Option<DateTime> {
    let text = text(value);
    let text = text.trim().replacen(' ', "T", 1);
    if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let date = format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]);
        return date.parse::<jiff::civil::Date>().ok().map(|date| date.at(0, 0, 0, 0));
    }
    let civil = text.trim_end_matches('Z');
    civil.parse::<DateTime>().ok().or_else(|| text.parse::<Timestamp>().ok().map(|at| TimeZone::UTC.to_datetime(at)))
}

/// Whether a value stands for no date.
fn is_filler(value: &Value) -> bool {
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
    ]
    .iter()
    .any(|filler| text.starts_with(filler))
}

/// The times of a table.
pub(super) fn times(survey: &Survey, table: &TableFacts) -> Vec<TimeColumn> {
    let sample = |name: &str| table.sample.as_ref().and_then(|sample| sample.columns.get(name));
    let form = |column: &ColumnFacts| {
        form_of_type(&survey.source_type, &column.source_type)
            .or_else(|| form_of_values(&column.name, column, sample(&column.name)))
    };
    let forms: Vec<(&ColumnFacts, TimeForm)> =
        table.columns.iter().filter_map(|column| Some((column, form(column)?))).collect();
    let is_time_of_day = |form| matches!(form, TimeForm::Time | TimeForm::Hhmmss | TimeForm::SecondsOfDay);
    let mut free: Vec<(&ColumnFacts, TimeForm)> =
        forms.iter().copied().filter(|(_, form)| is_time_of_day(*form)).collect();
    let mut found = Vec::new();
    for (column, form) in forms.iter().filter(|(_, form)| !is_time_of_day(*form)) {
        let is_date = matches!(form, TimeForm::Date | TimeForm::Yyyymmdd);
        let dates = forms.iter().filter(|(_, form)| matches!(form, TimeForm::Date | TimeForm::Yyyymmdd)).count();
        // The only date of a table is that of its times of day.
        let only = || (dates == 1 && !free.is_empty()).then_some(0);
        let mate = if is_date { partner(&column.name, &free).or_else(only) } else { None };
        let time_of_day = mate.map(|at| free.remove(at)).map(|(mate, form)| (mate.name.clone(), form));
        found.push(one(survey, table, column, *form, time_of_day, sample(&column.name)));
    }
    found
}

/// The time of day that belongs to a date, by their names: `ISDD` and `ISDZ`, `buchdat` and `buchzeit`.
fn partner(date: &str, free: &[(&ColumnFacts, TimeForm)]) -> Option<usize> {
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

fn one(
    survey: &Survey,
    table: &TableFacts,
    column: &ColumnFacts,
    form: TimeForm,
    time_of_day: Option<(String, TimeForm)>,
    sample: Option<&ColumnSample>,
) -> TimeColumn {
    let mut fillers: Vec<String> = Vec::new();
    if let Some(sample) = sample {
        let values = sample.frequent.iter().map(|(value, _)| value).chain(&sample.min).chain(&sample.max);
        for value in values.filter(|value| is_filler(value)) {
            let text = text(value);
            if !fillers.contains(&text) {
                fillers.push(text);
            }
        }
    }
    // A filler says nothing of the clock; of the rows that are left, the latest does.
    let at = table.columns.iter().position(|known| known.name == column.name);
    let of_rows = table.sample.iter().flat_map(|sample| &sample.rows).filter_map(|row| row.get(at?));
    let latest = of_rows
        .chain(sample.and_then(|sample| sample.max.as_ref()))
        .filter(|value| !is_filler(value))
        .filter_map(reading)
        .max();
    let ahead = latest.and_then(|latest| {
        let instant = TimeZone::UTC.to_timestamp(latest).ok()?;
        Some(instant.duration_since(survey.now))
    });
    let (basis, clock) = basis(survey, form, ahead);
    let by_name = is_planned(&column.name);
    let by_values =
        ahead.is_some_and(|ahead| ahead > AHEAD_MAX) && !matches!(form, TimeForm::EpochMillis | TimeForm::EpochSeconds);
    let mut why = clock;
    if by_name {
        why.push_str("; planned, by its name");
    } else if by_values {
        why.push_str("; planned: its latest time lies in the future");
    }
    TimeColumn {
        column: column.name.clone(),
        form,
        time_of_day,
        basis,
        planned: (by_name || by_values) && !is_change(&column.name) && !is_creation(&column.name),
        indexed: is_indexed(table, &column.name),
        fillers,
        why,
    }
}

/// Which clock a time shows, and why that is believed. `ahead` is how far its latest value, read as UTC, is ahead of now.
fn basis(survey: &Survey, form: TimeForm, ahead: Option<SignedDuration>) -> (Basis, String) {
    match form {
        TimeForm::Instant => return (Basis::Zoned, "its type names an instant".to_owned()),
        TimeForm::EpochMillis | TimeForm::EpochSeconds => {
            return (Basis::Zoned, "a number of seconds since 1970 names an instant".to_owned());
        }
        TimeForm::Date | TimeForm::Yyyymmdd => {
            return (Basis::Local, "a date is one of the factory's calendar".to_owned());
        }
        _ => {}
    }
    let zone = survey.timezone.as_deref().and_then(|name| TimeZone::get(name).ok());
    let (Some(ahead), Some(zone)) = (ahead, zone) else {
        return (Basis::Unknown, "nothing tells whether it is local or UTC".to_owned());
    };
    let offset = SignedDuration::from_secs(i64::from(zone.to_offset(survey.now).seconds()));
    let is_at = |clock: SignedDuration| ahead <= clock && ahead > clock.saturating_sub(FRESH);
    if offset.is_zero() {
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
    (Basis::Unknown, "its latest time is too old to tell whether it is local or UTC".to_owned())
}
