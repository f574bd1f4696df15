//! When a pipeline runs next.

use std::str::FromStr as _;
use std::time::Duration;

use croner::Cron;
use engine_spec::model;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Time between runs where the spec has neither `every` nor `cron`.
pub const EVERY: Duration = Duration::from_secs(300);
/// Shortest time between two runs.
pub const EVERY_MIN: Duration = Duration::from_secs(1);

/// Least change of the clock that counts as one. Below it are drift, and the time that passes between two readings.
const CLOCK_SET_BY: SignedDuration = SignedDuration::from_secs(1);

/// By how much the clock was set between two readings, which lie `elapsed` apart by a clock that nobody sets: back where
/// it is negative. A device that slept looks like a clock that was set forward.
pub fn clock_set(before: Timestamp, now: Timestamp, elapsed: Duration) -> SignedDuration {
    let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
    let by = now.duration_since(before).saturating_sub(elapsed);
    if by.abs() < CLOCK_SET_BY { SignedDuration::ZERO } else { by }
}

/// When a pipeline runs.
#[derive(Debug, Clone)]
pub struct Schedule {
    when: When,
    jitter: Duration,
}

#[derive(Debug, Clone)]
enum When {
    Every(Duration),
    Cron(Box<Cron>, TimeZone),
}

impl Schedule {
    /// The schedule of a checked spec.
    pub fn of(schedule: &model::Schedule) -> Result<Self, String> {
        let when = match &schedule.cron {
            Some(text) => {
                let cron = Cron::from_str(text).map_err(|error| format!("schedule.cron: {error}"))?;
                let zone = match &schedule.timezone {
                    Some(name) => TimeZone::get(name).map_err(|error| format!("schedule.timezone: {error}"))?,
                    None => TimeZone::UTC,
                };
                When::Cron(Box::new(cron), zone)
            }
            None => When::Every(schedule.every.map_or(EVERY, |every| every.0).max(EVERY_MIN)),
        };
        Ok(Self { when, jitter: schedule.jitter.map_or(Duration::ZERO, |jitter| jitter.0) })
    }

    /// The first run of a service: at once, or at the first time of the cron expression.
    pub fn first(&self, now: Timestamp, random: u64) -> Timestamp {
        match &self.when {
            When::Every(_) => self.with_jitter(now, random),
            When::Cron(..) => self.after(now, now, random),
        }
    }

    /// The run after one that was due at `due` and began not later than `now`. Times that were missed, because a run
    /// took long or the device slept, are made up for by one run and not by many.
    pub fn after(&self, due: Timestamp, now: Timestamp, random: u64) -> Timestamp {
        let next = match &self.when {
            When::Every(every) => later(due, *every).max(now),
            When::Cron(cron, zone) => cron
                .find_next_occurrence(&now.to_zoned(zone.clone()), false)
                .map_or_else(|_| later(now, EVERY), |zoned| zoned.timestamp()),
        };
        match self.when {
            // The jitter of the first run shifts the whole series; added again, it would make the period longer.
            When::Every(_) => next,
            When::Cron(..) => self.with_jitter(next, random),
        }
    }

    /// When a run is due that was due at `due` before the clock was set back by `by`, a positive time: as far from now as
    /// it was. A cron expression is read anew, by the clock as it is now; what it asked for in the time that comes again
    /// runs again.
    pub fn after_set_back(&self, due: Timestamp, now: Timestamp, by: SignedDuration, random: u64) -> Timestamp {
        match &self.when {
            When::Every(_) => due.saturating_sub(by).unwrap_or(Timestamp::MIN),
            When::Cron(..) if due <= now => due,
            When::Cron(..) => self.after(now, now, random).min(due),
        }
    }

    fn with_jitter(&self, time: Timestamp, random: u64) -> Timestamp {
        let jitter = (self.jitter.as_nanos() * u128::from(random)) >> 64;
        later(time, Duration::from_nanos(u64::try_from(jitter).unwrap_or_default()))
    }
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(json: serde_json::Value) -> Schedule {
        Schedule::of(&serde_json::from_value(json).expect("a schedule")).expect("is right")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn a_period_is_counted_from_start_to_start() {
        let every = schedule(serde_json::json!({"every": "2m"}));
        assert_eq!(every.first(at("2025-01-01T00:00:00Z"), 7), at("2025-01-01T00:00:00Z"));
        let due = at("2025-01-01T00:00:00Z");
        assert_eq!(every.after(due, at("2025-01-01T00:00:30Z"), 7), at("2025-01-01T00:02:00Z"));
        // An hour asleep is made up for by one run.
        assert_eq!(every.after(due, at("2025-01-01T01:00:30Z"), 7), at("2025-01-01T01:00:30Z"));
    }

    #[test]
    fn a_cron_expression_is_read_in_its_zone() {
        let cron = schedule(serde_json::json!({"cron": "30 2 * * *", "timezone": "Europe/Berlin"}));
        let next = |now: &str| cron.after(at(now), at(now), 0).to_string();
        assert_eq!(next("2025-01-01T12:00:00Z"), "2025-01-02T01:30:00Z");
        // The hour that a clock change skips, and the one that it repeats.
        assert_eq!(next("2025-03-29T12:00:00Z"), "2025-03-30T01:00:00Z");
        assert_eq!(next("2025-10-25T12:00:00Z"), "2025-10-26T00:30:00Z");
        assert_eq!(next("2025-10-26T00:30:00Z"), "2025-10-27T01:30:00Z");
    }

    #[test]
    fn a_clock_that_was_set_is_told_from_one_that_drifts() {
        let set = |before: &str, now: &str, elapsed: u64| {
            clock_set(at(before), at(now), Duration::from_millis(elapsed)).as_secs()
        };
        for (before, now, elapsed, expected) in [
            ("2025-01-01T12:00:00Z", "2025-01-01T12:00:01Z", 1_000, 0),
            ("2025-01-01T12:00:00Z", "2025-01-01T12:00:01.900Z", 1_000, 0),
            ("2025-01-01T12:00:00Z", "2025-01-01T12:00:00.100Z", 1_000, 0),
            // The process stood still, and both clocks went on.
            ("2025-01-01T12:00:00Z", "2025-01-01T13:00:00Z", 3_600_000, 0),
            ("2025-01-01T12:00:00Z", "2025-01-01T09:00:01Z", 1_000, -3 * 3_600),
            ("2025-01-01T12:00:00Z", "2025-01-01T12:00:00Z", 1_000, -1),
            // The device slept for eight hours.
            ("2025-01-01T12:00:00Z", "2025-01-01T20:00:01Z", 1_000, 8 * 3_600),
            // A device without a battery learns the time.
            ("1970-01-01T00:00:05Z", "2025-01-01T00:00:06Z", 1_000, 1_735_689_600),
        ] {
            assert_eq!(set(before, now, elapsed), expected, "{before} {now}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_puts_no_run_off() {
        let every = schedule(serde_json::json!({"every": "10m"}));
        let cron = schedule(serde_json::json!({"cron": "30 2 * * *", "timezone": "Europe/Berlin"}));
        let hours = SignedDuration::from_hours;
        for (schedule, due, now, by, expected) in [
            // Four minutes were left.
            (&every, "2025-01-01T12:04:00Z", "2025-01-01T09:00:00Z", hours(3), "2025-01-01T09:04:00Z"),
            // It was due already, and waits for a place.
            (&every, "2025-01-01T11:59:00Z", "2025-01-01T09:00:00Z", hours(3), "2025-01-01T08:59:00Z"),
            // Decades ahead, until the device learned the time.
            (&every, "2099-01-01T00:05:00Z", "2025-01-01T00:00:00Z", hours(24 * 27_028), "2025-01-01T00:05:00Z"),
            // The next night is nearer by the new clock.
            (&cron, "2025-01-03T01:30:00Z", "2025-01-01T12:00:00Z", hours(24), "2025-01-02T01:30:00Z"),
            // Half past two comes once more.
            (&cron, "2025-01-02T01:30:00Z", "2025-01-01T01:00:00Z", hours(1), "2025-01-01T01:30:00Z"),
            (&cron, "2025-01-01T01:30:00Z", "2025-01-01T01:00:00Z", hours(1), "2025-01-01T01:30:00Z"),
            (&cron, "2025-01-01T00:30:00Z", "2025-01-01T01:00:00Z", hours(1), "2025-01-01T00:30:00Z"),
        ] {
            assert_eq!(schedule.after_set_back(at(due), at(now), by, 0), at(expected), "{due} {now}");
        }
    }

    #[test]
    fn a_clock_that_was_set_forward_makes_up_with_one_run() {
        let every = schedule(serde_json::json!({"every": "10m"}));
        let cron = schedule(serde_json::json!({"cron": "30 2 * * *", "timezone": "Europe/Berlin"}));
        for (schedule, due, now, expected) in [
            (&every, "2025-01-01T12:04:00Z", "2025-01-01T20:00:00Z", "2025-01-01T20:00:00Z"),
            (&every, "1970-01-01T00:05:00Z", "2025-01-01T20:00:00Z", "2025-01-01T20:00:00Z"),
            (&cron, "2025-01-01T01:30:00Z", "2025-01-20T12:00:00Z", "2025-01-21T01:30:00Z"),
        ] {
            let next = schedule.after(at(due), at(now), 0);
            assert_eq!(next, at(expected), "{due} {now}");
            // From there on, one at a time.
            assert!(schedule.after(next, next, 0) > next);
        }
    }

    #[test]
    fn jitter_stays_below_its_bound() {
        let jittered = schedule(serde_json::json!({"every": "2m", "jitter": "10s"}));
        let now = at("2025-01-01T00:00:00Z");
        assert_eq!(jittered.first(now, 0), now);
        let latest = jittered.first(now, u64::MAX);
        assert!(latest > at("2025-01-01T00:00:09Z") && latest < at("2025-01-01T00:00:10Z"), "{latest}");
    }
}
