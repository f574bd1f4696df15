//! How results look on a terminal.

use std::io::{IsTerminal as _, Write as _};

use engine_core::report::{RunReport, counted};
pub use engine_spec::show::{harmless, harmless_lines};

/// Whether stderr takes colours.
pub fn colour_stderr() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::io::stderr().is_terminal()
}

/// Whether stdout takes colours.
pub fn colour_stdout() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::io::stdout().is_terminal()
}

/// Writes a result to stdout. A reader that went away ends the program quietly, as in any pipe.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Writes a result to stdout as JSON.
pub fn print_json(value: &impl serde::Serialize) {
    let json = serde_json::to_string_pretty(value).unwrap_or_default();
    print(&format!("{json}\n"));
}

/// A table without borders, columns aligned. Its cells are lines of which a terminal obeys nothing.
pub fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header.iter().map(|name| harmless(name)));
    for row in rows {
        table.add_row(row.iter().map(|cell| harmless(cell)));
    }
    let mut text: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    if text.is_empty() {
        text.push('\n');
    }
    text
}

/// A text, cut after so many characters.
pub fn clip(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A text from outside, fit to stand in HTML and SVG, in an attribute too.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in harmless(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // No XML may hold these two.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// What a run did, in one line.
pub fn summary(report: &RunReport) -> String {
    let mut parts = vec![format!("{} read", counted(report.rows, "row"))];
    if report.is_unchanged() {
        parts.push("nothing changed".to_owned());
    } else {
        parts.push(format!("{} new, {} changed, {} gone", report.new, report.changed, report.gone));
        parts.push(format!("{} to send, {} to delete", report.upserts, report.deletes));
    }
    if report.skipped > 0 {
        parts.push(format!("{} skipped", report.skipped));
    }
    if report.cancelled > 0 {
        parts.push(format!("{} cancelled", report.cancelled));
    }
    if report.rejected_total() > 0 {
        let reasons: Vec<String> = report.rejected.iter().map(|(code, count)| format!("{count} {code}")).collect();
        parts.push(format!("{} rejected ({})", report.rejected_total(), reasons.join(", ")));
    }
    if !report.reported.is_empty() {
        let codes: Vec<String> = report.reported.iter().map(|(code, count)| format!("{count} {code}")).collect();
        parts.push(format!("noticed: {}", codes.join(", ")));
    }
    parts.join("; ")
}
