//! One page: asked for within the rate limit, with a fresh token, again when the server is busy, and read to its end.

use std::time::Duration;

use engine_core::ports::SourceErrorKind;
use engine_spec::scalar::Period;
use engine_spec::template::RenderedRequest;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, Url};
use tokio::time::{Instant, sleep, sleep_until};

use super::body::{self, BODY_BYTES_MAX, Content};
use crate::failure::Problem;
use crate::tls_error;
use crate::web::{NoToken, Peer, Redactor, Reply, ReplyBody, chain, method, tls_failure};

/// Attempts after the first where a connection breaks or a server is busy and does not say for how long.
const RETRIES_MAX: u32 = 3;
/// Pause before the first of them; doubled for each further one.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// Redirects that are followed, all of them on the same host.
const REDIRECTS_MAX: usize = 5;

/// An API, the login at it, and when it may be asked again.
pub(super) struct Session {
    pub(super) peer: Peer,
    /// Least time between two requests.
    pub(super) pace: Option<Duration>,
    pub(super) next_at: Instant,
}

/// What every page of a question shares.
pub(super) struct Question {
    method: Method,
    headers: HeaderMap,
    body: Option<String>,
    /// Answers are CSV, whatever they say.
    wants_csv: bool,
    deadline: Instant,
    limit: Duration,
}

/// A page as it came, decoded.
pub(super) struct Page {
    /// Address that answered.
    pub(super) url: Url,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) content: Content,
}

impl Question {
    /// A rendered request in the client's terms. Its pages must have come by the deadline, which lies `limit` after the
    /// beginning of all that is asked in one run.
    pub(super) fn new(
        request: &RenderedRequest,
        wants_csv: bool,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Self, Problem> {
        let mut headers = HeaderMap::new();
        let accepted = if wants_csv { "text/csv" } else { "application/json" };
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd"));
        headers.insert(reqwest::header::ACCEPT, HeaderValue::from_static(accepted));
        if request.body.is_some() {
            headers.insert(reqwest::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in &request.headers {
            let wrong = |what: &str| {
                let message = format!("the header {name:?} {what}");
                Problem::new(SourceErrorKind::Config, message).hint("Check `source.request.headers`.")
            };
            let name =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("has a name that no header can have"))?;
            let value = HeaderValue::from_str(value).map_err(|_| wrong("has characters that no header can have"))?;
            headers.insert(name, value);
        }
        Ok(Self { method: method(request.method), headers, body: request.body.clone(), wants_csv, deadline, limit })
    }
}

impl Session {
    /// Asks for one page.
    pub(super) async fn page(&mut self, question: &Question, mut url: Url) -> Result<Page, Problem> {
        let (mut tries, mut redirects, mut has_renewed) = (0, 0, false);
        loop {
            self.wait_for_turn(question).await?;
            let token = match &mut self.peer.tokens {
                None => None,
                Some(tokens) => match tokens.token(&self.peer.client).await {
                    Ok(token) => Some(token),
                    Err(NoToken::Refused { message }) => return Err(Problem::new(SourceErrorKind::Auth, message)),
                    Err(NoToken::Later { message, retry_after }) => {
                        let problem = Problem::new(SourceErrorKind::Network, message);
                        pause(&mut tries, retry_after, question, problem).await?;
                        continue;
                    }
                },
            };
            let redact = self.peer.redactor(token.as_ref().map(|token| &token.secret));
            let mut request = self
                .peer
                .client
                .request(question.method.clone(), url.clone())
                .headers(question.headers.clone())
                .headers(self.peer.headers.clone())
                .timeout(question.deadline.saturating_duration_since(Instant::now()));
            if let Some(token) = &token {
                request = token.sign(request);
            }
            if let Some(body) = &question.body {
                request = request.body(body.clone());
            }
            let what = format!("{} {}", question.method, url.path());
            let reply = match request.send().await {
                Ok(response) => Reply::read(response, BODY_BYTES_MAX).await,
                Err(error) => {
                    let problem = broken(&what, error, &redact);
                    pause(&mut tries, None, question, problem).await?;
                    continue;
                }
            };
            let say = |hint: &str| format!("{what} {}{hint}", reply.in_words(&redact));
            match reply.status.as_u16() {
                200..=299 => {
                    if let ReplyBody::Cut(reason) = &reply.body {
                        let message = format!("{what}: the answer broke off: {}", redact.clean(reason));
                        pause(&mut tries, None, question, Problem::new(SourceErrorKind::Network, message)).await?;
                        continue;
                    }
                    let content = tokio::task::block_in_place(|| body::content(&reply, question.wants_csv));
                    let content = content.map_err(|problem| Problem {
                        message: format!("{what}: {}", redact.clean(&problem.message)),
                        ..problem
                    })?;
                    return Ok(Page { url, status: reply.status, headers: reply.headers, content });
                }
                401 if self.peer.tokens.is_some() && !has_renewed => {
                    // The token may have been withdrawn before its end: one more try with a new one.
                    has_renewed = true;
                    if let Some(tokens) = &mut self.peer.tokens {
                        tokens.forget();
                    }
                }
                301 | 302 | 303 | 307 | 308 => {
                    redirects += 1;
                    url = redirected(&url, question, &reply, &say, redirects)?;
                }
                408 | 425 | 429 | 500 | 502..=504 => {
                    let problem = Problem::new(busy_kind(reply.status), say(""))
                        .hint("The API is busy or out of order. Ask it less: `source.rate_limit`, `schedule.every`.");
                    pause(&mut tries, reply.retry_after(), question, problem).await?;
                }
                _ => return Err(refusal(reply.status, &say)),
            }
        }
    }

    async fn wait_for_turn(&mut self, question: &Question) -> Result<(), Problem> {
        let Some(pace) = self.pace else { return Ok(()) };
        if self.next_at > question.deadline {
            return Err(Problem::query_timeout(question.limit));
        }
        sleep_until(self.next_at).await;
        self.next_at = Instant::now() + pace;
        Ok(())
    }
}

/// Waits before another attempt, or gives the problem back where that makes no sense.
async fn pause(
    tries: &mut u32,
    retry_after: Option<Duration>,
    question: &Question,
    problem: Problem,
) -> Result<(), Problem> {
    let wait = match retry_after {
        Some(asked) => asked.max(RETRY_PAUSE),
        None if *tries >= RETRIES_MAX => return Err(problem),
        None => {
            *tries += 1;
            RETRY_PAUSE * 2_u32.pow(*tries - 1)
        }
    };
    if wait >= question.deadline.saturating_duration_since(Instant::now()) {
        let (said, limit) = (&problem.message, Period(question.limit));
        let message = match retry_after {
            Some(_) => {
                format!("{said}; it asks to wait {}, which is longer than what is left of {limit}", Period(wait))
            }
            None => format!("{said}; of {limit} no time is left for another attempt"),
        };
        return Err(Problem::new(SourceErrorKind::Timeout, message)
            .hint("Ask the API less: `source.rate_limit`, `schedule.every`; or raise `timeouts.query`."));
    }
    sleep(wait).await;
    Ok(())
}

fn busy_kind(status: StatusCode) -> SourceErrorKind {
    if status == StatusCode::REQUEST_TIMEOUT || status == StatusCode::GATEWAY_TIMEOUT {
        SourceErrorKind::Timeout
    } else {
        SourceErrorKind::Network
    }
}

/// A failure without an answer.
fn broken(what: &str, error: reqwest::Error, redact: &Redactor) -> Problem {
    let kind = if error.is_timeout() { SourceErrorKind::Timeout } else { SourceErrorKind::Network };
    let is_connect = error.is_connect();
    if let Some(error) = tls_failure(&error).filter(|_| is_connect) {
        let problem = tls_error::explain_at_address(error, "source");
        return Problem { message: format!("{what}: {}", problem.message), ..problem };
    }
    let reason = redact.clean(&chain(error));
    let hint = match is_connect {
        true => "Check `source.url`, the name and the port, and the firewalls on the way.",
        false => "The connection broke or the server took too long. The next run asks again.",
    };
    Problem::new(kind, format!("{what}: {reason}")).hint(hint)
}

/// Where a redirect leads, as long as it is the same host; a login is never carried to another.
fn redirected(
    from: &Url,
    question: &Question,
    reply: &Reply,
    say: &dyn Fn(&str) -> String,
    count: usize,
) -> Result<Url, Problem> {
    let hint = "Put the final address into `source.url`; where it is a login page, check `source.auth`.";
    let wrong = |what: &str| Problem::new(SourceErrorKind::Config, say(what)).hint(hint);
    let target = reply.headers.get(LOCATION).and_then(|target| from.join(target.to_str().ok()?).ok());
    let Some(target) = target else { return Err(wrong("; it is a redirect to nowhere")) };
    if target.origin() != from.origin() {
        let origin = target.origin().ascii_serialization();
        return Err(wrong(&format!("; it is a redirect to {origin}, and none is followed to another host")));
    }
    if question.method != Method::GET {
        return Err(wrong("; a redirect is followed for GET only"));
    }
    if count > REDIRECTS_MAX {
        return Err(wrong("; the redirects go in circles"));
    }
    Ok(target)
}

/// What a status means that no further attempt will change.
fn refusal(status: StatusCode, say: &dyn Fn(&str) -> String) -> Problem {
    let (kind, hint) = match status.as_u16() {
        401 => (SourceErrorKind::Auth, "The login does not hold. Check `source.auth` and what it refers to."),
        403 => {
            (SourceErrorKind::Permission, "The account may not read that. Give it the right, or check `source.auth`.")
        }
        407 => (SourceErrorKind::Auth, "The proxy on the way asks for a login."),
        404 | 405 | 410 => (SourceErrorKind::Config, "Check `source.url`, `request.path` and `request.method`."),
        400 | 422 => (SourceErrorKind::Query, "The API does not understand the request: `engine render` shows it."),
        406 | 415 => (SourceErrorKind::Config, "The API wants other headers: set them in `request.headers`."),
        _ => (SourceErrorKind::Query, "`engine render` shows the request; try it with curl."),
    };
    Problem::new(kind, say("")).hint(hint)
}
