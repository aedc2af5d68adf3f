//! An upload: recorded before its first octet, staged while it arrives, committed as a whole or interrupted.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use base::{PayloadId, TransferId, UtcMicros};
use bytes::Bytes;
use db::{CommitReceived, NewPayload, Outcome, RouteState, State, TransferChange};

use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::events::Event;
use crate::store::{FileUuid, Saved, Sealed, Staged};
use crate::sync::lock;
use crate::transfer::source::payload_body;
use crate::transfer::{Extra, db_error, store_error};
use crate::vfd::is_temporary;
use crate::vfd::mount::MountUpload;

/// Proof that a file is whole, durable and recorded. Positive replies take it, so none leaves before (STYLE 7).
#[derive(Debug)]
pub struct Committed {
    /// Its record; none in a mounted folder without recording.
    pub transfer: Option<TransferId>,
    /// Octets of the file.
    pub size: u64,
    /// SHA-256 of the file, if the store keeps it.
    pub sha256: Option<[u8; 32]>,
    sealed: (),
}

impl Committed {
    pub(crate) const fn new(transfer: Option<TransferId>, size: u64, sha256: Option<[u8; 32]>) -> Self {
        Self { transfer, size, sha256, sealed: () }
    }
}

/// Uploads that are open now, by site and virtual path: for STAT while they grow, and for a session that comes back
/// while its old connection still seems to live.
pub(crate) type Uploads = HashMap<(String, String), Arc<Slot>>;

/// What an open upload shows to others.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) id: TransferId,
    size: AtomicU64,
    cancelled: AtomicBool,
    // The runtime's lock: a write holds it while it waits for the disk, and whoever takes the upload over waits for that.
    upload: tokio::sync::Mutex<Option<Upload>>,
}

impl Slot {
    /// Octets so far.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// Makes its next call fail.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// What is known of an upload when it begins.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) id: TransferId,
    pub(crate) site: String,
    pub(crate) path: String,
    pub(crate) file_name: String,
    pub(crate) settle: Duration,
    pub(crate) octets_max: Option<u64>,
    pub(crate) append: bool,
    pub(crate) extra: Extra,
    /// Older uploads of the name that are given up when this one is whole.
    pub(crate) replaces: Vec<TransferId>,
    /// The whole upload that it began with: it comes back if nothing is changed and the session is lost.
    pub(crate) base: Option<TransferId>,
}

/// The content of an upload, new or resumed.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) staged: Staged,
    pub(crate) payload: PayloadId,
    /// Its row is in the database and the record points to it.
    pub(crate) recorded: bool,
}

#[derive(Debug)]
struct Upload {
    offer: Offer,
    staged: Staged,
    uuid: FileUuid,
    payload: PayloadId,
    recorded: bool,
    saved: Saved,
    extra_changed: bool,
    changed: bool,
    failed: Option<TransferError>,
}

/// An upload in the hands of a session. Dropping it interrupts it.
#[derive(Debug)]
pub struct Incoming {
    engine: Arc<Engine>,
    kind: Kind,
    append: bool,
}

#[derive(Debug)]
enum Kind {
    Recorded(Arc<Slot>),
    Mount(Option<Box<MountUpload>>),
    Done,
}

impl Incoming {
    pub(crate) fn begin(engine: &Arc<Engine>, offer: Offer, body: Body) -> Self {
        let append = offer.append;
        let key = (offer.site.clone(), offer.path.clone());
        let slot = Arc::new(Slot {
            id: offer.id,
            size: AtomicU64::new(body.staged.size()),
            cancelled: AtomicBool::new(false),
            upload: tokio::sync::Mutex::new(Some(Upload {
                offer,
                uuid: body.staged.uuid(),
                staged: body.staged,
                payload: body.payload,
                recorded: body.recorded,
                saved: Saved::default(),
                extra_changed: false,
                changed: false,
                failed: None,
            })),
        });
        lock(&engine.uploads).insert(key, slot.clone());
        Self { engine: engine.clone(), kind: Kind::Recorded(slot), append }
    }

    pub(crate) fn mounted(engine: &Arc<Engine>, upload: MountUpload, append: bool) -> Self {
        Self { engine: engine.clone(), kind: Kind::Mount(Some(Box::new(upload))), append }
    }

    /// Its record; none in a mounted folder without recording.
    #[must_use]
    pub fn id(&self) -> Option<TransferId> {
        match &self.kind {
            Kind::Recorded(slot) => Some(slot.id),
            Kind::Mount(_) | Kind::Done => None,
        }
    }

    /// Octets so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.kind {
            Kind::Recorded(slot) => slot.size(),
            Kind::Mount(Some(upload)) => upload.size(),
            Kind::Mount(None) | Kind::Done => 0,
        }
    }

    /// Whether it was opened for appending. Offsets count all the same: clients give them (DESIGN 1.1).
    #[must_use]
    pub const fn append(&self) -> bool {
        self.append
    }

    /// Writes `data` at `offset`.
    ///
    /// # Errors
    /// [`Cause::Quota`] beyond the partner's limit, [`Cause::NoSpace`], [`Cause::Disk`]; [`Cause::Busy`] if another
    /// session has taken the upload over. After an error the upload can only be interrupted.
    pub async fn write_at(&mut self, offset: u64, data: Bytes) -> Result<(), TransferError> {
        let slot = match &mut self.kind {
            Kind::Recorded(slot) => slot.clone(),
            Kind::Mount(Some(upload)) => return upload.write_at(offset, data).await,
            Kind::Mount(None) | Kind::Done => return Err(over()),
        };
        let mut held = slot.upload.lock().await;
        let upload = usable(&slot, &mut held)?;
        let written = upload.write(&self.engine, offset, data).await;
        slot.size.store(upload.staged.size(), Ordering::Relaxed);
        written.inspect_err(|e| upload.failed = Some(e.clone()))
    }

    /// Reads back what was written.
    ///
    /// # Errors
    /// As for [`Incoming::write_at`].
    pub async fn read_at(&mut self, offset: u64, len: u32) -> Result<Bytes, TransferError> {
        let slot = match &mut self.kind {
            Kind::Recorded(slot) => slot.clone(),
            Kind::Mount(Some(upload)) => return upload.read_at(offset, len).await,
            Kind::Mount(None) | Kind::Done => return Err(over()),
        };
        let mut held = slot.upload.lock().await;
        let upload = usable(&slot, &mut held)?;
        upload.staged.read_at(offset, usize::try_from(len).unwrap_or(usize::MAX)).await.map_err(|e| store_error(&e))
    }

    /// Cuts or extends the file.
    ///
    /// # Errors
    /// As for [`Incoming::write_at`].
    pub async fn truncate(&mut self, size: u64) -> Result<(), TransferError> {
        let slot = match &mut self.kind {
            Kind::Recorded(slot) => slot.clone(),
            Kind::Mount(Some(upload)) => return upload.truncate(size).await,
            Kind::Mount(None) | Kind::Done => return Err(over()),
        };
        let mut held = slot.upload.lock().await;
        let upload = usable(&slot, &mut held)?;
        upload.within(size)?;
        upload.changed = true;
        let cut = upload.staged.truncate(size).await.map_err(|e| store_error(&e));
        slot.size.store(upload.staged.size(), Ordering::Relaxed);
        cut.inspect_err(|e| upload.failed = Some(e.clone()))
    }

    /// Makes what was written durable, as a checkpoint.
    ///
    /// # Errors
    /// As for [`Incoming::write_at`].
    pub async fn sync(&mut self) -> Result<(), TransferError> {
        let slot = match &mut self.kind {
            Kind::Recorded(slot) => slot.clone(),
            Kind::Mount(Some(upload)) => return upload.sync().await,
            Kind::Mount(None) | Kind::Done => return Err(over()),
        };
        let mut held = slot.upload.lock().await;
        let upload = usable(&slot, &mut held)?;
        let synced = upload.sync(&self.engine).await;
        synced.inspect_err(|e| upload.failed = Some(e.clone()))
    }

    /// Keeps the time of change that the client gives.
    ///
    /// # Errors
    /// [`Cause::Busy`] if another session has taken the upload over.
    pub async fn set_times(&mut self, modified: UtcMicros) -> Result<(), TransferError> {
        let slot = match &mut self.kind {
            Kind::Recorded(slot) => slot.clone(),
            Kind::Mount(Some(upload)) => return upload.set_times(modified),
            Kind::Mount(None) | Kind::Done => return Err(over()),
        };
        let mut held = slot.upload.lock().await;
        let upload = usable(&slot, &mut held)?;
        upload.offer.extra.modified = Some(modified);
        upload.extra_changed = true;
        Ok(())
    }

    /// Makes the file whole: content durable, then payload, record and step in one transaction. Only then the partner
    /// may be told.
    ///
    /// # Errors
    /// The first error of the upload, or what disk or database say; the upload is then interrupted.
    pub async fn commit(mut self) -> Result<Committed, TransferError> {
        match std::mem::replace(&mut self.kind, Kind::Done) {
            Kind::Recorded(slot) => {
                let upload = take(&self.engine, &slot).await.ok_or_else(over)?;
                if let Some(error) = upload.failed.clone() {
                    upload.interrupt(&self.engine, &error.text).await;
                    return Err(error);
                }
                upload.commit(&self.engine).await
            }
            Kind::Mount(Some(upload)) => upload.commit(&self.engine).await,
            Kind::Mount(None) | Kind::Done => Err(over()),
        }
    }

    /// Ends it before its end: the record becomes interrupted and the partner may go on later.
    pub async fn interrupt(mut self) {
        let kind = std::mem::replace(&mut self.kind, Kind::Done);
        end(&self.engine, kind).await;
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let kind = std::mem::replace(&mut self.kind, Kind::Done);
        if matches!(kind, Kind::Done) {
            return;
        }
        let engine = self.engine.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Short, and its result is in the record: nobody waits for it. Without a runtime it is as after a crash.
            runtime.spawn(async move { end(&engine, kind).await });
        }
    }
}

async fn end(engine: &Arc<Engine>, kind: Kind) {
    match kind {
        Kind::Recorded(slot) => {
            if let Some(upload) = take(engine, &slot).await {
                upload.interrupt(engine, "the session ended before the file was closed").await;
            }
        }
        Kind::Mount(Some(upload)) => upload.interrupt(engine).await,
        Kind::Mount(None) | Kind::Done => {}
    }
}

impl Engine {
    /// Ends an upload of this name that another handle still holds, so that its file can be opened anew (DESIGN 1.2).
    pub(crate) async fn take_over(self: &Arc<Self>, site: &str, path: &str) {
        let slot = lock(&self.uploads).get(&(site.to_owned(), path.to_owned())).cloned();
        if let Some(slot) = slot
            && let Some(upload) = take(self, &slot).await
        {
            upload.interrupt(self, "the file was opened again").await;
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

/// Takes the upload out of its slot, for its one end.
async fn take(engine: &Engine, slot: &Arc<Slot>) -> Option<Upload> {
    let upload = slot.upload.lock().await.take()?;
    let mut open = lock(&engine.uploads);
    let key = (upload.offer.site.clone(), upload.offer.path.clone());
    if open.get(&key).is_some_and(|now| Arc::ptr_eq(now, slot)) {
        open.remove(&key);
    }
    drop(open);
    Some(upload)
}

fn usable<'a>(slot: &Slot, held: &'a mut Option<Upload>) -> Result<&'a mut Upload, TransferError> {
    let upload = held.as_mut().ok_or_else(over)?;
    if slot.cancelled.load(Ordering::Relaxed) {
        let error = TransferError::refuse(Cause::Denied, "an operator ended the upload");
        upload.failed = Some(error.clone());
        return Err(error);
    }
    match &upload.failed {
        Some(error) => Err(error.clone()),
        None => Ok(upload),
    }
}

fn over() -> TransferError {
    TransferError::refuse(Cause::Busy, "the upload is over, or another session has taken it over: open the file again")
}

impl Upload {
    fn within(&self, size: u64) -> Result<(), TransferError> {
        match self.offer.octets_max {
            Some(max) if size > max => {
                Err(TransferError::refuse(Cause::Quota, format!("the file exceeds {max} octets, the partner's limit")))
            }
            _ => Ok(()),
        }
    }

    async fn write(&mut self, engine: &Engine, offset: u64, data: Bytes) -> Result<(), TransferError> {
        let octets = u64::try_from(data.len()).unwrap_or(u64::MAX);
        self.within(offset.saturating_add(octets))?;
        self.changed = true;
        self.staged.write_at(offset, data).await.map_err(|e| store_error(&e))?;
        match self.staged.checkpoint() {
            Some(saved) => self.record(engine, saved).await,
            None => Ok(()),
        }
    }

    async fn sync(&mut self, engine: &Engine) -> Result<(), TransferError> {
        let saved = self.staged.sync().await.map_err(|e| store_error(&e))?;
        self.record(engine, saved).await
    }

    /// Tells the database how far the file is durable. The first time the record gets its payload; later ones need not
    /// be waited for.
    async fn record(&mut self, engine: &Engine, saved: Saved) -> Result<(), TransferError> {
        let durable = i64::try_from(saved.durable_to).unwrap_or(i64::MAX);
        if !self.recorded {
            let (uuid, store) = (self.uuid.to_string(), engine.store.name());
            engine.db.payloads().stage(self.payload, &uuid, store).await.map_err(|e| db_error(&e))?;
        }
        let state = Some(saved.state.clone()).filter(|s| !s.is_empty());
        engine.db.payloads().checkpoint(self.payload, durable, state).await.map_err(|e| db_error(&e))?;
        let mut change = TransferChange::fields(self.offer.id, engine.clock.now());
        change.done_octets = Some(durable);
        change.payload = (!self.recorded).then_some(self.payload);
        if self.recorded {
            drop(engine.db.transfers().apply_lazy(change).await.map_err(|e| db_error(&e))?);
        } else {
            engine.db.transfers().apply(change).await.map_err(|e| db_error(&e))?;
        }
        self.recorded = true;
        self.saved = saved;
        Ok(())
    }

    async fn commit(self, engine: &Arc<Engine>) -> Result<Committed, TransferError> {
        let size = self.staged.size();
        if self.extra_changed {
            let mut change = TransferChange::fields(self.offer.id, engine.clock.now());
            change.extra_json = Some(self.offer.extra.json());
            drop(engine.db.transfers().apply_lazy(change).await.map_err(|e| db_error(&e))?);
        }
        let sealed = match engine.store.commit(self.staged).await {
            Ok(sealed) => sealed,
            Err(e) => {
                let error = store_error(&e);
                fail(engine, &self.offer, self.saved.durable_to, &error.text).await;
                return Err(error);
            }
        };
        let info = *sealed.info();
        let now = engine.clock.now();
        let route_after = now.plus(self.offer.settle);
        let temporary = is_temporary(&self.offer.file_name);
        let commit = received(engine, (&self.offer, self.payload, self.uuid), &sealed, (now, route_after, temporary));
        if let Err(e) = engine.db.transfers().commit_received(commit).await {
            let error = db_error(&e);
            fail(engine, &self.offer, size, &error.text).await;
            return Err(error);
        }
        engine.replaced(&self.offer).await;
        if !temporary {
            engine.settling.at(route_after);
        }
        let Offer { id, site, file_name, .. } = self.offer;
        engine.events.emit(Event::Received { transfer: id, site, file: file_name, octets: info.size });
        Ok(Committed::new(Some(id), info.size, info.sha256))
    }

    async fn interrupt(mut self, engine: &Arc<Engine>, why: &str) {
        let untouched = self.offer.base.is_some() && !self.changed;
        if untouched || self.staged.size() == 0 {
            let ended = engine.end_upload(self.offer.id, State::Deleted, 0, why).await;
            tell(&self.offer, ended);
            if let Some(base) = self.offer.base {
                tell(&self.offer, engine.route_again(base, self.offer.settle).await);
            }
            if self.recorded {
                engine.drop_payload(self.payload).await;
            }
            return;
        }
        let kept = match self.staged.sync().await {
            Ok(saved) => self.record(engine, saved).await.map(|()| self.saved.durable_to),
            Err(e) => Err(store_error(&e)),
        };
        let durable = kept.unwrap_or_else(|e| {
            tracing::warn!(transfer = self.offer.id.0, error = %e, "an interrupted upload could not be kept to its end");
            self.saved.durable_to
        });
        drop(self.staged);
        fail(engine, &self.offer, durable, why).await;
    }
}

fn received(
    engine: &Engine,
    (offer, payload, uuid): (&Offer, PayloadId, FileUuid),
    sealed: &Sealed,
    (at, route_after, temporary): (UtcMicros, UtcMicros, bool),
) -> CommitReceived {
    let info = sealed.info();
    CommitReceived {
        id: offer.id,
        payload: NewPayload {
            id: payload,
            body: payload_body(uuid, sealed, engine.store.name()),
            size: i64::try_from(info.size).unwrap_or(i64::MAX),
            sha256: info.sha256,
        },
        to: State::Ended,
        // Empty: not looked at until it gets its final name (DESIGN 1.3).
        route_state: if temporary { RouteState::Empty } else { RouteState::ToRoute },
        route_after,
        at,
        note: String::new(),
    }
}

async fn fail(engine: &Arc<Engine>, offer: &Offer, octets: u64, why: &str) {
    let ended = engine.end_upload(offer.id, State::Interrupted, octets, why).await;
    engine.events.emit(Event::Interrupted { transfer: offer.id, site: offer.site.clone(), octets });
    tell(offer, ended);
}

fn tell(offer: &Offer, ended: Result<(), TransferError>) {
    if let Err(e) = ended {
        tracing::warn!(transfer = offer.id.0, error = %e, "the record of an interrupted upload could not be changed");
    }
}

impl Engine {
    async fn end_upload(&self, id: TransferId, to: State, octets: u64, why: &str) -> Result<(), TransferError> {
        let mut change = TransferChange::to(id, to, self.clock.now());
        change.expected = vec![State::Servicing, State::Created];
        change.done_octets = i64::try_from(octets).ok();
        change.note = base::brief(why, 200);
        change.outcome =
            Some(Outcome { reason: crate::transfer::reason::TRANSFER, diag: 0, err: base::brief(why, 500) });
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
