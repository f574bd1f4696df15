//! One test, executed by the run's own code over its rows.

use std::collections::BTreeMap;
use std::path::Path;

use engine_core::canonical::CanonicalRow;
use engine_core::mapping::{Mapper, Outcome};
use engine_core::memory::MemoryStore;
use engine_core::plan::Plan;
use engine_core::ports::Cancel;
use engine_core::report::RunReport;
use engine_core::run::{OUTBOX_BYTES_MAX, Runner};
use engine_core::time::Instant;
use engine_spec::model::{SpecTest, TestRows};
use engine_spec::template::Statement;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::clock::FrozenClock;
use crate::commands::render;
use crate::fixture::{FixtureSource, Outcomes};
use crate::recordings;

/// How far behind the latest time of its rows a test's clock stands, where the test does not say.
const AFTER_THE_LAST_ROW: SignedDuration = SignedDuration::from_mins(1);
/// The clock of a test that does not say, and whose rows have no time: 2025-01-01T00:00:00Z.
const MADE_UP_NOW: Timestamp = Timestamp::constant(1_735_689_600, 0);
/// Times from here on mean "no end" and not a time: 2100-01-01T00:00:00Z. `2999-12-31` and `9999-12-31` are usual.
const FILLER_FROM: Timestamp = Timestamp::constant(4_102_444_800, 0);

/// Where the clock of a test came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockFrom {
    /// The test or the command line says it.
    Said,
    /// The run that recorded the rows.
    Recording,
    /// The latest time of the rows.
    Rows,
    /// Nothing says it.
    MadeUp,
}

/// What a test made of its rows.
pub struct Ran {
    /// The clock.
    pub now: Timestamp,
    /// Where the clock came from.
    pub clock: ClockFrom,
    /// The rows.
    pub source: FixtureSource,
    /// What came out; none where only the statement is looked at.
    pub outcomes: Option<(Outcomes, RunReport)>,
    /// What would be asked; none where nobody looks at it.
    pub statement: Option<Statement>,
}

/// Executes a test whose file lies in a folder.
pub fn execute(plan: &mut Plan, test: &SpecTest, folder: &Path, now: Option<Timestamp>) -> Result<Ran, String> {
    let source = match &test.rows {
        TestRows::Written(rows) => FixtureSource::new(plan, rows),
        TestRows::Recorded(path) => FixtureSource::recorded(recordings::read(&folder.join(path))?),
    };
    let (now, clock) = match (&test.now, now, source.recorded_at()) {
        (Some(text), _, _) => {
            let said = engine_core::plan::parse_start(text, &plan.zone);
            (said.ok_or(format!("now: `{text}` is no instant"))?, ClockFrom::Said)
        }
        (None, Some(now), _) => (now, ClockFrom::Said),
        (None, None, Some(now)) => (now, ClockFrom::Recording),
        (None, None, None) => match latest(plan, &source)? {
            Some(latest) => (latest.saturating_add(AFTER_THE_LAST_ROW).unwrap_or(latest), ClockFrom::Rows),
            None => (MADE_UP_NOW, ClockFrom::MadeUp),
        },
    };
    let expect = &test.expect;
    let mut statement = None;
    if expect.sql.is_some() || expect.params.is_some() {
        let rendered = render::statement(plan, now).map_err(|error| error.message)?;
        statement = Some(rendered.ok_or("the spec has no query")?);
    }
    let asks = expect.runs.is_some() || expect.rows.is_some() || expect.rejected.is_some();
    let outcomes = if asks || !source.is_empty() { Some(outcomes(plan, &source, now)?) } else { None };
    Ok(Ran { now, clock, source, outcomes: outcomes.filter(|_| asks || statement.is_none()), statement })
}

/// The runs that the run's own code makes of the rows of a test that says no clock.
pub(crate) fn runs_of(plan: &Plan, rows: &[BTreeMap<String, Value>]) -> Result<Vec<Map<String, Value>>, String> {
    let source = FixtureSource::new(plan, rows);
    let now = match latest(plan, &source)? {
        Some(latest) => latest.saturating_add(AFTER_THE_LAST_ROW).unwrap_or(latest),
        None => MADE_UP_NOW,
    };
    Ok(run(plan, &source, now)?.0.runs)
}

/// What the run's own code makes of rows. They are those of the result, whatever the window: a test does not depend on
/// when it is run.
pub fn outcomes(plan: &mut Plan, source: &FixtureSource, now: Timestamp) -> Result<(Outcomes, RunReport), String> {
    plan.sync.start = None;
    run(plan, source, now)
}

fn run(plan: &Plan, source: &FixtureSource, now: Timestamp) -> Result<(Outcomes, RunReport), String> {
    let store = MemoryStore::new();
    let clock = FrozenClock::at(now);
    let cancel = Cancel::default();
    let open = || Ok(source.open());
    let runner = Runner {
        plan,
        store: &store,
        clock: &clock,
        cancel: &cancel,
        open: &open,
        outbox_bytes_max: OUTBOX_BYTES_MAX,
        next_run: None,
    };
    let mut outcomes = Outcomes::new(plan, usize::MAX);
    let report = if source.is_empty() { RunReport::default() } else { runner.run(&mut outcomes) };
    if let Some(failure) = report.failure {
        return Err(failure.message);
    }
    outcomes.take_from(&store.snapshot(&plan.id), plan);
    Ok((outcomes, report))
}

/// The latest time of the rows that is one: nothing then lies in the future, and the test never ages.
fn latest(plan: &Plan, source: &FixtureSource) -> Result<Option<Timestamp>, String> {
    if source.is_empty() {
        return Ok(None);
    }
    let mut mapper = Mapper::new(plan, source.columns()).map_err(|messages| messages.join("; "))?;
    let mut latest: Option<Timestamp> = None;
    let mut canonical = CanonicalRow::default();
    source.each_batch(|batch| {
        for row in batch.rows() {
            (canonical.start, canonical.end) = (Instant::MIN, None);
            let outcome = mapper.map(row, Instant::MAX, &mut canonical);
            // A row that a check rejects has times all the same; one whose start is unreadable keeps `MIN`.
            if matches!(outcome, Outcome::Row | Outcome::Rejected) && canonical.start > Instant::MIN {
                let times = [Some(canonical.start), canonical.end].into_iter().flatten();
                let times = times.filter_map(Instant::to_timestamp).filter(|time| *time < FILLER_FROM);
                latest = latest.max(times.max());
            }
        }
    });
    Ok(latest)
}
