//! Jobs of the queue, carried to a partner one after the other over one channel.

use async_trait::async_trait;
use base::TransferId;
use bytes::Bytes;
use engine::{ErrorKind, JobOutcome, JobSource, OutgoingJob, TransferError};
use model::RemoteSite;

use super::client::{ClientError, Errand, Naming, Progress, SftpClient, Source};

/// Delivers until there are no more jobs; gives how many it delivered.
///
/// # Errors
/// The channel is of no use any more, or an end could not be recorded. The job under way has been told its end.
pub(super) async fn deliver_all(
    mut client: SftpClient,
    site: &RemoteSite,
    jobs: &mut dyn JobSource,
) -> Result<u32, TransferError> {
    let mut delivered = 0;
    while let Some(mut job) = jobs.next().await {
        let errand = errand(site, &job);
        let id = job.id;
        let result = client.deliver(&errand, &mut job.source, &mut Told { jobs, id }).await;
        let lost = result.as_ref().err().filter(|e| e.is_fatal()).cloned();
        match &result {
            Ok(how) => tracing::debug!(transfer = id.0, ?how, octets = job.size, "file is at the partner"),
            Err(error) => tracing::info!(transfer = id.0, attempt = job.attempt, %error, "file could not be delivered"),
        }
        delivered += u32::from(result.is_ok());
        jobs.finish(id, outcome(result.err())).await?;
        if let Some(error) = lost {
            return Err(error.into());
        }
    }
    Ok(delivered)
}

fn outcome(error: Option<ClientError>) -> JobOutcome {
    match error.map(TransferError::from) {
        None => JobOutcome::Delivered,
        Some(error) if error.kind == ErrorKind::Retry => JobOutcome::Retry(error),
        Some(error) => JobOutcome::Park(error),
    }
}

fn errand(site: &RemoteSite, job: &OutgoingJob) -> Errand {
    let naming = match &job.temp_name {
        Some(name) => Naming::Temporary(path(&job.dir_name, name)),
        None => Naming::Direct,
    };
    Errand {
        target: path(&job.dir_name, &job.file_name),
        naming,
        existing: site.rename_policy.into(),
        unclear: site.verify_policy.into(),
        tried_before: job.attempt > 1 || job.done_octets > 0,
        maybe_delivered: job.maybe_delivered,
        modified: job.modified,
    }
}

/// A name in a folder at the partner; no folder is the one its login begins in.
fn path(folder: &[u8], name: &[u8]) -> Vec<u8> {
    match folder.last() {
        None => name.to_vec(),
        Some(b'/') => [folder, name].concat(),
        Some(_) => [folder, b"/", name].concat(),
    }
}

/// Tells the queue how far a job is.
struct Told<'a> {
    jobs: &'a mut dyn JobSource,
    id: TransferId,
}

#[async_trait]
impl Progress for Told<'_> {
    async fn reached(&mut self, octets: u64) -> Result<(), TransferError> {
        self.jobs.progress(self.id, octets).await
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

#[cfg(test)]
mod tests {
    use engine::Cause;

    use super::*;

    #[test]
    fn names_go_into_their_folder() {
        for (folder, name, expected) in
            [("", "a", "a"), ("in", "a", "in/a"), ("/in/", "a", "/in/a"), ("/", "a", "/a"), ("/x/y", "a", "/x/y/a")]
        {
            assert_eq!(path(folder.as_bytes(), name.as_bytes()), expected.as_bytes());
        }
    }

    #[test]
    fn what_a_person_has_to_see_is_parked() {
        let local = |kind| ClientError::Local(TransferError { kind, cause: Cause::Disk, text: "x".into() });
        assert_eq!(outcome(None), JobOutcome::Delivered);
        assert!(matches!(outcome(Some(ClientError::Closed)), JobOutcome::Retry(_)));
        assert!(matches!(outcome(Some(local(ErrorKind::Refuse))), JobOutcome::Park(_)));
        assert!(matches!(outcome(Some(ClientError::Exists { name: "a".into() })), JobOutcome::Park(_)));
    }
}
