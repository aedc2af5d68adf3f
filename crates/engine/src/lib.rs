//! The middle of the house: who may come in, what they see, how files are received, stored, routed and queued.
//!
//! Protocols translate to and from the calls of [`Engine`] and hold no rule of their own: quota, resume, checksum,
//! duplicates, rights, retries and events are here, once for all protocols. A file goes through the modules in this
//! order: [`admit`] → [`vfd`] → [`transfer`] ([`Incoming`], commit) → [`store`] → [`route`] → [`queue`] → [`Deliver`].

pub mod admit;
pub mod care;
pub mod certificates;
mod clock;
mod digest;
mod engine;
mod error;
mod events;
pub mod fetch;
pub mod handoff;
pub mod hooks;
mod housekeeping;
pub mod limits;
mod load;
mod node;
mod pulse;
pub mod queue;
pub mod route;
pub mod store;
mod sync;
#[cfg(test)]
mod tests;
pub mod transfer;
pub mod vfd;
pub mod watch;
mod why;

pub use admit::Admitted;
pub use digest::Digest;
pub use engine::{Engine, EngineOptions, EngineParts, Recovered, StartError};
pub use error::{Cause, ErrorKind, TransferError};
pub use events::{Event, Events};
pub use housekeeping::{Tidied, run_housekeeping};
pub use load::{Reloaded, Stored, reading};
pub use node::run_node;
pub use queue::{Deliver, Job, JobOutcome, JobSource, OutgoingJob, SessionOutcome, SiteStatus, run_deliveries};
pub use route::{Why, run_routing};
pub use transfer::{Brought, Committed, Control, Extra, Incoming, Outgoing, Request, Secured, Source, name_of_path};
pub use vfd::{Entry, EntryKind, OpenWrite, PathError, Space, VPath};
pub use watch::{ListenerStand, Status, Thresholds, run_outbox, run_traces, run_watch};
pub use why::Story;

/// SHA-256 of `octets`.
#[must_use]
pub fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets).as_ref());
    out
}
