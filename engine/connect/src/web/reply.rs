//! Answers of HTTP servers, and their words without secrets.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::redact::Redactor;

/// Characters of a foreign text that a message quotes.
pub(crate) const QUOTE_CHARS_MAX: usize = 300;

/// An answer, read to its end as far as that is sensible.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: ReplyBody,
}

#[derive(Debug)]
pub(crate) enum ReplyBody {
    Whole(Vec<u8>),
    TooLong,
    /// The connection broke or the time ran out; with the reason.
    Cut(String),
}

impl Reply {
    /// Reads an answer to its end, or to a limit.
    pub async fn read(mut response: Response, bytes_max: usize) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut bytes = Vec::new();
        let body = loop {
            match response.chunk().await {
                Ok(Some(chunk)) if bytes.len() + chunk.len() > bytes_max => break ReplyBody::TooLong,
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => break ReplyBody::Whole(bytes),
                Err(error) => break ReplyBody::Cut(chain(error)),
            }
        };
        Self { status, headers, body }
    }

    pub fn bytes(&self) -> &[u8] {
        match &self.body {
            ReplyBody::Whole(bytes) => bytes,
            ReplyBody::TooLong | ReplyBody::Cut(_) => &[],
        }
    }

    /// Whether it is a web page, whatever was asked for.
    pub fn is_html(&self) -> bool {
        let declared = self.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        declared || self.bytes().trim_ascii_start().starts_with(b"<")
    }

    /// Whether it says that it is JSON.
    pub fn is_json(&self) -> bool {
        let declared = self.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().ends_with("json")
    }

    /// `answered 503 Service Unavailable: the message in the body`.
    pub fn in_words(&self, redact: &Redactor) -> String {
        let mut words = format!("answered {}", self.status);
        let body = String::from_utf8_lossy(self.bytes());
        let said = match serde_json::from_str(&body) {
            Ok(Value::Object(members)) => ["message", "detail", "error_description", "error", "title"]
                .iter()
                .find_map(|name| members.get(*name).and_then(Value::as_str).map(str::to_owned))
                .unwrap_or_else(|| body.into_owned()),
            _ => body.into_owned(),
        };
        let said = redact.clean(&said);
        if !said.is_empty() {
            words.push_str(": ");
            words.push_str(&said);
        }
        words
    }

    /// How long the server asks to wait. A date is compared with the server's own clock where it tells it, because
    /// the clock of a device may be wrong.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = |name| self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let asked = text(RETRY_AFTER)?;
        if let Ok(seconds) = asked.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = |text| DateTimeParser::new().parse_timestamp(text).ok();
        let now = text(DATE).and_then(date).unwrap_or_else(Timestamp::now);
        Some(date(asked)?.duration_since(now).try_into().unwrap_or(Duration::ZERO))
    }
}

impl Redactor {
    /// The text in one line, without secrets, and cut where it is long.
    pub fn clean(&self, text: &str) -> String {
        let text = self.strike(text);
        let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        let line = words.collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(QUOTE_CHARS_MAX) {
            Some((end, _)) => format!("{} …", &line[..end]),
            None => line,
        }
    }
}

/// An error with its causes, without the address: its query may carry a key.
pub(crate) fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !words.ends_with(&said) {
            words.push_str(": ");
            words.push_str(&said);
        }
        cause = error.source();
    }
    words
}
