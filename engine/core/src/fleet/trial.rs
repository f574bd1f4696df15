//! What new specs have to show before they are trusted, and when those of before come back.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::report::{FailureKind, RunReport};
use crate::state::PipelineState;

/// Runs by new specs that must go well, of each pipeline that ran well before.
pub const TRIAL_RUNS: u32 = 2;
/// Longest time that new specs are on trial. A pipeline that does not run within it, or whose source is down, keeps
/// nobody waiting any longer.
pub const TRIAL_TIME_MAX: SignedDuration = SignedDuration::from_hours(24);

/// New specs on trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// When it began.
    pub since: Timestamp,
    /// Runs that each pipeline has still to show; those that are not here have nothing to show.
    pub owed: BTreeMap<String, u32>,
}

/// How a run went, as far as its spec has a part in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ran {
    /// It went well.
    Well,
    /// It failed, and another spec would have gone well for all that is known.
    FailedBySpec,
    /// It failed for something that a spec of before would have met as well, or it is held for somebody to look at.
    FailedOtherwise,
}

/// What becomes of new specs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They have still something to show.
    GoesOn,
    /// They are trusted from now on.
    Passed,
    /// Those of before come back.
    Failed,
}

impl Trial {
    /// Begins a trial for pipelines that ran well before; `None` where there are none, so that nothing can be shown.
    pub fn begin(now: Timestamp, ran_well: impl IntoIterator<Item = String>) -> Option<Self> {
        let owed: BTreeMap<String, u32> = ran_well.into_iter().map(|id| (id, TRIAL_RUNS)).collect();
        (!owed.is_empty()).then_some(Self { since: now, owed })
    }

    /// Takes in how a run by the new specs went.
    pub fn take_in(&mut self, pipeline: &str, ran: Ran) -> Verdict {
        let Some(owed) = self.owed.get_mut(pipeline) else { return Verdict::GoesOn };
        match ran {
            Ran::FailedBySpec => return Verdict::Failed,
            Ran::FailedOtherwise => {}
            Ran::Well => {
                *owed -= 1;
                if *owed == 0 {
                    self.owed.remove(pipeline);
                }
            }
        }
        if self.owed.is_empty() { Verdict::Passed } else { Verdict::GoesOn }
    }

    /// Whether it has lasted as long as it may. A clock that was set far back ends it too: nobody knows how long it has
    /// lasted then.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now.duration_since(self.since).abs() >= TRIAL_TIME_MAX
    }
}

/// Whether a pipeline ran well before, so that its next failure says something of the new spec.
pub fn ran_well(state: &PipelineState) -> bool {
    state.last_success.is_some() && state.failures == 0 && state.brake.is_none()
}

/// How a run went, as far as its spec has a part in it.
pub fn judge(report: &RunReport) -> Ran {
    match report.failure.as_ref().map(|failure| failure.kind) {
        None => Ran::Well,
        Some(FailureKind::Spec | FailureKind::Query | FailureKind::Rejected) => Ran::FailedBySpec,
        // A brake holds what was delivered as it is; whether the change was meant, somebody has to say.
        Some(
            FailureKind::Brake
            | FailureKind::Environment
            | FailureKind::Source
            | FailureKind::State
            | FailureKind::Cancelled,
        ) => Ran::FailedOtherwise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Failure;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn after(ran: &[(&str, Ran)]) -> Verdict {
        let mut trial = Trial::begin(NOW, ["a".to_owned(), "b".to_owned()]).expect("two pipelines");
        let mut verdicts = ran.iter().map(|(pipeline, ran)| trial.take_in(pipeline, *ran));
        verdicts.find(|verdict| *verdict != Verdict::GoesOn).unwrap_or(Verdict::GoesOn)
    }

    #[test]
    fn new_specs_are_trusted_when_all_that_ran_well_have_run_well_again() {
        use Ran::{FailedBySpec, FailedOtherwise, Well};
        for (ran, expected) in [
            (&[][..], Verdict::GoesOn),
            (&[("a", Well), ("a", Well), ("b", Well)], Verdict::GoesOn),
            (&[("a", Well), ("b", Well), ("a", Well), ("b", Well)], Verdict::Passed),
            (&[("a", FailedBySpec)], Verdict::Failed),
            (&[("a", Well), ("a", FailedBySpec)], Verdict::Failed),
            // What has shown enough is judged no more, and neither is what did not run well before.
            (&[("a", Well), ("a", Well), ("a", FailedBySpec)], Verdict::GoesOn),
            (&[("new", FailedBySpec)], Verdict::GoesOn),
            // A source that is down says nothing, and is waited for.
            (&[("a", FailedOtherwise), ("a", Well), ("b", Well), ("b", Well)], Verdict::GoesOn),
            (&[("a", FailedOtherwise), ("a", Well), ("b", Well), ("b", Well), ("a", Well)], Verdict::Passed),
        ] {
            assert_eq!(after(ran), expected, "{ran:?}");
        }
        assert_eq!(Trial::begin(NOW, []), None);
    }

    #[test]
    fn a_trial_ends() {
        let trial = Trial::begin(NOW, ["a".to_owned()]).expect("a pipeline");
        let at = |by: SignedDuration| NOW.saturating_add(by).expect("in range");
        let almost = TRIAL_TIME_MAX - SignedDuration::from_secs(1);
        assert!(!trial.is_over(at(almost)) && !trial.is_over(at(-almost)));
        assert!(trial.is_over(at(TRIAL_TIME_MAX)) && trial.is_over(at(-TRIAL_TIME_MAX)));
    }

    #[test]
    fn only_what_another_spec_would_mend_is_the_fault_of_a_spec() {
        let ran = |kind: Option<FailureKind>| {
            let failure = kind.map(|kind| Failure { kind, message: String::new(), hint: None });
            judge(&RunReport { failure, ..RunReport::default() })
        };
        assert_eq!(ran(None), Ran::Well);
        for kind in [FailureKind::Spec, FailureKind::Query, FailureKind::Rejected] {
            assert_eq!(ran(Some(kind)), Ran::FailedBySpec, "{kind:?}");
        }
        use FailureKind::{Brake, Cancelled, Environment, Source, State};
        for kind in [Brake, Cancelled, Environment, Source, State] {
            assert_eq!(ran(Some(kind)), Ran::FailedOtherwise, "{kind:?}");
        }
    }

    #[test]
    fn whoever_failed_before_shows_nothing_of_the_new_specs() {
        let well = PipelineState { last_success: Some(NOW), ..PipelineState::default() };
        assert!(ran_well(&well));
        assert!(!ran_well(&PipelineState::default()), "it never ran");
        assert!(!ran_well(&PipelineState { failures: 1, ..well }));
    }
}
