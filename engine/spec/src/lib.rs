//! Text to checked spec: the loader, the typed model, the JSON schema, templates and findings.
//!
//! This crate does no I/O, reads no clock and knows no driver. What lies beside a spec (an SQL file, a machine
//! list) is handed in by the caller.

pub mod check;
pub mod codes;
pub mod decode;
pub mod device;
pub mod diagnostic;
pub mod diff;
pub mod expr;
pub mod fix;
mod jinja;
pub mod load;
pub mod model;
pub mod reference;
pub mod renamed;
pub mod render;
pub mod scalar;
pub mod schema;
pub mod show;
pub mod sql;
pub mod template;
pub mod text;
pub mod yaml;

pub use diagnostic::{Diagnostic, Severity};
pub use load::{
    Companions, Loaded, LoadedCompanions, LoadedDevice, LoadedTests, NoCompanions, load, load_device, load_tests,
};
