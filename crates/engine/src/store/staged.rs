//! A file while it arrives: a window that fills, a body on the disk, and at most one step of work between them.
//!
//! Memory is bounded: one window fills while another is hashed, sealed and written in a blocking step; then the writer
//! waits, which is the back-pressure towards the network. Every future here may be dropped: a step that was under way is
//! collected by the next call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use tokio::task::{JoinError, JoinHandle};

use super::body::{Body, Staging, remove_if_there};
use super::format::{CHUNK, CHUNK_OCTETS, SIZE_OCTETS_MAX, narrow, wide};
use super::resume::Again;
use super::window::Window;
use super::{FileUuid, INLINE_OCTETS_MAX, InlinePayload, Saved, StoreError, StoredInfo};

/// A file while it arrives. Dropping it is like a crash: what the last [`Saved`] told is durable, nothing else. After an
/// error of a write every further call fails with it.
pub struct Staged {
    staging: Arc<Staging>,
    uuid: FileUuid,
    window: Window,
    /// Octets of gaps so far.
    holes: u64,
    work: Work,
    /// Octets that the step under way writes.
    flight: usize,
    failed: Option<StoreError>,
    syncing: Option<(Saved, JoinHandle<Result<(), StoreError>>)>,
    checkpoint: Option<Saved>,
    /// Where and when the last checkpoint was begun.
    checked: (u64, Duration),
}

/// The body, or the step that has it.
enum Work {
    Idle(Box<Body>),
    Busy(JoinHandle<(Box<Body>, Result<Done, StoreError>)>),
    Gone,
}

/// What a step gives.
enum Done {
    Nothing,
    Octets(Vec<u8>),
    Saved(Saved),
    Info(StoredInfo),
}

/// What a backend does with a finished file, in the same step.
pub(super) type Place = Box<dyn FnOnce(&Body) -> Result<(), StoreError> + Send>;

/// What a finished file became.
pub(super) enum Finished {
    Inline(InlinePayload, StoredInfo),
    Placed(StoredInfo),
}

impl Staged {
    pub(super) fn new(staging: Arc<Staging>, uuid: FileUuid) -> Self {
        let body = Body::new(staging.clone(), uuid);
        Self::with(staging, body, Window::default(), 0)
    }

    pub(super) fn again(staging: Arc<Staging>, again: Again) -> Self {
        let window = Window::at(again.body.flushed, again.tail.into());
        Self::with(staging, again.body, window, again.holes)
    }

    fn with(staging: Arc<Staging>, body: Body, window: Window, holes: u64) -> Self {
        let (uuid, checked) = (body.uuid, (body.flushed, staging.parts.clock.monotonic()));
        let work = Work::Idle(Box::new(body));
        let (flight, failed, syncing, checkpoint) = (0, None, None, None);
        Self { staging, uuid, window, holes, work, flight, failed, syncing, checkpoint, checked }
    }

    /// Its name.
    #[must_use]
    pub const fn uuid(&self) -> FileUuid {
        self.uuid
    }

    /// Octets it has now.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.window.end()
    }

    /// Writes `octets` at `offset`; a gap before them is filled with zeros. Waits if the disk is behind.
    ///
    /// # Errors
    /// Kind `Invalid` for a gap or a size above the limits, which changes nothing; else what an earlier or this write
    /// met on the disk, and the file then takes no more.
    pub async fn write_at(&mut self, offset: u64, octets: Bytes) -> Result<(), StoreError> {
        let size = offset.saturating_add(wide(octets.len()));
        if octets.is_empty() {
            return self.failed.clone().map_or(Ok(()), Err);
        }
        self.extend(offset, size).await?;
        let (mut at, mut octets) = (offset, octets);
        if at < self.window.start() {
            let below = octets.split_to(octets.len().min(narrow(self.window.start() - at)));
            at = at.saturating_add(wide(below.len()));
            let from = offset;
            self.step(move |body| body.patch(from, &below).map(|()| Done::Nothing)).await?;
        }
        let inside = octets.split_to(octets.len().min(narrow(self.window.end().saturating_sub(at))));
        if !inside.is_empty() {
            self.window.overlay(at, inside);
        }
        self.append(octets).await
    }

    /// Up to `len` octets from `offset`, fewer only at the end.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn read_at(&mut self, offset: u64, len: usize) -> Result<Bytes, StoreError> {
        let len = len.min(narrow(self.size().saturating_sub(offset)));
        let start = self.window.start();
        if offset >= start {
            return Ok(self.window.copy(offset, len));
        }
        let below = len.min(narrow(start - offset));
        let read = self.step(move |body| body.read(offset, below).map(Done::Octets)).await?;
        let Done::Octets(read) = read else {
            return Ok(Bytes::new());
        };
        if below == len {
            return Ok(read.into());
        }
        let mut all = BytesMut::from(&read[..]);
        all.extend_from_slice(&self.window.copy(start, len - below));
        Ok(all.freeze())
    }

    /// Makes it `size` octets long; what is added is zeros.
    ///
    /// # Errors
    /// As for [`Staged::write_at`].
    pub async fn truncate(&mut self, size: u64) -> Result<(), StoreError> {
        if size >= self.size() {
            return self.extend(size, size).await;
        }
        if size >= self.window.start() {
            self.window.cut(size);
            return self.failed.clone().map_or(Ok(()), Err);
        }
        let cut = self.step(move |body| match size {
            0 => body.reset().map(|()| Done::Nothing),
            _ => body.cut(size).map(Done::Octets),
        });
        let tail = match cut.await? {
            Done::Octets(tail) => Bytes::from(tail),
            _ => Bytes::new(),
        };
        self.window = Window::at(size / CHUNK_OCTETS * CHUNK_OCTETS, tail);
        if size == 0 {
            self.settle().await?;
            self.checkpoint = Some(Saved::default());
        }
        self.checked.0 = self.window.start();
        Ok(())
    }

    /// Makes all of it durable: the file now, its last chunk together with the [`Saved`] that this gives.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn sync(&mut self) -> Result<Saved, StoreError> {
        while self.window.len() > CHUNK {
            self.flush((self.window.len() - 1) / CHUNK * CHUNK).await?;
        }
        self.settle().await?;
        let (tail, holes) = (self.window.pieces(), self.holes);
        let saved = self.step(move |body| {
            body.sync()?;
            body.saved(&tail, holes).map(Done::Saved)
        });
        let Done::Saved(saved) = saved.await? else {
            return Ok(Saved::default());
        };
        self.checked = (self.window.start(), self.staging.parts.clock.monotonic());
        self.checkpoint = None;
        Ok(saved)
    }

    /// The newest checkpoint that was made beside the writing and not taken yet: to be put in the database at leisure.
    pub fn checkpoint(&mut self) -> Option<Saved> {
        self.checkpoint.take()
    }

    /// Ends an upload that was interrupted: all of it becomes durable and can be resumed.
    ///
    /// # Errors
    /// What the disk says; the upload can then be resumed from the last checkpoint.
    pub async fn suspend(mut self) -> Result<Saved, StoreError> {
        let saved = self.sync().await;
        self.close().await;
        saved
    }

    /// Removes it.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn discard(mut self) -> Result<(), StoreError> {
        self.close().await;
        let (staging, uuid) = (self.staging.clone(), self.uuid);
        blocking(move || {
            remove_if_there(&staging, &staging.copy_path(uuid))?;
            remove_if_there(&staging, &staging.path(uuid))
        })
        .await
    }

    /// Octets of received content in memory: those that gather and those on their way to the disk.
    #[must_use]
    pub const fn held_octets(&self) -> usize {
        self.window.len() + self.flight
    }

    /// Makes it final: in memory if it is small and never went to the disk, else in its file, which `place` then puts
    /// where committed files are.
    pub(super) async fn finish(mut self, place: Place) -> Result<Finished, StoreError> {
        let small = self.window.start() == 0 && self.window.len() <= INLINE_OCTETS_MAX;
        if let (Work::Idle(body), true, None) = (&self.work, small, &self.failed)
            && body.opened.is_none()
        {
            let content = self.window.copy(0, INLINE_OCTETS_MAX);
            let (keys, hash) = (&*self.staging.parts.keys, self.staging.parts.options.hash);
            let (payload, info) = InlinePayload::build(keys, self.uuid, &content, hash)?;
            return Ok(Finished::Inline(payload, info));
        }
        self.settle().await?;
        let ahead = self.window.len().saturating_sub(1) / CHUNK * CHUNK;
        let chunks = self.window.take(ahead);
        let tail = self.window.pieces();
        let done = self.step(move |body| {
            if !chunks.is_empty() {
                body.append(&chunks)?;
            }
            let info = body.finish(&tail)?;
            place(body)?;
            Ok(Done::Info(info))
        });
        let info = match done.await? {
            Done::Info(info) => info,
            _ => StoredInfo::default(),
        };
        self.close().await;
        Ok(Finished::Placed(info))
    }

    /// Adds zeros up to `offset`, if that and a file of `size` octets are within the limits.
    async fn extend(&mut self, offset: u64, size: u64) -> Result<(), StoreError> {
        if size > SIZE_OCTETS_MAX {
            return Err(StoreError::Size { size, max: SIZE_OCTETS_MAX });
        }
        let gap = offset.saturating_sub(self.size());
        let left = self.staging.parts.limits.hole_octets_max.saturating_sub(self.holes);
        if gap > left {
            return Err(StoreError::Hole { gap, left });
        }
        while self.size() < offset {
            let some = narrow(offset - self.size()).min(CHUNK);
            self.holes = self.holes.saturating_add(wide(some));
            self.append(Bytes::from_static(ZEROS.get(..some).unwrap_or_default())).await?;
        }
        Ok(())
    }

    /// Adds `octets` at the end and hands over whole windows.
    async fn append(&mut self, mut octets: Bytes) -> Result<(), StoreError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let full = self.staging.parts.limits.window_octets / CHUNK * CHUNK;
        let full = full.max(CHUNK);
        while !octets.is_empty() {
            let room = (full + CHUNK).saturating_sub(self.window.len());
            self.window.push(octets.split_to(octets.len().min(room)));
            if self.window.len() > full {
                self.flush(full).await?;
            }
        }
        Ok(())
    }

    /// Hands the first `len` octets of the window, whole chunks, to the next step, once the one before has ended.
    async fn flush(&mut self, len: usize) -> Result<(), StoreError> {
        let mut body = self.body().await?;
        if let Err(e) = self.check(&mut body) {
            self.work = Work::Idle(body);
            return Err(e);
        }
        let pieces = self.window.take(len);
        self.flight = len;
        self.work = Work::Busy(tokio::task::spawn_blocking(move || {
            let done = body.append(&pieces);
            (body, done.map(|()| Done::Nothing))
        }));
        Ok(())
    }

    /// Runs `work` with the body and waits for it. If the wait is dropped the file takes no more: half of a change may
    /// have been made.
    async fn step(
        &mut self,
        work: impl FnOnce(&mut Body) -> Result<Done, StoreError> + Send + 'static,
    ) -> Result<Done, StoreError> {
        let mut body = self.body().await?;
        self.failed = Some(StoreError::Worker { text: "a call was dropped before it ended".to_owned() });
        let task = tokio::task::spawn_blocking(move || {
            let done = work(&mut body);
            (body, done)
        });
        self.work = Work::Busy(task);
        let done = self.collect().await;
        self.failed = done.as_ref().err().cloned();
        done
    }

    /// Waits for the step under way and takes the body.
    async fn body(&mut self) -> Result<Box<Body>, StoreError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        if let Err(e) = self.collect().await {
            self.failed = Some(e.clone());
            return Err(e);
        }
        match std::mem::replace(&mut self.work, Work::Gone) {
            Work::Idle(body) => Ok(body),
            _ => Err(StoreError::Worker { text: "the file is closed".to_owned() }),
        }
    }

    /// Waits for the step under way, if there is one.
    async fn collect(&mut self) -> Result<Done, StoreError> {
        let Work::Busy(task) = &mut self.work else {
            return Ok(Done::Nothing);
        };
        let ended = task.await;
        self.work = Work::Gone;
        self.flight = 0;
        let (body, done) = ended.map_err(|e| StoreError::Worker { text: e.to_string() })?;
        self.work = Work::Idle(body);
        done
    }

    /// Begins a checkpoint beside the writing if it is time for one.
    fn check(&mut self, body: &mut Body) -> Result<(), StoreError> {
        if let Some((_, task)) = &mut self.syncing {
            let Some(ended) = task.now_or_never() else {
                return Ok(());
            };
            self.checkpoint_ended(ended)?;
        }
        let (limits, now) = (self.staging.parts.limits, self.staging.parts.clock.monotonic());
        let (new, waited) = (body.flushed.saturating_sub(self.checked.0), now.saturating_sub(self.checked.1));
        let enough = new >= limits.checkpoint_octets && waited >= limits.checkpoint_pause;
        let late = new > 0 && waited >= limits.checkpoint_wait;
        if (enough || late)
            && let Some(syncer) = body.syncer()?
        {
            let saved = body.saved(&[], self.holes)?;
            self.syncing = Some((saved, tokio::task::spawn_blocking(move || syncer.run())));
            self.checked = (body.flushed, now);
        }
        Ok(())
    }

    /// Waits for the checkpoint under way: its synchronisation may be the only one that is told of an error.
    async fn settle(&mut self) -> Result<(), StoreError> {
        if let Some((_, task)) = &mut self.syncing {
            let ended = task.await;
            self.checkpoint_ended(ended)?;
        }
        Ok(())
    }

    fn checkpoint_ended(&mut self, ended: Result<Result<(), StoreError>, JoinError>) -> Result<(), StoreError> {
        let saved = self.syncing.take().map(|(saved, _)| saved);
        let done = ended.unwrap_or_else(|e| Err(StoreError::Worker { text: e.to_string() }));
        match &done {
            Ok(()) => self.checkpoint = saved,
            Err(e) => self.failed = Some(e.clone()),
        }
        done
    }

    /// Ends all work. What failed was told before; here only the end matters.
    async fn close(&mut self) {
        let _ended = self.collect().await;
        let _settled = self.settle().await;
        self.work = Work::Gone;
    }
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Staged");
        shown
            .field("uuid", &self.uuid)
            .field("size", &self.size())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// Runs blocking work and waits for it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    join(&mut tokio::task::spawn_blocking(work)).await
}

/// Waits for blocking work; the wait may be dropped and begun again.
pub(super) async fn join<T>(task: &mut JoinHandle<Result<T, StoreError>>) -> Result<T, StoreError> {
    task.await.unwrap_or_else(|e| Err(StoreError::Worker { text: e.to_string() }))
}

/// What gaps are filled with.
static ZEROS: [u8; CHUNK] = [0; CHUNK];
