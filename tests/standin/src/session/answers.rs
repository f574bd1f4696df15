//! Answers that a test prepared, and waiting.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Flow, StandIn};
use crate::database::Answer;
use crate::errors::Fallible;
use crate::{Column, Outcome, Sink, Value};

/// How often a session that waits looks whether it is still wanted.
const IDLE: Duration = Duration::from_millis(20);

impl StandIn {
    /// Waits until the time is over, the client gives up or another session ends this one.
    pub(crate) fn wait(&self, most: Option<Duration>, sink: &mut dyn Sink) -> Flow {
        let begun = Instant::now();
        while most.is_none_or(|most| begun.elapsed() < most) {
            if self.killed.load(Ordering::SeqCst) {
                return Flow::Ended(Outcome::Killed);
            }
            if sink.idle() == ControlFlow::Break(()) {
                return Flow::Ended(Outcome::Cancelled);
            }
            std::thread::sleep(most.map_or(IDLE, |most| IDLE.min(most.saturating_sub(begun.elapsed()))));
        }
        Flow::Next
    }

    /// The answer that a test prepared for this statement.
    pub(super) fn prepared(&self) -> Option<Answer> {
        let mut state = self.shared.state();
        let at = state
            .answers
            .iter()
            .position(|prepared| prepared.left != Some(0) && self.text.contains(&prepared.pattern))?;
        let prepared = &mut state.answers[at];
        prepared.left = prepared.left.map(|left| left - 1);
        Some(prepared.answer.clone())
    }

    pub(super) fn give(&mut self, answer: Answer, sink: &mut dyn Sink) -> Fallible<Option<Outcome>> {
        let rows = |columns: &[Column], rows: &[Vec<Value>], sink: &mut dyn Sink| {
            sink.columns(columns).is_continue() && rows.iter().all(|row| sink.row(row).is_continue())
        };
        match answer {
            Answer::Rows(columns, all) => {
                let went = rows(&columns, &all, sink) && sink.done(all.len() as u64).is_continue();
                Ok(Some(if went { Outcome::Complete } else { Outcome::Cancelled }))
            }
            Answer::Fails(failure) => Err(failure),
            Answer::Breaks(columns, all, failure) => {
                if rows(&columns, &all, sink) {
                    Err(failure)
                } else {
                    Ok(Some(Outcome::Cancelled))
                }
            }
            Answer::Stalls => match self.wait(None, sink) {
                Flow::Ended(outcome) => Ok(Some(outcome)),
                Flow::Next => Ok(None),
            },
            Answer::Waits(most) => match self.wait(Some(most), sink) {
                Flow::Ended(outcome) => Ok(Some(outcome)),
                Flow::Next => Ok(None),
            },
        }
    }
}
