//! Uploading.

use bytes::Bytes;
use channel::Link;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::error::refused;
use super::{FtpClient, argument};
use crate::carriers::ftp::wire::{Bare, Command, Named, Reply};
use crate::outward::{ClientError, Meaning, Progress, Source, Ticker, next_piece};

/// Octets that are read from our file, and sent, at once.
const PIECE_OCTETS: u32 = 512 * 1024;
/// Octets of what a server sends on the data connection of an upload, which mean nothing, that are read at once.
const STRAY_OCTETS: usize = 4096;
/// Replies to what was broken off that are passed over.
const STRAY_REPLIES_MAX: usize = 8;

/// How a file is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// REST and STOR: from that octet on.
    Restart,
    /// APPE: behind what is there.
    Append,
    /// STOR: anew.
    Anew,
    /// DELE and STOR: some servers let no file be overwritten.
    AnewFreed,
}

impl FtpClient {
    /// Writes `source` to `path` from octet `from` on, which is what the file there has.
    ///
    /// A server that can't go on in the middle of a file gets it from its beginning; if `may_free`, one that does not let
    /// it be overwritten has it deleted first.
    ///
    /// # Errors
    /// [`ClientError`]; what has arrived is left there.
    pub async fn put(
        &mut self,
        path: &[u8],
        (source, from): (&mut dyn Source, u64),
        may_free: bool,
        progress: &mut dyn Progress,
    ) -> Result<(), ClientError> {
        let mut refusal = None;
        for way in self.ways(from, may_free) {
            match self.begin(path, from, way).await {
                Ok(link) => {
                    let from = if matches!(way, Way::Restart | Way::Append) { from } else { 0 };
                    let command = Command::Named(Named::Stor, argument(path)?);
                    return self.send_file(link, &command, (source, from), progress).await;
                }
                Err(error) if self.goes_on(way, &error) => drop(refusal.get_or_insert(error)),
                // What was said first tells more than what became of the attempt to make room.
                Err(error) if way == Way::AnewFreed && error.is_refusal() => return Err(refusal.unwrap_or(error)),
                Err(error) => return Err(error),
            }
        }
        Err(refusal.unwrap_or(ClientError::Closed))
    }

    fn ways(&self, from: u64, may_free: bool) -> Vec<Way> {
        let resumes = from > 0 && self.options.restart;
        let ways = [
            (Way::Restart, resumes && !self.lacks.restart),
            (Way::Append, resumes && !self.lacks.append),
            (Way::Anew, true),
            (Way::AnewFreed, may_free),
        ];
        ways.into_iter().filter_map(|(way, possible)| possible.then_some(way)).collect()
    }

    /// Whether another way may help where this one was refused.
    fn goes_on(&mut self, way: Way, error: &ClientError) -> bool {
        let lacking = match way {
            Way::Restart => &mut self.lacks.restart,
            Way::Append => &mut self.lacks.append,
            // Denied or "exists already": servers say 550 or 553.
            Way::Anew => return matches!(error.meaning(), Some(Meaning::NotFound | Meaning::Denied)),
            Way::AnewFreed => return false,
        };
        *lacking |= error.meaning() == Some(Meaning::Unsupported);
        error.is_refusal()
    }

    async fn begin(&mut self, path: &[u8], from: u64, way: Way) -> Result<Link, ClientError> {
        let path = argument(path)?;
        if way == Way::AnewFreed {
            self.control.ask_done(&Command::Named(Named::Dele, path.clone())).await?;
        }
        let data = self.open_data().await?;
        let verb = if way == Way::Append { Named::Appe } else { Named::Stor };
        if way == Way::Restart {
            self.control.ask_more(&Command::Rest(from)).await?;
        }
        self.begin_data(&Command::Named(verb, path), data).await
    }

    async fn send_file(
        &mut self,
        mut link: Link,
        command: &Command,
        (source, from): (&mut dyn Source, u64),
        progress: &mut dyn Progress,
    ) -> Result<(), ClientError> {
        match self.send_all(&mut link, command, (source, from), progress).await {
            Ok(()) => self.end_file(link, command).await,
            // We break off: the server is told, before the end of the connection looks like that of the file.
            Err(error @ ClientError::Local(_)) => {
                self.break_off(link).await?;
                Err(error)
            }
            failed => failed,
        }
    }

    /// All octets, the next piece being read while one is sent.
    async fn send_all(
        &mut self,
        link: &mut Link,
        command: &Command,
        (source, from): (&mut dyn Source, u64),
        progress: &mut dyn Progress,
    ) -> Result<(), ClientError> {
        let (size, mut sent, mut ticker) = (source.size(), from, Ticker::new(from));
        let mut piece = read(source, sent).await?;
        while sent < size {
            let behind = sent.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            let both = async { tokio::join!(link.write_all(&piece), read(source, behind)) };
            let done = tokio::select! {
                biased;
                early = self.control.last_reply() => return Err(early_end(command, &early?)),
                done = timeout(self.options.reply_wait_max, both) => done,
            };
            let Ok((written, next)) = done else {
                return Err(ClientError::Silent { seconds: self.options.reply_wait_max.as_secs() });
            };
            if let Err(error) = written {
                return Err(self.why(command, format!("the data connection broke: {error}")).await);
            }
            (piece, sent) = (next?, behind);
            if ticker.is_due(sent) {
                progress.reached(sent).await?;
            }
        }
        Ok(())
    }

    /// Ends the data connection, and hears whether the file is there.
    ///
    /// What the server sends on it is read to its end: a connection that is closed with octets unread is reset, and what was
    /// sent last is then lost on its way (TLS 1.3 servers send tickets).
    async fn end_file(&mut self, mut link: Link, command: &Command) -> Result<(), ClientError> {
        if let Err(error) = link.finish().await {
            return Err(self.why(command, format!("the data connection broke at its end: {error}")).await);
        }
        let drained = async {
            let mut stray = [0; STRAY_OCTETS];
            while matches!(link.read(&mut stray).await, Ok(1..)) {}
            std::future::pending::<()>().await;
        };
        let reply = tokio::select! {
            reply = self.control.last_reply() => reply?,
            () = drained => return Err(ClientError::Closed),
        };
        match reply.code() {
            200..=299 => Ok(()),
            _ => Err(refused(command.verb(), &reply)),
        }
    }

    /// ABOR, and the end of the data connection. Servers answer that once or twice, so that PWD tells when they are
    /// through: nothing else is answered by 257.
    pub(super) async fn break_off(&mut self, link: Link) -> Result<(), ClientError> {
        self.control.send(&Command::Bare(Bare::Abor)).await?;
        drop(link);
        self.control.send(&Command::Bare(Bare::Pwd)).await?;
        for _ in 0..STRAY_REPLIES_MAX {
            if self.control.reply().await?.code() == 257 {
                return Ok(());
            }
        }
        Err(ClientError::protocol("ABOR was answered without end"))
    }
}

/// The next piece; empty at the end.
async fn read(source: &mut dyn Source, at: u64) -> Result<Bytes, ClientError> {
    if at >= source.size() { Ok(Bytes::new()) } else { next_piece(source, at, PIECE_OCTETS).await }
}

/// A reply that came before we were through.
fn early_end(command: &Command, reply: &Reply) -> ClientError {
    match reply.code() {
        400.. => refused(command.verb(), reply),
        _ => ClientError::protocol(format!("{} was answered with {reply} before the end of the file", command.verb())),
    }
}
