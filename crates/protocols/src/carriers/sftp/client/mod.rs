//! An SFTP client over one channel: names, listings, and transfers with many requests on their way.
//!
//! One operation at a time; several transfers at once take several channels of one connection. An operation whose future
//! is dropped leaves answers behind: the next one passes over them.

mod error;
mod flights;
mod get;
mod names;
mod put;
mod remote;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use channel::Pipe;
use futures_util::future::BoxFuture;

pub use names::RemoteFile;

use super::line::{Line, LineInput, LineOutput};
use super::settings::ClientOptions;
use super::wire::{
    ClientPacket, Extended, Framer, Limits, Reply, Request, ServerPacket, StatusCode, VERSION, extension,
};
use crate::outward::ClientError;

/// A session with a server.
pub struct SftpClient {
    input: Box<dyn LineInput>,
    /// When nothing is waited for any more.
    cut: BoxFuture<'static, ()>,
    output: Arc<dyn LineOutput>,
    framer: Framer,
    options: ClientOptions,
    extensions: BTreeSet<Bytes>,
    block_octets: u32,
    next_id: u32,
    /// First number of the operation under way; answers to earlier ones are passed over.
    first_id: u32,
}

/// Most octets of a READ or WRITE, whatever the server allows.
const BLOCK_OCTETS_MAX: u32 = 255 * 1024;
/// Octets waiting to be sent above which no more are read from the source.
const OUTPUT_OCTETS_MAX: usize = 2 * 1024 * 1024;

impl SftpClient {
    /// [`SftpClient::start_on`] an SSH channel.
    ///
    /// # Errors
    /// As there.
    pub async fn start(pipe: Pipe, options: ClientOptions) -> Result<Self, ClientError> {
        Self::start_on(pipe.into(), options).await
    }

    /// Greets the server and asks for its limits.
    ///
    /// # Errors
    /// [`ClientError::Unfit`] if it does not speak version 3; [`ClientError::Closed`], [`ClientError::Silent`],
    /// [`ClientError::Protocol`] if it does not answer as it should.
    pub async fn start_on(line: Line, options: ClientOptions) -> Result<Self, ClientError> {
        let Line { input, output } = line;
        let mut client = Self {
            input,
            cut: Box::pin(std::future::pending()),
            output,
            framer: Framer::default(),
            block_octets: options.block_octets.clamp(1, BLOCK_OCTETS_MAX),
            options,
            extensions: BTreeSet::new(),
            next_id: 0,
            first_id: 0,
        };
        client.send(ClientPacket::Init { version: VERSION, extensions: Vec::new() }.encode())?;
        match client.packet().await? {
            ServerPacket::Version { version: VERSION, extensions } => {
                client.extensions = extensions.into_iter().map(|(name, _)| name).collect();
            }
            ServerPacket::Version { version, .. } => return Err(ClientError::version(version)),
            ServerPacket::Reply { .. } => return Err(ClientError::protocol("a reply before VERSION")),
        }
        if client.offers(extension::LIMITS) {
            client.take_limits().await?;
        }
        Ok(client)
    }

    /// Whether the server named this extension.
    #[must_use]
    pub fn offers(&self, extension: &str) -> bool {
        self.extensions.contains(extension.as_bytes())
    }

    /// Octets of a READ or WRITE.
    #[must_use]
    pub fn block_octets(&self) -> u32 {
        self.block_octets
    }

    async fn take_limits(&mut self) -> Result<(), ClientError> {
        let reply = match self.ask(Request::Extended(Extended::Limits)).await? {
            Reply::Extended(data) => Limits::decode(&data).map_err(ClientError::defect)?,
            // Named but not there: we do without.
            _ => return Ok(()),
        };
        if !self.options.block_fixed {
            // 0 states no bound; what every server takes is taken then.
            let stated = [reply.read_octets, reply.write_octets].into_iter().map(|n| match n {
                0 => ClientOptions::BLOCK_OCTETS,
                n => u32::try_from(n).unwrap_or(u32::MAX),
            });
            self.block_octets = stated.min().unwrap_or(BLOCK_OCTETS_MAX).min(BLOCK_OCTETS_MAX);
        }
        Ok(())
    }

    /// Begins an operation: answers to earlier ones mean nothing from now on.
    fn begin(&mut self) {
        self.first_id = self.next_id;
    }

    fn send(&self, packet: Bytes) -> Result<(), ClientError> {
        self.output.send(packet).map_err(|_| ClientError::Closed)
    }

    /// Takes the next request number.
    fn number(&mut self) -> u32 {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        id
    }

    fn request(&mut self, request: &Request) -> Result<u32, ClientError> {
        let id = self.number();
        self.send(request.encode(id))?;
        Ok(id)
    }

    /// One request and its answer.
    async fn ask(&mut self, request: Request) -> Result<Reply, ClientError> {
        self.begin();
        let id = self.request(&request)?;
        match self.reply().await? {
            (got, reply) if got == id => Ok(reply),
            (got, _) => Err(ClientError::protocol(format!("an answer to request {got}, which was not asked"))),
        }
    }

    /// One request that is answered by a status; `what` it is, for the error.
    async fn ask_status(&mut self, what: &'static str, request: Request) -> Result<(), ClientError> {
        let reply = self.ask(request).await?;
        status(what, reply)
    }

    /// The next answer to a request of this operation. Nothing is lost if the future is dropped.
    async fn reply(&mut self) -> Result<(u32, Reply), ClientError> {
        loop {
            match self.packet().await? {
                ServerPacket::Version { .. } => return Err(ClientError::protocol("a second VERSION")),
                ServerPacket::Reply { id, reply } => {
                    // Numbers go up, and around: the half behind the first one is the past.
                    if id.wrapping_sub(self.first_id) <= u32::MAX / 2 {
                        return Ok((id, reply));
                    }
                }
            }
        }
    }

    async fn packet(&mut self) -> Result<ServerPacket, ClientError> {
        loop {
            if let Some(packet) = self.framer.next_packet().map_err(ClientError::frame)? {
                return ServerPacket::decode(&packet.joined()).map_err(ClientError::wire);
            }
            let wait_max = self.options.reply_wait_max;
            tokio::select! {
                biased;
                () = &mut self.cut => {
                    self.cut = Box::pin(std::future::ready(()));
                    return Err(ClientError::Cut);
                }
                came = tokio::time::timeout(wait_max, self.input.next()) => match came {
                    Ok(Some(piece)) => self.framer.push(piece),
                    Ok(None) => return Err(ClientError::Closed),
                    Err(_) => return Err(ClientError::Silent { seconds: wait_max.as_secs() }),
                }
            }
        }
    }

    /// Ends a handle.
    async fn close(&mut self, handle: Bytes) -> Result<(), ClientError> {
        self.ask_status("CLOSE", Request::Close { handle }).await
    }
}

/// What a status says, `what` having been asked.
fn status(what: &'static str, reply: Reply) -> Result<(), ClientError> {
    match reply {
        Reply::Status { code: StatusCode::Ok, .. } => Ok(()),
        Reply::Status { code, text } => Err(ClientError::remote(what, code, &text)),
        _ => Err(ClientError::unexpected(what)),
    }
}

/// The handle in an answer, `what` having been asked.
fn handle(what: &'static str, reply: Reply) -> Result<Bytes, ClientError> {
    match reply {
        Reply::Handle(handle) => Ok(handle),
        other => Err(status(what, other).err().unwrap_or_else(|| ClientError::unexpected(what))),
    }
}

impl fmt::Debug for SftpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SftpClient").field("extensions", &self.extensions).finish_non_exhaustive()
    }
}
