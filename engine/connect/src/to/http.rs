//! An HTTP endpoint that takes deliveries, the ENLYZE platform included: `schemas/delivery.openapi.yaml`.
//!
//! One parcel is one request. Redirects are not followed, so a login reaches only the host that it was configured
//! for, and a secret is refused over plain HTTP before anything is sent.

mod answer;
mod greet;

use std::future::Future;
use std::io::Write;
use std::sync::OnceLock;
use std::time::Duration;

use engine_core::ports::{Answer, Cancel, Destination, HttpConfig, Parcel};
use engine_spec::model::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use reqwest::{StatusCode, Url};
use tokio::runtime::Runtime;

use self::answer::ANSWER_BYTES_MAX;
pub use self::greet::greet;
use super::{OpenError, write_json_str};
use crate::tls_error;
use crate::web::{NoToken, Peer, PeerSettings, Redactor, Reply, Token, chain, method, tls_failure};

/// Header that names a parcel, the same for each of its attempts.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Header that numbers the lease under which a parcel is sent, where several engines share the work.
pub const FENCING_NUMBER: &str = "fencing-number";
/// Header that says to which trace a parcel belongs, where that is wanted: W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";
/// How often a waiting request looks whether it should stop.
const CANCEL_POLL: Duration = Duration::from_millis(50);
/// Level of gzip and Zstandard: the fastest. Records shrink to a tenth by it already.
const COMPRESSION_LEVEL: u32 = 1;
/// Room for what stands around the records in a request, in bytes.
const ENVELOPE_BYTES: usize = 512;

/// An address for messages: without a login and a query, which may be secret.
pub fn place_of(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else { return "the destination".to_owned() };
    url.set_query(None);
    url.set_fragment(None);
    // An address that can hold no login holds none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.as_str().trim_end_matches('/').to_owned()
}

/// Host and port of an address.
pub fn host_and_port_of(address: &str) -> Option<(String, Option<u16>)> {
    let url = Url::parse(address).ok()?;
    Some((url.host_str()?.trim_matches(['[', ']']).to_owned(), url.port_or_known_default()))
}

/// An endpoint, and the connections to it.
pub struct HttpDestination {
    peer: Peer,
    method: reqwest::Method,
    /// Scheme, host and port.
    origin: String,
    compression: Compression,
    timeout: Duration,
    /// Of the last answer.
    status: Option<StatusCode>,
    /// The trace that the next parcel belongs to, as the header says it.
    traceparent: Option<String>,
}

impl HttpDestination {
    /// Checks the settings and reads the certificates. Nothing is sent.
    pub fn new(config: &HttpConfig) -> Result<Self, OpenError> {
        let mut peer = peer(config)?;
        peer.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(encoding) = encoding_of(config.compression) {
            peer.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        Ok(Self {
            method: method(config.method),
            origin: peer.url.origin().ascii_serialization(),
            peer,
            compression: config.compression,
            timeout: config.timeouts.query,
            status: None,
            traceparent: None,
        })
    }

    async fn deliver(&mut self, parcel: &Parcel, body: Vec<u8>) -> Answer {
        let Some(tokens) = &mut self.peer.tokens else {
            let (status, answer) = self.request(parcel, body, None).await;
            self.status = status;
            return answer;
        };
        let token = match tokens.token(&self.peer.client).await {
            Ok(token) => token,
            Err(reason) => return reason.into(),
        };
        let (status, answer) = self.request(parcel, body.clone(), Some(token)).await;
        self.status = status;
        if status != Some(StatusCode::UNAUTHORIZED) {
            return answer;
        }
        // The token may have been withdrawn before its end: one more try with a new one.
        let Some(tokens) = &mut self.peer.tokens else { return answer };
        tokens.forget();
        match tokens.token(&self.peer.client).await {
            Ok(token) => {
                let (status, answer) = self.request(parcel, body, Some(token)).await;
                self.status = status;
                answer
            }
            Err(reason) => reason.into(),
        }
    }

    /// Sends once; the status, if there was one, and what it means.
    async fn request(&self, parcel: &Parcel, body: Vec<u8>, token: Option<Token>) -> (Option<StatusCode>, Answer) {
        let redact = self.peer.redactor(token.as_ref().map(|token| &token.secret));
        let mut request = self
            .peer
            .client
            .request(self.method.clone(), self.peer.url.clone())
            .headers(self.peer.headers.clone())
            .header(IDEMPOTENCY_KEY, &parcel.idempotency_key)
            .timeout(self.timeout)
            .body(body);
        if let Some(fence) = parcel.fence {
            request = request.header(FENCING_NUMBER, fence);
        }
        if let Some(traceparent) = &self.traceparent {
            request = request.header(TRACEPARENT, traceparent);
        }
        if let Some(token) = &token {
            request = token.sign(request);
        }
        match request.send().await {
            Ok(response) => {
                let reply = Reply::read(response, ANSWER_BYTES_MAX).await;
                (Some(reply.status), reply.meaning(parcel, &self.peer.place, &redact))
            }
            Err(error) => (None, self.failure(parcel, error, &redact)),
        }
    }

    /// What a failure without an answer means. Only one before the connection stood is sure to have sent nothing.
    fn failure(&self, parcel: &Parcel, error: reqwest::Error, redact: &Redactor) -> Answer {
        let (before_sending, timed_out) = (error.is_connect(), error.is_timeout());
        if let Some(error) = tls_failure(&error).filter(|_| before_sending) {
            let problem = tls_error::explain_at_address(error, "destination");
            let way_out = problem.hint.unwrap_or_default();
            let message = format!("connecting to {}: {}; {way_out}", self.peer.place, problem.message);
            return Answer::Later { message, retry_after: None };
        }
        let reason = redact.clean(&chain(error));
        let peer = &self.peer.place;
        if before_sending {
            return Answer::Later { message: format!("connecting to {peer}: {reason}"), retry_after: None };
        }
        let records = parcel.records.len();
        let message = if timed_out {
            let seconds = self.timeout.as_secs_f64();
            format!("sending {records} records to {peer}: no answer within {seconds} s; they may have arrived")
        } else {
            format!("sending {records} records to {peer}: {reason}; they may have arrived")
        };
        Answer::Unknown { message }
    }
}

impl Destination for HttpDestination {
    /// Blocks the calling thread, which must not be one of an asynchronous runtime.
    fn send(&mut self, parcel: &Parcel, cancel: &Cancel) -> Answer {
        let later = |message: String| Answer::Later { message, retry_after: None };
        self.status = None;
        if cancel.is_cancelled() {
            return later("asked to stop before anything was sent".to_owned());
        }
        let body = match compressed(envelope(parcel), self.compression) {
            Ok(body) => body,
            Err(error) => return later(format!("compressing a parcel: {error}")),
        };
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(error) => return later(format!("starting the network threads: {error}")),
        };
        let stopped = format!("asked to stop while {} was to answer; the records may have arrived", self.peer.place);
        let answer = runtime.block_on(unless(cancel, self.deliver(parcel, body)));
        answer.unwrap_or(Answer::Unknown { message: stopped })
    }

    fn place(&self) -> &str {
        &self.origin
    }

    fn status(&self) -> Option<u16> {
        self.status.map(|status| status.as_u16())
    }

    fn follow(&mut self, traceparent: Option<String>) {
        self.traceparent = traceparent;
    }
}

impl From<NoToken> for Answer {
    fn from(reason: NoToken) -> Self {
        match reason {
            NoToken::Later { message, retry_after } => Self::Later { message, retry_after },
            NoToken::Refused { message } => Self::Refused { message },
        }
    }
}

/// The server of an endpoint, and the login at it. Nothing is sent.
fn peer(config: &HttpConfig) -> Result<Peer, OpenError> {
    Peer::open(&PeerSettings::of("destination", config))
}

/// How a compression is called in a header.
pub(crate) fn encoding_of(compression: Compression) -> Option<&'static str> {
    match compression {
        Compression::Gzip => Some("gzip"),
        Compression::Zstd => Some("zstd"),
        Compression::None => None,
    }
}

/// The network thread of all endpoints. A thread of its own notices closed connections between two requests.
pub(crate) fn runtime() -> std::io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("deliver").enable_all().build()?;
    Ok(RUNTIME.get_or_init(|| runtime))
}

/// What the work yields, or `None` once somebody asks to stop.
pub(crate) async fn unless<T>(cancel: &Cancel, work: impl Future<Output = T>) -> Option<T> {
    let asked = async {
        while !cancel.is_cancelled() {
            tokio::time::sleep(CANCEL_POLL).await;
        }
    };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = asked => None,
    }
}

/// The body of a request: the records, which are JSON already, in their envelope.
fn envelope(parcel: &Parcel) -> Vec<u8> {
    let records: usize = parcel.records.iter().map(|record| record.body.len() + 1).sum();
    let mut out = Vec::with_capacity(records + ENVELOPE_BYTES);
    out.extend_from_slice(b"{\"pipeline\":");
    write_json_str(&mut out, &parcel.pipeline);
    out.extend_from_slice(b",\"labels\":{");
    for (index, (name, value)) in parcel.labels.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_json_str(&mut out, name);
        out.push(b':');
        write_json_str(&mut out, value);
    }
    out.extend_from_slice(b"},\"records\":[");
    for (index, record) in parcel.records.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(record.body.as_bytes());
    }
    out.extend_from_slice(b"]}");
    out
}

pub(crate) fn compressed(body: Vec<u8>, compression: Compression) -> std::io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(body),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(COMPRESSION_LEVEL));
            encoder.write_all(&body)?;
            encoder.finish()
        }
        Compression::Zstd => zstd::bulk::compress(&body, COMPRESSION_LEVEL as i32),
    }
}

#[cfg(test)]
mod tests;
