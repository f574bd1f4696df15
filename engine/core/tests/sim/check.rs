//! What must hold after every commit, after every run, and at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine_core::deliver::Circuit;
use engine_core::dispatch::Dispatcher;
use engine_core::memory::{MemoryPipeline, MemoryStore};
use engine_core::plan::DELETES_FREE;
use engine_core::ports::{Answer, Cancel, Clock, Destination, Parcel};
use engine_core::report::{FailureKind, RunReport};
use engine_core::run::{Runner, Silent};
use engine_core::state::{OutboxRecord, SoleLease, Stage};
use jiff::SignedDuration;
use uuid::Uuid;

use crate::plant::ManualClock;
use crate::platform::{Platform, is_delete};
use crate::setup::{Reads, Setup};
use crate::source;
use crate::world::{Sim, Wrong};

/// Rounds that it takes at most until everything is delivered, once nothing fails any more.
const ROUNDS_MAX: usize = 40;
/// Longer than a refused record waits.
const ROUND: SignedDuration = SignedDuration::from_hours(1);
/// Runs that it takes at most until one goes well, once nothing fails any more: a brake, and what comes behind it.
const RUNS_MAX: usize = 4;

impl Sim {
    /// What was made to last: everything in the ledger is at the platform, or on its way there.
    pub fn check_durable(&self, operation: &str) {
        let known = self.store.snapshot(self.id());
        let mut inner = self.lock();
        let mut wrong = Vec::new();
        let known_before = inner.last_seq;
        for (record, _) in known.outbox.values().filter(|(record, _)| record.seq > known_before) {
            let before = inner.handed_over.get(&record.id);
            if operation == "commit" && before.is_some_and(|before| before.as_str() == &*record.body) {
                wrong.push(Wrong::Doubled(format!("handed over again as it was: {}", record.body)));
            }
            if before.is_none() && is_delete(&record.body) {
                wrong.push(Wrong::Doubled(format!("deleted, and never written: {}", record.body)));
            }
            inner.handed_over.insert(record.id, record.body.to_string());
            inner.last_seq = record.seq;
        }
        let waiting: BTreeMap<Uuid, &str> =
            known.outbox.values().map(|(record, _)| (record.id, &*record.body)).collect();
        if waiting.len() != known.outbox.len() {
            wrong.push(Wrong::Doubled("two records of one id wait".to_owned()));
        }
        let refused: BTreeMap<Uuid, &str> = known
            .quarantine
            .iter()
            .filter(|(entry, _)| entry.stage == Stage::Delivery)
            .filter_map(|(entry, _)| Some((entry.key.parse().ok()?, entry.row.as_str())))
            .collect();
        inner.quarantined |= known.quarantine.iter().any(|(entry, _)| entry.stage == Stage::Row);
        let mut living = 0;
        for record in known.records.values().filter(|record| !record.part) {
            living += 1;
            if inner.handed_over.get(&record.id).is_none_or(|body| is_delete(body)) {
                wrong.push(Wrong::Lost(format!("{} is in the ledger, and was not handed over", record.id)));
            }
        }
        let written = inner.handed_over.values().filter(|body| !is_delete(body)).count();
        if living != written {
            wrong.push(Wrong::Lost(format!("{written} records were written, {living} are in the ledger")));
        }
        for (id, body) in &inner.handed_over {
            let there = inner.platform.records.get(id);
            let is_there = if is_delete(body) { there.is_none() } else { there == Some(body) };
            match waiting.get(id).or(refused.get(id)) {
                Some(waits) if *waits == body => {}
                Some(waits) => wrong.push(Wrong::Lost(format!("{waits} waits instead of {body}"))),
                None if is_there => {}
                None => wrong.push(Wrong::Lost(format!("{body} waits nowhere, and the platform has {there:?}"))),
            }
        }
        inner.wrong.append(&mut wrong);
    }

    /// A source that seems to have lost its rows, or to be another one, never becomes a mass delete.
    pub fn check_brake(&self, before: &MemoryPipeline, report: &RunReport) {
        let trouble = self.lock().trouble;
        if before.state.approved.is_some() || trouble.company {
            return;
        }
        let braked = report.failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::Brake);
        let outbox = self.store.snapshot(self.id()).outbox;
        let is_let_go = |(record, held): &(OutboxRecord, bool)| !held && !before.outbox.contains(record.seq);
        if report.failure.is_some()
            && self.setup.reads != Reads::Slices
            && outbox.values().any(is_let_go)
            && !in_doubt(report)
        {
            self.wrong(Wrong::Unbraked("a run that failed has let records go".to_owned()));
        }
        let went_well = report.failure.is_none();
        let is_other = before.state.identity.get("database").is_some_and(|before| before != source::OTHER_DATABASE);
        if trouble.repointed && is_other && went_well {
            self.wrong(Wrong::Unbraked("another database did not pull the brake".to_owned()));
        }
        if trouble.empty && report.rows == 0 && report.gone > 0 && !braked {
            self.wrong(Wrong::Unbraked(format!("an empty result deleted {} rows", report.gone)));
        }
        if self.setup.braked && report.gone > DELETES_FREE && !braked {
            self.wrong(Wrong::Unbraked(format!("{} rows were deleted without approval", report.gone)));
        }
    }

    /// Nothing fails any more: a run goes well, and everything is delivered.
    pub fn settle_down(self: &Arc<Self>) -> Result<(), Wrong> {
        self.end_faults();
        self.run_until_well()?;
        self.deliver_until_empty()?;
        self.check_end()
    }

    fn end_faults(&self) {
        let mut inner = self.lock();
        inner.armed.clear();
        inner.disk_full = 0;
        inner.platform.poison = None;
        let now = inner.source_now + 3 * 60;
        inner.source_now = now;
        drop(inner);
        crate::edits::repair(&self.setup, &mut self.rows(), now);
        self.clock.set(crate::plant::at(now));
    }

    /// Runs, and approves what stands in the way.
    pub fn run_until_well(self: &Arc<Self>) -> Result<(), Wrong> {
        let mut failure = None;
        for _ in 0..RUNS_MAX {
            let report = self.run().ok_or_else(|| Wrong::Broken("an undisturbed run broke off".to_owned()))?;
            failure = report.failure;
            match failure.as_ref().map(|failure| failure.kind) {
                None => return Ok(()),
                Some(FailureKind::Brake) => self.approve(),
                // The outbox is full.
                Some(FailureKind::Environment) => self.deliver_until_empty()?,
                Some(_) => break,
            }
        }
        Err(Wrong::Broken(format!("an undisturbed run fails: {failure:?}")))
    }

    pub fn deliver_until_empty(self: &Arc<Self>) -> Result<(), Wrong> {
        for _ in 0..ROUNDS_MAX {
            self.deliver();
            let known = self.store.snapshot(self.id());
            let refused = known.quarantine.iter().any(|(entry, _)| entry.stage == Stage::Delivery);
            if !refused && known.outbox.values().all(|(_, held)| *held) {
                return Ok(());
            }
            self.clock.set(self.clock.now() + ROUND);
        }
        Err(Wrong::Lost(format!("the outbox does not become empty: {:?}", self.store.snapshot(self.id()).outbox)))
    }

    fn check_end(self: &Arc<Self>) -> Result<(), Wrong> {
        let settled = self.store.snapshot(self.id());
        if !settled.outbox.is_empty() {
            return Err(Wrong::Lost(format!("records are held for ever: {:?}", settled.outbox)));
        }
        if let Some((entry, _)) = settled.quarantine.iter().find(|(entry, _)| entry.stage == Stage::Row) {
            return Err(Wrong::Unhealed(format!("{}: {}", entry.key, entry.reason)));
        }
        let fresh = self.fresh()?;
        let has = self.lock().platform.records.clone();
        for (id, body) in &fresh.0 {
            if has.get(id) != Some(body) {
                return Err(Wrong::Lost(format!("a fresh run gives {body}, the platform has {:?}", has.get(id))));
            }
        }
        if let Some((_, body)) = has.iter().find(|(id, _)| !fresh.0.contains_key(id)) {
            return Err(Wrong::Lost(format!("a fresh run does not give {body}")));
        }
        let refused = refusals(&settled);
        if refused != fresh.1 {
            let only = |one: &Refusals, other: &Refusals| {
                one.iter()
                    .filter(|refusal| !other.contains(refusal))
                    .map(|refusal| format!("{refusal:?} "))
                    .collect::<String>()
            };
            let (here, there) = (only(&refused, &fresh.1), only(&fresh.1, &refused));
            return Err(Wrong::Unhealed(format!("refused here only: {here}, by a fresh run only: {there}")));
        }
        let received = self.lock().platform.received;
        self.run_until_well()?;
        self.deliver();
        let again = self.store.snapshot(self.id());
        let sent = self.lock().platform.received - received;
        if sent > 0 {
            return Err(Wrong::Doubled(format!("{sent} records are sent again when nothing has changed")));
        }
        if (&again.rows, &again.records, &again.outbox) != (&settled.rows, &settled.records, &settled.outbox) {
            return Err(Wrong::Doubled("a run writes when nothing has changed".to_owned()));
        }
        Ok(())
    }

    pub fn approve(&self) {
        use engine_core::state::StateStore;
        let Ok(mut state) = self.store.load(self.id()) else { return };
        if state.brake.is_some() {
            state.approved = Some(self.clock.now());
            self.store.save(self.id(), &state).unwrap();
        }
    }

    /// What a fresh run over the same rows gives: records, and what it refuses.
    fn fresh(self: &Arc<Self>) -> Result<(BTreeMap<Uuid, String>, Refusals), Wrong> {
        let plan = self.plan();
        let store = MemoryStore::new();
        let clock = ManualClock::at(self.clock.now());
        let cancel = Cancel::default();
        let open = || source::open(self);
        let runner = Runner {
            plan: &plan,
            store: &store,
            clock: &clock,
            cancel: &cancel,
            open: &open,
            outbox_bytes_max: u64::MAX,
            next_run: None,
        };
        let report = runner.run(&mut Silent);
        if let Some(failure) = report.failure {
            return Err(Wrong::Broken(format!("a fresh run fails: {}", failure.message)));
        }
        let mut platform = Fresh(Platform::new(false));
        let dispatcher = Dispatcher {
            pipeline: &plan.id,
            labels: &plan.labels,
            limit: self.setup.parcel,
            store: &store,
            lease: &SoleLease,
            clock: &clock,
            cancel: &cancel,
            places_of: &plan.id,
            settled: &|_, _| Ok(()),
            measures_age: false,
            random: &|| 0,
        };
        let mut circuit = Circuit::new(self.setup.parcel);
        dispatcher.deliver(&mut platform, &mut circuit, Duration::ZERO).unwrap();
        Ok((platform.0.records, refusals(&store.snapshot(&plan.id))))
    }
}

/// Whether the last commit of a run may have happened although it failed.
fn in_doubt(report: &RunReport) -> bool {
    report.failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::State)
}

struct Fresh(Platform);

impl Destination for Fresh {
    fn send(&mut self, parcel: &Parcel, _cancel: &Cancel) -> Answer {
        Answer::Accepted { rejected: self.0.receive(parcel, &[]).unwrap() }
    }

    fn place(&self) -> &str {
        "another platform"
    }
}

type Refusals = Vec<(Stage, String, String)>;

fn refusals(known: &MemoryPipeline) -> Refusals {
    let entries = known.quarantine.iter().map(|(entry, _)| (entry.stage, entry.code.clone(), entry.key.clone()));
    let mut refusals: Refusals = entries.collect();
    refusals.sort();
    refusals
}

/// Whether rows may change that were read long ago.
pub fn may_change_spec(setup: &Setup) -> bool {
    matches!(setup.reads, Reads::Window | Reads::Full)
}
