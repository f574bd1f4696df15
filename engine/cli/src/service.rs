//! The service: every pipeline on its schedule, runs and deliveries apart, until somebody asks to stop.
//!
//! One thread decides, and a thread does each piece of work. A pipeline has at most one run and one delivery under way;
//! a source that hangs holds up its own runs and nothing else, and so does a destination.
//!
//! Several engines may share one state store. Each takes no more pipelines than its part of them, gives back what is
//! beyond that when another engine joins, and takes what is free when one leaves.

mod files;
mod job;
mod reload;
mod reporter;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use engine_core::dispatch::DispatchReport;
use engine_core::plan::Plan;
use engine_core::ports::{Cancel, Clock as _};
use engine_core::report::{RunReport, counted};
use engine_core::state::{Share, StateError, StateStore};
use engine_spec::device::Device;
use jiff::{SignedDuration, Timestamp};

pub use self::files::Files;
use self::job::Job;
use self::reload::Settings;
use self::reporter::Reporter;

use crate::clock::SystemClock;
use crate::commands::run::{concurrency, outbox_bytes_max};
use crate::exit::{CommandError, Kind};
use crate::fleet::Ended;
use crate::monitor::{Entry, Monitor, Roster};
use crate::notify::Notify;
use crate::pipeline::{self, Outlet};
use crate::project::{self, Found, Project, Unfit};
use crate::references::Mark;
use crate::sandbox::Grants;
use crate::schedule::{Schedule, clock_set};
use crate::signals::Asked;
use crate::traces::Traces;

/// Longest time between two looks at the clock, so that a change of it is noticed. Signals, and work that is over, wake
/// the loop.
const TICK_MAX: Duration = Duration::from_secs(1);
/// Shortest time between two looks where nothing happens.
const TICK_MIN: Duration = Duration::from_millis(1);
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
/// How long a parcel that is on its way when the service stops may still be answered.
const ANSWER_AT_STOP_MAX: Duration = Duration::from_secs(5);

/// Time between two looks at the leases: who has lost one, what is free, who has joined.
const LEASES_EVERY: Duration = Duration::from_secs(1);

/// Longest time that one look takes and gives back: runs that are due wait for it.
const LOOK_MAX: Duration = Duration::from_millis(500);

/// What wakes the loop that decides.
#[expect(clippy::large_enum_variant, reason = "one moves at a time, and it is moved once")]
pub enum Event {
    /// A run or a delivery is over.
    Done(Done),
    /// A signal came.
    Asked(Asked),
    /// The specs are being read anew.
    Rereading,
    /// They have been read.
    Reread(Box<Result<Found, Unfit>>),
}

/// What a thread reports when its work is done. The pipeline is named: others may come and go meanwhile.
#[expect(clippy::large_enum_variant, reason = "one moves at a time, and it is moved once")]
pub enum Done {
    /// A run.
    Run(String, Box<RunReport>),
    /// A delivery, with what its outlet was opened for. `None` where nothing was sent: the destination has refused
    /// everything, and the references give what they gave then.
    Delivery(String, u64, Result<Option<Delivered>, CommandError>),
}

/// A delivery that is over.
pub struct Delivered {
    outlet: Outlet,
    report: DispatchReport,
    /// Of what the references gave for it.
    mark: Mark,
}

/// What a service starts with.
pub struct Service {
    /// The specs and the device config.
    pub project: Project,
    /// Specs that cannot be used.
    pub left_out: usize,
    /// Where to look for changes.
    pub files: Files,
    /// What the process may read and write; `None` where it has kept all its rights.
    pub granted: Option<Grants>,
    /// The service manager.
    pub notify: Notify,
    /// Makes traces.
    pub traces: Traces,
    /// Who wants to know how runs ended, where specs are pulled.
    pub ended: Option<Sender<Ended>>,
}

/// Runs until asked to stop.
pub fn run(
    service: Service,
    store: &dyn StateStore,
    monitor: &Monitor,
    cancel: &Cancel,
    sender: Sender<Event>,
    events: &Receiver<Event>,
) -> Result<(), CommandError> {
    let Service { project, left_out, files, granted, notify, traces, ended } = service;
    let clock = SystemClock;
    let cut = Cancel::default();
    let mut settings = Settings { device: Arc::new(project.device), granted, left_out };
    let mut jobs = Vec::new();
    for spec in project.specs {
        let Some(typed) = &spec.loaded.spec else { continue };
        let id = typed.id.to_string();
        let schedule =
            Schedule::of(&typed.schedule).map_err(|error| CommandError::new(Kind::Usage, format!("{id}: {error}")))?;
        jobs.push(Job::new(Arc::new(spec), id, schedule, clock.now()));
    }
    tracing::info!(event = "started", pipelines = jobs.len(), "engine runs {}", counted(jobs.len(), "pipeline"));
    monitor.runs(roster(&settings, &jobs));
    let reread = watch_files(files, sender.clone());
    std::thread::scope(|scope| {
        let work = Work { store, cancel, cut: &cut, scope, sender, traces: &traces, ended };
        let mut leases_seen: Option<Instant> = None;
        let mut is_store_well = true;
        let mut reporter = Reporter::new(&notify, monitor, &jobs, settings.left_out);
        let mut looked_at_clock = (clock.now(), Instant::now());
        while !cancel.is_cancelled() {
            let (now, instant) = (clock.now(), Instant::now());
            monitor.turn(now);
            look_at_clock(&mut jobs, looked_at_clock, (now, instant));
            looked_at_clock = (now, instant);
            reporter.report(&jobs, settings.left_out);
            if leases_seen.is_none_or(|seen| seen.elapsed() >= LEASES_EVERY) {
                leases_seen = Some(Instant::now());
                let looked = work.look_after_leases(&mut jobs, now);
                if let Err(error) = &looked
                    && is_store_well
                {
                    tracing::error!(event = "state_failed", hint = error.hint, "{error}");
                }
                is_store_well = looked.is_ok();
                monitor.looked(is_store_well);
            }
            let runs_max = concurrency(&settings.device);
            work.start_runs(&settings.device, &mut jobs, now, runs_max);
            work.start_deliveries(&settings.device, &mut jobs, now, runs_max * DELIVERIES_PER_RUN);
            let event = match events.recv_timeout(wait(&jobs, now).min(reporter.rest())) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            match event {
                Event::Done(done) => take_in(&mut jobs, done, clock.now(), monitor),
                Event::Asked(Asked::Stop) => {}
                Event::Asked(Asked::Reread) => {
                    jobs.iter_mut().for_each(|job| job.end_pause(clock.now()));
                    if reread.send(()).is_err() {
                        reload::failed("nobody looks at the files any more", Some("restart the service"));
                    }
                }
                Event::Rereading => reporter.reloading(),
                Event::Reread(found) => {
                    settings.take_over(&mut jobs, *found, clock.now());
                    reporter.reloaded(&jobs, settings.left_out);
                    monitor.runs(roster(&settings, &jobs));
                }
            }
            if jobs.iter().any(Job::has_left) {
                for job in jobs.extract_if(.., |job| job.has_left()) {
                    tracing::info!(event = "pipeline_ended", pipeline = job.id, "the pipeline has ended");
                }
                monitor.runs(roster(&settings, &jobs));
            }
        }
        notify.stopping();
        let_deliveries_end(&mut jobs, events, monitor);
        cut.cancel();
    });
    tracing::info!(event = "stopped", "engine stopped");
    Ok(())
}

/// Looks for changed files on a thread that nobody waits for at the end: the share that they are on may hang. What is
/// sent has everything read anew.
fn watch_files(files: Files, events: Sender<Event>) -> Sender<()> {
    let (reread, asked) = channel();
    let watcher = std::thread::Builder::new().name("files".to_owned());
    if let Err(error) = watcher.spawn(move || files::watch(files, &asked, &events)) {
        tracing::warn!(event = "no_reload", "changes of specs will not be noticed: no thread can be started: {error}");
    }
    reread
}

/// Notices that the clock was set. Forward, what was missed is due at once, and one run makes up for it.
fn look_at_clock(jobs: &mut [Job], before: (Timestamp, Instant), (now, instant): (Timestamp, Instant)) {
    let by = clock_set(before.0, now, instant.saturating_duration_since(before.1));
    if by.is_zero() {
        return;
    }
    // Nobody reads what is below a second.
    let told = SignedDuration::from_secs(by.abs().as_secs());
    if by.is_negative() {
        tracing::warn!(event = "clock_set", seconds = by.as_secs(), "the clock was set back by {told:#}");
        jobs.iter_mut().for_each(|job| job.clock_set_back(by.abs(), now));
    } else {
        tracing::info!(
            event = "clock_set",
            seconds = by.as_secs(),
            "the clock was set forward by {told:#}, or the device slept; what was missed is made up for by one run"
        );
    }
}

/// Waits until what is on its way is answered and settled, so that nothing needs to be sent again; not for long.
fn let_deliveries_end(jobs: &mut [Job], events: &Receiver<Event>, monitor: &Monitor) {
    let deadline = Instant::now() + ANSWER_AT_STOP_MAX;
    while jobs.iter().any(|job| job.delivering) {
        match events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Event::Done(done)) => take_in(jobs, done, SystemClock.now(), monitor),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

/// What the service runs now, for those who watch it.
fn roster(settings: &Settings, jobs: &[Job]) -> Roster {
    let entry = |job: &Job| Entry { id: job.id.clone(), spec: Arc::clone(&job.spec), is_outdated: job.is_outdated };
    Roster { device: Arc::clone(&settings.device), pipelines: jobs.iter().map(entry).collect() }
}

fn later(time: Timestamp, by: SignedDuration) -> Option<Timestamp> {
    Some(time.saturating_add(by).unwrap_or(Timestamp::MAX))
}

/// How long until something is due.
fn wait(jobs: &[Job], now: Timestamp) -> Duration {
    let runs = jobs.iter().filter(|job| !job.running && !job.is_leaving && job.lease.is_some()).map(|job| job.due);
    let deliveries =
        jobs.iter().filter(|job| !job.delivering && job.lease.is_some()).filter_map(|job| job.delivery_due);
    until_next(runs.chain(deliveries), now)
}

/// How long until the next of these times. What is overdue was left for want of a place: work that ends wakes the loop,
/// and to look for a place all the while would only cost.
fn until_next(due: impl Iterator<Item = Timestamp>, now: Timestamp) -> Duration {
    let next = due.filter(|due| *due > now).min();
    let wait = next.and_then(|next| Duration::try_from(next.duration_since(now)).ok());
    wait.map_or(TICK_MAX, |wait| wait.clamp(TICK_MIN, TICK_MAX))
}

struct Work<'scope, 'env> {
    store: &'env dyn StateStore,
    cancel: &'env Cancel,
    /// Breaks off parcels that are on their way.
    cut: &'env Cancel,
    scope: &'scope Scope<'scope, 'env>,
    sender: Sender<Event>,
    traces: &'env Traces,
    ended: Option<Sender<Ended>>,
}

impl Work<'_, '_> {
    /// Starts the runs that are due, those that wait longest first.
    fn start_runs(&self, device: &Arc<Device>, jobs: &mut [Job], now: Timestamp, most: usize) {
        let mut free = most.saturating_sub(jobs.iter().filter(|job| job.takes_a_run(now)).count());
        let is_due = |job: &Job| !job.running && !job.is_leaving && job.due <= now && job.is_held();
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
            let (device, store, cancel) = (Arc::clone(device), self.store, self.cancel);
            let (spec, id, next_run, sender) = (Arc::clone(&job.spec), job.id.clone(), job.due, self.sender.clone());
            let (mut pulse, spec_kept, traces) = (job.pulse.clone(), job.is_outdated, self.traces);
            let ended = self.ended.clone();
            self.scope.spawn(move || {
                let mut trace = traces.run(&id);
                // The plan is made anew for every run, so that a rotated secret is read again.
                let planned =
                    trace.plan(|| project::plan_on(&device, &spec, false).map(|plan| Plan { spec_kept, ..plan }));
                let report = match planned {
                    Ok(plan) => trace.watch(&mut pulse, |observer| {
                        let bytes_max = outbox_bytes_max(&device);
                        pipeline::run(&plan, store, &SystemClock, cancel, bytes_max, Some(next_run), observer)
                    }),
                    Err(error) => pipeline::unplanned(&id, store, &error, Timestamp::now(), Some(next_run)),
                };
                trace.end(&report);
                // Nobody listens any more once the service stops.
                if let Some(ended) = ended {
                    let _ = ended.send(Ended::of(&id, spec.path.clone(), &report));
                }
                let _ = sender.send(Event::Done(Done::Run(id, Box::new(report))));
            });
        }
    }

    fn start_deliveries(&self, device: &Arc<Device>, jobs: &mut [Job], now: Timestamp, most: usize) {
        let mut free = most.saturating_sub(jobs.iter().filter(|job| job.takes_a_delivery(now)).count());
        for job in jobs.iter_mut() {
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
            let (device, store, cancel) = (Arc::clone(device), self.store, self.cancel);
            let (spec, outlet, sender) = (Arc::clone(&job.spec), job.outlet.take(), self.sender.clone());
            let (id, outlet_of, cut, traces) = (job.id.clone(), job.outlet_of, self.cut, self.traces);
            let refused = job.paused.as_ref().filter(|pause| now < pause.until).map(|pause| pause.mark);
            self.scope.spawn(move || {
                let delivery = || -> Result<Option<Delivered>, CommandError> {
                    let (plan, mark) = project::marked_plan_on(&device, &spec, false)?;
                    if refused == Some(mark) {
                        return Ok(None);
                    }
                    let mut outlet = match outlet {
                        Some((outlet, opened)) if opened == mark => outlet,
                        _ => Outlet::open(&plan)?,
                    };
                    outlet.answered_until(cut);
                    outlet.trace(traces, &plan.id);
                    outlet.measure_age();
                    let report =
                        outlet.deliver(&plan, store, lease.as_ref(), &SystemClock, cancel, DELIVERY_PATIENCE)?;
                    Ok(Some(Delivered { outlet, report, mark }))
                };
                let _ = sender.send(Event::Done(Done::Delivery(id, outlet_of, delivery())));
            });
        }
    }

    /// Gives up what was lost or is beyond this engine's part, and takes what is free.
    fn look_after_leases(&self, jobs: &mut [Job], now: Timestamp) -> Result<(), StateError> {
        for job in jobs.iter_mut().filter(|job| job.lease.is_some() && !job.is_held() && job.is_idle()) {
            tracing::warn!(event = "lease_lost", pipeline = job.id, "the lease ran out before it could be renewed");
            job.give_up();
        }
        let staying = jobs.iter().filter(|job| !job.is_leaving);
        let ids: Vec<&str> = staying.map(|job| job.id.as_str()).collect();
        let Some(Share { engines, free }) = self.store.share(&ids)? else {
            return jobs
                .iter_mut()
                .filter(|job| job.lease.is_none() && !job.is_leaving)
                .try_for_each(|job| self.take_alone(job));
        };
        let began = Instant::now();
        let most = part(ids.len(), engines);
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
        let mut takers: Vec<&mut Job> =
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
    fn take_alone(&self, job: &mut Job) -> Result<(), StateError> {
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
    fn take(&self, job: &mut Job) -> Result<Result<(), String>, StateError> {
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
fn take_in(jobs: &mut [Job], done: Done, now: Timestamp, monitor: &Monitor) {
    let (Done::Run(id, _) | Done::Delivery(id, ..)) = &done;
    // A pipeline stays until its work is over.
    let Some(job) = jobs.iter_mut().find(|job| job.id == *id) else { return };
    match done {
        Done::Run(_, report) => {
            job.running = false;
            job.is_failing = report.failure.is_some();
            monitor.run(&job.id, &report);
            // A destination that asked for time gets it; otherwise what the run found goes out at once.
            if !job.delivery_waits {
                job.delivery_due = Some(now);
            }
        }
        Done::Delivery(_, outlet_of, outcome) => {
            job.delivering = false;
            // One that was opened for a spec of before is closed; the new one has its delivery due already.
            let is_of_now = outlet_of == job.outlet_of;
            match outcome {
                Ok(None) => {
                    if let Some(pause) = job.paused.as_ref().filter(|_| is_of_now) {
                        job.delivery_due = Some(pause.next_look(now));
                    }
                }
                Ok(Some(Delivered { outlet, report, mark })) => {
                    monitor.delivery(&job.id, outlet.place(), &report);
                    if is_of_now {
                        job.delivered(outlet, report.stopped, mark, now);
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
                    if is_of_now {
                        job.delivery_waits = true;
                        job.delivery_due = later(now, DELIVERY_RETRY);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_sleeps_until_something_is_due_and_never_spins() {
        let now: Timestamp = "2025-01-01T12:00:00Z".parse().expect("an instant");
        let at = |millis: i64| now + SignedDuration::from_millis(millis);
        for (due, expected) in [
            (vec![], TICK_MAX),
            (vec![at(3_600_000)], TICK_MAX),
            (vec![at(400), at(300), at(3_600_000)], Duration::from_millis(300)),
            // There is no place for it, or there would be a run.
            (vec![at(-5_000), at(0)], TICK_MAX),
            (vec![at(-5_000), at(200)], Duration::from_millis(200)),
            (vec![now + SignedDuration::from_micros(3)], TICK_MIN),
            (vec![Timestamp::MAX, Timestamp::MIN], TICK_MAX),
        ] {
            assert_eq!(until_next(due.iter().copied(), now), expected, "{due:?}");
        }
    }
}
