//! The store from outside: on a disk of memory that fails and loses what was not synchronised, and on the real one.

mod damage;
mod faults;
mod local;
mod memory_disk;
mod model;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base::{Secret, TestClock, UtcMicros};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::*;
use memory_disk::MemoryDisk;

/// A master key for tests.
pub(super) struct TestKeys(LessSafeKey);

impl TestKeys {
    pub(super) fn new(fill: u8) -> Self {
        Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[fill; 32]).unwrap()))
    }
}

impl KeyWrap for TestKeys {
    fn wrap(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (nonce, mut sealed) = (base::random::<12>().unwrap(), plain.to_vec());
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut sealed)
            .map_err(|_| StoreError::Key { doing: "wrapped", why: "refused".to_owned() })?;
        Ok([&nonce[..], &sealed].concat())
    }

    fn unwrap_key(&self, aad: &[u8], wrapped: &[u8]) -> Result<Secret<Vec<u8>>, StoreError> {
        let refused = || StoreError::Key { doing: "unwrapped", why: "refused".to_owned() };
        let (nonce, sealed) = wrapped.split_first_chunk::<12>().ok_or_else(refused)?;
        let mut sealed = sealed.to_vec();
        let plain = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut sealed);
        plain.map(|plain| Secret::new(plain.to_vec())).map_err(|_| refused())
    }
}

/// Parts on `disk`: small windows, a checkpoint whenever there is something new.
pub(in crate::store::tests) fn parts(disk: &Arc<MemoryDisk>, options: StoreOptions) -> StoreParts {
    let clock = Arc::new(TestClock::at(UtcMicros(0)));
    let mut parts = StoreParts::new(PathBuf::from("/data"), Arc::new(TestKeys::new(1)), clock);
    parts.disk = disk.clone();
    parts.options = options;
    parts.limits = StoreLimits {
        window_octets: 128 << 10,
        cached_octets: 128 << 10,
        checkpoint_octets: 1,
        checkpoint_pause: Duration::ZERO,
        rewritten_chunks_max: 4,
        read_octets: 128 << 10,
        ..StoreLimits::default()
    };
    parts
}

pub(in crate::store::tests) fn store(disk: &Arc<MemoryDisk>) -> Arc<dyn Store> {
    open_store("local", parts(disk, StoreOptions::default())).unwrap()
}

/// Content that differs everywhere.
pub(super) fn content(len: usize, seed: u64) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        out.extend(x.to_be_bytes());
    }
    out.truncate(len);
    out
}

pub(super) fn sha256(content: &[u8]) -> [u8; 32] {
    Sha256::digest(content).into()
}

/// Writes `content` from `from` on, in pieces as SFTP brings them.
pub(super) async fn upload(staged: &mut Staged, content: &[u8], from: usize) -> Result<(), StoreError> {
    for (i, piece) in content[from..].chunks(32 << 10).enumerate() {
        let at = u64::try_from(from + i * (32 << 10)).unwrap();
        staged.write_at(at, Bytes::copy_from_slice(piece)).await?;
    }
    Ok(())
}

pub(super) async fn read_all(mut stored: Stored) -> Result<Vec<u8>, StoreError> {
    let mut all = Vec::new();
    while u64::try_from(all.len()).unwrap() < stored.info().size {
        let part = stored.read_at(u64::try_from(all.len()).unwrap(), 50_000).await?;
        assert!(!part.is_empty());
        all.extend_from_slice(&part);
    }
    Ok(all)
}

/// Opens and reads what a commit gave.
pub(super) async fn read_sealed(store: &dyn Store, uuid: FileUuid, sealed: &Sealed) -> Result<Vec<u8>, StoreError> {
    match sealed {
        Sealed::Inline(payload, info) => read_all(store.open_inline(uuid, payload, info)?).await,
        Sealed::File(info) => read_all(store.open(uuid, info).await?).await,
    }
}

pub(super) async fn resumed(store: &dyn Store, uuid: FileUuid, saved: &Saved) -> Staged {
    match store.resume(uuid, saved).await.unwrap() {
        Resumed::Staged(staged) => staged,
        Resumed::Complete(info) => panic!("complete: {info:?}"),
    }
}

#[tokio::test]
async fn sizes_around_the_edges_survive() {
    for seal in [true, false] {
        for size in [0, 1, 16_384, 16_385, 65_535, 65_536, 65_537, 131_072, 196_608, 196_609, 500_000] {
            let disk = MemoryDisk::new();
            let store = open_store("local", parts(&disk, StoreOptions { seal, hash: true })).unwrap();
            let (uuid, content) = (FileUuid::random().unwrap(), content(size, 7));
            let mut staged = store.create(uuid);
            upload(&mut staged, &content, 0).await.unwrap();
            let sealed = store.commit(staged).await.unwrap();
            assert_eq!(matches!(sealed, Sealed::Inline(..)), size <= INLINE_OCTETS_MAX, "size {size}");
            assert_eq!(sealed.info().sha256, Some(sha256(&content)), "size {size}");
            assert_eq!(read_sealed(&*store, uuid, &sealed).await.unwrap(), content, "size {size}");
        }
    }
}

// A small file costs no synchronisation of its own: nothing of it touches the disk.
#[tokio::test]
async fn a_small_file_stays_in_memory() {
    let disk = MemoryDisk::new();
    let store = store(&disk);
    let before = disk.ops();
    let uuid = FileUuid::random().unwrap();
    let mut staged = store.create(uuid);
    staged.write_at(10, Bytes::from_static(b"late")).await.unwrap();
    staged.write_at(0, Bytes::from_static(b"0123456789")).await.unwrap();
    let Sealed::Inline(payload, info) = store.commit(staged).await.unwrap() else { panic!("a file") };
    assert_eq!(disk.ops(), before);
    let row = InlinePayload::from_row(payload.sealed().to_vec());
    assert_eq!(read_all(store.open_inline(uuid, &row, &info).unwrap()).await.unwrap(), b"0123456789late");
    // Bound to its file, its size and its octets.
    let mut bad = payload.sealed().to_vec();
    *bad.last_mut().unwrap() ^= 1;
    let shorter = StoredInfo { size: 13, ..info };
    for (uuid, row, info) in
        [(FileUuid([0; 16]), row.clone(), info), (uuid, row, shorter), (uuid, InlinePayload::from_row(bad), info)]
    {
        assert_eq!(store.open_inline(uuid, &row, &info).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

// Memory of an upload: one window that fills and one on its way, then the writer waits (contract: at most 2 MiB).
#[tokio::test]
async fn a_slow_disk_makes_the_writer_wait() {
    use futures_util::FutureExt;
    let disk = MemoryDisk::new();
    let mut parts = parts(&disk, StoreOptions::default());
    parts.limits = StoreLimits::default();
    let store = open_store("local", parts).unwrap();
    let (uuid, content) = (FileUuid::random().unwrap(), content(2 << 20, 3));
    let mut staged = store.create(uuid);
    disk.hold_writes(true);
    let (mut sent, mut most) = (0, 0);
    for piece in content.chunks(32 << 10) {
        let at = u64::try_from(sent).unwrap();
        let waited = staged.write_at(at, Bytes::copy_from_slice(piece)).now_or_never().is_none();
        most = most.max(staged.held_octets());
        sent += piece.len();
        if waited {
            break;
        }
    }
    // Beside it there is one buffer of 256 KiB for sealed chunks.
    assert!((1 << 20..=1280 << 10).contains(&most), "held {most} octets");
    assert!(sent < 1280 << 10, "{sent} octets were taken although the disk stands");
    disk.hold_writes(false);
    let from = usize::try_from(staged.size()).unwrap();
    upload(&mut staged, &content, from).await.unwrap();
    let sealed = store.commit(staged).await.unwrap();
    assert_eq!(read_sealed(&*store, uuid, &sealed).await.unwrap(), content);
}

#[tokio::test]
async fn gaps_and_sizes_are_bounded() {
    let disk = MemoryDisk::new();
    let store = store(&disk);
    let mut staged = store.create(FileUuid::random().unwrap());
    let far = StoreLimits::default().hole_octets_max + 1;
    for (offset, expected) in [(far, true), (u64::MAX - 1, true), (1 << 46, true), (1000, false)] {
        let result = staged.write_at(offset, Bytes::from_static(b"x")).await;
        assert_eq!(result.is_err(), expected, "offset {offset}");
        if let Err(e) = result {
            assert_eq!(e.kind(), ErrorKind::Invalid);
        }
    }
    assert_eq!(staged.size(), 1001);
    assert_eq!(staged.read_at(990, 100).await.unwrap()[..], [&[0; 10][..], b"x"].concat());
    staged.truncate(far + 100_000).await.unwrap_err();
    assert_eq!(staged.size(), 1001);
}

#[tokio::test]
async fn a_store_without_hash_tells_none() {
    let disk = MemoryDisk::new();
    let store = open_store("local", parts(&disk, StoreOptions { seal: true, hash: false })).unwrap();
    let uuid = FileUuid::random().unwrap();
    let mut staged = store.create(uuid);
    upload(&mut staged, &content(100_000, 1), 0).await.unwrap();
    let sealed = store.commit(staged).await.unwrap();
    assert_eq!(*sealed.info(), StoredInfo { size: 100_000, sha256: None });
    assert_eq!(read_sealed(&*store, uuid, &sealed).await.unwrap(), content(100_000, 1));
}

#[test]
fn names_and_backends() {
    let uuid = FileUuid([0xab; 16]);
    assert_eq!(uuid.to_string().parse(), Ok(uuid));
    for bad in ["", "ab", "../../../../etc/passwd", &"g".repeat(32), &"ab".repeat(17)] {
        assert_eq!(bad.parse::<FileUuid>().unwrap_err().kind(), ErrorKind::Invalid, "{bad:?}");
    }
    let parts = parts(&MemoryDisk::new(), StoreOptions::default());
    assert_eq!(open_store("tape", parts).unwrap_err().kind(), ErrorKind::Invalid);
}
