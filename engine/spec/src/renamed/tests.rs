use super::*;
use crate::fix::fix_with;
use crate::load::{load_device_with, load_with};
use crate::schema;
use crate::{NoCompanions, Severity};

/// Keys as if they had been renamed: at the top level, in a block, in every kind of a block, and in every attribute.
const TABLE: &[RenamedKey] = &[
    row(Document::Pipeline, "", "columns", "fields"),
    row(Document::Pipeline, "/sync", "history", "lookback"),
    row(Document::Pipeline, "/source", "zone", "timezone"),
    row(Document::Pipeline, "/fields/attributes/*", "codes", "map"),
    row(Document::Pipeline, "/tests/*", "title", "name"),
    row(Document::Device, "/log", "verbosity", "level"),
];

const fn row(document: Document, block: &'static str, old: &'static str, new: &'static str) -> RenamedKey {
    RenamedKey { document, block, old, new, since: "1.4.0", why: "it says what it is" }
}

const OLD: &str = "version: 1
id: example
source: { type: sqlite, path: mes.db, zone: UTC } # of the server
table: booking
query:
  sql: |
    SELECT id, a, b, c, k, s, ts FROM t
    WHERE ts >= {{ window.start }} AND ts < {{ window.end }}
key: [id]
columns:
  timestamp: ts
  order_code: a
  product_code: b
  machine_code: c
  event: { column: k, map: { A: START, E: END } }
  attributes: { shift: { column: s, codes: { F: early } }, kind: k }
sync: { mode: window, history: 3d }
tests:
  - { title: nothing, rows: [], expect: { runs: [] } }
";

fn new() -> String {
    let renamed = TABLE.iter().filter(|row| row.document == Document::Pipeline);
    renamed.fold(OLD.to_owned(), |text, row| text.replace(&format!("{}:", row.old), &format!("{}:", row.new)))
}

fn findings(text: &str) -> Vec<(usize, &'static str, String)> {
    let loaded = load_with("a.yaml", text.as_bytes(), &NoCompanions, TABLE);
    let place = |finding: &Diagnostic| loaded.file.text.line_column(finding.span.start).line;
    loaded.diagnostics.iter().map(|finding| (place(finding), finding.code, finding.path())).collect()
}

fn fixed(text: &str) -> String {
    let fixed = fix_with("a.yaml", text.as_bytes(), &NoCompanions, TABLE);
    fixed.files.into_iter().next().map_or_else(|| text.to_owned(), |file| file.content)
}

#[test]
fn a_key_is_read_under_its_old_name_and_told() {
    let (old, new) = (load_with("a.yaml", OLD.as_bytes(), &NoCompanions, TABLE), new());
    assert_eq!(findings(&new), []);
    assert_eq!(old.spec, load_with("a.yaml", new.as_bytes(), &NoCompanions, &[]).spec);
    assert!(old.spec.is_some() && !old.has_errors());
    let told = |line, path: &str| (line, "renamed_key", path.to_owned());
    let expected = [
        told(3, "source.zone"),
        told(10, "columns"),
        told(16, "fields.attributes.shift.codes"),
        told(17, "sync.history"),
        told(19, "tests[0].title"),
    ];
    assert_eq!(findings(OLD), expected);
    let of_sync = old.diagnostics.iter().find(|finding| finding.pointer == "/sync/history").expect("a finding");
    assert_eq!(of_sync.severity, Severity::Warning);
    assert_eq!(of_sync.message, "`history` is called `lookback` since version 1.4.0: it says what it is");
    assert_eq!(old.file.text.text.get(of_sync.span.clone()), Some("history"));
}

#[test]
fn the_new_name_is_written_and_nothing_else_changes() {
    assert_eq!(fixed(OLD), new());
    assert_eq!(fixed(&new()), new());
}

#[test]
fn it_is_silenced_where_it_stands() {
    let allowed = OLD.replace("3d }", "3d } # engine: allow(renamed_key): the device is older");
    assert!(!findings(&allowed).iter().any(|(line, ..)| *line == 17));
    assert!(fixed(&allowed).contains("history: 3d"), "what is allowed stays");
}

#[test]
fn a_value_under_an_old_name_is_checked_at_its_place() {
    let wrong = OLD.replace("history: 3d", "history: 3 days");
    assert!(findings(&wrong).contains(&(17, "bad_value", "sync.lookback".to_owned())), "{:?}", findings(&wrong));
    let typed = OLD.replace("{ F: early }", "[F]");
    let expected = (16, "wrong_type", "fields.attributes.shift.map".to_owned());
    assert!(findings(&typed).contains(&expected), "{:?}", findings(&typed));
}

#[test]
fn both_names_are_one_too_many() {
    let both = new().replace("lookback: 3d", "lookback: 3d, history: 5d");
    assert_eq!(findings(&both), [(17, "duplicate_key", "sync.history".to_owned())]);
    assert_eq!(fixed(&both), both);
}

#[test]
fn a_device_config_has_old_names_as_well() {
    let loaded = load_device_with("engine.yaml", b"version: 1\nlog: { verbosity: debug }\n", TABLE);
    let found: Vec<_> = loaded.diagnostics.iter().map(|finding| (finding.code, finding.path())).collect();
    assert_eq!(found, [("renamed_key", "log.verbosity".to_owned())]);
    assert!(loaded.device.is_some());
}

#[test]
fn an_editor_strikes_the_old_name_through_and_offers_it_to_nobody() {
    let [(_, pipeline), (_, device), _] = schema::files_with(TABLE);
    let schema: Value = serde_json::from_str(&pipeline).expect("JSON");
    let struck = |pointer: &str| {
        let property = schema.pointer(pointer).unwrap_or(&Value::Null);
        assert_eq!(property["deprecated"], json!(true), "{pointer}");
        assert_eq!(property["doNotSuggest"], json!(true), "{pointer}");
        assert_eq!(property["deprecationMessage"], property["markdownDescription"], "{pointer}");
        property["deprecationMessage"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(struck("/properties/columns"), "`columns` is called `fields` since version 1.4.0: it says what it is");
    struck("/definitions/Sync/properties/history");
    struck("/definitions/SpecTest/properties/title");
    let with_zone = schema.to_string().matches("\"`zone` is called `timezone`").count();
    let sources = schema["definitions"]["Source"]["properties"]["type"]["enum"].as_array().map_or(0, Vec::len);
    assert_eq!(with_zone, sources * 3, "one key for each kind of source, with three texts");
    assert!(device.contains("`verbosity` is called `level`") && !device.contains("`history`"));
    let compiled = schema::compile(&schema);
    let value = |text: &str| crate::load::peek("a.yaml", text.as_bytes()).value;
    let one = OLD.replace("columns:", "fields:");
    assert!(compiled.is_valid(&value(&one.replace("title:", "name:"))));
    assert!(!compiled.is_valid(&value(&new().replace("lookback: 3d", "history: 3 days"))));
}

#[test]
fn the_reference_lists_the_old_names() {
    assert_eq!(
        reference(&[TABLE[1], TABLE[5]]),
        "| before | now | since | why |\n| --- | --- | --- | --- |\n\
         | `sync.history` | `sync.lookback` | 1.4.0 | it says what it is. |\n\
         | `engine.yaml: log.verbosity` | `engine.yaml: log.level` | 1.4.0 | it says what it is. |\n"
    );
    assert_eq!(reference(&[]), "");
}

/// What is wrong with a table: a row must name a key that there is, and an old name that there is not.
fn mistakes(table: &[RenamedKey]) -> Vec<String> {
    let mut mistakes = Vec::new();
    for row in table {
        let schema = row.document.schema();
        let places = schemas_of(schema, row);
        if places.is_empty() {
            mistakes.push(format!("there is no `{}`", child(row.block, row.new)));
        }
        if places.iter().any(|at| schema.pointer(&format!("{at}/properties/{}", row.old)).is_some()) {
            mistakes.push(format!("there is a key `{}`", child(row.block, row.old)));
        }
        if row.why.ends_with('.') || row.why.is_empty() || row.since.split('.').any(|part| part.parse::<u32>().is_err())
        {
            mistakes.push(format!("`{}` does not say since when, or why", row.old));
        }
    }
    mistakes
}

#[test]
fn every_row_names_a_key_of_today() {
    assert_eq!(mistakes(RENAMED), [""; 0]);
    assert_eq!(mistakes(TABLE), [""; 0]);
    let wrong = [
        row(Document::Pipeline, "/sync", "history", "lookbak"),
        row(Document::Pipeline, "/snyc", "history", "lookback"),
        row(Document::Pipeline, "/sync", "mode", "lookback"),
        RenamedKey { since: "soon", ..TABLE[0] },
    ];
    assert_eq!(mistakes(&wrong).len(), wrong.len());
}
