//! `engine check` against real servers: rights, plans, clocks, and what cannot be reached.

use std::net::TcpListener;

use engine_tests::binary::Workspace;
use engine_tests::dialects::{Dialect, MARIADB, POSTGRES, insert_for, spec};
use engine_tests::plant::{self, NOW};
use engine_tests::servers::{self, Server};
use serde_json::Value;

/// What differs between the servers: an account that may insert, and what its rights are called.
struct Account {
    /// Makes the account `reader`.
    make: &'static str,
    /// The statement that is proposed to take its right to write away.
    revoke: &'static str,
    /// What is said of the tests' own account, which may do everything.
    everything: &'static str,
}

#[test]
fn postgres_is_checked() {
    let account = Account {
        make: "CREATE ROLE reader LOGIN PASSWORD 's3cret-canary';
               GRANT SELECT, INSERT, UPDATE ON auftrag TO reader; ANALYZE auftrag",
        revoke: "REVOKE INSERT, UPDATE ON public.auftrag FROM reader",
        everything: "ALTER ROLE etl NOSUPERUSER",
    };
    walk(&POSTGRES, &account, &servers::postgres());
}

#[test]
fn mariadb_is_checked() {
    let account = Account {
        make: "CREATE USER reader@'%' IDENTIFIED BY 's3cret-canary';
               GRANT SELECT, INSERT, UPDATE ON plant.auftrag TO reader@'%'; ANALYZE TABLE auftrag",
        revoke: "REVOKE INSERT, UPDATE ON `plant`.`auftrag` FROM `reader`@`%`",
        everything: "REVOKE ALL PRIVILEGES ON *.* FROM `etl`@`%`; GRANT SELECT ON *.* TO `etl`@`%`",
    };
    walk(&MARIADB, &account, &servers::mariadb());
}

fn walk(dialect: &Dialect, account: &Account, server: &Server) {
    server.execute(dialect.table);
    // Enough that no estimate takes the table for a small one.
    let insert = insert_for(dialect, 1..30_001);
    let more = if dialect.name == "mariadb" { "SET max_recursive_iterations = 100000;" } else { "" };
    server.execute(&format!("{more} {insert}"));
    server.execute(account.make);
    everything_is_shown(dialect, server);
    an_administrator_is_warned_of(dialect, account, server);
    a_right_to_write_is_told_until_it_is_gone(dialect, account, server);
    a_missing_index_is_told(dialect, server);
    what_cannot_be_reached_is_told(dialect, server);
}

/// The check of a spec after a change: its form for programs.
fn check(dialect: &Dialect, server: &Server, code: i32, change: impl FnOnce(&mut Value)) -> Value {
    let mut workspace = Workspace::new();
    workspace.env("DB_PASSWORD", &server.password).env("WRONG_PASSWORD", "wrong-canary");
    let mut spec = spec(dialect, server, server.port, &plant::to_file("runs.ndjson"));
    change(&mut spec);
    workspace.spec("acme.yaml", &spec);
    let outcome = workspace.engine(&["check", "-vv", "-o", "json", "--now", NOW, "acme.yaml"]).expect(code);
    assert!(!outcome.to_string().contains("canary") && !outcome.to_string().contains("PASSWORD '"), "{outcome}");
    outcome.json()[0].take()
}

fn fact(checked: &Value, name: &str) -> String {
    let facts = checked["facts"].as_array().expect("facts").iter().filter(|fact| fact["name"] == name);
    facts.map(|fact| fact["value"].as_str().unwrap_or("unknown")).collect::<Vec<_>>().join("; ")
}

/// What is proposed about something.
fn actions(checked: &Value, about: &str) -> Vec<String> {
    let remarks = checked["remarks"].as_array().expect("remarks").iter().filter(|remark| remark["about"] == about);
    remarks.map(|remark| remark["action"].as_str().unwrap_or_default().to_owned()).collect()
}

fn reader(spec: &mut Value) {
    spec["source"]["username"] = "reader".into();
}

fn everything_is_shown(dialect: &Dialect, server: &Server) {
    let checked = check(dialect, server, 0, reader);
    for (name, part) in [
        ("server", if dialect.name == "postgres" { "PostgreSQL 15" } else { "MariaDB" }),
        ("encryption", "TLSv1.3"),
        ("encryption", "authority and host name checked"),
        ("account", "reader"),
        ("session", "read-only (t"),
        ("time zone", if dialect.name == "postgres" { "UTC" } else { "+00:00" }),
        ("characters", if dialect.name == "postgres" { "UTF8" } else { "utf8mb4" }),
        ("clock", "this machine's"),
        ("rights", "INSERT"),
        ("plan", "about "),
    ] {
        assert!(fact(&checked, name).contains(part), "{}: {name}: `{part}` is not in {checked:#}", dialect.name);
    }
    let sample = &checked["sample"];
    assert_eq!(sample["rows"].as_array().map(Vec::len), Some(5), "{sample}");
    assert_eq!(sample["columns"][3]["kind"], "text", "{sample}");
    assert!(actions(&checked, "clock").is_empty() && actions(&checked, "session").is_empty(), "{checked:#}");
}

fn an_administrator_is_warned_of(dialect: &Dialect, account: &Account, server: &Server) {
    let checked = check(dialect, server, 0, |_| {});
    assert!(actions(&checked, "rights").iter().any(|action| action == account.everything), "{checked:#}");
}

fn a_right_to_write_is_told_until_it_is_gone(dialect: &Dialect, account: &Account, server: &Server) {
    let proposed = actions(&check(dialect, server, 0, reader), "rights");
    assert_eq!(proposed, [account.revoke], "{}", dialect.name);
    server.execute(&proposed[0]);
    let checked = check(dialect, server, 0, reader);
    assert_eq!(actions(&checked, "rights"), [""; 0], "{checked:#}");
    assert!(checked["ok"] == true && fact(&checked, "rights").contains("SELECT"), "{checked:#}");
}

fn a_missing_index_is_told(dialect: &Dialect, server: &Server) {
    let narrow = |spec: &mut Value| spec["sync"] = serde_json::json!({ "lookback": "1m" });
    let checked = check(dialect, server, 0, narrow);
    assert_eq!(actions(&checked, "plan").len(), 1, "{}: {checked:#}", dialect.name);
    server.execute("CREATE INDEX auftrag_von ON auftrag (von)");
    let checked = check(dialect, server, 0, narrow);
    assert_eq!(actions(&checked, "plan"), [""; 0], "{}: {checked:#}", dialect.name);
    assert!(fact(&checked, "plan").contains("by auftrag_von"), "{checked:#}");
    // A plan that the server does not make is unknown, and the failure is told once.
    let checked = check(dialect, server, 2, |spec| {
        spec["query"]["sql"] =
            "SELECT * FROM no_such_table WHERE von >= {{ window.start }} AND von < {{ window.end }}".into();
    });
    assert_eq!(fact(&checked, "plan"), "unknown");
    let failures = checked["failures"].as_array().expect("failures");
    assert!(failures.len() == 1 && failures[0]["message"].to_string().contains("no_such_table"), "{checked:#}");
}

/// A port where nothing listens.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn what_cannot_be_reached_is_told(dialect: &Dialect, server: &Server) {
    let message = |checked: &Value| checked["failures"][0].to_string();
    let wrong = check(dialect, server, 3, |spec| {
        spec["source"]["password"] = serde_json::json!({ "env": "WRONG_PASSWORD" });
    });
    let place = format!("connecting to {} at 127.0.0.1:{} as {}", dialect.name, server.port, server.username);
    assert!(message(&wrong).contains(&place) && message(&wrong).contains("source.password"), "{wrong:#}");
    let port = closed_port();
    let stopped = check(dialect, server, 3, |spec| spec["source"]["port"] = port.into());
    assert!(message(&stopped).contains(&port.to_string()), "{stopped:#}");
    assert_eq!((&stopped["ok"], &stopped["sample"]), (&Value::Bool(false), &Value::Null));
}
