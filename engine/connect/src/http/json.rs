//! JSON whose numbers keep their digits: what a floating-point number would round stays as it was written.

use std::fmt;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// Lists and objects within each other; a deeper answer is refused before it costs the stack.
const NESTING_MAX: usize = 100;

/// A value of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    /// The number as it was written.
    Number(&'a str),
    Text(String),
    /// The items, and the text of the list.
    List(Vec<Node<'a>>, &'a str),
    /// The members in their order, and the text of the object.
    Object(Vec<(String, Node<'a>)>, &'a str),
}

impl<'a> Node<'a> {
    /// Reads a document.
    pub(super) fn parse(text: &'a str) -> Result<Self, String> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Self::read(raw.get(), 0)
    }

    fn read(text: &'a str, depth: usize) -> Result<Self, String> {
        if depth > NESTING_MAX {
            return Err(format!("lists and objects are nested deeper than {NESTING_MAX} levels"));
        }
        let wrong = |error: serde_json::Error| error.to_string();
        Ok(match text.as_bytes().first() {
            Some(b'{') => {
                let members = serde_json::Deserializer::from_str(text).deserialize_map(Members).map_err(wrong)?;
                let read = |(name, raw): (String, &'a RawValue)| Ok((name, Self::read(raw.get(), depth + 1)?));
                Self::Object(members.into_iter().map(read).collect::<Result<_, String>>()?, text)
            }
            Some(b'[') => {
                let items: Vec<&'a RawValue> = serde_json::from_str(text).map_err(wrong)?;
                let read = items.into_iter().map(|raw| Self::read(raw.get(), depth + 1));
                Self::List(read.collect::<Result<_, String>>()?, text)
            }
            Some(b'"') => Self::Text(serde_json::from_str(text).map_err(wrong)?),
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'n') => Self::Null,
            _ => Self::Number(text),
        })
    }

    /// The member of an object; of several with one name the last, as other readers have it. A name in other letters
    /// counts where there is none in these.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        let Self::Object(members, _) = self else { return None };
        let exact = members.iter().rfind(|(known, _)| known == name);
        let found = exact.or_else(|| members.iter().rfind(|(known, _)| known.eq_ignore_ascii_case(name)));
        found.map(|(_, node)| node)
    }

    /// The value that a column name stands for: a member of that name, or a member of a member, `a.b`.
    pub(super) fn find(&self, name: &str) -> Option<&Self> {
        self.member(name)
            .or_else(|| name.match_indices('.').find_map(|(dot, _)| self.member(&name[..dot])?.find(&name[dot + 1..])))
    }

    /// The item of a list.
    pub(super) fn item(&self, index: usize) -> Option<&Self> {
        let Self::List(items, _) = self else { return None };
        items.get(index)
    }

    /// What it is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a truth value",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(..) => "a list",
            Self::Object(..) => "an object",
        }
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

/// A number without an exponent; `None` where that would take more digits than any quantity has.
pub(super) fn plain_digits(number: &str) -> Option<String> {
    /// Zeros that are written for an exponent.
    const ZEROS_MAX: usize = 60;
    let Some((digits, exponent)) = number.split_once(['e', 'E']) else { return Some(number.to_owned()) };
    let exponent: i64 = exponent.parse().ok()?;
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    // Place of the point, counted from the start of all digits.
    let point = i64::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let zeros = if point < 0 { point.unsigned_abs() } else { point.unsigned_abs().saturating_sub(all.len() as u64) };
    let zeros = usize::try_from(zeros).ok().filter(|zeros| *zeros <= ZEROS_MAX)?;
    let text = match usize::try_from(point) {
        Err(_) | Ok(0) => format!("0.{}{all}", "0".repeat(zeros)),
        Ok(point) if point >= all.len() => format!("{all}{}", "0".repeat(zeros)),
        Ok(point) => format!("{}.{}", &all[..point], &all[point..]),
    };
    let trimmed = text.trim_start_matches('0');
    let lead = if trimmed.is_empty() || trimmed.starts_with('.') { "0" } else { "" };
    Some(format!("{sign}{lead}{trimmed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        let node = Node::parse(r#"{"a": 12345678901234567890.10, "b": [1, -0.5e3], "a.b": 7, "c": {"d.e": {"f": 8}}}"#);
        let node = node.unwrap();
        assert_eq!(node.member("a"), Some(&Node::Number("12345678901234567890.10")));
        assert_eq!(node.find("b").and_then(|list| list.item(1)), Some(&Node::Number("-0.5e3")));
        for (name, expected) in [("a.b", Some("7")), ("c.d.e.f", Some("8")), ("C.D.E.f", Some("8")), ("c.x", None)] {
            assert_eq!(node.find(name), expected.map(Node::Number).as_ref(), "{name}");
        }
    }

    #[test]
    fn of_two_members_with_one_name_the_last_counts() {
        let node = Node::parse(r#"{"a": 1, "A": 3, "a": 2}"#).unwrap();
        assert_eq!(node.member("a"), Some(&Node::Number("2")));
        assert_eq!(node.member("A"), Some(&Node::Number("3")));
    }

    #[test]
    fn exponents_are_written_out() {
        for (number, expected) in [
            ("1.50", Some("1.50")),
            ("1e3", Some("1000")),
            ("1.5e3", Some("1500")),
            ("-1.25E+1", Some("-12.5")),
            ("12.5e-1", Some("1.25")),
            ("12.5e-2", Some("0.125")),
            ("12.5e-4", Some("0.00125")),
            ("0e5", Some("000000").map(|_| "0")),
            ("0.001e3", Some("1")),
            ("1e400", None),
            ("1e-400", None),
            ("1e99999999999999999999", None),
        ] {
            assert_eq!(plain_digits(number).as_deref(), expected, "{number}");
        }
    }

    #[test]
    fn a_deep_document_is_refused() {
        let deep = format!("{}{}", "[".repeat(NESTING_MAX + 2), "]".repeat(NESTING_MAX + 2));
        assert!(Node::parse(&deep).is_err_and(|error| error.contains("nested") || error.contains("recursion")));
    }
}
