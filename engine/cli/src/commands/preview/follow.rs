//! The way of a row: from its columns to the run that it became part of, or to what refused it.

use std::collections::{BTreeMap, HashMap};

use engine_core::canonical::CanonicalRow;
use engine_core::mapping::Outcome;
use engine_core::memory::MemoryPipeline;
use engine_core::pairing::Event;
use engine_core::plan::Plan;
use engine_core::record::write_row;
use engine_core::state::{LedgerRecord, QuarantineEntry, Stage};
use engine_spec::model::Deliver;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::observe::SeenRow;
use crate::project::FoundSpec;
use crate::rehearsal::difference::Records;

/// A row and what became of it.
#[derive(Debug, Serialize)]
pub(super) struct Followed {
    /// Its key, as `engine quarantine show` takes it.
    pub(super) key: String,
    /// The columns as they were read.
    pub(super) source: Value,
    /// `row`, `cancelled`, `skipped` or `rejected`.
    pub(super) outcome: &'static str,
    /// The canonical row.
    pub(super) row: Option<Map<String, Value>>,
    /// All reasons of a refusal in one text.
    pub(super) reason: String,
    /// What refused it: the mapping, or the fold of its machine.
    pub(super) refused: Vec<Refused>,
    /// The run that it became part of.
    pub(super) run: Option<PartOf>,
    /// Why there is neither.
    pub(super) note: Option<&'static str>,
}

/// Why a row was refused.
#[derive(Debug, Serialize)]
pub(super) struct Refused {
    /// Stable code.
    pub(super) code: String,
    /// In plain words.
    pub(super) reason: String,
    /// The rule's place in the spec.
    pub(super) rule: String,
    /// Where that is written.
    pub(super) place: Option<String>,
}

/// The run that a row is part of.
#[derive(Debug, Serialize)]
pub(super) struct PartOf {
    /// What the row does in it.
    pub(super) role: Role,
    pub(super) run_id: Uuid,
    pub(super) order_code: String,
    pub(super) machine_code: String,
    pub(super) start: Option<Timestamp>,
    /// `None` while it is live.
    pub(super) end: Option<Timestamp>,
}

/// What a row does in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    /// It is the run.
    Is,
    /// It opens the run, which has its id from it.
    Opens,
    /// It ends the run.
    Ends,
    /// It lies within the run.
    Within,
}

impl Role {
    /// The word for people.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Is => "is",
            Self::Opens => "opens",
            Self::Ends => "ends",
            Self::Within => "lies within",
        }
    }
}

impl Followed {
    /// The run that it became part of.
    pub(super) fn run_id(&self) -> Option<Uuid> {
        self.run.as_ref().map(|run| run.run_id)
    }
}

/// Finds out what became of rows.
pub(super) struct Follower<'a> {
    plan: &'a Plan,
    spec: &'a FoundSpec,
    words: &'a Records<'a>,
    /// The records of each machine, by start.
    lanes: BTreeMap<&'a str, Vec<&'a LedgerRecord>>,
    records: &'a MemoryPipeline,
    refusals: HashMap<&'a str, Vec<&'a QuarantineEntry>>,
}

impl<'a> Follower<'a> {
    pub(super) fn new(plan: &'a Plan, spec: &'a FoundSpec, after: &'a MemoryPipeline, words: &'a Records<'a>) -> Self {
        let mut lanes: BTreeMap<&str, Vec<&LedgerRecord>> = BTreeMap::new();
        for record in after.records.values().filter(|record| !record.part) {
            lanes.entry(&record.lane).or_default().push(record);
        }
        lanes.values_mut().for_each(|lane| lane.sort_by_key(|record| (record.start, record.key)));
        let mut refusals: HashMap<&str, Vec<&QuarantineEntry>> = HashMap::new();
        for (entry, _) in after.quarantine.iter().filter(|(entry, _)| entry.stage != Stage::Delivery) {
            refusals.entry(&entry.key).or_default().push(entry);
        }
        Self { plan, spec, words, lanes, records: after, refusals }
    }

    /// What became of a row.
    pub(super) fn follow(&self, row: &SeenRow) -> Followed {
        let refused = self.refused(row);
        let run = row.canonical.as_ref().filter(|_| refused.is_empty()).and_then(|canonical| self.part_of(canonical));
        let note = match row.outcome {
            Outcome::Row if run.is_none() && refused.is_empty() => Some(self.why_nothing(row)),
            Outcome::Cancelled => Some("`cancelled_when` holds: what was delivered of it is deleted"),
            Outcome::Skipped => Some("`skip_when` holds, or a code has `unmapped: skip`"),
            Outcome::Row | Outcome::Rejected => None,
        };
        Followed {
            key: row.key.clone(),
            source: serde_json::from_str(&row.columns).unwrap_or_default(),
            outcome: word(row.outcome),
            row: row.canonical.as_ref().map(|canonical| self.canonical(canonical)),
            reason: row.rejections.iter().map(|one| one.reason.as_str()).collect::<Vec<_>>().join("; "),
            refused,
            run,
            note,
        }
    }

    fn canonical(&self, row: &CanonicalRow) -> Map<String, Value> {
        let mut json = String::new();
        write_row(&mut json, Uuid::nil(), row, self.plan.table);
        let mut words = serde_json::from_str::<Map<String, Value>>(&json).unwrap_or_default();
        words.shift_remove("op");
        words.shift_remove("row_id");
        words
    }

    fn refused(&self, row: &SeenRow) -> Vec<Refused> {
        let refused = |code: &str, reason: &str, rule: &str| Refused {
            code: code.to_owned(),
            reason: reason.to_owned(),
            rule: rule.to_owned(),
            place: self.spec.place_of(rule),
        };
        if row.outcome == Outcome::Rejected {
            return row.rejections.iter().map(|one| refused(one.code, &one.reason, &one.rule)).collect();
        }
        if row.outcome != Outcome::Row {
            return Vec::new();
        }
        // A run that a check refused is known by the hash of the key of the row that opens it.
        let hash = format!("{:032x}", self.records.state.keys.key(&row.key).0);
        let entries = [row.key.as_str(), &hash].into_iter().filter_map(|key| self.refusals.get(key)).flatten();
        entries.map(|entry| refused(&entry.code, &entry.reason, &entry.rule)).collect()
    }

    fn part_of(&self, row: &CanonicalRow) -> Option<PartOf> {
        if self.plan.deliver == Deliver::Rows {
            return None;
        }
        let key = self.records.state.keys.key(&row.key_text);
        let own = self.records.records.get(key, false);
        if let Some(record) = own {
            let is_whole = !self.plan.is_paired() && (row.end.map(|end| end.micros()) == record.ends());
            let role = if is_whole || !self.plan.is_folded() { Role::Is } else { Role::Opens };
            return Some(self.part(role, record, &row.details.order_code));
        }
        if !self.plan.is_folded() {
            return None;
        }
        let at = row.start.micros();
        let reaches = |record: &&&LedgerRecord| record.end >= row.end.map_or(at, |end| end.micros());
        let lane = self.lanes.get(row.details.machine_code.as_str())?;
        let begun = &lane[..lane.partition_point(|record| record.start <= at)];
        let found = begun
            .iter()
            .rev()
            .filter(reaches)
            .find(|record| self.order_of(record).is_some_and(|order| order == row.details.order_code))?;
        let role = if row.event == Some(Event::End) && found.end == at { Role::Ends } else { Role::Within };
        Some(self.part(role, found, &row.details.order_code))
    }

    fn order_of(&self, record: &LedgerRecord) -> Option<String> {
        Some(self.words.words(record)?.get("order_code")?.as_str()?.to_owned())
    }

    fn part(&self, role: Role, record: &LedgerRecord, order: &str) -> PartOf {
        PartOf {
            role,
            run_id: record.id,
            order_code: order.to_owned(),
            machine_code: record.lane.to_string(),
            start: Timestamp::from_microsecond(record.start).ok(),
            end: record.ends().and_then(|end| Timestamp::from_microsecond(end).ok()),
        }
    }

    fn why_nothing(&self, row: &SeenRow) -> &'static str {
        if self.plan.deliver == Deliver::Rows {
            return "it makes no run: `deliver: rows` sends it as it stands";
        }
        let event = row.canonical.as_ref().and_then(|canonical| canonical.event);
        match event.filter(|_| self.plan.is_paired()) {
            Some(Event::End) => {
                "no run of its order is open then: it began before everything that was read, or `pairing` ignores it"
            }
            Some(Event::Start) => "`pairing` ignores it",
            None => "another row of the result has its key",
        }
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Row => "row",
        Outcome::Cancelled => "cancelled",
        Outcome::Skipped => "skipped",
        Outcome::Rejected => "rejected",
    }
}
