//! The description of a type on the wire (TYPE_INFO), in columns and in parameters.

use crate::collation::Collation;
use crate::reader::{Malformed, Reader};
use crate::types::{FRACTION_DIGITS_MAX, Length, PRECISION_MAX, Type};
use crate::writer::Put;

/// Numbers of the types.
pub(crate) mod wire {
    pub(crate) const NULL: u8 = 0x1f;
    pub(crate) const IMAGE: u8 = 0x22;
    pub(crate) const TEXT: u8 = 0x23;
    pub(crate) const GUID: u8 = 0x24;
    pub(crate) const INT_N: u8 = 0x26;
    pub(crate) const DATE: u8 = 0x28;
    pub(crate) const TIME: u8 = 0x29;
    pub(crate) const DATE_TIME_2: u8 = 0x2a;
    pub(crate) const DATE_TIME_OFFSET: u8 = 0x2b;
    pub(crate) const TINY_INT: u8 = 0x30;
    pub(crate) const BIT: u8 = 0x32;
    pub(crate) const SMALL_INT: u8 = 0x34;
    pub(crate) const INT: u8 = 0x38;
    pub(crate) const SMALL_DATE_TIME: u8 = 0x3a;
    pub(crate) const REAL: u8 = 0x3b;
    pub(crate) const MONEY: u8 = 0x3c;
    pub(crate) const DATE_TIME: u8 = 0x3d;
    pub(crate) const FLOAT: u8 = 0x3e;
    pub(crate) const VARIANT: u8 = 0x62;
    pub(crate) const N_TEXT: u8 = 0x63;
    pub(crate) const BIT_N: u8 = 0x68;
    pub(crate) const DECIMAL: u8 = 0x6a;
    pub(crate) const NUMERIC: u8 = 0x6c;
    pub(crate) const FLOAT_N: u8 = 0x6d;
    pub(crate) const MONEY_N: u8 = 0x6e;
    pub(crate) const DATE_TIME_N: u8 = 0x6f;
    pub(crate) const SMALL_MONEY: u8 = 0x7a;
    pub(crate) const BIG_INT: u8 = 0x7f;
    pub(crate) const VAR_BINARY: u8 = 0xa5;
    pub(crate) const VAR_CHAR: u8 = 0xa7;
    pub(crate) const BINARY: u8 = 0xad;
    pub(crate) const CHAR: u8 = 0xaf;
    pub(crate) const N_VAR_CHAR: u8 = 0xe7;
    pub(crate) const N_CHAR: u8 = 0xef;
    pub(crate) const UDT: u8 = 0xf0;
    pub(crate) const XML: u8 = 0xf1;
}

/// The length that stands for `max`.
const LENGTH_MAX: u16 = 0xffff;
/// Bytes of an old long value, and of a variant, at most.
const TEXT_BYTES_MAX: u32 = 0x7fff_ffff;
const VARIANT_BYTES_MAX: u32 = 8009;

/// A type, and whether its values may be null: both decide the form on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) kind: Type,
    pub(crate) nullable: bool,
}

/// Number of a type with a fixed size, number of its form that may be null, and the bytes of a value.
fn fixed(kind: &Type) -> Option<(u8, u8, u8)> {
    Some(match kind {
        Type::Bit => (wire::BIT, wire::BIT_N, 1),
        Type::TinyInt => (wire::TINY_INT, wire::INT_N, 1),
        Type::SmallInt => (wire::SMALL_INT, wire::INT_N, 2),
        Type::Int => (wire::INT, wire::INT_N, 4),
        Type::BigInt => (wire::BIG_INT, wire::INT_N, 8),
        Type::Real => (wire::REAL, wire::FLOAT_N, 4),
        Type::Float => (wire::FLOAT, wire::FLOAT_N, 8),
        Type::SmallMoney => (wire::SMALL_MONEY, wire::MONEY_N, 4),
        Type::Money => (wire::MONEY, wire::MONEY_N, 8),
        Type::SmallDateTime => (wire::SMALL_DATE_TIME, wire::DATE_TIME_N, 4),
        Type::DateTime => (wire::DATE_TIME, wire::DATE_TIME_N, 8),
        _ => return None,
    })
}

/// The type with a fixed size that has one of these numbers.
fn fixed_numbered(number: u8, bytes: u8) -> Option<Type> {
    const FIXED: [Type; 11] = [
        Type::Bit,
        Type::TinyInt,
        Type::SmallInt,
        Type::Int,
        Type::BigInt,
        Type::Real,
        Type::Float,
        Type::SmallMoney,
        Type::Money,
        Type::SmallDateTime,
        Type::DateTime,
    ];
    FIXED.into_iter().find(|kind| {
        fixed(kind).is_some_and(|(plain, nullable, size)| plain == number || (nullable == number && size == bytes))
    })
}

/// Bytes of a decimal with its sign.
pub(crate) fn decimal_bytes(precision: u8) -> u8 {
    match precision {
        0..=9 => 5,
        10..=19 => 9,
        20..=28 => 13,
        _ => 17,
    }
}

impl Shape {
    /// Bytes of its values, where they have neither length nor null.
    pub(crate) fn fixed_bytes(&self) -> Option<u8> {
        if self.kind == Type::Null {
            return Some(0);
        }
        if self.nullable { None } else { fixed(&self.kind).map(|(.., bytes)| bytes) }
    }

    /// The number of the type alone, as it stands in a variant.
    pub(crate) fn number(&self) -> u8 {
        match &self.kind {
            Type::Null => wire::NULL,
            Type::Decimal { .. } => wire::DECIMAL,
            Type::Numeric { .. } => wire::NUMERIC,
            Type::Date => wire::DATE,
            Type::Time(_) => wire::TIME,
            Type::DateTime2(_) => wire::DATE_TIME_2,
            Type::DateTimeOffset(_) => wire::DATE_TIME_OFFSET,
            Type::Char(..) => wire::CHAR,
            Type::VarChar(..) => wire::VAR_CHAR,
            Type::NChar(..) => wire::N_CHAR,
            Type::NVarChar(..) => wire::N_VAR_CHAR,
            Type::Text(_) => wire::TEXT,
            Type::NText(_) => wire::N_TEXT,
            Type::Binary(_) | Type::RowVersion => wire::BINARY,
            Type::VarBinary(_) => wire::VAR_BINARY,
            Type::Image => wire::IMAGE,
            Type::UniqueIdentifier => wire::GUID,
            Type::Xml => wire::XML,
            Type::Variant => wire::VARIANT,
            Type::Udt(_) => wire::UDT,
            other => {
                // All that are left have a fixed size.
                let (plain, nullable, _) = fixed(other).unwrap_or((wire::NULL, wire::NULL, 0));
                if self.nullable { nullable } else { plain }
            }
        }
    }

    /// Writes the description.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.put_u8(self.number());
        match &self.kind {
            Type::Null | Type::Date => {}
            Type::Decimal { precision, scale } | Type::Numeric { precision, scale } => {
                out.put_bytes(&[decimal_bytes(*precision), *precision, *scale]);
            }
            Type::Time(digits) | Type::DateTime2(digits) | Type::DateTimeOffset(digits) => out.put_u8(*digits),
            Type::Char(length, collation) => with_collation(out, *length, *collation),
            Type::NChar(units, collation) => with_collation(out, units * 2, *collation),
            Type::VarChar(length, collation) => with_collation(out, bytes(*length, 1), *collation),
            Type::NVarChar(length, collation) => with_collation(out, bytes(*length, 2), *collation),
            Type::Text(collation) | Type::NText(collation) => {
                out.put_u32(TEXT_BYTES_MAX);
                out.put_bytes(&collation.bytes());
            }
            Type::Image => out.put_u32(TEXT_BYTES_MAX),
            Type::Binary(length) => out.put_u16(*length),
            Type::RowVersion => out.put_u16(8),
            Type::VarBinary(length) => out.put_u16(bytes(*length, 1)),
            Type::UniqueIdentifier => out.put_u8(16),
            // No schema.
            Type::Xml => out.put_u8(0),
            Type::Variant => out.put_u32(VARIANT_BYTES_MAX),
            Type::Udt(name) => {
                out.put_u16(LENGTH_MAX);
                out.put_short_text("master");
                out.put_short_text("sys");
                out.put_short_text(name);
                out.put_long_text(&format!("Microsoft.SqlServer.Types.{name}, Microsoft.SqlServer.Types"));
            }
            kind => {
                if let (true, Some((.., size))) = (self.nullable, fixed(kind)) {
                    out.put_u8(size);
                }
            }
        }
    }
}

fn with_collation(out: &mut Vec<u8>, length: u16, collation: Collation) {
    out.put_u16(length);
    out.put_bytes(&collation.bytes());
}

fn bytes(length: Length, unit: u16) -> u16 {
    match length {
        Length::Of(length) => length * unit,
        Length::Max => LENGTH_MAX,
    }
}

/// Reads the description of a parameter.
pub(crate) fn read_info(reader: &mut Reader<'_>) -> Result<Shape, Malformed> {
    let what = "a type";
    let number = reader.u8(what)?;
    let length = |bytes: u16, unit: u16| if bytes == LENGTH_MAX { Length::Max } else { Length::Of(bytes / unit) };
    let nullable = |kind| Ok(Shape { kind, nullable: true });
    match number {
        wire::NULL => nullable(Type::Null),
        wire::INT_N | wire::BIT_N | wire::FLOAT_N | wire::MONEY_N | wire::DATE_TIME_N => {
            let size = reader.u8(what)?;
            let kind = fixed_numbered(number, size)
                .ok_or_else(|| Malformed::wrong(format!("type {number:#04x} has no size {size}")))?;
            nullable(kind)
        }
        wire::DECIMAL | wire::NUMERIC => {
            let [_, precision, scale] = reader.array(what)?;
            if precision == 0 || precision > PRECISION_MAX || scale > precision {
                return Err(Malformed::wrong(format!("no decimal has {precision} digits and {scale} of them behind")));
            }
            nullable(if number == wire::DECIMAL {
                Type::Decimal { precision, scale }
            } else {
                Type::Numeric { precision, scale }
            })
        }
        wire::DATE => nullable(Type::Date),
        wire::TIME | wire::DATE_TIME_2 | wire::DATE_TIME_OFFSET => {
            let digits = reader.u8(what)?;
            if digits > FRACTION_DIGITS_MAX {
                return Err(Malformed::wrong(format!("no fraction has {digits} digits")));
            }
            nullable(match number {
                wire::TIME => Type::Time(digits),
                wire::DATE_TIME_2 => Type::DateTime2(digits),
                _ => Type::DateTimeOffset(digits),
            })
        }
        wire::CHAR | wire::VAR_CHAR | wire::N_CHAR | wire::N_VAR_CHAR => {
            let bytes = reader.u16(what)?;
            let collation = Collation::from_bytes(reader.array(what)?);
            nullable(match number {
                wire::CHAR => Type::Char(bytes, collation),
                wire::VAR_CHAR => Type::VarChar(length(bytes, 1), collation),
                wire::N_CHAR => Type::NChar(bytes / 2, collation),
                _ => Type::NVarChar(length(bytes, 2), collation),
            })
        }
        wire::TEXT | wire::N_TEXT => {
            reader.u32(what)?;
            let collation = Collation::from_bytes(reader.array(what)?);
            nullable(if number == wire::TEXT { Type::Text(collation) } else { Type::NText(collation) })
        }
        wire::IMAGE => reader.u32(what).and_then(|_| nullable(Type::Image)),
        wire::BINARY => nullable(Type::Binary(reader.u16(what)?)),
        wire::VAR_BINARY => nullable(Type::VarBinary(length(reader.u16(what)?, 1))),
        wire::GUID => reader.u8(what).and_then(|_| nullable(Type::UniqueIdentifier)),
        wire::XML => {
            if reader.u8(what)? != 0 {
                for _ in 0..2 {
                    reader.short_text(what)?;
                }
                reader.long_text(what)?;
            }
            nullable(Type::Xml)
        }
        wire::VARIANT => reader.u32(what).and_then(|_| nullable(Type::Variant)),
        wire::UDT => {
            for _ in 0..2 {
                reader.short_text(what)?;
            }
            nullable(Type::Udt(reader.short_text(what)?))
        }
        other => match fixed_numbered(other, 0) {
            Some(kind) => Ok(Shape { kind, nullable: false }),
            None => Err(Malformed::wrong(format!("type {other:#04x} is not served"))),
        },
    }
}
