//! Uploading with many writes on their way.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::flights::{Flight, Flights};
use super::{OUTPUT_OCTETS_MAX, SftpClient, handle, status};
use crate::carriers::sftp::line::PARTS_OCTETS_MIN;
use crate::carriers::sftp::wire::{Attrs, Extended, OpenFlags, Reply, Request, extension};
use crate::outward::{ClientError, Progress, Source, Ticker, next_piece};

/// Where and how a file is written.
pub(super) struct Place<'a> {
    pub(super) path: &'a [u8],
    pub(super) flags: OpenFlags,
    /// First octet to write.
    pub(super) from: u64,
    /// Whether a file that could not be written to its end is closed. To many servers CLOSE says that a file is whole,
    /// so one under its final name is left to the end of the channel.
    pub(super) closes_partial: bool,
}

impl SftpClient {
    /// Writes `source` to `path` from octet `from` on, and checks the size the server then has.
    ///
    /// From 0 on, what was there is given up; from further on, it is kept and gone on with. Where the server offers
    /// fsync@openssh.com, the file is on its disk before it is closed.
    ///
    /// # Errors
    /// [`ClientError`]; what has arrived is left there.
    pub async fn put(
        &mut self,
        path: &[u8],
        source: &mut dyn Source,
        from: u64,
        progress: &mut dyn Progress,
    ) -> Result<(), ClientError> {
        let mut flags = OpenFlags::WRITE.and(OpenFlags::CREATE);
        if from == 0 {
            flags = flags.and(OpenFlags::TRUNCATE);
        }
        self.put_to(&Place { path, flags, from, closes_partial: true }, source, progress).await
    }

    pub(super) async fn put_to(
        &mut self,
        place: &Place<'_>,
        source: &mut dyn Source,
        progress: &mut dyn Progress,
    ) -> Result<(), ClientError> {
        let path = Bytes::copy_from_slice(place.path);
        let open = Request::Open { path, flags: place.flags, attrs: Attrs::default() };
        let file = handle("OPEN", self.ask(open).await?)?;
        let written = match self.write_all(&file, source, place.from, progress).await {
            Ok(()) => self.complete(&file, source.size()).await,
            failed => failed,
        };
        match written {
            Err(error) if error.is_fatal() || !place.closes_partial => Err(error),
            written => {
                let closed = self.close(file).await;
                written.and(closed)
            }
        }
    }

    /// Brings the file to the server's disk, if it can do that, and checks its size, if it tells.
    async fn complete(&mut self, file: &Bytes, size: u64) -> Result<(), ClientError> {
        if self.offers(extension::FSYNC) {
            self.ask_status("FSYNC", Request::Extended(Extended::Fsync { handle: file.clone() })).await?;
        }
        match self.ask(Request::Fstat { handle: file.clone() }).await? {
            Reply::Attrs(Attrs { size: Some(found), .. }) if found != size => {
                Err(ClientError::SizeDiffers { expected: size, found })
            }
            // Servers that only take files may refuse to tell; STAT is tried after the end.
            _ => Ok(()),
        }
    }

    async fn write_all(
        &mut self,
        file: &Bytes,
        source: &mut dyn Source,
        from: u64,
        progress: &mut dyn Progress,
    ) -> Result<(), ClientError> {
        self.begin();
        let (size, mut next, mut flights) = (source.size(), from, Flights::default());
        let (mut failed, mut ticker) = (None, Ticker::new(from));
        loop {
            while failed.is_none() && next < size && self.has_room(&flights) {
                match self.write_next(file, source, next).await {
                    Ok(flight) => {
                        next += u64::from(flight.len);
                        flights.push(flight);
                    }
                    Err(error) => failed = Some(error),
                }
            }
            let is_done = failed.is_some() || next >= size;
            if flights.is_empty() && is_done {
                return failed.map_or(Ok(()), Err);
            }
            let Some((id, reply)) = self.reply_or_room(&flights, is_done).await? else { continue };
            let Some(_) = flights.land(id) else {
                return Err(ClientError::protocol(format!("an answer to request {id}, which was not asked")));
            };
            if let Err(error) = status("WRITE", reply) {
                failed.get_or_insert(error);
            }
            let reached = flights.reached(next);
            if failed.is_none() && ticker.is_due(reached) {
                failed = progress.reached(reached).await.err().map(ClientError::Local);
            }
        }
    }

    fn has_room(&self, flights: &Flights) -> bool {
        flights.len() < usize::from(self.options.window) && self.output.queued() < OUTPUT_OCTETS_MAX
    }

    /// The next answer; `None` if there is room for another write before it comes.
    async fn reply_or_room(&mut self, flights: &Flights, is_done: bool) -> Result<Option<(u32, Reply)>, ClientError> {
        if is_done || flights.len() >= usize::from(self.options.window) {
            return self.reply().await.map(Some);
        }
        let output = Arc::clone(&self.output);
        tokio::select! {
            biased;
            reply = self.reply() => reply.map(Some),
            drained = output.drained_below(OUTPUT_OCTETS_MAX) => drained.map(|()| None).map_err(|_| ClientError::Closed),
        }
    }

    async fn write_next(&mut self, file: &Bytes, source: &mut dyn Source, offset: u64) -> Result<Flight, ClientError> {
        let data = next_piece(source, offset, self.block_octets).await?;
        let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let id = self.number();
        if data.len() < PARTS_OCTETS_MIN {
            self.send(Request::Write { handle: file.clone(), offset, data: data.into() }.encode(id))?;
        } else {
            self.send(write_head(id, file, offset, data.len()))?;
            self.send(data)?;
        }
        Ok(Flight { id, offset, len })
    }
}

/// All of a WRITE that stands before its data.
fn write_head(id: u32, file: &Bytes, offset: u64, data_octets: usize) -> Bytes {
    let whole = Request::Write { handle: file.clone(), offset, data: Bytes::new().into() }.encode(id);
    let length = |octets: usize| u32::try_from(octets).unwrap_or(u32::MAX);
    let fields = whole.len().saturating_sub(4);
    let mut head = BytesMut::with_capacity(whole.len());
    head.put_u32(length(fields.saturating_add(data_octets)));
    head.extend_from_slice(whole.get(4..fields).unwrap_or_default());
    head.put_u32(length(data_octets));
    head.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_may_be_sent_in_two_parts() {
        let (file, data) = (Bytes::from_static(b"handle"), Bytes::from_static(b"octets of a file"));
        let parts = [write_head(7, &file, u64::MAX, data.len()), data.clone()].concat();
        assert_eq!(parts, Request::Write { handle: file, offset: u64::MAX, data: data.into() }.encode(7));
    }
}
