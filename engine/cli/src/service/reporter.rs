//! What the service manager hears of the loop that decides: signs of life, and how the pipelines do.

use std::time::{Duration, Instant};

use super::job::{Job, Pause};
use super::reload;
use crate::monitor::Monitor;
use crate::notify::Notify;

/// Shortest time between two status lines.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// Sends signs of life, and the status line where it has changed. It is asked by the loop itself, so that a loop that
/// hangs sends nothing.
pub(super) struct Reporter<'a> {
    notify: &'a Notify,
    monitor: &'a Monitor,
    alive_at: Instant,
    status_at: Instant,
    status: String,
}

impl<'a> Reporter<'a> {
    /// Says that the service is ready.
    pub(super) fn new(notify: &'a Notify, monitor: &'a Monitor, jobs: &[Job], left_out: usize) -> Self {
        let status = status(monitor, jobs, left_out);
        notify.ready(&status);
        notify.alive();
        let now = Instant::now();
        Self { notify, monitor, alive_at: now, status_at: now, status }
    }

    /// To be called whenever the loop comes round.
    pub(super) fn report(&mut self, jobs: &[Job], left_out: usize) {
        if self.rest().is_zero() {
            self.alive_at = Instant::now();
            self.notify.alive();
        }
        if self.status_at.elapsed() >= STATUS_EVERY {
            self.status_at = Instant::now();
            let status = status(self.monitor, jobs, left_out);
            if status != self.status {
                self.notify.status(&status);
                self.status = status;
            }
        }
    }

    /// Says that the specs are being read anew.
    pub(super) fn reloading(&self) {
        self.notify.reloading();
    }

    /// Says that what was read is taken over.
    pub(super) fn reloaded(&mut self, jobs: &[Job], left_out: usize) {
        self.status = status(self.monitor, jobs, left_out);
        self.notify.ready(&self.status);
    }

    /// How long the loop may sleep until the next sign of life.
    pub(super) fn rest(&self) -> Duration {
        self.notify.alive_every().map_or(Duration::MAX, |every| every.saturating_sub(self.alive_at.elapsed()))
    }
}

/// How the pipelines do, in one line.
fn status(monitor: &Monitor, jobs: &[Job], left_out: usize) -> String {
    let count = |holds: fn(&Job) -> bool| jobs.iter().filter(|job| holds(job)).count();
    let parts = [
        ("failing", count(|job| job.is_failing)),
        ("waiting for the destination", count(|job| job.delivery_waits && job.paused.is_none())),
        ("run by another process", count(|job| job.is_elsewhere)),
        ("as before a change that cannot be used", count(|job| job.is_outdated)),
    ];
    let parts = parts.into_iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!(", {count} {what}"));
    let pipelines = engine_core::report::counted(jobs.len() as u64, "pipeline");
    let left_out = reload::left_out(left_out).map(|part| format!(", {part}"));
    let fleet = monitor.fleet_in_words().into_iter().map(|part| format!(", {part}"));
    // Last, as its words may be cut.
    parts.chain(left_out).chain(fleet).chain(paused(jobs)).fold(pipelines, |line, part| line + &part)
}

/// How many deliveries wait for somebody to act, and what to do about the first of them.
fn paused(jobs: &[Job]) -> Option<String> {
    let mut paused = jobs.iter().filter_map(|job| Some((&job.id, job.paused.as_ref()?)));
    let (id, Pause { reason, .. }) = paused.next()?;
    Some(format!(", {} paused: {id}: {reason}", 1 + paused.count()))
}
