//! What is seen of a run while it reads: what it asks, and the rows.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use engine_core::canonical::{CanonicalRow, KeyForm, KeyMap, KeyText, RowKey};
use engine_core::mapping::{Mapper, Outcome, Rejection, row_json};
use engine_core::memory::MemoryPipeline;
use engine_core::plan::Plan;
use engine_core::ports::{Ask, Fetched, Source, SourceError, SourceIdentity};
use engine_core::probe::Probe;
use engine_core::record::write_run;
use engine_core::run::Observer;
use engine_core::state::{LedgerRecord, LedgerRow, QUARANTINE_ROWS_MAX, QuarantineEntry, Stage};
use engine_core::value::{Row, RowBatch};
use serde_json::{Map, Value};

use crate::args::PreviewArgs;
use crate::fixture::as_run;

/// What a source was asked, the first and the last question of a session.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<Ask>>>);

impl Heard {
    /// A source that tells what it is asked. What an earlier one told is forgotten.
    pub(super) fn overhear(&self, source: Box<dyn Source>) -> Box<dyn Source> {
        self.with(Vec::clear);
        Box::new(Overheard { source, heard: self.clone() })
    }

    /// The first question.
    pub(super) fn first(&self) -> Option<Ask> {
        self.with(|asked| asked.first().cloned())
    }

    /// The last question.
    pub(super) fn last(&self) -> Option<Ask> {
        self.with(|asked| asked.last().cloned())
    }

    /// From the start of the first window to the end of the last.
    pub(super) fn window(&self) -> Option<(jiff::Timestamp, jiff::Timestamp)> {
        let (first, last) = (self.first()?.window?, self.last()?.window?);
        Some((first.0.min(last.0), first.1.max(last.1)))
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Vec<Ask>) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Overheard {
    source: Box<dyn Source>,
    heard: Heard,
}

impl Source for Overheard {
    fn ask(&mut self, ask: &Ask) -> Result<(), SourceError> {
        self.heard.with(|asked| {
            asked.truncate(1);
            asked.push(ask.clone());
        });
        self.source.ask(ask)
    }

    fn next(&mut self, batch: &mut RowBatch) -> Result<Fetched, SourceError> {
        self.source.next(batch)
    }

    fn identity(&self) -> &SourceIdentity {
        self.source.identity()
    }

    fn probe(&mut self, ask: &Ask) -> Result<Probe, SourceError> {
        self.source.probe(ask)
    }

    fn left_for_later(&self) -> Option<String> {
        self.source.left_for_later()
    }
}

/// A row as it was read, and what the mapping made of it.
pub(super) struct SeenRow {
    /// Its key text, or what stands for it where the key is null.
    pub(super) key: String,
    /// The columns as JSON.
    pub(super) columns: String,
    pub(super) outcome: Outcome,
    /// The canonical row, where it is one.
    pub(super) canonical: Option<CanonicalRow>,
    pub(super) rejections: Vec<Rejection>,
}

/// Watches rows go by.
pub(super) struct Watch {
    limit: usize,
    /// The key that is looked for, as it is written and as the key of one column.
    wanted: Option<[String; 2]>,
    pub(super) rows: Vec<SeenRow>,
    /// Keys of rows that were refused.
    refused: HashSet<String>,
    /// Rows that are records as they stand, where the ledger keeps only a hash of those that do not change.
    kept: Option<KeyMap<LedgerRow>>,
    /// How the ledger makes its keys.
    keys: KeyForm,
}

impl Watch {
    pub(super) fn new(plan: &Plan, args: &PreviewArgs, before: &MemoryPipeline) -> Self {
        let is_needed = !plan.is_folded() && !before.records.is_empty();
        Self {
            limit: args.limit,
            wanted: args.row.as_ref().map(|key| [key.clone(), KeyText::of_one(key)]),
            rows: Vec::new(),
            refused: HashSet::new(),
            kept: is_needed.then(KeyMap::default),
            keys: before.state.keys,
        }
    }

    /// A record in the words of a spec, where its row went by.
    pub(super) fn words(&self, record: &LedgerRecord) -> Option<Map<String, Value>> {
        let row = self.kept.as_ref()?.get(&record.key)?.canonical().ok()?;
        let mut json = String::new();
        write_run(&mut json, record.id, row.start, row.end, &row.details);
        as_run(&json)
    }

    /// Whether a refusal is of what this run read, and none that was there before.
    pub(super) fn has_judged(
        &self,
        entry: &QuarantineEntry,
        before: &MemoryPipeline,
        is_read: impl Fn(i64) -> bool,
    ) -> bool {
        let same = |old: &QuarantineEntry| (old.stage, &old.key, &old.code) == (entry.stage, &entry.key, &entry.code);
        match entry.stage {
            Stage::Delivery => false,
            Stage::Row if self.refused.contains(&entry.key) => true,
            Stage::Row | Stage::Run => {
                entry.at.is_some_and(is_read) || !before.quarantine.iter().any(|(old, _)| same(old))
            }
        }
    }
}

impl Observer for Watch {
    fn row(&mut self, row: Row<'_>, outcome: Outcome, canonical: &CanonicalRow, mapper: &Mapper) {
        let mut columns = None;
        let key = if mapper.has_key() {
            canonical.key_text.clone()
        } else {
            let json = row_json(row);
            let key = format!("{:032x}", RowKey::hash(&json).0);
            columns = Some(json);
            key
        };
        if let Some(kept) = self.kept.as_mut().filter(|_| outcome == Outcome::Row) {
            let key = self.keys.key(&key);
            kept.entry(key).or_default().set(key, 0, canonical);
        }
        let is_wanted = self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&key));
        if is_wanted && self.rows.len() < self.limit {
            self.rows.push(SeenRow {
                key: key.clone(),
                columns: columns.unwrap_or_else(|| row_json(row)),
                outcome,
                canonical: (outcome == Outcome::Row).then(|| canonical.clone()),
                rejections: mapper.rejections().to_vec(),
            });
        }
        if outcome == Outcome::Rejected && self.refused.len() < QUARANTINE_ROWS_MAX {
            self.refused.insert(key);
        }
    }
}
