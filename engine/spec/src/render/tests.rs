use serde_json::Value;

use super::*;
use crate::{NoCompanions, load};

const SPEC: &str = "version: 1\nid: Müller\ntable: order\nshedule: { every: 2m }\nsource:\n  type: sqlserver\n  host: h\n  database: d\n  username: u\n  password: hunter2\n  timezone: UTC\n";

fn findings() -> Vec<FileFindings> {
    let loaded = load("specs/a,b.yaml", SPEC.as_bytes(), &NoCompanions);
    vec![FileFindings { text: loaded.file.text, findings: loaded.diagnostics }]
}

#[test]
fn people_get_a_line_a_frame_a_path_and_advice() {
    let text = text::render(&findings(), false);
    for part in [
        "specs/a,b.yaml:2:5: error[bad_value]: `Müller` is not an id",
        "specs/a,b.yaml:4:1: error[unknown_key]: unknown key `shedule` at the top level",
        "4 | shedule: { every: 2m }\n  | ^^^^^^^",
        "help: did you mean `schedule`?",
        "at: source.password",
        "error[missing_key]: the file lacks the key `fields`",
        "1 file: ",
    ] {
        assert!(text.contains(part), "`{part}` in\n{text}");
    }
    assert!(!text.contains('\u{1b}'));
    assert!(text::render(&findings(), true).contains('\u{1b}'));
}

#[test]
fn no_form_shows_a_secret() {
    let files = findings();
    for (form, out) in [
        ("text", text::render(&files, false)),
        ("json", json::render(&files)),
        ("github", github::render(&files)),
        ("gitlab", gitlab::render(&files)),
        ("sarif", sarif::render(&files)),
    ] {
        assert!(out.contains("literal_secret"), "{form}: {out}");
        assert!(!out.contains("hunter2"), "{form}: {out}");
    }
}

#[test]
fn a_secret_is_struck_out_wherever_it_was_written() {
    let base = "version: 1\nid: a\ntable: order\nsync: { mode: full }\nkey: [id]\nfields: { order_code: a, product_code: b, machine_code: c, start: d, end: e }\n";
    for (secret, code) in [
        ("source: { type: http, url: \"https://u:hunter2@h\", timezone: UTC }", codes::LITERAL_SECRET),
        (
            "source: { type: http, url: \"https://h\", timezone: UTC, auth: { bearer: 00hunter2 } }",
            codes::LITERAL_SECRET,
        ),
        ("source: { type: http, url: \"https://h\", timezone: UTC, auth: { bearer: 123_456 } }", codes::LITERAL_SECRET),
        (
            "source: { type: http, url: \"https://h\", timezone: UTC, auth: { bearer: { env: A, default: hunter2 } } }",
            codes::SECRET_DEFAULT,
        ),
        (
            "source: { type: http, url: \"https://h\", timezone: UTC, request: { headers: { Authorization: hunter2 } } }",
            codes::LITERAL_SECRET,
        ),
    ] {
        let loaded = load("a.yaml", format!("{base}{secret}\n").as_bytes(), &NoCompanions);
        let codes: Vec<&str> = loaded.diagnostics.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [code], "{secret}");
        let files = [FileFindings { text: loaded.file.text, findings: loaded.diagnostics }];
        let others = [json::render(&files), github::render(&files), gitlab::render(&files), sarif::render(&files)];
        for out in [text::render(&files, false)].into_iter().chain(others) {
            assert!(!out.contains("hunter2") && !out.contains("123_456"), "{out}");
        }
    }
}

#[test]
fn json_and_sarif_are_documents_with_every_finding() {
    let files = findings();
    let all = files[0].findings.len();
    let json: Value = serde_json::from_str(&json::render(&files)).expect("JSON");
    assert_eq!(json["findings"].as_array().map(Vec::len), Some(all));
    assert!(json["findings"][1]["fix"].is_object() || json["findings"][2]["fix"].is_object());
    let sarif: Value = serde_json::from_str(&sarif::render(&files)).expect("JSON");
    assert_eq!(sarif["version"], "2.1.0");
    assert_eq!(sarif["runs"][0]["results"].as_array().map(Vec::len), Some(all));
    assert_eq!(
        sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "specs/a%2Cb.yaml"
    );
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    let unknown = results.iter().find(|result| result["ruleId"] == "unknown_key").expect("an unknown key");
    let fix = &unknown["fixes"][0]["artifactChanges"][0]["replacements"][0];
    assert_eq!(fix["insertedContent"]["text"], "schedule");
    let region = serde_json::json!({"startLine": 4, "startColumn": 1, "endLine": 4, "endColumn": 8});
    assert_eq!(fix["deletedRegion"], region, "{sarif:#}");
}

#[test]
fn github_commands_escape_what_separates_them() {
    let out = github::render(&findings());
    assert!(out.contains("::error file=specs/a%2Cb.yaml,line=4,col=1,"), "{out}");
    assert!(out.contains("title=unknown_key::unknown key `shedule` at the top level%0Adid you mean"), "{out}");
}

#[test]
fn gitlab_knows_a_finding_again_when_its_line_moves() {
    let issues = |text: &str, name: &str| -> Vec<Value> {
        let loaded = load(name, text.as_bytes(), &NoCompanions);
        let files = [FileFindings { text: loaded.file.text, findings: loaded.diagnostics }];
        serde_json::from_str(&gitlab::render(&files)).expect("JSON")
    };
    let fingerprints = |issues: &[Value]| -> Vec<String> {
        issues.iter().map(|issue| issue["fingerprint"].as_str().expect("text").to_owned()).collect()
    };
    let before = issues(SPEC, "./specs/a,b.yaml");
    assert_eq!(before.len(), findings()[0].findings.len());
    let issue = before.iter().find(|issue| issue["check_name"] == "unknown_key").expect("the typo is found");
    assert_eq!(issue["location"]["path"], "specs/a,b.yaml");
    assert_eq!(issue["location"]["positions"]["begin"], serde_json::json!({"line": 4, "column": 1}));
    assert_eq!(issue["severity"], "critical");
    assert!(issue["description"].as_str().is_some_and(|text| text.ends_with("; did you mean `schedule`?")), "{issue}");
    let moved = issues(&format!("# a comment\n{SPEC}"), "specs/a,b.yaml");
    assert_eq!(fingerprints(&moved), fingerprints(&before));
    let elsewhere = issues(SPEC, "specs/other.yaml");
    let all: std::collections::BTreeSet<String> =
        fingerprints(&before).into_iter().chain(fingerprints(&elsewhere)).collect();
    assert_eq!(all.len(), before.len() * 2, "no two findings are one");
}
