//! The catalogue: which sheets a machine has, by their time.
//!
//! All machines grow at once, each at its end. An index that begins with the machine has the end of each in a page of
//! its own, and every commit writes all of these pages. So the catalogue begins with the fortnight: what grows lies
//! together there, and a question about a machine goes from one fortnight to the next, of those that there are.
//!
//! How far back a question must go is told by a second index, of the few sheets that stretch over more than a week or
//! have no end yet: every other one that reaches a time begins within the week before it.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, Row, Rows, params};

use super::ledger::Section;
use super::sheet::Shelf;

/// A fortnight; the number stands in the index, too.
const FORTNIGHT_MICROS: i64 = 1_209_600_000_000;
/// How far a sheet stretches at most that is not in the index of long ones; the number stands in that index, too.
const WEEK_MICROS: i64 = 604_800_000_000;

pub(super) const FORTNIGHT_FROM: &str = "SELECT starts / 1209600000000 FROM sheet \
     WHERE pipeline = ?1 AND shelf = ?2 AND starts / 1209600000000 >= ?3 ORDER BY starts / 1209600000000 LIMIT 1";
pub(super) const SHEET_UP_TO: &str = "SELECT no, entries, starts FROM sheet \
     WHERE pipeline = ?1 AND shelf = ?2 AND starts / 1209600000000 = ?3 AND lane = ?4 AND starts <= ?5 \
     ORDER BY starts DESC LIMIT 1";
pub(super) const SHEET_AFTER: &str = "SELECT no, entries, starts FROM sheet \
     WHERE pipeline = ?1 AND shelf = ?2 AND starts / 1209600000000 = ?3 AND lane = ?4 AND starts > ?5 \
     ORDER BY starts LIMIT 1";
pub(super) const SHORT_ONES_REACHING: &str = "SELECT heads, bodies FROM sheet \
     WHERE pipeline = ?1 AND shelf = ?2 AND starts / 1209600000000 = ?3 AND lane = ?4 AND starts >= ?5 \
     AND reaches >= ?6 AND reaches - starts <= 604800000000";
pub(super) const LONG_ONES_REACHING: &str = "SELECT heads, bodies FROM sheet \
     WHERE pipeline = ?1 AND shelf = ?2 AND lane = ?3 AND reaches >= ?4 AND reaches - starts > 604800000000";

/// A sheet that was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) no: i64,
    pub(super) entries: u32,
    /// The least start on it, in microseconds.
    pub(super) starts: i64,
}

impl Found {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { no: row.get(0)?, entries: row.get(1)?, starts: row.get(2)? })
    }
}

/// As the database divides: towards zero.
fn fortnight(start: i64) -> i64 {
    start / FORTNIGHT_MICROS
}

/// What a transaction knows of the catalogue of one pipeline.
#[derive(Default)]
pub(super) struct Catalogue {
    /// Every fortnight that has sheets, by shelf, since somebody asked; it may have one too many.
    fortnights: [Option<BTreeSet<i64>>; Shelf::ALL.len()],
}

impl Catalogue {
    fn fortnights(&mut self, at: Section<'_>) -> rusqlite::Result<&BTreeSet<i64>> {
        let known = &mut self.fortnights[at.shelf as usize];
        if known.is_none() {
            let mut found = BTreeSet::new();
            let mut statement = at.connection.prepare_cached(FORTNIGHT_FROM)?;
            let mut from = i64::MIN;
            while let Some(next) =
                statement.query_row(params![at.pipeline, at.shelf as u8, from], |row| row.get(0)).optional()?
            {
                found.insert(next);
                from = next + 1;
            }
            *known = Some(found);
        }
        Ok(known.get_or_insert_default())
    }

    /// A sheet that is written begins at this time.
    pub(super) fn note(&mut self, shelf: Shelf, starts: i64) {
        if let Some(known) = &mut self.fortnights[shelf as usize] {
            known.insert(fortnight(starts));
        }
    }

    /// The last sheet of a machine that begins at a time or before it.
    pub(super) fn up_to(&mut self, at: Section<'_>, lane: &str, start: i64) -> rusqlite::Result<Option<Found>> {
        let fortnights = self.fortnights(at)?.range(..=fortnight(start)).rev();
        first(at, SHEET_UP_TO, fortnights, lane, start)
    }

    /// The first sheet of a machine that begins after a time.
    pub(super) fn after(&mut self, at: Section<'_>, lane: &str, start: i64) -> rusqlite::Result<Option<Found>> {
        let fortnights = self.fortnights(at)?.range(fortnight(start)..);
        first(at, SHEET_AFTER, fortnights, lane, start)
    }

    /// The sheets of a machine that reach a time or go beyond it, heads and bodies, in no order.
    pub(super) fn reaching(
        &mut self,
        at: Section<'_>,
        lane: &str,
        from: i64,
        mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut read = |mut rows: Rows<'_>| {
            while let Some(row) = rows.next()? {
                each(row)?;
            }
            Ok::<_, rusqlite::Error>(())
        };
        let mut statement = at.connection.prepare_cached(LONG_ONES_REACHING)?;
        read(statement.query(params![at.pipeline, at.shelf as u8, lane, from])?)?;
        let begins = from.saturating_sub(WEEK_MICROS);
        let mut statement = at.connection.prepare_cached(SHORT_ONES_REACHING)?;
        for fortnight in self.fortnights(at)?.range(fortnight(begins)..) {
            read(statement.query(params![at.pipeline, at.shelf as u8, fortnight, lane, begins, from])?)?;
        }
        Ok(())
    }
}

/// The sheet that the statement finds in the first of these fortnights where it finds any.
fn first<'f>(
    at: Section<'_>,
    sql: &str,
    fortnights: impl Iterator<Item = &'f i64>,
    lane: &str,
    start: i64,
) -> rusqlite::Result<Option<Found>> {
    let mut statement = at.connection.prepare_cached(sql)?;
    for fortnight in fortnights {
        let place = params![at.pipeline, at.shelf as u8, fortnight, lane, start];
        let found = statement.query_row(place, Found::read).optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
