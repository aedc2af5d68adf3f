//! Errors of database and store, as errors of a transfer.

use db::DbError;

use crate::error::{Cause, ErrorKind, TransferError};
use crate::store::{self, StoreError};
use crate::transfer::reason;

/// What a database error means for a transfer.
pub(crate) fn db_error(error: &DbError) -> TransferError {
    let text = error.to_string();
    match error {
        DbError::NoTransfer(_) | DbError::NotFound { .. } => TransferError::refuse(Cause::NotFound, text),
        DbError::Transition { .. } | DbError::Unexpected { .. } | DbError::RouteTransition { .. } => {
            TransferError::refuse(Cause::Busy, text)
        }
        DbError::Full => TransferError::retry(Cause::NoSpace, text),
        DbError::Closed => TransferError::retry(Cause::Stopping, text),
        DbError::Corrupt { .. } => TransferError::park(Cause::Integrity, text),
        _ => TransferError::retry(Cause::Disk, text),
    }
}

/// What a store error means for a transfer.
pub(crate) fn store_error(error: &StoreError) -> TransferError {
    let text = error.to_string();
    match error.kind() {
        store::ErrorKind::NoSpace | store::ErrorKind::ReadOnly => TransferError::retry(Cause::NoSpace, text),
        store::ErrorKind::Absent | store::ErrorKind::Corrupt | store::ErrorKind::Key => {
            TransferError::park(Cause::Integrity, text)
        }
        store::ErrorKind::Busy => TransferError::retry(Cause::Busy, text),
        store::ErrorKind::Invalid => TransferError::refuse(Cause::Invalid, text),
        store::ErrorKind::Io => TransferError::retry(Cause::Disk, text),
    }
}

impl TransferError {
    /// The documented end reason (12.1) for its cause.
    #[must_use]
    pub const fn reason(&self) -> i64 {
        match self.cause {
            Cause::Connection => reason::CONNECTION,
            Cause::Integrity => reason::INTEGRITY,
            Cause::Disk | Cause::NoSpace => reason::STORE,
            _ => reason::TRANSFER,
        }
    }

    /// Whether trying the same again may help.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        self.kind == ErrorKind::Retry
    }
}
