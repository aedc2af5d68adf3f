//! The server side of one SSH connection.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::Secret;
use keys::{PrivateKey, PublicKey};
use model::SshProfile;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::error::SshError;
use super::pipe::Pipe;
use super::report::SessionReport;
use crate::admission::Ticket;

/// Bounds of one server session.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From accept to login.
    pub login_grace: Duration,
    /// From accept to the end of the first key exchange.
    pub handshake: Duration,
    /// Login attempts of one connection.
    pub auth_tries: usize,
    /// Silence after which a session ends; `None`: never.
    pub idle: Option<Duration>,
    /// Silence after which a sign of life is asked for; `None`: never.
    pub keepalive: Option<Duration>,
    /// Same time for every refused login (SSH-32).
    pub refusal_time: Duration,
    /// SFTP channels open at once in one session.
    pub channels_max: usize,
    /// Octets received and not yet taken by the carrier, of one session.
    pub input_octets_max: usize,
    /// Time running channels get when the gateway stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            login_grace: Duration::from_secs(60),
            handshake: Duration::from_secs(30),
            auth_tries: 6,
            idle: Some(Duration::from_secs(600)),
            keepalive: Some(Duration::from_secs(60)),
            refusal_time: Duration::from_millis(500),
            channels_max: 8,
            input_octets_max: 4 << 20,
            drain: Duration::from_secs(30),
        }
    }
}

/// What a session is served with.
#[derive(Clone)]
pub struct ServerParams {
    /// Profile of type SERVER.
    pub profile: Arc<SshProfile>,
    /// Our host keys; the first of an algorithm counts.
    pub host_keys: Vec<Arc<PrivateKey>>,
    /// Software name in our version line, without a version: `Gatehouse`.
    pub banner: String,
    /// Bounds.
    pub limits: Limits,
    /// Place among the connections not yet logged in; given back at login or at the end.
    pub ticket: Option<Arc<Ticket>>,
}

/// Methods a client may go on with.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Methods {
    /// Password.
    pub password: bool,
    /// Public key.
    pub public_key: bool,
}

/// Answer to one attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Logged in (for an offered key: go on and prove it).
    Accept,
    /// Right, and one of these is needed as well.
    Partial {
        /// What is needed.
        left: Methods,
    },
    /// Wrong.
    Reject {
        /// What may be tried.
        left: Methods,
    },
}

/// Decides who logs in. One value serves one connection.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// A key was named, not proved. `Accept` asks the client to prove it.
    async fn offered_key(&self, login: &[u8], key: &PublicKey) -> Answer;
    /// A key was proved: the signature is verified.
    async fn proved_key(&self, login: &[u8], key: &PublicKey) -> Answer;
    /// A password came.
    async fn password(&self, login: &[u8], password: &Secret<String>) -> Answer;
    /// The connection is over, logged in or not. Called exactly once.
    async fn ended(&self);
}

/// Serves channels.
#[async_trait]
pub trait ChannelService: Send + Sync {
    /// Serves one subsystem channel to its end; only `sftp` arrives here. Runs in its own task.
    async fn subsystem(&self, name: &str, pipe: Pipe);
}

/// Serves one connection to its end.
///
/// # Errors
/// [`SshError`] if nobody logged in; what ended a session after login is the reason of its report.
pub async fn serve_ssh(
    _stream: TcpStream,
    _params: ServerParams,
    _auth: Arc<dyn Authenticator>,
    _service: Arc<dyn ChannelService>,
    _shutdown: watch::Receiver<bool>,
) -> Result<SessionReport, SshError> {
    Err(SshError::Closed)
}
