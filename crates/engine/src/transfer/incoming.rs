//! An upload: recorded before its first octet, staged while it arrives, committed as a whole or interrupted.

use std::sync::Arc;

use base::{TransferId, UtcMicros};
use bytes::Bytes;

use crate::admit::Meter;
use crate::engine::Engine;
use crate::error::TransferError;
use crate::sync::lock;
use crate::transfer::upload::{Body, Offer, Slot, Upload, over};
use crate::vfd::mount::MountUpload;

/// Proof that a file is whole, durable and recorded. Positive replies take it, so none leaves before (STYLE 7).
#[derive(Debug)]
#[non_exhaustive] // so that nobody outside this crate can make one
pub struct Committed {
    /// Its record; none in a mounted folder without recording.
    pub transfer: Option<TransferId>,
    /// Octets of the file.
    pub size: u64,
    /// SHA-256 of the file, if the store keeps it.
    pub sha256: Option<[u8; 32]>,
}

impl Committed {
    pub(crate) const fn new(transfer: Option<TransferId>, size: u64, sha256: Option<[u8; 32]>) -> Self {
        Self { transfer, size, sha256 }
    }
}

/// An upload in the hands of a session. Dropping it interrupts it.
#[derive(Debug)]
pub struct Incoming {
    engine: Arc<Engine>,
    kind: Kind,
    append: bool,
    meter: Meter,
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
        let slot = Slot::new(Upload::new(offer, body));
        lock(&engine.uploads).insert(key, slot.clone());
        Self { engine: engine.clone(), kind: Kind::Recorded(slot), append, meter: Meter::default() }
    }

    pub(crate) fn mounted(engine: &Arc<Engine>, upload: MountUpload, append: bool) -> Self {
        let kind = Kind::Mount(Some(Box::new(upload)));
        Self { engine: engine.clone(), kind, append, meter: Meter::default() }
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
            Kind::Recorded(slot) => Some(slot.id),
            Kind::Mount(Some(upload)) => upload.id(),
            Kind::Mount(None) | Kind::Done => None,
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
    /// [`crate::Cause::Quota`] beyond the partner's limit, [`crate::Cause::NoSpace`], [`crate::Cause::Disk`]; [`crate::Cause::Busy`] if another
    /// session has taken the upload over. After an error the upload can only be interrupted.
    pub async fn write_at(&mut self, offset: u64, data: Bytes) -> Result<(), TransferError> {
        self.engine.moved(&self.meter, data.len());
        let slot = match &mut self.kind {
            Kind::Recorded(slot) => slot.clone(),
            Kind::Mount(Some(upload)) => return upload.write_at(offset, data).await,
            Kind::Mount(None) | Kind::Done => return Err(over()),
        };
        slot.change(async |upload| upload.write(&self.engine, offset, data).await).await
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
        slot.change(async |upload| upload.read(offset, len).await).await
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
        slot.change(async |upload| upload.truncate(&self.engine, size).await).await
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
        slot.change(async |upload| upload.sync(&self.engine).await).await
    }

    /// Keeps the time of change that the client gives.
    ///
    /// # Errors
    /// [`crate::Cause::Busy`] if another session has taken the upload over.
    pub async fn set_times(&mut self, modified: UtcMicros) -> Result<(), TransferError> {
        let slot = match &mut self.kind {
            Kind::Recorded(slot) => slot.clone(),
            Kind::Mount(Some(upload)) => return upload.set_times(modified),
            Kind::Mount(None) | Kind::Done => return Err(over()),
        };
        slot.change(async |upload| upload.stamp(modified)).await
    }

    /// Makes the file whole: content durable, then payload, record and step in one transaction. Only then the partner
    /// may be told.
    ///
    /// # Errors
    /// The first error of the upload, or what disk or database say; the upload is then interrupted.
    pub async fn commit(mut self) -> Result<Committed, TransferError> {
        match std::mem::replace(&mut self.kind, Kind::Done) {
            Kind::Recorded(slot) => {
                let (upload, ending) = slot.take(&self.engine).await.ok_or_else(over)?;
                let ended = upload.end(&self.engine).await;
                drop(ending);
                ended
            }
            Kind::Mount(Some(upload)) => upload.commit(&self.engine).await,
            Kind::Mount(None) | Kind::Done => Err(over()),
        }
    }

    /// As if the program died now.
    #[cfg(test)]
    pub(crate) async fn die(mut self) {
        if let Kind::Recorded(slot) = std::mem::replace(&mut self.kind, Kind::Done)
            && let Some((upload, _ending)) = slot.take(&self.engine).await
        {
            upload.die();
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
            if let Some((upload, ending)) = slot.take(engine).await {
                upload.interrupt(engine, "the session ended before the file was closed").await;
                drop(ending);
            }
        }
        Kind::Mount(Some(upload)) => upload.interrupt(engine).await,
        Kind::Mount(None) | Kind::Done => {}
    }
}
