//! Slices of backfills.

use engine_core::state::SliceState;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

pub(super) fn slices(connection: &Connection, pipeline: i64, job: &str) -> rusqlite::Result<Vec<SliceState>> {
    connection
        .prepare_cached("SELECT state FROM backfill WHERE pipeline = ?1 AND job = ?2 ORDER BY slice")?
        .query_map(params![pipeline, job], stored)?
        .collect()
}

pub(super) fn slice(
    connection: &Connection,
    pipeline: i64,
    job: &str,
    number: u32,
) -> rusqlite::Result<Option<SliceState>> {
    connection
        .prepare_cached("SELECT state FROM backfill WHERE pipeline = ?1 AND job = ?2 AND slice = ?3")?
        .query_row(params![pipeline, job, number], stored)
        .optional()
}

fn stored(row: &Row<'_>) -> rusqlite::Result<SliceState> {
    serde_json::from_str(row.get_ref(0)?.as_str()?)
        .map_err(|failure| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(failure)))
}

/// A backfill may come before the first run: then the file does not know the pipeline yet.
pub(super) fn put(connection: &Connection, pipeline: &str, job: &str, slice: &SliceState) -> rusqlite::Result<()> {
    let text =
        serde_json::to_string(slice).map_err(|failure| rusqlite::Error::ToSqlConversionFailure(Box::new(failure)))?;
    connection.prepare_cached("INSERT OR IGNORE INTO pipeline (id) VALUES (?1)")?.execute([pipeline])?;
    connection
        .prepare_cached(
            "INSERT INTO backfill (pipeline, job, slice, state) SELECT no, ?2, ?3, ?4 FROM pipeline WHERE id = ?1
             ON CONFLICT (pipeline, job, slice) DO UPDATE SET state = excluded.state",
        )?
        .execute(params![pipeline, job, slice.number, text])
        .map(drop)
}
