//! The ledger in the database: sheets, and the places where keys are found.
//!
//! A sheet is found by its machine and time (see [`super::catalogue`]), by its window, and by what of it is live; a key by
//! its place, which names the sheet (see [`super::places`]). A sheet is written whole. Entries that are new go to the
//! sheet that their start falls to, or make one of their own where the last one of the machine is full enough already:
//! what is appended writes nothing that was there.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use engine_core::canonical::{KeyList, Keyed, RowKey};
use engine_core::state::{LedgerEntry, LedgerRecord, LedgerRow, Saved};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::catalogue::{Catalogue, Found};
use super::places;
use super::sheet::{self, Entry, Heads, SHEET_ENTRIES_ENOUGH, Shelf, Written};
use super::torn::Torn;
use super::unsigned;

/// Places that wait for the commit at most, so that they are written in the order of their keys: 2 MiB.
const PLACES_WAITING_MAX: usize = 50_000;

pub(super) const IN_WINDOW: &str =
    "SELECT heads FROM sheet WHERE pipeline = ?1 AND shelf = ?2 AND at_to >= ?3 AND at_from < ?4";
pub(super) const ANY_PART: &str = "SELECT 1 FROM sheet WHERE pipeline = ?1 AND shelf = 2";
pub(super) const LIVE_SHEETS: &str =
    "SELECT heads FROM sheet WHERE pipeline = ?1 AND shelf = 1 AND live > 0 AND at_from < ?2";
pub(super) const LATEST_SHEETS: &str = "SELECT at_to, lane, heads, bodies FROM sheet \
     WHERE pipeline = ?1 AND shelf = 1 ORDER BY at_to DESC";
pub(super) const COUNTS: &str =
    "SELECT coalesce(sum(entries), 0), coalesce(sum(live), 0) FROM sheet WHERE pipeline = ?1 AND shelf = 1";
pub(super) const EVERY_SHEET: &str = "SELECT shelf, lane, heads, bodies FROM sheet WHERE pipeline = ?1 \
     ORDER BY shelf, starts / 1209600000000, lane, starts";

const NOT_THERE: Torn = Torn("a sheet of the ledger is not there, and a key leads to it");

/// One shelf of the ledger of one pipeline.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    pub(super) connection: &'a Connection,
    /// The pipeline's number in this file.
    pub(super) pipeline: i64,
    pub(super) shelf: Shelf,
}

fn heads<'a>(shelf: Shelf, row: &'a Row<'_>, column: usize) -> rusqlite::Result<Heads<'a>> {
    Ok(Heads::new(shelf, row.get_ref(column)?.as_blob()?)?)
}

/// The entries of a row that has heads and bodies, from this column on.
fn each_entry(shelf: Shelf, row: &Row<'_>, column: usize, each: &mut dyn FnMut(Entry<'_>)) -> rusqlite::Result<()> {
    let heads = row.get_ref(column)?.as_blob()?;
    let bodies = sheet::bodies(shelf, heads, row.get_ref(column + 1)?.as_blob()?)?;
    for entry in sheet::entries(shelf, heads, &bodies)? {
        each(entry?);
    }
    Ok(())
}

/// Entries whose window column lies in `[from, to)`.
pub(super) fn in_window(
    at: Section<'_>,
    from: i64,
    to: i64,
    each: &mut dyn FnMut(LedgerEntry),
) -> rusqlite::Result<()> {
    let mut statement = at.connection.prepare_cached(IN_WINDOW)?;
    let mut rows = statement.query(params![at.pipeline, at.shelf as u8, from, to])?;
    while let Some(row) = rows.next()? {
        for (head, _) in heads(at.shelf, row, 0)? {
            if head.at >= from && head.at < to {
                each(head.entry());
            }
        }
    }
    Ok(())
}

/// Entries by key.
pub(super) fn look_up(at: Section<'_>, keys: &[RowKey]) -> rusqlite::Result<Vec<Option<LedgerEntry>>> {
    let places = places::sheets_of(at, keys)?;
    let mut on_sheet: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (number, place) in places.iter().enumerate() {
        if let Some(sheet) = place {
            on_sheet.entry(*sheet).or_default().push(number);
        }
    }
    let mut found = vec![None; keys.len()];
    let mut statement = at.connection.prepare_cached("SELECT heads FROM sheet WHERE no = ?1")?;
    for (sheet, mut numbers) in on_sheet {
        numbers.sort_unstable_by_key(|number| keys[*number]);
        let read = |row: &Row<'_>| {
            for (head, _) in heads(at.shelf, row, 0)? {
                let first = numbers.partition_point(|number| keys[*number] < head.key);
                for number in numbers[first..].iter().take_while(|number| keys[**number] == head.key) {
                    found[*number] = Some(head.entry());
                }
            }
            Ok(())
        };
        statement.query_row([sheet], read).optional()?.ok_or(NOT_THERE)?;
    }
    Ok(found)
}

/// Live records whose window column lies before a time, oldest first.
pub(super) fn live_before(
    connection: &Connection,
    pipeline: i64,
    before: i64,
    limit: usize,
) -> rusqlite::Result<Vec<LedgerEntry>> {
    let mut statement = connection.prepare_cached(LIVE_SHEETS)?;
    let mut rows = statement.query(params![pipeline, before])?;
    let mut live = Vec::new();
    while let Some(row) = rows.next()? {
        let entries = heads(Shelf::Records, row, 0)?.map(|(head, _)| head.entry());
        live.extend(entries.filter(|entry| entry.live && entry.at < before));
    }
    live.sort_unstable_by_key(|entry| (entry.at, entry.key));
    live.truncate(limit);
    Ok(live)
}

/// Records that are no parts, those whose window column is latest first.
pub(super) fn latest(connection: &Connection, pipeline: i64, limit: usize) -> rusqlite::Result<Vec<LedgerRecord>> {
    let mut statement = connection.prepare_cached(LATEST_SHEETS)?;
    let mut rows = statement.query([pipeline])?;
    let mut latest: Vec<LedgerRecord> = Vec::new();
    while let Some(row) = rows.next()? {
        let at_to: i64 = row.get(0)?;
        if latest.len() >= limit && latest.last().is_none_or(|last| last.at > at_to) {
            break;
        }
        let lane: String = row.get(1)?;
        each_entry(Shelf::Records, row, 2, &mut |Entry { head, body }| {
            latest.push(head.record(Shelf::Records, &lane, body));
        })?;
        latest.sort_by_key(|record| std::cmp::Reverse((record.at, record.key)));
        latest.truncate(limit);
    }
    Ok(latest)
}

/// Number of records that are no parts, and of live ones among them.
pub(super) fn counts(connection: &Connection, pipeline: i64) -> rusqlite::Result<(u64, u64)> {
    connection.prepare_cached(COUNTS)?.query_row([pipeline], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))
}

/// Everything that is on the sheets of a pipeline, until `each` breaks off.
pub(super) fn everything(
    connection: &Connection,
    pipeline: i64,
    each: &mut dyn FnMut(Saved) -> ControlFlow<()>,
) -> rusqlite::Result<ControlFlow<()>> {
    let mut statement = connection.prepare(EVERY_SHEET)?;
    let mut rows = statement.query([pipeline])?;
    let mut flow = ControlFlow::Continue(());
    while flow.is_continue()
        && let Some(row) = rows.next()?
    {
        let number: i64 = row.get(0)?;
        let shelf = Shelf::ALL.into_iter().find(|shelf| *shelf as i64 == number);
        let shelf = shelf.ok_or(rusqlite::Error::IntegralValueOutOfRange(0, number))?;
        let lane: String = row.get(1)?;
        each_entry(shelf, row, 2, &mut |Entry { head, body }| {
            if flow.is_continue() {
                flow = each(match shelf {
                    Shelf::Rows => Saved::Row(head.row(&lane, body)),
                    Shelf::Records | Shelf::Parts => Saved::Record(head.record(shelf, &lane, body)),
                });
            }
        })?;
    }
    Ok(flow)
}

/// A sheet that is in the database.
struct Sheet {
    lane: String,
    shelf: Shelf,
    heads: Vec<u8>,
    bodies: String,
}

impl Sheet {
    fn read(at: Section<'_>, no: i64) -> rusqlite::Result<Self> {
        let mut statement = at.connection.prepare_cached("SELECT lane, heads, bodies FROM sheet WHERE no = ?1")?;
        let read = |row: &Row<'_>| {
            let heads: Vec<u8> = row.get(1)?;
            let bodies = sheet::bodies(at.shelf, &heads, row.get_ref(2)?.as_blob()?)?.into_owned();
            Ok(Self { lane: row.get(0)?, shelf: at.shelf, heads, bodies })
        };
        statement.query_row([no], read).optional()?.ok_or_else(|| NOT_THERE.into())
    }

    fn entries(&self) -> rusqlite::Result<Vec<Entry<'_>>> {
        let entries = sheet::entries(self.shelf, &self.heads, &self.bodies)?;
        Ok(entries.collect::<Result<_, _>>()?)
    }
}

/// Where a key is found from the next commit on.
struct Place {
    key: RowKey,
    sheet: i64,
}

impl Keyed for Place {
    fn key(&self) -> RowKey {
        self.key
    }
}

/// What a transaction writes to the ledger of one pipeline.
#[derive(Default)]
pub(super) struct Writer {
    /// Places that are not written yet, by shelf.
    waiting: [KeyList<Place>; Shelf::ALL.len()],
    /// Whether a check refused any run; `None` until somebody asks.
    any_part: Option<bool>,
    catalogue: Catalogue,
}

impl Writer {
    /// Writes what waits for the commit.
    pub(super) fn flush(&mut self, connection: &Connection, pipeline: i64) -> rusqlite::Result<()> {
        for shelf in Shelf::ALL {
            let waiting = self.waiting[shelf as usize].drain();
            let mut pairs: Vec<(RowKey, i64)> = waiting.map(|place| (place.key, place.sheet)).collect();
            // In the order of keys they touch each page of the table once. They came machine by machine, and those of each
            // in about this order, which a stable sort makes use of.
            pairs.sort_by_key(|(key, _)| *key);
            places::put(Section { connection, pipeline, shelf }, &pairs)?;
        }
        Ok(())
    }

    /// Whether there is anything on a shelf. Hardly any pipeline has a run that a check refused, and each fold asks.
    pub(super) fn may_hold(&mut self, at: Section<'_>) -> rusqlite::Result<bool> {
        match (at.shelf, self.any_part) {
            (Shelf::Rows | Shelf::Records, _) => Ok(true),
            (Shelf::Parts, Some(any)) => Ok(any),
            (Shelf::Parts, None) => {
                let any = at.connection.prepare_cached(ANY_PART)?.exists([at.pipeline])?;
                Ok(*self.any_part.insert(any))
            }
        }
    }

    /// Writes source rows, each of another key.
    pub(super) fn put_rows(
        &mut self,
        connection: &Connection,
        pipeline: i64,
        rows: &[LedgerRow],
        fresh: &dyn Fn(RowKey) -> bool,
    ) -> rusqlite::Result<()> {
        let at = Section { connection, pipeline, shelf: Shelf::Rows };
        for of_lane in rows.chunk_by(|one, next| one.lane == next.lane) {
            let entries: Vec<Entry<'_>> = of_lane.iter().map(Entry::of_row).collect();
            self.put(at, &of_lane[0].lane, &entries, fresh)?;
        }
        Ok(())
    }

    /// Writes records, each of another key, parts and others apart.
    pub(super) fn put_records(
        &mut self,
        connection: &Connection,
        pipeline: i64,
        records: &[LedgerRecord],
        fresh: &dyn Fn(RowKey) -> bool,
    ) -> rusqlite::Result<()> {
        for of_lane in records.chunk_by(|one, next| one.lane == next.lane && one.part == next.part) {
            let at = Section { connection, pipeline, shelf: Shelf::of_records(of_lane[0].part) };
            if at.shelf == Shelf::Parts {
                self.any_part = Some(true);
            }
            let entries: Vec<Entry<'_>> = of_lane.iter().map(Entry::of_record).collect();
            self.put(at, &of_lane[0].lane, &entries, fresh)?;
        }
        Ok(())
    }

    /// The entries of a machine that end at or after a time, in the order of start and key.
    pub(super) fn reaching<T>(
        &mut self,
        at: Section<'_>,
        lane: &str,
        from: i64,
        keep: impl Fn(Entry<'_>) -> T,
    ) -> rusqlite::Result<Vec<T>> {
        let mut found: Vec<((i64, RowKey), T)> = Vec::new();
        self.catalogue.reaching(at, lane, from, |row| {
            each_entry(at.shelf, row, 0, &mut |entry| {
                if entry.head.end >= from {
                    found.push(((entry.head.start, entry.head.key), keep(entry)));
                }
            })
        })?;
        found.sort_unstable_by_key(|(order, _)| *order);
        Ok(found.into_iter().map(|(_, kept)| kept).collect())
    }

    /// Whether a machine has an entry that starts before a time.
    pub(super) fn begins_before(&mut self, at: Section<'_>, lane: &str, before: i64) -> rusqlite::Result<bool> {
        let Some(start) = before.checked_sub(1) else { return Ok(false) };
        Ok(self.catalogue.up_to(at, lane, start)?.is_some())
    }

    fn place(&self, at: Section<'_>, key: RowKey) -> rusqlite::Result<Option<i64>> {
        match self.waiting[at.shelf as usize].get(key) {
            Some(place) => Ok(Some(place.sheet)),
            None => places::sheet_of(at, key),
        }
    }

    /// The sheets of entries, where they are there.
    fn places(&self, at: Section<'_>, entries: &[Entry<'_>]) -> rusqlite::Result<Vec<Option<i64>>> {
        let keys: Vec<RowKey> = entries.iter().map(|entry| entry.head.key).collect();
        let mut places = places::sheets_of(at, &keys)?;
        for (place, key) in places.iter_mut().zip(&keys) {
            if let Some(waiting) = self.waiting[at.shelf as usize].get(*key) {
                *place = Some(waiting.sheet);
            }
        }
        Ok(places)
    }

    /// The entry of a key.
    pub(super) fn get<T>(
        &self,
        at: Section<'_>,
        key: RowKey,
        keep: impl FnOnce(&str, Entry<'_>) -> T,
    ) -> rusqlite::Result<Option<T>> {
        let Some(no) = self.place(at, key)? else { return Ok(None) };
        let sheet = Sheet::read(at, no)?;
        let found = sheet.entries()?.into_iter().find(|entry| entry.head.key == key);
        match found {
            Some(entry) => Ok(Some(keep(&sheet.lane, entry))),
            None => Err(Torn("a sheet of the ledger lacks an entry whose key leads to it").into()),
        }
    }

    /// Takes an entry out, where it is there.
    pub(super) fn delete(&mut self, at: Section<'_>, key: RowKey) -> rusqlite::Result<()> {
        let Some(no) = self.place(at, key)? else { return Ok(()) };
        let sheet = Sheet::read(at, no)?;
        let mut entries = sheet.entries()?;
        entries.retain(|entry| entry.head.key != key);
        self.waiting[at.shelf as usize].remove(key);
        places::delete(at, key)?;
        self.rewrite(at, &sheet.lane, no, &entries, &[])
    }

    /// Writes entries of one machine, each of another key. No place is looked for of those that are fresh.
    pub(super) fn put(
        &mut self,
        at: Section<'_>,
        lane: &str,
        entries: &[Entry<'_>],
        fresh: &dyn Fn(RowKey) -> bool,
    ) -> rusqlite::Result<()> {
        let (fresh, known): (Vec<Entry<'_>>, Vec<Entry<'_>>) = entries.iter().partition(|entry| fresh(entry.head.key));
        debug_assert!(self.places(at, &fresh)?.iter().all(Option::is_none), "a fresh entry is there already");
        let places = self.places(at, &known)?;
        let mut new = fresh;
        let mut changed: BTreeMap<i64, HashMap<RowKey, Entry<'_>>> = BTreeMap::new();
        for (entry, place) in known.into_iter().zip(places) {
            match place {
                None => new.push(entry),
                Some(no) => {
                    changed.entry(no).or_default().insert(entry.head.key, entry);
                }
            }
        }
        for (no, changed) in changed {
            let sheet = Sheet::read(at, no)?;
            let before = sheet.entries()?;
            let mut after = before.clone();
            if sheet.lane == lane {
                for entry in &mut after {
                    if let Some(changed) = changed.get(&entry.head.key) {
                        *entry = *changed;
                    }
                }
            } else {
                after.retain(|entry| !changed.contains_key(&entry.head.key));
                new.extend(changed.into_values());
            }
            if after != before {
                self.rewrite(at, &sheet.lane, no, &after, &[])?;
            }
        }
        new.sort_unstable_by_key(order);
        self.add(at, lane, &new)
    }

    /// Writes entries that have no place, in their order.
    fn add(&mut self, at: Section<'_>, lane: &str, new: &[Entry<'_>]) -> rusqlite::Result<()> {
        let mut rest = new;
        while let Some(first) = rest.first() {
            let start = first.head.start;
            // Most of what comes is later than all that is there.
            let (before, after) = match self.catalogue.up_to(at, lane, i64::MAX)? {
                Some(last) if last.starts > start => {
                    (self.catalogue.up_to(at, lane, start)?, self.catalogue.after(at, lane, start)?)
                }
                last => (last, None),
            };
            let count = after.map_or(rest.len(), |after| rest.partition_point(|entry| entry.head.start < after.starts));
            let (group, others) = rest.split_at(count);
            let is_appended = after.is_none();
            match before.or(after) {
                Some(Found { no, entries, .. })
                    if (entries as usize) < SHEET_ENTRIES_ENOUGH || (before.is_some() && !is_appended) =>
                {
                    let sheet = Sheet::read(at, no)?;
                    self.rewrite(at, lane, no, &sheet.entries()?, group)?;
                }
                _ => {
                    for sheet in sheet::cut(group) {
                        self.insert(at, lane, sheet)?;
                    }
                }
            }
            rest = others;
        }
        Ok(())
    }

    /// Writes a sheet anew, with those of its entries that stay and those that come to it. What it cannot hold goes to
    /// sheets of its own.
    fn rewrite(
        &mut self,
        at: Section<'_>,
        lane: &str,
        no: i64,
        stay: &[Entry<'_>],
        come: &[Entry<'_>],
    ) -> rusqlite::Result<()> {
        let mut entries = [stay, come].concat();
        entries.sort_unstable_by_key(order);
        let mut sheets = sheet::cut(&entries);
        let Some(first) = sheets.next() else {
            return at.connection.prepare_cached("DELETE FROM sheet WHERE no = ?1")?.execute([no]).map(drop);
        };
        let Written { starts, reaches, at_from, at_to, entries, live, heads, bodies } = sheet::write(at.shelf, first);
        at.connection
            .prepare_cached(
                "UPDATE sheet SET starts = ?2, reaches = ?3, at_from = ?4, at_to = ?5, entries = ?6, live = ?7,
                     heads = ?8, bodies = ?9
                 WHERE no = ?1",
            )?
            .execute(params![no, starts, reaches, at_from, at_to, entries, live, heads, bodies])?;
        self.catalogue.note(at.shelf, starts);
        let came = come.iter().filter(|entry| first.last().is_some_and(|last| order(entry) <= order(last)));
        self.find_at(at, no, came)?;
        for sheet in sheets {
            self.insert(at, lane, sheet)?;
        }
        Ok(())
    }

    fn insert(&mut self, at: Section<'_>, lane: &str, entries: &[Entry<'_>]) -> rusqlite::Result<()> {
        let written = sheet::write(at.shelf, entries);
        let Written { starts, reaches, at_from, at_to, entries: count, live, heads, bodies } = written;
        at.connection
            .prepare_cached(
                "INSERT INTO sheet (pipeline, shelf, lane, starts, reaches, at_from, at_to, entries, live, heads, bodies)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                at.pipeline,
                at.shelf as u8,
                lane,
                starts,
                reaches,
                at_from,
                at_to,
                count,
                live,
                heads,
                bodies
            ])?;
        self.catalogue.note(at.shelf, starts);
        self.find_at(at, at.connection.last_insert_rowid(), entries.iter())
    }

    /// From here on the keys of these entries are found on this sheet.
    fn find_at<'e>(
        &mut self,
        at: Section<'_>,
        no: i64,
        entries: impl Iterator<Item = &'e Entry<'e>>,
    ) -> rusqlite::Result<()> {
        for entry in entries {
            self.waiting[at.shelf as usize].put(Place { key: entry.head.key, sheet: no });
        }
        let waiting: usize = self.waiting.iter().map(|places| places.entries().len()).sum();
        if waiting > PLACES_WAITING_MAX { self.flush(at.connection, at.pipeline) } else { Ok(()) }
    }
}

fn order(entry: &Entry<'_>) -> (i64, RowKey) {
    (entry.head.start, entry.head.key)
}
