//! `engine check`: connects as a run does, and shows what a source says of itself, and a sample. Nothing is sent or kept.

pub(super) mod facts;
mod sample;
mod show;

use std::collections::BTreeMap;
use std::path::Path;

use engine_core::cursor::CursorValue;
use engine_core::mapping::find_column;
use engine_core::plan::Plan;
use engine_core::ports::{Ask, Cancel, Source, SourceError, SourceErrorKind};
use engine_core::probe::{Probe, Remark, Severity, judge};
use engine_core::run::source_failure;
use engine_spec::model::SyncMode;
use engine_spec::template::BindValue;
use jiff::Timestamp;

use self::facts::{Fact, connection_facts, probe_facts};
use self::sample::Sample;
use super::render;
use crate::args::{CheckArgs, Output};
use crate::exit::{CommandError, Kind};
use crate::project::{FoundSpec, Project};
use crate::{clock, pipeline, sandbox, signals};

/// What was found out about one spec.
struct Checked {
    /// The pipeline's id, or the file where there is no plan.
    name: String,
    /// `source.type`; empty where there is no plan.
    source_type: &'static str,
    facts: Vec<Fact>,
    remarks: Vec<Remark>,
    sample: Option<Sample>,
    /// What is in the way of a run, the first first.
    failures: Vec<CommandError>,
}

/// Checks the sources of specs.
pub fn run(args: &CheckArgs, config: Option<&Path>) -> Result<(), CommandError> {
    let project = Project::open(&args.paths, config)?;
    let cancel = Cancel::default();
    signals::watch(&cancel);
    let now = clock::clock(args.now).now();
    let mut worst = project.broken.then_some(Kind::Usage);
    let mut json = Vec::new();
    for spec in &project.specs {
        let checked = check(&project, spec, usize::from(args.rows), now, &cancel);
        worst = worst.max(checked.failures.iter().map(|failure| failure.kind).max());
        match args.output {
            Output::Text => crate::show::print(&show::text(&checked)),
            Output::Json => json.push(show::json(&checked)),
        }
        if cancel.is_cancelled() {
            break;
        }
    }
    if args.output == Output::Json {
        crate::show::print(&format!("{}\n", serde_json::Value::from(json)));
    }
    worst.map_or(Ok(()), |kind| Err(CommandError::said(kind)))
}

fn check(project: &Project, spec: &FoundSpec, rows: usize, now: Timestamp, cancel: &Cancel) -> Checked {
    let mut checked = Checked {
        name: spec.path.display().to_string(),
        source_type: "",
        facts: Vec::new(),
        remarks: Vec::new(),
        sample: None,
        failures: Vec::new(),
    };
    let plan = match project.plan(spec, false) {
        Ok(plan) => plan,
        Err(error) => {
            checked.failures.push(error);
            return checked;
        }
    };
    checked.name.clone_from(&plan.id);
    checked.source_type = plan.source_type;
    let source = check_source(&plan, rows, now, cancel, &mut checked);
    let destination = check_destination(&plan, &mut checked);
    checked.remarks.extend(unrestricted(sandbox::offered()));
    checked.failures.extend(source.err().into_iter().chain(destination.err()));
    checked
}

fn check_source(
    plan: &Plan,
    rows: usize,
    now: Timestamp,
    cancel: &Cancel,
    checked: &mut Checked,
) -> Result<(), CommandError> {
    let mut source = pipeline::open_source(plan, cancel).map_err(failed)?;
    checked.facts = connection_facts(source.identity());
    let ask = Ask { batch_rows_max: Some(1), ..first_ask(plan, now, &mut *source)? };
    let probe = source.probe(&ask).unwrap_or_else(|error| Probe::unknown(&error.message));
    checked.facts.extend(probe_facts(&probe));
    checked.remarks = judge(&probe, &ask);
    checked.sample = Some(Sample::take(&mut *source, &ask, rows).map_err(failed)?);
    checked.remarks.extend(left_for_later(&*source));
    Ok(())
}

/// What a first run asks. Where it needs a cursor, that is the smallest value of each column, by the kinds that the
/// source says they have.
fn first_ask(plan: &Plan, now: Timestamp, source: &mut dyn Source) -> Result<Ask, CommandError> {
    let unread = BTreeMap::new();
    let ask = render::ask(plan, now, &unread);
    if ask.is_ok() || plan.sync.mode != SyncMode::Cursor {
        return ask;
    }
    let nulls = plan.sync.cursor.iter().map(|name| (name.clone(), BindValue::Null)).collect();
    let columns = Sample::take(source, &render::ask(plan, now, &nulls)?, 0).map_err(failed)?.columns;
    let smallest = |name: &String| {
        let place = find_column(&columns, name).ok()?;
        Some((name.clone(), CursorValue::smallest(columns[place].kind).to_bind(&plan.zone)))
    };
    render::ask(plan, now, &plan.sync.cursor.iter().filter_map(smallest).collect())
}

fn left_for_later(source: &dyn Source) -> Option<Remark> {
    source.left_for_later().map(|message| Remark { severity: Severity::Note, about: "left", message, action: None })
}

/// What is said where `engine run` will keep all rights of its account.
pub(super) fn unrestricted(offered: Result<(), String>) -> Option<Remark> {
    offered.err().map(|why| Remark {
        severity: Severity::Note,
        about: "restriction",
        message: format!("`engine run` keeps all rights of its account here, as it cannot give any up: {why}"),
        action: Some(
            "run it on Linux 5.13 or later with Landlock; a container must allow its three system calls".into(),
        ),
    })
}

/// Whether something listens where records go. Nothing is sent, not even a login.
fn check_destination(plan: &Plan, checked: &mut Checked) -> Result<(), CommandError> {
    let Some(config) = &plan.destination else { return Ok(()) };
    let found = engine_connect::to::reach(config).map_err(|error| CommandError {
        kind: Kind::Environment,
        message: error.to_string(),
        hint: error.hint,
    })?;
    checked.facts.push(Fact::known("destination", found));
    Ok(())
}

/// A failure of a source in the words of a run. A statement that the server refuses is a mistake of the spec.
pub(super) fn failed(error: SourceError) -> CommandError {
    let is_refused = error.kind == SourceErrorKind::Query;
    let failure = source_failure(error);
    let kind = if is_refused { Kind::Usage } else { pipeline::kind_of(&failure) };
    CommandError { kind, message: failure.message, hint: failure.hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_where_a_run_cannot_be_restricted() {
        assert!(unrestricted(Ok(())).is_none());
        let remark = unrestricted(Err("the kernel is old".to_owned())).expect("a remark");
        assert!(remark.message.contains("the kernel is old"), "{}", remark.message);
        assert!(remark.action.is_some_and(|action| action.contains("Landlock")));
    }
}
