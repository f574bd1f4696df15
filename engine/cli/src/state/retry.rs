//! When a record that the destination refused is sent again.

use jiff::{SignedDuration, Timestamp};

/// Microseconds until a refused record is tried again; doubles with every refusal.
const RETRY_FIRST_MICROS: i64 = 5 * 60 * 1_000_000;
/// The longest such wait, in microseconds.
const RETRY_MAX_MICROS: i64 = 60 * 60 * 1_000_000;

/// Microseconds to wait after a refusal, by the number of refusals before it.
pub(super) fn retry_after_micros(refusals: u32) -> i64 {
    RETRY_FIRST_MICROS.saturating_mul(1_i64.checked_shl(refusals.min(32)).unwrap_or(i64::MAX)).min(RETRY_MAX_MICROS)
}

/// When a record was refused last, by the number of its refusals and the time of the next attempt.
pub(super) fn last_refused(attempts: u32, retry_at: Timestamp) -> Timestamp {
    let waits = SignedDuration::from_micros(retry_after_micros(attempts.saturating_sub(1)));
    retry_at.saturating_sub(waits).unwrap_or(retry_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_an_hour() {
        let minutes: Vec<i64> = (0..6).map(|refusals| retry_after_micros(refusals) / 60_000_000).collect();
        assert_eq!(minutes, [5, 10, 20, 40, 60, 60]);
        assert_eq!(retry_after_micros(u32::MAX), RETRY_MAX_MICROS);
    }
}
