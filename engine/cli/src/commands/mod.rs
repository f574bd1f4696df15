//! The commands: one file each.

pub mod approve;
pub mod backfill;
pub mod bundle;
pub mod check;
pub mod completions;
pub mod discover;
pub mod docs;
pub mod init;
pub mod preview;
pub mod quarantine;
pub mod record;
pub mod render;
pub mod run;
pub mod schema;
pub mod self_check;
pub mod state;
pub mod status;
pub mod test;
