//! Tokens of OAuth 2.0 client credentials: fetched when needed, kept until shortly before they expire.

use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{Redactor, Reply, ReplyBody, basic_login, chain, host_and_port};

/// Bytes of an answer with a token; a longer one has none.
pub(super) const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How long before its end a token is replaced; half its life, if that is shorter.
const REFRESH_BEFORE_END: Duration = Duration::from_secs(60);

/// Where tokens come from, and the one at hand.
pub(crate) struct TokenSource {
    url: Url,
    place: String,
    client_id: String,
    client_secret: SecretString,
    scope: Option<String>,
    login: ClientLogin,
    timeout: Duration,
    redact: Redactor,
    at_hand: Option<Token>,
}

struct Token {
    text: SecretString,
    /// `None`: the server did not say.
    refresh_at: Option<Instant>,
}

/// Where the client's secret stands in the request. RFC 6749 wants the first; servers exist that know only the second.
#[derive(Clone, Copy)]
enum ClientLogin {
    BasicHeader,
    Body,
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoToken {
    /// Not now: the server is away or busy.
    Later {
        /// What was tried and what came back.
        message: String,
        /// How long it asked to wait.
        retry_after: Option<Duration>,
    },
    /// The login does not hold.
    Refused {
        /// What was tried and what came back.
        message: String,
    },
}

impl TokenSource {
    pub fn new(
        url: Url,
        client_id: String,
        client_secret: SecretString,
        scope: Option<String>,
        timeout: Duration,
    ) -> Self {
        let mut redact = Redactor::default();
        redact.add(&client_secret);
        redact.add(&encoded(client_secret.expose_secret()).into());
        let place = host_and_port(&url);
        let login = ClientLogin::BasicHeader;
        Self { url, place, client_id, client_secret, scope, login, timeout, redact, at_hand: None }
    }

    /// Gives up the token at hand: it was refused.
    pub fn forget(&mut self) {
        self.at_hand = None;
    }

    /// A token that holds for a while.
    pub async fn token(&mut self, client: &Client) -> Result<SecretString, NoToken> {
        if let Some(token) = &self.at_hand
            && token.refresh_at.is_none_or(|at| Instant::now() < at)
        {
            return Ok(token.text.clone());
        }
        let mut reply = self.ask(client).await?;
        if matches!(reply.status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED)
            && matches!(self.login, ClientLogin::BasicHeader)
        {
            self.login = ClientLogin::Body;
            reply = self.ask(client).await?;
        }
        if !reply.status.is_success() {
            // Both ways are open again next time.
            self.login = ClientLogin::BasicHeader;
            return Err(self.refusal(&reply));
        }
        if let ReplyBody::Cut(reason) = &reply.body {
            let message = format!("asking {} for a token: the answer broke off: {reason}", self.place);
            return Err(NoToken::Later { message, retry_after: None });
        }
        let token = Token::read(reply.bytes()).map_err(|what| NoToken::Refused {
            message: format!(
                "asking {} for a token: answered {}, but {what}; check auth.oauth2.token_url",
                self.place, reply.status
            ),
        })?;
        let text = token.text.clone();
        self.at_hand = Some(token);
        Ok(text)
    }

    async fn ask(&mut self, client: &Client) -> Result<Reply, NoToken> {
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        let mut request = client.post(self.url.clone()).header(ACCEPT, "application/json").timeout(self.timeout);
        match self.login {
            ClientLogin::BasicHeader => {
                let (id, secret) = (encoded(&self.client_id), encoded(self.client_secret.expose_secret()));
                self.redact.add(&basic_login(client, &id, &SecretString::from(secret.as_str())));
                request = request.basic_auth(id, Some(secret));
            }
            ClientLogin::Body => {
                form.push(("client_id", &self.client_id));
                form.push(("client_secret", self.client_secret.expose_secret()));
            }
        }
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form_encoded(&form));
        // Asking for a token changes nothing: whatever goes wrong, it can be asked for again.
        let response = request.send().await.map_err(|error| NoToken::Later {
            message: format!("asking {} for a token: {}", self.place, chain(error)),
            retry_after: None,
        })?;
        Ok(Reply::read(response, ANSWER_BYTES_MAX).await)
    }

    fn refusal(&self, reply: &Reply) -> NoToken {
        let words = format!("asking {} for a token: {}", self.place, reply.in_words(&self.redact));
        if reply.status.is_server_error() || matches!(reply.status.as_u16(), 408 | 425 | 429) {
            NoToken::Later { message: words, retry_after: reply.retry_after() }
        } else {
            let hint = "; check auth.oauth2: token_url, client_id, client_secret and scope";
            NoToken::Refused { message: format!("{words}{hint}") }
        }
    }
}

impl Token {
    fn read(body: &[u8]) -> Result<Self, &'static str> {
        let body: Value = serde_json::from_slice(body).map_err(|_| "not with JSON")?;
        let text = body.get("access_token").and_then(Value::as_str).ok_or("without an access_token")?;
        // A number by the standard; text on some servers.
        let life = body.get("expires_in").and_then(|life| life.as_u64().or_else(|| life.as_str()?.parse().ok()));
        let refresh_at = life.and_then(|seconds| {
            let life = Duration::from_secs(seconds);
            Instant::now().checked_add(life - REFRESH_BEFORE_END.min(life / 2))
        });
        Ok(Self { text: SecretString::from(text), refresh_at })
    }
}

pub(super) fn form_encoded(form: &[(&str, &str)]) -> String {
    let mut url = Url::parse("form:").expect("a constant that is an address");
    url.query_pairs_mut().extend_pairs(form);
    url.query().unwrap_or_default().to_owned()
}

/// One value in the encoding of forms, as RFC 6749 2.3.1 wants it inside the Basic header.
fn encoded(text: &str) -> String {
    form_encoded(&[("", text)]).split_off(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded_as_in_forms() {
        assert_eq!(encoded("a b&c=d+ü"), "a+b%26c%3Dd%2B%C3%BC");
        assert_eq!(form_encoded(&[("scope", "x y"), ("k", "v")]), "scope=x+y&k=v");
    }

    #[test]
    fn a_token_is_replaced_before_its_end() {
        for (body, seconds) in [
            (r#"{"access_token":"t","expires_in":3600}"#, Some(3540)),
            (r#"{"access_token":"t","expires_in":"3600"}"#, Some(3540)),
            (r#"{"access_token":"t","expires_in":20}"#, Some(10)),
            (r#"{"access_token":"t"}"#, None),
        ] {
            let before = Instant::now();
            let token = Token::read(body.as_bytes()).unwrap();
            let after = Instant::now();
            match (token.refresh_at, seconds) {
                (Some(at), Some(seconds)) => {
                    let life = Duration::from_secs(seconds);
                    assert!(before + life <= at && at <= after + life, "{body}");
                }
                (at, seconds) => assert_eq!((at, seconds), (None, None), "{body}"),
            }
        }
        assert!(Token::read(b"<html>").is_err() && Token::read(b"{}").is_err());
    }
}
