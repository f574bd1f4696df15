//! `engine test`: the examples in a spec, executed offline by the run's own code.
//!
//! A test runs the real pipeline over the rows it gives, against a state store in memory and a clock that stands still.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use engine_core::canonical::CanonicalRow;
use engine_core::mapping::{Mapper, Outcome};
use engine_core::memory::MemoryStore;
use engine_core::plan::Plan;
use engine_core::ports::Cancel;
use engine_core::run::{OUTBOX_BYTES_MAX, Observer, Runner};
use engine_core::time::Instant;
use engine_core::value::{Row, RowBatch};
use engine_spec::model::SpecTest;
use engine_spec::sql::{Dialect, code_text};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::args::{Output, TestArgs};
use crate::clock::FrozenClock;
use crate::commands::render;
use crate::exit::{CommandError, Kind};
use crate::fixture::{FixtureSource, Outcomes};
use crate::project::Project;

/// How far behind the latest time of its rows a test's clock stands, where the test does not say.
const AFTER_THE_LAST_ROW: SignedDuration = SignedDuration::from_mins(1);
/// The clock of a test that has no rows and does not say.
const NO_ROWS_NOW: Timestamp = Timestamp::constant(1_735_689_600, 0);

/// Result of one test.
#[derive(Debug, serde::Serialize)]
struct TestResult {
    spec: String,
    pipeline: String,
    name: String,
    passed: bool,
    /// What differs, in plain words.
    differences: Vec<String>,
}

/// Executes the tests of specs.
pub fn run(args: &TestArgs, config: Option<&Path>) -> Result<(), CommandError> {
    let project = Project::open(&args.paths, config)?;
    let mut results = Vec::new();
    for spec in &project.specs {
        let Some(typed) = &spec.loaded.spec else { continue };
        for test in &typed.tests {
            if args.filter.as_ref().is_some_and(|filter| !test.name.contains(filter.as_str())) {
                continue;
            }
            let mut plan = project.plan(spec, true)?;
            let differences = match execute(&mut plan, test, args.now) {
                Ok(differences) => differences,
                Err(message) => vec![message],
            };
            results.push(TestResult {
                spec: spec.path.display().to_string(),
                pipeline: plan.id.clone(),
                name: test.name.clone(),
                passed: differences.is_empty(),
                differences,
            });
        }
    }
    let failed = results.iter().filter(|result| !result.passed).count();
    match args.output {
        Output::Json => {
            let json = serde_json::to_string_pretty(&results).unwrap_or_default();
            crate::show::print(&format!("{json}\n"));
        }
        Output::Text => crate::show::print(&text(&results, failed)),
    }
    match (project.broken, failed) {
        (true, _) => Err(CommandError::said(Kind::Usage)),
        (false, 0) => Ok(()),
        (false, _) => Err(CommandError::said(Kind::Run)),
    }
}

fn text(results: &[TestResult], failed: usize) -> String {
    let mut out = String::new();
    for result in results {
        let mark = if result.passed { "ok    " } else { "FAILED" };
        let _ = writeln!(out, "{mark} {}: {}", result.pipeline, result.name);
        for difference in &result.differences {
            let _ = writeln!(out, "       {}", difference.replace('\n', "\n       "));
        }
    }
    let _ = writeln!(out, "{} passed, {failed} failed", results.len() - failed);
    out
}

/// Runs one test; what differs from what it expects.
fn execute(plan: &mut Plan, test: &SpecTest, now: Option<Timestamp>) -> Result<Vec<String>, String> {
    let source = FixtureSource::new(plan, &test.rows);
    let now = match (&test.now, now) {
        (Some(text), _) => {
            engine_core::plan::parse_start(text, &plan.zone).ok_or(format!("now: `{text}` is no instant"))?
        }
        (None, Some(now)) => now,
        (None, None) => clock_after(plan, &source)?,
    };
    let mut differences = Vec::new();
    compare_statement(plan, test, now, &mut differences)?;
    let expect = &test.expect;
    if expect.runs.is_none() && expect.rows.is_none() && expect.rejected.is_none() {
        return Ok(differences);
    }
    // The rows are those of the result, whatever the window: a test does not depend on when it is run.
    plan.sync.start = None;
    let outcomes = outcomes(plan, &source, now)?;
    let mut compare = |what: &str, expected: &Option<Vec<BTreeMap<String, Value>>>, actual: &[Map<String, Value>]| {
        if let Some(expected) = expected {
            differences.extend(compare_sets(what, expected, actual, plan));
        }
    };
    compare("run", &expect.runs, &outcomes.runs);
    compare("row", &expect.rows, &outcomes.rows);
    compare("rejected row", &expect.rejected, &outcomes.rejected);
    Ok(differences)
}

/// The runs that the run's own code makes of the rows of a test that says no clock.
pub(crate) fn runs_of(plan: &Plan, rows: &[BTreeMap<String, Value>]) -> Result<Vec<Map<String, Value>>, String> {
    let source = FixtureSource::new(plan, rows);
    let now = clock_after(plan, &source)?;
    Ok(outcomes(plan, &source, now)?.runs)
}

/// What the run's own code makes of the rows.
fn outcomes(plan: &Plan, source: &FixtureSource, now: Timestamp) -> Result<Outcomes, String> {
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
    let report = if source.is_empty() { Default::default() } else { runner.run(&mut outcomes) };
    if let Some(failure) = report.failure {
        return Err(failure.message);
    }
    outcomes.take_from(&store.snapshot(&plan.id), plan);
    Ok(outcomes)
}

/// A minute after the latest time of the rows, so that a test never ages and nothing lies in the future.
fn clock_after(plan: &Plan, source: &FixtureSource) -> Result<Timestamp, String> {
    struct Latest(Option<Instant>);
    impl Observer for Latest {
        fn row(&mut self, _row: Row<'_>, outcome: Outcome, canonical: &CanonicalRow, _mapper: &Mapper) {
            // A row that a check rejects has times all the same; one whose times are unreadable keeps `MIN`.
            if matches!(outcome, Outcome::Row | Outcome::Rejected) {
                self.0 = self.0.max(Some(canonical.start)).max(canonical.end);
            }
        }
    }
    if source.is_empty() {
        return Ok(NO_ROWS_NOW);
    }
    let mut latest = Latest(None);
    let mut batch = RowBatch::new();
    source.fill(&mut batch);
    let mut mapper = Mapper::new(plan, batch.columns()).map_err(|messages| messages.join("; "))?;
    let mut canonical = CanonicalRow::default();
    for row in batch.rows() {
        canonical.start = Instant::MIN;
        let outcome = mapper.map(row, Instant::MAX, &mut canonical);
        latest.row(row, outcome, &canonical, &mapper);
    }
    let latest = latest.0.filter(|latest| *latest > Instant::MIN).and_then(Instant::to_timestamp);
    Ok(latest.and_then(|latest| latest.checked_add(AFTER_THE_LAST_ROW).ok()).unwrap_or(NO_ROWS_NOW))
}

fn compare_statement(
    plan: &Plan,
    test: &SpecTest,
    now: Timestamp,
    differences: &mut Vec<String>,
) -> Result<(), String> {
    if test.expect.sql.is_none() && test.expect.params.is_none() {
        return Ok(());
    }
    let statement = render::statement(plan, now).map_err(|error| error.message)?;
    let Some(statement) = statement else { return Err("the spec has no query".to_owned()) };
    if let Some(expected) = &test.expect.sql {
        let dialect = Dialect::of_source_type(plan.source_type);
        let code = |text: &str| dialect.map_or_else(|| text.to_owned(), |dialect| code_text(text, dialect));
        let (expected, actual) = (code(expected), code(&statement.sql));
        if expected != actual {
            differences.push(format!("sql: expected\n{expected}\nbut it is\n{actual}"));
        }
    }
    if let Some(expected) = &test.expect.params {
        let actual: Vec<Value> = statement.binds.iter().map(|bind| render::bind_json(&bind.value)).collect();
        let same = expected.len() == actual.len()
            && expected.iter().zip(&actual).all(|(expected, actual)| same_value(expected, actual, plan));
        if !same {
            differences.push(format!(
                "params: expected {} but they are {}",
                Value::from(expected.clone()),
                Value::from(actual)
            ));
        }
    }
    Ok(())
}

/// Compares two lists without regard to their order: every expected item must match one of the others.
fn compare_sets(
    what: &str,
    expected: &[BTreeMap<String, Value>],
    actual: &[Map<String, Value>],
    plan: &Plan,
) -> Vec<String> {
    let mut left: Vec<&Map<String, Value>> = actual.iter().collect();
    let mut missing = Vec::new();
    for item in expected {
        match left.iter().position(|candidate| matches(item, candidate, plan)) {
            Some(place) => _ = left.remove(place),
            None => missing.push(item),
        }
    }
    let mut differences = Vec::new();
    for item in missing {
        let mut line = format!("no {what} {}", json(item));
        if let Some(nearest) = left.iter().max_by_key(|candidate| likeness(item, candidate, plan)) {
            let _ = write!(line, "\nnearest is  {}", json(nearest));
        }
        differences.push(line);
    }
    differences.extend(left.into_iter().map(|item| format!("one {what} too many: {}", json(item))));
    differences
}

fn json(item: &impl serde::Serialize) -> String {
    serde_json::to_string(item).unwrap_or_default()
}

fn matches(expected: &BTreeMap<String, Value>, actual: &Map<String, Value>, plan: &Plan) -> bool {
    expected.iter().all(|(name, value)| same_member(name, value, actual, plan))
}

fn likeness(expected: &BTreeMap<String, Value>, actual: &Map<String, Value>, plan: &Plan) -> usize {
    expected.iter().filter(|(name, value)| same_member(name, value, actual, plan)).count()
}

fn same_member(name: &str, expected: &Value, actual: &Map<String, Value>, plan: &Plan) -> bool {
    let found = actual.get(name).unwrap_or(&Value::Null);
    match (name, expected, found) {
        // A reason is prose: a part of it is enough.
        ("reason", Value::String(part), Value::String(reason)) => reason.contains(part.as_str()),
        ("attributes", Value::Object(expected), Value::Object(found)) => {
            expected.iter().all(|(name, value)| same_value(value, found.get(name).unwrap_or(&Value::Null), plan))
        }
        _ => same_value(expected, found, plan),
    }
}

/// Texts are equal as texts, as instants, or as numbers.
fn same_value(expected: &Value, actual: &Value, plan: &Plan) -> bool {
    if expected == actual {
        return true;
    }
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let (Some(expected), Some(actual)) = (text(expected), text(actual)) else { return false };
    if let (Ok(one), Ok(other)) = (expected.parse::<f64>(), actual.parse::<f64>()) {
        return one == other;
    }
    let instant = |text: &str| engine_core::plan::parse_start(text, &plan.zone);
    match (instant(&expected), instant(&actual)) {
        (Some(one), Some(other)) => one == other,
        _ => expected == actual,
    }
}
