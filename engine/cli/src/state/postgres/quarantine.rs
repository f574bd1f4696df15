//! Quarantine: rows that were rejected, and, read along with them, records that the destination refused.
//!
//! Writing what is there already writes nothing.

use std::collections::{HashMap, HashSet};

use engine_core::state::{QUARANTINE_ROWS_MAX, QuarantineEntry, Stage};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Row as _, query};
use uuid::Uuid;

use super::error::Problem;
use super::{instant, limit_of, sixteen, text, text_or_none};

/// What tells two entries of a stage apart: key, code, rule.
type Identity = (String, String, String);

const IN_LANE: &str = "SELECT key, code, rule FROM quarantine \
     WHERE pipeline = $1 AND stage = 'run' AND lane = $2 AND (at >= $3 OR at IS NULL)";
const IN_STAGE: &str = "SELECT key, code, rule FROM quarantine \
     WHERE pipeline = $1 AND stage = 'row' AND (at >= $2 OR at IS NULL)";

/// Replaces what was rejected in a lane from a time on, or at no known time.
pub(super) async fn replace_lane(
    connection: &mut PgConnection,
    pipeline: i64,
    lane: &str,
    from: i64,
    entries: &[QuarantineEntry],
) -> Result<(), Problem> {
    let present = query(IN_LANE).bind(pipeline).bind(lane.as_bytes()).bind(from).fetch_all(&mut *connection).await?;
    replace(connection, pipeline, Stage::Run, identities(&present)?, entries).await
}

/// Takes out what was rejected when it was read, by its keys.
pub(super) async fn heal_rows(connection: &mut PgConnection, pipeline: i64, keys: &[String]) -> Result<(), Problem> {
    if !keys.is_empty() {
        query("DELETE FROM quarantine WHERE pipeline = $1 AND stage = 'row' AND key = ANY($2)")
            .bind(pipeline)
            .bind(keys.iter().map(String::as_bytes).collect::<Vec<_>>())
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Replaces what was rejected when it was read, but for rows before a time; with `i64::MAX`, nothing is replaced.
pub(super) async fn replace_rows(
    connection: &mut PgConnection,
    pipeline: i64,
    keep_before: i64,
    entries: &[QuarantineEntry],
) -> Result<(), Problem> {
    let present = match keep_before {
        i64::MAX => HashSet::new(),
        keep_before => {
            identities(&query(IN_STAGE).bind(pipeline).bind(keep_before).fetch_all(&mut *connection).await?)?
        }
    };
    replace(connection, pipeline, Stage::Row, present, entries).await
}

fn identities(rows: &[PgRow]) -> Result<HashSet<Identity>, Problem> {
    rows.iter().map(|row| Ok((text(row, 0)?, text(row, 1)?, text(row, 2)?))).collect()
}

fn identity(entry: &QuarantineEntry) -> Identity {
    (entry.key.clone(), entry.code.clone(), entry.rule.clone())
}

async fn replace(
    connection: &mut PgConnection,
    pipeline: i64,
    stage: Stage,
    mut healed: HashSet<Identity>,
    entries: &[QuarantineEntry],
) -> Result<(), Problem> {
    if healed.is_empty() && entries.is_empty() {
        return Ok(());
    }
    // The last of several with one identity counts.
    let mut places: HashMap<Identity, usize> = HashMap::new();
    let mut wanted: Vec<&QuarantineEntry> = Vec::new();
    for entry in entries {
        let identity = identity(entry);
        healed.remove(&identity);
        match places.get(&identity) {
            Some(place) => wanted[*place] = entry,
            None => {
                places.insert(identity, wanted.len());
                wanted.push(entry);
            }
        }
    }
    let healed: Vec<&Identity> = healed.iter().collect();
    if !healed.is_empty() {
        query(
            "DELETE FROM quarantine USING unnest($3::bytea[], $4::bytea[], $5::bytea[]) AS healed (key, code, rule)
             WHERE pipeline = $1 AND stage = $2 AND quarantine.key = healed.key AND quarantine.code = healed.code
                 AND quarantine.rule = healed.rule",
        )
        .bind(pipeline)
        .bind(stage.as_str())
        .bind(healed.iter().map(|(key, _, _)| key.as_bytes()).collect::<Vec<_>>())
        .bind(healed.iter().map(|(_, code, _)| code.as_bytes()).collect::<Vec<_>>())
        .bind(healed.iter().map(|(_, _, rule)| rule.as_bytes()).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    }
    let known = update(connection, pipeline, stage, &wanted).await?;
    let present: i64 = query("SELECT count(*) FROM quarantine WHERE pipeline = $1")
        .bind(pipeline)
        .fetch_one(&mut *connection)
        .await?
        .try_get(0)?;
    let room = QUARANTINE_ROWS_MAX.saturating_sub(usize::try_from(present).unwrap_or_default());
    let new: Vec<&QuarantineEntry> =
        wanted.into_iter().filter(|entry| !known.contains(&identity(entry))).take(room).collect();
    insert(connection, pipeline, stage, &new).await
}

/// Brings entries that are there up to date; those that are there. When they were seen first stays.
async fn update(
    connection: &mut PgConnection,
    pipeline: i64,
    stage: Stage,
    wanted: &[&QuarantineEntry],
) -> Result<HashSet<Identity>, Problem> {
    if wanted.is_empty() {
        return Ok(HashSet::new());
    }
    let present = query(
        "WITH wanted AS (
             SELECT * FROM unnest($3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bigint[], $8::bytea[], $9::bytea[])
                 AS wanted (key, code, rule, lane, at, reason, row)),
         changed AS (
             UPDATE quarantine SET lane = wanted.lane, at = wanted.at, reason = wanted.reason, row = wanted.row
             FROM wanted
             WHERE quarantine.pipeline = $1 AND quarantine.stage = $2 AND quarantine.key = wanted.key
                 AND quarantine.code = wanted.code AND quarantine.rule = wanted.rule
                 AND (quarantine.lane, quarantine.at, quarantine.reason, quarantine.row)
                     IS DISTINCT FROM (wanted.lane, wanted.at, wanted.reason, wanted.row))
         SELECT key, code, rule FROM quarantine JOIN wanted USING (key, code, rule)
         WHERE quarantine.pipeline = $1 AND quarantine.stage = $2",
    )
    .bind(pipeline)
    .bind(stage.as_str())
    .bind(wanted.iter().map(|entry| entry.key.as_bytes()).collect::<Vec<_>>())
    .bind(wanted.iter().map(|entry| entry.code.as_bytes()).collect::<Vec<_>>())
    .bind(wanted.iter().map(|entry| entry.rule.as_bytes()).collect::<Vec<_>>())
    .bind(wanted.iter().map(|entry| entry.lane.as_ref().map(String::as_bytes)).collect::<Vec<_>>())
    .bind(wanted.iter().map(|entry| entry.at).collect::<Vec<_>>())
    .bind(wanted.iter().map(|entry| entry.reason.as_bytes()).collect::<Vec<_>>())
    .bind(wanted.iter().map(|entry| entry.row.as_bytes()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    identities(&present)
}

/// Writes entries that are not there.
pub(super) async fn insert(
    connection: &mut PgConnection,
    pipeline: i64,
    stage: Stage,
    new: &[&QuarantineEntry],
) -> Result<(), Problem> {
    if new.is_empty() {
        return Ok(());
    }
    query(
        "INSERT INTO quarantine (pipeline, stage, key, code, rule, lane, at, reason, row, first_seen)
         SELECT $1, $2, * FROM unnest($3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bigint[], $8::bytea[],
                                      $9::bytea[], $10::bigint[])",
    )
    .bind(pipeline)
    .bind(stage.as_str())
    .bind(new.iter().map(|entry| entry.key.as_bytes()).collect::<Vec<_>>())
    .bind(new.iter().map(|entry| entry.code.as_bytes()).collect::<Vec<_>>())
    .bind(new.iter().map(|entry| entry.rule.as_bytes()).collect::<Vec<_>>())
    .bind(new.iter().map(|entry| entry.lane.as_ref().map(String::as_bytes)).collect::<Vec<_>>())
    .bind(new.iter().map(|entry| entry.at).collect::<Vec<_>>())
    .bind(new.iter().map(|entry| entry.reason.as_bytes()).collect::<Vec<_>>())
    .bind(new.iter().map(|entry| entry.row.as_bytes()).collect::<Vec<_>>())
    .bind(new.iter().map(|entry| entry.first_seen.as_microsecond()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// The newest entries of all stages.
pub(super) async fn newest(
    connection: &mut PgConnection,
    pipeline: &str,
    limit: usize,
) -> Result<Vec<QuarantineEntry>, Problem> {
    let rejected_rows = query(
        "SELECT stage, key, code, reason, rule, row, lane, at, first_seen FROM quarantine
         WHERE pipeline = (SELECT no FROM pipeline WHERE id = $1)
         ORDER BY first_seen DESC, stage, key, code, rule LIMIT $2",
    )
    .bind(pipeline)
    .bind(limit_of(limit))
    .fetch_all(&mut *connection)
    .await?;
    let refused_rows = query(
        "SELECT id, code, message, body, first_seen FROM refused
         WHERE pipeline = (SELECT no FROM pipeline WHERE id = $1) ORDER BY first_seen DESC, id LIMIT $2",
    )
    .bind(pipeline)
    .bind(limit_of(limit))
    .fetch_all(connection)
    .await?;
    let mut entries: Vec<QuarantineEntry> =
        rejected_rows.iter().map(rejected).chain(refused_rows.iter().map(refused)).collect::<Result<_, _>>()?;
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.first_seen));
    entries.truncate(limit);
    Ok(entries)
}

pub(super) fn rejected(row: &PgRow) -> Result<QuarantineEntry, Problem> {
    let stage: &str = row.try_get(0)?;
    Ok(QuarantineEntry {
        stage: match stage {
            "row" => Stage::Row,
            "run" => Stage::Run,
            other => return Err(Problem::Stored(format!("no stage is called {other:?}"))),
        },
        key: text(row, 1)?,
        code: text(row, 2)?,
        reason: text(row, 3)?,
        rule: text(row, 4)?,
        row: text(row, 5)?,
        lane: text_or_none(row, 6)?,
        at: row.try_get(7)?,
        first_seen: instant(row, 8)?,
    })
}

fn refused(row: &PgRow) -> Result<QuarantineEntry, Problem> {
    let id = Uuid::from_bytes(sixteen(row, 0)?);
    Ok(QuarantineEntry::of_delivery(id, text(row, 1)?, text(row, 2)?, text(row, 3)?, instant(row, 4)?))
}
