//! The server's files, as a delivery needs them.

use async_trait::async_trait;
use base::UtcMicros;
use engine::fetch::{Listing, Sighted};
use futures_util::future::BoxFuture;
use model::PartnerCommand;

use super::FtpClient;
use super::said::say;
use crate::outward::{ClientError, Progress, Remote, Sink, Source, Standing};

#[async_trait]
impl Remote for FtpClient {
    fn cut_when(&mut self, cut: BoxFuture<'static, ()>) {
        self.control.cut_when(cut);
    }

    /// Data connections use up what the control connection brought to resume it, and many servers take none that does not.
    fn is_worn(&self) -> bool {
        self.resumes && !self.control.can_be_resumed()
    }

    async fn standing(&mut self, path: &[u8]) -> Result<Option<Standing>, ClientError> {
        self.stat(path).await
    }

    /// A data connection brings its octets in order, so all that is there is good.
    fn kept(&self, there: u64) -> u64 {
        if self.options.restart { there } else { 0 }
    }

    async fn write(
        &mut self,
        path: &[u8],
        source: &mut dyn Source,
        from: u64,
        progress: &mut dyn Progress,
    ) -> Result<(), ClientError> {
        self.put(path, (source, from), true, progress).await
    }

    async fn write_final(
        &mut self,
        path: &[u8],
        source: &mut dyn Source,
        is_new: bool,
        progress: &mut dyn Progress,
    ) -> Result<(), ClientError> {
        self.put(path, (source, 0), !is_new, progress).await
    }

    async fn set_modified(&mut self, path: &[u8], modified: UtcMicros) -> Result<(), ClientError> {
        Self::set_modified(self, path, modified).await
    }

    async fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), ClientError> {
        Self::rename(self, from, to).await
    }

    async fn remove(&mut self, path: &[u8]) -> Result<(), ClientError> {
        Self::remove(self, path).await
    }

    async fn command(&mut self, command: &PartnerCommand) -> Result<(), ClientError> {
        say(&mut self.control, command).await
    }

    async fn files(&mut self, folder: &[u8]) -> Result<Vec<Sighted>, ClientError> {
        Self::files(self, folder).await
    }

    async fn listing(&mut self, folder: &[u8], how: Listing) -> Result<Vec<u8>, ClientError> {
        Self::listing(self, folder, how).await
    }

    async fn modified(&mut self, path: &[u8]) -> Result<Option<UtcMicros>, ClientError> {
        Self::modified(self, path).await
    }

    async fn read(
        &mut self,
        path: &[u8],
        from: u64,
        sink: &mut dyn Sink,
        progress: &mut dyn Progress,
    ) -> Result<(), ClientError> {
        self.get(path, from, sink, progress).await
    }
}
