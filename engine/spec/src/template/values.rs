//! The values of a template, and the filters that change them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use minijinja::value::{Object, ObjectRepr, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value, filters, tests};

use super::bounds::{self, Role, local_end, local_start};
use super::render::Medium;
use super::{BindValue, LIST_VALUES_MAX, RENDER_FUEL, Scope};
use crate::model::Param;
use crate::scalar::Scalar;

/// Filters of templates.
pub(crate) const FILTERS: &[&str] = &[
    "date", "default", "epoch", "first", "float", "format", "ident", "instant", "int", "join", "last", "length",
    "lower", "replace", "trim", "upper", "utc",
];
/// Tests of templates.
pub(super) const TESTS: &[&str] =
    &["boolean", "defined", "even", "false", "none", "number", "odd", "sequence", "string", "true", "undefined"];
/// The filter that every `{{ … }}` is sent through; its name cannot be written in a template.
pub(super) const BIND_FILTER: &str = "__bind";

/// An environment for templates, without any template.
pub(super) fn environment(medium: Medium) -> Environment<'static> {
    let mut env = Environment::empty();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_syntax(crate::jinja::syntax());
    env.set_fuel(Some(RENDER_FUEL));
    env.set_debug(true);
    env.add_filter("default", filters::default);
    env.add_filter("first", filters::first);
    env.add_filter("float", filters::float);
    env.add_filter("int", filters::int);
    env.add_filter("join", filters::join);
    env.add_filter("last", filters::last);
    env.add_filter("length", filters::length);
    env.add_filter("lower", filters::lower);
    env.add_filter("replace", filters::replace);
    env.add_filter("trim", filters::trim);
    env.add_filter("upper", filters::upper);
    env.add_filter("utc", |value: &Value| moment("utc", value)?.seen_as("utc", View::Utc));
    env.add_filter("instant", |value: &Value| moment("instant", value)?.seen_as("instant", View::Instant));
    env.add_filter("date", |value: &Value| moment("date", value)?.date());
    env.add_filter("epoch", |value: &Value| Ok::<_, Error>(moment("epoch", value)?.epoch()));
    env.add_filter("format", |value: &Value, pattern: &str| moment("format", value)?.format(pattern));
    env.add_filter("ident", move |value: &Value| ident(medium, value));
    env.add_filter(BIND_FILTER, |value: Value, slot: usize| Value::from_object(Emitted { slot, value }));
    env.add_test("boolean", tests::is_boolean);
    env.add_test("defined", tests::is_defined);
    env.add_test("even", tests::is_even);
    env.add_test("false", tests::is_false);
    env.add_test("none", tests::is_none);
    env.add_test("number", tests::is_number);
    env.add_test("odd", tests::is_odd);
    env.add_test("sequence", tests::is_sequence);
    env.add_test("string", tests::is_string);
    env.add_test("true", tests::is_true);
    env.add_test("undefined", tests::is_undefined);
    env
}

/// The value of one `{{ … }}` and its number in the template.
#[derive(Debug)]
pub(super) struct Emitted {
    pub(super) slot: usize,
    pub(super) value: Value,
}

impl Object for Emitted {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

/// A quoted name.
#[derive(Debug)]
struct Name(String);

impl Object for Name {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

/// A value that only the driver understands.
#[derive(Debug)]
struct Bound(BindValue);

impl Object for Bound {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

/// How an instant is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    /// On the local clock of the source.
    Local,
    /// On the clock of UTC, without a zone.
    Utc,
    /// With its zone.
    Instant,
}

/// An instant of the template.
#[derive(Debug, Clone)]
struct Moment {
    instant: Timestamp,
    role: Role,
    zone: TimeZone,
    view: View,
    /// What is bound without a filter, where that is not the instant on the local clock.
    plain: Option<BindValue>,
}

impl Object for Moment {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

impl Moment {
    fn local(&self) -> DateTime {
        match self.role {
            Role::Start => local_start(self.instant, &self.zone),
            Role::End => local_end(self.instant, &self.zone),
            Role::Exact => self.zone.to_datetime(self.instant),
        }
    }

    /// The reading of the clock that `date` and `format` cut.
    fn civil(&self, filter: &str) -> Result<DateTime, Error> {
        match self.view {
            View::Local => Ok(self.local()),
            View::Utc => Ok(TimeZone::UTC.to_datetime(self.instant)),
            View::Instant => Err(refused(format!(
                "`| instant | {filter}`: an instant with its zone is bound as it is; write `| {filter}` or `| utc | {filter}`"
            ))),
        }
    }

    fn bind(&self) -> BindValue {
        let instant = self.instant;
        match (self.view, &self.plain) {
            (View::Local, Some(plain)) => plain.clone(),
            (View::Local, None) => BindValue::Civil { civil: self.local(), instant },
            (View::Utc, _) => BindValue::Civil { civil: TimeZone::UTC.to_datetime(instant), instant },
            (View::Instant, _) => BindValue::Instant { instant, civil: self.local() },
        }
    }

    fn seen_as(&self, filter: &str, view: View) -> Result<Value, Error> {
        if self.view != View::Local {
            return Err(refused(format!("`| {filter}` after `| utc` or `| instant`: one of them is enough")));
        }
        Ok(Value::from_object(Self { view, ..self.clone() }))
    }

    fn date(&self) -> Result<Value, Error> {
        let date = bounds::date(self.civil("date")?, self.role);
        let date = date.ok_or_else(|| refused("the day after the end of the window is beyond the year 9999"))?;
        Ok(Value::from_object(Bound(BindValue::Date(date))))
    }

    fn epoch(&self) -> Value {
        Value::from(bounds::epoch(self.instant, self.role))
    }

    fn format(&self, pattern: &str) -> Result<Value, Error> {
        bounds::format(self.civil("format")?, self.role, pattern).map(Value::from).map_err(refused)
    }
}

/// An error with words of our own.
pub(super) fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

fn moment<'a>(filter: &str, value: &'a Value) -> Result<&'a Moment, Error> {
    value.downcast_object_ref::<Moment>().ok_or_else(|| {
        let message =
            format!("`| {filter}` takes an instant (`window.start`, `window.end`, `run.now`), not {}", kind(value));
        refused(message)
    })
}

fn ident(medium: Medium, value: &Value) -> Result<Value, Error> {
    let Medium::Sql(dialect) = medium else {
        return Err(refused("`| ident` quotes a name of SQL, and this is none"));
    };
    let name = value.as_str().ok_or_else(|| refused(format!("`| ident` takes a text, not {}", kind(value))))?;
    dialect.quote_name(name).map(|quoted| Value::from_object(Name(quoted))).map_err(refused)
}

/// What a value is, in words.
fn kind(value: &Value) -> &'static str {
    if value.downcast_object_ref::<Moment>().is_some() {
        return "an instant";
    }
    if value.downcast_object_ref::<Bound>().is_some() {
        return "a value that is bound as it is";
    }
    if value.downcast_object_ref::<Name>().is_some() {
        return "a quoted name";
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => "nothing",
        ValueKind::Bool => "a truth value",
        ValueKind::Number => "a number",
        ValueKind::String => "a text",
        ValueKind::Bytes => "bytes",
        ValueKind::Seq | ValueKind::Iterable => "a list",
        ValueKind::Map => "a group of names",
        _ => "something else",
    }
}

/// What stands in the statement where a `{{ … }}` was.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Slot {
    /// A placeholder.
    One(BindValue),
    /// As many placeholders as the list is long.
    List(Vec<BindValue>),
    /// A quoted name.
    Name(String),
}

/// What a value becomes in the statement.
pub(super) fn slot(value: &Value) -> Result<Slot, Error> {
    if let Some(name) = value.downcast_object_ref::<Name>() {
        return Ok(Slot::Name(name.0.clone()));
    }
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) {
        return bind(value).map(Slot::One);
    }
    let items = value.try_iter()?.take(LIST_VALUES_MAX + 1).map(|item| bind(&item)).collect::<Result<Vec<_>, _>>()?;
    if items.is_empty() {
        return Err(refused("the list is empty, and SQL has no `IN ()`: leave the condition out with `{% if … %}`"));
    }
    if items.len() > LIST_VALUES_MAX {
        return Err(refused(format!(
            "the list has more than {LIST_VALUES_MAX} values: select by a table of the source"
        )));
    }
    Ok(Slot::List(items))
}

fn bind(value: &Value) -> Result<BindValue, Error> {
    if let Some(moment) = value.downcast_object_ref::<Moment>() {
        return Ok(moment.bind());
    }
    if let Some(bound) = value.downcast_object_ref::<Bound>() {
        return Ok(bound.0.clone());
    }
    match value.kind() {
        ValueKind::None => Ok(BindValue::Null),
        ValueKind::Bool => Ok(BindValue::Bool(value.is_true())),
        ValueKind::Number => number(value),
        ValueKind::String => Ok(BindValue::Text(value.as_str().unwrap_or_default().to_owned())),
        ValueKind::Bytes => Ok(BindValue::Bytes(value.as_bytes().unwrap_or_default().to_vec())),
        _ => Err(refused(format!("{} cannot be bound as one value", kind(value)))),
    }
}

fn number(value: &Value) -> Result<BindValue, Error> {
    if value.is_integer() {
        return Ok(value.as_i64().map_or_else(|| BindValue::Decimal(value.to_string()), BindValue::Int));
    }
    let float = f64::try_from(value.clone())?;
    if float.is_finite() { Ok(BindValue::Float(float)) } else { Err(refused("the number is not finite")) }
}

/// The names of a template and their values.
pub(super) fn context(scope: &Scope<'_>) -> Value {
    let moment = |instant, role, plain| {
        Value::from_object(Moment { instant, role, zone: scope.zone.clone(), view: View::Local, plain })
    };
    let params: BTreeMap<&str, Value> =
        scope.params.iter().map(|(name, value)| (name.as_str(), param(value))).collect();
    let cursor: BTreeMap<&str, Value> = scope
        .cursor
        .iter()
        .map(|(name, value)| {
            let value = match value {
                BindValue::Bool(truth) => Value::from(*truth),
                BindValue::Int(number) => Value::from(*number),
                BindValue::Float(number) => Value::from(*number),
                BindValue::Text(text) => Value::from(text.as_str()),
                BindValue::Civil { instant, .. } | BindValue::Instant { instant, .. } => {
                    moment(*instant, Role::Start, Some(value.clone()))
                }
                other => Value::from_object(Bound(other.clone())),
            };
            (name.as_str(), value)
        })
        .collect();
    let run = BTreeMap::from([("now", moment(scope.now, Role::Exact, None))]);
    let mut names = BTreeMap::from([
        ("params", Value::from_pairs(params)),
        ("cursor", Value::from_pairs(cursor)),
        ("run", Value::from_pairs(run)),
    ]);
    if let Some((start, end)) = scope.window {
        let window = [("start", moment(start, Role::Start, None)), ("end", moment(end, Role::End, None))];
        names.insert("window", Value::from_pairs(window));
    }
    Value::from_pairs(names)
}

fn param(param: &Param) -> Value {
    match param {
        Param::One(scalar) => self::scalar(scalar),
        Param::List(scalars) => scalars.iter().map(self::scalar).collect(),
    }
}

fn scalar(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Text(text) => Value::from(text.as_str()),
        Scalar::Int(number) => Value::from(*number),
        Scalar::Float(number) => Value::from(*number),
        Scalar::Bool(truth) => Value::from(*truth),
    }
}
