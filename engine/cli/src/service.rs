//! The service: every pipeline on its schedule, runs and deliveries apart, until somebody asks to stop.
//!
//! One thread decides, and a thread does each piece of work. A pipeline has at most one run and one delivery under way;
//! a source that hangs holds up its own runs and nothing else, and so does a destination.
//!
//! Several engines may share one state store. Each takes no more pipelines than its part of them, gives back what is
//! beyond that when another engine joins, and takes what is free when one leaves.

mod reporter;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use engine_core::dispatch::DispatchReport;
use engine_core::ports::{Cancel, Clock as _};
use engine_core::report::RunReport;
use engine_core::run::Observer;
use engine_core::state::{Lease, Share, StateError, StateStore};
use jiff::{SignedDuration, Timestamp};

use self::reporter::Reporter;

use crate::clock::SystemClock;
use crate::commands::run::{concurrency, log_delivery, log_run, outbox_bytes_max};
use crate::exit::{CommandError, Kind};
use crate::notify::Notify;
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

/// Time between two looks at the leases: who has lost one, what is free, who has joined.
const LEASES_EVERY: Duration = Duration::from_secs(1);

/// Longest time that one look takes and gives back: runs that are due wait for it.
const LOOK_MAX: Duration = Duration::from_millis(500);

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
    /// Nobody else runs the pipeline as long as this is held.
    lease: Option<Arc<dyn Lease>>,
    /// It was said that another process has it.
    is_elsewhere: bool,
    /// The last run failed.
    is_failing: bool,
    outlet: Option<Outlet>,
}

impl Job<'_> {
    fn is_held(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.is_held())
    }

    fn is_idle(&self) -> bool {
        !self.running && !self.delivering
    }

    /// Whoever takes it next begins with what is in the state store.
    fn give_up(&mut self) {
        self.lease = None;
        self.outlet = None;
        self.delivery_waits = false;
    }

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
pub fn run(project: &Project, store: &dyn StateStore, cancel: &Cancel, notify: &Notify) -> Result<(), CommandError> {
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
            delivery_due: None,
            delivering: false,
            delivering_since: now,
            delivery_waits: false,
            lease: None,
            is_elsewhere: false,
            is_failing: false,
            outlet: None,
        });
    }
    tracing::info!(event = "started", pipelines = jobs.len(), "engine runs {} pipelines", jobs.len());
    let runs_max = concurrency(&project.device);
    let (sender, done) = channel();
    let mut reporter = Reporter::new(notify, &jobs);
    std::thread::scope(|scope| {
        let work = Work { project, store, cancel, scope, sender };
        let mut leases_seen: Option<Instant> = None;
        let mut is_store_well = true;
        while !cancel.is_cancelled() {
            let now = clock.now();
            reporter.report(&jobs);
            if leases_seen.is_none_or(|seen| seen.elapsed() >= LEASES_EVERY) {
                leases_seen = Some(Instant::now());
                let looked = work.look_after_leases(&mut jobs, now);
                if let Err(error) = &looked
                    && is_store_well
                {
                    tracing::error!(event = "state_failed", hint = error.hint, "{error}");
                }
                is_store_well = looked.is_ok();
            }
            work.start_runs(&mut jobs, now, runs_max);
            work.start_deliveries(&mut jobs, now, runs_max * DELIVERIES_PER_RUN);
            match done.recv_timeout(wait(&jobs, now).min(reporter.rest())) {
                Ok(message) => take_in(&mut jobs, message, clock.now()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        notify.stopping();
    });
    tracing::info!(event = "stopped", "engine stopped");
    Ok(())
}

fn later(time: Timestamp, by: SignedDuration) -> Option<Timestamp> {
    Some(time.saturating_add(by).unwrap_or(Timestamp::MAX))
}

/// How long until something is due.
fn wait(jobs: &[Job<'_>], now: Timestamp) -> Duration {
    let runs = jobs.iter().filter(|job| !job.running && job.lease.is_some()).map(|job| job.due);
    let deliveries =
        jobs.iter().filter(|job| !job.delivering && job.lease.is_some()).filter_map(|job| job.delivery_due);
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
        let is_due = |job: &Job<'_>| !job.running && job.due <= now && job.is_held();
        let mut due: Vec<usize> = (0..jobs.len()).filter(|index| is_due(&jobs[*index])).collect();
        due.sort_by_key(|index| jobs[*index].due);
        for index in due {
            if free == 0 {
                return;
            }
            let job = &mut jobs[index];
            let was_due = job.due;
            job.due = job.schedule.after(was_due, now, fastrand::u64(..));
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
            if job.delivering || job.delivery_due.is_none_or(|due| due > now) || !job.is_held() {
                continue;
            }
            let Some(lease) = job.lease.clone() else { continue };
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
                    let report =
                        outlet.deliver(&plan, store, lease.as_ref(), &SystemClock, cancel, DELIVERY_PATIENCE)?;
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

    /// Gives up what was lost or is beyond this engine's part, and takes what is free.
    fn look_after_leases(&self, jobs: &mut [Job<'env>], now: Timestamp) -> Result<(), StateError> {
        for job in jobs.iter_mut().filter(|job| job.lease.is_some() && !job.is_held() && job.is_idle()) {
            tracing::warn!(event = "lease_lost", pipeline = job.id, "the lease ran out before it could be renewed");
            job.give_up();
        }
        let ids: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
        let Some(Share { engines, free }) = self.store.share(&ids)? else {
            return jobs.iter_mut().filter(|job| job.lease.is_none()).try_for_each(|job| self.take_alone(job));
        };
        let began = Instant::now();
        let most = part(jobs.len(), engines);
        let mut held = jobs.iter().filter(|job| job.lease.is_some()).count();
        for job in jobs.iter_mut().rev().filter(|job| job.lease.is_some() && job.is_idle()) {
            if held <= most || began.elapsed() > LOOK_MAX {
                break;
            }
            tracing::debug!(event = "given_back", pipeline = job.id, "given back to be run by another engine");
            job.give_up();
            held -= 1;
        }
        // Engines that look at the same time do not all reach for the same one.
        let mut takers: Vec<&mut Job<'env>> =
            jobs.iter_mut().filter(|job| job.lease.is_none() && free.contains(&job.id)).collect();
        fastrand::shuffle(&mut takers);
        for job in takers.into_iter().take(most.saturating_sub(held)) {
            if began.elapsed() > LOOK_MAX {
                break;
            }
            if self.take(job)?.is_ok() {
                // It goes on where the engine before left off.
                let planned = self.store.load(&job.id)?.next_run;
                let latest = job.schedule.after(now, now, 0);
                job.due = planned.filter(|next| (now..=latest).contains(next)).unwrap_or(now);
            }
        }
        Ok(())
    }

    /// Takes the pipeline. Where another process has it, that is said once.
    fn take_alone(&self, job: &mut Job<'_>) -> Result<(), StateError> {
        let taken = self.take(job)?;
        if let Err(holder) = &taken
            && !job.is_elsewhere
        {
            tracing::warn!(event = "held_elsewhere", pipeline = job.id, "it is being run already, by {holder}");
        }
        job.is_elsewhere = taken.is_err();
        Ok(())
    }

    /// Takes the pipeline, or says who has it.
    fn take(&self, job: &mut Job<'_>) -> Result<Result<(), String>, StateError> {
        Ok(self.store.lease(&job.id)?.map(|lease| {
            job.lease = Some(lease.into());
            job.delivery_due = Some(SystemClock.now());
        }))
    }
}

/// Pipelines that one of several engines may take.
fn part(pipelines: usize, engines: usize) -> usize {
    pipelines.div_ceil(engines.max(1))
}

/// Takes in what a thread reports.
fn take_in(jobs: &mut [Job<'_>], done: Done, now: Timestamp) {
    match done {
        Done::Run(index, report) => {
            let job = &mut jobs[index];
            job.running = false;
            job.is_failing = report.failure.is_some();
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
