//! What leaves quarantine although the run does not judge all of it anew.

use std::collections::BTreeSet;

use engine_spec::model::SyncMode;

use super::failure::state_failure;
use super::{Run, Step};
use crate::canonical::{KeyMap, RowKey};
use crate::report::Failure;
use crate::state::{QUARANTINE_ROWS_MAX, Stage, StateError, StateTransaction};

/// What earlier runs refused, and what of it is refused no more.
#[derive(Default)]
pub(super) struct Healing {
    /// Key texts of rows that were rejected, where a run does not read again all that was rejected.
    rejected: KeyMap<String>,
    healed: Vec<String>,
    /// Lanes with refused runs, where runs are no longer derived: no fold will judge them.
    lanes: BTreeSet<String>,
}

impl Healing {
    /// A row was read, and not rejected; or it is gone.
    pub(super) fn heal(&mut self, key: RowKey) {
        self.healed.extend(self.rejected.remove(&key));
    }

    /// Takes out of quarantine what has healed.
    pub(super) fn write(&self, tx: &mut dyn StateTransaction) -> Result<(), StateError> {
        for lane in &self.lanes {
            tx.replace_lane_quarantine(lane, i64::MIN, &[])?;
        }
        tx.heal_rows(&self.healed)
    }
}

impl Run<'_> {
    /// Reads the quarantine, where this run may have to take something out of it row by row.
    pub(super) fn recall_rejected(&mut self, steps: &[Step]) -> Result<(), Failure> {
        let plan = self.plan();
        let in_parts = steps.len() > 1 || plan.sync.mode == SyncMode::Cursor;
        // Rows before the window are read where live runs are watched.
        let watches = plan.sync.mode == SyncMode::Window && !plan.is_paired();
        let derives_no_more = !plan.is_folded();
        if !in_parts && !watches && !derives_no_more {
            return Ok(());
        }
        let entries = self.runner.store.quarantined(&plan.id, QUARANTINE_ROWS_MAX).map_err(state_failure)?;
        let keys = self.state.keys;
        for entry in entries {
            match entry.stage {
                Stage::Row => _ = self.healing.rejected.insert(keys.key(&entry.key), entry.key),
                Stage::Run if derives_no_more => self.healing.lanes.extend(entry.lane),
                Stage::Run | Stage::Delivery => {}
            }
        }
        Ok(())
    }
}
