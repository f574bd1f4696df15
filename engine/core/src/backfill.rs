//! History older than the window of the schedule, in slices: what is read for a slice, and which of the records that it
//! gives are sent.
//!
//! A slice is one undisturbed run over a store of its own, with a window that reaches beyond the slice on both sides: a
//! run that begins in it may end later, and what a booking means depends on those before it. Only records that begin in
//! the slice are sent, so that neighbouring slices never tell of the same run.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::canonical::{CanonicalRow, IdMap, KeyMap, RowKey};
use crate::mapping::{Mapper, Outcome};
use crate::memory::{MemoryPipeline, Outbox};
use crate::plan::Plan;
use crate::run::{Observer, shifted};
use crate::state::{Body, LIVE, Ledger, LedgerRecord, SliceState, Stage, StateError, StateStore};
use crate::value::Row;

/// Slices of one backfill at most.
pub const SLICES_MAX: usize = 10_000;
/// Memory of the rows of a slice that wait for a commit, where each is a record.
const STAGE_BYTES: usize = 256 << 10;

/// What is filled, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// Where it begins.
    pub from: Timestamp,
    /// Where it was asked to end; `None` for where the schedule begins to read.
    pub to: Option<Timestamp>,
    /// Length of a slice.
    pub slice: Duration,
    /// How far before and after a slice is read, too.
    pub overlap: Duration,
}

/// How far around a slice is read, where nobody says: rows that are records need nothing around them, and a run is
/// rarely longer than the window in which the schedule looks for its end.
pub fn overlap(plan: &Plan) -> Duration {
    if plan.is_folded() { plan.sync.lookback } else { Duration::ZERO }
}

impl Job {
    /// What the slices depend on, as a hash: processes with the same arguments and the same spec share their work.
    pub fn id(&self, plan: &Plan) -> String {
        let Self { from, to, slice, overlap } = self;
        let to = to.map(|to| to.to_string()).unwrap_or_default();
        let fingerprint = &plan.fingerprint;
        let parts = [
            plan.id.as_str(),
            &fingerprint.identity,
            &fingerprint.meaning,
            &from.to_string(),
            &to,
            &slice.as_millis().to_string(),
            &overlap.as_millis().to_string(),
        ];
        format!("{:016x}", xxh3_64(parts.join("\n").as_bytes()))
    }

    /// The slices up to where the schedule begins to read; `None` where there are more than [`SLICES_MAX`]. The length
    /// of the last one may grow from call to call, its place does not.
    pub fn slices(&self, schedule_from: Timestamp, present: Timestamp) -> Option<Vec<Slice>> {
        let until = self.to.unwrap_or(schedule_from).min(schedule_from);
        let mut slices = Vec::new();
        let mut from = self.from;
        while from < until {
            if slices.len() == SLICES_MAX {
                return None;
            }
            let next = shifted(from, self.slice, 1);
            let to = next.min(until);
            let reads_to = shifted(to, self.overlap, 1).min(present).max(to);
            let number = u32::try_from(slices.len()).unwrap_or(u32::MAX);
            let reads = (shifted(from, self.overlap, -1), reads_to);
            slices.push(Slice { number, from, to, reads, reads_to_the_end: reads_to >= present });
            from = next;
        }
        Some(slices)
    }
}

/// One slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// Its number, from 0 on.
    pub number: u32,
    /// Where it begins.
    pub from: Timestamp,
    /// Where it ends; what begins there is of the next.
    pub to: Timestamp,
    /// What is read for it.
    pub reads: (Timestamp, Timestamp),
    /// Nothing lies after what is read: what has no end there runs still.
    pub reads_to_the_end: bool,
}

impl Slice {
    /// Whether all of it is sent.
    pub fn is_finished(&self, state: &SliceState) -> bool {
        state.done && state.until >= Some(self.to)
    }

    /// Whether a value of the window column, in microseconds, is of the slice.
    pub fn contains(&self, at: i64) -> bool {
        at >= self.from.as_microsecond() && at < self.to.as_microsecond()
    }
}

/// Makes the plan of a pipeline that of a slice.
pub fn narrow(plan: &mut Plan, slice: &Slice) {
    plan.sync.window = Some(slice.reads);
    if !plan.is_folded() {
        // A commit to a store in memory costs nothing, and rows whose record is written lend their memory to others.
        plan.stage_bytes_max = STAGE_BYTES;
    }
}

/// What the rows of a slice came to. Of what lies around it, only the number of rows is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows that the source gave, those around the slice included.
    pub read: u64,
    /// Rows of the slice that were mapped.
    pub mapped: u64,
    /// Rows that the spec drops, or counts as deleted.
    pub skipped: u64,
    /// Rows and runs that were refused, by the code of the reason.
    pub rejected: BTreeMap<String, u64>,
    /// Records that are to be sent, or were.
    pub send: u64,
    /// Records that the schedule delivered as they are.
    pub delivered: u64,
    /// Records that the schedule looks after: they run still, or a part of them is known to it.
    pub scheduled: u64,
    /// Runs that reach the edge of what was read: how they end is not known.
    pub at_the_edge: u64,
    /// Records that have no end, and that nobody would end.
    pub live: u64,
}

impl Counts {
    /// Adds those of another slice.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.mapped += other.mapped;
        self.skipped += other.skipped;
        self.send += other.send;
        self.delivered += other.delivered;
        self.scheduled += other.scheduled;
        self.at_the_edge += other.at_the_edge;
        self.live += other.live;
        for (code, count) in &other.rejected {
            *self.rejected.entry(code.clone()).or_default() += count;
        }
    }

    /// Rows and runs that were refused, whatever the reason.
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Records that are left out because of what is not known of them.
    pub fn left_out(&self) -> u64 {
        self.scheduled + self.at_the_edge + self.live
    }
}

/// Counts the rows of a slice while they are read.
#[derive(Debug)]
pub struct Tally {
    slice: Slice,
    /// What it counted so far.
    pub counts: Counts,
}

impl Tally {
    /// Counts nothing yet.
    pub fn new(slice: Slice) -> Self {
        Self { slice, counts: Counts::default() }
    }
}

impl Observer for Tally {
    fn row(&mut self, _row: Row<'_>, outcome: Outcome, canonical: &CanonicalRow, mapper: &Mapper) {
        self.counts.read += 1;
        match outcome {
            Outcome::Row if self.slice.contains(canonical.at.micros()) => self.counts.mapped += 1,
            Outcome::Row => {}
            // Where in time it lies is not known of a row that is not mapped to its end.
            Outcome::Skipped | Outcome::Cancelled => self.counts.skipped += 1,
            Outcome::Rejected => {
                if mapper.window_micros().is_none_or(|at| self.slice.contains(at))
                    && let Some(first) = mapper.rejections().first()
                {
                    *self.counts.rejected.entry(first.code.to_owned()).or_default() += 1;
                }
            }
        }
    }
}

/// A record that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Its id at the destination.
    pub id: Uuid,
    /// Hash of what it says.
    pub hash: u64,
    /// What is sent.
    pub body: Body,
}

/// Hashes of the first records, in their order: of none, of the first, of the first two, and so on.
pub fn digests(records: &[Chosen]) -> Vec<u64> {
    let mut digests = Vec::with_capacity(records.len() + 1);
    let mut digest = 0;
    digests.push(digest);
    for Chosen { id, hash, .. } in records {
        let mut record = [0; 24];
        record[..16].copy_from_slice(id.as_bytes());
        record[16..].copy_from_slice(&hash.to_le_bytes());
        digest = xxh3_64_with_seed(&record, digest);
        digests.push(digest);
    }
    digests
}

/// What waits of a slice, to be taken out record by record.
struct Waiting {
    /// In the order in which it was written.
    records: Vec<(Uuid, Option<Body>)>,
    /// Where the record of an id is; made where records are asked for in another order.
    places: OnceCell<IdMap<usize>>,
}

impl Waiting {
    fn of(outbox: Outbox) -> Self {
        let records = outbox.into_values().map(|(record, _)| (record.id, Some(record.body))).collect();
        Self { records, places: OnceCell::new() }
    }

    /// What waits of an id, which may be at a place.
    fn take(&mut self, id: Uuid, likely: usize) -> Option<Body> {
        let is_there = self.records.get(likely).is_some_and(|(known, _)| *known == id);
        let place = if is_there { likely } else { *self.places().get(&id.as_u128())? };
        self.records[place].1.take()
    }

    fn places(&self) -> &IdMap<usize> {
        let place_of = |(place, (id, _)): (usize, &(Uuid, Option<Body>))| (id.as_u128(), place);
        self.places.get_or_init(|| self.records.iter().enumerate().map(place_of).collect())
    }
}

/// Which of the records that a slice's run made are sent, by start; the others are counted.
pub fn choose(
    plan: &Plan,
    slice: &Slice,
    mut read: MemoryPipeline,
    store: &dyn StateStore,
    counts: &mut Counts,
) -> Result<Vec<Chosen>, StateError> {
    for (entry, _) in &read.quarantine {
        // Rows were counted while they were mapped, but for those that are refused because of another row.
        let after_the_mapping = entry.stage == Stage::Run || entry.code == "duplicate_key";
        if after_the_mapping && entry.at.is_some_and(|at| slice.contains(at)) {
            *counts.rejected.entry(entry.code.clone()).or_default() += 1;
        }
    }
    let of_slice = |(_, record): &(usize, &LedgerRecord)| !record.part && slice.contains(record.at);
    let mut records: Vec<(usize, &LedgerRecord)> = read.records.values().enumerate().filter(of_slice).collect();
    records.sort_by_key(|(_, record)| (record.start, record.key));
    let keys: Vec<RowKey> = records.iter().map(|(_, record)| record.key).collect();
    let known = store.look_up(&plan.id, Ledger::Records, &keys)?;
    let taken = opened_by_the_schedule(plan, &read, store)?;
    // Rows that are records are written to the ledger and to the outbox in one order.
    let mut waiting = Waiting::of(std::mem::take(&mut read.outbox));
    let mut chosen = Vec::with_capacity(records.len());
    for ((place, record), known) in records.into_iter().zip(known) {
        let is_inside = |lane: &str, start: i64| lane == &*record.lane && start > record.start && start < record.end;
        let is_taken = taken.iter().any(|(lane, start)| is_inside(lane, *start));
        if known.is_some_and(|known| known.hash == record.hash) {
            counts.delivered += 1;
        } else if known.is_some_and(|known| known.live) || is_taken {
            counts.scheduled += 1;
        } else if reaches_the_edge(plan, slice, record) {
            counts.at_the_edge += 1;
        } else if record.end == LIVE {
            counts.live += 1;
        } else if let Some(body) = waiting.take(record.id, place) {
            chosen.push(Chosen { id: record.id, hash: record.hash, body });
        }
    }
    counts.send = chosen.len() as u64;
    Ok(chosen)
}

/// Whether what was not read may make another run of it.
fn reaches_the_edge(plan: &Plan, slice: &Slice, record: &LedgerRecord) -> bool {
    if !plan.is_folded() {
        return false;
    }
    // Bounds are rounded to microseconds: one more, so that rounding never hides a neighbour.
    let gap = plan.merge_gap.map(|gap| i64::try_from(gap / 1000 + 1).unwrap_or(i64::MAX));
    let (first, last) = (slice.reads.0.as_microsecond(), slice.reads.1.as_microsecond());
    let joins_before = gap.is_some_and(|gap| record.start.saturating_sub(gap) < first);
    let joins_after = match gap {
        None => record.end == LIVE,
        Some(gap) => record.end.saturating_add(gap) >= last,
    };
    joins_before || (joins_after && !slice.reads_to_the_end)
}

/// Machine and start of the rows that the schedule made runs of although, with what lies before them, they open none:
/// its history begins in the middle of a run.
fn opened_by_the_schedule(
    plan: &Plan,
    read: &MemoryPipeline,
    store: &dyn StateStore,
) -> Result<Vec<(String, i64)>, StateError> {
    if !plan.is_folded() {
        return Ok(Vec::new());
    }
    let inner: KeyMap<(&str, i64)> = read
        .rows
        .values()
        .filter(|row| read.records.get(row.key, false).is_none())
        .map(|row| (row.key, (row.lane.as_str(), row.start)))
        .collect();
    let keys: Vec<RowKey> = inner.keys().copied().collect();
    let known = store.look_up(&plan.id, Ledger::Records, &keys)?;
    let opened = keys.iter().zip(known).filter(|(_, known)| known.is_some());
    Ok(opened.filter_map(|(key, _)| inner.get(key)).map(|(lane, start)| ((*lane).to_owned(), *start)).collect())
}
