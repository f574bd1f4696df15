//! The SQL of the stand-ins, without a protocol: statements, the declared types of their columns, their rows.
#![expect(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

mod broken;
mod oracle;
mod sql_server;

use std::ops::ControlFlow;

use engine_standin::{Backend, Column, Database, Outcome, Parameter, Product, ServerError, Session, Sink, Value};

/// What came of a batch, one entry a result.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) results: Vec<(Vec<Column>, Vec<Vec<Value>>)>,
    pub(crate) affected: Vec<u64>,
    /// Rows after which the client gives up.
    pub(crate) rows_most: Option<usize>,
    /// Questions after which it does.
    pub(crate) idle_most: Option<usize>,
    pub(crate) idle: usize,
}

impl Sink for Answers {
    fn columns(&mut self, columns: &[Column]) -> ControlFlow<()> {
        self.results.push((columns.to_vec(), Vec::new()));
        ControlFlow::Continue(())
    }

    fn row(&mut self, row: &[Value]) -> ControlFlow<()> {
        let rows = &mut self.results.last_mut().unwrap().1;
        rows.push(row.to_vec());
        if self.rows_most == Some(rows.len()) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn done(&mut self, affected: u64) -> ControlFlow<()> {
        self.affected.push(affected);
        ControlFlow::Continue(())
    }

    fn idle(&mut self) -> ControlFlow<()> {
        self.idle += 1;
        if self.idle_most.is_some_and(|most| self.idle >= most) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// A database with an administrator, and a session of his.
pub(crate) fn open(product: Product) -> (Database, Box<dyn Session>) {
    let database = Database::new(product, "plant");
    database.login("etl", "secret");
    let session = database.session("etl", "plant").unwrap();
    (database, session)
}

pub(crate) fn run(session: &mut dyn Session, sql: &str, parameters: &[Parameter]) -> Result<Answers, ServerError> {
    let mut answers = Answers::default();
    match session.run(sql, parameters, &mut answers)? {
        Outcome::Complete => Ok(answers),
        other => panic!("{sql}: {other:?}"),
    }
}

pub(crate) fn bound(name: &str, declared: &str, value: Value) -> Parameter {
    Parameter { name: name.to_owned(), declared: declared.to_owned(), value }
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// The last result of a batch: `name type | … ` and rows, as text.
pub(crate) fn shown(answers: &Answers) -> String {
    let Some((columns, rows)) = answers.results.last() else { return format!("{:?}", answers.affected) };
    let header = columns
        .iter()
        .map(|column| format!("{} {}", column.name, column.declared).trim().to_owned())
        .collect::<Vec<_>>();
    let cell = |value: &Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Int(whole) => whole.to_string(),
        Value::Float(float) => format!("{float:?}f"),
        Value::Text(text) => format!("'{text}'"),
        Value::Bytes(bytes) => format!("{bytes:02x?}"),
    };
    let rows = rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(" | "));
    [header.join(" | ")].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

/// Runs a table of statements and compares what they show.
pub(crate) fn check(product: Product, preparation: &[&str], cases: &[(&str, &str)]) {
    let (_database, mut session) = open(product);
    for statement in preparation {
        run(session.as_mut(), statement, &[]).unwrap_or_else(|failure| panic!("{statement}: {failure}"));
    }
    let mut wrong = Vec::new();
    for (sql, expected) in cases {
        let found = match run(session.as_mut(), sql, &[]) {
            Ok(answers) => shown(&answers),
            Err(failure) => format!("{failure}"),
        };
        if found != *expected {
            wrong.push(format!("{sql}\n--- expected\n{expected}\n--- found\n{found}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
