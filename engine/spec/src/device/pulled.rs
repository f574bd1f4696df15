//! Where specs are pulled from, as text: an address, and behind `#` what it is pinned to.

use std::fmt;
use std::str::FromStr;

/// Hexadecimal digits of a SHA-256, and of an Ed25519 key.
const HASH_DIGITS: usize = 64;
/// Hexadecimal digits of a commit.
const COMMIT_DIGITS: usize = 40;

/// Where specs are pulled from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpecsFrom {
    /// A bundle at an `https` address, or an `http` one of loopback.
    Bundle {
        /// The address.
        url: String,
        /// SHA-256 of the bundle, in lower case, where it is pinned.
        sha256: Option<String>,
    },
    /// A git repository.
    Git {
        /// The repository, as git takes it: `file:///path` or `https://host/path`.
        remote: String,
        /// The branch or tag.
        reference: String,
        /// The folder of the specs in it; empty for all of it.
        path: String,
        /// The commit, in lower case, where it is pinned.
        commit: Option<String>,
    },
}

impl SpecsFrom {
    /// Whether exactly one thing is meant, so that nobody needs to sign it.
    pub fn is_pinned(&self) -> bool {
        match self {
            Self::Bundle { sha256, .. } => sha256.is_some(),
            Self::Git { commit, .. } => commit.is_some(),
        }
    }
}

impl fmt::Display for SpecsFrom {
    /// The address without what could be secret in it: its query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundle { url, .. } => f.write_str(url.split('?').next().unwrap_or_default()),
            Self::Git { remote, .. } => write!(f, "git+{remote}"),
        }
    }
}

impl FromStr for SpecsFrom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.chars().any(|char| char.is_whitespace() || char.is_control()) {
            return Err("an address has no blanks".to_owned());
        }
        let (address, pin) = match text.split_once('#') {
            Some((address, pin)) => (address, Some(pin)),
            None => (text, None),
        };
        if let Some(remote) = address.strip_prefix("git+") {
            return git(remote, pin);
        }
        let scheme_fits = address.starts_with("https://") || is_plain_loopback(address);
        if !scheme_fits || without_login(address).is_none() {
            return Err(
                "specs come from `https://host/specs.tar.gz` or `git+file:///path?ref=main&path=specs`; a login \
                        belongs into `auth`, and plain `http://` is for loopback only"
                    .to_owned(),
            );
        }
        let sha256 = pin.map(|pin| pinned(pin, "sha256", HASH_DIGITS)).transpose()?;
        Ok(Self::Bundle { url: address.to_owned(), sha256 })
    }
}

fn git(remote: &str, pin: Option<&str>) -> Result<SpecsFrom, String> {
    let (remote, query) = remote.split_once('?').unwrap_or((remote, ""));
    let is_local = remote.starts_with("file:///");
    if !is_local && !remote.starts_with("https://") || without_login(remote).is_none() {
        return Err(
            "a repository is named as `git+file:///path` or `git+https://host/path`, without a login".to_owned()
        );
    }
    let (mut reference, mut path) = ("HEAD".to_owned(), String::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("ref", value)) if is_reference(value) => value.clone_into(&mut reference),
            Some(("path", value)) if is_folder(value) => value.trim_matches('/').clone_into(&mut path),
            _ => return Err(format!("`{pair}` is neither `ref=` with a branch or tag nor `path=` with a folder")),
        }
    }
    let commit = pin.map(|pin| pinned(pin, "commit", COMMIT_DIGITS)).transpose()?;
    Ok(SpecsFrom::Git { remote: remote.to_owned(), reference, path, commit })
}

/// An address with a host or a path, and without a login.
fn without_login(address: &str) -> Option<&str> {
    let (scheme, rest) = address.split_once("://")?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let has_place = scheme == "file" || !authority.is_empty();
    (has_place && !authority.contains('@')).then_some(rest)
}

fn is_plain_loopback(address: &str) -> bool {
    let Some(rest) = address.strip_prefix("http://") else { return false };
    crate::check::is_loopback(rest.split(['/', '?']).next().unwrap_or_default())
}

/// What git cannot take for an option, a range or a pattern.
fn is_reference(text: &str) -> bool {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '/' | '.' | '_' | '-' | '+');
    !text.is_empty() && !text.starts_with('-') && !text.contains("..") && text.chars().all(fits)
}

fn is_folder(text: &str) -> bool {
    let parts = text.trim_matches('/').split('/');
    !text.contains([':', '\\']) && parts.into_iter().all(|part| !part.is_empty() && part != "." && part != "..")
}

fn pinned(pin: &str, kind: &str, digits: usize) -> Result<String, String> {
    let value = pin.strip_prefix(kind).and_then(|rest| rest.strip_prefix('='));
    match value {
        Some(value) if is_hex(value, digits) => Ok(value.to_ascii_lowercase()),
        _ => Err(format!("behind `#` stands `{kind}=` and {digits} hexadecimal digits")),
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A public key of those who may sign a bundle: `ed25519:` and 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub [u8; HASH_DIGITS / 2]);

impl FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("ed25519:").filter(|digits| is_hex(digits, HASH_DIGITS));
        let digits = digits.ok_or("a public key is `ed25519:` and 64 hexadecimal digits")?;
        let mut key = [0; HASH_DIGITS / 2];
        for (byte, pair) in key.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|error| error.to_string())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|error| error.to_string())?;
        }
        Ok(Self(key))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ed25519:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_is_pulled_and_what_it_is_pinned_to() {
        let hash = "AB".repeat(32);
        let bundle = |url: &str, sha256: Option<&str>| {
            Ok(SpecsFrom::Bundle { url: url.to_owned(), sha256: sha256.map(str::to_owned) })
        };
        let git = |remote: &str, reference: &str, path: &str, commit: Option<&str>| {
            Ok(SpecsFrom::Git {
                remote: remote.to_owned(),
                reference: reference.to_owned(),
                path: path.to_owned(),
                commit: commit.map(str::to_owned),
            })
        };
        for (text, expected) in [
            ("https://h/specs.tar.gz".to_owned(), bundle("https://h/specs.tar.gz", None)),
            ("http://127.0.0.1:80/s?a=b".to_owned(), bundle("http://127.0.0.1:80/s?a=b", None)),
            (format!("https://h/s#sha256={hash}"), bundle("https://h/s", Some(&hash.to_lowercase()))),
            ("git+file:///srv/specs".to_owned(), git("file:///srv/specs", "HEAD", "", None)),
            (
                format!("git+https://h/s.git?ref=v1.2&path=/plant/aachen/#commit={}", "a1".repeat(20)),
                git("https://h/s.git", "v1.2", "plant/aachen", Some(&"a1".repeat(20))),
            ),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_address() {
        for text in [
            "",
            "specs.tar.gz",
            "http://h/specs.tar.gz",
            "https://",
            "https://user:password@h/specs",
            "https://h/specs#sha256=12",
            "https://h/specs#commit=a1",
            "https://h/a b",
            "git+ssh://h/specs",
            "git+file://h/specs",
            "git+file:///specs?ref=--upload-pack=x",
            "git+file:///specs?ref=a..b",
            "git+file:///specs?path=../etc",
            "git+file:///specs?path=a//b",
            "git+file:///specs?depth=1",
            "git+file:///specs#sha256=ab",
            "git+https://user@h/specs",
        ] {
            let parsed = text.parse::<SpecsFrom>();
            assert!(parsed.is_err(), "{text}: {parsed:?}");
            assert!(!format!("{parsed:?}").contains("password"), "{parsed:?}");
        }
    }

    #[test]
    fn a_key_is_shown_as_it_is_read() {
        let text = format!("ed25519:{}", "0f".repeat(32));
        assert_eq!(text.parse::<PublicKey>().expect("a key").to_string(), text);
        for wrong in ["", "ed25519:", "0f", "rsa:0f", &format!("ed25519:{}", "0g".repeat(32)), &format!("{text}0")] {
            assert!(wrong.parse::<PublicKey>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_shown_of_an_address_has_no_query() {
        let from: SpecsFrom = "https://h/specs.tar.gz?token=canary".parse().expect("an address");
        assert_eq!(from.to_string(), "https://h/specs.tar.gz");
    }
}
