//! The fields: which column is what, and how sure that is.

use std::fmt::Write as _;

use engine_spec::yaml::emit::{self, comment};
use serde_json::Value;

use super::query::{Query, used_roles};
use super::times::{field, shares_date, time_of};
use super::{Draft, Meaning, doubt, frequent, role_name};
use crate::discover::{Basis, Role, RoleGuess};
use crate::report::counted;

/// Width of the names, so that the columns stand below each other.
const NAME_WIDTH: usize = 15;

/// Writes the block.
pub(super) fn write(draft: &Draft<'_>, query: &Query, out: &mut String) {
    out.push_str("fields:\n");
    for (role, constant) in &draft.answers.constants {
        let _ =
            writeln!(out, "  {:NAME_WIDTH$} {{ value: {} }}", format!("{}:", role_name(*role)), emit::scalar(constant));
    }
    for (role, guess) in used_roles(draft) {
        match role {
            Role::Status | Role::Cancelled => {}
            Role::Start | Role::End | Role::Timestamp => time(draft, query, role, guess, out),
            Role::Event => event(draft, query, guess, out),
            _ => text(draft, query, role, guess, out),
        }
    }
    if let Some(guess) = draft.candidate.roles.get(&Role::Status) {
        states(draft, guess, out);
    }
    out.push('\n');
}

fn line(role: Role, value: &str, remark: &str, out: &mut String) {
    let name = format!("{}:", role_name(role));
    let remark = if remark.is_empty() { String::new() } else { format!("   # {}", comment(remark)) };
    let _ = writeln!(out, "  {name:NAME_WIDTH$} {value}{remark}");
}

/// Why a column is believed to be what it is, and which others could be.
fn remark(guess: &RoleGuess) -> String {
    let mut remark = format!("{}{}", doubt(guess.confidence), guess.why);
    if !guess.alternatives.is_empty() {
        let _ = write!(remark, "; or {}", guess.alternatives.join(", "));
    }
    remark
}

fn text(draft: &Draft<'_>, query: &Query, role: Role, guess: &RoleGuess, out: &mut String) {
    let column = emit::scalar(query.role_name(role, guess));
    let mut steps = Vec::new();
    if is_any(draft, guess, |text| text != text.trim()) {
        steps.push("trim");
    }
    let is_quantity = matches!(role, Role::QuantityTotal | Role::QuantityYield | Role::QuantityScrap);
    if is_quantity && is_any(draft, guess, |text| text.trim().starts_with('+')) {
        steps.push("{ strip_leading: \"+\" }");
    }
    let value = match steps.is_empty() {
        true => column,
        false => format!("{{ column: {column}, transform: [{}] }}", steps.join(", ")),
    };
    line(role, &value, &remark(guess), out);
}

/// Whether one of the texts that were seen is so.
fn is_any(draft: &Draft<'_>, guess: &RoleGuess, fits: impl Fn(&str) -> bool) -> bool {
    let table = match &guess.joined {
        Some(joined) => draft.survey.tables.iter().find(|table| table.name == joined.to),
        None => Some(draft.table),
    };
    let Some(table) = table else { return false };
    let place = table.columns.iter().position(|column| column.name == guess.column);
    let rows = table.sample.as_ref().map_or(&[][..], |sample| &sample.rows);
    let of_rows = rows.iter().filter_map(|row| place.and_then(|place| row.get(place)));
    let mut seen = of_rows.chain(frequent(table, &guess.column).iter().map(|(value, _)| value));
    seen.any(|value| value.as_str().is_some_and(&fits))
}

fn time(draft: &Draft<'_>, query: &Query, role: Role, guess: &RoleGuess, out: &mut String) {
    let time = time_of(draft, guess);
    let mut remarks = vec![remark(guess)];
    match time.basis {
        Basis::Unknown if time.why.is_empty() => {
            remarks.push("? nothing tells whether this is local time or UTC".to_owned());
        }
        Basis::Unknown => remarks.push(format!("? local time or UTC: {}", time.why)),
        _ if !time.why.is_empty() => remarks.push(time.why.clone()),
        _ => {}
    }
    if time.planned {
        remarks.push("? its latest times lie in the future: is it the plan?".to_owned());
    }
    for remark in &remarks {
        let _ = writeln!(out, "  # {}", comment(remark));
    }
    let after_start = role == Role::End && shares_date(draft);
    let parts = field(draft, &time, after_start, |column| query.result_name(column).to_owned());
    match parts.as_slice() {
        [whole] => line(role, whole, "", out),
        parts => {
            let _ = writeln!(out, "  {}:\n    {}", role_name(role), parts.join("\n    "));
        }
    }
    if role != Role::End && !time.indexed {
        let name = comment(&time.column);
        let _ = writeln!(out, "  # no index begins with `{name}`: a run reads the whole table");
    }
}

fn event(draft: &Draft<'_>, query: &Query, guess: &RoleGuess, out: &mut String) {
    let _ = writeln!(out, "  # {}", comment(&remark(guess)));
    let _ = writeln!(out, "  event:\n    column: {}", emit::scalar(query.role_name(Role::Event, guess)));
    // Blanks around a code are no part of it.
    if is_any(draft, guess, |text| text != text.trim()) {
        out.push_str("    transform: [trim]\n");
    }
    out.push_str("    map:\n");
    let seen = |code: &str| draft.candidate.events.iter().find(|event| event.code.trim() == code);
    for (code, meaning) in &draft.answers.events {
        let word = match meaning {
            Meaning::Start => "START",
            Meaning::End => "END",
            Meaning::Neither => continue,
        };
        let why = seen(code).map(|event| format!("{}; {}", counted(event.count, "row"), event.why)).unwrap_or_default();
        let _ = writeln!(
            out,
            "      {}",
            format!("{}: {word}   # {}", emit::scalar(code), comment(&why)).trim_end_matches("   # ")
        );
    }
    out.push_str("    unmapped: reject   # another code goes to quarantine, and nothing is lost\n");
    for event in &draft.candidate.events {
        let code = event.code.trim();
        if !draft.answers.events.contains_key(code) {
            let words = format!("? {code}: {}, and nobody said what it does", counted(event.count, "row"));
            let _ = writeln!(out, "    # {}", comment(&words));
        }
    }
}

/// What states there are, as a comment: a filter that nobody asked for leaves rows out in silence.
fn states(draft: &Draft<'_>, guess: &RoleGuess, out: &mut String) {
    if guess.joined.is_some() {
        return;
    }
    let states: Vec<String> = frequent(draft.table, &guess.column)
        .iter()
        .map(|(value, count)| format!("{} ({count})", super::plain(value)))
        .collect();
    if !states.is_empty() {
        let name = &guess.column;
        let _ = writeln!(out, "  # {}", comment(&format!("states in `{name}`: {}", states.join(", "))));
        out.push_str("  # To read some of them only, add a condition to the query.\n");
    }
}

/// The expression that is true where a column has one of these values.
pub(super) fn one_of(column: &str, values: &[Value]) -> String {
    let literals: Vec<String> = values.iter().map(literal).collect();
    match literals.as_slice() {
        [one] => format!("{column} == {one}"),
        several => format!("{column} in [{}]", several.join(", ")),
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{}'", escaped(text.trim_end())),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

/// A text between the quotes of an expression. A brace could begin a tag there.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'").replace('{', "\\u007b")
}
