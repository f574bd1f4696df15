//! What an operator sees in a browser, and what a monitoring system asks: the status page, its endpoints, and a server
//! for them, on loopback or, with TLS and a token, beyond.
//!
//! Everything is read-only. Pages and metrics are made from one look at the state, which is taken at most once a second.

mod access;
mod assets;
mod attempts;
mod cached;
mod credentials;
mod fleet;
mod guard;
mod health;
mod html;
mod login;
pub mod metrics;
mod pipeline;
mod process;
mod server;
mod timeline;
mod tls;
mod view;

use std::path::Path;
use std::sync::Arc;

use engine_core::state::StateStore;
use engine_spec::device::Http;
use hyper::header::HeaderName;

use self::credentials::Credentials;
use self::html::Visit;
use crate::monitor::Monitor;
pub use server::Server;

/// Begins to serve, where the device config asks for it. An address, a certificate or a token that is not to be had is
/// said, and the service goes on without a page. Files are named relative to the folder of the device config.
pub fn start(http: &Http, folder: &Path, store: &Arc<dyn StateStore>, monitor: &Arc<Monitor>) -> Option<Server> {
    let listen = http.listen.as_deref()?;
    let view = view::View::new(Arc::clone(store), Arc::clone(monitor));
    match Server::start(listen, Credentials::new(http, folder), view) {
        Ok(server) => {
            let (scheme, address) = (if http.tls.is_some() { "https" } else { "http" }, server.address());
            tracing::info!(event = "http_listens", address = %address, "the status page is at {scheme}://{address}/");
            Some(server)
        }
        Err(error) => {
            tracing::error!(
                event = "http_failed",
                address = listen,
                hint = error.hint,
                "there is no status page: {}",
                error.message
            );
            None
        }
    }
}

/// Whether certificate and token can be used, where there are to be some.
pub fn look_at_credentials(http: &Http, folder: &Path) -> Result<(), String> {
    server::read(&Credentials::new(http, folder)).map(drop)
}

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
struct Reply {
    status: u16,
    media_type: &'static str,
    body: String,
    /// Headers beside those that every answer has.
    headers: Vec<(HeaderName, String)>,
}

impl Reply {
    const HTML: &str = "text/html; charset=utf-8";
    const TEXT: &str = "text/plain; charset=utf-8";
    const JSON: &str = "application/json";

    fn new(status: u16, media_type: &'static str, body: impl Into<String>) -> Self {
        Self { status, media_type, body: body.into(), headers: Vec::new() }
    }

    fn ok(media_type: &'static str, body: impl Into<String>) -> Self {
        Self::new(200, media_type, body)
    }

    fn words(status: u16, body: &str) -> Self {
        Self::new(status, Self::TEXT, format!("{body}\n"))
    }

    fn with(mut self, name: HeaderName, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// What a request asks for.
#[derive(Debug)]
struct Asked {
    path: String,
    /// It comes from a browser, which shows plain text and stores what it does not know.
    by_browser: bool,
    visit: Visit,
}

/// What is for everybody. It needs no look at the state, and so waits for none: a state that hangs does not make the
/// service look dead. The log-in page needs the style.
fn for_all(path: &str, monitor: &Monitor) -> Option<Reply> {
    Some(match path {
        "/healthz" => health::alive(monitor),
        "/readyz" => health::ready(monitor),
        assets::STYLE_PATH => Reply::ok("text/css; charset=utf-8", assets::style()),
        _ => return None,
    })
}

/// What any other path leads to. It may take as long as the state takes.
fn route(asked: &Asked, view: &view::View) -> Reply {
    let path = asked.path.as_str();
    match path {
        "/" => Reply::ok(Reply::HTML, fleet::page(&view.fleet(), asked.visit)),
        "/metrics" => metrics::reply(&view.fleet(), asked.by_browser),
        _ => match path.strip_prefix("/pipelines/").and_then(|id| view.pipeline(id)) {
            Some(found) => Reply::ok(Reply::HTML, pipeline::page(&found, asked.visit)),
            None => Reply::new(404, Reply::HTML, html::not_found(asked.visit)),
        },
    }
}
