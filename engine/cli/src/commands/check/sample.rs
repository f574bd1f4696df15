//! The first rows of an answer.

use std::time::{Duration, Instant};

use engine_core::mapping::cell_json;
use engine_core::ports::{Ask, Fetched, Source, SourceError};
use engine_core::value::{Columns, RowBatch};
use serde_json::Value;

/// The first rows of an answer, and its columns.
pub(super) struct Sample {
    pub(super) columns: Columns,
    pub(super) rows: Vec<Vec<Value>>,
    /// From the question to the first row, or to the end where there is none.
    pub(super) waited: Duration,
    /// The answer has more rows.
    pub(super) has_more: bool,
}

impl Sample {
    /// Asks, and reads so many rows. The rest is given up with the source.
    pub(super) fn take(source: &mut dyn Source, ask: &Ask, rows_max: usize) -> Result<Self, SourceError> {
        let begun = Instant::now();
        source.ask(ask)?;
        let mut batch = RowBatch::new();
        let mut fetched = source.next(&mut batch)?;
        let waited = begun.elapsed();
        let mut rows = Vec::new();
        while fetched == Fetched::Rows && rows.len() <= rows_max {
            rows.extend(batch.rows().map(|row| {
                let value = |place| serde_json::from_str(&cell_json(row.get(place))).unwrap_or_default();
                (0..row.columns().len()).map(value).collect::<Vec<Value>>()
            }));
            fetched = source.next(&mut batch)?;
        }
        let has_more = rows.len() > rows_max;
        rows.truncate(rows_max);
        Ok(Self { columns: batch.columns().clone(), rows, waited, has_more })
    }
}
