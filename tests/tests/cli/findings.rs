//! `validate-spec` and `engine validate-spec`: the same findings in every form.

use std::collections::BTreeSet;

use engine_tests::binary::{Workspace, root, validator};
use serde_json::Value;

use crate::golden;

/// The planted faults: a spec of the set that must be refused, and the codes that its first line announces.
fn ten_faults() -> (Workspace, BTreeSet<String>) {
    let text = std::fs::read_to_string(root().join("tests/specs/invalid/ten_faults.yaml")).expect("the spec is there");
    let announced = text.lines().next().and_then(|line| line.strip_prefix("# expect: ")).expect("codes");
    let codes = announced.split_whitespace().map(str::to_owned).collect();
    let workspace = Workspace::new();
    workspace.write("ten_faults.yaml", text);
    (workspace, codes)
}

#[test]
fn every_planted_fault_is_found_in_one_go() {
    let (workspace, codes) = ten_faults();
    assert_eq!(codes.len(), 10);
    let json = workspace.engine(&["validate-spec", "-o", "json", "ten_faults.yaml"]).expect(2).json();
    let errors = json["findings"].as_array().expect("findings").iter().filter(|one| one["severity"] == "error");
    let found: BTreeSet<String> = errors.filter_map(|one| one["code"].as_str()).map(str::to_owned).collect();
    assert_eq!(found, codes);
    for finding in json["findings"].as_array().expect("findings") {
        assert!(finding["line"].as_u64() >= Some(1) && finding["column"].as_u64() >= Some(1), "{finding}");
        assert_eq!(finding["file"], "ten_faults.yaml");
    }
    assert!(!json.to_string().contains("hunter2"), "a literal secret is not repeated");
}

#[test]
fn both_programs_say_the_same_in_every_form() {
    let (workspace, codes) = ten_faults();
    for form in ["text", "json", "github", "sarif"] {
        let args = ["validate-spec", "-o", form, "ten_faults.yaml"];
        let one = workspace.engine(&args).expect(2);
        let other = workspace.run(&validator(), &args[1..]).expect(2);
        assert_eq!(one.stdout, other.stdout, "{form}");
        for code in &codes {
            assert!(one.stdout.contains(code.as_str()), "{code} is not in {form}");
        }
        assert!(!one.stdout.contains("hunter2"), "{form} shows a secret");
        golden(&format!("findings/ten_faults.{form}"), &one.stdout);
    }
}

#[test]
fn the_forms_are_those_that_machines_read() {
    let (workspace, codes) = ten_faults();
    let say = |form: &str| workspace.engine(&["validate-spec", "-o", form, "ten_faults.yaml"]).expect(2);
    let sarif = say("sarif").json();
    assert_eq!(sarif["version"], "2.1.0");
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    assert!(results.len() >= codes.len());
    let rules: BTreeSet<&str> = sarif["runs"][0]["tool"]["driver"]["rules"]
        .as_array()
        .expect("rules")
        .iter()
        .filter_map(|rule| rule["id"].as_str())
        .collect();
    for result in results {
        assert!(result["ruleId"].as_str().is_some_and(|rule| rules.contains(rule)), "{result}");
        assert!(result["locations"][0]["physicalLocation"]["region"]["startLine"].is_u64(), "{result}");
    }
    for line in say("github").stdout.lines() {
        assert!(
            ["::error file=", "::warning file=", "::notice file="].iter().any(|start| line.starts_with(start)),
            "{line}"
        );
    }
    let text = say("text").stdout;
    assert!(text.contains("ten_faults.yaml:4:1: error[unknown_key]"), "{text}");
    assert!(text.contains("did you mean `schedule`"), "{text}");
}

#[test]
fn a_sound_spec_has_no_findings_and_warnings_can_be_errors() {
    let (workspace, _plant, mut spec) = crate::site();
    workspace.engine(&["validate-spec", "acme.yaml"]).expect(0);
    spec.as_object_mut().expect("a spec").shift_remove("key");
    workspace.spec("acme.yaml", &spec);
    let json: Value = workspace.engine(&["validate-spec", "-o", "json", "acme.yaml"]).expect(0).json();
    assert_eq!(json["findings"][0]["severity"], "warning", "{json}");
    workspace.engine(&["validate-spec", "--strict", "acme.yaml"]).expect(2);
}

#[test]
fn references_are_checked_when_that_is_asked_for() {
    let (mut workspace, _plant, mut spec) = crate::site();
    spec["source"]["path"] = serde_json::json!({ "env": "MES_FILE" });
    workspace.spec("acme.yaml", &spec);
    workspace.engine(&["validate-spec", "acme.yaml"]).expect(0);
    workspace.engine(&["validate-spec", "--env", "acme.yaml"]).expect(3).says("MES_FILE").says("unresolved_reference");
    workspace.env("MES_FILE", "mes.db");
    workspace.engine(&["validate-spec", "--env", "acme.yaml"]).expect(0);
}

#[test]
fn what_is_no_spec_is_told_and_breaks_nothing() {
    let workspace = Workspace::new();
    for (name, content) in [
        ("empty.yaml", &b""[..]),
        ("binary.yaml", b"\x00\x01\x02\xff\xfe"),
        ("latin.yaml", b"version: 1\nid: m\xfcller\n"),
        ("list.yaml", b"- 1\n- 2\n"),
        ("unclosed.yaml", b"version: 1\nfields: { a: [\n"),
        ("deep.yaml", &b"[".repeat(5_000)),
        ("tab.yaml", b"version: 1\n\tid: a\n"),
        ("bomb.yaml", b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nversion: *c\n"),
    ] {
        workspace.write(name, content);
        let outcome = workspace.engine(&["validate-spec", "-o", "json", name]).expect(2);
        assert!(outcome.json()["errors"].as_u64() >= Some(1), "{name}: {outcome}");
        workspace.engine(&["run", "--once", name]).expect(2).says(name);
    }
}

#[test]
fn what_is_certain_is_shown_and_put_right_by_both_programs() {
    let (workspace, _) = ten_faults();
    let before = workspace.read("ten_faults.yaml");
    for program in [validator(), engine_tests::binary::engine().to_owned()] {
        workspace.write("ten_faults.yaml", &before);
        let verb: &[&str] = if program == validator() { &[] } else { &["validate-spec"] };
        let say = |flag: &str| workspace.run(&program, &[verb, &[flag, "ten_faults.yaml"]].concat()).expect(2);
        let diff = say("--diff").stdout;
        assert!(
            diff.contains("\n-shedule: { every: 2m }\n") && diff.contains("\n+schedule: { every: 2m }\n"),
            "{diff}"
        );
        assert!(!diff.contains("hunter2"), "the diff shows a secret");
        assert_eq!(workspace.read("ten_faults.yaml"), before, "`--diff` writes nothing");
        let fixed = say("--fix");
        assert!(fixed.stderr.contains("fixed ten_faults.yaml:4: unknown_key: "), "{}", fixed.stderr);
        assert!(fixed.stderr.contains("fixed ten_faults.yaml:5: ambiguous_scalar: "), "{}", fixed.stderr);
        assert!(fixed.stdout.ends_with("1 file: 8 errors, 0 warnings\n"), "{}", fixed.stdout);
        let right = before.replace("shedule", "schedule").replace("country: no", "country: \"no\"");
        assert_eq!(workspace.read("ten_faults.yaml"), right);
    }
}
