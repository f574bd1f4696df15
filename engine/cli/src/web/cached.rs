//! Something that is made anew when it is asked for, but not all the time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between two readings at least.
const READ_EVERY: Duration = Duration::from_secs(1);
/// A reading that took long is kept longer: so many times as long as it took.
const REST: u32 = 10;

/// Longest time that a reading is kept: what took so long may have hung, and does so no more.
const KEPT_MAX: Duration = Duration::from_secs(60);

/// The last reading.
pub(super) struct Cached<T>(Mutex<Option<Reading<T>>>);

struct Reading<T> {
    value: Arc<T>,
    ended: Instant,
    took: Duration,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Cached<T> {
    /// The last reading while it is fresh, or a new one. Only one reads at a time; the others wait for it.
    pub(super) fn get(&self, read: impl FnOnce() -> T) -> Arc<T> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reading) = slot.as_ref().filter(|reading| reading.ended.elapsed() < keep(reading.took)) {
            return Arc::clone(&reading.value);
        }
        let began = Instant::now();
        let value = Arc::new(read());
        let (ended, took) = (Instant::now(), began.elapsed());
        *slot = Some(Reading { value: Arc::clone(&value), ended, took });
        value
    }
}

/// How long a reading is kept that took so long: reading takes a tenth of the time, as long as it takes seconds only.
fn keep(took: Duration) -> Duration {
    took.saturating_mul(REST).clamp(READ_EVERY, KEPT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_read_once_however_many_ask() {
        let (cached, mut reads) = (Cached::default(), 0);
        for _ in 0..100 {
            cached.get(|| reads += 1);
        }
        assert_eq!(reads, 1);
    }

    #[test]
    fn what_takes_long_to_read_is_read_seldom() {
        assert_eq!(keep(Duration::from_millis(3)), Duration::from_secs(1));
        assert_eq!(keep(Duration::from_secs(2)), Duration::from_secs(20));
        assert_eq!(keep(Duration::from_secs(30)), KEPT_MAX);
    }
}
