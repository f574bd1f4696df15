//! Foreign texts without the secrets that they may echo.
//!
//! Servers repeat what they were sent as it suits them: as it is, as JSON within JSON, in an address, on a web page. A
//! secret is therefore looked for character by character, each in any of the forms that writing it may have.

use secrecy::{ExposeSecret, SecretString};

/// What stands where a secret stood.
const STRUCK: &str = "***";
/// Characters of a secret that a text must end with to be taken for a secret that was cut.
const CUT_CHARS_MIN: usize = 6;
/// Digits of Base64 that are taken for a secret; fewer are found in any text.
const BASE64_CHARS_MIN: usize = 6;

/// Takes secrets out of foreign texts.
#[derive(Debug, Default, Clone)]
pub(crate) struct Redactor {
    secrets: Vec<SecretString>,
}

impl Redactor {
    /// Takes this one out too, also where it is encoded in Base64.
    pub(crate) fn add(&mut self, secret: &SecretString) {
        let text = secret.expose_secret();
        if text.is_empty() || self.secrets.iter().any(|known| known.expose_secret() == text) {
            return;
        }
        self.secrets.push(secret.clone());
        self.secrets.extend(base64(text.as_bytes()).into_iter().map(SecretString::from));
        // Longer ones first: the rest of a secret that holds another one would stay.
        self.secrets.sort_by_key(|known| std::cmp::Reverse(known.expose_secret().len()));
    }

    /// The text without secrets.
    pub(crate) fn strike(&self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        let mut at = 0;
        while let Some(next) = text[at..].chars().next() {
            let secrets = self.secrets.iter().map(ExposeSecret::expose_secret);
            match secrets.filter_map(|secret| end_of(text, at, secret)).next() {
                Some(end) => {
                    clean.push_str(STRUCK);
                    at = end;
                }
                None => {
                    clean.push(next);
                    at += next.len_utf8();
                }
            }
        }
        clean
    }
}

/// Where a secret ends that begins here, in whatever form.
fn end_of(text: &str, at: usize, secret: &str) -> Option<usize> {
    // One text may be read in several ways: `%25` is a percent sign, or three characters.
    let mut ends = vec![at];
    let mut before = None;
    for (matched, character) in secret.chars().enumerate() {
        // However often a backslash was escaped, it is a row of them.
        if character == '\\' && before == Some('\\') {
            continue;
        }
        before = Some(character);
        let is_cut = |end: &&usize| text[**end..].is_empty() || text[**end..].starts_with('…');
        if matched >= CUT_CHARS_MIN
            && let Some(end) = ends.iter().find(is_cut)
        {
            return Some(*end);
        }
        let mut next: Vec<usize> = ends.iter().flat_map(|end| after(text, *end, character)).collect();
        next.sort_unstable();
        next.dedup();
        if next.is_empty() {
            return None;
        }
        ends = next;
    }
    ends.last().copied()
}

/// Where a character ends that begins here, in each of the forms that it may have.
fn after(text: &str, at: usize, character: char) -> Vec<usize> {
    let rest = &text[at..];
    if character.is_ascii_alphanumeric() {
        return if rest.starts_with(character) { vec![at + 1] } else { Vec::new() };
    }
    let mut ends = Vec::new();
    let mut push = |length: usize| ends.push(at + length);
    let slashes = rest.len() - rest.trim_start_matches('\\').len();
    let escaped = &rest[slashes..];
    if character == '\\' {
        (1..=slashes).for_each(&mut push);
    } else if escaped.starts_with(character) {
        push(slashes + character.len_utf8());
    }
    let code = u32::from(character);
    let is_code = |digits: Option<&str>, radix| {
        digits.is_some_and(|digits| u32::from_str_radix(digits, radix).is_ok_and(|found| found == code))
    };
    // JSON
    if slashes > 0 && escaped.starts_with('u') && is_code(escaped.get(1..5), 16) {
        push(slashes + 5);
    }
    // An address
    let mut bytes = [0; 4];
    let encoded: String = character.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02x}")).collect();
    if rest.get(..encoded.len()).is_some_and(|found| found.eq_ignore_ascii_case(&encoded)) {
        push(encoded.len());
    }
    if character == ' ' && rest.starts_with('+') {
        push(1);
    }
    // A web page
    if let Some((name, _)) = rest.strip_prefix('&').and_then(|rest| rest.split_once(';')) {
        let is_named = match name {
            "amp" => character == '&',
            "lt" => character == '<',
            "gt" => character == '>',
            "quot" => character == '"',
            "apos" => character == '\'',
            _ => {
                is_code(name.strip_prefix("#x").or(name.strip_prefix("#X")), 16) || is_code(name.strip_prefix('#'), 10)
            }
        };
        if is_named {
            push(name.len() + 2);
        }
    }
    ends
}

/// What Base64 makes of a secret, in the midst of other bytes too: wherever in a group of three it begins, and without
/// the digits at its ends, to which its neighbours contribute.
fn base64(secret: &[u8]) -> Vec<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |bytes: &[u8], at: usize| bytes[at / 8] >> (7 - at % 8) & 1;
    let digits = |before: usize| {
        let bytes = [&vec![0; before], secret].concat();
        let digit = |at: usize| (at * 6..at * 6 + 6).fold(0, |digit, at| digit << 1 | usize::from(bit(&bytes, at)));
        let whole = (before * 8).div_ceil(6)..bytes.len() * 8 / 6;
        whole.map(|at| char::from(ALPHABET[digit(at)])).collect::<String>()
    };
    (0..3).map(digits).filter(|digits| digits.len() >= BASE64_CHARS_MIN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        let mut redactor = Redactor::default();
        secrets.iter().for_each(|secret| redactor.add(&(*secret).into()));
        redactor
    }

    #[test]
    fn a_secret_is_struck_out_in_every_form() {
        for (secret, text) in [
            ("hunter2", "hunter2"),
            ("a\"b", r#"a"b"#),
            ("a\"b", r#"a\"b"#),
            ("a\"b", r#"a\\\"b"#),
            ("a\"b", "a&quot;b"),
            ("a\"b", "a&#34;b"),
            ("a\"b", "a&#x22;b"),
            ("a\"b", r"a\u0022b"),
            ("a\"b", "a%22b"),
            ("a\\b", r"a\b"),
            ("a\\b", r"a\\b"),
            ("a\\\\b", r"a\\\\b"),
            ("a\\/b", r"a\\\/b"),
            ("a/b", r"a\/b"),
            ("a/b+c d", "a%2fb%2Bc+d"),
            ("a/b+c d", "a%2Fb%2bc%20d"),
            ("100%25", "100%25"),
            ("100%25", "100%2525"),
            ("&<'>", "&amp;&lt;&apos;&gt;"),
            ("schlüssel", "schlüssel"),
            ("schlüssel", "schl%C3%BCssel"),
            ("schlüssel", r"schl\u00fcssel"),
            ("secret", "c2VjcmV0"),
            ("a?b>cd", "YT9iPmNk"),
        ] {
            let clean = redactor(&[secret]).strike(&format!("wrong: {text}!"));
            assert_eq!(clean, "wrong: ***!", "{secret} in {text}");
        }
    }

    #[test]
    fn a_secret_is_struck_out_of_base64_wherever_it_begins() {
        // user:hunter2, ab:hunter2 and edge:hunter2
        for (encoded, left) in [
            ("dXNlcjpodW50ZXIy", "dXNlcjp***y"),
            ("YWI6aHVudGVyMg==", "YWI6***g=="),
            ("ZWRnZTpodW50ZXIy", "ZWRnZTp***"),
        ] {
            let clean = redactor(&["hunter2"]).strike(encoded);
            assert!(clean.contains("***") && clean.len() <= left.len() + 1, "{encoded}: {clean}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for (secret, text) in [
            ("hunter2", "hunter 2, Hunter2, hunte"),
            ("a/b", "a%3Fb, a&#47b, &;, %, %2, \\u00"),
            ("ab", "a, ü, 🔑a"),
            ("", "nothing"),
        ] {
            assert_eq!(redactor(&[secret]).strike(text), text);
        }
    }

    #[test]
    fn the_longest_secret_is_struck_out_first_and_a_cut_one_too() {
        assert_eq!(redactor(&["abc", "abcdef"]).strike("abcdef, abc"), "***, ***");
        assert_eq!(redactor(&["correct horse"]).strike("it was correct ho"), "it was ***");
        assert_eq!(redactor(&["correct horse"]).strike("it was correct ho…"), "it was ***…");
        assert_eq!(redactor(&["correct horse"]).strike("it was corr"), "it was corr");
    }
}
