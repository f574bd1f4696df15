//! Copies of everything that is remembered, and forgetting.

use std::ops::ControlFlow;

use engine_core::state::{
    DeliveryState, Forget, LIVE, LedgerRow, OutboxEntry, PipelineState, RefusedRecord, Saved, Stage, StateCounts,
    StateStore,
};

use super::{OTHER, P, bodies, key, outgoing, part, places, record, rejected, row, settle, time, transact};

/// Everything that is remembered of a pipeline.
pub(in crate::state) fn everything(store: &dyn StateStore, pipeline: &str) -> Vec<Saved> {
    let mut all = Vec::new();
    store
        .saved(pipeline, &mut |saved| {
            all.push(saved);
            ControlFlow::Continue(())
        })
        .expect("reads");
    all
}

/// Two of everything, extremes among them.
pub(in crate::state) fn fill(store: &dyn StateStore) {
    let state = PipelineState { failures: 7, judged_from: Some(i64::MIN), ..PipelineState::default() };
    let odd =
        LedgerRow { key: key(u128::MAX), hash: u64::MAX, at: i64::MIN, lane: "Dreh'bank".into(), ..row(2, "m1", 30) };
    transact(store, P, |transaction| {
        transaction.put_state(&state).expect("writes");
        for row in [&row(1, "m1", 10), &odd] {
            transaction.put_row(row).expect("writes");
        }
        for record in [&record(1, "m1", 10, LIVE), &record(2, "m1", 10, 20), &part(1, "m2", 10, 20)] {
            transaction.put_record(record).expect("writes");
        }
        transaction.replace_row_quarantine(0, &[rejected(Stage::Row, "a", "c")]).expect("writes");
        transaction.replace_lane_quarantine("m1", 0, &[rejected(Stage::Run, "b", "c")]).expect("writes");
        for entry in [outgoing(1, "refused"), outgoing(2, "first"), outgoing(3, "second")] {
            transaction.enqueue(&entry).expect("appends");
        }
    });
    let refused = RefusedRecord { seq: places(store)[0], code: "no".into(), message: "not this one".into() };
    let delivery = DeliveryState { last_acknowledged: Some(time(5)), ..DeliveryState::default() };
    store.settle(P, &[], &[refused], &delivery, time(5)).expect("writes");
    transact(store, P, |transaction| {
        transaction.enqueue(&OutboxEntry { held: true, ..outgoing(4, "held") }).expect("appends");
    });
}

pub(in crate::state) fn a_copy_is_the_same_again(store: &dyn StateStore) {
    assert_eq!(everything(store, P), [], "nothing is known of it");
    fill(store);
    let saved = everything(store, P);
    assert_eq!(saved.len(), 2 + 2 + 3 + 3 + 2 + 1, "{saved:#?}");
    transact(store, OTHER, |transaction| {
        for one in &saved {
            transaction.restore(one).expect("writes");
        }
    });
    assert_eq!(everything(store, OTHER), saved);
    assert_eq!(store.counts(OTHER).expect("reads"), store.counts(P).expect("reads"));
    assert_eq!(store.refused(OTHER).expect("reads"), store.refused(P).expect("reads"));
    assert_eq!(bodies(store, OTHER), ["first", "second"], "in the order of sending, and what is held waits");
}

pub(in crate::state) fn a_copy_may_be_broken_off(store: &dyn StateStore) {
    fill(store);
    for most in [1, 3, 13] {
        let mut seen = 0;
        store
            .saved(P, &mut |_| {
                seen += 1;
                if seen == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .expect("reads");
        assert_eq!(seen, most);
    }
}

pub(in crate::state) fn what_is_forgotten_is_gone(store: &dyn StateStore) {
    transact(store, OTHER, |transaction| transaction.put_row(&row(1, "m1", 10)).expect("writes"));
    let theirs = everything(store, OTHER);
    fill(store);
    let before = everything(store, P);
    {
        let mut transaction = store.begin(P).expect("begins");
        transaction.forget(Forget::Everything).expect("forgets");
    }
    assert_eq!(everything(store, P), before, "it was not committed");

    transact(store, P, |transaction| transaction.forget(Forget::Ledger).expect("forgets"));
    let of_the_ledger = |saved: &Saved| match saved {
        Saved::Row(_) | Saved::Record(_) => true,
        Saved::Rejected(entry) => entry.stage == Stage::Run,
        _ => false,
    };
    let rest: Vec<Saved> = before.into_iter().filter(|saved| !of_the_ledger(saved)).collect();
    assert_eq!(everything(store, P), rest);

    transact(store, P, |transaction| transaction.forget(Forget::Everything).expect("forgets"));
    let nothing = [Saved::State(Box::default()), Saved::Delivery(DeliveryState::default())];
    assert_eq!(everything(store, P), nothing);
    assert_eq!(store.counts(P).expect("reads"), StateCounts::default());
    assert_eq!(everything(store, OTHER), theirs);
    // Its places in the outbox never come again either.
    transact(store, P, |transaction| transaction.enqueue(&outgoing(1, "new")).expect("appends"));
    assert!(places(store)[0] > 4, "{:?}", places(store));
    settle(store, &places(store), &[], time(0));
}
