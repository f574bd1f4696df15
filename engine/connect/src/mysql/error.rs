//! What MySQL and MariaDB refuse, in plain words.

use engine_core::ports::SourceErrorKind;
use sqlx::mysql::MySqlDatabaseError;

use crate::failure::Problem;
use crate::sqlx_error;

/// How the driver begins when an account's way to log in is not one that it knows; the way's name follows.
const UNKNOWN_LOGIN: &str = "unknown authentication plugin: ";
/// What the driver says when the server wants the password as it is, as it does for PAM and LDAP.
const CLEAR_LOGIN: &str = "mysql_cleartext_plugin disabled";
/// How the driver begins when a column is of a type that it does not know.
const UNKNOWN_TYPE: &str = "unknown column type";
const OTHER_LOGIN: &str = "Give engine an account of its own whose password the server checks itself: with \
    `caching_sha2_password` in MySQL, `mysql_native_password` in MariaDB.";

/// The server's number of an error, where the error is the server's.
pub(super) fn number(error: &sqlx::Error) -> Option<u16> {
    let server = error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()?;
    Some(server.number())
}

/// An error in plain words. The server's message names the place in the statement by itself.
pub(super) fn explain(error: sqlx::Error) -> Problem {
    if let sqlx::Error::Protocol(message) = &error
        && let Some(problem) = beyond_the_driver(message)
    {
        return problem;
    }
    sqlx_error::explain(error, |error| match error.try_downcast_ref::<MySqlDatabaseError>() {
        Some(error) => {
            let state = error.code().map(|state| format!(", SQLSTATE {state}")).unwrap_or_default();
            let (kind, hint) = classify(error.number());
            Problem::new(kind, format!("{} (error {}{state})", error.message(), error.number())).hint(hint)
        }
        None => Problem::new(SourceErrorKind::Query, error.to_string()),
    })
}

/// What the server asks for and the driver does not have. The driver's own words name its source files.
fn beyond_the_driver(message: &str) -> Option<Problem> {
    if let Some((_, rest)) = message.split_once(UNKNOWN_LOGIN) {
        let way = rest.split_whitespace().next().unwrap_or_default();
        let message = format!("the account logs in by `{way}`, which engine does not know");
        return Some(Problem::new(SourceErrorKind::Auth, message).hint(OTHER_LOGIN));
    }
    if message.contains(CLEAR_LOGIN) {
        let message = "the server wants the account's password as it is, as for PAM and LDAP; engine does not send it";
        return Some(Problem::new(SourceErrorKind::Auth, message).hint(OTHER_LOGIN));
    }
    message.contains(UNKNOWN_TYPE).then(|| {
        Problem::new(SourceErrorKind::Query, "a column is of a type that engine cannot read")
            .hint("Name the columns that are needed instead of `*`, and convert that one in the query.")
    })
}

fn classify(number: u16) -> (SourceErrorKind, &'static str) {
    match number {
        1045 => (
            SourceErrorKind::Auth,
            "Check `source.username` and the variable or file behind `source.password`. The server also says this to an \
             account that may not come from this host, or must come encrypted or with a client certificate.",
        ),
        1698 => (
            SourceErrorKind::Auth,
            "Check `source.username`: the account has no password that could be checked over the network. It logs in by \
             the server's own socket (`unix_socket`, `auth_socket`), or not at all; set `source.password` for another one.",
        ),
        1820 | 1862 => (
            SourceErrorKind::Auth,
            "Give the account a new password at the server, and PASSWORD EXPIRE NEVER if nobody will renew it.",
        ),
        3118 | 4151 => (SourceErrorKind::Auth, "Unlock it at the server: ALTER USER … ACCOUNT UNLOCK."),
        3955 | 4150 => (
            SourceErrorKind::Auth,
            "Correct the variable or file behind `source.password` first, then unblock the account: ALTER USER … ACCOUNT \
             UNLOCK in MySQL, FLUSH PRIVILEGES in MariaDB.",
        ),
        1129 => (
            SourceErrorKind::Auth,
            "The server blocks this address after too many failed connections. Its administrator unblocks it with FLUSH HOSTS.",
        ),
        1130 => (
            SourceErrorKind::Auth,
            "The server has no account that may come from this address: CREATE USER engine@'10.20.%' …",
        ),
        1251 | 1524 => (SourceErrorKind::Auth, OTHER_LOGIN),
        3159 => (SourceErrorKind::Tls, "The server asks for encryption: leave `tls.mode: disable` out."),
        1049 => (SourceErrorKind::Config, "Check `source.database`."),
        1115 | 1273 => (SourceErrorKind::Config, "The server is too old: it must know the character set utf8mb4."),
        1044 | 1142 | 1143 | 1227 | 1356 | 1370 => {
            (SourceErrorKind::Permission, "Give the account SELECT on what the query reads.")
        }
        1290 | 1792 => {
            (SourceErrorKind::Permission, "A source is only read: the query must be one SELECT without side effects.")
        }
        1205 | 1317 | 1907 | 1969 | 3024 => (
            SourceErrorKind::Timeout,
            "The server ended the query: its own limit, a lock, an administrator, or `timeouts.query`. Narrow the window or give its column an index.",
        ),
        1040 | 1203 | 1226 => (
            SourceErrorKind::Network,
            "The server has no connection free for the account. The next run tries again; if it stays, raise the limit there.",
        ),
        1053 | 1077..=1080 | 1152..=1161 | 1184 | 1213 | 1927 | 3032 | 4031 => {
            (SourceErrorKind::Network, "The server or the network ended the session. The next run tries again.")
        }
        _ => (
            SourceErrorKind::Query,
            "Run `engine render` to see the exact statement, and try it with the server's client.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_kinds() {
        for (number, expected) in [
            (1045, SourceErrorKind::Auth),
            (1820, SourceErrorKind::Auth),
            (3955, SourceErrorKind::Auth),
            (1049, SourceErrorKind::Config),
            (1142, SourceErrorKind::Permission),
            (1792, SourceErrorKind::Permission),
            (1969, SourceErrorKind::Timeout),
            (3024, SourceErrorKind::Timeout),
            (1053, SourceErrorKind::Network),
            (1927, SourceErrorKind::Network),
            (4031, SourceErrorKind::Network),
            (1146, SourceErrorKind::Query),
            (1064, SourceErrorKind::Query),
        ] {
            assert_eq!(classify(number).0, expected, "{number}");
        }
    }

    #[test]
    fn what_the_driver_lacks_is_told_in_plain_words() {
        for (message, kind, part) in [
            ("unknown authentication plugin: client_ed25519 (auth.rs:37)", SourceErrorKind::Auth, "`client_ed25519`"),
            ("mysql_cleartext_plugin disabled", SourceErrorKind::Auth, "PAM"),
            ("unknown column type 0xf2", SourceErrorKind::Query, "type that engine cannot read"),
        ] {
            let problem = explain(sqlx::Error::Protocol(message.to_owned()));
            assert_eq!(problem.kind, kind, "{problem:?}");
            assert!(problem.message.contains(part) && !problem.message.contains(".rs"), "{problem:?}");
        }
    }
}
