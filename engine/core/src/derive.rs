//! Changed rows to changed records: what is folded is folded again, from the earliest change on, lane by lane.
//!
//! A lane is a machine. Everything happens inside the run's transaction, so the ledger of rows, the ledger of records
//! and the outbox never disagree.

use std::collections::BTreeMap;

use engine_spec::model::{Action, TableType};
use jiff::Timestamp;

use crate::canonical::{CanonicalRow, KeyMap, KeySet, RowKey, record_id};
use crate::merge::merge;
use crate::pairing::{Before, Booking, Interval, Refusal, fold};
use crate::plan::Plan;
use crate::record::{write_delete, write_row, write_run};
use crate::report::RunReport;
use crate::state::{LIVE, LedgerRecord, LedgerRow, OutboxEntry, QuarantineEntry, Stage, StateError, StateTransaction};
use crate::time::Instant;
use crate::touched::Touched;

/// Writes changes into the ledger and the outbox.
pub struct Deriver<'a> {
    plan: &'a Plan,
    now: Timestamp,
    /// Records wait in the outbox until the run has read everything.
    held: bool,
    /// The rules of the fold are not those that made the records.
    rules_changed: bool,
    /// Lanes to fold again, and from when.
    dirty: Touched,
    /// Records that their lane lost. Deleted at the end, unless another lane took them over: a corrected machine
    /// moves a run.
    lost: Vec<LedgerRecord>,
    /// Rows that the ledger did not have before this transaction, and so no records that they open.
    fresh: KeySet,
    /// Key text and window value of the rows that may open a run of the lane at hand.
    openers: KeyMap<(String, i64)>,
    hash_scratch: Vec<u8>,
}

impl<'a> Deriver<'a> {
    /// A deriver for one transaction.
    pub fn new(plan: &'a Plan, now: Timestamp, held: bool) -> Self {
        Self {
            plan,
            now,
            held,
            rules_changed: false,
            dirty: Touched::default(),
            lost: Vec::new(),
            fresh: KeySet::default(),
            openers: KeyMap::default(),
            hash_scratch: Vec::new(),
        }
    }

    /// Says that the rules of the fold may not be those that made the records: nothing of them is built upon.
    pub fn with_changed_rules(mut self, changed: bool) -> Self {
        self.rules_changed = changed;
        self
    }

    /// Takes in rows that are new or say something else. `is_new` tells the rows that the ledger lacks.
    pub fn put(
        &mut self,
        tx: &mut dyn StateTransaction,
        rows: &[CanonicalRow],
        is_new: &dyn Fn(RowKey) -> bool,
        report: &mut RunReport,
    ) -> Result<(), StateError> {
        for row in rows {
            let key = RowKey::of(&row.key_text);
            // Under other rules, or in another form, records may be there that the ledger of rows knows nothing of.
            let fresh = !self.rules_changed && is_new(key);
            let hash = row.content_hash(&mut self.hash_scratch);
            if self.plan.is_folded() {
                let start = row.start.micros();
                if fresh {
                    self.fresh.insert(key);
                } else if let Some(old) = tx.row(key)? {
                    self.dirty.touch(&old.lane, old.start);
                } else if let Some(old) = tx.record(key, false)? {
                    // It was written before rows were folded, and may be on another machine now.
                    self.dirty.touch(&old.lane, old.start);
                }
                self.dirty.touch(&row.details.machine_code, start);
                tx.put_row(&LedgerRow {
                    key,
                    hash,
                    at: row.at.micros(),
                    lane: row.details.machine_code.clone(),
                    start,
                    body: row.to_stored(),
                })?;
            } else {
                let id = record_id(&self.plan.id, &row.key_text);
                let mut body = String::with_capacity(256);
                if self.plan.deliver == engine_spec::model::Deliver::Rows {
                    write_row(&mut body, id, row, self.plan.table);
                } else {
                    write_run(&mut body, id, &as_interval(key, row));
                }
                tx.put_record(&LedgerRecord {
                    key,
                    part: false,
                    id,
                    hash,
                    at: row.at.micros(),
                    lane: row.details.machine_code.clone(),
                    start: row.start.micros(),
                    end: self.end_of(row),
                    body: None,
                })?;
                tx.enqueue(&OutboxEntry { id, body, held: self.held, fresh })?;
                report.upserts += 1;
            }
        }
        Ok(())
    }

    /// Takes in rows that say what they said, under another value of the window column. Nothing of it is delivered.
    pub fn place(&mut self, tx: &mut dyn StateTransaction, rows: &[CanonicalRow]) -> Result<(), StateError> {
        for row in rows {
            let key = RowKey::of(&row.key_text);
            let at = row.at.micros();
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

    /// Folds again what was touched.
    pub fn finish(&mut self, tx: &mut dyn StateTransaction, report: &mut RunReport) -> Result<(), StateError> {
        for (lane, from) in self.dirty.take() {
            self.fold_lane(tx, &lane, from, report)?;
        }
        for lost in std::mem::take(&mut self.lost) {
            if tx.record(lost.key, false)?.is_some_and(|current| current.lane == lost.lane) {
                self.delete(tx, &lost, report)?;
            }
        }
        Ok(())
    }

    /// A row delivered as it is has no end of its own; what has no end and no event is live.
    fn end_of(&self, row: &CanonicalRow) -> i64 {
        match (self.plan.table, row.end) {
            (TableType::Booking, _) => row.start.micros(),
            (TableType::Order, end) => reach(row.start, end),
        }
    }

    fn fold_lane(
        &mut self,
        tx: &mut dyn StateTransaction,
        lane: &str,
        from: i64,
        report: &mut RunReport,
    ) -> Result<(), StateError> {
        let mut refused: Vec<QuarantineEntry> = Vec::new();
        self.openers.clear();
        let from = self.fold_from(tx, lane, from)?;
        let parts = if self.plan.is_paired() {
            self.pair(tx, lane, from, &mut refused, report)?
        } else {
            self.order_rows(tx, lane, from)?
        };
        let runs = match self.plan.merge_gap {
            None => parts,
            Some(gap) => merge_series(parts, gap),
        };
        let checked = self.check(lane, from, runs, &mut refused, report);
        let old = tx.lane_records(lane, false, from)?;
        self.write_runs(tx, lane, old, &checked.kept, report)?;
        self.write_refused(tx, lane, from, &checked.refused)?;
        tx.replace_lane_quarantine(lane, from, &refused)
    }

    /// Where the fold of a lane begins, so that nothing before it can come out otherwise.
    ///
    /// The runs of a pairing that are open there are folded on. Everything else that a change may reach is folded
    /// from its own start: what merging may join, what was refused, and all of it when the rules changed.
    fn fold_from(&self, tx: &mut dyn StateTransaction, lane: &str, from: i64) -> Result<i64, StateError> {
        let folds_on = self.plan.is_paired() && self.plan.merge_gap.is_none() && !self.rules_changed;
        // Bounds are rounded to microseconds: one more, so that rounding never hides a neighbour.
        let gap = self.plan.merge_gap.map_or(0, |gap| i64::try_from(gap / 1000 + 1).unwrap_or(i64::MAX));
        let mut from = from;
        loop {
            let reach = from.saturating_sub(gap);
            let mut reached = tx.lane_records(lane, true, reach)?;
            if !folds_on {
                reached.append(&mut tx.lane_records(lane, false, reach)?);
            }
            match reached.iter().map(|record| record.start).min() {
                Some(earliest) if earliest < from => from = earliest,
                _ => return Ok(from),
            }
        }
    }

    /// Bookings of a lane, from a time on, to runs; those that were open before are among them.
    fn pair(
        &mut self,
        tx: &mut dyn StateTransaction,
        lane: &str,
        from: i64,
        refused: &mut Vec<QuarantineEntry>,
        report: &mut RunReport,
    ) -> Result<Vec<Interval>, StateError> {
        let mut open = Vec::new();
        for record in tx.lane_records(lane, false, from)? {
            // What the END said of the run is folded in again: only the START counts here.
            if record.start < from
                && let Some(row) = tx.row(record.key)?
            {
                let canonical = stored(&row.body, row.at)?;
                open.push(Interval { end: None, ..as_interval(record.key, &canonical) });
                self.openers.insert(record.key, (canonical.key_text, row.at));
            }
        }
        let rows = tx.lane_rows(lane, from)?;
        let mut bookings = Vec::with_capacity(rows.len());
        for row in rows {
            let canonical = stored(&row.body, row.at)?;
            if let Some(event) = canonical.event {
                self.openers.insert(row.key, (canonical.key_text, row.at));
                bookings.push(Booking {
                    key: row.key,
                    at: canonical.start,
                    event,
                    tie: canonical.tie,
                    details: canonical.details,
                });
            }
        }
        bookings.sort_by(Booking::order);
        let any_start = tx.lane_begins_before(lane, from)?;
        let folded = fold(&bookings, Before { open, any_start }, self.plan.pairing);
        report.report("pairing_ignored", folded.ignored);
        report.report("end_before_history", folded.before_history);
        for (place, refusal) in &folded.refused {
            let booking = &bookings[*place];
            report.reject(refusal.code());
            let row = CanonicalRow {
                key_text: self.openers.get(&booking.key).map(|(text, _)| text.clone()).unwrap_or_default(),
                details: booking.details.clone(),
                start: booking.at,
                event: Some(booking.event),
                ..CanonicalRow::default()
            };
            refused.push(self.refusal(lane, &row, refusal.code(), refusal.rule(), &explain(*refusal, booking)));
        }
        Ok(folded.runs)
    }

    /// Rows of an order table that are folded.
    fn order_rows(
        &mut self,
        tx: &mut dyn StateTransaction,
        lane: &str,
        from: i64,
    ) -> Result<Vec<Interval>, StateError> {
        let rows = tx.lane_rows(lane, from)?;
        let mut intervals = Vec::with_capacity(rows.len());
        for row in rows {
            let canonical = stored(&row.body, row.at)?;
            intervals.push(as_interval(row.key, &canonical));
            self.openers.insert(row.key, (canonical.key_text, row.at));
        }
        intervals.sort_by(Interval::order);
        Ok(intervals)
    }

    /// Keeps the runs that a check refused: a later fold must know how far they reach.
    fn write_refused(
        &mut self,
        tx: &mut dyn StateTransaction,
        lane: &str,
        from: i64,
        runs: &[Interval],
    ) -> Result<(), StateError> {
        let keep: KeySet = runs.iter().map(|run| run.key).collect();
        for old in tx.lane_records(lane, true, from)? {
            if !keep.contains(&old.key) {
                tx.delete_record(old.key, true)?;
            }
        }
        for run in runs {
            let record = self.ledger_record(tx, lane, run, true)?;
            if tx.record(run.key, true)?.as_ref() != Some(&record) {
                tx.put_record(&record)?;
            }
        }
        Ok(())
    }

    /// Checks of derived runs, which come by start.
    fn check(
        &mut self,
        lane: &str,
        from: i64,
        runs: Vec<Interval>,
        refused: &mut Vec<QuarantineEntry>,
        report: &mut RunReport,
    ) -> Checked {
        let mut checked = Checked { kept: Vec::with_capacity(runs.len()), refused: Vec::new() };
        let mut overlaps = 0;
        let mut latest: Option<(Option<Instant>, String)> = None;
        for run in runs {
            if run.end == Some(run.start) && self.plan.table == TableType::Booking {
                let reason = "the run starts and ends at the same moment";
                match self.plan.checks.zero_length {
                    Action::Reject => {
                        report.reject("zero_length");
                        refused.push(self.refused_run(lane, &run, "zero_length", "checks.zero_length", reason));
                        checked.refused.push(run);
                        continue;
                    }
                    Action::Report => report.report("zero_length", 1),
                    Action::Allow => {}
                }
            }
            let overlapped =
                latest.as_ref().filter(|(end, _)| end.is_none_or(|end| end > run.start) && run.end != Some(run.start));
            if let Some((_, other)) = overlapped {
                match self.plan.checks.overlap {
                    Action::Reject => {
                        report.reject("overlap");
                        let reason = format!("overlaps the run of order `{other}` on the same machine");
                        refused.push(self.refused_run(lane, &run, "overlap", "checks.overlap", &reason));
                        checked.refused.push(run);
                        continue;
                    }
                    Action::Report if run.start.micros() >= from => overlaps += 1,
                    Action::Report | Action::Allow => {}
                }
            }
            let later = match (&latest, run.end) {
                (None, _) => true,
                (Some((None, _)), _) => false,
                (Some((Some(_), _)), None) => true,
                (Some((Some(latest), _)), Some(end)) => end > *latest,
            };
            if later {
                latest = Some((run.end, run.details.order_code.clone()));
            }
            checked.kept.push(run);
        }
        report.report("overlap", overlaps);
        checked
    }

    /// Compares the runs of a lane with what was handed to the outbox, and hands over the difference.
    fn write_runs(
        &mut self,
        tx: &mut dyn StateTransaction,
        lane: &str,
        old: Vec<LedgerRecord>,
        runs: &[Interval],
        report: &mut RunReport,
    ) -> Result<(), StateError> {
        let keep: KeySet = runs.iter().map(|run| run.key).collect();
        let mut known: KeyMap<LedgerRecord> = KeyMap::default();
        for record in old {
            if keep.contains(&record.key) {
                known.insert(record.key, record);
            } else if record.body.is_some() || tx.row(record.key)?.is_some() {
                self.lost.push(record);
            }
            // A record without both was written before rows were folded: nothing here can say that it is gone.
        }
        for run in runs {
            let fresh = self.fresh.contains(&run.key);
            let record = self.ledger_record(tx, lane, run, false)?;
            let before = match known.remove(&run.key) {
                Some(before) => Some(before),
                // A run that began on another machine.
                None if fresh => None,
                None => tx.record(run.key, false)?,
            };
            if before.as_ref() == Some(&record) {
                continue;
            }
            tx.put_record(&record)?;
            if before.is_none_or(|before| before.hash != record.hash) {
                let mut body = String::with_capacity(256);
                write_run(&mut body, record.id, run);
                tx.enqueue(&OutboxEntry { id: record.id, body, held: self.held, fresh })?;
                report.upserts += 1;
            }
        }
        Ok(())
    }

    fn delete(
        &mut self,
        tx: &mut dyn StateTransaction,
        record: &LedgerRecord,
        report: &mut RunReport,
    ) -> Result<(), StateError> {
        tx.delete_record(record.key, false)?;
        let mut body = String::with_capacity(80);
        write_delete(&mut body, record.id, self.plan.deliver == engine_spec::model::Deliver::Rows);
        tx.enqueue(&OutboxEntry { id: record.id, body, held: self.held, fresh: false })?;
        report.deletes += 1;
        Ok(())
    }

    fn ledger_record(
        &mut self,
        tx: &mut dyn StateTransaction,
        lane: &str,
        run: &Interval,
        part: bool,
    ) -> Result<LedgerRecord, StateError> {
        let (key_text, at) = self.opener(tx, lane, run.key)?;
        let row = CanonicalRow {
            key_text,
            details: run.details.clone(),
            start: run.start,
            end: run.end,
            event: None,
            tie: Vec::new(),
            at: run.start,
        };
        Ok(LedgerRecord {
            key: run.key,
            part,
            id: record_id(&self.plan.id, &row.key_text),
            hash: row.content_hash(&mut self.hash_scratch),
            at,
            lane: lane.to_owned(),
            start: run.start.micros(),
            end: reach(run.start, run.end),
            body: Some(row.to_stored()),
        })
    }

    /// Key text and window value of the row that opens a run.
    fn opener(&self, tx: &mut dyn StateTransaction, lane: &str, key: RowKey) -> Result<(String, i64), StateError> {
        if let Some(opener) = self.openers.get(&key) {
            return Ok(opener.clone());
        }
        let Some(row) = tx.row(key)? else {
            return Err(StateError {
                tried: format!("folding the rows of machine {lane}"),
                message: "the row that opens a run is not in the ledger".to_owned(),
                hint: Some("check the state with `engine status`; the state store may be damaged".to_owned()),
            });
        };
        Ok((stored(&row.body, row.at)?.key_text, row.at))
    }

    fn refused_run(&self, lane: &str, run: &Interval, code: &str, rule: &str, reason: &str) -> QuarantineEntry {
        let row = CanonicalRow {
            key_text: format!("{:032x}", run.key.0),
            details: run.details.clone(),
            start: run.start,
            end: run.end,
            ..CanonicalRow::default()
        };
        self.refusal(lane, &row, code, rule, reason)
    }

    fn refusal(&self, lane: &str, row: &CanonicalRow, code: &str, rule: &str, reason: &str) -> QuarantineEntry {
        let mut json = String::new();
        write_row(&mut json, uuid::Uuid::nil(), row, self.plan.table);
        QuarantineEntry {
            stage: Stage::Run,
            key: row.key_text.clone(),
            code: code.to_owned(),
            reason: reason.to_owned(),
            rule: rule.to_owned(),
            row: json,
            lane: Some(lane.to_owned()),
            at: Some(row.start.micros()),
            first_seen: self.now,
        }
    }
}

/// Runs after the checks.
struct Checked {
    kept: Vec<Interval>,
    refused: Vec<Interval>,
}

/// How far a record reaches, for the ledger: never less than its start, even where an end before it is allowed.
fn reach(start: Instant, end: Option<Instant>) -> i64 {
    end.map_or(LIVE, |end| end.max(start).micros())
}

fn explain(refusal: Refusal, booking: &Booking) -> String {
    let order = &booking.details.order_code;
    match refusal {
        Refusal::StartWhileRunning => format!("START of order `{order}` while another order runs on the machine"),
        Refusal::DuplicateStart => format!("START of order `{order}`, which runs already"),
        Refusal::OrphanEnd => format!("END of order `{order}`, which does not run on the machine"),
    }
}

/// The live rows of a merged run, with their window column.
pub fn live_parts(tx: &mut dyn StateTransaction, key: RowKey) -> Result<Vec<(RowKey, i64)>, StateError> {
    let Some(run) = tx.record(key, false)? else { return Ok(Vec::new()) };
    let Some(body) = &run.body else { return Ok(vec![(run.key, run.at)]) };
    let series = stored(body, run.at)?.details;
    let mut live = Vec::new();
    for row in tx.lane_rows(&run.lane, run.start)? {
        let part = stored(&row.body, row.at)?;
        if part.end.is_none() && part.details.same_product(&series) {
            live.push((row.key, row.at));
        }
    }
    Ok(live)
}

/// A canonical row as an interval.
pub fn as_interval(key: RowKey, row: &CanonicalRow) -> Interval {
    Interval { key, start: row.start, end: row.end, details: row.details.clone() }
}

pub(crate) fn merge_series(parts: Vec<Interval>, gap: i128) -> Vec<Interval> {
    let mut series: BTreeMap<(String, String), Vec<Interval>> = BTreeMap::new();
    for part in parts {
        let name = (part.details.order_code.clone(), part.details.product_code.clone());
        series.entry(name).or_default().push(part);
    }
    let mut runs: Vec<Interval> = series.into_values().flat_map(|parts| merge(parts, gap)).collect();
    runs.sort_by(Interval::order);
    runs
}

fn stored(body: &str, at: i64) -> Result<CanonicalRow, StateError> {
    CanonicalRow::from_stored(body, Instant::from_micros(at)).map_err(|error| StateError {
        tried: "reading the ledger".to_owned(),
        message: error.to_string(),
        hint: Some("the state store may be damaged, or written by a newer version".to_owned()),
    })
}
