//! Failures of a run, in its report's words.

use crate::ports::{SourceError, SourceErrorKind};
use crate::report::{Failure, FailureKind};
use crate::state::StateError;

pub(super) fn cancelled() -> Failure {
    Failure { kind: FailureKind::Cancelled, message: "stopped before it was done".to_owned(), hint: None }
}

/// A failure of a source, in the words of a run.
pub fn source_failure(error: SourceError) -> Failure {
    let kind = match error.kind {
        SourceErrorKind::Config => FailureKind::Spec,
        SourceErrorKind::Cancelled => FailureKind::Cancelled,
        SourceErrorKind::Query => FailureKind::Query,
        kind if kind.is_environment() => FailureKind::Environment,
        _ => FailureKind::Source,
    };
    Failure { kind, message: error.to_string(), hint: error.hint }
}

pub(super) fn state_failure(error: StateError) -> Failure {
    Failure { kind: FailureKind::State, message: error.to_string(), hint: error.hint }
}

pub(super) fn mapping_failure(messages: &[String]) -> Failure {
    Failure {
        kind: FailureKind::Spec,
        message: messages.join("; "),
        hint: Some("`engine preview` shows the columns of the result".to_owned()),
    }
}
