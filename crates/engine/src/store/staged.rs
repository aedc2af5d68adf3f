//! A file while it arrives.

use bytes::Bytes;

use super::{FileUuid, Saved, StoreError};

/// A file while it arrives.
#[derive(Debug)]
pub struct Staged { uuid: FileUuid }

#[allow(missing_docs, clippy::missing_errors_doc, clippy::todo)]
impl Staged {
    pub const fn uuid(&self) -> FileUuid { self.uuid }
    pub fn size(&self) -> u64 { todo!() }
    pub async fn write_at(&mut self, _offset: u64, _octets: Bytes) -> Result<(), StoreError> { todo!() }
    pub async fn read_at(&mut self, _offset: u64, _len: usize) -> Result<Bytes, StoreError> { todo!() }
    pub async fn truncate(&mut self, _size: u64) -> Result<(), StoreError> { todo!() }
    pub async fn sync(&mut self) -> Result<Saved, StoreError> { todo!() }
    pub fn checkpoint(&mut self) -> Option<Saved> { todo!() }
    pub async fn suspend(self) -> Result<Saved, StoreError> { todo!() }
    pub async fn discard(self) -> Result<(), StoreError> { todo!() }
}
