//! Every single operation of the disk fails once, with and without the program dying of it: nothing is lost, doubled or
//! half visible (DESIGN 5, test 2).

use std::io::{self, IoSlice, IoSliceMut};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use db::State;

use super::house::*;
use crate::store::{Disk, DiskFile, Entry, RealDisk, Space};
use crate::sync::lock;
use crate::{Admitted, TransferError};

/// The real disk, of which one operation fails.
#[derive(Debug)]
struct FailingDisk {
    left: Arc<AtomicI64>,
}

struct FailingFile {
    file: Arc<dyn DiskFile>,
    left: Arc<AtomicI64>,
}

fn count(left: &AtomicI64) -> io::Result<()> {
    match left.fetch_sub(1, Ordering::SeqCst) {
        1 => Err(io::Error::other("the disk fails on purpose")),
        _ => Ok(()),
    }
}

impl FailingDisk {
    fn new() -> Arc<Self> {
        Arc::new(Self { left: Arc::new(AtomicI64::new(0)) })
    }

    /// The operation number `n` from now fails.
    fn fail_at(&self, n: i64) {
        self.left.store(n, Ordering::SeqCst);
    }

    /// Whether it did.
    fn has_failed(&self) -> bool {
        self.left.swap(0, Ordering::SeqCst) <= 0
    }

    fn wrapped(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(FailingFile { file, left: self.left.clone() })
    }
}

impl Disk for FailingDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        count(&self.left)?;
        RealDisk.create(path).map(|file| self.wrapped(file))
    }
    fn open(&self, path: &Path, write: bool) -> io::Result<Arc<dyn DiskFile>> {
        count(&self.left)?;
        RealDisk.open(path, write).map(|file| self.wrapped(file))
    }
    fn open_past_cache(&self, path: &Path) -> Option<Arc<dyn DiskFile>> {
        RealDisk.open_past_cache(path).map(|file| self.wrapped(file))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        count(&self.left)?;
        RealDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        count(&self.left)?;
        RealDisk.remove(path)
    }
    fn make_folder(&self, path: &Path) -> io::Result<bool> {
        count(&self.left)?;
        RealDisk.make_folder(path)
    }
    fn folder_mode(&self, path: &Path) -> io::Result<(u32, u32, bool)> {
        RealDisk.folder_mode(path)
    }
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        count(&self.left)?;
        RealDisk.sync_folder(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        RealDisk.list(path)
    }
    fn space(&self, path: &Path) -> io::Result<Space> {
        RealDisk.space(path)
    }
}

impl DiskFile for FailingFile {
    fn write_at(&self, pieces: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        count(&self.left)?;
        self.file.write_at(pieces, offset)
    }
    fn read_at(&self, pieces: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
        count(&self.left)?;
        self.file.read_at(pieces, offset)
    }
    fn octets(&self) -> io::Result<u64> {
        count(&self.left)?;
        self.file.octets()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        count(&self.left)?;
        self.file.set_len(len)
    }
    fn sync(&self) -> io::Result<()> {
        count(&self.left)?;
        self.file.sync()
    }
    fn lock(&self) -> io::Result<bool> {
        count(&self.left)?;
        self.file.lock()
    }
}

/// One try of a client to send the file: the rest, if the server has a part of it.
async fn try_to_send(house: &House, a: &Admitted, path: &str, data: &[u8]) -> Result<(), TransferError> {
    let partial = house.engine.stat(a, &at(path)).await.map_or(0, |e| e.size);
    let mut from = usize::try_from(partial).unwrap();
    let mut file = house.begin(a, path, if from > 0 { RESUME } else { NEW }).await?;
    assert_eq!(file.size(), partial, "what STAT told");
    while from < data.len() {
        let to = (from + 150_000).min(data.len());
        file.write_at(u64::try_from(from).unwrap(), Bytes::copy_from_slice(&data[from..to])).await?;
        file.sync().await?;
        from = to;
    }
    file.commit().await.map(drop)
}

/// Sends a file through a house whose disk fails at operation `n`. Gives whether it came so far.
async fn one_round(house: &mut House, disk: &FailingDisk, n: i64, dies: bool) -> bool {
    let (a, name) = (partner("A"), format!("f{n}"));
    let (path, data) = (format!("/in/{name}"), content(400_000 + usize::try_from(n).unwrap()));
    disk.fail_at(n);
    let mut tries = 0;
    while let Err(e) = try_to_send(house, &a, &path, &data).await {
        tries += 1;
        assert!(tries < 6, "operation {n}: {e}");
        assert!(house.names(&a, "/in").await.is_empty(), "half visible after operation {n}");
        if dies {
            house.crash().await;
        } else {
            until("interrupted", async || house.engine.open_upload("A", &path).is_none()).await;
        }
    }
    house.advance(3);
    house.engine.route_due().await.unwrap();
    let carrier = Pretender::new(&[]);
    let mut running = Running::start(house, &carrier);
    loop {
        let event = running.any(&["delivered", "retried", "failed"]).await;
        if event.name() == "delivered" {
            break;
        }
        assert_eq!(event.name(), "retried", "operation {n}: {event:?}");
        house.advance(10);
        house.engine.wake();
    }
    running.stop().await;
    let failed = disk.has_failed();
    house.crash().await;
    let seen = lock(&carrier.seen).clone();
    assert_eq!(seen.len(), 1, "operation {n}: once");
    assert!(seen[0].content == data && seen[0].name == name, "operation {n}: the same");
    let out: Vec<State> =
        house.all().await.iter().filter(|t| t.route_from.is_some() && t.file_name == name).map(state_of).collect();
    assert_eq!(out, [State::Ended], "operation {n}");
    failed
}

/// Gives how many operations there were.
async fn every_operation(dies: bool) -> i64 {
    let disk = FailingDisk::new();
    let mut house = House::on(disk.clone(), &[]).await;
    let mut n = 1;
    while one_round(&mut house, &disk, n, dies).await {
        n += 1;
    }
    n - 1
}

#[tokio::test]
async fn each_operation_fails_once() {
    assert!(every_operation(false).await > 15);
}

#[tokio::test]
async fn each_operation_fails_and_the_program_dies_of_it() {
    assert!(every_operation(true).await > 15);
}
