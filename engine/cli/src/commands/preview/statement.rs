//! What the source was asked, and how its server answers that.

use engine_core::plan::Plan;
use engine_core::ports::{Cancel, SourceConfig};
use engine_core::probe::{Known, QueryPlan, Remark, judge};
use engine_core::report::{FailureKind, RunReport};
use engine_spec::model::SyncMode;
use engine_spec::template::Statement;
use jiff::Timestamp;

use super::observe::Heard;
use crate::commands::render;
use crate::pipeline;

/// What the source was asked.
pub(super) struct Sent {
    /// The statement or the request; `None` for files.
    pub(super) statement: Option<Statement>,
    /// The server's plan; `None` where a source has none.
    pub(super) plan: Option<Result<QueryPlan, String>>,
    /// What is remarkable about it.
    pub(super) remarks: Vec<Remark>,
}

/// What was asked, and the server's plan of it, in a session of its own: whatever happens to that, the preview stands.
pub(super) fn sent(plan: &Plan, heard: &Heard, report: &RunReport, now: Timestamp, cancel: &Cancel) -> Sent {
    let asked = match plan.sync.mode {
        // The first question may be for the kinds of the columns only.
        SyncMode::Cursor => heard.last(),
        SyncMode::Window | SyncMode::Full => heard.first(),
    };
    let mut sent = Sent { statement: None, plan: None, remarks: Vec::new() };
    let Some(ask) = asked else { return sent };
    if matches!(plan.source, SourceConfig::Http(_)) {
        sent.statement = render::statement(plan, now).ok().flatten();
    }
    let Some(statement) = &ask.statement else { return sent };
    sent.statement = Some(statement.clone());
    let is_answered = report
        .failure
        .as_ref()
        .is_none_or(|failure| matches!(failure.kind, FailureKind::Brake | FailureKind::Rejected));
    if !is_answered || cancel.is_cancelled() {
        return sent;
    }
    let probe = pipeline::open_source(plan, cancel).and_then(|mut source| source.probe(&ask));
    sent.plan = match &probe {
        Err(error) => Some(Err(error.message.clone())),
        Ok(probe) => match &probe.plan {
            Known::Is(plan) => Some(Ok(plan.clone())),
            Known::Unknown(why) => Some(Err(why.clone())),
            Known::Inapplicable => None,
        },
    };
    if let Ok(probe) = &probe {
        sent.remarks = judge(probe, &ask).into_iter().filter(|remark| remark.about == "plan").collect();
    }
    sent
}
