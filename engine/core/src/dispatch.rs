//! The delivery loop of one pipeline: the outbox is sent in order, parcel after parcel, until it is empty.
//!
//! What to do after each answer is decided by [`crate::deliver`]; here it is done.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::deliver::{Circuit, ParcelLimit, Step, parcel_key};
use crate::freshness::Freshness;
use crate::ports::{Cancel, Clock, Destination, Parcel};
use crate::state::{DeliveryState, Lease, OutboxRecord, RefusedRecord, StateError, StateStore};

/// Is told of the places of records that are acknowledged, and of records that are refused.
pub type Settled<'a> = dyn Fn(&[i64], &[RefusedRecord]) -> Result<(), StateError> + 'a;

/// What a delivery needs of the outside.
pub struct Dispatcher<'a> {
    /// The pipeline's id.
    pub pipeline: &'a str,
    /// The pipeline's labels.
    pub labels: &'a BTreeMap<String, String>,
    /// Records and bytes of a parcel at most.
    pub limit: ParcelLimit,
    /// The state store.
    pub store: &'a dyn StateStore,
    /// Nobody else sends what is in the outbox.
    pub lease: &'a dyn Lease,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// Asks the delivery to stop.
    pub cancel: &'a Cancel,
    /// Any uniformly distributed number, for the jitter.
    pub random: &'a dyn Fn() -> u64,
    /// Within what the places of the records count, for the idempotency keys: the pipeline's outbox, by its id.
    pub places_of: &'a str,
    /// Is told what is settled.
    pub settled: &'a Settled<'a>,
    /// Whether somebody asks how old the acknowledged records were: to know it, each is looked into.
    pub measures_age: bool,
}

/// What a delivery came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DispatchReport {
    /// Records that the destination acknowledged.
    pub accepted: u64,
    /// Records that it refused.
    pub refused: u64,
    /// Parcels that were sent, repetitions included.
    pub parcels: u64,
    /// How old the acknowledged records were, where that is measured.
    pub freshness: Freshness,
    /// Why it stopped before the outbox was empty.
    pub stopped: Option<Stopped>,
}

/// Why a delivery stopped before the outbox was empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Stopped {
    /// What the destination said.
    pub reason: String,
    /// Not before this time.
    pub retry_at: Timestamp,
    /// Whether somebody must act: the destination refuses everything, the login above all.
    pub paused: bool,
}

impl Dispatcher<'_> {
    /// Sends what waits in the outbox, and waits for a destination that is busy for as long as `patience` allows.
    ///
    /// The circuit carries over from call to call, so that a repeated parcel keeps its key.
    pub fn deliver(
        &self,
        destination: &mut dyn Destination,
        circuit: &mut Circuit,
        patience: Duration,
    ) -> Result<DispatchReport, StateError> {
        let mut report = DispatchReport::default();
        let began = self.clock.now();
        let deadline = SignedDuration::try_from(patience)
            .ok()
            .and_then(|patience| began.checked_add(patience).ok())
            .unwrap_or(Timestamp::MAX);
        let mut state = self.store.delivery(self.pipeline)?;
        self.store.requeue_refused(self.pipeline, began)?;
        loop {
            if self.cancel.is_cancelled() {
                return Ok(report);
            }
            let records = self.store.claim(self.pipeline, circuit.reach(), self.limit.bytes)?;
            if records.is_empty() {
                self.remember_recovery(&mut state)?;
                return Ok(report);
            }
            let parcel = self.parcel(circuit, records);
            self.check_lease()?;
            let answer = destination.send(&parcel, self.cancel);
            report.parcels += 1;
            let now = self.clock.now();
            let (next, step) =
                std::mem::replace(circuit, Circuit::new(self.limit)).next(&parcel, &answer, now, (self.random)());
            *circuit = next;
            match step {
                Step::Settle { accepted, rejected } => {
                    report.accepted += accepted.len() as u64;
                    report.refused += rejected.len() as u64;
                    if self.measures_age {
                        let taken = parcel.records.iter().filter(|record| accepted.binary_search(&record.seq).is_ok());
                        taken.for_each(|record| report.freshness.count(&record.body, now));
                    }
                    state = DeliveryState { last_acknowledged: Some(now), ..DeliveryState::default() };
                    let refused: Vec<RefusedRecord> = rejected
                        .into_iter()
                        .map(|one| RefusedRecord { seq: one.seq, code: one.code, message: one.message })
                        .collect();
                    self.store.settle(self.pipeline, &accepted, &refused, &state, now)?;
                    (self.settled)(&accepted, &refused)?;
                }
                Step::SplitAndRetry => {}
                Step::RetrySame { at, reason } => {
                    let stopped = Stopped { reason, retry_at: at, paused: false };
                    self.remember_problem(&mut state, circuit, &stopped, now)?;
                    if at > deadline {
                        report.stopped = Some(stopped);
                        return Ok(report);
                    }
                    let wait = at.duration_since(now);
                    self.clock.sleep(Duration::try_from(wait).unwrap_or_default(), self.cancel);
                }
                Step::Pause { until, reason } => {
                    let stopped = Stopped { reason, retry_at: until, paused: true };
                    self.remember_problem(&mut state, circuit, &stopped, now)?;
                    report.stopped = Some(stopped);
                    return Ok(report);
                }
            }
        }
    }

    /// What is sent late may overtake what another engine has sent since.
    fn check_lease(&self) -> Result<(), StateError> {
        if self.lease.is_held() {
            return Ok(());
        }
        Err(StateError {
            tried: format!("sending what waits of {}", self.pipeline),
            message: "this engine may have lost the pipeline to another".to_owned(),
            hint: Some("it goes on by itself, here or there; nothing is lost".to_owned()),
        })
    }

    fn parcel(&self, circuit: &Circuit, mut records: Vec<OutboxRecord>) -> Parcel {
        records.truncate(circuit.cut(records.iter().map(|record| record.body.len())).max(1));
        Parcel {
            idempotency_key: parcel_key(self.places_of, &records),
            pipeline: self.pipeline.to_owned(),
            labels: self.labels.clone(),
            fence: self.lease.fence(),
            records,
        }
    }

    fn remember_problem(
        &self,
        state: &mut DeliveryState,
        circuit: &Circuit,
        stopped: &Stopped,
        now: Timestamp,
    ) -> Result<(), StateError> {
        state.problem = Some(stopped.reason.clone());
        state.since = state.since.or(Some(now));
        state.retry_at = Some(stopped.retry_at);
        state.paused = stopped.paused;
        state.attempts = circuit.attempts();
        self.store.settle(self.pipeline, &[], &[], state, now)
    }

    /// An outbox that became empty by itself leaves no problem behind.
    fn remember_recovery(&self, state: &mut DeliveryState) -> Result<(), StateError> {
        if state.problem.take().is_none() {
            return Ok(());
        }
        *state = DeliveryState { last_acknowledged: state.last_acknowledged, ..DeliveryState::default() };
        self.store.settle(self.pipeline, &[], &[], state, self.clock.now())
    }
}
