//! The templated SQL, and the values of templates.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Scalar;
use crate::decode::present;

/// The templated SQL: `sql`, or `file`. For an HTTP source, the `params` of its request and nothing else.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Values that the templates can use as `params.*`.
    #[schemars(example = serde_json::json!({"plant": "1000"}))]
    #[serde(default)]
    pub params: BTreeMap<String, Param>,
    /// The template.
    #[schemars(example = &"SELECT id, anr FROM buchung WHERE ts >= {{ window.start }} AND ts < {{ window.end }}")]
    #[serde(default, deserialize_with = "present")]
    pub sql: Option<String>,
    /// File with the template, relative to the spec: in its folder or below it, or below that of `engine.yaml` or the
    /// working directory.
    #[schemars(example = &"bookings.sql")]
    #[serde(default, deserialize_with = "present")]
    pub file: Option<String>,
}

/// A value of `params`: a scalar, or a list of scalars.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// One value, bound as one parameter.
    One(Scalar),
    /// Several values, bound as as many parameters.
    List(Vec<Scalar>),
}
