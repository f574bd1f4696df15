//! The servers that the contract is run against, and what differs between them.

use engine_core::ports::{ServerConfig, SourceConfig};
use engine_core::value::{Cell, Kind};
use engine_spec::model::TlsMode;
use engine_spec::template::BindValue;
use jiff::civil::date;

/// What differs between the servers.
pub struct Peer {
    pub name: &'static str,
    pub wrap: fn(ServerConfig) -> SourceConfig,
    /// Fills the database.
    pub setup: &'static str,
    /// A `FROM` of one row, whose columns the values may name.
    pub from: &'static str,
    /// A statement of one row.
    pub ping: &'static str,
    /// An expression that is the whole number 7, by its type too.
    pub seven: &'static str,
    /// An expression, its kind, and its value.
    pub values: &'static [(&'static str, Kind, Cell<'static>)],
    /// The same, for what differs between servers of one family.
    pub own_values: &'static [(&'static str, Kind, Cell<'static>)],
    /// Types of the values that an administrator made, and that no document names.
    pub own_types: &'static [&'static str],
    /// Kinds that the connector knows and this server has no type for.
    pub lacks: &'static [Kind],
    /// An expression whose value cannot be carried, and a part of the reason.
    pub bad: &'static [(&'static str, &'static str)],
    /// A condition with one placeholder, a value that makes it true.
    pub binds: fn() -> Vec<(&'static str, BindValue)>,
    /// A condition with one placeholder, a value that does not fit, and a part of the message.
    pub misfits: fn() -> Vec<(&'static str, BindValue, &'static str)>,
    /// Computes for a minute and returns nothing to speak of.
    pub slow: &'static str,
    /// Rows of a number from 1 on and a text of 200 characters.
    pub many: &'static str,
    /// Statements that would change something.
    pub writes: &'static [&'static str],
    /// Counts the queries that the engine has running.
    pub running: &'static str,
    /// Prints the statements that end the engine's sessions, a line each.
    pub cut: &'static str,
    /// A statement with an unknown table, and what the message must say.
    pub unknown_table: (&'static str, &'static [&'static str]),
    /// The mode of encryption that the list is run with.
    pub tls: TlsMode,
    /// Facts of the identity that must be there.
    pub facts: &'static [&'static str],
    /// A statement that reads what the account `stranger` may not.
    pub stranger: &'static str,
    /// Why the server shows no plan, in part; `None` where it shows one.
    pub no_plan: Option<&'static str>,
    /// Cases that do not hold, and why.
    pub cannot: &'static [(&'static str, &'static str)],
}

/// PostgreSQL.
pub const POSTGRES: Peer = Peer {
    name: "postgres",
    wrap: SourceConfig::Postgres,
    setup: "DROP TABLE IF EXISTS booking; DROP SEQUENCE IF EXISTS counter; DROP TYPE IF EXISTS state;
        DROP DOMAIN IF EXISTS plant; DROP FUNCTION IF EXISTS sneak; DROP ROLE IF EXISTS stranger;
        CREATE SEQUENCE counter;
        CREATE TABLE booking (id int PRIMARY KEY, code char(6), note text, at timestamp, seen timestamptz);
        INSERT INTO booking VALUES (1, 'M1', 'Müller', '2025-03-30 01:30', '2025-03-30 00:30+00'), (2, 'M2', NULL, NULL, NULL);
        CREATE TYPE state AS ENUM ('START', 'END');
        CREATE DOMAIN plant AS text;
        CREATE FUNCTION sneak() RETURNS int LANGUAGE sql AS 'INSERT INTO booking VALUES (99) RETURNING id';
        CREATE ROLE stranger LOGIN PASSWORD 's3cret-canary'",
    from: "",
    ping: "SELECT 1",
    seven: "7",
    values: &[
        ("true", Kind::Bool, Cell::Bool(true)),
        ("(-7)::int2", Kind::Int, Cell::Int(-7)),
        ("7::int4", Kind::Int, Cell::Int(7)),
        ("9223372036854775807::int8", Kind::Int, Cell::Int(i64::MAX)),
        ("0.1::float4", Kind::Float, Cell::Float(0.1)),
        ("0.1::float8", Kind::Float, Cell::Float(0.1)),
        ("12.50::numeric", Kind::Decimal, Cell::Decimal("12.50")),
        (
            "-123456789012345678901234567890.000000001::numeric",
            Kind::Decimal,
            Cell::Decimal("-123456789012345678901234567890.000000001"),
        ),
        ("0.00000001::numeric", Kind::Decimal, Cell::Decimal("0.00000001")),
        ("1000000::numeric", Kind::Decimal, Cell::Decimal("1000000")),
        ("'00123'::text", Kind::Text, Cell::Text("00123")),
        ("'Ω'::varchar", Kind::Text, Cell::Text("Ω")),
        ("'M1'::char(6)", Kind::Text, Cell::Text("M1")),
        ("'n'::name", Kind::Text, Cell::Text("n")),
        ("'END'::state", Kind::Text, Cell::Text("END")),
        ("'1000'::plant", Kind::Text, Cell::Text("1000")),
        ("'<a/>'::xml", Kind::Text, Cell::Text("<a/>")),
        (
            "'3f2b7c1e-0d5a-4a53-9d0e-0a6f5f1c8f11'::uuid",
            Kind::Text,
            Cell::Text("3f2b7c1e-0d5a-4a53-9d0e-0a6f5f1c8f11"),
        ),
        ("'\\x00ff'::bytea", Kind::Bytes, Cell::Bytes(&[0, 255])),
        ("'1969-12-31'::date", Kind::Date, Cell::Date(-1)),
        ("'2025-03-30'::date", Kind::Date, Cell::Date(20_177)),
        ("'23:59:59.5'::time", Kind::Time, Cell::Time(86_399_500_000_000)),
        ("'01:02:03+02'::timetz", Kind::Text, Cell::Text("01:02:03+02:00")),
        ("'26 hours'::interval", Kind::Time, Cell::Time(26 * 3_600_000_000_000)),
        ("'-1 day'::interval", Kind::Time, Cell::Time(-86_400_000_000_000)),
        // A reading of the clock that Berlin skips, and both sides of the hour that it repeats.
        ("'2025-03-30 02:30'::timestamp", Kind::Civil, Cell::Civil { secs: 1_743_301_800, nanos: 0 }),
        ("'2025-10-26 02:30+02'::timestamptz", Kind::Instant, Cell::Instant { secs: 1_761_438_600, nanos: 0 }),
        ("'2025-10-26 02:30+01'::timestamptz", Kind::Instant, Cell::Instant { secs: 1_761_442_200, nanos: 0 }),
        ("'1969-12-31 23:59:59.75'::timestamp", Kind::Civil, Cell::Civil { secs: -1, nanos: 750_000_000 }),
        ("'{\"a\":1}'::json", Kind::Json, Cell::Json("{\"a\":1}")),
        ("'{\"a\":1}'::jsonb", Kind::Json, Cell::Json("{\"a\": 1}")),
        ("4000000000::oid", Kind::Int, Cell::Int(4_000_000_000)),
        ("b'101'", Kind::Text, Cell::Text("101")),
        ("NULL::bool", Kind::Bool, Cell::Null),
        ("NULL::int", Kind::Int, Cell::Null),
        ("NULL::float8", Kind::Float, Cell::Null),
        ("NULL::date", Kind::Date, Cell::Null),
        ("NULL::time", Kind::Time, Cell::Null),
        ("NULL::timestamp", Kind::Civil, Cell::Null),
        ("NULL::text", Kind::Text, Cell::Null),
        ("NULL::numeric", Kind::Decimal, Cell::Null),
        ("NULL::timestamptz", Kind::Instant, Cell::Null),
        ("NULL::jsonb", Kind::Json, Cell::Null),
        ("NULL::bytea", Kind::Bytes, Cell::Null),
        ("NULL::inet", Kind::Any, Cell::Null),
    ],
    own_values: &[],
    own_types: &["state", "plant"],
    lacks: &[],
    bad: &[
        ("'NaN'::numeric", "NaN"),
        ("'Infinity'::numeric", "infinity"),
        ("'NaN'::float8", "NaN"),
        ("'infinity'::date", "infinite"),
        ("'-infinity'::timestamptz", "infinite"),
        ("'10000-01-01'::date", "9999"),
        ("'10000-01-01'::timestamp", "9999"),
        ("'1 month'::interval", "months"),
        ("'12.50'::money", "::numeric"),
        ("'10.0.0.1'::inet", "::text"),
        ("ARRAY[1,2]", "::text"),
    ],
    binds: || {
        let civil = date(2025, 3, 30).at(1, 30, 0, 0);
        let instant = "2025-03-30T00:30:00Z".parse().expect("an instant");
        vec![
            ("id = $1", BindValue::Text("1".into())),
            ("id = $1", BindValue::Int(1)),
            ("id = $1", BindValue::Decimal("1".into())),
            ("note = $1", BindValue::Text("Müller".into())),
            ("code = $1", BindValue::Text("M1".into())),
            ("at = $1", BindValue::Civil { civil, instant }),
            ("at = $1", BindValue::Instant { civil, instant }),
            ("seen = $1", BindValue::Civil { civil, instant }),
            ("seen = $1", BindValue::Instant { civil, instant }),
            ("at::date = $1", BindValue::Date(civil.date())),
            ("$1::text = '2025-03-30'", BindValue::Date(civil.date())),
            ("$1::numeric = 12.50", BindValue::Text("12.5".into())),
            ("$1::state = 'END'", BindValue::Text("END".into())),
            ("$1::int IS NULL", BindValue::Null),
        ]
    },
    misfits: || {
        let civil = date(2025, 3, 30).at(1, 30, 0, 0);
        vec![
            ("id = $1", BindValue::Text("M1".into()), "`M1` is not a whole number"),
            ("id = $1", BindValue::Int(i64::MAX), "out of its range"),
            ("at::date = $1", BindValue::Civil { civil, instant: jiff::Timestamp::UNIX_EPOCH }, "| date"),
            ("$1::inet IS NULL", BindValue::Text("10.0.0.1".into()), "inet"),
        ]
    },
    slow: "SELECT pg_sleep(60)::text",
    many: "SELECT i::int8, repeat('x', 200) FROM generate_series(1, 200000) AS i",
    writes: &[
        "INSERT INTO booking VALUES (3)",
        "WITH gone AS (DELETE FROM booking RETURNING id) SELECT id FROM gone",
        "SELECT sneak()",
        "SELECT nextval('counter')",
        "CREATE TABLE mine (a int)",
        "SELECT set_config('transaction_read_only', 'off', false), sneak()",
    ],
    running: "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'engine' AND state = 'active'",
    cut: "SELECT 'SELECT pg_terminate_backend(' || pid || ')' FROM pg_stat_activity WHERE application_name = 'engine'",
    unknown_table: (
        "SELECT id\nFROM   buchung",
        &["relation \"buchung\" does not exist", "42P01", "at line 2, column 8 of the statement"],
    ),
    tls: TlsMode::Disable,
    facts: &["database", "database_oid", "system_identifier"],
    stranger: "SELECT id FROM booking",
    no_plan: None,
    cannot: &[],
};

/// MariaDB.
pub const MARIADB: Peer = Peer {
    name: "mariadb",
    wrap: SourceConfig::MariaDb,
    setup: "SET time_zone = '+00:00';
        DROP TABLE IF EXISTS booking, odd, open_to_all; DROP FUNCTION IF EXISTS sneak; DROP USER IF EXISTS stranger@'%';
        CREATE TABLE booking (id int PRIMARY KEY, code char(6), note varchar(40), at datetime, seen timestamp NULL);
        INSERT INTO booking VALUES (1, 'M1', 'Müller', '2025-03-30 01:30', '2025-03-30 00:30'), (2, 'M2', NULL, NULL, NULL);
        SET sql_mode = '';
        CREATE TABLE odd (t1 tinyint(1), u1 tinyint(1) unsigned, y year, e enum('START', 'END'), s set('a', 'b'),
            b bit(3), wide bit(64), z date, p date, pt datetime, ts timestamp(6) NULL, tx mediumtext COLLATE utf8mb4_bin,
            vb varbinary(4), bc char(6) CHARACTER SET latin1 COLLATE latin1_bin, g point, j json,
            f1 timestamp NULL, f2 timestamp NULL);
        INSERT INTO odd VALUES (2, 200, 2025, 'END', 'a,b', b'101', ~0, '0000-00-00', '2025-00-00', '2025-03-00 10:00',
            '1970-01-01 00:00:01.5', 'Ω ', x'00ff', 'Mü', NULL, '{\"a\": 1}',
            '2025-10-26 00:30:00', '2025-10-26 01:30:00');
        CREATE FUNCTION sneak() RETURNS int MODIFIES SQL DATA RETURN 1;
        CREATE TABLE open_to_all (a int);
        CREATE USER stranger@'%' IDENTIFIED BY 's3cret-canary';
        GRANT SELECT ON open_to_all TO stranger@'%'",
    from: "FROM odd",
    ping: "SELECT 1",
    seven: "7",
    values: &[
        ("true", Kind::Int, Cell::Int(1)),
        ("CAST(-7 AS signed)", Kind::Int, Cell::Int(-7)),
        ("9223372036854775807", Kind::Int, Cell::Int(i64::MAX)),
        ("t1", Kind::Int, Cell::Int(2)),
        ("u1", Kind::Int, Cell::Int(200)),
        ("CAST(18446744073709551615 AS unsigned)", Kind::Int, Cell::Decimal("18446744073709551615")),
        ("CAST(0.1 AS float)", Kind::Float, Cell::Float(0.1)),
        ("CAST(0.1 AS double)", Kind::Float, Cell::Float(0.1)),
        ("CAST('12.50' AS decimal(6, 2))", Kind::Decimal, Cell::Decimal("12.50")),
        (
            "CAST('-123456789012345678901234567890.000000001' AS decimal(60, 9))",
            Kind::Decimal,
            Cell::Decimal("-123456789012345678901234567890.000000001"),
        ),
        (
            "CAST('-12345678901234567890123456789012345.000000000000000000000000000001' AS decimal(65, 30))",
            Kind::Decimal,
            Cell::Decimal("-12345678901234567890123456789012345.000000000000000000000000000001"),
        ),
        ("'00123'", Kind::Text, Cell::Text("00123")),
        ("CAST('Ω ' AS char(3))", Kind::Text, Cell::Text("Ω ")),
        ("(SELECT code FROM booking WHERE id = 1)", Kind::Text, Cell::Text("M1")),
        ("e", Kind::Text, Cell::Text("END")),
        ("s", Kind::Text, Cell::Text("a,b")),
        ("tx", Kind::Text, Cell::Text("Ω ")),
        ("bc", Kind::Text, Cell::Text("Mü")),
        ("x'00ff'", Kind::Bytes, Cell::Bytes(&[0, 255])),
        ("vb", Kind::Bytes, Cell::Bytes(&[0, 255])),
        ("b", Kind::Int, Cell::Int(5)),
        ("wide", Kind::Int, Cell::Decimal("18446744073709551615")),
        ("y", Kind::Int, Cell::Int(2025)),
        ("g", Kind::Any, Cell::Null),
        ("DATE '1969-12-31'", Kind::Date, Cell::Date(-1)),
        ("DATE '2025-03-30'", Kind::Date, Cell::Date(20_177)),
        ("z", Kind::Date, Cell::Null),
        ("TIME '23:59:59.5'", Kind::Time, Cell::Time(86_399_500_000_000)),
        ("TIME '-26:00:00'", Kind::Time, Cell::Time(-26 * 3_600_000_000_000)),
        ("TIME '838:59:59'", Kind::Time, Cell::Time(3_020_399_000_000_000)),
        // A reading of the clock that Berlin skips.
        ("TIMESTAMP '2025-03-30 02:30:00'", Kind::Civil, Cell::Civil { secs: 1_743_301_800, nanos: 0 }),
        ("TIMESTAMP '1969-12-31 23:59:59.75'", Kind::Civil, Cell::Civil { secs: -1, nanos: 750_000_000 }),
        ("(SELECT seen FROM booking WHERE id = 1)", Kind::Instant, Cell::Instant { secs: 1_743_294_600, nanos: 0 }),
        ("ts", Kind::Instant, Cell::Instant { secs: 1, nanos: 500_000_000 }),
        // Both sides of the hour that Berlin repeats.
        ("f1", Kind::Instant, Cell::Instant { secs: 1_761_438_600, nanos: 0 }),
        ("f2", Kind::Instant, Cell::Instant { secs: 1_761_442_200, nanos: 0 }),
        ("NULL", Kind::Any, Cell::Null),
        ("(SELECT note FROM booking WHERE id = 2)", Kind::Text, Cell::Null),
        ("(SELECT at FROM booking WHERE id = 2)", Kind::Civil, Cell::Null),
        ("(SELECT seen FROM booking WHERE id = 2)", Kind::Instant, Cell::Null),
        ("CAST(NULL AS decimal(6, 2))", Kind::Decimal, Cell::Null),
        ("CAST(NULL AS double)", Kind::Float, Cell::Null),
        ("CAST(NULL AS date)", Kind::Date, Cell::Null),
        ("CAST(NULL AS time)", Kind::Time, Cell::Null),
        ("CAST(NULL AS signed)", Kind::Int, Cell::Null),
        ("CAST(NULL AS binary)", Kind::Bytes, Cell::Null),
    ],
    own_types: &[],
    lacks: &[Kind::Json],
    own_values: &[
        // MariaDB's JSON is a text with a check.
        ("j", Kind::Text, Cell::Text("{\"a\": 1}")),
        (
            "CAST('3f2b7c1e-0d5a-4a53-9d0e-0a6f5f1c8f11' AS uuid)",
            Kind::Text,
            Cell::Text("3f2b7c1e-0d5a-4a53-9d0e-0a6f5f1c8f11"),
        ),
        ("CAST('2001:db8::1' AS inet6)", Kind::Text, Cell::Text("2001:db8::1")),
    ],
    bad: &[
        ("p", "2025-00-00 is no date of the calendar"),
        ("pt", "2025-03-00 is no date of the calendar"),
        ("ST_GeomFromText('POINT(1 2)')", "ST_AsText"),
    ],
    binds: || {
        let civil = date(2025, 3, 30).at(1, 30, 0, 0);
        let instant = "2025-03-30T00:30:00Z".parse().expect("an instant");
        vec![
            ("id = ?", BindValue::Text("1".into())),
            ("id = ?", BindValue::Int(1)),
            ("id = ?", BindValue::Decimal("1".into())),
            ("note = ?", BindValue::Text("Müller".into())),
            ("code = ?", BindValue::Text("M1".into())),
            ("at = ?", BindValue::Civil { civil, instant }),
            ("seen = ?", BindValue::Instant { civil, instant }),
            ("at >= ?", BindValue::Date(civil.date())),
            ("id < ?", BindValue::Float(1.5)),
            ("? = 12.50", BindValue::Decimal("12.5".into())),
            ("? = x'00ff'", BindValue::Bytes(vec![0, 255])),
            ("(id = 1) = ?", BindValue::Bool(true)),
            ("? IS NULL", BindValue::Null),
        ]
    },
    misfits: Vec::new,
    slow: "SELECT sleep(60)",
    many: "SELECT seq, repeat('x', 200) FROM seq_1_to_200000",
    writes: &[
        "INSERT INTO booking VALUES (3, NULL, NULL, NULL, NULL)",
        "INSERT INTO booking (id) VALUES (3) RETURNING id",
        "DELETE FROM booking RETURNING id",
        "CREATE TABLE mine (a int)",
        "SELECT id FROM booking INTO OUTFILE '/tmp/engine-outfile'",
        "SET SESSION TRANSACTION READ WRITE",
        "COMMIT",
        "SELECT 1; DELETE FROM booking",
    ],
    running: "SELECT count(*) FROM information_schema.processlist
        WHERE user = substring_index(current_user(), '@', 1) AND id <> connection_id() AND command NOT IN ('Sleep', 'Killed')",
    cut: "SELECT concat('KILL ', id) FROM information_schema.processlist
        WHERE user = substring_index(current_user(), '@', 1) AND id <> connection_id()",
    unknown_table: ("SELECT id\nFROM   buchung", &["buchung' doesn't exist", "error 1146"]),
    tls: TlsMode::Disable,
    facts: &["database", "hostname"],
    stranger: "SELECT id FROM booking",
    no_plan: None,
    cannot: &[],
};

/// The genuine MySQL: what differs from MariaDB.
pub const MYSQL: Peer = Peer {
    name: "mysql",
    wrap: SourceConfig::MySql,
    setup: "SET time_zone = '+00:00'; SET sql_mode = ''; SET cte_max_recursion_depth = 200000;
        DROP TABLE IF EXISTS booking, odd, open_to_all, many; DROP USER IF EXISTS stranger@'%';
        CREATE TABLE booking (id int PRIMARY KEY, code char(6), note varchar(40), at datetime, seen timestamp NULL);
        INSERT INTO booking VALUES (1, 'M1', 'Müller', '2025-03-30 01:30', '2025-03-30 00:30'), (2, 'M2', NULL, NULL, NULL);
        CREATE TABLE odd (t1 tinyint(1), u1 tinyint unsigned, y year, e enum('START', 'END'), s set('a', 'b'),
            b bit(3), wide bit(64), z date, p date, pt datetime, ts timestamp(6) NULL, tx mediumtext COLLATE utf8mb4_bin,
            vb varbinary(4), bc char(6) CHARACTER SET latin1 COLLATE latin1_bin, g point, j json,
            f1 timestamp NULL, f2 timestamp NULL);
        INSERT INTO odd VALUES (2, 200, 2025, 'END', 'a,b', b'101', ~0, '0000-00-00', '2025-00-00', '2025-03-00 10:00',
            '1970-01-01 00:00:01.5', 'Ω ', x'00ff', 'Mü', NULL, '{\"a\": 1}',
            '2025-10-26 00:30:00', '2025-10-26 01:30:00');
        CREATE TABLE many (i int PRIMARY KEY)
            AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT i FROM n;
        CREATE TABLE open_to_all (a int);
        CREATE USER stranger@'%' IDENTIFIED BY 's3cret-canary';
        GRANT SELECT ON open_to_all TO stranger@'%'",
    own_values: &[
        ("j", Kind::Json, Cell::Json("{\"a\": 1}")),
        ("CAST(NULL AS json)", Kind::Json, Cell::Null),
    ],
    lacks: &[],
    many: "SELECT i, repeat('x', 200) FROM many ORDER BY i",
    writes: &[
        "INSERT INTO booking (id) VALUES (3)",
        "DELETE FROM booking",
        "CREATE TABLE mine (a int)",
        "SELECT id FROM booking INTO OUTFILE '/tmp/engine-outfile'",
        "SELECT id FROM booking WHERE id = 1 INTO @x",
        "SELECT 1; DELETE FROM booking",
    ],
    // Its way to log in needs encryption, unless the server remembers an earlier login.
    tls: TlsMode::Require,
    facts: &["database", "server_uuid"],
    ..MARIADB
};
