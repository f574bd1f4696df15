//! The filters of row expressions. No value in is no value out, and a number has the text of its digits.

use std::borrow::Cow;

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value, filters, tests};
use regex::Regex;

use super::{EXPR_FUEL, PAD_WIDTH_MAX, native};
use crate::model::Transform;

/// Filters of row expressions.
pub(crate) const FILTERS: &[&str] = &[
    "abs",
    "default",
    "extract",
    "first",
    "float",
    "int",
    "join",
    "last",
    "length",
    "lower",
    "pad_left",
    "replace",
    "round",
    "split",
    "string",
    "strip_leading",
    "trim",
    "upper",
];
/// Tests of row expressions.
pub(super) const TESTS: &[&str] = &[
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "even",
    "false",
    "float",
    "integer",
    "none",
    "number",
    "odd",
    "startingwith",
    "string",
    "true",
    "undefined",
];

/// An environment for row expressions, with their filters and tests and nothing else.
pub fn environment() -> Environment<'static> {
    let mut env = Environment::empty();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_syntax(crate::jinja::syntax());
    env.set_fuel(Some(EXPR_FUEL));
    env.set_debug(false);
    env.add_filter("abs", filters::abs);
    env.add_filter("first", filters::first);
    env.add_filter("float", filters::float);
    env.add_filter("int", filters::int);
    env.add_filter("join", filters::join);
    env.add_filter("last", filters::last);
    env.add_filter("length", filters::length);
    env.add_filter("round", filters::round);
    env.add_filter("default", |value: Value, other: Option<Value>| {
        let is_missing = value.is_undefined() || value.is_none();
        if is_missing { other.unwrap_or_else(|| Value::from("")) } else { value }
    });
    env.add_filter("split", |value: &Value, by: Option<&str>| {
        let Some(text) = text("split", value)? else { return Ok(Value::from(())) };
        let parts: Vec<String> = match by {
            Some("") => return Err(refused("`| split` needs a separator".to_owned())),
            Some(by) => text.split(by).map(str::to_owned).collect(),
            None => text.split_whitespace().map(str::to_owned).collect(),
        };
        Ok::<_, Error>(Value::from(parts))
    });
    env.add_filter("string", |value: &Value| text("string", value).map(Value::from));
    env.add_filter("trim", |value: &Value| step("trim", value, Transform::Trim));
    env.add_filter("upper", |value: &Value| step("upper", value, Transform::Upper));
    env.add_filter("lower", |value: &Value| step("lower", value, Transform::Lower));
    env.add_filter("strip_leading", |value: &Value, chars: String| {
        step("strip_leading", value, Transform::StripLeading(chars))
    });
    env.add_filter("pad_left", |value: &Value, width: usize, with: &str| {
        step("pad_left", value, pad_left(width, with).map_err(refused)?)
    });
    env.add_filter("replace", |value: &Value, from: &str, to: &str| {
        Ok::<_, Error>(Value::from(text("replace", value)?.map(|text| text.replace(from, to))))
    });
    env.add_filter("extract", |value: &Value, pattern: String| step("extract", value, Transform::Extract(pattern)));
    env.add_test("boolean", tests::is_boolean);
    env.add_test("defined", tests::is_defined);
    env.add_test("divisibleby", tests::is_divisibleby);
    env.add_test("endingwith", tests::is_endingwith);
    env.add_test("even", tests::is_even);
    env.add_test("false", tests::is_false);
    env.add_test("float", tests::is_float);
    env.add_test("integer", tests::is_integer);
    env.add_test("none", tests::is_none);
    env.add_test("number", tests::is_number);
    env.add_test("odd", tests::is_odd);
    env.add_test("startingwith", tests::is_startingwith);
    env.add_test("string", tests::is_string);
    env.add_test("true", tests::is_true);
    env.add_test("undefined", tests::is_undefined);
    env
}

pub(super) fn refused(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

fn step(filter: &str, value: &Value, step: Transform) -> Result<Value, Error> {
    let text = text(filter, value)?;
    native::apply(&[step], text).map(Value::from).map_err(|error| refused(error.message))
}

fn text(filter: &str, value: &Value) -> Result<Option<String>, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    canonical_text(value).map_err(|what| refused(format!("`| {filter}` takes a text, not {what}")))
}

/// The step behind `pad_left(width, with)`.
pub(super) fn pad_left(width: usize, with: &str) -> Result<Transform, String> {
    let mut chars = with.chars();
    match (chars.next(), chars.next()) {
        (Some(with), None) if width <= PAD_WIDTH_MAX => Ok(Transform::PadLeft { width, with }),
        (Some(_), None) => Err(format!("`pad_left` fills up to {PAD_WIDTH_MAX} characters at most")),
        _ => Err("`pad_left` fills with one character, as in `pad_left(12, '0')`".to_owned()),
    }
}

/// Checks the pattern of `extract`: a regular expression with exactly one group.
pub(super) fn one_group(pattern: &str) -> Result<Regex, String> {
    let regex = Regex::new(pattern).map_err(|error| format!("`{pattern}` is not a regular expression: {error}"))?;
    match regex.captures_len() {
        2 => Ok(regex),
        groups => Err(format!("`{pattern}` has {} groups; `extract` takes what the one group matched", groups - 1)),
    }
}

/// The text of a value: digits of a number, without `.0`; `None` for no value. The error says what it is instead.
pub fn canonical_text(value: &Value) -> Result<Option<String>, Cow<'static, str>> {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(None),
        ValueKind::Bool => Ok(Some(value.is_true().to_string())),
        ValueKind::String => Ok(value.as_str().map(str::to_owned)),
        ValueKind::Number if value.is_integer() => Ok(Some(value.to_string())),
        ValueKind::Number => match f64::try_from(value.clone()) {
            Ok(float) if float.is_finite() => Ok(Some(float.to_string())),
            _ => Err("a number that is not finite".into()),
        },
        ValueKind::Bytes => Err("bytes".into()),
        ValueKind::Seq | ValueKind::Iterable => Err("a list".into()),
        ValueKind::Map => Err("a record".into()),
        _ => Ok(Some(value.to_string())),
    }
}
