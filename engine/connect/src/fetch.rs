//! Plain requests to servers that are neither a source nor a destination: a file is asked for, a document is told.

use std::time::Duration;

use engine_core::ports::{Cancel, HttpConfig};
use reqwest::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION};
use reqwest::{RequestBuilder, StatusCode};

use crate::tls_error;
use crate::to::OpenError;
use crate::to::http::{runtime, unless};
use crate::web::{NoToken, Peer, PeerSettings, Redactor, Reply, ReplyBody, chain, tls_failure};

/// Bytes of an answer to a document that was told: nobody reads more of it than a message.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A file as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// It is as it was.
    Unchanged,
    /// Its content, and the tag by which a change of it is noticed, where the server gives one.
    File(Vec<u8>, Option<String>),
}

/// Asks for a file, unless it is the one with this tag. `role` is its part of the config, for messages.
pub fn get(
    role: &'static str,
    config: &HttpConfig,
    etag: Option<&str>,
    bytes_max: usize,
    cancel: &Cancel,
) -> Result<Fetched, OpenError> {
    let request = |peer: &Peer| {
        let request = peer.client.get(peer.url.clone());
        match etag {
            Some(etag) => request.header(IF_NONE_MATCH, etag),
            None => request,
        }
    };
    let (asked, reply, redact) = ask(role, config, cancel, bytes_max, &request)?;
    if reply.status == StatusCode::NOT_MODIFIED && etag.is_some() {
        return Ok(Fetched::Unchanged);
    }
    let reply = asked.success(reply, &redact)?;
    match reply.body {
        ReplyBody::Whole(bytes) => {
            let etag = reply.headers.get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
            Ok(Fetched::File(bytes, etag))
        }
        ReplyBody::TooLong => Err(asked.wrong(format!("the answer has more than {bytes_max} bytes"), None)),
        ReplyBody::Cut(reason) => Err(asked.wrong(format!("the answer broke off: {}", redact.clean(&reason)), None)),
    }
}

/// Tells a server a JSON document, once. `role` is its part of the config, for messages.
pub fn post(role: &'static str, config: &HttpConfig, json: &[u8], cancel: &Cancel) -> Result<(), OpenError> {
    let request =
        |peer: &Peer| peer.client.post(peer.url.clone()).header(CONTENT_TYPE, "application/json").body(json.to_vec());
    let (asked, reply, redact) = ask(role, config, cancel, ANSWER_BYTES_MAX, &request)?;
    asked.success(reply, &redact).map(drop)
}

/// What was asked of whom, for messages.
struct Asked {
    role: &'static str,
    place: String,
}

impl Asked {
    fn wrong(&self, message: String, hint: Option<String>) -> OpenError {
        let Self { role, place } = self;
        OpenError { tried: format!("asking {place} ({role})"), message, hint }
    }

    /// The answer, where it is one of success.
    fn success(&self, reply: Reply, redact: &Redactor) -> Result<Reply, OpenError> {
        let role = self.role;
        let hint = match reply.status {
            status if status.is_success() => return Ok(reply),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(format!("check {role}.auth, and its secret")),
            status if status.is_redirection() && reply.headers.contains_key(LOCATION) => Some(
                "no redirect is followed, so that a login never reaches another host: name the final address"
                    .to_owned(),
            ),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => None,
            _ => Some(format!("check the address of {role}")),
        };
        Err(self.wrong(reply.in_words(redact), hint))
    }
}

fn ask(
    role: &'static str,
    config: &HttpConfig,
    cancel: &Cancel,
    bytes_max: usize,
    request: &dyn Fn(&Peer) -> RequestBuilder,
) -> Result<(Asked, Reply, Redactor), OpenError> {
    let mut peer = Peer::open(&PeerSettings::of(role, config))?;
    let asked = Asked { role, place: peer.place.clone() };
    let runtime = runtime().map_err(|error| asked.wrong(format!("starting the network threads: {error}"), None))?;
    let answer = runtime.block_on(unless(cancel, send(&asked, &mut peer, config.timeouts.query, bytes_max, request)));
    let (reply, redact) = answer.unwrap_or_else(|| Err(asked.wrong("asked to stop".to_owned(), None)))?;
    Ok((asked, reply, redact))
}

async fn send(
    asked: &Asked,
    peer: &mut Peer,
    timeout: Duration,
    bytes_max: usize,
    request: &dyn Fn(&Peer) -> RequestBuilder,
) -> Result<(Reply, Redactor), OpenError> {
    let token = match &mut peer.tokens {
        None => None,
        Some(tokens) => match tokens.token(&peer.client).await {
            Ok(token) => Some(token),
            Err(NoToken::Later { message, .. } | NoToken::Refused { message }) => {
                return Err(asked.wrong(message, Some(format!("check {}.auth, and its secret", asked.role))));
            }
        },
    };
    let redact = peer.redactor(token.as_ref().map(|token| &token.secret));
    let mut request = request(peer).headers(peer.headers.clone()).timeout(timeout);
    if let Some(token) = token {
        request = token.sign(request);
    }
    let error = match request.send().await {
        Ok(response) => return Ok((Reply::read(response, bytes_max).await, redact)),
        Err(error) => error,
    };
    if let Some(error) = tls_failure(&error) {
        let problem = tls_error::explain_at_address(error, asked.role);
        return Err(asked.wrong(problem.message, problem.hint));
    }
    Err(asked
        .wrong(redact.clean(&chain(error)), Some("check the name, the port and the firewalls on the way".to_owned())))
}
