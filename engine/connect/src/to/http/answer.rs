//! What an HTTP answer means for a parcel.

use std::collections::{HashMap, VecDeque};

use engine_core::ports::{Answer, Parcel, RejectedRecord};
use reqwest::Url;
use reqwest::header::LOCATION;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::web::{Redactor, Reply, ReplyBody};

/// Bytes of an answer that are read; a longer one is no delivery answer.
pub(super) const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Code of a rejected record to which the destination gave none.
const CODE_REJECTED: &str = "rejected";

impl Reply {
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
        let mut members = match serde_json::from_slice(self.bytes()) {
            Ok(Value::Object(members)) => members,
            // It may have named records that it rejects.
            Err(error) if self.is_json() && !self.bytes().is_empty() => {
                return not_a_delivery(&format!("with JSON that cannot be read ({error})"));
            }
            // An answer in other words than JSON, or without results, accepts everything.
            _ => return Answer::Accepted { rejected: Vec::new() },
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
    if results.iter().all(|result| result.status == RecordStatus::Accepted) {
        return Ok(Vec::new());
    }
    let by_place = results.len() == parcel.records.len();
    let mut places: HashMap<Uuid, VecDeque<usize>> = HashMap::new();
    for (index, record) in parcel.records.iter().enumerate() {
        places.entry(record.id).or_default().push_back(index);
    }
    let mut rejected = Vec::new();
    let mut seen = vec![false; parcel.records.len()];
    for (place, result) in results.into_iter().enumerate() {
        // Two records of one id in a parcel are answered in their order.
        let index = match &result.run_id {
            // Whatever the case of its digits: not every platform writes them as they came.
            Some(id) => Uuid::parse_str(id).ok().and_then(|id| places.get_mut(&id)?.pop_front()),
            None => by_place.then_some(place),
        };
        if result.status == RecordStatus::Accepted {
            continue;
        }
        let index = index.ok_or_else(|| match &result.run_id {
            Some(id) => format!("it rejects the record {id:?}, which was not sent"),
            None => "its results name no ids and are not as many as the records".to_owned(),
        })?;
        // Named by its id and by its place, it is one record all the same.
        if std::mem::replace(&mut seen[index], true) {
            continue;
        }
        rejected.push(RejectedRecord {
            index,
            code: redact.clean(result.code.as_deref().unwrap_or(CODE_REJECTED)),
            message: redact.clean(result.message.as_deref().unwrap_or_default()),
        });
    }
    Ok(rejected)
}

#[cfg(test)]
mod tests;
