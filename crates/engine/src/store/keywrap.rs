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

    /// Whether `wrapped` was wrapped by the key that wraps now.
    fn is_current(&self, _wrapped: &[u8]) -> bool {
        false
    }
}

impl KeyWrap for MasterKey {
    fn wrap(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.seal(aad, plain).map_err(|e| StoreError::Key { doing: "wrapped", why: e.to_string() })
    }

    fn unwrap_key(&self, aad: &[u8], wrapped: &[u8]) -> Result<Secret<Vec<u8>>, StoreError> {
        self.open(aad, wrapped).map_err(|e| StoreError::Key { doing: "unwrapped", why: e.to_string() })
    }

    fn is_current(&self, wrapped: &[u8]) -> bool {
        keys::sealed_key_id(wrapped).is_some_and(|id| id == self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ErrorKind, FileUuid, InlinePayload};
    use super::*;

    // STO-22: what the real master key wraps opens for the same file only, and under the same key only.
    #[test]
    fn the_master_key_wraps() {
        let (key, other) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        let wrapped = key.wrap(b"place", b"data key").unwrap();
        assert_eq!(key.unwrap_key(b"place", &wrapped).unwrap().expose(), b"data key");
        for result in [key.unwrap_key(b"other place", &wrapped), other.unwrap_key(b"place", &wrapped)] {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Key);
        }
        let empty = key.wrap(b"place", b"").unwrap();
        assert!(key.unwrap_key(b"place", &empty).unwrap().expose().is_empty());
        let uuid = FileUuid([1; 16]);
        let (payload, info) = InlinePayload::build(&key, uuid, &[7; 16 << 10], true).unwrap();
        assert_eq!(payload.open(&key, uuid, &info).unwrap()[..], [7; 16 << 10]);
        assert_eq!(
            InlinePayload::build(&key, uuid, &[7; (16 << 10) + 1], true).unwrap_err().kind(),
            ErrorKind::Invalid
        );
    }
}
