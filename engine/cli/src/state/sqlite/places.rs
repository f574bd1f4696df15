//! Places: the sheet of each key, in runs of keys that follow each other. A run is one row of the database.
//!
//! A run is a blob of pairs in the order of keys: 16 bytes of the key, big-endian, and 8 of the number of its sheet,
//! little-endian. It is found by a key that none of its keys precedes.

use engine_core::canonical::RowKey;
use rusqlite::{OptionalExtension, Row, params};

use super::ledger::Section;
use super::sixteen;
use super::torn::{Torn, take};

/// Keys of a run at most. One change writes its whole run.
pub(super) const RUN_KEYS_MAX: usize = 160;
/// Keys from which on the last run is left as it is, and a new one is begun.
const RUN_KEYS_ENOUGH: usize = RUN_KEYS_MAX / 2;
/// Bytes of a key and its sheet.
const PAIR: usize = 24;

pub(super) const RUN_BEFORE: &str = "SELECT no, places FROM place \
     WHERE pipeline = ?1 AND shelf = ?2 AND first <= ?3 ORDER BY first DESC LIMIT 1";
pub(super) const RUN_AFTER: &str = "SELECT first FROM place \
     WHERE pipeline = ?1 AND shelf = ?2 AND first > ?3 ORDER BY first LIMIT 1";

/// A run that was read, and where the next one begins.
struct Run {
    no: i64,
    pairs: Vec<u8>,
    next: Option<RowKey>,
}

impl Run {
    /// The run in which a key is, if it is anywhere; without a number where none begins before the key.
    fn around(at: Section<'_>, key: RowKey) -> rusqlite::Result<Self> {
        let place = params![at.pipeline, at.shelf as u8, key.to_bytes()];
        let run = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let before = at.connection.prepare_cached(RUN_BEFORE)?.query_row(place, run).optional()?;
        let first = |row: &Row<'_>| Ok(RowKey::from_bytes(sixteen(row, 0)?));
        let next = at.connection.prepare_cached(RUN_AFTER)?.query_row(place, first).optional()?;
        let (no, pairs): (i64, Vec<u8>) = before.unwrap_or_default();
        if !pairs.len().is_multiple_of(PAIR) {
            return Err(Torn("a run of keys of the ledger ends in the middle of a key").into());
        }
        Ok(Self { no, pairs, next })
    }

    fn reaches(&self, key: RowKey) -> bool {
        self.next.is_none_or(|next| key < next)
    }

    fn sheet_of(&self, key: RowKey) -> Option<i64> {
        let (pairs, _) = self.pairs.as_chunks::<PAIR>();
        let found = pairs.binary_search_by_key(&key.to_bytes(), |pair| take(&mut pair.as_slice())).ok()?;
        Some(pair(&pairs[found]).1)
    }
}

fn pair(bytes: &[u8; PAIR]) -> (RowKey, i64) {
    let mut bytes = bytes.as_slice();
    (RowKey::from_bytes(take(&mut bytes)), i64::from_le_bytes(take(&mut bytes)))
}

fn bytes_of(pairs: &[(RowKey, i64)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(pairs.len() * PAIR);
    for (key, sheet) in pairs {
        bytes.extend_from_slice(&key.to_bytes());
        bytes.extend_from_slice(&sheet.to_le_bytes());
    }
    bytes
}

/// The sheet of a key.
pub(super) fn sheet_of(at: Section<'_>, key: RowKey) -> rusqlite::Result<Option<i64>> {
    Ok(Run::around(at, key)?.sheet_of(key))
}

/// The sheets of keys. New rows mostly come after everything that is known, and cost one look together.
pub(super) fn sheets_of(at: Section<'_>, keys: &[RowKey]) -> rusqlite::Result<Vec<Option<i64>>> {
    let mut found = vec![None; keys.len()];
    let Some(least) = keys.iter().min() else { return Ok(found) };
    let mut run = Run::around(at, *least)?;
    if run.pairs.is_empty() && run.next.is_none() {
        // Nothing is there at all.
        return Ok(found);
    }
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_unstable_by_key(|number| keys[*number]);
    for number in order {
        let key = keys[number];
        if !run.reaches(key) {
            run = Run::around(at, key)?;
        }
        found[number] = run.sheet_of(key);
    }
    Ok(found)
}

/// Keeps the sheets of keys, which come in their order; what was known of them is forgotten.
pub(super) fn put(at: Section<'_>, mut pairs: &[(RowKey, i64)]) -> rusqlite::Result<()> {
    while let Some((first, _)) = pairs.first() {
        let mut run = Run::around(at, *first)?;
        if let (true, Some(next)) = (run.pairs.is_empty(), run.next) {
            // What comes before everything goes to the first run.
            run = Run::around(at, next)?;
        }
        let (group, others) = pairs.split_at(pairs.partition_point(|(key, _)| run.reaches(*key)));
        pairs = others;
        let (known, _) = run.pairs.as_chunks::<PAIR>();
        let is_appended = run.next.is_none() && known.last().is_none_or(|last| pair(last).0 < *first);
        if known.is_empty() || (is_appended && known.len() >= RUN_KEYS_ENOUGH) {
            insert(at, group)?;
            continue;
        }
        let known = known.iter().map(pair);
        let mut merged: Vec<(RowKey, i64)> = group.to_vec();
        merged.extend(known.filter(|(key, _)| group.binary_search_by_key(key, |(key, _)| *key).is_err()));
        merged.sort_unstable_by_key(|(key, _)| *key);
        let (stay, go) = merged.split_at(merged.len() / merged.len().div_ceil(RUN_KEYS_MAX));
        write(at, run.no, stay)?;
        insert(at, go)?;
    }
    Ok(())
}

/// Forgets the sheet of a key.
pub(super) fn delete(at: Section<'_>, key: RowKey) -> rusqlite::Result<()> {
    let run = Run::around(at, key)?;
    let (pairs, _) = run.pairs.as_chunks::<PAIR>();
    let kept: Vec<(RowKey, i64)> = pairs.iter().map(pair).filter(|(known, _)| *known != key).collect();
    if kept.len() == pairs.len() { Ok(()) } else { write(at, run.no, &kept) }
}

fn write(at: Section<'_>, no: i64, pairs: &[(RowKey, i64)]) -> rusqlite::Result<()> {
    if pairs.is_empty() {
        return at.connection.prepare_cached("DELETE FROM place WHERE no = ?1")?.execute([no]).map(drop);
    }
    at.connection
        .prepare_cached("UPDATE place SET first = ?2, places = ?3 WHERE no = ?1")?
        .execute(params![no, pairs[0].0.to_bytes(), bytes_of(pairs)])
        .map(drop)
}

/// Makes runs of their own for keys.
fn insert(at: Section<'_>, pairs: &[(RowKey, i64)]) -> rusqlite::Result<()> {
    let runs = pairs.len().div_ceil(RUN_KEYS_MAX).max(1);
    for run in pairs.chunks(pairs.len().div_ceil(runs).max(1)) {
        at.connection
            .prepare_cached("INSERT INTO place (pipeline, shelf, first, places) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![at.pipeline, at.shelf as u8, run[0].0.to_bytes(), bytes_of(run)])?;
    }
    Ok(())
}
