//! Certificates of servers and of clients.

use engine_core::ports::AuthConfig;
use engine_spec::model::TlsMode;
use engine_tests::certificates::{pem, server};
use engine_tests::platform::Platform;
use secrecy::SecretString;

use crate::{ACCEPTED, CANARY, config, open, parcel, send, told};

#[test]
fn certificates_are_checked_as_the_mode_says() {
    let ca = Some("ca.pem");
    for (name, mode, ca_file, kind) in [
        ("localhost", TlsMode::VerifyFull, ca, "accepted"),
        ("localhost", TlsMode::VerifyFull, None, "later"),
        ("localhost", TlsMode::VerifyCa, ca, "accepted"),
        ("localhost", TlsMode::Require, None, "accepted"),
        ("elsewhere", TlsMode::VerifyFull, ca, "later"),
        ("elsewhere", TlsMode::VerifyCa, ca, "accepted"),
        ("elsewhere", TlsMode::VerifyCa, Some("device.pem"), "later"),
        ("elsewhere", TlsMode::Prefer, None, "accepted"),
    ] {
        let platform = Platform::start_tls(server(name, false));
        let mut config = config(&platform.url());
        config.auth = Some(AuthConfig::Bearer(SecretString::from(CANARY)));
        config.tls.mode = mode;
        config.tls.ca_file = ca_file.map(pem);
        let answer = send(&mut open(&config), &parcel(0..1));
        let (found, message) = told(&answer);
        assert_eq!(found, kind, "{name} {mode:?} {ca_file:?}: {message}");
        assert!(kind == "accepted" || message.contains("certificate"), "{message}");
        assert_eq!(platform.requests().len(), usize::from(kind == "accepted"));
    }
}

#[test]
fn a_client_certificate_is_shown() {
    for (shown, accepted) in [(true, true), (false, false)] {
        let platform = Platform::start_tls(server("localhost", true));
        let mut config = config(&platform.url());
        config.tls.ca_file = Some(pem("ca.pem"));
        if shown {
            config.tls.cert_file = Some(pem("device.pem"));
            config.tls.key_file = Some(pem("device.key"));
        }
        let answer = send(&mut open(&config), &parcel(0..1));
        assert_eq!(answer == ACCEPTED, accepted, "{answer:?}");
        assert_eq!(platform.state().len(), usize::from(accepted));
    }
}
