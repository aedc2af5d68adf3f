//! Each operation on a partner's connection fails once, over real SSH at both ends: nothing is lost, doubled or half
//! visible, every transfer resumes (DESIGN 5, test 2).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use db::{Actor, Direction, State, Transfer, TransferFilter};
use engine::Control;
use protocols::sftp::{ClientOptions, NoProgress, SftpClient};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::cast::{self, Gateway, Partner, operate};

/// Where a connection breaks.
#[derive(Clone, Copy, Debug)]
enum Break {
    /// What was written last does not arrive.
    Before,
    /// Half of it arrives.
    Within,
    /// It arrives, and no more.
    After,
}

const OCTETS: usize = 40_000;
/// How long what is under way gets until it is looked at again.
const MOMENT: Duration = Duration::from_millis(5);
const ROUND_MAX: Duration = Duration::from_secs(30);

/// A line to a gateway that breaks at its operation number `n` from now, counted over both directions.
struct Line {
    address: SocketAddr,
    left: Arc<AtomicI64>,
}

impl Line {
    async fn to(target: SocketAddr, at: Break) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let left = Arc::new(AtomicI64::new(0));
        let counter = left.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(target).await else { continue };
                near.set_nodelay(true).unwrap();
                far.set_nodelay(true).unwrap();
                let (cut, stop) = watch::channel(false);
                let cut = Arc::new(cut);
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                for (from, to) in [(near_in, far_out), (far_in, near_out)] {
                    tokio::spawn(carry(from, to, at, counter.clone(), (cut.clone(), stop.clone())));
                }
            }
        });
        Self { address, left }
    }

    fn break_at(&self, n: i64) {
        self.left.store(n, Ordering::SeqCst);
    }

    fn has_broken(&self) -> bool {
        self.left.swap(0, Ordering::SeqCst) <= 0
    }
}

/// Carries one direction until it ends or the line breaks.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    at: Break,
    left: Arc<AtomicI64>,
    (cut, mut stop): (Arc<watch::Sender<bool>>, watch::Receiver<bool>),
) {
    let mut octets = vec![0; 65_536];
    loop {
        let read = tokio::select! {
            read = from.read(&mut octets) => read.unwrap_or(0),
            _ = stop.wait_for(|cut| *cut) => return,
        };
        if read == 0 {
            return;
        }
        let breaks = left.fetch_sub(1, Ordering::SeqCst) == 1;
        let arrives = match at {
            Break::Before if breaks => 0,
            Break::Within if breaks => read / 2,
            _ => read,
        };
        let written = to.write_all(&octets[..arrives]).await;
        if breaks {
            cut.send_replace(true);
        }
        if breaks || written.is_err() {
            return;
        }
    }
}

async fn records(of: &Gateway, name: &str, direction: Direction) -> Vec<Transfer> {
    let filter =
        TransferFilter { file_name: Some(name.to_owned()), direction: Some(direction), ..TransferFilter::default() };
    of.running.engine.db().transfers().list(filter, 100).await.unwrap()
}

/// The one whole file of this name is what was sent, and nothing runs or shows besides.
async fn arrived_once(at: &Gateway, name: &str, data: &[u8], told: &str) {
    let all = records(at, name, Direction::In).await;
    let whole: Vec<&Transfer> = all.iter().filter(|t| t.state == State::Ended).collect();
    assert_eq!(whole.len(), 1, "{told}: {all:?}");
    let payload = at.running.engine.db().payloads().get(whole[0].payload.unwrap()).await.unwrap().unwrap();
    assert_eq!(payload.sha256, Some(cast::sha256(data)), "{told}");
    let listed: Vec<&Transfer> = all.iter().filter(|t| t.listed && t.state != State::Ended).collect();
    assert!(listed.is_empty(), "{told}: {listed:?}");
}

/// One try of A: looks what is there, and sends the rest.
async fn try_to_send(a: &Partner, ours: &Gateway, line: &Line, name: &str, data: &Bytes) -> Result<(), String> {
    let client = a.log_in_at(ours, line.address).await?;
    let pipe = client.open_sftp().await.map_err(|e| e.to_string())?;
    let mut sftp = SftpClient::start(pipe, ClientOptions::default()).await.map_err(|e| e.to_string())?;
    let path = format!("/in/{name}");
    // The sender sees what it has sent in part, and its look waits for an upload that is just ending.
    let there = sftp.stat(path.as_bytes()).await.map_err(|e| e.to_string())?.and_then(|attrs| attrs.size).unwrap_or(0);
    // Only whole files are listed.
    if sftp.list(b"/in").await.map_err(|e| e.to_string())?.iter().any(|f| f.name == name.as_bytes()) {
        return Ok(());
    }
    let from = if there < u64::try_from(data.len()).unwrap() { there } else { 0 };
    sftp.put(path.as_bytes(), &mut data.clone(), from, &mut NoProgress).await.map_err(|e| e.to_string())?;
    client.close().await;
    Ok(())
}

/// Gives how many operations there were.
async fn every_upload(at: Break) -> i64 {
    let folder = tempfile::tempdir().unwrap();
    let ours = Gateway::start("ours", &folder.path().join("ours")).await.unwrap();
    let a = Partner::new("A").unwrap();
    cast::open_for_a(&ours, &a).await.unwrap();
    let line = Line::to(ours.address, at).await;
    for n in 1.. {
        let (name, data) = (format!("f{n}"), cast::random_file(OCTETS).unwrap());
        line.break_at(n);
        let told = format!("{at:?} operation {n}");
        let mut tries = 0;
        while let Err(e) = try_to_send(&a, &ours, &line, &name, &data).await {
            tries += 1;
            assert!(tries < 4, "{told}: {e}");
        }
        if !line.has_broken() {
            ours.running.stop().await;
            return n - 1;
        }
        let mut running = true;
        while std::mem::replace(&mut running, false) {
            running = records(&ours, &name, Direction::In).await.iter().any(|t| t.state == State::Servicing);
        }
        arrived_once(&ours, &name, &data, &told).await;
    }
    0
}

/// Waits for the end of a delivery, without the waits between its tries.
async fn delivered(ours: &Gateway, name: &str, told: &str) {
    let actor = Actor { name: "test".to_owned(), origin: "test".to_owned() };
    let ended = async {
        loop {
            let t = records(ours, name, Direction::Out).await.remove(0);
            match t.state {
                State::Ended => return,
                State::Suspended => panic!("{told}: put before a person: {}", t.err),
                State::ToRestart => drop(ours.running.engine.control(t.id, Control::Restart, &actor).await),
                State::ToBegin => ours.running.engine.start_site("PARTNER_B").await.unwrap(),
                _ => {}
            }
            drop(tokio::time::timeout(MOMENT, std::future::pending::<()>()).await);
        }
    };
    tokio::time::timeout(ROUND_MAX, ended).await.unwrap_or_else(|_| panic!("{told}: never delivered"));
}

/// Gives how many operations there were.
async fn every_delivery(at: Break) -> i64 {
    let folder = tempfile::tempdir().unwrap();
    let ours = Gateway::start("ours", &folder.path().join("ours")).await.unwrap();
    let server_b = Gateway::start("B", &folder.path().join("b")).await.unwrap();
    let a = Partner::new("A").unwrap();
    cast::set_the_stage(&ours, &server_b, &a).await.unwrap();
    let line = Line::to(server_b.address, at).await;
    let address = format!("{}/{}", line.address.ip(), line.address.port());
    operate(&ours, "peladm update_site", &[("alias", "PARTNER_B"), ("dest_address", &address)]).await.unwrap();
    for n in 1.. {
        let (name, data) = (format!("f{n}"), cast::random_file(OCTETS).unwrap());
        let file = folder.path().join(&name);
        std::fs::write(&file, &data).unwrap();
        line.break_at(n);
        let told = format!("{at:?} operation {n}");
        let request = engine::Request { site: "PARTNER_B".to_owned(), file, ..engine::Request::default() };
        ours.running.engine.submit(request).await.unwrap();
        delivered(&ours, &name, &told).await;
        if !line.has_broken() {
            ours.running.stop().await;
            server_b.running.stop().await;
            return n - 1;
        }
        arrived_once(&server_b, &name, &data, &told).await;
        let parts = server_b.running.engine.db().transfers().list(TransferFilter::default(), 1000).await.unwrap();
        let left: Vec<&str> =
            parts.iter().filter(|t| t.listed && t.file_name.ends_with(".part")).map(|t| t.file_name.as_str()).collect();
        assert!(left.is_empty(), "{told}: {left:?}");
    }
    0
}

macro_rules! rounds {
    ($($name:ident: $run:ident($at:ident);)+) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let rounds = $run(Break::$at).await;
            println!("{}: {rounds} rounds", stringify!($name));
            assert!(rounds > 15, "{rounds}");
        }
    )+ };
}

rounds! {
    an_upload_breaks_before_each_operation: every_upload(Before);
    an_upload_breaks_within_each_operation: every_upload(Within);
    an_upload_breaks_after_each_operation: every_upload(After);
    a_delivery_breaks_before_each_operation: every_delivery(Before);
    a_delivery_breaks_within_each_operation: every_delivery(Within);
    a_delivery_breaks_after_each_operation: every_delivery(After);
}
