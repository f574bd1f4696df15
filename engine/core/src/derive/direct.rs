//! Rows that are records as they stand: what is sent of them is written while they are at hand, and nothing is folded.

use std::sync::Arc;

use engine_spec::model::{Deliver, TableType};

use crate::canonical::{CanonicalRow, RecordIds, RowKey};
use crate::plan::Plan;
use crate::record::{write_row, write_run};
use crate::state::{DirectRecord, LedgerRecord, reach};
use crate::text_map::TextMap;

/// Names of machines that are kept to be shared by the records of a run; more are forgotten and begun anew.
const LANES_MAX: usize = 4_096;

/// Makes records of rows.
#[derive(Debug)]
pub struct Scribe {
    ids: RecordIds,
    deliver: Deliver,
    table: TableType,
    lanes: TextMap<Arc<str>, ()>,
}

impl Scribe {
    /// Makes those of a plan that is not folded.
    pub fn new(plan: &Plan) -> Self {
        Self { ids: RecordIds::new(&plan.id), deliver: plan.deliver, table: plan.table, lanes: TextMap::default() }
    }

    /// The record of a row with its key and the hash of its content; its JSON is appended to `text`. `fresh` is whether
    /// nothing is known of it.
    pub fn record(
        &mut self,
        key: RowKey,
        hash: u64,
        fresh: bool,
        row: &CanonicalRow,
        text: &mut String,
    ) -> DirectRecord {
        let id = self.ids.of(&row.key_text);
        let body_start = text.len();
        match self.deliver {
            Deliver::Rows => write_row(text, id, row, self.table),
            Deliver::Runs => write_run(text, id, row.start, row.end, &row.details),
        }
        let end = match self.table {
            // A row delivered as it is has no end of its own; what has no end and no event is live.
            TableType::Booking => row.start.micros(),
            TableType::Order => reach(row.start, row.end),
        };
        let lane = self.lane(&row.details.machine_code);
        let (at, start) = (row.at.micros(), row.start.micros());
        let record = LedgerRecord { key, part: false, id, hash, at, lane, start, end, body: None };
        DirectRecord { record, body_start, body_len: text.len() - body_start, fresh }
    }

    fn lane(&mut self, machine: &str) -> Arc<str> {
        if let Some((lane, ())) = self.lanes.get_key_value(machine) {
            return Arc::clone(lane);
        }
        if self.lanes.len() >= LANES_MAX {
            self.lanes.clear();
        }
        let lane: Arc<str> = machine.into();
        self.lanes.insert(Arc::clone(&lane), ());
        lane
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_a_machine_share_its_name_however_many_machines_there_are() {
        let ids = RecordIds::new("p");
        let mut scribe = Scribe { ids, deliver: Deliver::Rows, table: TableType::Order, lanes: TextMap::default() };
        let mut text = String::new();
        for no in 0..LANES_MAX + 2 {
            let mut row = CanonicalRow::default();
            row.details.machine_code = format!("M{no}");
            let [one, other] = [1, 2].map(|key| scribe.record(RowKey(key), 0, true, &row, &mut text));
            assert!(Arc::ptr_eq(&one.record.lane, &other.record.lane) && *one.record.lane == row.details.machine_code);
            assert_eq!(&text[one.body_start..one.body_start + one.body_len], &text[other.body_start..]);
        }
        assert!(scribe.lanes.len() <= LANES_MAX);
    }
}
