//! Mounted real folders (OBJ-21, SFTP-7, SFTP-14).

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use bytes::Bytes;
use db::State;
use model::{Kind, VfdRight};

use super::house::*;
use crate::{Admitted, Cause, EntryKind, OpenWrite};

struct Mounted {
    house: House,
    real: tempfile::TempDir,
    outside: tempfile::TempDir,
    a: Admitted,
}

async fn mounted() -> Mounted {
    let (real, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = real.path().display().to_string();
    let house = House::with(&[(Kind::VfdDir, "/m", &[("type", "MOUNT"), ("target", &target)])]).await;
    let mut a = partner("A");
    a.rights.push(VfdRight::parse("/m:*:RWD:LCR:Y").unwrap());
    std::fs::write(outside.path().join("secret"), b"secret").unwrap();
    Mounted { house, real, outside, a }
}

impl Mounted {
    fn path(&self, name: &str) -> PathBuf {
        self.real.path().join(name)
    }
}

#[tokio::test]
async fn files_are_real() {
    let m = mounted().await;
    let (engine, a) = (&m.house.engine, &m.a);
    let data = content(300_000);
    engine.mkdir(a, &at("/m/sub")).await.unwrap();
    let mut file = m.house.begin(a, "/m/sub/x", NEW).await.unwrap();
    file.write_at(0, Bytes::from(data.clone())).await.unwrap();
    assert!(!m.path("sub/x").exists(), "TRF-20: not under its name before it is whole");
    assert_eq!(m.house.names(a, "/m/sub").await, Vec::<String>::new());
    assert_eq!(file.read_at(5, 3).await.unwrap(), data[5..8]);
    file.set_times(base::UtcMicros(5_000_000)).await.unwrap();
    let done = file.commit().await.unwrap();
    assert_eq!(std::fs::read(m.path("sub/x")).unwrap(), data);
    let t = m.house.get(done.transfer.unwrap()).await;
    assert_eq!((t.state, t.size, t.dir_name.as_str()), (State::Ended, Some(300_000), "/m/sub"), "mbx_recording");
    let stat = engine.stat(a, &at("/m/sub/x")).await.unwrap();
    assert_eq!((stat.size, stat.modified.seconds(), stat.kind), (300_000, 5, EntryKind::File));
    assert_eq!(m.house.names(a, "/m").await, ["sub"]);
    assert_eq!(m.house.fetch(a, "/m/sub/x").await.unwrap(), (data, true));
    engine.rename(a, (&at("/m/sub/x"), &at("/m/y")), false).await.unwrap();
    engine.set_times(a, &at("/m/y"), base::UtcMicros(9_000_000)).await.unwrap();
    assert_eq!(engine.stat(a, &at("/m/y")).await.unwrap().modified.seconds(), 9);
    assert_eq!(engine.rmdir(a, &at("/m/y")).await.unwrap_err().cause, Cause::NotDirectory);
    engine.rmdir(a, &at("/m/sub")).await.unwrap();
    assert_eq!(engine.remove(a, &at("/m")).await.unwrap_err().cause, Cause::Unsupported);
    engine.remove(a, &at("/m/y")).await.unwrap();
    assert_eq!(m.house.names(a, "/m").await, Vec::<String>::new());
}

#[tokio::test] // OBJ-21, SFTP-14
async fn nothing_leads_out() {
    let m = mounted().await;
    let (engine, a) = (&m.house.engine, &m.a);
    symlink(m.outside.path(), m.path("dir")).unwrap();
    symlink(m.outside.path().join("secret"), m.path("link")).unwrap();
    symlink("/", m.path("root")).unwrap();
    symlink("..", m.path("up")).unwrap();
    symlink("/proc/self/cwd", m.path("magic")).unwrap();
    std::fs::create_dir(m.path("in")).unwrap();
    symlink("../../", m.path("in/up")).unwrap();
    let paths = ["dir/secret", "link", "root/etc/passwd", "up", "magic", "in/up", "in/up/secret", "dir", "root"];
    for path in paths {
        let path = at(&format!("/m/{path}"));
        assert_eq!(engine.stat(a, &path).await.unwrap_err().cause, Cause::NotFound, "stat {path}");
        assert_eq!(engine.open_read(a, &path).await.unwrap_err().cause, Cause::NotFound, "read {path}");
        assert!(engine.list(a, &path).await.is_err(), "list {path}");
        assert!(engine.remove(a, &path).await.is_err(), "remove {path}");
        assert!(engine.rmdir(a, &path).await.is_err(), "rmdir {path}");
        assert!(engine.set_times(a, &path, base::UtcMicros(0)).await.is_err(), "times {path}");
        assert!(engine.rename(a, (&path, &at("/m/got")), true).await.is_err(), "rename {path}");
    }
    for path in ["dir/new", "root/tmp/new", "up/new", "in/up/new"] {
        let path = at(&format!("/m/{path}"));
        assert_eq!(engine.open_write(a, &path, NEW).await.unwrap_err().cause, Cause::NotFound, "write {path}");
        assert!(engine.mkdir(a, &path).await.is_err(), "mkdir {path}");
    }
    // A link in the place of the final name is replaced, not followed.
    m.house.put(a, "/m/link", b"mine").await;
    assert_eq!(std::fs::read(m.outside.path().join("secret")).unwrap(), b"secret");
    assert_eq!(std::fs::read(m.path("link")).unwrap(), b"mine");
    assert_eq!(m.house.names(a, "/m").await, ["in", "link"]);
}

#[tokio::test]
async fn a_folder_that_becomes_a_link_meanwhile_leads_nowhere() {
    let m = mounted().await;
    let (engine, a) = (&m.house.engine, &m.a);
    std::fs::create_dir(m.path("d")).unwrap();
    std::fs::write(m.path("d/secret"), b"inner").unwrap();
    let (real, away) = (m.path("d"), m.path("away"));
    let outside = m.outside.path().to_owned();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let swapping = {
        let stop = stop.clone();
        std::thread::spawn(move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                std::fs::rename(&real, &away).unwrap();
                symlink(&outside, &real).unwrap();
                std::fs::remove_file(&real).unwrap();
                std::fs::rename(&away, &real).unwrap();
            }
        })
    };
    for _ in 0..300 {
        if let Ok((read, _)) = m.house.fetch(a, "/m/d/secret").await {
            assert_eq!(read, b"inner");
        }
        if let Ok(mut file) = engine.open_write(a, &at("/m/d/new"), NEW).await {
            file.write_at(0, Bytes::from_static(b"x")).await.unwrap();
            drop(file.commit().await);
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    swapping.join().unwrap();
    let outside: Vec<_> = std::fs::read_dir(m.outside.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(outside, ["secret"]);
}

#[tokio::test] // SFTP-10
async fn a_cut_upload_is_resumed() {
    let m = mounted().await;
    let a = &m.a;
    let data = content(10_000);
    let mut file = m.house.begin(a, "/m/x", NEW).await.unwrap();
    file.write_at(0, Bytes::copy_from_slice(&data[..6000])).await.unwrap();
    let busy = m.house.begin(a, "/m/x", RESUME).await.unwrap_err();
    assert_eq!(busy.cause, Cause::Busy);
    let id = file.id().unwrap();
    file.interrupt().await;
    assert_eq!(m.house.get(id).await.state, State::Interrupted);
    assert_eq!(m.house.engine.stat(a, &at("/m/x")).await.unwrap().size, 6000);
    let c = Admitted { site: "C".to_owned(), ..a.clone() };
    assert_eq!(m.house.engine.stat(&c, &at("/m/x")).await.unwrap_err().cause, Cause::NotFound);
    let mut rest = m.house.begin(a, "/m/x", RESUME).await.unwrap();
    rest.write_at(6000, Bytes::copy_from_slice(&data[6000..])).await.unwrap();
    rest.commit().await.unwrap();
    assert_eq!(std::fs::read(m.path("x")).unwrap(), data);
    // Appending to a whole file: the old one stays until the new one is whole.
    let mut more = m.house.begin(a, "/m/x", RESUME).await.unwrap();
    assert_eq!(more.size(), 10_000);
    more.write_at(10_000, Bytes::from_static(b"!")).await.unwrap();
    assert_eq!(std::fs::read(m.path("x")).unwrap().len(), 10_000);
    more.commit().await.unwrap();
    assert_eq!(std::fs::read(m.path("x")).unwrap().len(), 10_001);
}

#[tokio::test] // SFTP-7
async fn rights_are_asked_for_each_verb() {
    let m = mounted().await;
    let engine = &m.house.engine;
    std::fs::write(m.path("f"), b"x").unwrap();
    std::fs::create_dir(m.path("d")).unwrap();
    let with = |right: &str| Admitted { rights: vec![VfdRight::parse(right).unwrap()], ..m.a.clone() };
    let none = with("/m:nothing::L:Y");
    assert_eq!(engine.open_read(&none, &at("/m/f")).await.unwrap_err().cause, Cause::Denied);
    assert_eq!(engine.open_write(&none, &at("/m/g"), NEW).await.unwrap_err().cause, Cause::Denied);
    assert_eq!(engine.remove(&none, &at("/m/f")).await.unwrap_err().cause, Cause::Denied);
    assert_eq!(engine.mkdir(&none, &at("/m/e")).await.unwrap_err().cause, Cause::Denied);
    assert_eq!(engine.rmdir(&none, &at("/m/d")).await.unwrap_err().cause, Cause::Denied);
    assert_eq!(engine.set_times(&none, &at("/m/f"), base::UtcMicros(0)).await.unwrap_err().cause, Cause::Denied);
    let no_delete = with("/m:*:RW:L:Y");
    let renamed = engine.rename(&no_delete, (&at("/m/f"), &at("/m/g")), false).await;
    assert_eq!(renamed.unwrap_err().cause, Cause::Denied, "D + W");
    let no_list = with("/m:*:R::Y");
    assert_eq!(engine.list(&no_list, &at("/m")).await.unwrap_err().cause, Cause::Denied);
    assert!(m.house.fetch(&no_list, "/m/f").await.is_ok());
    let exclusive = OpenWrite { exclusive: true, ..NEW };
    assert_eq!(m.house.begin(&m.a, "/m/f", exclusive).await.unwrap_err().cause, Cause::Exists);
    let existing = OpenWrite { truncate: false, create: false, ..NEW };
    assert_eq!(m.house.begin(&m.a, "/m/h", existing).await.unwrap_err().cause, Cause::NotFound);
    let taken = engine.rename(&m.a, (&at("/m/f"), &at("/m/d")), false).await;
    assert_eq!(taken.unwrap_err().cause, Cause::Exists);
    assert_eq!(engine.stat(&m.a, &at("/m/.gatehouse-x")).await.unwrap_err().cause, Cause::NotFound, "hidden names");
}
