//! What of a spec changed since its records were written.

use crate::plan::Plan;
use crate::state::Fingerprint;

/// What part of a fingerprint is where records of several specs are side by side. No spec has it.
const MIXED: &str = "mixed";

/// What of the spec changed since all records were written under one.
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

/// What records depend on when a run writes some of them, and may not come to the others.
pub(super) fn mixed(before: Option<&Fingerprint>, now: &Fingerprint) -> Fingerprint {
    let mix = |before: &str, now: &str| if before == now { now.to_owned() } else { MIXED.to_owned() };
    before.map_or_else(
        || now.clone(),
        |before| Fingerprint {
            identity: mix(&before.identity, &now.identity),
            meaning: mix(&before.meaning, &now.meaning),
        },
    )
}

/// The same where some of them are as no spec that folds would have them: the change stays noticed.
pub(super) fn unsettled(fingerprint: Fingerprint) -> Fingerprint {
    Fingerprint { meaning: MIXED.to_owned(), ..fingerprint }
}

/// What of a spec changed since its records were last written.
pub fn change(before: Option<&Fingerprint>, now: &Fingerprint) -> Change {
    match before {
        Some(before) if before.identity != now.identity => Change::Identity,
        Some(before) if before.meaning != now.meaning => Change::Meaning,
        _ => Change::None,
    }
}
