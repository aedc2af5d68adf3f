//! A folder in memory, and both ends of a channel, for tests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base::UtcMicros;
use bytes::Bytes;
use channel::Closed;
use engine::{Cause, Entry, EntryKind, OpenWrite, Space, TransferError, VPath};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

use super::client::{ClientError, SftpClient, Sink};
use super::folder::{Download, Durable, Folder, Upload};
use super::line::{Line, LineInput, LineOutput};
use super::server::{Served, ServerLimits, serve};
use super::settings::ClientOptions;
use super::wire::{ClientPacket, Framer, Reply, Request, ServerPacket};

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
        let file = state.files.get(&octets).or(state.partial.get(&octets));
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

/// What a download brought.
#[derive(Default)]
pub(crate) struct Collected(pub(crate) Vec<u8>);

#[async_trait]
impl Sink for Collected {
    async fn write_at(&mut self, offset: u64, data: Bytes) -> Result<(), TransferError> {
        let at = usize::try_from(offset).unwrap();
        self.0.resize(self.0.len().max(at + data.len()), 0);
        self.0[at..at + data.len()].copy_from_slice(&data);
        Ok(())
    }
}

/// Starts a session on one end of a channel; gives the other.
pub(crate) fn start(folder: &MemoryFolder, limits: ServerLimits) -> (Line, JoinHandle<Served>) {
    let (ours, theirs) = pair();
    (theirs, tokio::spawn(serve(ours, Arc::new(folder.clone()), limits)))
}

/// Both ends of a channel in memory. What one sends and the other has not taken is queued, without bound.
pub(crate) fn pair() -> (Line, Line) {
    let (a, b) = (Arc::new(Way::default()), Arc::new(Way::default()));
    (line(&a, &b), line(&b, &a))
}

fn line(input: &Arc<Way>, output: &Arc<Way>) -> Line {
    Line { input: Box::new(WayOut(Arc::clone(input))), output: Arc::new(WayIn(Arc::clone(output))) }
}

/// One direction of a channel in memory.
#[derive(Default)]
pub(crate) struct Way {
    state: Mutex<WayState>,
    came: Notify,
    taken: Notify,
}

#[derive(Default)]
struct WayState {
    queue: VecDeque<Bytes>,
    octets: usize,
    is_ended: bool,
}

impl Way {
    pub(crate) fn queued(&self) -> usize {
        self.state.lock().unwrap().octets
    }

    fn end(&self) {
        self.state.lock().unwrap().is_ended = true;
        self.came.notify_one();
        self.taken.notify_waiters();
    }
}

struct WayIn(Arc<Way>);

struct WayOut(Arc<Way>);

impl Drop for WayIn {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Drop for WayOut {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[async_trait]
impl LineInput for WayOut {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            {
                let mut state = self.0.state.lock().unwrap();
                if let Some(piece) = state.queue.pop_front() {
                    state.octets -= piece.len();
                    self.0.taken.notify_waiters();
                    return Some(piece);
                }
                if state.is_ended {
                    return None;
                }
            }
            self.0.came.notified().await;
        }
    }
}

#[async_trait]
impl LineOutput for WayIn {
    fn send(&self, piece: Bytes) -> Result<(), Closed> {
        let mut state = self.0.state.lock().unwrap();
        if state.is_ended {
            return Err(Closed);
        }
        state.octets += piece.len();
        state.queue.push_back(piece);
        self.0.came.notify_one();
        Ok(())
    }

    fn queued(&self) -> usize {
        self.0.queued()
    }

    async fn drained_below(&self, octets: usize) -> Result<(), Closed> {
        loop {
            let taken = self.0.taken.notified();
            {
                let state = self.0.state.lock().unwrap();
                if state.is_ended {
                    return Err(Closed);
                }
                if state.octets < octets {
                    return Ok(());
                }
            }
            taken.await;
        }
    }
}

/// As [`start`], with a look at what waits to be read by the peer.
pub(crate) fn start_watched(folder: &MemoryFolder, limits: ServerLimits) -> (Line, JoinHandle<Served>, Arc<Way>) {
    let (to_server, to_client) = (Arc::new(Way::default()), Arc::new(Way::default()));
    let ours = line(&to_server, &to_client);
    (line(&to_client, &to_server), tokio::spawn(serve(ours, Arc::new(folder.clone()), limits)), to_client)
}

/// Our client at our server.
pub(crate) async fn connect(folder: &MemoryFolder, options: ClientOptions) -> Result<SftpClient, ClientError> {
    SftpClient::start_on(start(folder, ServerLimits::default()).0, options).await
}

/// A client that sends what it is told, and waits for nothing.
pub(crate) struct Raw {
    pub(crate) line: Line,
    framer: Framer,
}

impl Raw {
    pub(crate) fn new(line: Line) -> Self {
        Self { line, framer: Framer::default() }
    }

    /// A client that has been greeted.
    pub(crate) async fn greeted(line: Line) -> Self {
        let mut raw = Self::new(line);
        raw.send_packet(&ClientPacket::Init { version: 3, extensions: Vec::new() });
        assert!(matches!(raw.packet().await, Some(ServerPacket::Version { version: 3, .. })));
        raw
    }

    pub(crate) fn send_packet(&self, packet: &ClientPacket) {
        self.line.output.send(packet.encode()).unwrap();
    }

    pub(crate) fn send(&self, id: u32, request: Request) {
        self.send_packet(&ClientPacket::Request { id, request });
    }

    /// Sends nothing more; still reads.
    pub(crate) fn end_output(&mut self) {
        self.line.output = pair().0.output;
    }

    /// The next packet; none at the end.
    pub(crate) async fn packet(&mut self) -> Option<ServerPacket> {
        loop {
            if let Some(packet) = self.framer.next_packet().unwrap() {
                return Some(ServerPacket::decode(&packet).unwrap());
            }
            self.framer.push(self.line.input.next().await?);
        }
    }

    pub(crate) async fn reply(&mut self) -> (u32, Reply) {
        match self.packet().await {
            Some(ServerPacket::Reply { id, reply }) => (id, reply),
            other => panic!("a reply was expected, came {other:?}"),
        }
    }

    pub(crate) async fn ask(&mut self, id: u32, request: Request) -> Reply {
        self.send(id, request);
        let (got, reply) = self.reply().await;
        assert_eq!(got, id);
        reply
    }

    pub(crate) async fn open(&mut self, path: &str, flags: u32) -> Bytes {
        let path = Bytes::copy_from_slice(path.as_bytes());
        let open = Request::Open { path, flags: super::wire::OpenFlags(flags), attrs: super::wire::Attrs::default() };
        match self.ask(u32::MAX, open).await {
            Reply::Handle(handle) => handle,
            other => panic!("a handle was expected, came {other:?}"),
        }
    }
}

/// Octets that differ from block to block.
pub(crate) fn pattern(octets: usize) -> Vec<u8> {
    (0..octets).map(|n| (n.wrapping_mul(31) ^ (n >> 11) ^ (n >> 17)).to_le_bytes()[0]).collect()
}
