//! Machines on which something has changed, and from when on.

use std::collections::BTreeMap;

/// Machines, each with the earliest time that is touched on it. Times are in microseconds, as the ledger has them.
#[derive(Debug, Default)]
pub(crate) struct Touched(BTreeMap<String, i64>);

impl Touched {
    /// Something has changed on a machine, from a time on.
    pub(crate) fn touch(&mut self, machine: &str, from: i64) {
        match self.0.get_mut(machine) {
            Some(earliest) => *earliest = from.min(*earliest),
            None => _ = self.0.insert(machine.to_owned(), from),
        }
    }

    /// The machines in their order; they are forgotten.
    pub(crate) fn take(&mut self) -> BTreeMap<String, i64> {
        std::mem::take(&mut self.0)
    }
}
