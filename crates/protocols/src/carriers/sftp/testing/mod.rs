//! A channel in memory, and clients at both ends, for tests.

mod way;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use engine::TransferError;
use tokio::task::JoinHandle;

use super::client::SftpClient;
use super::line::Line;
use super::server::{Served, ServerLimits, serve};
use super::settings::ClientOptions;
use super::wire::{ClientPacket, Framer, Reply, Request, ServerPacket};
use crate::outward::{ClientError, Sink};

pub(crate) use crate::files::MemoryFolder;
pub(crate) use way::{Way, line, pair};

/// Starts a session on one end of a channel; gives the other.
pub(crate) fn start(folder: &MemoryFolder, limits: ServerLimits) -> (Line, JoinHandle<Served>) {
    let (ours, theirs) = pair();
    (theirs, tokio::spawn(serve(ours, Arc::new(folder.clone()), limits)))
}

/// As [`start`], with a look at what waits to be read by the peer.
pub(crate) fn start_watched(folder: &MemoryFolder, limits: ServerLimits) -> (Line, JoinHandle<Served>, Arc<Way>) {
    let (to_server, to_client) = (Arc::new(Way::default()), Arc::new(Way::default()));
    let ours = line(&to_server, &to_client);
    (line(&to_client, &to_server), tokio::spawn(serve(ours, Arc::new(folder.clone()), limits)), to_client)
}

/// Our client at our server.
pub(crate) async fn connect(folder: &MemoryFolder, options: ClientOptions) -> Result<SftpClient, ClientError> {
    SftpClient::start_on(start(folder, ServerLimits::default()).0, options).await
}

/// A client that sends what it is told, and waits for nothing.
pub(crate) struct Raw {
    pub(crate) line: Line,
    framer: Framer,
}

impl Raw {
    pub(crate) fn new(line: Line) -> Self {
        Self { line, framer: Framer::default() }
    }

    /// A client that has been greeted.
    pub(crate) async fn greeted(line: Line) -> Self {
        let mut raw = Self::new(line);
        raw.send_packet(&ClientPacket::Init { version: 3, extensions: Vec::new() });
        assert!(matches!(raw.packet().await, Some(ServerPacket::Version { version: 3, .. })));
        raw
    }

    pub(crate) fn send_packet(&self, packet: &ClientPacket) {
        self.line.output.send(packet.encode()).unwrap();
    }

    pub(crate) fn send(&self, id: u32, request: Request) {
        self.send_packet(&ClientPacket::Request { id, request });
    }

    /// Sends nothing more; still reads.
    pub(crate) fn end_output(&mut self) {
        self.line.output = pair().0.output;
    }

    /// The next packet; none at the end.
    pub(crate) async fn packet(&mut self) -> Option<ServerPacket> {
        loop {
            if let Some(packet) = self.framer.next_packet().unwrap() {
                return Some(ServerPacket::decode(&packet.joined()).unwrap());
            }
            self.framer.push(self.line.input.next().await?);
        }
    }

    pub(crate) async fn reply(&mut self) -> (u32, Reply) {
        match self.packet().await {
            Some(ServerPacket::Reply { id, reply }) => (id, reply),
            other => panic!("a reply was expected, came {other:?}"),
        }
    }

    pub(crate) async fn ask(&mut self, id: u32, request: Request) -> Reply {
        self.send(id, request);
        let (got, reply) = self.reply().await;
        assert_eq!(got, id);
        reply
    }

    pub(crate) async fn open(&mut self, path: &str, flags: u32) -> Bytes {
        let path = Bytes::copy_from_slice(path.as_bytes());
        let open = Request::Open { path, flags: super::wire::OpenFlags(flags), attrs: super::wire::Attrs::default() };
        match self.ask(u32::MAX, open).await {
            Reply::Handle(handle) => handle,
            other => panic!("a handle was expected, came {other:?}"),
        }
    }
}

/// What a download brought.
#[derive(Default)]
pub(crate) struct Collected(pub(crate) Vec<u8>);

#[async_trait]
impl Sink for Collected {
    async fn write_at(&mut self, offset: u64, data: Bytes) -> Result<(), TransferError> {
        let at = usize::try_from(offset).unwrap();
        self.0.resize(self.0.len().max(at + data.len()), 0);
        self.0[at..at + data.len()].copy_from_slice(&data);
        Ok(())
    }
}

/// Octets that differ from block to block.
pub(crate) fn pattern(octets: usize) -> Vec<u8> {
    (0..octets).map(|n| (n.wrapping_mul(31) ^ (n >> 11) ^ (n >> 17)).to_le_bytes()[0]).collect()
}

/// A number from the wire as an index.
pub(crate) fn idx(n: impl TryInto<usize>) -> usize {
    n.try_into().ok().unwrap()
}
