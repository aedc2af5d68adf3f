//! Files fetched from partners, whatever the protocol: those of a folder that are wanted and not yet here, one after the
//! other, each received as a whole or gone on with at the next look.

use std::collections::BTreeMap;

use async_trait::async_trait;
use base::{Shown, TransferId};
use bytes::Bytes;
use engine::fetch::{After, FetchJob, Fetched, Sighted, Taken};
use engine::{Cause, Incoming, JobOutcome, JobSource, TransferError};

use super::jobs::{Told, after_file, before_file, outcome, path};
use super::{ClientError, Remote, Sink};

/// Octets that may wait for those before them.
const AHEAD_OCTETS_MAX: usize = 64 * 1024 * 1024;

/// Looks into the folder of a job, and fetches what is wanted there. What is wrong with one file keeps no other from
/// coming; the job is then tried again.
///
/// # Errors
/// The connection is of no use any more, or an end could not be recorded. The job has been told its end.
pub(super) async fn fetch_all(
    remote: &mut dyn Remote,
    job: &FetchJob,
    jobs: &mut dyn JobSource,
) -> Result<(), TransferError> {
    remote.cut_when(jobs.cut(job.id));
    let mut fetch = Fetch { remote, job, jobs, fetched: Fetched::default(), failure: None };
    let done = fetch.run().await;
    let Fetch { jobs, fetched, failure, .. } = fetch;
    let failed = match done {
        Err(error) => Some(error),
        Ok(()) => failure,
    };
    let lost = failed.as_ref().filter(|error| error.is_fatal()).cloned();
    if let Some(error) = &failed {
        tracing::info!(transfer = job.id.0, %error, %fetched, "not everything could be fetched");
    }
    let end = match failed {
        None => JobOutcome::Fetched(fetched),
        failed => outcome(failed),
    };
    jobs.finish(job.id, end).await?;
    lost.map_or(Ok(()), |error| Err(error.into()))
}

/// One look.
struct Fetch<'a> {
    remote: &'a mut dyn Remote,
    job: &'a FetchJob,
    jobs: &'a mut dyn JobSource,
    fetched: Fetched,
    /// The first of what went wrong with single files.
    failure: Option<ClientError>,
}

impl Fetch<'_> {
    async fn run(&mut self) -> Result<(), ClientError> {
        if let Some(listing) = self.job.listing {
            let text = self.remote.listing(&self.job.dir_name, listing).await?;
            let committed = self.job.intake.listing(text.into()).await.map_err(ClientError::Local)?;
            self.fetched = Fetched { files: 1, octets: committed.size, known: 0 };
            return Ok(());
        }
        let files = self.remote.files(&self.job.dir_name).await?;
        let mut wanted = Vec::new();
        for file in files.into_iter().filter(|file| self.job.wants(file)) {
            wanted.push(self.dated(file).await?);
        }
        self.job.intake.only(&wanted).await.map_err(ClientError::Local)?;
        if let (Some(name), true) = (&self.job.name, wanted.is_empty()) {
            let text = format!("{} is not in the partner's folder", Shown(name));
            return Err(ClientError::Local(TransferError::retry(Cause::NotFound, text)));
        }
        for file in &wanted {
            match self.file(file).await {
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => {
                    // The first is told with the end of the look: each look may meet all of them.
                    tracing::debug!(transfer = self.job.id.0, file = %Shown(&file.name), %error, "a file could not be fetched");
                    self.failure.get_or_insert(error);
                }
                Ok(()) => {}
            }
            // Also where an operator stops it, between two files.
            self.jobs.progress(self.job.id, self.fetched.octets).await.map_err(ClientError::Local)?;
        }
        Ok(())
    }

    async fn file(&mut self, file: &Sighted) -> Result<(), ClientError> {
        let id = match self.job.intake.take(file).await.map_err(ClientError::Local)? {
            Taken::Held => return Ok(()),
            Taken::Received(id) => {
                self.fetched.known = self.fetched.known.saturating_add(1);
                id
            }
            Taken::Begun(incoming, alone) => {
                let received = self.receive_once(file, *incoming).await;
                drop(alone);
                received?
            }
        };
        match self.job.after {
            After::Keep => Ok(()),
            After::Delete => self.delete(file, id).await,
        }
    }

    /// A file with its time of change, where the list did not tell it.
    async fn dated(&mut self, file: Sighted) -> Result<Sighted, ClientError> {
        let modified = match file.modified {
            None => self.remote.modified(&path(&self.job.dir_name, &file.name)).await?,
            told => told,
        };
        Ok(Sighted { modified, ..file })
    }

    /// Goes on where an earlier try ended. Where the server can't begin in the middle of a file, what came of it is given
    /// up, and the next look fetches it anew.
    async fn receive_once(&mut self, file: &Sighted, incoming: Incoming) -> Result<TransferId, ClientError> {
        let (id, begun) = (incoming.id(), incoming.size());
        let received = self.receive(file, incoming).await;
        if let (Err(error), Some(id)) = (&received, id)
            && begun > 0
            && error.is_refusal()
        {
            let why = "the partner's server does not begin in the middle of a file: it is fetched anew";
            self.job.intake.give_up(id, why).await.map_err(ClientError::Local)?;
            return Err(ClientError::Local(TransferError::retry(Cause::Partner, why)));
        }
        received
    }

    async fn receive(&mut self, file: &Sighted, mut incoming: Incoming) -> Result<TransferId, ClientError> {
        let read = match before_file(self.remote, &self.job.commands).await {
            Ok(()) => self.read(&path(&self.job.dir_name, &file.name), file, &mut incoming).await,
            Err(refused) => Err(refused),
        };
        if let Err(error) = read {
            incoming.interrupt().await;
            return Err(error);
        }
        let committed = incoming.commit().await.map_err(ClientError::Local)?;
        self.fetched.files = self.fetched.files.saturating_add(1);
        self.fetched.octets = self.fetched.octets.saturating_add(committed.size);
        after_file(self.remote, &self.job.commands).await?;
        committed.transfer.ok_or(ClientError::Closed)
    }

    /// Reads the file to its end, and looks whether it is still the one that was seen.
    async fn read(&mut self, from: &[u8], file: &Sighted, incoming: &mut Incoming) -> Result<(), ClientError> {
        let begin = incoming.size();
        let mut sink = InOrder { incoming, next: begin, early: BTreeMap::new(), waiting: 0, size: file.size };
        let mut told = Told { jobs: self.jobs, id: self.job.id };
        self.remote.read(from, begin, &mut sink, &mut told).await?;
        let got = sink.next;
        let there = self.remote.standing(from).await?.and_then(|standing| standing.size);
        match there.or(file.size) {
            Some(expected) if expected != got => Err(ClientError::SizeDiffers { expected, found: got }),
            _ => Ok(()),
        }
    }

    /// Deletes a received file. Where its server tells no time of change, one that comes later may look the same: it is
    /// noted first that this one is no longer there, and rather fetched twice than never.
    async fn delete(&mut self, file: &Sighted, id: TransferId) -> Result<(), ClientError> {
        let intake = &self.job.intake;
        if file.modified.is_none() {
            intake.left(id).await.map_err(ClientError::Local)?;
        }
        match self.remote.remove(&path(&self.job.dir_name, &file.name)).await {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
        if file.modified.is_some() {
            intake.left(id).await.map_err(ClientError::Local)?;
        }
        Ok(())
    }
}

/// Brings the octets of a file into their order: answers of a server come as they like.
struct InOrder<'a> {
    incoming: &'a mut Incoming,
    next: u64,
    early: BTreeMap<u64, Bytes>,
    waiting: usize,
    /// Octets that the server showed; a file that has more is being written.
    size: Option<u64>,
}

#[async_trait]
impl Sink for InOrder<'_> {
    async fn write_at(&mut self, offset: u64, data: Bytes) -> Result<(), TransferError> {
        self.waiting = self.waiting.saturating_add(data.len());
        if offset < self.next || self.waiting > AHEAD_OCTETS_MAX {
            return Err(TransferError::retry(Cause::Connection, "the server sends octets out of their order"));
        }
        self.early.insert(offset, data);
        while let Some(data) = self.early.remove(&self.next) {
            self.waiting = self.waiting.saturating_sub(data.len());
            let end = self.next.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
            if self.size.is_some_and(|size| end > size) {
                return Err(TransferError::retry(Cause::Busy, "the file grows: it is fetched when it is whole"));
            }
            self.incoming.write_at(self.next, data).await?;
            self.next = end;
        }
        Ok(())
    }
}
