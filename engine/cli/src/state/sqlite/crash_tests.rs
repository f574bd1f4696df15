//! A process that dies at any point leaves a whole state: everything that was committed, and nothing of the rest.
//!
//! The test binary is its own victim: a test that does nothing on its own is run again in a child, told by a variable
//! where the state is.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use engine_core::state::{LIVE, Ledger, StateStore};

use super::{Options, SqliteStore};
use crate::state::suite::{bodies, noise, outgoing, record, row, transact, window};

const FOLDER: &str = "ENGINE_CRASH_TEST_FOLDER";
const P: &str = "acme-bookings";
/// Written to all three tables in each transaction.
const ROWS_EACH: usize = 20;
/// Before every line of the child's own, so that those of the test harness are told apart.
const MARK: &str = "committed ";

fn state_file(folder: &Path) -> PathBuf {
    folder.join("state.db")
}

fn child(test: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().expect("has a name"))
        .args(["--exact", &format!("state::sqlite::crash_tests::{test}"), "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts")
}

fn write_all(transaction: &mut dyn engine_core::state::StateTransaction, round: usize) {
    for no in round * ROWS_EACH..(round + 1) * ROWS_EACH {
        let no = no as u128;
        transaction.put_row(&row(no, "m1", 10)).expect("writes");
        transaction.put_record(&record(no, "m1", 10, LIVE)).expect("writes");
        transaction.enqueue(&outgoing(no, "body")).expect("writes");
    }
}

/// Whole transactions, as many in every table; returns how many.
fn whole_transactions(folder: &Path) -> usize {
    let log = state_file(folder).with_extension("db-wal");
    assert!(log.exists(), "a process that died leaves its log");
    let store = SqliteStore::open(&state_file(folder), Options::default()).expect("opens, and checks every page");
    store.verify().expect("is whole");
    let rows = window(&store, P, Ledger::Rows, 0, 100).len();
    assert_eq!(rows % ROWS_EACH, 0, "half a transaction");
    assert_eq!(window(&store, P, Ledger::Records, 0, 100).len(), rows);
    assert_eq!(store.counts(P).expect("counts").outbox as usize, rows);
    drop(store.lease(P).expect("works").expect("the lease died with its holder"));
    rows / ROWS_EACH
}

#[test]
fn abort_in_the_middle() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = SqliteStore::open(&state_file(Path::new(&folder)), Options::default()).expect("opens");
    let _lease = store.lease(P).expect("works").expect("is free");
    transact(&store, P, |transaction| write_all(transaction, 0));
    let mut transaction = store.begin(P).expect("begins");
    write_all(transaction.as_mut(), 1);
    // Larger than the page cache, so that uncommitted pages are on disk already.
    for no in 1_000_u128..1_400 {
        transaction
            .put_row(&engine_core::state::LedgerRow { body: noise(50_000), ..row(no, "m1", 10) })
            .expect("writes");
    }
    std::process::abort();
}

#[test]
fn an_abort_loses_only_what_was_not_committed() {
    let folder = tempfile::tempdir().expect("a folder");
    let status = child("abort_in_the_middle", folder.path()).wait().expect("ends");
    assert!(!status.success());
    assert_eq!(whole_transactions(folder.path()), 1);
    let store = SqliteStore::open(&state_file(folder.path()), Options::default()).expect("opens");
    assert_eq!(bodies(&store, P).len(), ROWS_EACH, "what waits is sent by the next process");
}

#[test]
fn commit_for_ever() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = SqliteStore::open(&state_file(Path::new(&folder)), Options::default()).expect("opens");
    let _lease = store.lease(P).expect("works").expect("is free");
    let mut out = std::io::stdout();
    for round in 0.. {
        transact(&store, P, |transaction| write_all(transaction, round));
        if writeln!(out, "\n{MARK}{}", round + 1).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

#[test]
fn a_kill_loses_nothing_that_was_committed() {
    for rounds in [1, 2, 7, 25] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = child("commit_for_ever", folder.path());
        let lines = BufReader::new(child.stdout.take().expect("is piped")).lines();
        let told = lines
            .map(|line| line.expect("reads"))
            .filter_map(|line| line.strip_prefix(MARK).map(|count| count.parse::<usize>().expect("a number")))
            .nth(rounds - 1)
            .expect("as many rounds");
        child.kill().expect("dies");
        child.wait().expect("ends");
        let whole = whole_transactions(folder.path());
        assert!(whole >= told, "{told} commits returned, {whole} are there");
    }
}
