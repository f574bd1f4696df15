//! The file of tests that a recording becomes a test of.

use std::path::{Path, PathBuf};

use engine_core::plan::Plan;
use engine_spec::load_tests;
use engine_spec::model::Deliver;
use engine_spec::yaml::emit::flow;
use serde_json::{Map, Value};

use crate::commands::test::{sets, update};
use crate::exit::{CommandError, Kind};
use crate::fixture::Outcomes;
use crate::validate::Beside;
use crate::yaml_edit;

/// What the first line of a file says to editors.
const SCHEMA: &str = "# yaml-language-server: $schema=";

/// The tests beside a spec, as they are.
pub(super) struct Tests {
    path: PathBuf,
    name: String,
    /// Where there is no such file yet, what it begins with.
    known: Result<sets::TestSet, String>,
}

impl Tests {
    pub(super) fn open(spec: &Path, path: &Path, name: &str) -> Result<Self, CommandError> {
        let known = if path.is_file() { Ok(sets::read(path)?) } else { Err(head(spec)) };
        Ok(Self { path: path.to_owned(), name: name.to_owned(), known })
    }

    /// Whether there is a test of that name.
    pub(super) fn has_test(&self) -> bool {
        self.place().is_some()
    }

    fn place(&self) -> Option<usize> {
        self.known.as_ref().ok()?.tests.iter().position(|test| test.name == self.name)
    }

    /// The file with the test of a recording in it: what came out is what it expects.
    pub(super) fn with(&self, plan: &Plan, recording: &str, outcomes: &Outcomes) -> Result<String, CommandError> {
        let lines = lines(plan, &self.name, recording, outcomes);
        let text = match &self.known {
            Err(head) => {
                let first = format!("  - {}\n", lines[0]);
                let rest: String = lines[1..].iter().map(|line| format!("    {line}\n")).collect();
                format!("{head}tests:\n{first}{rest}")
            }
            Ok(set) => {
                let edit = yaml_edit::put_item(&set.file, "/tests", self.place(), &lines).ok_or_else(|| {
                    CommandError::new(Kind::Usage, format!("{}: `tests` is written in brackets", self.path.display()))
                        .hint("write each test as an item of its own line, beginning with `-`")
                })?;
                yaml_edit::apply(&set.file.text.text, vec![edit])
            }
        };
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let loaded = load_tests(&self.path.display().to_string(), text.as_bytes(), &Beside(folder));
        // The recording itself is not written yet.
        let wrong = loaded.diagnostics.iter().find(|finding| finding.code != engine_spec::codes::FILE_UNREADABLE);
        match wrong {
            None => Ok(text),
            Some(finding) => Err(CommandError::new(
                Kind::Run,
                format!("{} would not be valid with the test: {}", self.path.display(), finding.message),
            )
            .hint("record fewer rows with `--limit-rows`; nothing was written")),
        }
    }
}

fn head(spec: &Path) -> String {
    let first = std::fs::read_to_string(spec).ok().and_then(|text| text.lines().next().map(str::to_owned));
    let schema = first.filter(|line| line.starts_with(SCHEMA) && line.ends_with("pipeline.schema.json"));
    schema.map_or_else(String::new, |line| line.replace("pipeline.schema.json", "tests.schema.json") + "\n")
}

/// The lines of the test, without the indent of its item.
fn lines(plan: &Plan, name: &str, recording: &str, outcomes: &Outcomes) -> Vec<String> {
    let mut lines = vec![format!("name: {name}"), format!("rows: {{ file: {recording} }}"), "expect:".to_owned()];
    let (key, items) = match plan.deliver {
        Deliver::Runs => ("runs", &outcomes.runs),
        Deliver::Rows => ("rows", &outcomes.rows),
    };
    let rejected = update::rejected_names(plan);
    list(key, items, None, &mut lines);
    list("rejected", &outcomes.rejected, Some(&rejected), &mut lines);
    lines
}

fn list(key: &str, items: &[Map<String, Value>], names: Option<&[String]>, lines: &mut Vec<String>) {
    if items.is_empty() {
        lines.push(format!("  {key}: []"));
        return;
    }
    lines.push(format!("  {key}:"));
    lines.extend(items.iter().map(|item| format!("    - {}", flow(&update::written(item, names)))));
}
