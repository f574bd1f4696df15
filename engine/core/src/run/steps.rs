//! What a run reads, and in which order.

use std::collections::BTreeMap;
use std::time::Duration;

use engine_spec::model::SyncMode;
use engine_spec::template::BindValue;
use jiff::{SignedDuration, Timestamp};

use super::{Range, Run, Step};
use crate::plan::{Plan, SyncPlan};
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
                if self.plan().reads_everything() {
                    start = unread_from(sync, self.now, &self.state);
                }
                let before = slices(self.plan(), self.now, &self.state).into_iter().map(|slice| Step {
                    window: Some(slice),
                    range: Some(Range::of(slice)),
                    cursor: BTreeMap::new(),
                    last: false,
                    filled_until: Some(slice.1),
                });
                let mut steps: Vec<Step> = before.collect();
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

/// What a run reads before its window, slice by slice: the first fill, or what a pause longer than the window left unread.
/// None where slices would read the same again and again.
pub fn slices(plan: &Plan, now: Timestamp, state: &PipelineState) -> Vec<(Timestamp, Timestamp)> {
    let sync = &plan.sync;
    if sync.mode != SyncMode::Window || plan.reads_everything() {
        return Vec::new();
    }
    let (start, _) = window(sync, now);
    let mut from = unread_from(sync, now, state);
    let mut slices = Vec::new();
    while from < start {
        let to = shifted(from, sync.slice, 1).min(start);
        slices.push((from, to));
        from = to;
    }
    slices
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
