//! How results look on a terminal.

use std::borrow::Cow;
use std::io::{IsTerminal as _, Write as _};

use engine_core::report::{RunReport, counted};

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

/// A table without borders, columns aligned.
pub fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header.iter().map(|name| (*name).to_owned()));
    for row in rows {
        table.add_row(row);
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

/// A text of a database as one line that a terminal obeys nothing of: control characters, and marks that turn the
/// direction of writing, are written as escapes.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let is_obeyed = |c: char| {
        c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    escaped(text, is_obeyed)
}

/// A text in which some characters are written as escapes.
pub fn escaped(text: &str, is_obeyed: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_obeyed) {
        return Cow::Borrowed(text);
    }
    text.chars()
        .fold(String::with_capacity(text.len()), |mut out, c| {
            match is_obeyed(c) {
                true => out.extend(c.escape_default()),
                false => out.push(c),
            }
            out
        })
        .into()
}

/// A number of things, in words: `1 table`, `2 tables`.
pub fn several(count: usize, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_of_a_text() {
        for (text, expected) in [
            ("Müller & Söhne", "Müller & Söhne"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("a\u{202e}b\u{9b}", "a\\u{202e}b\\u{9b}"),
        ] {
            assert_eq!(harmless(text), expected);
        }
    }
}
