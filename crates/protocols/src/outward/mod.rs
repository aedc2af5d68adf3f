//! Files brought to partners, whatever the protocol: the queue's jobs one after the other, each exactly once.
//!
//! A client of a protocol is a [`Remote`]; the order of steps, names, policies and the note before the last step are here.

mod deliver;
mod error;
mod fetch;
mod jobs;
mod policy;
mod secure;
mod ticker;

use async_trait::async_trait;
use base::UtcMicros;
use bytes::Bytes;
use engine::fetch::{Listing, Sighted};
use engine::{JobSource, Secured, TransferError};
use futures_util::future::BoxFuture;
use model::PartnerCommand;

pub use deliver::{Delivered, Errand, Found, Naming, deliver_once, find_outcome};
pub use error::{Answer, ClientError, Meaning};
pub use policy::{Existing, Policies, Unclear};
pub use secure::CallTls;

pub(crate) use jobs::deliver_all;
pub(crate) use ticker::Ticker;

/// Where the octets of an upload come from.
#[async_trait]
pub trait Source: Send {
    /// Octets in all.
    fn size(&self) -> u64;
    /// At most `len` octets from `offset` on; at least one before the end.
    async fn read_at(&mut self, offset: u64, len: u32) -> Result<Bytes, TransferError>;
}

/// Where the octets of a download go. They come in any order, each once.
#[async_trait]
pub trait Sink: Send {
    /// Takes `data` for `offset`.
    async fn write_at(&mut self, offset: u64, data: Bytes) -> Result<(), TransferError>;
}

/// Who wants to know how far a transfer is.
#[async_trait]
pub trait Progress: Send {
    /// The first `octets` of the file are at the other side. Called every few MiB or seconds.
    ///
    /// # Errors
    /// The transfer has to stop; it fails with this error.
    async fn reached(&mut self, octets: u64) -> Result<(), TransferError>;

    /// All is there but the final name, which the next request gives: it is not sent before this returns.
    ///
    /// # Errors
    /// The transfer has to stop; it fails with this error.
    async fn last_step(&mut self) -> Result<(), TransferError>;
}

/// Nobody wants to know.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

#[async_trait]
impl Progress for NoProgress {
    async fn reached(&mut self, _octets: u64) -> Result<(), TransferError> {
        Ok(())
    }
    async fn last_step(&mut self) -> Result<(), TransferError> {
        Ok(())
    }
}

/// What stands under a name at a partner.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Standing {
    /// Its octets, if the partner tells.
    pub size: Option<u64>,
}

/// The files of a partner's server, as a delivery needs them. Paths are octets, as the partner takes them.
#[async_trait]
pub trait Remote: Send {
    /// When this is ready no answer is waited for any more: operations fail with [`ClientError::Cut`].
    fn cut_when(&mut self, cut: BoxFuture<'static, ()>);

    /// Whether the next file needs a session of its own.
    fn is_worn(&self) -> bool {
        false
    }

    /// What stands under `path`; `None` if nothing does.
    ///
    /// # Errors
    /// [`ClientError`], except that the name does not exist.
    async fn standing(&mut self, path: &[u8]) -> Result<Option<Standing>, ClientError>;

    /// Octets of a file of `there` octets that can be relied on, when a try goes on with what another has left.
    fn kept(&self, there: u64) -> u64;

    /// Writes `source` to `path`, a temporary name, from octet `from` on: from 0 on, what was there is given up; from
    /// further on, it is kept and gone on with. It is on the partner's disk then, as far as the partner can tell.
    ///
    /// # Errors
    /// [`ClientError`]; what has arrived is left there.
    async fn write(
        &mut self,
        path: &[u8],
        source: &mut dyn Source,
        from: u64,
        progress: &mut dyn Progress,
    ) -> Result<(), ClientError>;

    /// Writes `source` to `path`, its final name. If `is_new`, a file of that name is left as it is, where the partner can
    /// tell. A file that could not be written to its end is not ended as a whole one.
    ///
    /// # Errors
    /// [`ClientError`].
    async fn write_final(
        &mut self,
        path: &[u8],
        source: &mut dyn Source,
        is_new: bool,
        progress: &mut dyn Progress,
    ) -> Result<(), ClientError>;

    /// Gives a file its time of change, where the partner lets us.
    ///
    /// # Errors
    /// Only what ends the connection.
    async fn set_modified(&mut self, path: &[u8], modified: UtcMicros) -> Result<(), ClientError>;

    /// Gives a file its final name, which has to be free, though not every server looks.
    ///
    /// # Errors
    /// [`ClientError`].
    async fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), ClientError>;

    /// Deletes a file.
    ///
    /// # Errors
    /// [`ClientError`].
    async fn remove(&mut self, path: &[u8]) -> Result<(), ClientError>;

    /// Sends a command that the partner's server wants to hear; only FTP has such.
    ///
    /// # Errors
    /// [`ClientError`], as for a refusal, if it is not carried out.
    async fn command(&mut self, _command: &PartnerCommand) -> Result<(), ClientError> {
        Ok(())
    }

    /// Plain files of a folder; empty: the one the login begins in.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::TooMany`] above the bound of the options.
    async fn files(&mut self, folder: &[u8]) -> Result<Vec<Sighted>, ClientError>;

    /// The list of a folder as the server gives it, a line for each name.
    ///
    /// # Errors
    /// As for [`Remote::files`].
    async fn listing(&mut self, folder: &[u8], how: Listing) -> Result<Vec<u8>, ClientError>;

    /// When `path` was last changed, where [`Remote::files`] does not tell.
    ///
    /// # Errors
    /// Only what ends the connection.
    async fn modified(&mut self, _path: &[u8]) -> Result<Option<UtcMicros>, ClientError> {
        Ok(None)
    }

    /// Reads the file at `path` from octet `from` on into `sink`, to its end.
    ///
    /// # Errors
    /// [`ClientError`]; a refusal where `from` is not 0 may mean that the server can't begin in the middle of a file.
    async fn read(
        &mut self,
        path: &[u8],
        from: u64,
        sink: &mut dyn Sink,
        progress: &mut dyn Progress,
    ) -> Result<(), ClientError>;

    /// Gives a file its final name in the place of what has it.
    ///
    /// # Errors
    /// [`ClientError`].
    async fn replace(&mut self, from: &[u8], to: &[u8]) -> Result<(), ClientError> {
        rename_over(self, from, to).await
    }
}

/// Renames; where the server does not put a file in the place of another, that one is deleted first. Only if its name is
/// really taken, and the new file is really there, is it given up.
///
/// # Errors
/// [`ClientError`].
pub(crate) async fn rename_over<R: Remote + ?Sized>(remote: &mut R, from: &[u8], to: &[u8]) -> Result<(), ClientError> {
    match remote.rename(from, to).await {
        Err(error) if error.is_refusal() => {
            if remote.standing(to).await?.is_none() || remote.standing(from).await?.is_none() {
                return Err(error);
            }
            remote.remove(to).await?;
            remote.rename(from, to).await
        }
        done => done,
    }
}

/// The next piece of a file of ours to send, of at most `wanted` octets.
///
/// # Errors
/// [`ClientError::Local`]: the file can't be read, or is shorter than it was.
pub(crate) async fn next_piece(source: &mut dyn Source, offset: u64, wanted: u32) -> Result<Bytes, ClientError> {
    let left = source.size().saturating_sub(offset);
    let wanted = wanted.min(u32::try_from(left).unwrap_or(u32::MAX));
    let data = source.read_at(offset, wanted).await?;
    let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
    if data.is_empty() || len > wanted {
        return Err(ClientError::Local(TransferError::retry(
            engine::Cause::Integrity,
            format!("{wanted} octets were expected from our file at {offset}, {len} came"),
        )));
    }
    Ok(data)
}

/// A session with a partner that we called: logged in, and nothing done yet.
#[async_trait]
pub trait Outward: Send {
    /// What the server says of itself; safe to show, may be empty.
    fn server(&self) -> String {
        String::new()
    }

    /// Algorithms that make the connection secure, as far as the session itself has agreed to them.
    fn algorithms(&self) -> String {
        String::new()
    }

    /// How TLS makes the connection secure, for the records of transfers; none without TLS.
    fn secured(&self) -> Option<Secured> {
        None
    }

    /// Carries jobs to the partner until there are no more. Gives how many were delivered.
    ///
    /// # Errors
    /// The connection is of no use any more. The job under way has been told its end.
    async fn deliver(&mut self, jobs: &mut dyn JobSource) -> Result<u32, TransferError>;

    /// Looks into the folder that deliveries go to. Nothing is changed there.
    ///
    /// # Errors
    /// The folder can't be listed, or the connection is of no use.
    async fn look(&mut self) -> Result<Seen, TransferError>;

    /// Says good-bye, within a bound.
    async fn close(&mut self) {}
}

/// What stands in a folder at a partner.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// The folder's whole path, as the partner tells it; safe to show.
    pub folder: String,
    /// Names in it, safe to show; at most [`SEEN_MAX`].
    pub names: Vec<String>,
    /// How many there are.
    pub count: usize,
}

impl Seen {
    /// Of a folder and all names in it.
    pub(crate) fn of<'a>(folder: &[u8], names: impl ExactSizeIterator<Item = &'a [u8]>) -> Self {
        let count = names.len();
        let names = names.take(SEEN_MAX).map(base::octets_text).collect();
        Self { folder: base::octets_text(folder), names, count }
    }
}

/// Names of a partner's folder that are told.
pub const SEEN_MAX: usize = 10;

#[async_trait]
impl Source for Bytes {
    fn size(&self) -> u64 {
        u64::try_from(self.len()).unwrap_or(u64::MAX)
    }

    async fn read_at(&mut self, offset: u64, len: u32) -> Result<Bytes, TransferError> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let to = from.saturating_add(usize::try_from(len).unwrap_or(usize::MAX)).min(self.len());
        Ok(self.slice(from..to))
    }
}

#[async_trait]
impl Source for engine::Source {
    fn size(&self) -> u64 {
        Self::size(self)
    }

    async fn read_at(&mut self, offset: u64, len: u32) -> Result<Bytes, TransferError> {
        Self::read_at(self, offset, len).await
    }
}
