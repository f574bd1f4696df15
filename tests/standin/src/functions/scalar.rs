//! Sums and the functions over numbers, and the way to all others.

use bigdecimal::{BigDecimal, RoundingMode, Signed, ToPrimitive, Zero};

use crate::convert::{Purpose, Settings, Target, convert};
use crate::errors::{Fallible, divided_by_zero, error, overflow};
use crate::functions::{moments, text};
use crate::types::{Class, Type};
use crate::{Product, Value, number};

/// Digits kept of a quotient before it takes the scale of its type.
const QUOTIENT_DIGITS: u64 = 60;

/// `a op b` in the type of the result.
pub(crate) fn calculate(
    op: &str,
    a: (&Value, &Type),
    b: (&Value, &Type),
    ty: &Type,
    settings: &Settings,
) -> Fallible<Value> {
    if [a.1, b.1].iter().any(|ty| ty.is_moment() || ty.class() == Class::Interval) {
        return moments::calculate(op, a, b, ty, settings);
    }
    if ty.class() == Class::Float {
        let float = |side: (&Value, &Type)| match convert(
            side.0,
            side.1,
            &Target { to: ty, style: None, purpose: Purpose::Cast },
            settings,
        )? {
            Value::Float(float) => Ok(float),
            _ => Err(overflow("float")),
        };
        let (a, b) = (float(a)?, float(b)?);
        return Ok(Value::Float(match op {
            "+" => a + b,
            "-" => a - b,
            "*" => a * b,
            "/" if b == 0.0 && settings.product == Product::SqlServer => return Err(divided_by_zero(settings.product)),
            "/" => a / b,
            _ => a % b,
        }));
    }
    let whole = ty.class() == Class::Integer;
    let exact = |side: (&Value, &Type)| -> Fallible<BigDecimal> {
        let value = if whole {
            convert(side.0, side.1, &Target { to: ty, style: None, purpose: Purpose::Cast }, settings)?
        } else {
            side.0.clone()
        };
        number::of(&value).ok_or_else(|| match settings.product {
            Product::SqlServer => error(8114, format!("Error converting data type {} to {}.", side.1.name, ty.name)),
            Product::Oracle => error(1722, "invalid number"),
        })
    };
    let (a, b) = (exact(a)?, exact(b)?);
    let result = match op {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" | "%" if b.is_zero() => return Err(divided_by_zero(settings.product)),
        "/" if whole => (a / b).with_scale_round(0, RoundingMode::Down),
        "/" => (a.with_scale(a.fractional_digit_count().max(QUOTIENT_DIGITS as i64)) / b).with_prec(QUOTIENT_DIGITS),
        "%" => a % b,
        _ => {
            let (Some(a), Some(b)) = (a.to_i64(), b.to_i64()) else { return Err(overflow(&ty.name)) };
            BigDecimal::from(match op {
                "&" => a & b,
                "|" => a | b,
                _ => a ^ b,
            })
        }
    };
    let from = if settings.product == Product::Oracle { Type::new("NUMBER") } else { Type::decimal(38, 0) };
    convert(
        &Value::Text(result.to_plain_string()),
        &from,
        &Target { to: ty, style: None, purpose: Purpose::Cast },
        settings,
    )
}

/// A function by its name.
pub(crate) fn call(name: &str, values: &[Value], settings: &Settings) -> Fallible<Value> {
    let spreads = !matches!(name, "CONCAT_WS" | "SQL_VARIANT_PROPERTY" | "REPLACE" | "TO_CHAR");
    if spreads && values.contains(&Value::Null) || values.first() == Some(&Value::Null) {
        return Ok(Value::Null);
    }
    let oracle = settings.product == Product::Oracle;
    let made = match text::call(name, values, settings.product)? {
        Some(made) => made,
        None => match moments::call(name, values, settings)? {
            Some(made) => made,
            None => numeric(name, values, settings)?,
        },
    };
    Ok(if oracle && made == Value::Text(String::new()) { Value::Null } else { made })
}

fn numeric(name: &str, values: &[Value], settings: &Settings) -> Fallible<Value> {
    match (name, values) {
        ("NEWID", [Value::Int(a), Value::Int(b)]) => {
            let digits = format!("{a:016x}{b:016x}");
            return Ok(Value::Text(format!(
                "{}-{}-4{}-a{}-{}",
                &digits[..8],
                &digits[8..12],
                &digits[13..16],
                &digits[17..20],
                &digits[20..32]
            )));
        }
        ("SQL_VARIANT_PROPERTY", [variant, property]) => {
            let Some((declared, value)) = crate::variant::open(variant) else { return Ok(Value::Null) };
            let ty = Type::parse(settings.product, &declared).unwrap_or_else(Type::null);
            return Ok(match text::shown(property).to_lowercase().as_str() {
                "basetype" => Value::Text(ty.name),
                "precision" => Value::Text(ty.digits().0.to_string()),
                "scale" => Value::Text(ty.digits().1.to_string()),
                "maxlength" => Value::Text(ty.length.unwrap_or_else(|| text::shown(&value).len() as i64).to_string()),
                _ => Value::Null,
            });
        }
        ("TO_NUMBER", [value, ..]) => return text::to_number(value),
        ("SQRT" | "EXP" | "LN" | "LOG" | "LOG10", [value]) => {
            let x = number::float(value).ok_or_else(|| error(1722, "invalid number"))?;
            let y = match name {
                "SQRT" => x.sqrt(),
                "EXP" => x.exp(),
                "LOG10" => x.log10(),
                _ => x.ln(),
            };
            if y.is_nan() {
                return Err(error(3623, "An invalid floating point operation occurred."));
            }
            return Ok(Value::Float(y));
        }
        ("POWER", [base, exponent]) => {
            let (Some(base), Some(exponent)) = (number::float(base), number::float(exponent)) else {
                return Err(error(1722, "invalid number"));
            };
            return Ok(Value::Float(base.powf(exponent)));
        }
        _ => {}
    }
    let float = matches!(values.first(), Some(Value::Float(_)));
    let whole = matches!(values.first(), Some(Value::Int(_)));
    let exact = |at: usize| {
        values
            .get(at)
            .and_then(number::of)
            .ok_or_else(|| error(if settings.product == Product::Oracle { 1722 } else { 8114 }, "invalid number"))
    };
    let a = exact(0)?;
    let places = values.get(1).and_then(number::float).unwrap_or(0.0) as i64;
    let result = match name {
        "ABS" => a.abs(),
        "FLOOR" => a.with_scale_round(0, RoundingMode::Floor),
        "CEILING" => a.with_scale_round(0, RoundingMode::Ceiling),
        "SIGN" => BigDecimal::from(if a.is_zero() {
            0
        } else if a.is_negative() {
            -1
        } else {
            1
        }),
        "ROUND" if values.get(2).and_then(number::float).is_some_and(|cut| cut != 0.0) => {
            a.with_scale_round(places, RoundingMode::Down)
        }
        "ROUND" => a.with_scale_round(places, RoundingMode::HalfUp),
        "TRUNC" => a.with_scale_round(places, RoundingMode::Down),
        "MOD" | "REMAINDER" => {
            let b = exact(1)?;
            if b.is_zero() { a } else { a % b }
        }
        _ => return Err(error(600, format!("no function {name}"))),
    };
    Ok(if float {
        Value::Float(result.to_f64().unwrap_or(f64::NAN))
    } else if whole {
        Value::Int(result.to_i64().ok_or_else(|| overflow("bigint"))?)
    } else {
        Value::Text(result.to_plain_string())
    })
}
