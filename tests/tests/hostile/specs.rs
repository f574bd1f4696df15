//! Specs that mean harm: too large, too deep, ambiguous, endless, or pointing where nothing should be read.

use std::process::Command;

use engine_tests::binary::Workspace;

use crate::{Expected, all_as_expected, differs};

/// Memory of a check, in MiB: the program itself, its schema, and a file within the limits.
const MEMORY_MIB: u64 = 160;

const SPEC: &str = "\
version: 1
id: hostile
source: { type: sqlite, path: mes.db, timezone: UTC }
table: order
query: { sql: \"SELECT a, b FROM t\" }
key: [id]
fields: { order_code: a, product_code: b, machine_code: c, start: d, end: e }
sync: { mode: full }
";
const QUERY: &str = "query: { sql: \"SELECT a, b FROM t\" }";

fn with(found: &str, instead: &str) -> Vec<u8> {
    assert!(SPEC.contains(found), "{found}");
    SPEC.replacen(found, instead, 1).into_bytes()
}

fn and(more: impl AsRef<[u8]>) -> Vec<u8> {
    [SPEC.as_bytes(), more.as_ref()].concat()
}

fn order_code(field: &str) -> Vec<u8> {
    with("order_code: a", &format!("order_code: {field}"))
}

fn sql(template: &str) -> Vec<u8> {
    with(QUERY, &format!("query:\n  sql: |\n    {template}"))
}

/// A spec of an API with the records at a path.
fn records(path: &str) -> Vec<u8> {
    let source = format!(
        "{{ type: http, url: \"https://a.example\", timezone: UTC, request: {{ path: /x }}, records: \"{path}\" }}"
    );
    let spec = SPEC.replacen("{ type: sqlite, path: mes.db, timezone: UTC }", &source, 1);
    spec.replacen(QUERY, "", 1).into_bytes()
}

fn nested(open: &str, inner: &str, close: &str, times: usize) -> String {
    format!("{}{inner}{}", open.repeat(times), close.repeat(times))
}

fn each(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

fn utf16(text: &str) -> Vec<u8> {
    let units = std::iter::once('\u{feff}').chain(text.chars());
    units.collect::<String>().encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// What it is, the spec, the exit code, and what is said of it.
type Entry = (&'static str, Vec<u8>, i32, &'static str);

fn sizes_and_shapes() -> Vec<Entry> {
    let bomb = each(9, |level| match level {
        0 => "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(),
        _ => format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(", ")),
    });
    vec![
        ("100 MB", and("# ".to_owned() + &"x".repeat(100_000_000)), 2, "[file_too_big]"),
        ("10^6 lists in a line", "[".repeat(1_000_000).into(), 2, "[file_too_big]"),
        ("200,000 lists in a line", "[".repeat(200_000).into(), 2, "[yaml_syntax]"),
        ("60,000 maps in a line", "{a: ".repeat(60_000).into(), 2, "[yaml_syntax]"),
        ("120,000 lists in a block", "- ".repeat(120_000).into(), 2, "[too_deep]"),
        ("100,000 keys that ask", "? ".repeat(100_000).into(), 2, "[too_deep]"),
        ("aliases of aliases", bomb.into(), 2, "[too_many_values]"),
        ("an alias of itself", "a: &a\n  <<: *a\n".into(), 2, "[yaml_syntax]"),
        ("20,000 anchors", each(20_000, |number| format!("- &a{number} x\n")).into(), 2, "[wrong_type]"),
        ("10,000 unknown keys", each(10_000, |number| format!("k{number}: 1\n")).into(), 2, "[unknown_key]"),
        ("a key of 200,000 letters", format!("{}: 1\n", "k".repeat(200_000)).into(), 2, "[yaml_syntax]"),
        ("a key twice", and("id: other\n"), 2, "[duplicate_key]"),
        ("keys that are no text", and("? [a, b]\n: c\nyes: 1\n1: 2\nnull: 3\n"), 2, "[bad_key]"),
        ("keys that are ambiguous", and("labels: { yes: a, 1: b }\n"), 2, "[ambiguous_scalar]"),
        ("tags that make objects", and("description: !!python/object:os.system x\n"), 2, "[tag]"),
        ("two documents", [SPEC, "---\n", SPEC].concat().into(), 2, "[several_documents]"),
        ("nothing", Vec::new(), 2, "[empty_file]"),
        ("NUL", and("descr\0iption: x\n"), 2, "[yaml_syntax]"),
        ("a byte order mark", ["\u{feff}", SPEC].concat().into(), 0, "0 errors"),
        ("UTF-16", utf16(SPEC), 2, "[not_utf8]"),
        ("Latin-1", and(b"description: M\xfcller\n"), 2, "[not_utf8]"),
        ("a quarter million colons", ":".repeat(250_000).into(), 2, "[yaml_syntax]"),
        ("a quarter million tabs", "\t".repeat(250_000).into(), 2, "[empty_file]"),
        (
            "100,000 machines",
            and(format!("machines:\n{}", each(100_000, |at| format!("  M{at}: {at:032x}\n")))),
            2,
            "[file_too_big]",
        ),
        (
            "4,000 machines",
            and(format!("machines:\n{}", each(4_000, |at| format!("  M{at}: 3f2b7c1e-0d5a-4a53-9d0e-{at:012}\n")))),
            0,
            "0 errors",
        ),
        (
            "30,000 columns of a key",
            with("key: [id]", &format!("key: [{}]", each(30_000, |at| format!("c{at},")))),
            0,
            "0 errors",
        ),
        (
            "15,000 codes",
            order_code(&format!("{{ column: a, map: {{ {} }} }}", each(15_000, |at| format!("\"{at}\": b, ")))),
            0,
            "0 errors",
        ),
    ]
}

fn patterns() -> Vec<Entry> {
    let extract = |regex: &str| order_code(&format!("{{ column: a, transform: [{{ extract: '{regex}' }}] }}"));
    vec![
        ("a regex of a billion", extract("((a{1000}){1000}){1000}"), 2, "[bad_regex]"),
        ("a regex of all letters", extract(&format!("({})", r"\pL{200}".repeat(100))), 2, "[bad_regex]"),
        ("50,000 groups within each other", extract(&nested("(", "", ")", 50_000)), 2, "[bad_regex]"),
        ("20,000 groups", extract(&"(a|b)?".repeat(20_000)), 2, "[extract_groups]"),
        (
            "50,000 directives",
            with("start: d", &format!("start: {{ column: d, format: \"{}\" }}", "%Y".repeat(50_000))),
            2,
            "[time_pattern]",
        ),
        (
            "a million turns",
            sql("SELECT {% for i in range(1000000000) %}x{% endfor %}"),
            2,
            "[template_unknown_function]",
        ),
        (
            "a macro that calls itself",
            sql("{% macro m() %}{{ m() }}{% endmacro %}SELECT {{ m() }}"),
            2,
            "[template_not_allowed]",
        ),
        ("a text of gigabytes", sql("SELECT {{ 'aaaaaaaaaaaaaaaaaaaa' * 1000000000 }}"), 2, "[template_value]"),
        ("powers", sql("SELECT {{ 99 ** 99999 }}"), 2, "[template_value]"),
        (
            "50,000 parentheses in a template",
            sql(&format!("SELECT {{{{ {} }}}}", nested("(", "1", ")", 50_000))),
            2,
            "[template_too_large]",
        ),
        ("50,000 times not", sql(&format!("SELECT {{{{ {}1 }}}}", "not ".repeat(50_000))), 2, "[template_too_large]"),
        ("50,000 filters", sql(&format!("SELECT {{{{ 1{} }}}}", "|int".repeat(50_000))), 2, "[template_too_large]"),
        (
            "6,000 branches",
            sql(&format!("SELECT 1 {}", "{% if params.a %}AND 1{% endif %}".repeat(6_000))),
            2,
            "[template_too_large]",
        ),
        ("100,000 parentheses in SQL", sql(&format!("SELECT {}", nested("(", "1", ")", 100_000))), 0, "[sql_unparsed]"),
        (
            "10,000 queries within each other",
            sql(&format!("SELECT * FROM {}", nested("(SELECT * FROM ", "t", ")", 10_000))),
            0,
            "[sql_unparsed]",
        ),
        ("60,000 times NOT", sql(&format!("SELECT {}1", "NOT ".repeat(60_000))), 0, "[sql_unparsed]"),
        ("100,000 comments within each other", sql(&format!("SELECT 1 {}", "/*".repeat(100_000))), 0, "[sql_unparsed]"),
        (
            "100,000 parentheses in a condition",
            and(format!("skip_when: \"{}\"\n", nested("(", "a", ")", 100_000))),
            2,
            "[expr_too_long]",
        ),
        ("40,000 times or", and(format!("skip_when: \"a{}\"\n", " or a".repeat(40_000))), 2, "[expr_too_long]"),
        (
            "a JSONPath of 50,000 parentheses",
            records(&format!("$[?{}]", nested("(", "@.a", ")", 50_000))),
            2,
            "[bad_json_path]",
        ),
        (
            "a JSONPath of 30,000 filters",
            records(&format!("${}", nested("[?@", "", "]", 30_000))),
            2,
            "[bad_json_path]",
        ),
        (
            "a JSONPath that is not not not",
            records(&format!("$[?{}]", nested("!(", "@.a", ")", 30_000))),
            2,
            "[bad_json_path]",
        ),
        ("a JSONPath that descends for ever", records(&format!("${}", "..*".repeat(1_000))), 2, "[bad_json_path]"),
        ("a JSONPath that descends thrice", records("$..a..b..c"), 2, "[bad_json_path]"),
    ]
}

fn numbers_and_times() -> Vec<Entry> {
    let zone = |name: &str| with("timezone: UTC", &format!("timezone: \"{name}\""));
    let schedule = |schedule: &str| and(format!("schedule: {{ {schedule} }}\n"));
    let nines = "9".repeat(200_000);
    vec![
        (
            "a port beyond all",
            with("sqlite, path: mes.db", "mysql, host: a, database: b, username: u, port: 1e400"),
            2,
            "[ambiguous_scalar]",
        ),
        ("a share of 200,000 digits", and(format!("max_rejected: {nines}%\n")), 2, "[bad_value]"),
        ("a number of 200,000 digits", and(format!("labels: {{ a: {nines} }}\n")), 2, "error["),
        ("every never", schedule("every: 0s"), 2, "[out_of_range]"),
        ("every aeon", schedule("every: 99999999999999999999999999d"), 2, "[bad_value]"),
        ("before it was", schedule("every: -5m"), 2, "[bad_value]"),
        ("a start beyond the calendar", with("mode: full", "mode: window, start: 99999-01-01"), 2, "[bad_value]"),
        ("the 30th of February", schedule("cron: \"0 0 30 2 *\""), 2, "[bad_cron]"),
        ("every zeroth minute", schedule("cron: \"*/0 * * * *\""), 2, "[bad_cron]"),
        ("30,000 minutes", schedule(&format!("cron: \"{}1 * * * *\"", "1-59,".repeat(30_000))), 0, "0 errors"),
        ("a zone on Mars", zone("Mars/Olympus"), 2, "[unknown_zone]"),
        ("a zone elsewhere on the disk", zone("../../../etc/passwd"), 2, "[unknown_zone]"),
        ("a zone that is a device", zone("/dev/zero"), 2, "[unknown_zone]"),
        ("a zone of 100,000 letters", zone(&"A".repeat(100_000)), 2, "[unknown_zone]"),
    ]
}

fn files() -> Vec<Entry> {
    let query = |path: &str| with(QUERY, &format!("query: {{ file: \"{path}\" }}"));
    let machines = |path: &str| and(format!("machines: {{ file: {path} }}\n"));
    vec![
        ("a query without end", query("/dev/zero"), 2, "[file_unreadable]"),
        ("a query that is a folder", query("/"), 2, "[file_unreadable]"),
        ("a query that is a pipe", query("pipe"), 2, "[file_unreadable]"),
        ("a query that is a link to itself", query("loop"), 2, "[file_unreadable]"),
        ("a query with NUL in its name", query("a\\0b"), 2, "[file_unreadable]"),
        ("a query with a name of 100,000 letters", query(&"a/".repeat(50_000)), 2, "[file_unreadable]"),
        ("machines without end", machines("/dev/zero"), 2, "[file_unreadable]"),
        ("machines that are a pipe", machines("pipe"), 2, "[file_unreadable]"),
    ]
}

#[track_caller]
fn check(test: &str, entries: Vec<Entry>) {
    let workspace = Workspace::new();
    let made = Command::new("mkfifo").arg(workspace.path("pipe")).status();
    assert!(made.is_ok_and(|status| status.success()), "no pipe");
    std::os::unix::fs::symlink("loop", workspace.path("loop")).expect("a link");
    let count = entries.len();
    let wrong: Vec<String> = entries
        .into_iter()
        .filter_map(|(name, spec, code, says)| {
            workspace.write("spec.yaml", spec);
            let expected = Expected { code, says, memory_mib: MEMORY_MIB };
            differs(name, workspace.start(&["validate-spec", "spec.yaml"]), expected)
        })
        .collect();
    all_as_expected("Plain words", test, count, &wrong);
}

#[test]
fn specs_of_any_size_and_shape_are_told_what_is_wrong() {
    check("specs_of_any_size_and_shape_are_told_what_is_wrong", sizes_and_shapes());
}

#[test]
fn no_pattern_or_template_runs_away() {
    check("no_pattern_or_template_runs_away", patterns());
}

#[test]
fn numbers_and_times_beyond_all_bounds_are_refused() {
    check("numbers_and_times_beyond_all_bounds_are_refused", numbers_and_times());
}

#[test]
fn a_file_reference_never_hangs_or_swells() {
    check("a_file_reference_never_hangs_or_swells", files());
}

/// A pipe that nobody writes to would hold up every pipeline of the device.
#[test]
fn a_secret_in_a_pipe_holds_up_nobody() {
    let workspace = Workspace::new();
    let made = Command::new("mkfifo").arg(workspace.path("pipe")).status();
    assert!(made.is_ok_and(|status| status.success()), "no pipe");
    let login = "mysql, host: a, database: b, username: u, password: { file: pipe }";
    workspace.write("spec.yaml", with("sqlite, path: mes.db", login));
    for args in [&["run", "--once", "spec.yaml"][..], &["validate-spec", "--env", "spec.yaml"]] {
        let expected = Expected { code: 3, says: "a pipe", memory_mib: MEMORY_MIB };
        let wrong = differs(args[0], workspace.start(args), expected);
        assert_eq!(wrong, None);
    }
    all_as_expected("Isolation", "a_secret_in_a_pipe_holds_up_nobody", 2, &[]);
}
