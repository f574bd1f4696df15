//! Examples for `tests:`, made of rows of the source and of what a run makes of them.

use std::fmt::Write as _;

use engine_spec::yaml::emit;
use serde_json::{Map, Value};

/// Rows, and what a run makes of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Example {
    /// What it shows.
    pub name: String,
    /// The rows as the source gives them.
    pub rows: Vec<Map<String, Value>>,
    /// The runs that come out.
    pub runs: Vec<Map<String, Value>>,
}

/// The members of a run that an example expects.
const EXPECTED: [&str; 9] = [
    "order_code",
    "product_code",
    "machine_code",
    "start",
    "end",
    "quantity_total",
    "quantity_yield",
    "quantity_scrap",
    "quantity_unit",
];

/// The block `tests:`; empty where there are no examples.
pub fn examples_text(examples: &[Example]) -> String {
    let mut out = String::new();
    for example in examples.iter().filter(|example| !example.rows.is_empty()) {
        let _ = writeln!(out, "  - name: {}\n    rows:", emit::scalar(&example.name));
        for row in &example.rows {
            let _ = writeln!(out, "      - {}", emit::flow(&Value::Object(row.clone())));
        }
        let list = if example.runs.is_empty() { "runs: []" } else { "runs:" };
        let _ = writeln!(out, "    expect:\n      {list}");
        for run in &example.runs {
            let expected: Map<String, Value> = EXPECTED
                .iter()
                // A run that goes on has no end, and the test should notice if it got one.
                .filter(|name| run.contains_key(**name) || **name == "end")
                .map(|name| ((*name).to_owned(), run.get(*name).cloned().unwrap_or_default()))
                .collect();
            let _ = writeln!(out, "        - {}", emit::flow(&Value::Object(expected)));
        }
    }
    if out.is_empty() { out } else { format!("\ntests:\n{out}") }
}
