//! Real servers as sources, to a platform, through the binary.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use engine_tests::binary::{Workspace, await_that};
use engine_tests::dialects::{Dialect, MARIADB, MYSQL, POSTGRES, insert_for, spec};
use engine_tests::plant::{self, NOW};
use engine_tests::platform::Platform;
use engine_tests::proxy::{Mode, Proxy};
use engine_tests::servers::{self, Server};
use serde_json::json;

use crate::found;

#[test]
fn postgres_reaches_the_platform() {
    walk(&POSTGRES, &servers::postgres());
}

#[test]
fn mariadb_reaches_the_platform() {
    walk(&MARIADB, &servers::mariadb());
}

#[test]
fn mysql_reaches_the_platform() {
    if let Some(server) = servers::mysql() {
        walk(&MYSQL, &server);
    }
}

fn walk(dialect: &Dialect, server: &Server) {
    server.execute(dialect.table);
    server.execute(&insert_for(dialect, 1..201));
    changes_arrive(dialect, server);
    a_late_commit_is_not_missed(dialect, server);
    a_wrong_password_is_told_and_not_shown(dialect, server);
    an_unknown_authority_is_told(dialect, server);
    a_server_that_goes_and_comes_back_is_read_again(dialect, server);
}

fn changes_arrive(dialect: &Dialect, server: &Server) {
    let (mut workspace, platform) = (Workspace::new(), Platform::start());
    workspace.env("DB_PASSWORD", &server.password);
    workspace.spec("acme.yaml", &spec(dialect, server, server.port, &plant::to_url(&platform.url())));
    let once = || found(&workspace.engine(&["run", "--once", "--now", NOW, "acme.yaml"]).expect(0));
    assert_eq!(once(), (200, 0, 0, 200, 0, 0), "{}", dialect.name);
    let requests = platform.requests().len();
    assert_eq!(once(), (0, 0, 0, 0, 0, 0), "{}", dialect.name);
    assert_eq!(platform.requests().len(), requests, "an unchanged run sends nothing");
    server.execute("UPDATE auftrag SET menge = 12.5 WHERE id = 3");
    server.execute("DELETE FROM auftrag WHERE id = 4");
    server.execute(&insert_for(dialect, 201..211));
    assert_eq!(once(), (10, 1, 1, 11, 1, 0), "{}", dialect.name);
    let state = platform.state();
    assert_eq!(state.len(), 209);
    let third = state.values().find(|run| run["production_order"] == "4711003").expect("the third order");
    assert_eq!(third["quantity_total"], json!(12.5));
    assert_eq!(third["machine_code"], "M3", "a column of fixed width is trimmed");
    assert_eq!(third["start"], "2025-03-28T23:00:00Z");
    platform.assert_contract();
}

/// A client of the server that keeps its transaction open.
struct Session {
    client: Child,
}

impl Session {
    fn begin(dialect: &Dialect, server: &Server, insert: &str) -> Self {
        let port = server.port.to_string();
        let mut command = Command::new(if dialect.name == "postgres" { "psql" } else { "mariadb" });
        if dialect.name == "postgres" {
            command.env("PGPASSWORD", &server.password).args(["-X", "-q", "-A", "-t", "-h", &server.host, "-p", &port]);
            command.args(["-U", &server.username, "-d", &server.database]);
        } else {
            command.env("MYSQL_PWD", &server.password).args(["--no-defaults", "--batch", "--skip-column-names"]);
            command.args(["--unbuffered", "-h", &server.host, "-P", &port, "-u", &server.username, &server.database]);
        }
        let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the client starts");
        let mut stdin = client.stdin.take().expect("stdin is piped");
        let stdout = client.stdout.take().expect("stdout is piped");
        writeln!(stdin, "BEGIN;\n{insert};\nSELECT 'inserted';").expect("the client listens");
        client.stdin = Some(stdin);
        let line = BufReader::new(stdout).lines().next().expect("an answer").expect("an answer");
        assert_eq!(line, "inserted");
        Self { client }
    }

    fn commit(mut self) {
        let mut stdin = self.client.stdin.take().expect("stdin is piped");
        // The client prints nothing more, and ends with its input.
        writeln!(stdin, "COMMIT;").expect("the client listens");
        drop(stdin);
        assert!(self.client.wait().expect("the client ends").success());
    }
}

fn a_late_commit_is_not_missed(dialect: &Dialect, server: &Server) {
    let late = (dialect.literal)("2025-03-29 01:00:00");
    for cursor in [false, true] {
        let (mut workspace, platform) = (Workspace::new(), Platform::start());
        let id = 1_000 + i64::from(cursor);
        workspace.env("DB_PASSWORD", &server.password);
        let mut spec = spec(dialect, server, server.port, &plant::to_url(&platform.url()));
        if cursor {
            spec["query"]["sql"] = "SELECT id, anr, artnr, mnr, von, bis, menge, geaendert FROM auftrag\n\
                WHERE geaendert > {{ cursor.geaendert }} OR geaendert = {{ cursor.geaendert }} AND id > {{ cursor.id }}"
                .into();
            spec["sync"] = json!({ "mode": "cursor", "cursor": ["geaendert", "id"], "overlap": "12h" });
        }
        workspace.spec("acme.yaml", &spec);
        let once = || found(&workspace.engine(&["run", "--once", "--now", NOW, "acme.yaml"]).expect(0));
        let session = Session::begin(
            dialect,
            server,
            &format!("INSERT INTO auftrag VALUES ({id}, 'late', 'p', 'M9', {late}, NULL, 1, {late})"),
        );
        assert!(once().0 >= 209);
        session.commit();
        assert_eq!(once().0, 1, "{} cursor {cursor}", dialect.name);
        assert!(platform.state().values().any(|run| run["production_order"] == "late"));
        assert_eq!(once(), (0, 0, 0, 0, 0, 0), "{} cursor {cursor}", dialect.name);
    }
}

fn a_wrong_password_is_told_and_not_shown(dialect: &Dialect, server: &Server) {
    let mut workspace = Workspace::new();
    workspace.env("DB_PASSWORD", "wrong-canary-8d1f");
    workspace.spec("acme.yaml", &spec(dialect, server, server.port, &plant::to_file("runs.ndjson")));
    let outcome = workspace.engine(&["run", "--once", "-vv", "acme.yaml"]).expect(3);
    let outcome = outcome.says(&format!("127.0.0.1:{}", server.port)).says(&server.username).says("source.password");
    assert!(!outcome.to_string().contains("canary-8d1f"), "{outcome}");
    let status = workspace.engine(&["status"]).expect(0).says("failing");
    assert!(!status.to_string().contains("canary-8d1f"));
}

fn an_unknown_authority_is_told(dialect: &Dialect, server: &Server) {
    let mut workspace = Workspace::new();
    workspace.env("DB_PASSWORD", "canary-8d1f");
    let mut spec = spec(dialect, server, server.port, &plant::to_file("runs.ndjson"));
    spec["source"]["tls"] = json!({ "mode": "verify-full" });
    workspace.spec("acme.yaml", &spec);
    let outcome = workspace.engine(&["run", "--once", "-vv", "acme.yaml"]).expect(3).says("tls.ca_file");
    assert!(!outcome.to_string().contains("canary-8d1f"), "{outcome}");
}

fn a_server_that_goes_and_comes_back_is_read_again(dialect: &Dialect, server: &Server) {
    let (mut workspace, platform) = (Workspace::new(), Platform::start());
    let door = Proxy::start(server.port, Mode::Open);
    workspace.env("DB_PASSWORD", &server.password);
    let mut spec = spec(dialect, server, door.port(), &plant::to_url(&platform.url()));
    spec["query"]["sql"] = "SELECT * FROM auftrag".into();
    spec["sync"] = json!({ "mode": "full" });
    spec["schedule"] = json!({ "every": "1s" });
    workspace.spec("acme.yaml", &spec);
    let mut running = workspace.start(&["run", "acme.yaml"]);
    running.event("delivered", "acme");
    let before = platform.state().len();
    door.set(Mode::Shut);
    let failed = running.event("run_failed", "acme");
    assert!(
        failed["message"].as_str().is_some_and(|message| message.contains(&format!("127.0.0.1:{}", door.port()))),
        "{failed}"
    );
    server.execute(&insert_for(dialect, 2_001..2_011));
    door.set(Mode::Open);
    await_that("the new rows arrive", || platform.state().len() == before + 10);
    running.signal("TERM");
    running.finish().expect(0);
    platform.assert_contract();
}
