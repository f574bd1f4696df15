//! How old what is delivered is, as a histogram: from the latest time that a record names to its acknowledgement.

use jiff::Timestamp;
use serde::Deserialize;

/// Upper bounds of the buckets, in seconds; what is older than the last is in one more.
pub const BOUNDS_SECONDS: [f64; 12] =
    [5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0];

/// Ages of acknowledged records.
///
/// The age of a record is the time from the latest instant that it names, as far as that is not in the future, to its
/// acknowledgement: of a run its end, or its start while it is live; of a booking its time. Removals name none and are
/// not counted; a correction counts with the time of what it corrects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Freshness {
    /// Records in each bucket, those beyond the last bound in the last one.
    pub buckets: [u64; BOUNDS_SECONDS.len() + 1],
    /// Sum of the ages, in seconds.
    pub sum_seconds: f64,
}

/// The instants that a record names.
#[derive(Deserialize)]
struct Times {
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    timestamp: Option<Timestamp>,
}

impl Freshness {
    /// Counts a record, the JSON of the delivery contract, that was acknowledged at an instant.
    pub fn count(&mut self, body: &str, acknowledged: Timestamp) {
        let Ok(times) = serde_json::from_str::<Times>(body) else { return };
        let named = [times.start, times.end, times.timestamp].into_iter().flatten();
        let Some(latest) = named.filter(|time| *time <= acknowledged).max() else { return };
        let age = acknowledged.duration_since(latest).as_secs_f64();
        let bucket = BOUNDS_SECONDS.iter().position(|bound| age <= *bound).unwrap_or(BOUNDS_SECONDS.len());
        self.buckets[bucket] += 1;
        self.sum_seconds += age;
    }

    /// Adds what another counted.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += theirs;
        }
        self.sum_seconds += other.sum_seconds;
    }

    /// Records that were counted.
    pub fn records(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(bodies: &[&str]) -> Freshness {
        let now: Timestamp = "2025-03-30T12:00:00Z".parse().expect("an instant");
        let mut freshness = Freshness::default();
        bodies.iter().for_each(|body| freshness.count(body, now));
        freshness
    }

    #[test]
    fn the_latest_time_that_has_come_is_what_counts() {
        for (body, age, bucket) in [
            (r#"{"op":"upsert","start":"2025-03-30T10:00:00Z","end":"2025-03-30T11:59:50.5Z"}"#, 9.5, 1),
            (r#"{"op":"upsert","start":"2025-03-30T11:58:00Z"}"#, 120.0, 4),
            (r#"{"op":"upsert","start":"2025-03-30T11:00:00Z","end":"2025-03-30T13:00:00Z"}"#, 3_600.0, 8),
            (r#"{"op":"upsert","timestamp":"2024-03-30T12:00:00Z"}"#, 365.0 * 86_400.0, 12),
        ] {
            let freshness = counted(&[body]);
            assert_eq!((freshness.records(), freshness.sum_seconds), (1, age), "{body}");
            assert_eq!(freshness.buckets[bucket], 1, "{body}");
        }
    }

    #[test]
    fn what_names_no_time_or_only_the_future_is_not_counted() {
        let freshness = counted(&[
            r#"{"op":"delete","run_id":"00000000-0000-0000-0000-000000000000"}"#,
            r#"{"op":"upsert","start":"2025-03-31T00:00:00Z"}"#,
            r#"{"op":"upsert","start":"9999-12-31T23:59:59Z","end":null}"#,
            "no JSON",
        ]);
        assert_eq!(freshness, Freshness::default());
    }

    #[test]
    fn sums_are_those_of_all() {
        let bodies = [r#"{"start":"2025-03-30T11:59:00Z"}"#, r#"{"start":"2025-03-30T11:59:57Z"}"#];
        let mut sum = counted(&bodies[..1]);
        sum.add(&counted(&bodies[1..]));
        assert_eq!(sum, counted(&bodies));
    }
}
