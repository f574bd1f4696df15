//! Types that meet: comparisons, and the type of what may be one or the other.

use crate::compile::{Compiler, Typed};
use crate::convert::Purpose;
use crate::errors::{Fallible, error};
use crate::types::{Class, Type, UNBOUNDED};

impl Compiler<'_> {
    /// `a op b`, where `op` is one of SQLite's comparisons.
    pub(crate) fn compare(&self, a: &Typed, op: &str, b: &Typed) -> Fallible<String> {
        let (a, b, collation) = self.comparable(a, b)?;
        Ok(format!("({a} {op} {b}{collation})"))
    }

    /// Both sides in a form that SQLite compares, and the collation to compare them by.
    pub(crate) fn comparable(&self, a: &Typed, b: &Typed) -> Fallible<(String, String, String)> {
        self.suggest(a, &b.ty);
        self.suggest(b, &a.ty);
        let common = self.meeting_type(&a.ty, &b.ty)?;
        let side = |value: &Typed| self.comparable_side(value, &common);
        let collation = match common.class() {
            Class::Text if self.is_oracle() => {
                let fixed = |ty: &Type| ty.is_padded() || ty.name.is_empty();
                if fixed(&a.ty) && fixed(&b.ty) { " COLLATE PADDED" } else { " COLLATE BINARY" }.to_owned()
            }
            Class::Binary | Class::Integer | Class::Bit | Class::Float => String::new(),
            _ => format!(" COLLATE {}", common.collation()),
        };
        Ok((side(a), side(b), collation))
    }

    fn comparable_side(&self, value: &Typed, common: &Type) -> String {
        if value.sql == "NULL" {
            return value.sql.clone();
        }
        let same_class = value.ty.class() == common.class();
        let alike = match common.class() {
            Class::Text if value.ty.name == "sql_variant" => false,
            Class::Text | Class::Decimal | Class::Float | Class::Binary | Class::Uuid | Class::Date | Class::Offset => {
                same_class
            }
            Class::Integer => value.ty.class() == Class::Integer || value.ty.class() == Class::Bit,
            Class::DateTime | Class::Time => {
                // Thirds of a hundredth are written out when they meet a finer type.
                same_class && (value.ty.name == "datetime") == (common.name == "datetime")
            }
            _ => value.ty == *common,
        };
        if alike { value.sql.clone() } else { self.convert(value, common, Purpose::Cast) }
    }

    /// The type that both sides of a comparison become.
    fn meeting_type(&self, a: &Type, b: &Type) -> Fallible<Type> {
        let (low, high) = if a.class() <= b.class() { (a, b) } else { (b, a) };
        let meets = match (low.class(), high.class()) {
            (Class::Null, _) => true,
            (Class::Binary, Class::Text) | (Class::Binary, Class::Integer) => return Ok(low.clone()),
            (Class::Binary, other) => other == Class::Binary || other == Class::Uuid,
            (Class::Text, _) | (_, Class::Variant) => true,
            (low, high) if low == high => true,
            (
                Class::Bit | Class::Integer | Class::Decimal | Class::Float,
                Class::Integer | Class::Decimal | Class::Float,
            ) => true,
            (_, Class::Time | Class::Date | Class::DateTime | Class::Local | Class::Offset) => {
                low.is_moment() || !self.is_oracle() && low.class() == Class::Integer
            }
            _ => false,
        };
        if !meets {
            return Err(if self.is_oracle() {
                error(932, format!("inconsistent datatypes: expected {} got {}", low.name, high.name))
            } else {
                error(206, format!("Operand type clash: {} is incompatible with {}", a.name, b.name))
            });
        }
        if high.class() == Class::Integer && low.class() == Class::Text {
            return Ok(high.clone());
        }
        Ok(self.common(a, b))
    }

    /// The type of what may be of either: of `CASE`, `COALESCE`, `UNION`.
    pub(crate) fn common(&self, a: &Type, b: &Type) -> Type {
        let (low, high) = if a.class() <= b.class() { (a, b) } else { (b, a) };
        if low.class() == Class::Null {
            return high.clone();
        }
        match (low.class(), high.class()) {
            (Class::Text, Class::Text) => self.common_text(a, b),
            (Class::Binary, Class::Binary) => {
                Type { length: longer(a, b), ..Type::new(if self.is_oracle() { "RAW" } else { "varbinary" }) }
            }
            (Class::Bit | Class::Integer, Class::Integer) => {
                let rank = |ty: &Type| ty.digits().0;
                if rank(a) >= rank(b) { a.clone() } else { b.clone() }
            }
            (Class::Bit | Class::Integer | Class::Decimal, Class::Decimal) if !self.is_oracle() => {
                if high.name.ends_with("money") && low.class() != Class::Decimal {
                    return high.clone();
                }
                let ((p1, s1), (p2, s2)) = (a.digits(), b.digits());
                let scale = s1.max(s2);
                Type::decimal(((p1 - s1).max(p2 - s2) + scale).min(38), scale)
            }
            (Class::Decimal, Class::Decimal) => {
                if a == b {
                    a.clone()
                } else {
                    Type::new("NUMBER")
                }
            }
            (Class::DateTime, Class::DateTime) => self.common_datetime(a, b),
            (Class::Time, Class::Time) | (Class::Offset, Class::Offset) | (Class::Local, Class::Local) => {
                if a.fraction_digits() >= b.fraction_digits() { a.clone() } else { b.clone() }
            }
            (Class::Date, Class::Time) => Type::sized("datetime2", 7),
            _ => high.clone(),
        }
    }

    fn common_datetime(&self, a: &Type, b: &Type) -> Type {
        let rank = |ty: &Type| match ty.name.as_str() {
            "smalldatetime" | "DATE" => 0,
            "datetime" => 1,
            _ => 2,
        };
        match (rank(a), rank(b)) {
            (x, y) if x > y => wide(a, b),
            (x, y) if x < y => wide(b, a),
            _ if a.fraction_digits() >= b.fraction_digits() => a.clone(),
            _ => b.clone(),
        }
    }

    fn common_text(&self, a: &Type, b: &Type) -> Type {
        let national = a.is_national() || b.is_national();
        let fixed = a.is_padded() && b.is_padded() && a.length == b.length;
        let name = match (self.is_oracle(), national, fixed) {
            (true, ..) if a.name.ends_with("CLOB") => return a.clone(),
            (true, ..) if b.name.ends_with("CLOB") => return b.clone(),
            (true, true, true) => "NCHAR",
            (true, false, true) => "CHAR",
            (true, true, false) => "NVARCHAR2",
            (true, false, false) => "VARCHAR2",
            (false, true, true) => "nchar",
            (false, false, true) => "char",
            (false, true, false) => "nvarchar",
            (false, false, false) => "varchar",
        };
        let collation = a.collation.clone().or_else(|| b.collation.clone());
        Type { length: longer(a, b), collation, ..Type::new(name) }
    }
}

/// A `datetime2` that holds a `datetime` exactly must have seven digits.
fn wide(fine: &Type, coarse: &Type) -> Type {
    if coarse.name == "datetime" { Type::sized("datetime2", 7) } else { fine.clone() }
}

/// The greater of two lengths, where none is without bound.
fn longer(a: &Type, b: &Type) -> Option<i64> {
    match (a.length, b.length) {
        (Some(a), Some(b)) if a != UNBOUNDED && b != UNBOUNDED => Some(a.max(b)),
        _ => Some(UNBOUNDED),
    }
}
