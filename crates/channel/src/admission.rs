//! Who may start a key exchange: bounds on connections that have not yet logged in (BP-25).
//!
//! Refused connections are counted, and told to the log at most every [`LOG_PAUSE`], so that a flood does not fill it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time between two lines of the log about refused connections.
const LOG_PAUSE: Duration = Duration::from_secs(10);

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
    /// Sources remembered; those that wait for nothing are forgotten first.
    pub sources_max: usize,
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        Self {
            waiting_max: 1024,
            waiting_per_source_max: 128,
            burst_per_source: 500,
            refill_per_source: Duration::from_millis(5),
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
pub struct Admission {
    inner: Arc<Inner>,
}

/// One place among the connections not yet logged in; given back by [`Ticket::release`] or by dropping it.
#[derive(Debug)]
pub struct Ticket {
    inner: Arc<Inner>,
    source: IpAddr,
    held: AtomicBool,
}

#[derive(Debug)]
struct Inner {
    limits: AdmissionLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sources: HashMap<IpAddr, Source>,
    counts: AdmissionCounts,
    logged: Option<Instant>,
    unlogged: u64,
}

#[derive(Debug)]
struct Source {
    waiting: usize,
    /// Connections it may still open now.
    tokens: u32,
    /// Moment up to which tokens were given.
    filled: Instant,
}

impl Admission {
    /// A limiter with these bounds.
    #[must_use]
    pub fn new(limits: AdmissionLimits) -> Self {
        Self { inner: Arc::new(Inner { limits, state: Mutex::default() }) }
    }

    /// Asks for a place for a connection from `peer`.
    ///
    /// # Errors
    /// [`Refused`]: close the connection at once, without an octet.
    pub fn admit(&self, peer: IpAddr) -> Result<Ticket, Refused> {
        self.admit_at(peer, Instant::now())
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counts(&self) -> AdmissionCounts {
        self.inner.state().counts
    }

    fn admit_at(&self, peer: IpAddr, now: Instant) -> Result<Ticket, Refused> {
        let source = source_of(peer);
        let mut state = self.inner.state();
        match state.take(source, &self.inner.limits, now) {
            Ok(()) => {
                state.counts.admitted += 1;
                state.counts.waiting += 1;
                Ok(Ticket { inner: Arc::clone(&self.inner), source, held: AtomicBool::new(true) })
            }
            Err(refused) => {
                state.refuse(refused, source, now);
                Err(refused)
            }
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, at: IpAddr, limits: &AdmissionLimits, now: Instant) -> Result<(), Refused> {
        if self.counts.waiting >= limits.waiting_max {
            return Err(Refused::Total);
        }
        if self.sources.len() >= limits.sources_max && !self.sources.contains_key(&at) {
            self.forget(limits, now);
        }
        let fresh = || Source { waiting: 0, tokens: limits.burst_per_source, filled: now };
        let source = self.sources.entry(at).or_insert_with(fresh);
        source.refill(limits, now);
        if source.waiting >= limits.waiting_per_source_max {
            return Err(Refused::Source);
        }
        source.tokens = source.tokens.checked_sub(1).ok_or(Refused::Rate)?;
        source.waiting += 1;
        Ok(())
    }

    /// Makes room: sources with a full bucket have nothing to remember; if they do not suffice, none that waits is kept.
    fn forget(&mut self, limits: &AdmissionLimits, now: Instant) {
        self.sources.retain(|_, source| {
            source.refill(limits, now);
            source.waiting > 0 || source.tokens < limits.burst_per_source
        });
        if self.sources.len() >= limits.sources_max {
            self.sources.retain(|_, source| source.waiting > 0);
        }
    }

    fn refuse(&mut self, refused: Refused, source: IpAddr, now: Instant) {
        match refused {
            Refused::Total => self.counts.refused_total += 1,
            Refused::Source => self.counts.refused_source += 1,
            Refused::Rate => self.counts.refused_rate += 1,
        }
        self.unlogged += 1;
        if self.logged.is_none_or(|at| now.saturating_duration_since(at) >= LOG_PAUSE) {
            tracing::warn!(refused = self.unlogged, last_source = %source, why = ?refused, "connections refused");
            self.logged = Some(now);
            self.unlogged = 0;
        }
    }
}

impl Source {
    fn refill(&mut self, limits: &AdmissionLimits, now: Instant) {
        let step = limits.refill_per_source.as_nanos().max(1);
        let earned = now.saturating_duration_since(self.filled).as_nanos() / step;
        let Ok(earned) = u32::try_from(earned) else {
            self.tokens = limits.burst_per_source;
            self.filled = now;
            return;
        };
        self.tokens = self.tokens.saturating_add(earned).min(limits.burst_per_source);
        self.filled += limits.refill_per_source.saturating_mul(earned);
    }
}

impl Ticket {
    /// Gives the place back, for instance because its owner has logged in. A second call does nothing.
    pub fn release(&self) {
        if !self.held.swap(false, Ordering::SeqCst) {
            return;
        }
        let mut state = self.inner.state();
        state.counts.waiting = state.counts.waiting.saturating_sub(1);
        if let Some(source) = state.sources.get_mut(&self.source) {
            source.waiting = source.waiting.saturating_sub(1);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.release();
    }
}

/// Whom a connection is counted to: an IPv4 address, or an IPv6 /64, which one customer commonly has.
fn source_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> AdmissionLimits {
        AdmissionLimits {
            waiting_max: 4,
            waiting_per_source_max: 2,
            burst_per_source: 3,
            refill_per_source: Duration::from_secs(1),
            sources_max: 3,
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test] // BP-25
    fn places_are_bounded_for_one_source_and_for_all() {
        let admission = Admission::new(limits());
        let now = Instant::now();
        let admit = |at: &str| admission.admit_at(ip(at), now);
        let first = admit("192.0.2.1").unwrap();
        let _second = admit("192.0.2.1").unwrap();
        assert_eq!(admit("192.0.2.1").err(), Some(Refused::Source));
        let _third = admit("2001:db8::1").unwrap();
        let _fourth = admit("2001:db8::2").unwrap();
        assert_eq!(admit("192.0.2.9").err(), Some(Refused::Total));
        first.release();
        first.release();
        assert_eq!(admit("2001:db8::ffff:1").err(), Some(Refused::Source), "one /64 is one source");
        assert!(admit("192.0.2.9").is_ok());
        let counts = admission.counts();
        assert_eq!((counts.admitted, counts.refused_source, counts.refused_total), (5, 2, 1));
        assert_eq!(counts.waiting, 3, "the ticket of 192.0.2.9 was dropped at once");
    }

    #[test]
    fn a_source_that_connects_too_fast_waits_for_its_bucket() {
        let admission = Admission::new(limits());
        let now = Instant::now();
        for _ in 0..3 {
            assert!(admission.admit_at(ip("192.0.2.1"), now).is_ok());
        }
        assert_eq!(admission.admit_at(ip("192.0.2.1"), now).err(), Some(Refused::Rate));
        assert!(admission.admit_at(ip("::ffff:192.0.2.2"), now).is_ok());
        let later = now + Duration::from_secs(1);
        assert!(admission.admit_at(ip("::ffff:192.0.2.1"), later).is_ok(), "mapped and plain are one source");
        assert_eq!(admission.admit_at(ip("192.0.2.1"), later).err(), Some(Refused::Rate));
        assert_eq!(admission.counts().refused_rate, 2);
    }

    #[test]
    fn remembered_sources_are_bounded() {
        let admission = Admission::new(limits());
        let now = Instant::now();
        let _held = admission.admit_at(ip("192.0.2.1"), now).unwrap();
        for n in 0..100u32 {
            assert!(
                admission
                    .admit_at(IpAddr::from((0x2001_0db8_u128 << 96 | u128::from(n) << 64).to_be_bytes()), now)
                    .is_ok()
            );
            assert!(admission.inner.state().sources.len() <= 3);
        }
        assert!(admission.inner.state().sources.contains_key(&ip("192.0.2.1")), "who waits is not forgotten");
    }
}
