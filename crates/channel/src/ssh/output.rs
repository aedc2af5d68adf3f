//! What leaves on one channel: from the carrier to the library, never more than it can encrypt and send at once.
//!
//! The library queues without bound whatever it is given, so it is given at most [`BATCH_OCTETS`] that are not yet with
//! the system. Octets are handed over directly where the channel's window has room; a task of the channel (the pump)
//! takes over where something must be waited for, and ends the channel.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use futures_util::FutureExt;
use russh::{ChannelId, ChannelMsg, ChannelWriteHalf};
use tokio::sync::{Notify, watch};
use tokio::task::coop::unconstrained;

use super::input::Incoming;
use super::shared::{Shared, Side};

/// Octets the library holds of one channel: enough for a full pipe, few enough to stay in the processor's cache.
const BATCH_OCTETS: u64 = 1 << 20;
/// Octets the pump hands over at once; the library cuts them to packets.
const CHUNK_OCTETS: usize = 64 << 10;

/// The channel is closed: nothing can be sent any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("channel is closed")]
pub struct Closed;

type Sending = Pin<Box<dyn Future<Output = Result<(), Closed>> + Send>>;

/// The library's sending half, whichever side it is of.
pub(crate) trait Sink: Send + Sync {
    /// Octets that can be handed over now: window and packet size.
    fn room(&self) -> usize;
    /// Hands over `octets`, waiting for the window.
    fn send(self: Arc<Self>, octets: Bytes) -> Sending;
    /// Says that nothing more is sent.
    fn end_of_data(self: Arc<Self>, side: Side) -> Sending;
    /// Closes the channel; what still arrives is lost.
    fn close(self: Arc<Self>) -> Sending;
}

impl<S: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static> Sink for ChannelWriteHalf<S> {
    fn room(&self) -> usize {
        unconstrained(self.writable_packet_size()).now_or_never().unwrap_or(0)
    }

    fn send(self: Arc<Self>, octets: Bytes) -> Sending {
        Box::pin(async move { self.data_bytes(octets).await.map_err(|_| Closed) })
    }

    fn end_of_data(self: Arc<Self>, side: Side) -> Sending {
        Box::pin(async move {
            if side == Side::Server {
                // `ssh -s host sftp` takes its own exit code from here.
                self.exit_status(0).await.map_err(|_| Closed)?;
            }
            self.eof().await.map_err(|_| Closed)
        })
    }

    fn close(self: Arc<Self>) -> Sending {
        Box::pin(async move { Self::close(&self).await.map_err(|_| Closed) })
    }
}

/// The queue of octets to send of one channel.
pub(crate) struct Outgoing {
    sink: Arc<dyn Sink>,
    shared: Arc<Shared>,
    incoming: Arc<Incoming>,
    state: Mutex<State>,
    /// Octets handed over that the library has encrypted.
    spent: Arc<AtomicU64>,
    /// Something for the pump.
    work: Notify,
    /// The queue became shorter.
    progress: Notify,
    gone: watch::Sender<bool>,
    is_finished: AtomicBool,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Bytes>,
    queued: usize,
    /// Octets handed to the library since the start.
    handed: u64,
    /// Octets of them that are with the system.
    flushed: u64,
    /// The pump has the say; nobody else hands over.
    is_pumping: bool,
    unfinished: Option<Sending>,
    is_closing: bool,
    is_gone: bool,
}

/// Octets to send; clones share the channel.
#[derive(Clone, Debug)]
pub struct PipeOutput(Arc<Writer>);

#[derive(Debug)]
struct Writer(Arc<Outgoing>);

/// Octets in the library's hands; tells when they were encrypted.
struct Tracked {
    octets: Bytes,
    spent: Arc<AtomicU64>,
    shared: Arc<Shared>,
}

enum Step {
    Send(Sending),
    Finish,
    Rest,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("queued", &self.queued()).finish_non_exhaustive()
    }
}

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let octets = wide(self.octets.len());
        self.spent.fetch_add(octets, Ordering::SeqCst);
        self.shared.octets_out.fetch_add(octets, Ordering::Relaxed);
        self.shared.touch();
    }
}

impl Outgoing {
    /// Makes the queue and starts its pump.
    pub(crate) fn start(sink: Arc<dyn Sink>, incoming: &Arc<Incoming>, shared: &Arc<Shared>) -> Arc<Self> {
        let outgoing = Arc::new(Self {
            sink,
            shared: Arc::clone(shared),
            incoming: Arc::clone(incoming),
            state: Mutex::default(),
            spent: Arc::default(),
            work: Notify::new(),
            progress: Notify::new(),
            gone: watch::Sender::new(false),
            is_finished: AtomicBool::new(false),
        });
        shared.add_output(&outgoing);
        tokio::spawn(Arc::clone(&outgoing).pump());
        outgoing
    }

    /// The carrier's end.
    pub(crate) fn writer(self: &Arc<Self>) -> PipeOutput {
        PipeOutput(Arc::new(Writer(Arc::clone(self))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Octets not yet with the system; none once the channel is gone.
    pub(crate) fn queued(&self) -> usize {
        let state = self.state();
        if state.is_gone { 0 } else { state.waiting() }
    }

    /// The channel or its session is over.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.is_gone = true;
        let dropped = (std::mem::take(&mut state.queue), state.unfinished.take());
        state.queued = 0;
        drop(state);
        drop(dropped);
        self.gone.send_replace(true);
        self.progress.notify_waiters();
    }

    /// Whether both sides of the channel need nothing more of us.
    pub(crate) fn is_finished(&self) -> bool {
        self.is_finished.load(Ordering::Acquire)
    }

    /// All that was encrypted is with the system: hand over more.
    pub(crate) fn flushed(&self) {
        let spent = self.spent.load(Ordering::SeqCst);
        let mut state = self.state();
        if state.flushed == spent {
            return;
        }
        state.flushed = spent;
        self.hand_over(&mut state);
        drop(state);
        self.progress.notify_waiters();
    }

    fn send(&self, octets: Bytes) -> Result<(), Closed> {
        let mut state = self.state();
        if state.is_gone || state.is_closing {
            return Err(Closed);
        }
        if octets.is_empty() {
            return Ok(());
        }
        state.queued = state.queued.saturating_add(octets.len());
        state.queue.push_back(octets);
        self.hand_over(&mut state);
        drop(state);
        self.shared.output_queued();
        Ok(())
    }

    fn close(&self) {
        let mut state = self.state();
        state.is_closing = true;
        self.hand_over(&mut state);
    }

    /// Hands over what can be without waiting; wakes the pump for the rest.
    fn hand_over(&self, state: &mut State) {
        if state.is_pumping || state.is_gone {
            return;
        }
        while !state.queue.is_empty() && state.in_library() < BATCH_OCTETS {
            let room = self.sink.room();
            if room > 0
                && let Some(chunk) = state.take(room)
            {
                let mut sending = Arc::clone(&self.sink).send(self.track(chunk));
                if poll_once(&mut sending).is_ready() {
                    continue;
                }
                state.unfinished = Some(sending);
            }
            state.is_pumping = true;
            break;
        }
        state.is_pumping |= state.is_closing && state.queue.is_empty();
        if state.is_pumping {
            self.work.notify_one();
        }
    }

    fn track(&self, octets: Bytes) -> Bytes {
        Bytes::from_owner(Tracked { octets, spent: Arc::clone(&self.spent), shared: Arc::clone(&self.shared) })
    }

    fn step(&self) -> Step {
        let mut state = self.state();
        state.is_pumping = true;
        if let Some(sending) = state.unfinished.take() {
            return Step::Send(sending);
        }
        if state.in_library() < BATCH_OCTETS
            && let Some(chunk) = state.take(CHUNK_OCTETS)
        {
            return Step::Send(Arc::clone(&self.sink).send(self.track(chunk)));
        }
        if state.is_closing && state.queue.is_empty() {
            return Step::Finish;
        }
        state.is_pumping = false;
        Step::Rest
    }

    /// Ends our half; the channel is closed once nobody reads the other half either.
    async fn finish(&self) -> Result<(), Closed> {
        Arc::clone(&self.sink).end_of_data(self.shared.side).await?;
        self.incoming.until_abandoned().await;
        Arc::clone(&self.sink).close().await
    }

    async fn pump(self: Arc<Self>) {
        let mut gone = self.gone.subscribe();
        let work = async {
            loop {
                match self.step() {
                    Step::Send(sending) => sending.await?,
                    Step::Finish => return self.finish().await,
                    Step::Rest => self.work.notified().await,
                }
            }
        };
        let is_over = {
            let mut work = pin!(work);
            tokio::select! {
                result = &mut work => result.is_err(),
                _ = gone.wait_for(|gone| *gone) => true,
            }
        };
        self.is_finished.store(true, Ordering::Release);
        if is_over {
            self.end();
        }
    }
}

impl State {
    const fn in_library(&self) -> u64 {
        self.handed.saturating_sub(self.flushed)
    }

    fn waiting(&self) -> usize {
        self.queued.saturating_add(usize::try_from(self.in_library()).unwrap_or(usize::MAX))
    }

    /// At most `max` octets from the front of the queue, counted as handed over.
    fn take(&mut self, max: usize) -> Option<Bytes> {
        let mut chunk = self.queue.pop_front()?;
        if chunk.len() > max {
            let rest = chunk.split_off(max);
            self.queue.push_front(rest);
        }
        self.queued = self.queued.saturating_sub(chunk.len());
        self.handed = self.handed.saturating_add(wide(chunk.len()));
        Some(chunk)
    }
}

impl PipeOutput {
    /// Queues `octets`; never waits. The caller keeps the queue short with [`Self::drained_below`].
    ///
    /// # Errors
    /// [`Closed`].
    pub fn send(&self, octets: Bytes) -> Result<(), Closed> {
        self.0.0.send(octets)
    }

    /// Octets not yet handed to the network.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.0.0.queued()
    }

    /// Waits until fewer than `octets` are queued. Dropping the future is safe.
    ///
    /// # Errors
    /// [`Closed`], at once, if the channel ends before.
    pub async fn drained_below(&self, octets: usize) -> Result<(), Closed> {
        let outgoing = &self.0.0;
        loop {
            let mut progress = pin!(outgoing.progress.notified());
            progress.as_mut().enable();
            {
                let state = outgoing.state();
                if state.is_gone {
                    return Err(Closed);
                }
                if state.waiting() < octets {
                    return Ok(());
                }
            }
            progress.await;
        }
    }

    /// Ends our half: what is queued is still sent, then EOF, and CLOSE once the input is dropped as well. Dropping the
    /// last clone does the same.
    pub fn close(&self) {
        self.0.0.close();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Polls without a waker: whoever gets `Pending` must poll again elsewhere.
fn poll_once(sending: &mut Sending) -> Poll<Result<(), Closed>> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    pin!(unconstrained(sending.as_mut())).poll(&mut cx)
}

fn wide(octets: usize) -> u64 {
    u64::try_from(octets).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A library whose window the test opens, and which keeps what it was given until the test encrypts it.
    #[derive(Default)]
    struct Library {
        state: Mutex<Given>,
        opened: Notify,
    }

    #[derive(Default)]
    struct Given {
        window: usize,
        octets: Vec<Bytes>,
        all: Vec<u8>,
        peak: usize,
        events: Vec<&'static str>,
    }

    impl Library {
        fn open(&self, window: usize) {
            self.state.lock().unwrap().window += window;
            self.opened.notify_one();
        }

        /// Encrypts and sends everything it holds.
        fn flush(&self, outgoing: &Outgoing) {
            let octets = std::mem::take(&mut self.state.lock().unwrap().octets);
            drop(octets);
            outgoing.flushed();
        }

        fn take(&self, octets: &mut Bytes) -> bool {
            let mut state = self.state.lock().unwrap();
            let n = octets.len().min(state.window);
            state.window -= n;
            let part = octets.split_to(n);
            state.all.extend_from_slice(&part);
            state.octets.push(part);
            let held: usize = state.octets.iter().map(Bytes::len).sum();
            state.peak = state.peak.max(held);
            octets.is_empty()
        }
    }

    impl Sink for Library {
        fn room(&self) -> usize {
            self.state.lock().unwrap().window.min(32 << 10)
        }
        fn send(self: Arc<Self>, mut octets: Bytes) -> Sending {
            Box::pin(async move {
                while !self.take(&mut octets) {
                    self.opened.notified().await;
                }
                Ok(())
            })
        }
        fn end_of_data(self: Arc<Self>, _: Side) -> Sending {
            self.state.lock().unwrap().events.push("eof");
            Box::pin(async { Ok(()) })
        }
        fn close(self: Arc<Self>) -> Sending {
            self.state.lock().unwrap().events.push("close");
            Box::pin(async { Ok(()) })
        }
    }

    fn channel() -> (Arc<Library>, Arc<Incoming>, Arc<Outgoing>) {
        let library = Arc::new(Library::default());
        let shared = Shared::new(Side::Server, 1000);
        let incoming = Incoming::new(Arc::clone(&shared));
        let outgoing = Outgoing::start(Arc::<Library>::clone(&library), &incoming, &shared);
        (library, incoming, outgoing)
    }

    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    fn octets(n: usize) -> Bytes {
        (0..n).map(|i| u8::try_from(i % 251).unwrap()).collect::<Vec<_>>().into()
    }

    #[tokio::test]
    async fn the_library_never_holds_more_than_a_batch_however_wide_the_window() {
        let (library, _incoming, outgoing) = channel();
        library.open(usize::MAX);
        let writer = outgoing.writer();
        let all = octets(5 << 20);
        writer.send(all.clone()).unwrap();
        assert_eq!(writer.queued(), 5 << 20);
        for left in [4, 3, 2, 1, 0] {
            library.flush(&outgoing);
            settle().await;
            assert_eq!(writer.queued(), left << 20);
        }
        let given = library.state.lock().unwrap();
        assert!(given.peak <= usize::try_from(BATCH_OCTETS).unwrap() + (64 << 10), "{}", given.peak);
        assert!(given.all == all, "in order");
    }

    #[tokio::test]
    async fn a_closed_window_keeps_octets_with_us_and_in_order() {
        let (library, _incoming, outgoing) = channel();
        let writer = outgoing.writer();
        let all = octets(300_000);
        for piece in all.chunks(7000) {
            writer.send(Bytes::copy_from_slice(piece)).unwrap();
        }
        settle().await;
        assert_eq!((writer.queued(), library.state.lock().unwrap().all.len()), (300_000, 0));
        for _ in 0..31 {
            library.open(10_000);
            settle().await;
            library.flush(&outgoing);
            settle().await;
        }
        assert_eq!(writer.queued(), 0);
        assert!(library.state.lock().unwrap().all == all);
        assert_eq!(writer.drained_below(1).await, Ok(()));
    }

    #[tokio::test]
    async fn the_end_comes_after_the_last_octet_and_the_close_after_the_reader() {
        let (library, incoming, outgoing) = channel();
        let (reader, writer) = (incoming.reader(), outgoing.writer());
        writer.send(octets(100)).unwrap();
        drop(writer);
        settle().await;
        assert!(library.state.lock().unwrap().events.is_empty());
        library.open(100);
        settle().await;
        assert_eq!(library.state.lock().unwrap().events, ["eof"]);
        assert!(!outgoing.is_finished());
        drop(reader);
        settle().await;
        assert_eq!(library.state.lock().unwrap().events, ["eof", "close"]);
        assert!(outgoing.is_finished());
    }

    #[tokio::test]
    async fn who_waits_for_a_channel_that_ends_is_told() {
        let (_library, _incoming, outgoing) = channel();
        let writer = outgoing.writer();
        writer.send(octets(100)).unwrap();
        let waiting = tokio::spawn({
            let writer = writer.clone();
            async move { writer.drained_below(1).await }
        });
        settle().await;
        outgoing.end();
        assert_eq!(waiting.await.unwrap(), Err(Closed));
        assert_eq!((writer.send(octets(1)), writer.queued()), (Err(Closed), 0));
    }
}
