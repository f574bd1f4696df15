//! Changed rows to changed records: what is folded is folded again, from the earliest change on, lane by lane.
//!
//! A lane is a machine. Everything happens inside the run's transaction, so the ledger of rows, the ledger of records
//! and the outbox never disagree. Rows that arrive are folded from memory together with those of the ledger, and written
//! when the fold is done: what was just read is not read back.

mod direct;
mod lane;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use engine_spec::model::Deliver;
use jiff::Timestamp;
use uuid::Uuid;

pub use self::direct::Scribe;
use crate::canonical::{CanonicalRow, KeyList, KeySet, Keyed, RecordIds, RowKey};
use crate::merge::merge;
use crate::pairing::Interval;
use crate::plan::Plan;
use crate::record::write_delete;
use crate::report::RunReport;
use crate::state::{DirectRecord, LedgerRecord, LedgerRow, OutboxEntry, StateError, StateTransaction};
use crate::text_map::TextMap;
use crate::touched::Touched;

/// Bytes of a row whose memory is used again. Any of it may be lent a long text once, and keeps the room: with what is
/// longer than this, many of them would in time take as much as the longest row each.
const SPARE_ROW_BYTES: usize = 4 * 1024;

/// A row on its way from the source to the fold.
#[derive(Debug)]
pub struct StagedRow {
    /// Its key.
    pub key: RowKey,
    /// Hash of its content.
    pub hash: u64,
    /// The ledger lacks its key, and so a record that it opens.
    pub fresh: bool,
    /// What it says.
    pub row: Box<CanonicalRow>,
}

impl Keyed for StagedRow {
    fn key(&self) -> RowKey {
        self.key
    }
}

/// Memory that a record takes beside its JSON until it is committed, roughly.
const DIRECT_BYTES: usize = size_of::<DirectRecord>() + 16;

/// What waits for the commit, one a key: rows, where they are folded, and their records, where they are not.
#[derive(Debug, Default)]
pub struct Staged {
    rows: KeyList<StagedRow>,
    row_bytes: usize,
    direct: KeyList<DirectRecord>,
    /// JSON of the records, those included that were taken out again.
    text: String,
}

impl Staged {
    /// Adds a row, in the place of the one with its key.
    pub fn put(&mut self, row: StagedRow) {
        self.row_bytes += row_bytes(&row.row);
        if let Some(before) = self.rows.put(row) {
            self.row_bytes -= row_bytes(&before.row);
        }
    }

    /// Adds the record of a row, in the place of the one with its key.
    pub fn put_direct(&mut self, make: impl FnOnce(&mut String) -> DirectRecord) {
        self.direct.put(make(&mut self.text));
    }

    /// Takes out again what has a key.
    pub fn remove(&mut self, key: RowKey) {
        if let Some(removed) = self.rows.remove(key) {
            self.row_bytes -= row_bytes(&removed.row);
        }
        self.direct.remove(key);
    }

    /// The row of a key.
    pub fn get(&self, key: RowKey) -> Option<&StagedRow> {
        self.rows.get(key)
    }

    /// Whether anything has the key.
    pub fn contains(&self, key: RowKey) -> bool {
        self.rows.contains(key) || self.direct.contains(key)
    }

    /// The rows.
    pub fn rows(&self) -> &[StagedRow] {
        self.rows.entries()
    }

    /// The records.
    pub fn direct(&self) -> &[DirectRecord] {
        self.direct.entries()
    }

    /// The keys of all of it.
    pub fn keys(&self) -> impl Iterator<Item = RowKey> {
        self.rows().iter().map(Keyed::key).chain(self.direct().iter().map(Keyed::key))
    }

    /// Memory that it takes, roughly.
    pub fn bytes(&self) -> usize {
        self.row_bytes + self.text.len() + self.direct().len() * DIRECT_BYTES
    }

    /// Forgets all of it; `spare` gets the memory of rows, but for those that took an unusual lot of it.
    pub fn clear(&mut self, spare: &mut Vec<Box<CanonicalRow>>) {
        spare.extend(self.rows.drain().map(|staged| staged.row).filter(|row| row_bytes(row) <= SPARE_ROW_BYTES));
        self.row_bytes = 0;
        self.direct.clear();
        self.text.clear();
    }
}

/// A row that says what it said, under another value of the window column, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Moved {
    /// Its key.
    pub key: RowKey,
    /// The new value.
    pub at: i64,
}

impl Keyed for Moved {
    fn key(&self) -> RowKey {
        self.key
    }
}

/// Memory that a staged row takes, roughly.
fn row_bytes(row: &CanonicalRow) -> usize {
    let details = &row.details;
    let attributes: usize = details.attributes.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
    size_of::<StagedRow>()
        + row.key_text.len()
        + details.order_code.len()
        + details.product_code.len()
        + details.machine_code.len()
        + details.product_name.as_ref().map_or(0, String::len)
        + details.quantity_unit.as_ref().map_or(0, String::len)
        + attributes
        + 160
}

/// Writes changes into the ledger and the outbox.
pub struct Deriver<'a> {
    plan: &'a Plan,
    now: Timestamp,
    /// The rules of the fold are not those that made the records.
    rules_changed: bool,
    /// Rows that are new or say something else.
    staged: &'a Staged,
    /// Where the rows of a lane are among them.
    lanes: TextMap<&'a str, Vec<usize>>,
    /// Lanes to fold again, and from when.
    dirty: Touched,
    /// Records that their lane lost. Deleted at the end, unless another lane took them over: a corrected machine
    /// moves a run.
    lost: Vec<LedgerRecord>,
    /// Rows that the ledger did not have before this transaction, and so no records that they open.
    fresh: KeySet,
    ids: RecordIds,
    /// What is written next; kept for its memory.
    record: LedgerRecord,
    entry: OutboxEntry,
    hash_scratch: Vec<u8>,
}

impl<'a> Deriver<'a> {
    /// A deriver for one transaction, with the rows that it takes in. Where records are `held`, they wait in the outbox
    /// until the run has read everything.
    pub fn new(plan: &'a Plan, now: Timestamp, held: bool, staged: &'a Staged) -> Self {
        Self {
            plan,
            now,
            rules_changed: false,
            staged,
            lanes: TextMap::default(),
            dirty: Touched::default(),
            lost: Vec::new(),
            fresh: KeySet::default(),
            ids: RecordIds::new(&plan.id),
            record: LedgerRecord {
                key: RowKey(0),
                part: false,
                id: Uuid::nil(),
                hash: 0,
                at: 0,
                lane: Arc::default(),
                start: 0,
                end: 0,
                body: None,
            },
            entry: OutboxEntry { id: Uuid::nil(), body: String::new(), held, fresh: false },
            hash_scratch: Vec::new(),
        }
    }

    /// Says that the rules of the fold may not be those that made the records: nothing of them is built upon.
    pub fn with_changed_rules(mut self, changed: bool) -> Self {
        self.rules_changed = changed;
        self
    }

    /// Takes in what is staged.
    pub fn put(&mut self, tx: &mut dyn StateTransaction, report: &mut RunReport) -> Result<(), StateError> {
        let direct = self.staged.direct();
        if !direct.is_empty() {
            tx.put_direct(direct, &self.staged.text, self.entry.held)?;
            report.upserts += direct.len() as u64;
        }
        for (place, StagedRow { key, row, fresh, .. }) in self.staged.rows().iter().enumerate() {
            self.lanes.entry(&row.details.machine_code).or_default().push(place);
            if *fresh {
                self.fresh.insert(*key);
            } else if let Some(old) = tx.row(*key)? {
                self.dirty.touch(&old.lane, old.start);
            } else if let Some(old) = tx.record(*key, false)? {
                // It was written before rows were folded, and may be on another machine now.
                self.dirty.touch(&old.lane, old.start);
            }
        }
        for (lane, places) in &self.lanes {
            let starts = places.iter().map(|place| self.staged.rows()[*place].row.start.micros());
            starts.min().into_iter().for_each(|start| self.dirty.touch(lane, start));
        }
        Ok(())
    }

    /// The machines of the staged rows in their order, with the places of their rows.
    fn lanes_in_order(&self) -> Vec<(&'a str, &[usize])> {
        let mut lanes: Vec<_> = self.lanes.iter().map(|(lane, places)| (*lane, places.as_slice())).collect();
        lanes.sort_unstable();
        lanes
    }

    /// Takes in rows that say what they said, under another value of the window column. Nothing of it is delivered.
    pub fn place(&mut self, tx: &mut dyn StateTransaction, rows: &[Moved]) -> Result<(), StateError> {
        for Moved { key, at } in rows.iter().copied() {
            if self.plan.is_folded()
                && let Some(old) = tx.row(key)?
            {
                tx.put_row(&LedgerRow { at, ..old })?;
            }
            if let Some(old) = tx.record(key, false)? {
                tx.put_record(&LedgerRecord { at, ..old })?;
            }
        }
        Ok(())
    }

    /// Takes out rows that are gone or cancelled.
    pub fn remove(
        &mut self,
        tx: &mut dyn StateTransaction,
        keys: &[RowKey],
        report: &mut RunReport,
    ) -> Result<(), StateError> {
        for key in keys {
            if self.plan.is_folded() {
                if let Some(old) = tx.row(*key)? {
                    self.dirty.touch(&old.lane, old.start);
                    tx.delete_row(*key)?;
                }
                // A record that was written before rows were folded goes with its row, whatever the fold knows.
                if let Some(old) = tx.record(*key, false)?.filter(|record| record.body.is_none()) {
                    self.delete(tx, &old, report)?;
                }
            } else if let Some(old) = tx.record(*key, false)? {
                self.delete(tx, &old, report)?;
            }
        }
        Ok(())
    }

    /// Folds again what was touched, and writes the rows.
    pub fn finish(&mut self, tx: &mut dyn StateTransaction, report: &mut RunReport) -> Result<(), StateError> {
        for (lane, from) in self.dirty.take() {
            self.fold_lane(tx, &lane, from, report)?;
        }
        for lost in std::mem::take(&mut self.lost) {
            if tx.record(lost.key, false)?.is_some_and(|current| current.lane == lost.lane) {
                self.delete(tx, &lost, report)?;
            }
        }
        if self.plan.is_folded() {
            self.write_rows(tx)?;
        }
        Ok(())
    }

    /// Writes the rows, machine by machine.
    fn write_rows(&self, tx: &mut dyn StateTransaction) -> Result<(), StateError> {
        let mut rows: Vec<LedgerRow> = Vec::new();
        for (_, places) in self.lanes_in_order() {
            // Never fewer: the memory of each is used again.
            rows.resize_with(rows.len().max(places.len()), LedgerRow::default);
            let rows = &mut rows[..places.len()];
            for (written, place) in rows.iter_mut().zip(places) {
                let StagedRow { key, hash, row, .. } = &self.staged.rows()[*place];
                written.set(*key, *hash, row);
            }
            tx.put_rows(rows, &|key| self.fresh.contains(&key))?;
        }
        Ok(())
    }

    /// Hands the body at hand to the outbox.
    fn enqueue(&mut self, tx: &mut dyn StateTransaction, id: Uuid, fresh: bool) -> Result<(), StateError> {
        self.entry.id = id;
        self.entry.fresh = fresh;
        tx.enqueue(&self.entry)
    }

    fn delete(
        &mut self,
        tx: &mut dyn StateTransaction,
        record: &LedgerRecord,
        report: &mut RunReport,
    ) -> Result<(), StateError> {
        tx.delete_record(record.key, false)?;
        self.entry.body.clear();
        write_delete(&mut self.entry.body, record.id, self.plan.deliver == Deliver::Rows);
        self.enqueue(tx, record.id, false)?;
        report.deletes += 1;
        Ok(())
    }
}

/// The live rows of a merged run, with their window column.
pub fn live_parts(tx: &mut dyn StateTransaction, key: RowKey) -> Result<Vec<(RowKey, i64)>, StateError> {
    let Some(run) = tx.record(key, false)? else { return Ok(Vec::new()) };
    let Some(said) = run.canonical() else { return Ok(vec![(run.key, run.at)]) };
    let series = said?.details;
    let mut live = Vec::new();
    for row in tx.lane_rows(&run.lane, run.start)? {
        let part = row.canonical()?;
        if part.end.is_none() && part.details.same_product(&series) {
            live.push((row.key, row.at));
        }
    }
    Ok(live)
}

/// A canonical row as an interval.
pub fn as_interval(key: RowKey, row: &CanonicalRow) -> Interval<'_> {
    Interval { key, start: row.start, end: row.end, details: Cow::Borrowed(&row.details) }
}

pub(crate) fn merge_series(parts: Vec<Interval<'_>>, gap: i128) -> Vec<Interval<'_>> {
    let mut series: BTreeMap<(String, String), Vec<Interval<'_>>> = BTreeMap::new();
    for part in parts {
        let name = (part.details.order_code.clone(), part.details.product_code.clone());
        series.entry(name).or_default().push(part);
    }
    let mut runs: Vec<Interval<'_>> = series.into_values().flat_map(|parts| merge(parts, gap)).collect();
    runs.sort_by(Interval::order);
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::Details;

    fn staged(no: u128, details: Details) -> StagedRow {
        StagedRow {
            key: RowKey(no),
            hash: 0,
            fresh: true,
            row: Box::new(CanonicalRow { details, ..CanonicalRow::default() }),
        }
    }

    #[test]
    fn what_a_row_says_counts_as_memory_wherever_it_is_said() {
        let long = || "x".repeat(10_000);
        type Say = fn(&mut Details, String);
        let says: [Say; 6] = [
            |details, text| details.order_code = text,
            |details, text| details.product_code = text,
            |details, text| details.machine_code = text,
            |details, text| details.product_name = Some(text),
            |details, text| details.quantity_unit = Some(text),
            |details, text| details.attributes.push(("note".to_owned(), text)),
        ];
        for (place, say) in says.iter().enumerate() {
            let (mut rows, mut details) = (Staged::default(), Details::default());
            say(&mut details, long());
            rows.put(staged(1, details));
            assert!(rows.bytes() >= 10_000, "text {place}");
            rows.remove(RowKey(1));
            assert_eq!(rows.bytes(), 0, "text {place}");
        }
    }

    #[test]
    fn the_memory_of_rows_is_used_again_but_not_that_of_a_long_one() {
        let (mut rows, mut spare) = (Staged::default(), Vec::new());
        rows.put(staged(1, Details { order_code: "4711".to_owned(), ..Details::default() }));
        rows.put(staged(2, Details { product_name: Some("x".repeat(SPARE_ROW_BYTES)), ..Details::default() }));
        rows.clear(&mut spare);
        assert_eq!((rows.rows().len(), rows.bytes()), (0, 0));
        assert_eq!(spare.iter().map(|row| row.details.order_code.as_str()).collect::<Vec<_>>(), ["4711"]);
    }
}
