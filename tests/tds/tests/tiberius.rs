//! The server as the engine's own driver sees it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod support;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine_standin::Value;
use engine_tds::{
    Acknowledgement, BROWSER_PORT, Browser, Encryption, Fault, NullRows, Place, Server, Settings, Version,
};
use futures_util::TryStreamExt;
use support::{Canned, ROW_CHARACTERS, every_type};
use tiberius::numeric::Numeric;
use tiberius::time::{Date, DateTime2, DateTimeOffset, Time};
use tiberius::{AuthMethod, Client, ColumnData, Config, EncryptionLevel, IntoSql, Query, QueryItem, SqlBrowser};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

type Connected = Client<Compat<TcpStream>>;

/// How long anything may take that takes no time.
const PATIENCE: Duration = Duration::from_secs(60);

fn start(change: impl FnOnce(&mut Settings)) -> (Server, Canned) {
    let mut settings = Settings::default();
    change(&mut settings);
    let backend = Canned::default();
    (Server::start(Arc::new(backend.clone()), settings).unwrap(), backend)
}

fn config(server: &Server) -> Config {
    let mut config = Config::new();
    config.host("localhost");
    config.port(server.port());
    config.database("MES");
    config.application_name("test");
    config.authentication(AuthMethod::sql_server("etl", "secret"));
    config.encryption(EncryptionLevel::Required);
    let authority = Path::new(env!("CARGO_MANIFEST_DIR")).join("../support/tls/ca.pem");
    config.trust_cert_ca(authority.display());
    config
}

async fn connect_with(config: Config) -> tiberius::Result<Connected> {
    let port = config.get_addr().rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    socket.set_nodelay(true).unwrap();
    tokio::time::timeout(PATIENCE, Client::connect(config, socket.compat_write())).await.unwrap()
}

async fn connect(server: &Server) -> Connected {
    connect_with(config(server)).await.unwrap()
}

async fn first_int(client: &mut Connected, sql: &str) -> i32 {
    client.simple_query(sql).await.unwrap().into_row().await.unwrap().unwrap().get(0).unwrap()
}

async fn answer_of(client: &mut Connected, sql: &str) -> tiberius::Result<Vec<Vec<tiberius::Row>>> {
    client.simple_query(sql).await?.into_results().await
}

#[tokio::test]
async fn a_client_logs_in_and_is_known() {
    let (server, _) = start(|_| {});
    let mut asking = config(&server);
    asking.readonly(true);
    let mut client = connect_with(asking).await.unwrap();
    assert_eq!(first_int(&mut client, "two results").await, 1);
    let logins = server.logins();
    let login = &logins[0];
    assert_eq!((login.user.as_str(), login.database.as_str()), ("etl", "MES"));
    assert_eq!((login.application.as_str(), login.read_only, login.encrypted), ("test", true, true));
    assert_eq!(login.tds, 0x7400_0004);
}

#[tokio::test]
async fn both_sides_speak_tls_as_they_agree() {
    for (server, client, encrypted) in [
        (Encryption::Off, EncryptionLevel::Off, true),
        (Encryption::Off, EncryptionLevel::On, true),
        (Encryption::Off, EncryptionLevel::NotSupported, false),
        (Encryption::On, EncryptionLevel::Off, true),
        (Encryption::On, EncryptionLevel::Required, true),
        (Encryption::Required, EncryptionLevel::On, true),
        (Encryption::NotSupported, EncryptionLevel::NotSupported, false),
        (Encryption::Strict, EncryptionLevel::Strict, true),
        (Encryption::Off, EncryptionLevel::Strict, true),
    ] {
        let (running, _) = start(|settings| settings.encryption = server);
        let mut asking = config(&running);
        asking.encryption(client);
        let mut connected = connect_with(asking).await.unwrap_or_else(|error| panic!("{server:?} {client:?}: {error}"));
        assert_eq!(first_int(&mut connected, "rows 100").await, 1, "{server:?} {client:?}");
        assert_eq!(running.logins()[0].encrypted, encrypted, "{server:?} {client:?}");
    }
}

#[tokio::test]
async fn who_cannot_agree_on_tls_does_not_get_in() {
    for (server, client) in [
        (Encryption::NotSupported, EncryptionLevel::Required),
        (Encryption::On, EncryptionLevel::NotSupported),
        (Encryption::Strict, EncryptionLevel::Required),
    ] {
        let (running, _) = start(|settings| settings.encryption = server);
        let mut asking = config(&running);
        asking.encryption(client);
        assert!(connect_with(asking).await.is_err(), "{server:?} {client:?}");
        assert_eq!(running.logins(), [], "{server:?} {client:?}");
    }
}

#[tokio::test]
async fn a_wrong_login_fails_as_at_the_real_server() {
    let (server, _) = start(|_| {});
    for (user, password, database, number, text) in [
        ("etl", "wrong", "MES", 18456, "Login failed for user 'etl'."),
        ("nobody", "secret", "MES", 18456, "Login failed for user 'nobody'."),
        ("etl", "secret", "ERP", 4060, "Cannot open database \"ERP\" requested by the login. The login failed."),
    ] {
        let mut asking = config(&server);
        asking.authentication(AuthMethod::sql_server(user, password));
        asking.database(database);
        let error = connect_with(asking).await.unwrap_err();
        let tiberius::error::Error::Server(error) = error else { panic!("{error}") };
        assert_eq!((error.code(), error.message()), (number, text));
    }
}

#[tokio::test]
async fn every_type_is_read() {
    for null_rows in [NullRows::Plain, NullRows::Bitmap] {
        let (server, _) = start(|settings| settings.null_rows = null_rows);
        let mut client = connect(&server).await;
        let row = client.simple_query("values").await.unwrap().into_row().await.unwrap().unwrap();
        let texts: Vec<String> = row.cells().map(|(_, value)| format!("{value:?}")).collect();
        for ((declared, value), text) in every_type().iter().zip(&texts) {
            assert!(!text.contains("(None)"), "{declared}: {text}");
            // The driver knows no collation in UTF-8.
            let is_read = declared.contains("char") && !declared.ends_with("utf8");
            if let (Value::Text(sent), true) = (value, is_read) {
                assert!(text.contains(sent.as_str()), "{declared}: {text}");
            }
        }
        assert_eq!(row.get::<i64, _>(4), Some(i64::MIN));
        assert_eq!(row.get::<&str, _>(17), Some("Fräse "));
        let decimal = row.get::<Numeric, _>(7).unwrap();
        assert_eq!((decimal.value(), decimal.scale()), (-12345678901234567890123456780123456789, 10));
        let nulls = client.simple_query("nulls").await.unwrap().into_row().await.unwrap().unwrap();
        let mut texts: Vec<String> = nulls.cells().map(|(_, value)| format!("{value:?}")).collect();
        let last = texts.pop().unwrap();
        let rest = texts;
        assert!(rest.iter().all(|text| text.contains("(None)")), "{rest:?}");
        assert!(last.contains("Some"), "{last}");
        assert_eq!(first_int(&mut client, "two results").await, 1);
    }
}

#[tokio::test]
async fn parameters_arrive_with_their_types_and_come_back() {
    let (server, backend) = start(|_| {});
    let mut client = connect(&server).await;
    let mut query = Query::new("select @P1, @P2, @P3, @P4, @P5");
    query.bind(7_i32);
    query.bind("Fräse 旋盤");
    query.bind(1.5_f64);
    query.bind(true);
    query.bind(Option::<&str>::None);
    let row = query.query(&mut client).await.unwrap().into_row().await.unwrap().unwrap();
    assert_eq!(row.get::<i32, _>(0), Some(7));
    assert_eq!(row.get::<&str, _>(1), Some("Fräse 旋盤"));
    assert_eq!(row.get::<f64, _>(2), Some(1.5));
    assert_eq!(row.get::<bool, _>(3), Some(true));
    assert_eq!(row.get::<&str, _>(4), None);
    let run = backend.run.lock().unwrap();
    let declared: Vec<(&str, &str)> =
        run[0].1.iter().map(|parameter| (parameter.name.as_str(), parameter.declared.as_str())).collect();
    assert_eq!(declared[..4], [("P1", "int"), ("P2", "nvarchar(4000)"), ("P3", "float(53)"), ("P4", "bit")]);
}

/// A value of a kind for which the driver knows no type of Rust.
struct Bound(ColumnData<'static>);

impl IntoSql<'static> for Bound {
    fn into_sql(self) -> ColumnData<'static> {
        self.0
    }
}

#[tokio::test]
async fn moments_and_decimals_arrive_as_they_were_bound() {
    let (server, backend) = start(|_| {});
    let mut client = connect(&server).await;
    let mut query = Query::new("echo");
    let (date, time) = (Date::new(739_339), Time::new(54_001_234_567, 7));
    query.bind(Bound(ColumnData::DateTime2(Some(DateTime2::new(date, time)))));
    query.bind(Bound(ColumnData::DateTimeOffset(Some(DateTimeOffset::new(DateTime2::new(date, time), 120)))));
    query.bind(Bound(ColumnData::Date(Some(date))));
    query.bind(Bound(ColumnData::Time(Some(time))));
    query.bind(Numeric::new_with_scale(-1250, 2));
    query.bind(vec![1_u8, 2]);
    query.bind("x".repeat(5000));
    query.bind(1_u8);
    query.bind(2_i16);
    query.bind(3_i64);
    query.bind(0.5_f32);
    let row = query.query(&mut client).await.unwrap().into_row().await.unwrap().unwrap();
    assert_eq!(row.len(), 11);
    assert_eq!(row.get::<i64, _>(9), Some(3));
    let text = |text: &str| Value::Text(text.to_owned());
    let run = backend.run.lock().unwrap();
    let values: Vec<&Value> = run[0].1.iter().map(|parameter| &parameter.value).collect();
    assert_eq!(
        values,
        [
            &text("2025-03-30 01:30:00.1234567"),
            // The driver binds the moment in UTC, with its offset.
            &text("2025-03-30 03:30:00.1234567 +02:00"),
            &text("2025-03-30"),
            &text("01:30:00.1234567"),
            &text("-12.50"),
            &Value::Bytes(vec![1, 2]),
            &text(&"x".repeat(5000)),
            &Value::Int(1),
            &Value::Int(2),
            &Value::Int(3),
            &Value::Float(0.5),
        ]
    );
    let declared: Vec<&str> = run[0].1.iter().map(|parameter| parameter.declared.as_str()).collect();
    assert_eq!(declared[..5], ["datetime2", "datetimeoffset", "date", "time", "numeric(4,2)"]);
}

#[tokio::test]
async fn text_that_is_none_goes_out_as_it_is() {
    let (server, _) = start(|_| {});
    let mut client = connect(&server).await;
    let answer = client.simple_query("bad text").await.unwrap().into_row().await;
    assert!(answer.is_err(), "{answer:?}");
}

#[tokio::test]
async fn an_error_has_its_number_and_line_and_the_connection_lives() {
    let (server, _) = start(|_| {});
    let mut client = connect(&server).await;
    for _ in 0..2 {
        let error = answer_of(&mut client, "fail").await.unwrap_err();
        let tiberius::error::Error::Server(error) = error else { panic!("{error}") };
        assert_eq!((error.code(), error.class(), error.line()), (208, 16, 3));
        assert_eq!(error.message(), "Invalid object name 'dbo.none'.");
        let error = async { client.query("fail", &[&1_i32]).await?.into_results().await }.await.unwrap_err();
        assert_eq!(error.code(), Some(208));
    }
    assert_eq!(first_int(&mut client, "two results").await, 1);
    let error = answer_of(&mut client, "mistake").await.unwrap_err();
    assert_eq!(error.code(), Some(50001));
    assert_eq!(first_int(&mut client, "two results").await, 1);
}

#[tokio::test]
async fn several_results_come_one_after_another() {
    let (server, _) = start(|_| {});
    let mut client = connect(&server).await;
    let results = client.simple_query("two results").await.unwrap().into_results().await.unwrap();
    let numbers: Vec<Option<i32>> = results.iter().map(|rows| rows[0].get(0)).collect();
    assert_eq!(numbers, [Some(1), Some(2)]);
}

#[tokio::test]
async fn many_rows_stream_and_a_client_that_does_not_read_holds_them_up() {
    const ROWS: u64 = 200_000;
    // What fits in the buffers of the two sockets is not held up.
    const BUFFERED_ROWS_MAX: u64 = 100_000;
    let (server, backend) = start(|settings| settings.packet_size = Some(8192));
    let mut client = connect(&server).await;
    let mut stream = client.simple_query(format!("rows {ROWS}")).await.unwrap();
    let mut seen = None;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = backend.rows.load(std::sync::atomic::Ordering::Relaxed);
        if seen == Some(now) {
            break;
        }
        seen = Some(now);
    }
    assert!(seen.unwrap() < BUFFERED_ROWS_MAX, "{seen:?} rows were given, and none was read");
    let mut count = 0;
    while let Some(item) = stream.try_next().await.unwrap() {
        if let QueryItem::Row(row) = item {
            count += 1;
            assert_eq!(row.get::<&str, _>(1).unwrap().len(), ROW_CHARACTERS);
        }
    }
    assert_eq!(count, ROWS);
}

#[tokio::test]
async fn a_client_gives_up_and_goes_on() {
    let (server, backend) = start(|settings| settings.acknowledgement = Acknowledgement::SameMessage);
    let mut client = connect(&server).await;
    for sql in ["wait", "rows 10 then wait"] {
        let answer = tokio::time::timeout(Duration::from_millis(300), async {
            client.simple_query(sql).await?.into_results().await
        });
        assert!(answer.await.is_err(), "{sql}");
        tokio::time::timeout(PATIENCE, client.cancel_query()).await.unwrap().unwrap();
        assert_eq!(first_int(&mut client, "two results").await, 1, "{sql}");
    }
    assert_eq!(backend.cancelled.load(std::sync::atomic::Ordering::Relaxed), 2);
}

/// The driver looks for the acknowledgement in the answer alone, so its connection is of no use any more.
#[tokio::test]
async fn an_acknowledgement_of_its_own_is_an_error_to_the_driver() {
    let (server, backend) = start(|_| {});
    let mut client = connect(&server).await;
    assert!(tokio::time::timeout(Duration::from_millis(300), answer_of(&mut client, "wait")).await.is_err());
    let given_up = tokio::time::timeout(PATIENCE, client.cancel_query()).await.unwrap();
    assert!(matches!(given_up, Err(tiberius::error::Error::Protocol(_))), "{given_up:?}");
    assert_eq!(backend.cancelled.load(std::sync::atomic::Ordering::Relaxed), 1);
    drop(client);
    assert_eq!(first_int(&mut connect(&server).await, "two results").await, 1);
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_statement() {
    let (server, backend) = start(|_| {});
    let mut client = connect(&server).await;
    let waits = tokio::time::timeout(Duration::from_millis(200), async {
        client.simple_query("wait").await?.into_results().await
    });
    assert!(waits.await.is_err());
    drop(client);
    tokio::time::timeout(PATIENCE, async {
        while server.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(backend.cancelled.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn transactions_are_told_and_used() {
    let (server, backend) = start(|_| {});
    let mut client = connect(&server).await;
    client.begin_transaction().await.unwrap();
    client.commit_transaction().await.unwrap();
    client.begin_transaction().await.unwrap();
    client.rollback_transaction().await.unwrap();
    client.simple_query("begin tran").await.unwrap().into_results().await.unwrap();
    client.simple_query("rollback").await.unwrap().into_results().await.unwrap();
    assert_eq!(first_int(&mut client, "two results").await, 1);
    let run: Vec<String> = backend.run.lock().unwrap().iter().map(|(sql, _)| sql.clone()).collect();
    assert_eq!(run[1], "commit transaction");
    assert_eq!(run[3], "rollback transaction");
}

#[tokio::test]
async fn what_goes_wrong_is_an_error_and_not_a_wait() {
    for (place, fault) in [
        (Place::Accept, Fault::Cut),
        (Place::PreLogin, Fault::Cut),
        (Place::PreLogin, Fault::WrongPacketLength),
        (Place::Tls, Fault::Cut),
        (Place::Tls, Fault::OldTls),
        (Place::Login, Fault::Cut),
        (Place::Login, Fault::GarbageToken),
        (Place::Answer, Fault::Cut),
        (Place::Answer, Fault::GarbageToken),
        (Place::Answer, Fault::WrongTokenLength),
        (Place::Answer, Fault::WrongPacketLength),
        (Place::Row(3), Fault::Cut),
        (Place::Row(3), Fault::GarbageToken),
        (Place::Row(3), Fault::WrongTokenLength),
    ] {
        let (server, _) = start(|_| {});
        server.faults().once(place, fault);
        let attempt = async {
            let mut impatient = config(&server);
            // A token that is cut short is more of a wait than an error to the driver.
            impatient.command_timeout(Some(Duration::from_millis(500)));
            let mut client = connect_with(impatient).await?;
            client.simple_query("rows 5").await?.into_results().await
        };
        let answer = tokio::time::timeout(PATIENCE, attempt).await.unwrap_or_else(|_| panic!("{place:?} {fault:?}"));
        assert!(answer.is_err(), "{place:?} {fault:?}: {answer:?}");
        let mut client = connect(&server).await;
        assert_eq!(first_int(&mut client, "rows 5").await, 1, "{place:?} {fault:?}");
    }
}

#[tokio::test]
async fn a_stall_lasts_until_it_is_cleared() {
    for place in [Place::Accept, Place::PreLogin, Place::Tls, Place::Login, Place::Answer, Place::Row(2)] {
        let (server, _) = start(|_| {});
        server.faults().always(place, Fault::Stall);
        let attempt = async {
            let mut client = connect(&server).await;
            client.simple_query("rows 5").await.unwrap().into_results().await.unwrap().len()
        };
        tokio::pin!(attempt);
        assert!(tokio::time::timeout(Duration::from_millis(150), &mut attempt).await.is_err(), "{place:?}");
        server.faults().clear();
        assert_eq!(tokio::time::timeout(PATIENCE, attempt).await, Ok(1), "{place:?}");
    }
}

#[tokio::test]
async fn a_server_that_stops_ends_those_who_wait() {
    let (server, _) = start(|_| {});
    server.faults().always(Place::Answer, Fault::Stall);
    let mut client = connect(&server).await;
    let waits = tokio::spawn(async move { client.simple_query("values").await.is_err() });
    tokio::time::sleep(Duration::from_millis(100)).await;
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
    assert!(tokio::time::timeout(PATIENCE, waits).await.unwrap().unwrap());
}

#[tokio::test]
async fn bytes_are_counted_and_slowed_down() {
    let (server, _) = start(|settings| settings.encryption = Encryption::NotSupported);
    let mut plain = config(&server);
    plain.encryption(EncryptionLevel::NotSupported);
    let mut client = connect_with(plain.clone()).await.unwrap();
    server.faults().bytes_per_second(20_000);
    let before = std::time::Instant::now();
    client.simple_query("rows 40").await.unwrap().into_results().await.unwrap();
    assert!(before.elapsed() > Duration::from_millis(350), "{:?}", before.elapsed());
    server.faults().clear().cut_after_bytes(5000);
    let mut client = connect_with(plain).await.unwrap();
    let answer = async { client.simple_query("rows 100").await?.into_results().await };
    assert!(answer.await.is_err());
}

#[tokio::test]
async fn a_login_can_be_refused_with_any_error() {
    let (server, _) = start(|_| {});
    let message = "Login failed for user 'etl'. Reason: Server is in single user mode.".to_owned();
    server.faults().refuse_logins(engine_standin::ServerError { number: 18461, message, place: 1 });
    assert_eq!(connect_with(config(&server)).await.unwrap_err().code(), Some(18461));
    server.faults().clear();
    connect(&server).await;
}

#[tokio::test]
async fn a_session_that_is_killed_is_cut() {
    let (server, _) = start(|_| {});
    let mut client = connect(&server).await;
    let answer = async { client.simple_query("kill me").await?.into_results().await };
    assert!(answer.await.is_err());
}

#[tokio::test]
async fn a_named_instance_is_found_through_the_browser() {
    let address = Ipv4Addr::new(127, 0, 0, 17);
    let (server, _) = start(|settings| {
        settings.address = address;
        settings.instance = "MES".to_owned();
    });
    let _browser = Browser::start_at((address, BROWSER_PORT).into(), "MES", server.port()).unwrap();
    let mut asking = config(&server);
    asking.host(address);
    asking.port(BROWSER_PORT);
    asking.instance_name("MES");
    asking.hostname_in_certificate("localhost");
    let socket = TcpStream::connect_named(&asking).await.unwrap();
    let mut client = Client::connect(asking, socket.compat_write()).await.unwrap();
    assert_eq!(first_int(&mut client, "two results").await, 1);
}

#[tokio::test]
async fn old_servers_speak_an_old_protocol() {
    let (server, _) = start(|settings| settings.version = Version::V2008_R2);
    let mut client = connect(&server).await;
    assert_eq!(first_int(&mut client, "rows 1").await, 1);
}

#[tokio::test]
async fn packets_may_have_any_size() {
    for size in [512, 1000, 4096, 32767] {
        let (server, _) = start(|settings| settings.packet_size = Some(size));
        let mut client = connect(&server).await;
        let rows = client.simple_query("rows 2000").await.unwrap().into_first_result().await.unwrap();
        let last: Option<&ColumnData<'static>> = rows.last().map(|row| row.cells().next().unwrap().1);
        assert_eq!((rows.len(), last), (2000, Some(&ColumnData::I32(Some(2000)))), "{size}");
    }
}
