//! The ledger in sheets against the one in memory: whatever is written, both answer the same.

use std::collections::HashSet;

use engine_core::memory::MemoryStore;
use engine_core::state::{
    DeliveryState, LIVE, Ledger, LedgerRecord, LedgerRow, OutboxEntry, RefusedRecord, Saved, StateStore,
    StateTransaction,
};
use proptest::prelude::*;

use super::sheet::{SHEET_ENTRIES_MAX, Shelf};
use super::*;
use crate::state::suite::{everything, key, outgoing, record, row, time, transact, window};

const P: &str = "acme-bookings";
/// A day in microseconds.
const DAY: i64 = 86_400_000_000;
const LANES: [&str; 3] = ["m1", "m2", ""];

#[derive(Debug, Clone)]
enum Act {
    /// Rows or records of one lane, as many as a fold writes: by key, start and what they are told apart by.
    Rows(usize, Vec<(u16, i64, u64)>),
    Records(usize, bool, Vec<(u16, i64, Option<i64>)>),
    DeleteRow(u16),
    DeleteRecord(u16, bool),
    Commit,
}

/// Some time of a season, so that sheets lie in many fortnights and some stretch over weeks.
fn day() -> impl Strategy<Value = i64> {
    (-40..60_i64).prop_map(|days| days * DAY)
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let lane = 0..LANES.len();
    let start = prop_oneof![0..500_i64, 0..20_i64, Just(i64::MIN), day()];
    let rows = proptest::collection::vec((0..300_u16, start.clone(), 0..3_u64), 1..120);
    let end = prop_oneof![0..600_i64, day()];
    let records = proptest::collection::vec((0..200_u16, start, proptest::option::of(end)), 1..100);
    let act = prop_oneof![
        3 => (lane.clone(), rows).prop_map(|(lane, rows)| Act::Rows(lane, rows)),
        3 => (lane, any::<bool>(), records).prop_map(|(lane, part, records)| Act::Records(lane, part, records)),
        2 => (0..300_u16).prop_map(Act::DeleteRow),
        2 => (0..200_u16, any::<bool>()).prop_map(|(no, part)| Act::DeleteRecord(no, part)),
        1 => Just(Act::Commit),
    ];
    proptest::collection::vec(act, 1..25)
}

fn row_of(lane: usize, (no, start, hash): (u16, i64, u64)) -> LedgerRow {
    LedgerRow { hash, start, at: start.saturating_mul(2), ..row(no.into(), LANES[lane], 0) }
}

fn record_of(lane: usize, part: bool, (no, start, end): (u16, i64, Option<i64>)) -> LedgerRecord {
    let body = no.is_multiple_of(2).then(|| "x".repeat(usize::from(no)));
    LedgerRecord { part, body, ..record(no.into(), LANES[lane], start, end.unwrap_or(LIVE)) }
}

/// The last of each key.
fn one_a_key<T: Copy>(many: &[(u16, i64, T)]) -> Vec<(u16, i64, T)> {
    let mut one: Vec<(u16, i64, T)> = Vec::new();
    for each in many {
        one.retain(|known| known.0 != each.0);
        one.push(*each);
    }
    one
}

/// Of every other key that is not there, the store is told so.
fn is_said_to_be_fresh(key: RowKey, known: &HashSet<RowKey>) -> bool {
    key.0.is_multiple_of(2) && !known.contains(&key)
}

fn play(tx: &mut dyn StateTransaction, act: &Act) {
    match act {
        Act::Rows(lane, rows) => {
            let rows: Vec<LedgerRow> = one_a_key(rows).into_iter().map(|one| row_of(*lane, one)).collect();
            let known: Vec<RowKey> = rows.iter().map(|row| row.key).collect();
            let known = known.into_iter().filter(|key| tx.row(*key).expect("reads").is_some());
            let known: HashSet<RowKey> = known.collect();
            tx.put_rows(&rows, &|key| is_said_to_be_fresh(key, &known)).expect("writes");
        }
        Act::Records(lane, part, records) => {
            let records = one_a_key(records).into_iter().map(|one| record_of(*lane, *part, one));
            let records: Vec<LedgerRecord> = records.collect();
            let known: Vec<RowKey> = records.iter().map(|record| record.key).collect();
            let known = known.into_iter().filter(|key| tx.record(*key, *part).expect("reads").is_some());
            let known: HashSet<RowKey> = known.collect();
            tx.put_records(records, &|key| is_said_to_be_fresh(key, &known)).expect("writes");
        }
        Act::DeleteRow(no) => tx.delete_row(key((*no).into())).expect("removes"),
        Act::DeleteRecord(no, part) => tx.delete_record(key((*no).into()), *part).expect("removes"),
        Act::Commit => unreachable!("ends the transaction"),
    }
}

/// What the store says inside of a transaction.
fn inside(tx: &mut dyn StateTransaction) -> String {
    let mut said = String::new();
    for lane in LANES {
        for from in [i64::MIN, -5 * DAY, 0, 7, 250, 13 * DAY, LIVE] {
            said += &format!("{:?}\n", tx.lane_rows(lane, from).expect("reads"));
            said += &format!("{:?}\n", tx.lane_records(lane, false, from).expect("reads"));
            said += &format!("{:?}\n", tx.lane_records(lane, true, from).expect("reads"));
            said += &format!("{:?}\n", tx.lane_spans(lane, from).expect("reads"));
            said += &format!("{:?}\n", tx.lane_begins_before(lane, from).expect("reads"));
        }
    }
    for no in (0..300).step_by(7) {
        said += &format!("{:?}\n", tx.row(key(no)).expect("reads"));
        said += &format!("{:?}\n", tx.record(key(no), false).expect("reads"));
        said += &format!("{:?}\n", tx.record(key(no), true).expect("reads"));
    }
    said
}

/// What the store says from outside.
fn outside(store: &dyn StateStore) -> String {
    let mut said = String::new();
    let keys: Vec<_> = (0..300).rev().map(key).chain([key(4), key(4)]).collect();
    for ledger in [Ledger::Rows, Ledger::Records] {
        for (from, to) in [(i64::MIN, i64::MAX), (0, 40), (13, 14), (500, 2_000)] {
            said += &format!("{:?}\n", window(store, P, ledger, from, to));
        }
        said += &format!("{:?}\n", store.look_up(P, ledger, &keys).expect("reads"));
    }
    for limit in [0, 1, 5, 1_000] {
        said += &format!("{:?}\n", store.latest(P, limit).expect("reads"));
        said += &format!("{:?}\n", store.live_before(P, 100, limit).expect("reads"));
    }
    said += &format!("{:?}\n", store.counts(P).expect("reads"));
    let mut all: Vec<String> = everything(store, P).iter().map(|one| format!("{one:?}")).collect();
    all.sort();
    said + &all.join("\n")
}

/// Every key leads to the one sheet that has it, and sheets say what is on them.
fn assert_in_order(store: &SqliteStore) {
    let connection = store.lock();
    let mut sheets = connection
        .prepare("SELECT no, shelf, starts, reaches, at_from, at_to, entries, live, heads, bodies FROM sheet")
        .expect("prepares");
    let mut sheets = sheets.query([]).expect("reads");
    let mut entries = 0;
    while let Some(row) = sheets.next().expect("reads") {
        let shelf = [Shelf::Rows, Shelf::Records, Shelf::Parts][usize::from(row.get::<_, u8>(1).expect("reads"))];
        let (heads, bodies): (Vec<u8>, Vec<u8>) = (row.get(8).expect("reads"), row.get(9).expect("reads"));
        let bodies = sheet::bodies(shelf, &heads, &bodies).expect("is whole");
        let on_it: Vec<_> = sheet::entries(shelf, &heads, &bodies).expect("is whole").map(Result::unwrap).collect();
        assert!((1..=SHEET_ENTRIES_MAX).contains(&on_it.len()), "{} entries", on_it.len());
        let written = sheet::write(shelf, &on_it);
        let numbers = [written.starts, written.reaches, written.at_from, written.at_to];
        assert_eq!(numbers, [2, 3, 4, 5].map(|column| row.get::<_, i64>(column).expect("reads")));
        let numbers = [written.entries, written.live];
        assert_eq!(numbers, [6, 7].map(|column| row.get::<_, u32>(column).expect("reads")));
        assert!(on_it.is_sorted_by_key(|entry| (entry.head.start, entry.head.key)));
        let no: i64 = row.get(0).expect("reads");
        for entry in &on_it {
            let at = ledger::Section { connection: &connection, pipeline: 1, shelf };
            assert_eq!(places::sheet_of(at, entry.head.key).expect("reads"), Some(no));
        }
        entries += on_it.len();
    }
    let mut runs = connection.prepare("SELECT places, first FROM place ORDER BY shelf, first").expect("prepares");
    let runs = runs.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("reads");
    let runs: Vec<(Vec<u8>, Vec<u8>)> = runs.collect::<rusqlite::Result<_>>().expect("reads");
    let keys = runs.iter().map(|(places, _)| places.len() / 24);
    assert!(keys.clone().all(|keys| (1..=places::RUN_KEYS_MAX).contains(&keys)));
    assert_eq!(keys.sum::<usize>(), entries, "no key leads to nothing");
    assert!(runs.iter().all(|(places, first)| places.starts_with(first)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn sheets_answer_as_the_ledger_in_memory_does(acts in acts()) {
        let folder = tempfile::tempdir().expect("a folder");
        let sheets = SqliteStore::open(&folder.path().join("state.db"), Options::default()).expect("opens");
        let memory = MemoryStore::new();
        for acts in acts.split(|act| matches!(act, Act::Commit)) {
            let mut said = Vec::new();
            for store in [&sheets as &dyn StateStore, &memory] {
                transact(store, P, |tx| {
                    acts.iter().for_each(|act| play(tx, act));
                    said.push(inside(tx));
                });
            }
            prop_assert_eq!(&said[0], &said[1]);
            prop_assert_eq!(outside(&sheets), outside(&memory));
            assert_in_order(&sheets);
        }
    }
}

/// Rows that come one by one, or machine by machine a few, fill sheets; those that are appended write none anew.
#[test]
fn what_comes_a_little_at_a_time_fills_sheets() {
    for few in [1, 3, 40, 200] {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(&folder.path().join("state.db"), Options::default()).expect("opens");
        let rows: Vec<LedgerRow> = (0..1_000).map(|no| row(no, "m1", no as i64)).collect();
        for rows in rows.chunks(few) {
            transact(&store, P, |tx| tx.put_rows(rows, &|_| false).expect("writes"));
        }
        let sheets: i64 = store.lock().query_row("SELECT count(*) FROM sheet", [], |row| row.get(0)).expect("counts");
        assert!(sheets <= 1_000 / (SHEET_ENTRIES_MAX as i64 / 2) + 1, "{few} at a time make {sheets} sheets");
        let runs: i64 = store.lock().query_row("SELECT count(*) FROM place", [], |row| row.get(0)).expect("counts");
        assert!(runs <= 1_000 / (places::RUN_KEYS_MAX as i64 / 2) + 1, "{few} at a time make {runs} runs");
        assert_in_order(&store);
    }
}

/// A record that never ends does not draw all later ones to its sheet.
#[test]
fn a_record_that_never_ends_stays_where_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(&folder.path().join("state.db"), Options::default()).expect("opens");
    transact(&store, P, |tx| tx.put_record(&record(9_999, "m1", 0, LIVE)).expect("writes"));
    for no in 1..1_000 {
        let (start, end) = (no as i64 * 10, no as i64 * 10 + 5);
        transact(&store, P, |tx| tx.put_record(&record(no, "m1", start, end)).expect("writes"));
    }
    let reached = "SELECT count(*) FROM sheet WHERE reaches >= 9000";
    let reached: i64 = store.lock().query_row(reached, [], |row| row.get(0)).expect("counts");
    assert!(reached <= 6, "{reached} sheets are read for the last hundred");
    assert_in_order(&store);
}

#[test]
fn a_damaged_sheet_is_told_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(&folder.path().join("state.db"), Options::default()).expect("opens");
    transact(&store, P, |tx| tx.put_row(&row(1, "m1", 10)).expect("writes"));
    store.lock().execute("UPDATE sheet SET heads = x'00'", []).expect("writes");
    let assert_told = |words: &str| {
        let refused = store.look_up(P, Ledger::Rows, &[key(1)]).expect_err("is damaged");
        assert_eq!(refused.message, format!("the file is damaged: a sheet of the ledger {words}"));
        assert!(refused.hint.is_some_and(|hint| hint.contains("restore")));
    };
    assert_told("ends in the middle of an entry");
    store.lock().execute("DELETE FROM sheet", []).expect("writes");
    assert_told("is not there, and a key leads to it");
}

#[derive(Debug, Clone)]
enum Send {
    /// Records by id, with whether they are held and whether nothing of the id is in the ledger.
    Enqueue(Vec<(u8, bool, bool)>),
    Release,
    /// The first so many of a claim are accepted, and each so-manieth of these refused.
    Settle(usize, usize),
    Requeue,
}

fn sends() -> impl Strategy<Value = Vec<Send>> {
    let record = (0..60_u8, any::<bool>(), any::<bool>());
    let send = prop_oneof![
        4 => proptest::collection::vec(record, 1..400).prop_map(Send::Enqueue),
        1 => Just(Send::Release),
        4 => (1..500_usize, 1..40_usize).prop_map(|(count, each)| Send::Settle(count, each)),
        1 => Just(Send::Requeue),
    ];
    proptest::collection::vec(send, 1..20)
}

/// Plays on a store; what it says after each step.
fn sent(store: &dyn StateStore, sends: &[Send]) -> Vec<String> {
    let mut body = 0;
    // What has never been in the outbox is fresh, and only that may be said to be.
    let mut known = [false; 60];
    let mut said = Vec::new();
    for send in sends {
        match send {
            Send::Enqueue(records) => transact(store, P, |tx| {
                for (id, held, fresh) in records {
                    body += 1;
                    let fresh = *fresh && !known[usize::from(*id)];
                    known[usize::from(*id)] = true;
                    let entry = outgoing((*id).into(), &"x".repeat(body % 700));
                    tx.enqueue(&OutboxEntry { held: *held, fresh, ..entry }).expect("appends");
                }
            }),
            Send::Release => transact(store, P, |tx| tx.release().expect("releases")),
            Send::Settle(count, each) => {
                let claimed = store.claim(P, *count, 100_000).expect("claims");
                let (refused, accepted): (Vec<_>, Vec<_>) =
                    claimed.iter().enumerate().partition(|(place, _)| place % each == each - 1);
                let accepted: Vec<i64> = accepted.into_iter().map(|(_, record)| record.seq).collect();
                let refused: Vec<RefusedRecord> = refused
                    .into_iter()
                    .map(|(_, record)| RefusedRecord { seq: record.seq, code: "no".into(), message: "no".into() })
                    .collect();
                store.settle(P, &accepted, &refused, &DeliveryState::default(), time(0)).expect("settles");
            }
            Send::Requeue => {
                store.requeue_refused(P, time(1_000_000)).expect("moves");
            }
        }
        // Places are a store's own; their order is not.
        let claimed = store.claim(P, usize::MAX, usize::MAX).expect("claims");
        assert!(claimed.is_sorted_by(|one, next| one.seq < next.seq));
        let records = claimed.into_iter().map(|record| (record.id.as_u128(), record.body.len()));
        let mut refused: Vec<_> = store.refused(P).expect("reads").into_iter().map(|one| one.id).collect();
        refused.sort();
        let all = everything(store, P).into_iter().filter(|one| matches!(one, Saved::Outbox(_))).count();
        let records: Vec<_> = records.collect();
        said.push(format!("{records:?} {refused:?} {all} {:?}", store.waiting(P).expect("counts")));
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn stacks_answer_as_the_outbox_in_memory_does(sends in sends()) {
        let folder = tempfile::tempdir().expect("a folder");
        let stacks = SqliteStore::open(&folder.path().join("state.db"), Options::default()).expect("opens");
        let memory = MemoryStore::new();
        for (of_stacks, of_memory) in sent(&stacks, &sends).into_iter().zip(sent(&memory, &sends)) {
            prop_assert_eq!(of_stacks, of_memory);
        }
        // One that is claimed and requeued may be refused again: what waits is counted right.
        let connection = stacks.lock();
        let mut rows = connection.prepare("SELECT last, records, bytes, heads, bodies FROM outbox").expect("prepares");
        let mut rows = rows.query([]).expect("reads");
        while let Some(row) = rows.next().expect("reads") {
            let (heads, bodies): (Vec<u8>, Vec<u8>) = (row.get(3).expect("reads"), row.get(4).expect("reads"));
            let bodies = stack::bodies(&heads, &bodies).expect("is whole");
            let heads: Vec<stack::Head> = stack::heads(&heads).expect("is whole").collect();
            prop_assert_eq!(heads.len() as i64, row.get::<_, i64>(1).expect("reads"));
            prop_assert_eq!(bodies.len() as i64, row.get::<_, i64>(2).expect("reads"));
            prop_assert!((1..=stack::STACK_RECORDS_MAX).contains(&heads.len()));
            prop_assert!(heads.last().is_some_and(|head| head.seq <= row.get(0).expect("reads")));
        }
    }
}

/// More rows, restored records and bodies than wait in memory: what is written in between is of the same transaction.
#[test]
fn what_is_more_than_waits_in_memory_is_written_in_between() {
    const ROWS: u128 = 50_500;
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(&folder.path().join("state.db"), Options::default()).expect("opens");
    let rows: Vec<LedgerRow> = (0..ROWS).map(|no| row(no, "m1", no as i64)).collect();
    let large = "x".repeat(300_000);
    transact(&store, P, |tx| {
        tx.put_rows(&rows, &|_| true).expect("writes");
        for no in 0..5_000 {
            tx.restore(&Saved::Record(record(no, LANES[no as usize % 3], no as i64, LIVE))).expect("writes");
        }
        assert_eq!(tx.record(key(4_999), false).expect("reads"), Some(record(4_999, LANES[4_999 % 3], 4_999, LIVE)));
        // The first is on a stack long before the last supersedes it.
        for no in [1, 2, 3, 4, 5, 1] {
            tx.enqueue(&outgoing(no, &large)).expect("appends");
        }
    });
    assert_eq!(window(&store, P, Ledger::Rows, 0, i64::MAX).len(), rows.len());
    assert_eq!(store.counts(P).expect("counts").records, 5_000);
    let waiting: Vec<u128> =
        store.claim(P, 10, usize::MAX).expect("claims").iter().map(|one| one.id.as_u128()).collect();
    assert_eq!(waiting, [2, 3, 4, 5, 1]);
    assert_in_order(&store);
}

/// A file of version 3 with more rows than are moved at a time, some of them on a machine in the middle.
#[test]
fn a_large_file_of_before_sheets_is_moved_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.db");
    let older = SqliteStore::open_with(&path, Options::default(), &schema::MIGRATIONS[..3]).expect("opens");
    older
        .lock()
        .execute_batch(
            "INSERT INTO pipeline (no, id) VALUES (1, 'acme-bookings');
             WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 12345)
             INSERT INTO source_row (pipeline, key, hash, at, lane, starts, body)
                 SELECT 1, unhex(printf('%032x', n)), n + 1, n, 'm' || (n % 3), n, '{\"no\":' || n || '}' FROM number;
             WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 12345)
             INSERT INTO record (pipeline, part, key, id, hash, at, lane, starts, ends)
                 SELECT 1, 0, unhex(printf('%032x', n)), unhex(printf('%032x', n)), n + 1, n, 'm' || (n % 3), n, n + 5
                 FROM number;
             WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 700)
             INSERT INTO outbox (pipeline, id, held, bytes, refusals, body)
                 SELECT 1, unhex(printf('%032x', n)), n > 600, 1, 0, 'x' FROM number;",
        )
        .expect("writes");
    let places = |store: &SqliteStore| -> (i64, i64) {
        let first = "SELECT seq FROM sqlite_sequence WHERE name = 'outbox'";
        let last: i64 = store.lock().query_row(first, [], |row| row.get(0)).expect("reads");
        (last - 699, last)
    };
    let before = places(&older);
    drop(older);
    let store = SqliteStore::open(&path, Options { check: Check::Full, ..Options::default() }).expect("opens");
    assert_in_order(&store);
    let counts = store.counts(P).expect("counts");
    assert_eq!((counts.records, counts.outbox, counts.outbox_bytes), (12_345, 700, 700));
    transact(&store, P, |tx| {
        for no in [1, 3_000, 12_345] {
            let lane = format!("m{}", no % 3);
            assert_eq!(tx.row(key(no)).expect("reads"), Some(row(no, &lane, no as i64)));
            let expected = record(no, &lane, no as i64, no as i64 + 5);
            assert_eq!(tx.record(key(no), false).expect("reads"), Some(expected));
        }
        tx.enqueue(&outgoing(701, "x")).expect("appends");
    });
    let claimed = store.claim(P, 10_000, usize::MAX).expect("claims");
    assert_eq!(claimed.len(), 601, "what is held waits");
    assert_eq!((claimed[0].seq, claimed[600].seq), (before.0, before.1 + 1), "places go on");
}
