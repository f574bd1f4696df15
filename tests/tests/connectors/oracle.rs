//! What is Oracle's own: addresses, drivers, wallets, old servers, and the session that nothing can change. Against
//! the stand-in, whatever server is named: no other lets itself be looked into.

mod peer;

use engine_core::ports::OracleOptions;
use engine_core::value::Cell;
use engine_spec::model::OracleDriver;
use engine_tests::standins::{Wire, oracle_over_tls, oracle_with};
use engine_tns::{Fault, NativeEncryption, Point, Profile, Verifier};

use super::*;

pub use peer::ORACLE;

fn options() -> OracleOptions {
    OracleOptions { sid: None, tns: None, config_dir: None, driver: OracleDriver::Thin }
}

fn open_with(config: ServerConfig, options: OracleOptions) -> Result<Box<dyn Source>, SourceError> {
    let connector = registry::find("oracle").expect("the connector is registered");
    (connector.open)(&SourceConfig::Oracle(config, options), &Cancel::default())
}

fn refused(config: ServerConfig, options: OracleOptions) -> SourceError {
    open_with(config, options).map(|_| ()).expect_err("this cannot work")
}

fn settings(server: &Server) -> ServerConfig {
    config(&ORACLE, server, PATIENT)
}

fn wire(server: &Server) -> &engine_tns::Server {
    match server.standin.as_ref().map(|standin| &standin.wire) {
        Some(Wire::Tns(server)) => server,
        _ => panic!("the server is a stand-in"),
    }
}

#[test]
fn every_release_that_the_driver_reaches_is_read() {
    for profile in [Profile::Oracle12_1, Profile::Oracle19c, Profile::Oracle23ai] {
        for sdu in [512, 8192] {
            let server = oracle_with(|settings| (settings.profile, settings.sdu) = (profile, sdu));
            let mut source = open_with(settings(&server), options()).unwrap();
            let sql =
                "SELECT CAST(LEVEL AS NUMBER(10)) AS n, RPAD('x', 300, 'x') AS pad FROM dual CONNECT BY LEVEL <= 2500";
            source.ask(&ask(sql, vec![])).unwrap();
            let (mut batch, mut rows) = (RowBatch::new(), 0);
            while source.next(&mut batch).unwrap_or_else(|error| panic!("{profile:?} {sdu}: {error}")) == Fetched::Rows
            {
                for row in batch.rows() {
                    rows += 1;
                    assert_eq!(row.get(0), Cell::Int(rows), "{profile:?} {sdu}");
                }
            }
            assert_eq!(rows, 2_500, "{profile:?} {sdu}");
        }
    }
}

#[test]
fn a_server_that_the_thin_driver_cannot_speak_to_says_what_to_install() {
    let old = oracle_with(|settings| settings.profile = Profile::Oracle11_2);
    let verifier = oracle_with(|settings| settings.verifier = Verifier::V11g);
    let native = oracle_with(|settings| settings.native_encryption = NativeEncryption::Required);
    for (case, server) in [("11.2", old), ("an 11G verifier", verifier), ("native encryption", native)] {
        let error = refused(settings(&server), options());
        assert_eq!(error.kind, SourceErrorKind::Config, "{case}: {error}");
        let hint = error.hint.clone().unwrap_or_default();
        assert!(hint.contains("Instant Client 19") && hint.contains("source.driver: oci"), "{case}: {error:?}");
    }
}

#[test]
fn without_the_client_library_the_other_driver_says_so() {
    let server = oracle_with(|_| {});
    let error = refused(settings(&server), OracleOptions { driver: OracleDriver::Oci, ..options() });
    assert_eq!(error.kind, SourceErrorKind::Config, "{error}");
    assert!(error.message.contains("DPI-1047"), "{error}");
    assert!(error.hint.is_some_and(|hint| hint.contains("Instant Client") && hint.contains("driver: thin")));
    // Left to itself, engine takes the driver that is there.
    let mut source = open_with(settings(&server), OracleOptions { driver: OracleDriver::Auto, ..options() }).unwrap();
    only_row(&mut *source, "SELECT 1 FROM dual");
}

#[test]
fn databases_are_found_by_service_sid_and_alias() {
    let server = oracle_with(|settings| settings.sids = vec!["PLANT".to_owned()]);
    let nameless = ServerConfig { database: String::new(), ..settings(&server) };
    let by_sid = |sid: &str| OracleOptions { sid: Some(sid.to_owned()), ..options() };
    only_row(&mut *open_with(nameless.clone(), by_sid("PLANT")).unwrap(), "SELECT 1 FROM dual");
    let error = refused(nameless.clone(), by_sid("GONE"));
    assert_eq!(error.kind, SourceErrorKind::Config, "{error}");
    assert!(error.message.contains("12505") && error.hint.is_some_and(|hint| hint.contains("source.sid")));
    let error = refused(ServerConfig { database: "GONE".to_owned(), ..settings(&server) }, options());
    assert!(error.message.contains("12514") && error.hint.is_some_and(|hint| hint.contains("lsnrctl")));

    let folder = tempfile::tempdir().unwrap();
    let alias = format!(
        "MESPROD = (DESCRIPTION = (ADDRESS = (PROTOCOL = TCP)(HOST = 127.0.0.1)(PORT = {}))\n  (CONNECT_DATA = (SERVICE_NAME = {})))\n",
        server.port, server.database
    );
    std::fs::write(folder.path().join("tnsnames.ora"), alias).unwrap();
    let by_alias = |alias: &str| OracleOptions {
        tns: Some(alias.to_owned()),
        config_dir: Some(folder.path().to_owned()),
        ..options()
    };
    only_row(&mut *open_with(nameless.clone(), by_alias("MESPROD")).unwrap(), "SELECT 1 FROM dual");
    let error = refused(nameless, by_alias("ELSEWHERE"));
    assert_eq!(error.kind, SourceErrorKind::Config, "{error}");
    assert!(error.tried.contains("ELSEWHERE") && error.hint.is_some_and(|hint| hint.contains("tnsnames.ora")));
}

#[test]
fn a_locked_account_is_told() {
    let server = oracle_with(|settings| settings.locked = vec!["etl".to_owned()]);
    let error = refused(settings(&server), options());
    assert_eq!(error.kind, SourceErrorKind::Auth, "{error}");
    assert!(error.message.contains("ORA-28000") && error.hint.is_some_and(|hint| hint.contains("UNLOCK")));
}

#[test]
fn tcps_checks_authority_and_name() {
    let server = oracle_over_tls();
    let with = |mode: TlsMode, host: &str, trusted: bool| {
        let mut config = settings(&server);
        config.host = host.to_owned();
        config.tls.mode = mode;
        config.tls.ca_file = server.ca_file.clone().filter(|_| trusted);
        config
    };
    // The thin driver checks in every mode that encrypts.
    for mode in [TlsMode::Require, TlsMode::VerifyCa, TlsMode::VerifyFull] {
        let mut source =
            open_with(with(mode, "127.0.0.1", true), options()).unwrap_or_else(|error| panic!("{mode:?}: {error}"));
        assert_eq!(source.identity().encryption, "TLS, authority and host name checked", "{mode:?}");
        only_row(&mut *source, "SELECT 1 FROM dual");
    }
    for (host, trusted, part) in [("127.0.0.1", false, "tls.ca_file"), ("localhost", true, "another name")] {
        let error = refused(with(TlsMode::VerifyFull, host, trusted), options());
        assert_eq!(error.kind, SourceErrorKind::Tls, "{host}: {error}");
        assert!(error.hint.as_ref().is_some_and(|hint| hint.contains(part)), "{host}: {error:?}");
    }
}

#[test]
fn no_setting_of_the_account_changes_a_result() {
    let server = oracle_with(|_| {});
    let mut source = open_with(settings(&server), options()).unwrap();
    for (parameter, expected) in [
        ("NLS_TERRITORY", "AMERICA"),
        ("NLS_SORT", "BINARY"),
        ("NLS_COMP", "BINARY"),
        ("NLS_NUMERIC_CHARACTERS", ".,"),
        ("NLS_DATE_FORMAT", "YYYY-MM-DD HH24:MI:SS"),
    ] {
        let sql = format!("SELECT value FROM nls_session_parameters WHERE parameter = '{parameter}'");
        let batch = only_row(&mut *source, &sql);
        assert_eq!(batch.row(0).get(0), Cell::Text(expected), "{parameter}");
    }
    let zone = only_row(&mut *source, "SELECT SESSIONTIMEZONE FROM dual");
    assert_eq!(zone.row(0).get(0), Cell::Text("+00:00"));
    let date = only_row(&mut *source, "SELECT TO_CHAR(DATE '2025-03-30') FROM dual");
    assert_eq!(date.row(0).get(0), Cell::Text("2025-03-30 00:00:00"));
}

#[test]
fn a_server_that_falls_silent_costs_no_more_than_its_time() {
    let server = oracle_with(|_| {});
    for point in [Point::Accept, Point::Connect, Point::Authentication] {
        wire(&server).faults().set(point, Fault::Stall);
        let mut config = settings(&server);
        config.timeouts.connect = Duration::from_millis(500);
        let begun = std::time::Instant::now();
        let error = refused(config, options());
        assert_eq!(error.kind, SourceErrorKind::Timeout, "{point:?}: {error}");
        assert!(begun.elapsed() < PROMPT, "{point:?}: {:?}", begun.elapsed());
        // What hangs ends with what it waits for, and a later attempt is none the worse.
        wire(&server).faults().clear();
        only_row(&mut *open_with(settings(&server), options()).unwrap(), "SELECT 1 FROM dual");
    }
}

#[test]
fn attempts_that_hang_do_not_pile_up() {
    let server = oracle_with(|_| {});
    wire(&server).faults().set(Point::Accept, Fault::Stall);
    let mut config = settings(&server);
    config.timeouts.connect = Duration::from_millis(200);
    let messages: Vec<String> = (0..6).map(|_| refused(config.clone(), options()).message).collect();
    assert!(messages[0].contains("no session within"), "{messages:?}");
    assert!(messages[5].contains("earlier attempts still wait"), "{messages:?}");
    wire(&server).faults().clear();
    // They end with the server's silence; then engine tries again.
    let deadline = std::time::Instant::now() + PATIENT.connect;
    while let Err(error) = open_with(settings(&server), options()) {
        assert!(std::time::Instant::now() < deadline, "{error}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_session_that_breaks_off_costs_one_question() {
    let server = oracle_with(|_| {});
    let many = "SELECT CAST(LEVEL AS NUMBER(10)) AS n FROM dual CONNECT BY LEVEL <= 5000";
    for point in [Point::Answer, Point::MidFetch] {
        let mut source = open_with(settings(&server), options()).unwrap();
        only_row(&mut *source, "SELECT 1 FROM dual");
        wire(&server).faults().set(point, Fault::Cut);
        let error = failure(&mut *source, &ask(many, vec![]));
        assert_eq!(error.kind, SourceErrorKind::Network, "{point:?}: {error}");
        wire(&server).faults().clear();
        only_row(&mut *source, "SELECT 1 FROM dual");
    }
    let mut source = open_with(settings(&server), options()).unwrap();
    wire(&server).faults().set(Point::MidFetch, Fault::Garbage);
    let error = failure(&mut *source, &ask(many, vec![]));
    let kinds = [SourceErrorKind::Data, SourceErrorKind::Network, SourceErrorKind::Panic];
    assert!(kinds.contains(&error.kind), "{error}");
    wire(&server).faults().clear();
    only_row(&mut *source, "SELECT 1 FROM dual");
}

#[test]
fn a_stop_is_heard_at_once_though_the_server_goes_on() {
    let server = oracle_with(|_| {});
    let cancel = Cancel::default();
    let mut source = open(&ORACLE, config(&ORACLE, &server, HASTY), &cancel).unwrap();
    source.ask(&ask(ORACLE.slow, vec![])).unwrap();
    server.await_answer(ORACLE.running, "1");
    let begun = std::time::Instant::now();
    cancel.cancel();
    assert_eq!(source.next(&mut RowBatch::new()).unwrap_err().kind, SourceErrorKind::Cancelled);
    assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
    // Its own time-out ends the call.
    server.await_answer(ORACLE.running, "0");
}
