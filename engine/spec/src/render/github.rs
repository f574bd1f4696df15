//! For GitHub Actions: one workflow command a finding.

use std::fmt::Write as _;

use super::{FileFindings, located};
use crate::diagnostic::Severity;

/// All findings as `::error file=…,line=…,col=…,title=…::message`.
pub fn render(files: &[FileFindings]) -> String {
    let mut out = String::new();
    for at in located(files) {
        let command = match at.finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let help = at.finding.help.as_ref().map(|help| format!("\n{help}")).unwrap_or_default();
        let _ = writeln!(
            out,
            "::{command} file={},line={},col={},endLine={},endColumn={},title={}::{}",
            property(&at.text.name),
            at.start.line,
            at.start.column,
            at.end.line,
            at.end.column,
            property(at.finding.code),
            data(&format!("{}{help}", at.finding.message)),
        );
    }
    out
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
