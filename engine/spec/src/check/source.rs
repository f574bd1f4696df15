//! `source`: what the kinds need beside their types, TLS files, addresses and logins over HTTP.

use std::collections::BTreeMap;

use encoding_rs::Encoding;
use serde_json_path::JsonPath;

use super::Checker;
use crate::codes;
use crate::diagnostic::{Diagnostic, child};
use crate::model::{
    Auth, CsvSource, HeaderValue, HttpSource, OracleSource, Pagination, Setting, Source, SyncMode, Timeouts, Tls,
};

pub(super) fn check(checker: &mut Checker<'_>, source: &Source, mode: SyncMode) {
    let (zone, shared_tls, shared_timeouts) = match source {
        Source::SqlServer(server) => (&server.timezone, server.tls.as_ref(), Some(&server.timeouts)),
        Source::MySql(server) | Source::MariaDb(server) | Source::Postgres(server) => {
            (&server.timezone, server.tls.as_ref(), Some(&server.timeouts))
        }
        Source::Oracle(server) => {
            oracle(checker, server);
            (&server.timezone, server.tls.as_ref(), Some(&server.timeouts))
        }
        Source::Sqlite(file) => (&file.timezone, None, Some(&file.timeouts)),
        Source::Http(api) => {
            http(checker, api);
            slice(checker, api, mode);
            csv_body(checker, api);
            (&api.timezone, api.tls.as_ref(), Some(&api.timeouts))
        }
        Source::Csv(folder) => {
            csv(checker, folder);
            (&folder.timezone, None, None)
        }
    };
    if let Some(Setting::Literal(zone)) = zone {
        checker.zone("/source/timezone", zone);
    }
    tls(checker, "/source", shared_tls);
    if let Some(shared) = shared_timeouts {
        timeouts(checker, "/source", shared);
    }
}

/// A client certificate and its key come together.
pub(super) fn tls(checker: &mut Checker<'_>, parent: &str, tls: Option<&Tls>) {
    let Some(tls) = tls else { return };
    let pair = [("cert_file", &tls.cert_file, "key_file"), ("key_file", &tls.key_file, "cert_file")];
    for ((given, file, missing), (_, other, _)) in pair.iter().zip(pair.iter().rev()) {
        if file.is_some() && other.is_none() {
            let message = format!("`{given}` needs `{missing}`");
            checker.key(codes::MISSING_KEY, &format!("{parent}/tls/{given}"), message).help =
                Some(format!("add `{missing}`, the other half of the client certificate"));
        }
    }
}

/// No wait of length zero.
pub(super) fn timeouts(checker: &mut Checker<'_>, parent: &str, timeouts: &Timeouts) {
    for (key, period) in [("connect", &timeouts.connect), ("query", &timeouts.query)] {
        if let Some(Setting::Literal(period)) = period
            && period.0.is_zero()
        {
            let message = format!("`{key}` must be longer than `0s`");
            checker.value(codes::OUT_OF_RANGE, &format!("{parent}/timeouts/{key}"), message);
        }
    }
}

fn oracle(checker: &mut Checker<'_>, server: &OracleSource) {
    let names = [("database", server.database.is_some()), ("sid", server.sid.is_some()), ("tns", server.tns.is_some())];
    let given: Vec<&str> = names.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
    match given.as_slice() {
        [_] => {}
        [] => {
            let message = "`source` takes exactly one of `database`, `sid`, `tns`; there is none";
            checker.key(codes::EXACTLY_ONE, "/source", message).help =
                Some("add `database`, the service name".to_owned());
        }
        [_, second, ..] => {
            let message =
                format!("`source` takes exactly one of `database`, `sid`, `tns`; there is {}", given.join(", "));
            checker.key(codes::EXACTLY_ONE, &format!("/source/{second}"), message);
        }
    }
    if server.tns.is_some() {
        for (key, given) in [("host", server.host.is_some()), ("port", server.port.is_some())] {
            if given {
                let message = format!("`{key}` comes from `tnsnames.ora` where there is a `tns`");
                checker.key(codes::KEY_NOT_HERE, &format!("/source/{key}"), message).help =
                    Some(format!("remove `{key}`, or use `database` or `sid` instead of `tns`"));
            }
        }
    } else if server.host.is_none() {
        checker.key(codes::MISSING_KEY, "/source", "`source` lacks the key `host`").help =
            Some("add `host`, or name an alias with `tns`".to_owned());
    }
    if server.config_dir.is_some() && server.tns.is_none() && server.tls.is_none() {
        let message = "`config_dir` holds `tnsnames.ora` and the wallet; there is neither `tns` nor `tls`";
        checker.key(codes::KEY_NOT_HERE, "/source/config_dir", message);
    }
}

fn http(checker: &mut Checker<'_>, api: &HttpSource) {
    let secret_header = api.request.headers.values().any(|value| matches!(value, HeaderValue::Secret(_)));
    address(checker, "/source/url", &api.url, api.auth.is_some() || secret_header);
    headers(checker, "/source/request/headers", &api.request.headers);
    if let Some(auth) = &api.auth {
        login(checker, "/source/auth", auth);
    }
    if api.rate_limit.is_some_and(|limit| limit <= 0.0) {
        checker.value(codes::OUT_OF_RANGE, "/source/rate_limit", "`rate_limit` must be more than 0");
    }
    if let Some(records) = &api.records {
        json_path(checker, "/source/records", records);
    }
    match &api.pagination {
        Some(Pagination::Cursor(pages)) => {
            json_path(checker, "/source/pagination/cursor/path", &pages.path);
            checker.not_empty("/source/pagination/cursor/param", &pages.param);
        }
        Some(Pagination::Page(pages)) => {
            checker.not_empty("/source/pagination/page/param", &pages.param);
            if pages.size.is_some() != pages.size_param.is_some() {
                let (given, missing) =
                    if pages.size.is_some() { ("size", "size_param") } else { ("size_param", "size") };
                let message = format!("`{given}` needs `{missing}`");
                checker.key(codes::MISSING_KEY, &format!("/source/pagination/page/{given}"), message);
            }
        }
        Some(Pagination::Offset(pages)) => {
            checker.not_empty("/source/pagination/offset/param", &pages.param);
            if pages.limit == 0 {
                let message = "`limit` must be more than 0";
                checker.value(codes::OUT_OF_RANGE, "/source/pagination/offset/limit", message);
            }
        }
        Some(Pagination::Link(pages)) => {
            if let Some(path) = &pages.path {
                json_path(checker, "/source/pagination/link/path", path);
            }
        }
        None => {}
    }
}

/// Slices are cut from a window.
fn slice(checker: &mut Checker<'_>, api: &HttpSource, mode: SyncMode) {
    const POINTER: &str = "/source/request/slice";
    let Some(slice) = api.request.slice else { return };
    if slice.0.is_zero() {
        checker.value(codes::OUT_OF_RANGE, POINTER, "`slice` must be longer than `0s`");
    }
    if mode != SyncMode::Window {
        checker.key(codes::KEY_NOT_HERE, POINTER, "slices are cut from a window, and this mode has none").help =
            Some("remove `slice`, or set `sync: { mode: window }`".to_owned());
    }
}

/// Bytes of a JSONPath.
pub const JSON_PATH_BYTES_MAX: usize = 1_000;
/// Brackets and parentheses of a JSONPath within each other: each costs the stack of whoever reads it.
pub const JSON_PATH_NESTING_MAX: usize = 16;
/// Descents, `..`, in a JSONPath: each more multiplies the work by the depth of the answer.
pub const JSON_PATH_DESCENTS_MAX: usize = 2;

/// A JSONPath that can be read, and costs no more than an answer is worth.
fn json_path(checker: &mut Checker<'_>, pointer: &str, path: &str) {
    if let Some(reason) = too_much(path) {
        checker.value(codes::BAD_JSON_PATH, pointer, reason).help =
            Some("name the way to the records, for example `$.orders[*].bookings[*]`".to_owned());
        return;
    }
    if let Err(error) = JsonPath::parse(path) {
        let at = error.position().min(path.len());
        let span = checker.file.span_in_scalar(pointer, &(at..path.len()));
        let message = format!("`{path}` is no JSONPath: {}", error.message());
        checker.push(Diagnostic::new(codes::BAD_JSON_PATH, span, message).at(pointer)).help =
            Some("for example `$.data[*]`, `$.orders[*].bookings[*]` or `$['@odata.nextLink']`".to_owned());
    }
}

/// Which limit of a JSONPath a text exceeds, in words. It is not parsed for that.
fn too_much(path: &str) -> Option<String> {
    if path.len() > JSON_PATH_BYTES_MAX {
        return Some(format!("the JSONPath has {} bytes; the limit is {JSON_PATH_BYTES_MAX}", path.len()));
    }
    let (mut depth, mut deepest, mut descents) = (0_usize, 0, 0);
    let (mut quote, mut before) = (None, None);
    let mut letters = path.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(_), '\\') => _ = letters.next(),
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth = depth.saturating_sub(1),
            (None, '.') if before == Some('.') => descents += 1,
            (None, _) => {}
        }
        deepest = deepest.max(depth);
        before = Some(letter);
    }
    if deepest > JSON_PATH_NESTING_MAX {
        return Some(format!("the JSONPath is nested {deepest} levels deep; the limit is {JSON_PATH_NESTING_MAX}"));
    }
    (descents > JSON_PATH_DESCENTS_MAX)
        .then(|| format!("the JSONPath descends {descents} times, `..`; the limit is {JSON_PATH_DESCENTS_MAX}"))
}

/// Headers that carry a login take a reference.
pub(super) fn headers(checker: &mut Checker<'_>, pointer: &str, headers: &BTreeMap<String, HeaderValue>) {
    const CARRY_A_LOGIN: [&str; 5] = ["authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token"];
    for (name, value) in headers {
        if matches!(value, HeaderValue::Text(_)) && CARRY_A_LOGIN.iter().any(|secret| name.eq_ignore_ascii_case(secret))
        {
            let message = format!("the header `{name}` is a secret and is written into the spec");
            checker.value(codes::LITERAL_SECRET, &child(pointer, name), message).help =
                Some("a secret takes a reference: `{ env: NAME }`, or log in with `auth`".to_owned());
        }
    }
}

/// A login that is a request of its own: its address is sent a secret.
pub(super) fn login(checker: &mut Checker<'_>, pointer: &str, auth: &Auth) {
    match auth {
        Auth::Oauth2(oauth) => address(checker, &format!("{pointer}/oauth2/token_url"), &oauth.token_url, true),
        Auth::Session(session) => {
            let pointer = format!("{pointer}/session");
            address(checker, &format!("{pointer}/login_url"), &session.login_url, true);
            for (name, value) in &session.body {
                if matches!(value, HeaderValue::Text(_)) && names_a_secret(name) {
                    let message = format!("`{name}` is a secret and is written into the spec");
                    checker.value(codes::LITERAL_SECRET, &child(&format!("{pointer}/body"), name), message).help =
                        Some("a secret takes a reference: `{ env: NAME }`".to_owned());
                }
            }
            match (&session.token, &session.header) {
                (Some(path), _) => json_path(checker, &format!("{pointer}/token"), path),
                (None, Some(_)) => {
                    let message = "`header` carries the token, and cookies have a header of their own";
                    checker.key(codes::MISSING_KEY, &format!("{pointer}/header"), message).help =
                        Some("say where the token is in the answer, `token: $.token`, or remove `header`".to_owned());
                }
                (None, None) => {}
            }
        }
        Auth::Bearer(_) | Auth::Basic(_) | Auth::Header(_) => {}
    }
}

fn names_a_secret(name: &str) -> bool {
    const PARTS: [&str; 6] = ["pass", "pwd", "secret", "token", "kennwort", "apikey"];
    let name = name.to_ascii_lowercase().replace(['_', '-'], "");
    PARTS.iter().any(|part| name.contains(part))
}

/// An HTTP address; a secret goes over plain HTTP to loopback only.
pub(super) fn address(checker: &mut Checker<'_>, pointer: &str, url: &Setting<String>, carries_secret: bool) {
    let Setting::Literal(url) = url else { return };
    let lower = url.to_ascii_lowercase();
    let Some(rest) = lower.strip_prefix("http://").or_else(|| lower.strip_prefix("https://")) else {
        checker.value(codes::BAD_VALUE, pointer, "an address begins with `https://`").help =
            Some("for example `url: https://app.enlyze.com`".to_owned());
        return;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if host.is_empty() {
        checker.value(codes::BAD_VALUE, pointer, "the address names no host");
    }
    if login.contains(':') {
        checker.value(codes::LITERAL_SECRET, pointer, "the address holds a password").help =
            Some("log in with `auth`, and put the password into a reference".to_owned());
    }
    if carries_secret && lower.starts_with("http://") && !is_loopback(host) {
        checker.value(codes::SECRET_OVER_HTTP, pointer, "a secret would be sent without encryption").help =
            Some("use `https://`; plain `http://` is for loopback only".to_owned());
    }
}

pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn csv(checker: &mut Checker<'_>, folder: &CsvSource) {
    if folder.header == Some(false) && folder.columns.is_empty() {
        let message = "a file without a header needs `columns`";
        checker.key(codes::MISSING_KEY, "/source/header", message).help =
            Some("name the columns: `columns: [order, machine, start, end]`".to_owned());
    }
    if folder.header == Some(true) && !folder.columns.is_empty() {
        let message = "the names of the columns come from the header or from `columns`; both are given";
        checker.key(codes::EXACTLY_ONE, "/source/columns", message).help =
            Some("remove `columns`, or `header: true` where the files have no header".to_owned());
    }
    let marks = [folder.delimiter, folder.quote, folder.decimal];
    csv_format(checker, "/source", marks, folder.encoding.as_deref(), &folder.columns);
}

fn csv_body(checker: &mut Checker<'_>, api: &HttpSource) {
    let Some(body) = &api.csv else { return };
    if api.records.is_some() {
        let message = "`records` is a path into JSON; every line of CSV is a record";
        checker.key(codes::KEY_NOT_HERE, "/source/records", message).help =
            Some("remove `records`, or `csv` where the answers are JSON".to_owned());
    }
    let marks = [body.delimiter, body.quote, body.decimal];
    csv_format(checker, "/source/csv", marks, body.encoding.as_deref(), &body.columns);
}

/// What CSV of files and of an API has in common; the marks are delimiter, quote and decimal point.
fn csv_format(
    checker: &mut Checker<'_>,
    pointer: &str,
    [delimiter, quote, decimal]: [Option<char>; 3],
    encoding: Option<&str>,
    columns: &[String],
) {
    for (index, column) in columns.iter().enumerate() {
        checker.not_empty(&format!("{pointer}/columns/{index}"), column);
    }
    if let Some(encoding) = encoding
        && Encoding::for_label_no_replacement(encoding.as_bytes()).is_none()
    {
        let message = format!("`{encoding}` is no encoding that is known");
        checker.value(codes::UNKNOWN_VALUE, &format!("{pointer}/encoding"), message).help = Some(
            "common ones are `utf-8`, `windows-1252` (Western Windows), `windows-1250` (Central European Windows), `iso-8859-1`, `iso-8859-15`, `utf-16`"
                .to_owned(),
        );
    }
    for (key, character) in [("delimiter", delimiter), ("quote", quote), ("decimal", decimal)] {
        let is_mark = |character: char| character == '\t' || character == ' ' || character.is_ascii_punctuation();
        if let Some(character) = character.filter(|character| !is_mark(*character)) {
            let message = format!("`{key}` is an ASCII character that is no letter and no digit, not {character:?}");
            checker.value(codes::BAD_VALUE, &format!("{pointer}/{key}"), message);
        }
    }
    let delimiter = delimiter.unwrap_or(',');
    let clash = [("quote", Some(quote.unwrap_or('"'))), ("decimal", decimal)]
        .into_iter()
        .find(|(_, character)| *character == Some(delimiter));
    if let Some((key, _)) = clash {
        let message = format!("`{key}` and `delimiter` are both `{delimiter}`");
        checker.value(codes::BAD_VALUE, &format!("{pointer}/{key}"), message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_path_has_limits_that_quotes_do_not_count_for() {
        let (nested, descending) = (JSON_PATH_NESTING_MAX, JSON_PATH_DESCENTS_MAX);
        let nest = |levels: usize| format!("$[?{}@.a{}]", "(".repeat(levels - 1), ")".repeat(levels - 1));
        for (path, expected) in [
            ("$.orders[*].operations[?@.state != 'planned']".to_owned(), None),
            (nest(nested), None),
            (nest(nested + 1), Some("nested")),
            (format!("$['{}']", "[".repeat(nested + 1)), None),
            (format!("$['\\'{}']", "[".repeat(nested + 1)), None),
            (format!("$[\"{}\"]", "..".repeat(descending + 1)), None),
            (format!("${}", "..a".repeat(descending)), None),
            (format!("${}", "..a".repeat(descending + 1)), Some("descends")),
            (format!("${}", "a".repeat(JSON_PATH_BYTES_MAX - 1)), None),
            (format!("${}", "a".repeat(JSON_PATH_BYTES_MAX)), Some("bytes")),
        ] {
            let found = too_much(&path);
            assert_eq!(found.is_some(), expected.is_some(), "{path}: {found:?}");
            assert!(found.is_none_or(|found| found.contains(expected.unwrap_or_default())), "{path}");
        }
    }

    #[test]
    fn loopback_is_recognised() {
        for (authority, expected) in [
            ("localhost:8080", true),
            ("127.0.0.1", true),
            ("127.9.9.9:80", true),
            ("[::1]:80", true),
            ("10.0.0.1", false),
            ("localhost.example.com", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(authority), expected, "{authority}");
        }
    }
}
