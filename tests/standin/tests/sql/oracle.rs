//! Oracle's SQL.

use engine_standin::{Answer, Backend, Outcome, Product, Value};

use crate::{Answers, bound, check, open, run, shown, text};

const TYPES: &str = "CREATE TABLE types (id NUMBER(10) NOT NULL PRIMARY KEY, n NUMBER, n2 NUMBER(12,2), f FLOAT, bf BINARY_FLOAT, bd BINARY_DOUBLE, v VARCHAR2(20 CHAR), nv NVARCHAR2(20), \
    c CHAR(5), nc NCHAR(3), cl CLOB, r RAW(8), b BLOB, d DATE, ts TIMESTAMP(9), tz TIMESTAMP(6) WITH TIME ZONE, lt TIMESTAMP(3) WITH LOCAL TIME ZONE, i INTERVAL DAY(2) TO SECOND(6))";
const ROW: &str = "INSERT INTO types VALUES (1, 12345678901234567890123456789.0123456789, 12.345, 0.1, 1.5, 2.5, '', 'Größe', 'ab', 'x', 'clob', HEXTORAW('00FF'), HEXTORAW('01'), \
    DATE '2025-03-30', TIMESTAMP '2025-03-30 01:30:00.123456789', TIMESTAMP '2025-03-30 01:30:00 +02:00', TIMESTAMP '2025-03-30 01:30:00 +02:00', INTERVAL '1 02:03:04.5' DAY TO SECOND)";
const BOOKINGS: [&str; 4] = [
    "CREATE TABLE booking (id NUMBER PRIMARY KEY, machine VARCHAR2(10), qty NUMBER(10,2), at DATE, note VARCHAR2(50) DEFAULT 'none')",
    "INSERT INTO booking (id, machine, qty, at) VALUES (1, 'M1', 10, TO_DATE('2025-02-03 11:30:00', 'YYYY-MM-DD HH24:MI:SS'))",
    "INSERT INTO booking (id, machine, qty, at) SELECT 2, 'M2', 9.5, TO_DATE('2025-02-03 12:00:00', 'YYYY-MM-DD HH24:MI:SS') FROM dual UNION ALL SELECT 3, 'M1', 100, DATE '2025-02-04' FROM dual",
    "COMMIT",
];

#[test]
fn every_type_keeps_its_declaration_and_its_value() {
    check(
        Product::Oracle,
        &[TYPES, ROW],
        &[
            (
                "SELECT id, n, n2, f FROM types",
                "ID NUMBER(10,0) | N NUMBER | N2 NUMBER(12,2) | F FLOAT(126)\n'1' | '12345678901234567890123456789.0123456789' | '12.35' | '0.1'",
            ),
            (
                "SELECT BINARY_DOUBLE_NAN AS n, NUMTOYMINTERVAL(15, 'MONTH') AS m FROM dual",
                "N BINARY_DOUBLE | M INTERVAL YEAR(9) TO MONTH\nNaNf | '1-03'",
            ),
            (
                "SELECT CAST(NULL AS INTERVAL DAY TO SECOND) AS a, CAST(i AS INTERVAL DAY(3) TO SECOND(1)) AS b FROM types",
                "A INTERVAL DAY(2) TO SECOND(6) | B INTERVAL DAY(3) TO SECOND(1)\nNULL | '1 02:03:04.5'",
            ),
            ("SELECT bf, bd FROM types", "BF BINARY_FLOAT | BD BINARY_DOUBLE\n1.5f | 2.5f"),
            (
                "SELECT v, nv, c, nc, cl FROM types",
                "V VARCHAR2(20) | NV NVARCHAR2(20) | C CHAR(5) | NC NCHAR(3) | CL CLOB\nNULL | 'Größe' | 'ab   ' | 'x  ' | 'clob'",
            ),
            ("SELECT r, b FROM types", "R RAW(8) | B BLOB\n[00, ff] | [01]"),
            (
                "SELECT d, ts FROM types",
                "D DATE | TS TIMESTAMP(9)\n'2025-03-30 00:00:00' | '2025-03-30 01:30:00.123456789'",
            ),
            (
                "SELECT tz, lt FROM types",
                "TZ TIMESTAMP(6) WITH TIME ZONE | LT TIMESTAMP(3) WITH LOCAL TIME ZONE\n'2025-03-30 01:30:00 +02:00' | '2025-03-29 23:30:00'",
            ),
            ("SELECT i FROM types", "I INTERVAL DAY(2) TO SECOND(6)\n'1 02:03:04.5'"),
            ("ALTER SESSION SET TIME_ZONE = 'Europe/Berlin'", "[0]"),
            (
                "SELECT lt, SESSIONTIMEZONE AS z FROM types",
                "LT TIMESTAMP(3) WITH LOCAL TIME ZONE | Z VARCHAR2(75)\n'2025-03-30 00:30:00' | 'Europe/Berlin'",
            ),
            (
                "SELECT id FROM types WHERE c = 'ab' AND v IS NULL AND tz = TIMESTAMP '2025-03-29 23:30:00 +00:00'",
                "ID NUMBER(10,0)\n'1'",
            ),
        ],
    );
}

#[test]
fn queries_answer_as_the_server_does() {
    check(
        Product::Oracle,
        &BOOKINGS,
        &[
            (
                "SELECT id, qty FROM booking WHERE qty > 9.75 ORDER BY qty",
                "ID NUMBER | QTY NUMBER(10,2)\n'1' | '10'\n'3' | '100'",
            ),
            (
                "SELECT machine, SUM(qty) AS total, COUNT(*) FROM booking GROUP BY machine ORDER BY machine",
                "MACHINE VARCHAR2(10) | TOTAL NUMBER | COUNT(*) NUMBER\n'M1' | '110' | '2'\n'M2' | '9.5' | '1'",
            ),
            ("SELECT id FROM booking ORDER BY at DESC FETCH FIRST 2 ROWS ONLY", "ID NUMBER\n'3'\n'2'"),
            ("SELECT id FROM booking WHERE ROWNUM <= 1", "ID NUMBER\n'1'"),
            (
                "SELECT 1 + 2.5 AS a, 'x' || NULL || 'y' AS b, NVL('', 'n') AS c, 10 / 4 AS d FROM dual",
                "A NUMBER | B VARCHAR2(2) | C CHAR(1) | D NUMBER\n'3.5' | 'xy' | 'n' | '2.5'",
            ),
            ("SELECT LEVEL FROM dual CONNECT BY LEVEL <= 3", "LEVEL NUMBER\n'1'\n'2'\n'3'"),
            (
                "SELECT TO_CHAR(at, 'DD.MM.YYYY HH24:MI') AS t, TRUNC(at) AS d, at + 1/24 AS h FROM booking WHERE id = 1",
                "T VARCHAR2(75) | D DATE | H DATE\n'03.02.2025 11:30' | '2025-02-03 00:00:00' | '2025-02-03 12:30:00'",
            ),
            (
                "SELECT id FROM booking WHERE at >= TIMESTAMP '2025-02-03 12:00:00' AND at < DATE '2025-02-04'",
                "ID NUMBER\n'2'",
            ),
            (
                "SELECT RPAD('a', 3, 'x') AS p, DECODE(2, 1, 'one', 2, 'two') AS q, GREATEST(9, 10) AS g FROM dual",
                "P VARCHAR2(3) | Q CHAR(3) | G NUMBER\n'axx' | 'two' | '10'",
            ),
            (
                "WITH m AS (SELECT machine, MAX(at) AS last FROM booking GROUP BY machine) SELECT b.id FROM booking b, m WHERE m.machine = b.machine AND m.last = b.at ORDER BY 1",
                "ID NUMBER\n'2'\n'3'",
            ),
            ("SELECT note FROM etl.booking \"B\" WHERE \"B\".\"ID\" = 1", "NOTE VARCHAR2(50)\n'none'"),
            (
                "SELECT MAX(at) - MIN(at) AS days FROM booking",
                "DAYS NUMBER\n'0.5208333333333333333333333333333333333333'",
            ),
        ],
    );
}

#[test]
fn errors_have_the_numbers_of_the_server() {
    check(
        Product::Oracle,
        &BOOKINGS,
        &[
            ("SELECT nope FROM booking", "904: \"NOPE\": invalid identifier"),
            ("SELECT * FROM nope", "942: table or view does not exist"),
            ("SELECT TO_NUMBER('x') FROM dual", "1722: invalid number"),
            ("SELECT 1 / 0 FROM dual", "1476: divisor is equal to zero"),
            ("SELECT machine, COUNT(*) FROM booking", "937: not a single-group group function"),
            ("SELECT machine, id FROM booking GROUP BY machine", "979: not a GROUP BY expression"),
            ("SELEC 1", "900: invalid SQL statement"),
            ("SELECT :1 FROM dual", "1008: not all variables bound"),
            (
                "SELECT TO_DATE('x', 'YYYY') FROM dual",
                "1858: a non-numeric character was found where a numeric was expected",
            ),
            ("INSERT INTO booking (id) VALUES (1)", "1: unique constraint (etl.booking) violated"),
            ("SELECT 1 FROM dual;", "911: invalid character"),
        ],
    );
}

#[test]
fn an_error_says_where_it_lies() {
    let (_database, mut session) = open(Product::Oracle);
    let failure = run(session.as_mut(), "SELECT 1,\n  nope FROM dual", &[]).unwrap_err();
    assert_eq!((failure.number, failure.place), (904, 12));
}

#[test]
fn bound_values_compare_in_their_own_types() {
    let (_database, mut session) = open(Product::Oracle);
    for statement in BOOKINGS {
        run(session.as_mut(), statement, &[]).unwrap();
    }
    let cases = [
        (
            "SELECT id FROM booking WHERE at >= :1 ORDER BY id",
            bound("1", "TIMESTAMP(9)", text("2025-02-03 12:00:00")),
            "ID NUMBER\n'2'\n'3'",
        ),
        (
            "SELECT id FROM booking WHERE at = :since",
            bound("SINCE", "DATE", text("2025-02-04 00:00:00")),
            "ID NUMBER\n'3'",
        ),
        (
            "SELECT id FROM booking WHERE machine = :1 ORDER BY id",
            bound("1", "VARCHAR2(32)", text("M1")),
            "ID NUMBER\n'1'\n'3'",
        ),
        ("SELECT id FROM booking WHERE qty = :1", bound("1", "NUMBER", text("9.5")), "ID NUMBER\n'2'"),
        ("SELECT id FROM booking WHERE machine = :1", bound("1", "VARCHAR2(32)", text("")), "ID NUMBER"),
    ];
    for (sql, parameter, expected) in cases {
        assert_eq!(shown(&run(session.as_mut(), sql, &[parameter]).unwrap()), expected, "{sql}");
    }
    assert_eq!(
        run(session.as_mut(), "SELECT 1 FROM dual", &[bound("1", "NUMBER", Value::Int(1))]).unwrap_err().number,
        1036
    );
}

#[test]
fn a_read_only_transaction_refuses_to_write() {
    check(
        Product::Oracle,
        &BOOKINGS,
        &[
            ("SET TRANSACTION READ ONLY", "[0]"),
            (
                "DELETE FROM booking",
                "1456: may not perform insert, delete, update operation inside a READ ONLY transaction",
            ),
            ("COMMIT", "[0]"),
            ("DELETE FROM booking WHERE id = 1", "[1]"),
            ("ROLLBACK", "[0]"),
            ("SELECT COUNT(*) AS n FROM booking", "N NUMBER\n'3'"),
            ("BEGIN EXECUTE IMMEDIATE 'DROP TABLE nope'; EXCEPTION WHEN OTHERS THEN NULL; END;", "[0]"),
        ],
    );
}

#[test]
fn a_client_that_gives_up_ends_a_long_statement() {
    let (_database, mut session) = open(Product::Oracle);
    let long = "SELECT COUNT(*) FROM all_objects a CROSS JOIN all_objects b CROSS JOIN all_objects c";
    for sql in [long, "BEGIN DBMS_SESSION.SLEEP(60); END;"] {
        let mut answers = Answers { idle_most: Some(3), ..Answers::default() };
        assert_eq!(session.run(sql, &[], &mut answers), Ok(Outcome::Cancelled), "{sql}");
    }
}

#[test]
fn rights_are_those_that_were_granted() {
    let (database, mut session) = open(Product::Oracle);
    for statement in BOOKINGS {
        run(session.as_mut(), statement, &[]).unwrap();
    }
    for statement in [
        "CREATE USER reader IDENTIFIED BY \"p\"",
        "GRANT CREATE SESSION TO reader",
        "GRANT SELECT ON booking TO reader",
        "CREATE TABLE hidden (a NUMBER)",
    ] {
        run(session.as_mut(), statement, &[]).unwrap();
    }
    assert_eq!(database.password("reader").as_deref(), Some("p"));
    let mut reader = database.session("reader", "plant").unwrap();
    let numbers = [
        ("SELECT * FROM etl.booking", None),
        ("SELECT * FROM etl.hidden", Some(942)),
        ("DELETE FROM etl.booking", Some(1031)),
        ("SELECT * FROM v$session", Some(942)),
    ];
    for (sql, number) in numbers {
        assert_eq!(run(reader.as_mut(), sql, &[]).err().map(|failure| failure.number), number, "{sql}");
    }
    assert_eq!(
        shown(&run(reader.as_mut(), "SELECT privilege FROM session_privs", &[]).unwrap()),
        "PRIVILEGE VARCHAR2(40)\n'CREATE SESSION'"
    );
}

#[test]
fn a_server_tells_of_itself() {
    check(
        Product::Oracle,
        &[],
        &[
            (
                "SELECT SYS_CONTEXT('USERENV', 'SESSION_USER') AS u, SYS_CONTEXT('USERENV', 'DB_NAME') AS d FROM dual",
                "U VARCHAR2(256) | D VARCHAR2(256)\n'ETL' | 'PLANT'",
            ),
            ("SELECT version_full FROM product_component_version", "VERSION_FULL VARCHAR2(160)\n'19.24.0.0.0'"),
            ("ALTER SESSION SET NLS_DATE_FORMAT = 'YYYY-MM-DD'", "[0]"),
            (
                "SELECT value FROM nls_session_parameters WHERE parameter = 'NLS_DATE_FORMAT'",
                "VALUE VARCHAR2(64)\n'YYYY-MM-DD'",
            ),
            (
                "SELECT value FROM nls_database_parameters WHERE parameter = 'NLS_CHARACTERSET'",
                "VALUE VARCHAR2(64)\n'AL32UTF8'",
            ),
            ("SELECT TO_CHAR(DATE '2025-03-30') AS d FROM dual", "D VARCHAR2(4000)\n'2025-03-30'"),
        ],
    );
}

#[test]
fn a_script_is_committed_at_its_end() {
    let (database, mut session) = open(Product::Oracle);
    let script = "DROP TABLE IF EXISTS t; CREATE TABLE t (a NUMBER); INSERT INTO t VALUES (1); DROP USER IF EXISTS u CASCADE; BEGIN DELETE FROM t; INSERT INTO t VALUES (2); END;";
    assert_eq!(database.script("etl", script, &mut Answers::default()), Ok(Outcome::Complete));
    assert_eq!(shown(&run(session.as_mut(), "SELECT a FROM t", &[]).unwrap()), "A NUMBER\n'2'");
}

#[test]
fn a_prepared_answer_stands_in_for_a_statement() {
    let (database, mut session) = open(Product::Oracle);
    let failure = engine_standin::ServerError {
        number: 60,
        message: "deadlock detected while waiting for resource".to_owned(),
        place: 0,
    };
    database.once("FROM dual", Answer::Fails(failure.clone()));
    assert_eq!(run(session.as_mut(), "SELECT 1 AS a FROM dual", &[]).unwrap_err(), failure);
    assert_eq!(shown(&run(session.as_mut(), "SELECT 1 AS a FROM dual", &[]).unwrap()), "A NUMBER\n'1'");
}
