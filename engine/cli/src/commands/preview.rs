//! `engine preview`: what a run would make of the source's rows, and nothing is sent or kept.

use std::fmt::Write as _;
use std::path::Path;

use engine_core::mapping::Outcome;
use engine_core::memory::MemoryStore;
use engine_core::plan::Plan;
use engine_core::ports::Cancel;
use engine_core::report::RunReport;
use engine_core::run::{self, OUTBOX_BYTES_MAX, Runner};
use serde_json::{Map, Value};

use crate::args::{Output, PreviewArgs};
use crate::commands::record;
use crate::exit::{CommandError, Kind};
use crate::fixture::Outcomes;
use crate::project::Project;
use crate::{clock, pipeline, show, signals, store};

/// Characters of a cell in a table.
const CELL_CHARS_MAX: usize = 60;

/// Shows what runs would make of the rows of their sources.
pub fn run(args: &PreviewArgs, config: Option<&Path>) -> Result<(), CommandError> {
    if let Some(name) = &args.record {
        return record::run(args, &name.to_string(), config);
    }
    let project = Project::open(&args.paths, config)?;
    let cancel = Cancel::default();
    signals::watch(&cancel);
    let clock = clock::clock(args.now);
    let mut worst = project.broken.then_some(Kind::Usage);
    let mut json = Vec::new();
    for spec in &project.specs {
        let mut plan = project.plan(spec, false)?;
        // The first fill may take long; the window shows what there is to see.
        plan.sync.start = None;
        let store = MemoryStore::new();
        let open = || pipeline::open_source(&plan, &cancel);
        let runner = Runner {
            plan: &plan,
            store: &store,
            clock: clock.as_ref(),
            cancel: &cancel,
            open: &open,
            outbox_bytes_max: OUTBOX_BYTES_MAX,
            next_run: None,
        };
        let mut outcomes = Outcomes::new(&plan, args.limit);
        let mut report = runner.run(&mut outcomes);
        report.notes.extend(change_since_the_last_run(&project, &plan));
        outcomes.take_from(&store.snapshot(&plan.id), &plan);
        if let Some(failure) = &report.failure {
            worst = worst.max(Some(pipeline::kind_of(failure)));
        }
        match args.output {
            Output::Text => show::print(&text(&plan, &report, &outcomes, args.limit)),
            Output::Json => json.push(serde_json::json!({
                "pipeline": plan.id, "report": report, "rows": outcomes.seen.iter().map(seen_json).collect::<Vec<_>>(),
                "runs": outcomes.runs.iter().take(args.limit).collect::<Vec<_>>(),
                "rejected": outcomes.rejected.iter().take(args.limit).collect::<Vec<_>>(),
            })),
        }
    }
    if args.output == Output::Json {
        show::print(&format!("{}\n", Value::from(json)));
    }
    worst.map_or(Ok(()), |kind| Err(CommandError::said(kind)))
}

/// What of the spec changed since records were sent last, and where to see what that would delete. Without a state that
/// can be read there is nothing to say: a preview needs none.
fn change_since_the_last_run(project: &Project, plan: &Plan) -> Option<String> {
    let state = store::open_or_empty(&project.device, &project.folder).ok()?.load(&plan.id).ok()?;
    let note = run::change(state.fingerprint.as_ref(), &plan.fingerprint).note(plan)?;
    Some(format!("{note}; `engine approve {} --dry-run` lists what the next run would do", plan.id))
}

fn seen_json((row, outcome, mapped, why): &(String, Outcome, Option<Map<String, Value>>, String)) -> Value {
    let source = serde_json::from_str::<Value>(row).unwrap_or_default();
    serde_json::json!({"source": source, "outcome": word(*outcome), "row": mapped, "reason": why})
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Row => "row",
        Outcome::Cancelled => "cancelled",
        Outcome::Skipped => "skipped",
        Outcome::Rejected => "rejected",
    }
}

fn text(plan: &Plan, report: &RunReport, outcomes: &Outcomes, limit: usize) -> String {
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
    out.push('\n');
    if !outcomes.seen.is_empty() {
        let rows = outcomes
            .seen
            .iter()
            .map(|(row, outcome, mapped, why)| {
                let columns = serde_json::from_str::<Map<String, Value>>(row).unwrap_or_default();
                let source = columns.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect::<Vec<_>>();
                let result = mapped.as_ref().map_or_else(|| why.clone(), members);
                vec![show::clip(&source.join(" "), 2 * CELL_CHARS_MAX), word(*outcome).to_owned(), result]
            })
            .collect();
        let _ = writeln!(
            out,
            "rows ({} of {})\n{}",
            outcomes.seen.len(),
            report.rows,
            show::table(&["source", "outcome", "canonical"], rows)
        );
    }
    if !outcomes.runs.is_empty() {
        let names = ["order_code", "product_code", "machine_code", "start", "end"];
        let rows = outcomes
            .runs
            .iter()
            .take(limit)
            .map(|run| {
                let cell = |name: &str| {
                    run.get(name).map_or_else(|| "-".to_owned(), |value| show::clip(&plain(value), CELL_CHARS_MAX))
                };
                names
                    .iter()
                    .map(|name| if *name == "end" && !run.contains_key("end") { "live".to_owned() } else { cell(name) })
                    .collect()
            })
            .collect();
        let shown = outcomes.runs.len().min(limit);
        let _ = writeln!(out, "runs ({shown} of {})\n{}", outcomes.runs.len(), show::table(&names, rows));
    }
    if !outcomes.rejected.is_empty() {
        let rows = outcomes
            .rejected
            .iter()
            .take(limit)
            .map(|row| {
                let cell = |name: &str| row.get(name).map(plain).unwrap_or_default();
                let columns: Vec<String> = row
                    .iter()
                    .filter(|(name, _)| !["code", "reason", "rule"].contains(&name.as_str()))
                    .map(|(name, value)| format!("{name}={}", plain(value)))
                    .collect();
                vec![cell("code"), cell("reason"), cell("rule"), show::clip(&columns.join(" "), 2 * CELL_CHARS_MAX)]
            })
            .collect();
        let shown = outcomes.rejected.len().min(limit);
        let header = ["code", "reason", "rule", "row"];
        let _ = writeln!(out, "rejected ({shown} of {})\n{}", outcomes.rejected.len(), show::table(&header, rows));
    }
    out
}

fn members(row: &Map<String, Value>) -> String {
    row.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect::<Vec<_>>().join(" ")
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
