//! Keys that partners showed and nobody has judged yet (AUTO-1 to AUTO-7).

use base::{ObjectId, UtcMicros};
use model::ObjectState;

use crate::{Db, DbError};

/// Most records that a capture may lead to (AUTO-6). Records that a person has judged are not counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CaptureCaps {
    /// For each source address.
    pub per_source: i64,
    /// For each gate or site.
    pub per_gate: i64,
    /// In all.
    pub total: i64,
    /// Of `total`, kept for partners that are known.
    pub reserve: i64,
}

/// A key whose owner proved that it is his.
#[derive(Clone, Debug)]
pub struct NewCapture {
    /// As `ED25519`.
    pub algorithm: String,
    /// Size in bits.
    pub bits: u32,
    /// SHA-256 of the SSH form.
    pub fingerprint: [u8; 32],
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub spki_sha256: [u8; 32],
    /// SSH form.
    pub public_blob: Vec<u8>,
    /// Gate that it was shown at, or the site whose server showed it.
    pub gate: String,
    /// Login name it came with; empty for a host key.
    pub login: String,
    /// Address, IPv4 or IPv6 /64, as the caller counts them.
    pub source: String,
    /// Group of the key object (profile's, else `GDEFAULT`).
    pub group: String,
    /// Comment: the partner's name.
    pub comment: String,
    /// Whether the partner is a known one (it may use the reserve).
    pub known: bool,
    /// Random hex for the object.
    pub uid: String,
    /// Now.
    pub at: UtcMicros,
    /// Limits.
    pub caps: CaptureCaps,
}

/// What became of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CaptureOutcome {
    /// A new key object waits for a person.
    Stored {
        /// Object.
        id: ObjectId,
        /// Its generated name.
        alias: String,
    },
    /// The store has it already; nothing new was made (AUTO-2).
    Known {
        /// Object.
        id: ObjectId,
        /// Its name.
        alias: String,
        /// Its group.
        group: String,
        /// Its state; `Disabled` also means: rejected.
        state: ObjectState,
        /// How often it was shown at this gate.
        tries: i64,
    },
    /// A limit was reached; nothing was stored (AUTO-6).
    Full(Cap),
}

/// Which limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cap {
    /// Of the source.
    Source,
    /// Of the gate.
    Gate,
    /// Of the store.
    Total,
    /// What is left is for known partners.
    Reserve,
}

/// A captured key as stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaptureRow {
    /// Its key object.
    pub id: ObjectId,
    /// Name of the object.
    pub alias: String,
    /// Group of the object.
    pub group: String,
    /// State of the object.
    pub state: ObjectState,
    /// As `ED25519`.
    pub algorithm: String,
    /// Size in bits.
    pub bits: u32,
    /// SHA-256 of the SSH form.
    pub fingerprint: [u8; 32],
    /// Gate or site.
    pub gate: String,
    /// Login name.
    pub login: String,
    /// Source address.
    pub source: String,
    /// First seen.
    pub at: UtcMicros,
    /// Last seen.
    pub last_at: UtcMicros,
    /// How often shown.
    pub tries: i64,
}

/// Captures of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct Captures<'a>(pub(crate) &'a Db);

impl Captures<'_> {
    /// Records a shown key: object in state TO_CHECK, credential, capture, notice, audit in one transaction.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn record(&self, new: NewCapture) -> Result<CaptureOutcome, DbError> {
        todo!()
    }
    /// Captures, newest first; with `pending` only those that wait for a person.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list(&self, pending: bool) -> Result<Vec<CaptureRow>, DbError> {
        todo!()
    }
    /// Captures of one key by the name of its object (one for each gate).
    ///
    /// # Errors
    /// If the database fails.
    pub async fn by_alias(&self, alias: &str) -> Result<Vec<CaptureRow>, DbError> {
        todo!()
    }
    /// Captures of one key (one for each gate).
    ///
    /// # Errors
    /// If the database fails.
    pub async fn by_fingerprint(&self, fingerprint: &[u8; 32]) -> Result<Vec<CaptureRow>, DbError> {
        todo!()
    }
}
