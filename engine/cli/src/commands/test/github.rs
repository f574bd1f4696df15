//! Results for GitHub Actions: one workflow command for each test that failed.

use std::sync::Arc;

use engine_spec::render::FileFindings;
use engine_spec::text::Text;
use engine_spec::{Diagnostic, codes, render};

use super::TestResult;
use super::show::{Tints, describe};

/// All failures as annotations of their tests.
pub fn render(results: &[TestResult]) -> String {
    let failed: Vec<FileFindings> = results.iter().filter(|result| !result.passed).map(annotation).collect();
    render::github::render(&failed)
}

fn annotation(result: &TestResult) -> FileFindings {
    let words: Vec<String> = result.details.iter().map(|difference| describe(difference, Tints::NONE)).collect();
    let message = format!("{}: {}\n{}", result.pipeline, result.name, words.join("\n"));
    // A text with as many lines as are needed to say where the test is.
    let text = Text::new(&result.file, &"\n".repeat(result.line));
    let at = text.line_start(result.line);
    FileFindings { text: Arc::new(text), findings: vec![Diagnostic::new(codes::TEST_FAILED, at..at, message)] }
}
