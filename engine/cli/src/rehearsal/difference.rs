//! What a run changes of the records that were handed over: which are new, changed and gone, and member by member how.

use std::collections::BTreeMap;

use engine_core::canonical::RowKey;
use engine_core::memory::MemoryPipeline;
use engine_core::plan::Plan;
use engine_core::record::write_run;
use engine_core::state::LedgerRecord;
use engine_core::time::{Instant, write_rfc3339};
use engine_spec::model::TableType;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::fixture::as_run;

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was not there before.
    New,
    /// It says something else.
    Changed,
    /// It is not there any more.
    Gone,
}

/// How many records become what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Records that were not there before.
    pub new: usize,
    /// Records that say something else.
    pub changed: usize,
    /// Records that are not there any more.
    pub gone: usize,
    /// Records of what was read that stay as they are.
    pub unchanged: usize,
}

/// A record that becomes another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// What becomes of it.
    pub change: Change,
    /// Its id at the destination.
    pub id: Uuid,
    /// Its machine.
    pub machine: String,
    /// Its order, where that is known.
    pub order: Option<String>,
    /// The members that differ, in the words of a spec.
    pub members: Vec<Member>,
    /// Whether all that was handed over before is remembered. Of a table whose rows are records as they stand, the state
    /// keeps machine and times, and a hash of the rest.
    pub remembered: bool,
    /// The record as it would be; `None` where it goes.
    pub record: Option<Map<String, Value>>,
}

/// A member that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// What it said.
    pub old: Option<Value>,
    /// What it says.
    pub new: Option<Value>,
}

/// The records that become others, by machine and start. `is_read` tells the window values that the run read again.
pub fn compare(
    before: &MemoryPipeline,
    after: &MemoryPipeline,
    is_read: impl Fn(i64) -> bool,
) -> (Counts, Vec<(Change, RowKey)>) {
    let mut counts = Counts::default();
    let mut changes = Vec::new();
    for record in after.records.values().filter(|record| !record.part) {
        let change = match before.records.get(record.key, false) {
            None => Change::New,
            Some(old) if old.hash != record.hash => Change::Changed,
            Some(_) => {
                counts.unchanged += usize::from(is_read(record.at));
                continue;
            }
        };
        changes.push((change, record));
    }
    let is_gone = |record: &&LedgerRecord| !record.part && after.records.get(record.key, false).is_none();
    changes.extend(before.records.values().filter(is_gone).map(|record| (Change::Gone, record)));
    for (change, _) in &changes {
        match change {
            Change::New => counts.new += 1,
            Change::Changed => counts.changed += 1,
            Change::Gone => counts.gone += 1,
        }
    }
    changes.sort_by(|(_, one), (_, other)| (&one.lane, one.start, one.key).cmp(&(&other.lane, other.start, other.key)));
    (counts, changes.into_iter().map(|(change, record)| (change, record.key)).collect())
}

/// What a pipeline handed over, record by record.
pub struct Records<'a> {
    plan: &'a Plan,
    pipeline: &'a MemoryPipeline,
    /// Bodies that wait in the outbox, by id.
    waiting: BTreeMap<Uuid, &'a str>,
}

impl<'a> Records<'a> {
    /// The records of a state.
    pub fn new(plan: &'a Plan, pipeline: &'a MemoryPipeline) -> Self {
        let waiting = pipeline.outbox.values().map(|(record, _)| (record.id, &*record.body)).collect();
        Self { plan, pipeline, waiting }
    }

    /// A record of the ledger.
    pub fn of(&self, key: RowKey) -> Option<&'a LedgerRecord> {
        self.pipeline.records.get(key, false)
    }

    /// A record in the words of a spec, where all of it is remembered.
    pub fn words(&self, record: &LedgerRecord) -> Option<Map<String, Value>> {
        let Some(said) = record.canonical() else { return as_run(self.waiting.get(&record.id)?) };
        let row = said.ok()?;
        let mut json = String::new();
        write_run(&mut json, record.id, row.start, row.end, &row.details);
        as_run(&json)
    }

    /// What the ledger keeps of every record.
    fn outline(&self, record: &LedgerRecord) -> Map<String, Value> {
        let mut words = Map::new();
        words.insert("machine_code".to_owned(), (*record.lane).into());
        let mut time = |name: &str, micros: i64| {
            let mut text = String::new();
            write_rfc3339(&mut text, Instant::from_micros(micros));
            words.insert(name.to_owned(), text.into());
        };
        match self.plan.table {
            TableType::Booking if !self.plan.is_folded() => time("timestamp", record.start),
            TableType::Booking | TableType::Order => {
                time("start", record.start);
                if let Some(end) = record.ends() {
                    time("end", end);
                }
            }
        }
        words
    }
}

/// How a record becomes another.
pub fn describe(change: Change, key: RowKey, before: &Records<'_>, after: &Records<'_>) -> Option<Difference> {
    let (was, is) = (before.of(key), after.of(key));
    let record = is.or(was)?;
    let old = was.and_then(|record| before.words(record));
    let new = is.and_then(|record| after.words(record));
    let order = |words: Option<&Map<String, Value>>| words?.get("order_code")?.as_str().map(str::to_owned);
    let remembered = was.is_none() || old.is_some();
    let members = if remembered && (is.is_none() || new.is_some()) {
        differing(&old.clone().unwrap_or_default(), &new.clone().unwrap_or_default())
    } else {
        let outline = |records: &Records<'_>, record: Option<&LedgerRecord>| {
            record.map(|record| records.outline(record)).unwrap_or_default()
        };
        differing(&outline(before, was), &outline(after, is))
    };
    Some(Difference {
        change,
        id: record.id,
        machine: record.lane.to_string(),
        order: order(new.as_ref()).or_else(|| order(old.as_ref())),
        members,
        remembered,
        record: new,
    })
}

fn differing(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<Member> {
    let only_old = old.keys().filter(|name| !new.contains_key(*name));
    new.keys()
        .chain(only_old)
        .filter(|name| !["run_id", "row_id"].contains(&name.as_str()) && old.get(*name) != new.get(*name))
        .map(|name| Member { name: name.clone(), old: old.get(name).cloned(), new: new.get(name).cloned() })
        .collect()
}

#[cfg(test)]
mod tests {
    use engine_core::state::LIVE;
    use serde_json::json;

    use super::*;

    fn record(key: u128, hash: u64, lane: &str, at: i64) -> LedgerRecord {
        let key = RowKey(key);
        let (id, lane) = (Uuid::from_u128(key.0), lane.into());
        LedgerRecord { key, part: false, id, hash, at, lane, start: at, end: LIVE, body: None }
    }

    fn state(records: impl IntoIterator<Item = LedgerRecord>) -> MemoryPipeline {
        let mut state = MemoryPipeline::default();
        state.records = records.into_iter().collect();
        state
    }

    #[test]
    fn records_are_compared_by_what_they_say() {
        let before =
            state([record(1, 1, "M2", 10), record(2, 1, "M1", 20), record(3, 1, "M1", 30), record(4, 1, "M1", 1)]);
        let refused = LedgerRecord { part: true, ..record(6, 9, "M1", 30) };
        let after = state([
            record(1, 1, "M2", 10),
            record(2, 2, "M1", 20),
            record(4, 1, "M1", 1),
            record(5, 1, "M1", 15),
            refused,
        ]);
        let (counts, changes) = compare(&before, &after, |at| at >= 10);
        assert_eq!(counts, Counts { new: 1, changed: 1, gone: 1, unchanged: 1 });
        assert_eq!(
            changes,
            [(Change::New, RowKey(5)), (Change::Changed, RowKey(2)), (Change::Gone, RowKey(3))],
            "by machine and start"
        );
        assert_eq!(compare(&after, &after, |_| true).0, Counts { unchanged: 4, ..Counts::default() });
    }

    #[test]
    fn members_that_differ_are_named_once() {
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        let old = map(json!({"run_id": "a", "start": 1, "end": 2, "unit": "kg"}));
        let new = map(json!({"run_id": "b", "start": 1, "end": 3, "total": 4}));
        let found: Vec<(String, Option<Value>, Option<Value>)> =
            differing(&old, &new).into_iter().map(|one| (one.name, one.old, one.new)).collect();
        let member = |name: &str, old: Option<i64>, new: Option<i64>| {
            (name.to_owned(), old.map(Value::from), new.map(Value::from))
        };
        assert_eq!(
            found,
            [
                member("end", Some(2), Some(3)),
                member("total", None, Some(4)),
                ("unit".to_owned(), Some("kg".into()), None)
            ]
        );
        assert_eq!(differing(&old, &old), []);
    }
}
