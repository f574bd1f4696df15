//! Expressions that run in the interpreter.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::{Arc, LazyLock};

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, Expression, Output, State, Value};

use super::condition::truth;
use super::filters::{canonical_text, environment, refused};
use super::{EXPR_TEXT_BYTES_MAX, ExprError};

/// The environment of every expression; a text with `{{ … }}` has one of its own, because it is kept there.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(environment);
/// The name under which a text is kept.
const TEMPLATE_NAME: &str = "row";

/// An expression that runs in the interpreter.
#[derive(Clone)]
pub struct Script {
    text: String,
    columns: BTreeSet<String>,
    program: Program,
}

#[derive(Clone)]
enum Program {
    Expression(Arc<Expression<'static, 'static>>),
    Template(Arc<Environment<'static>>),
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("text", &self.text).field("columns", &self.columns).finish()
    }
}

impl Script {
    pub(super) fn expression(text: &str, columns: BTreeSet<String>) -> Result<Self, Error> {
        let expression = ENVIRONMENT.compile_expression_owned(text.to_owned())?;
        Ok(Self { text: text.to_owned(), columns, program: Program::Expression(Arc::new(expression)) })
    }

    pub(super) fn template(text: &str, columns: BTreeSet<String>) -> Result<Self, Error> {
        let mut env = environment();
        env.set_formatter(write_text);
        env.add_template_owned(TEMPLATE_NAME, text.to_owned())?;
        Ok(Self { text: text.to_owned(), columns, program: Program::Template(Arc::new(env)) })
    }

    /// The columns that it reads, as written.
    pub fn columns(&self) -> &BTreeSet<String> {
        &self.columns
    }

    pub(super) fn eval_text(&self, row: &Value) -> Result<Option<String>, ExprError> {
        match &self.program {
            Program::Expression(expression) => {
                let value = expression.eval(self.context(row)).map_err(|error| self.error(&error, row))?;
                self.refuse_undefined(&value, row)?;
                let text = canonical_text(&value).map_err(|what| {
                    ExprError::new("expr_not_text", format!("`{}` gives {what}, which is no text", self.text))
                })?;
                if text.as_ref().is_some_and(|text| text.len() > EXPR_TEXT_BYTES_MAX) {
                    return Err(self.error(&Error::from(ErrorKind::WriteFailure), row));
                }
                Ok(text)
            }
            Program::Template(env) => {
                let mut bytes = Limited(vec![]);
                let template = env.get_template(TEMPLATE_NAME).map_err(|error| self.error(&error, row))?;
                template.render_captured_to(self.context(row), &mut bytes).map_err(|error| self.error(&error, row))?;
                String::from_utf8(bytes.0).map(Some).map_err(|_| {
                    ExprError::new("expr_not_text", format!("`{}` gives bytes that are no text", self.text))
                })
            }
        }
    }

    pub(super) fn eval_bool(&self, row: &Value) -> Result<bool, ExprError> {
        let Program::Expression(expression) = &self.program else {
            return truth(&self.text, self.eval_text(row)?.as_deref());
        };
        let value = expression.eval(self.context(row)).map_err(|error| self.error(&error, row))?;
        self.refuse_undefined(&value, row)?;
        match value.kind() {
            ValueKind::Bool => Ok(value.is_true()),
            ValueKind::None => Ok(false),
            ValueKind::Number if matches!(value.as_i64(), Some(0 | 1)) => Ok(value.is_true()),
            kind => {
                let message = format!("`{}` gives a {kind}, which is neither true nor false: compare it", self.text);
                Err(ExprError::new("expr_not_condition", message))
            }
        }
    }

    /// The columns that the expression reads, members of nested records inside maps of their own.
    fn context(&self, row: &Value) -> Value {
        let mut root = Branch::default();
        for column in &self.columns {
            let value = row.get_attr(column).unwrap_or(Value::UNDEFINED);
            if !value.is_undefined() {
                root.insert(column.split('.'), value);
            }
        }
        root.into_value()
    }

    fn refuse_undefined(&self, value: &Value, row: &Value) -> Result<(), ExprError> {
        if value.is_undefined() { Err(self.error(&Error::from(ErrorKind::UndefinedError), row)) } else { Ok(()) }
    }

    fn error(&self, error: &Error, row: &Value) -> ExprError {
        let is_missing = |column: &&String| row.get_attr(column).is_ok_and(|value| value.is_undefined());
        if let Some(missing) = self.columns.iter().find(is_missing) {
            return ExprError::new("expr_no_column", format!("the result has no column `{missing}`"));
        }
        let (code, what) = match error.kind() {
            ErrorKind::UndefinedError => ("expr_no_value", "a part that it takes is not there".to_owned()),
            ErrorKind::OutOfFuel => ("expr_too_long", "it takes too many steps".to_owned()),
            ErrorKind::WriteFailure => {
                ("expr_too_long", format!("its text is longer than {EXPR_TEXT_BYTES_MAX} bytes"))
            }
            kind => ("expr_value", error.detail().map_or_else(|| kind.to_string(), str::to_owned)),
        };
        ExprError::new(code, format!("`{}`: {what}", self.text))
    }
}

/// Columns by the parts of their names.
#[derive(Default)]
struct Branch {
    value: Option<Value>,
    members: BTreeMap<String, Self>,
}

impl Branch {
    fn insert<'a>(&mut self, mut path: impl Iterator<Item = &'a str>, value: Value) {
        match path.next() {
            Some(part) => self.members.entry(part.to_owned()).or_default().insert(path, value),
            None => self.value = Some(value),
        }
    }

    fn into_value(self) -> Value {
        match self.value {
            Some(value) if self.members.is_empty() => value,
            _ => Value::from_pairs(self.members.into_iter().map(|(name, branch)| (name, branch.into_value()))),
        }
    }
}

/// Writes the canonical text of a value; nothing for no value.
fn write_text(out: &mut Output, _: &mut State, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    match canonical_text(value) {
        Ok(Some(text)) => out.write_str(&text).map_err(Error::from),
        Ok(None) => Ok(()),
        Err(what) => Err(refused(format!("{what} cannot be written as text"))),
    }
}

/// Takes bytes up to the limit of a text.
struct Limited(Vec<u8>);

impl io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > EXPR_TEXT_BYTES_MAX {
            return Err(io::Error::other("the text is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
