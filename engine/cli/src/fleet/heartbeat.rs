//! Tells somebody how the device does, every now and then: versions, specs, and the health of each pipeline.
//!
//! The form is `schemas/heartbeat.schema.json`. There is no word of a server and no value of a row in it: problems are
//! told by their kind. It is sent from a thread of its own, which nothing waits for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine_connect::fetch;
use engine_core::plan::{Endpoint, endpoint_config};
use engine_core::ports::{Cancel, References as _};
use engine_core::report::FailureKind;
use engine_core::state::StateStore;
use engine_spec::device::{Device, Heartbeat};
use engine_spec::scalar::Setting;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::depot::ProblemKind;
use crate::commands::status;
use crate::exit::{CommandError, Kind};
use crate::monitor::{Entry, Monitor};
use crate::project::{DEVICE_FILE, plan_failure};
use crate::references::ProcessReferences;
use crate::state::host;

/// Part of the device config, for messages.
const ROLE: &str = "fleet.heartbeat";
/// Version of the form.
const FORMAT: u32 = 1;
/// Time between two heartbeats, where the device config does not say.
const EVERY: Duration = Duration::from_secs(60);
/// Shortest time between two heartbeats.
const EVERY_MIN: Duration = Duration::from_secs(1);
/// A heartbeat comes by up to this part of the time later, so that devices that began together do not tell together.
const JITTER_PART: u32 = 10;

/// How a device does.
#[derive(Debug, Serialize)]
struct Beat {
    /// [`FORMAT`].
    format: u32,
    /// Name of the device.
    device: String,
    /// By the clock of the device.
    sent: Timestamp,
    /// When the service began.
    started: Timestamp,
    /// Version of the engine.
    engine: &'static str,
    /// The specs, where they are pulled.
    specs: Option<Specs>,
    /// Whether the state can be read; nothing is known of pipelines otherwise.
    state_readable: bool,
    pipelines: Vec<Pipeline>,
}

#[derive(Debug, Serialize)]
struct Specs {
    /// Where they are pulled from.
    from: String,
    /// SHA-256 of the manifest.
    id: Option<String>,
    version: Option<String>,
    created: Option<Timestamp>,
    taken: Option<Timestamp>,
    on_trial: bool,
    /// Why nothing new is taken.
    problem: Option<ProblemKind>,
    problem_since: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct Pipeline {
    id: String,
    /// As `engine status` has it.
    health: Option<&'static str>,
    /// What is wrong, by its kind.
    problem: Option<&'static str>,
    /// Its file holds something that cannot be used, and it runs by the spec of before.
    outdated: bool,
    last_success: Option<Timestamp>,
    next_run: Option<Timestamp>,
    /// Records that wait to be sent.
    outbox: Option<u64>,
    /// Rows and records in quarantine.
    quarantine: Option<u64>,
}

/// Tells from now on, where the device config names somebody.
pub fn start(device: &Device, folder: &Path, store: &Arc<dyn StateStore>, monitor: &Arc<Monitor>, cancel: &Cancel) {
    let Some(fleet) = &device.fleet else { return };
    let Some(settings) = fleet.heartbeat.clone() else { return };
    let heart = Heart {
        name: fleet.name.clone(),
        settings,
        folder: folder.to_owned(),
        store: Arc::clone(store),
        monitor: Arc::clone(monitor),
        cancel: cancel.clone(),
    };
    if let Err(error) = std::thread::Builder::new().name("heartbeat".to_owned()).spawn(move || heart.run()) {
        tracing::warn!(
            event = "heartbeat_failed",
            "nobody is told how the device does: no thread can be started: {error}"
        );
    }
}

struct Heart {
    name: Option<Setting<String>>,
    settings: Heartbeat,
    folder: PathBuf,
    store: Arc<dyn StateStore>,
    monitor: Arc<Monitor>,
    cancel: Cancel,
}

impl Heart {
    fn run(&self) {
        let every = self.settings.every.map_or(EVERY, |every| every.0).max(EVERY_MIN);
        let jitter = || every.mul_f64(fastrand::f64() / f64::from(JITTER_PART));
        let mut fails = false;
        std::thread::sleep(jitter());
        while !self.cancel.is_cancelled() {
            let told = self.tell();
            match &told {
                Err(_) if self.cancel.is_cancelled() => return,
                Err(error) if !fails => tracing::warn!(
                    event = "heartbeat_failed",
                    hint = error.hint,
                    "nobody is told how the device does: {}; everything else goes on",
                    error.message
                ),
                Ok(()) if fails => tracing::info!(event = "heartbeat_arrives", "heartbeats arrive again"),
                _ => {}
            }
            fails = told.is_err();
            self.monitor.tell_heartbeat(fails);
            std::thread::sleep(every + jitter());
        }
    }

    fn tell(&self) -> Result<(), CommandError> {
        let endpoint = Endpoint {
            url: &self.settings.url,
            headers: &self.settings.headers,
            auth: self.settings.auth.as_ref(),
            tls: self.settings.tls.as_ref(),
        };
        let references = ProcessReferences::new(&self.folder);
        let config = endpoint_config(ROLE, &endpoint, &self.folder, &references)
            .map_err(|errors| plan_failure(Path::new(DEVICE_FILE), &errors))?;
        let name = match &self.name {
            None => host(),
            Some(Setting::Literal(name)) => name.clone(),
            Some(Setting::Reference(reference)) => {
                let wrong = |error| CommandError::new(Kind::Environment, format!("fleet.name: {error}"));
                references.resolve(reference).map_err(wrong)?.expose_secret().to_owned()
            }
        };
        let beat = beat(name, self.store.as_ref(), &self.monitor, Timestamp::now());
        let json = serde_json::to_vec(&beat).map_err(std::io::Error::from)?;
        fetch::post(ROLE, &config, &json, &self.cancel).map_err(|error| CommandError {
            kind: Kind::Environment,
            message: error.to_string(),
            hint: error.hint,
        })
    }
}

fn beat(device: String, store: &dyn StateStore, monitor: &Monitor, now: Timestamp) -> Beat {
    let mut state_readable = true;
    let mut pipelines = Vec::new();
    for entry in &monitor.roster().pipelines {
        // What cannot be read once is not tried for every pipeline: each may take until it runs out of time.
        let known = if state_readable { know(store, &entry.id, now) } else { None };
        state_readable &= known.is_some();
        pipelines.push(known.unwrap_or_default().of(entry));
    }
    let specs = monitor.specs().map(|told| {
        let record = &told.record;
        let current = record.current.as_ref();
        Specs {
            from: told.from.clone(),
            id: current.map(|taken| taken.id.clone()),
            version: current.map(|taken| taken.version.clone()),
            created: current.map(|taken| taken.created),
            taken: current.map(|taken| taken.taken),
            on_trial: record.trial.is_some(),
            problem: record.problem.as_ref().map(|problem| problem.kind),
            problem_since: record.problem.as_ref().map(|problem| problem.since),
        }
    });
    let engine = env!("CARGO_PKG_VERSION");
    Beat { format: FORMAT, device, sent: now, started: monitor.started(), engine, specs, state_readable, pipelines }
}

/// What the state says of a pipeline.
#[derive(Default)]
struct Known {
    health: Option<&'static str>,
    problem: Option<&'static str>,
    last_success: Option<Timestamp>,
    next_run: Option<Timestamp>,
    outbox: Option<u64>,
    quarantine: Option<u64>,
}

impl Known {
    fn of(self, entry: &Entry) -> Pipeline {
        let Self { health, problem, last_success, next_run, outbox, quarantine } = self;
        let (id, outdated) = (entry.id.clone(), entry.is_outdated);
        Pipeline { id, health, problem, outdated, last_success, next_run, outbox, quarantine }
    }
}

fn know(store: &dyn StateStore, id: &str, now: Timestamp) -> Option<Known> {
    let state = store.load(id).ok()?;
    let delivery = store.delivery(id).ok()?;
    let counts = store.counts(id).ok()?;
    let status = status::of(id, &state, &delivery, counts, now);
    let failure =
        state.last_run.as_ref().and_then(|run| run.failure.as_ref()).map(|failure| kind_in_words(failure.kind));
    let waiting = delivery.problem.as_ref().map(|_| "the destination takes no records");
    Some(Known {
        health: Some(status.health),
        problem: failure.or(waiting),
        last_success: status.last_success,
        next_run: status.next_run,
        outbox: Some(counts.outbox),
        quarantine: Some(counts.quarantine),
    })
}

/// What went wrong, without a word of a server: that might repeat a value of a row.
fn kind_in_words(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Spec => "the spec does not fit the source",
        FailureKind::Query => "the source refused the statement",
        FailureKind::Environment => "a server, a reference or a file is not as it should be",
        FailureKind::Source => "the source broke off, or gave what cannot be read",
        FailureKind::Brake => "a brake holds the run until somebody approves",
        FailureKind::Rejected => "too many rows were rejected",
        FailureKind::State => "the state store failed",
        FailureKind::Cancelled => "the run was stopped",
    }
}
