//! One run, in one direction: plan, extract, map, compare, derive, commit.
//!
//! Delivery is a loop of its own. A run reads what the window, the cursor or the whole table gives, compares it with
//! the ledger, and commits the difference together with its outbox entries, its quarantine and its cursor.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use engine_spec::model::{Action, Deletes, SyncMode};
use engine_spec::template::{BindValue, Scope, Statement, TemplateError};
use jiff::{SignedDuration, Timestamp};

use crate::canonical::{CanonicalRow, RowKey};
use crate::cursor::{self, CursorValue};
use crate::derive::Deriver;
use crate::mapping::{Mapper, Outcome};
use crate::plan::{DELETES_FREE, Plan};
use crate::ports::{Ask, Cancel, Clock, Fetched, Source, SourceError, SourceErrorKind, SourceIdentity};
use crate::report::{Failure, FailureKind, RunReport};
use crate::state::{
    Brake, BrakeKind, Ledger, LedgerEntry, PipelineState, QUARANTINE_ROWS_MAX, QuarantineEntry, Stage, StateError,
    StateStore,
};
use crate::time::Instant;
use crate::value::{Columns, Row, RowBatch};

/// Live runs older than the window that one run looks for.
pub const WATCHED_MAX: usize = 200;
/// Extra queries that one run sends to look for them.
pub const WATCH_QUERIES_MAX: usize = 8;
/// Live runs closer together than this are looked for with one query.
const WATCH_SPAN: SignedDuration = SignedDuration::from_hours(24);
/// Bytes in the outbox beyond which a run does not read, where the device config does not say.
pub const OUTBOX_BYTES_MAX: u64 = 1 << 30;

/// Sees what a run does while it does it.
pub trait Observer {
    /// A row was read and mapped. `canonical` is meaningful for [`Outcome::Row`] and [`Outcome::Cancelled`].
    fn row(&mut self, _row: Row<'_>, _outcome: Outcome, _canonical: &CanonicalRow, _mapper: &Mapper) {}
    /// Rows read so far.
    fn progress(&mut self, _rows: u64, _what: &str) {}
}

/// Sees nothing.
pub struct Silent;

impl Observer for Silent {}

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
            report: RunReport { started, ..RunReport::default() },
            state: PipelineState::default(),
            quarantine: Vec::new(),
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

/// What a run knows of one key: what the ledger says, and what the source said.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// Hash in the ledger; `None` where the ledger lacks the key.
    ledger: Option<u64>,
    /// Window column in the ledger.
    at: i64,
    /// Hash of the row as it was read.
    seen: Option<u64>,
    /// Two rows of the result said different things.
    conflict: bool,
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
}

/// Rows on their way from the source to the commit.
struct Reading {
    known: HashMap<RowKey, Known>,
    staged: Vec<CanonicalRow>,
    staged_bytes: usize,
    /// Rows whose key the ledger was not yet asked for.
    misses: Vec<(CanonicalRow, Option<bool>)>,
    cancelled: Vec<RowKey>,
    /// Rejected rows without a key: any of them may be the one that seems to be gone.
    rejected_without_key: u64,
    rejected_before: u64,
    rows: u64,
    chunks: u64,
    /// Mode `cursor`: the greatest values so far, and those of every row.
    greatest: Option<Vec<CursorValue>>,
    cursors: HashMap<RowKey, Vec<CursorValue>>,
    scratch: Vec<u8>,
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
        let id = &self.plan().id;
        let kept = self.runner.store.begin(id).and_then(|mut tx| {
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
        let store = self.runner.store;
        let id = self.plan().id.clone();
        self.state = store.load(&id).map_err(state_failure)?;
        self.state.next_run = self.runner.next_run;
        let waiting = store.counts(&id).map_err(state_failure)?;
        if waiting.outbox_bytes >= self.runner.outbox_bytes_max {
            return Err(Failure {
                kind: FailureKind::Environment,
                message: format!(
                    "the outbox is full: {} records wait, {} bytes of {}",
                    waiting.outbox, waiting.outbox_bytes, self.runner.outbox_bytes_max
                ),
                hint: Some("the destination does not take them: `engine status` says why".to_owned()),
            });
        }
        let mut source = (self.runner.open)().map_err(source_failure)?;
        self.check_identity(source.identity())?;
        let refold = self.check_fingerprint();
        for step in self.steps()? {
            if self.runner.cancel.is_cancelled() {
                return Err(cancelled());
            }
            self.step(source.as_mut(), &step, refold, observer)?;
        }
        Ok(())
    }

    /// A repointed name or a restored database never turns into deletes.
    fn check_identity(&mut self, identity: &SourceIdentity) -> Result<(), Failure> {
        let differs: Vec<String> = identity
            .facts
            .iter()
            .filter_map(|(name, now)| {
                let before = self.state.identity.get(name)?;
                (before != now).then(|| format!("{name} was `{before}` and is `{now}`"))
            })
            .collect();
        if !differs.is_empty() && self.state.approved.is_none() {
            let message = format!("the source is not the database of before: {}", differs.join(", "));
            return Err(self.pull_brake(BrakeKind::Identity, message));
        }
        if !differs.is_empty() {
            self.report.notes.push("the source is another database; approved".to_owned());
        }
        for (name, value) in &identity.facts {
            self.state.identity.insert(name.clone(), value.clone());
        }
        Ok(())
    }

    /// Whether everything must be folded again because the rules changed.
    fn check_fingerprint(&mut self) -> bool {
        let fingerprint = self.plan().fingerprint.clone();
        let before = self.state.fingerprint.replace(fingerprint.clone());
        let Some(before) = before else { return false };
        if before.identity != fingerprint.identity {
            self.report.notes.push(
                "`key`, `table` or `deliver` changed: records of the window get new ids, the old ones are deleted"
                    .to_owned(),
            );
        } else if before.meaning != fingerprint.meaning {
            self.report.notes.push("the mapping changed: what it changes is sent again".to_owned());
        }
        before != fingerprint
    }

    fn pull_brake(&mut self, kind: BrakeKind, message: String) -> Failure {
        let since = self.state.brake.as_ref().filter(|brake| brake.kind == kind).map_or(self.now, |brake| brake.since);
        self.state.brake = Some(Brake { kind, message: message.clone(), since });
        Failure {
            kind: FailureKind::Brake,
            message: format!("{message}; nothing was sent"),
            hint: Some(format!("if this is right, run `engine approve {}`", self.plan().id)),
        }
    }

    /// What this run reads, in order.
    fn steps(&self) -> Result<Vec<Step>, Failure> {
        let sync = &self.plan().sync;
        match sync.mode {
            SyncMode::Full => Ok(vec![Step {
                window: None,
                range: Some(Range::ALL),
                cursor: BTreeMap::new(),
                last: true,
                filled_until: None,
            }]),
            SyncMode::Cursor => Ok(vec![Step {
                window: None,
                range: None,
                cursor: self.cursor_binds(),
                last: true,
                filled_until: None,
            }]),
            SyncMode::Window => {
                let end = shifted(self.now, sync.lookahead, 1);
                let mut start = shifted(self.now, sync.lookback, -1);
                let mut steps = Vec::new();
                if let Some(first) = sync.start {
                    start = start.max(first).min(end);
                    let mut from = self.state.filled_until.unwrap_or(first).max(first);
                    while from < start {
                        let to = shifted(from, sync.slice, 1).min(start);
                        steps.push(Step {
                            window: Some((from, to)),
                            range: Some(Range::of((from, to))),
                            cursor: BTreeMap::new(),
                            last: false,
                            filled_until: Some(to),
                        });
                        from = to;
                    }
                }
                steps.push(Step {
                    window: Some((start, end)),
                    range: Some(Range::of((start, end))),
                    cursor: BTreeMap::new(),
                    last: true,
                    filled_until: None,
                });
                Ok(steps)
            }
        }
    }

    /// The cursor columns as they are bound; none before the first run.
    fn cursor_binds(&self) -> BTreeMap<String, BindValue> {
        let sync = &self.plan().sync;
        let zone = &self.plan().zone;
        let Some(cursor) = &self.state.cursor else { return BTreeMap::new() };
        let mut binds = BTreeMap::new();
        for (place, (name, value)) in sync.cursor.iter().zip(cursor).enumerate() {
            let value = if place == 0 { value.back_by(sync.overlap) } else { value.clone() };
            binds.insert(name.clone(), value.to_bind(zone));
        }
        binds
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
        source.ask(&Ask { statement }).map_err(source_failure)
    }

    fn step(
        &mut self,
        source: &mut dyn Source,
        step: &Step,
        refold: bool,
        observer: &mut dyn Observer,
    ) -> Result<(), Failure> {
        let id = self.plan().id.clone();
        let mut reading = Reading {
            known: HashMap::new(),
            staged: Vec::new(),
            staged_bytes: 0,
            misses: Vec::new(),
            cancelled: Vec::new(),
            rejected_without_key: 0,
            rejected_before: self.report.rejected_total(),
            rows: 0,
            chunks: 0,
            greatest: None,
            cursors: HashMap::new(),
            scratch: Vec::new(),
        };
        let mut ranges: Vec<Range> = step.range.into_iter().collect();
        for range in &ranges {
            self.expect(&mut reading, *range)?;
        }
        let mut cursor = step.cursor.clone();
        if self.plan().sync.mode == SyncMode::Cursor && self.state.cursor.is_none() {
            cursor = self.first_cursor(source)?;
        }
        self.ask(source, step.window, &cursor)?;
        self.read(source, &mut reading, refold, observer)?;
        if step.last && self.plan().sync.mode == SyncMode::Window && !self.plan().is_paired() {
            for window in self.watched(&reading, ranges[0])? {
                let range = Range::of(window);
                self.expect(&mut reading, range)?;
                self.ask(source, Some(window), &BTreeMap::new())?;
                self.read(source, &mut reading, refold, observer)?;
                ranges.push(range);
            }
        }
        self.check_rejected(&reading)?;
        let gone = self.gone(&reading, &ranges)?;
        self.commit(&id, step, reading, &gone, &ranges)
    }

    /// What the ledger has in a range: what must come back, or is gone.
    fn expect(&self, reading: &mut Reading, range: Range) -> Result<(), Failure> {
        let known = &mut reading.known;
        self.runner
            .store
            .entries(&self.plan().id, self.ledger(), range.from, range.to, &mut |entry: LedgerEntry| {
                known.entry(entry.key).or_insert(Known {
                    ledger: Some(entry.hash),
                    at: entry.at,
                    seen: None,
                    conflict: false,
                });
            })
            .map_err(state_failure)
    }

    /// What is bound where there is no cursor yet: nothing, where the template provides for that, or else the smallest
    /// values of the columns, by the kinds that the source says they have.
    fn first_cursor(&mut self, source: &mut dyn Source) -> Result<BTreeMap<String, BindValue>, Failure> {
        let names = self.plan().sync.cursor.clone();
        let every = |value: &BindValue| names.iter().map(|name| (name.clone(), value.clone())).collect();
        if self.render(None, &BTreeMap::new()).is_ok() {
            return Ok(BTreeMap::new());
        }
        let nulls = every(&BindValue::Null);
        if self.render(None, &nulls).is_err() {
            // A filter that wants a time: the columns are times, and the first of all lies before any booking.
            let zone = &self.plan().zone;
            let first = self.plan().sync.start.unwrap_or(Timestamp::UNIX_EPOCH);
            return Ok(every(&CursorValue::Instant(first).to_bind(zone)));
        }
        self.ask(source, None, &nulls)?;
        let mut batch = RowBatch::new();
        source.next(&mut batch).map_err(source_failure)?;
        let sync = &self.plan().sync;
        let zone = &self.plan().zone;
        let mut binds = BTreeMap::new();
        for (place, name) in sync.cursor.iter().enumerate() {
            let column = find_cursor(batch.columns(), name)?;
            let kind = batch.columns()[column].kind;
            let smallest = CursorValue::smallest(kind);
            let value = match (place, sync.start, &smallest) {
                (0, Some(start), CursorValue::Instant(_)) => CursorValue::Instant(start),
                (0, Some(start), CursorValue::Civil(_)) => CursorValue::Civil(zone.to_datetime(start)),
                (0, Some(start), CursorValue::Date(_)) => CursorValue::Date(zone.to_datetime(start).date()),
                _ => smallest,
            };
            binds.insert(name.clone(), value.to_bind(zone));
        }
        Ok(binds)
    }

    /// Reads one answer to its end.
    fn read(
        &mut self,
        source: &mut dyn Source,
        reading: &mut Reading,
        refold: bool,
        observer: &mut dyn Observer,
    ) -> Result<(), Failure> {
        let mut batch = RowBatch::new();
        let mut row_buffer = CanonicalRow::default();
        let now = Instant::from_timestamp(self.now).unwrap_or(Instant::MAX);
        let mut compiled: Option<Mapper> = None;
        loop {
            if self.runner.cancel.is_cancelled() {
                return Err(cancelled());
            }
            let fetched = source.next(&mut batch).map_err(source_failure)?;
            let mapper = match &mut compiled {
                Some(mapper) if mapper.fits(batch.columns()) => mapper,
                slot => slot.insert(Mapper::new(self.runner.plan, batch.columns()).map_err(mapping_failure)?),
            };
            if fetched == Fetched::End {
                break;
            }
            reading.rows += batch.len() as u64;
            self.report.rows += batch.len() as u64;
            for row in batch.rows() {
                let outcome = mapper.map(row, now, &mut row_buffer);
                observer.row(row, outcome, &row_buffer, mapper);
                match outcome {
                    Outcome::Skipped => {
                        self.report.skipped += 1;
                        continue;
                    }
                    Outcome::Rejected => {
                        refuse(&mut self.quarantine, &mut self.report, self.now, mapper, row, &row_buffer);
                        if mapper.has_key() {
                            reading.keep_as_it_is(&row_buffer);
                        } else {
                            reading.rejected_without_key += 1;
                        }
                        continue;
                    }
                    Outcome::Cancelled => {
                        self.report.cancelled += 1;
                        reading.keep_as_it_is(&row_buffer);
                        reading.cancelled.push(RowKey::of(&row_buffer.key_text));
                        continue;
                    }
                    Outcome::Row => {}
                }
                let key = RowKey::of(&row_buffer.key_text);
                let later = if self.plan().sync.mode == SyncMode::Cursor {
                    Some(reading.remember_cursor(key, read_cursor(self.runner.plan, row, batch.columns())?))
                } else {
                    None
                };
                if reading.known.contains_key(&key) {
                    self.classify(reading, key, &row_buffer, refold, later);
                } else {
                    // Two rows with a key that the ledger was not asked for are told apart after it was.
                    reading.misses.push((row_buffer.clone(), later));
                }
            }
            self.resolve_misses(reading, refold)?;
            for (code, count) in mapper.take_reported() {
                self.report.report(code, count);
            }
            observer.progress(self.report.rows, &self.plan().id);
            if reading.staged_bytes > self.plan().stage_bytes_max {
                self.commit_early(reading)?;
            }
        }
        Ok(())
    }

    fn resolve_misses(&mut self, reading: &mut Reading, refold: bool) -> Result<(), Failure> {
        if reading.misses.is_empty() {
            return Ok(());
        }
        let misses = std::mem::take(&mut reading.misses);
        let keys: Vec<RowKey> = misses.iter().map(|(row, _)| RowKey::of(&row.key_text)).collect();
        let entries = self.runner.store.look_up(&self.plan().id, self.ledger(), &keys).map_err(state_failure)?;
        for (key, entry) in keys.iter().zip(entries) {
            reading.known.entry(*key).or_insert(Known {
                ledger: entry.map(|entry| entry.hash),
                at: entry.map_or(i64::MIN, |entry| entry.at),
                seen: None,
                conflict: false,
            });
        }
        for (key, (row, later)) in keys.into_iter().zip(&misses) {
            self.classify(reading, key, row, refold, *later);
        }
        Ok(())
    }

    /// Decides what a row is: unchanged, changed, new, or in conflict with another row of the result.
    ///
    /// `later` is set in mode `cursor`: whether the row comes after the one of the same key that was read before.
    fn classify(&mut self, reading: &mut Reading, key: RowKey, row: &CanonicalRow, refold: bool, later: Option<bool>) {
        let hash = row.content_hash(&mut reading.scratch);
        let force = refold && self.plan().is_folded();
        let Some(mut known) = reading.known.get(&key).copied() else { return };
        match known.seen {
            None => known.seen = Some(hash),
            Some(seen) if seen == hash => {
                self.report.report("duplicate_row", 1);
                return;
            }
            Some(seen) => {
                let action = self.plan().checks.duplicate_key;
                let wins = match later {
                    Some(later) => later,
                    None if action == Action::Reject => {
                        known.conflict = true;
                        false
                    }
                    // Which of the two counts must not depend on the order in which they came.
                    None => hash > seen,
                };
                if known.conflict || wins {
                    reading.unstage(key);
                }
                if known.conflict {
                    self.refuse_duplicate(row);
                } else if later.is_none() && action == Action::Report {
                    self.report.report("duplicate_key", 1);
                }
                if wins {
                    known.seen = Some(hash);
                }
                reading.known.insert(key, known);
                if !wins {
                    return;
                }
            }
        }
        reading.known.insert(key, known);
        match known.ledger {
            Some(ledger) if ledger == hash => {
                self.report.unchanged += 1;
                if force {
                    reading.stage(row);
                }
            }
            Some(_) => {
                self.report.changed += 1;
                reading.stage(row);
            }
            None => {
                self.report.new += 1;
                reading.stage(row);
            }
        }
    }

    fn refuse_duplicate(&mut self, row: &CanonicalRow) {
        self.report.reject("duplicate_key");
        if self.quarantine.len() < QUARANTINE_ROWS_MAX {
            self.quarantine.push(QuarantineEntry {
                stage: Stage::Row,
                key: row.key_text.clone(),
                code: "duplicate_key".to_owned(),
                reason: format!("two different rows of the result have the key {}", row.key_text),
                rule: "key".to_owned(),
                row: row.to_stored(),
                lane: Some(row.details.machine_code.clone()),
                at: Some(row.at.micros()),
                first_seen: self.now,
            });
        }
    }

    /// Live runs that lie before the window and did not come back: each is looked for at its own start.
    fn watched(&mut self, reading: &Reading, range: Range) -> Result<Vec<(Timestamp, Timestamp)>, Failure> {
        let live = self.runner.store.live_before(&self.plan().id, range.from, WATCHED_MAX).map_err(state_failure)?;
        let missing: Vec<i64> = live
            .iter()
            .filter(|entry| reading.known.get(&entry.key).is_none_or(|known| known.seen.is_none()))
            .map(|entry| entry.at)
            .collect();
        let mut windows: Vec<(Timestamp, Timestamp)> = Vec::new();
        for at in missing {
            let (Ok(from), Ok(to)) = (Timestamp::from_microsecond(at), Timestamp::from_microsecond(at + 1)) else {
                continue;
            };
            match windows.last_mut() {
                Some(window) if from.duration_since(window.0) < WATCH_SPAN => window.1 = window.1.max(to),
                _ => windows.push((from, to)),
            }
        }
        // Each run goes on where the one before stopped, so that a long list is worked through.
        let turn = usize::try_from(self.now.as_second().unsigned_abs() / 60).unwrap_or_default();
        let pages = windows.len().div_ceil(WATCH_QUERIES_MAX).max(1);
        Ok(windows.into_iter().skip((turn % pages) * WATCH_QUERIES_MAX).take(WATCH_QUERIES_MAX).collect())
    }

    fn check_rejected(&mut self, reading: &Reading) -> Result<(), Failure> {
        let Some(limit) = self.plan().max_rejected else { return Ok(()) };
        let rejected = self.report.rejected_total() - reading.rejected_before;
        if reading.rows > 0 && rejected as f64 * 100.0 > limit * reading.rows as f64 {
            return Err(Failure {
                kind: FailureKind::Rejected,
                message: format!(
                    "{rejected} of {} rows were rejected, more than `max_rejected: {limit}%`; nothing was sent",
                    reading.rows
                ),
                hint: Some(format!("`engine preview` shows the reasons; {}", self.commonest_reason())),
            });
        }
        Ok(())
    }

    fn commonest_reason(&self) -> String {
        let commonest = self.report.rejected.iter().max_by_key(|(_, count)| **count);
        commonest.map_or(String::new(), |(code, count)| format!("the commonest is `{code}` ({count})"))
    }

    /// What did not come back, unless a brake is pulled.
    fn gone(&mut self, reading: &Reading, ranges: &[Range]) -> Result<Vec<RowKey>, Failure> {
        if ranges.is_empty() || self.plan().sync.deletes == Deletes::Ignore {
            return Ok(Vec::new());
        }
        let in_range = |known: &Known| known.ledger.is_some() && ranges.iter().any(|range| range.contains(known.at));
        let expected = reading.known.values().filter(|known| in_range(known)).count() as u64;
        let mut gone: Vec<RowKey> = reading
            .known
            .iter()
            .filter(|(_, known)| in_range(known) && known.seen.is_none())
            .map(|(key, _)| *key)
            .collect();
        gone.sort_unstable();
        if gone.is_empty() {
            return Ok(gone);
        }
        if reading.rejected_without_key > 0 {
            self.report.notes.push(format!(
                "{} records seem to be gone, but {} rejected rows have no key: nothing is deleted until they are mapped",
                gone.len(),
                reading.rejected_without_key
            ));
            return Ok(Vec::new());
        }
        let count = gone.len() as u64;
        let share = count as f64 * 100.0 / expected as f64;
        let limit = self.plan().sync.delete_limit;
        let approved = self.state.approved.is_some();
        if reading.rows == 0 && !approved {
            let message = format!("the result is empty where there were {expected} records");
            return Err(self.pull_brake(BrakeKind::Empty, message));
        }
        if count > DELETES_FREE && share > limit && !approved {
            let message = format!(
                "{count} of {expected} records would be deleted ({share:.0}%), more than `sync.delete_limit: {limit}%`"
            );
            return Err(self.pull_brake(BrakeKind::Deletes, message));
        }
        self.report.gone += count;
        Ok(gone)
    }

    /// Writes what waits in memory; its records are held back until the run has read everything.
    fn commit_early(&mut self, reading: &mut Reading) -> Result<(), Failure> {
        let plan = self.runner.plan;
        let mut tx = self.runner.store.begin(&plan.id).map_err(state_failure)?;
        let mut deriver = Deriver::new(plan, self.now, true);
        deriver.put(tx.as_mut(), &reading.staged, &mut self.report).map_err(state_failure)?;
        deriver.finish(tx.as_mut(), &mut self.report).map_err(state_failure)?;
        tx.commit().map_err(state_failure)?;
        reading.staged.clear();
        reading.staged_bytes = 0;
        reading.chunks += 1;
        Ok(())
    }

    fn commit(
        &mut self,
        id: &str,
        step: &Step,
        mut reading: Reading,
        gone: &[RowKey],
        ranges: &[Range],
    ) -> Result<(), Failure> {
        let plan = self.runner.plan;
        if let Some(greatest) = reading.greatest.take() {
            self.advance_cursor(greatest);
        }
        if step.filled_until.is_some() {
            self.state.filled_until = step.filled_until;
        }
        let mut tx = self.runner.store.begin(id).map_err(state_failure)?;
        let mut deriver = Deriver::new(plan, self.now, false);
        deriver.put(tx.as_mut(), &reading.staged, &mut self.report).map_err(state_failure)?;
        deriver.remove(tx.as_mut(), gone, &mut self.report).map_err(state_failure)?;
        deriver.remove(tx.as_mut(), &reading.cancelled, &mut self.report).map_err(state_failure)?;
        deriver.finish(tx.as_mut(), &mut self.report).map_err(state_failure)?;
        if reading.chunks > 0 || step.last {
            tx.release().map_err(state_failure)?;
        }
        let keep_before = match (step.last, ranges.first()) {
            (true, Some(range)) => range.from,
            // A slice of the first fill is not read again: what it refused stays. So it is with a cursor.
            _ => i64::MAX,
        };
        tx.replace_row_quarantine(keep_before, &self.quarantine).map_err(state_failure)?;
        if step.last {
            let elapsed = self.runner.clock.now().duration_since(self.now);
            self.report.millis = u64::try_from(elapsed.as_millis()).unwrap_or_default();
            self.state.last_success = Some(self.now);
            self.state.failures = 0;
            self.state.brake = None;
            self.state.approved = None;
            self.state.last_run = Some(self.report.clone());
        }
        tx.put_state(&self.state).map_err(state_failure)?;
        tx.commit().map_err(state_failure)
    }

    fn advance_cursor(&mut self, greatest: Vec<CursorValue>) {
        let zone = &self.runner.plan.zone;
        let greatest: Vec<CursorValue> = greatest.into_iter().map(|value| value.at_most(self.now, zone)).collect();
        let advances = self.state.cursor.as_ref().is_none_or(|cursor| {
            cursor::compare(&greatest, cursor).is_none_or(|order| order == std::cmp::Ordering::Greater)
        });
        if advances {
            self.state.cursor = Some(greatest);
        }
    }
}

impl Reading {
    fn stage(&mut self, row: &CanonicalRow) {
        self.staged_bytes += row_bytes(row);
        self.staged.push(row.clone());
    }

    fn unstage(&mut self, key: RowKey) {
        self.staged.retain(|row| RowKey::of(&row.key_text) != key);
    }

    /// A row that is refused is not gone: what was delivered of it stays as it is.
    fn keep_as_it_is(&mut self, row: &CanonicalRow) {
        if let Some(known) = self.known.get_mut(&RowKey::of(&row.key_text)) {
            known.seen = known.seen.or(known.ledger);
        }
    }

    /// Keeps how far was read; tells whether the row comes after the one of the same key that was read before.
    fn remember_cursor(&mut self, key: RowKey, cursor: Vec<CursorValue>) -> bool {
        use std::cmp::Ordering::Greater;
        let is_greater = |one: &[CursorValue], other: &[CursorValue]| {
            cursor::compare(one, other).is_none_or(|order| order == Greater)
        };
        if self.greatest.as_ref().is_none_or(|greatest| is_greater(&cursor, greatest)) {
            self.greatest = Some(cursor.clone());
        }
        let later = self.cursors.get(&key).is_none_or(|before| is_greater(&cursor, before));
        if later {
            self.cursors.insert(key, cursor);
        }
        later
    }
}

/// Memory that a staged row takes, roughly.
fn row_bytes(row: &CanonicalRow) -> usize {
    let details = &row.details;
    let attributes: usize = details.attributes.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
    size_of::<CanonicalRow>()
        + row.key_text.len()
        + details.order_code.len()
        + details.product_code.len()
        + details.machine_code.len()
        + attributes
        + 160
}

fn refuse(
    quarantine: &mut Vec<QuarantineEntry>,
    report: &mut RunReport,
    now: Timestamp,
    mapper: &Mapper,
    row: Row<'_>,
    canonical: &CanonicalRow,
) {
    let Some(first) = mapper.rejections().first() else { return };
    report.reject(first.code);
    if quarantine.len() >= QUARANTINE_ROWS_MAX {
        return;
    }
    let json = crate::mapping::row_json(row);
    let reasons: Vec<&str> = mapper.rejections().iter().map(|rejection| rejection.reason.as_str()).collect();
    quarantine.push(QuarantineEntry {
        stage: Stage::Row,
        key: if mapper.has_key() { canonical.key_text.clone() } else { format!("{:032x}", RowKey::of(&json).0) },
        code: first.code.to_owned(),
        reason: reasons.join("; "),
        rule: first.rule.clone(),
        row: json,
        lane: None,
        at: mapper.window_micros(),
        first_seen: now,
    });
}

fn find_cursor(columns: &Columns, name: &str) -> Result<usize, Failure> {
    crate::mapping::find_column(columns, name).map_err(|message| Failure {
        kind: FailureKind::Spec,
        message: format!("sync.cursor: {message}"),
        hint: Some("a cursor column must be among the columns that the query selects".to_owned()),
    })
}

fn read_cursor(plan: &Plan, row: Row<'_>, columns: &Columns) -> Result<Vec<CursorValue>, Failure> {
    plan.sync
        .cursor
        .iter()
        .map(|name| {
            let column = find_cursor(columns, name)?;
            CursorValue::of(row.get(column)).map_err(|message| Failure {
                kind: FailureKind::Source,
                message: format!("the cursor column `{name}` {message}"),
                hint: Some("leave out rows without a cursor value in the query, or use `sync.mode: window`".to_owned()),
            })
        })
        .collect()
}

fn shifted(instant: Timestamp, by: Duration, sign: i32) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    let moved = if sign < 0 { instant.saturating_sub(by) } else { instant.saturating_add(by) };
    moved.unwrap_or(instant)
}

fn cancelled() -> Failure {
    Failure { kind: FailureKind::Cancelled, message: "stopped before it was done".to_owned(), hint: None }
}

fn source_failure(error: SourceError) -> Failure {
    let kind = match error.kind {
        SourceErrorKind::Config => FailureKind::Spec,
        SourceErrorKind::Cancelled => FailureKind::Cancelled,
        kind if kind.is_environment() => FailureKind::Environment,
        _ => FailureKind::Source,
    };
    Failure { kind, message: error.to_string(), hint: error.hint }
}

fn state_failure(error: StateError) -> Failure {
    Failure { kind: FailureKind::State, message: error.to_string(), hint: error.hint }
}

fn mapping_failure(messages: Vec<String>) -> Failure {
    Failure {
        kind: FailureKind::Spec,
        message: messages.join("; "),
        hint: Some("`engine preview` shows the columns of the result".to_owned()),
    }
}
