//! The Rust driver `oracledb` against the server, also where it is known to fail: who uses it has to know how.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod support;

use std::panic;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use engine_tns::{Certificate, Fault, NativeEncryption, Point, Profile, Server, Settings, Verdict, Verifier};
use oracledb::{
    Config, Connection, DB_TYPE_CLOB, Error, ErrorKind, Lob, OracleIntervalDS, OracleNumber, OracleTimestamp, connect,
};
use support::canned::{LOCKED, PASSWORD, USER};

const RELEASES: [Profile; 3] = [Profile::Oracle23ai, Profile::Oracle19c, Profile::Oracle12_1];

fn profile(profile: Profile) -> Settings {
    Settings { profile, locked: vec![LOCKED.to_owned()], ..Settings::default() }
}

fn at(port: u16, service: &str) -> Config {
    // The driver waits a second after each attempt that failed, unless it is told not to.
    let descriptor = format!(
        "(DESCRIPTION=(RETRY_DELAY=0)(ADDRESS=(PROTOCOL=tcp)(HOST=127.0.0.1)(PORT={port}))\
         (CONNECT_DATA=(SERVICE_NAME={service})))"
    );
    Config::default().set_credentials(USER, PASSWORD).set_connect_string(&descriptor).unwrap()
}

fn config(server: &Server) -> Config {
    at(server.port(), "FREEPDB1")
}

fn text<T>(result: Result<T, Error>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

fn numbers(connection: &Connection, count: usize) -> Result<usize, Error> {
    let mut seen = 0;
    for row in connection.query(&format!("SELECT * FROM numbers FETCH {count}"), &[])? {
        let row = row?;
        assert_eq!(row.get::<i64>(0)?, seen as i64);
        assert_eq!(row.get::<String>(1)?, format!("group {}", seen / 4));
        let sometimes = if seen % 3 == 0 { None } else { Some(format!("s{}", seen / 2)) };
        assert_eq!(row.get::<Option<String>>(2)?, sometimes);
        seen += 1;
    }
    Ok(seen)
}

#[test]
fn it_logs_in_and_reads_many_rows() {
    for release in RELEASES {
        let (server, _) = support::server(profile(release));
        let mut connection = connect(config(&server)).unwrap();
        connection.ping().unwrap();
        assert_eq!(numbers(&connection, 5_000).unwrap(), 5_000, "{release:?}");
        assert_eq!(connection.query("SELECT * FROM nothing", &[]).unwrap().count(), 0);
        connection.close().unwrap();
        let login = &server.logins()[0];
        assert_eq!((login.user.as_str(), login.service.as_str(), login.verdict), (USER, "FREEPDB1", Verdict::Accepted));
    }
}

#[test]
fn it_reads_every_type() {
    for release in RELEASES {
        let (server, _) = support::server(profile(release));
        let connection = connect(config(&server)).unwrap();
        let rows: Vec<_> = connection.query("SELECT * FROM types", &[]).unwrap().map(Result::unwrap).collect();
        let row = &rows[0];
        let moment = |name: &str| {
            let t = row.get::<OracleTimestamp>(name).unwrap();
            (t.year(), t.month(), t.day(), t.hour(), t.minute(), t.second(), t.nanoseconds())
        };
        assert_eq!(row.get::<i64>("ID").unwrap(), 7);
        let amount = row.get::<OracleNumber>("AMOUNT").unwrap().to_string();
        assert_eq!(amount, "-12345678901234567890123456789.000000001");
        assert_eq!(row.get::<OracleNumber>("ANY_NUMBER").unwrap().to_string(), "0.1");
        assert_eq!(row.get::<f32>("SINGLE").unwrap(), 1.5);
        assert_eq!(row.get::<f64>("DOUBLE").unwrap(), -2.25);
        assert_eq!(row.get::<String>("NAME").unwrap(), "Müller 😀");
        assert_eq!(row.get::<String>("NAME_N").unwrap(), "Žluťoučký 😀");
        assert_eq!(row.get::<String>("CODE").unwrap(), "ab   ");
        assert_eq!(row.get::<String>("CODE_N").unwrap(), "äb   ");
        assert_eq!(row.get::<Vec<u8>>("BITS").unwrap(), [0, 255, 16]);
        assert_eq!(moment("DAY"), (2025, 3, 30, 1, 30, 59, 0));
        assert_eq!(moment("AT"), (2025, 3, 30, 1, 30, 59, 123_456_789));
        assert_eq!(moment("AT_WHOLE"), (2025, 3, 30, 1, 30, 59, 0));
        // The driver gives UTC and drops the zone.
        assert_eq!(moment("AT_ZONE"), (2025, 3, 29, 23, 30, 59, 500_000_000));
        assert_eq!(moment("AT_LOCAL"), (2025, 3, 30, 1, 30, 59, 250_000_000));
        let lasted = row.get::<OracleIntervalDS>("LASTED").unwrap();
        assert_eq!((lasted.days(), lasted.hours(), lasted.seconds(), lasted.nanoseconds()), (1, 2, 4, 500_000_000));
        assert_eq!(row.get::<String>("PLACE").unwrap(), "AAAShEAAGAAAAFXAAB");
        for (index, column) in rows[1].columns().iter().enumerate() {
            assert!(rows[1].get::<Option<String>>(index).unwrap().is_none(), "{}", column.name());
        }
    }
}

#[test]
fn it_reads_lobs_and_long_values() {
    let long_text = "Zeile ä😀 ".repeat(5_000);
    let (server, _) = support::server(profile(Profile::Oracle19c));
    let connection = connect(config(&server)).unwrap();
    let rows: Vec<_> = connection.query("SELECT * FROM lobs", &[]).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows[0].get::<String>("C").unwrap(), long_text);
    assert_eq!(rows[0].get::<Vec<u8>>("B").unwrap().len(), 100_000);
    assert_eq!(rows[0].get::<String>("NC").unwrap(), "národní");
    assert!(rows[1].get::<Option<String>>("C").unwrap().is_none());
    let rows: Vec<_> = connection.query("SELECT * FROM longs", &[]).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows[0].get::<String>("L").unwrap(), long_text);
    let statement = connection.statement("SELECT * FROM lobs").unwrap().fetch_lobs().build().unwrap();
    let mut rows: Vec<_> = statement.query(&[]).unwrap().map(Result::unwrap).collect();
    let lob = rows[0].take::<Lob>("C").unwrap();
    assert_eq!(lob.db_type(), DB_TYPE_CLOB);
}

#[test]
fn binds_come_back() {
    let (server, _) = support::server(profile(Profile::Oracle19c));
    let connection = connect(config(&server)).unwrap();
    let amount: OracleNumber = "-12345678901234567890.5".parse().unwrap();
    let moment = OracleTimestamp::new_timestamp(2025, 3, 30, 1, 30, 59, 123_456_789);
    let row = connection
        .query_row(
            "SELECT :a, :b, :c, :d, :e, :f FROM dual",
            &[&"Müller", &42i64, &amount, &1.5f64, &moment, &vec![0u8, 255]],
        )
        .unwrap();
    assert_eq!(row.get::<String>(0).unwrap(), "Müller");
    assert_eq!(row.get::<i64>(1).unwrap(), 42);
    assert_eq!(row.get::<OracleNumber>(2).unwrap().to_string(), "-12345678901234567890.5");
    assert_eq!(row.get::<f64>(3).unwrap(), 1.5);
    assert_eq!(row.get::<OracleTimestamp>(4).unwrap().nanoseconds(), 123_456_789);
    assert_eq!(row.get::<Vec<u8>>(5).unwrap(), [0, 255]);
}

#[test]
fn errors_say_what_is_wrong() {
    for (release, denied) in [
        (Profile::Oracle23ai, "ORA-01017: invalid credential or not authorized; logon denied"),
        (Profile::Oracle19c, "ORA-01017: invalid username/password; logon denied"),
    ] {
        let (server, _) = support::server(profile(release));
        assert_eq!(text(connect(config(&server).set_password("wrong"))), denied);
        assert_eq!(text(connect(config(&server).set_user("nobody"))), denied);
        assert_eq!(text(connect(config(&server).set_user(LOCKED))), "ORA-28000: The account is locked.");
        let refused = text(connect(at(server.port(), "elsewhere")));
        assert!(refused.contains("service \"elsewhere\" is not registered with the listener"), "{refused}");
        assert!(refused.contains("(Similar to ORA-12514)"), "{refused}");
        let connection = connect(config(&server)).unwrap();
        let missing = connection.query("SELECT * FROM missing", &[]).map(drop).unwrap_err();
        assert!(matches!(missing.kind(), ErrorKind::DbError(error) if (error.code(), error.offset()) == (942, 14)));
        assert_eq!(missing.to_string(), "ORA-00942: table or view does not exist");
        assert_eq!(numbers(&connection, 10).unwrap(), 10);
    }
}

#[test]
fn a_call_that_takes_too_long_is_given_up_and_the_session_lives() {
    for release in RELEASES {
        let (server, seen) = support::server(profile(release));
        let connection = connect(config(&server)).unwrap();
        connection.set_call_timeout(Some(Duration::from_millis(300))).unwrap();
        let error = connection.query("SELECT * FROM forever", &[]).map(drop).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::CallTimeoutExceeded, "{release:?}");
        assert_eq!(error.to_string(), "the configured call timeout was exceeded");
        assert_eq!(numbers(&connection, 10).unwrap(), 10, "{release:?}");
        assert_eq!(seen.cancelled.load(Ordering::Relaxed), 1, "{release:?}");
    }
}

#[test]
fn a_server_that_goes_silent_is_noticed_by_the_call_timeout_only() {
    for point in [Point::Answer, Point::MidFetch] {
        let (server, _) = support::server(profile(Profile::Oracle19c));
        let connection = connect(config(&server)).unwrap();
        connection.set_call_timeout(Some(Duration::from_millis(200))).unwrap();
        server.faults().set(point, Fault::Stall);
        let begun = Instant::now();
        let said = text(numbers(&connection, 1_000));
        assert_eq!(said, "unable to recover from error: connection has been closed", "{point:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{point:?}");
    }
}

/// Dropping a connection says goodbye and waits for the answer without any time-out.
#[test]
fn a_connection_to_a_silent_server_cannot_be_dropped() {
    let (server, _) = support::server(profile(Profile::Oracle19c));
    let connection = connect(config(&server)).unwrap();
    connection.set_call_timeout(Some(Duration::from_millis(50))).unwrap();
    server.faults().set(Point::Logoff, Fault::Stall);
    let dropping = std::thread::spawn(move || drop(connection));
    std::thread::sleep(Duration::from_millis(500));
    assert!(!dropping.is_finished());
    server.faults().clear();
    dropping.join().unwrap();
}

#[test]
fn a_connection_that_is_cut_is_an_error() {
    for release in RELEASES {
        for point in [Point::Accept, Point::Connect, Point::Authentication, Point::Answer, Point::MidFetch] {
            let (server, _) = support::server(profile(release));
            let login = matches!(point, Point::Accept | Point::Connect | Point::Authentication);
            if login {
                server.faults().set(point, Fault::Cut);
            }
            let result = connect(config(&server)).and_then(|connection| {
                server.faults().set(point, Fault::Cut);
                numbers(&connection, 1_000)
            });
            let kind = result.unwrap_err();
            assert!(matches!(kind.kind(), ErrorKind::DeadConnection | ErrorKind::StreamOperation), "{point:?}: {kind}");
        }
    }
}

#[test]
fn garbage_is_an_error() {
    for point in [Point::Accept, Point::Connect, Point::Authentication, Point::Answer, Point::MidFetch] {
        let (server, _) = support::server(profile(Profile::Oracle19c));
        let login = matches!(point, Point::Accept | Point::Connect | Point::Authentication);
        if login {
            server.faults().set(point, Fault::Garbage);
        }
        let result = connect(config(&server)).and_then(|connection| {
            server.faults().set(point, Fault::Garbage);
            numbers(&connection, 1_000)
        });
        assert!(result.is_err(), "{point:?}");
    }
}

fn wallet() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(Path::new(support::TLS).join("ca.pem"), folder.path().join("ewallet.pem")).unwrap();
    folder
}

#[test]
fn tls_is_used_and_the_certificate_is_checked() {
    let read = |name: &str| std::fs::read_to_string(Path::new(support::TLS).join(name)).unwrap();
    let start =
        |certificate| support::server(Settings { certificate: Some(certificate), ..profile(Profile::Oracle19c) }).0;
    let folder = wallet();
    let config = |server: &Server| {
        let descriptor = format!(
            "(DESCRIPTION=(RETRY_DELAY=0)(ADDRESS=(PROTOCOL=tcps)(HOST=localhost)(PORT={}))\
             (CONNECT_DATA=(SERVICE_NAME=FREEPDB1)))",
            server.port()
        );
        Config::default().set_credentials(USER, PASSWORD).set_connect_string(&descriptor).unwrap()
    };
    let trusted = |server: &Server| config(server).set_wallet_location(folder.path().display().to_string());
    let good = start(support::certificate());
    let connection = connect(trusted(&good)).unwrap();
    assert_eq!(numbers(&connection, 1_000).unwrap(), 1_000);
    connection.set_call_timeout(Some(Duration::from_millis(200))).unwrap();
    let error = connection.query("SELECT * FROM forever", &[]).map(drop).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::CallTimeoutExceeded);
    assert_eq!(numbers(&connection, 10).unwrap(), 10);
    let unknown = text(connect(config(&good)));
    assert_eq!(unknown, "stream operation failed: invalid peer certificate: UnknownIssuer");
    let other = start(Certificate { chain: read("elsewhere.pem"), key: read("elsewhere.key") });
    let said = text(connect(trusted(&other)));
    assert!(said.contains("invalid peer certificate: certificate not valid for name \"localhost\""), "{said}");
    let (plain, _) = support::server(profile(Profile::Oracle19c));
    assert!(connect(trusted(&plain)).is_err());
    assert!(connect(at(good.port(), "FREEPDB1")).is_err());
}

#[test]
fn it_refuses_an_11_2_server() {
    let (server, _) = support::server(profile(Profile::Oracle11_2));
    assert_eq!(text(connect(config(&server))), "connections to this database server are not supported");
}

#[test]
fn it_panics_where_only_the_verifier_of_11g_or_native_encryption_is_to_be_had() {
    let old = Settings { verifier: Verifier::V11g, ..profile(Profile::Oracle19c) };
    let encrypted = Settings { native_encryption: NativeEncryption::Required, ..profile(Profile::Oracle19c) };
    for settings in [old, encrypted] {
        let (server, _) = support::server(settings);
        let config = config(&server);
        assert!(panic::catch_unwind(|| connect(config)).is_err());
    }
}

#[test]
fn a_session_that_another_ended_says_so() {
    let (server, seen) = support::server(profile(Profile::Oracle19c));
    let connection = connect(config(&server)).unwrap();
    seen.kill.store(true, Ordering::Relaxed);
    assert_eq!(text(numbers(&connection, 10)), "ORA-00028: your session has been killed");
}

/// An instant is sent as the reading of a clock, and what zone that clock is in is the session's business.
#[test]
fn an_instant_is_bound_without_its_zone() {
    let (server, seen) = support::server(profile(Profile::Oracle19c));
    let connection = connect(config(&server)).unwrap();
    let moment = OracleTimestamp::new_utc_timestamp(2025, 3, 30, 1, 30, 59, 0);
    let row = connection.query_row("SELECT :1 FROM dual", &[&moment]).unwrap();
    assert_eq!(row.columns()[0].data_type(), "TIMESTAMP(9)");
    assert!(!row.get::<OracleTimestamp>(0).unwrap().is_utc());
    assert_eq!(seen.statements.lock().unwrap().len(), 1);
}
