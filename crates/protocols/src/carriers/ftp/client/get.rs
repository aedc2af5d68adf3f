//! Downloading.

use base::UtcMicros;
use bytes::{Bytes, BytesMut};
use channel::Link;
use engine::fetch::{Listing, Sighted};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::error::refused;
use super::names::first_text;
use super::{FtpClient, argument};
use crate::carriers::ftp::wire::{Command, Listed, ListedKind, Loose, Named, decode_facts, decode_line, parse_time};
use crate::outward::{ClientError, Progress, Sink, Ticker};

/// Octets that are gathered before they are stored.
const PIECE_OCTETS: usize = 256 * 1024;

impl FtpClient {
    /// Plain files of `folder`, with what the server tells of each.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::TooMany`] above the bound of the options.
    pub async fn files(&mut self, folder: &[u8]) -> Result<Vec<Sighted>, ClientError> {
        let folder = Some(folder).filter(|folder| !folder.is_empty()).map(argument).transpose()?;
        let verb = if self.offers.facts { Loose::Mlsd } else { Loose::List };
        let lines = match self.list(&Command::Loose(verb, folder)).await {
            // So do some answer that there is nothing to list.
            Err(error) if verb == Loose::List && error.is_not_found() => Vec::new(),
            lines => lines?,
        };
        let decode = if self.offers.facts { decode_facts } else { decode_line };
        let listed = lines.iter().filter_map(|line| decode(line));
        let plain = listed.filter(|listed| listed.kind == ListedKind::Regular);
        Ok(plain.map(|Listed { name, size, modified, .. }| Sighted { name, size, modified }).collect())
    }

    /// What the server says to NLST or LIST.
    ///
    /// # Errors
    /// As for [`FtpClient::files`].
    pub async fn listing(&mut self, folder: &[u8], how: Listing) -> Result<Vec<u8>, ClientError> {
        let folder = Some(folder).filter(|folder| !folder.is_empty()).map(argument).transpose()?;
        let verb = if how == Listing::Names { Loose::Nlst } else { Loose::List };
        let lines = self.list(&Command::Loose(verb, folder)).await?;
        Ok(lines.into_iter().flat_map(|line| [line, b"\n".to_vec()].concat()).collect())
    }

    /// When `path` was last changed, if the server tells (MDTM).
    ///
    /// # Errors
    /// Only what ends the connection.
    pub async fn modified(&mut self, path: &[u8]) -> Result<Option<UtcMicros>, ClientError> {
        match self.control.ask_done(&Command::Named(Named::Mdtm, argument(path)?)).await {
            Ok(reply) => Ok(parse_time(first_text(&reply).trim())),
            Err(error) if error.is_fatal() => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Reads the file at `path` from octet `from` on into `sink`.
    ///
    /// # Errors
    /// [`ClientError`]; a refusal where `from` is not 0 may be that of REST.
    pub async fn get(
        &mut self,
        path: &[u8],
        from: u64,
        sink: &mut dyn Sink,
        progress: &mut dyn Progress,
    ) -> Result<(), ClientError> {
        let command = Command::Named(Named::Retr, argument(path)?);
        let data = self.open_data().await?;
        if from > 0 {
            self.control.ask_more(&Command::Rest(from)).await?;
        }
        let mut link = self.begin_data(&command, data).await?;
        match self.take_all(&mut link, &command, (sink, from), progress).await {
            Ok(()) => {}
            // We break off: the server is told, and the session stays of use.
            Err(error @ ClientError::Local(_)) => {
                self.break_off(link).await?;
                return Err(error);
            }
            Err(error) => return Err(error),
        }
        drop(link.finish().await);
        drop(link);
        let reply = self.control.last_reply().await?;
        match reply.code() {
            200..=299 => Ok(()),
            _ => Err(refused(command.verb(), &reply)),
        }
    }

    async fn take_all(
        &mut self,
        link: &mut Link,
        command: &Command,
        (sink, from): (&mut dyn Sink, u64),
        progress: &mut dyn Progress,
    ) -> Result<(), ClientError> {
        let (mut at, mut ticker) = (from, Ticker::new(from));
        loop {
            let mut piece = BytesMut::with_capacity(PIECE_OCTETS);
            let ended = self.fill(link, command, &mut piece).await?;
            let octets = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            if octets > 0 {
                sink.write_at(at, Bytes::from(piece)).await?;
                at = at.saturating_add(octets);
            }
            if ended {
                return Ok(());
            }
            if ticker.is_due(at) {
                progress.reached(at).await?;
            }
        }
    }

    /// Reads until a piece is full; whether the data are at their end.
    async fn fill(&mut self, link: &mut Link, command: &Command, piece: &mut BytesMut) -> Result<bool, ClientError> {
        while piece.len() < PIECE_OCTETS {
            let read = tokio::select! {
                biased;
                () = self.control.cut() => return Err(ClientError::Cut),
                read = timeout(self.options.reply_wait_max, link.read_buf(piece)) => read,
            };
            match read {
                Ok(Ok(0)) => return Ok(true),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(self.why(command, format!("the data connection broke: {error}")).await),
                Err(_) => return Err(ClientError::Silent { seconds: self.options.reply_wait_max.as_secs() }),
            }
        }
        Ok(false)
    }
}
