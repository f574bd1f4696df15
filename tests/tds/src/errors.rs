//! Errors as the server words them, and their severities.

use engine_standin::ServerError;

/// Severity of an error without one of its own below.
const USUAL: u8 = 16;
/// Severities by the number of the error, as in `sys.messages`.
const SEVERITIES: &[(u32, u8)] = &[
    (102, 15),
    (105, 15),
    (137, 15),
    (156, 15),
    (201, 16),
    (229, 14),
    (230, 14),
    (262, 14),
    (596, 21),
    (601, 12),
    (1205, 13),
    (1222, 16),
    (2601, 14),
    (2627, 14),
    (3960, 16),
    (4060, 11),
    (8178, 16),
    (18452, 14),
    (18456, 14),
];

/// Severity of an error.
pub(crate) fn severity(number: u32) -> u8 {
    SEVERITIES.iter().find(|(known, _)| *known == number).map_or(USUAL, |(_, severity)| *severity)
}

fn error(number: u32, message: String) -> ServerError {
    ServerError { number, message, place: 1 }
}

pub(crate) fn login_failed(user: &str) -> ServerError {
    error(18456, format!("Login failed for user '{user}'."))
}

pub(crate) fn no_windows_login() -> ServerError {
    let message =
        "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication.";
    error(18452, message.to_owned())
}

pub(crate) fn parameter_missing(statement: &str, declaration: &str, name: &str) -> ServerError {
    let message = format!(
        "The parameterized query '({declaration}){statement}' expects the parameter '@{name}', which was not supplied."
    );
    error(8178, message)
}

pub(crate) fn no_prepared_statement(handle: i64) -> ServerError {
    error(8179, format!("Could not find prepared statement with handle {handle}."))
}

pub(crate) fn procedure_expects(procedure: &str, parameter: &str) -> ServerError {
    let message =
        format!("Procedure or function '{procedure}' expects parameter '{parameter}', which was not supplied.");
    error(201, message)
}

pub(crate) fn not_served(what: &str) -> ServerError {
    error(50000, format!("This server stands in for SQL Server and does not serve {what}."))
}

/// What stands behind the protocol gave a value that its column cannot hold.
pub(crate) fn unfit(what: &str) -> ServerError {
    error(50001, format!("This server stands in for SQL Server and made a mistake: {what}."))
}
