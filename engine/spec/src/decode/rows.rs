//! Rows of a test.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::model::TestRows;

/// A recording of rows.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RecordedKeys {
    /// File that `engine preview --record` wrote, relative to the file of the test.
    #[schemars(example = &"recordings/night-shift.jsonl")]
    file: String,
}

impl TestRows {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Array(_) => Vec::deserialize(value).map(Self::Written).map_err(|error| error.to_string()),
            Value::Object(_) => RecordedKeys::deserialize(value)
                .map(|keys| Self::Recorded(keys.file))
                .map_err(|error| error.to_string()),
            _ => Err("expected a list of rows, or `file` with a recording".to_owned()),
        }
    }
}

by_shape!(TestRows, "TestRows", |generator| {
    let mut schema = RecordedKeys::json_schema(generator);
    schema.insert("description".into(), json!("A list of rows, or `file` with a recording of them."));
    schema.insert("type".into(), json!(["array", "object"]));
    schema.insert("items".into(), json!({"type": "object"}));
    schema
});
