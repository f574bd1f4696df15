//! Where a backfill begins and ends, and what cannot be filled.

use std::time::Duration;

use engine_core::backfill::{Job, SLICES_MAX};
use engine_core::plan::Plan;
use engine_spec::model::SyncMode;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::args::BackfillArgs;
use crate::exit::{CommandError, Kind};

/// The shortest slice: below that, a slice costs more to ask for than to read.
const SLICE_MIN: Duration = Duration::from_secs(1);

fn wrong(message: impl Into<String>) -> CommandError {
    CommandError::new(Kind::Usage, message)
}

/// Whether a slice of the history can be asked for at all.
pub(super) fn has_a_window(plan: &Plan) -> Result<(), CommandError> {
    let id = &plan.id;
    if plan.reads_everything() {
        return Err(wrong(format!("{id}: a folder of CSV files cannot be filled from: every run reads all of it"))
            .hint("put the older files into the folder; the next run sends what they hold"));
    }
    match plan.sync.mode {
        SyncMode::Window => Ok(()),
        SyncMode::Full => Err(wrong(format!("{id}: `sync.mode: full` cannot be filled: every run reads all there is"))
            .hint("there is nothing older; if the query leaves something out, change the query")),
        SyncMode::Cursor => Err(wrong(format!(
            "{id}: `sync.mode: cursor` cannot be filled: its query asks for what comes after a row, and not for a time"
        ))
        .hint(format!(
            "`engine state reset {id} --what cursor` lets the next run read from the first row on; the ledger stays, and \
             only what it lacks is sent"
        ))),
    }
}

/// Which way a local time moves that a change of the clocks makes twice, or leaves out: outward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    From,
    To,
}

fn parse(name: &str, text: &str, zone: &TimeZone, bound: Bound) -> Result<Timestamp, CommandError> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    let civil = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|date| date.at(0, 0, 0, 0)));
    let civil = civil.map_err(|_| {
        wrong(format!("{name}: `{text}` is neither an instant nor a local date or date-time"))
            .hint("write `2024-01-01`, `2024-01-01T06:00` or `2024-01-01T05:00:00Z`")
    })?;
    let moments = zone.to_ambiguous_timestamp(civil);
    let instant = match bound {
        Bound::From => moments.earlier(),
        Bound::To => moments.later(),
    };
    instant.map_err(|error| wrong(format!("{name}: `{text}`: {error}")))
}

/// What the arguments ask for.
pub(super) fn job(args: &BackfillArgs, plan: &Plan, overlap: Duration, now: Timestamp) -> Result<Job, CommandError> {
    let from = parse("--from", &args.from, &plan.zone, Bound::From)?;
    let to = args.to.as_ref().map(|to| parse("--to", to, &plan.zone, Bound::To)).transpose()?;
    if from >= now {
        return Err(wrong(format!("--from: {} lies in the future", args.from)));
    }
    if let (Some(to), Some(text)) = (to, &args.to)
        && to <= from
    {
        return Err(wrong(format!("--to: {text} does not lie after --from {}", args.from)));
    }
    let slice = args.slice.map_or(plan.sync.slice, |slice| slice.0);
    if slice < SLICE_MIN {
        return Err(wrong("--slice: a slice has one second at least"));
    }
    Ok(Job { from, to, slice, overlap: args.overlap.map_or(overlap, |overlap| overlap.0) })
}

/// What the schedule reads is its own.
pub(super) fn before_the_schedule(job: &Job, schedule_from: Timestamp, plan: &Plan) -> Result<(), CommandError> {
    if job.from < schedule_from {
        return Ok(());
    }
    let from = super::local(schedule_from, &plan.zone);
    Err(wrong(format!(
        "{}: everything from {from} on is looked after by the schedule: nothing is left to fill",
        plan.id
    ))
    .hint("`engine run` sends it; `--from` must lie before"))
}

pub(super) fn too_many() -> CommandError {
    wrong(format!("--slice: there would be more than {SLICES_MAX} slices")).hint("give a longer `--slice`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_local_and_move_outward() {
        let berlin = TimeZone::get("Europe/Berlin").expect("a zone");
        for (text, bound, expected) in [
            ("2024-01-01", Bound::From, "2023-12-31T23:00:00Z"),
            ("2024-01-01T06:30", Bound::To, "2024-01-01T05:30:00Z"),
            ("2024-01-01 06:30:15", Bound::From, "2024-01-01T05:30:15Z"),
            ("2024-01-01T06:30:00Z", Bound::From, "2024-01-01T06:30:00Z"),
            ("2024-01-01T06:30:00+01:00", Bound::To, "2024-01-01T05:30:00Z"),
            // Twice, when the clocks go back; never, when they go forward.
            ("2024-10-27T02:30", Bound::From, "2024-10-27T00:30:00Z"),
            ("2024-10-27T02:30", Bound::To, "2024-10-27T01:30:00Z"),
            ("2024-03-31T02:30", Bound::From, "2024-03-31T00:30:00Z"),
            ("2024-03-31T02:30", Bound::To, "2024-03-31T01:30:00Z"),
        ] {
            let parsed = parse("--from", text, &berlin, bound).map(|instant| instant.to_string());
            assert_eq!(parsed.as_deref(), Ok(expected), "{text} {bound:?}");
        }
        for text in ["", "yesterday", "2024-13-01", "01.02.2024"] {
            let error = parse("--from", text, &berlin, Bound::From).expect_err("is no time");
            assert!(error.message.contains("neither an instant nor a local date"), "{error}");
        }
    }
}
