//! Errors of the servers, with their own numbers and words.

use std::fmt;

use crate::{Product, ServerError};

/// Ends an error's number where it travels through SQLite as text.
const MARK: char = '\u{1}';

pub(crate) type Fallible<T> = Result<T, ServerError>;

pub(crate) fn error(number: u32, message: impl Into<String>) -> ServerError {
    ServerError { number, message: message.into(), place: 0 }
}

/// An error of a product: `(number, message)` of SQL Server, then of Oracle.
pub(crate) fn either(product: Product, sql_server: (u32, String), oracle: (u32, &str)) -> ServerError {
    match product {
        Product::SqlServer => error(sql_server.0, sql_server.1),
        Product::Oracle => error(oracle.0, oracle.1),
    }
}

pub(crate) fn syntax(product: Product, near: &str) -> ServerError {
    either(
        product,
        (102, format!("Incorrect syntax near '{near}'.")),
        if near.is_empty() { (936, "missing expression") } else { (933, "SQL command not properly ended") },
    )
}

pub(crate) fn not_understood(product: Product, what: &str) -> ServerError {
    either(
        product,
        (40510, format!("Statement '{what}' is not supported in this version of SQL Server.")),
        (3001, "unimplemented feature"),
    )
}

pub(crate) fn overflow(to: &str) -> ServerError {
    error(8115, format!("Arithmetic overflow error converting expression to data type {to}."))
}

pub(crate) fn divided_by_zero(product: Product) -> ServerError {
    either(product, (8134, "Divide by zero error encountered.".to_owned()), (1476, "divisor is equal to zero"))
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.number, self.message)
    }
}

impl std::error::Error for ServerError {}

/// For the way through SQLite: an error of a function of ours.
pub(crate) fn raise(raised: &ServerError) -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(format!("{MARK}{}{MARK}{}", raised.number, raised.message).into())
}

/// What [`raise`] sent, or what SQLite says itself in the words of the product.
pub(crate) fn from_sqlite(product: Product, failure: &rusqlite::Error) -> ServerError {
    let (code, message) = match failure {
        rusqlite::Error::SqliteFailure(code, message) => (code.extended_code, message.clone().unwrap_or_default()),
        other => (0, other.to_string()),
    };
    if let Some((number, text)) = message.strip_prefix(MARK).and_then(|rest| rest.split_once(MARK)) {
        return error(number.parse().unwrap_or_default(), text);
    }
    match code {
        rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
            let what = message.rsplit(": ").next().unwrap_or_default();
            let table = what.rsplit_once('.').map_or(what, |(table, _)| table);
            either(
                product,
                (
                    2627,
                    format!("Violation of PRIMARY KEY constraint. Cannot insert duplicate key in object '{table}'."),
                ),
                (1, &format!("unique constraint ({table}) violated")),
            )
        }
        rusqlite::ffi::SQLITE_CONSTRAINT_NOTNULL => {
            let what = message.rsplit(": ").next().unwrap_or_default();
            let (table, column) = what.rsplit_once('.').unwrap_or(("", what));
            either(
                product,
                (
                    515,
                    format!(
                        "Cannot insert the value NULL into column '{column}', table '{table}'; column does not allow nulls. INSERT fails."
                    ),
                ),
                (1400, &format!("cannot insert NULL into ({table}.{column})")),
            )
        }
        rusqlite::ffi::SQLITE_BUSY => either(
            product,
            (1222, "Lock request time out period exceeded.".to_owned()),
            (54, "resource busy and acquire with NOWAIT specified or timeout expired"),
        ),
        _ => either(
            product,
            (50000, format!("The stand-in's store says: {message}")),
            (600, &format!("internal error code, arguments: [{message}]")),
        ),
    }
}
