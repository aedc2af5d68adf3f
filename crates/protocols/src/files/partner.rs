//! The engine's virtual folder behind the doors of a session.

use std::sync::Arc;

use async_trait::async_trait;
use base::UtcMicros;
use bytes::Bytes;
use engine::{Admitted, Engine, Entry, Incoming, OpenWrite, Outgoing, Space, TransferError, VPath};

use super::folder::{Download, Durable, Folder, Upload};

/// The files of a partner, as its gate shows them. States and rights are looked at again at each call.
#[derive(Debug)]
pub struct PartnerFiles {
    engine: Arc<Engine>,
    who: Arc<Admitted>,
    home: VPath,
}

impl PartnerFiles {
    /// Of a partner that has proved who it is.
    #[must_use]
    pub fn new(engine: Arc<Engine>, who: Arc<Admitted>) -> Self {
        let home = engine.home(&who);
        Self { engine, who, home }
    }
}

#[async_trait]
impl Folder for PartnerFiles {
    fn home(&self) -> VPath {
        self.home.clone()
    }

    fn now(&self) -> UtcMicros {
        self.engine.clock().now()
    }

    async fn stat(&self, path: &VPath) -> Result<Entry, TransferError> {
        self.engine.stat(&self.who, path).await
    }

    async fn list(&self, path: &VPath) -> Result<Vec<Entry>, TransferError> {
        self.engine.list(&self.who, path).await
    }

    async fn open_read(&self, path: &VPath) -> Result<Box<dyn Download>, TransferError> {
        Ok(Box::new(self.engine.open_read(&self.who, path).await?))
    }

    async fn open_write(&self, path: &VPath, how: OpenWrite) -> Result<Box<dyn Upload>, TransferError> {
        Ok(Box::new(self.engine.open_write(&self.who, path, how).await?))
    }

    async fn rename(&self, from: &VPath, to: &VPath, overwrite: bool) -> Result<(), TransferError> {
        self.engine.rename(&self.who, (from, to), overwrite).await
    }

    async fn remove(&self, path: &VPath) -> Result<(), TransferError> {
        self.engine.remove(&self.who, path).await
    }

    async fn mkdir(&self, path: &VPath) -> Result<(), TransferError> {
        self.engine.mkdir(&self.who, path).await
    }

    async fn rmdir(&self, path: &VPath) -> Result<(), TransferError> {
        self.engine.rmdir(&self.who, path).await
    }

    async fn set_times(&self, path: &VPath, modified: UtcMicros) -> Result<(), TransferError> {
        self.engine.set_times(&self.who, path, modified).await
    }

    async fn digest(&self, path: &VPath) -> Result<Option<[u8; 32]>, TransferError> {
        self.engine.digest(&self.who, path).await
    }

    fn upload_octets_max(&self) -> Option<u64> {
        self.who.max_upload
    }

    async fn space(&self) -> Result<Space, TransferError> {
        self.engine.space(&self.who).await
    }
}

#[async_trait]
impl Upload for Incoming {
    fn size(&self) -> u64 {
        Self::size(self)
    }

    async fn write_at(&mut self, offset: u64, data: Bytes) -> Result<(), TransferError> {
        Self::write_at(self, offset, data).await
    }

    async fn read_at(&mut self, offset: u64, len: u32) -> Result<Bytes, TransferError> {
        Self::read_at(self, offset, len).await
    }

    async fn truncate(&mut self, size: u64) -> Result<(), TransferError> {
        Self::truncate(self, size).await
    }

    async fn sync(&mut self) -> Result<(), TransferError> {
        Self::sync(self).await
    }

    async fn set_times(&mut self, modified: UtcMicros) -> Result<(), TransferError> {
        Self::set_times(self, modified).await
    }

    async fn commit(self: Box<Self>) -> Result<Durable, TransferError> {
        Ok(Self::commit(*self).await?.into())
    }

    async fn interrupt(self: Box<Self>) {
        Self::interrupt(*self).await;
    }
}

#[async_trait]
impl Download for Outgoing {
    fn size(&self) -> u64 {
        Self::size(self)
    }

    fn modified(&self) -> UtcMicros {
        Self::modified(self)
    }

    async fn read_at(&mut self, offset: u64, len: u32) -> Result<Bytes, TransferError> {
        Self::read_at(self, offset, len).await
    }

    async fn finish(self: Box<Self>, closed: bool) -> Result<(), TransferError> {
        Self::finish(*self, closed).await.map(drop)
    }
}
