//! One run, in one direction: plan, extract, map, compare, derive, commit.
//!
//! Delivery is a loop of its own. A run reads what the window, the cursor or the whole table gives, compares it with
//! the ledger, and commits the difference together with its outbox entries, its quarantine and its cursor.

use std::collections::BTreeMap;

use engine_spec::model::SyncMode;
use engine_spec::template::{BindValue, Scope, Statement, TemplateError};
use jiff::Timestamp;

use self::change::{mixed, unsettled};
pub use self::failure::source_failure;
use self::failure::{cancelled, state_failure};
use self::heal::Healing;
use self::observe::part;
pub use self::observe::{Observer, Part, Silent};
use self::reading::{Known, Reading, order_of};
use crate::canonical::RowKey;
use crate::cursor::CursorValue;
use crate::derive::{Deriver, Scribe};
use crate::overlap;
use crate::plan::Plan;
use crate::ports::{Ask, Cancel, Clock, Source, SourceError};
use crate::report::{Failure, FailureKind, RunReport};
use crate::state::{
    DirectRecord, Ledger, LedgerEntry, PipelineState, QuarantineEntry, StateError, StateStore, StateTransaction,
    Waiting,
};
use crate::touched::Touched;

mod brake;
mod change;
mod failure;
mod heal;
mod observe;
mod read;
mod reading;
mod steps;
mod watch;

pub use self::change::{Change, change};
pub(crate) use self::steps::shifted;
pub use self::steps::{slices, unread_from, window};
pub use self::watch::{WATCH_QUERIES_MAX, WATCHED_MAX};

/// Bytes in the outbox beyond which a run does not read, where the device config does not say.
pub const OUTBOX_BYTES_MAX: u64 = 1 << 30;
/// Keys that there is room for before any is known: some 50 MiB, which take no memory until they are used.
const KEYS_RESERVED_MAX: usize = 1 << 20;

/// Opens the source of a plan.
pub type Opener<'a> = dyn Fn() -> Result<Box<dyn Source>, SourceError> + 'a;

/// What a run needs of the outside.
pub struct Runner<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The state store.
    pub store: &'a dyn StateStore,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// Asks the run to stop.
    pub cancel: &'a Cancel,
    /// Opens the source.
    pub open: &'a Opener<'a>,
    /// Bytes in the outbox beyond which the run does not read.
    pub outbox_bytes_max: u64,
    /// When the pipeline will run again, for the status.
    pub next_run: Option<Timestamp>,
}

impl Runner<'_> {
    /// Runs once. What went wrong is in the report; it is in the state store as well.
    pub fn run(&self, observer: &mut dyn Observer) -> RunReport {
        let started = self.clock.now();
        let mut run = Run {
            runner: self,
            now: started,
            report: RunReport { started, spec_kept: self.plan.spec_kept, ..RunReport::default() },
            state: PipelineState::default(),
            quarantine: Vec::new(),
            healing: Healing::default(),
            scribe: (!self.plan.is_folded()).then(|| Scribe::new(self.plan)),
            change: Change::None,
            changed: Touched::default(),
            keeps_unfolded: false,
            approved_before: None,
        };
        let outcome = run.execute(observer);
        run.finish(outcome)
    }
}

/// A range of the window column, half-open, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    from: i64,
    to: i64,
}

impl Range {
    const ALL: Self = Self { from: i64::MIN, to: i64::MAX };

    fn of(window: (Timestamp, Timestamp)) -> Self {
        Self { from: window.0.as_microsecond(), to: window.1.as_microsecond() }
    }

    fn contains(self, at: i64) -> bool {
        at >= self.from && at < self.to
    }
}

/// What is read in one go: a window, a slice of the first fill, everything, or what lies after the cursor.
struct Step {
    window: Option<(Timestamp, Timestamp)>,
    /// Where a missing row is gone. `None` in mode `cursor`.
    range: Option<Range>,
    cursor: BTreeMap<String, BindValue>,
    /// Whether the run ends with it.
    last: bool,
    /// How far the first fill has come when this is committed.
    filled_until: Option<Timestamp>,
}

struct Run<'a> {
    runner: &'a Runner<'a>,
    now: Timestamp,
    report: RunReport,
    state: PipelineState,
    quarantine: Vec<QuarantineEntry>,
    healing: Healing,
    /// Where rows are records as they stand.
    scribe: Option<Scribe>,
    change: Change,
    /// Where runs that are rows may overlap. What was committed early is looked through with the rest.
    changed: Touched,
    /// Records of before rows were folded are there still, because their rows were refused: the change stays noticed.
    keeps_unfolded: bool,
    /// The approval that this run found.
    approved_before: Option<Timestamp>,
}

impl Run<'_> {
    fn plan(&self) -> &Plan {
        self.runner.plan
    }

    fn ledger(&self) -> Ledger {
        if self.plan().is_folded() { Ledger::Rows } else { Ledger::Records }
    }

    fn finish(mut self, outcome: Result<(), Failure>) -> RunReport {
        let elapsed = self.runner.clock.now().duration_since(self.now);
        self.report.millis = u64::try_from(elapsed.as_millis()).unwrap_or_default();
        if let Err(failure) = outcome {
            if failure.kind != FailureKind::Cancelled {
                self.state.failures = self.state.failures.saturating_add(1);
            }
            self.report.failure = Some(failure);
            self.state.last_run = Some(self.report.clone());
            if self.report.failure.as_ref().is_none_or(|failure| failure.kind != FailureKind::State) {
                self.remember_failure();
            }
        }
        self.report
    }

    /// Keeps why a run failed, and what it refused, without anything of its data.
    fn remember_failure(&mut self) {
        let id = self.plan().id.clone();
        let kept = self.runner.store.begin(&id).and_then(|mut tx| {
            // Nobody writes from here on: no approval slips in between.
            if let Ok(stored) = self.runner.store.load(&id) {
                self.keep_late_approval(&stored);
            }
            tx.put_state(&self.state)?;
            if !self.quarantine.is_empty() {
                tx.replace_row_quarantine(i64::MAX, &self.quarantine)?;
            }
            tx.commit()
        });
        if let Err(error) = kept {
            self.report.notes.push(format!("the failure could not be remembered: {error}"));
        }
    }

    fn execute(&mut self, observer: &mut dyn Observer) -> Result<(), Failure> {
        let waiting = part(observer, Part::Load, |_| self.load())?;
        let mut source = part(observer, Part::Open, |_| (self.runner.open)().map_err(source_failure))?;
        self.check_identity(source.identity())?;
        self.check_fingerprint();
        let steps = self.steps()?;
        let mut reading = Reading::default();
        if waiting.quarantine > 0 {
            self.recall_rejected(&steps)?;
        }
        for step in steps {
            if self.runner.cancel.is_cancelled() {
                return Err(cancelled());
            }
            reading = reading.again();
            self.step(source.as_mut(), &step, &mut reading, observer)?;
        }
        Ok(())
    }

    /// Reads what is remembered, and what waits. An outbox that is full ends the run.
    fn load(&mut self) -> Result<Waiting, Failure> {
        let store = self.runner.store;
        let id = self.plan().id.clone();
        self.state = store.load(&id).map_err(state_failure)?;
        self.approved_before = self.state.approved;
        self.state.next_run = self.runner.next_run;
        let waiting = store.waiting(&id).map_err(state_failure)?;
        // Held records are let go by a run: they must not keep it from running.
        let is_full = waiting.outbox_bytes >= self.runner.outbox_bytes_max;
        if is_full && !store.claim(&id, 1, 0).map_err(state_failure)?.is_empty() {
            return Err(Failure {
                kind: FailureKind::Environment,
                message: format!(
                    "the outbox is full: {} records wait, {} bytes of {}",
                    waiting.outbox, waiting.outbox_bytes, self.runner.outbox_bytes_max
                ),
                hint: Some("the destination does not take them: `engine status` says why".to_owned()),
            });
        }
        Ok(waiting)
    }

    /// Notices what changed in the spec. It stays noticed until a run goes well.
    fn check_fingerprint(&mut self) {
        self.change = change(self.state.fingerprint.as_ref(), &self.plan().fingerprint);
        self.report.notes.extend(self.change.note(self.runner.plan).map(str::to_owned));
    }

    /// Whether everything must be folded again because the rules may not be those that made the records.
    fn refolds(&self) -> bool {
        self.change != Change::None && self.plan().is_folded()
    }

    fn render(
        &self,
        window: Option<(Timestamp, Timestamp)>,
        cursor: &BTreeMap<String, BindValue>,
    ) -> Result<Option<Statement>, TemplateError> {
        let plan = self.plan();
        let scope = Scope { params: &plan.params, window, cursor, now: self.now, zone: &plan.zone };
        plan.query.as_ref().map(|query| query.render(&scope)).transpose()
    }

    fn ask(
        &mut self,
        source: &mut dyn Source,
        window: Option<(Timestamp, Timestamp)>,
        cursor: &BTreeMap<String, BindValue>,
    ) -> Result<(), Failure> {
        let statement = self.render(window, cursor).map_err(|error| Failure {
            kind: FailureKind::Spec,
            message: format!("query: {error}"),
            hint: Some("`engine render` shows the statement".to_owned()),
        })?;
        self.report.statements += 1;
        let ask = Ask { statement, window, cursor: cursor.clone(), now: self.now, batch_rows_max: None };
        source.ask(&ask).map_err(source_failure)
    }

    fn step(
        &mut self,
        source: &mut dyn Source,
        step: &Step,
        reading: &mut Reading,
        observer: &mut dyn Observer,
    ) -> Result<(), Failure> {
        if let Some(last) = &self.state.last_run {
            // As many as an answer had the last time, so that what is known of them need not grow on the way.
            let rows = usize::try_from(last.rows / last.statements.max(1)).unwrap_or(usize::MAX);
            reading.known.reserve(rows.min(KEYS_RESERVED_MAX));
        }
        let mut ranges: Vec<Range> = step.range.into_iter().collect();
        for range in &ranges {
            part(observer, Part::Expect, |_| self.expect(reading, *range))?;
        }
        let mut cursor = step.cursor.clone();
        if self.plan().sync.mode == SyncMode::Cursor && self.state.cursor.is_none() {
            cursor = self.first_cursor(source)?;
        }
        self.question(source, step.window, &cursor, reading, observer)?;
        reading.rows_of_step = reading.rows;
        if step.last && self.plan().sync.mode == SyncMode::Window && !self.plan().is_paired() {
            for window in self.watched(reading, ranges[0])? {
                let range = Range::of(window);
                part(observer, Part::Expect, |_| self.expect(reading, range))?;
                if !self.plan().reads_everything() {
                    self.question(source, Some(window), &BTreeMap::new(), reading, observer)?;
                }
                ranges.push(range);
            }
        }
        self.check_rejected(reading)?;
        let gone = self.gone(reading, &ranges)?;
        self.commit(step, reading, &gone, &ranges, observer)
    }

    /// Asks, and reads the answer to its end.
    fn question(
        &mut self,
        source: &mut dyn Source,
        window: Option<(Timestamp, Timestamp)>,
        cursor: &BTreeMap<String, BindValue>,
        reading: &mut Reading,
        observer: &mut dyn Observer,
    ) -> Result<(), Failure> {
        let number = self.report.statements + 1;
        part(observer, Part::Question { number, window }, |observer| {
            part(observer, Part::Fetch, |_| self.ask(source, window, cursor))?;
            self.read(source, reading, observer)
        })
    }

    /// Where in a range records may be that were written before rows were folded, and have no row: in all of it where
    /// the spec changed, and else in what the last run that went well did not read.
    fn unfolded_in(&self, range: Range) -> Vec<Range> {
        if self.refolds() {
            return vec![range];
        }
        let (true, Some(from), Some(until)) =
            (self.plan().is_folded(), self.state.judged_from, self.state.filled_until)
        else {
            return Vec::new();
        };
        let before = Range { to: range.to.min(from), ..range };
        // A clock that was set back, or a window that was shorter, may have kept what lies here from the last run.
        let after = Range { from: range.from.max(until.as_microsecond()), ..range };
        [before, after].into_iter().filter(|part| part.from < part.to).collect()
    }

    /// What the ledger has in a range: what must come back, or is gone.
    fn expect(&self, reading: &mut Reading, range: Range) -> Result<(), Failure> {
        let unfolded = self.unfolded_in(range).into_iter().map(|part| (Ledger::Records, part));
        for (ledger, part) in std::iter::once((self.ledger(), range)).chain(unfolded) {
            let (known, unfolded) = (&mut reading.known, &mut reading.unfolded);
            self.runner
                .store
                .entries(&self.plan().id, ledger, part.from, part.to, &mut |entry: LedgerEntry| {
                    let is_new = known.add(Known::of(entry.key, Some(entry)));
                    if is_new && ledger != self.ledger() {
                        unfolded.insert(entry.key);
                    }
                })
                .map_err(state_failure)?;
        }
        Ok(())
    }

    /// Writes what waits in memory; its records are held back until the run has read everything.
    fn commit_early(&mut self, reading: &mut Reading, observer: &mut dyn Observer) -> Result<(), Failure> {
        let plan = self.runner.plan;
        let tx = part(observer, Part::Derive, |_| {
            let mut tx = self.runner.store.begin(&plan.id).map_err(state_failure)?;
            self.derive(tx.as_mut(), reading, &[], true).map_err(state_failure)?;
            self.remember_spec(tx.as_mut()).map_err(state_failure)?;
            Ok(tx)
        })?;
        part(observer, Part::Commit, |_| tx.commit().map_err(state_failure))?;
        for key in reading.staged.keys() {
            reading.unfolded.remove(&key);
            if let Some(known) = reading.known.get_mut(key) {
                known.commit_early();
            }
        }
        reading.clear_staged();
        reading.chunks += 1;
        Ok(())
    }

    /// Remembers that records were written under this spec, before the run has come to all of them: should it not, and
    /// the spec change meanwhile, or become what it was before, they are not what the next one makes of their rows.
    fn remember_spec(&mut self, tx: &mut dyn StateTransaction) -> Result<(), StateError> {
        let plan = self.runner.plan;
        let mixed = Some(mixed(self.state.fingerprint.as_ref(), &plan.fingerprint));
        if self.state.fingerprint == mixed {
            return Ok(());
        }
        // Nobody writes until this is committed: no approval slips in between. What else this run knows is for its end.
        let stored = self.runner.store.load(&plan.id)?;
        tx.put_state(&PipelineState { fingerprint: mixed.clone(), ..stored })?;
        self.state.fingerprint = mixed;
        Ok(())
    }

    /// Takes rows out and in, and folds again what that touches.
    fn derive(
        &mut self,
        tx: &mut dyn StateTransaction,
        reading: &Reading,
        removed: &[RowKey],
        held: bool,
    ) -> Result<(), StateError> {
        let plan = self.runner.plan;
        let mut deriver =
            Deriver::new(plan, self.now, held, &reading.staged).with_changed_rules(self.change != Change::None);
        deriver.remove(tx, removed, &mut self.report)?;
        deriver.put(tx, &mut self.report)?;
        deriver.place(tx, reading.moved.entries())?;
        if plan.watches_overlaps() {
            for DirectRecord { record, .. } in reading.staged.direct() {
                self.changed.touch(&record.lane, record.start);
            }
        }
        deriver.finish(tx, &mut self.report)
    }

    fn commit(
        &mut self,
        step: &Step,
        reading: &mut Reading,
        gone: &[RowKey],
        ranges: &[Range],
        observer: &mut dyn Observer,
    ) -> Result<(), Failure> {
        let tx = part(observer, Part::Derive, |_| self.write(step, reading, gone, ranges))?;
        part(observer, Part::Commit, |_| tx.commit().map_err(state_failure))
    }

    /// Everything that a step found, in a transaction that is to be committed.
    fn write(
        &mut self,
        step: &Step,
        reading: &mut Reading,
        gone: &[RowKey],
        ranges: &[Range],
    ) -> Result<Box<dyn StateTransaction + '_>, Failure> {
        let plan = self.runner.plan;
        if let Some(greatest) = reading.greatest.take() {
            self.advance_cursor(greatest);
        }
        if step.filled_until.is_some() {
            self.state.filled_until = step.filled_until;
        }
        // What was committed early and is retracted may have come again as another row since.
        let mut removed: Vec<RowKey> = reading.cancelled.iter().copied().chain(reading.retracted.clone()).collect();
        removed.sort_unstable();
        removed.extend(gone);
        let mut tx = self.runner.store.begin(&plan.id).map_err(state_failure)?;
        self.derive(tx.as_mut(), reading, &removed, false).map_err(state_failure)?;
        self.report.report("overlap", overlap::count(&mut self.changed, tx.as_mut()).map_err(state_failure)?);
        if reading.chunks > 0 || step.last {
            tx.release().map_err(state_failure)?;
        }
        let keep_before = match (step.last, ranges.first()) {
            // What was refused may be in what was not read.
            _ if reading.left.is_some() => i64::MAX,
            // Whatever was refused was read again.
            (true, _) if plan.reads_everything() && plan.sync.mode != SyncMode::Cursor => i64::MIN,
            (true, Some(range)) => range.from,
            // A slice of the first fill is not read again: what it refused stays. So it is with a cursor.
            _ => i64::MAX,
        };
        removed.iter().for_each(|key| self.healing.heal(*key));
        self.healing.write(tx.as_mut()).map_err(state_failure)?;
        tx.replace_row_quarantine(keep_before, &self.quarantine).map_err(state_failure)?;
        let is_settled = |key: &RowKey| reading.staged.contains(*key) || removed.contains(key);
        self.keeps_unfolded |= !reading.unfolded.iter().all(is_settled);
        let fingerprint = mixed(self.state.fingerprint.as_ref(), &plan.fingerprint);
        self.state.fingerprint = Some(match (step.last, self.keeps_unfolded) {
            (true, false) => plan.fingerprint.clone(),
            (true, true) => unsettled(fingerprint),
            (false, _) => fingerprint,
        });
        if step.last {
            self.state.judged_from = (keep_before != i64::MAX).then_some(keep_before);
            let elapsed = self.runner.clock.now().duration_since(self.now);
            self.report.millis = u64::try_from(elapsed.as_millis()).unwrap_or_default();
            self.state.last_success = Some(self.now);
            if step.window.is_some() {
                self.state.filled_until = Some(self.now);
            }
            self.state.failures = 0;
            self.state.brake = None;
            self.state.approved = None;
            self.state.last_run = Some(self.report.clone());
        }
        tx.put_state(&self.state).map_err(state_failure)?;
        Ok(tx)
    }

    fn advance_cursor(&mut self, greatest: Vec<CursorValue>) {
        let zone = &self.runner.plan.zone;
        let greatest: Vec<CursorValue> = greatest.into_iter().map(|value| value.at_most(self.now, zone)).collect();
        let advances = self.state.cursor.as_ref().is_none_or(|cursor| order_of(&greatest, cursor).is_gt());
        if advances {
            self.state.cursor = Some(greatest);
        }
    }
}
