//! Rows and values as people see them.

use std::fmt::Write as _;

use super::SHOWN_CHARS_MAX;
use crate::canonical::write_json_text;
use crate::text::{ValueError, civil_text, date_text, instant_text, number_of, text_of};
use crate::time::{Civil, RFC3339_BYTES_MAX, Rfc3339};
use crate::value::{Cell, Row};

/// A row as a JSON object, long values clipped: what the quarantine keeps.
pub fn row_json(row: Row<'_>) -> String {
    let mut out = String::from("{");
    let mut scratch = String::new();
    for (place, column) in row.columns().iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        write_json_text(&mut out, &column.name);
        out.push(':');
        show_cell(row.get(place), &mut out, &mut scratch);
    }
    out.push('}');
    out
}

/// A value as JSON, as [`row_json`] shows it.
pub fn cell_json(cell: Cell<'_>) -> String {
    let mut out = String::new();
    show_cell(cell, &mut out, &mut String::new());
    out
}

fn show_cell(cell: Cell<'_>, out: &mut String, scratch: &mut String) {
    match write_json_cell(cell, SHOWN_CHARS_MAX, out, scratch) {
        Ok(true) => {}
        Ok(false) => out.push_str("null"),
        Err(reason) => {
            let mut shown = String::new();
            let _ = write!(shown, "<{}>", clip(&reason));
            write_json_text(out, &shown);
        }
    }
}

/// Writes a cell as JSON, its text up to a number of characters; false, and nothing written, where it is null.
pub(super) fn write_json_cell(
    cell: Cell<'_>,
    chars_max: usize,
    out: &mut String,
    scratch: &mut String,
) -> Result<bool, String> {
    match cell {
        Cell::Null => return Ok(false),
        Cell::Bool(truth) => out.push_str(if truth { "true" } else { "false" }),
        Cell::Int(number) => out.push_str(itoa::Buffer::new().format(number)),
        Cell::Float(_) | Cell::Decimal(_) => match number_of(cell, scratch) {
            Ok(Some(digits)) => out.push_str(digits),
            Ok(None) => return Ok(false),
            Err(error) => return Err(error.message),
        },
        Cell::Json(json) if json.chars().nth(chars_max).is_none() && is_json_to_all(json) => out.push_str(json),
        Cell::Bad(reason) => return Err(reason.to_owned()),
        // Times have nothing to escape, and are shorter than any limit.
        Cell::Date(days) => write_time(date_text(days), out)?,
        Cell::Civil { secs, nanos } => write_time(civil_text(Civil { secs, nanos }), out)?,
        Cell::Instant { secs, nanos } => write_time(instant_text(secs, nanos), out)?,
        cell => match text_of(cell, scratch) {
            Ok(Some(text)) => write_json_text(out, clip_to(text, chars_max)),
            Ok(None) => return Ok(false),
            Err(error) => return Err(error.message),
        },
    }
    Ok(true)
}

fn write_time(text: Result<Rfc3339, ValueError>, out: &mut String) -> Result<(), String> {
    let text = text.map_err(|error| error.message)?;
    out.reserve(RFC3339_BYTES_MAX + 2);
    out.push('"');
    out.push_str(text.as_str());
    out.push('"');
    Ok(())
}

/// Whether a text is JSON to every reader: half a character in an escape, or a number beyond all floats, is none to many.
fn is_json_to_all(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok()
}

pub(super) fn clip(text: &str) -> &str {
    clip_to(text, SHOWN_CHARS_MAX)
}

pub(super) fn clip_to(text: &str, chars_max: usize) -> &str {
    if text.len() <= chars_max {
        return text;
    }
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_carried_as_it_is_where_every_reader_can_read_it() {
        let long = format!("[{}1]", "1,".repeat(SHOWN_CHARS_MAX));
        let clipped = serde_json::to_string(clip(&long)).expect("a text is JSON");
        for (json, expected) in [
            (r#"{"a": [1.50, "\u00e4"]}"#, r#"{"a": [1.50, "\u00e4"]}"#),
            (r#"{"a": "#, r#""{\"a\": ""#),
            (r#"["\ud800"]"#, r#""[\"\\ud800\"]""#),
            ("1e999", r#""1e999""#),
            (&long, &clipped),
        ] {
            assert_eq!(cell_json(Cell::Json(json)), expected);
        }
    }
}
