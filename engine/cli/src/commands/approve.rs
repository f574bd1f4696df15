//! `engine approve`: lets the next run of a pipeline pass a brake.

mod dry_run;

use std::path::Path;

use engine_core::state::{Brake, StateStore};
use jiff::Timestamp;

use crate::args::{ApproveArgs, Output};
use crate::exit::CommandError;
use crate::show::harmless;
use crate::{project, show, store};

/// What became of one pipeline.
#[derive(Debug, serde::Serialize)]
struct Outcome {
    pipeline: String,
    /// Whether the next run may pass.
    approved: bool,
    /// What held it.
    brake: Option<Brake>,
}

/// Notes the approval in the state store, or says what it would let pass. It holds for one run.
pub fn run(args: &ApproveArgs, config: Option<&Path>) -> Result<(), CommandError> {
    let (device, folder) = project::open_device(&[], config)?;
    let store = store::open_existing(&device, &folder)?;
    let store = store.as_ref();
    let mut ids = store::wanted(store, &args.pipelines)?;
    if args.all {
        ids = held(store, ids)?;
    }
    if args.dry_run {
        return dry_run::run(
            &dry_run::Site { store, device: &device, folder: &folder, now: args.now },
            &ids,
            args.output,
        );
    }
    let only_list = args.all && !args.yes;
    let mut outcomes = Vec::new();
    for pipeline in ids {
        let brake = match only_list {
            true => store.load(&pipeline)?.brake,
            false => store.approve(&pipeline, Timestamp::now())?,
        };
        outcomes.push(Outcome { approved: brake.is_some() && !only_list, brake, pipeline });
    }
    match args.output {
        Output::Json => show::print_json(&outcomes),
        Output::Text => show::print(&text(&outcomes, only_list)),
    }
    Ok(())
}

/// Those that wait for an approval.
fn held(store: &dyn StateStore, ids: Vec<String>) -> Result<Vec<String>, CommandError> {
    let mut held = Vec::new();
    for id in ids {
        if store.load(&id)?.brake.is_some() {
            held.push(id);
        }
    }
    Ok(held)
}

fn text(outcomes: &[Outcome], only_list: bool) -> String {
    let mut text: String = outcomes
        .iter()
        .map(|outcome| match (&outcome.brake, outcome.approved) {
            (Some(brake), true) => {
                format!("{}: approved; the next run may pass: {}\n", outcome.pipeline, harmless(&brake.message))
            }
            (Some(brake), false) => {
                format!("{}: waits since {:.0}: {}\n", outcome.pipeline, brake.since, harmless(&brake.message))
            }
            (None, _) => format!("{}: nothing waits for approval\n", outcome.pipeline),
        })
        .collect();
    if outcomes.is_empty() {
        text.push_str("nothing waits for approval\n");
    } else if only_list {
        text.push_str("nothing was approved; `engine approve --all --yes` approves all of them\n");
    }
    text
}
