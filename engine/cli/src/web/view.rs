//! What pages and metrics are made of: one look at the state and at what the service did.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use engine_core::state::{DeliveryState, PipelineState, StateCounts, StateError, StateStore};
use jiff::Timestamp;

use super::cached::Cached;
use super::pipeline::Detail;
use super::process::Process;
use crate::commands::status::{self, PipelineStatus};
use crate::fleet::Told;
use crate::monitor::{Entry, Monitor, Tally};

/// Where pages and metrics come from.
pub(super) struct View {
    store: Arc<dyn StateStore>,
    monitor: Arc<Monitor>,
    fleet: Cached<Fleet>,
    details: Mutex<BTreeMap<String, Arc<Cached<Detail>>>>,
}

/// All pipelines of the service, at one instant.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) at: Timestamp,
    pub(super) started: Timestamp,
    pub(super) pipelines: Vec<Seen>,
    /// Why the state cannot be read.
    pub(super) trouble: Option<String>,
    /// Why certificate and token of the page cannot be read anew.
    pub(super) page_trouble: Option<String>,
    /// Which specs are in use, where they are pulled.
    pub(super) specs: Option<Arc<Told>>,
    pub(super) process: Process,
}

/// A pipeline, at one instant.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) description: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) tally: Tally,
    /// What the state says of it; `None` where it cannot be read.
    pub(super) known: Option<Known>,
}

/// What the state says of a pipeline.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) status: Arc<PipelineStatus>,
    pub(super) state: PipelineState,
    pub(super) delivery: DeliveryState,
    pub(super) counts: StateCounts,
    /// Since when something has waited in the outbox without a break.
    pub(super) waiting_since: Option<Timestamp>,
}

impl View {
    pub(super) fn new(store: Arc<dyn StateStore>, monitor: Arc<Monitor>) -> Self {
        Self { store, monitor, fleet: Cached::default(), details: Mutex::default() }
    }

    pub(super) fn monitor(&self) -> &Arc<Monitor> {
        &self.monitor
    }

    /// All pipelines.
    pub(super) fn fleet(&self) -> Arc<Fleet> {
        self.fleet.get(|| self.look(Timestamp::now()))
    }

    /// One pipeline; `None` where there is none of this name.
    pub(super) fn pipeline(&self, id: &str) -> Option<Arc<Detail>> {
        let roster = self.monitor.roster();
        let entry = roster.pipelines.iter().find(|known| known.id == id)?;
        let fleet = self.fleet();
        let seen = fleet.pipelines.iter().find(|seen| seen.id == id)?;
        let cached = {
            let mut details = self.details.lock().unwrap_or_else(PoisonError::into_inner);
            details.retain(|known, _| roster.pipelines.iter().any(|entry| entry.id == *known));
            Arc::clone(details.entry(id.to_owned()).or_default())
        };
        Some(cached.get(|| Detail::read(&roster.device, &entry.spec, self.store.as_ref(), seen, fleet.at)))
    }

    fn look(&self, at: Timestamp) -> Fleet {
        let mut trouble = None;
        let holders = self.store.holders().unwrap_or_default();
        let mut seen = |entry: &Entry| {
            let id = entry.id.clone();
            // What cannot be read once is not tried for every pipeline: each may take until it runs out of time.
            let known = if trouble.is_none() {
                let holder = holders.iter().find(|holder| holder.unit == id).map(|holder| holder.engine.clone());
                self.know(entry, holder, at).map_err(|error| trouble = Some(error.to_string())).ok()
            } else {
                None
            };
            let typed = entry.spec.loaded.spec.as_ref();
            Seen {
                tally: self.monitor.tally(&id),
                description: typed.and_then(|spec| spec.description.clone()),
                labels: typed.map(|spec| spec.labels.clone()).unwrap_or_default(),
                known,
                id,
            }
        };
        let pipelines = self.monitor.roster().pipelines.iter().map(&mut seen).collect();
        let (started, page_trouble) = (self.monitor.started(), self.monitor.current_page_trouble());
        let specs = self.monitor.specs();
        Fleet { at, started, pipelines, trouble, page_trouble, specs, process: Process::now() }
    }

    /// What the state says of a pipeline, and who runs it, where several engines share the state.
    fn know(&self, entry: &Entry, holder: Option<String>, now: Timestamp) -> Result<Known, StateError> {
        let id = entry.id.as_str();
        let (state, delivery, counts) = (self.store.load(id)?, self.store.delivery(id)?, self.store.counts(id)?);
        let status = status::of(id, &state, &delivery, counts, now);
        let mut status = PipelineStatus { run_by: holder, ..status }.with_spec_kept(entry.is_outdated);
        // A run that could not be written down is known here all the same.
        let written = state.last_run.as_ref().map(|run| run.started);
        let unwritten = self.monitor.last_run(id).filter(|run| written < Some(run.started));
        if let Some(failure) = unwritten.and_then(|run| run.failure) {
            status = status.with_failure(&failure);
        }
        let status = Arc::new(status);
        let seen = self.monitor.waiting(id, counts.outbox, now);
        let waiting_since = seen.map(|seen| delivery.since.map_or(seen, |since| since.min(seen)));
        Ok(Known { status, state, delivery, counts, waiting_since })
    }
}
