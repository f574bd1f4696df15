//! One session that asks: every question is counted, and bounded by rows, bytes, statements and time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use engine_core::mapping::cell_json;
use engine_core::ports::{Ask, Fetched, Source, SourceError, SourceErrorKind};
use engine_core::value::RowBatch;
use engine_spec::model::Param;
use engine_spec::sql::Dialect;
use engine_spec::template::{Scope, SqlTemplate, Statement};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

/// Statements of one survey.
pub(super) const STATEMENTS_MAX: u32 = 600;
/// How long a survey goes on asking.
pub(super) const SURVEY_TIME_MAX: Duration = Duration::from_secs(5 * 60);
/// Bytes that are kept of one answer.
pub(super) const ANSWER_BYTES_MAX: usize = 32 << 20;

/// An answer, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) rows: Vec<Vec<Value>>,
    /// There was more than what was kept.
    pub(super) is_cut: bool,
}

/// A session that counts what it asks.
pub(super) struct Session {
    source: Box<dyn Source>,
    dialect: Dialect,
    now: Timestamp,
    begun: Instant,
    statements: u32,
    bytes_max: usize,
}

impl Session {
    pub(super) fn new(source: Box<dyn Source>, dialect: Dialect, now: Timestamp) -> Self {
        Self { source, dialect, now, begun: Instant::now(), statements: 0, bytes_max: ANSWER_BYTES_MAX }
    }

    pub(super) fn version(&self) -> String {
        self.source.identity().version.clone()
    }

    pub(super) fn statements(&self) -> u32 {
        self.statements
    }

    /// Why nothing more is asked, where that is so.
    pub(super) fn is_over(&self) -> Option<String> {
        if self.statements >= STATEMENTS_MAX {
            return Some(format!("{STATEMENTS_MAX} statements were sent; the rest was not asked"));
        }
        let is_late = self.begun.elapsed() >= SURVEY_TIME_MAX;
        is_late.then(|| format!("{} minutes have passed; the rest was not asked", SURVEY_TIME_MAX.as_secs() / 60))
    }

    /// Asks a question of the catalogue, a template over lists of names.
    pub(super) fn ask_catalogue(
        &mut self,
        template: &str,
        params: &BTreeMap<String, Param>,
        rows_max: usize,
    ) -> Result<Answer, SourceError> {
        let wrong = |message: String| SourceError {
            kind: SourceErrorKind::Query,
            tried: "asking the catalogue".to_owned(),
            message,
            hint: None,
        };
        let (parsed, findings) = SqlTemplate::parse(template, self.dialect);
        let Some(parsed) = parsed else {
            return Err(wrong(findings.into_iter().next().map(|finding| finding.message).unwrap_or_default()));
        };
        let scope = Scope { params, window: None, cursor: &BTreeMap::new(), now: self.now, zone: &TimeZone::UTC };
        let statement = parsed.render(&scope).map_err(|error| wrong(error.to_string()))?;
        self.send(statement, rows_max)
    }

    /// Asks for rows of a table, whose names are quoted.
    pub(super) fn ask_rows(&mut self, sql: String, rows_max: usize) -> Result<Answer, SourceError> {
        self.send(Statement { sql, binds: Vec::new() }, rows_max)
    }

    fn send(&mut self, statement: Statement, rows_max: usize) -> Result<Answer, SourceError> {
        self.statements += 1;
        let ask = Ask {
            statement: Some(statement),
            now: self.now,
            batch_rows_max: Some(rows_max.clamp(1, engine_core::value::BATCH_ROWS_MAX)),
            ..Ask::default()
        };
        self.source.ask(&ask)?;
        let mut batch = RowBatch::new();
        let mut answer = Answer::default();
        let mut bytes = 0;
        while self.source.next(&mut batch)? == Fetched::Rows {
            for row in batch.rows() {
                if answer.rows.len() == rows_max || bytes > self.bytes_max {
                    answer.is_cut = true;
                    return Ok(answer);
                }
                let cells = (0..row.columns().len()).map(|place| cell_json(row.get(place)));
                let values = cells.map(|json| {
                    bytes += json.len();
                    serde_json::from_str(&json).unwrap_or_default()
                });
                answer.rows.push(values.collect());
            }
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::scripted;
    use super::*;

    #[test]
    fn nothing_is_asked_after_so_many_statements_or_so_long() {
        let (mut session, sent) = scripted::session(Dialect::Sqlite, Vec::new());
        for _ in 0..STATEMENTS_MAX {
            assert_eq!(session.is_over(), None);
            session.ask_rows("SELECT 1".to_owned(), 1).expect("an answer");
        }
        assert_eq!(session.is_over().as_deref(), Some("600 statements were sent; the rest was not asked"));
        assert_eq!(sent.lock().expect("one thread").len(), STATEMENTS_MAX as usize);
        let (mut session, _) = scripted::session(Dialect::Sqlite, Vec::new());
        session.begun = Instant::now().checked_sub(SURVEY_TIME_MAX).expect("the machine is on for longer");
        assert_eq!(session.is_over().as_deref(), Some("5 minutes have passed; the rest was not asked"));
    }

    #[test]
    fn an_answer_is_cut_at_rows_and_at_bytes() {
        let rows = |count: usize, text: &str| vec![("SELECT", vec![vec![json!(text)]; count])];
        let (mut session, _) = scripted::session(Dialect::Sqlite, rows(3, "x"));
        let answer = session.ask_rows("SELECT x".to_owned(), 3).expect("an answer");
        assert_eq!((answer.rows.len(), answer.is_cut), (3, false));
        let answer = session.ask_rows("SELECT x".to_owned(), 2).expect("an answer");
        assert_eq!((answer.rows.len(), answer.is_cut), (2, true));
        let (text, all) = ("x".repeat(1_000), 34_000);
        assert!(all * text.len() > ANSWER_BYTES_MAX);
        let (mut session, _) = scripted::session(Dialect::Sqlite, rows(all, &text));
        let answer = session.ask_rows("SELECT x".to_owned(), all).expect("an answer");
        assert!(answer.is_cut && answer.rows.len() < all, "{} rows", answer.rows.len());
    }
}
