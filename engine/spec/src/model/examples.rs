//! Examples that a spec carries.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::decode::present;

/// The tests beside a spec: `bookings.tests.yaml` holds those of `bookings.yaml`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Tests of a pipeline spec")]
pub struct TestFile {
    /// Examples that `engine test` executes offline, as under `tests` of the spec itself.
    pub tests: Vec<SpecTest>,
}

/// An example that `engine test` executes offline.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecTest {
    /// What the example shows.
    #[schemars(example = &"an interruption makes two runs")]
    pub name: String,
    /// The clock during the test. Default: that of the recording, or a minute after the latest time in the rows, so that
    /// a test never ages.
    #[schemars(example = &"2025-03-30T12:00:00Z")]
    #[serde(default, deserialize_with = "present")]
    pub now: Option<String>,
    /// Rows as the source would give them, column names and values; or a recording that `engine preview --record` wrote.
    #[schemars(example = serde_json::json!([{"anr": "4711", "mnr": "M1", "kenn": "A"}]))]
    #[serde(default)]
    pub rows: TestRows,
    /// What must come out.
    pub expect: Expect,
}

/// Rows of a test: written down, or recorded.
#[derive(Debug, Clone, PartialEq)]
pub enum TestRows {
    /// Column names and values.
    Written(Vec<BTreeMap<String, serde_json::Value>>),
    /// A file of JSON lines, relative to the file of the test.
    Recorded(String),
}

impl Default for TestRows {
    fn default() -> Self {
        Self::Written(Vec::new())
    }
}

/// How exactly what comes out must be what is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// Lists are complete, and an item names every member that has a value; only `run_id` may be left out.
    Exact,
    /// Lists may hold more items than are named, and items more members.
    Subset,
}

/// What must come out of a test. What is left out is not compared; a member that is left out of an item is not either.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// How exactly the lists are compared. Left out: lists are complete, and a member that an item does not name is not
    /// compared.
    #[schemars(example = &"exact")]
    #[serde(default, deserialize_with = "present")]
    pub r#match: Option<Match>,
    /// The runs, all of them, in any order.
    #[schemars(example = serde_json::json!([{"order_code": "4711", "machine_code": "M1", "start": "2025-03-29T21:00:00Z"}]))]
    #[serde(default, deserialize_with = "present")]
    pub runs: Option<Vec<BTreeMap<String, serde_json::Value>>>,
    /// The canonical rows, all of them, in any order.
    #[schemars(example = serde_json::json!([{"order_code": "4711", "event": "START"}]))]
    #[serde(default, deserialize_with = "present")]
    pub rows: Option<Vec<BTreeMap<String, serde_json::Value>>>,
    /// The rejected rows, all of them: members of the row, `code` and a part of the `reason`.
    #[schemars(example = serde_json::json!([{"satznr": 3, "code": "unmapped"}]))]
    #[serde(default, deserialize_with = "present")]
    pub rejected: Option<Vec<BTreeMap<String, serde_json::Value>>>,
    /// The SQL that would be sent; white space and comments are not compared.
    #[schemars(example = &"SELECT id FROM buchung WHERE ts >= ? AND ts < ?")]
    #[serde(default, deserialize_with = "present")]
    pub sql: Option<String>,
    /// The bound parameters, in order.
    #[schemars(example = serde_json::json!(["1000", "2025-03-16", "2025-03-31"]))]
    #[serde(default, deserialize_with = "present")]
    pub params: Option<Vec<serde_json::Value>>,
}
