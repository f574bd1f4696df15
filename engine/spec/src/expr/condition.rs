//! Conditions that need no interpreter.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::ExprError;
use crate::model::Transform;

/// A column, changed step by step, that is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Operand {
    /// The column's name, as written.
    pub column: String,
    /// The steps, in order.
    pub ops: Vec<Transform>,
}

/// A constant that a column is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// Compares with the canonical text.
    Text(String),
    /// Compares as a number.
    Int(i64),
    /// Compares as a number.
    Float(f64),
    /// Compares with `true` and `1`, or `false` and `0`.
    Bool(bool),
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Order {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// A condition over columns.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// `column == 'X'`. No value differs from everything, and is neither less nor greater than anything.
    Compare(Operand, Order, Literal),
    /// `column in ['A', 'B']`
    In(Operand, Vec<Literal>),
    /// `column is none`
    IsNone(Operand),
    /// `column`: true or false by itself.
    Is(Operand),
    /// `not …`
    Not(Box<Self>),
    /// `… and …`
    And(Box<Self>, Box<Self>),
    /// `… or …`
    Or(Box<Self>, Box<Self>),
}

/// Gives the canonical text of an operand for the row at hand, its steps applied; `None` is no value.
pub type Lookup<'l, 'row> = dyn FnMut(&Operand) -> Result<Option<Cow<'row, str>>, ExprError> + 'l;

impl Condition {
    /// Whether the condition holds, with the columns' texts given by `lookup`.
    pub fn eval<'row>(&self, lookup: &mut Lookup<'_, 'row>) -> Result<bool, ExprError> {
        match self {
            Self::Compare(operand, order, literal) => match lookup(operand)? {
                None => Ok(*order == Order::NotEqual),
                Some(text) => compare(&operand.column, &text, literal).map(|ordering| order.holds(ordering)),
            },
            Self::In(operand, literals) => match lookup(operand)? {
                None => Ok(false),
                // A text in a list with numbers is not one of the numbers: that is no mistake.
                Some(text) => Ok(literals
                    .iter()
                    .any(|literal| compare(&operand.column, &text, literal).is_ok_and(Ordering::is_eq))),
            },
            Self::IsNone(operand) => Ok(lookup(operand)?.is_none()),
            Self::Is(operand) => truth(&operand.column, lookup(operand)?.as_deref()),
            Self::Not(inner) => Ok(!inner.eval(lookup)?),
            Self::And(left, right) => Ok(left.eval(lookup)? && right.eval(lookup)?),
            Self::Or(left, right) => Ok(left.eval(lookup)? || right.eval(lookup)?),
        }
    }

    /// Whether every operand is a column as it is, without a step that changes it.
    pub fn operands_are_plain(&self) -> bool {
        match self {
            Self::Compare(operand, ..) | Self::In(operand, _) | Self::IsNone(operand) | Self::Is(operand) => {
                operand.ops.is_empty()
            }
            Self::Not(inner) => inner.operands_are_plain(),
            Self::And(left, right) | Self::Or(left, right) => left.operands_are_plain() && right.operands_are_plain(),
        }
    }

    /// The columns that it reads, as written.
    pub fn columns(&self) -> BTreeSet<String> {
        let mut columns = BTreeSet::new();
        self.collect_columns(&mut columns);
        columns
    }

    fn collect_columns(&self, columns: &mut BTreeSet<String>) {
        match self {
            Self::Compare(operand, ..) | Self::In(operand, _) | Self::IsNone(operand) | Self::Is(operand) => {
                columns.insert(operand.column.clone());
            }
            Self::Not(inner) => inner.collect_columns(columns),
            Self::And(left, right) | Self::Or(left, right) => {
                left.collect_columns(columns);
                right.collect_columns(columns);
            }
        }
    }
}

/// Whether a text is true by itself.
pub(super) fn truth(name: &str, text: Option<&str>) -> Result<bool, ExprError> {
    match text {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(text) => {
            let message =
                format!("`{name}` is `{text}`, which is neither true nor false: compare it, as in `{name} == 'X'`");
            Err(ExprError::new("expr_not_condition", message))
        }
    }
}

fn compare(name: &str, text: &str, literal: &Literal) -> Result<Ordering, ExprError> {
    match literal {
        Literal::Text(other) => Ok(text.cmp(other)),
        Literal::Bool(other) => truth(name, Some(text)).map(|truth| truth.cmp(other)),
        Literal::Int(other) => {
            let trimmed = text.trim();
            let whole = trimmed.parse::<i128>().map(|number| number.cmp(&i128::from(*other)));
            #[allow(
                clippy::cast_precision_loss,
                reason = "a fraction is compared, where the last digits do not decide"
            )]
            whole.or_else(|_| numbers(name, text, *other as f64))
        }
        Literal::Float(other) => numbers(name, text, *other),
    }
}

fn numbers(name: &str, text: &str, other: f64) -> Result<Ordering, ExprError> {
    let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    number.and_then(|number| number.partial_cmp(&other)).ok_or_else(|| {
        let message =
            format!("`{name}` is `{text}`, which is no number: compare it with a text, as in `{name} == '{other}'`");
        ExprError::new("expr_not_number", message)
    })
}
