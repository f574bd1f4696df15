//! For people: a line, a frame of the source, the path and what to do.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Counts, FileFindings, count, without_secrets};
use crate::diagnostic::{Diagnostic, Severity};
use crate::text::Text;

/// Findings that are shown of one file: whoever has more begins with the first. The other forms have them all.
pub const SHOWN_MAX: usize = 200;
/// Lines around a place that its frame may show.
const FRAME_LINES: usize = 3;

/// All findings, one after the other, and a line that counts them. The caller decides on colours.
pub fn render(files: &[FileFindings], colours: bool) -> String {
    let mut out = String::new();
    for file in files {
        let readable = without_secrets(file);
        for finding in file.findings.iter().take(SHOWN_MAX) {
            let (text, source) = match &finding.companion {
                Some(companion) => (&**companion, companion.text.as_str()),
                None => (&*file.text, readable.as_str()),
            };
            one(&mut out, finding, text, source, colours);
        }
        if let Some(more) = file.findings.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            let _ = writeln!(out, "{}: {more} more; `-o json` has them all\n", file.text.name);
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
        let (first_line, frame) = frame(text, finding);
        let within = |span: &Range<usize>| {
            let span = text.clamp(span);
            span.start - frame.start..span.end - frame.start
        };
        let mut snippet = Snippet::source(&source[frame.clone()])
            .line_start(first_line)
            .annotation(AnnotationKind::Primary.span(within(&finding.span)));
        for label in &finding.labels {
            let annotation = AnnotationKind::Context.span(within(&label.span)).label(label.message.as_str());
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

/// The lines around the places of a finding, and the number of the first: who draws the frame looks at all it is given.
fn frame(text: &Text, finding: &Diagnostic) -> (usize, Range<usize>) {
    let spans = || std::iter::once(&finding.span).chain(finding.labels.iter().map(|label| &label.span));
    let line = |offset: usize| text.line_column(offset).line;
    let first = spans().map(|span| line(span.start)).min().unwrap_or(1).saturating_sub(FRAME_LINES).max(1);
    let last = spans().map(|span| line(span.end.max(span.start))).max().unwrap_or(1) + FRAME_LINES;
    (first, text.line_start(first)..text.line_start(last + 1))
}

fn tint(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "\u{1b}[1;31m",
        Severity::Warning => "\u{1b}[1;33m",
        Severity::Note => "\u{1b}[1;36m",
    }
}
