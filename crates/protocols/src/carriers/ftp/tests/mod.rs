//! Our server on real sockets, over a folder in memory; and clients that behave badly.

mod commands;
mod hostile;
mod transfers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::Secret;
use channel::{Link, TlsRefusal, TlsSession};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::server::{Parts, Reception, Served, serve};
use super::settings::ServerSettings;
use crate::files::{Folder, MemoryFolder};

/// Lets `alice` in with `secret`.
struct Porter(MemoryFolder);

#[async_trait]
impl Reception for Porter {
    async fn tls_refused(&self, refusal: &TlsRefusal) {
        panic!("TLS in a test in clear: {refusal}");
    }

    async fn connected(&self, session: Option<&TlsSession>) {
        assert!(session.is_none(), "TLS in a test in clear");
    }

    async fn certificate(&self, _login: &[u8]) -> Option<Arc<dyn Folder>> {
        panic!("a certificate in a test in clear");
    }

    async fn password(&self, login: &[u8], password: &Secret<String>) -> Option<Arc<dyn Folder>> {
        let right = login == b"alice" && password.expose() == "secret";
        let folder: Arc<dyn Folder> = Arc::new(self.0.clone());
        right.then_some(folder)
    }
}

/// How tests are served: without waits that would make them slow.
fn quick() -> ServerSettings {
    ServerSettings { login_pause: Duration::ZERO, ..ServerSettings::default() }
}

/// A client that sends what it is told.
struct Raw {
    stream: TcpStream,
    came: Vec<u8>,
    stop: watch::Sender<bool>,
    served: JoinHandle<Served>,
}

/// Connects to a session over `folder`; reads its greeting.
async fn start(folder: &MemoryFolder, settings: ServerSettings) -> Raw {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (stop, stopping) = watch::channel(false);
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let link = Link::clear(listener.accept().await.unwrap().0).unwrap();
    let reception = Arc::new(Porter(folder.clone()));
    let served = tokio::spawn(serve(link, Parts { settings, tls: None, reception, stopping }));
    let mut raw = Raw { stream, came: Vec::new(), stop, served };
    assert_eq!(raw.reply().await, "220 Ready");
    raw
}

/// The same, logged in, with TYPE I.
async fn enter(folder: &MemoryFolder, settings: ServerSettings) -> Raw {
    let mut raw = start(folder, settings).await;
    for (line, code) in [("USER alice", "331"), ("PASS secret", "230"), ("TYPE I", "200")] {
        raw.expect(line, code).await;
    }
    raw
}

impl Raw {
    async fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.stream.write_all(octets.as_ref()).await.unwrap();
    }

    /// A line, without its end; none at the end.
    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.came.iter().position(|o| *o == b'\n') {
                let line: Vec<u8> = self.came.drain(..=end).collect();
                return Some(String::from_utf8_lossy(line.strip_suffix(b"\r\n").unwrap()).into_owned());
            }
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece).await {
                Ok(0) | Err(_) => return None,
                Ok(n) => self.came.extend_from_slice(&piece[..n]),
            }
        }
    }

    /// A whole reply, its lines joined by `\n`; empty at the end of the connection.
    async fn reply(&mut self) -> String {
        let Some(mut all) = self.line().await else { return String::new() };
        if all.as_bytes().get(3) == Some(&b'-') {
            let end = format!("{} ", &all[..3]);
            loop {
                let line = self.line().await.unwrap();
                all = format!("{all}\n{line}");
                if line.starts_with(&end) {
                    break;
                }
            }
        }
        all
    }

    async fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n")).await;
        self.reply().await
    }

    async fn expect(&mut self, line: &str, code: &str) -> String {
        let reply = self.ask(line).await;
        assert!(reply.starts_with(code), "{line} is answered by {reply:?}, not {code}");
        reply
    }

    /// A data connection by EPSV.
    async fn data(&mut self) -> TcpStream {
        let reply = self.expect("EPSV", "229").await;
        let port = super::wire::decode_epsv_text(&reply).unwrap();
        TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap()
    }

    /// Sends a file whole.
    async fn put(&mut self, line: &str, data: &[u8]) -> String {
        let mut stream = self.data().await;
        let begun = self.ask(line).await;
        if !begun.starts_with("150") {
            return begun;
        }
        stream.write_all(data).await.unwrap();
        drop(stream);
        self.reply().await
    }

    /// Fetches a file, or a list.
    async fn get(&mut self, line: &str) -> (Vec<u8>, String) {
        let mut stream = self.data().await;
        let begun = self.ask(line).await;
        let mut got = Vec::new();
        if !begun.starts_with("150") {
            return (got, begun);
        }
        stream.read_to_end(&mut got).await.unwrap();
        drop(stream);
        (got, self.reply().await)
    }

    /// The session's end.
    async fn end(self) -> Served {
        drop(self.stream);
        self.served.await.unwrap()
    }
}

/// Octets that differ from block to block.
fn pattern(octets: usize) -> Vec<u8> {
    (0..octets).map(|n| (n.wrapping_mul(31) ^ (n >> 11) ^ (n >> 17)).to_le_bytes()[0]).collect()
}
