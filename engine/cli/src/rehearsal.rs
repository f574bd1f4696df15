//! A run over a copy of the state, which is thrown away: what the next run would do.

pub mod difference;

use std::ops::ControlFlow;

use engine_core::memory::{MemoryPipeline, MemoryStore};
use engine_core::report::{FailureKind, RunReport};
use engine_core::run::{Observer, Runner};
use engine_core::state::{Brake, StateError, StateStore};

use crate::pipeline;

/// Brakes that one run can meet, one after the other: another database, an empty result, deletes.
const BRAKES_MAX: usize = 3;

/// What a run did to a copy of the state.
pub struct Rehearsal<O> {
    /// The brakes that it met, each of which wants an approval of its own. The copy was approved, to see what comes of
    /// it.
    pub brakes: Vec<Brake>,
    /// The state before.
    pub before: MemoryPipeline,
    /// The state after.
    pub after: MemoryPipeline,
    /// What the last attempt counted.
    pub report: RunReport,
    /// Who saw the last attempt.
    pub observer: O,
}

/// Everything that is remembered of a pipeline, in memory.
pub fn copy_of(store: &dyn StateStore, pipeline: &str) -> Result<MemoryStore, StateError> {
    let copy = MemoryStore::new();
    let mut transaction = copy.begin(pipeline)?;
    let mut outcome = Ok(());
    store.saved(pipeline, &mut |saved| {
        outcome = transaction.restore(&saved);
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    outcome?;
    transaction.commit()?;
    Ok(copy)
}

/// Runs over a copy of the state, past every brake; each attempt is seen by an observer of its own.
pub fn rehearse<O: Observer>(
    runner: &Runner<'_>,
    copy: &MemoryStore,
    mut observer: impl FnMut(&MemoryPipeline) -> O,
) -> Result<Rehearsal<O>, StateError> {
    let id = &runner.plan.id;
    let runner = Runner { store: copy, ..*runner };
    let before = copy.snapshot(id);
    let mut brakes = Vec::new();
    loop {
        let mut observer = observer(&before);
        let report = pipeline::run_with(&runner, &mut observer);
        let is_braked = report.failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::Brake);
        if !is_braked || brakes.len() == BRAKES_MAX {
            return Ok(Rehearsal { brakes, before, after: copy.snapshot(id), report, observer });
        }
        brakes.extend(copy.approve(id, runner.clock.now())?);
    }
}
