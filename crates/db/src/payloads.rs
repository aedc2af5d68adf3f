//! Records of stored contents.

use base::{PayloadId, UtcMicros};

use crate::records::Payload;
use crate::{Db, DbError, Pending};

/// Most sealed octets of a payload kept in the database.
pub const INLINE_OCTETS_MAX: usize = 16 * 1024 + 256;

/// Payloads of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct Payloads<'a>(pub(crate) &'a Db);

impl Payloads<'_> {
    /// A number that no payload has or had. Almost always at once.
    ///
    /// # Errors
    /// If a block cannot be reserved.
    pub async fn next_id(&self) -> Result<PayloadId, DbError> {
        todo!()
    }
    /// Records a file that is being written.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn stage(&self, id: PayloadId, uuid: &str, store: &str) -> Result<(), DbError> {
        todo!()
    }
    /// Records how far a staged file is durable, and the sealed state of its running hash.
    ///
    /// # Errors
    /// If the database is closed.
    pub async fn checkpoint(
        &self,
        id: PayloadId,
        durable_to: i64,
        hash_state: Option<Vec<u8>>,
    ) -> Result<Pending<()>, DbError> {
        todo!()
    }
    /// One payload, with its inline octets.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn get(&self, id: PayloadId) -> Result<Option<Payload>, DbError> {
        todo!()
    }
    /// A transfer no longer uses it; when nobody does, it may be purged after `purge_after`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn release(&self, id: PayloadId, purge_after: UtcMicros) -> Result<(), DbError> {
        todo!()
    }
    /// Payloads that nobody uses and whose time is over.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn purgeable(&self, now: UtcMicros, limit: u32) -> Result<Vec<Payload>, DbError> {
        todo!()
    }
    /// Payloads still being written, to be matched with files after a crash.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn staging(&self) -> Result<Vec<Payload>, DbError> {
        todo!()
    }
    /// Their files are gone.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn purged(&self, ids: Vec<PayloadId>) -> Result<(), DbError> {
        todo!()
    }
}
