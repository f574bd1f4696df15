//! A recording gives a run what the source gave it: the outcome is the same, byte for byte, at every kind of database.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::fs;
use std::path::Path;

use engine::commands::record::{Cut, record, replay};
use engine::commands::test::execute::outcomes;
use engine::fixture::{FixtureSource, Outcomes};
use engine::pipeline::open_source;
use engine::project::Project;
use engine_core::plan::Plan;
use engine_core::ports::Cancel;
use engine_core::recording::{RecordedCell, Recording, Values, anonymise};
use engine_tests::servers::{self, Server};
use jiff::Timestamp;

/// Rows of the table: two that are mapped, one whose order is skipped, one without an order, and one that lasts no time.
const ROWS: usize = 5;
const NOW: &str = "2025-10-27T12:00:00Z";

/// What differs between the databases.
struct Database {
    source: String,
    /// Types of the columns: code, local time, instant, decimal, truth value, date, time, float, bytes, JSON.
    types: [&'static str; 10],
    /// How an instant and bytes are written.
    instant: fn(&str) -> String,
    bytes: &'static str,
}

impl Database {
    fn script(&self) -> String {
        let [code, local, instant, decimal, truth, date, time, float, bytes, json] = self.types;
        let ends: Vec<String> = ["2025-10-26 00:30:00", "2025-10-26 01:30:00"].map(self.instant).to_vec();
        let blob = self.bytes;
        let row = |id: u8, code: &str, from: &str, to: &str| {
            format!(
                "({id}, {code}, '{from}', {to}, 12.500, {truth}, '2025-10-26', '05:06:07', 0.1, {blob}, '{{\"a\": [1.50]}}')",
                truth = if id.is_multiple_of(2) { "false" } else { "true" }
            )
        };
        let rows = [
            row(1, "'0047'", "2025-10-26 00:15:00", &ends[0]),
            row(2, "' 48 '", "2025-10-26 02:15:00.250", &ends[1]),
            row(3, "'SKIP'", "2025-10-26 02:15:00", &ends[1]),
            row(4, "NULL", "2025-10-26 02:15:00", "NULL"),
            row(5, "'Ω'", "2025-10-26 02:30:00", &ends[0]),
        ];
        format!(
            "CREATE TABLE t (id int, code {code}, von {local}, bis {instant}, menge {decimal}, w {truth}, d {date},
                             z {time}, f {float}, x {bytes}, j {json});
             INSERT INTO t VALUES {};",
            rows.join(", ")
        )
    }

    fn spec(&self, folder: &Path) {
        let spec = format!(
            "version: 1
id: acme
source: {{ {source}, timezone: Europe/Berlin }}
table: order
query:
  sql: SELECT id, code, von, bis, menge, w, d, z, f, x, j FROM t ORDER BY id
key: [id]
fields:
  order_code: code
  product_code: {{ value: P }}
  machine_code: {{ value: M1 }}
  start: von
  end: bis
  quantity_total: menge
  attributes: {{ w: w, d: d, z: z, f: f, j: j, x: {{ column: x, default: none }} }}
skip_when: code == 'SKIP'
sync: {{ mode: full }}
destination: {{ type: stdout }}
",
            source = self.source
        );
        fs::write(folder.join("acme.yaml"), spec).unwrap();
    }
}

fn at_server(kind: &str, server: &Server, folder: &Path) -> String {
    fs::write(folder.join("password"), &server.password).unwrap();
    let (port, database, username) = (server.port, &server.database, &server.username);
    let authority = server.ca_file.as_ref().unwrap().display();
    format!(
        "type: {kind}, host: 127.0.0.1, port: {port}, database: {database}, username: {username}, \
         password: {{ file: password }}, tls: {{ mode: verify-full, ca_file: {authority} }}"
    )
}

fn plan(folder: &Path) -> Plan {
    let path = folder.join("acme.yaml").display().to_string();
    let project = Project::open(&[path], None).unwrap_or_else(|error| panic!("{error}"));
    project.plan(&project.specs[0], false).unwrap_or_else(|error| panic!("{error}"))
}

fn is_the_same(folder: &Path) -> (Recording, Outcomes) {
    let (mut plan, now): (Plan, Timestamp) = (plan(folder), NOW.parse().unwrap());
    let cancel = Cancel::default();
    let open = |plan: &Plan| open_source(plan, &cancel);
    let live = record(&mut plan, now, 1_000, &cancel, open).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((live.recording.rows.len(), live.cut), (ROWS, None));
    let text = live.recording.to_text();
    let replayed = replay(&mut plan, &text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(replayed, live.outcomes, "{text}");
    assert_eq!(live.outcomes.runs.len(), 2, "{text}");
    assert_eq!(live.outcomes.rejected.len(), 2, "{text}");
    // A recording that says anything else gives something else.
    let mut changed = live.recording.clone();
    let Values::Cells(cells) = &mut changed.rows[0].values else { panic!("{text}") };
    cells[1] = RecordedCell::Text("0048".to_owned());
    assert_ne!(replay(&mut plan, &changed.to_text()).unwrap_or_else(|error| panic!("{error}")), live.outcomes);
    (live.recording, live.outcomes)
}

#[test]
fn a_recording_of_sqlite_gives_what_the_database_gave() {
    let folder = tempfile::tempdir().unwrap();
    let database = sqlite(folder.path());
    is_the_same(folder.path());
    drop(database);
}

fn sqlite(folder: &Path) -> Database {
    let database = Database {
        source: "type: sqlite, path: mes.db".to_owned(),
        types: ["char(6)", "text", "text", "decimal(12, 3)", "bool", "date", "time", "real", "blob", "json"],
        instant: |text| format!("'{}Z'", text.replace(' ', "T")),
        bytes: "x'00ff'",
    };
    let file = rusqlite::Connection::open(folder.join("mes.db")).unwrap();
    file.execute_batch(&database.script()).unwrap();
    database.spec(folder);
    database
}

#[test]
fn a_recording_of_postgres_gives_what_the_server_gave() {
    let (folder, server) = (tempfile::tempdir().unwrap(), servers::postgres());
    let database = Database {
        source: at_server("postgres", &server, folder.path()),
        types: [
            "char(6)",
            "timestamp",
            "timestamptz",
            "numeric(12, 3)",
            "bool",
            "date",
            "time",
            "float8",
            "bytea",
            "json",
        ],
        instant: |text| format!("'{text}+00'"),
        bytes: r"'\x00ff'",
    };
    server.execute(&database.script());
    database.spec(folder.path());
    let (recording, outcomes) = is_the_same(folder.path());
    let text = recording.to_text();
    for part in
        [r#""Ω"#, r#"{"civil":"2025-10-26T02:15:00.25"}"#, r#"{"instant":"2025-10-26T00:30:00Z"}"#, "00ff", "12.500"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    // The kinds of the columns matter: without them, bytes are no bytes, and an instant is a local time.
    assert_eq!(outcomes.runs[0]["end"], "2025-10-26T00:30:00Z");
}

#[test]
fn a_recording_of_mariadb_gives_what_the_server_gave() {
    let (folder, server) = (tempfile::tempdir().unwrap(), servers::mariadb());
    let database = Database {
        source: at_server("mariadb", &server, folder.path()),
        types: [
            "char(6)",
            "datetime(3)",
            "datetime",
            "decimal(12, 3)",
            "bool",
            "date",
            "time",
            "double",
            "varbinary(8)",
            "text",
        ],
        instant: |text| format!("'{text}'"),
        bytes: "x'00ff'",
    };
    let script = database.script().replace("00:30:00'", "02:30:00'").replace("01:30:00'", "03:30:00'");
    server.execute(&script);
    database.spec(folder.path());
    is_the_same(folder.path());
}

#[test]
fn a_recording_ends_where_it_may_and_so_does_its_run() {
    let folder = tempfile::tempdir().unwrap();
    sqlite(folder.path());
    let (mut plan, cancel) = (plan(folder.path()), Cancel::default());
    let open = |plan: &Plan| open_source(plan, &cancel);
    let cut = record(&mut plan, NOW.parse().unwrap(), 2, &cancel, open).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((cut.recording.rows.len(), cut.cut, cut.report.rows), (2, Some(Cut::Rows), 2));
    let open = |plan: &Plan| open_source(plan, &cancel);
    let whole = record(&mut plan, NOW.parse().unwrap(), ROWS, &cancel, open).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((whole.recording.rows.len(), whole.cut), (ROWS, None));
}

#[test]
fn what_is_replaced_says_nothing_and_maps_as_before() {
    let folder = tempfile::tempdir().unwrap();
    sqlite(folder.path());
    let spec = folder.path().join("acme.yaml");
    let text = fs::read_to_string(&spec).unwrap();
    // A condition keeps its column; without one the orders are replaced.
    fs::write(&spec, text.replace("skip_when: code == 'SKIP'\n", "")).unwrap();
    let (mut plan, cancel) = (plan(folder.path()), Cancel::default());
    let open = |plan: &Plan| open_source(plan, &cancel);
    let live = record(&mut plan, NOW.parse().unwrap(), ROWS, &cancel, open).unwrap_or_else(|error| panic!("{error}"));
    let mut recording = live.recording;
    let said = anonymise(&mut recording, &plan, 7);
    assert_eq!(said.kept, ["id", "von", "bis", "menge", "d", "z", "f"], "{said:?}");
    let text = recording.to_text();
    for secret in ["0047", "SKIP", "48", "Ω", "00ff"] {
        assert!(!text.contains(&format!("\"{secret}\"")) && !text.contains(&format!(" {secret} ")), "{secret}: {text}");
    }
    assert!(text.contains(r#"{"bytes":"0000"}"#), "{text}");
    let source = FixtureSource::recorded(recording);
    let (replaced, _) = outcomes(&mut plan, &source, NOW.parse().unwrap()).unwrap();
    let outcome = |outcomes: &Outcomes| outcomes.seen.iter().map(|(_, outcome, ..)| *outcome).collect::<Vec<_>>();
    assert_eq!(outcome(&replaced), outcome(&live.outcomes));
    assert_eq!(replaced.runs[0]["start"], live.outcomes.runs[0]["start"]);
    assert_ne!(replaced.runs[0]["order_code"], live.outcomes.runs[0]["order_code"]);
}
