//! The backend `s3`: committed files are objects of an S3-compatible store, `payload/ab/<uuid>.ghp` below a prefix, with
//! the same octets that the local backend has. Staged files are local.
//!
//! A commit finishes the staged file, sends it, and removes it. A file of more than one part is an upload that can be left
//! unfinished, and costs room until somebody gives it up. So it is written down in the database before it is begun, and
//! its number before its first part goes; whoever finds it written down by a node that is no longer there, or by a try of
//! this node that is over, gives it up, and asks the store for others of the same name, in case one was begun whose number
//! did not get into the database.

mod bucket;
mod http;
mod options;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;

pub use options::{S3Credentials, S3Options};

use super::body::{Body, Staging, remove_if_there};
use super::committed::{open_as_told, resume_or_whole};
use super::disk::DiskFile;
use super::error::Part;
use super::format::HEADER_OCTETS;
use super::local::{self, check_folder, list_staged, mark, rewrap};
use super::resume::read_header;
use super::staged::blocking;
use super::stored::SealedFile;
use super::{
    FileUuid, Found, InlinePayload, Resumed, Saved, Sealed, Space, Staged, Store, StoreError, StoreParts, Stored,
    StoredInfo, UploadLog,
};
use crate::sync::lock;
use bucket::{Bucket, Headed, PART_OCTETS};

/// Name of the backend.
pub const NAME: &str = "s3";
/// Age at which an unfinished upload is given up whoever began it: no node is at work on one for so long.
const UNFINISHED_MAX: Duration = Duration::from_secs(24 * 3600);
/// Octets read in one step: each is a request.
const READ_OCTETS: usize = 2 << 20;

/// Opens the store. Needs a tokio runtime.
///
/// # Errors
/// [`StoreError`] if the staging folder or the options cannot be used. Whether the bucket is there shows later.
pub fn open(mut parts: StoreParts) -> Result<Arc<dyn Store>, StoreError> {
    let options = parts.s3.take().ok_or(StoreError::Remote {
        doing: "opening the object store",
        text: "no bucket is given: set [store] bucket".to_owned(),
    })?;
    parts.limits.read_octets = READ_OCTETS;
    let folder = parts.folder.join("staging");
    parts.disk.make_folder(&folder).map_err(|e| StoreError::io("making a folder", &e))?;
    check_folder(&*parts.disk, &folder)?;
    let holder = mark(&*parts.disk, &parts.folder)?;
    let bucket = Arc::new(Bucket::open(options)?);
    let staging = Arc::new(Staging { folder, parts });
    let inner = Inner { bucket, log: OnceLock::new(), active: Mutex::default() };
    Ok(Arc::new(S3Store { staging, holder, inner: Arc::new(inner) }))
}

struct S3Store {
    staging: Arc<Staging>,
    holder: String,
    inner: Arc<Inner>,
}

struct Inner {
    bucket: Arc<Bucket>,
    log: OnceLock<Arc<dyn UploadLog>>,
    /// Uploads that this program is at work on now.
    active: Mutex<HashSet<FileUuid>>,
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store").field("staging", &self.staging.folder).finish_non_exhaustive()
    }
}

/// An upload is active as long as this lives.
struct Active<'a>(&'a Inner, FileUuid);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        lock(&self.0.active).remove(&self.1);
    }
}

impl Inner {
    /// Makes an object of a finished file. Blocking.
    fn put(&self, uuid: FileUuid, file: &dyn DiskFile) -> Result<(), StoreError> {
        let octets = file.octets().map_err(|e| StoreError::io("reading a finished file", &e))?;
        if octets <= PART_OCTETS {
            return self.bucket.put(uuid, file);
        }
        let log = self.log()?;
        let told =
            |done: Result<(), String>| done.map_err(|text| StoreError::Remote { doing: "recording an upload", text });
        lock(&self.active).insert(uuid);
        let _active = Active(self, uuid);
        let runtime = &self.bucket.runtime;
        told(runtime.block_on(log.begin(uuid)))?;
        let upload_id = self.bucket.begin(uuid)?;
        let sent = match told(runtime.block_on(log.begun(uuid, &upload_id))) {
            Ok(()) => self.bucket.send(uuid, &upload_id, file),
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            // If this fails, too, what is written down is found by the next look.
            if runtime.block_on(self.bucket.abort(uuid, &upload_id)).is_ok() {
                told(runtime.block_on(log.ended(uuid)))?;
            }
            return Err(error);
        }
        if let Err(error) = told(runtime.block_on(log.ended(uuid))) {
            tracing::debug!(%error, "a finished upload is still written down: there is nothing to give up");
        }
        Ok(())
    }

    fn log(&self) -> Result<&Arc<dyn UploadLog>, StoreError> {
        let missing = || StoreError::Remote { doing: "recording an upload", text: "nothing records it".to_owned() };
        self.log.get().ok_or_else(missing)
    }

    fn open(&self, staging: &Staging, uuid: FileUuid) -> Result<SealedFile, StoreError> {
        SealedFile::open(self.bucket.file(uuid)?, &*staging.parts.keys, uuid)
    }

    /// Gives up uploads that nobody is at work on; gives how many there were.
    async fn give_up(&self, all: bool, now: base::UtcMicros) -> Result<u64, StoreError> {
        let log = self.log()?;
        let told = |text| StoreError::Remote { doing: "looking for recorded uploads", text };
        let mut given_up = 0_u64;
        for uuid in log.left().await.map_err(told)? {
            if lock(&self.active).contains(&uuid) {
                continue;
            }
            for upload in self.bucket.unfinished(Some(uuid)).await? {
                self.bucket.abort(uuid, &upload.upload_id).await?;
                given_up = given_up.saturating_add(1);
            }
            log.ended(uuid).await.map_err(told)?;
        }
        if all {
            for upload in self.bucket.unfinished(None).await? {
                if now.since(upload.begun) > UNFINISHED_MAX && !lock(&self.active).contains(&upload.uuid) {
                    self.bucket.abort(upload.uuid, &upload.upload_id).await?;
                    given_up = given_up.saturating_add(1);
                }
            }
        }
        Ok(given_up)
    }
}

#[async_trait]
impl Store for S3Store {
    fn name(&self) -> &'static str {
        NAME
    }

    fn holder(&self) -> &str {
        &self.holder
    }

    fn attach(&self, log: Arc<dyn UploadLog>) {
        // A second one would be the same.
        let _first = self.inner.log.set(log);
    }

    async fn give_up_uploads(&self, all: bool) -> Result<u64, StoreError> {
        self.inner.give_up(all, self.staging.parts.clock.now()).await
    }

    fn create(&self, uuid: FileUuid) -> Staged {
        Staged::new(self.staging.clone(), uuid)
    }

    async fn resume(&self, uuid: FileUuid, saved: &Saved) -> Result<Resumed, StoreError> {
        let inner = self.inner.clone();
        resume_or_whole(&self.staging, uuid, saved, move |staging| inner.open(staging, uuid)).await
    }

    async fn commit(&self, staged: Staged) -> Result<Sealed, StoreError> {
        let inner = self.inner.clone();
        let place = Box::new(move |body: &Body| {
            let file = body.opened.as_ref().map(|opened| opened.file.clone());
            let file = file.ok_or(StoreError::Absent { uuid: body.uuid })?;
            inner.put(body.uuid, &*file)?;
            // If it stays it is swept: its row no longer wants it.
            remove_if_there(&body.staging, &body.path)
        });
        staged.finish(place).await.map(Sealed::from)
    }

    async fn open(&self, uuid: FileUuid, info: &StoredInfo) -> Result<Stored, StoreError> {
        let inner = self.inner.clone();
        open_as_told(&self.staging, uuid, info, move |staging| inner.open(staging, uuid)).await
    }

    fn open_inline(&self, uuid: FileUuid, payload: &InlinePayload, info: &StoredInfo) -> Result<Stored, StoreError> {
        let content = payload.open(&*self.staging.parts.keys, uuid, info)?;
        Ok(Stored::in_memory(*info, content))
    }

    async fn remove(&self, uuid: FileUuid) -> Result<(), StoreError> {
        self.inner.bucket.remove(uuid).await
    }

    async fn discard(&self, uuid: FileUuid) -> Result<(), StoreError> {
        Staged::new(self.staging.clone(), uuid).discard().await
    }

    /// An object cannot be changed: it is put once more, with another header.
    async fn rewrap(&self, uuid: FileUuid) -> Result<(), StoreError> {
        let (staging, inner) = (self.staging.clone(), self.inner.clone());
        blocking(move || {
            let (file, keys) = (inner.bucket.file(uuid)?, &*staging.parts.keys);
            let (mut header, _) = read_header(&*file, keys, uuid)?;
            let key = header.slots.iter().find_map(|slot| keys.unwrap_key(&header.bound(), slot).ok());
            let key = key.ok_or(StoreError::corrupt(uuid, Part::Header))?;
            header.slots = [keys.wrap(&header.bound(), key.expose())?, Vec::new()];
            inner.put(uuid, &Headed { header: header.encode()?, rest: file })
        })
        .await
    }

    async fn needs_rewrap(&self, uuid: FileUuid, staged: bool) -> Result<bool, StoreError> {
        if staged {
            let staging = self.staging.clone();
            return blocking(move || local::needs_rewrap(&staging, &staging.path(uuid))).await;
        }
        match self.inner.bucket.range(uuid, 0..HEADER_OCTETS).await {
            Ok(octets) => Ok(local::is_wrapped_by_another(&octets, &*self.staging.parts.keys)),
            Err(StoreError::Absent { .. }) => Ok(false),
            Err(e) => Err(e),
        }
    }

    async fn rewrap_staged(&self, uuid: FileUuid) -> Result<(), StoreError> {
        let staging = self.staging.clone();
        blocking(move || rewrap(&staging, uuid, (&staging.path(uuid), true))).await
    }

    fn reserve_octets(&self) -> u64 {
        self.staging.parts.limits.free_octets_min
    }

    async fn staged_files(&self) -> Result<Vec<Found>, StoreError> {
        let staging = self.staging.clone();
        blocking(move || list_staged(&staging)).await
    }

    async fn committed_files(&self, first: u8) -> Result<Vec<Found>, StoreError> {
        self.inner.bucket.list(first).await
    }

    async fn space(&self) -> Result<Space, StoreError> {
        let staging = self.staging.clone();
        let look = move || staging.parts.disk.space(&staging.folder);
        blocking(move || look().map_err(|e| StoreError::io("asking for free space", &e))).await
    }
}
