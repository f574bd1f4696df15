//! A sheet: what the ledger keeps of one machine for some stretch of time, in one row of the database.
//!
//! A ledger has millions of entries that come by the thousand and are mostly read by the thousand. One row of the
//! database for each of them costs a place in its table and one in every index; a sheet pays that once for all that it
//! holds. Nothing here touches the database.
//!
//! A sheet is two blobs. `heads` has for each entry, in the order of start and key, numbers little-endian:
//!
//! | bytes | |
//! | --- | --- |
//! | 16 | key, big-endian |
//! | 8 | hash |
//! | 8 | value of the window column |
//! | 8 | start |
//! | 8 | end; not of a source row |
//! | 16 | id at the destination; not of a source row |
//! | 4 | bytes of the body; `u32::MAX` where there is none |
//!
//! `bodies` has the bodies in the same order, with nothing between them, [packed](super::packed).

use std::borrow::Cow;

use engine_core::canonical::RowKey;
use engine_core::state::{LIVE, Ledger, LedgerEntry, LedgerRecord, LedgerRow};
use uuid::Uuid;

use super::packed::{pack, unpack};
use super::torn::{Torn, take};

/// Entries of a sheet at most. One change writes its whole sheet.
pub(super) const SHEET_ENTRIES_MAX: usize = 64;
/// Entries from which on the last sheet of a machine is left as it is, and a new one is begun.
pub(super) const SHEET_ENTRIES_ENOUGH: usize = SHEET_ENTRIES_MAX / 2;
/// Bytes of the bodies of a sheet at most, before they are packed; one body may have more.
pub(super) const SHEET_BYTES_MAX: usize = 16 * 1024;
/// Length of a body that is not there.
const NO_BODY: u32 = u32::MAX;

/// What a sheet holds; the number is the state file's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shelf {
    /// Source rows.
    Rows = 0,
    /// Records.
    Records = 1,
    /// Runs that a check refused: never delivered themselves.
    Parts = 2,
}

impl Shelf {
    /// All of them, each in the place of its number.
    pub(super) const ALL: [Self; 3] = [Self::Rows, Self::Records, Self::Parts];

    pub(super) fn of_records(part: bool) -> Self {
        if part { Self::Parts } else { Self::Records }
    }

    /// Bytes of a head.
    fn stride(self) -> usize {
        match self {
            Self::Rows => 44,
            Self::Records | Self::Parts => 68,
        }
    }
}

impl From<Ledger> for Shelf {
    fn from(ledger: Ledger) -> Self {
        match ledger {
            Ledger::Rows => Self::Rows,
            Ledger::Records => Self::Records,
        }
    }
}

/// What an entry is beside its body.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Head {
    pub(super) key: RowKey,
    pub(super) hash: u64,
    pub(super) at: i64,
    pub(super) start: i64,
    /// End of a record; of a source row, its start.
    pub(super) end: i64,
    /// Id of a record; of a source row, nil.
    pub(super) id: Uuid,
}

impl Head {
    pub(super) fn entry(&self) -> LedgerEntry {
        LedgerEntry { key: self.key, hash: self.hash, at: self.at, live: self.end == LIVE }
    }

    pub(super) fn row(&self, lane: &str, body: Option<&str>) -> LedgerRow {
        LedgerRow {
            key: self.key,
            hash: self.hash,
            at: self.at,
            lane: lane.to_owned(),
            start: self.start,
            body: body.unwrap_or_default().to_owned(),
        }
    }

    pub(super) fn record(&self, shelf: Shelf, lane: &str, body: Option<&str>) -> LedgerRecord {
        LedgerRecord {
            key: self.key,
            part: shelf == Shelf::Parts,
            id: self.id,
            hash: self.hash,
            at: self.at,
            lane: lane.into(),
            start: self.start,
            end: self.end,
            body: body.map(str::to_owned),
        }
    }
}

/// An entry, borrowed from wherever it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Entry<'a> {
    pub(super) head: Head,
    pub(super) body: Option<&'a str>,
}

impl<'a> Entry<'a> {
    pub(super) fn of_row(row: &'a LedgerRow) -> Self {
        let LedgerRow { key, hash, at, lane: _, start, body } = row;
        let head = Head { key: *key, hash: *hash, at: *at, start: *start, end: *start, id: Uuid::nil() };
        Self { head, body: Some(body) }
    }

    pub(super) fn of_record(record: &'a LedgerRecord) -> Self {
        let LedgerRecord { key, part: _, id, hash, at, lane: _, start, end, body } = record;
        let head = Head { key: *key, hash: *hash, at: *at, start: *start, end: *end, id: *id };
        Self { head, body: body.as_deref() }
    }

    fn bytes(&self) -> usize {
        self.body.map_or(0, str::len)
    }
}

/// The heads of a sheet, each with the place of its body.
pub(super) struct Heads<'a> {
    shelf: Shelf,
    bytes: &'a [u8],
    body_from: usize,
}

impl<'a> Heads<'a> {
    pub(super) fn new(shelf: Shelf, bytes: &'a [u8]) -> Result<Self, Torn> {
        if bytes.len().is_multiple_of(shelf.stride()) {
            Ok(Self { shelf, bytes, body_from: 0 })
        } else {
            Err(Torn("a sheet of the ledger ends in the middle of an entry"))
        }
    }
}

impl Iterator for Heads<'_> {
    type Item = (Head, Option<std::ops::Range<usize>>);

    fn next(&mut self) -> Option<Self::Item> {
        let (mut head, rest) = self.bytes.split_at_checked(self.shelf.stride())?;
        self.bytes = rest;
        let key = RowKey::from_bytes(take(&mut head));
        let hash = u64::from_le_bytes(take(&mut head));
        let at = i64::from_le_bytes(take(&mut head));
        let start = i64::from_le_bytes(take(&mut head));
        let (end, id) = match self.shelf {
            Shelf::Rows => (start, Uuid::nil()),
            Shelf::Records | Shelf::Parts => (i64::from_le_bytes(take(&mut head)), Uuid::from_bytes(take(&mut head))),
        };
        let body = match u32::from_le_bytes(take(&mut head)) {
            NO_BODY => None,
            len => {
                let from = self.body_from;
                self.body_from += len as usize;
                Some(from..self.body_from)
            }
        };
        Some((Head { key, hash, at, start, end, id }, body))
    }
}

/// The bodies of a sheet, as [`entries`] takes them.
pub(super) fn bodies<'a>(shelf: Shelf, heads: &[u8], kept: &'a [u8]) -> Result<Cow<'a, str>, Torn> {
    let ends = Heads::new(shelf, heads)?.filter_map(|(_, body)| body.map(|range| range.end));
    unpack(kept, ends.last().unwrap_or(0))
}

/// The entries of a sheet.
pub(super) fn entries<'a>(
    shelf: Shelf,
    heads: &'a [u8],
    bodies: &'a str,
) -> Result<impl Iterator<Item = Result<Entry<'a>, Torn>>, Torn> {
    let entry = move |(head, body): (Head, Option<std::ops::Range<usize>>)| {
        let body = body.map(|range| bodies.get(range).ok_or(Torn("a sheet of the ledger lacks a body"))).transpose()?;
        Ok(Entry { head, body })
    };
    Ok(Heads::new(shelf, heads)?.map(entry))
}

/// A sheet as the database keeps it, with what is looked for.
#[derive(Debug, PartialEq)]
pub(super) struct Written {
    /// The least start.
    pub(super) starts: i64,
    /// The greatest end.
    pub(super) reaches: i64,
    /// The least value of the window column.
    pub(super) at_from: i64,
    /// The greatest value of the window column.
    pub(super) at_to: i64,
    pub(super) entries: u32,
    pub(super) live: u32,
    pub(super) heads: Vec<u8>,
    pub(super) bodies: Vec<u8>,
}

/// Writes entries as one sheet.
pub(super) fn write(shelf: Shelf, entries: &[Entry<'_>]) -> Written {
    let mut bodies = String::with_capacity(entries.iter().map(Entry::bytes).sum());
    let mut written = Written {
        starts: i64::MAX,
        reaches: i64::MIN,
        at_from: i64::MAX,
        at_to: i64::MIN,
        entries: entries.len() as u32,
        live: 0,
        heads: Vec::with_capacity(entries.len() * shelf.stride()),
        bodies: Vec::new(),
    };
    for Entry { head: Head { key, hash, at, start, end, id }, body } in entries {
        written.starts = written.starts.min(*start);
        written.reaches = written.reaches.max(*end);
        written.at_from = written.at_from.min(*at);
        written.at_to = written.at_to.max(*at);
        let out = &mut written.heads;
        out.extend_from_slice(&key.to_bytes());
        out.extend_from_slice(&hash.to_le_bytes());
        out.extend_from_slice(&at.to_le_bytes());
        out.extend_from_slice(&start.to_le_bytes());
        if shelf != Shelf::Rows {
            written.live += u32::from(*end == LIVE);
            out.extend_from_slice(&end.to_le_bytes());
            out.extend_from_slice(id.as_bytes());
        }
        // A value that is longer than this was refused long before.
        let len = body.map_or(NO_BODY, |body| u32::try_from(body.len()).unwrap_or(NO_BODY));
        out.extend_from_slice(&len.to_le_bytes());
        bodies.push_str(body.unwrap_or_default());
    }
    written.bodies = pack(&bodies).into_owned();
    written
}

/// Cuts entries, which come in their order, into sheets. What goes on at their end is apart where the others are enough
/// for a sheet: it will end, and then writes only its own anew.
pub(super) fn cut<'a, 'b>(entries: &'b [Entry<'a>]) -> impl Iterator<Item = &'b [Entry<'a>]> {
    // About as many in each.
    let sheets = entries.len().div_ceil(SHEET_ENTRIES_MAX).max(1);
    let entries_each = entries.len().div_ceil(sheets);
    let mut rest = entries;
    std::iter::from_fn(move || {
        let (mut count, mut bytes) = (0, 0);
        for entry in rest {
            bytes += entry.bytes();
            if count > 0 && (count == entries_each || bytes > SHEET_BYTES_MAX) {
                break;
            }
            count += 1;
        }
        let ended = rest[..count].iter().rposition(|entry| entry.head.end != LIVE).map_or(0, |last| last + 1);
        if count == rest.len() && ended >= SHEET_ENTRIES_ENOUGH {
            count = ended;
        }
        let (sheet, others) = rest.split_at(count);
        rest = others;
        (!sheet.is_empty()).then_some(sheet)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = i64> {
        prop_oneof![Just(i64::MIN), Just(i64::MAX), any::<i64>(), 0..100_i64]
    }

    fn kept() -> impl Strategy<Value = (Head, Option<String>)> {
        let head = (any::<u128>(), any::<u64>(), number(), number(), number(), any::<u128>());
        let body = proptest::option::of("[a-z\u{0}\"\u{e4}\u{1f600}]{0,9}");
        (head, body).prop_map(|((key, hash, at, start, end, id), body)| {
            (Head { key: RowKey(key), hash, at, start, end, id: Uuid::from_u128(id) }, body)
        })
    }

    fn borrowed(kept: &[(Head, Option<String>)]) -> Vec<Entry<'_>> {
        kept.iter().map(|(head, body)| Entry { head: *head, body: body.as_deref() }).collect()
    }

    /// Compares what is read from a sheet.
    fn assert_holds(shelf: Shelf, written: &Written, expected: &[Entry<'_>]) -> Result<(), TestCaseError> {
        let bodies = bodies(shelf, &written.heads, &written.bodies).expect("is whole");
        let read: Result<Vec<_>, _> = entries(shelf, &written.heads, &bodies).expect("is whole").collect();
        prop_assert_eq!(read.expect("is whole"), expected);
        Ok(())
    }

    proptest! {
        #[test]
        fn a_sheet_comes_back(kept in proptest::collection::vec(kept(), 0..9)) {
            let given = borrowed(&kept);
            for shelf in [Shelf::Records, Shelf::Parts] {
                assert_holds(shelf, &write(shelf, &given), &given)?;
            }
            let rows: Vec<Entry<'_>> = given
                .iter()
                .map(|Entry { head, body }| Entry { head: Head { end: head.start, id: Uuid::nil(), ..*head }, body: *body })
                .collect();
            assert_holds(Shelf::Rows, &write(Shelf::Rows, &rows), &rows)?;
        }

        #[test]
        fn what_is_looked_for_is_never_outside_of_what_a_sheet_says(kept in proptest::collection::vec(kept(), 1..9)) {
            let given = borrowed(&kept);
            let written = write(Shelf::Records, &given);
            for Entry { head, .. } in &given {
                prop_assert!(written.starts <= head.start && written.reaches >= head.end);
                prop_assert!(written.at_from <= head.at && written.at_to >= head.at);
            }
            prop_assert_eq!(written.live as usize, given.iter().filter(|entry| entry.head.end == LIVE).count());
            prop_assert_eq!(written.entries as usize, given.len());
        }

        #[test]
        fn a_damaged_sheet_is_told_and_nothing_else(
            kept in proptest::collection::vec(kept(), 1..4),
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut written = write(Shelf::Records, &borrowed(&kept));
            let place = place.index(written.heads.len());
            written.heads[place] = byte;
            written.heads.truncate(place + 1);
            let Ok(bodies) = bodies(Shelf::Records, &written.heads, &written.bodies) else { return Ok(()) };
            if let Ok(read) = entries(Shelf::Records, &written.heads, &bodies) {
                prop_assert!(read.count() <= kept.len());
            }
        }

        #[test]
        fn sheets_are_cut_within_their_limits(bytes in proptest::collection::vec(0..9_000usize, 0..300)) {
            let text = "x".repeat(9_000);
            let head = Head { key: RowKey(1), hash: 0, at: 0, start: 0, end: 0, id: Uuid::nil() };
            let given: Vec<Entry<'_>> = bytes.iter().map(|len| Entry { head, body: Some(&text[..*len]) }).collect();
            let sheets: Vec<&[Entry<'_>]> = cut(&given).collect();
            prop_assert_eq!(sheets.concat(), given.clone());
            for sheet in sheets {
                prop_assert!((1..=SHEET_ENTRIES_MAX).contains(&sheet.len()));
                prop_assert!(sheet.len() == 1 || sheet.iter().map(Entry::bytes).sum::<usize>() <= SHEET_BYTES_MAX);
            }
        }
    }

    #[test]
    fn what_goes_on_does_not_lie_on_a_full_sheet() {
        let lengths = |ended: usize, live: usize| {
            let head = |end| Head { key: RowKey(1), hash: 0, at: 0, start: 0, end, id: Uuid::nil() };
            let entry = |end| Entry { head: head(end), body: Some("{}") };
            let given = [vec![entry(9); ended], vec![entry(LIVE); live]].concat();
            cut(&given).map(<[_]>::len).collect::<Vec<_>>()
        };
        assert_eq!(lengths(SHEET_ENTRIES_ENOUGH, 1), [SHEET_ENTRIES_ENOUGH, 1]);
        assert_eq!(lengths(SHEET_ENTRIES_ENOUGH, 2), [SHEET_ENTRIES_ENOUGH, 2]);
        assert_eq!(lengths(SHEET_ENTRIES_ENOUGH - 1, 1), [SHEET_ENTRIES_ENOUGH], "there is room for more");
        assert_eq!(lengths(SHEET_ENTRIES_MAX, 0), [SHEET_ENTRIES_MAX]);
        assert_eq!(lengths(0, SHEET_ENTRIES_MAX), [SHEET_ENTRIES_MAX]);
    }

    #[test]
    fn a_body_that_is_larger_than_a_sheet_has_one_of_its_own() {
        let text = "x".repeat(SHEET_BYTES_MAX + 1);
        let head = Head { key: RowKey(1), hash: 0, at: 0, start: 0, end: 0, id: Uuid::nil() };
        let given = ["", &text, ""].map(|body| Entry { head, body: Some(body) });
        assert_eq!(cut(&given).map(<[_]>::len).collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!(cut(&[]).count(), 0);
    }

    /// Sheets are kept for years.
    #[test]
    fn the_form_stays_as_it_is() {
        let head = Head { key: RowKey(1), hash: 2, at: 3, start: 4, end: -1, id: Uuid::from_u128(6) };
        let records = write(Shelf::Records, &[Entry { head, body: Some("{}") }, Entry { head, body: None }]);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let common = "00000000000000000000000000000001\
                      0200000000000000\
                      0300000000000000\
                      0400000000000000";
        let of_record = "ffffffffffffffff00000000000000000000000000000006";
        assert_eq!(hex(&records.heads), format!("{common}{of_record}02000000{common}{of_record}ffffffff"));
        assert_eq!(records.bodies, b"{}");
        let rows = write(Shelf::Rows, &[Entry { head, body: Some("{}") }]);
        assert_eq!(hex(&rows.heads), format!("{common}02000000"));
    }
}
