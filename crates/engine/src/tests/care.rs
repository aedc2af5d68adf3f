//! Backup, its check, and what a restore does with what may have gone on after it.

use std::fs;
use std::path::{Path, PathBuf};

use base::TransferId;
use bytes::Bytes;
use db::{PARKED_OFFER, State};

use super::house::*;
use crate::care::{BackupDone, BackupOrder, LOST_FOUND, Verified, restore, verify};
use crate::{Cause, ErrorKind};

async fn backup(house: &House, folder: &Path, base: Option<&Path>) -> BackupDone {
    let order = BackupOrder { folder: folder.to_owned(), base: base.map(Path::to_owned) };
    house.engine.backup(order).await.unwrap()
}

async fn faults(folder: &Path) -> Vec<String> {
    verify(folder).await.unwrap().faults
}

/// The payload files of a backup.
fn payloads(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.join("payload")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() { folders.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found.sort();
    found
}

// Every content that the copied database refers to is in the backup; nothing of the master key is.
#[tokio::test]
async fn a_backup_of_a_running_gateway_is_whole() {
    let house = House::new().await;
    let scratch = tempfile::tempdir().unwrap();
    let a = partner("A");
    house.put(&a, "/in/large", &content(300_000)).await;
    house.put(&a, "/in/small", b"in its row").await;
    let mut open = house.begin(&a, "/in/open", NEW).await.unwrap();
    open.write_at(0, Bytes::from(content(200_000))).await.unwrap();
    let done = backup(&house, &scratch.path().join("b1"), None).await;
    assert_eq!(open.commit().await.unwrap().size, 200_000, "uploads go on meanwhile");
    assert_eq!((done.manifest.files, done.linked), (2, 0), "{done:?}");
    assert!(done.manifest.missing.is_empty());
    assert_eq!(done.manifest.master_key_id, house.engine.master().id());
    let found = verify(&scratch.path().join("b1")).await.unwrap();
    assert!(found.faults.is_empty() && found.unlisted.is_empty(), "{found:?}");
    // The second one links what it has in common with the first, and stands alone all the same.
    let done = backup(&house, &scratch.path().join("b2"), Some(&scratch.path().join("b1"))).await;
    assert_eq!((done.manifest.files, done.linked), (3, 1));
    fs::remove_dir_all(scratch.path().join("b1")).unwrap();
    assert_eq!(faults(&scratch.path().join("b2")).await, Vec::<String>::new());
    let again = BackupOrder { folder: scratch.path().join("b2"), base: None };
    let text = house.engine.backup(again).await.unwrap_err().to_string();
    assert!(text.contains("not empty"), "{text}");
    let inside = BackupOrder { folder: house.folder.path().join("backup"), base: None };
    assert!(house.engine.backup(inside).await.unwrap_err().to_string().contains("outside the data folder"));
}

#[tokio::test]
async fn a_check_finds_every_change() {
    let house = House::new().await;
    let scratch = tempfile::tempdir().unwrap();
    house.put(&partner("A"), "/in/large", &content(300_000)).await;
    let folder = scratch.path().join("b");
    backup(&house, &folder, None).await;
    let payload = payloads(&folder).remove(0);
    let good = fs::read(&payload).unwrap();
    let check = async |said: &str| {
        let found = faults(&folder).await;
        assert!(found.iter().any(|f| f.contains(said)), "{said}: {found:?}");
    };
    let mut bad = good.clone();
    bad[200_000] ^= 1;
    fs::write(&payload, &bad).unwrap();
    check("another SHA-256").await;
    fs::write(&payload, &good[..5000]).unwrap();
    check("has 5000 octets").await;
    fs::remove_file(&payload).unwrap();
    check("No such file").await;
    fs::write(&payload, &good).unwrap();
    assert!(faults(&folder).await.is_empty());
    let list = fs::read_to_string(folder.join("files.list")).unwrap();
    fs::write(folder.join("files.list"), list.lines().next().unwrap().to_owned() + "\n").unwrap();
    check("not the one that the manifest tells of").await;
    check("is in the database and not in the backup").await;
    fs::remove_file(folder.join("manifest.json")).unwrap();
    assert!(verify(&folder).await.unwrap_err().to_string().contains("broke off"));
}

#[tokio::test]
async fn a_content_that_is_gone_is_told_with_its_transfers() {
    let house = House::new().await;
    let scratch = tempfile::tempdir().unwrap();
    let (received, _) = house.put_and_route("/in/large", &content(300_000)).await;
    fs::remove_file(payloads(house.folder.path()).remove(0)).unwrap();
    let done = backup(&house, &scratch.path().join("b"), None).await;
    let missing = &done.manifest.missing;
    assert_eq!(missing.len(), 1);
    assert!(missing[0].transfers.contains(&received.0), "{missing:?}");
    let Verified { faults, manifest, .. } = verify(&scratch.path().join("b")).await.unwrap();
    assert!(faults.is_empty() && manifest.missing == *missing, "told once, and no fault of the backup: {faults:?}");
}

/// A house restored from its backup of the night before; what was done since is not known to it.
async fn restored(house: &House, backup: &Path) -> House {
    let folder = tempfile::tempdir().unwrap();
    let clock = house.clock.clone();
    let done = restore(backup, folder.path(), clock).await.unwrap();
    assert!(done.missing.is_empty() && done.lost_found.is_empty(), "{done:?}");
    house.twin(folder).await
}

// DESIGN 1.18 across a restore: what may have been sent after the backup is looked for before it is sent.
#[tokio::test]
async fn nothing_is_sent_twice_unseen_after_a_restore() {
    let house = House::new().await;
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("b");
    let (_, out) = house.put_and_route("/in/routed", &content(100)).await;
    house.put(&partner("A"), "/in/unrouted", &content(200)).await;
    let offer = house.offer("A", "offer", b"for A").await;
    let mut cut = house.begin(&partner("A"), "/in/cut", NEW).await.unwrap();
    cut.write_at(0, Bytes::from(content(100_000))).await.unwrap();
    cut.interrupt().await;
    backup(&house, &folder, None).await;

    let twin = restored(&house, &folder).await;
    assert!(twin.engine.frozen().unwrap().starts_with("restored from the backup of"));
    assert_eq!(twin.get(offer).await.state, State::Suspended);
    assert_eq!(twin.get(offer).await.err, PARKED_OFFER);
    assert!(twin.names(&partner("A"), "/out").await.is_empty(), "it may have been fetched since");
    assert_eq!(twin.fetch(&partner("A"), "/in/unrouted").await.unwrap().0, content(200));
    assert!(twin.begin(&partner("A"), "/in/cut", RESUME).await.unwrap().size() == 0, "the partner begins anew");
    assert_eq!(twin.engine.unfreeze(true, &actor()).await.unwrap(), 1);
    assert!(twin.engine.frozen().is_none());
    assert_eq!(twin.names(&partner("A"), "/out").await, ["offer"]);

    // The delivery of the backup and the one that is only made now look first; a file that comes now does not.
    twin.advance(3);
    twin.engine.route_due().await.unwrap();
    let late = twin.put(&partner("A"), "/in/late", &content(300)).await.transfer.unwrap();
    assert!(late.0 > db::NUMBERS_LEFT_OUT, "its number was given to nobody before: {late}");
    twin.advance(3);
    twin.engine.route_due().await.unwrap();
    let carrier = Pretender::new(&[]);
    let mut running = Running::start(&twin, &carrier);
    for _ in 0..3 {
        running.event("delivered").await;
    }
    running.stop().await;
    let seen = crate::sync::lock(&carrier.seen).clone();
    let looked: Vec<(String, bool)> = seen.iter().map(|s| (s.name.clone(), s.maybe_delivered)).collect();
    assert!(seen.iter().any(|s| s.id == out));
    for (name, looks) in [("routed", true), ("unrouted", true), ("late", false)] {
        assert!(looked.contains(&(name.to_owned(), looks)), "{name}: {looked:?}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_kept_aside_and_told() {
    let house = House::new().await;
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("b");
    let (received, out) = house.put_and_route("/in/large", &content(300_000)).await;
    backup(&house, &folder, None).await;
    let payload = payloads(&folder).remove(0);
    let mut octets = fs::read(&payload).unwrap();
    octets[100_000] ^= 1;
    fs::write(&payload, octets).unwrap();
    fs::write(payload.with_file_name("stranger.ghp"), b"?").unwrap();

    let data = tempfile::tempdir().unwrap();
    let done = restore(&folder, data.path(), house.clock.clone()).await.unwrap();
    assert_eq!(done.lost_found.len(), 2, "{done:?}");
    assert!(data.path().join(LOST_FOUND).join("stranger.ghp").exists());
    assert_eq!(done.missing.len(), 1);
    let transfers: Vec<TransferId> = done.missing[0].transfers.iter().map(|id| TransferId(*id)).collect();
    assert_eq!(transfers, [received, out]);
    let text = restore(&folder, data.path(), house.clock.clone()).await.unwrap_err().to_string();
    assert!(text.contains("is not empty"), "{text}");
    let twin = house.twin(data).await;
    let parked = twin.get(out).await;
    assert_eq!(parked.state, State::Suspended);
    assert!(parked.err.contains("does not hold its content"), "{}", parked.err);
    let error = twin.engine.open_payload(parked.payload.unwrap()).await.unwrap_err();
    assert_eq!((error.kind, error.cause), (ErrorKind::Park, Cause::Integrity));
}

#[tokio::test]
async fn a_restore_that_broke_off_begins_again() {
    let house = House::new().await;
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("b");
    house.put(&partner("A"), "/in/large", &content(300_000)).await;
    backup(&house, &folder, None).await;
    let data = tempfile::tempdir().unwrap();
    // As a kill in the middle leaves it.
    fs::write(data.path().join(crate::care::RESTORING_FILE), "").unwrap();
    fs::create_dir_all(data.path().join("payload/00")).unwrap();
    fs::write(data.path().join("gatehouse.db"), "half").unwrap();
    restore(&folder, data.path(), house.clock.clone()).await.unwrap();
    let twin = house.twin(data).await;
    assert_eq!(twin.fetch(&partner("A"), "/in/large").await.unwrap().0, content(300_000));
}
