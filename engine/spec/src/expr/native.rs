//! Recognising the forms that need no interpreter, and the steps of a pipe.

use minijinja::Value;
use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Filter, UnaryOpKind};

use super::filters::{one_group, pad_left};
use super::{Condition, ExprError, Literal, Operand, Order, RowExpr};
use crate::model::Transform;

/// The native form of an expression, if it has one.
pub(super) fn recognise(expr: &Expr<'_>) -> Option<RowExpr> {
    if let Some(Operand { column, ops }) = operand(expr) {
        return Some(RowExpr::Pipe { column, ops });
    }
    condition(expr).map(RowExpr::Condition)
}

/// The name of the column that an expression is; members of nested records are joined by dots.
pub(super) fn column(expr: &Expr<'_>) -> Option<String> {
    match expr {
        Expr::Var(var) => Some(var.id.to_owned()),
        Expr::GetAttr(attr) => column(&attr.expr).map(|outer| format!("{outer}.{}", attr.name)),
        _ => None,
    }
}

fn operand(expr: &Expr<'_>) -> Option<Operand> {
    if let Some(column) = column(expr) {
        return Some(Operand { column, ops: vec![] });
    }
    let Expr::Filter(filter) = expr else { return None };
    let mut operand = operand(filter.expr.as_ref()?)?;
    operand.ops.push(transform(filter)?);
    Some(operand)
}

fn transform(filter: &Filter<'_>) -> Option<Transform> {
    let args: Option<Vec<Value>> = filter
        .args
        .iter()
        .map(|arg| if let CallArg::Pos(Expr::Const(value)) = arg { Some(value.value.clone()) } else { None })
        .collect();
    match (filter.name, args?.as_slice()) {
        ("trim", []) => Some(Transform::Trim),
        ("upper", []) => Some(Transform::Upper),
        ("lower", []) => Some(Transform::Lower),
        ("strip_leading", [chars]) => Some(Transform::StripLeading(chars.as_str()?.to_owned())),
        ("pad_left", [width, with]) => pad_left(width.as_usize()?, with.as_str()?).ok(),
        ("extract", [pattern]) => {
            let pattern = pattern.as_str()?;
            one_group(pattern).ok().map(|_| Transform::Extract(pattern.to_owned()))
        }
        ("replace", [from, to]) if !from.as_str()?.is_empty() => {
            Some(Transform::Replace { pattern: regex::escape(from.as_str()?), with: to.as_str()?.replace('$', "$$") })
        }
        _ => None,
    }
}

fn condition(expr: &Expr<'_>) -> Option<Condition> {
    match expr {
        Expr::UnaryOp(not) if matches!(not.op, UnaryOpKind::Not) => {
            condition(&not.expr).map(|inner| Condition::Not(Box::new(inner)))
        }
        Expr::BinOp(op) => match op.op {
            BinOpKind::ScAnd => both(&op.left, &op.right).map(|(left, right)| Condition::And(left, right)),
            BinOpKind::ScOr => both(&op.left, &op.right).map(|(left, right)| Condition::Or(left, right)),
            BinOpKind::In => {
                let items = match &op.right {
                    Expr::List(list) => &list.items,
                    Expr::Tuple(tuple) => &tuple.items,
                    _ => return None,
                };
                let literals: Option<Vec<Literal>> = items.iter().map(literal).collect();
                Some(Condition::In(operand(&op.left)?, literals?))
            }
            BinOpKind::Eq if is_none(&op.right) => operand(&op.left).map(Condition::IsNone),
            BinOpKind::Ne if is_none(&op.right) => {
                operand(&op.left).map(|operand| Condition::Not(Box::new(Condition::IsNone(operand))))
            }
            kind => {
                let order = order(kind)?;
                match operand(&op.left) {
                    Some(left) => Some(Condition::Compare(left, order, literal(&op.right)?)),
                    None => Some(Condition::Compare(operand(&op.right)?, mirrored(order), literal(&op.left)?)),
                }
            }
        },
        Expr::Test(test) if test.name == "none" && test.args.is_empty() => operand(&test.expr).map(Condition::IsNone),
        other => operand(other).map(Condition::Is),
    }
}

fn both(left: &Expr<'_>, right: &Expr<'_>) -> Option<(Box<Condition>, Box<Condition>)> {
    Some((Box::new(condition(left)?), Box::new(condition(right)?)))
}

fn order(kind: BinOpKind) -> Option<Order> {
    match kind {
        BinOpKind::Eq => Some(Order::Equal),
        BinOpKind::Ne => Some(Order::NotEqual),
        BinOpKind::Lt => Some(Order::Less),
        BinOpKind::Lte => Some(Order::LessOrEqual),
        BinOpKind::Gt => Some(Order::Greater),
        BinOpKind::Gte => Some(Order::GreaterOrEqual),
        _ => None,
    }
}

/// The order with its sides exchanged.
fn mirrored(order: Order) -> Order {
    match order {
        Order::Less => Order::Greater,
        Order::LessOrEqual => Order::GreaterOrEqual,
        Order::Greater => Order::Less,
        Order::GreaterOrEqual => Order::LessOrEqual,
        same => same,
    }
}

fn is_none(expr: &Expr<'_>) -> bool {
    matches!(expr, Expr::Const(value) if value.value.is_none())
}

fn literal(expr: &Expr<'_>) -> Option<Literal> {
    let value = match expr {
        Expr::Const(_) => expr.as_const()?,
        Expr::UnaryOp(op) if matches!(op.op, UnaryOpKind::Neg) => expr.as_const()?,
        _ => return None,
    };
    if let Some(text) = value.as_str() {
        return Some(Literal::Text(text.to_owned()));
    }
    match value.kind() {
        minijinja::value::ValueKind::Bool => Some(Literal::Bool(value.is_true())),
        minijinja::value::ValueKind::Number => match value.as_i64() {
            Some(number) if value.is_integer() => Some(Literal::Int(number)),
            _ => f64::try_from(value).ok().filter(|number| number.is_finite()).map(Literal::Float),
        },
        _ => None,
    }
}

/// Applies steps to a text. A pattern is compiled anew; whoever applies one to many rows compiles it once.
pub(super) fn apply(ops: &[Transform], text: Option<String>) -> Result<Option<String>, ExprError> {
    ops.iter().try_fold(text, |text, op| text.map_or(Ok(None), |text| apply_one(op, &text)))
}

fn apply_one(op: &Transform, text: &str) -> Result<Option<String>, ExprError> {
    let wrong = |message: String| ExprError::new("expr_pattern", message);
    Ok(match op {
        Transform::Trim => Some(text.trim().to_owned()),
        Transform::Upper => Some(text.to_uppercase()),
        Transform::Lower => Some(text.to_lowercase()),
        Transform::StripLeading(chars) => {
            let last = text.char_indices().next_back().map_or(0, |(last, _)| last);
            let kept = text[..last].trim_start_matches(|c| chars.contains(c)).len();
            Some(text[last - kept..].to_owned())
        }
        Transform::PadLeft { width, with } => {
            let missing = width.saturating_sub(text.chars().count());
            Some(std::iter::repeat_n(*with, missing).chain(text.chars()).collect())
        }
        Transform::Replace { pattern, with } => {
            let regex = regex::Regex::new(pattern).map_err(|error| wrong(error.to_string()))?;
            Some(regex.replace_all(text, with.as_str()).into_owned())
        }
        Transform::Split { by, index } => {
            let parts: Vec<&str> = text.split(by.as_str()).collect();
            let place =
                if *index < 0 { parts.len().checked_add_signed(*index as isize) } else { usize::try_from(*index).ok() };
            place.and_then(|place| parts.get(place)).map(|part| (*part).to_owned())
        }
        Transform::Extract(pattern) => {
            let regex = one_group(pattern).map_err(wrong)?;
            regex.captures(text).and_then(|found| found.get(1)).map(|found| found.as_str().to_owned())
        }
    })
}
