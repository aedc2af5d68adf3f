//! A file brought to a partner exactly once: under a temporary name that stays the same over all tries, then renamed.

use base::{UtcMicros, octets_text};
use bytes::Bytes;

use super::put::Place;
use super::{ClientError, Progress, SftpClient, Source};
use crate::carriers::sftp::settings::{Existing, Unclear};
use crate::carriers::sftp::wire::{Attrs, OpenFlags, Request};

/// What is to be delivered, and how.
#[derive(Clone, Debug)]
pub struct Errand {
    /// Final path at the partner.
    pub target: Vec<u8>,
    /// How it comes there.
    pub naming: Naming,
    /// If the final name is taken.
    pub existing: Existing,
    /// If nothing tells whether an earlier try arrived.
    pub unclear: Unclear,
    /// An earlier try may have left something at the partner.
    pub tried_before: bool,
    /// An earlier try may have finished without our knowing.
    pub maybe_delivered: bool,
    /// Time of change to give to the file.
    pub modified: Option<UtcMicros>,
}

/// Under which name a file is written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Naming {
    /// Under this one, always the same for one transfer; a rename gives the final name.
    Temporary(Vec<u8>),
    /// Under the final name at once, for partners that can't rename. No try goes on where another ended.
    Direct,
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivered {
    /// It was brought there now.
    Now,
    /// An earlier try had brought it.
    Before,
    /// Nothing tells, and the site's policy is to take it as done.
    Assumed,
}

/// What an earlier try has left at the partner.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// So many octets under the temporary name.
    Part {
        /// Octets.
        size: u64,
    },
    /// The file, under its final name.
    Whole,
    /// Neither.
    Nothing,
    /// The final name only, with another size.
    Other {
        /// Octets.
        size: u64,
    },
}

impl SftpClient {
    /// Brings `source` to the partner: looks what an earlier try has left, goes on with it or begins, has it put on the
    /// partner's disk, checks its size, gives it its final name (DESIGN 1.18).
    ///
    /// # Errors
    /// [`ClientError`]. Until the rename nothing has the final name; what has arrived stays for the next try.
    pub async fn deliver(
        &mut self,
        errand: &Errand,
        source: &mut dyn Source,
        progress: &mut dyn Progress,
    ) -> Result<Delivered, ClientError> {
        let size = source.size();
        let temporary = match &errand.naming {
            Naming::Temporary(name) => name,
            Naming::Direct => return self.deliver_direct(errand, source, progress).await,
        };
        let mut from = 0;
        if errand.tried_before || errand.maybe_delivered {
            match self.find_outcome(temporary, &errand.target, size).await? {
                Found::Part { size: there } => from = self.resume_point(there, size),
                Found::Whole if errand.maybe_delivered => return Ok(Delivered::Before),
                _ if errand.maybe_delivered => match errand.unclear {
                    Unclear::Ask => return Err(to_verify(temporary, &errand.target)),
                    Unclear::Accept => return Ok(Delivered::Assumed),
                    Unclear::Resend => {}
                },
                _ => {}
            }
        }
        self.check_free(errand).await?;
        self.put(temporary, source, from, progress).await?;
        self.check_size(temporary, size).await?;
        self.set_modified(temporary, errand.modified).await?;
        progress.reached(size).await?;
        if errand.existing == Existing::Keep {
            self.check_free(errand).await?;
        }
        progress.last_step().await?;
        let renamed = match errand.existing {
            Existing::Replace => self.replace(temporary, &errand.target).await,
            Existing::Keep => self.rename(temporary, &errand.target).await,
        };
        renamed.map_err(end_unknown)?;
        Ok(Delivered::Now)
    }

    /// Looks for what an earlier try may have left: first the temporary name, then the final one.
    ///
    /// # Errors
    /// [`ClientError`] if the partner does not tell.
    pub async fn find_outcome(&mut self, temporary: &[u8], target: &[u8], size: u64) -> Result<Found, ClientError> {
        if let Some(attrs) = self.stat(temporary).await? {
            return Ok(Found::Part { size: attrs.size.unwrap_or(0) });
        }
        match self.stat(target).await?.map(|attrs| attrs.size.unwrap_or(0)) {
            None => Ok(Found::Nothing),
            Some(there) if there == size => Ok(Found::Whole),
            Some(there) => Ok(Found::Other { size: there }),
        }
    }

    /// Where to go on. Servers may carry out writes in any order, so what was on its way when the line broke may have
    /// left holes: all that could be on its way is sent again.
    fn resume_point(&self, there: u64, size: u64) -> u64 {
        let on_its_way = u64::from(self.options.window) * u64::from(self.block_octets);
        if there > size { 0 } else { there.saturating_sub(on_its_way) }
    }

    async fn check_free(&mut self, errand: &Errand) -> Result<(), ClientError> {
        match errand.existing {
            Existing::Keep if self.stat(&errand.target).await?.is_some() => {
                Err(ClientError::Exists { name: octets_text(&errand.target) })
            }
            _ => Ok(()),
        }
    }

    /// Checks the size of a file that was closed. A server that has files taken away at once, or tells nothing of them,
    /// was asked before the end already.
    async fn check_size(&mut self, path: &[u8], expected: u64) -> Result<(), ClientError> {
        match self.stat(path).await {
            Ok(Some(attrs)) => match attrs.size {
                Some(found) if found != expected => Err(ClientError::SizeDiffers { expected, found }),
                _ => Ok(()),
            },
            Ok(None) => Ok(()),
            Err(error) if error.code().is_some() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives a file its time of change, where the server lets us.
    async fn set_modified(&mut self, path: &[u8], modified: Option<UtcMicros>) -> Result<(), ClientError> {
        let Some(seconds) = modified.and_then(|m| u32::try_from(m.seconds()).ok()) else { return Ok(()) };
        let attrs = Attrs { times: Some((seconds, seconds)), ..Attrs::default() };
        let request = Request::Setstat { path: Bytes::copy_from_slice(path), attrs };
        match self.ask_status("SETSTAT", request).await {
            Err(error) if error.is_fatal() => Err(error),
            _ => Ok(()),
        }
    }

    async fn deliver_direct(
        &mut self,
        errand: &Errand,
        source: &mut dyn Source,
        progress: &mut dyn Progress,
    ) -> Result<Delivered, ClientError> {
        let size = source.size();
        let is_first = !errand.tried_before && !errand.maybe_delivered;
        let there = match errand.existing {
            Existing::Replace if !errand.maybe_delivered => None,
            _ => self.stat(&errand.target).await?,
        };
        match (there, errand.existing) {
            (Some(attrs), _) if errand.maybe_delivered && attrs.size == Some(size) => return Ok(Delivered::Before),
            // It may be our own, cut off, or someone's work: nothing tells.
            (Some(_), Existing::Keep) if is_first || errand.unclear != Unclear::Resend => {
                return Err(ClientError::Exists { name: octets_text(&errand.target) });
            }
            (None, _) if errand.maybe_delivered => match errand.unclear {
                Unclear::Ask => return Err(to_verify(&errand.target, &errand.target)),
                Unclear::Accept => return Ok(Delivered::Assumed),
                Unclear::Resend => {}
            },
            _ => {}
        }
        let mut flags = OpenFlags::WRITE.and(OpenFlags::CREATE).and(OpenFlags::TRUNCATE);
        if errand.existing == Existing::Keep && is_first {
            flags = flags.and(OpenFlags::EXCLUSIVE);
        }
        progress.last_step().await?;
        let place = Place { path: &errand.target, flags, from: 0, closes_partial: false };
        self.put_to(&place, source, progress).await.map_err(end_unknown)?;
        self.check_size(&errand.target, size).await?;
        self.set_modified(&errand.target, errand.modified).await?;
        Ok(Delivered::Now)
    }
}

/// A last step that was not answered may have been carried out.
fn end_unknown(error: ClientError) -> ClientError {
    if error.is_fatal() { ClientError::EndUnknown { text: error.to_string() } } else { error }
}

fn to_verify(temporary: &[u8], target: &[u8]) -> ClientError {
    ClientError::ToVerify { temporary: octets_text(temporary), name: octets_text(target) }
}
