//! Certificates of servers and of clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine_core::ports::AuthConfig;
use engine_spec::model::TlsMode;
use engine_tests::platform::Platform;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use secrecy::SecretString;

use crate::{ACCEPTED, CANARY, config, open, parcel, send, told};

fn pem(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("support/tls").join(name)
}

fn certificates(name: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(pem(name)).expect("a file").collect::<Result<_, _>>().expect("certificates")
}

fn server(name: &str, asks_for_client: bool) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the protocol");
    let builder = if asks_for_client {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates("ca.pem"));
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        builder.with_client_cert_verifier(verifier.expect("an authority"))
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::from_pem_file(pem(&format!("{name}.key"))).expect("a key");
    builder.with_single_cert(certificates(&format!("{name}.pem")), key).expect("a pair")
}

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
