//! The two calls of a login.

use crate::broken::Broken;
use crate::crypto::{self, Challenge, Proof};
use crate::message::RETURNS;
use crate::put::Put;
use crate::take::Take;

/// The first call: who wants to log in.
pub const PHASE_ONE: u8 = 118;
/// The second call: the proof.
pub const PHASE_TWO: u8 = 115;

/// Most pairs of a call.
const PAIRS_MAX: usize = 256;

/// A call of a login.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct AuthCall {
    /// The user.
    pub user: String,
    pairs: Vec<(String, String)>,
}

impl AuthCall {
    /// The value with this name, or an empty one.
    pub fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// Reads a call of a login, after its header.
pub fn take_call(take: &mut Take<'_>) -> Result<AuthCall, Broken> {
    let has_user = take.u8()? != 0;
    take.number()?;
    take.number()?;
    take.u8()?;
    let count = take.count(PAIRS_MAX)?;
    take.raw(2)?;
    let user = if has_user { take.bytes()?.unwrap_or_default() } else { Vec::new() };
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let name = take.text()?;
        let value = take.text()?;
        take.number()?;
        pairs.push((name, value));
    }
    Ok(AuthCall { user: String::from_utf8_lossy(&user).into_owned(), pairs })
}

fn put_pairs(out: &mut Vec<u8>, pairs: &[(&str, String, u32)]) {
    out.u8(RETURNS);
    out.number(pairs.len() as u64);
    for (name, value, flags) in pairs {
        out.counted(name.as_bytes());
        out.counted(value.as_bytes());
        out.number(u64::from(*flags));
    }
}

/// Writes what the client needs for its proof.
pub fn put_challenge(out: &mut Vec<u8>, challenge: &Challenge) {
    let hex = crypto::hex;
    put_pairs(
        out,
        &[
            ("AUTH_SESSKEY", hex(&challenge.session_key()), 0),
            ("AUTH_VFR_DATA", hex(&challenge.salt), challenge.kind()),
            ("AUTH_PBKDF2_CSK_SALT", hex(&challenge.session_salt), 0),
            ("AUTH_PBKDF2_VGEN_COUNT", crypto::PASSWORD_ROUNDS.to_string(), 0),
            ("AUTH_PBKDF2_SDER_COUNT", crypto::SESSION_ROUNDS.to_string(), 0),
            ("AUTH_GLOBALLY_UNIQUE_DBID\0", "0".repeat(32), 0),
        ],
    );
}

/// The proof in a call; `None` where the password is wrong.
pub fn check(challenge: &Challenge, call: &AuthCall) -> Option<Proof> {
    let key = crypto::from_hex(call.get("AUTH_SESSKEY"))?;
    let password = crypto::from_hex(call.get("AUTH_PASSWORD"))?;
    challenge.check(&key, &password)
}

/// What a client learns when it has logged in.
pub struct Welcome<'a> {
    /// What proves that the server knew the password.
    pub proof: &'a Proof,
    /// Number of the session.
    pub session: u32,
    /// The release as one number.
    pub release: u32,
    /// The service that was asked for.
    pub service: &'a str,
    /// Most bytes of a name.
    pub name_bytes_max: u32,
}

/// Writes what a client learns when it has logged in.
pub fn put_welcome(out: &mut Vec<u8>, welcome: &Welcome<'_>) {
    let name = welcome.service.split('.').next().unwrap_or_default().to_uppercase();
    put_pairs(
        out,
        &[
            ("AUTH_VERSION_STRING", "- Production".to_owned(), 0),
            ("AUTH_VERSION_SQL", "27".to_owned(), 0),
            ("AUTH_XACTION_TRAITS", "3".to_owned(), 0),
            ("AUTH_VERSION_NO", welcome.release.to_string(), 0),
            ("AUTH_VERSION_STATUS", "0".to_owned(), 0),
            ("AUTH_SESSION_ID", welcome.session.to_string(), 0),
            ("AUTH_SERIAL_NUM", "1".to_owned(), 0),
            ("AUTH_INSTANCE_NO", "1".to_owned(), 0),
            ("AUTH_DB_ID", "1".to_owned(), 0),
            ("AUTH_DBNAME", name.clone(), 0),
            ("AUTH_SC_DBUNIQUE_NAME", name.clone(), 0),
            ("AUTH_SC_REAL_DBUNIQUE_NAME", name.clone(), 0),
            ("AUTH_SC_DB_DOMAIN", String::new(), 0),
            ("AUTH_SC_SERVICE_NAME", welcome.service.to_owned(), 0),
            ("AUTH_SC_INSTANCE_NAME", name.clone(), 0),
            ("AUTH_INSTANCENAME", name, 0),
            ("AUTH_SC_SERVER_HOST", "localhost".to_owned(), 0),
            ("AUTH_MAX_OPEN_CURSORS", "300".to_owned(), 0),
            ("AUTH_MAX_IDEN_LENGTH", welcome.name_bytes_max.to_string(), 0),
            ("AUTH_SVR_RESPONSE", crypto::hex(&welcome.proof.response), 0),
        ],
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::take::NoMore;

    #[test]
    fn a_call_says_who_and_from_where() {
        let mut call = vec![1, 1, 5, 1, 1, 1, 1, 1, 1, 1];
        call.bytes(b"scott");
        call.counted(b"AUTH_MACHINE");
        call.counted(b"device");
        call.number(0);
        let mut none = NoMore;
        let call = take_call(&mut Take::new(call, &mut none)).unwrap_or_default();
        assert_eq!((call.user.as_str(), call.get("AUTH_MACHINE"), call.get("AUTH_PID")), ("scott", "device", ""));
    }

    proptest! {
        #[test]
        fn no_call_makes_it_panic(bytes: Vec<u8>) {
            let mut none = NoMore;
            drop(take_call(&mut Take::new(bytes, &mut none)));
        }
    }
}
