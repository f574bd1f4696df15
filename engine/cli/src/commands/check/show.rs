//! What was found out, for people and for programs.

use std::fmt::Write as _;

use engine_core::probe::Severity;
use serde_json::{Value, json};

use super::Checked;
use super::sample::Sample;
use crate::exit::Kind;
use crate::show::{clip, harmless, harmless_lines, table};

/// Characters of a cell in a table.
const CELL_CHARS_MAX: usize = 40;
/// Width of the names of facts.
const NAME_WIDTH: usize = 11;

/// The whole, for people.
pub(super) fn text(checked: &Checked) -> String {
    let mut out = checked.name.clone();
    if !checked.source_type.is_empty() {
        let _ = write!(out, " ({})", checked.source_type);
    }
    out.push('\n');
    let mut last = "";
    for fact in &checked.facts {
        let name = if fact.name == last { "" } else { fact.name };
        last = fact.name;
        let _ = match &fact.said {
            Ok(said) => writeln!(out, "  {name:NAME_WIDTH$}  {}", harmless(said)),
            Err(why) => writeln!(out, "  {name:NAME_WIDTH$}  unknown: {}", harmless(why)),
        };
    }
    for remark in &checked.remarks {
        let _ = writeln!(out, "{}: {}", word(remark.severity), harmless(&remark.message));
        if let Some(action) = &remark.action {
            let _ = writeln!(out, "  do: {}", harmless_lines(action));
        }
    }
    for failure in &checked.failures {
        let _ = writeln!(out, "{}", harmless_lines(&failure.to_string()));
    }
    out.push('\n');
    if let Some(sample) = &checked.sample {
        sample_text(sample, &mut out);
    }
    out
}

fn sample_text(sample: &Sample, out: &mut String) {
    let millis = sample.waited.as_millis();
    let more = if sample.has_more { ", and there are more" } else { "" };
    let _ = match sample.rows.len() {
        0 => writeln!(out, "sample: no rows{more}; answered after {millis} ms"),
        1 => writeln!(out, "sample: 1 row{more}; it came after {millis} ms"),
        count => writeln!(out, "sample: {count} rows{more}; the first came after {millis} ms"),
    };
    let names: Vec<&str> = sample.columns.iter().map(|column| column.name.as_str()).collect();
    let types = sample.columns.iter().map(|column| column.source_type.clone()).collect();
    let kinds = sample.columns.iter().map(|column| column.kind.words().to_owned()).collect();
    let values = sample.rows.iter().map(|row| row.iter().map(plain).collect());
    if !names.is_empty() {
        let _ = writeln!(out, "{}", table(&names, [types, kinds].into_iter().chain(values).collect()));
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => clip(text, CELL_CHARS_MAX),
        other => clip(&other.to_string(), CELL_CHARS_MAX),
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// The whole, for programs.
pub(super) fn json(checked: &Checked) -> Value {
    let facts = checked.facts.iter().map(|fact| match &fact.said {
        Ok(said) => json!({ "name": fact.name, "value": said }),
        Err(why) => json!({ "name": fact.name, "value": null, "unknown": why }),
    });
    let remarks = checked.remarks.iter().map(|remark| {
        json!({
            "severity": word(remark.severity), "about": remark.about, "message": remark.message,
            "action": remark.action,
        })
    });
    let failures = checked.failures.iter().map(|failure| {
        let kind = match failure.kind {
            Kind::Run => "source",
            Kind::Usage => "spec",
            Kind::Environment => "environment",
        };
        json!({ "kind": kind, "message": failure.message, "hint": failure.hint })
    });
    json!({
        "pipeline": checked.name,
        "source": checked.source_type,
        "ok": checked.failures.is_empty(),
        "facts": facts.collect::<Vec<_>>(),
        "remarks": remarks.collect::<Vec<_>>(),
        "failures": failures.collect::<Vec<_>>(),
        "sample": checked.sample.as_ref().map(sample_json),
    })
}

fn sample_json(sample: &Sample) -> Value {
    let columns = sample
        .columns
        .iter()
        .map(|column| json!({ "name": column.name, "type": column.source_type, "kind": column.kind.words() }));
    json!({
        "first_row_ms": u64::try_from(sample.waited.as_millis()).unwrap_or(u64::MAX),
        "columns": columns.collect::<Vec<_>>(),
        "rows": sample.rows,
        "more": sample.has_more,
    })
}
