//! What every state store must satisfy. A store's tests call [`store_suite`] with how to make an empty one.

mod backfill;
mod outbox;
mod quarantine;
mod records;
mod saved;

use std::any::Any;
use std::collections::BTreeMap;

use engine_core::canonical::RowKey;
use engine_core::state::{
    Brake, BrakeKind, DeliveryState, Fingerprint, LIVE, Ledger, LedgerEntry, LedgerRecord, LedgerRow, OutboxEntry,
    PipelineState, QuarantineEntry, RefusedRecord, Stage, StateCounts, StateStore, StateTransaction, Waiting,
};
use jiff::Timestamp;
use uuid::Uuid;

/// A store, and what must live as long as it does.
pub(super) struct Fixture {
    pub(super) store: Box<dyn StateStore>,
    pub(super) keep: Box<dyn Any>,
}

/// Hands the names of all cases to a macro.
macro_rules! with_cases {
    ($then:ident) => {
        $then! {
            an_unknown_pipeline_is_empty, state_comes_back, delivery_state_is_apart_from_state,
            what_a_transaction_writes_is_there_after_its_commit, a_dropped_transaction_changes_nothing,
            readers_never_see_half_a_transaction, a_transaction_reads_what_it_wrote,
            pipelines_do_not_see_each_other, windows_are_half_open, parts_are_no_entries,
            keys_are_looked_up_in_their_order, live_records_before_a_time,
            the_latest_records_come_first, a_row_is_replaced_and_removed,
            a_record_and_a_part_may_share_a_key, rows_of_a_lane, records_of_a_lane, the_beginning_of_a_lane,
            extreme_values_survive, the_outbox_keeps_its_order, a_claim_obeys_its_limits,
            places_in_the_outbox_never_come_again, held_records_wait, the_newer_record_supersedes,
            a_record_superseded_while_it_is_sent, a_refused_record_waits_longer_each_time,
            a_newer_record_clears_a_refused_one, a_refusal_that_was_overtaken_leaves_nothing,
            settling_is_of_one_pipeline, quarantine_of_rows_is_replaced, old_quarantine_of_rows_stays,
            quarantine_of_a_lane_is_replaced, the_first_sight_is_kept, one_row_may_have_several_reasons,
            quarantine_is_newest_first, quarantine_is_capped, counts_are_of_everything, a_lease_is_exclusive,
            two_threads_write_in_turn, a_copy_is_the_same_again, a_copy_may_be_broken_off,
            what_is_forgotten_is_gone, slices_come_back, slices_go_with_their_pipeline,
            an_approval_is_for_a_brake_that_is_pulled, an_approval_undoes_no_commit,
            work_beside_the_runs_has_leases_of_its_own,
        }
    };
}

/// One test a case, so that each has its name in the output.
macro_rules! store_suite {
    ($($case:ident,)*) => {
        $(
            #[test]
            fn $case() {
                let fixture: $crate::state::suite::Fixture = make();
                $crate::state::suite::$case(fixture.store.as_ref());
                drop(fixture.store);
                drop(fixture.keep);
            }
        )*
    };
}

/// All cases by name, for a store whose cases share what is dear to make.
macro_rules! store_cases {
    ($($case:ident,)*) => {
        const CASES: &[(&str, fn(&dyn engine_core::state::StateStore))] =
            &[$((stringify!($case), $crate::state::suite::$case),)*];
    };
}
pub(super) use {store_cases, store_suite, with_cases};

pub(super) use backfill::*;
pub(super) use outbox::*;
pub(super) use quarantine::*;
pub(super) use records::*;
pub(super) use saved::*;

const P: &str = "acme-bookings";
const OTHER: &str = "acme-orders";

pub(super) fn key(no: u128) -> RowKey {
    RowKey(no)
}

pub(super) fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).expect("in range")
}

/// A text that no packing makes shorter.
pub(super) fn noise(len: usize) -> String {
    let mut random = fastrand::Rng::with_seed(1);
    std::iter::repeat_with(|| random.alphanumeric()).take(len).collect()
}

pub(super) fn row(no: u128, lane: &str, at: i64) -> LedgerRow {
    LedgerRow {
        key: key(no),
        hash: no as u64 + 1,
        at,
        lane: lane.to_owned(),
        start: at,
        body: format!("{{\"no\":{no}}}"),
    }
}

pub(super) fn record(no: u128, lane: &str, start: i64, end: i64) -> LedgerRecord {
    LedgerRecord {
        key: key(no),
        part: false,
        id: Uuid::from_u128(no),
        hash: no as u64 + 1,
        at: start,
        lane: lane.into(),
        start,
        end,
        body: None,
    }
}

fn part(no: u128, lane: &str, start: i64, end: i64) -> LedgerRecord {
    LedgerRecord { part: true, body: Some("{}".to_owned()), ..record(no, lane, start, end) }
}

pub(super) fn outgoing(no: u128, body: &str) -> OutboxEntry {
    OutboxEntry { id: Uuid::from_u128(no), body: body.to_owned(), held: false, fresh: false }
}

pub(super) fn rejected(stage: Stage, key: &str, code: &str) -> QuarantineEntry {
    QuarantineEntry {
        stage,
        key: key.to_owned(),
        code: code.to_owned(),
        reason: format!("{key} is not right"),
        rule: "fields.event.map".to_owned(),
        row: "{\"kenn\":\"X\"}".to_owned(),
        lane: None,
        at: None,
        first_seen: time(0),
    }
}

pub(super) fn transact(store: &dyn StateStore, pipeline: &str, body: impl FnOnce(&mut dyn StateTransaction)) {
    let mut transaction = store.begin(pipeline).expect("begins");
    body(transaction.as_mut());
    transaction.commit().expect("commits");
}

fn enqueue(store: &dyn StateStore, entries: &[OutboxEntry]) {
    transact(store, P, |transaction| {
        for entry in entries {
            transaction.enqueue(entry).expect("appends");
        }
    });
}

pub(super) fn bodies(store: &dyn StateStore, pipeline: &str) -> Vec<String> {
    let claimed = store.claim(pipeline, 1_000, usize::MAX).expect("claims");
    claimed.iter().map(|record| record.body.to_string()).collect()
}

fn places(store: &dyn StateStore) -> Vec<i64> {
    store.claim(P, 1_000, usize::MAX).expect("claims").into_iter().map(|record| record.seq).collect()
}

pub(super) fn window(store: &dyn StateStore, pipeline: &str, ledger: Ledger, from: i64, to: i64) -> Vec<LedgerEntry> {
    let mut entries = Vec::new();
    store.entries(pipeline, ledger, from, to, &mut |entry| entries.push(entry)).expect("reads");
    entries.sort_by_key(|entry| entry.key);
    entries
}

fn keys(entries: &[LedgerEntry]) -> Vec<u128> {
    entries.iter().map(|entry| entry.key.0).collect()
}

fn settle(store: &dyn StateStore, accepted: &[i64], refused: &[i64], now: Timestamp) {
    let refused: Vec<RefusedRecord> = refused
        .iter()
        .map(|&seq| RefusedRecord { seq, code: "no_machine".to_owned(), message: "no such machine".to_owned() })
        .collect();
    store.settle(P, accepted, &refused, &DeliveryState::default(), now).expect("settles");
}

pub(super) fn quarantine_keys(store: &dyn StateStore) -> Vec<String> {
    let mut keys: Vec<String> =
        store.quarantined(P, usize::MAX).expect("reads").into_iter().map(|entry| entry.key).collect();
    keys.sort();
    keys
}

pub(super) fn an_unknown_pipeline_is_empty(store: &dyn StateStore) {
    assert_eq!(store.load(P).expect("reads"), PipelineState::default());
    assert_eq!(store.delivery(P).expect("reads"), DeliveryState::default());
    assert_eq!(store.pipelines().expect("reads"), Vec::<String>::new());
    assert_eq!(store.counts(P).expect("reads"), StateCounts::default());
    assert_eq!(window(store, P, Ledger::Rows, i64::MIN, i64::MAX), []);
    assert_eq!(store.look_up(P, Ledger::Records, &[key(1), key(2)]).expect("reads"), [None, None]);
    assert_eq!(store.live_before(P, i64::MAX, 10).expect("reads"), []);
    assert_eq!(store.quarantined(P, 10).expect("reads"), []);
    assert_eq!(store.claim(P, 10, 10).expect("reads"), []);
    assert_eq!(store.requeue_refused(P, time(0)).expect("reads"), 0);
}

pub(super) fn state_comes_back(store: &dyn StateStore) {
    let state = PipelineState {
        fingerprint: Some(Fingerprint { identity: "a".into(), meaning: "b".into() }),
        identity: BTreeMap::from([("server".into(), "Größe \"x\"".into())]),
        filled_until: Some(time(5)),
        failures: 3,
        brake: Some(Brake { kind: BrakeKind::Empty, message: "leer".into(), since: time(1) }),
        ..PipelineState::default()
    };
    store.save(P, &state).expect("writes");
    assert_eq!(store.load(P).expect("reads"), state);
    let later = PipelineState { failures: 4, ..PipelineState::default() };
    transact(store, P, |transaction| transaction.put_state(&later).expect("writes"));
    assert_eq!(store.load(P).expect("reads"), later);
    assert_eq!(store.pipelines().expect("reads"), [P]);
}

pub(super) fn delivery_state_is_apart_from_state(store: &dyn StateStore) {
    let state = PipelineState { failures: 1, ..PipelineState::default() };
    let delivery = DeliveryState { attempts: 7, problem: Some("503".into()), ..DeliveryState::default() };
    store.settle(P, &[], &[], &delivery, time(0)).expect("settles");
    store.save(P, &state).expect("writes");
    assert_eq!(store.delivery(P).expect("reads"), delivery);
    assert_eq!(store.load(P).expect("reads"), state);
    store.settle(P, &[], &[], &DeliveryState::default(), time(0)).expect("settles");
    assert_eq!(store.load(P).expect("reads"), state);
    assert_eq!(store.delivery(P).expect("reads"), DeliveryState::default());
}

pub(super) fn what_a_transaction_writes_is_there_after_its_commit(store: &dyn StateStore) {
    transact(store, P, |transaction| {
        transaction.put_row(&row(1, "m1", 10)).expect("writes");
        transaction.put_record(&record(2, "m1", 10, 20)).expect("writes");
        transaction.enqueue(&outgoing(2, "two")).expect("writes");
        transaction.replace_row_quarantine(0, &[rejected(Stage::Row, "k", "c")]).expect("writes");
    });
    assert_eq!(window(store, P, Ledger::Rows, 0, 100), [LedgerEntry { key: key(1), hash: 2, at: 10, live: false }]);
    assert_eq!(window(store, P, Ledger::Records, 0, 100), [LedgerEntry { key: key(2), hash: 3, at: 10, live: false }]);
    assert_eq!(bodies(store, P), ["two"]);
    assert_eq!(store.quarantined(P, 10).expect("reads"), [rejected(Stage::Row, "k", "c")]);
}

pub(super) fn a_dropped_transaction_changes_nothing(store: &dyn StateStore) {
    let before = PipelineState { failures: 1, ..PipelineState::default() };
    store.save(P, &before).expect("writes");
    {
        let mut transaction = store.begin(P).expect("begins");
        transaction.put_row(&row(1, "m1", 10)).expect("writes");
        transaction.enqueue(&outgoing(1, "one")).expect("writes");
        transaction.put_state(&PipelineState::default()).expect("writes");
    }
    assert_eq!(window(store, P, Ledger::Rows, 0, 100), []);
    assert_eq!(bodies(store, P), [""; 0]);
    assert_eq!(store.load(P).expect("reads"), before);
    // And the next one begins.
    transact(store, P, |transaction| transaction.put_row(&row(2, "m1", 10)).expect("writes"));
    assert_eq!(keys(&window(store, P, Ledger::Rows, 0, 100)), [2]);
}

pub(super) fn readers_never_see_half_a_transaction(store: &dyn StateStore) {
    let mut transaction = store.begin(P).expect("begins");
    transaction.put_record(&record(1, "m1", 10, LIVE)).expect("writes");
    transaction.enqueue(&outgoing(1, "one")).expect("writes");
    let seen = std::thread::scope(|scope| {
        scope
            .spawn(|| (store.counts(P).expect("reads"), bodies(store, P), store.load(P).expect("reads")))
            .join()
            .expect("no panic")
    });
    assert_eq!(seen, (StateCounts::default(), vec![], PipelineState::default()));
    transaction.commit().expect("commits");
    assert_eq!(store.counts(P).expect("reads").live, 1);
}

pub(super) fn a_transaction_reads_what_it_wrote(store: &dyn StateStore) {
    transact(store, P, |transaction| {
        assert_eq!(transaction.row(key(1)).expect("reads"), None);
        transaction.put_row(&row(1, "m1", 10)).expect("writes");
        assert_eq!(transaction.row(key(1)).expect("reads"), Some(row(1, "m1", 10)));
        transaction.put_record(&part(1, "m1", 10, 20)).expect("writes");
        assert_eq!(transaction.record(key(1), true).expect("reads"), Some(part(1, "m1", 10, 20)));
        assert_eq!(transaction.record(key(1), false).expect("reads"), None);
    });
}

pub(super) fn pipelines_do_not_see_each_other(store: &dyn StateStore) {
    for (pipeline, body) in [(P, "mine"), (OTHER, "theirs")] {
        transact(store, pipeline, |transaction| {
            transaction.put_row(&row(1, "m1", 10)).expect("writes");
            transaction.put_record(&record(1, "m1", 10, LIVE)).expect("writes");
            transaction.enqueue(&outgoing(1, body)).expect("writes");
            transaction.replace_row_quarantine(0, &[rejected(Stage::Row, body, "c")]).expect("writes");
        });
    }
    transact(store, OTHER, |transaction| {
        transaction.delete_row(key(1)).expect("writes");
        transaction.delete_record(key(1), false).expect("writes");
        transaction.replace_row_quarantine(0, &[]).expect("writes");
        assert_eq!(transaction.lane_rows("m1", 0).expect("reads"), []);
        assert_eq!(transaction.lane_records("m1", false, 0).expect("reads"), []);
        assert!(!transaction.lane_begins_before("m1", 100).expect("reads"));
    });
    assert_eq!(keys(&window(store, P, Ledger::Rows, 0, 100)), [1]);
    assert_eq!(keys(&window(store, P, Ledger::Records, 0, 100)), [1]);
    assert_eq!(keys(&store.live_before(P, 100, 10).expect("reads")), [1]);
    assert_eq!(quarantine_keys(store), ["mine"]);
    assert_eq!((bodies(store, P), bodies(store, OTHER)), (vec!["mine".to_owned()], vec!["theirs".to_owned()]));
    assert_eq!(store.pipelines().expect("reads"), [P, OTHER]);
}

pub(super) fn windows_are_half_open(store: &dyn StateStore) {
    transact(store, P, |transaction| {
        for at in [-5_i64, 0, 9, 10, 11] {
            transaction.put_row(&row((at + 100) as u128, "m1", at)).expect("writes");
            transaction.put_record(&record((at + 100) as u128, "m1", at, LIVE)).expect("writes");
        }
    });
    for ledger in [Ledger::Rows, Ledger::Records] {
        assert_eq!(keys(&window(store, P, ledger, 0, 10)), [100, 109], "{ledger:?}");
        assert_eq!(keys(&window(store, P, ledger, -5, 0)), [95], "{ledger:?}");
        assert_eq!(keys(&window(store, P, ledger, 10, 10)), [0; 0], "{ledger:?}");
        assert_eq!(window(store, P, ledger, i64::MIN, i64::MAX).len(), 5, "{ledger:?}");
    }
}

pub(super) fn parts_are_no_entries(store: &dyn StateStore) {
    transact(store, P, |transaction| {
        transaction.put_record(&part(1, "m1", 10, LIVE)).expect("writes");
    });
    assert_eq!(window(store, P, Ledger::Records, 0, 100), []);
    assert_eq!(store.look_up(P, Ledger::Records, &[key(1)]).expect("reads"), [None]);
    assert_eq!(store.live_before(P, 100, 10).expect("reads"), []);
    assert_eq!(store.counts(P).expect("reads"), StateCounts::default());
}

pub(super) fn keys_are_looked_up_in_their_order(store: &dyn StateStore) {
    transact(store, P, |transaction| {
        transaction.put_row(&row(1, "m1", 10)).expect("writes");
        transaction.put_record(&record(3, "m1", 30, LIVE)).expect("writes");
    });
    let rows = store.look_up(P, Ledger::Rows, &[key(3), key(1), key(1)]).expect("reads");
    let found = Some(LedgerEntry { key: key(1), hash: 2, at: 10, live: false });
    assert_eq!(rows, [None, found, found]);
    let records = store.look_up(P, Ledger::Records, &[key(3), key(1)]).expect("reads");
    assert_eq!(records, [Some(LedgerEntry { key: key(3), hash: 4, at: 30, live: true }), None]);
    // Keys between those that are there, before the first and after the last, in any order; and what another pipeline
    // has, or is a part, is not there.
    transact(store, P, |transaction| {
        for no in [10, 20, 21, u128::MAX - 1] {
            transaction.put_record(&record(no, "m1", 0, LIVE)).expect("writes");
        }
        transaction.put_record(&part(15, "m1", 0, LIVE)).expect("writes");
    });
    transact(store, OTHER, |transaction| transaction.put_record(&record(16, "m1", 0, LIVE)).expect("writes"));
    let wanted = [21, 15, u128::MAX, 3, 16, 20, 0, 22, u128::MAX - 1, 10];
    let found = store.look_up(P, Ledger::Records, &wanted.map(key)).expect("reads");
    let found: Vec<Option<u128>> = found.into_iter().map(|entry| entry.map(|entry| entry.key.0)).collect();
    let there = wanted.map(|no| [3, 10, 20, 21, u128::MAX - 1].contains(&no).then_some(no));
    assert_eq!(found, there);
}

pub(super) fn live_records_before_a_time(store: &dyn StateStore) {
    transact(store, P, |transaction| {
        for (no, at, end) in [(1, 30, LIVE), (2, 10, LIVE), (3, 20, 25), (4, 40, LIVE), (5, 20, LIVE)] {
            transaction.put_record(&record(no, "m1", at, end)).expect("writes");
        }
    });
    assert_eq!(keys(&store.live_before(P, 40, 10).expect("reads")), [2, 5, 1], "oldest first");
    assert_eq!(keys(&store.live_before(P, 40, 2).expect("reads")), [2, 5]);
    // It ends, and is under watch no longer.
    transact(store, P, |transaction| transaction.put_record(&record(2, "m1", 10, 12)).expect("writes"));
    assert_eq!(keys(&store.live_before(P, 40, 10).expect("reads")), [5, 1]);
}

pub(super) fn a_row_is_replaced_and_removed(store: &dyn StateStore) {
    let changed = LedgerRow { hash: 99, at: 50, lane: "m2".into(), start: 51, body: "new".into(), ..row(1, "m1", 10) };
    transact(store, P, |transaction| {
        transaction.put_row(&row(1, "m1", 10)).expect("writes");
        transaction.put_row(&changed).expect("writes");
        assert_eq!(transaction.row(key(1)).expect("reads"), Some(changed.clone()));
        assert_eq!(transaction.lane_rows("m1", 0).expect("reads"), []);
        assert_eq!(transaction.lane_rows("m2", 0).expect("reads"), [changed]);
    });
    assert_eq!(keys(&window(store, P, Ledger::Rows, 0, 50)), [0; 0], "not where it was");
    assert_eq!(keys(&window(store, P, Ledger::Rows, 50, 51)), [1]);
    transact(store, P, |transaction| {
        transaction.delete_row(key(1)).expect("removes");
        transaction.delete_row(key(1)).expect("removing what is gone is nothing");
        assert_eq!(transaction.row(key(1)).expect("reads"), None);
    });
    assert_eq!(window(store, P, Ledger::Rows, 0, 100), []);
}

pub(super) fn a_record_and_a_part_may_share_a_key(store: &dyn StateStore) {
    transact(store, P, |transaction| {
        transaction.put_record(&record(1, "m1", 10, 20)).expect("writes");
        transaction.put_record(&part(1, "m1", 10, 15)).expect("writes");
        transaction.delete_record(key(1), false).expect("removes");
        assert_eq!(transaction.record(key(1), false).expect("reads"), None);
        assert_eq!(transaction.record(key(1), true).expect("reads"), Some(part(1, "m1", 10, 15)));
    });
}

pub(super) fn rows_of_a_lane(store: &dyn StateStore) {
    transact(store, P, |transaction| {
        for (no, lane, start) in [(1, "m1", 30), (2, "m1", 10), (3, "m2", 20), (4, "m1", 20)] {
            transaction.put_row(&row(no, lane, start)).expect("writes");
        }
        let mut starts = |lane: &str, from: i64| -> Vec<i64> {
            transaction.lane_rows(lane, from).expect("reads").into_iter().map(|row| row.start).collect()
        };
        assert_eq!(starts("m1", i64::MIN), [10, 20, 30]);
        assert_eq!(starts("m1", 20), [20, 30], "at or after");
        assert_eq!(starts("m3", 0), [0; 0]);
    });
}

pub(super) fn records_of_a_lane(store: &dyn StateStore) {
    transact(store, P, |transaction| {
        for (no, start, end) in [(1, 30, LIVE), (2, 10, 100), (3, 20, 25), (4, 5, 9)] {
            transaction.put_record(&record(no, "m1", start, end)).expect("writes");
        }
        transaction.put_record(&record(5, "m2", 0, LIVE)).expect("writes");
        transaction.put_record(&part(6, "m1", 0, LIVE)).expect("writes");
        let mut found = |part: bool, from: i64| -> Vec<u128> {
            let records = transaction.lane_records("m1", part, from).expect("reads");
            records.into_iter().map(|record| record.key.0).collect()
        };
        assert_eq!(found(false, i64::MIN), [4, 2, 3, 1], "by start");
        assert_eq!(found(false, 25), [2, 3, 1], "that end at or after");
        assert_eq!(found(false, 26), [2, 1]);
        assert_eq!(found(false, LIVE), [1]);
        assert_eq!(found(true, 0), [6]);
        let mut spans = |from: i64| transaction.lane_spans("m1", from).expect("reads");
        assert_eq!(spans(i64::MIN), [(5, 9), (10, 100), (20, 25), (30, LIVE)], "by start, and none that was refused");
        assert_eq!(spans(26), [(10, 100), (30, LIVE)]);
    });
}

pub(super) fn the_beginning_of_a_lane(store: &dyn StateStore) {
    transact(store, P, |transaction| {
        assert!(!transaction.lane_begins_before("m1", i64::MAX).expect("reads"));
        transaction.put_record(&record(1, "m1", 20, LIVE)).expect("writes");
        transaction.put_record(&record(2, "m1", 10, 15)).expect("writes");
        transaction.put_record(&part(3, "m2", 5, 6)).expect("writes");
        for (lane, before, expected) in [
            ("m1", 10, false),
            ("m1", 11, true),
            ("m1", 100, true),
            ("m2", 5, false),
            ("m2", 6, true),
            ("m3", 9, false),
        ] {
            let begins = transaction.lane_begins_before(lane, before).expect("reads");
            assert_eq!(begins, expected, "{lane} before {before}");
        }
    });
}

pub(super) fn extreme_values_survive(store: &dyn StateStore) {
    let row = LedgerRow {
        key: key(u128::MAX),
        hash: u64::MAX,
        at: i64::MIN,
        lane: String::new(),
        start: i64::MAX,
        body: "\u{0}'\"; DROP TABLE pipeline; -- Ä 😀".to_owned(),
    };
    let record =
        LedgerRecord { hash: 1 << 63, at: i64::MIN, id: Uuid::max(), ..record(0, "Dreh'bank", i64::MIN, LIVE) };
    transact(store, P, |transaction| {
        transaction.put_row(&row).expect("writes");
        transaction.put_record(&record).expect("writes");
    });
    transact(store, P, |transaction| {
        assert_eq!(transaction.row(key(u128::MAX)).expect("reads"), Some(row.clone()));
        assert_eq!(transaction.record(key(0), false).expect("reads"), Some(record.clone()));
        assert_eq!(transaction.lane_records("Dreh'bank", false, LIVE).expect("reads"), std::slice::from_ref(&record));
    });
    assert_eq!(window(store, P, Ledger::Rows, i64::MIN, 0)[0].hash, u64::MAX);
}

pub(super) fn counts_are_of_everything(store: &dyn StateStore) {
    transact(store, P, |transaction| {
        transaction.put_record(&record(1, "m1", 10, LIVE)).expect("writes");
        transaction.put_record(&record(2, "m1", 10, 20)).expect("writes");
        transaction.put_record(&part(3, "m1", 10, 20)).expect("writes");
        transaction.enqueue(&outgoing(1, "äö")).expect("writes");
        transaction.enqueue(&outgoing(2, "1")).expect("writes");
        transaction.enqueue(&outgoing(3, "")).expect("writes");
        transaction.replace_row_quarantine(0, &[rejected(Stage::Row, "a", "c")]).expect("writes");
    });
    let last = *places(store).last().expect("three");
    settle(store, &[], &[last], time(0));
    assert_eq!(
        store.counts(P).expect("reads"),
        StateCounts { records: 2, live: 1, outbox: 2, outbox_bytes: 5, quarantine: 2 }
    );
    assert_eq!(store.waiting(P).expect("reads"), Waiting { outbox: 2, outbox_bytes: 5, quarantine: 2 });
    assert_eq!(store.waiting("unknown").expect("reads"), Waiting::default());
}

pub(super) fn a_lease_is_exclusive(store: &dyn StateStore) {
    let lease = store.lease(P).expect("works").expect("is free");
    let refusal = store.lease(P).expect("works").expect_err("is taken");
    assert!(refusal.contains(&std::process::id().to_string()), "{refusal}");
    let other = store.lease(OTHER).expect("works").expect("another one is free");
    drop(lease);
    let again = store.lease(P).expect("works").expect("is free again");
    drop((again, other));
}

pub(super) fn two_threads_write_in_turn(store: &dyn StateStore) {
    const EACH: u128 = 20;
    std::thread::scope(|scope| {
        for (pipeline, offset) in [(P, 0), (OTHER, 1_000), (P, 2_000)] {
            scope.spawn(move || {
                for no in 0..EACH {
                    transact(store, pipeline, |transaction| {
                        transaction.put_row(&row(offset + no, "m1", 10)).expect("writes");
                        transaction.enqueue(&outgoing(offset + no, "x")).expect("writes");
                    });
                    let seen = window(store, pipeline, Ledger::Rows, 0, 100).len();
                    assert!(seen > usize::try_from(no).expect("small"));
                }
            });
        }
    });
    assert_eq!(window(store, P, Ledger::Rows, 0, 100).len(), 2 * EACH as usize);
    assert_eq!(bodies(store, P).len(), 2 * EACH as usize);
    assert_eq!(bodies(store, OTHER).len(), EACH as usize);
}
