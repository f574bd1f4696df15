//! What SQLite calls back: conversions, sums, the order of numbers and texts.

mod moments;
mod scalar;
mod text;

use std::cmp::Ordering;
use std::sync::atomic::{AtomicU64, Ordering as Memory};
use std::sync::{Arc, Mutex, PoisonError};

use bigdecimal::BigDecimal;
use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context, FunctionFlags, WindowAggregate};
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::convert::{Purpose, Settings, Target, convert};
use crate::errors::{Fallible, error, raise};
use crate::types::Type;
use crate::{Product, Value, moment, number};

/// Counters that all sessions share.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// The last `rowversion`.
    pub row_version: AtomicU64,
    /// The last identity of each table.
    pub identities: Mutex<std::collections::BTreeMap<String, i64>>,
}

/// Gives a connection all functions and collations.
pub(crate) fn register(
    connection: &Connection,
    settings: &Arc<Mutex<Settings>>,
    counters: &Arc<Counters>,
) -> rusqlite::Result<()> {
    register_collations(connection)?;
    let pure = FunctionFlags::SQLITE_UTF8;
    for (name, is_try) in [("x_convert", Failing::Raises), ("x_try_convert", Failing::IsNull)] {
        let settings = Arc::clone(settings);
        connection.create_scalar_function(name, 5, pure, move |context| {
            let settings = settings.lock().unwrap_or_else(PoisonError::into_inner);
            match converted(context, &settings) {
                Ok(value) => Ok(to_sqlite(value)),
                Err(_) if is_try == Failing::IsNull => Ok(to_sqlite(Value::Null)),
                Err(raised) => Err(raise(&raised)),
            }
        })?;
    }
    let shared = Arc::clone(settings);
    connection.create_scalar_function("x_arith", 6, pure, move |context| {
        let settings = shared.lock().unwrap_or_else(PoisonError::into_inner);
        arithmetic(context, &settings).map(to_sqlite).map_err(|raised| raise(&raised))
    })?;
    let shared = Arc::clone(settings);
    connection.create_scalar_function("x_call", -1, pure, move |context| {
        let settings = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let values = (1..context.len()).map(|at| from_sqlite(context.get_raw(at))).collect::<Vec<_>>();
        let name = text_of(context, 0);
        scalar::call(&name, &values, &settings).map(to_sqlite).map_err(|raised| raise(&raised))
    })?;
    let shared = Arc::clone(settings);
    connection.create_scalar_function("x_like", 3, pure, move |context| {
        let product = shared.lock().unwrap_or_else(PoisonError::into_inner).product;
        let values = (0..3).map(|at| from_sqlite(context.get_raw(at))).collect::<Vec<_>>();
        Ok(text::like(&values[0], &values[1], &values[2], product))
    })?;
    let versions = Arc::clone(counters);
    connection.create_scalar_function("x_row_version", 0, pure, move |_| {
        let next = versions.row_version.fetch_add(1, Memory::SeqCst) + 2001;
        Ok(next.to_be_bytes().to_vec())
    })?;
    let identities = Arc::clone(counters);
    connection.create_scalar_function("x_identity", 1, pure, move |context| {
        let mut identities = identities.identities.lock().unwrap_or_else(PoisonError::into_inner);
        let next = identities.entry(text_of(context, 0)).or_insert(0);
        *next += 1;
        Ok(*next)
    })?;
    connection.create_window_function("x_sum", 1, pure, Sum { kind: Kind::Total })?;
    connection.create_window_function("x_avg", 1, pure, Sum { kind: Kind::Mean })?;
    connection.create_window_function("x_stdev", 1, pure, Sum { kind: Kind::Deviation })
}

/// What a conversion does that fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failing {
    Raises,
    IsNull,
}

fn register_collations(connection: &Connection) -> rusqlite::Result<()> {
    connection.create_collation("DIGITS", number::compare)?;
    connection.create_collation("PADDED", |a, b| a.trim_end_matches(' ').cmp(b.trim_end_matches(' ')))?;
    connection.create_collation("FOLDED", |a, b| {
        if a.is_ascii() && b.is_ascii() {
            let fold = |text: &str| {
                text.trim_end_matches(' ').bytes().map(|byte| byte.to_ascii_lowercase()).collect::<Vec<_>>()
            };
            return fold(a).cmp(&fold(b));
        }
        a.trim_end_matches(' ').to_lowercase().cmp(&b.trim_end_matches(' ').to_lowercase())
    })?;
    connection.create_collation("INSTANT", |a, b| {
        let instant = |text: &str| moment::read(text, moment::DATE_ORDER).and_then(|moment| moment.utc());
        match (instant(a), instant(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            (a, b) => a.is_some().cmp(&b.is_some()).then(Ordering::Equal),
        }
    })
}

fn text_of(context: &Context, at: usize) -> String {
    context.get_raw(at).as_str().unwrap_or_default().to_owned()
}

/// A type in an argument, read once a statement.
fn type_of(context: &Context, at: usize, product: Product) -> Fallible<Arc<Type>> {
    let read = context.get_or_create_aux(at as i32, |value: ValueRef| -> Result<Type, std::convert::Infallible> {
        let text = value.as_str().unwrap_or_default();
        Ok(Type::parse(product, text).unwrap_or_else(Type::null))
    });
    read.map_err(|failure| error(600, failure.to_string()))
}

fn converted(context: &Context, settings: &Settings) -> Fallible<Value> {
    let value = from_sqlite(context.get_raw(0));
    let (from, to) = (type_of(context, 1, settings.product)?, type_of(context, 2, settings.product)?);
    let style = context.get_raw(3).as_i64().ok();
    let purpose = if context.get_raw(4).as_str() == Ok("assign") { Purpose::Assign } else { Purpose::Cast };
    convert(&value, &from, &Target { to: &to, style, purpose }, settings)
}

fn arithmetic(context: &Context, settings: &Settings) -> Fallible<Value> {
    let (a, b) = (from_sqlite(context.get_raw(1)), from_sqlite(context.get_raw(2)));
    if a == Value::Null || b == Value::Null {
        return Ok(Value::Null);
    }
    let types = [
        type_of(context, 3, settings.product)?,
        type_of(context, 4, settings.product)?,
        type_of(context, 5, settings.product)?,
    ];
    let op = text_of(context, 0);
    scalar::calculate(&op, (&a, &types[0]), (&b, &types[1]), &types[2], settings)
}

/// A value as it came from SQLite.
pub(crate) fn from_sqlite(value: ValueRef) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(whole) => Value::Int(whole),
        ValueRef::Real(float) => Value::Float(float),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
        ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// A value in SQLite's own form.
pub(crate) fn to_sqlite(value: Value) -> ToSqlOutput<'static> {
    use rusqlite::types::Value as Own;
    ToSqlOutput::Owned(match value {
        Value::Null => Own::Null,
        Value::Int(whole) => Own::Integer(whole),
        Value::Float(float) => Own::Real(float),
        Value::Text(text) => Own::Text(text),
        Value::Bytes(bytes) => Own::Blob(bytes),
    })
}

/// `SUM`, `AVG` and `STDEV`, exact where the numbers are.
struct Sum {
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Total,
    Mean,
    Deviation,
}

#[derive(Default)]
struct Sums {
    exact: BigDecimal,
    float: f64,
    squares: f64,
    floats: u64,
    count: u64,
}

impl Sum {
    fn add(context: &Context, sums: &mut Sums, sign: i64) -> rusqlite::Result<()> {
        let value = from_sqlite(context.get_raw(0));
        let value = crate::variant::open(&value).map_or(value, |(_, own)| own);
        if value == Value::Null {
            return Ok(());
        }
        let float = number::float(&value).ok_or_else(|| raise(&error(1722, "invalid number")))?;
        sums.float += float * sign as f64;
        sums.squares += float * float * sign as f64;
        match value {
            Value::Float(_) => sums.floats = sums.floats.wrapping_add_signed(sign),
            other => sums.exact += number::of(&other).unwrap_or_default() * sign,
        }
        sums.count = sums.count.wrapping_add_signed(sign);
        Ok(())
    }

    fn shown(&self, sums: &Sums) -> ToSqlOutput<'static> {
        let count = sums.count as f64;
        to_sqlite(match self.kind {
            _ if sums.count == 0 => Value::Null,
            Kind::Total if sums.floats > 0 => Value::Float(sums.float),
            Kind::Total => Value::Text(sums.exact.to_plain_string()),
            Kind::Mean if sums.floats > 0 => Value::Float(sums.float / count),
            Kind::Mean => Value::Text(number::trimmed(&(&sums.exact / BigDecimal::from(sums.count)))),
            Kind::Deviation if sums.count < 2 => Value::Null,
            Kind::Deviation => {
                Value::Float(((sums.squares - sums.float * sums.float / count) / (count - 1.0)).max(0.0).sqrt())
            }
        })
    }
}

impl Aggregate<Sums, ToSqlOutput<'static>> for Sum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Sums> {
        Ok(Sums::default())
    }

    fn step(&self, context: &mut Context<'_>, sums: &mut Sums) -> rusqlite::Result<()> {
        Sum::add(context, sums, 1)
    }

    fn finalize(&self, _: &mut Context<'_>, sums: Option<Sums>) -> rusqlite::Result<ToSqlOutput<'static>> {
        Ok(self.shown(&sums.unwrap_or_default()))
    }
}

impl WindowAggregate<Sums, ToSqlOutput<'static>> for Sum {
    fn value(&self, sums: Option<&mut Sums>) -> rusqlite::Result<ToSqlOutput<'static>> {
        Ok(sums.map_or_else(|| to_sqlite(Value::Null), |sums| self.shown(sums)))
    }

    fn inverse(&self, context: &mut Context<'_>, sums: &mut Sums) -> rusqlite::Result<()> {
        Sum::add(context, sums, -1)
    }
}
