//! One open real folder: what is done in it is done beneath it, by name, without symbolic links.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use crate::error::{Cause, TransferError};
use crate::vfd::mount::real::inside;

/// Most folders below the root that a name may lie in.
const DEPTH_MAX: usize = 16;

/// An open folder of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    fd: Arc<OwnedFd>,
    shown: Arc<str>,
}

impl Folder {
    /// Opens the folder at an absolute path that an operator has configured.
    ///
    /// # Errors
    /// It is not there, is no folder, or lies in the gateway's own data folder.
    pub(crate) async fn open(path: &str, data: &Path) -> Result<Self, TransferError> {
        let (path, data) = (path.to_owned(), data.to_owned());
        blocking(&path.clone(), move || {
            let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(CWD, path.as_str(), how, Mode::empty())?;
            if !data.as_os_str().is_empty() && is_within(&path, &data) {
                return Err(Errno::XDEV);
            }
            Ok(Self { fd: Arc::new(fd), shown: path.into() })
        })
        .await
    }

    /// Works in it, beside the tasks.
    ///
    /// # Errors
    /// What the work says, as a transfer's error.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Errno> + Send + 'static,
    ) -> Result<T, TransferError> {
        let this = self.clone();
        blocking(&self.shown, move || work(&this)).await
    }

    /// The folder `below` it; missing ones are made, closed to others.
    pub(crate) fn below(&self, below: &[u8]) -> Result<Self, Errno> {
        let mut at = self.clone();
        for (depth, name) in below.split(|octet| *octet == b'/').filter(|name| !name.is_empty()).enumerate() {
            if depth >= DEPTH_MAX || matches!(name, b"." | b"..") {
                return Err(Errno::XDEV);
            }
            at = at.child(name, true)?;
        }
        Ok(at)
    }

    /// The folder called `name` in it. `make`: if it is not there it is made.
    pub(crate) fn child(&self, name: &[u8], make: bool) -> Result<Self, Errno> {
        let how = OFlags::RDONLY | OFlags::DIRECTORY;
        let fd = match inside(&self.fd, name, how, Mode::empty()) {
            Err(Errno::NOENT) if make => {
                match rustix::fs::mkdirat(&*self.fd, name, Mode::RWXU | Mode::RGRP | Mode::XGRP) {
                    Err(e) if e != Errno::EXIST => return Err(e),
                    _ => self.sync()?,
                }
                inside(&self.fd, name, how, Mode::empty())?
            }
            other => other?,
        };
        let shown = format!("{}/{}", self.shown, base::octets_text(name));
        Ok(Self { fd: Arc::new(fd), shown: shown.into() })
    }

    /// What stands under `name`, a link as itself.
    pub(crate) fn look(&self, name: &[u8]) -> Result<Option<Stat>, Errno> {
        match rustix::fs::statat(&*self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Opens a name in it, never a link.
    pub(crate) fn open_file(&self, name: &[u8], how: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        inside(&self.fd, name, how | OFlags::NONBLOCK, mode)
    }

    /// Renames a name of it into `to`. `free`: only if the new name is free.
    pub(crate) fn rename(&self, name: &[u8], to: &Self, new: &[u8], free: bool) -> Result<(), Errno> {
        if !free {
            return rustix::fs::renameat(&*self.fd, name, &*to.fd, new);
        }
        match rustix::fs::renameat_with(&*self.fd, name, &*to.fd, new, RenameFlags::NOREPLACE) {
            // A file system that can't, such as NFS: a second name is given only if it is free, then the first goes.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                rustix::fs::linkat(&*self.fd, name, &*to.fd, new, AtFlags::empty())?;
                self.remove(name)
            }
            other => other,
        }
    }

    /// Removes a name; it may be gone already.
    pub(crate) fn remove(&self, name: &[u8]) -> Result<(), Errno> {
        match rustix::fs::unlinkat(&*self.fd, name, AtFlags::empty()) {
            Err(e) if e != Errno::NOENT => Err(e),
            _ => Ok(()),
        }
    }

    /// Makes its names durable.
    pub(crate) fn sync(&self) -> Result<(), Errno> {
        rustix::fs::fsync(self.fd.as_fd())
    }
}

/// Whether the folder at `path` is the data folder or lies in it, whatever links lead there.
fn is_within(path: &str, data: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path);
    match (real(Path::new(path)), real(data)) {
        (Ok(path), Ok(data)) => path.starts_with(data),
        _ => false,
    }
}

async fn blocking<T: Send + 'static>(
    shown: &str,
    work: impl FnOnce() -> Result<T, Errno> + Send + 'static,
) -> Result<T, TransferError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|errno| told(shown, errno)),
        Err(e) => Err(TransferError::retry(Cause::Disk, format!("work with the disk ended early: {e}"))),
    }
}

/// What the system said, and what to do.
fn told(shown: &str, errno: Errno) -> TransferError {
    let (cause, what) = match errno {
        Errno::NOENT => (Cause::NotFound, "it is not there: create it, or correct its path"),
        Errno::NOTDIR | Errno::LOOP => (Cause::NotDirectory, "a folder is expected, and no link: correct the path"),
        Errno::XDEV => (Cause::Denied, "it leads out of its folder, or into the gateway's own: name another"),
        Errno::EXIST => (Cause::Exists, "the name is taken"),
        Errno::NAMETOOLONG => (Cause::Invalid, "the name is too long for the disk"),
        Errno::ACCESS | Errno::PERM | Errno::ROFS => {
            (Cause::Denied, "the system does not let the gateway's user do it: give it the right")
        }
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => (Cause::NoSpace, "no space left: make room"),
        _ => (Cause::Disk, "the disk failed"),
    };
    let text = format!("folder {}: {what} ({errno})", base::brief(shown, 200));
    match cause {
        Cause::Invalid | Cause::Exists => TransferError::park(cause, text),
        // What a person has to change may be changed while it is tried again.
        _ => TransferError::retry(cause, text),
    }
}
