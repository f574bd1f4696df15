//! The servers that are stood in for: SQL Server and Oracle, in this process, on a loopback port.
//!
//! What runs here speaks the servers' wire protocols and is checked by independent clients; it is not the servers.

use std::fmt;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use engine_standin::{Column, Database, Product, Sink, Value};
use tempfile::TempDir;

use crate::servers::{Certificate, Kind, PASSWORD, Server, USERNAME, named};

/// Name of the database, and of Oracle's service.
const NAME: &str = "PLANT";

/// A server that is stood in for.
pub struct StandIn {
    /// What answers.
    pub database: Database,
    /// How it speaks.
    pub wire: Wire,
    _folder: TempDir,
}

/// The protocol of a stand-in.
pub enum Wire {
    /// SQL Server's.
    Tds(engine_tds::Server),
    /// Oracle's.
    Tns(engine_tns::Server),
}

impl fmt::Debug for StandIn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a server that is stood in for")
    }
}

/// SQL Server: the one that `ENGINE_TEST_SQLSERVER_URL` names, else a stand-in, said on standard error.
pub fn sqlserver() -> Server {
    let variable = "ENGINE_TEST_SQLSERVER_URL";
    named(Kind::SqlServer, variable).unwrap_or_else(|| {
        say_that_it_is_stood_in_for("SQL Server", variable);
        sqlserver_with(|_| {})
    })
}

fn say_that_it_is_stood_in_for(product: &str, variable: &str) {
    let line = format!("skipped: no real {product}: {variable} is not set, and a stand-in speaks its protocol");
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A stand-in for SQL Server with settings of its own.
pub fn sqlserver_with(change: impl FnOnce(&mut engine_tds::Settings)) -> Server {
    let (folder, certificate) = certificate();
    let database = database(Product::SqlServer);
    let mut settings = engine_tds::Settings {
        certificate: Some((certificate.chain.clone(), certificate.key.clone())),
        ..engine_tds::Settings::default()
    };
    change(&mut settings);
    let server = engine_tds::Server::start(Arc::new(database.clone()), settings).expect("a loopback port");
    let port = server.port();
    let standin = StandIn { database, wire: Wire::Tds(server), _folder: folder };
    Server::stood_in(Kind::SqlServer, port, NAME, Some(certificate.authority), standin)
}

/// Oracle: the one that `ENGINE_TEST_ORACLE_URL` names, else a stand-in, said on standard error.
pub fn oracle() -> Server {
    let variable = "ENGINE_TEST_ORACLE_URL";
    named(Kind::Oracle, variable).unwrap_or_else(|| {
        say_that_it_is_stood_in_for("Oracle", variable);
        oracle_with(|_| {})
    })
}

/// A stand-in for Oracle with settings of its own.
pub fn oracle_with(change: impl FnOnce(&mut engine_tns::Settings)) -> Server {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = database(Product::Oracle);
    let mut settings = engine_tns::Settings { services: vec![NAME.to_owned()], ..engine_tns::Settings::default() };
    change(&mut settings);
    let server = engine_tns::Server::start(Arc::new(database.clone()), settings).expect("a loopback port");
    let port = server.port();
    let standin = StandIn { database, wire: Wire::Tns(server), _folder: folder };
    Server::stood_in(Kind::Oracle, port, NAME, None, standin)
}

/// The same for TCPS; the authority of its certificate is that of the server.
pub fn oracle_over_tls() -> Server {
    let (folder, certificate) = certificate();
    let read = |file: &Path| std::fs::read_to_string(file).expect("the certificate was made");
    let pem = engine_tns::Certificate { chain: read(&certificate.chain), key: read(&certificate.key) };
    let mut server = oracle_with(|settings| settings.certificate = Some(pem));
    server.ca_file = Some(certificate.authority);
    server.keep(folder);
    server
}

fn certificate() -> (TempDir, Certificate) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let certificate = Certificate::new(folder.path(), "root");
    (folder, certificate)
}

fn database(product: Product) -> Database {
    let database = Database::new(product, NAME);
    database.login(USERNAME, PASSWORD);
    database
}

impl StandIn {
    /// Runs statements in a session of their own and returns the rows as lines, values separated by tabs.
    pub(crate) fn execute(&self, sql: &str) -> String {
        let mut lines = Lines::default();
        let outcome = self.database.script(USERNAME, sql, &mut lines);
        outcome.unwrap_or_else(|error| panic!("{sql}: {} {}", error.number, error.message));
        lines.0
    }
}

#[derive(Default)]
struct Lines(String);

impl Sink for Lines {
    fn columns(&mut self, _: &[Column]) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn row(&mut self, row: &[Value]) -> ControlFlow<()> {
        let words = row.iter().map(|value| match value {
            Value::Null => "NULL".to_owned(),
            Value::Int(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Text(text) => text.clone(),
            other => format!("{other:?}"),
        });
        self.0.push_str(&words.collect::<Vec<_>>().join("\t"));
        self.0.push('\n');
        ControlFlow::Continue(())
    }

    fn done(&mut self, _: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn idle(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
