//! Everything that is remembered of a pipeline: read for a copy, written from one, forgotten.

use std::ops::ControlFlow;

use engine_core::state::{Forget, QuarantineEntry, RefusedEntry, Saved};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::{ledger, outbox, quarantine, schema};

const STATE: &str = "SELECT coalesce(state, 'null') FROM pipeline WHERE no = ?1";
const DELIVERY: &str = "SELECT coalesce(delivery, 'null') FROM pipeline WHERE no = ?1";
const REJECTED: &str = "SELECT stage, key, code, reason, rule, row, lane, at, first_seen FROM quarantine \
     WHERE pipeline = ?1 ORDER BY stage, key, code, rule";

type FromRow = fn(&Row<'_>) -> rusqlite::Result<Saved>;

/// Reads everything, until `each` breaks off.
pub(super) fn read(
    connection: &Connection,
    pipeline: i64,
    each: &mut dyn FnMut(Saved) -> ControlFlow<()>,
) -> rusqlite::Result<()> {
    let before: [(&str, FromRow); 2] = [
        (STATE, |row| json(row).map(|state| Saved::State(Box::new(state)))),
        (DELIVERY, |row| json(row).map(Saved::Delivery)),
    ];
    let after: [(&str, FromRow); 1] = [(REJECTED, |row| quarantine::rejected(row).map(Saved::Rejected))];
    let is_over = read_each(connection, pipeline, &before, each)?.is_break()
        || ledger::everything(connection, pipeline, each)?.is_break()
        || outbox::everything(connection, pipeline, each)?.is_break()
        || read_each(connection, pipeline, &after, each)?.is_break();
    if is_over {
        return Ok(());
    }
    for refused in outbox::refused(connection, pipeline)? {
        if each(Saved::Refused(refused)).is_break() {
            break;
        }
    }
    Ok(())
}

fn read_each(
    connection: &Connection,
    pipeline: i64,
    parts: &[(&str, FromRow)],
    each: &mut dyn FnMut(Saved) -> ControlFlow<()>,
) -> rusqlite::Result<ControlFlow<()>> {
    for (sql, saved) in parts {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([pipeline])?;
        while let Some(row) = rows.next()? {
            if each(saved(row)?).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn json<T: Default + serde::de::DeserializeOwned>(row: &Row<'_>) -> rusqlite::Result<T> {
    serde_json::from_str::<Option<T>>(row.get_ref(0)?.as_str()?)
        .map(Option::unwrap_or_default)
        .map_err(|failure| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(failure)))
}

pub(super) fn put_rejected(connection: &Connection, pipeline: i64, entry: &QuarantineEntry) -> rusqlite::Result<()> {
    let QuarantineEntry { stage, key, code, reason, rule, row, lane, at, first_seen } = entry;
    let (stage, first_seen) = (stage.as_str(), first_seen.as_microsecond());
    connection
        .prepare_cached(
            "INSERT INTO quarantine (pipeline, stage, key, code, rule, lane, at, reason, row, first_seen)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![pipeline, stage, key, code, rule, lane, at, reason, row, first_seen])
        .map(drop)
}

/// When it was refused last follows from the attempts and the time of the next one.
pub(super) fn put_refused(connection: &Connection, pipeline: i64, entry: &RefusedEntry) -> rusqlite::Result<()> {
    let RefusedEntry { id, code, message, attempts, first_seen, last_seen: _, retry_at, body } = entry;
    let (first_seen, retry_at) = (first_seen.as_microsecond(), retry_at.as_microsecond());
    connection
        .prepare_cached(
            "INSERT INTO refused (pipeline, id, code, message, attempts, retry_at, first_seen, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![pipeline, id.as_bytes(), code, message, attempts, retry_at, first_seen, body])
        .map(drop)
}

/// Forgets; the pipeline keeps its number.
pub(super) fn forget(connection: &Connection, pipeline: i64, what: Forget) -> rusqlite::Result<()> {
    match what {
        Forget::Everything => {
            for table in schema::PIPELINE_TABLES {
                connection.execute(&format!("DELETE FROM {table} WHERE pipeline = ?1"), [pipeline])?;
            }
            connection.execute("UPDATE pipeline SET state = NULL, delivery = NULL WHERE no = ?1", [pipeline])?;
        }
        Forget::Ledger => {
            for sql in [
                "DELETE FROM sheet WHERE pipeline = ?1",
                "DELETE FROM place WHERE pipeline = ?1",
                "DELETE FROM quarantine WHERE pipeline = ?1 AND stage = 'run'",
            ] {
                connection.execute(sql, [pipeline])?;
            }
        }
    }
    Ok(())
}
