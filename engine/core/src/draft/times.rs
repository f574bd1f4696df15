//! Times: how the window is compared with a column, and how a field reads it.

use engine_spec::sql::Dialect;
use engine_spec::yaml::emit;

use super::Draft;
use crate::discover::{Basis, Role, RoleGuess, TimeColumn, TimeForm};

/// A bound of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Start,
    End,
}

/// What the survey says of a time; of a column that it does not know as one, what the type's name says.
pub(super) fn time_of(draft: &Draft<'_>, guess: &RoleGuess) -> TimeColumn {
    if let Some(known) = draft.candidate.times.iter().find(|time| time.is_meant(guess)) {
        return known.clone();
    }
    let column = guess.column.as_str();
    let kind = source_type(draft, column);
    let form = if kind.contains("char") || kind.contains("text") {
        TimeForm::Iso8601
    } else if kind.contains("zone") && !kind.contains("without") || kind == "datetimeoffset" || kind == "timestamptz" {
        TimeForm::Instant
    } else if kind == "date" && draft.dialect != Dialect::Oracle {
        TimeForm::Date
    } else {
        TimeForm::Civil
    };
    TimeColumn {
        column: column.to_owned(),
        form,
        time_of_day: None,
        basis: if form == TimeForm::Instant { Basis::Zoned } else { Basis::Unknown },
        planned: false,
        indexed: false,
        fillers: Vec::new(),
        time_of_day_fillers: Vec::new(),
        why: String::new(),
    }
}

/// The template of a bound, as the column writes times.
pub(super) fn bound(draft: &Draft<'_>, time: &TimeColumn, bound: Bound) -> String {
    let name = match bound {
        Bound::Start => "window.start",
        Bound::End => "window.end",
    };
    let clock = if is_foreign_utc(draft, time) { " | utc" } else { "" };
    match time.form {
        TimeForm::Instant => format!("{{{{ {name} | instant }}}}"),
        TimeForm::Date => format!("{{{{ {name}{clock} | date }}}}"),
        TimeForm::Yyyymmdd => {
            let number = if is_text(&source_type(draft, &time.column)) { "" } else { " | int" };
            format!("{{{{ {name}{clock} | format(\"%Y%m%d\"){number} }}}}")
        }
        TimeForm::DottedDate => format!("{{{{ {name}{clock} | format(\"%Y%m%d\") }}}}"),
        TimeForm::EpochSeconds => format!("{{{{ {name} | epoch }}}}"),
        TimeForm::EpochMillis => format!("{{{{ {name} | epoch }}}} * 1000"),
        TimeForm::Iso8601 => format!("{{{{ {name}{clock} | format(\"{}\") }}}}", pattern(draft, time)),
        TimeForm::Civil | TimeForm::Time | TimeForm::Hhmmss | TimeForm::SecondsOfDay => {
            format!("{{{{ {name}{clock} }}}}")
        }
    }
}

/// What of a column is compared with the bounds. `31.03.2025` does not sort as the days do; its parts, turned round, do,
/// and no text makes that fail.
pub(super) fn compared(draft: &Draft<'_>, time: &TimeColumn, sql: &str) -> String {
    if time.form != TimeForm::DottedDate {
        return sql.to_owned();
    }
    let (function, join) = match draft.dialect {
        Dialect::SqlServer => ("SUBSTRING", " + "),
        _ => ("SUBSTR", " || "),
    };
    let parts = [(7, 4), (4, 2), (1, 2)].map(|(from, count)| format!("{function}({sql}, {from}, {count})"));
    match draft.dialect {
        Dialect::MySql | Dialect::MariaDb => format!("CONCAT({})", parts.join(", ")),
        _ => parts.join(join),
    }
}

/// Whether the end has the date of the start: the row has one date, and the end may lie on the next day.
pub(super) fn shares_date(draft: &Draft<'_>) -> bool {
    let time = |role| draft.candidate.roles.get(&role).map(|guess| time_of(draft, guess));
    let ends = time(Role::Start).zip(time(Role::End));
    ends.is_some_and(|(start, end)| start.column == end.column && start.time_of_day != end.time_of_day)
}

/// The pattern of times that are text, so that texts compare as the times do.
fn pattern(draft: &Draft<'_>, time: &TimeColumn) -> &'static str {
    let sample = draft.table.sample.as_ref().and_then(|sample| sample.columns.get(&time.column));
    let seen = sample.and_then(|sample| sample.max.as_ref()).and_then(|value| value.as_str()).unwrap_or_default();
    match (seen.len(), seen.as_bytes().get(10)) {
        (10, _) => "%Y-%m-%d",
        (16, Some(b' ')) => "%Y-%m-%d %H:%M",
        (16, _) => "%Y-%m-%dT%H:%M",
        (_, Some(b' ')) => "%Y-%m-%d %H:%M:%S",
        _ => "%Y-%m-%dT%H:%M:%S",
    }
}

/// A condition that finds times which stand for no time.
pub(super) fn is_open(draft: &Draft<'_>, time: &TimeColumn, sql: &str) -> String {
    let mut condition = format!("{sql} IS NULL");
    let kind = source_type(draft, &time.column);
    for filler in &time.fillers {
        let fits = filler.chars().all(|char| char.is_ascii_digit() || matches!(char, '-' | ':' | '.' | ' ' | 'T'));
        if !fits {
            continue;
        }
        let day = filler.get(..10).unwrap_or(filler);
        let literal = match time.form {
            TimeForm::Yyyymmdd | TimeForm::EpochSeconds | TimeForm::EpochMillis if !is_text(&kind) => {
                filler.replace('-', "")
            }
            TimeForm::Civil | TimeForm::Instant | TimeForm::Date if draft.dialect == Dialect::Oracle => {
                format!("DATE '{day}'")
            }
            TimeForm::Civil | TimeForm::Instant | TimeForm::Date if draft.dialect == Dialect::SqlServer => {
                format!("'{}'", day.replace('-', ""))
            }
            _ => format!("'{filler}'"),
        };
        condition.push_str(&format!(" OR {sql} = {literal}"));
    }
    condition
}

/// How a field reads a time: its value, or the lines of its members where date and time are columns of their own. `name`
/// gives the name of a column in the result; `after_start` says that a time before the start is one of the next day.
pub(super) fn field(
    draft: &Draft<'_>,
    time: &TimeColumn,
    after_start: bool,
    name: impl Fn(&str) -> String,
) -> Vec<String> {
    let part = |column: &str, form: TimeForm, fillers: &[String]| {
        let mut members = Vec::new();
        if let Some(format) = format_name(form) {
            members.push(format!("format: {format}"));
        }
        if !fillers.is_empty() {
            let fillers: Vec<String> = fillers.iter().map(|filler| emit::scalar(filler)).collect();
            members.push(format!("null_if: [{}]", fillers.join(", ")));
        }
        let column = emit::scalar(&name(column));
        (column, members)
    };
    let object = |(column, members): (String, Vec<String>)| match members.is_empty() {
        true => column,
        false => format!("{{ column: {column}, {} }}", members.join(", ")),
    };
    let zone = is_foreign_utc(draft, time).then(|| "timezone: UTC".to_owned());
    let date = part(&time.column, time.form, &time.fillers);
    match &time.time_of_day {
        Some((column, form)) => {
            let time = object(part(column, *form, &[]));
            let mut members = vec![format!("date: {}", object(date)), format!("time: {time}")];
            members.extend(
                after_start.then(|| "after: start   # a time before the start is one of the next day".to_owned()),
            );
            members.extend(zone);
            members
        }
        None => {
            let (column, mut members) = date;
            members.extend(zone);
            vec![object((column, members))]
        }
    }
}

fn format_name(form: TimeForm) -> Option<&'static str> {
    match form {
        TimeForm::Civil | TimeForm::Instant | TimeForm::Date | TimeForm::Time | TimeForm::Iso8601 => None,
        TimeForm::Yyyymmdd => Some("yyyymmdd"),
        TimeForm::DottedDate => Some("\"%d.%m.%Y\""),
        TimeForm::Hhmmss => Some("hhmmss"),
        TimeForm::SecondsOfDay => Some("seconds_of_day"),
        TimeForm::EpochSeconds => Some("epoch_s"),
        TimeForm::EpochMillis => Some("epoch_ms"),
    }
}

/// Whether a naive column shows UTC while the source's clock shows something else.
fn is_foreign_utc(draft: &Draft<'_>, time: &TimeColumn) -> bool {
    let counts = matches!(time.form, TimeForm::EpochSeconds | TimeForm::EpochMillis | TimeForm::Instant);
    time.basis == Basis::Utc && draft.answers.zone != "UTC" && !counts
}

/// The type of a column, in lower case and without its length; empty where the table has no such column.
pub(super) fn source_type(draft: &Draft<'_>, column: &str) -> String {
    let found = draft.table.columns.iter().find(|known| known.name == column);
    found.map(|known| known.source_type.to_lowercase()).unwrap_or_default()
}

fn is_text(source_type: &str) -> bool {
    ["char", "text", "clob", "string"].iter().any(|word| source_type.contains(word))
}
