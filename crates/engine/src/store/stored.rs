//! A committed file, read.

use bytes::Bytes;

use super::{StoreError, StoredInfo};

/// A committed file, open for reading.
#[derive(Debug)]
pub struct Stored { info: StoredInfo }

#[allow(missing_docs, clippy::missing_errors_doc, clippy::todo)]
impl Stored {
    pub const fn info(&self) -> &StoredInfo { &self.info }
    pub async fn read_at(&mut self, _offset: u64, _len: usize) -> Result<Bytes, StoreError> { todo!() }
}
