//! An FTP session: commands of one control connection, answered from a virtual folder.
//!
//! One task reads, decides and answers. While data move, it goes on reading the control connection: ABOR, or the end of
//! that connection, ends the transfer. An upload is acknowledged when it is durable, and only if its data came to an
//! orderly end: a connection that was reset, or that lost TLS without its end being announced, leaves an interrupted
//! upload, which REST or APPE resume.

mod control;
mod data;
mod files;
mod listing;
mod login;
mod session;
mod stream;
mod transfer;

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use base::Secret;
use channel::{Link, TlsRefusal, TlsServer, TlsSession};
use tokio::sync::watch;

use super::settings::ServerSettings;
use super::wire::LineTooLong;
use crate::files::Folder;

/// Who lets callers in.
#[async_trait]
pub trait Reception: Send + Sync {
    /// Is told of a handshake that was refused.
    async fn tls_refused(&self, refusal: &TlsRefusal);
    /// Is told of how the connection is secured from now on: in this session, or not at all.
    async fn connected(&self, session: Option<&TlsSession>);
    /// Judges a login by the certificate of the session. Whoever is not let in is asked for a password.
    async fn certificate(&self, login: &[u8]) -> Option<Arc<dyn Folder>>;
    /// Judges a login and its password. The answer says nothing of why it is no.
    async fn password(&self, login: &[u8], password: &Secret<String>) -> Option<Arc<dyn Folder>>;
}

/// What a session is served with.
pub struct Parts {
    /// How.
    pub settings: ServerSettings,
    /// TLS of the listener's network profile; none: in clear.
    pub tls: Option<TlsServer>,
    /// Who lets in.
    pub reception: Arc<dyn Reception>,
    /// Becomes true when the gateway stops.
    pub stopping: watch::Receiver<bool>,
}

/// Why a session ended before the peer said QUIT.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The peer closed the connection.
    #[error("the control connection was closed")]
    Closed,
    /// The connection broke.
    #[error("the control connection broke: {text}")]
    Lost {
        /// The system's words.
        text: String,
    },
    /// A line without an end.
    #[error("{0}")]
    Line(#[from] LineTooLong),
    /// TLS could not be agreed on.
    #[error("{text}")]
    Tls {
        /// What they offer and this profile allows.
        text: String,
    },
    /// Something stood in clear behind AUTH TLS: somebody between tried to have it taken for what came inside TLS.
    #[error("commands stood in clear behind AUTH TLS: they were not carried out (CVE-2011-0411)")]
    Injected,
    /// No login in time.
    #[error("no login within {seconds} seconds")]
    NoLogin {
        /// The bound.
        seconds: u64,
    },
    /// Nothing to do.
    #[error("no command for {seconds} seconds")]
    Idle {
        /// The bound.
        seconds: u64,
    },
    /// Too many wrong logins.
    #[error("{count} logins were refused")]
    Logins {
        /// How many.
        count: u32,
    },
    /// Too many commands that lead to nothing.
    #[error("too many commands were refused, or came before a login or while a transfer ran")]
    Flood,
    /// The gateway stops.
    #[error("the gateway is stopping")]
    Stopped,
}

impl SessionError {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Lost { text: error.to_string() },
        }
    }
}

/// What a session did.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// The login that was let in.
    pub login: Option<String>,
    /// Commands answered.
    pub requests: u64,
    /// Octets of files received.
    pub octets_in: u64,
    /// Octets of files sent.
    pub octets_out: u64,
    /// Why it ended, if not by QUIT.
    pub error: Option<SessionError>,
}

/// Serves a connection on which nothing was said yet, to its end.
pub async fn serve(mut link: Link, parts: Parts) -> Served {
    if let Err(error) = link.take_urgent_in_line() {
        tracing::debug!(%error, "urgent data will be lost");
    }
    session::Session::new(link, parts).serve().await
}
