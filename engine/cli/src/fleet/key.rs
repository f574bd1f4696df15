//! Keys that sign bundles of specs, and their signatures: Ed25519.

use std::fmt::Write as _;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use engine_spec::device::PublicKey;
use secrecy::{ExposeSecret as _, SecretString};

use crate::exit::{CommandError, Kind};
use crate::folder;

/// Bytes of the seed that a private key is made of.
const SEED_BYTES: usize = 32;
/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 64;
/// What a private key begins with, so that it is known for what it is wherever it turns up.
const PRIVATE: &str = "engine-private-key:";
/// What is signed begins with this, so that a signature is good for nothing else.
const PURPOSE: &[u8] = b"engine bundle of specs, form 1\n";
/// Variable that holds the private key, where no file does.
pub const KEY_VARIABLE: &str = "ENGINE_SIGNING_KEY";

/// A key that signs.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// A new key, as text to keep secret.
    pub fn generate() -> Result<(Self, SecretString), CommandError> {
        let mut seed = [0; SEED_BYTES];
        let no_key = |_| CommandError::new(Kind::Environment, "the system gives no random numbers");
        SystemRandom::new().fill(&mut seed).map_err(no_key)?;
        let text = SecretString::from(format!("{PRIVATE}{}\n", hex(&seed)));
        Ok((Self::of_seed(&seed)?, text))
    }

    /// The key of a text.
    pub fn read(text: &SecretString) -> Result<Self, CommandError> {
        let digits = text.expose_secret().trim().strip_prefix(PRIVATE);
        let seed = digits.and_then(unhex::<SEED_BYTES>).ok_or_else(|| {
            CommandError::new(Kind::Usage, format!("the private key is not `{PRIVATE}` and 64 hexadecimal digits"))
                .hint("`engine bundle --new-key FILE` makes one")
        })?;
        Self::of_seed(&seed)
    }

    fn of_seed(seed: &[u8; SEED_BYTES]) -> Result<Self, CommandError> {
        Ed25519KeyPair::from_seed_unchecked(seed)
            .map(Self)
            .map_err(|_| CommandError::new(Kind::Environment, "the private key cannot be used"))
    }

    /// What others know it by.
    pub fn public(&self) -> PublicKey {
        let mut key = PublicKey([0; SEED_BYTES]);
        key.0.copy_from_slice(self.0.public_key().as_ref());
        key
    }

    /// The signature of a manifest, as it stands in a bundle.
    pub fn sign(&self, manifest: &[u8]) -> String {
        format!("{} {}\n", self.public(), hex(self.0.sign(&signed(manifest)).as_ref()))
    }
}

/// Whether one of these keys signed the manifest; if not, why it is not known to have.
pub fn verify(manifest: &[u8], signature: &str, keys: &[PublicKey]) -> Result<(), String> {
    let read = signature
        .trim_end()
        .split_once(' ')
        .and_then(|(key, signature)| Some((key.parse::<PublicKey>().ok()?, unhex::<SIGNATURE_BYTES>(signature)?)));
    let (key, signature) = read.ok_or("its signature is none")?;
    if !keys.contains(&key) {
        return Err(format!("it is signed with {key}, which is not among the keys of this device"));
    }
    UnparsedPublicKey::new(&ED25519, key.0)
        .verify(&signed(manifest), &signature)
        .map_err(|_| format!("its signature with {key} does not hold: it was changed after it was signed"))
}

fn signed(manifest: &[u8]) -> Vec<u8> {
    [PURPOSE, manifest].concat()
}

/// SHA-256 in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// Writes a private key where only its owner can read it; a file that is there stays.
pub fn keep(path: &Path, text: &SecretString) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.expose_secret().as_bytes())?;
    file.sync_all()?;
    folder::sync(folder::of(path))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if digits.len() != 2 * N || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_what_was_signed_and_for_the_keys_of_the_device() {
        let (key, text) = SigningKey::generate().expect("a key");
        let (other, _) = SigningKey::generate().expect("another");
        let again = SigningKey::read(&text).expect("it is read");
        assert_eq!(again.public(), key.public());
        let signature = again.sign(b"manifest");
        let keys = [other.public(), key.public()];
        assert_eq!(verify(b"manifest", &signature, &keys), Ok(()));
        for (what, manifest, signature, keys) in [
            ("another text", &b"manifesto"[..], signature.clone(), &keys[..]),
            ("a key that is not of the device", b"manifest", signature.clone(), &keys[..1]),
            ("no key at all", b"manifest", signature.clone(), &[]),
            ("the name of another key", b"manifest", format!("{} {}", other.public(), &signature[73..]), &keys),
            ("half a signature", b"manifest", signature[..100].to_owned(), &keys),
            ("nothing", b"manifest", String::new(), &keys),
        ] {
            assert!(verify(manifest, &signature, keys).is_err(), "{what}");
        }
    }

    #[test]
    fn what_is_no_key_is_told_without_a_word_of_it() {
        let canary = format!("{PRIVATE}canary");
        let error = SigningKey::read(&SecretString::from(canary)).err().expect("no key");
        assert!(!error.to_string().contains("canary"), "{error}");
    }

    #[test]
    fn hashes_are_those_of_others() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
