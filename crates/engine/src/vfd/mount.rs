//! Mounted real folders: everything below is real, and nothing leaves it.

use std::sync::Arc;

use base::UtcMicros;
use bytes::Bytes;
use model::VfdDir;

use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::transfer::{Committed, Incoming, Outgoing};
use crate::vfd::place::View;
use crate::vfd::{Entry, OpenWrite, VPath};

fn not_yet<T>() -> Result<T, TransferError> {
    Err(TransferError::refuse(Cause::Unsupported, "mounted folders are not served yet"))
}

/// An upload into a mounted folder.
#[derive(Debug)]
pub(crate) struct MountUpload {}

impl MountUpload {
    pub(crate) const fn size(&self) -> u64 {
        0
    }
    pub(crate) async fn write_at(&mut self, _offset: u64, _data: Bytes) -> Result<(), TransferError> {
        not_yet()
    }
    pub(crate) async fn read_at(&mut self, _offset: u64, _len: u32) -> Result<Bytes, TransferError> {
        not_yet()
    }
    pub(crate) async fn truncate(&mut self, _size: u64) -> Result<(), TransferError> {
        not_yet()
    }
    pub(crate) async fn sync(&mut self) -> Result<(), TransferError> {
        not_yet()
    }
    pub(crate) fn set_times(&mut self, _modified: UtcMicros) -> Result<(), TransferError> {
        not_yet()
    }
    pub(crate) async fn commit(self, _engine: &Arc<Engine>) -> Result<Committed, TransferError> {
        not_yet()
    }
    pub(crate) async fn interrupt(self, _engine: &Arc<Engine>) {}
}

/// A file of a mounted folder, open for reading.
#[derive(Debug)]
pub(crate) struct MountRead {}

impl MountRead {
    pub(crate) const fn size(&self) -> u64 {
        0
    }
    pub(crate) fn modified(&self) -> UtcMicros {
        UtcMicros::default()
    }
    pub(crate) async fn read_at(&mut self, _offset: u64, _len: u32) -> Result<Bytes, TransferError> {
        not_yet()
    }
    pub(crate) async fn finish(self, _engine: &Engine, _closed: bool) -> Result<bool, TransferError> {
        not_yet()
    }
}

pub(crate) async fn stat(_view: &View<'_>, _dir: &VfdDir, _below: &VPath) -> Result<Entry, TransferError> {
    not_yet()
}
pub(crate) async fn list(
    _view: &View<'_>,
    _dir: &VfdDir,
    _below: &VPath,
    _path: &VPath,
) -> Result<Vec<Entry>, TransferError> {
    not_yet()
}
pub(crate) async fn open_read(
    _engine: &Arc<Engine>,
    _view: &View<'_>,
    _dir: &Arc<VfdDir>,
    _below: &VPath,
) -> Result<Outgoing, TransferError> {
    not_yet()
}
pub(crate) async fn open_write(
    _engine: &Arc<Engine>,
    _view: &View<'_>,
    _at: (&Arc<VfdDir>, &VPath),
    _how: OpenWrite,
) -> Result<Incoming, TransferError> {
    not_yet()
}
pub(crate) async fn rename(
    _view: &View<'_>,
    _dir: &VfdDir,
    _names: (&VPath, &VPath),
    _overwrite: bool,
) -> Result<(), TransferError> {
    not_yet()
}
pub(crate) async fn remove(
    _view: &View<'_>,
    _dir: &VfdDir,
    _below: &VPath,
    _path: &VPath,
) -> Result<(), TransferError> {
    not_yet()
}
pub(crate) async fn mkdir(_view: &View<'_>, _dir: &VfdDir, _below: &VPath, _path: &VPath) -> Result<(), TransferError> {
    not_yet()
}
pub(crate) async fn rmdir(_view: &View<'_>, _dir: &VfdDir, _below: &VPath, _path: &VPath) -> Result<(), TransferError> {
    not_yet()
}
pub(crate) async fn set_times(
    _view: &View<'_>,
    _at: (&VfdDir, &VPath),
    _path: &VPath,
    _modified: UtcMicros,
) -> Result<(), TransferError> {
    not_yet()
}
