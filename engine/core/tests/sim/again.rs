//! Whether the simulation tells a record that is doubled from one that may come again.

use std::sync::Arc;

use engine_core::ports::{Cancel, Destination, Parcel};
use engine_core::state::StateStore;
use serde_json::json;

use crate::ports::Wire;
use crate::setup::Reads;
use crate::world::{Sim, Wrong};

/// A world whose outbox takes everything that a window gives, after a first run.
fn world() -> Arc<Sim> {
    let fits = |sim: &Arc<Sim>| sim.setup.reads == Reads::Window && sim.setup.outbox_bytes_max == u64::MAX;
    let sim = (0..).map(Sim::new).find(fits).unwrap();
    sim.run().unwrap();
    sim
}

/// What a delivery has in hand that asked just now.
fn in_hand(sim: &Arc<Sim>) -> Parcel {
    let records = sim.store.claim(sim.id(), usize::MAX, usize::MAX).unwrap();
    assert!(!records.is_empty());
    Parcel {
        idempotency_key: format!("{:?}", records.iter().map(|record| record.seq).collect::<Vec<_>>()),
        pipeline: sim.id().to_owned(),
        labels: sim.plan().labels.clone(),
        fence: Some(sim.lock().fence),
        records,
    }
}

/// Sends a parcel. What was wrong with it?
fn send(sim: &Arc<Sim>, parcel: &Parcel) -> Vec<Wrong> {
    Wire { sim: Arc::clone(sim) }.send(parcel, &Cancel::default());
    std::mem::take(&mut sim.lock().wrong)
}

/// Every row is another one, and a run has seen it.
fn everything_changes(sim: &Arc<Sim>) {
    for row in &mut sim.rows().rows {
        row.insert("art".to_owned(), json!("another"));
    }
    sim.run().unwrap();
}

/// How many records were doubled; nothing else may be wrong.
fn doubled(wrong: &[Wrong]) -> usize {
    assert!(wrong.iter().all(|wrong| matches!(wrong, Wrong::Doubled(_))), "{wrong:?}");
    wrong.len()
}

#[test]
fn what_was_not_settled_may_come_again_although_it_was_superseded() {
    let sim = world();
    let parcel = in_hand(&sim);
    assert!(send(&sim, &parcel).is_empty());
    // It could not be settled: a disk was full, or the process ended.
    sim.lock().disturbed += 1;
    everything_changes(&sim);
    let waits = sim.store.snapshot(sim.id()).outbox;
    assert!(parcel.records.iter().all(|record| !waits.contains(record.seq)), "all of it is superseded");
    let wrong = send(&sim, &parcel);
    assert!(wrong.is_empty(), "who has it in hand may send it: {wrong:?}");
    sim.settle_down().unwrap();
}

#[test]
fn what_was_settled_is_doubled_whatever_has_failed_since() {
    let sim = world();
    let parcel = in_hand(&sim);
    sim.deliver().unwrap();
    sim.lock().disturbed += 1;
    assert_eq!(doubled(&send(&sim, &parcel)), parcel.records.len());
    // Nor does it help that something newer waits by now.
    everything_changes(&sim);
    assert_eq!(doubled(&send(&sim, &parcel)), parcel.records.len());
}

#[test]
fn who_has_lost_the_pipeline_is_refused_although_its_heir_is_late() {
    let sim = world();
    let parcel = in_hand(&sim);
    sim.lock().fence += 1;
    everything_changes(&sim);
    let heirs = in_hand(&sim);
    sim.lock().platform.on_the_way.push(heirs.clone());
    assert!(send(&sim, &parcel).is_empty());
    // Nor is it taken where it is late itself.
    sim.lock().platform.on_the_way.push(parcel);
    assert!(send(&sim, &heirs).is_empty());
    sim.settle_down().unwrap();
}

#[test]
fn what_was_taken_is_doubled_where_nothing_has_failed_since() {
    let sim = world();
    let parcel = in_hand(&sim);
    assert!(send(&sim, &parcel).is_empty());
    assert_eq!(doubled(&send(&sim, &parcel)), parcel.records.len());
}
