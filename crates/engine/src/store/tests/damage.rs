//! Flip, cut, append, swap, splice, stale chunk, clear for sealed: always an error (DESIGN 5.4).

use std::path::Path;

use super::*;

struct Case {
    disk: Arc<MemoryDisk>,
    store: Arc<dyn Store>,
    uuid: FileUuid,
    info: StoredInfo,
    path: PathBuf,
    file: Vec<u8>,
    /// The file as it was in staging, before chunk 0 was changed.
    before: Vec<u8>,
}

const RECORD: usize = 65_564;

/// A committed file of three chunks and a bit, whose first chunk was sealed twice.
async fn case(options: StoreOptions) -> Case {
    let disk = MemoryDisk::new();
    let store = open_store("local", parts(&disk, options)).unwrap();
    let uuid = FileUuid::random().unwrap();
    let mut staged = store.create(uuid);
    upload(&mut staged, &content(200_000, 1), 0).await.unwrap();
    staged.sync().await.unwrap();
    let before = disk.files().into_values().next().unwrap();
    staged.write_at(100, Bytes::from_static(b"changed")).await.unwrap();
    let sealed = store.commit(staged).await.unwrap();
    let (path, file) = disk.files().into_iter().next().unwrap();
    Case { disk, store, uuid, info: *sealed.info(), path, file, before }
}

impl Case {
    /// What reading the whole file says once `octets` stand in its place.
    async fn with(&self, octets: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.disk.put(&self.path, octets);
        let stored = self.store.open(self.uuid, &self.info).await?;
        read_all(stored).await
    }

    async fn refuses(&self, octets: &[u8], what: &str) {
        match self.with(octets).await {
            Ok(_) => panic!("{what}: read as if nothing had happened"),
            Err(e) => assert!(matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Key), "{what}: {e}"),
        }
    }
}

#[tokio::test]
async fn no_octet_can_be_changed() {
    let case = case(StoreOptions::default()).await;
    assert_eq!(case.with(&case.file).await.unwrap().len(), 200_000);
    let ends = [4096, 4096 + RECORD, case.file.len()];
    let near = ends.iter().flat_map(|end| end - 130..(end + 30).min(case.file.len()));
    for at in (0..200).chain((200..case.file.len()).step_by(1999)).chain(near) {
        let mut bad = case.file.clone();
        bad[at] ^= 1 << (at % 8);
        case.refuses(&bad, &format!("octet {at}")).await;
    }
}

#[tokio::test]
async fn nothing_can_be_cut_or_added() {
    let case = case(StoreOptions::default()).await;
    let len = case.file.len();
    for cut in [0, 1, 4095, 4096, 4097, 4096 + RECORD, 4096 + 2 * RECORD, len - 74, len - 73, len - 1] {
        case.refuses(&case.file[..cut], &format!("cut to {cut}")).await;
    }
    // Cut by whole chunks, with list and trailer put behind again.
    let (body, end) = case.file.split_at(len - 73 - 12 - 24 - 16);
    for chunks in 0..3 {
        let bad = [&body[..4096 + chunks * RECORD], end].concat();
        case.refuses(&bad, &format!("cut to {chunks} chunks")).await;
    }
    for more in [&b"x"[..], &[0; 73], &case.file[4096..4096 + RECORD]] {
        case.refuses(&[&case.file, more].concat(), "appended").await;
        case.refuses(&[body, more, end].concat(), "put in").await;
    }
}

#[tokio::test]
async fn chunks_stay_where_and_as_they_are() {
    let (one, other) = (case(StoreOptions::default()).await, case(StoreOptions::default()).await);
    let chunk = |i: usize| 4096 + i * RECORD..4096 + (i + 1) * RECORD;
    let mut swapped = one.file.clone();
    swapped[chunk(1)].copy_from_slice(&one.file[chunk(2)]);
    swapped[chunk(2)].copy_from_slice(&one.file[chunk(1)]);
    one.refuses(&swapped, "two chunks swapped").await;
    for i in 0..3 {
        let mut spliced = one.file.clone();
        spliced[chunk(i)].copy_from_slice(&other.file[chunk(i)]);
        one.refuses(&spliced, &format!("chunk {i} of another file")).await;
    }
    assert_eq!(one.before[chunk(1)], one.file[chunk(1)]);
    let mut stale = one.file.clone();
    stale[chunk(0)].copy_from_slice(&one.before[chunk(0)]);
    one.refuses(&stale, "chunk 0 as it was before it was changed").await;
    one.refuses(&other.file, "another file").await;
    one.refuses(&one.before, "the staged file").await;
}

// What a crash left behind can't come back either: such chunks are sealed a second time.
#[tokio::test]
async fn chunks_of_a_lost_end_do_not_come_back() {
    let disk = MemoryDisk::new();
    let store = store(&disk);
    let (uuid, first) = (FileUuid::random().unwrap(), content(150_000, 1));
    let mut staged = store.create(uuid);
    upload(&mut staged, &first, 0).await.unwrap();
    let saved = staged.sync().await.unwrap();
    upload(&mut staged, &content(700_000, 2), 150_000).await.unwrap();
    staged.sync().await.unwrap();
    drop(staged);
    let before = disk.files().into_values().next().unwrap();
    let mut staged = resumed(&*store, uuid, &saved).await;
    assert_eq!(staged.size(), 150_000);
    upload(&mut staged, &[&first[..], &content(500_000, 3)].concat(), 150_000).await.unwrap();
    let sealed = store.commit(staged).await.unwrap();
    let (path, file) = disk.files().into_iter().next().unwrap();
    for i in 2..9 {
        let chunk = 4096 + i * RECORD..4096 + (i + 1) * RECORD;
        let mut stale = file.clone();
        stale[chunk.clone()].copy_from_slice(&before[chunk]);
        disk.put(&path, &stale);
        let error = read_sealed(&*store, uuid, &sealed).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "chunk {i}");
    }
    disk.put(&path, &file);
    assert_eq!(read_sealed(&*store, uuid, &sealed).await.unwrap().len(), 650_000);
}

// A sealed file can't be replaced by a clear one, which needs no key of the file.
#[tokio::test]
async fn clear_for_sealed_is_refused() {
    let sealed = case(StoreOptions::default()).await;
    let clear = case(StoreOptions { seal: false, hash: true }).await;
    assert_eq!(clear.with(&clear.file).await.unwrap().len(), 200_000);
    sealed.refuses(&clear.file, "a clear file of another name").await;
    let mut forged = clear.file.clone();
    forged[8..24].copy_from_slice(&sealed.uuid.0);
    sealed.refuses(&forged, "a clear file that says it is this one").await;
    let mut body = sealed.file.clone();
    body[5] = 0;
    sealed.refuses(&body, "the suite set to clear").await;
}

#[tokio::test]
async fn the_database_has_the_last_word() {
    let case = case(StoreOptions::default()).await;
    for info in [StoredInfo { size: 199_999, ..case.info }, StoredInfo { sha256: Some([0; 32]), ..case.info }] {
        assert_eq!(case.store.open(case.uuid, &info).await.unwrap_err().kind(), ErrorKind::Corrupt);
    }
    let unknown = FileUuid::random().unwrap();
    assert_eq!(case.store.open(unknown, &case.info).await.unwrap_err().kind(), ErrorKind::Absent);
    assert!(case.path.starts_with(Path::new("/data/payload")));
}
