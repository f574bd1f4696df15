//! The types of Oracle and their numbers on the wire.

/// What a column or a bound value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `VARCHAR2`, `NVARCHAR2`.
    Varchar,
    /// `NUMBER`, `FLOAT`.
    Number,
    /// `LONG`.
    Long,
    /// `DATE`.
    Date,
    /// `RAW`.
    Raw,
    /// `LONG RAW`.
    LongRaw,
    /// `ROWID`.
    Rowid,
    /// `CHAR`, `NCHAR`.
    Char,
    /// `BINARY_FLOAT`.
    BinaryFloat,
    /// `BINARY_DOUBLE`.
    BinaryDouble,
    /// `CLOB`, `NCLOB`.
    Clob,
    /// `BLOB`.
    Blob,
    /// `TIMESTAMP`.
    Timestamp,
    /// `TIMESTAMP WITH TIME ZONE`.
    TimestampZoned,
    /// `TIMESTAMP WITH LOCAL TIME ZONE`.
    TimestampLocal,
    /// `INTERVAL DAY TO SECOND`.
    Interval,
    /// `BOOLEAN`, since 23ai.
    Boolean,
}

/// Each kind with its number on the wire.
const NUMBERS: [(Kind, u8); 17] = [
    (Kind::Varchar, 1),
    (Kind::Number, 2),
    (Kind::Long, 8),
    (Kind::Rowid, 11),
    (Kind::Date, 12),
    (Kind::Raw, 23),
    (Kind::LongRaw, 24),
    (Kind::Char, 96),
    (Kind::BinaryFloat, 100),
    (Kind::BinaryDouble, 101),
    (Kind::Clob, 112),
    (Kind::Blob, 113),
    (Kind::Timestamp, 180),
    (Kind::TimestampZoned, 181),
    (Kind::Interval, 183),
    (Kind::TimestampLocal, 231),
    (Kind::Boolean, 252),
];

/// A whole number that PL/SQL keeps in binary; on the wire it is a `NUMBER`.
const BINARY_INTEGER: u8 = 3;

/// The character set of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// The type has none.
    None,
    /// That of the database: UTF-8.
    Database,
    /// That of the `N` types: UTF-16.
    National,
}

impl Charset {
    /// Its form on the wire.
    pub fn form(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Database => 1,
            Self::National => 2,
        }
    }

    /// Its number on the wire.
    pub fn number(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Database => 873,
            Self::National => 2000,
        }
    }

    /// By its form on the wire.
    pub fn of_form(form: u8) -> Self {
        match form {
            1 => Self::Database,
            2 => Self::National,
            _ => Self::None,
        }
    }
}

impl Kind {
    /// Its number on the wire.
    pub fn number(self) -> u8 {
        NUMBERS.iter().find(|(kind, _)| *kind == self).map_or(1, |(_, number)| *number)
    }

    /// By its number on the wire; `None` where this server does not know it.
    pub fn of_number(number: u8) -> Option<Self> {
        if number == BINARY_INTEGER {
            return Some(Self::Number);
        }
        NUMBERS.iter().find(|(_, known)| *known == number).map(|(kind, _)| *kind)
    }

    /// Whether it goes over as a locator.
    pub fn is_lob(self) -> bool {
        matches!(self, Self::Clob | Self::Blob)
    }
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Type {
    /// What it is.
    pub kind: Kind,
    /// The character set of its text.
    pub charset: Charset,
    /// Most bytes of a value; zero for a column that is always null.
    pub bytes: u32,
    /// Most characters of a text.
    pub characters: u32,
    /// Digits of a number, or of the days of an interval.
    pub precision: i8,
    /// Digits after the point of a number or a second.
    pub scale: i8,
}

/// Says that a number has no scale.
const FLOATING: i8 = -127;
const LOB_BYTES: u32 = 4_000;
/// Bytes of a character of the database at most.
const CHARACTER_BYTES: u32 = 4;

impl Type {
    /// Of the words that declare it (`NUMBER(10,2)`); `None` where they name no type that is known here.
    pub fn parse(declared: &str) -> Option<Self> {
        let declared = declared.trim().to_uppercase();
        let (name, arguments, rest) = split(&declared);
        let first = arguments.first().copied();
        let plain = |kind, bytes| Self { kind, charset: Charset::None, bytes, characters: 0, precision: 0, scale: 0 };
        let number = |precision: i64, scale: i64| Self {
            precision: precision.clamp(0, 126) as i8,
            scale: scale.clamp(-127, 127) as i8,
            ..plain(Kind::Number, 22)
        };
        let fraction = first.unwrap_or(6).clamp(0, 9) as i8;
        let length = u32::try_from(first.unwrap_or(1)).ok()?;
        Some(match (name, rest) {
            ("NUMBER" | "DECIMAL" | "NUMERIC" | "DEC", _) => match arguments[..] {
                [] => number(0, FLOATING.into()),
                [precision] => number(precision, 0),
                [precision, scale, ..] => number(precision, scale),
            },
            ("INTEGER" | "INT" | "SMALLINT", _) => number(38, 0),
            ("FLOAT", _) => number(first.unwrap_or(126), FLOATING.into()),
            ("VARCHAR2" | "VARCHAR", unit) => text(Kind::Varchar, length, unit),
            ("CHAR" | "CHARACTER", unit) => text(Kind::Char, length, unit),
            ("NVARCHAR2", _) => national(Kind::Varchar, length),
            ("NCHAR", _) => national(Kind::Char, length),
            ("LONG", "RAW") => plain(Kind::LongRaw, 0),
            ("LONG", _) => Self { charset: Charset::Database, ..plain(Kind::Long, 0) },
            ("RAW", _) => plain(Kind::Raw, length),
            ("CLOB", _) => Self { charset: Charset::Database, ..plain(Kind::Clob, LOB_BYTES) },
            ("NCLOB", _) => Self { charset: Charset::National, ..plain(Kind::Clob, LOB_BYTES) },
            ("BLOB", _) => plain(Kind::Blob, LOB_BYTES),
            ("DATE", _) => plain(Kind::Date, 7),
            ("TIMESTAMP", "WITH TIME ZONE") => Self { scale: fraction, ..plain(Kind::TimestampZoned, 13) },
            ("TIMESTAMP", "WITH LOCAL TIME ZONE") => Self { scale: fraction, ..plain(Kind::TimestampLocal, 11) },
            ("TIMESTAMP", _) => Self { scale: fraction, ..plain(Kind::Timestamp, 11) },
            ("INTERVAL", days) if days.starts_with("DAY") => interval(days, plain(Kind::Interval, 11)),
            ("BINARY_FLOAT", _) => plain(Kind::BinaryFloat, 4),
            ("BINARY_DOUBLE", _) => plain(Kind::BinaryDouble, 8),
            ("ROWID", _) => plain(Kind::Rowid, 18),
            ("BOOLEAN", _) => plain(Kind::Boolean, 1),
            _ => return None,
        })
    }
}

/// The name of a type, the numbers in its brackets and what follows. A unit in the brackets counts as following.
fn split(declared: &str) -> (&str, Vec<i64>, &str) {
    let name_end = declared.find(['(', ' ']).unwrap_or(declared.len());
    let (name, rest) = declared.split_at(name_end);
    let rest = rest.trim_start();
    let Some((inside, after)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) else {
        return (name, Vec::new(), rest);
    };
    let numbers = inside.split(',').filter_map(|part| part.split_whitespace().next()?.parse().ok()).collect();
    let unit = if inside.trim_end().ends_with("CHAR") { "CHAR" } else { "" };
    let after = after.trim();
    (name, numbers, if after.is_empty() { unit } else { after })
}

fn text(kind: Kind, length: u32, unit: &str) -> Type {
    let bytes = if unit == "CHAR" { length.saturating_mul(CHARACTER_BYTES) } else { length };
    Type { kind, charset: Charset::Database, bytes, characters: length, precision: 0, scale: 0 }
}

fn national(kind: Kind, length: u32) -> Type {
    let bytes = length.saturating_mul(2);
    Type { kind, charset: Charset::National, bytes, characters: length, precision: 0, scale: 0 }
}

/// Digits of `DAY(2) TO SECOND(6)`.
fn interval(words: &str, plain: Type) -> Type {
    let digits = |part: &str, usual: i8| {
        part.split_once('(').and_then(|(_, rest)| rest.split_once(')')?.0.trim().parse().ok()).unwrap_or(usual)
    };
    let (day, second) = words.split_once("TO").unwrap_or((words, ""));
    Type { precision: digits(day, 2), scale: digits(second, 6), ..plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_understood() {
        for (declared, kind, bytes, characters, precision, scale) in [
            ("NUMBER", Kind::Number, 22, 0, 0, -127),
            ("NUMBER(10)", Kind::Number, 22, 0, 10, 0),
            ("NUMBER(10, 2)", Kind::Number, 22, 0, 10, 2),
            ("NUMBER(3,-2)", Kind::Number, 22, 0, 3, -2),
            ("INTEGER", Kind::Number, 22, 0, 38, 0),
            ("FLOAT(53)", Kind::Number, 22, 0, 53, -127),
            ("VARCHAR2(20)", Kind::Varchar, 20, 20, 0, 0),
            ("VARCHAR2(20 CHAR)", Kind::Varchar, 80, 20, 0, 0),
            ("VARCHAR2(0)", Kind::Varchar, 0, 0, 0, 0),
            ("NVARCHAR2(20)", Kind::Varchar, 40, 20, 0, 0),
            ("CHAR(3)", Kind::Char, 3, 3, 0, 0),
            ("RAW(16)", Kind::Raw, 16, 0, 0, 0),
            ("long raw", Kind::LongRaw, 0, 0, 0, 0),
            ("DATE", Kind::Date, 7, 0, 0, 0),
            ("TIMESTAMP", Kind::Timestamp, 11, 0, 0, 6),
            ("TIMESTAMP(9)", Kind::Timestamp, 11, 0, 0, 9),
            ("TIMESTAMP(3) WITH TIME ZONE", Kind::TimestampZoned, 13, 0, 0, 3),
            ("TIMESTAMP WITH LOCAL TIME ZONE", Kind::TimestampLocal, 11, 0, 0, 6),
            ("INTERVAL DAY(4) TO SECOND(3)", Kind::Interval, 11, 0, 4, 3),
            ("INTERVAL DAY TO SECOND", Kind::Interval, 11, 0, 2, 6),
            ("CLOB", Kind::Clob, 4000, 0, 0, 0),
        ] {
            let expected = Some((kind, bytes, characters, precision, scale));
            let parsed = Type::parse(declared);
            let parsed = parsed.map(|t| (t.kind, t.bytes, t.characters, t.precision, t.scale));
            assert_eq!(parsed, expected, "{declared}");
        }
        assert_eq!(Type::parse("SDO_GEOMETRY"), None);
    }

    #[test]
    fn every_kind_is_found_by_its_number() {
        for (kind, number) in NUMBERS {
            assert_eq!((kind.number(), Kind::of_number(number)), (number, Some(kind)));
        }
    }
}
