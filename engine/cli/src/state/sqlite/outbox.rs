//! The outbox, and the records that the destination refused: a record is in one of them or in neither.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use engine_core::canonical::IdMap;
use engine_core::state::{OutboxEntry, OutboxRecord, RefusedEntry, RefusedRecord, Saved, SavedOutbox};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::stack::{self, Head, Stack};
use super::{instant, sixteen};
use crate::state::retry::{last_refused, retry_after_micros};

pub(super) const QUEUE: &str = "SELECT heads, bodies FROM outbox WHERE pipeline = ?1 AND held = 0 ORDER BY last";
pub(super) const STACK_FROM: &str = "SELECT last FROM outbox \
     WHERE pipeline = ?1 AND held = 0 AND last >= ?2 ORDER BY last LIMIT 1";
const ALL_HEADS: &str = "SELECT last, heads FROM outbox WHERE pipeline = ?1";

/// Bytes of bodies that wait in memory for their stacks at most.
const APPENDED_BYTES_MAX: usize = 256 << 10;

/// What a transaction appends to the outbox of one pipeline.
#[derive(Default)]
pub(super) struct Appender {
    /// The last place that was given; `None` until one is needed.
    last: Option<i64>,
    /// What waits for its stack, with whether it is held.
    waiting: Vec<(Head, bool)>,
    bodies: String,
    /// The newest place of ids that may wait already.
    superseding: IdMap<i64>,
    /// Whether anything of the pipeline may be refused; `None` until somebody wants to know.
    any_refused: Option<bool>,
}

impl Appender {
    /// Appends; what is known of the same id, waiting or refused, is superseded when this ends. A record that is being
    /// sent at this moment may be superseded too: its place is gone then, and whatever the destination answers changes
    /// nothing.
    pub(super) fn append(
        &mut self,
        connection: &Connection,
        pipeline: i64,
        entry: &OutboxEntry,
    ) -> rusqlite::Result<()> {
        let any_refused = match self.any_refused {
            Some(any) => any,
            None => *self.any_refused.insert(is_any_refused(connection, pipeline)?),
        };
        if any_refused {
            connection
                .prepare_cached("DELETE FROM refused WHERE pipeline = ?1 AND id = ?2")?
                .execute(params![pipeline, entry.id.as_bytes()])?;
        }
        let seq = self.push(connection, pipeline, entry.id, entry.held, (0, None), &entry.body)?;
        if !entry.fresh {
            self.superseding.insert(entry.id.as_u128(), seq);
        }
        Ok(())
    }

    /// Appends a record of which nothing waits, with how often it was refused and since when. Gives its place.
    pub(super) fn push(
        &mut self,
        connection: &Connection,
        pipeline: i64,
        id: Uuid,
        held: bool,
        (refusals, refused_since): (u32, Option<i64>),
        body: &str,
    ) -> rusqlite::Result<i64> {
        let last = match self.last {
            Some(last) => last,
            None => connection
                .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'")?
                .query_row([], |row| row.get(0))
                .optional()?
                .unwrap_or(0),
        };
        let seq = last + 1;
        self.last = Some(seq);
        self.waiting.push((Head { seq, id, refusals, refused_since, len: body.len() }, held));
        self.bodies.push_str(body);
        if self.bodies.len() > APPENDED_BYTES_MAX {
            self.write_stacks(connection, pipeline)?;
        }
        Ok(seq)
    }

    /// Writes what was appended, and takes out what it supersedes.
    pub(super) fn finish(&mut self, connection: &Connection, pipeline: i64) -> rusqlite::Result<()> {
        self.write_stacks(connection, pipeline)?;
        let superseding = std::mem::take(&mut self.superseding);
        if superseding.is_empty() {
            return Ok(());
        }
        let is_superseded = |head: &Head| superseding.get(&head.id.as_u128()).is_some_and(|newest| *newest > head.seq);
        let mut touched: Vec<i64> = Vec::new();
        let mut statement = connection.prepare_cached(ALL_HEADS)?;
        let mut rows = statement.query([pipeline])?;
        while let Some(row) = rows.next()? {
            if stack::heads(row.get_ref(1)?.as_blob()?)?.any(|head| is_superseded(&head)) {
                touched.push(row.get(0)?);
            }
        }
        touched.into_iter().try_for_each(|last| retain(connection, last, &mut |head, _| Ok(!is_superseded(head))))
    }

    fn write_stacks(&mut self, connection: &Connection, pipeline: i64) -> rusqlite::Result<()> {
        let mut rest = self.bodies.as_str();
        let mut stack = Stack::default();
        let mut is_held = false;
        for (head, held) in self.waiting.drain(..) {
            let (body, others) = rest.split_at(head.len);
            rest = others;
            if self.superseding.get(&head.id.as_u128()).is_some_and(|newest| *newest > head.seq) {
                continue;
            }
            if held != is_held || !stack.has_room(head.len) {
                insert(connection, pipeline, is_held, &std::mem::take(&mut stack))?;
            }
            is_held = held;
            stack.push(&head, body);
        }
        insert(connection, pipeline, is_held, &stack)?;
        self.bodies.clear();
        Ok(())
    }
}

/// Puts what waits one by one on stacks, where each keeps its place.
pub(super) fn stack_up(connection: &Connection, pipeline: i64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        "SELECT seq, id, refusals, refused_since, held, body FROM outbox_one_by_one WHERE pipeline = ?1 ORDER BY seq",
    )?;
    let mut rows = statement.query([pipeline])?;
    let mut stack = Stack::default();
    let mut is_held = false;
    while let Some(row) = rows.next()? {
        let body = row.get_ref(5)?.as_str()?;
        let head = Head {
            seq: row.get(0)?,
            id: Uuid::from_bytes(sixteen(row, 1)?),
            refusals: row.get(2)?,
            refused_since: row.get(3)?,
            len: body.len(),
        };
        let held = row.get(4)?;
        if held != is_held || !stack.has_room(head.len) {
            insert(connection, pipeline, is_held, &std::mem::take(&mut stack))?;
        }
        is_held = held;
        stack.push(&head, body);
    }
    insert(connection, pipeline, is_held, &stack)
}

fn insert(connection: &Connection, pipeline: i64, held: bool, stack: &Stack) -> rusqlite::Result<()> {
    let Stack { last, records, heads, bodies } = stack;
    if *records == 0 {
        return Ok(());
    }
    let kept = stack.kept_bodies();
    let bytes = i64::try_from(bodies.len()).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "INSERT INTO outbox (last, pipeline, held, records, bytes, heads, bodies)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![last, pipeline, held, records, bytes, heads, kept])
        .map(drop)
}

/// Leaves in a stack the records that `stays` says are to stay.
fn retain(
    connection: &Connection,
    last: i64,
    stays: &mut dyn FnMut(&Head, &str) -> rusqlite::Result<bool>,
) -> rusqlite::Result<()> {
    let mut kept = Stack::default();
    connection.prepare_cached("SELECT heads, bodies FROM outbox WHERE last = ?1")?.query_row([last], |row| {
        let heads = row.get_ref(0)?.as_blob()?;
        for record in stack::records(heads, &stack::bodies(heads, row.get_ref(1)?.as_blob()?)?)? {
            let (head, body) = record?;
            if stays(&head, body)? {
                kept.push(&head, body);
            }
        }
        Ok(())
    })?;
    if kept.records == 0 {
        return connection.prepare_cached("DELETE FROM outbox WHERE last = ?1")?.execute([last]).map(drop);
    }
    let bytes = i64::try_from(kept.bodies.len()).unwrap_or(i64::MAX);
    connection
        .prepare_cached("UPDATE outbox SET records = ?2, bytes = ?3, heads = ?4, bodies = ?5 WHERE last = ?1")?
        .execute(params![last, kept.records, bytes, kept.heads, kept.kept_bodies()])
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
    let mut statement = connection.prepare_cached(QUEUE)?;
    let mut rows = statement.query([pipeline])?;
    let mut oldest: Vec<OutboxRecord> = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        for record in stack::shared(row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?)? {
            let (Head { seq, id, len, .. }, body) = record?;
            bytes += len;
            if !oldest.is_empty() && (bytes > bytes_max || oldest.len() >= records_max) {
                return Ok(oldest);
            }
            oldest.push(OutboxRecord { seq, id, body });
        }
    }
    Ok(oldest)
}

/// Everything that waits, in the order of sending, until `each` breaks off.
pub(super) fn everything(
    connection: &Connection,
    pipeline: i64,
    each: &mut dyn FnMut(Saved) -> ControlFlow<()>,
) -> rusqlite::Result<ControlFlow<()>> {
    let mut statement =
        connection.prepare("SELECT held, heads, bodies FROM outbox WHERE pipeline = ?1 ORDER BY last")?;
    let mut rows = statement.query([pipeline])?;
    while let Some(row) = rows.next()? {
        let held = row.get(0)?;
        let heads = row.get_ref(1)?.as_blob()?;
        for record in stack::records(heads, &stack::bodies(heads, row.get_ref(2)?.as_blob()?)?)? {
            let (Head { id, refusals, refused_since, .. }, body) = record?;
            let saved = SavedOutbox { id, held, refusals, refused_since, body: body.to_owned() };
            if each(Saved::Outbox(saved)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Calls with the last place of each stack that may have one of these places, which come in their order.
fn each_stack_of(
    connection: &Connection,
    pipeline: i64,
    mut places: &[i64],
    each: &mut dyn FnMut(i64) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    while let Some(first) = places.first() {
        let last = connection
            .prepare_cached(STACK_FROM)?
            .query_row(params![pipeline, first], |row| row.get::<_, i64>(0))
            .optional()?;
        let Some(last) = last else { break };
        each(last)?;
        places = &places[places.partition_point(|place| *place <= last)..];
    }
    Ok(())
}

/// Takes acknowledged records out. One that was superseded meanwhile is not there any more.
pub(super) fn remove(connection: &Connection, pipeline: i64, places: &[i64]) -> rusqlite::Result<()> {
    let mut places = places.to_vec();
    places.sort_unstable();
    let is_gone = |head: &Head| places.binary_search(&head.seq).is_ok();
    each_stack_of(connection, pipeline, &places, &mut |last| {
        // What was claimed together mostly is the whole of a stack, and its bodies need not be read.
        let goes_whole = connection
            .prepare_cached("SELECT heads FROM outbox WHERE last = ?1")?
            .query_row([last], |row| Ok(stack::heads(row.get_ref(0)?.as_blob()?)?.all(|head| is_gone(&head))))?;
        if goes_whole {
            return connection.prepare_cached("DELETE FROM outbox WHERE last = ?1")?.execute([last]).map(drop);
        }
        retain(connection, last, &mut |head, _| Ok(!is_gone(head)))
    })
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
    let refused: BTreeMap<i64, &RefusedRecord> = refused.iter().map(|record| (record.seq, record)).collect();
    let places: Vec<i64> = refused.keys().copied().collect();
    let mut put = connection.prepare_cached(
        "INSERT OR REPLACE INTO refused (pipeline, id, code, message, attempts, retry_at, first_seen, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let mut put_aside = |head: &Head, body: &str| {
        let Some(record) = refused.get(&head.seq) else { return Ok(true) };
        put.execute(params![
            pipeline,
            head.id.as_bytes(),
            record.code,
            record.message,
            head.refusals.saturating_add(1),
            now.saturating_add(retry_after_micros(head.refusals)),
            head.refused_since.unwrap_or(now),
            body
        ])?;
        Ok(false)
    };
    each_stack_of(connection, pipeline, &places, &mut |last| retain(connection, last, &mut put_aside))
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
    let mut appender = Appender::default();
    let mut moved = 0;
    let mut statement = connection.prepare_cached(
        "SELECT id, attempts, first_seen, body FROM refused
         WHERE pipeline = ?1 AND retry_at <= ?2 ORDER BY first_seen, id",
    )?;
    let mut rows = statement.query(due)?;
    while let Some(row) = rows.next()? {
        let (id, refused) = (Uuid::from_bytes(sixteen(row, 0)?), (row.get(1)?, row.get(2)?));
        appender.push(connection, pipeline, id, false, refused, row.get_ref(3)?.as_str()?)?;
        moved += 1;
    }
    appender.finish(connection, pipeline)?;
    connection.prepare_cached("DELETE FROM refused WHERE pipeline = ?1 AND retry_at <= ?2")?.execute(due)?;
    Ok(moved)
}
