//! An HTTP endpoint that takes deliveries, the ENLYZE platform included: `schemas/delivery.openapi.yaml`.
//!
//! One parcel is one request. Redirects are not followed, so a login reaches only the host that it was configured
//! for, and a secret is refused over plain HTTP before anything is sent.

mod answer;
mod oauth;

use std::future::Future;
use std::io::Write;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use engine_core::ports::{Answer, AuthConfig, Cancel, Destination, HttpConfig, Parcel, TlsConfig};
use engine_spec::model::{Compression, Method, TlsMode};
use flate2::write::GzEncoder;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Certificate, Client, ClientBuilder, Identity, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Runtime;

use self::answer::{Redactor, Reply, chain};
use self::oauth::TokenSource;
use super::{OpenError, write_json_str};

/// Header that names a parcel, the same for each of its attempts.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// How often a waiting request looks whether it should stop.
const CANCEL_POLL: Duration = Duration::from_millis(50);
/// How long an idle connection is kept; below the usual patience of servers and load balancers.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// Level of gzip and Zstandard: the fastest. Records shrink to a tenth by it already.
const COMPRESSION_LEVEL: u32 = 1;
/// Room for what stands around the records in a request, in bytes.
const ENVELOPE_BYTES: usize = 512;
/// What the requests call themselves.
const ENGINE: &str = concat!("engine/", env!("CARGO_PKG_VERSION"));

/// An endpoint, and the connections to it.
pub struct HttpDestination {
    client: Client,
    method: reqwest::Method,
    url: Url,
    /// Scheme, host and port.
    place: String,
    /// `host:port`, for messages.
    peer: String,
    headers: HeaderMap,
    tokens: Option<TokenSource>,
    compression: Compression,
    timeout: Duration,
    secrets: Vec<SecretString>,
}

impl HttpDestination {
    /// Checks the settings and reads the certificates. Nothing is sent.
    pub fn new(config: &HttpConfig) -> Result<Self, OpenError> {
        let url = address(&config.url, "destination.url")?;
        let peer = host_and_port(&url);
        let wrong = |message: String, hint: &str| OpenError {
            tried: format!("preparing the destination {peer}"),
            message,
            hint: Some(hint.to_owned()),
        };
        let has_secret = config.auth.is_some() || !config.secret_headers.is_empty();
        if has_secret && !is_private(&url) {
            return Err(wrong(
                "the login would cross the network unencrypted".to_owned(),
                "use an https address; plain http with a login is for loopback only",
            ));
        }
        let token_url = match &config.auth {
            Some(AuthConfig::OAuth2 { token_url, .. }) => Some(address(token_url, "auth.oauth2.token_url")?),
            _ => None,
        };
        if let Some(token_url) = token_url.as_ref().filter(|url| !is_private(url)) {
            return Err(wrong(
                format!("the client secret would cross the network to {} unencrypted", host_and_port(token_url)),
                "use an https address in auth.oauth2.token_url",
            ));
        }

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
        for (name, value) in &config.headers {
            set(name, value, false)?;
        }
        for (name, value) in &config.secret_headers {
            set(name, value.expose_secret(), true)?;
            secrets.push(value.clone());
        }

        let urls: Vec<&Url> = [Some(&url), token_url.as_ref()].into_iter().flatten().collect();
        let client = client(config, &urls).map_err(|message| {
            wrong(message, "check destination.tls: ca_file, cert_file and key_file are PEM files; without ca_file the system must hold certificates of authorities")
        })?;
        let mut tokens = None;
        match &config.auth {
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
                tokens = Some(TokenSource::new(token_url, id, secret, scope.clone(), config.timeouts.query));
                secrets.push(client_secret.clone());
            }
        }
        set(CONTENT_TYPE.as_str(), "application/json", false)?;
        match config.compression {
            Compression::Gzip => set(CONTENT_ENCODING.as_str(), "gzip", false)?,
            Compression::Zstd => set(CONTENT_ENCODING.as_str(), "zstd", false)?,
            Compression::None => {}
        }

        Ok(Self {
            client,
            method: match config.method {
                Method::Get => reqwest::Method::GET,
                Method::Post => reqwest::Method::POST,
                Method::Put => reqwest::Method::PUT,
                Method::Patch => reqwest::Method::PATCH,
            },
            place: url.origin().ascii_serialization(),
            url,
            peer,
            headers,
            tokens,
            compression: config.compression,
            timeout: config.timeouts.query,
            secrets,
        })
    }

    async fn deliver(&mut self, parcel: &Parcel, body: Vec<u8>) -> Answer {
        let Some(tokens) = &mut self.tokens else {
            return self.request(parcel, body, None).await.1;
        };
        let token = match tokens.token(&self.client).await {
            Ok(token) => token,
            Err(answer) => return answer,
        };
        let (status, answer) = self.request(parcel, body.clone(), Some(token)).await;
        if status != Some(StatusCode::UNAUTHORIZED) {
            return answer;
        }
        // The token may have been withdrawn before its end: one more try with a new one.
        let Some(tokens) = &mut self.tokens else { return answer };
        tokens.forget();
        match tokens.token(&self.client).await {
            Ok(token) => self.request(parcel, body, Some(token)).await.1,
            Err(answer) => answer,
        }
    }

    /// Sends once; the status, if there was one, and what it means.
    async fn request(
        &self,
        parcel: &Parcel,
        body: Vec<u8>,
        token: Option<SecretString>,
    ) -> (Option<StatusCode>, Answer) {
        let mut redact = Redactor::default();
        self.secrets.iter().chain(&token).for_each(|secret| redact.add(secret));
        let mut request = self
            .client
            .request(self.method.clone(), self.url.clone())
            .headers(self.headers.clone())
            .header(IDEMPOTENCY_KEY, &parcel.idempotency_key)
            .timeout(self.timeout)
            .body(body);
        if let Some(token) = &token {
            request = request.bearer_auth(token.expose_secret());
        }
        match request.send().await {
            Ok(response) => {
                let reply = Reply::read(response).await;
                (Some(reply.status), reply.meaning(parcel, &self.peer, &redact))
            }
            Err(error) => (None, self.failure(parcel, error, &redact)),
        }
    }

    /// What a failure without an answer means. Only one before the connection stood is sure to have sent nothing.
    fn failure(&self, parcel: &Parcel, error: reqwest::Error, redact: &Redactor) -> Answer {
        let (before_sending, timed_out) = (error.is_connect(), error.is_timeout());
        let reason = redact.clean(&chain(error));
        let peer = &self.peer;
        if before_sending {
            return Answer::Later { message: format!("connecting to {peer}: {reason}"), retry_after: None };
        }
        let records = parcel.records.len();
        let message = if timed_out {
            let seconds = self.timeout.as_secs_f64();
            format!("sending {records} records to {peer}: no answer within {seconds} s; they may have arrived")
        } else {
            format!("sending {records} records to {peer}: {reason}; they may have arrived")
        };
        Answer::Unknown { message }
    }
}

impl Destination for HttpDestination {
    /// Blocks the calling thread, which must not be one of an asynchronous runtime.
    fn send(&mut self, parcel: &Parcel, cancel: &Cancel) -> Answer {
        let later = |message: String| Answer::Later { message, retry_after: None };
        if cancel.is_cancelled() {
            return later("asked to stop before anything was sent".to_owned());
        }
        let body = match compressed(envelope(parcel), self.compression) {
            Ok(body) => body,
            Err(error) => return later(format!("compressing a parcel: {error}")),
        };
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(error) => return later(format!("starting the network threads: {error}")),
        };
        let stopped = format!("asked to stop while {} was to answer; the records may have arrived", self.peer);
        let answer = runtime.block_on(unless(cancel, self.deliver(parcel, body)));
        answer.unwrap_or(Answer::Unknown { message: stopped })
    }

    fn place(&self) -> &str {
        &self.place
    }
}

/// The network thread of all endpoints. A thread of its own notices closed connections between two requests.
fn runtime() -> std::io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("deliver").enable_all().build()?;
    Ok(RUNTIME.get_or_init(|| runtime))
}

/// What the work yields, or `None` once somebody asks to stop.
async fn unless<T>(cancel: &Cancel, work: impl Future<Output = T>) -> Option<T> {
    let asked = async {
        while !cancel.is_cancelled() {
            tokio::time::sleep(CANCEL_POLL).await;
        }
    };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = asked => None,
    }
}

/// The body of a request: the records, which are JSON already, in their envelope.
fn envelope(parcel: &Parcel) -> Vec<u8> {
    let records: usize = parcel.records.iter().map(|record| record.body.len() + 1).sum();
    let mut out = Vec::with_capacity(records + ENVELOPE_BYTES);
    out.extend_from_slice(b"{\"pipeline\":");
    write_json_str(&mut out, &parcel.pipeline);
    out.extend_from_slice(b",\"labels\":{");
    for (index, (name, value)) in parcel.labels.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_json_str(&mut out, name);
        out.push(b':');
        write_json_str(&mut out, value);
    }
    out.extend_from_slice(b"},\"records\":[");
    for (index, record) in parcel.records.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(record.body.as_bytes());
    }
    out.extend_from_slice(b"]}");
    out
}

fn compressed(body: Vec<u8>, compression: Compression) -> std::io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(body),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(COMPRESSION_LEVEL));
            encoder.write_all(&body)?;
            encoder.finish()
        }
        Compression::Zstd => zstd::bulk::compress(&body, COMPRESSION_LEVEL as i32),
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
        return Err(wrong("it holds a login".to_owned(), "put the login into destination.auth.basic"));
    }
    Ok(url)
}

/// `app.enlyze.com:443`
fn host_and_port(url: &Url) -> String {
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
fn basic_login(client: &Client, username: &str, password: &SecretString) -> SecretString {
    let request = client.get("http://localhost").basic_auth(username, Some(password.expose_secret())).build();
    let header = request.ok().and_then(|request| request.headers().get(AUTHORIZATION).cloned());
    let encoded = header.as_ref().and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    SecretString::from(encoded.expect("base64 fits into a header"))
}

fn client(config: &HttpConfig, urls: &[&Url]) -> Result<Client, String> {
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .connect_timeout(config.timeouts.connect)
        .pool_idle_timeout(IDLE_MAX);
    if urls.iter().any(|url| is_loopback(url)) {
        // A proxy from the environment would carry a plain request, login included, over the network.
        builder = builder.no_proxy();
    }
    if urls.iter().any(|url| url.scheme() == "https") {
        builder = with_tls(builder, &config.tls)?;
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

#[cfg(test)]
mod tests;
