//! How columns write times: by their type, or by what their values look like.

use std::collections::BTreeSet;

use jiff::civil::{DateTime, Time};
use serde_json::Value;

use super::names::{is_duration, sign};
use super::readings::{is_day_zero, reading};
use super::values::text;
use super::{ColumnFacts, ColumnSample, Survey, TableFacts, TimeForm};

/// The columns that hold times, and how.
pub(super) fn forms<'a>(survey: &Survey, table: &'a TableFacts) -> Vec<(&'a ColumnFacts, TimeForm)> {
    let of = |column: &'a ColumnFacts| {
        let sample = table.sample.as_ref().and_then(|sample| sample.columns.get(&column.name));
        match form_of_type(&survey.source_type, &column.source_type) {
            Some(TimeForm::Civil) if is_of_day_zero(table, column) => Some(TimeForm::Time),
            Some(form) => Some(form),
            None => form_of_values(&column.name, column, sample),
        }
    };
    let mut found: Vec<(&ColumnFacts, TimeForm)> =
        table.columns.iter().filter_map(|column| Some((column, of(column)?))).collect();
    // Beside times of day, a column whose type could say a time of day and never does is a date.
    if found.iter().any(|(_, form)| is_time_of_day(*form)) {
        for (column, form) in &mut found {
            if *form == TimeForm::Civil && is_always_midnight(table, column) {
                *form = TimeForm::Date;
            }
        }
    }
    found
}

/// Whether a form says a time of day and no date.
pub(super) fn is_time_of_day(form: TimeForm) -> bool {
    matches!(form, TimeForm::Time | TimeForm::Hhmmss | TimeForm::SecondsOfDay)
}

/// Whether a form says a date and no time of day.
pub(super) fn is_date(form: TimeForm) -> bool {
    matches!(form, TimeForm::Date | TimeForm::Yyyymmdd | TimeForm::DottedDate)
}

/// The values of a column that were kept, and the smallest and the largest.
fn seen<'a>(table: &'a TableFacts, column: &ColumnFacts) -> impl Iterator<Item = &'a Value> {
    let at = table.columns.iter().position(|known| known.name == column.name);
    let rows = table.sample.iter().flat_map(|sample| &sample.rows).filter_map(move |row| row.get(at?));
    let ends = table.sample.as_ref().and_then(|sample| sample.columns.get(&column.name));
    rows.chain(ends.into_iter().flat_map(|ends| ends.min.iter().chain(&ends.max))).filter(|value| !value.is_null())
}

/// Whether a date-time says a time of day: all values lie on days from which products count, at different times.
fn is_of_day_zero(table: &TableFacts, column: &ColumnFacts) -> bool {
    let readings: Option<Vec<DateTime>> = seen(table, column).map(reading).collect();
    let readings = readings.unwrap_or_default();
    let times: BTreeSet<Time> = readings.iter().map(|at| at.time()).collect();
    readings.iter().all(|at| is_day_zero(at.date())) && times.len() > 1
}

/// Whether all values of a date-time are midnights.
fn is_always_midnight(table: &TableFacts, column: &ColumnFacts) -> bool {
    let is_midnight = |value| reading(value).is_some_and(|at| at.time() == Time::midnight());
    seen(table, column).next().is_some() && seen(table, column).all(is_midnight)
}

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
    let (min, max) = (min.trim(), max.trim());
    let looks_like = |text: &str, mask: &str| {
        text.len() == mask.len()
            && text.bytes().zip(mask.bytes()).all(
                |(byte, wanted)| {
                    if wanted == b'0' { byte.is_ascii_digit() } else { byte == wanted }
                },
            )
    };
    let number = |text: &str| text.parse::<i64>().ok();
    if max.len() >= 16 && max.get(4..5) == Some("-") && max.get(13..14) == Some(":") {
        return Some(TimeForm::Iso8601);
    }
    if looks_like(max, "0000-00-00") {
        return Some(TimeForm::Date);
    }
    if looks_like(max, "00.00.0000") {
        return Some(TimeForm::DottedDate);
    }
    let is_clock = |text: &str| looks_like(text, "00:00") || looks_like(text, "00:00:00");
    if is_clock(min) && is_clock(max) {
        return Some(TimeForm::Time);
    }
    if looks_like(max, "00000000") && number(max).is_some_and(|day| (19_000_101..=99_991_231).contains(&day)) {
        return Some(TimeForm::Yyyymmdd);
    }
    if matches!(sample.max, Some(Value::String(_)))
        && [min, max].iter().all(|text| looks_like(text, "000000"))
        && max <= "240000"
    {
        return Some(TimeForm::Hhmmss);
    }
    // Seconds that something took look like seconds of the day.
    let is_number = column_is_number(column) && !is_duration(name);
    match number(max) {
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
