//! What a platform makes of a delivery: the checks against the contract, the rules, and what stands afterwards.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Applied, Inner, Request};
use crate::contract::Contract;

/// Checks a request against the contract, and puts its body into it.
pub(super) fn check(request: &mut Request, text: &Result<Vec<u8>, String>, contract: &Contract, inner: &mut Inner) {
    let mut found = Vec::new();
    match text
        .as_ref()
        .map_err(String::clone)
        .and_then(|text| serde_json::from_slice(text).map_err(|error| format!("the body is no JSON: {error}")))
    {
        Ok(body) => {
            found.extend(contract.check_delivery(&body));
            request.body = body;
        }
        Err(error) => found.push(error),
    }
    let key = request.key();
    let key_length = "aa6a4d5a-3b46-5fa6-8435-9c3bd631dfe0".len();
    if key.len() != key_length || !key.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()) {
        found.push(format!("Idempotency-Key {key:?} is no UUID"));
    }
    if request.headers.get("content-type").map(String::as_str) != Some("application/json") {
        found.push("Content-Type is not application/json".to_owned());
    }
    if !request.headers.contains_key("user-agent") {
        found.push("no User-Agent".to_owned());
    }
    let number = inner.requests.len() + 1;
    inner.violations.extend(found.into_iter().map(|what| format!("delivery {number}: {what}")));
}

pub(super) type Reply = (u16, Vec<(&'static str, String)>, String);

fn problem(status: u16, message: &str) -> Reply {
    (status, Vec::new(), json!({ "message": message }).to_string())
}

/// The answer to a request without the login that the rules ask for.
fn refused(inner: &Inner, request: &Request) -> Option<Reply> {
    if let Some((name, value)) = &inner.rules.header
        && request.headers.get(name) != Some(value)
    {
        return Some(problem(401, &format!("{name} {:?} is not right", request.headers.get(name))));
    }
    if let Some(oauth) = &inner.rules.oauth {
        let bearer = oauth.valid.as_ref().map(|token| format!("Bearer {token}"));
        if bearer.is_none() || request.headers.get("authorization") != bearer.as_ref() {
            return Some(problem(401, &format!("not a valid token: {:?}", request.headers.get("authorization"))));
        }
    }
    None
}

/// Answers who only looks.
pub(super) fn greet(inner: &mut Inner, request: &Request) -> Reply {
    inner.greetings += 1;
    if let Some(refusal) = refused(inner, request) {
        return refusal;
    }
    let (status, date) = inner.rules.greeting.clone().unwrap_or((405, None));
    (status, date.map(|date| ("Date", date)).into_iter().collect(), "{}".to_owned())
}

/// Decides on a delivery by the rules, and applies it.
///
/// `number` is that of the request, from zero.
pub(super) fn take(
    inner: &mut Inner,
    number: usize,
    request: &Request,
    text: &Result<Vec<u8>, String>,
    contract: &Contract,
) -> Reply {
    if let Some(refusal) = refused(inner, request) {
        return refusal;
    }
    let rules = &inner.rules;
    if rules.max_bytes.is_some_and(|most| request.wire_bytes > most) {
        return problem(413, "too large");
    }
    let Ok(text) = text else {
        return problem(400, "unreadable");
    };
    if let Some(fence) = request.headers.get("fencing-number").and_then(|fence| fence.parse::<i64>().ok()) {
        let pipeline = request.body["pipeline"].as_str().unwrap_or_default();
        let greatest = inner.fences.entry(pipeline.to_owned()).or_insert(fence);
        if fence < *greatest {
            inner.stale += 1;
            return problem(412, &format!("lease {fence} of {pipeline} is over: {greatest} has delivered since"));
        }
        *greatest = fence;
    }
    if let Some((body, reply)) = inner.applied.get(request.key()) {
        inner.replays += 1;
        if body != text {
            let what = format!("key {} came again with another body", request.key());
            inner.violations.push(what.clone());
            return problem(422, &what);
        }
        return (200, vec![("Idempotency-Replayed", "true".to_owned())], reply.clone());
    }
    let records = records(&request.body);
    if let Some(bad) = records.iter().map(id_of).find(|id| rules.invalid.contains(*id)) {
        return problem(422, &format!("record {bad} cannot be taken"));
    }
    let mut results = Vec::new();
    for record in records {
        let (id, id_name) = (id_of(record), if record.get("run_id").is_some() { "run_id" } else { "row_id" });
        if inner.rules.rejected.contains(id) {
            results.push(json!({ id_name: id, "status": "rejected", "code": "not_wanted", "message": "by rule" }));
            continue;
        }
        results.push(json!({ id_name: id, "status": "accepted" }));
        inner.records += 1;
        if put(&mut inner.state, record) {
            inner.doubles.push((number, id.to_owned()));
        }
    }
    let reply = json!({ "results": results });
    inner.violations.extend(contract.check_results(&reply).into_iter().map(|what| format!("the stand-in: {what}")));
    let reply = reply.to_string();
    if !inner.rules.forgets_keys {
        inner.applied.insert(request.key().to_owned(), (text.clone(), reply.clone()));
    }
    let mark = inner.marker.as_ref().map_or(0, |mark| mark());
    inner.history.push(Applied { mark, request: request.clone(), text: text.clone(), reply: reply.clone() });
    (200, Vec::new(), reply)
}

/// Puts one record in its place; whether that changed nothing.
pub(super) fn put(state: &mut BTreeMap<String, Value>, record: &Value) -> bool {
    let id = id_of(record);
    let mut standing = record.clone();
    let op = standing.as_object_mut().and_then(|members| members.remove("op"));
    if op.as_ref().and_then(Value::as_str) == Some("delete") {
        state.remove(id).is_none()
    } else {
        state.insert(id.to_owned(), standing.clone()) == Some(standing)
    }
}

pub(super) fn give_token(inner: &mut Inner, request: &Request, body: &[u8]) -> (u16, String) {
    let Some(oauth) = &mut inner.rules.oauth else {
        return (404, String::new());
    };
    let body = String::from_utf8_lossy(body);
    let secret_in_body = body.contains("client_secret=");
    if !body.contains("grant_type=client_credentials")
        || secret_in_body != oauth.secret_in_body
        || secret_in_body == request.headers.contains_key("authorization")
    {
        return (401, json!({ "error": "invalid_client", "error_description": body }).to_string());
    }
    oauth.issued += 1;
    let token = format!("token-{}", oauth.issued);
    oauth.valid = Some(token.clone());
    let mut reply = json!({ "access_token": token, "token_type": "Bearer" });
    if let Some(seconds) = oauth.seconds {
        reply["expires_in"] = json!(seconds);
    }
    (200, reply.to_string())
}

pub(super) fn records(body: &Value) -> &[Value] {
    body["records"].as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn id_of(record: &Value) -> &str {
    record.get("run_id").or_else(|| record.get("row_id")).and_then(Value::as_str).unwrap_or_default()
}
