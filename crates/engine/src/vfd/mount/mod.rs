//! Mounted real folders: everything below is real, and nothing leaves it.
//!
//! Every path is resolved by the kernel beneath the mounted folder, without symbolic links (`openat2`), so that nobody
//! who changes the tree meanwhile can lead us out of it. An upload is written under a hidden name of its own and takes its
//! final name when it is whole (TRF-20). Work with the disk runs beside the tasks, so that a slow disk stops no one else.

mod read;
pub(crate) mod real;
mod upload;

use std::sync::Arc;

use base::UtcMicros;
use model::{DirRights, DirType, FileRights, VfdDir};

use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::transfer::{Incoming, Outgoing};
use crate::vfd::path::text_of;
use crate::vfd::place::{View, denied, nothing};
use crate::vfd::{Entry, EntryKind, OpenWrite, VPath};

pub(crate) use read::MountRead;
use real::{Found, Real};
pub(crate) use upload::MountUpload;

/// Something in a mounted folder, as a session sees it.
pub(crate) struct Spot<'a> {
    view: &'a View<'a>,
    dir: &'a VfdDir,
    below: &'a VPath,
    /// The path as the client gave it, for messages.
    shown: &'a VPath,
}

impl<'a> Spot<'a> {
    pub(crate) const fn new(view: &'a View<'a>, (dir, below): (&'a VfdDir, &'a VPath), shown: &'a VPath) -> Self {
        Self { view, dir, below, shown }
    }

    fn real(&self) -> Result<Real, TransferError> {
        match &self.dir.dir_type {
            DirType::Mount(target) => Real::new(target, self.below).ok_or_else(|| nothing(self.shown)),
            DirType::Virtual => Err(nothing(self.shown)),
        }
    }

    /// The virtual path of the folder that it is in.
    fn folder(&self) -> String {
        let parent = self.below.parent().unwrap_or_default();
        if parent.is_root() { self.dir.path.clone() } else { format!("{}{}", self.dir.path, parent.text()) }
    }

    /// Its own virtual path.
    fn path(&self) -> String {
        if self.below.is_root() { self.dir.path.clone() } else { format!("{}{}", self.dir.path, self.below.text()) }
    }

    fn name(&self) -> String {
        text_of(self.below.name().unwrap_or_default())
    }

    fn file_rights(&self) -> FileRights {
        model::file_rights(&self.view.who.rights, &self.folder(), &self.name())
    }

    /// Rights in the folder that it is in.
    fn parent_rights(&self) -> DirRights {
        model::dir_rights(&self.view.who.rights, &self.folder())
    }

    fn own_rights(&self) -> DirRights {
        model::dir_rights(&self.view.who.rights, &self.path())
    }

    fn need(&self, right: bool, what: &str) -> Result<(), TransferError> {
        if right { Ok(()) } else { Err(denied(what, self.shown)) }
    }

    /// The mounted folder itself keeps its place.
    fn inside(&self) -> Result<(), TransferError> {
        if self.below.is_root() {
            let text = format!("{} is a mounted folder: it is changed by an operator", self.shown);
            return Err(TransferError::refuse(Cause::Unsupported, text));
        }
        Ok(())
    }

    fn entry(&self, name: Vec<u8>, found: &Found, rights: FileRights) -> Entry {
        Entry {
            name,
            kind: found.kind,
            size: found.size,
            modified: found.modified,
            readable: if found.kind == EntryKind::Directory { self.own_rights().list } else { rights.read },
            writable: rights.write,
            transfer: None,
        }
    }
}

/// What stands there. The uploader of an unfinished file is told its size (DESIGN 1.1).
pub(crate) async fn stat(spot: &Spot<'_>) -> Result<Entry, TransferError> {
    let real = spot.real()?;
    let name = spot.shown.name().unwrap_or_default().to_vec();
    if let Some(partial) = real.partial(&spot.view.who.site).await? {
        let rights = FileRights { read: false, ..spot.file_rights() };
        return Ok(spot.entry(name, &partial, rights));
    }
    let found = real.stat().await?.ok_or_else(|| nothing(spot.shown))?;
    let (file, parent) = (spot.file_rights(), spot.parent_rights());
    let sees = found.kind == EntryKind::Directory || file.read || file.write || parent.list;
    if sees { Ok(spot.entry(name, &found, file)) } else { Err(nothing(spot.shown)) }
}

/// Entries of a real folder.
pub(crate) async fn list(spot: &Spot<'_>) -> Result<Vec<Entry>, TransferError> {
    spot.need(spot.own_rights().list, "list")?;
    let found = spot.real()?.list().await?.ok_or_else(|| nothing(spot.shown))?;
    let path = spot.path();
    let entry = |(name, found): (Vec<u8>, Found)| {
        let rights = model::file_rights(&spot.view.who.rights, &path, &text_of(&name));
        spot.entry(name, &found, rights)
    };
    Ok(found.into_iter().map(entry).collect())
}

/// Opens a real file for reading.
pub(crate) async fn open_read(engine: &Arc<Engine>, spot: &Spot<'_>) -> Result<Outgoing, TransferError> {
    spot.need(spot.file_rights().read, "read")?;
    let file = spot.real()?.open_read().await?.ok_or_else(|| nothing(spot.shown))?;
    let record = read::record(engine, spot, &file).await?;
    Ok(Outgoing::mounted(engine, MountRead::new(file, record, &spot.view.who.site)))
}

/// Opens a real file for writing.
pub(crate) async fn open_write(
    engine: &Arc<Engine>,
    spot: &Spot<'_>,
    how: OpenWrite,
) -> Result<Incoming, TransferError> {
    spot.inside()?;
    spot.need(spot.file_rights().write, "write")?;
    let upload = upload::begin(engine, spot, how).await?;
    Ok(Incoming::mounted(engine, upload, how.append))
}

/// Renames within one mount.
pub(crate) async fn rename(from: &Spot<'_>, to: &Spot<'_>, overwrite: bool) -> Result<(), TransferError> {
    from.inside()?;
    to.inside()?;
    from.need(from.file_rights().write && from.file_rights().delete, "rename")?;
    to.need(to.file_rights().write, "write")?;
    from.real()?.rename(to.real()?, overwrite).await
}

/// Removes a file.
pub(crate) async fn remove(spot: &Spot<'_>) -> Result<(), TransferError> {
    spot.inside()?;
    spot.need(spot.file_rights().delete, "delete")?;
    spot.real()?.remove(EntryKind::File).await
}

/// Makes a folder.
pub(crate) async fn mkdir(spot: &Spot<'_>) -> Result<(), TransferError> {
    spot.inside()?;
    spot.need(spot.parent_rights().create, "create")?;
    spot.real()?.mkdir().await
}

/// Removes an empty folder.
pub(crate) async fn rmdir(spot: &Spot<'_>) -> Result<(), TransferError> {
    spot.inside()?;
    spot.need(spot.parent_rights().remove, "remove")?;
    spot.real()?.remove(EntryKind::Directory).await
}

/// Sets the time of change.
pub(crate) async fn set_times(spot: &Spot<'_>, modified: UtcMicros) -> Result<(), TransferError> {
    spot.inside()?;
    spot.need(spot.file_rights().write, "change")?;
    spot.real()?.set_times(modified).await
}
