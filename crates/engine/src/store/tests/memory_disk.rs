//! A disk in memory: fails at the n-th operation, stands still on demand, and forgets at a power cut what was not
//! synchronised, or some of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};

use crate::store::disk::Entry;
use crate::store::past::ALIGN;
use crate::store::{Disk, DiskFile, Space};

#[derive(Default)]
pub(super) struct MemoryDisk {
    mem: Arc<Mutex<Mem>>,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    held: Mutex<bool>,
    opened: Condvar,
}

#[derive(Default)]
struct Mem {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    folders: BTreeSet<PathBuf>,
    durable_folders: BTreeSet<PathBuf>,
    ops: u64,
    fail_at: Option<u64>,
    keeps_failing: bool,
    failed: bool,
}

#[derive(Default)]
struct Inode {
    data: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Pending>,
    holder: Weak<AtomicBool>,
}

enum Pending {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

impl Pending {
    fn apply(&self, data: &mut Vec<u8>, part: usize) {
        match self {
            Self::SetLen(len) => data.resize(*len, 0),
            Self::Write(at, octets) => {
                let octets = &octets[..part.min(octets.len())];
                data.resize(data.len().max(at + octets.len()), 0);
                data[*at..at + octets.len()].copy_from_slice(octets);
            }
        }
    }
}

impl MemoryDisk {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Operations so far.
    pub(super) fn ops(&self) -> u64 {
        self.mem.lock().unwrap().ops
    }

    /// Makes the `n`-th operation from now fail, and, if asked, all that follow.
    pub(super) fn fail_at(&self, n: u64, keeps_failing: bool) {
        let mut mem = self.mem.lock().unwrap();
        mem.fail_at = Some(mem.ops + n);
        mem.keeps_failing = keeps_failing;
        mem.failed = false;
    }

    /// Ends the failures; whether there was one.
    pub(super) fn heal(&self) -> bool {
        let mut mem = self.mem.lock().unwrap();
        mem.fail_at = None;
        mem.failed
    }

    /// Makes writes wait, or go on.
    pub(super) fn hold_writes(&self, held: bool) {
        *self.gate.held.lock().unwrap() = held;
        self.gate.opened.notify_all();
    }

    /// What is left after the power went: what was synchronised, and of the rest whatever `seed` says.
    pub(super) fn after_power_cut(&self, mut seed: u64) -> Arc<Self> {
        let mut chance = |of: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % of
        };
        let old = self.mem.lock().unwrap();
        let mut new = Mem { folders: old.durable_folders.clone(), ..Mem::default() };
        new.durable_folders = new.folders.clone();
        let names = if chance(2) == 0 { &old.durable_names } else { &old.names };
        for (path, i) in names.iter().filter(|(path, _)| new.folders.contains(path.parent().unwrap())) {
            let mut data = old.inodes[*i].durable.clone();
            for pending in &old.inodes[*i].pending {
                match chance(3) {
                    0 => {}
                    1 => pending.apply(&mut data, usize::try_from(chance(100_000)).unwrap()),
                    _ => pending.apply(&mut data, usize::MAX),
                }
            }
            new.names.insert(path.clone(), new.inodes.len());
            new.inodes.push(Inode { durable: data.clone(), data, ..Inode::default() });
        }
        new.durable_names = new.names.clone();
        Arc::new(Self { mem: Arc::new(Mutex::new(new)), gate: Arc::default() })
    }

    /// What is left after the process ended: all of it.
    pub(super) fn after_kill(&self) -> Arc<Self> {
        for inode in &mut self.mem.lock().unwrap().inodes {
            inode.holder = Weak::new();
        }
        Arc::new(Self { mem: self.mem.clone(), gate: Arc::default() })
    }

    /// Names of all files with their octets.
    pub(super) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mem = self.mem.lock().unwrap();
        // The mark of the folder is no file of a payload.
        let kept = mem.names.iter().filter(|(path, _)| !path.ends_with("staging.mark"));
        kept.map(|(path, i)| (path.clone(), mem.inodes[*i].data.clone())).collect()
    }

    /// Puts `octets` in the place of a file, behind the store's back.
    pub(super) fn put(&self, path: &Path, octets: &[u8]) {
        let mut mem = self.mem.lock().unwrap();
        let i = mem.names[path];
        mem.inodes[i].data = octets.to_vec();
    }

    fn op(&self) -> io::Result<std::sync::MutexGuard<'_, Mem>> {
        step(&self.mem)
    }
}

/// Counts an operation and fails it if its turn has come.
fn step(mem: &Mutex<Mem>) -> io::Result<std::sync::MutexGuard<'_, Mem>> {
    let mut mem = mem.lock().unwrap();
    mem.ops += 1;
    let fails = mem.fail_at.is_some_and(|at| mem.ops == at || (mem.keeps_failing && mem.ops > at));
    mem.failed |= fails;
    if fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(mem) }
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryDisk")
    }
}

impl Disk for MemoryDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut mem = self.op()?;
        if mem.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let i = mem.inodes.len();
        mem.inodes.push(Inode::default());
        mem.names.insert(path.to_owned(), i);
        Ok(self.handle(i))
    }

    fn open(&self, path: &Path, _write: bool) -> io::Result<Arc<dyn DiskFile>> {
        let i = *self.op()?.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.handle(i))
    }

    fn open_past_cache(&self, path: &Path) -> Option<Arc<dyn DiskFile>> {
        let mem = self.op().ok()?;
        mem.names.get(path).map(|i| -> Arc<dyn DiskFile> { Arc::new(PastCache(self.handle(*i))) })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut mem = self.op()?;
        if !mem.folders.contains(to.parent().unwrap()) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let i = mem.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        mem.names.insert(to.to_owned(), i);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.op()?.names.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn make_folder(&self, path: &Path) -> io::Result<bool> {
        Ok(self.op()?.folders.insert(path.to_owned()))
    }

    fn folder_mode(&self, _path: &Path) -> io::Result<(u32, u32, bool)> {
        Ok((0o700, 0, true))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut mem = self.op()?;
        let here = |name: &Path| name.parent() == Some(path);
        let names: Vec<_> = mem.names.iter().filter(|(n, _)| here(n)).map(|(n, i)| (n.clone(), *i)).collect();
        mem.durable_names.retain(|name, _| !here(name));
        mem.durable_names.extend(names);
        let folders: Vec<_> = mem.folders.iter().filter(|n| here(n)).cloned().collect();
        mem.durable_folders.extend(folders);
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mem = self.op()?;
        let entry = |name: &Path, folder, octets: usize| Entry {
            name: name.file_name().unwrap().to_str().unwrap().to_owned(),
            folder,
            octets: u64::try_from(octets).unwrap(),
            changed: base::UtcMicros(0),
        };
        let here = |name: &&PathBuf| name.parent() == Some(path);
        let files = mem.names.iter().filter(|(n, _)| here(n)).map(|(n, i)| entry(n, false, mem.inodes[*i].data.len()));
        Ok(files.chain(mem.folders.iter().filter(here).map(|n| entry(n, true, 0))).collect())
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        self.op().map(|_| Space { free: 1 << 30, total: 1 << 40 })
    }
}

impl MemoryDisk {
    fn handle(&self, inode: usize) -> Arc<dyn DiskFile> {
        Arc::new(MemoryFile { mem: self.mem.clone(), gate: self.gate.clone(), inode, lock: Arc::default() })
    }
}

/// A file that is strict about places, as disks are.
struct PastCache(Arc<dyn DiskFile>);

impl DiskFile for PastCache {
    fn write_at(&self, pieces: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        for piece in &*pieces {
            assert_eq!((piece.len() % ALIGN, piece.as_ptr().align_offset(ALIGN)), (0, 0));
        }
        assert_eq!(offset % u64::try_from(ALIGN).unwrap(), 0);
        self.0.write_at(pieces, offset)
    }

    fn read_at(&self, _: &mut [IoSliceMut<'_>], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn octets(&self) -> io::Result<u64> {
        self.0.octets()
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn lock(&self) -> io::Result<bool> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

struct MemoryFile {
    mem: Arc<Mutex<Mem>>,
    gate: Arc<Gate>,
    inode: usize,
    lock: Arc<AtomicBool>,
}

impl MemoryFile {
    fn change(&self, pending: Pending) -> io::Result<()> {
        let held = self.gate.held.lock().unwrap();
        drop(self.gate.opened.wait_while(held, |held| *held).unwrap());
        let mut mem = step(&self.mem)?;
        let inode = &mut mem.inodes[self.inode];
        pending.apply(&mut inode.data, usize::MAX);
        inode.pending.push(pending);
        Ok(())
    }
}

impl DiskFile for MemoryFile {
    fn write_at(&self, pieces: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let octets = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
        self.change(Pending::Write(usize::try_from(offset).unwrap(), octets))
    }

    fn read_at(&self, pieces: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
        let mem = step(&self.mem)?;
        let data = &mem.inodes[self.inode].data;
        let mut rest = data.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let before = rest.len();
        for piece in pieces {
            let (part, later) = rest.split_at(rest.len().min(piece.len()));
            piece[..part.len()].copy_from_slice(part);
            rest = later;
        }
        Ok(before - rest.len())
    }

    fn octets(&self) -> io::Result<u64> {
        Ok(u64::try_from(step(&self.mem)?.inodes[self.inode].data.len()).unwrap())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Pending::SetLen(usize::try_from(len).unwrap()))
    }

    fn sync(&self) -> io::Result<()> {
        let mut mem = step(&self.mem)?;
        let inode = &mut mem.inodes[self.inode];
        inode.durable = inode.data.clone();
        inode.pending.clear();
        Ok(())
    }

    fn lock(&self) -> io::Result<bool> {
        let mut mem = step(&self.mem)?;
        let holder = &mut mem.inodes[self.inode].holder;
        let free = holder.upgrade().is_none_or(|held| !held.swap(true, Ordering::SeqCst));
        if free {
            self.lock.store(true, Ordering::SeqCst);
            *holder = Arc::downgrade(&self.lock);
        }
        Ok(free)
    }
}
