//! A download by a partner: the file ends only when all of it was read (SFTP-9, TRF-22).

use std::collections::HashMap;
use std::sync::Arc;

use base::{TransferId, UtcMicros};
use bytes::Bytes;
use db::{DbError, NewTransfer, Outcome, State, Transfer, TransferChange};

use crate::admit::{Admitted, Meter};
use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::events::Event;
use crate::sync::lock;
use crate::transfer::ranges::Ranges;
use crate::transfer::{Extra, Source, db_error, reason};
use crate::vfd::mount::MountRead;

/// Downloads that are open now. Several handles may read one file; a broken download is continued by another session.
pub(crate) type Downloads = HashMap<TransferId, Progress>;

/// What was read of a download, by all that have it open here.
#[derive(Debug)]
pub(crate) struct Progress {
    handles: u32,
    ranges: Ranges,
    cancelled: bool,
}

impl Progress {
    /// Makes the next read fail.
    pub(crate) const fn cancel(&mut self) {
        self.cancelled = true;
    }
}

/// A file being read by a partner. Dropping it is as if the connection broke.
#[derive(Debug)]
pub struct Outgoing {
    engine: Arc<Engine>,
    kind: Kind,
    modified: UtcMicros,
    meter: Meter,
}

#[derive(Debug)]
enum Kind {
    /// A file at the partner's disposal.
    Offered(Box<Download>),
    /// The partner's own upload, read back: changes nothing.
    Own(TransferId, Box<Source>),
    /// A file of a mounted folder.
    Mount(Box<MountRead>),
    Done,
}

#[derive(Debug)]
struct Download {
    id: TransferId,
    site: String,
    source: Source,
    read_end: bool,
    /// The record of one download of a permanent file.
    copy: bool,
}

impl Outgoing {
    /// Opens a file at disposal. A permanent one stays; this download gets a record of its own (OBJ-24).
    pub(crate) async fn offered(engine: &Arc<Engine>, who: &Admitted, offer: &Transfer) -> Result<Self, TransferError> {
        let payload = offer.payload.ok_or_else(|| {
            TransferError::park(Cause::NotFound, format!("transfer {} has no content: submit it again", offer.id))
        })?;
        let source = engine.open_payload(payload).await?;
        let now = engine.clock.now();
        let extra = Extra { secured: who.secured.clone(), ..Extra::of(offer) };
        let modified = extra.modified.unwrap_or(offer.created_at);
        let _owner = engine.queue.orphans.owners.read().await;
        let id = if extra.permanent { copy_record(engine, offer, (&extra, now)).await? } else { offer.id };
        let known = if extra.permanent { 0 } else { u64::try_from(offer.done_octets).unwrap_or(0) };
        let first = {
            let mut open = lock(&engine.downloads);
            let progress = open.entry(id).or_insert_with(|| Progress {
                handles: 0,
                ranges: Ranges::prefix(known.min(source.size())),
                cancelled: false,
            });
            progress.handles += 1;
            progress.handles == 1
        };
        let download = Download { id, site: offer.site.clone(), source, read_end: false, copy: extra.permanent };
        let this =
            Self { engine: engine.clone(), kind: Kind::Offered(Box::new(download)), modified, meter: Meter::default() };
        if first && !extra.permanent {
            let mut change = TransferChange::to(id, State::Servicing, now);
            change.node = Some(engine.node.id());
            change.extra_json = Some(extra.json());
            drop(engine.db.transfers().apply_lazy(change).await.map_err(|e| db_error(&e))?);
        }
        Ok(this)
    }

    /// Opens the partner's own upload.
    pub(crate) async fn own(engine: &Arc<Engine>, upload: &Transfer) -> Result<Self, TransferError> {
        let payload =
            upload.payload.ok_or_else(|| TransferError::refuse(Cause::NotFound, "the upload has no content"))?;
        let source = Box::new(engine.open_payload(payload).await?);
        let modified = Extra::of(upload).modified.or(upload.ended_at).unwrap_or(upload.created_at);
        Ok(Self { engine: engine.clone(), kind: Kind::Own(upload.id, source), modified, meter: Meter::default() })
    }

    pub(crate) fn mounted(engine: &Arc<Engine>, file: MountRead) -> Self {
        let modified = file.modified();
        Self { engine: engine.clone(), kind: Kind::Mount(Box::new(file)), modified, meter: Meter::default() }
    }

    /// Its octets count towards the partner's quota.
    pub(crate) fn paced(mut self, meter: Meter) -> Self {
        self.meter = meter;
        self
    }

    /// Its record; none in a mounted folder without recording.
    #[must_use]
    pub fn id(&self) -> Option<TransferId> {
        match &self.kind {
            Kind::Offered(d) => Some(d.id),
            Kind::Own(id, _) => Some(*id),
            Kind::Mount(file) => file.id(),
            Kind::Done => None,
        }
    }

    /// Octets of the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.kind {
            Kind::Offered(d) => d.source.size(),
            Kind::Own(_, source) => source.size(),
            Kind::Mount(file) => file.size(),
            Kind::Done => 0,
        }
    }

    /// When the file was last changed.
    #[must_use]
    pub const fn modified(&self) -> UtcMicros {
        self.modified
    }

    /// At most `len` octets from `offset`; none at the end of the file.
    ///
    /// # Errors
    /// [`Cause::Integrity`], [`Cause::Disk`]; [`Cause::Denied`] if an operator ended it.
    pub async fn read_at(&mut self, offset: u64, len: u32) -> Result<Bytes, TransferError> {
        let octets = match &mut self.kind {
            Kind::Offered(download) => {
                let octets = download.source.read_at(offset, len).await?;
                let count = u64::try_from(octets.len()).unwrap_or(0);
                let end = offset.saturating_add(count);
                download.read_end |= len > 0 && offset <= end && end >= download.source.size();
                count_read(&self.engine, download.id, (offset, count))?;
                octets
            }
            Kind::Own(_, source) => source.read_at(offset, len).await?,
            Kind::Mount(file) => file.read_at(offset, len).await?,
            Kind::Done => return Err(TransferError::refuse(Cause::Invalid, "the file is closed")),
        };
        self.engine.moved(&self.meter, octets.len());
        Ok(octets)
    }

    /// Ends the download. `closed`: the client closed the file, so everything that was read has arrived. Gives whether
    /// the transfer is over: whole file read, by this and earlier tries, and its end by this one.
    ///
    /// # Errors
    /// If the database fails; the file then stays at disposal.
    pub async fn finish(mut self, closed: bool) -> Result<bool, TransferError> {
        let kind = std::mem::replace(&mut self.kind, Kind::Done);
        finish(&self.engine, kind, closed).await
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        let kind = std::mem::replace(&mut self.kind, Kind::Done);
        if matches!(kind, Kind::Done | Kind::Own(..)) {
            return;
        }
        let engine = self.engine.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Short, and its result is in the record: nobody waits for it. Without a runtime it is as after a crash.
            runtime.spawn(async move { finish(&engine, kind, false).await.map(drop) });
        }
    }
}

fn count_read(engine: &Engine, id: TransferId, (offset, count): (u64, u64)) -> Result<(), TransferError> {
    match lock(&engine.downloads).get_mut(&id) {
        Some(progress) if progress.cancelled => {
            Err(TransferError::refuse(Cause::Denied, "an operator ended the download"))
        }
        Some(progress) => {
            progress.ranges.add(offset, count);
            Ok(())
        }
        None => Ok(()),
    }
}

async fn finish(engine: &Engine, kind: Kind, closed: bool) -> Result<bool, TransferError> {
    let download = match kind {
        Kind::Offered(download) => download,
        Kind::Mount(file) => return file.finish(engine, closed).await,
        Kind::Own(..) | Kind::Done => return Ok(false),
    };
    let size = download.source.size();
    let (read, last) = {
        let mut open = lock(&engine.downloads);
        let Some(progress) = open.get_mut(&download.id) else { return Ok(false) };
        progress.handles = progress.handles.saturating_sub(1);
        (progress.ranges.prefix_octets(), progress.handles == 0)
    };
    let ended = closed && download.read_end && read >= size;
    let recorded = if ended {
        engine.read_whole(&download, size).await
    } else if last {
        engine.read_in_part(&download, read).await
    } else {
        Ok(())
    };
    // Only now: who opens it meanwhile goes on with what was read, which the database did not tell yet.
    let mut open = lock(&engine.downloads);
    if open.get(&download.id).is_some_and(|progress| progress.handles == 0) {
        open.remove(&download.id);
    }
    drop(open);
    if recorded.is_err() {
        engine.queue.suspect_orphans();
    }
    recorded.map(|()| ended)
}

/// A record of its own for the download of a permanent file.
async fn copy_record(
    engine: &Engine,
    offer: &Transfer,
    (extra, now): (&Extra, UtcMicros),
) -> Result<TransferId, TransferError> {
    let id = engine.db.transfers().next_id().await.map_err(|e| db_error(&e))?;
    let new = NewTransfer {
        mode: offer.mode,
        state: State::Servicing,
        local: offer.local.clone(),
        site: offer.site.clone(),
        gate: offer.gate.clone(),
        login: offer.login.clone(),
        appli: offer.appli.clone(),
        dir_name: offer.dir_name.clone(),
        file_name: offer.file_name.clone(),
        priority: offer.priority,
        size: offer.size,
        payload: offer.payload,
        dup_from: Some(offer.id),
        extra_json: Extra { permanent: false, ..extra.clone() }.json(),
        node: Some(engine.node.id()),
        ..NewTransfer::outgoing(id, &offer.protocol, now)
    };
    drop(engine.db.transfers().insert_lazy(new).await.map_err(|e| db_error(&e))?);
    Ok(id)
}

impl Engine {
    /// The whole file was read and closed: it is delivered.
    async fn read_whole(&self, download: &Download, size: u64) -> Result<(), TransferError> {
        let now = self.clock.now();
        let mut change = TransferChange::to(download.id, State::Ended, now);
        change.done_octets = i64::try_from(size).ok();
        change.listed = Some(false);
        change.note = "fetched by the partner".to_owned();
        let mut recorded = self.db.transfers().apply(change.clone()).await;
        if let Err(DbError::Transition { found: State::ToBegin, .. }) = recorded {
            // The end of an earlier handle put it back while this one was open.
            let servicing = TransferChange::to(download.id, State::Servicing, now);
            drop(self.db.transfers().apply_lazy(servicing).await.map_err(|e| db_error(&e))?);
            recorded = self.db.transfers().apply(change).await;
        }
        recorded.map_err(|e| db_error(&e))?;
        let site = download.site.clone();
        self.events.emit(Event::Delivered { transfer: download.id, site, octets: size });
        Ok(())
    }

    /// Part of a file was read: it stays at disposal, and the next try may go on behind what was read.
    async fn read_in_part(&self, download: &Download, octets: u64) -> Result<(), TransferError> {
        let to = if download.copy { State::Interrupted } else { State::ToBegin };
        let mut change = TransferChange::to(download.id, to, self.clock.now());
        change.expected = vec![State::Servicing];
        // Another node may have it open, too, or have taken it over.
        change.owner = Some(self.node.id());
        change.done_octets = i64::try_from(octets).ok();
        change.note = format!("read up to octet {octets}");
        change.outcome = Some(Outcome {
            reason: reason::TRANSFER,
            diag: 0,
            err: "the partner did not read the whole file".to_owned(),
        });
        match self.db.transfers().apply(change).await {
            Ok(_) | Err(DbError::TakenOver { .. }) => Ok(()),
            Err(error) => Err(db_error(&error)),
        }
    }

    /// Whether a partner has this file open.
    pub(crate) fn is_downloading(&self, id: TransferId) -> bool {
        lock(&self.downloads).contains_key(&id)
    }

    /// Makes the next read of a download fail, if `id` is one.
    pub(crate) fn cancel_download(&self, id: TransferId) -> bool {
        lock(&self.downloads).get_mut(&id).map(Progress::cancel).is_some()
    }
}
