//! The types of both products, as they are declared.

use std::fmt;

use crate::Product;

/// Length of `varchar(max)` and the like.
pub(crate) const UNBOUNDED: i64 = -1;

/// A declared type. Names of SQL Server's types are in lower case, those of Oracle's in upper case, and nothing else
/// tells the products apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Type {
    /// Without arguments: `varchar`, `TIMESTAMP WITH TIME ZONE`.
    pub name: String,
    /// First argument.
    pub length: Option<i64>,
    /// Second argument.
    pub scale: Option<i64>,
    /// Of a type of text.
    pub collation: Option<String>,
}

/// What is computed and compared alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Null,
    Binary,
    Text,
    RowId,
    Uuid,
    Bit,
    Integer,
    Decimal,
    Float,
    Interval,
    Time,
    Date,
    DateTime,
    Local,
    Offset,
    Variant,
}

impl Type {
    pub(crate) fn new(name: &str) -> Type {
        Type { name: name.to_owned(), length: None, scale: None, collation: None }
    }

    pub(crate) fn sized(name: &str, length: i64) -> Type {
        Type { length: Some(length), ..Type::new(name) }
    }

    pub(crate) fn decimal(precision: i64, scale: i64) -> Type {
        Type { length: Some(precision), scale: Some(scale), ..Type::new("decimal") }
    }

    /// The type of `NULL`.
    pub(crate) fn null() -> Type {
        Type::new("")
    }

    /// Reads a type as a statement writes it; `None` where there is no such type.
    pub(crate) fn parse(product: Product, text: &str) -> Option<Type> {
        let (outside, arguments) = split_arguments(text);
        let mut words = outside.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
        let mut collation = None;
        if let Some(at) = words.iter().position(|word| word == "collate") {
            collation = outside.split_whitespace().nth(at + 1).map(str::to_owned);
            words.truncate(at);
        }
        let mut parsed = match product {
            Product::SqlServer => sql_server(&words.join(" "), &arguments)?,
            Product::Oracle => oracle(&words.join(" "), &arguments)?,
        };
        parsed.collation = collation;
        Some(parsed)
    }

    /// The type in a `CAST`, where text and bytes without a length have 30.
    pub(crate) fn parse_cast(product: Product, text: &str) -> Option<Type> {
        let mut parsed = Type::parse(product, text)?;
        let bare = !text.contains('(');
        if bare && matches!(parsed.name.as_str(), "varchar" | "nvarchar" | "char" | "nchar" | "binary" | "varbinary") {
            parsed.length = Some(30);
        }
        Some(parsed)
    }

    pub(crate) fn class(&self) -> Class {
        match self.name.as_str() {
            "" => Class::Null,
            "bit" => Class::Bit,
            "tinyint" | "smallint" | "int" | "bigint" => Class::Integer,
            "decimal" | "numeric" | "money" | "smallmoney" | "NUMBER" | "FLOAT" => Class::Decimal,
            "float" | "real" | "BINARY_FLOAT" | "BINARY_DOUBLE" => Class::Float,
            "binary" | "varbinary" | "image" | "rowversion" | "RAW" | "LONG RAW" | "BLOB" => Class::Binary,
            "date" => Class::Date,
            "time" => Class::Time,
            "datetime" | "datetime2" | "smalldatetime" | "DATE" | "TIMESTAMP" => Class::DateTime,
            "datetimeoffset" | "TIMESTAMP WITH TIME ZONE" => Class::Offset,
            "TIMESTAMP WITH LOCAL TIME ZONE" => Class::Local,
            "INTERVAL DAY TO SECOND" | "INTERVAL YEAR TO MONTH" => Class::Interval,
            "uniqueidentifier" => Class::Uuid,
            "sql_variant" => Class::Variant,
            "ROWID" => Class::RowId,
            _ => Class::Text,
        }
    }

    pub(crate) fn is_padded(&self) -> bool {
        matches!(self.name.as_str(), "char" | "nchar" | "CHAR" | "NCHAR" | "binary")
    }

    pub(crate) fn is_national(&self) -> bool {
        matches!(self.name.as_str(), "nchar" | "nvarchar" | "ntext" | "xml" | "NCHAR" | "NVARCHAR2" | "NCLOB")
    }

    /// Whether values of it take part in sums.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self.class(), Class::Bit | Class::Integer | Class::Decimal | Class::Float)
    }

    pub(crate) fn is_moment(&self) -> bool {
        matches!(self.class(), Class::Time | Class::Date | Class::DateTime | Class::Local | Class::Offset)
    }

    /// Digits of a fraction of a second.
    pub(crate) fn fraction_digits(&self) -> usize {
        match self.name.as_str() {
            "DATE" | "date" | "smalldatetime" => 0,
            "datetime" => 3,
            "INTERVAL DAY TO SECOND" => self.scale.unwrap_or(6) as usize,
            "time" | "datetime2" | "datetimeoffset" => self.length.unwrap_or(7) as usize,
            _ => self.length.unwrap_or(6) as usize,
        }
    }

    /// Precision and scale of an exact number of SQL Server.
    pub(crate) fn digits(&self) -> (i64, i64) {
        match self.name.as_str() {
            "bit" => (1, 0),
            "tinyint" => (3, 0),
            "smallint" => (5, 0),
            "int" => (10, 0),
            "bigint" => (19, 0),
            "money" => (19, 4),
            "smallmoney" => (10, 4),
            _ => (self.length.unwrap_or(38), self.scale.unwrap_or(0)),
        }
    }

    /// How SQLite is to order a column of this type.
    pub(crate) fn collation(&self) -> &'static str {
        let case_sensitive = || {
            let named = self.collation.as_deref().unwrap_or_default().to_lowercase();
            named.contains("_cs") || named.contains("_bin")
        };
        match self.class() {
            Class::Decimal => "DIGITS",
            Class::Offset => "INSTANT",
            Class::Text if self.name == "CHAR" || self.name == "NCHAR" => "PADDED",
            Class::Text if self.name.starts_with(char::is_lowercase) && case_sensitive() => "PADDED",
            Class::Text if self.name.starts_with(char::is_lowercase) => "FOLDED",
            _ => "BINARY",
        }
    }

    /// How SQLite is to keep a column of this type: nothing is converted, numbers apart.
    pub(crate) fn affinity(&self) -> &'static str {
        match self.class() {
            Class::Bit | Class::Integer => "INTEGER",
            Class::Float => "REAL",
            _ => "BLOB",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |length: i64| if length == UNBOUNDED { "max".to_owned() } else { length.to_string() };
        match (self.name.as_str(), self.length, self.scale) {
            ("", ..) => f.write_str("null")?,
            ("INTERVAL DAY TO SECOND", days, seconds) => {
                write!(f, "INTERVAL DAY({}) TO SECOND({})", days.unwrap_or(2), seconds.unwrap_or(6))?;
            }
            ("INTERVAL YEAR TO MONTH", years, _) => write!(f, "INTERVAL YEAR({}) TO MONTH", years.unwrap_or(2))?,
            (name, Some(precision), _) if name.starts_with("TIMESTAMP") => {
                write!(f, "TIMESTAMP({precision}){}", &name["TIMESTAMP".len()..])?;
            }
            (name, Some(precision), Some(scale)) => write!(f, "{name}({precision},{scale})")?,
            (name, Some(first), None) => write!(f, "{name}({})", length(first))?,
            (name, None, _) => f.write_str(name)?,
        }
        match &self.collation {
            Some(collation) => write!(f, " collate {collation}"),
            None => Ok(()),
        }
    }
}

/// `TIMESTAMP(3) WITH TIME ZONE` as what stands outside of parentheses and the numbers within.
fn split_arguments(text: &str) -> (String, Vec<i64>) {
    let mut outside = String::new();
    let mut inside = String::new();
    let mut depth = 0;
    for letter in text.chars() {
        match letter {
            '(' => depth += 1,
            ')' => {
                depth -= 1;
                inside.push(',');
                outside.push(' ');
            }
            _ if depth > 0 => inside.push(letter),
            _ => outside.push(letter),
        }
    }
    let number = |argument: &str| match argument.split_whitespace().next()? {
        "*" => Some(38),
        word if word.eq_ignore_ascii_case("max") => Some(UNBOUNDED),
        word => word.parse().ok(),
    };
    (outside.replace(['[', ']'], ""), inside.split(',').filter_map(number).collect())
}

fn sql_server(words: &str, arguments: &[i64]) -> Option<Type> {
    let first = arguments.first().copied();
    let sized = |name: &str, standard: i64| Some(Type::sized(name, first.unwrap_or(standard)));
    match words {
        "integer" => Some(Type::new("int")),
        "timestamp" | "rowversion" => Some(Type::new("rowversion")),
        "bit" | "tinyint" | "smallint" | "int" | "bigint" | "money" | "smallmoney" | "real" | "date" | "datetime"
        | "smalldatetime" | "uniqueidentifier" | "xml" | "text" | "ntext" | "image" | "sql_variant" => {
            Some(Type::new(words))
        }
        "sysname" => sized("nvarchar", 128),
        "decimal" | "dec" | "numeric" => Some(Type {
            name: if words == "numeric" { "numeric" } else { "decimal" }.to_owned(),
            ..Type::decimal(first.unwrap_or(18), arguments.get(1).copied().unwrap_or(0))
        }),
        "float" if first.is_some_and(|bits| bits <= 24) => Some(Type::new("real")),
        "float" | "double precision" => Some(Type::new("float")),
        "char" | "character" => sized("char", 1),
        "varchar" | "char varying" | "character varying" => sized("varchar", 1),
        "nchar" | "national char" | "national character" => sized("nchar", 1),
        "nvarchar" | "national char varying" | "national character varying" => sized("nvarchar", 1),
        "binary" => sized("binary", 1),
        "varbinary" | "binary varying" => sized("varbinary", 1),
        "time" | "datetime2" | "datetimeoffset" => sized(words, 7),
        _ => None,
    }
}

fn oracle(words: &str, arguments: &[i64]) -> Option<Type> {
    let first = arguments.first().copied();
    let second = arguments.get(1).copied();
    let sized = |name: &str, standard: i64| Some(Type::sized(name, first.unwrap_or(standard)));
    let whole = Type { length: Some(38), scale: Some(0), ..Type::new("NUMBER") };
    match words {
        "number" if first.is_none() => Some(Type::new("NUMBER")),
        "number" | "decimal" | "numeric" | "dec" => {
            Some(Type { length: Some(first.unwrap_or(38)), scale: Some(second.unwrap_or(0)), ..whole })
        }
        "integer" | "int" | "smallint" => Some(whole),
        "float" | "double precision" => sized("FLOAT", 126),
        "real" => Some(Type::sized("FLOAT", 63)),
        "binary_float" | "binary_double" | "clob" | "nclob" | "long" | "long raw" | "blob" | "date" | "rowid" => {
            Some(Type::new(&words.to_uppercase()))
        }
        "urowid" => Some(Type::new("ROWID")),
        "varchar2" | "varchar" | "char varying" | "character varying" => sized("VARCHAR2", 4000),
        "nvarchar2" | "national character varying" | "national char varying" => sized("NVARCHAR2", 2000),
        "char" | "character" => sized("CHAR", 1),
        "nchar" | "national char" | "national character" => sized("NCHAR", 1),
        "raw" => sized("RAW", 2000),
        "timestamp" => sized("TIMESTAMP", 6),
        "timestamp with time zone" => sized("TIMESTAMP WITH TIME ZONE", 6),
        "timestamp with local time zone" | "timestamp_ltz" => sized("TIMESTAMP WITH LOCAL TIME ZONE", 6),
        "interval day to second" | "interval_ds" => Some(Type {
            length: Some(first.unwrap_or(2)),
            scale: Some(second.unwrap_or(6)),
            ..Type::new("INTERVAL DAY TO SECOND")
        }),
        "interval year to month" | "interval_ym" => sized("INTERVAL YEAR TO MONTH", 2),
        _ => None,
    }
}
