//! JSON whose numbers keep their digits: what a floating-point number would round stays as it was written.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::OnceLock;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Lists and objects within each other; a deeper answer is refused before it costs the stack.
const NESTING_MAX: usize = 100;

/// Values of one document: read, they take many times the memory of their text.
pub(super) const VALUES_MAX: usize = 2_000_000;

/// Whether a text has more values than a document may have. Nothing of it is read for that, nor is it known to be JSON.
pub(super) fn has_too_many_values(text: &str) -> bool {
    let opens = |byte: u8| matches!(byte, b',' | b'[' | b'{');
    if text.bytes().filter(|byte| opens(*byte)).count() <= VALUES_MAX {
        // Even if none of them were within a text.
        return false;
    }
    let (mut count, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            byte if !quoted && opens(byte) => count += 1,
            _ => {}
        }
    }
    count > VALUES_MAX
}

/// A value of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    /// The number as it was written.
    Number(&'a str),
    Text(Cow<'a, str>),
    /// A text that is none: half a character stands in it as an escape.
    Broken(&'a str),
    /// The items, and the text of the list.
    List(Vec<Node<'a>>, &'a str),
    /// The members in their order, and the text of the object.
    Object(Members<'a>, &'a str),
}

/// Members of an object from which on they are looked up by an index.
const INDEXED_MEMBERS: usize = 16;

/// The members of an object in their order, and where each name stands last.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Members<'a> {
    all: Vec<(Cow<'a, str>, Node<'a>)>,
    /// `None` where there are few.
    index: Option<Box<Index>>,
}

/// Where the last member of a name is, as it is written, and in lower case.
#[derive(Debug, Clone, PartialEq)]
struct Index {
    places: HashMap<String, usize>,
    lower_places: HashMap<String, usize>,
}

impl<'a> Members<'a> {
    fn new(all: Vec<(Cow<'a, str>, Node<'a>)>) -> Self {
        let index = (all.len() >= INDEXED_MEMBERS).then(|| {
            let names = || all.iter().enumerate().map(|(place, (name, _))| (name, place));
            Box::new(Index {
                places: names().map(|(name, place)| (name.to_string(), place)).collect(),
                lower_places: names().map(|(name, place)| (name.to_ascii_lowercase(), place)).collect(),
            })
        });
        Self { all, index }
    }

    /// The last member of a name; upper and lower case are alike where nothing matches exactly.
    fn find(&self, name: &str) -> Option<&Node<'a>> {
        self.exact(name).or_else(|| match &self.index {
            Some(index) => Some(&self.all[*index.lower_places.get(&name.to_ascii_lowercase())?].1),
            None => self.all.iter().rfind(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, node)| node),
        })
    }

    /// The last member of exactly this name.
    fn exact(&self, name: &str) -> Option<&Node<'a>> {
        match &self.index {
            Some(index) => Some(&self.all[*index.places.get(name)?].1),
            None => self.all.iter().rfind(|(known, _)| known == name).map(|(_, node)| node),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(Cow<'a, str>, Node<'a>)> {
        self.all.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}

impl<'a> Node<'a> {
    /// Reads a document.
    pub(super) fn parse(text: &'a str) -> Result<Self, String> {
        let text = text.trim_matches([' ', '\t', '\n', '\r']);
        if !text.starts_with(['{', '[']) {
            // Within lists and objects, whoever reads them sees that the rest is well-formed.
            serde_json::from_str::<&RawValue>(text).map_err(|error| error.to_string())?;
        }
        Self::read(text, 0)
    }

    fn read(text: &'a str, depth: usize) -> Result<Self, String> {
        if depth > NESTING_MAX {
            return Err(format!("lists and objects are nested deeper than {NESTING_MAX} levels"));
        }
        let wrong = |error: serde_json::Error| error.to_string();
        Ok(match text.as_bytes().first() {
            Some(b'{') => {
                let mut reader = serde_json::Deserializer::from_str(text);
                let members = reader.deserialize_map(MembersVisitor).map_err(wrong)?;
                reader.end().map_err(wrong)?;
                let read = |(name, raw): (Cow<'a, str>, &'a RawValue)| Ok((name, Self::read(raw.get(), depth + 1)?));
                Self::Object(Members::new(members.into_iter().map(read).collect::<Result<_, String>>()?), text)
            }
            Some(b'[') => {
                let items: Vec<&'a RawValue> = serde_json::from_str(text).map_err(wrong)?;
                let read = items.into_iter().map(|raw| Self::read(raw.get(), depth + 1));
                Self::List(read.collect::<Result<_, String>>()?, text)
            }
            // That it is a text was seen already: what is wrong with it is in its escapes.
            Some(b'"') if !text.contains('\\') => Self::Text(Cow::Borrowed(text.trim_matches('"'))),
            Some(b'"') => serde_json::from_str(text).map_or(Self::Broken(text), |text| Self::Text(Cow::Owned(text))),
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
        members.find(name)
    }

    /// The member of exactly this name.
    pub(super) fn exact_member(&self, name: &str) -> Option<&Self> {
        let Self::Object(members, _) = self else { return None };
        members.exact(name)
    }

    /// The same document as other programs read it, for paths and conditions. A number that no float holds, and a text
    /// that is none, is null there.
    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Null | Self::Broken(_) => Value::Null,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Number(digits) => serde_json::from_str(digits).unwrap_or_default(),
            Self::Text(text) => Value::String(text.to_string()),
            Self::List(items, _) => Value::Array(items.iter().map(Self::to_value).collect()),
            Self::Object(members, _) => {
                let members = members.iter().map(|(name, node)| (name.to_string(), node.to_value()));
                Value::Object(members.collect::<Map<String, Value>>())
            }
        }
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
            Self::Text(_) | Self::Broken(_) => "a text",
            Self::List(..) => "a list",
            Self::Object(..) => "an object",
        }
    }
}

/// The members of an object in their order, not read yet.
struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry_seed(Name, PhantomData)? {
            members.push(member);
        }
        Ok(members)
    }
}

/// The name of a member, borrowed where nothing in it is escaped.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// A page, read once, and as what JSONPath works on where a path needs it.
#[derive(Debug)]
pub(super) struct Document<'a> {
    pub(super) root: Node<'a>,
    value: OnceLock<Value>,
}

impl<'a> Document<'a> {
    /// Reads a page; the error says where it breaks off or what is wrong with it.
    pub(super) fn parse(text: &'a str) -> Result<Self, String> {
        Ok(Self { root: Node::parse(text)?, value: OnceLock::new() })
    }

    /// A page of something else than JSON.
    pub(super) fn nothing() -> Self {
        Self { root: Node::Null, value: OnceLock::new() }
    }

    /// The page for JSONPath.
    pub(super) fn value(&self) -> &Value {
        self.value.get_or_init(|| self.root.to_value())
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
    fn members_are_found_alike_however_many_there_are() {
        for more in [0, INDEXED_MEMBERS] {
            let rest: String = (0..more).map(|at| format!(r#""x{at}": 0, "#)).collect();
            let text = format!(r#"{{{rest}"a": 1, "B": 2, "a": 3, "b": 4, "B": 5}}"#);
            let node = Node::parse(&text).unwrap();
            for (name, expected) in
                [("a", Some("3")), ("A", Some("3")), ("b", Some("4")), ("B", Some("5")), ("c", None)]
            {
                assert_eq!(node.member(name), expected.map(Node::Number).as_ref(), "{name} among {more}");
            }
        }
    }

    #[test]
    fn the_document_of_paths_is_that_of_other_programs() {
        let text = r#"{"a": [1, 1.5, -2e3, true, null, "x"], "b": {"c": 1, "c": 2}, "d": 12345678901234567890}"#;
        assert_eq!(Node::parse(text).unwrap().to_value(), serde_json::from_str::<Value>(text).unwrap());
        let node = Node::parse(r#"[1e999, "\ud800", 7]"#).unwrap();
        assert_eq!(node.to_value(), serde_json::json!([null, null, 7]));
        assert_eq!(node.item(0), Some(&Node::Number("1e999")));
        assert_eq!(node.item(1), Some(&Node::Broken(r#""\ud800""#)));
    }

    #[test]
    fn values_are_counted_outside_of_texts() {
        let list = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        assert!(!has_too_many_values(&list(VALUES_MAX)));
        assert!(has_too_many_values(&list(VALUES_MAX + 1)));
        assert!(has_too_many_values(&"[".repeat(VALUES_MAX + 1)));
        assert!(!has_too_many_values(&format!(r#"["\"{}"]"#, ",".repeat(2 * VALUES_MAX))));
    }

    #[test]
    fn what_is_no_whole_document_is_told() {
        for text in
            ["", "[1", "{\"a\": 1", "[1] 2", "{} {}", "[1,]", "{\"a\": 01}", "nul", "tr", "\"a", "\"\u{1}\"", "{a: 1}"]
        {
            assert!(Node::parse(text).is_err(), "{text}");
        }
        for text in [" [1] \n", "\t{\"a\": 1}\r\n", " null ", "\"\"", "-0.5"] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(Node::parse(text).unwrap().to_value(), value, "{text}");
        }
    }

    #[test]
    fn texts_and_names_are_read_with_their_escapes() {
        let text = r#"{"a\u0062\n": "plain", "b": "\"quoted\"", "c": "", "d": "ä\\"}"#;
        let node = Node::parse(text).unwrap();
        let text_of = |name: &str| match node.exact_member(name) {
            Some(Node::Text(text)) => text.to_string(),
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(["ab\n", "b", "c", "d"].map(text_of), ["plain", "\"quoted\"", "", "ä\\"]);
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
