//! Results that are larger than what may be kept of them, and clients that do not read them.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use engine_standin::{Database, Product};
use engine_tns::{Fault, Point, Profile, Server, Settings};
use oracledb::{Config, Connection, OracleNumber, connect};
use support::canned::{PASSWORD, USER};

/// Rows that wait between the backend and the client: four batches, one that is filled, one that is taken.
const WAITING_ROWS_MAX: u64 = 2_000;

fn login(server: &Server, user: &str, password: &str) -> Connection {
    let at = format!("127.0.0.1:{}/FREEPDB1", server.port());
    connect(Config::default().set_credentials(user, password).set_connect_string(&at).unwrap()).unwrap()
}

#[test]
fn a_result_of_forty_megabytes_is_never_held() {
    let (server, seen) = support::server(Settings { profile: Profile::Oracle23ai, ..Settings::default() });
    let connection = login(&server, USER, PASSWORD);
    let mut ahead = 0;
    let mut count = 0;
    for row in connection.query("SELECT * FROM wide FETCH 200000", &[]).unwrap() {
        assert_eq!(row.unwrap().get::<u64>(0).unwrap(), count);
        count += 1;
        ahead = ahead.max(seen.rows.load(Ordering::Relaxed).saturating_sub(count));
    }
    assert_eq!(count, 200_000);
    assert!(ahead < WAITING_ROWS_MAX, "{ahead} rows were made before they were asked for");
}

#[test]
fn a_client_that_stops_reading_stops_the_statement_and_its_end_ends_it() {
    let (server, seen) = support::server(Settings::default());
    let connection = login(&server, USER, PASSWORD);
    let mut rows = connection.query("SELECT * FROM wide FETCH 200000", &[]).unwrap();
    rows.next().unwrap().unwrap();
    thread::sleep(Duration::from_millis(200));
    let made = seen.rows.load(Ordering::Relaxed);
    assert!(made < WAITING_ROWS_MAX, "{made}");
    drop(rows);
    drop(connection);
    let until = Instant::now() + Duration::from_secs(5);
    while seen.cancelled.load(Ordering::Relaxed) == 0 && Instant::now() < until {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(seen.cancelled.load(Ordering::Relaxed), 1);
}

#[test]
fn a_server_that_is_dropped_does_not_wait_for_what_stalls() {
    let (server, _) = support::server(Settings::default());
    server.faults().set(Point::Connect, Fault::Stall);
    let at = format!("127.0.0.1:{}/FREEPDB1", server.port());
    let config = Config::default().set_credentials(USER, PASSWORD).set_connect_string(&at).unwrap();
    let client = thread::spawn(|| connect(config).is_err());
    thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    drop(server);
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(client.join().unwrap());
}

#[test]
fn a_database_answers_behind_the_protocol() {
    let database = Database::new(Product::Oracle, "FREEPDB1");
    database.login("scott", "tiger");
    let server = Server::start(Arc::new(database), Settings::default()).unwrap();
    let connection = login(&server, "scott", "tiger");
    connection.execute("CREATE TABLE orders (id NUMBER(10), name VARCHAR2(20), amount NUMBER(12,2))", &[]).unwrap();
    let insert = "INSERT INTO orders VALUES (:id, :name, :amount)";
    for (id, name, amount) in [(1i64, "first", "12.50"), (2, "second", "-0.01")] {
        let amount: OracleNumber = amount.parse().unwrap();
        assert_eq!(connection.execute(insert, &[&id, &name, &amount]).unwrap().rows_affected(), 1);
    }
    connection.commit().unwrap();
    let rows = connection.query("SELECT id, name, amount FROM orders WHERE id >= :1 ORDER BY id", &[&1i64]).unwrap();
    let rows: Vec<_> = rows.map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1].get::<String>("NAME").unwrap(), "second");
    assert_eq!(rows[1].get::<OracleNumber>("AMOUNT").unwrap().to_string(), "-0.01");
    assert_eq!(rows[0].columns()[2].data_type(), "NUMBER(12,2)");
    let missing = connection.query("SELECT * FROM nowhere", &[]).map(drop).unwrap_err();
    assert!(missing.to_string().starts_with("ORA-00942"), "{missing}");
}
