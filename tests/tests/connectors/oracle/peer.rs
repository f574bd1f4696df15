//! The contract of Oracle's thin driver, against the stand-in that speaks its protocol, or a real one.

use engine_core::ports::{OracleOptions, SourceConfig};
use engine_core::value::{Cell, Kind};
use engine_spec::model::{OracleDriver, TlsMode};
use engine_spec::template::BindValue;
use jiff::civil::date;

use crate::peers::Peer;

/// Oracle.
pub const ORACLE: Peer = Peer {
    name: "oracle",
    wrap: |config| {
        let options = OracleOptions { sid: None, tns: None, config_dir: None, driver: OracleDriver::Thin };
        SourceConfig::Oracle(config, options)
    },
    setup: "DROP TABLE IF EXISTS booking;
        DROP TABLE IF EXISTS open_to_all;
        DROP USER IF EXISTS stranger CASCADE;
        CREATE TABLE booking (id NUMBER(10) PRIMARY KEY, code CHAR(6), note VARCHAR2(40 CHAR), at DATE, seen TIMESTAMP WITH TIME ZONE);
        INSERT INTO booking VALUES (1, 'M1', 'Müller', TO_DATE('2025-03-30 01:30:00', 'YYYY-MM-DD HH24:MI:SS'), TIMESTAMP '2025-03-30 00:30:00 +00:00');
        INSERT INTO booking VALUES (2, 'M2', NULL, NULL, NULL);
        CREATE TABLE open_to_all (a NUMBER);
        CREATE USER stranger IDENTIFIED BY \"s3cret-canary\";
        GRANT CREATE SESSION TO stranger;
        GRANT SELECT ON open_to_all TO stranger;
        COMMIT",
    from: "FROM dual",
    ping: "SELECT 1 FROM dual",
    seven: "CAST(7 AS NUMBER(1))",
    values: &[
        ("CAST(7 AS NUMBER(10))", Kind::Int, Cell::Int(7)),
        ("CAST(-9223372036854775807 AS NUMBER(19))", Kind::Int, Cell::Int(-i64::MAX)),
        ("7", Kind::Decimal, Cell::Decimal("7")),
        ("12.50", Kind::Decimal, Cell::Decimal("12.5")),
        ("CAST(0.00000001 AS NUMBER(20, 8))", Kind::Decimal, Cell::Decimal("0.00000001")),
        (
            "-123456789012345678901234567890.00000001",
            Kind::Decimal,
            Cell::Decimal("-123456789012345678901234567890.00000001"),
        ),
        ("CAST(100 AS NUMBER)", Kind::Decimal, Cell::Decimal("100")),
        ("CAST(0.1 AS BINARY_FLOAT)", Kind::Float, Cell::Float(0.1)),
        ("CAST(0.1 AS BINARY_DOUBLE)", Kind::Float, Cell::Float(0.1)),
        ("'00123'", Kind::Text, Cell::Text("00123")),
        ("CAST('Ω ' AS VARCHAR2(5 CHAR))", Kind::Text, Cell::Text("Ω ")),
        ("CAST('M1' AS CHAR(6))", Kind::Text, Cell::Text("M1")),
        ("CAST('Ω' AS NVARCHAR2(4))", Kind::Text, Cell::Text("Ω")),
        ("CAST('n' AS NCHAR(4))", Kind::Text, Cell::Text("n")),
        ("TO_CLOB('Ω and more')", Kind::Text, Cell::Text("Ω and more")),
        ("''", Kind::Text, Cell::Null),
        ("HEXTORAW('00FF')", Kind::Bytes, Cell::Bytes(&[0, 255])),
        ("DATE '1969-12-31'", Kind::Civil, Cell::Civil { secs: -86_400, nanos: 0 }),
        // A reading of the clock that Berlin skips.
        (
            "TO_DATE('2025-03-30 02:30:00', 'YYYY-MM-DD HH24:MI:SS')",
            Kind::Civil,
            Cell::Civil { secs: 1_743_301_800, nanos: 0 },
        ),
        ("TIMESTAMP '1969-12-31 23:59:59.75'", Kind::Civil, Cell::Civil { secs: -1, nanos: 750_000_000 }),
        ("TIMESTAMP '2025-10-26 02:30:00 +02:00'", Kind::Instant, Cell::Instant { secs: 1_761_438_600, nanos: 0 }),
        ("TIMESTAMP '2025-10-26 02:30:00 +01:00'", Kind::Instant, Cell::Instant { secs: 1_761_442_200, nanos: 0 }),
        (
            "CAST(TIMESTAMP '2025-10-26 00:30:00 +00:00' AS TIMESTAMP WITH LOCAL TIME ZONE)",
            Kind::Instant,
            Cell::Instant { secs: 1_761_438_600, nanos: 0 },
        ),
        ("NUMTODSINTERVAL(26, 'HOUR')", Kind::Time, Cell::Time(26 * 3_600_000_000_000)),
        ("NUMTODSINTERVAL(-1, 'DAY')", Kind::Time, Cell::Time(-86_400_000_000_000)),
        ("CAST(NULL AS NUMBER(10))", Kind::Int, Cell::Null),
        ("CAST(NULL AS NUMBER)", Kind::Decimal, Cell::Null),
        ("CAST(NULL AS BINARY_DOUBLE)", Kind::Float, Cell::Null),
        ("CAST(NULL AS VARCHAR2(4))", Kind::Text, Cell::Null),
        ("CAST(NULL AS RAW(4))", Kind::Bytes, Cell::Null),
        ("CAST(NULL AS DATE)", Kind::Civil, Cell::Null),
        ("CAST(NULL AS TIMESTAMP WITH TIME ZONE)", Kind::Instant, Cell::Null),
        ("CAST(NULL AS INTERVAL DAY TO SECOND)", Kind::Time, Cell::Null),
    ],
    own_values: &[],
    own_types: &[],
    // Truth values came with 23ai.
    lacks: &[Kind::Bool],
    bad: &[("BINARY_DOUBLE_NAN", "NaN"), ("BINARY_DOUBLE_INFINITY", "inf")],
    binds: || {
        let civil = date(2025, 3, 30).at(1, 30, 0, 0);
        let instant = "2025-03-30T00:30:00Z".parse().expect("an instant");
        vec![
            ("id = :1", BindValue::Text("1".into())),
            ("id = :1", BindValue::Int(1)),
            ("id = :1", BindValue::Decimal("1".into())),
            ("id < :1", BindValue::Float(1.5)),
            ("note = :1", BindValue::Text("Müller".into())),
            ("TRIM(code) = :1", BindValue::Text("M1".into())),
            ("at = CAST(:1 AS DATE)", BindValue::Civil { civil, instant }),
            ("at = :1", BindValue::Civil { civil, instant }),
            ("seen = :1", BindValue::Instant { civil, instant }),
            ("TRUNC(at) = CAST(:1 AS DATE)", BindValue::Date(civil.date())),
            ("id = 1 AND :1 = 12.50", BindValue::Decimal("12.5".into())),
            ("id = 1 AND :1 = HEXTORAW('00FF')", BindValue::Bytes(vec![0, 255])),
            ("id = :1", BindValue::Bool(true)),
            ("id = 1 AND :1 IS NULL", BindValue::Null),
        ]
    },
    misfits: || vec![("id < :1", BindValue::Decimal("9".repeat(39)), "38 digits")],
    slow: "SELECT COUNT(*) AS n FROM all_objects a CROSS JOIN all_objects b CROSS JOIN all_objects c",
    many: "SELECT CAST(LEVEL AS NUMBER(10)) AS n, RPAD('x', 200, 'x') AS pad FROM dual CONNECT BY LEVEL <= 200000",
    writes: &[
        "INSERT INTO booking (id) VALUES (3)",
        "DELETE FROM booking",
        "CREATE TABLE mine (a NUMBER)",
        "BEGIN DELETE FROM booking; END;",
        "COMMIT",
    ],
    running: "SELECT COUNT(*) FROM v$session WHERE program = 'engine' AND status = 'ACTIVE'",
    cut: "SELECT 'ALTER SYSTEM KILL SESSION ''' || sid || ',' || serial# || '''' FROM v$session WHERE program = 'engine'",
    unknown_table: ("SELECT id\nFROM   buchung", &["ORA-00942", "at line 2, column 8 of the statement"]),
    tls: TlsMode::Disable,
    facts: &["database", "container"],
    stranger: "SELECT id FROM booking",
    no_plan: Some("writes its plans into a table"),
    cannot: &[
        ("missing rights", "the server does not tell a missing right from a missing table: ORA-00942 says so"),
        ("cancel while the server computes", "the driver cannot be told to give a call up; timeouts.query ends it"),
    ],
};
