//! Names of tables and columns, as a query has them.

use engine_spec::sql::Dialect;
use engine_spec::yaml::emit::is_unfit;

use crate::discover::Name;

/// Words that are no names without quotes, in at least one of the dialects or for the check that a statement only reads.
const RESERVED: &[&str] = &[
    "ACCESS",
    "ADD",
    "ALL",
    "ALTER",
    "ANALYZE",
    "AND",
    "ANY",
    "ARRAY",
    "AS",
    "ASC",
    "AUDIT",
    "BACKUP",
    "BEFORE",
    "BEGIN",
    "BETWEEN",
    "BOTH",
    "BREAK",
    "BROWSE",
    "BULK",
    "BY",
    "CALL",
    "CASCADE",
    "CASE",
    "CAST",
    "CHANGE",
    "CHECK",
    "CHECKPOINT",
    "CLOSE",
    "CLUSTER",
    "COLLATE",
    "COLUMN",
    "COMMENT",
    "COMMIT",
    "COMPRESS",
    "COMPUTE",
    "CONNECT",
    "CONSTRAINT",
    "CONTAINS",
    "CONTINUE",
    "CONVERT",
    "CREATE",
    "CROSS",
    "CURRENT",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "CURRENT_USER",
    "CURSOR",
    "DATABASE",
    "DATE",
    "DBCC",
    "DEALLOCATE",
    "DECIMAL",
    "DECLARE",
    "DEFAULT",
    "DELAYED",
    "DELETE",
    "DENY",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DISTRIBUTED",
    "DIV",
    "DO",
    "DOUBLE",
    "DROP",
    "DUAL",
    "DUMP",
    "EACH",
    "ELSE",
    "END",
    "ESCAPE",
    "EXCEPT",
    "EXCLUSIVE",
    "EXEC",
    "EXECUTE",
    "EXISTS",
    "EXIT",
    "EXPLAIN",
    "EXTERNAL",
    "FALSE",
    "FETCH",
    "FILE",
    "FLOAT",
    "FOR",
    "FORCE",
    "FOREIGN",
    "FREETEXT",
    "FROM",
    "FULL",
    "FULLTEXT",
    "FUNCTION",
    "GET",
    "GOTO",
    "GRANT",
    "GROUP",
    "GROUPS",
    "HANDLER",
    "HAVING",
    "HOLDLOCK",
    "IDENTIFIED",
    "IDENTITY",
    "IF",
    "IGNORE",
    "ILIKE",
    "IMMEDIATE",
    "IN",
    "INCREMENT",
    "INDEX",
    "INITIAL",
    "INNER",
    "INSERT",
    "INT",
    "INTEGER",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "ISNULL",
    "ITERATE",
    "JOIN",
    "KEY",
    "KEYS",
    "KILL",
    "LATERAL",
    "LEADING",
    "LEAVE",
    "LEFT",
    "LEVEL",
    "LIKE",
    "LIMIT",
    "LINENO",
    "LINES",
    "LISTEN",
    "LOAD",
    "LOCALTIME",
    "LOCK",
    "LONG",
    "LOOP",
    "MATCH",
    "MAXEXTENTS",
    "MERGE",
    "MINUS",
    "MOD",
    "MODE",
    "MODIFY",
    "NATURAL",
    "NOAUDIT",
    "NOCHECK",
    "NOCOMPRESS",
    "NOT",
    "NOTIFY",
    "NOTNULL",
    "NOWAIT",
    "NULL",
    "NULLIF",
    "NUMBER",
    "NUMERIC",
    "OF",
    "OFF",
    "OFFLINE",
    "OFFSET",
    "OFFSETS",
    "ON",
    "ONLINE",
    "ONLY",
    "OPEN",
    "OPTIMIZE",
    "OPTION",
    "OR",
    "ORDER",
    "OUT",
    "OUTER",
    "OUTFILE",
    "OVER",
    "OVERLAPS",
    "PARTITION",
    "PCTFREE",
    "PERCENT",
    "PIVOT",
    "PLACING",
    "PLAN",
    "PREPARE",
    "PRIMARY",
    "PRINT",
    "PRIOR",
    "PRIVILEGES",
    "PROC",
    "PROCEDURE",
    "PUBLIC",
    "PURGE",
    "QUALIFY",
    "RAISERROR",
    "RANGE",
    "RANK",
    "RAW",
    "READ",
    "READTEXT",
    "REAL",
    "RECONFIGURE",
    "RECURSIVE",
    "REFERENCES",
    "REGEXP",
    "RELEASE",
    "RENAME",
    "REPEAT",
    "REPLACE",
    "REPLICATION",
    "REQUIRE",
    "RESET",
    "RESOURCE",
    "RESTORE",
    "RESTRICT",
    "RETURN",
    "RETURNING",
    "REVERT",
    "REVOKE",
    "RIGHT",
    "RLIKE",
    "ROLLBACK",
    "ROW",
    "ROWCOUNT",
    "ROWID",
    "ROWNUM",
    "ROWS",
    "RULE",
    "SAVE",
    "SCHEMA",
    "SELECT",
    "SEPARATOR",
    "SESSION",
    "SET",
    "SETUSER",
    "SHARE",
    "SHOW",
    "SHUTDOWN",
    "SIGNAL",
    "SIMILAR",
    "SIZE",
    "SMALLINT",
    "SOME",
    "SQL",
    "START",
    "STATISTICS",
    "SUCCESSFUL",
    "SYMMETRIC",
    "SYNONYM",
    "SYSDATE",
    "SYSTEM",
    "TABLE",
    "TEXTSIZE",
    "THEN",
    "TO",
    "TOP",
    "TRAILING",
    "TRAN",
    "TRANSACTION",
    "TRIGGER",
    "TRUE",
    "TRUNCATE",
    "TSEQUAL",
    "UID",
    "UNDO",
    "UNION",
    "UNIQUE",
    "UNLOCK",
    "UNPIVOT",
    "UNSIGNED",
    "UPDATE",
    "UPDATETEXT",
    "USAGE",
    "USE",
    "USER",
    "USING",
    "VACUUM",
    "VALIDATE",
    "VALUES",
    "VARCHAR",
    "VARYING",
    "VERBOSE",
    "VIEW",
    "WAITFOR",
    "WHEN",
    "WHENEVER",
    "WHERE",
    "WHILE",
    "WINDOW",
    "WITH",
    "WRITE",
    "WRITETEXT",
    "XOR",
];
/// Words that are no names in an expression over a row.
const RESERVED_IN_EXPRESSIONS: &[&str] =
    &["and", "else", "false", "if", "in", "is", "none", "not", "null", "or", "true", "for", "recursive", "loop"];

/// A name as a query has it: in the dialect's quotes where it needs them, and through `| ident` where the name would be
/// read as a template. The error says why it cannot be written.
pub fn in_sql(dialect: Dialect, name: &str) -> Result<String, String> {
    if is_bare(dialect, name) {
        // A bare name of Oracle is the one in capital letters, which nobody writes.
        return Ok(if dialect == Dialect::Oracle { name.to_ascii_lowercase() } else { name.to_owned() });
    }
    if let Some(unfit) = name.chars().find(|char| is_unfit(*char)) {
        let shown = name.escape_debug();
        return Err(format!("`{shown}` cannot be written in a spec: it has the character {}", unfit.escape_unicode()));
    }
    let quoted = dialect.quote_part(name)?;
    let is_template = ["{{", "{%", "{#", "}}", "%}", "#}"].iter().any(|mark| quoted.contains(mark));
    if !is_template {
        return Ok(quoted);
    }
    if name.contains('.') {
        return Err(format!("`{name}` cannot be written in a query: it has a dot and the braces of a template"));
    }
    let literal = name.replace('\\', "\\\\").replace('"', "\\\"");
    Ok(format!("{{{{ \"{literal}\" | ident }}}}"))
}

/// A table's name as a query has it.
pub fn of_table(dialect: Dialect, name: &Name) -> Result<String, String> {
    let table = in_sql(dialect, &name.table)?;
    match &name.schema {
        Some(schema) => Ok(format!("{}.{table}", in_sql(dialect, schema)?)),
        None => Ok(table),
    }
}

/// Whether a name means itself without quotes.
fn is_bare(dialect: Dialect, name: &str) -> bool {
    let fits = |char: char| match dialect {
        Dialect::Postgres => char.is_ascii_lowercase(),
        Dialect::Oracle => char.is_ascii_uppercase(),
        _ => char.is_ascii_alphabetic(),
    };
    // Oracle knows no bare name that begins with an underscore.
    name.starts_with(|first: char| fits(first) || (first == '_' && dialect != Dialect::Oracle))
        && name.chars().all(|char| fits(char) || char == '_' || char.is_ascii_digit())
        && !is_reserved(name)
}

fn is_reserved(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    RESERVED.contains(&upper.as_str())
}

/// Whether a name can be used in `key`, `fields` and expressions over a row as it is.
pub fn is_word(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
        && !RESERVED_IN_EXPRESSIONS.iter().any(|word| name.eq_ignore_ascii_case(word))
}

/// An id of a pipeline, made of a name.
pub fn id_of(name: &str) -> String {
    let mut id = String::new();
    for char in name.chars() {
        let part = match char.to_lowercase().next().unwrap_or(char) {
            'ä' => "ae".to_owned(),
            'ö' => "oe".to_owned(),
            'ü' => "ue".to_owned(),
            'ß' => "ss".to_owned(),
            char if char.is_ascii_alphanumeric() => char.to_string(),
            _ if id.is_empty() || id.ends_with('-') => continue,
            _ => "-".to_owned(),
        };
        id.push_str(&part);
    }
    id.truncate(ID_BYTES);
    let id = id.trim_end_matches('-');
    if id.is_empty() { "pipeline".to_owned() } else { id.to_owned() }
}

/// Length of an id.
const ID_BYTES: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_only_where_it_needs_it() {
        for (dialect, name, expected) in [
            (Dialect::Postgres, "auftrag", "auftrag"),
            (Dialect::Postgres, "Auftrag", "\"Auftrag\""),
            (Dialect::Postgres, "order", "\"order\""),
            (Dialect::Oracle, "AUFTRAG", "auftrag"),
            (Dialect::Oracle, "Auftrag", "\"Auftrag\""),
            (Dialect::Oracle, "ORDER", "\"ORDER\""),
            (Dialect::MySql, "Auftrag", "Auftrag"),
            (Dialect::MariaDb, "a`b", "`a``b`"),
            (Dialect::SqlServer, "Order", "[Order]"),
            (Dialect::SqlServer, "a]b.c", "[a]]b.c]"),
            (Dialect::Sqlite, "Fräse", "\"Fräse\""),
            (Dialect::Sqlite, "a{{b", "{{ \"a{{b\" | ident }}"),
        ] {
            assert_eq!(in_sql(dialect, name).as_deref(), Ok(expected), "{dialect:?}");
        }
        for (dialect, name) in [(Dialect::Oracle, "a\"b"), (Dialect::Sqlite, "a\nb"), (Dialect::Sqlite, "a.{{b")] {
            assert!(in_sql(dialect, name).is_err(), "{name}");
        }
    }

    #[test]
    fn an_id_is_made_of_any_name() {
        for (name, expected) in
            [("dbo.BDE_Buchung", "dbo-bde-buchung"), ("Rückmeldung (alt)", "rueckmeldung-alt"), ("§", "pipeline")]
        {
            assert_eq!(id_of(name), expected);
        }
    }
}
