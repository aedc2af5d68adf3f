//! Writing a real file: under a hidden name until it is whole, with a record where the folder wants one.

use std::sync::Arc;

use base::{TransferId, UtcMicros};
use bytes::Bytes;
use db::{NewTransfer, State, TransferChange};

use super::Spot;
use super::real::Part;
use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::events::Event;
use crate::transfer::{Committed, Extra, db_error};
use crate::vfd::place::nothing;
use crate::vfd::{EntryKind, OpenWrite};

/// An upload into a mounted folder.
#[derive(Debug)]
pub(crate) struct MountUpload {
    part: Part,
    size: u64,
    octets_max: Option<u64>,
    exclusive: bool,
    modified: Option<UtcMicros>,
    record: Option<TransferId>,
    site: String,
    name: String,
    failed: Option<TransferError>,
}

/// Opens the hidden file and records the upload.
pub(super) async fn begin(engine: &Engine, spot: &Spot<'_>, how: OpenWrite) -> Result<MountUpload, TransferError> {
    let (real, site) = (spot.real()?, spot.view.who.site.as_str());
    let found = real.clone().stat().await?;
    let partial = real.partial(site).await?;
    match &found {
        Some(found) if found.kind == EntryKind::Directory => {
            return Err(TransferError::refuse(Cause::IsDirectory, format!("{} is a folder", spot.shown)));
        }
        Some(_) if how.exclusive => {
            return Err(TransferError::refuse(Cause::Exists, format!("{} is there already", spot.shown)));
        }
        None if !how.create && partial.is_none() => return Err(nothing(spot.shown)),
        _ => {}
    }
    let part = real.open_part(site, !how.truncate).await?;
    let record = record(engine, spot).await?;
    Ok(MountUpload {
        size: part.file.found.size,
        part,
        octets_max: spot.view.who.max_upload,
        exclusive: how.exclusive,
        modified: None,
        record,
        site: site.to_owned(),
        name: spot.name(),
        failed: None,
    })
}

async fn record(engine: &Engine, spot: &Spot<'_>) -> Result<Option<TransferId>, TransferError> {
    if !spot.dir.recording {
        return Ok(None);
    }
    let id = engine.db.transfers().next_id().await.map_err(|e| db_error(&e))?;
    let who = spot.view.who;
    let new = NewTransfer {
        site: who.site.clone(),
        login: who.login.clone(),
        dir_name: spot.folder(),
        file_name: spot.name(),
        // The folder is real: what is in it is not looked up in records.
        listed: false,
        extra_json: Extra {
            gate: who.gate.clone(),
            peer: who.peer.to_string(),
            secured: who.secured.clone(),
            mount: spot.dir.path.clone(),
            ..Extra::default()
        }
        .json(),
        node: Some(engine.node.id()),
        ..NewTransfer::incoming(id, who.protocol, engine.clock.now())
    };
    drop(engine.db.transfers().insert_lazy(new).await.map_err(|e| db_error(&e))?);
    Ok(Some(id))
}

impl MountUpload {
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    pub(crate) const fn id(&self) -> Option<TransferId> {
        self.record
    }

    fn within(&self, size: u64) -> Result<(), TransferError> {
        match (&self.failed, self.octets_max) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(max)) if size > max => {
                Err(TransferError::refuse(Cause::Quota, format!("the file exceeds {max} octets, the partner's limit")))
            }
            _ => Ok(()),
        }
    }

    fn keep<T>(&mut self, done: Result<T, TransferError>) -> Result<T, TransferError> {
        done.inspect_err(|e| self.failed = Some(e.clone()))
    }

    pub(crate) async fn write_at(&mut self, offset: u64, data: Bytes) -> Result<(), TransferError> {
        let end = offset.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        let fits = self.within(end);
        self.keep(fits)?;
        let written = self.part.file.write_at(offset, data).await;
        self.keep(written)?;
        self.size = self.size.max(end);
        Ok(())
    }

    pub(crate) async fn read_at(&mut self, offset: u64, len: u32) -> Result<Bytes, TransferError> {
        self.part.file.read_at(offset, len).await
    }

    pub(crate) async fn truncate(&mut self, size: u64) -> Result<(), TransferError> {
        let fits = self.within(size);
        self.keep(fits)?;
        let cut = self.part.file.truncate(size).await;
        self.keep(cut)?;
        self.size = size;
        Ok(())
    }

    pub(crate) async fn sync(&mut self) -> Result<(), TransferError> {
        let synced = self.part.file.sync().await;
        self.keep(synced)
    }

    pub(crate) fn set_times(&mut self, modified: UtcMicros) -> Result<(), TransferError> {
        self.modified = Some(modified);
        Ok(())
    }

    /// Gives it its final name, then ends its record: a crash between the two leaves a record that says *interrupted*,
    /// and the partner, who was told nothing, sends the file once more.
    pub(crate) async fn commit(self, engine: &Arc<Engine>) -> Result<Committed, TransferError> {
        if let Some(error) = self.failed.clone() {
            self.interrupt(engine).await;
            return Err(error);
        }
        let Self { part, size, exclusive, modified, record, site, name, .. } = self;
        if let Err(e) = part.publish(modified, exclusive).await {
            interrupted(engine, record, size, &site).await;
            return Err(e);
        }
        if let Some(id) = record {
            let mut change = TransferChange::to(id, State::Ended, engine.clock.now());
            change.size = i64::try_from(size).ok();
            change.done_octets = change.size;
            engine.db.transfers().apply(change).await.map_err(|e| db_error(&e))?;
            engine.events.emit(Event::Received { transfer: id, site, file: name, octets: size });
        }
        Ok(Committed::new(record, size, None))
    }

    pub(crate) async fn interrupt(self, engine: &Arc<Engine>) {
        // An empty rest would only hide the whole file of that name.
        let kept = if self.size == 0 { self.part.discard().await } else { self.part.file.sync().await };
        if let Err(e) = kept {
            tracing::warn!(site = %self.site, error = %e, "an unfinished upload into a mount could not be synced");
        }
        interrupted(engine, self.record, self.size, &self.site).await;
    }
}

async fn interrupted(engine: &Engine, record: Option<TransferId>, octets: u64, site: &str) {
    let Some(id) = record else { return };
    let mut change = TransferChange::to(id, State::Interrupted, engine.clock.now());
    change.done_octets = i64::try_from(octets).ok();
    if let Err(e) = engine.db.transfers().apply(change).await {
        tracing::warn!(transfer = id.0, error = %e, "the record of an interrupted upload could not be changed");
    }
    engine.events.emit(Event::Interrupted { transfer: id, site: site.to_owned(), octets });
}
