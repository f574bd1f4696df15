//! Certificate and token of the status page, read anew while it is served: both may be replaced without a restart.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use engine_core::ports::References as _;
use engine_spec::device::{Http, HttpTls};
use engine_spec::scalar::{Reference, Secret, Setting};
use rustls::sign::CertifiedKey;
use secrecy::{ExposeSecret, SecretString};

use super::access::Access;
use super::tls::{self, Certificate};
use crate::monitor::Monitor;
use crate::references::ProcessReferences;

/// Time between two looks at certificate and token.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Where certificate and token are.
pub(super) struct Credentials {
    tls: Option<HttpTls>,
    token: Option<Secret>,
    references: ProcessReferences,
}

impl Credentials {
    /// Those of a device config in this folder.
    pub(super) fn new(http: &Http, folder: &Path) -> Self {
        Self { tls: http.tls.clone(), token: http.token.clone(), references: ProcessReferences::new(folder) }
    }

    /// The certificate as it is now, where there is to be one.
    pub(super) fn certificate(&self) -> Result<Option<CertifiedKey>, String> {
        let Some(files) = &self.tls else { return Ok(None) };
        let (certificate, key) = (self.file(&files.cert_file)?, self.file(&files.key_file)?);
        tls::pair(certificate.expose_secret(), &key).map(Some)
    }

    /// The token as it is now, where one is asked for.
    pub(super) fn token(&self) -> Result<Option<SecretString>, String> {
        self.token.as_ref().map(|Secret(reference)| self.references.resolve(reference)).transpose()
    }

    /// The content of a file that a setting names.
    fn file(&self, path: &Setting<String>) -> Result<SecretString, String> {
        let path = match path {
            Setting::Literal(path) => path.clone(),
            Setting::Reference(reference) => self.references.resolve(reference)?.expose_secret().to_owned(),
        };
        self.references.resolve(&Reference::File(path))
    }
}

/// What is served, and renewed.
pub(super) struct Served {
    pub(super) certificate: Option<Arc<Certificate>>,
    pub(super) access: Option<Arc<Access>>,
}

impl Served {
    /// Reads certificate and token anew, and serves what was read. Gives what is new, in words. What cannot be used
    /// leaves what was there.
    fn renew(&self, credentials: &Credentials) -> Result<Vec<&'static str>, String> {
        let mut new = Vec::new();
        let token = match (&self.access, credentials.token()) {
            (Some(access), Ok(Some(token))) => access.renew(&token),
            (_, token) => token.map(|_| false),
        };
        let certificate = credentials.certificate().map(|pair| match (&self.certificate, pair) {
            (Some(certificate), Some(pair)) => certificate.renew(pair),
            _ => false,
        });
        // One that cannot be read does not keep the other from being renewed.
        if token? {
            new.push("token");
        }
        if certificate? {
            new.push("certificate");
        }
        Ok(new)
    }
}

/// Reads certificate and token anew until nobody listens any more.
pub(super) fn keep(served: &Served, credentials: &Credentials, monitor: &Monitor, stopped: &Receiver<()>) {
    let mut trouble = Trouble::default();
    while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        let renewed = served.renew(credentials);
        for what in renewed.iter().flatten() {
            tracing::info!(event = "http_renewed", "the status page has a new {what}");
        }
        if let Some(said) = trouble.look(renewed.err()) {
            if let Some(error) = said {
                tracing::error!(
                    event = "http_not_renewed",
                    hint = "put it right; it is looked at every few seconds, without a restart",
                    "certificate and token of the status page cannot be read anew, so those of before hold: {error}"
                );
            }
            monitor.page_trouble(said.map(str::to_owned));
        }
    }
}

/// What is in the way. Certificate and key are two files, and one may be there before the other: only what is in the
/// way at two looks is said.
#[derive(Default)]
struct Trouble {
    seen: Option<String>,
    said: Option<String>,
}

impl Trouble {
    /// What is to be said now, where that is something else than before.
    fn look(&mut self, seen: Option<String>) -> Option<Option<&str>> {
        let before = std::mem::replace(&mut self.seen, seen);
        if (self.seen.is_some() && before != self.seen) || self.said == self.seen {
            return None;
        }
        self.said.clone_from(&self.seen);
        Some(self.said.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_for_a_moment_only_is_not_said() {
        let mut trouble = Trouble::default();
        let mut look = |seen: Option<&str>| trouble.look(seen.map(str::to_owned)).map(|said| said.map(str::to_owned));
        let said = |text: &str| Some(Some(text.to_owned()));
        assert_eq!(look(None), None);
        assert_eq!(look(Some("a")), None);
        assert_eq!(look(None), None);
        assert_eq!(look(Some("a")), None);
        assert_eq!(look(Some("a")), said("a"));
        assert_eq!(look(Some("a")), None);
        assert_eq!(look(Some("b")), None);
        assert_eq!(look(Some("b")), said("b"));
        assert_eq!(look(None), Some(None));
        assert_eq!(look(None), None);
    }
}
