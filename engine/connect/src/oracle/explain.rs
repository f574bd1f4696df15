//! What Oracle and its drivers report, in plain words.

use engine_core::ports::SourceErrorKind;

use crate::failure::{Problem, line_and_column};
use crate::tls_error::explain_words;

/// What to do where the thin driver does not reach.
const USE_CLIENT: &str = "This server needs Oracle's Instant Client: install Instant Client 19 (Basic Light), which reaches 11.2 and later, \
     put its folder into /etc/ld.so.conf.d and run ldconfig, and set `source.driver: oci`.";

/// No client library where one is asked for.
pub(super) fn no_client(message: &str) -> Problem {
    Problem::new(SourceErrorKind::Config, format!("Oracle's Instant Client cannot be loaded: {message}")).hint(
        "Install Instant Client 19 (Basic Light, with libaio), put its folder into /etc/ld.so.conf.d and run ldconfig; or \
         set `source.driver: thin`, which needs none for Database 19c and later.",
    )
}

/// An error of the thin driver; `sql` is the statement that the error's place counts in.
pub(super) fn thin(error: &oracledb::Error, sql: &str) -> Problem {
    use oracledb::ErrorKind;
    let network = |message: String, hint: &str| Problem::new(SourceErrorKind::Network, message).hint(hint);
    match error.kind() {
        ErrorKind::DbError(db) => server(db.code(), db.message(), Some(db.offset()), sql),
        ErrorKind::CallTimeoutExceeded => Problem::new(SourceErrorKind::Timeout, "the server did not answer in time")
            .hint("Narrow the window, give its column an index, or raise `timeouts.query`."),
        ErrorKind::DeadConnection | ErrorKind::NotConnected | ErrorKind::UnableToRecover => {
            network(error.to_string(), "The server or the network ended the session. The next run tries again.")
        }
        ErrorKind::InvalidServiceName(..) => Problem::new(SourceErrorKind::Config, short(error))
            .hint("Check `source.database`: `lsnrctl services` on the server lists the services."),
        ErrorKind::InvalidSid(..) => Problem::new(SourceErrorKind::Config, short(error))
            .hint("Check `source.sid`: most databases are reached by a service name, in `source.database`."),
        ErrorKind::ListenerRefusedConnection(..) | ErrorKind::UnexpectedRefuse(_) => network(
            short(error),
            "The listener runs but the database behind it does not, or it admits no more connections. The next run tries again.",
        ),
        ErrorKind::ServerVersionNotSupported => {
            Problem::new(SourceErrorKind::Config, error.to_string()).hint(USE_CLIENT)
        }
        ErrorKind::TnsAliasNotFound(..) | ErrorKind::NoConfigDir => Problem::new(SourceErrorKind::Config, error.to_string())
            .hint("Check `source.tns`, and that `source.config_dir` holds the tnsnames.ora that knows it."),
        ErrorKind::TlsOperation | ErrorKind::PemFileOperation => explain_words(&error.to_string()),
        ErrorKind::WalletPasswordMissingOrInvalid(..) | ErrorKind::WalletPrivateKeyInvalid(_) | ErrorKind::WalletUnreadable(_) => {
            Problem::new(SourceErrorKind::Config, error.to_string())
                .hint("The thin driver reads ewallet.pem of `source.config_dir`, without a password.")
        }
        ErrorKind::StreamOperation => stream(&error.to_string()),
        ErrorKind::NoCredentials => Problem::new(SourceErrorKind::Config, "there is no password")
            .hint("Name one in `source.password`, as a reference."),
        ErrorKind::InvalidEncodedString => Problem::new(SourceErrorKind::Data, error.to_string()).hint(
            "A text of the result is no text in the database's character set. Find it with UTL_RAW.CAST_TO_RAW, or convert \
             the column in the query.",
        ),
        ErrorKind::UnsupportedDbType(_) => Problem::new(SourceErrorKind::Data, error.to_string())
            .hint("Convert the column in the query, as in `TO_CHAR(…)`."),
        ErrorKind::WrongNumPositionalBinds(..) | ErrorKind::MissingBindValue(_) | ErrorKind::InvalidBindName(_) => {
            Problem::new(SourceErrorKind::Query, error.to_string())
                .hint("Write every value as a template, `{{ … }}`: a placeholder of the driver's own gets none.")
        }
        ErrorKind::NotImplemented(_) => Problem::new(SourceErrorKind::Config, error.to_string()).hint(USE_CLIENT),
        _ => Problem::new(SourceErrorKind::Data, error.to_string()).hint(
            "The server answered in a way its driver does not understand. Check that `source.type` is right; `driver: oci` \
             uses Oracle's other driver.",
        ),
    }
}

/// A panic of the thin driver while it connects: it gives up on what it does not speak.
pub(super) fn panicked(problem: Problem) -> Problem {
    if problem.kind != SourceErrorKind::Panic {
        return problem;
    }
    let message = format!(
        "the thin driver cannot log in to this server, which asks for an old password verifier (10G or 11G) or for \
         native network encryption ({})",
        problem.message
    );
    Problem::new(SourceErrorKind::Config, message).hint(USE_CLIENT)
}

/// An error of the driver that uses the client library.
pub(super) fn oci(error: &oracle::Error, sql: &str) -> Problem {
    let Some(db) = error.db_error() else {
        return match error.dpi_code() {
            Some(1047) => no_client(&error.to_string()),
            Some(1010 | 1080) => {
                Problem::new(SourceErrorKind::Network, error.to_string()).hint("The next run tries again.")
            }
            Some(1067) => Problem::new(SourceErrorKind::Timeout, error.to_string()).hint("Raise `timeouts.query`."),
            _ => Problem::new(SourceErrorKind::Data, error.to_string()).hint("Check the `source` settings."),
        };
    };
    server(db.code().unsigned_abs() as usize, db.message(), Some(db.offset() as usize), sql)
}

fn stream(message: &str) -> Problem {
    let hint = if message.contains("refused") {
        "Nothing listens there. Check `source.host` and `source.port`, and whether the listener runs."
    } else if message.contains("lookup address") {
        "The name is not known here. Check `source.host` and DNS."
    } else if message.contains("certificate") || message.contains("alert") || message.contains("InvalidContentType") {
        return explain_words(message);
    } else {
        "Check host, port, routes and firewall. The next run tries again."
    };
    Problem::new(SourceErrorKind::Network, message).hint(hint)
}

/// The driver's words without the number that it gives every attempt.
fn short(error: &oracledb::Error) -> String {
    let text = error.to_string();
    text.split(" (CONNECTION_ID=").next().unwrap_or(&text).to_owned()
}

/// An error of the server, whole, with its place and what to do.
fn server(code: usize, message: &str, offset: Option<usize>, sql: &str) -> Problem {
    let mut text = message.trim().to_owned();
    if !text.contains("ORA-") {
        text = format!("ORA-{code:05}: {text}");
    }
    // The server counts bytes.
    if let Some(before) = offset.filter(|offset| *offset > 0).and_then(|offset| sql.get(..offset)) {
        let (line, column) = line_and_column(sql, before.chars().count());
        text.push_str(&format!(", at line {line}, column {column} of the statement"));
        let name = sql[before.len()..].split(|sign: char| !sign.is_alphanumeric() && !"_$#.\"".contains(sign)).next();
        if let Some(name) = name.filter(|name| !name.is_empty() && !text.contains(name)) {
            text.push_str(&format!(" (`{name}`)"));
        }
    }
    let (kind, hint) = classify(code);
    Problem::new(kind, text).hint(hint)
}

fn classify(code: usize) -> (SourceErrorKind, &'static str) {
    match code {
        1017 => (SourceErrorKind::Auth, "Check `source.username` and the variable or file behind `source.password`."),
        1005 => (SourceErrorKind::Auth, "There is no password: name one in `source.password`."),
        28000 => (
            SourceErrorKind::Auth,
            "The account is locked: `ALTER USER … ACCOUNT UNLOCK`. Too many wrong passwords do that.",
        ),
        28001 | 28002 => (SourceErrorKind::Auth, "The password has expired: give the account a new one."),
        28040 | 28041 => (SourceErrorKind::Config, USE_CLIENT),
        1045 => (SourceErrorKind::Auth, "`GRANT CREATE SESSION` to the account."),
        12514 | 12505 => (
            SourceErrorKind::Config,
            "Check `source.database` or `source.sid`: `lsnrctl services` on the server lists them.",
        ),
        12154 | 12162 => (SourceErrorKind::Config, "Check `source.tns` and the tnsnames.ora in `source.config_dir`."),
        12541 | 12545 => (
            SourceErrorKind::Network,
            "Nothing listens there. Check `source.host` and `source.port`, and whether the listener runs.",
        ),
        12170 | 12535 | 12606 => {
            (SourceErrorKind::Timeout, "The network does not answer. Check host, port and firewall.")
        }
        12516 | 12518..=12520 | 12528 | 1033 | 1034 | 1089 | 1090 | 1109 => {
            (SourceErrorKind::Network, "The database stops, starts or has nothing free. The next run tries again.")
        }
        28 | 1012 | 3113 | 3114 | 3135 | 12537 | 12547 | 12571 | 25408 => {
            (SourceErrorKind::Network, "The server or the network ended the session. The next run tries again.")
        }
        942 => (
            SourceErrorKind::Query,
            "The table does not exist, or the account may not read it, which the server does not tell apart. Write the schema before the name, and `GRANT SELECT` (or READ) on it.",
        ),
        1031 | 41900 => {
            (SourceErrorKind::Permission, "`GRANT SELECT` (or READ) on what the query reads to the account.")
        }
        1456 | 16000 => {
            (SourceErrorKind::Permission, "A source is only read: the query must be one SELECT without side effects.")
        }
        1013 => (
            SourceErrorKind::Timeout,
            "The query was broken off: `timeouts.query`, or an administrator. Narrow the window or give its column an index.",
        ),
        54 | 30006 => (SourceErrorKind::Timeout, "Somebody holds a lock on what is read."),
        1555 | 8103 => (
            SourceErrorKind::Network,
            "The server could not keep the state that the query began with. Narrow the window; the next run tries again.",
        ),
        60 => (SourceErrorKind::Network, "The server gave the query up in favour of others. The next run tries again."),
        904 => (
            SourceErrorKind::Query,
            "There is no such column. Names in quotes keep their case; without quotes they are upper case.",
        ),
        911 | 933 => (
            SourceErrorKind::Query,
            "A statement has no semicolon at its end and no LIMIT: write `FETCH FIRST n ROWS ONLY`.",
        ),
        932 | 1722 | 1830 | 1843 | 1858 | 1861 => (
            SourceErrorKind::Query,
            "A text was read as a number or a date and is none. Convert it in the query, with DEFAULT … ON CONVERSION ERROR.",
        ),
        _ => (
            SourceErrorKind::Query,
            "Run `engine render` to see the exact statement, and try it with SQL*Plus or SQLcl.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_kinds() {
        for (code, expected) in [
            (1017, SourceErrorKind::Auth),
            (28000, SourceErrorKind::Auth),
            (28001, SourceErrorKind::Auth),
            (28040, SourceErrorKind::Config),
            (12514, SourceErrorKind::Config),
            (12541, SourceErrorKind::Network),
            (12170, SourceErrorKind::Timeout),
            (3113, SourceErrorKind::Network),
            (28, SourceErrorKind::Network),
            (942, SourceErrorKind::Query),
            (1031, SourceErrorKind::Permission),
            (1456, SourceErrorKind::Permission),
            (1013, SourceErrorKind::Timeout),
            (1555, SourceErrorKind::Network),
            (904, SourceErrorKind::Query),
            (1722, SourceErrorKind::Query),
            (99_999, SourceErrorKind::Query),
        ] {
            assert_eq!(classify(code).0, expected, "{code}");
        }
    }

    #[test]
    fn an_error_keeps_its_number_and_says_where() {
        let problem = server(942, "ORA-00942: table or view does not exist", Some(16), "SELECT id\nFROM  buchung");
        assert!(problem.message.starts_with("ORA-00942: table or view does not exist"), "{}", problem.message);
        assert!(problem.message.ends_with("at line 2, column 7 of the statement (`buchung`)"), "{}", problem.message);
        let bare = server(1017, "invalid username/password; logon denied", None, "");
        assert_eq!(bare.message, "ORA-01017: invalid username/password; logon denied");
    }

    #[test]
    fn a_driver_that_gives_up_says_what_to_install() {
        let problem = panicked(Problem::panicked(&"not yet implemented"));
        assert_eq!(problem.kind, SourceErrorKind::Config);
        assert!(problem.hint.is_some_and(|hint| hint.contains("Instant Client 19") && hint.contains("driver: oci")));
        let other = Problem::cancelled();
        assert_eq!(panicked(other.clone()), other);
    }
}
