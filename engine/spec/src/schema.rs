//! The JSON schemas (draft-07), made from the types, and the findings that they give.
//!
//! Editors complete from the same schemas, in `schemas/`. They avoid `anyOf` and `oneOf` over whole objects: one
//! wrong key must give one error at its place.

mod editor;
mod shape;
mod validate;

use std::sync::LazyLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::device::Device;
use crate::model::{Spec, TestFile};
use crate::renamed::{self, RENAMED, RenamedKey};

pub use editor::title_of;
pub use validate::compile;
pub(crate) use validate::{Offender, validate};

/// The schema of a pipeline spec.
pub static PIPELINE: LazyLock<Value> = LazyLock::new(|| {
    let mut schema = schema_of::<Spec>("pipeline.schema.json");
    let required = |table: &str, fields: [&str; 2]| {
        json!({
            "if": {"properties": {"table": {"const": table}}, "required": ["table"]},
            "then": {"properties": {"fields": {"required": fields}}}
        })
    };
    schema["allOf"] = json!([required("order", ["start", "end"]), required("booking", ["timestamp", "event"])]);
    schema["definitions"]["Fields"]["required"] = json!(["order_code", "product_code", "machine_code"]);
    schema
});

/// The schema of a device config.
pub static DEVICE: LazyLock<Value> = LazyLock::new(|| schema_of::<Device>("engine.schema.json"));

/// The schema of the tests beside a spec.
pub static TESTS: LazyLock<Value> = LazyLock::new(|| schema_of::<TestFile>("tests.schema.json"));

/// What a file may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// A pipeline spec.
    Pipeline,
    /// A device config.
    Device,
    /// The tests beside a spec.
    Tests,
}

impl Document {
    /// The schema of what is valid.
    pub(crate) fn schema(self) -> &'static Value {
        match self {
            Self::Pipeline => &PIPELINE,
            Self::Device => &DEVICE,
            Self::Tests => &TESTS,
        }
    }
}

/// The schema of a document for people, who want an example of every property.
pub fn with_examples(document: Document) -> Value {
    shape::with_examples(document.schema())
}

/// The generated files: their names in `schemas/`, and their contents, with all that helps in an editor.
pub fn files() -> [(&'static str, String); 3] {
    files_with(RENAMED)
}

/// The generated files, with the old names of these keys.
pub(crate) fn files_with(renamed: &[RenamedKey]) -> [(&'static str, String); 3] {
    let documents = [
        ("pipeline.schema.json", Document::Pipeline),
        ("engine.schema.json", Document::Device),
        ("tests.schema.json", Document::Tests),
    ];
    documents.map(|(name, document)| {
        let mut dressed = editor::dress(&with_examples(document));
        renamed::deprecate(&mut dressed, document, renamed);
        (name, format!("{dressed:#}\n"))
    })
}

fn schema_of<T: JsonSchema>(file: &str) -> Value {
    let schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<T>();
    let mut schema = schema.to_value();
    shape::rewrite(&mut schema);
    schema["$id"] = json!(format!("https://schemas.enlyze.com/engine/1/{file}"));
    schema
}

#[cfg(test)]
mod tests;
