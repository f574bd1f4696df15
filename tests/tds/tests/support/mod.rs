//! A backend that answers a few statements of its own, for what is about the protocol and not about SQL.
//!
//! - `select @name, …` or `echo`: the parameters, each in a column of its declared type
//! - `values`: a row of every type; `nulls`: a row of nulls; `bad text`: a row whose text is none
//! - `rows N`: so many rows with a number and 200 characters; `rows N then wait`: and then no end
//! - `two results`, `wait`, `fail`, `nothing`, `kill me`, `mistake`

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine_standin::{Backend, Column, Outcome, Parameter, ServerError, Session, Sink, Value};

/// Characters in a row of many.
pub const ROW_CHARACTERS: usize = 200;
/// How often an answer that does not come looks whether it is still wanted.
const IDLE_MS: u64 = 5;

/// One of every type: its declaration and a value.
pub fn every_type() -> Vec<(&'static str, Value)> {
    let text = |text: &str| Value::Text(text.to_owned());
    vec![
        ("bit", Value::Int(1)),
        ("tinyint", Value::Int(255)),
        ("smallint", Value::Int(-32768)),
        ("int", Value::Int(2147483647)),
        ("bigint", Value::Int(-9223372036854775808)),
        ("real", Value::Float(0.5)),
        ("float", Value::Float(1.0e100)),
        ("decimal(38,10)", text("-1234567890123456789012345678.0123456789")),
        ("numeric(5,2)", text("123.45")),
        ("money", text("-922337203685477.5808")),
        ("smallmoney", text("214748.3647")),
        ("datetime", text("2025-03-30 01:30:00.997")),
        ("smalldatetime", text("2025-03-30 01:30:00")),
        ("date", text("2025-03-30")),
        ("time(7)", text("01:30:00.1234567")),
        ("datetime2(7)", text("2025-03-30 01:30:00.1234567")),
        ("datetimeoffset(7)", text("2025-03-30 01:30:00.1234567 +02:00")),
        ("char(6)", text("Fräse")),
        ("varchar(20)", text("Fräse €")),
        ("varchar(20) collate japanese_ci_as", text("旋盤")),
        ("varchar(20) collate polish_ci_as", text("Łódź")),
        ("varchar(20) collate latin1_general_100_ci_as_sc_utf8", text("Fräse 旋盤")),
        ("varchar(max)", text(&"ü".repeat(20_000))),
        ("nchar(6)", text("Fräse")),
        ("nvarchar(20)", text("Fräse 旋盤 😀")),
        ("nvarchar(max)", text(&"旋".repeat(20_000))),
        ("binary(4)", Value::Bytes(vec![1, 2])),
        ("varbinary(8)", Value::Bytes(vec![0xde, 0xad])),
        ("varbinary(max)", Value::Bytes(vec![7; 20_000])),
        ("uniqueidentifier", text("6f9619ff-8b86-d011-b42d-00c04fc964ff")),
        ("xml", text("<a>ü</a>")),
        ("text", text("Fräse")),
        ("ntext", text("旋盤")),
        ("image", Value::Bytes(vec![1, 2, 3])),
        ("sql_variant", text("(decimal(10,2)) 12.50")),
        ("rowversion", Value::Int(2001)),
    ]
}

/// A statement that was run, and its parameters.
pub type Run = (String, Vec<Parameter>);

/// The backend. Clones have the same notes.
#[derive(Clone, Default)]
pub struct Canned {
    /// What was run: statements and parameters.
    pub run: Arc<Mutex<Vec<Run>>>,
    /// Rows that were given.
    pub rows: Arc<AtomicU64>,
    /// Statements that were given up.
    pub cancelled: Arc<AtomicU64>,
    sessions: Arc<AtomicU32>,
}

struct CannedSession {
    backend: Canned,
    number: u32,
}

impl Backend for Canned {
    fn password(&self, login: &str) -> Option<String> {
        (login == "etl").then(|| "secret".to_owned())
    }

    fn session(&self, _: &str, database: &str) -> Result<Box<dyn Session>, ServerError> {
        if !["master", "MES"].contains(&database) {
            let message = format!("Cannot open database \"{database}\" requested by the login. The login failed.");
            return Err(ServerError { number: 4060, message, place: 1 });
        }
        let number = 51 + self.sessions.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(CannedSession { backend: self.clone(), number }))
    }
}

pub fn column(name: &str, declared: &str) -> Column {
    Column { name: name.to_owned(), declared: declared.to_owned(), nullable: declared != "rowversion" }
}

impl CannedSession {
    fn answer(&self, sql: &str, parameters: &[Parameter], sink: &mut dyn Sink) -> ControlFlow<(), Outcome> {
        if sql == "echo" || sql.starts_with("select @") {
            let columns: Vec<Column> =
                parameters.iter().map(|parameter| column(&parameter.name, &parameter.declared)).collect();
            let row: Vec<Value> = parameters.iter().map(|parameter| parameter.value.clone()).collect();
            sink.columns(&columns)?;
            sink.row(&row)?;
            sink.done(1)?;
        } else if sql == "values" || sql == "nulls" {
            let columns: Vec<Column> = every_type().iter().map(|(declared, _)| column("c", declared)).collect();
            sink.columns(&columns)?;
            let row: Vec<Value> = every_type()
                .into_iter()
                .map(|(declared, value)| if sql == "values" || declared == "rowversion" { value } else { Value::Null })
                .collect();
            sink.row(&row)?;
            sink.done(1)?;
        } else if sql == "bad text" {
            sink.columns(&[column("good", "varchar(9)"), column("bad", "varchar(9) collate japanese_ci_as")])?;
            sink.row(&[Value::Text("a".to_owned()), Value::Bytes(vec![0x81])])?;
            sink.done(1)?;
        } else if sql == "two results" {
            for number in [1, 2] {
                sink.columns(&[column("n", "int")])?;
                sink.row(&[Value::Int(number)])?;
                sink.done(1)?;
            }
        } else if sql == "mistake" {
            sink.columns(&[column("n", "int")])?;
            sink.row(&[Value::Text("x".to_owned())])?;
        } else if let Some(rest) = sql.strip_prefix("rows ") {
            let (count, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            self.rows(count.parse().expect("a count"), sink)?;
            if rest == "then wait" {
                return self.wait(sink);
            }
        } else if sql == "wait" {
            return self.wait(sink);
        } else if sql == "kill me" {
            return ControlFlow::Continue(Outcome::Killed);
        } else {
            sink.done(0)?;
        }
        ControlFlow::Continue(Outcome::Complete)
    }

    fn rows(&self, count: i64, sink: &mut dyn Sink) -> ControlFlow<()> {
        sink.columns(&[column("n", "int"), column("t", "varchar(200)")])?;
        let text = "x".repeat(ROW_CHARACTERS);
        for number in 1..=count {
            self.backend.rows.fetch_add(1, Ordering::Relaxed);
            sink.row(&[Value::Int(number), Value::Text(text.clone())])?;
        }
        sink.done(count as u64)
    }

    fn wait(&self, sink: &mut dyn Sink) -> ControlFlow<(), Outcome> {
        loop {
            sink.idle()?;
            std::thread::sleep(Duration::from_millis(IDLE_MS));
        }
    }
}

impl Session for CannedSession {
    fn number(&self) -> u32 {
        self.number
    }

    fn run(&mut self, sql: &str, parameters: &[Parameter], sink: &mut dyn Sink) -> Result<Outcome, ServerError> {
        self.backend.run.lock().expect("a lock").push((sql.to_owned(), parameters.to_vec()));
        if sql == "fail" {
            let message = "Invalid object name 'dbo.none'.".to_owned();
            return Err(ServerError { number: 208, message, place: 3 });
        }
        match self.answer(sql, parameters, sink) {
            ControlFlow::Continue(outcome) => Ok(outcome),
            ControlFlow::Break(()) => {
                self.backend.cancelled.fetch_add(1, Ordering::Relaxed);
                Ok(Outcome::Cancelled)
            }
        }
    }

    fn is_killed(&self) -> bool {
        false
    }
}
