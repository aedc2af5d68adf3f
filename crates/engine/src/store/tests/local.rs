//! The local backend on the real disk: layout, modes, locks, sweep, new wrapping.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;

use async_trait::async_trait;
use base::{Clock, SystemClock};

use super::*;

fn real(folder: &tempfile::TempDir, key: u8) -> Arc<dyn Store> {
    let clock = Arc::new(SystemClock::default());
    let parts = StoreParts::new(folder.path().to_owned(), Arc::new(TestKeys::new(key)), clock);
    open_store("local", parts).unwrap()
}

async fn commit(store: &dyn Store, content: &[u8]) -> (FileUuid, Sealed) {
    let uuid = FileUuid::random().unwrap();
    let mut staged = store.create(uuid);
    upload(&mut staged, content, 0).await.unwrap();
    (uuid, store.commit(staged).await.unwrap())
}

// BP-5, and the layout that the manual tells.
#[tokio::test]
async fn files_are_ours_alone_and_lie_where_they_should() {
    let folder = tempfile::tempdir().unwrap();
    let store = real(&folder, 1);
    let content = content(300_000, 1);
    let (uuid, sealed) = commit(&*store, &content).await;
    let name = uuid.to_string();
    let shelf = folder.path().join("payload").join(&name[..2]).join(&name[2..4]);
    let path = shelf.join(format!("{name}.ghp"));
    for (path, mode) in [(path.clone(), 0o600), (shelf, 0o700), (folder.path().join("staging"), 0o700)] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, mode, "{}", path.display());
    }
    // STO-15: nothing of the content can be read on the disk.
    let raw = fs::read(&path).unwrap();
    assert!(!raw.windows(16).any(|window| window == &content[1000..1016]));
    assert_eq!(read_sealed(&*store, uuid, &sealed).await.unwrap(), content);
    assert!(store.space().await.unwrap().total > 0);
    store.remove(uuid).await.unwrap();
    store.remove(uuid).await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_folder_open_to_others_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    drop(real(&folder, 1));
    fs::set_permissions(folder.path().join("payload"), fs::Permissions::from_mode(0o750)).unwrap();
    let parts = StoreParts::new(folder.path().to_owned(), Arc::new(TestKeys::new(1)), Arc::new(SystemClock::default()));
    assert!(matches!(open_store("local", parts).unwrap_err(), StoreError::Folder { mode: 0o750, .. }));
}

#[tokio::test]
async fn an_upload_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let store = real(&folder, 1);
    let uuid = FileUuid::random().unwrap();
    let mut staged = store.create(uuid);
    upload(&mut staged, &content(100_000, 1), 0).await.unwrap();
    let saved = staged.sync().await.unwrap();
    assert_eq!(store.resume(uuid, &saved).await.unwrap_err().kind(), ErrorKind::Busy);
    drop(staged);
    let staged = resumed(&*store, uuid, &saved).await;
    assert_eq!(staged.size(), 100_000);
    staged.discard().await.unwrap();
    assert_eq!(store.resume(uuid, &saved).await.unwrap_err().kind(), ErrorKind::Absent);
}

// The commit was durable, the caller's transaction was not: the file is found whole.
#[tokio::test]
async fn a_commit_that_nobody_wrote_down_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = real(&folder, 1);
    let (uuid, sealed) = commit(&*store, &content(100_000, 1)).await;
    match store.resume(uuid, &Saved::default()).await.unwrap() {
        Resumed::Complete(info) => assert_eq!(info, *sealed.info()),
        Resumed::Staged(_) => panic!("begins again"),
    }
}

// STO-25: a new master key needs no new content.
#[tokio::test]
async fn a_file_is_wrapped_anew_in_place() {
    struct Both(TestKeys, TestKeys);
    impl KeyWrap for Both {
        fn wrap(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
            self.1.wrap(aad, plain)
        }
        fn unwrap_key(&self, aad: &[u8], wrapped: &[u8]) -> Result<Secret<Vec<u8>>, StoreError> {
            self.1.unwrap_key(aad, wrapped).or_else(|_| self.0.unwrap_key(aad, wrapped))
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let content = content(100_000, 1);
    let (uuid, sealed) = commit(&*real(&folder, 1), &content).await;
    let keys = Arc::new(Both(TestKeys::new(1), TestKeys::new(2)));
    let parts = StoreParts::new(folder.path().to_owned(), keys, Arc::new(SystemClock::default()));
    let both = open_store("local", parts).unwrap();
    for _ in 0..2 {
        both.rewrap(uuid).await.unwrap();
        assert_eq!(read_sealed(&*real(&folder, 2), uuid, &sealed).await.unwrap(), content);
        assert!(read_sealed(&*real(&folder, 1), uuid, &sealed).await.is_err());
    }
    assert_eq!(both.rewrap(FileUuid([0; 16])).await.unwrap_err().kind(), ErrorKind::Absent);
}

// STO-24: what a crash left over is removed, what somebody knows or is just being made stays.
#[tokio::test]
async fn orphans_are_swept() {
    struct Rows(Vec<FileUuid>, Mutex<usize>);
    #[async_trait]
    impl Known for Rows {
        async fn known(&self, uuids: &[FileUuid], _staged: bool) -> Result<Vec<FileUuid>, String> {
            *self.1.lock().unwrap() += uuids.len();
            Ok(uuids.iter().filter(|uuid| self.0.contains(uuid)).copied().collect())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let store = real(&folder, 1);
    let content = content(100_000, 1);
    let (kept, sealed) = commit(&*store, &content).await;
    let (orphan, _) = commit(&*store, &content).await;
    let left = FileUuid::random().unwrap();
    let mut staged = store.create(left);
    upload(&mut staged, &content, 0).await.unwrap();
    let saved = staged.suspend().await.unwrap();
    let (rows, now) = (Rows(vec![kept], Mutex::new(0)), SystemClock::default().now());
    let hour = Duration::from_secs(3600);
    let fresh = sweep(&*store, &rows, now, hour).await.unwrap();
    assert_eq!((fresh.seen, fresh.removed), (3, 0));
    let swept = sweep(&*store, &rows, now.plus(hour * 2), hour).await.unwrap();
    assert_eq!((swept.seen, swept.removed), (3, 2));
    assert!(swept.octets > 165_536);
    assert_eq!(*rows.1.lock().unwrap(), 3);
    assert_eq!(read_sealed(&*store, kept, &sealed).await.unwrap(), content);
    assert_eq!(store.resume(left, &saved).await.unwrap_err().kind(), ErrorKind::Absent);
    assert_eq!(store.open(orphan, sealed.info()).await.unwrap_err().kind(), ErrorKind::Absent);
}
