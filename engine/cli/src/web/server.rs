//! The server: one thread for the connections, a few for what they ask, all of them bounded.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::access::{Access, Caller};
use super::credentials::{self, Credentials, Served};
use super::guard::{self, Asks};
use super::html::{self, Visit};
use super::tls::Certificate;
use super::view::View;
use super::{Asked, Reply, assets, for_all, login, route};

/// Connections at the same time; who comes then waits.
const CONNECTIONS_MAX: usize = 16;
/// Bytes of a request's line and headers together.
const HEADER_BYTES_MAX: usize = 16 << 10;
/// Headers of a request.
const HEADERS_MAX: usize = 64;
/// Time that a request's headers may take to arrive.
const HEADER_TIME_MAX: Duration = Duration::from_secs(5);
/// Time until a connection is encrypted.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);
/// Time that a connection may take altogether. One request is answered on each.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(30);
/// Requests that look at the state at the same time.
const READERS_MAX: usize = 2;
/// Time that a look at the state may take, before the answer is that it takes too long.
const LOOK_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a stop waits for a look at the state.
const STOP_MAX: Duration = Duration::from_secs(1);
/// Pause after a connection that could not be accepted: the process may have run out of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The first byte of a connection that wants to be encrypted: a record of a handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// A server at work; it stops when dropped.
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Certificate and token are looked after as long as this is there.
    _renewed: mpsc::Sender<()>,
}

/// Why there is no server.
pub(super) struct NoServer {
    pub(super) message: String,
    pub(super) hint: &'static str,
}

/// What is served, and to whom.
struct Site {
    view: View,
    /// Who is let in, where a token is asked for.
    access: Option<Arc<Access>>,
    readers: Arc<Semaphore>,
}

impl Server {
    /// Takes the address, and serves.
    pub(super) fn start(listen: &str, credentials: Credentials, view: View) -> Result<Self, NoServer> {
        let served = read(&credentials).map_err(|message| NoServer {
            message,
            hint: "put right what `http.tls` and `http.token` name, for example with `openssl rand -hex 32` for a \
                   token, and restart; everything else runs",
        })?;
        Self::serve(listen, credentials, served, view).map_err(|error| NoServer {
            message: format!("listening on {listen} failed: {error}"),
            hint: "see who has the port with `ss -ltnp`, or choose another in `http.listen`; everything else runs",
        })
    }

    fn serve(listen: &str, credentials: Credentials, served: Served, view: View) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let config = served.certificate.as_ref().map(Certificate::config).transpose();
        let acceptor = config.map_err(std::io::Error::other)?.map(|config| TlsAcceptor::from(Arc::new(config)));
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(READERS_MAX).build()?;
        let (stop, stopped) = oneshot::channel();
        let (renewed, ended) = mpsc::channel();
        let monitor = Arc::clone(view.monitor());
        let readers = Arc::new(Semaphore::new(READERS_MAX));
        let site = Arc::new(Site { view, access: served.access.clone(), readers });
        let thread = std::thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || serve(runtime, listener, acceptor, site, stopped))?;
        if served.certificate.is_some() || served.access.is_some() {
            // Nobody waits for this thread at the end: the share that the files are on may hang.
            std::thread::Builder::new()
                .name("http-renewal".to_owned())
                .spawn(move || credentials::keep(&served, &credentials, &monitor, &ended))?;
        }
        Ok(Self { address, stop: Some(stop), thread: Some(thread), _renewed: renewed })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The thread ends when it hears that nobody holds the other end any more.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Certificate and token, for the first time.
pub(super) fn read(credentials: &Credentials) -> Result<Served, String> {
    let certificate = credentials.certificate()?.map(|pair| Arc::new(Certificate::new(pair)));
    let token = credentials.token()?;
    let access = token.map(|token| Access::new(&token, certificate.is_some())).transpose()?.map(Arc::new);
    Ok(Served { certificate, access })
}

fn serve(
    runtime: Runtime,
    listener: std::net::TcpListener,
    acceptor: Option<TlsAcceptor>,
    site: Arc<Site>,
    stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async move {
        let Ok(listener) = TcpListener::from_std(listener) else { return };
        tokio::select! {
            () = accept(listener, acceptor, site) => {}
            _ = stopped => {}
        }
    });
    runtime.shutdown_timeout(STOP_MAX);
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, site: Arc<Site>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (site, acceptor) = (Arc::clone(&site), acceptor.clone());
                tokio::spawn(async move {
                    let _place = place;
                    let _ = timeout(CONNECTION_TIME_MAX, meet(stream, peer.ip(), acceptor, site)).await;
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// One connection, encrypted or not.
async fn meet(stream: TcpStream, address: IpAddr, acceptor: Option<TlsAcceptor>, site: Arc<Site>) {
    let Some(acceptor) = acceptor else { return converse(stream, address, site).await };
    let mut first = [0];
    match timeout(HANDSHAKE_TIME_MAX, stream.peek(&mut first)).await {
        Ok(Ok(1)) if first[0] == TLS_HANDSHAKE => {
            // Whoever cannot agree with this server is told so by the protocol itself.
            if let Ok(Ok(stream)) = timeout(HANDSHAKE_TIME_MAX, acceptor.accept(stream)).await {
                converse(stream, address, site).await;
            }
        }
        Ok(Ok(1)) => {
            let refused = || Reply::words(400, "This port speaks HTTPS only: write https:// before the address.");
            exchange(stream, async move |_| respond(refused(), guard::POLICY)).await;
        }
        _ => {}
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, address: IpAddr, site: Arc<Site>) {
    exchange(stream, async move |request| {
        let policy = if site.access.is_some() { guard::POLICY_WITH_FORMS } else { guard::POLICY };
        respond(answer(request, address, &site).await, policy)
    })
    .await;
}

/// One request, one answer.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: impl AsyncFn(Request<Incoming>) -> Response<Full<Bytes>>,
) {
    let service = service_fn(async |request| Ok::<_, Infallible>(answer(request).await));
    // Whoever breaks off, or speaks no HTTP, hurts only themselves.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME_MAX)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// The answer to a request. What a request carries is not read, but for the form of a log-in.
async fn answer(request: Request<Incoming>, address: IpAddr, site: &Arc<Site>) -> Reply {
    let (parts, body) = request.into_parts();
    let asks = if site.access.is_some() { Asks::Token } else { Asks::Nobody };
    let path = parts.uri.path();
    if let Some(reply) = guard::refusal(&parts, asks).or_else(|| for_all(path, site.view.monitor())) {
        return reply;
    }
    let accepted = parts.headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
    let by_browser = accepted.is_some_and(|accepted| accepted.contains("text/html"));
    let mut asked = Asked { path: path.to_owned(), by_browser, visit: Visit::Open };
    if let Some(access) = &site.access {
        let caller = Caller { headers: &parts.headers, address };
        match (path, parts.method == Method::POST) {
            (login::PATH, true) => {
                return match login::read(body).await {
                    Some(form) => access.log_in(&caller, &form),
                    None => Reply::words(413, "This is no log-in."),
                };
            }
            (login::PATH, false) => return Reply::ok(Reply::HTML, login::page("/", None)),
            (login::OUT_PATH, true) => return access.log_out(&caller),
            _ => {}
        }
        match access.admit(&caller, &asked) {
            Ok(visit) => asked.visit = visit,
            Err(reply) => return reply,
        }
    }
    if asked.path == assets::SCRIPT_PATH {
        return Reply::ok("text/javascript; charset=utf-8", assets::SCRIPT);
    }
    look(asked, Arc::clone(site)).await
}

/// What needs a look at the state, which may hang: that holds up only those who ask for the same, and not for long.
async fn look(asked: Asked, site: Arc<Site>) -> Reply {
    let (by_browser, visit) = (asked.by_browser, asked.visit);
    let looked = async {
        let place = Arc::clone(&site.readers).acquire_owned().await;
        tokio::task::spawn_blocking(move || {
            let _place = place;
            route(&asked, &site.view)
        })
        .await
    };
    match timeout(LOOK_TIME_MAX, looked).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(_)) => Reply::words(500, "This is a defect of engine; its log says more."),
        Err(_) => {
            let said = format!(
                "The state has not answered for {} seconds: its disk or database hangs, or somebody has locked it. \
                 /healthz and /readyz say how the service does.",
                LOOK_TIME_MAX.as_secs()
            );
            match by_browser {
                true => Reply::new(503, Reply::HTML, html::silent(&said, visit)),
                false => Reply::words(503, &said),
            }
        }
    }
}

fn respond(reply: Reply, policy: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.media_type));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    for (name, value) in guard::HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    response
}
