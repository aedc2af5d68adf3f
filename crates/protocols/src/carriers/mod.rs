//! Carriers: protocols that own a connection.

pub mod ftp;
pub mod sftp;

use std::sync::Arc;

use async_trait::async_trait;
use channel::Pipe;
use engine::{Admitted, Engine, JobSource, TransferError};
use model::RemoteSite;

/// What is known of a protocol without speaking it.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// As objects name it.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// Usual port.
    pub port: u16,
    /// What the gateway can be in it.
    pub roles: &'static [Role],
}

/// A side of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Is called.
    Server,
    /// Calls.
    Client,
}

/// What a session with a partner did.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// Requests answered.
    pub requests: u64,
    /// Octets of files received.
    pub octets_in: u64,
    /// Octets of files sent.
    pub octets_out: u64,
    /// Why it ended, if not by the peer.
    pub error: Option<String>,
}

/// What stands in a folder at a partner.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// The folder's whole path, as the partner tells it; safe to show.
    pub folder: String,
    /// Names in it, safe to show; at most [`SEEN_MAX`].
    pub names: Vec<String>,
    /// How many there are.
    pub count: usize,
}

/// Names of a partner's folder that are told.
pub const SEEN_MAX: usize = 10;

/// A protocol, as the gateway calls it.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// What is known of it.
    fn descriptor(&self) -> &'static Descriptor;

    /// Serves one channel of a partner who is logged in, to its end. What was asked before the end is carried out;
    /// uploads that were not closed are interrupted.
    async fn serve(&self, pipe: Pipe, engine: Arc<Engine>, who: Arc<Admitted>) -> Served;

    /// Carries jobs to a partner over one channel until there are no more. Gives how many were delivered.
    ///
    /// # Errors
    /// The channel is of no use any more. The job under way has been told its end.
    async fn deliver(&self, pipe: Pipe, site: &RemoteSite, jobs: &mut dyn JobSource) -> Result<u32, TransferError>;

    /// Looks into the folder at the partner that deliveries go to. Nothing is changed there.
    ///
    /// # Errors
    /// The folder can't be listed, or the channel is of no use.
    async fn look(&self, pipe: Pipe, site: &RemoteSite) -> Result<Seen, TransferError>;
}
