//! What a session asks of the virtual folder: a door, so that a session can be tried against a folder in memory.
//!
//! The words are those of `engine`: paths, entries, errors. The doors between are only as wide as protocols need them.

use async_trait::async_trait;
use base::UtcMicros;
use bytes::Bytes;
use engine::{Entry, OpenWrite, Space, TransferError, VPath};

/// The files of one partner who is logged in. Rights, quotas and visibility are decided behind it.
#[async_trait]
pub trait Folder: Send + Sync {
    /// Where relative names begin.
    fn home(&self) -> VPath;
    /// The time of day, to show dates of files by.
    fn now(&self) -> UtcMicros;
    /// What is known of a name.
    async fn stat(&self, path: &VPath) -> Result<Entry, TransferError>;
    /// Everything in a directory that the partner may see, without `.` and `..`.
    async fn list(&self, path: &VPath) -> Result<Vec<Entry>, TransferError>;
    /// Opens a file for reading.
    async fn open_read(&self, path: &VPath) -> Result<Box<dyn Download>, TransferError>;
    /// Opens a file for writing.
    async fn open_write(&self, path: &VPath, how: OpenWrite) -> Result<Box<dyn Upload>, TransferError>;
    /// Gives a file or directory another name; `overwrite` takes the place of what is there.
    async fn rename(&self, from: &VPath, to: &VPath, overwrite: bool) -> Result<(), TransferError>;
    /// Deletes a file.
    async fn remove(&self, path: &VPath) -> Result<(), TransferError>;
    /// Makes a directory.
    async fn mkdir(&self, path: &VPath) -> Result<(), TransferError>;
    /// Deletes an empty directory.
    async fn rmdir(&self, path: &VPath) -> Result<(), TransferError>;
    /// Sets the time of last change.
    async fn set_times(&self, path: &VPath, modified: UtcMicros) -> Result<(), TransferError>;
    /// SHA-256 of a whole file, if it is known.
    async fn digest(&self, path: &VPath) -> Result<Option<[u8; 32]>, TransferError>;
    /// The largest file that may be uploaded; none: no bound.
    fn upload_octets_max(&self) -> Option<u64>;
    /// Room that is left.
    async fn space(&self) -> Result<Space, TransferError>;
}

/// A file that is arriving. Dropping it interrupts it.
#[async_trait]
pub trait Upload: Send {
    /// Octets up to the highest one written.
    fn size(&self) -> u64;
    /// Writes `data` at `offset`.
    async fn write_at(&mut self, offset: u64, data: Bytes) -> Result<(), TransferError>;
    /// Reads back at most `len` octets; none at the end.
    async fn read_at(&mut self, offset: u64, len: u32) -> Result<Bytes, TransferError>;
    /// Cuts or extends it.
    async fn truncate(&mut self, size: u64) -> Result<(), TransferError>;
    /// Brings what was written to the disk.
    async fn sync(&mut self) -> Result<(), TransferError>;
    /// Sets the time of last change.
    async fn set_times(&mut self, modified: UtcMicros) -> Result<(), TransferError>;
    /// The file is complete: makes it durable.
    async fn commit(self: Box<Self>) -> Result<Durable, TransferError>;
    /// The rest does not come: keeps what is there, to be resumed.
    async fn interrupt(self: Box<Self>);
}

/// A file that is leaving. Dropping it ends it as not closed.
#[async_trait]
pub trait Download: Send {
    /// Octets.
    fn size(&self) -> u64;
    /// Time of last change.
    fn modified(&self) -> UtcMicros;
    /// Reads at most `len` octets; none at the end.
    async fn read_at(&mut self, offset: u64, len: u32) -> Result<Bytes, TransferError>;
    /// The reader needs no more of it; `closed` says that it said so itself.
    async fn finish(self: Box<Self>, closed: bool) -> Result<(), TransferError>;
}

/// Proof that a file is durable, without which no upload is acknowledged. Made from the engine's own proof only.
#[derive(Debug)]
pub struct Durable {
    size: u64,
}

impl Durable {
    /// Octets of the file.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// What a folder in memory says, which nothing survives.
    #[cfg(any(test, fuzzing))]
    pub(crate) const fn pretended(size: u64) -> Self {
        Self { size }
    }
}

impl From<engine::Committed> for Durable {
    fn from(done: engine::Committed) -> Self {
        Self { size: done.size }
    }
}
