//! What is remembered beside the runs: slices of backfills, approvals.

use std::sync::atomic::{AtomicBool, Ordering};

use engine_core::state::{Brake, BrakeKind, Forget, PipelineState, SliceState, StateStore};

use super::{OTHER, P, time, transact};

pub(in crate::state) fn slices_come_back(store: &dyn StateStore) {
    let slice = |number: u32| SliceState {
        number,
        round: 2,
        acknowledged: 700,
        digest: u64::MAX,
        done: number == 1,
        until: Some(time(i64::from(number))),
        refused: 3,
    };
    assert_eq!(store.slices(P, "a").expect("reads"), []);
    for number in [10, 1, 2] {
        store.put_slice(P, "a", &slice(number)).expect("writes");
    }
    store.put_slice(P, "b", &slice(5)).expect("writes");
    assert_eq!(store.slices(P, "a").expect("reads"), [slice(1), slice(2), slice(10)], "by number");
    assert_eq!(store.slices(P, "b").expect("reads"), [slice(5)], "another backfill");
    assert_eq!(store.slices(OTHER, "a").expect("reads"), [], "another pipeline");
    let further = SliceState { acknowledged: 701, done: true, ..slice(2) };
    store.put_slice(P, "a", &further).expect("writes");
    assert_eq!(store.slices(P, "a").expect("reads"), [slice(1), further.clone(), slice(10)]);
    let one = |pipeline: &str, job: &str, number: u32| store.slice(pipeline, job, number).expect("reads");
    assert_eq!((one(P, "a", 2), one(P, "b", 5)), (Some(further), Some(slice(5))));
    assert_eq!([one(P, "a", 5), one(P, "b", 2), one(OTHER, "a", 2)], [None, None, None], "that of no other");
    // A backfill is no run: nothing else is remembered of it.
    assert_eq!(store.load(P).expect("reads"), PipelineState::default());
}

pub(in crate::state) fn slices_go_with_their_pipeline(store: &dyn StateStore) {
    let slice = SliceState { done: true, ..SliceState::default() };
    for pipeline in [P, OTHER] {
        store.put_slice(pipeline, "a", &slice).expect("writes");
    }
    transact(store, P, |transaction| transaction.forget(Forget::Ledger).expect("forgets"));
    assert_eq!(store.slices(P, "a").expect("reads"), std::slice::from_ref(&slice), "it is not of the ledger");
    transact(store, P, |transaction| transaction.forget(Forget::Everything).expect("forgets"));
    assert_eq!(store.slices(P, "a").expect("reads"), []);
    assert_eq!(store.slices(OTHER, "a").expect("reads"), [slice]);
}

fn brake() -> Brake {
    Brake { kind: BrakeKind::Deletes, message: "40 of 100".to_owned(), since: time(0) }
}

pub(in crate::state) fn an_approval_is_for_a_brake_that_is_pulled(store: &dyn StateStore) {
    assert_eq!(store.approve(P, time(1)).expect("works"), None, "nobody knows it");
    store.save(P, &PipelineState { failures: 1, ..PipelineState::default() }).expect("writes");
    assert_eq!(store.approve(P, time(1)).expect("works"), None, "it may run");
    assert_eq!(store.load(P).expect("reads").approved, None);
    let held = PipelineState { failures: 1, brake: Some(brake()), ..PipelineState::default() };
    store.save(P, &held).expect("writes");
    assert_eq!(store.approve(P, time(2)).expect("works"), Some(brake()));
    assert_eq!(store.load(P).expect("reads"), PipelineState { approved: Some(time(2)), ..held });
}

/// Whoever approves while runs commit takes nothing of them back.
pub(in crate::state) fn an_approval_undoes_no_commit(store: &dyn StateStore) {
    const COMMITS: u32 = 150;
    store.save(P, &PipelineState { brake: Some(brake()), ..PipelineState::default() }).expect("writes");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                store.approve(P, time(1)).expect("works");
            }
        });
        for failures in 1..=COMMITS {
            transact(store, P, |transaction| {
                let state = PipelineState { failures, brake: Some(brake()), ..PipelineState::default() };
                transaction.put_state(&state).expect("writes");
            });
            let kept = store.load(P).expect("reads").failures;
            if kept != failures {
                over.store(true, Ordering::Relaxed);
            }
            assert_eq!(kept, failures, "an approval brought an older state back");
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(store.load(P).expect("reads").failures, COMMITS);
}

pub(in crate::state) fn work_beside_the_runs_has_leases_of_its_own(store: &dyn StateStore) {
    let name = |number: u32| format!("{P}/backfill/{number}");
    let of_the_pipeline = store.lease(P).expect("works").expect("is free");
    let first = store.lease(&name(1)).expect("works").expect("is free");
    let second = store.lease(&name(2)).expect("works").expect("is free");
    assert!(store.lease(&name(1)).expect("works").is_err(), "it is taken");
    let elsewhere = store.lease(&format!("{OTHER}/backfill/1")).expect("works").expect("is free");
    drop(first);
    drop(store.lease(&name(1)).expect("works").expect("is free again"));
    drop((of_the_pipeline, second, elsewhere));
}
