//! `engine discover` on real servers: schemas that nobody prepared it for, and an account that may read little.

use engine_tests::binary::Workspace;
use engine_tests::dialects::{Dialect, MARIADB, MYSQL, POSTGRES, spec};
use engine_tests::plant;
use engine_tests::servers::{self, Server};
use serde_json::{Value, json};

/// An instant shortly after the latest booking.
const NOW: &str = "2025-07-01T08:00:30Z";

/// An order table, a booking table, and what every database has beside; `{time}` is the dialect's naive date-time.
const TABLES: &[&str] = &[
    "CREATE TABLE masch_stamm (id INT PRIMARY KEY, mnr VARCHAR(8) NOT NULL, bezeichnung VARCHAR(40))",
    "CREATE TABLE fert_auftrag (id INT PRIMARY KEY, fauf_nr VARCHAR(12) NOT NULL, artikel_nr VARCHAR(20), \
     masch_id INT REFERENCES masch_stamm (id), ist_beginn {time}, ist_ende {time}, soll_beginn {time}, soll_ende {time}, \
     gutmenge NUMERIC(12, 3), ausschuss NUMERIC(12, 3), geaendert_am {time}, FOREIGN KEY (masch_id) REFERENCES masch_stamm (id))",
    "CREATE TABLE bde_meldung (lfdnr INT PRIMARY KEY, auftrag VARCHAR(12), maschine VARCHAR(8), meldeart VARCHAR(4), \
     zeitpunkt {time}, personalnr VARCHAR(8))",
    "CREATE INDEX bde_zeit ON bde_meldung (zeitpunkt)",
    "CREATE TABLE benutzer (id INT PRIMARY KEY, login VARCHAR(40), angelegt_am {time}, status VARCHAR(4))",
    "CREATE TABLE einstellungen (id INT PRIMARY KEY, schluessel VARCHAR(40), wert VARCHAR(200))",
    "CREATE TABLE lagerbestand (id INT PRIMARY KEY, artikel_nr VARCHAR(20), menge NUMERIC(12, 3), stand {time})",
    "CREATE TABLE kunden (id INT PRIMARY KEY, name VARCHAR(40), ort VARCHAR(40))",
    "CREATE TABLE verkauf_auftrag (id INT PRIMARY KEY, auftrag VARCHAR(12), kunde INT, beginn {time}, ende {time})",
    "CREATE TABLE protokoll (id INT PRIMARY KEY, zeit {time}, art VARCHAR(8), text VARCHAR(200))",
    "CREATE TABLE kalender (tag DATE PRIMARY KEY, schicht INT)",
    "CREATE TABLE alarm_historie (id INT PRIMARY KEY, maschine VARCHAR(8), zeit {time}, code VARCHAR(8))",
    "CREATE TABLE preise (id INT PRIMARY KEY, artikel_nr VARCHAR(20), preis NUMERIC(12, 3))",
];

/// Sixty bookings of two machines, the latest now by the factory's clock, and twenty orders.
fn fill(dialect: &Dialect, server: &Server) {
    let time = if dialect.name == POSTGRES.name { "TIMESTAMP" } else { "DATETIME" };
    for table in TABLES {
        server.execute(&table.replace("{time}", time));
    }
    server.execute("INSERT INTO masch_stamm VALUES (1, 'M1', 'Presse'), (2, 'M2', 'Saege')");
    for at in 0..60 {
        let (machine, code, minute) = (at % 2 + 1, if (at / 2) % 2 == 0 { "ANF" } else { "END" }, at);
        server.execute(&format!(
            "INSERT INTO bde_meldung VALUES ({at}, '4711{:03}', 'M{machine}', '{code}', '2025-07-01 09:{minute:02}:00', '00815')",
            at / 4
        ));
    }
    for at in 1..=20 {
        server.execute(&format!(
            "INSERT INTO fert_auftrag VALUES ({at}, '4711{at:03}', 'A-{}', {}, '2025-06-{at:02} 06:00:00', '2025-06-{at:02} 14:00:00', \
             '2025-06-{at:02} 06:00:00', '2025-06-{at:02} 15:00:00', 100, 2, '2025-06-{at:02} 14:00:05')",
            at % 3, at % 2 + 1
        ));
    }
}

/// A file that holds a source and nothing else.
fn source_only(workspace: &Workspace, dialect: &Dialect, server: &Server, login: Option<&str>) {
    let mut source = spec(dialect, server, server.port, &plant::to_file("x.ndjson"))["source"].clone();
    source["timezone"] = json!("Europe/Berlin");
    if let Some(login) = login {
        source["username"] = json!(login);
    }
    workspace.spec("mes.yaml", &json!({ "source": source }));
}

fn roles(candidate: &Value) -> Vec<(String, String)> {
    let roles = candidate["roles"].as_object().expect("roles");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    roles.iter().map(|(role, guess)| (role.clone(), text(&guess["column"]))).collect()
}

#[track_caller]
fn has(candidate: &Value, expected: &[(&str, &str)]) {
    let found = roles(candidate);
    for (role, column) in expected {
        assert!(found.contains(&((*role).to_owned(), (*column).to_owned())), "{role} is not {column}: {found:?}");
    }
}

fn walk(dialect: &Dialect, server: &Server, grant: impl Fn(&Server)) {
    fill(dialect, server);
    let mut workspace = Workspace::new();
    workspace.env("DB_PASSWORD", &server.password);
    source_only(&workspace, dialect, server, None);
    let found = workspace.engine(&["discover", "mes.yaml", "--now", NOW, "-o", "json"]).expect(0).json();
    let candidates = found["candidates"].as_array().expect("candidates");
    let names: Vec<&str> = candidates.iter().filter_map(|one| one["name"]["table"].as_str()).collect();
    let mut best = names.get(..2).expect("two candidates").to_vec();
    best.sort_unstable();
    assert_eq!(best, ["bde_meldung", "fert_auftrag"], "{names:?}");
    let candidate = |table: &str| &candidates[names.iter().position(|name| *name == table).expect("a candidate")];
    let bookings = candidate("bde_meldung");
    assert_eq!(bookings["table"], "booking");
    has(
        bookings,
        &[("timestamp", "zeitpunkt"), ("event", "meldeart"), ("order_code", "auftrag"), ("machine_code", "maschine")],
    );
    assert_eq!(bookings["times"][0]["basis"], "local", "{}", bookings["times"][0]);
    assert_eq!(bookings["times"][0]["indexed"], true);
    assert_eq!(bookings["key"], json!(["lfdnr"]));
    let orders = candidate("fert_auftrag");
    has(
        orders,
        &[
            ("start", "ist_beginn"),
            ("end", "ist_ende"),
            ("order_code", "fauf_nr"),
            ("product_code", "artikel_nr"),
            ("machine_code", "mnr"),
            ("quantity_yield", "gutmenge"),
            ("quantity_scrap", "ausschuss"),
        ],
    );
    assert_eq!(orders["roles"]["machine_code"]["joined"]["to_columns"], json!(["id"]));
    assert_eq!(orders["change"]["column"], "geaendert_am");
    for text in [found.to_string(), workspace.engine(&["discover", "mes.yaml", "--now", NOW]).expect(0).stdout] {
        assert!(!text.contains("00815"), "a person's number is shown:\n{text}");
        assert!(!text.contains(&server.password), "the password is shown:\n{text}");
    }
    let without = workspace.engine(&["discover", "mes.yaml", "--no-samples", "-o", "json"]).expect(0).stdout;
    assert!(without.contains("bde_meldung") && !without.contains("4711001"), "{without}");
    let persons = workspace.engine(&["discover", "mes.yaml", "--table", "bde_meldung", "--persons"]).expect(0);
    persons.says("00815").says("latest rows").says("index bde_zeit (zeitpunkt)");
    workspace.engine(&["discover", "mes.yaml", "--table", "bde_meldun"]).expect(2).says("did you mean `bde_meldung`?");
    grant(server);
    source_only(&workspace, dialect, server, Some("leser"));
    let little = workspace.engine(&["discover", "mes.yaml", "--now", NOW, "-o", "json"]).expect(0).json();
    let seen: Vec<&str> = little["survey"]["tables"]
        .as_array()
        .expect("tables")
        .iter()
        .filter_map(|table| table["name"]["table"].as_str())
        .collect();
    assert_eq!(seen, ["bde_meldung", "fert_auftrag"]);
    assert_eq!(little["candidates"].as_array().map(Vec::len), Some(2), "{}", little["candidates"]);
}

#[test]
fn an_unknown_postgres_is_understood() {
    let server = servers::postgres();
    walk(&POSTGRES, &server, |server| {
        server.execute(&format!("CREATE ROLE leser LOGIN PASSWORD '{}'", server.password));
        server.execute("GRANT SELECT ON bde_meldung, fert_auftrag TO leser");
    });
}

fn grant_mysql(server: &Server) {
    server.execute(&format!("CREATE USER leser@'%' IDENTIFIED BY '{}'", server.password));
    server.execute("GRANT SELECT ON bde_meldung TO leser@'%'");
    server.execute("GRANT SELECT ON fert_auftrag TO leser@'%'");
}

#[test]
fn an_unknown_mariadb_is_understood() {
    walk(&MARIADB, &servers::mariadb(), grant_mysql);
}

#[test]
fn an_unknown_mysql_is_understood() {
    if let Some(server) = servers::mysql() {
        walk(&MYSQL, &server, grant_mysql);
    }
}

/// A schema, a table and columns whose names hold what separates and quotes names: dots, blanks, quotes of every
/// dialect, letters beyond ASCII.
const SCHEMA: &str = "Werk 1.Süd";
const TABLE: &str = "BDE.Buchung \"alt\" `b` [c]";
const COLUMNS: [(&str, &str); 6] = [
    ("Lfd.Nr", "INT PRIMARY KEY"),
    ("Auftrags-Nr.", "VARCHAR(12)"),
    ("Artikel \"Nr\"", "VARCHAR(20)"),
    ("Maschine's `Gerät`", "VARCHAR(8)"),
    ("Kenn.", "VARCHAR(4)"),
    ("Zeit.punkt [ist]", "{time}"),
];

/// Names that must be quoted are quoted in every statement: the table is found, sampled and drafted, and the draft reads.
fn odd_names(dialect: &Dialect, server: &Server) {
    let quote = if dialect.name == POSTGRES.name { "\"" } else { "`" };
    let quoted = |name: &str| format!("{quote}{}{quote}", name.replace(quote, &quote.repeat(2)));
    let time = if dialect.name == POSTGRES.name { "TIMESTAMP" } else { "DATETIME" };
    let table = format!("{}.{}", quoted(SCHEMA), quoted(TABLE));
    let columns: Vec<String> =
        COLUMNS.iter().map(|(name, kind)| format!("{} {}", quoted(name), kind.replace("{time}", time))).collect();
    server.execute(&format!("CREATE SCHEMA {}", quoted(SCHEMA)));
    server.execute(&format!("CREATE TABLE {table} ({})", columns.join(", ")));
    server.execute(&format!("CREATE INDEX {} ON {table} ({})", quoted("Index.1"), quoted(COLUMNS[5].0)));
    for at in 0..40 {
        let (machine, code) = (at % 2 + 1, if (at / 2) % 2 == 0 { "ANF" } else { "END" });
        server.execute(&format!(
            "INSERT INTO {table} VALUES ({at}, '4711{:03}', 'A-1', 'M{machine}', '{code}', '2025-07-01 09:{at:02}:00')",
            at / 4
        ));
    }
    let mut workspace = Workspace::new();
    workspace.env("DB_PASSWORD", &server.password);
    source_only(&workspace, dialect, server, None);
    let found = workspace.engine(&["discover", "mes.yaml", "--now", NOW, "-o", "json"]).expect(0).json();
    assert_eq!(found["survey"]["notes"], json!([]), "{}", found["survey"]["notes"]);
    let best = &found["candidates"][0];
    assert_eq!(best["name"], json!({ "schema": SCHEMA, "table": TABLE }));
    has(
        best,
        &[
            ("order_code", COLUMNS[1].0),
            ("product_code", COLUMNS[2].0),
            ("machine_code", COLUMNS[3].0),
            ("event", COLUMNS[4].0),
            ("timestamp", COLUMNS[5].0),
        ],
    );
    assert_eq!(best["key"], json!([COLUMNS[0].0]));
    let facts = found["survey"]["tables"].as_array().expect("tables").iter().find(|one| one["name"] == best["name"]);
    let facts = facts.expect("the table of the candidate");
    assert_eq!(facts["rows"], json!({ "exact": 40 }));
    // The latest first, by an index.
    assert_eq!((&facts["sample"]["rows"][0][0], &facts["sample"]["looked_at"]), (&json!(39), &json!(40)));
    let whole = format!("{SCHEMA}.{TABLE}");
    workspace.engine(&["discover", "mes.yaml", "--table", &whole]).expect(0).says("latest rows: 5 of 40");
    workspace.engine(&["init", "mes.yaml", "--table", &whole, "--yes", "-o", "plant.yaml"]).expect(0);
    workspace.engine(&["test", "plant.yaml"]).expect(0).says("1 passed, 0 failed");
}

#[test]
fn names_that_must_be_quoted_are_quoted_at_postgres() {
    odd_names(&POSTGRES, &servers::postgres());
}

#[test]
fn names_that_must_be_quoted_are_quoted_at_mariadb() {
    odd_names(&MARIADB, &servers::mariadb());
}

/// Shifts with one date and two times of day: the pair is named, and the draft ends a night on the next day.
fn shifts(dialect: &Dialect, server: &Server) {
    server.execute(
        "CREATE TABLE schicht_buchung (nr INT PRIMARY KEY, datum DATE, auftrag VARCHAR(12), artikel VARCHAR(20), \
         maschine VARCHAR(8), beginn TIME, ende TIME)",
    );
    server.execute("CREATE INDEX schicht_tag ON schicht_buchung (datum)");
    for at in 1..=28 {
        let (start, end) = [("06:00:00", "14:00:00"), ("14:00:00", "22:00:00"), ("22:00:00", "06:00:00")][at % 3];
        server.execute(&format!(
            "INSERT INTO schicht_buchung VALUES ({at}, '2025-06-{at:02}', '4711{at:03}', 'A-1', 'M{}', '{start}', '{end}')",
            at % 2
        ));
    }
    // One that runs.
    server.execute("INSERT INTO schicht_buchung VALUES (29, '2025-06-29', '4711029', 'A-1', 'M1', '22:00:00', NULL)");
    let mut workspace = Workspace::new();
    workspace.env("DB_PASSWORD", &server.password);
    source_only(&workspace, dialect, server, None);
    workspace
        .engine(&["discover", "mes.yaml", "--now", NOW])
        .expect(0)
        .says("two times that can be start and end: datum + beginn, datum + ende");
    workspace.engine(&["init", "mes.yaml", "--table", "schicht_buchung", "--yes", "-o", "plant.yaml"]).expect(0);
    workspace.engine(&["test", "plant.yaml"]).expect(0).says("1 passed, 0 failed");
    let spec = workspace.read("plant.yaml");
    for expected in [
        "    date: datum\n    time: ende\n    after: start",
        "OR ende IS NULL)",
        // The night of the 26th.
        "start: 2025-06-26T20:00:00Z, end: 2025-06-27T04:00:00Z",
        "start: 2025-06-29T20:00:00Z, end: null",
    ] {
        assert!(spec.contains(expected), "{expected} is not in\n{spec}");
    }
}

#[test]
fn shifts_with_one_date_are_drafted_from_postgres() {
    shifts(&POSTGRES, &servers::postgres());
}

#[test]
fn shifts_with_one_date_are_drafted_from_mariadb() {
    shifts(&MARIADB, &servers::mariadb());
}

/// Records that are all text: dates and times as a German clock writes them, blanks behind codes, counts with a sign.
fn texts(dialect: &Dialect, server: &Server) {
    server.execute(
        "CREATE TABLE bde_meldung (rmnr CHAR(10) PRIMARY KEY, anr CHAR(12), artnr CHAR(20), mnr CHAR(8), kenn CHAR(1), \
         datfb CHAR(10), zeifb CHAR(5), gut CHAR(9), aus CHAR(9))",
    );
    for at in 0..40 {
        let (code, day) = (["A", "E"][at / 2 % 2], if at < 20 { "30.06.2025" } else { "01.07.2025" });
        server.execute(&format!(
            "INSERT INTO bde_meldung VALUES ('{at:010}', '0047{:04}', '25-1002', 'M{}', '{code}', '{day}', '{:02}:30', \
             '+00120.00', '+00002.50')",
            at / 4,
            at % 2,
            at % 20
        ));
    }
    let mut workspace = Workspace::new();
    workspace.env("DB_PASSWORD", &server.password);
    source_only(&workspace, dialect, server, None);
    let found = workspace.engine(&["discover", "mes.yaml", "--now", NOW, "-o", "json"]).expect(0).json();
    let best = &found["candidates"][0];
    has(best, &[("timestamp", "datfb"), ("event", "kenn"), ("quantity_yield", "gut"), ("quantity_scrap", "aus")]);
    assert_eq!(
        (&best["times"][0]["form"], &best["times"][0]["time_of_day"][0]),
        (&json!("dotted_date"), &json!("zeifb"))
    );
    let shown = workspace.engine(&["discover", "mes.yaml", "--now", NOW]).expect(0).says("datfb + zeifb");
    // July sorts before June where days are text.
    assert!(!shown.stdout.contains("from 01.07.2025"), "{shown}");
    workspace.engine(&["init", "mes.yaml", "--table", "bde_meldung", "--yes", "-o", "plant.yaml"]).expect(0);
    workspace.engine(&["test", "plant.yaml"]).expect(0).says("1 passed, 0 failed");
    // The window is one day, by the calendar.
    let preview = workspace.engine(&["preview", "plant.yaml", "--now", "2025-07-15T00:30:00Z"]).expect(0);
    preview.says("20 rows read");
}

#[test]
fn records_of_text_are_drafted_from_postgres() {
    texts(&POSTGRES, &servers::postgres());
}

#[test]
fn records_of_text_are_drafted_from_mariadb() {
    texts(&MARIADB, &servers::mariadb());
}

/// Bookings of long ago, each written seconds later: the stamp, an instant, tells which clock the time shows.
fn clocks(dialect: &Dialect, server: &Server) {
    let is_postgres = dialect.name == POSTGRES.name;
    let (time, instant, from_seconds) = match is_postgres {
        true => ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "to_timestamp"),
        false => ("DATETIME", "TIMESTAMP NULL", "FROM_UNIXTIME"),
    };
    server.execute(&format!(
        "CREATE TABLE bde_buchung (id INT PRIMARY KEY, anr VARCHAR(12), mnr VARCHAR(8), kenn VARCHAR(4), zeit {time}, \
         zeit_utc {time}, created_at {instant})"
    ));
    // 2025-06-15T08:00:00Z, ten o'clock in the factory.
    let start = 1_749_974_400;
    for at in 0..20 {
        server.execute(&format!(
            "INSERT INTO bde_buchung VALUES ({at}, '47{at}', 'M1', 'A', '2025-06-15 10:{at:02}:00', \
             '2025-06-15 08:{at:02}:00', {from_seconds}({}))",
            start + at * 60 + 7
        ));
    }
    let mut workspace = Workspace::new();
    workspace.env("DB_PASSWORD", &server.password);
    source_only(&workspace, dialect, server, None);
    let found =
        workspace.engine(&["discover", "mes.yaml", "--now", "2025-09-01T08:00:00Z", "-o", "json"]).expect(0).json();
    let times = found["candidates"][0]["times"].as_array().expect("times");
    let told: Vec<(&Value, &Value)> = times.iter().map(|time| (&time["basis"], &time["why"])).collect();
    assert_eq!(
        told[..2],
        [
            (&json!("local"), &json!("in 20 of 20 rows it is the instant `created_at` by the clock of the factory")),
            (&json!("utc"), &json!("in 20 of 20 rows it is the instant `created_at` by UTC")),
        ]
    );
}

#[test]
fn a_stamp_tells_the_clock_at_postgres() {
    clocks(&POSTGRES, &servers::postgres());
}

#[test]
fn a_stamp_tells_the_clock_at_mariadb() {
    clocks(&MARIADB, &servers::mariadb());
}
