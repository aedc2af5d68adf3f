//! Connections: listening, dialling, and the SSH transport on top. The one room that names the SSH library.
//!
//! A carrier gets [`Pipe`]s of octets and knows nothing of packets, windows or keys; who may log in is asked through
//! [`Authenticator`], whom we reached through [`HostKeyChecker`].

mod admission;
mod dial;
mod listen;
mod ssh;

pub use admission::{Admission, AdmissionCounts, AdmissionLimits, Refused, Ticket};
pub use dial::Target;
pub use listen::{Accepted, Listener};
pub use ssh::client::{ClientParams, HostKeyChecker, SshClient, connect_ssh};
pub use ssh::error::{AlgorithmClass, SshError};
pub use ssh::pipe::{Closed, Pipe, PipeInput, PipeOutput};
pub use ssh::probe::{Offered, Probed, probe_ssh};
pub use ssh::report::{Negotiated, SessionReport};
pub use ssh::server::{Answer, Authenticator, ChannelService, Limits, Methods, ServerParams, serve_ssh};
