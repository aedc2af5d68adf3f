//! The door to the master key: data keys go through it, wrapped and bound to what they belong to (STO-22, STO-25).

use base::Secret;
use keys::MasterKey;

use super::StoreError;

/// Wraps small secrets: data keys, states of running hashes, inline payloads.
pub trait KeyWrap: Send + Sync {
    /// Seals `plain`, bound to `aad`.
    ///
    /// # Errors
    /// Kind `Key`.
    fn wrap(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// Opens what `wrap` gave for the same `aad`.
    ///
    /// # Errors
    /// Kind `Key` if it was altered, bound to something else, or sealed by a key we do not have.
    fn unwrap_key(&self, aad: &[u8], wrapped: &[u8]) -> Result<Secret<Vec<u8>>, StoreError>;
}

impl KeyWrap for MasterKey {
    fn wrap(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.seal(aad, plain).map_err(|e| StoreError::Key { doing: "wrapped", why: e.to_string() })
    }

    fn unwrap_key(&self, aad: &[u8], wrapped: &[u8]) -> Result<Secret<Vec<u8>>, StoreError> {
        self.open(aad, wrapped).map_err(|e| StoreError::Key { doing: "unwrapped", why: e.to_string() })
    }
}
