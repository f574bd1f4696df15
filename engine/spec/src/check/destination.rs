//! `destination`, and where traces go: logins and addresses.

use std::collections::BTreeMap;

use super::Checker;
use super::source::{self, address, headers, timeouts, tls};
use crate::codes;
use crate::device::Otlp;
use crate::model::{Batch, Destination, EnlyzeDestination, HeaderValue};

pub(super) fn check(checker: &mut Checker<'_>, destination: &Destination) {
    match destination {
        Destination::Enlyze(platform) => {
            login(checker, platform);
            address(checker, "/destination/url", &platform.url, true);
            tls(checker, "/destination", platform.tls.as_ref());
            timeouts(checker, "/destination", &platform.timeouts);
            batch(checker, &platform.batch);
        }
        Destination::Http(endpoint) => {
            let carries_secret = endpoint.auth.is_some() || has_secret(&endpoint.headers);
            address(checker, "/destination/url", &endpoint.url, carries_secret);
            headers(checker, "/destination/headers", &endpoint.headers);
            if let Some(auth) = &endpoint.auth {
                source::login(checker, "/destination/auth", auth);
            }
            tls(checker, "/destination", endpoint.tls.as_ref());
            timeouts(checker, "/destination", &endpoint.timeouts);
            batch(checker, &endpoint.batch);
        }
        Destination::File(file) => batch(checker, &file.batch),
        Destination::Stdout(stdout) => batch(checker, &stdout.batch),
    }
}

/// `telemetry.otlp`, of a device config.
pub(super) fn check_collector(checker: &mut Checker<'_>, otlp: &Otlp) {
    const AT: &str = "/telemetry/otlp";
    address(checker, &format!("{AT}/url"), &otlp.url, has_secret(&otlp.headers));
    headers(checker, &format!("{AT}/headers"), &otlp.headers);
    tls(checker, AT, otlp.tls.as_ref());
}

fn has_secret(headers: &BTreeMap<String, HeaderValue>) -> bool {
    headers.values().any(|value| matches!(value, HeaderValue::Secret(_)))
}

fn login(checker: &mut Checker<'_>, platform: &EnlyzeDestination) {
    let by_password = platform.username.is_some() || platform.password.is_some();
    let (pointer, found) = match (platform.token.is_some(), by_password) {
        (true, false) => return,
        (true, true) if platform.username.is_some() => ("/destination/username", "both are given"),
        (true, true) => ("/destination/password", "both are given"),
        (false, false) => ("/destination", "there is neither"),
        (false, true) => {
            for (missing, given, has) in [
                ("username", "password", platform.username.is_some()),
                ("password", "username", platform.password.is_some()),
            ] {
                if !has {
                    let message = format!("`{given}` needs `{missing}`");
                    checker.key(codes::MISSING_KEY, &format!("/destination/{given}"), message);
                }
            }
            return;
        }
    };
    let message = format!("`destination` takes either `token`, or `username` with `password`; {found}");
    checker.key(codes::EXACTLY_ONE, pointer, message).help =
        Some("for example `token: { env: ENLYZE_TOKEN }`".to_owned());
}

fn batch(checker: &mut Checker<'_>, batch: &Batch) {
    for (key, zero) in
        [("max_records", batch.max_records == Some(0)), ("max_bytes", batch.max_bytes.is_some_and(|size| size.0 == 0))]
    {
        if zero {
            checker.value(
                codes::OUT_OF_RANGE,
                &format!("/destination/batch/{key}"),
                format!("`{key}` must be more than 0"),
            );
        }
    }
}
