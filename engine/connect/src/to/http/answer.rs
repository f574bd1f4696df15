//! What an HTTP answer means for a parcel.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use engine_core::ports::{Answer, Parcel, RejectedRecord};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

/// Bytes of an answer that are read; a longer one is no delivery answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Characters of a foreign text that a message quotes.
const QUOTE_CHARS_MAX: usize = 300;
/// Code of a rejected record to which the destination gave none.
const CODE_REJECTED: &str = "rejected";

/// An answer, read to its end as far as that is sensible.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: ReplyBody,
}

#[derive(Debug)]
pub(super) enum ReplyBody {
    Whole(Vec<u8>),
    TooLong,
    /// The connection broke or the time ran out; with the reason.
    Cut(String),
}

impl Reply {
    pub async fn read(mut response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut bytes = Vec::new();
        let body = loop {
            match response.chunk().await {
                Ok(Some(chunk)) if bytes.len() + chunk.len() > ANSWER_BYTES_MAX => break ReplyBody::TooLong,
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

    fn is_html(&self) -> bool {
        let declared = self.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        declared || self.bytes().trim_ascii_start().starts_with(b"<")
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

    /// The meaning of the answer to a parcel. `place` is `host:port`.
    pub fn meaning(&self, parcel: &Parcel, place: &str, redact: &Redactor) -> Answer {
        let say = |hint: &str| format!("{place} {}{hint}", self.in_words(redact));
        let status = self.status.as_u16();
        match status {
            200..=299 | 409 => self.acceptance(parcel, place, redact),
            400 | 422 => Answer::Invalid { message: say("") },
            413 => Answer::TooLarge,
            401 | 403 => Answer::Refused { message: say("; check the login of the destination and its rights") },
            408 | 425 | 429 | 500..=599 => Answer::Later { message: say(""), retry_after: self.retry_after() },
            300..=399 => {
                let target = self.headers.get(LOCATION).and_then(|target| target.to_str().ok());
                let target = target.and_then(|target| Url::parse(target).ok());
                let target = target.and_then(|url| url.host_str().map(str::to_owned));
                let target = target.map(|host| format!(" to {host}")).unwrap_or_default();
                let hint = format!(
                    "; it is a redirect{target}, and none is followed, so that a login never reaches another host: \
                     put the final address into destination.url"
                );
                Answer::Refused { message: say(&hint) }
            }
            404 | 405 | 410 => Answer::Refused { message: say("; check destination.url and destination.method") },
            407 => Answer::Refused { message: say("; the proxy on the way asks for a login") },
            _ => Answer::Refused { message: say("; the endpoint does not take deliveries of this form") },
        }
    }

    fn acceptance(&self, parcel: &Parcel, place: &str, redact: &Redactor) -> Answer {
        let not_a_delivery = |what: &str| Answer::Refused {
            message: format!(
                "{place} answered {}, but {}: nothing counts as delivered; check destination.url, and whether a proxy \
                 or a login page answers in its place",
                self.status,
                redact.clean(what)
            ),
        };
        match &self.body {
            ReplyBody::Cut(reason) => {
                let message = format!("{place} answered {}, and the answer broke off: {reason}", self.status);
                return Answer::Unknown { message: redact.clean(&message) };
            }
            ReplyBody::TooLong => {
                return not_a_delivery(&format!("the answer is longer than {ANSWER_BYTES_MAX} bytes"));
            }
            ReplyBody::Whole(_) => {}
        }
        if self.is_html() {
            return not_a_delivery("with a web page");
        }
        // An answer in other words than JSON, or without results, accepts everything.
        let Ok(Value::Object(mut members)) = serde_json::from_slice(self.bytes()) else {
            return Answer::Accepted { rejected: Vec::new() };
        };
        let Some(results) = members.remove("results") else {
            return Answer::Accepted { rejected: Vec::new() };
        };
        let rejected = serde_json::from_value(results)
            .map_err(|error| format!("its results are not understood ({error})"))
            .and_then(|results| rejected(results, parcel, redact));
        match rejected {
            Ok(rejected) => Answer::Accepted { rejected },
            Err(what) => not_a_delivery(&what),
        }
    }
}

/// What became of one record.
#[derive(Debug, Deserialize)]
struct RecordResult {
    #[serde(alias = "row_id")]
    run_id: Option<String>,
    status: RecordStatus,
    code: Option<String>,
    message: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RecordStatus {
    Accepted,
    Rejected,
}

/// The rejected records among the results, which name a record by its id, or else by their place among all.
fn rejected(results: Vec<RecordResult>, parcel: &Parcel, redact: &Redactor) -> Result<Vec<RejectedRecord>, String> {
    let by_place = results.len() == parcel.records.len();
    let mut places: HashMap<&str, VecDeque<usize>> = HashMap::new();
    for (index, record) in parcel.records.iter().enumerate() {
        places.entry(&record.id).or_default().push_back(index);
    }
    let mut rejected = Vec::new();
    for (place, result) in results.into_iter().enumerate() {
        // Two records of one id in a parcel are answered in their order.
        let index = match &result.run_id {
            Some(id) => places.get_mut(id.as_str()).and_then(VecDeque::pop_front),
            None => by_place.then_some(place),
        };
        if result.status == RecordStatus::Accepted {
            continue;
        }
        let index = index.ok_or_else(|| match &result.run_id {
            Some(id) => format!("it rejects the record {id:?}, which was not sent"),
            None => "its results name no ids and are not as many as the records".to_owned(),
        })?;
        rejected.push(RejectedRecord {
            index,
            code: redact.clean(result.code.as_deref().unwrap_or(CODE_REJECTED)),
            message: redact.clean(result.message.as_deref().unwrap_or_default()),
        });
    }
    Ok(rejected)
}

/// Takes the secrets of a request out of foreign texts, which may echo them, and cuts long ones.
#[derive(Debug, Default)]
pub(super) struct Redactor {
    secrets: Vec<SecretString>,
}

impl Redactor {
    pub fn add(&mut self, secret: &SecretString) {
        let text = secret.expose_secret();
        if !text.is_empty() && self.secrets.iter().all(|known| known.expose_secret() != text) {
            self.secrets.push(secret.clone());
            // Longer ones first: the rest of a secret that holds another one would stay.
            self.secrets.sort_by_key(|known| std::cmp::Reverse(known.expose_secret().len()));
        }
    }

    /// The text in one line, without secrets.
    pub fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret.expose_secret(), "***");
        }
        let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        let line = words.collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(QUOTE_CHARS_MAX) {
            Some((end, _)) => format!("{} …", &line[..end]),
            None => line,
        }
    }
}

/// An error with its causes, without the address: its query may carry a key.
pub(super) fn chain(error: reqwest::Error) -> String {
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

#[cfg(test)]
mod tests;
