//! The outbox, and the records that the destination refused: a record is in one of them or in neither.

use engine_core::state::{OutboxEntry, OutboxRecord, RefusedEntry, RefusedRecord};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::{instant, sixteen};
use crate::state::retry::{last_refused, retry_after_micros};

pub(super) const QUEUE: &str =
    "SELECT seq, id, body FROM outbox WHERE pipeline = ?1 AND held = 0 ORDER BY seq LIMIT ?2";

/// The plus keeps SQLite from going through all that waits of the pipeline, by the index.
pub(super) const REMOVE: &str = "DELETE FROM outbox WHERE seq BETWEEN ?1 AND ?2 AND +pipeline = ?3";

/// Appends; what is known of the same id, waiting or refused, is superseded. A record that is being sent at this moment
/// may be superseded too: its place is gone then, and whatever the destination answers changes nothing.
///
/// `any_refused` says whether anything of the pipeline may be refused.
pub(super) fn append(
    connection: &Connection,
    pipeline: i64,
    entry: &OutboxEntry,
    any_refused: bool,
) -> rusqlite::Result<()> {
    let id = entry.id.as_bytes();
    let bytes = i64::try_from(entry.body.len()).unwrap_or(i64::MAX);
    if !entry.fresh {
        connection
            .prepare_cached("DELETE FROM outbox WHERE pipeline = ?1 AND id = ?2")?
            .execute(params![pipeline, id])?;
    }
    if any_refused {
        connection
            .prepare_cached("DELETE FROM refused WHERE pipeline = ?1 AND id = ?2")?
            .execute(params![pipeline, id])?;
    }
    connection
        .prepare_cached(
            "INSERT INTO outbox (pipeline, id, held, bytes, refusals, body) VALUES (?1, ?2, ?3, ?4, 0, ?5)",
        )?
        .execute(params![pipeline, id, entry.held, bytes, entry.body])
        .map(drop)
}

/// Lets held records go.
pub(super) fn release(connection: &Connection, pipeline: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE outbox SET held = 0 WHERE pipeline = ?1 AND held = 1")?
        .execute([pipeline])
        .map(drop)
}

/// The oldest records that may go, up to both limits, but at least one.
pub(super) fn oldest(
    connection: &Connection,
    pipeline: i64,
    records_max: usize,
    bytes_max: usize,
) -> rusqlite::Result<Vec<OutboxRecord>> {
    let limit = i64::try_from(records_max.max(1)).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(QUEUE)?;
    let mut rows = statement.query(params![pipeline, limit])?;
    let mut records: Vec<OutboxRecord> = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let body: String = row.get(2)?;
        bytes += body.len();
        if bytes > bytes_max && !records.is_empty() {
            break;
        }
        records.push(OutboxRecord { seq: row.get(0)?, id: Uuid::from_bytes(sixteen(row, 1)?), body });
    }
    Ok(records)
}

/// Takes acknowledged records out. One that was superseded meanwhile is not there any more.
pub(super) fn remove(connection: &Connection, pipeline: i64, places: &[i64]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(REMOVE)?;
    // What was claimed together mostly lies in one row of places.
    for row in places.chunk_by(|one, next| one + 1 == *next) {
        statement.execute(params![row[0], row[row.len() - 1], pipeline])?;
    }
    Ok(())
}

/// Whether anything of the pipeline is refused.
pub(super) fn is_any_refused(connection: &Connection, pipeline: i64) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM refused WHERE pipeline = ?1")?.exists([pipeline])
}

/// Moves refused records aside, with the time of the next attempt. One that was superseded meanwhile is left out: what
/// superseded it is on its way.
pub(super) fn refuse(
    connection: &Connection,
    pipeline: i64,
    refused: &[RefusedRecord],
    now: Timestamp,
) -> rusqlite::Result<()> {
    let now = now.as_microsecond();
    for record in refused {
        let taken = connection
            .prepare_cached(
                "DELETE FROM outbox WHERE seq = ?1 AND pipeline = ?2 RETURNING id, body, refusals, refused_since",
            )?
            .query_row(params![record.seq, pipeline], |row| {
                Ok((sixteen(row, 0)?, row.get::<_, String>(1)?, row.get::<_, u32>(2)?, row.get::<_, Option<i64>>(3)?))
            })
            .optional()?;
        let Some((id, body, refusals, since)) = taken else { continue };
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO refused (pipeline, id, code, message, attempts, retry_at, first_seen, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                pipeline,
                id,
                record.code,
                record.message,
                refusals.saturating_add(1),
                now.saturating_add(retry_after_micros(refusals)),
                since.unwrap_or(now),
                body
            ])?;
    }
    Ok(())
}

/// The refused records, by id.
pub(super) fn refused(connection: &Connection, pipeline: i64) -> rusqlite::Result<Vec<RefusedEntry>> {
    connection
        .prepare_cached(
            "SELECT id, code, message, attempts, first_seen, retry_at, body FROM refused
             WHERE pipeline = ?1 ORDER BY id",
        )?
        .query_map([pipeline], |row| {
            let attempts: u32 = row.get(3)?;
            let retry_at = instant(row, 5)?;
            Ok(RefusedEntry {
                id: Uuid::from_bytes(sixteen(row, 0)?),
                code: row.get(1)?,
                message: row.get(2)?,
                attempts,
                first_seen: instant(row, 4)?,
                last_seen: last_refused(attempts, retry_at),
                retry_at,
                body: row.get(6)?,
            })
        })?
        .collect()
}

pub(super) fn is_any_due(connection: &Connection, pipeline: i64, now: Timestamp) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM refused WHERE pipeline = ?1 AND retry_at <= ?2")?
        .exists(params![pipeline, now.as_microsecond()])
}

/// Puts refused records back at the end of the outbox when their time has come. A newer record of the same id has taken
/// the refused one away when it was appended, so none comes back that was overtaken.
pub(super) fn requeue(connection: &Connection, pipeline: i64, now: Timestamp) -> rusqlite::Result<u64> {
    let due = params![pipeline, now.as_microsecond()];
    let moved = connection
        .prepare_cached(
            "INSERT INTO outbox (pipeline, id, held, bytes, refusals, refused_since, body)
             SELECT pipeline, id, 0, octet_length(body), attempts, first_seen, body FROM refused
             WHERE pipeline = ?1 AND retry_at <= ?2 ORDER BY first_seen, id",
        )?
        .execute(due)?;
    connection.prepare_cached("DELETE FROM refused WHERE pipeline = ?1 AND retry_at <= ?2")?.execute(due)?;
    Ok(moved as u64)
}
