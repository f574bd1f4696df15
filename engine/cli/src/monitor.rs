//! What the service did since it began, for those who watch it: the one place where its runs and deliveries are recorded.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine_core::dispatch::DispatchReport;
use engine_core::freshness::Freshness;
use engine_core::report::RunReport;
use engine_spec::device::Device;
use jiff::{SignedDuration, Timestamp};

use crate::commands::run::{log_delivery, log_run};
use crate::project::FoundSpec;

/// The service decides many times a second; after so long without, it is not well.
pub const TURN_MAX: SignedDuration = SignedDuration::from_secs(30);

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
    tallies: Mutex<BTreeMap<String, Tally>>,
    roster: Mutex<Arc<Roster>>,
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
}

impl Monitor {
    /// Begins to record.
    pub fn new(now: Timestamp) -> Self {
        Self {
            started: now,
            turned: AtomicI64::new(now.as_millisecond()),
            looked: AtomicBool::new(false),
            tallies: Mutex::default(),
            roster: Mutex::default(),
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

    /// Whether the state was looked at, and the last look went well.
    pub fn is_ready(&self) -> bool {
        self.looked.load(Ordering::Relaxed)
    }

    /// A run ended.
    pub fn run(&self, pipeline: &str, report: &RunReport) {
        log_run(pipeline, report);
        let mut tallies = self.tallies();
        let tally = tallies.entry(pipeline.to_owned()).or_default();
        match report.failure {
            None => tally.runs += 1,
            Some(_) => tally.failed += 1,
        }
        tally.millis += report.millis;
        tally.rows += report.rows;
        tally.new += report.new;
        tally.changed += report.changed;
        tally.gone += report.gone;
        tally.upserts += report.upserts;
        tally.deletes += report.deletes;
        for (code, count) in &report.rejected {
            *tally.rejected.entry(code.clone()).or_default() += count;
        }
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

    fn tallies(&self) -> MutexGuard<'_, BTreeMap<String, Tally>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use engine_core::dispatch::Stopped;
    use engine_core::report::{Failure, FailureKind};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn runs_and_deliveries_add_up() {
        let monitor = Monitor::new(at(0));
        let mut report = RunReport { rows: 10, new: 4, upserts: 3, deletes: 1, millis: 250, ..RunReport::default() };
        report.rejected.insert("unmapped".to_owned(), 2);
        monitor.run("acme", &report);
        let failure = Failure { kind: FailureKind::Source, message: String::new(), hint: None };
        monitor.run("acme", &RunReport { failure: Some(failure), started: at(9), ..report });
        let stopped = Stopped { reason: String::new(), retry_at: at(60), paused: true };
        let report = DispatchReport { accepted: 5, parcels: 2, stopped: Some(stopped), ..DispatchReport::default() };
        monitor.delivery("acme", "there", &report);
        let tally = monitor.tally("acme");
        assert_eq!((tally.runs, tally.failed, tally.rows, tally.upserts, tally.deletes), (1, 1, 20, 6, 2));
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
    fn a_service_that_decides_nothing_for_long_is_not_alive() {
        let monitor = Monitor::new(at(0));
        monitor.turn(at(10));
        assert!(monitor.is_alive(at(10).saturating_add(TURN_MAX).expect("in range")));
        assert!(!monitor.is_alive(at(11).saturating_add(TURN_MAX).expect("in range")));
        assert!(!monitor.is_ready());
        monitor.looked(true);
        assert!(monitor.is_ready());
        monitor.looked(false);
        assert!(!monitor.is_ready());
    }
}
