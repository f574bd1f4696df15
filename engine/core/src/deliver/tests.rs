use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::ports::RejectedRecord;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn record(seq: i64) -> OutboxRecord {
    let body = format!(r#"{{"op":"upsert","run_id":"id-{seq}"}}"#);
    OutboxRecord { seq, id: Uuid::from_u128(seq as u128), body: body.into() }
}

fn parcel(seqs: impl IntoIterator<Item = i64>) -> Parcel {
    let records: Vec<_> = seqs.into_iter().map(record).collect();
    Parcel {
        idempotency_key: parcel_key("p", &records),
        pipeline: "p".to_owned(),
        labels: BTreeMap::new(),
        fence: None,
        records,
    }
}

fn circuit(records: usize) -> Circuit {
    Circuit::new(ParcelLimit { records, bytes: usize::MAX })
}

fn invalid() -> Answer {
    Answer::Invalid { message: "no".to_owned() }
}

fn accepted() -> Answer {
    Answer::Accepted { rejected: Vec::new() }
}

fn later(retry_after: Option<u64>) -> Answer {
    Answer::Later { message: "503".to_owned(), retry_after: retry_after.map(Duration::from_secs) }
}

#[test]
fn the_wait_grows_to_the_cap_and_obeys_the_destination() {
    let most = u64::MAX;
    // attempts, random, asked in seconds, expected milliseconds (rounded)
    let table = [
        (1, 0, None, 0),
        (1, most, None, 500),
        (1, most / 2, None, 250),
        (2, most, None, 1_000),
        (5, most, None, 8_000),
        (9, most, None, 120_000),
        (u32::MAX, most, None, 120_000),
        (0, most, None, 500),
        (1, 0, Some(30), 30_000),
        (2, most, Some(30), 31_000),
        (1, 0, Some(86_400), 3_600_000),
    ];
    for (attempts, random, asked, millis) in table {
        let wait = backoff(attempts, random, asked.map(Duration::from_secs));
        assert_eq!((wait.as_secs_f64() * 1000.0).round() as u64, millis, "{attempts} {random} {asked:?}");
    }
}

#[test]
fn a_parcel_is_cut_by_records_and_by_bytes_and_never_empty() {
    let circuit = Circuit::new(ParcelLimit { records: 3, bytes: 10 });
    for (lengths, expected) in
        [(vec![], 0), (vec![1], 1), (vec![1, 1, 1, 1], 3), (vec![5, 5, 1], 2), (vec![5, 6], 1), (vec![99, 1], 1)]
    {
        assert_eq!(circuit.cut(lengths.clone()), expected, "{lengths:?}");
    }
}

#[test]
fn too_large_halves_and_success_grows_back() {
    let (mut state, step) = circuit(8).next(&parcel(0..8), &Answer::TooLarge, NOW, 0);
    assert_eq!((step, state.cut([1; 8])), (Step::SplitAndRetry, 4));
    (state, _) = state.next(&parcel(0..4), &Answer::TooLarge, NOW, 0);
    assert_eq!(state.cut([1; 8]), 2);
    for _ in 1..GROW_AFTER_PARCELS {
        (state, _) = state.next(&parcel(0..2), &accepted(), NOW, 0);
        assert_eq!(state.cut([1; 8]), 2);
    }
    for expected in [4, 8] {
        (state, _) = state.next(&parcel(0..2), &accepted(), NOW, 0);
        assert_eq!(state.cut([1; 9]), expected);
        for _ in 1..GROW_AFTER_PARCELS {
            (state, _) = state.next(&parcel(0..2), &accepted(), NOW, 0);
        }
    }
}

#[test]
fn a_record_that_is_too_large_alone_is_rejected() {
    let (_, step) = circuit(8).next(&parcel([7]), &Answer::TooLarge, NOW, 0);
    let Step::Settle { accepted, rejected } = step else { panic!("{step:?}") };
    assert!(accepted.is_empty());
    assert_eq!((rejected[0].seq, rejected[0].code.as_str()), (7, CODE_TOO_LARGE));
}

#[test]
fn bisecting_finds_the_bad_record_in_logarithmic_steps() {
    for bad in 0..64 {
        let run = deliver(64, &BTreeSet::from([bad]), &[], usize::MAX, 64);
        assert_eq!(run.rejected, [bad]);
        assert!(run.sends <= 2 * 6 + 2, "record {bad} took {} requests", run.sends);
    }
}

#[test]
fn the_same_parcel_comes_again_after_a_failure_even_if_more_waits() {
    for answer in [later(None), Answer::Unknown { message: String::new() }, Answer::Refused { message: String::new() }]
    {
        let (state, _) = circuit(8).next(&parcel(0..3), &answer, NOW, 0);
        assert_eq!(state.cut([1; 8]), 3, "{answer:?}");
    }
}

#[test]
fn waiting_is_counted_and_forgotten_on_success() {
    let (state, step) = circuit(8).next(&parcel(0..3), &later(Some(7)), NOW, 0);
    assert_eq!(step, Step::RetrySame { at: Timestamp::from_second(7).unwrap(), reason: "503".to_owned() });
    let (state, _) = state.next(&parcel(0..3), &later(None), NOW, 0);
    assert_eq!(state.attempts(), 2);
    let (state, _) = state.next(&parcel(0..3), &accepted(), NOW, 0);
    assert_eq!(state, circuit(8).next(&parcel(0..3), &accepted(), NOW, 0).0);
}

#[test]
fn a_refused_login_pauses() {
    let refused = Answer::Refused { message: "401".to_owned() };
    let (_, step) = circuit(8).next(&parcel(0..3), &refused, NOW, u64::MAX);
    assert_eq!(step, Step::Pause { until: Timestamp::from_second(300).unwrap(), reason: "401".to_owned() });
}

#[test]
fn an_endpoint_that_refuses_everything_pauses_delivery_now_and_then() {
    let every = (0..50).collect();
    let run = deliver(50, &every, &[], usize::MAX, 8);
    assert_eq!(run.rejected, (0..50).collect::<Vec<_>>());
    assert_eq!(run.pauses, 2);
    // One that is accepted now and then shows that the endpoint is right.
    let most = (0..200).filter(|seq| seq % 10 != 0).collect();
    assert_eq!(deliver(200, &most, &[], usize::MAX, 8).pauses, 0);
}

#[test]
fn rejected_records_are_named_once_and_by_place() {
    let rejected =
        [2, 2, 0, 9].map(|index| RejectedRecord { index, code: "c".to_owned(), message: format!("m{index}") });
    let (_, step) = circuit(8).next(&parcel(10..13), &Answer::Accepted { rejected: rejected.into() }, NOW, 0);
    let Step::Settle { accepted, rejected } = step else { panic!("{step:?}") };
    assert_eq!(accepted, [11]);
    assert_eq!(
        rejected.iter().map(|one| (one.seq, one.message.as_str())).collect::<Vec<_>>(),
        [(10, "m0"), (12, "m2")]
    );
}

#[test]
fn keys_differ_with_anything_that_differs() {
    let base = vec![record(1), record(2)];
    let key = parcel_key("p", &base);
    assert_eq!(key, parcel_key("p", &base));
    let mut other_body = base.clone();
    other_body[1].body = format!("{} ", other_body[1].body).into();
    for (pipeline, records) in [
        ("q", base),
        ("p", vec![record(1)]),
        ("p", vec![record(2), record(1)]),
        ("p", vec![record(1), record(3)]),
        ("p", other_body),
        ("p", vec![]),
    ] {
        assert_ne!(key, parcel_key(pipeline, &records), "{pipeline} {records:?}");
    }
    // Kept by destinations: it must not change between releases.
    assert_eq!(parcel_key("p", &[]), "81340b0a-0111-568d-b635-7c64da84dd90");
    assert_eq!(key, "aa6a4d5a-3b46-5fa6-8435-9c3bd631dfe0");
}

struct Delivered {
    accepted: Vec<i64>,
    rejected: Vec<i64>,
    sends: usize,
    pauses: usize,
}

/// Delivers `total` records to a destination that refuses the `bad` ones and parcels above `most` records, and whose
/// first answers are `faults`.
fn deliver(total: i64, bad: &BTreeSet<i64>, faults: &[Answer], most: usize, limit: usize) -> Delivered {
    let mut state = circuit(limit);
    let mut outbox: Vec<i64> = (0..total).collect();
    let mut run = Delivered { accepted: Vec::new(), rejected: Vec::new(), sends: 0, pauses: 0 };
    let mut faults = faults.iter();
    let mut again: Option<Parcel> = None;
    while !outbox.is_empty() {
        run.sends += 1;
        assert!(run.sends < 100_000, "no progress");
        let cut = state.cut(outbox.iter().map(|_| 1));
        assert!(cut > 0 && cut <= state.reach());
        let parcel = parcel(outbox[..cut].iter().copied());
        if let Some(again) = again.take() {
            assert_eq!(again.idempotency_key, parcel.idempotency_key);
        }
        let answer = faults.next().cloned().unwrap_or_else(|| {
            if parcel.records.len() > most {
                Answer::TooLarge
            } else if parcel.records.iter().any(|record| bad.contains(&record.seq)) {
                invalid()
            } else {
                accepted()
            }
        });
        let (next, step) = state.next(&parcel, &answer, NOW, 0);
        state = next;
        match step {
            Step::Settle { accepted, rejected } => {
                let settled = accepted.len() + rejected.len();
                let mut both: Vec<i64> = accepted.iter().copied().chain(rejected.iter().map(|one| one.seq)).collect();
                both.sort_unstable();
                assert_eq!(both, outbox[..settled]);
                outbox.drain(..settled);
                run.accepted.extend(accepted);
                run.rejected.extend(rejected.iter().map(|one| one.seq));
            }
            Step::SplitAndRetry => {}
            Step::RetrySame { .. } => again = Some(parcel),
            Step::Pause { .. } => {
                run.pauses += 1;
                again = Some(parcel);
            }
        }
    }
    run
}

fn fault() -> impl Strategy<Value = Answer> {
    prop_oneof![
        Just(later(None)),
        Just(later(Some(5))),
        Just(Answer::Unknown { message: "cut".to_owned() }),
        Just(Answer::Refused { message: "401".to_owned() }),
        Just(Answer::TooLarge),
        Just(invalid()),
        proptest::collection::vec(0usize..40, 0..4).prop_map(|places| Answer::Accepted {
            rejected: places
                .into_iter()
                .map(|index| RejectedRecord { index, code: "c".to_owned(), message: "m".to_owned() })
                .collect(),
        }),
    ]
}

proptest! {
    /// Whatever a destination answers for a while, every record is settled exactly once and in order.
    #[test]
    fn every_record_is_settled_once_and_in_order(
        total in 0i64..60,
        bad in proptest::collection::btree_set(0i64..60, 0..5),
        faults in proptest::collection::vec(fault(), 0..30),
        most in 1usize..40,
        limit in 1usize..40,
    ) {
        let run = deliver(total, &bad, &faults, most, limit);
        prop_assert!(run.accepted.is_sorted() && run.rejected.is_sorted());
        let mut all: Vec<i64> = run.accepted.iter().chain(&run.rejected).copied().collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..total).collect::<Vec<_>>());
    }

    /// Without lies about single records, exactly the bad ones are rejected.
    #[test]
    fn only_bad_records_are_rejected(
        total in 0i64..60,
        bad in proptest::collection::btree_set(0i64..60, 0..6),
        waits in proptest::collection::vec(
            prop_oneof![Just(later(None)), Just(Answer::Unknown { message: String::new() })], 0..10),
        most in 1usize..40,
        limit in 1usize..40,
    ) {
        let run = deliver(total, &bad, &waits, most, limit);
        let expected: Vec<i64> = bad.into_iter().filter(|seq| *seq < total).collect();
        prop_assert_eq!(run.rejected, expected);
    }

    #[test]
    fn the_wait_is_bounded(attempts: u32, random: u64, asked in proptest::option::of(0u64..10_000)) {
        let asked = asked.map(Duration::from_secs);
        let wait = backoff(attempts, random, asked);
        prop_assert!(wait >= asked.unwrap_or_default().min(RETRY_AFTER_MAX));
        prop_assert!(wait <= RETRY_AFTER_MAX + BACKOFF_CAP);
    }
}
