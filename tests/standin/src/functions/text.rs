//! Functions over text.

use crate::convert::hex;
use crate::errors::{Fallible, error};
use crate::{Product, Value};

/// Text of a value, as far as it has one.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Int(whole) => whole.to_string(),
        Value::Float(float) => float.to_string(),
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// `LIKE`: `%`, `_`, in SQL Server also `[a-z]` and `[^a-z]`, there without regard to case.
pub(crate) fn like(value: &Value, pattern: &Value, escape: &Value, product: Product) -> Option<bool> {
    if *value == Value::Null || *pattern == Value::Null {
        return None;
    }
    let fold = |text: String| if product == Product::SqlServer { text.to_lowercase() } else { text };
    let value = fold(shown(value)).chars().collect::<Vec<_>>();
    let pattern = fold(shown(pattern)).chars().collect::<Vec<_>>();
    Some(matches(&value, &pattern, shown(escape).chars().next(), product))
}

fn matches(value: &[char], pattern: &[char], escape: Option<char>, product: Product) -> bool {
    match pattern {
        [] => value.is_empty() || product == Product::SqlServer && value.iter().all(|letter| *letter == ' '),
        [mark, literal, rest @ ..] if Some(*mark) == escape => {
            value.first() == Some(literal) && matches(&value[1..], rest, escape, product)
        }
        ['%', rest @ ..] => (0..=value.len()).any(|skipped| matches(&value[skipped..], rest, escape, product)),
        ['_', rest @ ..] => !value.is_empty() && matches(&value[1..], rest, escape, product),
        ['[', rest @ ..] if product == Product::SqlServer => {
            let Some(end) = rest.iter().position(|letter| *letter == ']') else { return false };
            let Some(letter) = value.first() else { return false };
            in_set(*letter, &rest[..end]) && matches(&value[1..], &rest[end + 1..], escape, product)
        }
        [literal, rest @ ..] => value.first() == Some(literal) && matches(&value[1..], rest, escape, product),
    }
}

fn in_set(letter: char, set: &[char]) -> bool {
    let (negated, mut set) = match set {
        ['^', rest @ ..] => (true, rest),
        set => (false, set),
    };
    let mut found = false;
    while let Some(first) = set.first() {
        let last = if set.len() > 2 && set[1] == '-' { set[2] } else { *first };
        found |= (*first..=last).contains(&letter);
        set = &set[if set.len() > 2 && set[1] == '-' { 3 } else { 1 }..];
    }
    found != negated
}

/// A function over text by its name; `None` where there is none.
pub(crate) fn call(name: &str, values: &[Value], product: Product) -> Fallible<Option<Value>> {
    let text = |at: usize| values.get(at).map(shown).unwrap_or_default();
    let whole = |at: usize| values.get(at).and_then(crate::number::float).map(|float| float as i64);
    let letters = || text(0).chars().collect::<Vec<_>>();
    let made = match (name, values.len()) {
        ("UPPER", 1) => text(0).to_uppercase(),
        ("LOWER", 1) => text(0).to_lowercase(),
        ("INITCAP", 1) => {
            let mut start = true;
            let cased = |letter: char| {
                let first = start;
                start = !letter.is_alphanumeric();
                if first { letter.to_uppercase().to_string() } else { letter.to_lowercase().to_string() }
            };
            text(0).chars().map(cased).collect()
        }
        ("LTRIM" | "RTRIM" | "TRIM", 1 | 2) => {
            let set = if values.len() == 2 { text(1) } else { " ".to_owned() };
            let unwanted = |letter: char| set.contains(letter);
            let whole = text(0);
            let left = if name == "RTRIM" { whole.as_str() } else { whole.trim_start_matches(unwanted) };
            if name == "LTRIM" { left } else { left.trim_end_matches(unwanted) }.to_owned()
        }
        ("REVERSE", 1) => text(0).chars().rev().collect(),
        ("REPLACE", 2 | 3) => {
            let (find, put) = (text(1), text(2));
            if find.is_empty() { text(0) } else { text(0).replace(&find, &put) }
        }
        ("TRANSLATE", 3) => {
            let (from, to) = (text(1).chars().collect::<Vec<_>>(), text(2).chars().collect::<Vec<_>>());
            let exchanged = |letter: char| match from.iter().position(|known| *known == letter) {
                Some(at) => to.get(at).copied(),
                None => Some(letter),
            };
            text(0).chars().filter_map(exchanged).collect()
        }
        ("LEFT", 2) => letters().into_iter().take(whole(1).unwrap_or(0).max(0) as usize).collect(),
        ("RIGHT", 2) => {
            let letters = letters();
            let skipped = letters.len().saturating_sub(whole(1).unwrap_or(0).max(0) as usize);
            letters[skipped..].iter().collect()
        }
        ("SUBSTRING", 3) if matches!(values[0], Value::Bytes(_)) => {
            let Value::Bytes(bytes) = &values[0] else { return Ok(None) };
            return Ok(Some(Value::Bytes(cut(bytes, whole(1).unwrap_or(1), whole(2)).to_vec())));
        }
        ("SUBSTRING", 3) => cut(&letters(), whole(1).unwrap_or(1), whole(2)).iter().collect(),
        ("SUBSTR", 2 | 3) => {
            let letters = letters();
            let from = match whole(1).unwrap_or(1) {
                0 => 1,
                back if back < 0 => letters.len() as i64 + back + 1,
                from => from,
            };
            if from < 1 { String::new() } else { cut(&letters, from, whole(2)).iter().collect() }
        }
        ("STUFF", 4) => {
            let letters = letters();
            let start = whole(1).unwrap_or(0);
            if start < 1 || start as usize > letters.len() {
                return Ok(Some(Value::Null));
            }
            let start = start as usize - 1;
            let end = (start + whole(2).unwrap_or(0).max(0) as usize).min(letters.len());
            letters[..start].iter().collect::<String>() + &text(3) + &letters[end..].iter().collect::<String>()
        }
        ("REPLICATE", 3) => {
            let count = whole(1).unwrap_or(0);
            if count < 0 {
                return Ok(Some(Value::Null));
            }
            let most = whole(2).filter(|most| *most >= 0).map_or(usize::MAX, |most| most as usize);
            let unit = text(0);
            let count = (count as usize).min(most / unit.len().max(1) + 1);
            unit.repeat(count).chars().take(most).collect()
        }
        ("SPACE", 1) => " ".repeat(whole(0).unwrap_or(0).clamp(0, 8000) as usize),
        ("LPAD" | "RPAD", 2 | 3) => {
            let width = whole(1).unwrap_or(0).clamp(0, 32_767) as usize;
            let fill = if values.len() == 3 { text(2) } else { " ".to_owned() };
            let letters = letters();
            let missing = width.saturating_sub(letters.len());
            let padding = fill.chars().cycle().take(missing).collect::<String>();
            let kept = letters.into_iter().take(width).collect::<String>();
            if name == "LPAD" { padding + &kept } else { kept + &padding }
        }
        ("CHAR", 1) | ("NCHAR", 1) => match u32::try_from(whole(0).unwrap_or(-1)).ok().and_then(char::from_u32) {
            Some(letter) => letter.to_string(),
            None => return Ok(Some(Value::Null)),
        },
        ("RAWTOHEX", 1) => match &values[0] {
            Value::Bytes(bytes) => hex(bytes).to_uppercase(),
            other => hex(shown(other).as_bytes()).to_uppercase(),
        },
        ("RAW_TEXT", 1) => text(0),
        ("CONCAT_WS", 2..) => {
            let parts = values[1..].iter().filter(|value| **value != Value::Null).map(shown).collect::<Vec<_>>();
            parts.join(&text(0))
        }
        ("STR", 1..=3) => {
            let (width, digits) = (whole(1).unwrap_or(10).max(0) as usize, whole(2).unwrap_or(0).max(0) as usize);
            let float = crate::number::float(&values[0]).unwrap_or(0.0);
            let shown = format!("{float:.digits$}");
            if shown.len() > width { "*".repeat(width) } else { format!("{shown:>width$}") }
        }
        _ => return counted(name, values, product),
    };
    Ok(Some(Value::Text(made)))
}

/// Functions over text whose value is a number.
fn counted(name: &str, values: &[Value], product: Product) -> Fallible<Option<Value>> {
    let text = |at: usize| values.get(at).map(shown).unwrap_or_default();
    let whole = |at: usize| values.get(at).and_then(crate::number::float).map(|float| float as i64);
    let count = match (name, values.len()) {
        ("LEN", 1) => text(0).trim_end_matches(' ').chars().count(),
        ("DATALENGTH" | "LENGTH" | "LENGTHB", 2) => bytes_of(name, &text(0), &values[1]),
        ("CHARINDEX", 2 | 3) => {
            let (find, within) = (text(0).to_lowercase(), text(1).to_lowercase());
            let skipped = whole(2).unwrap_or(1).max(1) as usize - 1;
            let rest = within.chars().skip(skipped).collect::<String>();
            rest.find(&find).map_or(0, |at| rest[..at].chars().count() + 1 + skipped)
        }
        ("INSTR", 3..=5) => {
            let (within, find) = (text(1), text(2));
            let skipped = whole(3).unwrap_or(1).max(1) as usize - 1;
            let rest = within.chars().skip(skipped).collect::<String>();
            let nth = whole(4).unwrap_or(1).max(1) as usize - 1;
            rest.match_indices(&find).nth(nth).map_or(0, |(at, _)| rest[..at].chars().count() + 1 + skipped)
        }
        ("ASCII" | "UNICODE", _) => {
            let text = text(values.len() - 1);
            match text.chars().next() {
                Some(letter) => letter as usize,
                None => return Ok(Some(Value::Null)),
            }
        }
        ("ISNUMERIC", 1) => usize::from(crate::number::float(&values[0]).is_some()),
        ("ISDATE", 1) => {
            usize::from(crate::moment::read(&text(0), crate::moment::DATE_ORDER).is_some_and(|moment| moment.dated))
        }
        ("PATINDEX", 2) => {
            let letters = text(1).chars().collect::<Vec<_>>();
            let pattern = text(0);
            let starts = pattern.trim_start_matches('%');
            let found = (0..letters.len()).find(|at| {
                let rest = letters[*at..].iter().collect::<String>();
                like(&Value::Text(rest), &Value::Text(starts.to_owned()), &Value::Null, product) == Some(true)
            });
            found.map_or(0, |at| at + 1)
        }
        _ => return Ok(None),
    };
    Ok(Some(match product {
        Product::SqlServer => Value::Int(count as i64),
        Product::Oracle => Value::Text(count.to_string()),
    }))
}

fn bytes_of(name: &str, declared: &str, value: &Value) -> usize {
    match value {
        Value::Bytes(bytes) => bytes.len(),
        Value::Int(_) => match declared {
            "bigint" => 8,
            "smallint" => 2,
            "tinyint" | "bit" => 1,
            _ => 4,
        },
        Value::Float(_) => 8,
        other => {
            let text = shown(other);
            match name {
                "LENGTHB" => text.len(),
                "DATALENGTH" if declared.starts_with('n') => text.encode_utf16().count() * 2,
                _ => text.chars().count(),
            }
        }
    }
}

/// From a place counted from 1, which may lie before the start.
fn cut<T>(whole: &[T], from: i64, count: Option<i64>) -> &[T] {
    let end = count.map_or(whole.len() as i64, |count| (from - 1 + count.max(0)).clamp(0, whole.len() as i64)) as usize;
    let start = (from - 1).clamp(0, whole.len() as i64) as usize;
    &whole[start.min(end)..end]
}

/// `TO_NUMBER` with a format: what is no digit, sign or point does not count.
pub(crate) fn to_number(value: &Value) -> Fallible<Value> {
    let digits = shown(value)
        .chars()
        .filter(|letter| letter.is_ascii_digit() || matches!(letter, '.' | '-'))
        .collect::<String>();
    let read = crate::number::read(&digits).ok_or_else(|| error(1722, "invalid number"))?;
    Ok(Value::Text(crate::number::trimmed(&read)))
}
