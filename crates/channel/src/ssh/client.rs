//! The client side of one SSH connection.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::Secret;
use keys::{PrivateKey, PublicKey};
use model::SshProfile;

use super::error::SshError;
use super::pipe::Pipe;
use super::report::Negotiated;
use crate::dial::Target;

/// Says whether a server is the one we want.
#[async_trait]
pub trait HostKeyChecker: Send + Sync {
    /// Whether `key` (proved by the key exchange) is accepted. Called at every key exchange of the connection.
    async fn check(&self, key: &PublicKey) -> bool;
}

/// What a connection is made with.
pub struct ClientParams {
    /// Profile of type CLIENT.
    pub profile: Arc<SshProfile>,
    /// User name to send.
    pub login: String,
    /// Our key.
    pub key: Option<Arc<PrivateKey>>,
    /// Our password.
    pub password: Option<Secret<String>>,
    /// Who is the server?
    pub checker: Arc<dyn HostKeyChecker>,
    /// For the TCP connection, and again for key exchange and login.
    pub connect_timeout: Duration,
}

/// A connection that is logged in. Dropping it closes it.
pub struct SshClient(());

/// Connects, checks the server, logs in.
///
/// # Errors
/// [`SshError`] of each step.
pub async fn connect_ssh(_target: &Target, _params: ClientParams) -> Result<SshClient, SshError> {
    Err(SshError::Closed)
}

impl SshClient {
    /// Opens one SFTP channel; several may be open at once.
    ///
    /// # Errors
    /// [`SshError::Closed`], [`SshError::Protocol`] if the server refuses it, [`SshError::Timeout`].
    pub async fn open_sftp(&self) -> Result<Pipe, SshError> {
        Err(SshError::Closed)
    }

    /// Algorithms in use.
    #[must_use]
    pub fn negotiated(&self) -> Negotiated {
        Negotiated::default()
    }

    /// The server's version line, bounded and safe to show.
    #[must_use]
    pub fn banner(&self) -> String {
        String::new()
    }

    /// Whether the connection is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        true
    }

    /// Says goodbye and closes.
    pub async fn close(&self) {}
}
