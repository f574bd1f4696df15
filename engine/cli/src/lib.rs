//! What the binaries `engine` and `validate-spec` are made of.

#[cfg(feature = "run")]
pub mod state;
