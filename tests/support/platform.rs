//! A platform that keeps what it is sent, checks every request against the contract, and fails as it is told.
//!
//! It is an HTTP/1.1 server on a free port of the loopback, one thread a connection. Faults come from a script, one
//! for each delivery, in order; when the script is at its end, everything is served. Rules hold until they are changed.

mod wire;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use self::wire::{answer, answer_bytes, decoded, read_body, read_head};
use crate::contract::Contract;

/// Bytes of an answer that drips, at a time.
const DRIP_BYTES: usize = 16;
/// Pause between two drips.
const DRIP_PAUSE: Duration = Duration::from_millis(1);
/// Path under which tokens are given out; every other path takes deliveries.
pub const TOKEN_PATH: &str = "/token";

/// What happens to one delivery.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing bad.
    Serve,
    /// An answer of this status, with headers and a body; nothing is applied.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// The request is read, and nothing happens until the client gives up.
    Stall,
    /// The delivery is applied, and nothing is answered until the client gives up.
    StallAfterApply,
    /// The connection ends after the head of the request.
    CutBeforeBody,
    /// The connection ends after half of the request's body.
    CutMidBody,
    /// The delivery is applied, and the connection ends without an answer.
    CutAfterApply,
    /// The delivery is applied, and the connection ends in the middle of the answer.
    CutMidAnswer,
    /// The delivery is applied, and the answer comes in drips.
    Drip,
    /// The delivery is applied, and the answer is 409, as to a replay.
    Conflict,
}

impl Fault {
    /// An answer with nothing but a status.
    pub fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), String::new())
    }

    /// 429 with `Retry-After` in seconds.
    pub fn too_many(retry_after_seconds: u32) -> Self {
        Self::Answer(429, vec![("Retry-After", retry_after_seconds.to_string())], String::new())
    }
}

/// One delivery as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Bytes of the body as it came over the wire.
    pub wire_bytes: usize,
    /// The body, decompressed; null if it did not come in full.
    pub body: Value,
}

impl Request {
    /// Ids of the records, in order.
    pub fn ids(&self) -> Vec<String> {
        records(&self.body).iter().map(|record| id_of(record).to_owned()).collect()
    }

    /// The idempotency key; empty without one.
    pub fn key(&self) -> &str {
        self.headers.get("idempotency-key").map_or("", String::as_str)
    }
}

#[derive(Default)]
struct Rules {
    invalid: BTreeSet<String>,
    rejected: BTreeSet<String>,
    max_bytes: Option<usize>,
    header: Option<(String, String)>,
    oauth: Option<OAuth>,
    forgets_keys: bool,
}

struct OAuth {
    secret_in_body: bool,
    seconds: Option<u64>,
    issued: usize,
    valid: Option<String>,
}

#[derive(Default)]
struct Inner {
    script: VecDeque<Fault>,
    rules: Rules,
    state: BTreeMap<String, Value>,
    requests: Vec<Request>,
    /// By key: the body, and the answer to it.
    applied: HashMap<String, (Vec<u8>, String)>,
    records: usize,
    doubles: usize,
    replays: usize,
    /// The greatest number of a lease so far, by pipeline.
    fences: HashMap<String, i64>,
    stale: usize,
    violations: Vec<String>,
    connections: Vec<TcpStream>,
}

struct Shared {
    inner: Mutex<Inner>,
    contract: Contract,
    tls: Option<Arc<ServerConfig>>,
    stopping: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic of one connection is a finding of its own; the others still tell what they saw.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running platform. It stops when it is dropped.
pub struct Platform {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

impl Platform {
    /// Starts one that serves everything.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts one that speaks TLS; the certificate must be of `localhost`.
    pub fn start_tls(config: ServerConfig) -> Self {
        Self::start_with(Some(Arc::new(config)))
    }

    fn start_with(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            inner: Mutex::default(),
            contract: Contract::load(),
            tls,
            stopping: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        let acceptor = thread::spawn(move || accept(&listener, &accepting));
        Self { shared, address, acceptor: Some(acceptor) }
    }

    /// Where deliveries go.
    pub fn url(&self) -> String {
        format!("{}/deliveries", self.base())
    }

    /// Where tokens are given out.
    pub fn token_url(&self) -> String {
        format!("{}{TOKEN_PATH}", self.base())
    }

    fn base(&self) -> String {
        match self.shared.tls {
            Some(_) => format!("https://localhost:{}", self.address.port()),
            None => format!("http://{}", self.address),
        }
    }

    /// Appends faults for the deliveries to come.
    pub fn script(&self, faults: Vec<Fault>) -> &Self {
        self.shared.lock().script.extend(faults);
        self
    }

    /// Answers 422 to every parcel that holds one of these records, from now on.
    pub fn refuse_parcels_with<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> &Self {
        self.shared.lock().rules.invalid = ids.into_iter().map(str::to_owned).collect();
        self
    }

    /// Rejects these records one by one, from now on.
    pub fn reject_records<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> &Self {
        self.shared.lock().rules.rejected = ids.into_iter().map(str::to_owned).collect();
        self
    }

    /// Answers 413 to bodies above this many bytes, from now on.
    pub fn limit_bytes(&self, most: usize) -> &Self {
        self.shared.lock().rules.max_bytes = Some(most);
        self
    }

    /// Answers 401 to deliveries without this header, from now on. The answer echoes what came, as careless servers do.
    pub fn require_header(&self, name: &str, value: &str) -> &Self {
        self.shared.lock().rules.header = Some((name.to_lowercase(), value.to_owned()));
        self
    }

    /// Gives out tokens of this life, and answers 401 to deliveries without the one that is valid.
    pub fn require_oauth(&self, secret_in_body: bool, seconds: Option<u64>) -> &Self {
        self.shared.lock().rules.oauth = Some(OAuth { secret_in_body, seconds, issued: 0, valid: None });
        self
    }

    /// Withdraws the token that was given out last.
    pub fn withdraw_token(&self) -> &Self {
        if let Some(oauth) = &mut self.shared.lock().rules.oauth {
            oauth.valid = None;
        }
        self
    }

    /// Tokens given out so far.
    pub fn tokens_issued(&self) -> usize {
        self.shared.lock().rules.oauth.as_ref().map_or(0, |oauth| oauth.issued)
    }

    /// Forgets idempotency keys at once, from now on: a replay is applied again.
    pub fn forget_keys(&self) -> &Self {
        self.shared.lock().rules.forgets_keys = true;
        self
    }

    /// The records that stand, by id, without `op`.
    pub fn state(&self) -> BTreeMap<String, Value> {
        self.shared.lock().state.clone()
    }

    /// The deliveries so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// Records applied so far, replays of a remembered key not counted.
    pub fn records(&self) -> usize {
        self.shared.lock().records
    }

    /// Records applied that changed nothing.
    pub fn doubles(&self) -> usize {
        self.shared.lock().doubles
    }

    /// Deliveries that came again under a remembered key.
    pub fn replays(&self) -> usize {
        self.shared.lock().replays
    }

    /// The greatest number of a lease under which a pipeline has delivered.
    pub fn greatest_fence(&self, pipeline: &str) -> Option<i64> {
        self.shared.lock().fences.get(pipeline).copied()
    }

    /// Deliveries refused because another engine has delivered of the same pipeline since the sender took it.
    pub fn stale(&self) -> usize {
        self.shared.lock().stale
    }

    /// Everything so far that the contract does not allow.
    pub fn violations(&self) -> Vec<String> {
        self.shared.lock().violations.clone()
    }

    /// Panics if anything came that the contract does not allow.
    pub fn assert_contract(&self) {
        let violations = self.violations();
        assert!(violations.is_empty(), "against the contract:\n{}", violations.join("\n"));
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        let Ok(stream) = stream else { continue };
        if let Ok(handle) = stream.try_clone() {
            shared.lock().connections.push(handle);
        }
        let shared = Arc::clone(shared);
        threads.push(thread::spawn(move || {
            let socket = stream.try_clone();
            // A client may go away at any time: that is its right, and no finding.
            drop(match &shared.tls {
                None => serve(stream, &shared),
                Some(config) => ServerConnection::new(Arc::clone(config))
                    .map_err(io::Error::other)
                    .and_then(|tls| serve(StreamOwned::new(tls, stream), &shared)),
            });
            // The list of connections holds the socket open.
            drop(socket.and_then(|socket| socket.shutdown(Shutdown::Both)));
        }));
    }
    for connection in shared.lock().connections.drain(..) {
        drop(connection.shutdown(Shutdown::Both));
    }
    for thread in threads {
        drop(thread.join());
    }
}

/// Serves requests until the client goes away or a fault ends the connection.
fn serve(stream: impl Read + Write, shared: &Shared) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some((mut request, length)) = read_head(&mut stream)? {
        if request.path == TOKEN_PATH {
            let body = read_body(&mut stream, length)?;
            let (status, body) = give_token(&mut shared.lock(), &request, &body);
            answer(stream.get_mut(), status, &[], &body)?;
            continue;
        }
        let fault = shared.lock().script.pop_front().unwrap_or(Fault::Serve);
        let wanted = match fault {
            Fault::CutBeforeBody => 0,
            Fault::CutMidBody => length / 2,
            _ => length,
        };
        let wire = read_body(&mut stream, wanted)?;
        if wanted < length {
            shared.lock().requests.push(request);
            return Ok(());
        }
        request.wire_bytes = length;
        let text = decoded(&request, wire);
        let mut inner = shared.lock();
        let inner_mut = &mut *inner;
        check(&mut request, &text, &shared.contract, inner_mut);
        inner_mut.requests.push(request.clone());
        if let Fault::Answer(status, headers, body) = fault {
            drop(inner);
            answer(stream.get_mut(), status, &headers, &body)?;
            continue;
        }
        if matches!(fault, Fault::Stall) {
            drop(inner);
            return wait_for_the_end(&mut stream);
        }
        let (status, headers, body) = take(inner_mut, &request, &text, &shared.contract);
        drop(inner);
        match fault {
            Fault::StallAfterApply => return wait_for_the_end(&mut stream),
            Fault::CutAfterApply => return Ok(()),
            Fault::CutMidAnswer => {
                let whole = answer_bytes(status, &headers, &body);
                stream.get_mut().write_all(&whole[..whole.len() - body.len() / 2 - 1])?;
                return stream.get_mut().flush();
            }
            Fault::Drip => {
                for drip in answer_bytes(status, &headers, &body).chunks(DRIP_BYTES) {
                    stream.get_mut().write_all(drip)?;
                    stream.get_mut().flush()?;
                    thread::sleep(DRIP_PAUSE);
                }
            }
            Fault::Conflict => answer(stream.get_mut(), 409, &headers, &body)?,
            _ => answer(stream.get_mut(), status, &headers, &body)?,
        }
    }
    Ok(())
}

fn wait_for_the_end(stream: &mut impl Read) -> io::Result<()> {
    io::copy(stream, &mut io::sink()).map(drop)
}

/// Checks a request against the contract, and puts its body into it.
fn check(request: &mut Request, text: &Result<Vec<u8>, String>, contract: &Contract, inner: &mut Inner) {
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

type Reply = (u16, Vec<(&'static str, String)>, String);

/// Decides on a delivery by the rules, and applies it.
fn take(inner: &mut Inner, request: &Request, text: &Result<Vec<u8>, String>, contract: &Contract) -> Reply {
    let problem = |status, message: String| (status, Vec::new(), json!({ "message": message }).to_string());
    let rules = &inner.rules;
    if let Some((name, value)) = &rules.header
        && request.headers.get(name) != Some(value)
    {
        return problem(401, format!("{name} {:?} is not right", request.headers.get(name)));
    }
    if let Some(oauth) = &rules.oauth {
        let bearer = oauth.valid.as_ref().map(|token| format!("Bearer {token}"));
        if bearer.is_none() || request.headers.get("authorization") != bearer.as_ref() {
            return problem(401, format!("not a valid token: {:?}", request.headers.get("authorization")));
        }
    }
    if rules.max_bytes.is_some_and(|most| request.wire_bytes > most) {
        return problem(413, "too large".to_owned());
    }
    let Ok(text) = text else {
        return problem(400, "unreadable".to_owned());
    };
    if let Some(fence) = request.headers.get("fencing-number").and_then(|fence| fence.parse::<i64>().ok()) {
        let pipeline = request.body["pipeline"].as_str().unwrap_or_default();
        let greatest = inner.fences.entry(pipeline.to_owned()).or_insert(fence);
        if fence < *greatest {
            inner.stale += 1;
            return problem(412, format!("lease {fence} of {pipeline} is over: {greatest} has delivered since"));
        }
        *greatest = fence;
    }
    if let Some((body, reply)) = inner.applied.get(request.key()) {
        inner.replays += 1;
        if body != text {
            let what = format!("key {} came again with another body", request.key());
            inner.violations.push(what.clone());
            return problem(422, what);
        }
        return (200, vec![("Idempotency-Replayed", "true".to_owned())], reply.clone());
    }
    let records = records(&request.body);
    if let Some(bad) = records.iter().map(id_of).find(|id| rules.invalid.contains(*id)) {
        return problem(422, format!("record {bad} cannot be taken"));
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
        let mut standing = record.clone();
        let op = standing.as_object_mut().and_then(|members| members.remove("op"));
        let changed_nothing = if op.as_ref().and_then(Value::as_str) == Some("delete") {
            inner.state.remove(id).is_none()
        } else {
            inner.state.insert(id.to_owned(), standing.clone()) == Some(standing)
        };
        inner.doubles += usize::from(changed_nothing);
    }
    let reply = json!({ "results": results });
    inner.violations.extend(contract.check_results(&reply).into_iter().map(|what| format!("the stand-in: {what}")));
    let reply = reply.to_string();
    if !inner.rules.forgets_keys {
        inner.applied.insert(request.key().to_owned(), (text.clone(), reply.clone()));
    }
    (200, Vec::new(), reply)
}

fn give_token(inner: &mut Inner, request: &Request, body: &[u8]) -> (u16, String) {
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

fn records(body: &Value) -> &[Value] {
    body["records"].as_array().map_or(&[], Vec::as_slice)
}

fn id_of(record: &Value) -> &str {
    record.get("run_id").or_else(|| record.get("row_id")).and_then(Value::as_str).unwrap_or_default()
}
