//! Which branches of a spec its tests exercise.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use engine_core::mapping::coverage::{Branches, Trace, branches};
use engine_core::plan::Plan;
use engine_core::time::Instant;
use engine_spec::diagnostic::path_of;
use serde::Serialize;

use super::execute::Ran;
use crate::exit::CommandError;
use crate::project::{FoundSpec, Project};

/// What the tests of one spec exercise.
#[derive(Debug, Serialize)]
pub struct Coverage {
    spec: String,
    pipeline: String,
    branches: Vec<Branch>,
    #[serde(skip)]
    plan: Plan,
}

/// One branch.
#[derive(Debug, Serialize)]
struct Branch {
    /// Its place in the spec: `fields.event.map.A`.
    path: String,
    /// Its line; none of a default that the spec does not write.
    line: Option<usize>,
    exercised: bool,
    #[serde(skip)]
    pointer: String,
}

impl Coverage {
    /// The branches of a spec; none is exercised yet.
    pub fn of(project: &Project, spec: &FoundSpec) -> Result<Self, CommandError> {
        let plan = project.plan(spec, true)?;
        let file = &spec.loaded.file;
        let all = spec.loaded.spec.as_ref().map(|typed| branches(typed, &plan)).unwrap_or_default();
        let mut branches: Vec<(usize, Branch)> = all
            .into_iter()
            .map(|pointer| {
                let written = file.place(&pointer).0 == pointer;
                // Defaults come last.
                let start = if written { file.key_span(&pointer).start } else { usize::MAX };
                let line = written.then(|| file.text.line_column(start).line);
                (start, Branch { path: path_of(&pointer), line, exercised: false, pointer })
            })
            .collect();
        branches.sort_by_key(|(start, _)| *start);
        let branches = branches.into_iter().map(|(_, branch)| branch).collect();
        Ok(Self { spec: spec.path.display().to_string(), pipeline: plan.id.clone(), branches, plan })
    }

    /// Takes in what a test made of its rows.
    pub fn add(&mut self, ran: &Ran) {
        let (Some((_, report)), Some(now)) = (&ran.outcomes, Instant::from_timestamp(ran.now)) else { return };
        // Columns that do not fit were told as the test's failure.
        let Ok(mut trace) = Trace::new(&self.plan, ran.source.columns()) else { return };
        ran.source.each_batch(|batch| trace.batch(batch, now));
        let codes: BTreeSet<&str> = report.rejected.keys().chain(report.reported.keys()).map(AsRef::as_ref).collect();
        let taken: Branches = trace.finish(codes.into_iter());
        for branch in &mut self.branches {
            branch.exercised |= taken.contains(&branch.pointer);
        }
    }

    /// The share of its branches that are exercised; all of none.
    pub fn percent(&self) -> f64 {
        if self.branches.is_empty() {
            return 100.0;
        }
        100.0 * self.exercised() as f64 / self.branches.len() as f64
    }

    /// How much of it is exercised, in words; with what is asked for, where that is more.
    pub fn words(&self, least: Option<f64>) -> String {
        let (exercised, all, percent) = (self.exercised(), self.branches.len(), self.percent());
        let thin = least.filter(|least| percent < *least);
        let thin = thin.map_or_else(String::new, |least| format!(", and {least}% are asked for"));
        format!("{}: {exercised} of {all} branches exercised ({:.0}%{thin})", self.pipeline, percent.floor())
    }

    fn exercised(&self) -> usize {
        self.branches.iter().filter(|branch| branch.exercised).count()
    }
}

/// For people: a line a spec, and one for each branch that no test exercised.
pub fn text(coverage: &[Coverage], least: Option<f64>) -> String {
    let mut out = String::new();
    for spec in coverage {
        let _ = writeln!(out, "\n{}", spec.words(least));
        for branch in spec.branches.iter().filter(|branch| !branch.exercised) {
            let place = branch.line.map_or_else(|| "by default".to_owned(), |line| format!("{}:{line}", spec.spec));
            let _ = writeln!(out, "  never  {} ({place})", branch.path);
        }
    }
    out
}
