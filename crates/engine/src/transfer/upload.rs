//! The upload behind an [`super::Incoming`]: its slot among the open ones, its staged content, its end.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use base::{PayloadId, TransferId, UtcMicros};
use bytes::Bytes;
use db::{CommitReceived, Outcome, RouteState, State, TransferChange};

use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::events::Event;
use crate::store::{FileUuid, Saved, Sealed, Staged};
use crate::sync::lock;
use crate::transfer::submit::new_payload;
use crate::transfer::{Committed, Extra, db_error, reason, store_error};
use crate::vfd::is_temporary;
use crate::watch::StepTimer;

/// Uploads that are open now, by site and virtual path: for STAT while they grow, and for a session that comes back
/// while its old connection still seems to live.
pub(crate) type Uploads = HashMap<(String, String), Arc<Slot>>;

/// What an open upload shows to others.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) id: TransferId,
    pub(crate) uuid: FileUuid,
    size: AtomicU64,
    cancelled: AtomicBool,
    ending: AtomicBool,
    // The runtime's lock: a write holds it while it waits for the disk, and so does the end of the upload until it is
    // recorded. Whoever takes the upload over, or wants to know its end, waits for that.
    upload: Arc<tokio::sync::Mutex<Option<Upload>>>,
}

/// The end of an upload: while it is there, others wait to see what became of it.
pub(super) struct Ending {
    engine: Arc<Engine>,
    slot: Arc<Slot>,
    key: (String, String),
    _alone: tokio::sync::OwnedMutexGuard<Option<Upload>>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let mut open = lock(&self.engine.uploads);
        if open.get(&self.key).is_some_and(|now| Arc::ptr_eq(now, &self.slot)) {
            open.remove(&self.key);
        }
    }
}

impl Slot {
    pub(super) fn new(upload: Upload) -> Arc<Self> {
        Arc::new(Self {
            id: upload.log.offer.id,
            uuid: upload.log.uuid,
            size: AtomicU64::new(upload.staged.size()),
            cancelled: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            upload: Arc::new(tokio::sync::Mutex::new(Some(upload))),
        })
    }

    /// Octets so far.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// Makes its next call fail.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Works on the upload. After the first error it can only be interrupted.
    pub(super) async fn change<T>(
        &self,
        work: impl AsyncFnOnce(&mut Upload) -> Result<T, TransferError>,
    ) -> Result<T, TransferError> {
        let mut held = self.upload.lock().await;
        let upload = held.as_mut().ok_or_else(over)?;
        if self.cancelled.load(Ordering::Relaxed) {
            upload.failed = Some(TransferError::refuse(Cause::Denied, "an operator ended the upload"));
        }
        if let Some(error) = &upload.failed {
            return Err(error.clone());
        }
        let done = work(upload).await;
        self.size.store(upload.staged.size(), Ordering::Relaxed);
        done.inspect_err(|e| upload.failed = Some(e.clone()))
    }

    /// Takes the upload out, for its one end.
    pub(super) async fn take(self: &Arc<Self>, engine: &Arc<Engine>) -> Option<(Upload, Ending)> {
        let mut held = self.upload.clone().lock_owned().await;
        let upload = held.take()?;
        self.ending.store(true, Ordering::Relaxed);
        let key = (upload.log.offer.site.clone(), upload.log.offer.path.clone());
        Some((upload, Ending { engine: engine.clone(), slot: self.clone(), key, _alone: held }))
    }

    /// Whether it is open. One that is just ending is waited for: its record then tells what became of it.
    pub(crate) async fn is_open(&self) -> bool {
        if self.ending.load(Ordering::Relaxed) {
            drop(self.upload.lock().await);
            return false;
        }
        true
    }
}

/// What is known of an upload when it begins.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) id: TransferId,
    pub(crate) site: String,
    pub(crate) path: String,
    pub(crate) file_name: String,
    pub(crate) settle: Duration,
    pub(crate) octets_max: Option<u64>,
    pub(crate) quotas: Vec<crate::care::Quota>,
    pub(crate) append: bool,
    pub(crate) extra: Extra,
    /// Older uploads of the name that are given up when this one is whole.
    pub(crate) replaces: Vec<TransferId>,
    /// The whole upload that it began with: it rests meanwhile, and comes back if nothing is changed and the session is
    /// lost.
    pub(crate) base: Option<TransferId>,
    /// Number of this node when it began.
    pub(crate) owner: String,
    /// Its beginning is in the hands of another node and was given up: who goes on behind it must not leave a gap.
    pub(crate) begun_elsewhere: bool,
}

/// The content of an upload, new or resumed.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) staged: Staged,
    pub(crate) payload: PayloadId,
    /// Its row is in the database and the record points to it.
    pub(crate) recorded: bool,
}

/// An open upload.
#[derive(Debug)]
pub(super) struct Upload {
    staged: Staged,
    log: Log,
    resumed: bool,
    changed: bool,
    stamped: bool,
    failed: Option<TransferError>,
}

/// What the database knows of it.
#[derive(Debug)]
struct Log {
    offer: Offer,
    uuid: FileUuid,
    payload: PayloadId,
    recorded: bool,
    durable_to: u64,
}

impl Engine {
    /// Ends an upload of this name that another handle still holds, so that its file can be opened anew (DESIGN 1.2).
    pub(crate) async fn take_over(self: &Arc<Self>, site: &str, path: &str) {
        let slot = lock(&self.uploads).get(&(site.to_owned(), path.to_owned())).cloned();
        if let Some(slot) = slot
            && let Some((upload, ending)) = slot.take(self).await
        {
            upload.interrupt(self, "the file was opened again").await;
            drop(ending);
        }
    }

    /// The open upload of this name.
    pub(crate) fn open_upload(&self, site: &str, path: &str) -> Option<Arc<Slot>> {
        lock(&self.uploads).get(&(site.to_owned(), path.to_owned())).cloned()
    }

    /// Makes the next call of an open upload fail, if `id` is one.
    pub(crate) fn cancel_upload(&self, id: TransferId) -> bool {
        let found = lock(&self.uploads).values().find(|slot| slot.id == id).cloned();
        found.inspect(|slot| slot.cancel()).is_some()
    }
}

/// What a handle is told whose upload is no longer its own.
pub(super) fn over() -> TransferError {
    TransferError::refuse(Cause::Busy, "the upload is over, or another session has taken it over: open the file again")
}

impl Upload {
    pub(super) fn new(offer: Offer, body: Body) -> Self {
        let uuid = body.staged.uuid();
        let durable_to = if body.recorded { body.staged.size() } else { 0 };
        let log = Log { offer, uuid, payload: body.payload, recorded: body.recorded, durable_to };
        let Offer { append, base, begun_elsewhere, .. } = &log.offer;
        let resumed = log.recorded || *append || base.is_some() || *begun_elsewhere;
        let changed = log.recorded;
        Self { staged: body.staged, log, resumed, changed, stamped: false, failed: None }
    }

    fn within(&self, size: u64) -> Result<(), TransferError> {
        match self.log.offer.octets_max {
            Some(max) if size > max => {
                Err(TransferError::refuse(Cause::Quota, format!("the file exceeds {max} octets, the partner's limit")))
            }
            _ => Ok(()),
        }
    }

    /// Who resumes believes in a size; if the file is shorter, a gap of zeros would stand for content.
    fn no_gap(&self, offset: u64) -> Result<(), TransferError> {
        match self.resumed && offset > self.staged.size() {
            true => Err(TransferError::refuse(
                Cause::Invalid,
                format!("the file has {} octets, resume from there, not from {offset}", self.staged.size()),
            )),
            false => Ok(()),
        }
    }

    pub(super) async fn write(&mut self, engine: &Engine, offset: u64, data: Bytes) -> Result<(), TransferError> {
        let octets = u64::try_from(data.len()).unwrap_or(u64::MAX);
        self.within(offset.saturating_add(octets))?;
        self.no_gap(offset)?;
        self.changed = true;
        self.staged.write_at(offset, data).await.map_err(|e| store_error(&e))?;
        match self.staged.checkpoint() {
            Some(saved) => self.log.record(engine, saved).await,
            None => Ok(()),
        }
    }

    pub(super) async fn read(&mut self, offset: u64, len: u32) -> Result<Bytes, TransferError> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        self.staged.read_at(offset, len).await.map_err(|e| store_error(&e))
    }

    pub(super) async fn truncate(&mut self, engine: &Engine, size: u64) -> Result<(), TransferError> {
        self.within(size)?;
        self.changed = true;
        self.staged.truncate(size).await.map_err(|e| store_error(&e))?;
        // A recorded size must not stay larger than the file is.
        if self.log.recorded { self.sync(engine).await } else { Ok(()) }
    }

    pub(super) async fn sync(&mut self, engine: &Engine) -> Result<(), TransferError> {
        let saved = self.staged.sync().await.map_err(|e| store_error(&e))?;
        self.log.record(engine, saved).await
    }

    pub(super) fn stamp(&mut self, modified: UtcMicros) -> Result<(), TransferError> {
        self.log.offer.extra.modified = Some(modified);
        self.stamped = true;
        Ok(())
    }

    /// The client closed the file: makes it whole, unless something went wrong before.
    pub(super) async fn end(self, engine: &Arc<Engine>) -> Result<Committed, TransferError> {
        match self.failed.clone() {
            Some(error) => {
                self.interrupt(engine, &error.text).await;
                Err(error)
            }
            None => self.commit(engine).await,
        }
    }

    async fn commit(self, engine: &Arc<Engine>) -> Result<Committed, TransferError> {
        let Self { staged, log, stamped, .. } = self;
        let id = log.offer.id;
        let _alone = match log.offer.quotas.is_empty() {
            true => None,
            false => Some(engine.limited.lock().await),
        };
        if let Err(error) = engine.fits(&log.offer.quotas, staged.size()).await {
            // Of no use: the partner would find no room for its rest either.
            log.told(engine, staged.discard().await.map_err(|e| store_error(&e)));
            log.told(engine, engine.end_upload((id, &log.offer.owner), State::Deleted, 0, &error.text).await);
            if let Some(base) = log.offer.base {
                log.told(engine, engine.route_again(base, log.offer.settle).await);
            }
            if log.recorded {
                engine.drop_payload(log.payload).await;
            }
            return Err(error);
        }
        if stamped {
            let mut change = TransferChange::fields(id, engine.clock.now());
            change.extra_json = Some(log.offer.extra.json());
            drop(engine.db.transfers().apply_lazy(change).await.map_err(|e| db_error(&e))?);
        }
        let timer = StepTimer::begin("commit");
        let sealed = match engine.store.commit(staged).await {
            Ok(sealed) => sealed,
            Err(e) => {
                let error = store_error(&e);
                log.interrupted(engine, log.durable_to, &error.text).await;
                return Err(error);
            }
        };
        let commit = log.received(engine, &sealed);
        let route_after = commit.route_after;
        if let Err(e) = engine.db.transfers().commit_received(commit).await {
            let error = db_error(&e);
            // What is whole on the disk but has no record is found by whoever resumes, or by the sweep.
            log.interrupted(engine, log.durable_to, &error.text).await;
            return Err(error);
        }
        timer.done();
        engine.replaced(&log.offer).await;
        if !is_temporary(&log.offer.file_name) {
            engine.settling.at(route_after);
        }
        let Offer { site, file_name, .. } = log.offer;
        let info = *sealed.info();
        engine.events.emit(Event::Received { transfer: id, site, file: file_name, octets: info.size });
        Ok(Committed::new(Some(id), info.size, info.sha256))
    }

    /// The session ended before the file was closed: what came is kept, to be resumed.
    pub(super) async fn interrupt(self, engine: &Arc<Engine>, why: &str) {
        let untouched = self.log.offer.base.is_some() && !self.changed;
        if untouched || self.staged.size() == 0 {
            self.forget(engine, why).await;
            return;
        }
        let Self { staged, mut log, .. } = self;
        let kept = match staged.suspend().await {
            Ok(saved) => log.record(engine, saved).await,
            Err(e) => Err(store_error(&e)),
        };
        if let Err(e) = kept {
            tracing::warn!(transfer = log.offer.id.0, error = %e, "an interrupted upload could not be kept to its end");
            if !log.recorded {
                // Nothing of it is durable, and no record leads to it: on a full disk it would only be in the way.
                log.told(engine, engine.store.discard(log.uuid).await.map_err(|e| store_error(&e)));
            }
        }
        log.interrupted(engine, log.durable_to, why).await;
    }

    /// Nothing of it is worth keeping: no octet came, or nothing was changed in the whole file that it began with.
    async fn forget(self, engine: &Arc<Engine>, why: &str) {
        let Self { staged, log, .. } = self;
        log.told(engine, engine.end_upload((log.offer.id, &log.offer.owner), State::Deleted, 0, why).await);
        if let Some(base) = log.offer.base {
            log.told(engine, engine.route_again(base, log.offer.settle).await);
        }
        log.told(engine, staged.discard().await.map_err(|e| store_error(&e)));
        if log.recorded {
            engine.drop_payload(log.payload).await;
        }
    }

    /// As after a crash: the content stays where it is, and nobody is told.
    #[cfg(test)]
    pub(super) fn die(self) {
        drop(self);
    }
}

impl Log {
    /// Tells the database how far the file is durable. The first time the record gets its payload; later ones need not
    /// be waited for.
    async fn record(&mut self, engine: &Engine, saved: Saved) -> Result<(), TransferError> {
        let durable = i64::try_from(saved.durable_to).unwrap_or(i64::MAX);
        if !self.recorded {
            let (uuid, place) = (self.uuid.to_string(), (engine.store.name(), engine.store.holder()));
            engine.db.payloads().stage(self.payload, &uuid, place).await.map_err(|e| db_error(&e))?;
        }
        let state = Some(saved.state).filter(|s| !s.is_empty());
        drop(engine.db.payloads().checkpoint(self.payload, durable, state).await.map_err(|e| db_error(&e))?);
        let mut change = TransferChange::fields(self.offer.id, engine.clock.now());
        change.owner = Some(self.offer.owner.clone());
        change.done_octets = Some(durable);
        change.payload = (!self.recorded).then_some(self.payload);
        if self.recorded {
            drop(engine.db.transfers().apply_lazy(change).await.map_err(|e| db_error(&e))?);
        } else {
            engine.db.transfers().apply(change).await.map_err(|e| db_error(&e))?;
        }
        self.recorded = true;
        self.durable_to = saved.durable_to;
        Ok(())
    }

    fn received(&self, engine: &Engine, sealed: &Sealed) -> CommitReceived {
        let at = engine.clock.now();
        let temporary = is_temporary(&self.offer.file_name);
        CommitReceived {
            id: self.offer.id,
            payload: new_payload(self.payload, self.uuid, sealed, engine.store.name()),
            to: State::Ended,
            // Empty: not looked at until it gets its final name (DESIGN 1.3).
            route_state: if temporary { RouteState::Empty } else { RouteState::ToRoute },
            route_after: at.plus(self.offer.settle),
            at,
            note: String::new(),
            owner: Some(self.offer.owner.clone()),
        }
    }

    async fn interrupted(&self, engine: &Arc<Engine>, octets: u64, why: &str) {
        let id = self.offer.id;
        self.told(engine, engine.end_upload((id, &self.offer.owner), State::Interrupted, octets, why).await);
        engine.events.emit(Event::Interrupted { transfer: id, site: self.offer.site.clone(), octets });
    }

    fn told(&self, engine: &Engine, done: Result<(), TransferError>) {
        if let Err(e) = done {
            tracing::warn!(transfer = self.offer.id.0, error = %e, "the end of an upload could not be put in order");
            engine.queue.suspect_orphans();
        }
    }
}

impl Engine {
    async fn end_upload(
        &self,
        (id, owner): (TransferId, &str),
        to: State,
        octets: u64,
        why: &str,
    ) -> Result<(), TransferError> {
        let mut change = TransferChange::to(id, to, self.clock.now());
        change.expected = vec![State::Servicing, State::Created];
        change.owner = Some(owner.to_owned());
        change.done_octets = i64::try_from(octets).ok();
        change.note = base::brief(why, 200);
        change.outcome = Some(Outcome { reason: reason::TRANSFER, diag: 0, err: base::brief(why, 500) });
        if to == State::Deleted {
            change.listed = Some(false);
        }
        self.db.transfers().apply(change).await.map(drop).map_err(|e| db_error(&e))
    }

    /// Older uploads of the name give way to the new one (duplicate policy OVERRIDE, and an upload that was reopened).
    async fn replaced(&self, offer: &Offer) {
        for older in &offer.replaces {
            let given_up = self.give_up(*older, &format!("replaced by transfer {}", offer.id)).await;
            if let Err(e) = given_up {
                tracing::warn!(transfer = older.0, by = offer.id.0, error = %e, "an older upload could not be given up");
            }
        }
    }
}
