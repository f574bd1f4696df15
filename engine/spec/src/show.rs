//! Text of others on a terminal: what it would obey is written as escapes.

use std::borrow::Cow;

/// A text of a database as one line that a terminal obeys nothing of: control characters, and marks that turn the
/// direction of writing, are written as escapes.
pub fn harmless(text: &str) -> Cow<'_, str> {
    escaped(text, is_obeyed)
}

/// A text of several lines of which a terminal obeys nothing but tabs and the ends of its lines.
pub fn harmless_lines(text: &str) -> Cow<'_, str> {
    let is_escaped = |c: char| is_obeyed(c) && c != '\t';
    if !text.contains(|c| is_escaped(c) && c != '\n') {
        return Cow::Borrowed(text);
    }
    let line = |line: &str| {
        let end = ["\r\n", "\n"].into_iter().find(|end| line.ends_with(end)).unwrap_or_default();
        escaped(&line[..line.len() - end.len()], is_escaped).into_owned() + end
    };
    text.split_inclusive('\n').map(line).collect::<String>().into()
}

/// Whether a terminal would do something else with a character than show it where it stands.
pub fn is_obeyed(char: char) -> bool {
    char.is_control() || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    text.chars()
        .fold(String::with_capacity(text.len()), |mut out, c| {
            match is_escaped(c) {
                true => out.extend(c.escape_default()),
                false => out.push(c),
            }
            out
        })
        .into()
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

    #[test]
    fn lines_stay_lines() {
        for (text, expected) in [
            ("a\n\tb\r\nc", "a\n\tb\r\nc"),
            ("a\rb\r\nc\r", "a\\rb\r\nc\\r"),
            ("a\u{1b}[2J\nb\u{202e}\n", "a\\u{1b}[2J\nb\\u{202e}\n"),
        ] {
            assert_eq!(harmless_lines(text), expected);
        }
    }
}
