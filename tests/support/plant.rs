//! A small factory: a SQLite file with orders and bookings, and specs that read it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

/// The instant at which runs over the plant's rows take place: `--now`.
pub const NOW: &str = "2025-03-30T12:00:00Z";
/// Bookings around a change of the clock, for the same rows at every source: id, order, machine, kind (`A` begins, `E`
/// ends) and local time in Berlin.
pub const BOOKINGS: [(i64, &str, &str, &str, &str); 6] = [
    (1, "4711", "M1", "A", "2025-03-30 01:30:00"),
    (2, "4711", "M1", "E", "2025-03-30 03:15:00"),
    (3, "4712", "M1", "A", "2025-03-30 03:30:00"),
    (4, "4713", "M2", "A", "2025-03-29 22:00:00"),
    (5, "4713", "M2", "E", "2025-03-30 06:00:00"),
    (6, "4712", "M1", "E", "2025-03-30 09:00:00"),
];
/// How long a change of the file waits for its readers.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// The file, open for changes.
pub struct Plant {
    path: PathBuf,
    database: Connection,
}

impl Plant {
    /// Makes the file, with its tables and without rows.
    pub fn new(path: &Path) -> Self {
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("the folder can be made");
        let database = Connection::open(path).expect("the file can be made");
        database.busy_timeout(LOCK_PATIENCE).expect("a time-out can be set");
        let plant = Self { path: path.to_owned(), database };
        plant.execute(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = OFF;
             CREATE TABLE auftrag (id INTEGER PRIMARY KEY, anr TEXT, artnr TEXT, mnr TEXT, von TEXT, bis TEXT,
                                   menge REAL, geaendert TEXT);
             CREATE TABLE buchung (id INTEGER PRIMARY KEY, anr TEXT, artnr TEXT, mnr TEXT, kenn TEXT, zeit TEXT);",
        );
        plant
    }

    /// A second connection to a file that is there.
    pub fn new_writer(path: &Path) -> Self {
        let database = Connection::open(path).expect("the file can be opened");
        database.busy_timeout(LOCK_PATIENCE).expect("a time-out can be set");
        Self { path: path.to_owned(), database }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Executes statements.
    #[track_caller]
    pub fn execute(&self, sql: &str) {
        self.database.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The product of every order, by order.
    pub fn products(&self) -> std::collections::BTreeMap<String, String> {
        let mut statement = self.database.prepare("SELECT anr, artnr FROM auftrag").expect("the table is there");
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("it can be read");
        rows.collect::<Result<_, _>>().expect("it can be read")
    }

    /// Writes finished orders of ten minutes each, one after the other on five machines, from 2025-03-29 on.
    pub fn orders(&self, ids: std::ops::Range<i64>) {
        self.execute(&insert_orders(ids, |minutes| {
            format!("strftime('%Y-%m-%d %H:%M:%S', '2025-03-29', '+' || ({minutes}) || ' minutes')")
        }));
    }
}

/// The statement that writes finished orders, as [`Plant::orders`] does; `at` says how the dialect adds minutes.
pub fn insert_orders(ids: std::ops::Range<i64>, at: impl Fn(&str) -> String) -> String {
    let (from, to) = (at("((id - 1) - (id - 1) % 5) * 2 % 1400"), at("((id - 1) - (id - 1) % 5) * 2 % 1400 + 9"));
    format!(
        "INSERT INTO auftrag (id, anr, artnr, mnr, von, bis, menge, geaendert)
         WITH RECURSIVE n (id) AS (SELECT {} UNION ALL SELECT id + 1 FROM n WHERE id + 1 < {})
         SELECT id, 4711000 + id, '25-1002', concat('M', 1 + (id - 1) % 5), {from}, {to}, id, {to} FROM n;",
        ids.start, ids.end
    )
}

/// A spec that reads the orders of the file `mes.db` beside it.
pub fn orders(id: &str, destination: &Value) -> Value {
    json!({
        "version": 1,
        "id": id,
        "source": { "type": "sqlite", "path": "mes.db", "timezone": "Europe/Berlin" },
        "table": "order",
        "query": { "sql": "SELECT id, anr, artnr, mnr, von, bis, menge, geaendert FROM auftrag\n\
                           WHERE von >= {{ window.start }} AND von < {{ window.end }}\n" },
        "key": ["id"],
        "fields": {
            "order_code": "anr", "product_code": "artnr", "machine_code": "mnr", "start": "von", "end": "bis",
            "quantity_total": "menge",
        },
        "destination": destination,
    })
}

/// A spec that folds the bookings of the file `mes.db` beside it.
pub fn bookings(id: &str, destination: &Value) -> Value {
    json!({
        "version": 1,
        "id": id,
        "source": { "type": "sqlite", "path": "mes.db", "timezone": "Europe/Berlin" },
        "table": "booking",
        "query": { "sql": "SELECT id, anr, artnr, mnr, kenn, zeit FROM buchung\n\
                           WHERE zeit >= {{ window.start }} AND zeit < {{ window.end }}\n" },
        "key": ["id"],
        "fields": {
            "timestamp": "zeit", "order_code": "anr", "product_code": "artnr", "machine_code": "mnr",
            "event": { "column": "kenn", "map": { "A": "START", "E": "END" }, "unmapped": "reject" },
        },
        "destination": destination,
    })
}

/// A destination: an endpoint on the loopback that wants no login.
pub fn to_url(url: &str) -> Value {
    json!({ "type": "http", "url": url })
}

/// A destination: a file.
pub fn to_file(path: &str) -> Value {
    json!({ "type": "file", "path": path })
}
