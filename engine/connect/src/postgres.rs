//! `type: postgres`: PostgreSQL, and servers that speak its protocol.
//!
//! A question is one transaction: `BEGIN READ ONLY`, the statement, `COMMIT`. The session's default is read-only too,
//! its zone is UTC, and the server has its own limit on a query's time, a little behind the engine's.

mod bind;
mod decode;
mod numeric;
mod probe;
mod types;

use std::collections::BTreeMap;
use std::time::Duration;

use engine_core::ports::{
    Ask, Cancel, Connector, ServerConfig, Source, SourceConfig, SourceError, SourceErrorKind, SourceIdentity,
};
use engine_core::probe::Probe;
use engine_spec::model::TlsMode;
use futures_util::TryStreamExt;
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgErrorPosition, PgSslMode};
use sqlx::{ConnectOptions, Connection, Either, Executor, Row, Statement as _, raw_sql};

use crate::failure::{Problem, Target, line_and_column};
use crate::pump::Feed;
use crate::remote::{self, Driver, Remote, SERVER_GRACE};
use crate::sqlx_error::{self, fit_to_send};

const PORT: u16 = 5432;
/// The longest `statement_timeout` that the server takes, in milliseconds.
const STATEMENT_TIMEOUT_MAX_MS: u128 = i32::MAX as u128;

/// After how long a silence the server probes the connection. The driver opens its sockets without probes; the
/// server's keep the path through firewalls open, and end the session of an engine that died.
const KEEPALIVE_IDLE_SECS: u32 = 60;

const CIPHER: &str =
    "SELECT version || ' ' || cipher FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid() AND ssl";
const SYSTEM_IDENTIFIER: &str = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()";

/// The connector.
pub(crate) const CONNECTOR: Connector = Connector { name: "postgres", open, types: types::TYPES };

fn open(config: &SourceConfig, cancel: &Cancel) -> Result<Box<dyn Source>, SourceError> {
    let SourceConfig::Postgres(config) = config else { return Err(Target::mismatch("postgres")) };
    let target = Target::server("postgres", config);
    let driver = Postgres::new(config).map_err(|problem| target.connecting(problem))?;
    Ok(Box::new(Remote::open(driver, target, config.timeouts, cancel)?))
}

struct Postgres {
    options: PgConnectOptions,
    tls: TlsMode,
    query_limit: Duration,
}

/// A session, and what it takes to end its query from outside.
struct Session {
    connection: PgConnection,
    process: i32,
}

impl Postgres {
    fn new(config: &ServerConfig) -> Result<Self, Problem> {
        sqlx_error::check_tls(&config.tls)?;
        let mode = match config.tls.mode {
            TlsMode::Disable => PgSslMode::Disable,
            TlsMode::Prefer => PgSslMode::Prefer,
            TlsMode::Require => PgSslMode::Require,
            TlsMode::VerifyCa => PgSslMode::VerifyCa,
            TlsMode::VerifyFull => PgSslMode::VerifyFull,
        };
        let password = config.password.as_ref().map_or("", |password| password.expose_secret());
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(&config.host)
            .port(config.port.unwrap_or(PORT))
            .username(&config.username)
            .password(password)
            .database(&config.database)
            .application_name("engine")
            .ssl_mode(mode)
            // Values come in binary, and poolers refuse start-up parameters that they do not know.
            .extra_float_digits(None)
            .disable_statement_logging();
        options = match &config.tls.ca_file {
            Some(file) => options.ssl_root_cert(file),
            // None at all, where the driver would take one from its environment.
            None => options.ssl_root_cert_from_pem(Vec::new()),
        };
        if let (Some(cert), Some(key)) = (&config.tls.cert_file, &config.tls.key_file) {
            options = options.ssl_client_cert(cert).ssl_client_key(key);
        }
        Ok(Self { options, tls: config.tls.mode, query_limit: config.timeouts.query })
    }

    /// The session's settings and the server's account of itself, in one round trip.
    fn setup(&self) -> String {
        let limit = (self.query_limit + SERVER_GRACE).as_millis().min(STATEMENT_TIMEOUT_MAX_MS);
        format!(
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; \
             SET statement_timeout = {limit}; \
             SET tcp_keepalives_idle = {KEEPALIVE_IDLE_SECS}; \
             SELECT version(), pg_backend_pid()::text, current_database()::text, \
             (SELECT oid::text FROM pg_catalog.pg_database WHERE datname = current_database())"
        )
    }
}

impl Driver for Postgres {
    type Session = Session;

    async fn connect(&self) -> Result<(Session, SourceIdentity), Problem> {
        let explain = |error| explain(error, "");
        let connecting = self.options.connect().await;
        let mut connection = connecting.map_err(|error| sqlx_error::connecting(error, self.tls, explain))?;
        let row = raw_sql(fit_to_send(self.setup())).fetch_one(&mut connection).await.map_err(explain)?;
        let text = |place: usize| row.try_get::<Option<String>, _>(place).map_err(explain);
        let mut facts = BTreeMap::new();
        facts.extend(text(2)?.map(|database| ("database".to_owned(), database)));
        facts.extend(text(3)?.map(|oid| ("database_oid".to_owned(), oid)));
        let version = text(0)?.unwrap_or_default();
        let process = text(1)?.and_then(|process| process.parse().ok()).unwrap_or_default();
        facts.extend(
            ask_if_possible(&mut connection, SYSTEM_IDENTIFIER).await?.map(|id| ("system_identifier".to_owned(), id)),
        );
        let cipher = match self.tls {
            TlsMode::Disable => None,
            _ => ask_if_possible(&mut connection, CIPHER).await?,
        };
        let encryption = sqlx_error::encryption(self.tls, cipher.as_deref());
        // The rest of the text names the compiler.
        let version = version.split(" on ").next().unwrap_or_default().to_owned();
        Ok((Session { connection, process }, SourceIdentity { version, facts, encryption }))
    }

    async fn begin(&self, session: &mut Session) -> Result<(), Problem> {
        session.connection.execute("BEGIN READ ONLY").await.map_err(|error| explain(error, ""))?;
        Ok(())
    }

    async fn read(&self, session: &mut Session, ask: &Ask, feed: &mut Feed<Session>) -> Result<(), Problem> {
        let statement = remote::statement(ask)?;
        let explain = |error| explain(error, &statement.sql);
        let connection = &mut session.connection;
        let prepared = connection.prepare(fit_to_send(&*statement.sql)).await.map_err(explain)?;
        let types = match prepared.parameters() {
            Some(Either::Left(types)) => types,
            _ => &[],
        };
        let arguments = bind::arguments(&statement.binds, types)?;
        let (mut decoder, columns) = decode::Decoder::new(prepared.columns());
        if columns.is_empty() {
            return Err(
                Problem::new(SourceErrorKind::Query, "the statement returns no columns").hint("A query is one SELECT.")
            );
        }
        feed.begin(columns);
        // What the driver says of the whole answer is not filtered out for each row.
        let mut steps = connection.fetch_many(prepared.query_with(arguments));
        while let Some(step) = steps.try_next().await.map_err(explain)? {
            let Either::Right(row) = step else { continue };
            if feed.is_full() {
                feed.hand_over().await.map_err(|_| Problem::cancelled())?;
            }
            let (columns, batch) = feed.row();
            decoder.push_row(&row, columns, batch)?;
        }
        Ok(())
    }

    async fn probe(&self, session: &mut Session, ask: &Ask) -> Result<Probe, Problem> {
        probe::probe(&mut session.connection, ask).await
    }

    async fn commit(&self, session: &mut Session) -> Result<(), Problem> {
        session.connection.execute("COMMIT").await.map_err(|error| explain(error, ""))?;
        Ok(())
    }

    async fn close(&self, session: Session) {
        // What matters is done; a connection that does not close cleanly is closed by its socket.
        let _ = session.connection.close().await;
    }

    async fn kill(&self, session: Session) {
        // Without it, a query that computes for long would notice the closed socket only when it has rows to send.
        if let Ok(mut second) = self.options.connect().await {
            let cancel = sqlx::query("SELECT pg_catalog.pg_cancel_backend($1)").bind(session.process);
            let _ = cancel.execute(&mut second).await;
            let _ = second.close().await;
        }
    }
}

/// The answer to a question that not every account may ask and not every server understands.
async fn ask_if_possible(connection: &mut PgConnection, sql: &'static str) -> Result<Option<String>, Problem> {
    match raw_sql(sql).fetch_optional(connection).await {
        Ok(Some(row)) => row.try_get(0).map_err(|error| explain(error, "")),
        Ok(None) | Err(sqlx::Error::Database(_)) => Ok(None),
        Err(error) => Err(explain(error, "")),
    }
}

/// An error in plain words; `sql` is the statement that the error's position counts in.
fn explain(error: sqlx::Error, sql: &str) -> Problem {
    sqlx_error::explain(error, |error| match error.try_downcast_ref::<PgDatabaseError>() {
        Some(error) => explain_server(error, sql),
        None => Problem::new(SourceErrorKind::Query, error.to_string()),
    })
}

fn explain_server(error: &PgDatabaseError, sql: &str) -> Problem {
    let code = error.code();
    let mut message = format!("{} (SQLSTATE {code})", error.message());
    if let Some(PgErrorPosition::Original(position)) = error.position()
        && !sql.is_empty()
    {
        let (line, column) = line_and_column(sql, position.saturating_sub(1));
        message.push_str(&format!(", at line {line}, column {column} of the statement"));
    }
    for (name, part) in [("detail", error.detail()), ("the server's hint", error.hint())] {
        if let Some(part) = part {
            message.push_str(&format!("; {name}: {part}"));
        }
    }
    let (kind, hint) = classify(code);
    Problem::new(kind, message).hint(hint)
}

fn classify(code: &str) -> (SourceErrorKind, &'static str) {
    match code {
        "28P01" => {
            (SourceErrorKind::Auth, "Check `source.username` and the variable or file behind `source.password`.")
        }
        "28000" => (
            SourceErrorKind::Auth,
            "The server's pg_hba.conf does not admit this account from here, or not with this `source.tls.mode`.",
        ),
        "3D000" => (SourceErrorKind::Config, "Check `source.database`."),
        "42501" => (SourceErrorKind::Permission, "Give the account SELECT on the table and USAGE on its schema."),
        "25006" => {
            (SourceErrorKind::Permission, "A source is only read: the query must be one SELECT without side effects.")
        }
        "57014" => (
            SourceErrorKind::Timeout,
            "The server ended the query: its own limit, an administrator, or `timeouts.query`. Narrow the window or give its column an index.",
        ),
        "53300" => (SourceErrorKind::Network, "The server has no connection free. The next run tries again."),
        "57P01" | "57P02" | "57P03" | "57P05" => {
            (SourceErrorKind::Network, "The server stops, starts or ended the session. The next run tries again.")
        }
        _ if code.starts_with("08") => (SourceErrorKind::Network, "The connection broke. The next run tries again."),
        _ if code.starts_with("40") => {
            (SourceErrorKind::Network, "The server gave the query up in favour of others. The next run tries again.")
        }
        _ => (SourceErrorKind::Query, "Run `engine render` to see the exact statement, and try it with psql."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_kinds() {
        for (code, expected) in [
            ("28P01", SourceErrorKind::Auth),
            ("28000", SourceErrorKind::Auth),
            ("3D000", SourceErrorKind::Config),
            ("42501", SourceErrorKind::Permission),
            ("25006", SourceErrorKind::Permission),
            ("57014", SourceErrorKind::Timeout),
            ("57P01", SourceErrorKind::Network),
            ("08006", SourceErrorKind::Network),
            ("40001", SourceErrorKind::Network),
            ("42P01", SourceErrorKind::Query),
            ("22012", SourceErrorKind::Query),
        ] {
            assert_eq!(classify(code).0, expected, "{code}");
        }
    }
}
