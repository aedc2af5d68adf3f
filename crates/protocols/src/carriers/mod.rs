//! Carriers: protocols that own a connection.

pub mod ftp;
pub mod sftp;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::Secret;
use channel::{BeforeTls, Link, Pipe, Target, Ticket, TlsServer};
use engine::admit::AuthSession;
use engine::{Admitted, Engine, TransferError};
use model::{Listener, Proxy, RemoteSite};
use tokio::sync::watch;

use crate::outward::{CallTls, ClientError, Outward};
use crate::tls::TlsProfiles;

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
    /// A connection of octets, which the protocol itself makes secure.
    Link,
}

/// The way to a partner, as the transport of a protocol makes it.
pub enum Way {
    /// A channel of an SSH connection on which we are logged in.
    Ssh(Pipe),
    /// A connection on which nothing was said yet.
    Link(Box<LinkWay>),
}

/// A connection on which nothing was said yet, and what it takes to log in.
pub struct LinkWay {
    /// The connection, in clear.
    pub link: Link,
    /// The partner's server, and the way to it.
    pub target: Target,
    /// Carries out commands at it, if it is not reached itself.
    pub proxy: Option<ProxyLogin>,
    /// User name we send.
    pub login: String,
    /// Password we send.
    pub password: Option<Secret<String>>,
    /// What we send where the server asks for an account behind the password.
    pub account: Option<Secret<String>>,
    /// TLS of the site's profile; none: everything travels in clear, as the site says.
    pub tls: Option<CallTls>,
}

/// A proxy of the protocol itself, and who we are there.
#[derive(Debug)]
pub struct ProxyLogin {
    /// The proxy.
    pub proxy: Arc<Proxy>,
    /// Our password at it.
    pub password: Option<Secret<String>>,
}

/// A side of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Is called.
    Server,
    /// Calls.
    Client,
}

/// A partner who calls, as the transport of the protocol brings him.
pub enum Inward {
    /// A channel of an SSH connection; he is logged in.
    Channel {
        /// The channel.
        pipe: Pipe,
        /// The engine.
        engine: Arc<Engine>,
        /// The partner.
        who: Arc<Admitted>,
    },
    /// A connection of octets, which the protocol secures and logs in on.
    Link(Box<Call>),
}

/// A connection on which nothing was said yet.
pub struct Call {
    /// The connection, in clear.
    pub link: Link,
    /// TLS of the network profile that fits; none: it stays in clear.
    pub tls: Option<TlsServer>,
    /// TLS of all profiles, which is told of handshakes that are refused.
    pub profiles: Arc<TlsProfiles>,
    /// Judges who he is.
    pub login: AuthSession,
    /// The engine.
    pub engine: Arc<Engine>,
    /// The listener that was called.
    pub listener: Arc<Listener>,
    /// His place among those not yet logged in.
    pub ticket: Ticket,
    /// Becomes true when the gateway stops.
    pub stopping: watch::Receiver<bool>,
    /// Time that sessions get then.
    pub drain: Duration,
}

/// What a session with a partner did.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// The login, where the protocol let in by itself.
    pub login: Option<String>,
    /// Requests answered.
    pub requests: u64,
    /// Octets of files received.
    pub octets_in: u64,
    /// Octets of files sent.
    pub octets_out: u64,
    /// Why it ended, if not by the peer.
    pub error: Option<String>,
}

impl Served {
    /// The gateway has brought another transport than the protocol needs.
    pub(crate) fn unfit(needed: &str) -> Self {
        Self { error: Some(format!("this protocol runs over {needed}")), ..Self::default() }
    }
}

/// Why there is no session with a partner.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unopened {
    /// What the site says does not go with the protocol.
    #[error("{0}")]
    Unfit(TransferError),
    /// The server does not agree to what makes the connection secure.
    #[error("{0}")]
    Handshake(TransferError),
    /// The server did not prove that it is the partner.
    #[error("{0}")]
    Untrusted(TransferError),
    /// The server does not let us in.
    #[error("{0}")]
    Login(TransferError),
    /// The connection, or the server's first words, were of no use.
    #[error("{0}")]
    Lost(TransferError),
}

impl Unopened {
    /// The gateway has made another way than the protocol needs.
    pub(crate) fn transport(needed: &str) -> Self {
        Self::Unfit(TransferError::park(engine::Cause::Unsupported, format!("this protocol runs over {needed}")))
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

    /// Serves a partner to the end. What was asked before the end is carried out; uploads that were not closed are
    /// interrupted.
    async fn serve(&self, inward: Inward) -> Served;

    /// Begins a session with a partner: greets, secures and logs in, as far as the way has not done that. No file is
    /// touched.
    ///
    /// # Errors
    /// [`Unopened`].
    async fn open(&self, way: Way, site: &RemoteSite) -> Result<Box<dyn Outward>, Unopened>;

    /// Calls a server only to see what it is before a login, waiting so long for each of its answers. No login is sent.
    ///
    /// # Errors
    /// A sentence: nobody answers, or it is no server of this protocol, or the protocol shows nothing before a login.
    async fn look(&self, _target: &Target, _wait: Duration) -> Result<Looked, String> {
        Err(format!("{} shows nothing before a login", self.descriptor().name))
    }

    /// What begins TLS on a connection that begins in clear; none if the protocol knows no such thing.
    fn before_tls(&self) -> Option<&'static dyn BeforeTls> {
        None
    }
}

/// What a server is before a login, safe to show.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// Its first words; empty if it said none: it may wait for TLS.
    pub greeting: String,
    /// What it says that it can do.
    pub features: Vec<String>,
    /// How it answered when it was asked to begin TLS.
    pub answer: String,
    /// It begins TLS then.
    pub begins_tls: bool,
}
