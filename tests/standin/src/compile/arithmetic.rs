//! Sums, differences, products, quotients, and text put together.

use crate::catalogue::text_literal;
use crate::compile::{Compiler, Typed};
use crate::convert::Purpose;
use crate::errors::{Fallible, error};
use crate::types::{Class, Type, UNBOUNDED};

/// Most characters that a result has that is not `max`.
const VARCHAR_MAX: i64 = 8000;
const NVARCHAR_MAX: i64 = 4000;

/// What a null does to text put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// The whole is null, as with `+`.
    Spread,
    /// It counts as nothing, as with `CONCAT` and `||`.
    LeftOut,
}

impl Compiler<'_> {
    /// `a op b` for `+ - * / % & | ^`.
    pub(crate) fn calculate(&self, a: &Typed, op: &str, b: &Typed) -> Fallible<Typed> {
        if op == "+" && !self.is_oracle() && is_joined(&a.ty) && is_joined(&b.ty) {
            return Ok(self.join(&[a.clone(), b.clone()], Nulls::Spread));
        }
        let ty = if a.ty.is_moment()
            || b.ty.is_moment()
            || a.ty.class() == Class::Interval
            || b.ty.class() == Class::Interval
        {
            self.moment_result(&a.ty, op, &b.ty)?
        } else if self.is_oracle() {
            match (a.ty.class(), b.ty.class()) {
                (Class::Float, _) | (_, Class::Float) => Type::new("BINARY_DOUBLE"),
                _ => Type::new("NUMBER"),
            }
        } else {
            sum_type(&a.ty, op, &b.ty)
        };
        let sql = format!(
            "x_arith('{op}', {}, {}, {}, {}, {})",
            a.sql,
            b.sql,
            text_literal(&a.ty.to_string()),
            text_literal(&b.ty.to_string()),
            text_literal(&ty.to_string())
        );
        Ok(Typed { sql, ty, nullable: a.nullable || b.nullable })
    }

    /// The type of a sum with a date or an interval in it.
    fn moment_result(&self, a: &Type, op: &str, b: &Type) -> Fallible<Type> {
        let clash = || {
            if self.is_oracle() {
                error(
                    932,
                    format!(
                        "inconsistent datatypes: expected NUMBER got {}",
                        if a.is_moment() { &a.name } else { &b.name }
                    ),
                )
            } else {
                error(206, format!("Operand type clash: {} is incompatible with {}", a.name, b.name))
            }
        };
        if !self.is_oracle() {
            let old = |ty: &Type| ty.name == "datetime" || ty.name == "smalldatetime";
            return match (old(a), old(b), op) {
                (true, _, "+" | "-") => Ok(a.clone()),
                (false, true, "+" | "-") if a.is_number() => Ok(b.clone()),
                _ => Err(clash()),
            };
        }
        let days = Type { length: Some(9), scale: Some(6), ..Type::new("INTERVAL DAY TO SECOND") };
        match (a.class(), op, b.class()) {
            (Class::DateTime, "-", Class::DateTime) if a.name == "DATE" && b.name == "DATE" => Ok(Type::new("NUMBER")),
            (_, "-", _) if a.is_moment() && b.is_moment() => Ok(days),
            (Class::Interval, "+" | "-", Class::Interval) => Ok(a.clone()),
            (Class::Interval, "*" | "/", _) => Ok(a.clone()),
            (_, "*", Class::Interval) => Ok(b.clone()),
            (_, "+" | "-", Class::Interval) if a.is_moment() => Ok(a.clone()),
            (Class::Interval, "+", _) if b.is_moment() => Ok(b.clone()),
            (_, "+" | "-", _) if a.is_moment() && (b.is_number() || b.class() == Class::Text) => Ok(Type::new("DATE")),
            (_, "+", _) if b.is_moment() && (a.is_number() || a.class() == Class::Text) => Ok(Type::new("DATE")),
            _ => Err(clash()),
        }
    }

    /// Text put together.
    pub(crate) fn join(&self, parts: &[Typed], nulls: Nulls) -> Typed {
        let national = parts.iter().any(|part| part.ty.is_national());
        let all = parts.iter().map(|part| width(&part.ty)).try_fold(0, |sum, width| width.map(|width| sum + width));
        let (name, most) = match (self.is_oracle(), national) {
            (true, true) => ("NVARCHAR2", NVARCHAR_MAX),
            (true, false) => ("VARCHAR2", NVARCHAR_MAX),
            (false, true) => ("nvarchar", NVARCHAR_MAX),
            (false, false) => ("varchar", VARCHAR_MAX),
        };
        let ty = match all {
            None if self.is_oracle() => Type::new("CLOB"),
            None => Type::sized(name, UNBOUNDED),
            Some(length) => Type::sized(name, length.clamp(1, most)),
        };
        let text = Type::sized(name, UNBOUNDED);
        let sides = parts.iter().map(|part| {
            let shown = if part.ty.class() == Class::Text {
                part.sql.clone()
            } else {
                self.convert(part, &text, Purpose::Cast)
            };
            if nulls == Nulls::LeftOut { format!("ifnull({shown}, '')") } else { shown }
        });
        let joined = format!("({})", sides.collect::<Vec<_>>().join(" || "));
        let sql = if self.is_oracle() { format!("nullif({joined}, '')") } else { joined };
        Typed {
            sql,
            ty,
            nullable: nulls == Nulls::Spread && parts.iter().any(|part| part.nullable) || self.is_oracle(),
        }
    }
}

fn is_joined(ty: &Type) -> bool {
    matches!(ty.class(), Class::Text | Class::Null | Class::Binary)
}

/// Characters that a type takes as text; `None` where there is no bound.
fn width(ty: &Type) -> Option<i64> {
    match ty.class() {
        Class::Text | Class::Binary => ty.length.filter(|length| *length != UNBOUNDED),
        Class::Null => Some(0),
        Class::Uuid => Some(36),
        Class::Bit => Some(1),
        Class::Integer => Some(20),
        _ => Some(40),
    }
}

/// SQL Server's rules for precision and scale.
fn sum_type(a: &Type, op: &str, b: &Type) -> Type {
    let classes = (a.class(), b.class());
    if matches!(classes, (Class::Float, _) | (_, Class::Float)) {
        return Type::new(if a.name == "real" && b.name == "real" { "real" } else { "float" });
    }
    let whole = |class: Class| matches!(class, Class::Bit | Class::Integer | Class::Null | Class::Text | Class::Binary);
    if whole(classes.0) && whole(classes.1) {
        let rank = |ty: &Type| if ty.class() == Class::Integer { ty.digits().0 } else { 0 };
        let wide = if rank(a) >= rank(b) { a } else { b };
        return if wide.class() == Class::Integer { wide.clone() } else { Type::new("int") };
    }
    if [a, b].iter().any(|ty| ty.name.ends_with("money")) && !classes_have_decimal(a, b) {
        return Type::new("money");
    }
    let ((p1, s1), (p2, s2)) = (a.digits(), b.digits());
    let (precision, scale) = match op {
        "*" => (p1 + p2 + 1, s1 + s2),
        "/" => {
            let scale = (s1 + p2 + 1).max(6);
            (p1 - s1 + s2 + scale, scale)
        }
        "%" => ((p1 - s1).min(p2 - s2) + s1.max(s2), s1.max(s2)),
        _ => ((p1 - s1).max(p2 - s2) + 1 + s1.max(s2), s1.max(s2)),
    };
    if precision <= 38 {
        return Type::decimal(precision.max(1), scale);
    }
    let whole = precision - scale;
    Type::decimal(38, scale.min((38 - whole).max(scale.min(6))).max(0))
}

fn classes_have_decimal(a: &Type, b: &Type) -> bool {
    [a, b].iter().any(|ty| ty.class() == Class::Decimal && !ty.name.ends_with("money"))
}
