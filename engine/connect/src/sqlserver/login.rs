//! From settings to a session: address, encryption, login.

use std::io;
use std::path::Path;
use std::time::Duration;

use engine_core::ports::{ServerConfig, SourceErrorKind, SqlServerOptions};
use engine_spec::model::{ApplicationIntent, TlsMode};
use secrecy::ExposeSecret;
use socket2::{SockRef, TcpKeepalive};
use tiberius::error::Error;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, SqlBrowser};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncWriteCompatExt;

use super::{Session, explain};
use crate::failure::Problem;
use crate::sqlx_error::{check_tls, explain_io};

const PORT: u16 = 1433;
/// After how long a silence the connection is probed: firewalls forget connections that rest.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// Time between two probes of a connection that does not answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// Times that a server may send a login elsewhere: a listener sends it to a replica, which does not send it on.
const ROUTES_MAX: usize = 1;

/// Refuses settings that cannot work, before anything is sent.
pub(super) fn check(config: &ServerConfig, options: &SqlServerOptions) -> Result<(), Problem> {
    check_tls(&config.tls)?;
    if let Some(domain) = &options.domain {
        let message = format!("a Windows login (`source.domain: {domain}`) is not possible from this device");
        return Err(Problem::new(SourceErrorKind::Config, message)
            .hint("Ask for a SQL login: the server must admit both (mixed mode). Then leave `source.domain` out."));
    }
    Ok(())
}

/// A session, and how it is encrypted.
pub(super) async fn login(config: &ServerConfig, options: &SqlServerOptions) -> Result<(Session, String), Problem> {
    let login = Login { config, options };
    let mode = config.tls.mode;
    match mode {
        TlsMode::Disable => Ok((login.attempt(EncryptionLevel::Off, None).await?, "none but for the login".to_owned())),
        TlsMode::Prefer => match login.attempt(EncryptionLevel::Required, None).await {
            Err(problem) if problem.message.contains("offers no encryption") => {
                Ok((login.attempt(EncryptionLevel::Off, None).await?, "none but for the login".to_owned()))
            }
            session => Ok((session?, "TLS, no certificate checked".to_owned())),
        },
        TlsMode::Require => {
            Ok((login.attempt(EncryptionLevel::Required, None).await?, "TLS, no certificate checked".to_owned()))
        }
        TlsMode::VerifyFull => Ok((
            login.attempt(EncryptionLevel::Required, None).await?,
            "TLS, authority and host name checked".to_owned(),
        )),
        TlsMode::VerifyCa => {
            let session = match login.attempt(EncryptionLevel::Required, None).await {
                // The authority is checked before the name. The driver has no mode without a name, so the one that
                // the certificate itself gives is expected.
                Err(problem) => match presented_name(&problem.message) {
                    Some(name) => login.attempt(EncryptionLevel::Required, Some(&name)).await?,
                    None => return Err(problem),
                },
                Ok(session) => session,
            };
            Ok((session, "TLS, authority checked".to_owned()))
        }
    }
}

struct Login<'a> {
    config: &'a ServerConfig,
    options: &'a SqlServerOptions,
}

impl Login<'_> {
    /// One attempt; `name` is expected in the certificate instead of the host's.
    async fn attempt(&self, encryption: EncryptionLevel, name: Option<&str>) -> Result<Session, Problem> {
        let mut settings = self.settings(encryption, name)?;
        let mut address = self.config.port.map(|port| (self.config.host.clone(), port));
        for _ in 0..=ROUTES_MAX {
            let socket = match &address {
                Some((host, port)) => connect(host, *port).await?,
                None => TcpStream::connect_named(&settings).await.map_err(explain)?,
            };
            prepare(&socket).map_err(|error| explain_io(&error))?;
            match Client::connect(settings.clone(), socket.compat_write()).await {
                Err(Error::Routing { host, port }) => {
                    settings.host(&host);
                    address = Some((host, port));
                }
                outcome => return outcome.map_err(explain),
            }
        }
        Err(Problem::new(SourceErrorKind::Network, "the server sends the login from one replica to another")
            .hint("Check the read-only routing of the availability group, or use `application_intent: ReadWrite`."))
    }

    fn settings(&self, encryption: EncryptionLevel, name: Option<&str>) -> Result<Config, Problem> {
        let config = self.config;
        let mut settings = Config::new();
        settings.host(&config.host);
        match (config.port, &self.options.instance) {
            (None, Some(instance)) => settings.instance_name(instance),
            (port, _) => settings.port(port.unwrap_or(PORT)),
        }
        settings.database(&config.database);
        settings.application_name("engine");
        let password = config.password.as_ref().map_or("", |password| password.expose_secret());
        settings.authentication(AuthMethod::sql_server(&config.username, password));
        settings.readonly(self.options.application_intent == ApplicationIntent::ReadOnly);
        settings.handshake_timeout(Some(config.timeouts.connect));
        // The engine bounds the whole query; the driver would bound each silence.
        settings.command_timeout(Some(config.timeouts.query.max(config.timeouts.connect)));
        // What was no Unicode is marked in the value and costs that value, not the result.
        settings.lossy_utf16_decoding(true);
        settings.encryption(encryption);
        let tls = &config.tls;
        if matches!(tls.mode, TlsMode::VerifyCa | TlsMode::VerifyFull) {
            if let Some(file) = &tls.ca_file {
                settings.trust_cert_ca_bundle(std::fs::read(file).map_err(|error| unreadable(file, &error))?);
            }
            if let Some(name) = name {
                settings.hostname_in_certificate(name);
            }
        } else {
            settings.trust_cert();
        }
        if let (Some(cert), Some(key)) = (&tls.cert_file, &tls.key_file) {
            for file in [cert, key] {
                std::fs::metadata(file).map_err(|error| unreadable(file, &error))?;
            }
            settings.client_certificate(cert, key);
        }
        Ok(settings)
    }
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, Problem> {
    TcpStream::connect((host, port)).await.map_err(|error| explain_io(&error))
}

fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(socket).set_tcp_keepalive(&keepalive)
}

fn unreadable(file: &Path, error: &io::Error) -> Problem {
    Problem::new(SourceErrorKind::Config, format!("{}: {error}", file.display()))
        .hint("Check the files that `source.tls` names.")
}

/// The first name that a certificate gives, from the words in which it was refused for another; a wildcard is filled.
fn presented_name(message: &str) -> Option<String> {
    let (_, names) = message.split_once("only valid for ")?;
    let host = names.split("DnsName(\"").nth(1).and_then(|rest| rest.split('"').next());
    let address = || names.split("IpAddress(").nth(1).and_then(|rest| rest.split(')').next());
    host.or_else(address).map(|name| name.replace('*', "any"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_gives_its_name() {
        let refused = "certificate not valid for name \"db\"; certificate is only valid for ";
        for (names, expected) in [
            ("DnsName(\"sql01.plant.local\") or IpAddress(10.0.0.7)", Some("sql01.plant.local")),
            ("DnsName(\"*.plant.local\")", Some("any.plant.local")),
            ("IpAddress(10.0.0.7)", Some("10.0.0.7")),
            ("no names at all", None),
        ] {
            assert_eq!(presented_name(&format!("{refused}{names}")).as_deref(), expected, "{names}");
        }
        assert_eq!(presented_name("invalid peer certificate: UnknownIssuer"), None);
    }
}
