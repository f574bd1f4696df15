//! Findings for people and for tools: one file per form.

pub mod github;
pub mod gitlab;
pub mod json;
pub mod sarif;
pub mod text;

use std::sync::Arc;

use crate::codes;
use crate::diagnostic::{Diagnostic, Severity};
use crate::text::{LineColumn, Text};

/// The findings of one file.
#[derive(Debug, Clone)]
pub struct FileFindings {
    /// The file.
    pub text: Arc<Text>,
    /// Its findings, those in files beside it included.
    pub findings: Vec<Diagnostic>,
}

/// How many findings there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Files looked at.
    pub files: usize,
    /// Errors.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
}

/// Counts the findings.
pub fn count(files: &[FileFindings]) -> Counts {
    let of = |severity| files.iter().flat_map(|file| &file.findings).filter(|found| found.severity == severity).count();
    Counts { files: files.len(), errors: of(Severity::Error), warnings: of(Severity::Warning) }
}

/// A finding with the text it lies in.
struct Located<'a> {
    finding: &'a Diagnostic,
    text: &'a Text,
    start: LineColumn,
    end: LineColumn,
}

fn located(files: &[FileFindings]) -> impl Iterator<Item = Located<'_>> {
    files.iter().flat_map(|file| {
        file.findings.iter().map(|finding| {
            let text: &Text = finding.companion.as_deref().unwrap_or(&file.text);
            let (start, end) = (text.line_column(finding.span.start), text.line_column(finding.span.end));
            Located { finding, text, start, end }
        })
    })
}

/// The text of a file with every secret that was found in it struck out, byte for byte.
pub(crate) fn without_secrets(file: &FileFindings) -> String {
    let mut text = file.text.text.clone();
    let shows_secret = |code| matches!(code, codes::LITERAL_SECRET | codes::SECRET_DEFAULT);
    for finding in file.findings.iter().filter(|finding| shows_secret(finding.code)) {
        let span = file.text.clamp(&finding.span);
        let struck: String = text[span.clone()].bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }).collect();
        text.replace_range(span, &struck);
    }
    text
}

#[cfg(test)]
mod tests;
