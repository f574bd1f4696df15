//! The server's types: their names in statements.

mod info;
#[cfg(test)]
mod tests;

use std::fmt;

pub(crate) use self::info::{Shape, decimal_bytes, read_info, wire};
use crate::collation::Collation;

/// How long a value of a type may be: bytes, or units of two bytes for national text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    Of(u16),
    Max,
}

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    /// The type of a null that has none.
    Null,
    Bit,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Real,
    Float,
    SmallMoney,
    Money,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Numeric {
        precision: u8,
        scale: u8,
    },
    SmallDateTime,
    DateTime,
    Date,
    Time(u8),
    DateTime2(u8),
    DateTimeOffset(u8),
    Char(u16, Collation),
    VarChar(Length, Collation),
    NChar(u16, Collation),
    NVarChar(Length, Collation),
    Text(Collation),
    NText(Collation),
    Binary(u16),
    VarBinary(Length),
    Image,
    RowVersion,
    UniqueIdentifier,
    Xml,
    Variant,
    /// A type of .NET, by its name.
    Udt(String),
}

/// Digits of a decimal at most.
pub(crate) const PRECISION_MAX: u8 = 38;
/// Digits of a fraction of a second at most.
pub(crate) const FRACTION_DIGITS_MAX: u8 = 7;
/// Bytes of a value of text that is no `max`; national text has half as many units.
const BYTES_MAX: u16 = 8000;
/// Types of .NET that every server has.
const UDTS: &[&str] = &["geography", "geometry", "hierarchyid"];
/// Bits of a `float` that is a `real` in truth.
const REAL_BITS_MAX: u16 = 24;

impl Type {
    /// The type that is written so; `None` where the server has no such type.
    pub(crate) fn parse(declared: &str) -> Option<Self> {
        let lower = declared.trim().to_ascii_lowercase();
        let (name, collation) = match lower.split_once(" collate ") {
            Some((name, collation)) => (name, Collation::named(collation.trim())?),
            None => (lower.as_str(), Collation::default()),
        };
        let (name, arguments) = match name.split_once('(') {
            Some((name, rest)) => (name, rest.trim_end().strip_suffix(')')?),
            None => (name, ""),
        };
        let arguments: Vec<&str> = arguments.split(',').map(str::trim).filter(|text| !text.is_empty()).collect();
        let name = name.trim();
        match arguments.as_slice() {
            [] => Self::plain(name, collation),
            ["max"] => match name {
                "varchar" => Some(Self::VarChar(Length::Max, collation)),
                "nvarchar" => Some(Self::NVarChar(Length::Max, collation)),
                "varbinary" => Some(Self::VarBinary(Length::Max)),
                _ => None,
            },
            [one] => Self::sized(name, one.parse().ok()?, collation),
            [precision, scale] => Self::exact(name, precision.parse().ok()?, scale.parse().ok()?),
            _ => None,
        }
    }

    fn plain(name: &str, collation: Collation) -> Option<Self> {
        Some(match name {
            "bit" => Self::Bit,
            "tinyint" => Self::TinyInt,
            "smallint" => Self::SmallInt,
            "int" | "integer" => Self::Int,
            "bigint" => Self::BigInt,
            "real" => Self::Real,
            "float" | "double precision" => Self::Float,
            "smallmoney" => Self::SmallMoney,
            "money" => Self::Money,
            "decimal" | "dec" => Self::Decimal { precision: 18, scale: 0 },
            "numeric" => Self::Numeric { precision: 18, scale: 0 },
            "smalldatetime" => Self::SmallDateTime,
            "datetime" => Self::DateTime,
            "date" => Self::Date,
            "time" => Self::Time(FRACTION_DIGITS_MAX),
            "datetime2" => Self::DateTime2(FRACTION_DIGITS_MAX),
            "datetimeoffset" => Self::DateTimeOffset(FRACTION_DIGITS_MAX),
            "text" => Self::Text(collation),
            "ntext" => Self::NText(collation),
            "image" => Self::Image,
            "timestamp" | "rowversion" => Self::RowVersion,
            "uniqueidentifier" => Self::UniqueIdentifier,
            "xml" => Self::Xml,
            "sql_variant" => Self::Variant,
            "sysname" => Self::NVarChar(Length::Of(128), collation),
            name if UDTS.contains(&name) => Self::Udt(name.to_owned()),
            name => return Self::sized(name, 1, collation),
        })
    }

    fn sized(name: &str, size: u16, collation: Collation) -> Option<Self> {
        let digits = u8::try_from(size).unwrap_or(u8::MAX);
        match name {
            "float" => return Some(if size <= REAL_BITS_MAX { Self::Real } else { Self::Float }),
            "decimal" | "dec" | "numeric" => return Self::exact(name, digits, 0),
            "time" | "datetime2" | "datetimeoffset" if digits > FRACTION_DIGITS_MAX => return None,
            "time" => return Some(Self::Time(digits)),
            "datetime2" => return Some(Self::DateTime2(digits)),
            "datetimeoffset" => return Some(Self::DateTimeOffset(digits)),
            _ => {}
        }
        let most = if name.starts_with('n') { BYTES_MAX / 2 } else { BYTES_MAX };
        if size == 0 || size > most {
            return None;
        }
        Some(match name {
            "char" | "character" => Self::Char(size, collation),
            "varchar" => Self::VarChar(Length::Of(size), collation),
            "nchar" => Self::NChar(size, collation),
            "nvarchar" => Self::NVarChar(Length::Of(size), collation),
            "binary" => Self::Binary(size),
            "varbinary" => Self::VarBinary(Length::Of(size)),
            _ => return None,
        })
    }

    fn exact(name: &str, precision: u8, scale: u8) -> Option<Self> {
        if precision == 0 || precision > PRECISION_MAX || scale > precision {
            return None;
        }
        match name {
            "decimal" | "dec" => Some(Self::Decimal { precision, scale }),
            "numeric" => Some(Self::Numeric { precision, scale }),
            _ => None,
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(length) => write!(out, "{length}"),
            Self::Max => out.write_str("max"),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Decimal { precision, scale } => return write!(out, "decimal({precision},{scale})"),
            Self::Numeric { precision, scale } => return write!(out, "numeric({precision},{scale})"),
            Self::Time(digits) => return write!(out, "time({digits})"),
            Self::DateTime2(digits) => return write!(out, "datetime2({digits})"),
            Self::DateTimeOffset(digits) => return write!(out, "datetimeoffset({digits})"),
            Self::Char(length, _) => return write!(out, "char({length})"),
            Self::VarChar(length, _) => return write!(out, "varchar({length})"),
            Self::NChar(length, _) => return write!(out, "nchar({length})"),
            Self::NVarChar(length, _) => return write!(out, "nvarchar({length})"),
            Self::Binary(length) => return write!(out, "binary({length})"),
            Self::VarBinary(length) => return write!(out, "varbinary({length})"),
            Self::Udt(name) => name,
            // A null without a type is an integer in the end, as in `select null`.
            Self::Null | Self::Int => "int",
            Self::Bit => "bit",
            Self::TinyInt => "tinyint",
            Self::SmallInt => "smallint",
            Self::BigInt => "bigint",
            Self::Real => "real",
            Self::Float => "float",
            Self::SmallMoney => "smallmoney",
            Self::Money => "money",
            Self::SmallDateTime => "smalldatetime",
            Self::DateTime => "datetime",
            Self::Date => "date",
            Self::Text(_) => "text",
            Self::NText(_) => "ntext",
            Self::Image => "image",
            Self::RowVersion => "timestamp",
            Self::UniqueIdentifier => "uniqueidentifier",
            Self::Xml => "xml",
            Self::Variant => "sql_variant",
        };
        out.write_str(name)
    }
}
