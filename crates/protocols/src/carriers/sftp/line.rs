//! The channel under a session, as a door: an SSH channel in service, a pair in memory in tests.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use channel::{Closed, Pipe, PipeInput, PipeOutput};

/// Octets in order, both ways.
pub struct Line {
    /// What the peer sends.
    pub input: Box<dyn LineInput>,
    /// What we send. When the last one is dropped, our side ends.
    pub output: Arc<dyn LineOutput>,
}

/// Octets that arrive.
#[async_trait]
pub trait LineInput: Send {
    /// The next piece, of any size but not empty; none at the end. Dropping the future loses nothing.
    async fn next(&mut self) -> Option<Bytes>;
}

/// Octets that leave.
#[async_trait]
pub trait LineOutput: Send + Sync {
    /// Queues `piece`, without waiting.
    fn send(&self, piece: Bytes) -> Result<(), Closed>;
    /// Octets not yet with the network.
    fn queued(&self) -> usize;
    /// Waits until fewer than `octets` are queued.
    async fn drained_below(&self, octets: usize) -> Result<(), Closed>;
}

/// Octets of file data from which on a packet is sent in two pieces: its head, then the data as they were read.
///
/// That saves copying them (0.1 CPU s/GiB) and costs no packet more: with its head, the usual block of 32 KiB is just too
/// long for one SSH packet of OpenSSH.
pub(super) const PARTS_OCTETS_MIN: usize = 16 * 1024;

impl From<Pipe> for Line {
    fn from(pipe: Pipe) -> Self {
        Self { input: Box::new(pipe.input), output: Arc::new(pipe.output) }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("queued", &self.output.queued()).finish_non_exhaustive()
    }
}

#[async_trait]
impl LineInput for PipeInput {
    async fn next(&mut self) -> Option<Bytes> {
        Self::next(self).await
    }
}

#[async_trait]
impl LineOutput for PipeOutput {
    fn send(&self, piece: Bytes) -> Result<(), Closed> {
        Self::send(self, piece)
    }

    fn queued(&self) -> usize {
        Self::queued(self)
    }

    async fn drained_below(&self, octets: usize) -> Result<(), Closed> {
        Self::drained_below(self, octets).await
    }
}
