//! One run over a copy of the state, and all that is shown of it.

use engine_core::canonical::KeySet;
use engine_core::memory::{MemoryPipeline, MemoryStore};
use engine_core::plan::Plan;
use engine_core::ports::{Cancel, Clock};
use engine_core::report::RunReport;
use engine_core::run::{Runner, slices};
use engine_core::state::{Brake, LedgerRecord, PipelineState};
use engine_core::timeline::{Bar, Limits, Timeline, lay_out};
use engine_spec::model::{Deliver, SyncMode, TableType};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::follow::{Followed, Follower};
use super::observe::{Heard, Watch};
use super::statement::{self, Sent};
use crate::args::PreviewArgs;
use crate::exit::CommandError;
use crate::fixture::as_rejected;
use crate::project::{FoundSpec, Project};
use crate::rehearsal::difference::{Counts, Difference, Records, compare, describe};
use crate::rehearsal::{Rehearsal, copy_of, rehearse};
use crate::{pipeline, show, store};

/// Characters of a label on a time-line.
const LABEL_CHARS_MAX: usize = 60;
/// Machines, runs and days of a time-line.
pub(super) const TIMELINE: Limits = Limits { machines: 60, runs: 5_000, days: 31 };

/// Items of a list that are shown, and how many there are.
pub(super) struct Shown<T> {
    pub(super) items: Vec<T>,
    pub(super) total: usize,
}

impl<T> Shown<T> {
    /// Counts one more, and keeps it where there is room.
    fn add(&mut self, limit: usize, item: impl FnOnce() -> T) {
        self.total += 1;
        if self.items.len() < limit {
            self.items.push(item());
        }
    }
}

/// What a run would find of what was delivered.
pub(super) enum Past {
    /// All that is remembered.
    Known,
    /// Nothing is, and why.
    Empty(String),
}

/// What the first run of a pipeline reads before its window. A preview leaves it out, as it may take long.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct FirstFill {
    /// Where it begins: at `sync.start`.
    pub(super) from: Timestamp,
    /// Where the window begins.
    pub(super) until: Timestamp,
    /// Statements that it takes.
    pub(super) slices: usize,
}

impl FirstFill {
    fn of(plan: &Plan, now: Timestamp, state: &PipelineState) -> Option<Self> {
        let slices = if state.filled_until.is_none() { slices(plan, now, state) } else { Vec::new() };
        Some(Self { from: slices.first()?.0, until: slices.last()?.1, slices: slices.len() })
    }
}

/// All that is shown of one pipeline.
pub(super) struct Preview {
    pub(super) plan: Plan,
    pub(super) report: RunReport,
    pub(super) sent: Sent,
    pub(super) past: Past,
    pub(super) first_fill: Option<FirstFill>,
    /// Brakes that would hold the run.
    pub(super) brakes: Vec<Brake>,
    pub(super) counts: Counts,
    /// Records that wait in the outbox already.
    pub(super) waiting: usize,
    pub(super) differences: Option<Shown<Difference>>,
    pub(super) rows: Vec<Followed>,
    pub(super) runs: Shown<Map<String, Value>>,
    pub(super) rejected: Shown<Map<String, Value>>,
    pub(super) timeline: Option<Timeline>,
}

pub(super) fn gather(
    project: &Project,
    spec: &FoundSpec,
    args: &PreviewArgs,
    clock: &dyn Clock,
    cancel: &Cancel,
) -> Result<Preview, CommandError> {
    let mut plan = project.plan(spec, false)?;
    let (copy, past) = past(project, &plan.id, args);
    let now = clock.now();
    let first_fill = FirstFill::of(&plan, now, &copy.snapshot(&plan.id).state);
    // The first fill may take long; the window shows what there is to see.
    plan.sync.start = None;
    let heard = Heard::default();
    let open = || Ok(heard.overhear(pipeline::open_source(&plan, cancel)?));
    // A full outbox hides nothing here.
    let outbox_bytes_max = u64::MAX;
    let runner = Runner { plan: &plan, store: &copy, clock, cancel, open: &open, outbox_bytes_max, next_run: None };
    let watch = |before: &MemoryPipeline| Watch::new(&plan, args, before);
    let Rehearsal { brakes, before, after, report, observer } = rehearse(&runner, &copy, watch)?;
    let sent = statement::sent(&plan, &heard, &report, now, cancel);

    let read = Read::of(&plan, &heard);
    let (was, is) = (Records::new(&plan, &before), Records::new(&plan, &after));
    let (counts, changes) = compare(&before, &after, |at| read.judges(at));
    let changed: KeySet = changes.iter().map(|(_, key)| *key).collect();
    let differences = args.diff.then(|| {
        let listed = changes.iter().take(args.limit);
        let items = listed.filter_map(|(change, key)| describe(*change, *key, &was, &is)).collect();
        Shown { items, total: changes.len() }
    });
    let follower = Follower::new(&plan, spec, &after, &is);
    let rows: Vec<Followed> = observer.rows.iter().map(|row| follower.follow(row)).collect();

    let mut runs = Shown { items: Vec::new(), total: 0 };
    let mut bars = Vec::new();
    for record in runs_of(&plan, &after, read) {
        let words = is.words(record).or_else(|| observer.words(record)).unwrap_or_default();
        bars.extend(bar(record, &words));
        // Beside a cursor, the ledger has all runs of the past.
        let is_of_this_run = !matches!(read, Read::AfterCursor) || changed.contains(&record.key);
        let is_asked_for = args.row.is_none() || rows.iter().any(|row| row.run_id() == Some(record.id));
        if plan.deliver == Deliver::Runs && is_of_this_run && is_asked_for {
            runs.add(args.limit, || words);
        }
    }
    let mut rejected = Shown { items: Vec::new(), total: 0 };
    let of_this_run = after.quarantine.iter().map(|(entry, _)| entry);
    for entry in of_this_run.filter(|entry| observer.has_judged(entry, &before, |at| read.judges(at))) {
        rejected.add(args.limit, || as_rejected(entry, &plan));
    }
    let timeline = lay_out(&bars, now, &plan.zone, TIMELINE);
    let waiting = before.outbox.len();
    Ok(Preview {
        report,
        sent,
        past,
        first_fill,
        brakes,
        counts,
        waiting,
        differences,
        rows,
        runs,
        rejected,
        timeline,
        plan,
    })
}

/// The records that are runs and reach into what was read, by machine and start.
fn runs_of<'a>(plan: &Plan, after: &'a MemoryPipeline, read: Read) -> Vec<&'a LedgerRecord> {
    if plan.deliver == Deliver::Rows && plan.table == TableType::Booking {
        return Vec::new();
    }
    let mut records: Vec<&LedgerRecord> =
        after.records.values().filter(|record| !record.part && read.touches(record)).collect();
    records.sort_by(|one, other| (&one.lane, one.start, one.key).cmp(&(&other.lane, other.start, other.key)));
    records
}

/// What a run would find, as a copy. A preview needs no state: where there is none to be read, it says so.
fn past(project: &Project, id: &str, args: &PreviewArgs) -> (MemoryStore, Past) {
    let empty = |why: &str| (MemoryStore::new(), Past::Empty(why.to_owned()));
    if args.fresh {
        return empty("as if nothing had been delivered yet: everything is new");
    }
    let copy =
        store::open_or_empty(&project.device, &project.folder).and_then(|store| Ok(copy_of(store.as_ref(), id)?));
    match copy {
        Ok(copy) => {
            let known = copy.snapshot(id);
            if known.records.is_empty() && known.state.last_success.is_none() {
                return empty("nothing was delivered yet: everything is new");
            }
            (copy, Past::Known)
        }
        Err(error) => {
            let why = format!("what was delivered cannot be read, so everything is new: {}", error.message);
            (MemoryStore::new(), Past::Empty(why))
        }
    }
}

/// What a run read.
#[derive(Debug, Clone, Copy)]
enum Read {
    /// All that there is.
    Everything,
    /// What lies in a window, half-open.
    Window(Timestamp, Timestamp),
    /// What came since the last run: it says nothing of the rest.
    AfterCursor,
}

impl Read {
    fn of(plan: &Plan, heard: &Heard) -> Self {
        match (plan.sync.mode, heard.window()) {
            (SyncMode::Cursor, _) => Self::AfterCursor,
            (SyncMode::Window, Some((from, to))) if !plan.reads_everything() => Self::Window(from, to),
            (SyncMode::Window | SyncMode::Full, _) => Self::Everything,
        }
    }

    /// Whether what has this value of the window column was read again.
    fn judges(self, at: i64) -> bool {
        match self {
            Self::Everything => true,
            Self::Window(from, to) => from.as_microsecond() <= at && at < to.as_microsecond(),
            Self::AfterCursor => false,
        }
    }

    /// Whether a record reaches into what was read; after a cursor, all may.
    fn touches(self, record: &LedgerRecord) -> bool {
        match self {
            Self::Everything | Self::AfterCursor => true,
            Self::Window(from, _) => record.end >= from.as_microsecond(),
        }
    }
}

fn bar(record: &LedgerRecord, words: &Map<String, Value>) -> Option<Bar> {
    let text = |name: &str| words.get(name).and_then(Value::as_str).unwrap_or("?");
    placed(record, text("order_code"), text("product_code"))
}

/// A record of the ledger on a time-line.
pub(crate) fn placed(record: &LedgerRecord, order: &str, product: &str) -> Option<Bar> {
    let end = record.ends().map(|end| Timestamp::from_microsecond(end).ok());
    Some(Bar {
        machine: show::clip(&record.lane, LABEL_CHARS_MAX),
        start: Timestamp::from_microsecond(record.start).ok()?,
        end: end.map_or(Some(None), |end| end.map(Some))?,
        label: show::clip(order, LABEL_CHARS_MAX),
        group: show::clip(product, LABEL_CHARS_MAX),
    })
}
