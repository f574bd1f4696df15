//! What a dialect writes differently, and whether a statement only reads.

use sqlparser::ast::{Query, Statement};
use sqlparser::dialect as parsers;
use sqlparser::parser::Parser;

mod denied;
mod lex;
mod read_only;

pub(crate) use lex::{SLOT_END, SLOT_START, Token, TokenKind, lex};
use read_only::PARSE_DEPTH_MAX;
pub(crate) use read_only::{PARSE_TOKENS_MAX, unquoted};
pub use read_only::{SqlFinding, check_read_only};

/// Longest name that `ident` quotes, in characters per part; the longest that any supported server takes.
pub const IDENT_CHARS_MAX: usize = 128;
/// Most parts of a dotted name: server, database, schema and table of SQL Server.
pub const IDENT_PARTS_MAX: usize = 4;

/// The SQL of one kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// MySQL.
    MySql,
    /// MariaDB.
    MariaDb,
    /// SQL Server.
    SqlServer,
    /// Oracle.
    Oracle,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 6] =
        [Self::Postgres, Self::MySql, Self::MariaDb, Self::SqlServer, Self::Oracle, Self::Sqlite];

    /// The dialect of a `source.type`; `None` for sources without SQL.
    pub fn of_source_type(source_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.source_type() == source_type)
    }

    /// The `source.type` that speaks it.
    pub fn source_type(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
            Self::SqlServer => "sqlserver",
            Self::Oracle => "oracle",
            Self::Sqlite => "sqlite",
        }
    }

    /// The server's own name, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL",
            Self::MariaDb => "MariaDB",
            Self::SqlServer => "SQL Server",
            Self::Oracle => "Oracle",
            Self::Sqlite => "SQLite",
        }
    }

    /// The placeholder of the bind with this number, counted from 1.
    pub fn placeholder(self, number: usize) -> String {
        match self {
            Self::Postgres => format!("${number}"),
            Self::MySql | Self::MariaDb => "?".to_owned(),
            Self::Sqlite => format!("?{number}"),
            Self::SqlServer => format!("@P{number}"),
            Self::Oracle => format!(":{number}"),
        }
    }

    /// A name in the dialect's quotes; every part of a dotted name is quoted by itself: `dbo.order` becomes
    /// `[dbo].[order]`. The error says what is wrong with the name.
    pub fn quote_name(self, name: &str) -> Result<String, String> {
        let parts: Vec<&str> = name.split('.').collect();
        if parts.len() > IDENT_PARTS_MAX {
            return Err(format!("`{name}` has {} parts; a name has {IDENT_PARTS_MAX} at most", parts.len()));
        }
        if parts.iter().any(|part| part.is_empty()) {
            return Err(format!("`{name}` is not a name: a part of it is empty"));
        }
        let quoted: Result<Vec<String>, String> = parts.into_iter().map(|part| self.quote_part(part)).collect();
        Ok(quoted?.join("."))
    }

    /// One name in the dialect's quotes, the dots in it being part of the name.
    pub fn quote_part(self, part: &str) -> Result<String, String> {
        if part.is_empty() {
            return Err("a name cannot be empty".to_owned());
        }
        if part.chars().count() > IDENT_CHARS_MAX {
            return Err(format!("a name is longer than {IDENT_CHARS_MAX} characters"));
        }
        if part.chars().any(|c| c.is_control() || is_private_mark(c)) {
            return Err(format!("`{}` is not a name: it has a control character", part.escape_debug()));
        }
        if self == Self::Oracle && part.contains('"') {
            return Err(format!("`{part}` is not a name: Oracle has no way to write a double quote in one"));
        }
        Ok(match self {
            Self::Postgres | Self::Oracle | Self::Sqlite => format!("\"{}\"", part.replace('"', "\"\"")),
            Self::MySql | Self::MariaDb => format!("`{}`", part.replace('`', "``")),
            Self::SqlServer => format!("[{}]", part.replace(']', "]]")),
        })
    }

    /// The parser of this dialect.
    pub(crate) fn parser(self) -> &'static dyn parsers::Dialect {
        match self {
            Self::Postgres => &parsers::PostgreSqlDialect {},
            Self::MySql | Self::MariaDb => &parsers::MySqlDialect {},
            Self::SqlServer => &parsers::MsSqlDialect {},
            Self::Oracle => &parsers::OracleDialect {},
            Self::Sqlite => &parsers::SQLiteDialect {},
        }
    }

    pub(crate) fn is_mysql_family(self) -> bool {
        matches!(self, Self::MySql | Self::MariaDb)
    }
}

/// The syntax tree of a query; none where the parser does not know all of it, or it is too long.
pub(crate) fn parse_query(sql: &str, dialect: Dialect) -> Option<Box<Query>> {
    if lex(sql, dialect).iter().filter(|token| token.is_code()).count() > PARSE_TOKENS_MAX {
        return None;
    }
    let parser = Parser::new(dialect.parser()).with_recursion_limit(PARSE_DEPTH_MAX);
    let mut statements = parser.try_with_sql(sql).and_then(|mut parser| parser.parse_statements()).ok()?;
    match statements.pop()? {
        Statement::Query(query) if statements.is_empty() => Some(query),
        _ => None,
    }
}

/// A statement for comparison: without comments, and with one blank wherever there was white space. What is quoted
/// stays as it is.
pub fn code_text(sql: &str, dialect: Dialect) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut apart = false;
    for token in lex(sql, dialect) {
        if !token.is_code() {
            apart = !out.is_empty();
            continue;
        }
        if std::mem::take(&mut apart) {
            out.push(' ');
        }
        out.push_str(&sql[token.range]);
    }
    out
}

/// The highest number of a numbered placeholder, as [`Dialect::placeholder`] writes it; 0 where there is none.
pub fn highest_placeholder(sql: &str, dialect: Dialect) -> usize {
    let mark = dialect.placeholder(1);
    let mark = mark.trim_end_matches('1');
    let (mut highest, mut before) = (0, "");
    for token in lex(sql, dialect) {
        let text = &sql[token.range.clone()];
        let number = match token.kind {
            TokenKind::Word => text.strip_prefix(mark).and_then(|digits| digits.parse().ok()),
            TokenKind::Number if before == mark => text.parse().ok(),
            _ => None,
        };
        highest = highest.max(number.unwrap_or(0));
        before = text;
    }
    highest
}

/// Whether a character is one of the Unicode non-characters that mark places in a template while it is rendered.
pub(crate) fn is_private_mark(c: char) -> bool {
    ('\u{FDD0}'..='\u{FDEF}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_counted_as_code() {
        for (dialect, sql, expected) in [
            (Dialect::SqlServer, "SELECT 1", 0),
            (Dialect::SqlServer, "SELECT '@P7', [@P8] FROM t WHERE b = @P1 -- @P9", 1),
            (Dialect::SqlServer, "SELECT a FROM t WHERE b = @P10 OR b = @P2", 10),
            (Dialect::Oracle, "SELECT ':7', \":8\" FROM t WHERE b = :1 AND c < :12 /* :9 */", 12),
            (Dialect::Postgres, "SELECT a FROM t WHERE b = $2 AND c = $1", 2),
        ] {
            assert_eq!(highest_placeholder(sql, dialect), expected, "{sql}");
        }
    }

    #[test]
    fn every_part_of_a_name_is_quoted() {
        let check = |dialect: Dialect, name: &str, quoted: &str| {
            assert_eq!(dialect.quote_name(name).as_deref(), Ok(quoted), "{dialect:?} {name}");
        };
        check(Dialect::Postgres, "public.Order", "\"public\".\"Order\"");
        check(Dialect::Postgres, "a\"b", "\"a\"\"b\"");
        check(Dialect::MySql, "a`; DROP", "`a``; DROP`");
        check(Dialect::MariaDb, "erp.auftrag", "`erp`.`auftrag`");
        check(Dialect::SqlServer, "dbo.a]b", "[dbo].[a]]b]");
        check(Dialect::Oracle, "MES.BUCHUNG", "\"MES\".\"BUCHUNG\"");
        check(Dialect::Sqlite, "größe", "\"größe\"");
    }

    #[test]
    fn comments_and_white_space_are_not_compared() {
        let check = |dialect, sql, expected| assert_eq!(code_text(sql, dialect), expected);
        check(Dialect::Postgres, "  SELECT a,\n\t b -- the b\n FROM t;\n", "SELECT a, b FROM t;");
        check(Dialect::Postgres, "SELECT/* one */1 /* all */", "SELECT 1");
        check(Dialect::Sqlite, "SELECT '--  no\n comment', \"a  b\"", "SELECT '--  no\n comment', \"a  b\"");
        check(Dialect::MariaDb, "SELECT `a  b` # why\nFROM `t u`", "SELECT `a  b` FROM `t u`");
        check(Dialect::MariaDb, "SELECT 1 /*! FOR UPDATE */", "SELECT 1 /*! FOR UPDATE */");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", "a..b", ".a", "a\nb", "a\0b", "a.b.c.d.e", &"x".repeat(129), "a\u{FDD0}b"] {
            for dialect in Dialect::ALL {
                assert!(dialect.quote_name(name).is_err(), "{dialect:?} {name:?}");
            }
        }
        assert!(Dialect::Oracle.quote_name("a\"b").is_err());
    }

    #[test]
    fn a_source_type_names_its_dialect() {
        for dialect in Dialect::ALL {
            assert_eq!(Dialect::of_source_type(dialect.source_type()), Some(dialect));
        }
        assert_eq!(Dialect::of_source_type("csv"), None);
    }
}
