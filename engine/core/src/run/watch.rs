//! Live runs that left the window: looked for until they end.

use jiff::{SignedDuration, Timestamp};
use xxhash_rust::xxh3::xxh3_64;

use super::failure::state_failure;
use super::reading::Reading;
use super::{Range, Run};
use crate::canonical::RowKey;
use crate::derive::live_parts;
use crate::report::Failure;
use crate::state::StateError;

/// Live runs older than the window that are kept in view.
pub const WATCHED_MAX: usize = 10_000;

/// Extra queries that one run sends to look for them.
pub const WATCH_QUERIES_MAX: usize = 8;

/// Live runs closer together than this are looked for with one query.
const WATCH_SPAN: SignedDuration = SignedDuration::from_hours(24);

impl Run<'_> {
    /// Live runs that lie before the window and did not come back: each is looked for at its own start.
    pub(super) fn watched(&mut self, reading: &Reading, range: Range) -> Result<Vec<(Timestamp, Timestamp)>, Failure> {
        let missing = self.live_before(reading, range.from).map_err(state_failure)?;
        let mut windows: Vec<(Timestamp, Timestamp)> = Vec::new();
        for at in missing {
            let (Ok(from), Ok(to)) = (Timestamp::from_microsecond(at), Timestamp::from_microsecond(at + 1)) else {
                continue;
            };
            match windows.last_mut() {
                Some(window) if from.duration_since(window.0) < WATCH_SPAN => window.1 = window.1.max(to),
                _ => windows.push((from, to)),
            }
        }
        // A long list is worked through over several runs. The time is scattered: runs come at regular intervals, and
        // would else meet the same page again and again.
        let pages = windows.len().div_ceil(WATCH_QUERIES_MAX).max(1);
        let page = usize::try_from(xxh3_64(&self.now.as_second().to_le_bytes()) % pages as u64).unwrap_or_default();
        Ok(windows.into_iter().skip(page * WATCH_QUERIES_MAX).take(WATCH_QUERIES_MAX).collect())
    }

    /// The window column of every live row before a time that was not read, oldest first.
    pub(super) fn live_before(&self, reading: &Reading, before: i64) -> Result<Vec<i64>, StateError> {
        let plan = self.runner.plan;
        let live = self.runner.store.live_before(&plan.id, before, WATCHED_MAX)?;
        let mut rows: Vec<(RowKey, i64)> = if plan.is_folded() && plan.merge_gap.is_some() && !live.is_empty() {
            // What keeps a merged run alive need not be the row that opens it.
            let mut tx = self.runner.store.begin(&plan.id)?;
            let mut rows = Vec::new();
            for run in live {
                rows.append(&mut live_parts(tx.as_mut(), run.key)?);
            }
            rows.into_iter().filter(|(_, at)| *at < before).collect()
        } else {
            live.into_iter().map(|run| (run.key, run.at)).collect()
        };
        rows.retain(|(key, _)| reading.known.get(*key).is_none_or(|known| known.seen().is_none()));
        let mut times: Vec<i64> = rows.into_iter().map(|(_, at)| at).collect();
        times.sort_unstable();
        Ok(times)
    }
}
