//! What sqlx reports beside the server's own errors, in plain words.

use std::io;

use engine_core::ports::{SourceErrorKind, TlsConfig};
use engine_spec::model::TlsMode;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::failure::Problem;
use crate::tls_error;

/// Marks SQL as fit to be sent: the engine's own text, or a [`Statement`](engine_spec::template::Statement), whose
/// values are bound and never in the text. The only place that does.
pub(crate) fn fit_to_send(sql: impl Into<String>) -> SqlStr {
    AssertSqlSafe(sql.into()).into_sql_str()
}

/// Explains an error that is not the server's; `server` explains the server's.
pub(crate) fn explain(error: sqlx::Error, server: impl FnOnce(&dyn sqlx::error::DatabaseError) -> Problem) -> Problem {
    match error {
        sqlx::Error::Database(error) => server(&*error),
        sqlx::Error::Io(error) => explain_io(&error),
        sqlx::Error::Tls(error) => tls(error.to_string()),
        // The driver's words are about its build; the user's way out is encryption.
        sqlx::Error::Configuration(error) if error.to_string().contains("RSA auth backend") => {
            Problem::new(SourceErrorKind::Tls, "the account's password may only be sent over an encrypted connection")
                .hint("Use `tls.mode` verify-full, verify-ca or require, and turn encryption on at the server.")
        }
        sqlx::Error::Configuration(error) => {
            Problem::new(SourceErrorKind::Config, error.to_string()).hint("Check the `source` settings.")
        }
        sqlx::Error::Encode(error) => Problem::new(SourceErrorKind::Query, error.to_string()),
        other => Problem::new(SourceErrorKind::Data, other.to_string())
            .hint("The server answered in a way its driver does not understand. Check that `source.type` is right."),
    }
}

/// Explains a failure to connect: `explain` does, but for a server that hangs up.
pub(crate) fn connecting(error: sqlx::Error, tls: TlsMode, explain: impl FnOnce(sqlx::Error) -> Problem) -> Problem {
    let error = match error {
        // PostgreSQL's driver takes the end of the stream for an answer of one byte, which no server sends.
        sqlx::Error::Protocol(message) if message.contains("response from SSLRequest: 0x00") => {
            sqlx::Error::Io(io::ErrorKind::UnexpectedEof.into())
        }
        error => error,
    };
    let hung_up = matches!(&error, sqlx::Error::Io(error)
        if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset));
    let problem = explain(error);
    if hung_up && tls != TlsMode::Disable {
        return problem.hint(
            "The server or something between closed the connection. The next run tries again. If it is always so, the server \
             may speak only TLS 1.1 or older: engine speaks TLS 1.2 and 1.3.",
        );
    }
    problem
}

pub(crate) fn explain_io(error: &io::Error) -> Problem {
    // A refused certificate or a failed handshake comes as invalid data of the socket.
    if let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        return tls_error::explain(error);
    }
    let message = error.to_string();
    let network = |hint: &str| Problem::new(SourceErrorKind::Network, message.clone()).hint(hint);
    match error.kind() {
        io::ErrorKind::InvalidData => tls(message),
        io::ErrorKind::ConnectionRefused => {
            network("Nothing listens there. Check `source.host` and `source.port`, and whether the server runs.")
        }
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
            Problem::new(SourceErrorKind::Config, message).hint("Check the files that `source.tls` names.")
        }
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => {
            network("The server or something between closed the connection. The next run tries again.")
        }
        io::ErrorKind::TimedOut => network("The network does not answer. Check host, port and firewall."),
        _ if message.contains("lookup address") => network("The name is not known here. Check `source.host` and DNS."),
        _ => network("Check host, port, routes and firewall."),
    }
}

/// What the driver itself says of encryption, and what is no error of the TLS library.
fn tls(message: String) -> Problem {
    let hint = if message.contains("does not support TLS") || message.contains("TLS upgrade required") {
        "The server offers no encryption. Turn it on there; `tls: { mode: disable }` sends everything in the clear."
    } else {
        "Check `source.tls` and the files that it names."
    };
    Problem::new(SourceErrorKind::Tls, message).hint(hint)
}

/// Refuses settings that name one half of a client certificate, before anything is sent.
pub(crate) fn check_tls(tls: &TlsConfig) -> Result<(), Problem> {
    if tls.cert_file.is_some() != tls.key_file.is_some() {
        return Err(Problem::new(SourceErrorKind::Config, "`tls.cert_file` and `tls.key_file` belong together")
            .hint("Name both, or neither."));
    }
    Ok(())
}

/// How the connection is encrypted, for people, from the mode and what the server says of the session.
pub(crate) fn encryption(mode: TlsMode, session: Option<&str>) -> String {
    let checked = match mode {
        TlsMode::Disable | TlsMode::Prefer | TlsMode::Require => "no certificate checked",
        TlsMode::VerifyCa => "authority checked",
        TlsMode::VerifyFull => "authority and host name checked",
    };
    match session {
        Some(session) => format!("{session}, {checked}"),
        None => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: sqlx::Error, kind: SourceErrorKind, hint: &str) {
        let problem = explain(error, |_| unreachable!("no error of a server"));
        assert_eq!(problem.kind, kind, "{problem:?}");
        assert!(problem.hint.as_ref().is_some_and(|text| text.contains(hint)), "{problem:?}");
    }

    #[test]
    fn errors_become_kinds_with_a_way_out() {
        let io = |kind, message: &str| sqlx::Error::Io(io::Error::new(kind, message.to_owned()));
        use SourceErrorKind::{Config, Data, Network, Tls};
        check(io(io::ErrorKind::ConnectionRefused, "refused"), Network, "source.port");
        check(io(io::ErrorKind::UnexpectedEof, "eof"), Network, "next run");
        check(io(io::ErrorKind::TimedOut, "timed out"), Network, "firewall");
        check(io(io::ErrorKind::Other, "failed to lookup address information"), Network, "DNS");
        check(io(io::ErrorKind::NotFound, "no such file"), Config, "source.tls");
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        check(sqlx::Error::Io(io::Error::new(io::ErrorKind::InvalidData, tls)), Tls, "ca_file");
        check(sqlx::Error::Tls("server does not support TLS".into()), Tls, "no encryption");
        check(sqlx::Error::Configuration("RSA auth backend disabled; enable".into()), Tls, "tls.mode");
        check(sqlx::Error::Protocol("unexpected byte".to_owned()), Data, "source.type");
    }

    #[test]
    fn a_server_that_hangs_up_while_encryption_is_agreed_on_is_of_the_network() {
        for error in [
            sqlx::Error::Protocol("unexpected response from SSLRequest: 0x00 (tls:95)".to_owned()),
            sqlx::Error::Io(io::ErrorKind::ConnectionReset.into()),
        ] {
            let problem = connecting(error, TlsMode::Require, |error| explain(error, |_| unreachable!("no server's")));
            assert_eq!(problem.kind, SourceErrorKind::Network, "{problem:?}");
            assert!(problem.hint.as_ref().is_some_and(|text| text.contains("TLS 1.1 or older")), "{problem:?}");
        }
    }

    #[test]
    fn half_a_client_certificate_is_refused() {
        let tls = TlsConfig { mode: TlsMode::Require, ca_file: None, cert_file: Some("c".into()), key_file: None };
        assert_eq!(check_tls(&tls).map_err(|problem| problem.kind), Err(SourceErrorKind::Config));
        assert_eq!(check_tls(&TlsConfig { key_file: Some("k".into()), ..tls }), Ok(()));
    }
}
