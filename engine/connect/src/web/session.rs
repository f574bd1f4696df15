//! Sessions: a first request logs in, and what its answer gives out goes with every further one.

use std::time::Duration;

use engine_core::ports::SessionConfig;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, SET_COOKIE};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use serde_json_path::JsonPath;

use super::oauth::{ANSWER_BYTES_MAX, form_encoded};
use super::{NoToken, Redactor, Reply, ReplyBody, Token, chain, host_and_port};

/// Opens sessions, and holds the one that is open.
pub(crate) struct SessionSource {
    url: Url,
    place: String,
    config: SessionConfig,
    token: Option<JsonPath>,
    header: Option<HeaderName>,
    timeout: Duration,
    redact: Redactor,
    at_hand: Option<Token>,
}

impl SessionSource {
    pub fn new(url: Url, config: &SessionConfig, timeout: Duration) -> Result<Self, String> {
        let token = config.token.as_deref().map(JsonPath::parse).transpose();
        let token = token.map_err(|error| format!("auth.session.token is no JSONPath: {}", error.message()))?;
        let header = config.header.as_deref().map(|name| HeaderName::from_bytes(name.as_bytes())).transpose();
        let header = header.map_err(|_| "auth.session.header is no name of a header".to_owned())?;
        let mut redact = Redactor::default();
        config.secret.iter().for_each(|(_, secret)| redact.add(secret));
        let place = host_and_port(&url);
        Ok(Self { url, place, config: config.clone(), token, header, timeout, redact, at_hand: None })
    }

    /// Gives up the session: it has ended.
    pub fn forget(&mut self) {
        self.at_hand = None;
    }

    /// What the open session goes by; opens one where there is none.
    pub async fn token(&mut self, client: &Client) -> Result<Token, NoToken> {
        if let Some(token) = &self.at_hand {
            return Ok(token.clone());
        }
        let reply = self.log_in(client).await?;
        let token = self.read(&reply)?;
        self.at_hand = Some(token.clone());
        Ok(token)
    }

    async fn log_in(&self, client: &Client) -> Result<Reply, NoToken> {
        let request = client.post(self.url.clone()).header(ACCEPT, "application/json").timeout(self.timeout);
        let clear = self.config.clear.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let secret = self.config.secret.iter().map(|(name, value)| (name.as_str(), value.expose_secret()));
        let members = clear.chain(secret);
        let (kind, body) = if self.config.form {
            ("application/x-www-form-urlencoded", form_encoded(&members.collect::<Vec<_>>()))
        } else {
            let members: Map<String, Value> = members.map(|(name, value)| (name.to_owned(), value.into())).collect();
            ("application/json", Value::Object(members).to_string())
        };
        // A session that was opened and not noticed ends by itself: it can be asked for again.
        let response = request.header(CONTENT_TYPE, kind).body(body).send().await.map_err(|error| NoToken::Later {
            message: format!("logging in at {}: {}", self.place, chain(error)),
            retry_after: None,
        })?;
        Ok(Reply::read(response, ANSWER_BYTES_MAX).await)
    }

    /// The token or the cookies of an answer.
    fn read(&self, reply: &Reply) -> Result<Token, NoToken> {
        let status = reply.status;
        // A login for people answers with the way to its first page, and the cookies of the session.
        let leads_on = self.token.is_none() && status.is_redirection();
        if !status.is_success() && !leads_on {
            let words = format!("logging in at {}: {}", self.place, reply.in_words(&self.redact));
            return Err(if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) {
                NoToken::Later { message: words, retry_after: reply.retry_after() }
            } else {
                NoToken::Refused { message: format!("{words}; check auth.session: login_url and body") }
            });
        }
        let refused = |what: &str| NoToken::Refused {
            message: format!("logging in at {}: answered {status}, but {what}; check auth.session", self.place),
        };
        let Some(path) = &self.token else {
            let cookies = cookies(&reply.headers).ok_or_else(|| refused("set no cookie, and no `token` says more"))?;
            return Token::new(SecretString::from(cookies.as_str()), COOKIE, &cookies);
        };
        if let ReplyBody::Cut(reason) = &reply.body {
            let message = format!("logging in at {}: the answer broke off: {reason}", self.place);
            return Err(NoToken::Later { message, retry_after: None });
        }
        let body: Value = serde_json::from_slice(reply.bytes()).map_err(|_| refused("not with JSON"))?;
        let token = match path.query(&body).first() {
            Some(Value::String(text)) if !text.is_empty() => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => return Err(refused(&format!("has no text at `{path}`"))),
        };
        match &self.header {
            Some(name) => Token::new(SecretString::from(token.as_str()), name.clone(), &token),
            None => Token::new(SecretString::from(token.as_str()), AUTHORIZATION, &format!("Bearer {token}")),
        }
    }
}

/// The cookies that an answer sets, as a request gives them back.
fn cookies(headers: &HeaderMap) -> Option<String> {
    let set = headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs: Vec<&str> =
        set.filter_map(|text| text.split(';').next()).map(str::trim).filter(|pair| pair.contains('=')).collect();
    (!pairs.is_empty()).then(|| pairs.join("; "))
}
