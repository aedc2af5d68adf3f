//! Orphans.
use std::time::Duration;
use async_trait::async_trait;
use base::UtcMicros;
use super::{FileUuid, Store, StoreError};

/// Whoever knows which payloads exist: the database.
#[async_trait]
pub trait Known: Send + Sync {
    /// Those of `uuids` that have a row which still wants them staged, or committed.
    ///
    /// # Errors
    /// The text of whatever went wrong; the sweep then stops.
    async fn known(&self, uuids: &[FileUuid], staged: bool) -> Result<Vec<FileUuid>, String>;
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Swept {
    /// Files looked at.
    pub seen: u64,
    /// Orphans removed.
    pub removed: u64,
    /// Octets they had.
    pub octets: u64,
}

/// Removes files that nobody knows.
///
/// # Errors
/// Whatever the disk says.
#[allow(clippy::todo)]
pub async fn sweep(_store: &dyn Store, _known: &dyn Known, _now: UtcMicros, _grace: Duration) -> Result<Swept, StoreError> { todo!() }
