//! Files put into a real folder: each once, whatever dies when (CON-5, TRF-20, DESIGN 1.18).

use std::collections::VecDeque;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use async_trait::async_trait;
use base::{TransferId, UtcMicros};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use model::{Kind, RemoteSite};

use super::house::*;
use crate::store::{FileUuid, Sealed};
use crate::{Cause, Job, JobOutcome, JobSource, OutgoingJob, SessionOutcome, TransferError};

/// A queue that holds what a test puts in.
#[derive(Default)]
struct Queue {
    jobs: VecDeque<OutgoingJob>,
    ends: Vec<JobOutcome>,
    noted: usize,
    /// The program dies when the next note is to be made, or when it has been made.
    dies: bool,
}

#[async_trait]
impl JobSource for Queue {
    fn path_order(&self) -> Vec<usize> {
        Vec::new()
    }
    fn connected(&mut self, _path: usize, _secured: Option<crate::transfer::Secured>) {}
    async fn next(&mut self) -> Option<Job> {
        self.jobs.pop_front().map(|job| Job::Send(Box::new(job)))
    }
    async fn progress(&mut self, _id: TransferId, _octets: u64) -> Result<(), TransferError> {
        Ok(())
    }
    async fn last_step(&mut self, _id: TransferId) -> Result<(), TransferError> {
        self.noted += 1;
        if self.dies { Err(TransferError::retry(Cause::Stopping, "it dies here")) } else { Ok(()) }
    }
    async fn finish(&mut self, _id: TransferId, outcome: JobOutcome) -> Result<(), TransferError> {
        self.ends.push(outcome);
        Ok(())
    }
    fn cut(&self, _id: TransferId) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
    fn stopping(&self) -> bool {
        false
    }
}

/// A house with a pick-up folder ERP.
struct Erp {
    house: House,
    folder: tempfile::TempDir,
}

impl Erp {
    async fn new(fields: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let mut all = vec![("protocol", "FOLDER"), ("real_path", path)];
        all.extend(fields);
        Self { house: House::with(&[(Kind::RemoteSite, "ERP", &all)]).await, folder }
    }

    fn site(&self) -> std::sync::Arc<RemoteSite> {
        self.house.engine.snapshot().site("ERP").unwrap().clone()
    }

    async fn job(&self, name: &str, content: &[u8]) -> OutgoingJob {
        let store = self.house.engine.store();
        let uuid = FileUuid::random().unwrap();
        let mut staged = store.create(uuid);
        staged.write_at(0, Bytes::copy_from_slice(content)).await.unwrap();
        let stored = match store.commit(staged).await.unwrap() {
            Sealed::Inline(payload, info) => store.open_inline(uuid, &payload, &info).unwrap(),
            Sealed::File(info) => store.open(uuid, &info).await.unwrap(),
        };
        OutgoingJob {
            id: TransferId(7),
            file_name: name.as_bytes().to_vec(),
            dir_name: Vec::new(),
            temp_name: self.site().temporary_name(name, TransferId(7)).map(String::into_bytes),
            size: u64::try_from(content.len()).unwrap(),
            sha256: Some(crate::sha256(content)),
            modified: Some(UtcMicros(77_000_000)),
            source: stored.into(),
            attempt: 1,
            tried_before: false,
            maybe_delivered: false,
            noted: false,
            commands: Vec::new(),
            done_octets: 0,
        }
    }

    /// Puts jobs and gives how they ended.
    async fn put(&self, jobs: impl IntoIterator<Item = OutgoingJob>) -> Vec<JobOutcome> {
        let mut queue = Queue { jobs: jobs.into_iter().collect(), ..Queue::default() };
        assert_eq!(self.session(&mut queue).await, SessionOutcome::Ended);
        queue.ends
    }

    async fn session(&self, queue: &mut Queue) -> SessionOutcome {
        let site = self.site();
        let data = self.house.engine.options().data.clone();
        crate::handoff::put_all(&site, site.folder.as_ref().unwrap(), &data, queue).await
    }

    /// A try that dies at the last step, before the rename.
    async fn dies(&self, job: OutgoingJob) {
        let mut queue = Queue { jobs: [job].into(), dies: true, ..Queue::default() };
        self.session(&mut queue).await;
        assert_eq!(queue.noted, 1);
    }

    fn names(&self) -> Vec<String> {
        let all = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = all.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        Path::new(self.folder.path()).join(name)
    }
}

const MARKED: &[(&str, &str)] = &[("done_marker", "&(file_name).done"), ("file_mode", "0644")];

/// As the queue gives it after a crash that came behind the note.
fn again(job: OutgoingJob) -> OutgoingJob {
    OutgoingJob { tried_before: true, maybe_delivered: true, noted: true, attempt: 2, ..job }
}

#[tokio::test]
async fn a_file_appears_whole_with_its_mark() {
    let erp = Erp::new(MARKED).await;
    let data = content(3_000_000);
    assert_eq!(erp.put([erp.job("a.xml", &data).await]).await, [JobOutcome::Delivered]);
    assert_eq!(erp.names(), ["a.xml", "a.xml.done"], "nothing hidden stays");
    assert!(erp.read("a.xml") == data);
    let mark = format!("{}  a.xml\n", base::hex(&crate::sha256(&data)));
    assert_eq!(String::from_utf8(erp.read("a.xml.done")).unwrap(), mark, "as sha256sum -c reads it");
    let meta = std::fs::metadata(erp.path("a.xml")).unwrap();
    assert_eq!((meta.permissions().mode() & 0o7777, meta.mtime()), (0o644, 77));
}

#[tokio::test]
async fn a_crash_before_the_rename_puts_it_once() {
    let erp = Erp::new(MARKED).await;
    erp.dies(erp.job("a", b"whole").await).await;
    assert!(erp.names().iter().all(|n| n.starts_with('.')), "{:?}", erp.names());
    assert_eq!(erp.put([again(erp.job("a", b"whole").await)]).await, [JobOutcome::Delivered]);
    assert_eq!((erp.names(), erp.read("a")), (vec!["a".to_owned(), "a.done".to_owned()], b"whole".to_vec()));
}

#[tokio::test]
async fn a_crash_behind_the_rename_does_not_put_it_again() {
    let erp = Erp::new(MARKED).await;
    erp.put([erp.job("a", b"x").await]).await;
    // The business side is quick, and the record's end was lost.
    for name in ["a", "a.done"] {
        std::fs::remove_file(erp.path(name)).unwrap();
    }
    assert_eq!(erp.put([again(erp.job("a", b"x").await)]).await, [JobOutcome::Delivered]);
    assert_eq!(erp.names(), [""; 0], "a file that was taken away does not come back");
}

#[tokio::test]
async fn a_crash_between_rename_and_mark_still_gives_the_mark() {
    let erp = Erp::new(&[("done_marker", "&(file_name).done"), ("rename_policy", "NUMBER")]).await;
    std::fs::write(erp.path("a"), "older").unwrap();
    erp.dies(erp.job("a", b"x").await).await;
    // What the dead program did last.
    std::fs::rename(erp.path(".a.7.part"), erp.path("a_1")).unwrap();
    assert_eq!(erp.put([again(erp.job("a", b"x").await)]).await, [JobOutcome::Delivered]);
    assert_eq!(erp.names(), ["a", "a_1", "a_1.done"]);
}

#[tokio::test]
async fn a_taken_name_is_kept_numbered_or_replaced() {
    for (policy, ends, names) in [
        ("KEEP", "Park", &["a", "a.done"][..]),
        ("NUMBER", "Delivered", &["a", "a.done", "a_1", "a_1.done"]),
        ("REPLACE", "Delivered", &["a", "a.done"]),
    ] {
        let erp = Erp::new(&[("done_marker", "&(file_name).done"), ("rename_policy", policy)]).await;
        erp.put([erp.job("a", b"old").await]).await;
        let ended = erp.put([erp.job("a", b"new").await]).await;
        assert!(format!("{ended:?}").contains(ends), "{policy}: {ended:?}");
        let there: Vec<String> = erp.names().into_iter().filter(|n| !n.starts_with('.')).collect();
        assert_eq!(there, names, "{policy}");
        assert_eq!(erp.read("a"), if policy == "REPLACE" { b"new" } else { b"old" }, "{policy}");
    }
}

#[tokio::test]
async fn after_a_restore_only_the_file_or_a_person_tells() {
    let erp = Erp::new(&[]).await;
    let unsure = |job: OutgoingJob| OutgoingJob { maybe_delivered: true, tried_before: true, ..job };
    let ended = erp.put([unsure(erp.job("a", b"x").await)]).await;
    assert!(matches!(&ended[..], [JobOutcome::Park(e)] if e.cause == Cause::Unclear), "{ended:?}");
    std::fs::write(erp.path("a"), "x").unwrap();
    assert_eq!(erp.put([unsure(erp.job("a", b"x").await)]).await, [JobOutcome::Delivered]);
    assert_eq!(erp.names(), ["a"]);
}

#[tokio::test]
async fn folders_below_are_made_and_links_refused() {
    let erp = Erp::new(&[]).await;
    let into = |dir: &str, job: OutgoingJob| OutgoingJob { dir_name: dir.as_bytes().to_vec(), ..job };
    assert_eq!(erp.put([into("edi/in", erp.job("a", b"x").await)]).await, [JobOutcome::Delivered]);
    assert_eq!(erp.read("edi/in/a"), b"x");
    std::os::unix::fs::symlink("/tmp", erp.path("out")).unwrap();
    for dir in ["out", "../x", "edi/../../x"] {
        let ended = erp.put([into(dir, erp.job("a", b"x").await)]).await;
        assert!(matches!(&ended[..], [JobOutcome::Retry(_)]), "{dir}: {ended:?}");
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_waited_for_and_the_own_one_refused() {
    let erp = Erp::new(&[]).await;
    let mut queue = Queue { jobs: [erp.job("a", b"x").await].into(), ..Queue::default() };
    std::fs::remove_dir(erp.folder.path()).unwrap();
    let missing = erp.session(&mut queue).await;
    assert!(matches!(&missing, SessionOutcome::ConnectFailed { error, .. } if error.cause == Cause::NotFound));
    let own = erp.house.folder.path().join("in");
    std::fs::create_dir(&own).unwrap();
    std::os::unix::fs::symlink(&own, erp.folder.path()).unwrap();
    let inside = erp.session(&mut queue).await;
    assert!(matches!(&inside, SessionOutcome::ConnectFailed { error, .. } if error.text.contains("own")), "{inside:?}");
    assert_eq!(queue.jobs.len(), 1, "no job is taken for a folder that can't be used");
}
