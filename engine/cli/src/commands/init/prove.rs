//! Whether a draft holds: it is validated, its query is sent once, and its tests are made of what came back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use engine_core::anonymise::Anonymiser;
use engine_core::discover::{self, Candidate, Role, Survey, TimeForm};
use engine_core::draft::Example;
use engine_core::mapping::Outcome;
use engine_core::memory::MemoryStore;
use engine_core::plan::{Plan, parse_start};
use engine_core::ports::Cancel;
use engine_core::report::RunReport;
use engine_core::run::{OUTBOX_BYTES_MAX, Runner};
use engine_spec::diagnostic::Severity;
use engine_spec::load::{Loaded, load};
use engine_spec::model::{FieldSource, TableType, TextField};
use engine_spec::render::FileFindings;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::clock::FrozenClock;
use crate::commands::test;
use crate::exit::{CommandError, Kind};
use crate::fixture::{Outcomes, SeenRow};
use crate::pipeline;
use crate::project::{self, FoundSpec};
use crate::stamp::Seen;
use crate::validate::Beside;

/// Rows of a trial that are looked at for examples.
const ROWS_SEEN: usize = 2_000;
/// Rows of an example.
const EXAMPLE_ROWS: usize = 6;

/// What came of sending the query once.
pub struct Trial {
    /// The plan that was tried.
    pub plan: Plan,
    /// What the run did.
    pub report: RunReport,
    /// The instant as of which it was tried, where that is not now.
    pub frozen: Option<Timestamp>,
    rows: Vec<SeenRow>,
}

/// The draft as loaded. A finding is a defect of the draft, but for those about the source, which is copied as it was
/// written: they are told.
pub fn checked(path: &Path, text: &str, folder: &Path) -> Result<Loaded, CommandError> {
    let loaded = load(&path.display().to_string(), text.as_bytes(), &Beside(folder));
    if loaded.diagnostics.is_empty() {
        return Ok(loaded);
    }
    let of_source = |pointer: &str| pointer == "/source" || pointer.starts_with("/source/");
    let is_ours = loaded.diagnostics.iter().any(|finding| !of_source(&finding.pointer));
    let is_wrong = loaded.diagnostics.iter().any(|finding| finding.severity == Severity::Error);
    if !is_ours && !is_wrong {
        return Ok(loaded);
    }
    project::tell([FileFindings { text: loaded.file.text, findings: loaded.diagnostics }]);
    Err(CommandError::new(Kind::Run, "the draft does not validate; nothing was written")
        .hint("this is a defect of engine: the findings above show where"))
}

/// Sends the query once, as a run would, and delivers nothing.
pub fn trial(
    path: &Path,
    mut loaded: Loaded,
    survey: &Survey,
    candidate: &Candidate,
    cancel: &Cancel,
) -> Result<Trial, CommandError> {
    // Nothing is sent, so the login for sending need not be there yet.
    if let Some(spec) = &mut loaded.spec {
        spec.destination = None;
    }
    let plan = project::plan(&FoundSpec { path: path.to_owned(), loaded, seen: Seen::new() }, None, false)?;
    let (report, rows) = tried(&plan, survey.now, cancel)?;
    // Of rows that are all older than the window, no more than what still runs was read.
    let lookback = SignedDuration::try_from(plan.sync.lookback).unwrap_or(SignedDuration::MAX);
    let latest = latest(survey, candidate, &plan).filter(|latest| survey.now.duration_since(*latest) > lookback);
    let Some(latest) = latest else { return Ok(Trial { plan, report, frozen: None, rows }) };
    let (report, rows) = tried(&plan, latest, cancel)?;
    Ok(Trial { plan, report, frozen: Some(latest), rows })
}

fn tried(plan: &Plan, now: Timestamp, cancel: &Cancel) -> Result<(RunReport, Vec<SeenRow>), CommandError> {
    let store = MemoryStore::new();
    let clock = FrozenClock::at(now);
    let open = || pipeline::open_source(plan, cancel);
    let runner = Runner {
        plan,
        store: &store,
        clock: &clock,
        cancel,
        open: &open,
        outbox_bytes_max: OUTBOX_BYTES_MAX,
        next_run: None,
    };
    let mut outcomes = Outcomes::new(plan, ROWS_SEEN);
    let report = runner.run(&mut outcomes);
    match &report.failure {
        Some(failure) => {
            let error = CommandError::new(pipeline::kind_of(failure), failure.message.clone());
            Err(CommandError { hint: failure.hint.clone(), ..error })
        }
        None => Ok((report, outcomes.seen)),
    }
}

/// An instant just after the latest rows that the survey saw.
fn latest(survey: &Survey, candidate: &Candidate, plan: &Plan) -> Option<Timestamp> {
    let role = match candidate.table {
        TableType::Order => Role::Start,
        TableType::Booking => Role::Timestamp,
    };
    let guess = candidate.roles.get(&role)?;
    let table = survey.tables.iter().find(|table| table.name == candidate.name)?;
    let max = || Some(engine_core::draft::plain(table.sample.as_ref()?.columns.get(&guess.column)?.max.as_ref()?));
    let time = candidate.times.iter().find(|time| time.is_meant(guess));
    let whole = match time.map(|time| time.form) {
        Some(TimeForm::EpochSeconds) => Timestamp::from_second(max()?.parse().ok()?).ok()?,
        Some(TimeForm::EpochMillis) => Timestamp::from_millisecond(max()?.parse().ok()?).ok()?,
        Some(TimeForm::Instant) | None => parse_start(&max()?, &plan.zone)?,
        Some(_) => parse_start(&discover::latest(table, time?)?.to_string(), &plan.zone)?,
    };
    // A date may stand for any time of its day, and a clock of UTC for one that lies hours off.
    whole.checked_add(SignedDuration::from_hours(26)).ok()
}

/// Examples of the latest rows, with what the run's own code makes of them.
pub fn examples(trial: &Trial, anonymise: bool) -> Vec<Example> {
    let mut rows: Vec<Map<String, Value>> = chosen(trial);
    if anonymise {
        let columns = code_columns(&trial.plan);
        let mut anonymiser = Anonymiser::new(trial.rows.len() as u64);
        for (name, value) in rows.iter_mut().flatten() {
            if columns.contains(&name.to_lowercase()) {
                *value = anonymiser.value(value);
            }
        }
    }
    if rows.is_empty() {
        return Vec::new();
    }
    let given: Vec<BTreeMap<String, Value>> =
        rows.iter().map(|row| row.iter().map(|(name, value)| (name.clone(), value.clone())).collect()).collect();
    match test::execute::runs_of(&trial.plan, &given) {
        Ok(runs) if !runs.is_empty() => {
            vec![Example { name: "the latest rows when this was drafted".to_owned(), rows, runs }]
        }
        _ => Vec::new(),
    }
}

/// The latest rows that say something together: bookings of one machine, or orders with one that runs among them.
fn chosen(trial: &Trial) -> Vec<Map<String, Value>> {
    let time = match trial.plan.table {
        TableType::Order => "start",
        TableType::Booking => "timestamp",
    };
    let text = |mapped: &Map<String, Value>, name: &str| {
        mapped.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let mut mapped: Vec<(&SeenRow, &Map<String, Value>)> = trial
        .rows
        .iter()
        .filter(|(_, outcome, ..)| *outcome == Outcome::Row)
        .filter_map(|row| row.2.as_ref().map(|mapped| (row, mapped)))
        .collect();
    mapped.sort_by_key(|(_, mapped)| text(mapped, time));
    if trial.plan.table == TableType::Booking {
        // The machine of the latest booking that ended something: its rows have a beginning and an end.
        let ended = mapped.iter().rfind(|(_, mapped)| text(mapped, "event") == "END").or(mapped.last());
        let machine = ended.map(|(_, mapped)| text(mapped, "machine_code")).unwrap_or_default();
        mapped.retain(|(_, mapped)| text(mapped, "machine_code") == machine);
        if let Some(first) = first_start(&mapped, |mapped| text(mapped, "event") == "START") {
            mapped.drain(..first);
        }
    } else {
        let live = mapped.iter().rposition(|(_, mapped)| mapped.get("end").is_none_or(Value::is_null));
        if let Some(live) = live.filter(|live| live + EXAMPLE_ROWS < mapped.len()) {
            let live = mapped.remove(live);
            mapped.push(live);
        }
        mapped.drain(..mapped.len().saturating_sub(EXAMPLE_ROWS));
    }
    mapped.iter().filter_map(|(row, _)| serde_json::from_str(&row.0).ok()).collect()
}

/// Where the last rows begin, so that the first of them starts a run.
fn first_start(
    rows: &[(&SeenRow, &Map<String, Value>)],
    is_start: impl Fn(&Map<String, Value>) -> bool,
) -> Option<usize> {
    let from = rows.len().saturating_sub(EXAMPLE_ROWS);
    (from..rows.len()).find(|place| is_start(rows[*place].1))
}

/// Columns with codes and names of the factory, in lower case.
fn code_columns(plan: &Plan) -> BTreeSet<String> {
    let fields = &plan.fields;
    [&fields.order_code, &fields.product_code, &fields.machine_code, &fields.product_name]
        .into_iter()
        .flatten()
        .filter_map(|TextField { from, .. }| match from {
            FieldSource::Column(column) => Some(column.to_lowercase()),
            FieldSource::Template(_) | FieldSource::Value(_) => None,
        })
        .collect()
}
