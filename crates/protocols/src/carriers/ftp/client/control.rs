//! The control connection: a command out, a reply back.

use std::time::Duration;

use channel::{Link, TlsSession};
use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::error::refused;
use crate::carriers::ftp::wire::{Command, Incoming, LINE_OCTETS_MAX, Lines, Reply};
use crate::outward::ClientError;

/// The connection on which commands and replies travel.
pub(super) struct Control {
    /// None while TLS is put on it, and when it is of no use any more.
    link: Option<Link>,
    lines: Lines,
    incoming: Incoming,
    wait_max: Duration,
    /// When nothing is waited for any more.
    cut: BoxFuture<'static, ()>,
}

/// The longest wait for the answer to QUIT.
const QUIT_WAIT_MAX: Duration = Duration::from_secs(5);

impl Control {
    pub(super) fn new(link: Link, wait_max: Duration) -> Self {
        Self {
            link: Some(link),
            lines: Lines::new(LINE_OCTETS_MAX),
            incoming: Incoming::default(),
            wait_max,
            cut: Box::pin(std::future::pending()),
        }
    }

    pub(super) fn cut_when(&mut self, cut: BoxFuture<'static, ()>) {
        self.cut = cut;
    }

    pub(super) fn link(&self) -> Result<&Link, ClientError> {
        self.link.as_ref().ok_or(ClientError::Closed)
    }

    pub(super) fn tls(&self) -> Option<&TlsSession> {
        self.link.as_ref().and_then(Link::tls)
    }

    /// Whether a data connection can go on from its session.
    pub(super) fn can_be_resumed(&self) -> bool {
        self.tls().is_some_and(TlsSession::can_be_resumed)
    }

    /// Takes the connection out, to put TLS on it.
    ///
    /// # Errors
    /// [`ClientError::Protocol`]: something came in clear that nobody asked for. It may have been put there to be taken
    /// for an answer of the secured server (as in CVE-2011-0411).
    pub(super) fn take_clear(&mut self) -> Result<Link, ClientError> {
        if !self.lines.is_empty() {
            return Err(ClientError::protocol("it sent something in clear behind its answer to AUTH"));
        }
        self.link.take().ok_or(ClientError::Closed)
    }

    pub(super) fn put_back(&mut self, link: Link) {
        self.link = Some(link);
    }

    /// Sends a command.
    pub(super) async fn send(&mut self, command: &Command) -> Result<(), ClientError> {
        let link = self.link.as_mut().ok_or(ClientError::Closed)?;
        let line = command.encode();
        let sent = async {
            link.write_all(&line).await?;
            link.flush().await
        };
        let sent = tokio::select! {
            biased;
            () = &mut self.cut => Err(self.was_cut()),
            sent = timeout(self.wait_max, sent) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(ClientError::Closed),
                Err(_) => Err(ClientError::Silent { seconds: self.wait_max.as_secs() }),
            },
        };
        // Half a command may be under way: the connection is of no use any more.
        sent.inspect_err(|_| self.link = None)
    }

    /// The next reply, whatever it says, but for 421: the server leaves, and nothing follows. Nothing is lost if the
    /// future is dropped.
    pub(super) async fn reply(&mut self) -> Result<Reply, ClientError> {
        loop {
            match self.lines.next_line() {
                Ok(Some(line)) => match self.incoming.take(&line) {
                    Ok(Some(reply)) if reply.code() == LEAVING => {
                        self.link = None;
                        return Err(ClientError::Leaving { text: base::brief(&reply.to_string(), TEXT_CHARS_MAX) });
                    }
                    Ok(Some(reply)) => return Ok(reply),
                    Ok(None) => continue,
                    Err(error) => return Err(ClientError::protocol(error.to_string())),
                },
                Ok(None) => {}
                Err(error) => return Err(ClientError::protocol(error.to_string())),
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), ClientError> {
        let link = self.link.as_mut().ok_or(ClientError::Closed)?;
        tokio::select! {
            biased;
            () = &mut self.cut => Err(self.was_cut()),
            came = timeout(self.wait_max, link.read_buf(self.lines.room())) => match came {
                Ok(Ok(1..)) => Ok(()),
                Ok(Ok(0) | Err(_)) => Err(ClientError::Closed),
                Err(_) => Err(ClientError::Silent { seconds: self.wait_max.as_secs() }),
            },
        }
    }

    /// Ready when nothing is waited for any more.
    pub(super) async fn cut(&mut self) {
        (&mut self.cut).await;
        self.cut = Box::pin(std::future::ready(()));
    }

    fn was_cut(&mut self) -> ClientError {
        self.cut = Box::pin(std::future::ready(()));
        ClientError::Cut
    }

    /// One command and its reply, whatever that is; marks before it (1yz) are passed over.
    pub(super) async fn ask(&mut self, command: &Command) -> Result<Reply, ClientError> {
        self.send(command).await?;
        self.last_reply().await
    }

    /// The next reply that ends or continues a command.
    pub(super) async fn last_reply(&mut self) -> Result<Reply, ClientError> {
        loop {
            let reply = self.reply().await?;
            if reply.code() >= 200 {
                return Ok(reply);
            }
        }
    }

    /// One command that is answered by 2yz.
    pub(super) async fn ask_done(&mut self, command: &Command) -> Result<Reply, ClientError> {
        let reply = self.ask(command).await?;
        match reply.code() {
            200..=299 => Ok(reply),
            _ => Err(refused(command.verb(), &reply)),
        }
    }

    /// One command that is answered by 3yz: another is to follow.
    pub(super) async fn ask_more(&mut self, command: &Command) -> Result<Reply, ClientError> {
        let reply = self.ask(command).await?;
        match reply.code() {
            300..=399 => Ok(reply),
            _ => Err(refused(command.verb(), &reply)),
        }
    }

    /// Says good-bye and ends the connection.
    pub(super) async fn quit(&mut self, quit: &Command) {
        if self.link.is_none() {
            return;
        }
        drop(timeout(QUIT_WAIT_MAX, self.ask(quit)).await);
        if let Some(mut link) = self.link.take() {
            drop(link.finish().await);
        }
    }
}

/// Service not available, closing control connection (RFC 959 section 4.2.1). Any command may be answered so.
const LEAVING: u16 = 421;
/// Characters of a server's words that are told.
const TEXT_CHARS_MAX: usize = 300;
