//! One run, in one direction: plan, extract, map, compare, derive, commit.
//!
//! Delivery is a loop of its own. A run reads what the window, the cursor or the whole table gives, compares it with
//! the ledger, and commits the difference together with its outbox entries, its quarantine and its cursor.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use engine_spec::model::{Action, Deletes, SyncMode};
use engine_spec::template::{BindValue, Scope, Statement, TemplateError};
use jiff::{SignedDuration, Timestamp};
use xxhash_rust::xxh3::xxh3_64;

use crate::canonical::{CanonicalRow, RowKey};
use crate::cursor::{self, CursorValue};
use crate::derive::{Deriver, live_parts};
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

/// Live runs older than the window that are kept in view.
pub const WATCHED_MAX: usize = 10_000;
/// Extra queries that one run sends to look for them.
pub const WATCH_QUERIES_MAX: usize = 8;
/// Live runs closer together than this are looked for with one query.
const WATCH_SPAN: SignedDuration = SignedDuration::from_hours(24);
/// Bytes in the outbox beyond which a run does not read, where the device config does not say.
pub const OUTBOX_BYTES_MAX: u64 = 1 << 30;

/// Sees what a run does while it does it.
pub trait Observer {
    /// A row was read and mapped. `canonical` is whole for [`Outcome::Row`]; for [`Outcome::Cancelled`] it may have
    /// no more than its key.
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
            rejected_before: HashMap::new(),
            healed: Vec::new(),
            change: Change::None,
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
    /// This run read it first, and committed it early.
    early: bool,
}

impl Known {
    fn of(entry: Option<LedgerEntry>) -> Self {
        Self {
            ledger: entry.map(|entry| entry.hash),
            at: entry.map_or(i64::MIN, |entry| entry.at),
            seen: None,
            conflict: false,
            early: false,
        }
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
    /// Key texts of rows that earlier runs rejected, where a run does not read again all that was rejected.
    rejected_before: HashMap<RowKey, String>,
    healed: Vec<String>,
    change: Change,
}

/// What of the spec changed since the last run that went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    /// What the records say.
    Meaning,
    /// Which record a row is.
    Identity,
}

/// Rows on their way from the source to the commit.
#[derive(Default)]
struct Reading {
    known: HashMap<RowKey, Known>,
    staged: Staged,
    /// Rows that say what they said, under another value of the window column.
    moved: Staged,
    /// Rows whose key the ledger was not yet asked for.
    misses: Vec<(CanonicalRow, Option<Ordering>)>,
    cancelled: HashSet<RowKey>,
    /// Rows that were committed early and must not stay.
    retracted: Vec<RowKey>,
    rejected: u64,
    /// Rejected rows without a key: any of them may be the one that seems to be gone.
    rejected_without_key: u64,
    rows: u64,
    /// Rows of the window, slice or table itself; those of runs that are watched beyond it are not among them.
    rows_of_step: u64,
    chunks: u64,
    /// Mode `cursor`: the greatest values so far, and those of every row.
    greatest: Option<Vec<CursorValue>>,
    cursors: HashMap<RowKey, Vec<CursorValue>>,
    scratch: Vec<u8>,
}

/// Rows that wait for the commit, one a key.
#[derive(Default)]
struct Staged {
    rows: Vec<CanonicalRow>,
    places: HashMap<RowKey, usize>,
    bytes: usize,
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
        self.check_fingerprint();
        let steps = self.steps()?;
        if waiting.quarantine > 0 && (steps.len() > 1 || self.plan().sync.mode == SyncMode::Cursor) {
            let entries = store.quarantined(&id, QUARANTINE_ROWS_MAX).map_err(state_failure)?;
            let rows = entries.into_iter().filter(|entry| entry.stage == Stage::Row);
            self.rejected_before = rows.map(|entry| (RowKey::of(&entry.key), entry.key)).collect();
        }
        for step in steps {
            if self.runner.cancel.is_cancelled() {
                return Err(cancelled());
            }
            self.step(source.as_mut(), &step, observer)?;
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
        if !differs.is_empty() && !self.is_approved(BrakeKind::Identity) {
            let message = format!("the source is not the database of before: {}", differs.join(", "));
            return Err(self.pull_brake(BrakeKind::Identity, &message));
        }
        if !differs.is_empty() {
            self.report.notes.push("the source is another database; approved".to_owned());
        }
        for (name, value) in &identity.facts {
            self.state.identity.insert(name.clone(), value.clone());
        }
        Ok(())
    }

    /// Notices what changed in the spec. It stays noticed until a run goes well.
    fn check_fingerprint(&mut self) {
        let Some(before) = &self.state.fingerprint else { return };
        let now = &self.plan().fingerprint;
        if before.identity != now.identity {
            self.change = Change::Identity;
            self.report.notes.push(
                "`key`, `table` or `deliver` changed: records of the window get new ids, the old ones are deleted"
                    .to_owned(),
            );
        } else if before.meaning != now.meaning {
            self.change = Change::Meaning;
            self.report.notes.push("the mapping changed: what it changes is sent again".to_owned());
        }
    }

    /// Whether everything must be folded again because the rules may not be those that made the records.
    fn refolds(&self) -> bool {
        self.change != Change::None && self.plan().is_folded()
    }

    /// Whether somebody approved. Who approved another database did not approve that it is empty; who approved an
    /// empty result approved every delete.
    fn is_approved(&self, kind: BrakeKind) -> bool {
        let covers = |brake: &Brake| brake.kind == kind || (brake.kind, kind) == (BrakeKind::Empty, BrakeKind::Deletes);
        self.state.approved.is_some() && self.state.brake.as_ref().is_none_or(covers)
    }

    fn pull_brake(&mut self, kind: BrakeKind, message: &str) -> Failure {
        let since = self.state.brake.as_ref().filter(|brake| brake.kind == kind).map_or(self.now, |brake| brake.since);
        self.state.brake = Some(Brake { kind, message: message.to_owned(), since });
        self.state.approved = None;
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
                }
                // The first fill, or what a pause longer than the window left unread.
                if let Some(mut from) = self.state.filled_until.or(sync.start) {
                    from = sync.start.map_or(from, |first| from.max(first));
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

    fn step(&mut self, source: &mut dyn Source, step: &Step, observer: &mut dyn Observer) -> Result<(), Failure> {
        let mut reading = Reading::default();
        let mut ranges: Vec<Range> = step.range.into_iter().collect();
        for range in &ranges {
            self.expect(&mut reading, *range)?;
        }
        let mut cursor = step.cursor.clone();
        if self.plan().sync.mode == SyncMode::Cursor && self.state.cursor.is_none() {
            cursor = self.first_cursor(source)?;
        }
        self.ask(source, step.window, &cursor)?;
        self.read(source, &mut reading, observer)?;
        reading.rows_of_step = reading.rows;
        if step.last && self.plan().sync.mode == SyncMode::Window && !self.plan().is_paired() {
            for window in self.watched(&reading, ranges[0])? {
                let range = Range::of(window);
                self.expect(&mut reading, range)?;
                self.ask(source, Some(window), &BTreeMap::new())?;
                self.read(source, &mut reading, observer)?;
                ranges.push(range);
            }
        }
        self.check_rejected(&reading)?;
        let gone = self.gone(&reading, &ranges)?;
        self.commit(step, reading, &gone, &ranges)
    }

    /// What the ledger has in a range: what must come back, or is gone.
    fn expect(&self, reading: &mut Reading, range: Range) -> Result<(), Failure> {
        let mut ledgers = vec![self.ledger()];
        if self.refolds() {
            // Records that were written before rows were folded have no row.
            ledgers.push(Ledger::Records);
        }
        for ledger in ledgers {
            let known = &mut reading.known;
            self.runner
                .store
                .entries(&self.plan().id, ledger, range.from, range.to, &mut |entry: LedgerEntry| {
                    known.entry(entry.key).or_insert(Known::of(Some(entry)));
                })
                .map_err(state_failure)?;
        }
        Ok(())
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

    fn cursor_places(&self, columns: &Columns) -> Result<Vec<usize>, Failure> {
        self.plan().sync.cursor.iter().map(|name| find_cursor(columns, name)).collect()
    }

    /// Reads one answer to its end.
    fn read(
        &mut self,
        source: &mut dyn Source,
        reading: &mut Reading,
        observer: &mut dyn Observer,
    ) -> Result<(), Failure> {
        let mut batch = RowBatch::new();
        let mut row_buffer = CanonicalRow::default();
        let now = Instant::from_timestamp(self.now).unwrap_or(Instant::MAX);
        let mut compiled: Option<(Mapper, Vec<usize>)> = None;
        loop {
            if self.runner.cancel.is_cancelled() {
                return Err(cancelled());
            }
            let fetched = source.next(&mut batch).map_err(source_failure)?;
            let (mapper, cursor_places) = match &mut compiled {
                Some(compiled) if compiled.0.fits(batch.columns()) => compiled,
                slot => {
                    let mapper = Mapper::new(self.runner.plan, batch.columns())
                        .map_err(|messages| mapping_failure(&messages))?;
                    slot.insert((mapper, self.cursor_places(batch.columns())?))
                }
            };
            if fetched == Fetched::End {
                break;
            }
            reading.rows += batch.len() as u64;
            self.report.rows += batch.len() as u64;
            for row in batch.rows() {
                let outcome = mapper.map(row, now, &mut row_buffer);
                observer.row(row, outcome, &row_buffer, mapper);
                if outcome == Outcome::Rejected {
                    refuse(&mut self.quarantine, &mut self.report, self.now, mapper, row, &row_buffer);
                    reading.rejected += 1;
                    if mapper.has_key() {
                        reading.keep_as_it_is(&row_buffer);
                    } else {
                        reading.rejected_without_key += 1;
                    }
                    continue;
                }
                let cursor = match self.plan().sync.mode {
                    SyncMode::Cursor => Some(read_cursor(row, batch.columns(), cursor_places)?),
                    SyncMode::Window | SyncMode::Full => None,
                };
                if let Some(cursor) = &cursor {
                    reading.advance(cursor);
                }
                if outcome == Outcome::Skipped {
                    self.report.skipped += 1;
                    continue;
                }
                let key = RowKey::of(&row_buffer.key_text);
                if let Some(healed) = self.rejected_before.remove(&key) {
                    self.healed.push(healed);
                }
                let later = cursor.map(|cursor| reading.compare_cursor(key, cursor));
                if outcome == Outcome::Cancelled {
                    self.report.cancelled += 1;
                    reading.cancel(key, later);
                    continue;
                }
                reading.revive(key, later);
                if reading.known.contains_key(&key) {
                    self.classify(reading, key, &row_buffer, later);
                } else {
                    // Two rows with a key that the ledger was not asked for are told apart after it was.
                    reading.misses.push((row_buffer.clone(), later));
                }
            }
            self.resolve_misses(reading)?;
            for (code, count) in mapper.take_reported() {
                self.report.report(code, count);
            }
            observer.progress(self.report.rows, &self.plan().id);
            if reading.staged.bytes + reading.moved.bytes > self.plan().stage_bytes_max {
                self.commit_early(reading)?;
            }
        }
        Ok(())
    }

    fn resolve_misses(&mut self, reading: &mut Reading) -> Result<(), Failure> {
        if reading.misses.is_empty() {
            return Ok(());
        }
        let misses = std::mem::take(&mut reading.misses);
        let keys: Vec<RowKey> = misses.iter().map(|(row, _)| RowKey::of(&row.key_text)).collect();
        let entries = self.runner.store.look_up(&self.plan().id, self.ledger(), &keys).map_err(state_failure)?;
        for (key, entry) in keys.iter().zip(entries) {
            reading.known.entry(*key).or_insert(Known::of(entry));
        }
        for (key, (row, later)) in keys.into_iter().zip(&misses) {
            self.classify(reading, key, row, *later);
        }
        Ok(())
    }

    /// Decides what a row is: unchanged, changed, new, or in conflict with another row of the result.
    ///
    /// `later` is set in mode `cursor`: how the row compares with the one of the same key that was read before.
    fn classify(&mut self, reading: &mut Reading, key: RowKey, row: &CanonicalRow, later: Option<Ordering>) {
        if reading.cancelled.contains(&key) {
            return;
        }
        let hash = row.content_hash(&mut reading.scratch);
        let Some(mut known) = reading.known.get(&key).copied() else { return };
        if let Some(seen) = known.seen {
            if seen == hash {
                self.report.report("duplicate_row", 1);
                return;
            }
            let action = self.plan().checks.duplicate_key;
            let wins = match later {
                Some(Ordering::Greater) => true,
                Some(Ordering::Less) => false,
                None if action == Action::Reject => {
                    known.conflict = true;
                    false
                }
                // Which of the two counts must not depend on the order in which they came.
                Some(Ordering::Equal) | None => hash > seen,
            };
            if known.conflict || wins {
                reading.staged.remove(key);
            }
            if known.conflict && known.early {
                reading.retracted.push(key);
            }
            if known.conflict {
                self.refuse_duplicate(row);
            } else if later.is_none() && action == Action::Report {
                self.report.report("duplicate_key", 1);
            }
            if !wins {
                reading.known.insert(key, known);
                return;
            }
        }
        known.seen = Some(hash);
        reading.known.insert(key, known);
        match known.ledger {
            Some(ledger) if ledger == hash => {
                self.report.unchanged += 1;
                if self.refolds() {
                    reading.staged.put(key, row);
                } else if known.at != row.at.micros() {
                    reading.moved.put(key, row);
                }
            }
            Some(_) => {
                self.report.changed += 1;
                reading.staged.put(key, row);
            }
            None => {
                self.report.new += 1;
                reading.staged.put(key, row);
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
        let missing = self.live_before(reading, range.from).map_err(state_failure)?;
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
        // A long list is worked through over several runs. The time is scattered: runs come at regular intervals, and
        // would else meet the same page again and again.
        let pages = windows.len().div_ceil(WATCH_QUERIES_MAX).max(1);
        let page = usize::try_from(xxh3_64(&self.now.as_second().to_le_bytes()) % pages as u64).unwrap_or_default();
        Ok(windows.into_iter().skip(page * WATCH_QUERIES_MAX).take(WATCH_QUERIES_MAX).collect())
    }

    /// The window column of every live row before a time that was not read, oldest first.
    fn live_before(&self, reading: &Reading, before: i64) -> Result<Vec<i64>, StateError> {
        let plan = self.runner.plan;
        let live = self.runner.store.live_before(&plan.id, before, WATCHED_MAX)?;
        let mut rows: Vec<(RowKey, i64)> = if plan.is_folded() && plan.merge_gap.is_some() && !live.is_empty() {
            // What keeps a merged run alive need not be the row that opens it.
            let mut tx = self.runner.store.begin(&plan.id)?;
            let mut rows = Vec::new();
            for run in live {
                rows.append(&mut live_parts(tx.as_mut(), run.key)?);
            }
            rows.into_iter().filter(|(_, at)| *at < before).collect()
        } else {
            live.into_iter().map(|run| (run.key, run.at)).collect()
        };
        rows.retain(|(key, _)| reading.known.get(key).is_none_or(|known| known.seen.is_none()));
        let mut times: Vec<i64> = rows.into_iter().map(|(_, at)| at).collect();
        times.sort_unstable();
        Ok(times)
    }

    fn check_rejected(&mut self, reading: &Reading) -> Result<(), Failure> {
        let Some(limit) = self.plan().max_rejected else { return Ok(()) };
        let rejected = reading.rejected;
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
        let lies_in = |range: &Range, known: &Known| known.ledger.is_some() && range.contains(known.at);
        let in_range = |known: &Known| ranges.iter().any(|range| lies_in(range, known));
        let expected = reading.known.values().filter(|known| in_range(known)).count() as u64;
        let mut gone: Vec<RowKey> = reading
            .known
            .iter()
            .filter(|(key, known)| in_range(known) && known.seen.is_none() && !reading.cancelled.contains(*key))
            .map(|(key, _)| *key)
            .collect();
        gone.sort_unstable();
        let is_known = |key: &&RowKey| reading.known.get(*key).is_some_and(in_range);
        let cancelled = reading.cancelled.iter().filter(is_known).count() as u64;
        if gone.is_empty() && cancelled == 0 {
            return Ok(gone);
        }
        if reading.rejected_without_key > 0 && !gone.is_empty() {
            self.report.notes.push(format!(
                "{} records seem to be gone, but {} rejected rows have no key: nothing is deleted until they are mapped",
                gone.len(),
                reading.rejected_without_key
            ));
            gone.clear();
        }
        let count = gone.len() as u64 + cancelled;
        let share = count as f64 * 100.0 / expected as f64;
        let limit = self.plan().sync.delete_limit;
        let expected_of_step = reading.known.values().filter(|known| lies_in(&ranges[0], known)).count();
        if reading.rows_of_step == 0
            && (expected_of_step > 0 || reading.rows == 0)
            && !self.is_approved(BrakeKind::Empty)
        {
            let message = format!("the result is empty where there were {expected} records{}", self.why_ids_change());
            return Err(self.pull_brake(BrakeKind::Empty, &message));
        }
        if count > DELETES_FREE && share > limit && !self.is_approved(BrakeKind::Deletes) {
            let message = format!(
                "{count} of {expected} records would be deleted ({share:.0}%), more than `sync.delete_limit: {limit}%`{}",
                self.why_ids_change()
            );
            return Err(self.pull_brake(BrakeKind::Deletes, &message));
        }
        self.report.gone += gone.len() as u64;
        Ok(gone)
    }

    /// For the message of a brake: what in the spec may have pulled it.
    fn why_ids_change(&self) -> &'static str {
        match self.change {
            Change::Identity => "; `key`, `table` or `deliver` of the spec changed, which gives records new ids",
            Change::None | Change::Meaning => "",
        }
    }

    /// Writes what waits in memory; its records are held back until the run has read everything.
    fn commit_early(&mut self, reading: &mut Reading) -> Result<(), Failure> {
        let plan = self.runner.plan;
        let mut tx = self.runner.store.begin(&plan.id).map_err(state_failure)?;
        let mut deriver = Deriver::new(plan, self.now, true).with_changed_rules(self.change != Change::None);
        deriver.put(tx.as_mut(), &reading.staged.rows, &mut self.report).map_err(state_failure)?;
        deriver.place(tx.as_mut(), &reading.moved.rows).map_err(state_failure)?;
        deriver.finish(tx.as_mut(), &mut self.report).map_err(state_failure)?;
        tx.commit().map_err(state_failure)?;
        for key in reading.staged.places.keys() {
            if let Some(known) = reading.known.get_mut(key) {
                known.early |= known.ledger.is_none();
                known.ledger = known.seen;
            }
        }
        reading.staged.clear();
        reading.moved.clear();
        reading.chunks += 1;
        Ok(())
    }

    fn commit(&mut self, step: &Step, mut reading: Reading, gone: &[RowKey], ranges: &[Range]) -> Result<(), Failure> {
        let plan = self.runner.plan;
        if let Some(greatest) = reading.greatest.take() {
            self.advance_cursor(greatest);
        }
        if step.filled_until.is_some() {
            self.state.filled_until = step.filled_until;
        }
        let mut removed: Vec<RowKey> = reading.cancelled.into_iter().chain(reading.retracted).collect();
        removed.sort_unstable();
        let mut tx = self.runner.store.begin(&plan.id).map_err(state_failure)?;
        let mut deriver = Deriver::new(plan, self.now, false).with_changed_rules(self.change != Change::None);
        // What was committed early and is retracted may have come again as another row since.
        deriver.remove(tx.as_mut(), &removed, &mut self.report).map_err(state_failure)?;
        deriver.remove(tx.as_mut(), gone, &mut self.report).map_err(state_failure)?;
        deriver.put(tx.as_mut(), &reading.staged.rows, &mut self.report).map_err(state_failure)?;
        deriver.place(tx.as_mut(), &reading.moved.rows).map_err(state_failure)?;
        deriver.finish(tx.as_mut(), &mut self.report).map_err(state_failure)?;
        if reading.chunks > 0 || step.last {
            tx.release().map_err(state_failure)?;
        }
        let keep_before = match (step.last, ranges.first()) {
            (true, Some(range)) => range.from,
            // A slice of the first fill is not read again: what it refused stays. So it is with a cursor.
            _ => i64::MAX,
        };
        tx.heal_rows(&self.healed).map_err(state_failure)?;
        tx.replace_row_quarantine(keep_before, &self.quarantine).map_err(state_failure)?;
        if step.last {
            let elapsed = self.runner.clock.now().duration_since(self.now);
            self.report.millis = u64::try_from(elapsed.as_millis()).unwrap_or_default();
            self.state.last_success = Some(self.now);
            self.state.fingerprint = Some(plan.fingerprint.clone());
            if step.window.is_some() {
                self.state.filled_until = Some(self.now);
            }
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
        let advances = self.state.cursor.as_ref().is_none_or(|cursor| order_of(&greatest, cursor).is_gt());
        if advances {
            self.state.cursor = Some(greatest);
        }
    }
}

impl Staged {
    fn put(&mut self, key: RowKey, row: &CanonicalRow) {
        self.bytes += row_bytes(row);
        self.places.insert(key, self.rows.len());
        self.rows.push(row.clone());
    }

    /// Whether the row was waiting.
    fn remove(&mut self, key: RowKey) -> bool {
        let Some(place) = self.places.remove(&key) else { return false };
        self.bytes -= row_bytes(&self.rows.swap_remove(place));
        if let Some(moved) = self.rows.get(place) {
            self.places.insert(RowKey::of(&moved.key_text), place);
        }
        true
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.places.clear();
        self.bytes = 0;
    }
}

impl Reading {
    /// A row that is cancelled is no row, whatever other rows of its key say; with a cursor, the latest says.
    fn cancel(&mut self, key: RowKey, later: Option<Ordering>) {
        if later != Some(Ordering::Less) {
            self.staged.remove(key);
            self.cancelled.insert(key);
        }
    }

    /// With a cursor, a later row takes a cancellation back.
    fn revive(&mut self, key: RowKey, later: Option<Ordering>) {
        if later == Some(Ordering::Greater) {
            self.cancelled.remove(&key);
        }
    }

    /// A row that is refused is not gone: what was delivered of it stays as it is.
    fn keep_as_it_is(&mut self, row: &CanonicalRow) {
        if let Some(known) = self.known.get_mut(&RowKey::of(&row.key_text)) {
            known.seen = known.seen.or(known.ledger);
        }
    }

    /// Keeps how far was read.
    fn advance(&mut self, cursor: &[CursorValue]) {
        if self.greatest.as_ref().is_none_or(|greatest| order_of(cursor, greatest).is_gt()) {
            self.greatest = Some(cursor.to_vec());
        }
    }

    /// How the row compares with the one of the same key that was read before.
    fn compare_cursor(&mut self, key: RowKey, cursor: Vec<CursorValue>) -> Ordering {
        let order = self.cursors.get(&key).map_or(Ordering::Greater, |before| order_of(&cursor, before));
        if order.is_gt() {
            self.cursors.insert(key, cursor);
        }
        order
    }
}

/// The order of two cursors; of values that do not compare, the one that came later counts.
fn order_of(one: &[CursorValue], other: &[CursorValue]) -> Ordering {
    cursor::compare(one, other).unwrap_or(Ordering::Greater)
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

fn read_cursor(row: Row<'_>, columns: &Columns, places: &[usize]) -> Result<Vec<CursorValue>, Failure> {
    let read = |place: &usize| {
        CursorValue::of(row.get(*place)).map_err(|message| Failure {
            kind: FailureKind::Source,
            message: format!("the cursor column `{}` {message}", columns[*place].name),
            hint: Some("leave out rows without a cursor value in the query, or use `sync.mode: window`".to_owned()),
        })
    };
    places.iter().map(read).collect()
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

fn mapping_failure(messages: &[String]) -> Failure {
    Failure {
        kind: FailureKind::Spec,
        message: messages.join("; "),
        hint: Some("`engine preview` shows the columns of the result".to_owned()),
    }
}
