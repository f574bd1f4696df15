//! The `transform` steps of a field: compiled once, then applied to text without allocating where nothing changes.

use std::borrow::Cow;

use engine_spec::model::Transform;
use regex::{Regex, RegexBuilder};

use crate::text::trim;

/// Widest text that `pad_left` makes, in characters.
pub const PAD_WIDTH_MAX: usize = 1024;
/// Bytes of a compiled regular expression; keeps a spec from filling the memory with one.
pub const REGEX_BYTES_MAX: usize = 1 << 20;

/// Steps that change a text, in order.
#[derive(Debug, Clone, Default)]
pub struct Transforms(Vec<Step>);

/// A step that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("transform step {number}: {message}")]
pub struct TransformError {
    /// Which step, counted from 1.
    pub number: usize,
    /// What is wrong with it, and what to do.
    pub message: String,
}

#[derive(Debug, Clone)]
enum Step {
    Cut(Cut),
    Change(Change),
}

/// A step that leaves a part of the text.
#[derive(Debug, Clone)]
enum Cut {
    Trim,
    StripLeading(Box<Chars>),
    Split { by: Box<str>, index: i64 },
    Extract(Regex),
}

/// A step that may write the text anew.
#[derive(Debug, Clone)]
enum Change {
    Upper,
    Lower,
    PadLeft { width: usize, with: char },
    Replace { regex: Regex, with: Box<str> },
}

impl Transforms {
    /// Compiles the steps; the first that cannot work is the error.
    pub fn compile(steps: &[Transform]) -> Result<Self, TransformError> {
        steps
            .iter()
            .enumerate()
            .map(|(index, step)| Step::compile(step).map_err(|message| TransformError { number: index + 1, message }))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether there is no step.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The changed text; `None` where a step found no value: a part that is missing, a pattern without a match.
    ///
    /// Steps that only shorten never allocate; an owned text is changed in place where that is possible.
    pub fn apply<'a>(&self, text: impl Into<Cow<'a, str>>) -> Option<Cow<'a, str>> {
        self.0.iter().try_fold(text.into(), |text, step| step.apply(text))
    }
}

impl Step {
    fn compile(step: &Transform) -> Result<Self, String> {
        Ok(match step {
            Transform::Trim => Self::Cut(Cut::Trim),
            Transform::Upper => Self::Change(Change::Upper),
            Transform::Lower => Self::Change(Change::Lower),
            Transform::StripLeading(chars) if chars.is_empty() => {
                return Err("`strip_leading` names no character: write `strip_leading: \"0\"`".to_owned());
            }
            Transform::StripLeading(chars) => Self::Cut(Cut::StripLeading(Box::new(Chars::of(chars)))),
            Transform::PadLeft { width, .. } if *width > PAD_WIDTH_MAX => {
                return Err(format!("`pad_left` to {width} characters; the limit is {PAD_WIDTH_MAX}"));
            }
            Transform::PadLeft { width, with } => Self::Change(Change::PadLeft { width: *width, with: *with }),
            Transform::Replace { pattern, with } => {
                let regex = compile_regex(pattern)?;
                check_groups(&regex, with)?;
                Self::Change(Change::Replace { regex, with: with.as_str().into() })
            }
            Transform::Split { by, .. } if by.is_empty() => {
                return Err("`split` has no separator: write `split: { by: \"-\", index: 0 }`".to_owned());
            }
            Transform::Split { by, index } => Self::Cut(Cut::Split { by: by.as_str().into(), index: *index }),
            Transform::Extract(pattern) => {
                let regex = compile_regex(pattern)?;
                let groups = regex.captures_len() - 1;
                if groups != 1 {
                    return Err(format!(
                        "`extract` needs one group and `{pattern}` has {groups}: write `(…)` around what to take, \
                         and `(?:…)` for the rest"
                    ));
                }
                Self::Cut(Cut::Extract(regex))
            }
        })
    }

    #[inline]
    fn apply<'a>(&self, text: Cow<'a, str>) -> Option<Cow<'a, str>> {
        Some(match (self, text) {
            (Self::Cut(cut), Cow::Borrowed(text)) => Cow::Borrowed(cut.apply(text)?),
            (Self::Cut(cut), Cow::Owned(mut text)) => {
                let part = cut.apply(&text)?;
                let start = part.as_ptr() as usize - text.as_ptr() as usize;
                let end = start + part.len();
                text.truncate(end);
                text.drain(..start);
                text.into()
            }
            (Self::Change(change), text) => change.apply(text),
        })
    }
}

impl Cut {
    fn apply<'a>(&self, text: &'a str) -> Option<&'a str> {
        match self {
            Self::Trim => Some(trim(text)),
            Self::StripLeading(chars) => {
                let last = text.char_indices().next_back().map_or(0, |(place, _)| place);
                let start = text[..last].find(|char| !chars.contains(char)).unwrap_or(last);
                Some(&text[start..])
            }
            Self::Split { by, index } => match usize::try_from(*index) {
                Ok(index) => text.split(by.as_ref()).nth(index),
                Err(_) => text.rsplit(by.as_ref()).nth(usize::try_from(-(index + 1)).ok()?),
            },
            Self::Extract(regex) => Some(regex.captures(text)?.get(1)?.as_str()),
        }
    }
}

impl Change {
    fn apply<'a>(&self, mut text: Cow<'a, str>) -> Cow<'a, str> {
        match self {
            Self::Upper => change_case(text, u8::is_ascii_lowercase, str::make_ascii_uppercase, str::to_uppercase),
            Self::Lower => change_case(text, u8::is_ascii_uppercase, str::make_ascii_lowercase, str::to_lowercase),
            Self::PadLeft { width, with } => {
                let missing = width.saturating_sub(text.chars().count());
                if missing > 0 && !text.is_empty() {
                    let mut padded = String::with_capacity(missing * with.len_utf8() + text.len());
                    padded.extend(std::iter::repeat_n(*with, missing));
                    padded.push_str(&text);
                    text = padded.into();
                }
                text
            }
            Self::Replace { regex, with } => match regex.replace_all(&text, with.as_ref()) {
                Cow::Owned(changed) => changed.into(),
                Cow::Borrowed(_) => text,
            },
        }
    }
}

/// A set of characters. Those of ASCII, which are asked for again and again, are looked up.
#[derive(Debug, Clone)]
struct Chars {
    ascii: [bool; 128],
    all: Box<str>,
}

impl Chars {
    fn of(chars: &str) -> Self {
        let mut ascii = [false; 128];
        chars.bytes().filter(u8::is_ascii).for_each(|byte| ascii[usize::from(byte)] = true);
        Self { ascii, all: chars.into() }
    }

    fn contains(&self, char: char) -> bool {
        match self.ascii.get(char as usize) {
            Some(is_there) => *is_there,
            None => self.all.contains(char),
        }
    }
}

fn change_case<'a>(
    mut text: Cow<'a, str>,
    changes: fn(&u8) -> bool,
    ascii: fn(&mut str),
    unicode: fn(&str) -> String,
) -> Cow<'a, str> {
    if !text.is_ascii() {
        return unicode(&text).into();
    }
    if text.bytes().any(|byte| changes(&byte)) {
        ascii(text.to_mut());
    }
    text
}

fn compile_regex(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| format!("`{pattern}` is no regular expression: {error}"))
}

/// Refuses a replacement that names a group which the pattern lacks: it would silently be replaced by nothing.
fn check_groups(regex: &Regex, with: &str) -> Result<(), String> {
    let mut rest = with;
    while let Some(place) = rest.find('$') {
        rest = &rest[place + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
            continue;
        }
        let name = match rest.strip_prefix('{') {
            Some(braced) => braced.split_once('}').map_or("", |(name, _)| name),
            None => {
                let len = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
                &rest[..len]
            }
        };
        let known = match name.parse::<usize>() {
            Ok(number) => number < regex.captures_len(),
            Err(_) => name.is_empty() || regex.capture_names().flatten().any(|group| group == name),
        };
        if !known {
            return Err(format!(
                "`{with}` names the group `${name}`, which `{regex}` lacks: write `${{1}}` where letters or digits \
                 follow a number, and `$$` for a dollar sign"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use engine_spec::model::Transform::{Extract, Lower, PadLeft, Replace, Split, StripLeading, Trim, Upper};
    use proptest::prelude::*;

    use super::*;

    fn strip(chars: &str) -> Transform {
        StripLeading(chars.to_owned())
    }

    fn replace(pattern: &str, with: &str) -> Transform {
        Replace { pattern: pattern.to_owned(), with: with.to_owned() }
    }

    fn split(by: &str, index: i64) -> Transform {
        Split { by: by.to_owned(), index }
    }

    fn extract(pattern: &str) -> Transform {
        Extract(pattern.to_owned())
    }

    fn pad(width: usize, with: char) -> Transform {
        PadLeft { width, with }
    }

    /// A borrowed and an owned text go different ways and end at the same place.
    #[track_caller]
    fn check(steps: &[Transform], text: &str, expected: Option<&str>) {
        let transforms = Transforms::compile(steps).expect("steps");
        assert_eq!(transforms.apply(text).as_deref(), expected, "{steps:?} of {text:?}");
        assert_eq!(transforms.apply(text.to_owned()).as_deref(), expected, "{steps:?} of owned {text:?}");
    }

    #[test]
    fn steps_change_text() {
        check(&[], " a ", Some(" a "));
        check(&[Trim], "\u{feff} M1\u{a0}\u{202f}", Some("M1"));
        check(&[Trim], "  ", Some(""));
        check(&[Upper], "ab1", Some("AB1"));
        check(&[Upper], "größe", Some("GRÖSSE"));
        check(&[Lower], "AB1", Some("ab1"));
        check(&[Lower], "ÄB", Some("äb"));
        check(&[strip("0")], "0047110010", Some("47110010"));
        check(&[strip("0")], "0000", Some("0"));
        check(&[strip("0")], "0", Some("0"));
        check(&[strip("0")], "", Some(""));
        check(&[strip("0 -")], "- 0-7", Some("7"));
        check(&[strip("ä")], "ääx", Some("x"));
        check(&[strip("ä")], "ää", Some("ä"));
        check(&[pad(6, '0')], "60000", Some("060000"));
        check(&[pad(3, 'ä')], "ß", Some("ääß"));
        check(&[pad(3, '0')], "1234", Some("1234"));
        check(&[pad(3, '0')], "", Some(""));
        check(&[replace("[-/]", "")], "25-10/02", Some("251002"));
        check(&[replace("^(..)(.*)$", "$2-$1")], "ABCD", Some("CD-AB"));
        check(&[replace("a", "$$")], "banana", Some("b$n$n$"));
        check(&[replace("(?<code>[0-9]+)x", "${code}y")], "12x", Some("12y"));
        check(&[replace("z", "y")], "abc", Some("abc"));
        check(&[split("-", 0)], "25-1002-A", Some("25"));
        check(&[split("-", 2)], "25-1002-A", Some("A"));
        check(&[split("-", 3)], "25-1002-A", None);
        check(&[split("-", -1)], "25-1002-A", Some("A"));
        check(&[split("-", -3)], "25-1002-A", Some("25"));
        check(&[split("-", -4)], "25-1002-A", None);
        check(&[split("-", i64::MIN)], "25-1002-A", None);
        check(&[split("-", 1)], "25-", Some(""));
        check(&[split("::", 1)], "a::b", Some("b"));
        check(&[extract("([0-9]+)")], "order 4711/10", Some("4711"));
        check(&[extract("A(b)?")], "A", None);
        check(&[extract("x(.)")], "abc", None);
    }

    #[test]
    fn steps_follow_one_another() {
        check(&[Trim, strip("0"), pad(4, '0'), Upper], " 00a7 ", Some("00A7"));
        check(&[Upper, split("-", 1), Trim], "a- b -c", Some("B"));
        check(&[split("-", 1), Upper], "a", None);
        check(&[pad(8, '0'), extract("(..)$")], "123", Some("23"));
    }

    #[test]
    fn a_text_that_stays_is_not_copied() {
        #[track_caller]
        fn check(steps: &[Transform], text: &str) {
            let transforms = Transforms::compile(steps).expect("steps");
            assert!(matches!(transforms.apply(text), Some(Cow::Borrowed(_))), "{steps:?}");
        }
        check(&[Trim, strip("0"), split("-", 0), extract("(.*)")], " 0047-1 ");
        check(&[Upper, pad(2, '0'), replace("z", "")], "AB");
        check(&[Lower], "ab");
    }

    #[test]
    fn a_step_that_cannot_work_says_why() {
        #[track_caller]
        fn check(step: Transform, word: &str) {
            let error = Transforms::compile(&[Trim, step]).expect_err("no steps");
            assert_eq!(error.number, 2);
            assert!(error.message.contains(word), "{error}");
        }
        check(strip(""), "no character");
        check(pad(PAD_WIDTH_MAX + 1, '0'), "limit");
        check(split("", 0), "separator");
        check(extract("[0-9]+"), "one group");
        check(extract("(a)(b)"), "has 2");
        check(extract("("), "regular expression");
        check(replace("[", ""), "regular expression");
        check(replace("\\w{1000}{1000}", ""), "regular expression");
        check(replace("(a)", "$2"), "`$2`");
        check(replace("(a)", "$1x"), "`$1x`");
        check(replace("a", "${name}"), "`$name`");
    }

    proptest! {
        #[test]
        fn stripping_keeps_a_character(text in "[0a]{1,8}") {
            let stripped = Transforms::compile(&[strip("0")]).expect("steps").apply(text.as_str()).expect("a text");
            prop_assert!(!stripped.is_empty() && text.ends_with(stripped.as_ref()));
            prop_assert!(stripped.len() == 1 || !stripped.starts_with('0'));
        }

        #[test]
        fn parts_counted_from_both_ends_are_the_same(text in "[a-]{0,8}", index in 0i64..9) {
            let parts = text.split('-').count() as i64;
            prop_assume!(index < parts);
            let take = |index| Transforms::compile(&[split("-", index)]).expect("steps").apply(text.as_str());
            prop_assert_eq!(take(index), take(index - parts));
        }
    }
}
