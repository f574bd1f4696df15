//! Reading what is left of a file with mistakes, so that all of its findings come at once.

use serde_json::Value;

use super::{parent_of, remove};
use crate::diagnostic::Diagnostic;
use crate::schema::{self, Document, Offender};
use crate::yaml::SpecFile;

/// Rounds of removing what the schema refuses; removing one value can uncover another.
const ROUNDS_MAX: usize = 4;

/// The value without what the schema refuses, and what that was.
pub(super) fn prune(file: &SpecFile, offenders: Vec<Offender>, document: Document) -> (Value, Vec<Offender>) {
    let mut value = file.value.clone();
    let mut removed: Vec<Offender> = Vec::new();
    let mut next = offenders;
    for _ in 0..ROUNDS_MAX {
        for offender in next {
            // An item of a list cannot go without moving the others: the list goes.
            let mut pointer = offender.pointer.as_str();
            while !pointer.is_empty() && !remove(&mut value, pointer) {
                pointer = parent_of(pointer);
            }
            let pointer = pointer.to_owned();
            removed.push(Offender { pointer, unknown: offender.unknown });
        }
        next = schema::validate(file, &value, document).offenders;
        if next.is_empty() {
            break;
        }
    }
    (value, removed)
}

/// Whether a finding only says that something is missing which was removed.
pub(super) fn is_consequence(finding: &Diagnostic, removed: &[Offender]) -> bool {
    removed.iter().any(|offender| {
        !offender.unknown && (finding.pointer == offender.pointer || parent_of(&offender.pointer) == finding.pointer)
    })
}
