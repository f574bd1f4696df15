//! The SQL of a template with names instead of values, which every parser takes.

use super::{Bound, Outline};
use crate::sql::{SLOT_END, SLOT_START, TokenKind};

/// Stands for the start of the window.
pub(crate) const START_NAME: &str = "engine_window_start";
/// Stands for the end of the window.
pub(crate) const END_NAME: &str = "engine_window_end";
/// Stands for any other value.
const VALUE_NAME: &str = "engine_value";

impl Outline {
    /// The SQL of all branches, one after the other, with a name for every value.
    pub(crate) fn named(&self) -> String {
        let mut sql = String::with_capacity(self.text.len());
        let mut rest = self.text.as_str();
        for (at, token) in self.tokens.iter().enumerate() {
            let TokenKind::Slot(slot) = token.kind else { continue };
            // A mark inside quotes is no token; the checks refuse it, and it stays as it is.
            let done = self.text.len() - rest.len();
            sql.push_str(&self.text[done..token.range.start]);
            rest = &self.text[token.range.end..];
            let name = match self.values[slot].0 {
                Some(Bound::Start) => START_NAME,
                Some(Bound::End) => END_NAME,
                None => VALUE_NAME,
            };
            if self.is_before(at, 1, "IN") {
                sql.extend(["(", name, ")"]);
            } else {
                sql.push_str(name);
            }
        }
        sql.push_str(rest);
        sql.replace([SLOT_START, SLOT_END], "")
    }
}
