//! Whether an endpoint answers and takes the login. No record is sent: the request reads.

use std::time::Duration;

use engine_core::ports::{Cancel, HttpConfig};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::StatusCode;
use reqwest::header::DATE;

use super::answer::ANSWER_BYTES_MAX;
use super::{peer, runtime, unless};
use crate::tls_error;
use crate::to::{Greeting, Login, OpenError};
use crate::web::{NoToken, Peer, Redactor, Reply, Token, chain, tls_failure};

/// Logs in and asks for the address of the endpoint, as a browser would.
///
/// A delivery would be a POST. An endpoint that knows nothing else answers 404 or 405, perhaps before it looks at the
/// login; that tells nothing of it.
pub fn greet(config: &HttpConfig, cancel: &Cancel) -> Result<Greeting, OpenError> {
    let mut peer = peer(config)?;
    let stopped = wrong(&peer, "asked to stop".to_owned(), None);
    let runtime = runtime().map_err(|error| wrong(&peer, format!("starting the network threads: {error}"), None))?;
    let asked = runtime.block_on(unless(cancel, ask(&mut peer, config.timeouts.query)));
    let (reply, redact) = asked.unwrap_or(Err(stopped))?;
    judge(&peer, config, &reply, &redact)
}

async fn ask(peer: &mut Peer, timeout: Duration) -> Result<(Reply, Redactor), OpenError> {
    let token = match &mut peer.tokens {
        None => None,
        Some(tokens) => match tokens.token(&peer.client).await {
            Ok(token) => Some(token),
            Err(NoToken::Later { message, .. } | NoToken::Refused { message }) => {
                return Err(wrong(peer, message, Some("Check `destination.auth`, and its secret.")));
            }
        },
    };
    send(peer, token.as_ref(), timeout).await
}

async fn send(peer: &Peer, token: Option<&Token>, timeout: Duration) -> Result<(Reply, Redactor), OpenError> {
    let redact = peer.redactor(token.map(|token| &token.secret));
    let mut request = peer.client.get(peer.url.clone()).headers(peer.headers.clone()).timeout(timeout);
    if let Some(token) = token {
        request = token.sign(request);
    }
    let error = match request.send().await {
        Ok(response) => return Ok((Reply::read(response, ANSWER_BYTES_MAX).await, redact)),
        Err(error) => error,
    };
    if let Some(error) = tls_failure(&error) {
        let problem = tls_error::explain_at_address(error, "destination");
        return Err(wrong(peer, problem.message, problem.hint.as_deref()));
    }
    let reason = redact.clean(&chain(error));
    Err(wrong(peer, reason, Some("Check `destination.url`, the name and the port, and the firewalls on the way.")))
}

fn wrong(peer: &Peer, message: String, hint: Option<&str>) -> OpenError {
    OpenError { tried: format!("asking the destination at {}", peer.place), message, hint: hint.map(str::to_owned) }
}

fn judge(peer: &Peer, config: &HttpConfig, reply: &Reply, redact: &Redactor) -> Result<Greeting, OpenError> {
    let said = reply.in_words(redact);
    let hint = match reply.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Some("Check the login of the destination (`token` or `auth`) and its rights.")
        }
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Some("The proxy on the way asks for a login."),
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Some("Records wait in the outbox until it answers otherwise; ask who runs it.")
        }
        _ => None,
    };
    if hint.is_some() {
        return Err(wrong(peer, said, hint));
    }
    let has_login = config.auth.is_some() || !config.secret_headers.is_empty();
    let login = match (has_login, reply.status.is_success() && !reply.is_html(), peer.tokens.is_some()) {
        (false, ..) => Login::None,
        (true, true, _) => Login::Taken,
        (true, false, true) => Login::Given,
        (true, false, false) => Login::Untold,
    };
    let date = reply.headers.get(DATE).and_then(|date| date.to_str().ok());
    let date: Option<Timestamp> = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
    // The words of a page that is no answer to a delivery help nobody.
    Ok(Greeting { said: format!("{} answered {}", peer.place, reply.status), login, date })
}
