//! Rows that a test gives instead of a source, and what a run makes of rows, in the words of a test.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine_core::canonical::CanonicalRow;
use engine_core::mapping::{Mapper, Outcome, find_column, row_json};
use engine_core::memory::MemoryPipeline;
use engine_core::plan::Plan;
use engine_core::ports::{Ask, Fetched, Source, SourceError, SourceIdentity};
use engine_core::record::write_row;
use engine_core::recording::Recording;
use engine_core::run::Observer;
use engine_core::state::{QuarantineEntry, Stage};
use engine_core::value::{Column, Columns, Kind, Row, RowBatch, Slot};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Rows of a test as a source.
#[derive(Clone)]
pub struct FixtureSource {
    rows: Arc<Rows>,
}

enum Rows {
    /// Written in the test: the source does not say what its columns hold.
    Written { columns: Columns, rows: Vec<Vec<Value>> },
    /// Read from a source once: every column has its kind.
    Recorded(Recording),
}

impl FixtureSource {
    /// The rows of a test. A column that the spec names and no row has is null.
    pub fn new(plan: &Plan, rows: &[BTreeMap<String, Value>]) -> Self {
        let mut columns: Vec<Column> = Vec::new();
        let column = |name: &str| Column { name: name.to_owned(), kind: Kind::Any, source_type: "test".to_owned() };
        for name in rows.iter().flat_map(BTreeMap::keys) {
            if !columns.iter().any(|known| known.name == *name) {
                columns.push(column(name));
            }
        }
        for name in plan.named_columns() {
            if find_column(&columns, &name).is_err()
                && !columns.iter().any(|known| known.name.eq_ignore_ascii_case(&name))
            {
                columns.push(column(&name));
            }
        }
        let values = rows
            .iter()
            .map(|row| columns.iter().map(|column| row.get(&column.name).cloned().unwrap_or(Value::Null)).collect())
            .collect();
        Self { rows: Arc::new(Rows::Written { columns: columns.into(), rows: values }) }
    }

    /// The rows of a recording.
    pub fn recorded(recording: Recording) -> Self {
        Self { rows: Arc::new(Rows::Recorded(recording)) }
    }

    /// Whether there are no rows at all.
    pub fn is_empty(&self) -> bool {
        match &*self.rows {
            Rows::Written { rows, .. } => rows.is_empty(),
            Rows::Recorded(recording) => recording.rows.is_empty(),
        }
    }

    /// The clock of the run that recorded the rows.
    pub fn recorded_at(&self) -> Option<Timestamp> {
        match &*self.rows {
            Rows::Written { .. } => None,
            Rows::Recorded(recording) => Some(recording.now),
        }
    }

    /// The columns of the rows.
    pub fn columns(&self) -> &Columns {
        match &*self.rows {
            Rows::Written { columns, .. } => columns,
            Rows::Recorded(recording) => &recording.columns,
        }
    }

    /// Calls a function with every batch of rows.
    pub fn each_batch(&self, mut visit: impl FnMut(&RowBatch)) {
        let mut batch = RowBatch::new();
        let mut next = (!self.is_empty()).then_some(0);
        while let Some(from) = next {
            next = self.fill(from, &mut batch);
            visit(&batch);
        }
    }

    /// Fills a batch with the rows from a place on; the place of the next, or none after the last.
    fn fill(&self, from: usize, batch: &mut RowBatch) -> Option<usize> {
        match &*self.rows {
            Rows::Recorded(recording) => recording.fill(from, batch),
            Rows::Written { columns, rows } => {
                batch.reset(columns);
                for value in rows.iter().flatten() {
                    push(batch, value);
                }
                None
            }
        }
    }

    /// A session that gives the rows to every question.
    pub fn open(&self) -> Box<dyn Source> {
        Box::new(FixtureSession { source: self.clone(), next: None, identity: SourceIdentity::default() })
    }
}

fn push(batch: &mut RowBatch, value: &Value) {
    match value {
        Value::Null => batch.push(Slot::Null),
        Value::Bool(truth) => batch.push(Slot::Bool(*truth)),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => batch.push(Slot::Int(whole)),
            // Digits as they were written: a decimal of a test stays exact.
            None => batch.push_decimal(&number.to_string()),
        },
        Value::String(text) => batch.push_text(text),
        Value::Array(_) | Value::Object(_) => batch.push_json(&value.to_string()),
    }
}

struct FixtureSession {
    source: FixtureSource,
    /// The place of the next row.
    next: Option<usize>,
    identity: SourceIdentity,
}

impl Source for FixtureSession {
    fn ask(&mut self, _ask: &Ask) -> Result<(), SourceError> {
        self.next = (!self.source.is_empty()).then_some(0);
        Ok(())
    }

    fn next(&mut self, batch: &mut RowBatch) -> Result<Fetched, SourceError> {
        let Some(from) = self.next else {
            batch.reset(self.source.columns());
            return Ok(Fetched::End);
        };
        self.next = self.source.fill(from, batch);
        Ok(Fetched::Rows)
    }

    fn identity(&self) -> &SourceIdentity {
        &self.identity
    }
}

/// A row as it came: the source's columns, the outcome, the canonical row, and why it was refused.
pub type SeenRow = (String, Outcome, Option<Map<String, Value>>, String);

/// What a run makes of rows, in the words of a test: canonical names, times as RFC 3339.
#[derive(Debug, PartialEq)]
pub struct Outcomes {
    table: engine_spec::model::TableType,
    /// Items of each list at most; all are counted.
    limit: usize,
    /// Rows as they came.
    pub seen: Vec<SeenRow>,
    /// The canonical rows.
    pub rows: Vec<Map<String, Value>>,
    /// The runs.
    pub runs: Vec<Map<String, Value>>,
    /// What was rejected: the columns of the row, `code`, `reason` and `rule`.
    pub rejected: Vec<Map<String, Value>>,
}

impl Outcomes {
    /// Collects up to a limit.
    pub fn new(plan: &Plan, limit: usize) -> Self {
        Self { table: plan.table, limit, seen: Vec::new(), rows: Vec::new(), runs: Vec::new(), rejected: Vec::new() }
    }

    /// Takes runs and rejects out of the store that the run wrote.
    pub fn take_from(&mut self, pipeline: &MemoryPipeline, plan: &Plan) {
        if plan.deliver == engine_spec::model::Deliver::Runs {
            self.runs = pipeline.outbox.values().filter_map(|(record, _)| as_run(&record.body)).collect();
        }
        self.rejected = pipeline.quarantine.iter().map(|(entry, _)| as_rejected(entry, plan)).collect();
    }
}

impl Observer for Outcomes {
    fn row(&mut self, row: Row<'_>, outcome: Outcome, canonical: &CanonicalRow, mapper: &Mapper) {
        let mapped = (outcome == Outcome::Row).then(|| {
            let mut json = String::new();
            write_row(&mut json, uuid::Uuid::nil(), canonical, self.table);
            let mut object = serde_json::from_str::<Map<String, Value>>(&json).unwrap_or_default();
            object.shift_remove("op");
            object.shift_remove("row_id");
            object
        });
        if self.seen.len() < self.limit {
            let why = mapper.rejections().iter().map(|one| one.reason.as_str()).collect::<Vec<_>>().join("; ");
            self.seen.push((row_json(row), outcome, mapped.clone(), why));
        }
        if self.rows.len() < self.limit {
            self.rows.extend(mapped);
        }
    }
}

/// A delivered run or row in the words of a test; `None` for a deletion.
pub fn as_run(body: &str) -> Option<Map<String, Value>> {
    let mut record = serde_json::from_str::<Map<String, Value>>(body).ok()?;
    if record.get("op")? != "upsert" {
        return None;
    }
    record.shift_remove("op");
    if let Some(order) = record.shift_remove("production_order") {
        record.insert("order_code".to_owned(), order);
    }
    if let Some(Value::Object(mut product)) = record.shift_remove("product") {
        if let Some(code) = product.shift_remove("code") {
            record.insert("product_code".to_owned(), code);
        }
        if let Some(name) = product.shift_remove("name") {
            record.insert("product_name".to_owned(), name);
        }
    }
    Some(record)
}

/// A rejected row in the words of a test.
pub fn as_rejected(entry: &QuarantineEntry, plan: &Plan) -> Map<String, Value> {
    let mut row = serde_json::from_str::<Map<String, Value>>(&entry.row).unwrap_or_default();
    // Two rows of one key are compared after the mapping, like the rows of a run.
    if entry.stage == Stage::Run || entry.code == "duplicate_key" {
        row.shift_remove("op");
        row.shift_remove("row_id");
        // A booking that the pairing refuses is named by its key columns, as in the source.
        if let Ok(parts) = serde_json::from_str::<Vec<Value>>(&entry.key) {
            row.extend(plan.key.iter().cloned().zip(parts));
        }
    }
    row.insert("code".to_owned(), entry.code.as_str().into());
    row.insert("reason".to_owned(), entry.reason.as_str().into());
    row.insert("rule".to_owned(), entry.rule.as_str().into());
    row
}
