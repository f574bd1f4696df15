use std::path::PathBuf;

use engine_core::ports::TimeoutConfig;
use engine_core::value::{BATCH_ROWS_MAX, Cell};
use tempfile::TempDir;

use super::*;

const PATIENT: TimeoutConfig = TimeoutConfig { connect: Duration::from_secs(5), query: Duration::from_secs(60) };
/// A query that runs for ever and returns nothing.
const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0";

fn folder_with(sql: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plant.db");
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    (folder, path)
}

fn open_with(path: &Path, timeouts: TimeoutConfig, cancel: &Cancel) -> Result<Box<dyn Source>, SourceError> {
    let config = SourceConfig::Sqlite(SqliteConfig { path: path.to_owned(), timeouts });
    (CONNECTOR.open)(&config, cancel)
}

fn opened(path: &Path) -> Box<dyn Source> {
    open_with(path, PATIENT, &Cancel::default()).unwrap()
}

fn statement(sql: &str, values: Vec<BindValue>) -> Ask {
    let binds = values.into_iter().map(|value| Bind { origin: "params.p".to_owned(), value }).collect();
    Ask { statement: Some(Statement { sql: sql.to_owned(), binds }), ..Ask::default() }
}

fn failure(source: &mut dyn Source, sql: &str) -> SourceError {
    source.ask(&statement(sql, vec![])).unwrap();
    let mut batch = RowBatch::new();
    loop {
        match source.next(&mut batch) {
            Ok(Fetched::Rows) => {}
            Ok(Fetched::End) => panic!("`{sql}` did not fail"),
            Err(error) => return error,
        }
    }
}

/// The only value of a query's only row.
fn check(source: &mut dyn Source, sql: &str, values: Vec<BindValue>, expected: Cell<'_>) {
    source.ask(&statement(sql, values)).unwrap();
    let mut batch = RowBatch::new();
    assert_eq!(source.next(&mut batch).unwrap(), Fetched::Rows, "{sql}");
    assert_eq!(batch.row(0).get(0), expected, "{sql}");
    assert_eq!(source.next(&mut batch).unwrap(), Fetched::End, "{sql}");
}

#[test]
fn a_value_is_what_it_is_stored_as() {
    let (_folder, path) = folder_with(
        "CREATE TABLE t (c CHAR(6), v VARCHAR(6), n NUMERIC); INSERT INTO t VALUES ('M1    ', 'M1    ', '12.50')",
    );
    let mut source = opened(&path);
    let cases: [(&str, Cell<'_>); 11] = [
        ("SELECT NULL", Cell::Null),
        ("SELECT 9223372036854775807", Cell::Int(i64::MAX)),
        ("SELECT 1.5", Cell::Float(1.5)),
        ("SELECT 'Müller'", Cell::Text("Müller")),
        ("SELECT x'00ff'", Cell::Bytes(&[0, 255])),
        ("SELECT ''", Cell::Text("")),
        ("SELECT c FROM t", Cell::Text("M1")),
        ("SELECT v FROM t", Cell::Text("M1    ")),
        ("SELECT n FROM t", Cell::Float(12.5)),
        ("SELECT '00123'", Cell::Text("00123")),
        ("SELECT name FROM pragma_table_info('t') LIMIT 1", Cell::Text("c")),
    ];
    for (sql, expected) in cases {
        check(&mut *source, sql, vec![], expected);
    }
}

#[test]
fn an_undecodable_value_costs_only_itself() {
    let (_folder, path) =
        folder_with("CREATE TABLE t (code TEXT, n REAL); INSERT INTO t VALUES (CAST(x'4dfc' AS TEXT), 9e999)");
    let mut source = opened(&path);
    source.ask(&statement("SELECT code, n, 7 FROM t", vec![])).unwrap();
    let mut batch = RowBatch::new();
    source.next(&mut batch).unwrap();
    let row = batch.row(0);
    assert_eq!(row.get(0), Cell::Bad("column code (TEXT): the text is not UTF-8: byte 0xfc at 1"));
    assert!(matches!(row.get(1), Cell::Bad(_)));
    assert_eq!(row.get(2), Cell::Int(7));
}

#[test]
fn values_are_bound_in_sqlites_terms() {
    let (_folder, path) = folder_with("CREATE TABLE t (a)");
    let mut source = opened(&path);
    let civil = jiff::civil::date(2025, 3, 30).at(1, 30, 0, 0);
    let instant = "2025-03-30T00:30:00.5Z".parse().unwrap();
    let cases = [
        (BindValue::Null, Cell::Null),
        (BindValue::Bool(true), Cell::Int(1)),
        (BindValue::Int(-5), Cell::Int(-5)),
        (BindValue::Float(0.5), Cell::Float(0.5)),
        (BindValue::Decimal("12.5".into()), Cell::Float(12.5)),
        (BindValue::Decimal("7".into()), Cell::Int(7)),
        (BindValue::Text("1000'; --".into()), Cell::Text("1000'; --")),
        (BindValue::Bytes(vec![1, 2]), Cell::Bytes(&[1, 2])),
        (BindValue::Date(civil.date()), Cell::Text("2025-03-30")),
        (BindValue::Civil { civil, instant }, Cell::Text("2025-03-30 01:30:00")),
        (BindValue::Instant { instant, civil }, Cell::Text("2025-03-30 00:30:00.5Z")),
    ];
    for (value, expected) in cases {
        check(&mut *source, "SELECT ?1", vec![value], expected);
    }
    check(&mut *source, "SELECT ?1 + ?2", vec![BindValue::Int(1), BindValue::Int(2)], Cell::Int(3));
}

#[test]
fn too_few_values_are_refused() {
    let (_folder, path) = folder_with("CREATE TABLE t (a)");
    assert!(failure(&mut *opened(&path), "SELECT ?1").message.contains("1 placeholders for 0 values"));
}

#[test]
fn a_query_is_one_statement_with_columns() {
    let (_folder, path) = folder_with("CREATE TABLE t (a)");
    let mut source = opened(&path);
    for (sql, part) in [("SELECT 1; SELECT 2", "Multiple"), ("", "no columns"), ("-- nothing", "no columns")] {
        let error = failure(&mut *source, sql);
        assert_eq!(error.kind, SourceErrorKind::Query, "{sql}: {error}");
        assert!(error.message.contains(part), "{sql}: {error}");
    }
    check(&mut *source, "SELECT 1; -- and no more", vec![], Cell::Int(1));
}

#[test]
fn no_rows_still_have_columns() {
    let (_folder, path) = folder_with("CREATE TABLE t (id INTEGER, name VARCHAR(9), at DATETIME)");
    let mut source = opened(&path);
    source.ask(&statement("SELECT id, name, at FROM t", vec![])).unwrap();
    let mut batch = RowBatch::new();
    assert_eq!(source.next(&mut batch).unwrap(), Fetched::End);
    let seen: Vec<_> =
        batch.columns().iter().map(|column| (&*column.name, column.kind, &*column.source_type)).collect();
    assert_eq!(seen, [("id", Kind::Int, "INTEGER"), ("name", Kind::Text, "VARCHAR(9)"), ("at", Kind::Any, "DATETIME")]);
}

#[test]
fn nothing_can_be_changed() {
    let (folder, path) = folder_with("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    let mut source = opened(&path);
    let other = folder.path().join("other.db");
    let attach = format!("ATTACH '{}' AS other", other.display());
    for sql in [
        "INSERT INTO t VALUES (2)",
        "INSERT INTO t VALUES (2) RETURNING a",
        "UPDATE t SET a = 2",
        "DELETE FROM t",
        "DROP TABLE t",
        "CREATE TEMP TABLE u (a)",
        "PRAGMA query_only = OFF",
        "PRAGMA journal_mode = DELETE",
        "BEGIN IMMEDIATE",
        "SELECT load_extension('x')",
        &attach,
    ] {
        let error = failure(&mut *source, sql);
        assert_eq!(error.kind, SourceErrorKind::Permission, "{sql}: {error}");
    }
    // No right is asked for these; they return no columns and do not run.
    for sql in ["VACUUM", &format!("VACUUM INTO '{}'", other.display())] {
        assert_eq!(failure(&mut *source, sql).kind, SourceErrorKind::Query, "{sql}");
    }
    check(&mut *source, "SELECT count(*) FROM t", vec![], Cell::Int(1));
    assert!(!other.exists());
}

#[test]
fn a_missing_file_is_named_and_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.db");
    let error = open_with(&path, PATIENT, &Cancel::default()).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Network);
    assert!(error.to_string().contains("none.db") && error.hint.unwrap().contains("source.path"));
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_no_database_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.csv");
    std::fs::write(&path, "a;b\n".repeat(500)).unwrap();
    let error = open_with(&path, PATIENT, &Cancel::default()).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Data);
}

#[test]
fn a_wrong_name_is_named_with_its_place() {
    let (_folder, path) = folder_with("CREATE TABLE t (a)");
    let mut source = opened(&path);
    for (sql, expected) in [
        ("SELECT * FROM buchung", "no such table: buchung"),
        ("SELECT a,\n       buchdat FROM t", "no such column: buchdat, at line 2, column 8 of the statement"),
    ] {
        let error = failure(&mut *source, sql);
        assert_eq!((error.kind, error.message.as_str()), (SourceErrorKind::Query, expected));
        assert!(error.tried.contains("plant.db"), "{error}");
    }
}

#[test]
fn a_query_runs_out_of_time() {
    let (_folder, path) = folder_with("CREATE TABLE t (a)");
    let timeouts = TimeoutConfig { query: Duration::from_millis(100), ..PATIENT };
    let mut source = open_with(&path, timeouts, &Cancel::default()).unwrap();
    let error = failure(&mut *source, ENDLESS);
    assert_eq!(error.kind, SourceErrorKind::Timeout);
    assert!(error.hint.unwrap().contains("timeouts.query"));
    check(&mut *source, "SELECT 1", vec![], Cell::Int(1));
}

#[test]
fn a_query_is_cancelled_while_it_runs() {
    let (_folder, path) = folder_with("CREATE TABLE t (a)");
    let cancel = Cancel::default();
    let mut source = open_with(&path, PATIENT, &cancel).unwrap();
    source.ask(&statement(ENDLESS, vec![])).unwrap();
    let asked = std::thread::spawn(move || cancel.cancel());
    assert_eq!(source.next(&mut RowBatch::new()).unwrap_err().kind, SourceErrorKind::Cancelled);
    asked.join().unwrap();
}

#[test]
fn a_new_question_gives_up_the_old_one() {
    let (_folder, path) = folder_with("CREATE TABLE t (a)");
    let mut source = opened(&path);
    source.ask(&statement(ENDLESS, vec![])).unwrap();
    check(&mut *source, "SELECT 2", vec![], Cell::Int(2));
}

#[test]
fn a_large_result_streams() {
    let rows = 20 * BATCH_ROWS_MAX as i64;
    let (_folder, path) = folder_with("CREATE TABLE t (a)");
    let mut source = opened(&path);
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?1) SELECT i, 'row ' || i FROM n";
    source.ask(&statement(sql, vec![BindValue::Int(rows)])).unwrap();
    let (mut batch, mut seen) = (RowBatch::new(), 0);
    while source.next(&mut batch).unwrap() == Fetched::Rows {
        assert!(batch.len() <= BATCH_ROWS_MAX);
        for row in batch.rows() {
            seen += 1;
            assert_eq!(row.get(0), Cell::Int(seen));
            assert_eq!(row.get(1), Cell::Text(&format!("row {seen}")));
        }
    }
    assert_eq!(seen, rows);
}

#[test]
fn a_wal_database_is_read_while_it_is_written() {
    let (_folder, path) = folder_with("PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    let writer = Connection::open(&path).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (2)").unwrap();
    let mut source = opened(&path);
    check(&mut *source, "SELECT count(*) FROM t", vec![], Cell::Int(1));
    writer.execute_batch("COMMIT").unwrap();
    check(&mut *source, "SELECT count(*) FROM t", vec![], Cell::Int(2));
}

#[test]
fn a_file_is_recognised() {
    let (_folder, path) = folder_with("PRAGMA application_id = 4711; CREATE TABLE t (a)");
    let source = opened(&path);
    let identity = source.identity();
    assert!(identity.version.starts_with("SQLite 3."));
    assert_eq!(identity.facts["application_id"], "4711");
    assert_eq!(identity.facts["path"], path.canonicalize().unwrap().display().to_string());
}

#[test]
fn asking_nothing_is_an_error_not_a_panic() {
    let (_folder, path) = folder_with("CREATE TABLE t (a)");
    let mut source = opened(&path);
    assert_eq!(source.next(&mut RowBatch::new()).unwrap_err().kind, SourceErrorKind::Config);
    assert_eq!(source.ask(&Ask::default()).unwrap_err().kind, SourceErrorKind::Config);
}

#[test]
fn the_contract_says_what_is_decoded() {
    for rule in TYPES {
        for name in rule.types {
            assert_eq!(affinity(name), rule.kind, "{name}");
            assert_eq!(is_padded(name), rule.note.contains("trailing blanks"), "{name}");
        }
    }
}
