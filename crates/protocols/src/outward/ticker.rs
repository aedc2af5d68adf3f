//! When to tell how far a transfer is.

use std::time::Duration;

use tokio::time::Instant;

/// Says when it is time to tell how far a transfer is.
#[derive(Debug)]
pub(crate) struct Ticker {
    told: u64,
    at: Instant,
}

impl Ticker {
    const OCTETS: u64 = 8 * 1024 * 1024;
    const WAIT: Duration = Duration::from_secs(10);

    pub(crate) fn new(from: u64) -> Self {
        Self { told: from, at: Instant::now() }
    }

    pub(crate) fn is_due(&mut self, reached: u64) -> bool {
        if reached.saturating_sub(self.told) < Self::OCTETS && self.at.elapsed() < Self::WAIT {
            return false;
        }
        *self = Self::new(reached);
        true
    }
}
