//! Transfers: receiving, sending, requesting and controlling them. The database decides what state may follow which; here
//! is what happens around these steps.

mod brought;
mod control;
mod extra;
mod failure;
mod incoming;
mod outgoing;
mod ranges;
mod reopen;
mod secured;
mod source;
mod submit;
mod upload;

pub use brought::{Brought, name_of_path};
pub use control::{Control, Window, controlled};
pub use extra::Extra;
pub(crate) use failure::{db_error, store_error};
pub use incoming::{Committed, Incoming};
pub use outgoing::Outgoing;
pub(crate) use outgoing::{Downloads, Progress};
pub(crate) use ranges::Ranges;
pub(crate) use reopen::{Base, is_unrouted};
pub use secured::Secured;
pub use source::Source;
pub(crate) use source::payload_uuid;
pub use submit::Request;
pub(crate) use submit::commands_fit;
pub(crate) use upload::{Body, Offer, Uploads};

/// End reasons (transfers.md 12.1).
pub mod reason {
    /// None.
    pub const NONE: i64 = 0;
    /// We have no room for one more connection as responder.
    pub const NO_ROOM_RESPONDER: i64 = 6;
    /// The object store failed.
    pub const STORE: i64 = 17;
    /// The transfer failed.
    pub const TRANSFER: i64 = 165;
    /// The connection failed.
    pub const CONNECTION: i64 = 166;
    /// The content is not what it was.
    pub const INTEGRITY: i64 = 196;
}
