//! Folders of CSV files, through the built program: files that come, grow, are corrected, broken and taken away.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::time::{Duration, SystemTime};

use engine_tests::binary::{Outcome, Workspace, await_that};
use engine_tests::plant::{self, NOW, Plant};
use serde_json::{Value, json};

/// Lines of the file that is read for its size.
const MANY_ROWS: u64 = 200_000;
/// Memory that a run over them may take: keys and hashes of all rows, and batches of them.
const MEMORY_MAX_KIB: u64 = 256 << 10;
/// The line that names the columns of orders.
const HEADER: &str = "id;anr;artnr;mnr;von;bis;menge\n";

/// A workspace with a folder `in` and a spec that reads it into the file `runs.ndjson`.
struct Site {
    workspace: Workspace,
    spec: Value,
    now: String,
}

impl Site {
    fn orders() -> Self {
        Self::of(plant::orders("acme", &plant::to_file("runs.ndjson")))
    }

    fn of(mut spec: Value) -> Self {
        let workspace = Workspace::new();
        std::fs::create_dir(workspace.path("in")).expect("the folder is writable");
        spec.as_object_mut().expect("a spec is a map").remove("query");
        spec["source"] =
            json!({ "type": "csv", "path": "in", "delimiter": ";", "decimal": ",", "timezone": "Europe/Berlin" });
        Self { workspace, spec, now: NOW.to_owned() }
    }

    fn with(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.spec);
        self
    }

    /// Writes a file that has stopped growing long ago.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.workspace.write(&format!("in/{name}"), content);
        settle(&File::options().append(true).open(path).expect("it was written"));
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.workspace.path(&format!("in/{name}"))).expect("it was written");
    }

    fn once(&self) -> Outcome {
        self.workspace.spec("acme.yaml", &self.spec);
        self.workspace.engine(&["run", "--once", "--now", &self.now, "acme.yaml"])
    }

    /// Runs once, and expects that all goes well: new, changed, gone and rejected rows.
    #[track_caller]
    fn well(&self) -> [u64; 4] {
        let outcome = self.once().expect(0);
        let event = &outcome.events("run_finished")[0];
        ["new", "changed", "gone", "rejected"].map(|name| event[name].as_u64().expect("a count"))
    }

    /// The runs that stand at the destination: order and quantity, by order.
    fn standing(&self) -> Vec<String> {
        let mut runs = BTreeMap::new();
        for record in self.workspace.lines("runs.ndjson") {
            let id = record["run_id"].as_str().expect("a record has an id").to_owned();
            match record["op"].as_str() {
                Some("delete") => _ = runs.remove(&id),
                _ => _ = runs.insert(id, format!("{} {}", record["production_order"], record["quantity_total"])),
            }
        }
        let mut standing: Vec<String> = runs.into_values().map(|run| run.replace('"', "")).collect();
        standing.sort();
        standing
    }
}

/// As if it had been written an hour ago.
fn settle(file: &File) {
    file.set_modified(SystemTime::now() - Duration::from_secs(3_600)).expect("the file is ours");
}

/// A line of an order on the day of March.
fn order(id: u64, day: u32, quantity: &str) -> String {
    format!("{id};A{id};p;M{id};2025-03-{day:02} 06:00:00;2025-03-{day:02} 07:00:00;{quantity}\n")
}

fn file(lines: &[String]) -> String {
    HEADER.to_owned() + &lines.concat()
}

#[test]
fn a_corrected_file_replaces_its_rows() {
    let site = Site::orders();
    site.write("a-28.csv", file(&[order(1, 28, "1,5"), order(2, 28, "2"), order(3, 28, "3")]));
    site.write("a-29.csv", file(&[order(4, 29, "4")]));
    assert_eq!(site.well(), [4, 0, 0, 0]);
    assert_eq!(site.standing(), ["A1 1.5", "A2 2", "A3 3", "A4 4"]);
    assert_eq!(site.well(), [0, 0, 0, 0]);
    site.write("a-28.csv", file(&[order(1, 28, "1,75"), order(3, 28, "3"), order(5, 28, "5")]));
    assert_eq!(site.well(), [1, 1, 1, 0]);
    assert_eq!(site.standing(), ["A1 1.75", "A3 3", "A4 4", "A5 5"]);
}

#[test]
fn the_newest_file_says_what_a_row_is() {
    let site = Site::orders();
    site.write("a-9.csv", file(&[order(1, 28, "1"), order(2, 28, "2")]));
    site.write("a-10.csv", file(&[order(1, 28, "10")]));
    assert_eq!(site.well(), [2, 0, 0, 0]);
    assert_eq!(site.standing(), ["A1 10", "A2 2"]);
    assert_eq!(site.well(), [0, 0, 0, 0], "an older version changes nothing");
    site.remove("a-10.csv");
    assert_eq!(site.well(), [0, 1, 0, 0]);
    assert_eq!(site.standing(), ["A1 1", "A2 2"]);
    // Within one file, two rows with one key are a conflict.
    site.write("a-11.csv", file(&[order(7, 28, "1"), order(7, 28, "2")]));
    assert_eq!(site.well(), [1, 0, 0, 1]);
    assert_eq!(site.standing(), ["A1 1", "A2 2"]);
}

#[test]
fn the_newest_file_takes_a_rejection_and_a_row_back() {
    let site = Site::orders().with(|spec| spec["skip_when"] = "anr == 'storno'".into());
    site.write("a-28.csv", file(&[order(1, 28, "one"), order(2, 28, "2")]));
    assert_eq!(site.well(), [1, 0, 0, 1]);
    site.write("a-29.csv", file(&[order(1, 28, "1"), order(2, 28, "2").replace("A2", "storno")]));
    assert_eq!(site.well(), [1, 0, 1, 0]);
    assert_eq!(site.standing(), ["A1 1"]);
    // What is refused stays as it was delivered, rather than what an older file says.
    site.write("a-30.csv", file(&[order(1, 28, "1 or 2"), order(3, 28, "3")]));
    site.write("a-28.csv", file(&[order(1, 28, "28"), order(3, 28, "28")]));
    assert_eq!(site.well(), [1, 0, 0, 1]);
    assert_eq!(site.standing(), ["A1 1", "A3 3"]);
}

#[test]
fn a_file_that_is_taken_away_deletes_what_lies_in_the_window() {
    let site = Site::orders().with(|spec| spec["sync"] = json!({ "lookback": "10d" }));
    site.write("a-01.csv", file(&[order(1, 1, "1")]));
    site.write("a-28.csv", file(&[order(2, 28, "2")]));
    site.write("a-29.csv", file(&(100..140).map(|id| order(id, 29, "7")).collect::<Vec<_>>()));
    assert_eq!(site.well(), [42, 0, 0, 0], "rows before the window are compared like the others");
    site.remove("a-01.csv");
    site.remove("a-28.csv");
    assert_eq!(site.well(), [0, 0, 1, 0]);
    assert_eq!(site.standing().len(), 41);
    site.remove("a-29.csv");
    site.write("a-30.csv", file(&[order(3, 29, "3")]));
    site.once().expect(1).says("would be deleted");
    assert_eq!(site.standing().len(), 41);
}

#[test]
fn an_empty_folder_deletes_nothing() {
    let site = Site::orders();
    assert_eq!(site.well(), [0, 0, 0, 0]);
    site.write("a.csv", file(&[order(1, 28, "1")]));
    site.well();
    site.remove("a.csv");
    site.once().expect(1).says("the result is empty");
    std::fs::remove_dir(site.workspace.path("in")).expect("the folder is empty");
    site.once().expect(3).says("source.path");
    assert_eq!(site.standing(), ["A1 1"]);
}

#[test]
fn the_first_fill_reads_the_files_once() {
    let site =
        Site::orders().with(|spec| spec["sync"] = json!({ "lookback": "2d", "start": "2025-01-01", "slice": "1d" }));
    site.write("a.csv", file(&[order(1, 1, "1"), order(2, 28, "2")]));
    let outcome = site.once().expect(0);
    assert_eq!(outcome.events("run_finished")[0]["rows"], 2);
    assert_eq!(site.standing().len(), 2);
}

#[test]
fn a_broken_line_is_rejected_under_its_file_and_line() {
    let site = Site::orders().with(|spec| spec["source"]["encoding"] = "utf-8".into());
    let text = [
        file(&[order(1, 28, "1")]).into_bytes(),
        b"2;A2;p\n".to_vec(),
        b"3;A\xe4;p;M3;2025-03-28 06:00:00;;3\n".to_vec(),
        order(4, 28, "4").into_bytes(),
        b"5;\"A5;p;M5;2025-03-28 06:00:00;;5\n".to_vec(),
        order(6, 28, "6").into_bytes(),
    ];
    site.write("a-28.csv", text.concat());
    assert_eq!(site.well(), [3, 0, 0, 3]);
    assert_eq!(site.standing(), ["A1 1", "A4 4", "A6 6"]);
    let preview = site.workspace.engine(&["preview", "--now", &site.now, "-o", "json", "acme.yaml"]).expect(0).json();
    let rejected = preview[0]["rejected"].as_array().expect("a list");
    let reasons: Vec<&str> = rejected.iter().map(|row| row["reason"].as_str().expect("a reason")).collect();
    for (reason, part) in reasons.iter().zip([
        "a-28.csv line 3: 3 fields where the header has 7",
        "a-28.csv line 4: the text is not UTF-8",
        "a-28.csv line 6: a quote is opened and not closed",
    ]) {
        assert!(reason.contains(part), "{reason}");
        assert_eq!(reason.matches("a-28.csv").count(), 1, "{reason}");
    }
    // What cannot be read may be any row: nothing is gone until it is corrected.
    site.write("a-28.csv", [file(&[order(4, 28, "4")]), "2;A2;p\n".to_owned()].concat());
    assert_eq!(site.well(), [0, 0, 0, 1]);
    site.write("a-28.csv", file(&[order(2, 28, "2"), order(4, 28, "4")]));
    assert_eq!(site.well(), [1, 0, 2, 0]);
    assert_eq!(site.standing(), ["A2 2", "A4 4"]);
}

/// A file that is written while runs go by: its rows come when it has stopped growing, whole, and nothing is gone
/// meanwhile.
#[test]
fn a_file_that_grows_is_read_when_it_has_stopped() {
    let site = Site::orders();
    site.write("a-28.csv", file(&[order(1, 28, "1"), order(2, 28, "2"), order(9, 28, "?")]));
    assert_eq!(site.well(), [2, 0, 0, 1]);
    let quarantined = || site.workspace.engine(&["status", "-o", "json"]).expect(0).json()[0]["quarantine"].clone();
    assert_eq!(quarantined(), 1);
    // The export writes the file of the day anew, a piece at a time, and cuts numbers in two.
    let text = file(&[order(1, 28, "1"), order(3, 28, "1234")]);
    let path = site.workspace.path("in/a-28.csv");
    let mut growing = File::create(&path).expect("the folder is writable");
    for piece in text.as_bytes().chunks(text.len() / 3 + 1) {
        growing.write_all(piece).expect("the folder is writable");
        growing.sync_all().expect("the folder is writable");
        let outcome = site.once().expect(0).says("may still grow and is left for the next run: a-28.csv");
        assert_eq!(outcome.events("run_finished")[0]["gone"], 0, "{outcome}");
        assert_eq!(site.standing(), ["A1 1", "A2 2"]);
        assert_eq!(quarantined(), 1);
    }
    settle(&growing);
    assert_eq!(site.well(), [1, 0, 1, 0]);
    assert_eq!(quarantined(), 0);
    assert_eq!(site.standing(), ["A1 1", "A3 1234"]);
}

#[test]
fn files_are_only_read() {
    let site = Site::orders();
    site.write("a.csv", file(&[order(1, 28, "1")]));
    let path = site.workspace.path("in/a.csv");
    let before = std::fs::metadata(&path).expect("it is there").modified().expect("a time");
    let mut rights = std::fs::metadata(site.workspace.path("in")).expect("it is there").permissions();
    rights.set_readonly(true);
    std::fs::set_permissions(site.workspace.path("in"), rights.clone()).expect("the folder is ours");
    assert_eq!(site.well(), [1, 0, 0, 0]);
    #[expect(clippy::permissions_set_readonly_false, reason = "the folder is removed after the test")]
    rights.set_readonly(false);
    std::fs::set_permissions(site.workspace.path("in"), rights).expect("the folder is ours");
    assert_eq!(std::fs::metadata(&path).expect("it is there").modified().expect("a time"), before);
    let names = std::fs::read_dir(site.workspace.path("in")).expect("it is there").count();
    assert_eq!(names, 1);
}

/// The same bookings, from a database and from files of three days: what is delivered is the same to the byte.
#[test]
fn bookings_of_files_and_of_a_database_make_the_same_runs() {
    let site = Site::of(plant::bookings("acme", &plant::to_file("runs.ndjson")));
    let database = Workspace::new();
    let plant = Plant::new(&database.path("mes.db"));
    let mut id = 0;
    for day in 26..29 {
        let mut lines = "id;anr;artnr;mnr;kenn;zeit\r\n".to_owned();
        for hour in 0..24 {
            for (minute, event) in [(5, "A"), (50, if hour % 5 == 0 { "A" } else { "E" })] {
                id += 1;
                let (machine, order) = (hour % 3, hour % 4);
                let at = format!("2025-03-{day} {hour:02}:{minute:02}:00");
                plant.execute(&format!(
                    "INSERT INTO buchung VALUES ({id}, '00{order}', 'Ä-1', 'M{machine}', '{event}', '{at}')"
                ));
                lines += &format!("{id};00{order};\"Ä-1\";M{machine};{event};{at}\r\n");
            }
        }
        site.write(&format!("b-{day}.csv"), lines);
    }
    assert_eq!(site.well()[0], id);
    let spec = plant::bookings("acme", &plant::to_file("runs.ndjson"));
    database.spec("acme.yaml", &spec);
    database.engine(&["run", "--once", "--now", NOW, "acme.yaml"]).expect(0);
    let delivered = site.workspace.read("runs.ndjson");
    assert!(delivered.lines().count() > 30, "{delivered}");
    assert_eq!(delivered, database.read("runs.ndjson"));
}

#[test]
fn many_rows_take_little_memory() {
    let site = Site::orders().with(|spec| {
        spec["schedule"] = json!({ "every": "1s" });
        spec["sync"] = json!({ "mode": "full" });
    });
    let mut text = HEADER.to_owned();
    for id in 0..MANY_ROWS {
        let (day, hour, minute) = (1 + id / 10_000, id / 500 % 20, id % 60);
        text += &format!(
            "{id};A{id};p;M{};2025-03-{day:02} {hour:02}:{minute:02}:00;2025-03-31 00:00:00;{id},5\n",
            id % 40
        );
    }
    site.write("a.csv", text);
    site.workspace.spec("acme.yaml", &site.spec);
    let mut running = site.workspace.start(&["run", "acme.yaml"]);
    assert_eq!(running.event("run_finished", "acme")["rows"], MANY_ROWS);
    let peak = running.peak_memory_kib();
    assert!((1..MEMORY_MAX_KIB).contains(&peak), "{peak} KiB were resident");
    running.signal("TERM");
    await_that("the service ends", || running.has_ended());
}
