//! Failures in plain words: what was tried and where, what came back, what to do next.

use engine_core::ports::{ServerConfig, SourceError, SourceErrorKind};
use engine_spec::scalar::Period;
use engine_spec::template::Bind;

/// Characters of a server's message that are carried on; a longer one is cut.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// What is connected to, in the words of messages. Holds no secret.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    connecting: String,
    querying: String,
}

impl Target {
    /// A database server.
    pub(crate) fn server(product: &str, config: &ServerConfig) -> Self {
        let place = config.place();
        Self {
            connecting: format!("connecting to {product} at {place} as {}", config.username),
            querying: format!("querying {product} at {place}, database {}", config.database),
        }
    }

    /// A named instance of a database server, whose port another service knows.
    pub(crate) fn instance(product: &str, config: &ServerConfig, instance: &str) -> Self {
        let place = format!("{}\\{instance}", config.host);
        Self {
            connecting: format!("connecting to {product} at {place} as {}", config.username),
            querying: format!("querying {product} at {place}, database {}", config.database),
        }
    }

    /// A database behind an alias that a file resolves.
    pub(crate) fn alias(product: &str, alias: &str, username: &str) -> Self {
        Self {
            connecting: format!("connecting to {product} {alias} as {username}"),
            querying: format!("querying {product} {alias}"),
        }
    }

    /// An HTTP API; `place` is host and port.
    pub(crate) fn api(place: &str) -> Self {
        Self { connecting: format!("preparing the API at {place}"), querying: format!("asking the API at {place}") }
    }

    /// A file.
    pub(crate) fn file(product: &str, path: &std::path::Path) -> Self {
        let path = path.display();
        Self {
            connecting: format!("opening {product} file {path}"),
            querying: format!("querying {product} file {path}"),
        }
    }

    /// A folder of files.
    pub(crate) fn folder(product: &str, path: &std::path::Path) -> Self {
        let path = path.display();
        Self {
            connecting: format!("opening {product} folder {path}"),
            querying: format!("reading {product} folder {path}"),
        }
    }

    /// A connector was handed the settings of another kind of source.
    pub(crate) fn mismatch(product: &str) -> SourceError {
        let problem = Problem::new(SourceErrorKind::Config, "the settings are those of another kind of source");
        problem.at(format!("opening a {product} source"))
    }

    /// A failure on the way to a session.
    pub(crate) fn connecting(&self, problem: Problem) -> SourceError {
        problem.at(self.connecting.clone())
    }

    /// A failure of a statement or its result.
    pub(crate) fn querying(&self, problem: Problem) -> SourceError {
        problem.at(self.querying.clone())
    }
}

/// What came back, before it is known what was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) kind: SourceErrorKind,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(kind: SourceErrorKind, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if let Some((cut, _)) = message.char_indices().nth(MESSAGE_CHARS_MAX) {
            message.truncate(cut);
            message.push('…');
        }
        Self { kind, message, hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Somebody asked to stop.
    pub(crate) fn cancelled() -> Self {
        Self::new(SourceErrorKind::Cancelled, "stopped, as asked")
    }

    /// A driver panicked; `payload` is what it panicked with.
    pub(crate) fn panicked(payload: &(dyn std::any::Any + Send)) -> Self {
        let words = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("without a message");
        Self::new(SourceErrorKind::Panic, format!("the driver failed in a way it should not: {words}"))
            .hint("This is a defect of engine or of its driver. Please report it with the statement and the server's version.")
    }

    /// A query ran out of time.
    pub(crate) fn query_timeout(limit: std::time::Duration) -> Self {
        Self::new(SourceErrorKind::Timeout, format!("the result was not complete within {}", Period(limit)))
            .hint("Narrow the window, give the window column an index, or raise `timeouts.query`.")
    }

    /// A login ran out of time.
    pub(crate) fn connect_timeout(limit: std::time::Duration) -> Self {
        Self::new(SourceErrorKind::Timeout, format!("no session within {}", Period(limit)))
            .hint("Check host, port and firewall, or raise `timeouts.connect`.")
    }

    /// The statement is none that reads.
    pub(crate) fn no_columns() -> Self {
        Self::new(SourceErrorKind::Query, "the statement returns no columns").hint("A query is one SELECT.")
    }

    /// Refuses a statement that has another number of placeholders than the template has values.
    pub(crate) fn check_count(placeholders: usize, values: usize) -> Result<(), Self> {
        if placeholders == values {
            return Ok(());
        }
        let message = format!("the statement has {placeholders} placeholders for {values} values");
        Err(Self::new(SourceErrorKind::Query, message)
            .hint("Write every value as a template, `{{ … }}`: a placeholder of the driver's own gets none."))
    }

    /// The statement's shape and its values disagree.
    pub(crate) fn bind(bind: &Bind, place: usize, why: &str) -> Self {
        Self::new(SourceErrorKind::Query, format!("parameter {place}, `{}`: {why}", bind.origin))
            .hint("Cast the parameter in the SQL, or change the value or its filter in the template.")
    }

    fn at(self, tried: String) -> SourceError {
        SourceError { kind: self.kind, tried, message: self.message, hint: self.hint }
    }
}

/// Line and column, both from 1, of the character before which `chars` characters lie.
pub(crate) fn line_and_column(sql: &str, chars: usize) -> (usize, usize) {
    let before = sql.chars().take(chars);
    before.fold((1, 1), |(line, column), char| if char == '\n' { (line + 1, 1) } else { (line, column + 1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_not_bytes() {
        for (chars, expected) in [(0, (1, 1)), (3, (1, 4)), (5, (1, 6)), (6, (2, 1)), (8, (2, 3)), (99, (2, 4))] {
            assert_eq!(line_and_column("ü = é\nABC", chars), expected, "{chars}");
        }
    }

    #[test]
    fn a_panic_keeps_its_words() {
        let problem = Problem::panicked(&"index out of bounds");
        assert_eq!(problem.kind, SourceErrorKind::Panic);
        assert!(problem.message.contains("index out of bounds"));
        assert!(Problem::panicked(&7_u8).message.contains("without a message"));
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let problem = Problem::new(SourceErrorKind::Query, "ü".repeat(MESSAGE_CHARS_MAX + 1));
        assert_eq!(problem.message.chars().count(), MESSAGE_CHARS_MAX + 1);
        assert!(problem.message.ends_with('…'));
    }
}
