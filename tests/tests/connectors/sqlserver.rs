//! What is SQL Server's own: addresses, encryption, logins, locks, and how values are bound. Against the stand-in,
//! whatever server is named: no other lets itself be looked into.

mod peer;

use engine_core::ports::SqlServerOptions;
use engine_core::value::Cell;
use engine_spec::model::{ApplicationIntent, Isolation};
use engine_standin::{Answer, ServerError};
use engine_tds::{Browser, Encryption, Fault, Place};
use engine_tests::standins::{Wire, sqlserver_with};

use super::*;

pub use peer::SQL_SERVER;

fn options() -> SqlServerOptions {
    SqlServerOptions {
        instance: None,
        domain: None,
        application_intent: ApplicationIntent::ReadOnly,
        isolation: Isolation::ReadCommitted,
    }
}

fn open_with(config: ServerConfig, options: SqlServerOptions) -> Result<Box<dyn Source>, SourceError> {
    let connector = registry::find("sqlserver").expect("the connector is registered");
    (connector.open)(&SourceConfig::SqlServer(config, options), &Cancel::default())
}

fn settings(server: &Server) -> ServerConfig {
    config(&SQL_SERVER, server, PATIENT)
}

fn wire(server: &Server) -> &engine_tds::Server {
    match server.standin.as_ref().map(|standin| &standin.wire) {
        Some(Wire::Tds(server)) => server,
        _ => panic!("the server is a stand-in"),
    }
}

/// The declared types of the last statement that was run with values.
fn declared(server: &Server) -> Vec<String> {
    let seen = server.database_itself().seen();
    let last = seen.iter().rev().find(|seen| seen.sql.starts_with("SELECT id FROM typed")).expect("it was run");
    last.parameters.iter().map(|parameter| parameter.declared.clone()).collect()
}

#[test]
fn text_is_bound_as_the_kind_of_its_column() {
    let server = sqlserver_with(|_| {});
    server.execute("CREATE TABLE typed (id int, plain varchar(8), padded char(4), wide nvarchar(8), at datetime)");
    server.execute("INSERT INTO typed VALUES (1, '1000', 'M1', N'Ω', '2025-03-30')");
    let mut source = open_with(settings(&server), options()).unwrap();
    let text = |text: &str| BindValue::Text(text.to_owned());
    for (condition, values, expected) in [
        ("plain = @P1", vec![text("1000")], vec!["varchar(8000)"]),
        ("padded = @P1", vec![text("M1")], vec!["varchar(8000)"]),
        ("wide = @P1", vec![text("Ω")], vec!["nvarchar(4000)"]),
        ("plain IN (@P1, @P2)", vec![text("1000"), text("1100")], vec!["varchar(8000)", "varchar(8000)"]),
        // A letter that the column's code page may lack.
        ("plain <> @P1", vec![text("Ω")], vec!["nvarchar(4000)"]),
        ("id = @P1 AND plain = @P2", vec![BindValue::Int(1), text("1000")], vec!["int", "varchar(8000)"]),
    ] {
        source.ask(&ask(&format!("SELECT id FROM typed WHERE {condition}"), values)).unwrap();
        let mut batch = RowBatch::new();
        assert_eq!(source.next(&mut batch).unwrap(), Fetched::Rows, "{condition}");
        assert_eq!(batch.row(0).get(0), Cell::Int(1), "{condition}");
        assert_eq!(declared(&server), expected, "{condition}");
    }
}

#[test]
fn a_rowversion_is_bytes_that_can_be_bound() {
    let server = sqlserver_with(|_| {});
    server.execute("CREATE TABLE changes (id int, version rowversion)");
    server.execute("INSERT INTO changes (id) VALUES (1); INSERT INTO changes (id) VALUES (2)");
    let mut source = open_with(settings(&server), options()).unwrap();
    let batch = only_row(&mut *source, "SELECT version FROM changes WHERE id = 1");
    let Cell::Bytes(first) = batch.row(0).get(0) else { panic!("{:?}", batch.row(0).get(0)) };
    assert_eq!((first.len(), &*batch.columns()[0].source_type), (8, "timestamp"));
    let after = ask("SELECT id FROM changes WHERE version > @P1", vec![BindValue::Bytes(first.to_vec())]);
    let mut later = RowBatch::new();
    source.ask(&after).unwrap();
    assert_eq!((source.next(&mut later).unwrap(), later.len()), (Fetched::Rows, 1));
    assert_eq!(later.row(0).get(0), Cell::Int(2));
}

#[test]
fn the_session_says_what_it_wants() {
    let server = sqlserver_with(|_| {});
    let _reader = open_with(settings(&server), options()).unwrap();
    let other = SqlServerOptions {
        application_intent: ApplicationIntent::ReadWrite,
        isolation: Isolation::ReadUncommitted,
        ..options()
    };
    let _writer = open_with(settings(&server), other).unwrap();
    let logins = wire(&server).logins();
    let said: Vec<_> = logins.iter().map(|login| (login.read_only, &*login.application, login.encrypted)).collect();
    assert_eq!(said, [(true, "engine", true), (false, "engine", true)]);
    let seen: Vec<String> = server.database_itself().seen().into_iter().map(|seen| seen.sql).collect();
    assert!(seen[0].contains("ISOLATION LEVEL READ COMMITTED; SET LOCK_TIMEOUT 120000"), "{}", seen[0]);
    assert!(seen[1].contains("ISOLATION LEVEL READ UNCOMMITTED"), "{}", seen[1]);
}

#[test]
fn what_a_statement_writes_is_rolled_back() {
    let server = sqlserver_with(|_| {});
    let mut source = open_with(settings(&server), options()).unwrap();
    only_row(&mut *source, "SELECT 1 AS one");
    only_row(&mut *source, "SELECT 2 AS two");
    let seen: Vec<String> = server.database_itself().seen().into_iter().map(|seen| seen.sql).collect();
    let begun = seen.iter().position(|sql| sql.contains("BEGIN TRANSACTION")).expect("a transaction begins");
    let ended = seen.iter().position(|sql| sql.contains("ROLLBACK TRANSACTION")).expect("it is rolled back");
    let run = seen.iter().position(|sql| sql == "SELECT 1 AS one").expect("the statement runs");
    assert!(begun < run && run < ended, "{seen:#?}");
    assert!(!seen.iter().any(|sql| sql.starts_with("COMMIT")), "{seen:#?}");
}

#[test]
fn a_named_instance_is_found_by_the_browser_and_a_port_does_without() {
    let server = sqlserver_with(|settings| settings.instance = "HYDRA".to_owned());
    let named = SqlServerOptions { instance: Some("HYDRA".to_owned()), ..options() };
    let nameless = ServerConfig { port: None, ..settings(&server) };
    // Nobody answers yet.
    let error = open_with(nameless.clone(), named.clone()).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Network, "{error}");
    assert_eq!(error.tried, "connecting to sqlserver at 127.0.0.1\\HYDRA as etl");
    assert!(error.hint.is_some_and(|hint| hint.contains("UDP 1434") && hint.contains("source.port")));
    // An explicit port wins, and asks nobody.
    only_row(&mut *open_with(settings(&server), named.clone()).unwrap(), "SELECT 1 AS one");
    let browser = Browser::start("HYDRA", server.port).expect("the browser's port is free");
    only_row(&mut *open_with(nameless.clone(), named).unwrap(), "SELECT 1 AS one");
    let other = SqlServerOptions { instance: Some("ANOTHER".to_owned()), ..options() };
    let error = open_with(nameless, other).map(|_| ()).unwrap_err();
    assert!(error.message.contains("ANOTHER"), "{error}");
    drop(browser);
}

#[test]
fn a_server_that_only_knows_old_encryption_is_told_by_its_cause() {
    let server = sqlserver_with(|_| {});
    wire(&server).faults().always(Place::Tls, Fault::OldTls);
    // The login is encrypted in every mode.
    for mode in [TlsMode::Disable, TlsMode::Prefer, TlsMode::Require, TlsMode::VerifyFull] {
        let mut config = settings(&server);
        config.tls.mode = mode;
        let error = open_with(config, options()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind, SourceErrorKind::Tls, "{mode:?}: {error}");
        let hint = error.hint.unwrap_or_default();
        assert!(hint.contains("TLS 1.2") && hint.contains("update"), "{mode:?}: {}; {hint}", error.message);
    }
}

#[test]
fn a_server_without_encryption_is_told() {
    let server = sqlserver_with(|settings| settings.encryption = Encryption::NotSupported);
    for mode in [TlsMode::Require, TlsMode::VerifyFull] {
        let mut config = settings(&server);
        config.tls.mode = mode;
        let error = open_with(config, options()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind, SourceErrorKind::Tls, "{mode:?}: {error}");
        assert!(error.message.contains("offers no encryption"), "{mode:?}: {error}");
    }
}

#[test]
fn without_encryption_the_login_still_is() {
    let server = sqlserver_with(|settings| settings.encryption = Encryption::Off);
    let mut config = settings(&server);
    config.tls.mode = TlsMode::Disable;
    let mut source = open_with(config, options()).unwrap();
    assert_eq!(source.identity().encryption, "none but for the login");
    only_row(&mut *source, "SELECT 1 AS one");
    assert!(wire(&server).logins()[0].encrypted, "the password never crosses the network in the clear");
}

#[test]
fn a_windows_login_is_refused_before_anything_is_sent() {
    let server = sqlserver_with(|_| {});
    let domain = SqlServerOptions { domain: Some("ACME".to_owned()), ..options() };
    let error = open_with(settings(&server), domain).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Config, "{error}");
    assert!(error.hint.is_some_and(|hint| hint.contains("SQL login")));
    assert!(wire(&server).logins().is_empty());
}

#[test]
fn failures_of_the_server_have_their_kinds_wherever_they_come() {
    let server = sqlserver_with(|_| {});
    let refuse = |number: u32, message: &str| ServerError { number, message: message.to_owned(), place: 1 };
    for (number, message, kind, hint) in [
        (1205, "Transaction (Process ID 53) was deadlocked on lock resources", SourceErrorKind::Network, "next run"),
        (1222, "Lock request time out period exceeded.", SourceErrorKind::Timeout, "snapshot"),
        (3952, "Snapshot isolation transaction failed", SourceErrorKind::Config, "ALLOW_SNAPSHOT_ISOLATION"),
        (229, "The SELECT permission was denied on the object 'booking'", SourceErrorKind::Permission, "db_datareader"),
        (
            245,
            "Conversion failed when converting the varchar value 'M1' to data type int.",
            SourceErrorKind::Query,
            "render",
        ),
    ] {
        let columns =
            vec![engine_standin::Column { name: "id".to_owned(), declared: "int".to_owned(), nullable: true }];
        let rows = vec![vec![engine_standin::Value::Int(1)]];
        let sql = format!("SELECT {number} AS failing");
        server.database_itself().on(&sql, Answer::Breaks(columns, rows, refuse(number, message)));
        let error = failure(&mut *open_with(settings(&server), options()).unwrap(), &ask(&sql, vec![]));
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(message) && error.message.contains(&number.to_string()), "{error}");
        assert!(error.hint.as_ref().is_some_and(|text| text.contains(hint)), "{error:?}");
    }
}

#[test]
fn a_server_that_stalls_or_breaks_off_costs_one_question() {
    let server = sqlserver_with(|_| {});
    server.execute("CREATE TABLE numbers (n int)");
    for number in 0..5 {
        server.execute(&format!("INSERT INTO numbers VALUES ({number})"));
    }
    let hasty = ServerConfig { timeouts: HASTY, ..settings(&server) };
    for (place, fault, config, kinds) in [
        (Place::Row(3), Fault::Cut, settings(&server), &[SourceErrorKind::Network][..]),
        (Place::Row(3), Fault::Stall, hasty, &[SourceErrorKind::Timeout]),
        (Place::Row(3), Fault::GarbageToken, settings(&server), &[SourceErrorKind::Data, SourceErrorKind::Network]),
        (Place::Answer, Fault::Cut, settings(&server), &[SourceErrorKind::Network]),
    ] {
        let mut source = open_with(config, options()).unwrap();
        wire(&server).faults().always(place, fault);
        let error = failure(&mut *source, &ask("SELECT n FROM numbers", vec![]));
        assert!(kinds.contains(&error.kind), "{place:?} {fault:?}: {error}");
        wire(&server).faults().clear();
        only_row(&mut *source, "SELECT 1 AS one");
    }
}

#[test]
fn a_silent_server_costs_no_more_than_the_time_to_connect() {
    let server = sqlserver_with(|_| {});
    for place in [Place::PreLogin, Place::Tls, Place::Login] {
        wire(&server).faults().always(place, Fault::Stall);
        let mut config = settings(&server);
        config.timeouts.connect = Duration::from_millis(500);
        let begun = std::time::Instant::now();
        let error = open_with(config, options()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind, SourceErrorKind::Timeout, "{place:?}: {error}");
        assert!(begun.elapsed() < PROMPT, "{place:?}: {:?}", begun.elapsed());
        wire(&server).faults().clear();
    }
}
