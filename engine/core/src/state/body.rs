//! The JSON of a record, as it waits and as it is sent.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The whole record as a JSON object, `op` included: a piece of a text that it may share with others. What waits is made
/// and read in bulk, and a text for each record would cost more than its bytes.
#[derive(Clone)]
pub struct Body {
    text: Arc<str>,
    start: u32,
    len: u32,
}

impl Body {
    /// The piece of a text from byte `start` on, `len` bytes long. Both ends lie between characters, and below 4 GiB.
    pub fn piece(text: &Arc<str>, start: usize, len: usize) -> Self {
        assert!(text.get(start..start + len).is_some(), "a piece of a text begins and ends between characters");
        let fits = |place| u32::try_from(place).expect("a text that records share is far shorter");
        Self { text: Arc::clone(text), start: fits(start), len: fits(len) }
    }
}

impl Deref for Body {
    type Target = str;

    fn deref(&self) -> &str {
        let start = self.start as usize;
        &self.text[start..start + self.len as usize]
    }
}

impl From<&str> for Body {
    fn from(body: &str) -> Self {
        Self::piece(&body.into(), 0, body.len())
    }
}

impl From<String> for Body {
    fn from(body: String) -> Self {
        body.as_str().into()
    }
}

/// Two are the same where they say the same.
impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Body {}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_what_it_says() {
        let text: Arc<str> = r#"{"a":"ä"}{}"#.into();
        let (first, second) = (Body::piece(&text, 0, 10), Body::piece(&text, 10, 2));
        assert_eq!((&*first, &*second), (r#"{"a":"ä"}"#, "{}"));
        assert_eq!(second, "{}".into());
        assert_ne!(first, second);
        assert_eq!(format!("{second} {second:?}"), r#"{} "{}""#);
    }

    #[test]
    #[should_panic(expected = "between characters")]
    fn a_piece_does_not_part_a_character() {
        Body::piece(&"ä".into(), 0, 1);
    }
}
