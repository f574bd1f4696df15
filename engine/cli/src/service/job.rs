//! A pipeline of the service: what is under way of it, and what is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use engine_core::dispatch::Stopped;
use engine_core::ports::Clock as _;
use engine_core::run::Observer;
use engine_core::state::Lease;
use jiff::{SignedDuration, Timestamp};

use super::{DELIVERY_DURING_RUN, later};
use crate::clock::SystemClock;
use crate::pipeline::Outlet;
use crate::project::FoundSpec;
use crate::references::Mark;
use crate::schedule::Schedule;

/// Work that has not got on for so long takes up no place among what may be under way: a plant that is offline, with
/// many servers that do not answer, must not hold up the others until each of them has run out of time.
const SILENT_AFTER: SignedDuration = SignedDuration::from_secs(3);

/// Time between two looks, while a delivery is paused, at what its references give.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// A pipeline of the service.
pub(super) struct Job {
    pub(super) spec: Arc<FoundSpec>,
    pub(super) id: String,
    pub(super) schedule: Schedule,
    /// When the next run is due.
    pub(super) due: Timestamp,
    pub(super) running: bool,
    /// When the run last got on.
    pub(super) pulse: Pulse,
    /// When the next delivery is due.
    pub(super) delivery_due: Option<Timestamp>,
    pub(super) delivering: bool,
    /// When the delivery began.
    pub(super) delivering_since: Timestamp,
    /// The next delivery has its time, and a run that ends does not bring it forward: the destination said when to come
    /// back, or the last delivery failed here.
    pub(super) delivery_waits: bool,
    /// The destination refuses everything, and somebody must act.
    pub(super) paused: Option<Pause>,
    /// Nobody else runs the pipeline as long as this is held.
    pub(super) lease: Option<Arc<dyn Lease>>,
    /// It was said that another process has it.
    pub(super) is_elsewhere: bool,
    /// The last run failed.
    pub(super) is_failing: bool,
    /// Its file holds something else now, which cannot be used; it goes on as before.
    pub(super) is_outdated: bool,
    /// Its spec is gone: what is under way ends, and nothing new begins.
    pub(super) is_leaving: bool,
    /// Where deliveries go, and the mark of what the references gave when it was opened.
    pub(super) outlet: Option<(Outlet, Mark)>,
    /// Counts what an outlet was opened for: one of before must not come back.
    pub(super) outlet_of: u64,
}

impl Job {
    /// A pipeline that has not run yet.
    pub(super) fn new(spec: Arc<FoundSpec>, id: String, schedule: Schedule, now: Timestamp) -> Self {
        Self {
            spec,
            id,
            due: schedule.first(now, fastrand::u64(..)),
            schedule,
            running: false,
            pulse: Pulse::default(),
            delivery_due: None,
            delivering: false,
            delivering_since: now,
            delivery_waits: false,
            paused: None,
            lease: None,
            is_elsewhere: false,
            is_failing: false,
            is_outdated: false,
            is_leaving: false,
            outlet: None,
            outlet_of: 0,
        }
    }

    pub(super) fn is_held(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.is_held())
    }

    pub(super) fn is_idle(&self) -> bool {
        !self.running && !self.delivering
    }

    /// Whoever takes it next begins with what is in the state store.
    pub(super) fn give_up(&mut self) {
        self.lease = None;
        self.outlet = None;
        self.delivery_waits = false;
        self.paused = None;
    }

    /// Another spec for the same pipeline. What is under way ends as it began; what is due stays so, unless the schedule
    /// is another one.
    pub(super) fn replace(&mut self, spec: Arc<FoundSpec>, schedule: Schedule, now: Timestamp) {
        let schedule_of = |spec: &FoundSpec| spec.loaded.spec.as_ref().map(|typed| typed.schedule.clone());
        if schedule_of(&spec) != schedule_of(&self.spec) {
            self.due = schedule.first(now, fastrand::u64(..));
        }
        self.schedule = schedule;
        self.spec = spec;
        self.is_leaving = false;
        self.open_anew(now);
    }

    /// The destination may be another one: it is opened anew, and asked at once.
    pub(super) fn open_anew(&mut self, now: Timestamp) {
        self.outlet = None;
        self.outlet_of += 1;
        self.delivery_waits = false;
        self.paused = None;
        self.delivery_due = Some(now);
    }

    /// Its spec is gone. What it has found so far is delivered once more, unless the destination wants to be left alone.
    pub(super) fn leave(&mut self, now: Timestamp) {
        self.is_leaving = true;
        if !self.delivery_waits {
            self.delivery_due = Some(now);
        }
    }

    /// The clock was set back by so much: what is due is as far away as it was.
    pub(super) fn clock_set_back(&mut self, by: SignedDuration, now: Timestamp) {
        self.due = self.schedule.after_set_back(self.due, now, by, fastrand::u64(..));
        let earlier = |time: Timestamp| time.saturating_sub(by).unwrap_or(Timestamp::MIN);
        self.delivery_due = self.delivery_due.map(earlier);
        if let Some(pause) = &mut self.paused {
            pause.until = earlier(pause.until);
        }
    }

    /// A delivery is over; it ended early where it is said why.
    pub(super) fn delivered(&mut self, outlet: Outlet, stopped: Option<Stopped>, mark: Mark, now: Timestamp) {
        self.delivery_waits = stopped.is_some();
        self.paused = None;
        self.outlet = Some((outlet, mark));
        match stopped {
            Some(Stopped { reason, retry_at, paused: true }) => {
                // The next attempt reads the login anew.
                self.outlet = None;
                let pause = Pause { reason, until: retry_at, mark };
                self.delivery_due = Some(pause.next_look(now));
                self.paused = Some(pause);
            }
            Some(stopped) => self.delivery_due = Some(stopped.retry_at),
            None if self.running => self.delivery_due = later(now, DELIVERY_DURING_RUN),
            None => {}
        }
    }

    /// Somebody has acted, and says so: a delivery that is paused is tried at once.
    pub(super) fn end_pause(&mut self, now: Timestamp) {
        if let Some(pause) = &mut self.paused {
            pause.until = now;
            self.delivery_due = Some(now);
        }
    }

    /// Whether nothing of a pipeline that leaves is to be waited for any more.
    pub(super) fn has_left(&self) -> bool {
        let is_delivered = self.delivery_due.is_none() || self.delivery_waits || !self.is_held();
        self.is_leaving && self.is_idle() && is_delivered
    }

    pub(super) fn takes_a_run(&self, now: Timestamp) -> bool {
        self.running && now.duration_since(self.pulse.last()).abs() < SILENT_AFTER
    }

    pub(super) fn takes_a_delivery(&self, now: Timestamp) -> bool {
        self.delivering && now.duration_since(self.delivering_since).abs() < SILENT_AFTER
    }
}

/// A delivery that the destination refuses as a whole. It is tried again after a while, and as soon as a reference gives
/// another value: somebody has replaced a token.
pub(super) struct Pause {
    /// What the destination said.
    pub(super) reason: String,
    /// When it is tried again in any case.
    pub(super) until: Timestamp,
    /// Of what the references gave when it was refused.
    pub(super) mark: Mark,
}

impl Pause {
    /// When the next look at the references is due.
    pub(super) fn next_look(&self, now: Timestamp) -> Timestamp {
        now.saturating_add(LOOK_EVERY).unwrap_or(Timestamp::MAX).min(self.until)
    }
}

/// When a run last got on: it began, or rows came.
#[derive(Clone, Default)]
pub(super) struct Pulse(Arc<AtomicI64>);

impl Pulse {
    pub(super) fn beat(&self, now: Timestamp) {
        self.0.store(now.as_millisecond(), Ordering::Relaxed);
    }

    fn last(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::Relaxed)).unwrap_or(Timestamp::MIN)
    }
}

impl Observer for Pulse {
    fn progress(&mut self, _rows: u64, _what: &str) {
        self.beat(SystemClock.now());
    }
}
