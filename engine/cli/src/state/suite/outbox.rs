//! Outbox and refused records.

use engine_core::state::{OutboxEntry, Stage, StateCounts, StateStore};
use jiff::SignedDuration;
use uuid::Uuid;

use super::{OTHER, P, bodies, enqueue, outgoing, places, quarantine_keys, settle, time, transact};

pub(in crate::state) fn the_outbox_keeps_its_order(store: &dyn StateStore) {
    enqueue(store, &[outgoing(3, "a"), outgoing(1, "b")]);
    enqueue(store, &[outgoing(2, "c")]);
    let records = store.claim(P, 10, 1_000).expect("claims");
    assert_eq!(records.iter().map(|record| record.id.as_u128()).collect::<Vec<_>>(), [3, 1, 2]);
    assert!(records.is_sorted_by(|one, other| one.seq < other.seq));
    assert_eq!(bodies(store, P), ["a", "b", "c"], "a claim takes nothing out");
    settle(store, &[records[0].seq, records[2].seq], &[], time(0));
    assert_eq!(bodies(store, P), ["b"]);
}

pub(in crate::state) fn a_claim_obeys_its_limits(store: &dyn StateStore) {
    enqueue(store, &[outgoing(1, "12345"), outgoing(2, "1234"), outgoing(3, "äö")]);
    let count = |records_max, bytes_max| store.claim(P, records_max, bytes_max).expect("claims").len();
    for (records_max, bytes_max, expected) in
        [(10, 100, 3), (2, 100, 2), (10, 13, 3), (10, 12, 2), (10, 9, 2), (10, 8, 1), (10, 0, 1), (0, 100, 1)]
    {
        assert_eq!(count(records_max, bytes_max), expected, "{records_max} records, {bytes_max} bytes");
    }
}

pub(in crate::state) fn places_in_the_outbox_never_come_again(store: &dyn StateStore) {
    enqueue(store, &[outgoing(1, "a"), outgoing(2, "b")]);
    let used = places(store);
    settle(store, &used, &[], time(0));
    enqueue(store, &[outgoing(3, "c")]);
    assert!(places(store)[0] > used[1], "an acknowledgement that comes late must not hit another record");
}

pub(in crate::state) fn held_records_wait(store: &dyn StateStore) {
    let held = |no, body: &str| OutboxEntry { held: true, ..outgoing(no, body) };
    enqueue(store, &[held(1, "a"), outgoing(2, "b"), held(3, "c")]);
    transact(store, OTHER, |transaction| transaction.enqueue(&held(1, "theirs")).expect("writes"));
    assert_eq!(bodies(store, P), ["b"]);
    assert_eq!(store.counts(P).expect("reads").outbox, 3, "they count all the same");
    transact(store, P, |transaction| transaction.release().expect("releases"));
    assert_eq!(bodies(store, P), ["a", "b", "c"]);
    assert_eq!(bodies(store, OTHER), [""; 0], "another pipeline's still wait");
}

pub(in crate::state) fn the_newer_record_supersedes(store: &dyn StateStore) {
    enqueue(store, &[outgoing(1, "old"), outgoing(2, "two")]);
    transact(store, OTHER, |transaction| transaction.enqueue(&outgoing(1, "theirs")).expect("writes"));
    enqueue(store, &[outgoing(1, "new")]);
    assert_eq!(bodies(store, P), ["two", "new"]);
    assert_eq!(bodies(store, OTHER), ["theirs"]);
}

pub(in crate::state) fn a_record_superseded_while_it_is_sent(store: &dyn StateStore) {
    enqueue(store, &[outgoing(1, "old")]);
    let sent = places(store);
    enqueue(store, &[outgoing(1, "new")]);
    settle(store, &sent, &[], time(0));
    assert_eq!(bodies(store, P), ["new"], "an acknowledgement of the old one does not count for the new one");
}

pub(in crate::state) fn a_refused_record_waits_longer_each_time(store: &dyn StateStore) {
    enqueue(store, &[outgoing(1, "one"), outgoing(2, "two")]);
    let sent = places(store);
    settle(store, &sent[1..], &sent[..1], time(0));
    let minutes = |minutes: i64| SignedDuration::from_mins(minutes);
    let (mut now, mut attempts) = (time(0), 0);
    for wait in [5, 10, 20, 40, 60, 60] {
        assert_eq!(bodies(store, P), [""; 0]);
        let entries = store.quarantined(P, 10).expect("reads");
        assert_eq!(entries.len(), 1);
        assert_eq!(
            (entries[0].stage, entries[0].code.as_str(), entries[0].reason.as_str(), entries[0].row.as_str()),
            (Stage::Delivery, "no_machine", "no such machine", "one")
        );
        assert_eq!(entries[0].key, Uuid::from_u128(1).to_string());
        assert_eq!(entries[0].first_seen, time(0), "however often it was refused since");

        let due = now + minutes(wait);
        let refused = store.refused(P).expect("reads");
        attempts += 1;
        assert_eq!((refused[0].attempts, refused[0].retry_at), (attempts, due));
        assert_eq!((refused[0].first_seen, refused[0].last_seen), (time(0), now));
        assert_eq!((refused.len(), refused[0].id, refused[0].body.as_str()), (1, Uuid::from_u128(1), "one"));
        assert_eq!(store.refused(OTHER).expect("reads"), []);
        assert_eq!(store.requeue_refused(P, due - SignedDuration::from_micros(1)).expect("looks"), 0, "{wait}");
        assert_eq!(store.requeue_refused(OTHER, due).expect("looks"), 0);
        assert_eq!(store.requeue_refused(P, due).expect("moves"), 1, "{wait}");
        assert_eq!(bodies(store, P), ["one"]);
        assert_eq!(quarantine_keys(store), [""; 0], "it is under way again");
        assert_eq!(store.counts(P).expect("reads").outbox_bytes, 3);
        now = due;
        settle(store, &[], &places(store), now);
    }
    store.requeue_refused(P, now + minutes(60)).expect("moves");
    settle(store, &places(store), &[], now);
    assert_eq!(store.counts(P).expect("reads"), StateCounts::default(), "accepted in the end");
}

pub(in crate::state) fn a_newer_record_clears_a_refused_one(store: &dyn StateStore) {
    enqueue(store, &[outgoing(1, "wrong"), outgoing(2, "wrong too")]);
    settle(store, &[], &places(store), time(0));
    enqueue(store, &[outgoing(1, "right")]);
    assert_eq!(quarantine_keys(store), [Uuid::from_u128(2).to_string()]);
    settle(store, &places(store), &[], time(1));
    assert_eq!(store.requeue_refused(P, time(100_000)).expect("moves"), 1);
    assert_eq!(bodies(store, P), ["wrong too"], "the old form of the first never comes back");
}

pub(in crate::state) fn a_refusal_that_was_overtaken_leaves_nothing(store: &dyn StateStore) {
    enqueue(store, &[outgoing(1, "old")]);
    let sent = places(store);
    enqueue(store, &[outgoing(1, "new")]);
    settle(store, &[], &sent, time(0));
    assert_eq!(quarantine_keys(store), [""; 0]);
    assert_eq!(bodies(store, P), ["new"]);
}

pub(in crate::state) fn settling_is_of_one_pipeline(store: &dyn StateStore) {
    transact(store, OTHER, |transaction| transaction.enqueue(&outgoing(1, "theirs")).expect("writes"));
    enqueue(store, &[outgoing(1, "mine")]);
    let theirs = store.claim(OTHER, 1, 1).expect("claims")[0].seq;
    settle(store, &[theirs], &[theirs], time(0));
    assert_eq!(bodies(store, OTHER), ["theirs"]);
    assert_eq!(quarantine_keys(store), [""; 0]);
}
