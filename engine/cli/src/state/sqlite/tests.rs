//! Tests of what only this store promises, beside the suite.

use std::fs;

use engine_core::state::{LIVE, LedgerRow, Stage};

use super::*;
use crate::state::suite::{
    Fixture, noise, outgoing, record, rejected, row, store_suite, time, transact, window, with_cases,
};

const P: &str = "acme-bookings";

fn make() -> Fixture {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(&folder.path().join("state.db"), Options::default()).expect("opens");
    Fixture { store: Box::new(store), keep: Box::new(folder) }
}

with_cases!(store_suite);

fn open_at(path: &Path) -> Result<SqliteStore, StateError> {
    SqliteStore::open(path, Options::default())
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.db");
    (folder, path)
}

fn filled(path: &Path) {
    let store = open_at(path).expect("opens");
    transact(&store, P, |transaction| {
        for no in 0..200 {
            transaction.put_row(&row(no, "m1", 10)).expect("writes");
            transaction.put_record(&record(no, "m1", 10, LIVE)).expect("writes");
            transaction.enqueue(&outgoing(no, "body")).expect("writes");
        }
    });
}

/// What was refused, and what it says.
fn refusal(outcome: Result<SqliteStore, StateError>) -> String {
    let StateError { tried, message, hint } = outcome.expect_err("is refused");
    format!("{tried}: {message}\n{}", hint.expect("says what to do"))
}

fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).expect("is there").permissions().mode() & 0o777
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("sets");
}

#[test]
fn all_is_there_after_reopening() {
    let (_folder, path) = folder();
    filled(&path);
    assert!(!path.with_extension("db-wal").exists(), "a clean close leaves no log");
    let store = open_at(&path).expect("opens");
    assert_eq!(window(&store, P, Ledger::Rows, 0, 100).len(), 200);
    assert_eq!(store.counts(P).expect("counts").outbox, 200);
    store.verify().expect("is whole");
}

#[test]
fn a_file_is_created_only_where_that_is_asked_for() {
    let (folder, path) = folder();
    let options = Options { create: false, ..Options::default() };
    assert_says(&refusal(SqliteStore::open(&path, options)), &["nothing has been run here yet", "state.url"]);
    assert_says(
        &refusal(SqliteStore::open(&folder.path().join("deeper/state.db"), options)),
        &["nothing has been run"],
    );
    assert!(!path.exists() && !folder.path().join("deeper").exists());
    drop(open_at(&path).expect("creates"));
    SqliteStore::open(&path, options).expect("opens what is there");
}

#[cfg(unix)]
#[test]
fn folder_and_file_are_for_one_account() {
    let (folder, _) = folder();
    let path = folder.path().join("a/b/state.db");
    let store = open_at(&path).expect("opens");
    transact(&store, P, |transaction| transaction.put_row(&row(1, "m1", 10)).expect("writes"));
    drop(store.lease(P));
    assert_eq!(mode(&folder.path().join("a/b")), 0o700);
    for file in ["state.db", "state.db-wal", "locks/acme-bookings.lock", "locks/open.lock"] {
        assert_eq!(mode(&folder.path().join("a/b").join(file)), 0o600, "{file}");
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_others_can_write_is_refused() {
    for (bits, is_refused) in [(0o777, true), (0o770, true), (0o702, true), (0o755, false), (0o700, false)] {
        let (folder, path) = folder();
        set_mode(folder.path(), bits);
        let outcome = open_at(&path);
        assert_eq!(outcome.is_err(), is_refused, "{bits:o}");
        if is_refused {
            assert_says(&refusal(outcome), &["other accounts can write", "chmod go-w"]);
        }
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_write_is_refused() {
    for name in ["state.db", "state.db-wal", "state.db.bak-v1", "locks", "locks/open.lock", "locks/acme.lock"] {
        let (folder, path) = folder();
        let store = open_at(&path).expect("opens");
        transact(&store, P, |transaction| transaction.put_row(&row(1, "m1", 10)).expect("writes"));
        let place = folder.path().join(name);
        if !place.exists() {
            fs::write(&place, "").expect("writes");
        }
        for bits in [0o622, 0o620] {
            set_mode(&place, bits);
            let said = refusal(open_at(&path));
            assert_says(&said, &["other accounts can write", &format!("`chmod go-w {}`", place.display())]);
        }
        set_mode(&place, 0o700);
        open_at(&path).expect("opens");
    }
}

#[cfg(unix)]
#[test]
fn a_link_in_place_of_the_state_is_refused() {
    for name in ["state.db", "state.db-wal", "state.db.new", "locks", "locks/open.lock"] {
        let (folder, path) = folder();
        let elsewhere = tempfile::tempdir().expect("a folder");
        fs::write(elsewhere.path().join("victim"), "as before").expect("writes");
        let place = folder.path().join(name);
        fs::create_dir_all(place.parent().expect("a folder")).expect("creates");
        let target = if name == "locks" { elsewhere.path().to_owned() } else { elsewhere.path().join("victim") };
        std::os::unix::fs::symlink(target, &place).expect("links");
        assert_says(&refusal(open_at(&path)), &["symbolic link", "state.url"]);
        let left: Vec<_> = fs::read_dir(elsewhere.path()).expect("is there").collect();
        assert_eq!(left.len(), 1, "{name}: {left:?}");
        assert_eq!(fs::read_to_string(elsewhere.path().join("victim")).expect("is there"), "as before", "{name}");
    }
}

/// Only root can give a folder away; others see the rule itself tested.
#[cfg(unix)]
#[test]
fn state_of_another_account_is_refused() {
    const SOMEBODY: u32 = 12_345;
    let (folder, path) = folder();
    drop(open_at(&path).expect("opens"));
    for place in [path.clone(), folder.path().join("locks/open.lock"), folder.path().to_owned()] {
        if std::os::unix::fs::chown(&place, Some(SOMEBODY), None).is_err() {
            return;
        }
        assert_says(&refusal(open_at(&path)), &["belongs to the account 12345", "sudo -u '#12345'", "chown"]);
        std::os::unix::fs::chown(&place, Some(0), None).expect("root takes it back");
        open_at(&path).expect("opens");
    }
}

#[test]
fn a_file_of_something_else_is_refused() {
    let (_folder, path) = folder();
    fs::write(&path, "order,product\n".repeat(1_000)).expect("writes");
    assert_says(&refusal(open_at(&path)), &["not a database", "start afresh", "outbox"]);

    fs::remove_file(&path).expect("removes");
    let other = Connection::open(&path).expect("opens");
    other.execute_batch("CREATE TABLE customer (no INTEGER)").expect("creates");
    drop(other);
    assert_says(&refusal(open_at(&path)), &["not an engine's state", "state.url"]);
    let left = Connection::open(&path).expect("opens");
    left.execute_batch("SELECT no FROM customer").expect("was left alone");
}

#[test]
fn an_empty_file_is_damaged() {
    let (_folder, path) = folder();
    filled(&path);
    fs::write(&path, "").expect("writes");
    assert_says(&refusal(open_at(&path)), &["damaged", "empty", "start afresh"]);
    assert!(path.exists(), "it is left alone");
}

#[test]
fn damage_is_found_when_it_is_looked_for() {
    let (_folder, path) = folder();
    filled(&path);
    let mut bytes = fs::read(&path).expect("reads");
    let half = bytes.len() / 2;
    bytes[half..].fill(0x5a);
    fs::write(&path, &bytes).expect("writes");
    let full = Options { check: Check::Full, ..Options::default() };
    assert_says(&refusal(SqliteStore::open(&path, full)), &["start afresh", "same ids", "state.db-wal"]);
    assert_eq!(fs::read(&path).expect("reads"), bytes, "nothing was mended or deleted");

    // A log that nobody holds open says that the last process died: the same pages are read then.
    fs::write(path.with_extension("db-wal"), [0; 32]).expect("writes");
    assert_says(&refusal(open_at(&path)), &["start afresh"]);
}

#[test]
fn a_newer_version_is_refused() {
    let (_folder, path) = folder();
    filled(&path);
    let connection = Connection::open(&path).expect("opens");
    connection.pragma_update(None, "user_version", 99).expect("writes");
    drop(connection);
    assert_says(
        &refusal(open_at(&path)),
        &["newer engine", "version 99", &format!("knows up to {}", schema::MIGRATIONS.len()), "bak-v"],
    );
}

#[test]
fn a_look_says_the_version_and_makes_nothing() {
    let (folder, path) = folder();
    assert_eq!(SqliteStore::look(&path).expect("looks").version, None);
    let odd = folder.path().join("50% #1?.db");
    filled(&odd);
    let names = || -> Vec<_> {
        fs::read_dir(folder.path()).expect("reads").map(|entry| entry.expect("is one").file_name()).collect()
    };
    let before = names();
    let look = SqliteStore::look(&odd).expect("looks");
    assert_eq!((look.version, look.known), (Some(schema::MIGRATIONS.len()), schema::MIGRATIONS.len()));
    assert_eq!(names(), before);

    // What is not moved into the file yet is seen, too.
    let store = open_at(&odd).expect("opens");
    transact(&store, P, |transaction| transaction.put_row(&row(1, "m1", 10)).expect("writes"));
    assert_eq!(SqliteStore::look(&odd).expect("looks").version, Some(schema::MIGRATIONS.len()));
}

/// What a next version may add.
const NEXT: &str = "ALTER TABLE sheet ADD COLUMN colour TEXT;";

/// The present tables and a step that comes after all others.
fn followed_by(next: &'static str) -> Vec<schema::Step> {
    [schema::MIGRATIONS, &[schema::Step::Sql(next)]].concat()
}

#[test]
fn an_older_version_is_changed_after_a_backup() {
    let (folder, path) = folder();
    filled(&path);
    let backup = folder.path().join(format!("state.db.bak-v{}", schema::MIGRATIONS.len()));
    let cut_short = backup.with_added_extension("new");
    fs::write(&cut_short, "of an attempt that was cut short").expect("writes");
    {
        let store = SqliteStore::open_with(&path, Options::default(), &followed_by(NEXT)).expect("opens");
        store.lock().execute_batch("SELECT colour FROM sheet").expect("has the new column");
        assert_eq!(window(&store, P, Ledger::Records, 0, 100).len(), 200);
    }
    #[cfg(unix)]
    assert_eq!(mode(&backup), 0o600);
    assert!(!cut_short.exists());

    let before = fs::metadata(&backup).expect("is there").modified().expect("has a time");
    drop(SqliteStore::open_with(&path, Options::default(), &followed_by(NEXT)).expect("opens again"));
    assert_eq!(fs::metadata(&backup).expect("is there").modified().expect("has a time"), before, "one backup");

    assert_says(&refusal(open_at(&path)), &["newer engine"]);
    fs::rename(&backup, &path).expect("goes back");
    let store = SqliteStore::open(&path, Options { check: Check::Full, ..Options::default() }).expect("opens");
    assert_eq!(store.counts(P).expect("counts").outbox, 200);
}

/// A file of the first version, as its engine made it, with a ledger, an outbox and a quarantine.
#[test]
fn a_file_of_the_first_version_gets_the_tables_of_this_one() {
    let (folder, path) = folder();
    {
        let first = SqliteStore::open_with(&path, Options::default(), &schema::MIGRATIONS[..1]).expect("opens");
        assert!(first.lock().prepare("SELECT * FROM backfill").is_err(), "version 1 has no backfills");
        first
            .lock()
            .execute_batch(
                "INSERT INTO pipeline (no, id, state) VALUES (1, 'acme-bookings', '{\"failures\":3}');
                 INSERT INTO source_row (pipeline, key, hash, at, lane, starts, body)
                     VALUES (1, x'00000000000000000000000000000001', 2, 10, 'm1', 10, '{\"no\":1}');
                 INSERT INTO record (pipeline, part, key, id, hash, at, lane, starts, ends)
                     VALUES (1, 0, x'00000000000000000000000000000002', x'00000000000000000000000000000002',
                             3, 10, 'm1', 10, 20);
                 INSERT INTO outbox (pipeline, id, held, bytes, refusals, body)
                     VALUES (1, x'00000000000000000000000000000002', 0, 3, 0, 'two');",
            )
            .expect("writes");
    }
    let store = open_at(&path).expect("opens");
    let slice = SliceState { number: 4, done: true, ..SliceState::default() };
    store.put_slice(P, "job", &slice).expect("writes");
    assert_eq!(store.slices(P, "job").expect("reads"), [slice]);
    assert_eq!(store.load(P).expect("reads").failures, 3);
    assert_eq!(store.counts(P).expect("counts").outbox, 1);
    transact(&store, P, |transaction| {
        assert_eq!(transaction.lane_rows("m1", 0).expect("reads"), [row(1, "m1", 10)]);
        assert_eq!(transaction.lane_records("m1", false, 0).expect("reads"), [record(2, "m1", 10, 20)]);
    });
    assert_eq!(window(&store, P, Ledger::Rows, 0, 100).len(), 1);
    assert_eq!(window(&store, P, Ledger::Records, 0, 100).len(), 1);
    drop(store);
    // The copy is what the older engine understands.
    let backup = folder.path().join("state.db.bak-v1");
    let copy = SqliteStore::open_with(&backup, Options::default(), &schema::MIGRATIONS[..1]).expect("opens");
    let kept: u32 = copy.lock().query_row("SELECT count(*) FROM record", [], |row| row.get(0)).expect("counts");
    assert_eq!(kept, 1);
}

#[test]
fn a_file_that_is_begun_afresh_has_other_places() {
    let place = || {
        let (_folder, path) = folder();
        filled(&path);
        open_at(&path).expect("opens").claim(P, 1, usize::MAX).expect("reads")[0].seq
    };
    assert_ne!(place(), place());
}

#[test]
fn a_step_that_fails_changes_nothing() {
    let (_folder, path) = folder();
    filled(&path);
    let steps = followed_by("ALTER TABLE sheet ADD COLUMN colour TEXT; SELECT nonsense;");
    assert!(SqliteStore::open_with(&path, Options::default(), &steps).is_err());
    let store = open_at(&path).expect("opens as before");
    assert!(store.lock().prepare("SELECT colour FROM sheet").is_err());
}

#[test]
fn the_tables_do_not_change_under_another_process() {
    let (_folder, path) = folder();
    let older = open_at(&path).expect("opens");
    let outcome = SqliteStore::open_with(&path, Options::default(), &followed_by(NEXT));
    assert_says(&refusal(outcome), &["older engine has it open", "stop the other engine"]);
    drop(older);
    SqliteStore::open_with(&path, Options::default(), &followed_by(NEXT)).expect("opens");
}

#[test]
fn a_file_taken_away_under_another_process_is_not_made_anew() {
    let (_folder, path) = folder();
    let open = open_at(&path).expect("opens");
    fs::remove_file(&path).expect("removes");
    assert_says(&refusal(open_at(&path)), &["taken away", "stop the engine"]);
    drop(open);
}

#[test]
fn two_stores_on_one_file_share_it() {
    let (_folder, path) = folder();
    let (service, command) = (open_at(&path).expect("opens"), open_at(&path).expect("opens too"));
    let lease = service.lease(P).expect("works").expect("is free");
    assert_says(&command.lease(P).expect("works").expect_err("is taken"), &["process", "since 20", "runs it"]);

    let mut transaction = service.begin(P).expect("begins");
    transaction.put_row(&row(1, "m1", 10)).expect("writes");
    assert_eq!(window(&command, P, Ledger::Rows, 0, 100), []);
    std::thread::scope(|scope| {
        let approval = PipelineState { failures: 9, ..PipelineState::default() };
        let waiting = scope.spawn(move || command.save(P, &approval).map(|()| command));
        transaction.commit().expect("commits");
        let command = waiting.join().expect("no panic").expect("waits its turn");
        assert_eq!(window(&command, P, Ledger::Rows, 0, 100).len(), 1);
    });
    assert_eq!(service.load(P).expect("reads").failures, 9);
    drop(lease);
}

#[test]
fn an_id_never_becomes_a_path() {
    let (_folder, path) = folder();
    let store = open_at(&path).expect("opens");
    for id in ["", "../evil", "/a", "a/", "a//b", "a/../b", "a.b", "A", "."] {
        assert!(store.lease(id).is_err(), "{id:?}");
    }
}

#[test]
fn a_pipeline_may_be_called_as_the_gate() {
    let (_folder, path) = folder();
    let store = open_at(&path).expect("opens");
    let lease = store.lease("open").expect("works").expect("is free");
    assert!(store.lease("open").expect("works").is_err(), "it is taken");
    drop(lease);
}

#[test]
fn a_read_in_the_middle_of_a_transaction_does_not_wait() {
    let (_folder, path) = folder();
    filled(&path);
    let store = open_at(&path).expect("opens");
    let mut transaction = store.begin(P).expect("begins");
    transaction.delete_row(RowKey(1)).expect("removes");
    assert_eq!(window(&store, P, Ledger::Rows, 0, 100).len(), 200, "the last commit");
    // And a commit does not wait for a read.
    let mut transaction = Some(transaction);
    let mut count = 0;
    store
        .entries(P, Ledger::Rows, 0, 100, &mut |_| {
            if let Some(transaction) = transaction.take() {
                transaction.commit().expect("commits");
            }
            count += 1;
        })
        .expect("reads");
    assert_eq!(count, 200, "one snapshot to its end");
    assert_eq!(window(&store, P, Ledger::Rows, 0, 100).len(), 199);
}

#[test]
fn writing_what_is_there_writes_nothing() {
    let (_folder, path) = folder();
    let store = open_at(&path).expect("opens");
    let in_lane = QuarantineEntry { lane: Some("m1".into()), at: Some(10), ..rejected(Stage::Run, "b", "c") };
    let state = PipelineState { failures: 1, ..PipelineState::default() };
    let delivery = DeliveryState { attempts: 1, ..DeliveryState::default() };
    let write = || {
        transact(&store, P, |transaction| {
            transaction.put_row(&row(1, "m1", 10)).expect("writes");
            transaction.put_record(&record(1, "m1", 10, LIVE)).expect("writes");
            transaction.delete_record(RowKey(2), false).expect("removes");
            transaction.replace_row_quarantine(0, &[rejected(Stage::Row, "a", "c")]).expect("writes");
            transaction.replace_lane_quarantine("m1", 0, std::slice::from_ref(&in_lane)).expect("writes");
            transaction.release().expect("releases");
            transaction.put_state(&state).expect("writes");
        });
        store.settle(P, &[], &[], &delivery, time(0)).expect("settles");
        store.save(P, &state).expect("writes");
        let changes = store.lock().total_changes();
        (changes, fs::metadata(path.with_extension("db-wal")).expect("is there").len())
    };
    let before = write();
    assert_eq!(write(), before);
    transact(&store, P, |transaction| transaction.put_state(&PipelineState::default()).expect("writes"));
    assert_eq!(store.lock().total_changes(), before.0 + 1, "a run without changes writes one row");
}

#[test]
fn a_transaction_is_over_after_a_failure() {
    let (_folder, path) = folder();
    let store = open_at(&path).expect("opens");
    let pages: i64 = store.lock().query_row("PRAGMA page_count", [], |row| row.get(0)).expect("reads");
    store.lock().pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).expect("sets");
    let mut transaction = store.begin(P).expect("begins");
    let big = LedgerRow { body: noise(1 << 20), ..row(1, "m1", 10) };
    let full = transaction.put_row(&big).expect_err("the disk is full");
    assert_says(&format!("{full} {full:?}"), &["writing a row", "full", "free some space"]);
    assert!(transaction.put_row(&row(2, "m1", 10)).is_err(), "alone, it would be half a transaction");
    assert!(transaction.commit().is_err());
    assert_eq!(window(&store, P, Ledger::Rows, 0, 100), []);
    transact(&store, P, |transaction| transaction.put_row(&row(3, "m1", 10)).expect("goes on"));
}

#[test]
fn a_panic_in_a_run_leaves_the_store_to_the_others() {
    let (_folder, path) = folder();
    let store = open_at(&path).expect("opens");
    let panicked = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let mut transaction = store.begin(P).expect("begins");
                transaction.put_row(&row(1, "m1", 10)).expect("writes");
                std::panic::resume_unwind(Box::new("a driver panics"));
            })
            .join()
            .is_err()
    });
    assert!(panicked);
    transact(&store, "other", |transaction| transaction.put_row(&row(2, "m1", 10)).expect("writes"));
    assert_eq!(window(&store, P, Ledger::Rows, 0, 100), []);
}

#[test]
fn a_pipeline_is_forgotten_whole() {
    let (_folder, path) = folder();
    filled(&path);
    let store = open_at(&path).expect("opens");
    transact(&store, "other", |transaction| transaction.put_row(&row(1, "m1", 10)).expect("writes"));
    assert!(store.forget(P).expect("forgets"));
    assert!(!store.forget(P).expect("has nothing to forget"));
    assert_eq!(store.pipelines().expect("reads"), ["other"]);
    assert_eq!(store.counts(P).expect("reads"), StateCounts::default());
    assert_eq!(window(&store, "other", Ledger::Rows, 0, 100).len(), 1);
}

#[test]
fn every_table_of_a_pipeline_is_forgotten() {
    let (_folder, path) = folder();
    let store = open_at(&path).expect("opens");
    let connection = store.lock();
    let mut tables: Vec<String> = connection
        .prepare(
            "SELECT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c
             WHERE m.type = 'table' AND c.name = 'pipeline'",
        )
        .expect("prepares")
        .query_map([], |row| row.get(0))
        .expect("reads")
        .collect::<rusqlite::Result<_>>()
        .expect("reads");
    tables.sort();
    let mut listed = schema::PIPELINE_TABLES;
    listed.sort_unstable();
    assert_eq!(tables, listed);
}

#[test]
fn questions_are_answered_from_an_index() {
    let (_folder, path) = folder();
    let store = open_at(&path).expect("opens");
    let connection = store.lock();
    for (sql, index, is_sorted) in [
        (ledger::IN_WINDOW, "INDEX sheet_window (pipeline=? AND shelf=? AND at_to>?)", true),
        (places::RUN_BEFORE, "INDEX place_first (pipeline=? AND shelf=? AND first<?)", true),
        (places::RUN_AFTER, "COVERING INDEX place_first (pipeline=? AND shelf=? AND first>?)", true),
        (ledger::LIVE_SHEETS, "INDEX sheet_live (pipeline=? AND shelf=? AND at_from<?)", true),
        (ledger::LATEST_SHEETS, "INDEX sheet_window (pipeline=? AND shelf=?)", true),
        (ledger::COUNTS, "COVERING INDEX sheet_window (pipeline=? AND shelf=?)", true),
        (catalogue::FORTNIGHT_FROM, "COVERING INDEX sheet_fortnight (pipeline=? AND shelf=? AND <expr>>?)", true),
        (
            catalogue::SHEET_UP_TO,
            "COVERING INDEX sheet_fortnight (pipeline=? AND shelf=? AND <expr>=? AND lane=? AND starts<?)",
            true,
        ),
        (
            catalogue::SHEET_AFTER,
            "COVERING INDEX sheet_fortnight (pipeline=? AND shelf=? AND <expr>=? AND lane=? AND starts>?)",
            true,
        ),
        (
            catalogue::SHORT_ONES_REACHING,
            "INDEX sheet_fortnight (pipeline=? AND shelf=? AND <expr>=? AND lane=? AND starts>?)",
            true,
        ),
        (catalogue::LONG_ONES_REACHING, "INDEX sheet_long (pipeline=? AND shelf=? AND lane=? AND reaches>?)", true),
        (ledger::ANY_PART, "(pipeline=? AND shelf=?)", true),
        (ledger::EVERY_SHEET, "INDEX sheet_fortnight (pipeline=?)", true),
        (COUNT_OUTBOX, "COVERING INDEX outbox_queue (pipeline=?)", true),
        (outbox::STACK_FROM, "INDEX outbox_queue (pipeline=? AND held=? AND last>?)", true),
        (outbox::QUEUE, "INDEX outbox_queue (pipeline=? AND held=?)", true),
        (quarantine::IN_LANE, "COVERING INDEX quarantine_lane (pipeline=? AND stage=? AND lane=?", true),
    ] {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("prepares");
        let parameters: Vec<i64> = vec![1; statement.parameter_count()];
        let plan: Vec<String> = statement
            .query_map(rusqlite::params_from_iter(parameters), |row| row.get(3))
            .expect("explains")
            .collect::<rusqlite::Result<_>>()
            .expect("explains");
        assert!(plan.iter().any(|step| step.contains(index)), "{sql}\n{plan:#?}");
        assert!(!is_sorted || !plan.iter().any(|step| step.contains("TEMP B-TREE")), "{sql}\n{plan:#?}");
    }
}

#[test]
fn two_that_start_at_once_make_one_file() {
    let (folder, path) = folder();
    let path = &path;
    std::thread::scope(|scope| {
        for no in 0..4_u128 {
            scope.spawn(move || {
                let store = open_at(path).expect("opens");
                transact(&store, P, |transaction| transaction.put_row(&row(no, "m1", 10)).expect("writes"));
            });
        }
    });
    let store = open_at(path).expect("opens");
    assert_eq!(window(&store, P, Ledger::Rows, 0, 100).len(), 4, "nobody's work is on a file that was replaced");
    assert!(!folder.path().join("state.db.new").exists());
}
