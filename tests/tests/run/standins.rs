//! SQL Server and Oracle as sources, to a platform, through the binary. They are stood in for, or the servers that
//! `ENGINE_TEST_SQLSERVER_URL` and `ENGINE_TEST_ORACLE_URL` name.

use engine_tests::binary::Workspace;
use engine_tests::plant::{self, BOOKINGS, NOW};
use engine_tests::platform::Platform;
use engine_tests::servers::Server;
use engine_tests::standins::{oracle, sqlserver};
use serde_json::{Value, json};

use crate::found;

/// What differs between the two.
struct Dialect {
    name: &'static str,
    drop: &'static str,
    table: &'static str,
    /// A local date-time as a literal.
    at: fn(&str) -> String,
    tls: fn(&Server) -> Value,
}

const SQL_SERVER: Dialect = Dialect {
    name: "sqlserver",
    drop: "DROP TABLE IF EXISTS auftrag",
    table: "CREATE TABLE auftrag (id int PRIMARY KEY, anr varchar(20), artnr varchar(20), mnr char(8), von datetime,
            bis datetime2(0), menge decimal(12, 3), geaendert datetime, version rowversion)",
    at: |at| format!("'{at}'"),
    tls: |server| match &server.ca_file {
        Some(file) => json!({ "mode": "verify-full", "ca_file": file }),
        None => json!({ "mode": "require" }),
    },
};

const ORACLE: Dialect = Dialect {
    name: "oracle",
    drop: "DROP TABLE IF EXISTS auftrag",
    table:
        "CREATE TABLE auftrag (id NUMBER(10) PRIMARY KEY, anr VARCHAR2(20), artnr VARCHAR2(20), mnr CHAR(8), von DATE,
            bis TIMESTAMP(0), menge NUMBER(12, 3), geaendert DATE)",
    at: |at| format!("TO_DATE('{at}', 'YYYY-MM-DD HH24:MI:SS')"),
    tls: |_| json!({ "mode": "disable" }),
};

fn spec(dialect: &Dialect, server: &Server, destination: &Value) -> Value {
    let mut spec = plant::orders("acme", destination);
    spec["source"] = json!({
        "type": dialect.name, "host": server.host, "port": server.port, "database": server.database,
        "username": server.username, "password": { "env": "DB_PASSWORD" }, "timezone": "Europe/Berlin",
        "tls": (dialect.tls)(server), "timeouts": { "connect": "20s", "query": "60s" },
    });
    spec
}

fn insert(dialect: &Dialect, server: &Server, ids: std::ops::Range<i64>) {
    for id in ids {
        let (hour, minute) = (id / 60, id % 60);
        let (from, to) =
            (format!("2025-03-29 {hour:02}:{minute:02}:00"), format!("2025-03-29 {hour:02}:{minute:02}:30"));
        server.execute(&format!(
            "INSERT INTO auftrag (id, anr, artnr, mnr, von, bis, menge, geaendert)
             VALUES ({id}, '{}', '25-1002', 'M{}', {}, {}, {id}, {})",
            4_711_000 + id,
            1 + id % 5,
            (dialect.at)(&from),
            (dialect.at)(&to),
            (dialect.at)(&to),
        ));
    }
}

#[test]
fn sqlserver_reaches_the_platform() {
    let server = sqlserver();
    changes_arrive(&SQL_SERVER, &server);
    what_is_wrong_is_told(&SQL_SERVER, &server);
    a_rowversion_is_a_cursor(&server);
    the_account_is_checked(&SQL_SERVER, &server, "INSERT");
}

#[test]
fn oracle_reaches_the_platform() {
    let server = oracle();
    changes_arrive(&ORACLE, &server);
    what_is_wrong_is_told(&ORACLE, &server);
    the_account_is_checked(&ORACLE, &server, "CREATE TABLE");
}

fn changes_arrive(dialect: &Dialect, server: &Server) {
    server.execute(dialect.drop);
    server.execute(dialect.table);
    insert(dialect, server, 1..41);
    let (mut workspace, platform) = (Workspace::new(), Platform::start());
    workspace.env("DB_PASSWORD", &server.password);
    workspace.spec("acme.yaml", &spec(dialect, server, &plant::to_url(&platform.url())));
    let once = || found(&workspace.engine(&["run", "--once", "--now", NOW, "acme.yaml"]).expect(0));
    assert_eq!(once(), (40, 0, 0, 40, 0, 0), "{}", dialect.name);
    let requests = platform.requests().len();
    assert_eq!(once(), (0, 0, 0, 0, 0, 0), "{}", dialect.name);
    assert_eq!(platform.requests().len(), requests, "an unchanged run sends nothing");
    server.execute("UPDATE auftrag SET menge = 12.5 WHERE id = 3");
    server.execute("DELETE FROM auftrag WHERE id = 4");
    insert(dialect, server, 41..46);
    assert_eq!(once(), (5, 1, 1, 6, 1, 0), "{}", dialect.name);
    let state = platform.state();
    assert_eq!(state.len(), 44);
    let third = state.values().find(|run| run["production_order"] == "4711003").expect("the third order");
    assert_eq!(third["quantity_total"], json!(12.5));
    assert_eq!(third["machine_code"], "M4", "a column of fixed width is trimmed");
    assert_eq!(third["start"], "2025-03-28T23:03:00Z");
    platform.assert_contract();
}

fn what_is_wrong_is_told(dialect: &Dialect, server: &Server) {
    let mut workspace = Workspace::new();
    let run = |workspace: &Workspace, spec: &Value| {
        workspace.spec("acme.yaml", spec);
        workspace.engine(&["run", "--once", "--now", NOW, "acme.yaml"])
    };
    let good = spec(dialect, server, &plant::to_file("runs.ndjson"));
    workspace.env("DB_PASSWORD", "wr0ng-canary");
    let outcome = run(&workspace, &good).expect(3);
    outcome
        .says(&format!("connecting to {} at {}:{} as etl", dialect.name, server.host, server.port))
        .says("source.password");
    workspace.env("DB_PASSWORD", &server.password);
    let mut unknown = good.clone();
    unknown["query"]["sql"] = json!(
        "SELECT id, anr, artnr, mnr, von, bis, menge FROM auftraege\nWHERE von >= {{ window.start }} AND von < {{ window.end }}\n"
    );
    run(&workspace, &unknown).expect(1).says("auftraege");
    let mut nobody = good;
    nobody["source"]["port"] = json!(1);
    run(&workspace, &nobody).expect(3).says("127.0.0.1:1").says("source.port");
}

fn a_rowversion_is_a_cursor(server: &Server) {
    let (mut workspace, platform) = (Workspace::new(), Platform::start());
    workspace.env("DB_PASSWORD", &server.password);
    let mut spec = spec(&SQL_SERVER, server, &plant::to_url(&platform.url()));
    spec["query"]["sql"] = json!(
        "SELECT id, anr, artnr, mnr, von, bis, menge, version FROM auftrag WHERE version > {{ cursor.version }}\n"
    );
    spec["sync"] = json!({ "mode": "cursor", "cursor": ["version"] });
    workspace.spec("acme.yaml", &spec);
    let once = || found(&workspace.engine(&["run", "--once", "--now", NOW, "acme.yaml"]).expect(0));
    assert_eq!(once(), (44, 0, 0, 44, 0, 0));
    assert_eq!(once(), (0, 0, 0, 0, 0, 0));
    server.execute("UPDATE auftrag SET menge = 13.5 WHERE id = 3");
    assert_eq!(once(), (0, 1, 0, 1, 0, 0));
}

fn the_account_is_checked(dialect: &Dialect, server: &Server, right: &str) {
    let mut workspace = Workspace::new();
    workspace.env("DB_PASSWORD", &server.password);
    workspace.spec("acme.yaml", &spec(dialect, server, &plant::to_file("runs.ndjson")));
    let outcome = workspace.engine(&["check", "--now", NOW, "acme.yaml"]).expect(0);
    outcome.says("may do more than read").says(right).says("4711003");
}

/// The statements that make the same bookings in every database: the table, then a row.
fn bookings(table: &str, at: fn(&str) -> String) -> Vec<String> {
    let row = |(id, order, machine, kind, time): (i64, &str, &str, &str, &str)| {
        format!("INSERT INTO buchung VALUES ({id}, '{order}', '25-1002', '{machine}', '{kind}', {})", at(time))
    };
    let live = (7, "4714", "M3", "A", "2025-03-30 10:00:00");
    std::iter::once(table.to_owned()).chain(BOOKINGS.into_iter().chain([live]).map(row)).collect()
}

#[test]
fn a_spec_moves_from_database_to_database_by_its_source_alone() {
    let plain: fn(&str) -> String = |time| format!("'{time}'");
    let databases = [
        (
            "sqlserver",
            Some(sqlserver()),
            "CREATE TABLE buchung (id int PRIMARY KEY, anr varchar(20), artnr nvarchar(20), mnr char(6), kenn nchar(2), zeit datetime)",
            plain,
        ),
        (
            "oracle",
            Some(oracle()),
            "CREATE TABLE buchung (id NUMBER(10) PRIMARY KEY, anr VARCHAR2(20), artnr NVARCHAR2(20), mnr CHAR(6), kenn CHAR(2), zeit DATE)",
            ORACLE.at,
        ),
        (
            "postgres",
            Some(engine_tests::servers::postgres()),
            "CREATE TABLE buchung (id int PRIMARY KEY, anr text, artnr varchar(20), mnr char(6), kenn char(2), zeit timestamp)",
            plain,
        ),
        (
            "mariadb",
            Some(engine_tests::servers::mariadb()),
            "CREATE TABLE buchung (id int PRIMARY KEY, anr varchar(20), artnr varchar(20), mnr char(6), kenn char(2), zeit datetime)",
            plain,
        ),
        (
            "mysql",
            engine_tests::servers::mysql(),
            "CREATE TABLE buchung (id int PRIMARY KEY, anr varchar(20), artnr varchar(20), mnr char(6), kenn char(2), zeit datetime)",
            plain,
        ),
    ];
    let mut delivered: Vec<(&str, String)> = Vec::new();
    for (name, server, table, at) in databases {
        let Some(server) = server else { continue };
        server.execute("DROP TABLE IF EXISTS buchung");
        for statement in bookings(table, at) {
            server.execute(&statement);
        }
        let mut workspace = Workspace::new();
        workspace.env("DB_PASSWORD", &server.password);
        let mut spec = plant::bookings("acme", &plant::to_file("runs.ndjson"));
        spec["source"] = json!({
            "type": name, "host": server.host, "port": server.port, "database": server.database,
            "username": server.username, "password": { "env": "DB_PASSWORD" }, "timezone": "Europe/Berlin",
            "tls": { "mode": if matches!(name, "sqlserver" | "mysql") { "require" } else { "disable" } },
        });
        workspace.spec("acme.yaml", &spec);
        workspace.engine(&["run", "--once", "--now", NOW, "acme.yaml"]).expect(0);
        delivered.push((name, workspace.read("runs.ndjson")));
    }
    let (first, expected) = &delivered[0];
    assert_eq!(expected.lines().count(), 4, "{first}: {expected}");
    for (name, runs) in &delivered {
        assert_eq!(runs, expected, "{name} and {first}");
    }
}
