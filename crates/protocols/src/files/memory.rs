//! A partner's folder in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base::UtcMicros;
use bytes::Bytes;
use engine::{Cause, Entry, EntryKind, OpenWrite, Space, TransferError, VPath};
use tokio::sync::Semaphore;

use super::folder::{Download, Durable, Folder, Upload};

/// Files by their path; `/in` and `/out` are there from the start. Clones share it.
#[derive(Clone)]
pub(crate) struct MemoryFolder {
    pub(crate) state: Arc<Mutex<State>>,
    /// Taken by each commit: no permits, no commits.
    pub(crate) commits: Arc<Semaphore>,
    /// Taken by each write.
    pub(crate) writes: Arc<Semaphore>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) files: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) directories: Vec<Vec<u8>>,
    /// Interrupted uploads.
    pub(crate) partial: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What happened, in order.
    pub(crate) log: Vec<String>,
    pub(crate) full: bool,
    /// Octets written so far, of all uploads.
    pub(crate) written: usize,
}

impl MemoryFolder {
    pub(crate) fn new() -> Self {
        let directories = vec![b"/".to_vec(), b"/in".to_vec(), b"/out".to_vec()];
        let open = || Arc::new(Semaphore::new(Semaphore::MAX_PERMITS / 2));
        let state = State { directories, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), commits: open(), writes: open() }
    }

    pub(crate) fn with_file(self, path: &str, data: &[u8]) -> Self {
        self.state.lock().unwrap().files.insert(path.as_bytes().to_vec(), data.to_vec());
        self
    }

    pub(crate) fn file(&self, path: &str) -> Option<Vec<u8>> {
        self.state.lock().unwrap().files.get(path.as_bytes()).cloned()
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.state.lock().unwrap().log.clone()
    }

    fn note(&self, text: String) {
        self.state.lock().unwrap().log.push(text);
    }
}

fn refuse<T>(cause: Cause) -> Result<T, TransferError> {
    Err(TransferError::refuse(cause, "as the test wants it"))
}

#[async_trait]
impl Folder for MemoryFolder {
    fn home(&self) -> VPath {
        VPath::parse(b"/in", &VPath::root()).unwrap()
    }

    fn now(&self) -> UtcMicros {
        UtcMicros(0)
    }

    async fn stat(&self, path: &VPath) -> Result<Entry, TransferError> {
        let state = self.state.lock().unwrap();
        let octets = path.octets();
        let file = state.partial.get(&octets).or(state.files.get(&octets));
        let (kind, size) = match file {
            Some(data) => (EntryKind::File, data.len()),
            None if state.directories.contains(&octets) => (EntryKind::Directory, 0),
            None => return refuse(Cause::NotFound),
        };
        let name = path.name().unwrap_or_default().to_vec();
        let size = u64::try_from(size).unwrap();
        Ok(Entry { name, kind, size, modified: UtcMicros(0), readable: true, writable: true, transfer: None })
    }

    async fn list(&self, path: &VPath) -> Result<Vec<Entry>, TransferError> {
        let names: Vec<VPath> = {
            let state = self.state.lock().unwrap();
            if state.files.contains_key(&path.octets()) {
                return refuse(Cause::NotDirectory);
            }
            if !state.directories.contains(&path.octets()) {
                return refuse(Cause::NotFound);
            }
            let all = state.files.keys().chain(&state.directories);
            all.map(|octets| VPath::parse(octets, &VPath::root()).unwrap()).collect()
        };
        let mut entries = Vec::new();
        for name in names.iter().filter(|name| name.parent().as_ref() == Some(path)) {
            entries.push(self.stat(name).await?);
        }
        Ok(entries)
    }

    async fn open_read(&self, path: &VPath) -> Result<Box<dyn Download>, TransferError> {
        let data = self.state.lock().unwrap().files.get(&path.octets()).cloned();
        match data {
            Some(data) => {
                Ok(Box::new(MemoryDownload { folder: self.clone(), path: path.to_string(), data: data.into() }))
            }
            None => refuse(Cause::NotFound),
        }
    }

    async fn open_write(&self, path: &VPath, how: OpenWrite) -> Result<Box<dyn Upload>, TransferError> {
        let mut state = self.state.lock().unwrap();
        let octets = path.octets();
        let there = state.partial.remove(&octets).or_else(|| state.files.get(&octets).cloned());
        let data = match there {
            Some(_) if how.exclusive => return refuse(Cause::Exists),
            Some(data) => {
                if how.truncate {
                    Vec::new()
                } else {
                    data
                }
            }
            None if how.create => Vec::new(),
            None => return refuse(Cause::NotFound),
        };
        Ok(Box::new(MemoryUpload { folder: self.clone(), path: octets, data: Some(data) }))
    }

    async fn rename(&self, from: &VPath, to: &VPath, overwrite: bool) -> Result<(), TransferError> {
        let mut state = self.state.lock().unwrap();
        if !overwrite && state.files.contains_key(&to.octets()) {
            return refuse(Cause::Exists);
        }
        match state.files.remove(&from.octets()) {
            Some(data) => drop(state.files.insert(to.octets(), data)),
            None => return refuse(Cause::NotFound),
        }
        state.log.push(format!("rename {from} {to} {overwrite}"));
        Ok(())
    }

    async fn remove(&self, path: &VPath) -> Result<(), TransferError> {
        let removed = self.state.lock().unwrap().files.remove(&path.octets());
        removed.map_or_else(|| refuse(Cause::NotFound), |_| Ok(()))
    }

    async fn mkdir(&self, path: &VPath) -> Result<(), TransferError> {
        self.state.lock().unwrap().directories.push(path.octets());
        Ok(())
    }

    async fn rmdir(&self, path: &VPath) -> Result<(), TransferError> {
        self.state.lock().unwrap().directories.retain(|d| *d != path.octets());
        Ok(())
    }

    async fn set_times(&self, path: &VPath, modified: UtcMicros) -> Result<(), TransferError> {
        self.stat(path).await?;
        self.note(format!("times {path} {}", modified.seconds()));
        Ok(())
    }

    async fn digest(&self, path: &VPath) -> Result<Option<[u8; 32]>, TransferError> {
        // Its length, over and over: nothing here computes hashes.
        let length = self.file(&path.to_string()).map(|data| u8::try_from(data.len() % 256).unwrap());
        Ok(length.map(|length| [length; 32]))
    }

    fn upload_octets_max(&self) -> Option<u64> {
        Some(64 << 20)
    }

    async fn space(&self) -> Result<Space, TransferError> {
        Ok(Space { block: 4096, blocks: 100, free: 50, names: 255 })
    }
}

struct MemoryUpload {
    folder: MemoryFolder,
    path: Vec<u8>,
    data: Option<Vec<u8>>,
}

impl MemoryUpload {
    fn data(&mut self) -> &mut Vec<u8> {
        self.data.as_mut().unwrap()
    }

    fn keep(&mut self) {
        if let Some(data) = self.data.take() {
            let mut state = self.folder.state.lock().unwrap();
            state.log.push(format!("interrupt {} {}", base::octets_text(&self.path), data.len()));
            state.partial.insert(self.path.clone(), data);
        }
    }
}

impl Drop for MemoryUpload {
    fn drop(&mut self) {
        self.keep();
    }
}

#[async_trait]
impl Upload for MemoryUpload {
    fn size(&self) -> u64 {
        u64::try_from(self.data.as_ref().unwrap().len()).unwrap()
    }

    async fn write_at(&mut self, offset: u64, data: Bytes) -> Result<(), TransferError> {
        self.folder.writes.acquire().await.unwrap().forget();
        if self.folder.state.lock().unwrap().full {
            return refuse(Cause::NoSpace);
        }
        let at = usize::try_from(offset).unwrap();
        if at > 64 << 20 {
            return refuse(Cause::Quota);
        }
        let whole = self.data();
        whole.resize(whole.len().max(at + data.len()), 0);
        whole[at..at + data.len()].copy_from_slice(&data);
        self.folder.state.lock().unwrap().written += data.len();
        Ok(())
    }

    async fn read_at(&mut self, offset: u64, len: u32) -> Result<Bytes, TransferError> {
        Ok(part(self.data(), offset, len))
    }

    async fn truncate(&mut self, size: u64) -> Result<(), TransferError> {
        self.data().resize(usize::try_from(size).unwrap(), 0);
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), TransferError> {
        let path = base::octets_text(&self.path);
        self.folder.note(format!("sync {path}"));
        Ok(())
    }

    async fn set_times(&mut self, modified: UtcMicros) -> Result<(), TransferError> {
        self.folder.note(format!("handle times {}", modified.seconds()));
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<Durable, TransferError> {
        self.folder.commits.acquire().await.unwrap().forget();
        let (size, data) = (self.size(), self.data.take().unwrap());
        let mut state = self.folder.state.lock().unwrap();
        state.log.push(format!("commit {} {size}", base::octets_text(&self.path)));
        state.files.insert(self.path.clone(), data);
        Ok(Durable::pretended(size))
    }

    async fn interrupt(mut self: Box<Self>) {
        self.keep();
    }
}

struct MemoryDownload {
    folder: MemoryFolder,
    path: String,
    data: Bytes,
}

#[async_trait]
impl Download for MemoryDownload {
    fn size(&self) -> u64 {
        u64::try_from(self.data.len()).unwrap()
    }

    fn modified(&self) -> UtcMicros {
        UtcMicros(0)
    }

    async fn read_at(&mut self, offset: u64, len: u32) -> Result<Bytes, TransferError> {
        Ok(part(&self.data, offset, len))
    }

    async fn finish(self: Box<Self>, closed: bool) -> Result<(), TransferError> {
        self.folder.note(format!("finish {} {closed}", self.path));
        Ok(())
    }
}

fn part(data: &[u8], offset: u64, len: u32) -> Bytes {
    let from = usize::try_from(offset).unwrap_or(usize::MAX).min(data.len());
    let to = from.saturating_add(usize::try_from(len).unwrap()).min(data.len());
    Bytes::copy_from_slice(&data[from..to])
}
