//! What to do after each answer of a destination: settle, split, wait or pause, as a pure function.
//!
//! A delivery takes the oldest unsettled records of the outbox, in order, and sends them as one parcel.
//! [`Circuit::cut`] says how many of them, [`Circuit::next`] says what an answer means. Nothing is sent past records
//! that are not settled, so the order holds without a word about it elsewhere.
//!
//! The state counts records from the front of the outbox and never names one. It can therefore be thrown away at any
//! time, a crash included: the next parcel then starts at the same front, with the usual size.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use crate::name_id::NameId;
use crate::ports::{Answer, Parcel};
use crate::state::OutboxRecord;

/// Upper bound of the first wait after a failure.
pub const BACKOFF_BASE: Duration = Duration::from_millis(500);
/// Upper bound of every wait that the destination did not ask for.
pub const BACKOFF_CAP: Duration = Duration::from_secs(120);
/// The longest wait that a destination may ask for; what it asks beyond that is cut.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// Wait after a refused login. Trying faster locks accounts and heals nothing.
pub const REFUSED_PAUSE: Duration = Duration::from_secs(300);
/// Records that may be refused one by one, with none accepted in between, before delivery pauses: an endpoint that
/// answers 400 to everything is more likely wrong itself, and must not drive an outbox into quarantine in a minute.
pub const REFUSED_ALONE_MAX: u32 = 20;
/// Parcels accepted in a row, at a reduced size, before the size is doubled again.
pub const GROW_AFTER_PARCELS: u32 = 16;
/// Records of a parcel, unless the spec says otherwise.
pub const PARCEL_RECORDS_DEFAULT: usize = 500;
/// Bytes of a parcel's record bodies, unless the spec says otherwise.
pub const PARCEL_BYTES_DEFAULT: usize = 1 << 20;

/// Code of a record that was refused on its own with the whole request's status.
pub const CODE_INVALID: &str = "invalid_record";
/// Code of a record that is too large on its own.
pub const CODE_TOO_LARGE: &str = "record_too_large";

/// Namespace of idempotency keys.
const KEY_NAMESPACE: Uuid = Uuid::from_u128(0x8f6b_4a0e_77b1_4c53_9d0c_2a51_6e3f_90d4);

/// How long to wait before the next attempt: "full jitter", so that many devices do not come back at once.
///
/// `attempts` counts the failures in a row, this one included; `random` is any uniformly distributed number. A wait
/// that the destination asked for is obeyed, up to [`RETRY_AFTER_MAX`], and the jitter is added to it.
pub fn backoff(attempts: u32, random: u64, retry_after: Option<Duration>) -> Duration {
    let doublings = attempts.saturating_sub(1).min(31);
    let ceiling = BACKOFF_BASE.saturating_mul(1 << doublings).min(BACKOFF_CAP);
    let ceiling_nanos = ceiling.as_nanos();
    // The product fits: the ceiling is below 2^37 nanoseconds.
    let jitter_nanos = (ceiling_nanos * u128::from(random)) >> 64;
    let jitter = Duration::from_nanos(jitter_nanos as u64);
    retry_after.unwrap_or_default().min(RETRY_AFTER_MAX) + jitter
}

/// The idempotency key of a parcel: a UUIDv5 of what the places count in, which is the pipeline's outbox by its id or a
/// slice of a backfill, the places of the records there, and their bodies. The same parcel has the same key for ever, on
/// every device; other records have another one.
pub fn parcel_key(places_of: &str, records: &[OutboxRecord]) -> String {
    let mut name = NameId::new(KEY_NAMESPACE);
    name.add(&(places_of.len() as u64).to_le_bytes());
    name.add(places_of.as_bytes());
    for record in records {
        name.add(&record.seq.to_le_bytes());
        name.add(&xxh3_128(record.body.as_bytes()).to_le_bytes());
    }
    name.finish().to_string()
}

/// How large a parcel may be. A parcel always holds at least one record, whatever its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParcelLimit {
    /// Records.
    pub records: usize,
    /// Bytes of the record bodies together.
    pub bytes: usize,
}

impl Default for ParcelLimit {
    fn default() -> Self {
        Self { records: PARCEL_RECORDS_DEFAULT, bytes: PARCEL_BYTES_DEFAULT }
    }
}

impl ParcelLimit {
    fn doubled_up_to(self, most: Self) -> Self {
        Self {
            records: self.records.saturating_mul(2).min(most.records),
            bytes: self.bytes.saturating_mul(2).min(most.bytes),
        }
    }
}

/// A record that the destination will never take, for quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Place in the outbox.
    pub seq: i64,
    /// The destination's code, or one of [`CODE_INVALID`] and [`CODE_TOO_LARGE`].
    pub code: String,
    /// The destination's words.
    pub message: String,
}

/// What to do after an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// These records leave the outbox: marked in the ledger, or quarantined. Together they are the whole parcel.
    Settle {
        /// Safe at the destination, in order.
        accepted: Vec<i64>,
        /// Refused for good, in order.
        rejected: Vec<Rejection>,
    },
    /// Cut the front of the outbox again, smaller, and send at once.
    SplitAndRetry,
    /// Send the same parcel again, under the same key.
    RetrySame {
        /// Not before.
        at: Timestamp,
        /// What happened, for people.
        reason: String,
    },
    /// Nothing can be delivered until somebody acts; the same parcel is tried again now and then.
    Pause {
        /// When to look again.
        until: Timestamp,
        /// What happened, for people.
        reason: String,
    },
}

/// Everything that delivery of one pipeline remembers between two parcels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circuit {
    most: ParcelLimit,
    limit: ParcelLimit,
    /// Parcels accepted in a row since the limit last changed.
    accepted_in_row: u32,
    /// Failures in a row.
    attempts: u32,
    /// Records of the parcel that must come again as it was.
    resend: Option<usize>,
    /// Records at the front of the outbox among which one is refused; zero when none is known.
    suspects: usize,
    /// Records refused alone in a row, with none accepted in between.
    refused_alone: u32,
}

impl Circuit {
    /// A circuit that has seen nothing yet. Limits of zero count as one record.
    pub fn new(most: ParcelLimit) -> Self {
        let most = ParcelLimit { records: most.records.max(1), bytes: most.bytes.max(1) };
        Self { most, limit: most, accepted_in_row: 0, attempts: 0, resend: None, suspects: 0, refused_alone: 0 }
    }

    /// The most records that [`Self::cut`] can ask for now: how many to read from the outbox.
    pub fn reach(&self) -> usize {
        match self.resend {
            Some(records) => records,
            None if self.suspects > 0 => self.suspects.div_ceil(2).min(self.limit.records),
            None => self.limit.records,
        }
    }

    /// How many of the oldest unsettled records the next parcel holds, given the lengths of their bodies in bytes,
    /// oldest first. Zero only if there are none.
    pub fn cut(&self, body_bytes: impl IntoIterator<Item = usize>) -> usize {
        let lengths = body_bytes.into_iter().take(self.reach());
        if self.resend.is_some() {
            return lengths.count();
        }
        let filled = lengths.enumerate().try_fold((0, 0usize), |(_, total), (index, length)| {
            let total = total.saturating_add(length);
            if index > 0 && total > self.limit.bytes {
                ControlFlow::Break(index)
            } else {
                ControlFlow::Continue((index + 1, total))
            }
        });
        match filled {
            ControlFlow::Continue((records, _)) | ControlFlow::Break(records) => records,
        }
    }

    /// Failures in a row, for status.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// What an answer means for the parcel that was sent, and for the next one.
    ///
    /// `now` is when the answer came; `random` is any uniformly distributed number.
    pub fn next(self, parcel: &Parcel, answer: &Answer, now: Timestamp, random: u64) -> (Self, Step) {
        let records = &parcel.records;
        match answer {
            Answer::Accepted { rejected } => {
                let mut refused: Vec<Option<Rejection>> = records.iter().map(|_| None).collect();
                for one in rejected {
                    if let (Some(place @ None), Some(record)) = (refused.get_mut(one.index), records.get(one.index)) {
                        *place =
                            Some(Rejection { seq: record.seq, code: one.code.clone(), message: one.message.clone() });
                    }
                }
                let accepted = records.iter().zip(&refused).filter(|(_, refused)| refused.is_none());
                let accepted: Vec<_> = accepted.map(|(record, _)| record.seq).collect();
                let rejected = refused.into_iter().flatten().collect();
                let refused_alone = if accepted.is_empty() { self.refused_alone } else { 0 };
                let next = Self { refused_alone, ..self.after_accepted(records.len()) };
                (next, Step::Settle { accepted, rejected })
            }
            Answer::Invalid { message } => match records.as_slice() {
                [_] if self.refused_alone >= REFUSED_ALONE_MAX => {
                    let reason = format!(
                        "{REFUSED_ALONE_MAX} records were refused one after the other and none was accepted, so the \
                         rest is held back for a while: {message}"
                    );
                    let next = Self { refused_alone: 0, ..self.after_failure(records.len()) };
                    (next, Step::Pause { until: after(now, REFUSED_PAUSE), reason })
                }
                [alone] => {
                    let refused_alone = self.refused_alone + 1;
                    (Self { refused_alone, ..self.after_found() }, reject(alone, CODE_INVALID, message))
                }
                several => {
                    let suspects = several.len();
                    (Self { attempts: 0, resend: None, suspects, ..self }, Step::SplitAndRetry)
                }
            },
            Answer::TooLarge => match records.as_slice() {
                [alone] => {
                    let message = format!("the record alone, {} bytes, is too large", alone.body.len());
                    (self.after_found(), reject(alone, CODE_TOO_LARGE, &message))
                }
                several => {
                    let bytes: usize = several.iter().map(|record| record.body.len()).sum();
                    let limit = ParcelLimit {
                        records: (several.len() / 2).max(1),
                        bytes: (bytes / 2).clamp(1, self.limit.bytes),
                    };
                    let next = Self { limit, accepted_in_row: 0, attempts: 0, resend: None, ..self };
                    (next, Step::SplitAndRetry)
                }
            },
            Answer::Refused { message } => {
                let next = self.after_failure(records.len());
                (next, Step::Pause { until: after(now, REFUSED_PAUSE), reason: message.clone() })
            }
            Answer::Later { message, retry_after } => {
                let next = self.after_failure(records.len());
                let at = after(now, backoff(next.attempts, random, *retry_after));
                (next, Step::RetrySame { at, reason: message.clone() })
            }
            Answer::Unknown { message } => {
                let next = self.after_failure(records.len());
                let at = after(now, backoff(next.attempts, random, None));
                (next, Step::RetrySame { at, reason: message.clone() })
            }
        }
    }

    fn after_accepted(self, sent: usize) -> Self {
        let suspects = self.suspects.saturating_sub(sent);
        let accepted_in_row = self.accepted_in_row.saturating_add(1);
        let next = Self { attempts: 0, resend: None, suspects, accepted_in_row, ..self };
        if next.limit != next.most && accepted_in_row >= GROW_AFTER_PARCELS {
            Self { limit: next.limit.doubled_up_to(next.most), accepted_in_row: 0, ..next }
        } else {
            next
        }
    }

    /// The record at the front was the bad one: whatever stood behind it is not under suspicion any more.
    fn after_found(self) -> Self {
        Self { attempts: 0, resend: None, suspects: 0, ..self }
    }

    fn after_failure(self, sent: usize) -> Self {
        Self { attempts: self.attempts.saturating_add(1), resend: Some(sent), ..self }
    }
}

fn reject(record: &OutboxRecord, code: &str, message: &str) -> Step {
    let rejection = Rejection { seq: record.seq, code: code.to_owned(), message: message.to_owned() };
    Step::Settle { accepted: Vec::new(), rejected: vec![rejection] }
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    SignedDuration::try_from(wait).ok().and_then(|wait| now.checked_add(wait).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
