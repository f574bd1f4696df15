//! `engine completions`: completion scripts for shells.

use clap::CommandFactory as _;

use crate::args::{Cli, CompletionArgs};
use crate::exit::CommandError;

/// Prints a completion script.
pub fn run(args: &CompletionArgs) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "engine", &mut script);
    crate::show::print(&String::from_utf8_lossy(&script));
    Ok(())
}
