//! A stack: records that wait to be sent one after the other, in one row of the database. Nothing here touches it.
//!
//! A stack is two blobs. `heads` has for each record, in the order of sending, numbers little-endian:
//!
//! | bytes | |
//! | --- | --- |
//! | 8 | place in the outbox |
//! | 16 | id at the destination |
//! | 4 | how often the destination refused it, as it is |
//! | 8 | when it was refused first, in microseconds; `i64::MIN` where it never was |
//! | 4 | bytes of the body |
//!
//! `bodies` has the bodies in the same order, with nothing between them, [packed](super::packed).

use std::borrow::Cow;
use std::sync::Arc;

use engine_core::state::Body;
use uuid::Uuid;

use super::packed::{pack, unpack};
use super::torn::{Torn, take};

/// Records of a stack at most.
pub(super) const STACK_RECORDS_MAX: usize = 256;
/// Bytes of the bodies of a stack at most, before they are packed; one body may have more.
pub(super) const STACK_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a head.
const STRIDE: usize = 40;
/// A time at which nothing was refused.
const NEVER: i64 = i64::MIN;
const NO_BODY: Torn = Torn("a stack of the outbox lacks a body");

/// A record that waits, without its body.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Head {
    pub(super) seq: i64,
    pub(super) id: Uuid,
    pub(super) refusals: u32,
    pub(super) refused_since: Option<i64>,
    /// Bytes of the body.
    pub(super) len: usize,
}

/// The heads of a stack.
pub(super) fn heads(bytes: &[u8]) -> Result<impl Iterator<Item = Head>, Torn> {
    let (heads, rest) = bytes.as_chunks::<STRIDE>();
    if !rest.is_empty() {
        return Err(Torn("a stack of the outbox ends in the middle of a record"));
    }
    Ok(heads.iter().map(|head| {
        let mut head = head.as_slice();
        Head {
            seq: i64::from_le_bytes(take(&mut head)),
            id: Uuid::from_bytes(take(&mut head)),
            refusals: u32::from_le_bytes(take(&mut head)),
            refused_since: Some(i64::from_le_bytes(take(&mut head))).filter(|since| *since != NEVER),
            len: u32::from_le_bytes(take(&mut head)) as usize,
        }
    }))
}

/// The bodies of a stack, as [`records`] takes them.
pub(super) fn bodies<'a>(bytes: &[u8], kept: &'a [u8]) -> Result<Cow<'a, str>, Torn> {
    unpack(kept, heads(bytes)?.map(|head| head.len).sum())
}

/// The records of a stack, with their bodies.
pub(super) fn records<'a>(
    bytes: &'a [u8],
    bodies: &'a str,
) -> Result<impl Iterator<Item = Result<(Head, &'a str), Torn>>, Torn> {
    let mut start = 0;
    Ok(heads(bytes)?.map(move |head| {
        let body = bodies.get(start..start + head.len).ok_or(NO_BODY)?;
        start += head.len;
        Ok((head, body))
    }))
}

/// The records of a stack, whose bodies share one text.
pub(super) fn shared(bytes: &[u8], kept: &[u8]) -> Result<impl Iterator<Item = Result<(Head, Body), Torn>>, Torn> {
    let bodies: Arc<str> = bodies(bytes, kept)?.into();
    let mut start = 0;
    Ok(heads(bytes)?.map(move |head| {
        bodies.get(start..start + head.len).ok_or(NO_BODY)?;
        let body = Body::piece(&bodies, start, head.len);
        start += head.len;
        Ok((head, body))
    }))
}

/// A stack that is being made.
#[derive(Debug, Default)]
pub(super) struct Stack {
    /// The last place.
    pub(super) last: i64,
    pub(super) records: u32,
    pub(super) heads: Vec<u8>,
    pub(super) bodies: String,
}

impl Stack {
    /// Whether a record with so long a body fits.
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.records == 0 || ((self.records as usize) < STACK_RECORDS_MAX && self.bodies.len() + len <= STACK_BYTES_MAX)
    }

    /// Adds a record, whose place comes after all others.
    pub(super) fn push(&mut self, head: &Head, body: &str) {
        let Head { seq, id, refusals, refused_since, len: _ } = head;
        self.last = *seq;
        self.records += 1;
        self.heads.extend_from_slice(&seq.to_le_bytes());
        self.heads.extend_from_slice(id.as_bytes());
        self.heads.extend_from_slice(&refusals.to_le_bytes());
        self.heads.extend_from_slice(&refused_since.unwrap_or(NEVER).to_le_bytes());
        // A record is made of values that are far shorter.
        self.heads.extend_from_slice(&(body.len() as u32).to_le_bytes());
        self.bodies.push_str(body);
    }

    /// The bodies, for the database.
    pub(super) fn kept_bodies(&self) -> Cow<'_, [u8]> {
        pack(&self.bodies)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn waiting() -> impl Strategy<Value = Vec<(Head, String)>> {
        let since = proptest::option::of(prop_oneof![Just(i64::MAX), 0..9_i64]);
        let one = (any::<i64>(), any::<u128>(), any::<u32>(), since, "[a-z\u{e4}]{0,9}");
        let one = one.prop_map(|(seq, id, refusals, refused_since, body)| {
            (Head { seq, id: Uuid::from_u128(id), refusals, refused_since, len: body.len() }, body)
        });
        proptest::collection::vec(one, 0..9)
    }

    proptest! {
        #[test]
        fn a_stack_comes_back(waiting in waiting()) {
            let mut stack = Stack::default();
            waiting.iter().for_each(|(head, body)| stack.push(head, body));
            let kept = stack.kept_bodies();
            let bodies = bodies(&stack.heads, &kept).expect("is whole");
            let read: Vec<(Head, String)> = records(&stack.heads, &bodies)
                .expect("is whole")
                .map(|one| one.map(|(head, body)| (head, body.to_owned())))
                .collect::<Result<_, _>>()
                .expect("is whole");
            let shared: Vec<(Head, String)> = shared(&stack.heads, &kept)
                .expect("is whole")
                .map(|one| one.map(|(head, body)| (head, body.to_string())))
                .collect::<Result<_, _>>()
                .expect("is whole");
            prop_assert_eq!(&shared, &read);
            prop_assert_eq!(stack.records as usize, waiting.len());
            prop_assert_eq!(read, waiting);
        }

        #[test]
        fn a_damaged_stack_is_told_and_nothing_else(heads in any::<Vec<u8>>(), kept in any::<Vec<u8>>()) {
            if let Ok(bodies) = bodies(&heads, &kept) {
                prop_assert!(records(&heads, &bodies).is_ok_and(|read| read.count() <= heads.len() / STRIDE));
            }
            if let Ok(shared) = shared(&heads, &kept) {
                prop_assert!(shared.count() <= heads.len() / STRIDE);
            }
        }
    }

    #[test]
    fn a_stack_is_full_in_time() {
        let head = Head { seq: 1, id: Uuid::nil(), refusals: 0, refused_since: None, len: 0 };
        let mut stack = Stack::default();
        assert!(stack.has_room(STACK_BYTES_MAX + 1), "a body may be larger than a stack");
        stack.push(&head, &"x".repeat(STACK_BYTES_MAX - 1));
        assert!(stack.has_room(1));
        assert!(!stack.has_room(2));
        let mut stack = Stack::default();
        (0..STACK_RECORDS_MAX).for_each(|_| stack.push(&head, ""));
        assert!(!stack.has_room(0));
    }

    /// Stacks wait as long as the destination cannot be reached, and an engine may be updated meanwhile.
    #[test]
    fn the_form_stays_as_it_is() {
        let head = Head { seq: 1, id: Uuid::from_u128(2), refusals: 3, refused_since: Some(4), len: 2 };
        let mut stack = Stack::default();
        stack.push(&head, "{}");
        let hex: String = stack.heads.iter().map(|byte| format!("{byte:02x}")).collect();
        let expected = "0100000000000000\
                        00000000000000000000000000000002\
                        03000000\
                        0400000000000000\
                        02000000";
        assert_eq!((hex.as_str(), stack.bodies.as_str()), (expected, "{}"));
    }
}
