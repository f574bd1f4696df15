//! `engine`: reads production orders and bookings, and delivers what is new, changed or gone.

use std::process::ExitCode;

use clap::Parser as _;
use engine::args::{Cli, Command};
use engine::commands::{
    approve, backfill, bundle, check, completions, discover, docs, init, preview, quarantine, render, run, schema,
    self_check, state, status, test,
};
use engine::exit::CommandError;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let config = cli.config.as_deref();
    let outcome: Result<(), CommandError> = match &cli.command {
        Command::ValidateSpec(args) => return ExitCode::from(engine::validate::run(args)),
        Command::Run(args) => run::run(args, config, cli.verbose, cli.quiet),
        Command::Bundle(args) => bundle::run(args),
        Command::Test(args) => test::run(args, config),
        Command::Render(args) => render::run(args, config),
        Command::Preview(args) => preview::run(args, config),
        Command::Check(args) => check::run(args, config),
        Command::Discover(args) => discover::run(args),
        Command::Init(args) => init::run(args, config),
        Command::Status(args) => status::run(args, config),
        Command::SelfCheck(args) => self_check::run(args, config),
        Command::Approve(args) => approve::run(args, config),
        Command::Backfill(args) => backfill::run(args, config, cli.verbose, cli.quiet),
        Command::Quarantine(args) => quarantine::run(args, config),
        Command::State(args) => state::run(args, config),
        Command::Schema(args) => schema::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Docs(args) => docs::run(args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.message.is_empty() {
                engine::exit::tell(&error);
            }
            error.exit_code()
        }
    }
}
