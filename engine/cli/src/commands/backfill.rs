//! `engine backfill`: history that is older than what the schedule reads, in slices.

mod bounds;
mod show;

use std::path::Path;

use engine_core::backfill::{Counts, Slice, overlap};
use engine_core::plan::Plan;
use engine_core::ports::Cancel;
use engine_core::report::FailureKind;
use engine_core::run::{self, Change};
use engine_core::state::PipelineState;
use jiff::Timestamp;

use self::show::{Report, SliceReport, State};
use crate::args::BackfillArgs;
use crate::backfill::{Backfill, Open, Outcome, ended};
use crate::exit::{CommandError, Kind};
use crate::fixture::as_run;
use crate::project::{FoundSpec, Project};
use crate::{clock, signals, store, telemetry};

/// Reads the slices and says what they hold; with `--yes`, sends it.
pub fn run(args: &BackfillArgs, config: Option<&Path>, verbose: u8, quiet: bool) -> Result<(), CommandError> {
    let project = Project::open(std::slice::from_ref(&args.spec), config)?;
    telemetry::start(&project.device.log, verbose, quiet);
    let spec = only(&project)?;
    let cancel = Cancel::default();
    signals::watch(&cancel);
    let clock = clock::clock(args.now);
    let plan = project.plan(spec, false)?;
    bounds::has_a_window(&plan)?;
    let store = if args.yes {
        store::open(&project.device, &project.folder)?
    } else {
        store::open_or_empty(&project.device, &project.folder)?
    };
    let state = store.load(&plan.id)?;
    same_ids(&plan, &state)?;
    let now = clock.now();
    let schedule_from = run::unread_from(&plan.sync, now, &state);
    let job = bounds::job(args, &plan, overlap(&plan), now)?;
    bounds::before_the_schedule(&job, schedule_from, &plan)?;
    let present = run::window(&plan.sync, now).1;
    let slices = job.slices(schedule_from, present).ok_or_else(bounds::too_many)?;
    let backfill = Backfill {
        project: &project,
        spec,
        id: &plan.id,
        store: store.as_ref(),
        clock: clock.as_ref(),
        cancel: &cancel,
        job_id: job.id(&plan),
        job,
        slices,
        open: Open::default(),
    };
    if args.restart {
        backfill.restart()?;
    }
    let mut report = Report::new(&backfill, &plan, schedule_from, args)?;
    let outcome = if args.yes { send(&backfill, &mut report) } else { look(&backfill, &mut report, args.limit) };
    report.print(args.output);
    outcome?;
    report.worst.map_or(Ok(()), |kind| Err(CommandError::said(kind)))
}

fn only(project: &Project) -> Result<&FoundSpec, CommandError> {
    match project.specs.as_slice() {
        [spec] => Ok(spec),
        specs => Err(CommandError::new(
            Kind::Usage,
            format!("{} specs were found, and one is filled at a time", specs.len()),
        )
        .hint("name the file of the spec: `engine backfill specs/acme/bookings.yaml --from 2024-01-01`")),
    }
}

/// Records under new ids, beside those of before that lie outside of the window, would double the history.
fn same_ids(plan: &Plan, state: &PipelineState) -> Result<(), CommandError> {
    if run::change(state.fingerprint.as_ref(), &plan.fingerprint) != Change::Identity {
        return Ok(());
    }
    let message =
        format!("{}: `key`, `table` or `deliver` changed since the last run, which gives records new ids", plan.id);
    Err(CommandError::new(Kind::Usage, message).hint(format!(
        "let the pipeline run first, so that it deletes the records under their old ids; `engine approve {} --dry-run` \
         lists them",
        plan.id
    )))
}

/// Says of every slice what would be sent.
fn look(backfill: &Backfill<'_>, report: &mut Report, limit: usize) -> Result<(), CommandError> {
    let known = backfill.known()?;
    for slice in &backfill.slices {
        if let Some(state) = known.get(&slice.number).filter(|state| slice.is_finished(state)) {
            report.add(slice, SliceReport { refused: state.refused, ..SliceReport::of(slice, State::Finished) });
            continue;
        }
        match backfill.read(slice) {
            Ok(read) => {
                let left = limit.saturating_sub(report.records.len());
                let records = read.chosen.iter().take(left);
                report.records.extend(records.filter_map(|record| as_run(&record.body)));
                report.add(slice, SliceReport { counts: read.counts, ..SliceReport::of(slice, State::WouldSend) });
            }
            Err(failure) if failure.kind == FailureKind::Rejected => {
                report.fail(slice, &failure);
            }
            Err(failure) => return Err(ended(&failure)),
        }
    }
    Ok(())
}

fn send(backfill: &Backfill<'_>, report: &mut Report) -> Result<(), CommandError> {
    backfill.work(&mut |slice, outcome| {
        log(backfill.id, slice, &outcome);
        let Outcome { counts, elsewhere, failure, refused, refusals } = outcome;
        if let Some(failure) = failure {
            return report.fail(slice, &failure);
        }
        let state = if elsewhere { State::Finished } else { State::Sent };
        report.refusals.extend(refusals);
        let counts = counts.unwrap_or_default();
        report.add(slice, SliceReport { counts, refused, ..SliceReport::of(slice, state) });
    })
}

fn log(pipeline: &str, slice: &Slice, outcome: &Outcome) {
    let Slice { from, to, number, .. } = slice;
    match outcome {
        Outcome { failure: Some(failure), .. } => tracing::error!(
            event = "slice_failed",
            pipeline,
            slice = number,
            hint = failure.hint,
            "{from} to {to}: {}",
            failure.message
        ),
        Outcome { counts: Some(Counts { read, send, .. }), refused, .. } => tracing::info!(
            event = "slice_sent",
            pipeline,
            slice = number,
            rows = read,
            records = send,
            refused,
            "{from} to {to}: {send} records sent"
        ),
        Outcome { .. } => {}
    }
}

/// An instant as the source's clocks show it.
fn local(instant: Timestamp, zone: &jiff::tz::TimeZone) -> String {
    instant.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}
