//! A change of the master key, killed at every step.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use keys::{MasterKey, sealed_key_id};

use super::house::*;
use crate::care::{CareError, MASTER_FILE, check_master, load_master};
use db::{SealedKind, TransferFilter};

/// The ids of all master keys that the folder holds.
fn key_files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("master.key")).collect();
    names.sort();
    names
}

/// What a house holds, to be opened again: a large file, a small one, a partial upload.
async fn furnished() -> House {
    let house = House::with_key_file().await;
    let a = partner("A");
    house.put(&a, "/in/large", &content(300_000)).await;
    house.put(&a, "/in/small", b"in its row").await;
    let mut cut = house.begin(&a, "/in/cut", NEW).await.unwrap();
    cut.write_at(0, Bytes::from(content(200_000))).await.unwrap();
    cut.interrupt().await;
    house.secret("B", "login_password", b"open sesame").await;
    // The database names the key that seals, as after any start: a private key is sealed with it.
    house.engine.db().meta().set("master_key_id", &house.engine.master().id()).await.unwrap();
    house
}

async fn all_opens(house: &House) {
    check_master(house.engine.db(), house.engine.master()).await.unwrap();
    let a = partner("A");
    assert_eq!(house.fetch(&a, "/in/large").await.unwrap().0, content(300_000));
    assert_eq!(house.fetch(&a, "/in/small").await.unwrap().0, b"in its row");
    let cut = house.begin(&a, "/in/cut", RESUME).await.unwrap();
    assert_eq!(cut.size(), 200_000);
    cut.interrupt().await;
    assert_eq!(house.opened("B", "login_password").await, b"open sesame");
}

async fn nothing_refers_to(house: &House, old: &str) {
    let id: [u8; 8] = base::unhex(old).unwrap().try_into().unwrap();
    for kind in SealedKind::ALL {
        assert!(house.engine.db().sealed().under(kind, id, i64::MIN, 10).await.unwrap().is_empty(), "{kind:?}");
    }
    for first in 0..=u8::MAX {
        for file in house.engine.store().committed_files(first).await.unwrap() {
            assert!(!house.engine.store().needs_rewrap(file.uuid, false).await.unwrap());
        }
    }
}

// STO-25: a kill at any step loses nothing, and the next try comes to the end; the old key goes last.
#[tokio::test]
async fn a_change_of_the_master_key_survives_a_kill_at_every_step() {
    let mut steps = 0;
    for kill_at in 0.. {
        let mut house = furnished().await;
        let old = house.engine.master().id();
        let mut left = kill_at;
        let killed = house
            .engine
            .rotate_by(&mut || {
                left -= 1;
                left >= 0
            })
            .await;
        house.crash_with_keys().await;
        all_opens(&house).await;
        match killed {
            Err(CareError::Broken) => {}
            other => {
                other.unwrap();
                steps = kill_at;
            }
        }
        let done = house.engine.rotate().await.unwrap();
        assert_eq!(done.waiting, 0, "killed at {kill_at}");
        assert_ne!(done.key, old);
        assert_eq!(key_files(house.folder.path()), [MASTER_FILE], "killed at {kill_at}");
        nothing_refers_to(&house, &old).await;
        house.crash_with_keys().await;
        all_opens(&house).await;
        if steps > 0 {
            break;
        }
    }
    // Three of the files, four of the database, two payload files, the end.
    assert!(steps >= 8, "{steps} steps");
}

#[tokio::test]
async fn an_upload_under_way_keeps_the_old_key_until_it_has_ended() {
    let mut house = House::with_key_file().await;
    let a = partner("A");
    let mut open = house.begin(&a, "/in/open", NEW).await.unwrap();
    open.write_at(0, Bytes::from(content(1_500_000))).await.unwrap();
    open.sync().await.unwrap();
    let old = house.engine.master().id();
    let done = house.engine.rotate().await.unwrap();
    assert!(done.waiting > 0 && house.engine.rotation_pending());
    let folder = tempfile::tempdir().unwrap();
    let order = crate::care::BackupOrder { folder: folder.path().join("b"), base: None };
    assert!(house.engine.backup(order).await.unwrap_err().to_string().contains("master rotate"));
    open.commit().await.unwrap();
    house.engine.tidy().await.unwrap();
    assert!(!house.engine.rotation_pending(), "housekeeping comes to the end");
    nothing_refers_to(&house, &old).await;
    assert_eq!(key_files(house.folder.path()), [MASTER_FILE]);
    house.crash_with_keys().await;
    assert_eq!(house.fetch(&a, "/in/open").await.unwrap().0, content(1_500_000));
    assert_eq!(house.engine.db().transfers().list(TransferFilter::default(), 9).await.unwrap().len(), 1);
}

#[test]
fn all_keys_of_a_folder_open_and_one_seals() {
    let folder = tempfile::tempdir().unwrap();
    let master = MasterKey::create(&folder.path().join(MASTER_FILE)).unwrap();
    let old = MasterKey::create(&folder.path().join("master.key.old")).unwrap();
    let sealed = old.seal(b"", b"x").unwrap();
    let ring = Arc::new(load_master(folder.path(), &keys::MasterKeeper::default()).unwrap());
    assert_eq!(ring.ids(), [master.id(), old.id()]);
    assert_eq!(ring.open(b"", &sealed).unwrap().expose(), b"x");
    assert_eq!(sealed_key_id(&ring.seal(b"", b"").unwrap()).unwrap(), master.id());
}
