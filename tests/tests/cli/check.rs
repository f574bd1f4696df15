//! `engine check`: what a source says of itself, in both forms, and what is in the way of a run.

use std::collections::BTreeSet;

use engine_tests::api::{Api, Told};
use engine_tests::plant::NOW;
use serde_json::{Value, json};

use crate::site;

/// The values of a fact; `None` stands for one that is unknown.
fn facts(checked: &Value, name: &str) -> Vec<Option<String>> {
    let facts = checked["facts"].as_array().expect("facts").iter().filter(|fact| fact["name"] == name);
    facts.map(|fact| fact["value"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_file_is_shown_with_its_first_rows() {
    let (workspace, plant, _spec) = site();
    plant.execute("UPDATE auftrag SET anr = NULL WHERE id = 1");
    let text = workspace.engine(&["check", "--now", NOW, "--rows", "3", "acme.yaml"]).expect(0).stdout;
    for part in [
        "acme (sqlite)",
        "server       SQLite 3.",
        "encryption   none: a local file",
        "session      read-only (the handle is read-only, query_only = 1)",
        "characters   UTF-8",
        "plan         all of auftrag",
        "runs.ndjson",
        "sample: 3 rows, and there are more; the first came after ",
        "INTEGER",
        "whole number",
        "4711003",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    assert!(!text.contains("4711004") && !text.contains("clock") && !text.contains("rights"), "{text}");
    assert!(!workspace.path(".engine").exists() && !workspace.path("runs.ndjson").exists(), "nothing is kept or sent");
}

#[test]
fn the_json_form_says_the_same() {
    let (workspace, ..) = site();
    let json = workspace.engine(&["check", "-o", "json", "--now", NOW, "acme.yaml"]).expect(0).json();
    let checked = &json[0];
    let members: BTreeSet<&str> = checked.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(members, BTreeSet::from(["facts", "failures", "ok", "pipeline", "remarks", "sample", "source"]));
    assert_eq!(
        (&checked["pipeline"], &checked["source"], &checked["ok"]),
        (&json!("acme"), &json!("sqlite"), &json!(true))
    );
    assert_eq!(facts(checked, "characters"), [Some("UTF-8".to_owned())]);
    let sample = &checked["sample"];
    assert_eq!(sample["columns"][0], json!({ "name": "id", "type": "INTEGER", "kind": "whole number" }));
    assert_eq!((sample["rows"].as_array().map(Vec::len), &sample["more"]), (Some(5), &json!(true)));
    assert_eq!(sample["rows"][0][0], 1);
    assert!(sample["first_row_ms"].is_u64(), "{sample}");
}

#[test]
fn an_index_is_asked_for_where_a_large_table_is_read_whole() {
    let (workspace, plant, mut spec) = site();
    plant.orders(11..12_001);
    let about = || {
        let json = workspace.engine(&["check", "-o", "json", "--now", NOW, "acme.yaml"]).expect(0).json();
        let remarks = json[0]["remarks"].as_array().expect("remarks").clone();
        remarks.iter().map(|remark| format!("{} {}", remark["about"], remark["severity"])).collect::<Vec<_>>()
    };
    assert_eq!(about(), ["\"plan\" \"note\""]);
    plant.execute("CREATE INDEX auftrag_von ON auftrag (von)");
    assert_eq!(about(), [""; 0]);
    // Who asks for everything reads everything.
    plant.execute("DROP INDEX auftrag_von");
    spec["query"]["sql"] = "SELECT * FROM auftrag".into();
    spec["sync"] = json!({ "mode": "full" });
    workspace.spec("acme.yaml", &spec);
    assert_eq!(about(), [""; 0]);
}

#[test]
fn a_query_with_a_cursor_is_shown_from_its_beginning() {
    let (workspace, _plant, mut spec) = site();
    spec["query"]["sql"] = "SELECT * FROM auftrag WHERE id > {{ cursor.id }} ORDER BY id".into();
    spec["sync"] = json!({ "mode": "cursor", "cursor": ["id"] });
    workspace.spec("acme.yaml", &spec);
    let json = workspace.engine(&["check", "-o", "json", "acme.yaml"]).expect(0).json();
    assert_eq!(json[0]["sample"]["rows"].as_array().map(Vec::len), Some(5), "{json}");
}

#[test]
fn what_is_in_the_way_has_an_exit_code_and_words() {
    let failing = |code: i32, parts: &[&str], change: &dyn Fn(&mut Value)| {
        let (workspace, _plant, mut spec) = site();
        change(&mut spec);
        workspace.spec("acme.yaml", &spec);
        let mut outcome = workspace.engine(&["check", "--now", NOW, "acme.yaml"]).expect(code);
        for part in parts {
            outcome = outcome.says(part);
        }
        let json = workspace.engine(&["check", "-o", "json", "--now", NOW, "acme.yaml"]).expect(code);
        if !json.stdout.is_empty() {
            assert_eq!(json.json()[0]["ok"], false, "{json}");
        }
    };
    failing(2, &["unknown_key", "lookback"], &|spec| spec["sync"] = json!({ "lookbak": "1d" }));
    failing(2, &["error: querying sqlite file", "no_such_table", "hint: ", "SQLite 3."], &|spec| {
        spec["query"]["sql"] =
            "SELECT * FROM no_such_table WHERE von >= {{ window.start }} AND von < {{ window.end }}".into();
    });
    failing(3, &["opening sqlite file", "elsewhere.db", "source.path"], &|spec| {
        spec["source"]["path"] = "elsewhere.db".into();
    });
    failing(3, &["source.path", "MES_FILE"], &|spec| spec["source"]["path"] = json!({ "env": "MES_FILE" }));
    failing(3, &["no/such/folder", "sample: "], &|spec| {
        spec["destination"] = json!({ "type": "file", "path": "no/such/folder/runs.ndjson" });
    });
    failing(3, &["the destination at 127.0.0.1:1", "sample: "], &|spec| {
        spec["destination"] = json!({ "type": "http", "url": "http://127.0.0.1:1/runs" });
    });
}

#[test]
fn one_broken_source_does_not_hide_the_others() {
    let (workspace, _plant, mut spec) = site();
    spec["id"] = "broken".into();
    spec["source"]["path"] = "elsewhere.db".into();
    workspace.spec("a-broken.yaml", &spec);
    let json = workspace.engine(&["check", "-o", "json", "--now", NOW, "."]).expect(3).json();
    let outcomes: Vec<_> = json.as_array().expect("a list").iter().map(|one| (&one["pipeline"], &one["ok"])).collect();
    assert_eq!(outcomes, [(&json!("broken"), &json!(false)), (&json!("acme"), &json!(true))]);
}

#[test]
fn a_folder_of_files_is_counted() {
    let (workspace, _plant, mut spec) = site();
    workspace
        .write("in/orders-1.csv", "id;anr;artnr;mnr;von;bis;menge\n1;47;p;M1;2025-03-29 06:00;2025-03-29 07:00;1\n");
    spec.as_object_mut().expect("a spec").remove("query");
    spec["source"] = json!({ "type": "csv", "path": "in", "delimiter": ";", "timezone": "Europe/Berlin",
                             "encoding": "windows-1252", "settle": "1h" });
    workspace.spec("acme.yaml", &spec);
    let growing = workspace.engine(&["check", "acme.yaml"]).expect(0).says("0 to read, 0 bytes, 1 still growing");
    growing.says("note: 1 file may still grow").says("sample: no rows");
    spec["source"]["settle"] = "0s".into();
    workspace.spec("acme.yaml", &spec);
    let read =
        workspace.engine(&["check", "acme.yaml"]).expect(0).says("1 to read, ").says("the newest is orders-1.csv");
    read.says("characters   windows-1252").says("sample: 1 row; it came after ").says("2025-03-29 06:00");
}

#[test]
fn an_api_is_asked_for_its_first_page() {
    const CANARY: &str = "canary-77ab";
    let (mut workspace, _plant, mut spec) = site();
    workspace.env("TOKEN", CANARY);
    let rows = json!([{ "id": 1, "anr": "47" }, { "id": 2, "anr": "48" }]);
    let api = Api::start(move |asked, _| match asked.headers.get("authorization") {
        Some(login) if login.ends_with(CANARY) => Told::json(&rows).with("Date", "Sun, 30 Mar 2025 00:30:00 GMT"),
        other => Told::status(401).body(json!({ "message": format!("not with {other:?}") }).to_string()),
    });
    spec.as_object_mut().expect("a spec").remove("query");
    spec["source"] = json!({ "type": "http", "url": api.url(), "timezone": "UTC",
                             "auth": { "bearer": { "env": "TOKEN" } } });
    spec["sync"] = json!({ "mode": "full" });
    spec["fields"].as_object_mut().expect("fields").remove("quantity_total");
    workspace.spec("acme.yaml", &spec);
    let json = workspace.engine(&["check", "-o", "json", "acme.yaml"]).expect(0).json();
    let said = |name: &str| facts(&json[0], name);
    assert_eq!(said("status"), [Some("200".to_owned())]);
    assert_eq!(said("content"), [Some("application/json".to_owned())]);
    assert_eq!(said("first page"), [Some("2 records, no further page".to_owned())]);
    assert_eq!(json[0]["remarks"][0]["about"], "clock", "the API lives in the past");
    workspace.env("TOKEN", "canary-of-yesterday");
    let refused = workspace.engine(&["check", "acme.yaml"]).expect(3).says("401").says("source.auth");
    assert!(!refused.to_string().contains("canary"), "{refused}");
}
