//! One pipeline of one engine or several, and everything around it, with faults between them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine_core::deliver::Circuit;
use engine_core::dispatch::{DispatchReport, Dispatcher};
use engine_core::memory::MemoryStore;
use engine_core::plan::Plan;
use engine_core::ports::{Cancel, Clock};
use engine_core::report::RunReport;
use engine_core::run::{Runner, Silent};
use uuid::Uuid;

use crate::edits;
use crate::faults::{Armed, Coverage, Fault};
use crate::plant::{ManualClock, Table, at};
use crate::platform::Platform;
use crate::ports::{Numbered, Watcher, Wire};
use crate::random::Random;
use crate::setup::Setup;
use crate::source;
use crate::watched::Watched;

/// The process ends here: nothing is left but the store.
pub struct Crash;

/// What a history did wrong.
#[derive(Debug, Clone)]
pub enum Wrong {
    /// Something is not at the platform, or will never be.
    Lost(String),
    /// Something was sent again that had not changed.
    Doubled(String),
    /// Rows were deleted, or another database was read, and no brake was pulled.
    Unbraked(String),
    /// What was put right is in quarantine still.
    Unhealed(String),
    /// Anything else that must not be.
    Broken(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(what) => write!(f, "lost: {what}"),
            Self::Doubled(what) => write!(f, "doubled: {what}"),
            Self::Unbraked(what) => write!(f, "no brake: {what}"),
            Self::Unhealed(what) => write!(f, "quarantine does not heal: {what}"),
            Self::Broken(what) => write!(f, "broken: {what}"),
        }
    }
}

/// What was odd about the source while a run read it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trouble {
    pub empty: bool,
    pub repointed: bool,
    /// Somebody else was at work meanwhile.
    pub company: bool,
}

/// Everything that changes.
pub struct Inner {
    pub random: Random,
    pub trace: Vec<String>,
    pub coverage: Coverage,
    pub wrong: Vec<Wrong>,
    pub platform: Platform,
    /// What was handed over last of every id: its body.
    pub handed_over: BTreeMap<Uuid, String>,
    /// The greatest place in the outbox that was seen.
    pub last_seq: i64,
    /// Places in the outbox that were settled, whether or not something newer had superseded their records before.
    pub settled: BTreeSet<i64>,
    pub armed: Vec<Armed>,
    /// A fault that comes behind the call at hand.
    behind: Option<Fault>,
    /// Writes that fail until the disk has room again.
    pub disk_full: i64,
    /// Somebody else is at work within a call.
    nested: bool,
    /// A run has a transaction open: whoever else writes waits for its end.
    pub in_transaction: bool,
    /// What is at work is a delivery, and not a run.
    delivering: bool,
    /// Times that something failed.
    pub disturbed: u64,
    pub trouble: Trouble,
    cancels: Vec<Cancel>,
    circuit: Option<Circuit>,
    /// Which of the plans is in force.
    pub plan: usize,
    /// The number of the lease that holds.
    pub fence: i64,
    /// The clock of the source, in minutes: it never goes back.
    pub source_now: i64,
    /// Rows were in quarantine.
    pub quarantined: bool,
}

/// One history's world.
pub struct Sim {
    pub setup: Setup,
    pub store: MemoryStore,
    pub table: Mutex<Table>,
    pub clock: ManualClock,
    inner: Mutex<Inner>,
}

/// The minute at which histories begin.
const BEGIN: i64 = 2 * 1440;
/// The same after a first fill of several slices.
const BEGIN_SLICES: i64 = 6 * 1440;

impl Sim {
    pub fn new(seed: u64) -> Arc<Self> {
        let mut random = Random::new(seed);
        let setup = Setup::draw(&mut random);
        let now = if setup.reads == crate::setup::Reads::Slices { BEGIN_SLICES } else { BEGIN };
        let mut table = setup.table();
        edits::fill(&mut random, &setup, &mut table, now);
        let platform = Platform::new(setup.remembers_keys);
        Arc::new(Self {
            setup,
            store: MemoryStore::new(),
            table: Mutex::new(table),
            clock: ManualClock::at(at(now)),
            inner: Mutex::new(Inner {
                random,
                trace: Vec::new(),
                coverage: Coverage::default(),
                wrong: Vec::new(),
                platform,
                handed_over: BTreeMap::new(),
                last_seq: 0,
                settled: BTreeSet::new(),
                armed: Vec::new(),
                behind: None,
                disk_full: 0,
                nested: false,
                in_transaction: false,
                delivering: false,
                disturbed: 0,
                trouble: Trouble::default(),
                cancels: Vec::new(),
                circuit: None,
                plan: 0,
                fence: 1,
                source_now: now,
                quarantined: false,
            }),
        })
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn rows(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn say(&self, line: String) {
        self.lock().trace.push(line);
    }

    pub fn wrong(&self, wrong: Wrong) {
        self.lock().wrong.push(wrong);
    }

    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.setup.plans[self.lock().plan])
    }

    /// The fault whose turn it is at a call. What can happen at any call happens here.
    pub fn meet(self: &Arc<Self>, site: &'static str) -> Option<Fault> {
        let fault = {
            let mut inner = self.lock();
            inner.behind = None;
            *inner.coverage.calls.entry(site).or_default() += 1;
            let (nested, shared) = (inner.nested || inner.in_transaction, self.setup.shared);
            let waits = |fault: Fault| {
                nested && matches!(fault, Fault::Meanwhile | Fault::Takeover) || !shared && fault == Fault::Takeover
            };
            let place = inner.armed.iter_mut().position(|armed| !waits(armed.fault) && armed.is_due(site))?;
            let fault = inner.armed.swap_remove(place).fault;
            if fault == Fault::Repointed && self.store.snapshot(self.id()).state.identity.is_empty() {
                // Whatever a first run meets is the database.
                return None;
            }
            *inner.coverage.faults.entry((site, fault)).or_default() += 1;
            inner.disturbed += 1;
            inner.trace.push(format!("  ! {site}: {fault:?}"));
            match fault {
                Fault::Crash => {}
                Fault::FailsBehind | Fault::CrashBehind => inner.behind = Some(fault),
                Fault::Cancel => inner.cancels.iter().for_each(Cancel::cancel),
                Fault::DiskFull => inner.disk_full = inner.random.below(6),
                _ => {}
            }
            fault
        };
        match fault {
            Fault::Crash => resume_unwind(Box::new(Crash)),
            Fault::Meanwhile => self.meanwhile(),
            Fault::Takeover => self.take_over(),
            _ => {}
        }
        Some(fault)
    }

    /// The pipeline's id.
    pub fn id(&self) -> &str {
        &self.setup.plans[0].id
    }

    /// What was to come behind a call.
    pub fn behind(&self) -> Option<Fault> {
        let fault = self.lock().behind.take();
        if fault == Some(Fault::CrashBehind) {
            resume_unwind(Box::new(Crash));
        }
        fault
    }

    /// The other half of the service is at work, or somebody works at the source.
    fn meanwhile(self: &Arc<Self>) {
        let (edits, delivering) = {
            let mut inner = self.lock();
            inner.nested = true;
            (inner.random.below(3), inner.delivering)
        };
        self.edit(edits);
        if delivering {
            self.run();
        } else if edits < 2 {
            self.deliver();
        }
        let mut inner = self.lock();
        inner.nested = false;
        inner.delivering = delivering;
        inner.trouble.company = true;
    }

    /// Another engine takes the pipeline while this one stands still.
    fn take_over(self: &Arc<Self>) {
        let (own, which) = {
            let mut inner = self.lock();
            inner.nested = true;
            inner.fence += 1;
            inner.circuit = None;
            (std::mem::take(&mut inner.cancels), inner.random.below(4))
        };
        let ended = catch_unwind(AssertUnwindSafe(|| {
            if which > 0 {
                self.edit(which - 1);
                self.run();
            }
            if which != 2 {
                self.deliver();
            }
        }));
        let mut inner = self.lock();
        inner.nested = false;
        inner.cancels = own;
        inner.trouble.company = true;
        drop(inner);
        if let Err(panic) = ended {
            if panic.downcast_ref::<Crash>().is_none() {
                resume_unwind(panic);
            }
            self.ended();
        }
    }

    /// The process has ended; the next one knows nothing of it.
    pub fn ended(&self) {
        let mut inner = self.lock();
        inner.behind = None;
        inner.nested = false;
        inner.in_transaction = false;
        inner.cancels.clear();
        inner.circuit = None;
        inner.armed.clear();
        inner.fence += 1;
    }

    /// Changes rows of the source.
    pub fn edit(&self, edits: i64) {
        let mut inner = self.lock();
        let mut table = self.rows();
        for _ in 0..edits {
            let now = inner.source_now;
            let line = edits::edit(&mut inner.random, &self.setup, &mut table, now);
            inner.trace.push(format!("  {line}"));
        }
    }

    fn watched(self: &Arc<Self>) -> Watched<'_, Watcher> {
        let fence = self.lock().fence;
        Watched { store: &self.store, watch: Watcher { sim: Arc::clone(self), fence } }
    }

    /// Runs once; nothing where the run broke off.
    pub fn run(self: &Arc<Self>) -> Option<RunReport> {
        let plan = self.plan();
        let cancel = Cancel::default();
        self.lock().cancels.push(cancel.clone());
        self.lock().trouble = Trouble::default();
        self.lock().delivering = false;
        let store = self.watched();
        let open = || source::open(self);
        let before = self.store.snapshot(&plan.id);
        let runner = Runner {
            plan: &plan,
            store: &store,
            clock: &self.clock,
            cancel: &cancel,
            open: &open,
            outbox_bytes_max: self.setup.outbox_bytes_max,
            next_run: None,
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| runner.run(&mut Silent)));
        self.lock().cancels.pop();
        let report = broken_off(outcome);
        let said = match &report {
            None => "broke off".to_owned(),
            Some(RunReport { failure: Some(failure), .. }) => format!("{:?}: {}", failure.kind, failure.message),
            Some(report) => {
                format!(
                    "{} statements, {} rows, {} written, {} deleted, {} refused",
                    report.statements,
                    report.rows,
                    report.upserts,
                    report.deletes,
                    report.rejected_total()
                )
            }
        };
        self.say(format!("  run: {said}"));
        if let Some(report) = &report {
            self.check_brake(&before, report);
        }
        report
    }

    /// Delivers what waits; nothing where the delivery broke off.
    pub fn deliver(self: &Arc<Self>) -> Option<DispatchReport> {
        let plan = self.plan();
        let cancel = Cancel::default();
        let (mut circuit, patience, fence) = {
            let mut inner = self.lock();
            inner.cancels.push(cancel.clone());
            inner.delivering = true;
            let circuit = inner.circuit.take().unwrap_or_else(|| Circuit::new(self.setup.parcel));
            let patience = inner.random.pick(&[0, 0, 5, 200]);
            (circuit, Duration::from_secs(patience), inner.fence)
        };
        let store = self.watched();
        let random = || self.lock().random.number();
        let dispatcher = Dispatcher {
            pipeline: &plan.id,
            labels: &plan.labels,
            limit: self.setup.parcel,
            store: &store,
            lease: &Numbered(fence),
            clock: &self.clock,
            cancel: &cancel,
            places_of: &plan.id,
            settled: &|_, _| Ok(()),
            measures_age: false,
            random: &random,
        };
        let mut wire = Wire { sim: Arc::clone(self) };
        let outcome = catch_unwind(AssertUnwindSafe(|| dispatcher.deliver(&mut wire, &mut circuit, patience)));
        self.lock().cancels.pop();
        let ended = broken_off(outcome);
        let mut inner = self.lock();
        if ended.is_some() && inner.fence == fence {
            inner.circuit = Some(circuit);
        }
        let said = match &ended {
            None => "broke off".to_owned(),
            Some(Err(error)) => error.to_string(),
            Some(Ok(report)) => {
                let stopped = report.stopped.as_ref().map(|stopped| format!(", stopped: {}", stopped.reason));
                format!("{} taken, {} refused{}", report.accepted, report.refused, stopped.unwrap_or_default())
            }
        };
        inner.trace.push(format!("  delivery: {said}"));
        ended?.ok()
    }

    /// The clock of the source follows that of the engine, and never goes back.
    pub fn follow_clock(&self) {
        let minutes = self.clock.now().duration_since(at(0)).as_mins();
        let mut inner = self.lock();
        inner.source_now = inner.source_now.max(minutes);
    }
}

/// A panic of a driver costs its run; the end of the process goes on.
fn broken_off<T>(outcome: std::thread::Result<T>) -> Option<T> {
    match outcome {
        Ok(ended) => Some(ended),
        Err(panic) if panic.downcast_ref::<source::DriverPanic>().is_some() => None,
        Err(panic) => resume_unwind(panic),
    }
}
