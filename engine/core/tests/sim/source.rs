//! The table as a source, which breaks off, ends early, or is another database.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;

use engine_core::ports::{Ask, Fetched, Source, SourceError, SourceErrorKind, SourceIdentity};
use engine_core::value::{Columns, RowBatch};
use engine_spec::template::Bind;
use serde_json::Value;

use crate::faults::Fault;
use crate::setup::Reads;
use crate::world::Sim;

/// Rows in a batch: few, so that results span batches.
const BATCH_ROWS: usize = 5;

/// What the source is called, and what it is called when it is another one.
const DATABASE: &str = "HYDRA";
pub const OTHER_DATABASE: &str = "HYDRA_TEST";

/// What a driver panics with.
pub struct DriverPanic;

struct SimSource {
    sim: Arc<Sim>,
    identity: SourceIdentity,
    columns: Columns,
    binds: Vec<Bind>,
    rows: std::vec::IntoIter<BTreeMap<String, Value>>,
}

/// Opens a session.
pub fn open(sim: &Arc<Sim>) -> Result<Box<dyn Source>, SourceError> {
    let met = sim.meet("open");
    fails(sim, met)?;
    let mut database = DATABASE;
    if met == Some(Fault::Repointed) {
        sim.lock().trouble.repointed = true;
        database = OTHER_DATABASE;
    }
    let facts = [("database".to_owned(), database.to_owned())].into();
    let identity = SourceIdentity { facts, ..SourceIdentity::default() };
    let columns = sim.rows().columns();
    Ok(Box::new(SimSource { sim: Arc::clone(sim), identity, columns, binds: Vec::new(), rows: Vec::new().into_iter() }))
}

fn fails(sim: &Sim, met: Option<Fault>) -> Result<(), SourceError> {
    use SourceErrorKind::{Network, Permission, Query, Timeout};
    match met {
        Some(Fault::Panic) => resume_unwind(Box::new(DriverPanic)),
        Some(Fault::Fails) => {
            let kind = sim.lock().random.pick(&[Network, Timeout, Permission, Query]);
            Err(SourceError { kind, tried: "reading".to_owned(), message: "it broke off".to_owned(), hint: None })
        }
        _ => Ok(()),
    }
}

impl SimSource {
    /// A row as it is now, where it is there still and the question is about it.
    fn as_it_is(&self, row: BTreeMap<String, Value>) -> Option<BTreeMap<String, Value>> {
        if !self.sim.setup.torn_reads {
            return Some(row);
        }
        let table = self.sim.rows();
        if table.rows.contains(&row) {
            return Some(row);
        }
        table.answer(&self.binds).into_iter().find(|now| now["id"] == row["id"])
    }
}

impl Source for SimSource {
    fn ask(&mut self, ask: &Ask) -> Result<(), SourceError> {
        let met = self.sim.meet("ask");
        fails(&self.sim, met)?;
        self.binds = ask.statement.as_ref().map(|statement| statement.binds.clone()).unwrap_or_default();
        let mut rows = self.sim.rows().answer(&self.binds);
        if met == Some(Fault::Empty) && self.sim.setup.reads != Reads::Slices {
            self.sim.lock().trouble.empty = true;
            rows.clear();
        }
        self.rows = rows.into_iter();
        self.sim.behind();
        Ok(())
    }

    fn next(&mut self, batch: &mut RowBatch) -> Result<Fetched, SourceError> {
        let met = self.sim.meet("next");
        batch.reset(&self.columns);
        fails(&self.sim, met)?;
        // What an answer that ends early lacks is asked for again, but not by a cursor, nor in a slice.
        if met == Some(Fault::Truncated) && matches!(self.sim.setup.reads, Reads::Window | Reads::Full) {
            self.rows = Vec::new().into_iter();
        }
        let rows: Vec<_> = self.rows.by_ref().take(BATCH_ROWS).collect();
        let more = !rows.is_empty();
        for row in rows.into_iter().filter_map(|row| self.as_it_is(row)) {
            self.sim.rows().push(batch, &row);
        }
        self.sim.behind();
        if more && batch.is_empty() {
            return self.next(batch);
        }
        Ok(if batch.is_empty() { Fetched::End } else { Fetched::Rows })
    }

    fn identity(&self) -> &SourceIdentity {
        &self.identity
    }
}
