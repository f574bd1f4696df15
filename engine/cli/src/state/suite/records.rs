//! Records of the ledger, as they are shown.

use engine_core::state::{LIVE, StateStore};

use super::{OTHER, P, part, record, transact};

pub(in crate::state) fn the_latest_records_come_first(store: &dyn StateStore) {
    transact(store, P, |transaction| {
        for (no, at) in [(1, 30), (2, -5), (3, 20), (4, 30)] {
            transaction.put_record(&record(no, "m1", at, LIVE)).expect("writes");
        }
        transaction.put_record(&part(5, "m1", 40, LIVE)).expect("writes");
    });
    transact(store, OTHER, |transaction| {
        transaction.put_record(&record(6, "m1", 50, LIVE)).expect("writes");
    });
    let keys = |limit| -> Vec<u128> {
        store.latest(P, limit).expect("reads").into_iter().map(|record| record.key.0).collect()
    };
    assert_eq!(keys(10), [4, 1, 3, 2]);
    assert_eq!(keys(2), [4, 1]);
    assert_eq!(store.latest(P, 1).expect("reads"), [record(4, "m1", 30, LIVE)]);
    assert_eq!(store.latest("unknown", 10).expect("reads"), []);
}
