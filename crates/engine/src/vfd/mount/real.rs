//! The calls to the system behind a mount. Names are octets; the kernel resolves them beneath the mounted folder.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use base::UtcMicros;
use bytes::Bytes;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, RenameFlags, ResolveFlags, Stat, Timespec, Timestamps,
};
use rustix::io::Errno;

use crate::error::{Cause, TransferError};
use crate::limits::{LIST_ENTRIES_MAX, NAME_OCTETS_MAX};
use crate::vfd::{EntryKind, VPath};

/// Begin of the names of unfinished uploads: hidden, and never shown to partners.
const PART: &[u8] = b".gatehouse-";
/// Beneath the mount, and no symbolic link on the way or at its end.
const INSIDE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// A path in a mounted folder.
#[derive(Clone, Debug)]
pub(super) struct Real {
    target: String,
    folder: Vec<u8>,
    name: Option<Vec<u8>>,
}

/// What was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Found {
    pub(super) kind: EntryKind,
    pub(super) size: u64,
    pub(super) modified: UtcMicros,
}

/// An open real file.
#[derive(Clone, Debug)]
pub(super) struct RealFile {
    file: Arc<File>,
    pub(super) found: Found,
}

/// An upload that is being written under its hidden name.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) file: RealFile,
    folder: Arc<OwnedFd>,
    part: Vec<u8>,
    name: Vec<u8>,
}

impl Real {
    /// None for names that are hidden: those of unfinished uploads.
    pub(super) fn new(target: &str, below: &VPath) -> Option<Self> {
        if below.names().any(|n| n.starts_with(PART)) {
            return None;
        }
        let folder = below.parent().unwrap_or_default().octets();
        // `openat2` wants a path that does not begin with '/'; "." is the mounted folder.
        let folder = match folder.get(1..) {
            Some(rest) if !rest.is_empty() => rest.to_vec(),
            _ => b".".to_vec(),
        };
        Some(Self { target: target.to_owned(), folder, name: below.name().map(<[u8]>::to_vec) })
    }

    pub(super) async fn stat(self) -> Result<Option<Found>, TransferError> {
        run(move || self.stat_now()).await
    }

    /// The unfinished upload of this name by `site`.
    pub(super) async fn partial(&self, site: &str) -> Result<Option<Found>, TransferError> {
        let (this, part) = (self.clone(), self.part_name(site));
        run(move || match part {
            Some(part) => absent(this.folder().and_then(|folder| look(&folder, &part))),
            None => Ok(None),
        })
        .await
    }

    fn stat_now(&self) -> Result<Option<Found>, Errno> {
        absent(self.folder().and_then(|folder| look(&folder, self.last())))
    }

    /// Files and folders in it, in order of name.
    pub(super) async fn list(self) -> Result<Option<Vec<(Vec<u8>, Found)>>, TransferError> {
        run(move || absent(self.list_now())).await
    }

    fn list_now(&self) -> Result<Vec<(Vec<u8>, Found)>, Errno> {
        let folder = self.folder()?;
        let opened = inside(&folder, self.last(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        let most = usize::try_from(LIST_ENTRIES_MAX).unwrap_or(usize::MAX);
        let mut all = Vec::new();
        for entry in Dir::read_from(&opened)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if matches!(name.as_slice(), b"." | b"..") || name.starts_with(PART) || name.len() > NAME_OCTETS_MAX {
                continue;
            }
            // What is neither file nor folder, or went away meanwhile, is not shown.
            if let Ok(found) = look(&opened, &name) {
                all.push((name, found));
            }
            if all.len() >= most {
                break;
            }
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(all)
    }

    pub(super) async fn open_read(self) -> Result<Option<RealFile>, TransferError> {
        run(move || absent(self.open_read_now())).await
    }

    fn open_read_now(&self) -> Result<RealFile, Errno> {
        // NONBLOCK: opening must not wait for the other end of a pipe.
        let fd = inside(&self.folder()?, self.last(), OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
        RealFile::of(fd)
    }

    /// Opens the hidden file of an upload by `site`: empty, or with what an interrupted one left (`resume`), else with
    /// what stands under the final name.
    pub(super) async fn open_part(self, site: &str, resume: bool) -> Result<Part, TransferError> {
        let part = self.part_name(site).unwrap_or_default();
        run(move || self.open_part_now(part, resume)).await
    }

    fn open_part_now(self, part: Vec<u8>, resume: bool) -> Result<Part, Errno> {
        let folder = self.folder()?;
        let is_new = look(&folder, &part).is_err();
        let how = OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK;
        let fd = inside(&folder, &part, how, Mode::RUSR | Mode::WUSR | Mode::RGRP)?;
        rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive)?;
        let file = File::from(fd);
        let io = |e: std::io::Error| Errno::from_io_error(&e).unwrap_or(Errno::IO);
        if !resume {
            file.set_len(0).map_err(io)?;
        } else if is_new && let Ok(old) = inside(&folder, self.last(), OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())
        {
            let old = RealFile::of(old)?;
            std::io::copy(&mut &*old.file, &mut &file).map_err(io)?;
        }
        let found = of_stat(&rustix::fs::fstat(&file)?)?;
        let name = self.last().to_vec();
        Ok(Part { file: RealFile { file: Arc::new(file), found }, folder: Arc::new(folder), part, name })
    }

    pub(super) async fn rename(self, to: Self, overwrite: bool) -> Result<(), TransferError> {
        run(move || {
            let flags = if overwrite { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
            let (old, new) = (self.folder()?, to.folder()?);
            look(&old, self.last())?;
            rustix::fs::renameat_with(&old, self.last(), &new, to.last(), flags)?;
            rustix::fs::fsync(readable(&new)?)
        })
        .await
    }

    pub(super) async fn remove(self, kind: EntryKind) -> Result<(), TransferError> {
        run(move || {
            let folder = self.folder()?;
            match (look(&folder, self.last())?.kind, kind) {
                (EntryKind::File, EntryKind::File) => rustix::fs::unlinkat(&folder, self.last(), AtFlags::empty()),
                (EntryKind::Directory, EntryKind::Directory) => {
                    rustix::fs::unlinkat(&folder, self.last(), AtFlags::REMOVEDIR)
                }
                (EntryKind::Directory, EntryKind::File) => Err(Errno::ISDIR),
                (EntryKind::File, EntryKind::Directory) => Err(Errno::NOTDIR),
            }
        })
        .await
    }

    pub(super) async fn mkdir(self) -> Result<(), TransferError> {
        run(move || rustix::fs::mkdirat(self.folder()?, self.last(), Mode::RWXU | Mode::RGRP | Mode::XGRP)).await
    }

    pub(super) async fn set_times(self, modified: UtcMicros) -> Result<(), TransferError> {
        run(move || {
            let folder = self.folder()?;
            look(&folder, self.last())?;
            rustix::fs::utimensat(&folder, self.last(), &times(modified), AtFlags::SYMLINK_NOFOLLOW)
        })
        .await
    }

    fn last(&self) -> &[u8] {
        self.name.as_deref().unwrap_or(b".")
    }

    /// The hidden name of an upload of this name by `site`: the same each time, so that it can be resumed.
    fn part_name(&self, site: &str) -> Option<Vec<u8>> {
        let name = self.name.as_deref()?;
        let digest = crate::sha256(&[site.as_bytes(), &[0], name].concat());
        Some([PART, base::hex(digest.get(..16).unwrap_or_default()).as_bytes()].concat())
    }

    /// The folder it is in.
    fn folder(&self) -> Result<OwnedFd, Errno> {
        let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, self.target.as_str(), how, Mode::empty())?;
        let folder = inside(&root, &self.folder, OFlags::PATH | OFlags::DIRECTORY, Mode::empty());
        // A file or a link in the place of a folder: below it there is nothing.
        folder.map_err(|e| if e == Errno::NOTDIR { Errno::NOENT } else { e })
    }
}

impl RealFile {
    fn of(fd: OwnedFd) -> Result<Self, Errno> {
        let found = of_stat(&rustix::fs::fstat(&fd)?)?;
        match found.kind {
            EntryKind::File => Ok(Self { file: Arc::new(File::from(fd)), found }),
            EntryKind::Directory => Err(Errno::ISDIR),
        }
    }

    pub(super) async fn read_at(&self, offset: u64, len: u32) -> Result<Bytes, TransferError> {
        let file = self.file.clone();
        io(move || {
            let mut octets = vec![0; usize::try_from(len).unwrap_or(0)];
            let mut filled = 0;
            while let Some(rest) = octets.get_mut(filled..).filter(|rest| !rest.is_empty()) {
                match file.read_at(rest, offset.saturating_add(u64::try_from(filled).unwrap_or(0)))? {
                    0 => break,
                    count => filled += count,
                }
            }
            octets.truncate(filled);
            Ok(Bytes::from(octets))
        })
        .await
    }

    pub(super) async fn write_at(&self, offset: u64, data: Bytes) -> Result<(), TransferError> {
        let file = self.file.clone();
        io(move || file.write_all_at(&data, offset)).await
    }

    pub(super) async fn truncate(&self, size: u64) -> Result<(), TransferError> {
        let file = self.file.clone();
        io(move || file.set_len(size)).await
    }

    pub(super) async fn sync(&self) -> Result<(), TransferError> {
        let file = self.file.clone();
        io(move || file.sync_data()).await
    }
}

impl Part {
    /// Removes it.
    pub(super) async fn discard(&self) -> Result<(), TransferError> {
        let (folder, part) = (self.folder.clone(), self.part.clone());
        run(move || rustix::fs::unlinkat(&*folder, &*part, AtFlags::empty())).await
    }

    /// Gives the file its final name. `exclusive`: only if that is free.
    pub(super) async fn publish(self, modified: Option<UtcMicros>, exclusive: bool) -> Result<(), TransferError> {
        run(move || {
            if let Some(modified) = modified {
                rustix::fs::futimens(&*self.file.file, &times(modified))?;
            }
            rustix::fs::fsync(&*self.file.file)?;
            let flags = if exclusive { RenameFlags::NOREPLACE } else { RenameFlags::empty() };
            rustix::fs::renameat_with(&*self.folder, &*self.part, &*self.folder, &*self.name, flags)?;
            rustix::fs::fsync(readable(&self.folder)?)
        })
        .await
    }
}

/// Opens a name beneath a folder, without following links.
pub(crate) fn inside(folder: &OwnedFd, name: &[u8], how: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    rustix::fs::openat2(folder, name, how | OFlags::CLOEXEC | OFlags::NOFOLLOW, mode, INSIDE)
}

/// The folder once more, in a way that `fsync` takes.
fn readable(folder: &OwnedFd) -> Result<OwnedFd, Errno> {
    inside(folder, b".", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
}

fn look(folder: &OwnedFd, name: &[u8]) -> Result<Found, Errno> {
    of_stat(&rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Files and folders only; all else does not exist for partners.
fn of_stat(stat: &Stat) -> Result<Found, Errno> {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Directory,
        _ => return Err(Errno::NOENT),
    };
    let size = if kind == EntryKind::File { u64::try_from(stat.st_size).unwrap_or(0) } else { 0 };
    let micros = stat.st_mtime.saturating_mul(1_000_000);
    Ok(Found { kind, size, modified: UtcMicros(micros) })
}

fn times(modified: UtcMicros) -> Timestamps {
    let at = Timespec { tv_sec: modified.seconds(), tv_nsec: 0 };
    Timestamps { last_access: at, last_modification: at }
}

/// What does not exist, or lies behind a link, is none.
fn absent<T>(found: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::LOOP | Errno::XDEV | Errno::NAMETOOLONG) => Ok(None),
        Err(e) => Err(e),
    }
}

async fn io<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> Result<T, TransferError> {
    run(move || work().map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))).await
}

async fn run<T: Send + 'static>(work: impl FnOnce() -> Result<T, Errno> + Send + 'static) -> Result<T, TransferError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(told),
        Err(e) => Err(TransferError::retry(Cause::Disk, format!("work with the disk ended early: {e}"))),
    }
}

fn told(errno: Errno) -> TransferError {
    let (cause, what) = match errno {
        Errno::NOENT | Errno::LOOP | Errno::XDEV | Errno::NAMETOOLONG => (Cause::NotFound, "there is nothing"),
        Errno::EXIST => (Cause::Exists, "the name is taken"),
        Errno::NOTEMPTY => (Cause::Exists, "the folder is not empty"),
        Errno::ISDIR => (Cause::IsDirectory, "it is a folder"),
        Errno::NOTDIR => (Cause::NotDirectory, "it is no folder"),
        Errno::ACCESS | Errno::PERM => (Cause::Denied, "the system does not let the gateway's user do it"),
        Errno::AGAIN => (Cause::Busy, "another session writes it"),
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => (Cause::NoSpace, "no space left"),
        Errno::NOSYS => (Cause::Unsupported, "mounts need Linux 5.6 or later"),
        _ => (Cause::Disk, "the disk failed"),
    };
    let text = format!("{what} in the mounted folder ({errno})");
    match cause {
        Cause::Disk | Cause::NoSpace | Cause::Busy => TransferError::retry(cause, text),
        _ => TransferError::refuse(cause, text),
    }
}
