//! Stored content, opened for reading by its number.

use base::PayloadId;
use bytes::Bytes;
use db::{Payload, PayloadBody, PayloadState};

use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::store::{FileUuid, InlinePayload, Sealed, Stored, StoredInfo};
use crate::transfer::{db_error, store_error};

/// Octets of the name that stand before inline content in its row.
const UUID_OCTETS: usize = 16;

/// The content of a file, open for reading.
#[derive(Debug)]
pub struct Source {
    stored: Stored,
}

impl From<Stored> for Source {
    fn from(stored: Stored) -> Self {
        Self { stored }
    }
}

impl Source {
    /// Octets of the file.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.stored.info().size
    }

    /// SHA-256 of the file, if the store keeps it.
    #[must_use]
    pub const fn sha256(&self) -> Option<[u8; 32]> {
        self.stored.info().sha256
    }

    /// At most `len` octets from `offset`; fewer only at the end of the file, none behind it.
    ///
    /// # Errors
    /// [`Cause::Integrity`] if a part does not open, [`Cause::Disk`] if the disk fails.
    pub async fn read_at(&mut self, offset: u64, len: u32) -> Result<Bytes, TransferError> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        self.stored.read_at(offset, len).await.map_err(|e| store_error(&e))
    }
}

impl Engine {
    /// Opens the content of a transfer.
    ///
    /// # Errors
    /// [`Cause::NotFound`] if it was purged, and those of the database and the store.
    pub(crate) async fn open_payload(&self, id: PayloadId) -> Result<Source, TransferError> {
        let row = self.db.payloads().get(id).await.map_err(|e| db_error(&e))?;
        let row = row.ok_or_else(|| purged(id))?;
        if row.state != PayloadState::Committed {
            return Err(purged(id));
        }
        let info = StoredInfo { size: u64::try_from(row.size).unwrap_or(0), sha256: row.sha256 };
        let stored = match (&row.inline_sealed, payload_uuid(&row)) {
            (Some(inline), _) => self.open_inline(inline, &info)?,
            (None, Some(uuid)) => self.store.open(uuid, &info).await.map_err(|e| store_error(&e))?,
            (None, None) => return Err(purged(id)),
        };
        Ok(Source { stored })
    }

    fn open_inline(&self, row: &[u8], info: &StoredInfo) -> Result<Stored, TransferError> {
        let damaged = || TransferError::park(Cause::Integrity, "the row of a small file is cut: restore the database");
        let (uuid, sealed) = row.split_first_chunk::<UUID_OCTETS>().ok_or_else(damaged)?;
        let payload = InlinePayload::from_row(sealed.to_vec());
        self.store.open_inline(FileUuid(*uuid), &payload, info).map_err(|e| store_error(&e))
    }
}

/// The name of the file of a payload.
pub(crate) fn payload_uuid(row: &Payload) -> Option<FileUuid> {
    row.file_uuid.as_deref().and_then(|text| text.parse().ok())
}

/// How the result of a commit goes into the database. An inline row begins with the name that its content is bound to.
pub(crate) fn payload_body(uuid: FileUuid, sealed: &Sealed, store: &str) -> PayloadBody {
    match sealed {
        Sealed::Inline(inline, _) => PayloadBody::Inline([&uuid.0[..], inline.sealed()].concat()),
        Sealed::File(_) => PayloadBody::File { uuid: uuid.to_string(), store: store.to_owned() },
    }
}

fn purged(id: PayloadId) -> TransferError {
    TransferError::park(Cause::NotFound, format!("content {id} is no longer stored: ask for the file again"))
}
