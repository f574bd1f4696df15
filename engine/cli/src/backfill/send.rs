//! Sends what was chosen of a slice, and remembers after each parcel how far it has come.

use std::cell::RefCell;
use std::time::Duration;

use engine_core::backfill::{Chosen, digests};
use engine_core::dispatch::Dispatcher;
use engine_core::memory::MemoryStore;
use engine_core::state::{DeliveryState, Lease, RefusedRecord, SliceState, StateError, StateStore as _};

use super::{Backfill, Read};
use crate::exit::{CommandError, Kind};

/// How long a slice waits for a destination that is busy or cannot be reached.
const PATIENCE: Duration = Duration::from_secs(60);
/// Reasons that are told of the records of a slice that the destination refused.
const REFUSALS_TOLD: usize = 3;

/// The lease of a slice, without its number: that of the pipeline counts takings of the pipeline, and a receiver compares
/// the two.
#[derive(Debug)]
struct Unnumbered<'a>(&'a dyn Lease);

impl Lease for Unnumbered<'_> {
    fn is_held(&self) -> bool {
        self.0.is_held()
    }
}

/// What the destination said.
pub(super) struct Sent {
    /// Records that it refused, in earlier calls too.
    pub(super) refused: u64,
    /// Why, of some of them.
    pub(super) refusals: Vec<String>,
}

impl Backfill<'_> {
    /// Sends the records of a slice that are not acknowledged yet.
    pub(super) fn send(&self, read: Read, state: SliceState, lease: &dyn Lease) -> Result<Sent, CommandError> {
        let Read { plan, chosen, .. } = read;
        let plan = &plan;
        let digests = digests(&chosen);
        let begun = resumed(state, &digests);
        let outbox = MemoryStore::for_one_run(chosen.len());
        fill(&outbox, &plan.id, chosen, begun.acknowledged)?;
        let (number, round) = (begun.number, begun.round);
        let state = RefCell::new(begun);
        let settled = |accepted: &[i64], refused: &[RefusedRecord]| self.remember(&state, &digests, accepted, refused);
        let places_of = format!("{}/backfill/{}/{number}/{round}", self.id, self.job_id);
        self.open.with_outlet(plan, |outlet| {
            let dispatcher = Dispatcher {
                pipeline: &plan.id,
                labels: &plan.labels,
                limit: outlet.limit(),
                store: &outbox,
                lease: &Unnumbered(lease),
                clock: self.clock,
                cancel: self.cancel,
                random: &|| fastrand::u64(..),
                places_of: &places_of,
                settled: &settled,
                measures_age: false,
            };
            let report = outlet.dispatch(&dispatcher, PATIENCE)?;
            let Some(stopped) = report.stopped else { return Ok(()) };
            Err(CommandError::new(Kind::Environment, format!("{}: {}", outlet.place(), stopped.reason))
                .hint("what was acknowledged is remembered: the same command goes on from here"))
        })?;
        if outbox.counts(&plan.id)?.outbox > 0 {
            return Err(self.stopped());
        }
        let mut state = state.into_inner();
        if !state.done {
            // There was nothing to send, or nothing that was not acknowledged already.
            (state.acknowledged, state.digest) = all(&digests);
            state.done = true;
            self.store.put_slice(self.id, &self.job_id, &state)?;
        }
        let refusals = outbox.refused(&plan.id)?.into_iter().take(REFUSALS_TOLD);
        let refusals = refusals.map(|entry| format!("{}: {}: {}", entry.id, entry.code, entry.message)).collect();
        Ok(Sent { refused: state.refused, refusals })
    }

    /// Records are settled in their order: the last of them says how far the slice has come. With the last of all it is
    /// done, in the same commit.
    fn remember(
        &self,
        state: &RefCell<SliceState>,
        digests: &[u64],
        accepted: &[i64],
        refused: &[RefusedRecord],
    ) -> Result<(), StateError> {
        let mut state = state.borrow_mut();
        let last = accepted.iter().copied().chain(refused.iter().map(|one| one.seq)).max();
        let last = last.and_then(|last| usize::try_from(last).ok()).unwrap_or_default();
        (state.acknowledged, state.digest) = digests.get(last).map_or(all(digests), |digest| (last as u64, *digest));
        state.done = state.acknowledged == all(digests).0;
        state.refused += refused.len() as u64;
        self.store.put_slice(self.id, &self.job_id, &state)
    }
}

/// How many records there are, and their hash.
fn all(digests: &[u64]) -> (u64, u64) {
    (digests.len() as u64 - 1, digests[digests.len() - 1])
}

/// Goes on where the last process stopped, as long as the source says of what was sent what it said then.
fn resumed(state: SliceState, digests: &[u64]) -> SliceState {
    let sent = usize::try_from(state.acknowledged).unwrap_or(usize::MAX);
    match digests.get(sent) {
        Some(digest) if *digest == state.digest || sent == 0 => state,
        _ => SliceState { acknowledged: 0, digest: 0, refused: 0, ..state },
    }
}

/// Puts all records into their places, from 1 on, and takes out what is acknowledged: the places, and with them the
/// keys of parcels, are the same whenever the slice is sent.
fn fill(outbox: &MemoryStore, id: &str, chosen: Vec<Chosen>, acknowledged: u64) -> Result<(), StateError> {
    outbox.enqueue_all(id, chosen.into_iter().map(|Chosen { id, body, .. }| (id, body)));
    let acknowledged: Vec<i64> = (1..=i64::try_from(acknowledged).unwrap_or(i64::MAX)).collect();
    outbox.settle(id, &acknowledged, &[], &DeliveryState::default(), jiff::Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn record(no: u128) -> Chosen {
        Chosen { id: Uuid::from_u128(no), hash: no as u64, body: format!("{{\"no\":{no}}}").into() }
    }

    #[test]
    fn a_slice_goes_on_as_long_as_the_source_says_the_same() {
        let chosen: Vec<Chosen> = (0..5).map(record).collect();
        let state = |acknowledged: u64, digest: u64| SliceState {
            number: 3,
            acknowledged,
            digest,
            refused: 1,
            ..SliceState::default()
        };
        let begun = state(2, digests(&chosen)[2]);
        assert_eq!(resumed(begun.clone(), &digests(&chosen)), begun);
        assert_eq!(resumed(begun.clone(), &digests(&chosen[..2])), begun, "what follows does not matter");
        let anew = SliceState { number: 3, ..SliceState::default() };
        assert_eq!(resumed(begun.clone(), &digests(&chosen[1..])), anew, "another record is the first");
        assert_eq!(resumed(begun, &digests(&chosen[..1])), anew, "there are fewer");
        assert_eq!(resumed(SliceState::default(), &digests(&[])), SliceState::default());
    }

    #[test]
    fn records_keep_their_places() {
        let outbox = MemoryStore::new();
        let chosen: Vec<Chosen> = (0..5).map(record).collect();
        fill(&outbox, "p", chosen.clone(), 2).expect("fills");
        let waiting = outbox.claim("p", 10, usize::MAX).expect("reads");
        let places: Vec<(i64, Uuid)> = waiting.iter().map(|record| (record.seq, record.id)).collect();
        assert_eq!(places, [(3, chosen[2].id), (4, chosen[3].id), (5, chosen[4].id)]);
    }
}
