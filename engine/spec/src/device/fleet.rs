//! `fleet` of the device config: where the specs are pulled from, and who is told how the device does.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::decode::present;
use crate::model::{Auth, HeaderValue, Period, Setting, Tls};

/// A device as one of many: its specs are pulled, and it tells how it does. Nothing listens for it.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fleet {
    /// Name of the device in what it tells. Default: the name of the host.
    #[schemars(example = &"aachen-07")]
    #[serde(default, deserialize_with = "present")]
    pub name: Option<Setting<String>>,
    /// Where the specs are pulled from, instead of `specs`. Default: nowhere.
    #[serde(default, deserialize_with = "present")]
    pub specs: Option<PulledSpecs>,
    /// Who is told how the device does. Default: nobody.
    #[serde(default, deserialize_with = "present")]
    pub heartbeat: Option<Heartbeat>,
}

/// Where the specs are pulled from. What is pulled is signed, or pinned by its hash.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PulledSpecs {
    /// Address of a bundle that `engine bundle` made: `https://host/specs.tar.gz`, pinned by `#sha256=…` or signed with
    /// one of `keys`. Or a git repository: `git+file:///path?ref=main&path=specs`, pinned by `#commit=…` or signed by
    /// one of `allowed_signers`; `git+https://` likewise, without a login. Plain `http://` is for loopback only.
    #[schemars(example = &"https://fleet.example/aachen/specs.tar.gz")]
    pub from: String,
    /// Public keys of those who may sign a bundle, as `engine bundle --new-key` prints them.
    #[schemars(example = serde_json::json!(["ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"]))]
    #[serde(default)]
    pub keys: Vec<String>,
    /// File of those who may sign the commit of a git repository, in the form of `ssh-keygen` (ALLOWED SIGNERS). Relative
    /// to this file.
    #[schemars(example = &"/etc/engine/allowed_signers")]
    #[serde(default, deserialize_with = "present")]
    pub allowed_signers: Option<String>,
    /// Time from one look for new specs to the next. Default `5m`.
    #[schemars(example = &"5m")]
    #[serde(default, deserialize_with = "present")]
    pub every: Option<Period>,
    /// Whether specs are taken that are older than those that were taken before. Default: no, so that nobody in between
    /// can bring back what was replaced. What is pinned is taken however old it is.
    #[schemars(example = &true)]
    #[serde(default, deserialize_with = "present")]
    pub allow_older: Option<bool>,
    /// Headers of the request for a bundle; a secret one takes a reference.
    #[schemars(example = serde_json::json!({"X-Site": "aachen"}))]
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderValue>,
    /// How to log in for a bundle. Default: not at all.
    #[schemars(example = serde_json::json!({"bearer": {"env": "FLEET_TOKEN"}}))]
    #[serde(default, deserialize_with = "present")]
    pub auth: Option<Auth>,
    /// Encryption. Default: `verify-full`.
    #[serde(default, deserialize_with = "present")]
    pub tls: Option<Tls>,
}

/// Who is told how the device does: a POST with JSON, as `schemas/heartbeat.schema.json` has it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// The whole endpoint.
    #[schemars(example = &"https://fleet.example/heartbeats")]
    pub url: Setting<String>,
    /// Time from one heartbeat to the next. Default `1m`.
    #[schemars(example = &"1m")]
    #[serde(default, deserialize_with = "present")]
    pub every: Option<Period>,
    /// Headers; a secret one takes a reference.
    #[schemars(example = serde_json::json!({"X-Site": "aachen"}))]
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderValue>,
    /// How to log in. Default: not at all.
    #[schemars(example = serde_json::json!({"bearer": {"env": "FLEET_TOKEN"}}))]
    #[serde(default, deserialize_with = "present")]
    pub auth: Option<Auth>,
    /// Encryption. Default: `verify-full`.
    #[serde(default, deserialize_with = "present")]
    pub tls: Option<Tls>,
}
