//! What was found, for people.

use std::fmt::Write as _;

use engine_core::discover::{
    Basis, Candidate, Confidence, Name, Role, RowCount, Survey, TableFacts, TableKind, TimeColumn, TimeForm,
};
use engine_core::report::counted;
use engine_spec::model::TableType;
use serde_json::Value;

use crate::args::DiscoverArgs;
use crate::show::{clip, harmless, table};
use crate::survey::{is_meant, shown};

/// Characters of a cell.
const CELL_CHARS_MAX: usize = 40;
/// Other tables that are listed where not all are wanted.
const OTHERS_SHOWN_MAX: usize = 30;
/// Reasons of one candidate that are shown.
const REASONS_SHOWN_MAX: usize = 6;
/// Codes of one column that are shown.
const CODES_SHOWN_MAX: usize = 12;
/// Sampled rows that are shown of a table.
const ROWS_SHOWN_MAX: usize = 5;

/// The candidates, then the other tables.
pub(super) fn overview(survey: &Survey, candidates: &[Candidate], args: &DiscoverArgs) -> String {
    let mut out = head(survey);
    if candidates.is_empty() {
        out.push_str("no table looks like orders or bookings\n");
    }
    let count = if args.all { candidates.len() } else { args.limit };
    for (rank, candidate) in candidates.iter().take(count).enumerate() {
        let _ = writeln!(out);
        one(survey, candidate, rank + 1, &mut out);
    }
    let is_shown = |name: &Name| candidates.iter().take(count).any(|candidate| candidate.name == *name);
    let others: Vec<&TableFacts> = survey.tables.iter().filter(|table| !is_shown(&table.name)).collect();
    let others_max = if args.all { others.len() } else { OTHERS_SHOWN_MAX };
    if !others.is_empty() {
        let score = |name: &Name| candidates.iter().find(|candidate| candidate.name == *name).map(|found| found.score);
        let rows = others
            .iter()
            .take(others_max)
            .map(|table| {
                let kind = if table.kind == TableKind::View { " (view)" } else { "" };
                let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
                vec![
                    format!("{}{kind}", cell(&shown(&table.name))),
                    rows_of(table.rows),
                    score(&table.name).map(|score| score.to_string()).unwrap_or_default(),
                    cell(&names.join(", ")),
                ]
            })
            .collect();
        let _ = write!(out, "\nother tables\n{}", self::table(&["table", "rows", "score", "columns"], rows));
    }
    if others.len() > others_max {
        let _ = writeln!(out, "and {} more: `--all` lists them", others.len() - others_max);
    }
    foot(survey, &mut out);
    out
}

/// Tables, each whole.
pub(super) fn tables(survey: &Survey, candidates: &[Candidate], args: &DiscoverArgs) -> String {
    let mut out = head(survey);
    let is_wanted = |facts: &&TableFacts| args.table.iter().any(|name| is_meant(&facts.name, name));
    for facts in survey.tables.iter().filter(is_wanted) {
        out.push('\n');
        match candidates.iter().position(|candidate| candidate.name == facts.name) {
            Some(at) => one(survey, &candidates[at], at + 1, &mut out),
            None => {
                let _ = writeln!(out, "{}  does not look like orders or bookings", cell(&shown(&facts.name)));
            }
        }
        columns(facts, &mut out);
        keys(facts, &mut out);
        sampled(facts, &mut out);
    }
    foot(survey, &mut out);
    out
}

fn head(survey: &Survey) -> String {
    let mut out = format!("{} ({})", harmless(&survey.version), survey.source_type);
    if let Some(zone) = &survey.session_timezone {
        let _ = write!(out, ", session in {}", harmless(zone));
    }
    if let Some(zone) = &survey.timezone {
        let _ = write!(out, ", factory in {zone}");
    }
    let tables = match survey.tables.len() {
        1 => "1 table or view".to_owned(),
        count => format!("{count} tables and views"),
    };
    let _ = writeln!(out, "\n{tables}");
    out
}

fn foot(survey: &Survey, out: &mut String) {
    out.push('\n');
    for note in &survey.notes {
        let _ = writeln!(out, "note: {}", harmless(note));
    }
    let _ = writeln!(out, "{} statements were sent; nothing was written", survey.statements);
}

fn one(survey: &Survey, candidate: &Candidate, rank: usize, out: &mut String) {
    let facts = survey.tables.iter().find(|facts| facts.name == candidate.name);
    let kind = if candidate.table == TableType::Booking { "booking" } else { "order" };
    let rows = facts.map_or(RowCount::Unknown, |facts| facts.rows);
    let name = cell(&shown(&candidate.name));
    let _ = writeln!(out, "{rank}. {name}  {kind}, score {}, {}", candidate.score, rows_in_words(rows));
    if let Some((from, to)) = facts.and_then(|facts| range(facts, candidate)) {
        let _ = writeln!(out, "   from {from} to {to}");
    }
    for reason in candidate.reasons.iter().take(REASONS_SHOWN_MAX) {
        let _ = writeln!(out, "   - {}", harmless(reason));
    }
    more(candidate.reasons.len(), REASONS_SHOWN_MAX, "reason", out);
    let roles = candidate
        .roles
        .iter()
        .map(|(role, guess)| {
            let column = match &guess.joined {
                Some(joined) => format!("{} -> {}.{}", joined.columns.join(", "), shown(&joined.to), guess.column),
                None => {
                    let of_day = guess.time_of_day.as_ref().map(|column| format!(" + {column}")).unwrap_or_default();
                    format!("{}{of_day}", guess.column)
                }
            };
            vec![
                format!("   {}", word(role)),
                cell(&column),
                confidence(guess.confidence).to_owned(),
                harmless(&guess.why).into_owned(),
            ]
        })
        .collect();
    out.push_str(&table(&["   meaning", "column", "sure", "why"], roles));
    let times = candidate.times.iter().map(time).collect();
    out.push_str(&table(&["   time", "clock", "index", "why"], times));
    match &candidate.change {
        Some(change) => {
            let index = if change.indexed { "indexed" } else { "no index" };
            let _ = writeln!(out, "   changes: {} ({index}; {})", cell(&change.column), harmless(&change.why));
        }
        None => out.push_str("   changes: no column tells that a row changed\n"),
    }
    let key = if candidate.key.is_empty() { "none".to_owned() } else { cell(&candidate.key.join(", ")) };
    let _ = writeln!(out, "   key: {key}");
    if !candidate.events.is_empty() {
        let codes = candidate.events.iter().take(CODES_SHOWN_MAX).map(|event| {
            let meaning = event.meaning.as_deref().unwrap_or("?");
            vec![
                format!("   {}", cell(&event.code)),
                event.count.to_string(),
                meaning.to_owned(),
                harmless(&event.why).into_owned(),
            ]
        });
        out.push_str(&table(&["   code", "times", "means", "why"], codes.collect()));
        more(candidate.events.len(), CODES_SHOWN_MAX, "code", out);
    }
}

/// Says how many of a list are not shown.
fn more(count: usize, shown: usize, what: &str, out: &mut String) {
    let more = count.saturating_sub(shown);
    if more > 0 {
        let _ = writeln!(out, "   and {}: `-o json` has them", counted(more, &format!("more {what}")));
    }
}

fn time(time: &TimeColumn) -> Vec<String> {
    let clock = match time.basis {
        Basis::Local => "local",
        Basis::Utc => "UTC",
        Basis::Zoned => "says it",
        Basis::Unknown => "?",
    };
    let planned = if time.planned { ", planned" } else { "" };
    let mut why = harmless(&time.why).into_owned();
    if !time.fillers.is_empty() {
        let _ = write!(why, "; stands for no date: {}", harmless(&time.fillers.join(", ")));
    }
    let index = if time.indexed { "yes" } else { "no" };
    vec![format!("   {}", cell(&time.label())), format!("{clock}{planned}"), index.to_owned(), why]
}

/// First and last time, of the column that the table would be read by.
fn range(facts: &TableFacts, candidate: &Candidate) -> Option<(String, String)> {
    let role = if candidate.table == TableType::Booking { Role::Timestamp } else { Role::Start };
    let guess = candidate.roles.get(&role)?;
    // The first and the last such text are not the first and the last day.
    let is_unsorted = |time: &TimeColumn| time.is_meant(guess) && time.form == TimeForm::DottedDate;
    if candidate.times.iter().any(is_unsorted) {
        return None;
    }
    let sample = facts.sample.as_ref()?.columns.get(&guess.column)?;
    Some((value(sample.min.as_ref()?), value(sample.max.as_ref()?)))
}

fn columns(facts: &TableFacts, out: &mut String) {
    let rows = facts.columns.iter().map(|column| {
        let sample = facts.sample.as_ref().and_then(|sample| sample.columns.get(&column.name));
        let of = |text: Option<String>| text.unwrap_or_default();
        vec![
            cell(&column.name),
            cell(&column.source_type),
            if column.nullable { "yes" } else { "no" }.to_owned(),
            of(sample.map(|sample| format!("{} of {}", sample.nulls, sample.looked_at))),
            of(sample.and_then(|sample| sample.distinct).map(|count| count.to_string())),
            of(sample.map(|sample| {
                let values: Vec<String> =
                    sample.frequent.iter().take(3).map(|(seen, count)| format!("{} ({count})", value(seen))).collect();
                clip(&values.join(", "), CELL_CHARS_MAX)
            })),
            cell(column.comment.as_deref().unwrap_or_default()),
        ]
    });
    out.push('\n');
    out.push_str(&table(&["column", "type", "null", "nulls", "different", "values", "comment"], rows.collect()));
}

fn keys(facts: &TableFacts, out: &mut String) {
    for index in &facts.indexes {
        let unique = if index.unique { "unique index" } else { "index" };
        let _ = writeln!(out, "{unique} {} ({})", cell(&index.name), cell(&index.columns.join(", ")));
    }
    for key in &facts.foreign_keys {
        let columns = cell(&key.columns.join(", "));
        let _ = writeln!(out, "{columns} refers to {} ({})", cell(&shown(&key.to)), cell(&key.to_columns.join(", ")));
    }
}

fn sampled(facts: &TableFacts, out: &mut String) {
    let Some(sample) = &facts.sample else { return };
    let names: Vec<String> = facts.columns.iter().map(|column| cell(&column.name)).collect();
    let rows: Vec<Vec<String>> =
        sample.rows.iter().take(ROWS_SHOWN_MAX).map(|row| row.iter().map(value).collect()).collect();
    let header: Vec<&str> = names.iter().map(String::as_str).collect();
    let more = if sample.has_more { " that were looked at; the table has more" } else { "" };
    let (shown, looked_at) = (rows.len(), sample.looked_at);
    let _ = write!(out, "\nlatest rows: {shown} of {looked_at}{more}\n{}", table(&header, rows));
    if !sample.left_out.is_empty() {
        let names: Vec<String> = sample.left_out.iter().map(|name| cell(name)).collect();
        let _ = writeln!(out, "not looked at: {}", names.join(", "));
    }
    if !sample.masked.is_empty() {
        let masked: Vec<String> = sample.masked.iter().map(|name| cell(name)).collect();
        let _ = writeln!(out, "masked, as they look like persons: {}; `--persons` shows them", masked.join(", "));
    }
}

fn cell(text: &str) -> String {
    clip(&harmless(text), CELL_CHARS_MAX)
}

fn value(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => cell(text),
        other => cell(&other.to_string()),
    }
}

fn rows_in_words(rows: RowCount) -> String {
    match rows {
        RowCount::Exact(rows) => counted(rows, "row"),
        RowCount::Estimate(rows) => format!("about {}", counted(rows, "row")),
        RowCount::MoreThan(rows) => format!("more than {}", counted(rows, "row")),
        RowCount::Unknown => "? rows".to_owned(),
    }
}

fn rows_of(rows: RowCount) -> String {
    match rows {
        RowCount::Exact(rows) => rows.to_string(),
        RowCount::Estimate(rows) => format!("about {rows}"),
        RowCount::MoreThan(rows) => format!("more than {rows}"),
        RowCount::Unknown => "?".to_owned(),
    }
}

fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Guess => "guess",
        Confidence::Likely => "likely",
        Confidence::Sure => "sure",
    }
}

fn word(role: &Role) -> String {
    serde_json::to_value(role).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
