//! What the service manager hands over, and what it is told: states, sockets, credentials, priorities of log lines. And
//! what the system must not do with our memory.
//!
//! Everything works without a service manager, too: nothing is handed over then, and nothing is told.

mod credentials;
mod dumps;
mod journal;
mod liveness;
mod notify;
mod sockets;

pub(crate) use credentials::{credential, database_url, master_credential};
pub(crate) use dumps::forbid_dumps;
pub(crate) use journal::{JournalWriter, is_journal};
pub(crate) use liveness::Liveness;
pub(crate) use notify::Notifier;
pub(crate) use sockets::HandedSockets;
