//! What the next run would delete and send if it were approved: a run over a copy of the state, which is thrown away.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use engine_core::memory::MemoryPipeline;
use engine_core::plan::Plan;
use engine_core::ports::{Cancel, Clock};
use engine_core::report::RunReport;
use engine_core::run::{OUTBOX_BYTES_MAX, Runner, Silent};
use engine_core::state::{Brake, LedgerRecord, StateStore};
use engine_spec::device::Device;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::args::Output;
use crate::exit::{CommandError, Kind};
use crate::fixture::as_run;
use crate::rehearsal::{Rehearsal, copy_of, rehearse};
use crate::show::harmless;
use crate::{clock, pipeline, project, show, signals};

/// Records that are listed as text; JSON has all.
const LISTED_MAX: usize = 50;

/// Where to look.
pub(super) struct Site<'a> {
    pub(super) store: &'a dyn StateStore,
    pub(super) device: &'a Device,
    pub(super) folder: &'a Path,
    pub(super) now: Option<Timestamp>,
}

/// What the next run would do.
#[derive(Debug, Serialize)]
struct Preview {
    pipeline: String,
    /// The brakes that it would meet, each of which wants an approval of its own.
    brakes: Vec<Brake>,
    /// What the server says of itself otherwise than before.
    identity: Vec<Fact>,
    notes: Vec<String>,
    deletes: Vec<Deleted>,
    /// Records that would be written.
    sends: usize,
    /// The first of them.
    sent: Vec<Value>,
}

#[derive(Debug, Serialize)]
struct Fact {
    name: String,
    before: String,
    now: String,
}

/// A record that would be deleted; the order where the state knows it.
#[derive(Debug, Serialize)]
struct Deleted {
    id: Uuid,
    machine: Option<String>,
    order: Option<String>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

pub(super) fn run(site: &Site<'_>, ids: &[String], output: Output) -> Result<(), CommandError> {
    let cancel = Cancel::default();
    signals::watch(&cancel);
    let clock = clock::clock(site.now);
    let mut previews = Vec::new();
    for id in ids {
        previews.push(preview(site, id, clock.as_ref(), &cancel)?);
    }
    match output {
        Output::Json => show::print_json(&previews),
        Output::Text => show::print(&previews.iter().map(text).collect::<String>()),
    }
    Ok(())
}

fn preview(site: &Site<'_>, id: &str, clock: &dyn Clock, cancel: &Cancel) -> Result<Preview, CommandError> {
    let plan = plan_of(site, id)?;
    let copy = copy_of(site.store, id)?;
    let open = || pipeline::open_source(&plan, cancel);
    let runner = Runner {
        plan: &plan,
        store: &copy,
        clock,
        cancel,
        open: &open,
        outbox_bytes_max: OUTBOX_BYTES_MAX,
        next_run: None,
    };
    let Rehearsal { brakes, before, after, report, .. } = rehearse(&runner, &copy, |_| Silent)?;
    if let Some(failure) = &report.failure {
        let error = CommandError::new(pipeline::kind_of(failure), format!("{id}: {}", failure.message));
        return Err(error.hint("nothing was changed; this is what the next run would meet, too"));
    }
    Ok(what_changes(&plan, &before, &after, brakes, report))
}

fn plan_of(site: &Site<'_>, id: &str) -> Result<Plan, CommandError> {
    let Some(spec) = project::find_spec(site.device, site.folder, id) else {
        return Err(CommandError::new(Kind::Usage, format!("no spec of the pipeline `{id}` was found"))
            .hint("name the device config with `--config`; its `specs` say where the specs are"));
    };
    if spec.loaded.has_errors() {
        let place = spec.path.display();
        return Err(CommandError::new(Kind::Usage, format!("{place} is not valid"))
            .hint(format!("`engine validate-spec {place}` says why")));
    }
    project::plan(&spec, site.device.destination.as_ref(), false)
}

fn what_changes(
    plan: &Plan,
    before: &MemoryPipeline,
    after: &MemoryPipeline,
    brakes: Vec<Brake>,
    report: RunReport,
) -> Preview {
    let waited: BTreeSet<&str> = before.outbox.values().map(|(record, _)| &*record.body).collect();
    let records: BTreeMap<Uuid, &LedgerRecord> = before.records.values().map(|record| (record.id, record)).collect();
    let (mut deletes, mut sent, mut sends) = (Vec::new(), Vec::new(), 0);
    for (record, _) in after.outbox.values().filter(|(record, _)| !waited.contains(&*record.body)) {
        match as_run(&record.body) {
            Some(run) => {
                sends += 1;
                if sent.len() < LISTED_MAX {
                    sent.push(Value::Object(run));
                }
            }
            None => deletes.push(deleted(record.id, records.get(&record.id).copied())),
        }
    }
    deletes.sort_by(|one, other| (&one.machine, one.start, one.id).cmp(&(&other.machine, other.start, other.id)));
    let identity = after.state.identity.iter().filter_map(|(name, now)| {
        let was = before.state.identity.get(name).filter(|was| *was != now)?;
        Some(Fact { name: name.clone(), before: was.clone(), now: now.clone() })
    });
    Preview {
        pipeline: plan.id.clone(),
        brakes,
        identity: identity.collect(),
        notes: report.notes,
        deletes,
        sends,
        sent,
    }
}

fn deleted(id: Uuid, record: Option<&LedgerRecord>) -> Deleted {
    let order = |record: &LedgerRecord| Some(record.canonical()?.ok()?.details.order_code);
    let time = |micros: i64| Timestamp::from_microsecond(micros).ok();
    Deleted {
        id,
        machine: record.map(|record| record.lane.to_string()),
        order: record.and_then(order),
        start: record.and_then(|record| time(record.start)),
        end: record.and_then(LedgerRecord::ends).and_then(time),
    }
}

fn text(preview: &Preview) -> String {
    let Preview { pipeline, brakes, identity, notes, deletes, sends, sent } = preview;
    let mut out = match brakes.first() {
        Some(brake) => format!("{pipeline}: held since {:.0}: {}\n", brake.since, harmless(&brake.message)),
        None => format!("{pipeline}: nothing waits for approval\n"),
    };
    for brake in brakes.iter().skip(1) {
        let _ = writeln!(out, "  then it is held again, for an approval of its own: {}", harmless(&brake.message));
    }
    for Fact { name, before, now } in identity {
        let _ = writeln!(out, "  {name} of the source: `{}` before, `{}` now", harmless(before), harmless(now));
    }
    for note in notes {
        let _ = writeln!(out, "  {}", harmless(note));
    }
    let _ = writeln!(out, "the next run would delete {} records and send {sends}", deletes.len());
    if !deletes.is_empty() {
        let time = |time: &Option<Timestamp>, none: &str| time.map_or_else(|| none.to_owned(), |time| time.to_string());
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let rows = deletes.iter().take(LISTED_MAX).map(|record| {
            vec![
                record.id.to_string(),
                text(&record.machine),
                text(&record.order),
                time(&record.start, "-"),
                time(&record.end, "live"),
            ]
        });
        let header = ["run_id", "machine", "order", "start", "end"];
        let shown = deletes.len().min(LISTED_MAX);
        let _ = write!(out, "\nto delete ({shown} of {})\n{}", deletes.len(), show::table(&header, rows.collect()));
    }
    if !sent.is_empty() {
        let cell = |run: &Value, name: &str| run[name].as_str().unwrap_or("-").to_owned();
        let names = ["run_id", "machine_code", "order_code", "start", "end"];
        let rows = sent.iter().map(|run| names.iter().map(|name| cell(run, name)).collect());
        let _ = write!(out, "\nto send ({} of {sends})\n{}", sent.len(), show::table(&names, rows.collect()));
    }
    if !brakes.is_empty() {
        let _ = writeln!(out, "\nnothing was changed; `engine approve {pipeline}` lets the next run do it");
    }
    out
}
