//! What the tasks of one session share: the switch that cuts it, octets held and moved, what was read along.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::error::SshError;
use super::input::Incoming;
use super::kexinit::Lists;
use super::output::Outgoing;
use super::probe::Offered;
use super::report::Negotiated;

/// Above this many times its bound, reading goes on slowly only, so that output can still leave.
const PACED_TIMES: usize = 4;
/// Above this many times its bound, a session is ended: its peer sends without reading.
const HELD_TIMES_MAX: usize = 8;
/// Pause before the next packet of a paced session is read.
const PACE: Duration = Duration::from_millis(50);

/// Which side of the connection we are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// Shared by the tasks of one session.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) side: Side,
    cut: watch::Sender<bool>,
    stream: AtomicWaker,
    /// Octets received and not yet taken by a carrier.
    held: AtomicUsize,
    held_peak: AtomicUsize,
    held_max: usize,
    room: Notify,
    outputs: Mutex<Vec<Weak<Outgoing>>>,
    /// Channels whose carriers have not heard yet of what arrived.
    untold: Mutex<Vec<Arc<Incoming>>>,
    has_untold: AtomicBool,
    pub(crate) octets_in: AtomicU64,
    pub(crate) octets_out: AtomicU64,
    start: Instant,
    moved_ms: AtomicU64,
    pub(crate) is_open: AtomicBool,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    ours: Option<Lists>,
    theirs: Option<Lists>,
    banner: String,
    failure: Option<SshError>,
}

impl Shared {
    /// For a session that may hold `held_max` octets of received data.
    pub(crate) fn new(side: Side, held_max: usize) -> Arc<Self> {
        Arc::new(Self {
            side,
            cut: watch::Sender::new(false),
            stream: AtomicWaker::new(),
            held: AtomicUsize::new(0),
            held_peak: AtomicUsize::new(0),
            held_max,
            room: Notify::new(),
            outputs: Mutex::default(),
            untold: Mutex::default(),
            has_untold: AtomicBool::new(false),
            octets_in: AtomicU64::new(0),
            octets_out: AtomicU64::new(0),
            start: Instant::now(),
            moved_ms: AtomicU64::new(0),
            is_open: AtomicBool::new(false),
            heard: Mutex::default(),
        })
    }

    /// Ends the session at once, whatever it waits for.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(true);
        self.stream.wake();
    }

    pub(crate) fn is_cut(&self) -> bool {
        *self.cut.borrow()
    }

    /// Whether the session is cut; if not, the task of `cx` is woken when it is.
    pub(crate) fn poll_cut(&self, cx: &Context<'_>) -> Poll<()> {
        self.stream.register(cx.waker());
        if self.is_cut() { Poll::Ready(()) } else { Poll::Pending }
    }

    async fn until_cut(&self) {
        let mut cut = self.cut.subscribe();
        let _ = cut.wait_for(|cut| *cut).await;
    }

    /// Notes that payload moved.
    pub(crate) fn touch(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_ms.store(now, Ordering::Relaxed);
    }

    /// When payload last moved.
    pub(crate) fn moved_at(&self) -> Instant {
        self.start + Duration::from_millis(self.moved_ms.load(Ordering::Relaxed))
    }

    pub(crate) const fn started_at(&self) -> Instant {
        self.start
    }

    /// Counts received octets that a carrier has yet to take.
    pub(crate) fn hold(&self, octets: usize) {
        let held = self.held.fetch_add(octets, Ordering::SeqCst).saturating_add(octets);
        self.held_peak.fetch_max(held, Ordering::Relaxed);
    }

    /// The most that was ever held.
    pub(crate) fn held_peak(&self) -> usize {
        self.held_peak.load(Ordering::Relaxed)
    }

    /// Counts octets taken.
    pub(crate) fn release(&self, octets: usize) {
        if self.held.fetch_sub(octets, Ordering::SeqCst) > self.held_max {
            self.room.notify_one();
        }
    }

    /// Octets received and not yet taken by a carrier.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    /// Tells a waiting reader that output was queued, which it must let out.
    pub(crate) fn output_queued(&self) {
        if self.held() > self.held_max {
            self.room.notify_one();
        }
    }

    /// Back-pressure: returns when the next packet may be read.
    ///
    /// Runs in the session's task, which also sends: while output waits it must not wait for carriers, since they may
    /// wait for that output. Then it goes on, slowly above four times the bound, and gives up at eight times.
    pub(crate) async fn until_room(&self) -> Result<(), SshError> {
        if self.held() > self.held_max {
            self.tell();
        }
        loop {
            let held = self.held();
            if held <= self.held_max {
                return Ok(());
            }
            if held > self.held_max.saturating_mul(HELD_TIMES_MAX) {
                return Err(SshError::Protocol(format!("peer sends without reading: {held} octets wait for it")));
            }
            if self.is_output_waiting() {
                if held > self.held_max.saturating_mul(PACED_TIMES) {
                    let _ = tokio::time::timeout(PACE, self.room.notified()).await;
                }
                return Ok(());
            }
            tokio::select! {
                () = self.room.notified() => {}
                () = self.until_cut() => return Err(SshError::Closed),
            }
        }
    }

    fn is_output_waiting(&self) -> bool {
        self.outputs().iter().filter_map(Weak::upgrade).any(|output| output.queued() > 0)
    }

    /// Makes a channel's output known.
    pub(crate) fn add_output(&self, output: &Arc<Outgoing>) {
        let mut outputs = self.outputs();
        outputs.retain(|known| known.strong_count() > 0);
        outputs.push(Arc::downgrade(output));
    }

    /// Has a channel's carrier woken when the session's task is about to wait.
    pub(crate) fn tell_later(&self, incoming: &Arc<Incoming>) {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(incoming));
        self.has_untold.store(true, Ordering::Release);
    }

    /// The session's task is about to wait: carriers hear what arrived.
    pub(crate) fn tell(&self) {
        if self.has_untold.swap(false, Ordering::AcqRel) {
            let untold = std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner));
            untold.iter().for_each(|incoming| incoming.tell());
        }
    }

    /// All that the library had encrypted is with the system now.
    pub(crate) fn flushed(&self) {
        for output in self.outputs().iter().filter_map(Weak::upgrade) {
            output.flushed();
        }
    }

    fn outputs(&self) -> MutexGuard<'_, Vec<Weak<Outgoing>>> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the peer's version line.
    pub(crate) fn hear_banner(&self, line: &[u8]) {
        self.heard().banner = base::octets_text(line);
    }

    pub(crate) fn hear_ours(&self, lists: Lists) {
        self.heard().ours = Some(lists);
    }

    pub(crate) fn hear_theirs(&self, lists: Lists) {
        self.heard().theirs = Some(lists);
    }

    /// Notes why the session fails, unless that is known already; the library would only say that it was closed.
    pub(crate) fn fail(&self, why: SshError) {
        self.heard().failure.get_or_insert(why);
    }

    /// The better known cause of `e`, where `e` says little.
    pub(crate) fn cause(&self, e: SshError) -> SshError {
        match e {
            SshError::Closed | SshError::Protocol(_) => self.failure().unwrap_or(e),
            telling => telling,
        }
    }

    pub(crate) fn failure(&self) -> Option<SshError> {
        self.heard().failure.clone()
    }

    pub(crate) fn banner(&self) -> String {
        self.heard().banner.clone()
    }

    /// What the peer offered.
    pub(crate) fn theirs(&self) -> Option<Offered> {
        self.heard().theirs.as_ref().map(Lists::offered)
    }

    /// What the first key exchange agreed on.
    pub(crate) fn negotiated(&self) -> Option<Negotiated> {
        let heard = self.heard();
        let (ours, theirs) = (heard.ours.as_ref()?, heard.theirs.as_ref()?);
        Some(match self.side {
            Side::Client => ours.agree(theirs),
            Side::Server => theirs.agree(ours),
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt;

    use super::*;
    use crate::ssh::input::Incoming;

    fn filled(octets: usize) -> (Arc<Shared>, Arc<Incoming>) {
        let shared = Shared::new(Side::Server, 1000);
        let incoming = Incoming::new(Arc::clone(&shared));
        incoming.push(Bytes::from(vec![1; octets]));
        (shared, incoming)
    }

    #[tokio::test]
    async fn reading_waits_for_the_carrier_and_goes_on_when_it_has_taken() {
        let (shared, incoming) = filled(2000);
        let mut reader = incoming.reader();
        assert!(shared.until_room().now_or_never().is_none());
        let waiting = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move { shared.until_room().await }
        });
        tokio::task::yield_now().await;
        assert_eq!(reader.next().await.map(|piece| piece.len()), Some(2000));
        assert_eq!((waiting.await.unwrap(), shared.held()), (Ok(()), 0));
        assert_eq!(shared.held_peak(), 2128);
    }

    #[tokio::test]
    async fn a_peer_that_only_sends_is_ended_and_a_cut_ends_the_wait() {
        let (shared, _incoming) = filled(9000);
        assert!(matches!(shared.until_room().await, Err(SshError::Protocol(_))));
        let (shared, _incoming) = filled(2000);
        let waiting = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move { shared.until_room().await }
        });
        tokio::task::yield_now().await;
        shared.cut();
        assert_eq!(waiting.await.unwrap(), Err(SshError::Closed));
    }

    #[tokio::test]
    async fn a_carrier_hears_at_once_of_much_and_of_little_when_the_session_waits() {
        let (shared, incoming) = filled(0);
        let woken = || incoming.arrived.notified().now_or_never().is_some();
        incoming.push(Bytes::from(vec![1; 1000]));
        assert!(!woken());
        shared.tell();
        assert!(woken());
        incoming.push(Bytes::from(vec![1; 100_000]));
        assert!(!woken());
        incoming.push(Bytes::from(vec![1; 100_000]));
        assert!(woken());
        shared.tell();
        assert!(!woken(), "it has heard already");
    }

    #[test]
    fn what_an_abandoned_channel_held_is_given_back() {
        let (shared, incoming) = filled(500);
        drop(incoming.reader());
        assert_eq!(shared.held(), 0);
        incoming.push(Bytes::from(vec![1; 500]));
        assert_eq!(shared.held(), 0);
    }

    #[test]
    fn the_first_cause_is_kept_and_used_where_the_library_is_vague() {
        let shared = Shared::new(Side::Client, 1);
        let refused = SshError::HostKeyRefused { fingerprint: "SHA256:x".to_owned() };
        shared.fail(refused.clone());
        shared.fail(SshError::Stopped);
        assert_eq!(shared.cause(SshError::Closed), refused);
        assert_eq!(shared.cause(SshError::Stopped), SshError::Stopped);
    }
}
