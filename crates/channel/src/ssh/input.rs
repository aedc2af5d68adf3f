//! What arrives on one channel: from the session's task to the carrier.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use russh::{ChannelMsg, ChannelReadHalf};
use tokio::sync::Notify;
use tokio::task::coop::unconstrained;

use super::shared::Shared;

/// Counted for each piece beside its octets: what the queue and the allocator need for it.
const PIECE_OCTETS: usize = 128;
/// Octets that arrive before the carrier is woken while more can be read at once: waking costs more than a packet.
const UNTOLD_OCTETS_MAX: usize = 128 << 10;

/// The next message of the library for a channel, if one is there.
///
/// Not subject to the runtime's budget of a task, which would hide a message that is there.
pub(crate) fn waiting(from_library: &mut ChannelReadHalf) -> Option<ChannelMsg> {
    unconstrained(from_library.wait()).now_or_never().flatten()
}

/// The queue of received octets of one channel.
#[derive(Debug)]
pub(crate) struct Incoming {
    shared: Arc<Shared>,
    state: Mutex<State>,
    pub(super) arrived: Notify,
    abandoned: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Bytes>,
    /// Octets that arrived since the carrier was last woken.
    untold: usize,
    is_ended: bool,
    is_abandoned: bool,
}

/// Received octets, in order, in pieces of any size.
#[derive(Debug)]
pub struct PipeInput(Arc<Incoming>);

impl Incoming {
    pub(crate) fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self { shared, state: Mutex::default(), arrived: Notify::new(), abandoned: Notify::new() })
    }

    /// The carrier's end. There is one for each queue.
    pub(crate) fn reader(self: &Arc<Self>) -> PipeInput {
        PipeInput(Arc::clone(self))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a piece; the session's task then waits in [`Shared::until_room`]. The carrier hears of it when there is
    /// enough, or when the session's task has nothing more to read.
    pub(crate) fn push(self: &Arc<Self>, piece: Bytes) {
        let octets = piece.len();
        self.shared.octets_in.fetch_add(u64::try_from(octets).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.shared.touch();
        let mut state = self.state();
        if octets == 0 || state.is_ended || state.is_abandoned {
            return;
        }
        self.shared.hold(octets.saturating_add(PIECE_OCTETS));
        state.queue.push_back(piece);
        let is_first = state.untold == 0;
        state.untold = state.untold.saturating_add(octets);
        if state.untold >= UNTOLD_OCTETS_MAX {
            state.untold = 0;
            drop(state);
            self.arrived.notify_one();
        } else if is_first {
            drop(state);
            self.shared.tell_later(self);
        }
    }

    /// Wakes the carrier if something came since it last was.
    pub(crate) fn tell(&self) {
        if std::mem::take(&mut self.state().untold) > 0 {
            self.arrived.notify_one();
        }
    }

    /// Waits until the carrier has dropped its end. For one task.
    pub(crate) async fn until_abandoned(&self) {
        while !self.state().is_abandoned {
            self.abandoned.notified().await;
        }
    }

    /// Nothing more comes; what is queued can still be read.
    pub(crate) fn end(&self) {
        self.state().is_ended = true;
        self.arrived.notify_one();
    }
}

impl PipeInput {
    /// The next piece, never empty; `None` once the peer has sent EOF or the channel is gone. Not reading holds the
    /// peer back. Dropping the future is safe.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(next) = self.try_next() {
                return next;
            }
            self.0.arrived.notified().await;
        }
    }

    /// The next piece if one is there: `None` means not yet, `Some(None)` the end.
    pub fn try_next(&mut self) -> Option<Option<Bytes>> {
        let mut state = self.0.state();
        let Some(piece) = state.queue.pop_front() else { return state.is_ended.then_some(None) };
        drop(state);
        self.0.shared.release(piece.len().saturating_add(PIECE_OCTETS));
        Some(Some(piece))
    }
}

impl Drop for PipeInput {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_abandoned = true;
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        self.0.abandoned.notify_one();
        self.0.shared.release(queue.iter().map(|piece| piece.len().saturating_add(PIECE_OCTETS)).sum());
    }
}
