//! TLS under the status page, with a certificate that may be replaced while it is served.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, ServerConfig};
use secrecy::{ExposeSecret, SecretString};

/// A certificate with its key, as it is now.
#[derive(Debug)]
pub(super) struct Certificate(RwLock<Arc<CertifiedKey>>);

impl Certificate {
    /// Serves this one.
    pub(super) fn new(pair: CertifiedKey) -> Self {
        Self(RwLock::new(Arc::new(pair)))
    }

    /// Serves this one from now on. Gives whether it is another one.
    pub(super) fn renew(&self, pair: CertifiedKey) -> bool {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = current.cert != pair.cert;
        *current = Arc::new(pair);
        is_new
    }

    /// TLS 1.2 and 1.3 with this certificate, and HTTP/1.1 on it.
    pub(super) fn config(self: &Arc<Self>) -> Result<ServerConfig, Error> {
        let builder =
            ServerConfig::builder_with_provider(Arc::new(provider())).with_safe_default_protocol_versions()?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::clone(self) as _);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

/// A certificate and its key from the texts of their files.
pub(super) fn pair(certificate: &str, key: &SecretString) -> Result<CertifiedKey, String> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("`cert_file` is no PEM: {error}"))?;
    if chain.is_empty() {
        return Err("`cert_file` holds no certificate in PEM".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())
        .map_err(|_| "`key_file` holds no private key in PEM without a password".to_owned())?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        Error::InconsistentKeys(_) => "`key_file` is not the key of the first certificate in `cert_file`".to_owned(),
        error => format!("certificate and key cannot be used: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use engine_tests::certificates::pem;

    use super::*;

    fn read(name: &str) -> String {
        std::fs::read_to_string(pem(name)).expect("a file")
    }

    #[test]
    fn what_is_no_pair_says_what_it_is() {
        let check =
            |certificate: &str, key: &str| pair(certificate, &SecretString::from(key)).map(|pair| pair.cert.len());
        let (certificate, key) = (read("localhost.pem"), read("localhost.key"));
        assert_eq!(check(&certificate, &key), Ok(1));
        assert_eq!(check(&(certificate.clone() + &read("ca.pem")), &key), Ok(2));
        for (certificate, key, said) in [
            ("", key.as_str(), "no certificate in PEM"),
            (&key, &key, "no certificate in PEM"),
            (&certificate[..certificate.len() / 2], &key, "`cert_file` is no PEM"),
            (&certificate, &certificate, "`key_file` holds no private key"),
            (&certificate, &read("elsewhere.key"), "is not the key of the first certificate"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key, "cannot be used"),
        ] {
            let error = check(certificate, key).expect_err("no pair");
            assert!(error.contains(said), "{said}: {error}");
            assert!(!error.contains("PRIVATE"), "{error}");
        }
    }
}
