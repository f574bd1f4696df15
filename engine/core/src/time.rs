//! Instants.

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant {
    secs: i64,
    nanos: u32,
}
#[allow(missing_docs)]
impl Instant {
    pub const fn new(secs: i64, nanos: u32) -> Self {
        Self { secs, nanos }
    }
    pub const fn from_secs(secs: i64) -> Self {
        Self { secs, nanos: 0 }
    }
    pub const fn secs(self) -> i64 {
        self.secs
    }
    pub const fn nanos(self) -> u32 {
        self.nanos
    }
    pub fn nanos_since(self, other: Self) -> i128 {
        i128::from(self.secs - other.secs) * 1_000_000_000 + i128::from(self.nanos) - i128::from(other.nanos)
    }
    pub fn micros(self) -> i64 {
        self.secs * 1_000_000 + i64::from(self.nanos / 1000)
    }
}
