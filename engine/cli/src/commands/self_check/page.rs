//! Whether the status page can be served as the device config asks for it.

use std::path::Path;

use engine_spec::device::Http;

use super::Finding;
use crate::web;

const ABOUT: &str = "page";

/// Looks at certificate and token. A service runs without its page, so that what is wrong is a warning.
pub(super) fn look(http: &Http, folder: &Path) -> Option<Finding> {
    let listen = http.listen.as_ref()?;
    let with = match (&http.tls, &http.token) {
        (Some(_), Some(_)) => "with TLS and a token",
        (Some(_), None) => "with TLS",
        (None, Some(_)) => "with a token",
        (None, None) => "for everybody on this machine",
    };
    Some(match web::look_at_credentials(http, folder) {
        Ok(()) => Finding::ok(ABOUT, format!("the status page is to listen on {listen}, {with}")),
        Err(error) => Finding::warning(
            ABOUT,
            format!("there will be no status page on {listen}: {error}"),
            "put right what `http.tls` and `http.token` name; everything else runs without it",
        ),
    })
}
