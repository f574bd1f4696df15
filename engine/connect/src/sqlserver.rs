//! `type: sqlserver`: Microsoft SQL Server, 2012 and later; 2008 with less.
//!
//! The server has no read-only session, so a statement is checked by its words once more, is described before it
//! runs, so that one without columns never does, and runs in a transaction that is always rolled back. It runs
//! through `sp_executesql`, whose parameters are declared here: text is declared as the column it is compared with, so
//! that an index is not lost. Text whose code page the driver cannot read safely, and money, are converted by the
//! server (`WITH RESULT SETS`): one bad byte then costs one value.

mod bind;
mod decode;
mod describe;
mod explain;
mod login;
mod probe;

use std::collections::BTreeMap;

use engine_core::ports::{
    Ask, Cancel, Connector, ServerConfig, Source, SourceConfig, SourceError, SourceErrorKind, SourceIdentity,
    SqlServerOptions,
};
use engine_core::probe::Probe;
use engine_spec::model::Isolation;
use engine_spec::sql::{Dialect, check_read_only, highest_placeholder};
use engine_spec::template::{Bind, Severity};
use futures_util::TryStreamExt;
use tiberius::{Client, ColumnData, Query, QueryItem, Row};
use tokio::net::TcpStream;
use tokio_util::compat::Compat;

use crate::failure::{Problem, Target};
use crate::pump::Feed;
use crate::remote::{self, Driver, Remote};
use explain::explain;

/// The connector.
pub(crate) const CONNECTOR: Connector = Connector { name: "sqlserver", open, types: decode::TYPES };

fn open(config: &SourceConfig, cancel: &Cancel) -> Result<Box<dyn Source>, SourceError> {
    let SourceConfig::SqlServer(config, options) = config else { return Err(Target::mismatch("sqlserver")) };
    let target = match (&options.instance, config.port) {
        (Some(instance), None) => Target::instance("sqlserver", config, instance),
        _ => Target::server("sqlserver", config),
    };
    let driver = SqlServer::new(config, options).map_err(|problem| target.connecting(problem))?;
    Ok(Box::new(Remote::open(driver, target, config.timeouts, cancel)?))
}

type Session = Client<Compat<TcpStream>>;

struct SqlServer {
    config: ServerConfig,
    options: SqlServerOptions,
}

impl SqlServer {
    fn new(config: &ServerConfig, options: &SqlServerOptions) -> Result<Self, Problem> {
        login::check(config, options)?;
        Ok(Self { config: config.clone(), options: options.clone() })
    }

    /// The session's settings, and the server's account of itself.
    fn setup(&self) -> String {
        let isolation = match self.options.isolation {
            Isolation::ReadCommitted => "READ COMMITTED",
            Isolation::Snapshot => "SNAPSHOT",
            Isolation::ReadUncommitted => "READ UNCOMMITTED",
        };
        let lock_wait = self.config.timeouts.query.as_millis().min(i32::MAX as u128);
        format!(
            "SET NOCOUNT ON; SET IMPLICIT_TRANSACTIONS OFF; SET TRANSACTION ISOLATION LEVEL {isolation}; \
             SET LOCK_TIMEOUT {lock_wait}; SET DEADLOCK_PRIORITY LOW; \
             SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) AS version, \
             CAST(SERVERPROPERTY('Edition') AS nvarchar(128)) AS edition, DB_NAME() AS name, \
             (SELECT CAST(d.service_broker_guid AS nvarchar(36)) FROM sys.databases AS d WHERE d.name = DB_NAME()) AS guid"
        )
    }
}

impl Driver for SqlServer {
    type Session = Session;

    async fn connect(&self) -> Result<(Session, SourceIdentity), Problem> {
        let (mut session, encryption) = login::login(&self.config, &self.options).await?;
        let answer = session.simple_query(self.setup()).await.map_err(explain)?;
        let row = answer.into_row().await.map_err(explain)?;
        let text = |name: &str| row.as_ref().and_then(|row| text(row, name));
        let mut facts = BTreeMap::new();
        facts.extend(text("name").map(|name| ("database".to_owned(), name)));
        facts.extend(text("guid").map(|guid| ("service_broker_guid".to_owned(), guid.to_lowercase())));
        let version = product(&text("version").unwrap_or_default(), &text("edition").unwrap_or_default());
        Ok((session, SourceIdentity { version, facts, encryption }))
    }

    async fn begin(&self, session: &mut Session) -> Result<(), Problem> {
        run(session, "IF @@TRANCOUNT = 0 BEGIN TRANSACTION").await
    }

    async fn read(&self, session: &mut Session, ask: &Ask, feed: &mut Feed<Session>) -> Result<(), Problem> {
        let statement = remote::statement(ask)?;
        refuse_writes(&statement.sql)?;
        // The server would ignore a value too many.
        Problem::check_count(highest_placeholder(&statement.sql, Dialect::SqlServer), statement.binds.len())?;
        let described = describe::describe(session, &statement.sql, &statement.binds).await?;
        match &described.columns {
            Some(columns) if columns.is_empty() => return Err(Problem::no_columns()),
            Some(_) => {}
            // What kept the server from describing the statement may have ended the transaction.
            None => self.begin(session).await?,
        }
        let query = call(&statement.sql, &statement.binds, &described)?;
        let mut answer = query.query(session).await.map_err(explain)?;
        let Some(columns) = answer.columns().await.map_err(explain)? else { return Err(Problem::no_columns()) };
        let (mut decoder, columns) = decode::Decoder::new(columns, described.columns.as_deref());
        feed.begin(columns);
        let mut is_first = true;
        while let Some(item) = answer.try_next().await.map_err(explain)? {
            let row = match item {
                QueryItem::Row(row) => row,
                QueryItem::Metadata(_) if std::mem::take(&mut is_first) => continue,
                QueryItem::Metadata(_) => return Err(second_result()),
            };
            if feed.is_full() {
                feed.hand_over().await.map_err(|_| Problem::cancelled())?;
            }
            let (columns, batch) = feed.row();
            decoder.push_row(row, columns, batch);
        }
        Ok(())
    }

    async fn probe(&self, session: &mut Session, ask: &Ask) -> Result<Probe, Problem> {
        probe::probe(session, ask).await
    }

    async fn commit(&self, session: &mut Session) -> Result<(), Problem> {
        // There is nothing to keep: whatever a statement did beside reading is undone.
        run(session, "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION").await
    }

    async fn close(&self, session: Session) {
        // What matters is done; a connection that does not close cleanly is closed by its socket.
        let _ = session.close().await;
    }

    async fn kill(&self, mut session: Session) {
        // Tells the server, which would go on computing, and then ends the session all the same.
        let _ = session.cancel_query().await;
        let _ = session.close().await;
    }
}

/// Runs a batch whose answer does not matter.
async fn run(session: &mut Session, sql: &'static str) -> Result<(), Problem> {
    session.simple_query(sql).await.map_err(explain)?.into_results().await.map_err(explain)?;
    Ok(())
}

/// The second look at the words of a statement: the only guard that this server leaves to its clients.
fn refuse_writes(sql: &str) -> Result<(), Problem> {
    match check_read_only(sql, Dialect::SqlServer).into_iter().find(|finding| finding.severity == Severity::Error) {
        None => Ok(()),
        Some(finding) => Err(Problem::new(SourceErrorKind::Permission, finding.message)
            .hint("A source is only read: the query must be one SELECT without side effects.")),
    }
}

fn second_result() -> Problem {
    Problem::new(SourceErrorKind::Query, "the statement returns more than one result").hint("A query is one SELECT.")
}

/// The call that runs the statement: its text, its declarations and its values are parameters of the call.
fn call(sql: &str, binds: &[Bind], described: &describe::Description) -> Result<Query<'static>, Problem> {
    let bound = bind::bind(binds, &described.parameters)?;
    let mut call = "EXEC sp_executesql @P1".to_owned();
    if !binds.is_empty() {
        for place in 2..binds.len() + 3 {
            call.push_str(&format!(", @P{place}"));
        }
    }
    if let Some(conversions) = described.columns.as_deref().and_then(describe::conversions) {
        call.push_str(" WITH RESULT SETS (");
        call.push_str(&conversions);
        call.push(')');
    }
    let mut query = Query::new(call);
    query.bind(sql.to_owned());
    if !binds.is_empty() {
        query.bind(bound.declarations);
        for value in bound.values {
            query.bind(Given(value));
        }
    }
    Ok(query)
}

/// A value in the driver's own form.
struct Given(ColumnData<'static>);

impl tiberius::IntoSql<'static> for Given {
    fn into_sql(self) -> ColumnData<'static> {
        self.0
    }
}

/// The text of a column by name; `None` for null, and where there is no such column.
fn text(row: &Row, name: &str) -> Option<String> {
    row.try_get::<&str, _>(name).ok().flatten().map(str::to_owned)
}

/// The product as people call it.
fn product(version: &str, edition: &str) -> String {
    let year = match version.split('.').next().unwrap_or_default() {
        "17" => " 2025",
        "16" => " 2022",
        "15" => " 2019",
        "14" => " 2017",
        "13" => " 2016",
        "12" if edition.contains("Azure") => "",
        "12" => " 2014",
        "11" => " 2012",
        "10" if version.starts_with("10.50") => " 2008 R2",
        "10" => " 2008",
        _ => "",
    };
    format!("SQL Server{year} {version} {edition}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_named_as_people_name_them() {
        for (version, edition, expected) in [
            ("15.0.2000.5", "Express Edition (64-bit)", "SQL Server 2019 15.0.2000.5 Express Edition (64-bit)"),
            ("10.50.1600.1", "Standard Edition", "SQL Server 2008 R2 10.50.1600.1 Standard Edition"),
            ("12.0.2000.8", "SQL Azure", "SQL Server 12.0.2000.8 SQL Azure"),
            ("", "", "SQL Server"),
        ] {
            assert_eq!(product(version, edition), expected);
        }
    }

    #[test]
    fn what_writes_is_refused_before_it_is_sent() {
        for sql in ["DELETE FROM booking", "SELECT 1; DELETE FROM booking", "SELECT 1 EXEC sp_who", "COMMIT"] {
            let problem = refuse_writes(sql).unwrap_err();
            assert_eq!(problem.kind, SourceErrorKind::Permission, "{sql}");
        }
        assert_eq!(refuse_writes("SELECT [update] FROM dbo.[delete] WITH (NOLOCK)"), Ok(()));
    }
}
