//! Where the runs go.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ByteSize, Method, Secret, Setting, Timeouts, Tls};
use crate::decode::present;

/// Where the runs go.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Destination {
    /// The ENLYZE platform.
    Enlyze(EnlyzeDestination),
    /// Any HTTP endpoint that satisfies the delivery contract.
    Http(HttpDestination),
    /// A file of JSON lines.
    File(FileDestination),
    /// JSON lines on standard output; a table on a terminal.
    Stdout(StdoutDestination),
}

/// The ENLYZE platform: a `token`, or `username` and `password`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnlyzeDestination {
    /// Base address of the platform.
    #[schemars(example = &"https://app.enlyze.com")]
    pub url: Setting<String>,
    /// API token. A reference only.
    #[schemars(example = serde_json::json!({"env": "ENLYZE_TOKEN"}))]
    #[serde(default, deserialize_with = "present")]
    pub token: Option<Secret>,
    /// User name, where there is no token.
    #[schemars(example = &"edge-aachen")]
    #[serde(default, deserialize_with = "present")]
    pub username: Option<Setting<String>>,
    /// Password. A reference only.
    #[schemars(example = serde_json::json!({"env": "ENLYZE_PASSWORD"}))]
    #[serde(default, deserialize_with = "present")]
    pub password: Option<Secret>,
    /// Encryption. Default: `verify-full`.
    #[serde(default, deserialize_with = "present")]
    pub tls: Option<Tls>,
    /// What is delivered. Default `runs`.
    #[schemars(example = &"runs")]
    #[serde(default)]
    pub deliver: Deliver,
    /// Size of a delivery.
    #[serde(default)]
    pub batch: Batch,
    /// Compression of a delivery. Default `none`.
    #[schemars(example = &"zstd")]
    #[serde(default)]
    pub compression: Compression,
    /// How long to wait for the platform.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// Any HTTP endpoint that satisfies the delivery contract.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpDestination {
    /// The whole endpoint.
    #[schemars(example = &"https://platform.example/api/production-runs")]
    pub url: Setting<String>,
    /// Method. Default `POST`.
    #[schemars(example = &"POST")]
    #[serde(default, deserialize_with = "present")]
    pub method: Option<Method>,
    /// Headers; a secret one takes a reference.
    #[schemars(example = serde_json::json!({"X-Site": "aachen"}))]
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderValue>,
    /// How to log in. Default: not at all.
    #[serde(default, deserialize_with = "present")]
    pub auth: Option<Auth>,
    /// Encryption. Default: `verify-full`.
    #[serde(default, deserialize_with = "present")]
    pub tls: Option<Tls>,
    /// What is delivered. Default `runs`.
    #[schemars(example = &"runs")]
    #[serde(default)]
    pub deliver: Deliver,
    /// Size of a delivery.
    #[serde(default)]
    pub batch: Batch,
    /// Compression of a delivery. Default `none`.
    #[schemars(example = &"zstd")]
    #[serde(default)]
    pub compression: Compression,
    /// How long to wait for the endpoint.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// A file of JSON lines.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileDestination {
    /// The file, relative to the working directory.
    #[schemars(example = &"runs.ndjson")]
    pub path: Setting<String>,
    /// What is delivered. Default `runs`.
    #[schemars(example = &"runs")]
    #[serde(default)]
    pub deliver: Deliver,
    /// Size of a delivery.
    #[serde(default)]
    pub batch: Batch,
}

/// JSON lines on standard output; a table on a terminal.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StdoutDestination {
    /// What is delivered. Default `runs`.
    #[schemars(example = &"runs")]
    #[serde(default)]
    pub deliver: Deliver,
    /// Size of a delivery.
    #[serde(default)]
    pub batch: Batch,
}

/// What is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Deliver {
    /// Production runs.
    #[default]
    Runs,
    /// The canonical order or booking rows.
    Rows,
}

/// Size of a delivery; what is reached first ends it.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Records at most. Default 500.
    #[schemars(example = &500)]
    #[serde(default, deserialize_with = "present")]
    pub max_records: Option<u32>,
    /// Bytes at most, before compression. Default `1MiB`.
    #[schemars(example = &"1MiB")]
    #[serde(default, deserialize_with = "present")]
    pub max_bytes: Option<ByteSize>,
}

/// Compression of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// gzip
    Gzip,
    /// Zstandard
    Zstd,
    /// As it is.
    #[default]
    None,
}

/// How to log in: exactly one of its keys.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// `Authorization: Bearer …`. A reference only.
    #[schemars(example = serde_json::json!({"env": "API_TOKEN"}))]
    Bearer(Secret),
    /// HTTP Basic.
    #[schemars(example = serde_json::json!({"username": "edge", "password": {"env": "API_PASSWORD"}}))]
    Basic(BasicAuth),
    /// A header of its own.
    #[schemars(example = serde_json::json!({"name": "X-Api-Key", "value": {"env": "API_KEY"}}))]
    Header(HeaderAuth),
    /// OAuth 2.0 client credentials.
    #[schemars(example = serde_json::json!({"token_url": "https://login.acme.example/oauth2/token", "client_id": "engine", "client_secret": {"env": "CLIENT_SECRET"}}))]
    Oauth2(OAuth2),
    /// A session: a first request logs in, and its answer holds a token or sets cookies.
    #[schemars(example = serde_json::json!({"login_url": "https://mes.acme.example/login", "body": {"user": "engine", "password": {"env": "API_PASSWORD"}}, "token": "$.token"}))]
    Session(SessionAuth),
}

/// HTTP Basic.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// User name.
    #[schemars(example = &"edge")]
    pub username: Setting<String>,
    /// Password. A reference only.
    #[schemars(example = serde_json::json!({"env": "API_PASSWORD"}))]
    pub password: Secret,
}

/// A header that carries a secret.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderAuth {
    /// Name of the header.
    #[schemars(example = &"X-Api-Key")]
    pub name: String,
    /// Its value. A reference only.
    #[schemars(example = serde_json::json!({"env": "API_KEY"}))]
    pub value: Secret,
}

/// OAuth 2.0 client credentials.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// Address that gives out tokens.
    #[schemars(example = &"https://login.acme.example/oauth2/token")]
    pub token_url: Setting<String>,
    /// Client id.
    #[schemars(example = &"engine")]
    pub client_id: Setting<String>,
    /// Client secret. A reference only.
    #[schemars(example = serde_json::json!({"env": "CLIENT_SECRET"}))]
    pub client_secret: Secret,
    /// Scope to ask for.
    #[schemars(example = &"runs.write")]
    #[serde(default, deserialize_with = "present")]
    pub scope: Option<Setting<String>>,
}

/// A session: a first request logs in, by POST. A session that ends meanwhile is opened anew.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionAuth {
    /// Address that takes the login.
    #[schemars(example = &"https://mes.acme.example/login")]
    pub login_url: Setting<String>,
    /// What is sent: names and values. A reference makes a value secret; a password takes nothing else.
    #[schemars(example = serde_json::json!({"user": "engine", "password": {"env": "API_PASSWORD"}}))]
    pub body: BTreeMap<String, HeaderValue>,
    /// Whether `body` is sent as a form. Default: as JSON.
    #[schemars(example = &true)]
    #[serde(default, deserialize_with = "present")]
    pub form: Option<bool>,
    /// Where the token is in the answer, as a JSONPath. Default: the login is in the cookies that the answer sets.
    #[schemars(example = &"$.token")]
    #[serde(default, deserialize_with = "present")]
    pub token: Option<String>,
    /// Header that carries the token as it is. Default: `Authorization: Bearer …`.
    #[schemars(example = &"X-Session")]
    #[serde(default, deserialize_with = "present")]
    pub header: Option<String>,
}

/// Value of a header: a text, or a reference, which makes it secret.
#[derive(Debug, Clone, PartialEq)]
pub enum HeaderValue {
    /// As written.
    Text(String),
    /// Secret.
    Secret(Secret),
}
