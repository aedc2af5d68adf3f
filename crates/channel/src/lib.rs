//! Connections: listening, dialling, and what goes on top: TLS, the SSH transport, posts to web servers, letters to mail
//! servers.
//! The one room that names the libraries of SSH and TLS.
//!
//! A carrier gets [`Pipe`]s of octets and knows nothing of packets, windows or keys; who may log in is asked through
//! [`Authenticator`], whom we reached through [`HostKeyChecker`]. Protocols that run over TLS or in clear get a [`Link`].

mod admission;
mod data;
mod dial;
mod link;
mod listen;
mod mail;
mod ssh;
mod tls;
mod tunnel;
mod web;

pub use admission::{Admission, AdmissionCounts, AdmissionLimits, Refused, Ticket};
pub use data::{DataListener, dial_data};
pub use dial::{CallError, Target, call_link};
pub use link::Link;
pub use listen::{Accepted, Listener};
pub use mail::{Envelope, MailDoor, MailError, MailLogin, MailTls, RECIPIENTS_MAX, send_mail};
pub use ssh::client::{ClientKey, ClientParams, HostKeyChecker, SshClient, connect_ssh};
pub use ssh::error::{AlgorithmClass, SshError};
pub use ssh::pipe::{Closed, Pipe, PipeInput, PipeOutput};
pub use ssh::probe::{Offered, Probed, probe_ssh};
pub use ssh::report::{Negotiated, SessionReport};
pub use ssh::server::{Answer, Authenticator, ChannelService, Limits, Methods, ServerParams, serve_ssh};
pub use tls::{
    BeforeTls, OwnCertificate, ShownChain, TlsClient, TlsError, TlsProbed, TlsRefusal, TlsServer, TlsSession,
    TrustSource, path_mode, probe_tls, templates,
};
pub use tunnel::{Tunnel, TunnelKind};
pub use web::{WebAnswer, WebDoor, WebError, WebLine};
