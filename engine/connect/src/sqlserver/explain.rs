//! What the driver and the server report, in plain words.

use std::io;

use engine_core::ports::SourceErrorKind;
use tiberius::error::{Error, TokenError};

use crate::failure::Problem;
use crate::sqlx_error::explain_io;
use crate::tls_error::explain_words;

const OLD_SERVER: &str = "SQL Server encrypts the login even where the data is not, and this one does not do TLS 1.2. \
     Install the update that brings TLS 1.2 (SQL Server 2008 to 2014 have one), or put a TLS proxy before the server.";
const BAD_BYTES: &str =
    "Cast the column in the query, as in `CAST(note AS nvarchar(200))`: then the server converts it.";

/// An error in plain words.
pub(super) fn explain(error: Error) -> Problem {
    match error {
        Error::Server(error) => explain_server(&error),
        Error::Tls(message) => explain_words(&certificate(&message)),
        Error::Io { kind, message } => explain_transport(kind, message),
        Error::Encoding(message) => Problem::new(SourceErrorKind::Data, message).hint(BAD_BYTES),
        Error::Conversion(message) if message.contains("browser") => browser(&message),
        Error::Protocol(message) if message.contains("encryption level") => {
            Problem::new(SourceErrorKind::Tls, "the server offers no encryption")
                .hint("Turn it on there; `tls: { mode: disable }` encrypts no more than the login.")
        }
        Error::Protocol(message) if message.contains("requested instance") => {
            Problem::new(SourceErrorKind::Config, message).hint("Check `source.instance`.")
        }
        other => Problem::new(SourceErrorKind::Data, other.to_string())
            .hint("The server answered in a way its driver does not understand. Check that `source.type` is right."),
    }
}

/// The browser service did not answer, or does not know the instance.
fn browser(message: &str) -> Problem {
    let message = message.split(". Please").next().unwrap_or(message);
    Problem::new(SourceErrorKind::Network, message).hint(
        "The SQL Server Browser (UDP 1434) is off or behind a firewall, or the instance does not exist. Write the \
         instance's TCP port in `source.port`, which does without: SQL Server Configuration Manager shows it, and the \
         server's log (`Server is listening on`).",
    )
}

/// What the driver adds for programmers is left out.
fn certificate(message: &str) -> String {
    let message = message.split(" To connect anyway").next().unwrap_or(message);
    message.trim_end_matches('.').to_owned()
}

fn explain_transport(kind: io::ErrorKind, message: String) -> Problem {
    // A server that only knows older encryption closes the connection, or answers with an alert.
    let is_handshake =
        ["tls handshake eof", "ProtocolVersion", "HandshakeFailure", "UnsupportedVersion", "peer is incompatible"]
            .iter()
            .any(|sign| message.contains(sign));
    if is_handshake {
        return Problem::new(SourceErrorKind::Tls, message).hint(OLD_SERVER);
    }
    match kind {
        io::ErrorKind::TimedOut => Problem::new(SourceErrorKind::Timeout, message)
            .hint("Check host, port and firewall, or raise `timeouts.connect` or `timeouts.query`."),
        io::ErrorKind::InvalidData if message.contains("certificate") => explain_words(&message),
        _ => explain_io(&io::Error::new(kind, message)),
    }
}

fn explain_server(error: &TokenError) -> Problem {
    let mut message = format!("{} (error {}, state {}", error.message(), error.code(), error.state());
    if error.line() > 1 {
        message.push_str(&format!(", line {}", error.line()));
    }
    message.push(')');
    let (kind, hint) = classify(error.code());
    Problem::new(kind, message).hint(hint)
}

fn classify(code: u32) -> (SourceErrorKind, &'static str) {
    match code {
        18456 | 18470 | 18486..=18488 => (
            SourceErrorKind::Auth,
            "Check `source.username` and the variable or file behind `source.password`. Only the server's log says more. \
             A server may admit Windows logins alone: then turn on SQL Server authentication there.",
        ),
        18452 => (
            SourceErrorKind::Auth,
            "The server admits Windows logins alone. Turn on SQL Server authentication (mixed mode) there.",
        ),
        4060 | 911 => (SourceErrorKind::Config, "Check `source.database`, and that the account may use it."),
        978 | 979 | 983 => (
            SourceErrorKind::Config,
            "This replica admits no such reader. Try `application_intent: ReadWrite`, or the listener of the group.",
        ),
        3952 => (
            SourceErrorKind::Config,
            "The database does not allow it: `ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON`, or leave `source.isolation` out.",
        ),
        229 | 230 | 262 | 297 | 300 | 371 | 916 => {
            (SourceErrorKind::Permission, "Give the account SELECT on what the query reads, or the role db_datareader.")
        }
        3906 | 3908 => {
            (SourceErrorKind::Permission, "A source is only read: the query must be one SELECT without side effects.")
        }
        1222 => (
            SourceErrorKind::Timeout,
            "Somebody holds a lock on what is read. `isolation: snapshot` does not wait for writers.",
        ),
        1205 | 3960 => {
            (SourceErrorKind::Network, "The server gave the query up in favour of others. The next run tries again.")
        }
        596 | 6005 | 17142..=17149 | 40197 | 40501 | 40613 | 49918..=49920 => {
            (SourceErrorKind::Network, "The server stops, starts or ended the session. The next run tries again.")
        }
        701 | 8645 | 8651 | 10928 | 10929 | 17809 => {
            (SourceErrorKind::Network, "The server has nothing free for this query. The next run tries again.")
        }
        _ => (
            SourceErrorKind::Query,
            "Run `engine render` to see the exact statement, and try it in SQL Server Management Studio.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_kinds() {
        for (code, expected) in [
            (18456, SourceErrorKind::Auth),
            (18452, SourceErrorKind::Auth),
            (4060, SourceErrorKind::Config),
            (3952, SourceErrorKind::Config),
            (229, SourceErrorKind::Permission),
            (916, SourceErrorKind::Permission),
            (1222, SourceErrorKind::Timeout),
            (1205, SourceErrorKind::Network),
            (596, SourceErrorKind::Network),
            (17142, SourceErrorKind::Network),
            (207, SourceErrorKind::Query),
            (208, SourceErrorKind::Query),
            (102, SourceErrorKind::Query),
        ] {
            assert_eq!(classify(code).0, expected, "{code}");
        }
    }

    #[test]
    fn the_drivers_words_become_the_users() {
        let io = |kind, message: &str| Error::Io { kind, message: message.to_owned() };
        for (error, kind, message, hint) in [
            (io(io::ErrorKind::UnexpectedEof, "tls handshake eof"), SourceErrorKind::Tls, "handshake", "TLS 1.2"),
            (
                io(io::ErrorKind::InvalidData, "received fatal alert: ProtocolVersion"),
                SourceErrorKind::Tls,
                "ProtocolVersion",
                "TLS 1.2",
            ),
            (io(io::ErrorKind::TimedOut, "timed out"), SourceErrorKind::Timeout, "timed out", "firewall"),
            (io(io::ErrorKind::ConnectionReset, "reset"), SourceErrorKind::Network, "reset", "next run"),
            (
                Error::Conversion("SQL browser timeout during resolving instance MES. Please check if".into()),
                SourceErrorKind::Network,
                "instance MES",
                "source.port",
            ),
            (
                Error::Protocol("Server does not allow the requested encryption level.".into()),
                SourceErrorKind::Tls,
                "no encryption",
                "disable",
            ),
            (Error::Encoding("invalid sequence".into()), SourceErrorKind::Data, "invalid sequence", "CAST"),
        ] {
            let problem = explain(error);
            assert_eq!(problem.kind, kind, "{problem:?}");
            assert!(problem.message.contains(message) && problem.message.len() < 120, "{problem:?}");
            assert!(problem.hint.as_ref().is_some_and(|text| text.contains(hint)), "{problem:?}");
        }
    }

    #[test]
    fn a_refused_certificate_is_told_without_the_drivers_advice() {
        let long = "the server's certificate was rejected during the TLS handshake: UnknownIssuer. To connect anyway you can: (1)";
        let problem = explain(Error::Tls(long.to_owned()));
        assert!(problem.message.ends_with("is not trusted"), "{}", problem.message);
        assert!(problem.hint.is_some_and(|hint| hint.contains("tls.ca_file")));
    }
}
