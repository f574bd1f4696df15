//! The device config, `engine.yaml`: what holds for every pipeline of a device. Everything has a default.

mod fleet;
mod pulled;

use schemars::JsonSchema;
use serde::Deserialize;

pub use self::fleet::{Fleet, Heartbeat, PulledSpecs};
pub use self::pulled::{PublicKey, SpecsFrom};
use crate::decode::present;
use crate::model::{ByteSize, Destination, Setting, Version};

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
    /// Memory that the rows in flight may take. Default `256MiB`.
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
    /// Address and port to listen on. Default: none.
    #[schemars(example = &"127.0.0.1:9187")]
    #[serde(default, deserialize_with = "present")]
    pub listen: Option<String>,
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
