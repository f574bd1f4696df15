//! Settings as written to settings as used: references resolved, paths joined, defaults applied.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use engine_spec::device::Otlp;
use engine_spec::model::{
    ApplicationIntent, Auth, Compression, CsvSource, Deletes, Destination, HeaderValue, HttpSource, Isolation, Method,
    OracleDriver, Period, Secret, ServerSource, Setting, Source, Spec, Timeouts, Tls, TlsMode,
};
use engine_spec::template::RequestTemplate;
use jiff::tz::TimeZone;
use secrecy::{ExposeSecret, SecretString};

use super::{
    CONNECT_TIMEOUT, DELETE_LIMIT_PERCENT, ENLYZE_DELIVERY_PATH, Endpoint, LOOKBACK, OFFLINE, OTLP_TRACES_PATH,
    OVERLAP, PlanError, QUERY_TIMEOUT, REQUEST_TIMEOUT, SETTLE, SLICE, SyncPlan, collector_at, is_loopback,
    parse_start,
};
use crate::ports::{
    AuthConfig, CsvConfig, CsvFormat, DestinationConfig, HttpConfig, HttpSourceConfig, OracleOptions, References,
    ServerConfig, SessionConfig, SourceConfig, SqlServerOptions, SqliteConfig, TimeoutConfig, TlsConfig,
};

/// Names and values of headers.
type Headers<T> = Vec<(String, T)>;

/// Resolves settings and collects what is wrong.
pub(super) struct Resolver<'a> {
    pub(super) references: &'a dyn References,
    pub(super) folder: &'a Path,
    pub(super) offline: bool,
    pub(super) errors: Vec<PlanError>,
}

impl Resolver<'_> {
    pub(super) fn wrong(&mut self, path: &str, message: impl Into<String>) {
        self.errors.push(PlanError { path: path.to_owned(), message: message.into(), environment: false });
    }

    fn secret(&mut self, path: &str, secret: &Secret) -> Option<SecretString> {
        match self.references.resolve(&secret.0) {
            Ok(value) => Some(value),
            Err(_) if self.offline => Some(SecretString::from(OFFLINE)),
            Err(message) => {
                self.errors.push(PlanError { path: path.to_owned(), message, environment: true });
                None
            }
        }
    }

    fn text_of<T: Clone>(
        &mut self,
        path: &str,
        setting: &Setting<T>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match setting {
            Setting::Literal(value) => Some(value.clone()),
            Setting::Reference(reference) => match self.references.resolve(reference) {
                // The value may be secret although its key is not: messages name the reference only.
                Ok(value) => match parse(value.expose_secret()) {
                    Ok(value) => Some(value),
                    Err(_) => {
                        let message = format!("the value of {reference} does not fit here");
                        self.errors.push(PlanError { path: path.to_owned(), message, environment: true });
                        None
                    }
                },
                Err(_) if self.offline => None,
                Err(message) => {
                    self.errors.push(PlanError { path: path.to_owned(), message, environment: true });
                    None
                }
            },
        }
    }

    fn text(&mut self, path: &str, setting: &Setting<String>) -> Option<String> {
        let text = self.text_of(path, setting, |text| Ok(text.to_owned()));
        if self.offline { text.or_else(|| Some(OFFLINE.to_owned())) } else { text }
    }

    fn optional(&mut self, path: &str, setting: Option<&Setting<String>>) -> Option<String> {
        setting.and_then(|setting| self.text(path, setting))
    }

    fn port(&mut self, setting: Option<&Setting<u16>>) -> Option<u16> {
        setting.and_then(|setting| {
            self.text_of("source.port", setting, |text| u16::from_str(text).map_err(|error| error.to_string()))
        })
    }

    fn word<T: serde::de::DeserializeOwned + Clone>(&mut self, path: &str, setting: Option<&Setting<T>>) -> Option<T> {
        setting.and_then(|setting| {
            self.text_of(path, setting, |text| {
                serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|error| error.to_string())
            })
        })
    }

    fn path(&mut self, path: &str, setting: &Setting<String>) -> Option<PathBuf> {
        self.text(path, setting).map(|text| self.folder.join(text))
    }

    fn period(&mut self, path: &str, setting: Option<&Setting<Period>>, default: Duration) -> Duration {
        setting.and_then(|setting| self.text_of(path, setting, Period::from_str)).map_or(default, |period| period.0)
    }

    fn timeouts(&mut self, at: &str, timeouts: &Timeouts, query: Duration) -> TimeoutConfig {
        TimeoutConfig {
            connect: self.period(&format!("{at}.timeouts.connect"), timeouts.connect.as_ref(), CONNECT_TIMEOUT),
            query: self.period(&format!("{at}.timeouts.query"), timeouts.query.as_ref(), query),
        }
    }

    fn tls(&mut self, at: &str, tls: Option<&Tls>, host: &str) -> TlsConfig {
        let default = if is_loopback(host) { TlsMode::Prefer } else { TlsMode::VerifyFull };
        let Some(tls) = tls else {
            return TlsConfig { mode: default, ca_file: None, cert_file: None, key_file: None };
        };
        let mut file = |key: &str, setting: &Option<Setting<String>>| {
            setting.as_ref().and_then(|setting| self.path(&format!("{at}.tls.{key}"), setting))
        };
        let ca_file = file("ca_file", &tls.ca_file);
        let cert_file = file("cert_file", &tls.cert_file);
        let key_file = file("key_file", &tls.key_file);
        // A certificate authority that somebody took the trouble to name is there to be checked.
        let default = if ca_file.is_some() { TlsMode::VerifyFull } else { default };
        let mode = self.word(&format!("{at}.tls.mode"), tls.mode.as_ref()).unwrap_or(default);
        TlsConfig { mode, ca_file, cert_file, key_file }
    }

    pub(super) fn zone(&mut self, setting: Option<&Setting<String>>) -> TimeZone {
        // Offline too, the zone decides what comes out: it must be known.
        let offline = std::mem::replace(&mut self.offline, false);
        let name = setting.and_then(|setting| self.text("source.timezone", setting));
        self.offline = offline;
        let Some(name) = name else { return TimeZone::UTC };
        TimeZone::get(&name).unwrap_or_else(|_| {
            // What a reference leads to may be secret, where it is written in the wrong place.
            let what = match setting {
                Some(Setting::Reference(reference)) => format!("the value of {reference}"),
                _ => format!("`{name}`"),
            };
            self.wrong("source.timezone", format!("{what} is not an IANA time zone"));
            TimeZone::UTC
        })
    }

    fn server(&mut self, server: &ServerSource, port: u16) -> Option<ServerConfig> {
        let host = self.text("source.host", &server.host);
        let database = self.text("source.database", &server.database);
        let username = self.text("source.username", &server.username);
        let password = server.password.as_ref().and_then(|secret| self.secret("source.password", secret));
        let port = self.port(server.port.as_ref()).unwrap_or(port);
        let tls = self.tls("source", server.tls.as_ref(), host.as_deref().unwrap_or_default());
        let timeouts = self.timeouts("source", &server.timeouts, QUERY_TIMEOUT);
        Some(ServerConfig {
            host: host?,
            port: Some(port),
            database: database?,
            username: username?,
            password,
            tls,
            timeouts,
        })
    }

    pub(super) fn source(&mut self, source: &Source) -> Option<SourceConfig> {
        match source {
            Source::Postgres(server) => self.server(server, 5432).map(SourceConfig::Postgres),
            Source::MySql(server) => self.server(server, 3306).map(SourceConfig::MySql),
            Source::MariaDb(server) => self.server(server, 3306).map(SourceConfig::MariaDb),
            Source::Sqlite(file) => {
                let path = self.path("source.path", &file.path);
                let timeouts = self.timeouts("source", &file.timeouts, QUERY_TIMEOUT);
                Some(SourceConfig::Sqlite(SqliteConfig { path: path?, timeouts }))
            }
            Source::SqlServer(server) => {
                let host = self.text("source.host", &server.host);
                let database = self.text("source.database", &server.database);
                let username = self.text("source.username", &server.username);
                let password = server.password.as_ref().and_then(|secret| self.secret("source.password", secret));
                let instance = self.optional("source.instance", server.instance.as_ref());
                let domain = self.optional("source.domain", server.domain.as_ref());
                let port = self.port(server.port.as_ref()).or(if instance.is_some() { None } else { Some(1433) });
                let tls = self.tls("source", server.tls.as_ref(), host.as_deref().unwrap_or_default());
                let timeouts = self.timeouts("source", &server.timeouts, QUERY_TIMEOUT);
                let application_intent = self
                    .word("source.application_intent", server.application_intent.as_ref())
                    .unwrap_or(ApplicationIntent::ReadOnly);
                let isolation =
                    self.word("source.isolation", server.isolation.as_ref()).unwrap_or(Isolation::ReadCommitted);
                let config = ServerConfig {
                    host: host?,
                    port,
                    database: database?,
                    username: username?,
                    password,
                    tls,
                    timeouts,
                };
                Some(SourceConfig::SqlServer(
                    config,
                    SqlServerOptions { instance, domain, application_intent, isolation },
                ))
            }
            Source::Oracle(server) => {
                let host = self.optional("source.host", server.host.as_ref());
                let database = self.optional("source.database", server.database.as_ref());
                let sid = self.optional("source.sid", server.sid.as_ref());
                let tns = self.optional("source.tns", server.tns.as_ref());
                let config_dir = server.config_dir.as_ref().and_then(|path| self.path("source.config_dir", path));
                let username = self.text("source.username", &server.username);
                let password = server.password.as_ref().and_then(|secret| self.secret("source.password", secret));
                let port = self.port(server.port.as_ref()).unwrap_or(1521);
                let tls = self.tls("source", server.tls.as_ref(), host.as_deref().unwrap_or_default());
                let timeouts = self.timeouts("source", &server.timeouts, QUERY_TIMEOUT);
                let driver = self.word("source.driver", server.driver.as_ref()).unwrap_or(OracleDriver::Auto);
                let config = ServerConfig {
                    host: host.unwrap_or_default(),
                    port: Some(port),
                    database: database.unwrap_or_default(),
                    username: username?,
                    password,
                    tls,
                    timeouts,
                };
                Some(SourceConfig::Oracle(config, OracleOptions { sid, tns, config_dir, driver }))
            }
            Source::Csv(folder) => self.csv(folder),
            Source::Http(api) => self.http(api).map(|api| SourceConfig::Http(Box::new(api))),
        }
    }

    fn csv(&mut self, folder: &CsvSource) -> Option<SourceConfig> {
        let path = self.path("source.path", &folder.path);
        let marks = [folder.delimiter, folder.quote, folder.decimal];
        let format = self.csv_format("source", marks, folder.encoding.clone(), folder.columns.clone());
        Some(SourceConfig::Csv(CsvConfig {
            path: path?,
            glob: folder.glob.clone().unwrap_or_else(|| "*.csv".to_owned()),
            settle: folder.settle.map_or(SETTLE, |period| period.0),
            format: format?,
        }))
    }

    /// How CSV is written; the marks are delimiter, quote and decimal point.
    fn csv_format(
        &mut self,
        at: &str,
        [delimiter, quote, decimal]: [Option<char>; 3],
        encoding: Option<String>,
        columns: Vec<String>,
    ) -> Option<CsvFormat> {
        let mut ascii = |key: &str, character: char| {
            u8::try_from(character).ok().filter(u8::is_ascii).or_else(|| {
                self.wrong(&format!("{at}.{key}"), format!("`{character}` is not an ASCII character"));
                None
            })
        };
        let delimiter = ascii("delimiter", delimiter.unwrap_or(','));
        let quote = ascii("quote", quote.unwrap_or('"'));
        let decimal = match decimal {
            None | Some('.') => Some(None),
            Some(character) => ascii("decimal", character).map(Some),
        };
        Some(CsvFormat { delimiter: delimiter?, quote: quote?, encoding, columns, decimal: decimal? })
    }

    /// An API; what the spec says elsewhere is added by the plan.
    fn http(&mut self, api: &HttpSource) -> Option<HttpSourceConfig> {
        let at = "source";
        let url = self.text("source.url", &api.url);
        let auth = api.auth.as_ref().map(|auth| self.auth(at, auth));
        let (_, secret_headers) = self.headers("source.request.headers", &api.request.headers);
        let (request, findings) = RequestTemplate::parse(&api.request);
        if request.is_none() {
            let message = findings.first().map_or("is no template", |found| found.finding.message.as_str());
            self.wrong("source.request", message);
        }
        // Nothing of an API needs to be trusted blindly: loopback or not, a certificate that is shown is checked.
        let tls = self.tls(at, api.tls.as_ref(), "");
        let timeouts = self.timeouts(at, &api.timeouts, QUERY_TIMEOUT);
        let csv = match &api.csv {
            Some(body) => {
                let marks = [body.delimiter, body.quote, body.decimal];
                Some(self.csv_format("source.csv", marks, body.encoding.clone(), body.columns.clone())?)
            }
            None => None,
        };
        let auth = match auth {
            Some(None) => return None,
            Some(auth) => auth,
            None => None,
        };
        Some(HttpSourceConfig {
            url: url?,
            auth,
            request: request?,
            secret_headers,
            params: BTreeMap::new(),
            zone: TimeZone::UTC,
            records: api.records.clone(),
            csv,
            slice: api.request.slice.map(|slice| slice.0),
            pagination: api.pagination.clone(),
            rate_limit: api.rate_limit,
            columns: BTreeSet::new(),
            tls,
            timeouts,
        })
    }

    /// Headers in the clear, and headers that are secret.
    fn headers(
        &mut self,
        at: &str,
        headers: &BTreeMap<String, HeaderValue>,
    ) -> (Headers<String>, Headers<SecretString>) {
        let (mut clear, mut secret) = (Vec::new(), Vec::new());
        for (name, value) in headers {
            match value {
                HeaderValue::Text(text) => clear.push((name.clone(), text.clone())),
                HeaderValue::Secret(reference) => {
                    if let Some(value) = self.secret(&format!("{at}.{name}"), reference) {
                        secret.push((name.clone(), value));
                    }
                }
            }
        }
        (clear, secret)
    }

    fn auth(&mut self, at: &str, auth: &Auth) -> Option<AuthConfig> {
        let at = format!("{at}.auth");
        match auth {
            Auth::Bearer(secret) => self.secret(&format!("{at}.bearer"), secret).map(AuthConfig::Bearer),
            Auth::Basic(basic) => {
                let username = self.text(&format!("{at}.basic.username"), &basic.username);
                let password = self.secret(&format!("{at}.basic.password"), &basic.password);
                Some(AuthConfig::Basic(username?, password?))
            }
            Auth::Header(header) => {
                let value = self.secret(&format!("{at}.header.value"), &header.value);
                Some(AuthConfig::Header(header.name.clone(), value?))
            }
            Auth::Oauth2(oauth) => {
                let token_url = self.text(&format!("{at}.oauth2.token_url"), &oauth.token_url);
                let client_id = self.text(&format!("{at}.oauth2.client_id"), &oauth.client_id);
                let client_secret = self.secret(&format!("{at}.oauth2.client_secret"), &oauth.client_secret);
                let scope = self.optional(&format!("{at}.oauth2.scope"), oauth.scope.as_ref());
                Some(AuthConfig::OAuth2 {
                    token_url: token_url?,
                    client_id: client_id?,
                    client_secret: client_secret?,
                    scope,
                })
            }
            Auth::Session(session) => {
                let at = format!("{at}.session");
                let login_url = self.text(&format!("{at}.login_url"), &session.login_url);
                let (clear, secret) = self.headers(&format!("{at}.body"), &session.body);
                Some(AuthConfig::Session(SessionConfig {
                    login_url: login_url?,
                    clear,
                    secret,
                    form: session.form.unwrap_or(false),
                    token: session.token.clone(),
                    header: session.header.clone(),
                }))
            }
        }
    }

    pub(super) fn destination(&mut self, destination: &Destination) -> Option<DestinationConfig> {
        let at = "destination";
        match destination {
            Destination::Stdout(_) => Some(DestinationConfig::Stdout),
            // Deliveries are the operator's files, not the spec's: relative to where engine runs.
            Destination::File(file) => {
                self.text("destination.path", &file.path).map(|path| DestinationConfig::File(PathBuf::from(path)))
            }
            Destination::Enlyze(to) => {
                let url = self.text("destination.url", &to.url);
                let auth = match (&to.token, &to.username, &to.password) {
                    (Some(token), _, _) => self.secret("destination.token", token).map(AuthConfig::Bearer),
                    (None, Some(username), Some(password)) => {
                        let username = self.text("destination.username", username);
                        let password = self.secret("destination.password", password);
                        username.zip(password).map(|(username, password)| AuthConfig::Basic(username, password))
                    }
                    _ => {
                        self.wrong(at, "needs `token`, or `username` and `password`");
                        None
                    }
                };
                let url = url?;
                let tls = self.tls(at, to.tls.as_ref(), "");
                let timeouts = self.timeouts(at, &to.timeouts, REQUEST_TIMEOUT);
                Some(DestinationConfig::Http(HttpConfig {
                    url: format!("{}{ENLYZE_DELIVERY_PATH}", url.trim_end_matches('/')),
                    method: Method::Post,
                    headers: Vec::new(),
                    secret_headers: Vec::new(),
                    auth: Some(auth?),
                    tls,
                    compression: to.compression,
                    timeouts,
                }))
            }
            Destination::Http(to) => {
                let url = self.text("destination.url", &to.url);
                let auth = to.auth.as_ref().map(|auth| self.auth(at, auth));
                let (headers, secret_headers) = self.headers("destination.headers", &to.headers);
                let tls = self.tls(at, to.tls.as_ref(), "");
                let timeouts = self.timeouts(at, &to.timeouts, REQUEST_TIMEOUT);
                let auth = match auth {
                    Some(None) => return None,
                    Some(auth) => auth,
                    None => None,
                };
                Some(DestinationConfig::Http(HttpConfig {
                    url: url?,
                    method: to.method.unwrap_or(Method::Post),
                    headers,
                    secret_headers,
                    auth,
                    tls,
                    compression: to.compression,
                    timeouts,
                }))
            }
        }
    }

    pub(super) fn collector(&mut self, otlp: &Otlp) -> Option<HttpConfig> {
        let endpoint = Endpoint { url: &otlp.url, headers: &otlp.headers, auth: None, tls: otlp.tls.as_ref() };
        let HttpConfig { url, headers, secret_headers, tls, .. } = self.endpoint("telemetry.otlp", &endpoint)?;
        let url = format!("{}{OTLP_TRACES_PATH}", url.trim_end_matches('/'));
        Some(HttpConfig { headers, secret_headers, tls, ..collector_at(url) })
    }

    /// An endpoint that is neither a source nor a destination.
    pub(super) fn endpoint(&mut self, at: &str, endpoint: &Endpoint<'_>) -> Option<HttpConfig> {
        let url = self.text(&format!("{at}.url"), endpoint.url);
        let auth = endpoint.auth.map(|auth| self.auth(at, auth));
        let (headers, secret_headers) = self.headers(&format!("{at}.headers"), endpoint.headers);
        let tls = self.tls(at, endpoint.tls, "");
        let auth = match auth {
            Some(None) => return None,
            Some(auth) => auth,
            None => None,
        };
        Some(HttpConfig {
            url: url?,
            method: Method::Post,
            headers,
            secret_headers,
            auth,
            tls,
            compression: Compression::None,
            timeouts: TimeoutConfig { connect: CONNECT_TIMEOUT, query: REQUEST_TIMEOUT },
        })
    }

    pub(super) fn sync(&mut self, spec: &Spec, zone: &TimeZone) -> SyncPlan {
        let sync = &spec.sync;
        let period = |period: Option<Period>, default: Duration| period.map_or(default, |period| period.0);
        let start = sync.start.as_ref().and_then(|text| {
            let start = parse_start(text, zone);
            if start.is_none() {
                self.wrong("sync.start", format!("`{text}` is not a date or a date-time"));
            }
            start
        });
        SyncPlan {
            mode: sync.mode,
            lookback: period(sync.lookback, LOOKBACK),
            lookahead: period(sync.lookahead, Duration::ZERO),
            column: sync.column.clone(),
            deletes: sync.deletes.unwrap_or(Deletes::Propagate),
            delete_limit: sync.delete_limit.map_or(DELETE_LIMIT_PERCENT, |share| share.0),
            start,
            slice: period(sync.slice, SLICE).max(Duration::from_secs(1)),
            cursor: sync.cursor.clone(),
            overlap: period(sync.overlap, OVERLAP),
            window: None,
        }
    }
}
