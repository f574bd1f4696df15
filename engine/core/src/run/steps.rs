//! What a run reads, and in which order.

use std::collections::BTreeMap;
use std::time::Duration;

use engine_spec::model::SyncMode;
use engine_spec::template::BindValue;
use jiff::{SignedDuration, Timestamp};

use super::{Range, Run, Step};
use crate::plan::SyncPlan;
use crate::report::Failure;
use crate::state::PipelineState;

impl Run<'_> {
    /// What this run reads, in order.
    pub(super) fn steps(&self) -> Result<Vec<Step>, Failure> {
        let sync = &self.plan().sync;
        match sync.mode {
            SyncMode::Full => Ok(vec![Step {
                window: None,
                range: Some(Range::ALL),
                cursor: BTreeMap::new(),
                last: true,
                filled_until: None,
            }]),
            SyncMode::Cursor => Ok(vec![Step {
                window: None,
                range: None,
                cursor: self.cursor_binds(),
                last: true,
                filled_until: None,
            }]),
            SyncMode::Window => {
                let (mut start, end) = window(sync, self.now);
                let mut steps = Vec::new();
                let mut from = unread_from(sync, self.now, &self.state);
                if self.plan().reads_everything() {
                    // Slices would read the same again and again.
                    start = from;
                }
                // The first fill, or what a pause longer than the window left unread.
                while from < start {
                    let to = shifted(from, sync.slice, 1).min(start);
                    steps.push(Step {
                        window: Some((from, to)),
                        range: Some(Range::of((from, to))),
                        cursor: BTreeMap::new(),
                        last: false,
                        filled_until: Some(to),
                    });
                    from = to;
                }
                steps.push(Step {
                    window: Some((start, end)),
                    range: Some(Range::of((start, end))),
                    cursor: BTreeMap::new(),
                    last: true,
                    filled_until: None,
                });
                Ok(steps)
            }
        }
    }

    /// The cursor columns as they are bound; none before the first run.
    fn cursor_binds(&self) -> BTreeMap<String, BindValue> {
        let sync = &self.plan().sync;
        let zone = &self.plan().zone;
        let Some(cursor) = &self.state.cursor else { return BTreeMap::new() };
        let mut binds = BTreeMap::new();
        for (place, (name, value)) in sync.cursor.iter().zip(cursor).enumerate() {
            let value = if place == 0 { value.back_by(sync.overlap) } else { value.clone() };
            binds.insert(name.clone(), value.to_bind(zone));
        }
        binds
    }
}

/// The window of a run at an instant, half-open.
pub fn window(sync: &SyncPlan, now: Timestamp) -> (Timestamp, Timestamp) {
    if let Some(window) = sync.window {
        return window;
    }
    let end = shifted(now, sync.lookahead, 1);
    let start = shifted(now, sync.lookback, -1);
    (sync.start.map_or(start, |first| start.max(first).min(end)), end)
}

/// Where the next run begins to read in mode `window`: at its window, or before it, where the first fill or a pause left
/// something unread.
pub fn unread_from(sync: &SyncPlan, now: Timestamp, state: &PipelineState) -> Timestamp {
    let (start, end) = window(sync, now);
    if sync.window.is_some() {
        return start;
    }
    let unread = state.filled_until.or(sync.start).map_or(start, |from| from.min(start));
    sync.start.map_or(unread, |first| unread.max(first).min(end))
}

pub(crate) fn shifted(instant: Timestamp, by: Duration, sign: i32) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    let moved = if sign < 0 { instant.saturating_sub(by) } else { instant.saturating_add(by) };
    moved.unwrap_or(instant)
}
