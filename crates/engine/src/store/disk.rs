//! The few things asked of a disk.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use base::UtcMicros;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::FileUuid;

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Writes all of `pieces` one behind the other from `offset`.
    ///
    /// # Errors
    /// The system's.
    fn write_at(&self, pieces: &mut [IoSlice<'_>], offset: u64) -> io::Result<()>;

    /// Fills `pieces` from `offset`; gives fewer octets only at the end of the file.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, pieces: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize>;

    /// Octets of the file.
    ///
    /// # Errors
    /// The system's.
    fn octets(&self) -> io::Result<u64>;

    /// Cuts or extends it.
    ///
    /// # Errors
    /// The system's.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes its content durable.
    ///
    /// # Errors
    /// The system's.
    fn sync(&self) -> io::Result<()>;

    /// Takes the lock of the file; `false` if another holder has it. It ends with the last handle.
    ///
    /// # Errors
    /// The system's.
    fn lock(&self) -> io::Result<bool>;
}

/// A disk: the real one, or one that fails on purpose.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes a file (mode 0600 whatever the umask, BP-5) that must not exist.
    ///
    /// # Errors
    /// The system's.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file for reading, or for both.
    ///
    /// # Errors
    /// The system's.
    fn open(&self, path: &Path, write: bool) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file that is there for writing past the system's cache, in pieces of [`super::past::ALIGN`] at multiples of it;
    /// none if this disk has no such way.
    fn open_past_cache(&self, path: &Path) -> Option<Arc<dyn DiskFile>> {
        let _ = path;
        None
    }

    /// Renames within the disk; replaces what has the new name.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The system's; `NotFound` if there is none.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder (mode 0700 whatever the umask); `false` if it was there.
    ///
    /// # Errors
    /// The system's.
    fn make_folder(&self, path: &Path) -> io::Result<bool>;

    /// Permission bits and owner's uid of a folder, and whether the owner is this process.
    ///
    /// # Errors
    /// The system's.
    fn folder_mode(&self, path: &Path) -> io::Result<(u32, u32, bool)>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// Names, sizes and times of the files in a folder; none if there is no such folder.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;

    /// Room on the disk.
    ///
    /// # Errors
    /// The system's.
    fn space(&self, path: &Path) -> io::Result<Space>;
}

/// A name in a folder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Its name; names that are no UTF-8 are not ours and left out.
    pub name: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Its octets.
    pub octets: u64,
    /// When it was last changed.
    pub changed: UtcMicros,
}

/// A payload file that a listing found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Found {
    /// Its name.
    pub uuid: FileUuid,
    /// Octets on the disk, with header and tags.
    pub octets: u64,
    /// When it was last changed.
    pub changed: UtcMicros,
}

/// Room on a disk, in octets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Space {
    /// Free for us.
    pub free: u64,
    /// In all.
    pub total: u64,
}

/// The disk of the system.
#[derive(Clone, Copy, Debug)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
        file.set_permissions(Permissions::from_mode(0o600))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<Arc<dyn DiskFile>> {
        let way = if write { OFlags::RDWR } else { OFlags::RDONLY };
        let file = rustix::fs::open(path, way | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Arc::new(RealFile(File::from(file))))
    }

    fn open_past_cache(&self, path: &Path) -> Option<Arc<dyn DiskFile>> {
        let flags = OFlags::WRONLY | OFlags::DIRECT | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty()).ok()?;
        Some(Arc::new(RealFile(File::from(file))))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn make_folder(&self, path: &Path) -> io::Result<bool> {
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => fs::set_permissions(path, Permissions::from_mode(0o700)).map(|()| true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn folder_mode(&self, path: &Path) -> io::Result<(u32, u32, bool)> {
        let about = fs::symlink_metadata(path)?;
        if !about.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let ours = rustix::process::geteuid().as_raw() == about.uid();
        Ok((about.mode() & 0o7777, about.uid(), ours))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let names = match fs::read_dir(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut found = Vec::new();
        for name in names {
            let name = name?;
            let about = match name.metadata() {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            let Ok(text) = name.file_name().into_string() else {
                continue;
            };
            let changed = about.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
            let changed = UtcMicros::default().plus(changed);
            found.push(Entry { name: text, folder: about.is_dir(), octets: about.len(), changed });
        }
        Ok(found)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let v = rustix::fs::statvfs(path)?;
        Ok(Space { free: v.f_bavail.saturating_mul(v.f_frsize), total: v.f_blocks.saturating_mul(v.f_frsize) })
    }
}

/// An open file of the system.
struct RealFile(File);

impl DiskFile for RealFile {
    fn write_at(&self, pieces: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let (mut left, mut at) = (pieces, offset);
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            let some = left.get(..left.len().min(IOV_MAX)).unwrap_or_default();
            match rustix::io::pwritev(&self.0, some, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    IoSlice::advance_slices(&mut left, n);
                    at = at.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
                }
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn read_at(&self, pieces: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
        let (mut left, mut at, mut got) = (pieces, offset, 0);
        IoSliceMut::advance_slices(&mut left, 0);
        while !left.is_empty() {
            let most = left.len().min(IOV_MAX);
            match rustix::io::preadv(&self.0, left.get_mut(..most).unwrap_or_default(), at) {
                Ok(0) => break,
                Ok(n) => {
                    IoSliceMut::advance_slices(&mut left, n);
                    at = at.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
                    got += n;
                }
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(got)
    }

    fn octets(&self) -> io::Result<u64> {
        self.0.metadata().map(|about| about.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn lock(&self) -> io::Result<bool> {
        match rustix::fs::flock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}

/// Pieces that the system takes in one call.
const IOV_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_go_and_come_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let file = RealDisk.create(&folder.path().join("a")).unwrap();
        let many: Vec<[u8; 3]> = (0..3000u32).map(|i| [i.to_be_bytes()[3], 1, i.to_be_bytes()[2]]).collect();
        let mut pieces: Vec<IoSlice<'_>> = many.iter().map(|p| IoSlice::new(p)).collect();
        file.write_at(&mut pieces, 5).unwrap();
        let mut back = vec![[0u8; 3]; 3001];
        let mut into: Vec<IoSliceMut<'_>> = back.iter_mut().map(|p| IoSliceMut::new(p)).collect();
        assert_eq!(file.read_at(&mut into, 5).unwrap(), 9000);
        assert_eq!(back[..3000], many[..]);
        assert_eq!(file.octets().unwrap(), 9005);
    }

    // BP-5: modes whatever the umask. The umask belongs to the whole process, so it is read off the result only.
    #[test]
    fn what_we_make_is_ours_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (sub, file) = (folder.path().join("sub"), folder.path().join("file"));
        assert!(RealDisk.make_folder(&sub).unwrap());
        assert!(!RealDisk.make_folder(&sub).unwrap());
        drop(RealDisk.create(&file).unwrap());
        assert_eq!(RealDisk.folder_mode(&sub).unwrap().0, 0o700);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
        assert!(RealDisk.create(&file).is_err());
    }

    #[test]
    fn a_second_holder_gets_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let first = RealDisk.create(&path).unwrap();
        assert!(first.lock().unwrap());
        let second = RealDisk.open(&path, true).unwrap();
        assert!(!second.lock().unwrap());
        drop(first);
        assert!(second.lock().unwrap());
    }
}
