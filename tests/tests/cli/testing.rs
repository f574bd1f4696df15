//! `engine test`: files of tests, recordings, differences, updates, forms for CI, coverage.

use engine_tests::binary::Workspace;
use engine_tests::plant::{self, NOW, Plant};
use serde_json::{Value, json};

use crate::site;

const SPEC: &str = "version: 1
id: acme
source: { type: sqlite, path: mes.db, timezone: Europe/Berlin }
table: booking
query:
  sql: SELECT id, anr, artnr, mnr, kenn, zeit FROM buchung WHERE zeit >= {{ window.start }} AND zeit < {{ window.end }}
key: [id]
fields:
  timestamp: zeit
  order_code: { column: anr, transform: [trim, { strip_leading: \"#\" }] }
  product_code: { column: artnr, null_if: [\"-\"], default: none }
  machine_code: mnr
  event: { column: kenn, map: { A: START, E: END, X: END } }
skip_when: mnr == 'TEST'
pairing: { orphan_end: ignore }
merge: { gap: 5m }
checks: { zero_length: report }
destination: { type: stdout }
";

fn row(id: u32, order: &str, kind: &str, at: &str) -> String {
    format!("      - {{ id: {id}, anr: \"{order}\", artnr: P, mnr: M1, kenn: {kind}, zeit: \"2025-03-28 {at}\" }}\n")
}

/// A workspace with the spec and a file of tests beside it.
fn with_tests(tests: &str) -> Workspace {
    let workspace = Workspace::new();
    workspace.write("acme.yaml", SPEC);
    workspace.write("acme.tests.yaml", tests);
    workspace
}

fn one_run(expect: &str) -> String {
    let rows = row(1, "0047", "A", "06:00:00") + &row(2, "0047", "E", "07:00:00");
    format!("tests:\n  # A comment.\n  - name: a run\n    rows:\n{rows}    expect:\n{expect}")
}

#[test]
fn tests_beside_a_spec_are_executed_with_its_own() {
    let workspace = with_tests(&one_run("      runs: [{ order_code: \"0047\" }]\n"));
    for paths in ["acme.yaml", ".", "acme.tests.yaml"] {
        workspace.engine(&["test", paths]).expect(0).says("ok     acme: a run").says("1 passed");
    }
    // Nobody takes them for a spec.
    workspace.engine(&["validate-spec", "."]).expect(0).says("2 files: 0 errors");
    workspace.engine(&["validate-spec", "acme.yaml"]).expect(0).says("2 files: 0 errors");
    workspace.engine(&["render", "--now", NOW, "."]).expect(0);
}

#[test]
fn a_mistake_in_tests_beside_a_spec_is_told_with_its_place() {
    let workspace =
        with_tests("tests:\n  - name: a\n    now: monday\n    expct: { runs: [] }\n    expect: { match: exakt }\n");
    let told = workspace.engine(&["validate-spec", "acme.yaml"]).expect(2);
    for part in [
        "acme.tests.yaml:4:5: error[unknown_key]",
        "did you mean `expect`?",
        "acme.tests.yaml:5:22: error[unknown_value]",
        "did you mean `exact`?",
    ] {
        assert!(told.stdout.contains(part), "{part} is not in\n{}", told.stdout);
    }
    workspace.engine(&["test", "acme.yaml"]).expect(2).says("unknown_key");
    workspace
        .write("acme.tests.yaml", "tests:\n  - name: a\n    rows: { file: gone.jsonl }\n    expect: { runs: [] }\n");
    workspace.engine(&["validate-spec", "."]).expect(2).says("3:19: error[file_unreadable]").says("--record NAME");
    workspace.write("acme.tests.yaml", "tests: []\n");
    workspace.write("other.tests.yaml", "tests: []\n");
    workspace.engine(&["validate-spec", "."]).expect(2).says("other.tests.yaml:1:1: error[tests_without_spec]");
}

#[test]
fn lists_match_as_the_test_says() {
    let workspace = with_tests("tests: []\n");
    let check = |expect: &str, code: i32, part: &str| {
        workspace.write("acme.tests.yaml", one_run(expect));
        workspace.engine(&["test", "acme.yaml"]).expect(code).says(part);
    };
    let whole = "order_code: \"0047\", product_code: P, machine_code: M1, start: 2025-03-28T05:00:00Z, end: 2025-03-28T06:00:00Z";
    check("      runs: []\n", 1, "one run too many");
    check("      match: subset\n      runs: []\n", 0, "1 passed");
    check("      match: subset\n      runs: [{ machine_code: M2 }]\n", 1, "no run");
    check("      match: exact\n      runs: [{ order_code: \"0047\" }]\n", 1, "product_code  (not named)");
    check(&format!("      match: exact\n      runs: [{{ {whole} }}]\n"), 0, "1 passed");
    check("      runs: [{ order_code: \"47\", machine_code: M1 }]\n", 1, "order_code  \"47\"      \"0047\"");
    check("      runs: [{ order_code: 47, machine_code: M1 }]\n", 1, "order_code  47        \"0047\"");
    check("      runs: [{ start: 2025-03-28 06:00 }]\n", 0, "1 passed");
    check("      runs: [{ end: 2025-03-28T06:00:01Z, machine_code: M1 }]\n", 1, "(acme.tests.yaml:3)");
}

#[test]
fn fillers_and_what_is_no_time_do_not_set_the_clock() {
    let workspace = with_tests(
        "tests:
  - name: filler
    rows:
      - { id: 1, anr: a, artnr: P, mnr: M1, kenn: A, zeit: \"2025-03-28 06:00\" }
      - { id: 2, anr: a, artnr: P, mnr: M1, kenn: E, zeit: \"2999-12-31\" }
      - { id: 3, anr: a, artnr: P, mnr: M1, kenn: E, zeit: soon }
    expect: { rejected: [{ id: 2, code: future }, { id: 3 }] }
  - name: nothing
    rows: [{ id: 1, anr: a, artnr: P, mnr: M1, kenn: A, zeit: \"9999-12-31\" }]
    expect: { runs: [] }
",
    );
    workspace.engine(&["test", "acme.yaml"]).expect(0).says("the clock was made up: 2025-01-01T00:00:00Z");
    let results = workspace.engine(&["test", "acme.yaml", "-o", "json"]).expect(0).json();
    assert_eq!([&results[0]["now"], &results[0]["clock"]], ["2025-03-28T05:01:00Z", "rows"]);
    assert_eq!(results[1]["clock"], "made_up");
}

#[test]
fn an_update_changes_what_differs_and_nothing_else() {
    let tests = one_run(
        "      # Kept.
      sql: SELECT 1
      params: [1]
      runs:
        - { order_code: \"48\",  machine_code: M1 } # wrong
        - { order_code: X, machine_code: M2 }
      rejected: [] # none
  - name: fine # and stays
    expect: { runs: [] }
",
    );
    let tests =
        tests.replace("    rows:\n      - { id: 1", "    now: 2025-03-30T12:00:00Z\n    rows:\n      - { id: 1");
    let workspace = with_tests(&tests);
    let shown = workspace.engine(&["test", "--update", "acme.yaml"]).expect(1);
    let shown =
        shown.says("-      sql: SELECT 1").says("+        - { order_code: \"0047\",  machine_code: M1 } # wrong");
    shown.says("1 file to update; `--yes` writes");
    assert_eq!(workspace.read("acme.tests.yaml"), tests, "it only says what it would do");
    workspace.engine(&["test", "--update", "--yes", "acme.yaml"]).expect(0).says("1 file updated");
    let updated = workspace.read("acme.tests.yaml");
    let sql = SPEC.lines().find_map(|line| line.strip_prefix("  sql: ")).expect("the query");
    let sql = sql.replace("{{ window.start }}", "?1").replace("{{ window.end }}", "?2");
    let expected = tests
        .replace("sql: SELECT 1", &format!("sql: |-\n        {sql}"))
        .replace("params: [1]", "params: [\"2025-03-16 13:00:00\", \"2025-03-30 14:00:00\"]")
        .replace("\"48\",", "\"0047\",")
        .replace("        - { order_code: X, machine_code: M2 }\n", "");
    let dates = |text: &str| {
        text.replace("2025-03-16T13:00:00", "2025-03-16 13:00:00")
            .replace("2025-03-30T14:00:00", "2025-03-30 14:00:00")
            .replace('"', "")
    };
    assert_eq!(dates(&updated), dates(&expected));
    workspace.engine(&["test", "acme.yaml"]).expect(0).says("2 passed");
    workspace.engine(&["test", "--update", "acme.yaml"]).expect(0).says("nothing to update");
    // The tests of the spec itself are no different.
    let inline = format!("{SPEC}{}", one_run("      runs: []\n"));
    workspace.write("acme.yaml", &inline);
    workspace.engine(&["test", "--update", "--yes", "acme.yaml"]).expect(0).says("1 file updated");
    assert!(workspace.read("acme.yaml").starts_with(SPEC));
    workspace.engine(&["test", "acme.yaml"]).expect(0).says("3 passed");
}

#[test]
fn an_update_does_not_touch_what_another_test_shares() {
    let tests =
        "tests:\n  - name: one\n    expect: &none { runs: [{ order_code: x }] }\n  - name: two\n    expect: *none\n";
    let workspace = with_tests(tests);
    for filter in ["one", "o"] {
        let refused = workspace.engine(&["test", "--update", "--yes", "-k", filter, "acme.yaml"]).expect(1);
        refused.says("put the expectation right by hand");
    }
    assert_eq!(workspace.read("acme.tests.yaml"), tests);
}

/// Depth, name and attributes of an element.
type Element = (usize, String, Vec<(String, String)>);

/// The elements of a document in order, with their attributes; panics where it is not well-formed.
fn elements(xml: &str) -> Vec<Element> {
    let mut rest = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").expect("a declaration");
    let (mut open, mut found): (Vec<String>, Vec<_>) = (Vec::new(), Vec::new());
    while let Some(at) = rest.find('<') {
        assert!(!rest[..at].contains('>'), "{xml}");
        rest = &rest[at + 1..];
        let end = rest.find('>').expect("a tag ends");
        let (tag, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "{xml}");
            continue;
        }
        let closed = tag.ends_with('/');
        let tag = tag.trim_end_matches('/');
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut pairs = Vec::new();
        while let Some((key, value)) = attributes.split_once("=\"") {
            let (value, more) = value.split_once('"').expect("a value ends");
            pairs.push((key.trim().to_owned(), value.to_owned()));
            attributes = more;
        }
        assert_eq!(attributes.trim(), "", "{tag}");
        found.push((open.len(), name.to_owned(), pairs));
        if !closed {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "{xml}");
    found
}

#[test]
fn ci_servers_read_the_results() {
    let name = "a <\\\"run\\\"> & \\u0007more";
    let tests =
        one_run("      runs: [{ order_code: \"<&>\", machine_code: M1 }]\n  - name: fine\n    expect: { runs: [] }\n");
    let workspace = with_tests(&tests.replace("name: a run", &format!("name: \"{name}\"")));
    workspace
        .write("other.yaml", SPEC.replace("id: acme", "id: other") + "tests: [{ name: b, expect: { runs: [] } }]\n");
    let xml = workspace.engine(&["test", "-o", "junit", "."]).expect(1).stdout;
    let elements = elements(&xml);
    let of = |wanted: &str| elements.iter().filter(|(_, name, _)| name == wanted).collect::<Vec<_>>();
    // The shape that the usual schema of JUnit asks for: suites, cases within, failures within those.
    for (name, depth, attributes) in [
        ("testsuites", 0, vec!["name", "tests", "failures", "errors", "time"]),
        ("testsuite", 1, vec!["name", "tests", "failures", "errors", "time"]),
        ("testcase", 2, vec!["name", "classname", "time"]),
        ("failure", 3, vec!["message", "type"]),
    ] {
        assert!(!of(name).is_empty(), "{xml}");
        for (at, _, pairs) in of(name) {
            assert_eq!(
                (*at, pairs.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>()),
                (depth, attributes.clone())
            );
        }
    }
    assert_eq!((of("testsuite").len(), of("testcase").len(), of("failure").len(), elements.len()), (2, 3, 1, 7));
    assert!(xml.contains("name=\"a &lt;&quot;run&quot;&gt; &amp; \u{fffd}more\""), "{xml}");
    assert!(xml.contains("acme.tests.yaml:3\n") && xml.contains("&lt;&amp;&gt;"), "{xml}");
    let lines = workspace.engine(&["test", "-o", "github", "."]).expect(1).stdout;
    assert!(lines.starts_with("::error file=./acme.tests.yaml,line=3,col=1,"), "{lines}");
    assert_eq!(lines.lines().count(), 1, "{lines}");
    let text = workspace.engine(&["test", "."]).expect(1).stdout;
    assert!(!text.contains('\u{7}') && text.contains("\\u{7}more"), "{text}");
}

/// The branches of the spec of a workspace that its tests exercise, or that they do not.
fn branches(workspace: &Workspace, exercised: bool) -> Vec<String> {
    let all = workspace.engine(&["test", "--coverage", "-o", "json", "acme.yaml"]).json();
    let branches = all["coverage"][0]["branches"].as_array().expect("branches").clone();
    let found = branches.iter().filter(|branch| branch["exercised"] == exercised);
    found.map(|branch| branch["path"].as_str().expect("a path").to_owned()).collect()
}

#[test]
fn branches_that_no_test_exercises_are_named() {
    let workspace = with_tests(&one_run("      runs: [{ order_code: \"0047\" }]\n"));
    let never = |workspace: &Workspace| branches(workspace, false);
    assert_eq!(
        never(&workspace),
        [
            "fields.order_code.transform[0]",
            "fields.order_code.transform[1]",
            "fields.product_code.null_if[0]",
            "fields.product_code.default",
            "fields.event.map.X",
            "skip_when",
            "pairing.orphan_end",
            "merge",
            "checks.zero_length",
            "fields.event.unmapped",
            "pairing.duplicate_start",
            "pairing.on_start_while_running",
        ]
    );
    let text = workspace.engine(&["test", "--coverage-min", "80%", "acme.yaml"]).expect(1);
    text.says("acme: 2 of 14 branches exercised (14%, and 80% are asked for)")
        .says("never  fields.event.map.X (acme.yaml:13)");
    workspace.engine(&["test", "--coverage-min", "14%", "acme.yaml"]).expect(0);
    let silent = workspace.engine(&["test", "--coverage-min", "80%", "-o", "github", "acme.yaml"]).expect(1);
    silent.says("80% are asked for");
    // Each row takes branches of its own.
    let mut rows = String::new();
    for (id, (order, kind, at)) in [
        (" #1 ", "A", "06:00:00"),
        ("#1", "A", "06:10:00"),
        ("#1", "E", "06:20:00"),
        ("#1", "A", "06:22:00"),
        ("2", "A", "06:30:00"),
        ("2", "X", "06:30:00"),
        ("2", "E", "06:40:00"),
        ("2", "E", "06:50:00"),
        ("3", "?", "06:50:00"),
    ]
    .into_iter()
    .enumerate()
    {
        rows += &row(u32::try_from(id).expect("few rows"), order, &format!("\"{kind}\""), at);
    }
    rows += &row(20, "4", "A", "07:00:00").replace("artnr: P", "artnr: \"-\"");
    rows += &row(21, "4", "E", "07:00:00").replace("artnr: P", "artnr: \"-\"");
    rows += &row(22, "4", "A", "07:00:00").replace("mnr: M1", "mnr: TEST");
    workspace.write(
        "acme.tests.yaml",
        format!("tests:\n  - name: all\n    rows:\n{rows}    expect: {{ rejected: [{{ id: 8 }}] }}\n"),
    );
    let left = never(&workspace);
    assert_eq!(left, ["checks.zero_length"], "an END sorts before a START of the same moment");
}

#[test]
fn a_test_at_a_change_of_the_clock_exercises_what_is_said_of_it() {
    let tests = |rows: &[(&str, &str)]| {
        let rows: String = rows
            .iter()
            .enumerate()
            .map(|(id, (start, end))| {
                format!("      - {{ id: {id}, anr: A, mnr: M1, von: \"{start}\", bis: \"{end}\" }}\n")
            })
            .collect();
        format!("tests:\n  - name: the clock\n    rows:\n{rows}    expect: {{ match: subset, runs: [] }}\n")
    };
    let workspace = with_tests("");
    let check = |start: &str, end: &str, rows: &[(&str, &str)], expected: &[&str]| {
        workspace.write(
            "acme.yaml",
            format!(
                "version: 1
id: acme
source: {{ type: sqlite, path: mes.db, timezone: Europe/Berlin }}
table: order
query:
  sql: SELECT id, anr, mnr, von, bis FROM auftrag WHERE von >= {{{{ window.start }}}} AND von < {{{{ window.end }}}}
key: [id]
fields:
  start: {start}
  end: {end}
  order_code: anr
  product_code: anr
  machine_code: mnr
destination: {{ type: stdout }}
"
            ),
        );
        workspace.write("acme.tests.yaml", tests(rows));
        assert_eq!(branches(&workspace, true), expected, "{start} {end} {rows:?}");
    };
    let all = "on_gap: forward, on_fold: later";
    let (start, end) = (format!("{{ column: von, {all} }}"), format!("{{ column: bis, {all} }}"));
    let (gap, fold) = ("2025-03-30 02:30:00", "2025-10-26 02:30:00");
    check(&start, &end, &[("2025-03-30 01:59:59", "2025-03-30 03:00:00")], &[]);
    check(&start, &end, &[(gap, "2025-03-30 04:00:00")], &["fields.start.on_gap"]);
    check(&start, &end, &[("2025-03-30 00:00:00", gap)], &["fields.end.on_gap"]);
    check(&start, &end, &[(fold, "2025-10-26 03:00:00")], &["fields.start.on_fold"]);
    check(&start, &end, &[("2025-10-26 01:00:00", fold)], &["fields.end.on_fold"]);
    let refusing = "{ column: von, on_gap: reject, on_fold: reject }";
    let both = ["fields.start.on_gap", "fields.start.on_fold"];
    check(refusing, "bis", &[(gap, ""), (fold, "")], &both);
    // What happens in the second pass of the hour is later than the start in its first.
    let night = "{ column: bis, after: start, on_fold: earlier }";
    check("{ column: von, on_fold: later }", night, &[(fold, fold)], &["fields.start.on_fold", "fields.end.on_fold"]);
    // What the spec does not say is nothing that a test could leave out.
    check("von", "bis", &[(gap, fold)], &[]);
    assert_eq!(branches(&workspace, false), [""; 0]);
}

#[test]
fn machines_that_no_test_names_are_told() {
    let workspace = with_tests(&one_run("      runs: [{ order_code: \"0047\" }]\n"));
    let told = |machines: &str| {
        workspace.write("acme.yaml", format!("{SPEC}{machines}"));
        let of = |exercised| {
            branches(&workspace, exercised).into_iter().filter(|path| path.starts_with("machines")).collect::<Vec<_>>()
        };
        (of(true), of(false))
    };
    let both = (vec!["machines.M1".to_owned()], vec!["machines.M/2".to_owned()]);
    assert_eq!(told("machines: { M1: id-1, M/2: id-2 }\n"), both);
    workspace.write("machines.csv", "code,id\nM1,id-1\nM2,id-2\n");
    assert_eq!(told("machines: { file: machines.csv }\n"), (vec!["machines.file".to_owned()], vec![]));
    workspace.write("machines.csv", "code,id\nM2,id-2\n");
    assert_eq!(told("machines: { file: machines.csv }\n"), (vec![], vec!["machines.file".to_owned()]));
    assert_eq!(told(""), (vec![], vec![]));
}

#[test]
fn a_recording_becomes_a_test() {
    let (workspace, plant, spec) = site();
    let args = |more: &[&'static str]| [&["preview", "acme.yaml", "--now", NOW, "--record", "night"], more].concat();
    plant.execute("UPDATE auftrag SET anr = NULL WHERE id = 3; UPDATE auftrag SET artnr = 'a\u{7}: b' WHERE id = 4");
    workspace.engine(&args(&[])).expect(0).says("10 rows recorded").says("expects 9 runs and 1 rejected row:");
    workspace.engine(&["test", "acme.yaml"]).expect(0).says("ok     acme: night");
    workspace.engine(&["validate-spec", "."]).expect(0);
    // A further one is written behind it, and nothing is overwritten in passing.
    workspace.engine(&args(&[])).expect(2).says("--force");
    plant.execute("DELETE FROM auftrag WHERE id > 4");
    let tests = workspace.read("acme.tests.yaml");
    let more = ["preview", "acme.yaml", "--now", NOW, "--record", "day", "--anonymise", "--limit-rows", "3"];
    let said = workspace.engine(&more).expect(0).says("3 rows recorded").says("more than 3 rows");
    said.says("replaced columns: anr, artnr");
    assert!(workspace.read("acme.tests.yaml").starts_with(&tests));
    assert!(!workspace.read("recordings/day.jsonl").contains("4711001"));
    workspace.engine(&args(&["--force"])).expect(0).says("4 rows recorded");
    workspace.engine(&["test", "acme.yaml"]).expect(0).says("2 passed, 0 failed");
    assert_eq!(workspace.read("acme.tests.yaml").matches("name:").count(), 2);
    // The source is not needed any more, and what is damaged is told.
    std::fs::remove_file(plant.path()).expect("removed");
    workspace.engine(&["test", "acme.yaml"]).expect(0);
    let recording = workspace.read("recordings/day.jsonl");
    workspace.write("recordings/day.jsonl", recording.replace("\"recording\":1", "\"recording\":2"));
    workspace.engine(&["test", "acme.yaml"]).expect(1).says("is damaged: line 1: a recording of version 2");
    // A recording is of one spec, and the file of another is left alone.
    let mut other: Value = spec;
    other["id"] = json!("other");
    workspace.spec("other.yaml", &other);
    workspace.engine(&["preview", "other.yaml", "--record", "day", "--force"]).expect(2).says("is of another spec");
    workspace.engine(&["preview", ".", "--record", "all"]).expect(2).says("a recording is of one spec");
}

#[test]
fn nothing_is_recorded_where_there_is_nothing() {
    let workspace = Workspace::new();
    Plant::new(&workspace.path("mes.db"));
    workspace.spec("acme.yaml", &plant::orders("acme", &plant::to_file("runs.ndjson")));
    workspace.engine(&["preview", "acme.yaml", "--record", "none"]).expect(1).says("the source gives no rows");
    assert!(!workspace.path("recordings").exists() && !workspace.path("acme.tests.yaml").exists());
}
