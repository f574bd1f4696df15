//! The fold of one lane: rows of the ledger and rows that arrive, to runs; and the runs, to what changed of them.

use std::sync::Arc;

use engine_spec::model::{Action, TableType};

use super::{Deriver, StagedRow, as_interval, merge_series};
use crate::canonical::{CanonicalRow, Content, KeyMap, KeySet, RowKey};
use crate::pairing::{Before, Booking, Interval, Refusal, fold};
use crate::record::{write_row, write_run};
use crate::report::RunReport;
use crate::state::{LedgerRecord, QuarantineEntry, Stage, StateError, StateTransaction, reach};
use crate::time::Instant;

/// A row of the ledger.
struct Kept {
    key: RowKey,
    /// Value of the window column, in microseconds.
    at: i64,
    row: CanonicalRow,
}

/// Key text and window value of the rows that may open a run of a lane.
type Openers<'r> = KeyMap<(&'r str, i64)>;

/// What a lane is folded from.
struct Lane<'r> {
    name: Arc<str>,
    /// Where the fold begins, in microseconds.
    from: i64,
    openers: Openers<'r>,
    refused: Vec<QuarantineEntry>,
}

impl Deriver<'_> {
    pub(super) fn fold_lane(
        &mut self,
        tx: &mut dyn StateTransaction,
        name: &str,
        from: i64,
        report: &mut RunReport,
    ) -> Result<(), StateError> {
        let from = self.fold_from(tx, name, from)?;
        let old = tx.lane_records(name, false, from)?;
        let mut kept = self.kept_rows(tx, name, from)?;
        let opened_before = kept.len();
        if self.plan.is_paired() {
            self.push_openers(tx, &old, from, &mut kept)?;
        }
        let staged = self.staged;
        let arriving = self.lanes.get(name).map(Vec::as_slice).unwrap_or_default();
        let arriving = arriving.iter().map(|place| &staged.rows()[*place]);
        let arriving: Vec<&StagedRow> = arriving.filter(|staged| staged.row.start.micros() >= from).collect();

        let mut openers = Openers::default();
        openers.reserve(kept.len() + arriving.len());
        openers.extend(kept.iter().map(|kept| (kept.key, (kept.row.key_text.as_str(), kept.at))));
        openers
            .extend(arriving.iter().map(|staged| (staged.key, (staged.row.key_text.as_str(), staged.row.at.micros()))));
        let mut lane = Lane { name: name.into(), from, openers, refused: Vec::new() };

        let rows = kept[..opened_before].iter().map(|kept| (kept.key, &kept.row));
        let rows: Vec<(RowKey, &CanonicalRow)> =
            rows.chain(arriving.iter().map(|staged| (staged.key, &*staged.row))).collect();
        let parts = if self.plan.is_paired() {
            // What the END said of a run is folded in again: only its START counts here.
            let open = kept[opened_before..].iter();
            let open = open.map(|kept| Interval { end: None, ..as_interval(kept.key, &kept.row) }).collect();
            let any_start = tx.lane_begins_before(name, from)?;
            self.pair(&rows, Before { open, any_start }, &mut lane, report)
        } else {
            let mut intervals: Vec<Interval<'_>> = rows.iter().map(|(key, row)| as_interval(*key, row)).collect();
            intervals.sort_by(Interval::order);
            intervals
        };
        let runs = match self.plan.merge_gap {
            None => parts,
            Some(gap) => merge_series(parts, gap),
        };
        let checked = self.check(name, from, runs, &mut lane.refused, report);
        self.write_runs(tx, &lane, old, &checked.kept, report)?;
        self.write_refused(tx, &lane, &checked.refused)?;
        tx.replace_lane_quarantine(name, from, &lane.refused)
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

    /// The rows of the ledger that no arriving row replaces.
    fn kept_rows(&self, tx: &mut dyn StateTransaction, lane: &str, from: i64) -> Result<Vec<Kept>, StateError> {
        let rows = tx.lane_rows(lane, from)?.into_iter().filter(|row| !self.staged.contains(row.key));
        rows.map(|row| Ok(Kept { key: row.key, at: row.at, row: row.canonical()? })).collect()
    }

    /// The rows that opened what was running when the fold begins.
    fn push_openers(
        &self,
        tx: &mut dyn StateTransaction,
        old: &[LedgerRecord],
        from: i64,
        kept: &mut Vec<Kept>,
    ) -> Result<(), StateError> {
        for record in old.iter().filter(|record| record.start < from) {
            if let Some(staged) = self.staged.get(record.key) {
                kept.push(Kept { key: staged.key, at: staged.row.at.micros(), row: (*staged.row).clone() });
            } else if let Some(row) = tx.row(record.key)? {
                kept.push(Kept { key: row.key, at: row.at, row: row.canonical()? });
            }
        }
        Ok(())
    }

    /// Bookings of a lane, from a time on, to runs; those that were open before are among them.
    fn pair<'r>(
        &self,
        rows: &[(RowKey, &'r CanonicalRow)],
        before: Before<'r>,
        lane: &mut Lane<'_>,
        report: &mut RunReport,
    ) -> Vec<Interval<'r>> {
        let mut bookings: Vec<Booking<'r>> = rows.iter().filter_map(|(key, row)| Booking::of(*key, row)).collect();
        bookings.sort_by(Booking::order);
        let folded = fold(&bookings, before, self.plan.pairing);
        report.report("pairing_ignored", folded.ignored);
        report.report("end_before_history", folded.before_history);
        for (place, refusal) in &folded.refused {
            let booking = &bookings[*place];
            report.reject(refusal.code());
            let row = CanonicalRow {
                key_text: lane.openers.get(&booking.key).map(|(text, _)| (*text).to_owned()).unwrap_or_default(),
                details: booking.details.clone(),
                start: booking.at,
                event: Some(booking.event),
                ..CanonicalRow::default()
            };
            let refused = self.refusal(&lane.name, &row, refusal.code(), refusal.rule(), &explain(*refusal, booking));
            lane.refused.push(refused);
        }
        folded.runs
    }

    /// Checks of derived runs, which come by start.
    fn check<'r>(
        &self,
        lane: &str,
        from: i64,
        runs: Vec<Interval<'r>>,
        refused: &mut Vec<QuarantineEntry>,
        report: &mut RunReport,
    ) -> Checked<'r> {
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
        lane: &Lane<'_>,
        old: Vec<LedgerRecord>,
        runs: &[Interval<'_>],
        report: &mut RunReport,
    ) -> Result<(), StateError> {
        let mut known: KeyMap<LedgerRecord> = KeyMap::default();
        if !old.is_empty() {
            let keep: KeySet = runs.iter().map(|run| run.key).collect();
            for record in old {
                if keep.contains(&record.key) {
                    known.insert(record.key, record);
                } else if record.body.is_some() || self.has_row(tx, record.key)? {
                    self.lost.push(record);
                }
                // A record without both was written before rows were folded: nothing here can say that it is gone.
            }
        }
        let mut changed = Vec::new();
        for run in runs {
            let fresh = self.fresh.contains(&run.key);
            self.describe(tx, lane, run, false)?;
            let before = match known.remove(&run.key) {
                Some(before) => Some(before),
                // A run that began on another machine.
                None if fresh => None,
                None => tx.record(run.key, false)?,
            };
            if before.as_ref() == Some(&self.record) {
                continue;
            }
            changed.push(self.record.clone());
            if before.is_none_or(|before| before.hash != self.record.hash) {
                self.entry.body.clear();
                write_run(&mut self.entry.body, self.record.id, run.start, run.end, &run.details);
                self.enqueue(tx, self.record.id, fresh)?;
                report.upserts += 1;
            }
        }
        // The record of a run has the key of the row that opens it, and came with it.
        tx.put_records(changed, &|key| self.fresh.contains(&key))
    }

    /// Keeps the runs that a check refused: a later fold must know how far they reach.
    fn write_refused(
        &mut self,
        tx: &mut dyn StateTransaction,
        lane: &Lane<'_>,
        runs: &[Interval<'_>],
    ) -> Result<(), StateError> {
        let keep: KeySet = runs.iter().map(|run| run.key).collect();
        for old in tx.lane_records(&lane.name, true, lane.from)? {
            if !keep.contains(&old.key) {
                tx.delete_record(old.key, true)?;
            }
        }
        let mut changed = Vec::new();
        for run in runs {
            self.describe(tx, lane, run, true)?;
            if tx.record(run.key, true)?.as_ref() != Some(&self.record) {
                changed.push(self.record.clone());
            }
        }
        tx.put_records(changed, &|_| false)
    }

    /// Makes the record at hand that of a run.
    fn describe(
        &mut self,
        tx: &mut dyn StateTransaction,
        lane: &Lane<'_>,
        run: &Interval<'_>,
        part: bool,
    ) -> Result<(), StateError> {
        let found;
        let (key_text, at) = match lane.openers.get(&run.key) {
            Some(opener) => *opener,
            None => {
                found = self.opener(tx, &lane.name, run.key)?;
                (found.0.as_str(), found.1)
            }
        };
        let Interval { key, start, end, details } = run;
        let content = Content { key_text, details, start: *start, end: *end, event: None, tie: &[] };
        let record = &mut self.record;
        record.key = *key;
        record.part = part;
        record.id = self.ids.of(key_text);
        record.hash = content.hash(&mut self.hash_scratch);
        record.at = at;
        record.lane = Arc::clone(&lane.name);
        record.start = start.micros();
        record.end = reach(*start, *end);
        let ends = record.ends();
        let body = record.body.get_or_insert_default();
        body.clear();
        content.write_stored(body, ends);
        Ok(())
    }

    fn has_row(&self, tx: &mut dyn StateTransaction, key: RowKey) -> Result<bool, StateError> {
        Ok(self.staged.contains(key) || tx.row(key)?.is_some())
    }

    /// Key text and window value of the row that opens a run, where it lies before the fold.
    fn opener(&self, tx: &mut dyn StateTransaction, lane: &str, key: RowKey) -> Result<(String, i64), StateError> {
        if let Some(staged) = self.staged.get(key) {
            return Ok((staged.row.key_text.clone(), staged.row.at.micros()));
        }
        let Some(row) = tx.row(key)? else {
            return Err(StateError {
                tried: format!("folding the rows of machine {lane}"),
                message: "the row that opens a run is not in the ledger".to_owned(),
                hint: Some("check the state with `engine status`; the state store may be damaged".to_owned()),
            });
        };
        Ok((row.canonical()?.key_text, row.at))
    }

    fn refused_run(&self, lane: &str, run: &Interval<'_>, code: &str, rule: &str, reason: &str) -> QuarantineEntry {
        let row = CanonicalRow {
            key_text: format!("{:032x}", run.key.0),
            details: run.details.as_ref().clone(),
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
struct Checked<'a> {
    kept: Vec<Interval<'a>>,
    refused: Vec<Interval<'a>>,
}

fn explain(refusal: Refusal, booking: &Booking<'_>) -> String {
    let order = &booking.details.order_code;
    match refusal {
        Refusal::StartWhileRunning => format!("START of order `{order}` while another order runs on the machine"),
        Refusal::DuplicateStart => format!("START of order `{order}`, which runs already"),
        Refusal::OrphanEnd => format!("END of order `{order}`, which does not run on the machine"),
    }
}
