//! Who is answered, and what a browser may do with the answer.
//!
//! A page on loopback is within reach of every web site that the operator's browser shows: a name of theirs may be made
//! to lead to 127.0.0.1. So, where no token is asked for, only requests are answered that are meant for this machine by
//! name. Where one is, any name will do: the cookie of a log-in is sent to the name that it was given under, and to no
//! other.

use std::net::Ipv6Addr;

use hyper::header::{ALLOW, HOST};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{HeaderMap, Method};

use super::{Reply, login};

macro_rules! policy {
    ($forms:literal) => {
        concat!(
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; ",
            "base-uri 'none'; form-action ",
            $forms,
            "; frame-ancestors 'none'"
        )
    };
}

/// What pages may do: style and script come from here and nowhere else, and nobody frames them.
pub(super) const POLICY: &str = policy!("'none'");
/// The same where there are forms, for the log-in.
pub(super) const POLICY_WITH_FORMS: &str = policy!("'self'");

/// On every answer, beside the policy.
pub(super) const HEADERS: [(&str, &str); 6] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// Whether somebody has to say who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    /// Nobody is asked.
    Nobody,
    /// A token is asked for.
    Token,
}

/// What is wrong with a request, if anything.
pub(super) fn refusal(request: &Parts, asks: Asks) -> Option<Reply> {
    let is_reading = request.method == Method::GET || request.method == Method::HEAD;
    let takes_form = asks == Asks::Token && [login::PATH, login::OUT_PATH].contains(&request.uri.path());
    let is_form = takes_form && request.method == Method::POST;
    if !(is_reading || is_form) {
        let refused = Reply::words(405, "Only GET and HEAD: nothing can be changed here.");
        return Some(refused.with(ALLOW, if takes_form { "GET, HEAD, POST" } else { "GET, HEAD" }.to_owned()));
    }
    if asks == Asks::Token {
        return None;
    }
    let is_meant = match host(&request.headers) {
        Some(host) => is_here(&host) && request.uri.authority().is_none_or(is_here),
        None => false,
    };
    if is_meant {
        return None;
    }
    Some(Reply::words(
        421,
        "The status page answers to localhost, 127.0.0.1 and [::1] only. A proxy must send one of these as `Host`.",
    ))
}

/// The one host that a request names.
fn host(headers: &HeaderMap) -> Option<Authority> {
    let mut named = headers.get_all(HOST).iter();
    let host = named.next()?.to_str().ok()?.parse().ok()?;
    named.next().is_none().then_some(host)
}

/// Whether a name leads here and can be made to lead nowhere else.
fn is_here(authority: &Authority) -> bool {
    let host = authority.host();
    if authority.as_str().contains('@') {
        return false;
    }
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()),
        None => {
            host.eq_ignore_ascii_case("localhost")
                || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn status(method: &str, uri: &str, hosts: &[&str]) -> Option<u16> {
        status_where(Asks::Nobody, method, uri, hosts)
    }

    fn status_where(asks: Asks, method: &str, uri: &str, hosts: &[&str]) -> Option<u16> {
        let mut request = Request::builder().method(method).uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        refusal(&parts, asks).map(|reply| reply.status)
    }

    #[test]
    fn only_what_is_meant_for_this_machine_is_answered() {
        for host in ["localhost", "LOCALHOST:9187", "127.0.0.1:9187", "127.9.9.9", "[::1]:9187", "[::1]"] {
            assert_eq!(status("GET", "/", &[host]), None, "{host}");
            assert_eq!(status("HEAD", "/metrics", &[host]), None, "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.168.1.7",
            "0.0.0.0",
            "[::]",
            "x@localhost",
            "localhost:80@evil.example",
            "",
        ] {
            assert_eq!(status("GET", "/", &[host]), Some(421), "{host}");
        }
        assert_eq!(status("GET", "/", &[]), Some(421));
        assert_eq!(status("GET", "/", &["localhost", "evil.example"]), Some(421));
        assert_eq!(status("GET", "http://evil.example/", &["localhost"]), Some(421));
        assert_eq!(status("GET", "http://localhost/", &["localhost"]), None);
    }

    #[test]
    fn nothing_but_reading_is_answered() {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"] {
            assert_eq!(status(method, "/", &["localhost"]), Some(405), "{method}");
            assert_eq!(status_where(Asks::Token, method, "/", &["localhost"]), Some(405), "{method}");
        }
    }

    #[test]
    fn a_log_in_is_sent_where_a_token_is_asked_for_under_any_name() {
        for path in [login::PATH, login::OUT_PATH] {
            assert_eq!(status("POST", path, &["localhost"]), Some(405), "{path}");
            assert_eq!(status_where(Asks::Token, "POST", path, &["box.example"]), None, "{path}");
            assert_eq!(status_where(Asks::Token, "PUT", path, &["box.example"]), Some(405), "{path}");
        }
        assert_eq!(status_where(Asks::Token, "GET", "/", &["box.example:8443"]), None);
    }
}
