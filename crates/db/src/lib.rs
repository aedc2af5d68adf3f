//! The database: objects, their history and audit; transfers, payload records, captures, lock-out.
//!
//! One task writes. It gathers operations into a transaction, each in a savepoint of its own, and answers each caller
//! after the commit, so that what a caller was told survives a crash. Reads use a small pool beside it.

use std::sync::Arc;

use base::Clock;

mod audit;
mod captures;
mod error;
mod logins;
mod objects;
mod payloads;
mod records;
mod sql;
mod state;
mod transfers;
mod writer;

pub use audit::{Actor, Audit, AuditFault, AuditFilter, AuditReport, AuditResult, AuditRow, Entry};
pub use captures::{Cap, CaptureCaps, CaptureOutcome, CaptureRow, Captures, NewCapture};
pub use error::{DbError, Referrer};
pub use logins::{BlockPolicy, LoginBlocks, Meta, SeenKey, SeenKeys};
pub use objects::{Change, CredentialRow, Credentials, HistoryRow, NewCredential, NewObject, Objects};
pub use payloads::{INLINE_OCTETS_MAX, Payloads};
pub use records::{
    CommitReceived, DueQuery, EntryQuery, Inserted, NewPayload, NewTransfer, Outcome, Payload, PayloadBody, PayloadState,
    Step, Transfer, TransferChange, TransferFilter,
};
pub use state::{Direction, Mode, RouteState, State, TradeState, TransferType, full_state};
pub use transfers::{Routing, Transfers};
pub use writer::{Pending, Urgency};

/// How to open a database.
#[derive(Clone, Debug)]
pub struct DbOptions {
    /// Path of a SQLite file, or `postgres://user:password@host/name`.
    pub url: String,
    /// Where times of history and audit come from.
    pub clock: Arc<dyn Clock>,
}

/// An open database. Clones are the same database.
#[derive(Clone, Debug)]
pub struct Db {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Arc<dyn Clock>,
}

impl Db {
    /// Opens a database, makes it if it is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// [`DbError::Open`], [`DbError::Newer`], [`DbError::MigrationChanged`], [`DbError::Locked`].
    pub async fn open(options: DbOptions) -> Result<Self, DbError> {
        todo!()
    }
    /// Writes what is queued and closes all connections. Operations of other clones then fail with
    /// [`DbError::Closed`].
    pub async fn close(&self) {
        todo!()
    }
    /// Whether the database answers (readiness).
    ///
    /// # Errors
    /// If it does not.
    pub async fn ping(&self) -> Result<(), DbError> {
        todo!()
    }
    /// Configured objects.
    #[must_use]
    pub const fn objects(&self) -> Objects<'_> {
        Objects(self)
    }
    /// Keys.
    #[must_use]
    pub const fn credentials(&self) -> Credentials<'_> {
        Credentials(self)
    }
    /// Captured keys.
    #[must_use]
    pub const fn captures(&self) -> Captures<'_> {
        Captures(self)
    }
    /// The audit.
    #[must_use]
    pub const fn audit(&self) -> Audit<'_> {
        Audit(self)
    }
    /// Transfers.
    #[must_use]
    pub const fn transfers(&self) -> Transfers<'_> {
        Transfers(self)
    }
    /// Stored contents.
    #[must_use]
    pub const fn payloads(&self) -> Payloads<'_> {
        Payloads(self)
    }
    /// Lock-out.
    #[must_use]
    pub const fn login_blocks(&self) -> LoginBlocks<'_> {
        LoginBlocks(self)
    }
    /// Settings and marks.
    #[must_use]
    pub const fn meta(&self) -> Meta<'_> {
        Meta(self)
    }
    /// Duplicates.
    #[must_use]
    pub const fn seen(&self) -> SeenKeys<'_> {
        SeenKeys(self)
    }
}
