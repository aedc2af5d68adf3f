//! The client side of one SSH connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use base::Secret;
use keys::{PrivateKey, PublicKey, Signer};
use model::SshProfile;
use russh::client::{Handle, Msg, connect_stream};
use russh::{ChannelWriteHalf, Disconnect};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::client_handler::{Channels, ClientHandler, Open};
use super::error::SshError;
use super::input::Incoming;
use super::login::Login;
use super::output::Outgoing;
use super::pipe::Pipe;
use super::preferred::client_config;
use super::report::Negotiated;
use super::shared::{Shared, Side};
use super::tap::Tap;
use crate::dial::{Target, dial};

/// Octets received and not yet taken by the carrier, of one connection.
const INPUT_OCTETS_MAX: usize = 4 << 20;
/// Time for a server to open a channel.
const CHANNEL_WAIT: Duration = Duration::from_secs(30);
/// Time for goodbyes.
const PARTING: Duration = Duration::from_secs(2);

/// Says whether a server is the one we want.
#[async_trait]
pub trait HostKeyChecker: Send + Sync {
    /// Whether `key` is accepted. It is proved by the key exchange; asked once, at the first.
    async fn check(&self, key: &PublicKey) -> bool;
}

/// A key that we log in with.
#[derive(Clone, Debug)]
pub enum ClientKey {
    /// In memory; DSS and RSA with SHA-1 are made with such only.
    Software(Arc<PrivateKey>),
    /// Wherever it is.
    Signer(Arc<dyn Signer>),
}

impl ClientKey {
    /// Its public part.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        match self {
            Self::Software(key) => key.public(),
            Self::Signer(key) => key.public_key(),
        }
    }
}

/// What a connection is made with.
pub struct ClientParams {
    /// Profile of type CLIENT.
    pub profile: Arc<SshProfile>,
    /// User name to send.
    pub login: String,
    /// Our key.
    pub key: Option<ClientKey>,
    /// Our password.
    pub password: Option<Secret<String>>,
    /// Who is the server?
    pub checker: Arc<dyn HostKeyChecker>,
    /// For the TCP connection, and again for key exchange and login.
    pub connect_timeout: Duration,
}

/// A connection that is logged in. Dropping it cuts it; [`SshClient::close`] is the polite way.
pub struct SshClient {
    handle: Handle<ClientHandler>,
    shared: Arc<Shared>,
    channels: Arc<Channels>,
    _cut: CutOnDrop,
}

/// Connects, checks the server, logs in. Dropping the future gives up.
///
/// # Errors
/// [`SshError`] of each step.
pub async fn connect_ssh(target: &Target, params: ClientParams) -> Result<SshClient, SshError> {
    let stream = dial(target, params.connect_timeout).await?;
    login_over(stream, params).await
}

/// Checks the server and logs in over a connection that is there.
async fn login_over(stream: TcpStream, params: ClientParams) -> Result<SshClient, SshError> {
    let Begun { config, shared, channels, handler, tap, cut } =
        Begun::new(stream, &params.profile, Arc::clone(&params.checker))?;
    let steps = async {
        let mut handle = connect_stream(config, tap, handler).await.map_err(|e| e.into_ssh())?;
        let login = Login {
            handle: &mut handle,
            profile: &params.profile,
            name: &params.login,
            key: params.key.as_ref(),
            password: params.password.as_ref(),
        };
        login.run().await?;
        Ok(handle)
    };
    let made = timeout(params.connect_timeout, steps).await;
    let made = made.unwrap_or(Err(SshError::Timeout { what: "key exchange and login" }));
    let handle = made.map_err(|e| shared.cause(e))?;
    shared.is_open.store(true, Ordering::Relaxed);
    Ok(SshClient { handle, shared, channels, _cut: cut })
}

/// What a connection is made of before its keys are exchanged.
pub(super) struct Begun {
    pub(super) config: Arc<russh::client::Config>,
    pub(super) shared: Arc<Shared>,
    pub(super) channels: Arc<Channels>,
    pub(super) handler: ClientHandler,
    pub(super) tap: Tap<TcpStream>,
    pub(super) cut: CutOnDrop,
}

impl Begun {
    pub(super) fn new(
        stream: TcpStream,
        profile: &SshProfile,
        checker: Arc<dyn HostKeyChecker>,
    ) -> Result<Self, SshError> {
        let config = Arc::new(client_config(profile)?);
        let shared = Shared::new(Side::Client, INPUT_OCTETS_MAX);
        let cut = CutOnDrop(Arc::clone(&shared));
        let channels = Arc::new(Channels::default());
        let handler = ClientHandler { shared: Arc::clone(&shared), channels: Arc::clone(&channels), checker };
        let tap = Tap::new(stream, Arc::clone(&shared), false);
        Ok(Self { config, shared, channels, handler, tap, cut })
    }
}

/// Cuts a connection that did not come about, or is no longer wanted.
pub(super) struct CutOnDrop(Arc<Shared>);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.cut();
    }
}

impl SshClient {
    /// Opens one SFTP channel; several may be open at once.
    ///
    /// # Errors
    /// [`SshError::Closed`], [`SshError::Protocol`] if the server refuses it, [`SshError::Timeout`].
    pub async fn open_sftp(&self) -> Result<Pipe, SshError> {
        match timeout(CHANNEL_WAIT, self.subsystem("sftp")).await {
            Ok(result) => result.map_err(|e| self.shared.cause(e)),
            Err(_) => Err(SshError::Timeout { what: "the channel to be opened" }),
        }
    }

    async fn subsystem(&self, name: &str) -> Result<Pipe, SshError> {
        let channel = self.handle.channel_open_session().await.map_err(|e| match e {
            russh::Error::ChannelOpenFailure(why) => {
                SshError::Protocol(format!("the server opens no channel: {}", why.description()))
            }
            other => SshError::from_library(other),
        })?;
        let id = channel.id();
        let (from_library, to_library) = channel.split();
        let to_library = Arc::new(to_library);
        let incoming = Incoming::new(Arc::clone(&self.shared));
        let outgoing = Outgoing::start(Arc::<ChannelWriteHalf<Msg>>::clone(&to_library), &incoming, &self.shared);
        let pipe = Pipe { input: incoming.reader(), output: outgoing.writer() };
        let (answer, answered) = oneshot::channel();
        self.channels.add(id, Open { from_library, incoming, outgoing, answer: Some(answer) });
        to_library.request_subsystem(true, name).await.map_err(SshError::from_library)?;
        match answered.await {
            Ok(true) => Ok(pipe),
            Ok(false) => Err(SshError::Protocol(format!("the server refuses the subsystem {name}"))),
            Err(_) => Err(SshError::Closed),
        }
    }

    /// Algorithms in use.
    #[must_use]
    pub fn negotiated(&self) -> Negotiated {
        self.shared.negotiated().unwrap_or_default()
    }

    /// The server's version line, bounded and safe to show.
    #[must_use]
    pub fn banner(&self) -> String {
        self.shared.banner()
    }

    /// Whether the connection is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Why the connection is over, as far as it is known.
    #[must_use]
    pub fn failure(&self) -> Option<SshError> {
        self.shared.failure()
    }

    /// Says goodbye and closes.
    pub async fn close(mut self) {
        let goodbye = async {
            let _ = self.handle.disconnect(Disconnect::ByApplication, "", "").await;
            let _ = (&mut self.handle).await;
        };
        let _ = timeout(PARTING, goodbye).await;
    }
}
