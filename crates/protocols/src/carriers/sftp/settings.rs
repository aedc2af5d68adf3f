//! What a site says about SFTP, as the client needs it.

use std::time::Duration;

/// How the client works.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Requests on their way at once, 1 to 255 (`check_window`, SFTP-11).
    pub window: u8,
    /// Octets of a READ or WRITE; raised to what the server offers by limits@openssh.com, if `block_fixed` is not set.
    pub block_octets: u32,
    /// Keeps `block_octets` as it is.
    pub block_fixed: bool,
    /// Longest wait for the next octet of an answer.
    pub reply_wait_max: Duration,
    /// Most names taken from one directory.
    pub names_max: usize,
}

impl ClientOptions {
    /// Octets of a READ or WRITE that every server takes (draft section 3).
    pub const BLOCK_OCTETS: u32 = 32 * 1024;

    /// With a window as a site states it: 0 means 1 (SFTP-11).
    #[must_use]
    pub fn with_window(window: u8) -> Self {
        Self { window: window.max(1), ..Self::default() }
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            window: 64,
            block_octets: Self::BLOCK_OCTETS,
            block_fixed: false,
            reply_wait_max: Duration::from_secs(120),
            names_max: 100_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_of_nothing_is_one() {
        // SFTP-11
        assert_eq!([0, 1, 64, 255].map(|w| ClientOptions::with_window(w).window), [1, 1, 64, 255]);
    }
}
