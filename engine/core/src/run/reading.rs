//! What a run holds between the source and the commit.

use std::cmp::Ordering;

use crate::canonical::{CanonicalRow, KeyList, KeyMap, KeySet, Keyed, RowKey};
use crate::cursor::{self, CursorValue};
use crate::derive::{Moved, Scribe, Staged, StagedRow};
use crate::state::LedgerEntry;

/// What a run knows of one key: what the ledger says, and what the source said. There is one for each row of a window,
/// so that it is kept small: whether a hash is there stands beside the flags.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) key: RowKey,
    ledger: u64,
    seen: u64,
    /// Window column in the ledger.
    pub(super) at: i64,
    /// The part of the answer that `seen` is of.
    pub(super) part: u32,
    has_ledger: bool,
    has_seen: bool,
    /// Two rows of the result said different things.
    pub(super) conflict: bool,
    /// This run read it first, and committed it early.
    pub(super) early: bool,
}

impl Keyed for Known {
    fn key(&self) -> RowKey {
        self.key
    }
}

impl Known {
    pub(super) fn of(key: RowKey, entry: Option<LedgerEntry>) -> Self {
        Self {
            key,
            ledger: entry.map_or(0, |entry| entry.hash),
            seen: 0,
            at: entry.map_or(i64::MIN, |entry| entry.at),
            part: 0,
            has_ledger: entry.is_some(),
            has_seen: false,
            conflict: false,
            early: false,
        }
    }

    /// Hash in the ledger; `None` where the ledger lacks the key.
    pub(super) fn ledger(&self) -> Option<u64> {
        self.has_ledger.then_some(self.ledger)
    }

    /// Hash of the row as it was read.
    pub(super) fn seen(&self) -> Option<u64> {
        self.has_seen.then_some(self.seen)
    }

    /// The row was read, in a part of the answer.
    pub(super) fn see(&mut self, hash: u64, part: u32) {
        (self.seen, self.has_seen, self.part) = (hash, true, part);
    }

    /// What was read is in the ledger now, although the run has not ended.
    pub(super) fn commit_early(&mut self) {
        self.early |= !self.has_ledger;
        (self.ledger, self.has_ledger) = (self.seen, self.has_seen);
    }

    /// Whether the ledger lacked the row when the run began, and lacks it still.
    pub(super) fn is_new(&self) -> bool {
        !self.has_ledger && !self.early
    }
}

/// A row whose key the ledger was not yet asked for.
pub(super) struct Miss {
    pub(super) key: RowKey,
    pub(super) row: Box<CanonicalRow>,
    /// Mode `cursor`: how it compares with the row of the same key that was read before.
    pub(super) later: Option<Ordering>,
}

/// What becomes of a row that was read.
#[derive(Clone, Copy)]
pub(super) enum Verdict {
    /// The ledger was not yet asked for its key.
    Unasked,
    /// Nothing.
    Done,
    /// It goes to the ledger.
    Stage {
        /// Hash of its content.
        hash: u64,
        /// The ledger has nothing of it, and no record that other rules made of it.
        fresh: bool,
    },
    /// Only the value of its window column does.
    Move,
}

/// Rows on their way from the source to the commit.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) known: KeyList<Known>,
    pub(super) staged: Staged,
    /// Rows that say what they said, under another value of the window column.
    pub(super) moved: KeyList<Moved>,
    /// Rows whose key the ledger was not yet asked for.
    pub(super) misses: Vec<Miss>,
    /// Rows whose memory is used again.
    #[expect(clippy::vec_box, reason = "a row is moved on from there without its three hundred bytes")]
    spare: Vec<Box<CanonicalRow>>,
    pub(super) cancelled: KeySet,
    /// Keys of records that were written before rows were folded, and that no row has taken over yet.
    pub(super) unfolded: KeySet,
    /// Rows that were committed early and must not stay.
    pub(super) retracted: Vec<RowKey>,
    pub(super) rejected: u64,
    /// Rejected rows without a key: any of them may be the one that seems to be gone.
    pub(super) rejected_without_key: u64,
    pub(super) rows: u64,
    /// Rows of the window, slice or table itself; those of runs that are watched beyond it are not among them.
    pub(super) rows_of_step: u64,
    pub(super) chunks: u64,
    /// Rows that are skipped or refused, by the part that has them; kept where an answer has parts.
    pub(super) without_row: KeyMap<u32>,
    /// The part of the answer that is being read.
    pub(super) part: u32,
    /// Whether the answer came in more than one part so far.
    in_parts: bool,
    /// What of the answer was left for a later run.
    pub(super) left: Option<String>,
    /// Mode `cursor`: the greatest values so far, and those of every row.
    pub(super) greatest: Option<Vec<CursorValue>>,
    pub(super) cursors: KeyMap<Vec<CursorValue>>,
    pub(super) scratch: Vec<u8>,
}

impl Reading {
    /// Does with a row what was decided; where the row is kept, `row` becomes one that is written over. `scribe` makes
    /// records of rows that are not folded.
    pub(super) fn settle(
        &mut self,
        verdict: Verdict,
        key: RowKey,
        row: &mut Box<CanonicalRow>,
        scribe: Option<&mut Scribe>,
    ) {
        match (verdict, scribe) {
            (Verdict::Unasked | Verdict::Done, _) => {}
            (Verdict::Stage { hash, fresh }, None) => {
                let row = self.take(row);
                self.staged.put(StagedRow { key, hash, fresh, row });
            }
            (Verdict::Stage { hash, fresh }, Some(scribe)) => {
                self.staged.put_direct(|text| scribe.record(key, hash, fresh, row, text));
            }
            (Verdict::Move, _) => _ = self.moved.put(Moved { key, at: row.at.micros() }),
        }
    }

    /// Takes a row, and leaves one in its place whose memory is used again.
    pub(super) fn take(&mut self, row: &mut Box<CanonicalRow>) -> Box<CanonicalRow> {
        std::mem::replace(row, self.spare.pop().unwrap_or_default())
    }

    /// A row that is not needed any more.
    pub(super) fn give_back(&mut self, row: Box<CanonicalRow>) {
        self.spare.push(row);
    }

    /// Memory of what waits for the commit, roughly.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.staged.bytes() + std::mem::size_of_val(self.moved.entries())
    }

    /// Forgets what waited for the commit.
    pub(super) fn clear_staged(&mut self) {
        self.staged.clear(&mut self.spare);
        self.moved.clear();
    }

    /// For the next step: nothing of this one but its memory, which else would be taken anew for each of its rows.
    pub(super) fn again(mut self) -> Self {
        self.clear_staged();
        self.known.clear();
        let Self { known, staged, moved, misses, spare, scratch, .. } = self;
        Self { known, staged, moved, misses, spare, scratch, ..Self::default() }
    }

    /// A row that is cancelled is no row, whatever other rows of its key say; with a cursor, the latest says.
    pub(super) fn cancel(&mut self, key: RowKey, later: Option<Ordering>) {
        if later != Some(Ordering::Less) {
            self.staged.remove(key);
            self.cancelled.insert(key);
        }
    }

    /// With a cursor, a later row takes a cancellation back.
    pub(super) fn revive(&mut self, key: RowKey, later: Option<Ordering>) {
        if later == Some(Ordering::Greater) {
            self.cancelled.remove(&key);
        }
    }

    /// A row that is refused is not gone: what was delivered of it stays as it is.
    pub(super) fn keep_as_it_is(&mut self, key: RowKey) {
        let part = self.part;
        if let Some(known) = self.known.get_mut(key)
            && known.seen().is_none()
            && let Some(hash) = known.ledger()
        {
            known.see(hash, part);
        }
    }

    /// The rows that follow are of this part of the answer.
    pub(super) fn begin_part(&mut self, part: u32) {
        self.in_parts |= self.rows > 0 && part != self.part;
        self.part = part;
    }

    /// Whether a newer part of the answer has said what the row of this key is.
    pub(super) fn is_superseded(&self, key: RowKey) -> bool {
        if !self.in_parts {
            return false;
        }
        let is_newer = |part: u32| part != self.part;
        self.known.get(key).is_some_and(|known| known.seen().is_some() && is_newer(known.part))
            || self.without_row.get(&key).is_some_and(|part| is_newer(*part))
    }

    /// Keeps how far was read.
    pub(super) fn advance(&mut self, cursor: &[CursorValue]) {
        if self.greatest.as_ref().is_none_or(|greatest| order_of(cursor, greatest).is_gt()) {
            self.greatest = Some(cursor.to_vec());
        }
    }

    /// How the row compares with the one of the same key that was read before.
    pub(super) fn compare_cursor(&mut self, key: RowKey, cursor: Vec<CursorValue>) -> Ordering {
        let order = self.cursors.get(&key).map_or(Ordering::Greater, |before| order_of(&cursor, before));
        if order.is_gt() {
            self.cursors.insert(key, cursor);
        }
        order
    }
}

/// The order of two cursors; of values that do not compare, the one that came later counts.
pub(super) fn order_of(one: &[CursorValue], other: &[CursorValue]) -> Ordering {
    cursor::compare(one, other).unwrap_or(Ordering::Greater)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_key_is_small() {
        assert_eq!(size_of::<Known>(), 48);
    }
}
