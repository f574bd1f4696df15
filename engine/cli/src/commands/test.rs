//! `engine test`: the examples of a spec, executed offline by the run's own code.
//!
//! A test runs the real pipeline over the rows it gives, against a state store in memory and a clock that stands still.

pub mod compare;
mod coverage;
pub mod execute;
mod github;
mod junit;
pub mod sets;
mod show;
pub mod update;

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use self::compare::Difference;
use self::coverage::Coverage;
use self::execute::ClockFrom;
use self::show::Tints;
use crate::args::{TestArgs, TestOutput};
use crate::exit::{CommandError, Kind};
use crate::project::{FoundSpec, Project};
use crate::validate::sidecar;

/// Result of one test.
#[derive(Debug, Serialize)]
pub struct TestResult {
    /// The file of the spec.
    spec: String,
    pipeline: String,
    name: String,
    passed: bool,
    /// What differs, in plain words.
    differences: Vec<String>,
    /// What differs, for programs.
    details: Vec<Difference>,
    /// The file of the test.
    file: String,
    /// Its line there.
    line: usize,
    /// The clock of the test, and where it came from.
    now: Option<Timestamp>,
    clock: Option<ClockFrom>,
    #[serde(skip)]
    depends_on_clock: bool,
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    time: Duration,
}

impl TestResult {
    /// Whether it failed before there was anything to compare.
    fn cannot_run(&self) -> bool {
        self.details.iter().any(|difference| matches!(difference, Difference::Failed { .. }))
    }
}

fn as_seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// Executes the tests of specs.
pub fn run(args: &TestArgs, config: Option<&Path>) -> Result<(), CommandError> {
    let project = Project::open(&with_specs(&args.paths), config)?;
    let (mut results, mut coverage, mut changes) = (Vec::new(), Vec::new(), Vec::new());
    let covers = args.coverage || args.coverage_min.is_some();
    for spec in &project.specs {
        let mut covered = Coverage::of(&project, spec)?;
        for set in sets::of(spec)? {
            let mut failed = Vec::new();
            for (index, test) in set.tests.iter().enumerate() {
                if args.filter.as_ref().is_some_and(|filter| !test.name.contains(filter.as_str())) {
                    continue;
                }
                let (result, ran) = one(&project, spec, &set, index, args.now)?;
                if let Some(ran) = ran.as_ref().filter(|_| covers) {
                    covered.add(ran);
                }
                if !result.passed {
                    failed.push((index, ran));
                }
                results.push(result);
            }
            if args.update {
                let plan = project.plan(spec, true)?;
                let change = update::change(&plan, &set, &failed).map_err(|why| {
                    CommandError::new(Kind::Run, format!("{}: {why}", set.path.display()))
                        .hint("put the expectation right by hand")
                })?;
                changes.extend(change);
            }
        }
        coverage.push(covered);
    }
    let outcome = if args.update {
        update::finish(&changes, args.yes, &results)
    } else {
        print(args, &results, &coverage);
        judge(args, &results, &coverage)
    };
    if project.broken { Err(CommandError::said(Kind::Usage)) } else { outcome }
}

fn judge(args: &TestArgs, results: &[TestResult], coverage: &[Coverage]) -> Result<(), CommandError> {
    let least = args.coverage_min.map(|least| least.0);
    let thin = coverage.iter().filter(|spec| least.is_some_and(|least| spec.percent() < least));
    let thin: Vec<String> = thin.map(|spec| spec.words(least)).collect();
    match (thin.is_empty(), args.output) {
        // These forms have no place for it.
        (false, TestOutput::Junit | TestOutput::Github) => Err(CommandError::new(Kind::Run, thin.join("\n"))),
        (false, TestOutput::Text | TestOutput::Json) => Err(CommandError::said(Kind::Run)),
        (true, _) if results.iter().all(|result| result.passed) => Ok(()),
        (true, _) => Err(CommandError::said(Kind::Run)),
    }
}

/// The paths as given, with the spec in the place of its tests.
fn with_specs(paths: &[String]) -> Vec<String> {
    let spec = |path: &String| {
        let file = Path::new(path);
        let spec = if file.is_file() { sidecar::spec_of(file) } else { None };
        spec.map_or_else(|| path.clone(), |spec| spec.display().to_string())
    };
    paths.iter().map(spec).collect()
}

fn print(args: &TestArgs, results: &[TestResult], coverage: &[Coverage]) {
    let covers = args.coverage || args.coverage_min.is_some();
    match args.output {
        TestOutput::Json if covers => {
            crate::show::print_json(&serde_json::json!({"tests": results, "coverage": coverage}));
        }
        TestOutput::Json => crate::show::print_json(&results),
        TestOutput::Junit => crate::show::print(&junit::render(results)),
        TestOutput::Github => crate::show::print(&github::render(results)),
        TestOutput::Text => {
            let tints = if crate::show::colour_stdout() { Tints::COLOURS } else { Tints::NONE };
            let mut text = show::text(results, tints);
            if covers {
                text += &coverage::text(coverage, args.coverage_min.map(|least| least.0));
            }
            crate::show::print(&text);
        }
    }
}

/// Executes one test; what it made of its rows is wanted for more than its result.
fn one(
    project: &Project,
    spec: &FoundSpec,
    set: &sets::TestSet,
    index: usize,
    now: Option<Timestamp>,
) -> Result<(TestResult, Option<execute::Ran>), CommandError> {
    let test = &set.tests[index];
    let mut plan = project.plan(spec, true)?;
    let began = Instant::now();
    let (details, ran) = match execute::execute(&mut plan, test, set.folder(), now) {
        Ok(ran) => (compare::differences(&plan, &test.expect, &ran), Some(ran)),
        Err(reason) => (vec![Difference::Failed { reason }], None),
    };
    let result = TestResult {
        spec: spec.path.display().to_string(),
        pipeline: plan.id.clone(),
        name: test.name.clone(),
        passed: details.is_empty(),
        differences: details.iter().map(|difference| show::describe(difference, Tints::NONE)).collect(),
        details,
        file: set.path.display().to_string(),
        line: set.line(index),
        now: ran.as_ref().map(|ran| ran.now),
        clock: ran.as_ref().map(|ran| ran.clock),
        depends_on_clock: ran.as_ref().is_some_and(|ran| !ran.source.is_empty() || ran.statement.is_some()),
        time: began.elapsed(),
    };
    Ok((result, ran))
}
