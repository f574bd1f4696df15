//! Rows of an answer, mapped and compared with the ledger.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use engine_spec::model::{Action, SyncMode};
use engine_spec::template::BindValue;
use jiff::Timestamp;

use super::failure::{cancelled, mapping_failure, source_failure, state_failure};
use super::reading::{Known, Miss, Reading, Verdict};
use super::{Change, Observer, Part, Run, part};
use crate::canonical::{CanonicalRow, RowKey};
use crate::cursor::CursorValue;
use crate::mapping::{Mapper, Outcome};
use crate::ports::{Fetched, Source};
use crate::record::write_row;
use crate::report::{Failure, FailureKind, RunReport};
use crate::state::{Ledger, QUARANTINE_ROWS_MAX, QuarantineEntry, Stage};
use crate::time::Instant;
use crate::value::{Columns, Row, RowBatch};

impl Run<'_> {
    /// What is bound where there is no cursor yet: nothing, where the template provides for that, or else the smallest
    /// values of the columns, by the kinds that the source says they have.
    pub(super) fn first_cursor(&mut self, source: &mut dyn Source) -> Result<BTreeMap<String, BindValue>, Failure> {
        let names = self.plan().sync.cursor.clone();
        let every = |value: &BindValue| names.iter().map(|name| (name.clone(), value.clone())).collect();
        if let (None, Some(start)) = (&self.plan().query, self.plan().sync.start) {
            // An API is asked from there on; without a start, what waits for a cursor is left out of the request.
            let first = CursorValue::Instant(start).to_bind(&self.plan().zone);
            return Ok(names.into_iter().take(1).map(|name| (name, first.clone())).collect());
        }
        if self.render(None, &BTreeMap::new()).is_ok() {
            return Ok(BTreeMap::new());
        }
        let nulls = every(&BindValue::Null);
        if self.render(None, &nulls).is_err() {
            // A filter that wants a time: the columns are times, and the first of all lies before any booking.
            let zone = &self.plan().zone;
            let first = self.plan().sync.start.unwrap_or(Timestamp::UNIX_EPOCH);
            return Ok(every(&CursorValue::Instant(first).to_bind(zone)));
        }
        self.ask(source, None, &nulls)?;
        let mut batch = RowBatch::new();
        source.next(&mut batch).map_err(source_failure)?;
        let sync = &self.plan().sync;
        let zone = &self.plan().zone;
        let mut binds = BTreeMap::new();
        for (place, name) in sync.cursor.iter().enumerate() {
            let column = find_cursor(batch.columns(), name)?;
            let kind = batch.columns()[column].kind;
            let smallest = CursorValue::smallest(kind);
            let value = match (place, sync.start, &smallest) {
                (0, Some(start), CursorValue::Instant(_)) => CursorValue::Instant(start),
                (0, Some(start), CursorValue::Civil(_)) => CursorValue::Civil(zone.to_datetime(start)),
                (0, Some(start), CursorValue::Date(_)) => CursorValue::Date(zone.to_datetime(start).date()),
                _ => smallest,
            };
            binds.insert(name.clone(), value.to_bind(zone));
        }
        Ok(binds)
    }

    pub(super) fn cursor_places(&self, columns: &Columns) -> Result<Vec<usize>, Failure> {
        self.plan().sync.cursor.iter().map(|name| find_cursor(columns, name)).collect()
    }

    /// Reads one answer to its end.
    pub(super) fn read(
        &mut self,
        source: &mut dyn Source,
        reading: &mut Reading,
        observer: &mut dyn Observer,
    ) -> Result<(), Failure> {
        let mut batch = RowBatch::new();
        let mut row_buffer = Box::<CanonicalRow>::default();
        let now = Instant::from_timestamp(self.now).unwrap_or(Instant::MAX);
        let keys = self.state.keys;
        let mut compiled: Option<(Mapper, Vec<usize>)> = None;
        loop {
            if self.runner.cancel.is_cancelled() {
                return Err(cancelled());
            }
            let fetched = part(observer, Part::Fetch, |_| source.next(&mut batch).map_err(source_failure))?;
            if fetched == Fetched::End && batch.columns().is_empty() {
                break;
            }
            let (mapper, cursor_places) = match &mut compiled {
                Some(compiled) if compiled.0.fits(batch.columns()) => compiled,
                slot => {
                    let mapper = Mapper::new(self.runner.plan, batch.columns())
                        .map_err(|messages| mapping_failure(&messages))?;
                    slot.insert((mapper, self.cursor_places(batch.columns())?))
                }
            };
            if fetched == Fetched::End {
                break;
            }
            reading.begin_part(batch.part());
            reading.rows += batch.len() as u64;
            self.report.rows += batch.len() as u64;
            self.report.bytes += batch.value_bytes();
            for row in batch.rows() {
                let outcome = mapper.map(row, now, &mut row_buffer);
                observer.row(row, outcome, &row_buffer, mapper);
                let own_key = mapper.has_key().then(|| keys.key(&row_buffer.key_text));
                if own_key.is_some_and(|key| reading.is_superseded(key)) {
                    continue;
                }
                if let Some(key) = own_key
                    && matches!(outcome, Outcome::Rejected | Outcome::Skipped)
                    && self.plan().reads_everything()
                {
                    // An older version of the row does not take its place.
                    reading.without_row.entry(key).or_insert(reading.part);
                }
                if outcome == Outcome::Rejected {
                    refuse(&mut self.quarantine, &mut self.report, self.now, mapper, row, &row_buffer);
                    reading.rejected += 1;
                    match own_key {
                        Some(key) => reading.keep_as_it_is(key),
                        None => reading.rejected_without_key += 1,
                    }
                    continue;
                }
                let cursor = match self.plan().sync.mode {
                    SyncMode::Cursor => Some(read_cursor(row, batch.columns(), cursor_places)?),
                    SyncMode::Window | SyncMode::Full => None,
                };
                if let Some(cursor) = &cursor {
                    reading.advance(cursor);
                }
                if outcome == Outcome::Skipped {
                    self.report.skipped += 1;
                    continue;
                }
                let key = own_key.unwrap_or_else(|| keys.key(&row_buffer.key_text));
                self.healing.heal(key);
                if own_key.is_none() && reading.is_superseded(key) {
                    continue;
                }
                let later = cursor.map(|cursor| reading.compare_cursor(key, cursor));
                if outcome == Outcome::Cancelled {
                    self.report.cancelled += 1;
                    reading.cancel(key, later);
                    continue;
                }
                reading.revive(key, later);
                let verdict = self.classify(reading, key, &row_buffer, later);
                if let Verdict::Unasked = verdict {
                    // Two rows with a key that the ledger was not asked for are told apart after it was.
                    let row = reading.take(&mut row_buffer);
                    reading.misses.push(Miss { key, row, later });
                } else {
                    reading.settle(verdict, key, &mut row_buffer, self.scribe.as_mut());
                }
            }
            self.resolve_misses(reading)?;
            for (code, count) in mapper.take_reported() {
                self.report.report(code, count);
            }
            observer.progress(self.report.rows, &self.plan().id);
            if reading.waiting_bytes() > self.plan().stage_bytes_max {
                self.commit_early(reading, observer)?;
            }
        }
        if let Some(left) = source.left_for_later() {
            self.report.notes.push(format!("{left}; what did not come back is not taken for gone"));
            reading.left = Some(left);
        }
        Ok(())
    }

    pub(super) fn resolve_misses(&mut self, reading: &mut Reading) -> Result<(), Failure> {
        if reading.misses.is_empty() {
            return Ok(());
        }
        let mut misses = std::mem::take(&mut reading.misses);
        let keys: Vec<RowKey> = misses.iter().map(|miss| miss.key).collect();
        let entries = self.runner.store.look_up(&self.plan().id, self.ledger(), &keys).map_err(state_failure)?;
        for (key, entry) in keys.iter().zip(entries) {
            reading.known.add(Known::of(*key, entry));
        }
        self.resolve_unfolded(reading, &keys)?;
        for Miss { key, mut row, later } in misses.drain(..) {
            let verdict = self.classify(reading, key, &row, later);
            reading.settle(verdict, key, &mut row, self.scribe.as_mut());
            reading.give_back(row);
        }
        // Its memory is used again.
        reading.misses = misses;
        Ok(())
    }

    /// A row that the ledger lacks may have a record all the same, from before rows were folded: it is not new. Until a
    /// run has gone well, the change of the spec is noticed where there are such records, and nothing is taken for new.
    fn resolve_unfolded(&self, reading: &mut Reading, keys: &[RowKey]) -> Result<(), Failure> {
        if !self.plan().is_folded() || self.state.last_success.is_none() {
            return Ok(());
        }
        let lacks_row = |key: &RowKey| reading.known.get(*key).is_some_and(Known::is_new);
        let keys: Vec<RowKey> = keys.iter().copied().filter(lacks_row).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let entries = self.runner.store.look_up(&self.plan().id, Ledger::Records, &keys).map_err(state_failure)?;
        for entry in entries.into_iter().flatten() {
            reading.known.put(Known::of(entry.key, Some(entry)));
            reading.unfolded.insert(entry.key);
        }
        Ok(())
    }

    /// Decides what a row is: unchanged, changed, new, or in conflict with another row of the result. Of a key that the
    /// ledger was not asked for yet, nothing can be said.
    ///
    /// `later` is set in mode `cursor`: how the row compares with the one of the same key that was read before.
    pub(super) fn classify(
        &mut self,
        reading: &mut Reading,
        key: RowKey,
        row: &CanonicalRow,
        later: Option<Ordering>,
    ) -> Verdict {
        if self.runner.store.knows_nothing() {
            reading.known.add(Known::of(key, None));
        }
        let rules_changed = self.change != Change::None;
        let Some(known) = reading.known.get_mut(key) else { return Verdict::Unasked };
        if reading.cancelled.contains(&key) {
            return Verdict::Done;
        }
        let hash = row.content_hash(&mut reading.scratch);
        if let Some(seen) = known.seen() {
            if seen == hash {
                self.report.report("duplicate_row", 1);
                return Verdict::Done;
            }
            let action = self.plan().checks.duplicate_key;
            let wins = match later {
                Some(Ordering::Greater) => true,
                Some(Ordering::Less) => false,
                None if action == Action::Reject => {
                    known.conflict = true;
                    false
                }
                // Which of the two counts must not depend on the order in which they came.
                Some(Ordering::Equal) | None => hash > seen,
            };
            if known.conflict || wins {
                reading.staged.remove(key);
                reading.moved.remove(key);
            }
            if known.conflict && known.early {
                reading.retracted.push(key);
            }
            if known.conflict {
                self.refuse_duplicate(row);
            } else if later.is_none() && action == Action::Report {
                self.report.report("duplicate_key", 1);
            }
            if !wins {
                return Verdict::Done;
            }
        }
        known.see(hash, reading.part);
        let stage = Verdict::Stage { hash, fresh: known.is_new() && !rules_changed };
        match known.ledger() {
            Some(ledger) if ledger == hash => {
                self.report.unchanged += 1;
                if self.refolds() || reading.unfolded.contains(&key) {
                    stage
                } else if known.at != row.at.micros() {
                    Verdict::Move
                } else {
                    Verdict::Done
                }
            }
            Some(_) => {
                self.report.changed += 1;
                stage
            }
            None => {
                self.report.new += 1;
                stage
            }
        }
    }

    pub(super) fn refuse_duplicate(&mut self, row: &CanonicalRow) {
        self.report.reject("duplicate_key");
        if self.quarantine.len() < QUARANTINE_ROWS_MAX {
            // The row of the source is no longer there when the two are compared: people see what was made of it.
            let mut shown = String::new();
            write_row(&mut shown, uuid::Uuid::nil(), row, self.plan().table);
            self.quarantine.push(QuarantineEntry {
                stage: Stage::Row,
                key: row.key_text.clone(),
                code: "duplicate_key".to_owned(),
                reason: format!("two different rows of the result have the key {}", row.key_text),
                rule: "key".to_owned(),
                row: shown,
                lane: Some(row.details.machine_code.clone()),
                at: Some(row.at.micros()),
                first_seen: self.now,
            });
        }
    }
}

fn refuse(
    quarantine: &mut Vec<QuarantineEntry>,
    report: &mut RunReport,
    now: Timestamp,
    mapper: &Mapper,
    row: Row<'_>,
    canonical: &CanonicalRow,
) {
    let Some(first) = mapper.rejections().first() else { return };
    report.reject(first.code);
    if quarantine.len() >= QUARANTINE_ROWS_MAX {
        return;
    }
    let json = crate::mapping::row_json(row);
    let reasons: Vec<&str> = mapper.rejections().iter().map(|rejection| rejection.reason.as_str()).collect();
    quarantine.push(QuarantineEntry {
        stage: Stage::Row,
        key: if mapper.has_key() { canonical.key_text.clone() } else { format!("{:032x}", RowKey::hash(&json).0) },
        code: first.code.to_owned(),
        reason: reasons.join("; "),
        rule: first.rule.clone(),
        row: json,
        lane: None,
        at: mapper.window_micros(),
        first_seen: now,
    });
}

fn find_cursor(columns: &Columns, name: &str) -> Result<usize, Failure> {
    crate::mapping::find_column(columns, name).map_err(|message| Failure {
        kind: FailureKind::Spec,
        message: format!("sync.cursor: {message}"),
        hint: Some("a cursor column must be among the columns that the query selects".to_owned()),
    })
}

fn read_cursor(row: Row<'_>, columns: &Columns, places: &[usize]) -> Result<Vec<CursorValue>, Failure> {
    let read = |place: &usize| {
        CursorValue::of(row.get(*place)).map_err(|message| Failure {
            kind: FailureKind::Source,
            message: format!("the cursor column `{}` {message}", columns[*place].name),
            hint: Some("leave out rows without a cursor value in the query, or use `sync.mode: window`".to_owned()),
        })
    };
    places.iter().map(read).collect()
}
