//! `engine render`: exactly what is sent, in every dialect, also where the clock changes.

use engine_tests::binary::{Workspace, root};
use serde_json::{Value, json};

use crate::golden;

/// A plain day, the hour after a clock was put forward, and the hour that a clock repeats.
const MOMENTS: [&str; 3] = ["2025-02-03T11:30:00Z", "2025-03-30T01:15:00Z", "2025-10-26T01:15:00Z"];

fn spec(kind: &str) -> Value {
    let mut source = json!({ "type": kind, "timezone": "Europe/Berlin" });
    if kind == "sqlite" {
        source["path"] = "mes.db".into();
    } else {
        let database = if kind == "oracle" { "MESPDB" } else { "mes" };
        source["host"] = "10.20.0.5".into();
        source["database"] = database.into();
        source["username"] = "etl".into();
        source["password"] = json!({ "env": "DB_PASSWORD" });
    }
    json!({
        "version": 1, "id": format!("{kind}-bookings"), "source": source, "table": "booking",
        "query": {
            "params": { "plants": [1000, 1100], "area": "Halle '7'; --", "table": "order booking" },
            "sql": "SELECT id, anr, artnr, mnr, kenn, zeit\n\
                    FROM {{ params.table | ident }}\n\
                    WHERE werk IN ({{ params.plants }}) AND bereich = {{ params.area }}\n\
                    {%- if params.area %} AND storno = 0 {% endif %}\n\
                    AND zeit >= {{ window.start }} AND zeit < {{ window.end }}\n\
                    AND tag >= {{ window.start | date }} AND tag < {{ window.end | date }}\n\
                    AND utc >= {{ window.start | utc }} AND sek < {{ window.end | epoch }}\n\
                    AND jjjjmmtt >= {{ window.start | format(\"%Y%m%d\") }}\n",
        },
        "key": ["id"],
        "fields": { "timestamp": "zeit", "order_code": "anr", "product_code": "artnr", "machine_code": "mnr",
                    "event": "kenn" },
        "sync": { "lookback": "1h" },
    })
}

#[test]
fn every_dialect_is_rendered_as_it_is_sent() {
    for kind in ["sqlserver", "mysql", "mariadb", "oracle", "postgres", "sqlite"] {
        let workspace = Workspace::new();
        workspace.spec("a.yaml", &spec(kind));
        let mut text = String::new();
        for now in MOMENTS {
            let rendered = workspace.engine(&["render", "--now", now, "a.yaml"]).expect(0).stdout;
            assert!(!rendered.contains("Halle '7'; --\n"), "a value is in the text of the statement");
            text.push_str(&format!("==== {now}\n{rendered}"));
        }
        golden(&format!("render/{kind}.sql"), &text);
    }
}

/// What the specs that come with the engine ask of their sources.
#[test]
fn every_worked_spec_is_rendered_as_it_is_sent() {
    let specs = root().join("specs").display().to_string();
    let rendered = Workspace::new().engine(&["render", "--now", "2025-03-31T12:00:00Z", &specs]).expect(0).stdout;
    golden("render/worked-specs.txt", &rendered);
}

#[test]
fn the_json_form_says_the_same() {
    let workspace = Workspace::new();
    workspace.spec("a.yaml", &spec("postgres"));
    let json = workspace.engine(&["render", "-o", "json", "--now", MOMENTS[0], "a.yaml"]).expect(0).json();
    assert_eq!(json[0]["pipeline"], "postgres-bookings");
    let params = json[0]["params"].as_array().expect("parameters");
    let sql = json[0]["sql"].as_str().expect("a statement");
    assert!(sql.contains(&format!("${}", params.len())) && !sql.contains(&format!("${}", params.len() + 1)), "{sql}");
    assert_eq!(params[0], json!({ "origin": "params.plants", "type": "integer", "value": 1000 }));
    assert!(sql.contains("\"order booking\""), "{sql}");
}

/// Bounds move outward: the hour that the clock repeats is read as a whole.
#[test]
fn a_repeated_hour_is_read_as_a_whole() {
    let workspace = Workspace::new();
    workspace.spec("a.yaml", &spec("sqlite"));
    let bounds = |now: &str| {
        let json = workspace.engine(&["render", "-o", "json", "--now", now, "a.yaml"]).expect(0).json();
        let params = json[0]["params"].as_array().expect("parameters").clone();
        let of = |origin: &str| {
            let first = params.iter().find(|one| one["origin"].as_str().is_some_and(|text| text.starts_with(origin)));
            first.expect("a bound")["value"].as_str().expect("text").replace('T', " ")[..16].to_owned()
        };
        (of("window.start"), of("window.end"))
    };
    let pair = |start: &str, end: &str| (start.to_owned(), end.to_owned());
    // 02:15 comes twice; the window of an hour spans from the first to the second.
    assert_eq!(bounds("2025-10-26T01:15:00Z"), pair("2025-10-26 02:00", "2025-10-26 03:00"));
    assert_eq!(bounds("2025-10-26T03:15:00Z"), pair("2025-10-26 03:15", "2025-10-26 04:15"));
    assert_eq!(bounds("2025-03-30T03:15:00Z"), pair("2025-03-30 04:15", "2025-03-30 05:15"));
}

#[test]
fn nothing_is_needed_of_the_environment() {
    let workspace = Workspace::new();
    workspace.spec("a.yaml", &spec("oracle"));
    workspace.engine(&["render", "a.yaml"]).expect(0).says("oracle-bookings");
    assert!(!workspace.path(".engine").exists(), "rendering keeps nothing");
}
