//! The server's files, as a delivery needs them.

use async_trait::async_trait;
use base::UtcMicros;
use bytes::Bytes;
use engine::fetch::{Listing, Sighted};
use futures_util::future::BoxFuture;

use super::put::Place;
use super::{RemoteFile, SftpClient};
use crate::carriers::sftp::wire::{Attrs, OpenFlags, Request};
use crate::outward::{ClientError, Progress, Remote, Sink, Source, Standing};

#[async_trait]
impl Remote for SftpClient {
    fn cut_when(&mut self, cut: BoxFuture<'static, ()>) {
        self.cut = cut;
    }

    async fn standing(&mut self, path: &[u8]) -> Result<Option<Standing>, ClientError> {
        Ok(self.stat(path).await?.map(|attrs| Standing { size: attrs.size }))
    }

    /// Servers may carry out writes in any order, so what was on its way when the line broke may have left holes: all
    /// that could be on its way is sent again.
    fn kept(&self, there: u64) -> u64 {
        there.saturating_sub(u64::from(self.options.window) * u64::from(self.block_octets))
    }

    async fn write(
        &mut self,
        path: &[u8],
        source: &mut dyn Source,
        from: u64,
        progress: &mut dyn Progress,
    ) -> Result<(), ClientError> {
        self.put(path, source, from, progress).await
    }

    async fn write_final(
        &mut self,
        path: &[u8],
        source: &mut dyn Source,
        is_new: bool,
        progress: &mut dyn Progress,
    ) -> Result<(), ClientError> {
        let mut flags = OpenFlags::WRITE.and(OpenFlags::CREATE).and(OpenFlags::TRUNCATE);
        if is_new {
            flags = flags.and(OpenFlags::EXCLUSIVE);
        }
        self.put_to(&Place { path, flags, from: 0, closes_partial: false }, source, progress).await
    }

    async fn set_modified(&mut self, path: &[u8], modified: UtcMicros) -> Result<(), ClientError> {
        let Ok(seconds) = u32::try_from(modified.seconds()) else { return Ok(()) };
        let attrs = Attrs { times: Some((seconds, seconds)), ..Attrs::default() };
        let request = Request::Setstat { path: Bytes::copy_from_slice(path), attrs };
        match self.ask_status("SETSTAT", request).await {
            Err(error) if error.is_fatal() => Err(error),
            _ => Ok(()),
        }
    }

    async fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), ClientError> {
        Self::rename(self, from, to).await
    }

    async fn remove(&mut self, path: &[u8]) -> Result<(), ClientError> {
        Self::remove(self, path).await
    }

    async fn files(&mut self, folder: &[u8]) -> Result<Vec<Sighted>, ClientError> {
        let folder = if folder.is_empty() { &b"."[..] } else { folder };
        let found = self.list(folder).await?;
        let plain = found.into_iter().filter(|file| file.attrs.is_regular());
        let sighted = plain.map(|RemoteFile { name, attrs, .. }| Sighted {
            name: name.to_vec(),
            size: attrs.size,
            modified: attrs.times.map(|(_, modified)| UtcMicros(i64::from(modified).saturating_mul(1_000_000))),
        });
        Ok(sighted.collect())
    }

    async fn listing(&mut self, folder: &[u8], how: Listing) -> Result<Vec<u8>, ClientError> {
        let folder = if folder.is_empty() { &b"."[..] } else { folder };
        let found = self.list(folder).await?;
        let line = |file: RemoteFile| if how == Listing::Names { file.name } else { file.long_name };
        Ok(found.into_iter().flat_map(|file| [&line(file)[..], b"\n"].concat()).collect())
    }

    async fn read(
        &mut self,
        path: &[u8],
        from: u64,
        sink: &mut dyn Sink,
        progress: &mut dyn Progress,
    ) -> Result<(), ClientError> {
        self.get(path, sink, from, progress).await.map(drop)
    }

    async fn replace(&mut self, from: &[u8], to: &[u8]) -> Result<(), ClientError> {
        Self::replace(self, from, to).await
    }
}
