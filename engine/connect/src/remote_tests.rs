use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use engine_core::ports::{ServerConfig, SourceConfig, TlsConfig};
use engine_core::value::{Cell, Column, Kind, Slot};
use engine_spec::model::TlsMode;

use super::*;
use crate::registry;

const LIMITS: TimeoutConfig = TimeoutConfig { connect: Duration::from_secs(20), query: Duration::from_secs(20) };
/// How long the test waits for what the driver must do.
const SOON: Duration = Duration::from_secs(10);

/// A driver whose statements are its orders: what it shall do, and it tells what it did.
struct Fake {
    deeds: Mutex<Sender<&'static str>>,
}

impl Fake {
    fn did(&self, deed: &'static str) {
        let _ = self.deeds.lock().unwrap().send(deed);
    }
}

/// Whether the session has been cut while it rested.
type IsCut = bool;

impl Driver for Fake {
    type Session = IsCut;

    async fn connect(&self) -> Result<(IsCut, SourceIdentity), Problem> {
        self.did("connect");
        Ok((false, SourceIdentity { version: "Fake 1".to_owned(), ..SourceIdentity::default() }))
    }

    async fn begin(&self, session: &mut IsCut) -> Result<(), Problem> {
        if *session { Err(Problem::new(SourceErrorKind::Network, "cut")) } else { Ok(()) }
    }

    async fn read(&self, session: &mut IsCut, ask: &Ask, feed: &mut Feed<IsCut>) -> Result<(), Problem> {
        feed.begin([Column { name: "n".to_owned(), kind: Kind::Int, source_type: "int".to_owned() }].into());
        match statement(ask)?.sql.as_str() {
            "one" => feed.row().1.push(Slot::Int(1)),
            "cut" => *session = true,
            "panic" => panic!("an assumption of the driver"),
            "fail" => return Err(Problem::new(SourceErrorKind::Query, "no such table")),
            "hang" => {
                self.did("hang");
                std::future::pending::<()>().await;
            }
            other => unreachable!("{other}"),
        }
        Ok(())
    }

    async fn commit(&self, _: &mut IsCut) -> Result<(), Problem> {
        Ok(())
    }

    async fn close(&self, _: IsCut) {
        self.did("close");
    }

    async fn kill(&self, _: IsCut) {
        self.did("kill");
    }
}

fn opened(limits: TimeoutConfig, cancel: &Cancel) -> (Remote<Fake>, Receiver<&'static str>) {
    let (deeds, seen) = channel();
    let config = server(1, limits);
    let target = Target::server("fake", &config);
    let source = Remote::open(Fake { deeds: Mutex::new(deeds) }, target, limits, cancel).unwrap();
    assert_eq!(seen.recv_timeout(SOON), Ok("connect"));
    (source, seen)
}

fn server(port: u16, timeouts: TimeoutConfig) -> ServerConfig {
    ServerConfig {
        host: "127.0.0.1".to_owned(),
        port: Some(port),
        database: "plant".to_owned(),
        username: "etl".to_owned(),
        password: None,
        tls: TlsConfig { mode: TlsMode::Disable, ca_file: None, cert_file: None, key_file: None },
        timeouts,
    }
}

fn order(sql: &str) -> Ask {
    Ask { statement: Some(Statement { sql: sql.to_owned(), binds: Vec::new() }), ..Ask::default() }
}

fn outcome(source: &mut Remote<Fake>, sql: &str) -> Result<Fetched, SourceErrorKind> {
    source.ask(&order(sql)).unwrap();
    source.next(&mut RowBatch::new()).map_err(|error| error.kind)
}

#[test]
fn a_session_is_used_again() {
    let (mut source, deeds) = opened(LIMITS, &Cancel::default());
    assert_eq!(source.identity().version, "Fake 1");
    for _ in 0..3 {
        let mut batch = RowBatch::new();
        source.ask(&order("one")).unwrap();
        assert_eq!(source.next(&mut batch).unwrap(), Fetched::Rows);
        assert_eq!(batch.row(0).get(0), Cell::Int(1));
        assert_eq!(source.next(&mut batch).unwrap(), Fetched::End);
    }
    drop(source);
    assert_eq!(deeds.recv_timeout(SOON), Ok("close"));
}

#[test]
fn a_session_that_was_cut_while_it_rested_is_made_anew() {
    let (mut source, deeds) = opened(LIMITS, &Cancel::default());
    assert_eq!(outcome(&mut source, "cut"), Ok(Fetched::End));
    assert_eq!(outcome(&mut source, "one"), Ok(Fetched::Rows));
    assert_eq!(deeds.recv_timeout(SOON), Ok("connect"));
}

#[test]
fn a_probe_gives_the_session_back() {
    let (mut source, deeds) = opened(LIMITS, &Cancel::default());
    assert_eq!(source.probe(&order("one")).unwrap(), Probe::default());
    assert_eq!(outcome(&mut source, "cut"), Ok(Fetched::End));
    assert!(deeds.try_recv().is_err(), "nothing was connected to anew");
    // A session that was cut while it rested is made anew, as for a question.
    assert_eq!(source.probe(&order("one")).unwrap(), Probe::default());
    assert_eq!(deeds.recv_timeout(SOON), Ok("connect"));
}

#[test]
fn a_failure_closes_the_session_and_the_next_question_opens_one() {
    let (mut source, deeds) = opened(LIMITS, &Cancel::default());
    assert_eq!(outcome(&mut source, "fail"), Err(SourceErrorKind::Query));
    assert_eq!(deeds.recv_timeout(SOON), Ok("close"));
    assert_eq!(outcome(&mut source, "one"), Ok(Fetched::Rows));
}

#[test]
fn a_panic_of_the_driver_is_an_error_of_the_source() {
    let (mut source, deeds) = opened(LIMITS, &Cancel::default());
    assert_eq!(outcome(&mut source, "panic"), Err(SourceErrorKind::Panic));
    assert_eq!(deeds.recv_timeout(SOON), Ok("kill"));
    assert_eq!(outcome(&mut source, "one"), Ok(Fetched::Rows));
}

#[test]
fn a_query_that_takes_too_long_is_killed() {
    let (mut source, deeds) = opened(TimeoutConfig { query: Duration::from_millis(20), ..LIMITS }, &Cancel::default());
    assert_eq!(outcome(&mut source, "hang"), Err(SourceErrorKind::Timeout));
    assert_eq!([deeds.recv_timeout(SOON), deeds.recv_timeout(SOON)], [Ok("hang"), Ok("kill")]);
}

#[test]
fn a_query_that_nobody_wants_any_more_is_killed() {
    let (mut source, deeds) = opened(LIMITS, &Cancel::default());
    source.ask(&order("hang")).unwrap();
    assert_eq!(deeds.recv_timeout(SOON), Ok("hang"));
    drop(source);
    assert_eq!(deeds.recv_timeout(SOON), Ok("kill"));
}

#[test]
fn a_cancelled_query_is_killed() {
    let cancel = Cancel::default();
    let (mut source, deeds) = opened(LIMITS, &cancel);
    source.ask(&order("hang")).unwrap();
    assert_eq!(deeds.recv_timeout(SOON), Ok("hang"));
    cancel.cancel();
    assert_eq!(source.next(&mut RowBatch::new()).map_err(|error| error.kind), Err(SourceErrorKind::Cancelled));
    assert_eq!(deeds.recv_timeout(SOON), Ok("kill"));
}

#[test]
fn asking_nothing_is_an_error() {
    let (mut source, _deeds) = opened(LIMITS, &Cancel::default());
    assert_eq!(source.next(&mut RowBatch::new()).unwrap_err().kind, SourceErrorKind::Config);
    source.ask(&Ask::default()).unwrap();
    assert_eq!(source.next(&mut RowBatch::new()).unwrap_err().kind, SourceErrorKind::Config);
}

/// Opens every connector that crosses a network at a port that accepts and then says nothing.
fn at_a_silent_port(timeouts: TimeoutConfig, cancel: &Cancel, expected: SourceErrorKind) {
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let config = server(silent.local_addr().unwrap().port(), timeouts);
    for (name, config) in [
        ("postgres", SourceConfig::Postgres(config.clone())),
        ("mysql", SourceConfig::MySql(config.clone())),
        ("mariadb", SourceConfig::MariaDb(config)),
    ] {
        let opened = (registry::find(name).unwrap().open)(&config, cancel);
        let error = opened.map(|_| ()).unwrap_err();
        assert_eq!(error.kind, expected, "{name}: {error}");
        assert!(error.tried.starts_with(&format!("connecting to {name} at 127.0.0.1:")), "{error}");
    }
}

#[test]
fn a_server_that_says_nothing_runs_out_of_time() {
    let hasty = TimeoutConfig { connect: Duration::from_millis(20), ..LIMITS };
    at_a_silent_port(hasty, &Cancel::default(), SourceErrorKind::Timeout);
}

#[test]
fn a_login_can_be_cancelled() {
    let cancel = Cancel::default();
    cancel.cancel();
    at_a_silent_port(LIMITS, &cancel, SourceErrorKind::Cancelled);
}

#[test]
fn settings_of_another_source_are_refused() {
    for connector in registry::CONNECTORS {
        let other = match connector.name {
            "postgres" => SourceConfig::MySql(server(1, LIMITS)),
            _ => SourceConfig::Postgres(server(1, LIMITS)),
        };
        let error = (connector.open)(&other, &Cancel::default()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind, SourceErrorKind::Config, "{}", connector.name);
    }
}
