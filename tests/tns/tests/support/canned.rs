//! A backend that knows a handful of statements, so that the protocol is tested without a database.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use engine_standin::{Backend, Column, Outcome, Parameter, ServerError, Session, Sink, Value};

/// The login that there is.
pub const USER: &str = "SCOTT";
/// A login that servers are told is locked.
pub const LOCKED: &str = "LOCKED";
/// The password of both.
pub const PASSWORD: &str = "Tiger-ä 7";

/// What happened behind the protocol.
#[derive(Default)]
pub struct Seen {
    /// Statements, without those of a login.
    pub statements: Mutex<Vec<String>>,
    /// Rows that were handed to sinks.
    pub rows: AtomicU64,
    /// Statements that were given up.
    pub cancelled: AtomicU64,
    /// Whether sessions are to find that another has ended them.
    pub kill: AtomicBool,
}

/// The backend.
#[derive(Default)]
pub struct Canned {
    pub seen: Arc<Seen>,
    sessions: AtomicU32,
}

impl Backend for Canned {
    fn password(&self, login: &str) -> Option<String> {
        [USER, LOCKED].contains(&login).then(|| PASSWORD.to_owned())
    }

    fn session(&self, _: &str, _: &str) -> Result<Box<dyn Session>, ServerError> {
        let number = self.sessions.fetch_add(1, Ordering::Relaxed) + 100;
        Ok(Box::new(CannedSession { seen: Arc::clone(&self.seen), number }))
    }
}

struct CannedSession {
    seen: Arc<Seen>,
    number: u32,
}

fn column(name: &str, declared: &str) -> Column {
    Column { name: name.to_owned(), declared: declared.to_owned(), nullable: true }
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// A column of each type, with a value of it.
pub fn all_types() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("ID", "NUMBER(10)", Value::Int(7)),
        ("AMOUNT", "NUMBER(38,9)", text("-12345678901234567890123456789.000000001")),
        ("ANY_NUMBER", "NUMBER", text("0.1")),
        ("RATIO", "FLOAT(126)", text("2.5")),
        ("SINGLE", "BINARY_FLOAT", Value::Float(1.5)),
        ("DOUBLE", "BINARY_DOUBLE", Value::Float(-2.25)),
        ("NAME", "VARCHAR2(40 CHAR)", text("Müller 😀")),
        ("NAME_N", "NVARCHAR2(40)", text("Žluťoučký 😀")),
        ("CODE", "CHAR(5)", text("ab   ")),
        ("CODE_N", "NCHAR(5)", text("äb   ")),
        ("BITS", "RAW(16)", Value::Bytes(vec![0, 255, 16])),
        ("DAY", "DATE", text("2025-03-30 01:30:59")),
        ("AT", "TIMESTAMP(9)", text("2025-03-30 01:30:59.123456789")),
        ("AT_WHOLE", "TIMESTAMP(6)", text("2025-03-30 01:30:59")),
        ("AT_ZONE", "TIMESTAMP(6) WITH TIME ZONE", text("2025-03-30 01:30:59.5 +02:00")),
        ("AT_LOCAL", "TIMESTAMP(6) WITH LOCAL TIME ZONE", text("2025-03-30 01:30:59.25")),
        ("LASTED", "INTERVAL DAY(2) TO SECOND(6)", text("+01 02:03:04.500000")),
        ("PLACE", "ROWID", text("AAAShEAAGAAAAFXAAB")),
    ]
}

fn long_text() -> String {
    "Zeile ä😀 ".repeat(5_000)
}

impl Session for CannedSession {
    fn number(&self) -> u32 {
        self.number
    }

    fn is_killed(&self) -> bool {
        self.seen.kill.load(Ordering::Relaxed)
    }

    fn run(&mut self, sql: &str, parameters: &[Parameter], sink: &mut dyn Sink) -> Result<Outcome, ServerError> {
        let sql = sql.trim();
        if sql.starts_with("ALTER SESSION SET TIME_ZONE") {
            return Ok(Outcome::Complete);
        }
        self.seen.statements.lock().unwrap().push(sql.to_owned());
        let went = self.answer(sql, parameters, sink)?;
        if went.is_break() {
            self.seen.cancelled.fetch_add(1, Ordering::Relaxed);
            return Ok(Outcome::Cancelled);
        }
        Ok(Outcome::Complete)
    }
}

impl CannedSession {
    fn rows(&self, sink: &mut dyn Sink, rows: impl Iterator<Item = Vec<Value>>) -> ControlFlow<()> {
        let mut count = 0;
        for row in rows {
            sink.row(&row)?;
            self.seen.rows.fetch_add(1, Ordering::Relaxed);
            count += 1;
        }
        sink.done(count)
    }

    fn answer(&self, sql: &str, parameters: &[Parameter], sink: &mut dyn Sink) -> Result<ControlFlow<()>, ServerError> {
        let words: Vec<&str> = sql.split_whitespace().collect();
        let table = words.iter().position(|word| word.eq_ignore_ascii_case("FROM")).and_then(|at| words.get(at + 1));
        let count = || words.last().and_then(|word| word.parse().ok()).unwrap_or(0);
        let columns = |sink: &mut dyn Sink, columns: &[(&str, &str)]| {
            let columns: Vec<Column> = columns.iter().map(|(name, declared)| column(name, declared)).collect();
            sink.columns(&columns)
        };
        let missing = ServerError {
            number: 942,
            message: "table or view does not exist".to_owned(),
            place: sql.find("FROM").map_or(0, |at| at as u32 + 5),
        };
        let step = match table.map(|table| table.to_lowercase()).as_deref() {
            Some("types") => {
                let (names, values): (Vec<_>, Vec<_>) =
                    all_types().into_iter().map(|(name, declared, value)| ((name, declared), value)).unzip();
                let nulls = vec![Value::Null; values.len()];
                columns(sink, &names).is_continue().then(|| self.rows(sink, [values, nulls].into_iter()))
            }
            // What Oracle's driver for Node asks when it connects.
            _ if sql.eq_ignore_ascii_case("SELECT DBTIMEZONE FROM DUAL") => {
                let one = [vec![text("+00:00")]];
                columns(sink, &[("DBTIMEZONE", "VARCHAR2(6)")]).is_continue().then(|| self.rows(sink, one.into_iter()))
            }
            Some("dual") if !parameters.is_empty() => {
                let named: Vec<Column> = parameters.iter().map(|p| column(&p.name, &p.declared)).collect();
                let values = parameters.iter().map(|p| p.value.clone()).collect();
                sink.columns(&named).is_continue().then(|| self.rows(sink, [values].into_iter()))
            }
            Some("dual") => {
                let one = [vec![Value::Int(1)]];
                columns(sink, &[("ONE", "NUMBER")]).is_continue().then(|| self.rows(sink, one.into_iter()))
            }
            Some("nothing") => {
                columns(sink, &[("ONE", "NUMBER")]).is_continue().then(|| self.rows(sink, [].into_iter()))
            }
            Some("null_by_description") => columns(sink, &[("N", "VARCHAR2(0)"), ("ONE", "NUMBER")])
                .is_continue()
                .then(|| self.rows(sink, [vec![Value::Null, Value::Int(1)]].into_iter())),
            // Rows FETCH <count>: a number, a text that is the same four times, and one that is null now and then.
            Some("numbers") => columns(sink, &[("N", "NUMBER(10)"), ("G", "VARCHAR2(20)"), ("S", "VARCHAR2(20)")])
                .is_continue()
                .then(|| {
                    let row = |n: i64| {
                        let sometimes = if n % 3 == 0 { Value::Null } else { text(&format!("s{}", n / 2)) };
                        vec![Value::Int(n), text(&format!("group {}", n / 4)), sometimes]
                    };
                    self.rows(sink, (0..count()).map(row))
                }),
            Some("wide") => columns(sink, &[("N", "NUMBER(10)"), ("S", "VARCHAR2(200)")])
                .is_continue()
                .then(|| self.rows(sink, (0..count()).map(|n| vec![Value::Int(n), text(&"x".repeat(200))]))),
            Some("lobs") => columns(sink, &[("ID", "NUMBER"), ("C", "CLOB"), ("B", "BLOB"), ("NC", "NCLOB")])
                .is_continue()
                .then(|| {
                    let blob = Value::Bytes((0..100_000u32).map(|n| n as u8).collect());
                    let rows = [
                        vec![Value::Int(1), text(&long_text()), blob, text("národní")],
                        vec![Value::Int(2), Value::Null, Value::Null, Value::Null],
                        vec![Value::Int(3), text("short"), Value::Bytes(vec![1, 2, 3]), text("n")],
                    ];
                    self.rows(sink, rows.into_iter())
                }),
            Some("longs") => {
                columns(sink, &[("ID", "NUMBER"), ("L", "LONG"), ("V", "VARCHAR2(4000)")]).is_continue().then(|| {
                    let rows = [
                        vec![Value::Int(1), text(&long_text()), text(&"v".repeat(4_000))],
                        vec![Value::Int(2), Value::Null, Value::Null],
                    ];
                    self.rows(sink, rows.into_iter())
                })
            }
            Some("forever") => columns(sink, &[("ONE", "NUMBER")]).is_continue().then(|| {
                loop {
                    thread::sleep(Duration::from_millis(5));
                    sink.idle()?;
                }
            }),
            Some("misfit") => columns(sink, &[("D", "DATE")])
                .is_continue()
                .then(|| self.rows(sink, [vec![text("2025-01-01")], vec![text("no date")]].into_iter())),
            Some("later_error") => {
                let went = columns(sink, &[("N", "NUMBER")]).is_continue().then(|| sink.row(&[Value::Int(1)]));
                if went.is_some_and(|went| went.is_continue()) {
                    return Err(ServerError { number: 1476, message: "divisor is equal to zero".to_owned(), place: 0 });
                }
                None
            }
            Some(_) => return Err(missing),
            None => Some(sink.done(u64::from(sql.starts_with("INSERT")))),
        };
        Ok(step.unwrap_or(ControlFlow::Break(())))
    }
}
