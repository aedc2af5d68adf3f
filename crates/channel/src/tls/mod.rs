//! TLS with partners, and towards web and mail servers that we call on our own behalf. The one place that names the TLS
//! library.
//!
//! A [`TlsServer`] or [`TlsClient`] is one profile, ready for use. What they put on a connection comes through [`Secured`],
//! so that another library can serve old partners beside the present one. Who the partner is, is decided by [`keys::verify`]
//! with what is stored at that moment ([`TrustSource`]); this module only asks, and proves that the partner has the key.

mod ahead;
mod client;
mod identity;
mod judge;
mod names;
mod probe;
mod records;
mod refusal;
mod server;
mod session;
mod signing;
mod tickets;
mod verifier;
mod web;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use base::UtcMicros;
use keys::verify::TrustStore;
use tokio::io::{AsyncRead, AsyncWrite};

pub use self::client::TlsClient;
pub use self::identity::OwnCertificate;
pub use self::judge::{path_mode, templates};
pub use self::probe::{BeforeTls, TlsProbed, probe_tls};
pub use self::refusal::{ShownChain, TlsRefusal};
pub use self::server::TlsServer;
pub use self::session::TlsSession;
pub use self::web::TlsError;
pub(crate) use self::web::{Trust, told};

/// What is trusted at this moment. Asked for every handshake, resumed ones too.
pub trait TrustSource: Send + Sync {
    /// Certificates and revocation lists of the store.
    fn store(&self) -> Arc<TrustStore>;
    /// The time by which certificates are judged.
    fn now(&self) -> UtcMicros;
}

/// A stream with TLS on it.
pub(crate) trait SecureStream: AsyncRead + AsyncWrite + Send + Sync + Unpin {
    /// Ends our direction without announcing it, when all that was written is out.
    fn poll_end_unannounced(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// What a handshake gives.
pub(crate) struct Secured {
    pub(crate) stream: Box<dyn SecureStream>,
    pub(crate) session: TlsSession,
    /// Whether the end of the stream is announced, and must be by the partner.
    pub(crate) close_notify: bool,
}

pub(crate) type Handshake<'a> = Pin<Box<dyn Future<Output = Result<Secured, TlsRefusal>> + Send + 'a>>;
