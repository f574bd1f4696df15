//! For people: a line, a frame of the source, the path and what to do.

use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Counts, FileFindings, count, without_secrets};
use crate::diagnostic::{Diagnostic, Severity};
use crate::text::Text;

/// All findings, one after the other, and a line that counts them. The caller decides on colours.
pub fn render(files: &[FileFindings], colours: bool) -> String {
    let mut out = String::new();
    for file in files {
        let readable = without_secrets(file);
        for finding in &file.findings {
            let (text, source) = match &finding.companion {
                Some(companion) => (&**companion, companion.text.as_str()),
                None => (&*file.text, readable.as_str()),
            };
            one(&mut out, finding, text, source, colours);
        }
    }
    let Counts { files, errors, warnings } = count(files);
    let plural = |number: usize| if number == 1 { "" } else { "s" };
    let _ = writeln!(
        out,
        "{files} file{}: {errors} error{}, {warnings} warning{}",
        plural(files),
        plural(errors),
        plural(warnings)
    );
    out
}

fn one(out: &mut String, finding: &Diagnostic, text: &Text, source: &str, colours: bool) {
    let place = text.line_column(finding.span.start);
    let (bold, tint, reset) = if colours { ("\u{1b}[1m", tint(finding.severity), "\u{1b}[0m") } else { ("", "", "") };
    let _ = writeln!(
        out,
        "{bold}{}:{}:{}:{reset} {tint}{}[{}]{reset}{bold}: {}{reset}",
        text.name,
        place.line,
        place.column,
        finding.severity.as_str(),
        finding.code,
        finding.message
    );
    if !source.is_empty() {
        let level = match finding.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut snippet = Snippet::source(source).annotation(AnnotationKind::Primary.span(text.clamp(&finding.span)));
        for label in &finding.labels {
            let annotation = AnnotationKind::Context.span(text.clamp(&label.span)).label(label.message.as_str());
            snippet = snippet.annotation(annotation);
        }
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        let frame = renderer.render(&[Group::with_level(level).element(snippet)]);
        let _ = writeln!(out, "{}", frame.trim_end());
    }
    let path = finding.path();
    if !path.is_empty() {
        let _ = writeln!(out, "  at: {path}");
    }
    if let Some(help) = &finding.help {
        let _ = writeln!(out, "  help: {help}");
    }
    out.push('\n');
}

fn tint(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "\u{1b}[1;31m",
        Severity::Warning => "\u{1b}[1;33m",
        Severity::Note => "\u{1b}[1;36m",
    }
}
