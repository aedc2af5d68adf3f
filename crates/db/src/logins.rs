//! Lock-out of sources that guess, and small things that are remembered.

use std::time::Duration;

use base::{TransferId, UtcMicros};

use crate::{Db, DbError};

/// When a source is locked out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BlockPolicy {
    /// Failures until it is locked out.
    pub fails_max: i64,
    /// Failures older than this are forgotten.
    pub window: Duration,
    /// How long it is locked out.
    pub lockout: Duration,
}

/// Failed logins of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct LoginBlocks<'a>(pub(crate) &'a Db);

impl LoginBlocks<'_> {
    /// Counts a failure. Returns until when the source is locked out, if this one made it so.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn failed(
        &self,
        gate: &str,
        source: &str,
        now: UtcMicros,
        policy: BlockPolicy,
    ) -> Result<Option<UtcMicros>, DbError> {
        todo!()
    }
    /// Until when this source is locked out of this gate.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn blocked(&self, gate: &str, source: &str, now: UtcMicros) -> Result<Option<UtcMicros>, DbError> {
        todo!()
    }
    /// Forgets failures: after a login, or by an operator.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn clear(&self, gate: &str, source: &str) -> Result<(), DbError> {
        todo!()
    }
    /// Removes what is over.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn expire(&self, now: UtcMicros) -> Result<u64, DbError> {
        todo!()
    }
}

/// Settings and marks of the instance.
#[derive(Clone, Copy, Debug)]
pub struct Meta<'a>(pub(crate) &'a Db);

impl Meta<'_> {
    /// The value of a key.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn get(&self, key: &str) -> Result<Option<String>, DbError> {
        todo!()
    }
    /// Sets the value of a key.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn set(&self, key: &str, value: &str) -> Result<(), DbError> {
        todo!()
    }
}

/// Messages and files seen before (duplicates).
#[derive(Clone, Copy, Debug)]
pub struct SeenKeys<'a>(pub(crate) &'a Db);

impl SeenKeys<'_> {
    /// Remembers a key until `until`. Returns the transfer that brought it first, if it was seen before.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn remember(
        &self,
        key: SeenKey,
        id: TransferId,
        until: UtcMicros,
    ) -> Result<Option<TransferId>, DbError> {
        todo!()
    }
}

/// What makes two messages the same.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SeenKey {
    /// Partner.
    pub site: String,
    /// Protocol.
    pub protocol: String,
    /// Hash over the protocol's own key.
    pub hash: [u8; 32],
}
