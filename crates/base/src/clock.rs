//! Time, passed in so that tests own it.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A moment in UTC, in microseconds since 1970.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct UtcMicros(pub i64);

/// Why a text is no moment.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is no time: give it as 2026-11-23T14:05:00Z or with an offset")]
pub struct TimeError {
    text: String,
}

impl UtcMicros {
    /// This moment and `wait` later; stops at the end of the range.
    #[must_use]
    pub fn plus(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Time from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Seconds since 1970, as SFTP and metrics want them.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Reads an RFC 3339 time with zone or offset.
    ///
    /// # Errors
    /// [`TimeError`] if it is none.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        text.parse::<jiff::Timestamp>()
            .map(|t| Self(t.as_microsecond()))
            .map_err(|_| TimeError { text: text.to_owned() })
    }
}

impl fmt::Display for UtcMicros {
    /// RFC 3339 in UTC with microseconds, always 27 characters for the years 0 to 9999.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(t) => write!(f, "{t:.6}"),
            Err(_) => write!(f, "{} µs", self.0),
        }
    }
}

/// Where time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time of day.
    fn now(&self) -> UtcMicros;
    /// Time since some fixed moment; never goes back. Waits are measured with it.
    fn monotonic(&self) -> Duration;
}

/// The clock of the system.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> UtcMicros {
        UtcMicros::default().plus(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that stands until a test moves it.
#[derive(Debug)]
pub struct TestClock {
    now: AtomicI64,
    /// How far the time of day was set off from the other.
    set_by: AtomicI64,
    /// Readings until it is set by itself, and by how much.
    left: AtomicI64,
    then_by: AtomicI64,
}

impl TestClock {
    /// A clock that shows `at`.
    #[must_use]
    pub const fn at(at: UtcMicros) -> Self {
        let [set_by, left, then_by] = [const { AtomicI64::new(0) }; 3];
        Self { now: AtomicI64::new(at.0), set_by, left, then_by }
    }

    /// Moves both times forward.
    pub fn advance(&self, by: Duration) {
        self.now.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Sets the time of day forward or back, as an administrator or a time server does.
    pub fn set(&self, by_seconds: i64) {
        self.set_by.fetch_add(by_seconds.saturating_mul(1_000_000), Ordering::SeqCst);
    }

    /// Sets it so before its time of day is read for the `n`th time from now.
    pub fn set_at(&self, n: i64, by_seconds: i64) {
        self.then_by.store(by_seconds, Ordering::SeqCst);
        self.left.store(n, Ordering::SeqCst);
    }

    /// Whether that has come; if not, it will not come any more.
    pub fn was_set(&self) -> bool {
        self.left.swap(0, Ordering::SeqCst) <= 0
    }
}

impl Clock for TestClock {
    fn now(&self) -> UtcMicros {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.set(self.then_by.load(Ordering::SeqCst));
        }
        UtcMicros(self.now.load(Ordering::SeqCst).saturating_add(self.set_by.load(Ordering::SeqCst)))
    }
    fn monotonic(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.now.load(Ordering::SeqCst)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_and_show() {
        let t = UtcMicros::parse("2026-11-23T14:05:00+02:00").unwrap();
        assert_eq!(t.to_string(), "2026-11-23T12:05:00.000000Z");
        assert!(UtcMicros::parse("yesterday").is_err());
    }

    #[test]
    fn times_stay_in_range() {
        assert_eq!(UtcMicros(i64::MAX).plus(Duration::MAX), UtcMicros(i64::MAX));
        assert_eq!(UtcMicros(1).since(UtcMicros(2)), Duration::ZERO);
        assert_eq!(UtcMicros(-1).seconds(), -1);
    }
}
