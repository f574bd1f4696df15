//! The contract of SQL Server, against the stand-in that speaks its protocol, or a real one.

use engine_core::ports::{SourceConfig, SqlServerOptions};
use engine_core::value::{Cell, Kind};
use engine_spec::model::{ApplicationIntent, Isolation, TlsMode};
use engine_spec::template::BindValue;
use jiff::civil::date;

use crate::peers::Peer;

/// SQL Server.
pub const SQL_SERVER: Peer = Peer {
    name: "sqlserver",
    wrap: |config| {
        let options = SqlServerOptions {
            instance: None,
            domain: None,
            application_intent: ApplicationIntent::ReadOnly,
            isolation: Isolation::ReadCommitted,
        };
        SourceConfig::SqlServer(config, options)
    },
    setup: "DROP TABLE IF EXISTS booking; DROP TABLE IF EXISTS odd; DROP TABLE IF EXISTS open_to_all;
        DROP USER IF EXISTS stranger; IF SUSER_ID('stranger') IS NOT NULL DROP LOGIN stranger;
        CREATE TABLE booking (id int PRIMARY KEY, code char(6), note nvarchar(40), at datetime, seen datetimeoffset);
        INSERT INTO booking VALUES (1, 'M1', N'Müller', '2025-03-30 01:30:00', '2025-03-30 00:30:00 +00:00'),
            (2, 'M2', NULL, NULL, NULL);
        CREATE TABLE odd (dos varchar(10) COLLATE SQL_Latin1_General_CP850_CI_AS, padded char(6) COLLATE Greek_CI_AS,
            utf varchar(10) COLLATE Latin1_General_100_CI_AS_SC_UTF8, old text, ancient ntext, picture image);
        INSERT INTO odd VALUES (CAST(0x4D81 AS varbinary(10)), 'M1', CAST(0x4DFF AS varbinary(10)), 'Muster', N'Ω', 0x00FF);
        CREATE TABLE open_to_all (a int);
        CREATE LOGIN stranger WITH PASSWORD = 's3cret-canary', CHECK_POLICY = OFF;
        CREATE USER stranger FOR LOGIN stranger;
        GRANT SELECT ON open_to_all TO stranger",
    from: "FROM odd",
    ping: "SELECT 1",
    seven: "7",
    values: &[
        ("CAST(1 AS bit)", Kind::Bool, Cell::Bool(true)),
        ("CAST(255 AS tinyint)", Kind::Int, Cell::Int(255)),
        ("CAST(-7 AS smallint)", Kind::Int, Cell::Int(-7)),
        ("7", Kind::Int, Cell::Int(7)),
        ("CAST(9223372036854775807 AS bigint)", Kind::Int, Cell::Int(i64::MAX)),
        ("CAST(0.1 AS real)", Kind::Float, Cell::Float(0.1)),
        ("CAST(0.1 AS float)", Kind::Float, Cell::Float(0.1)),
        ("CAST(12.50 AS decimal(6, 2))", Kind::Decimal, Cell::Decimal("12.50")),
        (
            "CAST('-123456789012345678901234567890.00000001' AS decimal(38, 8))",
            Kind::Decimal,
            Cell::Decimal("-123456789012345678901234567890.00000001"),
        ),
        ("CAST('922337203685477.5807' AS money)", Kind::Decimal, Cell::Decimal("922337203685477.5807")),
        ("CAST('-214748.3648' AS smallmoney)", Kind::Decimal, Cell::Decimal("-214748.3648")),
        ("'00123'", Kind::Text, Cell::Text("00123")),
        ("N'Ω'", Kind::Text, Cell::Text("Ω")),
        ("CAST('x ' AS varchar(5))", Kind::Text, Cell::Text("x ")),
        ("CAST('M1' AS char(6))", Kind::Text, Cell::Text("M1")),
        ("CAST(N'Ω' AS nchar(4))", Kind::Text, Cell::Text("Ω")),
        ("CAST(N'Ω' AS nvarchar(max))", Kind::Text, Cell::Text("Ω")),
        ("CAST(N'Ω' AS varchar(4))", Kind::Text, Cell::Text("O")),
        // A code page that the driver does not know, and one that has no character for every byte.
        ("dos", Kind::Text, Cell::Text("Mü")),
        ("padded", Kind::Text, Cell::Text("M1")),
        ("old", Kind::Text, Cell::Text("Muster")),
        ("ancient", Kind::Text, Cell::Text("Ω")),
        ("CAST('<a/>' AS xml)", Kind::Text, Cell::Text("<a/>")),
        (
            "CAST('3F2B7C1E-0D5A-4A53-9D0E-0A6F5F1C8F11' AS uniqueidentifier)",
            Kind::Text,
            Cell::Text("3f2b7c1e-0d5a-4a53-9d0e-0a6f5f1c8f11"),
        ),
        ("0x00FF", Kind::Bytes, Cell::Bytes(&[0, 255])),
        ("CAST(0x00FF AS binary(4))", Kind::Bytes, Cell::Bytes(&[0, 255, 0, 0])),
        ("picture", Kind::Bytes, Cell::Bytes(&[0, 255])),
        ("CAST('0001-01-01' AS date)", Kind::Date, Cell::Date(-719_162)),
        ("CAST('1969-12-31' AS date)", Kind::Date, Cell::Date(-1)),
        ("CAST('2025-03-30' AS date)", Kind::Date, Cell::Date(20_177)),
        ("CAST('23:59:59.1234567' AS time)", Kind::Time, Cell::Time(86_399_123_456_700)),
        ("CAST('23:59:59.5' AS time(1))", Kind::Time, Cell::Time(86_399_500_000_000)),
        // A reading of the clock that Berlin skips; the grid of 1/300 s; minutes, rounded by the server.
        ("CAST('2025-03-30 02:30:00' AS datetime)", Kind::Civil, Cell::Civil { secs: 1_743_301_800, nanos: 0 }),
        (
            "CAST('2025-03-30 02:30:00.996' AS datetime)",
            Kind::Civil,
            Cell::Civil { secs: 1_743_301_800, nanos: 997_000_000 },
        ),
        ("CAST('2025-03-30 02:30:29' AS smalldatetime)", Kind::Civil, Cell::Civil { secs: 1_743_301_800, nanos: 0 }),
        ("CAST('1753-01-01' AS datetime)", Kind::Civil, Cell::Civil { secs: -6_847_804_800, nanos: 0 }),
        ("CAST('1969-12-31 23:59:59.75' AS datetime2)", Kind::Civil, Cell::Civil { secs: -1, nanos: 750_000_000 }),
        ("CAST('9999-12-31' AS datetime2(0))", Kind::Civil, Cell::Civil { secs: 253_402_214_400, nanos: 0 }),
        (
            "CAST('2025-10-26 02:30:00 +02:00' AS datetimeoffset)",
            Kind::Instant,
            Cell::Instant { secs: 1_761_438_600, nanos: 0 },
        ),
        (
            "CAST('2025-10-26 02:30:00 +01:00' AS datetimeoffset)",
            Kind::Instant,
            Cell::Instant { secs: 1_761_442_200, nanos: 0 },
        ),
        ("CAST(CAST(7 AS int) AS sql_variant)", Kind::Any, Cell::Int(7)),
        ("CAST(N'Ω' AS sql_variant)", Kind::Any, Cell::Text("Ω")),
        ("CAST(NULL AS bit)", Kind::Bool, Cell::Null),
        ("CAST(NULL AS int)", Kind::Int, Cell::Null),
        ("CAST(NULL AS float)", Kind::Float, Cell::Null),
        ("CAST(NULL AS decimal(6, 2))", Kind::Decimal, Cell::Null),
        ("CAST(NULL AS money)", Kind::Decimal, Cell::Null),
        ("CAST(NULL AS nvarchar(4))", Kind::Text, Cell::Null),
        ("CAST(NULL AS varbinary(4))", Kind::Bytes, Cell::Null),
        ("CAST(NULL AS date)", Kind::Date, Cell::Null),
        ("CAST(NULL AS time)", Kind::Time, Cell::Null),
        ("CAST(NULL AS datetime)", Kind::Civil, Cell::Null),
        ("CAST(NULL AS datetimeoffset)", Kind::Instant, Cell::Null),
        ("CAST(NULL AS sql_variant)", Kind::Any, Cell::Null),
    ],
    own_values: &[],
    own_types: &[],
    lacks: &[],
    bad: &[("utf", "code page"), ("CAST(0x00D8 AS nvarchar(4))", "half a character")],
    binds: || {
        let civil = date(2025, 3, 30).at(1, 30, 0, 0);
        let instant = "2025-03-30T00:30:00Z".parse().expect("an instant");
        vec![
            ("id = @P1", BindValue::Text("1".into())),
            ("id = @P1", BindValue::Int(1)),
            ("id = @P1", BindValue::Decimal("1".into())),
            ("id < @P1", BindValue::Float(1.5)),
            ("id < @P1", BindValue::Int(i64::MAX)),
            ("note = @P1", BindValue::Text("Müller".into())),
            ("code = @P1", BindValue::Text("M1".into())),
            ("at = @P1", BindValue::Civil { civil, instant }),
            ("seen = @P1", BindValue::Instant { civil, instant }),
            ("CAST(at AS date) = @P1", BindValue::Date(civil.date())),
            ("at >= @P1", BindValue::Date(civil.date())),
            ("id = 1 AND @P1 = 12.50", BindValue::Decimal("12.5".into())),
            ("id = 1 AND @P1 = 0x00FF", BindValue::Bytes(vec![0, 255])),
            ("id = 1 AND @P1 = CAST(1 AS bit)", BindValue::Bool(true)),
            ("id = 1 AND @P1 IS NULL", BindValue::Null),
        ]
    },
    misfits: || vec![("id < @P1", BindValue::Decimal("9".repeat(39)), "38 digits")],
    slow: "SELECT COUNT_BIG(*) AS n FROM sys.all_columns AS a CROSS JOIN sys.all_columns AS b CROSS JOIN sys.all_columns AS c",
    many: "SELECT CAST(value AS int) AS n, REPLICATE('x', 200) AS pad FROM GENERATE_SERIES(1, 200000)",
    writes: &[
        "INSERT INTO booking (id) VALUES (3)",
        "INSERT INTO booking (id) OUTPUT inserted.id VALUES (3)",
        "DELETE FROM booking OUTPUT deleted.id",
        "SELECT id INTO mine FROM booking",
        "EXEC sp_rename 'booking', 'gone'",
        "CREATE TABLE mine (a int)",
        "SELECT 1; DELETE FROM booking",
        "SELECT 1 DELETE FROM booking",
        "COMMIT",
    ],
    running: "SELECT COUNT(*) FROM sys.dm_exec_requests AS r JOIN sys.dm_exec_sessions AS s ON s.session_id = r.session_id
        WHERE s.program_name = 'engine'",
    cut: "SELECT CONCAT('KILL ', session_id) FROM sys.dm_exec_sessions WHERE program_name = 'engine'",
    unknown_table: ("SELECT id\nFROM   buchung", &["Invalid object name 'buchung'", "error 208"]),
    tls: TlsMode::Require,
    facts: &["database", "service_broker_guid"],
    stranger: "SELECT id FROM booking",
    no_plan: None,
    cannot: &[],
};
