//! Sources whose failures do not repeat the secrets of their settings, whatever the server or a driver says.

use engine_core::ports::{
    Ask, AuthConfig, Cancel, Connector, Fetched, Source, SourceConfig, SourceError, SourceIdentity,
};
use engine_core::probe::Probe;
use engine_core::value::RowBatch;
use secrecy::SecretString;

use crate::redact::Redactor;

/// Opens a source.
pub fn open(connector: &Connector, config: &SourceConfig, cancel: &Cancel) -> Result<Box<dyn Source>, SourceError> {
    let mut redact = Redactor::default();
    secrets(config).into_iter().for_each(|secret| redact.add(secret));
    let inner = (connector.open)(config, cancel).map_err(|error| clean(&redact, error))?;
    Ok(Box::new(Discreet { inner, redact }))
}

struct Discreet {
    inner: Box<dyn Source>,
    redact: Redactor,
}

impl Source for Discreet {
    fn ask(&mut self, ask: &Ask) -> Result<(), SourceError> {
        self.inner.ask(ask).map_err(|error| clean(&self.redact, error))
    }

    fn next(&mut self, batch: &mut RowBatch) -> Result<Fetched, SourceError> {
        self.inner.next(batch).map_err(|error| clean(&self.redact, error))
    }

    fn identity(&self) -> &SourceIdentity {
        self.inner.identity()
    }

    fn probe(&mut self, ask: &Ask) -> Result<Probe, SourceError> {
        self.inner.probe(ask).map_err(|error| clean(&self.redact, error))
    }

    fn left_for_later(&self) -> Option<String> {
        self.inner.left_for_later()
    }
}

/// What was tried is in the engine's own words, which hold no secret.
fn clean(redact: &Redactor, error: SourceError) -> SourceError {
    let SourceError { kind, tried, message, hint } = error;
    SourceError { kind, tried, message: redact.strike(&message), hint: hint.map(|hint| redact.strike(&hint)) }
}

fn secrets(config: &SourceConfig) -> Vec<&SecretString> {
    match config {
        SourceConfig::Postgres(server)
        | SourceConfig::MySql(server)
        | SourceConfig::MariaDb(server)
        | SourceConfig::SqlServer(server, _)
        | SourceConfig::Oracle(server, _) => server.password.iter().collect(),
        SourceConfig::Http(api) => {
            let login = match &api.auth {
                Some(AuthConfig::Bearer(secret) | AuthConfig::Basic(_, secret) | AuthConfig::Header(_, secret)) => {
                    vec![secret]
                }
                Some(AuthConfig::OAuth2 { client_secret, .. }) => vec![client_secret],
                Some(AuthConfig::Session(session)) => session.secret.iter().map(|(_, secret)| secret).collect(),
                None => Vec::new(),
            };
            login.into_iter().chain(api.secret_headers.iter().map(|(_, secret)| secret)).collect()
        }
        SourceConfig::Sqlite(_) | SourceConfig::Csv(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use engine_core::ports::{ServerConfig, SourceErrorKind, TimeoutConfig, TlsConfig};
    use engine_spec::model::TlsMode;

    use super::*;

    /// A source that says its password at every turn.
    struct Talker;

    fn talk() -> SourceError {
        let (tried, message) = ("connecting as hunter2".to_owned(), "no hunter2 here".to_owned());
        SourceError { kind: SourceErrorKind::Query, tried, message, hint: Some("not hunter2".to_owned()) }
    }

    impl Source for Talker {
        fn ask(&mut self, _: &Ask) -> Result<(), SourceError> {
            Err(talk())
        }

        fn next(&mut self, _: &mut RowBatch) -> Result<Fetched, SourceError> {
            Err(talk())
        }

        fn identity(&self) -> &SourceIdentity {
            static NOBODY: std::sync::LazyLock<SourceIdentity> = std::sync::LazyLock::new(SourceIdentity::default);
            &NOBODY
        }

        fn probe(&mut self, _: &Ask) -> Result<Probe, SourceError> {
            Err(talk())
        }
    }

    #[test]
    fn no_failure_repeats_a_password() {
        let timeouts = TimeoutConfig { connect: std::time::Duration::ZERO, query: std::time::Duration::ZERO };
        let config = SourceConfig::Postgres(ServerConfig {
            host: "mes".to_owned(),
            port: None,
            database: "mes".to_owned(),
            username: "hunter2".to_owned(),
            password: Some("hunter2".into()),
            tls: TlsConfig { mode: TlsMode::Disable, ca_file: None, cert_file: None, key_file: None },
            timeouts,
        });
        let refusing = Connector { open: |_, _| Err(talk()), ..crate::postgres::CONNECTOR };
        let talking = Connector { open: |_, _| Ok(Box::new(Talker)), ..crate::postgres::CONNECTOR };
        let mut errors = vec![open(&refusing, &config, &Cancel::default()).err()];
        let mut source = open(&talking, &config, &Cancel::default()).expect("it opens");
        errors.push(source.ask(&Ask::default()).err());
        errors.push(source.next(&mut RowBatch::new()).err());
        errors.push(source.probe(&Ask::default()).err());
        for error in errors {
            let error = error.expect("it talks");
            assert_eq!((&*error.message, error.hint.as_deref()), ("no *** here", Some("not ***")));
            assert_eq!(error.tried, "connecting as hunter2", "a name may be shown, whatever else it is");
        }
    }
}
