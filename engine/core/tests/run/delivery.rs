//! The delivery loop: nothing lost, nothing doubled, order kept, whatever the destination answers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use engine_core::deliver::{Circuit, ParcelLimit};
use engine_core::dispatch::{DispatchReport, Dispatcher};
use engine_core::ports::{Answer, Cancel, Clock, Destination, Parcel, RejectedRecord};
use engine_core::state::{SoleLease, Stage, StateError, StateStore};
use proptest::prelude::*;
use serde_json::Value;

use crate::flaky::{Flaky, Lost};
use crate::kit::{Platform, World, at, order, order_spec, order_table};

/// What a destination does with one parcel.
#[derive(Debug, Clone, PartialEq)]
enum Act {
    Take,
    /// Takes all but the first record.
    RefuseFirst,
    /// Takes it, and the answer is lost.
    TakeSilently,
    /// Loses it, and nobody knows.
    Lose,
    Busy,
    TooLarge,
    Forbid,
}

/// A destination that follows a script, and takes everything once it has ended.
#[derive(Default)]
struct Scripted {
    platform: Platform,
    script: VecDeque<Act>,
    /// Orders that are never taken.
    poison: Vec<String>,
    /// What was sent under a key.
    sent: BTreeMap<String, Vec<String>>,
}

impl Destination for Scripted {
    fn send(&mut self, parcel: &Parcel, _cancel: &Cancel) -> Answer {
        let bodies: Vec<String> = parcel.records.iter().map(|record| record.body.to_string()).collect();
        let before = self.sent.insert(parcel.idempotency_key.clone(), bodies.clone());
        assert!(before.is_none_or(|before| before == bodies), "a key stands for one parcel");
        assert!(parcel.records.is_sorted_by(|one, other| one.seq < other.seq), "the order is kept");
        if self.poison.iter().any(|order| bodies.iter().any(|body| body.contains(&format!("\"{order}\"")))) {
            return Answer::Invalid { message: "a record is not valid".to_owned() };
        }
        let message = "busy".to_owned();
        match self.script.pop_front().unwrap_or(Act::Take) {
            Act::Take => {
                self.platform.take(parcel);
                Answer::Accepted { rejected: Vec::new() }
            }
            Act::RefuseFirst => {
                let rest = Parcel { records: parcel.records[1..].to_vec(), ..parcel.clone() };
                self.platform.take(&rest);
                let code = "unknown_order".to_owned();
                Answer::Accepted { rejected: vec![RejectedRecord { index: 0, code, message: "no".to_owned() }] }
            }
            Act::TakeSilently => {
                self.platform.take(parcel);
                Answer::Unknown { message }
            }
            Act::Lose => Answer::Unknown { message },
            Act::Busy => Answer::Later { message, retry_after: Some(Duration::from_secs(60)) },
            Act::TooLarge if parcel.records.len() > 1 => Answer::TooLarge,
            Act::TooLarge => {
                self.platform.take(parcel);
                Answer::Accepted { rejected: Vec::new() }
            }
            Act::Forbid => Answer::Refused { message },
        }
    }

    fn place(&self) -> &str {
        "the destination of the script"
    }
}

fn deliver_from(
    world: &World,
    store: &dyn StateStore,
    to: &mut Scripted,
    circuit: &mut Circuit,
    patience: Duration,
) -> Result<DispatchReport, StateError> {
    let cancel = Cancel::default();
    let labels = BTreeMap::new();
    let dispatcher = Dispatcher {
        pipeline: &world.plan.id,
        labels: &labels,
        limit: LIMIT,
        store,
        lease: &SoleLease,
        clock: &world.clock,
        cancel: &cancel,
        random: &|| u64::MAX / 2,
        places_of: &world.plan.id,
        settled: &|_, _| Ok(()),
        measures_age: false,
    };
    dispatcher.deliver(to, circuit, patience)
}

fn deliver(world: &World, to: &mut Scripted, circuit: &mut Circuit, patience: Duration) -> DispatchReport {
    deliver_from(world, &world.store, to, circuit, patience).expect("the store holds")
}

const LIMIT: ParcelLimit = ParcelLimit { records: 4, bytes: 1 << 20 };
const DAY: Duration = Duration::from_secs(86_400);

fn world(orders: i64) -> World {
    let rows: Vec<Value> =
        (0..orders).map(|id| order(id, &format!("A{id}"), "M1", id * 10, Some(id * 10 + 5))).collect();
    World::with_rows(&order_spec(""), order_table(), &rows)
}

#[test]
fn everything_goes_in_order_and_in_parcels() {
    let world = world(10);
    world.run_well();
    let mut to = Scripted::default();
    let report = deliver(&world, &mut to, &mut Circuit::new(LIMIT), Duration::ZERO);
    assert_eq!((report.accepted, report.parcels, report.stopped), (10, 3, None));
    assert!(to.platform.received.is_sorted_by(|one, other| one.0 < other.0));
    assert_eq!(deliver(&world, &mut to, &mut Circuit::new(LIMIT), Duration::ZERO).parcels, 0);
    assert_eq!(world.store.delivery("orders").expect("the store holds").last_acknowledged, Some(at(2 * 1440)));
}

#[test]
fn a_busy_destination_is_waited_for_as_long_as_patience_lasts() {
    let world = world(3);
    world.run_well();
    let mut to = Scripted { script: vec![Act::Busy, Act::Busy].into(), ..Scripted::default() };
    let mut circuit = Circuit::new(LIMIT);
    let report = deliver(&world, &mut to, &mut circuit, Duration::ZERO);
    let stopped = report.stopped.expect("it gave up");
    assert!(!stopped.paused && stopped.retry_at > at(2 * 1440 + 1));
    let state = world.store.delivery("orders").expect("the store holds");
    assert_eq!((state.problem.as_deref(), state.since, state.attempts), (Some("busy"), Some(at(2 * 1440)), 1));
    let report = deliver(&world, &mut to, &mut circuit, DAY);
    assert_eq!((report.accepted, report.stopped), (3, None));
    assert_eq!(to.sent.len(), 1, "one parcel, one key, three attempts");
    let state = world.store.delivery("orders").expect("the store holds");
    assert_eq!((state.problem, state.since, state.attempts), (None, None, 0));
}

#[test]
fn a_refused_login_pauses() {
    let world = world(3);
    world.run_well();
    let mut to = Scripted { script: vec![Act::Forbid].into(), ..Scripted::default() };
    let report = deliver(&world, &mut to, &mut Circuit::new(LIMIT), DAY);
    assert!(report.stopped.expect("it stopped").paused);
    assert_eq!(report.parcels, 1);
    assert_eq!(world.store.counts("orders").expect("the store holds").outbox, 3);
}

#[test]
fn a_newer_record_supersedes_what_waits() {
    let world = world(1);
    world.run_well();
    let mut to = Scripted { script: vec![Act::TakeSilently].into(), ..Scripted::default() };
    let mut circuit = Circuit::new(LIMIT);
    deliver(&world, &mut to, &mut circuit, Duration::ZERO);
    world.set_rows(&[order(0, "A0", "M1", 0, Some(7))]);
    world.run_well();
    let report = deliver(&world, &mut to, &mut circuit, DAY);
    assert_eq!(report.accepted, 1);
    assert_eq!(to.platform.received.len(), 2);
    let end = |place: usize| to.platform.received[place].1["end"].clone();
    assert_eq!((end(0), end(1)), ("2025-03-10T00:05:00Z".into(), "2025-03-10T00:07:00Z".into()));
}

#[test]
fn a_poisonous_record_is_found_and_the_rest_goes() {
    let world = world(10);
    world.run_well();
    let mut to = Scripted { poison: vec!["A5".to_owned()], ..Scripted::default() };
    let report = deliver(&world, &mut to, &mut Circuit::new(LIMIT), Duration::ZERO);
    assert_eq!((report.accepted, report.refused), (9, 1));
    let quarantined = world.quarantined();
    assert_eq!((quarantined.len(), quarantined[0].stage), (1, Stage::Delivery));
    // It is tried again later, and leaves quarantine when it is taken.
    to.poison.clear();
    assert_eq!(deliver(&world, &mut to, &mut Circuit::new(LIMIT), Duration::ZERO).parcels, 0, "not at once");
    world.clock.set(world.clock.now() + DAY);
    assert_eq!(deliver(&world, &mut to, &mut Circuit::new(LIMIT), Duration::ZERO).accepted, 1);
    assert_eq!((to.platform.records.len(), world.quarantined().len()), (10, 0));
}

#[test]
fn a_refused_record_that_changed_is_not_sent_as_it_was() {
    let world = world(1);
    world.run_well();
    let mut to = Scripted { script: vec![Act::RefuseFirst].into(), ..Scripted::default() };
    assert_eq!(deliver(&world, &mut to, &mut Circuit::new(LIMIT), Duration::ZERO).refused, 1);
    world.set_rows(&[order(0, "B0", "M1", 0, Some(5))]);
    world.run_well();
    world.clock.set(world.clock.now() + DAY);
    deliver(&world, &mut to, &mut Circuit::new(LIMIT), Duration::ZERO);
    let orders: Vec<&Value> = to.platform.received.iter().map(|(_, record)| &record["production_order"]).collect();
    assert_eq!(orders, ["B0"]);
    assert_eq!(world.quarantined(), []);
}

#[test]
fn a_crash_between_sending_and_settling_sends_the_same_parcel_again() {
    for lost in [Lost::Work, Lost::Answer] {
        for operations in 0.. {
            let world = world(6);
            world.run_well();
            let mut to = Scripted::default();
            let flaky = Flaky::after(&world.store, operations, lost);
            let crashed = deliver_from(&world, &flaky, &mut to, &mut Circuit::new(LIMIT), DAY);
            if crashed.is_ok() {
                assert!(operations > 5);
                break;
            }
            // The process starts over: nothing is left but the store.
            deliver(&world, &mut to, &mut Circuit::new(LIMIT), DAY);
            assert_eq!(to.sent.len(), 2, "two parcels, whatever happened in between");
            assert_eq!((to.platform.records.len(), world.store.counts("orders").expect("holds").outbox), (6, 0));
        }
    }
}

#[derive(Debug, Clone)]
enum Event {
    /// A row says something else, or is gone.
    Change(i64, Option<i64>),
    Run,
    Deliver,
    /// The process starts over.
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0i64..12, prop::option::weighted(0.8, 1i64..9)).prop_map(|(id, length)| Event::Change(id, length)),
        3 => Just(Event::Run),
        3 => Just(Event::Deliver),
        1 => Just(Event::Restart),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    use Act::{Busy, Forbid, Lose, RefuseFirst, Take, TakeSilently, TooLarge};
    prop::sample::select(vec![Take, Take, RefuseFirst, TakeSilently, Lose, Busy, TooLarge, Forbid])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the destination does for a while, it ends with what the source says.
    #[test]
    fn nothing_is_lost_and_nothing_stays(
        events in prop::collection::vec(event(), 1..30), script in prop::collection::vec(act(), 0..30),
    ) {
        let mut world = world(1);
        world.plan.sync.delete_limit = 100.0;
        let mut to = Scripted { script: script.into(), ..Scripted::default() };
        let mut circuit = Circuit::new(LIMIT);
        for event in events {
            match event {
                Event::Change(id, length) => world.edit(|table| {
                    table.rows.retain(|row| row["id"] != id + 1);
                    if let Some(length) = length {
                        table.rows.push(crate::kit::row(&order(id + 1, "B", "M2", id, Some(id + length))));
                    }
                }),
                Event::Run => drop(world.run_well()),
                Event::Deliver => drop(deliver(&world, &mut to, &mut circuit, Duration::from_secs(100))),
                Event::Restart => circuit = Circuit::new(LIMIT),
            }
        }
        world.run_well();
        to.script.clear();
        for _ in 0..2 {
            // Once for what waits, once for what was refused.
            deliver(&world, &mut to, &mut circuit, DAY);
            world.clock.set(world.clock.now() + DAY / 4);
        }
        prop_assert_eq!(world.store.counts("orders").expect("the store holds").outbox, 0);
        prop_assert_eq!(world.quarantined(), []);
        let mut fresh = World::new(&order_spec(""), order_table());
        fresh.edit(|table| table.rows = world.table.lock().expect("no test panicked with it").rows.clone());
        fresh.run_and_deliver();
        prop_assert_eq!(&to.platform.records, &fresh.platform.records);
        for id in to.platform.records.keys() {
            let seqs: Vec<i64> = to.platform.received.iter()
                .filter(|(_, record)| record["run_id"] == id.as_str()).map(|(seq, _)| *seq).collect();
            prop_assert!(seqs.is_sorted(), "an older record of an id never follows a newer one");
        }
    }
}
