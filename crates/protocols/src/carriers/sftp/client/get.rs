//! Downloading with many reads on their way.

use bytes::Bytes;

use super::flights::{Flight, Flights};
use super::{SftpClient, handle, status};
use crate::carriers::sftp::wire::{Attrs, OpenFlags, Reply, Request, StatusCode};
use crate::outward::{ClientError, Progress, Sink, Ticker};

impl SftpClient {
    /// Reads `path` from octet `from` on into `sink`; gives the size of the whole file.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::SizeDiffers`] if the file turned out shorter than the server had said.
    pub async fn get(
        &mut self,
        path: &[u8],
        sink: &mut dyn Sink,
        from: u64,
        progress: &mut dyn Progress,
    ) -> Result<u64, ClientError> {
        let path = Bytes::copy_from_slice(path);
        let open = Request::Open { path, flags: OpenFlags::READ, attrs: Attrs::default() };
        let file = handle("OPEN", self.ask(open).await?)?;
        let read = self.read_all(&file, sink, from, progress).await;
        match read {
            Err(error) if error.is_fatal() => Err(error),
            read => {
                let closed = self.close(file).await;
                read.and_then(|size| closed.map(|()| size))
            }
        }
    }

    async fn read_all(
        &mut self,
        file: &Bytes,
        sink: &mut dyn Sink,
        from: u64,
        progress: &mut dyn Progress,
    ) -> Result<u64, ClientError> {
        let stated = match self.ask(Request::Fstat { handle: file.clone() }).await? {
            Reply::Attrs(attrs) => attrs.size,
            _ => None,
        };
        self.begin();
        let mut get =
            Get { stated, end: stated.unwrap_or(u64::MAX), next: from, flights: Flights::default(), failed: None };
        let mut ticker = Ticker::new(from);
        loop {
            while get.failed.is_none() && get.next < get.end && get.flights.len() < usize::from(self.options.window) {
                let len = self.block_octets.min(u32::try_from(get.end - get.next).unwrap_or(u32::MAX));
                self.read_next(file, &mut get, len)?;
            }
            if get.flights.is_empty() {
                return get.failed.map_or(Ok(get.end.max(from)), Err);
            }
            let (id, reply) = self.reply().await?;
            let Some(flight) = get.flights.land(id) else {
                return Err(ClientError::protocol(format!("an answer to request {id}, which was not asked")));
            };
            let came = get.take(flight, reply)?;
            let short = came.as_ref().map_or(0, |data| flight.len - u32::try_from(data.len()).unwrap_or(flight.len));
            if let Some(data) = came
                && let Err(error) = sink.write_at(flight.offset, data).await
            {
                get.failed.get_or_insert(error.into());
            }
            if short > 0 && get.failed.is_none() {
                let offset = flight.offset + u64::from(flight.len - short);
                let id = self.request(&Request::Read { handle: file.clone(), offset, len: short })?;
                get.flights.push(Flight { id, offset, len: short });
            }
            let reached = get.flights.reached(get.next);
            if get.failed.is_none() && ticker.is_due(reached) {
                get.failed = progress.reached(reached).await.err().map(ClientError::Local);
            }
        }
    }

    fn read_next(&mut self, file: &Bytes, get: &mut Get, len: u32) -> Result<(), ClientError> {
        let id = self.request(&Request::Read { handle: file.clone(), offset: get.next, len })?;
        get.flights.push(Flight { id, offset: get.next, len });
        get.next += u64::from(len);
        Ok(())
    }
}

/// A download under way.
struct Get {
    stated: Option<u64>,
    end: u64,
    next: u64,
    flights: Flights,
    failed: Option<ClientError>,
}

impl Get {
    /// The data of an answer, if it has any.
    fn take(&mut self, flight: Flight, reply: Reply) -> Result<Option<Bytes>, ClientError> {
        match reply {
            Reply::Data(data) => match u32::try_from(data.len()) {
                Ok(1..) if data.len() <= usize::try_from(flight.len).unwrap_or(0) => Ok(Some(data)),
                _ => Err(ClientError::protocol(format!("READ of {} octets gave {}", flight.len, data.len()))),
            },
            Reply::Status { code: StatusCode::Eof, .. } => {
                match self.stated {
                    Some(expected) => {
                        self.failed.get_or_insert(ClientError::SizeDiffers { expected, found: flight.offset });
                    }
                    None => self.end = self.end.min(flight.offset),
                }
                Ok(None)
            }
            other => {
                let refused = status("READ", other).err().unwrap_or_else(|| ClientError::unexpected("READ"));
                self.failed.get_or_insert(refused);
                Ok(None)
            }
        }
    }
}
