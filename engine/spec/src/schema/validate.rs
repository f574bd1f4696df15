//! Errors of the schema to findings at the right place, in words.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::Document;
use crate::codes;
use crate::diagnostic::{Diagnostic, Fix, Guess, child, guess};
use crate::model::Period;
use crate::scalar::{ByteSize, Ident, Percent};
use crate::yaml::SpecFile;

static PIPELINE_VALIDATOR: LazyLock<Validator> = LazyLock::new(|| compile(Document::Pipeline.bare()));
static DEVICE_VALIDATOR: LazyLock<Validator> = LazyLock::new(|| compile(Document::Device.bare()));
static TESTS_VALIDATOR: LazyLock<Validator> = LazyLock::new(|| compile(Document::Tests.bare()));

/// The name of a format, and whether a text has it.
type Format = (&'static str, fn(&str) -> bool);

/// The formats of the scalars.
const FORMATS: [Format; 5] = [
    ("Period", |text| text.parse::<Period>().is_ok()),
    ("ByteSize", |text| text.parse::<ByteSize>().is_ok()),
    ("Percent", |text| text.parse::<Percent>().is_ok()),
    ("Ident", |text| text.parse::<Ident>().is_ok()),
    ("ActionOrPeriod", |text| matches!(text, "reject" | "report" | "allow") || text.parse::<Period>().is_ok()),
];

pub(super) fn is_own_format(format: &str) -> bool {
    FORMATS.iter().any(|(name, _)| *name == format)
}

/// The validator of a schema made here, with the formats of the scalars.
pub fn compile(schema: &Value) -> Validator {
    let options = jsonschema::options().with_draft(jsonschema::Draft::Draft7).should_validate_formats(true);
    FORMATS
        .into_iter()
        .fold(options, |options, (name, has_it)| options.with_format(name, has_it))
        .build(schema)
        .expect("the schema is made from the types and a test compiles it")
}

/// What the schema says of a file.
pub(crate) struct Outcome {
    /// The findings.
    pub findings: Vec<Diagnostic>,
    /// Pointers of values without which the rest could still be read.
    pub offenders: Vec<Offender>,
}

/// A value that the schema refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offender {
    /// Its JSON pointer.
    pub pointer: String,
    /// Whether the key itself is unknown.
    pub unknown: bool,
}

/// Validates a file against the schema of what it is.
pub(crate) fn validate(file: &SpecFile, value: &Value, document: Document) -> Outcome {
    let validator: &Validator = match document {
        Document::Pipeline => &PIPELINE_VALIDATOR,
        Document::Device => &DEVICE_VALIDATOR,
        Document::Tests => &TESTS_VALIDATOR,
    };
    let schema = document.bare();
    let mut translation =
        Translation { file, schema, outcome: Outcome { findings: Vec::new(), offenders: Vec::new() } };
    if validator.is_valid(value) {
        return translation.outcome;
    }
    let mut errors: Vec<ValidationError<'_>> = validator.iter_errors(value).collect();
    // A value of the wrong type breaks other rules as well; the type is what is said of it.
    errors.sort_by_key(|error| !matches!(error.kind(), ValidationErrorKind::Type { .. }));
    let mut judged = HashSet::new();
    for error in &errors {
        let about_keys = matches!(
            error.kind(),
            ValidationErrorKind::AdditionalProperties { .. } | ValidationErrorKind::Required { .. }
        );
        if about_keys || judged.insert(error.instance_path().as_str().to_owned()) {
            translation.error(error);
        }
    }
    translation.outcome
}

struct Translation<'a> {
    file: &'a SpecFile,
    schema: &'a Value,
    outcome: Outcome,
}

impl Translation<'_> {
    fn error(&mut self, error: &ValidationError<'_>) {
        let pointer = error.instance_path().as_str();
        let instance = error.instance().as_ref();
        let rule = error.schema_path().as_str();
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                for key in unexpected {
                    self.unknown_key(pointer, key, rule);
                }
            }
            ValidationErrorKind::Required { property } => self.missing_key(pointer, property, rule),
            ValidationErrorKind::Type { kind } => self.wrong_type(pointer, instance, kind, rule),
            ValidationErrorKind::Enum { options } => self.unknown_value(pointer, instance, options),
            ValidationErrorKind::OneOfNotValid { .. } | ValidationErrorKind::OneOfMultipleValid { .. } => {
                self.exactly_one(pointer, instance, &self.alternatives(rule));
            }
            ValidationErrorKind::MinProperties { .. } | ValidationErrorKind::MaxProperties { .. } => {
                self.number_of_keys(pointer, instance, rule);
            }
            _ => self.bad_value(pointer, instance, rule, &error.masked().to_string()),
        }
    }

    fn push(&mut self, code: &'static str, span: Range<usize>, pointer: &str, message: String, help: Option<String>) {
        let mut finding = Diagnostic::new(code, span, message).at(pointer);
        finding.help = help;
        self.outcome.findings.push(finding);
    }

    fn offends(&mut self, pointer: &str, unknown: bool) {
        self.outcome.offenders.push(Offender { pointer: pointer.to_owned(), unknown });
    }

    fn unknown_key(&mut self, parent: &str, key: &str, rule: &str) {
        let pointer = child(parent, key);
        let known = self.keys(rule);
        let mut finding = Diagnostic::new(
            codes::UNKNOWN_KEY,
            self.file.key_span(&pointer),
            format!("unknown key `{key}` {}", inside(parent)),
        )
        .at(pointer.as_str());
        finding = match guess(key, known.iter().map(String::as_str)) {
            Some(meant) => put_right(finding.help(format!("did you mean `{}`?", meant.name)), meant),
            None if known.is_empty() => finding,
            None => finding.help(format!("known here: {}", list(&known))),
        };
        self.outcome.findings.push(finding);
        self.offends(&pointer, true);
    }

    fn missing_key(&mut self, pointer: &str, property: &Value, rule: &str) {
        let key = property.as_str().unwrap_or_default();
        let span = if pointer.is_empty() { self.file.value_span("") } else { self.file.key_span(pointer) };
        let span = self.first_line(&span);
        let message = match pointer {
            "" => format!("the file lacks the key `{key}`"),
            pointer => format!("`{}` lacks the key `{key}`", last(pointer)),
        };
        let parent = rule.rsplit_once('/').map_or("", |(parent, _)| parent);
        let example = self.schema.pointer(&format!("{parent}/properties/{key}/examples/0"));
        self.push(
            codes::MISSING_KEY,
            span,
            pointer,
            message,
            Some(
                example.map_or_else(
                    || format!("add `{key}`"),
                    |example| format!("add it, for example `{key}: {example}`"),
                ),
            ),
        );
    }

    fn wrong_type(&mut self, pointer: &str, instance: &Value, kind: &TypeKind, rule: &str) {
        let span = self.file.value_span(pointer);
        if rule == "/definitions/Reference/type" {
            let message = format!("`{}` is a secret and is written into the spec", last(pointer));
            let help = "a secret takes a reference: `{ env: NAME }`, `{ file: PATH }` or `{ credential: NAME }`";
            self.push(codes::LITERAL_SECRET, span, pointer, message, Some(help.to_owned()));
        } else if instance.is_null() {
            let span = self.file.key_span(pointer);
            let help = "remove the key, or give it a value".to_owned();
            self.push(codes::EMPTY_VALUE, span, pointer, format!("`{}` has no value", last(pointer)), Some(help));
        } else {
            let expected: Vec<&str> = match kind {
                TypeKind::Single(one) => vec![type_name(&one.to_string())],
                TypeKind::Multiple(several) => several.iter().map(|one| type_name(&one.to_string())).collect(),
            };
            let message =
                format!("`{}` takes {}, not {}", last(pointer), expected.join(" or "), type_name(kind_of(instance)));
            let help = self.example(rule, pointer);
            let quoted = self.quoted(instance, &span).filter(|_| expected == ["text"]);
            let fix = quoted.map(|replacement| Fix { span: span.clone(), replacement });
            self.push(codes::WRONG_TYPE, span, pointer, message, help);
            self.outcome.findings.last_mut().expect("one was just pushed").fix = fix;
        }
        self.offends(pointer, false);
    }

    /// A number or a truth value as the text that is written there.
    fn quoted(&self, instance: &Value, span: &Range<usize>) -> Option<String> {
        let written = self.file.text.text.get(span.clone())?;
        let is_plain = written.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        (is_plain && (instance.is_number() || instance.is_boolean())).then(|| format!("\"{written}\""))
    }

    fn unknown_value(&mut self, pointer: &str, instance: &Value, options: &Value) {
        let names: Vec<String> = options.as_array().into_iter().flatten().map(plain).collect();
        let written = plain(instance);
        let span = self.file.value_span(pointer);
        let mut finding =
            Diagnostic::new(codes::UNKNOWN_VALUE, span, format!("`{written}` is not a value of `{}`", last(pointer)))
                .at(pointer);
        finding = match guess(&written, names.iter().map(String::as_str)) {
            Some(meant) => {
                put_right(finding.help(format!("did you mean `{}`? Allowed: {}", meant.name, list(&names))), meant)
            }
            None => finding.help(format!("allowed: {}", list(&names))),
        };
        self.outcome.findings.push(finding);
        self.offends(pointer, false);
    }

    /// The sets of keys of a `oneOf` of `required`.
    fn alternatives(&self, rule: &str) -> Vec<Vec<String>> {
        let branches = self.schema.pointer(rule).and_then(Value::as_array);
        branches
            .into_iter()
            .flatten()
            .map(|branch| branch["required"].as_array().into_iter().flatten().map(plain).collect())
            .collect()
    }

    fn exactly_one(&mut self, pointer: &str, instance: &Value, alternatives: &[Vec<String>]) {
        let given: Vec<&String> =
            alternatives.iter().flatten().filter(|key| instance.get(key.as_str()).is_some()).collect();
        let choices: Vec<String> = alternatives.iter().map(|keys| keys.join("` with `")).collect();
        let found = match given.as_slice() {
            [] => "there is none".to_owned(),
            given => format!("there is {}", list(given)),
        };
        let span = match given.get(1) {
            Some(second) => self.file.key_span(&child(pointer, second)),
            None => self.file.key_span(pointer),
        };
        let message = format!("`{}` takes exactly one of {}; {found}", last(pointer), list(&choices));
        self.push(codes::EXACTLY_ONE, span, pointer, message, None);
        self.offends(pointer, false);
    }

    fn number_of_keys(&mut self, pointer: &str, instance: &Value, rule: &str) {
        if rule.starts_with("/definitions/Machines/") {
            let (code, message) = match instance.get("file") {
                Some(_) => (codes::EXACTLY_ONE, "`machines` takes codes or `file`, not both"),
                None => (codes::BAD_VALUE, "`machines` names no machine"),
            };
            self.push(code, self.file.key_span(pointer), pointer, message.to_owned(), None);
            self.offends(pointer, false);
            return;
        }
        let alternatives: Vec<Vec<String>> = self.keys(rule).into_iter().map(|key| vec![key]).collect();
        self.exactly_one(pointer, instance, &alternatives);
    }

    fn bad_value(&mut self, pointer: &str, instance: &Value, rule: &str, fallback: &str) {
        let parent = rule.rsplit_once('/').map_or("", |(parent, _)| parent);
        let format = self.schema.pointer(parent).and_then(|schema| schema["format"].as_str()).unwrap_or_default();
        let text = instance.as_str().unwrap_or_default();
        let reason = match format {
            "Period" => text.parse::<Period>().err(),
            "ByteSize" => text.parse::<ByteSize>().err(),
            "Percent" => text.parse::<Percent>().err(),
            "Ident" => text.parse::<Ident>().err(),
            "ActionOrPeriod" => Some(format!("`{text}` is neither `reject`, `report`, `allow` nor a period")),
            _ => None,
        };
        let reason = reason.unwrap_or_else(|| format!("`{}`: {fallback}", last(pointer)));
        let help = self.example(rule, pointer);
        self.push(codes::BAD_VALUE, self.file.value_span(pointer), pointer, reason, help);
        self.offends(pointer, false);
    }

    /// The keys that the schema knows where a rule about keys stands.
    fn keys(&self, rule: &str) -> Vec<String> {
        let mut parent = rule;
        while let Some((above, _)) = parent.rsplit_once('/') {
            parent = above;
            if let Some(properties) = self.schema.pointer(parent).and_then(|schema| schema["properties"].as_object()) {
                return properties.keys().cloned().collect();
            }
        }
        Vec::new()
    }

    fn example(&self, rule: &str, pointer: &str) -> Option<String> {
        let mut parent = rule;
        for _ in 0..2 {
            parent = parent.rsplit_once('/')?.0;
            if let Some(example) = self.schema.pointer(&format!("{parent}/examples/0")) {
                let key = last(pointer);
                return Some(format!("for example `{key}: {}`", plain(example)));
            }
        }
        None
    }

    fn first_line(&self, span: &Range<usize>) -> Range<usize> {
        let text = &self.file.text.text[span.clone()];
        span.start..span.start + text.find('\n').unwrap_or(text.len())
    }
}

/// The finding with the name that was meant as its fix, where no other can be meant.
fn put_right(finding: Diagnostic, meant: Guess<'_>) -> Diagnostic {
    let span = finding.span.clone();
    if meant.is_certain { finding.fix(span, meant.name) } else { finding }
}

fn last(pointer: &str) -> String {
    let name = pointer.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
    if name.is_empty() { "the file".to_owned() } else { name }
}

fn inside(pointer: &str) -> String {
    if pointer.is_empty() { "at the top level".to_owned() } else { format!("in `{}`", last(pointer)) }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn list<T: AsRef<str>>(names: &[T]) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn type_name(schema_type: &str) -> &'static str {
    match schema_type.trim_matches('"') {
        "null" => "nothing",
        "boolean" => "a truth value",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "text",
        "array" => "a list",
        _ => "a map",
    }
}
