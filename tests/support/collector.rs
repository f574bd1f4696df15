//! A collector of traces that keeps what it is sent, and answers as it is told.
//!
//! It is an HTTP/1.1 server on a free port of the loopback, one thread a connection. What it was sent is decoded by
//! OpenTelemetry's own messages for Python, which share nothing with the program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::binary::root;
use crate::clients;
use crate::platform::Request;
use crate::platform::wire::{answer_bytes, decoded, read_body, read_head};

/// How a collector answers.
#[derive(Debug, Clone, Default)]
pub enum Behaviour {
    /// It takes everything.
    #[default]
    Take,
    /// It takes the request, and wants none of so many spans of it.
    Reject(u8),
    /// It answers with this status, and these headers.
    Answer(u16, Vec<(&'static str, String)>),
    /// It reads the request and answers nothing.
    Hang,
}

#[derive(Default)]
struct Inner {
    behaviour: Behaviour,
    /// Requests with their bodies, decompressed; those that were not taken, too.
    requests: Vec<(Request, Vec<u8>)>,
    /// Bodies that were taken.
    taken: Vec<Vec<u8>>,
}

/// A collector at work. Its threads end with the test.
pub struct Collector {
    inner: Arc<Mutex<Inner>>,
    url: String,
}

/// A span as it arrived.
#[derive(Debug, Clone)]
pub struct Span {
    /// Of its trace, in Base64.
    pub trace: String,
    /// Its own id, in Base64.
    pub id: String,
    /// That of the span that it is within; empty for a root.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// Its kind, as the messages call it.
    pub kind: String,
    /// Its attributes; numbers as numbers.
    pub attributes: BTreeMap<String, Value>,
    /// Whether its status is that of a failure.
    pub failed: bool,
    /// Start and end, in nanoseconds since 1970.
    pub time: (u64, u64),
    /// Attributes of what it comes from.
    pub resource: BTreeMap<String, Value>,
}

impl Collector {
    /// One that speaks HTTP.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// One that speaks HTTPS, as `localhost`.
    pub fn start_tls(config: ServerConfig) -> Self {
        Self::start_with(Some(Arc::new(config)))
    }

    fn start_with(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback has a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let url = if tls.is_some() { format!("https://localhost:{port}") } else { format!("http://127.0.0.1:{port}") };
        let inner = Arc::new(Mutex::new(Inner::default()));
        let shared = Arc::clone(&inner);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (inner, tls) = (Arc::clone(&shared), tls.clone());
                // A client may go away at any time.
                thread::spawn(move || drop(converse(stream, tls, &inner)));
            }
        });
        Self { inner, url }
    }

    /// Its base address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on it answers so.
    pub fn behave(&self, behaviour: Behaviour) {
        self.lock().behaviour = behaviour;
    }

    /// The requests so far, taken or not.
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.iter().map(|(request, _)| request.clone()).collect()
    }

    /// All bytes that came, decompressed.
    pub fn bytes(&self) -> Vec<u8> {
        self.lock().requests.iter().flat_map(|(_, body)| body.clone()).collect()
    }

    /// The spans that were taken. Installs what decodes them.
    pub fn spans(&self) -> Vec<Span> {
        let requests = decode(&self.lock().taken);
        let of_resource = requests.iter().flat_map(|request| list(&request["resourceSpans"]));
        let spans = of_resource.flat_map(|of_resource| {
            let resource = attributes(&of_resource["resource"]["attributes"]);
            let of_scope = list(&of_resource["scopeSpans"]).iter().flat_map(|scope| list(&scope["spans"]));
            of_scope.map(|span| Span::of(span, &resource)).collect::<Vec<_>>()
        });
        spans.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Span {
    fn of(span: &Value, resource: &BTreeMap<String, Value>) -> Self {
        let text = |name: &str| span[name].as_str().unwrap_or_default().to_owned();
        let nanos = |name: &str| text(name).parse().expect("a time is a number");
        Self {
            trace: text("traceId"),
            id: text("spanId"),
            parent: text("parentSpanId"),
            name: text("name"),
            kind: text("kind"),
            attributes: attributes(&span["attributes"]),
            failed: span["status"]["code"] == "STATUS_CODE_ERROR",
            time: (nanos("startTimeUnixNano"), nanos("endTimeUnixNano")),
            resource: resource.clone(),
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn attributes(list_of: &Value) -> BTreeMap<String, Value> {
    let value = |value: &Value| match value.as_object().and_then(|value| value.iter().next()) {
        // JSON of Protocol Buffers writes whole numbers as text.
        Some((kind, Value::String(digits))) if kind == "intValue" => {
            Value::from(digits.parse::<i64>().expect("digits"))
        }
        Some((_, value)) => value.clone(),
        None => Value::Null,
    };
    let mut found = BTreeMap::new();
    for pair in list(list_of) {
        let name = pair["key"].as_str().expect("an attribute has a name").to_owned();
        assert!(found.insert(name, value(&pair["value"])).is_none(), "{pair} is there twice");
    }
    found
}

fn decode(requests: &[Vec<u8>]) -> Vec<Value> {
    let clients = clients::installed("otel");
    let mut child = Command::new("python3")
        .arg(root().join("tests/clients/otel/decode.py"))
        .env("PYTHONPATH", clients.join("python"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let mut lines = String::new();
    for request in requests {
        request.iter().for_each(|byte| write!(lines, "{byte:02x}").expect("a string takes every text"));
        lines.push('\n');
    }
    let mut stdin = child.stdin.take().expect("it is piped");
    let written = thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    written.join().expect("no panic").expect("it reads all");
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn converse(stream: TcpStream, tls: Option<Arc<ServerConfig>>, inner: &Mutex<Inner>) -> io::Result<()> {
    match tls {
        None => serve(stream, inner),
        Some(config) => {
            let tls = ServerConnection::new(config).map_err(io::Error::other)?;
            serve(StreamOwned::new(tls, stream), inner)
        }
    }
}

fn serve(stream: impl Read + Write, inner: &Mutex<Inner>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some((request, length)) = read_head(&mut stream)? {
        let wire = read_body(&mut stream, length)?;
        let body = decoded(&request, wire).map_err(io::Error::other)?;
        let behaviour = {
            let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.requests.push((request, body.clone()));
            let behaviour = inner.behaviour.clone();
            if matches!(behaviour, Behaviour::Take | Behaviour::Reject(_)) {
                inner.taken.push(body);
            }
            behaviour
        };
        let answer = match behaviour {
            // Nothing to say is a message without a field, which has no bytes.
            Behaviour::Take => answer_bytes(200, &[("Content-Type", "application/x-protobuf".to_owned())], ""),
            // `partial_success { rejected_spans: N }`
            Behaviour::Reject(spans) => {
                let body = String::from_utf8(vec![0x0a, 0x02, 0x08, spans & 0x7f]).expect("ASCII");
                answer_bytes(200, &[("Content-Type", "application/x-protobuf".to_owned())], &body)
            }
            Behaviour::Answer(status, headers) => answer_bytes(status, &headers, ""),
            Behaviour::Hang => {
                // Until the client gives up.
                return stream.read_exact(&mut [0]);
            }
        };
        stream.get_mut().write_all(&answer)?;
        stream.get_mut().flush()?;
    }
    Ok(())
}
