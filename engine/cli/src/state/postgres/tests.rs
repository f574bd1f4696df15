//! The suite on a real server, and what only this store promises: leases, fences, and what becomes of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use engine_core::canonical::KeyForm;
use engine_core::state::{OutboxEntry, PipelineState};
use engine_tests::servers::{self, Server};

use super::*;
use crate::state::suite::{outgoing, row, store_cases, time, transact, with_cases};

const P: &str = "acme-bookings";
/// Cases that run at the same time.
const AT_ONCE: usize = 4;
/// The shortest lease, for tests that wait until one is over.
const LEASE: Duration = Duration::from_secs(3);

with_cases!(store_cases);

fn url(server: &Server, settings: &str) -> String {
    let Server { host, port, database, username, password, .. } = server;
    format!("postgres://{username}:{password}@{host}:{port}/{database}?{settings}")
}

fn open(server: &Server, schema: &str) -> PostgresStore {
    PostgresStore::open(&url(server, &format!("schema={schema}&lease=3"))).expect("opens")
}

fn in_psql(server: &Server, sql: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut connection =
            <PgConnection as sqlx::Connection>::connect(&url(server, "")).await.expect("the server takes connections");
        sqlx::raw_sql(sql).execute(&mut connection).await.expect("is done");
    });
}

fn write(store: &PostgresStore, no: u128) -> Result<(), StateError> {
    let mut transaction = store.begin(P)?;
    transaction.put_row(&row(no, "m1", 10))?;
    transaction.enqueue(&outgoing(no, "body"))?;
    transaction.commit()
}

/// Waits until something holds, for three leases at most.
fn soon(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < LEASE * 3, "{what}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn postgres_passes_the_suite() {
    let server = servers::postgres();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((name, case)) = CASES.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // A panic names the thread, and so the case.
                    let thread = std::thread::Builder::new().name((*name).to_owned());
                    let server = &server;
                    let case = thread.spawn_scoped(scope, move || case(&open(server, name))).expect("a thread");
                    assert!(case.join().is_ok(), "{name}");
                }
            });
        }
    });
}

#[test]
fn leases_move_between_engines() {
    let server = servers::postgres();
    let one = open(&server, "leases");
    let other = open(&server, "leases");

    let lease = one.lease(P).expect("works").expect("is free");
    let refusal = other.lease(P).expect("works").expect_err("is taken");
    assert!(refusal.contains("process") && refusal.contains("until"), "{refusal}");
    assert_eq!(other.holders().expect("reads").len(), 1);
    drop(lease);
    let lease = other.lease(P).expect("works").expect("was given back");
    assert_eq!(lease.fence(), Some(2), "another taking, another number");

    // It is renewed as long as it is wanted.
    sleep(LEASE + Duration::from_secs(1));
    assert!(lease.is_held());
    one.lease(P).expect("works").expect_err("is still taken");
    write(&other, 1).expect("its own");
    drop(lease);

    an_engine_that_was_silent_writes_nothing(&server);
    work_is_shared(&server);
    what_could_not_be_given_back_runs_out(&server);
    an_engine_that_hangs_holds_nothing_up(&server);
}

/// The engine is stopped for longer than its lease; another takes over; then it goes on in the middle of what it did.
fn an_engine_that_was_silent_writes_nothing(server: &Server) {
    let silent = open(server, "silent");
    let heir = open(server, "silent");
    let lease = silent.lease(P).expect("works").expect("is free");
    write(&silent, 1).expect("its own");

    // As if no heartbeat had come for long: nobody can be made to wait for a stopped thread here.
    in_psql(server, "UPDATE silent.lease SET until = clock_timestamp() - interval '1 second'");
    let mut begun = silent.begin(P).expect("nobody has taken it yet");
    begun.put_row(&row(2, "m1", 10)).expect("writes");
    // Whoever wants it waits for the write that is under way.
    heir.lease(P).expect("works").expect_err("somebody writes under it");
    begun.commit().expect("is whole before the other can take it");

    in_psql(server, "UPDATE silent.lease SET until = clock_timestamp() - interval '1 second'");
    let taken = heir.lease(P).expect("works").expect("ran out");
    write(&heir, 3).expect("its own");
    let place = heir.claim(P, 10, usize::MAX).expect("reads")[0].seq;

    for outcome in [
        write(&silent, 4),
        silent.save(P, &PipelineState::default()),
        silent.settle(P, &[place], &[], &DeliveryState::default(), time(0)),
    ] {
        let error = outcome.expect_err("is refused");
        assert!(error.message.contains("another engine has taken"), "{error}");
    }
    assert!(!lease.is_held() && taken.is_held());
    drop(lease);
    assert!(taken.is_held(), "what was lost is not given back");
    write(&heir, 5).expect("its own still");
    assert_eq!(heir.claim(P, 10, usize::MAX).expect("reads").len(), 3, "of the rows 1, 3 and 5");
}

/// The answer to a giving back got lost, or it never arrived: nobody renews what nobody wants.
fn what_could_not_be_given_back_runs_out(server: &Server) {
    let one = open(server, "kept");
    let other = open(server, "kept");
    let _renewed = one.lease("another").expect("works").expect("is free");
    let lease = one.lease(P).expect("works").expect("is free");
    one.shared.leases.forget(P);
    soon("it runs out", || other.lease(P).expect("works").is_ok());
    drop(lease);
}

fn work_is_shared(server: &Server) {
    let pipelines: Vec<String> = (0..10).map(|no| format!("p{no}")).collect();
    let ids: Vec<&str> = pipelines.iter().map(String::as_str).collect();
    let one = open(server, "shared");
    let share = |store: &PostgresStore| store.share(&ids).expect("works").expect("is shared");
    assert_eq!(share(&one), Share { engines: 1, free: pipelines.clone() });
    let held = one.lease("p3").expect("works").expect("is free");
    let other = open(server, "shared");
    let seen = share(&other);
    assert_eq!((seen.engines, seen.free.len()), (2, 9), "{seen:?}");
    assert!(!seen.free.contains(&"p3".to_owned()));
    // A command is no worker.
    let command = open(server, "shared");
    drop(command.lease("p4").expect("works"));
    assert_eq!(share(&other).engines, 2);
    drop(held);
    drop(one);
    let seen = share(&other);
    assert_eq!((seen.engines, seen.free.len()), (1, 10), "who leaves is gone at once");
}

/// It does not look after its pipelines any more, in the middle of a transaction: its lease runs out, and no earlier.
fn an_engine_that_hangs_holds_nothing_up(server: &Server) {
    let heir = open(server, "hangs");
    let hanging = open(server, "hangs");
    assert_eq!(hanging.share(&[P]).expect("works").expect("is shared").engines, 1);
    let lease = hanging.lease(P).expect("works").expect("is free");
    write(&hanging, 1).expect("its own");
    let mut begun = hanging.begin(P).expect("its own");
    begun.put_row(&row(2, "m1", 10)).expect("writes");
    begun.lane_rows("m1", 0).expect("is sent");
    let hung = Instant::now();
    soon("its lease runs out", || heir.lease(P).expect("works").is_ok());
    assert!(hung.elapsed() >= LEASE, "not before its time: {:?}", hung.elapsed());
    assert!(!lease.is_held());
    begun.commit().expect_err("the server has ended the transaction");
    let lease = heir.lease(P).expect("works").expect("is free again");
    write(&heir, 3).expect("the row is not locked any more");
    assert_eq!(heir.claim(P, 10, usize::MAX).expect("reads").len(), 2);
    drop(lease);
}

#[test]
fn what_goes_wrong_is_said_without_the_password() {
    let server = servers::postgres();
    let wrong = |url: &str, words: &[&str]| {
        let error = PostgresStore::open(url).expect_err("is refused");
        let text = format!("{error}\n{}", error.hint.clone().expect("says what to do"));
        for word in words {
            assert!(text.contains(word), "{word:?} is not in: {text}");
        }
        assert!(!text.contains("s3cret-canary") && !text.contains("canary-2"), "{text}");
    };
    let Server { host, port, database, username, .. } = &server;
    let place = format!("{host}:{port}/{database}");
    wrong(&format!("postgres://{username}:canary-2@{place}"), &[&place, "password", "state.url"]);
    wrong(&url(&server, "").replace(&format!("/{database}"), "/nowhere"), &["nowhere", "create the database"]);
    wrong(&url(&server, "").replace(&port.to_string(), "1"), &["127.0.0.1:1/", "nothing is lost"]);
    wrong(&url(&server, "schema=Engine"), &["schema"]);

    drop(open(&server, "newer"));
    in_psql(&server, "UPDATE newer.store SET version = 99");
    wrong(&url(&server, "schema=newer"), &["a newer engine", "99"]);
    in_psql(&server, "CREATE ROLE poor LOGIN PASSWORD 'canary-2'");
    wrong(&format!("postgres://poor:canary-2@{place}?schema=theirs"), &["permission denied", "GRANT CREATE"]);
}

#[test]
fn a_pipeline_of_the_first_version_keeps_its_keys() {
    let server = servers::postgres();
    let store = open(&server, "older");
    store.save(P, &PipelineState { failures: 3, ..PipelineState::default() }).expect("writes");
    drop(store);
    in_psql(
        &server,
        r#"UPDATE older.pipeline SET state = replace(state, '"keys":"near",', ''); UPDATE older.store SET version = 1"#,
    );
    let state = open(&server, "older").load(P).expect("reads");
    assert_eq!((state.keys, state.failures), (KeyForm::Hash, 3));
    assert_eq!(open(&server, "older").load("another").expect("reads").keys, KeyForm::Near);
}

#[test]
fn a_restart_of_the_server_is_survived() {
    let server = servers::postgres();
    let store = open(&server, "restart");
    let lease = store.lease(P).expect("works").expect("is free");
    write(&store, 1).expect("writes");
    let begun = store.begin(P).expect("begins");
    // What a restart does to connections.
    in_psql(
        &server,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
                      AND backend_type = 'client backend'",
    );
    begun.commit().expect_err("the connection is gone");
    sleep(Duration::from_millis(1_100));
    write(&store, 2).expect("over a new connection");
    soon("the heartbeat finds a new connection", || {
        sleep(LEASE);
        lease.is_held()
    });
    assert_eq!(store.claim(P, 10, usize::MAX).expect("reads").len(), 2);
}

#[test]
fn runs_that_hold_every_connection_hold_up_no_lease() {
    let server = servers::postgres();
    let store = open(&server, "busy");
    let begun: Vec<_> =
        (0..CONNECTIONS_MAX).map(|no| store.begin(&format!("{P}-{no}")).expect("there is a connection")).collect();
    let began = Instant::now();
    drop(store.lease(P).expect("works").expect("is free"));
    assert_eq!(store.share(&[P]).expect("works").expect("is shared").free, [P]);
    assert!(began.elapsed() < LEASE, "{:?}", began.elapsed());
    drop(begun);
}

#[test]
fn a_store_that_is_begun_afresh_has_other_places() {
    let server = servers::postgres();
    let place = |schema: &str| {
        let store = open(&server, schema);
        write(&store, 1).expect("writes");
        store.claim(P, 1, usize::MAX).expect("reads")[0].seq
    };
    assert_ne!(place("first"), place("second"));
}

#[test]
fn thousands_of_writes_are_one_transaction() {
    let server = servers::postgres();
    let store = open(&server, "many");
    let body = "b".repeat(2_000);
    transact(&store, P, |transaction| {
        for no in 0..10_000 {
            transaction.put_row(&row(no, "m1", i64::try_from(no).expect("small"))).expect("writes");
            transaction.enqueue(&outgoing(no, &body)).expect("appends");
        }
        for no in 0..5_000 {
            transaction.delete_row(row(no, "m1", 0).key).expect("removes");
            transaction.enqueue(&OutboxEntry { held: true, ..outgoing(no, "newer") }).expect("supersedes");
        }
        assert_eq!(transaction.lane_rows("m1", 0).expect("reads").len(), 5_000);
    });
    let counts = store.counts(P).expect("reads");
    assert_eq!(counts.outbox, 10_000);
    let waiting = store.claim(P, 10_000, usize::MAX).expect("reads");
    assert_eq!(waiting.len(), 5_000, "the newer ones are held");
    assert!(waiting.iter().all(|record| record.id.as_u128() >= 5_000));
    assert!(waiting.is_sorted_by(|one, other| one.seq < other.seq && one.id < other.id), "in the order of appending");
}
