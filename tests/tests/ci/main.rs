//! What a repository of specs takes for its CI: the files in `deploy/ci`, and the hooks for pre-commit.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod hooks;
mod pipeline;

use std::fs;
use std::process::{Command, Output};

use engine_tests::binary::root;
use pipeline::{Project, Step, tools};
use serde_json::Value;

/// A spec that is valid, and whose test passes.
pub const GOOD: &str = r#"version: 1
id: acme-bookings
source: { type: sqlite, path: mes.db, timezone: Europe/Berlin }
table: booking
query:
  sql: |
    SELECT id, order_no, product, machine, kind, booked_at FROM booking
    WHERE booked_at >= {{ window.start }} AND booked_at < {{ window.end }}
key: [id]
fields:
  timestamp: booked_at
  order_code: order_no
  product_code: product
  machine_code: machine
  event: { column: kind, map: { A: START, E: END } }
destination: { type: stdout }
tests:
  - name: a run
    rows:
      - { id: 1, order_no: "4711", product: P, machine: M1, kind: A, booked_at: 2025-03-01T06:00:00 }
      - { id: 2, order_no: "4711", product: P, machine: M1, kind: E, booked_at: 2025-03-01T08:00:00 }
    expect:
      runs: [{ order_code: "4711", machine_code: M1, start: 2025-03-01T05:00:00Z, end: 2025-03-01T07:00:00Z }]
"#;

/// The same with a typo in line 10.
pub fn invalid() -> String {
    GOOD.replace("key: [id]", "key: [id]\nsync: { lookbak: 14d }")
}

/// The same, with a test that fails.
pub fn failing() -> String {
    GOOD.replace("07:00:00Z", "07:30:00Z")
}

fn codes(steps: &[Step]) -> Vec<(&str, Option<i32>)> {
    steps.iter().map(|step| (step.name.as_str(), step.code)).collect()
}

fn step<'a>(steps: &'a [Step], name: &str) -> &'a Step {
    steps.iter().find(|step| step.name == name).unwrap_or_else(|| panic!("no step {name} in {steps:?}"))
}

fn of_schema(schema: &str, file: &str) -> Output {
    Command::new("python3")
        .args(["-m", "check_jsonschema", "--builtin-schema", schema, file])
        .env("PYTHONPATH", tools())
        .current_dir(root().join("deploy/ci"))
        .output()
        .unwrap()
}

#[test]
fn the_files_are_what_github_and_gitlab_take() {
    for (schema, file, other) in [
        ("vendor.github-workflows", "github.yml", "gitlab-ci.yml"),
        ("vendor.gitlab-ci", "gitlab-ci.yml", "github.yml"),
    ] {
        let output = of_schema(schema, file);
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stdout));
        assert!(!of_schema(schema, other).status.success(), "{schema} takes anything");
    }
}

#[test]
fn the_dockerfile_is_well_formed() {
    let hadolint = tools().join("bin/hadolint");
    let lint = |text: String| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Dockerfile");
        fs::write(&path, text).unwrap();
        Command::new(&hadolint).arg("--no-color").arg(path).output().unwrap()
    };
    let text = fs::read_to_string(root().join("deploy/ci/Dockerfile")).unwrap();
    let output = lint(text.clone());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(!lint(text.replace("AS build", "AZ build")).status.success());
    let rust = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let version = text.split("rust:").nth(1).and_then(|rest| rest.split('-').next()).unwrap();
    assert!(rust.contains(&format!("rust-version = \"{version}\"")), "the image builds with Rust {version}");
}

#[test]
fn github_says_that_all_is_well() {
    let project = Project::new(GOOD);
    let steps = project.github();
    let names = ["Install", "Validate", "Findings for code scanning", "Test"];
    assert_eq!(codes(&steps), names.map(|name| (name, Some(0))), "{steps:#?}");
    let sarif: Value = serde_json::from_str(&project.read("findings.sarif")).unwrap();
    assert_eq!(sarif["runs"][0]["results"], serde_json::json!([]));
    assert!(project.read("tests.xml").contains("acme-bookings"), "{}", project.read("tests.xml"));
}

#[test]
fn github_marks_the_line_of_a_mistake() {
    let project = Project::new(&invalid());
    let steps = project.github();
    assert_eq!(step(&steps, "Validate").code, Some(2), "{steps:#?}");
    let annotation = "::error file=specs/acme/bookings.yaml,line=10,col=9,";
    assert!(step(&steps, "Validate").out.contains(annotation), "{steps:#?}");
    assert!(step(&steps, "Validate").out.contains("did you mean `lookback`?"), "{steps:#?}");
    assert_eq!(step(&steps, "Findings for code scanning").code, Some(0), "{steps:#?}");
    let sarif: Value = serde_json::from_str(&project.read("findings.sarif")).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "unknown_key");
}

#[test]
fn github_shows_a_test_that_fails() {
    let project = Project::new(&failing());
    let steps = project.github();
    assert_eq!(step(&steps, "Validate").code, Some(0), "{steps:#?}");
    assert_eq!(step(&steps, "Test").code, Some(1), "{steps:#?}");
    let annotation = "::error file=specs/acme/bookings.yaml,line=18,";
    assert!(step(&steps, "Test").out.contains(annotation), "{steps:#?}");
    assert!(project.read("tests.xml").contains("<failure"), "{}", project.read("tests.xml"));
}

#[test]
fn another_release_than_the_pinned_one_is_not_run() {
    let other = "0".repeat(64);
    let steps = Project::new(GOOD).with_checksum(&other).github();
    assert_ne!(step(&steps, "Install").code, Some(0), "{steps:#?}");
    assert!(steps.iter().all(|step| step.code != Some(0)), "{steps:#?}");
    let job = Project::new(GOOD).with_checksum(&other).gitlab("validate-specs");
    assert_ne!(job.code, Some(0), "{job:?}");
    assert!(job.out.contains("FAILED"), "{job:?}");
}

#[test]
fn gitlab_reports_the_quality_and_the_tests() {
    let project = Project::new(GOOD);
    assert_eq!(project.gitlab("validate-specs").code, Some(0));
    assert_eq!(project.read("code-quality.json"), "[]\n");
    // The second job finds the release in the cache.
    assert_eq!(project.gitlab("test-specs").code, Some(0));
    assert!(project.read("tests.xml").contains("acme-bookings"));

    let project = Project::new(&invalid());
    let job = project.gitlab("validate-specs");
    assert_eq!(job.code, Some(2), "{job:?}");
    assert!(job.out.contains("specs/acme/bookings.yaml:10:9: error[unknown_key]"), "{job:?}");
    let report: Value = serde_json::from_str(&project.read("code-quality.json")).unwrap();
    assert_eq!(report[0]["location"]["path"], "specs/acme/bookings.yaml");
    assert_eq!(report[0]["location"]["positions"]["begin"]["line"], 10);

    let project = Project::new(&failing());
    let job = project.gitlab("test-specs");
    assert_eq!(job.code, Some(1), "{job:?}");
    assert!(job.out.contains("0 passed, 1 failed"), "{job:?}");
    assert!(project.read("tests.xml").contains("<failure"), "{}", project.read("tests.xml"));
}
