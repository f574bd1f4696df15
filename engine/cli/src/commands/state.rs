//! `engine state`: what is remembered of pipelines, shown, copied and forgotten.

use std::path::Path;

use engine_core::state::{BrakeKind, DeliveryState, Lease, Ledger, PipelineState, StateCounts, StateStore};
use jiff::Timestamp;

use crate::args::{Output, StateArgs, StateCommand};
use crate::exit::{CommandError, Kind};
use crate::{project, show, store};

mod copy;
mod reset;
mod text;

/// How much is remembered of one pipeline.
#[derive(Debug, serde::Serialize)]
pub struct Remembered {
    /// The pipeline.
    pub pipeline: String,
    /// Source rows in the ledger, for pipelines that fold.
    pub rows: u64,
    /// Records, outbox and quarantine.
    #[serde(flatten)]
    pub counts: StateCounts,
    /// Mode `cursor`: the last row that was committed.
    pub cursor: Option<String>,
    /// How far the window has come.
    pub filled_until: Option<Timestamp>,
    /// When the last run began, whatever became of it.
    pub last_run: Option<Timestamp>,
    /// The brake that holds it.
    pub brake: Option<BrakeKind>,
}

/// Everything that is remembered of one pipeline, but for its rows and records.
#[derive(Debug, serde::Serialize)]
pub struct Whole {
    /// How much there is.
    #[serde(flatten)]
    pub remembered: Remembered,
    /// What is remembered between runs.
    pub state: PipelineState,
    /// State of the delivery.
    pub delivery: DeliveryState,
}

/// Does what the arguments say.
pub fn run(args: &StateArgs, config: Option<&Path>) -> Result<(), CommandError> {
    let (device, folder) = project::open_device(&[], config)?;
    if let StateCommand::Import(args) = &args.command {
        // A new device has no state yet.
        return copy::import(store::open(&device, &folder)?.as_ref(), args);
    }
    let store = store::open_existing(&device, &folder)?;
    let store = store.as_ref();
    match &args.command {
        StateCommand::List(args) => {
            let pipelines = store.pipelines()?;
            let all: Vec<Remembered> =
                pipelines.iter().map(|id| Ok(whole(store, id)?.remembered)).collect::<Result<_, CommandError>>()?;
            print(args.output, &all, |all| text::list(all));
        }
        StateCommand::Show(args) => {
            store::wanted(store, std::slice::from_ref(&args.pipeline))?;
            print(args.output, &whole(store, &args.pipeline)?, text::whole);
        }
        StateCommand::Reset(args) => reset::run(store, args)?,
        StateCommand::Export(args) => copy::export(store, args)?,
        StateCommand::Import(args) => copy::import(store, args)?,
    }
    Ok(())
}

fn print<T: serde::Serialize>(output: Output, value: &T, text: impl FnOnce(&T) -> String) {
    match output {
        Output::Json => show::print_json(value),
        Output::Text => show::print(&text(value)),
    }
}

fn whole(store: &dyn StateStore, pipeline: &str) -> Result<Whole, CommandError> {
    let state = store.load(pipeline)?;
    let mut rows = 0;
    store.entries(pipeline, Ledger::Rows, i64::MIN, i64::MAX, &mut |_| rows += 1)?;
    let remembered = Remembered {
        pipeline: pipeline.to_owned(),
        rows,
        counts: store.counts(pipeline)?,
        cursor: state.cursor.as_deref().map(text::cursor),
        filled_until: state.filled_until,
        last_run: state.last_run.as_ref().map(|run| run.started),
        brake: state.brake.as_ref().map(|brake| brake.kind),
    };
    Ok(Whole { remembered, delivery: store.delivery(pipeline)?, state })
}

/// Keeps everybody else from the pipeline, or says who runs it.
fn take(store: &dyn StateStore, pipeline: &str) -> Result<Box<dyn Lease>, CommandError> {
    store.lease(pipeline)?.map_err(|holder| {
        CommandError::new(Kind::Run, format!("{pipeline}: its state is in use, by {holder}"))
            .hint("stop the service, or wait for the run to end, and try again")
    })
}
