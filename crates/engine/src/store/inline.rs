//! Small payloads that live in their database row. They are sealed always, whatever the store's switches.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::error::Part;
use super::format::wide;
use super::keywrap::KeyWrap;
use super::{FileUuid, StoreError, StoredInfo};

/// Octets of content that still go inline.
pub const INLINE_OCTETS_MAX: usize = 16 << 10;

/// Sealed content for the column `payload.inline_sealed`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InlinePayload(Vec<u8>);

impl InlinePayload {
    /// Seals `content`, bound to `uuid` and its size; `hash` asks for its SHA-256.
    ///
    /// # Errors
    /// Kind `Invalid` above [`INLINE_OCTETS_MAX`], `Key` if the key can't seal.
    pub fn build(
        keys: &dyn KeyWrap,
        uuid: FileUuid,
        content: &[u8],
        hash: bool,
    ) -> Result<(Self, StoredInfo), StoreError> {
        let size = wide(content.len());
        if content.len() > INLINE_OCTETS_MAX {
            return Err(StoreError::Size { size, max: wide(INLINE_OCTETS_MAX) });
        }
        let sha256 = hash.then(|| Sha256::digest(content).into());
        let sealed = keys.wrap(&bound(uuid, size), content)?;
        Ok((Self(sealed), StoredInfo { size, sha256 }))
    }

    /// Opens it, as the row's `info` describes it.
    ///
    /// # Errors
    /// Kind `Corrupt` if it does not open or has another digest.
    pub fn open(&self, keys: &dyn KeyWrap, uuid: FileUuid, info: &StoredInfo) -> Result<Bytes, StoreError> {
        let damaged = StoreError::corrupt(uuid, Part::Chunk(0));
        let plain = keys.unwrap_key(&bound(uuid, info.size), &self.0).map_err(|_| damaged)?;
        let same = info.sha256.is_none_or(|sha256| sha256[..] == Sha256::digest(plain.expose())[..]);
        if !same || wide(plain.expose().len()) != info.size {
            return Err(StoreError::corrupt(uuid, Part::Whole));
        }
        Ok(Bytes::copy_from_slice(plain.expose()))
    }

    /// As read from the database.
    #[must_use]
    pub const fn from_row(sealed: Vec<u8>) -> Self {
        Self(sealed)
    }

    /// As it goes into the database.
    #[must_use]
    pub fn sealed(&self) -> &[u8] {
        &self.0
    }
}

/// What the content is bound to.
pub(crate) fn bound(uuid: FileUuid, size: u64) -> Vec<u8> {
    let mut aad = b"gatehouse inline payload ".to_vec();
    aad.extend(uuid.0);
    aad.extend(size.to_be_bytes());
    aad
}
