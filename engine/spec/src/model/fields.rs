//! Canonical attributes and where they come from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Scalar;
use crate::decode::present;
use crate::diagnostic::child;

/// Canonical attributes and the source columns they come from.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fields {
    /// Code of the production order. Required.
    #[schemars(example = &"anr")]
    #[serde(default, deserialize_with = "present")]
    pub order_code: Option<TextField>,
    /// Code of the product. Required.
    #[schemars(example = &"artnr")]
    #[serde(default, deserialize_with = "present")]
    pub product_code: Option<TextField>,
    /// Code of the machine. Required.
    #[schemars(example = &"mnr")]
    #[serde(default, deserialize_with = "present")]
    pub machine_code: Option<TextField>,
    /// Start of the order. Required in order tables.
    #[schemars(example = &"start_ts")]
    #[serde(default, deserialize_with = "present")]
    pub start: Option<TimeField>,
    /// End of the order; null while it runs. Required in order tables.
    #[schemars(example = &"end_ts")]
    #[serde(default, deserialize_with = "present")]
    pub end: Option<TimeField>,
    /// Time of the booking. Required in booking tables.
    #[schemars(example = &"booked_at")]
    #[serde(default, deserialize_with = "present")]
    pub timestamp: Option<TimeField>,
    /// Kind of the booking, `START` or `END` after `map`. Required in booking tables.
    #[schemars(example = serde_json::json!({"column": "kenn", "map": {"A": "START", "E": "END"}}))]
    #[serde(default, deserialize_with = "present")]
    pub event: Option<TextField>,
    /// Name of the product.
    #[schemars(example = &"artbez")]
    #[serde(default, deserialize_with = "present")]
    pub product_name: Option<TextField>,
    /// Quantity, scrap included.
    #[schemars(example = &"menge")]
    #[serde(default, deserialize_with = "present")]
    pub quantity_total: Option<TextField>,
    /// Scrap.
    #[schemars(example = &"ausschuss")]
    #[serde(default, deserialize_with = "present")]
    pub quantity_scrap: Option<TextField>,
    /// Good quantity.
    #[schemars(example = &"gutmenge")]
    #[serde(default, deserialize_with = "present")]
    pub quantity_yield: Option<TextField>,
    /// Unit of the quantities.
    #[schemars(example = &"einheit")]
    #[serde(default, deserialize_with = "present")]
    pub quantity_unit: Option<TextField>,
    /// Further names and their columns, passed through.
    #[schemars(example = serde_json::json!({"shift": "schicht"}))]
    #[serde(default)]
    pub attributes: BTreeMap<String, TextField>,
}

impl Fields {
    /// The fields that are texts and are given, attributes last, with their JSON pointers in the spec.
    pub fn texts(&self) -> impl Iterator<Item = (String, &TextField)> {
        let named = [
            ("order_code", &self.order_code),
            ("product_code", &self.product_code),
            ("machine_code", &self.machine_code),
            ("event", &self.event),
            ("product_name", &self.product_name),
            ("quantity_total", &self.quantity_total),
            ("quantity_scrap", &self.quantity_scrap),
            ("quantity_yield", &self.quantity_yield),
            ("quantity_unit", &self.quantity_unit),
        ];
        let named = named.into_iter().filter_map(|(name, field)| Some((child("/fields", name), field.as_ref()?)));
        let attributes = self.attributes.iter();
        named.chain(attributes.map(|(name, field)| (child("/fields/attributes", name), field)))
    }

    /// The fields that are times and are given, by name.
    pub fn times(&self) -> impl Iterator<Item = (&'static str, &TimeField)> {
        let named = [("start", &self.start), ("end", &self.end), ("timestamp", &self.timestamp)];
        named.into_iter().filter_map(|(name, field)| Some((name, field.as_ref()?)))
    }
}

/// A text or number attribute: the name of a column, or an object.
#[derive(Debug, Clone, PartialEq)]
pub struct TextField {
    /// Where the value comes from.
    pub from: FieldSource,
    /// The options that were given beside it.
    pub options: FieldOptions,
}

/// Where a field's value comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldSource {
    /// A column of the result.
    Column(String),
    /// An expression over the row.
    Template(String),
    /// A constant.
    Value(Scalar),
}

/// Options of a text or number attribute, applied in this order: `null_if`, `transform`, `null_if`, `map`, `default`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FieldOptions {
    /// Steps that change the text, in order.
    pub transform: Vec<Transform>,
    /// Codes of the source and their canonical values.
    pub map: Option<BTreeMap<String, String>>,
    /// What happens to a code that `map` lacks. Default `reject`.
    pub unmapped: Option<Unmapped>,
    /// Texts that stand for "no value".
    pub null_if: Vec<Scalar>,
    /// Value where the column has none.
    pub default: Option<Scalar>,
}

/// What happens to a code that `map` lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unmapped {
    /// The row goes to quarantine.
    Reject,
    /// The code itself is used.
    Keep,
    /// The row is dropped.
    Skip,
}

/// One step that changes a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Transform {
    /// `trim`: removes white space, no-break spaces included, at both ends.
    Trim,
    /// `upper`: upper case.
    Upper,
    /// `lower`: lower case.
    Lower,
    /// `{ strip_leading: "0" }`: removes these characters at the start, but never the last character.
    StripLeading(String),
    /// `{ pad_left: { width, with } }`: fills up on the left.
    PadLeft {
        /// Width in characters.
        width: usize,
        /// The character to fill with.
        with: char,
    },
    /// `{ replace: { pattern, with } }`: replaces every match of a regular expression.
    Replace {
        /// The regular expression.
        pattern: String,
        /// The replacement; `$1` is the first group.
        with: String,
    },
    /// `{ split: { by, index } }`: takes one part, counted from 0; from the end when negative.
    Split {
        /// The separator.
        by: String,
        /// Which part.
        index: i64,
    },
    /// `{ extract: regex }`: takes what the one group matched; no match is no value.
    Extract(String),
}

/// A time attribute: the name of a column, or an object.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeField {
    /// Where the value comes from.
    pub from: TimeSource,
    /// The options that were given beside it.
    pub options: TimeOptions,
}

/// Where a time comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum TimeSource {
    /// One column, expression or constant that holds date and time.
    Whole(FieldSource),
    /// A date and a time in columns of their own.
    Parts {
        /// The date.
        date: TimePart,
        /// The time of day.
        time: TimePart,
    },
}

/// The date or the time of day of a time attribute: the name of a column, or an object.
#[derive(Debug, Clone, PartialEq)]
pub struct TimePart {
    /// Where the value comes from.
    pub from: FieldSource,
    /// Steps that change the text, in order, before it is parsed.
    pub transform: Vec<Transform>,
    /// How the value is written. Default: what the column's type says, and ISO 8601 for text.
    pub format: Option<TimeFormat>,
    /// Texts that stand for "no value".
    pub null_if: Vec<Scalar>,
}

/// Options of a time attribute.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TimeOptions {
    /// Steps that change the text, in order, before it is parsed. Only without `date` and `time`.
    pub transform: Vec<Transform>,
    /// How the value is written. Default: what the column's type says, and ISO 8601 for text.
    pub format: Option<TimeFormat>,
    /// IANA zone of a naive value. Default: the zone of the source.
    pub timezone: Option<String>,
    /// A local time that a clock change skips. Default `forward`.
    pub on_gap: Option<OnGap>,
    /// A local time that a clock change repeats. Default `earlier`.
    pub on_fold: Option<OnFold>,
    /// On `end`: a time that would lie before the start belongs to the next day.
    pub after: Option<After>,
    /// Texts that stand for "no value".
    pub null_if: Vec<Scalar>,
    /// Value where the column has none.
    pub default: Option<Scalar>,
}

/// How a time is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeFormat {
    /// `iso8601`: ISO 8601 or RFC 3339, with `T` or a blank, with or without an offset.
    Iso8601,
    /// `epoch_s`: seconds since 1970-01-01 UTC.
    EpochS,
    /// `epoch_ms`: milliseconds since 1970-01-01 UTC.
    EpochMs,
    /// `yyyymmdd`: a date in eight digits, text or number.
    Yyyymmdd,
    /// `hhmmss`: a time of day in up to six digits, text or number; `240000` is the next day's start.
    Hhmmss,
    /// `seconds_of_day`: seconds since midnight.
    SecondsOfDay,
    /// A strftime pattern.
    Pattern(String),
}

/// A local time that a clock change skips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnGap {
    /// Moved forward by the length of the gap.
    Forward,
    /// The row goes to quarantine.
    Reject,
}

/// A local time that a clock change repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFold {
    /// The first of the two.
    Earlier,
    /// The second of the two.
    Later,
    /// The row goes to quarantine.
    Reject,
}

/// The attribute that a time must not lie before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// `start`.
    Start,
}

/// Machine codes and the platform's machine ids.
#[derive(Debug, Clone, PartialEq)]
pub enum Machines {
    /// In the spec.
    Inline(BTreeMap<String, String>),
    /// A CSV file with two columns, code and id, and a header line; relative to the spec.
    File(String),
}
