//! What the service did since it began, for those who watch it: the one place where its runs and deliveries are recorded.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine_core::dispatch::DispatchReport;
use engine_core::freshness::Freshness;
use engine_core::report::{FailureKind, RunReport};
use engine_spec::device::Device;
use jiff::{SignedDuration, Timestamp};

use crate::commands::run::{log_delivery, log_run};
use crate::fleet::Told;
use crate::fleet::depot::ProblemKind;
use crate::project::FoundSpec;

/// The service decides many times a second; after so long without, it is not well.
pub const TURN_MAX: SignedDuration = SignedDuration::from_secs(30);
/// Runs of a pipeline that are remembered, for the status page.
pub const RECENT_RUNS_MAX: usize = 20;
/// How long a run that could not use the state counts. The next may be far away, or another engine's.
const STATE_FAILED_FOR: SignedDuration = SignedDuration::from_mins(5);

/// What the service runs, as it is now: specs may change while it runs.
#[derive(Clone, Default)]
pub struct Roster {
    /// The device config.
    pub device: Arc<Device>,
    /// The pipelines.
    pub pipelines: Vec<Entry>,
}

/// A pipeline that the service runs.
#[derive(Clone)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// What it runs by.
    pub spec: Arc<FoundSpec>,
    /// Its file holds something else now, which cannot be used.
    pub is_outdated: bool,
}

/// What the service did.
pub struct Monitor {
    started: Timestamp,
    /// When the service last decided what to do, in milliseconds.
    turned: AtomicI64,
    looked: AtomicBool,
    /// When the last run ended, where it could not use the state, in milliseconds.
    state_failed: AtomicI64,
    tallies: Mutex<BTreeMap<String, Tally>>,
    roster: Mutex<Arc<Roster>>,
    page_trouble: Mutex<Option<String>>,
    specs: Mutex<Option<Arc<Told>>>,
    /// Whether the last heartbeat did not arrive.
    is_unheard: AtomicBool,
}

/// What was done for one pipeline.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// Runs that went well.
    pub runs: u64,
    /// Runs that failed.
    pub failed: u64,
    /// How long all of them took, in milliseconds.
    pub millis: u64,
    /// Rows that they read.
    pub rows: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Statements that were sent to the source.
    pub statements: u64,
    /// Of these, new ones.
    pub new: u64,
    /// Of these, changed ones.
    pub changed: u64,
    /// Rows that were gone.
    pub gone: u64,
    /// Records to be written that they handed to the outbox.
    pub upserts: u64,
    /// Records to be deleted that they handed to the outbox.
    pub deletes: u64,
    /// Rows that they rejected, by code.
    pub rejected: BTreeMap<String, u64>,
    /// Records that the destination acknowledged.
    pub accepted: u64,
    /// Records that it refused.
    pub refused: u64,
    /// Parcels that were sent.
    pub parcels: u64,
    /// Deliveries that ended before the outbox was empty.
    pub stopped: u64,
    /// How old the acknowledged records were.
    pub freshness: Freshness,
    /// The last delivery was refused as a whole, and somebody must act.
    pub paused: bool,
    /// Since when something has waited in the outbox without a break, as far as is known.
    pub waiting_since: Option<Timestamp>,
    /// The last runs, newest first.
    pub recent: VecDeque<RecentRun>,
}

/// A run that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct RecentRun {
    /// When it began.
    pub started: Timestamp,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// Rows that it read.
    pub rows: u64,
    /// Of these, new ones.
    pub new: u64,
    /// Of these, changed ones.
    pub changed: u64,
    /// Rows that were gone.
    pub gone: u64,
    /// Rows and runs that it rejected.
    pub rejected: u64,
    /// Why it failed, where it did.
    pub failure: Option<String>,
}

impl RecentRun {
    fn of(report: &RunReport) -> Self {
        Self {
            started: report.started,
            millis: report.millis,
            rows: report.rows,
            new: report.new,
            changed: report.changed,
            gone: report.gone,
            rejected: report.rejected_total(),
            failure: report.failure.as_ref().map(|failure| failure.message.clone()),
        }
    }
}

impl Monitor {
    /// Begins to record.
    pub fn new(now: Timestamp) -> Self {
        Self {
            started: now,
            turned: AtomicI64::new(now.as_millisecond()),
            looked: AtomicBool::new(false),
            state_failed: AtomicI64::new(i64::MIN),
            tallies: Mutex::default(),
            roster: Mutex::default(),
            page_trouble: Mutex::default(),
            specs: Mutex::default(),
            is_unheard: AtomicBool::new(false),
        }
    }

    /// When the recording began.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// The service runs these from now on.
    pub fn runs(&self, roster: Roster) {
        *self.roster.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(roster);
    }

    /// What the service runs.
    pub fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.roster.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why certificate and token of the status page cannot be read anew; `None` where they can.
    pub fn page_trouble(&self, trouble: Option<String>) {
        *self.page_trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// What was said of it last.
    pub fn current_page_trouble(&self) -> Option<String> {
        self.page_trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The specs are pulled, and are like this.
    pub fn tell_specs(&self, told: Told) {
        *self.specs.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(told));
    }

    /// What pulled specs are like; `None` where specs are not pulled.
    pub fn specs(&self) -> Option<Arc<Told>> {
        self.specs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the last heartbeat did not arrive.
    pub fn tell_heartbeat(&self, is_unheard: bool) {
        self.is_unheard.store(is_unheard, Ordering::Relaxed);
    }

    /// What is worth a word of pulled specs and heartbeats, for a status line.
    pub fn fleet_in_words(&self) -> Vec<&'static str> {
        let specs = self.specs();
        let record = specs.as_ref().map(|told| &told.record);
        let problem = record.and_then(|record| record.problem.as_ref()).map(|problem| match problem.kind {
            ProblemKind::Unreachable => "new specs cannot be pulled",
            ProblemKind::Refused => "new specs are refused",
            ProblemKind::RolledBack => "new specs were rolled back",
        });
        let trial = record.and_then(|record| record.trial.as_ref()).map(|_| "new specs on trial");
        let heartbeat = self.is_unheard.load(Ordering::Relaxed).then_some("heartbeats do not arrive");
        [trial, problem, heartbeat].into_iter().flatten().collect()
    }

    /// The service decides what to do next.
    pub fn turn(&self, now: Timestamp) {
        self.turned.store(now.as_millisecond(), Ordering::Relaxed);
    }

    /// How long ago it last did.
    pub fn since_turn(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(Timestamp::from_millisecond(self.turned.load(Ordering::Relaxed)).unwrap_or(self.started))
    }

    /// Whether it decides.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.since_turn(now) <= TURN_MAX
    }

    /// Whether the last look at the state, for what there is to do, went well.
    pub fn looked(&self, well: bool) {
        self.looked.store(well, Ordering::Relaxed);
    }

    /// Why the service is not ready: it decides nothing, or has no state that it can use. `None` where it is.
    pub fn unready(&self, now: Timestamp) -> Option<&'static str> {
        if !self.is_alive(now) {
            return Some("the loop that decides stands still");
        }
        if !self.looked.load(Ordering::Relaxed) {
            return Some("the state cannot be read, or was not looked at yet");
        }
        let failed = Timestamp::from_millisecond(self.state_failed.load(Ordering::Relaxed)).ok();
        let is_recent = failed.is_some_and(|failed| now.duration_since(failed) < STATE_FAILED_FOR);
        is_recent.then_some("the last run could not read or write the state")
    }

    /// A run ended.
    pub fn run(&self, pipeline: &str, report: &RunReport) {
        log_run(pipeline, report);
        let mut tallies = self.tallies();
        let tally = tallies.entry(pipeline.to_owned()).or_default();
        match &report.failure {
            None => tally.runs += 1,
            Some(_) => tally.failed += 1,
        }
        let state_failed = report.failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::State);
        let ended = report.started.as_millisecond().saturating_add_unsigned(report.millis);
        self.state_failed.store(if state_failed { ended } else { i64::MIN }, Ordering::Relaxed);
        tally.millis += report.millis;
        tally.rows += report.rows;
        tally.bytes += report.bytes;
        tally.statements += report.statements;
        tally.new += report.new;
        tally.changed += report.changed;
        tally.gone += report.gone;
        tally.upserts += report.upserts;
        tally.deletes += report.deletes;
        for (code, count) in &report.rejected {
            *tally.rejected.entry(code.clone()).or_default() += count;
        }
        tally.recent.truncate(RECENT_RUNS_MAX - 1);
        tally.recent.push_front(RecentRun::of(report));
        if !report.is_unchanged() {
            tally.waiting_since.get_or_insert(report.started);
        }
    }

    /// A delivery ended.
    pub fn delivery(&self, pipeline: &str, place: &str, report: &DispatchReport) {
        log_delivery(pipeline, place, report);
        let mut tallies = self.tallies();
        let tally = tallies.entry(pipeline.to_owned()).or_default();
        tally.accepted += report.accepted;
        tally.refused += report.refused;
        tally.parcels += report.parcels;
        tally.freshness.add(&report.freshness);
        tally.paused = report.stopped.as_ref().is_some_and(|stopped| stopped.paused);
        match report.stopped {
            Some(_) => tally.stopped += 1,
            None => tally.waiting_since = None,
        }
    }

    /// So much waits in the outbox; since when, without a break, as far as is known.
    pub fn waiting(&self, pipeline: &str, records: u64, now: Timestamp) -> Option<Timestamp> {
        let mut tallies = self.tallies();
        let tally = tallies.entry(pipeline.to_owned()).or_default();
        if records == 0 {
            tally.waiting_since = None;
            return None;
        }
        Some(*tally.waiting_since.get_or_insert(now))
    }

    /// What was done for a pipeline.
    pub fn tally(&self, pipeline: &str) -> Tally {
        self.tallies().get(pipeline).cloned().unwrap_or_default()
    }

    /// The last run of a pipeline.
    pub fn last_run(&self, pipeline: &str) -> Option<RecentRun> {
        self.tallies().get(pipeline)?.recent.front().cloned()
    }

    fn tallies(&self) -> MutexGuard<'_, BTreeMap<String, Tally>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use engine_core::dispatch::Stopped;
    use engine_core::report::Failure;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn runs_and_deliveries_add_up() {
        let monitor = Monitor::new(at(0));
        let mut report = RunReport {
            rows: 10,
            bytes: 300,
            statements: 2,
            new: 4,
            upserts: 3,
            deletes: 1,
            millis: 250,
            ..RunReport::default()
        };
        report.rejected.insert("unmapped".to_owned(), 2);
        monitor.run("acme", &report);
        let failure = Failure { kind: FailureKind::Source, message: String::new(), hint: None };
        monitor.run("acme", &RunReport { failure: Some(failure), started: at(9), ..report });
        let stopped = Stopped { reason: String::new(), retry_at: at(60), paused: true };
        let report = DispatchReport { accepted: 5, parcels: 2, stopped: Some(stopped), ..DispatchReport::default() };
        monitor.delivery("acme", "there", &report);
        let tally = monitor.tally("acme");
        assert_eq!((tally.runs, tally.failed, tally.rows, tally.upserts, tally.deletes), (1, 1, 20, 6, 2));
        assert_eq!((tally.bytes, tally.statements), (600, 4));
        assert_eq!((tally.millis, tally.rejected["unmapped"]), (500, 4));
        assert_eq!((tally.accepted, tally.parcels, tally.stopped, tally.paused), (5, 2, 1, true));
        assert_eq!(monitor.tally("other"), Tally::default());
    }

    #[test]
    fn what_waits_waits_since_the_outbox_was_empty() {
        let monitor = Monitor::new(at(0));
        assert_eq!(monitor.waiting("acme", 0, at(1)), None);
        assert_eq!(monitor.waiting("acme", 5, at(2)), Some(at(2)));
        monitor.run("acme", &RunReport { upserts: 1, started: at(3), ..RunReport::default() });
        assert_eq!(monitor.waiting("acme", 6, at(4)), Some(at(2)));
        monitor.delivery("acme", "there", &DispatchReport::default());
        monitor.run("acme", &RunReport { upserts: 1, started: at(5), ..RunReport::default() });
        assert_eq!(monitor.waiting("acme", 1, at(6)), Some(at(5)));
    }

    #[test]
    fn what_is_wrong_with_pulled_specs_is_on_the_status_line() {
        use crate::fleet::depot::{Problem, Record};

        let monitor = Monitor::new(at(0));
        assert_eq!(monitor.fleet_in_words(), [""; 0]);
        for (kind, words) in [
            (ProblemKind::Unreachable, "new specs cannot be pulled"),
            (ProblemKind::Refused, "new specs are refused"),
            (ProblemKind::RolledBack, "new specs were rolled back"),
        ] {
            let problem = Some(Problem { since: at(0), kind, message: String::new() });
            monitor.tell_specs(Told { from: String::new(), record: Record { problem, ..Record::default() } });
            assert_eq!(monitor.fleet_in_words(), [words]);
        }
        let trial = engine_core::fleet::trial::Trial::begin(at(0), ["acme".to_owned()]);
        monitor.tell_specs(Told { from: String::new(), record: Record { trial, ..Record::default() } });
        monitor.tell_heartbeat(true);
        assert_eq!(monitor.fleet_in_words(), ["new specs on trial", "heartbeats do not arrive"]);
    }

    #[test]
    fn the_last_runs_are_remembered_newest_first_and_no_more_than_so_many() {
        let monitor = Monitor::new(at(0));
        for no in 0..RECENT_RUNS_MAX as i64 + 5 {
            monitor.run("acme", &RunReport { started: at(no), rows: no.unsigned_abs(), ..RunReport::default() });
        }
        let recent = monitor.tally("acme").recent;
        assert_eq!(recent.len(), RECENT_RUNS_MAX);
        assert_eq!((recent[0].started, recent[0].rows, recent[0].failure.as_deref()), (at(24), 24, None));
        assert_eq!(recent[RECENT_RUNS_MAX - 1].started, at(5));
    }

    #[test]
    fn a_service_that_decides_nothing_for_long_is_not_alive() {
        let monitor = Monitor::new(at(0));
        monitor.turn(at(10));
        assert!(monitor.is_alive(at(10).saturating_add(TURN_MAX).expect("in range")));
        assert!(!monitor.is_alive(at(11).saturating_add(TURN_MAX).expect("in range")));
    }

    #[test]
    fn a_service_is_ready_while_it_decides_and_its_state_can_be_used() {
        let monitor = Monitor::new(at(0));
        assert!(monitor.unready(at(1)).is_some_and(|why| why.contains("not looked at yet")));
        monitor.looked(true);
        assert_eq!(monitor.unready(at(1)), None);
        let run = |kind| {
            let failure = Some(Failure { kind, message: "the state is locked".to_owned(), hint: None });
            monitor.run("acme", &RunReport { failure, started: at(1), ..RunReport::default() });
        };
        run(FailureKind::State);
        assert!(monitor.unready(at(1)).is_some_and(|why| why.contains("the last run")));
        let last = monitor.last_run("acme").expect("it has run");
        assert_eq!((last.started, last.failure.as_deref()), (at(1), Some("the state is locked")));
        monitor.turn(at(1000));
        assert_eq!(monitor.unready(at(1000)), None, "it is long ago");
        monitor.turn(at(1));
        run(FailureKind::Source);
        assert_eq!(monitor.unready(at(1)), None);
        monitor.run("acme", &RunReport::default());
        assert_eq!(monitor.last_run("acme").expect("it has run").failure, None);
        assert!(monitor.unready(at(100)).is_some_and(|why| why.contains("stands still")));
        monitor.turn(at(100));
        monitor.looked(false);
        assert!(monitor.unready(at(100)).is_some_and(|why| why.contains("cannot be read")));
    }
}
