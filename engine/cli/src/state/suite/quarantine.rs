//! Quarantine of rows and derived runs.

use engine_core::state::{QUARANTINE_ROWS_MAX, QuarantineEntry, Stage, StateStore};
use uuid::Uuid;

use super::{P, outgoing, places, quarantine_keys, rejected, settle, time, transact};

pub(in crate::state) fn quarantine_of_rows_is_replaced(store: &dyn StateStore) {
    let write = |entries: &[QuarantineEntry]| {
        transact(store, P, |transaction| transaction.replace_row_quarantine(0, entries).expect("writes"));
    };
    write(&[rejected(Stage::Row, "a", "c"), rejected(Stage::Row, "b", "c")]);
    write(&[rejected(Stage::Row, "b", "c"), rejected(Stage::Row, "d", "c")]);
    assert_eq!(quarantine_keys(store), ["b", "d"]);
    write(&[]);
    assert_eq!(quarantine_keys(store), [""; 0], "all healed");
}

pub(in crate::state) fn old_quarantine_of_rows_stays(store: &dyn StateStore) {
    let at = |key: &str, at: i64| QuarantineEntry { at: Some(at), ..rejected(Stage::Row, key, "c") };
    transact(store, P, |transaction| {
        let entries = [at("old", 9), at("edge", 10), at("new", 11), rejected(Stage::Row, "timeless", "c")];
        transaction.replace_row_quarantine(0, &entries).expect("writes");
        transaction.replace_lane_quarantine("m1", 0, &[rejected(Stage::Run, "run", "c")]).expect("writes");
        transaction.replace_row_quarantine(10, &[]).expect("writes");
    });
    assert_eq!(quarantine_keys(store), ["old", "run"]);
}

pub(in crate::state) fn quarantine_of_a_lane_is_replaced(store: &dyn StateStore) {
    let at = |key: &str, lane: &str, at: i64| QuarantineEntry {
        at: Some(at),
        lane: Some(lane.to_owned()),
        ..rejected(Stage::Run, key, "orphan_end")
    };
    transact(store, P, |transaction| {
        transaction.replace_lane_quarantine("m1", 0, &[at("a", "m1", 5), at("b", "m1", 10)]).expect("writes");
        transaction.replace_lane_quarantine("m2", 0, &[at("c", "m2", 10)]).expect("writes");
        transaction.replace_row_quarantine(0, &[rejected(Stage::Row, "row", "c")]).expect("writes");
        transaction.replace_lane_quarantine("m1", 10, &[at("d", "m1", 12)]).expect("writes");
    });
    assert_eq!(quarantine_keys(store), ["a", "c", "d", "row"]);
}

pub(in crate::state) fn the_first_sight_is_kept(store: &dyn StateStore) {
    let first = QuarantineEntry { first_seen: time(1), ..rejected(Stage::Row, "a", "c") };
    let again = QuarantineEntry { first_seen: time(2), reason: "other words".into(), ..first.clone() };
    transact(store, P, |transaction| transaction.replace_row_quarantine(0, &[first]).expect("writes"));
    transact(store, P, |transaction| {
        transaction.replace_row_quarantine(0, std::slice::from_ref(&again)).expect("writes");
    });
    let expected = QuarantineEntry { first_seen: time(1), ..again };
    assert_eq!(store.quarantined(P, 10).expect("reads"), [expected]);
}

pub(in crate::state) fn one_row_may_have_several_reasons(store: &dyn StateStore) {
    let other_rule = QuarantineEntry { rule: "fields.start".into(), ..rejected(Stage::Row, "a", "c1") };
    let entries = [rejected(Stage::Row, "a", "c1"), other_rule, rejected(Stage::Row, "a", "c2")];
    transact(store, P, |transaction| transaction.replace_row_quarantine(0, &entries).expect("writes"));
    assert_eq!(store.counts(P).expect("reads").quarantine, 3);
    transact(store, P, |transaction| transaction.replace_row_quarantine(0, &entries[..1]).expect("writes"));
    assert_eq!(store.quarantined(P, 10).expect("reads"), entries[..1]);
}

pub(in crate::state) fn quarantine_is_newest_first(store: &dyn StateStore) {
    let seen = |key: &str, seconds| QuarantineEntry { first_seen: time(seconds), ..rejected(Stage::Row, key, "c") };
    let entries = [seen("old", 1), seen("new", 9), seen("middle", 3)];
    transact(store, P, |transaction| {
        transaction.replace_row_quarantine(0, &entries).expect("writes");
        transaction.enqueue(&outgoing(1, "one")).expect("writes");
    });
    settle(store, &[], &places(store), time(5));
    let order = |limit| -> Vec<String> {
        store.quarantined(P, limit).expect("reads").into_iter().map(|entry| entry.key).collect()
    };
    assert_eq!(order(10), ["new", &Uuid::from_u128(1).to_string(), "middle", "old"]);
    assert_eq!(order(1), ["new"]);
}

pub(in crate::state) fn quarantine_is_capped(store: &dyn StateStore) {
    let entries: Vec<QuarantineEntry> =
        (0..QUARANTINE_ROWS_MAX + 5).map(|no| rejected(Stage::Row, &format!("{no:06}"), "c")).collect();
    transact(store, P, |transaction| transaction.replace_row_quarantine(0, &entries).expect("writes"));
    assert_eq!(store.counts(P).expect("reads").quarantine, QUARANTINE_ROWS_MAX as u64);
    // The first ones heal, and make room for those that had none.
    transact(store, P, |transaction| transaction.replace_row_quarantine(0, &entries[5..]).expect("writes"));
    let keys = quarantine_keys(store);
    assert_eq!((keys.len(), keys.first().map(String::as_str)), (QUARANTINE_ROWS_MAX, Some("000005")));
}
