//! The store as an engine sees it, and its way to the platform, with the faults that they meet.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use engine_core::ports::{Answer, Cancel, Destination, Parcel, RejectedRecord};
use engine_core::state::{Lease, RefusedRecord, StateError};

use crate::faults::{Fault, writes};
use crate::source;
use crate::watched::Watch;
use crate::world::{Sim, Wrong};

/// What a store says that cannot write.
fn failure(message: &str) -> StateError {
    StateError { tried: "writing the state".to_owned(), message: message.to_owned(), hint: None }
}

/// Stands before and behind every operation of the store.
pub struct Watcher {
    pub sim: Arc<Sim>,
    /// The number of the lease under which this engine writes.
    pub fence: i64,
}

impl Watch for Watcher {
    fn before(&self, operation: &'static str) -> Result<(), StateError> {
        let met = self.sim.meet(operation);
        let mut inner = self.sim.lock();
        if writes(operation) && inner.fence != self.fence {
            inner.disturbed += 1;
            return Err(failure("another engine has the pipeline"));
        }
        if writes(operation) && inner.disk_full > 0 {
            inner.disk_full -= 1;
            inner.disturbed += 1;
            return Err(failure("disk full"));
        }
        match met {
            Some(Fault::Fails | Fault::DiskFull) => Err(failure("disk full")),
            _ => Ok(()),
        }
    }

    fn after(&self, operation: &'static str) -> Result<(), StateError> {
        if operation == "begin" {
            self.sim.lock().in_transaction = true;
        }
        if matches!(operation, "commit" | "settle" | "requeue_refused") {
            self.sim.check_durable(operation);
        }
        match self.sim.behind() {
            Some(Fault::FailsBehind) => Err(failure("disk full")),
            _ => Ok(()),
        }
    }

    fn settled(&self, accepted: &[i64], refused: &[RefusedRecord]) {
        let refused = refused.iter().map(|record| record.seq);
        self.sim.lock().settled.extend(accepted.iter().copied().chain(refused));
    }

    fn ended(&self) {
        self.sim.lock().in_transaction = false;
    }
}

/// The way to the platform.
pub struct Wire {
    pub sim: Arc<Sim>,
}

/// A lease by its number. What the engine believes of it is another matter: it may have lost it a moment ago.
#[derive(Debug)]
pub struct Numbered(pub i64);

impl Lease for Numbered {
    fn fence(&self) -> Option<i64> {
        Some(self.0)
    }
}

impl Destination for Wire {
    fn send(&mut self, parcel: &Parcel, _cancel: &Cancel) -> Answer {
        let met = self.sim.meet("send");
        if met == Some(Fault::Panic) {
            resume_unwind(Box::new(source::DriverPanic));
        }
        let answer = self.carry(parcel, met).unwrap_or_else(|message| {
            self.sim.wrong(Wrong::Broken(message));
            Answer::Accepted { rejected: Vec::new() }
        });
        self.sim.behind();
        if let Answer::Accepted { rejected } = &answer {
            self.told(parcel, rejected);
        }
        answer
    }

    fn place(&self) -> &str {
        "the platform of the simulation"
    }
}

impl Wire {
    /// The engine knows that these records are safe.
    fn told(&self, parcel: &Parcel, rejected: &[RejectedRecord]) {
        let mut inner = self.sim.lock();
        let faults = inner.disturbed;
        for (place, record) in parcel.records.iter().enumerate() {
            if rejected.iter().all(|one| one.index != place) {
                inner.platform.told.insert(record.seq, faults);
            }
        }
    }

    fn carry(&self, parcel: &Parcel, met: Option<Fault>) -> Result<Answer, String> {
        let mut inner = self.sim.lock();
        let faults = inner.disturbed;
        if met == Some(Fault::Lost) {
            return Ok(Answer::Unknown { message: "connection reset by peer".to_owned() });
        }
        if met == Some(Fault::Late) {
            inner.platform.on_the_way.push(parcel.clone());
            return Ok(Answer::Unknown { message: "no answer within 30 s".to_owned() });
        }
        inner.platform.late(parcel)?;
        if !inner.platform.admits(parcel)? {
            return Ok(Answer::Later { message: "412: another engine has the pipeline".to_owned(), retry_after: None });
        }
        for record in &parcel.records {
            // What was taken and could not be settled comes again. It need not wait any more: a run beside the delivery,
            // or another engine's, may have superseded it since it was asked for. The newer record comes behind it.
            let is_needless = inner.platform.told.get(&record.seq) == Some(&faults);
            if is_needless || inner.settled.contains(&record.seq) {
                inner.wrong.push(Wrong::Doubled(format!("record {} of {} comes again", record.seq, record.id)));
            }
        }
        match met {
            Some(Fault::Busy) => {
                let retry_after = inner.random.percent(50).then_some(Duration::from_secs(30));
                return Ok(Answer::Later { message: "429: too many requests".to_owned(), retry_after });
            }
            Some(Fault::Invalid) => return Ok(Answer::Invalid { message: "400: a record is not valid".to_owned() }),
            Some(Fault::TooLarge) if parcel.records.len() > 1 => return Ok(Answer::TooLarge),
            Some(Fault::Refused) => return Ok(Answer::Refused { message: "401: who are you".to_owned() }),
            _ => {}
        }
        let refused = match met {
            Some(Fault::Partly) => vec![usize::try_from(inner.random.below(parcel.records.len() as i64)).unwrap()],
            _ => Vec::new(),
        };
        let rejected = inner.platform.receive(parcel, &refused)?;
        if met == Some(Fault::Twice) {
            inner.platform.receive(parcel, &refused)?;
        }
        if met == Some(Fault::AnswerLost) {
            return Ok(Answer::Unknown { message: "connection reset by peer".to_owned() });
        }
        Ok(Answer::Accepted { rejected })
    }
}
