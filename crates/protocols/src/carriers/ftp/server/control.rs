//! The control connection of one session: commands in, replies out.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use channel::{Link, TlsServer, TlsSession};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::{Reception, SessionError};
use crate::carriers::ftp::wire::{LINE_OCTETS_MAX, Lines, Reply};

/// The longest a reply waits for a peer that does not read.
const REPLY_WAIT_MAX: Duration = Duration::from_secs(60);
/// Commands that may come while a transfer runs.
const HELD_MAX: usize = 16;

/// A control connection.
pub(super) struct Control {
    /// Away only while TLS is put on it, after which it is back or the session ends.
    link: Option<Link>,
    lines: Lines,
    /// Lines that came while a transfer ran, for after it.
    held: VecDeque<Bytes>,
    pace: Pace,
}

impl Control {
    pub(super) fn new(link: Link, commands_per_s_max: u32) -> Self {
        let (lines, held) = (Lines::new(LINE_OCTETS_MAX), VecDeque::new());
        Self { link: Some(link), lines, held, pace: Pace::new(commands_per_s_max) }
    }

    /// The next line: one that was held, or one that comes.
    pub(super) async fn next(&mut self) -> Result<Bytes, SessionError> {
        self.pace.wait().await;
        match self.held.pop_front() {
            Some(line) => Ok(line),
            None => self.arriving().await,
        }
    }

    /// The next line that comes. Dropping the future loses nothing.
    pub(super) async fn arriving(&mut self) -> Result<Bytes, SessionError> {
        loop {
            if let Some(line) = self.lines.next_line()? {
                return Ok(line);
            }
            let link = self.link.as_mut().ok_or(SessionError::Closed)?;
            match link.read_buf(self.lines.room()).await {
                Ok(0) => return Err(SessionError::Closed),
                Ok(_) => {}
                Err(error) => return Err(SessionError::of(&error)),
            }
        }
    }

    /// Keeps a line for after the transfer.
    pub(super) fn hold(&mut self, line: Bytes) -> Result<(), SessionError> {
        if self.held.len() >= HELD_MAX {
            return Err(SessionError::Flood);
        }
        self.held.push_back(line);
        Ok(())
    }

    /// Sends a reply.
    pub(super) async fn send(&mut self, reply: &Reply) -> Result<(), SessionError> {
        let link = self.link.as_mut().ok_or(SessionError::Closed)?;
        let octets = reply.encode();
        let sent = timeout(REPLY_WAIT_MAX, async {
            link.write_all(&octets).await?;
            link.flush().await
        });
        sent.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|e| SessionError::of(&e))
    }

    /// Whether something came behind the command that is carried out now.
    pub(super) fn has_more(&self) -> bool {
        !self.lines.is_empty() || !self.held.is_empty()
    }

    /// Whether a command waits for the end of the transfer.
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Puts TLS on the connection. Nothing that came in clear may wait (CVE-2011-0411): see [`Self::has_more`].
    pub(super) async fn secure(&mut self, server: &TlsServer, told: &dyn Reception) -> Result<(), SessionError> {
        let link = self.link.take().ok_or(SessionError::Closed)?;
        match link.secure(server, None).await {
            Ok(secured) => {
                self.link = Some(secured);
                Ok(())
            }
            Err(refusal) => {
                told.tls_refused(&refusal).await;
                Err(SessionError::Tls { text: refusal.to_string() })
            }
        }
    }

    /// What TLS negotiated; none in clear.
    pub(super) fn tls(&self) -> Option<TlsSession> {
        self.link.as_ref().and_then(|link| link.tls().cloned())
    }

    /// Both ends of it.
    pub(super) fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// Says goodbye.
    pub(super) async fn finish(&mut self) {
        if let Some(link) = &mut self.link
            && let Err(error) = link.finish().await
        {
            tracing::debug!(%error, "control connection ended without a goodbye");
        }
    }
}

/// Lets so many commands through at once, and in each second after that; who sends more waits (FTP-16).
struct Pace {
    step: Duration,
    ahead_max: Duration,
    /// When the commands so far would have been through at an even pace.
    through: Instant,
}

impl Pace {
    fn new(per_s_max: u32) -> Self {
        let step = Duration::from_secs(1) / per_s_max.max(1);
        Self { step, ahead_max: Duration::from_secs(1), through: Instant::now() }
    }

    async fn wait(&mut self) {
        let now = Instant::now();
        self.through = self.through.max(now) + self.step;
        if self.through > now + self.ahead_max {
            sleep_until(self.through - self.ahead_max).await;
        }
    }
}
