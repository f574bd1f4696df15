//! Logs on stderr: text for people on a terminal, one JSON object a line elsewhere.

use std::fmt::{self, Write as _};
use std::io::IsTerminal as _;

use engine_spec::device::{Log, LogFormat, LogLevel};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::show::harmless_lines;

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
    let colour = crate::show::colour_stderr();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start, in tests, changes nothing.
    let _ = match (format, level) {
        (LogFormat::Text, "error" | "warn" | "info") => {
            builder.event_format(Plain { colour, clock: wall_clock }).try_init()
        }
        // Whoever asks for more wants every field.
        (LogFormat::Text, _) => {
            builder.with_target(false).with_ansi(colour).with_timer(tracing_subscriber::fmt::time::uptime()).try_init()
        }
        (LogFormat::Json, _) => builder.json().flatten_event(true).with_target(false).try_init(),
    };
}

fn wall_clock() -> String {
    jiff::Zoned::now().strftime("%H:%M:%S").to_string()
}

/// A line for people: the time, the pipeline, what happened, and what to do. The message says what the other fields
/// say; they are for programs, which read JSON.
struct Plain {
    colour: bool,
    clock: fn() -> String,
}

/// The fields that a person reads.
#[derive(Default)]
struct Said {
    message: String,
    pipeline: Option<String>,
    hint: Option<String>,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "pipeline" => self.pipeline = Some(value.to_owned()),
            "hint" => self.hint = Some(value.to_owned()),
            "message" => value.clone_into(&mut self.message),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to a `String` does not fail.
            let _ = write!(self.message, "{value:?}");
        }
    }
}

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        write!(writer, "{} ", (self.clock)())?;
        let mark = match *event.metadata().level() {
            Level::ERROR => Some(("31", "error")),
            Level::WARN => Some(("33", "warning")),
            _ => None,
        };
        match mark {
            Some((colour, word)) if self.colour => write!(writer, "\x1b[{colour}m{word}\x1b[0m: ")?,
            Some((_, word)) => write!(writer, "{word}: ")?,
            None => {}
        }
        if let Some(pipeline) = &said.pipeline {
            write!(writer, "{pipeline}: ")?;
        }
        writeln!(writer, "{}", harmless_lines(&said.message))?;
        said.hint.map_or(Ok(()), |hint| writeln!(writer, "  hint: {}", harmless_lines(&hint)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no writer panics").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn check(colour: bool, say: impl FnOnce(), expected: &str) {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&written);
        let subscriber = tracing_subscriber::fmt()
            .event_format(Plain { colour, clock: || "12:00:00".to_owned() })
            .with_writer(move || Sink(Arc::clone(&sink)))
            .finish();
        tracing::subscriber::with_default(subscriber, say);
        assert_eq!(String::from_utf8_lossy(&written.lock().expect("no writer panics")), expected);
    }

    #[test]
    fn a_line_says_what_happened_to_whom_and_what_to_do() {
        check(
            false,
            || tracing::info!(event = "run_finished", pipeline = "acme", rows = 5, "{} rows read", 5),
            "12:00:00 acme: 5 rows read\n",
        );
        check(false, || tracing::warn!("careful"), "12:00:00 warning: careful\n");
        check(
            false,
            || tracing::info!("a server says {}", "\x1b[2Jboo\r"),
            "12:00:00 a server says \\u{1b}[2Jboo\\r\n",
        );
        let failed = || tracing::error!(pipeline = "acme", hint = Some("log in"), "{}", "no rights");
        check(false, failed, "12:00:00 error: acme: no rights\n  hint: log in\n");
        check(true, failed, "12:00:00 \x1b[31merror\x1b[0m: acme: no rights\n  hint: log in\n");
        check(
            false,
            || tracing::error!(pipeline = "acme", hint = None::<&str>, "no rights"),
            "12:00:00 error: acme: no rights\n",
        );
    }
}
