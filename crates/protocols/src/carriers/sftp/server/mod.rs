//! An SFTP session: requests of one channel, answered from a virtual folder.
//!
//! One task reads, decides and answers; what has to wait (disk, database) runs as jobs beside it. Requests of one handle
//! run in their order, one at a time; handles do not wait for each other. Requests that name paths run side by side as
//! long as their paths do not touch. So answers come in any order between handles, which the draft allows (section 3).
//!
//! Sending never waits. Reads do not start while more than [`ServerLimits::output_octets_high`] wait for the peer, and
//! while they wait so, input is still read: a peer that sends and reads by turns can't lock itself out. Only the disk
//! holds the input back.

mod handles;
mod jobs;
mod listing;
mod paths;
mod session;

use std::sync::Arc;

use super::line::Line;
use super::wire::{FrameError, WireError};
use crate::files::Folder;

/// Bounds of one session.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// Handles open at once (SFTP-20).
    pub handles_max: usize,
    /// Octets waiting to be sent above which no read starts.
    pub output_octets_high: usize,
    /// Octets waiting to be sent above which the session ends: the peer asks and never reads.
    pub output_octets_max: usize,
    /// Requests that wait for their turn; reads in a row count once.
    pub requests_waiting_max: usize,
    /// Octets of file data that wait for the disk.
    pub octets_waiting_max: usize,
    /// Requests naming paths that run at once.
    pub path_jobs_max: usize,
    /// Packets that can't be read, before the session ends.
    pub malformed_max: u32,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            handles_max: 64,
            output_octets_high: 2 * 1024 * 1024,
            output_octets_max: 8 * 1024 * 1024,
            requests_waiting_max: 4096,
            octets_waiting_max: 4 * 1024 * 1024,
            path_jobs_max: 32,
            malformed_max: 16,
        }
    }
}

/// Most octets one READ gives. OpenSSH's client takes no packet above 256 KiB; half of that divides what the store reads
/// at once, so that no answer is pieced together from two steps.
pub const READ_OCTETS_MAX: u32 = 128 * 1024;
/// Most octets one WRITE should bring, as stated by limits@openssh.com.
pub const WRITE_OCTETS_MAX: u32 = 255 * 1024;

/// Why a session ended before the peer closed the channel.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The stream lost its packets.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// The first packet can't be read.
    #[error("{0}")]
    Greeting(WireError),
    /// A request before INIT.
    #[error("request before INIT: the first packet has to be INIT")]
    BeforeInit,
    /// INIT again.
    #[error("second INIT: only the first packet may be INIT")]
    SecondInit,
    /// A version below ours.
    #[error("peer speaks SFTP version {version}: version 3 is the lowest served here")]
    Version {
        /// Its highest version.
        version: u32,
    },
    /// Too many packets that can't be read.
    #[error("{count} packets could not be read, the last: {last}")]
    Malformed {
        /// How many.
        count: u32,
        /// The last one.
        last: WireError,
    },
    /// The peer asks and does not read.
    #[error("{octets} octets wait for a peer that does not read them")]
    NotRead {
        /// Waiting octets.
        octets: usize,
    },
}

/// What a session did.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// Requests answered.
    pub requests: u64,
    /// Octets of files received.
    pub octets_in: u64,
    /// Octets of files sent.
    pub octets_out: u64,
    /// Why it ended, if not by the peer.
    pub error: Option<SessionError>,
}

/// Serves `line` until its end. What was asked before the end is still carried out; uploads that were not closed are
/// interrupted (SFTP-9).
pub async fn serve(line: Line, folder: Arc<dyn Folder>, limits: ServerLimits) -> Served {
    let Line { mut input, output } = line;
    let mut session = session::Session::new(output, folder, limits);
    let error = session.run(input.as_mut()).await.err();
    if let Some(error) = &error {
        tracing::warn!(%error, "SFTP session ends");
    }
    session.wind_up().await;
    Served { error, ..session.served() }
}
