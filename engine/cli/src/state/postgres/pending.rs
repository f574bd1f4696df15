//! Writes of a transaction that were not sent yet: many go in one statement, so that a change of a thousand rows costs
//! a few round trips and not thousands.

use std::collections::HashMap;

use engine_core::canonical::{KeyMap, RowKey};
use engine_core::state::{LedgerRecord, LedgerRow, OutboxEntry, SavedOutbox};
use sqlx::postgres::PgConnection;
use sqlx::{Row as _, query};
use uuid::Uuid;

use super::error::Problem;

/// Writes that wait before they are sent.
const PENDING_MAX: usize = 4_096;
/// Bytes of bodies that wait before they are sent.
const PENDING_BYTES_MAX: usize = 4 << 20;

/// Writes that were not sent yet. `None` removes.
#[derive(Default)]
pub(super) struct Pending {
    rows: KeyMap<Option<LedgerRow>>,
    records: HashMap<(bool, RowKey), Option<LedgerRecord>>,
    /// In the order of appending; one that was superseded before it was sent is `None`.
    outbox: Vec<Option<Appended>>,
    places: HashMap<Uuid, usize>,
    bytes: usize,
}

struct Appended {
    record: SavedOutbox,
    /// Nothing of this id waits in the database.
    fresh: bool,
}

impl Pending {
    pub(super) fn is_full(&self) -> bool {
        self.rows.len() + self.records.len() + self.outbox.len() >= PENDING_MAX || self.bytes >= PENDING_BYTES_MAX
    }

    /// A row that waits: what becomes of it, if anything does.
    pub(super) fn row(&self, key: RowKey) -> Option<&Option<LedgerRow>> {
        self.rows.get(&key)
    }

    pub(super) fn record(&self, key: RowKey, part: bool) -> Option<&Option<LedgerRecord>> {
        self.records.get(&(part, key))
    }

    pub(super) fn put_row(&mut self, row: &LedgerRow) {
        self.bytes += row.body.len();
        self.rows.insert(row.key, Some(row.clone()));
    }

    pub(super) fn delete_row(&mut self, key: RowKey) {
        self.rows.insert(key, None);
    }

    pub(super) fn put_record(&mut self, record: &LedgerRecord) {
        self.bytes += record.body.as_ref().map_or(0, String::len);
        self.records.insert((record.part, record.key), Some(record.clone()));
    }

    pub(super) fn delete_record(&mut self, key: RowKey, part: bool) {
        self.records.insert((part, key), None);
    }

    pub(super) fn enqueue(&mut self, entry: &OutboxEntry) {
        let OutboxEntry { id, body, held, fresh } = entry;
        let record = SavedOutbox { id: *id, held: *held, refusals: 0, refused_since: None, body: body.clone() };
        self.append(record, *fresh);
    }

    /// Appends a record as it was saved.
    pub(super) fn restore(&mut self, waiting: &SavedOutbox) {
        self.append(waiting.clone(), true);
    }

    fn append(&mut self, record: SavedOutbox, fresh: bool) {
        self.bytes += record.body.len();
        if let Some(before) = self.places.insert(record.id, self.outbox.len()) {
            // What the earlier one was to supersede, this one does.
            let earlier = self.outbox[before].take();
            let fresh = fresh && earlier.is_none_or(|earlier| earlier.fresh);
            self.outbox.push(Some(Appended { record, fresh }));
        } else {
            self.outbox.push(Some(Appended { record, fresh }));
        }
    }

    /// Forgets what waits.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Sends what waits.
    pub(super) async fn flush(&mut self, connection: &mut PgConnection, pipeline: i64) -> Result<(), Problem> {
        let Self { rows, records, outbox, .. } = std::mem::take(self);
        send_rows(connection, pipeline, &rows).await?;
        send_records(connection, pipeline, &records).await?;
        let outbox: Vec<Appended> = outbox.into_iter().flatten().collect();
        send_outbox(connection, pipeline, &outbox).await
    }
}

async fn send_rows(
    connection: &mut PgConnection,
    pipeline: i64,
    rows: &KeyMap<Option<LedgerRow>>,
) -> Result<(), Problem> {
    let gone: Vec<Vec<u8>> = rows.iter().filter(|(_, row)| row.is_none()).map(|(key, _)| bytes_of(*key)).collect();
    if !gone.is_empty() {
        query("DELETE FROM source_row WHERE pipeline = $1 AND key = ANY($2)")
            .bind(pipeline)
            .bind(gone)
            .execute(&mut *connection)
            .await?;
    }
    let put: Vec<&LedgerRow> = rows.values().flatten().collect();
    if put.is_empty() {
        return Ok(());
    }
    query(
        "INSERT INTO source_row (pipeline, key, hash, at, lane, starts, body)
         SELECT $1, * FROM unnest($2::bytea[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bigint[], $7::bytea[])
         ON CONFLICT (pipeline, key) DO UPDATE SET
             hash = excluded.hash, at = excluded.at, lane = excluded.lane, starts = excluded.starts, body = excluded.body
         WHERE (source_row.hash, source_row.at, source_row.lane, source_row.starts, source_row.body)
             IS DISTINCT FROM (excluded.hash, excluded.at, excluded.lane, excluded.starts, excluded.body)",
    )
    .bind(pipeline)
    .bind(put.iter().map(|row| bytes_of(row.key)).collect::<Vec<_>>())
    .bind(put.iter().map(|row| row.hash.cast_signed()).collect::<Vec<_>>())
    .bind(put.iter().map(|row| row.at).collect::<Vec<_>>())
    .bind(put.iter().map(|row| row.lane.as_bytes()).collect::<Vec<_>>())
    .bind(put.iter().map(|row| row.start).collect::<Vec<_>>())
    .bind(put.iter().map(|row| row.body.as_bytes()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

async fn send_records(
    connection: &mut PgConnection,
    pipeline: i64,
    records: &HashMap<(bool, RowKey), Option<LedgerRecord>>,
) -> Result<(), Problem> {
    let gone: Vec<(bool, RowKey)> =
        records.iter().filter(|(_, record)| record.is_none()).map(|(place, _)| *place).collect();
    if !gone.is_empty() {
        query(
            "DELETE FROM record USING unnest($2::boolean[], $3::bytea[]) AS gone (part, key)
             WHERE record.pipeline = $1 AND record.part = gone.part AND record.key = gone.key",
        )
        .bind(pipeline)
        .bind(gone.iter().map(|(part, _)| *part).collect::<Vec<_>>())
        .bind(gone.iter().map(|(_, key)| bytes_of(*key)).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    }
    let put: Vec<&LedgerRecord> = records.values().flatten().collect();
    if put.is_empty() {
        return Ok(());
    }
    query(
        "INSERT INTO record (pipeline, part, key, id, hash, at, lane, starts, ends, body)
         SELECT $1, * FROM unnest($2::boolean[], $3::bytea[], $4::bytea[], $5::bigint[], $6::bigint[], $7::bytea[],
                                  $8::bigint[], $9::bigint[], $10::bytea[])
         ON CONFLICT (pipeline, part, key) DO UPDATE SET
             id = excluded.id, hash = excluded.hash, at = excluded.at, lane = excluded.lane, starts = excluded.starts,
             ends = excluded.ends, body = excluded.body
         WHERE (record.id, record.hash, record.at, record.lane, record.starts, record.ends, record.body)
             IS DISTINCT FROM (excluded.id, excluded.hash, excluded.at, excluded.lane, excluded.starts, excluded.ends,
                               excluded.body)",
    )
    .bind(pipeline)
    .bind(put.iter().map(|record| record.part).collect::<Vec<_>>())
    .bind(put.iter().map(|record| bytes_of(record.key)).collect::<Vec<_>>())
    .bind(put.iter().map(|record| record.id.as_bytes().to_vec()).collect::<Vec<_>>())
    .bind(put.iter().map(|record| record.hash.cast_signed()).collect::<Vec<_>>())
    .bind(put.iter().map(|record| record.at).collect::<Vec<_>>())
    .bind(put.iter().map(|record| record.lane.as_bytes()).collect::<Vec<_>>())
    .bind(put.iter().map(|record| record.start).collect::<Vec<_>>())
    .bind(put.iter().map(|record| record.end).collect::<Vec<_>>())
    .bind(put.iter().map(|record| record.body.as_ref().map(String::as_bytes)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Appends; what is known of the same id, waiting or refused, is superseded. A record that is being sent at this moment
/// may be superseded too: its place is gone then, and whatever the destination answers changes nothing.
async fn send_outbox(connection: &mut PgConnection, pipeline: i64, outbox: &[Appended]) -> Result<(), Problem> {
    if outbox.is_empty() {
        return Ok(());
    }
    let ids: Vec<Vec<u8>> = outbox.iter().map(|one| one.record.id.as_bytes().to_vec()).collect();
    let known: Vec<Vec<u8>> =
        outbox.iter().filter(|one| !one.fresh).map(|one| one.record.id.as_bytes().to_vec()).collect();
    if !known.is_empty() {
        query("DELETE FROM outbox WHERE pipeline = $1 AND id = ANY($2)")
            .bind(pipeline)
            .bind(known)
            .execute(&mut *connection)
            .await?;
    }
    query("DELETE FROM refused WHERE pipeline = $1 AND id = ANY($2)")
        .bind(pipeline)
        .bind(&ids)
        .execute(&mut *connection)
        .await?;
    let count = i64::try_from(outbox.len()).unwrap_or(i64::MAX);
    let last: i64 = query("UPDATE pipeline SET last_seq = last_seq + $2 WHERE no = $1 RETURNING last_seq")
        .bind(pipeline)
        .bind(count)
        .fetch_one(&mut *connection)
        .await?
        .try_get(0)?;
    query(
        "INSERT INTO outbox (pipeline, seq, id, held, bytes, refusals, refused_since, body)
         SELECT $1, seq, id, held, octet_length(body), refusals, refused_since, body
         FROM unnest($2::bigint[], $3::bytea[], $4::boolean[], $5::bigint[], $6::bigint[], $7::bytea[])
             AS appended (seq, id, held, refusals, refused_since, body)",
    )
    .bind(pipeline)
    .bind((last - count + 1..=last).collect::<Vec<_>>())
    .bind(ids)
    .bind(outbox.iter().map(|one| one.record.held).collect::<Vec<_>>())
    .bind(outbox.iter().map(|one| i64::from(one.record.refusals)).collect::<Vec<_>>())
    .bind(outbox.iter().map(|one| one.record.refused_since).collect::<Vec<_>>())
    .bind(outbox.iter().map(|one| one.record.body.as_bytes()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

fn bytes_of(key: RowKey) -> Vec<u8> {
    key.to_bytes().to_vec()
}
