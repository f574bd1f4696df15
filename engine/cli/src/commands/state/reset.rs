//! `engine state reset`: forgets, after it said what that means.

use engine_core::state::{Forget, PipelineState, StateStore};

use super::{Whole, print, take, whole};
use crate::args::{Reset, StateResetArgs};
use crate::exit::CommandError;
use crate::store;

/// What is forgotten, and what follows.
#[derive(Debug, serde::Serialize)]
struct Outcome {
    pipeline: String,
    what: Reset,
    /// Whether it was done.
    done: bool,
    forgotten: Vec<String>,
    next_run: Vec<String>,
}

pub(super) fn run(store: &dyn StateStore, args: &StateResetArgs) -> Result<(), CommandError> {
    let pipeline = &args.pipeline;
    store::wanted(store, std::slice::from_ref(pipeline))?;
    let _lease = take(store, pipeline)?;
    let before = whole(store, pipeline)?;
    if args.yes {
        let mut transaction = store.begin(pipeline)?;
        match args.what {
            Reset::All => transaction.forget(Forget::Everything)?,
            Reset::Ledger => transaction.forget(Forget::Ledger)?,
            Reset::Cursor => {
                let state = PipelineState { cursor: None, filled_until: None, ..before.state.clone() };
                transaction.put_state(&state)?;
            }
        }
        transaction.commit()?;
    }
    let outcome = Outcome {
        pipeline: pipeline.clone(),
        what: args.what,
        done: args.yes,
        forgotten: forgotten(args.what, &before),
        next_run: next_run(args.what, &before),
    };
    print(args.output, &outcome, text);
    Ok(())
}

fn text(outcome: &Outcome) -> String {
    let Outcome { pipeline, done, forgotten, next_run, .. } = outcome;
    let head = if *done { "forgotten" } else { "would be forgotten" };
    let mut lines = vec![format!("{pipeline}: {head}")];
    lines.extend(forgotten.iter().map(|line| format!("  {line}")));
    lines.push("the next run".to_owned());
    lines.extend(next_run.iter().map(|line| format!("  {line}")));
    if !done {
        lines.push("nothing was changed; `--yes` does it".to_owned());
    }
    lines.join("\n") + "\n"
}

/// What the reset takes away, in plain words.
fn forgotten(what: Reset, before: &Whole) -> Vec<String> {
    let (remembered, counts) = (&before.remembered, &before.remembered.counts);
    let ledger = format!("{} source rows and {} records of the ledger", remembered.rows, counts.records);
    let cursor = match (&remembered.cursor, remembered.filled_until) {
        (Some(cursor), _) => format!("the cursor: {cursor}"),
        (None, Some(until)) => format!("that everything was read until {until:.0}"),
        (None, None) => "nothing: it has not read anything yet".to_owned(),
    };
    match what {
        Reset::Cursor => vec![cursor],
        Reset::Ledger => vec![ledger, "runs in quarantine".to_owned()],
        Reset::All => vec![
            ledger,
            cursor,
            format!("{} records of the outbox, which are not delivered", counts.outbox),
            format!("{} rows and records in quarantine", counts.quarantine),
            "the last run, the brake, and what the server said of itself".to_owned(),
            "which slices of backfills are finished".to_owned(),
        ],
    }
}

/// What the next run reads and sends, as far as it can be known without the source.
fn next_run(what: Reset, before: &Whole) -> Vec<String> {
    let records = before.remembered.counts.records;
    let from_the_start = match before.remembered.cursor {
        Some(_) => "reads from the first row on",
        None => "reads its window, and with `sync.start` everything from there on",
    };
    let resends = format!("sends all that it reads, under the ids of before: {records} records were known");
    let never_deleted =
        "knows nothing to delete: what has left the source meanwhile stays at the destination".to_owned();
    match what {
        Reset::Cursor => {
            vec![from_the_start.to_owned(), "sends only what is new, changed or gone: the ledger is kept".to_owned()]
        }
        Reset::Ledger => {
            let reads = match &before.remembered.cursor {
                Some(cursor) => format!("reads what lies after the cursor ({cursor}); what lies before it is not sent"),
                None => "reads its window".to_owned(),
            };
            vec![reads, resends, never_deleted]
        }
        Reset::All => vec![from_the_start.to_owned(), resends, never_deleted],
    }
}

#[cfg(test)]
mod tests {
    use engine_core::state::{DeliveryState, StateCounts};

    use super::super::Remembered;
    use super::*;

    fn before(cursor: Option<&str>) -> Whole {
        let remembered = Remembered {
            pipeline: "acme".to_owned(),
            rows: 12,
            counts: StateCounts { records: 7, outbox: 3, quarantine: 2, ..StateCounts::default() },
            cursor: cursor.map(str::to_owned),
            filled_until: None,
            last_run: None,
            brake: None,
        };
        Whole { remembered, state: PipelineState::default(), delivery: DeliveryState::default() }
    }

    #[test]
    fn what_a_reset_means_is_said() {
        for (what, cursor, gone, next) in [
            (Reset::All, None, "12 source rows and 7 records", "reads its window, and with `sync.start`"),
            (Reset::All, None, "3 records of the outbox, which are not delivered", "7 records were known"),
            (Reset::All, Some("47"), "the cursor: 47", "reads from the first row on"),
            (Reset::Cursor, Some("47"), "the cursor: 47", "the ledger is kept"),
            (Reset::Cursor, None, "it has not read anything yet", "the ledger is kept"),
            (Reset::Ledger, Some("47"), "7 records of the ledger", "what lies before it is not sent"),
            (Reset::Ledger, None, "runs in quarantine", "stays at the destination"),
        ] {
            let before = before(cursor);
            let (forgotten, next_run) = (forgotten(what, &before).join("; "), next_run(what, &before).join("; "));
            assert!(forgotten.contains(gone), "{what:?}: {forgotten}");
            assert!(next_run.contains(next), "{what:?}: {next_run}");
        }
    }
}
