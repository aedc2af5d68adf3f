//! Fail the n-th operation for every n; cut the power, or end the process, at every n (DESIGN 5.2).

use super::*;

/// Receives a file with everything that can happen to it; gives what the database would know, and the outcome.
async fn receive(store: &dyn Store, uuid: FileUuid, content: &[u8], known: &mut Saved) -> Result<Sealed, StoreError> {
    let mut staged = store.create(uuid);
    for (i, piece) in content.chunks(50_000).enumerate() {
        if i == 5 {
            *known = staged.suspend().await?;
            let Resumed::Staged(again) = store.resume(uuid, known).await? else { panic!("complete") };
            staged = again;
        }
        let at = u64::try_from(i * 50_000).unwrap();
        staged.write_at(at, Bytes::copy_from_slice(piece)).await?;
        if let Some(saved) = staged.checkpoint() {
            *known = saved;
        }
    }
    store.commit(staged).await
}

/// Changes content in place, cuts, and lets the commit copy the file.
async fn rewrite(store: &dyn Store, uuid: FileUuid, content: &[u8]) -> Result<Sealed, StoreError> {
    let mut staged = store.create(uuid);
    upload(&mut staged, &[content, &[9; 100_000]].concat(), 0).await?;
    staged.truncate(u64::try_from(content.len()).unwrap()).await?;
    for chunk in 0..6 {
        let at = chunk * 65_536 + 10;
        staged.write_at(u64::try_from(at).unwrap(), Bytes::copy_from_slice(&content[at..at + 100])).await?;
    }
    store.commit(staged).await
}

// Either the whole file or an error and no file.
#[tokio::test]
async fn every_failing_operation_is_told_and_leaves_nothing() {
    let content = content(600_000, 5);
    for (seal, keeps_failing, rewriting) in
        [(true, false, false), (true, true, false), (false, false, false), (true, false, true), (false, true, true)]
    {
        for n in 1.. {
            assert!(n < 500, "it never ends");
            let disk = MemoryDisk::new();
            let store = open_store("local", parts(&disk, StoreOptions { seal, hash: true })).unwrap();
            let uuid = FileUuid::random().unwrap();
            disk.fail_at(n, keeps_failing);
            let mut known = Saved::default();
            let outcome = match rewriting {
                true => rewrite(&*store, uuid, &content).await,
                false => receive(&*store, uuid, &content, &mut known).await,
            };
            let failed = disk.heal();
            match outcome {
                Ok(sealed) => assert!(read_sealed(&*store, uuid, &sealed).await.unwrap() == content, "operation {n}"),
                Err(e) => {
                    assert_eq!(e.kind(), ErrorKind::NoSpace, "operation {n}: {e}");
                    only_whole_files(&*store, uuid, &content, keeps_failing).await;
                    store.discard(uuid).await.unwrap();
                    store.remove(uuid).await.unwrap();
                    assert!(disk.files().is_empty(), "operation {n} leaves {:?}", disk.files().keys());
                }
            }
            if !failed {
                break;
            }
        }
    }
}

/// Nothing stands under the final name; or, where even the undoing failed, a whole file.
async fn only_whole_files(store: &dyn Store, uuid: FileUuid, content: &[u8], keeps_failing: bool) {
    let info = StoredInfo { size: u64::try_from(content.len()).unwrap(), sha256: Some(sha256(content)) };
    match store.open(uuid, &info).await {
        Ok(stored) => {
            assert!(keeps_failing, "a commit that failed can be seen");
            assert!(read_all(stored).await.unwrap() == content);
        }
        Err(e) => assert_eq!(e.kind(), ErrorKind::Absent, "{e}"),
    }
}

// After a crash at any operation: what was told to be durable is there, the rest can be sent again.
#[tokio::test]
async fn after_a_crash_an_upload_goes_on() {
    let content = content(600_000, 6);
    let mut resumed_late = 0;
    for (seal, power) in [(true, true), (true, false), (false, true)] {
        for n in 1.. {
            assert!(n < 500, "it never ends");
            let disk = MemoryDisk::new();
            let store = open_store("local", parts(&disk, StoreOptions { seal, hash: true })).unwrap();
            let uuid = FileUuid::random().unwrap();
            disk.fail_at(n, true);
            let mut known = Saved::default();
            let done = receive(&*store, uuid, &content, &mut known).await;
            let failed = disk.heal();
            let disk = if power { disk.after_power_cut(n * 77) } else { disk.after_kill() };
            let store = open_store("local", parts(&disk, StoreOptions { seal, hash: true })).unwrap();
            if let Ok(sealed) = &done {
                assert!(read_sealed(&*store, uuid, sealed).await.unwrap() == content, "committed, cut at {n}");
            }
            let sealed = match store.resume(uuid, &known).await.unwrap() {
                Resumed::Complete(info) => Sealed::File(info),
                Resumed::Staged(mut staged) => {
                    let size = usize::try_from(staged.size()).unwrap();
                    assert_eq!(staged.size(), known.durable_to, "cut at {n}");
                    assert!(staged.read_at(0, size).await.unwrap()[..] == content[..size], "cut at {n}");
                    resumed_late += usize::from(size > 0);
                    upload(&mut staged, &content, size).await.unwrap();
                    store.commit(staged).await.unwrap()
                }
            };
            assert_eq!(sealed.info().sha256, Some(sha256(&content)), "cut at {n}");
            assert!(read_sealed(&*store, uuid, &sealed).await.unwrap() == content, "cut at {n}");
            if !failed {
                break;
            }
        }
    }
    assert!(resumed_late > 20, "{resumed_late} uploads went on from the middle");
}

// A file whose durable content was being changed is looked at from its start: only chunks that open stay.
#[tokio::test]
async fn after_a_crash_in_the_middle_of_changes_only_whole_chunks_stay() {
    let content = content(600_000, 8);
    for n in 1..40 {
        let disk = MemoryDisk::new();
        let store = store(&disk);
        let uuid = FileUuid::random().unwrap();
        let mut staged = store.create(uuid);
        upload(&mut staged, &content, 0).await.unwrap();
        let saved = staged.sync().await.unwrap();
        disk.fail_at(n, true);
        for at in [5, 70_000, 200_000, 65_000] {
            if staged.write_at(at, Bytes::from(vec![1; 1000])).await.is_err() {
                break;
            }
        }
        drop(staged);
        disk.heal();
        let disk = disk.after_power_cut(n * 31);
        let store = open_store("local", parts(&disk, StoreOptions::default())).unwrap();
        let mut staged = resumed(&*store, uuid, &saved).await;
        assert!(staged.size() <= saved.durable_to);
        staged.write_at(0, Bytes::copy_from_slice(&content)).await.unwrap();
        staged.truncate(600_000).await.unwrap();
        let sealed = store.commit(staged).await.unwrap();
        assert_eq!(sealed.info().sha256, Some(sha256(&content)), "cut at {n}");
        assert!(read_sealed(&*store, uuid, &sealed).await.unwrap() == content, "cut at {n}");
    }
}

// A call that is dropped while it waits does not lose the file's own work.
#[tokio::test]
async fn a_dropped_write_can_be_followed_by_a_suspension() {
    use futures_util::FutureExt;
    let disk = MemoryDisk::new();
    let store = store(&disk);
    let (uuid, content) = (FileUuid::random().unwrap(), content(1 << 20, 4));
    let mut staged = store.create(uuid);
    disk.hold_writes(true);
    assert!(staged.write_at(0, Bytes::copy_from_slice(&content)).now_or_never().is_none());
    disk.hold_writes(false);
    let size = usize::try_from(staged.size()).unwrap();
    assert!(size > 0 && size < content.len());
    let saved = staged.suspend().await.unwrap();
    let mut staged = resumed(&*store, uuid, &saved).await;
    assert!(staged.read_at(0, size).await.unwrap()[..] == content[..size]);
}

// What was told to be durable stays so whatever comes next, in particular the last chunk, which is written again.
#[tokio::test]
async fn a_suspended_upload_survives_many_cuts() {
    let (mut disk, uuid, content) = (MemoryDisk::new(), FileUuid::random().unwrap(), content(400_000, 9));
    let (mut saved, mut size) = (Saved::default(), 0);
    for (n, step) in (0..).zip([5, 10_000, 16_385, 131_072, 70_001, 131_000]) {
        let at_work = store(&disk);
        let mut staged = resumed(&*at_work, uuid, &saved).await;
        assert_eq!(staged.size(), saved.durable_to, "cut {n}");
        let upto = size + step;
        upload(&mut staged, &content[..upto], size).await.unwrap();
        saved = staged.suspend().await.unwrap();
        size = usize::try_from(saved.durable_to).unwrap();
        // Up to a chunk there is no file: it is all in what the database keeps.
        assert_eq!((size, disk.files().is_empty()), (upto, upto <= 65_536));
        // More comes, and the beginning of a commit; the power goes before the end of it.
        let mut staged = resumed(&*at_work, uuid, &saved).await;
        upload(&mut staged, &content, upto).await.unwrap();
        disk.fail_at(n + 2, true);
        at_work.commit(staged).await.unwrap_err();
        disk.heal();
        disk = disk.after_power_cut(n);
    }
    let last = store(&disk);
    let mut staged = resumed(&*last, uuid, &saved).await;
    upload(&mut staged, &content, size).await.unwrap();
    let sealed = last.commit(staged).await.unwrap();
    assert_eq!(sealed.info().sha256, Some(sha256(&content)));
    assert!(read_sealed(&*last, uuid, &sealed).await.unwrap() == content);
}
