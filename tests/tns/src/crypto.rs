//! How a client proves that it knows its password, and the server that it does.

use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use aes::{Aes192, Aes256};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha512;

use crate::settings::Verifier;

/// Rounds that make a key of a password.
pub const PASSWORD_ROUNDS: u32 = 4096;
/// Rounds that make the key of a session.
pub const SESSION_ROUNDS: u32 = 3;
/// Bytes before a secret that make it look different each time.
const NOISE_BYTES: usize = 16;
const BLOCK_BYTES: usize = 16;

/// What the server sends and keeps of a login that has begun.
pub struct Challenge {
    verifier: Verifier,
    password: Vec<u8>,
    /// What the password is mixed with.
    pub salt: Vec<u8>,
    /// What the key of the session is mixed with.
    pub session_salt: Vec<u8>,
    half: Vec<u8>,
}

/// A login that went well.
pub struct Proof {
    /// What shows the client that the server knew its password too.
    pub response: Vec<u8>,
}

fn noise(count: usize) -> Vec<u8> {
    (0..count).map(|_| fastrand::u8(..)).collect()
}

impl Challenge {
    /// For a login with this password.
    pub fn new(verifier: Verifier, password: &str) -> Self {
        let (salt, half) = match verifier {
            Verifier::V12c => (16, 32),
            Verifier::V11g => (10, 48),
        };
        Self {
            verifier,
            password: password.as_bytes().to_vec(),
            salt: noise(salt),
            session_salt: noise(16),
            half: noise(half),
        }
    }

    /// How this way of keeping passwords is called on the wire.
    pub fn kind(&self) -> u32 {
        match self.verifier {
            Verifier::V12c => 0x4815,
            Verifier::V11g => 0x1B25,
        }
    }

    /// The server's half of the key of the session, to be read only by who knows the password.
    pub fn session_key(&self) -> Vec<u8> {
        encrypt(&self.password_key(), &self.half)
    }

    /// What the client's half and its password prove; `None` where the password is wrong.
    pub fn check(&self, session_key: &[u8], password: &[u8]) -> Option<Proof> {
        let theirs = decrypt(&self.password_key(), session_key)?;
        if theirs.len() != self.half.len() {
            return None;
        }
        let key = self.combine(&theirs);
        let clear = decrypt(&key, password)?;
        let padding = usize::from(*clear.last()?);
        let end = clear.len().checked_sub(padding)?;
        if clear.get(NOISE_BYTES..end)? != self.password {
            return None;
        }
        let mut response = noise(NOISE_BYTES);
        response.extend_from_slice(b"SERVER_TO_CLIENT");
        Some(Proof { response: encrypt(&key, &padded(response)) })
    }

    fn password_key(&self) -> Vec<u8> {
        match self.verifier {
            Verifier::V12c => {
                let mut salt = self.salt.clone();
                salt.extend_from_slice(b"AUTH_PBKDF2_SPEEDY_KEY");
                let mut key = [0; 64];
                pbkdf2::pbkdf2_hmac::<Sha512>(&self.password, &salt, PASSWORD_ROUNDS, &mut key);
                let hash = Sha512::new().chain_update(key).chain_update(&self.salt).finalize();
                hash[..32].to_vec()
            }
            Verifier::V11g => {
                let hash = Sha1::new().chain_update(&self.password).chain_update(&self.salt).finalize();
                let mut key = hash.to_vec();
                key.resize(24, 0);
                key
            }
        }
    }

    fn combine(&self, theirs: &[u8]) -> Vec<u8> {
        match self.verifier {
            Verifier::V12c => {
                let both = [theirs, &self.half].concat();
                let mut key = vec![0; 32];
                pbkdf2::pbkdf2_hmac::<Sha512>(hex(&both).as_bytes(), &self.session_salt, SESSION_ROUNDS, &mut key);
                key
            }
            Verifier::V11g => {
                let mixed: Vec<u8> = theirs[16..40].iter().zip(&self.half[16..40]).map(|(a, b)| a ^ b).collect();
                let mut key = Md5::digest(&mixed[..16]).to_vec();
                key.extend_from_slice(&Md5::digest(&mixed[16..]));
                key.truncate(24);
                key
            }
        }
    }
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    let missing = BLOCK_BYTES - bytes.len() % BLOCK_BYTES;
    bytes.resize(bytes.len() + missing, missing as u8);
    bytes
}

fn encrypt(key: &[u8], clear: &[u8]) -> Vec<u8> {
    let mut out = vec![0; clear.len()];
    let start = [0; BLOCK_BYTES];
    let done = if let Ok(cipher) = cbc::Encryptor::<Aes256>::new_from_slices(key, &start) {
        cipher.encrypt_padded_b2b::<NoPadding>(clear, &mut out).is_ok()
    } else {
        let cipher = cbc::Encryptor::<Aes192>::new_from_slices(key, &start);
        cipher.is_ok_and(|cipher| cipher.encrypt_padded_b2b::<NoPadding>(clear, &mut out).is_ok())
    };
    debug_assert!(done, "keys and lengths are this file's own");
    out
}

fn decrypt(key: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0; secret.len()];
    let start = [0; BLOCK_BYTES];
    if let Ok(cipher) = cbc::Decryptor::<Aes256>::new_from_slices(key, &start) {
        cipher.decrypt_padded_b2b::<NoPadding>(secret, &mut out).ok()?;
    } else {
        let cipher = cbc::Decryptor::<Aes192>::new_from_slices(key, &start).ok()?;
        cipher.decrypt_padded_b2b::<NoPadding>(secret, &mut out).ok()?;
    }
    Some(out)
}

/// Bytes as upper case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Bytes of hexadecimal digits; `None` where they are none.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|value| value as u8);
    text.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client does with a challenge.
    fn answer(challenge: &Challenge, password: &str) -> (Vec<u8>, Vec<u8>) {
        let mine = Challenge { password: password.as_bytes().to_vec(), ..Challenge::new(challenge.verifier, "") };
        let mine = Challenge { salt: challenge.salt.clone(), session_salt: challenge.session_salt.clone(), ..mine };
        let server_half = decrypt(&mine.password_key(), &challenge.session_key()).unwrap();
        let half = noise(server_half.len());
        let key = Challenge { half: server_half, ..mine }.combine(&half);
        let mut secret = noise(NOISE_BYTES);
        secret.extend_from_slice(password.as_bytes());
        let password_key =
            Challenge { salt: challenge.salt.clone(), ..Challenge::new(challenge.verifier, password) }.password_key();
        (encrypt(&password_key, &half), encrypt(&key, &padded(secret)))
    }

    #[test]
    fn only_the_right_password_is_proof() {
        for verifier in [Verifier::V12c, Verifier::V11g] {
            let challenge = Challenge::new(verifier, "tiger");
            let (key, password) = answer(&challenge, "tiger");
            assert_eq!(challenge.check(&key, &password).unwrap().response.len(), 48, "{verifier:?}");
            let (key, password) = answer(&challenge, "Tiger");
            assert!(challenge.check(&key, &password).is_none(), "{verifier:?}");
        }
    }

    #[test]
    fn nonsense_is_no_proof() {
        let challenge = Challenge::new(Verifier::V12c, "tiger");
        for (key, password) in [(&[][..], &[][..]), (&[1; 7], &[2; 16]), (&[1; 32], &[2; 5]), (&[1; 32], &[])] {
            assert!(challenge.check(key, password).is_none());
        }
    }

    #[test]
    fn hexadecimal_digits_come_back() {
        assert_eq!(from_hex(&hex(&[0, 255, 16])), Some(vec![0, 255, 16]));
        assert_eq!(from_hex("0G"), None);
        assert_eq!(from_hex("123"), None);
    }
}
