//! The device config, `engine.yaml`: what holds for every pipeline of a device. Everything has a default.

mod fleet;
mod pulled;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub use self::fleet::{Fleet, Heartbeat, PulledSpecs};
pub use self::pulled::{PublicKey, SpecsFrom};
use crate::decode::present;
use crate::model::{ByteSize, Destination, HeaderValue, Percent, Secret, Setting, Tls, Version};

/// Settings of a device: where the specs and the state are, where runs go, how much may be used.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Device config, version 1")]
pub struct Device {
    /// Version of the format. Always `1`.
    #[schemars(example = &1)]
    pub version: Version,
    /// Files, folders or globs of the specs, relative to this file. Default: `specs/**/*.yaml`.
    #[schemars(example = serde_json::json!(["specs/**/*.yaml"]))]
    #[serde(default)]
    pub specs: Vec<String>,
    /// Where the engine keeps what it has read and delivered.
    #[schemars(example = serde_json::json!({"url": "sqlite:///var/lib/engine/state.db"}))]
    #[serde(default)]
    pub state: State,
    /// Where the runs of every spec go that has no destination of its own.
    #[schemars(example = serde_json::json!({"type": "enlyze", "url": "https://app.enlyze.com", "token": {"env": "ENLYZE_TOKEN"}}))]
    #[serde(default, deserialize_with = "present")]
    pub destination: Option<Destination>,
    /// How much the engine may use.
    #[schemars(example = serde_json::json!({"concurrency": 4, "memory": "256MiB"}))]
    #[serde(default)]
    pub limits: Limits,
    /// The status page and its endpoints.
    #[schemars(example = serde_json::json!({"listen": "127.0.0.1:9187"}))]
    #[serde(default)]
    pub http: Http,
    /// What is logged, and how.
    #[schemars(example = serde_json::json!({"level": "info", "format": "json"}))]
    #[serde(default)]
    pub log: Log,
    /// What is told of runs and deliveries, and to whom.
    #[schemars(example = serde_json::json!({"otlp": {"url": "https://collector.acme.example:4318"}}))]
    #[serde(default)]
    pub telemetry: Telemetry,
    /// A device as one of many: its specs are pulled, and it tells how it does.
    #[schemars(example = serde_json::json!({"heartbeat": {"url": "https://fleet.example/heartbeats"}}))]
    #[serde(default, deserialize_with = "present")]
    pub fleet: Option<Fleet>,
}

/// Where the engine keeps what it has read and delivered.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// `sqlite://` and a path, or a `postgres://` address. Default: `$STATE_DIRECTORY/state.db` under systemd, else
    /// `.engine/state.db` in the working directory. An address with a password takes a reference. Behind the `?` of a
    /// `postgres://` address stand libpq's settings (`sslmode=verify-full`) and two of the engine's: `schema`, where the
    /// tables are, default `engine`; `lease`, for how many seconds a pipeline stays with an engine that is not heard of,
    /// default 30.
    #[schemars(example = &"sqlite:///var/lib/engine/state.db")]
    #[serde(default, deserialize_with = "present")]
    pub url: Option<Setting<String>>,
}

/// How much the engine may use.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Pipelines that run at the same time. Default 4.
    #[schemars(example = &4, range(min = 1))]
    #[serde(default, deserialize_with = "present")]
    pub concurrency: Option<std::num::NonZeroU32>,
    /// Memory that the engine may take; the program itself needs some 40 MiB of it. Default `256MiB`.
    #[schemars(example = &"256MiB")]
    #[serde(default, deserialize_with = "present")]
    pub memory: Option<ByteSize>,
    /// Undelivered runs on disk, beyond which no more is read. Default `1GiB`.
    #[schemars(example = &"1GiB")]
    #[serde(default, deserialize_with = "present")]
    pub outbox: Option<ByteSize>,
}

/// The status page and its endpoints.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Address and port to listen on. Default: none. What other machines can reach needs `tls` and `token`.
    #[schemars(example = &"127.0.0.1:9187")]
    #[serde(default, deserialize_with = "present")]
    pub listen: Option<String>,
    /// The certificate that the page shows. With it, HTTPS is spoken and nothing else.
    #[schemars(example = serde_json::json!({"cert_file": "engine.pem", "key_file": "engine.key"}))]
    #[serde(default, deserialize_with = "present")]
    pub tls: Option<HttpTls>,
    /// Who knows it may see the page and the metrics: 16 to 512 characters of ASCII without blanks. `/healthz` and
    /// `/readyz` are for everybody.
    #[schemars(example = serde_json::json!({"file": "/etc/engine/secrets/page-token"}))]
    #[serde(default, deserialize_with = "present")]
    pub token: Option<Secret>,
}

/// The certificate that the page shows. Both files are read anew when they change.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpTls {
    /// The certificate, and behind it those that lead to its authority, PEM, relative to this file.
    #[schemars(example = &"engine.pem")]
    pub cert_file: Setting<String>,
    /// Its private key, PEM, relative to this file.
    #[schemars(example = &"engine.key")]
    pub key_file: Setting<String>,
}

/// What is told of runs and deliveries, and to whom.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// An OpenTelemetry collector that takes traces. Default: that of the variable `OTEL_EXPORTER_OTLP_ENDPOINT`, or none.
    #[schemars(example = serde_json::json!({"url": "https://collector.acme.example:4318", "headers": {"Authorization": {"env": "OTLP_LOGIN"}}, "sample": "10%"}))]
    #[serde(default, deserialize_with = "present")]
    pub otlp: Option<Otlp>,
}

/// An OpenTelemetry collector that takes traces as OTLP over HTTP, in Protocol Buffers.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    /// Base address of the collector; traces go to `/v1/traces` below it.
    #[schemars(example = &"https://collector.acme.example:4318")]
    pub url: Setting<String>,
    /// Headers; a secret one takes a reference.
    #[schemars(example = serde_json::json!({"Authorization": {"env": "OTLP_LOGIN"}}))]
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderValue>,
    /// Encryption. Default: `verify-full`.
    #[serde(default, deserialize_with = "present")]
    pub tls: Option<Tls>,
    /// Share of the runs that are traced, each with its deliveries. Default: as the variable `OTEL_TRACES_SAMPLER` says,
    /// or all.
    #[schemars(example = &"10%")]
    #[serde(default, deserialize_with = "present")]
    pub sample: Option<Percent>,
    /// Whether deliveries over HTTP carry the header `traceparent`, so that who takes them can go on with the trace.
    /// Default: no.
    #[schemars(example = &true)]
    #[serde(default)]
    pub traceparent: bool,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// How much is logged. Default `info`.
    #[schemars(example = &"info")]
    #[serde(default)]
    pub level: LogLevel,
    /// How a line is written. Default: text on a terminal, JSON otherwise.
    #[schemars(example = &"json")]
    #[serde(default, deserialize_with = "present")]
    pub format: Option<LogFormat>,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Failures only.
    Error,
    /// What needs attention.
    Warn,
    /// What happens, a line or two for each run.
    #[default]
    Info,
    /// What is sent and what comes back, without values.
    Debug,
    /// Everything.
    Trace,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
