//! Expressions over a source row: `template` of a field, `skip_when`, `cancelled_when`.
//!
//! The common forms are recognised as [`RowExpr::Pipe`] and [`RowExpr::Condition`], which need no interpreter; every
//! other expression runs in one. Both have the same rules: a null column is no value, a column compares with a text
//! by its canonical text, and with a number as a number.

use std::borrow::Cow;
use std::collections::BTreeSet;

use minijinja::Value;

use crate::model::Transform;
use crate::template::TemplateFinding;

mod analyse;
mod condition;
mod filters;
mod native;
mod script;
#[cfg(test)]
mod tests;

pub use condition::{Condition, Literal, Operand, Order};
#[cfg(test)]
pub(crate) use filters::FILTERS;
pub use filters::{canonical_text, environment};
pub use script::Script;

/// Bytes of an expression.
pub const EXPR_BYTES_MAX: usize = 16 * 1024;
/// Bytes of the text that an expression gives.
pub const EXPR_TEXT_BYTES_MAX: usize = 1024 * 1024;
/// Steps that one evaluation may take.
pub const EXPR_FUEL: u64 = 100_000;
/// Characters that `pad_left` fills up to at most.
pub const PAD_WIDTH_MAX: usize = 1_024;

/// An expression over a row, checked.
#[derive(Debug, Clone)]
pub enum RowExpr {
    /// A column whose text is changed step by step: `mnr | trim | upper`.
    Pipe {
        /// The column's name, as written.
        column: String,
        /// The steps, in order; none for a bare column.
        ops: Vec<Transform>,
    },
    /// Comparisons of columns with constants: `kenn == 'X' and menge > 0`.
    Condition(Condition),
    /// Anything else.
    Script(Script),
}

/// A row for which an expression has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprError {
    /// Stable code.
    pub code: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
}

impl ExprError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl RowExpr {
    /// Reads an expression, or a text with `{{ … }}` in it. Findings are all there are; with an error among them
    /// there is no expression. Ranges are bytes of `text`.
    pub fn parse(text: &str) -> (Option<Self>, Vec<TemplateFinding>) {
        analyse::parse(text)
    }

    /// The columns that it reads, as written. `a.b` is the member of a nested record.
    pub fn columns(&self) -> BTreeSet<String> {
        match self {
            Self::Pipe { column, .. } => BTreeSet::from([column.clone()]),
            Self::Condition(condition) => condition.columns(),
            Self::Script(script) => script.columns().clone(),
        }
    }

    /// The text that the expression gives for a row; `None` is no value.
    ///
    /// The row is an object whose attributes are columns: undefined for a column that the result lacks, none for null.
    /// Exact decimals are best handed in as numbers, so that a script compares them as such.
    pub fn eval_text(&self, row: &Value) -> Result<Option<String>, ExprError> {
        match self {
            Self::Pipe { column, ops } => {
                let value = column_value(row, column)?;
                let text = canonical_text(&value).map_err(|what| not_text(column, &what))?;
                native::apply(ops, text)
            }
            Self::Condition(_) => Ok(Some(self.eval_bool(row)?.to_string())),
            Self::Script(script) => script.eval_text(row),
        }
    }

    /// Whether the expression is true for a row. No value is false; a text is an error, because it is no condition.
    pub fn eval_bool(&self, row: &Value) -> Result<bool, ExprError> {
        match self {
            Self::Pipe { column, .. } => {
                let text = self.eval_text(row)?;
                condition::truth(column, text.as_deref())
            }
            Self::Condition(condition) => condition.eval(&mut |operand| {
                let value = column_value(row, &operand.column)?;
                let text = canonical_text(&value).map_err(|what| not_text(&operand.column, &what))?;
                native::apply(&operand.ops, text).map(|text| text.map(Cow::Owned))
            }),
            Self::Script(script) => script.eval_bool(row),
        }
    }
}

/// The value of a column; an error names one that the result lacks.
fn column_value(row: &Value, column: &str) -> Result<Value, ExprError> {
    let value = row.get_attr(column).unwrap_or(Value::UNDEFINED);
    if value.is_undefined() {
        return Err(ExprError::new("expr_no_column", format!("the result has no column `{column}`")));
    }
    Ok(value)
}

fn not_text(name: &str, what: &str) -> ExprError {
    ExprError::new("expr_not_text", format!("`{name}` is {what}, which is no text"))
}
