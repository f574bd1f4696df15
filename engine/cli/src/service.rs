//! The service: every pipeline on its schedule, runs and deliveries apart, until somebody asks to stop.
//!
//! One thread decides, and a thread does each piece of work. A pipeline has at most one run and one delivery under way;
//! a source that hangs holds up its own runs and nothing else, and so does a destination.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::Scope;
use std::time::Duration;

use engine_core::dispatch::DispatchReport;
use engine_core::ports::{Cancel, Clock as _};
use engine_core::report::RunReport;
use engine_core::run::Observer;
use engine_core::state::{Lease, StateStore};
use jiff::{SignedDuration, Timestamp};

use crate::clock::SystemClock;
use crate::commands::run::{concurrency, log_delivery, log_run, outbox_bytes_max};
use crate::exit::{CommandError, Kind};
use crate::pipeline::{self, Outlet};
use crate::project::{FoundSpec, Project};
use crate::schedule::Schedule;

/// Longest time between two looks at the clock, so that a change of the clock or a signal is noticed.
const TICK_MAX: Duration = Duration::from_millis(200);
/// How long one delivery waits for a busy destination before it makes room for others.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(2);
/// Wait after a delivery that could not begin, or whose outcome could not be written down. The destination is not to
/// get the same parcel again at every run while the disk is full.
const DELIVERY_RETRY: SignedDuration = SignedDuration::from_secs(10);
/// How long after a run began, and after each delivery during it, what it has found so far is delivered: a first fill
/// may take hours.
const DELIVERY_DURING_RUN: SignedDuration = SignedDuration::from_secs(1);
/// Deliveries under way for each run that may be under way.
const DELIVERIES_PER_RUN: usize = 2;
/// Work that has not got on for so long takes up no place among what may be under way: a plant that is offline, with
/// many servers that do not answer, must not hold up the others until each of them has run out of time.
const SILENT_AFTER: SignedDuration = SignedDuration::from_secs(3);

/// A pipeline of the service.
struct Job<'a> {
    spec: &'a FoundSpec,
    id: String,
    schedule: Schedule,
    /// When the next run is due.
    due: Timestamp,
    running: bool,
    /// When the run last got on.
    pulse: Pulse,
    /// When the next delivery is due.
    delivery_due: Option<Timestamp>,
    delivering: bool,
    /// When the delivery began.
    delivering_since: Timestamp,
    /// The next delivery has its time, and a run that ends does not bring it forward: the destination said when to come
    /// back, or the last delivery failed here.
    delivery_waits: bool,
    /// Nobody else runs the pipeline; taken when it is first needed.
    lease: Option<Box<dyn Lease>>,
    outlet: Option<Outlet>,
}

impl Job<'_> {
    fn takes_a_run(&self, now: Timestamp) -> bool {
        self.running && now.duration_since(self.pulse.last()) < SILENT_AFTER
    }

    fn takes_a_delivery(&self, now: Timestamp) -> bool {
        self.delivering && now.duration_since(self.delivering_since) < SILENT_AFTER
    }
}

/// When a run last got on: it began, or rows came.
#[derive(Clone, Default)]
struct Pulse(Arc<AtomicI64>);

impl Pulse {
    fn beat(&self, now: Timestamp) {
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

/// What a thread reports when its work is done.
#[expect(clippy::large_enum_variant, reason = "one moves at a time, and it is moved once")]
enum Done {
    Run(usize, Box<RunReport>),
    Delivery(usize, Option<Outlet>, Result<DispatchReport, CommandError>),
}

/// Runs until asked to stop.
pub fn run(project: &Project, store: &dyn StateStore, cancel: &Cancel) -> Result<(), CommandError> {
    let clock = SystemClock;
    let mut jobs = Vec::new();
    for spec in &project.specs {
        let Some(typed) = &spec.loaded.spec else { continue };
        let schedule = Schedule::of(&typed.schedule)
            .map_err(|error| CommandError::new(Kind::Usage, format!("{}: {error}", typed.id)))?;
        let now = clock.now();
        jobs.push(Job {
            spec,
            id: typed.id.to_string(),
            due: schedule.first(now, fastrand::u64(..)),
            schedule,
            running: false,
            pulse: Pulse::default(),
            delivery_due: Some(now),
            delivering: false,
            delivering_since: now,
            delivery_waits: false,
            lease: None,
            outlet: None,
        });
    }
    tracing::info!(event = "started", pipelines = jobs.len(), "engine runs {} pipelines", jobs.len());
    let runs_max = concurrency(&project.device);
    let (sender, done) = channel();
    std::thread::scope(|scope| {
        let work = Work { project, store, cancel, scope, sender };
        while !cancel.is_cancelled() {
            let now = clock.now();
            work.start_runs(&mut jobs, now, runs_max);
            work.start_deliveries(&mut jobs, now, runs_max * DELIVERIES_PER_RUN);
            match done.recv_timeout(wait(&jobs, now)) {
                Ok(message) => take_in(&mut jobs, message, clock.now()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    });
    tracing::info!(event = "stopped", "engine stopped");
    Ok(())
}

fn later(time: Timestamp, by: SignedDuration) -> Option<Timestamp> {
    Some(time.saturating_add(by).unwrap_or(Timestamp::MAX))
}

/// How long until something is due.
fn wait(jobs: &[Job<'_>], now: Timestamp) -> Duration {
    let runs = jobs.iter().filter(|job| !job.running).map(|job| job.due);
    let deliveries = jobs.iter().filter(|job| !job.delivering).filter_map(|job| job.delivery_due);
    let next = runs.chain(deliveries).min();
    let wait = next.map_or(TICK_MAX, |next| Duration::try_from(next.duration_since(now)).unwrap_or_default());
    wait.clamp(Duration::from_millis(1), TICK_MAX)
}

struct Work<'scope, 'env> {
    project: &'env Project,
    store: &'env dyn StateStore,
    cancel: &'env Cancel,
    scope: &'scope Scope<'scope, 'env>,
    sender: Sender<Done>,
}

impl<'scope, 'env> Work<'scope, 'env> {
    /// Starts the runs that are due, those that wait longest first.
    fn start_runs(&self, jobs: &mut [Job<'env>], now: Timestamp, most: usize) {
        let mut free = most.saturating_sub(jobs.iter().filter(|job| job.takes_a_run(now)).count());
        let mut due: Vec<usize> =
            (0..jobs.len()).filter(|index| !jobs[*index].running && jobs[*index].due <= now).collect();
        due.sort_by_key(|index| jobs[*index].due);
        for index in due {
            if free == 0 {
                return;
            }
            let job = &mut jobs[index];
            let was_due = job.due;
            job.due = job.schedule.after(was_due, now, fastrand::u64(..));
            if !self.take_lease(job) {
                continue;
            }
            free -= 1;
            job.running = true;
            job.pulse.beat(now);
            job.delivery_due = job.delivery_due.or_else(|| later(now, DELIVERY_DURING_RUN));
            let (project, store, cancel) = (self.project, self.store, self.cancel);
            let (spec, id, next_run, sender) = (job.spec, job.id.clone(), job.due, self.sender.clone());
            let mut pulse = job.pulse.clone();
            self.scope.spawn(move || {
                // The plan is made anew for every run, so that a rotated secret is read again.
                let report = match project.plan(spec, false) {
                    Ok(plan) => pipeline::run(
                        &plan,
                        store,
                        &SystemClock,
                        cancel,
                        outbox_bytes_max(&project.device),
                        Some(next_run),
                        &mut pulse,
                    ),
                    Err(error) => pipeline::unplanned(&id, store, &error, Timestamp::now(), Some(next_run)),
                };
                // Nobody listens any more once the service stops.
                let _ = sender.send(Done::Run(index, Box::new(report)));
            });
        }
    }

    fn start_deliveries(&self, jobs: &mut [Job<'env>], now: Timestamp, most: usize) {
        let mut free = most.saturating_sub(jobs.iter().filter(|job| job.takes_a_delivery(now)).count());
        for (index, job) in jobs.iter_mut().enumerate() {
            if free == 0 {
                return;
            }
            if job.delivering || job.delivery_due.is_none_or(|due| due > now) || !self.take_lease(job) {
                continue;
            }
            free -= 1;
            job.delivering = true;
            job.delivering_since = now;
            job.delivery_due = None;
            let (project, store, cancel) = (self.project, self.store, self.cancel);
            let (spec, outlet, sender) = (job.spec, job.outlet.take(), self.sender.clone());
            self.scope.spawn(move || {
                let delivery = || -> Result<(Outlet, DispatchReport), CommandError> {
                    let plan = project.plan(spec, false)?;
                    let mut outlet = match outlet {
                        Some(outlet) => outlet,
                        None => Outlet::open(&plan)?,
                    };
                    let report = outlet.deliver(&plan, store, &SystemClock, cancel, DELIVERY_PATIENCE)?;
                    Ok((outlet, report))
                };
                let done = match delivery() {
                    Ok((outlet, report)) => Done::Delivery(index, Some(outlet), Ok(report)),
                    Err(error) => Done::Delivery(index, None, Err(error)),
                };
                let _ = sender.send(done);
            });
        }
    }

    /// Takes the pipeline for this process; false, and said, where another one has it.
    fn take_lease(&self, job: &mut Job<'_>) -> bool {
        if job.lease.is_some() {
            return true;
        }
        match self.store.lease(&job.id) {
            Ok(Ok(lease)) => {
                job.lease = Some(lease);
                true
            }
            Ok(Err(holder)) => {
                tracing::warn!(event = "held_elsewhere", pipeline = job.id, "it is being run already, by {holder}");
                job.delivery_due = Some(job.due);
                false
            }
            Err(error) => {
                tracing::error!(event = "state_failed", pipeline = job.id, hint = error.hint, "{error}");
                job.delivery_due = Some(job.due);
                false
            }
        }
    }
}

/// Takes in what a thread reports.
fn take_in(jobs: &mut [Job<'_>], done: Done, now: Timestamp) {
    match done {
        Done::Run(index, report) => {
            let job = &mut jobs[index];
            job.running = false;
            log_run(&job.id, &report);
            // A destination that asked for time gets it; otherwise what the run found goes out at once.
            if !job.delivery_waits {
                job.delivery_due = Some(now);
            }
        }
        Done::Delivery(index, outlet, outcome) => {
            let job = &mut jobs[index];
            job.delivering = false;
            job.outlet = outlet;
            match outcome {
                Ok(report) => {
                    let place = job.outlet.as_ref().map_or("the destination", Outlet::place);
                    log_delivery(&job.id, place, &report);
                    job.delivery_waits = report.stopped.is_some();
                    if let Some(stopped) = &report.stopped {
                        job.delivery_due = Some(stopped.retry_at);
                        if stopped.paused {
                            // The next attempt reads the login anew.
                            job.outlet = None;
                        }
                    } else if job.running {
                        job.delivery_due = later(now, DELIVERY_DURING_RUN);
                    }
                }
                Err(error) => {
                    tracing::error!(
                        event = "delivery_failed",
                        pipeline = job.id,
                        hint = error.hint,
                        "{}",
                        error.message
                    );
                    job.delivery_waits = true;
                    job.delivery_due = later(now, DELIVERY_RETRY);
                }
            }
        }
    }
}
