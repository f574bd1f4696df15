//! Rows that a test gives instead of a source, and what a run makes of rows, in the words of a test.

use std::collections::BTreeMap;

use engine_core::canonical::CanonicalRow;
use engine_core::mapping::{Mapper, Outcome, find_column, row_json};
use engine_core::memory::MemoryPipeline;
use engine_core::plan::Plan;
use engine_core::ports::{Ask, Fetched, Source, SourceError, SourceIdentity};
use engine_core::record::write_row;
use engine_core::run::Observer;
use engine_core::state::{QuarantineEntry, Stage};
use engine_core::value::{Column, Columns, Kind, Row, RowBatch, Slot};
use serde_json::{Map, Value};

/// Rows of a test as a source.
#[derive(Clone)]
pub struct FixtureSource {
    columns: Columns,
    rows: Vec<Vec<Value>>,
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
        Self { columns: columns.into(), rows: values }
    }

    /// Whether there are no rows at all.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All rows in one batch.
    pub fn fill(&self, batch: &mut RowBatch) {
        batch.reset(&self.columns);
        for value in self.rows.iter().flatten() {
            push(batch, value);
        }
    }

    /// A session that gives the rows to every question.
    pub fn open(&self) -> Box<dyn Source> {
        Box::new(FixtureSession { source: self.clone(), given: false, identity: SourceIdentity::default() })
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
    given: bool,
    identity: SourceIdentity,
}

impl Source for FixtureSession {
    fn ask(&mut self, _ask: &Ask) -> Result<(), SourceError> {
        self.given = false;
        Ok(())
    }

    fn next(&mut self, batch: &mut RowBatch) -> Result<Fetched, SourceError> {
        if self.given {
            batch.reset(&self.source.columns);
            return Ok(Fetched::End);
        }
        self.given = true;
        self.source.fill(batch);
        Ok(Fetched::Rows)
    }

    fn identity(&self) -> &SourceIdentity {
        &self.identity
    }
}

/// A row as it came: the source's columns, the outcome, the canonical row, and why it was refused.
pub type SeenRow = (String, Outcome, Option<Map<String, Value>>, String);

/// What a run makes of rows, in the words of a test: canonical names, times as RFC 3339.
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

/// A delivered run in the words of a test; `None` for a deletion.
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
fn as_rejected(entry: &QuarantineEntry, plan: &Plan) -> Map<String, Value> {
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
