//! Logs on stderr: text for people on a terminal, one JSON object a line elsewhere.

use std::io::IsTerminal as _;

use engine_spec::device::{Log, LogFormat, LogLevel};
use tracing_subscriber::EnvFilter;

/// Starts logging. `verbose` and `quiet` are the flags of the command line; `ENGINE_LOG` overrides them all.
pub fn start(log: &Log, verbose: u8, quiet: bool) {
    let level = match (quiet, verbose, log.level) {
        (true, ..) | (_, 0, LogLevel::Error) => "error",
        (_, 0, LogLevel::Warn) => "warn",
        (_, 0, LogLevel::Info) => "info",
        (_, 1, _) | (_, 0, LogLevel::Debug) => "debug",
        _ => "trace",
    };
    // Drivers are verbose at every level; they speak up only when asked for everything.
    let drivers = if level == "trace" { "trace" } else { "error" };
    let filter = EnvFilter::try_from_env("ENGINE_LOG").unwrap_or_else(|_| {
        EnvFilter::new(format!("{drivers},engine={level},engine_core={level},engine_connect={level}"))
    });
    let format = log.format.unwrap_or(if std::io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start, in tests, changes nothing.
    let _ = match format {
        LogFormat::Text => builder
            .with_target(false)
            .with_ansi(crate::show::colour_stderr())
            .with_timer(tracing_subscriber::fmt::time::uptime())
            .try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_target(false).try_init(),
    };
}
