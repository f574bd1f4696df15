//! Texts that try to become SQL: as parameters, names, keys of a map, and values of rows that come back as a cursor.

use std::collections::BTreeSet;

use engine_tests::binary::Workspace;
use engine_tests::dialects::{MARIADB, POSTGRES, spec};
use engine_tests::plant::{self, NOW};
use engine_tests::platform::Platform;
use engine_tests::promises::{Tally, kept};
use engine_tests::servers::{self, Server};
use serde_json::{Map, Value, json};

/// Texts that end a literal, a name or a statement at one server or another.
const HOSTILE: [&str; 38] = [
    "'",
    "''",
    "\"",
    "`",
    "\\",
    "\\'",
    "'\\",
    "' OR '1'='1",
    "' OR 1=1 -- x",
    "' OR 1=1 #",
    "'/**/OR/**/1=1/*",
    "'; DROP TABLE zeuge; --",
    "\"; DROP TABLE zeuge; --",
    "`; DROP TABLE zeuge; -- `",
    "\\'; DROP TABLE zeuge; -- x",
    "\\\\'; DROP TABLE zeuge; -- x",
    "'); DELETE FROM zeuge; COMMIT; --",
    "1; UPDATE zeuge SET wort = 'x'",
    "'||(SELECT wort FROM zeuge)||'",
    "' UNION SELECT 1, wort FROM zeuge -- x",
    "$$; DROP TABLE zeuge; $$",
    "$q$x$q$",
    "E'\\'; DROP TABLE zeuge; --'",
    "U&'\\0027'",
    "x'27'",
    "/*! DROP TABLE zeuge */",
    "{{ params.texte }}",
    "{% raw %}'{{",
    "? ?1 $1 :1 @p1 %s",
    "%27 OR 1=1",
    // A quote that a driver or a server takes for another character, or the other way round.
    "\u{bf}' OR 1=1 -- x",
    "\u{bf}\\' OR 1=1 -- x",
    "\u{7e17}' OR 1=1 -- x",
    "\u{2bc} OR 1=1",
    "\u{ff07} OR 1=1",
    "\u{1f3ed}'",
    "e\u{301}'\u{200b}'",
    "\u{ff3c}'; DROP TABLE zeuge; -- x",
];

/// Distance between the numbers of a row and of a later one for the same text.
const LATER: usize = 100;

/// A database that is attacked.
struct Target<'a> {
    source: Value,
    password: String,
    execute: &'a dyn Fn(&str) -> String,
    /// A text, written so that nothing in it can be misread.
    literal: fn(&str) -> String,
    /// A name, quoted.
    name: fn(&str) -> String,
    /// Kind of the columns of texts.
    text: &'static str,
    /// Characters that no name can have there.
    never_in_names: &'static [char],
}

/// Statements in one go.
fn script(statements: impl Iterator<Item = String>) -> String {
    statements.collect::<Vec<_>>().join(";\n")
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn postgres_takes_hostile_texts_for_what_they_are() {
    let server = servers::postgres();
    let mut tally = Tally::default();
    for strings in ["on", "off"] {
        let role = format!("ALTER ROLE CURRENT_USER SET standard_conforming_strings = {strings}");
        server.execute(&role);
        add(
            &mut tally,
            attack(&Target {
                source: spec(&POSTGRES, &server, server.port, &Value::Null)["source"].clone(),
                password: server.password.clone(),
                execute: &|sql| server.execute(sql),
                literal: |text| format!("convert_from(decode('{}', 'hex'), 'UTF8')", hex(text)),
                name: |name| format!("\"{}\"", name.replace('"', "\"\"")),
                text: "text",
                never_in_names: &[],
            }),
        );
    }
    report("postgres_takes_hostile_texts_for_what_they_are", tally);
}

fn attack_mariadb(server: &Server) -> Tally {
    attack(&Target {
        source: spec(&MARIADB, server, server.port, &Value::Null)["source"].clone(),
        password: server.password.clone(),
        execute: &|sql| server.execute(sql),
        literal: |text| format!("_utf8mb4 x'{}'", hex(text)),
        name: |name| format!("`{}`", name.replace('`', "``")),
        text: "varchar(120) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        // Names have no characters beyond the basic plane.
        never_in_names: &['\u{1f3ed}'],
    })
}

#[test]
fn mariadb_takes_hostile_texts_for_what_they_are() {
    let mut tally = attack_mariadb(&servers::mariadb());
    // Where a backslash is nothing special, and where a byte before it makes it half of a character.
    let odd = servers::mariadb_with(&["--sql-mode=NO_BACKSLASH_ESCAPES", "--character-set-server=gbk"]);
    add(&mut tally, attack_mariadb(&odd));
    report("mariadb_takes_hostile_texts_for_what_they_are", tally);
}

#[test]
fn sqlite_takes_hostile_texts_for_what_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("target.db");
    let database = rusqlite::Connection::open(&path).expect("it is made");
    let execute = |sql: &str| {
        let mut lines = String::new();
        for statement in sql.split(";\n") {
            let mut statement = database.prepare(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
            let columns = statement.column_count();
            let mut rows = statement.query([]).expect("it runs");
            while let Some(row) = rows.next().expect("it runs") {
                let value = |at| row.get::<_, rusqlite::types::Value>(at).map(|value| format!("{value:?}"));
                let values: Vec<_> = (0..columns).map(|at| value(at).expect("a value")).collect();
                lines.push_str(&format!("{}\n", values.join("\t")));
            }
        }
        lines
    };
    let tally = attack(&Target {
        source: json!({ "type": "sqlite", "path": path, "timezone": "Europe/Berlin" }),
        password: String::new(),
        execute: &execute,
        literal: |text| format!("CAST(x'{}' AS TEXT)", hex(text)),
        name: |name| format!("\"{}\"", name.replace('"', "\"\"")),
        text: "TEXT",
        never_in_names: &[],
    });
    report("sqlite_takes_hostile_texts_for_what_they_are", tally);
}

fn add(sum: &mut Tally, more: Tally) {
    sum.histories += more.histories;
    sum.faults += more.faults;
    sum.losses += more.losses;
    sum.duplicates += more.duplicates;
}

fn report(test: &str, tally: Tally) {
    kept("Read-only", test, tally);
    assert_eq!((tally.losses, tally.duplicates), (0, 0), "{test}");
}

fn attack(target: &Target<'_>) -> Tally {
    let Target { execute, text, .. } = target;
    for table in ["zeuge", "auftrag"] {
        execute(&format!("DROP TABLE IF EXISTS {table}"));
    }
    execute("CREATE TABLE zeuge (id integer, wort varchar(20))");
    execute("INSERT INTO zeuge VALUES (1, 'geheim')");
    execute(&format!(
        "CREATE TABLE auftrag (id integer PRIMARY KEY, anr {text}, artnr {text}, mnr {text}, von {text}, bis {text}, \
         folge {text})"
    ));
    let witness = execute("SELECT * FROM zeuge");
    let mut tally = Tally { histories: 3, ..Tally::default() };
    for attack in [parameters_and_keys_of_maps, rows_that_become_a_cursor, names] {
        let (platform, expected) = attack(target);
        let found = arrived(&platform);
        tally.faults += expected.len() as u64;
        tally.losses += expected.symmetric_difference(&found).count() as u64;
        tally.duplicates += platform.records().saturating_sub(expected.len()) as u64;
        platform.assert_contract();
    }
    assert_eq!(execute("SELECT * FROM zeuge"), witness, "{}", target.source["type"]);
    execute("DROP TABLE zeuge");
    execute("DROP TABLE auftrag");
    tally
}

/// The statement that writes an order of this number, whose every text is this one.
fn insert(target: &Target<'_>, table: &str, id: usize, hostile: &str) -> String {
    let text = (target.literal)(hostile);
    format!(
        "INSERT INTO {table} VALUES ({id}, {text}, {text}, {text}, '2025-03-29 06:00:00', '2025-03-29 07:00:00', {text})"
    )
}

fn workspace(target: &Target<'_>, platform: &Platform, sql: &str, change: impl FnOnce(&mut Value)) -> Workspace {
    let mut workspace = Workspace::new();
    workspace.env("DB_PASSWORD", &target.password);
    let mut spec = order_spec(target, platform, "acme");
    spec["query"] = json!({ "sql": sql });
    change(&mut spec);
    workspace.spec("acme.yaml", &spec);
    workspace
}

fn order_spec(target: &Target<'_>, platform: &Platform, id: &str) -> Value {
    let mut spec = plant::orders(id, &plant::to_url(&platform.url()));
    spec["source"] = target.source.clone();
    spec["sync"] = json!({ "mode": "full" });
    spec["fields"].as_object_mut().expect("fields").remove("quantity_total");
    spec
}

/// The orders that the platform has.
fn arrived(platform: &Platform) -> BTreeSet<String> {
    let text = |run: &Value| run["production_order"].as_str().unwrap_or_default().to_owned();
    platform.state().values().map(text).collect()
}

fn all() -> BTreeSet<String> {
    HOSTILE.iter().map(|text| (*text).to_owned()).collect()
}

fn parameters_and_keys_of_maps(target: &Target<'_>) -> (Platform, BTreeSet<String>) {
    let execute = target.execute;
    execute(&script(HOSTILE.iter().enumerate().map(|(id, hostile)| insert(target, "auftrag", id, hostile))));
    execute(&insert(target, "auftrag", 900, "harmless, and not asked for"));
    let platform = Platform::start();
    let machine = |id: usize| json!(format!("00000000-0000-4000-8000-{id:012}"));
    let machines: Map<String, Value> =
        HOSTILE.iter().enumerate().map(|(id, text)| ((*text).to_owned(), machine(id))).collect();
    let sql = "SELECT id, anr, artnr, mnr, von, bis FROM auftrag WHERE anr IN ({{ params.texte }})";
    let site = workspace(target, &platform, sql, |spec| {
        spec["query"]["params"] = json!({ "texte": HOSTILE.as_slice() });
        spec["machines"] = machines.into();
    });
    site.engine(&["run", "--once", "--now", NOW, "acme.yaml"]).expect(0);
    assert_eq!(
        platform.state().len(),
        HOSTILE.len(),
        "{}: every text equals itself, and no other",
        target.source["type"]
    );
    // A text with a NUL, which SQL cannot hold everywhere, is compared or refused.
    let site = workspace(target, &platform, sql, |spec| {
        spec["query"]["params"] = json!({ "texte": ["\0' OR 1=1 -- x", "x\0"] });
    });
    let outcome = site.engine(&["preview", "--now", NOW, "acme.yaml"]);
    assert!(matches!(outcome.code(), Some(0..=2)) && !outcome.stdout.contains("harmless"), "{outcome}");
    execute("DELETE FROM auftrag");
    (platform, all())
}

/// A run ends at a row whose text is hostile, and the next one asks for what comes after that text.
fn rows_that_become_a_cursor(target: &Target<'_>) -> (Platform, BTreeSet<String>) {
    let platform = Platform::start();
    let site = one_spec_each(target, &platform, 0..HOSTILE.len(), |spec, id| {
        // Its row of the first run, and that of the second.
        let mine = format!("id IN ({id}, {})", id + LATER);
        let sql = "SELECT id, anr, artnr, mnr, von, bis, folge FROM auftrag WHERE folge > {{ cursor.folge }} AND ";
        spec["query"] = json!({ "sql": format!("{sql}{mine}") });
        spec["sync"] = json!({ "mode": "cursor", "cursor": ["folge"] });
    });
    for later in [0, LATER] {
        // A text that is longer comes later.
        let end = if later == 0 { "" } else { "z" };
        let rows = HOSTILE.iter().enumerate();
        let inserts = rows.map(|(id, hostile)| insert(target, "auftrag", id + later, &format!("{hostile}{end}")));
        (target.execute)(&script(inserts));
        let run = site.engine(&["run", "--once", "--now", NOW, "specs"]).expect(0);
        let finished = run.events("run_finished");
        assert_eq!(finished.len(), HOSTILE.len());
        for finished in finished {
            let found = (&finished["rows"], &finished["new"]);
            assert_eq!(found, (&json!(1), &json!(1)), "{}: {finished}", target.source["type"]);
        }
    }
    let both = HOSTILE.iter().flat_map(|text| [(*text).to_owned(), format!("{text}z")]);
    let both = both.collect();
    (platform, both)
}

/// A workspace with a spec for each of some texts.
fn one_spec_each(
    target: &Target<'_>,
    platform: &Platform,
    texts: impl IntoIterator<Item = usize>,
    change: impl Fn(&mut Value, usize),
) -> Workspace {
    let mut workspace = Workspace::new();
    workspace.env("DB_PASSWORD", &target.password);
    for id in texts {
        let mut spec = order_spec(target, platform, &format!("text-{id}"));
        change(&mut spec, id);
        workspace.spec(&format!("specs/{id}.yaml"), &spec);
    }
    workspace
}

/// Tables that are called so.
fn names(target: &Target<'_>) -> (Platform, BTreeSet<String>) {
    // A dot separates a schema from its table.
    let is_name = |text: &str| text.chars().all(|c| c != '.' && !target.never_in_names.contains(&c));
    let ids: Vec<usize> = (0..HOSTILE.len()).filter(|id| is_name(HOSTILE[*id])).collect();
    assert!(ids.len() > HOSTILE.len() / 2);
    let tables: Vec<String> = ids.iter().map(|id| (target.name)(HOSTILE[*id])).collect();
    (target.execute)(&script(
        tables.iter().map(|table| format!("CREATE TABLE {table} (id integer, wort varchar(20))")),
    ));
    let meant = |(table, id)| format!("INSERT INTO {table} VALUES ({id}, 'gemeint {id}')");
    (target.execute)(&script(tables.iter().zip(&ids).map(meant)));
    let platform = Platform::start();
    let site = one_spec_each(target, &platform, ids.iter().copied(), |spec, id| {
        let sql = "SELECT id, wort AS anr, wort AS artnr, wort AS mnr, '2025-03-29 06:00:00' AS von, \
                   '2025-03-29 07:00:00' AS bis FROM {{ params.tabelle | ident }}";
        spec["query"] = json!({ "sql": sql, "params": { "tabelle": HOSTILE[id] } });
    });
    site.engine(&["run", "--once", "--now", NOW, "specs"]).expect(0);
    let meant = ids.iter().map(|id| format!("gemeint {id}")).collect();
    (target.execute)(&script(tables.iter().map(|table| format!("DROP TABLE {table}"))));
    (platform, meant)
}
