//! Reading a real file, with a record of it where the folder wants one (`mbx_recording`).

use base::{TransferId, UtcMicros};
use bytes::Bytes;
use db::{Mode, NewTransfer, State, TransferChange};

use super::Spot;
use super::real::RealFile;
use crate::engine::Engine;
use crate::error::TransferError;
use crate::events::Event;
use crate::transfer::{Extra, Ranges, db_error};

/// A file of a mounted folder, open for reading.
#[derive(Debug)]
pub(crate) struct MountRead {
    file: RealFile,
    record: Option<TransferId>,
    site: String,
    ranges: Ranges,
}

/// A record of this download, if the folder wants one.
pub(super) async fn record(
    engine: &Engine,
    spot: &Spot<'_>,
    file: &RealFile,
) -> Result<Option<TransferId>, TransferError> {
    if !spot.dir.recording {
        return Ok(None);
    }
    let id = engine.db.transfers().next_id().await.map_err(|e| db_error(&e))?;
    let who = spot.view.who;
    let new = NewTransfer {
        mode: Mode::Responder,
        state: State::Servicing,
        site: who.site.clone(),
        login: who.login.clone(),
        dir_name: spot.folder(),
        file_name: spot.name(),
        size: i64::try_from(file.found.size).ok(),
        extra_json: Extra {
            gate: who.gate.clone(),
            secured: who.secured.clone(),
            mount: spot.dir.path.clone(),
            ..Extra::default()
        }
        .json(),
        node: Some(engine.node.id()),
        ..NewTransfer::outgoing(id, who.protocol, engine.clock.now())
    };
    drop(engine.db.transfers().insert_lazy(new).await.map_err(|e| db_error(&e))?);
    Ok(Some(id))
}

impl MountRead {
    pub(super) fn new(file: RealFile, record: Option<TransferId>, site: &str) -> Self {
        Self { file, record, site: site.to_owned(), ranges: Ranges::default() }
    }

    pub(crate) const fn size(&self) -> u64 {
        self.file.found.size
    }

    pub(crate) const fn modified(&self) -> UtcMicros {
        self.file.found.modified
    }

    pub(crate) const fn id(&self) -> Option<TransferId> {
        self.record
    }

    pub(crate) async fn read_at(&mut self, offset: u64, len: u32) -> Result<Bytes, TransferError> {
        let octets = self.file.read_at(offset, len).await?;
        self.ranges.add(offset, u64::try_from(octets.len()).unwrap_or(0));
        Ok(octets)
    }

    pub(crate) async fn finish(self, engine: &Engine, closed: bool) -> Result<bool, TransferError> {
        let (read, size) = (self.ranges.prefix_octets(), self.size());
        let ended = closed && read >= size;
        if let Some(id) = self.record {
            let to = if ended { State::Ended } else { State::Interrupted };
            let mut change = TransferChange::to(id, to, engine.clock.now());
            change.done_octets = i64::try_from(read).ok();
            engine.db.transfers().apply(change).await.map_err(|e| db_error(&e))?;
            if ended {
                engine.events.emit(Event::Delivered { transfer: id, site: self.site, octets: size });
            }
        }
        Ok(ended)
    }
}
