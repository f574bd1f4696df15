//! The clock of the machine, and a frozen one.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use engine_core::ports::{Cancel, Clock};
use jiff::{SignedDuration, Timestamp};

/// How often a sleeper looks whether it was asked to stop.
const CANCEL_POLL: Duration = Duration::from_millis(20);

/// The instant at which a run begins, in whole microseconds: no source keeps a finer one, and a bound that shows
/// nanoseconds is one that the server rounds.
pub fn now() -> Timestamp {
    in_microseconds(Timestamp::now())
}

fn in_microseconds(instant: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(instant.as_microsecond()).unwrap_or(instant)
}

/// The clock of the machine.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        now()
    }

    fn sleep(&self, duration: Duration, cancel: &Cancel) {
        let until = Instant::now() + duration;
        while !cancel.is_cancelled() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(CANCEL_POLL));
        }
    }
}

/// A clock that stands still, but for what is slept: `--now`.
#[derive(Debug)]
pub struct FrozenClock {
    now: Mutex<Timestamp>,
}

impl FrozenClock {
    /// A clock that stands at an instant.
    pub fn at(now: Timestamp) -> Self {
        Self { now: Mutex::new(now) }
    }
}

impl Clock for FrozenClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn sleep(&self, duration: Duration, cancel: &Cancel) {
        SystemClock.sleep(duration, cancel);
        let mut now = self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let slept = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        *now = now.saturating_add(slept).unwrap_or(Timestamp::MAX);
    }
}

/// The clock that `--now` asks for.
pub fn clock(now: Option<Timestamp>) -> Box<dyn Clock> {
    match now {
        Some(now) => Box::new(FrozenClock::at(now)),
        None => Box::new(SystemClock),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_has_whole_microseconds() {
        let check = |instant: &str, expected: &str| {
            let instant: Timestamp = instant.parse().expect("an instant");
            assert_eq!(in_microseconds(instant).to_string(), expected);
        };
        check("2025-03-30T12:00:00.123456789Z", "2025-03-30T12:00:00.123456Z");
        check("2025-03-30T12:00:00Z", "2025-03-30T12:00:00Z");
        assert_eq!(SystemClock.now().subsec_nanosecond() % 1_000, 0);
    }
}
