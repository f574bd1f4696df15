//! Examples that a spec carries.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::decode::present;

/// An example that `engine test` executes offline.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecTest {
    /// What the example shows.
    #[schemars(example = &"an interruption makes two runs")]
    pub name: String,
    /// The clock during the test. Default: a minute after the latest time in the rows, so that a test never ages.
    #[schemars(example = &"2025-03-30T12:00:00Z")]
    #[serde(default, deserialize_with = "present")]
    pub now: Option<String>,
    /// Rows as the source would give them: column names and values.
    #[schemars(example = serde_json::json!([{"anr": "4711", "mnr": "M1", "kenn": "A"}]))]
    #[serde(default)]
    pub rows: Vec<BTreeMap<String, serde_json::Value>>,
    /// What must come out.
    pub expect: Expect,
}

/// What must come out of a test. What is left out is not compared; a member that is left out of an item is not either.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
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
