//! A source that keeps what it gives.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine_core::ports::{Ask, Fetched, Source, SourceError, SourceIdentity};
use engine_core::recording::RecordedRow;
use engine_core::value::{Columns, RowBatch};

/// Why a recording ends before the source does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// It has as many rows as it may have.
    Rows,
    /// What came next has other columns.
    Columns,
}

/// What sources gave so far.
#[derive(Clone)]
pub(super) struct Tape {
    rows_max: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    columns: Columns,
    rows: Vec<RecordedRow>,
    cut: Option<Cut>,
}

impl Tape {
    pub(super) fn new(rows_max: usize) -> Self {
        Self { rows_max, taken: Arc::default() }
    }

    /// The same source, with its rows kept; it ends after as many as may be.
    pub(super) fn around(&self, source: Box<dyn Source>) -> Box<dyn Source> {
        Box::new(Taped { source, tape: self.clone() })
    }

    /// What was kept, and why it ends before the source does.
    pub(super) fn take(self) -> (Columns, Vec<RecordedRow>, Option<Cut>) {
        let taken = std::mem::take(&mut *self.lock());
        (taken.columns, taken.rows, taken.cut)
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Taped {
    source: Box<dyn Source>,
    tape: Tape,
}

impl Source for Taped {
    fn ask(&mut self, ask: &Ask) -> Result<(), SourceError> {
        self.source.ask(ask)
    }

    fn next(&mut self, batch: &mut RowBatch) -> Result<Fetched, SourceError> {
        let mut taken = self.tape.lock();
        if taken.cut.is_some() {
            batch.reset(&taken.columns);
            return Ok(Fetched::End);
        }
        let fetched = self.source.next(batch)?;
        if fetched == Fetched::End {
            return Ok(fetched);
        }
        if taken.rows.is_empty() {
            taken.columns = batch.columns().clone();
        } else if taken.columns != *batch.columns() {
            // A recording has one list of columns.
            taken.cut = Some(Cut::Columns);
            batch.reset(&taken.columns);
            return Ok(Fetched::End);
        }
        let room = self.tape.rows_max - taken.rows.len();
        let part = batch.part();
        let kept: Vec<RecordedRow> = batch.rows().take(room).map(|row| RecordedRow::of(row, part)).collect();
        if batch.len() > room {
            taken.cut = Some(Cut::Rows);
            batch.reset(&taken.columns);
            batch.set_part(part);
            kept.iter().for_each(|row| row.push(batch));
        }
        taken.rows.extend(kept);
        Ok(fetched)
    }

    fn identity(&self) -> &SourceIdentity {
        self.source.identity()
    }

    fn left_for_later(&self) -> Option<String> {
        self.source.left_for_later()
    }
}
