//! What a dialect asks of its catalogue: one file each, one line of registration.

mod mysql;
mod oracle;
mod postgres;
mod sqlite;
mod sqlserver;

use engine_spec::sql::Dialect;

use super::decode::Question;

/// The questions to a catalogue. Those about columns, indexes and keys are templates over `params.tables`, names of
/// tables; the one about tables is a template over `params.schema`, a pattern.
#[derive(Debug, Clone, Copy)]
pub(super) struct Catalogue {
    /// Zone of the session, and the schema that a bare name means.
    pub(super) session: &'static str,
    /// Schema, table, `view` or `table`, comment, rows, whether the account may read it.
    pub(super) tables: &'static str,
    /// Schema, table, column, type, whether it may be null, comment.
    pub(super) columns: &'static str,
    /// Schema, table, index, whether it is unique, whether it is the primary key, column.
    pub(super) indexes: &'static str,
    /// Schema, table, name, column, schema, table and column that it refers to.
    pub(super) foreign_keys: &'static str,
    /// How few rows are asked for.
    pub(super) limit: Limit,
}

/// How a dialect asks for a few rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// `LIMIT 5` at the end.
    Last,
    /// `TOP (5)` after `SELECT`.
    Top,
    /// `ROWNUM <= 5` around it.
    Rownum,
}

/// The questions of a dialect.
pub(super) fn catalogue(dialect: Dialect) -> Catalogue {
    match dialect {
        Dialect::Postgres => postgres::CATALOGUE,
        Dialect::MySql | Dialect::MariaDb => mysql::CATALOGUE,
        Dialect::SqlServer => sqlserver::CATALOGUE,
        Dialect::Oracle => oracle::CATALOGUE,
        Dialect::Sqlite => sqlite::CATALOGUE,
    }
}

impl Catalogue {
    /// What is asked of tables.
    pub(super) fn about(&self, question: Question) -> &'static str {
        match question {
            Question::Columns => self.columns,
            Question::Indexes => self.indexes,
            Question::ForeignKeys => self.foreign_keys,
        }
    }

    /// The first rows of a table, those with the largest values of a column first.
    pub(super) fn rows(&self, table: &str, columns: &str, latest_by: Option<&str>, rows: usize) -> String {
        let order = latest_by.map(|by| format!(" WHERE {by} IS NOT NULL ORDER BY {by} DESC")).unwrap_or_default();
        match self.limit {
            Limit::Last => format!("SELECT {columns} FROM {table}{order} LIMIT {rows}"),
            Limit::Top => format!("SELECT TOP ({rows}) {columns} FROM {table}{order}"),
            Limit::Rownum => format!("SELECT * FROM (SELECT {columns} FROM {table}{order}) WHERE ROWNUM <= {rows}"),
        }
    }

    /// The number of rows of a table, no further than a number.
    pub(super) fn count(&self, table: &str, rows: u64) -> String {
        match self.limit {
            Limit::Last => format!("SELECT COUNT(*) FROM (SELECT 1 AS one FROM {table} LIMIT {rows}) AS counted"),
            Limit::Top => format!("SELECT COUNT_BIG(*) FROM (SELECT TOP ({rows}) 1 AS one FROM {table}) AS counted"),
            Limit::Rownum => format!("SELECT COUNT(*) FROM (SELECT 1 AS one FROM {table} WHERE ROWNUM <= {rows})"),
        }
    }

    /// The smallest and the largest value of a column; each is one look at an index that begins with it.
    pub(super) fn range(&self, table: &str, column: &str) -> String {
        let dual = if self.limit == Limit::Rownum { " FROM DUAL" } else { "" };
        format!(
            "SELECT (SELECT MIN({column}) FROM {table}) AS lowest, (SELECT MAX({column}) FROM {table}) AS highest{dual}"
        )
    }
}

#[cfg(test)]
mod tests;
