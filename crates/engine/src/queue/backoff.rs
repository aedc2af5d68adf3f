//! Waits between attempts: from a first wait, doubled each time, up to a longest one (OBJ-6).

use std::time::Duration;

/// How often and how far apart to try again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    /// Wait before the second attempt.
    pub min: Duration,
    /// Longest wait.
    pub max: Duration,
    /// Attempts after the first; 0 = none.
    pub tries: u32,
}

impl Backoff {
    /// The wait after `failed` failures in a row (1 = the first has just failed); none when attempts are used up.
    #[must_use]
    pub fn wait(&self, failed: u32) -> Option<Duration> {
        if failed == 0 {
            return Some(Duration::ZERO);
        }
        if failed > self.tries {
            return None;
        }
        let longest = self.max.max(self.min);
        let doubled = 2_u32.checked_pow(failed - 1).and_then(|by| self.min.checked_mul(by));
        Some(doubled.unwrap_or(longest).min(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // OBJ-6
    fn ten_waits_doubling_to_the_longest() {
        let b = Backoff { min: Duration::from_secs(10), max: Duration::from_secs(30), tries: 10 };
        let waits: Vec<u64> = (1..=10).map(|n| b.wait(n).unwrap().as_secs()).collect();
        assert_eq!(waits, [10, 20, 30, 30, 30, 30, 30, 30, 30, 30]);
        assert_eq!(b.wait(11), None);
    }

    #[test]
    fn odd_settings() {
        let b = Backoff { min: Duration::from_secs(9999), max: Duration::from_secs(1), tries: 999 };
        assert_eq!(b.wait(999), Some(Duration::from_secs(9999)));
        assert_eq!(Backoff { tries: 0, ..b }.wait(1), None);
        assert_eq!(b.wait(0), Some(Duration::ZERO));
    }
}
