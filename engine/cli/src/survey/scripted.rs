//! A server that answers by a script, for tests.

use std::sync::{Arc, Mutex};

use engine_core::ports::{Ask, Fetched, Source, SourceError, SourceErrorKind, SourceIdentity};
use engine_core::value::{BATCH_ROWS_MAX, Column, Columns, Kind, RowBatch, Slot};
use engine_spec::sql::Dialect;
use jiff::Timestamp;
use serde_json::Value;

use super::session::Session;

/// What was sent, in order.
pub(super) type Sent = Arc<Mutex<Vec<String>>>;

/// Answers by the first of the scripted words that a statement contains; what has none of them gets no row, and what
/// contains `DENIED` is refused.
struct Scripted {
    answers: Vec<(&'static str, Vec<Vec<Value>>)>,
    waiting: std::vec::IntoIter<Vec<Value>>,
    sent: Sent,
    identity: SourceIdentity,
}

/// A session with a server that answers so, and what it is sent.
pub(super) fn session(dialect: Dialect, answers: Vec<(&'static str, Vec<Vec<Value>>)>) -> (Session, Sent) {
    let sent = Sent::default();
    let source =
        Scripted { answers, waiting: Vec::new().into_iter(), sent: sent.clone(), identity: SourceIdentity::default() };
    (Session::new(Box::new(source), dialect, Timestamp::UNIX_EPOCH), sent)
}

impl Source for Scripted {
    fn ask(&mut self, ask: &Ask) -> Result<(), SourceError> {
        let sql = &ask.statement.as_ref().expect("a statement").sql;
        self.sent.lock().expect("one thread").push(sql.clone());
        if sql.contains("DENIED") {
            return Err(SourceError {
                kind: SourceErrorKind::Permission,
                tried: "asking".to_owned(),
                message: "ORA-01031".to_owned(),
                hint: None,
            });
        }
        let answer = self.answers.iter().find(|(words, _)| sql.contains(words));
        self.waiting = answer.map(|(_, rows)| rows.clone()).unwrap_or_default().into_iter();
        Ok(())
    }

    fn next(&mut self, batch: &mut RowBatch) -> Result<Fetched, SourceError> {
        let width = self.waiting.as_slice().first().map_or(1, Vec::len);
        let column = |at: usize| Column { name: format!("c{at}"), kind: Kind::Any, source_type: String::new() };
        let columns: Columns = (0..width).map(column).collect();
        batch.reset(&columns);
        for value in self.waiting.by_ref().take(BATCH_ROWS_MAX).flatten() {
            match value {
                Value::String(text) => batch.push_text(&text),
                Value::Number(number) => batch.push_decimal(&number.to_string()),
                Value::Bool(truth) => batch.push(Slot::Bool(truth)),
                _ => batch.push(Slot::Null),
            }
        }
        Ok(if batch.is_empty() { Fetched::End } else { Fetched::Rows })
    }

    fn identity(&self) -> &SourceIdentity {
        &self.identity
    }
}
