//! From a login to runs at the platform, by commands alone: an unknown database is surveyed, a spec is drafted, looked at,
//! tested, validated and run. Nothing is edited: what an expert would answer stands in flags.

use std::collections::BTreeSet;
use std::path::Path;

use engine_tests::binary::Workspace;
use engine_tests::plant::{self, Plant};
use engine_tests::platform::Platform;
use engine_tests::servers::{self, Server};
use serde_json::{Value, json};

mod init;
mod terminal;

/// The instants of the two runs.
const NOW: &str = "2025-03-30T12:00:00Z";
const LATER: &str = "2025-03-30T13:00:00Z";

/// A run as the platform has it: order, product, machine, start, end where it has one, and good quantity.
type Run = (String, String, String, String, Option<String>, Option<f64>);

fn run(order: &str, product: &str, machine: &str, start: &str, end: Option<&str>, good: Option<f64>) -> Run {
    let utc = |time: &str| format!("2025-{time}:00Z");
    (order.to_owned(), product.to_owned(), machine.to_owned(), utc(start), end.map(utc), good)
}

/// A database that nobody has seen, and what an expert knows of the plant.
struct Unknown<'a> {
    /// The block that the expert writes.
    source: Value,
    /// The table that must be found.
    table: &'a str,
    /// What the survey is told, where it must be told something.
    look: &'a [&'a str],
    /// What is answered.
    answers: &'a [&'a str],
    /// What the platform must have.
    runs: Vec<Run>,
    /// Changes the rows.
    change: &'a dyn Fn(),
    /// What the platform must have then.
    runs_later: Vec<Run>,
    /// Records that are sent for the change: those to have, and those to delete.
    differences: (usize, usize),
}

fn at_server(kind: &str, server: &Server) -> Value {
    json!({
        "type": kind, "host": "127.0.0.1", "port": server.port, "database": server.database,
        "username": server.username, "password": { "env": "DB_PASSWORD" },
        "tls": { "mode": "verify-full", "ca_file": server.ca_file },
    })
}

/// The whole way.
fn walk(workspace: &mut Workspace, unknown: &Unknown<'_>) {
    let platform = Platform::start();
    workspace.spec("source.yaml", &json!({ "source": unknown.source }));
    workspace.spec("engine.yaml", &json!({ "version": 1, "destination": plant::to_url(&platform.url()) }));

    let flags: Vec<&str> = ["discover", "source.yaml", "-o", "json"].iter().chain(unknown.look).copied().collect();
    let discovered = workspace.engine(&flags).expect(0).json();
    assert_eq!(discovered["candidates"][0]["name"]["table"], unknown.table, "{:#}", discovered["candidates"]);

    let flags = ["init", "source.yaml", "--yes", "--id", "unknown"];
    let flags: Vec<&str> = flags.iter().chain(unknown.look).chain(unknown.answers).copied().collect();
    let drafted = workspace.engine(&flags).expect(0).says("wrote unknown.yaml").says("engine preview unknown.yaml");
    let spec = workspace.read("unknown.yaml");

    let preview = workspace.engine(&["preview", "unknown.yaml", "--now", NOW, "-o", "json"]).expect(0).json();
    assert_eq!(preview[0]["report"]["rejected"], json!({}), "{spec}\n{drafted}");
    workspace.engine(&["test", "unknown.yaml"]).expect(0).says("1 passed, 0 failed");
    workspace.engine(&["validate-spec", "--strict", "unknown.yaml"]).expect(0);

    workspace.engine(&["run", "--once", "--now", NOW, "unknown.yaml"]).expect(0);
    assert_eq!(at_platform(&platform), unknown.runs.iter().map(text).collect(), "{spec}");
    let sent = platform.requests().len();
    workspace.engine(&["run", "--once", "--now", NOW, "unknown.yaml"]).expect(0);
    assert_eq!(platform.requests().len(), sent, "an unchanged run sends nothing");

    (unknown.change)();
    workspace.engine(&["run", "--once", "--now", LATER, "unknown.yaml"]).expect(0);
    assert_eq!(at_platform(&platform), unknown.runs_later.iter().map(text).collect(), "{spec}");
    let requests = platform.requests().split_off(sent);
    let ops: Vec<String> = requests
        .iter()
        .flat_map(|request| request.body["records"].as_array().cloned().unwrap_or_default())
        .map(|record| record["op"].as_str().unwrap_or_default().to_owned())
        .collect();
    let count = |op: &str| ops.iter().filter(|found| *found == op).count();
    assert_eq!((count("upsert"), count("delete")), unknown.differences, "{requests:#?}");
    platform.assert_contract();
}

fn text(run: &Run) -> String {
    format!("{run:?}")
}

fn at_platform(platform: &Platform) -> BTreeSet<String> {
    let word = |value: &Value| value.as_str().map(str::to_owned);
    let runs = platform.state().into_values().map(|run| {
        let must = |value: &Value| word(value).unwrap_or_else(|| panic!("no text: {run:#}"));
        (
            must(&run["production_order"]),
            must(&run["product"]["code"]),
            must(&run["machine_code"]),
            must(&run["start"]),
            word(&run["end"]),
            run["quantity_yield"].as_f64(),
        )
    });
    runs.map(|run| text(&run)).collect()
}

#[test]
fn bookings_with_german_names_at_postgres() {
    let server = servers::postgres();
    server.execute(include_str!("../../fixtures/werk-nord.sql"));
    let mut workspace = Workspace::new();
    workspace.env("DB_PASSWORD", &server.password);
    let unchanged = [
        run("FA000001", "A-100", "DREH01", "03-28T05:00", Some("03-28T08:30"), Some(120.0)),
        run("FA000001", "A-100", "DREH01", "03-28T09:15", Some("03-28T13:00"), Some(200.0)),
    ];
    let with = |others: [Run; 2]| unchanged.iter().cloned().chain(others);
    walk(
        &mut workspace,
        &Unknown {
            source: at_server("postgres", &server),
            table: "rueckmeldung",
            look: &[],
            answers: &["--zone=Europe/Berlin", "--event=B=start", "--event=W=start", "--event=U=end", "--event=E=end"],
            runs: with([
                run("FA000002", "B-200", "FRAES02", "03-29T21:00", Some("03-30T04:00"), Some(55.5)),
                run("FA000004", "C-300", "DREH01", "03-30T05:00", None, None),
            ])
            .chain([run("FA000003", "A-100", "DREH01", "03-28T14:00", Some("03-28T17:00"), Some(75.0))])
            .collect(),
            change: &|| {
                server.execute(
                    "INSERT INTO rueckmeldung VALUES
                       (1011, 'FA000004', 'C-300', 'DREH01',  'E', '2025-03-30 14:30:00', 80, 17, 'N'),
                       (1012, 'FA000002', 'B-200', 'FRAES02', 'E', '2025-03-30 05:30:00', 50, 17, 'N');
                     UPDATE rueckmeldung SET storno = 'J' WHERE rueckmeldenr = 1006;
                     DELETE FROM rueckmeldung WHERE auftragsnr = 'FA000003'",
                );
            },
            runs_later: with([
                run("FA000002", "B-200", "FRAES02", "03-29T21:00", Some("03-30T03:30"), Some(50.0)),
                run("FA000004", "C-300", "DREH01", "03-30T05:00", Some("03-30T12:30"), Some(80.0)),
            ])
            .collect(),
            differences: (2, 1),
        },
    );
}

#[test]
fn orders_with_english_names_at_mariadb() {
    let server = servers::mariadb();
    server.execute(include_str!("../../fixtures/plant-south.sql"));
    let mut workspace = Workspace::new();
    workspace.env("DB_PASSWORD", &server.password);
    let unchanged = [
        run("PO-1001", "BRKT-01", "CNC-A", "03-28T05:00", Some("03-28T08:30"), Some(120.0)),
        run("PO-1001", "BRKT-01", "CNC-A", "03-28T09:15", Some("03-28T13:00"), Some(200.0)),
        run("PO-0900", "HSG-7", "OVEN-C", "02-27T05:00", None, None),
    ];
    let with = |others: [Run; 2]| unchanged.iter().cloned().chain(others).collect();
    walk(
        &mut workspace,
        &Unknown {
            source: at_server("mariadb", &server),
            table: "production_order",
            look: &[],
            answers: &["--zone=UTC"],
            runs: with([
                run("PO-1002", "LID-22", "PRESS-B", "03-29T21:00", Some("03-30T04:00"), Some(55.0)),
                run("PO-1004", "HSG-7", "CNC-A", "03-30T05:00", None, None),
            ]),
            change: &|| {
                server.execute(
                    "UPDATE production_order SET status = 'finished', actual_end = '2025-03-30 12:30', quantity_good = 80
                       WHERE id = 105;
                     UPDATE production_order SET status = 'cancelled' WHERE id = 103;
                     INSERT INTO production_order VALUES (108, 'PO-1006', 2, 2, 'running', NULL, NULL, '2025-03-30 12:10',
                       NULL, NULL, NULL, '2025-03-30 12:10')",
                );
            },
            runs_later: with([
                run("PO-1004", "HSG-7", "CNC-A", "03-30T05:00", Some("03-30T12:30"), Some(80.0)),
                run("PO-1006", "LID-22", "PRESS-B", "03-30T12:10", None, None),
            ]),
            differences: (2, 1),
        },
    );
}

#[test]
fn orders_of_a_file_with_dates_in_digits() {
    let mut workspace = Workspace::new();
    let file = line_three(&workspace.path("linie3.db"));
    walk(
        &mut workspace,
        &Unknown {
            source: json!({ "type": "sqlite", "path": "linie3.db" }),
            table: "fertigung",
            // Neither its name nor the types of its columns say that it has times.
            look: &["--table=fertigung"],
            answers: &["--zone=Europe/Berlin"],
            runs: vec![
                run("00048001", "T-1", "L3-1", "03-28T05:00", Some("03-28T13:00"), Some(410.0)),
                run("00048002", "T-2", "L3-2", "03-29T21:00", Some("03-30T04:00"), Some(655.0)),
                run("00048003", "T-3", "L3-1", "03-30T05:00", None, None),
            ],
            change: &|| {
                file.execute(
                    "UPDATE fertigung SET ende_datum = '20250330', ende_zeit = '143000', menge_gut = 7 WHERE lfdnr = 103;
                     DELETE FROM fertigung WHERE lfdnr = 101",
                );
            },
            runs_later: vec![
                run("00048002", "T-2", "L3-2", "03-29T21:00", Some("03-30T04:00"), Some(655.0)),
                run("00048003", "T-3", "L3-1", "03-30T05:00", Some("03-30T12:30"), Some(7.0)),
            ],
            differences: (1, 1),
        },
    );
}

/// The file of line 3, open for changes.
fn line_three(path: &Path) -> Plant {
    let file = Plant::new_writer(path);
    file.execute(include_str!("../../fixtures/linie-3.sql"));
    file
}
