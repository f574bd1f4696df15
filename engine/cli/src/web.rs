//! What an operator sees in a browser, and what a monitoring system asks: the status page, its endpoints, and a server
//! for them on loopback.
//!
//! Everything is read-only. Pages and metrics are made from one look at the state, which is taken at most once a second.

mod assets;
mod cached;
mod fleet;
mod guard;
mod health;
mod html;
pub mod metrics;
mod pipeline;
mod process;
mod server;
mod timeline;
mod view;

use std::sync::Arc;

use engine_core::state::StateStore;

use crate::monitor::Monitor;
pub use server::Server;

/// Begins to serve, where the device config asks for it. An address that is not to be had is said, and the service goes
/// on without a page.
pub fn start(listen: Option<&str>, store: &Arc<dyn StateStore>, monitor: &Arc<Monitor>) -> Option<Server> {
    let listen = listen?;
    let view = view::View::new(Arc::clone(store), Arc::clone(monitor));
    match Server::start(listen, view) {
        Ok(server) => {
            let address = server.address();
            tracing::info!(event = "http_listens", address = %address, "the status page is at http://{address}/");
            Some(server)
        }
        Err(error) => {
            tracing::error!(
                event = "http_failed",
                address = listen,
                hint = "see who has the port with `ss -ltnp`, or choose another in `http.listen`; everything else runs",
                "there is no status page: listening on {listen} failed: {error}"
            );
            None
        }
    }
}

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
struct Reply {
    status: u16,
    media_type: &'static str,
    body: String,
}

impl Reply {
    const HTML: &str = "text/html; charset=utf-8";
    const TEXT: &str = "text/plain; charset=utf-8";
    const JSON: &str = "application/json";

    fn ok(media_type: &'static str, body: impl Into<String>) -> Self {
        Self { status: 200, media_type, body: body.into() }
    }

    fn words(status: u16, body: &str) -> Self {
        Self { status, media_type: Self::TEXT, body: format!("{body}\n") }
    }
}

/// What a request asks for.
#[derive(Debug)]
struct Asked {
    path: String,
    /// It comes from a browser, which shows plain text and stores what it does not know.
    by_browser: bool,
}

/// What needs no look at the state, and so waits for none: a state that hangs does not make the service look dead.
fn at_once(path: &str, monitor: &Monitor) -> Option<Reply> {
    Some(match path {
        "/healthz" => health::alive(monitor),
        "/readyz" => health::ready(monitor),
        assets::STYLE_PATH => Reply::ok("text/css; charset=utf-8", assets::style()),
        assets::SCRIPT_PATH => Reply::ok("text/javascript; charset=utf-8", assets::SCRIPT),
        _ => return None,
    })
}

/// What any other path leads to. It may take as long as the state takes.
fn route(asked: &Asked, view: &view::View) -> Reply {
    let path = asked.path.as_str();
    match path {
        "/" => Reply::ok(Reply::HTML, fleet::page(&view.fleet())),
        "/metrics" => metrics::reply(&view.fleet(), asked.by_browser),
        _ => match path.strip_prefix("/pipelines/").and_then(|id| view.pipeline(id)) {
            Some(found) => Reply::ok(Reply::HTML, pipeline::page(&found)),
            None => Reply { status: 404, media_type: Reply::HTML, body: html::not_found() },
        },
    }
}
