//! `fleet` of the device config: where specs are pulled from, and who may sign them.

use super::source::{address, headers, login, tls};
use super::{Checker, has_password};
use crate::codes;
use crate::device::{Device, Fleet, Heartbeat, PublicKey, PulledSpecs, SpecsFrom};
use crate::model::HeaderValue;

pub(super) fn check(checker: &mut Checker<'_>, device: &Device, fleet: &Fleet) {
    if let Some(pulled) = &fleet.specs {
        if !device.specs.is_empty() {
            checker.key(codes::EXACTLY_ONE, "/specs", "`specs` and `fleet.specs` both say where the specs are").help =
                Some("remove one of them".to_owned());
        }
        specs(checker, pulled);
    }
    if let Some(told) = &fleet.heartbeat {
        heartbeat(checker, told);
    }
}

fn specs(checker: &mut Checker<'_>, pulled: &PulledSpecs) {
    let at = "/fleet/specs";
    for (index, key) in pulled.keys.iter().enumerate() {
        if let Err(message) = key.parse::<PublicKey>() {
            checker.value(codes::BAD_VALUE, &format!("{at}/keys/{index}"), message).help =
                Some("`engine bundle --new-key FILE` makes a pair, and prints the public one".to_owned());
        }
    }
    from(checker, &format!("{at}/from"), pulled);
    tls(checker, at, pulled.tls.as_ref());
    headers(checker, &format!("{at}/headers"), &pulled.headers);
    if let Some(auth) = &pulled.auth {
        login(checker, &format!("{at}/auth"), auth);
    }
}

fn from(checker: &mut Checker<'_>, at: &str, pulled: &PulledSpecs) {
    if has_password(&pulled.from) {
        checker.value(codes::LITERAL_SECRET, at, "the address holds a password").help =
            Some("log in with `auth`, and put the password into a reference".to_owned());
        return;
    }
    let from = match pulled.from.parse::<SpecsFrom>() {
        Ok(from) => from,
        Err(message) => {
            checker.value(codes::BAD_VALUE, at, message);
            return;
        }
    };
    let (signed_by, has_signer) = match &from {
        SpecsFrom::Bundle { .. } => ("keys", !pulled.keys.is_empty()),
        SpecsFrom::Git { .. } => ("allowed_signers", pulled.allowed_signers.is_some()),
    };
    if !has_signer && !from.is_pinned() {
        let message = "what is pulled is neither signed nor pinned, so that whoever holds the server holds the device";
        checker.value(codes::MISSING_KEY, at, message).help =
            Some(format!("name who may sign it in `{signed_by}`, or pin it with `#sha256=…` (`#commit=…` for git)"));
    }
}

fn heartbeat(checker: &mut Checker<'_>, told: &Heartbeat) {
    let at = "/fleet/heartbeat";
    let has_secret = told.headers.values().any(|value| matches!(value, HeaderValue::Secret(_)));
    address(checker, &format!("{at}/url"), &told.url, told.auth.is_some() || has_secret);
    headers(checker, &format!("{at}/headers"), &told.headers);
    if let Some(auth) = &told.auth {
        login(checker, &format!("{at}/auth"), auth);
    }
    tls(checker, at, told.tls.as_ref());
}

#[cfg(test)]
mod tests {
    use crate::load_device;

    /// The codes of the findings, with their places.
    fn found(fleet: &str) -> Vec<(&'static str, String)> {
        let text = format!("version: 1\n{fleet}");
        let loaded = load_device("engine.yaml", text.as_bytes());
        loaded.diagnostics.into_iter().map(|finding| (finding.code, finding.pointer)).collect()
    }

    #[test]
    fn what_is_pulled_is_signed_or_pinned() {
        let key = format!("ed25519:{}", "0f".repeat(32));
        let hash = "0f".repeat(32);
        for fleet in [
            format!("fleet: {{ specs: {{ from: 'https://h/s', keys: ['{key}'] }} }}"),
            format!("fleet: {{ specs: {{ from: 'https://h/s#sha256={hash}' }} }}"),
            "fleet: { specs: { from: 'git+file:///srv/specs', allowed_signers: signers } }".to_owned(),
            "fleet: { heartbeat: { url: 'https://h/beat', auth: { bearer: { env: T } } } }".to_owned(),
        ] {
            assert_eq!(found(&fleet), [], "{fleet}");
        }
        for (fleet, code, pointer) in [
            ("{ specs: { from: 'https://h/s' } }".to_owned(), "missing_key", "/fleet/specs/from"),
            (format!("{{ specs: {{ from: 'git+file:///s', keys: ['{key}'] }} }}"), "missing_key", "/fleet/specs/from"),
            ("{ specs: { from: 'ftp://h/s' } }".to_owned(), "bad_value", "/fleet/specs/from"),
            ("{ specs: { from: 'https://u:canary@h/s' } }".to_owned(), "literal_secret", "/fleet/specs/from"),
            (
                format!("{{ specs: {{ from: 'https://h/s#sha256={hash}', keys: [x] }} }}"),
                "bad_value",
                "/fleet/specs/keys/0",
            ),
            (
                "{ heartbeat: { url: 'http://h/b', auth: { bearer: { env: T } } } }".to_owned(),
                "secret_over_http",
                "/fleet/heartbeat/url",
            ),
        ] {
            assert_eq!(found(&format!("fleet: {fleet}")), [(code, pointer.to_owned())], "{fleet}");
        }
        let both = format!("specs: [a.yaml]\nfleet: {{ specs: {{ from: 'https://h/s#sha256={hash}' }} }}");
        assert_eq!(found(&both), [("exactly_one", "/specs".to_owned())]);
    }
}
