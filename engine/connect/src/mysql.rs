//! `type: mysql` and `type: mariadb`: two products, one protocol.
//!
//! A question is one transaction: `START TRANSACTION READ ONLY`, the statement, `COMMIT`. The statement is always a
//! prepared one: then the server takes one statement and no more, and one that returns no columns (`SELECT … INTO
//! OUTFILE` among them) is refused before it runs. The session's zone is UTC, so a `TIMESTAMP` is an instant; a
//! `DATETIME` stays a reading of a clock.
//!
//! These servers do not tell what type a placeholder has. Dates are bound as text, which they compare as dates; a
//! `TIMESTAMP` column is to be compared with `| utc` or `| instant`, since the session is in UTC.

mod decode;
mod error;
mod probe;

use std::collections::BTreeMap;
use std::time::Duration;

use engine_core::ports::{
    Ask, Cancel, Connector, ServerConfig, Source, SourceConfig, SourceError, SourceErrorKind, SourceIdentity,
};
use engine_core::probe::Probe;
use engine_spec::model::TlsMode;
use engine_spec::template::{Bind, BindValue};
use futures_util::TryStreamExt;
use secrecy::ExposeSecret;
use sqlx::error::BoxDynError;
use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::{Arguments as _, ConnectOptions, Connection, Either, Executor, Row, Statement as _, raw_sql};

use crate::failure::{Problem, Target};
use crate::pump::Feed;
use crate::remote::{self, Driver, Remote, SERVER_GRACE};
use crate::sqlx_error::{self, fit_to_send};

use error::{explain, number};

const PORT: u16 = 3306;
/// A server that does not know a variable says so with this number.
const UNKNOWN_VARIABLE: u16 = 1193;

/// A server whose own level is `SERIALIZABLE` would lock every row that is read.
const READING: &str = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
/// A server can be set to cut every result short, and says nothing of it; and to compare a `CHAR` with the blanks that
/// its values lose here, so that no value that is bound would be found.
const WHOLE: &str = "SET SESSION sql_select_limit = 18446744073709551615, \
    sql_mode = REPLACE(@@sql_mode, 'PAD_CHAR_TO_FULL_LENGTH', '')";

/// The connector of MySQL.
pub(crate) const MYSQL: Connector = Connector { name: "mysql", open: open_mysql, types: decode::TYPES };
/// The connector of MariaDB.
pub(crate) const MARIADB: Connector = Connector { name: "mariadb", open: open_mariadb, types: decode::MARIADB_TYPES };

fn open_mysql(config: &SourceConfig, cancel: &Cancel) -> Result<Box<dyn Source>, SourceError> {
    let SourceConfig::MySql(config) = config else { return Err(Target::mismatch("mysql")) };
    open("mysql", config, cancel)
}

fn open_mariadb(config: &SourceConfig, cancel: &Cancel) -> Result<Box<dyn Source>, SourceError> {
    let SourceConfig::MariaDb(config) = config else { return Err(Target::mismatch("mariadb")) };
    open("mariadb", config, cancel)
}

fn open(product: &str, config: &ServerConfig, cancel: &Cancel) -> Result<Box<dyn Source>, SourceError> {
    let target = Target::server(product, config);
    let driver = MySql::new(config).map_err(|problem| target.connecting(problem))?;
    Ok(Box::new(Remote::open(driver, target, config.timeouts, cancel)?))
}

struct MySql {
    options: MySqlConnectOptions,
    tls: TlsMode,
    query_limit: Duration,
}

/// A session, and what it takes to end it from outside.
struct Session {
    connection: MySqlConnection,
    number: u64,
}

impl MySql {
    fn new(config: &ServerConfig) -> Result<Self, Problem> {
        sqlx_error::check_tls(&config.tls)?;
        let mode = match config.tls.mode {
            TlsMode::Disable => MySqlSslMode::Disabled,
            TlsMode::Prefer => MySqlSslMode::Preferred,
            TlsMode::Require => MySqlSslMode::Required,
            TlsMode::VerifyCa => MySqlSslMode::VerifyCa,
            TlsMode::VerifyFull => MySqlSslMode::VerifyIdentity,
        };
        let mut options = MySqlConnectOptions::new()
            .host(&config.host)
            .port(config.port.unwrap_or(PORT))
            .username(&config.username)
            .database(&config.database)
            .charset("utf8mb4")
            .timezone(Some("+00:00".to_owned()))
            // What `||` means, and almost every other mode, is the server's business: the query is written for it.
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .ssl_mode(mode)
            .disable_statement_logging();
        if let Some(password) = &config.password {
            options = options.password(password.expose_secret());
        }
        if let Some(file) = &config.tls.ca_file {
            options = options.ssl_ca(file);
        }
        if let (Some(cert), Some(key)) = (&config.tls.cert_file, &config.tls.key_file) {
            options = options.ssl_client_cert(cert).ssl_client_key(key);
        }
        Ok(Self { options, tls: config.tls.mode, query_limit: config.timeouts.query })
    }

    /// The server's own limit on a query's time, a little behind the engine's. Old servers have none.
    async fn limit_queries(&self, connection: &mut MySqlConnection, is_mariadb: bool) -> Result<(), Problem> {
        let limit = self.query_limit + SERVER_GRACE;
        let sql = if is_mariadb {
            format!("SET SESSION max_statement_time = {}", limit.as_secs())
        } else {
            format!("SET SESSION max_execution_time = {}", limit.as_millis())
        };
        match raw_sql(fit_to_send(sql)).execute(connection).await {
            Err(error) if number(&error) != Some(UNKNOWN_VARIABLE) => Err(explain(error)),
            _ => Ok(()),
        }
    }

    /// What the server calls itself, if it is one that has such a name.
    async fn server_uuid(&self, connection: &mut MySqlConnection, is_mariadb: bool) -> Result<Option<String>, Problem> {
        if is_mariadb {
            return Ok(None);
        }
        match raw_sql("SELECT @@server_uuid").fetch_one(connection).await {
            Ok(row) => row.try_get(0).map_err(explain),
            Err(error) if number(&error) == Some(UNKNOWN_VARIABLE) => Ok(None),
            Err(error) => Err(explain(error)),
        }
    }

    /// How the session is encrypted, in the server's words.
    async fn cipher(&self, connection: &mut MySqlConnection) -> Result<Option<String>, Problem> {
        if self.tls == TlsMode::Disable {
            return Ok(None);
        }
        let sql = "SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_version', 'Ssl_cipher')";
        let rows = raw_sql(sql).fetch_all(connection).await.map_err(explain)?;
        let mut words = Vec::new();
        // In the order of their names backwards: the version, then the cipher.
        for row in rows.iter().rev() {
            words.push(row.try_get::<String, _>(1).map_err(explain)?);
        }
        let words = words.join(" ").trim().to_owned();
        Ok(Some(words).filter(|words| !words.is_empty()))
    }
}

impl Driver for MySql {
    type Session = Session;

    async fn connect(&self) -> Result<(Session, SourceIdentity), Problem> {
        let connecting = self.options.connect().await;
        let mut connection = connecting.map_err(|error| sqlx_error::connecting(error, self.tls, explain))?;
        let about = raw_sql("SELECT VERSION(), CONNECTION_ID(), DATABASE(), @@hostname");
        let row = about.fetch_one(&mut connection).await.map_err(explain)?;
        let text = |place: usize| row.try_get::<Option<String>, _>(place).map_err(explain);
        let version = text(0)?.unwrap_or_default();
        let number = row.try_get(1).map_err(explain)?;
        let is_mariadb = version.contains("MariaDB");
        let mut facts = BTreeMap::new();
        facts.extend(text(2)?.map(|database| ("database".to_owned(), database)));
        self.limit_queries(&mut connection, is_mariadb).await?;
        connection.execute(READING).await.map_err(explain)?;
        connection.execute(WHOLE).await.map_err(explain)?;
        match self.server_uuid(&mut connection, is_mariadb).await? {
            Some(uuid) => facts.extend([("server_uuid".to_owned(), uuid)]),
            // It changes when a container is made anew, so it stands in only where there is nothing better.
            None => facts.extend(text(3)?.map(|host| ("hostname".to_owned(), host))),
        }
        let encryption = sqlx_error::encryption(self.tls, self.cipher(&mut connection).await?.as_deref());
        let version = if is_mariadb { version } else { format!("MySQL {version}") };
        Ok((Session { connection, number }, SourceIdentity { version, facts, encryption }))
    }

    async fn begin(&self, session: &mut Session) -> Result<(), Problem> {
        session.connection.execute("START TRANSACTION READ ONLY").await.map_err(explain)?;
        Ok(())
    }

    async fn read(&self, session: &mut Session, ask: &Ask, feed: &mut Feed<Session>) -> Result<(), Problem> {
        let statement = remote::statement(ask)?;
        let connection = &mut session.connection;
        let prepared = connection.prepare(fit_to_send(&*statement.sql)).await.map_err(explain)?;
        let wanted = match prepared.parameters() {
            Some(Either::Right(count)) => count,
            _ => 0,
        };
        let arguments = arguments(&statement.binds, wanted)?;
        let (mut decoder, mut columns) = decode::Decoder::new(prepared.columns());
        if columns.is_empty() {
            return Err(
                Problem::new(SourceErrorKind::Query, "the statement returns no columns").hint("A query is one SELECT.")
            );
        }
        feed.begin(columns.clone());
        let mut is_first = true;
        // What the driver says of the whole answer is not filtered out for each row.
        let mut steps = connection.fetch_many(prepared.query_with(arguments));
        while let Some(step) = steps.try_next().await.map_err(explain)? {
            let Either::Right(row) = step else { continue };
            if std::mem::take(&mut is_first) {
                // Only now are the types final: those of a prepared statement do not know its arguments.
                (decoder, columns) = decode::Decoder::new(row.columns());
                feed.begin(columns.clone());
            }
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
        session.connection.execute("COMMIT").await.map_err(explain)?;
        Ok(())
    }

    async fn close(&self, session: Session) {
        // What matters is done; a connection that does not close cleanly is closed by its socket.
        let _ = session.connection.close().await;
    }

    async fn kill(&self, session: Session) {
        // Without it, a query that computes for long would notice the closed socket only when it has rows to send.
        if let Ok(mut second) = self.options.connect().await {
            let _ = second.execute(fit_to_send(format!("KILL {}", session.number))).await;
            let _ = second.close().await;
        }
    }
}

fn arguments(binds: &[Bind], wanted: usize) -> Result<MySqlArguments, Problem> {
    Problem::check_count(wanted, binds.len())?;
    let mut arguments = MySqlArguments::default();
    for (place, bind) in binds.iter().enumerate() {
        add(&mut arguments, &bind.value).map_err(|error| Problem::bind(bind, place + 1, &error.to_string()))?;
    }
    Ok(arguments)
}

fn add(arguments: &mut MySqlArguments, value: &BindValue) -> Result<(), BoxDynError> {
    match value {
        BindValue::Bool(truth) => arguments.add(*truth),
        BindValue::Int(number) => arguments.add(*number),
        BindValue::Float(number) => arguments.add(*number),
        BindValue::Bytes(bytes) => arguments.add(bytes.as_slice()),
        // As a number where it is whole: numbers are compared with text as floats.
        BindValue::Decimal(digits) if digits.parse::<i64>().is_ok() => arguments.add(digits.parse::<i64>()?),
        other => arguments.add(as_text(other)),
    }
}

/// The text of a value that is bound as text; `None` for null.
fn as_text(value: &BindValue) -> Option<String> {
    match value {
        BindValue::Text(text) | BindValue::Decimal(text) => Some(text.clone()),
        BindValue::Date(date) => Some(date.to_string()),
        BindValue::Civil { civil, .. } => Some(civil.to_string().replacen('T', " ", 1)),
        // The session is in UTC, and an offset in a literal is not understood by every server.
        BindValue::Instant { instant, .. } => {
            Some(jiff::tz::TimeZone::UTC.to_datetime(*instant).to_string().replacen('T', " ", 1))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_bound_as_text() {
        let civil = jiff::civil::date(2025, 3, 30).at(1, 30, 0, 500_000_000);
        let instant = "2025-03-30T00:30:00.5Z".parse().unwrap();
        for (value, expected) in [
            (BindValue::Date(civil.date()), "2025-03-30"),
            (BindValue::Civil { civil, instant }, "2025-03-30 01:30:00.5"),
            (BindValue::Instant { civil, instant }, "2025-03-30 00:30:00.5"),
            (BindValue::Decimal("0.10".into()), "0.10"),
        ] {
            assert_eq!(as_text(&value).as_deref(), Some(expected));
        }
        assert_eq!(as_text(&BindValue::Null), None);
    }

    #[test]
    fn placeholders_and_values_are_counted() {
        let bind = Bind { origin: "params.p".into(), value: BindValue::Int(1) };
        assert!(arguments(std::slice::from_ref(&bind), 1).is_ok());
        assert!(arguments(&[bind], 2).unwrap_err().message.contains("2 placeholders for 1 values"));
    }
}
