//! The JSON schemas (draft-07), made from the types, and the findings that they give.
//!
//! Editors complete from the same schemas, in `schemas/`. They avoid `anyOf` and `oneOf` over whole objects: one
//! wrong key must give one error at its place.
//!
//! To make them takes as long as all the rest of a start, so that files are held against what was made before: the
//! schemas in `schemas/bare/`, which have no words for people. A test tells when they are out of date.

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
    const ALL: [Self; 3] = [Self::Pipeline, Self::Device, Self::Tests];

    /// The schema of what is valid, made from the types.
    pub(crate) fn schema(self) -> &'static Value {
        match self {
            Self::Pipeline => &PIPELINE,
            Self::Device => &DEVICE,
            Self::Tests => &TESTS,
        }
    }

    /// The same without words for people, as it was made before: what files are held against.
    pub fn bare(self) -> &'static Value {
        static BARE: [LazyLock<Value>; 3] = [
            LazyLock::new(|| read(include_str!("../../../schemas/bare/pipeline.json"))),
            LazyLock::new(|| read(include_str!("../../../schemas/bare/engine.json"))),
            LazyLock::new(|| read(include_str!("../../../schemas/bare/tests.json"))),
        ];
        &BARE[self as usize]
    }

    fn name(self) -> &'static str {
        match self {
            Self::Pipeline => "pipeline",
            Self::Device => "engine",
            Self::Tests => "tests",
        }
    }
}

fn read(made: &str) -> Value {
    serde_json::from_str(made).expect("a test holds it against what the types say")
}

/// A schema without what is said to people, and without the patterns of what has a format of the engine's own: the format
/// says the same, and editors do not know it.
fn stripped(schema: &Value) -> Value {
    let mut bare = schema.clone();
    editor::each_schema(&mut bare, &mut |schema| {
        for words in ["description", "enumDescriptions", "$comment"] {
            schema.remove(words);
        }
        if schema.get("format").and_then(Value::as_str).is_some_and(validate::is_own_format) {
            schema.remove("pattern");
        }
    });
    bare
}

/// The schema of a document for people, who want an example of every property.
pub fn with_examples(document: Document) -> Value {
    shape::with_examples(document.schema())
}

/// The generated files for editors: their names in `schemas/`, and their contents, with all that helps there.
pub fn files() -> [(String, String); 3] {
    files_with(RENAMED)
}

/// The generated files for editors, with the old names of these keys.
pub(crate) fn files_with(renamed: &[RenamedKey]) -> [(String, String); 3] {
    Document::ALL.map(|document| {
        let mut dressed = editor::dress(&with_examples(document));
        renamed::deprecate(&mut dressed, document, renamed);
        (format!("{}.schema.json", document.name()), format!("{dressed:#}\n"))
    })
}

/// The generated files for the engine itself: their names in `schemas/bare/`, and their contents.
pub fn bare_files() -> [(String, String); 3] {
    Document::ALL.map(|document| (format!("{}.json", document.name()), format!("{}\n", stripped(document.schema()))))
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
