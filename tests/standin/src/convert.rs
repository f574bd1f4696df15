//! Values from one declared type to another, as the servers convert them.

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive};
use jiff::tz::TimeZone;

use crate::code_page;
use crate::errors::{Fallible, error, overflow};
use crate::formats;
use crate::moment::{self, Moment};
use crate::number;
use crate::types::{Class, Type, UNBOUNDED};
use crate::{Product, ServerError, Value, variant};

/// What a session says that conversions depend on.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub product: Product,
    pub zone: TimeZone,
    /// `mdy`, `dmy`, `ymd` …
    pub date_order: String,
    pub date_format: String,
    pub timestamp_format: String,
    pub timestamp_zone_format: String,
}

impl Settings {
    pub(crate) fn new(product: Product) -> Settings {
        Settings {
            product,
            zone: TimeZone::UTC,
            date_order: moment::DATE_ORDER.to_owned(),
            date_format: "DD-MON-RR".to_owned(),
            timestamp_format: "DD-MON-RR HH.MI.SSXFF AM".to_owned(),
            timestamp_zone_format: "DD-MON-RR HH.MI.SSXFF AM TZR".to_owned(),
        }
    }
}

/// Why a value is converted: a cast cuts text that is too long, a column refuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Cast,
    Assign,
}

/// The type and number of style of a conversion.
pub(crate) struct Target<'a> {
    pub to: &'a Type,
    pub style: Option<i64>,
    pub purpose: Purpose,
}

/// Converts a value.
pub(crate) fn convert(value: &Value, from: &Type, target: &Target, settings: &Settings) -> Fallible<Value> {
    let to = target.to;
    if let Some((declared, own)) = variant::open(value) {
        if to.class() == Class::Variant {
            return Ok(value.clone());
        }
        let from = Type::parse(settings.product, &declared).unwrap_or_else(|| from.clone());
        return convert(&own, &from, target, settings);
    }
    if *value == Value::Null || settings.product == Product::Oracle && *value == Value::Text(String::new()) {
        return Ok(Value::Null);
    }
    match to.class() {
        Class::Null => Ok(value.clone()),
        Class::Bit | Class::Integer => integer(value, from, to),
        Class::Decimal => decimal(value, from, target, settings),
        Class::Float => float(value, from, to, settings),
        Class::Text | Class::RowId => text(value, from, target, settings),
        Class::Binary => binary(value, from, target, settings),
        Class::Uuid => uuid(value, from, to),
        Class::Interval => match value {
            Value::Text(text) => {
                formats::interval(text, to).map(Value::Text).ok_or_else(|| error(1867, "the interval is invalid"))
            }
            _ => Err(wrong_kind(from, to, settings)),
        },
        Class::Variant => Ok(variant::wrap(&from.to_string(), value)),
        Class::Time | Class::Date | Class::DateTime | Class::Local | Class::Offset => time(value, from, to, settings),
    }
}

fn failed(value: &Value, from: &Type, to: &Type) -> ServerError {
    let shown = match value {
        Value::Text(text) => text.clone(),
        other => format!("{other:?}"),
    };
    let from = if from.name.is_empty() { "varchar" } else { &from.name };
    error(245, format!("Conversion failed when converting the {from} value '{shown}' to data type {}.", to.name))
}

fn wrong_kind(from: &Type, to: &Type, settings: &Settings) -> ServerError {
    let name = |of: &Type| if of.name.is_empty() { "varchar".to_owned() } else { of.name.clone() };
    match settings.product {
        Product::SqlServer => {
            error(529, format!("Explicit conversion from data type {} to {} is not allowed.", name(from), name(to)))
        }
        Product::Oracle => error(932, format!("inconsistent datatypes: expected {} got {}", name(to), name(from))),
    }
}

fn integer(value: &Value, from: &Type, to: &Type) -> Fallible<Value> {
    let whole = match value {
        Value::Int(whole) => *whole,
        Value::Float(float) if float.abs() < 9.3e18 => float.trunc() as i64,
        Value::Float(_) => return Err(overflow(&to.name)),
        Value::Text(text) if to.name == "bit" && text.eq_ignore_ascii_case("true") => 1,
        Value::Text(text) if to.name == "bit" && text.eq_ignore_ascii_case("false") => 0,
        Value::Text(text) if from.class() == Class::Decimal => number::read(text)
            .and_then(|number| number.with_scale_round(0, RoundingMode::Down).to_i64())
            .ok_or_else(|| overflow(&to.name))?,
        Value::Text(text) if from.is_moment() => {
            return Err(error(
                529,
                format!("Explicit conversion from data type {} to {} is not allowed. ('{text}')", from.name, to.name),
            ));
        }
        Value::Text(text) if text.trim().is_empty() => 0,
        Value::Text(text) => text.trim().parse().map_err(|_| failed(value, from, to))?,
        Value::Bytes(bytes) => {
            bytes.iter().rev().take(8).rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)) as i64
        }
        _ => return Err(failed(value, from, to)),
    };
    let range = match to.name.as_str() {
        "bit" => return Ok(Value::Int(i64::from(whole != 0))),
        "tinyint" => 0..=255,
        "smallint" => i64::from(i16::MIN)..=i64::from(i16::MAX),
        "int" => i64::from(i32::MIN)..=i64::from(i32::MAX),
        _ => i64::MIN..=i64::MAX,
    };
    if range.contains(&whole) {
        Ok(Value::Int(whole))
    } else if to.name == "tinyint" || to.name == "smallint" {
        Err(error(220, format!("Arithmetic overflow error for data type {}, value = {whole}.", to.name)))
    } else {
        Err(overflow(&to.name))
    }
}

fn decimal(value: &Value, from: &Type, target: &Target, settings: &Settings) -> Fallible<Value> {
    let to = target.to;
    let sql_server = settings.product == Product::SqlServer;
    if from.is_moment() {
        return Err(wrong_kind(from, to, settings));
    }
    let shown = |text: &str| text.trim().trim_start_matches('$').to_owned();
    let parsed = match value {
        Value::Text(text) if to.name.ends_with("money") => number::read(&shown(&text.replace(',', ""))),
        Value::Text(text) => number::read(text),
        Value::Bytes(_) => None,
        other => number::of(other),
    };
    let Some(parsed) = parsed else {
        return Err(if sql_server {
            error(
                8114,
                format!(
                    "Error converting data type {} to {}.",
                    if from.name.is_empty() { "varchar" } else { &from.name },
                    to.name
                ),
            )
        } else {
            error(1722, "invalid number")
        });
    };
    if !sql_server {
        return oracle_number(&parsed, to);
    }
    let (precision, scale) = to.digits();
    let rounded = parsed.with_scale_round(scale, RoundingMode::HalfUp);
    if number::whole_digits(&rounded) > precision - scale {
        return Err(if from.class() == Class::Decimal {
            error(8115, format!("Arithmetic overflow error converting {} to data type {}.", from.name, to.name))
        } else {
            overflow(&to.name)
        });
    }
    Ok(Value::Text(number::fixed(&parsed, scale)))
}

fn oracle_number(parsed: &BigDecimal, to: &Type) -> Fallible<Value> {
    let text = match (to.name.as_str(), to.length, to.scale) {
        ("NUMBER", Some(precision), scale) => {
            let scale = scale.unwrap_or(0);
            let rounded = parsed.with_scale_round(scale, RoundingMode::HalfUp);
            if number::whole_digits(&rounded) > precision - scale {
                return Err(error(1438, "value larger than specified precision allowed for this column"));
            }
            number::trimmed(&rounded)
        }
        _ => number::trimmed(parsed),
    };
    Ok(Value::Text(text))
}

fn float(value: &Value, from: &Type, to: &Type, settings: &Settings) -> Fallible<Value> {
    if from.is_moment() {
        return Err(wrong_kind(from, to, settings));
    }
    let parsed = number::float(value).ok_or_else(|| match settings.product {
        Product::SqlServer => error(8114, format!("Error converting data type {} to {}.", from.name, to.name)),
        Product::Oracle => error(1722, "invalid number"),
    })?;
    let single = to.name == "real" || to.name == "BINARY_FLOAT";
    Ok(Value::Float(if single { f64::from(parsed as f32) } else { parsed }))
}

fn text(value: &Value, from: &Type, target: &Target, settings: &Settings) -> Fallible<Value> {
    let to = target.to;
    let oracle = settings.product == Product::Oracle;
    let shown = match value {
        Value::Bytes(bytes) => return text_of_bytes(bytes, from, to, settings),
        Value::Text(text) if from.is_moment() => formats::moment_as_text(text, from, target.style, settings)?,
        Value::Text(text) if from.class() == Class::Decimal && from.name.ends_with("money") => {
            number::read(text).map(|number| number::fixed(&number, 2)).unwrap_or_else(|| text.clone())
        }
        Value::Text(text) if from.class() == Class::Uuid => text.to_uppercase(),
        Value::Text(text) => text.clone(),
        Value::Int(whole) => whole.to_string(),
        Value::Float(float) => formats::float_as_text(*float, settings.product),
        Value::Null => return Ok(Value::Null),
    };
    if to.class() == Class::RowId {
        return Ok(Value::Text(shown));
    }
    let shown = code_page::kept(shown, to);
    let Some(length) = to.length.filter(|length| *length != UNBOUNDED) else { return Ok(Value::Text(shown)) };
    let length = length as usize;
    let count = shown.chars().count();
    if count > length {
        let blank = shown.chars().skip(length).all(|letter| letter == ' ');
        return match target.purpose {
            Purpose::Assign if oracle => {
                Err(error(12899, format!("value too large for column (actual: {count}, maximum: {length})")))
            }
            Purpose::Assign if !blank => Err(error(2628, "String or binary data would be truncated.".to_owned())),
            _ => Ok(Value::Text(shown.chars().take(length).collect())),
        };
    }
    Ok(Value::Text(if to.is_padded() { format!("{shown:<length$}") } else { shown }))
}

/// Bytes that become text stay as they are: whether they are fit for the code page is for the client to see.
fn text_of_bytes(bytes: &[u8], from: &Type, to: &Type, settings: &Settings) -> Fallible<Value> {
    if settings.product == Product::Oracle {
        return Ok(if from.class() == Class::Text {
            Value::Bytes(bytes.to_vec())
        } else {
            Value::Text(hex(bytes).to_uppercase())
        });
    }
    if to.is_national() && from.class() == Class::Text && !from.is_national() {
        let read = code_page::read(bytes, from.collation.as_deref());
        let length = to.length.filter(|length| *length != UNBOUNDED).map_or(usize::MAX, |length| length as usize);
        return Ok(Value::Text(read.chars().take(length).collect()));
    }
    if to.is_national() && from.class() != Class::Text {
        let units = bytes.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        // Half a character is no text, and goes out as it is.
        let text = char::decode_utf16(units).collect::<Result<String, _>>();
        return Ok(text.map_or_else(|_| Value::Bytes(bytes.to_vec()), Value::Text));
    }
    let mut bytes = bytes.to_vec();
    if let Some(length) = to.length.filter(|length| *length != UNBOUNDED) {
        bytes.truncate(length as usize);
        if to.is_padded() {
            bytes.resize(length as usize, b' ');
        }
    }
    Ok(match String::from_utf8(bytes) {
        Ok(ascii) if ascii.is_ascii() => Value::Text(ascii),
        Ok(other) => Value::Bytes(other.into_bytes()),
        Err(raw) => Value::Bytes(raw.into_bytes()),
    })
}

fn binary(value: &Value, from: &Type, target: &Target, settings: &Settings) -> Fallible<Value> {
    let to = target.to;
    let mut bytes = match value {
        Value::Bytes(bytes) => bytes.clone(),
        Value::Text(text) if settings.product == Product::Oracle || target.style.is_some_and(|style| style > 0) => {
            unhex(text.trim_start_matches("0x")).ok_or_else(|| error(1465, "invalid hex number"))?
        }
        Value::Text(text) if from.is_national() => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Value::Text(text) => text.clone().into_bytes(),
        Value::Int(whole) => {
            let width = match from.name.as_str() {
                "bigint" => 8,
                "smallint" => 2,
                "tinyint" | "bit" => 1,
                _ => 4,
            };
            let own = if to.name == "rowversion" { Some(8) } else { to.length.filter(|_| to.name == "binary") };
            let wide = own.unwrap_or(width).clamp(width, 8) as usize;
            whole.to_be_bytes()[8 - wide..].to_vec()
        }
        _ => return Err(wrong_kind(from, to, settings)),
    };
    let length = if to.name == "rowversion" { Some(8) } else { to.length.filter(|length| *length != UNBOUNDED) };
    if let Some(length) = length.map(|length| length as usize) {
        if bytes.len() > length && target.purpose == Purpose::Assign {
            return Err(match settings.product {
                Product::SqlServer => error(2628, "String or binary data would be truncated."),
                Product::Oracle => error(12899, "value too large for column"),
            });
        }
        if bytes.len() > length && from.is_number() {
            bytes.drain(..bytes.len() - length);
        }
        bytes.truncate(length);
        if to.is_padded() {
            bytes.resize(length, 0);
        }
    }
    Ok(Value::Bytes(bytes))
}

fn uuid(value: &Value, from: &Type, to: &Type) -> Fallible<Value> {
    let refused = || error(8169, "Conversion failed when converting from a character string to uniqueidentifier.");
    match value {
        Value::Text(text) => {
            let digits = text.trim().trim_matches(['{', '}']).to_lowercase();
            let plain = digits.replace('-', "");
            if digits.len() != 36 || plain.len() != 32 || !plain.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(refused());
            }
            Ok(Value::Text(digits))
        }
        Value::Bytes(b) if b.len() == 16 => {
            let swapped =
                [b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]];
            let h = hex(&swapped);
            Ok(Value::Text(format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])))
        }
        _ => Err(failed(value, from, to)),
    }
}

/// Reads a value as a moment.
pub(crate) fn as_moment(value: &Value, from: &Type, settings: &Settings) -> Option<Moment> {
    let text = match value {
        Value::Text(text) => text,
        Value::Int(days) if settings.product == Product::SqlServer => {
            let day = jiff::civil::date(1900, 1, 1).checked_add(jiff::Span::new().try_days(*days).ok()?).ok()?;
            return Some(Moment::new(day.at(0, 0, 0, 0)));
        }
        _ => return None,
    };
    let stored = from.is_moment();
    let mut parsed = moment::read(text, if stored { moment::DATE_ORDER } else { &settings.date_order })?;
    if from.class() == Class::Local {
        let instant = parsed.instant(jiff::tz::Offset::UTC)?;
        parsed = Moment::of_timestamp(instant, settings.zone.to_offset(instant));
    }
    Some(parsed)
}

fn time(value: &Value, from: &Type, to: &Type, settings: &Settings) -> Fallible<Value> {
    let sql_server = settings.product == Product::SqlServer;
    let refused = || {
        if sql_server {
            error(241, "Conversion failed when converting date and/or time from character string.")
        } else {
            error(1861, "literal does not match format string")
        }
    };
    if !from.is_moment() && !matches!(from.class(), Class::Text | Class::Null) && !matches!(value, Value::Int(_)) {
        return Err(wrong_kind(from, to, settings));
    }
    let parsed = if !sql_server && from.class() == Class::Text {
        formats::by_session(value, to, settings)?
    } else if sql_server && matches!(to.name.as_str(), "datetime" | "smalldatetime") && !from.is_moment() {
        old_datetime(value, settings).ok_or_else(|| {
            let out_of_range = as_moment(value, from, settings).is_some();
            if out_of_range {
                error(
                    242,
                    format!(
                        "The conversion of a varchar data type to a {} data type resulted in an out-of-range value.",
                        to.name
                    ),
                )
            } else {
                refused()
            }
        })?
    } else {
        as_moment(value, from, settings).ok_or_else(refused)?
    };
    let exact = if from.name == "datetime" && to.name != "datetime" { moment::from_thirds(parsed) } else { parsed };
    if to.name == "datetime" && exact.at.year() < 1753 {
        return Err(error(
            242,
            "The conversion of a datetime2 data type to a datetime data type resulted in an out-of-range value.",
        ));
    }
    moment::on_grid(&exact, to, &settings.zone).map(Value::Text).ok_or_else(refused)
}

/// `datetime` reads `2025-03-30 …` in the order of the session's language; with a `T` in it, never.
fn old_datetime(value: &Value, settings: &Settings) -> Option<Moment> {
    match value {
        Value::Text(text) if !text.contains('T') && settings.date_order == "dmy" => {
            moment::read(text, "ydm").or_else(|| {
                // Day first, as `30.03.2025`.
                let year_first = text.trim().get(..4).is_some_and(|year| year.bytes().all(|b| b.is_ascii_digit()));
                let dashed = text.trim().as_bytes().get(4) == Some(&b'-');
                if year_first && dashed { None } else { moment::read(text, "dmy") }
            })
        }
        _ => as_moment(value, &Type::null(), settings),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let text = if text.len() % 2 == 1 { format!("0{text}") } else { text.to_owned() };
    if !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
