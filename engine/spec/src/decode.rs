//! Reading the types of [`crate::model`] that have more than one way to be written.
//!
//! Each such type has a private twin with the keys as written. The twin carries the words of the reference, and
//! both the decoder and the JSON schema are made from it, so the two cannot drift apart.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::expr::PAD_WIDTH_MAX;
use crate::model::{
    Action, After, FieldOptions, FieldSource, FutureCheck, HeaderValue, Machines, OnFold, OnGap, Param, Reference,
    Scalar, Secret, TextField, TimeField, TimeFormat, TimeOptions, TimePart, TimeSource, Transform, Unmapped, Version,
};
use crate::scalar::{PERIOD_PATTERN, Period};

/// Reads a key that may be left out but not be empty: `key:` with nothing behind it is a mistake.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Implements `Deserialize` through `fn from_value(Value) -> Result<Self, String>`, and names the inlined schema.
macro_rules! by_shape {
    ($type:ty, $name:literal, $schema:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <$type>::from_value(Value::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let schema: fn(&mut SchemaGenerator) -> Schema = $schema;
                schema(generator)
            }
        }
    };
}

mod rows;

/// The schema of an object type that may also be written as a text: the name of a column.
fn column_or_object<Keys: JsonSchema>(generator: &mut SchemaGenerator, alternatives: &Value) -> Schema {
    let mut schema = Keys::json_schema(generator);
    schema.insert("type".into(), json!(["string", "object"]));
    schema.insert("if".into(), json!({"type": "object"}));
    schema.insert("then".into(), json!({"oneOf": alternatives}));
    schema
}

fn object_or_column(value: Value) -> Result<Value, String> {
    match value {
        Value::String(column) => Ok(json!({ "column": column })),
        Value::Object(_) => Ok(value),
        _ => Err("expected the name of a column, or an object".to_owned()),
    }
}

fn one_source(
    column: Option<String>,
    template: Option<String>,
    value: Option<Scalar>,
) -> Result<Option<FieldSource>, String> {
    match (column, template, value) {
        (Some(column), None, None) => Ok(Some(FieldSource::Column(column))),
        (None, Some(template), None) => Ok(Some(FieldSource::Template(template))),
        (None, None, Some(value)) => Ok(Some(FieldSource::Value(value))),
        (None, None, None) => Ok(None),
        _ => Err("expected exactly one of `column`, `template`, `value`".to_owned()),
    }
}

// ----------------------------------------------------------------------------------------------- small

impl Version {
    #[expect(clippy::needless_pass_by_value, reason = "one signature for all shapes")]
    fn from_value(value: Value) -> Result<Self, String> {
        if value == json!(1) { Ok(Self) } else { Err("the only version of the spec format is 1".to_owned()) }
    }
}

by_shape!(Version, "Version", |_| json_schema!({
    "description": "Version of the spec format.", "type": "integer", "enum": [1], "examples": [1]
}));

impl Param {
    fn from_value(value: Value) -> Result<Self, String> {
        if value.is_array() {
            Vec::deserialize(value).map(Self::List)
        } else {
            Scalar::deserialize(value).map(Self::One)
        }
        .map_err(|error| error.to_string())
    }
}

by_shape!(Param, "Param", |generator| {
    let scalar = generator.subschema_for::<Scalar>();
    json_schema!({
        "description": "A scalar, or a list of scalars.",
        "type": ["string", "number", "boolean", "array"],
        "items": scalar,
        "examples": ["1000", ["1000", "1100"]]
    })
});

impl FutureCheck {
    #[expect(clippy::needless_pass_by_value, reason = "one signature for all shapes")]
    fn from_value(value: Value) -> Result<Self, String> {
        let text = value.as_str().ok_or("expected `reject`, `report`, `allow` or a period")?;
        match text {
            "reject" => Ok(Self::Action(Action::Reject)),
            "report" => Ok(Self::Action(Action::Report)),
            "allow" => Ok(Self::Action(Action::Allow)),
            period => period.parse::<Period>().map(Self::Tolerance),
        }
    }
}

by_shape!(FutureCheck, "FutureCheck", |_| json_schema!({
    "description": "An action, or the tolerance beyond which a time is rejected.",
    "type": "string",
    "pattern": format!("^(reject|report|allow)$|{PERIOD_PATTERN}"),
    "format": "ActionOrPeriod",
    "minLength": 2,
    "examples": ["5m", "report"]
}));

impl HeaderValue {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(Self::Text(text)),
            Value::Object(_) => Reference::deserialize(value)
                .map(|reference| Self::Secret(Secret(reference)))
                .map_err(|error| error.to_string()),
            _ => Err("expected a text or a reference".to_owned()),
        }
    }
}

by_shape!(HeaderValue, "HeaderValue", |generator| {
    let reference = generator.subschema_for::<Reference>();
    json_schema!({
        "description": "Value of a header: a text, or a reference, which makes it secret.",
        "if": {"type": "object"},
        "then": reference,
        "else": {"type": "string"},
        "examples": ["application/json", {"env": "API_KEY"}]
    })
});

impl Machines {
    fn from_value(value: Value) -> Result<Self, String> {
        let mut codes = BTreeMap::<String, String>::deserialize(value).map_err(|error| error.to_string())?;
        match (codes.remove("file"), codes.is_empty()) {
            (Some(file), true) => Ok(Self::File(file)),
            (Some(_), false) => Err("`file` stands alone: machines are in the spec or in a file".to_owned()),
            (None, true) => Err("expected at least one machine".to_owned()),
            (None, false) => Ok(Self::Inline(codes)),
        }
    }
}

by_shape!(Machines, "Machines", |_| json_schema!({
    "description": "Machine codes and the platform's machine ids, or `file` with a CSV file of them.",
    "type": "object",
    "properties": {
        "file": {
            "description": "CSV file with a header line and two columns, code and id, relative to the spec.",
            "type": "string",
            "examples": ["machines.csv"]
        }
    },
    "additionalProperties": {"type": "string"},
    "minProperties": 1,
    "if": {"required": ["file"]},
    "then": {"maxProperties": 1},
    "examples": [{"M1": "3f2b7c1e-0d5a-4a53-9d0e-0a6f5f1c8f11"}, {"file": "machines.csv"}]
}));

// ------------------------------------------------------------------------------------------- transform

/// Fills up on the left.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PadLeftKeys {
    /// Width in characters.
    #[schemars(example = &12, range(min = 1, max = 1024))]
    width: usize,
    /// The character to fill with.
    #[schemars(example = &"0")]
    with: char,
}

/// Replaces every match of a regular expression.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReplaceKeys {
    /// The regular expression.
    #[schemars(example = &"[- ]")]
    pattern: String,
    /// The replacement; `$1` is the first group.
    #[schemars(example = &"")]
    with: String,
}

/// Takes one part of the text.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SplitKeys {
    /// The separator.
    #[schemars(example = &"/", length(min = 1))]
    by: String,
    /// Which part, counted from 0; from the end when negative.
    #[schemars(example = &0)]
    index: i64,
}

/// A step with arguments: exactly one of these keys.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TransformKeys {
    /// Removes these characters at the start, but never the last character.
    #[schemars(example = &"0", length(min = 1))]
    #[serde(default, deserialize_with = "present")]
    strip_leading: Option<String>,
    /// Fills up on the left.
    #[schemars(example = json!({"width": 12, "with": "0"}))]
    #[serde(default, deserialize_with = "present")]
    pad_left: Option<PadLeftKeys>,
    /// Replaces every match of a regular expression.
    #[schemars(example = json!({"pattern": "[- ]", "with": ""}))]
    #[serde(default, deserialize_with = "present")]
    replace: Option<ReplaceKeys>,
    /// Takes one part of the text.
    #[schemars(example = json!({"by": "/", "index": 0}))]
    #[serde(default, deserialize_with = "present")]
    split: Option<SplitKeys>,
    /// Takes what the one group of a regular expression matched; no match is no value.
    #[schemars(example = &"^WO-([0-9]+)")]
    #[serde(default, deserialize_with = "present")]
    extract: Option<String>,
}

impl Transform {
    fn from_value(value: Value) -> Result<Self, String> {
        const SHAPE: &str = "expected `trim`, `upper`, `lower`, or an object with exactly one of `strip_leading`, \
                             `pad_left`, `replace`, `split`, `extract`";
        if let Some(name) = value.as_str() {
            return match name {
                "trim" => Ok(Self::Trim),
                "upper" => Ok(Self::Upper),
                "lower" => Ok(Self::Lower),
                _ => Err(SHAPE.to_owned()),
            };
        }
        let keys = TransformKeys::deserialize(value).map_err(|error| error.to_string())?;
        let TransformKeys { strip_leading, pad_left, replace, split, extract } = keys;
        match (strip_leading, pad_left, replace, split, extract) {
            (Some(characters), None, None, None, None) if !characters.is_empty() => Ok(Self::StripLeading(characters)),
            (None, Some(PadLeftKeys { width, with }), None, None, None) if (1..=PAD_WIDTH_MAX).contains(&width) => {
                Ok(Self::PadLeft { width, with })
            }
            (None, None, Some(ReplaceKeys { pattern, with }), None, None) => Ok(Self::Replace { pattern, with }),
            (None, None, None, Some(SplitKeys { by, index }), None) if !by.is_empty() => Ok(Self::Split { by, index }),
            (None, None, None, None, Some(pattern)) => Ok(Self::Extract(pattern)),
            _ => Err(SHAPE.to_owned()),
        }
    }
}

by_shape!(Transform, "Transform", |generator| {
    let mut schema = TransformKeys::json_schema(generator);
    schema.insert("description".into(), json!("One step that changes a text: a name, or an object with one key."));
    schema.insert("type".into(), json!(["string", "object"]));
    schema.insert("if".into(), json!({"type": "string"}));
    schema.insert("then".into(), json!({"enum": ["trim", "upper", "lower"]}));
    schema.insert("else".into(), json!({"minProperties": 1, "maxProperties": 1}));
    schema.insert("examples".into(), json!(["trim", {"strip_leading": "0"}]));
    schema
});

// ---------------------------------------------------------------------------------------------- fields

/// A text or number attribute: the name of a column, or an object with exactly one of `column`, `template`, `value`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TextFieldKeys {
    /// Column of the result. Case is ignored where that is unambiguous.
    #[schemars(example = &"anr")]
    #[serde(default, deserialize_with = "present")]
    column: Option<String>,
    /// Expression over the row.
    #[schemars(example = &"anr ~ '-' ~ folge")]
    #[serde(default, deserialize_with = "present")]
    template: Option<String>,
    /// A constant.
    #[schemars(example = &"M1")]
    #[serde(default, deserialize_with = "present")]
    value: Option<Scalar>,
    /// Steps that change the text, in order.
    #[schemars(example = json!(["trim", {"strip_leading": "0"}]))]
    #[serde(default)]
    transform: Vec<Transform>,
    /// Codes of the source and their canonical values.
    #[schemars(example = json!({"A": "START", "E": "END"}))]
    #[serde(default, deserialize_with = "present")]
    map: Option<BTreeMap<String, String>>,
    /// What happens to a code that `map` lacks. Default `reject`.
    #[schemars(example = &"reject")]
    #[serde(default, deserialize_with = "present")]
    unmapped: Option<Unmapped>,
    /// Texts that stand for "no value".
    #[schemars(example = json!(["", "-"]))]
    #[serde(default)]
    null_if: Vec<Scalar>,
    /// Value where the column has none.
    #[schemars(example = &"unknown")]
    #[serde(default, deserialize_with = "present")]
    default: Option<Scalar>,
}

impl TextField {
    fn from_value(value: Value) -> Result<Self, String> {
        let keys = TextFieldKeys::deserialize(object_or_column(value)?).map_err(|error| error.to_string())?;
        let TextFieldKeys { column, template, value, transform, map, unmapped, null_if, default } = keys;
        let from = one_source(column, template, value)?.ok_or("expected one of `column`, `template`, `value`")?;
        Ok(Self { from, options: FieldOptions { transform, map, unmapped, null_if, default } })
    }
}

by_shape!(TextField, "TextField", |generator| column_or_object::<TextFieldKeys>(
    generator,
    &json!([{"required": ["column"]}, {"required": ["template"]}, {"required": ["value"]}])
));

/// A time attribute: the name of a column, or an object with exactly one of `column`, `template`, `value`, or `date`
/// and `time`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TimeFieldKeys {
    /// Column of the result that holds date and time.
    #[schemars(example = &"booked_at")]
    #[serde(default, deserialize_with = "present")]
    column: Option<String>,
    /// Expression over the row.
    #[schemars(example = &"datum ~ ' ' ~ zeit")]
    #[serde(default, deserialize_with = "present")]
    template: Option<String>,
    /// A constant.
    #[schemars(example = &"2025-03-29T21:00:00Z")]
    #[serde(default, deserialize_with = "present")]
    value: Option<Scalar>,
    /// The date, where it has a column of its own. Together with `time`.
    #[schemars(example = &"buchdat")]
    #[serde(default, deserialize_with = "present")]
    date: Option<TimePart>,
    /// The time of day, where it has a column of its own. Together with `date`.
    #[schemars(example = json!({"column": "buchzeit", "format": "seconds_of_day"}))]
    #[serde(default, deserialize_with = "present")]
    time: Option<TimePart>,
    /// Steps that change the text, in order, before it is parsed. Not with `date` and `time`, which have their own.
    #[schemars(example = json!(["trim"]))]
    #[serde(default)]
    transform: Vec<Transform>,
    /// How the value is written. Default: what the column's type says, and ISO 8601 for text.
    #[schemars(example = &"%d.%m.%Y %H:%M")]
    #[serde(default, deserialize_with = "present")]
    format: Option<TimeFormat>,
    /// IANA zone of a naive value. Default: the zone of the source.
    #[schemars(example = &"Europe/Berlin")]
    #[serde(default, deserialize_with = "present")]
    timezone: Option<String>,
    /// A local time that a clock change skips. Default `forward`.
    #[schemars(example = &"forward")]
    #[serde(default, deserialize_with = "present")]
    on_gap: Option<OnGap>,
    /// A local time that a clock change repeats. Default `earlier`.
    #[schemars(example = &"earlier")]
    #[serde(default, deserialize_with = "present")]
    on_fold: Option<OnFold>,
    /// On `end`: a time that would lie before the start belongs to the next day.
    #[schemars(example = &"start")]
    #[serde(default, deserialize_with = "present")]
    after: Option<After>,
    /// Texts that stand for "no value".
    #[schemars(example = json!(["9999-12-31"]))]
    #[serde(default)]
    null_if: Vec<Scalar>,
    /// Value where the column has none.
    #[schemars(example = &"2025-03-29T21:00:00Z")]
    #[serde(default, deserialize_with = "present")]
    default: Option<Scalar>,
}

impl TimeField {
    fn from_value(value: Value) -> Result<Self, String> {
        let keys = TimeFieldKeys::deserialize(object_or_column(value)?).map_err(|error| error.to_string())?;
        let TimeFieldKeys { column, template, value, date, time, .. } = keys;
        let from = match (one_source(column, template, value)?, date, time) {
            (Some(from), None, None) => TimeSource::Whole(from),
            (None, Some(date), Some(time)) => TimeSource::Parts { date, time },
            _ => return Err("expected exactly one of `column`, `template`, `value`, or `date` with `time`".to_owned()),
        };
        let TimeFieldKeys { transform, format, timezone, on_gap, on_fold, after, null_if, default, .. } = keys;
        Ok(Self {
            from,
            options: TimeOptions { transform, format, timezone, on_gap, on_fold, after, null_if, default },
        })
    }
}

by_shape!(TimeField, "TimeField", |generator| column_or_object::<TimeFieldKeys>(
    generator,
    &json!([
        {"required": ["column"]},
        {"required": ["template"]},
        {"required": ["value"]},
        {"required": ["date", "time"]}
    ])
));

/// The date or the time of day of a time attribute: the name of a column, or an object with exactly one of `column`,
/// `template`, `value`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TimePartKeys {
    /// Column of the result.
    #[schemars(example = &"buchzeit")]
    #[serde(default, deserialize_with = "present")]
    column: Option<String>,
    /// Expression over the row.
    #[schemars(example = &"zeit ~ '00'")]
    #[serde(default, deserialize_with = "present")]
    template: Option<String>,
    /// A constant.
    #[schemars(example = &"06:00:00")]
    #[serde(default, deserialize_with = "present")]
    value: Option<Scalar>,
    /// Steps that change the text, in order, before it is parsed.
    #[schemars(example = json!(["trim"]))]
    #[serde(default)]
    transform: Vec<Transform>,
    /// How the value is written. Default: what the column's type says, and ISO 8601 for text.
    #[schemars(example = &"seconds_of_day")]
    #[serde(default, deserialize_with = "present")]
    format: Option<TimeFormat>,
    /// Texts that stand for "no value".
    #[schemars(example = json!(["00000000"]))]
    #[serde(default)]
    null_if: Vec<Scalar>,
}

impl TimePart {
    fn from_value(value: Value) -> Result<Self, String> {
        let keys = TimePartKeys::deserialize(object_or_column(value)?).map_err(|error| error.to_string())?;
        let TimePartKeys { column, template, value, transform, format, null_if } = keys;
        let from = one_source(column, template, value)?.ok_or("expected one of `column`, `template`, `value`")?;
        Ok(Self { from, transform, format, null_if })
    }
}

by_shape!(TimePart, "TimePart", |generator| column_or_object::<TimePartKeys>(
    generator,
    &json!([{"required": ["column"]}, {"required": ["template"]}, {"required": ["value"]}])
));

/// The formats that have a name.
pub const NAMED_FORMATS: [(&str, TimeFormat); 6] = [
    ("iso8601", TimeFormat::Iso8601),
    ("epoch_s", TimeFormat::EpochS),
    ("epoch_ms", TimeFormat::EpochMs),
    ("yyyymmdd", TimeFormat::Yyyymmdd),
    ("hhmmss", TimeFormat::Hhmmss),
    ("seconds_of_day", TimeFormat::SecondsOfDay),
];

impl TimeFormat {
    #[expect(clippy::needless_pass_by_value, reason = "one signature for all shapes")]
    fn from_value(value: Value) -> Result<Self, String> {
        let text = value.as_str().ok_or("expected the name of a format, or a strftime pattern")?;
        if let Some((_, format)) = NAMED_FORMATS.iter().find(|(name, _)| *name == text) {
            return Ok(format.clone());
        }
        if text.contains('%') {
            return Ok(Self::Pattern(text.to_owned()));
        }
        Err(format!("`{text}` is neither the name of a format nor a strftime pattern"))
    }
}

by_shape!(TimeFormat, "TimeFormat", |_| {
    let names = NAMED_FORMATS.map(|(name, _)| name);
    json_schema!({
        "description": "How a time is written: `iso8601`, `epoch_s`, `epoch_ms`, `yyyymmdd`, `hhmmss`, \
                        `seconds_of_day`, or a strftime pattern.",
        "type": "string",
        "pattern": format!("^({})$|%", names.join("|")),
        "examples": ["iso8601", "epoch_s", "epoch_ms", "yyyymmdd", "hhmmss", "seconds_of_day", "%d.%m.%Y %H:%M"]
    })
});

#[cfg(test)]
mod tests;
