//! What every part that speaks HTTP shares: a peer with its login, its answers, and words without secrets.
//!
//! Redirects are not followed by the client, so a login reaches only the host that it was configured for, and a secret
//! is refused over plain HTTP before anything is sent.

mod oauth;
mod reply;
mod session;

use std::net::IpAddr;
use std::time::Duration;

use engine_core::ports::{AuthConfig, HttpConfig, TimeoutConfig, TlsConfig};
use engine_spec::model::{Method, TlsMode};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Certificate, Client, ClientBuilder, Identity, RequestBuilder, Url, redirect};
use secrecy::{ExposeSecret, SecretString};

pub(crate) use self::oauth::NoToken;
use self::oauth::TokenSource;
#[cfg(test)]
pub(crate) use self::reply::QUOTE_CHARS_MAX;
pub(crate) use self::reply::{Reply, ReplyBody, chain};
use self::session::SessionSource;
pub(crate) use crate::redact::Redactor;
use crate::to::OpenError;

/// How long an idle connection is kept; below the usual patience of servers and load balancers.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// Where the addresses of logins stand, for messages.
const OAUTH_URL: &str = "auth.oauth2.token_url";
const SESSION_URL: &str = "auth.session.login_url";
/// What the requests call themselves.
const ENGINE: &str = concat!("engine/", env!("CARGO_PKG_VERSION"));

/// What a peer is made of.
pub(crate) struct PeerSettings<'a> {
    /// Its part of the spec, for messages: `destination`.
    pub role: &'static str,
    /// Its address.
    pub url: &'a str,
    /// Headers in the clear.
    pub headers: &'a [(String, String)],
    /// Headers that are secret.
    pub secret_headers: &'a [(String, SecretString)],
    /// How to log in.
    pub auth: Option<&'a AuthConfig>,
    /// Encryption.
    pub tls: &'a TlsConfig,
    /// Waiting times; `query` bounds a request for a token.
    pub timeouts: TimeoutConfig,
}

impl<'a> PeerSettings<'a> {
    /// Those of an endpoint.
    pub fn of(role: &'static str, config: &'a HttpConfig) -> Self {
        Self {
            role,
            url: &config.url,
            headers: &config.headers,
            secret_headers: &config.secret_headers,
            auth: config.auth.as_ref(),
            tls: &config.tls,
            timeouts: config.timeouts,
        }
    }
}

/// An HTTP server, the login at it, and the connections to it.
pub(crate) struct Peer {
    pub client: Client,
    pub url: Url,
    /// `host:port`, for messages.
    pub place: String,
    /// Headers of every request, those of the login included.
    pub headers: HeaderMap,
    /// Where tokens come from, if the login has any.
    pub tokens: Option<Tokens>,
    secrets: Vec<SecretString>,
}

/// Where tokens come from: a login that is a request of its own.
pub(crate) enum Tokens {
    OAuth(TokenSource),
    Session(SessionSource),
}

/// What a login gave out, and the header that carries it.
#[derive(Clone)]
pub(crate) struct Token {
    pub secret: SecretString,
    name: HeaderName,
    value: HeaderValue,
}

impl Tokens {
    /// The token at hand, or a new one.
    pub async fn token(&mut self, client: &Client) -> Result<Token, NoToken> {
        match self {
            Self::OAuth(source) => {
                let secret = source.token(client).await?;
                let value = format!("Bearer {}", secret.expose_secret());
                Token::new(secret, AUTHORIZATION, &value)
            }
            Self::Session(source) => source.token(client).await,
        }
    }

    /// Gives up the token at hand: it was refused.
    pub fn forget(&mut self) {
        match self {
            Self::OAuth(source) => source.forget(),
            Self::Session(source) => source.forget(),
        }
    }
}

impl Token {
    fn new(secret: SecretString, name: HeaderName, value: &str) -> Result<Self, NoToken> {
        let mut value = HeaderValue::from_str(value).map_err(|_| NoToken::Refused {
            message: format!("the login gave out a token that the header {name} cannot carry"),
        })?;
        value.set_sensitive(true);
        Ok(Self { secret, name, value })
    }

    /// The request with the login.
    pub fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        request.header(self.name.clone(), self.value.clone())
    }
}

impl Peer {
    /// Checks the settings and reads the certificates. Nothing is sent.
    pub fn open(settings: &PeerSettings<'_>) -> Result<Self, OpenError> {
        let role = settings.role;
        let url = address(settings.url, &format!("{role}.url"))?;
        let place = host_and_port(&url);
        let wrong = |message: String, hint: &str| OpenError {
            tried: format!("preparing the {role} {place}"),
            message,
            hint: Some(hint.to_owned()),
        };
        let has_secret = settings.auth.is_some() || !settings.secret_headers.is_empty();
        if has_secret && !is_private(&url) {
            return Err(wrong(
                "the login would cross the network unencrypted".to_owned(),
                "use an https address; plain http with a login is for loopback only",
            ));
        }
        let token_url = match settings.auth {
            Some(AuthConfig::OAuth2 { token_url, .. }) => Some((address(token_url, OAUTH_URL)?, OAUTH_URL)),
            Some(AuthConfig::Session(session)) => Some((address(&session.login_url, SESSION_URL)?, SESSION_URL)),
            _ => None,
        };
        if let Some((token_url, key)) = token_url.as_ref().filter(|(url, _)| !is_private(url)) {
            return Err(wrong(
                format!("the login would cross the network to {} unencrypted", host_and_port(token_url)),
                &format!("use an https address in {key}"),
            ));
        }
        let token_url = token_url.map(|(url, _)| url);

        let mut headers = HeaderMap::new();
        let mut secrets = Vec::new();
        let mut set = |name: &str, value: &str, secret: bool| -> Result<(), OpenError> {
            let header = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| wrong(format!("{name:?} is no name of a header"), "use letters, digits and hyphens"))?;
            let mut value = HeaderValue::from_str(value).map_err(|_| {
                wrong(
                    format!("the value of the header {name} has characters that no header can have"),
                    "look for a line break at the end of the file or variable that it comes from",
                )
            })?;
            value.set_sensitive(secret);
            headers.insert(header, value);
            Ok(())
        };
        set(USER_AGENT.as_str(), ENGINE, false)?;
        for (name, value) in settings.headers {
            set(name, value, false)?;
        }
        for (name, value) in settings.secret_headers {
            set(name, value.expose_secret(), true)?;
            secrets.push(value.clone());
        }

        let urls: Vec<&Url> = [Some(&url), token_url.as_ref()].into_iter().flatten().collect();
        let client = client(settings.tls, settings.timeouts, &urls).map_err(|message| {
            let hint = format!(
                "check {role}.tls: ca_file, cert_file and key_file are PEM files; without ca_file the system must hold certificates of authorities"
            );
            wrong(message, &hint)
        })?;
        let mut tokens = None;
        match settings.auth {
            None => {}
            Some(AuthConfig::Bearer(token)) => {
                set(AUTHORIZATION.as_str(), &format!("Bearer {}", token.expose_secret()), true)?;
                secrets.push(token.clone());
            }
            Some(AuthConfig::Header(name, value)) => {
                set(name, value.expose_secret(), true)?;
                secrets.push(value.clone());
            }
            Some(AuthConfig::Basic(username, password)) => {
                if username.contains(':') {
                    return Err(wrong("a user name of HTTP Basic has a colon".to_owned(), "check auth.basic.username"));
                }
                let login = basic_login(&client, username, password);
                set(AUTHORIZATION.as_str(), &format!("Basic {}", login.expose_secret()), true)?;
                secrets.extend([password.clone(), login]);
            }
            Some(AuthConfig::OAuth2 { client_id, client_secret, scope, .. }) => {
                let token_url = token_url.expect("parsed above for this kind of login");
                let (id, secret) = (client_id.clone(), client_secret.clone());
                let source = TokenSource::new(token_url, id, secret, scope.clone(), settings.timeouts.query);
                tokens = Some(Tokens::OAuth(source));
                secrets.push(client_secret.clone());
            }
            Some(AuthConfig::Session(session)) => {
                let url = token_url.expect("parsed above for this kind of login");
                let source = SessionSource::new(url, session, settings.timeouts.query)
                    .map_err(|message| wrong(message, "check auth.session"))?;
                tokens = Some(Tokens::Session(source));
                secrets.extend(session.secret.iter().map(|(_, secret)| secret.clone()));
            }
        }
        Ok(Self { client, url, place, headers, tokens, secrets })
    }

    /// What takes the secrets of a request out of foreign texts.
    pub fn redactor(&self, token: Option<&SecretString>) -> Redactor {
        let mut redact = Redactor::default();
        self.secrets.iter().chain(token).for_each(|secret| redact.add(secret));
        redact
    }
}

/// What the TLS library said, where it is what failed.
pub(crate) fn tls_failure(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // What an error of the system carries is not among its causes.
        cause = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(carried) => Some(carried),
            None => error.source(),
        };
    }
    None
}

/// A method in the client's terms.
pub(crate) fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
    }
}

/// An address that can be used: http or https, with a host, without a login in it.
fn address(text: &str, key: &str) -> Result<Url, OpenError> {
    let wrong = |message: String, hint: &str| OpenError {
        tried: format!("reading {key}"),
        message,
        hint: Some(hint.to_owned()),
    };
    let url = Url::parse(text)
        .map_err(|error| wrong(format!("it is no address ({error})"), "write it like https://app.enlyze.com/path"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(format!("{} is neither http nor https", url.scheme()), "write it like https://host/path"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it holds a login".to_owned(), "put the login into `auth.basic`"));
    }
    Ok(url)
}

/// `app.enlyze.com:443`
pub(crate) fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether nobody on the network can read along.
fn is_private(url: &Url) -> bool {
    url.scheme() == "https" || is_loopback(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// User name and password as HTTP Basic encodes them.
pub(crate) fn basic_login(client: &Client, username: &str, password: &SecretString) -> SecretString {
    let request = client.get("http://localhost").basic_auth(username, Some(password.expose_secret())).build();
    let header = request.ok().and_then(|request| request.headers().get(AUTHORIZATION).cloned());
    let encoded = header.as_ref().and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    SecretString::from(encoded.expect("base64 fits into a header"))
}

fn client(tls: &TlsConfig, timeouts: TimeoutConfig, urls: &[&Url]) -> Result<Client, String> {
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .connect_timeout(timeouts.connect)
        .pool_idle_timeout(IDLE_MAX);
    if urls.iter().any(|url| is_loopback(url)) {
        // A proxy from the environment would carry a plain request, login included, over the network.
        builder = builder.no_proxy();
    }
    if urls.iter().any(|url| url.scheme() == "https") {
        builder = with_tls(builder, tls)?;
    } else {
        // No certificate is ever looked at: a device without any authorities can still use plain http.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(chain)
}

fn with_tls(mut builder: ClientBuilder, tls: &TlsConfig) -> Result<ClientBuilder, String> {
    let read =
        |path: &std::path::Path| std::fs::read(path).map_err(|error| format!("reading {}: {error}", path.display()));
    let mut authorities = Vec::new();
    if let Some(path) = &tls.ca_file {
        authorities = Certificate::from_pem_bundle(&read(path)?)
            .map_err(|error| format!("{} is no PEM file of certificates: {}", path.display(), chain(error)))?;
        if authorities.is_empty() {
            return Err(format!("{} holds no certificate", path.display()));
        }
    }
    if let Some(path) = &tls.cert_file {
        let mut pem = read(path)?;
        if let Some(key) = &tls.key_file {
            pem.push(b'\n');
            pem.extend(read(key)?);
        }
        let identity = Identity::from_pem(&pem)
            .map_err(|error| format!("{} and its key cannot be used: {}", path.display(), chain(error)))?;
        builder = builder.identity(identity);
    }
    Ok(match tls.mode {
        TlsMode::Disable => return Err("tls.mode is disable, and the address is https".to_owned()),
        TlsMode::Prefer | TlsMode::Require => builder.tls_danger_accept_invalid_certs(true),
        // Without authorities of its own, the name is what tells the server from any other with a public certificate.
        TlsMode::VerifyCa if !authorities.is_empty() => {
            builder.tls_certs_only(authorities).tls_danger_accept_invalid_hostnames(true)
        }
        TlsMode::VerifyCa | TlsMode::VerifyFull => builder.tls_certs_merge(authorities),
    })
}
