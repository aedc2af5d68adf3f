//! What backends do the same way with a committed file, once they can open one. `open` blocks.

use std::sync::Arc;

use super::body::Staging;
use super::error::Part;
use super::resume::resume;
use super::staged::{Finished, blocking};
use super::stored::SealedFile;
use super::{FileUuid, Resumed, Saved, Sealed, Staged, StoreError, Stored, StoredInfo};

/// Goes on with a staged file, unless it was committed already: then `open` finds it whole.
pub(super) async fn resume_or_whole(
    staging: &Arc<Staging>,
    uuid: FileUuid,
    saved: &Saved,
    open: impl FnOnce(&Staging) -> Result<SealedFile, StoreError> + Send + 'static,
) -> Result<Resumed, StoreError> {
    let (place, told) = (staging.clone(), saved.clone());
    let found = blocking(move || {
        match open(&place) {
            Ok(whole) => return Ok(Err(whole.info)),
            Err(StoreError::Absent { .. }) => {}
            Err(e) => return Err(e),
        }
        resume(&place, uuid, &told)?.map(Ok).ok_or(StoreError::Absent { uuid })
    });
    Ok(match found.await? {
        Ok(again) => Resumed::Staged(Staged::again(staging.clone(), again)),
        Err(info) => Resumed::Complete(info),
    })
}

/// Opens a committed file, if it is what its record says.
pub(super) async fn open_as_told(
    staging: &Arc<Staging>,
    uuid: FileUuid,
    told: &StoredInfo,
    open: impl FnOnce(&Staging) -> Result<SealedFile, StoreError> + Send + 'static,
) -> Result<Stored, StoreError> {
    let place = staging.clone();
    let sealed = blocking(move || open(&place)).await?;
    let digest_differs = matches!((told.sha256, sealed.info.sha256), (Some(a), Some(b)) if a != b);
    if digest_differs || told.size != sealed.info.size {
        return Err(StoreError::corrupt(uuid, Part::Whole));
    }
    Ok(Stored::in_file(sealed, staging.parts.limits.read_octets))
}

impl From<Finished> for Sealed {
    fn from(finished: Finished) -> Self {
        match finished {
            Finished::Inline(payload, info) => Self::Inline(payload, info),
            Finished::Placed(info) => Self::File(info),
        }
    }
}
