//! Renaming, removing and stamping one's own uploads; folders of the virtual tree are made by operators.

use std::sync::Arc;

use base::UtcMicros;
use db::{RouteState, State, Transfer, TransferChange};
use model::DuplicatePolicy;

use crate::admit::Admitted;
use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::events::Event;
use crate::transfer::{Extra, db_error, is_unrouted};
use crate::vfd::files::Named;
use crate::vfd::mount::{self, Spot};
use crate::vfd::place::{Folder, Place, View, denied, nothing};
use crate::vfd::{VPath, is_temporary};

impl Engine {
    /// Renames the session's own upload as long as it went nowhere; its settle time begins anew (DESIGN 1.3).
    /// `overwrite`: an older upload of the new name gives way, as the folder's duplicate policy says.
    ///
    /// # Errors
    /// [`Cause::NotFound`]; [`Cause::Denied`] without the right to write either name; [`Cause::Exists`];
    /// [`Cause::Busy`] if it was routed meanwhile; [`Cause::Unsupported`] for folders.
    pub async fn rename(
        self: &Arc<Self>,
        who: &Admitted,
        (from, to): (&VPath, &VPath),
        overwrite: bool,
    ) -> Result<(), TransferError> {
        let view = self.view(who)?;
        let (old, new) = match (view.place(from)?, view.place(to)?) {
            (Place::File(of, on), Place::File(nf, nn)) => ((of, on), (nf, nn)),
            (Place::Mount(a, old), Place::Mount(b, new)) if a.path == b.path => {
                return mount::rename(
                    &Spot::new(&view, (&a, &old), from),
                    &Spot::new(&view, (&b, &new), to),
                    overwrite,
                )
                .await;
            }
            (Place::File(..), Place::Dir(_)) => {
                return Err(TransferError::refuse(Cause::Exists, format!("{to} is a folder")));
            }
            _ => {
                let text = format!("{from} can't become {to}: folders and mounts keep their place");
                return Err(TransferError::refuse(Cause::Unsupported, text));
            }
        };
        if !view.file_rights(&old.0, &old.1).write || !view.file_rights(&new.0, &new.1).write {
            return Err(denied("rename", from));
        }
        if self.open_upload(&who.site, &old.0.file(&old.1)).is_some() {
            return Err(TransferError::refuse(Cause::Busy, format!("{from} is being written: close it first")));
        }
        let file = self.named(&view, &old.0, &old.1).await?.whole.ok_or_else(|| nothing(from))?;
        if old.0.path == new.0.path && old.1 == new.1 {
            return Ok(());
        }
        let taken = self.named(&view, &new.0, &new.1).await?;
        self.make_way(&taken, &new.0, (to, overwrite)).await?;
        self.rename_record(&file, &new.0, &new.1, who.settle).await
    }

    async fn make_way(
        &self,
        taken: &Named,
        folder: &Folder,
        (to, overwrite): (&VPath, bool),
    ) -> Result<(), TransferError> {
        if let Some(partial) = &taken.partial {
            self.give_up_partial(partial.id, "another file was renamed to its name").await?;
        }
        let Some(older) = &taken.whole else { return Ok(()) };
        let exists = || TransferError::refuse(Cause::Exists, format!("{to} is there already"));
        match folder.duplicates() {
            _ if !overwrite => Err(exists()),
            DuplicatePolicy::Forbid => Err(exists()),
            DuplicatePolicy::Override => self.give_up(older.id, "another file was renamed to its name").await,
            // Both files came, so both are routed; the newer has the name.
            DuplicatePolicy::Duplicate => {
                let mut change = TransferChange::fields(older.id, self.clock.now());
                change.listed = Some(false);
                self.db.transfers().apply(change).await.map(drop).map_err(|e| db_error(&e))
            }
        }
    }

    async fn rename_record(
        &self,
        file: &Transfer,
        folder: &Folder,
        name: &str,
        settle: std::time::Duration,
    ) -> Result<(), TransferError> {
        let _alone = self.records.of(file.id).await;
        let now = self.clock.now();
        let current = self.db.transfers().get(file.id).await.map_err(|e| db_error(&e))?;
        let current = current.filter(is_unrouted).ok_or_else(|| {
            TransferError::refuse(Cause::Busy, "the file has been passed on already: upload it under the new name")
        })?;
        let after = now.plus(settle);
        let mut change = TransferChange::fields(file.id, now);
        change.renamed = Some((folder.path.clone(), name.to_owned()));
        change.unrouted = true;
        change.next_try_at = Some(after);
        let wanted = if is_temporary(name) { RouteState::NotRouted } else { RouteState::ToRoute };
        change.route_state = (current.route_state.may_become(wanted)).then_some(wanted);
        self.db.transfers().apply(change).await.map_err(|e| db_error(&e))?;
        if wanted == RouteState::ToRoute {
            self.settling.at(after);
        }
        Ok(())
    }

    /// Removes a file: the session's own upload that went nowhere, or one at its disposal. The record stays.
    ///
    /// # Errors
    /// [`Cause::NotFound`]; [`Cause::Denied`] without the right to delete; [`Cause::Busy`] if it is open.
    pub async fn remove(self: &Arc<Self>, who: &Admitted, path: &VPath) -> Result<(), TransferError> {
        let view = self.view(who)?;
        let (folder, name) = match view.place(path)? {
            Place::Dir(_) => return Err(TransferError::refuse(Cause::IsDirectory, format!("{path} is a folder"))),
            Place::Mount(dir, below) => return mount::remove(&Spot::new(&view, (&dir, &below), path)).await,
            Place::File(folder, name) => (folder, name),
        };
        let named = self.named(&view, &folder, &name).await?;
        let newest = named.readable().into_iter().chain(named.partial.as_ref()).max_by_key(|t| t.id);
        let file = newest.ok_or_else(|| nothing(path))?;
        if !view.file_rights(&folder, &file.file_name).delete {
            return Err(denied("delete", path));
        }
        if file.state == State::Servicing && self.is_downloading(file.id) {
            return Err(TransferError::refuse(Cause::Busy, format!("{path} is being read: close it first")));
        }
        match file.direction {
            db::Direction::In => {
                self.take_over(&who.site, &folder.file(&name)).await;
                self.remove_upload(file).await
            }
            db::Direction::Out => self.remove_offered(file).await,
        }
    }

    async fn remove_upload(&self, file: &Transfer) -> Result<(), TransferError> {
        let current = self.db.transfers().get(file.id).await.map_err(|e| db_error(&e))?;
        match current {
            Some(t) if is_unrouted(&t) || t.state == State::Interrupted => {
                if let Some(began_with) = t.dup_from {
                    let base = self.db.transfers().get(began_with).await.map_err(|e| db_error(&e))?;
                    if let Some(base) = base.filter(is_unrouted) {
                        self.give_up(base.id, "removed by the partner").await?;
                    }
                }
                self.give_up(t.id, "removed by the partner").await
            }
            Some(t) if t.state == State::Deleted => Ok(()),
            _ => {
                Err(TransferError::refuse(Cause::Busy, "the file has been passed on already: it can't be removed here"))
            }
        }
    }

    async fn remove_offered(&self, file: &Transfer) -> Result<(), TransferError> {
        let mut change = TransferChange::to(file.id, State::Cancelled, self.clock.now());
        change.note = "removed by the partner".to_owned();
        change.listed = Some(false);
        self.db.transfers().apply(change).await.map_err(|e| db_error(&e))?;
        self.events.emit(Event::Cancelled { transfer: file.id, text: "removed by the partner".to_owned() });
        Ok(())
    }

    /// Makes a folder; only below a mount.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] in virtual folders; else those of the mount.
    pub async fn mkdir(&self, who: &Admitted, path: &VPath) -> Result<(), TransferError> {
        let view = self.view(who)?;
        match view.place(path)? {
            Place::Mount(dir, below) => mount::mkdir(&Spot::new(&view, (&dir, &below), path)).await,
            Place::Dir(_) => Err(TransferError::refuse(Cause::Exists, format!("{path} is there already"))),
            Place::File(..) => Err(virtual_only(path)),
        }
    }

    /// Removes an empty folder; only below a mount.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] in virtual folders; else those of the mount.
    pub async fn rmdir(&self, who: &Admitted, path: &VPath) -> Result<(), TransferError> {
        let view = self.view(who)?;
        match view.place(path)? {
            Place::Mount(dir, below) => mount::rmdir(&Spot::new(&view, (&dir, &below), path)).await,
            Place::Dir(_) => Err(virtual_only(path)),
            Place::File(..) => Err(nothing(path)),
        }
    }

    /// Keeps the time of change that a client gives to its own upload; for others it is accepted and has no effect.
    ///
    /// # Errors
    /// [`Cause::NotFound`].
    pub async fn set_times(&self, who: &Admitted, path: &VPath, modified: UtcMicros) -> Result<(), TransferError> {
        let view = self.view(who)?;
        match view.place(path)? {
            Place::Mount(dir, below) => mount::set_times(&Spot::new(&view, (&dir, &below), path), modified).await,
            Place::Dir(_) => Ok(()),
            Place::File(folder, name) => self.stamp(&view, (&folder, &name), path, modified).await,
        }
    }

    async fn stamp(
        &self,
        view: &View<'_>,
        (folder, name): (&Folder, &str),
        path: &VPath,
        modified: UtcMicros,
    ) -> Result<(), TransferError> {
        let named = self.named(view, folder, name).await?;
        if let Some(file) = &named.whole {
            let mut change = TransferChange::fields(file.id, self.clock.now());
            change.extra_json = Some(Extra { modified: Some(modified), ..Extra::of(file) }.json());
            self.db.transfers().apply(change).await.map_err(|e| db_error(&e))?;
            return Ok(());
        }
        if named.partial.is_some() || named.offered.is_some() { Ok(()) } else { Err(nothing(path)) }
    }
}

fn virtual_only(path: &VPath) -> TransferError {
    TransferError::refuse(
        Cause::Unsupported,
        format!("{path} is in the virtual tree, whose folders are made by an operator"),
    )
}
