//! Who is let in where a token is asked for: whoever sends it, or the cookie that the log-in page gave for it.
//!
//! Neither the token nor a session is kept. Both are known by their codes under a key that this process made for itself:
//! a code says nothing about the token, comparing codes takes as long whatever is compared, and with the process or the
//! token its sessions end.

use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, COOKIE, LOCATION, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use secrecy::{ExposeSecret, SecretString};

use super::attempts::{ATTEMPTS_MAX, Attempts};
use super::html::Visit;
use super::{Asked, Reply, login};

/// Characters of a token at least: what is shorter may be guessed.
const TOKEN_CHARS_MIN: usize = 16;
/// Characters of a token at most: it has to fit into a header.
const TOKEN_CHARS_MAX: usize = 512;
/// How long somebody stays logged in.
const SESSION_TIME_MAX: Duration = Duration::from_secs(12 * 3600);
/// Hexadecimal digits of the second in which a session ends, before its code.
const END_DIGITS: usize = 16;

/// Who is let in.
pub(super) struct Access {
    key: hmac::Key,
    token: RwLock<hmac::Tag>,
    attempts: Attempts,
    began: Instant,
    is_encrypted: bool,
}

/// Where a request comes from, as far as that counts.
pub(super) struct Caller<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) address: IpAddr,
}

impl Access {
    /// Asks for this token. A browser sends the cookie over TLS only, where there is TLS.
    pub(super) fn new(token: &SecretString, is_encrypted: bool) -> Result<Self, String> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| "the system gives no random numbers".to_owned())?;
        let token = RwLock::new(code_of(&key, token)?);
        Ok(Self { key, token, attempts: Attempts::default(), began: Instant::now(), is_encrypted })
    }

    /// Asks for this token from now on. Gives whether it is another one.
    pub(super) fn renew(&self, token: &SecretString) -> Result<bool, String> {
        let code = code_of(&self.key, token)?;
        let mut current = self.token.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = current.as_ref() != code.as_ref();
        *current = code;
        Ok(is_new)
    }

    /// How a caller is let in, or what they are told instead.
    pub(super) fn admit(&self, caller: &Caller<'_>, asked: &Asked) -> Result<Visit, Reply> {
        if cookies(caller.headers, self.cookie()).any(|session| self.is_session(session)) {
            return Ok(Visit::LoggedIn);
        }
        let Some(token) = bearer(caller.headers) else {
            return Err(match asked.by_browser {
                true => refused(login::page(&asked.path, None)),
                false => challenged(Reply::words(
                    401,
                    "This needs the token of the status page: `Authorization: Bearer …`, or log in with a browser.",
                )),
            });
        };
        match self.knows(token, caller.address) {
            Ok(true) => Ok(Visit::ByToken),
            Ok(false) => Err(challenged(Reply::words(401, "This is not the token of the status page."))),
            Err(wait) => Err(later(Reply::words(429, login::TOO_MANY), wait)),
        }
    }

    /// The answer to what the log-in page sent.
    pub(super) fn log_in(&self, caller: &Caller<'_>, form: &[u8]) -> Reply {
        if !is_own_page(caller.headers) {
            return Reply::words(403, "Log in on the page itself.");
        }
        let (token, to) = login::sent(form);
        match self.knows(token.expose_secret().as_bytes(), caller.address) {
            Ok(true) => {
                let session = self.session(self.began.elapsed() + SESSION_TIME_MAX);
                redirect(to, self.set_cookie(&session, SESSION_TIME_MAX))
            }
            Ok(false) => refused(login::page(&to, Some("This is not the token."))),
            Err(wait) => {
                let body = login::page(&to, Some(login::TOO_MANY));
                later(Reply { status: 429, ..refused(body) }, wait)
            }
        }
    }

    /// The answer to who logs out.
    pub(super) fn log_out(&self, caller: &Caller<'_>) -> Reply {
        if !is_own_page(caller.headers) {
            return Reply::words(403, "Log out on the page itself.");
        }
        redirect("/".to_owned(), self.set_cookie("", Duration::ZERO))
    }

    /// Whether this is the token; how long nobody listens to this address, where it was wrong too often.
    fn knows(&self, token: &[u8], address: IpAddr) -> Result<bool, Duration> {
        let now = Instant::now();
        if let Some(wait) = self.attempts.refused_for(address, now) {
            return Err(wait);
        }
        if hmac::verify(&self.key, token, self.token().as_ref()).is_ok() {
            self.attempts.was_right(address);
            return Ok(true);
        }
        if self.attempts.was_wrong(address, now) {
            tracing::warn!(
                event = "http_attempts",
                address = %address,
                hint = "somebody guesses, or something was not told of a new token",
                "{address} sent {ATTEMPTS_MAX} wrong tokens to the status page, and is not listened to for a minute"
            );
        }
        Ok(false)
    }

    fn token(&self) -> hmac::Tag {
        *self.token.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session that ends so long after the server began. The clock of the machine may be set meanwhile.
    fn session(&self, end: Duration) -> String {
        let end = end.as_secs();
        let code = hmac::sign(&self.key, &self.signed(end));
        code.as_ref().iter().fold(format!("{end:0END_DIGITS$x}"), |text, byte| format!("{text}{byte:02x}"))
    }

    fn is_session(&self, text: &str) -> bool {
        let Some((end, code)) = text.split_at_checked(END_DIGITS) else { return false };
        let (Ok(end), Some(code)) = (u64::from_str_radix(end, 16), from_hex(code)) else { return false };
        end > self.began.elapsed().as_secs() && hmac::verify(&self.key, &self.signed(end), &code).is_ok()
    }

    /// What the code of a session is made of: another token makes another one.
    fn signed(&self, end: u64) -> Vec<u8> {
        [&end.to_be_bytes(), self.token().as_ref()].concat()
    }

    /// Name of the cookie. With this prefix, no other name or path of the machine can set it, and it needs TLS.
    fn cookie(&self) -> &'static str {
        if self.is_encrypted { "__Host-engine" } else { "engine" }
    }

    fn set_cookie(&self, value: &str, life: Duration) -> String {
        let (name, seconds) = (self.cookie(), life.as_secs());
        let secure = if self.is_encrypted { "; Secure" } else { "" };
        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
    }
}

/// The code of a token that will do; it is not repeated where it will not.
fn code_of(key: &hmac::Key, token: &SecretString) -> Result<hmac::Tag, String> {
    let token = token.expose_secret().as_bytes();
    if !(TOKEN_CHARS_MIN..=TOKEN_CHARS_MAX).contains(&token.len()) {
        return Err(format!(
            "the token has {} characters, and needs {TOKEN_CHARS_MIN} to {TOKEN_CHARS_MAX}",
            token.len()
        ));
    }
    if !token.iter().all(u8::is_ascii_graphic) {
        return Err("the token has a character that does not fit into a header: use ASCII without blanks".to_owned());
    }
    Ok(hmac::sign(key, token))
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

fn cookies<'a>(headers: &'a HeaderMap, wanted: &'a str) -> impl Iterator<Item = &'a str> {
    let all = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(name, _)| *name == wanted).map(|(_, value)| value)
}

/// Browsers say where a request comes from. A page of somebody else has no business here.
fn is_own_page(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none")
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8]| match *pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    };
    text.as_bytes().chunks(2).map(byte).collect()
}

fn refused(page: String) -> Reply {
    challenged(Reply::new(401, Reply::HTML, page))
}

fn challenged(reply: Reply) -> Reply {
    reply.with(WWW_AUTHENTICATE, "Bearer realm=\"engine\"".to_owned())
}

fn later(reply: Reply, wait: Duration) -> Reply {
    reply.with(RETRY_AFTER, (wait.as_secs() + 1).to_string())
}

fn redirect(to: String, cookie: String) -> Reply {
    Reply::new(303, Reply::TEXT, "").with(LOCATION, to).with(SET_COOKIE, cookie)
}

#[cfg(test)]
mod tests;
