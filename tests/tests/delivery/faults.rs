//! A whole outbox through faults of every kind.

use std::collections::BTreeMap;

use engine_core::deliver::{Circuit, ParcelLimit, Rejection, Step};
use engine_core::ports::Destination;
use engine_core::state::OutboxRecord;
use engine_spec::model::Compression;
use engine_tests::platform::{Fault, Platform};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{BRIEF, config, id, open, pack, removal, run, send};

struct Outcome {
    rejected: Vec<Rejection>,
    pauses: usize,
}

/// Delivers an outbox as the engine does, without the waiting.
fn deliver(destination: &mut impl Destination, outbox: &[OutboxRecord], limit: ParcelLimit) -> Outcome {
    let mut circuit = Circuit::new(limit);
    let mut outcome = Outcome { rejected: Vec::new(), pauses: 0 };
    let mut rest = outbox;
    for _ in 0..10_000 {
        if rest.is_empty() {
            return outcome;
        }
        let parcel = pack(&rest[..circuit.cut(rest.iter().map(|record| record.body.len()))]);
        let answer = send(destination, &parcel);
        let (next, step) = circuit.next(&parcel, &answer, Timestamp::UNIX_EPOCH, 0);
        circuit = next;
        match step {
            Step::Settle { accepted, rejected } => {
                rest = &rest[accepted.len() + rejected.len()..];
                outcome.rejected.extend(rejected);
            }
            Step::SplitAndRetry | Step::RetrySame { .. } => {}
            Step::Pause { .. } => outcome.pauses += 1,
        }
    }
    panic!("no progress: {} records are left", rest.len());
}

/// Upserts of 40 runs, corrections of some, removals of others: 60 records in order.
fn outbox() -> Vec<OutboxRecord> {
    let upserts = (0..40).map(|number| run(number, number));
    let corrections = (40..50).map(|seq| run(seq, seq - 40));
    let removals = (50..60).map(|seq| removal(seq, seq - 40));
    upserts.chain(corrections).chain(removals).collect()
}

fn every_fault() -> Vec<Fault> {
    vec![
        Fault::status(503),
        Fault::CutBeforeBody,
        Fault::Serve,
        Fault::too_many(1),
        Fault::CutAfterApply,
        Fault::CutMidBody,
        Fault::Stall,
        Fault::status(401),
        Fault::CutMidAnswer,
        Fault::StallAfterApply,
        // A parcel that was applied is answered as such before the next fault: no server says 413 to a replay.
        Fault::Serve,
        Fault::status(413),
        Fault::Drip,
        Fault::Conflict,
        Fault::status(422),
        Fault::CutAfterApply,
        Fault::status(500),
    ]
}

fn undisturbed() -> BTreeMap<String, Value> {
    let platform = Platform::start();
    deliver(&mut open(&config(&platform.url())), &outbox(), ParcelLimit::default());
    platform.assert_contract();
    platform.state()
}

#[test]
fn the_final_state_is_that_of_an_undisturbed_delivery() {
    let expected = undisturbed();
    assert_eq!(expected.len(), 30);
    for forgets in [false, true] {
        let platform = Platform::start();
        platform.script(every_fault());
        if forgets {
            platform.forget_keys();
        }
        let mut config = config(&platform.url());
        config.compression = Compression::Zstd;
        // Faults must be noticed soon, and a busy machine only adds another replay.
        config.timeouts.query = BRIEF;
        let outcome = deliver(&mut open(&config), &outbox(), ParcelLimit { records: 7, bytes: usize::MAX });
        assert_eq!(platform.state(), expected);
        assert_eq!((outcome.rejected, outcome.pauses), (Vec::new(), 1));
        assert!(forgets || (platform.doubles() == 0 && platform.records() == 60), "{}", platform.doubles());
        assert!(platform.requests().len() >= every_fault().len());
        platform.assert_contract();
    }
}

#[test]
fn bad_records_are_found_and_the_others_arrive() {
    let platform = Platform::start();
    let (bad, unwanted) = ([id(3), id(21), id(22)], id(30));
    platform.refuse_parcels_with(bad.iter().map(String::as_str)).reject_records([unwanted.as_str()]);
    let records: Vec<_> = (0..40).map(|number| run(number, number)).collect();
    let outcome = deliver(&mut open(&config(&platform.url())), &records, ParcelLimit::default());
    let seqs: Vec<_> = outcome.rejected.iter().map(|one| (one.seq, one.code.as_str())).collect();
    assert_eq!(seqs, [(3, "invalid_record"), (21, "invalid_record"), (22, "invalid_record"), (30, "not_wanted")]);
    assert!(outcome.rejected[0].message.contains(&format!("record {} cannot be taken", id(3))));
    assert_eq!(platform.state().len(), 36);
    platform.assert_contract();
}

#[test]
fn parcels_shrink_to_what_the_endpoint_takes() {
    let platform = Platform::start();
    platform.limit_bytes(2_000);
    let mut records: Vec<_> = (0..40).map(|number| run(number, number)).collect();
    records[9].body = records[9].body.replace("order 9", &"9".repeat(3_000)).into();
    let outcome = deliver(&mut open(&config(&platform.url())), &records, ParcelLimit::default());
    assert_eq!(outcome.rejected.iter().map(|one| one.seq).collect::<Vec<_>>(), [9]);
    assert_eq!(platform.state().len(), 39);
}

fn passing_fault() -> impl Strategy<Value = Fault> {
    prop::sample::select(vec![
        Fault::Serve,
        Fault::status(503),
        Fault::status(401),
        Fault::too_many(1),
        Fault::CutBeforeBody,
        Fault::CutMidBody,
        Fault::CutAfterApply,
        Fault::CutMidAnswer,
        Fault::Drip,
        Fault::Conflict,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever passes between engine and platform for a while, the final state is the same, and a platform that
    /// remembers keys applies every record once.
    #[test]
    fn no_passing_fault_changes_the_final_state(
        faults in prop::collection::vec(passing_fault(), 0..12),
        records in 1usize..30,
        forgets: bool,
    ) {
        let platform = Platform::start();
        platform.script(faults);
        if forgets {
            platform.forget_keys();
        }
        let limit = ParcelLimit { records, bytes: usize::MAX };
        let outcome = deliver(&mut open(&config(&platform.url())), &outbox(), limit);
        let numbers: Vec<i64> = (0..40).filter(|number| !(10..20).contains(number)).collect();
        let state = platform.state();
        prop_assert_eq!(state.keys().cloned().collect::<Vec<_>>(), numbers.iter().copied().map(id).collect::<Vec<_>>());
        for number in numbers {
            let last = if number < 10 { number + 40 } else { number };
            prop_assert_eq!(&state[&id(number)]["production_order"], &json!(format!("order {last}")));
        }
        prop_assert!(outcome.rejected.is_empty());
        prop_assert!(forgets || platform.records() == 60);
        prop_assert_eq!(platform.violations(), Vec::<String>::new());
    }
}
