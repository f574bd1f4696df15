//! The one error that a user sees, and its exit code.

use std::fmt;
use std::process::ExitCode;

use engine_spec::show::harmless_lines;

/// What kind of failure ended a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A run failed, or rejected rows beyond its limit: exit code 1.
    Run,
    /// A spec or the usage is wrong: exit code 2.
    Usage,
    /// The environment is wrong, a server or a reference: exit code 3.
    Environment,
}

impl Kind {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Run => 1,
            Self::Usage => 2,
            Self::Environment => 3,
        }
    }
}

/// What ended a command, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandError {
    /// What kind of failure.
    pub kind: Kind,
    /// What was tried, and what came back. Empty where it was said already.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl CommandError {
    /// An error of a kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// An error that was told already: only its exit code is left.
    pub fn said(kind: Kind) -> Self {
        Self::new(kind, "")
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind.code())
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Tells an error on stderr. The words of a server are among it, and a terminal obeys nothing of them.
pub fn tell(error: &CommandError) {
    use std::io::Write as _;
    // Whoever closed stderr does not want to know.
    let _ = writeln!(std::io::stderr().lock(), "{}", harmless_lines(&error.to_string()));
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        Self::new(Kind::Environment, error.to_string())
    }
}

#[cfg(feature = "run")]
impl From<engine_core::state::StateError> for CommandError {
    fn from(error: engine_core::state::StateError) -> Self {
        Self { kind: Kind::Environment, message: error.to_string(), hint: error.hint }
    }
}
