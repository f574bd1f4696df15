//! What an editor offers, shows and marks in a spec: the schemas, read by the language server that editors use for YAML.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod server;
mod snippet;

use std::fs;
use std::path::Path;

use engine_spec::NoCompanions;
use engine_spec::diagnostic::Severity;
use engine_tests::binary::root;
use serde_json::{Value, json};
use server::{Cursor, LanguageServer};

/// Where a spec lies that the settings of this repository know by its place.
const SPEC: &str = "specs/acme/*.yaml";

/// A server with the settings that this repository has for VS Code.
fn server() -> LanguageServer {
    let settings = fs::read_to_string(root().join(".vscode/settings.json")).unwrap();
    let settings: Value = serde_json::from_str(&settings).unwrap();
    LanguageServer::start(json!({
        "schemas": settings["yaml.schemas"],
        "schemaStore": {"enable": settings["yaml.schemaStore.enable"]},
        "completion": true, "hover": true, "validate": true,
    }))
}

/// A place, and what is offered there: labels that must be among the offers, and labels that must not.
struct Offer {
    at: &'static str,
    offers: &'static [&'static str],
    hides: &'static [&'static str],
}

const OFFERS: &[Offer] = &[
    Offer {
        at: "v|@|",
        offers: &["bookings of a database", "orders of a database", "version", "id", "source", "table", "tests"],
        hides: &[],
    },
    Offer { at: "version: 1\ntable: |@|", offers: &["order", "booking"], hides: &[] },
    Offer {
        at: "version: 1\ntable: order\n|@|",
        offers: &["fields", "merge", "query"],
        hides: &["pairing", "table", "version"],
    },
    Offer { at: "version: 1\ntable: booking\n|@|", offers: &["pairing", "merge"], hides: &["table"] },
    Offer {
        at: "source:\n  |@|",
        offers: &["type", "sqlserver", "mysql", "mariadb", "oracle", "postgres", "sqlite", "http", "csv"],
        hides: &["host", "path"],
    },
    Offer {
        at: "source:\n  type: |@|",
        offers: &["sqlserver", "mysql", "mariadb", "oracle", "postgres", "sqlite", "http", "csv"],
        hides: &["enlyze"],
    },
    Offer {
        at: "source:\n  type: sqlite\n  |@|",
        offers: &["path", "timezone", "timeouts"],
        hides: &["host", "database", "tls", "records", "sqlserver", "type"],
    },
    Offer {
        at: "source:\n  type: sqlserver\n  host: mes\n  |@|",
        offers: &["instance", "domain", "application_intent", "isolation", "database", "tls"],
        hides: &["sid", "tns", "path", "host"],
    },
    Offer {
        at: "source:\n  type: oracle\n  |@|",
        offers: &["sid", "tns", "config_dir", "driver", "database"],
        hides: &["instance", "path"],
    },
    Offer { at: "source:\n  type: http\n  |@|", offers: &["url", "records", "pagination", "auth"], hides: &["host"] },
    Offer { at: "source:\n  type: csv\n  |@|", offers: &["path", "glob", "encoding"], hides: &["url", "tls"] },
    Offer {
        at: "source:\n  type: mysql\n  tls:\n    mode: |@|",
        offers: &["disable", "prefer", "require", "verify-ca", "verify-full"],
        hides: &[],
    },
    Offer { at: "source:\n  type: mysql\n  password: |@|", offers: &["env: ACME_DB_PASSWORD"], hides: &[] },
    Offer {
        at: "table: booking\nfields:\n  |@|",
        offers: &["timestamp", "event", "order_code", "all fields of a booking table"],
        hides: &["start", "end", "all fields of an order table"],
    },
    Offer {
        at: "table: order\nfields:\n  |@|",
        offers: &["start", "end", "order_code", "all fields of an order table"],
        hides: &["timestamp", "event", "all fields of a booking table"],
    },
    Offer { at: "fields:\n  |@|", offers: &["start", "end", "timestamp", "event"], hides: &[] },
    Offer {
        at: "fields:\n  order_code:\n    |@|",
        offers: &["column", "template", "value", "transform", "map", "unmapped"],
        hides: &["format", "on_gap"],
    },
    Offer {
        at: "table: order\nfields:\n  start:\n    |@|",
        offers: &["column", "date", "time", "format", "on_gap", "on_fold"],
        hides: &["map", "unmapped"],
    },
    Offer {
        at: "fields:\n  start:\n    format: |@|",
        offers: &["iso8601", "epoch_s", "epoch_ms", "yyyymmdd", "hhmmss", "seconds_of_day"],
        hides: &[],
    },
    Offer {
        at: "fields:\n  order_code:\n    column: a\n    transform:\n      - |@|",
        offers: &["trim", "upper", "lower", "strip_leading", "pad_left", "replace", "split", "extract"],
        hides: &["example"],
    },
    Offer { at: "fields:\n  order_code:\n    unmapped: |@|", offers: &["reject", "keep", "skip"], hides: &["allow"] },
    Offer {
        at: "query:\n  |@|",
        offers: &["sql of a window", "sql of a window, with a parameter", "sql after a cursor", "params", "file"],
        hides: &[],
    },
    Offer { at: "sync:\n  |@|", offers: &["mode", "lookback", "slice"], hides: &["cursor", "overlap"] },
    Offer { at: "sync:\n  mode: |@|", offers: &["window", "cursor", "full"], hides: &[] },
    Offer { at: "sync:\n  mode: cursor\n  |@|", offers: &["cursor", "overlap", "start"], hides: &["lookback"] },
    Offer { at: "sync:\n  mode: full\n  |@|", offers: &["deletes", "delete_limit"], hides: &["lookback", "cursor"] },
    Offer { at: "checks:\n  overlap: |@|", offers: &["reject", "report", "allow"], hides: &[] },
    Offer { at: "destination:\n  |@|", offers: &["enlyze", "http", "file", "stdout"], hides: &["url"] },
    Offer { at: "destination:\n  type: enlyze\n  |@|", offers: &["token", "deliver"], hides: &["method", "path"] },
    Offer { at: "destination:\n  type: http\n  |@|", offers: &["method", "headers", "auth"], hides: &["token"] },
    Offer { at: "tests:\n  - |@|", offers: &["test of rows", "test of the SQL", "name", "now"], hides: &[] },
    Offer {
        at: "tests:\n  - name: a\n    expect:\n      |@|",
        offers: &["runs", "rows", "rejected", "sql", "params"],
        hides: &["name"],
    },
];

#[test]
fn what_is_offered_depends_on_what_was_chosen() {
    let server = server();
    let mut wrong = Vec::new();
    for Offer { at, offers, hides } in OFFERS {
        let items = server.completions(SPEC, &Cursor::of(at));
        let labels: Vec<&str> = items.iter().filter_map(|item| item["label"].as_str()).collect();
        let missing: Vec<&&str> = offers.iter().filter(|label| !labels.contains(label)).collect();
        let shown: Vec<&&str> = hides.iter().filter(|label| labels.contains(label)).collect();
        let broken: Vec<&Value> = items.iter().filter(|item| item.to_string().contains("[object")).collect();
        if !missing.is_empty() || !shown.is_empty() || !broken.is_empty() {
            wrong.push(format!("{at}\nmissing {missing:?}, shown {shown:?}, broken {broken:?}, offered {labels:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// A place, an offer, and the text that it gives.
const INSERTS: &[(&str, &str, &str)] = &[
    ("v|@|", "source", "source:\n  "),
    ("v|@|", "version", "version: 1"),
    ("v|@|", "tests", "tests:\n  - "),
    ("source:\n  type: sqlite\n  |@|", "path", "path: mes.db"),
    ("source:\n  type: mysql\n  |@|", "password", "password: { env: ACME_DB_PASSWORD }"),
    ("source:\n  type: mysql\n  |@|", "tls", "tls:\n  mode: verify-full"),
    ("fields:\n  |@|", "event", "event: { column: kind, map: { A: START, E: END } }"),
    (
        "query:\n  |@|",
        "sql",
        "sql: |\n  SELECT id\n  FROM booking\n  WHERE booked_at >= {{ window.start }} AND booked_at < {{ window.end }}",
    ),
];

#[test]
fn a_key_is_inserted_with_what_follows_it() {
    let server = server();
    for (at, label, expected) in INSERTS {
        let items = server.completions(SPEC, &Cursor::of(at));
        let texts: Vec<String> = items
            .iter()
            .filter(|item| item["label"] == *label)
            .map(|item| snippet::without_stops(item["textEdit"]["newText"].as_str().unwrap()))
            .collect();
        assert_eq!(texts, [*expected], "{at}: {label}");
    }
}

const HEAD: &str = "version: 1\nid: acme\n";
const SOURCE: &str = "source: { type: sqlite, path: mes.db, timezone: Europe/Berlin }\n";
const QUERY: &str = "query: { sql: \"SELECT * FROM t WHERE a >= {{ window.start }} AND a < {{ window.end }}\" }\n";
const ORDERS: &str =
    "table: order\nkey: [id]\nfields: { start: a, end: b, order_code: c, product_code: d, machine_code: e }\n";

/// A spec that lacks a block, with the cursor in it, and the offers that complete it.
fn blocks() -> Vec<(String, Vec<&'static str>)> {
    let cursor = "sync: { mode: cursor, cursor: [changed_at, id] }\n";
    vec![
        ("v|@|".to_owned(), vec!["bookings of a database", "orders of a database"]),
        (
            format!("{HEAD}{QUERY}{ORDERS}source:\n  |@|"),
            vec!["sqlserver", "mysql", "mariadb", "oracle", "postgres", "sqlite"],
        ),
        (format!("{HEAD}{ORDERS}source:\n  |@|"), vec!["http", "csv"]),
        (format!("{HEAD}{SOURCE}{QUERY}{ORDERS}destination:\n  |@|"), vec!["enlyze", "http", "file", "stdout"]),
        (format!("{HEAD}{SOURCE}{ORDERS}query:\n  |@|"), vec!["sql of a window", "sql of a window, with a parameter"]),
        (format!("{HEAD}{SOURCE}{ORDERS}{cursor}query:\n  |@|"), vec!["sql after a cursor"]),
        (format!("{HEAD}{SOURCE}{QUERY}table: order\nfields:\n  |@|"), vec!["all fields of an order table"]),
        (format!("{HEAD}{SOURCE}{QUERY}table: booking\nfields:\n  |@|"), vec!["all fields of a booking table"]),
        (format!("{HEAD}{SOURCE}{QUERY}{ORDERS}tests:\n  - |@|"), vec!["test of rows", "test of the SQL"]),
    ]
}

#[test]
fn what_is_inserted_makes_a_valid_spec() {
    let server = server();
    for (at, labels) in blocks() {
        let cursor = Cursor::of(&at);
        let items = server.completions(SPEC, &cursor);
        for label in labels {
            let item = items.iter().find(|item| item["label"] == label);
            let item = item.unwrap_or_else(|| panic!("{at}\n`{label}` is not offered"));
            let text = snippet::insert(&cursor, item);
            let marked = server.diagnostics(SPEC, &text);
            assert!(marked.is_empty(), "{marked:?} in\n{text}");
            let loaded = engine_spec::load("acme.yaml", text.as_bytes(), &NoCompanions);
            let errors: Vec<_> =
                loaded.diagnostics.iter().filter(|finding| finding.severity == Severity::Error).collect();
            assert!(errors.is_empty(), "{errors:?} in\n{text}");
        }
    }
}

/// A place, and what is shown there.
const HOVERS: &[(&str, &[&str])] = &[
    ("ver|@|sion: 1\n", &["Version of the spec format. Always `1`."]),
    ("sour|@|ce:\n  type: sqlite\n", &["#### Source", "Where the rows come from.", "```yaml\ntype: sqlserver\n"]),
    ("source:\n  type: sq|@|lite\n", &["* `sqlite`: A SQLite file, opened read-only.", "* `oracle`: Oracle Database."]),
    ("source:\n  type: sqlite\n  pa|@|th: x\n", &["#### Source: sqlite", "The database file, relative to the spec."]),
    (
        "source:\n  type: mysql\n  tls:\n    mo|@|de: require\n",
        &["How strict. Default `verify-full`", "* `require`: Encryption; no certificate is checked."],
    ),
    ("table: bo|@|oking\n", &["What one row of the result is.", "* `booking`: One row is one booking event"]),
    (
        "table: booking\nfields:\n  eve|@|nt: x\n",
        &["Kind of the booking, `START` or `END` after `map`.", "column: kenn\nmap:\n  A: START\n"],
    ),
    ("fields:\n  order_code:\n    unma|@|pped: keep\n", &["Default `reject`.", "* `skip`: The row is dropped."]),
    ("sync:\n  look|@|back: 14d\n", &["`window`: how far back every run reads. Default `14d`."]),
];

#[test]
fn every_key_explains_itself() {
    let server = server();
    for (at, parts) in HOVERS {
        let shown = server.hover(SPEC, &Cursor::of(at));
        for part in *parts {
            assert!(shown.contains(part), "{at}\n`{part}` is not in\n{shown}");
        }
    }
}

/// A spec with a mistake, and what is marked: the line, and a part of the message.
const MISTAKES: &[(&str, &[(u64, &str)])] = &[
    ("version: 1\nid: a\nsorce: {}\n", &[(3, "Property sorce is not allowed"), (1, "Missing property \"source\"")]),
    ("id: A B\n", &[(1, "lower-case letters, digits and hyphens")]),
    (
        "source:\n  type: sqlite\n  pth: mes.db\n",
        &[(3, "Property pth is not allowed"), (1, "Missing property \"path\"")],
    ),
    ("source:\n  type: sqlight\n", &[(2, "Valid values: \"sqlserver\", \"mysql\"")]),
    ("source:\n  type: mysql\n  password: geheim\n", &[(3, "{ env: NAME }, { file: PATH } or { credential: NAME }")]),
    ("source:\n  type: mysql\n  tls: { mode: disabel }\n", &[(3, "Valid values: \"disable\", \"prefer\"")]),
    ("table: bookings\n", &[(1, "Valid values: \"order\", \"booking\"")]),
    (
        "table: booking\nfields:\n  start: a\n",
        &[
            (3, "Property start is not allowed"),
            (2, "Missing property \"event\""),
            (2, "Missing property \"order_code\""),
        ],
    ),
    ("fields:\n  order_code: { column: a, tamplate: b }\n", &[(2, "Property tamplate is not allowed")]),
    ("fields:\n  start: { column: a, format: dd.mm.yy }\n", &[(2, "nor a strftime pattern with %")]),
    ("sync:\n  lookback: 14 days\n", &[(2, "not a period; for example 90s, 5m")]),
    ("max_rejected: 5\n", &[(1, "Expected \"string\"")]),
];

#[test]
fn a_mistake_is_marked_where_it_is() {
    let server = server();
    for (text, expected) in MISTAKES {
        let marked = server.diagnostics(SPEC, text);
        for (line, part) in *expected {
            let found = marked.iter().any(|(at, message)| at == line && message.contains(part));
            assert!(found, "{text}\n{line}: `{part}` is not among {marked:#?}");
        }
        let elsewhere: Vec<_> = marked
            .iter()
            .filter(|(at, message)| {
                !message.starts_with("Missing property") && expected.iter().all(|(line, _)| at != line)
            })
            .collect();
        assert!(elsewhere.is_empty(), "{text}\n{elsewhere:#?}");
    }
}

fn yaml_files(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn nothing_is_marked_in_a_valid_spec() {
    let server = server();
    let mut specs = Vec::new();
    yaml_files(&root().join("specs"), &mut specs);
    assert!(specs.len() > 10, "only {specs:?} were found");
    for name in specs {
        let marked = server.diagnostics(&name, &fs::read_to_string(root().join(&name)).unwrap());
        assert!(marked.is_empty(), "{name}: {marked:#?}");
    }
    let device = "version: 1\nspecs: [specs/**/*.yaml]\nlimits: { concurrency: 2 }\n";
    assert_eq!(server.diagnostics("engine.yaml", device), []);
    assert_eq!(server.diagnostics("acme/engine.yaml", &device.replace("limits", "limit")).len(), 1);
}

/// Where the tests of a spec lie that the settings of this repository know by their name.
const TESTS: &str = "specs/acme/*.tests.yaml";

#[test]
fn a_file_of_tests_is_read_as_tests() {
    let server = server();
    let labels = |at: &str| -> Vec<String> {
        let items = server.completions(TESTS, &Cursor::of(at));
        items.iter().filter_map(|item| item["label"].as_str()).map(str::to_owned).collect()
    };
    for (at, offers, hides) in [
        ("t|@|", &["tests"][..], &["source", "fields", "version"][..]),
        ("tests:\n  - |@|", &["test of rows", "test of the SQL", "name", "now"], &["tests"]),
        ("tests:\n  - name: a\n    expect:\n      |@|", &["runs", "rows", "rejected", "sql", "params"], &["name"]),
        ("tests:\n  - name: a\n    expect:\n      match: |@|", &["exact"], &["runs"]),
    ] {
        let found = labels(at);
        let has = |label: &&&str| found.iter().any(|known| known == **label);
        let missing: Vec<&&str> = offers.iter().filter(|label| !has(label)).collect();
        let shown: Vec<&&str> = hides.iter().filter(has).collect();
        assert!(missing.is_empty() && shown.is_empty(), "{at}\nmissing {missing:?}, shown {shown:?} in {found:?}");
    }
    let valid = "tests:\n  - name: a night shift\n    rows: { file: recordings/night.ndjson.gz }\n    expect:\n      \
                 runs:\n        - { order_code: \"4711\", end: null }\n      rejected: []\n";
    assert_eq!(server.diagnostics(TESTS, valid), []);
    for (wrong, line, part) in [
        (valid.replace("expect:", "expct:"), 4, "Property expct is not allowed"),
        (valid.replace("  - name: a night shift\n    rows", "  - rows"), 2, "Missing property \"name\""),
        (valid.replace("rejected: []", "rejected: none"), 7, "Expected \"array\""),
        (format!("version: 1\n{valid}"), 1, "Property version is not allowed"),
    ] {
        let marked = server.diagnostics(TESTS, &wrong);
        let found = marked.iter().any(|(at, message)| *at == line && message.contains(part));
        assert!(found, "{wrong}\n{line}: `{part}` is not among {marked:#?}");
    }
}

#[test]
fn a_line_in_the_file_names_the_schema() {
    let server = LanguageServer::start(json!({"schemaStore": {"enable": false}, "validate": true}));
    let wrong = "version: 1\nlimits: {}\n";
    assert_eq!(server.diagnostics("elsewhere/acme/*.yaml", wrong), []);
    let named = format!("# yaml-language-server: $schema=../../schemas/pipeline.schema.json\n{wrong}");
    let marked = server.diagnostics("elsewhere/acme/*.yaml", &named);
    assert!(marked.contains(&(3, "Property limits is not allowed.".to_owned())), "{marked:?}");
}
