//! Rules of the status page: what other machines can reach is encrypted, and asks who is there.

use std::net::SocketAddr;

use super::Checker;
use crate::codes;
use crate::device::Http;

const ADD_TLS: &str = "`tls: { cert_file: engine.pem, key_file: engine.key }`";
const ADD_TOKEN: &str = "`token: { file: page-token }`";

pub(super) fn check(checker: &mut Checker<'_>, http: &Http) {
    let Some(listen) = &http.listen else { return };
    let Ok(address) = listen.parse::<SocketAddr>() else {
        let message = format!("`{listen}` is not an address with a port");
        checker.value(codes::BAD_VALUE, "/http/listen", message).help =
            Some("for example `listen: 127.0.0.1:9187`".to_owned());
        return;
    };
    let (lacks, add) = match (&http.tls, &http.token) {
        _ if address.ip().is_loopback() => return,
        (Some(_), Some(_)) => return,
        (None, None) => ("TLS and a token", format!("{ADD_TLS} and {ADD_TOKEN}")),
        (None, Some(_)) => ("TLS", ADD_TLS.to_owned()),
        (Some(_), None) => ("a token", ADD_TOKEN.to_owned()),
    };
    let message = format!("`{listen}` can be reached from other machines, and the status page lacks {lacks}");
    checker.value(codes::BAD_VALUE, "/http/listen", message).help = Some(format!(
        "add {add}; or listen on `127.0.0.1:9187`, and look at it from elsewhere through \
         `ssh -L 9187:127.0.0.1:9187 BOX`"
    ));
}

#[cfg(test)]
mod tests {
    use crate::load::load_device;

    /// The errors of a device config with such a page: message and help.
    fn found(http: &str) -> Vec<(String, String)> {
        let loaded = load_device("engine.yaml", format!("version: 1\nhttp: {{ {http} }}\n").as_bytes());
        let findings = loaded.diagnostics.into_iter();
        findings.map(|finding| (finding.message, finding.help.unwrap_or_default())).collect()
    }

    const TLS: &str = "tls: { cert_file: a.pem, key_file: a.key }";
    const TOKEN: &str = "token: { env: PAGE_TOKEN }";

    #[test]
    fn what_others_can_reach_needs_tls_and_a_token() {
        for listen in ["0.0.0.0:8443", "[::]:8443", "10.20.0.9:8443", "[2001:db8::1]:8443"] {
            for (beside, lacks, adds) in [
                (String::new(), "lacks TLS and a token", ["tls:", "token:"]),
                (format!(", {TLS}"), "lacks a token", ["token:", "token:"]),
                (format!(", {TOKEN}"), "lacks TLS", ["tls:", "tls:"]),
            ] {
                let found = found(&format!("listen: '{listen}'{beside}"));
                let [(message, help)] = found.as_slice() else { panic!("{found:?}") };
                assert!(message.contains(listen) && message.ends_with(lacks), "{message}");
                assert!(adds.iter().all(|add| help.contains(add)) && help.contains("ssh -L"), "{help}");
            }
            assert_eq!(found(&format!("listen: '{listen}', {TLS}, {TOKEN}")), []);
        }
    }

    #[test]
    fn loopback_needs_neither_and_may_have_both() {
        for listen in ["127.0.0.1:9187", "127.0.0.2:0", "[::1]:9187"] {
            for beside in [String::new(), format!(", {TLS}"), format!(", {TOKEN}"), format!(", {TLS}, {TOKEN}")] {
                assert_eq!(found(&format!("listen: '{listen}'{beside}")), [], "{beside}");
            }
        }
    }

    #[test]
    fn what_is_no_address_or_half_a_setting_is_refused() {
        for http in [
            "listen: localhost",
            "listen: '9187'",
            "listen: '127.0.0.1'",
            "tls: { cert_file: a.pem }",
            "token: a-literal-token-of-the-page",
            "token: { env: PAGE_TOKEN, default: a-literal-token-of-the-page }",
        ] {
            let found = found(http);
            assert_eq!(found.len(), 1, "{http}: {found:?}");
            assert!(!format!("{found:?}").contains("a-literal-token"), "{http}: {found:?}");
        }
    }
}
