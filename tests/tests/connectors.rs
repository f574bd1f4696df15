//! The contract of a connector, run against the real thing: every kind of source goes through one list.
//!
//! One test for each server, since each test may be a process of its own and starts its server once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::time::{Duration, Instant};

use engine_connect::registry;
use engine_core::ports::{
    Ask, Cancel, Fetched, ServerConfig, Source, SourceConfig, SourceError, SourceErrorKind, TimeoutConfig, TlsConfig,
};
use engine_core::value::{Cell, Kind, RowBatch};
use engine_spec::model::TlsMode;
use engine_spec::template::{Bind, BindValue, Statement};
use engine_tests::servers::{self, Server};
use jiff::civil::date;

const PATIENT: TimeoutConfig = TimeoutConfig { connect: Duration::from_secs(20), query: Duration::from_secs(120) };
const HASTY: TimeoutConfig = TimeoutConfig { connect: Duration::from_secs(20), query: Duration::from_millis(300) };
/// Rows of the result that must stream.
const MANY_ROWS: i64 = 200_000;
/// How much memory reading them may cost; the result is over 40 MB.
const STREAM_MEMORY_MAX_KIB: u64 = 24 * 1024;
/// How soon a cancelled or hasty query must come back.
const PROMPT: Duration = Duration::from_secs(5);

/// What differs between the servers.
struct Peer {
    name: &'static str,
    wrap: fn(ServerConfig) -> SourceConfig,
    /// Fills the database.
    setup: &'static str,
    /// A `FROM` of one row, whose columns the values may name.
    from: &'static str,
    /// An expression, its kind, and its value.
    values: &'static [(&'static str, Kind, Cell<'static>)],
    /// The same, for what differs between servers of one family.
    own_values: &'static [(&'static str, Kind, Cell<'static>)],
    /// An expression whose value cannot be carried, and a part of the reason.
    bad: &'static [(&'static str, &'static str)],
    /// A condition with one placeholder, a value that makes it true.
    binds: fn() -> Vec<(&'static str, BindValue)>,
    /// A condition with one placeholder, a value that does not fit, and a part of the message.
    misfits: fn() -> Vec<(&'static str, BindValue, &'static str)>,
    /// Computes for a minute and returns nothing to speak of.
    slow: &'static str,
    /// Rows of a number from 1 on and a text of 200 characters.
    many: &'static str,
    /// Statements that would change something.
    writes: &'static [&'static str],
    /// Counts the queries that the engine has running.
    running: &'static str,
    /// Prints the statements that end the engine's sessions, a line each.
    cut: &'static str,
    /// A statement with an unknown table, and what the message must say.
    unknown_table: (&'static str, &'static [&'static str]),
    /// The mode of encryption that the list is run with.
    tls: TlsMode,
    /// Facts of the identity that must be there.
    facts: &'static [&'static str],
    /// An account that may log in and read nothing.
    stranger: &'static str,
}

const POSTGRES: Peer = Peer {
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
        ("NULL::int", Kind::Int, Cell::Null),
        ("NULL::text", Kind::Text, Cell::Null),
        ("NULL::numeric", Kind::Decimal, Cell::Null),
        ("NULL::timestamptz", Kind::Instant, Cell::Null),
        ("NULL::jsonb", Kind::Json, Cell::Null),
        ("NULL::bytea", Kind::Bytes, Cell::Null),
        ("NULL::inet", Kind::Any, Cell::Null),
    ],
    own_values: &[],
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
};

const MARIADB: Peer = Peer {
    name: "mariadb",
    wrap: SourceConfig::MariaDb,
    setup: "SET time_zone = '+00:00';
        DROP TABLE IF EXISTS booking, odd, open_to_all; DROP FUNCTION IF EXISTS sneak; DROP USER IF EXISTS stranger@'%';
        CREATE TABLE booking (id int PRIMARY KEY, code char(6), note varchar(40), at datetime, seen timestamp NULL);
        INSERT INTO booking VALUES (1, 'M1', 'Müller', '2025-03-30 01:30', '2025-03-30 00:30'), (2, 'M2', NULL, NULL, NULL);
        SET sql_mode = '';
        CREATE TABLE odd (t1 tinyint(1), u1 tinyint(1) unsigned, y year, e enum('START', 'END'), s set('a', 'b'),
            b bit(3), wide bit(64), z date, p date, pt datetime, ts timestamp(6) NULL, tx mediumtext COLLATE utf8mb4_bin,
            vb varbinary(4), bc char(6) CHARACTER SET latin1 COLLATE latin1_bin, g point, j json);
        INSERT INTO odd VALUES (2, 200, 2025, 'END', 'a,b', b'101', ~0, '0000-00-00', '2025-00-00', '2025-03-00 10:00',
            '1970-01-01 00:00:01.5', 'Ω ', x'00ff', 'Mü', NULL, '{\"a\": 1}');
        CREATE FUNCTION sneak() RETURNS int MODIFIES SQL DATA RETURN 1;
        CREATE TABLE open_to_all (a int);
        CREATE USER stranger@'%' IDENTIFIED BY 's3cret-canary';
        GRANT SELECT ON open_to_all TO stranger@'%'",
    from: "FROM odd",
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
        ("NULL", Kind::Any, Cell::Null),
        ("(SELECT note FROM booking WHERE id = 2)", Kind::Text, Cell::Null),
        ("(SELECT at FROM booking WHERE id = 2)", Kind::Civil, Cell::Null),
        ("(SELECT seen FROM booking WHERE id = 2)", Kind::Instant, Cell::Null),
        ("CAST(NULL AS decimal(6, 2))", Kind::Decimal, Cell::Null),
        ("CAST(NULL AS double)", Kind::Float, Cell::Null),
        ("CAST(NULL AS date)", Kind::Date, Cell::Null),
    ],
    // MariaDB's JSON is a text with a check.
    own_values: &[("j", Kind::Text, Cell::Text("{\"a\": 1}"))],
    bad: &[
        ("p", "2025-00-00 is no date of the calendar"),
        ("pt", "2025-03-00 is no date of the calendar"),
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
};

/// The genuine MySQL: what differs from MariaDB.
const MYSQL: Peer = Peer {
    name: "mysql",
    wrap: SourceConfig::MySql,
    setup: "SET time_zone = '+00:00'; SET sql_mode = ''; SET cte_max_recursion_depth = 200000;
        DROP TABLE IF EXISTS booking, odd, open_to_all, many; DROP USER IF EXISTS stranger@'%';
        CREATE TABLE booking (id int PRIMARY KEY, code char(6), note varchar(40), at datetime, seen timestamp NULL);
        INSERT INTO booking VALUES (1, 'M1', 'Müller', '2025-03-30 01:30', '2025-03-30 00:30'), (2, 'M2', NULL, NULL, NULL);
        CREATE TABLE odd (t1 tinyint(1), u1 tinyint unsigned, y year, e enum('START', 'END'), s set('a', 'b'),
            b bit(3), wide bit(64), z date, p date, pt datetime, ts timestamp(6) NULL, tx mediumtext COLLATE utf8mb4_bin,
            vb varbinary(4), bc char(6) CHARACTER SET latin1 COLLATE latin1_bin, g point, j json);
        INSERT INTO odd VALUES (2, 200, 2025, 'END', 'a,b', b'101', ~0, '0000-00-00', '2025-00-00', '2025-03-00 10:00',
            '1970-01-01 00:00:01.5', 'Ω ', x'00ff', 'Mü', NULL, '{\"a\": 1}');
        CREATE TABLE many (i int PRIMARY KEY)
            AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT i FROM n;
        CREATE TABLE open_to_all (a int);
        CREATE USER stranger@'%' IDENTIFIED BY 's3cret-canary';
        GRANT SELECT ON open_to_all TO stranger@'%'",
    own_values: &[("j", Kind::Json, Cell::Json("{\"a\": 1}"))],
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

#[test]
fn mysql_keeps_the_contract() {
    if let Some(server) = servers::mysql() {
        keep_the_contract(&MYSQL, &server);
        a_password_is_not_sent_in_the_clear(&MYSQL, &server);
    }
}

#[test]
fn mariadb_keeps_the_contract() {
    keep_the_contract(&MARIADB, &servers::mariadb());
}

#[test]
fn mariadb_keeps_the_contract_under_the_name_of_mysql() {
    let peer = Peer { name: "mysql", wrap: SourceConfig::MySql, ..MARIADB };
    keep_the_contract(&peer, &servers::mariadb());
}

#[test]
fn postgres_keeps_the_contract() {
    keep_the_contract(&POSTGRES, &servers::postgres());
}

fn keep_the_contract(peer: &Peer, server: &Server) {
    server.execute(peer.setup);
    values_round_trip(peer, server);
    bad_values_cost_only_themselves(peer, server);
    no_rows_still_have_columns(peer, server);
    bound_values_fit(peer, server);
    misfits_are_named(peer, server);
    identity_says_who(peer, server);
    logins_are_checked(peer, server);
    certificates_are_checked(peer, server);
    nothing_is_written(peer, server);
    errors_say_where(peer, server);
    a_large_result_streams(peer, server);
    a_slow_query_runs_out_of_time(peer, server);
    a_slow_query_is_cancelled(peer, server);
    a_large_result_is_given_up(peer, server);
    a_cut_connection_is_noticed_and_made_anew(peer, server);
    a_closed_port_is_told(peer, server);
}

fn values_round_trip(peer: &Peer, server: &Server) {
    let mut source = opened(peer, server);
    for (expression, kind, expected) in peer.values.iter().chain(peer.own_values) {
        let batch = only_row(&mut *source, &format!("SELECT {expression} AS v, 1 AS one {}", peer.from));
        assert_eq!(batch.row(0).get(0), *expected, "{}: {expression}", peer.name);
        assert_eq!(batch.columns()[0].kind, *kind, "{}: {expression}", peer.name);
        assert!(!batch.columns()[0].source_type.is_empty(), "{}: {expression}", peer.name);
    }
}

fn bad_values_cost_only_themselves(peer: &Peer, server: &Server) {
    let mut source = opened(peer, server);
    for (expression, part) in peer.bad {
        let batch = only_row(&mut *source, &format!("SELECT {expression} AS v, 7 AS seven {}", peer.from));
        match batch.row(0).get(0) {
            Cell::Bad(why) => assert!(why.starts_with("column v (") && why.contains(part), "{expression}: {why}"),
            other => panic!("{}: {expression} is {other:?}", peer.name),
        }
        assert_eq!(batch.row(0).get(1), Cell::Int(7), "{}: {expression}", peer.name);
    }
}

fn no_rows_still_have_columns(peer: &Peer, server: &Server) {
    let mut source = opened(peer, server);
    source.ask(&ask("SELECT id, note FROM booking WHERE id < 0", vec![])).unwrap();
    let mut batch = RowBatch::new();
    assert_eq!(source.next(&mut batch).unwrap(), Fetched::End);
    let columns: Vec<_> = batch.columns().iter().map(|column| (&*column.name, column.kind)).collect();
    assert_eq!(columns, [("id", Kind::Int), ("note", Kind::Text)], "{}", peer.name);
    assert_eq!(source.next(&mut batch).unwrap(), Fetched::End);
}

fn bound_values_fit(peer: &Peer, server: &Server) {
    let mut source = opened(peer, server);
    for (condition, value) in (peer.binds)() {
        let case = format!("{}: {condition} with {value:?}", peer.name);
        source.ask(&ask(&format!("SELECT id FROM booking WHERE {condition}"), vec![value])).unwrap();
        let mut batch = RowBatch::new();
        assert_eq!(source.next(&mut batch).unwrap_or_else(|error| panic!("{case}: {error}")), Fetched::Rows, "{case}");
        assert_eq!(batch.row(0).get(0), Cell::Int(1), "{case}");
    }
    let error = failure(&mut *source, ask("SELECT id FROM booking", vec![BindValue::Int(1)]));
    assert_eq!(error.kind, SourceErrorKind::Query, "{error}");
}

fn misfits_are_named(peer: &Peer, server: &Server) {
    let mut source = opened(peer, server);
    for (condition, value, part) in (peer.misfits)() {
        let error = failure(&mut *source, ask(&format!("SELECT id FROM booking WHERE {condition}"), vec![value]));
        assert_eq!(error.kind, SourceErrorKind::Query, "{condition}: {error}");
        assert!(error.message.contains("`params.p1`") && error.message.contains(part), "{condition}: {error}");
    }
}

fn identity_says_who(peer: &Peer, server: &Server) {
    let (first, second) = (opened(peer, server), opened(peer, server));
    let identity = first.identity();
    assert_eq!(identity, second.identity(), "the same server says the same of itself");
    assert!(!identity.version.is_empty());
    assert_eq!(identity.encryption == "none", peer.tls == TlsMode::Disable, "{}", identity.encryption);
    for fact in peer.facts {
        assert!(identity.facts.contains_key(*fact), "{}: {fact} is not in {:?}", peer.name, identity.facts);
    }
}

fn logins_are_checked(peer: &Peer, server: &Server) {
    let refused = |change: &dyn Fn(&mut ServerConfig)| {
        let mut config = config(peer, server, PATIENT);
        change(&mut config);
        let opened = open(peer, config, &Cancel::default());
        opened.map(|_| ()).expect_err("the settings are wrong")
    };
    let error = refused(&|config| config.password = Some("wrong-canary".into()));
    assert_eq!(error.kind, SourceErrorKind::Auth, "{error}");
    let place = format!("connecting to {} at {}:{} as {}", peer.name, server.host, server.port, server.username);
    assert_eq!(error.tried, place);
    assert!(error.hint.as_ref().is_some_and(|hint| hint.contains("source.password")), "{error:?}");
    assert!(!format!("{error:?}").contains("canary"), "a password is in {error:?}");

    let error = refused(&|config| config.database = "nowhere".into());
    assert_eq!(error.kind, SourceErrorKind::Config, "{error}");
    let error = refused(&|config| config.tls.cert_file = Some("/nowhere.pem".into()));
    assert_eq!(error.kind, SourceErrorKind::Config, "{error}");
    let error = refused(&|config| config.host = "no-such-host.invalid".into());
    assert_eq!(error.kind, SourceErrorKind::Network, "{error}");

    let mut config = config(peer, server, PATIENT);
    config.username = "stranger".into();
    config.password = Some("s3cret-canary".into());
    let mut source = open(peer, config, &Cancel::default()).unwrap();
    let error = failure(&mut *source, ask(peer.stranger, vec![]));
    assert_eq!(error.kind, SourceErrorKind::Permission, "{error}");
}

fn certificates_are_checked(peer: &Peer, server: &Server) {
    let Some(ca_file) = &server.ca_file else { return };
    let encrypted = |mode: TlsMode, host: &str, trusted: bool| {
        let mut config = config(peer, server, PATIENT);
        config.host = host.to_owned();
        config.tls.mode = mode;
        config.tls.ca_file = trusted.then(|| ca_file.clone());
        open(peer, config, &Cancel::default()).map(|source| source.identity().encryption.clone())
    };
    for (mode, host, trusted, expected) in [
        (TlsMode::Prefer, "127.0.0.1", false, Ok("no certificate checked")),
        (TlsMode::Require, "localhost", false, Ok("no certificate checked")),
        (TlsMode::VerifyCa, "localhost", true, Ok("authority checked")),
        (TlsMode::VerifyFull, "127.0.0.1", true, Ok("authority and host name checked")),
        (TlsMode::VerifyCa, "127.0.0.1", false, Err("tls.ca_file")),
        (TlsMode::VerifyFull, "127.0.0.1", false, Err("tls.ca_file")),
        (TlsMode::VerifyFull, "localhost", true, Err("another name")),
    ] {
        match (encrypted(mode, host, trusted), expected) {
            (Ok(seen), Ok(part)) => {
                assert!(seen.starts_with("TLSv1.") && seen.ends_with(part), "{mode:?} {host}: {seen}")
            }
            (Err(error), Err(part)) => {
                assert_eq!(error.kind, SourceErrorKind::Tls, "{mode:?} {host}: {error}");
                let hint = error.hint.unwrap_or_default();
                assert!(hint.contains(part), "{mode:?} {host}: {}; {hint}", error.message);
            }
            (seen, _) => panic!("{}: {mode:?} {host} trusted {trusted}: {seen:?}", peer.name),
        }
    }
    let mut config = config(peer, server, PATIENT);
    config.tls = TlsConfig { mode: TlsMode::VerifyFull, ca_file: Some("/nowhere/ca.pem".into()), ..config.tls };
    let error = open(peer, config, &Cancel::default()).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Config, "{error}");
}

/// The server forgets who logged in before, and then wants the password itself.
fn a_password_is_not_sent_in_the_clear(peer: &Peer, server: &Server) {
    let login = |mode: TlsMode| {
        let mut config = config(peer, server, PATIENT);
        config.tls.mode = mode;
        open(peer, config, &Cancel::default()).map(|_| ())
    };
    server.execute("FLUSH PRIVILEGES");
    let error = login(TlsMode::Disable).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Tls, "{error}");
    assert!(error.hint.as_ref().is_some_and(|hint| hint.contains("tls.mode")), "{error:?}");
    login(TlsMode::Require).unwrap();
    login(TlsMode::Disable).unwrap();
}

fn nothing_is_written(peer: &Peer, server: &Server) {
    let before = server.execute("SELECT count(*) FROM booking");
    let mut source = opened(peer, server);
    for sql in peer.writes {
        let error = failure(&mut *source, ask(sql, vec![]));
        let kinds = [SourceErrorKind::Permission, SourceErrorKind::Query];
        assert!(kinds.contains(&error.kind), "{}: {sql}: {error}", peer.name);
    }
    assert_eq!(server.execute("SELECT count(*) FROM booking"), before, "{}", peer.name);
}

fn errors_say_where(peer: &Peer, server: &Server) {
    let (sql, parts) = peer.unknown_table;
    let error = failure(&mut *opened(peer, server), ask(sql, vec![]));
    assert_eq!(error.kind, SourceErrorKind::Query, "{error}");
    assert!(error.tried.contains(&format!("{}:{}", server.host, server.port)), "{error}");
    for part in parts {
        assert!(error.message.contains(part), "{}: {error}", peer.name);
    }
}

fn a_large_result_streams(peer: &Peer, server: &Server) {
    let mut source = opened(peer, server);
    let mut batch = RowBatch::new();
    source.ask(&ask(peer.many, vec![])).unwrap();
    source.next(&mut batch).unwrap();
    let (before, mut seen, mut most) = (resident_kib(), 0, 0);
    loop {
        for row in batch.rows() {
            seen += 1;
            assert_eq!(row.get(0), Cell::Int(seen));
            assert!(matches!(row.get(1), Cell::Text(text) if text.len() == 200));
        }
        most = most.max(resident_kib());
        if source.next(&mut batch).unwrap() == Fetched::End {
            break;
        }
    }
    assert_eq!(seen, MANY_ROWS, "{}", peer.name);
    let grown = most.saturating_sub(before);
    assert!(grown < STREAM_MEMORY_MAX_KIB, "{}: {grown} KiB more for a result that streams", peer.name);
}

fn a_slow_query_runs_out_of_time(peer: &Peer, server: &Server) {
    let mut source = open(peer, config(peer, server, HASTY), &Cancel::default()).unwrap();
    let begun = Instant::now();
    let error = failure(&mut *source, ask(peer.slow, vec![]));
    assert_eq!(error.kind, SourceErrorKind::Timeout, "{error}");
    assert!(begun.elapsed() < PROMPT, "{}: {:?}", peer.name, begun.elapsed());
    server.await_answer(peer.running, "0");
    only_row(&mut *source, "SELECT 1");
}

fn a_slow_query_is_cancelled(peer: &Peer, server: &Server) {
    let cancel = Cancel::default();
    let mut source = open(peer, config(peer, server, PATIENT), &cancel).unwrap();
    source.ask(&ask(peer.slow, vec![])).unwrap();
    server.await_answer(peer.running, "1");
    let begun = Instant::now();
    cancel.cancel();
    assert_eq!(source.next(&mut RowBatch::new()).unwrap_err().kind, SourceErrorKind::Cancelled);
    assert!(begun.elapsed() < PROMPT, "{}: {:?}", peer.name, begun.elapsed());
    server.await_answer(peer.running, "0");
}

fn a_large_result_is_given_up(peer: &Peer, server: &Server) {
    let mut source = opened(peer, server);
    let mut batch = RowBatch::new();
    source.ask(&ask(peer.many, vec![])).unwrap();
    source.next(&mut batch).unwrap();
    only_row(&mut *source, "SELECT 1");
    source.ask(&ask(peer.many, vec![])).unwrap();
    source.next(&mut batch).unwrap();
    drop(source);
    server.await_answer(peer.running, "0");
}

fn a_cut_connection_is_noticed_and_made_anew(peer: &Peer, server: &Server) {
    let mut source = opened(peer, server);
    source.ask(&ask(peer.slow, vec![])).unwrap();
    server.await_answer(peer.running, "1");
    cut(peer, server);
    let error = source.next(&mut RowBatch::new()).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Network, "{error}");
    only_row(&mut *source, "SELECT 1");
    // A session that was cut while it rested is not even an error.
    cut(peer, server);
    only_row(&mut *source, "SELECT 1");
}

fn cut(peer: &Peer, server: &Server) {
    let statements = server.execute(peer.cut);
    assert!(!statements.trim().is_empty(), "{}: no session is there to be cut", peer.name);
    for statement in statements.lines() {
        server.execute(statement);
    }
}

fn a_closed_port_is_told(peer: &Peer, server: &Server) {
    let mut config = config(peer, server, PATIENT);
    config.host = "127.0.0.1".into();
    config.port = Some(1);
    let error = open(peer, config, &Cancel::default()).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Network, "{error}");
    assert!(error.tried.contains("127.0.0.1:1") && error.hint.unwrap().contains("source.port"));
}

fn config(peer: &Peer, server: &Server, timeouts: TimeoutConfig) -> ServerConfig {
    ServerConfig {
        host: server.host.clone(),
        port: Some(server.port),
        database: server.database.clone(),
        username: server.username.clone(),
        password: Some(server.password.clone().into()),
        tls: TlsConfig { mode: peer.tls, ca_file: None, cert_file: None, key_file: None },
        timeouts,
    }
}

fn open(peer: &Peer, config: ServerConfig, cancel: &Cancel) -> Result<Box<dyn Source>, SourceError> {
    let connector = registry::find(peer.name).expect("the connector is registered");
    (connector.open)(&(peer.wrap)(config), cancel)
}

fn opened(peer: &Peer, server: &Server) -> Box<dyn Source> {
    open(peer, config(peer, server, PATIENT), &Cancel::default()).unwrap()
}

fn ask(sql: &str, values: Vec<BindValue>) -> Ask {
    let named = |(place, value)| Bind { origin: format!("params.p{}", place + 1), value };
    Ask {
        statement: Some(Statement { sql: sql.to_owned(), binds: values.into_iter().enumerate().map(named).collect() }),
    }
}

/// The only row of an answer, read to its end.
fn only_row(source: &mut dyn Source, sql: &str) -> RowBatch {
    source.ask(&ask(sql, vec![])).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let (mut batch, mut rest) = (RowBatch::new(), RowBatch::new());
    assert_eq!(source.next(&mut batch).unwrap_or_else(|error| panic!("{sql}: {error}")), Fetched::Rows, "{sql}");
    assert_eq!((batch.len(), source.next(&mut rest).unwrap()), (1, Fetched::End), "{sql}");
    batch
}

/// The failure that an answer ends with.
fn failure(source: &mut dyn Source, ask: Ask) -> SourceError {
    let mut batch = RowBatch::new();
    if let Err(error) = source.ask(&ask) {
        return error;
    }
    loop {
        match source.next(&mut batch) {
            Ok(Fetched::Rows) => {}
            Ok(Fetched::End) => panic!("{ask:?} did not fail"),
            Err(error) => return error,
        }
    }
}

/// Memory that this process holds, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells of its processes");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the line is there");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}
