//! The specs that come with the engine: that they are valid, that their own tests pass, and that a whole run of each
//! does what its comments promise.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use engine_tests::binary::{Workspace, root};
use engine_tests::platform::Platform;
use engine_tests::servers::{self, Server};
use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use serde_json::Value;

/// Account and password that the fixtures create: it may read the tables of the spec and nothing else.
const READER: (&str, &str) = ("engine_reader", "reader-canary");

fn specs() -> PathBuf {
    root().join("specs")
}

/// The YAML files of a folder and the folders in it.
fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.append(&mut yaml_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// A workspace with a copy of one folder of specs.
fn copy_of(name: &str) -> Workspace {
    let workspace = Workspace::new();
    copy(&workspace, name);
    workspace
}

fn copy(workspace: &Workspace, name: &str) {
    for entry in std::fs::read_dir(specs().join(name)).expect("the folder is readable").flatten() {
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            copy(workspace, &name);
            continue;
        }
        let path =
            workspace.write(&format!("specs/{name}"), std::fs::read(entry.path()).expect("the file is readable"));
        settle(&path);
    }
}

/// As if the file had been written an hour ago: a source reads files that have stopped growing.
fn settle(path: &Path) {
    let file = std::fs::File::options().append(true).open(path).expect("the file is there");
    file.set_modified(SystemTime::now() - Duration::from_secs(3_600)).expect("the file is ours");
}

/// The runs that stand at a destination, as it sees them: by id, in words.
#[derive(Default)]
struct Runs {
    standing: BTreeMap<String, String>,
}

impl Runs {
    /// Applies deliveries, and says what they changed: `+` new, `~` changed under its id, `-` gone, `=` sent in vain.
    fn apply<'a>(&mut self, records: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Vec<String> {
        let mut changes: Vec<String> =
            records.into_iter().map(|(pipeline, record)| self.one(pipeline, record)).collect();
        changes.sort();
        changes
    }

    fn one(&mut self, pipeline: &str, record: &Value) -> String {
        let id = record["run_id"].as_str().expect("a record has an id").to_owned();
        if record["op"] == "delete" {
            let gone = self.standing.remove(&id).unwrap_or_else(|| panic!("{id} is deleted, and never was"));
            return format!("- {gone}");
        }
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        let mut words = format!("{pipeline} {}", text("production_order"));
        words += &format!(" on {} {}..{}", text("machine_code"), text("start"), text("end"));
        for name in ["quantity_total", "quantity_yield"] {
            if let Some(quantity) = record.get(name) {
                words += &format!(" {quantity}");
            }
        }
        match self.standing.insert(id, words.clone()) {
            None => format!("+ {words}"),
            Some(before) if before == words => format!("= {words}"),
            Some(_) => format!("~ {words}"),
        }
    }
}

// ------------------------------------------------------------------------------------------- all specs

#[test]
fn every_spec_is_valid_and_warns_of_nothing() {
    let folder = specs().display().to_string();
    let files = yaml_files(&specs()).len();
    Workspace::new()
        .engine(&["validate-spec", &folder])
        .expect(0)
        .says(&format!("{files} files: 0 errors, 0 warnings"));
}

#[test]
fn every_spec_has_tests_and_they_pass() {
    let outcome = Workspace::new().engine(&["test", &specs().display().to_string(), "-o", "json"]).expect(0);
    let results = outcome.json();
    let results = results.as_array().expect("a list of results");
    for file in yaml_files(&specs()) {
        let of_file = results.iter().filter(|result| Path::new(result["spec"].as_str().unwrap_or_default()) == file);
        assert!(of_file.count() > 0, "{} has no tests", file.display());
    }
}

/// Editors complete a spec from the schema that its first line names.
#[test]
fn every_spec_names_its_schema() {
    for file in yaml_files(&specs()) {
        let text = std::fs::read_to_string(&file).expect("the file is readable");
        let named = text.strip_prefix("# yaml-language-server: $schema=").and_then(|rest| rest.lines().next());
        let named = named.unwrap_or_else(|| panic!("{} does not begin with its schema", file.display()));
        let schema = file.parent().expect("a file lies in a folder").join(named);
        let schema = schema.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", schema.display()));
        assert_eq!(schema, root().canonicalize().expect("it exists").join("schemas/pipeline.schema.json"));
    }
}

// ------------------------------------------------------------------------------------------------ demo

/// The schema and the rows of a database, in words.
fn dump(database: &Connection) -> Vec<String> {
    let lines = |sql: &str| -> Vec<String> {
        let mut statement = database.prepare(sql).expect("the statement is right");
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let cells: rusqlite::Result<Vec<Cell>> = (0..columns).map(|place| row.get(place)).collect();
            cells.map(|cells| format!("{cells:?}"))
        };
        statement.query_map([], row).expect("it reads").collect::<Result<_, _>>().expect("it reads")
    };
    let mut all = lines("SELECT type, name, sql FROM sqlite_schema ORDER BY name");
    for table in ["bde_buchung", "auftrag"] {
        all.extend(lines(&format!("SELECT * FROM {table} ORDER BY 1")));
    }
    all
}

#[test]
fn the_demo_database_is_what_its_sql_makes() {
    let demo = specs().join("demo");
    let made = Connection::open_in_memory().expect("memory");
    let sql = std::fs::read_to_string(demo.join("mes.sql")).expect("the file is readable");
    made.execute_batch(&sql).expect("the SQL is right");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let kept = Connection::open_with_flags(demo.join("mes.db"), flags).expect("the file is a database");
    assert_eq!(dump(&kept), dump(&made), "rm specs/demo/mes.db && sqlite3 specs/demo/mes.db < specs/demo/mes.sql");
}

/// One run of the demo: what it sent, and what it said of itself.
fn run_demo(workspace: &Workspace, runs: &mut Runs) -> (Vec<String>, BTreeMap<String, String>) {
    run_folder(workspace, "specs/demo", runs)
}

/// One run of a folder of specs that deliver to standard output.
fn run_folder(workspace: &Workspace, folder: &str, runs: &mut Runs) -> (Vec<String>, BTreeMap<String, String>) {
    let outcome = workspace.engine(&["run", "--once", folder]).expect(0);
    let records: Vec<Value> =
        outcome.stdout.lines().map(|line| serde_json::from_str(line).expect("a line is a record")).collect();
    let changes = runs.apply(records.iter().map(|record| (record["pipeline"].as_str().unwrap_or_default(), record)));
    let said = outcome.events("run_finished").into_iter().map(|event| {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        (text("pipeline"), text("message"))
    });
    (changes, said.collect())
}

#[test]
fn the_demo_sends_its_runs_once_and_then_what_changed() {
    let workspace = copy_of("demo");
    let mut runs = Runs::default();
    let (changes, said) = run_demo(&workspace, &mut runs);
    assert_eq!(
        changes,
        [
            "+ demo-bookings 47110010 on M1 2025-03-29T21:00:00Z..2025-03-30T00:59:00Z 410",
            "+ demo-bookings 47110010 on M1 2025-03-30T01:00:00Z..2025-03-30T07:00:00Z 655",
            "+ demo-bookings 47110020 on M1 2025-03-30T07:00:00Z..2025-03-30T10:30:00Z 320",
            "+ demo-bookings 47110030 on M2 2025-03-30T01:30:00Z..2025-03-30T06:00:00Z 96",
            "+ demo-bookings 47110040 on M2 2025-03-31T04:00:00Z..2025-03-31T14:45:00Z 224",
            "+ demo-bookings 47110050 on M3 2025-03-31T04:00:00Z..2025-03-31T10:00:00Z",
            "+ demo-bookings 47110060 on M3 2025-03-31T10:00:00Z..2025-03-31T12:00:00Z 88",
            "+ demo-bookings 47110080 on M1 2025-04-01T04:00:00Z..",
            "+ demo-orders FA-2025-0311 on P1 2025-03-31T04:00:00Z..2025-03-31T11:55:00Z 5200",
            "+ demo-orders FA-2025-0312 on P1 2025-03-31T20:00:00Z..2025-04-01T03:45:00Z 6100",
            "+ demo-orders FA-2025-0313 on P2 2025-03-31T06:00:00Z..2025-03-31T10:00:00Z 1250.5",
            "+ demo-orders FA-2025-0314 on P2 2025-04-01T04:00:00Z.. 300",
        ]
    );
    assert!(said["demo-bookings"].contains("2 rejected (1 unknown_machine, 1 unmapped)"), "{said:?}");
    assert!(said["demo-bookings"].contains("1 time_gap_moved"), "{said:?}");
    assert!(said["demo-orders"].contains("1 rejected (1 unknown_machine)"), "{said:?}");

    let (changes, said) = run_demo(&workspace, &mut runs);
    assert_eq!(changes, [""; 0]);
    assert!(said.values().all(|said| said.contains("nothing changed")), "{said:?}");

    let changing = Connection::open(workspace.path("specs/demo/mes.db")).expect("the copy is a database");
    changing.execute_batch(&workspace.read("specs/demo/changes.sql")).expect("the SQL is right");
    let (changes, _) = run_demo(&workspace, &mut runs);
    assert_eq!(
        changes,
        [
            "+ demo-bookings 47110090 on M1 2025-04-01T12:05:00Z..",
            "- demo-bookings 47110030 on M2 2025-03-30T01:30:00Z..2025-03-30T06:00:00Z 96",
            "~ demo-bookings 47110020 on M1 2025-03-30T07:00:00Z..2025-03-30T10:20:00Z 320",
            "~ demo-bookings 47110050 on M3 2025-03-31T04:00:00Z..2025-03-31T09:30:00Z 60",
            "~ demo-bookings 47110080 on M1 2025-04-01T04:00:00Z..2025-04-01T12:00:00Z 130",
            "~ demo-orders FA-2025-0311 on P1 2025-03-31T04:00:00Z..2025-03-31T11:55:00Z 5180",
            "~ demo-orders FA-2025-0314 on P2 2025-04-01T04:00:00Z..2025-04-01T12:15:00Z 980",
        ]
    );
}

#[test]
fn a_machine_that_is_added_to_the_map_heals_its_rows() {
    let workspace = copy_of("demo");
    let mut runs = Runs::default();
    run_demo(&workspace, &mut runs);
    let machines = workspace.read("specs/demo/machines.csv") + "P7,0d8e2a67-41c9-4b5f-8e0a-95d3c7f1b2a6\n";
    workspace.write("specs/demo/machines.csv", machines);
    let (changes, said) = run_demo(&workspace, &mut runs);
    assert_eq!(changes, ["+ demo-orders FA-2025-0315 on P7 2025-04-01T04:00:00Z..2025-04-01T08:00:00Z 900"]);
    assert!(!said["demo-orders"].contains("rejected"), "{said:?}");
}

// ---------------------------------------------------------------------------------------- csv export

#[test]
fn the_csv_export_sends_its_orders_once_and_then_what_a_new_file_changes() {
    let workspace = copy_of("csv-export");
    let mut runs = Runs::default();
    let (changes, said) = run_folder(&workspace, "specs/csv-export", &mut runs);
    assert_eq!(
        changes,
        [
            "+ csv-export-orders FA-1001 on P1 2025-03-28T05:00:00Z..2025-03-28T12:40:00Z 412.5",
            "+ csv-export-orders FA-1002 on P2 2025-03-28T05:15:00Z..2025-03-28T10:30:00Z 1250",
            "+ csv-export-orders FA-1003 on P1 2025-03-28T13:00:00Z..2025-03-28T20:50:00Z 388.25",
            "+ csv-export-orders FA-1004 on P3 2025-03-29T05:00:00Z..2025-03-29T11:00:00Z 90",
            "+ csv-export-orders FA-1006 on P2 2025-03-29T21:00:00Z..",
        ]
    );
    assert!(said["csv-export-orders"].contains("1 rejected (1 line_unreadable)"), "{said:?}");
    workspace
        .engine(&["preview", "-o", "json", "specs/csv-export"])
        .expect(0)
        .says("Gehäuse groß")
        .says("orders-2025-03-29.csv line 4: 10 fields where the header has 9");
    let (changes, said) = run_folder(&workspace, "specs/csv-export", &mut runs);
    assert_eq!(changes, [""; 0]);
    assert!(said["csv-export-orders"].contains("nothing changed"), "{said:?}");

    let header = "Auftrag;Artikel;Bezeichnung;Maschine;Start;Ende;Gutmenge;Ausschuss;Einheit\r\n";
    let lines = "FA-1005;K-340;\"B\u{fc}gel; verzinkt\";P3;29.03.2025 12:30;29.03.2025 18:00;75;2;Stk\r\n\
                 FA-1006;K-210;;P2;29.03.2025 22:00;30.03.2025 05:15;640,5;4;Stk\r\n";
    // The characters of windows-1252 that stand at the same place in Unicode.
    let bytes: Vec<u8> = format!("{header}{lines}").chars().map(|char| char as u8).collect();
    settle(&workspace.write("specs/csv-export/export/orders-2025-03-30.csv", bytes));
    let (changes, _) = run_folder(&workspace, "specs/csv-export", &mut runs);
    assert_eq!(
        changes,
        [
            "+ csv-export-orders FA-1005 on P3 2025-03-29T11:30:00Z..2025-03-29T17:00:00Z 75",
            "~ csv-export-orders FA-1006 on P2 2025-03-29T21:00:00Z..2025-03-30T03:15:00Z 640.5",
        ]
    );
}

// -------------------------------------------------------------------------------------- worked specs

/// A folder of specs that reads a real server and delivers to a platform.
struct Bench {
    workspace: Workspace,
    folder: String,
    server: Server,
    platform: Platform,
    delivered: usize,
    runs: Runs,
}

impl Bench {
    fn new(folder: &str, server: Server, variables: &str, fixture: &str) -> Self {
        let mut workspace = copy_of(folder);
        let platform = Platform::start();
        let port = server.port.to_string();
        let account = [
            ("HOST", server.host.as_str()),
            ("PORT", port.as_str()),
            ("NAME", server.database.as_str()),
            ("USER", READER.0),
            ("PASSWORD", READER.1),
        ];
        for (name, value) in account {
            workspace.env(&format!("{variables}_{name}"), value);
        }
        workspace.env("ENLYZE_URL", platform.url().trim_end_matches("/deliveries")).env("ENLYZE_TOKEN", "token-canary");
        platform.require_header("authorization", "Bearer token-canary");
        let sql = std::fs::read_to_string(root().join("tests/fixtures").join(fixture)).expect("the file is readable");
        server.execute(&sql);
        Self { workspace, folder: format!("specs/{folder}"), server, platform, delivered: 0, runs: Runs::default() }
    }

    /// Runs every spec once, and checks what that changes at the platform.
    #[track_caller]
    fn run(&mut self, now: &str, expected: &[&str]) {
        let outcome = self.workspace.engine(&["run", "--once", &self.folder, "--now", now]).expect(0);
        let requests = self.platform.requests().split_off(self.delivered);
        self.delivered += requests.len();
        let records = requests.iter().flat_map(|request| {
            let pipeline = request.body["pipeline"].as_str().unwrap_or_default();
            request.body["records"].as_array().into_iter().flatten().map(move |record| (pipeline, record))
        });
        assert_eq!(self.runs.apply(records), expected, "{outcome}");
        self.platform.assert_contract();
    }

    /// Changes the source, runs, and checks what that changes at the platform.
    #[track_caller]
    fn change(&mut self, sql: &str, now: &str, expected: &[&str]) {
        self.server.execute(sql);
        self.run(now, expected);
    }
}

#[test]
fn odoo_splits_overruns_reopens_unlinks_and_cancels() {
    let mut bench = Bench::new("odoo", servers::postgres(), "ODOO_DB", "odoo.sql");
    bench.run(
        "2025-03-31T12:00:00Z",
        &[
            "+ odoo-orders WH/MO/00001 on ASM-1 2025-03-31T06:00:00Z..2025-03-31T08:30:00Z 12",
            "+ odoo-orders WH/MO/00002 on Drill Station 1 2025-03-31T07:00:00Z.. 0",
            "+ odoo-orders WH/MO/00004 on ASM-1 2025-02-03T06:00:00Z.. 31",
            "+ odoo-productivity WH/MO/00001 on ASM-1 2025-03-31T06:00:00Z..2025-03-31T08:30:00Z",
            "+ odoo-productivity WH/MO/00002 on Drill Station 1 2025-03-31T07:00:00Z..",
            "+ odoo-productivity WH/MO/00004 on ASM-1 2025-02-03T06:00:00Z..",
        ],
    );
    bench.run("2025-03-31T12:05:00Z", &[]);
    // A split renames the order that runs, and gives the rest to a new one that has not begun.
    bench.change(
        "UPDATE mrp_production SET name = 'WH/MO/00002-001', backorder_sequence = 1, product_qty = 25 WHERE id = 2;
         INSERT INTO mrp_production (name, state, product_id, product_qty, product_uom_id, date_start, date_finished,
                                     backorder_sequence, company_id)
         VALUES ('WH/MO/00002-002', 'confirmed', 11, 15, 1, '2025-03-31 07:00', '2025-03-31 15:00', 2, 1);
         INSERT INTO mrp_workorder (name, production_id, workcenter_id, state, date_start, date_finished)
         VALUES ('Drill', 6, 2, 'ready', '2025-03-31 09:00', '2025-03-31 10:00');",
        "2025-03-31T12:10:00Z",
        &[
            "~ odoo-orders WH/MO/00002-001 on Drill Station 1 2025-03-31T07:00:00Z.. 0",
            "~ odoo-productivity WH/MO/00002-001 on Drill Station 1 2025-03-31T07:00:00Z..",
        ],
    );
    // Closed after more than the expected two hours: the running row ends in the past, a new one holds the rest.
    bench.change(
        "UPDATE mrp_workorder SET state = 'done', date_finished = '2025-03-31 10:15', qty_produced = 25 WHERE id = 2;
         UPDATE mrp_workcenter_productivity SET date_end = '2025-03-31 09:00' WHERE id = 3;
         INSERT INTO mrp_workcenter_productivity (workcenter_id, company_id, workorder_id, user_id, loss_id, date_start,
                                                  date_end)
         VALUES (2, 1, 2, 6, 4, '2025-03-31 09:00', '2025-03-31 10:15');",
        "2025-03-31T12:15:00Z",
        &[
            "~ odoo-orders WH/MO/00002-001 on Drill Station 1 2025-03-31T07:00:00Z..2025-03-31T10:15:00Z 25",
            "~ odoo-productivity WH/MO/00002-001 on Drill Station 1 2025-03-31T07:00:00Z..2025-03-31T10:15:00Z",
        ],
    );
    bench.change(
        "UPDATE mrp_workorder SET state = 'progress' WHERE id = 2;",
        "2025-03-31T12:20:00Z",
        &["~ odoo-orders WH/MO/00002-001 on Drill Station 1 2025-03-31T07:00:00Z.. 25"],
    );
    // One of two operators was booked by mistake.
    bench.change(
        "DELETE FROM mrp_workcenter_productivity WHERE id = 2;",
        "2025-03-31T12:25:00Z",
        &["~ odoo-productivity WH/MO/00001 on ASM-1 2025-03-31T06:00:00Z..2025-03-31T08:00:00Z"],
    );
    // Cancelled while it ran, and begun long before the window.
    bench.change(
        "UPDATE mrp_production SET state = 'cancel' WHERE id = 4; UPDATE mrp_workorder SET state = 'cancel' WHERE id = 5;",
        "2025-03-31T12:30:00Z",
        &[
            "- odoo-orders WH/MO/00004 on ASM-1 2025-02-03T06:00:00Z.. 31",
            "- odoo-productivity WH/MO/00004 on ASM-1 2025-02-03T06:00:00Z..",
        ],
    );
    bench.run("2025-03-31T12:35:00Z", &[]);
}

#[test]
fn erpnext_resumes_removes_cancels_and_amends() {
    let mut bench = Bench::new("erpnext", servers::mariadb(), "ERPNEXT_DB", "erpnext.sql");
    bench.run(
        "2025-03-31T12:00:00Z",
        &[
            "+ erpnext-time-logs MFG-WO-2025-00001 on CNC-1 2025-03-31T04:00:00Z..2025-03-31T06:30:30.25Z 35.5",
            "+ erpnext-time-logs MFG-WO-2025-00002 on CNC-2 2025-03-31T05:00:00Z..2025-03-31T06:00:00Z 120",
            "+ erpnext-time-logs MFG-WO-2025-00002 on CNC-2 2025-03-31T07:00:00Z.. 0",
        ],
    );
    bench.run("2025-03-31T12:05:00Z", &[]);
    // On hold, and resumed after three minutes: still one run.
    bench.change(
        "UPDATE `tabJob Card Time Log` SET to_time = '2025-03-31 11:00:00', completed_qty = 200 WHERE name = 'c3e8810b7f';
         INSERT INTO `tabJob Card Time Log` (name, idx, parent, parentfield, parenttype, employee, from_time)
         VALUES ('91d7f3b05c', 4, 'PO-JOB00002', 'time_logs', 'Job Card', 'HR-EMP-00003', '2025-03-31 11:03:00');",
        "2025-03-31T12:10:00Z",
        &["~ erpnext-time-logs MFG-WO-2025-00002 on CNC-2 2025-03-31T07:00:00Z.. 200"],
    );
    bench.change(
        "DELETE FROM `tabJob Card Time Log` WHERE name = '0b77e91a52';",
        "2025-03-31T12:15:00Z",
        &["~ erpnext-time-logs MFG-WO-2025-00001 on CNC-1 2025-03-31T04:00:00Z..2025-03-31T06:00:00Z 20"],
    );
    // Cancelled, and amended: the document of the same work order has a new name and new rows.
    bench.change(
        "UPDATE `tabJob Card` SET docstatus = 2, status = 'Cancelled' WHERE name = 'PO-JOB00001';
         UPDATE `tabJob Card Time Log` SET docstatus = 2 WHERE parent = 'PO-JOB00001';
         INSERT INTO `tabJob Card` (name, docstatus, work_order, operation, workstation, production_item, item_name, company,
                                    status, amended_from)
         VALUES ('PO-JOB00001-1', 1, 'MFG-WO-2025-00001', 'Fräsen', 'CNC-1', 'WELLE-40', 'Welle 40 mm', 'Beispiel GmbH',
                 'Completed', 'PO-JOB00001');
         INSERT INTO `tabJob Card Time Log` (name, docstatus, idx, parent, parentfield, parenttype, employee, from_time,
                                             to_time, completed_qty)
         VALUES ('2e6fa98d41', 1, 1, 'PO-JOB00001-1', 'time_logs', 'Job Card', 'HR-EMP-00001', '2025-03-31 06:10:00',
                 '2025-03-31 08:20:00', 34);",
        "2025-03-31T12:20:00Z",
        &[
            "+ erpnext-time-logs MFG-WO-2025-00001 on CNC-1 2025-03-31T04:10:00Z..2025-03-31T06:20:00Z 34",
            "- erpnext-time-logs MFG-WO-2025-00001 on CNC-1 2025-03-31T04:00:00Z..2025-03-31T06:00:00Z 20",
        ],
    );
    bench.run("2025-03-31T12:25:00Z", &[]);
}
