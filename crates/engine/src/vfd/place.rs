//! From the path of a session to what stands there: a virtual folder, a name in one, or something in a mount.

use std::sync::Arc;

use model::{DirType, DisplayOption, DuplicatePolicy, FileRights, Kind, ObjectState, Snapshot, VfdDir, VfdRight};

use crate::admit::Admitted;
use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::vfd::VPath;
use crate::vfd::path::text_of;

/// What stands at a path.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A virtual folder, which exists.
    Dir(Folder),
    /// A name in a virtual folder; there may be a file or not.
    File(Folder, String),
    /// Something below a mounted folder; an empty path is the mounted folder itself.
    Mount(Arc<VfdDir>, VPath),
}

/// A virtual folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    /// Its absolute path, as text of records.
    pub(crate) path: String,
    dir: Option<Arc<VfdDir>>,
}

impl Folder {
    pub(crate) fn duplicates(&self) -> DuplicatePolicy {
        self.dir.as_ref().map_or(DuplicatePolicy::Duplicate, |d| d.duplicates)
    }

    pub(crate) fn display(&self) -> DisplayOption {
        self.dir.as_ref().map_or(DisplayOption::Standard, |d| d.display)
    }

    /// The path of a file in it, as text of records.
    pub(crate) fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.path.trim_end_matches('/'))
    }
}

/// A session with the configuration of this moment: states of gate, site and key are looked at again at every call
/// (DESIGN 2.8), rights are those it was admitted with.
pub(crate) struct View<'a> {
    pub(crate) who: &'a Admitted,
    pub(crate) snapshot: Arc<Snapshot>,
    root: VPath,
}

impl Engine {
    /// What `who` may look at now.
    ///
    /// # Errors
    /// [`Cause::Denied`] if its gate, site or key was disabled meanwhile, [`Cause::Stopping`] if the engine stops.
    pub(crate) fn view<'a>(&self, who: &'a Admitted) -> Result<View<'a>, TransferError> {
        let snapshot = self.snapshot();
        if self.is_stopping() {
            return Err(TransferError::retry(Cause::Stopping, "the gateway is stopping: come back later"));
        }
        for (kind, name) in still_needed(who) {
            if snapshot.object(kind, name).is_none_or(|o| o.state != ObjectState::Enabled) {
                let text = format!(
                    "{kind} {name} was disabled since the login of {}: enable it, or end the session",
                    who.login
                );
                return Err(TransferError::refuse(Cause::Denied, text));
            }
        }
        Ok(View { who, snapshot, root: VPath::from_text(&who.root_dir)? })
    }

    /// Where a session begins, as it sees it.
    #[must_use]
    pub fn home(&self, who: &Admitted) -> VPath {
        let home = VPath::from_text(&who.home_dir).unwrap_or_default();
        let root = VPath::from_text(&who.root_dir).unwrap_or_default();
        home.below(&root).unwrap_or_default()
    }
}

fn still_needed(who: &Admitted) -> Vec<(Kind, &str)> {
    let mut needed = vec![(Kind::Cgate, who.gate.as_str())];
    // A dynamic site is no object.
    if !who.site.starts_with('$') {
        needed.push((Kind::RemoteSite, &who.site));
    }
    needed.extend(who.key.as_deref().map(|key| (Kind::Key, key)));
    needed.extend(who.certificate.as_deref().map(|name| (Kind::Certificate, name)));
    needed
}

impl View<'_> {
    /// What stands at `path`.
    ///
    /// # Errors
    /// [`Cause::NotFound`] if the folder of a file does not exist, or not for this session.
    pub(crate) fn place(&self, path: &VPath) -> Result<Place, TransferError> {
        let whole = self.root.join(path);
        if let Some(mount) = self.mount(&whole) {
            return Ok(mount);
        }
        if let Some(folder) = self.folder(&whole) {
            return Ok(Place::Dir(folder));
        }
        let (Some(parent), Some(name)) = (whole.parent(), whole.name()) else { return Err(nothing(path)) };
        let folder = self.folder(&parent).ok_or_else(|| nothing(path))?;
        Ok(Place::File(folder, text_of(name)))
    }

    /// Folders in `folder` that the session may know of.
    pub(crate) fn folders_in(&self, folder: &Folder) -> Vec<Arc<VfdDir>> {
        let children = self.snapshot.vfd_children(&folder.path);
        children.filter(|dir| sees(&self.who.rights, &dir.path)).cloned().collect()
    }

    /// What the session may do with a file.
    pub(crate) fn file_rights(&self, folder: &Folder, name: &str) -> FileRights {
        model::file_rights(&self.who.rights, &folder.path, name)
    }

    /// Whether the session may list a folder.
    pub(crate) fn lists(&self, folder: &str) -> bool {
        model::dir_rights(&self.who.rights, folder).list
    }

    fn mount(&self, whole: &VPath) -> Option<Place> {
        let mut above = Some(whole.clone());
        while let Some(path) = above {
            if let Some(dir) = self.snapshot.vfd(&path.text())
                && matches!(dir.dir_type, DirType::Mount(_))
                && sees(&self.who.rights, &dir.path)
            {
                return Some(Place::Mount(dir.clone(), whole.below(&path).unwrap_or_default()));
            }
            above = path.parent();
        }
        None
    }

    /// The virtual folder at `whole`, if it exists for this session: it is configured, or leads to one that is, or to the
    /// session's home; and a right holds in it or below, or it leads home.
    fn folder(&self, whole: &VPath) -> Option<Folder> {
        let path = whole.text();
        let dir = self.snapshot.vfd(&path).cloned();
        let leads_home = model::within(&self.who.home_dir, &path) || model::within(&self.who.root_dir, &path);
        let exists = dir.is_some() || leads_home || self.snapshot.vfd_children(&path).next().is_some();
        (exists && (leads_home || sees(&self.who.rights, &path))).then_some(Folder { path, dir })
    }
}

/// Whether any right holds in the folder or below it.
fn sees(rights: &[VfdRight], folder: &str) -> bool {
    rights.iter().any(|r| r.covers(folder) || model::within(&r.path, folder))
}

/// No such file: the same words whether it does not exist or may not be seen.
pub(crate) fn nothing(path: &VPath) -> TransferError {
    TransferError::refuse(Cause::NotFound, format!("{path} does not exist, or not for this login"))
}

pub(crate) fn denied(what: &str, path: &VPath) -> TransferError {
    TransferError::refuse(Cause::Denied, format!("the right to {what} {path} is missing: give it at the gate"))
}
