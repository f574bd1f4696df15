//! The destination: keeps one record per id, as the contract asks of it, and watches how records come.
//!
//! What HTTP can do to a request: it is lost on the way, its answer is lost, a proxy sends it twice, or it arrives after
//! the engine gave up waiting. What arrives so late comes before the next request with other records, or is a repetition
//! of what has been applied under its key since. That is what "in order" means to a receiver: one that is still busy
//! with a request must not apply it after the next. The engine cannot take a request back.

use std::collections::{BTreeMap, HashMap};

use engine_core::ports::{Parcel, RejectedRecord};
use uuid::Uuid;

/// What a refused record is told.
const CODE: &str = "unknown_order";

/// A destination in memory.
#[derive(Debug, Default)]
pub struct Platform {
    pub records: BTreeMap<Uuid, String>,
    remembers_keys: bool,
    /// The first answer to every key.
    keys: HashMap<String, Vec<RejectedRecord>>,
    /// The greatest fencing number that came.
    fence: i64,
    /// The place in the outbox of the last record of an id.
    last: HashMap<Uuid, i64>,
    /// Requests that nobody waits for any more, and that have not arrived yet.
    pub on_the_way: Vec<Parcel>,
    /// Records that name this order are refused.
    pub poison: Option<&'static str>,
    /// Faults that had been injected when a record was accepted, and the engine was told.
    pub told: HashMap<i64, u64>,
    pub received: u64,
}

impl Platform {
    pub fn new(remembers_keys: bool) -> Self {
        Self { remembers_keys, ..Self::default() }
    }

    /// Whether a parcel holds a record that is refused.
    pub fn refuses(&self, body: &str) -> bool {
        self.poison.is_some_and(|order| body.contains(order))
    }

    /// Whether a parcel comes from the engine that has the pipeline, as far as the platform knows. From now on, one that
    /// comes from an engine that had it before does not.
    pub fn admits(&mut self, parcel: &Parcel) -> Result<bool, String> {
        let fence = parcel.fence.ok_or("a parcel without the number of its lease")?;
        let admitted = fence >= self.fence;
        self.fence = self.fence.max(fence);
        Ok(admitted)
    }

    /// Requests on the way arrive: those with other records first, those of the same parcel as it happens. Nobody hears
    /// whether they are refused.
    pub fn late(&mut self, parcel: &Parcel) -> Result<(), String> {
        for late in std::mem::take(&mut self.on_the_way) {
            let overtaken = late.idempotency_key == parcel.idempotency_key && late.fence <= parcel.fence;
            if overtaken && self.remembers_keys && self.admits(parcel)? {
                self.receive(parcel, &[])?;
            }
            if self.admits(&late)? {
                self.receive(&late, &[])?;
            }
        }
        Ok(())
    }

    /// Applies a parcel, but for the records at these places.
    pub fn receive(&mut self, parcel: &Parcel, refused: &[usize]) -> Result<Vec<RejectedRecord>, String> {
        if self.remembers_keys
            && let Some(first) = self.keys.get(&parcel.idempotency_key)
        {
            return Ok(first.clone());
        }
        let mut rejected = Vec::new();
        for (index, record) in parcel.records.iter().enumerate() {
            if refused.contains(&index) || self.refuses(&record.body) {
                rejected.push(RejectedRecord { index, code: CODE.to_owned(), message: "no such order".to_owned() });
                continue;
            }
            self.received += 1;
            let id = record.id;
            let last = self.last.insert(id, record.seq);
            if last.is_some_and(|last| last > record.seq) {
                return Err(format!("record {} of {id} comes after record {last:?}", record.seq));
            }
            if is_delete(&record.body) {
                self.records.remove(&id);
            } else {
                self.records.insert(id, record.body.to_string());
            }
        }
        self.keys.insert(parcel.idempotency_key.clone(), rejected.clone());
        Ok(rejected)
    }
}

/// Whether a record says that something is gone.
pub fn is_delete(body: &str) -> bool {
    body.starts_with("{\"op\":\"delete\"")
}
