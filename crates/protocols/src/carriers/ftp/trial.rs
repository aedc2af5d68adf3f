//! A session of the server that is sent any octets whatever, for the fuzzer (`fuzz/`) and for tests: on real sockets, over a
//! folder in memory, with a client that opens each data connection it is told of.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::Secret;
use channel::{Link, TlsRefusal, TlsSession};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::server::{Parts, Reception, Served, serve};
use super::settings::ServerSettings;
use super::wire::decode_epsv_text;
use crate::files::{Folder, MemoryFolder};

/// Where the client calls from: nobody else is there, so that PORT reaches no other program of this machine.
const CLIENT: [u8; 4] = [127, 99, 0, 1];
const SERVER: [u8; 4] = [127, 0, 0, 1];
/// Waits of the session: nothing that comes here comes later.
const WAIT: Duration = Duration::from_millis(20);
/// The longest a session may take; one that hangs is a finding.
const SESSION_TIME_MAX: Duration = Duration::from_secs(30);
/// What one data connection carries at most.
const DATA_OCTETS_MAX: u64 = 1 << 20;

/// How the client behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manners {
    /// It has logged in before the octets come.
    pub inside: bool,
    /// It resets data connections.
    pub resets: bool,
    /// It closes its side when it has sent the octets, instead of saying QUIT.
    pub leaves: bool,
}

/// What was left when the session was over.
#[derive(Debug)]
pub struct Left {
    /// How it ended.
    pub served: Served,
    /// What became of files, in order.
    pub log: Vec<String>,
}

/// Plays one session; each data connection carries `data` to the server.
///
/// # Errors
/// The system's; `TimedOut` if the session does not end.
pub async fn session(octets: &[u8], data: &[u8], manners: Manners) -> io::Result<Left> {
    let listener = TcpListener::bind(SocketAddr::from((SERVER, 0))).await?;
    let client = call(listener.local_addr()?).await?;
    let link = Link::clear(listener.accept().await?.0)?;
    let folder = MemoryFolder::new().with_file("/in/a", &[7; 3000]).with_file("/out/b", b"one\ntwo\r\n");
    let (_stop, stopping) = watch::channel(false);
    let settings = ServerSettings {
        idle: WAIT,
        data_idle: WAIT,
        data_wait: WAIT,
        login_grace: WAIT,
        login_pause: Duration::ZERO,
        commands_per_s_max: u32::MAX,
        ..ServerSettings::default()
    };
    let reception = Arc::new(Open(folder.clone()));
    let serving = serve(link, Parts { settings, tls: None, reception, stopping });
    let talking = talk(client, (octets, data), manners);
    let both = async { tokio::join!(serving, talking) };
    let (served, _) = timeout(SESSION_TIME_MAX, both).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
    Ok(Left { served, log: folder.log() })
}

async fn call(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((CLIENT, 0)))?;
    socket.connect(address).await
}

/// Sends everything, and reads to the end. What the server closes in between is no failure.
async fn talk(mut stream: TcpStream, (octets, data): (&[u8], &[u8]), manners: Manners) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let writing = async {
        if manners.inside {
            write.write_all(b"USER alice\r\nPASS secret\r\nTYPE I\r\n").await?;
        }
        write.write_all(octets).await?;
        if manners.leaves { write.shutdown().await } else { write.write_all(b"\r\nQUIT\r\n").await }
    };
    let (_, read) = tokio::join!(writing, answer(read, data, manners.resets));
    read
}

/// Reads replies, and does what they ask for.
async fn answer(mut read: impl tokio::io::AsyncRead + Unpin, data: &[u8], resets: bool) -> io::Result<()> {
    let (mut came, mut open) = (Vec::new(), None);
    while read.read_buf(&mut came).await? > 0 {
        while let Some(end) = came.iter().position(|octet| *octet == b'\n') {
            let line: Vec<u8> = came.drain(..=end).collect();
            if line.starts_with(b"229 ") {
                let port = decode_epsv_text(&String::from_utf8_lossy(&line)).unwrap_or_default();
                open = call(SocketAddr::from((SERVER, port))).await.ok();
            } else if line.starts_with(b"150 ")
                && let Some(stream) = open.take()
            {
                // It may be closed at any time.
                let _ = carry(stream, data, resets).await;
            }
        }
    }
    Ok(())
}

async fn carry(mut stream: TcpStream, data: &[u8], resets: bool) -> io::Result<()> {
    stream.write_all(data).await?;
    if resets {
        return stream.set_zero_linger();
    }
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(DATA_OCTETS_MAX), &mut tokio::io::sink()).await.map(drop)
}

/// Lets everybody in who has a password.
struct Open(MemoryFolder);

#[async_trait]
impl Reception for Open {
    async fn tls_refused(&self, _: &TlsRefusal) {}

    async fn connected(&self, _: Option<&TlsSession>) {}

    async fn certificate(&self, _: &[u8]) -> Option<Arc<dyn Folder>> {
        None
    }

    async fn password(&self, _: &[u8], password: &Secret<String>) -> Option<Arc<dyn Folder>> {
        let folder: Arc<dyn Folder> = Arc::new(self.0.clone());
        (password.expose() == "secret").then_some(folder)
    }
}
