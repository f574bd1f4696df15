//! Values as YAML that every reader understands in the same way.

use serde_json::Value;

use crate::show::is_obeyed;

/// Longest comment, in characters; what is longer is cut.
const COMMENT_CHARS: usize = 110;
/// Digits that a number without quotes keeps with every reader.
const NUMBER_DIGITS: usize = 15;

/// A text as a scalar, in quotes where another reader could take it for something else. It may stand in `[]` and `{}`.
pub fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// A value as YAML on one line.
pub fn flow(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number_text(&number.to_string()),
        Value::String(string) if is_moment(string) => string.clone(),
        Value::String(string) => scalar(string),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(name, member)| format!("{}: {}", scalar(name), flow(member))).collect();
            format!("{{ {} }}", members.join(", "))
        }
    }
}

/// Words of another's as one line of a comment.
pub fn comment(words: &str) -> String {
    let line: String = words.chars().map(|char| if is_unfit(char) { ' ' } else { char }).take(COMMENT_CHARS).collect();
    if words.chars().nth(COMMENT_CHARS).is_some() { format!("{}…", line.trim_end()) } else { line }
}

/// Whether a character would end a line, change what a terminal shows, or is no text to every reader.
pub fn is_unfit(char: char) -> bool {
    is_obeyed(char) || matches!(char, '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{fdd0}'..='\u{fdef}')
}

/// A whole number or a fraction that no reader rounds; anything else in quotes.
fn number_text(digits: &str) -> String {
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    let is_simple = unsigned.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let count = unsigned.bytes().filter(u8::is_ascii_digit).count();
    if is_simple && count <= NUMBER_DIGITS { digits.to_owned() } else { quoted(digits) }
}

fn is_plain(text: &str) -> bool {
    const READ_DIFFERENTLY: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.' | '/');
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.chars().all(fits)
        && !READ_DIFFERENTLY.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A date, or a date and a time, which is text to every reader that matters here and is seldom written in quotes.
fn is_moment(text: &str) -> bool {
    let mask: String = text.chars().map(|char| if char.is_ascii_digit() { '0' } else { char }).collect();
    ["0000-00-00", "0000-00-00T00:00:00", "0000-00-00T00:00:00Z"].contains(&mask.as_str())
}

/// A text in double quotes, on one line.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            char if is_unfit(char) => {
                let code = u32::from(char);
                let escape = if code <= 0xffff { format!("\\u{code:04x}") } else { format!("\\U{code:08x}") };
                out.push_str(&escape);
            }
            char => out.push(char),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::text::Text;
    use crate::yaml::SpecFile;

    fn read(yaml: &str) -> Value {
        let (file, findings) = SpecFile::parse(Arc::new(Text::new("a.yaml", yaml)));
        assert!(findings.is_empty(), "{yaml}: {findings:?}");
        file.value
    }

    #[test]
    fn quotes_stand_only_where_they_are_needed() {
        for (plain, expected) in [
            ("M1", "M1"),
            ("no", "\"no\""),
            ("0047", "\"0047\""),
            ("M1  ", "\"M1  \""),
            ("M 1", "\"M 1\""),
            ("12:30", "\"12:30\""),
            ("a\tb", "\"a\\tb\""),
            ("a\u{85}\u{2028}", "\"a\\u0085\\u2028\""),
            ("a: b", "\"a: b\""),
            ("#", "\"#\""),
            ("Fräse", "\"Fräse\""),
            ("a\"b\\", "\"a\\\"b\\\\\""),
            ("", "\"\""),
        ] {
            assert_eq!(scalar(plain), expected);
            assert_eq!(read(&format!("[{expected}]"))[0], plain);
        }
        assert_eq!(flow(&json!("2025-03-29T22:00:00")), "2025-03-29T22:00:00");
        assert_eq!(flow(&json!({"a": [1, null, "x y"]})), "{ a: [1, null, \"x y\"] }");
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_again(key in ".*", text in "\\PC*", wild in any::<String>(), number in any::<i32>()) {
            let given = json!({ key: [text, wild, number] });
            prop_assert_eq!(read(&format!("root: {}\n", flow(&given))), json!({ "root": given }));
        }

        #[test]
        fn a_comment_stays_in_its_line(words in any::<String>()) {
            prop_assert_eq!(read(&format!("# {}\na: 1 # {}\n", comment(&words), comment(&words))), json!({"a": 1}));
        }
    }
}
