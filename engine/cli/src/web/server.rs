//! The server: one thread for the connections, a few for what they ask, all of them bounded.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body, Bytes};
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};

use super::view::View;
use super::{Asked, Reply, at_once, guard, route};

/// Connections at the same time; who comes then waits.
const CONNECTIONS_MAX: usize = 16;
/// Bytes of a request's line and headers together.
const HEADER_BYTES_MAX: usize = 16 << 10;
/// Headers of a request.
const HEADERS_MAX: usize = 64;
/// Time that a request's headers may take to arrive.
const HEADER_TIME_MAX: Duration = Duration::from_secs(5);
/// Time that a connection may take altogether. One request is answered on each.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(30);
/// Requests that look at the state at the same time.
const READERS_MAX: usize = 2;
/// How long a stop waits for a look at the state.
const STOP_MAX: Duration = Duration::from_secs(1);
/// Pause after a connection that could not be accepted: the process may have run out of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server at work; it stops when dropped.
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Takes the address, and serves.
    pub(super) fn start(listen: &str, view: View) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(READERS_MAX).build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || serve(runtime, listener, Arc::new(view), stopped))?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
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

fn serve(runtime: Runtime, listener: std::net::TcpListener, view: Arc<View>, stopped: oneshot::Receiver<()>) {
    runtime.block_on(async move {
        let Ok(listener) = TcpListener::from_std(listener) else { return };
        tokio::select! {
            () = accept(listener, view) => {}
            _ = stopped => {}
        }
    });
    runtime.shutdown_timeout(STOP_MAX);
}

async fn accept(listener: TcpListener, view: Arc<View>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let view = Arc::clone(&view);
                tokio::spawn(async move {
                    let _place = place;
                    let _ = tokio::time::timeout(CONNECTION_TIME_MAX, converse(stream, view)).await;
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// One connection: one request, one answer.
async fn converse(stream: TcpStream, view: Arc<View>) {
    let service = service_fn(move |request| {
        let view = Arc::clone(&view);
        async move { Ok::<_, Infallible>(answer(request, view).await) }
    });
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

/// The answer to a request. What a request carries is not read.
async fn answer<B: Body>(request: Request<B>, view: Arc<View>) -> Response<Full<Bytes>> {
    let (parts, _) = request.into_parts();
    let path = parts.uri.path();
    if let Some(reply) = guard::refusal(&parts).or_else(|| at_once(path, view.monitor())) {
        return respond(reply);
    }
    let accepted = parts.headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
    let by_browser = accepted.is_some_and(|accepted| accepted.contains("text/html"));
    let asked = Asked { path: path.to_owned(), by_browser };
    let routed = tokio::task::spawn_blocking(move || route(&asked, &view)).await;
    respond(routed.unwrap_or_else(|_| Reply::words(500, "This is a defect of engine; its log says more.")))
}

fn respond(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.media_type));
    for (name, value) in guard::HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if reply.status == 405 {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
