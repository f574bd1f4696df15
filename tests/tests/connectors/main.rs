//! The contract of a connector, run against the real thing: every kind of source goes through one list.
//!
//! One test for each server, since each test may be a process of its own and starts its server once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod cases;
mod encryption;
mod local;
mod mysql;
mod oracle;
mod peers;
mod sqlserver;

use std::time::Duration;

use engine_connect::registry;
use engine_core::ports::{
    Ask, Cancel, Fetched, ServerConfig, Source, SourceConfig, SourceError, SourceErrorKind, TimeoutConfig, TlsConfig,
};
use engine_core::value::RowBatch;
use engine_spec::model::TlsMode;
use engine_spec::template::{Bind, BindValue, Statement};
use engine_tests::servers::{self, Server};
use engine_tests::{standins, suite};

use cases::CASES;
use oracle::ORACLE;
use peers::{MARIADB, MYSQL, POSTGRES, Peer};
use sqlserver::SQL_SERVER;

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
    let Some(server) = servers::mysql() else {
        return suite::absent(MYSQL.name, "there is no server");
    };
    keep_the_contract(&MYSQL, &server);
    a_password_is_not_sent_in_the_clear(&MYSQL, &server);
}

#[test]
fn mariadb_keeps_the_contract() {
    keep_the_contract(&MARIADB, &servers::mariadb());
}

#[test]
fn mariadb_keeps_the_contract_under_the_name_of_mysql() {
    let peer = Peer { name: "mysql", wrap: SourceConfig::MySql, ..MARIADB };
    run_cases("mariadb as mysql", &peer, &servers::mariadb());
}

#[test]
fn postgres_keeps_the_contract() {
    keep_the_contract(&POSTGRES, &servers::postgres());
}

#[test]
fn sqlserver_keeps_the_contract() {
    keep_the_contract(&SQL_SERVER, &standins::sqlserver());
}

#[test]
fn oracle_keeps_the_contract() {
    keep_the_contract(&ORACLE, &standins::oracle());
}

fn keep_the_contract(peer: &Peer, server: &Server) {
    run_cases(peer.name, peer, server);
}

/// Runs the list; `label` is the connector's name in the table.
fn run_cases(label: &str, peer: &Peer, server: &Server) {
    server.execute(peer.setup);
    let of_peer = |(name, run): &cases::Case| {
        let (run, name) = (*run, *name);
        if let Some((_, why)) = peer.cannot.iter().find(|(case, _)| *case == name) {
            return suite::skipped(name, why);
        }
        let on_server: Box<dyn Fn() -> suite::Verdict + '_> = Box::new(move || run(peer, server));
        (name, on_server)
    };
    suite::run(label, &CASES.iter().map(of_peer).collect::<Vec<_>>());
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
