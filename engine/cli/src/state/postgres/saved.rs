//! Everything that is remembered of a pipeline: read for a copy, written from one, forgotten.

use std::ops::ControlFlow;
use std::time::Duration;

use engine_core::state::{Forget, RefusedEntry, Saved, SavedOutbox};
use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Row as _, query};
use uuid::Uuid;

use super::error::Problem;
use super::transaction::{ledger_record, ledger_row};
use super::{outbox, quarantine, sixteen, stored, text};

/// How long reading everything may take: it is as fast as what is written from it.
pub(super) const READ_MAX: Duration = Duration::from_secs(6 * 3_600);

const STATE: &str = "SELECT coalesce(state, 'null') FROM pipeline WHERE id = $1";
const DELIVERY: &str = "SELECT coalesce(delivery, 'null') FROM pipeline WHERE id = $1";
const ROWS: &str = "SELECT key, hash, at, lane, starts, body FROM source_row \
     WHERE pipeline = (SELECT no FROM pipeline WHERE id = $1) ORDER BY key";
const RECORDS: &str = "SELECT key, part, id, hash, at, lane, starts, ends, body FROM record \
     WHERE pipeline = (SELECT no FROM pipeline WHERE id = $1) ORDER BY part, key";
const OUTBOX: &str = "SELECT id, held, refusals, refused_since, body FROM outbox \
     WHERE pipeline = (SELECT no FROM pipeline WHERE id = $1) ORDER BY seq";
const REJECTED: &str = "SELECT stage, key, code, reason, rule, row, lane, at, first_seen FROM quarantine \
     WHERE pipeline = (SELECT no FROM pipeline WHERE id = $1) ORDER BY stage, key, code, rule";

type FromRow = fn(&PgRow) -> Result<Saved, Problem>;

/// Reads everything from one snapshot, until `each` breaks off.
pub(super) async fn read(
    connection: &mut PgConnection,
    pipeline: &str,
    each: &mut dyn FnMut(Saved) -> ControlFlow<()>,
) -> Result<(), Problem> {
    query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *connection).await?;
    query("SELECT set_config('statement_timeout', $1, true)")
        .bind(READ_MAX.as_millis().to_string())
        .execute(&mut *connection)
        .await?;
    if read_parts(connection, pipeline, each).await?.is_continue() {
        for refused in outbox::refused(connection, pipeline).await? {
            if each(Saved::Refused(refused)).is_break() {
                break;
            }
        }
    }
    query("COMMIT").execute(connection).await?;
    Ok(())
}

async fn read_parts(
    connection: &mut PgConnection,
    pipeline: &str,
    each: &mut dyn FnMut(Saved) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Problem> {
    let parts: [(&str, FromRow); 6] = [
        (STATE, |row| Ok(Saved::State(Box::new(stored::<Option<_>>(row.try_get(0)?)?.unwrap_or_default())))),
        (DELIVERY, |row| Ok(Saved::Delivery(stored::<Option<_>>(row.try_get(0)?)?.unwrap_or_default()))),
        (ROWS, |row| ledger_row(row).map(Saved::Row)),
        (RECORDS, |row| ledger_record(row).map(Saved::Record)),
        (OUTBOX, |row| waiting(row).map(Saved::Outbox)),
        (REJECTED, |row| quarantine::rejected(row).map(Saved::Rejected)),
    ];
    for (sql, saved) in parts {
        let mut rows = query(sql).bind(pipeline).fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            if each(saved(&row)?).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn waiting(row: &PgRow) -> Result<SavedOutbox, Problem> {
    Ok(SavedOutbox {
        id: Uuid::from_bytes(sixteen(row, 0)?),
        held: row.try_get(1)?,
        refusals: u32::try_from(row.try_get::<i64, _>(2)?).unwrap_or(u32::MAX),
        refused_since: row.try_get(3)?,
        body: text(row, 4)?,
    })
}

/// When it was refused last follows from the attempts and the time of the next one.
pub(super) async fn put_refused(
    connection: &mut PgConnection,
    pipeline: i64,
    entry: &RefusedEntry,
) -> Result<(), Problem> {
    let RefusedEntry { id, code, message, attempts, first_seen, last_seen: _, retry_at, body } = entry;
    query(
        "INSERT INTO refused (pipeline, id, code, message, attempts, retry_at, first_seen, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(pipeline)
    .bind(&id.as_bytes()[..])
    .bind(code.as_bytes())
    .bind(message.as_bytes())
    .bind(i64::from(*attempts))
    .bind(retry_at.as_microsecond())
    .bind(first_seen.as_microsecond())
    .bind(body.as_bytes())
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets; the pipeline keeps its number, and its places in the outbox never come again.
pub(super) async fn forget(connection: &mut PgConnection, pipeline: i64, what: Forget) -> Result<(), Problem> {
    let statements: &[&'static str] = match what {
        Forget::Everything => &[
            "DELETE FROM source_row WHERE pipeline = $1",
            "DELETE FROM record WHERE pipeline = $1",
            "DELETE FROM outbox WHERE pipeline = $1",
            "DELETE FROM quarantine WHERE pipeline = $1",
            "DELETE FROM refused WHERE pipeline = $1",
            "DELETE FROM backfill WHERE pipeline = $1",
            "UPDATE pipeline SET state = NULL, delivery = NULL WHERE no = $1",
        ],
        Forget::Ledger => &[
            "DELETE FROM source_row WHERE pipeline = $1",
            "DELETE FROM record WHERE pipeline = $1",
            "DELETE FROM quarantine WHERE pipeline = $1 AND stage = 'run'",
        ],
    };
    for sql in statements {
        query(*sql).bind(pipeline).execute(&mut *connection).await?;
    }
    Ok(())
}
