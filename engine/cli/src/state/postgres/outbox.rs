//! The outbox, and the records that the destination refused: a record is in one of them or in neither.

use engine_core::state::{OutboxRecord, RefusedEntry, RefusedRecord};
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Row as _, query};
use uuid::Uuid;

use super::error::Problem;
use super::{instant, limit_of, sixteen, text};
use crate::state::retry::{last_refused, retry_after_micros};

const REFUSED: &str = "SELECT id, code, message, attempts, first_seen, retry_at, body FROM refused \
     WHERE pipeline = (SELECT no FROM pipeline WHERE id = $1) ORDER BY id";

/// The oldest records that may go, up to both limits, but at least one.
pub(super) async fn oldest(
    connection: &mut PgConnection,
    pipeline: &str,
    records_max: usize,
    bytes_max: usize,
) -> Result<Vec<OutboxRecord>, Problem> {
    let bytes_max = limit_of(bytes_max);
    let mut rows = query(
        "SELECT seq, id, body FROM (
             SELECT seq, id, body, sum(bytes) OVER (ORDER BY seq) AS so_far, row_number() OVER (ORDER BY seq) AS place
             FROM (SELECT seq, id, bytes, body FROM outbox
                   WHERE pipeline = (SELECT no FROM pipeline WHERE id = $1) AND NOT held ORDER BY seq LIMIT $2) AS first
         ) AS summed WHERE so_far <= $3 OR place = 1 ORDER BY seq",
    )
    .bind(pipeline)
    .bind(limit_of(records_max.max(1)))
    .bind(bytes_max)
    .fetch(connection);
    let mut records = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let id = Uuid::from_bytes(sixteen(&row, 1)?);
        records.push(OutboxRecord { seq: row.try_get(0)?, id, body: text(&row, 2)?.into() });
    }
    Ok(records)
}

/// Takes acknowledged records out. One that was superseded meanwhile is not there any more.
pub(super) async fn remove(connection: &mut PgConnection, pipeline: i64, places: &[i64]) -> Result<(), Problem> {
    if !places.is_empty() {
        query("DELETE FROM outbox WHERE pipeline = $1 AND seq = ANY($2)")
            .bind(pipeline)
            .bind(places)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Moves refused records aside, with the time of the next attempt. One that was superseded meanwhile is left out: what
/// superseded it is on its way.
pub(super) async fn refuse(
    connection: &mut PgConnection,
    pipeline: i64,
    refused: &[RefusedRecord],
    now: Timestamp,
) -> Result<(), Problem> {
    let now = now.as_microsecond();
    for record in refused {
        let taken =
            query("DELETE FROM outbox WHERE pipeline = $1 AND seq = $2 RETURNING id, body, refusals, refused_since")
                .bind(pipeline)
                .bind(record.seq)
                .fetch_optional(&mut *connection)
                .await?;
        let Some(row) = taken else { continue };
        let refusals = u32::try_from(row.try_get::<i64, _>(2)?).unwrap_or(u32::MAX);
        query(
            "INSERT INTO refused (pipeline, id, code, message, attempts, retry_at, first_seen, body)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (pipeline, id) DO UPDATE SET code = excluded.code, message = excluded.message,
                 attempts = excluded.attempts, retry_at = excluded.retry_at, first_seen = excluded.first_seen,
                 body = excluded.body",
        )
        .bind(pipeline)
        .bind(row.try_get::<&[u8], _>(0)?)
        .bind(record.code.as_bytes())
        .bind(record.message.as_bytes())
        .bind(i64::from(refusals.saturating_add(1)))
        .bind(now.saturating_add(retry_after_micros(refusals)))
        .bind(row.try_get::<Option<i64>, _>(3)?.unwrap_or(now))
        .bind(row.try_get::<&[u8], _>(1)?)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// The refused records, by id.
pub(super) async fn refused(connection: &mut PgConnection, pipeline: &str) -> Result<Vec<RefusedEntry>, Problem> {
    query(REFUSED).bind(pipeline).fetch_all(connection).await?.iter().map(refused_entry).collect()
}

fn refused_entry(row: &PgRow) -> Result<RefusedEntry, Problem> {
    let attempts = u32::try_from(row.try_get::<i64, _>(3)?).unwrap_or(u32::MAX);
    let retry_at = instant(row, 5)?;
    Ok(RefusedEntry {
        id: Uuid::from_bytes(sixteen(row, 0)?),
        code: text(row, 1)?,
        message: text(row, 2)?,
        attempts,
        first_seen: instant(row, 4)?,
        last_seen: last_refused(attempts, retry_at),
        retry_at,
        body: text(row, 6)?,
    })
}

pub(super) async fn is_any_due(connection: &mut PgConnection, pipeline: &str, now: Timestamp) -> Result<bool, Problem> {
    let due = query(
        "SELECT 1 FROM refused WHERE pipeline = (SELECT no FROM pipeline WHERE id = $1) AND retry_at <= $2 LIMIT 1",
    )
    .bind(pipeline)
    .bind(now.as_microsecond())
    .fetch_optional(connection)
    .await?;
    Ok(due.is_some())
}

/// Puts refused records back at the end of the outbox when their time has come. A newer record of the same id has taken
/// the refused one away when it was appended, so none comes back that was overtaken.
pub(super) async fn requeue(connection: &mut PgConnection, pipeline: i64, now: Timestamp) -> Result<u64, Problem> {
    let moved = query(
        "WITH due AS (DELETE FROM refused WHERE pipeline = $1 AND retry_at <= $2 RETURNING id, attempts, first_seen, body),
              placed AS (SELECT row_number() OVER (ORDER BY first_seen, id) AS place, * FROM due),
              counted AS (UPDATE pipeline SET last_seq = last_seq + (SELECT count(*) FROM due) WHERE no = $1
                          RETURNING last_seq - (SELECT count(*) FROM due) AS before)
         INSERT INTO outbox (pipeline, seq, id, held, bytes, refusals, refused_since, body)
         SELECT $1, before + place, id, false, octet_length(body), attempts, first_seen, body FROM placed, counted",
    )
    .bind(pipeline)
    .bind(now.as_microsecond())
    .execute(connection)
    .await?;
    Ok(moved.rows_affected())
}
