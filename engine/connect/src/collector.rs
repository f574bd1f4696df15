//! A collector of traces: OTLP over HTTP, with the certificates and the words of every other endpoint.
//!
//! What stands in a request is not looked at here. Redirects are not followed, so a login reaches only the host that it
//! was configured for, and a secret is refused over plain HTTP before anything is sent.

use std::time::Duration;

use engine_core::ports::HttpConfig;
use engine_spec::model::Compression;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};

use crate::tls_error;
use crate::to::OpenError;
use crate::to::http::{compressed, encoding_of, runtime};
use crate::web::{Peer, PeerSettings, Reply, chain, tls_failure};

/// What a collector is in engine.yaml.
const ROLE: &str = "telemetry.otlp";
/// Bytes of an answer that are read; one to spans is a few words.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// What a request carries.
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// A collector, and the connections to it.
pub struct Collector {
    peer: Peer,
    compression: Compression,
    timeout: Duration,
}

/// Why a collector did not take a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTaken {
    /// What was tried, where, and what came back.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// Whether the same request may be taken later.
    pub passes: bool,
    /// How long the collector asked to wait.
    pub retry_after: Option<Duration>,
}

impl Collector {
    /// Checks the settings and reads the certificates. Nothing is sent.
    pub fn open(config: &HttpConfig) -> Result<Self, OpenError> {
        let mut peer = Peer::open(&PeerSettings::of(ROLE, config))?;
        peer.headers.insert(CONTENT_TYPE, PROTOBUF);
        if let Some(encoding) = encoding_of(config.compression) {
            peer.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        Ok(Self { peer, compression: config.compression, timeout: config.timeouts.query })
    }

    /// `host:port`, for messages.
    pub fn place(&self) -> &str {
        &self.peer.place
    }

    /// Sends one request, once, and gives the body of the answer to one that was taken.
    ///
    /// Blocks the calling thread, which must not be one of an asynchronous runtime.
    pub fn send(&self, body: Vec<u8>) -> Result<Vec<u8>, NotTaken> {
        let unsent = |message: String| NotTaken { message, hint: None, passes: true, retry_after: None };
        let body = compressed(body, self.compression).map_err(|error| unsent(format!("compressing spans: {error}")))?;
        let runtime = runtime().map_err(|error| unsent(format!("starting the network threads: {error}")))?;
        runtime.block_on(self.request(body))
    }

    async fn request(&self, body: Vec<u8>) -> Result<Vec<u8>, NotTaken> {
        let (place, redact) = (&self.peer.place, self.peer.redactor(None));
        let request = self.peer.client.post(self.peer.url.clone()).headers(self.peer.headers.clone());
        let error = match request.timeout(self.timeout).body(body).send().await {
            Ok(response) => {
                let reply = Reply::read(response, ANSWER_BYTES_MAX).await;
                if reply.status.is_success() {
                    return Ok(reply.bytes().to_vec());
                }
                return Err(NotTaken {
                    message: format!("sending spans to {place}: it {}", reply.in_words(&redact)),
                    hint: hint_to(reply.status).map(str::to_owned),
                    passes: passes(reply.status),
                    retry_after: reply.retry_after(),
                });
            }
            Err(error) => error,
        };
        let passing =
            |message: String, hint: Option<String>| NotTaken { message, hint, passes: true, retry_after: None };
        if let Some(error) = tls_failure(&error) {
            let problem = tls_error::explain_at_address(error, ROLE);
            return Err(passing(format!("connecting to {place}: {}", problem.message), problem.hint));
        }
        if error.is_timeout() && !error.is_connect() {
            let seconds = self.timeout.as_secs_f64();
            return Err(passing(format!("sending spans to {place}: no answer within {seconds} s"), None));
        }
        let reason = redact.clean(&chain(error));
        let hint = format!("check `{ROLE}.url`, the name and the port, and the firewalls on the way");
        Err(passing(format!("sending spans to {place}: {reason}"), Some(hint)))
    }
}

/// What the protocol says may be sent again as it is.
fn passes(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

fn hint_to(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Some("check `telemetry.otlp.headers`, which carry the login")
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            Some("check `telemetry.otlp.url`: OTLP over HTTP is at port 4318 as a rule, and 4317 is for gRPC")
        }
        status if status.is_redirection() => {
            Some("no redirect is followed: put the final address into `telemetry.otlp.url`")
        }
        _ => None,
    }
}
