//! The tests of a spec, wherever they are written: in the spec, and in the file beside it.

use std::path::{Path, PathBuf};

use engine_spec::load_tests;
use engine_spec::model::SpecTest;
use engine_spec::render::FileFindings;
use engine_spec::yaml::SpecFile;

use crate::exit::{CommandError, Kind};
use crate::project::{FoundSpec, tell};
use crate::validate::{Beside, read_limited, sidecar};

/// The tests of one file.
pub struct TestSet {
    /// The file.
    pub path: PathBuf,
    /// Its text and the places in it.
    pub file: SpecFile,
    /// The tests, in order.
    pub tests: Vec<SpecTest>,
}

impl TestSet {
    /// Folder of the file, for recordings.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The line of a test, counted from 1.
    pub fn line(&self, index: usize) -> usize {
        let span = self.file.value_span(&format!("/tests/{index}"));
        self.file.text.line_column(span.start).line
    }
}

/// The tests of a spec. Findings of the file beside it are told on stderr.
pub fn of(spec: &FoundSpec) -> Result<Vec<TestSet>, CommandError> {
    let mut sets = Vec::new();
    if let Some(typed) = &spec.loaded.spec {
        sets.push(TestSet { path: spec.path.clone(), file: spec.loaded.file.clone(), tests: typed.tests.clone() });
    }
    let beside = sidecar::tests_of(&spec.path);
    if beside.is_file() {
        sets.push(read(&beside)?);
    }
    Ok(sets)
}

/// The tests of a file beside a spec.
pub fn read(path: &Path) -> Result<TestSet, CommandError> {
    let bytes = read_limited(path).map_err(|error| {
        CommandError::new(Kind::Environment, format!("file {} cannot be read: {error}", path.display()))
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let loaded = load_tests(&path.display().to_string(), &bytes, &Beside(folder));
    match loaded.tests.as_ref().filter(|_| !loaded.has_errors()) {
        Some(tests) => Ok(TestSet { path: path.to_owned(), tests: tests.tests.clone(), file: loaded.file }),
        None => {
            tell([FileFindings { text: loaded.file.text, findings: loaded.diagnostics }]);
            Err(CommandError::said(Kind::Usage))
        }
    }
}
