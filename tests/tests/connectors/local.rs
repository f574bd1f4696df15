//! The contract where there is no database server: SQLite's file, a folder of CSV files, an HTTP API.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engine_connect::registry;
use engine_core::plan::{Plan, PlanInput};
use engine_core::ports::{Ask, Cancel, Fetched, References, Source, SourceConfig, SourceErrorKind, SqliteConfig};
use engine_core::value::{Cell, RowBatch, VALUE_BYTES_MAX};
use engine_spec::scalar::Reference;
use engine_spec::{NoCompanions, load};
use engine_tests::api::{Api, Told};
use engine_tests::plant::NOW;
use engine_tests::suite::{self, case, skipped};
use rusqlite::Connection;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::{HASTY, PATIENT, PROMPT, ask, failure, only_row};

/// A query that computes for ever and returns nothing.
const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0";
/// A query that returns rows for ever.
const MANY: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, hex(zeroblob(100)) FROM n";
/// Batches after which a run must have noticed that it shall stop.
const BATCHES_AFTER_CANCEL_MAX: usize = 8;
/// Lines of a file that is not read within a moment.
const MANY_LINES: usize = 200_000;

#[test]
fn sqlite_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plant.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE booking (id int, note text)").unwrap();
    let open = |timeouts, cancel: &Cancel| {
        let config = SourceConfig::Sqlite(SqliteConfig { path: path.clone(), timeouts });
        (registry::find("sqlite").unwrap().open)(&config, cancel).unwrap()
    };
    let opened = || open(PATIENT, &Cancel::default());
    let value = |sql: &str, expected: Cell<'_>| {
        assert_eq!(only_row(&mut *opened(), sql).row(0).get(0), expected, "{sql}");
    };
    suite::run(
        "sqlite",
        &[
            case("values arrive as they are", || {
                value("SELECT 9223372036854775807", Cell::Int(i64::MAX));
                value("SELECT 0.1", Cell::Float(0.1));
                value("SELECT '00123'", Cell::Text("00123"));
                value("SELECT x'00ff'", Cell::Bytes(&[0, 255]));
            }),
            case("null in every kind", || {
                for kind in ["int", "real", "text", "blob", "numeric"] {
                    value(&format!("SELECT CAST(NULL AS {kind})"), Cell::Null);
                }
            }),
            case("big decimals", || {
                // There is no such type: who needs the digits stores text.
                value("SELECT '12345678901234567890.123456789'", Cell::Text("12345678901234567890.123456789"));
            }),
            skipped("instants around a clock change", "no type with a zone"),
            case("one undecodable value", || {
                let batch = only_row(&mut *opened(), "SELECT CAST(x'4dfc' AS TEXT) AS v, 7 AS seven");
                assert!(matches!(batch.row(0).get(0), Cell::Bad(why) if why.contains("column v")));
                assert_eq!(batch.row(0).get(1), Cell::Int(7));
            }),
            case("no rows", || {
                let (mut source, mut batch) = (opened(), RowBatch::new());
                source.ask(&ask("SELECT id, note FROM booking", vec![])).unwrap();
                assert_eq!((source.next(&mut batch).unwrap(), batch.columns().len()), (Fetched::End, 2));
            }),
            skipped("wrong password", "a file has no login"),
            case("errors say where", || {
                let error = failure(&mut *opened(), &ask("SELECT id\nFROM   buchung", vec![]));
                assert_eq!(error.kind, SourceErrorKind::Query, "{error}");
                assert!(error.tried.contains("plant.db") && error.message.contains("buchung"), "{error}");
            }),
            case("nothing is written", || {
                for sql in ["INSERT INTO booking VALUES (1, '')", "CREATE TABLE mine (a)", "ATTACH ':memory:' AS m"] {
                    let kind = failure(&mut *opened(), &ask(sql, vec![])).kind;
                    assert!([SourceErrorKind::Permission, SourceErrorKind::Query].contains(&kind), "{sql}: {kind:?}");
                }
            }),
            case("time-out", || {
                let begun = Instant::now();
                let mut source = open(HASTY, &Cancel::default());
                assert_eq!(failure(&mut *source, &ask(ENDLESS, vec![])).kind, SourceErrorKind::Timeout);
                assert!(begun.elapsed() < PROMPT);
                only_row(&mut *source, "SELECT 1");
            }),
            case("cancel while the server computes", || {
                let cancel = Cancel::default();
                let mut source = open(PATIENT, &cancel);
                source.ask(&ask(ENDLESS, vec![])).unwrap();
                cancel.cancel();
                assert_eq!(source.next(&mut RowBatch::new()).unwrap_err().kind, SourceErrorKind::Cancelled);
            }),
            case("cancel mid-stream", || {
                let cancel = Cancel::default();
                let mut source = open(PATIENT, &cancel);
                source.ask(&ask(MANY, vec![])).unwrap();
                is_cancelled_mid_stream(&mut *source, &cancel);
            }),
            skipped("cut connection", "a file has no connection"),
        ],
    );
}

fn is_cancelled_mid_stream(source: &mut dyn Source, cancel: &Cancel) {
    let mut batch = RowBatch::new();
    assert_eq!(source.next(&mut batch).unwrap(), Fetched::Rows);
    cancel.cancel();
    let end = (0..BATCHES_AFTER_CANCEL_MAX).find_map(|_| source.next(&mut batch).err());
    assert_eq!(end.map(|error| error.kind), Some(SourceErrorKind::Cancelled));
}

struct Canary;

impl References for Canary {
    fn resolve(&self, _: &Reference) -> Result<SecretString, String> {
        Ok(SecretString::from("s3cret-canary"))
    }
}

/// The source of a spec, opened as a run opens it.
fn open_spec(source: &Value, cancel: &Cancel) -> Box<dyn Source> {
    let spec = json!({
        "version": 1, "id": "local", "source": source, "table": "order", "key": ["id"], "sync": { "mode": "full" },
        "fields": { "order_code": "id", "product_code": "note", "machine_code": "note", "start": "at", "end": "at" },
    });
    let loaded = load("local.yaml", spec.to_string().as_bytes(), &NoCompanions);
    assert!(!loaded.has_errors(), "{:#?}", loaded.diagnostics);
    let input = PlanInput {
        spec: loaded.spec.as_ref().unwrap(),
        value: &loaded.file.value,
        sql: None,
        machines: None,
        folder: Path::new("."),
        default_destination: None,
        offline: false,
    };
    let plan = Plan::new(&input, &Canary).unwrap();
    (registry::find(plan.source_type).unwrap().open)(&plan.source, cancel).unwrap()
}

fn everything() -> Ask {
    Ask { now: NOW.parse().unwrap(), ..Ask::default() }
}

/// Checks a column of the first row, by name.
fn check(source: &mut dyn Source, name: &str, expected: Cell<'_>) {
    source.ask(&everything()).unwrap();
    let mut batch = RowBatch::new();
    assert_eq!(source.next(&mut batch).unwrap(), Fetched::Rows, "{name}");
    let place = batch.columns().iter().position(|column| column.name == name).unwrap();
    match (batch.row(0).get(place), expected) {
        (Cell::Bad(why), Cell::Bad(part)) => assert!(why.contains(part), "{name}: {why}"),
        (seen, expected) => assert_eq!(seen, expected, "{name}"),
    }
}

#[test]
fn csv_keeps_the_contract() {
    let of = |content: &[u8], cancel: &Cancel| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("orders.csv"), content).unwrap();
        let source = json!({ "type": "csv", "path": folder.path(), "delimiter": ";", "decimal": ",", "settle": "0s" });
        (open_spec(&source, cancel), folder)
    };
    let value = |content: &[u8], expected: Cell<'_>| {
        let (mut source, _folder) = of(&[b"id;note\n", content].concat(), &Cancel::default());
        check(&mut *source, "note", expected);
    };
    suite::run(
        "csv",
        &[
            case("values arrive as they are", || {
                value(b"1;00123\n", Cell::Text("00123"));
                value(b"1;\"a;b\"\n", Cell::Text("a;b"));
                value(b"1;-12,50\n", Cell::Decimal("-12.50"));
            }),
            case("null in every kind", || value(b"1;\n", Cell::Null)),
            case("big decimals", || {
                value(
                    b"1;-123456789012345678901234567890,000000001\n",
                    Cell::Decimal("-123456789012345678901234567890.000000001"),
                );
            }),
            skipped("instants around a clock change", "all cells are text"),
            case("one undecodable value", || {
                value(b"1;M\xfcller\n", Cell::Bad("orders.csv"));
                let (mut source, _folder) = of(b"id;note\n1;M\xfcller\n", &Cancel::default());
                check(&mut *source, "id", Cell::Text("1"));
            }),
            case("no rows", || {
                let (mut source, _folder) = of(b"id;note\n", &Cancel::default());
                source.ask(&everything()).unwrap();
                assert_eq!(source.next(&mut RowBatch::new()).unwrap(), Fetched::End);
            }),
            skipped("wrong password", "a folder has no login"),
            skipped("time-out", "no server computes; a drive that hangs is the system's to give up"),
            case("cancel mid-stream", || {
                let cancel = Cancel::default();
                let lines: String = (0..MANY_LINES).map(|line| format!("{line};a\n")).collect();
                let (mut source, _folder) = of(format!("id;note\n{lines}").as_bytes(), &cancel);
                source.ask(&everything()).unwrap();
                is_cancelled_mid_stream(&mut *source, &cancel);
            }),
            skipped("cut connection", "a folder has no connection"),
        ],
    );
}

#[test]
fn http_keeps_the_contract() {
    let limited = |api: &Api, query_limit: &str, cancel: &Cancel| {
        let source = json!({
            "type": "http", "url": api.url(), "timezone": "UTC", "timeouts": { "query": query_limit },
            "auth": { "bearer": { "env": "TOKEN" } },
            "pagination": { "page": { "param": "page" } },
        });
        open_spec(&source, cancel)
    };
    let of = |api: &Api, cancel: &Cancel| limited(api, "30s", cancel);
    let answered =
        |told: Told| Api::start(move |_, number| if number == 0 { told.clone() } else { Told::json(&json!([])) });
    let value = |document: &str, expected: Cell<'_>| {
        let api = answered(Told::json(&json!([])).body(format!("[{{\"v\": {document}, \"seven\": 7}}]")));
        check(&mut *of(&api, &Cancel::default()), "v", expected);
    };
    let failed = |told: Told| {
        let api = Api::start(move |_, _| told.clone());
        failure(&mut *of(&api, &Cancel::default()), &everything())
    };
    suite::run(
        "http",
        &[
            case("values arrive as they are", || {
                value("9223372036854775807", Cell::Int(i64::MAX));
                value("\"00123\"", Cell::Text("00123"));
                value("true", Cell::Bool(true));
                value("[1, {}]", Cell::Json("[1, {}]"));
            }),
            case("null in every kind", || value("null", Cell::Null)),
            case("big decimals", || {
                value(
                    "-123456789012345678901234567890.000000001",
                    Cell::Decimal("-123456789012345678901234567890.000000001"),
                );
            }),
            skipped("instants around a clock change", "JSON has no times"),
            case("one undecodable value", || {
                value(&format!("\"{}\"", "x".repeat(VALUE_BYTES_MAX + 1)), Cell::Bad("the limit is"));
            }),
            case("no rows", || {
                let api = answered(Told::json(&json!([])));
                let mut source = of(&api, &Cancel::default());
                source.ask(&everything()).unwrap();
                assert_eq!(source.next(&mut RowBatch::new()).unwrap(), Fetched::End);
            }),
            case("wrong password", || {
                let error = failed(Told::status(401));
                assert_eq!(error.kind, SourceErrorKind::Auth, "{error}");
                assert!(!format!("{error:?}").contains("canary"), "a token is in {error:?}");
            }),
            case("time-out", || {
                let api = Api::start(|_, _| {
                    std::thread::sleep(Duration::from_secs(3));
                    Told::json(&json!([]))
                });
                let begun = Instant::now();
                let error = failure(&mut *limited(&api, "300ms", &Cancel::default()), &everything());
                assert_eq!(error.kind, SourceErrorKind::Timeout, "{error}");
                assert!(begun.elapsed() < PROMPT);
            }),
            case("cancel mid-stream", || {
                let cancel = Cancel::default();
                let list: Vec<Value> = (0..5_000).map(|id| json!({ "id": id })).collect();
                let page = AtomicBool::new(false);
                let api = Api::start(move |_, _| {
                    // The second page takes its time.
                    if page.swap(true, Ordering::SeqCst) {
                        std::thread::sleep(Duration::from_millis(500));
                    }
                    Told::json(&Value::from(list.clone()))
                });
                let mut source = of(&api, &cancel);
                source.ask(&everything()).unwrap();
                is_cancelled_mid_stream(&mut *source, &cancel);
            }),
            case("cut connection", || {
                let error = failed(Told::json(&json!([{ "id": 1 }])).cut());
                assert_eq!(error.kind, SourceErrorKind::Network, "{error}");
            }),
        ],
    );
}
