//! A preview on a terminal.

use std::fmt::Write as _;

use engine_core::report::counted;
use jiff::SignedDuration;
use serde_json::{Map, Value};

use super::chart;
use super::chart::words::{length, local};
use super::follow::Followed;
use super::gather::{Past, Preview, Shown};
use crate::args::PreviewArgs;
use crate::commands::check::facts;
use crate::commands::render;
use crate::rehearsal::difference::{Change, Difference};
use crate::show::{self, harmless};

/// Characters of a cell in a table.
const CELL_CHARS_MAX: usize = 60;
/// Characters of the columns of a row.
const ROW_CHARS_MAX: usize = 400;

/// The whole, for people.
pub(super) fn preview(preview: &Preview, args: &PreviewArgs) -> String {
    let Preview { plan, report, sent, rows, runs, rejected, .. } = preview;
    let mut out = format!("{} ({})\n", plan.id, plan.source_type);
    if let Some(failure) = &report.failure {
        let _ = writeln!(out, "error: {}", failure.message);
        if let Some(hint) = &failure.hint {
            let _ = writeln!(out, "hint: {hint}");
        }
    }
    let _ = writeln!(out, "{}", show::summary(report));
    for note in &report.notes {
        let _ = writeln!(out, "note: {note}");
    }
    plan_lines(preview, &mut out);
    ahead(preview, &mut out);
    out.push('\n');
    if let Some(statement) = sent.statement.as_ref().filter(|_| args.sql) {
        out.push_str(&render::text(plan, statement));
    }
    if let Some(differences) = &preview.differences {
        differences_text(differences, &mut out);
    }
    if !rows.is_empty() {
        let _ = match args.row {
            None => writeln!(out, "rows ({} of {})", rows.len(), report.rows),
            Some(_) => writeln!(out, "row"),
        };
        rows.iter().for_each(|row| row_text(row, &mut out));
        out.push('\n');
    }
    runs_text(runs, &mut out);
    if args.row.is_some() {
        return out;
    }
    rejected_text(rejected, &mut out);
    if let Some(timeline) = &preview.timeline {
        let style = chart::text::Style::of_terminal(args);
        out.push_str(&chart::text::draw(timeline, &plan.zone, style));
        out.push('\n');
    }
    out
}

fn plan_lines(preview: &Preview, out: &mut String) {
    let sent = &preview.sent;
    let _ = match &sent.plan {
        Some(Ok(plan)) => writeln!(out, "plan: {}", facts::plan(plan)),
        Some(Err(why)) => writeln!(out, "plan: not known: {}", harmless(why)),
        None => Ok(()),
    };
    for remark in &sent.remarks {
        let _ = writeln!(out, "note: {}", remark.message);
    }
}

/// What a run would do now to what was delivered.
fn ahead(preview: &Preview, out: &mut String) {
    if preview.report.failure.is_some() {
        // It would change nothing, and say what is said above.
        return;
    }
    let counts = preview.counts;
    let mut line = format!(
        "a run now, in records: {} new, {} changed, {} gone, {} unchanged",
        counts.new, counts.changed, counts.gone, counts.unchanged
    );
    if preview.waiting > 0 {
        let _ = write!(line, "; {} wait in the outbox already", preview.waiting);
    }
    if let Past::Empty(why) = &preview.past {
        let _ = write!(line, "; {why}");
    }
    let _ = writeln!(out, "{line}");
    if let Some(fill) = preview.first_fill {
        let plan = &preview.plan;
        let _ = writeln!(
            out,
            "the first run begins at {} and takes {} of {} up to the window at {}; this preview shows the window only",
            local(fill.from, &plan.zone),
            counted(fill.slices, "slice"),
            length(plan.sync.slice.try_into().unwrap_or(SignedDuration::MAX)),
            local(fill.until, &plan.zone)
        );
    }
    for (number, brake) in preview.brakes.iter().enumerate() {
        let again = if number == 0 { "held" } else { "then held again" };
        let _ = writeln!(out, "{again}: {}; nothing is sent until `engine approve {}`", brake.message, preview.plan.id);
    }
}

fn row_text(row: &Followed, out: &mut String) {
    let _ = writeln!(out, "  {}  {}", harmless(&row.key), row.outcome);
    let columns = row.source.as_object().map(members).unwrap_or_default();
    let mut line = |name: &str, text: &str| _ = writeln!(out, "    {name:7} {}", show::clip(text, ROW_CHARS_MAX));
    line("read", &columns);
    if let Some(canonical) = &row.row {
        line("mapped", &members(canonical));
    }
    for refused in &row.refused {
        let place = refused.place.as_ref().map(|place| format!(", {place}")).unwrap_or_default();
        line("refused", &format!("{}: {} ({}{place})", refused.code, harmless(&refused.reason), refused.rule));
    }
    if let Some(run) = &row.run {
        let time = |time: &Option<jiff::Timestamp>| time.map_or_else(|| "live".to_owned(), |time| time.to_string());
        line(
            "run",
            &format!(
                "{} {} on {}, {} .. {} ({})",
                run.role.word(),
                harmless(&run.order_code),
                harmless(&run.machine_code),
                time(&run.start),
                time(&run.end),
                run.run_id
            ),
        );
    }
    if let Some(note) = row.note {
        line("but", note);
    }
}

fn runs_text(runs: &Shown<Map<String, Value>>, out: &mut String) {
    if runs.items.is_empty() {
        return;
    }
    let names = ["order_code", "product_code", "machine_code", "start", "end"];
    let cell = |run: &Map<String, Value>, name: &str| match run.get(name) {
        Some(value) => show::clip(&plain(value), CELL_CHARS_MAX),
        None if name == "end" => "live".to_owned(),
        None => "-".to_owned(),
    };
    let rows = runs.items.iter().map(|run| names.iter().map(|name| cell(run, name)).collect()).collect();
    let _ = writeln!(out, "runs ({} of {})\n{}", runs.items.len(), runs.total, show::table(&names, rows));
}

fn rejected_text(rejected: &Shown<Map<String, Value>>, out: &mut String) {
    if rejected.items.is_empty() {
        return;
    }
    let rows = rejected.items.iter().map(|row| {
        let cell = |name: &str| row.get(name).map(plain).unwrap_or_default();
        let columns = row.iter().filter(|(name, _)| !["code", "reason", "rule"].contains(&name.as_str()));
        let columns: Map<String, Value> = columns.map(|(name, value)| (name.clone(), value.clone())).collect();
        vec![cell("code"), cell("reason"), cell("rule"), show::clip(&members(&columns), 2 * CELL_CHARS_MAX)]
    });
    let header = ["code", "reason", "rule", "row"];
    let table = show::table(&header, rows.collect());
    let _ = writeln!(out, "rejected ({} of {})\n{table}", rejected.items.len(), rejected.total);
}

fn differences_text(differences: &Shown<Difference>, out: &mut String) {
    let _ = writeln!(out, "differences ({} of {})", differences.items.len(), differences.total);
    for one in &differences.items {
        let word = match one.change {
            Change::New => "new",
            Change::Changed => "changed",
            Change::Gone => "gone",
        };
        let order = one.order.as_deref().unwrap_or("a record");
        let _ = writeln!(out, "  {word}  {} on {} ({})", harmless(order), harmless(&one.machine), one.id);
        for member in &one.members {
            let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "-".to_owned(), plain);
            let (old, new) = (value(&member.old), value(&member.new));
            let _ = match one.change {
                Change::New => writeln!(out, "    {} {}", harmless(&member.name), show::clip(&new, CELL_CHARS_MAX)),
                Change::Gone => writeln!(out, "    {} {}", harmless(&member.name), show::clip(&old, CELL_CHARS_MAX)),
                Change::Changed => writeln!(
                    out,
                    "    {} {} -> {}",
                    harmless(&member.name),
                    show::clip(&old, CELL_CHARS_MAX),
                    show::clip(&new, CELL_CHARS_MAX)
                ),
            };
        }
        if !one.remembered {
            let _ = writeln!(out, "    what else it said is not remembered, but for a hash");
            if let Some(record) = &one.record {
                let _ = writeln!(out, "    now {}", show::clip(&members(record), ROW_CHARS_MAX));
            }
        }
    }
    out.push('\n');
}

/// Members as `name=value`, safe to be shown.
fn members(row: &Map<String, Value>) -> String {
    row.iter().map(|(name, value)| format!("{}={}", harmless(name), plain(value))).collect::<Vec<_>>().join(" ")
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => harmless(text).into_owned(),
        other => harmless(&other.to_string()).into_owned(),
    }
}
