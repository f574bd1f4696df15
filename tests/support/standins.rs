//! The servers that are stood in for: SQL Server and Oracle, in this process, on a loopback port.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use engine_standin::{Backend, Column, Database, Product, Sink, Value};

use crate::servers::{PASSWORD, USERNAME};

/// Runs statements in a session of their own and returns the rows as lines, values separated by tabs.
///
/// # Panics
/// With the server's words where a statement fails.
pub fn execute(database: &Database, name: &str, sql: &str) -> String {
    let mut session = database.session(USERNAME, name).expect("an administrator may log in");
    let mut lines = Lines::default();
    session.run(sql, &[], &mut lines).unwrap_or_else(|error| panic!("{sql}: {} {}", error.number, error.message));
    lines.0
}

/// A database with an administrator.
pub fn database(product: Product, name: &str) -> Arc<Database> {
    let database = Database::new(product, name);
    database.login(USERNAME, PASSWORD);
    Arc::new(database)
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

/// Where the certificates of a stand-in lie.
pub struct Pem {
    /// The server's chain.
    pub chain: PathBuf,
    /// Its key.
    pub key: PathBuf,
}
