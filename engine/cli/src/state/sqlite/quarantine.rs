//! Quarantine: rows that were rejected, and, read along with them, records that the destination refused.
//!
//! Writing what is there already writes nothing: a pipeline with rejected rows that nobody corrects must not wear the
//! disk on every run.

use std::collections::HashSet;

use engine_core::state::{QUARANTINE_ROWS_MAX, QuarantineEntry, Stage};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, ToSql, params};
use uuid::Uuid;

use super::{instant, sixteen};

/// What tells two entries of a stage apart: key, code, rule.
type Identity = (String, String, String);

pub(super) const IN_LANE: &str = "SELECT key, code, rule FROM quarantine \
     WHERE pipeline = ?1 AND stage = 'run' AND lane = ?2 AND (at >= ?3 OR at IS NULL)";
const IN_STAGE: &str = "SELECT key, code, rule FROM quarantine \
     WHERE pipeline = ?1 AND stage = 'row' AND (at >= ?2 OR at IS NULL)";

/// Replaces what was rejected in a lane from a time on, or at no known time.
pub(super) fn replace_lane(
    connection: &Connection,
    pipeline: i64,
    lane: &str,
    from: i64,
    entries: &[QuarantineEntry],
) -> rusqlite::Result<()> {
    let present = identities(connection, IN_LANE, params![pipeline, lane, from])?;
    replace(connection, pipeline, Stage::Run, present, entries)
}

/// Takes out what was rejected when it was read, by its keys.
pub(super) fn heal_rows(connection: &Connection, pipeline: i64, keys: &[String]) -> rusqlite::Result<()> {
    let mut delete =
        connection.prepare_cached("DELETE FROM quarantine WHERE pipeline = ?1 AND stage = 'row' AND key = ?2")?;
    for key in keys {
        delete.execute(params![pipeline, key])?;
    }
    Ok(())
}

/// Replaces what was rejected when it was read, but for rows before a time; with `i64::MAX`, nothing is replaced.
pub(super) fn replace_rows(
    connection: &Connection,
    pipeline: i64,
    keep_before: i64,
    entries: &[QuarantineEntry],
) -> rusqlite::Result<()> {
    let present = match keep_before {
        i64::MAX => HashSet::new(),
        keep_before => identities(connection, IN_STAGE, params![pipeline, keep_before])?,
    };
    replace(connection, pipeline, Stage::Row, present, entries)
}

fn identities(connection: &Connection, sql: &str, params: &[&dyn ToSql]) -> rusqlite::Result<HashSet<Identity>> {
    connection.prepare_cached(sql)?.query_map(params, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

fn replace(
    connection: &Connection,
    pipeline: i64,
    stage: Stage,
    mut healed: HashSet<Identity>,
    entries: &[QuarantineEntry],
) -> rusqlite::Result<()> {
    if healed.is_empty() && entries.is_empty() {
        return Ok(());
    }
    for entry in entries {
        healed.remove(&(entry.key.clone(), entry.code.clone(), entry.rule.clone()));
    }
    let mut delete = connection.prepare_cached(
        "DELETE FROM quarantine WHERE pipeline = ?1 AND stage = ?2 AND key = ?3 AND code = ?4 AND rule = ?5",
    )?;
    for (key, code, rule) in &healed {
        delete.execute(params![pipeline, stage.as_str(), key, code, rule])?;
    }

    let mut update = connection.prepare_cached(
        "UPDATE quarantine SET lane = ?6, at = ?7, reason = ?8, row = ?9
         WHERE pipeline = ?1 AND stage = ?2 AND key = ?3 AND code = ?4 AND rule = ?5
           AND (lane, at, reason, row) IS NOT (?6, ?7, ?8, ?9)",
    )?;
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO quarantine (pipeline, stage, key, code, rule, lane, at, reason, row, first_seen)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    let present: i64 = connection
        .prepare_cached("SELECT count(*) FROM quarantine WHERE pipeline = ?1")?
        .query_row([pipeline], |row| row.get(0))?;
    let mut room = QUARANTINE_ROWS_MAX.saturating_sub(usize::try_from(present).unwrap_or_default());
    let stage = stage.as_str();
    for QuarantineEntry { stage: _, key, code, reason, rule, row, lane, at, first_seen } in entries {
        let changed = update.execute(params![pipeline, stage, key, code, rule, lane, at, reason, row])?;
        if changed == 0 && room > 0 {
            let first_seen = first_seen.as_microsecond();
            room -= insert.execute(params![pipeline, stage, key, code, rule, lane, at, reason, row, first_seen])?;
        }
    }
    Ok(())
}

/// The newest entries of all stages.
pub(super) fn newest(connection: &Connection, pipeline: i64, limit: usize) -> rusqlite::Result<Vec<QuarantineEntry>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut entries: Vec<QuarantineEntry> = connection
        .prepare_cached(
            "SELECT stage, key, code, reason, rule, row, lane, at, first_seen FROM quarantine
             WHERE pipeline = ?1 ORDER BY first_seen DESC, stage, key, code, rule LIMIT ?2",
        )?
        .query_map(params![pipeline, limit], rejected)?
        .collect::<rusqlite::Result<_>>()?;
    let refused = connection
        .prepare_cached(
            "SELECT id, code, message, body, first_seen FROM refused
             WHERE pipeline = ?1 ORDER BY first_seen DESC, id LIMIT ?2",
        )?
        .query_map(params![pipeline, limit], refused)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    entries.extend(refused);
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.first_seen));
    entries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(entries)
}

pub(super) fn rejected(row: &Row<'_>) -> rusqlite::Result<QuarantineEntry> {
    Ok(QuarantineEntry {
        stage: match row.get_ref(0)?.as_str()? {
            "row" => Stage::Row,
            "run" => Stage::Run,
            other => {
                let failure = format!("no stage is called {other:?}");
                return Err(rusqlite::Error::FromSqlConversionFailure(0, Type::Text, failure.into()));
            }
        },
        key: row.get(1)?,
        code: row.get(2)?,
        reason: row.get(3)?,
        rule: row.get(4)?,
        row: row.get(5)?,
        lane: row.get(6)?,
        at: row.get(7)?,
        first_seen: instant(row, 8)?,
    })
}

fn refused(row: &Row<'_>) -> rusqlite::Result<QuarantineEntry> {
    let id = Uuid::from_bytes(sixteen(row, 0)?);
    Ok(QuarantineEntry::of_delivery(id, row.get(1)?, row.get(2)?, row.get(3)?, instant(row, 4)?))
}
