//! The task of a session: takes packets, lets their jobs run, sends what they answer.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use channel::Closed;
use engine::{Cause, TransferError, VPath};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use super::handles::{Handles, Open, Task, Verb};
use super::jobs;
use super::paths::{PathTask, PathVerb, Paths};
use super::{READ_OCTETS_MAX, Served, ServerLimits, SessionError, WRITE_OCTETS_MAX};
use crate::carriers::sftp::line::{LineInput, LineOutput, PARTS_OCTETS_MIN};
use crate::carriers::sftp::replies;
use crate::carriers::sftp::wire::{
    Attrs, ClientPacket, Extended, Framer, Limits, NameEntry, PACKET_OCTETS_MAX, Pieces, Reply, Request, ServerPacket,
    VERSION, WireError, data_head, extension,
};
use crate::files::Folder;

/// What a job gives back.
pub(super) struct Done {
    pub(super) origin: Origin,
    pub(super) id: u32,
    /// What is answered, or why the request was refused.
    pub(super) result: Result<Reply, TransferError>,
    /// Octets that the job was counted with as a read.
    pub(super) read_octets: usize,
}

/// Where a job came from.
pub(super) enum Origin {
    /// A handle; what it stands for comes back unless it was closed.
    Handle { place: usize, open: Option<Open> },
    /// A path; if the request `opens`, what was opened gets a handle.
    Path { job: u64, opens: bool, opened: Option<Open>, path: VPath },
}

pub(super) struct Session {
    output: Arc<dyn LineOutput>,
    folder: Arc<dyn Folder>,
    limits: ServerLimits,
    framer: Framer,
    greeted: bool,
    handles: Handles,
    paths: Paths,
    /// Handles on their way: OPEN and OPENDIR that are not answered.
    opening: usize,
    jobs: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Places of handles that may have something to do.
    ready: VecDeque<usize>,
    /// Places of handles whose next request waits until the peer reads.
    stalled: VecDeque<usize>,
    requests_waiting: usize,
    octets_waiting: usize,
    /// Octets that running reads may add to the output.
    octets_being_read: usize,
    /// The path that the peer last asked about, and the size it was told.
    told: Option<(VPath, u64)>,
    malformed: u32,
    /// The peer is gone: nothing is read for it any more.
    ending: bool,
    served: Served,
}

impl Session {
    pub(super) fn new(output: Arc<dyn LineOutput>, folder: Arc<dyn Folder>, limits: ServerLimits) -> Self {
        Self {
            output,
            folder,
            limits,
            framer: Framer::default(),
            greeted: false,
            handles: Handles::default(),
            paths: Paths::default(),
            opening: 0,
            jobs: FuturesUnordered::new(),
            ready: VecDeque::new(),
            stalled: VecDeque::new(),
            requests_waiting: 0,
            octets_waiting: 0,
            octets_being_read: 0,
            told: None,
            malformed: 0,
            ending: false,
            served: Served::default(),
        }
    }

    pub(super) fn served(&self) -> Served {
        self.served.clone()
    }

    /// Serves until the peer ends the channel or breaks the protocol.
    pub(super) async fn run(&mut self, input: &mut dyn LineInput) -> Result<(), SessionError> {
        let output = Arc::clone(&self.output);
        let low = self.limits.output_octets_high - self.limits.output_octets_high / 4;
        loop {
            let wants_input = self.take_packets()?;
            self.start_jobs();
            let waits_for_peer = !self.stalled.is_empty() && self.octets_being_read == 0;
            tokio::select! {
                biased;
                Some(done) = self.jobs.next(), if !self.jobs.is_empty() => self.settle(done)?,
                drained = output.drained_below(low), if waits_for_peer => match drained {
                    Ok(()) => self.ready.append(&mut self.stalled),
                    Err(Closed) => return Ok(()),
                },
                piece = input.next(), if wants_input => match piece {
                    Some(piece) => self.framer.push(piece),
                    None => return Ok(()),
                },
            }
        }
    }

    /// After the end: carries out what was asked before it, then interrupts what was not closed.
    pub(super) async fn wind_up(&mut self) {
        self.ending = true;
        self.ready.append(&mut self.stalled);
        loop {
            self.start_jobs();
            let Some(done) = self.jobs.next().await else { break };
            // What the peer does not read any more can't fail the rest.
            let _ = self.settle(done);
        }
        for slot in self.handles.drain() {
            match slot.open {
                Some(Open::Upload(up)) => {
                    tracing::info!(path = %slot.path, octets = up.file.size(), "upload interrupted: channel ended before CLOSE");
                    up.file.interrupt().await;
                }
                Some(Open::Download(down)) => {
                    if let Err(error) = down.finish(false).await {
                        tracing::info!(path = %slot.path, %error, "download not ended");
                    }
                }
                Some(Open::Listing(_)) | None => {}
            }
        }
    }

    /// Takes packets while there is room for what they ask. Says whether more input is wanted.
    ///
    /// If all that waits, waits for the peer to read, input goes on: it may hold the very message that lets the peer's
    /// window open. What finds no room then is refused.
    fn take_packets(&mut self) -> Result<bool, SessionError> {
        loop {
            if self.is_full() {
                self.start_jobs();
                if self.is_full() && !self.jobs.is_empty() {
                    return Ok(false);
                }
            }
            match self.framer.next_packet()? {
                Some(packet) => self.take_packet(&packet)?,
                None => return Ok(true),
            }
        }
    }

    fn is_full(&self) -> bool {
        self.requests_waiting >= self.limits.requests_waiting_max
            || self.octets_waiting >= self.limits.octets_waiting_max
    }

    fn take_packet(&mut self, packet: &Pieces) -> Result<(), SessionError> {
        match (ClientPacket::decode(packet), self.greeted) {
            (Ok(ClientPacket::Init { version, .. }), false) => self.greet(version),
            (Ok(ClientPacket::Init { .. }), true) => Err(SessionError::SecondInit),
            (Ok(ClientPacket::Request { id, request }), true) => {
                self.served.requests += 1;
                self.take_request(id, request)
            }
            (Ok(ClientPacket::Request { id, .. }), false) => {
                self.answer(id, replies::invalid("INIT has to come first"))?;
                Err(SessionError::BeforeInit)
            }
            (Err(error), false) => Err(SessionError::Greeting(error)),
            (Err(error), true) => self.take_malformed(error),
        }
    }

    fn take_malformed(&mut self, error: WireError) -> Result<(), SessionError> {
        self.malformed += 1;
        match error.id {
            Some(id) if self.malformed < self.limits.malformed_max => {
                self.answer(id, replies::malformed(&error.defect))
            }
            _ => Err(SessionError::Malformed { count: self.malformed, last: error }),
        }
    }

    /// Answers INIT: version 3, whatever the peer has above it (SFTP-1).
    fn greet(&mut self, version: u32) -> Result<(), SessionError> {
        if version < VERSION {
            return Err(SessionError::Version { version });
        }
        self.greeted = true;
        let pair = |(name, data): (&'static str, &'static str)| (Bytes::from(name), Bytes::from(data));
        let extensions = extension::OFFERED.into_iter().map(pair).collect();
        self.send(ServerPacket::Version { version: VERSION, extensions }.encode())
    }

    fn take_request(&mut self, id: u32, request: Request) -> Result<(), SessionError> {
        match request {
            Request::Open { path, flags, .. } => self.take_path(id, &path, PathVerb::Open(flags)),
            Request::Close { handle } => self.take_handle(id, &handle, Verb::Close),
            Request::Read { handle, offset, len } => {
                self.take_handle(id, &handle, Verb::Read { offset, len, count: 1 })
            }
            Request::Write { handle, offset, data } => self.take_handle(id, &handle, Verb::Write { offset, data }),
            // There are no links here that could be followed or not.
            Request::Lstat { path } | Request::Stat { path } => self.take_path(id, &path, PathVerb::Stat),
            Request::Fstat { handle } => self.take_handle(id, &handle, Verb::Stat),
            Request::Setstat { path, attrs } => self.take_path(id, &path, PathVerb::SetStat(attrs)),
            Request::Fsetstat { handle, attrs } => self.take_handle(id, &handle, Verb::SetStat(attrs)),
            Request::Opendir { path } => self.take_path(id, &path, PathVerb::Opendir),
            Request::Readdir { handle } => self.take_handle(id, &handle, Verb::Readdir),
            Request::Remove { path } => self.take_path(id, &path, PathVerb::Remove),
            Request::Mkdir { path, .. } => self.take_path(id, &path, PathVerb::Mkdir),
            Request::Rmdir { path } => self.take_path(id, &path, PathVerb::Rmdir),
            Request::Realpath { path } => self.real_path(id, &path),
            Request::Rename { from, to } => self.take_rename(id, &from, &to, false),
            Request::Extended(extended) => self.take_extended(id, extended),
            Request::Readlink { .. } | Request::Symlink { .. } | Request::Unknown { .. } => {
                self.answer(id, replies::unsupported())
            }
        }
    }

    fn take_extended(&mut self, id: u32, extended: Extended) -> Result<(), SessionError> {
        match extended {
            Extended::PosixRename { from, to } => self.take_rename(id, &from, &to, true),
            Extended::Fsync { handle } => self.take_handle(id, &handle, Verb::Sync),
            Extended::Statvfs { path } => self.take_path(id, &path, PathVerb::Space),
            Extended::Fstatvfs { handle } => self.take_handle(id, &handle, Verb::Space),
            Extended::Lsetstat { path, attrs } => self.take_path(id, &path, PathVerb::SetStat(attrs)),
            Extended::Limits => {
                let limits = Limits {
                    packet_octets: u64::try_from(PACKET_OCTETS_MAX).unwrap_or(0),
                    read_octets: u64::from(READ_OCTETS_MAX),
                    write_octets: u64::from(WRITE_OCTETS_MAX),
                    handles: u64::try_from(self.limits.handles_max).unwrap_or(0),
                };
                self.answer(id, Reply::Extended(limits.encode()))
            }
            // SFTP-16; hard links are a way around rights.
            Extended::Hardlink { .. } | Extended::Other { .. } => self.answer(id, replies::unsupported()),
        }
    }

    /// REALPATH answers for names that do not exist as well, as OpenSSH does.
    fn real_path(&mut self, id: u32, path: &[u8]) -> Result<(), SessionError> {
        let reply = match VPath::parse(path, &self.folder.home()) {
            Ok(path) => {
                let name = Bytes::from(path.octets());
                let long_name = path.to_string().into();
                Reply::Names(vec![NameEntry { name, long_name, ..NameEntry::default() }])
            }
            Err(error) => replies::refused(&error.into()),
        };
        self.answer(id, reply)
    }

    fn take_rename(&mut self, id: u32, from: &[u8], to: &[u8], overwrite: bool) -> Result<(), SessionError> {
        match VPath::parse(to, &self.folder.home()) {
            Ok(to) => self.take_path(id, from, PathVerb::Rename { to, overwrite }),
            Err(error) => self.answer(id, replies::refused(&error.into())),
        }
    }

    fn take_path(&mut self, id: u32, path: &[u8], verb: PathVerb) -> Result<(), SessionError> {
        let path = match VPath::parse(path, &self.folder.home()) {
            Ok(path) => path,
            Err(error) => return self.answer(id, replies::refused(&error.into())),
        };
        let task = PathTask { id, path, verb };
        if self.is_full() {
            return self.answer(id, replies::too_many("too many requests are waiting: read the answers first"));
        }
        if task.opens() {
            if self.handles.len() + self.opening >= self.limits.handles_max {
                return self.answer(id, replies::too_many("too many handles are open: close some first"));
            }
            self.opening += 1;
        }
        self.requests_waiting += 1;
        self.paths.push(task);
        Ok(())
    }

    fn take_handle(&mut self, id: u32, handle: &[u8], verb: Verb) -> Result<(), SessionError> {
        let is_full = self.is_full();
        let Some(place) = self.handles.find(handle) else { return self.answer(id, replies::unknown_handle()) };
        let Some(slot) = self.handles.get_mut(place) else { return Ok(()) };
        let octets = verb.octets();
        if is_full && !matches!(verb, Verb::Close) {
            return self.answer(id, replies::too_many("too many requests are waiting: read the answers first"));
        }
        slot.closing = matches!(verb, Verb::Close);
        let was_idle = slot.is_idle();
        if slot.push(Task { id, verb }) {
            self.requests_waiting += 1;
        }
        self.octets_waiting += octets;
        self.served.octets_in += u64::try_from(octets).unwrap_or(0);
        if was_idle {
            self.ready.push_back(place);
        }
        Ok(())
    }

    /// Starts all that may run now.
    fn start_jobs(&mut self) {
        while let Some(place) = self.ready.pop_front() {
            self.start_on_handle(place);
        }
        while let Some((job, task)) = self.paths.pop(self.limits.path_jobs_max, self.handles.closing()) {
            self.requests_waiting -= 1;
            self.jobs.push(Box::pin(jobs::on_path(Arc::clone(&self.folder), job, task)));
        }
    }

    fn start_on_handle(&mut self, place: usize) {
        let peer_is_behind = self.peer_is_behind();
        let Some(slot) = self.handles.get_mut(place) else { return };
        while self.ending && slot.peek().is_some_and(Verb::is_large) {
            slot.pop();
        }
        if slot.open.is_none() {
            return;
        }
        if peer_is_behind && slot.peek().is_some_and(Verb::is_large) {
            return self.stalled.push_back(place);
        }
        let Some((task, freed)) = slot.pop() else { return };
        let Some(open) = slot.open.take() else { return };
        self.requests_waiting = self.requests_waiting.saturating_sub(usize::from(freed));
        if let Verb::Read { len, .. } = &task.verb {
            self.octets_being_read += read_octets(*len);
        }
        self.octets_waiting -= task.verb.octets();
        self.jobs.push(Box::pin(jobs::on_handle(Arc::clone(&self.folder), place, open, task)));
    }

    fn peer_is_behind(&self) -> bool {
        self.output.queued() + self.octets_being_read >= self.limits.output_octets_high
    }

    /// Takes back what a job worked with and sends its answer.
    fn settle(&mut self, done: Done) -> Result<(), SessionError> {
        let mut reply = done.result.unwrap_or_else(|error| {
            self.note_refusal(done.id, &done.origin, &error);
            replies::refused(&error)
        });
        self.octets_being_read = self.octets_being_read.saturating_sub(done.read_octets);
        match done.origin {
            Origin::Handle { place, open: Some(open) } => {
                if let Some(slot) = self.handles.get_mut(place) {
                    slot.open = Some(open);
                    self.ready.push_back(place);
                }
            }
            Origin::Handle { place, open: None } => drop(self.handles.remove(place)),
            Origin::Path { job, opens, opened, path } => {
                self.paths.done(job);
                self.opening -= usize::from(opens);
                match (opened, &reply) {
                    (Some(open), _) => {
                        let open = open.told(self.told.take_if(|(told, _)| *told == path).map(|(_, size)| size));
                        reply = Reply::Handle(self.handles.insert(open, path));
                    }
                    (None, Reply::Attrs(Attrs { size: Some(size), .. })) => self.told = Some((path, *size)),
                    // It may have another size now, by the peer's own will.
                    _ => drop(self.told.take_if(|(told, _)| *told == path)),
                }
            }
        }
        self.answer(done.id, reply)
    }

    /// Logs a refusal. Clients ask for names that are not there before each upload, and have many writes on their way
    /// when one fails: the log gets what is worth reading.
    fn note_refusal(&mut self, id: u32, origin: &Origin, error: &TransferError) {
        let (path, is_news) = match origin {
            Origin::Path { path, .. } => (path, true),
            Origin::Handle { place, open } => match self.handles.get_mut(*place) {
                Some(slot) => (&slot.path, !std::mem::replace(&mut slot.has_failed, true) || open.is_none()),
                None => return,
            },
        };
        let cause = error.cause.as_str();
        if is_news && error.cause != Cause::NotFound {
            tracing::info!(%path, cause, %error, "request refused");
        } else {
            tracing::debug!(%path, cause, %error, request = id, "request refused");
        }
    }

    fn answer(&mut self, id: u32, reply: Reply) -> Result<(), SessionError> {
        match reply {
            Reply::Data(data) if data.len() >= PARTS_OCTETS_MIN => {
                self.served.octets_out += u64::try_from(data.len()).unwrap_or(0);
                self.send(data_head(id, data.len()))?;
                self.send(data)
            }
            Reply::Data(data) => {
                self.served.octets_out += u64::try_from(data.len()).unwrap_or(0);
                self.send(Reply::Data(data).encode(id))
            }
            reply => self.send(reply.encode(id)),
        }
    }

    /// Hands a piece to the channel. A channel that is closed is noticed by the input.
    fn send(&self, piece: Bytes) -> Result<(), SessionError> {
        let _ = self.output.send(piece);
        match self.output.queued() {
            octets if octets > self.limits.output_octets_max => Err(SessionError::NotRead { octets }),
            _ => Ok(()),
        }
    }
}

/// Octets that a READ of `len` may give.
pub(super) fn read_octets(len: u32) -> usize {
    usize::try_from(len.min(READ_OCTETS_MAX)).unwrap_or(0)
}
