//! The end of a staged file: final chunk, digest, list and trailer, all of it durable. Blocking.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::body::{Body, nonce, remove_if_there, write};
use super::format::{CHUNK_OCTETS, IN_PLACE_AT, Kind, TRAILER_OCTETS, encode_list, encode_part, encode_trailer, wide};
use super::saved::Hash;
use super::{StoreError, StoredInfo};

impl Body {
    /// Writes the tail, at most one chunk, as the final one, then list and trailer, and makes all durable.
    pub(super) fn finish(&mut self, tail: &[Bytes]) -> Result<StoredInfo, StoreError> {
        self.settle()?;
        let mut tail = tail.concat();
        let mut hashed = 0;
        if tail.is_empty() && self.flushed > 0 {
            let last = self.flushed / CHUNK_OCTETS - 1;
            tail = self.load(last)?;
            self.flushed = last.saturating_mul(CHUNK_OCTETS);
            hashed = tail.len();
        }
        if self.marks.overfull {
            self.copy_under_fresh_key()?;
            hashed = 0;
        }
        self.open()?;
        let size = self.flushed.saturating_add(wide(tail.len()));
        let sha256 = self.digest(&tail, hashed)?;
        self.write_record(self.flushed / CHUNK_OCTETS, Kind::Final, &tail)?;
        let info = StoredInfo { size, sha256 };
        self.write_end(&info)?;
        self.sync()?;
        Ok(info)
    }

    fn write_end(&mut self, info: &StoredInfo) -> Result<(), StoreError> {
        let opened = self.opened.as_ref().ok_or(StoreError::Absent { uuid: self.uuid })?;
        let (suite, cipher, listed) = (opened.header.suite, opened.cipher.as_ref(), &self.marks.listed);
        let list = match listed.len() {
            0 => Vec::new(),
            _ => encode_part(cipher, Kind::List, nonce()?, encode_list(listed))?,
        };
        let trailer = encode_part(cipher, Kind::Trailer, nonce()?, encode_trailer(info, listed.len()))?;
        let (at, doing) = (suite.body_end(info.size), "ending a staged file");
        if opened.header.in_place {
            write(&opened.file, &[&[0]], IN_PLACE_AT)?;
        }
        write(&opened.file, &[&list, &trailer], at)?;
        let end = at.saturating_add(wide(list.len())).saturating_add(TRAILER_OCTETS);
        let there = opened.file.octets().map_err(|e| StoreError::io(doing, &e))?;
        if there != end {
            opened.file.set_len(end).map_err(|e| StoreError::io(doing, &e))?;
        }
        Ok(())
    }

    /// Digest of the whole file; the first `hashed` octets of `tail` are in the running hash already.
    fn digest(&mut self, tail: &[u8], hashed: usize) -> Result<Option<[u8; 32]>, StoreError> {
        let mut hash = match &self.hash {
            Hash::Off => return Ok(None),
            Hash::Running(hash) => {
                let mut hash = hash.clone();
                hash.update(tail.get(hashed..).unwrap_or_default());
                return Ok(Some(hash.finalize().into()));
            }
            Hash::Lost => Sha256::new(),
        };
        for index in 0..self.flushed / CHUNK_OCTETS {
            hash.update(self.load(index)?);
        }
        hash.update(tail);
        Ok(Some(hash.finalize().into()))
    }

    /// Copies the flushed chunks into a new file, so that each is sealed once under the new key.
    fn copy_under_fresh_key(&mut self) -> Result<(), StoreError> {
        let mut copy = Self::new(self.staging.clone(), self.uuid);
        copy.path = self.staging.copy_path(self.uuid);
        remove_if_there(&self.staging, &copy.path)?;
        for index in 0..self.flushed / CHUNK_OCTETS {
            copy.append(&[self.load(index)?.into()])?;
        }
        copy.open()?;
        copy.settle()?;
        let renamed = self.staging.parts.disk.rename(&copy.path, &self.path);
        renamed.map_err(|e| StoreError::io("renaming a staged file", &e))?;
        copy.path = self.path.clone();
        *self = copy;
        Ok(())
    }
}
