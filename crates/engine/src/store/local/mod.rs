//! The backend `local`: committed files in `payload/ab/cd/<uuid>.ghp`, staged ones in `staging/<uuid>.ghs`.
//!
//! A commit synchronises the file, renames it, and synchronises the folder of its new name. The old name needs none: if
//! it comes back after a crash it is an orphan for the sweep.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use base::hex;

use crate::store::body::{Body, Staging, remove_if_there};
use crate::store::committed::{open_as_told, resume_or_whole};
use crate::store::disk::{Disk, DiskFile, Entry};
use crate::store::error::Part;
use crate::store::format::{HEADER, Header, SLOT_AT, encode_slot, wide};
use crate::store::resume::read_header;
use crate::store::staged::blocking;
use crate::store::stored::SealedFile;
use crate::store::{
    FileUuid, Found, InlinePayload, KeyWrap, Resumed, Saved, Sealed, Space, Staged, Store, StoreError, StoreParts,
    Stored, StoredInfo,
};

/// Name of the backend.
pub const NAME: &str = "local";

/// Opens the local store below `parts.folder`, which must exist.
///
/// # Errors
/// [`StoreError::Folder`] if a folder of it is not ours alone (BP-5), else what the disk says.
pub fn open(parts: StoreParts) -> Result<Arc<dyn Store>, StoreError> {
    let (payload, folder) = (parts.folder.join("payload"), parts.folder.join("staging"));
    let mut made = false;
    for path in [&payload, &folder] {
        made |= parts.disk.make_folder(path).map_err(|e| StoreError::io("making a folder", &e))?;
        check_folder(&*parts.disk, path)?;
    }
    if made {
        parts.disk.sync_folder(&parts.folder).map_err(|e| StoreError::io("making a folder", &e))?;
    }
    let holder = mark(&*parts.disk, &parts.folder)?;
    let staging = Arc::new(Staging { folder, parts });
    Ok(Arc::new(LocalStore { staging, shelves: Arc::new(Shelves { payload, making: RwLock::new(()) }), holder }))
}

/// Refuses a folder that others may look into.
pub(in crate::store) fn check_folder(disk: &dyn Disk, path: &Path) -> Result<(), StoreError> {
    let (mode, owner, ours) = disk.folder_mode(path).map_err(|e| StoreError::io("looking at a folder", &e))?;
    if ours && mode.trailing_zeros() >= 6 {
        return Ok(());
    }
    Err(StoreError::Folder { path: path.display().to_string(), mode, owner })
}

/// Name of the file beside a staging folder that tells it from others.
const MARK_FILE: &str = "staging.mark";

/// The mark of a staging folder, made at first use. Of two nodes that make it at once one wins, and both read that one.
pub(in crate::store) fn mark(disk: &dyn Disk, folder: &Path) -> Result<String, StoreError> {
    let (path, failed) = (folder.join(MARK_FILE), |e: io::Error| StoreError::io("marking the staging folder", &e));
    for _ in 0..2 {
        match disk.open(&path, false) {
            Ok(file) => {
                let mut octets = [0; MARK];
                let got = file.read_at(&mut [io::IoSliceMut::new(&mut octets)], 0).map_err(failed)?;
                if got == MARK {
                    return Ok(hex(&octets));
                }
                // Cut off by a crash: nobody has gone by it.
                disk.remove(&path).map_err(failed)?;
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(failed(e)),
        }
        let octets = base::random::<MARK>().map_err(failed)?;
        let file = match disk.create(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
            other => other.map_err(failed)?,
        };
        file.write_at(&mut [io::IoSlice::new(&octets)], 0).and_then(|()| file.sync()).map_err(failed)?;
        disk.sync_folder(folder).map_err(failed)?;
        return Ok(hex(&octets));
    }
    Err(StoreError::Worker { text: "the mark of the staging folder cannot be made: start again".to_owned() })
}

const MARK: usize = 8;

struct LocalStore {
    staging: Arc<Staging>,
    shelves: Arc<Shelves>,
    holder: String,
}

impl fmt::Debug for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalStore").field("payload", &self.shelves.payload).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for LocalStore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn holder(&self) -> &str {
        &self.holder
    }

    fn create(&self, uuid: FileUuid) -> Staged {
        Staged::new(self.staging.clone(), uuid)
    }

    async fn resume(&self, uuid: FileUuid, saved: &Saved) -> Result<Resumed, StoreError> {
        let shelves = self.shelves.clone();
        resume_or_whole(&self.staging, uuid, saved, move |staging| shelves.open(staging, uuid)).await
    }

    async fn commit(&self, staged: Staged) -> Result<Sealed, StoreError> {
        let shelves = self.shelves.clone();
        let place = Box::new(move |body: &Body| shelves.place(&*body.staging.parts.disk, body.uuid, &body.path));
        staged.finish(place).await.map(Sealed::from)
    }

    async fn open(&self, uuid: FileUuid, info: &StoredInfo) -> Result<Stored, StoreError> {
        let shelves = self.shelves.clone();
        open_as_told(&self.staging, uuid, info, move |staging| shelves.open(staging, uuid)).await
    }

    fn open_inline(&self, uuid: FileUuid, payload: &InlinePayload, info: &StoredInfo) -> Result<Stored, StoreError> {
        let content = payload.open(&*self.staging.parts.keys, uuid, info)?;
        Ok(Stored::in_memory(*info, content))
    }

    async fn remove(&self, uuid: FileUuid) -> Result<(), StoreError> {
        let (staging, path) = (self.staging.clone(), self.shelves.path(uuid));
        blocking(move || remove_if_there(&staging, &path)).await
    }

    async fn discard(&self, uuid: FileUuid) -> Result<(), StoreError> {
        Staged::new(self.staging.clone(), uuid).discard().await
    }

    async fn rewrap(&self, uuid: FileUuid) -> Result<(), StoreError> {
        let (staging, path) = (self.staging.clone(), self.shelves.path(uuid));
        blocking(move || rewrap(&staging, uuid, (&path, false))).await
    }

    async fn needs_rewrap(&self, uuid: FileUuid, staged: bool) -> Result<bool, StoreError> {
        let staging = self.staging.clone();
        let path = if staged { staging.path(uuid) } else { self.shelves.path(uuid) };
        blocking(move || needs_rewrap(&staging, &path)).await
    }

    async fn rewrap_staged(&self, uuid: FileUuid) -> Result<(), StoreError> {
        let staging = self.staging.clone();
        blocking(move || rewrap(&staging, uuid, (&staging.path(uuid), true))).await
    }

    fn path_of(&self, uuid: FileUuid) -> Option<PathBuf> {
        Some(self.shelves.path(uuid))
    }

    fn reserve_octets(&self) -> u64 {
        self.staging.parts.limits.free_octets_min
    }

    async fn staged_files(&self) -> Result<Vec<Found>, StoreError> {
        let staging = self.staging.clone();
        blocking(move || list_staged(&staging)).await
    }

    async fn committed_files(&self, first: u8) -> Result<Vec<Found>, StoreError> {
        let (staging, folder) = (self.staging.clone(), self.shelves.payload.join(hex(&[first])));
        blocking(move || {
            let mut all = Vec::new();
            for shelf in list(&*staging.parts.disk, &folder)?.iter().filter(|entry| entry.folder) {
                let entries = list(&*staging.parts.disk, &folder.join(&shelf.name))?;
                all.extend(entries.iter().filter_map(|entry| found(entry, &[".ghp"])));
            }
            Ok(all)
        })
        .await
    }

    async fn space(&self) -> Result<Space, StoreError> {
        let staging = self.staging.clone();
        let look = move || staging.parts.disk.space(&staging.folder);
        blocking(move || look().map_err(|e| StoreError::io("asking for free space", &e))).await
    }
}

/// The folders of committed files.
struct Shelves {
    payload: PathBuf,
    /// Held for writing from the making of a folder until its name is durable, and for reading by each rename: no file
    /// is told to be durable in a folder that is not.
    making: RwLock<()>,
}

impl Shelves {
    fn path(&self, uuid: FileUuid) -> PathBuf {
        let [first, second, ..] = uuid.0;
        self.payload.join(hex(&[first])).join(hex(&[second])).join(format!("{uuid}.ghp"))
    }

    fn open(&self, staging: &Staging, uuid: FileUuid) -> Result<SealedFile, StoreError> {
        let file: Arc<dyn DiskFile> = match staging.parts.disk.open(&self.path(uuid), false) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(StoreError::Absent { uuid }),
            other => other.map_err(|e| StoreError::io("opening a payload", &e))?,
        };
        SealedFile::open(file, &*staging.parts.keys, uuid)
    }

    /// Gives a finished file its final name, durably.
    fn place(&self, disk: &dyn Disk, uuid: FileUuid, from: &Path) -> Result<(), StoreError> {
        let to = self.path(uuid);
        let failed = |e: io::Error| StoreError::io("committing a payload", &e);
        let shelf = to.parent().unwrap_or(&self.payload);
        match self.rename(disk, from, &to) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.make_shelf(disk, shelf).map_err(failed)?;
                self.rename(disk, from, &to).map_err(failed)?;
            }
            other => other.map_err(failed)?,
        }
        disk.sync_folder(shelf).map_err(|e| {
            // Not durable, so not committed: back to staging. If that fails as well, it is an orphan for the sweep.
            let _undone = disk.rename(&to, from);
            failed(e)
        })
    }

    fn rename(&self, disk: &dyn Disk, from: &Path, to: &Path) -> io::Result<()> {
        let _durable = self.making.read().unwrap_or_else(PoisonError::into_inner);
        disk.rename(from, to)
    }

    fn make_shelf(&self, disk: &dyn Disk, shelf: &Path) -> io::Result<()> {
        let _making = self.making.write().unwrap_or_else(PoisonError::into_inner);
        let outer = shelf.parent().unwrap_or(&self.payload);
        if disk.make_folder(outer)? {
            disk.sync_folder(&self.payload)?;
        }
        if disk.make_folder(shelf)? {
            disk.sync_folder(outer)?;
        }
        Ok(())
    }
}

/// Writes the data key, wrapped anew, into the free slot, and only then clears the old one.
pub(in crate::store) fn rewrap(
    staging: &Staging,
    uuid: FileUuid,
    (path, staged): (&Path, bool),
) -> Result<(), StoreError> {
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => StoreError::Absent { uuid },
        _ => StoreError::io("wrapping a data key anew", &e),
    };
    let file = staging.parts.disk.open(path, true).map_err(failed)?;
    if staged && !file.lock().map_err(failed)? {
        return Err(StoreError::Busy { uuid });
    }
    let keys = &*staging.parts.keys;
    let (header, _) = read_header(&*file, keys, uuid)?;
    let opens = |slot: &Vec<u8>| keys.unwrap_key(&header.bound(), slot).ok();
    let [a, b] = SLOT_AT;
    let [first, second] = &header.slots;
    let (key, new_at, old_at) = match opens(first) {
        Some(key) => (key, b, a),
        None => (opens(second).ok_or(StoreError::corrupt(uuid, Part::Header))?, a, b),
    };
    let slot = encode_slot(&keys.wrap(&header.bound(), key.expose())?)?;
    for (octets, at) in [(slot, new_at), (encode_slot(&[])?, old_at)] {
        file.write_at(&mut [io::IoSlice::new(&octets)], wide(at)).map_err(failed)?;
        file.sync().map_err(failed)?;
    }
    Ok(())
}

/// Whether a key slot of the file holds what another key has wrapped.
pub(in crate::store) fn needs_rewrap(staging: &Staging, path: &Path) -> Result<bool, StoreError> {
    let failed = |e: io::Error| StoreError::io("reading a header", &e);
    let file = match staging.parts.disk.open(path, false) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other.map_err(failed)?,
    };
    let mut octets = vec![0; HEADER];
    let got = file.read_at(&mut [io::IoSliceMut::new(&mut octets)], 0).map_err(failed)?;
    Ok(is_wrapped_by_another(octets.get(..got).unwrap_or_default(), &*staging.parts.keys))
}

/// The same for a header. A file without one holds no key.
pub(in crate::store) fn is_wrapped_by_another(octets: &[u8], keys: &dyn KeyWrap) -> bool {
    let slots = Header::decode(octets).map(|header| header.slots).unwrap_or_default();
    slots.iter().any(|slot| !slot.is_empty() && !keys.is_current(slot))
}

/// Staged files.
pub(in crate::store) fn list_staged(staging: &Staging) -> Result<Vec<Found>, StoreError> {
    let entries = list(&*staging.parts.disk, &staging.folder)?;
    Ok(entries.iter().filter_map(|entry| found(entry, &[".copy.ghs", ".ghs"])).collect())
}

fn list(disk: &dyn Disk, folder: &Path) -> Result<Vec<Entry>, StoreError> {
    disk.list(folder).map_err(|e| StoreError::io("listing a folder", &e))
}

fn found(entry: &Entry, endings: &[&str]) -> Option<Found> {
    let name = endings.iter().find_map(|ending| entry.name.strip_suffix(ending))?;
    Some(Found { uuid: name.parse().ok()?, octets: entry.octets, changed: entry.changed })
}
