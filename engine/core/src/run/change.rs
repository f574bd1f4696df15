//! What of a spec changed since its records were written.

use crate::plan::Plan;
use crate::state::Fingerprint;

/// What of the spec changed since the last run that went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing that a record depends on.
    None,
    /// What the records say.
    Meaning,
    /// Which record a row is.
    Identity,
}

impl Change {
    /// What follows, in plain words.
    pub fn note(self, plan: &Plan) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Meaning => Some("the mapping changed: what it changes is sent again"),
            Self::Identity if plan.deletes_what_is_gone() => {
                Some("`key`, `table` or `deliver` changed: records of the window get new ids, the old ones are deleted")
            }
            Self::Identity => Some(
                "`key`, `table` or `deliver` changed: records that are read get new ids, the old ones stay at the \
                 destination",
            ),
        }
    }
}

/// What of a spec changed since its records were last written.
pub fn change(before: Option<&Fingerprint>, now: &Fingerprint) -> Change {
    match before {
        Some(before) if before.identity != now.identity => Change::Identity,
        Some(before) if before.meaning != now.meaning => Change::Meaning,
        _ => Change::None,
    }
}
