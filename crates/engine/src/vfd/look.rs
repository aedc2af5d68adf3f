//! Looking: `stat`, `list`, reading, space.

use std::sync::Arc;

use base::UtcMicros;
use db::Transfer;

use crate::admit::{Admitted, Way};
use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::limits::NAME_OCTETS_MAX;
use crate::transfer::{Extra, Outgoing, db_error, store_error};
use crate::vfd::VPath;
use crate::vfd::entry::{Entry, EntryKind, Space};
use crate::vfd::mount::{self, Spot};
use crate::vfd::path::octets_of;
use crate::vfd::place::{Folder, Place, View, denied, nothing};

/// Octets of a block in [`Space`].
const BLOCK: u64 = 4096;

impl Engine {
    /// What stands at `path`. The uploader also sees its own upload that is under way or interrupted (DESIGN 1.1).
    ///
    /// # Errors
    /// [`Cause::NotFound`], also for what the session may not see.
    pub async fn stat(&self, who: &Admitted, path: &VPath) -> Result<Entry, TransferError> {
        let view = self.view(who)?;
        match view.place(path)? {
            Place::Dir(folder) => Ok(dir_entry(path.name().unwrap_or_default(), &folder.path, &view)),
            Place::File(folder, name) => self.stat_file(&view, &folder, (&name, path)).await,
            Place::Mount(dir, below) => mount::stat(&Spot::new(&view, (&dir, &below), path)).await,
        }
    }

    async fn stat_file(
        &self,
        view: &View<'_>,
        folder: &Folder,
        (name, path): (&str, &VPath),
    ) -> Result<Entry, TransferError> {
        // An upload that is open has a size that no record knows yet.
        if let Some(slot) = self.open_upload(&view.who.site, &folder.file(name))
            && slot.is_open().await
        {
            let mut entry = partial_entry(path, slot.size(), self.clock.now());
            entry.transfer = Some(slot.id);
            return Ok(entry);
        }
        let mut named = self.named(view, folder, name).await?;
        if let Some(partial) = &mut named.partial
            && !self.can_go_on_here(partial).await?
        {
            // Whoever resumes begins anew; that there is nothing at all would make its client give up.
            partial.done_octets = 0;
        }
        let rights = view.file_rights(folder, name);
        let whole = named.readable();
        match (named.partial.as_ref(), whole) {
            (Some(partial), whole) if whole.is_none_or(|w| w.id < partial.id) => {
                let size = u64::try_from(partial.done_octets).unwrap_or(0);
                Ok(Entry { transfer: Some(partial.id), ..partial_entry(path, size, partial.created_at) })
            }
            (_, Some(whole)) if rights.read || rights.write || view.lists(&folder.path) => {
                Ok(file_entry(path.name().unwrap_or_default().to_vec(), whole, view, folder))
            }
            _ => Err(nothing(path)),
        }
    }

    /// Entries of a folder, without `.` and `..`.
    ///
    /// # Errors
    /// [`Cause::NotFound`], [`Cause::NotDirectory`]; [`Cause::Denied`] without the right to list.
    pub async fn list(&self, who: &Admitted, path: &VPath) -> Result<Vec<Entry>, TransferError> {
        let view = self.view(who)?;
        let folder = match view.place(path)? {
            Place::Dir(folder) => folder,
            Place::Mount(dir, below) => return mount::list(&Spot::new(&view, (&dir, &below), path)).await,
            Place::File(folder, name) => {
                let named = self.named(&view, &folder, &name).await?;
                return Err(match named.readable() {
                    Some(_) => TransferError::refuse(Cause::NotDirectory, format!("{path} is a file")),
                    None => nothing(path),
                });
            }
        };
        if !view.lists(&folder.path) {
            return Err(denied("list", path));
        }
        let folders = view.folders_in(&folder);
        let mut entries: Vec<Entry> =
            folders.iter().map(|dir| dir_entry(&octets_of(dir.file_name()), &dir.path, &view)).collect();
        for (name, t) in self.listed(&view, &folder).await? {
            entries.push(file_entry(octets_of(&name), &t, &view, &folder));
        }
        Ok(entries)
    }

    /// Opens a file for reading: one at the site's disposal, or the session's own upload that went nowhere yet.
    ///
    /// # Errors
    /// [`Cause::NotFound`], [`Cause::IsDirectory`]; [`Cause::Denied`] without the right to read; [`Cause::Integrity`] if
    /// the content does not open; [`Cause::Quota`].
    pub async fn open_read(self: &Arc<Self>, who: &Admitted, path: &VPath) -> Result<Outgoing, TransferError> {
        let view = self.view(who)?;
        let meter = self.begin_paced(who, Way::Download)?;
        let (folder, name) = match view.place(path)? {
            Place::Dir(_) => return Err(TransferError::refuse(Cause::IsDirectory, format!("{path} is a folder"))),
            Place::Mount(dir, below) => {
                let mounted = mount::open_read(self, &Spot::new(&view, (&dir, &below), path)).await;
                return mounted.map(|file| file.paced(meter));
            }
            Place::File(folder, name) => (folder, name),
        };
        let named = self.named(&view, &folder, &name).await?;
        let file = named.readable().ok_or_else(|| nothing(path))?;
        if !view.file_rights(&folder, &file.file_name).read {
            return Err(denied("read", path));
        }
        let file = match file.direction {
            db::Direction::Out => Outgoing::offered(self, who, file).await,
            db::Direction::In => Outgoing::own(self, file).await,
        };
        file.map(|file| file.paced(meter))
    }

    /// SHA-256 of a file that a reader would get, if the store keeps it. Nothing is read for it.
    ///
    /// # Errors
    /// As for [`Engine::open_read`].
    pub async fn digest(&self, who: &Admitted, path: &VPath) -> Result<Option<[u8; 32]>, TransferError> {
        let view = self.view(who)?;
        let Place::File(folder, name) = view.place(path)? else { return Ok(None) };
        let named = self.named(&view, &folder, &name).await?;
        let file = named.readable().ok_or_else(|| nothing(path))?;
        if !view.file_rights(&folder, &file.file_name).read {
            return Err(denied("read", path));
        }
        let Some(payload) = file.payload else { return Ok(None) };
        let row = self.db.payloads().get(payload).await.map_err(|e| db_error(&e))?;
        Ok(row.and_then(|payload| payload.sha256))
    }

    /// Room for uploads.
    ///
    /// # Errors
    /// If the disk does not tell.
    pub async fn space(&self, who: &Admitted) -> Result<Space, TransferError> {
        self.view(who)?;
        let space = self.store.space().await.map_err(|e| store_error(&e))?;
        let names = u64::try_from(NAME_OCTETS_MAX).unwrap_or(u64::MAX);
        Ok(Space { block: BLOCK, blocks: space.total / BLOCK, free: space.free / BLOCK, names })
    }
}

fn dir_entry(name: &[u8], path: &str, view: &View<'_>) -> Entry {
    let changed = view.snapshot.object(model::Kind::VfdDir, path).map(|o| o.updated_at).unwrap_or_default();
    let writes = view.who.rights.iter().any(|r| r.write && r.covers(path));
    Entry {
        name: name.to_vec(),
        kind: EntryKind::Directory,
        size: 0,
        modified: changed,
        readable: view.lists(path),
        writable: writes,
        transfer: None,
    }
}

fn file_entry(name: Vec<u8>, t: &Transfer, view: &View<'_>, folder: &Folder) -> Entry {
    let rights = view.file_rights(folder, &t.file_name);
    Entry {
        name,
        kind: EntryKind::File,
        size: t.size.and_then(|s| u64::try_from(s).ok()).unwrap_or(0),
        modified: Extra::of(t).modified.or(t.ended_at).unwrap_or(t.created_at),
        readable: rights.read,
        writable: rights.write,
        transfer: Some(t.id),
    }
}

fn partial_entry(path: &VPath, size: u64, modified: UtcMicros) -> Entry {
    Entry {
        name: path.name().unwrap_or_default().to_vec(),
        kind: EntryKind::File,
        size,
        modified,
        readable: false,
        writable: true,
        transfer: None,
    }
}
