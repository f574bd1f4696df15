//! Rows that mean harm: each costs itself and not the run, or ends the run with words.

use engine_tests::binary::Workspace;
use engine_tests::plant::NOW;
use engine_tests::raw::{Raw, say};
use serde_json::{Value, json};

use crate::{Expected, all_as_expected, differs};

/// Memory of a preview, in MiB: the program, and a few rows as long as rows may be.
const MEMORY_MIB: u64 = 256;
/// Bytes of the longest value that a row may have.
const VALUE_BYTES: usize = 1 << 20;

/// What it is, the member of the row, its JSON, and what a preview says.
type Cell = (&'static str, &'static str, String, &'static str);

fn cells() -> Vec<Cell> {
    let text = |text: &str| json!(text).to_string();
    let digits = |count: usize| "9".repeat(count);
    vec![
        ("a code as long as may be", "order", text(&"x".repeat(VALUE_BYTES)), TAKEN),
        ("a code that is longer", "order", text(&"x".repeat(VALUE_BYTES + 1)), "value_undecodable"),
        ("NUL", "order", r#""a\u0000b""#.to_owned(), TAKEN),
        ("blanks that are none", "order", text("\u{a0}\u{feff}\u{200b}"), TAKEN),
        ("a half of a character", "order", r#""\ud800""#.to_owned(), "value_undecodable"),
        ("a half of a character within a list", "any", r#"["\udfff"]"#.to_owned(), TAKEN),
        ("no value", "order", "null".to_owned(), "missing_value"),
        ("a list for a code", "order", "[[[[1]]]]".to_owned(), TAKEN),
        ("the first moment", "from", text("0001-01-01T00:00:00"), TAKEN),
        ("before the first moment", "from", text("0001-01-01T00:00:00+14:00"), "time_out_of_range"),
        ("the year zero", "from", text("0000-12-31T23:59:59"), "time_"),
        ("the last moment", "to", text("9999-12-31T23:59:59.999999999"), "\"future\":1"),
        ("after the last moment", "to", text("9999-12-31T23:59:59-14:00"), "time_out_of_range"),
        ("a date of six digits", "from", text("+99999-01-01T00:00:00"), "time_unparsable"),
        ("the 30th of February", "from", text("2025-02-30T00:00:00"), "time_unparsable"),
        ("a day of 25 hours", "from", text("2025-03-29T25:00:00"), "time_unparsable"),
        ("a number for a time", "from", "1e400".to_owned(), "time_undecodable"),
        ("a text of a megabyte for a time", "from", text(&"2".repeat(VALUE_BYTES)), "time_unparsable"),
        ("not a number", "total", text("NaN"), "number_unparsable"),
        ("infinity", "total", text("-inf"), "number_unparsable"),
        ("not a number, bare", "total", "NaN".to_owned(), "no whole JSON"),
        ("300 digits", "total", digits(300), TAKEN),
        ("400 digits", "total", digits(400), "number_not_finite"),
        ("1,000 digits", "total", digits(1_000), "number_unparsable"),
        ("1,000 digits of a text", "total", text(&digits(1_000)), "number_unparsable"),
        ("a million digits", "total", digits(1_000_000), "number_unparsable"),
        ("a million digits behind the point", "total", format!("0.{}", digits(1_000_000)), "number_unparsable"),
        ("a million digits for a code", "order", digits(1_000_000), TAKEN),
        ("two million digits for a code", "order", digits(2 * VALUE_BYTES), "value_undecodable"),
        ("an exponent beyond all", "total", "1e999999999999".to_owned(), "value_undecodable"),
        ("a tiny exponent", "total", "1e-999999999999".to_owned(), TAKEN),
        ("minus nothing", "total", "-0.0".to_owned(), TAKEN),
        ("100 lists within each other", "any", format!("{}{}", "[".repeat(90), "]".repeat(90)), TAKEN),
    ]
}

const TAKEN: &str = "\"new\":1";

/// A row of an API with this instead of its own.
fn row(name: &str, value: &str) -> String {
    let mut members = vec![
        ("id", "1".to_owned()),
        ("order", "\"A1\"".to_owned()),
        ("product", "\"P\"".to_owned()),
        ("machine", "\"M1\"".to_owned()),
        ("from", "\"2025-03-29T06:00:00\"".to_owned()),
        ("to", "\"2025-03-29T07:00:00\"".to_owned()),
    ];
    members.retain(|(known, _)| *known != name);
    members.push((name, value.to_owned()));
    let members: Vec<String> = members.into_iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// A spec that reads rows such as those of [`row`].
pub(crate) fn spec(source: &Value) -> Value {
    json!({
        "version": 1, "id": "hostile", "source": source, "table": "order", "key": ["id"], "sync": { "mode": "full" },
        "fields": {
            "order_code": "order", "product_code": "product", "machine_code": "machine", "start": "from", "end": "to",
            "quantity_total": "total", "attributes": { "any": "any" },
        },
        "checks": { "future": "reject" },
        "destination": { "type": "file", "path": "runs.ndjson" },
    })
}

/// A preview of the rows that an API answers with.
fn preview(workspace: &Workspace, body: String) -> engine_tests::binary::Running {
    let api = Raw::start(move |stream, _| {
        let head = format!("Content-Type: application/json\r\nContent-Length: {}", body.len());
        say(stream, &head, body.as_bytes())
    });
    workspace.spec(
        "spec.yaml",
        &spec(&json!({ "type": "http", "url": api.url(), "request": { "path": "/rows" },
                                                  "timezone": "UTC" })),
    );
    workspace.start(&["preview", "-o", "json", "--now", NOW, "spec.yaml"])
}

#[test]
fn a_value_costs_its_row_and_not_the_run() {
    let workspace = Workspace::new();
    let entries = cells();
    let count = entries.len();
    let wrong: Vec<String> = entries
        .into_iter()
        .filter_map(|(name, member, value, says)| {
            let code = i32::from(says == "no whole JSON");
            let expected = Expected { code, says, memory_mib: MEMORY_MIB };
            differs(name, preview(&workspace, format!("[{}]", row(member, &value))), expected)
        })
        .collect();
    all_as_expected("Plain words", "a_value_costs_its_row_and_not_the_run", count, &wrong);
}

#[test]
fn results_of_any_shape_are_read_or_refused_whole() {
    let good = row("id", "1");
    let other = row("machine", "\"M2\"");
    let wide = (0..1_000_000).map(|at| format!("\"c{at}\":1")).collect::<Vec<_>>().join(",");
    let wide = format!("[{},{{\"id\":2,{wide}}}]", row("id", "1"));
    let entries: Vec<(&str, String, i32, &str, u64)> = vec![
        ("one key for two rows", format!("[{good},{other}]"), 0, "duplicate_key", MEMORY_MIB),
        ("a member twice", format!("[{}]", good.replacen("\"P\"", "\"P\",\"product\":\"Q\"", 1)), 0, TAKEN, MEMORY_MIB),
        ("10^6 members", wide, 0, TAKEN, 640),
        ("no list", "{\"data\": []}".to_owned(), 1, "not to an object", MEMORY_MIB),
        ("a text instead of rows", "[\"x\"]".to_owned(), 1, "not to an object", MEMORY_MIB),
    ];
    let workspace = Workspace::new();
    let count = entries.len();
    let wrong: Vec<String> = entries
        .into_iter()
        .filter_map(|(name, body, code, says, memory_mib)| {
            differs(name, preview(&workspace, body), Expected { code, says, memory_mib })
        })
        .collect();
    all_as_expected("Plain words", "results_of_any_shape_are_read_or_refused_whole", count, &wrong);
}

/// Files of CSV, as they were never meant.
#[test]
fn files_of_any_bytes_are_read_or_refused() {
    const HEADER: &str = "id;order;product;machine;from;to;total;any\n";
    let line = |id: &str| format!("{id};A;P;M;2025-03-29 06:00:00;2025-03-29 07:00:00;1;x\n");
    let names = |count: usize| (0..count).map(|at| format!("c{at};")).collect::<String>();
    let million = format!("{HEADER}\"{}", "x\n".repeat(1_000_000));
    let entries: Vec<(&str, Vec<u8>, i32, &str)> = vec![
        (
            "a line of two megabytes",
            format!("{HEADER}{}{}", line("1"), "x".repeat(2 << 20)).into(),
            0,
            "line_unreadable",
        ),
        ("10^6 columns", (names(1_000_000) + "\n").into(), 1, "longer than"),
        ("100,000 columns", (names(100_000) + "\n").into(), 1, "columns"),
        ("a quote that never ends", million.into(), 0, "line_unreadable"),
        ("columns of one name", format!("{}{}", HEADER.replace("any", "id"), line("1")).into(), 2, "id"),
        ("NUL", format!("{HEADER}{}", line("1\0")).into(), 0, TAKEN),
        (
            "invalid UTF-8",
            [HEADER.as_bytes(), line("1").as_bytes(), b"2;\xff;P;M;a;b;c;d\n"].concat(),
            0,
            "value_undecodable",
        ),
        ("nothing but a header", HEADER.into(), 0, ""),
        ("a million empty lines", "\n".repeat(1_000_000).into(), 0, ""),
    ];
    let workspace = Workspace::new();
    let source = json!({ "type": "csv", "path": "in", "delimiter": ";", "settle": "0s", "timezone": "UTC" });
    workspace.spec("spec.yaml", &spec(&source));
    let count = entries.len();
    let wrong: Vec<String> = entries
        .into_iter()
        .filter_map(|(name, content, code, says)| {
            workspace.write("in/rows.csv", content);
            let running = workspace.start(&["preview", "-o", "json", "--now", NOW, "spec.yaml"]);
            differs(name, running, Expected { code, says, memory_mib: MEMORY_MIB })
        })
        .collect();
    all_as_expected("Plain words", "files_of_any_bytes_are_read_or_refused", count, &wrong);
}
