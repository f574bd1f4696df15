//! An HTTP API that answers as a test tells it, and remembers what it was asked.
//!
//! It is an HTTP/1.1 server on a free port of the loopback: one thread a connection, one request a connection. What
//! it answers is a function of the request and of its number; [`page_of`] answers with pages of a list.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Method.
    pub method: String,
    /// Path without query, as it was encoded.
    pub path: String,
    /// Query parameters, decoded; of one that is repeated, the values joined by a comma.
    pub query: BTreeMap<String, String>,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: String,
}

impl Asked {
    /// A query parameter as a number; the default where it is missing.
    pub fn number(&self, name: &str, default: usize) -> usize {
        self.query.get(name).map_or(default, |text| text.parse().expect("the parameter is a number"))
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Told {
    /// Status.
    pub status: u16,
    /// Headers; the content type is JSON where none is given.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// Bytes of the body after which the connection ends.
    pub cut: Option<usize>,
}

impl Told {
    /// 200 with JSON.
    pub fn json(value: &Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: value.to_string().into_bytes(), cut: None }
    }

    /// A status with a body that says so.
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::json(&json!({ "message": format!("status {status}") })) }
    }

    /// With a header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With another body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Whose connection ends in the middle of the body.
    pub fn cut(mut self) -> Self {
        self.cut = Some(self.body.len() / 2);
        self
    }
}

/// Decides on the answer; the number counts requests from 0.
type Answerer = dyn Fn(&Asked, usize) -> Told + Send + Sync;

struct Shared {
    answer: Box<Answerer>,
    tls: Option<Arc<ServerConfig>>,
    asked: Mutex<Vec<Asked>>,
    stopping: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running API. It stops when it is dropped.
pub struct Api {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

impl Api {
    /// Starts one.
    pub fn start(answer: impl Fn(&Asked, usize) -> Told + Send + Sync + 'static) -> Self {
        Self::start_with(None, answer)
    }

    /// Starts one that speaks TLS, under the name `localhost`.
    pub fn start_tls(config: ServerConfig, answer: impl Fn(&Asked, usize) -> Told + Send + Sync + 'static) -> Self {
        Self::start_with(Some(Arc::new(config)), answer)
    }

    fn start_with(
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&Asked, usize) -> Told + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            tls,
            asked: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.stopping.load(Ordering::SeqCst) {
                    break;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&accepting)) else { continue };
                // A client may go away at any time: that is its right, and no finding.
                std::thread::spawn(move || drop(converse(stream, &shared)));
            }
        });
        Self { shared, address, acceptor: Some(acceptor) }
    }

    /// Its base address.
    pub fn url(&self) -> String {
        match self.shared.tls {
            Some(_) => format!("https://localhost:{}", self.address.port()),
            None => format!("http://{}", self.address),
        }
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.lock().clone()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
    }
}

fn converse(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let Some(config) = &shared.tls else {
        serve(&stream, shared)?;
        return stream.shutdown(Shutdown::Both);
    };
    let connection = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
    let mut encrypted = StreamOwned::new(connection, stream);
    serve(&mut encrypted, shared)?;
    encrypted.conn.send_close_notify();
    encrypted.flush()?;
    encrypted.sock.shutdown(Shutdown::Both)
}

fn serve(stream: impl Read + Write, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (path, text) = target.split_once('?').unwrap_or((&target, ""));
    let mut query: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = decoded(value);
        query.entry(decoded(name)).and_modify(|known| *known += &format!(",{value}")).or_insert(value);
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    let asked = Asked { method, path: path.to_owned(), query, headers, body };
    let number = {
        let mut all = shared.lock();
        all.push(asked.clone());
        all.len() - 1
    };
    let told = (shared.answer)(&asked, number);
    let mut head = format!("HTTP/1.1 {} Told\r\nConnection: close\r\n", told.status);
    head += &format!("Content-Length: {}\r\n", told.body.len());
    if !told.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        head += "Content-Type: application/json\r\n";
    }
    for (name, value) in &told.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let mut writer = reader.into_inner();
    writer.write_all(format!("{head}\r\n").as_bytes())?;
    writer.write_all(&told.body[..told.cut.unwrap_or(told.body.len())])?;
    writer.flush()
}

/// Text without percent-encoding.
pub fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        if bytes[at] == b'%' {
            out.push(u8::from_str_radix(&text[at + 1..at + 3], 16).expect("two digits follow a percent sign"));
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).expect("an address is UTF-8")
}

/// How [`page_of`] cuts a list into pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// `?cursor=`, and the next one in `next`.
    Cursor,
    /// `?page=`, from 1.
    Page,
    /// `?offset=`
    Offset,
    /// `?at=`, and the address of the next page in the `Link` header.
    Header,
    /// `?at=`, and the address of the next page in `@odata.nextLink`.
    OData,
}

/// The page of a list that a request asks for: `{"data": […]}`.
pub fn page_of(asked: &Asked, list: &[Value], pages: Pages, size: usize) -> Told {
    let from = match pages {
        Pages::Cursor => asked.number("cursor", 0),
        Pages::Page => (asked.number("page", 1) - 1) * size,
        Pages::Offset => asked.number("offset", 0),
        Pages::Header | Pages::OData => asked.number("at", 0),
    };
    let (start, end) = (from.min(list.len()), (from + size).min(list.len()));
    let mut answer = json!({ "data": list[start..end] });
    let more = end < list.len();
    let mut link = None;
    match pages {
        Pages::Cursor => answer["next"] = if more { json!(end.to_string()) } else { Value::Null },
        Pages::Header if more => {
            link = Some(format!("<?at=0>; rel=first, <?at={end}>; rel=\"last next\"; title=\"a, b\""));
        }
        Pages::OData if more => answer["@odata.nextLink"] = json!(format!("?at={end}")),
        _ => {}
    }
    let told = Told::json(&answer);
    match link {
        Some(link) => told.with("Link", &link),
        None => told,
    }
}
