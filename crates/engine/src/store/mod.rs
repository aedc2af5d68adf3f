//! Where the octets of files are kept: staged while they arrive, stored for good once committed (DESIGN 4, STO-15).
//!
//! A file that arrives is [`Staged`]: it can be written anywhere, read, cut, suspended, and it is always local. A commit
//! turns it into an immutable [`Stored`] file of the backend, or, up to 16 KiB, into an [`InlinePayload`] for the
//! database row, so that a small file costs no synchronisation of its own. Content is sealed with a key of its own for
//! each file (STO-22), which the [`KeyWrap`] wraps (STO-25); the format is `GHP1`, see `format.rs`.
//!
//! Nothing here knows the database. The order for a caller is: commit, then one transaction; sweep what a crash between
//! the two left over.

mod body;
mod committed;
mod disk;
mod error;
mod finish;
mod format;
mod inline;
mod keywrap;
pub mod local;
mod options;
mod past;
mod resume;
pub mod s3;
mod saved;
mod staged;
mod stored;
mod sweep;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;

pub use disk::{Disk, DiskFile, Entry, Found, RealDisk, Space};
pub use error::{ErrorKind, Part, StoreError};
pub(crate) use inline::bound as inline_bound;
pub use inline::{INLINE_OCTETS_MAX, InlinePayload};
pub use keywrap::KeyWrap;
pub use options::{StoreLimits, StoreOptions, StoreParts};
pub(crate) use saved::bound as upload_bound;
pub use staged::Staged;
pub use stored::Stored;
pub use sweep::{Known, Swept, sweep, sweep_staged};

/// Names a payload for life: random, part of everything that is sealed for it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FileUuid(pub [u8; 16]);

impl FileUuid {
    /// A new name.
    ///
    /// # Errors
    /// [`StoreError`] of kind `Io` if the system has no random numbers.
    pub fn random() -> Result<Self, StoreError> {
        base::random().map(Self).map_err(|e| StoreError::io("random numbers", &e))
    }
}

impl fmt::Display for FileUuid {
    /// 32 lower-case hexadecimal digits, as in file names and the database.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base::hex(&self.0))
    }
}

impl FromStr for FileUuid {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let octets = base::unhex(text).and_then(|octets| octets.try_into().ok());
        octets.map(Self).ok_or(StoreError::Name { given: base::octets_text(text.as_bytes()) })
    }
}

/// What is known of a stored file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StoredInfo {
    /// Octets of the content.
    pub size: u64,
    /// SHA-256 of the content; `None` if the store hashes nothing.
    pub sha256: Option<[u8; 32]>,
}

/// What a commit gave. The content is durable for [`Sealed::File`]; for [`Sealed::Inline`] it is once its row is.
#[derive(Debug)]
pub enum Sealed {
    /// At most 16 KiB, for the database row (`payload.inline_sealed`).
    Inline(InlinePayload, StoredInfo),
    /// A file of the backend.
    File(StoredInfo),
}

impl Sealed {
    /// Size and digest, whichever form it has.
    #[must_use]
    pub const fn info(&self) -> &StoredInfo {
        match self {
            Self::Inline(_, info) | Self::File(info) => info,
        }
    }
}

/// How far a staged file is durable, and what is needed to go on with it (`payload.durable_to`, `payload.hash_state`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Saved {
    /// Octets from the start that outlive a crash, once this is in the database. Only a file whose durable octets were
    /// being changed in place (which does not happen when it arrives in order) may come back with fewer.
    pub durable_to: u64,
    /// Sealed: the last chunk of the content, the running hash, and what else is needed; up to 160 KiB.
    pub state: Vec<u8>,
}

/// What was found when a staged file was opened again.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is taken apart at once")]
pub enum Resumed {
    /// It goes on; [`Staged::size`] tells from where.
    Staged(Staged),
    /// A crash came between its commit and the caller's transaction: it is whole and durable under its final name.
    Complete(StoredInfo),
}

/// Where uploads to a remote store are written down while they are under way: what a dead node leaves unfinished there
/// costs room until somebody gives it up.
#[async_trait]
pub trait UploadLog: Send + Sync + fmt::Debug {
    /// An upload is about to be begun; durable when this returns.
    ///
    /// # Errors
    /// A text that tells what went wrong; the upload is then not begun.
    async fn begin(&self, uuid: FileUuid) -> Result<(), String>;

    /// It has this number; durable when this returns, and before any content goes.
    ///
    /// # Errors
    /// A text that tells what went wrong; nothing is then sent.
    async fn begun(&self, uuid: FileUuid, upload_id: &str) -> Result<(), String>;

    /// It is finished, or given up.
    ///
    /// # Errors
    /// A text that tells what went wrong.
    async fn ended(&self, uuid: FileUuid) -> Result<(), String>;

    /// Uploads that are written down by this node, or by nodes that are no longer there.
    ///
    /// # Errors
    /// A text that tells what went wrong.
    async fn left(&self) -> Result<Vec<FileUuid>, String>;
}

/// A place for committed files: the door for another backend, such as an object store. Staging is always local.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// Name of the backend, as in [`STORES`] and `payload.store`.
    fn name(&self) -> &'static str;

    /// Mark of the staging folder: nodes that share the folder see the same one.
    fn holder(&self) -> &str;

    /// Gives a remote backend the place where it writes down what it begins.
    fn attach(&self, _log: Arc<dyn UploadLog>) {}

    /// Gives up uploads to a remote store that nobody is at work on, with `all` also those that nobody wrote down and
    /// that are old. Gives how many there were.
    ///
    /// # Errors
    /// Whatever the store says; the next call finds the rest.
    async fn give_up_uploads(&self, _all: bool) -> Result<u64, StoreError> {
        Ok(0)
    }

    /// Begins a file. Touches no disk until there is more than a buffer of it.
    fn create(&self, uuid: FileUuid) -> Staged;

    /// Goes on with a staged file after a suspension or a crash; tail chunks that do not open are dropped.
    ///
    /// # Errors
    /// Kind `Absent` if it is gone although some of it was durable, `Busy` if another holder writes it.
    async fn resume(&self, uuid: FileUuid, saved: &Saved) -> Result<Resumed, StoreError>;

    /// Makes the file final and durable. On error the staged file stays as after a crash: resume or discard it.
    ///
    /// # Errors
    /// Whatever the disk says; nothing is then visible under the final name.
    async fn commit(&self, staged: Staged) -> Result<Sealed, StoreError>;

    /// Opens a committed file and checks that it is the one that `info` (of the database) tells of.
    ///
    /// # Errors
    /// Kind `Absent`, or `Corrupt` if header, length, size or digest differ.
    async fn open(&self, uuid: FileUuid, info: &StoredInfo) -> Result<Stored, StoreError>;

    /// Opens content that stands in its database row.
    ///
    /// # Errors
    /// Kind `Corrupt` if it does not open or differs from `info`.
    fn open_inline(&self, uuid: FileUuid, payload: &InlinePayload, info: &StoredInfo) -> Result<Stored, StoreError>;

    /// Removes a committed file; it may be gone already.
    ///
    /// # Errors
    /// Whatever the disk says.
    async fn remove(&self, uuid: FileUuid) -> Result<(), StoreError>;

    /// Removes a staged file; it may be gone already.
    ///
    /// # Errors
    /// Whatever the disk says.
    async fn discard(&self, uuid: FileUuid) -> Result<(), StoreError>;

    /// Wraps the data key of a committed file anew with the present master key; the content is not rewritten (STO-25).
    ///
    /// # Errors
    /// As for `open`; after an error the old or the new wrapping opens.
    async fn rewrap(&self, uuid: FileUuid) -> Result<(), StoreError>;

    /// Where a committed file of this name lies, or would lie, on a disk of this machine, to be copied as it is; `None` for a
    /// backend that keeps its files elsewhere.
    fn path_of(&self, _uuid: FileUuid) -> Option<PathBuf> {
        None
    }

    /// Whether the data key of a file is wrapped by another master key than the present one. One that is gone needs
    /// nothing.
    ///
    /// # Errors
    /// Whatever the disk says.
    async fn needs_rewrap(&self, uuid: FileUuid, staged: bool) -> Result<bool, StoreError>;

    /// As [`Self::rewrap`], for a staged file that nobody has open.
    ///
    /// # Errors
    /// Kind `Busy` if it is open; else as for `rewrap`.
    async fn rewrap_staged(&self, uuid: FileUuid) -> Result<(), StoreError>;

    /// Staged files that are there.
    ///
    /// # Errors
    /// Whatever the disk says.
    async fn staged_files(&self) -> Result<Vec<Found>, StoreError>;

    /// Committed files whose name begins with the octet `first`: 256 calls show all.
    ///
    /// # Errors
    /// Whatever the disk says.
    async fn committed_files(&self, first: u8) -> Result<Vec<Found>, StoreError>;

    /// Octets of the disk that uploads leave free.
    fn reserve_octets(&self) -> u64 {
        0
    }

    /// Room on the disk of the staging folder.
    ///
    /// # Errors
    /// Whatever the disk says.
    async fn space(&self) -> Result<Space, StoreError>;
}

/// Opens a backend from its parts.
pub type OpenStore = fn(StoreParts) -> Result<Arc<dyn Store>, StoreError>;

/// A new backend is its folder and one line here.
pub static STORES: &[(&str, OpenStore)] = &[(local::NAME, local::open), (s3::NAME, s3::open)];

/// Opens the backend called `name`.
///
/// # Errors
/// Kind `Invalid` for a name that is not in [`STORES`]; else what the backend says.
pub fn open_store(name: &str, parts: StoreParts) -> Result<Arc<dyn Store>, StoreError> {
    let found = STORES.iter().find(|(known, _)| *known == name);
    let (_, open) = found.ok_or_else(|| StoreError::Backend { given: base::octets_text(name.as_bytes()) })?;
    open(parts)
}
