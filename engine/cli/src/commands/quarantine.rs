//! `engine quarantine`: what was refused, why, and sending it again.

use std::collections::BTreeMap;
use std::path::Path;

use engine_core::canonical::KeyText;
use engine_core::state::{PipelineState, QuarantineEntry, RefusedEntry, Stage, StateStore};
use engine_spec::device::Device;
use jiff::Timestamp;
use serde_json::Value;

use crate::args::{Output, QuarantineArgs, QuarantineCommand, QuarantineListArgs, QuarantineRetryArgs};
use crate::exit::{CommandError, Kind};
use crate::{project, show, store};

mod text;

/// What is in quarantine of one pipeline.
#[derive(Debug, serde::Serialize)]
pub struct Quarantine {
    /// The pipeline.
    pub pipeline: String,
    /// Everything that is in quarantine.
    pub total: usize,
    /// How much of each reason, most first.
    pub reasons: Vec<Reason>,
    /// The rows and records, newest first.
    pub rows: Vec<Refusal>,
}

/// How much was refused for one reason.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Reason {
    /// Where it was refused.
    pub stage: Stage,
    /// Stable code of the reason.
    pub code: String,
    /// The rule's place in the spec.
    pub rule: String,
    /// Rows or records.
    pub rows: usize,
    /// When the first of them was refused.
    pub first_seen: Timestamp,
    /// When the last of them was refused.
    pub last_seen: Timestamp,
}

/// One row or record in quarantine.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Refusal {
    /// Where it was refused.
    pub stage: Stage,
    /// The key of the row, or the id of the record at the destination.
    pub key: String,
    /// Stable code of the reason.
    pub code: String,
    /// The reason in plain words.
    pub reason: String,
    /// The rule's place in the spec.
    pub rule: String,
    /// When it was refused first.
    pub first_seen: Timestamp,
    /// When it was refused last, as far as that is known: a row that runs do not read any more was not seen since.
    pub last_seen: Timestamp,
    /// How often the destination refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// When it is sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// Where the rule is written: file, line and column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The columns as they were read, or the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<Value>,
}

/// What a retry does for one pipeline.
#[derive(Debug, serde::Serialize)]
pub struct Retry {
    /// The pipeline.
    pub pipeline: String,
    /// Refused records that are back in the outbox.
    pub queued: u64,
    /// Rows and runs that stay until a run accepts them.
    pub left: u64,
}

/// Does what the arguments say.
pub fn run(args: &QuarantineArgs, config: Option<&Path>) -> Result<(), CommandError> {
    let (device, folder) = project::open_device(&[], config)?;
    let store = store::open_existing(&device, &folder)?;
    match &args.command {
        QuarantineCommand::List(args) => list(store.as_ref(), args),
        QuarantineCommand::Show(args) => {
            let refusals = find(store.as_ref(), &args.pipeline, &args.key)?;
            let refusals = with_places(refusals, &device, &folder, &args.pipeline);
            match args.output {
                Output::Json => show::print_json(&refusals),
                Output::Text => show::print(&text::refusals(&refusals)),
            }
            Ok(())
        }
        QuarantineCommand::Retry(args) => retry(store.as_ref(), args),
    }
}

fn list(store: &dyn StateStore, args: &QuarantineListArgs) -> Result<(), CommandError> {
    let mut all = Vec::new();
    for pipeline in store::wanted(store, &args.pipelines)? {
        all.push(of(store, &pipeline, args.limit)?);
    }
    match args.output {
        Output::Json => show::print_json(&all),
        Output::Text => show::print(&text::list(&all)),
    }
    Ok(())
}

/// What is in quarantine of a pipeline, with so many of its rows.
pub fn of(store: &dyn StateStore, pipeline: &str, limit: usize) -> Result<Quarantine, CommandError> {
    let refusals: Vec<Refusal> = read(store, pipeline)?.into_iter().map(|(_, refusal)| refusal).collect();
    let (total, reasons) = (refusals.len(), reasons(&refusals));
    Ok(Quarantine { pipeline: pipeline.to_owned(), total, reasons, rows: refusals.into_iter().take(limit).collect() })
}

/// A record that the destination takes now need not wait until its time has come.
fn retry(store: &dyn StateStore, args: &QuarantineRetryArgs) -> Result<(), CommandError> {
    let mut all = Vec::new();
    for pipeline in store::wanted(store, &args.pipelines)? {
        // At the end of time, every one is due.
        let queued = store.requeue_refused(&pipeline, Timestamp::MAX)?;
        let left = store.counts(&pipeline)?.quarantine;
        all.push(Retry { pipeline, queued, left });
    }
    match args.output {
        Output::Json => show::print_json(&all),
        Output::Text => show::print(&text::retried(&all)),
    }
    Ok(())
}

/// Everything in quarantine, with what the row or record says.
fn read(store: &dyn StateStore, pipeline: &str) -> Result<Vec<(QuarantineEntry, Refusal)>, CommandError> {
    let state = store.load(pipeline)?;
    let refused = store.refused(pipeline)?;
    let refused: BTreeMap<String, &RefusedEntry> = refused.iter().map(|entry| (entry.id.to_string(), entry)).collect();
    let entries = store.quarantined(pipeline, usize::MAX)?;
    Ok(entries
        .into_iter()
        .map(|entry| {
            let record = refused.get(&entry.key).filter(|_| entry.stage == Stage::Delivery);
            let refusal = Refusal {
                stage: entry.stage,
                key: entry.key.clone(),
                code: entry.code.clone(),
                reason: entry.reason.clone(),
                rule: entry.rule.clone(),
                first_seen: entry.first_seen,
                last_seen: record.map_or_else(|| last_seen(&entry, &state), |record| record.last_seen),
                attempts: record.map(|record| record.attempts),
                retry_at: record.map(|record| record.retry_at),
                place: None,
                row: None,
            };
            (entry, refusal)
        })
        .collect())
}

/// When a row was refused last. The store does not write a row anew that is refused again, so it follows from what the
/// last run judged.
fn last_seen(entry: &QuarantineEntry, state: &PipelineState) -> Timestamp {
    let judged = state.judged_from.is_some_and(|from| entry.at.is_none_or(|at| at >= from));
    state.last_success.filter(|_| judged).map_or(entry.first_seen, |success| success.max(entry.first_seen))
}

fn reasons(refusals: &[Refusal]) -> Vec<Reason> {
    let mut found: BTreeMap<(Stage, &str, &str), Reason> = BTreeMap::new();
    for Refusal { stage, code, rule, first_seen, last_seen, .. } in refusals {
        let reason = found.entry((*stage, code, rule)).or_insert_with(|| Reason {
            stage: *stage,
            code: code.clone(),
            rule: rule.clone(),
            rows: 0,
            first_seen: *first_seen,
            last_seen: *last_seen,
        });
        reason.rows += 1;
        reason.first_seen = reason.first_seen.min(*first_seen);
        reason.last_seen = reason.last_seen.max(*last_seen);
    }
    let mut reasons: Vec<Reason> = found.into_values().collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.rows));
    reasons
}

/// Every refusal of one row or record.
fn find(store: &dyn StateStore, pipeline: &str, key: &str) -> Result<Vec<Refusal>, CommandError> {
    store::wanted(store, &[pipeline.to_owned()])?;
    let of_one_column = KeyText::of_one(key);
    let found: Vec<Refusal> = read(store, pipeline)?
        .into_iter()
        .filter(|(entry, _)| entry.key == key || entry.key == of_one_column)
        .map(|(entry, refusal)| {
            let row = serde_json::from_str(&entry.row).unwrap_or(Value::String(entry.row));
            Refusal { row: Some(row), ..refusal }
        })
        .collect();
    if found.is_empty() {
        return Err(CommandError::new(
            Kind::Usage,
            format!("{pipeline}: nothing with the key `{key}` is in quarantine"),
        )
        .hint(format!("`engine quarantine list {pipeline}` shows the keys; what a run accepted has left it")));
    }
    Ok(found)
}

/// Adds where the rules are written, where the spec is found through the device config.
fn with_places(refusals: Vec<Refusal>, device: &Device, folder: &Path, pipeline: &str) -> Vec<Refusal> {
    let Some(spec) = project::find_spec(device, folder, pipeline) else { return refusals };
    refusals.into_iter().map(|refusal| Refusal { place: spec.place_of(&refusal.rule), ..refusal }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn a_row_that_the_last_run_judged_was_seen_by_it() {
        // Time of the row, what the last run judged, when it was, when the row was refused first; when it was seen last.
        for (at, judged_from, last_success, first_seen, expected) in [
            (Some(10), Some(10), Some(60), 20, 60),
            (Some(9), Some(10), Some(60), 20, 20),
            (None, Some(10), Some(60), 20, 60),
            (Some(10), None, Some(60), 20, 20),
            (None, None, Some(60), 20, 20),
            (Some(10), Some(10), None, 20, 20),
            // A run that failed refused it, and none went well since.
            (Some(10), Some(10), Some(60), 90, 90),
        ] {
            let entry = QuarantineEntry {
                stage: Stage::Row,
                key: String::new(),
                code: String::new(),
                reason: String::new(),
                rule: String::new(),
                row: String::new(),
                lane: None,
                at,
                first_seen: time(first_seen),
            };
            let state = PipelineState { judged_from, last_success: last_success.map(time), ..PipelineState::default() };
            assert_eq!(last_seen(&entry, &state), time(expected), "{at:?} {judged_from:?} {last_success:?}");
        }
    }

    #[test]
    fn reasons_are_counted_and_the_most_frequent_comes_first() {
        let refusal = |code: &str, rule: &str, first: i64, last: i64| Refusal {
            stage: Stage::Row,
            key: String::new(),
            code: code.to_owned(),
            reason: String::new(),
            rule: rule.to_owned(),
            first_seen: time(first),
            last_seen: time(last),
            attempts: None,
            retry_at: None,
            place: None,
            row: None,
        };
        let all = [refusal("a", "x", 5, 9), refusal("b", "x", 3, 8), refusal("b", "x", 4, 7), refusal("b", "y", 1, 1)];
        let counted: Vec<_> = reasons(&all)
            .into_iter()
            .map(|one| (one.code, one.rule, one.rows, one.first_seen.as_second(), one.last_seen.as_second()))
            .collect();
        let row = |code: &str, rule: &str, rows, first, last| (code.to_owned(), rule.to_owned(), rows, first, last);
        assert_eq!(counted, [row("b", "x", 2, 3, 8), row("a", "x", 1, 5, 9), row("b", "y", 1, 1, 1)]);
    }
}
