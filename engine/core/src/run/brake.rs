//! What stops a run before it does harm.

use engine_spec::model::Deletes;

use super::reading::{Known, Reading};
use super::{Change, Range, Run};
use crate::canonical::RowKey;
use crate::plan::DELETES_FREE;
use crate::ports::SourceIdentity;
use crate::report::{Failure, FailureKind};
use crate::state::{Brake, BrakeKind, PipelineState};

impl Run<'_> {
    /// A repointed name or a restored database never turns into deletes.
    pub(super) fn check_identity(&mut self, identity: &SourceIdentity) -> Result<(), Failure> {
        let differs: Vec<String> = identity
            .facts
            .iter()
            .filter_map(|(name, now)| {
                let before = self.state.identity.get(name)?;
                (before != now).then(|| format!("{name} was `{before}` and is `{now}`"))
            })
            .collect();
        if !differs.is_empty() && !self.is_approved(BrakeKind::Identity) {
            let message = format!("the source is not the database of before: {}", differs.join(", "));
            return Err(self.pull_brake(BrakeKind::Identity, &message));
        }
        if !differs.is_empty() {
            self.report.notes.push("the source is another database; approved".to_owned());
        }
        for (name, value) in &identity.facts {
            self.state.identity.insert(name.clone(), value.clone());
        }
        Ok(())
    }

    /// Whether somebody approved. Who approved another database did not approve that it is empty; who approved an
    /// empty result approved every delete.
    pub(super) fn is_approved(&self, kind: BrakeKind) -> bool {
        let covers = |brake: &Brake| brake.kind == kind || (brake.kind, kind) == (BrakeKind::Empty, BrakeKind::Deletes);
        self.state.approved.is_some() && self.state.brake.as_ref().is_none_or(covers)
    }

    pub(super) fn pull_brake(&mut self, kind: BrakeKind, message: &str) -> Failure {
        let since = self.state.brake.as_ref().filter(|brake| brake.kind == kind).map_or(self.now, |brake| brake.since);
        self.state.brake = Some(Brake { kind, message: message.to_owned(), since });
        self.state.approved = None;
        Failure {
            kind: FailureKind::Brake,
            message: format!("{message}; nothing was sent"),
            hint: Some(format!("if this is right, run `engine approve {}`", self.plan().id)),
        }
    }

    /// Somebody approved the brake while this run was on its way to it: the next run may pass.
    pub(super) fn keep_late_approval(&mut self, stored: &PipelineState) {
        let kind = |state: &PipelineState| state.brake.as_ref().map(|brake| brake.kind);
        let came_late = stored.approved.is_some() && stored.approved != self.approved_before;
        if came_late && kind(stored).is_some() && kind(stored) == kind(&self.state) {
            self.state.approved = stored.approved;
        }
    }

    pub(super) fn check_rejected(&mut self, reading: &Reading) -> Result<(), Failure> {
        let Some(limit) = self.plan().max_rejected else { return Ok(()) };
        let rejected = reading.rejected;
        if reading.rows > 0 && rejected as f64 * 100.0 > limit * reading.rows as f64 {
            return Err(Failure {
                kind: FailureKind::Rejected,
                message: format!(
                    "{rejected} of {} rows were rejected, more than `max_rejected: {limit}%`; nothing was sent",
                    reading.rows
                ),
                hint: Some(format!("`engine preview` shows the reasons; {}", self.commonest_reason())),
            });
        }
        Ok(())
    }

    pub(super) fn commonest_reason(&self) -> String {
        let commonest = self.report.rejected.iter().max_by_key(|(_, count)| **count);
        commonest.map_or(String::new(), |(code, count)| format!("the commonest is `{code}` ({count})"))
    }

    /// What did not come back, unless a brake is pulled.
    pub(super) fn gone(&mut self, reading: &Reading, ranges: &[Range]) -> Result<Vec<RowKey>, Failure> {
        if ranges.is_empty() || reading.left.is_some() {
            return Ok(Vec::new());
        }
        let lies_in = |range: &Range, known: &Known| known.ledger().is_some() && range.contains(known.at);
        let in_range = |known: &Known| ranges.iter().any(|range| lies_in(range, known));
        let expected = reading.known.entries().iter().filter(|known| in_range(known)).count() as u64;
        let is_gone =
            |known: &&Known| in_range(known) && known.seen().is_none() && !reading.cancelled.contains(&known.key);
        let mut gone: Vec<RowKey> = reading.known.entries().iter().filter(is_gone).map(|known| known.key).collect();
        gone.sort_unstable();
        if self.plan().sync.deletes == Deletes::Ignore {
            return self.check_doubles(gone.len() as u64, expected).map(|()| Vec::new());
        }
        let is_known = |key: &&RowKey| reading.known.get(**key).is_some_and(in_range);
        let cancelled = reading.cancelled.iter().filter(is_known).count() as u64;
        if gone.is_empty() && cancelled == 0 {
            return Ok(gone);
        }
        if reading.rejected_without_key > 0 && !gone.is_empty() {
            self.report.notes.push(format!(
                "{} records seem to be gone, but {} rejected rows have no key: nothing is deleted until they are mapped",
                gone.len(),
                reading.rejected_without_key
            ));
            gone.clear();
        }
        let count = gone.len() as u64 + cancelled;
        let share = count as f64 * 100.0 / expected as f64;
        let limit = self.plan().sync.delete_limit;
        let expected_of_step = reading.known.entries().iter().filter(|known| lies_in(&ranges[0], known)).count();
        if reading.rows_of_step == 0
            && (expected_of_step > 0 || reading.rows == 0)
            && !self.is_approved(BrakeKind::Empty)
        {
            let message = format!("the result is empty where there were {expected} records{}", self.why_ids_change());
            return Err(self.pull_brake(BrakeKind::Empty, &message));
        }
        if count > DELETES_FREE && share > limit && !self.is_approved(BrakeKind::Deletes) {
            let message = format!(
                "{count} of {expected} records would be deleted ({share:.0}%), more than `sync.delete_limit: {limit}%`{}",
                self.why_ids_change()
            );
            return Err(self.pull_brake(BrakeKind::Deletes, &message));
        }
        self.report.gone += gone.len() as u64;
        Ok(gone)
    }

    /// Where nothing is deleted, records under new ids come in addition to those under the old ones.
    fn check_doubles(&mut self, stay: u64, expected: u64) -> Result<(), Failure> {
        let limit = self.plan().sync.delete_limit;
        let few = stay <= DELETES_FREE || stay as f64 * 100.0 <= limit * expected as f64;
        if self.change != Change::Identity || few || self.is_approved(BrakeKind::Deletes) {
            return Ok(());
        }
        let message = format!(
            "{stay} of {expected} records would be sent again under new ids, and would stay under the old ones because \
             of `deletes: ignore`{}",
            self.why_ids_change()
        );
        Err(self.pull_brake(BrakeKind::Deletes, &message))
    }

    /// For the message of a brake: what in the spec may have pulled it.
    pub(super) fn why_ids_change(&self) -> &'static str {
        match self.change {
            Change::Identity => "; `key`, `table` or `deliver` of the spec changed, which gives records new ids",
            Change::None | Change::Meaning => "",
        }
    }
}
