//! One channel as two bounded streams of octets.

use bytes::Bytes;

/// The channel is closed: nothing can be sent any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("channel is closed")]
pub struct Closed;

/// One SFTP channel.
#[derive(Debug)]
pub struct Pipe {
    /// What the peer sends.
    pub input: PipeInput,
    /// What we send.
    pub output: PipeOutput,
}

/// Received octets, in order, in pieces of any size.
#[derive(Debug)]
pub struct PipeInput(());

/// Octets to send; clones share the channel.
#[derive(Clone, Debug)]
pub struct PipeOutput(());

impl PipeInput {
    /// The next piece, never empty; `None` once the peer has sent EOF or the channel is gone. Not reading holds the peer back.
    pub async fn next(&mut self) -> Option<Bytes> {
        None
    }
}

impl PipeOutput {
    /// Queues `octets`; never waits. The caller keeps the queue short with [`Self::drained_below`].
    ///
    /// # Errors
    /// [`Closed`].
    pub fn send(&self, _octets: Bytes) -> Result<(), Closed> {
        Err(Closed)
    }

    /// Octets not yet handed to the network.
    #[must_use]
    pub fn queued(&self) -> usize {
        0
    }

    /// Waits until fewer than `octets` are queued.
    ///
    /// # Errors
    /// [`Closed`], at once, if the channel ends before.
    pub async fn drained_below(&self, _octets: usize) -> Result<(), Closed> {
        Err(Closed)
    }

    /// Ends our side: what is queued is still sent, then EOF and CLOSE. Dropping the last clone does the same.
    pub fn close(&self) {}
}
