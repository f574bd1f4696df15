//! A secret that is found again in whatever form it is written.

use std::path::Path;

/// The part of the secret that no escape changes: JSON, percent and HTML encodings leave it as it is.
const STEM: &str = "canary4e1c77";
/// The secret. A header can carry it, and every form of writing escapes some of it.
pub const SECRET: &str = "canary4e1c77\"\\/+%& <=~";

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64, padded.
pub fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let digits = (0..4).map(|place| ALPHABET[(bits >> (18 - 6 * place) & 63) as usize]);
        text.extend(digits.take(chunk.len() + 1).map(char::from));
        text.extend(std::iter::repeat_n('=', 3 - chunk.len()));
    }
    text
}

/// Percent-encoding of everything but letters and digits.
pub fn percent(text: &str) -> String {
    let encoded = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}

/// As a string of JSON, without its quotes.
pub fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// As text of HTML.
pub fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// What the secret cannot be written without: the part that escapes leave, and that part in Base64, wherever in three
/// bytes it begins, and in hexadecimal digits.
pub fn forms() -> Vec<String> {
    let mut forms = vec![STEM.to_owned()];
    for before in 0..3 {
        let bytes = [&vec![0; before], STEM.as_bytes()].concat();
        let (from, to) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        let text = base64(&bytes)[from..to].to_owned();
        forms.extend([text.replace('+', "-").replace('/', "_"), text]);
    }
    let hex = |case: fn(u8) -> String| STEM.bytes().map(case).collect::<String>();
    forms.extend([hex(|byte| format!("{byte:02x}")), hex(|byte| format!("{byte:02X}"))]);
    forms
}

/// The form in which the secret is in these bytes.
pub fn found_in(bytes: &[u8]) -> Option<String> {
    forms().into_iter().find(|form| bytes.windows(form.len()).any(|window| window == form.as_bytes()))
}

/// Panics where the secret is in a file below a folder. Returns how many files were searched.
#[track_caller]
pub fn assert_clean_below(folder: &Path) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files += assert_clean_below(&path);
            continue;
        }
        files += 1;
        let found = found_in(&std::fs::read(&path).expect("the file is readable"));
        assert!(found.is_none(), "the secret is in {}, as {found:?}", path.display());
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_found_in_every_form() {
        assert_eq!(base64(b"edge:x"), "ZWRnZTp4");
        assert_eq!(base64(b"ab"), "YWI=");
        for before in ["", "a", "ab", "edge:"] {
            let text = format!("{before}{SECRET}");
            let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
            for form in [text.clone(), base64(text.as_bytes()), percent(&text), json(&json(&text)), html(&text), hex] {
                assert!(found_in(form.as_bytes()).is_some(), "{form}");
            }
        }
        assert_eq!(found_in(b"another secret"), None);
    }
}
