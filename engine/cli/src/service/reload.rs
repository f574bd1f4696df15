//! Takes over specs that were read anew, without a restart.
//!
//! What is valid replaces what was there; what is broken changes nothing. What only a restart can change is said.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use engine_core::report::counted;
use engine_spec::device::Device;
use engine_spec::text::Text;
use engine_spec::{Diagnostic, Severity};
use jiff::Timestamp;

use super::job::Job;
use crate::project::{Found, FoundSpec, Unfit};
use crate::sandbox::{Grants, needs_of};
use crate::schedule::Schedule;

/// What holds for all pipelines of the service.
pub(super) struct Settings {
    pub(super) device: Arc<Device>,
    /// What the process may read and write; `None` where it has kept all its rights.
    pub(super) granted: Option<Grants>,
    /// Specs that cannot be used, and of which nothing runs.
    pub(super) left_out: usize,
}

impl Settings {
    /// Takes over what was read. Where nothing can be made of it, that is said, and nothing changes.
    pub(super) fn take_over(&mut self, jobs: &mut Vec<Job>, found: Result<Found, Unfit>, now: Timestamp) {
        let found = match found {
            Ok(found) if found.specs.is_empty() => {
                return failed("no spec was found", Some("an empty folder may be a share that is not mounted"));
            }
            Ok(found) => found,
            Err(Unfit { error, findings }) => {
                for file in &findings {
                    file.findings.iter().for_each(|finding| tell(&file.text, finding));
                }
                let message =
                    if error.message.is_empty() { "the device config is broken" } else { error.message.as_str() };
                return failed(message, error.hint.as_deref());
            }
        };
        self.take_over_device(jobs, found.device, &found.specs, now);
        let (broken, valid): (Vec<FoundSpec>, Vec<FoundSpec>) =
            found.specs.into_iter().partition(|spec| spec.loaded.has_errors());
        for spec in &broken {
            spec.loaded.diagnostics.iter().for_each(|finding| tell(&spec.loaded.file.text, finding));
        }
        let broken: BTreeSet<&Path> = broken.iter().map(|spec| spec.path.as_path()).collect();
        for job in jobs.iter_mut() {
            job.is_outdated = broken.contains(job.spec.path.as_path());
        }
        let mut counts = Counts::default();
        // A pipeline whose own file is broken is not handed to another file that has the same id.
        let mut stays: BTreeSet<String> = jobs.iter().filter(|job| job.is_outdated).map(|job| job.id.clone()).collect();
        for spec in valid {
            let Some(typed) = &spec.loaded.spec else { continue };
            let id = typed.id.to_string();
            if stays.insert(id.clone()) {
                self.take_over_spec(jobs, spec, id, now, &mut counts);
            }
        }
        for job in jobs.iter_mut().filter(|job| !job.is_leaving && !stays.contains(&job.id)) {
            tracing::info!(event = "spec_removed", pipeline = job.id, "its spec is gone; what is under way ends");
            job.leave(now);
            counts.removed += 1;
        }
        for job in jobs.iter().filter(|job| job.is_outdated) {
            tracing::warn!(
                event = "spec_kept",
                pipeline = job.id,
                "{} cannot be used as it is now; the pipeline goes on as before",
                job.spec.path.display()
            );
        }
        self.left_out = broken.iter().filter(|path| jobs.iter().all(|job| job.spec.path != **path)).count();
        counts.tell(broken.len());
    }

    /// A pipeline that begins, or goes on in another way.
    fn take_over_spec(&self, jobs: &mut Vec<Job>, spec: FoundSpec, id: String, now: Timestamp, counts: &mut Counts) {
        let at = jobs.iter().position(|job| job.id == id);
        let is_same = |job: &Job| !job.is_leaving && job.spec.path == spec.path && job.spec.seen == spec.seen;
        if at.is_some_and(|at| is_same(&jobs[at])) {
            return;
        }
        let Some(typed) = &spec.loaded.spec else { return };
        let unusable = match Schedule::of(&typed.schedule) {
            Err(error) => Err(format!("{}: {error}", spec.path.display())),
            Ok(schedule) => match self.lacking(&self.device, &spec).as_slice() {
                [] => Ok(schedule),
                lacking => Err(format!(
                    "{} needs a restart: it names what the running process has given up the right to use: {}",
                    spec.path.display(),
                    lacking.join(", ")
                )),
            },
        };
        match (unusable, at) {
            (Err(message), at) => {
                tracing::warn!(event = "needs_restart", pipeline = id, hint = "restart the service", "{message}");
                if let Some(at) = at {
                    jobs[at].is_outdated = true;
                }
            }
            (Ok(schedule), Some(at)) => {
                tracing::info!(event = "spec_changed", pipeline = id, "its spec has changed; the next run is by it");
                jobs[at].replace(Arc::new(spec), schedule, now);
                counts.changed += 1;
            }
            (Ok(schedule), None) => {
                tracing::info!(event = "spec_added", pipeline = id, "a new pipeline begins");
                jobs.push(Job::new(Arc::new(spec), id, schedule, now));
                counts.new += 1;
            }
        }
    }

    /// Takes over limits and the destination. State, page, logs, traces and the fleet stay as they were at the start.
    fn take_over_device(&mut self, jobs: &mut [Job], new: Device, specs: &[FoundSpec], now: Timestamp) {
        let old = Arc::clone(&self.device);
        let kept = [
            ("state", old.state != new.state),
            ("http", old.http != new.http),
            ("log", old.log != new.log),
            ("telemetry", old.telemetry != new.telemetry),
            ("fleet", old.fleet != new.fleet),
        ];
        let changed = kept.into_iter().filter(|(_, is_changed)| *is_changed);
        let mut needs_restart: Vec<String> = changed.map(|(key, _)| format!("`{key}`")).collect();
        let mut taken = Device {
            state: old.state.clone(),
            http: old.http.clone(),
            log: old.log.clone(),
            telemetry: old.telemetry.clone(),
            fleet: old.fleet.clone(),
            ..new
        };
        if taken.destination != old.destination {
            let lacks = |spec: &FoundSpec| {
                let before = self.lacking(&old, spec);
                self.lacking(&taken, spec).iter().any(|path| !before.contains(path))
            };
            if specs.iter().any(lacks) {
                needs_restart.push("`destination`".to_owned());
                taken.destination.clone_from(&old.destination);
            } else {
                jobs.iter_mut().for_each(|job| job.open_anew(now));
            }
        }
        if !needs_restart.is_empty() {
            tracing::warn!(
                event = "needs_restart",
                hint = "restart the service",
                "engine.yaml: {} changed, which needs a restart; until then it is as it was",
                needs_restart.join(", ")
            );
        }
        self.device = Arc::new(taken);
    }

    /// What a spec names that the process may not use any more.
    fn lacking(&self, device: &Device, spec: &FoundSpec) -> Vec<String> {
        let Some(granted) = &self.granted else { return Vec::new() };
        granted.lacking(&needs_of(spec, device)).iter().map(|path| path.display().to_string()).collect()
    }
}

#[derive(Default)]
struct Counts {
    new: usize,
    changed: usize,
    removed: usize,
}

impl Counts {
    fn tell(&self, broken: usize) {
        let Self { new, changed, removed } = *self;
        tracing::info!(
            event = "reloaded",
            new,
            changed,
            removed,
            broken,
            "specs read anew: {new} new, {changed} changed, {removed} removed, {broken} broken"
        );
    }
}

/// Says that nothing was read anew, and why.
pub(super) fn failed(message: &str, hint: Option<&str>) {
    tracing::error!(event = "reload_failed", hint, "{message}; everything goes on as before");
}

/// One finding, with its place.
fn tell(text: &Text, finding: &Diagnostic) {
    if finding.severity != Severity::Error {
        return;
    }
    let text = finding.companion.as_deref().unwrap_or(text);
    let at = text.line_column(finding.span.start);
    tracing::error!(
        event = "spec_broken",
        code = finding.code,
        hint = finding.help,
        "{}:{}:{}: {}",
        text.name,
        at.line,
        at.column,
        finding.message
    );
}

/// How many specs cannot be used, for the status line.
pub(super) fn left_out(count: usize) -> Option<String> {
    (count > 0).then(|| format!("{} left out", counted(count as u64, "broken spec")))
}
