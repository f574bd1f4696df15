//! The thread that looks for new specs, takes them, watches how they do, and brings back those of before.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use engine_core::fleet::trial::{Ran, Trial, Verdict, judge, ran_well};
use engine_core::ports::Cancel;
use engine_core::report::RunReport;
use engine_core::state::StateStore;
use jiff::Timestamp;

use super::depot::{Problem, ProblemKind, Record};
use super::pull::{Puller, rolled_back};
use crate::exit::{CommandError, Kind};
use crate::monitor::Monitor;
use crate::service::Event;
use crate::signals::Asked;

/// Time between two looks, where the device config does not say.
const EVERY: Duration = Duration::from_secs(300);
/// Shortest time between two looks.
pub(super) const EVERY_MIN: Duration = Duration::from_secs(1);
/// A look comes by up to this part of the time later, so that devices that began together do not ask together.
const JITTER_PART: u32 = 10;

/// A run that ended, and what it ran by.
pub struct Ended {
    pipeline: String,
    spec: PathBuf,
    ran: Ran,
    why: String,
}

impl Ended {
    /// What a report says.
    pub fn of(pipeline: &str, spec: PathBuf, report: &RunReport) -> Self {
        let why = report.failure.as_ref().map(|failure| failure.message.clone()).unwrap_or_default();
        Self { pipeline: pipeline.to_owned(), spec, ran: judge(report), why }
    }
}

/// What pulled specs are like, for those who watch the service.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Where they are pulled from, without what could be secret.
    pub from: String,
    /// What is remembered of them.
    pub record: Record,
}

/// Looks for new specs from now on, on a thread of its own; what is sent are the runs that end. `None` where another
/// process looks for them.
pub fn start(
    mut puller: Puller,
    store: &Arc<dyn StateStore>,
    monitor: &Arc<Monitor>,
    cancel: &Cancel,
    events: Sender<Event>,
) -> Result<Option<Sender<Ended>>, CommandError> {
    if !puller.holds()? {
        tracing::warn!(event = "specs_pulled_elsewhere", "another engine with the same state pulls the specs");
        return Ok(None);
    }
    let (sender, ended) = channel();
    let record = puller.depot.record()?;
    let every = puller.every().unwrap_or(EVERY).max(EVERY_MIN);
    let mut watch = Watch {
        puller,
        record,
        store: Arc::clone(store),
        monitor: Arc::clone(monitor),
        cancel: cancel.clone(),
        events,
    };
    watch.tell();
    std::thread::Builder::new().name("fleet".to_owned()).spawn(move || watch.run(every, &ended))?;
    Ok(Some(sender))
}

struct Watch {
    puller: Puller,
    record: Record,
    store: Arc<dyn StateStore>,
    monitor: Arc<Monitor>,
    cancel: Cancel,
    events: Sender<Event>,
}

impl Watch {
    fn run(&mut self, every: Duration, ended: &Receiver<Ended>) {
        // After a cut of the power, all devices of a plant begin at the same time.
        let mut due = Instant::now() + jitter(every);
        loop {
            match ended.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(ended) => self.take_in(&ended, Timestamp::now()),
                Err(RecvTimeoutError::Timeout) => {
                    self.look(Timestamp::now());
                    due = Instant::now() + every + jitter(every);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.cancel.is_cancelled() {
                return;
            }
        }
    }

    fn look(&mut self, now: Timestamp) {
        if self.record.trial.as_ref().is_some_and(|trial| trial.is_over(now)) {
            self.record.trial = None;
            self.keep();
            tracing::info!(
                event = "specs_trusted",
                "the new specs are trusted: their trial has lasted as long as it may"
            );
        }
        match self.puller.pull(&self.record, now, &self.cancel) {
            Ok(None) if self.record.problem.take().is_some() => {
                self.keep();
                tracing::info!(event = "specs_current", "the specs are those of {} again", self.puller.place());
            }
            Ok(None) => {}
            Ok(Some(new)) => {
                if let Err(error) = self.take(new, now) {
                    self.trouble(&error, now);
                }
            }
            Err(_) if self.cancel.is_cancelled() => {}
            Err(error) => self.trouble(&error, now),
        }
    }

    fn take(&mut self, new: super::pull::New, now: Timestamp) -> Result<(), CommandError> {
        let mut well = Vec::new();
        for id in new.pipelines {
            if ran_well(&self.store.load(&id)?) {
                well.push(id);
            }
        }
        // Without specs of before there is nothing to come back to.
        let trial = self.record.current.as_ref().and_then(|_| Trial::begin(now, well));
        let mut record = self.record.clone();
        record.take(new.taken.clone(), trial);
        self.puller.depot.write(&record)?;
        self.record = record;
        let on_trial = if self.record.trial.is_some() { ", on trial" } else { "" };
        tracing::info!(
            event = "specs_taken",
            id = new.taken.id,
            version = new.taken.version,
            "specs {} from {} are in use{on_trial}",
            new.taken.version,
            self.puller.place()
        );
        self.changed();
        Ok(())
    }

    fn take_in(&mut self, ended: &Ended, now: Timestamp) {
        // A run that began by the specs of before says nothing of these.
        let current = self.record.current.as_ref().map(|current| self.puller.depot.set(&current.id));
        if current.is_none_or(|current| !ended.spec.starts_with(current)) {
            return;
        }
        let Some(trial) = &mut self.record.trial else { return };
        let before = trial.clone();
        match trial.take_in(&ended.pipeline, ended.ran) {
            // Runs are many, and writing is slow.
            Verdict::GoesOn if *trial == before => {}
            Verdict::GoesOn => self.keep(),
            Verdict::Passed => {
                self.record.trial = None;
                self.keep();
                tracing::info!(
                    event = "specs_trusted",
                    "the new specs are trusted: all that ran well before runs well"
                );
            }
            Verdict::Failed => self.roll_back(&format!("{}: {}", ended.pipeline, ended.why), now),
        }
    }

    fn roll_back(&mut self, why: &str, now: Timestamp) {
        let mut record = self.record.clone();
        let Some(bad) = record.roll_back(why) else { return };
        let error = rolled_back(&bad);
        record.problem = Some(Problem { since: now, kind: ProblemKind::RolledBack, message: error.message.clone() });
        if let Err(error) = self.puller.depot.write(&record) {
            return self.trouble(&error, now);
        }
        self.record = record;
        tracing::error!(
            event = "specs_rolled_back",
            id = bad.id,
            version = bad.version,
            hint = error.hint,
            "{}",
            error.message
        );
        self.changed();
    }

    /// Other specs are in use: they are read, and what leads nowhere any more is removed.
    fn changed(&self) {
        self.tell();
        if let Err(error) = self.puller.depot.sweep(&self.record) {
            tracing::warn!(event = "specs_not_swept", "{}", error.message);
        }
        // Nobody listens any more once the service stops.
        let _ = self.events.send(Event::Asked(Asked::Reread));
    }

    /// What is wrong is said once.
    fn trouble(&mut self, error: &CommandError, now: Timestamp) {
        if self.record.problem.as_ref().is_some_and(|problem| problem.message == error.message) {
            return;
        }
        let kind = match error.kind {
            Kind::Usage => ProblemKind::Refused,
            Kind::Run | Kind::Environment => ProblemKind::Unreachable,
        };
        self.record.problem = Some(Problem { since: now, kind, message: error.message.clone() });
        self.keep();
        tracing::warn!(
            event = "specs_not_taken",
            hint = error.hint,
            "{}; everything goes on by the specs of before",
            error.message
        );
    }

    /// Writes what is remembered down. Where that fails, it is known until the process ends.
    fn keep(&self) {
        if let Err(error) = self.puller.depot.write(&self.record) {
            tracing::warn!(event = "specs_not_remembered", "{}", error.message);
        }
        self.tell();
    }

    fn tell(&self) {
        self.monitor.tell_specs(Told { from: self.puller.place(), record: self.record.clone() });
    }
}

/// A random part of the time between two looks.
fn jitter(every: Duration) -> Duration {
    every.mul_f64(fastrand::f64() / f64::from(JITTER_PART))
}
