//! From settings to a connect descriptor, which both drivers understand.

use std::path::Path;
use std::sync::Arc;

use engine_core::ports::{OracleOptions, ServerConfig, SourceErrorKind};
use engine_spec::model::{OracleDriver, TlsMode};
use secrecy::SecretString;
use tempfile::TempDir;

use crate::failure::{Problem, Target};
use crate::sqlx_error::check_tls;

const PORT: u16 = 1521;
/// Minutes of silence after which a connection is probed: firewalls forget connections that rest.
const EXPIRE_MINUTES: u32 = 1;
/// The file in which the thin driver expects authorities, certificate and key.
const WALLET_FILE: &str = "ewallet.pem";

/// What it takes to connect.
#[derive(Clone)]
pub(super) struct Descriptor {
    /// The descriptor, or the alias that stands for it.
    pub(super) text: String,
    pub(super) username: String,
    pub(super) password: Option<SecretString>,
    /// Folder of `tnsnames.ora`.
    pub(super) config_dir: Option<String>,
    /// Folder of the wallet.
    pub(super) wallet: Option<String>,
    /// Whether the descriptor asks for encryption; an alias may do so too.
    pub(super) tls: bool,
    /// A wallet made from PEM files, for as long as somebody may connect.
    _made: Option<Arc<TempDir>>,
}

/// What is connected to, in the words of messages.
pub(super) fn target(config: &ServerConfig, options: &OracleOptions) -> Target {
    match &options.tns {
        Some(alias) => Target::alias("oracle", alias, &config.username),
        None if config.database.is_empty() => {
            let sid = options.sid.clone().unwrap_or_default();
            Target::server("oracle", &ServerConfig { database: sid, ..config.clone() })
        }
        None => Target::server("oracle", config),
    }
}

impl Descriptor {
    pub(super) fn new(config: &ServerConfig, options: &OracleOptions, driver: OracleDriver) -> Result<Self, Problem> {
        check_tls(&config.tls)?;
        let folder = options.config_dir.as_ref().map(|folder| folder.display().to_string());
        let tls = match config.tls.mode {
            // There is no encryption that could be tried and left: it is another protocol, often on another port.
            TlsMode::Disable | TlsMode::Prefer => false,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => true,
        };
        let made = if tls && driver != OracleDriver::Oci { wallet(config)? } else { None };
        if tls && driver == OracleDriver::Oci && config.tls.ca_file.is_some() {
            let message = "with `driver: oci`, authorities come from a wallet and not from `tls.ca_file`";
            return Err(Problem::new(SourceErrorKind::Config, message)
                .hint("Put the wallet (cwallet.sso) into `source.config_dir`, or use `driver: thin`."));
        }
        let own = folder.clone().filter(|folder| Path::new(folder).join(WALLET_FILE).exists());
        let text = match &options.tns {
            Some(alias) => alias.clone(),
            None => write(config, options, tls, folder.as_deref().filter(|_| driver == OracleDriver::Oci))?,
        };
        Ok(Self {
            text,
            username: config.username.clone(),
            password: config.password.clone(),
            wallet: made.as_ref().map(|made| made.path().display().to_string()).or(own),
            config_dir: folder,
            tls: tls && options.tns.is_none(),
            _made: made.map(Arc::new),
        })
    }
}

/// The wallet that the thin driver reads, made from PEM files.
fn wallet(config: &ServerConfig) -> Result<Option<TempDir>, Problem> {
    let tls = &config.tls;
    if tls.ca_file.is_some() && tls.key_file.is_some() {
        let message = "the thin driver takes authorities of its own or a client certificate, not both";
        return Err(Problem::new(SourceErrorKind::Config, message)
            .hint("Use `driver: oci` with a wallet in `source.config_dir`, or leave one of them out."));
    }
    let unreadable = |file: &Path, error: &std::io::Error| {
        Problem::new(SourceErrorKind::Config, format!("{}: {error}", file.display()))
            .hint("Check the files that `source.tls` names.")
    };
    let (mut content, mut is_made) = (String::new(), false);
    for file in [&tls.cert_file, &tls.key_file, &tls.ca_file].into_iter().flatten() {
        content.push_str(&std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?);
        content.push('\n');
        is_made = true;
    }
    if !is_made {
        return Ok(None);
    }
    let folder = tempfile::Builder::new().prefix("engine-wallet-").tempdir();
    let folder = folder.map_err(|error| unreadable(&std::env::temp_dir(), &error))?;
    let file = folder.path().join(WALLET_FILE);
    std::fs::write(&file, content).map_err(|error| unreadable(&file, &error))?;
    Ok(Some(folder))
}

fn write(config: &ServerConfig, options: &OracleOptions, tls: bool, wallet: Option<&str>) -> Result<String, Problem> {
    let protocol = if tls { "TCPS" } else { "TCP" };
    let host = word("source.host", &config.host)?;
    let port = config.port.unwrap_or(PORT);
    let place = match &options.sid {
        Some(sid) => format!("(SID={})", word("source.sid", sid)?),
        None => format!("(SERVICE_NAME={})", word("source.database", &config.database)?),
    };
    let security = match (tls, wallet) {
        (false, _) => String::new(),
        (true, None) => "(SECURITY=(SSL_SERVER_DN_MATCH=YES))".to_owned(),
        (true, Some(folder)) => {
            format!("(SECURITY=(SSL_SERVER_DN_MATCH=YES)(MY_WALLET_DIRECTORY={}))", word("source.config_dir", folder)?)
        }
    };
    Ok(format!(
        "(DESCRIPTION=(EXPIRE_TIME={EXPIRE_MINUTES})(RETRY_COUNT=0)(RETRY_DELAY=0)(ADDRESS=(PROTOCOL={protocol})(HOST={host})(PORT={port}))\
         (CONNECT_DATA={place}){security})"
    ))
}

/// A value that cannot be mistaken for a part of the descriptor.
fn word<'a>(key: &str, value: &'a str) -> Result<&'a str, Problem> {
    let is_plain = !value.is_empty() && !value.contains(['(', ')', '=', '"', '\'', '\\', '\n', '\r']);
    if is_plain {
        return Ok(value);
    }
    Err(Problem::new(SourceErrorKind::Config, format!("`{value}` cannot stand in `{key}`"))
        .hint("Leave parentheses, quotes and `=` out; a whole descriptor belongs into tnsnames.ora, see `source.tns`."))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine_core::ports::{TimeoutConfig, TlsConfig};

    use super::*;

    fn config(mode: TlsMode) -> ServerConfig {
        let second = Duration::from_secs(1);
        ServerConfig {
            host: "10.0.0.5".to_owned(),
            port: None,
            database: "ORCLPDB1".to_owned(),
            username: "etl".to_owned(),
            password: None,
            tls: TlsConfig { mode, ca_file: None, cert_file: None, key_file: None },
            timeouts: TimeoutConfig { connect: second, query: second },
        }
    }

    fn options() -> OracleOptions {
        OracleOptions { sid: None, tns: None, config_dir: None, driver: OracleDriver::Auto }
    }

    fn text(config: &ServerConfig, options: &OracleOptions, driver: OracleDriver) -> Result<String, Problem> {
        Descriptor::new(config, options, driver).map(|descriptor| descriptor.text)
    }

    #[test]
    fn every_way_to_name_a_database_becomes_a_descriptor() {
        let plain = text(&config(TlsMode::Disable), &options(), OracleDriver::Thin).unwrap();
        assert_eq!(
            plain,
            "(DESCRIPTION=(EXPIRE_TIME=1)(RETRY_COUNT=0)(RETRY_DELAY=0)(ADDRESS=(PROTOCOL=TCP)(HOST=10.0.0.5)(PORT=1521))(CONNECT_DATA=(SERVICE_NAME=ORCLPDB1)))"
        );
        let by_sid = OracleOptions { sid: Some("ORCL".to_owned()), ..options() };
        let by_sid = text(&config(TlsMode::VerifyFull), &by_sid, OracleDriver::Thin).unwrap();
        assert!(by_sid.contains("(PROTOCOL=TCPS)") && by_sid.contains("(SID=ORCL)"), "{by_sid}");
        assert!(by_sid.contains("SSL_SERVER_DN_MATCH=YES"), "{by_sid}");
        let by_alias = OracleOptions { tns: Some("MESPROD".to_owned()), ..options() };
        assert_eq!(text(&config(TlsMode::Prefer), &by_alias, OracleDriver::Thin).unwrap(), "MESPROD");
    }

    #[test]
    fn no_value_can_add_to_the_descriptor() {
        for database in ["x)(SECURITY=(y", "", "a=b", "a\"b"] {
            let config = ServerConfig { database: database.to_owned(), ..config(TlsMode::Disable) };
            let problem = text(&config, &options(), OracleDriver::Thin).unwrap_err();
            assert!(problem.message.contains("source.database"), "{}", problem.message);
        }
    }

    #[test]
    fn pem_files_become_a_wallet_of_the_thin_driver() {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, "-----BEGIN CERTIFICATE-----").unwrap();
        let mut config = config(TlsMode::VerifyFull);
        config.tls.ca_file = Some(ca);
        let descriptor = Descriptor::new(&config, &options(), OracleDriver::Thin).unwrap();
        let wallet = descriptor.wallet.clone().unwrap();
        let content = std::fs::read_to_string(Path::new(&wallet).join(WALLET_FILE)).unwrap();
        assert_eq!(content, "-----BEGIN CERTIFICATE-----\n");
        drop(descriptor);
        assert!(!Path::new(&wallet).exists(), "it is gone with its last user");
        assert!(Descriptor::new(&config, &options(), OracleDriver::Oci).is_err());
        config.tls.ca_file = Some("/nowhere/ca.pem".into());
        let problem = Descriptor::new(&config, &options(), OracleDriver::Thin).map(|_| ()).unwrap_err();
        assert_eq!(problem.kind, SourceErrorKind::Config);
    }
}
