//! Jobs of the queue, carried to a partner one after the other over one connection.

use async_trait::async_trait;
use base::TransferId;
use engine::{Cause, ErrorKind, Job, JobOutcome, JobSource, OutgoingJob, TransferError};

use model::{CommandTime, PartnerCommand};

use super::fetch::fetch_all;
use super::{ClientError, Errand, Naming, Policies, Progress, Remote, deliver_once};

/// Delivers until there are no more jobs, or the session is worn; gives how many it delivered.
///
/// # Errors
/// The connection is of no use any more, or an end could not be recorded. The job under way has been told its end.
pub(crate) async fn deliver_all(
    remote: &mut dyn Remote,
    policies: Policies,
    jobs: &mut dyn JobSource,
) -> Result<u32, TransferError> {
    let mut delivered = 0;
    while let Some(job) = jobs.next().await {
        let mut job = match job {
            Job::Send(job) => job,
            Job::Fetch(job) => {
                fetch_all(remote, &job, jobs).await?;
                if remote.is_worn() {
                    break;
                }
                continue;
            }
        };
        let errand = errand(policies, &job);
        let id = job.id;
        remote.cut_when(jobs.cut(id));
        let result = match before_file(remote, &job.commands).await {
            Ok(()) => deliver_once(remote, &errand, &mut job.source, &mut Told { jobs, id }).await,
            Err(refused) => Err(refused),
        };
        let result = match result {
            Ok(how) => after_file(remote, &job.commands).await.map(|()| how),
            failed => failed,
        };
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
        if remote.is_worn() {
            break;
        }
    }
    Ok(delivered)
}

/// Sends what the partner's server wants to hear before a file.
///
/// # Errors
/// What it says against it: the file does not go.
pub(super) async fn before_file(remote: &mut dyn Remote, commands: &[PartnerCommand]) -> Result<(), ClientError> {
    for command in commands.iter().filter(|command| command.time == CommandTime::Before) {
        remote.command(command).await?;
    }
    Ok(())
}

/// Sends what the partner's server wants to hear behind a file that has arrived.
///
/// # Errors
/// A sentence for a person: the file has arrived, and a command that matters was not carried out.
pub(super) async fn after_file(remote: &mut dyn Remote, commands: &[PartnerCommand]) -> Result<(), ClientError> {
    for command in commands.iter().filter(|command| command.time != CommandTime::Before) {
        match remote.command(command).await {
            Err(error) if command.time == CommandTime::AfterOrFail => {
                let text = format!("the file has arrived, but not what was to follow it: {error}");
                return Err(ClientError::Local(TransferError::park(Cause::Partner, text)));
            }
            Err(error) => {
                tracing::info!(command = command.shown(), %error, "a command behind a file was not carried out")
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

pub(super) fn outcome(error: Option<ClientError>) -> JobOutcome {
    let open_end = matches!(error, Some(ClientError::EndUnknown { .. }));
    match error.map(TransferError::from) {
        None => JobOutcome::Delivered,
        Some(error) if open_end => JobOutcome::Unknown(error),
        Some(error) if error.kind == ErrorKind::Retry => JobOutcome::Retry(error),
        Some(error) => JobOutcome::Park(error),
    }
}

fn errand(policies: Policies, job: &OutgoingJob) -> Errand {
    let naming = match &job.temp_name {
        Some(name) => Naming::Temporary(path(&job.dir_name, name)),
        None => Naming::Direct,
    };
    Errand {
        target: path(&job.dir_name, &job.file_name),
        naming,
        existing: policies.existing,
        unclear: policies.unclear,
        tried_before: job.tried_before,
        maybe_delivered: job.maybe_delivered,
        modified: job.modified,
    }
}

/// A name in a folder at the partner; no folder is the one its login begins in.
pub(super) fn path(folder: &[u8], name: &[u8]) -> Vec<u8> {
    match folder.last() {
        None => name.to_vec(),
        Some(b'/') => [folder, name].concat(),
        Some(_) => [folder, b"/", name].concat(),
    }
}

/// Tells the queue how far a job is.
pub(super) struct Told<'a> {
    pub(super) jobs: &'a mut dyn JobSource,
    pub(super) id: TransferId,
}

#[async_trait]
impl Progress for Told<'_> {
    async fn reached(&mut self, octets: u64) -> Result<(), TransferError> {
        self.jobs.progress(self.id, octets).await
    }

    async fn last_step(&mut self) -> Result<(), TransferError> {
        self.jobs.last_step(self.id).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use base::SystemClock;
    use bytes::Bytes;
    use engine::store::{FileUuid, Sealed, Store, StoreParts, open_store};
    use futures_util::future::BoxFuture;
    use keys::MasterKey;
    use model::{RenamePolicy, VerifyPolicy};

    use super::*;
    use crate::carriers::sftp::testing::{MemoryFolder, connect, pattern};
    use crate::carriers::sftp::{ClientOptions, SftpClient};

    /// A queue that holds what a test puts in.
    #[derive(Default)]
    struct Queue {
        jobs: VecDeque<OutgoingJob>,
        ends: Vec<(i64, JobOutcome)>,
        reached: Vec<u64>,
        last_steps: Vec<i64>,
        stop_at: Option<u64>,
        is_cut: bool,
    }

    #[async_trait]
    impl JobSource for Queue {
        fn path_order(&self) -> Vec<usize> {
            vec![0]
        }
        fn connected(&mut self, _path: usize, _secured: Option<engine::Secured>) {}
        async fn next(&mut self) -> Option<Job> {
            self.jobs.pop_front().map(|job| Job::Send(Box::new(job)))
        }
        async fn progress(&mut self, _id: TransferId, octets: u64) -> Result<(), TransferError> {
            self.reached.push(octets);
            match self.stop_at {
                Some(at) if octets >= at => Err(TransferError::retry(Cause::Denied, "an operator stopped it")),
                _ => Ok(()),
            }
        }
        async fn last_step(&mut self, id: TransferId) -> Result<(), TransferError> {
            self.last_steps.push(id.0);
            Ok(())
        }
        async fn finish(&mut self, id: TransferId, outcome: JobOutcome) -> Result<(), TransferError> {
            self.ends.push((id.0, outcome));
            Ok(())
        }
        fn cut(&self, _id: TransferId) -> BoxFuture<'static, ()> {
            match self.is_cut {
                true => Box::pin(std::future::ready(())),
                false => Box::pin(std::future::pending()),
            }
        }
        fn stopping(&self) -> bool {
            false
        }
    }

    /// Files in a store of their own.
    struct Files {
        store: Arc<dyn Store>,
        _folder: tempfile::TempDir,
    }

    impl Files {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let master = Arc::new(MasterKey::generate().unwrap());
            let parts = StoreParts::new(folder.path().to_owned(), master, Arc::new(SystemClock::default()));
            Self { store: open_store("local", parts).unwrap(), _folder: folder }
        }

        async fn job(&self, id: i64, data: &[u8]) -> OutgoingJob {
            let uuid = FileUuid::random().unwrap();
            let mut staged = self.store.create(uuid);
            staged.write_at(0, Bytes::copy_from_slice(data)).await.unwrap();
            let stored = match self.store.commit(staged).await.unwrap() {
                Sealed::Inline(payload, info) => self.store.open_inline(uuid, &payload, &info).unwrap(),
                Sealed::File(info) => self.store.open(uuid, &info).await.unwrap(),
            };
            OutgoingJob {
                id: TransferId(id),
                file_name: format!("f{id}").into_bytes(),
                dir_name: b"/in".to_vec(),
                temp_name: Some(format!("f{id}.part").into_bytes()),
                size: u64::try_from(data.len()).unwrap(),
                sha256: None,
                modified: Some(base::UtcMicros(77_000_000)),
                source: stored.into(),
                attempt: 1,
                tried_before: false,
                maybe_delivered: false,
                noted: false,
                commands: Vec::new(),
                done_octets: 0,
            }
        }
    }

    fn as_a_site_says() -> Policies {
        Policies { existing: RenamePolicy::Keep.into(), unclear: VerifyPolicy::Ask.into() }
    }

    #[tokio::test]
    async fn jobs_go_out_one_after_the_other() {
        let (files, folder) = (Files::new(), MemoryFolder::new().with_file("/in/f2", b"taken"));
        let mut queue = Queue::default();
        for (id, size) in [(1, 100), (2, 200), (3, 20_000_000)] {
            queue.jobs.push_back(files.job(id, &pattern(size)).await);
        }
        let mut client = connect(&folder, ClientOptions::default()).await.unwrap();
        assert_eq!(deliver_all(&mut client, as_a_site_says(), &mut queue).await, Ok(2));
        assert!(matches!(&queue.ends[..], [
            (1, JobOutcome::Delivered),
            (2, JobOutcome::Park(e)),
            (3, JobOutcome::Delivered)
        ] if e.cause == Cause::Exists));
        assert_eq!(folder.file("/in/f1").unwrap(), pattern(100));
        assert_eq!(folder.file("/in/f2").unwrap(), b"taken");
        assert!(folder.file("/in/f3").unwrap() == pattern(20_000_000));
        let [100, middle @ .., 20_000_000] = &queue.reached[..] else { panic!("{:?}", queue.reached) };
        assert!(!middle.is_empty() && middle.is_sorted(), "{middle:?}");
        assert_eq!(queue.last_steps, [1, 3], "noted before each rename");
        assert!(folder.log().contains(&"times /in/f1.part 77".to_owned()), "{:?}", folder.log());
    }

    #[tokio::test]
    async fn a_job_that_has_to_stop_stops_and_the_next_one_runs() {
        let (files, folder) = (Files::new(), MemoryFolder::new());
        let mut queue = Queue { stop_at: Some(8_000_000), ..Queue::default() };
        for (id, size) in [(1, 30_000_000), (2, 200)] {
            queue.jobs.push_back(files.job(id, &pattern(size)).await);
        }
        let mut client = connect(&folder, ClientOptions::default()).await.unwrap();
        assert_eq!(deliver_all(&mut client, as_a_site_says(), &mut queue).await, Ok(1));
        let [(1, JobOutcome::Retry(stopped)), (2, JobOutcome::Delivered)] = &queue.ends[..] else {
            panic!("{:?}", queue.ends);
        };
        assert_eq!(stopped.text, "an operator stopped it");
        assert_eq!(folder.file("/in/f1"), None);
    }

    #[tokio::test]
    async fn a_partner_that_does_not_answer_keeps_no_job_from_stopping() {
        let (files, folder) = (Files::new(), MemoryFolder::new());
        let mut queue = Queue { is_cut: true, ..Queue::default() };
        queue.jobs.push_back(files.job(1, b"x").await);
        queue.jobs.push_back(files.job(2, b"x").await);
        let mut client = connect(&folder, ClientOptions::default()).await.unwrap();
        let cut = deliver_all(&mut client, as_a_site_says(), &mut queue).await.unwrap_err();
        assert_eq!((cut.cause, cut.kind), (Cause::Stopping, ErrorKind::Retry));
        assert!(matches!(&queue.ends[..], [(1, JobOutcome::Retry(_))]), "{:?}", queue.ends);
        assert_eq!(queue.jobs.len(), 1, "the other job waits for the next connection");
    }

    #[tokio::test]
    async fn a_lost_channel_ends_the_job_and_the_connection() {
        let files = Files::new();
        let mut queue = Queue::default();
        queue.jobs.push_back(files.job(1, b"x").await);
        queue.jobs.push_back(files.job(2, b"x").await);
        let (pipe, served) = crate::carriers::sftp::testing::start(&MemoryFolder::new(), Default::default());
        let mut client = SftpClient::start_on(pipe, ClientOptions::default()).await.unwrap();
        served.abort();
        let lost = deliver_all(&mut client, as_a_site_says(), &mut queue).await.unwrap_err();
        assert_eq!(lost.cause, Cause::Connection);
        assert!(matches!(&queue.ends[..], [(1, JobOutcome::Retry(_))]), "{:?}", queue.ends);
        assert_eq!(queue.jobs.len(), 1, "the other job waits for the next connection");
    }

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
        let unanswered = ClientError::EndUnknown { text: "x".into() };
        assert!(matches!(outcome(Some(unanswered)), JobOutcome::Unknown(_)));
        assert!(matches!(outcome(Some(local(ErrorKind::Refuse))), JobOutcome::Park(_)));
        assert!(matches!(outcome(Some(ClientError::Exists { name: "a".into() })), JobOutcome::Park(_)));
    }
}
