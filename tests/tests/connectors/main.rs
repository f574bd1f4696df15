//! The contract of a connector, run against the real thing: every kind of source goes through one list.
//!
//! One test for each server, since each test may be a process of its own and starts its server once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod encryption;
mod mysql;
mod peers;

use std::time::{Duration, Instant};

use engine_connect::registry;
use engine_core::ports::{
    Ask, Cancel, Fetched, ServerConfig, Source, SourceConfig, SourceError, SourceErrorKind, TimeoutConfig, TlsConfig,
};
use engine_core::value::{Cell, Kind, RowBatch};
use engine_spec::model::TlsMode;
use engine_spec::template::{Bind, BindValue, Statement};
use engine_tests::servers::{self, Server};

use peers::{MARIADB, MYSQL, POSTGRES, Peer};

const PATIENT: TimeoutConfig = TimeoutConfig { connect: Duration::from_secs(20), query: Duration::from_secs(120) };
const HASTY: TimeoutConfig = TimeoutConfig { connect: Duration::from_secs(20), query: Duration::from_millis(300) };
/// Rows of the result that must stream.
const MANY_ROWS: i64 = 200_000;
/// How much memory reading them may cost; the result is over 40 MB.
const STREAM_MEMORY_MAX_KIB: u64 = 24 * 1024;
/// How soon a cancelled or hasty query must come back.
const PROMPT: Duration = Duration::from_secs(5);

#[test]
fn mysql_keeps_the_contract() {
    if let Some(server) = servers::mysql() {
        keep_the_contract(&MYSQL, &server);
        a_password_is_not_sent_in_the_clear(&MYSQL, &server);
    }
}

#[test]
fn mariadb_keeps_the_contract() {
    keep_the_contract(&MARIADB, &servers::mariadb());
}

#[test]
fn mariadb_keeps_the_contract_under_the_name_of_mysql() {
    let peer = Peer { name: "mysql", wrap: SourceConfig::MySql, ..MARIADB };
    keep_the_contract(&peer, &servers::mariadb());
}

#[test]
fn postgres_keeps_the_contract() {
    keep_the_contract(&POSTGRES, &servers::postgres());
}

fn keep_the_contract(peer: &Peer, server: &Server) {
    server.execute(peer.setup);
    values_round_trip(peer, server);
    bad_values_cost_only_themselves(peer, server);
    no_rows_still_have_columns(peer, server);
    bound_values_fit(peer, server);
    misfits_are_named(peer, server);
    identity_says_who(peer, server);
    logins_are_checked(peer, server);
    certificates_are_checked(peer, server);
    nothing_is_written(peer, server);
    errors_say_where(peer, server);
    a_large_result_streams(peer, server);
    a_slow_query_runs_out_of_time(peer, server);
    a_slow_query_is_cancelled(peer, server);
    a_large_result_is_given_up(peer, server);
    a_cut_connection_is_noticed_and_made_anew(peer, server);
    a_closed_port_is_told(peer, server);
}

fn values_round_trip(peer: &Peer, server: &Server) {
    let mut source = opened(peer, server);
    for (expression, kind, expected) in peer.values.iter().chain(peer.own_values) {
        let batch = only_row(&mut *source, &format!("SELECT {expression} AS v, 1 AS one {}", peer.from));
        assert_eq!(batch.row(0).get(0), *expected, "{}: {expression}", peer.name);
        assert_eq!(batch.columns()[0].kind, *kind, "{}: {expression}", peer.name);
        assert!(!batch.columns()[0].source_type.is_empty(), "{}: {expression}", peer.name);
    }
}

fn bad_values_cost_only_themselves(peer: &Peer, server: &Server) {
    let mut source = opened(peer, server);
    for (expression, part) in peer.bad {
        let batch = only_row(&mut *source, &format!("SELECT {expression} AS v, 7 AS seven {}", peer.from));
        match batch.row(0).get(0) {
            Cell::Bad(why) => assert!(why.starts_with("column v (") && why.contains(part), "{expression}: {why}"),
            other => panic!("{}: {expression} is {other:?}", peer.name),
        }
        assert_eq!(batch.row(0).get(1), Cell::Int(7), "{}: {expression}", peer.name);
    }
}

fn no_rows_still_have_columns(peer: &Peer, server: &Server) {
    let mut source = opened(peer, server);
    source.ask(&ask("SELECT id, note FROM booking WHERE id < 0", vec![])).unwrap();
    let mut batch = RowBatch::new();
    assert_eq!(source.next(&mut batch).unwrap(), Fetched::End);
    let columns: Vec<_> = batch.columns().iter().map(|column| (&*column.name, column.kind)).collect();
    assert_eq!(columns, [("id", Kind::Int), ("note", Kind::Text)], "{}", peer.name);
    assert_eq!(source.next(&mut batch).unwrap(), Fetched::End);
}

fn bound_values_fit(peer: &Peer, server: &Server) {
    let mut source = opened(peer, server);
    for (condition, value) in (peer.binds)() {
        let case = format!("{}: {condition} with {value:?}", peer.name);
        source.ask(&ask(&format!("SELECT id FROM booking WHERE {condition}"), vec![value])).unwrap();
        let mut batch = RowBatch::new();
        assert_eq!(source.next(&mut batch).unwrap_or_else(|error| panic!("{case}: {error}")), Fetched::Rows, "{case}");
        assert_eq!(batch.row(0).get(0), Cell::Int(1), "{case}");
    }
    let error = failure(&mut *source, &ask("SELECT id FROM booking", vec![BindValue::Int(1)]));
    assert_eq!(error.kind, SourceErrorKind::Query, "{error}");
}

fn misfits_are_named(peer: &Peer, server: &Server) {
    let mut source = opened(peer, server);
    for (condition, value, part) in (peer.misfits)() {
        let error = failure(&mut *source, &ask(&format!("SELECT id FROM booking WHERE {condition}"), vec![value]));
        assert_eq!(error.kind, SourceErrorKind::Query, "{condition}: {error}");
        assert!(error.message.contains("`params.p1`") && error.message.contains(part), "{condition}: {error}");
    }
}

fn identity_says_who(peer: &Peer, server: &Server) {
    let (first, second) = (opened(peer, server), opened(peer, server));
    let identity = first.identity();
    assert_eq!(identity, second.identity(), "the same server says the same of itself");
    assert!(!identity.version.is_empty());
    assert_eq!(identity.encryption == "none", peer.tls == TlsMode::Disable, "{}", identity.encryption);
    for fact in peer.facts {
        assert!(identity.facts.contains_key(*fact), "{}: {fact} is not in {:?}", peer.name, identity.facts);
    }
}

fn logins_are_checked(peer: &Peer, server: &Server) {
    let refused = |change: &dyn Fn(&mut ServerConfig)| {
        let mut config = config(peer, server, PATIENT);
        change(&mut config);
        let opened = open(peer, config, &Cancel::default());
        opened.map(|_| ()).expect_err("the settings are wrong")
    };
    let error = refused(&|config| config.password = Some("wrong-canary".into()));
    assert_eq!(error.kind, SourceErrorKind::Auth, "{error}");
    let place = format!("connecting to {} at {}:{} as {}", peer.name, server.host, server.port, server.username);
    assert_eq!(error.tried, place);
    assert!(error.hint.as_ref().is_some_and(|hint| hint.contains("source.password")), "{error:?}");
    assert!(!format!("{error:?}").contains("canary"), "a password is in {error:?}");

    let error = refused(&|config| config.database = "nowhere".into());
    assert_eq!(error.kind, SourceErrorKind::Config, "{error}");
    let error = refused(&|config| config.tls.cert_file = Some("/nowhere.pem".into()));
    assert_eq!(error.kind, SourceErrorKind::Config, "{error}");
    let error = refused(&|config| config.host = "no-such-host.invalid".into());
    assert_eq!(error.kind, SourceErrorKind::Network, "{error}");

    let mut config = config(peer, server, PATIENT);
    config.username = "stranger".into();
    config.password = Some("s3cret-canary".into());
    let mut source = open(peer, config, &Cancel::default()).unwrap();
    let error = failure(&mut *source, &ask(peer.stranger, vec![]));
    assert_eq!(error.kind, SourceErrorKind::Permission, "{error}");
}

fn certificates_are_checked(peer: &Peer, server: &Server) {
    let Some(ca_file) = &server.ca_file else { return };
    let encrypted = |mode: TlsMode, host: &str, trusted: bool| {
        let mut config = config(peer, server, PATIENT);
        config.host = host.to_owned();
        config.tls.mode = mode;
        config.tls.ca_file = trusted.then(|| ca_file.clone());
        open(peer, config, &Cancel::default()).map(|source| source.identity().encryption.clone())
    };
    for (mode, host, trusted, expected) in [
        (TlsMode::Prefer, "127.0.0.1", false, Ok("no certificate checked")),
        (TlsMode::Require, "localhost", false, Ok("no certificate checked")),
        (TlsMode::VerifyCa, "localhost", true, Ok("authority checked")),
        (TlsMode::VerifyFull, "127.0.0.1", true, Ok("authority and host name checked")),
        (TlsMode::VerifyCa, "127.0.0.1", false, Err("tls.ca_file")),
        (TlsMode::VerifyFull, "127.0.0.1", false, Err("tls.ca_file")),
        (TlsMode::VerifyFull, "localhost", true, Err("another name")),
    ] {
        match (encrypted(mode, host, trusted), expected) {
            (Ok(seen), Ok(part)) => {
                assert!(seen.starts_with("TLSv1.") && seen.ends_with(part), "{mode:?} {host}: {seen}");
            }
            (Err(error), Err(part)) => {
                assert_eq!(error.kind, SourceErrorKind::Tls, "{mode:?} {host}: {error}");
                let hint = error.hint.unwrap_or_default();
                assert!(hint.contains(part), "{mode:?} {host}: {}; {hint}", error.message);
            }
            (seen, _) => panic!("{}: {mode:?} {host} trusted {trusted}: {seen:?}", peer.name),
        }
    }
    let mut config = config(peer, server, PATIENT);
    config.tls = TlsConfig { mode: TlsMode::VerifyFull, ca_file: Some("/nowhere/ca.pem".into()), ..config.tls };
    let error = open(peer, config, &Cancel::default()).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Config, "{error}");
}

/// The server forgets who logged in before, and then wants the password itself.
fn a_password_is_not_sent_in_the_clear(peer: &Peer, server: &Server) {
    let login = |mode: TlsMode| {
        let mut config = config(peer, server, PATIENT);
        config.tls.mode = mode;
        open(peer, config, &Cancel::default()).map(|_| ())
    };
    server.execute("FLUSH PRIVILEGES");
    let error = login(TlsMode::Disable).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Tls, "{error}");
    assert!(error.hint.as_ref().is_some_and(|hint| hint.contains("tls.mode")), "{error:?}");
    login(TlsMode::Require).unwrap();
    login(TlsMode::Disable).unwrap();
}

fn nothing_is_written(peer: &Peer, server: &Server) {
    let before = server.execute("SELECT count(*) FROM booking");
    let mut source = opened(peer, server);
    for sql in peer.writes {
        let error = failure(&mut *source, &ask(sql, vec![]));
        let kinds = [SourceErrorKind::Permission, SourceErrorKind::Query];
        assert!(kinds.contains(&error.kind), "{}: {sql}: {error}", peer.name);
    }
    assert_eq!(server.execute("SELECT count(*) FROM booking"), before, "{}", peer.name);
}

fn errors_say_where(peer: &Peer, server: &Server) {
    let (sql, parts) = peer.unknown_table;
    let error = failure(&mut *opened(peer, server), &ask(sql, vec![]));
    assert_eq!(error.kind, SourceErrorKind::Query, "{error}");
    assert!(error.tried.contains(&format!("{}:{}", server.host, server.port)), "{error}");
    for part in parts {
        assert!(error.message.contains(part), "{}: {error}", peer.name);
    }
}

fn a_large_result_streams(peer: &Peer, server: &Server) {
    let mut source = opened(peer, server);
    let mut batch = RowBatch::new();
    source.ask(&ask(peer.many, vec![])).unwrap();
    source.next(&mut batch).unwrap();
    let (before, mut seen, mut most) = (resident_kib(), 0, 0);
    loop {
        for row in batch.rows() {
            seen += 1;
            assert_eq!(row.get(0), Cell::Int(seen));
            assert!(matches!(row.get(1), Cell::Text(text) if text.len() == 200));
        }
        most = most.max(resident_kib());
        if source.next(&mut batch).unwrap() == Fetched::End {
            break;
        }
    }
    assert_eq!(seen, MANY_ROWS, "{}", peer.name);
    let grown = most.saturating_sub(before);
    assert!(grown < STREAM_MEMORY_MAX_KIB, "{}: {grown} KiB more for a result that streams", peer.name);
}

fn a_slow_query_runs_out_of_time(peer: &Peer, server: &Server) {
    let mut source = open(peer, config(peer, server, HASTY), &Cancel::default()).unwrap();
    let begun = Instant::now();
    let error = failure(&mut *source, &ask(peer.slow, vec![]));
    assert_eq!(error.kind, SourceErrorKind::Timeout, "{error}");
    assert!(begun.elapsed() < PROMPT, "{}: {:?}", peer.name, begun.elapsed());
    server.await_answer(peer.running, "0");
    only_row(&mut *source, "SELECT 1");
}

fn a_slow_query_is_cancelled(peer: &Peer, server: &Server) {
    let cancel = Cancel::default();
    let mut source = open(peer, config(peer, server, PATIENT), &cancel).unwrap();
    source.ask(&ask(peer.slow, vec![])).unwrap();
    server.await_answer(peer.running, "1");
    let begun = Instant::now();
    cancel.cancel();
    assert_eq!(source.next(&mut RowBatch::new()).unwrap_err().kind, SourceErrorKind::Cancelled);
    assert!(begun.elapsed() < PROMPT, "{}: {:?}", peer.name, begun.elapsed());
    server.await_answer(peer.running, "0");
}

fn a_large_result_is_given_up(peer: &Peer, server: &Server) {
    let mut source = opened(peer, server);
    let mut batch = RowBatch::new();
    source.ask(&ask(peer.many, vec![])).unwrap();
    source.next(&mut batch).unwrap();
    only_row(&mut *source, "SELECT 1");
    source.ask(&ask(peer.many, vec![])).unwrap();
    source.next(&mut batch).unwrap();
    drop(source);
    server.await_answer(peer.running, "0");
}

fn a_cut_connection_is_noticed_and_made_anew(peer: &Peer, server: &Server) {
    let mut source = opened(peer, server);
    source.ask(&ask(peer.slow, vec![])).unwrap();
    server.await_answer(peer.running, "1");
    cut(peer, server);
    let error = source.next(&mut RowBatch::new()).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Network, "{error}");
    only_row(&mut *source, "SELECT 1");
    // A session that was cut while it rested is not even an error.
    cut(peer, server);
    only_row(&mut *source, "SELECT 1");
}

fn cut(peer: &Peer, server: &Server) {
    let statements = server.execute(peer.cut);
    assert!(!statements.trim().is_empty(), "{}: no session is there to be cut", peer.name);
    for statement in statements.lines() {
        server.execute(statement);
    }
}

fn a_closed_port_is_told(peer: &Peer, server: &Server) {
    let mut config = config(peer, server, PATIENT);
    config.host = "127.0.0.1".into();
    config.port = Some(1);
    let error = open(peer, config, &Cancel::default()).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Network, "{error}");
    assert!(error.tried.contains("127.0.0.1:1") && error.hint.unwrap().contains("source.port"));
}

fn config(peer: &Peer, server: &Server, timeouts: TimeoutConfig) -> ServerConfig {
    ServerConfig {
        host: server.host.clone(),
        port: Some(server.port),
        database: server.database.clone(),
        username: server.username.clone(),
        password: Some(server.password.clone().into()),
        tls: TlsConfig { mode: peer.tls, ca_file: None, cert_file: None, key_file: None },
        timeouts,
    }
}

fn open(peer: &Peer, config: ServerConfig, cancel: &Cancel) -> Result<Box<dyn Source>, SourceError> {
    let connector = registry::find(peer.name).expect("the connector is registered");
    (connector.open)(&(peer.wrap)(config), cancel)
}

fn opened(peer: &Peer, server: &Server) -> Box<dyn Source> {
    open(peer, config(peer, server, PATIENT), &Cancel::default()).unwrap()
}

fn ask(sql: &str, values: Vec<BindValue>) -> Ask {
    let named = |(place, value)| Bind { origin: format!("params.p{}", place + 1), value };
    Ask {
        statement: Some(Statement { sql: sql.to_owned(), binds: values.into_iter().enumerate().map(named).collect() }),
        ..Ask::default()
    }
}

/// The only row of an answer, read to its end.
fn only_row(source: &mut dyn Source, sql: &str) -> RowBatch {
    source.ask(&ask(sql, vec![])).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let (mut batch, mut rest) = (RowBatch::new(), RowBatch::new());
    assert_eq!(source.next(&mut batch).unwrap_or_else(|error| panic!("{sql}: {error}")), Fetched::Rows, "{sql}");
    assert_eq!((batch.len(), source.next(&mut rest).unwrap()), (1, Fetched::End), "{sql}");
    batch
}

/// The failure that an answer ends with.
fn failure(source: &mut dyn Source, ask: &Ask) -> SourceError {
    let mut batch = RowBatch::new();
    if let Err(error) = source.ask(ask) {
        return error;
    }
    loop {
        match source.next(&mut batch) {
            Ok(Fetched::Rows) => {}
            Ok(Fetched::End) => panic!("{ask:?} did not fail"),
            Err(error) => return error,
        }
    }
}

/// Memory that this process holds, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells of its processes");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the line is there");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}
