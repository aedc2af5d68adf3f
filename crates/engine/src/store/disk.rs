//! The few things asked of a disk.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::path::Path;
use std::sync::Arc;

use base::UtcMicros;

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
    fn len(&self) -> io::Result<u64>;

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
    fn create(&self, _: &Path) -> io::Result<Arc<dyn DiskFile>> { todo!() }
    fn open(&self, _: &Path, _: bool) -> io::Result<Arc<dyn DiskFile>> { todo!() }
    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> { todo!() }
    fn remove(&self, _: &Path) -> io::Result<()> { todo!() }
    fn make_folder(&self, _: &Path) -> io::Result<bool> { todo!() }
    fn folder_mode(&self, _: &Path) -> io::Result<(u32, u32, bool)> { todo!() }
    fn sync_folder(&self, _: &Path) -> io::Result<()> { todo!() }
    fn list(&self, _: &Path) -> io::Result<Vec<Entry>> { todo!() }
    fn space(&self, _: &Path) -> io::Result<Space> { todo!() }
}
