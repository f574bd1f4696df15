//! What is offered, as text: the tab stops as they are when nothing is typed at them.

use std::collections::HashMap;

use serde_json::Value;

use super::server::Cursor;

/// The text of a file after an item was chosen at the cursor. Further lines are indented as the cursor's line is, which
/// is what editors do.
pub fn insert(cursor: &Cursor, item: &Value) -> String {
    let edit = &item["textEdit"];
    let inserted = without_stops(edit["newText"].as_str().expect("an item has a text"));
    let mut lines: Vec<String> = cursor.text.split('\n').map(str::to_owned).collect();
    let line = &mut lines[cursor.line];
    let indent: String = line.chars().take_while(|char| *char == ' ').collect();
    let start = edit["range"]["start"]["character"].as_u64().expect("a place") as usize;
    let end = edit["range"]["end"]["character"].as_u64().expect("a place") as usize;
    line.replace_range(start..end, &inserted.replace('\n', &format!("\n{indent}")));
    lines.join("\n")
}

/// The text of a snippet: `${1:text}` and `${1|one,two|}` give their first value, which `$1` and `${1}` repeat.
pub fn without_stops(snippet: &str) -> String {
    let mut values: HashMap<String, String> = HashMap::new();
    let (mut out, mut rest) = (String::new(), snippet);
    while let Some(place) = rest.find(['$', '\\']) {
        out.push_str(&rest[..place]);
        let (sign, after) = rest[place..].split_at(1);
        if sign == "\\" {
            out.extend(after.chars().next());
            rest = after.get(1..).unwrap_or_default();
            continue;
        }
        let (in_braces, after) = after.strip_prefix('{').map_or((false, after), |after| (true, after));
        let digits = after.find(|char: char| !char.is_ascii_digit()).unwrap_or(after.len());
        let (number, after) = after.split_at(digits);
        let (value, after) = if in_braces { placeholder(after) } else { (String::new(), after) };
        if !value.is_empty() {
            values.insert(number.to_owned(), value);
        }
        out.push_str(values.get(number).map_or("", String::as_str));
        rest = after;
    }
    out + rest
}

/// The value of a placeholder whose number was read, and what follows it.
fn placeholder(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((place, char)) = chars.next() {
        match char {
            '}' => {
                let value = match value.strip_prefix('|') {
                    Some(choices) => choices.trim_end_matches('|').split(',').next().unwrap_or_default(),
                    None => value.strip_prefix(':').unwrap_or(&value),
                };
                return (value.to_owned(), &text[place + 1..]);
            }
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            char => value.push(char),
        }
    }
    panic!("a placeholder does not end: {text}");
}

#[test]
fn stops_give_their_first_value() {
    for (snippet, expected) in
        [("${1:a} ${2|b,c|} $1 ${2} ${3}x", "a b a b x"), ("{{ ${1:w} }} \\$ ${2:x|y\\}\\}}", "{{ w }} $ x|y}}")]
    {
        assert_eq!(without_stops(snippet), expected, "{snippet}");
    }
}
