//! What is MySQL's and MariaDB's own: accounts, character sets, clocks and limits, on servers that are set oddly.

use engine_core::value::Cell;

use super::*;
use SourceErrorKind::{Auth, Network, Query, Timeout, Tls};
use TlsMode::{Disable, Require};

/// Settings of a server that customers have, and that change what a query means or gives.
const ODD: [&str; 4] = [
    "--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,PIPES_AS_CONCAT",
    "--default-time-zone=+05:30",
    "--character-set-server=latin1",
    "--transaction-isolation=SERIALIZABLE",
];
/// A result of more rows would be cut short without a word.
const ODD_ROWS_MAX: &str = "SET GLOBAL sql_select_limit = 1000";
/// Longer than the time after which the server closes a session that rests, one second.
const RESTED: Duration = Duration::from_millis(2_500);
/// More sessions than the server is told to have.
const SESSIONS: usize = 16;

/// A text and its bytes in a character set. In `latin1`, which is windows-1252, a byte that stands for nothing is the
/// control character of that number.
const TEXTS: [(&str, &str, &str); 19] = [
    ("utf8mb4", "f09f9880c3bc", "😀ü"),
    ("utf8mb3", "cea9c3bc", "Ωü"),
    ("latin1", "8096fc81", "€–ü\u{81}"),
    ("latin2", "b9", "š"),
    ("latin5", "fd", "ı"),
    ("cp1250", "9a80", "š€"),
    ("cp1251", "cf", "П"),
    ("cp850", "81", "ü"),
    ("cp852", "e7", "š"),
    ("koi8r", "d0", "п"),
    ("greek", "e1", "α"),
    ("macroman", "9f", "ü"),
    ("gbk", "c4e3", "你"),
    ("big5", "a741", "你"),
    ("sjis", "83658358", "テス"),
    ("euckr", "c7d1", "한"),
    ("ucs2", "03a9", "Ω"),
    ("utf16", "d83dde00", "😀"),
    ("utf32", "0001f600", "😀"),
];

/// An account that a server admits or not.
struct Account {
    /// Its name, and the word for it in messages of the test.
    name: &'static str,
    /// What follows `CREATE USER name@'%'`; statements may follow that.
    made: &'static str,
    mode: TlsMode,
    /// The kind of the failure, a part of its message, and a part of the way out.
    expected: Option<(SourceErrorKind, &'static str, &'static str)>,
}

impl Account {
    const fn refused(
        name: &'static str,
        made: &'static str,
        mode: TlsMode,
        kind: SourceErrorKind,
        message: &'static str,
        hint: &'static str,
    ) -> Self {
        Self { name, made, mode, expected: Some((kind, message, hint)) }
    }

    const fn admitted(name: &'static str, made: &'static str, mode: TlsMode) -> Self {
        Self { name, made, mode, expected: None }
    }
}

const OF_BOTH: [Account; 3] = [
    Account::admitted("encrypted", "IDENTIFIED BY 's3cret-canary' REQUIRE SSL", Require),
    Account::refused("certified", "IDENTIFIED BY 's3cret-canary' REQUIRE X509", Require, Auth, "1045", "certificate"),
    Account::refused("locked", "IDENTIFIED BY 's3cret-canary' ACCOUNT LOCK", Require, Auth, "locked", "ACCOUNT UNLOCK"),
];

const OF_MYSQL: [Account; 7] = [
    Account::admitted("sha2", "IDENTIFIED WITH caching_sha2_password BY 's3cret-canary'", Require),
    Account::refused("plain", "IDENTIFIED BY 's3cret-canary'", Disable, Tls, "encrypted connection", "tls.mode"),
    Account::refused(
        "expired",
        "IDENTIFIED BY 's3cret-canary' PASSWORD EXPIRE",
        Require,
        Auth,
        "error 1862",
        "PASSWORD EXPIRE NEVER",
    ),
    Account::admitted("sha256", "IDENTIFIED WITH sha256_password BY 's3cret-canary'", Require),
    Account::refused(
        "sha256plain",
        "IDENTIFIED WITH sha256_password BY 's3cret-canary'",
        Disable,
        Tls,
        "encrypted connection",
        "tls.mode",
    ),
    Account::refused(
        "blocked",
        "IDENTIFIED BY 'another' FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME 1",
        Require,
        Auth,
        "error 3955",
        "source.password",
    ),
    Account::refused("socket", "IDENTIFIED WITH auth_socket", Require, Auth, "error 1698", "own socket"),
];

const OF_MARIADB: [Account; 5] = [
    Account::refused(
        "unencrypted",
        "IDENTIFIED BY 's3cret-canary' REQUIRE SSL",
        Disable,
        Auth,
        "error 1045",
        "must come encrypted",
    ),
    Account::admitted("native", "IDENTIFIED VIA mysql_native_password USING PASSWORD('s3cret-canary')", Disable),
    Account::refused(
        "expired",
        "IDENTIFIED BY 's3cret-canary' PASSWORD EXPIRE",
        Require,
        Auth,
        "error 1820",
        "PASSWORD EXPIRE NEVER",
    ),
    Account::refused(
        "curve",
        "IDENTIFIED VIA ed25519 USING PASSWORD('s3cret-canary')",
        Require,
        Auth,
        "logs in by `client_ed25519`",
        "mysql_native_password",
    ),
    Account::refused("socket", "IDENTIFIED VIA unix_socket", Require, Auth, "error 1698", "own socket"),
];

#[test]
fn mariadb_that_is_set_oddly_keeps_the_contract() {
    let server = servers::mariadb_with(&[&ODD[..], &["--performance-schema=OFF"]].concat());
    server.execute("INSTALL SONAME 'auth_ed25519'");
    // Its plan is no JSON where names are written in double quotes.
    walk(&Peer { no_plan: Some("not understood"), ..MARIADB }, &server);
    for account in OF_BOTH.iter().chain(&OF_MARIADB) {
        accounts_are_admitted_or_told_why(&MARIADB, &server, account);
    }
    encryption_that_the_server_asks_for(&MARIADB, &server, Auth, "encrypted");
    too_many_wrong_passwords_block_an_account(&server);
    the_server_ends_a_query_by_itself(
        &MARIADB,
        &server,
        "SET STATEMENT max_statement_time = 0.1 FOR SELECT count(*) FROM seq_1_to_100000 AS a, seq_1_to_100000 AS b",
    );
}

#[test]
fn mysql_that_is_set_oddly_keeps_the_contract() {
    let Some(server) = servers::mysql_with(&[&ODD[..], &["--performance-schema=OFF"]].concat()) else { return };
    server.execute("INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'");
    walk(&MYSQL, &server);
    for account in OF_BOTH.iter().chain(&OF_MYSQL) {
        accounts_are_admitted_or_told_why(&MYSQL, &server, account);
    }
    encryption_that_the_server_asks_for(&MYSQL, &server, Tls, "tls.mode");
    a_login_without_encryption_works_while_the_server_remembers_it(&server);
    a_type_that_the_driver_does_not_know(&server);
    the_server_ends_a_query_by_itself(
        &MYSQL,
        &server,
        "SELECT /*+ MAX_EXECUTION_TIME(100) */ count(*) FROM many AS a, many AS b WHERE a.i * b.i % 7 = 3",
    );
}

fn walk(peer: &Peer, server: &Server) {
    server.execute(ODD_ROWS_MAX);
    keep_the_contract(peer, server);
    what_others_hold_locked_is_read_without_waiting(peer, server);
    every_character_set_becomes_the_same_text(peer, server);
    clocks_are_those_of_the_column(peer, server);
    the_server_has_the_time_limit_too(peer, server);
    a_session_that_rested_too_long_is_made_anew(peer, server);
    too_many_sessions_are_told(peer, server);
}

/// What the answer to a question of one row and one column is.
fn check(peer: &Peer, server: &Server, sql: &str, expected: &Cell<'_>) {
    let mut source = opened(peer, server);
    let batch = only_row(&mut *source, sql);
    assert_eq!(batch.row(0).get(0), *expected, "{}: {sql}", peer.name);
}

fn what_others_hold_locked_is_read_without_waiting(peer: &Peer, server: &Server) {
    // It keeps its locks when the session that prepared it is gone.
    server.execute("XA START 'held'; UPDATE booking SET note = 'new' WHERE id = 1; XA END 'held'; XA PREPARE 'held'");
    let config = ServerConfig {
        timeouts: TimeoutConfig { query: Duration::from_secs(10), ..PATIENT },
        ..config(peer, server, PATIENT)
    };
    let mut source = open(peer, config, &Cancel::default()).unwrap();
    let batch = only_row(&mut *source, "SELECT note FROM booking WHERE id = 1");
    assert_eq!(batch.row(0).get(0), Cell::Text("Müller"), "{}", peer.name);
    server.execute("XA ROLLBACK 'held'");
}

fn every_character_set_becomes_the_same_text(peer: &Peer, server: &Server) {
    for (set, bytes, text) in TEXTS {
        server.execute(&format!(
            "DROP TABLE IF EXISTS texts; CREATE TABLE texts (v varchar(10) CHARACTER SET {set}, c char(10) CHARACTER SET \
             {set}, t text CHARACTER SET {set}) CHARACTER SET {set}; INSERT INTO texts VALUES (x'{bytes}', x'{bytes}', x'{bytes}')"
        ));
        let mut source = opened(peer, server);
        let question = ask("SELECT v, c, t FROM texts WHERE v = ? AND c = ?", vec![BindValue::Text(text.into()); 2]);
        source.ask(&question).unwrap();
        let mut batch = RowBatch::new();
        assert_eq!(source.next(&mut batch).unwrap(), Fetched::Rows, "{}: {set}", peer.name);
        for place in 0..3 {
            assert_eq!(batch.row(0).get(place), Cell::Text(text), "{}: {set}", peer.name);
        }
    }
}

fn clocks_are_those_of_the_column(peer: &Peer, server: &Server) {
    server.execute(
        "SET time_zone = '+02:00'; DROP TABLE IF EXISTS clocks; CREATE TABLE clocks (civil datetime, instant timestamp NULL); \
         INSERT INTO clocks VALUES ('2025-07-01 14:00', '2025-07-01 14:00')",
    );
    check(peer, server, "SELECT civil FROM clocks", &Cell::Civil { secs: 1_751_378_400, nanos: 0 });
    check(peer, server, "SELECT instant FROM clocks", &Cell::Instant { secs: 1_751_371_200, nanos: 0 });
    check(peer, server, "SELECT timestampdiff(HOUR, utc_timestamp(), now())", &Cell::Int(0));
}

fn the_server_has_the_time_limit_too(peer: &Peer, server: &Server) {
    // A little behind the two minutes of the engine.
    let limit = if peer.name == "mysql" { "@@max_execution_time / 1000" } else { "@@max_statement_time" };
    check(peer, server, &format!("SELECT CAST({limit} AS signed)"), &Cell::Int(125));
}

fn the_server_ends_a_query_by_itself(peer: &Peer, server: &Server, sql: &str) {
    let error = failure(&mut *opened(peer, server), &ask(sql, vec![]));
    assert_eq!(error.kind, Timeout, "{}: {error}", peer.name);
}

fn a_session_that_rested_too_long_is_made_anew(peer: &Peer, server: &Server) {
    server.execute("SET GLOBAL wait_timeout = 1");
    let mut source = opened(peer, server);
    std::thread::sleep(RESTED);
    only_row(&mut *source, "SELECT 1");
    server.execute("SET GLOBAL wait_timeout = DEFAULT");
}

fn too_many_sessions_are_told(peer: &Peer, server: &Server) {
    server.execute(&format!(
        "DROP USER IF EXISTS many@'%', few@'%'; CREATE USER many@'%' IDENTIFIED BY 's3cret-canary'; \
         CREATE USER few@'%' IDENTIFIED BY 's3cret-canary' WITH MAX_USER_CONNECTIONS 1; \
         GRANT SELECT ON {database}.* TO many@'%', few@'%'",
        database = server.database
    ));
    // Sessions that were let go take the server a moment to forget: each limit is met alone.
    for (name, limit, number) in [("many", "10", "error 1040"), ("few", "DEFAULT", "error 1226")] {
        server.execute(&format!("SET GLOBAL max_connections = {limit}"));
        let mut sources = Vec::new();
        let error = loop {
            match login(peer, server, name, peer.tls) {
                Ok(source) => sources.push(source),
                Err(error) => break error,
            }
            assert!(sources.len() < SESSIONS, "{}: {name} has {SESSIONS} sessions", peer.name);
        };
        assert_eq!(error.kind, Network, "{}: {error}", peer.name);
        assert!(!sources.is_empty() && error.message.contains(number), "{}: {error}", peer.name);
    }
}

fn login(peer: &Peer, server: &Server, name: &str, mode: TlsMode) -> Result<Box<dyn Source>, SourceError> {
    let mut config = config(peer, server, PATIENT);
    config.username = name.into();
    config.password = Some("s3cret-canary".into());
    config.tls.mode = mode;
    open(peer, config, &Cancel::default())
}

fn accounts_are_admitted_or_told_why(peer: &Peer, server: &Server, account: &Account) {
    let (name, database) = (account.name, &server.database);
    server.execute(&format!(
        "DROP USER IF EXISTS {name}@'%'; CREATE USER {name}@'%' {}; GRANT SELECT ON {database}.* TO {name}@'%'",
        account.made
    ));
    match (login(peer, server, name, account.mode), account.expected) {
        (Ok(mut source), None) => drop(only_row(&mut *source, "SELECT 1")),
        (Err(error), Some((kind, message, hint))) => {
            assert_eq!(error.kind, kind, "{} {name}: {error:?}", peer.name);
            let way_out = error.hint.as_deref().unwrap_or_default();
            assert!(error.message.contains(message) && way_out.contains(hint), "{} {name}: {error:?}", peer.name);
            assert!(!format!("{error:?}").contains("canary"), "a password is in {error:?}");
        }
        (seen, _) => panic!("{} {name}: {:?}", peer.name, seen.map(|_| "is admitted")),
    }
}

fn encryption_that_the_server_asks_for(peer: &Peer, server: &Server, kind: SourceErrorKind, hint: &str) {
    server.administer("SET GLOBAL require_secure_transport = ON");
    let error = login(peer, server, &server.username, Disable).map(|_| ()).unwrap_err();
    login(peer, server, &server.username, Require).unwrap();
    server.administer("SET GLOBAL require_secure_transport = OFF");
    assert_eq!(error.kind, kind, "{}: {error}", peer.name);
    assert!(error.hint.as_ref().is_some_and(|text| text.contains(hint)), "{}: {error:?}", peer.name);
}

/// In MariaDB the server counts for all accounts; in MySQL it is a property of the account.
fn too_many_wrong_passwords_block_an_account(server: &Server) {
    server.execute("SET GLOBAL max_password_errors = 1; CREATE USER blocked@'%' IDENTIFIED BY 'another'");
    for part in ["error 1045", "error 4150"] {
        let error = login(&MARIADB, server, "blocked", Require).map(|_| ()).unwrap_err();
        assert_eq!(error.kind, Auth, "{error}");
        assert!(error.message.contains(part) && error.hint.unwrap().contains("source.password"), "{}", error.message);
    }
    server.execute("SET GLOBAL max_password_errors = DEFAULT");
}

fn a_login_without_encryption_works_while_the_server_remembers_it(server: &Server) {
    let login = |mode| login(&MYSQL, server, "sha2", mode).map(|_| ()).map_err(|error| error.kind);
    server.execute("FLUSH PRIVILEGES");
    assert_eq!(login(Disable), Err(Tls));
    assert_eq!(login(Require), Ok(()));
    assert_eq!(login(Disable), Ok(()));
    server.execute("FLUSH PRIVILEGES");
    assert_eq!(login(Disable), Err(Tls));
}

fn a_type_that_the_driver_does_not_know(server: &Server) {
    let mut source = opened(&MYSQL, server);
    let error = failure(&mut *source, &ask("SELECT STRING_TO_VECTOR('[1, 2]') AS v", vec![]));
    assert_eq!(error.kind, Query, "{error}");
    assert!(error.message.contains("type that engine cannot read"), "{error}");
    only_row(&mut *source, "SELECT VECTOR_TO_STRING(STRING_TO_VECTOR('[1, 2]')) AS v");
}
