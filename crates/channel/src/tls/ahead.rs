//! Reading ahead of the TLS library, which asks the system for 4 KiB at a time: a record of 16 KiB then takes five calls.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::TlsSession;

/// Octets that are read in one call where much is expected. Room for the longest record that there can be, and more.
const BULK_OCTETS: usize = 256 * 1024;
/// Type, version and length of a record (RFC 8446 section 5.1).
pub(super) const HEADER: usize = 5;

/// A connection that is read ahead, and given away record by record: the library never has a part of a record that is not
/// its own. What is written goes straight through.
#[derive(Debug)]
pub(super) struct ReadAhead {
    pub(super) stream: TcpStream,
    /// What has come; empty where nothing is read ahead.
    buffer: Vec<u8>,
    /// Which part of it was not taken yet.
    left: Range<usize>,
    /// Octets of the record under way that may be taken.
    open: usize,
}

impl ReadAhead {
    /// Much is expected of the data connection of a session. Other connections may rest for hours, so nothing is kept for them.
    pub(super) fn of(stream: TcpStream, data_of: Option<&TlsSession>) -> Self {
        match data_of {
            Some(_) => Self::bulk(stream),
            None => Self { stream, buffer: Vec::new(), left: 0..0, open: 0 },
        }
    }

    /// Much is expected.
    pub(super) fn bulk(stream: TcpStream) -> Self {
        Self { stream, buffer: vec![0; BULK_OCTETS], left: 0..0, open: 0 }
    }

    /// Where the next whole record stands, header and all. What is left of a last one that was cut comes as it is; none at the
    /// end.
    pub(super) fn poll_record(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Range<usize>>>> {
        loop {
            let there = self.buffer.get(self.left.clone()).unwrap_or_default();
            if let [_, _, _, high, low, ..] = there {
                let octets = HEADER + usize::from(u16::from_be_bytes([*high, *low]));
                if there.len() >= octets {
                    return Poll::Ready(Ok(Some(self.take(octets))));
                }
            }
            if ready!(self.poll_fill(cx))? == 0 {
                let rest = self.left.len();
                return Poll::Ready(Ok((rest > 0).then(|| self.take(rest))));
            }
        }
    }

    /// The octets of a record that was given.
    pub(super) fn record(&mut self, at: Range<usize>) -> &mut [u8] {
        self.buffer.get_mut(at).unwrap_or_default()
    }

    fn take(&mut self, octets: usize) -> Range<usize> {
        let taken = self.left.start..self.left.start + octets;
        self.left.start = taken.end;
        taken
    }

    /// Reads more behind what is left. Gives how much.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.left.start > 0 {
            self.buffer.copy_within(self.left.clone(), 0);
            self.left = 0..self.left.len();
        }
        let mut into = ReadBuf::new(self.buffer.get_mut(self.left.end..).unwrap_or_default());
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut into))?;
        let octets = into.filled().len();
        self.left.end += octets;
        Poll::Ready(Ok(octets))
    }
}

impl AsyncRead for ReadAhead {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.buffer.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        if self.open == 0 {
            let Some(record) = ready!(self.poll_record(cx))? else { return Poll::Ready(Ok(())) };
            self.open = record.len();
        }
        // A record that was begun is there as a whole, before what is left.
        let from = self.left.start - self.open;
        let octets = self.open.min(buf.remaining());
        buf.put_slice(self.buffer.get(from..from + octets).unwrap_or_default());
        self.open -= octets;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ReadAhead {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
