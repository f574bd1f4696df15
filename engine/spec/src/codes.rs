//! The registry of findings: every code, what it means, and an example that provokes it.
//!
//! The reference page is made from this table, and a test runs every example.

use crate::diagnostic::Severity;

/// One kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeInfo {
    /// Stable name.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it means, in one line.
    pub meaning: &'static str,
    /// Why it is a finding and what to do.
    pub explanation: &'static str,
    /// Top-level keys of a spec that provoke it when they replace those of the base spec; a device config where the
    /// first line is `# engine.yaml`. Empty where only bytes, or a second file, can provoke it.
    pub example: &'static str,
}

/// The entry of a code.
pub fn find(code: &str) -> Option<&'static CodeInfo> {
    ALL.iter().find(|info| info.code == code)
}

macro_rules! codes {
    ($($name:ident = $code:literal, $severity:ident, $meaning:literal, $explanation:literal, $example:literal;)*) => {
        $(#[doc = $meaning] pub const $name: &str = $code;)*

        /// All codes, in the order of the reference.
        pub const ALL: &[CodeInfo] = &[$(CodeInfo {
            code: $code,
            severity: Severity::$severity,
            meaning: $meaning,
            explanation: $explanation,
            example: $example,
        }),*];
    };
}

codes! {
    FILE_TOO_BIG = "file-too-big", Error, "The file is larger than 256 KiB.",
        "A spec is written by a person and has some dozen lines. Long SQL goes to `query.file`.", "";
    NOT_UTF8 = "not-utf8", Error, "The file is not UTF-8.",
        "Specs are UTF-8, with or without a byte order mark. Save the file again in that encoding.", "";
    EMPTY_FILE = "empty-file", Error, "The file holds no value.",
        "A spec is a map of keys. Start with `version: 1`, or run `engine init`.", "";
    YAML_SYNTAX = "yaml-syntax", Error, "The text is not YAML.",
        "Most often a quote or bracket is not closed, the indent is uneven, or a text that contains `: ` needs quotes.",
        "description: \"not closed\n";
    SEVERAL_DOCUMENTS = "several-documents", Error, "The file holds more than one YAML document.",
        "One file is one pipeline. Move what follows `---` to a file of its own.",
        "description: one\n---\ndescription: two\n";
    TOO_DEEP = "too-deep", Error, "Lists and maps are nested deeper than 64 levels.",
        "No key of a spec needs that depth; it is refused before it costs memory.",
        "labels: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n";
    TOO_MANY_VALUES = "too-many-values", Error, "The file holds more than 50,000 values, repeated aliases included.",
        "Aliases can repeat aliases, so that a few lines name billions of values. Such a file is refused.",
        "labels:\n  a: &a [1,1,1,1,1,1,1,1,1,1]\n  b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n  c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n  d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n  e: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n";
    DUPLICATE_KEY = "duplicate-key", Error, "A key is given twice in one map.",
        "Readers of YAML disagree on which of the two counts. Keep one.",
        "schedule: { every: 2m, every: 5m }\n";
    AMBIGUOUS_SCALAR = "ambiguous-scalar", Error, "A text without quotes that readers of YAML understand differently.",
        "`no` is a truth value or a country, `00123` a number or an order, `12:30` a time or 750. Write it in quotes.",
        "labels: { country: no }\n";
    TAG = "tag", Error, "A tag changes how a value is read.",
        "Specs have no tags. Text is written in quotes.", "description: !!str 5\n";
    BAD_KEY = "bad-key", Error, "A key that is not text.",
        "A list or a map cannot be a key.", "labels: { [a]: b }\n";
    BAD_MERGE = "bad-merge", Error, "`<<` is given something else than a map.",
        "`<<` adds the entries of a map, or of a list of maps; what is written beside it wins.",
        "labels: { <<: text }\n";
    UNKNOWN_KEY = "unknown-key", Error, "A key that the format does not have.",
        "Unknown keys are errors, so that a typing mistake never switches something off in silence.",
        "shedule: { every: 2m }\n";
    MISSING_KEY = "missing-key", Error, "A required key is missing.",
        "The finding names the key. `engine schema` and the editor show what belongs there.",
        "source: { type: sqlite }\n";
    WRONG_TYPE = "wrong-type", Error, "A value of the wrong type.",
        "Text, number, truth value, list and map are not converted into each other.",
        "key: id\n";
    EMPTY_VALUE = "empty-value", Error, "A key with nothing behind it.",
        "A key that is left out has its default; a key without a value is a mistake.",
        "description:\n";
    BAD_VALUE = "bad-value", Error, "A value that does not have the required form or range.",
        "The finding shows the form: a period is `5m`, a share `5%`, a size `1MiB`.",
        "schedule: { every: 5 minutes }\n";
    UNKNOWN_VALUE = "unknown-value", Error, "A value that is not one of those allowed.",
        "The finding lists them.", "table: orders\n";
    EXACTLY_ONE = "exactly-one", Error, "Of several keys exactly one must be given.",
        "They exclude each other: each says the same thing in another way.",
        "query: { sql: SELECT 1, file: a.sql }\n";
    LITERAL_SECRET = "literal-secret", Error, "A secret is written into the spec.",
        "Specs are shared and versioned. A secret takes a reference: `{ env: NAME }`, `{ file: PATH }` or `{ credential: NAME }`.",
        "destination: { type: enlyze, url: \"https://app.enlyze.com\", token: abc }\n";
    BAD_SHAPE = "bad-shape", Error, "The value does not have the shape that its key needs.",
        "The finding says what was expected.",
        "destination: { type: http, url: \"https://a.example\", batch: { max_records: 5.0 } }\n";
}
