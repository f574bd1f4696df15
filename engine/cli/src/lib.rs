//! What the binaries `engine` and `validate-spec` are made of.
//!
//! Without the feature `run` there is the validator only, and no driver is compiled.

pub mod folder;
pub mod validate;

#[cfg(feature = "run")]
pub mod args;
#[cfg(feature = "run")]
pub mod backfill;
#[cfg(feature = "run")]
pub mod clock;
#[cfg(feature = "run")]
pub mod commands;
#[cfg(feature = "run")]
#[cfg(feature = "run")]
pub mod exit;
#[cfg(feature = "run")]
pub mod fixture;
#[cfg(all(test, feature = "run"))]
mod golden;
#[cfg(feature = "run")]
pub mod monitor;
#[cfg(feature = "run")]
pub mod notify;
#[cfg(feature = "run")]
pub mod pipeline;
#[cfg(feature = "run")]
pub mod progress;
#[cfg(feature = "run")]
pub mod project;
#[cfg(feature = "run")]
pub mod recordings;
#[cfg(feature = "run")]
pub mod references;
#[cfg(feature = "run")]
pub mod rehearsal;
#[cfg(feature = "run")]
pub mod sandbox;
#[cfg(feature = "run")]
pub mod schedule;
#[cfg(feature = "run")]
pub mod service;
#[cfg(feature = "run")]
pub mod show;
#[cfg(feature = "run")]
pub mod signals;
#[cfg(feature = "run")]
pub mod stamp;
#[cfg(feature = "run")]
pub mod state;
#[cfg(feature = "run")]
pub mod store;
#[cfg(feature = "run")]
pub mod survey;
#[cfg(feature = "run")]
pub mod telemetry;
#[cfg(feature = "run")]
pub mod web;
#[cfg(feature = "run")]
pub mod yaml_edit;
