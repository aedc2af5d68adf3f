//! Carriers: protocols that own a connection.

pub mod sftp;

use std::sync::Arc;

use async_trait::async_trait;
use channel::Pipe;
use engine::{Admitted, Engine, TransferError};
use model::RemoteSite;

use crate::outward::{ClientError, Outward};

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
    /// What it runs over.
    pub transport: Transport,
}

/// What a protocol runs over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// A channel of an SSH connection.
    Ssh,
}

/// The way to a partner, as the transport of a protocol makes it.
#[derive(Debug)]
pub enum Way {
    /// A channel of an SSH connection on which we are logged in.
    Ssh(Pipe),
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

/// Why there is no session with a partner.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unopened {
    /// The connection, or the server's first words, were of no use.
    #[error("{0}")]
    Lost(TransferError),
}

impl Unopened {
    /// The gateway has made another way than the protocol needs.
    pub(crate) fn transport(needed: &str) -> Self {
        Self::Lost(TransferError::park(engine::Cause::Unsupported, format!("this protocol runs over {needed}")))
    }
}

impl From<ClientError> for Unopened {
    fn from(error: ClientError) -> Self {
        Self::Lost(error.into())
    }
}

/// A protocol, as the gateway calls it.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// What is known of it.
    fn descriptor(&self) -> &'static Descriptor;

    /// Serves one channel of a partner who is logged in, to its end. What was asked before the end is carried out;
    /// uploads that were not closed are interrupted.
    async fn serve(&self, pipe: Pipe, engine: Arc<Engine>, who: Arc<Admitted>) -> Served;

    /// Begins a session with a partner: greets, secures and logs in, as far as the way has not done that. No file is
    /// touched.
    ///
    /// # Errors
    /// [`Unopened`].
    async fn open(&self, way: Way, site: &RemoteSite) -> Result<Box<dyn Outward>, Unopened>;
}
