//! A backfill at work: slices are leased, read, sent and remembered, until all are done.
//!
//! Nothing of the pipeline's own state is written: not its ledger, cursor, outbox or quarantine. A slice is read into a
//! store of its own in memory, and what is chosen of it waits there to be sent.

mod open;
mod send;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use engine_core::backfill::{Chosen, Counts, Job, Slice, Tally, choose, narrow};
use engine_core::memory::MemoryStore;
use engine_core::plan::Plan;
use engine_core::ports::{Cancel, Clock};
use engine_core::report::{Failure, FailureKind};
use engine_core::run::{OUTBOX_BYTES_MAX, Runner};
use engine_core::state::{Lease, PipelineState, SliceState, StateStore};

pub use self::open::Open;

use crate::exit::{CommandError, Kind};
use crate::pipeline::{kind_of, run_with};
use crate::project::{FoundSpec, Project, marked_plan_on};

/// Slices of a pipeline that can be under way at one time. Each lock stays as a small file beside the state, and a
/// backfill may have thousands of slices.
const LANES: u32 = 64;
/// Pause between two looks at slices that other processes have.
const WAIT: Duration = Duration::from_millis(250);

/// What a backfill works with.
pub struct Backfill<'a> {
    /// The specs and the device config.
    pub project: &'a Project,
    /// The spec.
    pub spec: &'a FoundSpec,
    /// The pipeline's id.
    pub id: &'a str,
    /// The state store.
    pub store: &'a dyn StateStore,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// Asks it to stop.
    pub cancel: &'a Cancel,
    /// What is filled.
    pub job: Job,
    /// Hash of what the slices depend on.
    pub job_id: String,
    /// The slices.
    pub slices: Vec<Slice>,
    /// What is open.
    pub open: Open,
}

/// What became of a slice.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// What its rows came to; nothing where it was finished before, or by another process.
    pub counts: Option<Counts>,
    /// It was finished before this call, or by another process.
    pub elsewhere: bool,
    /// Why it was not sent.
    pub failure: Option<Failure>,
    /// Records that the destination refused.
    pub refused: u64,
    /// Why, of some of them.
    pub refusals: Vec<String>,
}

impl Outcome {
    fn elsewhere(state: &SliceState) -> Self {
        Self { elsewhere: true, refused: state.refused, ..Self::default() }
    }
}

/// A slice that was read, and the plan that it was read with.
pub struct Read {
    plan: Plan,
    /// What its rows came to.
    pub counts: Counts,
    /// What is sent of it, by start.
    pub chosen: Vec<Chosen>,
}

impl Backfill<'_> {
    /// What is remembered of the slices, by number.
    pub fn known(&self) -> Result<BTreeMap<u32, SliceState>, CommandError> {
        let known = self.store.slices(self.id, &self.job_id)?;
        Ok(known.into_iter().map(|slice| (slice.number, slice)).collect())
    }

    /// Makes every slice that is remembered one that was never sent. What is sent again then has keys of its own, so
    /// that the destination does not take it for a repetition.
    pub fn restart(&self) -> Result<(), CommandError> {
        for (number, slice) in self.known()? {
            let anew = SliceState { number, round: slice.round + 1, ..SliceState::default() };
            self.store.put_slice(self.id, &self.job_id, &anew)?;
        }
        Ok(())
    }

    /// Reads a slice; nothing is sent or kept.
    pub fn read(&self, slice: &Slice) -> Result<Read, Failure> {
        // The plan is made anew for every slice, so that a rotated secret is read again.
        let (mut plan, mark) =
            marked_plan_on(&self.project.device, self.spec, false).map_err(|error| failure(&error))?;
        self.open.only_with(mark);
        narrow(&mut plan, slice);
        let before = self.open.before();
        let rows = before.as_ref().map_or(0, |before| usize::try_from(before.rows).unwrap_or(usize::MAX));
        let copy = MemoryStore::for_one_run(rows);
        let mut tally = Tally::new(*slice);
        let remembered = self.store.load(self.id).map_err(|error| failure(&error.into()))?;
        // Another database than the schedule's is noticed here, too.
        let state = PipelineState { identity: remembered.identity, last_run: before, ..PipelineState::default() };
        copy.save(self.id, &state).map_err(|error| failure(&error.into()))?;
        let runner = Runner {
            plan: &plan,
            store: &copy,
            clock: self.clock,
            cancel: self.cancel,
            open: &|| self.open.source(&plan, self.cancel),
            outbox_bytes_max: OUTBOX_BYTES_MAX,
            next_run: None,
        };
        let report = run_with(&runner, &mut tally);
        match report.failure.clone() {
            Some(failure) if failure.kind == FailureKind::Brake => {
                let hint = format!("run the pipeline `{}`: what it says of this can be approved", self.id);
                return Err(Failure { hint: Some(hint), ..failure });
            }
            Some(failure) => return Err(failure),
            None => self.open.remember(report),
        }
        let mut counts = tally.counts;
        let chosen = choose(&plan, slice, copy.take(self.id), self.store, &mut counts)
            .map_err(|error| failure(&error.into()))?;
        Ok(Read { plan, counts, chosen })
    }

    /// Reads and sends slice after slice until all are done, by this process or by others. `done` is told of each.
    pub fn work(&self, done: &mut dyn FnMut(&Slice, Outcome)) -> Result<(), CommandError> {
        let mut told: BTreeSet<u32> = BTreeSet::new();
        loop {
            let mut waits = false;
            let known = self.known()?;
            for slice in &self.slices {
                if told.contains(&slice.number) {
                    continue;
                }
                if self.cancel.is_cancelled() {
                    return Err(self.stopped());
                }
                let outcome = match known.get(&slice.number) {
                    Some(state) if slice.is_finished(state) => Outcome::elsewhere(state),
                    _ => match self.take(slice)? {
                        Some(outcome) => outcome,
                        None => {
                            waits = true;
                            continue;
                        }
                    },
                };
                told.insert(slice.number);
                done(slice, outcome);
            }
            if !waits {
                return Ok(());
            }
            self.clock.sleep(WAIT, self.cancel);
        }
    }

    /// Does a slice, unless another process has it.
    fn take(&self, slice: &Slice) -> Result<Option<Outcome>, CommandError> {
        let name = format!("{}/backfill/{}", self.id, slice.number % LANES);
        let Ok(lease) = self.store.lease(&name)? else { return Ok(None) };
        // Only now: whoever had it may have finished it a moment ago.
        let state = self.store.slice(self.id, &self.job_id, slice.number)?.unwrap_or_default();
        if slice.is_finished(&state) {
            return Ok(Some(Outcome::elsewhere(&state)));
        }
        let state = SliceState { number: slice.number, done: false, until: Some(slice.to), ..state };
        self.slice(slice, state, lease.as_ref()).map(Some)
    }

    /// Reads and sends one slice, which nobody else has. What is wrong with its rows is in the outcome, and other slices
    /// may go on; anything else ends the work.
    fn slice(&self, slice: &Slice, state: SliceState, lease: &dyn Lease) -> Result<Outcome, CommandError> {
        let read = match self.read(slice) {
            Ok(read) => read,
            Err(failure) if failure.kind == FailureKind::Rejected => {
                return Ok(Outcome { failure: Some(failure), ..Outcome::default() });
            }
            Err(failure) if failure.kind == FailureKind::Cancelled => return Err(self.stopped()),
            Err(failure) => return Err(ended(&failure)),
        };
        let counts = read.counts.clone();
        let sent = self.send(read, state, lease)?;
        Ok(Outcome { counts: Some(counts), refused: sent.refused, refusals: sent.refusals, ..Outcome::default() })
    }

    fn stopped(&self) -> CommandError {
        CommandError::new(Kind::Run, format!("{}: stopped before all slices were finished", self.id))
            .hint("the same command goes on from here")
    }
}

/// A failure of a run, as the end of the command.
pub fn ended(failure: &Failure) -> CommandError {
    let error = CommandError::new(kind_of(failure), failure.message.clone());
    match &failure.hint {
        Some(hint) => error.hint(hint.clone()),
        None => error,
    }
}

fn failure(error: &CommandError) -> Failure {
    let kind = match error.kind {
        Kind::Usage => FailureKind::Spec,
        Kind::Run | Kind::Environment => FailureKind::Environment,
    };
    Failure { kind, message: error.message.clone(), hint: error.hint.clone() }
}
