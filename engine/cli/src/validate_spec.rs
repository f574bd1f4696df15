//! `validate-spec`: checks pipeline specs and device configs without any driver, for CI images and editors.

use std::process::ExitCode;

use clap::Parser;
use engine::validate;

/// Check pipeline specs and device configs
#[derive(Debug, Parser)]
#[command(
    name = "validate-spec",
    version,
    after_help = "Exit codes: 0 all well, 2 a spec or the usage is wrong, 3 a reference is unresolved."
)]
struct Command {
    #[command(flatten)]
    args: validate::ValidateArgs,
}

fn main() -> ExitCode {
    ExitCode::from(validate::run(&Command::parse().args))
}
