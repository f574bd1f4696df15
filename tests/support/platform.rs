//! A platform that keeps what it is sent, checks every request against the contract, and fails as it is told.
//!
//! It is an HTTP/1.1 server on a free port of the loopback, one thread a connection. Faults come from a script, one
//! for each delivery, in order; when the script is at its end, everything is served. Rules hold until they are changed.

mod decide;
pub(crate) mod wire;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use self::decide::{check, give_token, greet, id_of, put, records, take};
use self::wire::{answer, answer_bytes, decoded, read_body, read_head};
use crate::binary::await_that;
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
    /// The delivery is applied and answered, after a while.
    Wait(Duration),
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
    /// Whether it was applied, now or before, and all of the answer that says so was handed to the network.
    pub answered: bool,
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
    /// Status and `Date` for who only looks.
    greeting: Option<(u16, Option<String>)>,
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
    /// Records that changed nothing: the number of the delivery, from zero, and the record's id.
    doubles: Vec<(usize, String)>,
    history: Vec<Applied>,
    marker: Option<Box<dyn Fn() -> u64 + Send>>,
    open: usize,
    replays: usize,
    /// The greatest number of a lease so far, by pipeline.
    fences: HashMap<String, i64>,
    stale: usize,
    /// Requests that only looked.
    greetings: usize,
    violations: Vec<String>,
    connections: Vec<TcpStream>,
}

/// A delivery that was applied.
#[derive(Clone)]
struct Applied {
    /// What the marker said when it was applied.
    mark: u64,
    request: Request,
    text: Vec<u8>,
    reply: String,
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

    /// The port of the loopback on which it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
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

    /// Forgets the faults that are still to come.
    pub fn calm(&self) -> &Self {
        self.shared.lock().script.clear();
        self
    }

    /// Stops and starts again: connections end, and keys that were remembered are forgotten.
    pub fn restart(&self) -> &Self {
        let mut inner = self.shared.lock();
        inner.applied.clear();
        for connection in inner.connections.drain(..) {
            drop(connection.shutdown(Shutdown::Both));
        }
        self
    }

    /// Waits until no connection is open: what a client sent before it died has arrived.
    pub fn await_idle(&self) {
        await_that("the platform has served what was sent", || self.shared.lock().open == 0);
    }

    /// From now on, notes what this says whenever a delivery is applied.
    pub fn mark_with(&self, marker: impl Fn() -> u64 + Send + 'static) -> &Self {
        self.shared.lock().marker = Some(Box::new(marker));
        self
    }

    /// Another platform, as this one was when the marker had said no more than `mark`.
    pub fn as_of(&self, mark: u64) -> Self {
        let then = Self::start();
        for applied in self.history_until(mark) {
            let mut inner = then.shared.lock();
            for record in records(&applied.request.body) {
                put(&mut inner.state, record);
            }
            inner.applied.insert(applied.request.key().to_owned(), (applied.text, applied.reply));
        }
        then
    }

    /// The records that stood when the marker had said no more than `mark`.
    pub fn state_as_of(&self, mark: u64) -> BTreeMap<String, Value> {
        let mut state = BTreeMap::new();
        for applied in self.history_until(mark) {
            for record in records(&applied.request.body) {
                put(&mut state, record);
            }
        }
        state
    }

    fn history_until(&self, mark: u64) -> Vec<Applied> {
        self.shared.lock().history.iter().filter(|applied| applied.mark <= mark).cloned().collect()
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

    /// Answers this to whoever only looks, instead of 405, from now on; with this `Date`.
    pub fn greet_with(&self, status: u16, date: Option<&str>) -> &Self {
        self.shared.lock().rules.greeting = Some((status, date.map(str::to_owned)));
        self
    }

    /// How often somebody looked, without a delivery.
    pub fn greetings(&self) -> usize {
        self.shared.lock().greetings
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
        self.shared.lock().doubles.len()
    }

    /// The upserts that changed nothing: the number of the delivery, from zero, and the record's id. A record that is
    /// deleted before it was ever delivered is nothing that was sent again.
    pub fn doubled(&self) -> Vec<(usize, String)> {
        let inner = self.shared.lock();
        let stands = |(_, id): &&(usize, String)| inner.state.contains_key(id);
        inner.doubles.iter().filter(stands).cloned().collect()
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
        shared.lock().open += 1;
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
            shared.lock().open -= 1;
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
        if request.method == "GET" {
            read_body(&mut stream, length)?;
            let (status, headers, body) = greet(&mut shared.lock(), &request);
            answer(stream.get_mut(), status, &headers, &body)?;
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
        let number = inner_mut.requests.len() - 1;
        if let Fault::Wait(pause) = fault {
            drop(inner);
            thread::sleep(pause);
            inner = shared.lock();
        }
        let inner_mut = &mut *inner;
        if let Fault::Answer(status, headers, body) = fault {
            drop(inner);
            answer(stream.get_mut(), status, &headers, &body)?;
            continue;
        }
        if matches!(fault, Fault::Stall) {
            drop(inner);
            return wait_for_the_end(&mut stream);
        }
        let (status, headers, body) = take(inner_mut, number, &request, &text, &shared.contract);
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
        shared.lock().requests[number].answered = status == 200;
    }
    Ok(())
}

fn wait_for_the_end(stream: &mut impl Read) -> io::Result<()> {
    io::copy(stream, &mut io::sink()).map(drop)
}
