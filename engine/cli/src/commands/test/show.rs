//! Results for people.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::TestResult;
use super::compare::{Difference, Item, Member};
use super::execute::ClockFrom;
use crate::show::harmless_lines;

/// Indent of what belongs to a test.
const INDENT: &str = "       ";

/// How what is shown is set off from the rest.
#[derive(Debug, Clone, Copy)]
pub struct Tints {
    good: &'static str,
    bad: &'static str,
    faint: &'static str,
    reset: &'static str,
}

impl Tints {
    /// No colours at all.
    pub const NONE: Self = Self { good: "", bad: "", faint: "", reset: "" };
    /// Green, red and grey.
    pub const COLOURS: Self = Self { good: "\u{1b}[32m", bad: "\u{1b}[31m", faint: "\u{1b}[2m", reset: "\u{1b}[0m" };
}

/// All results, and a line that counts them.
pub fn text(results: &[TestResult], tints: Tints) -> String {
    let Tints { good, bad, faint, reset } = tints;
    let mut out = String::new();
    for result in results {
        let (pipeline, name) = (&result.pipeline, harmless_lines(&result.name));
        if result.passed {
            let _ = writeln!(out, "{good}ok{reset}     {pipeline}: {name}");
        } else {
            let place = format!("{faint}({}:{}){reset}", result.file, result.line);
            let _ = writeln!(out, "{bad}FAILED{reset} {pipeline}: {name} {place}");
        }
        for difference in &result.details {
            let _ = writeln!(out, "{}", indented(&describe(difference, tints)));
        }
        if let Some(note) = note(result) {
            let _ = writeln!(out, "{INDENT}note: {note}");
        }
    }
    let failed = results.iter().filter(|result| !result.passed).count();
    let _ = writeln!(out, "{} passed, {failed} failed", results.len() - failed);
    out
}

/// What is worth knowing of a test that nothing else tells.
fn note(result: &TestResult) -> Option<String> {
    let now = result.now?;
    (result.clock == Some(ClockFrom::MadeUp) && result.depends_on_clock)
        .then(|| format!("no row has a time that can be read, so the clock was made up: {now}; `now` sets it"))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("{INDENT}{line}")).collect::<Vec<_>>().join("\n")
}

/// A difference in words.
pub fn describe(difference: &Difference, tints: Tints) -> String {
    match difference {
        Difference::Failed { reason } => harmless_lines(reason).into_owned(),
        Difference::Missing { list, expected, nearest, members } => {
            let mut out = format!("no {} {}", list.item(), item(expected));
            if let Some(nearest) = nearest {
                let _ = write!(out, "\nnearest is  {}\n{}", found(nearest), table(members, tints));
            }
            out
        }
        Difference::Extra { list, found: item } => format!("one {} too many: {}", list.item(), found(item)),
        Difference::Sql { expected, found, .. } => {
            let Tints { good, bad, reset, .. } = tints;
            let (expected, found) = (harmless_lines(expected), harmless_lines(found));
            format!("sql: expected\n{good}{expected}{reset}\nbut it is\n{bad}{found}{reset}")
        }
        Difference::Params { expected, found } => {
            format!("params: expected {} but they are {}", json(expected), json(found))
        }
    }
}

/// One line a member: its name, what was expected, what came out.
fn table(members: &[Member], tints: Tints) -> String {
    let Tints { good, bad, faint, reset } = tints;
    let rows: Vec<[String; 3]> = members
        .iter()
        .map(|member| {
            let expected = member.expected.as_ref().map_or_else(|| "(not named)".to_owned(), json);
            [harmless_lines(&member.name).into_owned(), expected, json(&member.found)]
        })
        .collect();
    let header = ["member", "expected", "found"];
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(header[column].len())
    };
    let (name, expected) = (width(0), width(1));
    let mut out = format!("  {faint}{:name$}  {:expected$}  {}{reset}", header[0], header[1], header[2]);
    for row in &rows {
        let _ = write!(out, "\n  {:name$}  {good}{:expected$}{reset}  {bad}{}{reset}", row[0], row[1], row[2]);
    }
    out
}

fn item(item: &Item) -> String {
    json(item)
}

fn found(item: &Map<String, Value>) -> String {
    json(item)
}

fn json(value: &impl serde::Serialize) -> String {
    harmless_lines(&serde_json::to_string(value).unwrap_or_default()).into_owned()
}
